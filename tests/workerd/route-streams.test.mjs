// Streams along a route: what fails before content is followed by another target, also behind a head that has
// left because of `keep_alive`; after content there is no other attempt.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { HELLO, soon, until } from "./client.mjs";
import { expectErrorEnd, expectOneStream, PATHS } from "./one-stream.mjs";
import { cut, cutAfterContent, headAndSilence, ok, refuse, silence, stream, succeed } from "./route-behaviours.mjs";
import { ERROR_EVENTS, REFUSALS, SPEECH } from "./route-speech.mjs";
import { BRIEFLY, KEY, RouteStage, saidIn, TimedStage } from "./route-stage.mjs";
import { closeAll, openSession } from "./socket.mjs";
import { pass, runOut } from "./timed.mjs";

const COMMENT = ": keep-alive";
const BRISK = "keep_alive: 0.3";

const stage = new RouteStage();
/** For targets whose time runs out. */
const timed = new TimedStage();
before(() => Promise.all([stage.start(), timed.start()]));
after(() => Promise.all([stage.stop(), timed.stop()]));
/** A target that is silent: its client gets comments meanwhile. */
const silent = (kind) => ({ kind, row: `${BRISK}, ${BRIEFLY}` });

// What a provider does once its client waits behind a head. `opened`: it has sent its own head, and an event
// without content.
const FAILURES = {
  "a refusal": { fail: (exchange) => refuse(...REFUSALS[exchange.provider.kind].overload)(exchange), wanted: "overload" },
  "a limit": { fail: (exchange) => refuse(...REFUSALS[exchange.provider.kind].rate)(exchange), wanted: "rate" },
  "a broken connection before the head": { fail: cut, wanted: "unreachable" },
  "a web page": { fail: succeed("<html></html>", { "content-type": "text/html" }), wanted: "hollow" },
  "an error event": { opened: true, fail: (exchange) => (exchange.write(ERROR_EVENTS[exchange.provider.kind].overload), exchange.end()), wanted: "overload" },
  "a broken connection": { opened: true, fail: (exchange) => exchange.reset(), wanted: "unreachable" },
  "an early end": { opened: true, fail: (exchange) => exchange.end(), wanted: "truncated" },
  "events that nobody can read": { opened: true, fail: (exchange) => (exchange.write("data: {oops\n\n"), exchange.end()), wanted: /truncated|hollow/ },
};

