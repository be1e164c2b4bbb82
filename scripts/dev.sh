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

try() {  # $1: the model, $2: options of curl, $3: more fields of the request
  printf "  curl %shttp://localhost:%s/v1/chat/completions -H 'authorization: Bearer %s' -H 'content-type: application/json' -d '{\"model\":\"%s\",%s\"messages\":[{\"role\":\"user\",\"content\":\"Hello!\"}]}'\n" \
    "$2" "$PORT" "$key" "$1" "$3"
}

# Any response means that the gateway is up.
answers() { (exec 3<>/dev/tcp/127.0.0.1/"$PORT" && printf 'GET /health HTTP/1.0\r\n\r\n' >&3 && read -r _ <&3) 2>/dev/null; }

# A model to try: one that can be called with the keys that are set, `demo/echo` before all others.
model() {
  node scripts/first-model.mjs "http://127.0.0.1:$PORT" .dev.vars || echo PROVIDER/MODEL
}

# While wrangler serves, edits of the keys are followed, and build/config.yaml is a copy of the configuration that follows
# each edit. A file that is away, as while an editor saves it, leaves the last one in place: wrangler could not build without any, and requests would wait
# until it can.
follow() {
  local away=0 keys
  keys=$(cksum <.dev.vars)
  while kill -0 $$ 2>/dev/null; do
    # wrangler reads the keys when its own file is newer.
    if [ -f .dev.vars ] && [ "$keys" != "$(cksum <.dev.vars)" ]; then
      keys=$(cksum <.dev.vars)
      touch -c "$toml"
      echo ".dev.vars has changed: its keys are used from now on." >&2
    fi
    if [ -f "$CONFIG" ]; then
      [ "$away" -lt 2 ] || echo "$CONFIG is back." >&2
      away=0
      cmp -s "$CONFIG" build/config.yaml || { cp "$CONFIG" build/.config.yaml && mv -f build/.config.yaml build/config.yaml; } || true
    else
      # One look alone may fall between two steps of an editor.
      away=$((away + 1))
      [ "$away" -ne 2 ] || echo "$CONFIG is away: the gateway serves what it held. It is followed again when it is back." >&2
    fi
    sleep 0.5
  done
}

# wrangler replaces this process below and keeps its id: $$.
{
  until answers; do kill -0 $$ 2>/dev/null || exit; sleep 0.2; done
  sleep 0.5
  model=$(model)
  printf '\nLLM Bridge is running. Try a chat, then the same as a stream, then add your providers:\n'
  try "$model" '' ''
  try "$model" '-N ' '"stream":true,'
  # If the lines of the bucket for log files are uncommented:
  ! grep -q '^binding *= *"LOGS"' "$toml" || printf '  Log files: make logs. Closed segments are in a simulated bucket, below .wrangler/state/v3/r2.\n'
  printf '  Providers and models: %s (reloaded when you save it). Keys: .dev.vars (the same). More: README.md\n\n' "$CONFIG"
} &

follow &

# Without a terminal, wrangler asks no questions, writes a plain log, and leaves Ctrl-C to the shell.
exec wrangler dev --config "$toml" --port "$PORT" --show-interactive-dev-session=false </dev/null
