// Receipts outlive the process, however it dies. Reservations are held until their time, and no longer.

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import { billing, expectWhole, PRICED, sumsOf } from "./bills.mjs";
import { as, begin, call, chatRequest, HELLO, until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { startGateway } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { KEY, PROVIDER_KEY, startStage } from "./stage.mjs";

const DAY = 86_400_000;
const PER_MINUTE = 100;
const AT_ONCE = 3;
const SETTLED = 12;
const BINDINGS = { ...OFFICE, ACCESS_API_KEYS: KEY, ANY_API_KEY: PROVIDER_KEY };
const config = (fake) => `
providers:
  any: { base_url: "${fake.base}", models: { "*": { ${PRICED} } } }
`;

// The tests here are one story: each continues where the one before ended.
describe("the books, when the process is killed", () => {
  let disk, stage, gateway, office, names;
  const gateways = [];
  const keys = { static: KEY };
  const kept = {};
  before(async () => {
    disk = await mkdtemp(join(tmpdir(), "llm-bridge-disk-"));
    stage = await startStage({ config, bindings: BINDINGS, disk });
    enter(stage.gateway);
    for (const [name, way] of Object.entries(billing())) stage.fake.behave(name, way);
    keys.free = await office.key("free");
    const budget = { amount_nanos: 1e9, per: "day" };
    keys.limited = await office.key("limited", { budget, requests_per_minute: PER_MINUTE, concurrent_requests: AT_ONCE });
  });
  after(async () => {
    await gateway.stop();
    await stage.fake.stop();
    await rm(disk, { recursive: true });
    const printed = gateways.flatMap(({ lines, complaints }) => [...lines, ...complaints]).join("\n");
    assert.ok(!secrets().some((secret) => printed.includes(secret)), "a key in the log");
  });

  /** Asserts that nothing secret is on the disk. */
  const secrets = () => [...Object.values(keys).flatMap((key) => [key, key.slice(-40)]), ...Object.values(BINDINGS)];

  function enter(entered) {
    gateway = entered;
    gateways.push(gateway);
    office = new Office(gateway.url);
  }

  /** Kills the process, does `work` while it is dead, and starts another. */
  async function restart(work = () => {}) {
    await gateway.stop();
    await work();
    enter(await startGateway({ config: config(stage.fake), bindings: BINDINGS, disk }));
  }

  let asked = 0;
  const request = (name, model) => chatRequest(keys[name], { model: `any/${model}`, messages: HELLO, seed: ++asked, user: name });
  const ask = (name, model = "bill") => call(`${gateway.url}/v1/chat/completions`, request(name, model));
  const served = (name) => stage.fake.requests.filter(({ request }) => request?.user === name).length;

  /** The receipts of a key. Asserts that its account is consistent. */
  async function books(name) {
    const receipts = await office.receipts(names[name]);
    expectWhole(receipts);
    assert.deepEqual((await office.totals(names[name])), sumsOf(receipts));
    return receipts;
  }

  it("keep what was settled, once, and go on from there", async () => {
    for (let n = 0; n < SETTLED; n += AT_ONCE) {
      const wave = Array.from({ length: AT_ONCE }, () => Object.keys(keys).map((name) => ask(name)));
      await Promise.all(wave.flat());
      await office.totals("limited", n + AT_ONCE);
    }
    // Receipts of a key without limits come a moment later.
    const fixed = async () => (await office.order("GET", "/usage?group_by=key")).data.find(({ key_id }) => key_id.startsWith("key_"));
    const { key_id } = await until(fixed, "a receipt of the fixed key");
    names = { static: key_id, free: "vk_free", limited: "vk_limited" };
    for (const name of ["static", "free"]) await office.totals(names[name], SETTLED);
    // The last receipts seen before the process dies, with more on their way.
    const storm = ["static", "free"].flatMap((name) => Array.from({ length: 40 }, () => ask(name).catch(() => {})));
    await Promise.race(storm);
    await office.totals("vk_free", SETTLED + 1);
    for (const name of Object.keys(keys)) kept[name] = await office.receipts(names[name]);
    await restart();
    await Promise.all(storm);
    for (const name of Object.keys(keys)) {
      const before = kept[name];
      const receipts = await books(name);
      assert.ok(before.length >= SETTLED && receipts.length <= served(name), `${before.length} ${receipts.length} ${served(name)}`);
      assert.deepEqual(receipts.slice(-before.length), before, name);
      assert.equal((await ask(name)).status, 200);
      await office.totals(names[name], receipts.length + 1);
      assert.equal((await books(name)).length, receipts.length + 1);
    }
  });

  it("hold what was promised to requests that died with it", async () => {
    stage.fake.behave("endless", () => {});
    const begun = served("limited");
    const dying = Array.from({ length: AT_ONCE }, () => begin(`${gateway.url}/v1/chat/completions`, request("limited", "endless")).answering);
    const dead = Promise.allSettled(dying);
    await until(() => served("limited") >= begun + AT_ONCE, "the requests to reach the provider");
    await restart();
    assert.ok((await dead).every(({ status }) => status === "rejected"));
    assert.equal((await books("limited")).length, begun);
    const answer = await ask("limited");
    expectError(answer, { status: 429, code: "rate_limit_exceeded", says: /allows 3 concurrent requests/ });
    // The requests of the minute are known, too: those settled, and those that died.
    const left = Number(answer.headers["x-ratelimit-remaining-requests"]);
    // On a slow machine the minute of the first ones may be over.
    assert.ok(left >= PER_MINUTE - begun - AT_ONCE && left <= PER_MINUTE - AT_ONCE, `${left} left`);
    await restart();
    assert.equal((await ask("limited")).status, 429);
    assert.equal(served("limited"), begun + AT_ONCE);
  });

  it("let go of those promises when their time is over, and have a receipt of each", async () => {
    const receipts = await books("limited");
    await restart(() => write("vk_limited", (db) => {
      const untils = db.prepare("SELECT json_extract(promise, '$.until') AS until FROM promises").all();
      assert.equal(untils.length, AT_ONCE);
      for (const { until } of untils) assert.ok(until > Date.now() + 60_000 && until < Date.now() + 700_000, "their time is that of a request");
      db.exec(`UPDATE promises SET promise = json_set(promise, '$.until', ${Date.now() - 1})`);
    }));
    assert.equal((await ask("limited")).status, 200);
    await office.totals("vk_limited", receipts.length + AT_ONCE + 1);
    const lost = (await books("limited")).slice(1, AT_ONCE + 1);
    assert.deepEqual(lost.map(({ outcome, estimated }) => [outcome, estimated]), Array(AT_ONCE).fill(["lost", true]));
    // They are kept for a while, so that a late receipt finds them, but hold nothing.
    await restart(() => write("vk_limited", (db) => {
      const open = db.prepare("SELECT id FROM promises WHERE json_extract(promise, '$.lease.lost') IS NULL").all();
      assert.deepEqual(open, []);
    }));
    assert.equal((await ask("limited")).status, 200);
  });

  it("close a day and open the next", async () => {
    const day = (ago) => new Date(Date.now() - ago * DAY).toISOString().slice(0, 10);
    const own = async (query) => (await call(`${gateway.url}/v1/usage${query}`, { headers: as(keys.free) })).json();
    const before = await books("free");
    // Makes everything that is stored a day older.
    await restart(() => write("vk_free", (db) => {
      for (const { name } of db.prepare("SELECT name FROM sqlite_master WHERE name LIKE 'entries_%'").all()) {
        const sums = "json_set(sums, '$.day', sums ->> '$.day' - 1, '$.spent.day[0]', sums ->> '$.spent.day[0]' - 1)";
        db.exec(`UPDATE ${name} SET at = at - ${DAY}, sums = ${sums}`);
      }
    }));
    const requests = async (query) => (await own(query)).totals.requests;
    const days = [`?from=${day(1)}&to=${day(1)}`, `?from=${day(0)}`, `?from=${day(1)}`, ""];
    const each = async () => [await requests(days[0]), await requests(days[1]), await requests(days[2]), await requests(days[3])];
    assert.deepEqual(await each(), [before.length, 0, before.length, before.length]);
    assert.equal((await ask("free")).status, 200);
    await office.totals("vk_free", before.length + 1);
    const expected = [before.length, 1, before.length + 1, before.length + 1];
    assert.deepEqual(await each(), expected);
    const rows = (await own("?group_by=day")).data.map((row) => [row.day, row.requests]);
    assert.deepEqual(rows, [[day(1), before.length], [day(0), 1]]);
    assert.deepEqual((await own(days[0])).totals, sumsOf(before));
    await restart();
    assert.deepEqual(await each(), expected);
    await books("free");
  });

  it("hold no key, only what tells it from others", async () => {
    await restart(async () => {
      for (const entry of await readdir(disk, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const bytes = await readFile(join(entry.parentPath, entry.name));
        assert.ok(!secrets().some((secret) => bytes.includes(secret)), entry.name);
      }
    });
  });

  /** Opens the database of an account while no process has it. */
  async function write(account, work) {
    let found = 0;
    for (const file of await readdir(join(disk, "Account"))) {
      if (!file.endsWith(".sqlite")) continue;
      const db = new DatabaseSync(join(disk, "Account", file));
      if (isOf(db, account)) {
        found++;
        work(db);
      }
      db.close();
    }
    assert.equal(found, 1, `books of ${account}`);
  }

  function isOf(db, account) {
    const tables = db.prepare("SELECT name FROM sqlite_master WHERE name LIKE 'entries_%'").all();
    return tables.some(({ name }) => db.prepare(`SELECT 1 FROM ${name} WHERE entries LIKE ? LIMIT 1`).get(`%"key_id":"${account}"%`));
  }
});
