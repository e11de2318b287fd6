# shellcheck shell=dash
# Deploy (docs/boot-protocol.md, section 3): the stored image flows from the service through the decompressor to the root
# disk, hashed on the way; nothing is kept in between.

# Writes the stored image to standard output. A broken transfer goes on from the byte it has; the reader never notices.
fetch_image() { # fetch_image URL STORED-BYTES
  local have until_when ended status got
  have=0
  until_when=$(($(now) + CSBM_RETRY_FOR))
  while [ $have -lt "$2" ]; do
    # -C refuses an answer that is not the wanted range. A stall is ended by us no later than by the service.
    curl -sS -f -C $have --connect-timeout 10 --speed-limit 1 --speed-time 120 -H "@$HEADERS" \
      -w '%{stderr}%{http_code} %{size_download}\n' "$1" 2>"$CSBM_RUN/fetch.said"
    ended=$?
    read -r status got <<EOF
$(sed -n 's/^\([0-9][0-9][0-9] [0-9][0-9]*\)$/\1/p' "$CSBM_RUN/fetch.said")
EOF
    case $status in
      4??) echo "HTTP $status for the image from byte $have" >"$CSBM_RUN/fetch.failed"; return 1 ;;
      206 | 200) have=$((have + got)) ;;
      *) got=0 ;;
    esac
    # 23: nobody reads on, because the disk refused. 33: the service sent something else than the wanted range.
    [ $ended != 23 ] || return 1
    [ $ended != 33 ] || { echo "the service did not continue the image at byte $have" >"$CSBM_RUN/fetch.failed"; return 1; }
    [ $have -lt "$2" ] || break
    [ "$got" = 0 ] || until_when=$(($(now) + CSBM_RETRY_FOR))
    say "image broken off at byte $have of $2: $(head -n 1 "$CSBM_RUN/fetch.said")"
    if [ "$(now)" -ge $until_when ]; then
      echo "the image broke off at byte $have and the service did not come back" >"$CSBM_RUN/fetch.failed"
      return 1
    fi
    sleep "$CSBM_RETRY_PAUSE"
  done
}

# Becomes the decompressor. Each writes whole pages, so the kernel never reads the disk to complete one.
unpack() {
  case $1 in
    zstd) exec zstd -dcq --no-sparse ;;
    gzip) exec "$CSBM_BIN/gzip" -dc ;;
    raw) exec "$DD" bs=4M iflag=fullblock ;;
  esac
}

# An image that is not whole must neither boot nor look like a system (section 3).
spoiled() { # spoiled NAME CODE TEXT
  blank "$1" || say "$1 could not be blanked"
  failed "$2" "$3"
}

# write_image NAME URL STORED-BYTES RAW-BYTES ENCODING: leaves the digest in $CSBM_RUN/sum, the bytes in $written.
write_image() {
  local hashing
  rm -f "$CSBM_RUN/wire" "$CSBM_RUN/unpack.failed" "$CSBM_RUN/fetch.failed"
  # Until the opposite is known.
  : >"$CSBM_RUN/write.failed"
  mkfifo "$CSBM_RUN/wire"
  "$SHA256SUM" <"$CSBM_RUN/wire" >"$CSBM_RUN/sum" &
  hashing=$!
  # The decompressor has the disk as its output: one more pipe for what is unpacked is felt. What runs in the background loses
  # its standard input unless it is given by another number.
  fetch_image "$2" "$3" | "$TEE" "$CSBM_RUN/wire" | {
    exec 3<&0 4<>"$(device "$1")"
    (unpack "$5") <&3 >&4 2>"$CSBM_RUN/unpack.said" &
    watch image "$4" $!
    if wait $!; then
      "$DD" if=/dev/null conv=fsync >&4 2>"$CSBM_RUN/unpack.said" && rm "$CSBM_RUN/write.failed"
    elif ! grep -q 'stdout\|standard output\|[Ww]rite error' "$CSBM_RUN/unpack.said"; then
      # Not the disk: the rest is still hashed, to tell a damaged transfer from a bad image.
      mv "$CSBM_RUN/write.failed" "$CSBM_RUN/unpack.failed"
      cat <&3 >/dev/null
    fi
    sed -n 's/^pos:[^0-9]*//p' /proc/self/fdinfo/4 >"$CSBM_RUN/written"
  }
  wait $hashing
  read -r written <"$CSBM_RUN/written"
}

