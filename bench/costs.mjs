// `make -C bench costs`: counts what a request of each kind of key costs in Durable Object calls and rows, and writes docs/costs.md.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { CHAT, counted, makeKeys } from "./keys.mjs";
import { askOnce, encode, hammer, trickle } from "./load.mjs";
import { SECTION } from "./losses.mjs";
import { table } from "./report.mjs";
import { ACCESS_KEY, PROJECT, Program, counting, startUpstream, stopAll, version } from "./systems.mjs";

/** Cloudflare's prices in dollars, beyond what a plan includes. */
const PRICE = { request: 0.3e-6, cpuMs: 0.02e-6, call: 0.15e-6, written: 1e-6, read: 0.001e-6, gbSecond: 12.5e-6 };
/** An object is billed for its memory while it answers. So long is a guess: nearly all of it is the way of a write to the disks. */
const CALL_SECONDS = 0.01;
const OBJECT_GB = 0.128;
const MILLION = 1e6;

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

/** What callers do. The slow ones are counted for all keys at once: each key has accounts of its own. */
const PACES = [
  { name: "slow", label: "one each 15 s", load: paced(4, 15_000), together: true },
  { name: "calm", label: "one each 2 s", load: paced(15, 2_000), together: true },
  { name: "steady", label: "50/s", load: steady(50, 10) },
  { name: "rushed", label: `${AT_ONCE} callers at full speed`, load: rushed(5) },
];

/** What is wished for: keys without limits at most so; for others a question before and the truth after, in two rows. */
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
// Measured by another command.
const losses = SECTION.exec(readFileSync(PAGE, "utf8"))?.[0] ?? "";
const page = document(await measure(), await version.workerd()).replace(/^## How it is counted/m, (next) => losses + next);
writeFileSync(PAGE, page);
console.log(`${page}\nWritten to docs/costs.md.`);
process.exit();

/** The counts of each key at each pace: a list with a row for each. */
async function measure() {
  upstream = await startUpstream();
  const { patience, ...command } = await (await counting.layOut(folder, upstream.base("counted")))(false);
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
  // What is made but once, such as tables, is none of a request's cost; and a book has some pages.
  for (const { request } of keys) await paced(60, 0)({ port: program.port, request });
  for (const pace of PACES) {
    if (pace.together) await Promise.all(keys.map((key) => take(pace, key)));
    else for (const key of keys) await take(pace, key);
  }
  return keys.flatMap((key) => PACES.map((pace) => rows.find((row) => row.key === key && row.pace === pace)));
}

/** Dollars for a million requests, by what they are for. CPU is that of the busiest pace, where a process does little else. */
function dollars({ calls, written, read = 0 }, cpuMs) {
  const objects = calls * (PRICE.call + CALL_SECONDS * OBJECT_GB * PRICE.gbSecond) + written * PRICE.written + read * PRICE.read;
  return { worker: (PRICE.request + cpuMs * PRICE.cpuMs) * MILLION, objects: objects * MILLION };
}

function document(rows, workerd) {
  const cpuOf = (key) => rows.find((row) => row.key === key && row.pace.name === "rushed").cpuMs;
  const head = ["key", "pace", "requests", "calls", "rows written", "rows read", "Worker", "objects", "together", "target"];
  const lines = rows.map((row) => {
    const { key, pace, requests, calls, written, read } = row;
    const { worker, objects } = dollars(row, cpuOf(key));
    const target = dollars(TARGET[key.name], cpuOf(key));
    const money = [worker, objects, worker + objects, target.worker + target.objects].map((value) => `$${two(value)}`);
    return [key.label, pace.label, String(requests), two(calls), two(written), two(read), ...money];
  });
  return `# What accounting costs on Cloudflare

Written by \`make -C bench costs\` on ${new Date().toISOString().slice(0, 10)} with ${workerd}. Do not edit: run it again.
Calls and rows are counted for each request; dollars are for a million requests, beyond what a plan includes.

${table(head, lines)}

The target is the price of 1 call and 1 row at most for a key without limits, and for a limited one of a call before, a call after and two
rows, for each of its accounts. Receipts of keys without limits are gathered for 100 ms: from about 10 requests/s on, several go in one
call and one row.

**More than the target: calls of a key without limits that was made at run time.** It is asked about when its terms were last heard 4 s
ago, for a key that was switched off has to stop everywhere. At r requests/s of one isolate these are 0.25 / r calls for each, at most one:
never more than $${two(dollars({ calls: 1, written: 0 }, 0).objects)} a million. Keys of \`ACCESS_API_KEYS\` are not asked about.
Besides, an isolate asks the directory for the secrets that sign keys once, and once a minute while such keys are shown.

**More than the target: the third row of a limited key.** The promise is written before the provider is called, the receipt after, and then the promise is deleted, which
is billed like a row. None of them is gathered with those of other requests, or the limits would not be hard. Two rows would do if a
promise became its receipt in place; but then whoever opens a book would look for promises among all receipts. A parent keeps a book of
its own: the same again.

**A request under a minute costs nothing more.** The promise is good for 75 s. A longer one renews it after 60 s, and then each 30 s: a call
and a row for each, in each of its accounts.

**Rows read** are those of writes, and of books that are opened again: an object that has been still for some 10 s may be put away. Then it
reads up to 100 receipts at a time, at least back to the last sums (each 50 receipts) and over the last 6 minutes.

## What can be lost

| what happens | receipts of a key without limits | a limited key |
| --- | --- | --- |
| an isolate dies | those gathered there in the last 100 ms, and those on their way: measured below | the promise stands: the limits hold. After 75 s without a word (counted anew if the account, too, is opened again) the request's place is free, and the account's next order enters a receipt: \`lost\`, with the prompt and what was heard, estimated, in the sums of the day on which the 75 s were over. The rest of the promise is held until its time is over (the request's, and 60 s); a receipt that arrives late takes that one's place |
| the event that was to carry them is cut off | they wait in the isolate until the next request that comes 2 s later or more | not gathered |
| an object does not answer | tried again after 0.2, 1 and 4 s, then written to the log as \`receipts_lost\`, as is at once what would make those on their way more than 16 MiB in an isolate (about 16,000) | the same; if it does not answer before the request, the caller gets 503 |
| an object dies | nothing: what it answered is written | nothing |
| an order comes twice | counted once, if within 5 minutes | the same; a promise is never made twice |

## How it is counted

The built gateway runs on workerd. Its entry module is wrapped: each call of an object counts as one, and each statement's \`rowsRead\` and
\`rowsWritten\` are those that the platform bills. A key's accounts alone are counted, in one isolate; Cloudflare runs several, each of which
gathers by itself and asks by itself. Making keys and tables is left out. A day's first receipt writes one row more.

Prices: Workers $0.30 a million requests and $0.02 a million ms of CPU; Durable Objects $0.15 a million calls, $1.00 a million rows written,
$0.001 a million rows read, $12.50 a million GB-s (128 MB for ${CALL_SECONDS * 1000} ms a call, which is a guess; an object that is idle costs nothing). CPU is
what the whole process had at full speed, ${two(Math.min(...rows.map(({ key }) => cpuOf(key))))} to ${two(Math.max(...rows.map(({ key }) => cpuOf(key))))} ms a request: too much rather than too little. The paid plan includes 10 million
requests, 1 million calls and 50 million rows a month; the free one 100,000 of each a day. Kept receipts cost $0.20 a GB and month.
`;
}
