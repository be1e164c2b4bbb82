// A stage whose process can be killed and whose clock the test sets: for requests that are lost, and for
// those that are not.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { chunk, DONE, event } from "./behaviours.mjs";
import { expectWhole, sumsOf } from "./bills.mjs";
import { chatRequest, HELLO, open, until } from "./client.mjs";
import { startGateway, STILL } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { KEY, PROVIDER_KEY, startStage } from "./stage.mjs";

export const LEASE_MS = 75_000;
/**
 * The total deadline of a request if its row sets no other, and the minute after which its reservation ends.
 */
export const LIFE_MS = 660_000;
const STEP_MS = 10_000;
const BINDINGS = { ...OFFICE, ACCESS_API_KEYS: KEY, ANY_API_KEY: PROVIDER_KEY };
/** One dollar per million input tokens, ten per million output tokens. */
export const INPUT_NANOS = 1_000;
export const OUTPUT_NANOS = 10_000;
const PRICE = "price: { input: 1, output: 10 }, max_output: 1000, context: 100000";
const PATIENT = "clocks: { idle: 600, first_token: 600 }";

/**
 * One provider in several rows: one for any model; one that reads responses to the end after a disconnect;
 * and the echo model, which writes a word every 5 s.
 */
export const config = (fake) => {
  const row = (name, keys = "") => `  ${name}: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { "*": { ${PRICE}, ${PATIENT} } }${keys} }`;
  return `
providers:
${row("any")}
${row("heard", ", on_disconnect: finish")}
${row("much").replace("max_output: 1000", "max_output: 100000")}
${row("checked", ", relay: checked")}
  demo: { adapter: echo, models: { slow: { echo: { words: 1000, delay_ms: 5000 }, ${PRICE} } } }
`;
};

export const USAGE = { prompt_tokens: 7, completion_tokens: 11, total_tokens: 18 };
export const TRUTH_NANOS = 7 * INPUT_NANOS + 11 * OUTPUT_NANOS;
export const BUDGET = { amount_nanos: 1e9, per: "day" };

/** Starts the stage. `at`: the time to which the clock is set. */
export async function startLeases({ at } = {}) {
  const disk = await mkdtemp(join(tmpdir(), "llm-bridge-disk-"));
  const stage = await startStage({ config, bindings: BINDINGS, disk, entry: "production.mjs" });
  const leases = new Leases(stage, disk);
  // Time passes only when a test says so, because on a slow machine a day could end between two other steps.
  await stage.gateway.control({ speed: STILL });
  if (at) await leases.setClock(at);
  return leases;
}

class Leases {
  #disk;

  constructor(stage, disk) {
    this.stage = stage;
    this.#disk = disk;
    this.#enter(stage.gateway);
  }

  #enter(gateway) {
    this.gateway = gateway;
    this.office = new Office(gateway.url);
  }

  async stop() {
    await this.gateway.stop();
    await this.stage.fake.stop();
    await rm(this.#disk, { recursive: true });
  }

  now = async () => (await this.gateway.control()).now;
  setClock = async (at) => this.gateway.control({ advance: at - (await this.now()) });
  calls = async () => (await this.gateway.control()).calls.ACCOUNTS ?? 0;
  rows = async () => (await this.gateway.control()).rows.ACCOUNTS?.written ?? 0;

  /** Kills the process and starts another on the same disk, whose clock goes on from there. */
  async restart() {
    const now = await this.now();
    await this.gateway.stop();
    this.#enter(await startGateway({ config: config(this.stage.fake), bindings: BINDINGS, disk: this.#disk, entry: "production.mjs" }));
    await this.gateway.control({ speed: STILL });
    await this.setClock(now);
  }

  /**
   * Lets time pass in steps that every waiting timer sees. While the gateway handles a command, its timers
   * get their turn.
   */
  async pass(ms) {
    for (let left = ms; left > 0; left -= STEP_MS) {
      await this.gateway.control({ advance: Math.min(left, STEP_MS) });
      for (let order = 0; order < 6; order++) await sleep(10).then(() => this.gateway.control());
    }
  }

  /** Lets time pass at once. */
  jump = (ms) => this.gateway.control({ advance: ms });

  /** Closes the object of an account. The next command opens it again. */
  reopen = (account) => this.gateway.control({ reopen: account });

  /** From now on, renewals of leases do not arrive, or arrive again. */
  missRenewals = (are = true) => this.gateway.control({ missed: are ? "Renew" : null });

  request = (key, fields) => chatRequest(key, { messages: HELLO, max_tokens: 1000, ...fields });
  url = (path = "/v1/chat/completions") => this.gateway.url + path;

  /** Starts a stream whose provider is driven by the test, up to its first word. */
  async beginStream(key, name, row = "any") {
    const held = this.stage.held(name);
    const answering = open(this.url(), this.request(key, { model: `${row}/${name}`, stream: true }));
    const exchange = await held;
    this.say(exchange, "first");
    const answer = await answering;
    await answer.until("first");
    return { exchange, answer };
  }

  /** The provider starts a stream with one word. */
  say(exchange, word) {
    exchange.openStream();
    exchange.write(event(chunk(exchange.request, { content: word })));
  }

  /** The provider ends the stream with its usage and everything that the client had not read. */
  finish({ exchange, answer }) {
    exchange.write(event(chunk(exchange.request, {}, { usage: USAGE })) + DONE);
    exchange.end();
    return answer?.rest();
  }

  ask = (key, model = "any/ok") => this.office.ask(key, model, { max_tokens: 1000 });

  /**
   * The receipts of a key, once there are `count` and `ready` accepts them. Asserts that the account is
   * consistent.
   */
  async settled(id, count, ready = () => true) {
    const receipts = await until(async () => {
      const found = await this.office.receipts(id);
      return found.length >= count && ready(found) && found;
    }, `${count} receipts of ${id}`);
    assert.equal(receipts.length, count, JSON.stringify(receipts));
    expectWhole(receipts);
    assert.deepEqual(await this.office.totals(id), sumsOf(receipts));
    return receipts;
  }

  /**
   * Asserts that a parent has the same receipts as its only member, except for when each learned of an end.
   * They count in the member's sums only.
   */
  async expectSame(team, member, count) {
    const of = async (id) => (await this.office.receipts(id)).map(({ number, ended_at, duration_ms, ...receipt }) => receipt);
    await until(async () => isDeepStrictEqual(await of(team), await of(member)), `in ${team} the receipts of ${member}`);
    assert.equal((await of(team)).length, count);
    assert.equal((await this.office.totals(team)).requests, 0);
  }
}

export const isLost = ({ outcome }) => outcome === "lost";
