// Failures inside the gateway become responses, too: no header can break one, and a response that the runtime
// refuses to construct becomes an error.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { HELLO, soon, until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { event, json, startScripted, stream } from "./scripted.mjs";

const COMPLETION = { id: "c", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message: { role: "assistant", content: "ok" }, finish_reason: "stop" }], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } };
const CHUNK = event({ id: "c", choices: [{ index: 0, delta: { content: "ok" }, finish_reason: null }] });
const END = `${event({ id: "c", choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}data: [DONE]\n\n`;
const MESSAGE = { id: "msg_1", type: "message", role: "assistant", model: "c", content: [{ type: "text", text: "ok" }], stop_reason: "end_turn", usage: { input_tokens: 3, output_tokens: 2 } };

/** Waits for the last log line of a request, of which there must be exactly one. */
async function endOf(stage, id) {
  const ends = () => stage.gateway.logs().filter((entry) => entry.request_id === id && /^request_(complete|error)$/.test(entry.event));
  await until(() => ends().length > 0, `the end of ${id} in the log`);
  // A second one, if there is one, comes at once.
  await sleep(50);
  assert.equal(ends().length, 1, `one end of ${id}`);
  return ends()[0];
}

describe("names that a caller made up", () => {
  let stage;
  before(async () => void (stage = await startScripted()));
  after(() => stage.stop());

  const NAMES = {
    "a line break": ["a\r\nset-cookie: evil=1", "a\\u000d\\u000aset-cookie: evil=1"],
    NUL: ["a\u0000b", "a\\u0000b"],
    DEL: ["a\u007fb", "a\\u007fb"],
    "U+0001": ["a\u0001b", "a\\u0001b"],
    Chinese: ["思考", "\\u601d\\u8003"],
    "an emoji": ["🙂", "\\ud83d\\ude42"],
    "a comma": ["a, seed", "a\\u002c seed"],
    "a backslash": ["a\\u0041", "a\\\\u0041"],
    "5,000 letters": ["k".repeat(5000), `${"k".repeat(61)}...`],
    "1,000 emoji": ["🙂".repeat(1000), `${"\\ud83d\\ude42".repeat(5)}...`],
  };

  for (const [what, [name, told]] of Object.entries(NAMES)) {
    it(`are told in printable ASCII, and in full in the log: ${what}`, async () => {
      stage.answer(json(200, MESSAGE));
      const id = `names-${Object.keys(NAMES).indexOf(what)}`;
      const answer = await stage.chat("anthropic/m", { [name]: 1 }, { "x-request-id": id });
      assert.deepEqual(
        { status: answer.status, "x-llm-bridge-dropped": answer.headers["x-llm-bridge-dropped"], "set-cookie": answer.headers["set-cookie"] },
        { status: 200, "x-llm-bridge-dropped": told, "set-cookie": undefined },
      );
      assert.equal((await endOf(stage, id)).dropped, name);
      for (const stream of [false, true]) {
        const strict = await stage.chat("anthropic/m", { [name]: 1, stream }, { "x-llm-bridge-strict": "true" });
        assert.equal(strict.status, 400);
        assert.ok(strict.text.length < 3000, "a message of bounded length");
      }
    });
  }

  it("are counted where there is no room for all of them", async () => {
    stage.answer(json(200, MESSAGE));
    const many = Object.fromEntries(Array.from({ length: 2000 }, (_, number) => [`field_number_${number}`, 1]));
    const { status, headers } = await stage.chat("anthropic/m", many);
    const dropped = headers["x-llm-bridge-dropped"];
    assert.equal(status, 200);
    assert.ok(dropped.length <= 2048, `${dropped.length}`);
    const [, told, left] = dropped.match(/^(.*), \.\.\., and (\d+) more$/);
    assert.equal(told.split(", ").length + Number(left), 2000);
  });

  it("neither fail a stream, nor a request of another format, nor embeddings, nor a count", async () => {
    const odd = { "a\r\nb": 1 };
    stage.answer(stream(CHUNK, END));
    const message = await stage.message("hidden/m", { stream: true, ...odd });
    assert.deepEqual(
      { status: message.status, stops: /message_stop/.test(message.text) },
      { status: 200, stops: true },
    );
    assert.match(message.headers["x-llm-bridge-dropped"], /a\\u000d\\u000ab/);
    stage.answer(json(200, { embeddings: [{ values: [1] }] }));
    assert.equal((await stage.post("/v1/embeddings", { model: "gemini/m", input: "x", ...odd })).status, 200);
    stage.answer(json(200, { totalTokens: 3 }));
    assert.equal((await stage.post("/v1/messages/count_tokens", { model: "gemini/m", messages: HELLO, ...odd })).status, 200);
  });

  it("in headers that providers get are left out where they are no header", async () => {
    stage.answer(json(200, MESSAGE));
    const answer = await stage.message("anthropic/m", {}, { "anthropic-beta": "b\u00e9ta", "anthropic-version": "\u00ff" });
    assert.equal(answer.status, 200, answer.text);
    const { headers } = stage.seen.at(-1);
    assert.deepEqual(
      { "anthropic-beta": headers["anthropic-beta"], "anthropic-version": headers["anthropic-version"] },
      { "anthropic-beta": undefined, "anthropic-version": "2023-06-01" },
    );
  });
});

