// `recover: buffer`: a stream that fails after its content has begun is begun anew by the next target, because
// nothing of it has left for the client.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { soon, until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { expectErrorEnd, expectOneStream, PATHS } from "./one-stream.mjs";
import { cutAfterContent, ok } from "./route-behaviours.mjs";
import { begin, FAULTS, kindsOf, SILENCE } from "./route-faults.mjs";
import { BRIEFLY, KEY, RouteStage, TimedStage } from "./route-stage.mjs";

const BUFFER = "recover: buffer";
const BRISK = "keep_alive: 0.3";
const COMMENT = ": keep-alive";
const ORDER = { "x-llm-bridge-recover": "buffer" };

const stage = new RouteStage();
/** For targets that fall silent. */
const timed = new TimedStage();
before(() => Promise.all([stage.start(), timed.start()]));
after(() => Promise.all([stage.stop(), timed.stop()]));

describe("a stream that is held", { concurrency: 8 }, () => {
  for (const [client, path] of Object.entries(PATHS)) {
    for (const kind of ["openai", "anthropic", "gemini"]) {
      for (const what of kindsOf(kind)) {
        for (const [fault, [fail, wanted]] of Object.entries(FAULTS)) {
          const at = fault === SILENCE ? timed : stage;
          const scene = at.scene({ first: { kind, ...(at === timed && { row: BRIEFLY }) }, second: kind === "openai" ? "anthropic" : "openai" }, BUFFER);

          it(`is begun anew by another target: ${fault} in ${what}, ${kind}, for a client of ${client}`, at.alone(async () => {
            let exchange;
            scene.first.plays(at.silently((found) => (begin((exchange = found), what), fail(found))));
            const { id, answer } = await scene.open({}, { path });
            expectOneStream(client, (await answer.rest()).toString(), `said by ${scene.second.name}`);
            assert.deepEqual(scene.calls, [1, 1]);
            const { end, classes } = await at.story(id);
            assert.deepEqual(classes, [wanted]);
            assert.deepEqual([end.event, end.outcome, end.status], ["request_complete", "complete", 200]);
            await soon(exchange.closed, "the end of the first call");
          }));
        }
      }

      const sound = stage.scene({ first: kind, second: "openai" }, BUFFER);

      it(`is the first target's answer if nothing fails: ${kind}, for a client of ${client}`, async () => {
        const { answer } = await sound.open({}, { path });
        assert.equal(answer.headers["x-llm-bridge-model"], sound.target("first"));
        expectOneStream(client, (await answer.rest()).toString(), `said by ${sound.first.name}`);
        assert.deepEqual(sound.calls, [1, 0]);
      });
    }

    const twice = stage.scene({ first: "openai", second: "anthropic", third: "gemini" }, BUFFER);

    it(`is begun anew a second time: ${client}`, async () => {
      twice.first.plays(cutAfterContent);
      twice.second.plays(cutAfterContent);
      const { id, answer } = await twice.open({}, { path });
      expectOneStream(client, (await answer.rest()).toString(), `said by ${twice.third.name}`);
      assert.equal((await stage.story(id)).classes.length, 2);
    });

    const last = stage.scene({ first: "openai", second: "anthropic" }, `attempts: 2, ${BUFFER}`);

    it(`passes as it comes from the last target, which nobody follows: ${client}`, async () => {
      last.first.plays(cutAfterContent);
      last.second.plays(cutAfterContent);
      const { answer } = await last.open({}, { path });
      assert.equal(answer.status, 200);
      expectErrorEnd(client, (await answer.rest()).toString(), { code: "stream_truncated" });
      assert.deepEqual(last.calls, [1, 1]);
    });

    const kept = stage.scene({ first: { kind: "openai", row: BRISK }, second: { kind: "anthropic", row: BRISK } }, BUFFER);

    it(`keeps its client by comments, and brings one answer at the end: ${client}`, async () => {
      const held = kept.first.holds();
      const opening = kept.open({}, { path });
      const exchange = await held;
      kept.first.plays(ok());
      begin(exchange);
      const { answer } = await opening;
      const beginning = await answer.until(COMMENT);
      assert.ok(!beginning.includes("first"), beginning);
      exchange.reset();
      const text = beginning + (await answer.rest()).toString();
      expectOneStream(client, text, `said by ${kept.second.name}`);
      assert.ok(text.includes(`: x-llm-bridge-model: ${kept.target("second")}`), text);
    });

    const limited = stage.scene({ first: { kind: "openai", row: BRISK }, second: "anthropic" }, `${BUFFER}, hold: 1`);

    it(`is held no longer than \`hold\`: ${client}`, async () => {
      const held = limited.first.holds();
      const opening = limited.open({}, { path });
      const exchange = await held;
      begin(exchange);
      const { answer } = await opening;
      // The first half of the words, before the provider says more.
      const beginning = await answer.until("first");
      exchange.reset();
      expectErrorEnd(client, beginning + (await answer.rest()).toString(), { code: "stream_truncated" });
      assert.deepEqual(limited.calls, [1, 0]);
    });
  }

  for (const kind of ["openai", "gemini"]) {
    const ended = stage.scene({ first: kind, second: "anthropic" }, BUFFER);

    it(`is whole once its finish reason has come: ${kind}`, async () => {
      ended.first.plays((exchange) => {
        exchange.openStream();
        exchange.speech.stream({ text: `said by ${exchange.provider.name}` }).slice(0, 4).forEach((event) => exchange.write(event));
        setTimeout(() => exchange.reset(), 20);
      });
      const { answer } = await ended.open();
      expectOneStream("openai", (await answer.rest()).toString(), `said by ${ended.first.name}`);
      assert.deepEqual(ended.calls, [1, 0]);
    });
  }

  const unended = stage.scene({ first: "openai", second: "anthropic" }, BUFFER);

  it("may lack the line ends of its last event", async () => {
    unended.first.plays((exchange) => {
      exchange.openStream();
      const [opening, one, other, finish] = exchange.speech.stream({ text: `said by ${exchange.provider.name}` });
      [opening, one, other, finish.trimEnd()].forEach((event) => exchange.write(event));
      exchange.end();
    });
    const { answer } = await unended.open();
    expectOneStream("openai", (await answer.rest()).toString(), `said by ${unended.first.name}`);
    assert.deepEqual(unended.calls, [1, 0]);
  });

  const long = stage.scene({ first: "openai", second: "anthropic" }, BUFFER);

  it("loses and doubles no byte of a long answer", async () => {
    const words = Array.from({ length: 4_000 }, (_, n) => `word ${n} `);
    const says = (exchange, count) => {
      exchange.openStream();
      exchange.write(exchange.speech.opening());
      words.slice(0, count).forEach((content) => exchange.write(exchange.speech.chunk({ content })));
    };
    long.first.plays((exchange) => {
      says(exchange, 4_000);
      exchange.speech.stream({ text: "" }).slice(3).forEach((event) => exchange.write(event));
      exchange.end();
    });
    const { answer } = await long.open();
    expectOneStream("openai", (await answer.rest()).toString(), words.join(""));
    long.first.plays((exchange) => (says(exchange, 3_000), setTimeout(() => exchange.reset(), 20)));
    const again = await long.open();
    expectOneStream("openai", (await again.answer.rest()).toString(), `said by ${long.second.name}`);
  });

  const leaving = stage.scene({ first: "openai", second: "anthropic" }, BUFFER);

  it("is given up when its client leaves, and nobody else is asked", async () => {
    const held = leaving.first.holds();
    const { id, answering, leave } = leaving.begin({ stream: true });
    answering.catch(() => {});
    const exchange = await held;
    begin(exchange);
    await until(() => stage.gateway.logs().some((entry) => entry.request_id === id), "the request in the log");
    leave();
    assert.equal((await stage.story(id)).end.outcome, "client_closed");
    assert.equal(await soon(exchange.closed, "the end of the call"), true);
    assert.deepEqual(leaving.calls, [1, 0]);
  });
});

