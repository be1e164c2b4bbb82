// Keys managed through the admin API of the built worker: a change is known to every isolate, survives a
// restart, and takes effect in time.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { as, call, chatRequest, HELLO, until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { startGateway, STILL } from "./harness.mjs";

const CONFIG = "providers: { demo: { adapter: echo, models: { echo: {}, other: {} } } }";
const ACCESS = "caller-key-3141592653";
const ADMIN = "admin-key-2718281828";
const BINDINGS = { ACCESS_API_KEYS: ACCESS, ADMIN_API_KEYS: ADMIN };
/** The time after which a change of a key is in effect everywhere. */
const EFFECT_MS = 5000;

/** Calls the admin API; `body` is an object. */
function admin(gateway, method, path, body) {
  return call(`${gateway.url}/admin/api${path}`, { method, headers: as(ADMIN), body: body && JSON.stringify(body) });
}

/** Calls the admin API, asserts success, and returns the parsed response. */
async function done(...request) {
  const answer = await admin(...request);
  assert.ok(answer.status < 300, `${answer.status} ${answer.text}`);
  return answer.json();
}

async function chat(gateway, key, fields = {}) {
  return call(`${gateway.url}/v1/chat/completions`, chatRequest(key, { model: "demo/echo", messages: HELLO, ...fields }));
}

/** The result of `look` once `good` accepts it. */
async function eventually(look, good) {
  return until(async () => {
    const found = await look();
    return good(found) && found;
  }, "what was asked for");
}

const status = (gateway, key) => chat(gateway, key).then((answer) => answer.status);

/** Asserts the response to a key after a change of it has taken effect. */
async function expectEffect(gateway, key, wanted) {
  await gateway.control({ advance: EFFECT_MS });
  assert.equal(await status(gateway, key), wanted);
}

