// A provider that bills each request differently, and the receipts that an account must have for it, so that
// no receipt can be mistaken for another.

import assert from "node:assert/strict";
import { answerEvents, DONE, USAGE } from "./behaviours.mjs";

// Nano-dollars per token, and per request.
const [INPUT, CACHED, OUTPUT, REASONING, EACH] = [1000, 250, 4000, 8000, 10_000];
/** The model's row with this price. */
export const PRICED = "price: { input: 1, cached_input: 0.25, output: 4, reasoning: 8, per_request: 0.00001 }, max_output: 1000";

/** The usage that is billed for a request; its `seed` determines it. */
function bill({ seed }) {
  const [prompt, completion] = [100 + seed, 20 + (seed % 7)];
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: seed % 13 },
    completion_tokens_details: { reasoning_tokens: seed % 5 },
  };
}

/** A usage with the field names of receipts. */
function inBooks({ prompt_tokens: prompt, completion_tokens: completion, prompt_tokens_details: read, completion_tokens_details: thought }) {
  const cached = read.cached_tokens;
  return { prompt, fresh: prompt - cached, cache_read: cached, cache_write: 0, cache_write_1h: 0, completion, reasoning: thought.reasoning_tokens };
}

const costOf = (tokens) =>
  tokens.fresh * INPUT + tokens.cache_read * CACHED + (tokens.completion - tokens.reasoning) * OUTPUT + tokens.reasoning * REASONING + EACH;

const OPENING = 4;

/**
 * The behaviours of a provider that bills. `turn(user)` is called when a client should disconnect; what waits
 * for that goes on after `cue(user)`.
 */
export const billing = ({ turn, cue } = {}) => ({
  bill: (exchange) => {
    const { request, record } = exchange;
    const usage = bill(request);
    record.billed = !request.stream || request.stream_options?.include_usage ? usage : undefined;
    if (!request.stream) return exchange.json(200, wholeAnswer(request, usage));
    exchange.openStream();
    exchange.write(billed(request, usage).join("") + DONE);
    exchange.end();
  },
  "bill-slowly": async (exchange) => {
    await exchange.sleep(300);
    return billing().bill(exchange);
  },
  // The beginning is one write, so that on a slow machine, too, the response has begun before it stops.
  stalled: (exchange) => {
    exchange.openStream();
    exchange.write(answerEvents(exchange.request).slice(0, OPENING).join(""));
  },
  "left-alone": (exchange) => turn(exchange.request.user),
  "left-at-the-head": (exchange) => {
    if (exchange.request.stream) exchange.openStream();
    else exchange.open(200, { "content-type": "application/json", "content-length": 1000 });
    setTimeout(turn, 30, exchange.request.user);
  },
  // Goes on writing after the client has disconnected.
  "heard-out": async (exchange) => {
    const { request, record } = exchange;
    const events = billed(request, (record.billed = bill(request)));
    exchange.openStream();
    exchange.write(events.slice(0, OPENING).join(""));
    await cue(request.user);
    // Long enough for the gateway to notice.
    await exchange.sleep(500);
    exchange.write(events.slice(OPENING).join("") + DONE);
    exchange.end();
  },
  document: (exchange) => {
    const usage = (exchange.record.billed = bill(exchange.request));
    exchange.json(200, wholeAnswer(exchange.request, usage));
  },
  "reset-early": async (exchange) => {
    exchange.openStream();
    await cue(exchange.request.user);
    exchange.reset();
  },
  "reset-late": async (exchange) => {
    exchange.openStream();
    exchange.write(answerEvents(exchange.request).slice(0, OPENING).join(""));
    await cue(exchange.request.user);
    exchange.reset();
  },
});

const billed = (request, usage) => answerEvents(request).map((event) => event.replace(JSON.stringify(USAGE), JSON.stringify(usage)));

function wholeAnswer(request, usage) {
  const choices = [{ index: 0, message: { role: "assistant", content: "Hello there." }, finish_reason: "stop" }];
  return JSON.stringify({ id: "chatcmpl-1", object: "chat.completion", created: 1763856000, model: request.model, choices, usage });
}

/** The assumed tokens per second of a model without a configured speed. */
const PACE = 200;

/**
 * Asserts that a receipt charges what the provider billed, an estimate, or nothing, according to `charge`.
 * `budgeted`: under a budget, an incomplete response is charged for its time as well.
 */
export function expectCharge(receipt, charge, record, budgeted = false) {
  const context = JSON.stringify({ receipt, billed: record?.billed });
  const { tokens, estimated, cost_nanos: cost } = receipt;
  if (charge === "nothing") return assert.deepEqual({ tokens, estimated, cost }, { tokens: null, estimated: false, cost: 0 }, context);
  assert.ok(tokens, context);
  assert.equal(cost, costOf(tokens), context);
  assert.equal(estimated, charge === "estimate", context);
  if (charge === "billed") return assert.deepEqual(tokens, inBooks(record.billed), context);
  // "Hello!" from a user: 3 tokens for the message, 3 for the beginning of the response, 2 for the text, 1
  // for the role.
  const said = Buffer.concat(record.sent).length;
  assert.ok(tokens.prompt >= 7 && tokens.prompt <= 12, context);
  const made = budgeted && receipt.outcome !== "complete" ? Math.ceil((receipt.duration_ms / 1000) * PACE) : 0;
  assert.ok(tokens.completion <= Math.ceil(said / 4) + made, context);
}

const NOTHING = { prompt: 0, fresh: 0, cache_read: 0, cache_write: 0, cache_write_1h: 0, completion: 0, reasoning: 0 };

/** The sums of receipts, in the form of the admin API. */
export function sumsOf(receipts) {
  const sums = { requests: 0, failures: {}, tokens: { ...NOTHING }, cost_nanos: 0, unpriced_requests: 0, estimated_requests: 0 };
  for (const { outcome, tokens, estimated, cost_nanos: cost } of receipts) {
    sums.requests++;
    if (outcome !== "complete") sums.failures[outcome] = (sums.failures[outcome] ?? 0) + 1;
    for (const kind of Object.keys(NOTHING)) sums.tokens[kind] += tokens?.[kind] ?? 0;
    sums.cost_nanos += cost ?? 0;
    sums.unpriced_requests += cost === null ? 1 : 0;
    sums.estimated_requests += estimated ? 1 : 0;
  }
  return sums;
}

/** Asserts that receipts are numbered without gaps, newest first, each once. */
export function expectWhole(receipts) {
  assert.deepEqual(receipts.map(({ number }) => number), receipts.map((_, back) => receipts.length - back));
  assert.equal(new Set(receipts.map(({ id }) => id)).size, receipts.length, "each receipt once");
}