describe("behind a head that has left", { concurrency: 8 }, () => {
  for (const [client, path] of Object.entries(PATHS)) {
    for (const first of ["openai", "anthropic", "gemini"]) {
      for (const [what, { opened, fail, wanted }] of Object.entries(FAILURES)) {
        for (const second of ["openai", "anthropic"]) {
          const scene = stage.scene({ first: { kind: first, row: BRISK }, second: { kind: second, row: BRISK } });

          it(`${what} is followed by another target in the same stream: ${client}, ${first}, then ${second}`, async () => {
            const held = scene.first.holds();
            const opening = scene.open({}, { path });
            const exchange = await held;
            if (opened) {
              exchange.openStream();
              exchange.write(exchange.speech.opening());
            }
            const { id, answer } = await opening;
            assert.equal(answer.status, 200);
            const beginning = await answer.until(COMMENT);
            scene.first.plays(ok());
            fail(exchange);
            const text = beginning + (await answer.rest()).toString();
            expectOneStream(client, text, `said by ${scene.second.name}`);
            assert.deepEqual(scene.calls, [1, 1]);
            assert.ok(text.includes(`: x-llm-bridge-model: ${scene.target("second")}`), `the target in band: ${text}`);
            const { end, classes } = await stage.story(id);
            assert.deepEqual([end.event, end.outcome, end.status], ["request_complete", "complete", 200]);
            assert.equal(classes.length, 1);
            if (wanted instanceof RegExp) assert.match(classes[0], wanted);
            else assert.equal(classes[0], wanted);
          });
        }
      }
    }
  }

  for (const [client, path] of Object.entries(PATHS)) {
    for (const [what, behaviour] of [
      ["silence before the head", silence],
      ["a head and silence", headAndSilence],
    ]) {
      const scene = timed.scene({ first: silent("openai"), second: { kind: "anthropic", row: BRISK } });

      it(`${what} is followed by another target when the first token is overdue: ${client}`, timed.alone(async () => {
        scene.first.plays(timed.silently(behaviour));
        const { id, answer } = await scene.open({}, { path });
        const text = (await answer.rest()).toString();
        assert.ok(text.startsWith(COMMENT), text);
        expectOneStream(client, text, `said by ${scene.second.name}`);
        assert.deepEqual((await timed.story(id)).classes, ["timeout"]);
      }));
    }

    const idle = timed.scene({ first: { kind: "openai", row: `${BRISK}, clocks: { idle: 3 }` }, second: { kind: "anthropic", row: BRISK } });

    it(`silence after an event without content is followed by another target: ${client}`, timed.alone(async () => {
      idle.first.plays(timed.silently((exchange) => (exchange.openStream(), exchange.write(exchange.speech.opening()))));
      const { id, answer } = await idle.open({}, { path });
      const text = (await answer.rest()).toString();
      expectOneStream(client, text, `said by ${idle.second.name}`);
      assert.deepEqual((await timed.story(id)).classes, ["timeout"]);
    }));

    const third = timed.scene({ first: silent("openai"), second: { kind: "gemini", row: BRISK }, third: "anthropic" });

    it(`a third target follows the second: ${client}`, timed.alone(async () => {
      third.first.plays(timed.silently(silence));
      third.second.plays(refuse(...REFUSALS.gemini.overload));
      const { id, answer } = await third.open({}, { path });
      const text = (await answer.rest()).toString();
      expectOneStream(client, text, `said by ${third.third.name}`);
      assert.deepEqual((await timed.story(id)).classes, ["timeout", "overload"]);
      assert.deepEqual(third.calls, [1, 1, 1]);
    }));

    const whole = timed.scene({ first: silent("openai"), second: "anthropic" });

    it(`a whole answer instead of a stream still is one stream: ${client}`, timed.alone(async () => {
      whole.first.plays(timed.silently(silence));
      whole.second.plays((exchange) => exchange.whole(200, SPEECH.anthropic.whole({ text: `said by ${whole.second.name}` })));
      const { answer } = await whole.open({}, { path });
      expectOneStream(client, (await answer.rest()).toString(), `said by ${whole.second.name}`);
    }));

    for (const [what, one, other, outcome, wanted] of [
      ["refusals", refuse(...REFUSALS.openai.overload), refuse(...REFUSALS.anthropic.overload), "upstream_error", {}],
      ["limits", refuse(...REFUSALS.openai.rate), refuse(...REFUSALS.anthropic.rate), "upstream_error", {}],
      ["silence", headAndSilence, headAndSilence, "timed_out", { code: "upstream_timeout" }],
      ["broken connections", cut, cut, "upstream_error", { code: "upstream_unreachable" }],
    ]) {
      const at = one === headAndSilence ? timed : stage;
      const target = (kind) => (at === timed ? silent(kind) : { kind, row: BRISK });
      const failing = at.scene({ first: target("openai"), second: target("anthropic") }, "attempts: 2");

      it(`an error ends the stream if no target helps: ${client}, ${what}`, at.alone(async () => {
        const held = failing.first.holds();
        failing.second.plays(at.silently(other));
        const opening = failing.open({}, { path });
        const exchange = await held;
        // A comment is due, and nothing else.
        if (at === timed) await pass(timed.gateway, 300);
        const { id, answer } = await opening;
        const beginning = await answer.until(COMMENT);
        at.silently(one)(exchange);
        const text = beginning + (await answer.rest()).toString();
        expectErrorEnd(client, text, wanted);
        assert.deepEqual(failing.calls, [1, 1]);
        const { end } = await at.story(id);
        assert.deepEqual([end.event, end.outcome, end.status], ["request_error", outcome, 200]);
        assert.ok(end.error_code ?? end.error, JSON.stringify(end));
      }));
    }
  }

  const caller = stage.scene({ first: { kind: "openai", row: BRISK }, second: "anthropic" });

  it("an error of the caller's ends the stream, and nobody else is asked", async () => {
    const held = caller.first.holds();
    const opening = caller.open();
    const exchange = await held;
    const { answer } = await opening;
    const beginning = await answer.until(COMMENT);
    refuse(...REFUSALS.openai.caller)(exchange);
    const text = beginning + (await answer.rest()).toString();
    const error = expectErrorEnd("openai", text, { code: "invalid_type" });
    assert.match(error.message, /messages\[0\]/);
    assert.deepEqual(caller.calls, [1, 0]);
  });
});

