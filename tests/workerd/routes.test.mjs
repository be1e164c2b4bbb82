// Routes: which failures of a target are followed by another target, and what that one gets.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { as, call, HELLO, soon } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { OFFICE, Office } from "./office.mjs";
import { cut, cutAfterContent, cutBeforeContent, either, headAndSilence, ok, refuse, refusing, silence, stream, succeed } from "./route-behaviours.mjs";
import { ERROR_EVENTS, REFUSALS } from "./route-speech.mjs";
import { BRIEFLY, KEY, RouteStage, TimedStage } from "./route-stage.mjs";
import { pass } from "./timed.mjs";

/** The failures after which another target is tried, whatever target it is. */
const GOES_ON = ["rate", "quota", "credential", "overload", "capacity", "tpm_size", "unsupported", "region", "unreachable", "timeout", "hollow"];
/** Those of which the caller is told. */
const STOPS = ["policy", "caller"];

const SMALL = '{ "*": { context: 100000 } }';
const LARGE = '{ "*": { context: 400000 } }';
const UNKNOWN_WINDOW = '{ "*": {} }';
/** The beginning of an answer, and then nothing. */
const halfAnAnswer = (exchange) => {
  exchange.openStream();
  exchange.speech.stream({ text: "first words" }).slice(0, exchange.speech.contentAt + 1).forEach((event) => exchange.write(event));
};

/** A refusal whose text has no end. */
const endless = async (exchange) => {
  let isClosed = false;
  exchange.closed.then(() => (isClosed = true));
  exchange.openStream({}, 503);
  for (; !isClosed; await sleep(5)) exchange.write("too busy ".repeat(1_000));
};

const classOf = (name) => name.replace("_inside", "");

const WEATHER = { name: "get_weather", description: "The weather of a city", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } };

const stage = new RouteStage({
  bindings: OFFICE,
  top: () => `aliases: { other-name: ${aliased.target("first")}, other-route: ${aliased.route} }`,
});
const aliased = stage.scene({ first: "openai", second: "anthropic" });
/** For targets that are silent. */
const timed = new TimedStage();
let office;
before(async () => {
  await Promise.all([stage.start(), timed.start()]);
  office = new Office(stage.gateway.url);
});
after(() => Promise.all([stage.stop(), timed.stop()]));

describe("a target's refusal in its own wire form", { concurrency: 8 }, () => {
  const table = Object.entries(REFUSALS).flatMap(([kind, refusals]) => Object.entries(refusals).map(([name, refusal]) => [kind, name, refusal]));

  for (const [kind, name, refusal] of table.filter(([, name]) => GOES_ON.includes(classOf(name)))) {
    const second = kind === "openai" ? "anthropic" : "openai";

    const whole = stage.scene({ first: kind, second });
    const streamed = stage.scene({ first: kind, second });

    it(`is followed by another target: ${name} of ${kind}`, async () => {
      whole.first.plays(refusing(refusal));
      const result = await whole.chat();
      whole.expectServed(result, "second", [1, 1]);
      assert.deepEqual(result.classes, [classOf(name)]);
      assert.equal(result.end.event, "request_complete");
    });

    it(`is followed by another target, for a stream of the Messages API: ${name} of ${kind}`, async () => {
      streamed.first.plays(refusing(refusal));
      const result = await streamed.message({ stream: true });
      streamed.expectServed(result, "second", [1, 1]);
      assert.deepEqual(result.classes, [classOf(name)]);
    });
  }

  for (const [kind, name, refusal] of table.filter(([, name]) => STOPS.includes(name))) {
    const scene = stage.scene({ first: kind, second: "openai" });

    it(`is told to the caller, and nobody else is asked: ${name} of ${kind}`, async () => {
      scene.first.plays(refusing(refusal));
      const { answer, classes } = await scene.chat();
      assert.deepEqual(scene.calls, [1, 0]);
      assert.deepEqual(classes, [name]);
      assert.ok(answer.status >= 400 && answer.status < 500 || refusal[0] === 200, answer.text);
      assert.ok(answer.json().error.message, answer.text);
    });
  }

  for (const [kind, , refusal] of table.filter(([, name]) => name === "context")) {
    const larger = stage.scene({ first: { kind, models: SMALL }, second: { kind: "openai", models: SMALL }, third: { kind: "anthropic", models: LARGE } });
    const unknown = stage.scene({ first: { kind, models: SMALL }, second: { kind: "openrouter", model: "nobody/knows-it", models: UNKNOWN_WINDOW } });

    it(`goes to a larger window only: context of ${kind}`, async () => {
      larger.first.plays(refusing(refusal));
      const result = await larger.chat();
      larger.expectServed(result, "third", [1, 0, 1]);
      assert.deepEqual(result.classes, ["context"]);
    });

    it(`goes to no window that is not known: context of ${kind}`, async () => {
      unknown.first.plays(refusing(refusal));
      const { answer } = await unknown.chat();
      assert.deepEqual(unknown.calls, [1, 0]);
      assert.equal(answer.status, 400, answer.text);
    });
  }

  for (const [kind, kinds] of Object.entries(ERROR_EVENTS)) {
    for (const [name, event] of Object.entries(kinds)) {
      const scene = stage.scene({ first: kind, second: kind === "anthropic" ? "openai" : "anthropic" });

      it(`as the first event of a stream is followed by another target: ${name} of ${kind}`, async () => {
        scene.first.plays(stream(event));
        const result = await scene.chat({ stream: true });
        scene.expectServed(result, "second", [1, 1]);
        assert.deepEqual(result.classes, [name]);
      });
    }
  }
});

