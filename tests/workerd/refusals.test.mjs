// The errors that callers get for refusals of a provider: its own words if it refused the request, never
// those about the gateway's key.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { json, startScripted } from "./scripted.mjs";

// A refusal with status 403 in each format: the body, and the part of it that must reach the caller.
const openai = (message, code = null, type = "invalid_request_error") => ({ error: { message, type, param: null, code } });
const anthropic = (message, type = "permission_error") => ({ type: "error", error: { type, message }, request_id: "req_1" });
const gemini = (message, status = "PERMISSION_DENIED", details = []) => ({ error: { code: 403, message, status, details } });

const ABOUT_THE_REQUEST = [
  ["openai", { error: { code: 403, message: 'openai/gpt-4o requires moderation. Your input was flagged for "violence".', metadata: { reasons: ["violence"] } } }, /flagged for "violence"/],
  ["openai", openai("Country, region, or territory not supported", "unsupported_country_region_territory", "request_forbidden"), /territory not supported/],
  ["openai", openai("Project `proj_x` does not have access to model `gpt-9`", "model_not_found"), /access to model `gpt-9`/],
  ["openai", { code: "The caller does not have permission to execute the specified operation", error: "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE" }, /usage guidelines/],
  ["openai", openai("Requests of this kind wait for Monday.", "novel_rule"), /wait for Monday/],
  ["openai", { Message: "You don't have access to the model with the specified model ID." }, /access to the model/],
  ["anthropic", anthropic("You don't have access to the model claude-9."), /access to the model claude-9/],
  ["anthropic", anthropic("Output blocked by content filtering policy", "invalid_request_error"), /content filtering policy/],
  ["gemini", gemini("You do not have permission to use the tuned model x."), /tuned model x/],
  ["gemini", gemini("User location is not supported for the API use.", "FAILED_PRECONDITION"), /location is not supported/],
];

const ABOUT_THE_KEY = [
  ["openai", 401, openai("Your input was flagged", "model_not_found")],
  ["openai", 403, openai("You have insufficient permissions for this operation. Missing scopes: model.request", "missing_scope")],
  ["openai", 403, { message: "Forbidden" }],
  ["openai", 403, {}],
  ["openai", 403, ""],
  ["openai", 403, "<html>Attention Required! Your country is blocked</html>"],
  ["openai", 403, "error code: 1020"],
  ["openai", 400, openai("Incorrect API key provided: xa***28.", "Client specified an invalid argument")],
  ["anthropic", 401, anthropic("invalid x-api-key", "authentication_error")],
  ["anthropic", 403, anthropic("Your API key does not have permission to use the specified resource.")],
  ["anthropic", 403, "<html>Just a moment...</html>"],
  ["gemini", 403, gemini("Your API key was reported as leaked. Please use another API key.")],
  ["gemini", 400, gemini("API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", [{ reason: "API_KEY_INVALID" }])],
];

const short = (body) => JSON.stringify(body).slice(0, 90);

