// Failures of providers: errors with and without text, in heads, in bodies, in streams; connections that
// break; silence.

import { answer, asking, callerOf, CLIENTS, MODELS, STREAM_HEADERS, streamed, whole } from "./common.mjs";

const ROWS = [
  ["hidden", "openai"],
  ["shown", "openai"],
  ["checked", "openai"],
  ["anthropic", "anthropic"],
  ["anthropic-checked", "anthropic"],
  ["gemini", "gemini"],
];

const KEY = "sk-provider-2718281828";
const HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1></body></html>";

/** An error in the envelope of each format. */
const ENVELOPES = {
  openai: (status, message, code) => ({ error: { message, type: "server_error", param: null, code } }),
  anthropic: (status, message, code) => ({ type: "error", error: { type: code, message }, request_id: "req_011CSHoEeqs5C35K2UUqR7Fy" }),
  gemini: (status, message, code) => ({ error: { code: status, message, status: code.toUpperCase() } }),
};

const html = { "content-type": "text/html; charset=utf-8" };

/** Errors of any format as complete responses, whatever the client asked for. */
const REFUSALS = {
  "400-words": (format) => whole(ENVELOPES[format](400, "max_tokens is too large: 99999.", "invalid_request_error"), { status: 400 }),
  "401-words": (format) => whole(ENVELOPES[format](401, `Incorrect API key provided: ${KEY}.`, "invalid_api_key"), { status: 401 }),
  "401-empty": () => ({ status: 401, sized: true }),
  "402-words": (format) => whole(ENVELOPES[format](402, "Insufficient balance.", "insufficient_quota"), { status: 402 }),
  "403-about-the-key": (format) => whole(ENVELOPES[format](403, "Your API key may not use this model.", "permission_error"), { status: 403 }),
  "403-moderation": (format) => whole(ENVELOPES[format](403, "Your input was flagged by moderation.", "content_policy_violation"), { status: 403 }),
  "403-html": () => whole(HTML, { status: 403, headers: html }),
  "404-model": (format) => whole(ENVELOPES[format](404, "The model `x` does not exist.", "model_not_found"), { status: 404 }),
  "404-html": () => whole(HTML, { status: 404, headers: html }),
  "408-empty": () => ({ status: 408, sized: true }),
  "413-words": (format) => whole(ENVELOPES[format](413, "Request exceeds the maximum size.", "request_too_large"), { status: 413 }),
  "422-detail": () => whole({ detail: [{ loc: ["body", "messages"], msg: "field required", type: "value_error.missing" }] }, { status: 422 }),
  "429-retry": (format) => whole(ENVELOPES[format](429, "Rate limit reached.", "rate_limit_exceeded"), { status: 429, headers: { "content-type": "application/json", "retry-after": "7", "x-ratelimit-remaining-requests": "0" } }),
  "429-retry-odd": (format) => whole(ENVELOPES[format](429, "Rate limit reached.", "rate_limit_exceeded"), { status: 429, headers: { "content-type": "application/json", "retry-after": "soon" } }),
  "500-words": (format) => whole(ENVELOPES[format](500, "The server had an error.", "internal_error"), { status: 500 }),
  "500-text": () => whole("upstream connect error", { status: 500, headers: { "content-type": "text/plain" } }),
  "500-cut": () => whole('{"error":{"message":"half', { status: 500 }),
  "502-html": () => whole(HTML, { status: 502, headers: html }),
  "503-overloaded": (format) => whole(ENVELOPES[format](503, "Overloaded.", "overloaded_error"), { status: 503, headers: { "content-type": "application/json", "retry-after": "3" } }),
  "529-overloaded": (format) => whole(ENVELOPES[format](529, "Overloaded.", "overloaded_error"), { status: 529 }),
  "error-as-text": () => whole({ error: "model is loading" }, { status: 503 }),
  "error-array": (format) => whole([ENVELOPES[format](400, "In a list.", "invalid_argument")], { status: 400 }),
  redirect: () => ({ status: 302, headers: { location: "https://example.com/" }, sized: true }),
  "redirect-same": () => ({ status: 307, headers: { location: "/v1/other" }, sized: true }),
  "200-error": (format) => whole(ENVELOPES[format](429, "Slow down.", "rate_limit_exceeded")),
  "200-html": () => whole(HTML, { headers: html }),
  "200-empty": () => ({ headers: { "content-type": "application/json" }, sized: true }),
  "200-other-json": () => whole({ ok: true }),
  "200-list": () => whole([1, 2, 3]),
  "200-null": () => whole("null"),
  "204-empty": () => ({ status: 204 }),
  "200-text": () => whole("Hello", { headers: { "content-type": "text/plain" } }),
  "no-content-type": (format) => ({ ...answer("text", format, false), headers: {} }),
  "wrong-content-type": (format) => ({ ...answer("text", format, false), headers: { "content-type": "text/plain" } }),
  "json-cut": (format) => ({ ...answer("text", format, false), pieces: [cut(answer("text", format, false).pieces[0], 0.6)] }),
  "body-breaks": (format) => ({ ...answer("text", format, false), pieces: [cut(answer("text", format, false).pieces[0], 0.6)], sized: false, end: "hang-up" }),
  "head-only": () => ({ headers: { "content-type": "application/json" }, end: "hang-up" }),
  "no-head": () => ({ head: false, end: "hang-up" }),
  reset: () => ({ head: false, end: "reset" }),
};

