// Log files on the built worker, without a bucket: lines survive the process, and are searched.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { as, call } from "./client.mjs";
import { ADMIN, KEY, LogStage } from "./log-stage.mjs";

describe("log files without a bucket", () => {
  let stage;
  before(async () => {
    stage = await LogStage.start("console: false, file: { path: logs }");
  });
  after(() => stage.stop());

  it("have the lines of a request, also when the console has none", async () => {
    const { id, status } = await stage.chat();
    assert.equal(status, 200);
    const lines = await stage.story(id);
    assert.deepEqual(lines.map(({ event }) => event), ["request_start", "request_complete"]);
    assert.ok(lines.every(({ timestamp, request_id }) => Date.parse(timestamp) && request_id === id));
    assert.deepEqual(stage.gateway.logs(), []);
  });

  it("are searched by level, time and number", async () => {
    const { id, status } = await stage.chat("demo/none");
    assert.equal(status, 404);
    await stage.story(id);
    const warnings = await stage.logs("?level=warning");
    assert.deepEqual(warnings.data.map(({ request_id }) => request_id), [id]);
    const last = await stage.logs("?tail=1");
    assert.equal(last.data.length, 1);
    assert.equal(last.has_more, true);
    assert.deepEqual((await stage.logs("?from=2999-01-01")).data, []);
    const text = await call(`${stage.gateway.url}/admin/api/logs?format=ndjson&tail=2`, { headers: as(ADMIN) });
    assert.equal(text.text.trim().split("\n").map((line) => JSON.parse(line)).length, 2);
  });

  it("survive the death of the process", async () => {
    const before = await stage.logs();
    await stage.restart("file: { path: logs }");
    assert.deepEqual((await stage.logs()).data, before.data);
  });

  it("keep the newest segments only, and say how full they are", async () => {
    await stage.restart("file: { path: logs, max_size: 1000, backup_count: 2 }");
    await stage.story((await stage.chats(12)).at(-1));
    const { store } = await stage.logs();
    assert.equal(store.segments, 3);
    assert.equal(store.has_bucket, false);
    assert.equal(store.capacity, 3000);
    assert.ok(store.bytes <= store.capacity && store.bytes === store.object_bytes, JSON.stringify(store));
  });

  it("are closed to those without an admin key, and do not exist unless configured", async () => {
    const closed = await call(`${stage.gateway.url}/admin/api/logs`, { headers: as(KEY) });
    assert.equal(closed.status, 401);
    await stage.restart("console: true");
    const none = await call(`${stage.gateway.url}/admin/api/logs`, { headers: as(ADMIN) });
    assert.equal(none.status, 404);
    assert.equal(none.json().error.code, "log_files_disabled");
  });
});
