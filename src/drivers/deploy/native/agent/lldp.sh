# shellcheck shell=dash
# Which switch port a NIC hangs on, as the switch announces it (IEEE 802.1AB). Everything that comes in is recorded raw for a
# while and searched for such a frame; nothing is sent.

lldp_record() { # lldp_record NIC FILE: until it is ended
  exec socat -u "INTERFACE:$1" "OPEN:$2,creat,append" 2>/dev/null
}

# Listens on every NIC with a carrier at once, until each heard its neighbour or the time is over.
lldp_listen() {
  local listening recorders recorder nic end rest
  [ "$CSBM_LLDP" -gt 0 ] || return 0
  listening='' recorders=''
  for nic in $(nics); do
    [ "$(cat "$CSBM_SYS/class/net/$nic/carrier" 2>/dev/null)" = 1 ] || continue
    # LLDP goes to a group address, which a NIC drops unless it is told.
    ifconfig "$nic" allmulti 2>/dev/null
    lldp_record "$nic" "$CSBM_RUN/lldp.$nic" &
    recorders="$recorders $!" listening="$listening $nic"
  done
  end=$(($(now) + CSBM_LLDP))
  while [ -n "$listening" ] && [ "$(now)" -lt $end ]; do
    sleep 1
    rest=''
    for nic in $listening; do [ -n "$(lldp_offset "$nic")" ] || rest="$rest $nic"; done
    listening=$rest
  done
  for recorder in $recorders; do kill "$recorder" 2>/dev/null; done
  :
}

# Where in the record the first announcement's content begins: behind a header to 01:80:c2:00:00:0e of type 88cc, with a
# chassis in front. Zeroes and line feeds are made dots first, which are as many bytes and no trouble for awk.
lldp_offset() {
  [ -s "$CSBM_RUN/lldp.$1" ] || return 0
  tr '\0\n' '..' <"$CSBM_RUN/lldp.$1" |
    awk 'match($0, /\001\200\302\.\.\016......\210\314\002/) { print RSTART + 14 }'
}

# Prints "SWITCH PORT": the system's name (TLV 5), or the chassis (1), and the port (2).
lldp_neighbour() {
  local offset
  offset=$(lldp_offset "$1")
  [ -n "$offset" ] || return 0
  tail -c "+$offset" "$CSBM_RUN/lldp.$1" | head -c 1500 | hexdump -v -e '1/1 "%02x"' |
    awk '
      function value(digit) { return index("0123456789abcdef", digit) - 1 }
      function octet(at) { return value(substr($0, at, 1)) * 16 + value(substr($0, at + 1, 1)) }
      function text(at, count,    i, made) {
        for (i = 0; i < count; i++) made = made sprintf("%c", octet(at + 2 * i))
        return made
      }
      function mac(at,    i, made) {
        for (i = 0; i < 6; i++) made = made (i ? ":" : "") substr($0, at + 2 * i, 2)
        return made
      }
      {
        for (at = 1; at + 3 <= length($0); at += 4 + 2 * size) {
          head = octet(at) * 256 + octet(at + 2); type = int(head / 512); size = head % 512
          if (type == 0) break
          body = at + 4; subtype = octet(body)
          if (type == 1) chassis = subtype == 4 && size == 7 ? mac(body + 2) : text(body + 2, size - 1)
          if (type == 2) port = subtype == 3 && size == 7 ? mac(body + 2) : text(body + 2, size - 1)
          if (type == 5) name = text(body, size)
        }
        if (port != "") print (name != "" ? name : chassis) " " port
      }' | tr -cd '\040-\176'
}
