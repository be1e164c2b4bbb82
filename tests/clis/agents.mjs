// The coding agents: how each is set up, started and read. What they are told here is what docs/clients.md says.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** The key by which they call the gateway. */
export const KEY = "caller-key-2718281828";

/** The lines of a text that are JSON objects. */
const objects = (text) => text.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));

/** opencode, with a provider of the AI SDK. */
const opencode = (npm) => ({
  isNative: npm === "@ai-sdk/openai",
  bin: "opencode-ai/bin/opencode.exe",
  // It looks for the package by which its plugins are written, and goes on without. No setting prevents it.
  outside: ["registry.npmjs.org:443"],
  async setUp({ home, url, model }) {
    const options = { baseURL: `${url}/v1`, apiKey: "{env:LLM_BRIDGE_API_KEY}" };
    const config = {
      model: `llm-bridge/${model}`,
      small_model: `llm-bridge/${model}`,
      autoupdate: false,
      share: "disabled",
      provider: { "llm-bridge": { npm, name: "LLM Bridge", options, models: { [model]: {} } } },
    };
    await writeFile(join(home, "opencode.json"), JSON.stringify(config));
    return { LLM_BRIDGE_API_KEY: KEY, OPENCODE_CONFIG: join(home, "opencode.json"), OPENCODE_DISABLE_MODELS_FETCH: "1", OPENCODE_DISABLE_LSP_DOWNLOAD: "1", OPENCODE_DISABLE_DEFAULT_PLUGINS: "1" };
  },
  args: (prompt) => ["run", "--pure", "--format", "json", "--auto", prompt],
  read(stdout) {
    const events = objects(stdout);
    const tokens = events.filter(({ type }) => type === "step_finish").map(({ part }) => part.tokens);
    const sum = (read) => tokens.reduce((sum, tokens) => sum + read(tokens), 0);
    return {
      text: events.findLast(({ type }) => type === "text")?.part.text,
      errors: events.filter(({ type }) => type === "error").map(({ error }) => error.data?.message ?? error.name),
      usage: { input: sum(({ input, cache }) => input + cache.read + cache.write), output: sum(({ output, reasoning }) => output + reasoning) },
    };
  },
});

/**
 * Each agent: `bin`, its path below `node_modules/`; `setUp`, which writes its settings into the home folder `home`
 * and returns its environment; `args`, its arguments for a prompt; `read`, which takes what it printed and returns
 * what it told its user: the last text, the errors, and the usage if it tells one; `outside`, the hosts that it asks
 * for whatever its settings; `isNative`, that it calls the Responses API.
 */
export const AGENTS = {
  // Its prompts come as Responses.
  codex: {
    isNative: true,
    bin: "@openai/codex/bin/codex.js",
    async setUp({ home, url, model }) {
      await mkdir(join(home, ".codex"));
      const config = [
        `model = "${model}"`,
        `model_provider = "llm-bridge"`,
        `check_for_update_on_startup = false`,
        `[model_providers.llm-bridge]`,
        `name = "LLM Bridge"`,
        `base_url = "${url}/v1"`,
        `wire_api = "responses"`,
        // So that a test of a provider which fails for good is over soon.
        `stream_max_retries = 2`,
        // With a key by `env_key` it does not ask for the models.
        `[model_providers.llm-bridge.auth]`,
        `command = "printenv"`,
        `args = ["LLM_BRIDGE_API_KEY"]`,
        // Otherwise it asks its vendor for plugins and sends figures there.
        `[features]`,
        `plugins = false`,
        `[analytics]`,
        `enabled = false`,
      ];
      await writeFile(join(home, ".codex/config.toml"), config.join("\n"));
      return { LLM_BRIDGE_API_KEY: KEY };
    },
    args: (prompt) => ["exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt],
    read(stdout) {
      const events = objects(stdout);
      const items = events.filter(({ type }) => type === "item.completed").map(({ item }) => item);
      const failed = events.filter(({ type }) => type === "turn.failed").map(({ error }) => error.message);
      const warned = items.filter(({ type }) => type === "error").map(({ message }) => message);
      const usage = events.find(({ type }) => type === "turn.completed")?.usage;
      return {
        text: items.findLast(({ type }) => type === "agent_message")?.text,
        errors: [...warned, ...events.filter(({ type }) => type === "error").map(({ message }) => message), ...failed],
        usage: usage && { input: usage.input_tokens, output: usage.output_tokens },
      };
    },
  },

  // Its prompts come in Gemini's format.
  gemini: {
    bin: "@google/gemini-cli/bundle/gemini.js",
    async setUp({ home, url }) {
      await mkdir(join(home, ".gemini"));
      const settings = {
        security: { auth: { selectedType: "gemini-api-key" } },
        privacy: { usageStatisticsEnabled: false },
        general: { enableAutoUpdate: false, enableAutoUpdateNotification: false, maxAttempts: 3 },
      };
      await writeFile(join(home, ".gemini/settings.json"), JSON.stringify(settings));
      // Without the last it starts itself a second time, with more memory.
      return { GEMINI_API_KEY: KEY, GOOGLE_GEMINI_BASE_URL: url, GEMINI_CLI_NO_RELAUNCH: "true" };
    },
    args: (prompt, { model }) => ["-m", model, "-p", prompt, "--yolo", "--skip-trust", "-o", "stream-json"],
    read(stdout) {
      const events = objects(stdout);
      const end = events.findLast(({ type }) => type === "result");
      // The text of the last turn: what came after the last use of a tool. Its count of output is without thoughts.
      const last = events.slice(events.findLastIndex(({ type }) => type.startsWith("tool_")) + 1);
      const text = last.filter(({ type, role }) => type === "message" && role === "assistant").map(({ content }) => content).join("");
      const errors = events.filter(({ type }) => type === "error").map(({ message }) => message);
      return {
        text: text || undefined,
        errors: [...errors, ...(end?.error ? [end.error.message] : [])],
        usage: end?.stats && { input: end.stats.input_tokens, output: end.stats.total_tokens - end.stats.input_tokens },
      };
    },
  },

  // Its prompts come as chats, or as Responses.
  "opencode by chats": opencode("@ai-sdk/openai-compatible"),
  "opencode by Responses": opencode("@ai-sdk/openai"),

  // Its prompts come in the format of the Messages API.
  claude: {
    bin: "@anthropic-ai/claude-code/bin/claude.exe",
    setUp: async ({ url, model }) => ({
      ANTHROPIC_BASE_URL: url,
      ANTHROPIC_AUTH_TOKEN: KEY,
      ANTHROPIC_MODEL: model,
      ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      CLAUDE_CODE_MAX_RETRIES: "2",
    }),
    args: (prompt) => ["-p", prompt, "--permission-mode", "acceptEdits", "--output-format", "json"],
    read(stdout) {
      const [end] = objects(stdout);
      return {
        text: end && !end.is_error ? end.result : undefined,
        errors: end?.is_error ? [end.result] : [],
        usage: end && { input: end.usage.input_tokens + end.usage.cache_read_input_tokens + end.usage.cache_creation_input_tokens, output: end.usage.output_tokens },
      };
    },
  },
};
