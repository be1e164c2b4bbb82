#!/usr/bin/env bash
# `cargo test`, and the names of tests that have been running for a minute, where scripts/limit.sh looks for them. Rust's runner has no
# limit for a test; after 60 seconds it tells the name of one.
set -o pipefail
slow=()

note() {
  [ -z "${TESTS_UNDER_WAY:-}" ] || printf '%s\n' "${slow[@]}" >"$TESTS_UNDER_WAY/tests"
}

cargo test --locked "$@" 2>&1 | while IFS= read -r line; do
  printf '%s\n' "$line"
  if [[ $line =~ ^test\ (.+)\ has\ been\ running\ for\ over\  ]]; then
    slow+=("${BASH_REMATCH[1]}")
    note
  elif [ ${#slow[@]} -gt 0 ] && [[ $line =~ ^test\ (.+)\ \.\.\.\  ]]; then
    running=()
    for test in "${slow[@]}"; do [ "$test" = "${BASH_REMATCH[1]}" ] || running+=("$test"); done
    slow=("${running[@]}")
    note
  fi
done
