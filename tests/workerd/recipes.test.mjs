// Clients of docs/clients.md that no registry has as a program to run here: what they send, as their documentation and
// sources say, by models of each format. Those that can be installed are run in tests/clis.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { as, call } from "./client.mjs";
import { expectOneDone } from "./expect.mjs";
import { SCENE, startFormats } from "./fake-formats.mjs";
import { startGateway } from "./harness.mjs";

const KEY = "caller-key-3141592653";
const PIXEL = "data:image/png;base64,iVBORw0KGgo=";
const TEXT = SCENE.words.join("");
const TOOL = { type: "function", function: { name: "read_file", description: "Reads a file.", parameters: { type: "object", properties: { path: { type: "string" } }, required: ["path"] }, strict: false } };
const user = (content) => ({ role: "user", content });
const TALK = [user("Hello!"), { role: "assistant", content: "Hi." }, user("How are you?")];
// What the OpenAI SDK for JavaScript, by which several of them call, adds to each request.
const STAINLESS = { "x-stainless-lang": "js", "x-stainless-package-version": "5.23.2", "x-stainless-runtime": "node", "x-stainless-retry-count": "0", "x-stainless-timeout": "600", "user-agent": "OpenAI/JS 5.23.2" };

/**
 * Each client: where its requests are documented, whether it asks for the models, its headers, the path that it adds to
 * what its user types, and the bodies that it sends, without the model.
 */
const CLIENTS = {
  Cline: {
    // https://docs.cline.bot/provider-config/openai-compatible; src/core/api/providers/openai.ts of cline/cline
    headers: { ...STAINLESS, "http-referer": "https://cline.bot", "x-title": "Cline" },
    path: "/v1/chat/completions",
    bodies: {
      "a task": { messages: [{ role: "system", content: "You are Cline." }, user([{ type: "text", text: "<task>Hello</task>" }, { type: "text", text: "<environment_details></environment_details>" }])], temperature: 0, stream: true, stream_options: { include_usage: true } },
      "a task with tools and a picture": { messages: [{ role: "system", content: "You are Cline." }, user([{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url: PIXEL } }])], temperature: 0, max_tokens: 8192, stream: true, stream_options: { include_usage: true }, tools: [TOOL] },
    },
  },
  "Open WebUI": {
    // https://docs.openwebui.com/getting-started/quick-start/connect-a-provider/starting-with-openai-compatible/;
    // backend/open_webui/routers/openai.py of open-webui/open-webui
    lists: true,
    headers: { "x-openwebui-user-name": "A%20User", "x-openwebui-user-id": "u1", "x-openwebui-user-email": "a@example.com", "x-openwebui-user-role": "user", accept: "*/*", "user-agent": "Python/3.11 aiohttp/3.12.15" },
    path: "/v1/chat/completions",
    bodies: {
      "a chat": { stream: true, messages: TALK, stream_options: { include_usage: true } },
      "a chat with a picture": { stream: true, messages: [user([{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url: PIXEL } }])] },
      "a title": { messages: [user("### Task:\nGenerate a concise title.")], stream: false, max_completion_tokens: 1000 },
      "tags, with a limit of the older name": { messages: [user("### Task:\nGenerate tags.")], stream: false, max_tokens: 1000 },
    },
  },
  "Cherry Studio": {
    // https://docs.cherry-ai.com, "Custom providers"; what it checks and sends is in issues 6155, 15933 and 18111
    lists: true,
    headers: { "http-referer": "https://cherry-ai.com", "x-title": "Cherry Studio", origin: "http://localhost:5173", ...STAINLESS },
    path: "/v1/chat/completions",
    bodies: {
      "the check of a model": { messages: [{ role: "system", content: "test" }, user("hi")], stream: true, max_tokens: 100 },
      "a chat": { messages: [{ role: "system", content: "You are an assistant." }, ...TALK], temperature: 1, top_p: 1, stream: true, stream_options: { include_usage: true } },
      "a topic's name": { messages: [{ role: "system", content: "Summarize in 10 words." }, user('[{"role":"user","content":"Hello"}]')], stream: false, max_tokens: 1000 },
    },
  },
  LibreChat: {
    // https://www.librechat.ai/docs/configuration/librechat_yaml/object_structure/default_params, /custom_endpoint
    lists: true,
    headers: STAINLESS,
    path: "/v1/chat/completions",
    bodies: {
      "a chat with its defaults": { temperature: 1, top_p: 1, presence_penalty: 0, frequency_penalty: 0, user: "65f0c0ffee0123456789abcd", stream: true, messages: [{ role: "system", name: "instructions", content: "Be kind." }, ...TALK] },
      "a title": { messages: [user("Write a title of five words for this conversation.")], temperature: 0.2, presence_penalty: 0, frequency_penalty: 0, max_tokens: 16, stream: false },
    },
  },
  Continue: {
    // https://docs.continue.dev/customize/model-providers/top-level/openai; core/llm/llms/OpenAI.ts of continuedev/continue
    lists: true,
    headers: { "api-key": KEY },
    path: "/v1/chat/completions",
    bodies: {
      "a chat": { messages: [{ role: "system", content: "<important_rules></important_rules>" }, user([{ type: "text", text: "Hello" }])], max_tokens: 4096, temperature: 0.5, stream: true },
      "an edit with tools": { messages: [user("Read a.txt.")], max_tokens: 4096, stream: true, stop: ["\n\n\n", "```"], tools: [TOOL], parallel_tool_calls: false },
    },
  },
};

