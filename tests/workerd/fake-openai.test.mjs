// Shows that the fake provider can be relied on: official clients understand it, it refuses what OpenAI
// refuses, and it misbehaves as told.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI from "openai";
import { ANSWER, BEHAVIOURS, ODD_COMPLETION, USAGE, vector, VECTOR_USAGE } from "./behaviours.mjs";
import { as, call, chatRequest, HELLO, open } from "./client.mjs";
import { chunks, expectOneDone, streamedText } from "./expect.mjs";
import { startFake } from "./fake-openai.mjs";

const TOOLS = [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }];

describe("the fake provider", () => {
  let fake, openai, url;

  before(async () => {
    fake = await startFake();
    url = `${fake.base}/chat/completions`;
    openai = new OpenAI({ baseURL: fake.base, apiKey: "sk-fake", maxRetries: 0 });
  });
  after(() => fake.stop());

  const post = (body, headers) => call(url, chatRequest("sk-fake", body, headers));

  it("answers the official client's other questions, and refuses what OpenAI refuses of them", async () => {
    const { data, usage } = await openai.embeddings.create({ model: "ok", input: ["a", "b"], dimensions: 3 });
    assert.deepEqual(
      { vectors: data.map(({ embedding }) => embedding), usage },
      { vectors: [vector(0, 3), vector(1, 3)], usage: VECTOR_USAGE },
    );
    const { choices, object } = await openai.completions.create({ model: "ok", prompt: "Say" });
    assert.deepEqual({ object, text: choices[0].text }, { object: "text_completion", text: ANSWER });
    const refused = async (path, body) => (await call(fake.base + path, chatRequest("sk-fake", { model: "ok", ...body }))).status;
    for (const body of [{}, { input: "" }, { input: [] }, { input: [1.5] }, { input: "x", messages: [] }, { input: "x", encoding_format: "hex" }, { input: "x", dimensions: 0 }]) {
      assert.equal(await refused("/embeddings", body), 400, JSON.stringify(body));
    }
    for (const body of [{ prompt: 7 }, { messages: HELLO }, { prompt: "x", stream_options: {} }, { prompt: "x", n: 2, best_of: 1 }, { prompt: "x", logprobs: true }]) {
      assert.equal(await refused("/completions", body), 400, JSON.stringify(body));
    }
  });

  it("answers the official client", async () => {
    const completion = await openai.chat.completions.create({ model: "ok", messages: HELLO, logprobs: true });
    assert.equal(completion.choices[0].message.content, ANSWER);
    assert.deepEqual(completion.usage, USAGE);
    assert.equal(completion.choices[0].logprobs.content[0].token, "Hello");
    assert.equal(completion.service_tier, "default");
    assert.match(completion.system_fingerprint, /^fp_/);
  });

  it("streams to the official client", async () => {
    const stream = await openai.chat.completions.create({ model: "reasoner", messages: HELLO, stream: true, stream_options: { include_usage: true } });
    const seen = await Array.fromAsync(stream);
    assert.equal(seen.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), ANSWER);
    assert.equal(seen.map((chunk) => chunk.choices[0]?.delta.reasoning_content ?? "").join(""), "The caller greets; greet back.");
    assert.deepEqual(seen.at(-1).usage, USAGE);
    assert.deepEqual(seen.at(-1).choices, []);
  });

  it("streams tool calls in fragments that add up", async () => {
    const stream = openai.chat.completions.stream({ model: "ok", messages: HELLO, tools: TOOLS });
    const { choices } = await stream.finalChatCompletion();
    assert.deepEqual(JSON.parse(choices[0].message.tool_calls[0].function.arguments), { city: "Paris", unit: "°C" });
    assert.equal(choices[0].finish_reason, "tool_calls");
  });

  it("writes odd JSON that is still JSON", async () => {
    const { text } = await post({ model: "odd", messages: HELLO });
    assert.equal(text, ODD_COMPLETION);
    assert.equal(JSON.parse(text).choices[0].message.content, "café\n");
    const stream = await post({ model: "odd", messages: HELLO, stream: true });
    assert.equal(streamedText(stream.text), "café😀");
  });

  for (const [why, request, status] of [
    ["no key", { ...chatRequest("k", { model: "ok", messages: HELLO }), headers: { "content-type": "application/json" } }, 401],
    ["two keys in one", chatRequest("a,b", { model: "ok", messages: HELLO }), 401],
    ["a wrong content type", chatRequest("k", { model: "ok", messages: HELLO }, { "content-type": "text/plain" }), 415],
    ["broken JSON", chatRequest("k", '{"model":'), 400],
    ["invalid UTF-8", chatRequest("k", Buffer.from('{"model":"ok","messages":[{"role":"user\xff"}]}', "latin1")), 400],
    ["no model", chatRequest("k", { messages: HELLO }), 400],
    ["no messages", chatRequest("k", { model: "ok" }), 400],
    ["a stream that is no boolean", chatRequest("k", { model: "ok", messages: HELLO, stream: "yes" }), 400],
    ["stream_options without a stream", chatRequest("k", { model: "ok", messages: HELLO, stream_options: {} }), 400],
    ["an unknown model", chatRequest("k", { model: "nobody", messages: HELLO }), 404],
    ["GET", { headers: as("k") }, 405],
  ]) {
    it(`refuses ${why}`, async () => {
      const answer = await call(url, request);
      assert.equal(answer.status, status);
      assert.ok(answer.json().error.message);
    });
  }

  it("refuses a path that no provider has", async () => {
    const answer = await call(`${fake.base}/chat/completions/chat/completions`, chatRequest("k", { model: "ok", messages: HELLO }));
    assert.equal(answer.status, 404);
  });

  it("records the exact bytes it got and sent", async () => {
    const body = '{ "model":"ok" ,"messages":[{"role":"user","content":"caf\\u00e9 1.0"}]}\n';
    const answer = await post(body, { "x-one": "1" });
    assert.equal(fake.last().body.toString(), body);
    assert.equal(fake.last().headers["x-one"], "1");
    assert.equal(Buffer.concat(fake.last().sent).toString(), answer.text);
    assert.equal(await fake.last().closed, false);
  });

  it("notices a client that leaves early", async () => {
    const answer = await open(url, chatRequest("k", { model: "stall-mid-stream", messages: HELLO, stream: true }));
    await answer.next();
    answer.leave();
    assert.equal(await fake.last().closed, true);
  });

  it("hands an exchange over to be driven by hand", async () => {
    const held = fake.hold("held");
    const answering = open(url, chatRequest("k", { model: "held", messages: HELLO, stream: true }));
    const exchange = await held;
    exchange.openStream();
    const answer = await answering;
    for (const piece of ["data: 1\n\n", "data: 2\n\n"]) {
      exchange.write(piece);
      assert.equal(await answer.until(piece), piece);
    }
    exchange.end();
    assert.equal(await answer.next(), null);
  });

  const COMPLETE = ["ok", "reasoner", "odd", "crlf", "comments", "no-space-data", "utf8-split", "one-byte", "one-write", "no-final-newline"];
  for (const model of COMPLETE) {
    it(`ends the stream of ${model} with one [DONE]`, async () => {
      const { text } = await post({ model, messages: HELLO, stream: true });
      expectOneDone(`${text}\n\n`);
      assert.equal(chunks(text).at(-1).choices[0].finish_reason, "stop");
    });
  }

  for (const model of ["cut-mid-stream", "reset-mid-stream"]) {
    it(`breaks the answer of ${model} off, streamed or not`, async () => {
      await assert.rejects(post({ model, messages: HELLO, stream: true }));
      await assert.rejects(post({ model, messages: HELLO }));
    });
  }

  it("resets the connection before any header", async () => {
    await assert.rejects(post({ model: "reset-before-headers", messages: HELLO }), { code: "ECONNRESET" });
  });

  it("sends an event of a megabyte", async () => {
    const { text } = await post({ model: "big-event", messages: HELLO, stream: true });
    assert.equal(streamedText(text).length, 1 << 20);
  });

  it("knows every behaviour by name in its list of models", async () => {
    const { data } = await openai.models.list();
    for (const name of Object.keys(BEHAVIOURS)) assert.ok(data.some(({ id }) => id === name));
  });
});
