// Token counts are subject to a key's limits and their cost is bounded. A disabled or expired parent closes
// every endpoint to its members.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { as, call, HELLO } from "./client.mjs";
import { STILL } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { closeAll, openSession, openSocket } from "./socket.mjs";
import { startStage } from "./stage.mjs";

const TOKENIZE = "/v1/tokenize";
const COUNT = "/v1/messages/count_tokens";
const TICKS_PER_SECOND = 100;

let stage;
let office;
before(async () => {
  stage = await startStage({ bindings: OFFICE, entry: "production.mjs" });
  // Neither a minute of a window passes unless a test says so, nor the seconds for which limits are relied on.
  await stage.gateway.control({ speed: STILL });
  office = new Office(stage.gateway.url);
});
after(() => (closeAll(), stage.stop()));

const ask = (key, path, body) => call(stage.gateway.url + path, { method: "POST", headers: as(key), body: JSON.stringify(body) });
const tokenize = (key, model = "any/gpt-4o") => ask(key, TOKENIZE, { model, input: "hello world" });
const countTokens = (key, model = "any/gpt-4o") => ask(key, COUNT, { model, max_tokens: 9, messages: HELLO });

/** The CPU time of workerd so far, in seconds. */
async function cpu() {
  const fields = (await readFile(`/proc/${stage.gateway.pid}/stat`, "latin1")).split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The account calls that `work` causes, and the rows that they write. */
async function cost(work) {
  const told = async () => {
    const { calls, rows } = await stage.gateway.control();
    return { calls: calls.ACCOUNTS ?? 0, written: rows.ACCOUNTS?.written ?? 0 };
  };
  const was = await told();
  await work();
  const is = await told();
  return { calls: is.calls - was.calls, written: is.written - was.written };
}

describe("a count", () => {
  for (const [path, count] of [
    [TOKENIZE, tokenize],
    [COUNT, countTokens],
  ]) {
    it(`of ${path} has ten for each request of the minute, and takes none of them`, async () => {
      const key = await office.key(`window-${path.length}`, { requests_per_minute: 1 });
      const answers = await Promise.all(Array.from({ length: 14 }, () => count(key)));
      const by = (status) => answers.filter((answer) => answer.status === status);
      assert.deepEqual({ admitted: by(200).length, refused: by(429).length }, { admitted: 10, refused: 4 });
      const { headers } = by(429)[0];
      assert.deepEqual(
        { "x-ratelimit-limit-requests": headers["x-ratelimit-limit-requests"], "x-ratelimit-remaining-requests": headers["x-ratelimit-remaining-requests"] },
        { "x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "0" },
      );
      assert.ok(Number(headers["retry-after"]) >= 1);
      assert.equal((await office.ask(key, "any/ok")).status, 200);
      assert.equal((await office.ask(key, "any/ok")).status, 429);
      await stage.gateway.control({ advance: 61_000 });
      assert.equal((await count(key)).status, 200);
    });

    it(`of ${path} obeys the key's models and the length of its bodies`, async () => {
      const key = await office.key(`shape-${path.length}`, { models: ["any/gpt-4o"], max_body_bytes: 200 });
      for (let time = 0; time < 2; time++) {
        assert.equal((await count(key)).status, 200);
        assert.equal((await count(key, "any/other")).status, 403);
        assert.equal((await ask(key, path, { model: "any/gpt-4o", max_tokens: 9, messages: [{ role: "user", content: "x".repeat(200) }] })).status, 413);
      }
    });

    it(`of ${path} counts as a concurrent request until it ends`, async () => {
      const key = await office.key(`room-${path.length}`, { concurrent_requests: 1 });
      for (let time = 0; time < 3; time++) assert.equal((await count(key)).status, 200);
      const chat = office.ask(key, "any/held");
      const exchange = await stage.held("held");
      const refused = await count(key);
      assert.equal(refused.status, 429);
      assert.match(refused.text, /allows 1 concurrent request\./);
      await stage.fake.behaviour("ok")(exchange);
      assert.equal((await chat).status, 200);
    });
  }

  it("costs a key without limits no call, and one with a window one call and one row", async () => {
    const [free, windowed] = [await office.key("free"), await office.key("windowed", { requests_per_minute: 100 })];
    for (const key of [free, windowed]) await tokenize(key);
    assert.deepEqual(await cost(() => tokenize(free)), { calls: 0, written: 0 });
    assert.deepEqual(await cost(() => countTokens(free)), { calls: 0, written: 0 });
    assert.deepEqual(await cost(() => tokenize(windowed)), { calls: 1, written: 1 });
  });

  it("is exact for a mebibyte, and an estimate beyond, which costs no more", async () => {
    const key = await office.key("long");
    const count = async (length) => {
      const text = "The quick brown fox jumps over the lazy dog. ".repeat(length / 45).slice(0, length);
      const was = await cpu();
      const answer = await ask(key, TOKENIZE, { model: "any/gpt-4o", input: text });
      return { ...answer.json(), spent: (await cpu()) - was };
    };
    await count(1000);
    const exact = await count(1 << 20);
    assert.equal(exact.estimated, false);
    const long = await count(20_000_000);
    assert.equal(long.estimated, true);
    const wanted = (exact.tokens * 20_000_000) / (1 << 20);
    assert.ok(Math.abs(long.tokens - wanted) < wanted / 100, `${long.tokens} of about ${wanted}`);
    console.log(`# CPU of a count: 1 MiB ${exact.spent.toFixed(2)} s, 20 MB ${long.spent.toFixed(2)} s`);
    // Counting all of it took 20 times as long as counting one mebibyte.
    assert.ok(long.spent < 5 * exact.spent + 1, `${long.spent} s, and a mebibyte took ${exact.spent} s`);
  });
});

describe("a parent that is no good", () => {
  for (const [what, change] of [
    ["switched off", { enabled: false }],
    ["past its end", { expires_at: 1 }],
  ]) {
    it(`closes every endpoint to its members at once, when it is ${what}`, async () => {
      const name = what.replaceAll(" ", "-").replaceAll("'", "");
      await office.key(`team-${name}`);
      const key = await office.key(`kid-${name}`, { parent: `team-${name}` });
      const get = (path) => () => call(stage.gateway.url + path, { headers: as(key) });
      const doors = {
        chat: () => office.ask(key, "any/ok"),
        models: get("/v1/models"),
        model: get("/v1/models/any%2Fok"),
        usage: get("/v1/usage"),
        tokenize: () => tokenize(key),
        count: () => countTokens(key),
      };
      const turn = (terms) => office.order("PATCH", `/keys/team-${name}`, terms);
      // One after the other, each after a call that fetched its limits: otherwise one of them could spare the
      // others the question.
      for (const [door, open] of Object.entries(doors)) {
        assert.equal((await open()).status, 200, door);
        await turn(change);
        assert.equal((await open()).status, 401, door);
        await turn({ enabled: true, expires_at: null });
        await stage.gateway.control({ advance: 4_000 });
      }
      const session = await openSession(stage.gateway.url, { key });
      await turn(change);
      session.chat({ model: "any/ok" }, { id: "late" });
      assert.equal((await session.answer("late")).at(-1).error.code, "invalid_api_key");
      await stage.gateway.control({ advance: 4_000 });
      assert.equal((await (await openSocket(stage.gateway.url, { key })).end()).code, 4401);
    });
  }
});