/** The text of a stream, as a client adds it up that reads the first choice of every chunk. */
const streamed = (text) =>
  text.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6))).map(({ choices, error }) => (assert.equal(error, undefined), choices[0]?.delta?.content ?? "")).join("");

describe("a client that is replayed", () => {
  const MODELS = { openai: "gpt-fake", anthropic: "claude-fake", gemini: "gemini-fake", responses: "gpt-fake" };
  let formats, gateway;
  before(async () => {
    formats = await startFormats({ play: () => ({ words: SCENE.words }) });
    const row = ([adapter, model]) => `  ${adapter}: { adapter: ${adapter}, base_url: "${formats[adapter]}", models: { ${model}: {} } }`;
    const config = ["providers:", ...Object.entries(MODELS).map(row), ""].join("\n");
    const keys = Object.fromEntries(Object.keys(MODELS).map((name) => [`${name.toUpperCase()}_API_KEY`, `key-of-${name}`]));
    gateway = await startGateway({ config, bindings: { ACCESS_API_KEYS: KEY, ...keys } });
  });
  after(async () => {
    await gateway.stop();
    await formats.stop();
  });

  for (const [name, { headers, path, bodies, lists }] of Object.entries(CLIENTS)) {
    if (lists) {
      it(`${name} gets the list of models`, async () => {
        const list = await call(`${gateway.url}/v1/models`, { headers: { ...as(KEY), ...headers } });
        assert.equal(list.status, 200);
        const { object, data } = list.json();
        assert.equal(object, "list");
        assert.deepEqual(data.map(({ id }) => id), Object.entries(MODELS).map(([provider, model]) => `${provider}/${model}`));
      });
    }
    for (const [provider, model] of Object.entries(MODELS)) {
      for (const [what, body] of Object.entries(bodies)) {
        it(`${name} sends ${what} to a model of ${provider}`, async () => {
          const before = formats.refused.length;
          const answer = await call(`${gateway.url}${path}`, { method: "POST", headers: { ...as(KEY), ...headers }, body: JSON.stringify({ model: `${provider}/${model}`, ...body }) });
          assert.equal(answer.status, 200, answer.text);
          assert.deepEqual(formats.refused.slice(before), []);
          if (!body.stream) return assert.equal(answer.json().choices[0].message.content, TEXT);
          assert.equal(streamed(answer.text), TEXT);
          expectOneDone(answer.text);
          const usage = answer.text.includes('"usage":{');
          assert.equal(usage, body.stream_options?.include_usage === true, "the usage comes where it is asked for");
        });
      }
    }
  }

  it("a page or an app of Cherry Studio may ask from anywhere", async () => {
    const asked = Object.keys(CLIENTS["Cherry Studio"].headers).filter((header) => header !== "origin");
    const answer = await call(`${gateway.url}/v1/chat/completions`, { method: "OPTIONS", headers: { origin: "http://localhost:5173", "access-control-request-method": "POST", "access-control-request-headers": ["authorization", ...asked].join(",") } });
    assert.equal(answer.status, 204);
    const allowed = answer.headers["access-control-allow-headers"].toLowerCase().split(/, */);
    for (const header of ["authorization", ...asked]) assert.ok(allowed.includes(header) || allowed.includes("*"), header);
  });
});
