// The Responses API from outside: what Codex and the official SDK act upon.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI from "openai";
import { startGateway } from "./harness.mjs";
import { event, json, startScripted, stream } from "./scripted.mjs";

const KEY = "caller-key-3141592653";

describe("responses", { concurrency: 4 }, () => {
  let gateway;
  before(async () => {
    gateway = await startGateway({
      config: "providers:\n  demo: { adapter: echo, models: { echo: {} } }\n",
      bindings: { ACCESS_API_KEYS: KEY },
    });
  });
  after(() => gateway.stop());

  const ask = (path, { method = "POST", body, headers = {} } = {}) =>
    fetch(`${gateway.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${KEY}`, "content-type": "application/json", ...headers },
      ...(body && { body: JSON.stringify(body) }),
    });

  it("a stream has numbered events of both spellings, one end, and no end marker", async () => {
    const response = await ask("/v1/responses", { body: { model: "demo/echo", input: "Hello", stream: true } });
    assert.match(response.headers.get("content-type"), /^text\/event-stream/);
    const frames = (await response.text()).split("\n\n").filter((frame) => frame !== "");
    const events = frames.map((frame) => {
      const [name, data] = frame.split("\n");
      const event = JSON.parse(data.replace(/^data: /, ""));
      assert.equal(name, `event: ${event.type}`);
      return event;
    });
    assert.deepEqual(events.map(({ sequence_number }) => sequence_number), events.map((_, index) => index));
    assert.deepEqual(events.slice(0, 2).map(({ type }) => type), ["response.created", "response.in_progress"]);
    assert.equal(events.at(-1).type, "response.completed");
    assert.equal(events.filter(({ type }) => /^response\.(completed|failed|incomplete)$/.test(type)).length, 1);
  });

  it("the official SDK builds the same response from a stream", async () => {
    const sdk = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 });
    const request = { model: "demo/echo", instructions: "Be brief.", input: "Hello", store: false };
    const whole = await sdk.responses.create(request);
    const run = sdk.responses.stream(request);
    let text = "";
    run.on("response.output_text.delta", ({ delta }) => (text += delta));
    const streamed = await run.finalResponse();
    assert.equal(streamed.output_text, whole.output_text);
    assert.equal(text, whole.output_text);
    assert.match(text, /You said: Hello/);
    assert.deepEqual([streamed.status, streamed.instructions, streamed.usage], [whole.status, "Be brief.", whole.usage]);
    const short = await sdk.responses.create({ ...request, max_output_tokens: 16, input: "one two three four five six" });
    assert.deepEqual([short.status, short.incomplete_details], ["incomplete", { reason: "max_output_tokens" }]);
  });

  it("errors are those that the SDK raises", async () => {
    const sdk = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: KEY, maxRetries: 0 });
    const refused = (request) => sdk.responses.create({ model: "demo/echo", input: "Hello", ...request }).then(
      () => assert.fail("it was not refused"),
      ({ status, code, param }) => ({ status, code, param }),
    );
    assert.deepEqual(await refused({ previous_response_id: "resp_1" }), { status: 404, code: "previous_response_not_found", param: "previous_response_id" });
    assert.deepEqual(await refused({ model: "demo/none" }), { status: 404, code: "model_not_found", param: "model" });
    assert.deepEqual(await refused({ input: [{ type: "item_reference", id: "msg_1" }] }), { status: 404, code: "not_found", param: "input" });
    assert.equal((await refused({ input: 7 })).param, "input");
  });

  it("a WebSocket is answered with 426, and stored responses with 404", async () => {
    const upgrade = await ask("/v1/responses", { method: "GET" });
    assert.equal(upgrade.status, 426);
    for (const [method, path] of [["GET", "resp_1"], ["DELETE", "resp_1"], ["GET", "resp_1/input_items"], ["POST", "resp_1/cancel"]]) {
      const stored = await ask(`/v1/responses/${path}`, { method });
      assert.deepEqual([stored.status, (await stored.json()).error.code], [404, "not_found"], `${method} ${path}`);
    }
  });

  it("Codex gets the list of models as it reads it", async () => {
    const { models } = await (await ask("/v1/models?client_version=0.150.0", { method: "GET" })).json();
    const [model] = models;
    assert.equal(model.slug, "demo/echo");
    for (const field of ["display_name", "supported_reasoning_levels", "shell_type", "visibility", "supported_in_api", "priority", "base_instructions", "supports_reasoning_summaries", "support_verbosity", "apply_patch_tool_type", "truncation_policy", "supports_parallel_tool_calls", "experimental_supported_tools"]) {
      assert.ok(field in model, field);
    }
    const { data } = await (await ask("/v1/models", { method: "GET" })).json();
    assert.equal(data[0].id, "demo/echo");
  });
});

