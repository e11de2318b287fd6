#!/bin/bash
# The end-to-end test (make e2e): one machine made of QEMU, a BMC (ipmi_sim), a ToR switch and a backbone (Open vSwitch), a
# virtual router and a stranger, each in network namespaces of their own; the service and the lab's management server between
# them. Nothing leaves the namespaces. Where this machine cannot do that, it says why and counts as skipped; the last line is
# `N passed, N failed, N skipped`.
#
# RUNS="bios uefi"   which firmware, one run each (default: both)
# LIMIT=720          seconds after which all of it is ended, and has failed
# KEEP=1             leaves everything up after the last run or the first failure, and says how to end it
# CI_REQUIRED_PEERS  set: a missing program is a failure and no reason to skip
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$here/../.." && pwd)
export PATH="$PATH:/usr/sbin:/sbin"
: "${RUNS:=bios uefi}" "${LIMIT:=720}" "${KEEP:=}"
cd "$project" || exit
passed=0 failed=0 skipped=0
counts='^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'

count() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ $failed = 0 ]
  exit
}
skip() {
  echo "e2e: skipped: $*"
  skipped=1
  count
}
fail() {
  echo "FAILED: e2e: $*"
  failed=$((failed + 1))
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
sfdisk fdisk
mcopy mtools
mkfs.vfat dosfstools
mke2fs e2fsprogs
syslinux syslinux
grub-mkimage grub-common
nvme nvme-cli
hdparm hdparm
kmod kmod
jq jq
LIST
[ -d /usr/lib/grub/x86_64-efi ] || missing+=(grub-efi-amd64-bin)
[ -e /usr/lib/syslinux/mbr/gptmbr.bin ] || missing+=(syslinux-common)
[ -e /usr/lib/ipxe/undionly.kpxe ] || missing+=(ipxe)
[ -e /usr/share/OVMF/OVMF_CODE_4M.fd ] || missing+=(ovmf)
[ -e /usr/lib/ipxe/qemu ] || missing+=(ipxe-qemu)
if ((${#missing[@]})); then
  install="missing: apt-get install --no-install-recommends ${missing[*]}"
  [ -n "${CI_REQUIRED_PEERS:-}" ] || skip "$install"
  fail "$install"
  count
fi
[ -e /dev/net/tun ] || skip 'there is no /dev/net/tun'
probe=csbm-probe-$$
ip netns add "$probe" || skip 'network namespaces are refused here'
ip -n "$probe" tuntap add probe mode tap || { ip netns del "$probe"; skip 'taps are refused here'; }
ip -n "$probe" link add va type veth peer name vb || { ip netns del "$probe"; skip 'veth pairs are refused here'; }
ip netns del "$probe"

E2E_DIR='' E2E_ID='' job=''
# What is under way, then the rack with every process in it, then its folder.
clean() {
  [ -z "$job" ] || { kill -TERM "$job" 2>/dev/null && wait "$job"; }
  job=''
  [ -z "$E2E_ID" ] || "$here/rack.sh" down
  [ -z "$E2E_DIR" ] || rm -rf "$E2E_DIR"
}
trap 'trap "" INT TERM HUP; echo "e2e: interrupted, cleaning up"; clean; exit 130' INT TERM HUP

# attended COMMAND...: in the background, so that the trap need not wait for it, and ended with all it started when the time is
# over. timeout makes it a process group of its own.
attended() {
  local left=$((LIMIT - SECONDS))
  [ $left -gt 0 ] || left=1
  timeout --kill-after=10 $left "$@" </dev/null 3>&- &
  job=$!
  wait $job
  local ended=$?
  job=''
  [ $ended != 124 ] || echo "e2e: ended after $LIMIT s"
  return $ended
}

# shellcheck disable=SC2317 # called by the bash below
build() {
  make -s -C "$project" build && PROFILE=lab OUT="$project/.run/ramdisk-lab" "$agent/build-ramdisk.sh" && "$agent/image-tiny.sh"
}
agent=$project/src/drivers/deploy/native/agent
export -f build
export project agent
if ! attended bash -c build; then
  fail 'what it runs could not be built'
  count
fi

for firmware in $RUNS; do
  # Short: the path of a socket has room for 107 bytes.
  E2E_DIR=$(mktemp -d /tmp/csbm-e2e.XXXXXX)
  export E2E_DIR E2E_ID=e2e$$$firmware E2E_FIRMWARE=$firmware
  echo "--- e2e: $firmware, in $E2E_DIR"
  ended=0
  if attended "$here/rack.sh" up; then
    exec 3> >(tee "$E2E_DIR/report")
    teller=$!
    attended ip netns exec "$E2E_ID-prov" node_modules/.bin/mocha --bail test/e2e/instance-life.e2e.ts >&3 2>&1 || ended=1
    exec 3>&-
    wait $teller
    read -r p _ f _ s _ < <(grep -E "$counts" "$E2E_DIR/report" | tail -n 1)
    passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0})) skipped=$((skipped + ${s:-0}))
    # Ended before it could count.
    [ $ended = 0 ] || [ "${f:-0}" != 0 ] || fail "$firmware did not come to its end"
  else
    ended=1
    fail "the rack for $firmware did not come up"
  fi
  [ $ended = 0 ] || "$here/rack.sh" tell
  if [ -n "$KEEP" ] && { [ $ended != 0 ] || [ "$firmware" = "${RUNS##* }" ]; }; then
    echo "kept; end it with: E2E_DIR=$E2E_DIR E2E_ID=$E2E_ID $here/rack.sh down; rm -r $E2E_DIR"
    E2E_DIR='' E2E_ID=''
    break
  fi
  clean
done
count