const cut = (text, share) => text.slice(0, Math.floor(text.length * share));

/** The events of the usual stream. */
const eventsOf = (format) => answer("text", format, true).pieces;
/** Its beginning, up to the first text; and words of that text. */
const BEGUN = { openai: 2, anthropic: 3, gemini: 1 };
const begun = (format) => eventsOf(format).slice(0, BEGUN[format]);
const WORDS = "It is";
const errorEvent = (format) => {
  const data = JSON.stringify(ENVELOPES[format](503, `Overloaded, key ${KEY}.`, "overloaded_error"));
  return format === "anthropic" ? `event: error\ndata: ${data}\n\n` : `data: ${data}\n\n`;
};

/** Faults of streams. */
const STREAMS = {
  "error-first": (format) => streamed([errorEvent(format)]),
  "error-after-start": (format) => streamed([...eventsOf(format).slice(0, 1), errorEvent(format)]),
  "error-mid-stream": (format) => streamed([...begun(format), errorEvent(format), "data: [DONE]\n\n"]),
  "error-and-more": (format) => streamed([...eventsOf(format).slice(0, -1), errorEvent(format), ...eventsOf(format).slice(-1)]),
  "no-events": () => streamed([]),
  "done-alone": () => streamed(["data: [DONE]\n\n"]),
  "comments-alone": () => streamed([": processing\n\n", ": processing\n\n"]),
  "comments-between": (format) => streamed(eventsOf(format).flatMap((event) => [": processing\n\n", event])),
  "html-for-stream": () => whole(HTML, { headers: html }),
  "not-json": (format) => streamed([...begun(format), "data: {broken\n\n", ...eventsOf(format).slice(BEGUN[format])]),
  "not-json-alone": () => streamed(["data: {broken\n\n", "data: no\n\n"]),
  "null-event": (format) => streamed([...eventsOf(format).slice(0, 1), "data: null\n\n", ...eventsOf(format).slice(1)]),
  "twice-done": (format) => streamed([...eventsOf(format), "data: [DONE]\n\n", "data: [DONE]\n\n"]),
  "goes-on-after-end": (format) => streamed([...eventsOf(format), ...eventsOf(format).slice(0, 2)]),
  "no-end": (format) => streamed(eventsOf(format).slice(0, -1)),
  "no-usage-no-end": (format) => streamed(begun(format)),
  "carriage-returns": (format) => streamed(eventsOf(format).map((event) => event.replaceAll(/\r?\n/g, "\r"))),
  "line-feeds-both": (format) => streamed(eventsOf(format).map((event) => event.replaceAll(/\r?\n/g, "\r\n"))),
  "byte-order-mark": (format) => streamed([`\ufeff${eventsOf(format)[0]}`, ...eventsOf(format).slice(1)]),
  "data-in-lines": () => streamed(['data: {"id":"c","object":"chat.completion.chunk","created":1,\ndata: "model":"m","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n', "data: [DONE]\n\n"]),
  "other-fields": (format) => streamed(eventsOf(format).map((event) => `id: 7\nretry: 100\n${event}`)),
  "no-last-line-feed": (format) => streamed([...eventsOf(format).slice(0, -1), eventsOf(format).at(-1).trimEnd()]),
  "bad-utf8": (format) => streamed([...eventsOf(format).slice(0, -1), Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0x20, 0xff, 0xfe, 0x0a, 0x0a]), eventsOf(format).at(-1)]),
  "stream-as-json-type": (format) => ({ ...streamed(eventsOf(format)), headers: { "content-type": "application/json" } }),
  "stream-without-type": (format) => ({ ...streamed(eventsOf(format)), headers: {} }),
  "hang-up-at-once": () => ({ headers: STREAM_HEADERS, end: "hang-up" }),
  "hang-up-mid-stream": (format) => streamed(begun(format), { end: "hang-up" }),
  "hang-up-mid-event": (format) => streamed([cut(eventsOf(format).join(""), 0.7)], { end: "hang-up" }),
  "end-mid-event": (format) => streamed([cut(eventsOf(format).join(""), 0.7)]),
  // The client has got these bytes before the connection is reset.
  "reset-mid-stream": (format) => streamed([...begun(format), { until: WORDS }], { end: "reset" }),
  "reset-before-content": () => ({ headers: STREAM_HEADERS, end: "reset" }),
};

