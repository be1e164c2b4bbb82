// Faults that people have reported of gateways, and of hosts that only resemble OpenAI, Anthropic or Google:
// requests that the provider would refuse, streams that leave something out, and errors that are not named so.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { as, call, HELLO } from "./client.mjs";
import { event, json, KEY, startScripted, stream } from "./scripted.mjs";

const ROWS = {
  hidden: ["openai", ""],
  openai: ["openai", "catalogue: openai"],
  anthropic: ["anthropic", ""],
  gemini: ["gemini", ""],
  responses: ["responses", ""],
  untouched: ["anthropic", "fit: never"],
};
const CHAT = { id: "c", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message: { role: "assistant", content: "It works." }, finish_reason: "stop" }], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } };
const MESSAGE = { id: "msg_1", type: "message", role: "assistant", model: "m", content: [{ type: "text", text: "It works." }], stop_reason: "end_turn", usage: { input_tokens: 3, output_tokens: 2 } };
const CONTENTS = { candidates: [{ content: { role: "model", parts: [{ text: "It works." }] }, finishReason: "STOP", index: 0 }], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 } };
const RESPONSE = { id: "resp_1", object: "response", status: "completed", model: "m", output: [{ type: "message", id: "msg_1", role: "assistant", status: "completed", content: [{ type: "output_text", text: "It works.", annotations: [] }] }], usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 } };
const any = (request, response) => json(200, request.url.includes("messages") ? MESSAGE : request.url.includes("enerateContent") ? CONTENTS : request.url.includes("/responses") ? RESPONSE : CHAT)(request, response);

const chunk = (delta, finish_reason = null, more = {}) => event({ id: "c", object: "chat.completion.chunk", model: "m", choices: [{ index: 0, delta, finish_reason }], ...more });
const DONE = event("[DONE]");

let stage;
before(async () => (stage = await startScripted({ rows: ROWS })));
after(() => stage.stop());

const sent = () => stage.seen.at(-1).body;
const data = (answer) => answer.text.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).filter((line) => line !== "[DONE]").map((line) => JSON.parse(line));
/** What each client gets of a stream, as text. */
const clients = {
  chat: (model) => stage.chat(model, { stream: true }),
  messages: (model) => stage.message(model, { stream: true }),
  gemini: (model) => stage.post(`/v1beta/models/${model}:streamGenerateContent?alt=sse`, { contents: [{ parts: [{ text: "Hi" }] }] }),
  responses: (model) => stage.post("/v1/responses", { model, input: "Hi", stream: true, store: false }),
};

