// Responses without content are an error in the caller's format, never an empty success.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { HELLO, until } from "./client.mjs";
import { expectError, expectErrorFrame, expectOneDone } from "./expect.mjs";
import { event, json, ROWS, startScripted, stream } from "./scripted.mjs";

const DONE = "data: [DONE]\n\n";
const chunk = (choices, more = {}) => event({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices, ...more });
const delta = (fields, finish_reason = null, index = 0) => chunk([{ index, delta: fields, finish_reason }]);
const USAGE = chunk([], { usage: { prompt_tokens: 3, completion_tokens: 0, total_tokens: 3 } });

const START = event({ type: "message_start", message: { id: "msg_1", type: "message", role: "assistant", model: "c", content: [], usage: { input_tokens: 3, output_tokens: 1 } } }, "message_start");
const BLOCK = event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }, "content_block_start") + event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hi" } }, "content_block_delta");
const REASON = event({ type: "content_block_stop", index: 0 }, "content_block_stop") + event({ type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 2 } }, "message_delta");
const STOP = event({ type: "message_stop" }, "message_stop");

const candidate = (fields) => event({ candidates: [fields], usageMetadata: { promptTokenCount: 3, totalTokenCount: 3 } });

// The streams of each format that contain no response.
const STREAMS = {
  openai: { "[DONE] alone": [DONE], "usage alone": [USAGE, DONE], "choices without any": [chunk([]), DONE], "a role alone": [delta({ role: "assistant", content: "" }), DONE], "events that nobody can read": ["data: {oops\n\n", "data: 7\n\n", DONE], comments: [": hello\n\n", ": hello\n\n"], "a choice of nothing": [chunk([{}]), DONE], nothing: [] },
  anthropic: { "an end alone": [STOP], "a beginning and an end": [START, STOP], "a beginning": [START], pings: [event({ type: "ping" }, "ping")], "events that nobody can read": ["event: x\ndata: {oops\n\n"], nothing: [] },
  gemini: { "usage alone": [event({ usageMetadata: { promptTokenCount: 3, totalTokenCount: 3 } })], "no candidates": [event({ candidates: [] })], "a candidate of nothing": [candidate({ index: 0 })], "[DONE] alone": [DONE], comments: [": hello\n\n"], nothing: [] },
};

const WHOLE = {
  openai: ["", "{}", "[]", "null", { choices: [] }, { choices: [], usage: { prompt_tokens: 3, completion_tokens: 0 } }, { choices: [{}] }, { usage: { prompt_tokens: 3 } }],
  anthropic: ["", "{}", { usage: { input_tokens: 3, output_tokens: 0 } }, { type: "message", content: null }],
  gemini: ["", "{}", "[]", { candidates: [] }, { candidates: [{}] }, { usageMetadata: { promptTokenCount: 3 } }],
};

const completion = (content) => `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":${content}},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`;
const UNTELLABLE = {
  "half a surrogate": completion('"\\ud800"'),
  "a number without bounds": completion('"a"').replace('"created":1', '"created":1e999'),
  "500 levels": completion('"a"').replace('"created":1', `"x":${"[".repeat(500)}${"]".repeat(500)}`),
};

