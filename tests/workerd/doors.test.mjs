// Requests and addresses as people type them, and what a gateway tells of its providers: their models, and the limits
// of the operator's account.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { as, call, HELLO, until } from "./client.mjs";
import { SLOW, startGateway, STILL } from "./harness.mjs";
import { Office, OFFICE } from "./office.mjs";
import { event, json, KEY, startScripted, stream } from "./scripted.mjs";

const ROWS = { openai: ["openai", ""], anthropic: ["anthropic", ""], gemini: ["gemini", ""], responses: ["responses", ""] };
const completion = { id: "c", object: "chat.completion", created: 1, model: "m", choices: [{ index: 0, message: { role: "assistant", content: "It works." }, finish_reason: "stop" }], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } };
const ANSWERS = {
  openai: completion,
  anthropic: { id: "msg_1", type: "message", role: "assistant", model: "m", content: [{ type: "text", text: "It works." }], stop_reason: "end_turn", usage: { input_tokens: 3, output_tokens: 2 } },
  gemini: { candidates: [{ content: { role: "model", parts: [{ text: "It works." }] }, finishReason: "STOP", index: 0 }], usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 } },
  responses: { id: "resp_1", object: "response", status: "completed", model: "m", output: [{ type: "message", id: "msg_1", role: "assistant", status: "completed", content: [{ type: "output_text", text: "It works.", annotations: [] }] }], usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 } },
};

/** A request of each format of clients, by the model; the numbers that have to be whole are those of WHOLE. */
const REQUESTS = {
  openai: (model, messages = HELLO) => ["/v1/chat/completions", { model, max_tokens: 4096, n: 1, seed: 7, top_logprobs: 2, logprobs: true, messages }],
  anthropic: (model) => ["/v1/messages", { model, max_tokens: 4096, top_k: 40, thinking: { type: "enabled", budget_tokens: 2048 }, messages: HELLO }],
  gemini: (model) => [`/v1beta/models/${model}:generateContent`, { contents: [{ role: "user", parts: [{ text: "Hi" }] }], generationConfig: { maxOutputTokens: 4096, topK: 40, seed: 7, candidateCount: 1, thinkingConfig: { thinkingBudget: 2048 } } }],
  responses: (model) => ["/v1/responses", { model, max_output_tokens: 4096, top_logprobs: 2, input: "Hi" }],
};
const ALONE = {
  openai: (model) => ["/v1/chat/completions", { model, messages: [{ role: "system", content: "Say hello." }] }],
  gemini: (model) => [`/v1beta/models/${model}:generateContent`, { systemInstruction: { parts: [{ text: "Say hello." }] }, contents: [] }],
  responses: (model) => ["/v1/responses", { model, instructions: "Say hello.", input: [] }],
  "responses, as an item": (model) => ["/v1/responses", { model, input: [{ role: "system", content: "Say hello." }] }],
};

