// `recover: restart`: after thoughts in plain text alone, another target begins anew in the same stream.
// `recover: continue`: another target goes on from the text that was sent.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { soon } from "./client.mjs";
import { expectErrorEnd, parsed, PATHS } from "./one-stream.mjs";
import { ok, refusing } from "./route-behaviours.mjs";
import { begin, FAULTS, kindsOf, SILENCE } from "./route-faults.mjs";
import { REFUSALS } from "./route-speech.mjs";
import { BRIEFLY, KEY, RouteStage, saidIn, TimedStage } from "./route-stage.mjs";

const RESTART = "recover: restart";
const THOUGHTS = "thinking";
/** What the client gets of the thoughts of a target that failed. */
const THOUGHT = "Let me think.";

const stage = new RouteStage();
/** For targets that fall silent. */
const timed = new TimedStage();
before(() => Promise.all([stage.start(), timed.start()]));
after(() => Promise.all([stage.stop(), timed.stop()]));
const stageOf = (fault) => (fault === SILENCE ? timed : stage);
/** A scene of a fault of the first target. */
const sceneOf = (fault, kind, settings) => stageOf(fault).scene({ first: { kind, ...(fault === SILENCE && { row: BRIEFLY }) }, second: other(kind) }, settings);

const other = (kind) => (kind === "openai" ? "anthropic" : "openai");
const once = (values, what, text) => assert.equal(new Set(values).size, 1, `one ${what}: ${text}`);

/** Asserts one answer in one stream, after these thoughts: each block and each head once, and no gap in the numbers. */
function expectOneMessage(client, text, said, thoughts) {
  assert.equal(saidIn({ text, headers: { "content-type": "text/event-stream" } }), said, text);
  const chunks = parsed(text);
  if (client === "openai") {
    for (const field of ["id", "created", "model"]) once(chunks.map((chunk) => chunk[field]), field, text);
    assert.equal(chunks.filter(({ choices }) => choices[0]?.delta?.role).length, 1, text);
    assert.equal(chunks.filter(({ choices }) => choices[0]?.finish_reason).length, 1, text);
    assert.equal(chunks.map(({ choices }) => choices[0]?.delta?.reasoning_content ?? "").join(""), thoughts, text);
    assert.ok(text.trimEnd().endsWith("data: [DONE]") && chunks.every(({ error }) => !error), text);
  } else {
    const of = (type) => chunks.filter((chunk) => chunk.type === type);
    assert.deepEqual(["message_start", "message_delta", "message_stop", "error"].map((type) => of(type).length), [1, 1, 1, 0], text);
    const blocks = of("content_block_start");
    assert.deepEqual(blocks.map(({ index }) => index), blocks.map((_, index) => index), text);
    assert.deepEqual(of("content_block_stop").map(({ index }) => index), blocks.map((_, index) => index), text);
    assert.equal(chunks.map(({ delta }) => delta?.thinking ?? "").join(""), thoughts, text);
    assert.equal(chunks.at(-1).type, "message_stop", text);
  }
}

/** Asserts that a stream tells how it went on: once where it did, in a comment, and once at its end. */
function expectTold(client, text, how) {
  assert.equal(text.split(`: x-llm-bridge-recovered: ${how}\n\n`).length, 2, text);
  const told = parsed(text).filter((chunk) => chunk.x_llm_bridge);
  assert.deepEqual(told.map(({ x_llm_bridge }) => x_llm_bridge), [{ recovered: how }], text);
  assert.ok(client === "openai" ? told[0].choices[0].finish_reason : told[0].type === "message_delta", text);
}

