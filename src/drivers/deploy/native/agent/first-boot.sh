# shellcheck shell=dash
# First-boot data (docs/boot-protocol.md, section 3): a small FAT file system in a partition of its own at the disk's end,
# so that nothing of the image need be understood or mounted. It is made in memory and written by its place on the disk.

SEED_BYTES=$((4 * MIB))

# Fetches the files before the disk is touched: an order that cannot be had in full is not begun.
fetch_first_boot() { # fetch_first_boot "NAME URL LINE-FEED ..."
  local file url
  mkdir -p "$CSBM_RUN/first-boot"
  printf %s "$1" >"$CSBM_RUN/first-boot.list"
  set --
  while read -r file url; do
    case $file in */* | .*) failed agent "a first-boot file must not be called $file" ;; esac
    set -- "$@" -o "$CSBM_RUN/first-boot/$file" "$url"
  done <"$CSBM_RUN/first-boot.list"
  [ $# = 0 ] || get "$@" || failed fetch "the first-boot files could not be had: $(tail -n 1 "$LOG")"
}

make_seed() { # make_seed LABEL SECTOR-BYTES
  local file
  seed=$CSBM_RUN/seed.img
  dd if=/dev/zero of="$seed" bs=1M count=4 2>/dev/null
  mkfs.vfat -S "$2" -n "$1" "$seed" >>"$LOG" 2>&1 || return 1
  set --
  while read -r file _; do set -- "$@" "$CSBM_RUN/first-boot/$file"; done <"$CSBM_RUN/first-boot.list"
  # Without a configuration of its own mtools checks the geometry of floppies.
  [ $# = 0 ] || MTOOLSRC=/dev/null MTOOLS_SKIP_CHECK=1 mcopy -i "$seed" "$@" :: >>"$LOG" 2>&1
}

byte_text() { # byte_text NAME FROM BYTES
  dd if="$(device "$1")" bs=1 skip="$2" count="$3" 2>/dev/null
}

has_gpt() { # has_gpt NAME: in the second sector
  [ "$(byte_text "$1" "$(sector_bytes "$1")" 8)" = 'EFI PART' ]
}

has_mbr() { # has_mbr NAME: also a GPT has one in front
  [ "$(byte_text "$1" 510 2 | hexdump -v -e '1/1 "%02x"')" = 55aa ]
}

# sectors_fit NAME: whether the partition table there counts in the sectors that the disk has. An MBR does not tell its own: it is taken
# for one of 512 bytes, as they all are.
sectors_fit() {
  has_gpt "$1" && return
  if [ "$(sector_bytes "$1")" = 512 ]; then
    [ "$(byte_text "$1" 4096 8)" != 'EFI PART' ]
  else
    ! has_mbr "$1"
  fi
}

# The backup GPT lies where the image ended; it belongs to the end of the disk. In one call with what else is to be changed:
# sgdisk waits for a second after writing. change_gpt NAME [SGDISK-ARGUMENT...]
change_gpt() {
  local name
  name=$1
  shift
  sgdisk -e "$@" "$(device "$name")" >>"$LOG" 2>&1
}

# write_first_boot NAME LABEL: the partition begins on a whole MiB, and is the last one.
write_first_boot() {
  local disk start sector
  sector=$(sector_bytes "$1")
  make_seed "$2" "$sector" || spoiled "$1" write "the first-boot files do not fit into $SEED_BYTES bytes"
  disk=$(device "$1")
  start=$((($(disk_bytes "$1") / MIB - 1 - SEED_BYTES / MIB) * MIB))
  if has_gpt "$1"; then
    change_gpt "$1" -n "0:$((start / sector)):$(((start + SEED_BYTES) / sector - 1))" -t 0:0700 -c "0:$2" ||
      spoiled "$1" write "no partition for first-boot data could be made at the end of $1: $(tail -n 1 "$LOG")"
  elif has_mbr "$1"; then
    echo "$((start / 512)),$((SEED_BYTES / 512)),c" | sfdisk -q --append --no-reread --no-tell-kernel "$disk" >>"$LOG" 2>&1 ||
      spoiled "$1" write "no partition for first-boot data could be made at the end of $1"
  else
    spoiled "$1" write 'the image has no partition table, so there is no place for first-boot data'
  fi
  dd if="$seed" of="$disk" bs=1M seek=$start oflag=seek_bytes conv=notrunc,fsync 2>>"$LOG" ||
    spoiled "$1" write "the first-boot data could not be written to $1"
}
