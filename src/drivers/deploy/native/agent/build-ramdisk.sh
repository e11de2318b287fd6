#!/bin/bash
# Builds the ramdisk, vmlinuz and initrd, from Debian packages of this machine's release: the kernel package is fetched, the
# programs are those installed here. The same packages and sources give the same bytes.
#
# OUT=folder           where vmlinuz and initrd go (default: .run/ramdisk)
# PROFILE=lab|full     lab: drivers of QEMU's machines, the small cloud kernel; full: every network and storage driver (default)
# FIRMWARE=folder      firmware files for the drivers, for example /lib/firmware (Debian: firmware-bnx2x, firmware-qlogic, ...)
# CACHE=folder         where unpacked kernels are kept
# SOURCE_DATE_EPOCH    time stamp of all files
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../../../../.." && pwd)
: "${PROFILE:=full}" "${OUT:=$project/.run/ramdisk}" "${CACHE:=$project/.run/kernels}" "${FIRMWARE:=}" "${SOURCE_DATE_EPOCH:=1700000000}"
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
umask 022
began=$SECONDS

case $PROFILE in
  lab) flavour=cloud-amd64 ;;
  full) flavour=amd64 ;;
  *) echo "PROFILE is lab or full, not $PROFILE" >&2; exit 1 ;;
esac
[ "$(dpkg --print-architecture)" = amd64 ] || { echo 'the ramdisk is built on amd64' >&2; exit 1; }

missing=()
while read -r program package; do
  command -v "$program" >/dev/null || missing+=("$package")
done < <(grep -v '^#' "$here/programs"; echo 'busybox busybox-static'; echo 'cpio cpio')
if ((${#missing[@]})); then
  echo "missing here: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
[[ $(ldd "$(command -v busybox)" 2>&1) != *'=>'* ]] || { echo 'busybox must be the static one: apt-get install busybox-static' >&2; exit 1; }

kernel=$("$here/kernel-package.sh" "$flavour" "$CACHE")
version=$(basename "$kernel"/lib/modules/*)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,sbin,etc,proc,sys,dev,run,tmp,csbm,"lib/modules/$version"}
cp "$(command -v busybox)" "$root/bin/busybox"

# Programs with the libraries that they are linked to.
copy_program() {
  local program
  program=$(readlink -f "$(command -v "$1")")
  cp "$program" "$root/sbin/$1"
  copy_libraries "$program"
}
copy_libraries() {
  local library
  { ldd "$1" 2>/dev/null || true; } | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p "$root${library%/*}"
    [ -e "$root$library" ] || cp -L "$library" "$root$library"
  done
}
while read -r program _; do copy_program "$program"; done < <(grep -v '^#' "$here/programs")
for name in modprobe insmod lsmod; do ln -s kmod "$root/sbin/$name"; done
# mtools converts the names of files, and glibc loads its converters at run time.
gconv=$(dirname "$(find /usr/lib -name IBM850.so -path '*/gconv/*' | head -n 1)")
mkdir -p "$root$gconv"
cp "$gconv/IBM850.so" "$root$gconv/"
printf '%s\n' 'alias CP850// IBM850//' 'alias 850// IBM850//' 'module IBM850// INTERNAL IBM850 1' 'module INTERNAL IBM850// IBM850 1' \
  >"$root$gconv/gconv-modules"

# Modules with those that they need; one call, because each reads the whole index.
listed() { awk -v kind="$1" '$1 == kind { for (i = 2; i <= NF; i++) print $i }' "$here/modules"; }
wanted() {
  listed lab
  [ "$PROFILE" = lab ] || listed full | while read -r folder; do
    [ ! -d "$kernel/lib/modules/$version/kernel/$folder" ] ||
      find "$kernel/lib/modules/$version/kernel/$folder" -name '*.ko*' -printf '%f\n' | sed 's/\.ko.*//'
  done | grep -vxFf <(listed -)
}
mapfile -t names < <(wanted | sort -u)
{ modprobe -d "$kernel" -S "$version" --show-depends -a "${names[@]}" 2>/dev/null || true; } | awk '$1 == "insmod" { print $2 }' | sort -u |
  while read -r file; do
    target=$root/${file#"$kernel"/}
    mkdir -p "${target%/*}"
    cp "$file" "$target"
  done
cp "$kernel/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$root/lib/modules/$version/"
depmod -b "$root" "$version"
if [ -n "$FIRMWARE" ]; then
  find "$root/lib/modules" -name '*.ko*' -exec modinfo -F firmware {} + | sort -u | while read -r name; do
    for file in "$FIRMWARE/$name" "$FIRMWARE/$name.xz"; do
      [ -e "$file" ] || continue
      target=$root/lib/firmware/${file#"$FIRMWARE"/}
      mkdir -p "${target%/*}"
      cp -L "$file" "$target"
    done
  done
fi

cp "$here/init" "$root/init"
cp "$here"/*.sh "$root/csbm/"
rm -f "$root"/csbm/{build-*,kernel-package,image-tiny,whole-disk}.sh
chmod 755 "$root/init" "$root"/csbm/*.sh

# No time, inode, owner or order of this machine gets into the archive.
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$OUT"
(cd "$root" && find . -mindepth 1 -print0 | sort -z | cpio --null --create --format=newc --quiet --reproducible --owner=0:0) |
  zstd -q -12 -T1 -f -o "$OUT/initrd.part"
mv "$OUT/initrd.part" "$OUT/initrd"
cp "$kernel/boot/vmlinuz-$version" "$OUT/vmlinuz.part"
mv "$OUT/vmlinuz.part" "$OUT/vmlinuz"
chmod 644 "$OUT/initrd" "$OUT/vmlinuz"

size() { awk -v bytes="$(stat -c %s "$1")" 'BEGIN { printf "%.1f MB", bytes / 1e6 }'; }
echo "ramdisk ($PROFILE, Linux $version) in $OUT: vmlinuz $(size "$OUT/vmlinuz"), initrd $(size "$OUT/initrd") of $(du -sm --apparent-size "$root" | cut -f1) MB, $(find "$root/lib/modules" -name '*.ko*' | wc -l) modules; $((SECONDS - began)) s"
sha256sum "$OUT/vmlinuz" "$OUT/initrd"
