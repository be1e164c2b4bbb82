// The behaviours of the fake provider: a table from a model's name to the bytes that it sends, correct or
// not.
//
// Each behaviour gets an exchange (fake-openai.mjs) whose `request` is the parsed body. The names say what
// happens, so that tests explain themselves.

import { gzipSync } from "node:zlib";

const ID = "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG";
const CREATED = 1763856000;
const FINGERPRINT = "fp_44709d6fcb";
const WORDS = ["Hello", " there", ",", " caller", " – 你好", " 😀", "."];
const REASONING = ["The caller", " greets;", " greet back."];
const TOOL_ARGUMENTS = ['{"ci', 'ty":"Par', 'is","unit":"°C"}'];

export const USAGE = {
  prompt_tokens: 9,
  completion_tokens: 7,
  total_tokens: 16,
  prompt_tokens_details: { cached_tokens: 4, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 3, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 },
};

export const ANSWER = WORDS.join("");

/** The usage of a text that is not a chat. */
export const TEXT_USAGE = { prompt_tokens: 9, completion_tokens: 7, total_tokens: 16 };

export const VECTOR_USAGE = { prompt_tokens: 8, total_tokens: 8 };

/** The usage of a legacy completion, which may have no prompt. */
const isText = (request) => request.messages === undefined && request.input === undefined;

/** The embedding of the input at `index`. Its numbers are exact as 32-bit floats. */
export const vector = (index, dimensions = 4) => Array.from({ length: dimensions }, (_, at) => index + 0.5 - at * 0.125);

function vectors({ model, input, encoding_format, dimensions }) {
  const texts = typeof input === "string" || typeof input[0] === "number" ? [input] : input;
  const packed = (numbers) => Buffer.from(new Float32Array(numbers).buffer).toString("base64");
  const form = (numbers) => (encoding_format === "base64" ? packed(numbers) : numbers);
  const data = texts.map((_, index) => ({ object: "embedding", index, embedding: form(vector(index, dimensions)) }));
  return JSON.stringify({ object: "list", data, model: `${model}-served`, usage: VECTOR_USAGE }, null, 2);
}

const textAnswer = (request, choices, extra = {}) => ({
  id: "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7",
  object: "text_completion",
  created: CREATED,
  model: `${request.model}-2026-11-01`,
  choices,
  ...extra,
});

const textChoice = (text, finish_reason = null) => ({ text, index: 0, logprobs: null, finish_reason });

export const DONE = "data: [DONE]\n\n";

/** OpenAI's error envelope. */
export function errorBody({ message, type = "invalid_request_error", param = null, code = null }) {
  return JSON.stringify({ error: { message, type, param, code } }, null, 4);
}

/** One event of a stream around `json`. */
export const event = (json) => `data: ${json}\n\n`;

/** One chunk of a streamed response, as JSON. */
export function chunk(request, delta, { finish = null, logprobs = null, ...rest } = {}) {
  if (isText(request)) {
    const usage = request.stream_options?.include_usage ? { usage: null } : {};
    const { usage: told, ...more } = rest;
    return JSON.stringify(textAnswer(request, [textChoice(delta.content ?? "", finish)], { ...usage, ...more, ...(told ? { usage: TEXT_USAGE } : {}) }));
  }
  return JSON.stringify({
    id: ID,
    object: "chat.completion.chunk",
    created: CREATED,
    model: `${request.model}-2026-11-01`,
    service_tier: "default",
    system_fingerprint: FINGERPRINT,
    choices: [{ index: 0, delta, logprobs, finish_reason: finish }],
    // OpenAI sends `usage: null` in every chunk but the last, and only if usage was requested.
    ...(request.stream_options?.include_usage ? { usage: null } : {}),
    obfuscation: "aB3dE6gH",
    ...rest,
  });
}

const logprobOf = (token) => ({ token, logprob: -0.25, bytes: [...Buffer.from(token)], top_logprobs: [] });

const logprobsOf = (request, tokens) => (request.logprobs ? { content: tokens.map(logprobOf), refusal: null } : null);

function textChunks(request) {
  return WORDS.map((word) => chunk(request, { content: word }, { logprobs: logprobsOf(request, [word]) }));
}

const reasoningChunks = (request) => REASONING.map((part) => chunk(request, { reasoning_content: part }));

