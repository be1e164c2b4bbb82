// Receipts that wait for an object that does not respond: an isolate holds a bounded number of them, the rest
// goes to the log, and none is lost or entered twice.

import assert from "node:assert/strict";
import { Agent, request as httpRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import { until } from "./client.mjs";
import { KEY, startStage } from "./stage.mjs";

/** The number of receipts that may wait, approximately, and the number of requests. */
const MOST = 16_384;
const MADE = 20_000;
const AT_ONCE = 64;
const PATIENCE_MS = 120_000;

const config = () => `
providers:
  demo: { adapter: echo, models: { echo: {} } }
`;

describe("receipts on their way", { concurrency: 1 }, () => {
  let stage;
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  before(async () => {
    stage = await startStage({ config, entry: "production.mjs", v8Flags: ["--max-old-space-size=128"] });
  });
  after(() => (agent.destroy(), stage.stop()));

  const body = JSON.stringify({ model: "demo/echo", messages: [{ role: "user", content: "a" }] });
  /** Sends a request, discards the response, and returns its status. */
  const ask = () =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json", "content-length": body.length };
      const req = httpRequest(`${stage.gateway.url}/v1/chat/completions`, { method: "POST", agent, headers }, (res) => {
        res.resume();
        res.on("end", () => resolve(res.statusCode));
      });
      req.on("error", reject);
      req.end(body);
    });

  it("are bounded, and each one is either in the books or in the log", { timeout: 300_000 }, async (t) => {
    const requests = async () => (await stage.request("/v1/usage")).json().totals.requests;
    assert.equal(await ask(), 200);
    await until(async () => (await requests()) === 1, "the books to hear");
    await stage.gateway.control({ away: { ACCOUNTS: "hangs" } });
    let left = MADE;
    const caller = async () => {
      while (left-- > 0) assert.equal(await ask(), 200);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, caller));
    const lost = () => stage.gateway.logs().filter(({ event }) => event === "receipts_lost");
    await until(() => lost().length > 0, "receipts in the log", PATIENCE_MS);
    await stage.gateway.control({ away: {} });
    const inBooks = async () => (await requests()) - 1;
    await until(async () => (await inBooks()) + lost().length >= MADE, "all receipts", PATIENCE_MS);
    const [kept, logged] = [await inBooks(), lost()];
    t.diagnostic(`${kept} in the books, ${logged.length} in the log`);
    assert.equal(kept + logged.length, MADE);
    assert.ok(kept <= MOST + 2 * AT_ONCE, `${kept}`);
    assert.deepEqual(logged.map(({ lost_so_far }) => lost_so_far), logged.map((_, n) => n + 1));
    assert.ok(logged.every(({ order, account }) => account && JSON.stringify(order).includes('"complete"')), JSON.stringify(logged[0]));
    assert.equal(await ask(), 200);
    await until(async () => (await inBooks()) + lost().length === MADE + 1, "the next one");
    assert.equal(lost().length, logged.length);
  });
});
