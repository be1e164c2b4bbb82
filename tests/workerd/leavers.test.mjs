// A provider bills for what it makes, whether or not anybody is there to hear it: under a budget, an answer that ends before its usage is
// known is charged for the time since it was asked for, and never more than was reserved for it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { chunk, event } from "./behaviours.mjs";
import { begin, chatRequest, HELLO, until } from "./client.mjs";
import { OFFICE, Office } from "./office.mjs";
import { startStage } from "./stage.mjs";

// A dollar for a million tokens of the prompt, ten for those of an answer.
const MODEL = "price: { input: 1, output: 10 }, max_output: 100000, context: 200000";
const OUTPUT_NANOS = 10_000;
const USUAL_PACE = 200;
const SLOW_PACE = 50;
/** Shorter than a lease, for the clock is set forward in one step. */
const AWAY_MS = 50_000;
/** The clock of these tests is set forward, and runs on meanwhile. */
const SLACK_MS = 15_000;
const BUDGET = { budget: { amount_nanos: 100e9, per: "day" } };

const config = (fake) => {
  const row = (name, model = "", keys = "") =>
    `  ${name}: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { "*": { ${MODEL}${model} } }${keys} }`;
  const rows = [
    row("any", "", ", keep_alive: 0"),
    row("checked", "", ", relay: checked, keep_alive: 0"),
    row("slow", `, tokens_per_second: ${SLOW_PACE}`),
    row("brief", ", clocks: { total: 45 }"),
  ];
  return ["providers:", ...rows, ""].join("\n");
};

