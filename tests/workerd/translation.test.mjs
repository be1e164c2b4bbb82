// Clients that speak OpenAI's format, served by providers that do not: the official SDK against strict stand-ins.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";
import { SCENE, startFormats } from "./fake-formats.mjs";
import { startGateway } from "./harness.mjs";

const KEY = "caller-key-3141592653";
const TOOLS = SCENE.calls.map(({ name }) => ({
  type: "function",
  function: { name, description: "It tells.", parameters: { type: "object", properties: { city: { type: "string" } }, additionalProperties: false, $schema: "http://json-schema.org/draft-07/schema#" } },
}));
const TEXT = SCENE.words.join("");

describe("an OpenAI client is served by", { concurrency: 4 }, () => {
  let formats, gateway, client;
  before(async () => {
    formats = await startFormats();
    const config = `
providers:
  claude: { adapter: anthropic, base_url: "${formats.anthropic}", models: { claude-fake: { price: { input: 1, output: 2 } }, careful: { strict: true } } }
  google: { adapter: gemini, base_url: "${formats.gemini}", models: { gemini-fake: { price: { input: 1, output: 2 } } } }
`;
    gateway = await startGateway({ config, bindings: { ACCESS_API_KEYS: KEY, CLAUDE_API_KEY: "key-of-anthropic", GOOGLE_API_KEY: "key-of-gemini" } });
    client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 });
  });
  after(async () => {
    await gateway.stop();
    await formats.stop();
  });

  /** Asks, and gives the message, its reason to finish, the usage and what was thought. */
  const ask = async (stream, request) => {
    if (!stream) {
      const { choices, usage, model } = await client.chat.completions.create(request);
      return { message: choices[0].message, reason: choices[0].finish_reason, usage, model };
    }
    const run = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
    let thought = "";
    run.on("chunk", ({ choices }) => (thought += choices[0]?.delta?.reasoning_content ?? ""));
    const { choices, usage, model } = await run.finalChatCompletion();
    return { message: { ...choices[0].message, reasoning_content: thought }, reason: choices[0].finish_reason, usage, model };
  };

  for (const model of ["claude/claude-fake", "google/gemini-fake"]) {
    for (const stream of [false, true]) {
      it(`${model}, ${stream ? "streamed" : "whole"}: a loop of tools runs to its end, with usage`, async () => {
        const messages = [
          { role: "system", content: "Be brief." },
          { role: "user", content: [{ type: "text", text: "Weather?" }, { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } }] },
        ];
        for (const { name, args } of SCENE.calls) {
          const { message, reason, usage } = await ask(stream, { model, messages, tools: TOOLS });
          assert.deepEqual([reason, message.tool_calls.length, message.tool_calls[0].function.name], ["tool_calls", 1, name]);
          assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), args);
          assert.equal(message.reasoning_content, SCENE.thought);
          assert.deepEqual([usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens, usage.total_tokens], [55, 30, 12, 67]);
          messages.push({ role: "assistant", content: message.content, tool_calls: message.tool_calls });
          messages.push({ role: "tool", tool_call_id: message.tool_calls[0].id, content: `{"of":"${name}"}` });
        }
        const { message, reason, model: served } = await ask(stream, { model, messages, tools: TOOLS });
        assert.deepEqual([message.content, reason, served], [TEXT, "stop", model.startsWith("claude") ? "claude-served" : "gemini-served"]);
      });
    }

    it(`${model}: what it cannot be told is named, or refused`, async () => {
      const request = { model, messages: [{ role: "user", content: "Hi", name: "ann" }], logit_bias: { 5: 1 }, store: false };
      const { response } = await client.chat.completions.create(request).withResponse();
      const dropped = response.headers.get("x-llm-bridge-dropped").split(", ").sort();
      assert.deepEqual(dropped, ["logit_bias", "messages[].name"]);
      const before = formats.requests.length;
      const refused = client.chat.completions.create(request, { headers: { "x-llm-bridge-strict": "true" } });
      await assert.rejects(refused, ({ status, code }) => status === 400 && code === "unsupported_parameter");
      assert.equal(formats.requests.filter(({ body }) => JSON.stringify(body).includes("\"ann\"")).length, 0);
      assert.ok(formats.requests.length >= before);
    });
  }

  for (const model of ["claude/claude-fake", "google/gemini-fake"]) {
    it(`${model}: the bill is that of the tokens it reports, whole and streamed`, async () => {
      const request = { model, messages: [{ role: "user", content: "Hi" }] };
      const { response } = await client.chat.completions.create(request).withResponse();
      // 55 tokens of a prompt at a dollar a million, 12 of an answer at two.
      assert.equal(response.headers.get("x-llm-bridge-cost"), "0.000079");
      const id = `bill-${model.split("/")[0]}`;
      for await (const _ of await client.chat.completions.create({ ...request, stream: true }, { headers: { "x-request-id": id } })) void _;
      const ended = () => gateway.logs().find((entry) => entry.request_id === id && entry.event === "request_complete");
      for (let waited = 0; !ended() && waited < 5_000; waited += 20) await sleep(20);
      const end = ended();
      assert.deepEqual([end.outcome, end.cost, end.input_tokens, end.output_tokens, end.estimated, end.dropped], ["complete", 0.000079, 55, 12, undefined, undefined]);
    });
  }

  it("claude: a strict row refuses what it would drop, and serves what it would not", async () => {
    const request = { model: "claude/careful", messages: [{ role: "user", content: "Hi" }] };
    assert.equal((await client.chat.completions.create(request)).choices[0].finish_reason, "tool_calls");
    await assert.rejects(client.chat.completions.create({ ...request, seed: 5 }), ({ status, param }) => status === 400 && param === "seed");
  });

  it("claude: a provider's refusal keeps its status and its words", async () => {
    const orphan = [{ role: "user", content: "Hi" }, { role: "tool", tool_call_id: "nobody", content: "?" }];
    const asked = client.chat.completions.create({ model: "claude/claude-fake", messages: orphan });
    await assert.rejects(asked, ({ status }) => status === 400);
  });
});

