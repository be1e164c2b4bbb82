// Responses in another form than was asked for, or with parts missing that clients need, and the words and headers
// of refusals that clients act upon.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { expectOneDone } from "./expect.mjs";
import { event, json, startScripted, stream } from "./scripted.mjs";

const DONE = "data: [DONE]\n\n";
const MARK = "\ufeff";
const chunk = (choices, more = {}) => event({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices, ...more });
const delta = (fields, finish_reason = null) => chunk([{ index: 0, delta: fields, finish_reason }]);
const USAGE = chunk([], { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } });
const CHAT_STREAM = [delta({ role: "assistant", content: "It " }), delta({ content: "works." }), delta({}, "stop"), USAGE, DONE];
const completion = (message) => ({ id: "c", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason: "stop" }], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } });
const MESSAGE_STREAM = [
  event({ type: "message_start", message: { id: "msg_1", type: "message", role: "assistant", model: "c", content: [], usage: { input_tokens: 3, output_tokens: 1 } } }, "message_start"),
  event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }, "content_block_start"),
  event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "It works." } }, "content_block_delta"),
  event({ type: "content_block_stop", index: 0 }, "content_block_stop"),
  event({ type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 2 } }, "message_delta"),
  event({ type: "message_stop" }, "message_stop"),
];
const CONTENTS_STREAM = [event({ candidates: [{ content: { role: "model", parts: [{ text: "It works." }] }, finishReason: "STOP", index: 0 }], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 } })];
const STREAMS = { hidden: CHAT_STREAM, anthropic: MESSAGE_STREAM, gemini: CONTENTS_STREAM };
const typed = (type, ...pieces) => (_, res) => {
  res.writeHead(200, { "content-type": type });
  for (const piece of pieces) res.write(piece);
  res.end();
};
const events = (text) => text.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)));

describe("a response in another form", () => {
  let stage;
  before(async () => void (stage = await startScripted()));
  after(() => stage.stop());

  for (const [provider, pieces] of Object.entries(STREAMS)) {
    for (const type of ["text/event-stream", "application/json", "text/plain"]) {
      it(`is gathered from a stream of ${provider} that calls itself ${type}`, async () => {
        stage.answer(typed(type, ...pieces));
        const chat = await stage.chat(`${provider}/m`);
        assert.deepEqual([chat.status, chat.json().choices[0].message.content, chat.json().usage.total_tokens], [200, "It works.", 5]);
        const message = await stage.message(`${provider}/m`);
        assert.deepEqual([message.status, message.json().content[0].text, message.json().stop_reason], [200, "It works.", "end_turn"]);
      });
    }
  }

  it("is an error where the gathered stream breaks off or holds an error", async () => {
    stage.answer(stream(CHAT_STREAM[0]));
    assert.deepEqual([(await stage.chat("hidden/m")).status, (await stage.message("hidden/m")).json().type], [502, "error"]);
    stage.answer(stream(event({ error: { message: "busy", code: 503 } }), DONE));
    assert.deepEqual([(await stage.chat("hidden/m")).status], [503]);
  });

  for (const type of ["text/event-stream", "text/plain", "application/octet-stream"]) {
    it(`becomes a stream from a document that calls itself ${type}`, async () => {
      const body = JSON.stringify(completion({ content: "It works." }));
      stage.answer(typed(type, body.slice(0, 40), body.slice(40)));
      const chat = await stage.chat("shown/m", { stream: true });
      assert.equal(chat.status, 200);
      expectOneDone(chat.text);
      assert.equal(events(chat.text).map((e) => e.choices?.[0]?.delta?.content ?? "").join(""), "It works.");
      const message = await stage.message("shown/m", { stream: true });
      assert.match(message.text, /"text":"It works\."[^]*event: message_stop/);
    });
  }

  it("is an error where the document is one", async () => {
    stage.answer(typed("text/event-stream", '{"error":{"message":"slow down","code":429}}'));
    for (const answer of [await stage.chat("shown/m", { stream: true }), await stage.message("shown/m", { stream: true })]) {
      assert.deepEqual([answer.status, answer.json().error.message], [429, "slow down"]);
    }
  });

  it("reaches the client without a byte order mark", async () => {
    stage.answer(json(200, MARK + JSON.stringify(completion({ content: "a" }))));
    assert.equal((await stage.chat("shown/m")).text[0], "{");
    stage.answer(typed("text/event-stream", MARK, ...CHAT_STREAM));
    for (const model of ["shown/m", "checked/m"]) assert.equal((await stage.chat(model, { stream: true })).text[0], "d");
    stage.answer(json(429, `${MARK}{"error":{"message":"later"}}`));
    assert.equal((await stage.chat("shown/m")).json().error.message, "later");
  });

  it("has embeddings as base64 where they were asked for so", async () => {
    const list = { object: "list", data: [{ object: "embedding", index: 0, embedding: [0.5, -1] }], model: "e", usage: { prompt_tokens: 1, total_tokens: 1 } };
    stage.answer(json(200, list));
    const embed = async (more) => (await stage.post("/v1/embeddings", { model: "hidden/e", input: "a", ...more })).json();
    const floats = Buffer.from((await embed({ encoding_format: "base64" })).data[0].embedding, "base64");
    assert.deepEqual([floats.readFloatLE(0), floats.readFloatLE(4)], [0.5, -1]);
    assert.deepEqual((await embed({ encoding_format: "float" })).data[0].embedding, [0.5, -1]);
    assert.deepEqual((await embed({})).data[0].embedding, [0.5, -1]);
  });
});