describe("a request that a provider would refuse", () => {
  before(() => stage.answer(any));
  const tool = (name, parameters = { type: "object", properties: {} }) => ({ type: "function", function: { name, parameters } });
  const called = (id, name) => ({ role: "assistant", content: null, tool_calls: [{ id, type: "function", function: { name, arguments: "{}" } }] });
  const result = (id) => ({ role: "tool", tool_call_id: id, content: "r" });

  it("has tools under names that each provider takes, which are themselves in the response", async () => {
    for (const model of ["anthropic/m", "gemini/m", "responses/m"]) {
      const [name] = ["mcp.server/a tool"];
      stage.answer((request, response) => {
        const body = JSON.stringify(request.body);
        const own = /"name":"(mcp_[^"]*)"/.exec(body)?.[1] ?? "none";
        const answers = {
          anthropic: { ...MESSAGE, content: [{ type: "tool_use", id: "t1", name: own, input: {} }], stop_reason: "tool_use" },
          gemini: { candidates: [{ content: { role: "model", parts: [{ functionCall: { name: own, args: {} } }] }, finishReason: "STOP" }] },
          responses: { ...RESPONSE, output: [{ type: "function_call", id: "f", call_id: "t1", name: own, arguments: "{}", status: "completed" }] },
        };
        json(200, answers[model.split("/")[0]])(request, response);
      });
      const answer = await stage.chat(model, { tools: [tool(name)], messages: [...HELLO, called("c1", name), result("c1")] });
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.json().choices[0].message.tool_calls[0].function.name, name, model);
      assert.ok(!JSON.stringify(sent()).includes(name), model);
    }
    stage.answer(any);
  });

  it("has ids of calls that Anthropic takes, one for each call", async () => {
    const messages = [...HELLO, called("functions.f:0", "f"), result("functions.f:0"), called("functions.f:0", "f"), result("functions.f:0"), called("", "f"), result("")];
    const answer = await stage.chat("anthropic/m", { tools: [tool("f")], messages });
    assert.equal(answer.status, 200, answer.text);
    const blocks = sent().messages.flatMap((message) => (Array.isArray(message.content) ? message.content : []));
    const calls = blocks.filter((block) => block.type === "tool_use").map((block) => block.id);
    assert.equal(new Set(calls).size, 3);
    assert.ok(calls.every((id) => /^[a-zA-Z0-9_-]+$/.test(id)), String(calls));
    assert.deepEqual(blocks.filter((block) => block.type === "tool_result").map((block) => block.tool_use_id), calls);
    await stage.chat("untouched/m", { tools: [tool("f")], messages });
    assert.ok(JSON.stringify(sent()).includes("functions.f:0"), "unless nothing is to be fitted");
  });

  it("has schemas that Anthropic takes, and each tool once", async () => {
    const anyOf = [{ properties: { a: {} }, required: ["a"] }, { properties: { b: {} } }];
    const answer = await stage.chat("anthropic/m", { tools: [tool("f", { properties: { a: {} } }), tool("g", { anyOf }), tool("f")] });
    assert.deepEqual(sent().tools.map((one) => [one.name, one.input_schema]), [
      ["f", { properties: { a: {} }, type: "object" }],
      ["g", { properties: { a: {}, b: {} }, type: "object" }],
    ]);
    assert.match(answer.headers["x-llm-bridge-adjusted"], /tools: 3 tools -> 2 names/);
    assert.match(answer.headers["x-llm-bridge-dropped"], /tools\[\]\.function\.parameters\.anyOf/);
  });

  it("has a limit that the model can reach, known or learned from the refusal", async () => {
    const known = await stage.message("openai/gpt-4o", { max_tokens: 32_000 });
    assert.equal(sent().max_completion_tokens, 16_384);
    assert.match(known.headers["x-llm-bridge-adjusted"], /max_tokens: 32000 -> 16384/);
    const refusal = { error: { message: "max_tokens is too large: 32000. This model supports at most 8192 completion tokens, whereas you provided 32000.", type: "invalid_request_error", param: "max_tokens" } };
    stage.answer((request, response) => (request.body.max_tokens > 8192 ? json(400, refusal) : json(200, CHAT))(request, response));
    const before = stage.seen.length;
    const learned = await stage.message("hidden/m", { max_tokens: 32_000 });
    assert.deepEqual([learned.status, stage.seen.length - before, sent().max_tokens], [200, 2, 8192]);
    assert.match(learned.headers["x-llm-bridge-adjusted"], /max_tokens: 32000 -> 8192/);
    stage.answer(any);
  });

  it("may have one item where Google's API has a list, as its examples do", async () => {
    const body = { systemInstruction: { parts: { text: "Be short." } }, contents: { parts: { text: "Hi" } }, tools: { functionDeclarations: { name: "f" } }, generationConfig: { stopSequences: "END" } };
    for (const model of ["hidden/m", "anthropic/m", "responses/m"]) {
      const answer = await stage.post(`/v1beta/models/${model}:generateContent`, body);
      assert.equal(answer.status, 200, answer.text);
      for (const word of ["Be short.", "Hi", '"f"']) assert.ok(JSON.stringify(sent()).includes(word), `${model}: ${word}`);
    }
  });

  it("declares tools in an item, as Codex does, and calls them by their own names", async () => {
    const tools = [{ type: "namespace", name: "functions", tools: [{ type: "custom", name: "exec", description: "Runs", format: { type: "text" } }, { type: "function", name: "wait", parameters: { type: "object", properties: {} }, strict: false }] }];
    const input = [{ type: "additional_tools", id: "at_1", role: "developer", tools }, { role: "user", content: [{ type: "input_text", text: "hi" }] }];
    for (const model of ["hidden/m", "anthropic/m", "gemini/m"]) {
      let names;
      stage.answer((request, response) => {
        names = [...JSON.stringify(request.body).matchAll(/"name":"(functions__[a-z]+)"/g)].map(([, name]) => name);
        const name = "functions__exec";
        const answers = {
          hidden: { ...CHAT, choices: [{ index: 0, message: { role: "assistant", content: null, tool_calls: [{ id: "c1", type: "function", function: { name, arguments: '{"input":"ls"}' } }] }, finish_reason: "tool_calls" }] },
          anthropic: { ...MESSAGE, content: [{ type: "tool_use", id: "c1", name, input: { input: "ls" } }], stop_reason: "tool_use" },
          gemini: { candidates: [{ content: { role: "model", parts: [{ functionCall: { id: "c1", name, args: { input: "ls" } } }] }, finishReason: "STOP" }] },
        };
        json(200, answers[model.split("/")[0]])(request, response);
      });
      const answer = await stage.post("/v1/responses", { model, input, tools: null, store: false });
      assert.deepEqual(names, ["functions__exec", "functions__wait"], model);
      assert.equal(answer.headers["x-llm-bridge-dropped"], undefined);
      const { type, name, namespace, input: command } = answer.json().output.at(-1);
      assert.deepEqual({ type, name, namespace, command }, { type: "custom_tool_call", name: "exec", namespace: "functions", command: "ls" }, model);
    }
    stage.answer(any);
  });

  it("may name the parts of a chat as the Responses API does", async () => {
    const content = [{ type: "input_text", text: "What is it?" }, { type: "input_image", image_url: "data:image/png;base64,iVBORw0KGgo=" }];
    await stage.chat("anthropic/m", { messages: [{ role: "user", content }] });
    assert.deepEqual(sent().messages[0].content.map((block) => block.type), ["text", "image"]);
  });
});

