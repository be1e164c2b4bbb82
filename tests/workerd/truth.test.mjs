// Whatever a provider does on its socket, the caller gets the truth: a short response never looks complete,
// and nobody waits in vain.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { answerEvents, chunk, DONE, event } from "./behaviours.mjs";
import { events } from "./client.mjs";
import { blocks, chunks, expectError, expectErrorFrame, expectOneDone } from "./expect.mjs";
import { startSocketFake, STREAM_HEAD } from "./fake-socket.mjs";
import { ASKING, rows, startStage } from "./stage.mjs";
import { oneAtATime, runOut, stopClock } from "./timed.mjs";

const UNREACHABLE = { status: 502, type: "upstream_error", code: "upstream_unreachable", param: null };
const INVALID = { status: 502, type: "upstream_error", code: "upstream_invalid_response", param: null };
const TRUNCATED = { type: "upstream_error", code: "stream_truncated", param: null };
const TIMEOUT = { type: "upstream_error", code: "upstream_timeout", param: null };
const OVERLOADED = { type: "server_error", code: "overloaded", param: null };
const OVERLOADED_BODY = '{"error":{"message":"The model is overloaded.","type":"server_error","param":null,"code":"overloaded"}}';
const HTML = "<!DOCTYPE html>\n<html><body><h1>Sign in to the company network</h1></body></html>\n";
const COMPLETION =
  '{"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":7}}';

