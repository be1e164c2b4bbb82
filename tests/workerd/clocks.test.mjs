// The four deadlines: connect, first token, idle, total. None passes early, and each cancels the provider's
// call.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { blocks, chunks, expectError, expectErrorFrame, expectOneDone } from "./expect.mjs";
import { inOneOf, LATE_MS, PACE, paced } from "./pace.mjs";
import { ASKING, startStage } from "./stage.mjs";

// A fraction of the deadline: a clock of half the speed is found out. A busy machine may be later now and
// then, but not in most tests.
const LATEST = 1.9;
const TRIES = 3;
const TIMEOUT = { type: "upstream_error", code: "upstream_timeout", param: null };

// `native` and `checked` are the two ways of forwarding a stream.
const row = (fake, name, keys) => `
  ${name}:
    base_url: ${fake.base}
    api_key_env: ANY_API_KEY
${keys}`;
const config = (fake) => `
providers:
${row(fake, "connect", `    clocks: { connect: ${paced(0.4)} }\n    models: "*"`)}
${row(fake, "first", `    clocks: { first_token: ${paced(0.5)} }\n    models: "*"`)}
${row(fake, "idle", `    clocks: { idle: ${paced(0.4)} }\n    models: "*"`)}
${row(fake, "restless", `    clocks: { idle: ${paced(0.9)} }\n    models: "*"`)}
${row(fake, "total", `    clocks: { total: ${paced(0.8)} }\n    models: "*"`)}
${row(fake, "short", `    timeout: ${paced(0.6)}\n    models: "*"`)}
${row(fake, "both", `    timeout: 30\n    clocks: { total: ${paced(0.5)} }\n    models: "*"`)}
${row(fake, "kept", `    clocks: { idle: ${paced(0.7)} }\n    keep_alive: ${paced(0.2)}\n    models: "*"`)}
${row(fake, "begun", `    clocks: { first_token: ${paced(1)} }\n    keep_alive: ${paced(0.3)}\n    models: "*"`)}
${row(
  fake,
  "rows",
  `    timeout: 30
    clocks: { connect: 30, first_token: 30, idle: 30 }
    models:
      of-connect: { clocks: { connect: ${paced(0.4)} } }
      of-first-token: { clocks: { first_token: ${paced(0.4)} } }
      of-idle: { clocks: { idle: ${paced(0.5)} } }
      of-total: { clocks: { total: ${paced(0.6)} } }
      of-timeout: { timeout: ${paced(0.6)} }`,
)}
${row(
  fake,
  "merged",
  `    clocks: { first_token: ${paced(0.5)} }
    models:
      of-provider: { clocks: { idle: 30, connect: 30 } }
      longer: { clocks: { first_token: 30 } }`,
)}
`;

