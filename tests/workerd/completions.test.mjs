// Legacy completions of providers that speak OpenAI's format: complete and streamed, complete and broken off,
// and their receipts.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI, { RateLimitError } from "openai";
import { ANSWER, chunk, event, TEXT_USAGE } from "./behaviours.mjs";
import { as, call, events, open } from "./client.mjs";
import { expectError, expectErrorFrame, expectOneDone } from "./expect.mjs";
import { SLOW } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { ASKING, KEY, QUIET, startStage } from "./stage.mjs";

const PRICE = "price: { input: 2, output: 4 }, max_output: 100";
const COST = 9 * 2000 + 7 * 4000;

describe("legacy completions", () => {
  let stage, office, openai;
  before(async () => {
    const row = (fake, keys) => `{ base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { "*": { ${PRICE} } }, ${QUIET}, ${keys} }`;
    const config = (fake) => `
providers:
  any: ${row(fake, "")}
  shy: ${row(fake, "stream_usage: leave")}
  checked: ${row(fake, "relay: checked")}
  brief: ${row(fake, "clocks: { total: 30 }")}
  capped: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { ok: { max_tokens: 5 } } }
  claude: { adapter: anthropic, base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: "*" }
  google: { adapter: gemini, base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: "*" }
  demo: { adapter: echo, models: { echo: {} } }
`;
    stage = await startStage({ config, bindings: OFFICE, entry: "production.mjs" });
    office = new Office(stage.gateway.url);
    openai = client(KEY);
  });
  after(() => stage.stop());

  const client = (apiKey) => new OpenAI({ baseURL: `${stage.gateway.url}/v1`, apiKey, maxRetries: 0 });
  const url = (path = "/v1/completions") => stage.gateway.url + path;
  const request = (model, fields = {}, key = KEY) => ({ method: "POST", headers: as(key), body: JSON.stringify({ model, prompt: "Say", ...fields }) });
  const ask = (...said) => call(url(), request(...said));
  const text = (stream) => events(stream).filter(({ data }) => data !== "[DONE]").map(({ data }) => JSON.parse(data).choices[0]?.text ?? "").join("");

  it("come whole, byte for byte", async () => {
    const completion = await openai.completions.create({ model: "any/ok", prompt: ["Say"], max_tokens: 9, echo: false });
    assert.deepEqual(
      { object: completion.object, text: completion.choices[0].text, usage: completion.usage },
      { object: "text_completion", text: ANSWER, usage: TEXT_USAGE },
    );
    assert.deepEqual(
      { path: stage.fake.last().path, request: stage.fake.last().request },
      { path: "/v1/completions", request: { model: "ok", prompt: ["Say"], max_tokens: 9, echo: false } },
    );
    const answer = await call(url("/completions/"), request("any/ok"));
    assert.deepEqual({ text: answer.text, "x-llm-bridge-cost": answer.headers["x-llm-bridge-cost"] }, { text: stage.sent(), "x-llm-bridge-cost": "0.000046" });
    await openai.completions.create({ model: "capped/ok", prompt: "Say", max_tokens: 50 });
    assert.equal(stage.fake.last().request.max_tokens, 5);
  });

  it("are streamed, and the SDK reads them", async () => {
    const stream = await openai.completions.create({ model: "any/ok", prompt: "Say", stream: true });
    let said = "";
    for await (const chunk of stream) said += chunk.choices[0].text;
    assert.equal(said, ANSWER);
  });

  it("tell their usage only to those who ask, and the gateway in any case", async () => {
    const plain = await ask("any/ok", { stream: true });
    assert.deepEqual(stage.fake.last().request.stream_options, { include_usage: true });
    assert.ok(!events(plain.bytes).some(({ data }) => data.includes('"choices":[],')), plain.text);
    expectOneDone(plain.bytes);
    const told = await ask("any/ok", { stream: true, ...ASKING });
    assert.equal(told.text, stage.sent());
    assert.deepEqual(JSON.parse(events(told.bytes).at(-2).data).usage, TEXT_USAGE);
    const priced = await ask("any/ok", { stream: true, stream_options: { include_cost: true } });
    assert.equal(JSON.parse(events(priced.bytes).at(-2).data).usage.cost, 0.000046);
  });

  for (const model of ["crlf", "one-byte", "utf8-split", "no-space-data", "comments"]) {
    it(`are passed on in any framing: ${model}`, async () => {
      const answer = await ask(`any/${model}`, { stream: true, ...ASKING });
      assert.equal(answer.text, stage.sent());
      if (model !== "one-byte") assert.equal(text(answer.bytes), ANSWER);
    });
  }

  it("that lack their [DONE] get it", async () => {
    expectOneDone((await ask("any/no-done", { stream: true, ...ASKING })).bytes);
  });

  for (const provider of ["any", "shy", "checked"]) {
    for (const model of ["cut-mid-stream", "reset-mid-stream", "ends-early", "cut-mid-event"]) {
      it(`that are cut end in an error: ${provider}/${model}`, async () => {
        const answer = await ask(`${provider}/${model}`, { stream: true, ...ASKING });
        assert.equal(answer.status, 200);
        expectErrorFrame(answer.bytes, { type: "upstream_error", code: "stream_truncated" });
      });
    }
  }

  it("that fail in their midst, or take too long, say so", async () => {
    await stage.gateway.control({ speed: SLOW });
    const held = stage.held("stalled");
    const opening = open(url(), request("brief/stalled", { stream: true, ...ASKING }));
    const provider = await held;
    provider.openStream();
    provider.write(event(chunk(provider.request, { content: "Hello" })));
    const stalled = await opening;
    const begun = await stalled.until("Hello");
    await stage.gateway.control({ advance: 30_000 });
    expectErrorFrame(begun + (await stalled.rest()), { code: "upstream_timeout" });
    await stage.gateway.control({ speed: 1 });
    expectError(await ask("any/empty-stream", { stream: true }), { status: 502, code: "stream_truncated" });
    expectError(await ask("any/cut-mid-stream"), { status: 502 });
  });

  it("are cancelled when the client leaves", async () => {
    const answer = await open(url(), request("any/stall-mid-stream", { stream: true }));
    await answer.until("Hello");
    answer.leave();
    await stage.expectCancelled();
  });

  it("keep the provider's refusals", async () => {
    await assert.rejects(openai.completions.create({ model: "any/err-429", prompt: "x" }), (error) => error instanceof RateLimitError && error.headers.get("retry-after") === "7");
    expectError(await ask("any/err-500"), { status: 500, type: "server_error" });
    expectError(await ask("any/err-401"), { status: 502, code: "upstream_credentials_refused" });
    expectError(await ask("any/html-200"), { status: 502, code: "upstream_invalid_response" });
    expectError(await ask("any/ok", { messages: [] }), { status: 400, says: /Unrecognized request argument supplied: messages/ });
  });

  it("are refused where there are none, or if they are asked for wrongly", async () => {
    for (const model of ["claude/x", "google/x", "demo/echo"]) {
      const before = stage.fake.requests.length;
      expectError(await ask(model), { status: 400, code: "unsupported_endpoint", param: "model", says: /has no legacy completions/ });
      assert.equal(stage.fake.requests.length, before);
    }
    expectError(await call(url(), { ...request("any/ok"), body: "{" }), { status: 400, code: "invalid_json" });
    expectError(await ask("any/ok", { prompt: 7 }), { status: 400, code: "invalid_type", param: "prompt" });
    expectError(await ask("any/ok", { stream: "yes" }), { status: 400, code: "invalid_type", param: "stream" });
    expectError(await ask("any/ok", {}, "wrong"), { status: 401, code: "invalid_api_key" });
    expectError(await call(url(), { headers: as(KEY) }), { status: 405, code: "method_not_allowed" });
    assert.equal((await call(url(), { method: "OPTIONS" })).status, 204);
    assert.equal((await call(url(), { method: "POST", headers: as(KEY), body: '{"model":"any/ok"}' })).status, 200, "a prompt may be left out");
  });

  it("leave one receipt each", async () => {
    const key = await office.key("books", { budget: { amount: "1", per: "total" } });
    for (const [model, fields] of [["any/ok", {}], ["any/ok", { stream: true }], ["shy/ok", { stream: true }], ["any/cut-mid-stream", { stream: true }], ["any/err-500", {}]]) await ask(model, fields, key);
    await office.totals("books", 5);
    const receipts = (await office.receipts("books")).reverse();
    const told = receipts.map(({ outcome, stream, tokens, estimated, cost_nanos }) => [outcome, stream, tokens?.prompt, tokens?.completion, estimated, cost_nanos]);
    assert.deepEqual(told.slice(0, 2), [["complete", false, 9, 7, false, COST], ["complete", true, 9, 7, false, COST]]);
    // "Say" has one token; the response is counted.
    const [, , prompt, completion, estimated] = told[2];
    assert.deepEqual(
      { prompt, plausible: completion > 7 && completion < 20, estimated },
      { prompt: 1, plausible: true, estimated: true },
      JSON.stringify(told[2]),
    );
    assert.deepEqual(
      { outcome: told[3][0], prompt: told[3][2], estimated: told[3][4] },
      { outcome: "truncated", prompt: 1, estimated: true },
    );
    assert.deepEqual(told[4], ["refused", false, undefined, undefined, false, 0]);
  });

  it("are promised for all that is drawn", async () => {
    // The bound of a prompt is 1,024 tokens and its bytes, about $0.0021; of the longest response, $0.0004.
    const key = await office.key("modest", { budget: { amount: "0.004", per: "total" } });
    assert.equal((await ask("any/ok", {}, key)).status, 200);
    await office.totals("modest", 1);
    for (const fields of [{ best_of: 10 }, { n: 10 }, { prompt: Array(10).fill("a") }]) {
      expectError(await ask("any/ok", fields, key), { status: 429, code: "insufficient_quota" });
    }
    assert.equal((await ask("any/ok", { n: 2, max_tokens: 5 }, key)).status, 200);
  });
});