describe("the admin API", () => {
  let gateway;
  before(async () => {
    gateway = await startGateway({ config: CONFIG, bindings: BINDINGS, entry: "production.mjs" });
  });
  after(async () => {
    await gateway.stop();
    assert.deepEqual(gateway.leaks(), []);
    assert.ok(!gateway.lines.some((line) => line.includes("sk-lb-")), "a key in the log");
    assert.deepEqual(gateway.lines.filter((line) => /panicked/.test(line)), []);
  });

  it("makes a key that works at once, and shows it once", async () => {
    const made = await done(gateway, "POST", "/keys", { id: "first", name: "First" });
    assert.match(made.key, /^sk-lb-first-1[A-Za-z0-9]{62}$/);
    const answer = await chat(gateway, made.key);
    assert.equal(answer.status, 200, answer.text);
    const shown = await done(gateway, "GET", "/keys/first");
    assert.equal(shown.status, "active");
    assert.equal(shown.hint, made.key.slice(-4));
    assert.ok(!("key" in shown) && !JSON.stringify(shown).includes(made.key));
  });

  it("makes ids and secrets that differ", async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => done(gateway, "POST", "/keys", {})));
    assert.equal(new Set(made.map(({ id }) => id)).size, 20);
    assert.equal(new Set(made.map(({ key }) => key.slice(-40))).size, 20);
  });

  it("makes one key of many like wishes at once", async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => admin(gateway, "POST", "/keys", { id: "race", name: "R" })));
    const made = answers.filter(({ status }) => status === 201).map((answer) => answer.json().key);
    for (const answer of answers) assert.ok([200, 201, 409].includes(answer.status), answer.text);
    const working = await Promise.all(made.map((key) => chat(gateway, key)));
    assert.ok(made.length <= 1 && working.every(({ status }) => status === 200), JSON.stringify(answers.map(({ status }) => status)));
    assert.equal((await done(gateway, "GET", "/keys/race")).id, "race");
  });

  it("lets edits take effect within five seconds, in any order they came", async () => {
    const { key } = await done(gateway, "POST", "/keys", { id: "edited" });
    assert.equal(await status(gateway, key), 200);
    await done(gateway, "POST", "/keys/edited/disable");
    await expectEffect(gateway, key, 401);
    await done(gateway, "POST", "/keys/edited/enable");
    await expectEffect(gateway, key, 200);
    await done(gateway, "PATCH", "/keys/edited", { models: ["demo/other"] });
    await expectEffect(gateway, key, 403);
    await done(gateway, "PATCH", "/keys/edited", { models: null });
    const rotated = await done(gateway, "POST", "/keys/edited/rotate");
    await expectEffect(gateway, key, 401);
    assert.equal(await status(gateway, rotated.key), 200);
    await Promise.all([true, false, true, false, true].map((enabled) => done(gateway, "PATCH", "/keys/edited", { enabled })));
    const { enabled } = await done(gateway, "GET", "/keys/edited");
    await expectEffect(gateway, rotated.key, enabled ? 200 : 401);
    await done(gateway, "DELETE", "/keys/edited");
    await expectEffect(gateway, rotated.key, 401);
    expectError(await admin(gateway, "GET", "/keys/edited"), { status: 404, code: "key_not_found" });
  });

  it("counts what keys of all kinds used", async () => {
    const { key } = await done(gateway, "POST", "/keys", { id: "counted", requests_per_minute: 3 });
    // The minute does not pass.
    await gateway.control({ speed: STILL });
    for (const model of ["demo/echo", "demo/other", "demo/echo"]) assert.equal((await chat(gateway, key, { model })).status, 200);
    expectError(await chat(gateway, key), { status: 429 });
    await gateway.control({ speed: 1 });
    assert.equal((await chat(gateway, ACCESS)).status, 200);
    const usage = await eventually(() => done(gateway, "GET", "/usage?key=counted&group_by=model"), ({ totals }) => totals.requests === 3);
    assert.deepEqual(usage.data.map(({ model, requests }) => [model, requests]), [["echo", 2], ["other", 1]]);
    const receipts = await done(gateway, "GET", "/keys/counted/receipts?limit=2");
    assert.deepEqual(
      { length: receipts.data.length, has_more: receipts.has_more, key_id: receipts.data[0].key_id },
      { length: 2, has_more: true, key_id: "vk_counted" },
    );
    const rest = await done(gateway, "GET", `/keys/counted/receipts?before=${receipts.next_before}`);
    assert.deepEqual({ length: rest.data.length, has_more: rest.has_more }, { length: 1, has_more: false });
    const all = await eventually(() => done(gateway, "GET", "/usage?group_by=key"), ({ data }) => data.some(({ key_id }) => key_id.startsWith("key_")));
    assert.equal(all.data.find(({ key_id }) => key_id === "vk_counted").requests, 3);
    const own = await call(`${gateway.url}/v1/usage?group_by=`, { headers: as(key) });
    assert.equal(own.json().totals.requests, 3);
  });

  it("gives receipts and sums as files", async () => {
    const { key } = await done(gateway, "POST", "/keys", { id: "filed" });
    for (let i = 0; i < 3; i++) await chat(gateway, key);
    await eventually(() => done(gateway, "GET", "/keys/filed/receipts"), ({ data }) => data.length === 3);
    const csv = await admin(gateway, "GET", "/export/receipts?key=filed&format=csv&limit=2");
    assert.match(csv.headers["content-type"], /^text\/csv/);
    assert.equal(csv.text.split("\r\n").length, 4);
    const rest = await admin(gateway, "GET", `/export/receipts?key=filed&before=${csv.headers["x-next-before"]}`);
    assert.deepEqual(rest.text.trim().split("\n").map((line) => JSON.parse(line).number), [1]);
    const usage = await admin(gateway, "GET", "/export/usage?key=filed&format=csv");
    assert.match(usage.text, /^key_id,provider,model,day,requests,[^]*\r\nvk_filed,demo,echo,\d{4}-\d{2}-\d{2},3,0,/);
  });

  it("answers HEAD, and tells its methods without a key", async () => {
    const head = await admin(gateway, "HEAD", "/keys");
    assert.deepEqual(
      { status: head.status, text: head.text, "cache-control": head.headers["cache-control"] },
      { status: 200, text: "", "cache-control": "no-store" },
    );
    const options = await call(`${gateway.url}/admin/api/keys/first`, { method: "OPTIONS" });
    assert.deepEqual({ status: options.status, allow: options.headers.allow }, { status: 204, allow: "GET, HEAD, PATCH, DELETE, OPTIONS" });
    assert.equal(options.headers["access-control-allow-origin"], undefined);
    assert.equal((await done(gateway, "GET", "/openapi.json")).openapi, "3.1.0");
  });

  it("lets nobody in but admins", async () => {
    const { key } = await done(gateway, "POST", "/keys", {});
    for (const stranger of [ACCESS, key, "", `${ADMIN}x`]) {
      const answer = await call(`${gateway.url}/admin/api/keys`, { headers: as(stranger) });
      expectError(answer, { status: 401, code: "invalid_api_key" });
    }
    expectError(await chat(gateway, ADMIN), { status: 401, code: "invalid_api_key" });
  });

  for (const [what, body] of [
    ["nothing", ""],
    ["half an object", '{"name":'],
    ["a depth of brackets", `{"metadata":${"[".repeat(5000)}`],
    ["a flood of members", JSON.stringify({ metadata: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, "x"])) })],
    ["bytes that are no text", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ["numbers beyond all bounds", '{"requests_per_minute":1e999}'],
    ["a negative budget", '{"budget":{"amount":"-5","per":"day"}}'],
  ]) {
    it(`refuses ${what}, and lives on`, async () => {
      const answer = await call(`${gateway.url}/admin/api/keys`, { method: "POST", headers: as(ADMIN), body });
      assert.equal(expectError(answer, { status: 400 }).type, "invalid_request_error");
      assert.equal((await admin(gateway, "GET", "/keys?limit=1")).status, 200);
    });
  }
});

