// Whether the usage of a stream is requested where the client did not, and what of it the client gets.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { answerEvents, chunk, DONE, event, USAGE } from "./behaviours.mjs";
import { chunks, expectOneDone } from "./expect.mjs";
import { freshId, rows, startStage } from "./stage.mjs";

const MESSAGES = '"messages":[{"role":"user","content":"Hi"}]';

const config = rows({
  hide: "stream_usage: hide",
  default: "",
  show: "stream_usage: show",
  leave: "stream_usage: leave",
  "leave-checked": "stream_usage: leave, relay: checked",
  "show-checked": "stream_usage: show, relay: checked",
});

describe("the usage of a stream", { concurrency: 6 }, () => {
  let stage;
  before(async () => {
    stage = await startStage({ config });
  });
  after(() => stage.stop());

  let played = 0;

  const nextModel = () => `played-${++played}`;

  describe("is asked of the provider", { concurrency: 6 }, () => {
    /**
     * Asserts that for these `stream_options` (none if null) the provider gets `expected` ("same": the
     * unchanged request).
     */
    function sends(row, options, expected) {
      it(`${row}, ${options ? `where the client says ${options}` : "where the client says nothing"}: ${expected}`, async () => {
        const model = nextModel();
        stage.fake.behave(model, stage.fake.behaviour("ok"));
        const body = (name) => `{"model":"${name}","stream" : true,${options ? `"stream_options" :${options},` : ""}${MESSAGES},"seed":1.0}`;
        const answer = await stage.post(body(`${row}/${model}`));
        assert.equal(answer.status, 200, answer.text);
        const sent = stage.fake.of(model).body.toString();
        if (expected === "same") return assert.equal(sent, body(model));
        const { stream_options, ...rest } = JSON.parse(sent);
        const { stream_options: _, ...wanted } = JSON.parse(body(model));
        assert.deepEqual({ stream_options, rest }, { stream_options: JSON.parse(expected), rest: wanted });
        assert.ok(sent.includes(`"stream" : true`) && sent.includes(`${MESSAGES},"seed":1.0`), sent);
      });
    }

    const asked = '{"include_usage":true}';
    for (const row of ["hide", "default", "show", "show-checked"]) {
      sends(row, null, asked);
      sends(row, "null", asked);
      sends(row, "{}", asked);
      sends(row, '{"include_usage":false}', asked);
      sends(row, '{"include_usage":null}', asked);
      sends(row, '{ "include_obfuscation":false, "x_new":[1e2] }', '{"include_obfuscation":false,"x_new":[1e2],"include_usage":true}');
      sends(row, '{"x":1,"include_usage":false,"y":{"include_usage":false}}', '{"x":1,"include_usage":true,"y":{"include_usage":false}}');
      sends(row, '{ "include_usage" : true, "x":1.0 }', "same");
      sends(row, '{"include\\u005fusage":true}', "same");
      sends(row, '{"include\\u005fusage":false}', asked);
    }
    for (const row of ["leave", "leave-checked"]) {
      for (const options of [null, "null", "{}", '{"include_usage":false}', '{"include_usage":true}', '{ "x":1.0 }']) sends(row, options, "same");
    }

    for (const row of ["hide", "default", "show", "leave"]) {
      it(`${row}, but never where no stream is asked for`, async () => {
        const model = nextModel();
        stage.fake.behave(model, (exchange) => exchange.json(200, '{"choices":[{"message":{}}]}'));
        for (const stream of ['"stream":false,', ""]) {
          const body = (name) => `{"model":"${name}",${stream}${MESSAGES}}`;
          assert.equal((await stage.post(body(`${row}/${model}`))).status, 200);
          assert.equal(stage.fake.of(model).body.toString(), body(model));
        }
      });
    }
  });

  /** The stream of `row` for a client with these `stream_options`; `pieces(request)` are the provider's. */
  async function ask(row, stream_options, pieces = (request) => [...answerEvents(request), DONE]) {
    const model = nextModel();
    stage.fake.behave(model, async (exchange) => {
      exchange.openStream();
      for (const piece of pieces(exchange.request)) {
        exchange.write(piece);
        await exchange.sleep(2);
      }
      exchange.end();
    });
    const seen = await stage.watch(`${row}/${model}`, { stream: true, ...(stream_options === undefined ? {} : { stream_options }) });
    assert.equal(seen.answer.status, 200, seen.answer.text);
    return { ...seen, text: seen.answer.text, sent: Buffer.concat(seen.record.sent).toString() };
  }

  function expectKnown({ end }) {
    assert.deepEqual(
      { outcome: end.outcome, input_tokens: end.input_tokens, output_tokens: end.output_tokens },
      { outcome: "complete", input_tokens: 9, output_tokens: 7 },
    );
  }

  /** Asserts the provider's stream without what `hidden` matches. */
  function expectWithout(seen, hidden) {
    assert.equal(seen.sent.split(hidden).length, 2, "the provider sent it once");
    assert.equal(seen.text, seen.sent.replace(hidden, ""));
    expectOneDone(seen.text);
    expectKnown(seen);
  }

  const USAGE_EVENT = /data: *\{[^\n]*"choices":\[\],[^\n]*\n\n/;

  describe("is known to the log, and to a client", { concurrency: 6 }, () => {
    for (const row of ["hide", "default"]) {
      for (const [options, whose] of [
        [undefined, "that did not ask"],
        [null, "that said null"],
        [{ include_usage: false }, "that wants none"],
        [{ include_obfuscation: false }, "that asked for something else"],
      ]) {
        it(`${whose}: hidden (${row})`, async () => {
          expectWithout(await ask(row, options), USAGE_EVENT);
        });
      }
    }

    for (const row of ["hide", "default", "show", "leave", "leave-checked", "show-checked"]) {
      it(`that asked: shown (${row})`, async () => {
        const seen = await ask(row, { include_usage: true });
        assert.equal(seen.text, seen.sent);
        assert.deepEqual(chunks(seen.text).at(-1).usage, USAGE);
        expectKnown(seen);
      });
    }

    for (const row of ["show", "show-checked"]) {
      it(`that did not ask: shown all the same (${row})`, async () => {
        const seen = await ask(row);
        assert.equal(seen.text, seen.sent);
        expectKnown(seen);
      });

      it(`that wants none: hidden (${row})`, async () => {
        expectWithout(await ask(row, { include_usage: false }), USAGE_EVENT);
      });
    }

    for (const row of ["leave", "leave-checked"]) {
      it(`that did not ask: there is none (${row})`, async () => {
        const seen = await ask(row);
        assert.equal(seen.text, seen.sent);
        assert.ok(!seen.text.includes("usage"));
        assert.deepEqual({ outcome: seen.end.outcome, estimated: seen.end.estimated }, { outcome: "complete", estimated: true });
      });

      it(`that did not ask: as the provider tells it of its own accord (${row})`, async () => {
        const seen = await ask(row, undefined, (request) => [...answerEvents(request), event(chunk(request, {}, { choices: [], usage: USAGE })), DONE]);
        assert.equal(seen.text, seen.sent);
        expectKnown(seen);
      });
    }
  });

  describe("that is hidden is told", { concurrency: 6 }, () => {
    const crlf = (pieces) => pieces.map((piece) => piece.replaceAll("\n", "\r\n"));
    const told = (request, fields = {}) => chunk(request, {}, { choices: [], usage: USAGE, ...fields });
    const plain = (request) => answerEvents({ ...request, stream_options: null });

    for (const [how, pieces] of [
      ["under CRLF", (request) => crlf([...plain(request), event(told(request))])],
      ["under CR", (request) => [...plain(request), event(told(request))].map((piece) => piece.replaceAll("\n", "\r"))],
      ["without a space", (request) => [...plain(request), event(told(request)).replace("data: ", "data:")]],
      ["under an event's name", (request) => [...plain(request), `event: usage\nid: 3\n${event(told(request))}`]],
      ["over two lines", (request) => [...plain(request), `data: ${told(request).replace(/,"usage"/, ',\ndata: "usage"')}\n\n`]],
      ["in pieces", (request) => [...plain(request), ...event(told(request)).match(/[^]{1,9}/g)]],
      ["with null for choices", (request) => [...plain(request), event(told(request, { choices: null }))]],
      ["without choices", (request) => [...plain(request), event(told(request, { choices: undefined }))]],
      ["with the event before it in one piece", (request) => [...plain(request).slice(0, -1), plain(request).at(-1) + event(told(request))]],
      ["in the midst", (request) => [...plain(request).slice(0, 3), event(told(request)), ...plain(request).slice(3)]],
      ["first of all", (request) => [event(told(request)), ...plain(request)]],
    ]) {
      it(`${how}, and all else is kept`, async () => {
        const seen = await ask("hide", undefined, pieces);
        const kept = chunks(seen.sent).filter(({ choices }) => choices?.length);
        assert.deepEqual(chunks(seen.text), kept);
        assert.equal(seen.text.length, seen.sent.length - longest(seen) + DONE.length);
        expectOneDone(seen.text);
        expectKnown(seen);
      });
    }

    /** The length of the event in which the provider reported the usage. */
    const longest = ({ sent }) => sent.split(/(?<=\r\n\r\n|\n\n|\r\r)/).find((block) => block.includes('"prompt_tokens"')).length;

    for (const [how, last] of [
      ["beside the reason to finish", (request) => chunk(request, {}, { finish: "stop", usage: USAGE })],
      ["beside the last word", (request) => chunk(request, { content: "." }, { finish: "stop", usage: USAGE })],
      ["beside an empty delta", (request) => chunk(request, {}, { usage: USAGE })],
      ["in a field of one provider's own", (request) => chunk(request, {}, { finish: "stop", x_groq: { id: "1", usage: USAGE } })],
    ]) {
      it(`${how}, which is kept as it is`, async () => {
        const seen = await ask("hide", undefined, (request) => [...plain(request).slice(0, -1), event(last(request)), plain(request).at(-1), DONE]);
        assert.equal(seen.text, seen.sent);
        expectKnown(seen);
      });
    }

    it("on every chunk as null, which is kept as it is", async () => {
      const seen = await ask("hide");
      assert.ok(chunks(seen.text).every(({ usage }) => usage === null));
    });

    it("on every chunk as it grows, of which the last counts", async () => {
      const grown = (request, n) => event(chunk(request, { content: "x" }, { usage: { prompt_tokens: 9, completion_tokens: n, total_tokens: 9 + n } }));
      const seen = await ask("hide", undefined, (request) => [...[5, 6, 7].map((n) => grown(request, n)), plain(request).at(-1), DONE]);
      assert.equal(seen.text, seen.sent);
      expectKnown(seen);
    });

    it("before a cut, and the log still has it", async () => {
      const seen = await ask("hide", undefined, (request) => [plain(request)[1], event(told(request))]);
      assert.deepEqual(
        { outcome: seen.end.outcome, input_tokens: seen.end.input_tokens, output_tokens: seen.end.output_tokens },
        { outcome: "truncated", input_tokens: 9, output_tokens: 7 },
      );
    });
  });
});

describe("the usage of a stream on Cloudflare's free plan", () => {
  let stage;
  before(async () => {
    const kinds = { unsaid: "", hiding: "stream_usage: hide" };
    stage = await startStage({ config: (fake) => `plan: free\n${rows(kinds)(fake)}` });
  });
  after(() => stage.stop());

  /** A stream, with an event that only a checked stream would drop, for a client that does not speak of its usage. */
  async function ask(row, stream_options) {
    const model = `free-${row}-${stream_options ? "asked" : "unasked"}`;
    const [held, id] = [stage.held(model), freshId()];
    const opening = stage.openStream(`${row}/${model}`, { ...(stream_options && { stream_options }) }, { "x-request-id": id });
    const exchange = await held;
    const [first, content, ...rest] = answerEvents(exchange.request);
    exchange.openStream();
    exchange.write(first + content);
    const caller = await opening;
    assert.equal(caller.status, 200);
    let text = await caller.until(content);
    // What comes at once with the first content passes through the gateway; the rest comes after that.
    for (const piece of [rest[0], "data: {oops\n\n", ...rest.slice(1), DONE]) {
      exchange.write(piece);
      if (row === "unsaid" && !stream_options) text += await caller.until(piece);
    }
    exchange.end();
    text += await caller.rest();
    return { text, end: await stage.end(id), sent: Buffer.concat(exchange.record.sent).toString() };
  }

  it("is shown in a native stream, byte for byte", async () => {
    const { text, sent, end } = await ask("unsaid");
    assert.equal(text, sent);
    assert.match(text, /oops/);
    assert.deepEqual(chunks(text.replace("data: {oops\n\n", "")).at(-1).usage, USAGE);
    assert.deepEqual([end.outcome, end.input_tokens, end.output_tokens], ["complete", 9, 7]);
  });

  it("is hidden, in a checked stream, from a client that wants none, and where the row says so", async () => {
    for (const [row, options] of [["unsaid", { include_usage: false }], ["hiding", undefined]]) {
      const { text, sent, end } = await ask(row, options);
      assert.match(sent, /oops/);
      assert.doesNotMatch(text, /oops|"choices":\[\]/);
      expectOneDone(text);
      assert.deepEqual([end.outcome, end.input_tokens, end.output_tokens], ["complete", 9, 7]);
    }
  });
});
