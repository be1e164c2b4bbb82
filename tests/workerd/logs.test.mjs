// The log: one flat JSON line per event, the same id in all lines of a request, and never a key.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ANSWER, answerEvents, DONE } from "./behaviours.mjs";
import { HELLO } from "./client.mjs";
import { chunks } from "./expect.mjs";
import { freshId, KEY, PROVIDER_KEY, startStage } from "./stage.mjs";

const ISO_UTC_MS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const PROMPT = "a prompt that nobody else shall read";

const OTHER_KEY = "other-key-1414213562";

const oneRow = (extra) => (fake) => `
default_provider: openai
providers:
  openai: { base_url: "${fake.base}", models: { ok: {}, held: {} } }
${extra}
`;

describe("the log", () => {
  let stage;
  before(async () => {
    stage = await startStage({ bindings: { ACCESS_API_KEYS: `${KEY},${OTHER_KEY}` } });
  });
  after(() => stage.stop());

  it("tells a success from start to end", async () => {
    const id = freshId();
    assert.equal((await stage.ask("ok", {}, { "x-request-id": id })).status, 200);
    const entries = await stage.story(id);
    assert.deepEqual(entries.map(({ event }) => event), ["request_start", "request_complete"]);
    for (const entry of entries) {
      assert.match(entry.timestamp, ISO_UTC_MS);
      assert.ok(Math.abs(Date.now() - Date.parse(entry.timestamp)) < 60_000);
      assert.equal(entry.level, "info");
      assert.deepEqual({ provider: entry.provider, model: entry.model, stream: entry.stream }, { provider: "openai", model: "ok", stream: false });
      assert.ok(entry.key_id, "whose key it was");
    }
    const { status, duration_ms, input_tokens, output_tokens } = entries[1];
    assert.deepEqual({ status, input_tokens, output_tokens }, { status: 200, input_tokens: 9, output_tokens: 7 });
    assert.ok(duration_ms >= 0 && duration_ms < 60_000, String(duration_ms));
  });

  it("tells of a stream when its first byte came and what it used", async () => {
    const id = freshId();
    const held = stage.held("slow");
    const opening = stage.openStream("any/slow", { stream_options: { include_usage: true } }, { "x-request-id": id });
    const provider = await held;
    const [role, first, ...rest] = answerEvents(provider.request);
    provider.openStream();
    provider.write(role + first);
    const answer = await opening;
    await answer.until("Hello");
    // Whatever comes before and after: between the first content and the end are 700 ms.
    await sleep(700);
    provider.write(rest.join("") + DONE);
    provider.end();
    await answer.rest();
    const end = await stage.end(id, "request_complete");
    assert.equal(end.stream, true);
    assert.deepEqual({ input_tokens: end.input_tokens, output_tokens: end.output_tokens }, { input_tokens: 9, output_tokens: 7 });
    assert.ok(end.duration_ms >= 700, `${end.duration_ms} ms in all`);
    assert.ok(end.ttft_ms >= 0 && end.ttft_ms < end.duration_ms - 650, `${end.ttft_ms} ms to the first byte`);
  });

  it("marks as an estimate what the provider did not report", async () => {
    const count = async (body) => (await stage.request("/v1/tokenize", { method: "POST", body: JSON.stringify({ model: "gpt-4o", ...body }) })).json().tokens;
    stage.fake.behave("mute", (exchange) => exchange.json(200, JSON.stringify({ choices: [{ index: 0, message: { role: "assistant", content: "Alles klar, 你好!" }, finish_reason: "stop" }] })));
    for (const [model, fields] of [["shy/ok", { stream: true }], ["any/mute", {}]]) {
      const id = freshId();
      const answer = await stage.ask(model, fields, { "x-request-id": id });
      const said = fields.stream ? chunks(answer.text).map(({ choices }) => choices[0].delta.content ?? "").join("") : answer.json().choices[0].message.content;
      const { input_tokens, output_tokens, estimated } = await stage.end(id, "request_complete");
      assert.deepEqual(
        { estimated, input_tokens, output_tokens },
        { estimated: true, input_tokens: await count({ messages: HELLO }), output_tokens: await count({ input: said }) },
      );
    }
  });

  for (const [model, fields, wanted] of [
    ["any/err-429", {}, { status: 429, error_type: "tokens", error_code: "rate_limit_exceeded" }],
    ["any/err-500", { stream: true }, { status: 500, error_type: "server_error" }],
    ["any/err-401", {}, { status: 502, error_type: "upstream_error", error_code: "upstream_credentials_refused" }],
    ["any/html-200", {}, { status: 502, error_type: "upstream_error", error_code: "upstream_invalid_response" }],
    ["brief/silent", {}, { status: 504, error_type: "upstream_error", error_code: "upstream_timeout" }],
    ["any/ends-early", { stream: true }, { error_type: "upstream_error", error_code: "stream_truncated" }],
    ["any/reset-mid-stream", { stream: true }, { error_type: "upstream_error", error_code: "stream_truncated" }],
    ["brief/trickle", { stream: true }, { error_type: "upstream_error", error_code: "upstream_timeout" }],
    ["openai/nothing", {}, { status: 404, error_type: "invalid_request_error", error_code: "model_not_found" }],
  ]) {
    it(`tells the end of ${model}${fields.stream ? ", streamed," : ""} as an error, once`, async () => {
      const id = freshId();
      await stage.ask(model, fields, { "x-request-id": id });
      const end = await stage.end(id, "request_error");
      for (const [field, value] of Object.entries(wanted)) assert.equal(end[field], value, field);
      assert.notEqual(end.level, "info");
    });
  }

  it("tells of those who are not let in", async () => {
    const id = freshId();
    await stage.ask("ok", {}, { "x-request-id": id, authorization: "Bearer wrong-key-5772156649" });
    const end = await stage.end(id, "request_error");
    assert.deepEqual({ status: end.status, error_code: end.error_code }, { status: 401, error_code: "invalid_api_key" });
    assert.ok(!stage.gateway.lines.join("\n").includes("wrong-key-5772156649"));
  });

  it("tells of broken JSON", async () => {
    const id = freshId();
    await stage.post("{", { "x-request-id": id });
    const end = await stage.end(id, "request_error");
    assert.deepEqual({ status: end.status, error_code: end.error_code }, { status: 400, error_code: "invalid_json" });
  });

  it("tells one end of a request whose caller left", async () => {
    const id = freshId();
    const held = stage.held("left");
    const answering = stage.openStream("any/left", {}, { "x-request-id": id });
    const provider = await held;
    provider.openStream();
    provider.write('data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n');
    const caller = await answering;
    await caller.next();
    caller.leave();
    await stage.end(id);
  });

  it("says where a request came from", async () => {
    const id = freshId();
    await stage.ask("ok", {}, { "x-request-id": id, "cf-connecting-ip": "192.0.2.44" });
    assert.equal((await stage.story(id))[0].client_ip, "192.0.2.44");
  });

  it("knows one caller from another without holding their keys", async () => {
    const ids = [];
    for (const key of [KEY, KEY, OTHER_KEY]) {
      const id = freshId();
      await stage.ask("ok", {}, { "x-request-id": id, authorization: `Bearer ${key}` });
      ids.push((await stage.story(id))[0].key_id);
    }
    const [one, again, other] = ids;
    assert.equal(one, again);
    assert.notEqual(one, other);
    assert.ok(!KEY.includes(one) || one.length <= 8, "at most a fragment of the key");
  });

  it("holds no word of a conversation, unless told to", async () => {
    const id = freshId();
    await stage.ask("ok", { messages: [{ role: "user", content: PROMPT }] }, { "x-request-id": id });
    await stage.story(id);
    const log = stage.gateway.lines.join("\n");
    assert.ok(!log.includes(PROMPT));
    assert.ok(!log.includes(ANSWER.slice(0, 12)));
  });

  it("is flat JSON, a line for each event, whatever callers put into their names", async () => {
    const id = freshId();
    await stage.ask('any/x\n{"event":"forged"}\u0000\u2028', {}, { "x-request-id": id });
    await stage.end(id, "request_error");
    for (const line of stage.gateway.lines) {
      const entry = JSON.parse(line);
      assert.notEqual(entry.event, "forged");
      for (const [field, value] of Object.entries(entry)) assert.ok(value === null || typeof value !== "object", `${field} in ${line}`);
    }
  });

  it("never held a key", () => {
    assert.notEqual(stage.gateway.lines.length, 0);
    for (const secret of [KEY, OTHER_KEY, PROVIDER_KEY]) assert.ok(!stage.gateway.lines.join("\n").includes(secret));
  });
});