describe("a translated stream that is cut", () => {
  for (const model of ["claude/m", "google/gemini-fake"]) {
    it(`${model.split("/")[0]}: is an error, never a success`, async () => {
      const formats = await startFormats();
      formats.cut(true);
      const config = `
providers:
  claude: { adapter: anthropic, base_url: "${formats.anthropic}", models: "*" }
  google: { adapter: gemini, base_url: "${formats.gemini}", models: "*" }
`;
      const gateway = await startGateway({ config, bindings: { ACCESS_API_KEYS: KEY, CLAUDE_API_KEY: "key-of-anthropic", GOOGLE_API_KEY: "key-of-gemini" } });
      try {
        const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 });
        const asked = [{ role: "user", content: "Hi" }, { role: "assistant", tool_calls: SCENE.calls.map(({ name }, n) => ({ id: `c${n}`, type: "function", function: { name, arguments: "{}" } })) }, ...SCENE.calls.map((_, n) => ({ role: "tool", tool_call_id: `c${n}`, content: "1" }))];
        const read = async () => {
          for await (const _ of await client.chat.completions.create({ model, messages: asked, stream: true })) void _;
        };
        await assert.rejects(read(), ({ code, status }) => code === "stream_truncated" || status === 502);
      } finally {
        await gateway.stop();
        await formats.stop();
      }
    });
  }
});

describe("the pace of a translated stream", () => {
  it("lets the first word leave at once, what comes fast leave together, and keeps nothing back while the provider is silent", async () => {
    const heard = Promise.withResolvers();
    const end = Promise.withResolvers();
    const word = (text, more) => `data: ${JSON.stringify({ candidates: [{ content: { parts: [{ text }], role: "model" }, ...more }] })}\r\n\r\n`;
    const provider = createServer(async (_, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" }).write(word("first;"));
      await heard.promise;
      for (let number = 0; number < 100; number += 1) (res.write(word(`${number};`)), await sleep(1));
      await end.promise;
      res.end(word("", { finishReason: "STOP" }));
    }).listen(0, "127.0.0.1");
    await once(provider, "listening");
    const config = `
providers:
  google: { adapter: gemini, base_url: "http://127.0.0.1:${provider.address().port}", models: "*" }
`;
    const gateway = await startGateway({ config, bindings: { ACCESS_API_KEYS: KEY, GOOGLE_API_KEY: "key-of-gemini" } });
    try {
      const body = JSON.stringify({ model: "google/m", stream: true, messages: [{ role: "user", content: "Hi" }] });
      const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
      const { body: stream } = await fetch(`${gateway.url}/v1/chat/completions`, { method: "POST", headers, body });
      const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
      let [text, pieces] = ["", 0];
      const until = async (mark) => {
        for (pieces = 0; !text.includes(mark); pieces += 1) {
          const { value, done } = await reader.read();
          assert.ok(!done, `the stream ended before ${mark}`);
          text += value;
        }
      };
      await until("first;");
      heard.resolve();
      await until('"99;"');
      assert.ok(pieces < 40, `100 words came in ${pieces} pieces`);
      end.resolve();
      await until("[DONE]");
      const words = [...text.matchAll(/"content":"(\d+);"/g)].map(([, number]) => Number(number));
      assert.deepEqual(words, Array.from({ length: 100 }, (_, number) => number));
    } finally {
      heard.resolve();
      end.resolve();
      await gateway.stop();
      provider.closeAllConnections();
      provider.close();
    }
  });
});
