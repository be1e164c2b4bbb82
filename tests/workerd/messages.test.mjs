// Clients of Anthropic's format, served by any provider: the official SDK against strict fakes.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { SCENE, startFormats } from "./fake-formats.mjs";
import { startGateway } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";

const KEY = "caller-key-3141592653";
const TOOLS = SCENE.calls.map(({ name }) => ({ name, description: "It tells.", input_schema: { type: "object", properties: { city: { type: "string" } } } }));

/** Strict fakes, a gateway before them, and the official client. */
async function startScene() {
  const formats = await startFormats();
  const config = `
providers:
  openai: { base_url: "${formats.openai}", models: { gpt-fake: {} } }
  claude: { adapter: anthropic, base_url: "${formats.anthropic}", models: { claude-fake: {} } }
  google: { adapter: gemini, base_url: "${formats.gemini}", models: { gemini-fake: {} } }
  demo: { adapter: echo, models: { echo: {} } }
`;
  const bindings = { ...OFFICE, ACCESS_API_KEYS: KEY, OPENAI_API_KEY: "key-of-openai", CLAUDE_API_KEY: "key-of-anthropic", GOOGLE_API_KEY: "key-of-gemini" };
  const gateway = await startGateway({ config, bindings });
  return { formats, gateway, client: new Anthropic({ baseURL: gateway.url, apiKey: KEY, maxRetries: 0 }) };
}

describe("a client of the Messages API", { concurrency: 4 }, () => {
  let formats, gateway, client;
  before(async () => {
    ({ formats, gateway, client } = await startScene());
  });
  after(async () => {
    await gateway.stop();
    await formats.stop();
  });

  const ask = (stream, request) => (stream ? client.messages.stream(request).finalMessage() : client.messages.create(request));

  it("is served by the demonstration, too, whole and streamed", async () => {
    const request = { model: "demo/echo", max_tokens: 100, messages: [{ role: "user", content: "one two" }] };
    for (const stream of [false, true]) {
      const { content, stop_reason } = await ask(stream, request);
      assert.match(content[0].text, /You said: one two$/);
      assert.equal(stop_reason, "end_turn");
    }
  });

  it("gets a provider's very bytes where that speaks the same, and its headers go on", async () => {
    const body = { model: "claude/claude-fake", max_tokens: 5, messages: [{ role: "user", content: "Hi" }], metadata: { user_id: "u" } };
    const headers = { "x-api-key": KEY, "content-type": "application/json", "anthropic-version": "2023-06-01", "anthropic-beta": "a-beta-2026" };
    const response = await fetch(`${gateway.url}/v1/messages?beta=true`, { method: "POST", headers, body: JSON.stringify(body) });
    assert.deepEqual({ status: response.status, id: (await response.json()).id }, { status: 200, id: "msg_0" });
    const seen = formats.requests.findLast((request) => request.body.metadata?.user_id === "u");
    assert.deepEqual(
      { "anthropic-beta": seen.headers["anthropic-beta"], "x-api-key": seen.headers["x-api-key"], body: seen.body },
      { "anthropic-beta": "a-beta-2026", "x-api-key": "key-of-anthropic", body: { ...body, model: "claude-fake" } },
    );
  });

  it("gets errors in its own shape", async () => {
    const request = { model: "claude/claude-fake", max_tokens: 5, messages: [{ role: "user", content: "Hi" }] };
    const rejects = (asked, status, type) => assert.rejects(asked, (error) => error.status === status && error.error.type === "error" && error.error.error.type === type);
    await rejects(client.messages.create({ ...request, model: "nobody/x" }), 404, "not_found_error");
    await rejects(new Anthropic({ baseURL: gateway.url, apiKey: "wrong", maxRetries: 0 }).messages.create(request), 401, "authentication_error");
    await rejects(client.messages.create({ ...request, messages: [{ role: "assistant", content: "Hi" }] }), 400, "invalid_request_error");
    await rejects(client.messages.create({ ...request, model: "google/gemini-fake", messages: [{ role: "user", content: 5 }] }), 400, "invalid_request_error");
  });

  it("finds the request's id where it looks for it, in answers and in errors", async () => {
    const request = { model: "openai/gpt-fake", max_tokens: 5, messages: [{ role: "user", content: "Hi" }] };
    const { request_id, response } = await client.messages.create(request).withResponse();
    assert.match(request_id, /^req_/);
    assert.equal(response.headers.get("x-request-id"), request_id);
    const refused = client.messages.create({ ...request, model: "nobody/x" }, { headers: { "x-request-id": "mine-1" } });
    await assert.rejects(refused, (error) => error.requestID === "mine-1" && error.error.request_id === "mine-1");
  });

  it("is told the models in its own shape, and an OpenAI client in its", async () => {
    const { data, has_more, first_id, last_id } = await client.models.list();
    assert.deepEqual(data.map(({ id }) => id), ["openai/gpt-fake", "claude/claude-fake", "google/gemini-fake", "demo/echo"]);
    assert.deepEqual({ has_more, first_id, last_id }, { has_more: false, first_id: "openai/gpt-fake", last_id: "demo/echo" });
    const { created_at, type, id, display_name, capabilities } = await client.models.retrieve("claude/claude-fake");
    assert.deepEqual({ type, id, display_name }, { type: "model", id: "claude/claude-fake", display_name: "claude/claude-fake" });
    // An unknown Claude counts as the newest one.
    assert.equal(capabilities.image_input.supported, true);
    assert.ok(Math.abs(new Date(created_at) - Date.now()) < 600_000);
    await assert.rejects(client.models.retrieve("nobody/x"), (error) => error.status === 404 && error.error.error.type === "not_found_error");
    const headers = { authorization: `Bearer ${KEY}` };
    const { object } = await fetch(`${gateway.url}/v1/models`, { headers }).then((response) => response.json());
    assert.equal(object, "list");
  });

  for (const model of ["openai/gpt-fake", "claude/claude-fake", "google/gemini-fake"]) {
    it(`${model}: a stream that is cut is an error`, async () => {
      const cut = await startFormats();
      cut.cut(true);
      const rows = { openai: `base_url: "${cut.openai}"`, claude: `adapter: anthropic, base_url: "${cut.anthropic}"`, google: `adapter: gemini, base_url: "${cut.gemini}"` };
      const config = `providers:\n${Object.entries(rows).map(([name, row]) => `  ${name}: { ${row}, models: "*" }\n`).join("")}`;
      const other = await startGateway({ config, bindings: { ACCESS_API_KEYS: KEY, OPENAI_API_KEY: "key-of-openai", CLAUDE_API_KEY: "key-of-anthropic", GOOGLE_API_KEY: "key-of-gemini" } });
      try {
        const results = SCENE.calls.map((_, n) => ({ type: "tool_result", tool_use_id: `c${n}`, content: "1" }));
        const calls = SCENE.calls.map(({ name }, n) => ({ type: "tool_use", id: `c${n}`, name, input: {} }));
        const messages = [{ role: "user", content: "Hi" }, { role: "assistant", content: calls }, { role: "user", content: results }];
        const asked = new Anthropic({ baseURL: other.url, apiKey: KEY, maxRetries: 0 }).messages.stream({ model, max_tokens: 9, messages }).finalMessage();
        // A chat whose choice has a finish reason is complete, whatever is missing after it.
        if (model.startsWith("openai")) await asked;
        else await assert.rejects(asked, ({ error, message }) => JSON.stringify([error, message]).includes("api_error") || message.includes("broke off"));
      } finally {
        await other.stop();
        await cut.stop();
      }
    });
  }
});