function toolChunks(request) {
  const { name } = request.tools[0].function;
  const call = { index: 0, id: "call_DdmO9pD3xa9XTPNJ32zg2hcA", type: "function", function: { name, arguments: "" } };
  const fragments = TOOL_ARGUMENTS.map((part) => ({ index: 0, function: { arguments: part } }));
  return [call, ...fragments].map((tool_call) => chunk(request, { tool_calls: [tool_call] }));
}

function usageChunk(request) {
  return chunk(request, {}, { choices: [], usage: USAGE });
}

/** The events of a complete streamed response, without its `[DONE]`. */
export function answerEvents(request, middle = request.tools ? toolChunks(request) : textChunks(request)) {
  return [
    ...(isText(request) ? [] : [chunk(request, { role: "assistant", content: request.tools ? null : "", refusal: null })]),
    ...middle,
    chunk(request, {}, { finish: request.tools ? "tool_calls" : "stop" }),
    ...(request.stream_options?.include_usage ? [usageChunk(request)] : []),
  ].map(event);
}

function message(request, extra) {
  if (!request.tools) return { role: "assistant", content: ANSWER, refusal: null, annotations: [], ...extra };
  const { name } = request.tools[0].function;
  const call = { id: "call_DdmO9pD3xa9XTPNJ32zg2hcA", type: "function", function: { name, arguments: TOOL_ARGUMENTS.join("") } };
  return { role: "assistant", content: null, tool_calls: [call], refusal: null, annotations: [], ...extra };
}

/** A complete response that is not streamed, indented over several lines as OpenAI's. */
function completion(request, extra = {}) {
  if (request.input !== undefined) return vectors(request);
  if (isText(request)) return JSON.stringify(textAnswer(request, [textChoice(ANSWER, "stop")], { usage: TEXT_USAGE }), null, 2);
  return JSON.stringify(
    {
      id: ID,
      object: "chat.completion",
      created: CREATED,
      model: `${request.model}-2026-11-01`,
      choices: [
        {
          index: 0,
          message: message(request, extra),
          logprobs: logprobsOf(request, WORDS),
          finish_reason: request.tools ? "tool_calls" : "stop",
        },
      ],
      usage: USAGE,
      service_tier: "default",
      system_fingerprint: FINGERPRINT,
    },
    null,
    2,
  );
}

// JSON that no serializer would write but every parser must accept: odd numbers, escapes, spaces, and unknown
// fields.
export const ODD_COMPLETION =
  '\r\n{ "id" : "chatcmpl-\\u00e9\\/1",\t"object":"chat.completion","created":1.763856e9,"model":"odd","x_float":1.0,"x_exp":1E+2,' +
  '"x_neg":-0,"x_big":123456789012345678901234567890,"x_tiny":1e-400,"x_surrogate":"\\ud83d\\ude00 \\ud800","x_raw":"é 你好 😀 \u2028",' +
  '"choices":[{"finish_reason":"stop","index":0,"message":{"role":"assistant","content":"caf\\u00e9\\n","x_deep":{"a":[[[]]],"a2":{}}}}],' +
  '"usage":{"prompt_tokens":9.0,"completion_tokens":7,"total_tokens":16,"x_cost":0.000120},"citations":["https:\\/\\/example.org\\/"] }\n\n';

const ODD_EVENTS = [
  'data: { "id":"1", "object":"chat.completion.chunk","created":1.763856e9,"model":"odd","choices":[{"index":0,"delta":{"content":"caf\\u00e9"}}],"x":1.0}\n\n',
  'event: message\nid: 7\nretry: 3000\ndata: {"id":"1","object":"chat.completion.chunk","created":1763856000,"model":"odd","choices":[{"index":0,"delta":{"content":"\\ud83d\\ude00"}}],"x":1E+2}\n\n',
  'data: {"id":"1","object":"chat.completion.chunk","created":1763856000,"model":"odd",\ndata: "choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x":-0}\n\n\n',
];

const STREAMED_ERROR = {
  message: "The model is overloaded. Please try again later.",
  type: "server_error",
  param: null,
  code: "overloaded",
};

// The pause that makes the kernel deliver two writes as two reads.
const GAP_MS = 4;

// Some seconds of slow writing: longer than any test allows, but finite, so that a gateway that never stops
// it fails a test instead of hanging it.
const TRICKLED = 40;

