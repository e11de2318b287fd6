# shellcheck shell=bash disable=SC2154 # log is a folder of who reads this file
# What CI takes from registries (decision 40).

# What apt, npm and pip say of a network that is not there.
unreachable='Temporary failure|Could not (resolve|connect)|Unable to connect|EAI_AGAIN|ENOTFOUND|ETIMEDOUT|ECONNREFUSED|ECONNRESET|NewConnectionError|NameResolutionError|ConnectTimeoutError'

# fetch NAME COMMAND...: asks a registry, three times, FETCH_PAUSE seconds (20) apart. Returns 75 where it cannot be reached, and
# notes that in $log/unreachable; otherwise what the command returned.
fetch() {
  local name=$1 attempt status
  shift
  for attempt in 1 2 3; do
    status=0
    "$@" >"$log/fetch" 2>&1 || status=$?
    [ $status != 0 ] || return 0
    if ! grep -qE "$unreachable" "$log/fetch"; then
      cat "$log/fetch"
      return $status
    fi
    [ $attempt = 3 ] || sleep "${FETCH_PAUSE:-20}"
  done
  tail -n 2 "$log/fetch" | cut -c 1-300
  echo "SKIPPED: $name: the registry cannot be reached" >>"$log/unreachable"
  return 75
}