describe("a stream of a host that only resembles its format", () => {
  it("that reports an error under another name is an error for every client, and never a success", async () => {
    const errors = [{ object: "error", message: "boom", type: "InternalServerError", code: 500 }, { detail: "boom" }, { code: 1301, msg: "boom" }, { success: false, message: "boom" }, { base_resp: { status_code: 1008, status_msg: "boom" } }];
    for (const error of errors) {
      stage.answer(stream(chunk({ content: "Hel" }), event(error), DONE));
      for (const [client, ask] of Object.entries(clients)) {
        const answer = await ask("hidden/m");
        assert.equal(answer.status, 200, client);
        assert.match(answer.text, /"message":"boom"/, `${client}: ${JSON.stringify(error)}`);
        assert.match(answer.text, /"error":\{/, client);
        assert.doesNotMatch(answer.text, /message_stop|response\.completed|"STOP"|"stop"/, client);
      }
      // Before any content it is a plain HTTP error.
      stage.answer(stream(event(error), DONE));
      const first = await stage.message("hidden/m", { stream: true });
      assert.equal(first.json().error.message, "boom", JSON.stringify(error));
      // And in a whole response.
      stage.answer(json(200, error));
      for (const whole of [await stage.chat("hidden/m"), await stage.message("hidden/m")]) {
        assert.ok(whole.status >= 500, whole.text);
        assert.equal(whole.json().error.message, "boom");
      }
    }
  });

  it("that says beside its content that there is no error is a response", async () => {
    for (const error of ["", {}, [], false, null]) {
      stage.answer(stream(chunk({ content: "It works." }, null, { error }), chunk({}, "stop", { error }), DONE));
      for (const [client, ask] of Object.entries(clients)) assert.match((await ask("hidden/m")).text, /It works\./, client);
      stage.answer(json(200, { ...CHAT, error }));
      assert.equal((await stage.chat("hidden/m")).json().choices[0].message.content, "It works.");
      assert.equal((await stage.message("hidden/m")).json().content[0].text, "It works.");
    }
  });

  it("of Anthropic's format without the start of its block has its text", async () => {
    const named = (type, fields) => event({ type, ...fields }, type);
    stage.answer(stream(named("message_start", { message: { ...MESSAGE, content: [], stop_reason: null } }), named("content_block_delta", { index: 0, delta: { type: "text_delta", text: "It works." } }), named("message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: 2 } }), named("message_stop", {})));
    for (const client of ["chat", "gemini", "responses"]) assert.match((await clients[client]("anthropic/m")).text, /It works\./, client);
  });

  it("of Anthropic's format tells its error in whatever form", async () => {
    const start = event({ type: "message_start", message: { ...MESSAGE, content: [], stop_reason: null } }, "message_start");
    const words = [event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } }), event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hel" } })];
    for (const error of [{ type: "error", error: "boom" }, { error: { type: "overloaded_error", message: "boom" } }]) {
      stage.answer(stream(start, ...words, event(error, "error")));
      for (const client of ["chat", "gemini", "responses"]) assert.match((await clients[client]("anthropic/m")).text, /"message":"boom"/, client);
    }
  });

  it("of Gemini's that is withheld without a word ends with that reason", async () => {
    for (const finishReason of ["SAFETY", "RECITATION", "PROHIBITED_CONTENT", "MAX_TOKENS"]) {
      stage.answer(stream(event({ candidates: [{ content: {}, finishReason, index: 0 }], usageMetadata: { promptTokenCount: 3, totalTokenCount: 3 } })));
      const cut = finishReason === "MAX_TOKENS";
      assert.equal(data(await clients.chat("gemini/m")).findLast((part) => part.choices?.[0]?.finish_reason).choices[0].finish_reason, cut ? "length" : "content_filter");
      assert.equal(data(await clients.messages("gemini/m")).find((part) => part.type === "message_delta").delta.stop_reason, cut ? "max_tokens" : "refusal");
      assert.equal((await clients.gemini("gemini/m")).status, 200);
    }
  });

  it("of the Responses API that opens no item has its text once", async () => {
    const delta = event({ type: "response.output_text.delta", output_index: 0, content_index: 0, item_id: "msg_1", delta: "It works." });
    stage.answer(stream(event({ type: "response.created", response: { ...RESPONSE, output: [] } }), delta, event({ type: "response.completed", response: RESPONSE })));
    for (const client of ["chat", "messages", "gemini"]) assert.equal((await clients[client]("responses/m")).text.split("It works.").length, 2, client);
  });

  it("has its images as Markdown where the client's format has none", async () => {
    const images = [{ type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } }];
    stage.answer(stream(chunk({ content: "Here:" }), chunk({ images }), chunk({}, "stop"), DONE));
    for (const client of ["messages", "gemini", "responses"]) assert.match((await clients[client]("hidden/m")).text, /!\[image\]\(data:image\/png;base64,iVBORw0KGgo=\)/, client);
  });

  it("may report its usage in the choice, and as strings", async () => {
    stage.answer(stream(chunk({ content: "It works." }), event({ choices: [{ index: 0, delta: {}, finish_reason: "stop", usage: { prompt_tokens: "11", completion_tokens: "7", total_tokens: "18" } }] }), DONE));
    const usage = data(await clients.messages("hidden/m")).find((part) => part.type === "message_delta").usage;
    assert.deepEqual([usage.input_tokens, usage.output_tokens], [11, 7]);
  });
});

describe("an error of a provider", () => {
  it("keeps its words, however they are wrapped", async () => {
    const rows = [
      [{ error: { message: { detail: "the words" } } }, "the words"],
      [{ error: [{ message: "the words" }] }, "the words"],
      [{ error: "invalid_request", error_description: "the words" }, "invalid_request: the words"],
      [{ error_code: 336003, error_msg: "the words" }, "the words"],
      [{ base_resp: { status_code: 2013, status_msg: "the words" } }, "the words"],
      [{ errorMessage: "the words" }, "the words"],
    ];
    for (const [body, words] of rows) {
      stage.answer(json(400, body));
      for (const answer of [await stage.chat("hidden/m"), await stage.message("hidden/m")]) assert.deepEqual([answer.status, answer.json().error.message], [400, words], JSON.stringify(body));
    }
    // An error of a stream, with its status.
    const overloaded = event({ type: "error", error: { type: "overloaded_error", message: "the words" } }, "error");
    stage.answer((_, response) => response.writeHead(529, { "content-type": "text/event-stream" }).end(overloaded));
    for (const model of ["anthropic/m", "hidden/m"]) assert.equal((await stage.message(model, { stream: true })).json().error.message, "the words");
  });

  it("of a choice that holds nothing else is the error of the response", async () => {
    stage.answer(json(200, { ...CHAT, choices: [{ index: 0, message: { role: "assistant", content: "" }, finish_reason: "error", error: { code: 503, message: "gone" } }] }));
    const answer = await stage.chat("hidden/m");
    assert.deepEqual([answer.status, answer.json().error.message], [503, "gone"]);
  });

  it("about a conversation that is too long has the code and the words that clients act upon", async () => {
    for (const message of ["Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens.", "Input length 5000 exceeds maximum allowed token 4096", "tokens in request more than max tokens allowed", "Context length exceeded."]) {
      stage.answer(json(400, { error: { message, type: "invalid_request_error" } }));
      assert.equal((await stage.chat("hidden/m")).json().error.code, "context_length_exceeded", message);
      assert.match((await stage.message("hidden/m")).json().error.message, /prompt is too long/, message);
    }
  });
});

describe("a model or an address as people paste it", () => {
  before(() => stage.answer(any));

  it("is found with blanks around the model's name", async () => {
    for (const model of ["hidden/m ", " hidden/m", "hidden/m\n"]) {
      assert.equal((await stage.chat(model)).status, 200, model);
      assert.equal(sent().model, "m");
    }
  });

  it("is found where another host has its API, and with an encoded colon", async () => {
    const chat = { model: "hidden/m", messages: HELLO };
    for (const path of ["/openai/v1/chat/completions", "/v1beta/openai/chat/completions"]) assert.equal((await stage.post(path, chat)).status, 200, path);
    assert.equal((await stage.post("/anthropic/v1/messages", { ...chat, max_tokens: 9 })).json().type, "message");
    assert.equal((await stage.post("/v1beta/models/hidden/m%3AgenerateContent", { contents: [{ parts: [{ text: "Hi" }] }] })).status, 200);
    assert.equal((await call(`${stage.gateway.url}/v1beta/openai/models`, { headers: as(KEY) })).json().object, "list");
  });
});