describe("a target that gives no good answer", { concurrency: 8 }, () => {
  const KINDS = ["openai", "anthropic", "gemini"];

  /** A test in both forms for each kind of provider. */
  const each = (what, behaviour, wanted, { at = stage, forms = [false, true], kinds = KINDS } = {}) => {
    for (const kind of kinds) {
      for (const streams of forms) {
        const scene = at.scene({ first: { kind, ...(at === timed && { row: BRIEFLY }) }, second: kind === "openai" ? "anthropic" : "openai" });
        it(`is followed by another one: ${what}, ${kind}, ${streams ? "stream" : "whole"}`, at.alone(async () => {
          scene.first.plays(at.silently(behaviour));
          const result = await scene.chat({ stream: streams });
          scene.expectServed(result, "second", [1, 1]);
          assert.deepEqual(result.classes, [wanted]);
        }));
      }
    }
  };

  each("a connection that breaks before the head", cut, "unreachable");
  each("silence without a head", silence, "timeout", { at: timed });
  each("a head and silence", headAndSilence, "timeout", { at: timed });
  each("a head and a broken connection", cutBeforeContent, "unreachable");
  each("a web page", succeed("<html><body>Welcome to nginx!</body></html>", { "content-type": "text/html" }), "hollow");
  each("nothing", succeed(""), "hollow", { forms: [false] });
  each("a stream of nothing", stream(), "truncated", { forms: [true] });
  each("an end alone", stream("data: [DONE]\n\n"), "hollow", { forms: [true], kinds: ["openai"] });
  each("JSON that is none", either(succeed('{"id":"1","choices":[{"message":{"content":"He'), stream("data: {oops\n\n")), "hollow");

  each("a refusal whose text never ends", (exchange) => {
    exchange.head(503, { "content-type": "application/json", "content-length": 1000 });
    exchange.raw('{"error":{"mess');
  }, "overload", { at: timed, kinds: ["openai"] });

  for (const streams of [false, true]) {
    const scene = stage.scene({ first: "openai", second: "anthropic" });

    it(`is followed by another one: a refused connection, ${streams ? "stream" : "whole"}`, async () => {
      await scene.first.goesDown();
      const result = await scene.chat({ stream: streams });
      scene.expectServed(result, "second", [0, 1]);
      assert.deepEqual(result.classes, ["unreachable"]);
      await scene.first.comesBack();
    });
  }
});