describe("a stream with parts missing", () => {
  let stage;
  before(async () => void (stage = await startScripted()));
  after(() => stage.stop());

  it("has calls with numbers if it is checked", async () => {
    const call = (id, name, more = {}) => delta({ tool_calls: [{ id, type: "function", function: { name, arguments: "{}" }, ...more }] });
    for (const [what, more] of [["none", {}], ["null", { index: null }], ["all the same", { index: 0 }]]) {
      stage.answer(stream(call("a", "f", more), call("b", "g", more), delta({ tool_calls: [{ function: { arguments: "1" }, ...more }] }), delta({}, "tool_calls"), DONE));
      const answer = await stage.chat("checked/m", { stream: true });
      const numbers = events(answer.text).flatMap((e) => e.choices[0].delta.tool_calls ?? []).map((c) => c.index);
      assert.deepEqual(numbers, [0, 1, 1], what);
    }
  });

  it("is complete without a finish reason if it ends with [DONE], in both formats alike", async () => {
    stage.answer(stream(delta({ content: "a" }), DONE));
    const message = await stage.message("hidden/m", { stream: true });
    assert.match(message.text, /"stop_reason":"end_turn"[^]*message_stop/);
    const chat = await stage.chat("hidden/m", { stream: true });
    assert.ok(!chat.text.includes("error"), chat.text);
    stage.answer(stream(delta({ content: "a" })));
    for (const answer of [await stage.message("hidden/m", { stream: true }), await stage.chat("hidden/m", { stream: true })]) {
      assert.match(answer.text, /broke off/);
    }
  });

  it("has an estimate of the usage, which says so, and so has a whole response", async () => {
    stage.answer(stream(delta({ content: "It works." }), delta({}, "stop")));
    const streamed = events((await stage.message("hidden/m", { stream: true })).text).find((e) => e.type === "message_delta").usage;
    assert.ok(streamed.input_tokens > 0 && streamed.output_tokens > 0 && streamed.estimated === true, JSON.stringify(streamed));
    stage.answer(json(200, { ...completion({ content: "It works." }), usage: null }));
    const whole = await stage.message("hidden/m");
    assert.ok(whole.json().usage.output_tokens > 0 && whole.json().usage.estimated);
    assert.equal(whole.headers.get?.("x-llm-bridge-estimated") ?? whole.headers["x-llm-bridge-estimated"], "true");
    stage.answer(json(200, completion({ content: "It works." })));
    assert.equal((await stage.message("hidden/m")).json().usage.estimated, undefined);
  });
});

