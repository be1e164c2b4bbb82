// The cost of a response is reported on request: exactly, or not at all.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { answerEvents, chunk, DONE, event, USAGE } from "./behaviours.mjs";
import { chunks, expectOneDone } from "./expect.mjs";
import { freshId, rows, startStage } from "./stage.mjs";

// The fake reports 9 input tokens and 7 output tokens.
const PRICE = 'price: { input: 2.50, output: "10.00" }';
const MODELS = `models: { ok: { ${PRICE} }, whole: { ${PRICE} }, beside: { ${PRICE} }, unpriced: {}, reporting: {}, dearer: { ${PRICE} } }`;
const ROWS = rows({ priced: "reports_cost: usd", checked: "relay: checked", left: "stream_usage: leave", disbelieved: "reports_cost: none" });
const ECHO = `  demo: { adapter: echo, models: { free: {}, dear: { price: { input: 1, output: 2, per_request: 0.5 } } } }\n`;
const config = (fake) => ROWS(fake).replaceAll('models: "*"', MODELS) + ECHO;
const COST = "0.0000925";
const REPORTED = { ...USAGE, cost: 0.0123 };

describe("the cost of an answer", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config });
    stage.fake.behave("unpriced", stage.fake.behaviour("ok"));
    const whole = { id: "1", object: "chat.completion", choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }], usage: USAGE };
    for (const name of ["reporting", "dearer"]) {
      stage.fake.behave(name, (exchange) => {
        if (!exchange.request.stream) return exchange.json(200, JSON.stringify({ ...whole, usage: REPORTED }));
        exchange.openStream();
        const last = { ...JSON.parse(chunk(exchange.request, {})), choices: [], usage: REPORTED };
        exchange.write([event(chunk(exchange.request, { content: "Hi" }, { finish: "stop" })), event(JSON.stringify(last)), DONE].join(""));
        exchange.end();
      });
    }
    // Never streams, whatever the request says.
    stage.fake.behave("whole", (exchange) => exchange.json(200, JSON.stringify(whole)));
    stage.fake.behave("beside", (exchange) => {
      const plain = answerEvents({ ...exchange.request, stream_options: undefined });
      exchange.openStream();
      exchange.write([...plain.slice(0, -1), event(chunk(exchange.request, {}, { finish: "stop", usage: USAGE })), DONE].join(""));
      exchange.end();
    });
  });
  after(() => stage.stop());

  it("stands in a header of a whole answer, and in the log", async () => {
    const id = freshId();
    const answer = await stage.ask("priced/ok", {}, { "x-request-id": id });
    assert.equal(answer.headers["x-llm-bridge-cost"], COST);
    assert.equal((await stage.end(id)).cost, Number(COST));
  });

  it("is not told where the price is not known", async () => {
    const id = freshId();
    const answer = await stage.ask("priced/unpriced", {}, { "x-request-id": id });
    assert.deepEqual(
      { status: answer.status, "x-llm-bridge-cost": answer.headers["x-llm-bridge-cost"], cost: (await stage.end(id)).cost },
      { status: 200, "x-llm-bridge-cost": undefined, cost: undefined },
    );
  });

  for (const row of ["priced", "checked", "left"]) {
    for (const options of [{ include_cost: true }, { include_cost: true, include_usage: true }]) {
      it(`comes with the usage of a stream, for who asks (${row}, ${JSON.stringify(options)})`, async () => {
        const { text } = await stage.ask(`${row}/ok`, { stream: true, stream_options: options });
        const last = chunks(text).at(-1);
        assert.deepEqual(
          { choices: last.choices, prompt_tokens: last.usage.prompt_tokens, completion_tokens: last.usage.completion_tokens },
          { choices: [], prompt_tokens: 9, completion_tokens: 7 },
        );
        assert.ok(text.includes(`"cost":${COST}}`), text);
        expectOneDone(text);
        assert.deepEqual(stage.fake.of("ok").request.stream_options, { include_usage: true });
      });
    }
  }

  it("is what the provider reports where no price is known", async () => {
    const id = freshId();
    const answer = await stage.ask("priced/reporting", {}, { "x-request-id": id });
    assert.equal(answer.headers["x-llm-bridge-cost"], "0.0123");
    assert.equal((await stage.end(id)).cost, 0.0123);
    const { text } = await stage.ask("priced/reporting", { stream: true, stream_options: { include_cost: true } });
    assert.equal(chunks(text).at(-1).usage.cost, 0.0123);
  });

  it("is that of the price where there is one, whatever the provider reports", async () => {
    const answer = await stage.ask("priced/dearer");
    assert.equal(answer.headers["x-llm-bridge-cost"], COST);
    const { text } = await stage.ask("priced/dearer", { stream: true, stream_options: { include_cost: true } });
    assert.equal(chunks(text).at(-1).usage.cost, Number(COST));
  });

  it("is not known where the row does not believe the provider, whose own word stays", async () => {
    const answer = await stage.ask("disbelieved/reporting");
    assert.equal(answer.headers["x-llm-bridge-cost"], undefined);
    const { text } = await stage.ask("disbelieved/reporting", { stream: true, stream_options: { include_cost: true } });
    assert.equal(chunks(text).at(-1).usage.cost, 0.0123);
  });

  it("is null in a stream where the price is not known", async () => {
    const { text } = await stage.ask("priced/unpriced", { stream: true, stream_options: { include_cost: true } });
    assert.equal(chunks(text).at(-1).usage.cost, null);
  });

  it("comes in a chunk of its own where the provider tells the usage beside the reason to finish", async () => {
    const { text } = await stage.ask("priced/beside", { stream: true, stream_options: { include_cost: true } });
    const [finish, last] = chunks(text).slice(-2);
    assert.deepEqual({ finish_reason: finish.choices[0].finish_reason, usage: finish.usage }, { finish_reason: "stop", usage: USAGE });
    assert.deepEqual({ choices: last.choices, usage: last.usage }, { choices: [], usage: { ...USAGE, cost: Number(COST) } });
    expectOneDone(text);
  });

  it("comes with the usage of a whole answer that becomes a stream", async () => {
    const { text, headers } = await stage.ask("priced/whole", { stream: true, stream_options: { include_cost: true } });
    assert.deepEqual(
      { length: chunks(text).length, choices: chunks(text)[1].choices, prompt_tokens: chunks(text)[1].usage.prompt_tokens },
      { length: 2, choices: [], prompt_tokens: 9 },
    );
    assert.ok(text.includes(`"cost":${COST}}`), text);
    assert.equal(headers["x-llm-bridge-cost"], COST);
    expectOneDone(text);
  });

  it("comes with the usage of what the gateway answers itself", async () => {
    for (const [model, cost] of [["demo/free", () => 0], ["demo/dear", ({ prompt_tokens, completion_tokens }) => (prompt_tokens + 2 * completion_tokens + 500_000) / 1e6]]) {
      const { text } = await stage.ask(model, { stream: true, stream_options: { include_cost: true } });
      const last = chunks(text).at(-1);
      assert.deepEqual({ choices: last.choices, cost: last.usage.cost }, { choices: [], cost: cost(last.usage) });
      expectOneDone(text);
    }
  });

  it("is not told to who does not ask", async () => {
    for (const stream_options of [undefined, { include_usage: true }, { include_usage: true, include_cost: false }]) {
      const { text } = await stage.ask("priced/ok", { stream: true, stream_options });
      assert.ok(!text.includes("cost"), text);
    }
  });
});