describe("the official SDKs", { concurrency: 8 }, () => {
  for (const [fault, [fail]] of Object.entries(FAULTS)) {
    const at = fault === SILENCE ? timed : stage;
    const row = at === timed ? BRIEFLY : BRISK;
    const [chats, messages] = ["openai", "anthropic"].map((kind) => at.scene({ first: { kind, row }, second: kind === "openai" ? "anthropic" : "openai" }, BUFFER));

    it(`accumulate one sound message of the second target: OpenAI's, after ${fault}`, at.alone(async () => {
      chats.first.plays(at.silently((exchange) => (begin(exchange), fail(exchange))));
      const client = new OpenAI({ apiKey: KEY, baseURL: at.url("/v1"), maxRetries: 0 });
      const stream = client.chat.completions.stream({ model: chats.route, messages: [{ role: "user", content: "Hello" }] });
      const { choices } = await stream.finalChatCompletion();
      assert.deepEqual(choices.map(({ message, finish_reason }) => [message.content, finish_reason]), [[`said by ${chats.second.name}`, "stop"]]);
      assert.deepEqual(chats.calls, [1, 1]);
    }));

    it(`accumulate one sound message of the second target: Anthropic's, after ${fault}`, at.alone(async () => {
      messages.first.plays(at.silently((exchange) => (begin(exchange), fail(exchange))));
      const client = new Anthropic({ apiKey: KEY, baseURL: at.url(""), maxRetries: 0 });
      const stream = client.messages.stream({ model: messages.route, max_tokens: 100, messages: [{ role: "user", content: "Hello" }] });
      const { content, stop_reason } = await stream.finalMessage();
      assert.deepEqual([content.map(({ type, text }) => [type, text]), stop_reason], [[["text", `said by ${messages.second.name}`]], "end_turn"]);
      assert.deepEqual(messages.calls, [1, 1]);
    }));
  }
});