describe("a clock", { concurrency: 8 }, () => {
  let stage;
  before(async () => {
    stage = await startStage({ config, pace: PACE });
  });
  after(() => stage.stop());

  let played = 0;
  /** By which factor each deadline was late. */
  const lateness = [];
  after(() => {
    const most = lateness.sort((a, b) => a - b)[Math.floor(lateness.length / 4)] ?? 1;
    assert.ok(most <= LATEST, `clocks took so many times as long as they should have: ${lateness.map((times) => times.toFixed(2))}`);
  });

  /** Calls a model of its own, whose behaviour is `play`; `keys` are further fields of the request. */
  function ask(provider, play, fields) {
    const model = `played-${++played}`;
    stage.fake.behave(model, play);
    return stage.watch(`${provider}/${model}`, fields);
  }

  /** Asserts that `due` milliseconds, at the machine's pace, have passed, and not many more. */
  function expectTime(took, due) {
    assert.ok(took >= paced(due) - 5, `${took} ms: before its time, ${paced(due)} ms`);
    assert.ok(took <= paced(due) + LATE_MS, `${took} ms: long after its time, ${paced(due)} ms`);
    lateness.push(took / paced(due));
  }

  /** Asserts that the request failed after `due` milliseconds, before a response began. */
  async function expectRefused({ answer, took, end, record }, due) {
    expectError(answer, { status: 504, ...TIMEOUT });
    expectTime(took, due);
    await stage.expectCancelled(record);
    const { event: kind, status, outcome, error_code } = end;
    assert.deepEqual({ kind, status, outcome, error_code }, { kind: "request_error", status: 504, outcome: "refused", error_code: "upstream_timeout" });
  }

  /** Asserts that the stream was ended after `due` milliseconds, in the middle. */
  async function expectEnded({ answer, took, end, record }, due) {
    assert.equal(answer.status, 200, answer.text);
    expectErrorFrame(answer.text, TIMEOUT);
    expectTime(took, due);
    await stage.expectCancelled(record);
    const { event: kind, status, outcome, error_code } = end;
    assert.deepEqual({ kind, status, outcome, error_code }, { kind: "request_error", status: 200, outcome: "timed_out", error_code: "upstream_timeout" });
    expectTime(end.duration_ms, due);
  }

  function expectComplete({ answer, end }) {
    assert.equal(answer.status, 200, answer.text);
    expectOneDone(answer.text);
    assert.ok(chunks(answer.text).every(({ error }) => !error), answer.text);
    assert.deepEqual({ event: end.event, outcome: end.outcome }, { event: "request_complete", outcome: "complete" });
  }

  /** Asserts that no deadline passes with this provider. */
  const spares = (provider, play, fields) => inOneOf(TRIES, async () => expectComplete(await ask(provider, play, fields)));

  const content = ({ request }, text = "drip") => event(chunk(request, { content: text }));
  const role = ({ request }) => event(chunk(request, { role: "assistant", content: "" }));

  /**
   * Responds with `times` writes of `what(exchange)`, `gap` ms apart, and then completes normally, unless the
   * call has been cancelled.
   */
  const dripping = (what, times, gap) => async (exchange) => {
    exchange.openStream();
    for (let n = 0; n < times && !exchange.over; n++) {
      exchange.write(what(exchange));
      await exchange.sleep(gap);
    }
    if (exchange.over) return;
    exchange.write(answerEvents(exchange.request).slice(-3).join("") + DONE);
    exchange.end();
  };

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

  for (const [how, fields] of [
    ["native", { stream: true, ...ASKING }],
    ["checked", { stream: true }],
  ]) {
    describe(`on a ${how} stream`, { concurrency: 8 }, () => {
      it("of the connection ends a wait for headers", async () => {
        await expectRefused(await ask("connect", silent, fields), 400);
      });

      it("of the connection has no say once there are headers", async () => {
        await spares("connect", dripping(role, 5, 200), fields);
      });

      it("of the first token ends a wait for headers", async () => {
        await expectRefused(await ask("first", silent, fields), 500);
      });

      it("of the first token ends a wait for anything after them", async () => {
        await expectRefused(await ask("first", headersOnly, fields), 500);
      });

      it("of the first token is not stopped by roles and pings", async () => {
        await expectRefused(await ask("first", dripping(role, 20, 100), fields), 500);
        await expectRefused(await ask("first", dripping(() => ": ping\n\n", 20, 100), fields), 500);
      });

      it("of the first token has no say once there is content", async () => {
        await spares("first", dripping(content, 3, 400), fields);
      });

      it("of the first token ends a stream that was begun to keep it alive", async () => {
        const seen = await ask("begun", headersOnly, fields);
        await expectEnded(seen, 1000);
        assert.ok(seen.answer.text.startsWith(": keep-alive\n\n"), seen.answer.text);
      });

      it("of silence ends a wait for anything after the headers", async () => {
        await expectRefused(await ask("idle", headersOnly, fields), 400);
      });

      it("of silence counts from the headers, however late they came", async () => {
        const late = async (exchange) => {
          await exchange.sleep(700);
          exchange.openStream();
        };
        await expectRefused(await ask("restless", late, fields), 1600);
      });

      it("of silence ends a silence in the midst", async () => {
        const seen = await ask("idle", stalled, fields);
        await expectEnded(seen, 400);
        assert.ok(seen.answer.text.startsWith(Buffer.concat(seen.record.sent).toString()), "what came is there");
      });

      for (const [provider, gap] of [
        ["idle", 70],
        ["restless", 300],
      ]) {
        it(`of silence spares a provider that is never silent for so long (${provider}, ${gap} ms)`, async () => {
          await spares(provider, dripping(content, Math.ceil(2000 / gap), gap), fields);
        });
      }

      it("of silence is not stopped by the gateway's own comments", async () => {
        const seen = await ask("kept", stalled, fields);
        await expectEnded(seen, 700);
        assert.ok(seen.answer.text.includes(": keep-alive\n\n"), seen.answer.text);
      });

      it("of the whole ends a wait for headers", async () => {
        await expectRefused(await ask("total", silent, fields), 800);
      });

      it("of the whole ends a wait for anything after them", async () => {
        await expectRefused(await ask("total", headersOnly, fields), 800);
      });

      it("of the whole ends a silence in the midst", async () => {
        await expectEnded(await ask("total", stalled, fields), 800);
      });

      it("of the whole ends the stream of a provider that never rests", async () => {
        await expectEnded(await ask("total", dripping(content, 60, 50), fields), 800);
      });

      it("of the whole sets its error apart from half an event before it", async () => {
        const halves = async (exchange) => {
          exchange.openStream();
          for (let rest = ""; !exchange.over; ) {
            const [head, tail] = [content(exchange).slice(0, 60), content(exchange).slice(60)];
            // Whenever the deadline passes, the last write has ended inside an event.
            exchange.write(rest + head);
            rest = tail;
            await exchange.sleep(100);
          }
        };
        const { answer, end } = await ask("total", halves, fields);
        const frames = blocks(answer.text);
        assert.equal(frames.at(-1), DONE);
        assert.ok(frames.at(-2).startsWith('data: {"error"'), `an event of its own: ${frames.at(-2)}`);
        assert.equal(end.outcome, "timed_out");
      });

      it("of the whole adds nothing to an answer that was finished in time", async () => {
        const lingering = async (exchange) => {
          exchange.openStream();
          exchange.write(answerEvents(exchange.request).slice(0, 4).join(""));
          await exchange.sleep(400);
          exchange.write(answerEvents(exchange.request).slice(4).join("") + DONE);
        };
        await spares("total", lingering, fields);
      });

      it("of the whole ends a document that stands in for a stream", async () => {
        await expectRefused(await ask("total", halfAnAnswer, fields), 800);
      });

      it("of the whole has a short form", async () => {
        await expectEnded(await ask("short", dripping(content, 60, 50), fields), 600);
      });

      it("of the whole may be given in both forms, of which the long one counts", async () => {
        await expectEnded(await ask("both", dripping(content, 60, 50), fields), 500);
      });

      for (const [model, play, due, begun] of [
        ["of-connect", silent, 400, false],
        ["of-first-token", headersOnly, 400, false],
        ["of-idle", stalled, 500, true],
        ["of-total", stalled, 600, true],
        ["of-timeout", stalled, 600, true],
      ]) {
        it(`on a model's row comes before the provider's: ${model}`, async () => {
          stage.fake.behave(model, play);
          const seen = await stage.watch(`rows/${model}`, fields);
          await (begun ? expectEnded(seen, due) : expectRefused(seen, due));
        });
      }

      it("on a provider's row still runs where the model's row sets others", async () => {
        stage.fake.behave("of-provider", headersOnly);
        await expectRefused(await stage.watch("merged/of-provider", fields), 500);
      });

      it("on a model's row may be longer than the provider's", async () => {
        stage.fake.behave("longer", dripping(role, 9, 100));
        await inOneOf(TRIES, async () => expectComplete(await stage.watch("merged/longer", fields)));
      });
    });
  }

  describe("on a whole answer", { concurrency: 8 }, () => {
    it("of the connection ends a wait for headers", async () => {
      await expectRefused(await ask("connect", silent), 400);
    });

    it("of the connection has no say once there are headers", async () => {
      const late = async (exchange) => {
        exchange.open(200, { "content-type": "application/json", "content-length": 28 });
        exchange.write('{"choices":[{"message":{}}');
        await exchange.sleep(800);
        exchange.write("]}");
        exchange.end();
      };
      await inOneOf(TRIES, async () => {
        const { answer, end } = await ask("connect", late);
        assert.deepEqual(
          { status: answer.status, text: answer.text, outcome: end.outcome },
          { status: 200, text: '{"choices":[{"message":{}}]}', outcome: "complete" },
        );
      });
    });

    it("of the first token, or of silence, has no say", async () => {
      const late = async (exchange) => {
        await exchange.sleep(700);
        exchange.json(200, '{"choices":[{"message":{}}]}');
      };
      for (const provider of ["first", "idle"]) assert.equal((await ask(provider, late)).answer.status, 200);
    });

    it("of the whole ends a wait for headers", async () => {
      await expectRefused(await ask("total", silent), 800);
    });

    it("of the whole ends a wait for the rest of the body", async () => {
      await expectRefused(await ask("total", halfAnAnswer), 800);
    });

    for (const stream of [false, true]) {
      it(`of the whole ends a wait for the rest of a refusal${stream ? " of a stream" : ""}`, async () => {
        const refusing = (exchange) => {
          exchange.open(503, { "content-type": "application/json", "content-length": 1000 });
          exchange.write('{"error":{"message":"over');
        };
        const { answer, took, end, record } = await ask("total", refusing, { stream });
        // The refusal is known, but not its reason.
        assert.ok([503, 504].includes(answer.status), answer.text);
        expectTime(took, 800);
        assert.equal(end.event, "request_error");
        await stage.expectCancelled(record);
      });
    }

    it("on a model's row comes before the provider's", async () => {
      for (const [model, due] of [
        ["of-connect", 400],
        ["of-total", 600],
        ["of-timeout", 600],
      ]) {
        stage.fake.behave(`${model}`, silent);
        await expectRefused(await stage.watch(`rows/${model}`), due);
      }
    });
  });
});
