#!/bin/busybox sh
# shellcheck shell=dash
# The ramdisk agent (docs/boot-protocol.md): asks for its order, lets a worker do it, tells the progress, sends the result.
# Ends when there is nothing left but to power off: 0 = the result was taken.
# Arguments: none. Environment: see settings.sh.
here=${0%/*}
mkdir -p "${CSBM_RUN:=/run/csbm}"
for part in settings protocol progress disks; do
  # shellcheck source=/dev/null
  . "$here/$part.sh"
done

# Ends the worker with everything it started.
end_worker() {
  local worker
  worker=$(cat "$CSBM_RUN/worker.pid" 2>/dev/null)
  [ -z "$worker" ] || kill -9 "-$worker" 2>/dev/null
  # Half an image must not boot.
  [ ! -e "$CSBM_RUN/root-disk" ] || blank "$(cat "$CSBM_RUN/root-disk")"
}

: >"$LOG"
trap 'end_worker; exit 1' TERM INT
protocol_begin
say "asking $CSBM_URL for the order"
get "$API/order" "$CSBM_RUN/order.json" || { say 'there is no order for this machine'; exit 1; }
activity "starting: $(order '.phase + ", order " + .id')"

rm -f "$CSBM_RUN/over" "$RESULT"
(
  setsid "${CSBM_SHELL:-/bin/sh}" "$here/work.sh"
  : >"$CSBM_RUN/over"
) &
while [ ! -e "$CSBM_RUN/over" ]; do
  sleep "$CSBM_PROGRESS_EVERY"
  progress_body >"$CSBM_RUN/progress.json"
  post_once progress "$CSBM_RUN/progress.json"
  if [ $? = 2 ]; then
    say 'the order is over'
    end_worker
    exit 1
  fi
done

[ -s "$RESULT" ] || (failed agent 'the worker ended without a result')
[ "$(jq .ok "$RESULT")" = true ] || post_log
post result "$RESULT" || { say 'the result was not taken'; exit 1; }
say 'the result was taken'
