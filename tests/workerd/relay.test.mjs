// The two ways to forward a stream. Native: the provider's bytes, whatever they are. Checked: only valid,
// complete events and one `[DONE]`.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { blocks, chunks, expectErrorFrame, expectOneDone, streamedText } from "./expect.mjs";
import { ASKING, freshId, rows, startStage } from "./stage.mjs";

const WAYS = ["native", "checked"];
const FRAMINGS = ["ok", "reasoner", "odd", "crlf", "comments", "no-space-data", "utf8-split", "one-byte", "one-write", "big-event"];

// Data that are not events of this format. The last ones are JSON, but no client could read them as a chunk.
const MALFORMED = ["{oops", "", "Internal Server Error", '{"choices":[{"index":0,"delta":{"content":"cut', "<html></html>", "[1]", '"text"', "7", "[DONE", '{"choices":7}'];

// Unusual data that providers really send: each is forwarded.
const UNUSUAL = [
  '{"id":"","object":"","created":0,"model":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}],"choices":[]}',
  '{"choices":[{"delta":{"content":"no index"}}]}',
  '{"choices":[{"index":0,"delta":{"content":null},"finish_reason":null,"logprobs":null}],"usage":null,"error":null}',
  '{"choices":[{"index":0,"delta":null}]}',
  '{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":""}]}',
  '{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"in parts"}]}}]}',
  '{"choices":null,"model":null}',
  '{"id":"1","object":"chat.completion.chunk","x_new":{"a":[1e400]}}',
  "{}",
];

const STREAMED_ERROR = '{"message":"The model is overloaded.","type":"server_error","param":null,"code":"overloaded"}';

// An error is an error, whatever else the event has.
const ERRORS = [
  ["alone", `{"error":${STREAMED_ERROR}}`],
  ["with no choices", `{"choices":[],"error":${STREAMED_ERROR}}`],
  ["with a choice that is finished", `{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"error":${STREAMED_ERROR}}`],
  ["with a choice that is content", `{"choices":[{"index":0,"delta":{"content":"and "}}],"error":${STREAMED_ERROR}}`],
  ["with choices that are none", `{"choices":"none","error":${STREAMED_ERROR}}`],
  ["with usage", `{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1},"error":${STREAMED_ERROR}}`],
];

const CUTS = [
  ["in good order", (exchange) => exchange.end()],
  ["by a closed connection", (exchange) => exchange.hangUp()],
  ["by a reset", (exchange) => exchange.reset()],
];