describe("a provider's refusal", () => {
  let stage;
  before(async () => void (stage = await startScripted()));
  after(() => stage.stop());
  const row = (format) => `${format === "openai" ? "hidden" : format}/m`;

  for (const [format, body, words] of ABOUT_THE_REQUEST) {
    it(`of what was asked keeps its status and words: ${format}, ${short(body)}`, async () => {
      stage.answer(json(403, body));
      for (const stream of [false, true]) {
        const chat = await stage.chat(row(format), { stream });
        assert.equal(chat.status, 403, chat.text);
        assert.match(chat.json().error.message, words);
        const message = await stage.message(row(format), { stream });
        assert.equal(message.status, 403, message.text);
        assert.deepEqual(
          { "json.type": message.json().type, "error.type": message.json().error.type },
          { "json.type": "error", "error.type": "permission_error" },
        );
        assert.match(message.json().error.message, words);
      }
    });
  }

  for (const [format, status, body] of ABOUT_THE_KEY) {
    it(`of the gateway's key, or of nothing that can be read, is the gateway's: ${format}, ${status}, ${short(body)}`, async () => {
      stage.answer(json(status, body));
      const chat = await stage.chat(row(format));
      assert.deepEqual({ status: chat.status, code: chat.json().error.code }, { status: 502, code: "upstream_credentials_refused" }, chat.text);
      assert.doesNotMatch(chat.json().error.message, /xa\*|flagged|country|leaked|1020/);
      const message = await stage.message(row(format));
      assert.deepEqual({ status: message.status, type: message.json().error.type }, { status: 502, type: "api_error" }, message.text);
    });
  }

  it("of another status keeps it where a client can act upon it, in each client's own types", async () => {
    for (const [status, type] of [
      [402, "billing_error"],
      [404, "not_found_error"],
      [413, "request_too_large"],
      [422, "invalid_request_error"],
      [429, "rate_limit_error"],
      [451, "permission_error"],
      [503, "overloaded_error"],
    ]) {
      stage.answer(json(status, openai("Insufficient Balance", "some_code")));
      const chat = await stage.chat("hidden/m");
      // A place that is refused is explained to the operator.
      const words = (answer) => answer.json().error.message.replace(/\. This provider refuses calls from .*$/, "");
      assert.deepEqual({ status: chat.status, message: words(chat) }, { status, message: "Insufficient Balance" });
      const message = await stage.message("hidden/m");
      assert.deepEqual(
        { status: message.status, type: message.json().error.type, message: words(message) },
        { status, type, message: "Insufficient Balance" },
      );
    }
  });

  it("of the connection to the gateway is none of the caller's connection", async () => {
    for (const status of [407, 421, 425, 426]) {
      stage.answer(json(status, openai("Proxy Authentication Required"), { "proxy-authenticate": "Basic", upgrade: "TLS/1.2" }));
      for (const format of ["openai", "anthropic", "gemini"]) {
        const chat = await stage.chat(row(format));
        assert.deepEqual(
          { status: chat.status, code: chat.json().error.code },
          { status: 502, code: "upstream_invalid_response" },
          `${status} ${format} ${chat.text}`,
        );
      }
    }
  });

  it("within a success, or a stream, means the same", async () => {
    const flagged = openai("Your input was flagged.", 403);
    const frames = (...all) => (_, res) => (res.writeHead(200, { "content-type": "text/event-stream" }), res.end(all.map((data) => `data: ${JSON.stringify(data)}\n\n`).join("")));
    stage.answer(json(200, flagged));
    assert.equal((await stage.chat("hidden/m")).status, 403);
    assert.equal((await stage.message("hidden/m")).status, 403);
    stage.answer(frames(flagged));
    assert.equal((await stage.chat("hidden/m", { stream: true })).status, 403);
    stage.answer(json(200, gemini("Your API key was reported as leaked.")));
    const leaked = await stage.chat("gemini/m");
    assert.deepEqual({ status: leaked.status, code: leaked.json().error.code }, { status: 502, code: "upstream_credentials_refused" });
    stage.answer(frames(gemini("API key not valid. Please pass a valid API key: sk-other", "INVALID_ARGUMENT")));
    const stream = await stage.chat("gemini/m", { stream: true });
    assert.deepEqual({ status: stream.status, code: stream.json().error.code }, { status: 502, code: "upstream_credentials_refused" });
  });

  it("is worded in whatever shape the provider has for it", async () => {
    for (const [body, words] of [
      [{ detail: [{ loc: ["body", "logit_bias"], msg: "Extra inputs are not permitted" }] }, /^body\.logit_bias: Extra inputs/],
      [{ success: false, errors: [{ code: 5007, message: "No such model @cf/x" }] }, /^No such model @cf\/x$/],
      [{ error: { message: "Provider returned error", metadata: { raw: "temporarily rate-limited upstream" } } }, /rate-limited upstream/],
      [{ __type: "ValidationException", Message: "Input is too long" }, /^Input is too long$/],
    ]) {
      stage.answer(json(400, body));
      assert.match((await stage.chat("hidden/m")).json().error.message, words);
    }
  });
});