describe("the reason for which a response ended", () => {
  let stage;
  before(async () => void (stage = await startScripted()));
  after(() => stage.stop());
  const contents = (model, more) => stage.post(`/v1beta/models/${model}:${more.stream ? "streamGenerateContent?alt=sse" : "generateContent"}`, { contents: [{ role: "user", parts: [{ text: "a" }] }] });
  const responses = (model, more) => stage.post("/v1/responses", { model, input: "a", store: false, ...more });
  /** What a client is told, whole and streamed. */
  const told = async (ask, model, read) => {
    const [whole, streamed] = [await ask(model, {}), await ask(model, { stream: true })];
    assert.deepEqual([whole.status, streamed.status], [200, 200], whole.text + streamed.text);
    return [read(whole.json()), events(streamed.text).map(read).findLast((word) => word)];
  };
  const twice = (word) => [word, word];
  const ofChat = ({ choices }) => choices?.[0]?.finish_reason;
  const ofMessage = ({ stop_reason, delta }) => stop_reason ?? delta?.stop_reason;
  const ofContents = ({ candidates }) => candidates?.[0]?.finishReason;
  const ofResponse = ({ incomplete_details, response }) => (incomplete_details ?? response?.incomplete_details)?.reason;

  // Of Claude: what its clients, and those of chats, contents and Responses are told.
  for (const [reason, chat, content, response] of [
    ["pause_turn", "length", "MAX_TOKENS", "max_output_tokens"],
    ["model_context_window_exceeded", "length", "MAX_TOKENS", "max_output_tokens"],
    ["refusal", "content_filter", "SAFETY", "content_filter"],
  ]) {
    it(`is ${reason} of Claude in every client's words, and for its own clients from any host`, async () => {
      const ended = MESSAGE_STREAM.map((text) => text.replace("end_turn", reason));
      const message = { id: "msg_1", type: "message", role: "assistant", model: "c", content: [{ type: "text", text: "It works." }], stop_reason: reason, stop_sequence: null, usage: { input_tokens: 3, output_tokens: 2 } };
      stage.answer((seen, res) => (seen.body.stream ? stream(...ended) : json(200, message))(seen, res));
      assert.deepEqual(await told(stage.message, "anthropic/m", ofMessage), twice(reason));
      assert.deepEqual(await told(stage.chat, "anthropic/m", ofChat), twice(chat));
      assert.deepEqual(await told(contents, "anthropic/m", ofContents), twice(content));
      assert.deepEqual(await told(responses, "anthropic/m", ofResponse), twice(response));

      const whole = completion({ content: "It works." });
      whole.choices[0].finish_reason = reason;
      stage.answer((seen, res) => (seen.body.stream ? stream(delta({ content: "It works." }), delta({}, reason), USAGE, DONE) : json(200, whole))(seen, res));
      assert.deepEqual(await told(stage.message, "hidden/m", ofMessage), twice(reason));
      assert.deepEqual(await told(stage.chat, "hidden/m", ofChat), twice(reason));
    });
  }

  it("may be one that Gemini has had since", async () => {
    const body = (finishReason, parts = [{ text: "It works." }]) => ({ candidates: [{ content: { role: "model", parts }, finishReason, index: 0 }], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 } });
    for (const reason of ["SOMETHING_NEW", "OTHER", "FINISH_REASON_UNSPECIFIED"]) {
      stage.answer((seen, res) => (seen.url.includes("stream") ? stream(event(body(reason))) : json(200, body(reason)))(seen, res));
      assert.deepEqual(await told(stage.chat, "gemini/m", ofChat), twice("stop"), reason);
      assert.deepEqual(await told(stage.message, "gemini/m", ofMessage), twice("end_turn"), reason);
      assert.deepEqual(await told(contents, "gemini/m", ofContents), twice(reason), "its own clients get its own word");
      const call = [{ functionCall: { name: "f", args: {} } }];
      stage.answer((seen, res) => (seen.url.includes("stream") ? stream(event(body(reason, call))) : json(200, body(reason, call)))(seen, res));
      assert.deepEqual(await told(stage.chat, "gemini/m", ofChat), twice("tool_calls"), reason);
    }
  });
});