describe("the call of an attempt that failed", { concurrency: 8 }, () => {
  for (const [what, behaviour] of [
    ["silence", headAndSilence],
    ["an error event", (exchange) => (exchange.openStream(), exchange.write(ERROR_EVENTS.openai.overload))],
    ["a refusal that goes on for ever", endless],
  ]) {
    const scene = timed.scene({ first: { kind: "openai", row: BRIEFLY }, second: "anthropic" });

    it(`is cancelled: ${what}`, timed.alone(async () => {
      let exchange;
      scene.first.plays(timed.silently((found) => behaviour((exchange = found))));
      scene.expectServed(await scene.chat({ stream: true }), "second", [1, 1]);
      assert.equal(await soon(exchange.closed, "the end of the call"), true);
    }));
  }
});

describe("a target that is slow", { concurrency: 8 }, () => {
  for (const streams of [false, true]) {
    const late = timed.scene({ first: "openai", second: "anthropic" }, "first_token: 10, idle: 10");

    it(`is waited for within its time: ${streams ? "stream" : "whole"}`, timed.alone(async () => {
      late.first.plays(async (exchange) => (await pass(timed.gateway, 9_000), ok()(exchange)));
      late.expectServed(await late.chat({ stream: streams }), "first", [1, 0]);
    }));

    const thinking = timed.scene({ first: "deepseek", second: "anthropic" }, "first_token: 10, idle: 10");

    it(`is waited for while it thinks: ${streams ? "stream" : "whole"}`, timed.alone(async () => {
      thinking.first.plays(async (exchange) => {
        exchange.openStream();
        // All of them take longer than the time limits.
        for (let n = 0; n < 8; n++) {
          exchange.write(exchange.speech.chunk({ reasoning_content: `Thought ${n}. ` }));
          await pass(timed.gateway, 4_000);
        }
        exchange.speech.stream({ text: `said by ${exchange.provider.name}` }).forEach((event) => exchange.write(event));
        exchange.end();
      });
      thinking.expectServed(await thinking.chat({ stream: streams }), "first", [1, 0]);
    }));
  }
});

describe("a whole answer", { concurrency: 8 }, () => {
  // Nothing of it has left, so that it can begin anew.
  for (const kind of ["openai", "anthropic", "gemini"]) {
    for (const [what, behaviour, wanted] of [
      ["a connection that breaks in its midst", cutAfterContent, "unreachable"],
      ["silence in its midst", halfAnAnswer, "timeout"],
      ["an error event in its midst", (exchange) => (halfAnAnswer(exchange), exchange.write(ERROR_EVENTS[kind].overload), exchange.end()), "overload"],
    ]) {
      const at = wanted === "timeout" ? timed : stage;
      const scene = at.scene({ first: { kind, ...(at === timed && { row: BRIEFLY }) }, second: kind === "openai" ? "anthropic" : "openai" });

      it(`is begun anew by another target: after ${what}, ${kind}`, at.alone(async () => {
        scene.first.plays(at.silently(behaviour));
        const result = await scene.chat();
        scene.expectServed(result, "second", [1, 1]);
        assert.deepEqual(result.classes, [wanted]);
      }));
    }
  }
});

