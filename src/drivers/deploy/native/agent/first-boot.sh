# shellcheck shell=dash
# First-boot data (docs/boot-protocol.md, section 3): a small FAT file system in a partition of its own at the disk's end,
# so that nothing of the image need be understood or mounted. It is made in memory and written by its place on the disk.

SEED_BYTES=$((4 * MIB))

# Fetches the files before the disk is touched: an order that cannot be had in full is not begun.
fetch_first_boot() { # fetch_first_boot "NAME URL LINE-FEED ..."
  local file url
  mkdir -p "$CSBM_RUN/first-boot"
  printf %s "$1" >"$CSBM_RUN/first-boot.list"
  while read -r file url; do
    case $file in */* | .*) failed agent "a first-boot file must not be called $file" ;; esac
    get "$url" "$CSBM_RUN/first-boot/$file" || failed fetch "the first-boot file $file could not be had"
  done <"$CSBM_RUN/first-boot.list"
}

make_seed() { # make_seed LABEL
  local file
  seed=$CSBM_RUN/seed.img
  dd if=/dev/zero of="$seed" bs=1M count=4 2>/dev/null
  mkfs.vfat -n "$1" "$seed" >>"$LOG" 2>&1 || return 1
  while read -r file _; do
    # Without a configuration of its own mtools checks the geometry of floppies.
    MTOOLSRC=/dev/null MTOOLS_SKIP_CHECK=1 mcopy -i "$seed" "$CSBM_RUN/first-boot/$file" "::$file" >>"$LOG" 2>&1 || return 1
  done <"$CSBM_RUN/first-boot.list"
}

byte_text() { # byte_text NAME FROM BYTES
  dd if="$(device "$1")" bs=1 skip="$2" count="$3" 2>/dev/null
}

# write_first_boot NAME LABEL: the partition begins on a whole MiB, and is the last one.
write_first_boot() {
  local disk start
  make_seed "$2" || spoiled "$1" write "the first-boot files do not fit into $SEED_BYTES bytes"
  disk=$(device "$1")
  start=$((($(disk_bytes "$1") / MIB - 1 - SEED_BYTES / MIB) * MIB))
  if [ "$(byte_text "$1" 512 8)" = 'EFI PART' ]; then
    sgdisk -n "0:$((start / 512)):$(((start + SEED_BYTES) / 512 - 1))" -t 0:0700 -c "0:$2" "$disk" >>"$LOG" 2>&1 ||
      spoiled "$1" write "no partition for first-boot data could be made at the end of $1"
  elif [ "$(byte_text "$1" 510 2 | hexdump -v -e '1/1 "%02x"')" = 55aa ]; then
    echo "$((start / 512)),$((SEED_BYTES / 512)),c" | sfdisk -q --append --no-reread --no-tell-kernel "$disk" >>"$LOG" 2>&1 ||
      spoiled "$1" write "no partition for first-boot data could be made at the end of $1"
  else
    spoiled "$1" write 'the image has no partition table, so there is no place for first-boot data'
  fi
  dd if="$seed" of="$disk" bs=1M seek=$start oflag=seek_bytes conv=notrunc,fsync 2>>"$LOG" ||
    spoiled "$1" write "the first-boot data could not be written to $1"
}
