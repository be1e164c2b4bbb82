// Receipts are right: each request that could cost something has one, the sums are those of the receipts, and
// both say what the provider served, whoever disconnects, fails or is killed.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import OpenAI, { RateLimitError } from "openai";
import { billing, expectCharge, expectWhole, PRICED, sumsOf } from "./bills.mjs";
import { as, begin, call, chatRequest, HELLO, open, until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { OFFICE, Office } from "./office.mjs";
import { PACE } from "./pace.mjs";
import { ASKING, DEAD_PORT, KEY, startStage } from "./stage.mjs";
import { runOut } from "./timed.mjs";

const config = (port) => (fake) => {
  const row = (name, keys, base = fake.base) =>
    `  ${name}: { base_url: "${base}", api_key_env: ANY_API_KEY, models: { "*": { ${PRICED} } }, ${keys} }`;
  const rows = [
    row("any", ""),
    row("checked", "relay: checked"),
    row("shy", "stream_usage: leave"),
    row("hasty", "clocks: { connect: 20 }"),
    row("impatient", "clocks: { idle: 20 }"),
    row("loyal", "on_disconnect: finish"),
    row("loyal-checked", "on_disconnect: finish, relay: checked"),
    row("lively", "keep_alive: 0.2"),
    row("keyless", "").replace("ANY_API_KEY", "KEYLESS_API_KEY"),
    row("gone", "", `http://127.0.0.1:${port}/v1`),
    `  listed: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { known: {} } }`,
  ];
  return ["providers:", ...rows, ""].join("\n");
};

const STREAM = { stream: true };
const TOLD = { stream: true, ...ASKING };

// The requests, and their receipts: status, outcome, and whether the bill, an estimate or nothing is charged.
// `turns`: the client leaves, before the head or after the first word. `hears`: the text that it has got
// before the provider goes on. `times`: the number of requests with the same id. `reaches`: whether the
// provider gets the request.
const KINDS = [
  { model: "any/bill", status: 200, outcome: "complete", charge: "billed" },
  { model: "any/bill", fields: TOLD, status: 200, outcome: "complete", charge: "billed" },
  { model: "any/bill", fields: STREAM, status: 200, outcome: "complete", charge: "billed" },
  { model: "checked/bill", fields: TOLD, status: 200, outcome: "complete", charge: "billed" },
  { model: "shy/bill", fields: STREAM, status: 200, outcome: "complete", charge: "estimate" },
  { model: "any/bill", times: 2, status: 200, outcome: "complete", charge: "billed" },
  { model: "any/bill", fields: TOLD, times: 10, status: 200, outcome: "complete", charge: "billed" },
  { model: "any/err-400-context", status: 400, outcome: "refused", charge: "nothing" },
  { model: "any/err-429", fields: STREAM, status: 429, outcome: "refused", charge: "nothing" },
  { model: "any/err-500", status: 500, outcome: "refused", charge: "nothing" },
  { model: "any/html-200", fields: STREAM, status: 502, outcome: "refused", charge: "nothing" },
  { model: "any/error-in-200", status: 502, outcome: "refused", charge: "nothing" },
  { model: "any/reset-before-headers", status: 502, outcome: "refused", charge: "nothing" },
  { model: "gone/bill", status: 502, outcome: "refused", charge: "nothing", reaches: false },
  { model: "any/cut-mid-stream", status: 502, outcome: "refused", charge: "estimate" },
  { model: "any/cut-mid-stream", fields: TOLD, status: 200, outcome: "truncated", charge: "estimate" },
  { model: "any/reset-late", fields: STREAM, hears: "Hello", status: 200, outcome: "truncated", charge: "estimate" },
  { model: "any/empty-stream", fields: TOLD, status: 502, outcome: "refused", charge: "estimate" },
  { model: "any/error-mid-stream", fields: TOLD, status: 200, outcome: "upstream_error", charge: "estimate" },
  { model: "any/document", fields: TOLD, status: 200, outcome: "complete", charge: "billed" },
  { model: "lively/reset-early", fields: TOLD, hears: ": keep-alive", status: 200, outcome: "truncated", charge: "estimate" },
  { model: "keyless/bill", status: 503, outcome: "refused", charge: "nothing", reaches: false },
  { model: "hasty/silent", status: 504, outcome: "refused", charge: "estimate" },
  { model: "hasty/silent", fields: TOLD, status: 504, outcome: "refused", charge: "estimate" },
  { model: "impatient/stalled", fields: TOLD, status: 200, outcome: "timed_out", charge: "estimate" },
  { model: "impatient/stalled", fields: STREAM, status: 200, outcome: "timed_out", charge: "estimate" },
  { model: "any/left-alone", turns: "before", outcome: "client_closed", charge: "estimate" },
  { model: "any/left-alone", fields: TOLD, turns: "before", outcome: "client_closed", charge: "estimate" },
  { model: "any/left-at-the-head", fields: TOLD, turns: "before", outcome: "client_closed", charge: "estimate" },
  { model: "any/left-at-the-head", turns: "before", outcome: "client_closed", charge: "estimate" },
  { model: "loyal/heard-out", fields: TOLD, turns: "midst", status: 200, outcome: "client_closed", charge: "billed" },
  { model: "loyal/heard-out", fields: STREAM, turns: "midst", status: 200, outcome: "client_closed", charge: "billed" },
  { model: "loyal-checked/heard-out", fields: TOLD, turns: "midst", status: 200, outcome: "client_closed", charge: "billed" },
  { model: "any/stalled", fields: TOLD, turns: "midst", status: 200, outcome: "client_closed", charge: "estimate" },
  { model: "any/stalled", fields: STREAM, turns: "midst", status: 200, outcome: "client_closed", charge: "estimate" },
  { model: "listed/unknown", refused: 404 },
  { body: '{"model":', refused: 400 },
];
const ROUNDS = 3;
/** Whether a time limit has to pass for a request of this kind. */
const isTimed = ({ model }) => /^(hasty|impatient)\//.test(model);
/** The speed of the clock during the storm, so that all of it reaches the provider within those time limits. */
const SLOW = 0.2;

describe("the books", () => {
  let stage, office;
  const keys = {};
  const leavers = new Map();
  const cues = new Map();
  /** The events that one request waits for. */
  const cueOf = (user) => cues.get(user) ?? cues.set(user, Promise.withResolvers()).get(user);
  before(async () => {
    stage = await startStage({ config: config(DEAD_PORT), bindings: OFFICE, pace: PACE, entry: "production.mjs" });
    office = new Office(stage.gateway.url);
    const ways = billing({ turn: (user) => leavers.get(user)(), cue: (user) => cueOf(user).promise });
    for (const [name, way] of Object.entries(ways)) stage.fake.behave(name, way);
  });
  after(async () => {
    const printed = [...stage.gateway.lines, ...stage.gateway.complaints].join("\n");
    for (const key of Object.values(keys)) {
      assert.ok(!printed.includes(key) && !printed.includes(key.slice(-40)), "a key in the log");
    }
    await stage.stop();
  });

  const make = async (id, terms) => (keys[id] = await office.key(id, terms));
  let sent = 0;
  /** The users of requests that wait for a time limit, and the ids of the others that have receipts. */
  const timed = new Set();
  const others = [];
  const isEnd = ({ event }) => /^request_(complete|error)$/.test(event);

  /** Sends a request and follows it to its end: its id, its kind, and the status of the response. */
  async function send(key, kind, id) {
    const user = `${id}.${++sent}`;
    if (isTimed(kind)) timed.add(user);
    else if (!kind.refused) others.push(id);
    const body = kind.body ?? { model: kind.model, messages: HELLO, seed: Number(user.split(".").at(-1)), user, ...kind.fields };
    const request = chatRequest(key, body, { "x-request-id": id, "idempotency-key": id });
    const url = `${stage.gateway.url}/v1/chat/completions`;
    if (kind.turns === "before") {
      const caller = begin(url, request);
      leavers.set(user, caller.leave);
      await assert.rejects(caller.answering);
      return { id, user, kind };
    }
    if (kind.turns === "midst") {
      const answer = await open(url, request);
      await answer.until("Hello");
      answer.leave();
      cueOf(user).resolve();
      return { id, user, kind };
    }
    if (kind.hears) {
      const answer = await open(url, request);
      await answer.until(kind.hears);
      cueOf(user).resolve();
      await answer.rest();
      return { id, user, kind, answer };
    }
    const answer = await call(url, request);
    return { id, user, kind, answer };
  }

  /** All kinds of requests with one key, at once. */
  function storm(name, key) {
    const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));
    const ids = ({ times: n = 1 }, round, index) => times(n, () => `${name}-${index}-${round}`);
    const jobs = times(ROUNDS, (round) => KINDS.flatMap((kind, index) => ids(kind, round, index).map((id) => [kind, id])));
    return Promise.all(jobs.flat().map(([kind, id]) => send(key, kind, id)));
  }

  /**
   * Asserts that the receipts of a key are those of these requests, and that each says what its provider did.
   */
  function expectReceipts(receipts, asked) {
    const records = Map.groupBy(stage.fake.requests, ({ request }) => request?.user);
    const booked = asked.filter(({ kind }) => !kind.refused);
    for (const { kind, user, answer } of asked) {
      assert.equal(records.get(user)?.length ?? 0, kind.refused || kind.reaches === false ? 0 : 1, `${user} at the provider`);
      if (answer) assert.equal(answer.status, kind.refused ?? kind.status, answer.text);
    }
    const byId = Map.groupBy(receipts, ({ request_id }) => request_id);
    for (const [id, same] of Map.groupBy(booked, ({ id }) => id)) {
      const { kind } = same[0];
      const theirs = byId.get(id) ?? [];
      assert.equal(theirs.length, same.length, `receipts of ${id} (${JSON.stringify(kind)})`);
      // Requests that share an id are distinguished by the lengths of their prompts.
      const heard = same.map(({ user }) => records.get(user)?.[0]);
      const inOrder = (a, b) => (a?.billed?.prompt_tokens ?? 0) - (b?.billed?.prompt_tokens ?? 0);
      heard.sort(inOrder);
      theirs.sort((a, b) => a.tokens?.prompt - b.tokens?.prompt);
      theirs.forEach((receipt, index) => expectOne(receipt, kind, heard[index]));
    }
    assert.equal(receipts.length, booked.length);
  }

  function expectOne(receipt, kind, record) {
    const { model, stream, outcome, status } = receipt;
    const context = JSON.stringify({ kind, receipt });
    assert.equal(`${receipt.provider}/${model}`, kind.model, context);
    assert.deepEqual({ stream, outcome }, { stream: kind.fields?.stream === true, outcome: kind.outcome }, context);
    if (kind.status) assert.equal(status, kind.status, context);
    // Configured keys, and the key without limits, have no budget.
    expectCharge(receipt, kind.charge, record, /^vk_/.test(receipt.key_id) && receipt.key_id !== "vk_free");
  }

  /** Asserts that every query for sums gives those of the receipts. */
  async function expectSums(keyId, receipts, key) {
    const { totals, data } = await office.order("GET", `/usage?key=${keyId}`);
    assert.deepEqual(totals, sumsOf(receipts));
    const rows = new Map(Object.entries(Object.groupBy(receipts, ({ provider, model }) => `${provider}/${model}`)));
    const days = new Set(receipts.flatMap(({ started_at, ended_at }) => [started_at.slice(0, 10), ended_at.slice(0, 10)]));
    for (const { key_id, provider, model, day, ...sums } of data) {
      assert.ok(key_id === keyId && days.has(day), `${key_id} ${day}`);
      if (days.size === 1) assert.deepEqual(sums, sumsOf(rows.get(`${provider}/${model}`)), `${provider}/${model}`);
    }
    if (days.size === 1) assert.equal(data.length, rows.size);
    const own = await call(`${stage.gateway.url}/v1/usage`, { headers: as(key) });
    const bare = data.map(({ key_id, ...row }) => row);
    assert.deepEqual({ totals: own.json().totals, data: own.json().data }, { totals, data: bare }, "what the caller sees");
    const models = (await office.order("GET", `/usage?key=${keyId}&group_by=model`)).data;
    assert.equal(models.reduce((sum, { requests }) => sum + requests, 0), receipts.length);
  }

  /** Asserts that a key has the receipts of these requests and no others, and returns them. */
  async function expectBooks(keyId, key, asked) {
    await office.totals(keyId, asked.filter(({ kind }) => !kind.refused).length);
    const receipts = await office.receipts(keyId);
    expectWhole(receipts);
    expectReceipts(receipts, asked);
    await expectSums(keyId, receipts, key);
    return receipts;
  }

  it("hold one receipt for each request of whatever end, and their sums, and what the provider billed", async () => {
    await make("free");
    await make("limited", { budget: { amount_nanos: 1e12, per: "day" }, requests_per_minute: 10_000, concurrent_requests: 1000 });
    const hands = { static: KEY, free: keys.free, limited: keys.limited };
    await stage.gateway.control({ speed: SLOW });
    const storms = Promise.all(Object.entries(hands).map(async ([name, key]) => [name, key, await storm(name, key)]));
    const areWaiting = () => {
      const over = stage.gateway.logs().filter((entry) => isEnd(entry) && others.includes(entry.request_id)).length;
      return over >= others.length && stage.fake.requests.filter(({ request }) => timed.has(request?.user)).length === timed.size;
    };
    await Promise.race([storms, until(areWaiting, "all but the time limits", 120_000)]);
    await runOut(stage.gateway, storms);
    await stage.gateway.control({ speed: 1 });
    const asked = await storms;
    const list = await office.order("GET", "/usage?group_by=key");
    const { key_id: staticId } = list.data.find(({ key_id }) => key_id.startsWith("key_"));
    const all = [];
    for (const [name, key, requests] of asked) {
      const keyId = name === "static" ? staticId : `vk_${name}`;
      all.push(...(await expectBooks(keyId, key, requests)));
    }
    assert.ok(all.length >= 300, `${all.length} receipts`);
    assert.equal(new Set(all.map(({ id }) => id)).size, all.length);
    const { totals } = await office.order("GET", "/usage");
    assert.deepEqual(totals, sumsOf(all), "all keys together");
    const missed = all.filter(({ provider }) => ["gone", "keyless"].includes(provider)).length;
    assert.equal(all.length, stage.fake.requests.length + missed, "what the provider heard, and what it could not");
    await expectLog(all);
  });

  /** Asserts that the log reports each receipt once, with the same tokens. */
  async function expectLog(receipts) {
    const ids = new Set(receipts.map(({ request_id }) => request_id));
    const found = () => stage.gateway.logs().filter((entry) => isEnd(entry) && ids.has(entry.request_id));
    await until(() => found().length >= receipts.length, "all ends in the log");
    const ends = found();
    const told = Map.groupBy(ends, ({ request_id }) => request_id);
    for (const [id, same] of Map.groupBy(receipts, ({ request_id }) => request_id)) {
      const line = ({ input_tokens, output_tokens, outcome }) => `${outcome} ${input_tokens} ${output_tokens}`;
      const lineOf = ({ tokens, outcome }) => `${outcome} ${tokens?.prompt} ${tokens?.completion}`;
      assert.deepEqual(told.get(id)?.map(line).sort(), same.map(lineOf).sort(), id);
    }
  }

  it("hold nothing of what a limit refused", async () => {
    await make("tight", { requests_per_minute: 8, concurrent_requests: 5, budget: { amount_nanos: 1e9, per: "month" } });
    const kind = { model: "any/bill-slowly", status: 200, outcome: "complete", charge: "billed" };
    const wave = () => Promise.all(Array.from({ length: 30 }, (_, n) => send(keys.tight, kind, `tight-${n}`)));
    const first = await wave();
    await office.totals("tight", 5);
    const asked = [...first, ...(await wave())];
    const isGranted = ({ answer }) => answer.status === 200;
    assert.ok(first.filter(isGranted).length >= 5);
    assert.equal(asked.filter(isGranted).length, 8);
    for (const { answer, user } of asked.filter((one) => !isGranted(one))) {
      assert.deepEqual({ status: answer.status, code: answer.json().error.code }, { status: 429, code: "rate_limit_exceeded" });
      assert.ok(!stage.fake.requests.some(({ request }) => request?.user === user), "refused, but sent");
    }
    await expectBooks("vk_tight", keys.tight, asked.filter(isGranted));
  });

  it("of a team's members hold what each used, and those of the team the same receipts", async () => {
    await make("team", { budget: { amount_nanos: 1e12, per: "total" } });
    const members = ["ann", "bob"];
    await Promise.all(members.map((id) => make(id, { parent: "team" })));
    const waves = members.map((id) => Promise.all(KINDS.slice(0, 5).map((kind, n) => send(keys[id], kind, `${id}-${n}`))));
    const asked = await Promise.all(waves);
    const all = await Promise.all(members.map((id, index) => expectBooks(`vk_${id}`, keys[id], asked[index])));
    const team = await until(async () => {
      const receipts = await office.receipts("team");
      return receipts.length >= 10 && receipts;
    }, "ten receipts of the team");
    expectWhole(team);
    const inOrder = (receipts) => receipts.map(({ number, ...receipt }) => receipt).sort((a, b) => a.id.localeCompare(b.id));
    assert.deepEqual(inOrder(team), inOrder(all.flat()));
    assert.equal((await office.totals("team")).requests, 0, "the team itself asked for nothing");
  });

  it("of fifty keys at once are not mixed up", async () => {
    const ids = Array.from({ length: 50 }, (_, n) => `many-${n}`);
    await Promise.all(ids.map((id, n) => make(id, n % 2 ? { requests_per_minute: 1000 } : {})));
    const kinds = [...KINDS.slice(0, 3), KINDS.find(({ charge }) => charge === "nothing")];
    const wave = (id) => Promise.all(Array.from({ length: 20 }, (_, n) => send(keys[id], kinds[n % kinds.length], `${id}-${n}`)));
    const asked = await Promise.all(ids.map(wave));
    const all = await Promise.all(ids.map((id, n) => expectBooks(`vk_${id}`, keys[id], asked[n])));
    assert.equal(new Set(all.flat().map(({ id }) => id)).size, 1000);
  });
});