describe("a stream that is restarted", { concurrency: 8 }, () => {
  for (const [client, path] of Object.entries(PATHS)) {
    for (const kind of ["openai", "anthropic"]) {
      for (const [fault, [fail, wanted]] of Object.entries(FAULTS)) {
        const at = stageOf(fault);
        const scene = sceneOf(fault, kind, RESTART);

        it(`goes on with another target after thoughts: ${fault}, ${kind}, for a client of ${client}`, at.alone(async () => {
          let exchange;
          scene.first.plays(at.silently((found) => (begin((exchange = found), THOUGHTS), fail(found))));
          const { id, answer } = await scene.open({}, { path });
          const text = (await answer.rest()).toString();
          expectOneMessage(client, text, `said by ${scene.second.name}`, THOUGHT);
          expectTold(client, text, "restarted");
          assert.ok(text.includes(`: x-llm-bridge-model: ${scene.target("second")}`), text);
          assert.deepEqual(scene.calls, [1, 1]);
          const { end, classes } = await at.story(id);
          // The connection had been a good one.
          assert.deepEqual(classes, [wanted === "unreachable" ? "truncated" : wanted]);
          assert.deepEqual([end.event, end.outcome, end.status], ["request_complete", "complete", 200]);
          await soon(exchange.closed, "the end of the first call");
        }));
      }

      for (const what of kindsOf(kind).filter((what) => what !== THOUGHTS)) {
        const shown = stage.scene({ first: kind, second: other(kind) }, RESTART);

        it(`ends with an error after ${what}: ${kind}, for a client of ${client}`, async () => {
          shown.first.plays((exchange) => (begin(exchange, what), setTimeout(() => exchange.reset(), 20)));
          const { answer } = await shown.open({}, { path });
          expectErrorEnd(client, (await answer.rest()).toString(), { code: "stream_truncated" });
          assert.deepEqual(shown.calls, [1, 0]);
        });
      }

      const sound = stage.scene({ first: kind, second: "openai" }, RESTART);

      it(`is the first target's answer if nothing fails: ${kind}, for a client of ${client}`, async () => {
        const { answer } = await sound.open({}, { path });
        assert.equal(answer.headers["x-llm-bridge-model"], sound.target("first"));
        const text = (await answer.rest()).toString();
        expectOneMessage(client, text, `said by ${sound.first.name}`, "");
        assert.ok(!text.includes("x-llm-bridge-recovered"), text);
        assert.deepEqual(sound.calls, [1, 0]);
      });
    }

    const reset = (exchange) => (begin(exchange, THOUGHTS), setTimeout(() => exchange.reset(), 20));
    const twice = stage.scene({ first: "openai", second: "anthropic", third: "gemini" }, RESTART);

    it(`is restarted a second time, with a line between the thoughts of two: ${client}`, async () => {
      twice.first.plays(reset);
      twice.second.plays(reset);
      const { id, answer } = await twice.open({}, { path });
      expectOneMessage(client, (await answer.rest()).toString(), `said by ${twice.third.name}`, `${THOUGHT}\n\n${THOUGHT}`);
      assert.equal((await stage.story(id)).classes.length, 2);
    });

    const busy = stage.scene({ first: "openai", second: "anthropic", third: "openai" }, RESTART);

    it(`passes by a target that refuses: ${client}`, async () => {
      busy.first.plays(reset);
      busy.second.plays(refusing(REFUSALS.anthropic.overload));
      const { answer } = await busy.open({}, { path });
      expectOneMessage(client, (await answer.rest()).toString(), `said by ${busy.third.name}`, THOUGHT);
      assert.deepEqual(busy.calls, [1, 1, 1]);
    });

    const down = stage.scene({ first: "openai", second: "anthropic" }, `${RESTART}, attempts: 2`);

    it(`ends with one error if nobody can go on: ${client}`, async () => {
      down.first.plays(reset);
      down.second.plays(refusing(REFUSALS.anthropic.overload));
      const { id, answer } = await down.open({}, { path });
      expectErrorEnd(client, (await answer.rest()).toString(), {});
      const { end, classes } = await stage.story(id);
      assert.deepEqual(classes, ["truncated", "overload"]);
      assert.deepEqual([end.outcome, end.status], ["upstream_error", 200]);
    });

    const whole = stage.scene({ first: "openai", second: "anthropic" }, RESTART);

    it(`is no matter of whole answers, which begin anew unseen: ${client}`, async () => {
      whole.first.plays(reset);
      const asks = client === "openai" ? whole.chat : whole.message;
      whole.expectServed(await asks(), "second", [1, 1]);
    });

    const document = stage.scene({ first: "openai", second: "anthropic", third: "openai" }, RESTART);

    it(`does not go on with a whole answer in place of a stream: ${client}`, async () => {
      document.first.plays(reset);
      document.second.plays((exchange) => exchange.whole(200, exchange.speech.whole({ text: "whole" })));
      const { answer } = await document.open({}, { path });
      expectOneMessage(client, (await answer.rest()).toString(), `said by ${document.third.name}`, THOUGHT);
    });
  }

  const asked = stage.scene({ first: "openai", second: "anthropic" });

  it("is asked for by a request, too", async () => {
    asked.first.plays((exchange) => (begin(exchange, THOUGHTS), exchange.end()));
    const { answer } = await asked.open({}, { headers: { "x-llm-bridge-recover": "restart" } });
    expectOneMessage("openai", (await answer.rest()).toString(), `said by ${asked.second.name}`, THOUGHT);
  });

  const stored = stage.scene({ first: "openai", second: "anthropic" }, RESTART);

  it("is none whose request may not be sent twice", async () => {
    stored.first.plays((exchange) => (begin(exchange, THOUGHTS), setTimeout(() => exchange.reset(), 20)));
    const { answer } = await stored.open({ store: true });
    expectErrorEnd("openai", (await answer.rest()).toString(), { code: "stream_truncated" });
    assert.deepEqual(stored.calls, [1, 0]);
  });
});

