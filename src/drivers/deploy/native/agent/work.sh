#!/bin/busybox sh
# shellcheck shell=dash
# The worker: does the order in a process group of its own, so that the agent can end it with all it started.
set -o pipefail
here=${0%/*}
for part in settings protocol progress disks lldp inventory first-boot deploy secure-erase erase; do
  # shellcheck source=/dev/null
  . "$here/$part.sh"
done

echo $$ >"$CSBM_RUN/worker.pid"
case $CSBM_PHASE in
  commission) commission ;;
  deploy) deploy ;;
  erase) erase ;;
  *) failed agent "this ramdisk knows no phase $CSBM_PHASE" ;;
esac
