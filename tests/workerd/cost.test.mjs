// What an answer cost is told to whoever asks: exactly, or not at all.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { chunks, expectOneDone } from "./expect.mjs";
import { freshId, rows, startStage } from "./stage.mjs";

// The fake says 9 tokens in, 7 out.
const MODELS = 'models: { ok: { price: { input: 2.50, output: "10.00" } }, unpriced: {} }';
const ROWS = rows({ priced: "", checked: "relay: checked", left: "stream_usage: leave" });
const config = (fake) => ROWS(fake).replaceAll('models: "*"', MODELS);
const COST = "0.0000925";

describe("the cost of an answer", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config });
    stage.fake.behave("unpriced", stage.fake.behaviour("ok"));
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
    assert.deepEqual([answer.status, answer.headers["x-llm-bridge-cost"], (await stage.end(id)).cost], [200, undefined, undefined]);
  });

  for (const row of ["priced", "checked", "left"]) {
    for (const options of [{ include_cost: true }, { include_cost: true, include_usage: true }]) {
      it(`comes with the usage of a stream, for who asks (${row}, ${JSON.stringify(options)})`, async () => {
        const { text } = await stage.ask(`${row}/ok`, { stream: true, stream_options: options });
        const last = chunks(text).at(-1);
        assert.deepEqual([last.choices, last.usage.prompt_tokens, last.usage.completion_tokens], [[], 9, 7]);
        assert.ok(text.includes(`"cost":${COST}}`), text);
        expectOneDone(text);
        assert.deepEqual(stage.fake.of("ok").request.stream_options, { include_usage: true });
      });
    }
  }

  it("is null in a stream where the price is not known", async () => {
    const { text } = await stage.ask("priced/unpriced", { stream: true, stream_options: { include_cost: true } });
    assert.equal(chunks(text).at(-1).usage.cost, null);
  });

  it("is not told to who does not ask", async () => {
    for (const stream_options of [undefined, { include_usage: true }, { include_usage: true, include_cost: false }]) {
      const { text } = await stage.ask("priced/ok", { stream: true, stream_options });
      assert.ok(!text.includes("cost"), text);
    }
  });
});
