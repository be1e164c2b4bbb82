// `make -C bench costs`: counts the Durable Object calls and rows of a request by each kind of key, and
// writes docs/costs.md.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { CHAT, counted, makeKeys } from "./keys.mjs";
import { askOnce, encode, hammer, trickle } from "./load.mjs";
import { SECTION } from "./losses.mjs";
import { CALL_SECONDS, dollars } from "./prices.mjs";
import { table } from "./report.mjs";
import { ACCESS_KEY, PROJECT, Program, counting, startUpstream, stopAll, version } from "./systems.mjs";
import { WATCHING, measureWatching, watchingSection } from "./watching.mjs";

/** Requests one at a time, each after so many milliseconds. */
const paced = (number, ms) => async (target) => {
  for (let sent = 0; sent < number; sent += 1) {
    await sleep(ms);
    await askOnce(target);
  }
  return number;
};
const AT_ONCE = 8;
const steady = (rate, seconds) => async (target) => (await trickle({ ...target, rate, seconds })).length;
const rushed = (seconds) => (target) => hammer({ ...target, connections: AT_ONCE, seconds });

/** Paces of callers. The slow ones run for all keys at once: each key has accounts of its own. */
const PACES = [
  { name: "sparse", label: "one each 45 s", load: paced(8, 45_000), together: true, isForWatching: true },
  { name: "slow", label: "one each 15 s", load: paced(4, 15_000), together: true },
  { name: "calm", label: "one each 2 s", load: paced(15, 2_000), together: true },
  { name: "steady", label: "50/s", load: steady(50, 10) },
  { name: "rushed", label: `${AT_ONCE} callers at full speed`, load: rushed(5) },
];

/** Accounts have no alarms that come between requests, so the sparsest pace tells nothing new of them. */
const ACCOUNTING_PACES = PACES.filter(({ isForWatching }) => !isForWatching);

/**
 * The targets: for keys without limits at most one call; for others a reservation before and a receipt after,
 * in two rows.
 */
const TARGET = {
  static: { calls: 1, written: 1 },
  free: { calls: 1, written: 1 },
  limited: { calls: 2, written: 2 },
  member: { calls: 4, written: 4 },
};

const two = (value) => value.toFixed(2);

