#!/usr/bin/env bash
# Runs `cargo test` for all crates of the workspace and writes the names of tests that run for more than a minute to the file that
# scripts/limit.sh reads. Rust's test runner has no time limit, but it prints the name of a test after 60
# seconds. All tests run, even after one has failed.
set -o pipefail
slow=()

note() {
  [ -z "${TESTS_UNDER_WAY:-}" ] || printf '%s\n' "${slow[@]}" >"$TESTS_UNDER_WAY/tests"
}

cargo test --locked --workspace --no-fail-fast "$@" 2>&1 | while IFS= read -r line; do
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