describe("the caller's own sums", () => {
  let stage;
  before(async () => {
    stage = await startStage();
    assert.equal((await stage.ask("any/ok")).status, 200);
  });
  after(() => stage.stop());

  const usage = (query) => stage.request(`/v1/usage${query}`);
  const day = (ago) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
  const requests = async (query) => (await usage(query)).json().totals.requests;

  it("are those of the days that are asked for", async () => {
    await until(() => requests(""), "a request in the books");
    // One that was not asked for at midnight.
    const all = await until(async () => {
      const today = day(0);
      const found = (await usage("")).json();
      return today === day(0) && found;
    }, "the sums of one day");
    assert.deepEqual({ requests: all.totals.requests, to: all.to, from: all.from }, { requests: 1, to: day(0), from: day(29) });
    assert.deepEqual(all.data.map(({ provider, model }) => [provider, model]), [["any", "ok"]]);
    const booked = all.data[0].day;
    assert.equal(await requests(`?from=${booked}&to=${booked}`), 1);
    assert.equal(await requests(`?from=${day(40)}&to=${day(2)}`), 0);
    assert.equal(await requests(`?from=${day(-2)}&to=${day(-3)}`), 0);
    assert.deepEqual((await usage("?group_by=")).json().data.map((row) => [row.model, row.requests]), [[undefined, 1]]);
    assert.equal((await call(`${stage.gateway.url}/usage`, { headers: as(KEY) })).json().totals.requests, 1);
  });

  for (const [query, code, param] of [
    ["?from=today", "invalid_value", "from"],
    ["?from=2026-13-01", "invalid_value", "from"],
    ["?to=2026-02-30", "invalid_value", "to"],
    ["?to=2026-2-3", "invalid_value", "to"],
    ["?to=", "invalid_value", "to"],
    ["?to=99999-01-01", "invalid_value", "to"],
    ["?from=2026-11-23&to=2026-11-22", "invalid_value", "from"],
    ["?from=2025-01-01&to=2026-11-22", "invalid_value", "from"],
    ["?from=2026-11-22&from=2026-11-23", "duplicate_key", "from"],
    ["?group_by=key", "invalid_value", "group_by"],
    ["?key=vk_other", "unknown_parameter", "key"],
  ]) {
    it(`are not told for ${query}`, async () => {
      expectError(await usage(query), { status: 400, type: "invalid_request_error", code, param });
    });
  }

  it("are told to nobody without a key", async () => {
    const answer = await call(`${stage.gateway.url}/v1/usage`);
    expectError(answer, { status: 401, type: "invalid_request_error", code: "invalid_api_key" });
  });
});