const folder = mkdtempSync(join(tmpdir(), "llm-bridge-costs-"));
let upstream;
process.once("exit", () => {
  stopAll();
  upstream?.stop();
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(130));

const PAGE = join(PROJECT, "docs/costs.md");
const written = readFileSync(PAGE, "utf8");
// Measured by another command.
const losses = SECTION.exec(written)?.[0] ?? "";
const watching = async (cpuWithout) => {
  const paces = PACES.map((pace) => ({ ...pace, first: (count) => paced(count, 0) }));
  return watchingSection(await measureWatching(folder, upstream, paces), cpuWithout, await version.workerd());
};
upstream = await startUpstream();
// Only the section of what operators know: its calls and rows do not depend on how fast the build is.
if (process.env.ONLY === "watching") {
  const section = await watching();
  writeFileSync(PAGE, written.replace(WATCHING, "").replace(/^## What can be lost/m, (next) => section + next));
  console.log(section);
  process.exit();
}
const rows = await measure();
const watched = await watching(cpuOf(rows, "static"));
const page = document(rows, await version.workerd())
  .replace(/^## How it is counted/m, (next) => losses + next)
  .replace(/^## What can be lost/m, (next) => watched + next);
writeFileSync(PAGE, page);
console.log(`${page}\nWritten to docs/costs.md.`);
process.exit();

/** The counts of each key at each pace: a list with a row for each. */
async function measure() {
  const { patience, ...command } = await (await counting.layOut(folder, upstream.base("counted")))();
  const program = new Program(command);
  await program.answers(encode({ headers: { authorization: `Bearer ${ACCESS_KEY}` }, body: CHAT }), patience);
  const keys = await makeKeys(program);
  const rows = [];
  const take = async (pace, key) => {
    const { port } = program;
    const before = program.cpu();
    const counts = await counted(program, key, () => pace.load({ port, request: key.request }));
    rows.push({ pace, key, ...counts, cpuMs: (program.cpu() - before) / counts.requests });
  };
  // What is created only once, such as tables, is not part of a request's cost; and accounts already have
  // some rows.
  for (const { request } of keys) await paced(60, 0)({ port: program.port, request });
  for (const pace of ACCOUNTING_PACES) {
    if (pace.together) await Promise.all(keys.map((key) => take(pace, key)));
    else for (const key of keys) await take(pace, key);
  }
  return keys.flatMap((key) => ACCOUNTING_PACES.map((pace) => rows.find((row) => row.key === key && row.pace === pace)));
}

/** The CPU time of a request of a key at full speed. */
function cpuOf(rows, name) {
  return rows.find(({ key, pace }) => key.name === name && pace.name === "rushed").cpuMs;
}

function document(rows, workerd) {
  const head = ["key", "pace", "requests", "calls", "rows written", "rows read", "Worker", "objects", "together", "target"];
  const lines = rows.map((row) => {
    const { key, pace, requests, calls, written, read } = row;
    const { worker, objects } = dollars(row, cpuOf(rows, key.name));
    const target = dollars(TARGET[key.name], cpuOf(rows, key.name));
    const money = [worker, objects, worker + objects, target.worker + target.objects].map((value) => `$${two(value)}`);
    return [key.label, pace.label, String(requests), two(calls), two(written), two(read), ...money];
  });
  return `# What accounting costs on Cloudflare

Written by \`make -C bench costs\` on ${new Date().toISOString().slice(0, 10)} with ${workerd}. Do not edit: run it again.
Calls and rows are per request; dollars are per million requests, beyond what a plan includes.

${table(head, lines)}

The target for a key without limits is at most 1 call and 1 row; for a limited key, one call before, one call after and two rows, in
each of its accounts. Receipts of keys without limits are collected for 100 ms: from about 10 requests/s on, several share one call and
one row.

**Above the target: calls of a managed key without limits.** Its account is asked again when the last response is 4 s old, because a
disabled key has to stop everywhere. At r requests/s of one isolate these are 0.25 / r calls for each request, at most one:
never more than $${two(dollars({ calls: 1, written: 0 }, 0).objects)} a million. Keys of \`ACCESS_API_KEYS\` are not asked about.
In addition, an isolate asks the registry for the signing secrets once, and once a minute while managed keys are used.

**Above the target: the third row of a limited key.** The reservation is written before the provider is called, the receipt after, and then the
reservation is deleted, which is billed like a row. None of them is combined with those of other requests, because the limits are exact. Two
rows would suffice if a reservation became its receipt in place; but then opening an account would search all receipts for reservations. A
parent has an account of its own: the same again.

**A request under a minute costs nothing more.** The reservation's lease is 75 s. A longer request renews it after 60 s, and then every 30 s: one
call and one row each time, in each of its accounts.

**Rows read** are those of writes, and of accounts that are reopened: an object that has been idle for some 10 s may be evicted. Then it reads
up to 100 receipts at a time, at least back to the last sums (every 50 receipts) and over the last 6 minutes.

## What can be lost

| what happens | receipts of a key without limits | a limited key |
| --- | --- | --- |
| an isolate dies | those collected there in the last 100 ms, and those on their way: measured below | the reservation remains: the limits hold. After 75 s without renewal (counted anew if the account is reopened too) the request's place is free, and the account's next command enters a receipt: \`lost\`, with the prompt and what was received, estimated, in the sums of the day on which the 75 s ended. The rest of the reservation is held until its time is over (the request's, and 60 s); a late receipt replaces it |
| the event that carries them is cut off | they wait in the isolate until the next request that comes at least 2 s later | not collected |
| an object does not respond | retried after 0.2, 1 and 4 s, then written to the log as \`receipts_lost\`, and at once if more than 16 MiB (about 16,000) are on their way in an isolate | the same; if it does not respond before the request, the caller gets 503 |
| an object dies | nothing: what it confirmed is stored | nothing |
| a command comes twice | counted once, if within 5 minutes | the same; a reservation is never made twice |

## How it is counted

The built gateway runs on workerd. Its entry module is wrapped: each call of an object counts as one, and each statement's \`rowsRead\` and
\`rowsWritten\` are those that the platform bills. Only a key's accounts, and the objects named above, are counted, in one isolate; Cloudflare runs several, each of which
collects and asks independently. Creating keys and tables is not counted. The first receipt of a day writes one more row.

Prices: Workers $0.30 a million requests and $0.02 a million ms of CPU; Durable Objects $0.15 a million calls, $1.00 a million rows written,
$0.001 a million rows read, $12.50 a million GB-s (128 MB for ${CALL_SECONDS * 1000} ms a call, which is an estimate; an idle object costs nothing). CPU is
that of the whole process at full speed, ${two(Math.min(...rows.map(({ key }) => cpuOf(rows, key.name))))} to ${two(Math.max(...rows.map(({ key }) => cpuOf(rows, key.name))))} ms per request: an upper estimate. The paid plan includes 10 million
requests, 1 million calls and 50 million rows a month; the free plan 100,000 of each a day. Stored receipts cost $0.20 per GB and month.
`;
}
