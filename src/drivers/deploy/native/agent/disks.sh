# shellcheck shell=dash
# Disks as the kernel shows them in /sys/block, and the few things that every phase does to one.

MIB=1048576

sys_text() { # the first line of a /sys file without blanks around it; empty when it is not there
  local text
  text=
  # It drops zero bytes and the blanks, and starts no program: this is asked for often.
  [ ! -r "$1" ] || read -r text <"$1" 2>/dev/null
  printf '%s\n' "$text"
}

# Names of the local disks that have a medium. A LUN of a storage network belongs to somebody else: an erase must never see it.
local_disks() {
  local entry name
  for entry in "$CSBM_SYS"/block/*; do
    name=${entry##*/}
    case $name in
      '*' | loop* | ram* | zram* | sr* | fd* | dm-* | md* | nbd* | mtdblock*) continue ;;
    esac
    case $(readlink -f "$entry") in
      */rport-* | */session[0-9]* | */nvme-fabrics/*) continue ;;
    esac
    [ "$(sys_text "$entry/hidden")" != 1 ] || continue
    [ "$(disk_bytes "$name")" -gt 0 ] || continue
    echo "$name"
  done
}

writable_disks() {
  local name
  for name in $(local_disks); do
    [ "$(sys_text "$CSBM_SYS/block/$name/ro")" = 1 ] || echo "$name"
  done
}

disk_bytes() {
  local size
  size=$(sys_text "$CSBM_SYS/block/$1/size")
  echo $((${size:-0} * 512))
}

# Bytes of a logical sector: partition tables count in these.
sector_bytes() {
  local bytes
  bytes=$(sys_text "$CSBM_SYS/block/$1/queue/logical_block_size")
  echo "${bytes:-512}"
}

disk_serial() {
  local entry file serial
  entry=$CSBM_SYS/block/$1
  for file in "$entry/serial" "$entry/device/serial"; do
    serial=$(sys_text "$file")
    [ -z "$serial" ] || { echo "$serial"; return; }
  done
  # SCSI and SATA: the unit serial number page (SPC, VPD page 80h), behind a header of four bytes.
  [ ! -r "$entry/device/vpd_pg80" ] ||
    tail -c +5 "$entry/device/vpd_pg80" | tr -cd '\040-\176' | sed 's/^ *//; s/ *$//'
}

device() {
  echo "$CSBM_DEV/$1"
}

# Partitions by what the kernel says, not by a pattern over /dev: sda* would also match sdaa.
partitions() {
  local file part
  for file in "$CSBM_SYS/block/$1/$1"*/partition; do
    [ -e "$file" ] || continue
    part=${file%/partition}
    echo "${part##*/}"
  done
}

# find_disk NAME SERIAL: prints the name it has now. By serial, or by name where the disk has none (boot protocol,
# section 3). Namespaces of one NVMe device share a serial: then the name decides among them.
find_disk() {
  local found candidate
  found=
  for candidate in $(local_disks); do
    [ "$(disk_serial "$candidate")" = "$2" ] || continue
    if [ "$candidate" = "$1" ]; then
      echo "$candidate"
      return 0
    fi
    [ -n "$2" ] || continue
    [ -z "$found" ] || return 1
    found=$candidate
  done
  [ -n "$found" ] && echo "$found"
}

# zero NAME FROM BYTES: all that is written here is on the disk when this returns.
zero() {
  dd if=/dev/zero of="$(device "$1")" bs=4M count="$3" seek="$2" iflag=count_bytes oflag=seek_bytes conv=notrunc,fsync 2>>"$LOG"
}

# How much of each end is zeroed to make a disk look empty: what boots and describes a disk lies there.
end_bytes() {
  local bytes part
  bytes=$(disk_bytes "$1")
  part=$((bytes / 4 / 512 * 512))
  [ $part -le $((8 * MIB)) ] && echo $part || echo $((8 * MIB))
}

reread() { # makes the next reading come from the device, and the kernel forget partitions that are gone
  blockdev --flushbufs "$(device "$1")" 2>/dev/null
  blockdev --rereadpt "$(device "$1")" 2>/dev/null
  :
}

# Leaves a disk without any signature: those of partitions first, while the kernel still shows them.
blank() {
  local ends part
  ends=$(end_bytes "$1")
  for part in $(partitions "$1"); do
    wipefs -afq "$(device "$part")" >>"$LOG" 2>&1
  done
  wipefs -afq "$(device "$1")" >>"$LOG" 2>&1
  # A hint only: what a discarded block reads as is the device's choice.
  blkdiscard -f "$(device "$1")" >/dev/null 2>&1
  zero "$1" 0 "$ends" && zero "$1" $(($(disk_bytes "$1") - ends)) "$ends" || return 1
  reread "$1"
}
