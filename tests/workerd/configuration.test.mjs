// The configuration file: each fault is reported with its line, nothing else is shown, and valid values apply
// as written.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { call, chatRequest, HELLO } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { startGateway } from "./harness.mjs";
import { KEY, PROVIDER_KEY } from "./stage.mjs";

const BINDINGS = { ACCESS_API_KEYS: KEY, OPENAI_API_KEY: PROVIDER_KEY };
const INVALID = { status: 500, type: "configuration_error", code: "invalid_configuration", param: null };

async function withGateway(config, visit) {
  const gateway = await startGateway({ config, bindings: BINDINGS });
  try {
    await visit(gateway);
    assert.deepEqual(gateway.leaks(), [], "secrets in the log");
  } finally {
    await gateway.stop();
  }
}

const list = (gateway) => call(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${KEY}` } });
const chat = (gateway, headers = {}) => call(`${gateway.url}/v1/chat/completions`, chatRequest(KEY, { model: "demo/echo", messages: HELLO }, headers));

describe("a faulty configuration", () => {
  for (const [what, says, config] of [
    ["a line that is no YAML", [/line [23]\b/], 'default_provider: "demo\nproviders: {}\n'],
    ["a tab for indentation", [/line 2\b/], "providers:\n\tdemo: {}\n"],
    ["a misspelt key at the top", [/line 2\b/, /provders/, /providers/], "default_provider: demo\nprovders:\n  demo: { adapter: echo, models: { echo: {} } }\n"],
    [
      "a misspelt key of a provider",
      [/line 4\b/, /providers\.demo\.modles/, /models/],
      "providers:\n  demo:\n    adapter: echo\n    modles: { echo: {} }\n",
    ],
    [
      "a misspelt key of a model",
      [/line 5\b/, /providers\.openai\.models\.gpt-4o\.timout/, /timeout/],
      "providers:\n  openai:\n    base_url: https://api.example/v1\n    models:\n      gpt-4o: { timout: 5 }\n",
    ],
    [
      "an unknown adapter",
      [/line 3\b/, /providers\.main\.adapter/, /openai/],
      "providers:\n  main:\n    adapter: opneai\n    base_url: https://api.example/v1\n    models: { a: {} }\n",
    ],
    ["a provider without an address", [/providers\.nowhere/, /base_url/], "providers:\n  nowhere:\n    adapter: openai\n    models: { a: {} }\n"],
    [
      "an address that is none",
      [/line 3\b/, /providers\.main\.base_url/],
      "providers:\n  main:\n    base_url: not an address\n    models: { a: {} }\n",
    ],
    [
      "words where a number belongs",
      [/line 6\b/, /providers\.main\.models\.a\.timeout/],
      "providers:\n  main:\n    base_url: https://api.example/v1\n    models:\n      a:\n        timeout: soon\n",
    ],
    [
      "a timeout below zero",
      [/line 4\b/, /providers\.main\.models\.a\.timeout/],
      "providers:\n  main:\n    base_url: https://api.example/v1\n    models: { a: { timeout: -1 } }\n",
    ],
    [
      "models that are a list",
      [/line [45]\b/, /providers\.main\.models/],
      "providers:\n  main:\n    base_url: https://api.example/v1\n    models:\n      - a\n      - b\n",
    ],
    [
      "parameters that are no map",
      [/line 4\b/, /add_params/],
      "providers:\n  main:\n    base_url: https://api.example/v1\n    models: { a: { param_config: { add_params: [temperature] } } }\n",
    ],
    [
      "a default provider that is not there",
      [/line 1\b/, /default_provider/, /demo/],
      "default_provider: dmo\nproviders:\n  demo: { adapter: echo, models: { echo: {} } }\n",
    ],
    ["no providers at all", [/providers/], "default_provider: demo\n"],
    ["nothing", [/./], ""],
    ["a list", [/./], "- a\n- b\n"],
    [
      "a limit below zero",
      [/line 3\b/, /limits\.max_body_bytes/],
      "providers:\n  demo: { adapter: echo, models: { echo: {} } }\nlimits: { max_body_bytes: -1 }\n",
    ],
    [
      "a level that logs do not have",
      [/line 3\b/, /logging\.level/],
      "providers:\n  demo: { adapter: echo, models: { echo: {} } }\nlogging: { level: loud }\n",
    ],
  ]) {
    it(`is named: ${what}`, () =>
      withGateway(config, async (gateway) => {
        for (const answer of [await list(gateway), await chat(gateway, { origin: "https://app.example" })]) {
          const { message } = expectError(answer, INVALID);
          for (const part of says) assert.match(message, part);
          assert.equal(answer.headers["access-control-allow-origin"], "*", "a browser may read it");
        }
      }));
  }

  it("shows no secret that was written into it by mistake", () => {
    const config = "providers:\n  main:\n    base_url: https://api.example/v1\n    api_kee: sk-live-written-by-mistake\n    models: { a: {} }\n";
    return withGateway(config, async (gateway) => {
      const answer = await list(gateway);
      expectError(answer, INVALID);
      assert.ok(!answer.text.includes("sk-live-written-by-mistake"));
      assert.ok(!gateway.lines.join("\n").includes("sk-live-written-by-mistake"));
    });
  });

  it("shows no key and no address of the sound part", () => {
    const config = "providers:\n  openai:\n    base_url: https://internal.example/v1\n    models: { a: { timeout: x } }\n";
    return withGateway(config, async (gateway) => {
      const answer = await list(gateway);
      expectError(answer, INVALID);
      for (const secret of [PROVIDER_KEY, KEY, "internal.example"]) assert.ok(!answer.text.includes(secret), secret);
    });
  });
});

describe("a sound configuration", () => {
  for (const [what, ids, config] of [
    ["may be as short as one provider", ["demo/echo"], "providers: { demo: { adapter: echo, models: { echo: {} } } }"],
    ["may leave a model's row empty", ["demo/echo"], "default_provider: demo\nproviders:\n  demo:\n    adapter: echo\n    models:\n      echo:\n"],
    ["may hold comments and Windows line ends", ["demo/echo"], "# ours\r\nproviders:\r\n  demo: # the first\r\n    adapter: echo\r\n    models: { echo: {} }\r\n"],
    ["may be JSON", ["demo/echo"], '{"providers": {"demo": {"adapter": "echo", "models": {"echo": {}}}}}'],
    [
      "may use anchors",
      ["openai/a", "openai/b"],
      "providers:\n  openai:\n    base_url: https://api.example/v1\n    models:\n      a: &row { timeout: 5 }\n      b: *row\n",
    ],
  ]) {
    it(what, () =>
      withGateway(config, async (gateway) => {
        const answer = await list(gateway);
        assert.equal(answer.status, 200, answer.text);
        assert.deepEqual(answer.json().data.map(({ id }) => id), ids);
      }));
  }

  it("may say all that the manual says", () => {
    const config = `
default_provider: openai
providers:
  demo:
    adapter: echo
    models:
      echo: {}
      slow: { echo: { delay_ms: 100 } }
      long: { echo: { words: 400, delay_ms: 5 } }
  openai:
    base_url: https://api.example/v1
    headers: { x-extra: yes }
    models:
      gpt-4o: { max_tokens: 8192, timeout: 120 }
      "o3-mini<high>": { timeout: 60, param_config: { add_params: { reasoning_effort: high } } }
  any:
    base_url: https://api.example/v1/chat/completions
    api_key_env: none
    models: "*"
cors: { origins: ["https://app.example"] }
limits: { max_body_bytes: 20971520 }
logging: { format: json, level: info, fields: { messages: true }, output: { console: true } }
`;
    return withGateway(config, async (gateway) => {
      assert.equal((await list(gateway)).status, 200);
      assert.equal((await chat(gateway)).status, 200);
    });
  });

  // The file that the Python LLM Bridge shipped, shortened to one row of each kind.
  it("may be the one of the Python LLM Bridge", () => {
    const config = `
providers:
  openai:
    adapter: openai
    base_url: "https://api.example/v1/chat/completions"
    requires_proxy: false
    models:
      gpt-4o:
        max_tokens: 8192
        timeout: 120
      "o3-mini<medium>":
        max_tokens: 4096
        timeout: 300
        param_config:
          add_params:
            reasoning_effort: "medium"
      deepseek-reasoner:
        max_tokens: 8192
        timeout: 180
        param_config:
          update_params:
            temperature: 0.6
          rename_params:
            max_tokens: max_reasoning_token
logging:
  format: "json"
  output:
    file:
      path: "../logs/llm-bridge.log"
      max_size: 10485760
      backup_count: 5
    console: true
  level: "debug"
`;
    return withGateway(config, async (gateway) => {
      const answer = await list(gateway);
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(answer.json().data.map(({ id }) => id), ["openai/gpt-4o", "openai/o3-mini<medium>", "openai/deepseek-reasoner"]);
    });
  });
});
