# shellcheck shell=dash
# shellcheck disable=SC2034 # used by the files that read this one
# Where the agent finds its machine, and its pace. On a machine init sets the first three from the kernel arguments and
# the rest are the defaults; a test sets them all, and has a sandbox instead of a machine.

: "${CSBM_URL:?}" "${CSBM_TOKEN:?}"
: "${CSBM_SYS:=/sys}" "${CSBM_PROC:=/proc}" "${CSBM_DEV:=/dev}" "${CSBM_RUN:=/run/csbm}"
# Seconds: a call without answer is repeated for so long, with this pause; progress is sent this often,
# or less often where that would take much of the machine.
: "${CSBM_RETRY_FOR:=900}" "${CSBM_RETRY_PAUSE:=1}" "${CSBM_PROGRESS_EVERY:=1}"
# Seconds to listen for LLDP during an inventory; switches announce themselves every 30. 0 = do not listen.
: "${CSBM_LLDP:=0}"
# busybox's shell takes its own applet for a program of the same name, whatever PATH says. These are the faster ones.
: "${CSBM_BIN:=/sbin}"
DD=$CSBM_BIN/dd TEE=$CSBM_BIN/tee SHA256SUM=$CSBM_BIN/sha256sum
export CSBM_BIN CSBM_URL CSBM_TOKEN CSBM_SYS CSBM_PROC CSBM_DEV CSBM_RUN CSBM_RETRY_FOR CSBM_RETRY_PAUSE CSBM_PROGRESS_EVERY CSBM_LLDP
export LC_ALL=C

API=${CSBM_URL%/}/boot/v1/agent
LOG=$CSBM_RUN/agent.log

# Monotonic, in whole seconds.
now() {
  read -r up _ </proc/uptime
  echo "${up%%.*}"
}

# The same in hundredths of a second.
hundredths() {
  read -r up _ </proc/uptime
  echo "${up%.*}${up#*.}"
}

say() {
  local up
  read -r up _ </proc/uptime
  echo "csbm [${up%%.*}] $*" >>"$LOG"
  echo "csbm [${up%%.*}] $*" >&2
}