describe("an answer that ends before its usage is known", () => {
  let stage, gateway, office;
  before(async () => {
    stage = await startStage({ config, bindings: OFFICE, entry: "production.mjs" });
    ({ gateway } = stage);
    office = new Office(gateway.url);
  });
  after(() => stage.stop());

  async function receipt(id) {
    return until(async () => {
      const [only, ...others] = await office.receipts(`vk_${id}`);
      assert.deepEqual(others, []);
      return only;
    }, `the receipt of ${id}`);
  }

  let asked = 0;

  /** A request that is under way at its provider. */
  async function ask(row, fields, terms = BUDGET) {
    const id = `leaver-${++asked}`;
    const key = await office.key(id, terms);
    const held = stage.held(id);
    const body = { model: `${row}/${id}`, messages: HELLO, ...fields };
    const caller = begin(`${gateway.url}/v1/chat/completions`, chatRequest(key, body));
    // Who leaves is told nothing.
    caller.answering.catch(() => {});
    return { id, caller, exchange: await held };
  }

  /** The stream has begun, with these words or none. */
  async function stream(row, { words, fields, terms } = {}) {
    const { id, caller, exchange } = await ask(row, { stream: true, ...fields }, terms);
    exchange.openStream();
    exchange.write(event(chunk(exchange.request, { role: "assistant", content: "" })));
    if (words) exchange.write(event(chunk(exchange.request, { content: words })));
    return { id, caller, exchange, answer: words ? await caller.answering : undefined };
  }

  /** What so long at such a pace may have cost. */
  function expectTime({ tokens, cost_nanos: cost, estimated, outcome }, pace, expected, ms = AWAY_MS) {
    const [least, most] = [ms, ms + SLACK_MS].map((time) => (time / 1000) * pace);
    assert.equal(outcome, expected);
    assert.equal(estimated, true);
    assert.ok(tokens.completion >= least && tokens.completion <= most, `${tokens.completion} tokens of ${least} to ${most}`);
    assert.equal(cost, tokens.prompt * 1_000 + tokens.completion * OUTPUT_NANOS);
  }

  for (const row of ["any", "checked"]) {
    it(`is charged by time, if its client leaves before the first word of a stream (${row})`, async () => {
      const { id, caller, exchange } = await stream(row);
      await gateway.control({ advance: AWAY_MS });
      caller.leave();
      await stage.expectCancelled(exchange.record);
      expectTime(await receipt(id), USUAL_PACE, "client_closed");
    });

    it(`is charged by time, and for what was heard, if its client leaves in the midst (${row})`, async () => {
      const words = "many words ".repeat(2_000);
      const { id, exchange, answer } = await stream(row, { words });
      await answer.until(words.slice(-40));
      await gateway.control({ advance: AWAY_MS });
      answer.leave();
      await stage.expectCancelled(exchange.record);
      const receipted = await receipt(id);
      assert.ok(receipted.tokens.completion >= (AWAY_MS / 1000) * USUAL_PACE + 4_000, JSON.stringify(receipted));
      assert.equal(receipted.estimated, true);
    });
  }

  it("is charged by time, if its client leaves before the head", async () => {
    const { id, caller, exchange } = await ask("any", {});
    await gateway.control({ advance: AWAY_MS });
    caller.leave();
    await stage.expectCancelled(exchange.record);
    expectTime(await receipt(id), USUAL_PACE, "client_closed");
  });

  it("is charged at the pace of its row, for each answer that may be drawn", async () => {
    const { id, caller, exchange } = await stream("slow", { fields: { n: 2 } });
    await gateway.control({ advance: AWAY_MS });
    caller.leave();
    await stage.expectCancelled(exchange.record);
    expectTime(await receipt(id), 2 * SLOW_PACE, "client_closed");
  });

  it("is charged no more than was reserved", async () => {
    const limit = 1_000;
    const { id, caller, exchange } = await stream("any", { fields: { max_tokens: limit } });
    await gateway.control({ advance: AWAY_MS });
    caller.leave();
    await stage.expectCancelled(exchange.record);
    const { cost_nanos: cost, tokens, estimated } = await receipt(id);
    // The longest answer, and a prompt of a hundred tokens or so.
    assert.ok(cost >= limit * OUTPUT_NANOS && cost <= limit * OUTPUT_NANOS + 200_000, `${cost}`);
    assert.deepEqual([tokens.completion, estimated], [limit, true]);
  });

  it("is charged by time, if its own was over", async () => {
    const { id } = await stream("brief");
    await gateway.control({ advance: AWAY_MS });
    expectTime(await receipt(id), USUAL_PACE, "refused");
    const begun = await stream("brief", { words: "Hello" });
    await begun.answer.until("Hello");
    await gateway.control({ advance: AWAY_MS });
    expectTime(await receipt(begun.id), USUAL_PACE, "timed_out");
  });

  it("is charged by time, if its provider broke off", async () => {
    const { id, exchange, answer } = await stream("any", { words: "Hello" });
    await answer.until("Hello");
    await gateway.control({ advance: AWAY_MS });
    exchange.reset();
    expectTime(await receipt(id), USUAL_PACE, "truncated");
  });

  it("is charged by time under the budget of a key above, in the books of both", async () => {
    await office.key("leavers-team", BUDGET);
    const { id, caller, exchange } = await stream("any", { terms: { parent: "leavers-team" } });
    await gateway.control({ advance: AWAY_MS });
    caller.leave();
    await stage.expectCancelled(exchange.record);
    const member = await receipt(id);
    expectTime(member, USUAL_PACE, "client_closed");
    assert.equal((await receipt("leavers-team")).cost_nanos, member.cost_nanos);
  });

  it("is charged for what was heard alone, where no budget pays", async () => {
    const { id, caller, exchange } = await stream("any", { terms: { concurrent_requests: 1 } });
    await gateway.control({ advance: AWAY_MS });
    caller.leave();
    await stage.expectCancelled(exchange.record);
    const { tokens, estimated } = await receipt(id);
    assert.deepEqual([tokens.completion, estimated], [0, true]);
  });

  it("is charged as its provider says, where that was heard before the end", async () => {
    const { id, exchange, answer } = await stream("any", { words: "Hello", fields: { stream_options: { include_usage: true } } });
    await answer.until("Hello");
    await gateway.control({ advance: AWAY_MS });
    const usage = { prompt_tokens: 7, completion_tokens: 11, total_tokens: 18 };
    exchange.write(event(chunk(exchange.request, {}, { finish: "stop" })));
    exchange.write(event(JSON.stringify({ ...JSON.parse(chunk(exchange.request, {})), choices: [], usage })));
    await answer.until("total_tokens");
    exchange.reset();
    const { tokens, estimated, cost_nanos: cost } = await receipt(id);
    assert.deepEqual([tokens.prompt, tokens.completion, estimated, cost], [7, 11, false, 7 * 1_000 + 11 * OUTPUT_NANOS]);
  });
});