/** An answer, and how much of it the first target says. */
const FULL = "The gateway joins what two targets have said, so that not a byte of the answer is lost, and none is said twice.";
const SAID = 52;
const CONTINUE = "recover: continue";
const SYSTEM = "Speak like a pirate.";

/**
 * What a good model says, up to `end` of the answer: what follows the beginning that it was given, or else the last words
 * once more, so many characters of them.
 */
function continuationOf({ request }, end = FULL.length, again = 30) {
  const [before, last] = turnsOf(request).slice(-2);
  const text = last[0] === "assistant" ? last[1] : before[1];
  assert.equal(text, FULL.slice(0, text.length));
  return FULL.slice(text.length - (last[0] === "assistant" ? 0 : again), end);
}

const goesOn = (exchange) => ok({ text: continuationOf(exchange) })(exchange);

/** Says words, without an end. */
const say = (exchange, text) => {
  exchange.openStream();
  exchange.speech.stream({ text }).slice(0, exchange.speech.contentAt + 2).forEach((event) => exchange.write(event));
};
const resetSoon = (exchange) => setTimeout(() => exchange.reset(), 20);
const saysPart = (exchange) => (say(exchange, FULL.slice(0, SAID)), resetSoon(exchange));

/** The turns that a provider was sent, as roles and texts. */
const turnsOf = ({ body }) => body.messages.map(({ role, content }) => [role, typeof content === "string" ? content : content.map(({ text }) => text).join("")]);

