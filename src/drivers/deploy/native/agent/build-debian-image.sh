#!/bin/bash
# Builds a whole-disk image of Debian with cloud-init, netplan and an SSH server, for BIOS and UEFI (docs/images.md). Needs
# root, because a tree of files with many owners is unpacked; takes some minutes and 3 GB below TMPDIR (default: /var/tmp).
# OUT=file (default: .run/debian.raw.zst), RELEASE=bookworm, PACKAGES=comma-separated list of more packages,
# ROOT_TAR=file keeps the root tree for the next time
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../../../../.." && pwd)
: "${OUT:=$project/.run/debian.raw.zst}" "${RELEASE:=bookworm}" "${PACKAGES:=}" "${ROOT_TAR:=}"
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
umask 022
began=$SECONDS
[ "$(id -u)" = 0 ] || { echo 'building a Debian image needs root' >&2; exit 1; }
command -v mmdebstrap >/dev/null || { echo 'missing here: apt-get install --no-install-recommends mmdebstrap' >&2; exit 1; }
# shellcheck source=/dev/null
. "$here/whole-disk.sh"
whole_disk_packages
work=$(mktemp -d -p "${TMPDIR:-/var/tmp}")
trap 'rm -rf "$work"' EXIT
tar=${ROOT_TAR:-$work/root.tar}

# linux-image-amd64 and not the cloud kernel, which has no drivers for hardware; efibootmgr is not needed: the image boots by
# the fall-back path EFI/BOOT.
[ -e "$tar" ] || mmdebstrap --variant=minbase --aptopt='Apt::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --include="linux-image-amd64,initramfs-tools,cloud-init,netplan.io,systemd-sysv,systemd-resolved,udev,dbus,iproute2,kmod,cloud-guest-utils,e2fsprogs,zstd,openssh-server,sudo,acpid${PACKAGES:+,$PACKAGES}" \
  "$RELEASE" "$tar"
mkdir "$work/tree"
tar -C "$work/tree" -xf "$tar"
printf 'LABEL=debroot / ext4 errors=remount-ro 0 1\n' >"$work/tree/etc/fstab"
# Every machine gets its own at the first boot; nothing is left of the machine that this is built on, and of how.
: >"$work/tree/etc/machine-id"
echo debian >"$work/tree/etc/hostname"
rm -f "$work"/tree/etc/ssh/ssh_host_* "$work"/tree/etc/{apt/apt.conf.d,dpkg/dpkg.cfg.d}/99mmdebstrap
cat >"$work/tree/etc/cloud/cloud.cfg.d/90-csbm.cfg" <<'C'
datasource_list: [ NoCloud, ConfigDrive, None ]
# There are no locales but C.UTF-8 in the image.
locale: "false"
system_info: { network: { renderers: [ netplan, networkd ] } }
C
version=$(basename "$work"/tree/lib/modules/*)
size=$(du -sm "$work/tree" | cut -f1)
whole_disk "$work/debian.raw" "$work" "$work/tree" debroot 128 $((size * 5 / 4 + 128)) \
  "$work/tree/boot/vmlinuz-$version" "$work/tree/boot/initrd.img-$version" 'root=LABEL=debroot ro console=tty0 console=ttyS0,115200'
mkdir -p "$(dirname "$OUT")"
zstd -q -9 -T0 -f "$work/debian.raw" -o "$OUT"
echo "Debian image in $OUT: $(stat -c %s "$work/debian.raw") bytes, $(stat -c %s "$OUT") compressed; $((SECONDS - began)) s"
