// Spans and log records as OTLP/HTTP: what a back end gets, and that one that does not take it disturbs
// nothing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { as, call, HELLO, until } from "./client.mjs";
import { attributesOf, breakOff, respond, startSink } from "./otlp-sink.mjs";
import { event, json, KEY, startScripted, stream } from "./scripted.mjs";
import { closeAll, openSession } from "./socket.mjs";
import { DEAD_PORT } from "./stage.mjs";

const HEADERS = "authorization=Basic%20c2luay1zZWNyZXQtMzE0,x-tenant=seven";
const SCRAPER = "scraper-key-5772156649";
const CALLER = { trace: "4bf92f3577b34da6a3ce929d0e0e4736", span: "00f067aa0ba902b7" };
const SERVER = 2;
const CLIENT = 3;
const ERROR = 2;
const SECRET_ANSWER = "the answer that no span may have";

const whole = { id: "c", object: "chat.completion", created: 1, model: "served-model", choices: [{ index: 0, message: { role: "assistant", content: SECRET_ANSWER }, finish_reason: "stop" }], usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 } };
const piece = (delta, more = {}) => event({ id: "c", object: "chat.completion.chunk", created: 1, model: "served-model", choices: [{ index: 0, delta, finish_reason: null }], ...more });
const streamed = stream(
  piece({ role: "assistant", content: SECRET_ANSWER }),
  event({ id: "c", object: "chat.completion.chunk", created: 1, model: "served-model", choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }),
  event({ id: "c", object: "chat.completion.chunk", created: 1, model: "served-model", choices: [], usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 } }),
  event("[DONE]"),
);

/** The provider: `broken` fails, streams stream, everything else is whole. */
const provider = (record, res) => {
  if (record.body.model === "broken") return json(500, { error: { message: "broken" } })(record, res);
  return (record.body.stream ? streamed : json(200, whole))(record, res);
};

const top = (url, more = "", sections = "") => `${sections}
telemetry:
  otlp: { endpoint: "${url}", headers_env: SINK_HEADERS, logs: true, format: json, ${more} }
routes:
  two: { targets: [hidden/broken, shown/sound] }
`;

/** A gateway with a back end of its own, which is told how to respond. */
async function start(more, { url, sections, ...options } = {}) {
  const sink = await startSink();
  const stage = await startScripted({ top: top(url ?? sink.url, more, sections), bindings: { SINK_HEADERS: HEADERS, METRICS_API_KEYS: SCRAPER }, entry: "production.mjs", ...options });
  stage.answer(provider);
  const stop = async () => {
    const { gateway } = stage;
    await stage.stop();
    await sink.stop();
    const log = gateway.lines.join("\n");
    for (const secret of ["c2luay1zZWNyZXQtMzE0", "sink-secret-314"]) assert.ok(!log.includes(secret), `${secret} in the log`);
    assert.ok(!log.includes("panicked"), log);
  };
  /** A chat of this id. */
  const chat = (id, model = "hidden/sound", fields = {}, headers = {}) => stage.chat(model, fields, { "x-request-id": id, ...headers });
  const drops = () => stage.gateway.logs().filter(({ event }) => event === "export_dropped");
  return { ...stage, sink, stop, chat, drops };
}

let usual;
let closed;
before(async () => {
  usual = await start("send_trace_context: true, service_name: my-gateway");
  closed = await start("");
  // A batch whose response took ten seconds would be sent again, which a slow machine must not cause so soon.
  await closed.gateway.control({ speed: 0.5 });
});
after(async () => {
  closeAll();
  await usual?.stop();
  await closed?.stop();
});

/** The span of the caller. */
const traceparent = (flags = "01", trace = CALLER.trace) => `00-${trace}-${CALLER.span}-${flags}`;

