// `llm-bridge import`: what is made of another gateway's configuration is sound by the gateway's own check, is served,
// and holds no secret.

import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "yaml";
import { call, chatRequest, HELLO } from "../workerd/client.mjs";
import { startFake } from "../workerd/fake-openai.mjs";
import { file, folder, KEY, run, serve } from "./serve.mjs";

let fake;
before(async () => (fake = await startFake()));
after(() => fake.stop());

/** Imports a file. Returns its YAML, as text and parsed, what was said, and the variables. */
async function moved(origin, text) {
  const place = folder();
  const [to, env] = [join(place, "config.yaml"), join(place, "variables")];
  const { code, text: said } = await run(["import", origin, file("source", text), "--to", to, "--env", env]);
  assert.equal(code, 0, said);
  const checked = await run(["check", to]);
  assert.equal(checked.code, 0, `${checked.text}\n${readFileSync(to, "utf8")}`);
  assert.equal(statSync(env).mode & 0o777, 0o600);
  return { path: to, yaml: readFileSync(to, "utf8"), config: parse(readFileSync(to, "utf8")), said, env, variables: readFileSync(env, "utf8") };
}

const litellm = (origin) => `
model_list:
  - model_name: gpt-4o
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/MY_OPENAI_KEY, timeout: 30 }
  - model_name: fast
    litellm_params: { model: openai/ok, api_base: "${origin}/v1", api_key: sk-literal-123, weight: 3, rpm: 60 }
    model_info: { input_cost_per_token: 0.00000015, output_cost_per_token: 0.0000006, max_input_tokens: 128000, max_output_tokens: 16384, mode: chat }
  - model_name: fast
    litellm_params: { model: groq/llama-3.3-70b-versatile, weight: 1 }
  - model_name: claude
    litellm_params: { model: anthropic/claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY, max_tokens: 2000 }
  - model_name: local
    litellm_params: { model: ollama_chat/llama3.2 }
  - model_name: azure
    litellm_params: { model: azure/gpt-4o, api_base: https://x.openai.azure.com, api_version: 2024-02-01 }
  - model_name: "anthropic/*"
    litellm_params: { model: "anthropic/*", api_key: os.environ/ANTHROPIC_API_KEY }
litellm_settings:
  drop_params: true
  num_retries: 3
  fallbacks: [{ fast: [claude] }, { missing: [fast] }]
  success_callback: [langfuse]
router_settings: { model_group_alias: { gpt-4: gpt-4o } }
general_settings: { master_key: sk-master-456, database_url: postgres://u:p@h/d }
environment_variables: { LANGFUSE_KEY: secret-789 }
`;

test("LiteLLM: providers, names, weights, fallbacks, prices and variables are carried over", async () => {
  const { config, yaml, said, variables } = await moved("litellm", litellm(fake.origin));
  assert.deepEqual(Object.keys(config.providers), ["openai", "openai-2", "groq", "anthropic", "ollama_chat"]);
  assert.equal(config.providers.openai.api_key_env, "MY_OPENAI_KEY");
  assert.deepEqual(config.providers.openai.models["gpt-4o"], { timeout: 30 });
  assert.deepEqual(config.providers["openai-2"].models.ok, { price: { input: 0.15, output: 0.6 }, context: 128000, max_output: 16384 });
  assert.equal(config.providers.groq.api_key_env, undefined, "the variable has the provider's name");
  assert.equal(config.providers.ollama_chat.api_key_env, "none");
  assert.deepEqual(config.providers.anthropic.models["claude-sonnet-4-5"].param_config, { add_params: { max_tokens: 2000 } });
  assert.ok("*" in config.providers.anthropic.models);
  assert.deepEqual(config.routes.fast, {
    strategy: "weighted",
    attempts: 4,
    targets: [{ model: "openai-2/ok", weight: 3 }, { model: "groq/llama-3.3-70b-versatile", weight: 1 }, { model: "anthropic/claude-sonnet-4-5", weight: 0 }],
  });
  assert.deepEqual(config.aliases, { "gpt-4o": "openai/gpt-4o", claude: "anthropic/claude-sonnet-4-5", local: "ollama_chat/llama3.2", "gpt-4": "openai/gpt-4o" });

  for (const secret of ["sk-literal-123", "sk-master-456", "secret-789", "postgres"]) {
    assert.ok(!yaml.includes(secret), secret);
    assert.ok(!said.includes(secret), secret);
  }
  assert.match(variables, /^OPENAI_2_API_KEY=sk-literal-123$/m);
  assert.match(variables, /^ADMIN_API_KEYS=sk-master-456$/m);
  for (const note of [/model_list\[5\]: azure\/gpt-4o: providers of the kind azure/, /model_list\[1\].litellm_params.rpm/, /litellm_settings.success_callback/, /missing is no model/, /general_settings.database_url/]) assert.match(said, note);
  assert.doesNotMatch(said, /drop_params/);
});

