# shellcheck shell=dash
# The calls of docs/boot-protocol.md, section 2. Needs settings.sh.

# The token stands in a file, not in a process list.
HEADERS=$CSBM_RUN/headers

protocol_begin() {
  (umask 077 && printf 'Authorization: Bearer %s\nContent-Type: application/json\n' "$CSBM_TOKEN" >"$HEADERS")
}

# call_once OUT [CURL-ARGUMENT...] URL: 0 = answered, 1 = no answer or 5xx (worth repeating), 2 = refused.
call_once() {
  local out status
  out=$1
  shift
  status=$(curl -sS --connect-timeout 10 -H "@$HEADERS" -o "$out" -w '%{http_code}' "$@" 2>>"$LOG") || status=000
  case $status in
    2??) return 0 ;;
    4??)
      say "refused: HTTP $status $(head -c 300 "$out" 2>/dev/null)"
      return 2
      ;;
  esac
  return 1
}

# The same, repeated: the service may be restarting (section 2).
call() {
  local end answered
  end=$(($(now) + CSBM_RETRY_FOR))
  while :; do
    call_once "$@"
    answered=$?
    [ $answered = 1 ] || return $answered
    [ "$(now)" -lt $end ] || return 1
    sleep "$CSBM_RETRY_PAUSE"
  done
}

get() { # get URL OUT
  call "$2" --max-time 60 "$1"
}

post() { # post CALL BODY-FILE
  call "$CSBM_RUN/answer" --max-time 60 -X POST --data-binary "@$2" "$API/$1"
}

post_once() { # post_once CALL BODY-FILE: for what is worth nothing later
  call_once "$CSBM_RUN/answer.once" --max-time 10 -X POST --data-binary "@$2" "$API/$1"
}

post_log() {
  # At most 64 KiB; the end tells why.
  tail -c 60000 "$LOG" >"$CSBM_RUN/log.tail"
  post log "$CSBM_RUN/log.tail" || say 'the log could not be sent'
}

# Starting jq is felt where the machine is emulated: ask for several values at once.
order() { # order JQ-FILTER: a value of the work order, empty for null
  jq -r "$1 | if . == null then empty else . end" "$CSBM_RUN/order.json"
}

# A result is written to a file by the worker and sent by the agent.
RESULT=$CSBM_RUN/result.json

failed() { # failed CODE TEXT: reports the failure and ends the worker
  say "$1: $2"
  jq -nc --arg code "$1" --arg said "$2" '{ok: false, error: {code: $code, said: $said[0:2000]}}' >"$RESULT.part"
  mv "$RESULT.part" "$RESULT"
  exit 1
}

done_with() { # done_with NAME FILE: an ok result with that part, which is JSON
  { printf '{"ok":true,"%s":' "$1" && cat "$2" && echo '}'; } >"$RESULT.part"
  mv "$RESULT.part" "$RESULT"
}