test("a streamed request is a server span with a client span below it", async () => {
  const answer = await usual.chat("streamed-1", "hidden/sound", { stream: true });
  assert.equal(answer.status, 200);
  const { server, attempts } = await usual.sink.traceOf("streamed-1");
  const attributes = attributesOf(server);
  assert.equal(server.kind, SERVER);
  assert.equal(server.name, "POST /v1/chat/completions");
  assert.equal(server.parentSpanId, undefined);
  assert.equal(attributes["http.response.status_code"], 200);
  assert.equal(attributes["http.route"], "/v1/chat/completions");
  assert.equal(attributes["url.path"], "/v1/chat/completions");
  assert.equal(attributes["url.scheme"], "http");
  assert.equal(attributes["llm_bridge.outcome"], "complete");
  assert.equal(attempts.length, 1);
  const [attempt] = attempts;
  const called = attributesOf(attempt);
  assert.equal(attempt.kind, CLIENT);
  assert.equal(attempt.name, "chat sound");
  assert.equal(called["gen_ai.operation.name"], "chat");
  assert.equal(called["gen_ai.request.model"], "sound");
  assert.equal(called["gen_ai.request.stream"], true);
  assert.equal(called["gen_ai.response.model"], "served-model");
  assert.equal(called["gen_ai.usage.input_tokens"], 5);
  assert.equal(called["gen_ai.usage.output_tokens"], 3);
  assert.equal(typeof called["gen_ai.response.time_to_first_chunk"], "number");
  assert.equal(called["server.address"], "127.0.0.1");
  assert.equal(called["server.port"], Number(usual.host.split(":")[1]));
  assert.ok(BigInt(server.startTimeUnixNano) <= BigInt(attempt.startTimeUnixNano));
  assert.ok(BigInt(attempt.endTimeUnixNano) <= BigInt(server.endTimeUnixNano));
});

test("the resource is the isolate, and the headers are those of the secret", async () => {
  await usual.chat("resource-1");
  await usual.sink.traceOf("resource-1");
  const [{ resourceSpans }] = usual.sink.bodies("traces");
  const { "service.name": name, "service.version": version, "service.instance.id": instance } = attributesOf(resourceSpans[0].resource);
  assert.equal(name, "my-gateway");
  assert.match(version, /^\d+\.\d+\.\d+$/);
  assert.match(instance, /^[0-9a-f]{32}$/);
  assert.match(resourceSpans[0].scopeSpans[0].schemaUrl, /^https:\/\/opentelemetry\.io\/schemas\/gen-ai/);
  const { headers } = usual.sink.requests[0];
  assert.equal(headers.authorization, "Basic c2luay1zZWNyZXQtMzE0");
  assert.equal(headers["x-tenant"], "seven");
  assert.equal(headers["content-type"], "application/json");
});

