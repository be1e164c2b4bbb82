// How `llm-bridge serve` ends and begins again: a clean stop, a crash, two processes on one directory, a backup, and
// data of an earlier build.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { load } from "../stored/disk.mjs";
import { FIXED, look } from "../stored/scene.mjs";
import { call, chatRequest, HELLO, open, soon, until } from "../workerd/client.mjs";
import { startFake } from "../workerd/fake-openai.mjs";
import { ADMIN_KEY } from "../workerd/office.mjs";
import { openSession } from "../workerd/socket.mjs";
import { configuration, file, folder, KEY, run, serve } from "./serve.mjs";

let fake;
let config;
before(async () => {
  fake = await startFake();
  config = file("c.yaml", configuration(fake.origin));
});
after(() => fake.stop());

const url = (gateway, path = "/v1/chat/completions") => gateway.url + path;
const body = (key, model, fields = {}) => chatRequest(key, { model, messages: HELLO, ...fields });
const chat = (gateway, key, model, fields) => call(url(gateway), body(key, model, fields));

/** Starts the gateway again on the same data, and returns the receipts of a key. */
async function receiptsAfter({ data }, id) {
  const again = await serve({ config, data });
  const receipts = await again.office.receipts(id);
  await again.stop();
  return receipts;
}

/** Nothing is cut before a test ends it, however long the machine takes. */
const PATIENT = ["--stop-streams", "3600"];

test("no receipt is lost by SIGTERM right after the last response", async () => {
  const gateway = await serve({ config, words: PATIENT });
  const keys = { plain: await gateway.office.key("plain"), limited: await gateway.office.key("limited", { budget: { amount: "1", per: "total" } }) };
  const answers = { plain: 0, limited: 0 };
  await Promise.all(Object.entries(keys).flatMap(([id, key]) => Array.from({ length: 15 }, async (_, index) => {
    const { status } = await chat(gateway, key, "fake/ok", { stream: index % 2 === 1 });
    if (status === 200) answers[id]++;
  })));
  assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  assert.deepEqual(answers, { plain: 15, limited: 15 });
  for (const id of Object.keys(keys)) assert.equal((await receiptsAfter(gateway, id)).length, 15, id);
});

test("while it stops it is not ready, refuses in the caller's format, and lets a stream end", async () => {
  const gateway = await serve({ config, words: PATIENT });
  const key = await gateway.office.key("plain");
  const held = fake.hold("slow");
  const answering = open(url(gateway), body(key, "fake/slow", { stream: true }));
  const exchange = await held;
  assert.equal((await call(url(gateway, "/ready"))).status, 200);
  const stopping = gateway.stop();
  await gateway.seen("serve_stopping");
  assert.deepEqual((await call(url(gateway, "/ready"))).status, 503);
  const refused = await call(url(gateway), body(KEY, "demo/echo"));
  assert.deepEqual([refused.status, refused.headers["retry-after"], refused.json().error.code], [503, "2", "gateway_stopping"]);
  assert.equal((await call(url(gateway, "/v1/messages"), { method: "POST", body: "{}" })).json().error.type, "overloaded_error");
  assert.equal((await call(url(gateway, "/v1beta/models/x:generateContent"), { method: "POST", body: "{}" })).json().error.status, "UNAVAILABLE");
  await fake.behaviour("ok")(exchange);
  const answer = await answering;
  assert.equal(answer.status, 200);
  assert.match((await answer.rest()).toString(), /\[DONE\]\s*$/);
  assert.deepEqual(await stopping, { code: 0, signal: null });
  const [receipt] = await receiptsAfter(gateway, "plain");
  assert.equal(receipt.outcome, "complete");
});

test("an open WebSocket does not hold up a stop, and what it asked has its receipt", async () => {
  const gateway = await serve({ config, words: PATIENT });
  const key = await gateway.office.key("plain");
  const socket = await openSession(gateway.url, { key });
  socket.chat({ model: "fake/ok", stream: true }, { id: "t" });
  assert.equal((await socket.answer("t")).at(-1).type, "done");
  // workerd alone would run for as long as the client stays.
  assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  assert.ok(!gateway.events().some(({ event, level }) => event === "serve_stopped" && level === "error"));
  assert.equal((await receiptsAfter(gateway, "plain")).length, 1);
});

test("what does not end in time is cut, and has a receipt; a second signal cuts at once", async () => {
  const gateway = await serve({ config, words: PATIENT });
  const key = await gateway.office.key("plain");
  const held = fake.hold("endless");
  const answering = open(url(gateway), body(key, "fake/endless", { stream: true }));
  await held;
  gateway.child.kill("SIGTERM");
  await gateway.seen("serve_stopping");
  const ended = gateway.stop();
  await answering.then((answer) => answer.rest()).catch(() => {});
  assert.deepEqual(await ended, { code: 0, signal: null });
  assert.equal((await gateway.seen("serve_stopped")).message, "Stopped.");
  assert.equal((await receiptsAfter(gateway, "plain")).length, 1);
});

