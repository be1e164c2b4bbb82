// The gateway's entry module, wrapped for tests: it imposes what only Cloudflare does, and gives the test the
// clock. A request to CONTROL changes this state and returns it (`gateway.control()` in harness.mjs).
//
// - The clock: `Date.now` and `setTimeout`, of requests and of objects, follow a clock that the test can set
//   forward (`advance`, milliseconds) and let run faster (`speed`). Alarms of objects keep the runtime's clock.
// - Disconnects: `cut` milliseconds of that clock after its client has left, a request is ended without notice,
//   as on Cloudflare after 30 s (`cut: 30000`; null ends nothing). `cuts` counts these.
// - Objects: calls are counted by the name of their binding. `away` names those that do not respond, and how:
//   `{ ACCOUNTS: "fails" }` refuses at once, `"hangs"` keeps the caller waiting until the object is back
//   (`away: {}`); `waiting` counts these calls by the name of their command. `missed: "Renew"` drops commands of
//   this name to an account. `reopen: "vk_a"` closes the object of this account, as the platform closes an idle
//   one: the next command opens it again; `operations` is the operations object. `far: { OPERATIONS: 100 }` delays
//   its responses by so many milliseconds of the real clock. `full: true` lets stores refuse new rows. `feed` gives
//   that object batches, `alarm: true` calls its alarm, `alarm: "vk_a"` that of this account. `planned: true` returns
//   as `planned` when its alarm is set, in milliseconds since 1970, or null.
// - Regions: `regions` counts the calls of providers by the names of their objects, and has the hints with which the gateway asks for
//   them. `relay: { object, url, headers, body }` calls such an object as another isolate does;
//   `close: "wnam-0"` closes one.
// - Places: requests come to the data center that `x-test-data-center` names.
// - Responses: while `untaken` is a number (initially 0), the runtime gets responses below /v1 only when their
//   clients have left, as if they had left at that moment. Each waiting response increments it.

import gateway, * as objects from "../../src/worker.mjs";

const CONTROL = "/test/control";
/** Where the gateway's requests to its objects go, unless an object calls a provider. */
const COMMANDS = "https://object/";
/** The request that makes an object close itself. */
const CLOSE = "https://object/test/close";
/** The request that makes an object do what its alarm does. */
const ALARM = "https://object/test/alarm";
/** The request that asks an object when its alarm is set. */
const PLANNED = "https://object/test/planned";
/**
 * The interval at which waiting timers look at the clock, in milliseconds: each in its own request, because a
 * request may not wake another's.
 */
const LOOK = 5;