async function send(exchange, pieces, gap = GAP_MS) {
  for (const piece of pieces) {
    if (exchange.over) return;
    exchange.write(piece);
    await exchange.sleep(gap);
  }
}

/**
 * A behaviour that streams `pieces(request)` if a stream was requested, and otherwise responds with
 * `whole(request)`.
 */
function answer(pieces, whole = completion, gap = GAP_MS) {
  return async (exchange) => {
    const { request } = exchange;
    if (!request.stream) return exchange.json(200, whole(request));
    exchange.openStream();
    await send(exchange, pieces(request), gap);
    exchange.end();
  };
}

/**
 * A behaviour that starts normally and calls `then(exchange)` in the middle of the response, streamed or not.
 */
function broken(then, partial = (request) => answerEvents(request).slice(0, 4)) {
  return async (exchange) => {
    const { request } = exchange;
    if (request.stream) {
      exchange.openStream();
      await send(exchange, partial(request));
    } else {
      const body = Buffer.from(completion(request));
      exchange.open(200, { "content-type": "application/json", "content-length": body.length });
      exchange.write(body.subarray(0, body.length / 2));
    }
    // The bytes written so far must arrive before the failure.
    await exchange.sleep(30);
    return then(exchange);
  };
}

const refusal = (status, error, headers) => (exchange) => exchange.json(status, errorBody(error), headers);

const html = (status, text) => (exchange) =>
  exchange.whole(status, `<!DOCTYPE html>\n<html><head><title>${text}</title></head><body><h1>${text}</h1></body></html>\n`, {
    "content-type": "text/html; charset=utf-8",
  });

/** `text`, cut inside each of its multi-byte characters. */
function splitInsideCharacters(text) {
  const bytes = Buffer.from(text);
  const isContinuation = (byte) => (byte & 0xc0) === 0x80;
  const cuts = [0, ...bytes.keys().filter((at) => isContinuation(bytes[at])), bytes.length];
  return cuts.slice(1).map((cut, i) => bytes.subarray(cuts[i], cut));
}

const oneByteEach = (text) => [...Buffer.from(text)].map((byte) => Buffer.of(byte));

const crlf = (text) => text.replaceAll("\n", "\r\n");

const whole = (request) => [...answerEvents(request), DONE];

const ANSWERS = {
  ok: answer(whole),
  reasoner: answer(
    (request) => [...answerEvents(request, [...reasoningChunks(request), ...textChunks(request)]), DONE],
    (request) => completion(request, { reasoning_content: REASONING.join("") }),
  ),
  odd: answer(() => [...ODD_EVENTS, DONE], () => ODD_COMPLETION),
  "big-event": answer(
    (request) => [...answerEvents(request, [chunk(request, { content: "x".repeat(1 << 20) })]), DONE],
    (request) => completion(request, { content: "x".repeat(1 << 20) }),
  ),
  gzip: (exchange) => {
    const offered = /\bgzip\b/.test(exchange.record.headers["accept-encoding"] ?? "");
    const body = completion(exchange.request);
    exchange.json(200, offered ? gzipSync(body) : body, offered ? { "content-encoding": "gzip" } : {});
  },
};

const FRAMINGS = {
  crlf: answer((request) => whole(request).map(crlf)),
  comments: answer((request) => [": OPENROUTER PROCESSING\n\n", ...whole(request).flatMap((piece) => [piece, ": keep-alive\n\n"])]),
  "no-space-data": answer((request) => whole(request).map((piece) => piece.replace("data: ", "data:"))),
  "utf8-split": answer((request) => splitInsideCharacters(whole(request).join(""))),
  "one-byte": answer((request) => oneByteEach(whole(request).slice(-3).join("")), completion, 0),
  "one-write": answer((request) => [whole(request).join("")]),
  "no-done": answer(answerEvents),
  "no-done-no-newline": answer((request) => [answerEvents(request).join("").trimEnd()]),
  "no-final-newline": answer((request) => [...answerEvents(request), DONE.trimEnd()]),
};

