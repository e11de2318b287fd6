#!/bin/bash
# rack.sh up|down: the network of the end-to-end test, its BMC and its virtual router. E2E_DIR and E2E_ID name this run.
#
#   tor   Open vSwitch (userspace datapath), bridge `tor`: n1p1, n1p2 = the machine's NICs, up0 = uplink to bridge `core`;
#         `core` is the backbone, which csbm never touches: prov (VLAN 100), vr0 (200), vr1 (201), other (300)
#   prov  the service, its dnsmasq, the BMC;  vr  CloudStack's virtual router;  other  another tenant
#
# Every process runs in one of the namespaces, and dies with them.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${E2E_DIR:?}" "${E2E_ID:?}"
tor=$E2E_ID-tor prov=$E2E_ID-prov vr=$E2E_ID-vr other=$E2E_ID-other
export OVS_RUNDIR=$E2E_DIR/ovs
ovs() { ovs-vsctl --db="unix:$OVS_RUNDIR/db.sock" --timeout=20 "$@"; }

leg() { # leg NAMESPACE INTERFACE VLAN ADDRESS: a place on the backbone
  ip link add "$2" netns "$1" type veth peer name "c-$2" netns "$tor"
  # The userspace datapath forwards checksums as they are, and the kernel leaves them half made.
  ip netns exec "$1" ethtool -K "$2" tx off rx off >/dev/null
  ip -n "$tor" link set "c-$2" up
  ip -n "$1" addr add "$4" dev "$2"
  ip -n "$1" link set "$2" up
  ovs add-port core "c-$2" "tag=$3"
}

up() {
  mkdir -p "$OVS_RUNDIR" "$E2E_DIR/vr" "$E2E_DIR/bmc"
  for namespace in "$tor" "$prov" "$vr" "$other"; do
    ip netns add "$namespace"
    ip -n "$namespace" link set lo up
  done
  ovsdb-tool create "$OVS_RUNDIR/conf.db" /usr/share/openvswitch/vswitch.ovsschema
  ip netns exec "$tor" ovsdb-server "$OVS_RUNDIR/conf.db" --remote="punix:$OVS_RUNDIR/db.sock" --pidfile="$OVS_RUNDIR/ovsdb.pid" \
    --log-file="$OVS_RUNDIR/ovsdb.log" --unixctl="$OVS_RUNDIR/ovsdb.ctl" --detach --no-chdir 2>/dev/null
  ovs --no-wait init
  ip netns exec "$tor" ovs-vswitchd "unix:$OVS_RUNDIR/db.sock" --pidfile="$OVS_RUNDIR/vswitchd.pid" \
    --log-file="$OVS_RUNDIR/vswitchd.log" --unixctl="$OVS_RUNDIR/vswitchd.ctl" --detach --no-chdir 2>/dev/null
  for bridge in tor core; do ovs add-br $bridge -- set bridge $bridge datapath_type=netdev; done
  for port in n1p1 n1p2; do
    ip -n "$tor" tuntap add $port mode tap
    ip -n "$tor" link set $port up
    ovs add-port tor $port tag=100 -- set interface $port lldp:enable=true
  done
  # The uplink already carries the provisioning VLAN; the tenants' VLANs are csbm's work.
  ovs add-port tor up0 vlan_mode=trunk trunks=100 -- set interface up0 type=patch options:peer=down0
  ovs add-port core down0 -- set interface down0 type=patch options:peer=up0
  leg "$prov" pxe0 100 10.77.0.1/24
  ip -n "$prov" addr add fd77::1/64 dev pxe0 nodad
  leg "$vr" vr0 200 10.88.0.1/24
  leg "$vr" vr1 201 10.89.0.1/24
  leg "$other" ot0 300 10.99.0.1/24

  # CloudStack's virtual router: leases only for the MACs that CloudStack allotted.
  cat >"$E2E_DIR/vr/dnsmasq.conf" <<C
port=0
interface=vr0
interface=vr1
bind-interfaces
no-ping
dhcp-range=10.88.0.0,static,255.255.255.0,10m
dhcp-range=10.89.0.0,static,255.255.255.0,10m
dhcp-host=06:00:ac:10:00:50,10.88.0.50
dhcp-host=06:00:ac:10:00:51,10.89.0.51
dhcp-leasefile=$E2E_DIR/vr/leases
pid-file=$E2E_DIR/vr/dnsmasq.pid
log-facility=$E2E_DIR/vr/log
log-dhcp
user=root
C
  ip netns exec "$vr" dnsmasq -C "$E2E_DIR/vr/dnsmasq.conf"

  # What is heard at the three places where the machine may or may not be heard, as raw frames. On the provisioning network
  # that leaves out what is much and proves nothing: image and ramdisk.
  listen "$other" ot0
  listen "$vr" vr0
  listen "$prov" pxe0 'not tcp'

  cat >"$E2E_DIR/bmc/lan.conf" <<C
name "machine"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 9623
    priv_limit admin
    allowed_auths_callback md5
    allowed_auths_user md5
    allowed_auths_operator md5
    allowed_auths_admin md5
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "$here/machine.sh"
  user 2 true "admin" "secret12" admin 16 md5
C
  printf '%s\n' 'mc_setbmc 0x20' 'mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02' 'sel_enable 0x20 1000 0x0a' 'mc_enable 0x20' \
    >"$E2E_DIR/bmc/sim.emu"
  mkdir -p "$E2E_DIR/bmc/state"
  setsid ip netns exec "$prov" ipmi_sim -c "$E2E_DIR/bmc/lan.conf" -f "$E2E_DIR/bmc/sim.emu" -s "$E2E_DIR/bmc/state" -n \
    >"$E2E_DIR/bmc/log" 2>&1 </dev/null &
}

