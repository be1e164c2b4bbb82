// The statuses, codes, types, headers and texts on which clients act: retry, shorten the conversation, ask
// for another key, tell the user to pay. Rewording one of them breaks programs, so this table must only grow.
//
// Codes and types are matched by the official SDKs (class of exception, `shouldRetry`), Codex, Cline,
// LangChain and LiteLLM; texts by LiteLLM, crewAI, Cline, OpenClaw and Claude Code, which look for parts such
// as "prompt is too long" or "maximum context length".

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { as, call, HELLO } from "./client.mjs";
import { OFFICE, Office } from "./office.mjs";
import { json, startScripted } from "./scripted.mjs";

const openai = (message, type, code, param = null) => ({ error: { message, type, param, code } });
const anthropic = (type, message) => ({ type: "error", error: { type, message }, request_id: "req_1" });
const gemini = (code, status, message) => ({ error: { code, status, message } });

const MAXIMUM = "This model's maximum context length is 128000 tokens. However, your messages resulted in 150000 tokens.";
const QUOTA = "You exceeded your current quota, please check your plan and billing details.";
const RATE = "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000.";
const SWAP = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
const TOO_LONG = "prompt is too long: 210000 tokens > 200000 maximum";
const CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.";
const OUTPUT = "max_tokens: 999999 > 64000, which is the maximum allowed number of output tokens for claude-sonnet-4-5";
const COUNT = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";

/**
 * Refusals of a provider: its row, status and body; then the errors of a chat and of a message. Unless they say otherwise, the text is
 * the provider's own.
 */
