# shellcheck shell=dash
# The inventory (docs/boot-protocol.md, section 4). Facts are printed as lines of tab-separated fields and made JSON in one
# go: a process per field is slow on a machine that is emulated.

TAB=$(printf '\t')
row() { # row FIELD...
  local line field
  line=$1
  shift
  for field in "$@"; do line="$line$TAB$(printf %s "$field" | tr '\t\n' '  ')"; done
  printf '%s\n' "$line"
}

nics() {
  local entry
  for entry in "$CSBM_SYS"/class/net/*; do
    # What has no device is no hardware; type 1 is Ethernet (ARPHRD_ETHER).
    [ -e "$entry/device" ] && [ "$(sys_text "$entry/type")" = 1 ] && echo "${entry##*/}"
  done
}

nic_rows() {
  local nic entry
  for nic in $(nics); do
    entry=$CSBM_SYS/class/net/$nic
    row nic "$nic" "$(sys_text "$entry/address")" "$(cat "$entry/carrier" 2>/dev/null)" \
      "$(cat "$entry/speed" 2>/dev/null)" "$(lldp_neighbour "$nic")"
  done
}

disk_rows() {
  local disk entry model
  for disk in $(local_disks); do
    entry=$CSBM_SYS/block/$disk
    model=$(sys_text "$entry/device/model")
    [ -n "$model" ] || model=$(sys_text "$entry/device/name")
    row disk "$disk" "$model" "$(disk_serial "$disk")" "$(disk_bytes "$disk")" \
      "$(sys_text "$entry/queue/rotational")" "$(sys_text "$entry/removable")" "$(sys_text "$entry/ro")"
  done
}

machine_row() {
  local firmware
  firmware=legacy
  [ ! -d "$CSBM_SYS/firmware/efi" ] || firmware=efi
  row machine "$(grep -c '^processor' "$CSBM_PROC/cpuinfo")" "$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' "$CSBM_PROC/meminfo")" \
    "$(uname -m)" "$firmware" "$(sys_text "$CSBM_SYS/class/dmi/id/product_name")" "$(sys_text "$CSBM_SYS/class/dmi/id/product_serial")"
}

inventory() {
  { machine_row; nic_rows; disk_rows; } | jq -Rn '
    [inputs | split("\t")] as $rows
    | ($rows[] | select(.[0] == "machine")) as $m
    | { cpus: ($m[1] | tonumber? // 0), memoryBytes: ((($m[2] | tonumber?) // 0) * 1024), architecture: $m[3],
        firmware: $m[4], product: $m[5], serial: $m[6],
        nics: [$rows[] | select(.[0] == "nic")
          | { name: .[1], mac: .[2], linkUp: (.[3] == "1"),
              speedMbps: ((.[4] | tonumber?) // null | if . != null and . > 0 then . else null end),
              neighbour: (if .[5] == "" then null else .[5] end) }],
        disks: [$rows[] | select(.[0] == "disk")
          | { name: .[1], model: .[2], serial: .[3], bytes: (.[4] | tonumber), rotational: (.[5] == "1"),
              removable: (.[6] == "1"), readOnly: (.[7] == "1") }] }'
}

commission() {
  activity 'reading the inventory'
  lldp_listen
  inventory >"$CSBM_RUN/inventory.json" || failed agent 'the inventory could not be read'
  done_with inventory "$CSBM_RUN/inventory.json"
}
