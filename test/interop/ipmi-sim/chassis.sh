#!/bin/sh
# What ipmi_sim runs for power and boot: chassis.sh PREFIX get|set NAME [VALUE] ...
# PREFIX.on exists = powered on; PREFIX.boot = the boot device that was set; PREFIX.log = every change, in order.
d=$1 op=$2
shift 2
case $op in
get)
	for p; do
		case $p in
		power) [ -e "$d.on" ] && echo power:1 || echo power:0 ;;
		boot) b=default; [ -s "$d.boot" ] && read -r b <"$d.boot"; echo "boot:$b" ;;
		*) echo "cannot get $p"; exit 1 ;;
		esac
	done ;;
set)
	while [ $# -ge 2 ]; do
		echo "$1 $2" >>"$d.log"
		case $1 in
		power) [ "$2" = 1 ] && : >"$d.on" || rm -f "$d.on" ;;
		shutdown) rm -f "$d.on" ;;
		boot) echo "$2" >"$d.boot" ;;
		esac
		shift 2
	done ;;
*) exit 1 ;;
esac