test("a killed process leaves data that open again, with all that had arrived", async () => {
  const gateway = await serve({ config });
  const key = await gateway.office.key("limited", { budget: { amount: "1", per: "total" } });
  for (let index = 0; index < 3; index++) assert.equal((await chat(gateway, key, "fake/ok")).status, 200);
  await until(async () => (await gateway.office.receipts("limited")).length === 3, "the receipts");
  await gateway.crash();
  const again = await serve({ config, data: gateway.data });
  assert.equal((await again.office.receipts("limited")).length, 3);
  assert.equal((await chat(again, key, "fake/ok")).status, 200);
  await again.stop();
});

test("two processes never share a directory, not even with a workerd that lost its launcher", async () => {
  const gateway = await serve({ config });
  const second = () => run(["serve", "--config", config, "--data", gateway.data, "--listen", "http://127.0.0.1:0"]);
  const refused = await second();
  assert.equal(refused.code, 2, refused.text);
  assert.match(refused.text, new RegExp(`is in use by process ${gateway.child.pid} \\(its workerd is ${gateway.workerd}\\)`));
  gateway.child.kill("SIGKILL");
  await until(() => gateway.child.signalCode, "the end of the launcher");
  assert.equal((await call(url(gateway, "/ready"))).status, 200, "workerd lives on");
  assert.equal((await second()).code, 2);
  await gateway.crash();
  const again = await serve({ config, data: gateway.data });
  await again.stop();
});

test("a workerd that ends by itself ends the launcher, with a status that a service manager sees", async () => {
  const gateway = await serve({ config });
  process.kill(gateway.workerd, "SIGKILL");
  assert.deepEqual(await soon(gateway.exited, "the end of the launcher"), { code: 1, signal: null });
  assert.match((await gateway.seen("serve_failed")).message, /SIGKILL/);
});

test("a backup of a running gateway is restored elsewhere", async () => {
  const gateway = await serve({ config });
  const key = await gateway.office.key("limited", { budget: { amount: "1", per: "total" } });
  for (let index = 0; index < 3; index++) await chat(gateway, key, "fake/ok");
  await until(async () => (await gateway.office.receipts("limited")).length === 3, "the receipts");
  const to = join(folder(), "backup");
  const copied = await run(["backup", "--data", gateway.data, to]);
  assert.equal(copied.code, 0, copied.text);
  assert.equal((await chat(gateway, key, "fake/ok")).status, 200, "it goes on");
  assert.match((await run(["backup", "--data", gateway.data, to])).text, /is not empty/);
  assert.match((await run(["restore", "--data", gateway.data, to])).text, /is in use/);
  await gateway.stop();
  assert.match((await run(["restore", "--data", gateway.data, to])).text, /is not empty/);
  assert.match((await run(["backup", "--data", folder(), to])).text, /holds no data/);

  const data = join(folder(), "new");
  assert.equal((await run(["restore", "--data", data, to])).code, 0);
  const again = await serve({ config, data });
  assert.equal((await again.office.receipts("limited")).length, 3, "as it was when it was copied");
  assert.equal((await chat(again, key, "fake/ok")).status, 200, "the key is as good as it was");
  await again.stop();
});

test("data of an earlier build open under the present one", async () => {
  const stored = fileURLToPath(new URL("../fixtures/stored", import.meta.url));
  const facts = JSON.parse(readFileSync(join(stored, "facts.json")));
  const data = join(folder(), "data");
  load(stored, data);
  // The clock of the fixture is long past.
  const long = file("c.yaml", configuration(fake.origin, "accounting: { keep_receipts_days: 3650, keep_usage_days: 3650 }\n"));
  const gateway = await serve({ config: long, data, env: { ACCESS_API_KEYS: FIXED, ADMIN_API_KEYS: ADMIN_KEY, FAKE_API_KEY: "x" } });
  const ids = Object.keys(facts.texts).filter((id) => id !== "reserved");
  const seen = await look(gateway, ids);
  assert.deepEqual(seen.keys.map(({ id }) => id), facts.seen.keys.map(({ id }) => id));
  for (const id of ids) {
    assert.deepEqual(seen.receipts[id].map(({ request_id, cost }) => [request_id, cost]), facts.seen.receipts[id].map(({ request_id, cost }) => [request_id, cost]), id);
    assert.deepEqual(seen.usage[id].map(({ requests, cost }) => [requests, cost]), facts.seen.usage[id].map(({ requests, cost }) => [requests, cost]), id);
  }
  assert.ok(seen.receipts.plain.length > 10);
  assert.equal((await chat(gateway, facts.texts.plain, "fake/ok")).status, 200, "the key is as good as it was");
  assert.equal((await chat(gateway, facts.old, "fake/ok")).status, 401, "the one that was rotated away");
  await gateway.stop();
});
