#!/bin/bash
# The end-to-end test (make e2e): one machine made of QEMU, a BMC (ipmi_sim), a ToR switch and a backbone (Open vSwitch), a
# virtual router and a stranger, each in network namespaces of their own; the service and the lab's management server between
# them. Nothing leaves the namespaces. Where this machine cannot do that, it says why and ends with "skipped".
#
# RUNS="bios uefi"   which firmware, one run each (default: both)
# KEEP=1             leaves everything up after the last run, and says how to end it
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../.." && pwd)
export PATH="$PATH:/usr/sbin:/sbin"
: "${RUNS:=bios uefi}" "${KEEP:=}"

skip() {
  echo "e2e: skipped: $*"
  exit 0
}
[ "$(id -u)" = 0 ] || skip 'needs root, for network namespaces'
missing=()
while read -r program package; do
  command -v "$program" >/dev/null || missing+=("$package")
done <<'LIST'
qemu-system-x86_64 qemu-system-x86
ovs-vsctl openvswitch-switch
ovs-vswitchd openvswitch-switch
ipmi_sim openipmi
dnsmasq dnsmasq-base
ip iproute2
ethtool ethtool
tcpdump tcpdump
socat socat
curl curl
busybox busybox-static
wipefs util-linux
zstd zstd
cpio cpio
sgdisk gdisk
mcopy mtools
mkfs.vfat dosfstools
syslinux syslinux
grub-mkimage grub-common
nvme nvme-cli
hdparm hdparm
jq jq
LIST
[ -d /usr/lib/grub/x86_64-efi ] || missing+=(grub-efi-amd64-bin)
[ -e /usr/lib/syslinux/mbr/gptmbr.bin ] || missing+=(syslinux-common)
[ -e /usr/lib/ipxe/undionly.kpxe ] || missing+=(ipxe)
[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || missing+=(ovmf)
[ -e /usr/lib/ipxe/qemu ] || missing+=(ipxe-qemu)
((${#missing[@]} == 0)) || skip "missing: apt-get install --no-install-recommends ${missing[*]}"
[ -e /dev/net/tun ] || skip 'there is no /dev/net/tun'
probe=csbm-probe-$$
ip netns add "$probe" 2>/dev/null || skip 'network namespaces are refused here'
ip -n "$probe" tuntap add probe mode tap 2>/dev/null || { ip netns del "$probe"; skip 'taps are refused here'; }
ip -n "$probe" link add va type veth peer name vb 2>/dev/null || { ip netns del "$probe"; skip 'veth pairs are refused here'; }
ip netns del "$probe"

agent=$project/src/drivers/deploy/native/agent
if ! { make -s -C "$project" build && PROFILE=lab OUT="$project/.run/ramdisk-lab" "$agent/build-ramdisk.sh" && "$agent/image-tiny.sh"; }; then
  echo 'e2e: what it runs could not be built'
  exit 1
fi

status=0
for firmware in $RUNS; do
  # Short: the path of a socket has room for 107 bytes.
  E2E_DIR=$(mktemp -d "/tmp/csbm-e2e.XXXXXX")
  export E2E_DIR E2E_ID=e2e$$$firmware E2E_FIRMWARE=$firmware
  echo "--- e2e: $firmware, in $E2E_DIR"
  if "$here/rack.sh" up; then
    ip netns exec "$E2E_ID-prov" node --import tsx "$here/main.ts" || status=1
  else
    echo 'e2e: the rack did not come up'
    status=1
  fi
  if [ -n "$KEEP" ]; then
    echo "kept; end it with: E2E_DIR=$E2E_DIR E2E_ID=$E2E_ID $here/rack.sh down"
  else
    "$here/rack.sh" down
    if [ $status = 0 ]; then rm -rf "$E2E_DIR"; else echo "what was logged is in $E2E_DIR"; fi
  fi
  [ $status = 0 ] || break
done
[ $status = 0 ] && echo 'e2e: passed'
cd "$project" && exit $status
