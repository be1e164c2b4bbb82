// What it costs that operators can know everything: the calls and rows of the objects that have no part in a
// request, with everything on. A section of docs/costs.md.

import { once as happened } from "node:events";
import { mkdtempSync } from "node:fs";
import { createServer } from "node:http";
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

/** Takes exports and notices. Returns its URL, and what was sent to it so far: the number of requests by path. */
async function startSink() {
  const taken = {};
  const server = createServer((request, response) => {
    taken[request.url] = (taken[request.url] ?? 0) + 1;
    request.resume().on("end", () => response.writeHead(200, { "content-type": "application/x-protobuf" }).end());
  });
  server.listen(0, "127.0.0.1").unref();
  await happened(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, taken };
}

/** The counts at each pace: of both objects, and the CPU time of the process per request. */
export async function measureWatching(folder, upstream, paces) {
  const measure = async (pace) => {
    const place = mkdtempSync(join(folder, "watched-"));
    const sink = await startSink();
    const { patience, ...command } = await (await watching(sink.url).layOut(place, upstream.base("watched")))();
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
    // The figures include exports only if the sink has received some of each kind.
    for (const path of ["/v1/traces", "/v1/logs", "/v1/metrics"]) {
      if (!sink.taken[path]) throw new Error(`nothing was exported to ${path}: ${JSON.stringify(sink.taken)}`);
    }
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

Measured on ${new Date().toISOString().slice(0, 10)} with ${workerd}, with reports by a zone and a tag, metrics, log files at level \`info\` without a
bucket, alerts with a webhook, and the export of traces, log records and metrics by OTLP, for a key of \`ACCESS_API_KEYS\`. Calls and rows are per request, those of alarms included; dollars are per million requests, in addition
to the table above, beyond what a plan includes.

${table(["pace", "requests", "object", "calls", "rows written", "rows read", "more", "target"], lines)}

An isolate sends what it has collected once a second: a batch is one call and one row, and its lines for log files go along, if they are no more than
64 KiB. So the costs are those of seconds with traffic, not of requests: at most $${two(secondly(1, 1))} a month for an isolate that is never idle.
Where r requests a second come to an isolate, each takes 1 / (r + 1) of a batch.

**Long requests.** The line of a request's start waits for ten seconds for a report to go along with. Where a request that lasts longer is alone in its
isolate, that line takes a call and a row of its own.

**Exports and notices.** Spans and log records are sent by the isolates, and cost CPU alone: calls of other hosts are not billed. Metrics are sent by
\`OPERATIONS\`, at most once a minute, with the report that brings something new, or five minutes after the last time by an alarm: a call and a row. It is
billed for the time of the back end's response ($0.16 a million for each 100 ms), which the table has as the response on loopback. A notice of an alert is
an alarm, and some three rows. An action of an admin is a call and a row for the [audit log](admin-api.md#audit-log).

**None at all**: with \`reporting.enabled: false\` there are no reports and no metrics, and without \`logging.output.file\` no log files.

**Not in the figures.** After 10,000 requests, or 100 batches and 15 minutes, reports are folded: a row for 500 requests, one for each quarter of an
hour, key and model, and some ten more; lines for log files move on with one call and three rows. Where there are no 100 batches in six hours, these are
folded all the same: then a request costs more, but there are fewer than 12,000 a month. A segment that is stored in a bucket is one operation of class A ($4.50 a million).

**Objects that are always awake.** An object is billed while it works, or is idle and cannot hibernate; one that is idle and could hibernate is
[not billed](https://developers.cloudflare.com/durable-objects/platform/pricing/), even before it does. \`OPERATIONS\` and \`LOG_FILES\`, one object each, can hibernate
whenever no call, export or notice is under way, also with watchers. So $${two(AWAKE)} a month (128 MB at $12.50 a million GB-s) is the most that each
can take, if it works without a pause. A plan includes 400,000 GB-s for all objects together; one such object takes 331,776. The table counts the
duration of their calls already.

${cpu}`;
}

/** Dollars a month of so many calls and rows each second. */
const secondly = (calls, written) => dollars({ calls, written }, 0).objects * 2.592;