deploy() {
  local began url encoding want stored raw name serial label files disk need sum
  began=$(now)
  eval "$(tail -n +2 "$CSBM_RUN/order.facts")"
  case $encoding in
    raw | gzip) ;;
    zstd) command -v zstd >/dev/null || failed agent 'this ramdisk has no zstd' ;;
    *) failed agent "this ramdisk cannot unpack $encoding" ;;
  esac
  disk=$(find_disk "$name" "$serial") || failed no-disk "there is no disk $name${serial:+ with serial $serial}; there are: $(local_disks | tr '\n' ' ')"
  [ "$(sys_text "$CSBM_SYS/block/$disk/ro")" != 1 ] || failed no-disk "the disk $disk is read-only"
  need=$raw
  # Behind the image: the partition, rounded to whole MiB, and the backup GPT.
  [ -z "$label" ] || need=$((raw + SEED_BYTES + 2 * MIB))
  [ "$(disk_bytes "$disk")" -ge "$need" ] || failed no-disk "the disk $disk has $(disk_bytes "$disk") bytes, but $need are needed"
  if [ -n "$label" ]; then
    activity 'fetching the first-boot data'
    fetch_first_boot "$files"
  fi

  # Before anything else is done to the disk: if this install is cut, the last owner's system must not come up.
  activity "preparing $disk"
  echo "$disk" >"$CSBM_RUN/root-disk"
  blank "$disk" || failed write "the disk $disk cannot be written: $(tail -n 1 "$LOG")"
  activity "writing the image to $disk"
  write_image "$disk" "$url" "$stored" "$raw" "$encoding"

  [ ! -e "$CSBM_RUN/write.failed" ] || spoiled "$disk" write "the disk $disk: $(grep -m 1 . "$CSBM_RUN/unpack.said")"
  [ ! -e "$CSBM_RUN/fetch.failed" ] || spoiled "$disk" fetch "$(cat "$CSBM_RUN/fetch.failed")"
  read -r sum _ <"$CSBM_RUN/sum"
  [ "$sum" = "$want" ] || spoiled "$disk" checksum "expected $want, got $sum"
  [ ! -e "$CSBM_RUN/unpack.failed" ] || spoiled "$disk" write "the image could not be unpacked: $(grep -m 1 . "$CSBM_RUN/unpack.said")"
  [ "$written" = "$raw" ] || spoiled "$disk" write "$written bytes were written, but the image has $raw"
  sectors_fit "$disk" || spoiled "$disk" no-disk "the image is made for other sectors than those of $disk, which has sectors of $(sector_bytes "$disk") bytes"

  if [ -n "$label" ]; then
    activity 'writing the first-boot data'
    write_first_boot "$disk" "$label"
  elif has_gpt "$disk"; then
    change_gpt "$disk" || spoiled "$disk" write "the backup GPT of $disk could not be moved: $(tail -n 1 "$LOG")"
  fi
  reread "$disk"
  sync
  printf '{"disk":%s,"serial":%s,"sha256":"%s","rawBytes":%s,"seconds":%s}\n' "$(json_text "$disk")" \
    "$(json_text "$(disk_serial "$disk")")" "$sum" "$written" $(($(now) - began)) >"$CSBM_RUN/deploy.json"
  rm -f "$CSBM_RUN/root-disk"
  done_with deploy "$CSBM_RUN/deploy.json"
}