describe("a stream that is continued", { concurrency: 8 }, () => {
  for (const [client, path] of Object.entries(PATHS)) {
    for (const kind of ["openai", "anthropic"]) {
      for (const [fault, [fail, wanted]] of Object.entries(FAULTS)) {
        const at = stageOf(fault);
        const scene = sceneOf(fault, kind, CONTINUE);

        it(`is one text of two targets: ${fault}, ${kind}, for a client of ${client}`, at.alone(async () => {
          scene.first.plays(at.silently((exchange) => (say(exchange, FULL.slice(0, SAID)), fail(exchange))));
          scene.second.plays(goesOn);
          const { id, answer } = await scene.open({}, { path });
          const text = (await answer.rest()).toString();
          expectOneMessage(client, text, FULL, "");
          expectTold(client, text, "joined");
          assert.deepEqual(scene.calls, [1, 1]);
          const { end, classes } = await at.story(id);
          assert.deepEqual(classes, [wanted === "unreachable" ? "truncated" : wanted]);
          assert.deepEqual([end.outcome, end.status, end.recovered], ["complete", 200, "joined"]);
        }));
      }

      const asked = stage.scene({ first: kind, second: "openai" }, CONTINUE);

      it(`is asked for by one turn more, beside the caller's own: ${kind}, for a client of ${client}`, async () => {
        asked.first.plays(saysPart);
        asked.second.plays(goesOn);
        const own = client === "openai" ? { messages: [{ role: "system", content: SYSTEM }, { role: "user", content: "Hello" }] } : { system: SYSTEM, messages: [{ role: "user", content: "Hello" }] };
        const { answer } = await asked.open(own, { path });
        expectOneMessage(client, (await answer.rest()).toString(), FULL, "");
        const [request] = asked.second.requests;
        const turns = turnsOf(request).filter(([role]) => role !== "system" && role !== "developer");
        assert.deepEqual(turns.slice(0, 2), [["user", "Hello"], ["assistant", FULL.slice(0, SAID)]]);
        assert.deepEqual([turns.length, turns[2][0]], [3, "user"]);
        assert.ok(turns[2][1].includes("\ntargets have said, so tha\n"), turns[2][1]);
        assert.ok(JSON.stringify(request.body).includes(SYSTEM));
        // 100, less what was said, and what is repeated besides.
        assert.equal(request.body.max_tokens ?? request.body.max_completion_tokens, 100 - 13 + 7);
      });
    }

    for (const kind of ["openai", "anthropic"]) {
      for (const begun of ["Sure! Here is another answer.", "The gateway joins what two others have said."]) {
        const anew = stage.scene({ first: "openai", second: kind }, `${CONTINUE}, attempts: 2`);

        it(`ends with an error if the next target begins anew: "${begun}", ${kind}, for a client of ${client}`, async () => {
          anew.first.plays(saysPart);
          anew.second.plays(ok({ text: begun }));
          const { id, answer } = await anew.open({}, { path });
          const text = (await answer.rest()).toString();
          expectErrorEnd(client, text, {});
          assert.equal(saidIn({ text, headers: answer.headers }), FULL.slice(0, SAID), text);
          assert.ok(!text.includes("joined"), text);
          assert.equal((await stage.story(id)).end.recovered, undefined);
          assert.deepEqual(anew.calls, [1, 1]);
        });
      }
    }

    const twice = stage.scene({ first: "openai", second: "anthropic", third: "openai" }, CONTINUE);

    it(`goes on a second time: ${client}`, async () => {
      twice.first.plays(saysPart);
      twice.second.plays((exchange) => (say(exchange, continuationOf(exchange, SAID + 25)), resetSoon(exchange)));
      twice.third.plays(goesOn);
      const { answer } = await twice.open({}, { path });
      expectOneMessage(client, (await answer.rest()).toString(), FULL, "");
      assert.deepEqual(twice.calls, [1, 1, 1]);
    });

    const early = stage.scene({ first: "anthropic", second: "openai", third: "openai" }, CONTINUE);

    it(`shows nothing of a target that breaks off while it repeats: ${client}`, async () => {
      early.first.plays(saysPart);
      early.second.plays((exchange) => (say(exchange, FULL.slice(SAID - 30, SAID - 10)), resetSoon(exchange)));
      early.third.plays(goesOn);
      const { answer } = await early.open({}, { path });
      expectOneMessage(client, (await answer.rest()).toString(), FULL, "");
    });

    for (const kind of ["openai", "anthropic"]) {
      const last = stage.scene({ first: "openai", second: kind }, CONTINUE);

      it(`is the whole text if nothing is missing but its end: ${kind}, for a client of ${client}`, async () => {
        last.first.plays((exchange) => (say(exchange, FULL), resetSoon(exchange)));
        last.second.plays(goesOn);
        const { answer } = await last.open({}, { path });
        expectOneMessage(client, (await answer.rest()).toString(), FULL, "");
        assert.deepEqual(last.calls, [1, 1]);
      });
    }

    const given = stage.scene({ first: "openai", second: "anthropic" }, CONTINUE);

    it(`is given to a model that takes the beginning of its answer: ${client}`, async () => {
      given.first.plays((exchange) => (say(exchange, FULL.slice(0, SAID + 1)), resetSoon(exchange)));
      given.second.plays(goesOn);
      const { answer } = await given.open({}, { path });
      expectOneMessage(client, (await answer.rest()).toString(), FULL, "");
      assert.deepEqual(turnsOf(given.second.requests[0]), [["user", "Hello"], ["assistant", FULL.slice(0, SAID + 1)]]);
      assert.equal(given.second.requests[0].body.max_tokens, 100 - 14);
    });

    const space = stage.scene({ first: "openai", second: "anthropic" }, CONTINUE);

    it(`is given without the white space at its end, which is not said twice: ${client}`, async () => {
      space.first.plays((exchange) => (say(exchange, "The gateway joins what two targets "), resetSoon(exchange)));
      space.second.plays(goesOn);
      const { answer } = await space.open({}, { path });
      expectOneMessage(client, (await answer.rest()).toString(), FULL, "");
      assert.equal(turnsOf(space.second.requests[0]).at(-1)[1], "The gateway joins what two targets");
    });

    const refused = stage.scene({ first: "openai", second: "anthropic" }, CONTINUE);

    it(`is asked for by a turn where a target refuses to be given it: ${client}`, async () => {
      refused.first.plays(saysPart);
      const message = "This model does not support assistant message prefill. The conversation must end with a user message.";
      refused.second.plays(refusing([400, { type: "error", error: { type: "invalid_request_error", message } }]), goesOn);
      const { answer } = await refused.open({}, { path });
      expectOneMessage(client, (await answer.rest()).toString(), FULL, "");
      assert.deepEqual(refused.calls, [1, 2]);
      assert.deepEqual(refused.second.requests.map((request) => turnsOf(request).at(-1)[0]), ["assistant", "user"]);
    });

    const marked = stage.scene({ first: "openai", second: { kind: "openai", models: '{ "*": { prefill: partial } }' } }, CONTINUE);

    it(`is marked as the operator says of a model: ${client}`, async () => {
      marked.first.plays(saysPart);
      marked.second.plays(goesOn);
      const { answer } = await marked.open({}, { path });
      expectOneMessage(client, (await answer.rest()).toString(), FULL, "");
      assert.deepEqual(marked.second.requests[0].body.messages.at(-1), { role: "assistant", content: FULL.slice(0, SAID), partial: true });
    });

    const thinks = stage.scene({ first: "openai", second: "anthropic" }, CONTINUE);

    it(`begins anew after thoughts: ${client}`, async () => {
      thinks.first.plays((exchange) => (begin(exchange, THOUGHTS), resetSoon(exchange)));
      const { answer } = await thinks.open({}, { path });
      const text = (await answer.rest()).toString();
      expectOneMessage(client, text, `said by ${thinks.second.name}`, THOUGHT);
      expectTold(client, text, "restarted");
    });

    const called = stage.scene({ first: "openai", second: "anthropic" }, CONTINUE);

    it(`ends with an error once a tool call has begun: ${client}`, async () => {
      called.first.plays((exchange) => (begin(exchange, "a tool call"), resetSoon(exchange)));
      const { answer } = await called.open({}, { path });
      expectErrorEnd(client, (await answer.rest()).toString(), { code: "stream_truncated" });
      assert.deepEqual(called.calls, [1, 0]);
    });

    const ended = stage.scene({ first: "openai", second: "anthropic" }, CONTINUE);

    it(`is whole once its finish reason has come: ${client}`, async () => {
      ended.first.plays((exchange) => {
        exchange.openStream();
        exchange.speech.stream({ text: FULL }).slice(0, 4).forEach((event) => exchange.write(event));
        resetSoon(exchange);
      });
      const { answer } = await ended.open({}, { path });
      expectOneMessage(client, (await answer.rest()).toString(), FULL, "");
      assert.deepEqual(ended.calls, [1, 0]);
    });

    const rubbish = stage.scene({ first: "openai", second: "anthropic" }, CONTINUE);

    it(`never glues what stands before and behind rubbish: ${client}`, async () => {
      rubbish.first.plays((exchange) => {
        exchange.openStream();
        const { speech } = exchange;
        // In one piece.
        exchange.write(speech.opening() + speech.chunk({ content: FULL.slice(0, SAID) }) + "data: {oops\n\n" + speech.chunk({ content: "glue" }) + speech.chunk({}, "stop"));
        exchange.end();
      });
      rubbish.second.plays(goesOn);
      const { answer } = await rubbish.open({}, { path });
      expectOneMessage(client, (await answer.rest()).toString(), FULL, "");
    });
  }

  const thinking = stage.scene({ first: "openai", second: "openai" }, CONTINUE);

  it("shows no thoughts behind text", async () => {
    thinking.first.plays(saysPart);
    thinking.second.plays((exchange) => {
      exchange.openStream();
      exchange.write(exchange.speech.opening() + exchange.speech.chunk({ reasoning_content: "They want more." }));
      exchange.speech.stream({ text: continuationOf(exchange) }).slice(1).forEach((event) => exchange.write(event));
      exchange.end();
    });
    const { answer } = await thinking.open();
    expectOneMessage("openai", (await answer.rest()).toString(), FULL, "");
  });

  const calls = stage.scene({ first: "openai", second: "openai" }, CONTINUE);

  it("may end in a tool call of the next target, once it has joined", async () => {
    const call = { tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "get_weather", arguments: "{}" } }] };
    calls.first.plays(saysPart);
    calls.second.plays((exchange) => {
      exchange.openStream();
      const { speech } = exchange;
      [speech.opening(), speech.chunk({ content: FULL.slice(SAID - 30, SAID) }), speech.chunk(call), speech.chunk({}, "tool_calls")].forEach((event) => exchange.write(event));
      exchange.end();
    });
    const { answer } = await calls.open({ tools: [{ type: "function", function: { name: "get_weather", parameters: { type: "object" } } }] });
    const text = (await answer.rest()).toString();
    assert.equal(saidIn({ text, headers: answer.headers }), FULL.slice(0, SAID), text);
    assert.ok(text.includes('"finish_reason":"tool_calls"') && !text.includes('"error"'), text);
  });

  const worded = stage.scene({ first: "openai", second: "openai" }, `${CONTINUE}, continue_with: "Mach weiter nach: {words}"`);

  it("is asked for in the words of the route", async () => {
    worded.first.plays(saysPart);
    worded.second.plays(goesOn);
    const { answer } = await worded.open();
    expectOneMessage("openai", (await answer.rest()).toString(), FULL, "");
    assert.match(turnsOf(worded.second.requests[0]).at(-1)[1], /^Mach weiter nach: .*targets have said, so tha$/);
  });

  const NEVER = {
    "several choices": { n: 2 },
    probabilities: { logprobs: true },
    "a JSON schema": { response_format: { type: "json_schema", json_schema: { name: "x", schema: { type: "object" } } } },
    "an answer that is stored": { store: true },
    sound: { modalities: ["text", "audio"], audio: { voice: "alloy", format: "wav" } },
    "a tool of the provider": { web_search_options: {} },
    "a beginning of the caller's own": { messages: [{ role: "user", content: "Hello" }, { role: "assistant", content: "The" }] },
  };
  for (const [what, fields] of Object.entries(NEVER)) {
    const never = stage.scene({ first: "openai", second: "openai" }, CONTINUE);

    it(`is never one with ${what}`, async () => {
      never.first.plays(saysPart);
      const { answer } = await never.open(fields);
      expectErrorEnd("openai", (await answer.rest()).toString(), { code: "stream_truncated" });
      assert.deepEqual(never.calls, [1, 0]);
    });
  }
});

