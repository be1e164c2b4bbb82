// Clients of OpenAI's format, served by providers of other formats: the official SDK against strict fakes.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { setImmediate as pause } from "node:timers/promises";
import OpenAI from "openai";
import { until } from "./client.mjs";
import { SCENE, startFormats } from "./fake-formats.mjs";
import { startGateway } from "./harness.mjs";

const KEY = "caller-key-3141592653";

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

  for (const model of ["claude/claude-fake", "google/gemini-fake"]) {
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
      // 55 prompt tokens at one dollar per million, 12 output tokens at two.
      assert.equal(response.headers.get("x-llm-bridge-cost"), "0.000079");
      const id = `bill-${model.split("/")[0]}`;
      for await (const _ of await client.chat.completions.create({ ...request, stream: true }, { headers: { "x-request-id": id } })) void _;
      const ended = () => gateway.logs().find((entry) => entry.request_id === id && entry.event === "request_complete");
      const end = await until(ended, "its end in the log");
      assert.deepEqual(
        { outcome: end.outcome, cost: end.cost, input_tokens: end.input_tokens, output_tokens: end.output_tokens, estimated: end.estimated, dropped: end.dropped },
        { outcome: "complete", cost: 0.000079, input_tokens: 55, output_tokens: 12, estimated: undefined, dropped: undefined },
      );
    });
  }

  for (const [model, cost] of [["claude/claude-fake", "0.000079"], ["google/gemini-fake", "0.000079"], ["claude/careful", "null"]]) {
    it(`${model}: a stream tells at its end what it cost, to who asks`, async () => {
      const stream = async (stream_options) => {
        const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hi" }], stream: true, stream_options });
        const answer = await fetch(`${gateway.url}/v1/chat/completions`, { method: "POST", body, headers: { authorization: `Bearer ${KEY}` } });
        return (await answer.text()).split("\n\n").filter(Boolean);
      };
      for (const options of [{ include_cost: true }, { include_usage: true, include_cost: true }]) {
        const events = await stream(options);
        const [finish, usage, done] = events.slice(-3);
        assert.ok(finish.includes('"finish_reason":"tool_calls"'), finish);
        assert.ok(usage.endsWith(`"completion_tokens_details":{"reasoning_tokens":${JSON.parse(usage.slice(6)).usage.completion_tokens_details.reasoning_tokens}},"cost":${cost}}}`), usage);
        assert.deepEqual({ choices: JSON.parse(usage.slice(6)).choices, done }, { choices: [], done: "data: [DONE]" });
        assert.equal(events.filter((event) => event.includes('"prompt_tokens"')).length, 1);
      }
      for (const options of [undefined, { include_usage: true }, { include_usage: false, include_cost: true }]) {
        assert.ok(!(await stream(options)).join("").includes('"cost"'), JSON.stringify(options));
      }
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
      for (let number = 0; number < 100; number += 1) (res.write(word(`${number};`)), await pause());
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
