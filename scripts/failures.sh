#!/usr/bin/env bash
# Runs a command such as `make test`. If it fails, prints once more what it said of failures: failed tests with
# their reasons, compile errors, and the targets that make gave up. CI ends with that: a failure of the first
# suite stands thousands of lines before the end. If it succeeds, prints which files passed only when repeated.
# Usage: scripts/failures.sh command…
#
# At most 80 lines of each report are printed.
set -uo pipefail
log=$(mktemp -p "${TESTS_UNDER_WAY:-${TMPDIR:-/tmp}}")
trap 'rm -f "$log"' EXIT
"$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
[ "$status" -ne 0 ] || { grep '^Passed only when repeated: ' "$log"; exit 0; }
printf '\nWhat failed:\n'
awk '
  # The reports of Node and pytest end a suite, and the line of make ends them.
  /^✖ failing tests:/ || /^=+ (FAILURES|ERRORS) =+$/ { left = 80 }
  /^failures:$/ { left = 80 }
  /^error(\[E[0-9]+\])?: / && left == 0 { left = 20 }
  /^Time limit: / || /has ended but left processes behind:$/ { left = 10 }
  /^test result: / { left = 0 }
  /^make(\[[0-9]+\])?: \*\*\*/ { print; print ""; left = 0; next }
  left > 0 { print; left-- }
' "$log"
exit "$status"
