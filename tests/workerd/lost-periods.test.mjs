// The receipt of a lost request and the late receipt that replaces it, across the end of a day and of a week:
// the sums that contain them, and what is left of each budget.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { until } from "./client.mjs";
import { isLost, LIFE_MS, startLeases, TRUTH_NANOS } from "./lease-stage.mjs";

const DAY_MS = 86_400_000;
const AMOUNT = 900_000_000;
/** A request that is more expensive than what any budget here has left. */
const MUCH = { max_tokens: 100_000 };
/** A Tuesday and a Sunday, shortly before midnight. */
const ENDS = { day: Date.parse("2027-02-02T23:57:00Z"), week: Date.parse("2027-02-07T23:57:00Z") };
const MIDNIGHT_MS = 180_000;
const PERIODS = ["day", "week"];
/**
 * `early`: lost and detected before midnight. `late`: lost before midnight, detected after it. `across`: lost
 * after midnight.
 */
const WAYS = ["early", "late", "across", "killed"];

for (const [end, at] of Object.entries(ENDS)) {
  describe(`requests that are lost at the end of a ${end}`, () => {
    let leases;
    const keys = {};
    const streams = {};
    const reserved = {};
    before(async () => {
      leases = await startLeases({ at });
      for (const per of PERIODS) await leases.office.key(`team-${per}`, { budget: { amount_nanos: AMOUNT, per } });
      // A member with a daily budget in a team with a weekly one, and the other way round.
      for (const per of PERIODS) {
        for (const way of WAYS) {
          const [id, parent] = [`${way}-${per}`, `team-${per === "day" ? "week" : "day"}`];
          keys[id] = await leases.office.key(id, { budget: { amount_nanos: AMOUNT, per }, parent });
        }
      }
    });
    after(() => leases.stop());

    const date = (time) => new Date(time).toISOString().slice(0, 10);
    const [old, fresh] = [date(at), date(at + MIDNIGHT_MS)];

    /** What is left of a key's budget, as reported in the refusal of an expensive request. */
    async function left(id) {
      const answer = await leases.office.ask(keys[id], "much/ok", MUCH);
      assert.equal(answer.status, 429, answer.text);
      return Math.round(1e9 * Number(/has \$([\d.]+) of its budget left/.exec(answer.json().error.message)[1]));
    }

    async function start(way) {
      for (const per of PERIODS) {
        const id = `${way}-${per}`;
        streams[id] = await leases.beginStream(keys[id], `${id}-${end}`);
        reserved[id] = AMOUNT - (await left(id));
        assert.ok(reserved[id] >= 10_000_000, `${reserved[id]}`);
      }
    }

    /** The only receipt of a key, once its outcome is this. */
    async function receiptOf(id, is = isLost) {
      const [receipt] = await leases.settled(`vk_${id}`, 1, ([receipt]) => is(receipt));
      assert.ok(is(receipt), JSON.stringify(receipt));
      return receipt;
    }

    /** The sums of a key for the two days. */
    const spent = (id) => Promise.all([old, fresh].map(async (day) => (await leases.office.order("GET", `/usage?key=${id}&from=${day}&to=${day}`)).totals.cost_nanos));

    /** Whether the period in which a lost request is charged continues after midnight. */
    const goesOn = (per) => end === "day" && per === "week";

    it("are in the sums of the day on which they were lost, whenever that is found out", async () => {
      await leases.missRenewals();
      for (const way of ["early", "late", "killed"]) await start(way);
      await leases.pass(120_000);
      for (const per of PERIODS) {
        assert.equal(await left(`early-${per}`), AMOUNT - reserved[`early-${per}`], "what is charged and what is held are together what was reserved");
      }
      await start("across");
      await leases.pass(MIDNIGHT_MS - 120_000 + 30_000);
      for (const per of PERIODS) {
        for (const way of ["early", "late", "across"]) {
          const id = `${way}-${per}`;
          const now = await left(id);
          const { cost_nanos: cost } = await receiptOf(id);
          assert.ok(cost > 0);
          assert.deepEqual(await spent(id), way === "across" ? [0, cost] : [cost, 0], id);
          // In a new period, only reservations that are still held are missing.
          const missing = way === "across" || goesOn(per) ? reserved[id] : reserved[id] - cost;
          assert.equal(now, AMOUNT - missing, id);
        }
      }
    });

    it("give way to a truth that comes after midnight in the day on which they were lost", async () => {
      for (const per of PERIODS) {
        for (const way of ["early", "late", "across"]) await leases.finish(streams[`${way}-${per}`]);
      }
      for (const again of [false, true]) {
        if (again) await leases.restart();
        for (const per of PERIODS) {
          for (const way of ["early", "late", "across"]) {
            const id = `${way}-${per}`;
            const truth = await receiptOf(id, (receipt) => !isLost(receipt));
            assert.deepEqual(
              { outcome: truth.outcome, cost_nanos: truth.cost_nanos, completion: truth.tokens.completion },
              { outcome: "complete", cost_nanos: TRUTH_NANOS, completion: 11 },
            );
            assert.deepEqual(await spent(id), way === "across" ? [0, TRUTH_NANOS] : [TRUTH_NANOS, 0], id);
            assert.equal(await left(id), way === "across" || goesOn(per) ? AMOUNT - TRUTH_NANOS : AMOUNT, id);
          }
        }
      }
    });

    it("are in the sums of their day although nobody asks for their account before the day after", async () => {
      // The process that had them is gone. Reopened accounts give them 75 s more, but not beyond their own
      // deadline.
      const [asked, unasked] = PERIODS.map((per) => `killed-${per}`);
      await left(asked);
      await leases.jump(DAY_MS);
      for (const id of [asked, unasked]) {
        const now = await left(id);
        const { cost_nanos: cost, ended_at: ended } = await receiptOf(id);
        assert.equal(ended.slice(0, 10), fresh);
        assert.deepEqual(await spent(id), [0, cost], id);
        // Its deadline has passed: nothing is held any more.
        assert.equal(now, id === asked ? AMOUNT : AMOUNT - cost, id);
      }
      await leases.jump(LIFE_MS);
      await leases.restart();
      for (const id of [asked, unasked]) await receiptOf(id);
    });

    it("are in the books of their teams as well, each once", async () => {
      const plain = (receipts) => receipts.map(({ number, ended_at, duration_ms, ...receipt }) => receipt).sort((a, b) => (a.id < b.id ? -1 : 1));
      for (const [team, per] of [["team-week", "day"], ["team-day", "week"]]) {
        const ofMembers = [];
        for (const way of WAYS) ofMembers.push(...(await leases.office.receipts(`vk_${way}-${per}`)));
        // Any command detects lost requests, and the account of a team gets receipts apart from the member's.
        const ofTeam = async () => plain(await leases.office.receipts(`vk_${team}`));
        await until(async () => isDeepStrictEqual(await ofTeam(), plain(ofMembers)), `in ${team} the receipts of its members`);
      }
    });
  });
}
