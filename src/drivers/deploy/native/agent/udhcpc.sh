#!/bin/busybox sh
# shellcheck shell=dash
# What udhcpc calls with a lease: address, default route, name servers.
# shellcheck disable=SC2154 # udhcpc sets interface, ip, mask, router, dns
case $1 in
  deconfig)
    ip addr flush dev "$interface"
    ip link set "$interface" up
    ;;
  bound | renew)
    ip addr replace "$ip/${mask:-24}" dev "$interface"
    [ -z "$router" ] || ip route replace default via "${router%% *}" dev "$interface"
    for server in $dns; do echo "nameserver $server"; done >/etc/resolv.conf
    ;;
esac
