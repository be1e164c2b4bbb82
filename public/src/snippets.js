// How clients call the gateway with a key, as text that works as it stands.

/** `origin` is the address of the gateway, `key` the text of a key, `model` a model that it may call. */
export function snippets({ origin, key, model }) {
  const base = `${origin}/v1`;
  return [
    ["curl", `curl ${base}/chat/completions \\
  -H 'authorization: Bearer ${key}' \\
  -H 'content-type: application/json' \\
  -d '{"model":"${model}","messages":[{"role":"user","content":"Hello!"}]}'`],
    ["Python", `from openai import OpenAI

client = OpenAI(base_url="${base}", api_key="${key}")
chat = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Hello!"}],
)
print(chat.choices[0].message.content)`],
    ["Node.js", `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${base}", apiKey: "${key}" });
const chat = await client.chat.completions.create({
  model: "${model}",
  messages: [{ role: "user", content: "Hello!" }],
});
console.log(chat.choices[0].message.content);`],
    ["Claude Code", `export ANTHROPIC_BASE_URL=${origin}
export ANTHROPIC_AUTH_TOKEN=${key}
export ANTHROPIC_MODEL=${model}
claude`],
    ["Codex", `export LLM_BRIDGE_API_KEY=${key}
export CODEX_HOME=~/.codex-llm-bridge
mkdir -p $CODEX_HOME
cat > $CODEX_HOME/config.toml <<'END'
model = "${model}"
model_provider = "llm-bridge"

[model_providers.llm-bridge]
name = "LLM Bridge"
base_url = "${base}"
wire_api = "responses"

[model_providers.llm-bridge.auth]
command = "printenv"
args = ["LLM_BRIDGE_API_KEY"]
END
codex`],
    ["Gemini CLI", `export GOOGLE_GEMINI_BASE_URL=${origin}
export GEMINI_API_KEY=${key}
export GEMINI_MODEL=${model}
gemini`],
    ["Cherry Studio", `API host: ${origin}
API key:  ${key}
Model:    ${model}`],
    ["Cline", `API provider: OpenAI Compatible
Base URL:     ${base}
API key:      ${key}
Model ID:     ${model}`],
    ["Open WebUI", `OPENAI_API_BASE_URL=${base}
OPENAI_API_KEY=${key}`],
  ];
}