const document = (type, body) => `HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

/** Writes `pieces` to the raw connection, and ends as `ending` says. */
const raw = (ending, ...pieces) => async (wire) => {
  for (const piece of pieces) {
    wire.raw(piece);
    await wire.sleep(5);
  }
  // The bytes written so far must arrive before the failure.
  if (pieces.length) await wire.sleep(25);
  await ending(wire);
};

/** Streams `pieces(request)`, and ends as `ending` says. */
const stream = (ending, pieces) => async (wire) => {
  wire.openStream();
  for (const piece of pieces(wire.request)) {
    wire.write(piece);
    await wire.sleep(5);
  }
  await wire.sleep(25);
  await ending(wire);
};

const ends = (wire) => wire.end();
const hangsUp = (wire) => wire.hangUp();
const resets = (wire) => wire.reset();
const stays = () => {};
const ACCIDENTS = Object.entries({ ends, "hangs up": hangsUp, resets });

const opening = (request) => answerEvents(request).slice(0, 4);
const role = (request) => answerEvents(request).slice(0, 1);
const whole = (request) => answerEvents(request);
/** A chunk of one of several choices. */
const choice = (request, index, finish = null) => event(chunk(request, {}, { choices: [{ index, delta: finish ? {} : { content: `${index}` }, finish_reason: finish }] }));

// Failures before any content of a stream: a plain error.
const BEFORE = [
  ["resets before any header", raw(resets), UNREACHABLE],
  ["hangs up before any header", raw(hangsUp), UNREACHABLE],
  ["hangs up in the midst of the status line", raw(hangsUp, "HTTP/1.1 20"), UNREACHABLE],
  ["hangs up in the midst of the headers", raw(hangsUp, "HTTP/1.1 200 OK\r\ncontent-type: text/ev"), UNREACHABLE],
  ["resets in the midst of the headers", raw(resets, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"), UNREACHABLE],
  ["falls silent in the midst of the headers", raw(stays, "HTTP/1.1 200 OK\r\ncontent-type: text/ev"), { status: 504, ...TIMEOUT }],
  ["speaks another protocol", raw(hangsUp, "SSH-2.0-OpenSSH_9.9\r\n"), UNREACHABLE],
  ["sends bytes that are nothing", raw(hangsUp, Buffer.from(Array.from({ length: 4096 }, (_, n) => (n * 151) % 256))), UNREACHABLE],
  ["sends a header without an end", raw(hangsUp, `HTTP/1.1 200 OK\r\nx: ${"y".repeat(1 << 20)}`), UNREACHABLE],
  ["sends a page", raw(hangsUp, document("text/html", HTML)), INVALID],
  ["sends a page and says it is a stream", raw(hangsUp, document("text/event-stream", HTML)), { status: 502, type: "upstream_error" }],
  ["sends a line of text", raw(hangsUp, document("text/plain", "upstream connect error")), { status: 502, type: "upstream_error" }],
  ["sends an error as a document", raw(hangsUp, document("application/json", OVERLOADED_BODY)), { status: 502, ...OVERLOADED }],
  ["sends an error as a document of a longer type", raw(hangsUp, document("application/json; charset=utf-8", OVERLOADED_BODY)), { status: 502, ...OVERLOADED }],
  ["sends an error as a document and says it is a stream", raw(hangsUp, document("text/event-stream", OVERLOADED_BODY)), { status: 502 }],
  ["sends garbage and says it is JSON", raw(hangsUp, document("application/json", "{garbage")), INVALID],
  ["sends nothing and says it is JSON", raw(hangsUp, document("application/json", "")), INVALID],
  ["sends an error first", stream(ends, () => [event(OVERLOADED_BODY)]), { status: 502, ...OVERLOADED }],
  ["sends an error first, under its name", stream(ends, () => [`event: error\n${event(OVERLOADED_BODY)}`]), { status: 502, ...OVERLOADED }],
  ["sends an error after pings and a role", stream(ends, (request) => [": hi\n\n", ...role(request), ": hi\n\n", event(OVERLOADED_BODY)]), { status: 502, ...OVERLOADED }],
  ["sends an error after pings and stays", stream(stays, () => [": hi\n\n", event(OVERLOADED_BODY)]), { status: 502, ...OVERLOADED }],
  ["sends an error of a number alone", stream(ends, () => [event('{"error":{"code":429,"message":"Slow down."}}')]), { status: 429, code: "429", says: /^Slow down/ }],
  ["sends an error of a word alone", stream(ends, () => [event('{"error":"overloaded"}')]), { status: 502, type: "upstream_error", says: /^overloaded/ }],
  ["stays silent after its headers", raw(stays, STREAM_HEAD), { status: 504, ...TIMEOUT }],
  ["stays silent after a role", stream(stays, role), { status: 504, ...TIMEOUT }],
  ["sends a chunk that is none", raw(hangsUp, `${STREAM_HEAD}zz\r\n`), UNREACHABLE],
  ...ACCIDENTS.flatMap(([how, ending]) => [
    [`${how} after its headers`, raw(ending, STREAM_HEAD), { status: 502, type: "upstream_error" }],
    [`${how} after a role`, stream(ending, role), { status: 502, type: "upstream_error" }],
    [`${how} after pings`, stream(ending, () => [": hi\n\n", ": hi\n\n"]), { status: 502, type: "upstream_error" }],
    [`${how} in the midst of the first event`, stream(ending, (request) => [answerEvents(request)[1].slice(0, 70)]), { status: 502, type: "upstream_error" }],
  ]),
];

// Failures in the middle: all content that came, one error, one [DONE].
const AMID = [
  ...ACCIDENTS.flatMap(([how, ending]) => [
    [`${how} between two events`, stream(ending, opening), TRUNCATED, "truncated"],
    [`${how} in the midst of an event`, stream(ending, (request) => [...opening(request), whole(request)[4].slice(0, 70)]), TRUNCATED, "truncated"],
    [`${how} when one of two choices is finished`, stream(ending, (request) => [choice(request, 0), choice(request, 1), choice(request, 0, "stop")]), TRUNCATED, "truncated"],
    [`${how} when one of two choices is finished and the other has not begun`, stream(ending, (request) => [choice(request, 0), choice(request, 0, "stop")]), TRUNCATED, "truncated", { n: 2 }],
    [`${how} after an error`, stream(ending, (request) => [...opening(request), event(OVERLOADED_BODY)]), OVERLOADED, "upstream_error"],
    [`${how} after an error under its name`, stream(ending, (request) => [...opening(request), `event: error\n${event(OVERLOADED_BODY)}`]), OVERLOADED, "upstream_error"],
    [`${how} after an error and [DONE]`, stream(ending, (request) => [...opening(request), event(OVERLOADED_BODY), DONE]), OVERLOADED, "upstream_error"],
  ]),
  ["hangs up in the midst of a chunk of HTTP", (wire) => stream(hangsUp, opening)(Object.assign(wire, { hangUp: cutChunk })), TRUNCATED, "truncated"],
  ["sends a chunk that is none", stream((wire) => wire.raw("zz\r\n"), opening), TRUNCATED, "truncated"],
  ["promised more bytes than it sends", promising, TRUNCATED, "truncated"],
  ["promised no length, and hangs up", boundless(opening), TRUNCATED, "truncated"],
  ["falls silent between two events", stream(stays, opening), TIMEOUT, "timed_out"],
  ["falls silent in the midst of an event", stream(stays, (request) => [...opening(request), whole(request)[4].slice(0, 70)]), TIMEOUT, "timed_out"],
];

function cutChunk() {
  this.raw("fff\r\ndata: {");
  Object.getPrototypeOf(this).hangUp.call(this);
}

async function promising(wire) {
  const body = opening(wire.request).join("");
  wire.record.sent.push(Buffer.from(body));
  await raw(hangsUp, `HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\ncontent-length: 100000\r\n\r\n${body}`)(wire);
}

/** A stream that ends with its connection. */
function boundless(pieces) {
  return async (wire) => {
    const body = pieces(wire.request).join("");
    wire.record.sent.push(Buffer.from(body));
    await raw(hangsUp, `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n${body}`)(wire);
  };
}

/** Writes every byte separately. */
async function dribbling(wire) {
  wire.openStream();
  for (const byte of Buffer.from([...opening(wire.request).slice(0, 2), ...whole(wire.request).slice(-2), DONE].join(""))) {
    wire.write(Buffer.of(byte));
    await wire.sleep(0);
  }
  wire.end();
}

const unreasoned = (request) => [...opening(request), DONE];
const twoChoices = (request) => [choice(request, 0), choice(request, 1), choice(request, 1, "length"), choice(request, 0, "stop")];

// Unusual but complete responses: the provider said that it had finished.
const WHOLE = [
  ...ACCIDENTS.flatMap(([how, ending]) => [
    [`finishes without [DONE], and ${how}`, stream(ending, whole), true],
    [`says [DONE], and ${how}`, stream(ending, (request) => [...whole(request), DONE]), false],
    [`says [DONE] without having given a reason to finish, and ${how}`, stream(ending, unreasoned), false],
    [`finishes two choices without [DONE], and ${how}`, stream(ending, twoChoices), true],
  ]),
  ["says [DONE] when one of two choices is finished", stream(ends, (request) => [choice(request, 0), choice(request, 1), choice(request, 0, "stop"), DONE]), false],
  ["dribbles byte by byte", dribbling, false],
  ["promised no length, and hangs up at the end", boundless((request) => [...whole(request), DONE]), false],
  ["names no type", (wire) => raw(hangsUp, `HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n${noted(wire, [...whole(wire.request), DONE].join(""))}`)(wire), false],
];

function noted(wire, body) {
  wire.record.sent.push(Buffer.from(body));
  return body;
}

describe("the truth is told", { concurrency: 6 }, () => {
  // Providers that fall silent are called by a gateway whose clock stands still until they are.
  let stage, timed;
  before(async () => {
    const config = (more) => rows({ native: `relay: native${more}`, checked: `relay: checked${more}` });
    stage = await startStage({ provider: startSocketFake, config: config("") });
    timed = await startStage({ provider: startSocketFake, config: config(", clocks: { idle: 5, connect: 5 }"), entry: "production.mjs" });
    await stopClock(timed.gateway);
  });
  after(() => Promise.all([stage.stop(), timed.stop()]));

  let played = 0;
  const isSilent = ({ code }) => code === TIMEOUT.code;
  const alone = oneAtATime();
  /** The function of a test in which the provider ends like this. */
  const ended = (wanted, play) => (isSilent(wanted) ? alone(play) : play);

  async function ask(way, play, fields, wanted = {}) {
    const model = `played-${++played}`;
    const at = isSilent(wanted) ? timed : stage;
    const silently = async (wire) => {
      await play(wire);
      await runOut(timed.gateway, wire.record.closed, "a silent provider to be let go");
    };
    at.fake.behave(model, isSilent(wanted) ? silently : play);
    const seen = await at.watch(`${way}/${model}`, fields);
    return { ...seen, sent: Buffer.concat(seen.record.sent).toString() };
  }

  for (const way of ["native", "checked"]) {
    const streamed = { stream: true, ...ASKING };

    describe(`of a ${way} stream whose provider`, { concurrency: 6 }, () => {
      for (const [what, play, wanted] of BEFORE) {
        it(`${what}: a plain error`, ended(wanted, async () => {
          const { answer, end } = await ask(way, play, streamed, wanted);
          const error = expectError(answer, wanted);
          assert.deepEqual(
            { event: end.event, outcome: end.outcome, status: end.status, error_code: end.error_code ?? null },
            { event: "request_error", outcome: "refused", status: answer.status, error_code: error.code },
          );
        }));
      }

      for (const [what, play, wanted, outcome, fields] of AMID) {
        it(`${what}: one error at the end`, ended(wanted, async () => {
          const { answer, end, sent } = await ask(way, play, { ...streamed, ...fields }, wanted);
          assert.equal(answer.status, 200, answer.text);
          const complete = blocks(sent).filter((block) => block.endsWith("\n\n") && !block.includes("[DONE]"));
          assert.ok(answer.text.startsWith(complete.join("")), answer.text);
          if (sent.endsWith("\n\n") || way === "checked") expectErrorFrame(answer.text, wanted);
          else assert.equal(JSON.parse(events(answer.text).at(-2).data).error.code, wanted.code);
          assert.deepEqual(
            { event: end.event, outcome: end.outcome, status: end.status, error_code: end.error_code },
            { event: "request_error", outcome, status: 200, error_code: wanted.code },
          );
        }));
      }

      for (const [what, play, lacksDone] of WHOLE) {
        it(`${what}: the whole answer`, async () => {
          const { answer, end, sent } = await ask(way, play, streamed);
          assert.equal(answer.status, 200, answer.text);
          assert.equal(answer.text, lacksDone ? sent + DONE : sent);
          expectOneDone(answer.text);
          assert.ok(chunks(answer.text).every(({ error }) => !error));
          assert.deepEqual({ event: end.event, outcome: end.outcome }, { event: "request_complete", outcome: "complete" });
        });
      }

      it("sends a whole answer: a stream of it", async () => {
        const { answer, end } = await ask(way, raw(hangsUp, document("application/json", COMPLETION)), streamed);
        expectOneDone(answer.text);
        assert.match(answer.headers["content-type"], /^text\/event-stream/);
        const [told, usage, ...more] = chunks(answer.text);
        assert.deepEqual(told.choices, [{ index: 0, delta: { role: "assistant", content: "Hi" }, finish_reason: "stop" }]);
        assert.deepEqual({ choices: usage.choices, usage: usage.usage, more }, { choices: [], usage: { prompt_tokens: 9, completion_tokens: 7 }, more: [] });
        assert.deepEqual(
          { event: end.event, outcome: end.outcome, input_tokens: end.input_tokens, output_tokens: end.output_tokens },
          { event: "request_complete", outcome: "complete", input_tokens: 9, output_tokens: 7 },
        );
      });

      it("says nothing but [DONE]: no answer", async () => {
        const { answer, end } = await ask(way, stream(ends, () => [DONE]), streamed);
        assert.deepEqual(
          { status: answer.status, code: answer.json().error.code, outcome: end.outcome },
          { status: 502, code: INVALID.code, outcome: "refused" },
        );
      });
    });
  }

  describe("of a whole answer whose provider", { concurrency: 6 }, () => {
    const half = COMPLETION.slice(0, 50);
    const cut = [
      ["of a known length", `HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${COMPLETION.length}\r\n\r\n${half}`],
      ["in chunks", `HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n32\r\n${half}\r\n`],
    ];
    for (const [what, play, wanted] of [
      ...BEFORE.filter(([, , { code, status }]) => [UNREACHABLE.code, INVALID.code].includes(code) || status === 504).filter(
        ([what]) => !/whole answer|stream|role|after its|chunk that is none/.test(what),
      ),
      ...cut.flatMap(([how, head]) => [
        [`hangs up in the midst of a body ${how}`, raw(hangsUp, head), UNREACHABLE],
        [`resets in the midst of a body ${how}`, raw(resets, head), UNREACHABLE],
      ]),
      ["hangs up in the midst of a body of no known length", raw(hangsUp, `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n${half}`), INVALID],
      ["sends an error", raw(hangsUp, document("application/json", OVERLOADED_BODY)), { status: 502, ...OVERLOADED }],
      ["sends a choice that is none", raw(hangsUp, document("application/json", '{"id":"1"}')), INVALID],
    ]) {
      it(`${what}: a plain error`, ended(wanted, async () => {
        const { answer, end } = await ask("native", play, {}, wanted);
        expectError(answer, wanted);
        assert.deepEqual({ event: end.event, outcome: end.outcome, status: end.status }, { event: "request_error", outcome: "refused", status: answer.status });
      }));
    }
  });
});