describe("a wait", { concurrency: 8 }, () => {
  const resting = (seconds) => refuse(429, REFUSALS.openai.rate[1], { "retry-after": String(seconds) });
  const kept = timed.scene({ first: { kind: "openai", row: BRISK } }, "attempts: 2");

  it("is not silent for a client that waits for a stream", timed.alone(async () => {
    kept.first.plays(resting(2), ok());
    const opening = kept.open();
    const isOver = ({ event, provider }) => event === "attempt_failed" && provider === kept.first.name;
    await until(() => timed.gateway.logs().some(isOver), "the first attempt's end");
    await pass(timed.gateway, 300);
    const { answer } = await opening;
    const beginning = await answer.until(COMMENT);
    const rest = answer.rest();
    await runOut(timed.gateway, rest, "the end of the wait");
    const text = beginning + (await rest).toString();
    assert.ok(text.startsWith(COMMENT), text.slice(0, 100));
    expectOneStream("openai", text, `said by ${kept.first.name}`);
    assert.deepEqual(kept.calls, [2]);
  }));

  for (const streams of [false, true]) {
    const left = stage.scene({ first: "openai" }, "attempts: 2");

    it(`ends with its client, and the plan with it: ${streams ? "stream" : "whole"}`, async () => {
      left.first.plays(resting(50), ok());
      const { id, answering, leave } = left.begin({ stream: streams });
      answering.catch(() => {});
      await until(() => left.first.calls === 1 && stage.gateway.logs().some((entry) => entry.request_id === id && entry.event === "attempt_failed"), "the first attempt's end");
      leave();
      const { end } = await stage.story(id);
      assert.equal(end.outcome, "client_closed");
      assert.ok(end.duration_ms < 49_000, `${end.duration_ms} ms`);
      // The request is over, so that no other call can come.
      assert.deepEqual(left.calls, [1]);
    });
  }

  for (const [what, behaviour] of [
    ["before a head", silence],
    ["before content", headAndSilence],
  ]) {
    const silent = stage.scene({ first: "openai", second: "anthropic" });

    it(`for a silent target ends with its client, and nobody else is asked: ${what}`, async () => {
      let exchange;
      silent.first.plays((found) => behaviour((exchange = found)));
      const { id, answering, leave } = silent.begin({ stream: true });
      answering.catch(() => {});
      await until(() => exchange, "the first call");
      leave();
      const { end } = await stage.story(id);
      assert.equal(end.outcome, "client_closed");
      assert.equal(await soon(exchange.closed, "the end of the call"), true);
      assert.deepEqual(silent.calls, [1, 0]);
    });
  }

  const later = stage.scene({ first: "openai", second: "anthropic", third: "gemini" });

  it("for the second target ends with its client as well", async () => {
    later.first.plays(refuse(...REFUSALS.openai.overload));
    const held = later.second.holds();
    const { id, answering, leave } = later.begin({ stream: true });
    answering.catch(() => {});
    const exchange = await held;
    leave();
    assert.equal((await stage.story(id)).end.outcome, "client_closed");
    assert.equal(await soon(exchange.closed, "the end of the call"), true);
    assert.deepEqual(later.calls, [1, 1, 0]);
  });

  const behind = stage.scene({ first: { kind: "openai", row: BRISK }, second: { kind: "anthropic", row: BRISK } });

  it("behind a head ends with its client", async () => {
    const held = behind.first.holds();
    const opening = behind.open();
    await held;
    const { id, answer } = await opening;
    await answer.until(COMMENT);
    answer.leave();
    assert.equal((await stage.story(id)).end.outcome, "client_closed");
    assert.deepEqual(behind.calls, [1, 0]);
  });
});