describe("a stream of odd or unreadable events", () => {
  let stage;
  before(async () => void (stage = await startScripted()));
  after(() => stage.stop());
  const TEXTS = { chat: (text) => events(text).map((e) => e.choices?.[0]?.delta?.content ?? "").join(""), message: (text) => events(text).map((e) => e.delta?.text ?? "").join("") };

  for (const index of [null, undefined, "0", 0.0, -1]) {
    it(`keeps its content where the index is ${JSON.stringify(index)}`, async () => {
      const odd = (delta, finish_reason = null) => chunk([{ index, delta, finish_reason }], { model: 7 });
      for (const model of ["hidden/m", "shown/m", "checked/m"]) {
        stage.answer(stream(odd({ content: "It " }), odd({ content: "works." }), odd({}, "stop"), USAGE, DONE));
        for (const kind of ["chat", "message"]) {
          const answer = await stage[kind](model, { stream: true });
          assert.deepEqual([answer.status, TEXTS[kind](answer.text)], [200, "It works."], `${model} ${kind}`);
        }
        const whole = completion({ content: "It works." });
        whole.choices[0].index = index;
        stage.answer(json(200, whole));
        assert.equal((await stage.chat(model)).json().choices[0].message.content, "It works.");
        assert.equal((await stage.message(model)).json().content[0].text, "It works.");
      }
    });
  }

  const UNREADABLE = {
    hidden: [["data: {oops\n\n", "data: [1]\n\n", DONE], "{oops"],
    shown: [["data: {oops\n\n", DONE], '{"choices":7}'],
    checked: [[event({ choices: 7 }), DONE], "{}"],
    anthropic: [[event({ type: "message_start", message: 7 }, "message_start"), "data: oops\n\n"], '{"type":"message"'],
    gemini: [["data: {oops\n\n"], "[]"],
  };
  for (const [provider, [pieces, document]] of Object.entries(UNREADABLE)) {
    it(`is an error where nothing of ${provider} can be read`, async () => {
      for (const kind of ["chat", "message"]) {
        stage.answer(stream(...pieces));
        const streamed = await stage[kind](`${provider}/m`, { stream: true });
        assert.equal(streamed.status, 502, `${kind}: ${streamed.text}`);
        stage.answer(json(200, document));
        const whole = await stage[kind](`${provider}/m`);
        assert.equal(whole.status, 502, `${kind}: ${whole.text}`);
        const code = whole.json().error.code ?? whole.json().error.type;
        assert.ok(["upstream_invalid_response", "api_error"].includes(code), whole.text);
      }
    });
  }

  // The native way and the translated one judge the same cut alike.
  const CUTS = {
    "after content": [[delta({ content: "a" })], "broke off"],
    "after content and usage": [[delta({ content: "a" }), USAGE], "broke off"],
    "in an event": [[delta({ content: "a" }), 'data: {"choices":[{"ind'], "broke off"],
    "after a finish reason": [[delta({ content: "a" }), delta({}, "stop")], null],
    "after a finish reason and usage": [[delta({ content: "a" }), delta({}, "stop"), USAGE], null],
    "after [DONE] without a finish reason": [[delta({ content: "a" }), DONE], null],
    "after one of two choices has finished": [[chunk([{ index: 0, delta: { content: "a" }, finish_reason: "stop" }, { index: 1, delta: { content: "b" }, finish_reason: null }])], "broke off"],
  };
  for (const [where, [pieces, words]] of Object.entries(CUTS)) {
    it(`is judged alike by each way where it is cut ${where}`, async () => {
      stage.answer(stream(...pieces));
      const asked = await Promise.all([
        ...["hidden/m", "shown/m", "checked/m"].map((model) => stage.chat(model, { stream: true, ...(where.includes("two") ? { n: 2 } : {}) })),
        ...(where.includes("two") ? [] : [stage.message("hidden/m", { stream: true }), stage.post("/v1beta/models/hidden/m:streamGenerateContent?alt=sse", { contents: [{ parts: [{ text: "a" }] }] }), stage.post("/v1/responses", { model: "hidden/m", input: "a", stream: true, store: false })]),
      ]);
      for (const answer of asked) {
        assert.equal(answer.status, 200);
        assert.equal(answer.text.includes("broke off"), words !== null, answer.text);
      }
    });
  }
});

