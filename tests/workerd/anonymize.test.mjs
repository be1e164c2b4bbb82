// Request ids are taken out of the receipts of a key, and no amount changes.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { until } from "./client.mjs";
import { OFFICE, Office } from "./office.mjs";
import { startStage } from "./stage.mjs";

const config = (fake) => `
providers:
  any: { base_url: "${fake.base}", models: { ok: { price: { input: 1, output: 2 }, max_output: 1000 } } }
`;
const REQUESTS = 3;
const budget = { amount_nanos: 1_000_000_000, per: "month" };

describe("receipts that are anonymized", () => {
  let stage, office;
  before(async () => {
    stage = await startStage({ config, bindings: OFFICE, entry: "production.mjs" });
    office = new Office(stage.gateway.url);
  });
  after(() => stage.stop());

  const ids = async (key) => (await office.receipts(key)).map(({ request_id }) => request_id);
  const withoutIds = (receipts) => receipts.map(({ request_id: _, ...rest }) => rest);
  const anonymize = (path) => office.order("POST", `/keys/${path}`);
  const spent = async (key) => (await office.order("GET", `/usage?key=${key}`)).totals;

  it("keep their amounts, also after their account was opened again", async () => {
    await office.key("team", { budget });
    const keys = {};
    for (const id of ["ann", "bob"]) keys[id] = await office.key(id, { parent: "team", budget });
    for (let n = 0; n < REQUESTS; n++) {
      for (const id of ["ann", "bob"]) {
        const answer = await office.ask(keys[id], "any/ok", {}, { "x-request-id": `${id}-${n}` });
        assert.equal(answer.status, 200, answer.text);
        // Receipts are numbered in the order in which they come.
        await office.totals(id, n + 1);
      }
    }
    const before = { receipts: await office.receipts("ann"), totals: await spent("ann") };
    assert.deepEqual(before.receipts.map(({ request_id }) => request_id), ["ann-2", "ann-1", "ann-0"]);
    assert.deepEqual(await anonymize("ann/anonymize"), { object: "anonymization", anonymized: REQUESTS, is_complete: true, next_before: null });
    assert.equal((await anonymize("ann/anonymize")).anonymized, 0);
    assert.deepEqual([...new Set(await ids("ann"))], ["(deleted)"]);
    await stage.gateway.control({ reopen: "vk_ann" });
    assert.deepEqual(withoutIds(await office.receipts("ann")), withoutIds(before.receipts));
    assert.deepEqual(await spent("ann"), before.totals);
    assert.equal((await office.ask(keys.ann, "any/ok")).status, 200);
    assert.equal((await office.totals("ann", REQUESTS + 1)).requests, REQUESTS + 1);
  });

  it("are those of one member in the account of a parent, if one is named", async () => {
    // The account of a parent gets receipts apart from the member's.
    await until(async () => (await ids("team")).length === 2 * REQUESTS + 1, "the receipts of the team");
    assert.equal((await anonymize("team/anonymize?member=bob")).anonymized, REQUESTS);
    const left = await ids("team");
    assert.equal(left.filter((id) => id === "(deleted)").length, REQUESTS);
    assert.deepEqual(left.filter((id) => id.startsWith("ann-")).sort(), ["ann-0", "ann-1", "ann-2"]);
    assert.ok((await ids("bob")).every((id) => id.startsWith("bob-")), "the member's own account is another");
  });

  it("are refused for a key that does not exist", async () => {
    assert.equal((await office.order("POST", "/keys/nobody/anonymize", undefined, 404)).error.code, "key_not_found");
    assert.equal((await office.order("POST", "/keys/ann/anonymize?before=x", undefined, 400)).error.param, "before");
  });
});
