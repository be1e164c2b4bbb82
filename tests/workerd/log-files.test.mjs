// Log files on the built worker: lines survive the process, segments reach the bucket, and a bucket that fails
// touches no response.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { as, call, HELLO, until } from "./client.mjs";
import { startGateway } from "./harness.mjs";

const ADMIN = "admin-key-2718281828";
const KEY = "caller-key-3141592653";
const BINDINGS = { ADMIN_API_KEYS: ADMIN, ACCESS_API_KEYS: KEY };

const config = (file) => `
providers: { demo: { adapter: echo, models: { echo: {} } } }
logging: { output: { ${file} } }
`;

let asked = 0;

/** A chat, with an id of its own. */
async function chat(gateway, model = "demo/echo") {
  const id = `filed-${++asked}`;
  const answer = await call(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { ...as(KEY), "x-request-id": id },
    body: JSON.stringify({ model, messages: HELLO }),
  });
  return { id, status: answer.status };
}

async function logs(gateway, query = "") {
  const answer = await call(`${gateway.url}/admin/api/logs${query}`, { headers: as(ADMIN) });
  assert.equal(answer.status, 200, answer.text);
  return answer.json();
}

/** The lines of a request, once its end is there. */
const story = (gateway, id) =>
  until(async () => {
    const { data } = await logs(gateway, `?request_id=${id}`);
    return data.some(({ event }) => /complete|error/.test(event)) && data;
  }, `the lines of ${id}`);

