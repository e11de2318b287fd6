#!/bin/bash
# Builds the tiny test image: a whole disk of some 60 MB with Debian's cloud kernel and busybox, that boots in seconds and does
# with NoCloud data what a real system would (docs/images.md). Not for tenants.
# OUT=file (default: .run/tiny.raw.zst), CACHE=folder with unpacked kernels
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../../../../.." && pwd)
: "${OUT:=$project/.run/tiny.raw.zst}" "${CACHE:=$project/.run/kernels}"
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
umask 022
began=$SECONDS
# shellcheck source=/dev/null
. "$here/whole-disk.sh"
whole_disk_packages
kernel=$("$here/kernel-package.sh" cloud-amd64 "$CACHE")
version=$(basename "$kernel"/lib/modules/*)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ramdisk=$work/ramdisk root=$work/tree
mkdir -p "$ramdisk"/{bin,sbin,proc,sys,dev,"lib/modules/$version"} \
  "$root"/{bin,sbin,etc/acpi/PWRF,proc,sys,dev,run,tmp,var/lib/seed,usr/share/udhcpc}
cp /bin/busybox "$ramdisk/bin/"
cp /bin/busybox "$root/bin/"
for applet in $(busybox --list); do
  case $applet in busybox | init | */*) continue ;; esac
  ln -s busybox "$root/bin/$applet"
done
for module in virtio_pci virtio_net virtio_blk nvme bonding 8021q vfat nls_ascii nls_cp437 nls_iso8859_1 crc32c_generic ext4 button evdev; do
  { modprobe -d "$kernel" -S "$version" --show-depends "$module" 2>/dev/null || true; } | awk '$1 == "insmod" { print $2 }'
done | awk '!seen[$0]++' | while read -r file; do
  cp "$file" "$ramdisk/lib/modules/$version/"
  basename "$file" >>"$ramdisk/lib/modules/$version/load-order"
done
cp "$here/tiny-os/init" "$ramdisk/init"
cp "$here/tiny-os/sbin-init" "$root/sbin/init"
cp "$here/udhcpc.sh" "$root/usr/share/udhcpc/default.script"
printf '#!/bin/sh\nsync\npoweroff -f\n' >"$root/etc/acpi/PWRF/00000080"
chmod 755 "$ramdisk/init" "$root/sbin/init" "$root/usr/share/udhcpc/default.script" "$root/etc/acpi/PWRF/00000080"
(cd "$ramdisk" && find . -mindepth 1 -print0 | sort -z | cpio --null --create --format=newc --quiet --owner=0:0) | gzip -n -6 >"$work/initrd.img"

whole_disk "$work/tiny.raw" "$work" "$root" tinyroot 32 24 "$kernel/boot/vmlinuz-$version" "$work/initrd.img" 'console=ttyS0,115200 quiet panic=10'
mkdir -p "$(dirname "$OUT")"
zstd -q -9 -T0 -f "$work/tiny.raw" -o "$OUT"
echo "tiny image in $OUT: $(stat -c %s "$work/tiny.raw") bytes, $(stat -c %s "$OUT") compressed; $((SECONDS - began)) s"
