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
get -o "$CSBM_RUN/order.json" "$API/order" || { say 'there is no order for this machine'; exit 1; }
order_facts >"$CSBM_RUN/order.facts"
read -r CSBM_PHASE id <"$CSBM_RUN/order.facts"
activity "starting: $CSBM_PHASE, order $id"
export CSBM_PHASE

rm -f "$CSBM_RUN/over" "$RESULT"
mkfifo "$CSBM_RUN/over"
# Open at both ends, so that nobody waits for the other one to open it.
exec 4<>"$CSBM_RUN/over"
(
  setsid "${CSBM_SHELL:-/bin/sh}" "$here/work.sh" 4<&-
  echo over >&4
) &
pause=$CSBM_PROGRESS_EVERY
# shellcheck disable=SC3045 # busybox's read waits no longer than it is told
until read -r -t "$pause" _ <&4; do
  began=$(hundredths)
  progress_body >"$CSBM_RUN/progress.json"
  post_once progress "$CSBM_RUN/progress.json"
  if [ $? = 2 ]; then
    say 'the order is over'
    end_worker
    exit 1
  fi
  # Telling takes no more than a twentieth of the machine, but is never silent for long.
  pause=$((($(hundredths) - began) / 5))
  [ $pause -le 10 ] || pause=10
  [ $pause -ge 1 ] || pause=$CSBM_PROGRESS_EVERY
done

[ -s "$RESULT" ] || (failed agent 'the worker ended without a result')
grep -q '^{"ok":true' "$RESULT" || post_log
post result "$RESULT" || { say 'the result was not taken'; exit 1; }
say 'the result was taken'