describe("a gateway that is started anew", () => {
  it("knows its keys and what they used", async () => {
    const disk = await mkdtemp(join(tmpdir(), "llm-bridge-disk-"));
    try {
      const first = await startGateway({ config: CONFIG, bindings: BINDINGS, disk });
      const team = await done(first, "POST", "/keys", { id: "team", requests_per_minute: 100 });
      const kid = await done(first, "POST", "/keys", { id: "kid", parent: "team" });
      await done(first, "POST", "/keys", { id: "gone" });
      await done(first, "DELETE", "/keys/gone");
      assert.equal((await chat(first, kid.key)).status, 200);
      await eventually(() => done(first, "GET", "/keys/kid/receipts"), ({ data }) => data.length === 1);
      await first.stop();

      const second = await startGateway({ config: CONFIG, bindings: BINDINGS, disk });
      try {
        const { data } = await done(second, "GET", "/keys");
        assert.deepEqual(data.map(({ id, parent, status }) => [id, parent, status]), [["team", null, "active"], ["kid", "team", "active"]]);
        for (const key of [team.key, kid.key]) assert.equal((await chat(second, key)).status, 200);
        expectError(await admin(second, "DELETE", "/keys/team"), { status: 409, code: "key_has_members" });
        await eventually(() => done(second, "GET", "/usage?key=kid"), ({ totals }) => totals.requests === 2);
        const receipts = await eventually(() => done(second, "GET", "/keys/team/receipts"), ({ data }) => data.length === 3);
        assert.deepEqual(receipts.data.map(({ key_id }) => key_id).sort(), ["vk_kid", "vk_kid", "vk_team"]);
      } finally {
        await second.stop();
      }
    } finally {
      await rm(disk, { recursive: true });
    }
  });
});

describe("a gateway without admin keys", () => {
  it("keeps its admin API closed, and says how to open it", async () => {
    const gateway = await startGateway({ config: CONFIG, bindings: { ACCESS_API_KEYS: ACCESS } });
    try {
      for (const key of [ACCESS, ""]) {
        const answer = await call(`${gateway.url}/admin/api/keys`, { headers: as(key) });
        expectError(answer, { status: 401, code: "invalid_api_key", says: /ADMIN_API_KEYS/ });
      }
    } finally {
      await gateway.stop();
    }
  });
});
