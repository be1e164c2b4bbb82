// A request with limits has one receipt, whatever happens to the process. Without a sign of life, its place
// is free after 75 s and its receipt says `lost`, until a late receipt replaces it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { begin, soon, until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { BUDGET, isLost, LEASE_MS, startLeases, USAGE } from "./lease-stage.mjs";

const ONE = { budget: BUDGET, concurrent_requests: 1 };
const CROWDED = { status: 429, code: "rate_limit_exceeded", says: /concurrent request/ };

describe("the lease of a request", () => {
  let leases;
  before(async () => {
    leases = await startLeases();
  });
  after(() => leases.stop());

  it("costs a request under a minute nothing: two calls, and no row more", async () => {
    const key = await leases.office.key("short", ONE);
    assert.equal((await leases.ask(key)).status, 200);
    await leases.settled("vk_short", 1);
    const before = { calls: await leases.calls(), rows: await leases.rows() };
    const stream = await leases.beginStream(key, "short-stream");
    await leases.pass(55_000);
    await leases.finish(stream);
    await until(async () => (await leases.calls()) >= before.calls + 2 && (await leases.rows()) >= before.rows + 3, "the settlement");
    // A further call, if there is one, would come at once.
    await sleep(100);
    const spent = { calls: (await leases.calls()) - before.calls, rows: (await leases.rows()) - before.rows };
    assert.deepEqual(spent, { calls: 2, rows: 3 }, "admission writes a row; settlement writes one and deletes one");
  });

  for (const [what, start] of [
    ["a stream that flows", (key) => leases.beginStream(key, "long-stream")],
    ["a whole answer", async (key) => {
      const held = leases.stage.held("long-whole");
      const { answering } = begin(leases.url(), leases.request(key, { model: "any/long-whole" }));
      return { exchange: await held, answering };
    }],
  ]) {
    it(`is renewed for ${what}, which keeps its slot for minutes`, async () => {
      const id = `long-${what.length}`;
      const key = await leases.office.key(id, ONE);
      const before = await leases.calls();
      const { exchange, answer, answering } = await start(key);
      await leases.pass(200_000);
      // Admission, and renewals after 60, 90, 120, 150 and 180 s. More than one may fall into a step.
      const renewals = (await leases.calls()) - before - 1;
      assert.ok(renewals >= 4 && renewals <= 6, `${renewals} renewals`);
      expectError(await leases.ask(key), CROWDED);
      if (answer) await leases.finish({ exchange, answer });
      else {
        const choices = [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }];
        exchange.json(200, JSON.stringify({ id: "x", object: "chat.completion", created: 1, model: "m", choices, usage: USAGE }));
        await (await soon(answering, "the whole answer")).rest();
      }
      const [receipt] = await leases.settled(`vk_${id}`, 1);
      assert.equal(receipt.outcome, "complete");
      assert.equal((await leases.ask(key)).status, 200);
    });
  }

  it("ends with the process: a `lost` receipt, a free slot, and the rest held until the request's time is over", async () => {
    const key = await leases.office.key("killed", ONE);
    const { answer } = await leases.beginStream(key, "killed");
    const gone = assert.rejects(answer.rest());
    // Renewed again, with the tokens so far.
    await leases.pass(70_000);
    await leases.restart();
    await gone;
    expectError(await leases.ask(key), CROWDED);
    // An account that is reopened gives its requests 75 s in which they can renew their leases.
    await leases.jump(LEASE_MS + 1000);
    assert.equal((await leases.ask(key)).status, 200);
    const receipts = await leases.settled("vk_killed", 2);
    const lost = receipts.find(isLost);
    assert.deepEqual(
      { estimated: lost.estimated, provider: lost.provider, model: lost.model, stream: lost.stream, key_id: lost.key_id },
      { estimated: true, provider: "any", model: "killed", stream: true, key_id: "vk_killed" },
    );
    assert.ok(lost.tokens.prompt > 0 && lost.tokens.completion > 0, JSON.stringify(lost));
    // The cost that it could have beyond that is held: of a budget of that size, nothing is left for another
    // request.
    const spent = receipts.reduce((sum, receipt) => sum + receipt.cost_nanos, 0);
    const tight = { budget: { amount_nanos: spent + 15_000_000, per: "day" } };
    await leases.office.order("PATCH", "/keys/vk_killed", tight);
    expectError(await leases.ask(key), { status: 429, code: "insufficient_quota" });
    await leases.jump(700_000);
    assert.equal((await leases.ask(key)).status, 200);
    await leases.settled("vk_killed", 3);
  });

  it("may be over while the request lives: its truth takes the place of the `lost` receipt", async () => {
    const key = await leases.office.key("late", ONE);
    const stream = await leases.beginStream(key, "late");
    await leases.missRenewals();
    await leases.pass(80_000);
    assert.equal((await leases.ask(key)).status, 200);
    const before = await leases.settled("vk_late", 2, (all) => all.some(isLost));
    await leases.finish(stream);
    const after = await leases.settled("vk_late", 2, (all) => !all.some(isLost));
    await leases.missRenewals(false);
    const lost = before.find(isLost);
    const truth = after.find((receipt) => receipt.number === lost.number);
    assert.deepEqual(
      { outcome: truth.outcome, prompt: truth.tokens.prompt, completion: truth.tokens.completion, request_id: truth.request_id },
      { outcome: "complete", prompt: 7, completion: 11, request_id: lost.request_id },
    );
    await leases.restart();
    assert.deepEqual(await leases.settled("vk_late", 2), after);
  });

  it("is taken up again by a renewal that arrives after two were missed: the slot is taken, and the receipt says what was heard", async () => {
    const key = await leases.office.key("revived", { ...ONE, concurrent_requests: 2 });
    const stream = await leases.beginStream(key, "revived");
    await leases.missRenewals();
    // Those due after 60 and 90 s.
    await leases.pass(100_000);
    const other = await leases.beginStream(key, "beside-it");
    const third = await leases.beginStream(key, "beside-both");
    const [lost] = (await leases.settled("vk_revived", 1)).filter(isLost);
    assert.equal(lost.tokens.completion, 0, "nobody had told of a word");
    expectError(await leases.ask(key), CROWDED);
    await leases.finish(third);
    await leases.settled("vk_revived", 2);
    await leases.missRenewals(false);
    await leases.pass(40_000);
    const revived = (await leases.settled("vk_revived", 2, (all) => all.some((receipt) => isLost(receipt) && receipt.tokens.completion > 0))).find(isLost);
    assert.deepEqual({ id: revived.id, number: revived.number }, { id: lost.id, number: lost.number });
    // The renewals of both requests, and no third.
    expectError(await leases.ask(key), CROWDED);
    // Missed again: lost again, and not entered twice.
    await leases.missRenewals();
    await leases.pass(LEASE_MS + 15_000);
    assert.equal((await leases.ask(key)).status, 200);
    await leases.settled("vk_revived", 4);
    await leases.missRenewals(false);
    await leases.finish(stream);
    await leases.finish(other);
    const all = await leases.settled("vk_revived", 4, (all) => !all.some(isLost));
    assert.ok(all.every(({ outcome }) => outcome === "complete"), JSON.stringify(all));
    await leases.restart();
    assert.deepEqual(await leases.settled("vk_revived", 4), all);
    for (let n = 0; n < 3; n++) assert.equal((await leases.ask(key)).status, 200);
  });

  it("is granted anew when the account is opened again, once, and goes on where renewals arrive", async () => {
    const key = await leases.office.key("reopened", ONE);
    const stream = await leases.beginStream(key, "reopened");
    await leases.missRenewals();
    // Reopened before its end (after 70 s), and again after the recorded end (after 140 s): 75 s each time.
    for (const ms of [70_000, 70_000]) {
      await leases.pass(ms);
      await leases.reopen("vk_reopened");
      expectError(await leases.ask(key), CROWDED);
    }
    await leases.missRenewals(false);
    // Renewed by now, so the account may be reopened any number of times.
    for (let n = 0; n < 4; n++) {
      await leases.pass(40_000);
      await leases.reopen("vk_reopened");
      expectError(await leases.ask(key), CROWDED);
    }
    await leases.finish(stream);
    const [receipt] = await leases.settled("vk_reopened", 1);
    assert.equal(receipt.outcome, "complete");
    assert.equal((await leases.ask(key)).status, 200);
  });

  it("is granted anew once only, however often an account is opened that nobody tells anything", async () => {
    const key = await leases.office.key("forgotten", { ...ONE, concurrent_requests: 2 });
    const streams = [await leases.beginStream(key, "forgotten-1"), await leases.beginStream(key, "forgotten-2")];
    const gone = streams.map(({ answer }) => assert.rejects(answer.rest()));
    await leases.restart();
    await Promise.all(gone);
    await leases.jump(LEASE_MS + 1000);
    // Its lease has expired. Reopening the account grants 75 s more and stores that.
    for (const [ms, slots] of [[0, 0], [40_000, 0], [34_000, 0], [2_000, 2]]) {
      await leases.jump(ms);
      await leases.reopen("vk_forgotten");
      if (slots === 0) expectError(await leases.ask(key), CROWDED);
    }
    for (let n = 0; n < 2; n++) assert.equal((await leases.ask(key)).status, 200);
    const receipts = await leases.settled("vk_forgotten", 4);
    assert.equal(receipts.filter(isLost).length, 2);
    const both = [await leases.beginStream(key, "after-1"), await leases.beginStream(key, "after-2")];
    expectError(await leases.ask(key), CROWDED);
    for (const stream of both) await leases.finish(stream);
    await leases.settled("vk_forgotten", 6);
  });
});
