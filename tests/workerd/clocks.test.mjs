// The four deadlines: connect, first token, idle, total. None passes early or late, and each cancels the provider's
// call.
//
// The gateway's clock hardly moves by itself. Each test sets it forward to shortly before a deadline, has whole requests
// pass through the gateway, looks, and goes on to the deadline.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { blocks, chunks, expectError, expectErrorFrame, expectOneDone } from "./expect.mjs";
import { SLOW } from "./harness.mjs";
import { ASKING, freshId, startStage } from "./stage.mjs";

/** A second of the gateway's clock, which takes much longer than any test unless the test sets the clock. */
const SECOND = 1_000;
const TIMEOUT = { type: "upstream_error", code: "upstream_timeout", param: null };

// `native` and `checked` are the two ways of forwarding a stream.
const row = (fake, name, keys) => `
  ${name}:
    base_url: ${fake.base}
    api_key_env: ANY_API_KEY
${keys}`;
const config = (fake) => `
providers:
${row(fake, "connect", `    clocks: { connect: 4 }\n    models: "*"`)}
${row(fake, "first", `    clocks: { first_token: 5 }\n    models: "*"`)}
${row(fake, "idle", `    clocks: { idle: 4 }\n    models: "*"`)}
${row(fake, "restless", `    clocks: { idle: 9 }\n    models: "*"`)}
${row(fake, "total", `    clocks: { total: 8 }\n    models: "*"`)}
${row(fake, "short", `    timeout: 6\n    models: "*"`)}
${row(fake, "both", `    timeout: 300\n    clocks: { total: 5 }\n    models: "*"`)}
${row(fake, "kept", `    clocks: { idle: 7 }\n    keep_alive: 2\n    models: "*"`)}
${row(fake, "begun", `    clocks: { first_token: 10 }\n    keep_alive: 3\n    models: "*"`)}
${row(
  fake,
  "rows",
  `    timeout: 300
    clocks: { connect: 300, first_token: 300, idle: 300 }
    models:
      of-connect: { clocks: { connect: 4 } }
      of-first-token: { clocks: { first_token: 4 } }
      of-idle: { clocks: { idle: 5 } }
      of-total: { clocks: { total: 6 } }
      of-timeout: { timeout: 6 }`,
)}
${row(
  fake,
  "merged",
  `    clocks: { first_token: 5 }
    models:
      of-provider: { clocks: { idle: 300, connect: 300 } }
      longer: { clocks: { first_token: 300 } }`,
)}
`;

const content = ({ request }, text = "drip") => event(chunk(request, { content: text }));
const role = ({ request }) => event(chunk(request, { role: "assistant", content: "" }));
const ping = () => ": ping\n\n";

// What a provider does at first.
const silent = () => {};
const headersOnly = (exchange) => exchange.openStream();
const stalled = (exchange) => {
  exchange.openStream();
  exchange.write(content(exchange, "last word"));
};
const halfAnAnswer = (exchange) => {
  exchange.open(200, { "content-type": "application/json", "content-length": 1000 });
  exchange.write('{"choices":[');
};
const finish = (exchange) => {
  exchange.write(answerEvents(exchange.request).slice(-3).join("") + DONE);
  exchange.end();
};