describe("a request as people write it", () => {
  let stage, raw, port;
  before(async () => {
    // The bytes as they came: JSON.parse would hide a fraction of nothing.
    const server = createServer(async (req, res) => {
      raw = "";
      for await (const piece of req) raw += piece;
      const format = req.url.split("/")[1];
      res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(ANSWERS[format]));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    port = server.address().port;
    const row = ([name, [adapter]]) => `  ${name}: { adapter: ${adapter}, base_url: "http://127.0.0.1:${port}/${name}/v1", api_key_env: none, models: { m: {} } }`;
    const gateway = await startGateway({ config: ["providers:", ...Object.entries(ROWS).map(row), ""].join("\n"), bindings: { ACCESS_API_KEYS: KEY } });
    stage = { gateway, server };
  });
  after(async () => {
    await stage.gateway.stop();
    stage.server.closeAllConnections();
    stage.server.close();
  });
  const send = ([path, body], edit = (text) => text) =>
    call(`${stage.gateway.url}${path}`, { method: "POST", headers: as(KEY), body: edit(JSON.stringify(body)) });
  const fractions = (text) => text.replace(/":(\d+)(?=[,}])/g, '":$1.0');

  for (const [client, request] of Object.entries(REQUESTS)) {
    for (const provider of Object.keys(ROWS)) {
      it(`may write whole numbers as 4096.0: ${client} to ${provider}`, async () => {
        const answer = await send(request(`${provider}/m`), fractions);
        assert.equal(answer.status, 200, answer.text);
        const fractional = raw;
        assert.equal((await send(request(`${provider}/m`))).status, 200);
        // Between equal formats, every byte stays.
        assert.equal(fractional, client === provider ? fractions(raw) : raw);
        assert.equal(/\d\.0\b/.test(fractional), client === provider);
        assert.match(raw, /4096/);
      });
    }
  }

  for (const [client, request] of Object.entries(ALONE)) {
    for (const provider of ["anthropic", "gemini"].filter((other) => other !== client)) {
      it(`may hold instructions alone: ${client} to ${provider}`, async () => {
        const answer = await send(request(`${provider}/m`));
        assert.equal(answer.status, 200, answer.text);
        const { system, systemInstruction, messages, contents } = JSON.parse(raw);
        assert.deepEqual([system, systemInstruction], [undefined, undefined]);
        const expected = { anthropic: [{ role: "user", content: "Say hello." }], gemini: [{ role: "user", parts: [{ text: "Say hello." }] }] };
        assert.deepEqual(messages ?? contents, expected[provider]);
        assert.match(answer.headers["x-llm-bridge-adjusted"] ?? "", /the instructions as the user's turn/);
      });
    }
  }

  it("is refused where nothing is said at all", async () => {
    for (const provider of ["anthropic", "gemini"]) {
      const answer = await send(["/v1/chat/completions", { model: `${provider}/m`, messages: [{ role: "system", content: "" }] }]);
      assert.deepEqual([answer.status, answer.json().error.param], [400, "messages"]);
    }
  });
});

describe("a base_url as vendors print it", () => {
  const CALLED = { openai: "/v1/chat/completions", anthropic: "/v1/messages", gemini: "/v1/models/m:generateContent", responses: "/v1/responses" };
  const PRINTED = ["/v1", "/v1/", "/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/models", "//v1"];
  let server, gateway, called;
  before(async () => {
    server = createServer((req, res) => {
      called = req.url;
      req.resume();
      const adapter = Object.entries(CALLED).find(([, path]) => req.url.endsWith(path.slice(3)))?.[0];
      res.writeHead(adapter ? 200 : 404, { "content-type": "application/json" }).end(JSON.stringify(ANSWERS[adapter] ?? {}));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const row = (adapter, path, name) => `  ${name}: { adapter: ${adapter}, base_url: "http://127.0.0.1:${server.address().port}${path}", api_key_env: none, models: { m: {} } }`;
    const rows = Object.keys(CALLED).flatMap((adapter) => PRINTED.map((path, index) => row(adapter, path, `${adapter}-${index}`)));
    rows.push(row("anthropic", "", "anthropic-bare"), row("gemini", "", "gemini-bare"), row("anthropic", "/anthropic", "anthropic-sdk"), row("gemini", "/google", "gemini-sdk"));
    gateway = await startGateway({ config: ["providers:", ...rows, ""].join("\n"), bindings: { ACCESS_API_KEYS: KEY } });
  });
  after(async () => {
    await gateway.stop();
    server.closeAllConnections();
    server.close();
  });
  const ask = (model) => call(`${gateway.url}/v1/chat/completions`, { method: "POST", headers: as(KEY), body: JSON.stringify({ model, messages: HELLO }) });

  for (const [adapter, path] of Object.entries(CALLED)) {
    it(`leads to the endpoint of ${adapter}`, async () => {
      for (const [index, printed] of PRINTED.entries()) {
        const answer = await ask(`${adapter}-${index}/m`);
        assert.deepEqual([answer.status, called.replace(/^\/+/, "/")], [200, path], `${printed}: ${answer.text}`);
      }
    });
  }

  it("needs no version where the SDKs of the format add it", async () => {
    for (const [name, path] of [["anthropic-bare", "/v1/messages"], ["gemini-bare", "/v1beta/models/m:generateContent"], ["anthropic-sdk", "/anthropic/v1/messages"], ["gemini-sdk", "/google/v1beta/models/m:generateContent"]]) {
      assert.deepEqual([(await ask(`${name}/m`)).status, called], [200, path]);
    }
  });
});

describe("models that providers list", () => {
  const LISTS = {
    openai: { object: "list", data: [{ id: "gpt-x", object: "model" }, { id: "known", object: "model" }] },
    responses: { object: "list", data: [{ id: "gpt-y", object: "model" }] },
    anthropic: { data: [{ type: "model", id: "claude-x", display_name: "Claude X" }], has_more: false },
    gemini: { models: [{ name: "models/gemini-x", supportedGenerationMethods: ["generateContent"] }, { name: "models/veo-x", supportedGenerationMethods: ["predict"] }] },
  };
  const HOUR = 3_600_000;
  let server, gateway, asked, answers, held;
  before(async () => {
    server = createServer(async (req, res) => {
      req.resume();
      const name = req.url.split("/")[1];
      if (req.method === "POST") return res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(completion));
      asked.push({ name, url: req.url, headers: req.headers });
      if (held) await held;
      const [status, body] = answers[name] ?? [200, LISTS[name]];
      res.writeHead(status, { "content-type": "application/json" }).end(typeof body === "string" ? body : JSON.stringify(body));
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const row = (name, adapter, models, more = "") => `  ${name}: { adapter: ${adapter}, base_url: "http://127.0.0.1:${server.address().port}/${name}/v1", models: ${models}${more} }`;
    const config = ["providers:", row("openai", "openai", '{ known: {}, "*": {} }'), row("responses", "responses", '"*"'), row("anthropic", "anthropic", '"*"'), row("gemini", "gemini", '"*"'),
      row("closed", "openai", "{ m: {} }"), row("unset", "openai", '"*"'), row("faulty", "openai", '{ "f-*": {} }'), "  demo: { adapter: echo, models: '*' }", ""].join("\n");
    const keys = Object.fromEntries(["OPENAI", "RESPONSES", "ANTHROPIC", "GEMINI", "CLOSED", "FAULTY"].map((name) => [`${name}_API_KEY`, `sk-${name}-0001`]));
    gateway = await startGateway({ config, bindings: { ACCESS_API_KEYS: KEY, ...keys }, entry: "production.mjs" });
    // Lists are asked for within 5 s, which pass when a test says so.
    await gateway.control({ speed: SLOW });
    [asked, answers] = [[], { faulty: [500, "no"] }];
  });
  after(async () => {
    await gateway.stop();
    server.closeAllConnections();
    server.close();
  });
  const list = async (query = "") => {
    const { data } = (await call(`${gateway.url}/v1/models${query}`, { headers: as(KEY) })).json();
    return data.map(({ id }) => id);
  };
  const LISTED = ["openai/known", "openai/gpt-x", "responses/gpt-y", "anthropic/claude-x", "gemini/gemini-x", "closed/m"];

  it("are no affair of a call of a model", async () => {
    const chat = await call(`${gateway.url}/v1/chat/completions`, { method: "POST", headers: as(KEY), body: JSON.stringify({ model: "openai/known", messages: HELLO }) });
    assert.deepEqual([chat.status, asked], [200, []]);
    assert.equal((await call(`${gateway.url}/v1/models`, { headers: as("wrong-key") })).status, 401);
    assert.deepEqual(asked, []);
  });

  it("are in the list, after the rows, in the shape of each adapter", async () => {
    // Two at once: one waits for what the other has asked.
    const both = await Promise.all([list(), list()]);
    assert.deepEqual(both, [LISTED, LISTED]);
    assert.equal(asked.length, 5);
    const seen = Object.fromEntries(asked.map(({ name, ...rest }) => [name, rest]));
    assert.deepEqual(Object.keys(seen).sort(), ["anthropic", "faulty", "gemini", "openai", "responses"]);
    assert.equal(seen.openai.url, "/openai/v1/models");
    assert.equal(seen.openai.headers.authorization, "Bearer sk-OPENAI-0001");
    assert.deepEqual([seen.anthropic.url, seen.anthropic.headers["x-api-key"], seen.anthropic.headers["anthropic-version"]], ["/anthropic/v1/models?limit=1000", "sk-ANTHROPIC-0001", "2023-06-01"]);
    assert.deepEqual([seen.gemini.url, seen.gemini.headers["x-goog-api-key"]], ["/gemini/v1/models?pageSize=1000", "sk-GEMINI-0001"]);
    assert.equal(seen.openai.headers["content-type"], undefined);
  });

  it("are asked for once an hour, and are known by their names", async () => {
    asked.length = 0;
    assert.deepEqual(await list(), LISTED);
    assert.ok((await list("?all=true")).includes("openai/*"));
    assert.deepEqual(asked, []);
    assert.equal((await call(`${gateway.url}/v1/models/anthropic/claude-x`, { headers: as(KEY) })).status, 200);
  });

  it("stay as they were where they cannot be asked for again, and nobody waits for them", async () => {
    for (const [status, body] of [[500, "no"], [200, "<html>"], [200, { error: { message: "no" } }], [404, {}], [302, {}]]) {
      asked.length = 0;
      answers = Object.fromEntries(["openai", "responses", "anthropic", "gemini", "faulty"].map((name) => [name, [status, body]]));
      await gateway.control({ advance: HOUR });
      let release;
      held = new Promise((resolve) => (release = resolve));
      assert.deepEqual(await list(), LISTED, "while they are asked");
      release();
      held = undefined;
      assert.deepEqual(await list(), LISTED);
    }
  });

  it("follow what the provider lists later", async () => {
    answers = { openai: [200, { data: [{ id: "gpt-z" }] }], faulty: [200, { data: [{ id: "f-1" }, { id: "g-1" }] }] };
    await gateway.control({ advance: HOUR });
    const listed = await until(async () => {
      const listed = await list();
      return listed.includes("openai/gpt-z") && listed.includes("faulty/f-1") && listed;
    }, "the new list");
    assert.ok(!listed.includes("openai/gpt-x") && !listed.includes("faulty/g-1"), "only names of the pattern");
  });
});

describe("the limits of the operator's account", () => {
  const LIMITS = { "x-ratelimit-limit-requests": "10000", "x-ratelimit-remaining-requests": "9999", "x-ratelimit-reset-requests": "8.64s", "anthropic-ratelimit-tokens-reset": "2026-11-27T12:00:05Z", "x-ratelimit-reset-tokens": "6m0s; x: y" };
  const SHOWN = Object.fromEntries(Object.entries(LIMITS).filter(([, value]) => !value.includes(";")));
  const CHUNK = event({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { content: "a" }, finish_reason: "stop" }] });
  let stage, office;
  before(async () => {
    const rows = { told: ["openai", "expose_limits: true"], untold: ["openai", ""], claude: ["anthropic", "expose_limits: true"] };
    const top = "routes:\n  both: { targets: [{ model: told/first }, { model: told/second }] }\n";
    stage = await startScripted({ rows, top, bindings: OFFICE });
    office = new Office(stage.gateway.url);
  });
  after(() => stage.stop());
  const shown = (answer) => Object.fromEntries(Object.entries(answer.headers).filter(([name]) => name.includes("ratelimit")));

  it("are told with `expose_limits` only", async () => {
    stage.answer(json(200, completion, LIMITS));
    assert.deepEqual(shown(await stage.chat("told/m")), SHOWN);
    assert.deepEqual(shown(await stage.chat("untold/m")), {});
    stage.answer((_, res) => res.writeHead(200, { "content-type": "text/event-stream", ...LIMITS }).end(`${CHUNK}data: [DONE]\n\n`));
    assert.deepEqual(shown(await stage.chat("told/m", { stream: true })), SHOWN);
    stage.answer(json(200, ANSWERS.anthropic, LIMITS));
    for (const answer of [await stage.message("claude/m"), await stage.chat("claude/m")]) assert.deepEqual(shown(answer), SHOWN);
  });

  it("are told with a refusal as well", async () => {
    stage.answer(json(429, { error: { message: "slow down" } }, { ...LIMITS, "x-should-retry": "true" }));
    const [told, untold] = [await stage.chat("told/m"), await stage.chat("untold/m")];
    assert.deepEqual([told.status, shown(told), told.headers["x-should-retry"]], [429, SHOWN, "true"]);
    assert.deepEqual([untold.status, shown(untold), untold.headers["x-should-retry"]], [429, {}, "true"]);
  });

  it("are not told where the key has limits of its own", async () => {
    const key = await office.key("limited", { requests_per_minute: 5 });
    const ask = () => call(`${stage.gateway.url}/v1/chat/completions`, { method: "POST", headers: as(key), body: JSON.stringify({ model: "told/m", messages: HELLO }) });
    stage.answer(json(200, completion, LIMITS));
    const answer = await ask();
    assert.equal(answer.headers["x-ratelimit-limit-requests"], "5");
    assert.equal(answer.headers["anthropic-ratelimit-tokens-reset"], undefined);
    stage.answer(json(429, { error: { message: "slow down" } }, LIMITS));
    assert.equal((await ask()).headers["x-ratelimit-limit-requests"], "5");
  });

  it("are not told, nor whether to retry, where there was more than one attempt", async () => {
    const refuse = json(429, { error: { message: "slow down" } }, { ...LIMITS, "x-should-retry": "true" });
    stage.answer((seen, res) => (seen.body.model === "first" ? refuse(seen, res) : json(200, completion, LIMITS)(seen, res)));
    const served = await stage.chat("both");
    assert.deepEqual([served.status, shown(served)], [200, {}]);
    stage.answer(refuse);
    const refused = await stage.chat("both");
    assert.deepEqual([refused.status, shown(refused), refused.headers["x-should-retry"]], [429, {}, undefined]);
  });
});

describe("a native stream with something after its end", () => {
  const chunk = (delta, finish_reason = null) => event({ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason }] });
  const DONE = "data: [DONE]\n\n";
  let stage;
  // Two providers: a gateway learns by what a provider does.
  before(async () => {
    const rows = ["shown", "quick"].map((name) => [name, ["openai", "stream_usage: show"]]);
    stage = await startScripted({ rows: Object.fromEntries(rows), entry: "production.mjs" });
    // What comes within two milliseconds came at once.
    await stage.gateway.control({ speed: STILL });
  });
  after(() => stage.stop());
  const ends = (text) => text.split(DONE).length - 1;

  it("has one end once the provider is known for it", async () => {
    // Each piece comes after a while: the platform pipes the stream, and what it has piped cannot be taken back.
    stage.answer(async (_, res) => {
      res.writeHead(200, { "content-type": "text/event-stream" });
      for (const [at, piece] of [chunk({ content: "a" }), chunk({}, "stop"), DONE + DONE].entries()) {
        if (at > 0) await stage.gateway.pass().then(() => stage.gateway.pass(100));
        res.write(piece);
      }
      res.end();
    });
    await stage.chat("shown/m", { stream: true });
    for (let round = 0; round < 2; round++) {
      const { text } = await stage.chat("shown/m", { stream: true });
      assert.deepEqual([ends(text), text.endsWith(DONE)], [1, true]);
    }
  });

  it("is over at its end if it came at once", async () => {
    stage.answer(stream(chunk({ content: "a" }), chunk({}, "stop"), DONE, DONE));
    const { text } = await stage.chat("quick/m", { stream: true });
    assert.deepEqual([ends(text), text.includes('"content":"a"')], [1, true]);
  });
});
