// Budgets and usage by `reporting.timezone`: a day begins at midnight of the zone, also where clocks change, and a
// change of the setting takes effect with the next period.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { as, call } from "./client.mjs";
import { startGateway, STILL } from "./harness.mjs";
import { ADMIN_KEY, OFFICE, Office } from "./office.mjs";

const MODEL = "demo/echo";
/** Each request costs a dollar. */
const PRICE = "price: { input: 0, output: 0, per_request: 1 }, max_output: 1000, context: 100000";
const config = (zone) => `
providers: { demo: { adapter: echo, models: { echo: { ${PRICE} } } } }
reporting: { timezone: ${zone} }
logging: { level: error }
`;

/** A gateway whose clock stands still until a test moves it, on a disk that outlives it. */
class Zoned {
  #admitted = 0;

  async start(zone) {
    await this.gateway?.stop();
    this.disk ??= await mkdtemp(join(tmpdir(), "llm-bridge-zones-"));
    this.gateway = await startGateway({ config: config(zone), bindings: OFFICE, disk: this.disk, entry: "production.mjs" });
    await this.gateway.control({ speed: STILL });
    if (this.time) await this.at(this.time);
    this.office = new Office(this.gateway.url);
  }

  async stop() {
    await this.gateway?.stop();
    await rm(this.disk, { recursive: true });
  }

  /** Sets the clock. */
  async at(time) {
    this.time = time;
    const { now } = await this.gateway.control();
    await this.gateway.control({ advance: Date.parse(time) - now });
  }

  /** The statuses of so many requests at a time. Those that were admitted are settled before it passes. */
  async ask(time, count) {
    await this.at(time);
    const statuses = [];
    while (statuses.length < count) statuses.push((await this.office.ask(this.key, MODEL)).status);
    this.#admitted += statuses.filter((status) => status === 200).length;
    await this.office.totals("spender", this.#admitted);
    return statuses;
  }
}

/** Runs `play` with a gateway in a zone and a key that may spend so many dollars per period. */
async function inZone(zone, per, dollars, play) {
  const zoned = new Zoned();
  try {
    await zoned.start(zone);
    await zoned.at("2027-03-01T12:00:00Z");
    zoned.key = await zoned.office.key("spender", { budget: { amount: `${dollars}.00`, per } });
    await play(zoned);
  } finally {
    await zoned.stop();
  }
}

describe("a budget", () => {
  it("of a day begins at midnight of a zone at a half hour", () =>
    inZone("Asia/Kolkata", "day", 2, async (zoned) => {
      assert.deepEqual(await zoned.ask("2027-03-09T18:29:59Z", 3), [200, 200, 429]);
      assert.deepEqual(await zoned.ask("2027-03-09T18:30:00Z", 3), [200, 200, 429]);
      assert.deepEqual(await zoned.ask("2027-03-10T00:00:00Z", 1), [429]);
      assert.deepEqual(await zoned.ask("2027-03-10T18:29:59Z", 1), [429]);
      assert.deepEqual(await zoned.ask("2027-03-10T18:30:00Z", 1), [200]);
    }));

  it("has days of 23 hours where clocks go forward", () =>
    inZone("Europe/Berlin", "day", 1, async (zoned) => {
      assert.deepEqual(await zoned.ask("2027-03-27T23:00:00Z", 2), [200, 429]);
      assert.deepEqual(await zoned.ask("2027-03-28T21:59:59Z", 1), [429]);
      assert.deepEqual(await zoned.ask("2027-03-28T22:00:00Z", 2), [200, 429]);
    }));

  it("of a month begins at midnight of its first day", () =>
    inZone("America/St_Johns", "month", 1, async (zoned) => {
      assert.deepEqual(await zoned.ask("2027-03-20T00:00:00Z", 2), [200, 429]);
      assert.deepEqual(await zoned.ask("2027-04-01T02:29:59Z", 1), [429]);
      assert.deepEqual(await zoned.ask("2027-04-01T02:30:00Z", 1), [200]);
    }));

  it("ends as it began when the setting changes", () =>
    inZone("UTC", "day", 2, async (zoned) => {
      assert.deepEqual(await zoned.ask("2027-03-09T10:00:00Z", 1), [200]);
      await zoned.start("Asia/Shanghai");
      // Already the next day in Shanghai.
      assert.deepEqual(await zoned.ask("2027-03-09T17:00:00Z", 2), [200, 429]);
      assert.deepEqual(await zoned.ask("2027-03-10T00:00:00Z", 3), [200, 200, 429]);
      assert.deepEqual(await zoned.ask("2027-03-10T16:00:00Z", 3), [200, 200, 429]);
      await zoned.start("UTC");
      assert.deepEqual(await zoned.ask("2027-03-11T00:00:00Z", 1), [429]);
      assert.deepEqual(await zoned.ask("2027-03-11T16:00:00Z", 3), [200, 200, 429]);
      assert.deepEqual(await zoned.ask("2027-03-12T00:00:00Z", 1), [200]);
    }));
});

describe("usage", () => {
  /** The zone, and the requests of each day. */
  const usage = async (zoned, query = "key=spender&") => {
    const { timezone, data } = await zoned.office.order("GET", `/usage?${query}group_by=day&from=2027-03-01&to=2027-04-30`);
    return [timezone, Object.fromEntries(data.map(({ day, requests }) => [day, requests]))];
  };

  it("has the days of a zone at a half hour, for admins, callers and in files", () =>
    inZone("Asia/Kolkata", "day", 9, async (zoned) => {
      assert.deepEqual(await zoned.ask("2027-03-09T18:29:59Z", 1), [200]);
      assert.deepEqual(await zoned.ask("2027-03-09T18:30:00Z", 2), [200, 200]);
      const days = { "2027-03-09": 1, "2027-03-10": 2 };
      assert.deepEqual(await usage(zoned), ["Asia/Kolkata", days]);
      assert.deepEqual(await usage(zoned, ""), ["Asia/Kolkata", days]);
      const own = await call(`${zoned.gateway.url}/v1/usage?group_by=day`, { headers: as(zoned.key) });
      const { from, to, data } = own.json();
      assert.deepEqual([from, to, data.map(({ day }) => day)], ["2027-02-09", "2027-03-10", ["2027-03-09", "2027-03-10"]]);
      const file = await call(`${zoned.gateway.url}/admin/api/export/usage?group_by=day&format=csv`, { headers: as(ADMIN_KEY) });
      assert.deepEqual(file.text.trim().split("\n").slice(1).map((row) => row.split(",").slice(3, 5)), [["2027-03-09", "1"], ["2027-03-10", "2"]]);
    }));

  it("stays as it was counted when the setting changes, and loses nothing", () =>
    inZone("UTC", "day", 99, async (zoned) => {
      assert.deepEqual(await zoned.ask("2027-03-09T15:00:00Z", 1), [200]);
      await zoned.start("Asia/Shanghai");
      assert.deepEqual(await zoned.ask("2027-03-09T16:00:00Z", 2), [200, 200]);
      assert.deepEqual(await usage(zoned), ["Asia/Shanghai", { "2027-03-09": 1, "2027-03-10": 2 }]);
      await zoned.start("America/Los_Angeles");
      assert.deepEqual(await zoned.ask("2027-03-11T07:59:59Z", 3), [200, 200, 200]);
      assert.deepEqual(await zoned.ask("2027-03-11T08:00:00Z", 1), [200]);
      assert.deepEqual(await usage(zoned), ["America/Los_Angeles", { "2027-03-09": 1, "2027-03-10": 5, "2027-03-11": 1 }]);
    }));
});
