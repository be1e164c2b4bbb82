// A sample of the corpus against transcripts of an earlier run. `BLESS=1 node --test tests/pin/pin.test.mjs`
// writes them anew; intended changes show in the diff of the commit.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { allCases, groupOf, sample } from "./cases/index.mjs";
import { run } from "./run.mjs";
import { withSides } from "./side.mjs";
import { read, write } from "./text.mjs";

const FOLDER = fileURLToPath(new URL("transcripts/", import.meta.url));
const LIMIT_MS = 600_000;
/** The differences that are shown; further ones are counted. */
const SHOWN = 10;

/** Records as text, by group. */
function groups(records) {
  const texts = {};
  for (const name of [...records.keys()].sort()) (texts[groupOf(name)] ??= []).push(write(records.get(name)));
  return texts;
}

function bless(texts) {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER);
  for (const [group, blocks] of Object.entries(texts)) writeFileSync(`${FOLDER}${group}.txt`, blocks.join("\n"));
}

const transcripts = () => new Map(readdirSync(FOLDER).flatMap((file) => [...read(readFileSync(FOLDER + file, "utf8"))]));

const skip = existsSync(FOLDER) || process.env.BLESS ? false : "there are no transcripts yet: BLESS=1 writes them";

test("the gateway does what it did when the transcripts were written", { timeout: LIMIT_MS, skip }, async () => {
  const records = await withSides(undefined, sample(allCases()), run);
  const texts = groups(records);
  if (process.env.BLESS) return bless(texts);
  const wanted = transcripts();
  const found = new Map(Object.values(texts).flatMap((blocks) => [...read(blocks.join("\n"))]));
  const names = [...new Set([...wanted.keys(), ...found.keys()])].filter((name) => wanted.get(name) !== found.get(name));
  for (const name of names.slice(0, SHOWN)) console.log(`is\n${found.get(name) ?? "(no such case)\n"}was\n${wanted.get(name) ?? "(no such case)\n"}`);
  assert.deepEqual(names, [], "cases that differ from their transcripts; `BLESS=1` writes them anew");
});