const PACES = {
  "slow-stream": async (exchange) => {
    if (!exchange.request.stream) {
      await exchange.sleep(700);
      return exchange.json(200, completion(exchange.request));
    }
    exchange.openStream();
    await send(exchange, whole(exchange.request), 100);
    exchange.end();
  },
  // Never silent for long, and longer than any deadline: only the total deadline or the caller can end it.
  trickle: async (exchange) => {
    exchange.openStream();
    await send(exchange, Array(TRICKLED).fill(event(chunk(exchange.request, { content: "drip" }))), 150);
    exchange.end();
  },
  silent: () => {},
  "silent-stream": (exchange) => exchange.openStream(),
  "stall-mid-stream": broken(() => {}),
};

const ACCIDENTS = {
  "reset-before-headers": (exchange) => exchange.reset(),
  "hang-up-before-headers": (exchange) => exchange.hangUp(),
  "not-http": (exchange) => exchange.raw("SSH-2.0-OpenSSH_9.9\r\n"),
  "cut-mid-stream": broken((exchange) => exchange.hangUp()),
  "reset-mid-stream": broken((exchange) => exchange.reset()),
  "ends-early": broken((exchange) => (exchange.request.stream ? exchange.end() : exchange.hangUp())),
  "cut-mid-event": broken(
    (exchange) => (exchange.request.stream ? exchange.end() : exchange.hangUp()),
    (request) => [...answerEvents(request).slice(0, 2), answerEvents(request)[2].slice(0, 60)],
  ),
  "empty-stream": async (exchange) => {
    exchange.openStream();
    exchange.end();
  },
};

const REFUSALS = {
  "err-400-context": refusal(400, {
    message: "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
    param: "messages",
    code: "context_length_exceeded",
  }),
  // Some providers repeat the key that they got. The gateway must not forward it.
  "err-401": (exchange) =>
    exchange.json(401, errorBody({ message: `Incorrect API key provided: ${exchange.record.headers.authorization}.`, code: "invalid_api_key" })),
  "err-403": refusal(403, { message: "Country, region, or territory not supported", type: "request_forbidden", code: "unsupported_country_region_territory" }),
  "err-404": refusal(404, { message: "The model `err-404` does not exist", code: "model_not_found" }),
  "err-422-detail": (exchange) => exchange.json(422, '{"detail":[{"loc":["body","messages"],"msg":"field required","type":"value_error.missing"}]}'),
  "err-429": refusal(
    429,
    { message: "Rate limit reached on tokens per min (TPM). Please try again in 7s.", type: "tokens", code: "rate_limit_exceeded" },
    { "retry-after": "7", "x-ratelimit-remaining-tokens": "0" },
  ),
  "err-429-string": (exchange) => exchange.json(429, '{"error":"too many requests, slow down"}'),
  "err-500": refusal(500, { message: "The server had an error while processing your request. Sorry about that!", type: "server_error" }),
  "err-502-empty": (exchange) => exchange.whole(502, ""),
  "err-503-html": html(503, "Service Temporarily Unavailable"),
};

const LIES = {
  "html-200": html(200, "Sign in to the company network"),
  "garbage-200": (exchange) => exchange.json(200, "{garbage"),
  "empty-200": (exchange) => exchange.json(200, ""),
  "error-in-200": refusal(200, { message: "Insufficient credits on this account.", type: "billing_error", param: "model", code: "insufficient_credits" }),
  redirect: (exchange) => exchange.whole(302, "", { location: "/elsewhere" }),
  "error-mid-stream": async (exchange) => {
    const { request } = exchange;
    exchange.openStream();
    await send(exchange, [...answerEvents(request).slice(0, 3), event(JSON.stringify({ error: STREAMED_ERROR }))]);
    exchange.end();
  },
  // Like Groq: a named event, and no [DONE].
  "error-event": async (exchange) => {
    const { request } = exchange;
    exchange.openStream();
    await send(exchange, [...answerEvents(request).slice(0, 3), `event: error\ndata: ${JSON.stringify({ error: STREAMED_ERROR })}\n\n`]);
    exchange.end();
  },
};

// Provider responses without usage.
const SILENCES = {
  "no-usage": (exchange) => {
    const { usage: _, ...answer } = JSON.parse(completion(exchange.request));
    exchange.json(200, JSON.stringify(answer));
  },
};

export const BEHAVIOURS = { ...ANSWERS, ...FRAMINGS, ...PACES, ...ACCIDENTS, ...REFUSALS, ...LIES, ...SILENCES };