const REFUSALS = [
  {
    provider: "shown", status: 400, body: openai(MAXIMUM, "invalid_request_error", "context_length_exceeded", "messages"), text: MAXIMUM,
    chat: { status: 400, type: "invalid_request_error", code: "context_length_exceeded", param: "messages" },
    message: { status: 400, type: "invalid_request_error", text: `prompt is too long: 150000 tokens > 128000 maximum. ${MAXIMUM}` },
  },
  {
    provider: "shown", status: 429, body: openai(QUOTA, "insufficient_quota", "insufficient_quota"), text: QUOTA,
    chat: { status: 429, type: "insufficient_quota", code: "insufficient_quota", param: null },
    message: { status: 429, type: "rate_limit_error" },
  },
  {
    provider: "shown", status: 429, body: openai(RATE, "tokens", "rate_limit_exceeded"), text: RATE,
    chat: { status: 429, type: "tokens", code: "rate_limit_exceeded", param: null },
    message: { status: 429, type: "rate_limit_error" },
  },
  {
    provider: "shown", status: 400, body: openai(SWAP, "invalid_request_error", "unsupported_parameter", "max_tokens"), text: SWAP,
    chat: { status: 400, type: "invalid_request_error", code: "unsupported_parameter", param: "max_tokens" },
    message: { status: 400, type: "invalid_request_error" },
  },
  {
    provider: "shown", status: 402, body: openai("Insufficient Balance", "unknown_error", "invalid_request_error"), text: "Insufficient Balance",
    chat: { status: 402, type: "unknown_error", code: "invalid_request_error", param: null },
    message: { status: 402, type: "billing_error" },
  },
  {
    provider: "anthropic", status: 400, body: anthropic("invalid_request_error", TOO_LONG), text: TOO_LONG,
    chat: { status: 400, type: "invalid_request_error", code: "context_length_exceeded", param: null },
    message: { status: 400, type: "invalid_request_error" },
  },
  {
    provider: "anthropic", status: 400, body: anthropic("invalid_request_error", CREDIT), text: CREDIT,
    chat: { status: 400, type: "invalid_request_error", code: null, param: null },
    message: { status: 400, type: "invalid_request_error" },
  },
  {
    provider: "anthropic", status: 400, body: anthropic("invalid_request_error", OUTPUT), text: OUTPUT,
    chat: { status: 400, type: "invalid_request_error", code: null, param: null },
    message: { status: 400, type: "invalid_request_error" },
  },
  {
    provider: "anthropic", status: 529, body: anthropic("overloaded_error", "Overloaded"), text: "Overloaded",
    chat: { status: 529, type: "overloaded_error", code: null, param: null },
    message: { status: 529, type: "overloaded_error" },
  },
  {
    provider: "gemini", status: 400, body: gemini(400, "INVALID_ARGUMENT", COUNT), text: COUNT,
    chat: { status: 400, type: "upstream_error", code: "context_length_exceeded", param: null },
    message: { status: 400, type: "invalid_request_error", text: `prompt is too long: 1200000 tokens > 1048576 maximum. ${COUNT}` },
  },
  {
    provider: "gemini", status: 429, body: gemini(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    text: "Resource has been exhausted (e.g. check quota).",
    chat: { status: 429, type: "upstream_error", code: "RESOURCE_EXHAUSTED", param: null },
    message: { status: 429, type: "rate_limit_error" },
  },
];

/** Asserts the fields of an error that `wanted` names, one assertion each. */
function expectMatched(answer, { status, text, ...wanted }) {
  const { error } = answer.json();
  assert.equal(answer.status, status, answer.text);
  if (text) assert.equal(error.message, text);
  for (const [field, value] of Object.entries(wanted)) assert.equal(error[field], value, `${field} in ${answer.text}`);
}

describe("errors that clients match on", () => {
  let stage, office;
  before(async () => {
    const top = "limits: { max_body_bytes: 4096 }";
    const rows = { priced: ["openai", ""], shown: ["openai", "stream_usage: show"], anthropic: ["anthropic", ""], gemini: ["gemini", ""] };
    stage = await startScripted({ bindings: OFFICE, rows, top });
    office = new Office(stage.gateway.url);
  });
  after(() => stage.stop());

  /** A chat with another key. */
  const chatAs = (key, model) => office.ask(key, model);
  /** A message with another key. */
  const messageAs = (key, model, fields) =>
    call(`${stage.gateway.url}/v1/messages`, { method: "POST", headers: as(key), body: JSON.stringify({ model, max_tokens: 50, messages: HELLO, ...fields }) });

  describe("of the gateway", () => {
    it("a wrong key", async () => {
      const told = await chatAs("sk-wrong", "shown/m");
      expectMatched(told, { status: 401, type: "invalid_request_error", code: "invalid_api_key", param: null });
      assert.match(told.json().error.message, /Incorrect API key provided/);
      expectMatched(await messageAs("sk-wrong", "shown/m"), { status: 401, type: "authentication_error" });
    });

    it("an unknown model", async () => {
      const id = "nobody/gpt-4o<high>";
      expectMatched(await stage.chat(id), { status: 404, type: "invalid_request_error", code: "model_not_found", param: "model" });
      expectMatched(await stage.message(id), { status: 404, type: "not_found_error" });
    });

    it("a body that is too long", async () => {
      const messages = [{ role: "user", content: "x".repeat(5000) }];
      expectMatched(await stage.chat("shown/m", { messages }), { status: 413, type: "invalid_request_error", code: "request_too_large" });
      expectMatched(await stage.message("shown/m", { messages }), { status: 413, type: "request_too_large" });
    });

    it("a missing field", async () => {
      const wanted = { status: 400, type: "invalid_request_error", code: "missing_required_parameter", param: "messages" };
      expectMatched(await stage.chat("shown/m", { messages: undefined }), wanted);
      expectMatched(await stage.message("shown/m", { messages: undefined }), { status: 400, type: "invalid_request_error" });
    });

    it("a key whose requests of this minute are used", async () => {
      stage.answer(json(400, openai("no", "invalid_request_error", null)));
      const key = await office.key("hasty", { requests_per_minute: 1 });
      await chatAs(key, "shown/m");
      const refused = await chatAs(key, "shown/m");
      expectMatched(refused, { status: 429, type: "invalid_request_error", code: "rate_limit_exceeded", param: null });
      assert.match(refused.headers["retry-after"], /^\d+$/);
      assert.match(refused.headers["retry-after-ms"], /^\d+$/);
      expectMatched(await messageAs(key, "shown/m"), { status: 429, type: "rate_limit_error" });
    });

    it("a key that may not call the model", async () => {
      const key = await office.key("narrow", { models: ["shown/other"] });
      expectMatched(await chatAs(key, "shown/m"), { status: 403, type: "invalid_request_error", code: "model_not_allowed", param: "model" });
      expectMatched(await messageAs(key, "shown/m"), { status: 403, type: "permission_error" });
    });

    it("a provider that refuses the gateway's key", async () => {
      stage.answer(json(401, openai("Incorrect API key provided", "invalid_request_error", "invalid_api_key")));
      expectMatched(await stage.chat("shown/m"), { status: 502, type: "upstream_error", code: "upstream_credentials_refused" });
      expectMatched(await stage.message("shown/m"), { status: 502, type: "api_error" });
    });
  });

  describe("of a provider", () => {
    for (const { provider, status, body, text, chat, message } of REFUSALS) {
      it(`${provider}: ${status} ${text.slice(0, 50)}`, async () => {
        stage.answer(json(status, body, { "retry-after": "7" }));
        const chatted = await stage.chat(`${provider}/m`);
        expectMatched(chatted, { text, ...chat });
        assert.equal(chatted.headers["retry-after"], "7");
        expectMatched(await stage.message(`${provider}/m`), { text, ...message });
      });
    }
  });
});