const platform = { now: Date.now, setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
const clock = { from: undefined, at: 0, speed: 1 };
const state = { cut: null, cuts: 0, away: {}, far: {}, missed: null, waiting: {}, calls: {}, rows: {}, full: false, untaken: null, regions: { calls: {}, hints: {} } };

const real = () => platform.now.call(Date);

function now() {
  // Outside of requests there is no time.
  clock.from ??= real() || undefined;
  return clock.from === undefined ? real() : Math.floor(clock.from + clock.at + (real() - clock.from) * clock.speed);
}

function setClock({ advance = 0, speed = clock.speed }) {
  const then = now() + advance;
  Object.assign(clock, { from: real(), speed });
  clock.at = then - clock.from;
}

const timers = new Map();
let newest = 0;

/** Calls `work` when the clock has advanced by `ms`. */
function later(work, ms = 0, ...words) {
  const id = ++newest;
  const due = now() + ms;
  const look = () => {
    const left = due - now();
    if (left > 0) return void timers.set(id, platform.setTimeout.call(globalThis, look, Math.min(left / clock.speed, LOOK)));
    timers.delete(id);
    work(...words);
  };
  timers.set(id, platform.setTimeout.call(globalThis, look, Math.min(Math.max(ms, 0) / clock.speed, LOOK)));
  return id;
}

Date.now = now;
globalThis.setTimeout = later;
globalThis.clearTimeout = (id) => {
  platform.clearTimeout.call(globalThis, timers.get(id));
  timers.delete(id);
};

/**
 * The cursors of the current command. An object reads and writes in one step, so they never belong to two.
 */
let cursors = [];
let watched = false;

function watch(sql) {
  if (watched) return;
  watched = true;
  const kind = Object.getPrototypeOf(sql);
  const { exec } = kind;
  kind.exec = function (...words) {
    if (state.full && !/^(SELECT|WITH|DELETE|UPDATE)/.test(words[0])) throw new Error("database or disk is full: SQLITE_FULL");
    const cursor = exec.apply(this, words);
    cursors.push(cursor);
    return cursor;
  };
}

/** An object of class `Kind` whose calls are counted, and which may be away. */
const observed = (binding, Kind) =>
  class extends Kind {
    constructor(context, env) {
      watch(context.storage.sql);
      super(context, env);
      this.name = context.id.name;
      this.planned = () => context.storage.getAlarm();
      this.close = () => context.abort(new Error("closed by the test"));
    }

    /** Waits until the objects are back, and counts the command as waiting meanwhile. */
    async wait(body) {
      const command = /^{"(\w+)"/.exec(body)?.[1];
      state.waiting[command] = (state.waiting[command] ?? 0) + 1;
      while (state.away[binding]) await new Promise((resolve) => platform.setTimeout.call(globalThis, resolve, LOOK));
      state.waiting[command]--;
    }

    async fetch(request) {
      if (request.url === CLOSE) return this.close();
      if (request.url === ALARM) return super.alarm();
      if (request.url === PLANNED) return Response.json(await this.planned());
      state.calls[binding] = (state.calls[binding] ?? 0) + 1;
      // Operators ask objects where they are, in no order with the calls of a test.
      if (binding === "REGIONS" && !request.url.startsWith(COMMANDS)) state.regions.calls[this.name] = (state.regions.calls[this.name] ?? 0) + 1;
      const isMissed = state.missed && (await request.clone().text()).startsWith(`{"${state.missed}"`);
      if (isMissed || state.away[binding] === "fails") throw new Error(`${binding} is away`);
      if (state.away[binding]) await this.wait(await request.clone().text());
      cursors = [];
      const answer = await super.fetch(request);
      const rows = (state.rows[binding] ??= { read: 0, written: 0 });
      for (const { rowsRead, rowsWritten } of cursors.splice(0)) {
        rows.read += rowsRead;
        rows.written += rowsWritten;
      }
      if (state.far[binding]) await new Promise((resolve) => platform.setTimeout.call(globalThis, resolve, state.far[binding]));
      return answer;
    }
  };

export const Account = observed("ACCOUNTS", objects.Account);
export const Directory = observed("DIRECTORY", objects.Directory);
// Older builds do not have it.
export const Health = objects.Health && observed("HEALTH", objects.Health);
export const Operations = objects.Operations && observed("OPERATIONS", objects.Operations);
export const Region = objects.Region && observed("REGIONS", objects.Region);
export const LogFiles = objects.LogFiles && observed("LOG_FILES", objects.LogFiles);
export const Session = observed("SESSIONS", objects.Session);
export const Vault = observed("VAULTS", objects.Vault);

/** The bindings, which note the hints for regions. */
const noted = (env) =>
  env.REGIONS
    ? {
        ...env,
        REGIONS: {
          getByName(name, options) {
            state.regions.hints[name] = options.locationHint;
            return env.REGIONS.getByName(name, options);
          },
        },
      }
    : env;

async function control(request, env) {
  const { advance, speed, reopen, feed, alarm, planned, relay, close, ...more } = await request.json();
  if (relay) return env.REGIONS.getByName(relay.object).fetch(relay.url, { method: relay.method ?? "POST", headers: relay.headers, body: relay.body });
  const operations = () => env.OPERATIONS.getByName("only");
  if (reopen) await (reopen === "operations" ? operations() : env.ACCOUNTS.getByName(reopen)).fetch(CLOSE).catch(() => {});
  if (close) await env.REGIONS.getByName(close).fetch(CLOSE).catch(() => {});
  setClock({ advance, speed });
  for (const batch of feed ?? []) {
    const answer = await operations().fetch("https://object/record", { method: "POST", body: JSON.stringify(batch) });
    if (!answer.ok) throw new Error(await answer.text());
  }
  if (alarm) await (alarm === true ? operations() : env.ACCOUNTS.getByName(alarm)).fetch(ALARM);
  Object.assign(state, more);
  const asked = planned ? { planned: await (await operations().fetch(PLANNED)).json() } : {};
  return Response.json({ now: now(), ...state, ...asked });
}

/** A response that arrives only when its client leaves. */
async function afterClient({ signal }, answering) {
  const answer = await answering;
  state.untaken++;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  return answer;
}

export default {
  fetch(request, env, context) {
    if (new URL(request.url).pathname === CONTROL) return control(request, env);
    const colo = request.headers.get("x-test-data-center");
    if (colo) request = new Request(request, { cf: { colo } });
    const left = () => {
      if (state.cut === null) return;
      later(() => {
        state.cuts++;
        context.abort(new Error("cut: the client left"));
      }, state.cut);
    };
    request.signal.addEventListener("abort", left);
    const answer = gateway.fetch(request, noted(env), context);
    const waits = state.untaken !== null && new URL(request.url).pathname.startsWith("/v1/");
    return waits ? afterClient(request, answer) : answer;
  },
};