test("each attempt of a route has a span", async () => {
  const answer = await usual.chat("route-1", "two");
  assert.equal(answer.status, 200);
  const { server, attempts } = await usual.sink.traceOf("route-1");
  const [failed, served] = attempts.map(attributesOf);
  assert.equal(attempts.length, 2);
  assert.equal(server.status?.code, undefined, "the request did not fail");
  assert.equal(attributesOf(server)["llm_bridge.route"], "two");
  assert.equal(failed["gen_ai.request.model"], "broken");
  assert.equal(attempts[0].status.code, ERROR);
  assert.equal(failed["error.type"], attempts[0].status.message);
  assert.equal(failed["gen_ai.usage.input_tokens"], undefined);
  assert.equal(served["gen_ai.request.model"], "sound");
  assert.equal(served["llm_bridge.attempt"], 2);
  assert.equal(served["gen_ai.usage.input_tokens"], 5);
  assert.notEqual(attempts[0].spanId, attempts[1].spanId);
  const given = usual.seen.slice(-2).map(({ headers }) => headers.traceparent);
  assert.deepEqual(given, attempts.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`), "each provider is given the span of its own call");
});

test("a refusal has a span and log records of the same trace", async () => {
  const answer = await usual.chat("refused-1", "hidden/sound", { messages: 5 });
  assert.equal(answer.status, 400);
  const { server, attempts } = await usual.sink.traceOf("refused-1");
  assert.deepEqual(attempts, []);
  assert.equal(attributesOf(server)["http.response.status_code"], 400);
  assert.equal(server.status?.code, undefined, "the caller's fault is none of the gateway's");
  const record = await until(() => usual.sink.records().find(({ body }) => body.stringValue.includes("refused-1")), "its log record");
  assert.equal(record.traceId, server.traceId);
  assert.equal(record.spanId, server.spanId);
  assert.equal(record.severityNumber, 13);
  assert.equal(record.severityText, "warning");
  assert.equal(record.eventName, "request_error");
  assert.equal(JSON.parse(record.body.stringValue).request_id, "refused-1");
});

test("a caller without a valid key has no span", async () => {
  const answer = await usual.chat("stranger-1", "hidden/sound", {}, { authorization: "Bearer nobody", traceparent: traceparent() });
  assert.equal(answer.status, 401);
  await usual.chat("stranger-2");
  await usual.sink.traceOf("stranger-2");
  assert.ok(!usual.sink.spans().some((span) => attributesOf(span)["llm_bridge.request_id"] === "stranger-1"));
});

test("a caller's trace is continued, and its provider is given the attempt's span only", async () => {
  const headers = { traceparent: traceparent(), tracestate: "rojo=1, congo=t61" };
  await usual.chat("caller-1", "hidden/sound", {}, headers);
  const { server, attempts } = await usual.sink.traceOf("caller-1");
  assert.equal(server.traceId, CALLER.trace);
  assert.equal(server.parentSpanId, CALLER.span);
  assert.equal(server.traceState, "rojo=1,congo=t61");
  const { headers: given } = usual.seen.at(-1);
  assert.equal(given.traceparent, `00-${CALLER.trace}-${attempts[0].spanId}-01`);
  assert.equal(given.tracestate, undefined);
});

test("a malformed traceparent begins a new trace", async () => {
  for (const [index, header] of ["", "nonsense", traceparent().toUpperCase(), traceparent("01", "0".repeat(32)), `${traceparent()}-more`].entries()) {
    await usual.chat(`malformed-${index}`, "hidden/sound", {}, { traceparent: header, tracestate: "a=b" });
    const { server } = await usual.sink.traceOf(`malformed-${index}`);
    assert.notEqual(server.traceId, CALLER.trace, header);
    assert.equal(server.parentSpanId, undefined, header);
    assert.equal(server.traceState, undefined, header);
  }
});

test("a caller that does not record its trace is obeyed", async () => {
  await usual.chat("unsampled-1", "hidden/sound", {}, { traceparent: traceparent("00") });
  assert.match(usual.seen.at(-1).headers.traceparent, new RegExp(`^00-${CALLER.trace}-[0-9a-f]{16}-00$`));
  await usual.chat("unsampled-2");
  await usual.sink.traceOf("unsampled-2");
  assert.ok(!usual.sink.spans().some((span) => attributesOf(span)["llm_bridge.request_id"] === "unsampled-1"));
});

test("no provider gets a trace header unless the configuration says so", async () => {
  await closed.chat("closed-1", "hidden/sound", {}, { traceparent: traceparent(), tracestate: "a=b" });
  const { headers } = closed.seen.at(-1);
  assert.equal(headers.traceparent, undefined);
  assert.equal(headers.tracestate, undefined);
  assert.equal((await closed.sink.traceOf("closed-1")).server.traceId, CALLER.trace);
});

test("a request of a WebSocket session has a span", async () => {
  const session = await openSession(usual.gateway.url, { key: KEY });
  const isOfSession = () => usual.sink.spans().some((span) => span.kind === CLIENT && attributesOf(span)["gen_ai.request.model"] === "socketed");
  session.chat({ model: "hidden/socketed" }, { id: "one" });
  await until(isOfSession, "the span of the session's request");
});

test("nothing of a conversation is exported", async () => {
  for (const { bytes } of [...usual.sink.requests, ...closed.sink.requests]) {
    assert.ok(!bytes.includes(SECRET_ANSWER) && !bytes.includes(HELLO[0].content), bytes.toString());
  }
});

/** Never responds. */
const never = () => {};

/** Whether the log record of a request's end has been sent. */
const isEndSent = (sink, id) => sink.records().some(({ eventName, body }) => /^request_(complete|error)$/.test(eventName) && body.stringValue.includes(id));

/** Makes a request and waits for all of its export, which begins only when what was sent before is over. */
async function exportAnother(stage, id) {
  assert.equal((await stage.chat(id)).status, 200);
  await until(() => stage.sink.sent(id, "traces").length && isEndSent(stage.sink, id), `the export of ${id}`);
}

/** Lets a minute pass, after which drops are logged again. What is being sent then is sent again. */
async function aMinutePasses(stage, id) {
  await stage.gateway.control({ advance: 61_000 });
  await exportAnother(stage, id);
}

/** Whether no batch with this word was sent twice. */
const wasSentOnce = (sink, word) => {
  const bodies = sink.sent(word).map(({ bytes }) => bytes.toString("base64"));
  return bodies.length > 0 && new Set(bodies).size === bodies.length;
};

test("a refusal of the back end drops the batch, and nothing else", async (t) => {
  const stage = closed;
  for (const status of [301, 302, 307, 400, 401, 404, 413, 500]) {
    await t.test(String(status), async () => {
      const id = `refuse-${status}`;
      const logged = stage.drops().length;
      stage.sink.refuseOnce(id, respond(status, { location: `${stage.sink.url}/elsewhere` }));
      await exportAnother(stage, id);
      await exportAnother(stage, `next-${status}`);
      await aMinutePasses(stage, `minute-${status}`);
      const isTold = ({ reason, status: seen, drops }) => reason === "refused" && seen === status && drops > 0;
      await until(() => stage.drops().slice(logged).some(isTold), "the drops in the log");
      assert.ok(wasSentOnce(stage.sink, id));
    });
  }
  assert.equal(stage.sink.requests.filter(({ path }) => path.includes("elsewhere")).length, 0, "no redirect is followed");
});

test("a response that breaks off counts by its status", async () => {
  for (const status of [200, 400]) {
    const id = `broken-${status}`;
    closed.sink.refuseOnce(id, breakOff(status));
    await exportAnother(closed, id);
    await exportAnother(closed, `after-${status}`);
    await aMinutePasses(closed, `later-${status}`);
    assert.ok(wasSentOnce(closed.sink, id), `${status}`);
  }
});

test("a partial success is not sent again, and what was rejected is told", async () => {
  const { sink } = closed;
  const logged = closed.drops().length;
  const partial = JSON.stringify({ partialSuccess: { rejectedSpans: "1", errorMessage: "too old, said Basic c2luay1zZWNyZXQtMzE0" } });
  sink.choose = ({ path, bytes }) => (path.endsWith("traces") && bytes.includes("partial-1") ? respond(200, { "content-type": "application/json" }, partial) : undefined);
  await exportAnother(closed, "partial-1");
  await exportAnother(closed, "next-partial");
  await aMinutePasses(closed, "minute-partial");
  const drop = await until(() => closed.drops().slice(logged).find(({ reason }) => reason === "rejected"), "the drop in the log");
  assert.deepEqual({ signal: drop.signal, drops: drop.drops }, { signal: "traces", drops: 1 });
  assert.match(drop.error, /^too old, said \[redacted\] \[redacted\]$/);
  assert.ok(wasSentOnce(sink, "partial-1"));
});

test("metrics count what the log tells", async () => {
  const isCounted = async () => {
    // The counters go with the next report of a request.
    await closed.chat("counted");
    const { text } = await call(`${closed.gateway.url}/metrics`, { headers: as(SCRAPER) });
    const told = (signal, reason) => closed.drops().filter((drop) => drop.signal === signal && drop.reason === reason).reduce((sum, { drops }) => sum + drops, 0);
    const counted = (signal, reason) => Number(text.match(new RegExp(`^llm_bridge_export_drops_total\\{signal="${signal}",reason="${reason}"\\} (\\d+)`, "m"))?.[1]);
    return [["traces", "refused"], ["logs", "refused"], ["traces", "rejected"]].every(([signal, reason]) => told(signal, reason) > 0 && counted(signal, reason) === told(signal, reason));
  };
  await until(isCounted, "the counters");
});

test("a back end that is busy gets the batch again", async (t) => {
  const { sink } = closed;
  for (const status of [429, 502, 503, 504]) {
    await t.test(String(status), async () => {
      const id = `busy-${status}`;
      sink.refuseOnce(id, respond(status, { "retry-after": "1" }));
      assert.equal((await closed.chat(id)).status, 200);
      for (const signal of ["traces", "logs"]) {
        const isSentTwice = ({ bytes }) => sink.sent(id, signal).filter((other) => other.bytes.equals(bytes)).length >= 2;
        await until(() => sink.sent(id, signal).some(isSentTwice), `${signal}, the same bytes again`);
      }
    });
  }
});

test("a back end that is down or never responds disturbs nobody, and what is lost is counted", async () => {
  const down = await start("", { url: `http://127.0.0.1:${DEAD_PORT}/otlp` });
  const slow = await start("");
  try {
    slow.sink.choose = () => never;
    for (const stage of [down, slow]) {
      for (let round = 0; round < 8; round++) {
        const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => stage.chat(`lost-${round}-${index}`, "hidden/sound", { stream: index % 2 === 0 })));
        assert.ok(answers.every(({ status }) => status === 200));
        await stage.gateway.control({ advance: 12_000 });
      }
      const dropped = async () => {
        // Each look lets a request of a client take over what waits, and time pass.
        await stage.chat("looking");
        await stage.gateway.control({ advance: 20_000 });
        return stage.drops().find(({ reason }) => reason === "gave_up");
      };
      await until(dropped, "drops in the log");
    }
  } finally {
    await down.stop();
    await slow.stop();
  }
});