describe("a limit, to the official client", () => {
  let stage, office;
  before(async () => {
    stage = await startStage({ config: config(1), bindings: OFFICE });
    office = new Office(stage.gateway.url);
    stage.fake.behave("bill", billing().bill);
  });
  after(() => stage.stop());

  const client = (apiKey, options) => new OpenAI({ baseURL: `${stage.gateway.url}/v1`, apiKey, ...options });
  const chat = (openai, model = "any/bill") => openai.chat.completions.create({ model, messages: HELLO, seed: 1 });
  const ends = (id) => stage.gateway.logs().filter(({ event, key_id }) => key_id === `vk_${id}` && event !== "request_start");

  async function refused(promise, code) {
    const error = await promise.then(() => assert.fail("granted"), (error) => error);
    assert.ok(error instanceof RateLimitError, `${error}`);
    assert.deepEqual({ status: error.status, code: error.code }, { status: 429, code });
    return error;
  }

  it("of money is a RateLimitError, and not worth another try", async () => {
    const openai = client(await office.key("poor", { budget: { amount_nanos: 1, per: "day" } }), { maxRetries: 5 });
    const error = await refused(chat(openai), "insufficient_quota");
    assert.equal(error.headers.get("x-should-retry"), "false");
    await until(() => ends("poor").length > 0, "its end in the log");
    assert.deepEqual(ends("poor").map(({ status }) => status), [429], "tried once");
    assert.equal(stage.fake.requests.length, 0);
  });

  it("of requests in a minute is a RateLimitError that says when to come again", async () => {
    const openai = client(await office.key("calm", { requests_per_minute: 1 }), { maxRetries: 0 });
    const asked = Date.now();
    await chat(openai);
    const error = await refused(chat(openai), "rate_limit_exceeded");
    const wait = Number(error.headers.get("retry-after"));
    assert.ok(wait >= 60 - Math.ceil((Date.now() - asked) / 1000) && wait <= 61, `${wait} s`);
    assert.equal(error.headers.get("x-should-retry"), null);
  });

  it("of requests at one time is waited for", async () => {
    const openai = client(await office.key("narrow", { concurrent_requests: 1 }), { maxRetries: 9 });
    const holding = stage.held("held");
    const first = chat(openai, "any/held");
    const held = await holding;
    const second = chat(openai);
    await until(() => ends("narrow").length > 0, "the second request to be refused");
    billing().bill(held);
    assert.deepEqual((await Promise.all([first, second])).map(({ usage }) => usage.prompt_tokens), [101, 101]);
    const statuses = await until(() => ends("narrow").length > 2 && ends("narrow").map(({ status }) => status), "all ends in the log");
    assert.deepEqual(
      { first: statuses[0], admitted: statuses.filter((status) => status === 200).length },
      { first: 429, admitted: 2 },
    );
  });
});
