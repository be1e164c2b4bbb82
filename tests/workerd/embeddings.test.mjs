// Embeddings in OpenAI's format, from its own providers and from Gemini's: the official SDK against strict
// fakes, and their receipts.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { GoogleGenAI } from "@google/genai";
import OpenAI, { APIError, InternalServerError, RateLimitError } from "openai";
import { vector, VECTOR_USAGE } from "./behaviours.mjs";
import { as, call } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { startFormats } from "./fake-formats.mjs";
import { OFFICE, Office } from "./office.mjs";
import { KEY, startStage } from "./stage.mjs";

const PRICE = "price: { input: 2, output: 0 }";

describe("embeddings", () => {
  let stage, formats, office, openai;
  before(async () => {
    formats = await startFormats();
    const config = (fake) => `
default_provider: demo
providers:
  any: { base_url: "${fake.base}", models: { "*": { ${PRICE} } } }
  tuned: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { ok: { param_config: { add_params: { dimensions: 2 } } } } }
  unpriced: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: "*" }
  google: { adapter: gemini, base_url: "${formats.gemini}", models: { "*": { ${PRICE} } } }
  claude: { adapter: anthropic, base_url: "${formats.anthropic}", models: "*" }
  demo: { adapter: echo, models: { echo: {} } }
`;
    const bindings = { ...OFFICE, GOOGLE_API_KEY: "key-of-gemini", CLAUDE_API_KEY: "key-of-anthropic" };
    stage = await startStage({ config, bindings });
    office = new Office(stage.gateway.url);
    openai = client(KEY);
  });
  after(async () => {
    await stage.stop();
    await formats.stop();
  });

  const client = (apiKey) => new OpenAI({ baseURL: `${stage.gateway.url}/v1`, apiKey, maxRetries: 0 });
  const post = (body, path = "/v1/embeddings", key = KEY) => call(stage.gateway.url + path, { method: "POST", headers: as(key), body: typeof body === "string" ? body : JSON.stringify(body) });
  const seen = () => formats.requests.at(-1);
  const google = "google/gemini-embedding-2";

  describe("of a provider who speaks the same", () => {
    it("come as the SDK asks for them by default: in base64, decoded again", async () => {
      const { data, usage, model } = await openai.embeddings.create({ model: "any/ok", input: ["one", "two"] });
      assert.deepEqual(data.map(({ embedding }) => embedding), [vector(0), vector(1)]);
      assert.deepEqual({ usage, model }, { usage: VECTOR_USAGE, model: "ok-served" });
      assert.equal(stage.fake.of("ok").request.encoding_format, "base64");
    });

    it("pass byte for byte, and so does the request but for the model's name", async () => {
      const answer = await post('{ "input" : [ [1, 2], [3] ],"model":"any\\/ok" ,"dimensions":3,"user":"\\u00e9"}', "/embeddings");
      assert.equal(answer.text, stage.sent());
      assert.equal(stage.fake.last().body.toString(), '{ "input" : [ [1, 2], [3] ],"model":"ok" ,"dimensions":3,"user":"\\u00e9"}');
      assert.equal(stage.fake.last().path, "/v1/embeddings");
      assert.equal(answer.headers["x-llm-bridge-cost"], "0.000016");
      assert.match(answer.headers["server-timing"], /upstream;dur=/);
    });

    it("are edited as the model's row asks", async () => {
      const { data } = await openai.embeddings.create({ model: "tuned/ok", input: "one", encoding_format: "float" });
      assert.equal(data[0].embedding.length, 2);
    });

    it("keep the provider's own refusals, with what they ask for", async () => {
      await assert.rejects(openai.embeddings.create({ model: "any/err-429", input: "x" }), (error) => error instanceof RateLimitError && error.headers.get("retry-after") === "7");
      await assert.rejects(openai.embeddings.create({ model: "any/err-500", input: "x" }), InternalServerError);
      const refused = expectError(await post({ model: "any/err-401", input: "x" }), { status: 502, code: "upstream_credentials_refused" });
      assert.ok(!JSON.stringify(refused).includes("sk-provider"));
      expectError(await post({ model: "any/ok", input: "" }), { status: 400, param: "input", says: /Invalid value/ });
      for (const model of ["html-200", "garbage-200", "error-in-200"]) expectError(await post({ model: `any/${model}`, input: "x" }), { status: 502 });
      expectError(await post({ model: "any/reset-before-headers", input: "x" }), { status: 502, code: "upstream_unreachable" });
    });
  });

  describe("of Gemini", () => {
    it("come as floats and in base64 alike, in the order of the texts", async () => {
      for (const encoding_format of [undefined, "float", "base64"]) {
        const { data, usage, model } = await openai.embeddings.create({ model: google, input: ["one", "two"], dimensions: 8, ...(encoding_format && { encoding_format }) });
        assert.deepEqual(data.map(({ index, object }) => [index, object]), [[0, "embedding"], [1, "embedding"]]);
        assert.deepEqual({ usage, model }, { usage: { prompt_tokens: 5, total_tokens: 5 }, model: "gemini-embedding-2" });
        const floats = data.map(({ embedding }) => (typeof embedding === "string" ? [...new Float32Array(Uint8Array.from(Buffer.from(embedding, "base64")).buffer)] : embedding));
        assert.deepEqual(floats, [vector(0, 8), vector(1, 8)]);
      }
      assert.deepEqual(seen().body.requests[1], { model: "models/gemini-embedding-2", content: { parts: [{ text: "two" }] }, outputDimensionality: 8 });
    });

    it("say what was dropped, or are refused for it", async () => {
      const answer = await post({ model: google, input: "x", user: "me" });
      assert.deepEqual(
        { status: answer.status, "x-llm-bridge-dropped": answer.headers["x-llm-bridge-dropped"] },
        { status: 200, "x-llm-bridge-dropped": "user" },
      );
      assert.deepEqual(
        { "x-llm-bridge-cost": answer.headers["x-llm-bridge-cost"], "x-llm-bridge-estimated": answer.headers["x-llm-bridge-estimated"] },
        { "x-llm-bridge-cost": "0.00001", "x-llm-bridge-estimated": undefined },
      );
      const strict = await call(`${stage.gateway.url}/v1/embeddings`, { method: "POST", headers: { ...as(KEY), "x-llm-bridge-strict": "true" }, body: JSON.stringify({ model: google, input: "x", user: "me" }) });
      expectError(strict, { status: 400, code: "unsupported_parameter", param: "user" });
    });

    it("are at most a hundred at once, and of texts", async () => {
      const many = (count) => Array.from({ length: count }, (_, n) => `text ${n}`);
      assert.equal((await openai.embeddings.create({ model: google, input: many(100) })).data.length, 100);
      const before = formats.requests.length;
      expectError(await post({ model: google, input: many(101) }), { status: 400, code: "too_many_texts", param: "input", says: /at most 100/ });
      expectError(await post({ model: google, input: [1, 2] }), { status: 400, code: "unsupported_input", param: "input" });
      expectError(await post({ model: google, input: "x", encoding_format: "hex" }), { status: 400, code: "invalid_type", param: "encoding_format" });
      assert.equal(formats.requests.length, before, "the provider was not asked");
    });

    it("without usage are marked as estimated", async () => {
      const answer = await post({ model: "google/gemini-embedding-001", input: "hello world" });
      assert.deepEqual(
        { status: answer.status, "x-llm-bridge-estimated": answer.headers["x-llm-bridge-estimated"], "x-llm-bridge-cost": answer.headers["x-llm-bridge-cost"] },
        { status: 200, "x-llm-bridge-estimated": "true", "x-llm-bridge-cost": undefined },
      );
      assert.ok(answer.json().usage.prompt_tokens > 0);
    });

    for (const [status, told] of [[401, 502], [429, 429], [500, 500]]) {
      it(`pass a refusal on in OpenAI's shape: ${status}`, async () => {
        formats.refuse(status, { "retry-after": "7" });
        try {
          await assert.rejects(openai.embeddings.create({ model: google, input: "x" }), (error) => {
            assert.ok(error instanceof APIError);
            assert.deepEqual(
              { status: error.status, "retry-after": error.headers.get("retry-after") },
              { status: told, "retry-after": status === 401 ? null : "7" },
            );
            return true;
          });
        } finally {
          formats.refuse(null);
        }
      });
    }
  });

  describe("of OpenAI's format for clients of Gemini's", () => {
    const genai = () => new GoogleGenAI({ apiKey: KEY, httpOptions: { baseUrl: stage.gateway.url } }).models;
    const raw = (method, body) => call(`${stage.gateway.url}/v1beta/models/any/ok:${method}`, { method: "POST", headers: { "x-goog-api-key": KEY }, body: JSON.stringify(body) });
    const content = (...texts) => ({ parts: texts.map((text) => ({ text })) });

    it("come as the SDK reads them, in the order of the texts", async () => {
      const { embeddings } = await genai().embedContent({ model: "any/ok", contents: ["one", "two"], config: { outputDimensionality: 8, taskType: "RETRIEVAL_QUERY" } });
      assert.deepEqual(embeddings.map(({ values }) => values), [vector(0, 8), vector(1, 8)]);
      assert.deepEqual(stage.fake.of("ok").request, { model: "ok", input: ["one", "two"], dimensions: 8 });
    });

    it("are one vector for one content, with its tokens and cost", async () => {
      const answer = await raw("embedContent", { content: content("one", "two"), taskType: "CLUSTERING" });
      assert.deepEqual(answer.json(), { embedding: { values: vector(0) }, usageMetadata: { promptTokenCount: 8, totalTokenCount: 8 } });
      assert.deepEqual(stage.fake.of("ok").request, { model: "ok", input: ["one\ntwo"] });
      assert.deepEqual([answer.headers["x-llm-bridge-dropped"], answer.headers["x-llm-bridge-cost"]], ["taskType", "0.000016"]);
    });

    it("are refused in Google's shape", async () => {
      const refused = async (method, body) => {
        const answer = await raw(method, body);
        return [answer.status, answer.json().error.status];
      };
      const before = stage.fake.requests?.length;
      assert.deepEqual(await refused("embedContent", { content: { parts: [{ inlineData: { mimeType: "image/png", data: "" } }] } }), [400, "INVALID_ARGUMENT"]);
      assert.deepEqual(await refused("batchEmbedContents", { requests: [{ content: content("a"), outputDimensionality: 2 }, { content: content("b") }] }), [400, "INVALID_ARGUMENT"]);
      assert.deepEqual(await refused("batchEmbedContents", { requests: [] }), [400, "INVALID_ARGUMENT"]);
      assert.equal(stage.fake.requests?.length, before, "the provider was not asked");
    });
  });

  it("are refused where there are none", async () => {
    for (const model of ["claude/any", "demo/echo"]) {
      expectError(await post({ model, input: "x" }), { status: 400, type: "invalid_request_error", code: "unsupported_endpoint", param: "model", says: /has no embeddings/ });
    }
    assert.equal(formats.requests.some(({ url }) => url.startsWith("/v1/messages")), false);
  });

  it("are refused if they are not asked for as they should be", async () => {
    const refused = (code, param, status = 400) => ({ status, type: "invalid_request_error", code, param });
    expectError(await post("{"), refused("invalid_json", null));
    expectError(await post([]), refused("invalid_body", null));
    expectError(await post({ input: "x" }), refused("missing_required_parameter", "model"));
    expectError(await post({ model: "any/ok" }), refused("missing_required_parameter", "input"));
    expectError(await post({ model: "any/ok", input: { a: 1 } }), refused("invalid_type", "input"));
    expectError(await post({ model: "nobody/x", input: "x" }), refused("model_not_found", "model", 404));
    expectError(await post({ model: "any/ok", input: "x" }, "/v1/embeddings", "wrong"), refused("invalid_api_key", null, 401));
    expectError(await call(`${stage.gateway.url}/v1/embeddings`, { headers: as(KEY) }), refused("method_not_allowed", null, 405));
    assert.equal((await call(`${stage.gateway.url}/v1/embeddings`, { method: "OPTIONS" })).status, 204);
  });

  it("leave one receipt each, whatever comes of them", async () => {
    const key = await office.key("books", { budget: { amount: "1", per: "total" }, models: ["any/*", "google/*", "unpriced/*"] });
    const statuses = [];
    for (const body of [
      { model: "any/ok", input: "x" },
      { model: google, input: ["x", "y"] },
      { model: "google/gemini-embedding-001", input: "hello world" },
      { model: "any/no-usage", input: "hello world" },
      { model: "any/err-429", input: "x" },
      { model: "claude/any", input: "x" },
      { model: "unpriced/ok", input: "x" },
    ]) {
      statuses.push((await post(body, "/v1/embeddings", key)).status);
    }
    assert.deepEqual(statuses, [200, 200, 200, 200, 429, 400, 403]);
    await office.totals("books", 5);
    const receipts = (await office.receipts("books")).reverse();
    assert.deepEqual(
      receipts.map(({ provider, status, tokens, estimated, cost_nanos }) => [provider, status, tokens?.prompt ?? null, tokens?.completion ?? null, estimated, cost_nanos]),
      [
        ["any", 200, 8, 0, false, 16_000],
        ["google", 200, 5, 0, false, 10_000],
        // "hello world" has two tokens.
        ["google", 200, 2, 0, true, 4_000],
        ["any", 200, 2, 0, true, 4_000],
        ["any", 429, null, null, false, 0],
      ],
    );
  });

  it("are held to a key's limits", async () => {
    const poor = await office.key("poor", { budget: { amount: "0.000001", per: "total" } });
    await assert.rejects(client(poor).embeddings.create({ model: "any/ok", input: "x" }), (error) => error instanceof RateLimitError && error.code === "insufficient_quota");
    const slow = await office.key("slow", { requests_per_minute: 1 });
    const answer = await post({ model: "any/ok", input: "x" }, "/v1/embeddings", slow);
    assert.deepEqual(
      { status: answer.status, "x-ratelimit-remaining-requests": answer.headers["x-ratelimit-remaining-requests"] },
      { status: 200, "x-ratelimit-remaining-requests": "0" },
    );
    expectError(await post({ model: "any/ok", input: "x" }, "/v1/embeddings", slow), { status: 429, code: "rate_limit_exceeded" });
    const bound = await office.key("bound", { models: ["google/*"] });
    expectError(await post({ model: "any/ok", input: "x" }, "/v1/embeddings", bound), { status: 403, code: "model_not_allowed" });
  });
});