/** A bucket behind HTTP. `fate` is what happens to requests: "fine", "refuses" or "hangs". */
async function startBucket() {
  const bucket = { stored: new Map(), fate: "fine", asked: 0 };
  const server = createServer(async (request, response) => {
    bucket.asked++;
    const key = decodeURIComponent(request.url.slice(1));
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    if (bucket.fate === "hangs") return;
    if (bucket.fate === "refuses") return response.writeHead(500).end();
    if (request.method === "PUT") bucket.stored.set(key, Buffer.concat(chunks).toString());
    if (request.method === "DELETE") bucket.stored.delete(key);
    if (request.method !== "GET") return response.writeHead(200).end();
    response.writeHead(bucket.stored.has(key) ? 200 : 404).end(bucket.stored.get(key));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  bucket.url = `http://127.0.0.1:${server.address().port}/`;
  bucket.stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return bucket;
}

describe("log files without a bucket", () => {
  let disk, gateway;
  const start = (file) => startGateway({ config: config(file), bindings: BINDINGS, disk });
  before(async () => {
    disk = await mkdtemp(join(tmpdir(), "llm-bridge-logs-"));
    gateway = await start("console: false, file: { path: logs }");
  });
  after(async () => {
    await gateway.stop();
    await rm(disk, { recursive: true });
  });

  it("have the lines of a request, also when the console has none", async () => {
    const { id, status } = await chat(gateway);
    assert.equal(status, 200);
    const lines = await story(gateway, id);
    assert.deepEqual(lines.map(({ event }) => event), ["request_start", "request_complete"]);
    assert.ok(lines.every(({ timestamp, request_id }) => Date.parse(timestamp) && request_id === id));
    assert.deepEqual(gateway.logs(), []);
  });

  it("are searched by level, time and number", async () => {
    const { id, status } = await chat(gateway, "demo/none");
    assert.equal(status, 404);
    await story(gateway, id);
    const warnings = await logs(gateway, "?level=warning");
    assert.deepEqual(warnings.data.map(({ request_id }) => request_id), [id]);
    const last = await logs(gateway, "?tail=1");
    assert.equal(last.data.length, 1);
    assert.equal(last.has_more, true);
    assert.deepEqual((await logs(gateway, "?from=2999-01-01")).data, []);
    const text = await call(`${gateway.url}/admin/api/logs?format=ndjson&tail=2`, { headers: as(ADMIN) });
    assert.equal(text.text.trim().split("\n").map((line) => JSON.parse(line)).length, 2);
  });

  it("survive the death of the process", async () => {
    const before = await logs(gateway);
    await gateway.stop();
    gateway = await start("file: { path: logs }");
    assert.deepEqual((await logs(gateway)).data, before.data);
  });

  it("keep the newest segments only", async () => {
    await gateway.stop();
    gateway = await start("file: { path: logs, max_size: 1000, backup_count: 2 }");
    let newest;
    for (let count = 0; count < 12; count++) newest = (await chat(gateway)).id;
    await story(gateway, newest);
    const { store } = await logs(gateway);
    assert.equal(store.segments, 3);
    assert.equal(store.has_bucket, false);
    assert.ok(store.bytes <= 3000 && store.bytes === store.object_bytes, JSON.stringify(store));
  });

  it("are closed to those without an admin key, and do not exist unless configured", async () => {
    const closed = await call(`${gateway.url}/admin/api/logs`, { headers: as(KEY) });
    assert.equal(closed.status, 401);
    await gateway.stop();
    gateway = await start("console: true");
    const none = await call(`${gateway.url}/admin/api/logs`, { headers: as(ADMIN) });
    assert.equal(none.status, 404);
    assert.equal(none.json().error.code, "log_files_disabled");
  });
});

describe("log files in a bucket", () => {
  let disk, bucket, gateway;
  const start = () =>
    startGateway({
      config: config("file: { path: logs, max_size: 1000, backup_count: 100 }"),
      bindings: { ...BINDINGS, BUCKET_URL: bucket.url },
      disk,
      entry: "log-bucket.mjs",
    });
  before(async () => {
    disk = await mkdtemp(join(tmpdir(), "llm-bridge-bucket-"));
    bucket = await startBucket();
    gateway = await start();
  });
  after(async () => {
    await gateway.stop();
    bucket.stop();
    await rm(disk, { recursive: true });
  });

  /** Waits until the object has only its open segment. */
  const emptied = () =>
    until(async () => {
      const { store } = await logs(gateway);
      return bucket.stored.size === store.segments - 1 && store;
    }, "all closed segments in the bucket");

  async function chats(count) {
    const ids = [];
    for (let at = 0; at < count; at++) {
      const { id, status } = await chat(gateway);
      assert.equal(status, 200);
      ids.push(id);
    }
    return ids;
  }

  it("are stored there once they are closed, and read across segments", async () => {
    const ids = await chats(10);
    await story(gateway, ids.at(-1));
    const store = await emptied();
    assert.equal(store.has_bucket, true);
    assert.ok(bucket.stored.size >= 3, String(bucket.stored.size));
    for (const [key, text] of bucket.stored) {
      assert.match(key, /^logs\/\d{4}-\d\d-\d\d\/\d{8}\.jsonl$/);
      assert.ok(text.length <= 1000);
      text.trim().split("\n").forEach((line) => JSON.parse(line));
    }
    const ended = (await logs(gateway, "?tail=1000")).data.filter(({ event }) => event === "request_complete");
    assert.deepEqual(ended.map(({ request_id }) => request_id), ids);
  });

  it("wait in the object while the bucket refuses, and no response does", async () => {
    bucket.fate = "refuses";
    const ids = await chats(10);
    const lines = await story(gateway, ids.at(-1));
    assert.equal(lines.length, 2);
    const { store } = await until(async () => {
      const read = await logs(gateway, "?tail=1");
      return read.store.bucket_failures > 0 && read;
    }, "a failure of the bucket");
    assert.ok(store.object_bytes > 1000);
    bucket.fate = "fine";
    await emptied();
  });

  it("survive a kill in the midst of it, whole and once", async () => {
    const seen = [];
    for (let round = 0; round < 4; round++) {
      const ids = await chats(8);
      await story(gateway, ids.at(-1));
      seen.push(...ids);
      await chats(3);
      await gateway.stop();
      gateway = await start();
    }
    await emptied();
    const { data } = await logs(gateway, "?tail=10000");
    const ends = data.filter(({ event }) => event === "request_complete").map(({ request_id }) => request_id);
    assert.equal(new Set(ends).size, ends.length, "no line is there twice");
    assert.deepEqual(seen.filter((id) => !ends.includes(id)), [], "what was readable before a kill is there after it");
    const inBucket = [...bucket.stored.keys()].sort();
    assert.equal(new Set(inBucket.map((key) => key.slice(-14))).size, inBucket.length, "each number is used once");
  });
});
