#!/bin/bash
# The machine of the end-to-end test, as ipmi_sim's chassis control: machine.sh get|set|check NAME [VALUE] ...
# Its power is a QEMU process; its boot device decides the boot order of the next start, under BIOS and UEFI alike.
: "${E2E_DIR:?}" "${E2E_ID:?}" "${E2E_FIRMWARE:=bios}"
pid_file=$E2E_DIR/machine.pid disk=$E2E_DIR/machine.disk boot_file=$E2E_DIR/machine.boot
echo "$(date +%T.%N) $*" >>"$E2E_DIR/machine.log"

alive() { [ -s "$pid_file" ] && kill -0 "$(cat "$pid_file")" 2>/dev/null; }
boot_device() { cat "$boot_file" 2>/dev/null || echo default; }

on() {
  alive && return
  [ -e "$disk" ] || truncate -s 1G "$disk"
  local nic1=2 nic2=3 root=1 rom='' firmware=()
  [ "$(boot_device)" != pxe ] || nic1=1 nic2=2 root=3
  if [ "$E2E_FIRMWARE" = uefi ]; then
    [ -e "$E2E_DIR/machine.vars" ] || cp /usr/share/OVMF/OVMF_VARS_4M.fd "$E2E_DIR/machine.vars"
    # shellcheck disable=SC2054 # commas of QEMU
    firmware=(-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd
      -drive if=pflash,format=raw,file="$E2E_DIR/machine.vars")
    # No iPXE in the card: the firmware's own PXE loads ours by TFTP, as on real hardware.
    rom=,romfile=
  fi
  boot_device >>"$E2E_DIR/machine.starts"
  # Never KVM: it may be there and unable to run a kernel. Without graphics SeaBIOS and iPXE talk to the serial port.
  ip netns exec "$E2E_ID-tor" qemu-system-x86_64 -machine q35,graphics=off -accel tcg,thread=multi -cpu qemu64 -smp 1 -m 640 \
    -nodefaults -display none -vga none -monitor none -serial "file:$E2E_DIR/machine.serial.$(date +%s%N)" \
    -qmp "unix:$E2E_DIR/machine.qmp,server=on,wait=off" -no-reboot "${firmware[@]}" \
    -drive "id=d0,if=none,file=$disk,format=raw,discard=unmap,detect-zeroes=unmap,cache=unsafe" \
    -device "virtio-blk-pci,drive=d0,serial=E2E0001,bootindex=$root" \
    -netdev tap,id=n1,ifname=n1p1,script=no,downscript=no,vnet_hdr=off \
    -device "virtio-net-pci,netdev=n1,mac=52:54:00:aa:00:01,bootindex=$nic1$rom" \
    -netdev tap,id=n2,ifname=n1p2,script=no,downscript=no,vnet_hdr=off \
    -device "virtio-net-pci,netdev=n2,mac=52:54:00:aa:00:02,bootindex=$nic2$rom" \
    -device virtio-rng-pci -pidfile "$pid_file" -daemonize 2>>"$E2E_DIR/machine.log" >/dev/null </dev/null
}

off() {
  alive || return
  local pid
  pid=$(cat "$pid_file")
  kill "$pid"
  for _ in $(seq 50); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null
  rm -f "$pid_file"
}

soft_off() {
  alive || return
  printf '{"execute":"qmp_capabilities"}{"execute":"system_powerdown"}' |
    socat -t1 - "UNIX-CONNECT:$E2E_DIR/machine.qmp" >/dev/null
}

operation=$1
shift
case $operation in
  get)
    for name; do
      case $name in
        power) if alive; then echo power:1; else echo power:0; fi ;;
        boot) echo "boot:$(boot_device)" ;;
        *) exit 1 ;;
      esac
    done
    ;;
  set)
    while [ $# -ge 2 ]; do
      case $1 in
        power) if [ "$2" = 1 ]; then on; else off; fi ;;
        reset)
          off
          on
          ;;
        shutdown) soft_off ;;
        boot) echo "$2" >"$boot_file" ;;
      esac
      shift 2
    done
    ;;
  check) ;;
esac
exit 0
