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
  { binding: "OPERATIONS", label: "reports, metrics, alerts" },
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
export function watchingSection(rows, cpuWithout) {
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
  return `## What it costs to watch

Measured with everything on: reports with a zone and a tag, metrics, alerts, and log files at level \`info\` without a bucket, for a key of
\`ACCESS_API_KEYS\`. Calls and rows are per request, those of alarms included; dollars are per million requests, in addition to the table
above, beyond what a plan includes.

${table(["pace", "requests", "object", "calls", "rows written", "rows read", "more", "target"], lines)}

An isolate sends what it has collected once a second: a batch of reports is one row, a batch of lines two. So the costs are those of
seconds with traffic, not of requests: at most $${two(secondly(1, 1))} a month for the reports of an isolate that is never idle, and
$${two(secondly(1, 2))} for its lines. The target is met from about one request a second and isolate on. Below it the share of a request is greater,
but there are few: one each 2 s is 1.3 million a month, of which a plan includes the rows. The reports of 10,000 requests, or of 15
minutes, are then stored as sums and lists: some rows for each quarter of an hour, key and model, and one for 500 requests.

**Objects that are always awake.** An object with traffic at least each 10 s is never idle: $${two(AWAKE)} a month (128 MB at
$12.50 a million GB-s), of which a plan includes 400,000 GB-s for all objects together: more than one such object. \`OPERATIONS\`
and \`LOG_FILES\` are one each. The duration of calls in the table above is a part of it.

**CPU.** At full speed the process took ${two(busiest)} ms per request, and ${two(cpuWithout)} ms with nothing on: $${two((busiest - cpuWithout) * PRICE.cpuMs * 1e6)} per million requests.
Of a bucket, a segment is one operation of class A: $4.50 a million.

`;
}

/** Dollars a month of so many calls and rows each second. */
const secondly = (calls, written) => dollars({ calls, written }, 0).objects * 2.592;
