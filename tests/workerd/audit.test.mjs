// The audit log on the built worker: entries survive the process, expire, and are bounded; a store that is away
// changes no response.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { as, call, until } from "./client.mjs";
import { startGateway } from "./harness.mjs";

const ADMIN = "admin-key-2718281828";
const VIEWER = "viewer-key-1618033988";
const BINDINGS = { ADMIN_API_KEYS: ADMIN, ADMIN_READ_API_KEYS: VIEWER, ACCESS_API_KEYS: "caller-key-3141592653" };
const DAY = 86_400_000;
const CONFIG = `
providers: { demo: { adapter: echo, models: { echo: {} } } }
admin: { keep_audit_days: 30 }
`;

describe("the audit log", () => {
  let disk, gateway;
  const start = () => startGateway({ config: CONFIG, bindings: BINDINGS, disk, entry: "production.mjs" });
  const admin = (method, path, body, key = ADMIN) =>
    call(`${gateway.url}/admin/api${path}`, { method, headers: as(key), body: body && JSON.stringify(body) });
  const page = async (query = "", key = VIEWER) => {
    const answer = await admin("GET", `/audit${query}`, undefined, key);
    assert.equal(answer.status, 200, answer.text);
    return answer.json();
  };
  /** The entries with this action and subject, once there are `count`. */
  const entries = (action, subject, count = 1) =>
    until(async () => {
      const { data } = await page(`?action=${action}&limit=500`);
      const found = data.filter((entry) => entry.subject === subject);
      return found.length >= count && found;
    }, `the entry ${action} of ${subject}`);

  before(async () => {
    disk = await mkdtemp(join(tmpdir(), "llm-bridge-audit-"));
    gateway = await start();
  });
  after(async () => {
    await gateway.stop();
    await rm(disk, { recursive: true });
  });

  it("is empty at first, and reading it creates nothing", async () => {
    const { data, has_more, store } = await page();
    assert.deepEqual([data, has_more, store], [[], false, { entries: 0, max_entries: 50000, keep_days: 30 }]);
    assert.equal((await gateway.control()).rows.OPERATIONS.written, 0);
  });

  it("has what was changed, and survives the process", async () => {
    const made = await admin("POST", "/keys", { id: "a", name: "A" });
    assert.equal(made.status, 201, made.text);
    await entries("key.create", "a");
    assert.equal((await admin("PATCH", "/keys/a", { budget: { amount: "5", per: "day" } })).status, 200);
    const [edit] = await entries("key.edit", "a");
    assert.match(edit.actor, /^key_[0-9a-f]{12}$/);
    assert.deepEqual(edit.changes.map(({ field, from, to }) => [field, from, to])[0], ["budget.amount_nanos", null, 5e9]);
    await gateway.stop();
    gateway = await start();
    const { data, store } = await page();
    assert.deepEqual(data.map(({ action }) => action), ["key.edit", "key.create"]);
    assert.equal(store.entries, 2);
    assert.ok(!JSON.stringify(data).includes(made.json().key), "the text of a key is in the audit log");
    const { actor } = data[0];
    assert.deepEqual((await page(`?actor=${actor}&limit=1`)).data.map(({ action }) => action), ["key.edit"]);
    const { next_before } = await page("?limit=1");
    assert.deepEqual((await page(`?before=${next_before}`)).data.map(({ action }) => action), ["key.create"]);
    assert.deepEqual((await page("?actor=key_000000000000")).data, []);
    const now = (await gateway.control()).now;
    assert.deepEqual((await page(`?from=${new Date(now + DAY).toISOString()}`)).data, []);
    assert.equal((await page(`?to=${new Date(now + DAY).toISOString()}`)).data.length, 2);
  });

  it("costs one call and one row for each action", async () => {
    await page();
    const before = await gateway.control();
    await admin("POST", "/keys/a/disable");
    await entries("key.disable", "a");
    const written = (await gateway.control()).rows.OPERATIONS.written - before.rows.OPERATIONS.written;
    assert.equal(written, 1);
  });

  it("counts unknown keys without a call of an object", async () => {
    const before = await gateway.control();
    for (let sent = 0; sent < 20; sent++) assert.equal((await admin("POST", "/keys", {}, `unknown-${sent}`)).status, 401);
    assert.deepEqual((await gateway.control()).calls, before.calls);
    const { failed_sign_ins } = await page();
    assert.equal(failed_sign_ins[0].count, 20);
    assert.equal(failed_sign_ins[0].day, new Date(before.now).toISOString().slice(0, 10));
  });

  it("has refusals of a read-only key, which push out none of the changes", async () => {
    assert.equal((await admin("DELETE", "/keys/a", undefined, VIEWER)).status, 403);
    const [refused] = await entries("key.delete", "a");
    assert.deepEqual([refused.status, refused.changes], [403, []]);
    const before = (await page()).store.entries;
    const flood = async () => {
      for (let sent = 0; sent < 220; sent++) await admin("POST", "/keys", {}, VIEWER);
    };
    await Promise.all(Array.from({ length: 10 }, flood));
    await until(async () => (await page()).store.entries === before - 1 + 2_000, "as many refusals as are kept");
    assert.equal((await entries("key.edit", "a")).length, 1);
  });

  it("does not hold up an action while it is away, and its entry is in the log", async () => {
    await gateway.control({ away: { OPERATIONS: "fails" } });
    assert.equal((await admin("POST", "/keys/a/enable")).status, 200);
    const isLost = ({ event, entry }) => event === "audit_lost" && entry.action === "key.enable";
    const lost = await until(() => gateway.logs().find(isLost), "the lost entry in the log");
    assert.deepEqual(lost.entry.changes, [{ field: "enabled", from: false, to: true }]);
    const answer = await admin("GET", "/audit");
    assert.deepEqual([answer.status, answer.json().error.code], [503, "audit_log_unavailable"]);
    await gateway.control({ away: {} });
  });

  it("forgets entries after the configured days", async () => {
    await gateway.control({ advance: 31 * DAY });
    assert.deepEqual((await page()).data, []);
    for (let made = 0; made < 25; made++) await admin("POST", "/keys/a/rotate");
    await until(async () => (await page()).store.entries === 25, "the deletion of what has expired");
    assert.deepEqual(gateway.leaks(), [], "secrets in the log");
  });
});
