// A fake provider of OpenAI's format: chats, legacy completions and embeddings. It is strict about requests,
// and responds as the test says.
//
// The model's name selects the behaviour (behaviours.mjs). Every request is recorded as it came, and every
// byte of the response as it left. By hand: node tests/workerd/fake-openai.mjs --port 9090

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { BEHAVIOURS, errorBody } from "./behaviours.mjs";

// The paths under which real providers serve chat completions. Any other is a mistake of the caller.
const CHAT_PATHS = new Set(["/v1/chat/completions", "/chat/completions", "/v1beta/openai/chat/completions"]);
const KEYLESS_CHAT_PATH = "/keyless/v1/chat/completions";

/**
 * Starts a fake provider on loopback; `port` 0 takes any free one. All its pauses are multiplied by `pace`.
 */
export async function startFake({ port = 0, pace = 1 } = {}) {
  const behaviours = new Map(Object.entries(BEHAVIOURS));
  const requests = [];
  const server = createServer((req, res) => serve(req, res, { behaviours, requests, pace }));
  // Invalid HTTP gets a closed connection and never stops the fake.
  server.on("clientError", (_, socket) => socket.destroy());
  // A pooled connection that the fake closes by age would look like a fault of the gateway.
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    origin,
    base: `${origin}/v1`,
    port: server.address().port,
    requests,
    /** The newest request. */
    last: () => requests.at(-1),
    /** The newest request for `model`. */
    of: (model) => requests.findLast(({ request }) => request?.model === model),
    /** The number of open connections. */
    connections: () => new Promise((resolve, reject) => server.getConnections((fault, count) => (fault ? reject(fault) : resolve(count)))),
    /** Responds to requests for `model` with `behaviour(exchange)` from now on. */
    behave: (model, behaviour) => behaviours.set(model, behaviour),
    /** The behaviour of `model`. */
    behaviour: (model) => behaviours.get(model),
    /** Gives the next exchange for `model` to the caller, who then writes the response step by step. */
    hold: (model) => new Promise((resolve) => behaviours.set(model, (exchange) => resolve(exchange))),
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serve(req, res, { behaviours, requests, pace }) {
  const path = req.url.split("?")[0];
  if (path === "/_requests") return recorder(req, res, requests);
  const record = { method: req.method, path: req.url, headers: req.headers, rawHeaders: req.rawHeaders, body: Buffer.alloc(0) };
  const exchange = new Exchange(record, res, pace);
  requests.push(record);
  try {
    record.body = await readAll(req);
  } catch {
    return;
  }
  if (path === "/v1/models" && req.method === "GET") return exchange.json(200, modelList(behaviours));
  const refusal = refuse(record, path);
  if (refusal) return exchange.json(refusal.status, errorBody(refusal));
  exchange.request = record.request = JSON.parse(record.body);
  const behaviour = behaviours.get(exchange.request.model);
  if (!behaviour) {
    const message = `The model \`${exchange.request.model}\` does not exist or you do not have access to it.`;
    return exchange.json(404, errorBody({ message, code: "model_not_found" }));
  }
  await behaviour(exchange);
}

/** One request and its response. */
class Exchange {
  #res;
  #socket;
  #finished = false;
  #pace;

  constructor(record, res, pace) {
    this.record = record;
    this.#res = res;
    this.#socket = res.socket;
    this.#pace = pace;
    record.sent = [];
    record.closedEarly = false;
    /**
     * Resolves when this exchange is over for the connection: to true if the client left before the end of
     * the response.
     */
    record.closed = new Promise((resolve) => {
      res.on("close", () => {
        record.closedEarly = !this.#finished;
        resolve(record.closedEarly);
      });
    });
    // Writing to a client that has left must not fail.
    res.on("error", () => {});
    this.#socket.setNoDelay(true);
  }

  /** Whether the client has left, or the response has ended. */
  get over() {
    return this.#res.destroyed || this.#res.writableEnded;
  }

  /** The number of bytes of the response that nobody has read yet. */
  get backlog() {
    return this.#socket.writableLength;
  }

  /** Sends a complete response. */
  json(status, text, headers = {}) {
    this.whole(status, text, { "content-type": "application/json", ...headers });
  }

  whole(status, body, headers = {}) {
    const bytes = Buffer.from(body);
    this.open(status, { "content-length": bytes.length, ...headers });
    this.write(bytes);
    this.end();
  }

  /** Sends the headers and nothing else. */
  open(status, headers) {
    // The id is the provider's own. A gateway that forwards it has confused two requests.
    this.#res.writeHead(status, { "x-request-id": "req_of_the_provider", ...headers });
    this.#res.flushHeaders();
  }

  openStream(headers = {}) {
    this.open(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", ...headers });
  }

  write(bytes) {
    this.record.sent.push(Buffer.from(bytes));
    this.#res.write(bytes);
  }

  end() {
    this.#finished = true;
    this.#res.end();
  }

  /** Closes the connection in good TCP order before the HTTP body is complete. */
  hangUp() {
    this.#finished = true;
    this.#socket.end();
  }

  /** Breaks the connection: the peer sees a reset. */
  reset() {
    this.#finished = true;
    this.#socket.resetAndDestroy();
  }

  /** Writes raw bytes to the connection, not through HTTP, and closes it. */
  raw(bytes) {
    this.#finished = true;
    this.#socket.end(bytes);
  }

  sleep(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms * this.#pace));
  }
}

const absent = (value) => value === undefined || value === null;
const isCount = (value) => absent(value) || (Number.isInteger(value) && value >= 1);
const isTokens = (value) => Array.isArray(value) && value.length > 0 && value.every((token) => Number.isInteger(token) && token >= 0);
const isTexts = (value) => Array.isArray(value) && value.length > 0 && value.length <= 2048 && value.every((text) => (typeof text === "string" && text !== "") || isTokens(text));
const isQuestion = (value) => (typeof value === "string" && value !== "") || isTokens(value) || isTexts(value);
const isAny = () => true;

// The fields of other endpoints that OpenAI accepts. A field that is not listed is refused, as OpenAI does
// there.
const OTHER_FIELDS = {
  "/v1/embeddings": [
    ["model", (value) => typeof value === "string" && value !== ""],
    ["input", isQuestion],
    ["encoding_format", (value) => absent(value) || value === "float" || value === "base64"],
    ["dimensions", isCount],
    ["user", (value) => absent(value) || typeof value === "string"],
  ],
  "/v1/completions": [
    ["model", (value) => typeof value === "string" && value !== ""],
    ["prompt", (value) => absent(value) || isQuestion(value)],
    ["stream", (value) => absent(value) || typeof value === "boolean"],
    ["stream_options", (value, { stream }) => absent(value) || (stream === true && typeof value === "object")],
    ["max_tokens", (value) => absent(value) || (Number.isInteger(value) && value >= 0)],
    ["n", isCount],
    ["best_of", (value, { n, stream }) => absent(value) || (Number.isInteger(value) && value >= (n ?? 1) && !(stream && value > 1))],
    ["logprobs", (value) => absent(value) || (Number.isInteger(value) && value >= 0 && value <= 5)],
    ["temperature", (value) => absent(value) || (typeof value === "number" && value >= 0 && value <= 2)],
    ...["echo", "frequency_penalty", "logit_bias", "presence_penalty", "seed", "stop", "suffix", "top_p", "user"].map((field) => [field, isAny]),
  ],
};

/** Why a strict provider would refuse this request, or null. */
function refuse({ method, headers, body }, path) {
  const keyless = path === KEYLESS_CHAT_PATH;
  const others = OTHER_FIELDS[path];
  if (!keyless && !CHAT_PATHS.has(path) && !others) return { status: 404, message: `Invalid URL (${method} ${path})` };
  if (method !== "POST") return { status: 405, message: `Not allowed to ${method} on ${path}`, code: "method_not_supported" };
  if (keyless && headers.authorization) return { status: 401, message: "This host takes no key", code: "invalid_api_key" };
  if (!keyless && !/^Bearer [^\s,]+$/.test(headers.authorization ?? "")) {
    return { status: 401, message: "You didn't provide an API key.", code: "invalid_api_key" };
  }
  if (!/^application\/json(; *charset=utf-8)?$/i.test(headers["content-type"] ?? "")) {
    return { status: 415, message: `Unsupported content type: '${headers["content-type"]}'`, code: "unsupported_content_type" };
  }
  const request = parse(body);
  if (!request) return { status: 400, message: "We could not parse the JSON body of your request." };
  const stray = others && Object.keys(request).find((field) => !others.some(([known]) => known === field));
  if (stray) return { status: 400, message: `Unrecognized request argument supplied: ${stray}` };
  const fault = (others ?? FIELDS).find(([field, isGood]) => !isGood(request[field], request));
  return fault ? { status: 400, message: `Invalid value for '${fault[0]}'.`, param: fault[0] } : null;
}

const isMessage = (message) => typeof message?.role === "string";

// The fields that OpenAI accepts. Fields that are not listed pass, because compatible providers have their
// own.
const FIELDS = [
  ["model", (value) => typeof value === "string" && value !== ""],
  ["messages", (value) => Array.isArray(value) && value.length > 0 && value.every(isMessage)],
  ["stream", (value) => absent(value) || typeof value === "boolean"],
  ["stream_options", (value, { stream }) => absent(value) || (stream === true && typeof value === "object")],
  ["max_tokens", isCount],
  ["max_completion_tokens", isCount],
  ["n", isCount],
  ["temperature", (value) => absent(value) || (typeof value === "number" && value >= 0 && value <= 2)],
  ["tools", (value) => absent(value) || (Array.isArray(value) && value.every((tool) => tool?.type === "function" && tool.function?.name))],
  ["logprobs", (value) => absent(value) || typeof value === "boolean"],
];

/** The JSON object in `body`, or null for invalid UTF-8 and other kinds of value. */
function parse(body) {
  try {
    const value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
    return value && typeof value === "object" && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function modelList(behaviours) {
  const data = [...behaviours.keys()].map((id) => ({ id, object: "model", created: 1763856000, owned_by: "fake" }));
  return JSON.stringify({ object: "list", data });
}

/** Lets another process read (GET) and delete (DELETE) the recorded requests. */
function recorder(req, res, requests) {
  if (req.method === "DELETE") requests.length = 0;
  const rows = requests.map(({ method, path, headers, body, sent, closedEarly }) => ({
    method,
    path,
    headers,
    body: body.toString("base64"),
    sent: Buffer.concat(sent).toString("base64"),
    closed_early: closedEarly,
  }));
  res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(rows));
}

async function readAll(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const at = process.argv.indexOf("--port");
  const fake = await startFake({ port: at < 0 ? 0 : Number(process.argv[at + 1]) });
  console.log(`base_url: ${fake.base}\nmodels: ${Object.keys(BEHAVIOURS).join(" ")}`);
}