describe("a client who asks for a count of tokens", () => {
  let formats, gateway, client;
  before(async () => {
    ({ formats, gateway, client } = await startScene());
  });
  after(async () => {
    await gateway.stop();
    await formats.stop();
  });

  const messages = [{ role: "user", content: [{ type: "text", text: "Weather?" }] }];
  const asked = { system: "Be brief.", messages, tools: TOOLS };
  const count = (model, more = {}) => client.messages.countTokens({ model, ...asked, ...more }).withResponse();

  it("gets the provider's own where that speaks the same, to which only the prompt goes", async () => {
    const { data, response } = await count("claude/claude-fake", { thinking: { type: "enabled", budget_tokens: 1024 } });
    assert.equal(data.input_tokens, JSON.stringify([asked.system, messages, TOOLS]).length);
    assert.equal(response.headers.get("x-llm-bridge-estimated"), null);
    const seen = formats.requests.at(-1);
    assert.deepEqual(
      { url: seen.url, body: seen.body },
      { url: "/v1/messages/count_tokens", body: { model: "claude-fake", ...asked, thinking: { type: "enabled", budget_tokens: 1024 } } },
    );
    assert.equal((await client.beta.messages.countTokens({ model: "claude/claude-fake", messages, betas: ["a-beta-2026"] })).input_tokens > 0, true);
    assert.match(formats.requests.at(-1).headers["anthropic-beta"], /a-beta-2026/);
  });

  it("sends no signature of the gateway's own to the provider", async () => {
    const thought = { type: "thinking", thinking: "Hm.", signature: "llm-bridge:abc" };
    const turns = [...messages, { role: "assistant", content: [thought, { type: "text", text: "Where?" }] }, { role: "user", content: "Paris" }];
    assert.ok((await count("claude/claude-fake", { messages: turns })).data.input_tokens > 0);
    assert.ok(!JSON.stringify(formats.requests.at(-1).body).includes("llm-bridge"));
  });

  it("gets Gemini's", async () => {
    const { data, response } = await count("google/gemini-fake");
    const { model, systemInstruction, contents, tools } = formats.requests.at(-1).body.generateContentRequest;
    assert.deepEqual(
      { model, input_tokens: data.input_tokens },
      { model: "models/gemini-fake", input_tokens: JSON.stringify([systemInstruction, contents, tools]).length },
    );
    assert.deepEqual(
      { url: formats.requests.at(-1).url, "x-llm-bridge-estimated": response.headers.get("x-llm-bridge-estimated") },
      { url: "/v1beta/models/gemini-fake:countTokens", "x-llm-bridge-estimated": null },
    );
  });

  it("gets an estimate where no provider counts", async () => {
    const before = formats.requests.length;
    for (const model of ["openai/gpt-fake", "demo/echo"]) {
      const { data, response } = await count(model, { system: undefined, tools: undefined, messages: [{ role: "user", content: "hello world" }] });
      assert.deepEqual(
        { data, "x-llm-bridge-estimated": response.headers.get("x-llm-bridge-estimated") },
        { data: { input_tokens: 2 + 1 + 3 + 3 }, "x-llm-bridge-estimated": "true" },
      );
      assert.ok((await count(model)).data.input_tokens > 30, "tools count as well");
    }
    assert.equal(formats.requests.length, before);
  });

  it("is served at either path, and by no other method", async () => {
    const ask = (path, init) => fetch(gateway.url + path, { headers: { "x-api-key": KEY, "anthropic-version": "2023-06-01" }, ...init });
    const body = JSON.stringify({ model: "claude/claude-fake", messages });
    for (const path of ["/messages/count_tokens", "/v1/v1/messages/count_tokens/?beta=true"]) assert.equal((await ask(path, { method: "POST", body })).status, 200, path);
    const refused = await ask("/v1/messages/count_tokens", {});
    assert.deepEqual(
      { status: refused.status, "allow": refused.headers.get("allow"), type: (await refused.json()).type },
      { status: 405, "allow": "POST, OPTIONS", type: "error" },
    );
    assert.equal((await ask("/v1/messages/count_tokens", { method: "OPTIONS" })).status, 204);
  });

  for (const [status, told, type] of [[401, 502, "api_error"], [429, 429, "rate_limit_error"], [500, 500, "api_error"]]) {
    for (const model of ["claude/claude-fake", "google/gemini-fake"]) {
      it(`gets a refusal in its own shape: ${status} of ${model}`, async () => {
        formats.refuse(status, { "retry-after": "7" });
        try {
          await assert.rejects(count(model), ({ status: seen, error, headers }) => {
            assert.deepEqual(
              { seen, type: error.type, error: error.error.type, "retry-after": headers.get("retry-after") },
              { seen: told, type: "error", error: type, "retry-after": status === 401 ? null : "7" },
            );
            return true;
          });
        } finally {
          formats.refuse(null);
        }
      });
    }
  }

  it("is told what is wrong with it", async () => {
    const rejects = (asked, status, says) => assert.rejects(asked, (error) => error.status === status && error.error.type === "error" && says.test(error.error.error.message));
    await rejects(count("nobody/x"), 404, /not known/);
    await rejects(count("claude/claude-fake", { messages: undefined }), 400, /messages/);
    await rejects(count("openai/gpt-fake", { messages: [{ role: "user", content: 5 }] }), 400, /content/);
    await rejects(count("claude/claude-fake", { max_tokens: 5 }), 400, /max_tokens: Extra inputs/);
    await rejects(new Anthropic({ baseURL: gateway.url, apiKey: "wrong", maxRetries: 0 }).messages.countTokens({ model: "claude/claude-fake", messages }), 401, /key/);
  });

  it("has a key that may, which it costs nothing", async () => {
    const office = new Office(gateway.url);
    const key = await office.key("counter", { models: ["claude/*", "openai/*"], requests_per_minute: 1, budget: { amount: "0.000001", per: "total" } });
    const mine = new Anthropic({ baseURL: gateway.url, apiKey: key, maxRetries: 0 });
    for (const model of ["claude/claude-fake", "openai/gpt-fake", "claude/claude-fake"]) {
      assert.ok((await mine.messages.countTokens({ model, messages })).input_tokens > 0);
    }
    await assert.rejects(mine.messages.countTokens({ model: "google/gemini-fake", messages }), ({ status, error }) => status === 403 && error.error.type === "permission_error");
    assert.deepEqual(await office.receipts("counter"), []);
  });
});