listen() { # listen NAMESPACE INTERFACE [FILTER]
  setsid ip netns exec "$1" tcpdump -U -n -i "$2" -w "$E2E_DIR/$2.pcap" "${3:-}" >/dev/null 2>&1 </dev/null &
}

pids() {
  for namespace in "$tor" "$prov" "$vr" "$other"; do ip netns pids "$namespace" 2>/dev/null || true; done
}

down() {
  local signal
  for signal in TERM KILL; do
    # shellcheck disable=SC2046 # numbers
    kill -$signal $(pids) 2>/dev/null || true
    for _ in $(seq 50); do
      [ -n "$(pids)" ] || break 2
      sleep 0.1
    done
  done
  for namespace in "$tor" "$prov" "$vr" "$other"; do ip netns del "$namespace" 2>/dev/null || true; done
  # What the service hands out by TFTP, where it could not tidy up itself.
  rm -rf "/run/csbm/tftp-$(printf %s "$E2E_DIR/state/provisioning" | sha256sum | head -c 8)"
  rmdir /run/csbm 2>/dev/null || true
}

# What tells why something went wrong.
tell() {
  show 'the service, last lines' 40 "$E2E_DIR/service.log"
  # Their names end with the time; the newest are at the end.
  for file in $(find "$E2E_DIR" -maxdepth 1 -name 'machine.serial.*' | sort | tail -n 2); do
    show "the machine's serial port: ${file##*/}" 50 "$file"
  done
  show "the BMC's commands" 20 "$E2E_DIR/machine.log"
  show 'ipmi_sim' 10 "$E2E_DIR/bmc/log"
  show 'the virtual router' 10 "$E2E_DIR/vr/log"
  show 'Open vSwitch' 10 "$OVS_RUNDIR/vswitchd.log"
  echo '--- ports'
  ovs --columns=name,tag,trunks list port || true
}

show() { # show TITLE LINES FILE
  [ -s "$3" ] || return 0
  echo "--- $1"
  tail -c 100000 "$3" | tr -d '\r' | sed 's/\x1b\[[0-9;?=]*[A-Za-z]//g' | tr -cd '\n\t\040-\176' | grep -v '^ *$' | tail -n "$2" | cut -c 1-600
}

"$1"
