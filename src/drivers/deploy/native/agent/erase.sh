# shellcheck shell=dash
# Erase (docs/boot-protocol.md, sections 3 and 4): every writable local disk, all at once, each read back afterwards. The
# report says what was really done; the service judges it.

SAMPLES=64
SAMPLE_BYTES=4096
ZEROES=$CSBM_RUN/zeroes

overwrite() { # overwrite NAME
  local bytes
  bytes=$(disk_bytes "$1")
  "$DD" if=/dev/zero of="$(device "$1")" bs=4M count="$bytes" iflag=count_bytes conv=notrunc,fsync 2>>"$LOG" &
  watch "$1" "$bytes" $!
  wait $!
}

signatures_left() {
  { for entry in "$1" $(partitions "$1"); do wipefs --no-act --noheadings -O TYPE "$(device "$entry")" 2>>"$LOG"; done; } | grep -c .
}

# Places spread evenly over the disk, its first and last bytes among them, that do not read as zeroes.
dirty_samples() {
  local bytes stride dirty sample at
  bytes=$(disk_bytes "$1")
  stride=$(((bytes - SAMPLE_BYTES) / (SAMPLES - 1) / 512 * 512))
  dirty=0 sample=0
  while [ $sample -lt $SAMPLES ]; do
    at=$((sample * stride))
    [ $sample -lt $((SAMPLES - 1)) ] || at=$((bytes - SAMPLE_BYTES))
    # An unreadable place counts as dirty.
    dd if="$(device "$1")" bs=$SAMPLE_BYTES count=1 skip=$at iflag=skip_bytes 2>/dev/null | cmp -s - "$ZEROES" ||
      dirty=$((dirty + 1))
    sample=$((sample + 1))
  done
  echo $dirty
}

# erase_disk NAME GRADE: writes its part of the report to $CSBM_RUN/erased.NAME.
erase_disk() {
  local began ability capable grade method
  began=$(now)
  ability=none capable=false grade=$2 method=
  if [ "$2" = secure ]; then
    grade=full
    ability=$(secure_ability "$1")
    case $ability in
      nvme | ata)
        capable=true
        if method=$(secure_erase "$1" "$ability"); then
          grade=secure
          reread "$1"
          # Some disks read back noise after their own erase; that proves nothing, so zeroes are written over it.
          if [ "$(dirty_samples "$1")" != 0 ]; then
            overwrite "$1" || grade=none
            method=$method+overwrite-zero
          fi
        else
          say "the secure erase of $1 failed; overwriting it"
          overwrite "$1" || grade=none
          method=overwrite-zero
        fi
        ;;
      *)
        overwrite "$1" || grade=none
        method="overwrite-zero ($ability)"
        ;;
    esac
  elif [ "$2" = full ]; then
    overwrite "$1" || grade=none
    method=overwrite-zero
  else
    blank "$1" || grade=none
    method=wipe-ends
  fi
  [ "$grade" != none ] || return 1
  reread "$1"
  jq -nc --arg name "$1" --arg serial "$(disk_serial "$1")" --argjson bytes "$(disk_bytes "$1")" --arg grade "$grade" \
    --arg method "$method" --argjson capable $capable --argjson left "$(signatures_left "$1")" --argjson samples $SAMPLES \
    --argjson dirty "$(dirty_samples "$1")" --argjson seconds $(($(now) - began)) \
    '{name: $name, serial: $serial, bytes: $bytes, grade: $grade, method: $method, secureCapable: $capable,
      signaturesLeft: $left, samples: $samples, dirtySamples: $dirty, seconds: $seconds}' >"$CSBM_RUN/erased.part.$1"
  mv "$CSBM_RUN/erased.part.$1" "$CSBM_RUN/erased.$1"
}

missing_disks() {
  order '.disks[] | .name + "\t" + .serial' | while IFS="$TAB" read -r name serial; do
    find_disk "$name" "$serial" >/dev/null || echo "$name${serial:+ (serial $serial)}"
  done | tr '\n' ' '
}

erase() {
  local grade missing disks disk running broken entry
  grade=$(order .grade)
  case $grade in quick | full | secure) ;; *) failed agent "this ramdisk knows no erase of grade $grade" ;; esac
  missing=$(missing_disks)
  [ -z "$missing" ] || failed disk-missing "not there: $missing; there are: $(local_disks | tr '\n' ' ')"
  disks=$(writable_disks)
  activity "erasing $(echo "$disks" | tr '\n' ' ')($grade)"
  rm -f "$CSBM_RUN"/erased.*
  dd if=/dev/zero of="$ZEROES" bs=$SAMPLE_BYTES count=1 2>/dev/null
  running=
  for disk in $disks; do
    (erase_disk "$disk" "$grade") &
    running="$running $disk:$!"
  done
  broken=
  for entry in $running; do
    wait "${entry#*:}" || broken="$broken ${entry%:*}"
  done
  [ -z "$broken" ] || failed erase "could not be erased:$broken: $(tail -n 1 "$LOG")"
  { for disk in $disks; do cat "$CSBM_RUN/erased.$disk"; done; } | jq -sc '{disks: .}' >"$CSBM_RUN/erase.json"
  done_with erase "$CSBM_RUN/erase.json"
}