// Providers of the Responses API, by a row of their own and beside chats at one address.
describe("responses of a provider", { concurrency: 1 }, () => {
  const ROWS = { native: ["responses", ""], oai: ["openai", "catalogue: openai"], edited: ["openai", "catalogue: openai, models: { gpt-5.6-terra: { param_config: { add_params: { seed: 7 } } } }"] };
  const RESPONSE = { id: "resp_1", object: "response", created_at: 1, status: "completed", model: "m-1", error: null, incomplete_details: null, new_field: { kept: [1.50, "é"] }, output: [{ type: "message", id: "msg_1", role: "assistant", status: "completed", content: [{ type: "output_text", text: "Hi", annotations: [], logprobs: [] }] }], usage: { input_tokens: 10, input_tokens_details: { cached_tokens: 4 }, output_tokens: 5, output_tokens_details: { reasoning_tokens: 2 }, total_tokens: 15 } };
  const frame = (data) => event(data, data.type);
  const FRAMES = [
    frame({ type: "response.created", sequence_number: 0, response: { ...RESPONSE, status: "in_progress", output: [], usage: null } }),
    frame({ type: "response.output_item.added", sequence_number: 1, output_index: 0, item: { ...RESPONSE.output[0], content: [], status: "in_progress" } }),
    frame({ type: "response.content_part.added", sequence_number: 2, output_index: 0, content_index: 0, item_id: "msg_1", part: { type: "output_text", text: "", annotations: [], logprobs: [] } }),
    frame({ type: "response.output_text.delta", sequence_number: 3, output_index: 0, content_index: 0, item_id: "msg_1", delta: "Hi", logprobs: [], obfuscation: "x1" }),
    frame({ type: "response.output_item.done", sequence_number: 4, output_index: 0, item: RESPONSE.output[0] }),
    frame({ type: "response.completed", sequence_number: 5, response: RESPONSE }),
  ];
  const CHAT = { id: "c", object: "chat.completion", created: 1, model: "m-1", choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }], usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } };
  const TOOLS = [{ name: "f", input_schema: { type: "object", properties: {} } }];
  let stage;
  before(async () => (stage = await startScripted({ rows: ROWS })));
  after(() => stage.stop());
  const ask = (model, fields = {}) => stage.post("/v1/responses", { model, input: "Hello", ...fields });
  const last = () => stage.seen.at(-1);

  it("a client's bytes pass both ways, but for the model and what would be stored", async () => {
    stage.answer(json(200, JSON.stringify(RESPONSE)));
    const whole = await ask("native/m-1", { new_option: [1], reasoning: { effort: "odd" }, store: true });
    assert.equal(whole.text, JSON.stringify(RESPONSE));
    assert.equal(last().url, "/v1/responses");
    assert.deepEqual(last().body, { model: "m-1", input: "Hello", new_option: [1], reasoning: { effort: "odd" }, store: false });
    stage.answer(stream(...FRAMES));
    const streamed = await ask("native/m-1", { stream: true });
    assert.equal(streamed.text, FRAMES.join(""));
  });

  it("a stream that breaks off ends with an error that clients see", async () => {
    stage.answer(stream(...FRAMES.slice(0, 4)));
    const { text: body } = await ask("native/m-1", { stream: true });
    assert.ok(body.startsWith(FRAMES.slice(0, 4).join("")), body);
    const ends = body.slice(FRAMES.slice(0, 4).join("").length).trim().split("\n\n").map((text) => JSON.parse(text.split("data: ")[1]));
    assert.deepEqual(ends.map(({ type }) => type), ["error", "response.failed"]);
    assert.equal(ends[1].response.error.code, "server_error");
    const sdk = new OpenAI({ baseURL: `${stage.gateway.url}/v1`, apiKey: "caller-key-3141592653", maxRetries: 0 });
    await assert.rejects(sdk.responses.stream({ model: "native/m-1", input: "Hello" }).finalResponse(), /broke off|ended/i);
  });

  it("what another caller may have stored is not asked for", async () => {
    const seen = stage.seen.length;
    const refused = async (fields) => {
      const answer = await ask("native/m-1", fields);
      const { error } = answer.json();
      return [answer.status, error.code, error.param];
    };
    assert.deepEqual(await refused({ previous_response_id: "resp_never" }), [404, "previous_response_not_found", "previous_response_id"]);
    assert.deepEqual(await refused({ conversation: "conv_1" }), [400, "unsupported_parameter", "conversation"]);
    assert.deepEqual(await refused({ background: true }), [400, "unsupported_parameter", "background"]);
    for (const item of [{ type: "item_reference", id: "msg_1" }, { id: "msg_1" }, { type: null, id: "msg_1" }]) {
      assert.deepEqual(await refused({ input: [{ role: "user", content: "x" }, { ...item, id: "msg_never" }] }), [404, "not_found", "input"]);
    }
    assert.equal(stage.seen.length, seen, "nothing reached the provider");
  });

  it("one row serves chats and responses, each by the API that takes them", async () => {
    const asked = async (path, body) => {
      stage.answer((seen, res) => json(200, JSON.stringify(seen.url.endsWith("/responses") ? RESPONSE : CHAT))(seen, res));
      const { status, text } = await stage.post(path, body);
      assert.equal(status, 200, text);
      return last().url.replace("/v1", "");
    };
    const message = (model, fields) => asked("/v1/messages", { model, max_tokens: 50, messages: [{ role: "user", content: "Hello" }], ...fields });
    assert.equal(await asked("/v1/responses", { model: "oai/gpt-5.6-terra", input: "Hello" }), "/responses");
    assert.equal(await asked("/v1/responses", { model: "oai/gpt-4o", input: "Hello" }), "/responses");
    assert.equal(await asked("/v1/chat/completions", { model: "oai/gpt-5.6-terra", messages: [{ role: "user", content: "Hello" }], tools: [{ type: "function", function: { name: "f" } }] }), "/chat/completions");
    assert.equal(await message("oai/gpt-5.6-terra", { tools: TOOLS }), "/responses");
    assert.deepEqual([last().body.store, last().body.tools[0].strict], [false, false]);
    assert.equal(await message("oai/gpt-5.6-terra", {}), "/chat/completions");
    assert.equal(await message("oai/gpt-5-mini", { tools: TOOLS }), "/chat/completions", "it takes tools in chats");
    assert.equal(await message("oai/gpt-5-pro", {}), "/responses", "it has no chats");
    assert.equal(await message("edited/gpt-5.6-terra", { tools: TOOLS }), "/chat/completions", "its edits are those of a chat");
  });

  it("a chat gets what the provider states", async () => {
    stage.answer(json(200, JSON.stringify(RESPONSE)));
    const { usage, choices } = (await stage.chat("native/m-1")).json();
    assert.deepEqual([usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens], [10, 4, 5]);
    assert.equal(choices[0].message.content, "Hi");
  });
});

