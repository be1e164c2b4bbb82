// A provider bills for what it generates, whether or not anybody reads it. Under a budget, a response that
// ends before its usage is known is charged for the time since the request was sent, at most what was
// reserved.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { chunk, DONE, event } from "./behaviours.mjs";
import { begin, chatRequest, HELLO, until } from "./client.mjs";
import { SLOW } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { startStage } from "./stage.mjs";

// One dollar per million input tokens, ten per million output tokens.
const MODEL = "price: { input: 1, output: 10 }, max_output: 100000, context: 200000";
const OUTPUT_NANOS = 10_000;
const USUAL_PACE = 200;
const SLOW_PACE = 50;
/** Shorter than a lease, because the clock is set forward in one step. */
const AWAY_MS = 50_000;
/** The clock of these tests is set forward, and moves slowly in between. */
const SLACK_MS = 3_000;
/** The time after a disconnect at which the platform ends everything that a request still does. */
const CUT_MS = 30_000;
const BUDGET = { budget: { amount_nanos: 100e9, per: "day" } };

const config = (fake) => {
  const row = (name, model = "", keys = "") =>
    `  ${name}: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { "*": { ${MODEL}${model} } }${keys} }`;
  const rows = [
    row("any"),
    row("checked", "", ", relay: checked"),
    row("heard", "", ", on_disconnect: finish"),
    row("heard-checked", "", ", on_disconnect: finish, relay: checked"),
    `  demo: { adapter: echo, models: { echo: { ${MODEL}, echo: { delay_ms: 40 } } } }`,
    row("slow", `, tokens_per_second: ${SLOW_PACE}`),
    row("brief", ", clocks: { total: 45 }"),
  ];
  return ["providers:", ...rows, ""].join("\n");
};

