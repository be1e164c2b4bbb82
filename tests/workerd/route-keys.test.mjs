// Pools of keys: which key a request is sent with, which keys rest after a refusal, and that none is ever
// told.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { expectError } from "./expect.mjs";
import { cut, ok, refuse, refusing, stream } from "./route-behaviours.mjs";
import { REFUSALS } from "./route-speech.mjs";
import { RouteStage } from "./route-stage.mjs";

const { openai, anthropic, gemini } = REFUSALS;
/** A behaviour for each key. */
const byKey = (behaviours) => (exchange) => (behaviours[exchange.request.key] ?? ok())(exchange);

const stage = new RouteStage();
before(() => stage.start());
after(() => stage.stop());

let pools = 0;
const poolOf = (count) => Array.from({ length: count }, (_, n) => `sk-pool-${1000 + ++pools}-${n}-1618033988`);

/** A target with several keys, called by its own name. */
function pooled(count = 2, { kind = "openai", ...more } = {}) {
  const scene = stage.scene({ first: { kind, pool: poolOf(count), ...more } });
  const say = (text) => [{ role: "user", content: text }];
  return Object.assign(scene, {
    pool: scene.first.pool,
    /** A request of the conversation that begins with `text`. */
    talk: (text, more) => scene.chat({ model: scene.target("first"), messages: say(text) }, more),
    /** A later request of the same conversation. */
    goOn: (text) => scene.chat({ model: scene.target("first"), messages: [...say(text), { role: "assistant", content: "Yes?" }, ...say("Go on.")] }),
  });
}

/** Asserts a good answer. */
function good({ answer }) {
  assert.equal(answer.status, 200, answer.text);
}

describe("a pool of keys", { concurrency: 8 }, () => {
  for (const [what, refusal, kind] of [
    ["a limit", openai.rate, "openai"],
    ["a limit", anthropic.rate, "anthropic"],
    ["a limit", gemini.rate, "gemini"],
    ["a refused key", openai.credential, "openai"],
    ["a refused key", anthropic.credential, "anthropic"],
    ["a refused key", gemini.credential, "gemini"],
    ["money that is gone", openai.quota, "openai"],
    ["money that is gone", anthropic.quota, "anthropic"],
    ["money that is gone", REFUSALS.deepseek.quota, "deepseek"],
  ]) {
    const scene = pooled(2, { kind });

    it(`goes on with another key, at once: ${what} of ${kind}`, async () => {
      scene.first.plays(refusing(refusal), ok());
      const result = await scene.talk("Hello");
      good(result);
      assert.deepEqual(scene.first.keys.toSorted(), scene.pool);
      // The provider asks for far more.
      assert.ok(result.end.duration_ms < 10_000, `${result.end.duration_ms} ms`);
      assert.equal(result.failed.length, 1);
    });

    const rested = pooled(2, { kind });

    it(`does not use the refused key again while it rests: ${what} of ${kind}`, async () => {
      rested.first.plays(refusing(refusal), ok());
      good(await rested.talk("Hello"));
      for (let n = 0; n < 5; n++) good(await rested.goOn("Hello"));
      const [refused, ...others] = rested.first.keys;
      assert.equal(others.length, 6);
      assert.ok(others.every((key) => key !== refused), "each of the others");
    });
  }

  const streamed = pooled();

  it("goes on with another key for a stream, too", async () => {
    streamed.first.plays(stream('data: {"error":{"message":"Rate limit reached","type":"tokens","param":null,"code":"rate_limit_exceeded"}}\n\n'), ok());
    const result = await streamed.chat({ model: streamed.target("first"), stream: true });
    good(result);
    assert.equal(result.said, `said by ${streamed.first.name}`);
    assert.deepEqual(streamed.first.keys.toSorted(), streamed.pool);
  });

  const many = pooled(5);

  it("tries three keys at most, each once", async () => {
    many.first.plays(refusing(openai.rate));
    const { answer } = await many.talk("Hello");
    expectError(answer, { status: 429, code: "rate_limit_exceeded" });
    assert.equal(many.first.calls, 3);
    assert.equal(new Set(many.first.keys).size, 3);
  });

  const busy = pooled(3);

  it("is no help against a host that is busy", async () => {
    busy.first.plays(refusing(openai.overload));
    const { answer } = await busy.talk("Hello");
    assert.equal(answer.status, 503, answer.text);
    assert.ok(busy.first.calls <= 2, `${busy.first.calls} calls`);
  });

  const stable = pooled(2);

  it("keeps a conversation to one key, and shares conversations among keys", async () => {
    const texts = Array.from({ length: 24 }, (_, n) => `Conversation ${n}`);
    for (const text of texts) good(await stable.talk(text));
    for (const text of texts) good(await stable.goOn(text));
    const [first, later] = [stable.first.keys.slice(0, 24), stable.first.keys.slice(24)];
    assert.deepEqual(later, first);
    assert.deepEqual([...new Set(first)].toSorted(), stable.pool);
  });

  const other = pooled(2);

  it("rests for the limited model only, with the limited key", async () => {
    other.first.plays(refusing(openai.rate), ok());
    good(await other.talk("Hello"));
    good(await other.chat({ model: `${other.first.name}/gpt-4.1-mini`, messages: [{ role: "user", content: "Hello" }] }));
    const [limited, second, third] = other.first.keys;
    assert.notEqual(second, limited);
    assert.equal(third, limited, "the conversation's own key for the other model");
  });

  const dead = pooled(2);

  it("rests for all models with a refused key", async () => {
    dead.first.plays(refusing(openai.credential), ok());
    good(await dead.talk("Hello"));
    good(await dead.chat({ model: `${dead.first.name}/gpt-4.1-mini`, messages: [{ role: "user", content: "Hello" }] }));
    const [refused, ...others] = dead.first.keys;
    assert.ok(others.every((key) => key !== refused));
  });

  const cutting = pooled(2);

  it("does not rest after a broken connection", async () => {
    cutting.first.plays(cut, ok());
    good(await cutting.talk("Hello"));
    good(await cutting.goOn("Hello"));
    assert.equal(cutting.first.calls, 3);
    assert.equal(cutting.first.keys[2], cutting.first.keys[0], "the conversation's own key");
  });
});

