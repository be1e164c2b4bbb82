// Data that an earlier build wrote opens under the present one: every key, limit, receipt, sum, reservation,
// session, stored reasoning state and place of an object is still there, as the public APIs see it. `node tests/stored/make.mjs`
// makes the data anew.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { closeAll, openSession } from "../workerd/socket.mjs";
import { load } from "./disk.mjs";
import { DAY, look, RESERVED, secondTurn, startScene } from "./scene.mjs";

const FOLDER = fileURLToPath(new URL("../fixtures/stored", import.meta.url));
const skip = existsSync(FOLDER) ? false : "there is no stored data yet: `node tests/stored/make.mjs` makes it";
const options = { skip };

let facts;
let scene;
let disk;

before(async () => {
  if (skip) return;
  facts = JSON.parse(readFileSync(join(FOLDER, "facts.json")));
  disk = await mkdtemp(join(tmpdir(), "llm-bridge-stored-"));
  load(FOLDER, disk);
  scene = await startScene({ disk, at: facts.at, place: "AMS NL" });
  // The reservation ends by itself if nobody renews it.
  await scene.gateway.control({ speed: 0.05 });
});

after(async () => {
  closeAll();
  await scene?.stop();
  if (disk) await rm(disk, { recursive: true });
});

/** Asserts that `found` contains all of `wanted`. New fields may be added. */
function expectWithin(found, wanted, path) {
  if (wanted === null || typeof wanted !== "object") return assert.deepEqual(found, wanted, path);
  assert.ok(found && typeof found === "object", `${path} is gone`);
  if (Array.isArray(wanted)) assert.equal(found.length, wanted.length, `the length of ${path}`);
  for (const [key, value] of Object.entries(wanted)) expectWithin(found[key], value, `${path}.${key}`);
}

// Runs first, before other tests spend money.
test("keys, limits, receipts and sums are as they were", options, async () => {
  const ids = Object.keys(facts.texts);
  const seen = await look(scene, ids);
  expectWithin(seen.keys, facts.seen.keys, "keys");
  for (const id of ids) {
    expectWithin(seen.receipts[id], facts.seen.receipts[id], `receipts of ${id}`);
    expectWithin(seen.usage[id], facts.seen.usage[id], `usage of ${id}`);
  }
  assert.ok(facts.seen.receipts.plain.length > 10, "the fixture has receipts");
});

test("a reservation that was open is open still", options, async () => {
  const answer = await scene.chat(facts.texts.reserved, "openai/gpt-4o", RESERVED);
  assert.equal(answer.status, 429, answer.text);
  assert.equal(answer.json().error.code, "insufficient_quota");
  await scene.gateway.control({ speed: 1 });
});

test("each key's text is as good as it was", options, async () => {
  const status = async (text) => (await scene.chat(text, "openai/gpt-4o", { max_tokens: 10 })).status;
  for (const [id, text] of Object.entries(facts.texts)) {
    const wanted = { disabled: 401, removed: 401 }[id] ?? 200;
    assert.equal(await status(text), wanted, id);
  }
  assert.equal(await status(facts.old), 401, "the text that was rotated away");
});

test("limits hold as they did", options, async () => {
  const long = { user: "u".repeat(5000) };
  assert.equal((await scene.chat(facts.texts.limited, "openai/gpt-4o", long)).status, 413);
  assert.equal((await scene.chat(facts.texts.described, "anthropic/claude-haiku-4-5")).status, 403);
});

test("a lost session is taken up where it was", options, async () => {
  const { id, after, frames } = facts.session;
  const socket = await openSession(scene.gateway.url, { key: facts.texts.plain, query: `?session=${id}&after=${after}` });
  assert.equal(socket.session.resumed, true);
  await socket.until(({ type }) => type === "done", "the end of the answer");
  assert.deepEqual(socket.frames.slice(1), frames);
  socket.close(1000);
});

test("what providers want back is put back", options, async () => {
  assert.equal(facts.vault.length, 2);
  for (const { model, call, sent } of facts.vault) {
    assert.match(JSON.stringify(sent), /signature/i, "the fixture has a signature");
    const before = scene.seen.length;
    await scene.chat(facts.texts.plain, model, secondTurn(call));
    assert.deepEqual(scene.seen[before].body, sent, model);
  }
});

// Runs last: it sets the clock forward.
test("an object in a region knows where it is, for a day", options, async () => {
  const where = async () => {
    assert.equal((await scene.chat(facts.texts.plain, "far/gpt-4o", { max_tokens: 10 })).status, 200);
    const { data } = await scene.office.order("GET", "/egress");
    return data.find(({ provider }) => provider === "far").objects.map(({ number, place }) => ({ number, place }));
  };
  const asked = scene.traced();
  assert.deepEqual(await where(), [{ number: 0, place: { country: "US", data_center: "SJC" } }]);
  // The isolate itself asks for the list of ways, too.
  assert.equal(scene.traced(), asked + 1, "the object has not asked");
  await scene.advance(DAY + 60_000);
  assert.deepEqual(await where(), [{ number: 0, place: { country: "NL", data_center: "AMS" } }]);
});