describe("a log of conversations", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config: oneRow("logging: { fields: { messages: true, response: true } }") });
  });
  after(() => stage.stop());

  for (const stream of [false, true]) {
    it(`holds both sides when told to${stream ? ", of a stream too" : ""}`, async () => {
      const id = freshId();
      await stage.ask("ok", { stream, messages: [{ role: "user", content: PROMPT }] }, { "x-request-id": id });
      const entries = await stage.story(id);
      assert.ok(entries.some(({ messages }) => JSON.stringify(messages ?? "").includes(PROMPT)), JSON.stringify(entries));
      assert.ok(entries.some(({ response }) => JSON.stringify(response ?? "").includes("Hello")), JSON.stringify(entries));
    });
  }
});

describe("a log of messages alone", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config: oneRow("logging: { fields: { messages: true } }") });
  });
  after(() => stage.stop());

  it("holds the caller's side and not the model's", async () => {
    const id = freshId();
    await stage.ask("ok", { messages: [...HELLO, { role: "user", content: PROMPT }] }, { "x-request-id": id });
    const entries = await stage.story(id);
    assert.ok(JSON.stringify(entries).includes(PROMPT));
    assert.ok(!JSON.stringify(entries).includes(ANSWER.slice(0, 12)));
  });
});

describe("a log of errors alone", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config: oneRow("logging: { level: error }") });
  });
  after(() => stage.stop());

  it("is silent about what went well", async () => {
    const [good, bad] = [freshId(), freshId()];
    await stage.ask("ok", {}, { "x-request-id": good });
    stage.fake.behave("held", (exchange) => exchange.json(500, '{"error":{"message":"no"}}'));
    await stage.ask("held", {}, { "x-request-id": bad });
    await stage.end(bad, "request_error");
    assert.deepEqual(stage.gateway.logs().filter(({ request_id }) => request_id === good), []);
  });
});

describe("a log that is switched off", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config: oneRow("logging: { output: { console: false } }") });
  });
  after(() => stage.stop());

  it("is empty", async () => {
    await stage.ask("ok");
    await stage.post("{");
    await sleep(100);
    assert.deepEqual(stage.gateway.lines, []);
  });
});