describe("what a caller sends", { concurrency: 8 }, () => {
  for (const [what, refusal] of [
    ["a mistake", openai.caller],
    ["a prompt that is too long", openai.context],
    ["a prompt that is not allowed", openai.policy],
    ["a quotation of another error", [400, { error: { message: "Invalid value: 'Incorrect API key provided: You exceeded your current quota'. Supported values are: 'a' and 'b'.", type: "invalid_request_error", param: "user", code: "invalid_value" } }]],
    ["a model that it may not use", openai.unsupported],
  ]) {
    const scene = pooled(2);

    it(`cannot make a key rest: ${what}`, async () => {
      scene.first.plays(refusing(refusal));
      for (let n = 0; n < 6; n++) {
        const { answer } = await scene.talk("Hello");
        assert.ok(answer.status >= 400 && answer.status < 500, answer.text);
      }
      const calls = scene.first.calls;
      const own = scene.first.keys[0];
      scene.first.plays(ok());
      good(await scene.goOn("Hello"));
      assert.deepEqual(scene.first.keys.slice(calls), [own], "one call, with the conversation's own key");
    });
  }
});

describe("keys of one account", { concurrency: 8 }, () => {
  // Two keys share an account; the third is on its own.
  const [a, b, c] = poolOf(3);
  const scene = stage.scene({
    first: { kind: "openai", pool: [], variables: ["{ env: $_A, account: team }", "{ env: $_B, account: team }", "$_C"], secrets: { $_A: a, $_B: b, $_C: c } },
  });

  it("rest together when their money is gone", async () => {
    scene.first.plays(byKey({ [a]: refusing(openai.quota), [b]: refusing(openai.quota) }));
    for (let n = 0; n < 20; n++) good(await scene.chat({ model: scene.target("first"), messages: [{ role: "user", content: `Conversation ${n}` }] }));
    const of = (keys) => scene.first.keys.filter((key) => keys.includes(key)).length;
    assert.equal(of([a, b]), 1, "one call with a key of the account without money");
    assert.equal(of([c]), 20);
  });

  const [d, e] = poolOf(2);
  const limited = stage.scene({ first: { kind: "openai", pool: [], variables: ["{ env: $_A, account: team }", "{ env: $_B, account: team }"], secrets: { $_A: d, $_B: e } } });

  it("are none the better for another one, if the account's money is gone", async () => {
    limited.first.plays(refusing(openai.quota));
    const { answer } = await limited.chat({ model: limited.target("first") });
    expectError(answer, { status: 429, code: "insufficient_quota" });
    assert.equal(limited.first.calls, 1);
  });

  const [f] = poolOf(1);
  const incomplete = stage.scene({ first: { kind: "openai", pool: [], variables: ["$_A", "$_MISSING"], secrets: { $_A: f } } });

  it("need not all be set", async () => {
    good(await incomplete.chat({ model: incomplete.target("first") }));
    assert.deepEqual(incomplete.first.keys, [f]);
  });

  const [g, h] = poolOf(2);
  const weighted = stage.scene({ first: { kind: "openai", pool: [], variables: ["{ env: $_A, weight: 9 }", "$_B"], secrets: { $_A: g, $_B: h } } });

  it("have shares by their weights", async () => {
    for (let n = 0; n < 60; n++) good(await weighted.chat({ model: weighted.target("first"), messages: [{ role: "user", content: `Conversation ${n}` }] }));
    const share = weighted.first.keys.filter((key) => key === g).length;
    assert.ok(share > 40 && share < 60, `${share} of 60`);
  });
});

