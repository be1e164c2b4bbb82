// A request with limits has one receipt, whatever becomes of the process: if nothing more is heard of it, its slot is free after 75 s and
// its receipt says `lost`, until the truth comes.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { chunk, DONE, event } from "./behaviours.mjs";
import { expectWhole, sumsOf } from "./bills.mjs";
import { begin, chatRequest, HELLO, open, until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { startGateway } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { KEY, PROVIDER_KEY, startStage } from "./stage.mjs";

const LEASE_MS = 75_000;
const STEP_MS = 10_000;
const BINDINGS = { ...OFFICE, ACCESS_API_KEYS: KEY, ANY_API_KEY: PROVIDER_KEY };
// A dollar for a million tokens of the prompt, ten for those of an answer.
const PRICE = "price: { input: 1, output: 10 }, max_output: 1000, context: 100000";
const config = (fake) => `
providers:
  any: { base_url: "${fake.base}", models: { "*": { ${PRICE}, clocks: { idle: 600, first_token: 600 } } } }
`;
const USAGE = { prompt_tokens: 7, completion_tokens: 11, total_tokens: 18 };
const BUDGET = { amount_nanos: 1e9, per: "day" };

describe("the lease of a request", () => {
  let stage, gateway, office, disk;
  before(async () => {
    disk = await mkdtemp(join(tmpdir(), "llm-bridge-disk-"));
    stage = await startStage({ config, bindings: BINDINGS, disk, entry: "production.mjs" });
    enter(stage.gateway);
  });
  after(async () => {
    await gateway.stop();
    await stage.fake.stop();
    await rm(disk, { recursive: true });
  });

  function enter(entered) {
    gateway = entered;
    office = new Office(gateway.url);
  }

  /** Kills the process and starts another on the same disk. */
  async function restart() {
    const { now } = await gateway.control();
    await gateway.stop();
    enter(await startGateway({ config: config(stage.fake), bindings: BINDINGS, disk, entry: "production.mjs" }));
    await gateway.control({ advance: now - (await gateway.control()).now });
  }

  /** Lets time pass as it passes: in steps, each seen by those who wait. While the gateway takes some orders, its timers come to their turn. */
  async function pass(ms) {
    for (let left = ms; left > 0; left -= STEP_MS) {
      await gateway.control({ advance: Math.min(left, STEP_MS) });
      for (let order = 0; order < 6; order++) await sleep(10).then(() => gateway.control());
    }
  }

  const calls = async () => (await gateway.control()).calls.ACCOUNTS ?? 0;
  const rows = async () => (await gateway.control()).rows.ACCOUNTS?.written ?? 0;

  /** A stream up to its first word, its provider's side in the hands of the test. */
  async function beginStream(key, model) {
    const held = stage.held(model);
    const request = chatRequest(key, { model: `any/${model}`, messages: HELLO, stream: true, max_tokens: 1000 });
    const answering = open(`${gateway.url}/v1/chat/completions`, request);
    const exchange = await held;
    exchange.openStream();
    exchange.write(event(chunk(exchange.request, { content: "first" })));
    const answer = await answering;
    await answer.until("first");
    return { exchange, answer };
  }

  function finish({ exchange, answer }) {
    exchange.write(event(chunk(exchange.request, {}, { usage: USAGE })) + DONE);
    exchange.end();
    return answer.rest();
  }

  const ask = (key, model = "ok") => office.ask(key, `any/${model}`, { max_tokens: 1000 });

  async function settled(id, count, outcome) {
    const receipts = await until(async () => {
      const found = await office.receipts(id);
      return found.length >= count && (!outcome || found.some((receipt) => receipt.outcome === outcome)) && found;
    }, `${count} receipts of ${id}`);
    assert.equal(receipts.length, count, JSON.stringify(receipts));
    expectWhole(receipts);
    assert.deepEqual(await office.totals(id), sumsOf(receipts));
    return receipts;
  }

  it("costs a request under a minute nothing: two calls, and no row more", async () => {
    const key = await office.key("short", { budget: BUDGET, concurrent_requests: 1 });
    assert.equal((await ask(key)).status, 200);
    await settled("vk_short", 1);
    const before = { calls: await calls(), rows: await rows() };
    const stream = await beginStream(key, "short-stream");
    await pass(55_000);
    await finish(stream);
    await until(async () => (await calls()) >= before.calls + 2 && (await rows()) >= before.rows + 3, "the settlement");
    // One call more than these two, if there is one, comes at once.
    await sleep(100);
    const spent = { calls: (await calls()) - before.calls, rows: (await rows()) - before.rows };
    assert.deepEqual(spent, { calls: 2, rows: 3 }, "admission writes a row; settlement writes one and deletes one");
  });

  for (const [what, start] of [
    ["a stream that flows", async (key) => beginStream(key, "long-stream")],
    ["a whole answer", async (key) => {
      const held = stage.held("long-whole");
      const answering = begin(`${gateway.url}/v1/chat/completions`, chatRequest(key, { model: "any/long-whole", messages: HELLO })).answering;
      return { exchange: await held, answering };
    }],
  ]) {
    it(`is renewed for ${what}, which keeps its slot for minutes`, async () => {
      const id = `long-${what.length}`;
      const key = await office.key(id, { budget: BUDGET, concurrent_requests: 1 });
      const before = await calls();
      const { exchange, answer, answering } = await start(key);
      await pass(200_000);
      // Admission, and renewals after 60, 90, 120, 150 and 180 s: more than one may fall into a step.
      const renewals = (await calls()) - before - 1;
      assert.ok(renewals >= 4 && renewals <= 6, `${renewals} renewals`);
      expectError(await ask(key), { status: 429, code: "rate_limit_exceeded", says: /1 requests under way/ });
      if (answer) await finish({ exchange, answer });
      else {
        const choices = [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }];
        exchange.json(200, JSON.stringify({ id: "x", object: "chat.completion", created: 1, model: "m", choices, usage: USAGE }));
        await (await answering).rest();
      }
      const [receipt] = await settled(`vk_${id}`, 1);
      assert.equal(receipt.outcome, "complete");
      assert.equal((await ask(key)).status, 200);
    });
  }

  it("ends with the process: a `lost` receipt, a free slot, and the rest held until the request's time is over", async () => {
    const key = await office.key("killed", { budget: BUDGET, concurrent_requests: 1 });
    const { answer } = await beginStream(key, "killed");
    const gone = assert.rejects(answer.rest());
    // Heard of once more, with what was said.
    await pass(70_000);
    await restart();
    await gone;
    expectError(await ask(key), { status: 429, says: /1 requests under way/ });
    // An account that is opened again grants its requests 75 s, in which they could renew their leases.
    await gateway.control({ advance: LEASE_MS + 1000 });
    assert.equal((await ask(key)).status, 200);
    const receipts = await settled("vk_killed", 2);
    const lost = receipts.find((receipt) => receipt.outcome === "lost");
    assert.deepEqual([lost.estimated, lost.provider, lost.model, lost.stream, lost.key_id], [true, "any", "killed", true, "vk_killed"]);
    assert.ok(lost.tokens.prompt > 0 && lost.tokens.completion > 0, JSON.stringify(lost));
    // What it could have cost beyond that is held: of a budget as large as that, nothing is left for another.
    const spent = receipts.reduce((sum, receipt) => sum + receipt.cost_nanos, 0);
    const tight = { budget: { amount_nanos: spent + 15_000_000, per: "day" } };
    await office.order("PATCH", "/keys/vk_killed", tight);
    expectError(await ask(key), { status: 429, code: "insufficient_quota" });
    await gateway.control({ advance: 700_000 });
    assert.equal((await ask(key)).status, 200);
    await settled("vk_killed", 3);
  });

  it("may be over while the request lives: its truth takes the place of the `lost` receipt", async () => {
    const key = await office.key("late", { budget: BUDGET, concurrent_requests: 1 });
    const stream = await beginStream(key, "late");
    // No renewal arrives.
    await gateway.control({ away: { ACCOUNTS: "fails" } });
    await pass(80_000);
    await gateway.control({ away: {} });
    assert.equal((await ask(key)).status, 200);
    const before = await settled("vk_late", 2, "lost");
    await finish(stream);
    await until(async () => !(await office.receipts("vk_late")).some((receipt) => receipt.outcome === "lost"), "the truth");
    const after = await settled("vk_late", 2);
    const lost = before.find((receipt) => receipt.outcome === "lost");
    const truth = after.find((receipt) => receipt.number === lost.number);
    assert.deepEqual([truth.outcome, truth.tokens.prompt, truth.tokens.completion, truth.request_id], ["complete", 7, 11, lost.request_id]);
    await restart();
    assert.deepEqual(await settled("vk_late", 2), after);
  });
});