describe("a stream is passed on", { concurrency: 6 }, () => {
  let stage;
  before(async () => {
    stage = await startStage({ config: rows({ native: "relay: native", checked: "relay: checked" }) });
  });
  after(() => stage.stop());

  let played = 0;

  function ask(way, play) {
    const model = `played-${++played}`;
    stage.fake.behave(model, play);
    return stage.watch(`${way}/${model}`, { stream: true, ...ASKING });
  }

  /** Streams `pieces(request)`, and ends as `ending` says. */
  const telling = (pieces, ending = (exchange) => exchange.end()) => async (exchange) => {
    exchange.openStream();
    for (const piece of pieces(exchange.request)) {
      exchange.write(piece);
      await exchange.sleep(3);
    }
    // The bytes written so far must arrive before the failure.
    if (ending !== CUTS[0][1]) await exchange.sleep(30);
    ending(exchange);
  };

  const opening = (request) => answerEvents(request).slice(0, 3);
  const closing = (request) => answerEvents(request).slice(3);
  const sent = ({ record }) => Buffer.concat(record.sent).toString();

  function expectComplete({ answer, end }, malformed) {
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(
      { event: end.event, outcome: end.outcome, malformed_events: end.malformed_events },
      { event: "request_complete", outcome: "complete", malformed_events: malformed },
    );
    assert.deepEqual({ input_tokens: end.input_tokens, output_tokens: end.output_tokens }, { input_tokens: 9, output_tokens: 7 });
  }

  describe("checked", { concurrency: 6 }, () => {
    for (const model of FRAMINGS) {
      it(`byte for byte up to its [DONE]: ${model}`, async () => {
        const answer = await stage.ask(`checked/${model}`, { stream: true, ...ASKING });
        const kept = blocks(sent({ record: stage.fake.of(model) }));
        const done = kept.findIndex((block) => block.includes("[DONE]"));
        assert.ok(done > 0);
        assert.equal(answer.text, kept.slice(0, done).join("") + DONE);
      });
    }

    for (const [how, cut] of CUTS) {
      it(`without half an event where it is cut ${how}`, async () => {
        const half = (request) => answerEvents(request)[3].slice(0, 80);
        const seen = await ask("checked", telling((request) => [...opening(request), half(request)], cut));
        expectErrorFrame(seen.answer.text, { type: "upstream_error", code: "stream_truncated", param: null });
        assert.ok(seen.answer.text.startsWith(`${opening(seen.record.request).join("")}data: {"error"`), seen.answer.text);
        assert.deepEqual({ outcome: seen.end.outcome, malformed_events: seen.end.malformed_events }, { outcome: "truncated", malformed_events: undefined });
      });
    }

    it("live, from the first event to the last", async () => {
      const held = stage.held("live");
      const answering = stage.openStream("checked/live", ASKING);
      const provider = await held;
      const word = (text) => event(chunk(provider.request, { content: text }));
      provider.openStream();
      provider.write(word("word 1"));
      const caller = await answering;
      assert.equal(await caller.until("word 1"), word("word 1"));
      for (const text of ["word 2", "word 3", "word 4"]) {
        // Half of it first: nothing may be forwarded yet, and all of it after the rest.
        provider.write(word(text).slice(0, 70));
        await provider.sleep(20);
        provider.write(word(text).slice(70));
        assert.equal(await caller.until(text), word(text));
      }
      provider.write(": thinking\n\n");
      assert.equal(await caller.until("thinking"), ": thinking\n\n");
      provider.write(closing(provider.request).join("") + DONE);
      provider.end();
      await caller.rest();
    });
  });

  for (const way of WAYS) {
    describe(way === "native" ? "natively" : "checked", { concurrency: 6 }, () => {
      it("and its [DONE] does not wait for the provider to hang up", async () => {
        const id = freshId();
        const held = stage.held(`lingering-${way}`);
        const answering = stage.openStream(`${way}/lingering-${way}`, ASKING, { "x-request-id": id });
        const provider = await held;
        provider.openStream();
        provider.write(answerEvents(provider.request).join("") + DONE);
        await (await answering).until("[DONE]");
        provider.end();
        assert.equal((await stage.end(id)).outcome, "complete");
      });

      for (const data of MALFORMED) {
        it(`with a malformed event, counted${way === "checked" ? " and dropped" : ""}: data: ${data}`, async () => {
          const seen = await ask(way, telling((request) => [...opening(request), event(data), ...closing(request), DONE]));
          const whole = sent(seen);
          assert.equal(seen.answer.text, way === "native" ? whole : whole.replace(event(data), ""));
          expectComplete(seen, 1);
        });
      }

      it(`with many malformed events, each counted${way === "checked" ? " and dropped" : ""}`, async () => {
        const broken = MALFORMED.map(event).join("");
        const seen = await ask(way, telling((request) => [broken, ...opening(request), broken, broken, ...closing(request), DONE]));
        const whole = sent(seen);
        assert.equal(seen.answer.text, way === "native" ? whole : whole.replaceAll(broken, ""));
        expectComplete(seen, 3 * MALFORMED.length);
      });

      for (const data of UNUSUAL) {
        it(`with an event that is unusual, yet none that is broken: data: ${data}`, async () => {
          const seen = await ask(way, telling((request) => [...opening(request), event(data), ...closing(request), DONE]));
          assert.equal(seen.answer.text, sent(seen));
          expectComplete(seen, undefined);
        });
      }

      for (const [how, cut] of CUTS) {
        it(`with half an event set apart from the error where it is cut ${how}`, async () => {
          const seen = await ask(way, telling((request) => [...opening(request), "data: {", '"cho'], cut));
          const frames = blocks(seen.answer.text);
          assert.equal(frames.at(-1), DONE);
          assert.equal(JSON.parse(frames.at(-2).slice("data: ".length)).error.code, "stream_truncated");
        });

        it(`with a last event whose empty line was cut off ${how}, though nothing else`, async () => {
          const play = telling((request) => [...opening(request), ...closing(request).slice(0, -1), closing(request).at(-1).trimEnd()], cut);
          const seen = await ask(way, play);
          expectOneDone(seen.answer.text);
          assert.deepEqual(chunks(seen.answer.text).at(-1).usage, JSON.parse(closing(seen.record.request).at(-1).slice(6)).usage);
        });
      }

      it(`with ${way === "native" ? "each" : "one"} [DONE], if the provider sends two`, async () => {
        const seen = await ask(way, telling((request) => [...answerEvents(request), DONE, DONE]));
        assert.equal(seen.answer.text, way === "native" ? sent(seen) : answerEvents(seen.record.request).join("") + DONE);
        expectComplete(seen, undefined);
      });

      it(`${way === "native" ? "with" : "without"} what comes after [DONE]`, async () => {
        const late = (request) => [event(chunk(request, { content: "late" })), ": bye\n\n", event(`{"error":${STREAMED_ERROR}}`)];
        const seen = await ask(way, telling((request) => [...answerEvents(request), DONE, ...late(request)]));
        assert.equal(seen.answer.text, way === "native" ? sent(seen) : answerEvents(seen.record.request).join("") + DONE);
        expectComplete(seen, undefined);
      });

      for (const [how, data] of ERRORS) {
        for (const name of ["message", "error"]) {
          it(`with an error ${how}, once, and then one [DONE]${name === "error" ? ", under a name of its own" : ""}`, async () => {
            const error = (name === "error" ? "event: error\n" : "") + event(data);
            const seen = await ask(way, telling((request) => [...opening(request), error]));
            assert.equal(seen.answer.text, opening(seen.record.request).join("") + error + DONE);
            assert.deepEqual(
              { event: seen.end.event, outcome: seen.end.outcome, error_code: seen.end.error_code },
              { event: "request_error", outcome: "upstream_error", error_code: "overloaded" },
            );
          });
        }
      }

      it("with an error, once, and the provider's own [DONE]", async () => {
        const seen = await ask(way, telling((request) => [...opening(request), event(`{"error":${STREAMED_ERROR}}`), DONE]));
        expectErrorFrame(seen.answer.text, { type: "server_error", code: "overloaded", param: null });
        assert.equal(seen.end.outcome, "upstream_error");
      });

      it("with an event of eight hundred thousand characters in many small pieces", async () => {
        const pieces = (request) => event(chunk(request, { content: "é".repeat(400_000) })).match(/[^]{1,20000}/g);
        const play = async (exchange) => {
          exchange.openStream();
          for (const piece of [...pieces(exchange.request), ...closing(exchange.request), DONE]) {
            exchange.write(piece);
            await exchange.sleep(1);
          }
          exchange.end();
        };
        const seen = await ask(way, play);
        assert.ok(seen.answer.text === sent(seen));
        expectComplete(seen, undefined);
      });

      it("with names, ids and retries of events, and data over many lines", async () => {
        const fields = (request) => {
          const [head, tail] = chunk(request, { content: "in two lines" }).split(/(?<=,)(?="choices")/);
          return [`event: message\nid: 7\nretry: 3000\ndata: ${head}\ndata: ${tail}\n\n`, "event: ping\n\n", "id: 8\n\n", "retry: 1\n\n", "\n\n"];
        };
        const seen = await ask(way, telling((request) => [...opening(request), ...fields(request), ...closing(request), DONE]));
        assert.equal(seen.answer.text, sent(seen));
        assert.ok(streamedText(seen.answer.text).includes("in two lines"));
        expectComplete(seen, undefined);
      });
    });
  }
});
