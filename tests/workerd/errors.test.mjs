// Every way in which a request can fail, and the caller's error: who has to act, which status, and no
// secrets.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { HELLO, until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { SLOW } from "./harness.mjs";
import { DEAD_PORT, PROVIDER_KEY, startStage } from "./stage.mjs";

const MESSAGES = `"messages":${JSON.stringify(HELLO)}`;
const THEIRS = { status: 400, type: "invalid_request_error" };

describe("an error", () => {
  let stage;
  before(async () => {
    const config = (fake) => `
default_provider: openai
limits: { max_body_bytes: 4096 }
providers:
  openai: { base_url: "${fake.base}", models: { ok: {}, capped: { max_tokens: 10 } } }
  any: { base_url: "${fake.base}", models: "*" }
  brief: { base_url: "${fake.base}", models: { silent: { timeout: 30 }, stall-mid-stream: { timeout: 30 } } }
  dead: { base_url: "http://127.0.0.1:${DEAD_PORT}/v1", models: { ok: {} } }
  keyless-by-mistake: { base_url: "${fake.base}", models: { ok: {} } }
  misnamed: { base_url: "${fake.base}", api_key_env: MY_KEY, models: { ok: {} } }
`;
    stage = await startStage({ config, bindings: { DEAD_API_KEY: PROVIDER_KEY }, entry: "production.mjs" });
  });
  after(() => stage.stop());

  /** Asserts that a text contains nothing that only the operator may know. */
  function expectDiscreet({ text, headers }) {
    const shown = text + JSON.stringify(headers);
    for (const secret of [PROVIDER_KEY, "127.0.0.1", String(stage.fake.port), String(DEAD_PORT)]) {
      assert.ok(!shown.includes(secret), `${secret} in ${shown}`);
    }
  }

  /** Calls `model`, streamed and not, and asserts the same plain error both times. */
  function bothWays(title, model, wanted, more = () => {}) {
    for (const stream of [false, true]) {
      it(`${title}${stream ? ", asked for a stream" : ""}`, async () => {
        const answer = await stage.ask(model, { stream });
        const error = expectError(answer, wanted);
        expectDiscreet(answer);
        await more(answer, error);
      });
    }
  }

  describe("of the caller's", () => {
    for (const [what, body, wanted] of [
      ["an empty body", "", { code: "invalid_json", param: null, says: /line 1\b.*column/ }],
      ["broken JSON", '{"model":"ok",\n  "messages":[}', { code: "invalid_json", param: null, says: /line 2\b.*column \d+/ }],
      ["two documents", `{"model":"ok",${MESSAGES}}{}`, { code: "invalid_json", param: null }],
      ["invalid UTF-8", Buffer.from('{"model":"\xff"}', "latin1"), { code: "invalid_json", param: null }],
      ["a list", "[]", { code: "invalid_body", param: null }],
      ["a string", '"ok"', { code: "invalid_body", param: null }],
      ["a number", "7", { code: "invalid_body", param: null }],
      ["null", " null ", { code: "invalid_body", param: null }],
      ["no model", `{${MESSAGES}}`, { code: "missing_required_parameter", param: "model" }],
      ["no messages", '{"model":"ok"}', { code: "missing_required_parameter", param: "messages" }],
      ["a model that is a number", `{"model":7,${MESSAGES}}`, { code: "invalid_type", param: "model" }],
      ["a model that is a list", `{"model":["ok"],${MESSAGES}}`, { code: "invalid_type", param: "model" }],
      ["messages that are text", '{"model":"ok","messages":"Hello"}', { code: "invalid_type", param: "messages" }],
      ["messages that are an object", '{"model":"ok","messages":{}}', { code: "invalid_type", param: "messages" }],
      ["a stream that is text", `{"model":"ok",${MESSAGES},"stream":"false"}`, { code: "invalid_type", param: "stream" }],
      ["a stream that is a number", `{"model":"ok",${MESSAGES},"stream":1}`, { code: "invalid_type", param: "stream" }],
      ["two models", `{"model":"ok","model":"ok",${MESSAGES}}`, { code: "duplicate_key", param: "model" }],
      ["two models, one of them in disguise", `{"model":"ok","\\u006dodel":"ok",${MESSAGES}}`, { code: "duplicate_key", param: "model" }],
      ["messages twice", `{"model":"ok",${MESSAGES},${MESSAGES}}`, { code: "duplicate_key", param: "messages" }],
      ["stream twice", `{"model":"ok",${MESSAGES},"stream":false,"stream":true}`, { code: "duplicate_key", param: "stream" }],
    ]) {
      it(`${what} is told apart`, async () => {
        const asks = stage.fake.requests.length;
        expectError(await stage.post(body), { ...THEIRS, ...wanted });
        assert.equal(stage.fake.requests.length, asks, "the provider was asked");
      });
    }

    it("null for a required field is refused, too", async () => {
      for (const [field, body] of [
        ["model", `{"model":null,${MESSAGES}}`],
        ["messages", '{"model":"ok","messages":null}'],
      ]) {
        expectError(await stage.post(body), { ...THEIRS, param: field });
      }
    });

    it("a limit that is text is the provider's business where there is no ceiling", async () => {
      const answer = await stage.ask("ok", { max_tokens: "5" });
      assert.equal(answer.status, 400);
      assert.equal(answer.json().error.message, "Invalid value for 'max_tokens'.");
    });

    it("a body over the limit is refused", async () => {
      const answer = await stage.ask("ok", { user: "x".repeat(4096) });
      expectError(answer, { status: 413, type: "invalid_request_error", code: "request_too_large", param: null });
    });
  });

  describe("of the operator's", () => {
    for (const [model, variable] of [
      ["keyless-by-mistake/ok", /\bKEYLESS_BY_MISTAKE_API_KEY\b/],
      ["misnamed/ok", /\bMY_KEY\b/],
    ]) {
      bothWays(`${variable.source.replaceAll("\\b", "")} is missing, and named`, model, {
        status: 503,
        type: "configuration_error",
        code: "provider_key_missing",
        param: null,
        says: variable,
      });
    }
  });

  describe("of the provider's", () => {
    const ours = (code) => ({ status: 502, type: "upstream_error", code, param: null });

    bothWays("nobody listens there", "dead/ok", ours("upstream_unreachable"));
    bothWays("it refuses our key", "any/err-401", ours("upstream_credentials_refused"));
    bothWays("it refuses our country", "any/err-403", { status: 403, type: "request_forbidden", code: "provider_region_refused", says: /^Country, region, or territory not supported\. .*`region`/ });
    bothWays("it sends a page for people", "any/html-200", ours("upstream_invalid_response"), ({ text }) => {
      assert.ok(!text.includes("<h1>"), "the page itself stays outside");
    });
    bothWays("it sends garbage", "any/garbage-200", ours("upstream_invalid_response"));
    bothWays("it sends nothing", "any/empty-200", ours("upstream_invalid_response"));
    bothWays("it sends us elsewhere", "any/redirect", ours("upstream_invalid_response"), ({ headers }) => {
      assert.equal(headers.location, undefined);
      assert.equal(stage.fake.last().path, "/v1/chat/completions", "the key is not carried elsewhere");
    });
    bothWays("it calls an error a success", "any/error-in-200", { status: 502, type: "billing_error", code: "insufficient_credits", param: "model", says: /credits/ });
    bothWays("it resets the connection", "any/reset-before-headers", { status: 502, type: "upstream_error", param: null });
    bothWays("it hangs up without a word", "any/hang-up-before-headers", { status: 502, type: "upstream_error", param: null });
    bothWays("it speaks no HTTP", "any/not-http", { status: 502, type: "upstream_error", param: null });

    bothWays("it says that the caller's request is too long", "any/err-400-context", {
      status: 400,
      type: "invalid_request_error",
      code: "context_length_exceeded",
      param: "messages",
      says: /maximum context length is 8192/,
    });
    bothWays("it does not know the model", "any/err-404", { status: 404, type: "invalid_request_error", code: "model_not_found" });
    bothWays("it is asked too much", "any/err-429", { status: 429, type: "tokens", code: "rate_limit_exceeded", says: /try again in 7s/ }, ({ headers }) => {
      assert.equal(headers["retry-after"], "7");
    });
    bothWays("it is asked too much, and says so in its own way", "any/err-429-string", { status: 429, type: "upstream_error" });
    bothWays("it refuses in a shape of its own", "any/err-422-detail", { status: 422, type: "upstream_error" });
    bothWays("it fails", "any/err-500", { status: 500, type: "server_error", code: null, param: null, says: /had an error/ });
    bothWays("it fails without a word", "any/err-502-empty", { status: 502, type: "upstream_error" });
    bothWays("it fails with a page for people", "any/err-503-html", { status: 503, type: "upstream_error" }, ({ text }) => {
      assert.ok(!text.includes("<h1>"), "the page itself stays outside");
    });

    for (const model of ["cut-mid-stream", "reset-mid-stream"]) {
      it(`half an answer is none: ${model}`, async () => {
        const answer = await stage.ask(`any/${model}`);
        expectError(answer, { status: 502, type: "upstream_error", param: null });
        expectDiscreet(answer);
      });
    }

    for (const model of ["silent", "stall-mid-stream"]) {
      it(`silence is not waited for longer than allowed: ${model}`, async () => {
        await stage.gateway.control({ speed: SLOW });
        const before = stage.fake.requests.length;
        let isAnswered = false;
        const answering = stage.ask(`brief/${model}`).finally(() => (isAnswered = true));
        const record = await until(() => stage.fake.requests[before], "the call of the provider");
        await stage.gateway.pass(29_000);
        assert.ok(!isAnswered, "before its time");
        await stage.gateway.control({ advance: 1_000 });
        const answer = await answering;
        expectError(answer, { status: 504, type: "upstream_error", code: "upstream_timeout", param: null });
        expectDiscreet(answer);
        await stage.expectCancelled(record);
        await stage.gateway.control({ speed: 1 });
      });
    }
  });
});