describe("a plan", { concurrency: 8 }, () => {
  const mixed = timed.scene({ first: "openai", second: "anthropic", third: { kind: "gemini", row: BRIEFLY }, fourth: "openrouter", fifth: "deepseek" }, "attempts: 5");

  it("goes on through causes of all kinds, one call each", timed.alone(async () => {
    mixed.first.plays(refusing(REFUSALS.openai.rate));
    mixed.second.plays(stream(ERROR_EVENTS.anthropic.overload));
    mixed.third.plays(timed.silently(headAndSilence));
    mixed.fourth.plays(refusing(REFUSALS.openrouter.overload_inside));
    const result = await mixed.chat({ stream: true });
    mixed.expectServed(result, "fifth", [1, 1, 1, 1, 1]);
    assert.deepEqual(result.classes, ["rate", "overload", "timeout", "overload"]);
  }));

  const bounded = stage.scene({ first: "openai", second: "anthropic", third: "gemini", fourth: "openrouter" }, "attempts: 2");

  it("makes no more attempts than it says", async () => {
    for (const provider of bounded.providers) provider.plays(refuse(500, ""));
    const { answer } = await bounded.chat();
    assert.ok(answer.status >= 500, answer.text);
    assert.deepEqual(bounded.calls, [1, 1, 0, 0]);
  });

  const usual = stage.scene({ first: "openai", second: "anthropic", third: "gemini", fourth: "openrouter" });

  it("makes three attempts if it does not say", async () => {
    for (const provider of usual.providers) provider.plays(refuse(500, ""));
    await usual.chat();
    assert.deepEqual(usual.calls, [1, 1, 1, 0]);
  });

  const reconnecting = stage.scene({ first: "openai" }, "attempts: 3");

  it("asks the same target again only after a connection that broke before the head, once", async () => {
    reconnecting.first.plays(cut, ok());
    const result = await reconnecting.chat();
    reconnecting.expectServed(result, "first", [2]);
    assert.deepEqual(result.classes, ["unreachable"]);
  });

  const unanswered = stage.scene({ first: "openai" }, "attempts: 3");

  it("does not ask a silent target again", async () => {
    unanswered.first.plays(refuse(504, ""), ok());
    const { answer } = await unanswered.chat();
    assert.ok(answer.status >= 500, answer.text);
    assert.deepEqual(unanswered.calls, [1]);
  });

  for (const [setting, calls] of [
    ["stop", [1, 0]],
    ["next", [1, 1]],
  ]) {
    for (const kind of ["openai", "anthropic", "gemini", "deepseek", "openrouter"]) {
      const scene = stage.scene({ first: kind, second: "openai" }, `on_content_filter: ${setting}`);

      it(`treats a content filter as it says: ${setting}, ${kind}`, async () => {
        scene.first.plays(refusing(REFUSALS[kind].policy));
        const result = await scene.chat();
        assert.deepEqual(scene.calls, calls, result.answer.text);
        if (setting === "next") scene.expectServed(result, "second", calls);
      });
    }
  }

  const long = stage.scene({ first: { kind: "openai", when: "{ max_input_tokens: 200 }" }, second: "anthropic" });

  it("skips a target that does not take so long a prompt", async () => {
    long.expectServed(await long.chat({ messages: [{ role: "user", content: "word ".repeat(2_000) }] }), "second", [0, 1]);
    long.expectServed(await long.chat(), "first", [1, 1]);
  });

  const seeing = stage.scene({ first: { kind: "openai", when: "{ needs: [vision] }" }, second: "anthropic" });

  it("keeps a target for the requests that need it", async () => {
    seeing.expectServed(await seeing.chat(), "second", [0, 1]);
    const image = { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } };
    seeing.expectServed(await seeing.chat({ messages: [{ role: "user", content: [{ type: "text", text: "What is this?" }, image] }] }), "first", [1, 1]);
  });

  const spare = stage.scene({ first: { kind: "openai", weight: 0 }, second: "anthropic" }, "strategy: weighted");

  it("keeps a target without weight for when the others fail", async () => {
    for (let n = 0; n < 10; n++) await spare.chat({ messages: [{ role: "user", content: `Conversation ${n}` }] });
    assert.deepEqual(spare.calls, [0, 10]);
    spare.second.plays(refusing(REFUSALS.anthropic.overload));
    spare.expectServed(await spare.chat(), "first", [1, 11]);
  });

  const weighted = stage.scene({ first: "openai", second: { kind: "anthropic", weight: 3 } }, "strategy: weighted");

  it("shares conversations by weight, and keeps each where it is", async () => {
    const opening = (n) => [{ role: "user", content: `Conversation ${n}` }];
    const served = async (messages) => (await weighted.chat({ messages })).answer.headers["x-llm-bridge-model"];
    const first = await Promise.all(Array.from({ length: 40 }, (_, n) => served(opening(n))));
    assert.deepEqual(new Set(first), new Set([weighted.target("first"), weighted.target("second")]));
    const later = await Promise.all(first.map((_, n) => served([...opening(n), { role: "assistant", content: "Yes?" }, { role: "user", content: "Go on." }])));
    assert.deepEqual(later, first);
  });
});

