# shellcheck shell=bash
# Builds a whole-disk image that boots under BIOS (syslinux) and UEFI (GRUB), without root, mounts or loop devices.
# whole_disk IMAGE WORK-FOLDER ROOT-TREE ROOT-LABEL ESP-MB ROOT-MB KERNEL INITRD "KERNEL ARGUMENTS"
# Needs: fdisk gdisk dosfstools mtools e2fsprogs syslinux syslinux-common grub-efi-amd64-bin grub-common.

whole_disk_packages() {
  local program package missing=()
  while read -r program package; do
    command -v "$program" >/dev/null || missing+=("$package")
  done <<'LIST'
sgdisk gdisk
mkfs.vfat dosfstools
mcopy mtools
mke2fs e2fsprogs
syslinux syslinux
grub-mkimage grub-common
zstd zstd
LIST
  [ -e /usr/lib/syslinux/mbr/gptmbr.bin ] || missing+=(syslinux-common)
  [ -d /usr/lib/grub/x86_64-efi ] || missing+=(grub-efi-amd64-bin)
  ((${#missing[@]} == 0)) || { echo "missing here: apt-get install --no-install-recommends ${missing[*]}" >&2; return 1; }
}

whole_disk() {
  local image=$1 work=$2 tree=$3 label=$4 esp_mb=$5 root_mb=$6 kernel=$7 initrd=$8 arguments=$9
  printf 'DEFAULT t\nPROMPT 0\nTIMEOUT 0\nLABEL t\n KERNEL /vmlinuz\n INITRD /initrd.img\n APPEND %s\n' "$arguments" >"$work/syslinux.cfg"
  printf 'search --no-floppy --file --set=root /vmlinuz\nlinux /vmlinuz %s\ninitrd /initrd.img\nboot\n' "$arguments" >"$work/grub.cfg"
  grub-mkimage -O x86_64-efi -o "$work/BOOTX64.EFI" -c "$work/grub.cfg" -p /EFI/BOOT part_gpt fat search search_fs_file linux normal boot
  rm -f "$work/esp.img" "$work/root.img" "$image"
  truncate -s "${esp_mb}M" "$work/esp.img"
  mkfs.vfat -i c5b00001 -n BOOT "$work/esp.img" >/dev/null
  mmd -i "$work/esp.img" ::/EFI ::/EFI/BOOT
  mcopy -i "$work/esp.img" "$kernel" ::/vmlinuz
  mcopy -i "$work/esp.img" "$initrd" ::/initrd.img
  mcopy -i "$work/esp.img" "$work/syslinux.cfg" ::/syslinux.cfg
  mcopy -i "$work/esp.img" "$work/BOOTX64.EFI" ::/EFI/BOOT/BOOTX64.EFI
  truncate -s "${root_mb}M" "$work/root.img"
  mke2fs -q -t ext4 -L "$label" -d "$tree" "$work/root.img"
  truncate -s "$((esp_mb + root_mb + 2))M" "$image"
  # Attribute 2, "legacy BIOS bootable", is what syslinux's gptmbr looks for.
  sgdisk -o -n "1:2048:+${esp_mb}M" -t 1:ef00 -c 1:esp -A 1:set:2 -n "2:0:+${root_mb}M" -t 2:8300 -c 2:root "$image" >/dev/null
  dd if="$work/esp.img" of="$image" bs=1M seek=1 conv=notrunc,sparse status=none
  dd if="$work/root.img" of="$image" bs=1M seek=$((1 + esp_mb)) conv=notrunc,sparse status=none
  syslinux --install --offset $((1024 * 1024)) "$image"
  dd if=/usr/lib/syslinux/mbr/gptmbr.bin of="$image" bs=440 count=1 conv=notrunc status=none
}