describe("a refusal that clients act upon", () => {
  let stage;
  before(async () => void (stage = await startScripted()));
  after(() => stage.stop());

  const TOO_LONG = {
    hidden: [{ error: { message: "This model's maximum context length is 128000 tokens. However, your messages resulted in 150321 tokens.", type: "invalid_request_error", code: "context_length_exceeded" } }, "150321 tokens > 128000 maximum"],
    anthropic: [{ type: "error", error: { type: "invalid_request_error", message: "prompt is too long: 210000 tokens > 200000 maximum" } }, "210000 tokens > 200000 maximum"],
    gemini: [{ error: { code: 400, message: "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", status: "INVALID_ARGUMENT" } }, "1200000 tokens > 1048576 maximum"],
  };
  for (const [provider, [body, numbers]] of Object.entries(TOO_LONG)) {
    it(`says in each client's words that a conversation is too long for ${provider}`, async () => {
      stage.answer(json(400, body));
      for (const more of [{}, { stream: true }]) {
        const message = await stage.message(`${provider}/m`, more);
        assert.deepEqual([message.status, message.json().error.message.startsWith(`prompt is too long: ${numbers}`)], [400, true], message.text);
        const chat = await stage.chat(`${provider}/m`, more);
        assert.deepEqual([chat.status, chat.json().error.code], [400, "context_length_exceeded"]);
      }
      const contents = await stage.post(`/v1beta/models/${provider}/m:generateContent`, { contents: [{ parts: [{ text: "a" }] }] });
      assert.match(contents.json().error.message, /input token count \(\d+\) exceeds the maximum number of tokens allowed \(\d+\)/);
      const response = await stage.post("/v1/responses", { model: `${provider}/m`, input: "a", store: false });
      assert.equal(response.json().error.code, "context_length_exceeded");
    });
  }

  it("keeps the headers by which clients stop", async () => {
    const hints = { "retry-after": "60", "x-should-retry": "false", "anthropic-ratelimit-unified-status": "rejected", "anthropic-ratelimit-unified-reset": "1800000000" };
    stage.answer(json(429, { type: "error", error: { type: "rate_limit_error", message: "weekly" } }, { ...hints, "anthropic-ratelimit-requests-remaining": "0" }));
    const { headers } = await stage.message("anthropic/m");
    const header = (name) => (headers.get ? headers.get(name) : headers[name]) ?? null;
    for (const [name, value] of Object.entries(hints)) assert.equal(header(name), value, name);
    assert.equal(header("anthropic-ratelimit-requests-remaining"), null);
  });

  it("words a wrong key so that LiteLLM sees one", async () => {
    const answer = await stage.chat("hidden/m", {}, { authorization: "Bearer sk-wrong" });
    assert.deepEqual([answer.status, answer.json().error.code], [401, "invalid_api_key"]);
    assert.match(answer.json().error.message, /^Incorrect API key provided: /);
  });
});
