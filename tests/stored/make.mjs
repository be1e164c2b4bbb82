// Makes the fixture of stored data with the present build: keys of every kind, days of receipts, an open
// reservation, a lost session, entries of the reasoning store, the place of an object in a region; and records
// what the public APIs say about them. `node tests/stored/make.mjs [FOLDER]`

import assert from "node:assert/strict";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { closeAll, openSession, startWire } from "../workerd/socket.mjs";
import { dump } from "./disk.mjs";
import { DAY, FIRST_TURN, FIXED, look, RESERVED, secondTurn, startScene } from "./scene.mjs";

/**
 * A Tuesday. The days after it lie in two weeks, because receipts have a table per week, and in two months.
 */
const BEGIN = Date.parse("2026-09-29T10:00:00Z");

const KEYS = {
  plain: {},
  described: { name: "Described", owner: "ann", metadata: { team: "a", cost_centre: "12" }, models: ["openai/*", "demo/*"], expires_at: "2030-01-31T00:00:00Z" },
  limited: { requests_per_minute: 60, tokens_per_minute: 100_000, concurrent_requests: 5, max_body_bytes: 4000 },
  daily: { budget: { amount: "1.00", per: "day" } },
  weekly: { budget: { amount: "1.00", per: "week" } },
  monthly: { budget: { amount: "1.00", per: "month" } },
  reserved: { budget: { amount: "0.0100", per: "total" } },
  team: { budget: { amount: "2.00", per: "month" }, requests_per_minute: 100 },
  member: { parent: "team" },
  disabled: { enabled: false },
  rotated: {},
  removed: {},
};
const SPENDERS = ["plain", "described", "limited", "daily", "weekly", "monthly", "member", "rotated", "removed"];

async function spend(scene, texts) {
  for (const id of SPENDERS) {
    for (const [model, fields] of [["openai/gpt-4o", {}], ["openai/uncounted", { stream: true }], ["openai/busy", {}]]) await scene.chat(texts[id], model, fields);
  }
  await scene.chat(texts.plain, "anthropic/claude-haiku-4-5", { stream: true });
  await scene.chat(texts.plain, "gemini/gemini-2.5-flash");
  await scene.chat(FIXED, "openai/gpt-4o");
}

/** A first turn whose tool call comes with reasoning state, which is stored from then on. */
async function remember(scene, key, model) {
  const answer = await scene.chat(key, model, FIRST_TURN);
  const toolCall = answer.json().choices[0].message.tool_calls[0];
  const before = scene.seen.length;
  await scene.chat(key, model, secondTurn(toolCall));
  return { model, call: toolCall, sent: scene.seen[before].body };
}

/** A session that is lost with frames that did not arrive. */
async function loseSession(scene, key, disk) {
  const wire = await startWire(scene.gateway.port);
  const socket = await openSession(wire.url, { key });
  socket.chat({ model: "openai/gpt-4o", stream: true }, { id: "a" });
  await socket.until(({ type }) => type === "done", "the answer");
  socket.send({ type: "ack", seq: 2 });
  await socket.until(({ seq }) => seq === 2);
  wire.cut();
  await socket.end();
  // It is stored as soon as the loss is noticed.
  await until(() => hasRows(join(disk, "Session"), "session"), "the session to be written down");
  await wire.stop();
  return { id: socket.session.id, frames: socket.frames.filter(({ seq }) => seq > 2), after: 2 };
}

/** Whether an object of this class has rows in a table. */
function hasRows(folder, table) {
  return readdirSync(folder).filter((file) => file.endsWith(".sqlite")).some((file) => {
    const database = new DatabaseSync(join(folder, file), { readOnly: true });
    try {
      return database.prepare(`SELECT count(*) AS n FROM ${table}`).get().n > 0;
    } catch {
      return false;
    } finally {
      database.close();
    }
  });
}

async function until(done, what) {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; await sleep(50)) if (done()) return;
  throw new Error(`waited in vain for ${what}`);
}

async function make() {
  const disk = await mkdtemp(join(tmpdir(), "llm-bridge-disk-"));
  const scene = await startScene({ disk, at: BEGIN });
  try {
    const texts = {};
    for (const [id, terms] of Object.entries(KEYS)) texts[id] = await scene.office.key(id, terms);
    const old = texts.rotated;
    for (const days of [1, 3, 4]) {
      await spend(scene, texts);
      await scene.advance(days * DAY);
    }
    texts.rotated = (await scene.office.order("POST", "/keys/rotated/rotate")).key;
    await scene.office.order("DELETE", "/keys/removed");
    await scene.chat(texts.plain, "openai/gpt-4o");
    const vault = [await remember(scene, texts.plain, "gemini/gemini-call"), await remember(scene, texts.plain, "anthropic/claude-call")];
    const session = await loseSession(scene, texts.plain, disk);
    // An object in a region learns where it is.
    assert.equal((await scene.chat(texts.plain, "far/gpt-4o")).status, 200);
    // It is never settled: the gateway is killed while it is running.
    scene.chat(texts.reserved, "openai/silent", RESERVED).catch(() => {});
    await until(() => scene.seen.some(({ body }) => body.model === "silent"), "the request to be under way");
    assert.equal((await scene.chat(texts.reserved, "openai/gpt-4o", RESERVED)).status, 429);
    // Receipts of keys without limits are collected for a moment.
    await sleep(500);
    const seen = await look(scene, Object.keys(KEYS));
    const at = await scene.advance(0);
    return { disk, facts: { at, texts, old, vault, session, seen } };
  } finally {
    closeAll();
    await scene.stop();
  }
}

/** JSON with one line per row of a list. */
function lines(value) {
  const write = (open, close, items) => (items.length ? `${open}\n${items.join(",\n")}\n${close}` : open + close);
  if (Array.isArray(value)) return write("[", "]", value.map((row) => JSON.stringify(row)));
  if (typeof value !== "object") return JSON.stringify(value);
  return write("{", "}", Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${lines(item)}`));
}

const folder = process.argv[2] ?? fileURLToPath(new URL("../fixtures/stored", import.meta.url));
const { disk, facts } = await make();
rmSync(folder, { recursive: true, force: true });
dump(disk, folder);
rmSync(disk, { recursive: true });
writeFileSync(join(folder, "facts.json"), `${lines(facts)}\n`);
console.log(`The stored data of ${Object.keys(KEYS).length} keys stands in ${folder}.`);
process.exit(0);