describe("a key", { concurrency: 8 }, () => {
  for (const [what, kind, refusal] of [
    ["in the message of a refusal", "openai", (keys) => refuse(400, { error: { message: `Bad keys: ${keys.join(" and ")}!`, type: "invalid_request_error", param: null, code: null } })],
    ["in the message of a busy host", "anthropic", (keys) => refuse(529, { type: "error", error: { type: "overloaded_error", message: `No room for ${keys.join(", ")}` } })],
    ["in the first event of a stream", "openai", (keys) => stream(`data: ${JSON.stringify({ error: { message: `Bad keys: ${keys.join(" and ")}!`, type: "server_error", param: null, code: null } })}\n\n`)],
    ["in an error inside a success", "openrouter", (keys) => refuse(200, { error: { code: 502, message: `Bad keys: ${keys.join(" and ")}!` } })],
  ]) {
    for (const streams of [false, true]) {
      const scene = pooled(3, { kind });

      it(`reaches neither caller nor log: ${what}, ${streams ? "stream" : "whole"}`, async () => {
        scene.first.plays(refusal(scene.pool));
        const result = await scene.chat({ model: scene.target("first"), stream: streams });
        const seen = result.answer.text + JSON.stringify(result.answer.headers) + stage.gateway.lines.join("\n");
        for (const key of scene.pool) assert.ok(!seen.includes(key), `a key in ${result.answer.text}`);
        assert.ok(result.answer.status >= 400 || streams, result.answer.text);
      });
    }
  }

  const route = stage.scene({ first: { kind: "openai", pool: poolOf(2) }, second: "anthropic" }, "attempts: 4");

  it("of a target comes before the next target", async () => {
    route.first.plays(refusing(openai.rate), ok());
    route.expectServed(await route.chat(), "first", [2, 0]);
  });

  const all = stage.scene({ first: { kind: "openai", pool: poolOf(2) }, second: "anthropic" }, "attempts: 4");

  it("of a target that is limited is followed by the next target", async () => {
    all.first.plays(refusing(openai.rate));
    all.expectServed(await all.chat(), "second", [2, 1]);
    // Both rest.
    all.expectServed(await all.chat(), "second", [2, 2]);
  });
});