describe("the attempt at another target", { concurrency: 8 }, () => {
  const REQUESTS = {
    chat: ["/v1/chat/completions", { messages: [{ role: "system", content: "Be brief." }, ...HELLO], temperature: 0.5, max_tokens: 300, stop: ["END"], tools: [{ type: "function", function: WEATHER }], user: "u-1" }],
    message: ["/v1/messages", { system: "Be brief.", messages: HELLO, temperature: 0.5, max_tokens: 300, stop_sequences: ["END"], tools: [{ name: WEATHER.name, description: WEATHER.description, input_schema: WEATHER.parameters }], metadata: { user_id: "u-1" } }],
  };

  for (const [client, [path, fields]] of Object.entries(REQUESTS)) {
    for (const first of ["openai", "anthropic", "gemini"]) {
      for (const second of ["openai", "anthropic", "gemini", "deepseek", "openrouter"]) {
        for (const streams of [false, true]) {
          const scene = stage.scene({ first, second }, "attempts: 2");

          it(`is byte for byte a direct call: ${client}, ${first}, then ${second}, ${streams ? "stream" : "whole"}`, async () => {
            scene.first.plays(refusing(REFUSALS[first].overload));
            const body = { ...fields, stream: streams };
            const routed = await stage.ask({ path, body: { ...body, model: scene.route } });
            assert.equal(routed.answer.status, 200, routed.answer.text);
            const direct = await stage.ask({ path, body: { ...body, model: scene.target("second") } });
            assert.equal(direct.answer.status, 200, direct.answer.text);
            assert.deepEqual(scene.calls, [1, 2]);
            const [one, other] = scene.second.requests.map(({ raw }) => raw.toString("latin1"));
            assert.equal(one, other);
          });
        }
      }
    }
  }

  // A conversation with tools, begun elsewhere.
  const CALL = { id: "call_8231", type: "function", function: { name: "get_weather", arguments: '{"city":"Paris"}' } };
  const TURNS = [...HELLO, { role: "assistant", content: null, tool_calls: [CALL] }, { role: "tool", tool_call_id: "call_8231", content: "12 °C" }];

  const thinking = stage.scene({ first: { kind: "openai", model: "gpt-5" }, second: "anthropic" });

  it("holds tools and thinking in its own form: OpenAI first, then Claude", async () => {
    thinking.first.plays(refusing(REFUSALS.openai.overload));
    thinking.second.plays((exchange) =>
      exchange.whole(200, exchange.speech.whole({
        finish: "tool_use",
        content: [{ type: "thinking", thinking: "They want more.", signature: "c2lnbmVk" }, { type: "tool_use", id: "toolu_1", name: "get_weather", input: { city: "Rome" } }],
      })));
    const { answer } = await thinking.chat({ messages: TURNS, tools: [{ type: "function", function: WEATHER }], reasoning_effort: "medium", max_tokens: 8_000 });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(thinking.calls, [1, 1]);
    const [message] = answer.json().choices.map((choice) => choice.message);
    assert.deepEqual(message.tool_calls.map((call) => [call.id, call.function.name, JSON.parse(call.function.arguments)]), [["toolu_1", "get_weather", { city: "Rome" }]]);
    assert.equal(message.reasoning_content ?? message.reasoning, "They want more.");
    const { body: first } = thinking.first.last;
    assert.deepEqual([first.tools[0].type, first.messages.at(-1).role, first.reasoning_effort], ["function", "tool", "medium"]);
    const { body: second, headers } = thinking.second.last;
    assert.ok(headers["anthropic-version"] && headers["x-api-key"] === thinking.second.key);
    assert.deepEqual(second.tools.map(({ name, input_schema }) => [name, input_schema.type]), [["get_weather", "object"]]);
    assert.deepEqual(second.messages.map(({ role }) => role), ["user", "assistant", "user"]);
    const [called] = second.messages[1].content.filter(({ type }) => type === "tool_use");
    const [result] = second.messages[2].content.filter(({ type }) => type === "tool_result");
    assert.deepEqual([called.name, called.input, result.tool_use_id], ["get_weather", { city: "Paris" }, called.id]);
    assert.equal(second.reasoning_effort, undefined);
    // The first words of the turn were another model's, so that there are no thoughts that Claude has signed.
    assert.ok(!JSON.stringify(second.messages).includes('"thinking"'));
  });

  const SIGNED = { type: "thinking", thinking: "The user greets.", signature: "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrzLoky3dl1pkiMOYds" };
  const MESSAGES = [
    ...HELLO,
    { role: "assistant", content: [SIGNED, { type: "tool_use", id: "toolu_9", name: "get_weather", input: { city: "Paris" } }] },
    { role: "user", content: [{ type: "tool_result", tool_use_id: "toolu_9", content: "12 °C" }] },
  ];
  const CLAUDE = { messages: MESSAGES, tools: [{ name: WEATHER.name, input_schema: WEATHER.parameters }], thinking: { type: "enabled", budget_tokens: 2_000 }, max_tokens: 8_000 };

  for (const streams of [false, true]) {
    const back = stage.scene({ first: "anthropic", second: "openai" });

    it(`holds tools and thinking in its own form: Claude first, then OpenAI, ${streams ? "stream" : "whole"}`, async () => {
      back.first.plays(streams ? stream(ERROR_EVENTS.anthropic.overload) : refusing(REFUSALS.anthropic.overload));
      const result = await back.message({ ...CLAUDE, stream: streams });
      back.expectServed(result, "second", [1, 1]);
      const { body: first } = back.first.last;
      assert.deepEqual(first.messages[1].content[0], SIGNED);
      const { body: second } = back.second.last;
      assert.deepEqual(second.messages.map(({ role }) => role), ["user", "assistant", "tool"]);
      assert.equal(second.messages[2].tool_call_id, second.messages[1].tool_calls[0].id);
      assert.equal(second.tools[0].function.name, "get_weather");
      assert.equal(second.thinking, undefined);
      assert.ok(!JSON.stringify(second).includes(SIGNED.signature), "no signature of Claude's at OpenAI");
    });
  }
});

