// `make -C bench losses`: kills the gateway under load, repeatedly, and counts the receipts that are missing
// afterwards. Writes a section of docs/costs.md.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { startFake } from "../tests/workerd/fake-openai.mjs";
import { startGateway } from "../tests/workerd/harness.mjs";
import { OFFICE, Office } from "../tests/workerd/office.mjs";
import { table } from "./report.mjs";
import { PROJECT, version } from "./systems.mjs";

const PAGE = join(PROJECT, "docs/costs.md");
/** The section, from its heading to the next. */
export const SECTION = /^## Measured: what a killed process loses\n[^]*?(?=^## )/m;
const KILLS = Number(process.env.KILLS ?? 12);
/** The load runs for this time, and up to so much longer, before the process is killed. */
const [LOAD_MS, MORE_MS] = [700, 400];
/** Longer than a lease and than any request: after it, nothing more arrives. */
const LATER_MS = 800_000;
const BINDINGS = { ...OFFICE, ANY_API_KEY: "sk-bench-provider" };
const MUCH = { requests_per_minute: 1_000_000, concurrent_requests: 1_000_000, budget: { amount_nanos: 1e15, per: "month" } };

const KEYS = [{ label: "a key without limits", terms: {} }, { label: "a key with limits", terms: MUCH }];
const PACES = [{ label: "5/s", each: 200 }, { label: "50/s", each: 20 }, { label: "8 callers at full speed", callers: 8 }];

const config = (fake) => `
providers:
  any: { base_url: "${fake.base}", models: { "*": { price: { input: 1, output: 2 }, max_output: 1000, context: 100000 } } }
logging: { level: error }
`;

/** One gateway after the other on one disk. */
class Killed {
  /**
   * How far the clock has been advanced. It is advanced in each process, because an account's time does not
   * go backwards.
   */
  #ahead = 0;

  constructor(fake, disk) {
    Object.assign(this, { fake, disk });
  }

  async start() {
    this.gateway = await startGateway({ config: config(this.fake), bindings: BINDINGS, disk: this.disk, entry: "production.mjs" });
    this.office = new Office(this.gateway.url);
    await this.gateway.control({ advance: this.#ahead });
  }

  /**
   * Sends requests until the process is gone: each by its id, with the time at which its response was read to
   * the end, if it was.
   */
  async load(key, { each, callers = 1 }) {
    const asked = new Map();
    this.fake.requests.length = 0;
    const ask = async () => {
      const id = `killed-${asked.size + 1}`;
      asked.set(id, undefined);
      const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", "x-request-id": id };
      const body = JSON.stringify({ model: "any/ok", max_tokens: 10, user: id, messages: [{ role: "user", content: "Hello" }] });
      const answer = await fetch(`${this.gateway.url}/v1/chat/completions`, { method: "POST", headers, body });
      await answer.arrayBuffer();
      if (answer.ok) asked.set(id, performance.now());
    };
    const { gateway } = this;
    const caller = async () => {
      while (gateway.alive) {
        const asking = ask().catch(() => {});
        await (each ? sleep(each) : asking);
      }
    };
    const all = Promise.all(Array.from({ length: callers }, caller));
    await sleep(LOAD_MS + MORE_MS * Math.random());
    const killed = performance.now();
    await gateway.stop();
    await all;
    // A request that never reached the provider had not been admitted yet.
    const begun = new Set(this.fake.requests.map(({ request }) => request?.user));
    return { asked: [...asked].filter(([request, end]) => end !== undefined || begun.has(request)), killed };
  }

  /** The receipts of a key, by request, when no more arrive. */
  async books(id) {
    // A command detects lost requests; a reopened account gives each lease 75 s.
    for (const ms of [0, LATER_MS]) {
      await this.gateway.control({ advance: ms });
      this.#ahead += ms;
      await this.office.receipts(id);
    }
    return new Set((await this.office.receipts(id)).map(({ request_id: request }) => request));
  }
}

async function measure(killed, { terms }, pace, name) {
  const sum = { answered: 0, unanswered: 0, missing: [], waited: 0, both: 0 };
  for (let round = 0; round < KILLS; round += 1) {
    const id = `${name}-${round}`;
    const key = await killed.office.key(id, terms);
    const { asked, killed: at } = await killed.load(key, pace);
    await killed.start();
    const books = await killed.books(`vk_${id}`);
    const answered = asked.filter(([, end]) => end !== undefined);
    const missing = answered.filter(([request]) => !books.has(request));
    sum.answered += answered.length;
    sum.missing.push(missing.length);
    sum.waited = Math.max(sum.waited, ...missing.map(([, end]) => at - end));
    const unanswered = asked.filter(([, end]) => end === undefined).map(([request]) => request);
    sum.unanswered += unanswered.length;
    sum.both += unanswered.filter((request) => !books.has(request)).length;
  }
  return sum;
}

async function main() {
  const disk = mkdtempSync(join(tmpdir(), "llm-bridge-losses-"));
  const fake = await startFake({});
  const killed = new Killed(fake, disk);
  await killed.start();
  const lines = [];
  for (const [kind, key] of KEYS.entries()) {
    for (const [number, pace] of PACES.entries()) {
      const sum = await measure(killed, key, pace, `k${kind}-${number}`);
      const missing = sum.missing.reduce((all, one) => all + one, 0);
      const waited = missing ? `${Math.round(sum.waited)} ms` : "";
      lines.push([key.label, pace.label, KILLS, sum.answered, missing, Math.max(...sum.missing), waited, `${sum.both} of ${sum.unanswered}`].map(String));
    }
  }
  await killed.gateway.stop();
  await fake.stop();
  rmSync(disk, { recursive: true, force: true });
  return lines;
}

const section = (lines, workerd) => `## Measured: what a killed process loses

Written by \`make -C bench losses\` on ${new Date().toISOString().slice(0, 10)} with ${workerd}. The gateway is killed (\`SIGKILL\`) under load and
started again on the same disk; then the requests without a receipt are counted. A response counts as read when its client has all of it.

${table(
  ["key", "pace", "kills", "responses read", "of them without a receipt", "most per kill", "age of the oldest at the kill", "running at a provider when killed, without a receipt"],
  lines,
)}

A receipt of a key without limits waits for 100 ms in the isolate, and is then on its way to its account for some milliseconds; earlier ones are
stored. Only if the event that carries receipts is cut off do they wait longer: until the next request that comes at least 2 s later. Running
requests of such a key leave no receipt, because nothing was stored about them. A member without limits of its own is such a key in its own
account; its parent's account has the receipt.

`;

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const page = readFileSync(PAGE, "utf8");
  const written = section(await main(), await version.workerd());
  const whole = SECTION.test(page) ? page.replace(SECTION, () => written) : page.replace(/^## How it is counted/m, (next) => written + next);
  writeFileSync(PAGE, whole);
  console.log(`${written}Written to docs/costs.md.`);
  process.exit();
}