describe("a clock", () => {
  let stage;
  before(async () => {
    stage = await startStage({ config, entry: "production.mjs" });
    await stage.gateway.control({ speed: SLOW });
  });
  after(() => stage.stop());

  let played = 0;

  const pass = (ms) => stage.gateway.pass(ms);

  /**
   * A request whose provider is driven by the test and has done what `play` says. `isOver()`: the client has the whole
   * response, or the provider's call has ended.
   */
  async function ask(provider, play, fields, model = `played-${++played}`) {
    const id = freshId();
    const held = stage.held(model);
    let isAnswered = false;
    const answering = stage.ask(`${provider}/${model}`, fields, { "x-request-id": id }).finally(() => (isAnswered = true));
    answering.catch(() => {});
    const exchange = await held;
    play(exchange);
    await pass();
    return { id, exchange, answering, isOver: () => isAnswered || exchange.over };
  }

  /** Lets this time pass, to the last second of which the request goes on. */
  async function passAlmost(asked, due) {
    await pass(due - SECOND);
    assert.ok(!asked.isOver(), `over before its time, ${due} ms`);
    await pass(SECOND);
  }

  /** For so many seconds, the provider writes `what(exchange)` once a second; to the last one, the request goes on. */
  async function passTalking(asked, what, seconds) {
    for (let second = 0; second < seconds; second++) {
      assert.ok(!asked.isOver(), `over before its time, after ${second} s of ${seconds}`);
      asked.exchange.write(what(asked.exchange));
      await pass(SECOND);
    }
  }

  /** The log's last line of a request that took this time. */
  async function endOf({ id }, took) {
    const end = await stage.end(id);
    assert.ok(end.duration_ms >= took && end.duration_ms < took + SECOND, `${end.duration_ms} ms instead of ${took}`);
    const { event: kind, status, outcome, error_code } = end;
    return { kind, status, outcome, error_code };
  }

  /** Asserts that the request has failed, before a response began, `took` milliseconds after it came. */
  async function expectRefused(asked, took) {
    expectError(await asked.answering, { status: 504, ...TIMEOUT });
    await stage.expectCancelled(asked.exchange.record);
    assert.deepEqual(await endOf(asked, took), { kind: "request_error", status: 504, outcome: "refused", error_code: "upstream_timeout" });
  }

  /** Asserts that the stream was ended in the middle, `took` milliseconds after it was requested. */
  async function expectEnded(asked, took) {
    const answer = await asked.answering;
    assert.equal(answer.status, 200, answer.text);
    expectErrorFrame(answer.text, TIMEOUT);
    await stage.expectCancelled(asked.exchange.record);
    assert.deepEqual(await endOf(asked, took), { kind: "request_error", status: 200, outcome: "timed_out", error_code: "upstream_timeout" });
    return answer;
  }

  async function expectComplete({ answering, id }) {
    const answer = await answering;
    const end = await stage.end(id);
    assert.equal(answer.status, 200, answer.text);
    expectOneDone(answer.text);
    assert.ok(chunks(answer.text).every(({ error }) => !error), answer.text);
    assert.deepEqual({ event: end.event, outcome: end.outcome }, { event: "request_complete", outcome: "complete" });
  }

  for (const [how, fields] of [
    ["native", { stream: true, ...ASKING }],
    ["checked", { stream: true }],
  ]) {
    describe(`on a ${how} stream`, () => {
      /** A deadline after `due` milliseconds, while the provider does nothing more, ends the request. */
      const ends = async (provider, play, due, expect) => {
        const asked = await ask(provider, play, fields);
        await passAlmost(asked, due);
        return expect(asked, due);
      };

      it("of the connection ends a wait for headers", () => ends("connect", silent, 4_000, expectRefused));

      it("of the connection has no say once there are headers", async () => {
        const asked = await ask("connect", headersOnly, fields);
        await passTalking(asked, role, 10);
        finish(asked.exchange);
        await expectComplete(asked);
      });

      it("of the first token ends a wait for headers", () => ends("first", silent, 5_000, expectRefused));

      it("of the first token ends a wait for anything after them", () => ends("first", headersOnly, 5_000, expectRefused));

      for (const [what, filler] of [["roles", role], ["pings", ping]]) {
        it(`of the first token is not stopped by ${what}`, async () => {
          const asked = await ask("first", headersOnly, fields);
          await passTalking(asked, filler, 5);
          await expectRefused(asked, 5_000);
        });
      }

      it("of the first token has no say once there is content", async () => {
        const asked = await ask("first", stalled, fields);
        for (let count = 0; count < 3; count++) {
          await pass(4_000);
          asked.exchange.write(content(asked.exchange));
        }
        finish(asked.exchange);
        await expectComplete(asked);
      });

      it("of the first token ends a stream that was begun to keep it alive", async () => {
        const asked = await ask("begun", headersOnly, fields);
        await pass(3_000);
        await passAlmost(asked, 7_000);
        const { text } = await expectEnded(asked, 10_000);
        assert.ok(text.startsWith(": keep-alive\n\n"), text);
      });

      it("of silence ends a wait for anything after the headers", () => ends("idle", headersOnly, 4_000, expectRefused));

      it("of silence counts from the headers, however late they came", async () => {
        const asked = await ask("restless", silent, fields);
        await pass(7_000);
        asked.exchange.openStream();
        await pass();
        await passAlmost(asked, 9_000);
        await expectRefused(asked, 16_000);
      });

      it("of silence ends a silence in the midst", async () => {
        const asked = await ask("idle", stalled, fields);
        await passAlmost(asked, 4_000);
        const { text } = await expectEnded(asked, 4_000);
        assert.ok(text.startsWith(Buffer.concat(asked.exchange.record.sent).toString()), "what came is there");
      });

      for (const [provider, gap] of [
        ["idle", 700],
        ["idle", 2_900],
        ["restless", 3_000],
        ["restless", 6_500],
      ]) {
        it(`of silence spares a provider that is never silent for so long (${provider}, ${gap} ms)`, async () => {
          const asked = await ask(provider, headersOnly, fields);
          for (let passed = 0; passed < 20_000; passed += gap) {
            asked.exchange.write(content(asked.exchange));
            await pass();
            await pass(gap);
          }
          finish(asked.exchange);
          await expectComplete(asked);
        });
      }

      it("of silence is not stopped by the gateway's own comments", async () => {
        const asked = await ask("kept", stalled, fields);
        for (let count = 0; count < 2; count++) await pass(2_000);
        await passAlmost(asked, 3_000);
        const { text } = await expectEnded(asked, 7_000);
        assert.ok(text.includes(": keep-alive\n\n"), text);
      });

      it("of the whole ends a wait for headers", () => ends("total", silent, 8_000, expectRefused));

      it("of the whole ends a wait for anything after them", () => ends("total", headersOnly, 8_000, expectRefused));

      it("of the whole ends a silence in the midst", () => ends("total", stalled, 8_000, expectEnded));

      it("of the whole ends the stream of a provider that never rests", async () => {
        const asked = await ask("total", headersOnly, fields);
        await passTalking(asked, content, 8);
        await expectEnded(asked, 8_000);
      });

      it("of the whole sets its error apart from half an event before it", async () => {
        let rest = "";
        const half = (exchange) => {
          const [head, tail] = [content(exchange).slice(0, 60), content(exchange).slice(60)];
          // Whenever the deadline passes, the last write has ended inside an event.
          const piece = rest + head;
          rest = tail;
          return piece;
        };
        const asked = await ask("total", headersOnly, fields);
        await passTalking(asked, half, 8);
        const frames = blocks((await asked.answering).text);
        assert.equal(frames.at(-1), DONE);
        assert.ok(frames.at(-2).startsWith('data: {"error"'), `an event of its own: ${frames.at(-2)}`);
        assert.equal((await stage.end(asked.id)).outcome, "timed_out");
      });

      it("of the whole adds nothing to an answer that was finished in time", async () => {
        const asked = await ask("total", headersOnly, fields);
        const events = answerEvents(asked.exchange.request);
        asked.exchange.write(events.slice(0, 4).join(""));
        await pass(4_000);
        // The body stays open.
        asked.exchange.write(events.slice(4).join("") + DONE);
        await pass();
        for (let count = 0; count < 3; count++) await pass(2_000);
        await expectComplete(asked);
      });

      it("of the whole ends a document that stands in for a stream", () => ends("total", halfAnAnswer, 8_000, expectRefused));

      it("of the whole has a short form", async () => {
        const asked = await ask("short", headersOnly, fields);
        await passTalking(asked, content, 6);
        await expectEnded(asked, 6_000);
      });

      it("of the whole may be given in both forms, of which the long one counts", async () => {
        const asked = await ask("both", headersOnly, fields);
        await passTalking(asked, content, 5);
        await expectEnded(asked, 5_000);
      });

      for (const [model, play, due, expect] of [
        ["of-connect", silent, 4_000, expectRefused],
        ["of-first-token", headersOnly, 4_000, expectRefused],
        ["of-idle", stalled, 5_000, expectEnded],
        ["of-total", stalled, 6_000, expectEnded],
        ["of-timeout", stalled, 6_000, expectEnded],
      ]) {
        it(`on a model's row comes before the provider's: ${model}`, async () => {
          const asked = await ask("rows", play, fields, model);
          await passAlmost(asked, due);
          await expect(asked, due);
        });
      }

      it("on a provider's row still runs where the model's row sets others", async () => {
        const asked = await ask("merged", headersOnly, fields, "of-provider");
        await passAlmost(asked, 5_000);
        await expectRefused(asked, 5_000);
      });

      it("on a model's row may be longer than the provider's", async () => {
        const asked = await ask("merged", headersOnly, fields, "longer");
        await passTalking(asked, role, 9);
        finish(asked.exchange);
        await expectComplete(asked);
      });
    });
  }

  describe("on a whole answer", () => {
    const ends = async (provider, play, due) => {
      const asked = await ask(provider, play, {});
      await passAlmost(asked, due);
      await expectRefused(asked, due);
    };

    it("of the connection ends a wait for headers", () => ends("connect", silent, 4_000));

    it("of the connection has no say once there are headers", async () => {
      const begun = (exchange) => {
        exchange.open(200, { "content-type": "application/json", "content-length": 28 });
        exchange.write('{"choices":[{"message":{}}');
      };
      const asked = await ask("connect", begun, {});
      await pass(8_000);
      asked.exchange.write("]}");
      asked.exchange.end();
      const answer = await asked.answering;
      assert.deepEqual(
        { status: answer.status, text: answer.text, outcome: (await stage.end(asked.id)).outcome },
        { status: 200, text: '{"choices":[{"message":{}}]}', outcome: "complete" },
      );
    });

    it("of the first token, or of silence, has no say", async () => {
      for (const provider of ["first", "idle"]) {
        const asked = await ask(provider, silent, {});
        await pass(7_000);
        asked.exchange.json(200, '{"choices":[{"message":{}}]}');
        assert.equal((await asked.answering).status, 200);
      }
    });

    it("of the whole ends a wait for headers", () => ends("total", silent, 8_000));

    it("of the whole ends a wait for the rest of the body", () => ends("total", halfAnAnswer, 8_000));

    for (const stream of [false, true]) {
      it(`of the whole ends a wait for the rest of a refusal${stream ? " of a stream" : ""}`, async () => {
        const refusing = (exchange) => {
          exchange.open(503, { "content-type": "application/json", "content-length": 1000 });
          exchange.write('{"error":{"message":"over');
        };
        const asked = await ask("total", refusing, { stream });
        await passAlmost(asked, 8_000);
        // The refusal is known, but not its reason.
        const answer = await asked.answering;
        assert.ok([503, 504].includes(answer.status), answer.text);
        assert.equal((await endOf(asked, 8_000)).kind, "request_error");
        await stage.expectCancelled(asked.exchange.record);
      });
    }

    for (const [model, due] of [
      ["of-connect", 4_000],
      ["of-total", 6_000],
      ["of-timeout", 6_000],
    ]) {
      it(`on a model's row comes before the provider's: ${model}`, async () => {
        const asked = await ask("rows", silent, {}, model);
        await passAlmost(asked, due);
        await expectRefused(asked, due);
      });
    }
  });
});