describe("a request that must not be carried out twice", { concurrency: 8 }, () => {
  for (const [what, behaviour, calls] of [
    ["is sent to another target after a refusal", refusing(REFUSALS.openai.rate), [1, 1]],
    ["is not sent again after a broken connection", cut, [1, 0]],
    ["is not sent again after a head and a broken connection", cutBeforeContent, [1, 0]],
    ["is not sent again after silence", silence, [1, 0]],
    ["is not sent again after a head and silence", headAndSilence, [1, 0]],
  ]) {
    for (const [name, fields] of [
      ["a stored response", { store: true }],
      ["sound", { modalities: ["text", "audio"], audio: { voice: "alloy", format: "mp3" } }],
    ]) {
      const at = [silence, headAndSilence].includes(behaviour) ? timed : stage;
      const scene = at.scene({ first: { kind: "openai", ...(at === timed && { row: BRIEFLY }) }, second: { kind: "openai", model: "gpt-4.1-mini" } });

      it(`${what}: ${name}`, at.alone(async () => {
        scene.first.plays(at.silently(behaviour));
        const result = await scene.chat({ stream: true, ...fields });
        assert.deepEqual(scene.calls, calls, result.answer.text);
        if (calls[1]) scene.expectServed(result, "second", calls);
        else assert.ok(result.answer.status >= 500, result.answer.text);
      }));
    }
  }
});

describe("the gateway's own model", { concurrency: 8 }, () => {
  for (const streams of [false, true]) {
    const scene = stage.scene({ first: "openai", second: { kind: "echo", models: "{ echo: {} }" } });

    it(`may be the last target: ${streams ? "stream" : "whole"}`, async () => {
      scene.first.plays(refusing(REFUSALS.openai.overload));
      const { answer, said, end } = await scene.chat({ stream: streams });
      assert.equal(answer.status, 200, answer.text);
      assert.ok(said.length > 0, answer.text);
      assert.equal(answer.headers["x-llm-bridge-model"], scene.target("second"));
      assert.deepEqual([scene.first.calls, end.outcome, end.provider], [1, "complete", scene.second.name]);
    });
  }
});

