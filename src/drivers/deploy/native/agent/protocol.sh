# shellcheck shell=dash
# The calls of docs/boot-protocol.md, section 2. Needs settings.sh.

# The token stands in a file, not in a process list.
HEADERS=$CSBM_RUN/headers

protocol_begin() {
  (umask 077 && printf 'Authorization: Bearer %s\nContent-Type: application/json\n' "$CSBM_TOKEN" >"$HEADERS")
}

# call_once [CURL-ARGUMENT...] -o OUT URL [-o OUT URL...]: 0 = all answered, 1 = no answer or 5xx (worth repeating), 2 = refused.
# Several go by one curl and one connection: starting it is felt where the machine is emulated.
call_once() {
  local answers status out
  answers=$(curl -sS --fail-early --connect-timeout 10 -H "@$HEADERS" -w '%{http_code} %{filename_effective}\n' "$@" 2>>"$LOG") ||
    return 1
  while read -r status out; do
    case $status in
      2??) ;;
      4??)
        say "refused: HTTP $status $(head -c 300 "$out" 2>/dev/null)"
        return 2
        ;;
      *) return 1 ;;
    esac
  done <<EOF
$answers
EOF
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

get() { # get -o OUT URL [-o OUT URL...]
  call --max-time 60 "$@"
}

post() { # post CALL BODY-FILE
  call --max-time 60 -X POST --data-binary "@$2" -o "$CSBM_RUN/answer" "$API/$1"
}

post_once() { # post_once CALL BODY-FILE: for what is worth nothing later
  call_once --max-time 10 -X POST --data-binary "@$2" -o "$CSBM_RUN/answer.once" "$API/$1"
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

# The first line: phase and id. Behind it, what a deployment asks of the order, as shell variables; @sh quotes each value.
order_facts() {
  jq -r '"\(.phase) \(.id)", (select(.phase == "deploy") | @sh "
    url=\(.image.url) encoding=\(.image.encoding) want=\(.image.sha256) stored=\(.image.storedBytes) raw=\(.image.rawBytes)
    name=\(.rootDisk.name) serial=\(.rootDisk.serial) label=\(.firstBoot.label // "")
    files=\([.firstBoot.files[]? | .name + " " + .url + "\n"] | add // "")")' "$CSBM_RUN/order.json"
}

json_text() { # json_text TEXT: as JSON, without starting jq
  printf '"%s"' "$(printf %s "$1" | tr -d '\000-\037' | sed 's/["\\]/\\&/g')"
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