test("LiteLLM: what was carried over is served", async () => {
  const { path, env } = await moved("litellm", litellm(fake.origin));
  const gateway = await serve({ config: path, env: { ACCESS_API_KEYS: KEY }, words: ["--env-file", env] });
  const answer = await call(`${gateway.url}/v1/chat/completions`, chatRequest(KEY, { model: "fast", messages: HELLO }));
  assert.equal(answer.status, 200, answer.text);
  assert.equal(fake.last().headers.authorization, "Bearer sk-literal-123");
  await gateway.stop();
});

test("One API: channels become providers; priorities, weights and mappings become routes", async () => {
  const channels = [
    { id: 1, type: 1, name: "OpenAI main", key: "sk-one", status: 1, models: "gpt-4o,gpt-4o-mini", priority: 10, weight: 2, group: "default" },
    { id: 2, type: 8, name: "中转", key: "sk-two", status: 1, base_url: "https://relay.example.com/", models: "gpt-4o,claude", model_mapping: '{"claude":"claude-sonnet-4-5"}', priority: 10, weight: 1, group: "vip" },
    { id: 3, type: 36, name: "deepseek", key: "", status: 1, models: "gpt-4o", model_mapping: '{"gpt-4o":"deepseek-chat"}', priority: 0 },
    { id: 4, type: 3, name: "azure", key: "x", status: 1, models: "gpt-4o" },
    { id: 5, type: 1, name: "old", key: "x", status: 2, models: "gpt-4o" },
    { id: 6, type: 30, name: "ollama", key: "", status: 1, models: "llama3.2", model_mapping: "{broken" },
  ];
  const { config, yaml, said, variables } = await moved("one-api", JSON.stringify({ success: true, data: channels }));
  assert.deepEqual(Object.keys(config.providers), ["openai-main", "custom", "deepseek", "ollama"]);
  assert.equal(config.providers.custom.base_url, "https://relay.example.com/v1");
  assert.deepEqual(config.routes["gpt-4o"].targets, [{ model: "openai-main/gpt-4o", weight: 2 }, { model: "custom/gpt-4o", weight: 1 }, { model: "deepseek/deepseek-chat", weight: 0 }]);
  assert.equal(config.aliases.claude, "custom/claude-sonnet-4-5");
  assert.ok(!yaml.includes("sk-one") && !said.includes("sk-one"));
  assert.match(variables, /^OPENAI_MAIN_API_KEY=sk-one\nCUSTOM_API_KEY=sk-two\n$|^CUSTOM_API_KEY=sk-two\nOPENAI_MAIN_API_KEY=sk-one\n$/);
  assert.match(said, /Variables to set: .*DEEPSEEK_API_KEY/);
  for (const note of [/channel azure: channels of type 3/, /channel old: it is disabled/, /channel 中转: its group vip/, /channel ollama: its model_mapping is no JSON/]) assert.match(said, note);
});

test("what is no such file is refused, and nothing is overwritten", async () => {
  const rows = [
    [["litellm", file("a", "x: 1")], /has no model_list/],
    [["litellm", file("a", "a: [")], /no YAML/],
    [["one-api", file("a", "{")], /no JSON/],
    [["one-api", file("a", "{}")], /no list of channels/],
    [["portkey", file("a", "")], /llm-bridge import litellm\|one-api FILE/],
    [["litellm", "/nowhere"], /\/nowhere: .*no such file/i],
  ];
  for (const [words, message] of rows) {
    const { code, text } = await run(["import", ...words]);
    assert.deepEqual([code, message.test(text)], [2, true], text);
  }
  const kept = file("config.yaml", "mine");
  const source = file("a", "model_list: []");
  assert.match((await run(["import", "litellm", source, "--to", kept])).text, /exists. Nothing was written/);
  assert.equal(readFileSync(kept, "utf8"), "mine");
  assert.equal(existsSync(join(folder(), "x")), false);
});
