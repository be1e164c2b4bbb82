#!/usr/bin/env bash
# Runs a command with a time limit and leaves none of its processes behind. Usage: scripts/limit.sh SECONDS
# "its name" command…
#
# When the time is up it reports the running tests, kills every process that the command started, and ends
# with status 124. The folder $TESTS_UNDER_WAY names the running tests: `suite` is written here, `tests` by
# the test runners. Limits nest. On SIGUSR1 the time is up at once.
set -uo pipefail
seconds=$1 name=$2
shift 2

if [ -z "${TESTS_UNDER_WAY:-}" ]; then
  TESTS_UNDER_WAY=$(mktemp -d)
  export TESTS_UNDER_WAY
  trap 'rm -rf "$TESTS_UNDER_WAY"' EXIT
else
  echo "$name" >"$TESTS_UNDER_WAY/suite"
  rm -f "$TESTS_UNDER_WAY/tests"
fi

# The command has a process group of its own. Processes that leave the group (a browser, `make dev`) still
# have this mark in their environment, which Linux shows. This process does not have it.
mark="/limit-$$-$RANDOM$RANDOM/"
set -m
TESTS_LIMITS="${TESTS_LIMITS:-}$mark" "$@" </dev/null &
child=$!
set +m

marked() { grep -lsaF -- "$mark" /proc/[0-9]*/environ 2>/dev/null | sed -E 's,/proc/([0-9]+)/environ,\1,'; }

end_all() {
  # Suppresses the shell's message about each killed process.
  exec 2>/dev/null
  local round left
  # A process can start another while it is looked for, and takes a moment to be gone.
  for round in {1..100}; do
    kill -KILL -- "-$child"
    left=$(marked)
    [ -z "$left" ] && [ "$round" -gt 1 ] && break
    # shellcheck disable=SC2086 # numbers, each an argument
    kill -KILL $left
    sleep 0.1
  done
  wait "$child"
}
trap 'end_all; exit 143' TERM HUP
trap 'end_all; exit 130' INT

SECONDS=0
trap 'SECONDS=$seconds' USR1
while kill -0 "$child" 2>/dev/null && [ "$SECONDS" -lt "$seconds" ]; do sleep 0.3; done

if kill -0 "$child" 2>/dev/null; then
  {
    echo
    echo "Time limit: '$name' did not end within $seconds seconds."
    if [ -s "$TESTS_UNDER_WAY/suite" ]; then echo "The running suite: $(cat "$TESTS_UNDER_WAY/suite")."; fi
    if [ -s "$TESTS_UNDER_WAY/tests" ]; then echo "The running tests:"; sed 's/^/  /' "$TESTS_UNDER_WAY/tests"; fi
  } >&2
  end_all
  exit 124
fi
wait "$child"
status=$?

# Processes that are just ending get half a minute.
for _ in {1..60}; do
  left=$(marked)
  [ -z "$left" ] && exit "$status"
  sleep 0.5
done
echo "'$name' has ended but left processes behind:" >&2
# shellcheck disable=SC2086
ps -o pid=,args= -p "$(echo $left | tr ' ' ,)" | cut -c 1-200 >&2
end_all
[ "$status" -ne 0 ] || status=1
exit "$status"