describe("a legacy completion", { concurrency: 8 }, () => {
  const chunk = (text, finish_reason = null) => `data: ${JSON.stringify({ id: "cmpl-7", object: "text_completion", created: 1, model: "served", choices: [{ index: 0, text, logprobs: null, finish_reason }] })}\n\n`;
  const texts = either(
    succeed({ id: "cmpl-7", object: "text_completion", created: 1, model: "served", choices: [{ index: 0, text: "Hello.", logprobs: null, finish_reason: "stop" }], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } }),
    stream(chunk("Hel"), chunk("lo.", "stop"), "data: [DONE]\n\n"),
  );

  for (const streams of [false, true]) {
    const scene = stage.scene({ first: "openai", second: "openrouter" });

    it(`goes to another target as well: ${streams ? "stream" : "whole"}`, async () => {
      scene.first.plays(refusing(REFUSALS.openai.overload));
      scene.second.plays(texts);
      const { answer } = await stage.ask({ path: "/v1/completions", body: { model: scene.route, prompt: "Hi", stream: streams } });
      assert.equal(answer.status, 200, answer.text);
      const said = streams ? answer.text.match(/"text":"[^"]*"/g).map((field) => JSON.parse(`{${field}}`).text).join("") : answer.json().choices[0].text;
      assert.equal(said, "Hello.");
      assert.deepEqual(scene.calls, [1, 1]);
    });
  }
});

describe("a count of tokens", { concurrency: 8 }, () => {
  const scene = stage.scene({ first: "anthropic", second: "openai" });

  it("is the first target's", async () => {
    scene.first.plays(succeed({ input_tokens: 1234 }));
    const answer = await call(stage.url("/v1/messages/count_tokens"), { method: "POST", headers: as(KEY), body: JSON.stringify({ model: scene.route, messages: HELLO }) });
    assert.deepEqual([answer.status, answer.json()], [200, { input_tokens: 1234 }], answer.text);
    assert.deepEqual(scene.calls, [1, 0]);
  });
});

describe("embeddings", { concurrency: 8 }, () => {
  const MODEL = "text-embedding-3-small";
  const vectors = succeed({ object: "list", data: [{ object: "embedding", index: 0, embedding: [0.5, 0.25] }], model: MODEL, usage: { prompt_tokens: 3, total_tokens: 3 } });
  const scene = stage.scene({
    first: { kind: "openai", model: MODEL },
    other: { kind: "openai", model: "text-embedding-3-large" },
    second: { kind: "openai", model: MODEL },
  });

  it("go to another host of the same model, and to no other model", async () => {
    const embed = () => stage.ask({ path: "/v1/embeddings", body: { model: scene.route, input: "Hello" } });
    scene.first.plays(refusing(REFUSALS.openai.overload));
    scene.second.plays(vectors, refuse(503, ""));
    const good = await embed();
    assert.equal(good.answer.status, 200, good.answer.text);
    assert.deepEqual(good.answer.json().data[0].embedding, [0.5, 0.25]);
    assert.deepEqual(scene.calls, [1, 0, 1]);
    const bad = await embed();
    assert.ok(bad.answer.status >= 500, bad.answer.text);
    assert.equal(scene.other.calls, 0);
  });
});

describe("the caller's own order", { concurrency: 8 }, () => {
  const listed = stage.scene({ first: "openai", second: "anthropic", third: "gemini" });

  it("is followed, and no provider sees it", async () => {
    listed.second.plays(refusing(REFUSALS.anthropic.overload));
    const result = await listed.chat({ model: listed.target("second"), models: [listed.target("third"), listed.target("second"), listed.target("first")] });
    listed.expectServed(result, "third", [0, 1, 1]);
    for (const { body } of [listed.second.last, listed.third.last]) assert.equal(body.models, undefined);
  });

  const unknown = stage.scene({ first: { kind: "openai", models: "{ gpt-4.1: {} }" }, second: "anthropic" });

  it("must be of known models, at most four", async () => {
    const ask = async (models) => (await unknown.chat({ model: unknown.target("first"), models })).answer;
    expectError(await ask([`${unknown.first.name}/gpt-9`]), { status: 404, code: "model_not_found" });
    expectError(await ask(Array.from({ length: 5 }, () => unknown.target("second"))), { status: 400 });
    expectError(await ask("second"), { status: 400 });
    assert.deepEqual(unknown.calls, [0, 0]);
  });

  const refused = stage.scene({ first: "openai", second: "anthropic" });

  it("is checked against the key before anything is sent", async () => {
    const key = await office.key("routes-order", { models: [refused.target("first")] });
    refused.first.plays(refusing(REFUSALS.openai.overload));
    const { answer } = await refused.chat({ model: refused.target("first"), models: [refused.target("second")] }, { key });
    expectError(answer, { status: 403, code: "model_not_allowed" });
    assert.deepEqual(refused.calls, [0, 0]);
  });

  for (const [what, behaviour] of [
    ["a refusal", refusing(REFUSALS.openai.overload)],
    ["a broken connection", cut],
  ]) {
    const alone = stage.scene({ first: "openai", second: "anthropic" });

    it(`may be to ask nobody else: after ${what}`, async () => {
      alone.first.plays(behaviour);
      const { answer } = await alone.chat({}, { headers: { "x-llm-bridge-fallback": "none" } });
      assert.ok(answer.status >= 500, answer.text);
      assert.equal(alone.second.calls, 0);
    });
  }
});

