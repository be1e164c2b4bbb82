// Reports over long times are read from sums of whole days, which are made when one is first asked for: they say the
// same as the quarters of an hour, whatever happens to these later.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { until } from "./client.mjs";
import { DAY, FOLD, batch, many, report, startFed, total } from "./report-stage.mjs";

const KEYS = 40;
const DAYS = 30;

describe("sums of whole days", () => {
  let fed;
  before(async () => {
    fed = await startFed({ reporting: "{ timezone: Asia/Kolkata, tags: [user], keep_sums_days: 25 }" });
    // Each key has some requests of each day, at other times and by two models.
    for (let day = 0; day < 20; day++) {
      const of = (n) => ({ at: fed.now - day * DAY - ((n * 7_919_000) % DAY), key_id: `vk_k${n % KEYS}`, owner: n % 3 ? "" : "ann", model: `m${n % 2}`, tags: n % 5 ? [] : [["user", `u${n % 4}`]] });
      await fed.feed(batch(many(200, of)));
    }
    await fold();
  });
  after(() => fed.stop());

  const fold = async () => {
    const { now } = await fed.gateway.control({ advance: FOLD });
    await fed.feed(batch([{ at: now, key_id: "vk_late" }]));
    await fed.feed(batch([{ at: now, key_id: "vk_late" }]));
  };
  const from = (days) => `&from=${new Date(fed.now - days * DAY).toISOString().slice(0, 10)}`;
  /** A report, and how many rows the object read and wrote for it. */
  const counted = async (query) => {
    await fed.gateway.control({ rows: {} });
    const answer = await report(fed.office, query);
    return { ...answer, rows: (await fed.gateway.control()).rows.OPERATIONS };
  };
  const byGroup = ({ data }, name) => {
    const sums = {};
    for (const { group, requests } of data) sums[group[name]] = (sums[group[name]] ?? 0) + requests;
    return sums;
  };
  /** The same sums, of a report by more than one dimension, which the sums of days cannot answer. */
  const fromQuarters = async (name, query = from(DAYS)) => {
    const other = name === "provider" ? "model" : "provider";
    return byGroup(await report(fed.office, `&group_by=${name},${other}${query}`), name);
  };
  const same = async (name, query = from(DAYS)) => {
    const answer = await report(fed.office, `&group_by=${name}${query}`);
    assert.deepEqual(byGroup(answer, name), await fromQuarters(name, query), name);
    assert.equal(answer.totals.requests, await total(fed.office, query), name);
    return byGroup(answer, name);
  };

  it("are the sums of their quarters in every dimension, in any range", async () => {
    for (const name of ["key", "owner", "provider", "model", "tag.user"]) {
      for (const query of [from(DAYS), from(12), `${from(19)}&to=${new Date(fed.now - 3 * DAY).toISOString().slice(0, 10)}`]) await same(name, query);
    }
    // Days of a zone that is not UTC, and hours.
    for (const resolution of ["day", "hour"]) {
      const ask = (more) => fed.office.order("GET", `/reports?resolution=${resolution}${from(19)}${more}`);
      const [all, parts] = [await ask(""), await ask("&group_by=key,model")];
      const sums = {};
      for (const { period, requests } of parts.data) sums[period] = (sums[period] ?? 0) + requests;
      assert.deepEqual(Object.fromEntries(all.data.map(({ period, requests }) => [period, requests])), sums, resolution);
    }
  });

  it("are read instead of the quarters, and written once", async () => {
    const quarters = (await counted(`&group_by=key,model${from(DAYS)}`)).rows;
    const days = (await counted(`&group_by=key${from(DAYS)}`)).rows;
    assert.equal(days.written, 0, "they were made before");
    assert.ok(days.read * 4 < quarters.read, `${days.read} rows instead of ${quarters.read}`);
    assert.equal((await counted(from(DAYS))).rows.written, 0);
  });

  it("count a request that comes late", async () => {
    const late = fed.now - 9 * DAY;
    const earlier = await same("key");
    await fed.feed(batch([{ at: late, key_id: "vk_k1" }, { at: late, key_id: "vk_new" }]));
    assert.equal((await same("key")).vk_new, 1, "not folded yet");
    await fold();
    const now = await same("key");
    assert.deepEqual([now.vk_new, now.vk_k1], [1, earlier.vk_k1 + 1]);
    assert.ok((await counted(`&group_by=key${from(DAYS)}`)).rows.written === 0);
  });

  it("forget a user and an owner", async () => {
    const before = await same("owner");
    assert.ok(before.ann > 0 && (await same("tag.user")).u0 > 0);
    await fed.office.order("DELETE", "/requests?tags=user=u0");
    const users = await same("tag.user");
    assert.equal(users.u0, undefined);
    assert.ok(users["(deleted)"] > 0);
    await fed.office.order("DELETE", "/requests?owner=ann");
    const owners = await same("owner");
    assert.deepEqual([owners.ann, owners["(deleted)"]], [undefined, before.ann]);
  });

  it("are of the time for which sums are kept", async () => {
    const before = await total(fed.office, from(DAYS));
    await fed.gateway.control({ advance: 12 * DAY });
    for (let look = 0; look < 20; look++) {
      await fed.gateway.control({ advance: 3_600_001, alarm: true });
      await same("key");
    }
    const now = await total(fed.office, from(DAYS));
    assert.ok(now > 0 && now < before, `${now} of ${before}`);
  });

  it("are not needed where there is no room for them", async () => {
    const full = await startFed({ reporting: "{ tags: [user] }" });
    try {
      await full.feed(batch(many(300, (n) => ({ at: full.now - (n % 10) * DAY, key_id: `vk_k${n % 7}` }))));
      const { now } = await full.gateway.control({ advance: FOLD });
      await full.feed(batch([{ at: now }]));
      await full.gateway.control({ full: true });
      const { data, totals } = await report(full.office, "&group_by=key");
      assert.deepEqual([data.length, totals.requests], [8, 301]);
      await until(() => full.gateway.logs().some(({ event, error }) => event === "object_failed" && /SQLITE_FULL/.test(error)), "the failure in the log");
      await full.gateway.control({ full: false });
      assert.equal((await report(full.office, "&group_by=key")).totals.requests, 301);
    } finally {
      await full.stop();
    }
  });
});
