// Limits hold under concurrency, and when the process dies in between.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { errorBody } from "./behaviours.mjs";
import { until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { startGateway, STILL } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { PROVIDER_KEY, startStage } from "./stage.mjs";

// A request costs one cent, whatever its length.
const CENT = 10_000_000;
const PRICE = "price: { input: 0, output: 0, per_request: 0.01 }, max_output: 1000";
const config = (fake) => `
providers:
  any:
    base_url: ${fake.base}
    models: { ok: { ${PRICE} }, slow: { ${PRICE} }, tokens: { price: { input: 100, output: 1000 }, max_output: 50 }, unpriced: {}, other: { ${PRICE} } }
`;

const tally = (answers) => Object.groupBy(answers, ({ status }) => status);
const count = (answers, status) => tally(answers)[status]?.length ?? 0;
const crowd = (number, ask) => Promise.all(Array.from({ length: number }, (_, n) => ask(n)));

describe("a limit", () => {
  let stage, office;
  before(async () => {
    stage = await startStage({ config, bindings: OFFICE, entry: "production.mjs" });
    // No minute passes unless a test says so, however long a crowd takes.
    await stage.gateway.control({ speed: STILL });
    office = new Office(stage.gateway.url);
    const ok = stage.fake.behaviour("ok");
    stage.fake.behave("tokens", ok);
    stage.fake.behave("other", ok);
    stage.fake.behave("unpriced", ok);
  });
  after(() => stage.stop());

  const served = (model) => stage.fake.requests.filter(({ request }) => request?.model === model).length;

  it("of money lets a hundred of a thousand through, to the nano-dollar", async () => {
    const key = await office.key("rich", { budget: { amount_nanos: 100 * CENT, per: "total" } });
    const answers = await crowd(1000, () => office.ask(key, "any/ok"));
    assert.deepEqual(
      { admitted: count(answers, 200), refused: count(answers, 429) },
      { admitted: 100, refused: 900 },
    );
    assert.equal(served("ok"), 100);
    const totals = await office.totals("rich", 100);
    assert.deepEqual({ requests: totals.requests, cost_nanos: totals.cost_nanos }, { requests: 100, cost_nanos: 100 * CENT });
    const refused = answers.find(({ status }) => status === 429);
    expectError(refused, { status: 429, type: "insufficient_quota", code: "insufficient_quota", param: null });
    // Nothing is left, and nothing is returned.
    const last = await office.ask(key, "any/ok");
    assert.deepEqual({ status: last.status, "x-should-retry": last.headers["x-should-retry"] }, { status: 429, "x-should-retry": "false" });
  });

  it("of money promises the most and charges the truth", async () => {
    // 9 tokens in and 7 out: 7.9 million nano-dollars. Reserved are the body's bytes and 50 tokens.
    const [budget, cost] = [400_000_000, 7_900_000];
    const key = await office.key("exact", { budget: { amount_nanos: budget, per: "day" } });
    let granted = 0;
    for (let n = 0; n < 200; n++) {
      const answer = await office.ask(key, "any/tokens");
      if (answer.status === 429) break;
      assert.equal(answer.headers["x-llm-bridge-cost"], "0.0079");
      granted++;
      if (n % 10 === 9) await office.totals("exact", granted);
    }
    const totals = await office.totals("exact", granted);
    assert.equal(totals.cost_nanos, granted * cost);
    assert.ok(totals.cost_nanos <= budget && granted > 20, `${granted} requests`);
  });

  it("of money wants to know the price", async () => {
    const key = await office.key("careful", { budget: { amount_nanos: CENT, per: "month" } });
    expectError(await office.ask(key, "any/unpriced"), { status: 403, type: "invalid_request_error", code: "price_unknown", param: "model" });
  });

  it("gives back what a refused request was promised", async () => {
    stage.fake.behave("refusing", (exchange) => exchange.json(429, errorBody({ message: "slow down", code: "rate_limit_exceeded" })));
    const key = await office.key("unlucky", { budget: { amount_nanos: CENT, per: "total" }, models: ["any/*"] });
    stage.fake.behave("other", (exchange) => exchange.json(500, errorBody({ message: "no", code: null })));
    for (let n = 1; n <= 3; n++) {
      assert.equal((await office.ask(key, "any/other")).status, 500);
      await office.totals("unlucky", n);
    }
    stage.fake.behave("other", stage.fake.behaviour("ok"));
    assert.equal((await office.ask(key, "any/other")).status, 200);
    assert.equal((await office.ask(key, "any/other")).status, 429);
  });

  it("of requests in a minute lets so many through and tells what is left", async () => {
    const key = await office.key("busy", { requests_per_minute: 5 });
    const answers = await crowd(20, () => office.ask(key, "any/ok"));
    assert.deepEqual(
      { admitted: count(answers, 200), refused: count(answers, 429) },
      { admitted: 5, refused: 15 },
    );
    const left = answers.filter(({ status }) => status === 200).map(({ headers }) => Number(headers["x-ratelimit-remaining-requests"]));
    assert.deepEqual(left.sort(), [0, 1, 2, 3, 4]);
    const refused = answers.find(({ status }) => status === 429);
    expectError(refused, { status: 429, type: "invalid_request_error", code: "rate_limit_exceeded", param: null });
    assert.equal(refused.headers["x-ratelimit-limit-requests"], "5");
    const wait = Number(refused.headers["retry-after"]);
    assert.ok(wait >= 60 && wait <= 61, `${wait} s`);
    const [, minutes = 0, seconds] = /^(?:(\d)m)?(\d+(?:\.\d+)?)s$/.exec(refused.headers["x-ratelimit-reset-requests"]);
    assert.ok(minutes * 60 + Number(seconds) >= 60 && minutes * 60 + Number(seconds) <= 61, `${minutes} m ${seconds} s`);
  });

  it("of tokens in a minute counts the most first, and then the truth", async () => {
    // Reserved are the body's bytes and 50 tokens; 16 are used.
    const key = await office.key("wordy", { tokens_per_minute: 400 });
    const first = await office.ask(key, "any/tokens", { max_tokens: 50 });
    assert.equal(first.status, 200);
    assert.ok(Number(first.headers["x-ratelimit-remaining-tokens"]) < 350);
    await office.totals("wordy", 1);
    const second = await office.ask(key, "any/tokens", { max_tokens: 50 });
    const promised = 400 - Number(first.headers["x-ratelimit-remaining-tokens"]);
    assert.equal(Number(second.headers["x-ratelimit-remaining-tokens"]), 400 - 16 - promised);
    const flood = await crowd(10, () => office.ask(key, "any/tokens", { max_tokens: 50 }));
    assert.ok(count(flood, 429) >= 6, `${count(flood, 429)} refused`);
  });

  it("of requests at one time holds, and ends with them", async () => {
    const key = await office.key("narrow", { concurrent_requests: 3 });
    // The admitted requests get their response after all others have been refused.
    const others = Promise.withResolvers();
    stage.fake.behave("slow", (exchange) => others.promise.then(() => stage.fake.behaviour("ok")(exchange)));
    let refused = 0;
    const answers = await crowd(12, async () => {
      const answer = await office.ask(key, "any/slow");
      if (answer.status !== 200 && ++refused === 9) others.resolve();
      return answer;
    });
    assert.deepEqual(
      { admitted: count(answers, 200), refused: count(answers, 429) },
      { admitted: 3, refused: 9 },
    );
    await office.totals("narrow", 3);
    assert.equal((await office.ask(key, "any/ok")).status, 200);
  });

  it("of a team holds for its members together", async () => {
    await office.key("team", { budget: { amount_nanos: 10 * CENT, per: "total" } });
    const [ann, bob] = await Promise.all(["ann", "bob"].map((id) => office.key(id, { parent: "team", requests_per_minute: 100 })));
    const answers = await crowd(40, (n) => office.ask(n % 2 ? ann : bob, "any/ok"));
    assert.deepEqual(
      { admitted: count(answers, 200), refused: count(answers, 429) },
      { admitted: 10, refused: 30 },
    );
    const both = async () => [await office.totals("ann"), await office.totals("bob")];
    const [a, b] = await until(async () => {
      const [a, b] = await both();
      return a.requests + b.requests >= 10 && [a, b];
    }, "ten receipts of both");
    assert.equal(a.cost_nanos + b.cost_nanos, 10 * CENT, `${a.requests} ${b.requests}`);
    assert.equal((await office.ask(ann, "any/ok")).status, 429);
  });

  it("of models, length and time is told as what it is", async () => {
    const key = await office.key("strict", { models: ["any/o*"], max_body_bytes: 200 });
    expectError(await office.ask(key, "any/slow"), { status: 403, type: "invalid_request_error", code: "model_not_allowed", param: "model" });
    expectError(await office.ask(key, "any/ok", { user: "x".repeat(200) }), { status: 413, type: "invalid_request_error", code: "request_too_large", param: null });
    assert.equal((await office.ask(key, "any/ok")).status, 200);
    const { now } = await stage.gateway.control();
    const brief = await office.key("brief", { expires_at: new Date(now + 3_600_000).toISOString() });
    assert.equal((await office.ask(brief, "any/ok")).status, 200);
    await stage.gateway.control({ advance: 3_600_000 });
    expectError(await office.ask(brief, "any/ok"), { status: 401, type: "invalid_request_error", code: "invalid_api_key", param: null });
  });

  it("that is changed has effect within five seconds, even on a key that was free", async () => {
    const key = await office.key("fickle");
    assert.equal((await office.ask(key, "any/ok")).status, 200);
    await office.order("PATCH", "/keys/fickle", { enabled: false });
    await stage.gateway.control({ advance: 5000 });
    assert.equal((await office.ask(key, "any/ok")).status, 401, "open after five seconds");
    await office.order("PATCH", "/keys/fickle", { enabled: true, requests_per_minute: 1 });
    await stage.gateway.control({ advance: 5000 });
    assert.equal((await office.ask(key, "any/ok")).status, 200);
    assert.equal((await office.ask(key, "any/ok")).status, 429);
  });

  it("is no help against a key that is not there", async () => {
    const wrong = `sk-lb-nobody-${"x".repeat(40)}`;
    for (const model of ["any/ok", "no-such-model"]) {
      expectError(await office.ask(wrong, model), { status: 401, type: "invalid_request_error", code: "invalid_api_key", param: null });
    }
  });
});

// The requests, of the hundred admitted ones, that are over before the kill, and those that have at least
// reached the provider.
const [FIRST, SECOND] = [30, 35];

describe("a limit, when the process is killed", () => {
  it("still lets no more than a hundred through, before and after", async () => {
    const disk = await mkdtemp(join(tmpdir(), "llm-bridge-disk-"));
    const stage = await startStage({ config, bindings: OFFICE, disk });
    let gateway = stage.gateway;
    try {
      const key = await new Office(gateway.url).key("rich", { budget: { amount_nanos: 100 * CENT, per: "total" } });
      const ok = stage.fake.behaviour("ok");
      stage.fake.behave("slow", ok);
      const asked = () => stage.fake.requests.filter(({ request }) => request?.model === "slow").length;
      const storm = (office) => crowd(500, () => office.ask(key, "any/slow").catch(() => ({ status: 0 })));
      // The first wave is settled. The second one is interrupted: some requests have their response, some
      // wait for it, some have not been sent on.
      const office = new Office(gateway.url);
      const first = await crowd(FIRST, () => office.ask(key, "any/slow"));
      assert.equal(count(first, 200), FIRST);
      await office.totals("rich", FIRST);
      let turn = 0;
      stage.fake.behave("slow", (exchange) => (turn++ % 2 ? undefined : ok(exchange)));
      const second = storm(office);
      await until(() => asked() >= FIRST + SECOND, "the second wave to reach the provider");
      await gateway.stop();
      await second;
      stage.fake.behave("slow", ok);
      gateway = await startGateway({ config: config(stage.fake), bindings: { ...OFFICE, ANY_API_KEY: PROVIDER_KEY, ACCESS_API_KEYS: "x" }, disk });
      const again = new Office(gateway.url);
      const kept = (await again.totals("rich")).requests;
      assert.ok(kept >= FIRST, "what was settled is still there");
      const third = await storm(again);
      assert.ok(asked() >= FIRST + SECOND && asked() <= 100, `${asked()} requests reached the provider`);
      const totals = await again.totals("rich", kept + count(third, 200));
      assert.ok(totals.cost_nanos <= 100 * CENT && totals.requests <= asked(), `${totals.requests} in the books, ${asked()} served`);
    } finally {
      await gateway.stop().catch(() => {});
      await stage.fake.stop();
      await rm(disk, { recursive: true });
    }
  });
});