const isMessagesError = (text) => assert.match(text, /^event: error\ndata: \{"type":"error","error":\{"type":"[a-z_]+","message":"[^"]+"/m);

describe("an answer that is none", () => {
  let stage;
  const rows = { ...ROWS, ...Object.fromEntries(Object.entries(ROWS).map(([name, [format, more]]) => [`brisk-${name}`, [format, [more, "keep_alive: 0.1"].filter(Boolean).join(", ")]])) };
  before(async () => void (stage = await startScripted({ rows })));
  after(() => stage.stop());

  for (const [name, [format]] of Object.entries(ROWS)) {
    for (const [what, events] of Object.entries(STREAMS[format])) {
      it(`is 502 as long as the head has not left: ${name}, ${what}`, async () => {
        // The connection stays open: the gateway need not wait for its end after an event that ends the
        // stream.
        const ends = !events.some((text) => text === DONE || text === STOP) || format === "gemini";
        stage.answer((_, res) => {
          res.writeHead(200, { "content-type": "text/event-stream" });
          for (const text of events) res.write(text);
          if (ends) res.end();
        });
        expectError(await stage.chat(`${name}/m`, { stream: true }), { status: 502, type: "upstream_error" });
        const message = await stage.message(`${name}/m`, { stream: true });
        assert.deepEqual(
          { status: message.status, "json.type": message.json().type, "error.type": message.json().error.type },
          { status: 502, "json.type": "error", "error.type": "api_error" },
          message.text,
        );
      });

      it(`is an error frame after it: ${name}, ${what}`, async () => {
        for (const path of ["/v1/chat/completions", "/v1/messages"]) {
          let go;
          const gone = new Promise((resolve) => (go = resolve));
          stage.answer(async (_, res) => {
            res.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
            await gone;
            for (const text of events) res.write(text);
            res.end();
          });
          const answer = await stage.open(path, { model: `brisk-${name}/m`, stream: true, max_tokens: 9, messages: HELLO });
          assert.equal(answer.status, 200);
          const first = await answer.until(":");
          go();
          const text = first + (await answer.rest());
          if (path === "/v1/messages") isMessagesError(text);
          else expectErrorFrame(text, { type: "upstream_error" });
        }
      });
    }

    for (const body of WHOLE[format]) {
      it(`is 502 where it comes whole: ${name}, ${JSON.stringify(body)}`, async () => {
        stage.answer(json(200, body));
        for (const stream of [false, true]) {
          expectError(await stage.chat(`${name}/m`, { stream }), { status: 502, type: "upstream_error", code: "upstream_invalid_response" });
          const message = await stage.message(`${name}/m`, { stream });
          assert.deepEqual({ status: message.status, type: message.json().type }, { status: 502, type: "error" }, message.text);
        }
      });
    }
  }

  for (const [what, body] of Object.entries(UNTELLABLE)) {
    it(`is 502 where it cannot be told as the stream that was asked for: ${what}`, async () => {
      stage.answer(json(200, body));
      for (const name of ["hidden", "shown", "checked"]) {
        for (const fields of [{}, { stream_options: { include_usage: true } }, { stream_options: { include_cost: true } }]) {
          expectError(await stage.chat(`${name}/m`, { stream: true, ...fields }), { status: 502, code: "upstream_invalid_response" });
        }
      }
    });
  }

  it("is 502 for vectors, too", async () => {
    stage.answer(json(200, { object: "list", data: [], model: "m", usage: { prompt_tokens: 3, total_tokens: 3 } }));
    expectError(await stage.post("/v1/embeddings", { model: "hidden/m", input: "x" }), { status: 502, code: "upstream_invalid_response" });
  });

  it("is billed as the provider says, and logged as what it was", async () => {
    stage.answer(stream(USAGE, DONE));
    expectError(await stage.chat("hidden/m", { stream: true }, { "x-request-id": "hollow-1" }), { status: 502 });
    stage.answer(json(200, { choices: [], usage: { prompt_tokens: 3, completion_tokens: 0 } }));
    expectError(await stage.chat("hidden/m", {}, { "x-request-id": "hollow-2" }), { status: 502 });
    for (const id of ["hollow-1", "hollow-2"]) {
      const isEnd = (entry) => entry.request_id === id && entry.event === "request_error";
      const end = await until(() => stage.gateway.logs().find(isEnd), `the end of ${id} in the log`);
      assert.deepEqual(
        { outcome: end.outcome, input_tokens: end.input_tokens, estimated: end.estimated, error_code: end.error_code },
        { outcome: "refused", input_tokens: 3, estimated: undefined, error_code: "upstream_invalid_response" },
        JSON.stringify(end),
      );
    }
  });
});

describe("an answer that is one", () => {
  let stage;
  before(async () => void (stage = await startScripted()));
  after(() => stage.stop());

  it("is told though its chunks are of odd types", async () => {
    for (const index of [null, 0.5, "0", -1]) {
      for (const name of ["hidden", "shown", "checked"]) {
        stage.answer(stream(delta({ content: "Hel" }, null, index), delta({ content: "lo" }, null, index), delta({}, "stop", index), DONE));
        const answer = await stage.chat(`${name}/m`, { stream: true });
        assert.equal(answer.status, 200, answer.text);
        expectOneDone(answer.text);
        assert.match(answer.text, /Hel[^]*lo[^]*stop/);
        assert.doesNotMatch(answer.text, /error/);
      }
      stage.answer(json(200, { choices: [{ index, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" }] }));
      assert.equal((await stage.chat("hidden/m")).status, 200);
    }
  });

  it("is told though it is empty, if it says that it has ended", async () => {
    stage.answer(stream(delta({}, "stop"), DONE));
    for (const name of ["hidden", "shown", "checked"]) {
      const answer = await stage.chat(`${name}/m`, { stream: true });
      assert.deepEqual(
        { status: answer.status, has_error: /error/.test(answer.text) },
        { status: 200, has_error: false },
        answer.text,
      );
    }
    stage.answer(json(200, { choices: [{ index: 0, message: { role: "assistant", content: null }, finish_reason: "stop" }] }));
    assert.equal((await stage.chat("hidden/m")).status, 200);
  });

  it("of the Messages API gets the end that its provider left out after the reason, and else an error", async () => {
    const ask = (...events) => (stage.answer(stream(...events)), stage.message("anthropic/m", { stream: true }));
    const whole = START + BLOCK + REASON + STOP;
    assert.equal((await ask(whole)).text, whole);
    assert.equal((await ask(START, BLOCK, REASON)).text, whole);
    const unended = await ask(START, BLOCK, REASON.trimEnd());
    assert.equal(unended.text, whole);
    const cut = await ask(START, BLOCK);
    assert.equal(cut.status, 200);
    assert.ok(cut.text.startsWith(START + BLOCK + "event: error\n"), cut.text);
    assert.doesNotMatch(cut.text, /message_stop/);
    isMessagesError(cut.text);
  });
});
