#!/usr/bin/env bash
# Shows the newest lines of log files. URL is the gateway's address; the admin key comes from ADMIN_API_KEYS, in
# the environment or in .dev.vars.
set -euo pipefail

url=${URL:-http://localhost:${PORT:-1219}}
keys=${ADMIN_API_KEYS:-$(sed -nE 's/^ADMIN_API_KEYS *= *"?([^"]*)"?.*/\1/p' .dev.vars 2>/dev/null | head -n 1)}
key=${keys%%,*}
[ -n "$key" ] || { echo "An admin key is needed: set ADMIN_API_KEYS in .dev.vars, or in the environment." >&2; exit 1; }

parameters=(--data-urlencode "tail=${TAIL:-100}" --data-urlencode "format=ndjson")
for name in LEVEL REQUEST_ID FROM; do
  [ -z "${!name:-}" ] || parameters+=(--data-urlencode "${name,,}=${!name}")
done

# The key is passed on standard input, so that no list of processes shows it.
exec curl --silent --show-error --fail-with-body --get "$url/admin/api/logs" "${parameters[@]}" --config - <<<"header = \"authorization: Bearer $key\""
