// A stored record that cannot be read is an error that names it. If it were skipped, a key or its limits
// would be lost.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "../workerd/client.mjs";
import { closeAll, NAMED, openSocket } from "../workerd/socket.mjs";
import { load } from "./disk.mjs";
import { startScene } from "./scene.mjs";

const FOLDER = fileURLToPath(new URL("../fixtures/stored", import.meta.url));
const facts = JSON.parse(readFileSync(join(FOLDER, "facts.json")));

/** The stored data with `statement` run in every object of a class, and a gateway on it. */
async function startSpoilt(t, kind, statement) {
  const disk = await mkdtemp(join(tmpdir(), "llm-bridge-unreadable-"));
  t.after(() => rm(disk, { recursive: true }));
  load(FOLDER, disk);
  for (const file of readdirSync(join(disk, kind)).filter((name) => name.endsWith(".sqlite"))) {
    const database = new DatabaseSync(join(disk, kind, file));
    database.exec(statement);
    database.close();
  }
  const scene = await startScene({ disk, at: facts.at });
  t.after(() => scene.stop());
  return scene;
}

async function expectNamed(scene, answer, record) {
  assert.equal(answer.status, 503, answer.text);
  const named = () => scene.gateway.logs().some(({ event, error }) => event === "object_failed" && error.includes(record));
  await until(named, `a log event that names ${record}`);
}

test("a key that cannot be read is named", async (t) => {
  const scene = await startSpoilt(t, "Directory", `UPDATE keys SET record = replace(record, '"hash"', '"hsah"') WHERE number = 2`);
  const answer = await scene.chat(facts.texts.plain, "openai/gpt-4o", { max_tokens: 10 });
  await expectNamed(scene, answer, "The stored record `2` of the table `keys` cannot be read");
});

test("limits that cannot be read are named", async (t) => {
  const scene = await startSpoilt(t, "Account", "UPDATE terms SET terms = '{}'");
  const answer = await scene.chat(facts.texts.plain, "openai/gpt-4o", { max_tokens: 10 });
  await expectNamed(scene, answer, "The stored record `0` of the table `terms` cannot be read");
});

test("a session that cannot be read is reported, and unknown to its client", async (t) => {
  const scene = await startSpoilt(t, "Session", "UPDATE session SET text = '{\"v\":3}' || char(10, 10)");
  t.after(closeAll);
  const { id, after } = facts.session;
  const socket = await openSocket(scene.gateway.url, { key: facts.texts.plain, protocols: [NAMED], query: `?session=${id}&after=${after}` });
  assert.equal((await socket.end()).code, 4404);
  const reported = ({ event, error }) => event === "session_unreadable" && error.includes("version 3");
  await until(() => scene.gateway.logs().some(reported), "a log event about the session");
});

test("the place of an object that cannot be read is asked for again", async (t) => {
  const scene = await startSpoilt(t, "Region", "UPDATE place SET place = 'somewhere'");
  assert.equal((await scene.chat(facts.texts.plain, "far/gpt-4o", { max_tokens: 10 })).status, 200);
  assert.equal(scene.traced(), 1);
});
