#!/bin/sh
# A machine as the boot service sees it, in sh, curl and jq: iPXE's two requests, then the ramdisk agent's conversation.
# Usage: fake-agent.sh BASE MAC DIR
#   DIR/disks/NAME is a disk, DIR/disks/NAME.serial its serial. First-boot files end up in DIR/seed, what happened in DIR/log.
#   RATE limits the image transfer, as curl's --limit-rate takes it.
set -u
base=$1 mac=$2 dir=$3
mkdir -p "$dir/seed"
say() { echo "$*" >>"$dir/log"; }
die() { say "gave up: $*"; exit 1; }

# Repeats a call that got no answer or a 5xx; a 4xx ends the conversation. The body goes to $1, the status to $status.
call() {
  out=$1; shift
  tries=0
  while :; do
    status=$(curl -sS -o "$out" -w '%{http_code}' "$@" 2>>"$dir/curl.err") || status=000
    case $status in
      2*) return 0 ;;
      4*) say "refused $status: $(cat "$out")"; return 1 ;;
    esac
    tries=$((tries + 1)); [ $tries -lt 300 ] || return 1
    sleep 0.1
  done
}
agent() { path=$1; shift; call "$dir/answer" -H "Authorization: Bearer $token" "$@" "$base/boot/v1/agent/$path"; }
post() { agent "$1" -X POST --data-binary @-; }
size() { wc -c <"$1" | tr -d ' '; }

call "$dir/boot.ipxe" "$base/boot.ipxe" || die boot.ipxe
url=$(sed -n 's/^chain --replace \([^ ]*\).*/\1/p' "$dir/boot.ipxe" | sed "s/\${netX\/mac:hexhyp}/$(echo "$mac" | tr : -)/; s/\${platform}/pcbios/; s/\${buildarch}/i386/; s/\${uuid}/u-1/; s/\${serial:uristring}/M%201/")
call "$dir/script.ipxe" "$url" || die script
token=$(sed -n 's/^kernel .*csbm.token=\([^ ]*\).*/\1/p' "$dir/script.ipxe")
if [ -z "$token" ]; then say "no order: $(sed -n 's/^echo csbm: //p' "$dir/script.ipxe")"; exit 0; fi
kernel=$(sed -n 's/^kernel \([^ ]*\).*/\1/p' "$dir/script.ipxe")
initrd=$(sed -n 's/^initrd --name initrd \([^ ]*\).*/\1/p' "$dir/script.ipxe")
call "$dir/vmlinuz" "$kernel" || die vmlinuz
call "$dir/initrd" "$initrd" || die initrd

agent order || die order
cp "$dir/answer" "$dir/order.json"
q() { jq -r "$1" "$dir/order.json"; }
say "order $(q .phase)"

result() { post result; say "result $status $(cat "$dir/answer")"; }
failed() { jq -nc --arg code "$1" --arg said "$2" '{ok: false, error: {code: $code, said: $said}}' | result; exit 0; }

inventory() {
  disks='[]'
  for d in "$dir"/disks/*; do
    case $d in *.serial) continue ;; esac
    disks=$(echo "$disks" | jq -c --arg name "${d##*/}" --arg serial "$(cat "$d.serial")" --argjson bytes "$(size "$d")" \
      '. + [{name: $name, model: "", serial: $serial, bytes: $bytes, rotational: false, removable: false, readOnly: false}]')
  done
  jq -nc --arg mac "$mac" --argjson disks "$disks" '{ok: true, inventory: {cpus: 2, memoryBytes: 1073741824,
    architecture: "x86_64", firmware: "legacy", product: "sh", serial: "M 1",
    nics: [{name: "eth0", mac: $mac, linkUp: true, speedMbps: -1, neighbour: null}], disks: $disks}}' | result
}

deploy() {
  disk=$(q .rootDisk.name)
  [ "$(cat "$dir/disks/$disk.serial")" = "$(q .rootDisk.serial)" ] || failed no-disk "no such disk"
  echo '{"activity": "fetching the image", "percent": 0}' | post progress || die progress
  # What is there already is not fetched again: -C - asks for the rest by Range.
  until [ "$(size "$dir/image" 2>/dev/null || echo 0)" = "$(q .image.storedBytes)" ]; do
    code=$(curl -sS -f -C - ${RATE:+--limit-rate $RATE} -o "$dir/image" -w '%{http_code}' -H "Authorization: Bearer $token" "$(q .image.url)" 2>>"$dir/curl.err")
    say "image $code $(size "$dir/image")"
    case $code in 4*) failed fetch "HTTP $code" ;; esac
    sleep 0.1
  done
  sum=$(sha256sum "$dir/image" | cut -d' ' -f1)
  [ "$sum" = "$(q .image.sha256)" ] || failed checksum "got $sum want $(q .image.sha256)"
  case $(q .image.encoding) in zstd) unpack='zstd -dcq' ;; gzip) unpack='gzip -dc' ;; *) unpack=cat ;; esac
  $unpack "$dir/image" >"$dir/raw" || failed write "cannot unpack"
  dd if="$dir/raw" of="$dir/disks/$disk" conv=notrunc 2>/dev/null || failed write dd
  echo '{"activity": "image written", "percent": 100}' | post progress || die progress
  for name in $(q '.firstBoot.files[].name'); do
    call "$dir/seed/$name" -H "Authorization: Bearer $token" "$(q ".firstBoot.files[] | select(.name == \"$name\").url")" || failed fetch "$name"
  done
  echo "wrote $disk with $token" | post log || die log
  jq -nc --arg disk "$disk" --arg serial "$(q .rootDisk.serial)" --arg sum "$sum" --argjson raw "$(size "$dir/raw")" \
    '{ok: true, deploy: {disk: $disk, serial: $serial, sha256: $sum, rawBytes: $raw, seconds: 1}}' | result
}

erase() {
  disks='[]'
  for d in "$dir"/disks/*; do
    case $d in *.serial) continue ;; esac
    echo "{\"activity\": \"erasing ${d##*/}\", \"percent\": null}" | post progress || die progress
    bytes=$(size "$d")
    dd if=/dev/zero of="$d" bs="$bytes" count=1 conv=notrunc 2>/dev/null
    dirty=$(tr -d '\0' <"$d" | head -c 1 | wc -c | tr -d ' ')
    disks=$(echo "$disks" | jq -c --arg name "${d##*/}" --arg serial "$(cat "$d.serial")" --argjson bytes "$bytes" --argjson dirty "$dirty" \
      '. + [{name: $name, serial: $serial, bytes: $bytes, grade: "full", method: "overwrite-zero", secureCapable: false,
             signaturesLeft: 0, samples: 1, dirtySamples: $dirty, seconds: 0}]')
  done
  jq -nc --argjson disks "$disks" '{ok: true, erase: {disks: $disks}}' | result
}

case $(q .phase) in
  commission) inventory ;;
  deploy) deploy ;;
  erase) erase ;;
esac
say "then $(jq -r .then "$dir/answer")"