// Responses that are kept: whoever serves them, and for their own caller only.
describe("kept responses", { concurrency: 1 }, () => {
  const [OWN, FOREIGN] = ["caller-key-3141592653", "caller-key-2718281828"];
  let stage, made = 0;
  const chat = (content) => json(200, { id: "c", object: "chat.completion", created: 1, model: "m-1", choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }], usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } });
  const native = (text, more = {}) => {
    const id = `resp_native${++made}`;
    const output = [{ type: "reasoning", id: `rs_${made}`, summary: [], encrypted_content: "sealed" }, { type: "message", id: `msg_native${made}`, role: "assistant", status: "completed", content: [{ type: "output_text", text, annotations: [], logprobs: [] }] }];
    return { id, object: "response", created_at: 1, status: "completed", model: "m-1", store: false, output, usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2 }, ...more };
  };
  before(async () => (stage = await startScripted({ rows: { chats: ["openai", ""], native: ["responses", ""], keyless: ["openai", "api_key_env: none"] }, bindings: { ACCESS_API_KEYS: `${OWN},${FOREIGN}` } })));
  after(() => stage.stop());

  const sdk = (apiKey = OWN) => new OpenAI({ baseURL: `${stage.gateway.url}/v1`, apiKey, maxRetries: 0 });
  const refusal = (promise) => promise.then(() => assert.fail("it was not refused"), ({ status, code }) => [status, code]);
  const texts = (input) => input.map(({ role, content }) => [role, typeof content === "string" ? content : content.map(({ text }) => text).join("")]);

  for (const streamed of [false, true]) {
    it(`a conversation goes on by the id of its last response, ${streamed ? "streamed" : "whole"}`, async () => {
      const ask = async (request) => (streamed ? sdk().responses.stream(request).finalResponse() : sdk().responses.create(request));
      const answer = (text) => stage.answer((seen, res) => {
        if (!seen.body.stream) return chat(text)(seen, res);
        const chunk = (delta, finish_reason = null) => event({ id: "c", object: "chat.completion.chunk", created: 1, model: "m-1", choices: [{ index: 0, delta, finish_reason }] });
        stream(chunk({ role: "assistant", content: text }), chunk({}, "stop"), "data: [DONE]\n\n")(seen, res);
      });
      answer("One");
      const first = await ask({ model: "chats/m", instructions: "Be brief.", input: "A" });
      answer("Two");
      const second = await ask({ model: "chats/m", input: [{ role: "user", content: "B" }], previous_response_id: first.id });
      answer("Three");
      const third = await ask({ model: "chats/m", input: "C", previous_response_id: second.id });
      assert.deepEqual(texts(stage.seen.at(-1).body.messages), [["user", "A"], ["assistant", "One"], ["user", "B"], ["assistant", "Two"], ["user", "C"]]);
      assert.equal(third.store, true);
      assert.deepEqual(JSON.parse(JSON.stringify(await sdk().responses.retrieve(second.id))).output, JSON.parse(JSON.stringify(second.output)).map(({ parsed, ...item }) => ({ ...item, ...(item.content && { content: item.content.map(({ parsed, ...part }) => part) }) })));
      // An item of an earlier response, as Vercel's SDK sends it.
      answer("Four");
      await ask({ model: "chats/m", input: [{ role: "user", content: "A" }, { type: "item_reference", id: first.output[0].id }, { role: "user", content: "D" }] });
      assert.deepEqual(texts(stage.seen.at(-1).body.messages), [["user", "A"], ["assistant", "One"], ["user", "D"]]);
      const listed = await sdk().responses.inputItems.list(second.id, { order: "asc" });
      assert.deepEqual(texts(listed.data), [["user", "B"]]);
    });
  }

  it("those of a provider are kept here, and nothing is stored there", async () => {
    for (const streamed of [false, true]) {
      const told = native("One");
      stage.answer((seen, res) => (streamed ? stream(event({ type: "response.created", response: told }, "response.created"), event({ type: "response.completed", response: told }, "response.completed")) : json(200, told))(seen, res));
      await (await stage.post("/v1/responses", { model: "native/m", input: "A", stream: streamed })).text;
      assert.equal(stage.seen.at(-1).body.store, false);
      stage.answer(json(200, native("Two")));
      const next = await stage.post("/v1/responses", { model: "native/m", input: "B", previous_response_id: told.id });
      assert.equal(next.status, 200, next.text);
      const { body } = stage.seen.at(-1);
      assert.equal(body.previous_response_id, undefined);
      assert.deepEqual(body.input.map(({ type, id }) => [type, id]), [["message", undefined], ["reasoning", undefined], ["message", undefined], ["message", undefined]]);
      assert.equal(body.input[1].encrypted_content, "sealed");
      assert.equal((await sdk().responses.retrieve(told.id)).output[1].id, told.output[1].id);
    }
  });

  it("a whole response that comes in place of a stream is kept", async () => {
    for (const [model, answer] of [["native/m", native("One")], ["chats/m", null]]) {
      stage.answer(answer ? json(200, answer) : chat("One"));
      const streamed = await stage.post("/v1/responses", { model, input: "A", stream: true });
      const { response } = JSON.parse(streamed.text.trimEnd().split("\n").at(-1).replace(/^data: /, ""));
      assert.equal(response.status, "completed", streamed.text);
      assert.equal((await sdk().responses.retrieve(response.id)).output_text, "One");
    }
  });

  it("those of a provider that needs no key are kept as well", async () => {
    stage.answer(chat("One"));
    const { id, store } = await sdk().responses.create({ model: "keyless/m", input: "A" });
    assert.equal(store, true);
    assert.equal((await sdk().responses.retrieve(id)).output_text, "One");
    assert.equal(stage.seen.at(-1).headers.authorization, undefined);
  });

  it("another caller finds nothing, like one who guesses", async () => {
    stage.answer(json(200, native("One")));
    const { id, output } = (await stage.post("/v1/responses", { model: "native/m", input: "A" })).json();
    const seen = stage.seen.length;
    for (const guess of [id, "resp_never"]) {
      const foreign = sdk(FOREIGN);
      assert.deepEqual(await refusal(foreign.responses.retrieve(guess)), [404, "not_found"]);
      assert.deepEqual(await refusal(foreign.responses.delete(guess)), [404, "not_found"]);
      assert.deepEqual(await refusal(foreign.responses.inputItems.list(guess)), [404, "not_found"]);
      assert.deepEqual(await refusal(foreign.responses.create({ model: "native/m", input: "B", previous_response_id: guess })), [404, "previous_response_not_found"]);
    }
    assert.deepEqual(await refusal(sdk(FOREIGN).responses.create({ model: "native/m", input: [{ type: "item_reference", id: output[1].id }] })), [404, "not_found"]);
    assert.equal(stage.seen.length, seen, "nothing reached the provider");
    assert.equal((await sdk().responses.retrieve(id)).id, id, "the caller's own is still there");
    await sdk().responses.delete(id);
    assert.deepEqual(await refusal(sdk().responses.retrieve(id)), [404, "not_found"]);
  });

  it("what is not to be kept is not", async () => {
    stage.answer(json(200, native("One")));
    const { id } = (await stage.post("/v1/responses", { model: "native/m", input: "A", store: false })).json();
    assert.deepEqual(await refusal(sdk().responses.retrieve(id)), [404, "not_found"]);
  });

  it("a conversation in a circle ends", async () => {
    const told = native("One");
    stage.answer(json(200, told));
    await stage.post("/v1/responses", { model: "native/m", input: "A" });
    await stage.post("/v1/responses", { model: "native/m", input: "B", previous_response_id: told.id });
    assert.deepEqual(await refusal(sdk().responses.create({ model: "native/m", input: "C", previous_response_id: told.id })), [400, "conversation_too_long"]);
  });
});