describe("what a request says of recovery", { concurrency: 8 }, () => {
  const asked = stage.scene({ first: "openai", second: "anthropic" });

  it("counts before the route's rule: buffer", async () => {
    asked.first.plays(cutAfterContent);
    const { answer } = await asked.open({}, { headers: ORDER });
    expectOneStream("openai", (await answer.rest()).toString(), `said by ${asked.second.name}`);
  });

  const refused = stage.scene({ first: "openai", second: "anthropic" }, BUFFER);

  it("counts before the route's rule: off", async () => {
    refused.first.plays(cutAfterContent);
    const { answer } = await refused.open({}, { headers: { "x-llm-bridge-recover": "OFF" } });
    expectErrorEnd("openai", (await answer.rest()).toString(), { code: "stream_truncated" });
    assert.deepEqual(refused.calls, [1, 0]);
  });

  const unknown = stage.scene({ first: "openai", second: "anthropic" });

  it("is refused if it is not known, before any provider is called", async () => {
    const { answer } = await unknown.chat({}, { headers: { "x-llm-bridge-recover": "pray" } });
    expectError(answer, { status: 400, code: "invalid_header" });
    assert.match(answer.json().error.message, /`off`, `buffer`/);
    assert.deepEqual(unknown.calls, [0, 0]);
  });

  const pool = stage.scene({ first: { kind: "openai", pool: ["sk-recover-a-314159", "sk-recover-b-314159"] } });

  it("holds for another key of the same target, too", async () => {
    pool.first.plays(cutAfterContent, ok());
    const { answer } = await pool.open({}, { headers: ORDER });
    expectOneStream("openai", (await answer.rest()).toString(), `said by ${pool.first.name}`);
    assert.equal(new Set(pool.first.keys).size, 2);
  });

  const effects = stage.scene({ first: { kind: "openai", row: BRISK }, second: "anthropic" }, BUFFER);

  it("does not hold a request that may not be sent twice", async () => {
    const held = effects.first.holds();
    const opening = effects.open({ store: true });
    const exchange = await held;
    begin(exchange);
    const { answer } = await opening;
    const beginning = await answer.until("first");
    exchange.reset();
    expectErrorEnd("openai", beginning + (await answer.rest()).toString(), { code: "stream_truncated" });
    assert.deepEqual(effects.calls, [1, 0]);
  });
});