describe("after content", { concurrency: 8 }, () => {
  const half = (exchange) => {
    const { speech } = exchange;
    exchange.openStream();
    speech.stream({ text: "first words" }).slice(0, speech.contentAt + 1).forEach((event) => exchange.write(event));
  };

  for (const [client, path] of Object.entries(PATHS)) {
    for (const kind of ["openai", "anthropic", "gemini"]) {
      for (const [what, behaviour] of [
        ["a broken connection", cutAfterContent],
        ["an error event", (exchange) => (half(exchange), exchange.write(ERROR_EVENTS[kind].overload), exchange.end())],
        ["an early end", (exchange) => (half(exchange), exchange.end())],
        ["silence", half],
      ]) {
        const at = what === "silence" ? timed : stage;
        const scene = at.scene({ first: { kind, ...(at === timed && { row: BRIEFLY }) }, second: "openai" });

        it(`there is no other attempt: ${client}, ${kind}, ${what}`, at.alone(async () => {
          scene.first.plays(at.silently(behaviour));
          const { id, answer } = await scene.open({}, { path });
          assert.equal(answer.status, 200);
          assert.equal(answer.headers["x-llm-bridge-model"], scene.target("first"));
          const text = (await answer.rest()).toString();
          const said = saidIn({ text, headers: { "content-type": "text/event-stream" } });
          // Gemini's stream may end whenever it likes.
          if (kind !== "gemini" || what !== "an early end") expectErrorEnd(client, text, {});
          assert.ok(said.length > 0 && "first words".startsWith(said), text);
          await at.story(id);
          assert.deepEqual(scene.calls, [1, 0]);
        }));
      }
    }
  }
});

describe("a chat over a WebSocket", { concurrency: 8 }, () => {
  after(() => closeAll());
  const frames = (socket) => socket.until(({ type, error }) => type === "done" || type === "error" || error, "the end of the chat");

  for (const [what, behaviour] of [
    ["a refusal", refuse(...REFUSALS.openai.overload)],
    ["a broken connection", cut],
    ["an error event", stream(ERROR_EVENTS.openai.overload)],
  ]) {
    const scene = stage.scene({ first: "openai", second: "anthropic" });

    it(`goes on to another target: after ${what}`, async () => {
      scene.first.plays(behaviour);
      const socket = await openSession(stage.gateway.url, { key: KEY });
      socket.chat({ model: scene.route, messages: HELLO, stream: true }, { id: "a" });
      await frames(socket);
      const said = socket.frames.filter(({ type }) => type === "chunk").map(({ data }) => (typeof data === "string" ? JSON.parse(data) : data).choices[0]?.delta.content ?? "").join("");
      assert.equal(said, `said by ${scene.second.name}`, JSON.stringify(socket.frames));
      assert.deepEqual(scene.calls, [1, 1]);
    });
  }
});

describe("a stream that fails before content, without a head that has left,", { concurrency: 8 }, () => {
  for (const [client, path] of Object.entries(PATHS)) {
    const scene = stage.scene({ first: "openai", second: "anthropic", third: "gemini" });

    it(`is a whole error if no target helps: ${client}`, async () => {
      scene.first.plays(stream(ERROR_EVENTS.openai.rate));
      scene.second.plays(stream(ERROR_EVENTS.anthropic.overload));
      scene.third.plays(stream(ERROR_EVENTS.gemini.overload));
      const { answer, classes } = await stage.ask({ path, body: { model: scene.route, max_tokens: 100, stream: true, messages: [{ role: "user", content: "Hello" }] } });
      assert.ok(answer.status >= 400, answer.text);
      assert.match(answer.headers["content-type"], /^application\/json/);
      assert.equal(answer.json().error.message, "Rate limit reached for gpt-4.1");
      assert.deepEqual(classes, ["rate", "overload", "overload"]);
      assert.deepEqual(scene.calls, [1, 1, 1]);
    });
  }
});
