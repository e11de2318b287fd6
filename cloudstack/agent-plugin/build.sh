#!/bin/sh
# Builds and tests the adapter jar. Prints the jar's path and checksum, what failed, a line each, and
# ends with one line `N passed, N failed, N skipped`.
set -u
# File modes go into the jar.
umask 022
cd "$(dirname "$0")" || exit 1
command -v mvn >/dev/null || {
  echo 'Maven is missing: install the packages maven and default-jdk-headless (Java 11 or newer), then try again.' >&2
  exit 1
}

# Reports, jars and classes of an earlier build must not be counted.
rm -rf plugin/target
# Maven's last word stays on the screen only where it failed.
mvn -B -q verify
status=$?

jar=$(ls plugin/target/csbm-cloudstack-adapter-*.jar 2>/dev/null)
if [ $status = 0 ]; then
  # Only our own classes may be in it: everything else is the management server's.
  # shellcheck disable=SC2016 # $ is part of nested classes' names
  strange=$(jar tf "$jar" | grep -Ev '^(META-INF/(MANIFEST\.MF|cloudstack/(csbm/([a-z.-]+)?)?)?|csbm/(cloudstack/([A-Za-z$0-9]+\.class)?)?)$')
  if [ -n "$strange" ]; then
    echo "$jar has what does not belong there:" >&2
    echo "$strange" >&2
    status=1
  else
    sha256sum "$jar"
  fi
fi

# Each text report has a line `Tests run: N, Failures: N, Errors: N, Skipped: N, ...` and one for each failed test.
reports=$(cat plugin/target/surefire-reports/*.txt 2>/dev/null)
printf '%s\n' "$reports" | sed -n 's/^\([^ ]*\) -- Time elapsed:.* <<< \(FAILURE\|ERROR\)!.*/FAILED: \1/p'
printf '%s\n' "$reports" | awk -F '[:,]' '
  /^Tests run:/ { run += $2; failed += $4 + $6; skipped += $8 }
  END { print run - failed - skipped " passed, " failed + 0 " failed, " skipped + 0 " skipped" }'
exit $status
