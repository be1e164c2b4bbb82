// What a route with several attempts costs: each attempt has its entry in the receipt, failed ones too, and
// the account has their sum.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { expectWhole, sumsOf } from "./bills.mjs";
import { until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { STILL } from "./harness.mjs";
import { LEASE_MS } from "./lease-stage.mjs";
import { OFFICE, Office } from "./office.mjs";
import { cutAfterContent, cutBeforeContent, headAndSilence, ok, refuse, refusing, silence, stream, succeed } from "./route-behaviours.mjs";
import { begin } from "./route-faults.mjs";
import { ERROR_EVENTS, REFUSALS, SPEECH, USAGE } from "./route-speech.mjs";
import { BRIEFLY, RouteStage, TimedStage } from "./route-stage.mjs";
import { stopClock } from "./timed.mjs";

// Dollars per million tokens are thousands of nano-dollars per token.
const PRICES = { cheap: { input: 1, output: 10 }, dear: { input: 3, output: 30 } };
const models = ({ input, output }) => `{ "*": { price: { input: ${input}, output: ${output} }, context: 100000, max_output: 1000 } }`;
const cheap = (kind) => ({ kind, models: models(PRICES.cheap) });
const dear = (kind) => ({ kind, models: models(PRICES.dear) });
const costOf = ({ input, output }, prompt, completion) => 1000 * (prompt * input + completion * output);
/** The most that one attempt at a dear target can cost, about: its longest answer. */
const ONE_DEAR = costOf(PRICES.dear, 0, 1000);
/** A target whose time may run out. */
const brief = (target) => ({ ...target, row: BRIEFLY });

// One at a time, because the clock is that of all.
describe("the bill of a route", () => {
  const stage = new TimedStage({ bindings: OFFICE });
  let office;
  before(async () => {
    await stage.start();
    office = new Office(stage.gateway.url);
  });
  after(() => stage.stop());

  let keys = 0;
  /** A new key with these limits: its text and its account. */
  async function newKey(terms = {}) {
    const id = `route-money-${++keys}`;
    return { key: await office.key(id, terms), account: `vk_${id}` };
  }

  /** The receipts of an account, once there is one. Those of a key without limits come a moment later. */
  const receiptsOf = (account) =>
    until(async () => {
      await stage.gateway.control({ advance: 100 });
      const found = await office.receipts(account);
      return found.length > 0 && found;
    }, `the receipt of ${account}`);

  /** The only receipt of an account, whose sums must be those of the receipt. */
  async function receiptOf(account) {
    const [receipt, ...others] = await receiptsOf(account);
    assert.deepEqual(others, []);
    expectWhole([receipt]);
    assert.deepEqual(await office.totals(account, 1), sumsOf([receipt]));
    expectSum(receipt);
    return receipt;
  }

  /** Asserts that a receipt is the sum of its attempts. */
  function expectSum({ attempts, tokens, cost_nanos, estimated }) {
    const sum = (of) => attempts.reduce((total, attempt) => total + (of(attempt) ?? 0), 0);
    assert.equal(cost_nanos, sum((attempt) => attempt.cost_nanos), JSON.stringify(attempts));
    assert.equal(tokens?.prompt ?? 0, sum((attempt) => attempt.tokens?.prompt));
    assert.equal(tokens?.completion ?? 0, sum((attempt) => attempt.tokens?.completion));
    assert.equal(estimated, attempts.some((attempt) => attempt.estimated));
  }

  const short = ({ provider, model, key, failure, estimated }) => ({ provider, model, key, failure, estimated });

  /** A test with a failing first target, whole and streamed. `charge` says what the failed attempt costs. */
  function bill(what, behaviour, failure, charge, forms = [false, true], kind = "openai") {
    for (const streams of forms) {
      const scene = stage.scene({ first: brief(cheap(kind)), second: dear("anthropic") }, "recover: buffer");

      it(`has an entry for each attempt: ${what}, ${streams ? "stream" : "whole"}`, async () => {
        const { key, account } = await newKey({ budget: { amount_nanos: 1e9, per: "day" } });
        scene.first.plays(failure === "timeout" ? stage.silently(behaviour) : behaviour);
        const result = await scene.chat({ stream: streams, max_tokens: 1000 }, { key });
        scene.expectServed(result, "second", [1, 1]);
        const receipt = await receiptOf(account);
        assert.deepEqual(receipt.attempts.map(short), [
          { provider: scene.first.name, model: scene.first.model, key: 0, failure, estimated: ["estimate", "words"].includes(charge) },
          { provider: scene.second.name, model: scene.second.model, key: 0, failure: null, estimated: false },
        ]);
        const [failed, served] = receipt.attempts;
        assert.equal(served.cost_nanos, costOf(PRICES.dear, USAGE.prompt, USAGE.completion));
        const { cost_nanos: cost, tokens } = failed;
        if (charge === "nothing") assert.equal(cost, 0, JSON.stringify(failed));
        if (charge === "estimate") assert.ok(cost > 0 && cost === costOf(PRICES.cheap, tokens.prompt, tokens.completion), JSON.stringify(failed));
        if (charge === "words") {
          // The prompt, and what had been generated of the answer.
          assert.ok(tokens.completion > 0 && tokens.prompt > 0, JSON.stringify(failed));
          assert.equal(cost, costOf(PRICES.cheap, tokens.prompt, tokens.completion), JSON.stringify(failed));
        }
        if (charge === "usage") assert.equal(cost, costOf(PRICES.cheap, USAGE.prompt, 0), JSON.stringify(failed));
        const { data } = await office.order("GET", `/usage?key=${account}`);
        assert.deepEqual(data.map(({ provider, model }) => [provider, model]), [[scene.second.name, scene.second.model]], "usage is that of the target that served");
        assert.deepEqual([receipt.provider, receipt.model, receipt.outcome, receipt.status], [scene.second.name, scene.second.model, "complete", 200]);
      });
    }
  }

  const hollow = SPEECH.openai.whole({ usage: { prompt: USAGE.prompt, completion: 0 } });
  bill("a limit", refusing(REFUSALS.openai.rate), "rate", "nothing");
  bill("a busy host", refusing(REFUSALS.openai.overload), "overload", "nothing");
  bill("a refused key", refusing(REFUSALS.openai.credential), "credential", "nothing");
  bill("a host that could not be reached from the edge", refuse(522, "error code: 522"), "unreachable", "nothing");
  bill("silence before the head", silence, "timeout", "estimate");
  bill("silence after the head", headAndSilence, "timeout", "estimate");
  bill("a connection that broke after the head", cutBeforeContent, "unreachable", "estimate");
  bill("a timeout at the edge of the provider", refuse(524, "<html></html>", { "content-type": "text/html" }), "timeout", "estimate");
  bill("an empty answer with its usage", succeed({ ...hollow, choices: [] }), "hollow", "usage", [false]);
  bill("an empty answer", succeed(""), "hollow", "estimate", [false]);
  bill("a stream of nothing but an end", stream("data: [DONE]\n\n"), "hollow", "estimate", [true]);

  for (const kind of ["openai", "anthropic"]) {
    bill(`an error in mid-answer of ${kind}`, (exchange) => {
      exchange.openStream();
      exchange.speech.stream({ text: "first words" }).slice(0, exchange.speech.contentAt + 1).forEach((event) => exchange.write(event));
      exchange.write(ERROR_EVENTS[kind].overload);
      exchange.end();
    }, "overload", "words", [false, true], kind);
    bill(`a connection that broke in mid-answer of ${kind}`, cutAfterContent, "unreachable", "words", [false, true], kind);
  }

  const said = "The gateway joins what two targets have said, ";
  // It was given the beginning without the space at its end.
  const continued = ok({ text: " and bills both." });
  const words = (text) => (exchange) => {
    exchange.openStream();
    exchange.speech.stream({ text }).slice(0, exchange.speech.contentAt + 2).forEach((event) => exchange.write(event));
    exchange.end();
  };
  for (const [mode, recovered, first, second] of [
    ["buffer", "buffered", words(said), ok()],
    ["restart", "restarted", (exchange) => (begin(exchange, "thinking"), exchange.end()), ok()],
    ["continue", "joined", words(said), continued],
  ]) {
    const forms = { openai: "/v1/chat/completions", anthropic: "/v1/messages" };
    for (const [client, path] of Object.entries(forms)) {
      const scene = stage.scene({ first: cheap("openai"), second: dear("anthropic"), third: dear("openai") }, `recover: ${mode}`);

      it(`bills each attempt once: ${mode}, for a client of ${client}`, async () => {
        const { key, account } = await newKey({ budget: { amount_nanos: 1e9, per: "day" } });
        scene.first.plays(first);
        scene.second.plays(second);
        const { answer } = await scene.open({ max_tokens: 1000 }, { path, key });
        await answer.rest();
        const receipt = await receiptOf(account);
        assert.deepEqual([receipt.recovered, receipt.outcome, receipt.stream], [recovered, "complete", true], JSON.stringify(receipt));
        assert.deepEqual(receipt.attempts.map(({ failure, estimated }) => [failure, estimated]), [["truncated", true], [null, false]]);
        const [left, served] = receipt.attempts;
        assert.ok(left.tokens.prompt > 0 && left.tokens.completion > 0, JSON.stringify(left));
        assert.equal(left.cost_nanos, costOf(PRICES.cheap, left.tokens.prompt, left.tokens.completion));
        assert.equal(served.cost_nanos, costOf(PRICES.dear, USAGE.prompt, USAGE.completion));
        assert.deepEqual(scene.calls, [1, 1, 0]);
      });
    }
  }

  const failing = stage.scene({ first: brief(cheap("openai")), second: dear("anthropic"), third: brief(cheap("gemini")) });

  it("is the sum of what failed, if no target helps", async () => {
    const { key, account } = await newKey({ budget: { amount_nanos: 1e9, per: "day" } });
    failing.first.plays(stage.silently(headAndSilence));
    failing.second.plays(refusing(REFUSALS.anthropic.overload));
    failing.third.plays(stage.silently(headAndSilence));
    const { answer } = await failing.chat({ stream: true, max_tokens: 1000 }, { key });
    assert.ok(answer.status >= 500, answer.text);
    const receipt = await receiptOf(account);
    assert.deepEqual(receipt.attempts.map(({ failure, estimated }) => [failure, estimated]), [["timeout", true], ["overload", false], ["timeout", true]]);
    assert.ok(receipt.cost_nanos > 0 && receipt.estimated);
    assert.equal(receipt.outcome, "refused");
  });

  const free = stage.scene({ first: cheap("openai"), second: dear("anthropic") });

  it("is nothing, if every target refused", async () => {
    const { key, account } = await newKey();
    free.first.plays(refusing(REFUSALS.openai.rate));
    free.second.plays(refusing(REFUSALS.anthropic.overload));
    // The gateway waits before it asks one of them again.
    await stage.gateway.control({ speed: 1 });
    await free.chat({}, { key });
    await stopClock(stage.gateway);
    const receipt = await receiptOf(account);
    assert.deepEqual([receipt.cost_nanos, receipt.tokens, receipt.estimated], [0, null, false]);
  });

  const broken = stage.scene({ first: cheap("openai"), second: dear("anthropic") });

  it("has the first target alone, if content had come", async () => {
    const { key, account } = await newKey();
    broken.first.plays(cutAfterContent);
    await broken.chat({ stream: true }, { key });
    const [receipt] = await receiptsOf(account);
    assert.deepEqual([receipt.provider, receipt.attempts ?? []], [broken.first.name, []]);
    assert.ok(receipt.estimated && receipt.cost_nanos > 0, JSON.stringify(receipt));
  });

  const one = stage.scene({ first: cheap("openai"), second: dear("anthropic") });

  it("has no list of attempts, if the first served", async () => {
    const { key, account } = await newKey();
    one.expectServed(await one.chat({}, { key }), "first", [1, 0]);
    const [receipt] = await receiptsOf(account);
    assert.equal(receipt.attempts, undefined);
    assert.equal(receipt.cost_nanos, costOf(PRICES.cheap, USAGE.prompt, USAGE.completion));
  });

  // The dearest attempt is reserved, and a second one on top of it after one that may be billed.
  for (const [what, budget, behaviour, calls] of [
    ["an attempt that may be billed, and there is money for two", 2.5 * ONE_DEAR, headAndSilence, [1, 1]],
    ["an attempt that may be billed, and there is money for one", 1.5 * ONE_DEAR, headAndSilence, [1, 0]],
    ["a refusal, and there is money for one", 1.5 * ONE_DEAR, refusing(REFUSALS.openai.overload), [1, 1]],
  ]) {
    const scene = stage.scene({ first: brief(dear("openai")), second: dear("anthropic") });

    it(`is within the budget: after ${what}`, async () => {
      const { key, account } = await newKey({ budget: { amount_nanos: budget, per: "day" } });
      scene.first.plays(behaviour === headAndSilence ? stage.silently(behaviour) : behaviour);
      const result = await scene.chat({ stream: true, max_tokens: 1000 }, { key });
      if (calls[1]) scene.expectServed(result, "second", calls);
      else {
        // The first error is told, not that there is no money for another attempt.
        expectError(result.answer, { status: 504, code: "upstream_timeout" });
        assert.deepEqual(scene.calls, calls);
      }
      const receipt = await receiptOf(account);
      assert.ok(receipt.cost_nanos <= budget, `${receipt.cost_nanos} of ${budget}`);
    });
  }

  const poor = stage.scene({ first: cheap("openai"), second: dear("anthropic") });

  it("must be affordable for the dearest target, before anything is sent", async () => {
    const { key } = await newKey({ budget: { amount_nanos: 0.5 * ONE_DEAR, per: "day" } });
    const { answer } = await poor.chat({ max_tokens: 1000 }, { key });
    assert.equal(answer.status, 429, answer.text);
    assert.deepEqual(poor.calls, [0, 0]);
  });

  const pool = stage.scene({ first: { ...cheap("openai"), pool: ["sk-money-a-314159", "sk-money-b-314159"] } });

  it("names the key of each attempt by its number", async () => {
    const { key, account } = await newKey();
    pool.first.plays(refusing(REFUSALS.openai.rate), ok());
    const { answer } = await pool.chat({}, { key });
    assert.equal(answer.status, 200, answer.text);
    const receipt = await receiptOf(account);
    const numbers = pool.first.keys.map((key) => pool.first.pool.indexOf(key));
    assert.deepEqual(receipt.attempts.map((attempt) => attempt.key), numbers);
    assert.deepEqual(numbers.toSorted(), [0, 1]);
  });

  const team = stage.scene({ first: brief(cheap("openai")), second: dear("anthropic") });

  it("is the same in the account above", async () => {
    const above = await newKey({ budget: { amount_nanos: 1e9, per: "day" } });
    const member = await newKey({ parent: above.account.slice(3) });
    team.first.plays(stage.silently(headAndSilence));
    await team.chat({ stream: true, max_tokens: 1000 }, { key: member.key });
    const receipt = await receiptOf(member.account);
    const [parents] = await receiptsOf(above.account);
    assert.deepEqual(parents.attempts, receipt.attempts);
    assert.equal(parents.cost_nanos, receipt.cost_nanos);
  });
});

describe("a plan that dies with its process", () => {
  let stage, disk, office;
  const settings = { bindings: OFFICE, entry: "production.mjs" };
  const scenes = {};
  stage = new RouteStage(settings);
  for (const state of ["in the first attempt", "in the second attempt", "in the midst of the second stream", "in a wait"]) {
    scenes[state] = stage.scene({ first: cheap("openai"), second: dear("anthropic") }, "attempts: 2");
  }
  scenes["in a wait"] = stage.scene({ first: cheap("openai") }, "attempts: 2");
  before(async () => {
    disk = await mkdtemp(join(tmpdir(), "llm-bridge-disk-"));
    stage.options.disk = disk;
    await stage.start();
    await stage.gateway.control({ speed: STILL });
    office = new Office(stage.gateway.url);
  });
  after(async () => {
    await stage.stop();
    await rm(disk, { recursive: true });
  });

  const now = async () => (await stage.gateway.control()).now;

  /** Kills the process and starts another on the same disk, whose clock goes on from there. */
  async function restart() {
    const at = await now();
    await stage.gateway.stop();
    await stage.startGateway();
    await stage.gateway.control({ speed: STILL });
    await stage.gateway.control({ advance: at - (await now()) });
    office = new Office(stage.gateway.url);
  }

  it("leaves one receipt, wherever it was", async () => {
    const keys = {};
    let n = 0;
    for (const [state, scene] of Object.entries(scenes)) {
      keys[state] = { id: `route-killed-${++n}` };
      keys[state].key = await office.key(keys[state].id, { budget: { amount_nanos: 1e9, per: "day" } });
      const last = state === "in the first attempt" || state === "in a wait" ? scene.first : scene.second;
      if (last === scene.second) scene.first.plays(refusing(REFUSALS.openai.overload));
      let reached;
      if (state === "in a wait") scene.first.plays(refuse(429, REFUSALS.openai.rate[1], { "retry-after": "30" }));
      else reached = last.holds();
      const { id, answering } = scene.begin({ stream: true, max_tokens: 1000 }, { key: keys[state].key });
      answering.catch(() => {});
      const exchange = await reached;
      if (state === "in the midst of the second stream") {
        exchange.openStream();
        exchange.speech.stream({ text: "words " }).slice(0, 4).forEach((event) => exchange.write(event));
        await (await answering).until("wor");
      }
      if (state === "in a wait") await until(() => stage.gateway.logs().some((entry) => entry.request_id === id && entry.event === "attempt_failed"), "the first attempt's end");
    }
    await restart();
    // A lease ends by the time since its account was opened.
    for (const { id } of Object.values(keys)) assert.deepEqual(await office.receipts(`vk_${id}`), []);
    await stage.gateway.control({ advance: LEASE_MS + 1_000 });
    for (const [state, scene] of Object.entries(scenes)) {
      for (const provider of scene.providers) provider.plays(ok());
      const { id, key } = keys[state];
      const { answer } = await scene.chat({ max_tokens: 1000 }, { key });
      assert.equal(answer.status, 200, answer.text);
      const receipts = await until(async () => {
        const found = await office.receipts(`vk_${id}`);
        return found.length >= 2 && found;
      }, `receipts of a request killed ${state}`);
      expectWhole(receipts);
      const lost = receipts.filter(({ outcome }) => outcome === "lost");
      assert.deepEqual([receipts.length, lost.length], [2, 1], `${state}: ${JSON.stringify(receipts)}`);
      assert.ok(lost[0].estimated && lost[0].cost_nanos > 0 && lost[0].tokens.prompt > 0, JSON.stringify(lost));
      assert.deepEqual(await office.totals(`vk_${id}`), sumsOf(receipts), state);
    }
  });
});