describe("an answer that ends before its usage is known", () => {
  let stage, gateway, office;
  before(async () => {
    stage = await startStage({ config, bindings: OFFICE, entry: "production.mjs" });
    ({ gateway } = stage);
    office = new Office(gateway.url);
    await gateway.control({ speed: SLOW });
  });
  after(() => stage.stop());

  async function receipt(id) {
    return until(async () => {
      const [only, ...others] = await office.receipts(`vk_${id}`);
      assert.deepEqual(others, []);
      return only;
    }, `the receipt of ${id}`);
  }

  /** The gateway has noticed what came before. */
  const noticed = () => gateway.pass();

  let asked = 0;

  /** A request that its provider is handling. */
  async function ask(row, fields, { terms = BUDGET, path = "/v1/chat/completions", key: own } = {}) {
    const id = `leaver-${++asked}`;
    const key = own ?? (await office.key(id, terms));
    const held = stage.held(id);
    const body = { model: `${row}/${id}`, messages: HELLO, ...fields };
    const caller = begin(gateway.url + path, chatRequest(key, body));
    // A client that has left gets no response.
    caller.answering.catch(() => {});
    return { id, caller, exchange: await held };
  }

  /** The stream has begun with these words, or without any. */
  async function stream(row, { words, fields, ...more } = {}) {
    const { id, caller, exchange } = await ask(row, { stream: true, ...fields }, more);
    exchange.openStream();
    exchange.write(event(chunk(exchange.request, { role: "assistant", content: "" })));
    if (words) exchange.write(event(chunk(exchange.request, { content: words })));
    return { id, caller, exchange, answer: words ? await caller.answering : undefined };
  }

  /** The cost of this time at this speed. */
  function expectTime({ tokens, cost_nanos: cost, estimated, outcome }, pace, expected, ms = AWAY_MS) {
    const [least, most] = [ms, ms + SLACK_MS].map((time) => (time / 1000) * pace);
    assert.equal(outcome, expected);
    assert.equal(estimated, true);
    assert.ok(tokens.completion >= least && tokens.completion <= most, `${tokens.completion} tokens of ${least} to ${most}`);
    assert.equal(cost, tokens.prompt * 1_000 + tokens.completion * OUTPUT_NANOS);
  }

  for (const row of ["any", "checked"]) {
    it(`is charged by time, if its client leaves before the first word of a stream (${row})`, async () => {
      const { id, caller, exchange } = await stream(row);
      await gateway.control({ advance: AWAY_MS });
      caller.leave();
      await stage.expectCancelled(exchange.record);
      expectTime(await receipt(id), USUAL_PACE, "client_closed");
    });

    it(`is charged by time, and for what was heard, if its client leaves in the midst (${row})`, async () => {
      const words = "many words ".repeat(2_000);
      const { id, exchange, answer } = await stream(row, { words });
      await answer.until(words.slice(-40));
      await gateway.control({ advance: AWAY_MS });
      answer.leave();
      await stage.expectCancelled(exchange.record);
      const receipted = await receipt(id);
      assert.ok(receipted.tokens.completion >= (AWAY_MS / 1000) * USUAL_PACE + 4_000, JSON.stringify(receipted));
      assert.equal(receipted.estimated, true);
    });
  }

  describe("when the runtime gets it only after its client has left", () => {
    before(() => gateway.control({ untaken: 0 }));
    after(() => gateway.control({ untaken: null }));

    const taken = async () => (await gateway.control()).untaken;
    const more = (count) => until(async () => (await taken()) > count, "the gateway's answer");
    const said = (exchange) => exchange.write(event(chunk(exchange.request, { content: "Hello" })));

    for (const [what, row, play] of [
      ["a native stream", "any"],
      ["a native stream that has been silent for long", "any", () => gateway.control({ advance: AWAY_MS })],
      ["a checked stream", "checked"],
      ["a checked stream that has been silent for long", "checked", () => gateway.control({ advance: AWAY_MS })],
      ["a native stream that its provider ends", "heard", (exchange) => exchange.end()],
      ["a checked stream that its provider ends", "heard-checked", (exchange) => exchange.end()],
      ["a native stream that its provider breaks off", "heard", (exchange) => exchange.reset()],
    ]) {
      it(`has its receipt all the same: ${what}`, async () => {
        const count = await taken();
        const { id, caller, exchange } = await stream(row);
        said(exchange);
        await more(count);
        await play?.(exchange);
        caller.leave();
        assert.equal((await receipt(id)).outcome, "client_closed");
        await exchange.record.closed;
      });
    }

    it("has its receipt all the same: a translated stream", async () => {
      const count = await taken();
      const { id, caller, exchange } = await stream("any", { path: "/v1/messages", fields: { max_tokens: 100 } });
      said(exchange);
      await more(count);
      caller.leave();
      assert.equal((await receipt(id)).outcome, "client_closed");
    });

    for (const length of [6 << 20, undefined]) {
      it(`has its receipt all the same: a long whole answer of ${length ? "a known" : "an unknown"} length`, async () => {
        const count = await taken();
        const { id, caller, exchange } = await ask("any", {});
        exchange.open(200, { "content-type": "application/json", ...(length && { "content-length": length }) });
        exchange.write(`{"choices":[{"index":0,"message":{"role":"assistant","content":"${"x".repeat(5 << 20)}`);
        await more(count);
        caller.leave();
        assert.equal((await receipt(id)).outcome, "client_closed");
      });
    }

    it("has its receipt all the same: a stream of the gateway's own", async () => {
      const count = await taken();
      const key = await office.key("leaver-own", BUDGET);
      const caller = begin(`${gateway.url}/v1/chat/completions`, chatRequest(key, { model: "demo/echo", messages: HELLO, stream: true }));
      caller.answering.catch(() => {});
      await more(count);
      caller.leave();
      assert.equal((await receipt("leaver-own")).outcome, "client_closed");
    });
  });

  describe("which is heard out", () => {
    before(() => gateway.control({ cut: CUT_MS }));
    after(() => gateway.control({ cut: null }));

    const MOST_MS = 25_000;
    const ENDED_BY_MS = 27_000;
    const opened = async (exchange) => exchange.openStream();
    const talking = async (exchange, { answering }) => {
      exchange.openStream();
      exchange.write(event(chunk(exchange.request, { content: "Hello" })));
      await (await answering).until("Hello");
    };
    const halfway = async (exchange) => {
      exchange.open(200, { "content-type": "application/json" });
      exchange.write('{"choices":[');
    };
    const carried = async (exchange, { answering }) => {
      exchange.open(200, { "content-type": "application/json" });
      exchange.write(`{"choices":[{"index":0,"message":{"role":"assistant","content":"${"x".repeat(5 << 20)}`);
      await (await answering).until("xxx");
    };
    const refusing = async (exchange) => exchange.open(400, { "content-type": "application/json" });
    const EMBEDDING = { path: "/v1/embeddings", fields: { input: "Hello", messages: undefined } };
    const MESSAGES = { path: "/v1/messages", fields: { max_tokens: 90_000, stream: true } };
    const STREAM = { fields: { stream: true } };

    for (const [what, row, { path, fields }, play] of [
      ["a native stream", "heard", STREAM, talking],
      ["a checked stream", "heard-checked", STREAM, talking],
      ["a translated stream", "heard", MESSAGES, async (exchange) => {
        exchange.openStream();
        exchange.write(event(chunk(exchange.request, { content: "Hello" })));
      }],
      ["a stream without a first word", "heard", STREAM, opened],
      ["a stream without a head", "heard", STREAM],
      ["a whole answer without a head", "heard", {}],
      ["a whole answer in its midst", "heard", {}, halfway],
      ["a long whole answer", "heard", {}, carried],
      ["an embedding", "heard", EMBEDDING],
    ]) {
      it(`is in the books before the platform ends all: ${what}`, async () => {
        const { id, caller, exchange } = await ask(row, fields, { path });
        await play?.(exchange, caller);
        caller.leave();
        // Only then does the time count.
        await noticed();
        await gateway.control({ advance: MOST_MS - 5_000 });
        await noticed();
        assert.equal(exchange.over, false, "heard on");
        await gateway.control({ advance: ENDED_BY_MS - MOST_MS + 5_000 });
        await stage.expectCancelled(exchange.record);
        const { tokens, ...rest } = await receipt(id);
        assert.equal(rest.outcome, "client_closed");
        assert.equal(rest.estimated, true);
        // An embedding has prompt tokens only.
        const pace = path === EMBEDDING.path ? 0 : USUAL_PACE;
        assert.ok(tokens.completion >= (MOST_MS / 1000) * pace, JSON.stringify(tokens));
      });
    }

    it("is in the books as its provider says, if that comes in time", async () => {
      const { id, caller, exchange } = await ask("heard", { stream: true });
      await talking(exchange, caller);
      caller.leave();
      await noticed();
      await gateway.control({ advance: MOST_MS - 5_000 });
      const usage = { prompt_tokens: 7, completion_tokens: 11, total_tokens: 18 };
      exchange.write(event(chunk(exchange.request, {}, { finish: "stop" })));
      exchange.write(event(JSON.stringify({ ...JSON.parse(chunk(exchange.request, {})), choices: [], usage })) + DONE);
      exchange.end();
      const { tokens, estimated, cost_nanos: cost } = await receipt(id);
      assert.deepEqual(
        { prompt: tokens.prompt, completion: tokens.completion, estimated, cost },
        { prompt: 7, completion: 11, estimated: false, cost: 7 * 1_000 + 11 * OUTPUT_NANOS },
      );
    });
  });

  describe("is heard out or broken off as its key says", () => {
    const USAGE = { prompt_tokens: 7, completion_tokens: 11, total_tokens: 18 };

    /**
     * The client leaves during a stream, or before a complete response. Once the gateway knows, the call is
     * cancelled or read on.
     */
    async function leave(row, fields, more) {
      const { id, caller, exchange } = await ask(row, fields, more);
      if (fields.stream) {
        exchange.openStream();
        exchange.write(event(chunk(exchange.request, { content: "Hello" })));
        await (await caller.answering).until("Hello");
      }
      caller.leave();
      return { id, exchange, stream: fields.stream };
    }

    /** The response is read to its end, which reports the usage. */
    async function expectHeard({ id, exchange, stream }, account = id) {
      await noticed();
      assert.equal(exchange.over, false, "heard on");
      if (stream) {
        exchange.write(event(chunk(exchange.request, {}, { finish: "stop" })));
        exchange.write(event(JSON.stringify({ ...JSON.parse(chunk(exchange.request, {})), choices: [], usage: USAGE })) + DONE);
        exchange.end();
      } else {
        const choices = [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }];
        exchange.json(200, JSON.stringify({ id: "x", object: "chat.completion", created: 1, model: "m", choices, usage: USAGE }));
      }
      assert.equal(await exchange.record.closed, false, "the provider spoke to its end");
      const { outcome, tokens, estimated } = await receipt(account);
      assert.deepEqual(
        { outcome, prompt: tokens.prompt, completion: tokens.completion, estimated },
        { outcome: "client_closed", prompt: 7, completion: 11, estimated: false },
      );
    }

    async function expectBroken({ id, exchange }) {
      await stage.expectCancelled(exchange.record);
      assert.equal((await receipt(id)).outcome, "client_closed");
    }

    for (const [what, row, fields] of [
      ["a native stream", "any", { stream: true }],
      ["a checked stream", "checked", { stream: true }],
      ["a whole answer", "any", {}],
    ]) {
      it(`though its row says otherwise: ${what}`, async () => {
        await expectHeard(await leave(row, fields, { terms: { ...BUDGET, on_disconnect: "finish" } }));
        const other = row === "any" ? "heard" : "heard-checked";
        await expectBroken(await leave(other, fields, { terms: { ...BUDGET, on_disconnect: "cancel" } }));
      });
    }

    it("or the key above it, if it says nothing", async () => {
      await office.key("leavers-heard", { on_disconnect: "finish" });
      await expectHeard(await leave("any", { stream: true }, { terms: { ...BUDGET, parent: "leavers-heard" } }));
      await expectBroken(await leave("any", { stream: true }, { terms: { ...BUDGET, parent: "leavers-heard", on_disconnect: "cancel" } }));
    });

    it("or its row, once it says nothing any more", async () => {
      const id = "leaver-changed";
      const key = await office.key(id, { ...BUDGET, on_disconnect: "finish" });
      assert.equal((await office.order("GET", `/keys/${id}`)).on_disconnect, "finish");
      await expectHeard(await leave("any", { stream: true }, { key }), id);
      assert.equal((await office.order("PATCH", `/keys/${id}`, { on_disconnect: null })).on_disconnect, null);
      const { exchange } = await leave("any", { stream: true }, { key });
      await stage.expectCancelled(exchange.record);
    });

    it("without limits, too, and without asking its account again", async () => {
      const id = "leaver-free";
      const key = await office.key(id, { on_disconnect: "finish" });
      // The key's limits are known from the first request on.
      await office.ask(key, "demo/echo");
      // Its receipt is sent a moment later.
      await gateway.control({ advance: 200 });
      await office.totals(id, 1);
      const { calls } = await gateway.control();
      const left = await leave("any", {}, { key });
      assert.equal((await gateway.control()).calls.ACCOUNTS, calls.ACCOUNTS);
      await noticed();
      assert.equal(left.exchange.over, false, "heard on");
      left.exchange.json(200, JSON.stringify({ id: "x", object: "chat.completion", created: 1, model: "m", choices: [], usage: USAGE }));
      assert.equal(await left.exchange.record.closed, false, "the provider spoke to its end");
    });
  });

  it("is charged by time, if its client leaves before the head", async () => {
    const { id, caller, exchange } = await ask("any", {});
    await gateway.control({ advance: AWAY_MS });
    caller.leave();
    await stage.expectCancelled(exchange.record);
    expectTime(await receipt(id), USUAL_PACE, "client_closed");
  });

  it("is charged at the pace of its row, for each answer that may be drawn", async () => {
    const { id, caller, exchange } = await stream("slow", { fields: { n: 2 } });
    await gateway.control({ advance: AWAY_MS });
    caller.leave();
    await stage.expectCancelled(exchange.record);
    expectTime(await receipt(id), 2 * SLOW_PACE, "client_closed");
  });

  it("is charged no more than was reserved", async () => {
    const limit = 1_000;
    const { id, caller, exchange } = await stream("any", { fields: { max_tokens: limit } });
    await gateway.control({ advance: AWAY_MS });
    caller.leave();
    await stage.expectCancelled(exchange.record);
    const { cost_nanos: cost, tokens, estimated } = await receipt(id);
    // The longest response, and a prompt of about a hundred tokens.
    assert.ok(cost >= limit * OUTPUT_NANOS && cost <= limit * OUTPUT_NANOS + 200_000, `${cost}`);
    assert.deepEqual({ completion: tokens.completion, estimated }, { completion: limit, estimated: true });
  });

  it("is charged by time, if its own was over", async () => {
    const { id } = await stream("brief");
    await gateway.control({ advance: AWAY_MS });
    expectTime(await receipt(id), USUAL_PACE, "refused");
    const begun = await stream("brief", { words: "Hello" });
    await begun.answer.until("Hello");
    await gateway.control({ advance: AWAY_MS });
    expectTime(await receipt(begun.id), USUAL_PACE, "timed_out");
  });

  it("is charged by time, if its provider broke off", async () => {
    const { id, exchange, answer } = await stream("any", { words: "Hello" });
    await answer.until("Hello");
    await gateway.control({ advance: AWAY_MS });
    exchange.reset();
    expectTime(await receipt(id), USUAL_PACE, "truncated");
  });

  it("is charged by time under the budget of a key above, in the books of both", async () => {
    await office.key("leavers-team", BUDGET);
    const { id, caller, exchange } = await stream("any", { terms: { parent: "leavers-team" } });
    await gateway.control({ advance: AWAY_MS });
    caller.leave();
    await stage.expectCancelled(exchange.record);
    const member = await receipt(id);
    expectTime(member, USUAL_PACE, "client_closed");
    assert.equal((await receipt("leavers-team")).cost_nanos, member.cost_nanos);
  });

  it("is charged for what was heard alone, where no budget pays", async () => {
    const { id, caller, exchange } = await stream("any", { terms: { concurrent_requests: 1 } });
    await gateway.control({ advance: AWAY_MS });
    caller.leave();
    await stage.expectCancelled(exchange.record);
    const { tokens, estimated } = await receipt(id);
    assert.deepEqual({ completion: tokens.completion, estimated }, { completion: 0, estimated: true });
  });

  it("is charged as its provider says, where that was heard before the end", async () => {
    const { id, exchange, answer } = await stream("any", { words: "Hello", fields: { stream_options: { include_usage: true } } });
    await answer.until("Hello");
    await gateway.control({ advance: AWAY_MS });
    const usage = { prompt_tokens: 7, completion_tokens: 11, total_tokens: 18 };
    exchange.write(event(chunk(exchange.request, {}, { finish: "stop" })));
    exchange.write(event(JSON.stringify({ ...JSON.parse(chunk(exchange.request, {})), choices: [], usage })));
    await answer.until("total_tokens");
    exchange.reset();
    const { tokens, estimated, cost_nanos: cost } = await receipt(id);
    assert.deepEqual(
      { prompt: tokens.prompt, completion: tokens.completion, estimated, cost },
      { prompt: 7, completion: 11, estimated: false, cost: 7 * 1_000 + 11 * OUTPUT_NANOS },
    );
  });
});
