// The runtime's time zones: the same offsets as IANA's database has.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { zoneOffsets } from "../../src/zones.mjs";

const MINUTE = 60_000;
// Years that are over. Even these are corrected now and then, so that databases of two ages differ in a few zones.
const [FROM, TO] = [Date.UTC(2024, 0, 1), Date.UTC(2026, 0, 1)];
const MOST_CORRECTED = 3;

// The offsets of a line of fixtures/zones.txt from `FROM` to `TO`.
function expected(first, words) {
  const pairs = words.map((word) => word.split(":").map(Number));
  const changes = pairs.map(([at, offset]) => ({ at: at * MINUTE, offset: offset * 60 }));
  const before = changes.filter((change) => change.at <= FROM).at(-1)?.offset ?? Number(first) * 60;
  return { first: before, changes: changes.filter((change) => FROM < change.at && change.at <= TO) };
}

test("the runtime has the offsets of every zone", () => {
  const lines = readFileSync(new URL("../fixtures/zones.txt", import.meta.url), "utf8").trim().split("\n");
  assert.ok(lines.length > 50);
  const differing = lines.filter((line) => {
    const [names, first, ...words] = line.split(" ");
    const [name] = names.split(",");
    return !isDeepStrictEqual(JSON.parse(zoneOffsets(name, FROM, TO)), expected(first, words));
  });
  assert.ok(differing.length <= MOST_CORRECTED, differing.join("\n"));
});

test("an unknown zone has no offsets", () => {
  assert.equal(zoneOffsets("Mars/Olympus", FROM, TO), undefined);
});

test("a zone without changes has its offset alone", () => {
  assert.equal(zoneOffsets("Asia/Kolkata", FROM, TO), '{"first":19800,"changes":[]}');
});
