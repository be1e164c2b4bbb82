#!/usr/bin/env bash
# Serves the built gateway until Ctrl-C. The last step of `make dev`, which builds everything and sets PORT
# and CONFIG.
set -euo pipefail

# Another file than wrangler.toml, with other bindings.
toml=${WRANGLER_TOML:-wrangler.toml}

listens() { (: </dev/tcp/127.0.0.1/"$PORT") 2>/dev/null; }

if listens; then
  echo "Port $PORT is taken by another program. Stop it, or choose another port: make dev PORT=$((PORT + 1))" >&2
  exit 1
fi

[ -f .dev.vars ] || { install -m 600 .dev.vars.example .dev.vars; echo "Created .dev.vars for your keys from .dev.vars.example."; }

key=sk-llm-bridge-dev
grep -qs "$key" .dev.vars || key='ONE-OF-YOUR-ACCESS_API_KEYS'

try() {  # $1: options of curl, $2: more fields of the request
  printf "  curl %shttp://localhost:%s/v1/chat/completions -H 'authorization: Bearer %s' -H 'content-type: application/json' -d '{\"model\":\"demo/echo\",%s\"messages\":[{\"role\":\"user\",\"content\":\"Hello!\"}]}'\n" \
    "$1" "$PORT" "$key" "$2"
}

# Any response means that the gateway is up.
answers() { (exec 3<>/dev/tcp/127.0.0.1/"$PORT" && printf 'GET /health HTTP/1.0\r\n\r\n' >&3 && read -r _ <&3) 2>/dev/null; }

# wrangler replaces this process below and keeps its id: $$.
{
  until answers; do kill -0 $$ 2>/dev/null || exit; sleep 0.2; done
  sleep 0.5
  printf '\nLLM Bridge is running. Try a chat, then the same as a stream, then add your providers:\n'
  try '' ''
  try '-N ' '"stream":true,'
  # If the lines of the bucket for log files are uncommented:
  ! grep -q '^binding *= *"LOGS"' "$toml" || printf '  Log files: make logs. Closed segments are in a simulated bucket, below .wrangler/state/v3/r2.\n'
  printf '  Providers and models: %s (reloaded when you save it). Keys: .dev.vars. More: README.md\n\n' "$CONFIG"
} &

# Without a terminal, wrangler asks no questions, writes a plain log, and leaves Ctrl-C to the shell.
exec wrangler dev --config "$toml" --port "$PORT" --show-interactive-dev-session=false </dev/null