describe("the targets that were tried", () => {
  const shown = stage.scene({ first: "openai", second: "anthropic" });

  it("are told to keys that may see them, in a response and in an error", async () => {
    const key = await office.key("routes-shown", { show_attempts: true });
    shown.first.plays(refusing(REFUSALS.openai.overload), refusing(REFUSALS.openai.overload));
    shown.second.plays(ok(), refusing(REFUSALS.anthropic.overload));
    const [first, second] = [shown.target("first"), shown.target("second")];
    const served = await shown.chat({}, { key });
    assert.equal(served.answer.headers["x-llm-bridge-attempts"], `${first} overload, ${second}`);
    const failed = await shown.chat({}, { key });
    assert.ok(failed.answer.headers["x-llm-bridge-attempts"].startsWith(`${first} overload, ${second} overload`), failed.answer.headers["x-llm-bridge-attempts"]);
  });

  it("are not told to others", async () => {
    shown.first.plays(refusing(REFUSALS.openai.overload));
    assert.equal((await shown.chat()).answer.headers["x-llm-bridge-attempts"], undefined);
  });
});

describe("names", { concurrency: 8 }, () => {
  it("of aliases stand for a model or a route", async () => {
    aliased.first.plays(ok(), refusing(REFUSALS.openai.overload));
    const one = await aliased.chat({ model: "other-name" });
    assert.equal(one.said, `said by ${aliased.first.name}`, one.answer.text);
    assert.equal(aliased.first.last.body.model, "gpt-4.1");
    aliased.expectServed(await aliased.chat({ model: "other-route" }), "second", [2, 1]);
  });

  it("of routes and aliases are listed with the models", async () => {
    const { data } = (await call(stage.url("/v1/models"), { headers: as(KEY) })).json();
    const own = data.filter(({ owned_by }) => owned_by === "llm-bridge").map(({ id }) => id);
    for (const name of [aliased.route, "other-name", "other-route"]) assert.ok(own.includes(name), name);
  });

  const keyed = stage.scene({ first: "openai", second: "anthropic" });

  it("of a route let a key use its targets through the route only", async () => {
    const key = await office.key("routes-route", { models: [keyed.route] });
    keyed.first.plays(refusing(REFUSALS.openai.overload));
    keyed.expectServed(await keyed.chat({}, { key }), "second", [1, 1]);
    for (const role of ["first", "second"]) {
      const { answer } = await keyed.chat({ model: keyed.target(role) }, { key });
      expectError(answer, { status: 403, code: "model_not_allowed" });
    }
    assert.deepEqual(keyed.calls, [1, 1]);
  });

  const direct = stage.scene({ first: "openai", second: "anthropic" });

  it("of targets do not let a key use the route", async () => {
    const key = await office.key("routes-target", { models: [direct.target("first")] });
    expectError((await direct.chat({}, { key })).answer, { status: 403, code: "model_not_allowed" });
    assert.deepEqual(direct.calls, [0, 0]);
    assert.equal((await direct.chat({ model: direct.target("first") }, { key })).answer.status, 200);
  });
});
