# shellcheck shell=dash
# Progress: the worker says what it does and which of its processes to watch; the agent reads that and tells the service.

ACTIVITY=$CSBM_RUN/activity
WATCH=$CSBM_RUN/watch

activity() {
  say "$*"
  echo "$*" >"$ACTIVITY.part"
  mv "$ACTIVITY.part" "$ACTIVITY"
}

# watch NAME TOTAL PID: the process writes TOTAL bytes to its standard output, or to the file it opened there.
watch() {
  mkdir -p "$WATCH"
  echo "$2 $3" >"$CSBM_RUN/watch.$1"
  mv "$CSBM_RUN/watch.$1" "$WATCH/$1"
}

# The kernel knows how far a process has written to its standard output.
position() {
  local pos
  pos=$(sed -n 's/^pos:[^0-9]*//p' "/proc/$1/fdinfo/1" 2>/dev/null)
  echo "${pos:-gone}"
}

# Percent over all that is watched, or null. A process that is gone has written all: if it failed, the result will say so.
percent() {
  local total written file bytes pid at share
  total=0 written=0
  for file in "$WATCH"/*; do
    [ -e "$file" ] || continue
    read -r bytes pid <"$file"
    at=$(position "$pid")
    [ "$at" != gone ] || at=$bytes
    total=$((total + bytes)) written=$((written + at))
  done
  [ $total -gt 0 ] || { echo null; return; }
  share=$((100 * written / total))
  [ $share -le 100 ] || share=100
  echo $share
}

# Without jq: starting it every second is felt where the machine is emulated.
progress_body() {
  printf '{"activity": "%s", "percent": %s}' "$(tr -cd 'A-Za-z0-9 .,:()/_-' <"$ACTIVITY")" "$(percent)"
}
