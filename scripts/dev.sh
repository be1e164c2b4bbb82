#!/usr/bin/env bash
# Serves the gateway as built, until Ctrl-C: the last step of `make dev`, which sets PORT and CONFIG and has built everything.
set -euo pipefail

listens() { (: </dev/tcp/127.0.0.1/"$PORT") 2>/dev/null; }

if listens; then
  echo "Port $PORT is taken by another program. Stop that one, or choose another port: make dev PORT=$((PORT + 1))" >&2
  exit 1
fi

[ -f .dev.vars ] || { install -m 600 .dev.vars.example .dev.vars; echo "Made .dev.vars for your keys, from .dev.vars.example."; }

key=sk-llm-bridge-dev
grep -qs "$key" .dev.vars || key='ONE-OF-YOUR-ACCESS_API_KEYS'

try() {  # $1: options of curl, $2: more of the request
  printf "  curl %shttp://localhost:%s/v1/chat/completions -H 'authorization: Bearer %s' -H 'content-type: application/json' -d '{\"model\":\"demo/echo\",%s\"messages\":[{\"role\":\"user\",\"content\":\"Hello!\"}]}'\n" \
    "$1" "$PORT" "$key" "$2"
}

# The first answer of any kind means that the gateway is up.
answers() { (exec 3<>/dev/tcp/127.0.0.1/"$PORT" && printf 'GET /health HTTP/1.0\r\n\r\n' >&3 && read -r _ <&3) 2>/dev/null; }

# Below, wrangler takes this process's place, and so its number: $$.
{
  until answers; do kill -0 $$ 2>/dev/null || exit; sleep 0.2; done
  sleep 0.5
  printf '\nLLM Bridge is up. Try a chat, the same streamed, then add your providers:\n'
  try '' ''
  try '-N ' '"stream":true,'
  printf '  Providers and models: %s (save it, and it is served). Keys: .dev.vars. More: README.md\n\n' "$CONFIG"
} &

# No terminal for wrangler: it then asks no questions, keeps the log plain, and leaves Ctrl-C to the shell.
exec wrangler dev --port "$PORT" --show-interactive-dev-session=false </dev/null