describe("the official SDKs", { concurrency: 8 }, () => {
  for (const [fault, [fail]] of Object.entries(FAULTS)) {
    const at = stageOf(fault);
    const [chats, messages] = ["openai", "anthropic"].map((kind) => sceneOf(fault, kind, RESTART));

    it(`accumulate one sound message of two targets: OpenAI's, after ${fault}`, at.alone(async () => {
      chats.first.plays(at.silently((exchange) => (begin(exchange, THOUGHTS), fail(exchange))));
      const client = new OpenAI({ apiKey: KEY, baseURL: at.url("/v1"), maxRetries: 0 });
      const stream = client.chat.completions.stream({ model: chats.route, messages: [{ role: "user", content: "Hello" }] });
      const { choices } = await stream.finalChatCompletion();
      assert.deepEqual(choices.map(({ message, finish_reason }) => [message.content, finish_reason]), [[`said by ${chats.second.name}`, "stop"]]);
    }));

    it(`accumulate one sound message of two targets: Anthropic's, after ${fault}`, at.alone(async () => {
      messages.first.plays(at.silently((exchange) => (begin(exchange, THOUGHTS), fail(exchange))));
      const client = new Anthropic({ apiKey: KEY, baseURL: at.url(""), maxRetries: 0 });
      const stream = client.messages.stream({ model: messages.route, max_tokens: 100, messages: [{ role: "user", content: "Hello" }] });
      const { content, stop_reason } = await stream.finalMessage();
      assert.deepEqual([content.map(({ type, text, thinking }) => [type, text ?? thinking]), stop_reason], [[["thinking", THOUGHT], ["text", `said by ${messages.second.name}`]], "end_turn"]);
    }));

    const [texts, said] = ["openai", "anthropic"].map((kind) => sceneOf(fault, kind, CONTINUE));

    it(`accumulate one text of two targets: OpenAI's, after ${fault}`, at.alone(async () => {
      texts.first.plays(at.silently((exchange) => (say(exchange, FULL.slice(0, SAID)), fail(exchange))));
      texts.second.plays(goesOn);
      const client = new OpenAI({ apiKey: KEY, baseURL: at.url("/v1"), maxRetries: 0 });
      const stream = client.chat.completions.stream({ model: texts.route, messages: [{ role: "user", content: "Hello" }] });
      const { choices } = await stream.finalChatCompletion();
      assert.deepEqual(choices.map(({ message, finish_reason }) => [message.content, finish_reason]), [[FULL, "stop"]]);
    }));

    it(`accumulate one text of two targets: Anthropic's, after ${fault}`, at.alone(async () => {
      said.first.plays(at.silently((exchange) => (say(exchange, FULL.slice(0, SAID)), fail(exchange))));
      said.second.plays(goesOn);
      const client = new Anthropic({ apiKey: KEY, baseURL: at.url(""), maxRetries: 0 });
      const stream = client.messages.stream({ model: said.route, max_tokens: 100, messages: [{ role: "user", content: "Hello" }] });
      const { content, stop_reason } = await stream.finalMessage();
      assert.deepEqual([content.map(({ type, text }) => [type, text]), stop_reason], [[["text", FULL]], "end_turn"]);
    }));
  }
});
