#!/usr/bin/env bash
# Runs a command for so many seconds at most, and leaves no process of it behind. Usage: scripts/limit.sh SECONDS "its name" command…
#
# When the time is up it says so, names what was under way, kills all that the command started, and ends with status 124. What is
# under way is read from the folder $TESTS_UNDER_WAY: `suite` is written here, `tests` by the runners of the tests. Limits nest.
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

# The command has a process group of its own. What leaves the group (a browser, `make dev`) still has this in its environment, which
# Linux shows; this process has it not.
mark="/limit-$$-$RANDOM$RANDOM/"
set -m
TESTS_LIMITS="${TESTS_LIMITS:-}$mark" "$@" </dev/null &
child=$!
set +m

marked() { grep -lsaF -- "$mark" /proc/[0-9]*/environ 2>/dev/null | sed -E 's,/proc/([0-9]+)/environ,\1,'; }

end_all() {
  # Without the shell's own word on each process that was killed.
  exec 2>/dev/null
  local round
  for round in 1 2 3; do
    kill -KILL -- "-$child"
    # shellcheck disable=SC2046 # numbers, each an argument
    kill -KILL $(marked)
  done
  wait "$child"
}
trap 'end_all; exit 143' TERM HUP
trap 'end_all; exit 130' INT

SECONDS=0
while kill -0 "$child" 2>/dev/null && [ "$SECONDS" -lt "$seconds" ]; do sleep 0.3; done

if kill -0 "$child" 2>/dev/null; then
  {
    echo
    echo "Time is up: '$name' did not end within $seconds seconds."
    if [ -s "$TESTS_UNDER_WAY/suite" ]; then echo "The suite under way: $(cat "$TESTS_UNDER_WAY/suite")."; fi
    if [ -s "$TESTS_UNDER_WAY/tests" ]; then echo "The tests under way:"; sed 's/^/  /' "$TESTS_UNDER_WAY/tests"; fi
  } >&2
  end_all
  exit 124
fi
wait "$child"
status=$?

# A moment for what is just ending.
for _ in {1..20}; do
  left=$(marked)
  [ -z "$left" ] && exit "$status"
  sleep 0.5
done
echo "'$name' has ended, and left processes behind:" >&2
# shellcheck disable=SC2086
ps -o pid=,args= -p "$(echo $left | tr ' ' ,)" | cut -c 1-200 >&2
end_all
[ "$status" -ne 0 ] || status=1
exit "$status"