test("a back end that never responds cannot make the gateway hold more than its bound", async () => {
  const stage = await start("", { sections: "logging: { fields: { messages: true } }" });
  try {
    stage.sink.choose = () => never;
    const messages = [{ role: "user", content: "x".repeat(100_000) }];
    for (let index = 0; index < 40; index++) assert.equal((await stage.chat(`long-${index}`, "hidden/sound", { messages })).status, 200);
    const full = async () => {
      await stage.chat("looking");
      await stage.gateway.control({ advance: 20_000 });
      return stage.drops().find(({ signal, reason }) => signal === "logs" && reason === "full");
    };
    const { drops } = await until(full, "a full queue in the log");
    assert.ok(drops > 10, `${drops} records of 100 KB over 2 MiB`);
    assert.ok(stage.sink.requests.every(({ bytes }) => bytes.length < 700_000), "batches are bounded");
  } finally {
    await stage.stop();
  }
});

test("a batch whose request was cut off is sent by the next one", async () => {
  const { gateway, sink } = closed;
  await gateway.control({ cut: 0 });
  sink.refuseOnce("cut-1", never);
  closed.answer((_, res) => res.writeHead(200, { "content-type": "text/event-stream" }).write(piece({ role: "assistant", content: "a" })));
  const answer = await closed.open("/v1/chat/completions", { model: "hidden/held", stream: true, messages: HELLO }, { "x-request-id": "cut-1" });
  const sent = () => sink.sent("cut-1", "logs").filter(({ bytes }) => bytes.includes("request_start"));
  await until(() => sent().length >= 1, "the first try");
  answer.leave();
  closed.answer(provider);
  const again = async () => {
    await closed.chat("cut-2");
    await gateway.control({ advance: 14_000 });
    return sent().length >= 2 && sent()[0].bytes.equals(sent()[1].bytes);
  };
  await until(again, "the second try");
  await gateway.control({ cut: null });
});

test("headers that cannot be read are noted without their text, and none is sent", async () => {
  const stage = await start("", { bindings: { SINK_HEADERS: "ok=1,sink-secret-314" } });
  try {
    await stage.chat("unreadable-1");
    await stage.sink.traceOf("unreadable-1");
    const note = await until(() => stage.gateway.logs().find(({ event, error }) => event === "config_note" && error.includes("SINK_HEADERS")), "the note in the log");
    assert.match(note.error, /member 2 is no header/);
    assert.equal(stage.sink.requests[0].headers.ok, undefined);
  } finally {
    await stage.stop();
  }
});

test("a gateway that exports nothing adds no header and sends nothing", async () => {
  const stage = await startScripted({});
  stage.answer(provider);
  try {
    const answer = await stage.chat("hidden/sound", {}, { traceparent: traceparent(), tracestate: "a=b" });
    assert.equal(answer.status, 200);
    assert.equal(stage.seen.at(-1).headers.traceparent, undefined);
  } finally {
    await stage.stop();
  }
});
