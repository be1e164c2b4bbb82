// Runs the differential corpus against an older build and the present one, and shows what differs.
//
//   node tests/pin/pin.mjs --base FOLDER     the base: a folder with src/worker.mjs and build/
//     --only PATTERN    cases whose names contain it          --sample     the sample of `make test` alone
//     --width N         cases at a time on each side          --out FILE   where the differences are written
//     --records FILE    writes what the present build did there, as text
//     --repeat N        runs the present build N times more, against itself: how stable the corpus is

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { allCases, groupOf, sample } from "./cases/index.mjs";
import { absence } from "./cases/recordings.mjs";
import { compare, describe } from "./compare.mjs";
import { EXPECTED } from "./expected.mjs";
import { run } from "./run.mjs";
import { withSides } from "./side.mjs";
import { write } from "./text.mjs";

const { values: options } = parseArgs({
  options: {
    base: { type: "string" },
    only: { type: "string", default: "" },
    sample: { type: "boolean", default: false },
    width: { type: "string", default: "6" },
    out: { type: "string", default: "target/pin.diff" },
    records: { type: "string" },
    repeat: { type: "string", default: "0" },
  },
});

const started = performance.now();
const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;

/** Runs `cases` on new sides of this build. */
async function drive(build, cases) {
  const progress = (done) => done % 1000 || console.error(`  ${done} of ${cases.length} (${seconds()})`);
  const records = await withSides(build, cases, (side, own) => run(side, own, { width: Number(options.width), progress }));
  if (!build && options.records) writeFileSync(options.records, [...records.values()].map(write).join("\n"));
  return records;
}

function count(cases) {
  const groups = {};
  for (const { name } of cases) groups[groupOf(name)] = (groups[groupOf(name)] ?? 0) + 1;
  return Object.entries(groups).map(([group, number]) => `${group} ${number}`).join(", ");
}

const chosen = options.sample ? sample(allCases()) : allCases();
const cases = chosen.filter(({ name }) => name.includes(options.only));
console.log(`${cases.length} cases (${count(cases)}).${absence() ? ` There are ${absence()}.` : ""}`);

let failed = false;

function report(title, { differences, unused }, file) {
  const text = [...differences.map(describe), ...unused.map((entry) => `an expected difference that is none: ${JSON.stringify({ ...entry, from: String(entry.from) })}`)].join("\n\n");
  const names = new Set(differences.map(({ name }) => name));
  console.log(`${title}: ${names.size} of ${cases.length} cases differ, ${unused.length} expected differences are unused.`);
  if (!text) return;
  failed = true;
  writeFileSync(file, `${text}\n`);
  console.log(`${text.split("\n").slice(0, 60).join("\n")}\n…\nAll of it: ${file}`);
}

if (options.base) {
  const [base, present] = await Promise.all([drive(options.base, cases), drive(undefined, cases)]);
  // A part of the cases may not use all expected differences.
  const { differences, unused } = compare(base, present, EXPECTED);
  report(`${options.base} and the present build (${seconds()})`, { differences, unused: options.only || options.sample ? [] : unused }, options.out);
}
const repeats = Number(options.repeat);
let first;
for (let turn = 0; turn <= repeats && (repeats || !options.base); turn++) {
  const records = await drive(undefined, cases);
  if (first) report(`run ${turn} and the first one (${seconds()})`, compare(first, records), options.out);
  first ??= records;
}
process.exit(failed ? 1 : 0);
