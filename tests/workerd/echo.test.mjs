// The built-in echo model: a valid response in OpenAI's format without a provider, which cannot be mistaken
// for a real model's.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { call, chatRequest, HELLO, open, until } from "./client.mjs";
import { chunks, expectOneDone, streamedText } from "./expect.mjs";
import { SLOW, startGateway } from "./harness.mjs";
import { KEY } from "./stage.mjs";

const CONFIG = `
default_provider: demo
providers:
  demo:
    adapter: echo
    models:
      echo: {}
      slow: { echo: { delay_ms: 5000 } }
      long: { echo: { words: 400, delay_ms: 1 } }
`;
const FINGERPRINT = "llm-bridge-demo";

describe("the demonstration model", () => {
  let gateway, url;
  before(async () => {
    gateway = await startGateway({ config: CONFIG, bindings: { ACCESS_API_KEYS: KEY }, entry: "production.mjs" });
    url = `${gateway.url}/v1/chat/completions`;
  });
  after(() => gateway.stop());

  const ask = (model, fields = {}) => call(url, chatRequest(KEY, { model, messages: HELLO, ...fields }));

  function expectUsage({ prompt_tokens, completion_tokens, total_tokens }) {
    assert.ok(prompt_tokens > 0 && completion_tokens > 0);
    assert.equal(total_tokens, prompt_tokens + completion_tokens);
  }

  it("answers with a completion that says what it is", async () => {
    const answer = await ask("demo/echo");
    assert.equal(answer.status, 200);
    const { id, object, created, choices, usage, system_fingerprint } = answer.json();
    assert.equal(typeof id, "string");
    assert.equal(object, "chat.completion");
    assert.ok(Math.abs(created - Date.now() / 1000) < 60);
    assert.equal(system_fingerprint, FINGERPRINT);
    assert.equal(choices.length, 1);
    assert.equal(choices[0].message.role, "assistant");
    assert.match(choices[0].message.content, /demonstration/);
    assert.equal(choices[0].finish_reason, "stop");
    expectUsage(usage);
  });

  it("repeats what it was told", async () => {
    const { choices } = (await ask("echo", { messages: [{ role: "user", content: "mangrove 你好 😀" }] })).json();
    assert.match(choices[0].message.content, /mangrove 你好 😀/);
  });

  it("streams the same answer", async () => {
    const whole = (await ask("echo")).json().choices[0].message.content;
    const answer = await ask("echo", { stream: true });
    assert.match(answer.headers["content-type"], /^text\/event-stream\b/);
    assert.equal(streamedText(answer.text), whole);
    expectOneDone(answer.text);
  });

  it("streams chunks as OpenAI does", async () => {
    const seen = chunks((await ask("echo", { stream: true })).text);
    assert.equal(new Set(seen.map(({ id }) => id)).size, 1, "one id for all chunks");
    for (const chunk of seen) {
      assert.equal(chunk.object, "chat.completion.chunk");
      assert.equal(chunk.system_fingerprint, FINGERPRINT);
      assert.equal(chunk.choices.length, 1);
      assert.ok(!chunk.usage, "usage was not asked for");
    }
    assert.equal(seen[0].choices[0].delta.role, "assistant");
    assert.deepEqual(seen.map(({ choices }) => choices[0].finish_reason ?? null).filter(Boolean), ["stop"]);
    assert.equal(seen.at(-1).choices[0].finish_reason, "stop");
    assert.ok(seen.length > 4, "the text comes in pieces");
  });

  it("ends a stream with its usage when asked to", async () => {
    const seen = chunks((await ask("echo", { stream: true, stream_options: { include_usage: true } })).text);
    assert.deepEqual(seen.at(-1).choices, []);
    expectUsage(seen.at(-1).usage);
    assert.ok(seen.slice(0, -1).every(({ usage }) => !usage));
  });

  for (const field of ["max_tokens", "max_completion_tokens"]) {
    it(`stops at ${field}`, async () => {
      const { choices, usage } = (await ask("long", { [field]: 5 })).json();
      assert.equal(choices[0].finish_reason, "length");
      assert.equal(usage.completion_tokens, 5);
      const stream = await ask("long", { [field]: 5, stream: true });
      assert.equal(chunks(stream.text).at(-1).choices[0].finish_reason, "length");
      assert.equal(streamedText(stream.text), choices[0].message.content);
    });
  }

  it("does not stop short of a limit that it never reaches", async () => {
    assert.equal((await ask("echo", { max_tokens: 100_000 })).json().choices[0].finish_reason, "stop");
  });

  it("is as long as it is told to be", async () => {
    const { choices } = (await ask("long")).json();
    assert.equal(choices[0].message.content.trim().split(/\s+/).length, 400);
  });

  it("is as slow as it is told to be, and live", async () => {
    await gateway.control({ speed: SLOW });
    const answer = await open(url, chatRequest(KEY, { model: "slow", messages: HELLO, stream: true }));
    const seen = { text: "" };
    const reading = (async () => {
      for (let part = await answer.next(); part !== null; part = await answer.next()) seen.text += part;
    })();
    const pieces = () => chunks(seen.text.slice(0, seen.text.lastIndexOf("\n\n") + 2)).filter(({ choices }) => choices[0].delta.content).length;
    await until(() => pieces() === 1, "the first piece");
    for (let piece = 2; piece <= 6; piece++) {
      await gateway.pass(4_000);
      assert.equal(pieces(), piece - 1, "not before its time");
      await gateway.pass(1_000);
      await until(() => pieces() === piece, `piece ${piece}`);
    }
    answer.leave();
    await assert.rejects(reading);
    await gateway.control({ speed: 1 });
  });

  it("takes many callers at a time", async () => {
    const answers = await Promise.all(
      Array.from({ length: 25 }, (_, n) => ask("long", { stream: true, messages: [{ role: "user", content: `caller number ${n}.` }] })),
    );
    for (const { text } of answers) expectOneDone(text);
  });

  it("lets a caller leave", async () => {
    const answer = await open(url, chatRequest(KEY, { model: "slow", messages: HELLO, stream: true }));
    await answer.next();
    answer.leave();
    assert.equal((await ask("echo")).status, 200);
  });

  it("takes whatever a client may send along", async () => {
    const messages = [
      { role: "system", content: "Be brief." },
      { role: "user", content: [{ type: "text", text: "Look: " }, { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } }] },
      { role: "assistant", content: null, tool_calls: [{ id: "c1", type: "function", function: { name: "f", arguments: "{}" } }] },
      { role: "tool", tool_call_id: "c1", content: "42" },
    ];
    const answer = await ask("echo", { messages, temperature: 0.2, tools: [{ type: "function", function: { name: "f" } }], x_unknown: {} });
    assert.equal(answer.status, 200, answer.text);
    assert.match(answer.json().choices[0].message.content, /demonstration/);
  });

  it("is on the list of models without any provider's key", async () => {
    const answer = await call(`${gateway.url}/v1/models`, { headers: { authorization: `Bearer ${KEY}` } });
    assert.deepEqual(answer.json().data.map(({ id }) => id), ["demo/echo", "demo/slow", "demo/long"]);
  });
});
