// What it costs that operators can know everything: the calls and rows of the objects that have no part in a
// request, with everything on. A section of docs/costs.md.

import { mkdtempSync } from "node:fs";
import { join } from "node:path";

import { CHAT, counted } from "./keys.mjs";
import { encode } from "./load.mjs";
import { AWAKE, PRICE, dollars } from "./prices.mjs";
import { table } from "./report.mjs";
import { ACCESS_KEY, Program, watching } from "./systems.mjs";

/** Reports wait for a second, and are stored then. */
const GATHERED_MS = 2_500;
/** What keeps the first batches, tables and segments out of the figures. */
const FIRST = 60;
const OBJECTS = [
  { binding: "OPERATIONS", label: "reports, metrics" },
  { binding: "LOG_FILES", label: "log files" },
];
const TARGET = 1.5;

const two = (value) => value.toFixed(2);

/** The counts at each pace: of both objects, and the CPU time of the process per request. */
export async function measureWatching(folder, upstream, paces) {
  const measure = async (pace) => {
    const place = mkdtempSync(join(folder, "watched-"));
    const { patience, ...command } = await (await watching.layOut(place, upstream.base("watched")))(false);
    const program = new Program(command);
    const request = encode({ headers: { authorization: `Bearer ${ACCESS_KEY}`, "x-llm-bridge-tags": "team=search" }, body: CHAT });
    await program.answers(request, patience);
    const target = { port: program.port, request };
    await pace.first(FIRST)(target);
    const before = program.cpu();
    // The load is the same for both objects.
    const loading = once(() => pace.load(target));
    const counts = await Promise.all(OBJECTS.map(({ binding }) => counted(program, { accounts: [binding] }, loading, GATHERED_MS)));
    const { requests } = counts[0];
    const cpuMs = (program.cpu() - before) / requests;
    await program.stop();
    return { pace, requests, counts, cpuMs };
  };
  const together = await Promise.all(paces.filter((pace) => pace.together).map(measure));
  const rows = [...together];
  for (const pace of paces.filter((pace) => !pace.together)) rows.push(await measure(pace));
  return rows;
}

function once(work) {
  let result;
  return () => (result ??= work());
}

/** The section, from its heading to the next. */
export const WATCHING = /^## What it costs to watch\n[^]*?(?=^## )/m;

/** The section. `cpuWithout`: the CPU time of a request with nothing on, if it was measured. */
export function watchingSection(rows, cpuWithout, workerd) {
  const sum = (counts, what) => counts.reduce((total, count) => total + count[what], 0);
  const line = (pace, requests, label, count, target) => {
    const { objects } = dollars(count, 0);
    return [pace.label, String(requests), label, two(count.calls), two(count.written), two(count.read), `$${two(objects)}`, target];
  };
  const lines = rows.flatMap(({ pace, requests, counts }) => {
    const all = { calls: sum(counts, "calls"), written: sum(counts, "written"), read: sum(counts, "read") };
    const each = counts.map((count, at) => line(pace, requests, OBJECTS[at].label, count, ""));
    return [...each, line(pace, requests, "together", all, `$${two(TARGET)}`)];
  });
  const busiest = rows.at(-1).cpuMs;
  const cpu = cpuWithout === undefined ? "" : `**CPU.** At full speed the process took ${two(busiest)} ms per request, and ${two(cpuWithout)} ms with nothing on: $${two((busiest - cpuWithout) * PRICE.cpuMs * 1e6)} per
million requests.

`;
  return `## What it costs to watch

Measured on ${new Date().toISOString().slice(0, 10)} with ${workerd}, with reports by a zone and a tag, metrics, and log files at level \`info\` without a
bucket, for a key of \`ACCESS_API_KEYS\`. Calls and rows are per request, those of alarms included; dollars are per million requests, in addition
to the table above, beyond what a plan includes.

${table(["pace", "requests", "object", "calls", "rows written", "rows read", "more", "target"], lines)}

An isolate sends what it has collected once a second: a batch is one call and one row, and its lines for log files go along, if they are no more than
64 KiB. So the costs are those of seconds with traffic, not of requests: at most $${two(secondly(1, 1))} a month for an isolate that is never idle.
Where r requests a second come to an isolate, each takes 1 / (r + 1) of a batch.

**Long requests.** The line of a request's start waits for ten seconds for a report to go along with. Where a request that lasts longer is alone in its
isolate, that line takes a call and a row of its own.

**None at all**: with \`reporting.enabled: false\` there are no reports and no metrics, and without \`logging.output.file\` no log files.

**Not in the figures.** After 10,000 requests, or 100 batches and 15 minutes, reports are folded: a row for 500 requests, one for each quarter of an
hour, key and model, and some ten more; lines for log files move on with one call and three rows. Where there are no 100 batches in six hours, these are
folded all the same: then a request costs more, but there are fewer than 12,000 a month. A segment that is stored in a bucket is one operation of class A ($4.50 a million).

**Objects that are always awake.** An object with traffic at least each 10 s is never idle: $${two(AWAKE)} a month (128 MB at $12.50 a million
GB-s). A plan includes 400,000 GB-s for all objects together; one such object takes 331,776. \`OPERATIONS\` and \`LOG_FILES\` are
one object each. The table counts the duration of their calls already.

${cpu}`;
}

/** Dollars a month of so many calls and rows each second. */
const secondly = (calls, written) => dollars({ calls, written }, 0).objects * 2.592;