/** Silence until the only deadline of the row passes. */
const SILENCES = {
  connect: [["no-head", () => ({ head: false, end: "never" })]],
  first_token: [
    ["no-event", () => ({ headers: STREAM_HEADERS, end: "never" })],
    ["comment", () => streamed([": processing\n\n"], { end: "never" })],
  ],
  idle: [["mid-stream", (format) => streamed([begun(format).join("")], { end: "never" })]],
  total: [
    ["no-head", () => ({ head: false, end: "never" })],
    ["mid-stream", (format) => streamed([begun(format).join("")], { end: "never" })],
    ["mid-body", (format) => ({ ...answer("text", format, false), pieces: [cut(answer("text", format, false).pieces[0], 0.5)], sized: false, end: "never" })],
  ],
};

function* silences() {
  for (const format of Object.keys(MODELS)) {
    for (const [clock, plays] of Object.entries(SILENCES)) {
      for (const [play, make] of plays) {
        for (const [client, { stream }] of Object.entries(CLIENTS)) {
          // If a body that is not streamed is silent, there is no first token and no idle time.
          if (!stream && clock !== "connect" && clock !== "total") continue;
          yield { name: `faults/silence-${clock}-${play}/${format}/${client}`, answers: [make(format)], send: asking(client, `${format}-${clock}`, { model: MODELS[format] }) };
        }
      }
    }
  }
}

/**
 * Providers that are silent until the client has got a comment: before the first event, and in the middle.
 */
function* comments() {
  const heard = { until: ": keep-alive" };
  for (const format of Object.keys(MODELS)) {
    for (const client of ["chat-stream", "chat-usage", "messages-stream"]) {
      const rest = eventsOf(format).slice(BEGUN[format]);
      const plays = { first: [": processing\n\n", heard, ...eventsOf(format)], "mid-stream": [begun(format).join(""), heard, ...rest] };
      for (const [play, pieces] of Object.entries(plays)) {
        yield { name: `faults/comment-${play}/${format}/${client}`, answers: [streamed(pieces)], send: asking(client, `${format}-commented`, { model: MODELS[format] }) };
      }
    }
  }
}

/** Clients that leave in the middle of a stream. */
function* leavers() {
  for (const [row, format] of [...ROWS, ["heard", "openai"]]) {
    for (const client of ["chat-stream", "chat-usage", "messages-stream"]) {
      const end = row === "heard" ? { end: "end" } : { end: "never" };
      // The provider goes on only where its response is read to the end.
      const rest = row === "heard" ? [{ until: WORDS }, ...eventsOf(format).slice(BEGUN[format])] : [];
      const answers = [streamed([begun(format).join(""), ...rest], end)];
      yield { name: `faults/client-leaves/${row}/${client}`, answers, send: asking(client, row, { model: MODELS[format], leave: WORDS }) };
    }
  }
}

export function* cases() {
  let number = 0;
  for (const [fault, make] of Object.entries({ ...REFUSALS, ...STREAMS })) {
    for (const [row, format] of ROWS) {
      for (const [client, { stream }] of Object.entries(CLIENTS)) {
        if (fault in STREAMS && !stream) continue;
        if (client === "chat-cost") continue;
        const caller = callerOf(number++);
        yield { name: `faults/${fault}/${row}/${client}`, answers: [make(format)], send: asking(client, row, { model: MODELS[format], caller }) };
      }
    }
  }
  yield* silences();
  yield* comments();
  yield* leavers();
}
