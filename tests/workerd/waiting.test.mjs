// The waiting times that providers state, in each form, as callers get them: the provider's own headers as they
// came, and what clients cannot read as Retry-After.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { event, json, startScripted, stream } from "./scripted.mjs";

const openai = (message, fields = {}) => ({ error: { message, type: "tokens", param: null, code: "rate_limit_exceeded", ...fields } });
const gemini = (...details) => ({ error: { code: 429, message: "Quota", status: "RESOURCE_EXHAUSTED", details } });
const anthropic = (message, type = "rate_limit_error") => ({ type: "error", error: { type, message } });
const soon = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();

// The row, the status, the body, the provider's headers, and what the caller gets: a number, or a range where
// the time of day counts. They are made when they are needed.
const forms = () => [
  ["hidden", 429, openai("Rate limit reached. Please try again in 5.289s."), {}, 6],
  ["hidden", 429, openai("Please try again in 6m0s."), {}, 360],
  ["hidden", 429, { error: { code: "429", message: "Please retry after 37 seconds." } }, {}, 37],
  ["hidden", 429, openai("wait"), { "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7.66s", "x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "6m0s" }, 8],
  ["hidden", 429, openai("wait"), { "x-ratelimit-remaining-tokens-minute": "0" }, 60],
  ["hidden", 403, { error: { code: 403, message: "Budget limit exceeded for the model", metadata: { limit_source: "openrouter_key_limit", resets_at: soon(90) } } }, {}, undefined],
  ["hidden", 429, { error: { code: 429, message: "Rate limit exceeded", metadata: { headers: { "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": String(Date.now() + 90_000) } } } }, {}, [30, 91]],
  ["anthropic", 429, anthropic("Rate limited"), { "anthropic-ratelimit-input-tokens-remaining": "0", "anthropic-ratelimit-input-tokens-reset": soon(90) }, [30, 91]],
  ["anthropic", 429, anthropic("Rate limited"), { "anthropic-ratelimit-input-tokens-remaining": "100", "anthropic-ratelimit-input-tokens-reset": soon(90) }, undefined],
  ["gemini", 429, gemini({ retryDelay: "34.074824224s" }), {}, 35],
  ["gemini", 429, gemini({ violations: [{ quotaId: "GenerateRequestsPerMinutePerProjectPerModel" }] }), {}, 60],
  ["gemini", 429, gemini({ violations: [{ quotaId: "GenerateRequestsPerDayPerProjectPerModel-FreeTier" }] }, { retryDelay: "36s" }), {}, 3600],
  ["gemini", 503, { error: { code: 503, message: "The model is overloaded. Please try again later.", status: "UNAVAILABLE" } }, {}, undefined],
  // Two that disagree: headers count before the body.
  ["gemini", 429, gemini({ retryDelay: "36s" }), { "retry-after": "7" }, 7],
  ["hidden", 429, openai("Please try again in 5s."), { "retry-after": "20" }, 20],
  // No wait helps.
  ["hidden", 400, openai("Please try again in 5s.", { type: "invalid_request_error", code: "context_length_exceeded" }), {}, undefined],
  ["hidden", 429, openai("Request too large for gpt-4o on tokens per min (TPM): Limit 3, Requested 4. Please try again in 5s."), {}, undefined],
];

describe("a waiting time that a provider states", () => {
  let stage;
  before(async () => {
    stage = await startScripted();
  });
  after(() => stage.stop());

  const expectWait = (headers, expected, what) => {
    const got = headers["retry-after"];
    if (!Array.isArray(expected)) assert.equal(got, expected === undefined ? undefined : String(expected), what);
    else assert.ok(Number(got) >= expected[0] && Number(got) <= expected[1], `${what}: ${got}`);
  };

  it("reaches the caller, in whichever form it comes", async () => {
    for (const index of forms().keys()) {
      const [row, status, body, headers, expected] = forms()[index];
      stage.answer(json(status, body, headers));
      for (const fields of [{}, { stream: true }]) {
        const answer = await stage.chat(`${row}/m`, fields);
        assert.equal(answer.status, status, JSON.stringify(body));
        expectWait(answer.headers, expected, JSON.stringify([body, headers]));
      }
    }
  });

  it("is passed on as it came, if clients know the form", async () => {
    stage.answer(json(429, openai("Please try again in 5s."), { "retry-after-ms": "1500", "retry-after": "2" }));
    const { headers } = await stage.chat("hidden/m");
    assert.deepEqual([headers["retry-after-ms"], headers["retry-after"]], ["1500", "2"]);
  });

  it("reaches the caller from an error within a success", async () => {
    stage.answer(json(200, gemini({ retryDelay: "12s" })));
    const whole = await stage.chat("gemini/m");
    assert.equal(whole.status, 429);
    expectWait(whole.headers, 12);
    stage.answer(stream(event(openai("Please try again in 20s.", { code: 429 }))));
    const streamed = await stage.chat("hidden/m", { stream: true });
    assert.equal(streamed.status, 429);
    expectWait(streamed.headers, 20);
  });
});