describe("an answer that the runtime refuses to make", () => {
  let stage;
  before(async () => void (stage = await startScripted({ entry: "own-failures.mjs" })));
  after(() => stage.stop());
  const MADE = /could not make its response/;

  it("is told as an error in the caller's format, with its id, and has its receipt", async () => {
    stage.answer(json(200, COMPLETION));
    const chat = await stage.chat("hidden/m", {}, { "x-request-id": "unmade-1", origin: "https://app.example" });
    expectError(chat, { status: 500, code: "internal_error", says: MADE });
    assert.equal(chat.headers["x-request-id"], "unmade-1");
    assert.equal(chat.headers["access-control-allow-origin"], "*");
    const message = await stage.message("hidden/m", {}, { "x-request-id": "unmade-2" });
    assert.deepEqual(
      { status: message.status, type: message.json().type, request_id: message.json().request_id },
      { status: 500, type: "error", request_id: "unmade-2" },
    );
    assert.match(message.json().error.message, MADE);
    for (const id of ["unmade-1", "unmade-2"]) assert.equal((await endOf(stage, id)).input_tokens, 3);
  });

  it("lets go of the provider where it was a stream, and has one receipt", async () => {
    for (const [name, path] of [["shown", "/v1/chat/completions"], ["checked", "/v1/chat/completions"], ["hidden", "/v1/messages"]]) {
      const id = `unmade-${name}`;
      stage.answer((_, res) => res.writeHead(200, { "content-type": "text/event-stream" }).write(CHUNK));
      const answer = await stage.post(path, { model: `${name}/m`, stream: true, max_tokens: 9, messages: HELLO }, { "x-request-id": id });
      assert.equal(answer.status, 500, answer.text);
      assert.match(answer.json().error.message, MADE);
      assert.equal(await soon(stage.seen.at(-1).closed, "the provider to be let go of"), true);
      const end = await endOf(stage, id);
      assert.deepEqual({ outcome: end.outcome, estimated: end.estimated }, { outcome: "truncated", estimated: true }, JSON.stringify(end));
    }
  });

  it("lets go of the provider where it was a long whole answer, and has one receipt", async () => {
    stage.answer((_, res) => res.writeHead(200, { "content-type": "application/json" }).write(Buffer.alloc(5 << 20, 32)));
    const answer = await stage.chat("shown/m", {}, { "x-request-id": "unmade-long" });
    expectError(answer, { status: 500, code: "internal_error", says: MADE });
    assert.equal(await soon(stage.seen.at(-1).closed, "the provider to be let go of"), true);
    await endOf(stage, "unmade-long");
  });
});
