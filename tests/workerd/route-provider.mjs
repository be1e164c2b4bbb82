// A provider on a raw socket. It follows a script of behaviours (route-behaviours.mjs), one for each call,
// and keeps the bytes of each request.

import { createServer } from "node:net";
import { soon } from "./client.mjs";
import { ok } from "./route-behaviours.mjs";
import { KINDS, SPEECH } from "./route-speech.mjs";

const REASONS = { 200: "OK", 400: "Bad Request", 429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable" };

/** One call of a provider: what the gateway sent, and the means to respond. */
class Exchange {
  #socket;
  #isChunked = false;

  constructor(provider, socket, request) {
    this.provider = provider;
    // One address may serve two APIs.
    this.speech = SPEECH[request.url.endsWith("/responses") ? "responses" : KINDS[provider.kind].format];
    this.request = request;
    this.#socket = socket;
    /**
     * Resolves when the connection is over: to whether the gateway ended it before the response had ended.
     */
    this.closed = new Promise((resolve) => socket.on("close", () => resolve(!this.isOver)));
    this.isOver = false;
  }

  get wantsStream() {
    return this.speech.isStream(this.request);
  }

  /** Bytes on the connection, whatever they are. */
  raw(bytes) {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  head(status, headers = {}) {
    const lines = Object.entries({ connection: "close", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.raw(`HTTP/1.1 ${status} ${REASONS[status] ?? "Whatever"}\r\n${lines.join("")}\r\n`);
  }

  /** A whole response. */
  whole(status, body, headers = {}) {
    const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
    this.head(status, { "content-type": "application/json", "content-length": bytes.length, ...headers });
    this.raw(bytes);
    this.end();
  }

  /** The head of a stream. */
  openStream(headers = {}, status = 200) {
    this.#isChunked = true;
    this.head(status, { "content-type": "text/event-stream", "transfer-encoding": "chunked", ...headers });
  }

  /** A piece of a stream. */
  write(text) {
    const bytes = Buffer.from(text);
    this.raw(Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]));
  }

  /** The end of a response. */
  end() {
    this.isOver = true;
    if (this.#isChunked) this.raw("0\r\n\r\n");
    this.#socket.end();
  }

  /** Breaks the connection. */
  reset() {
    this.isOver = true;
    this.#socket.resetAndDestroy();
  }
}

/** A provider on a raw socket. `kind`: which real one it is like. */
export class RawProvider {
  /** The requests, as they came. */
  requests = [];
  #script = [];
  #sockets = new Set();
  #server = createServer((socket) => this.#serve(socket));

  constructor(name, kind) {
    this.name = name;
    this.kind = kind;
  }

  get calls() {
    return this.requests.length;
  }

  get last() {
    return this.requests.at(-1);
  }

  /** The keys with which it was called, one for each call. */
  get keys() {
    return this.requests.map(({ key }) => key);
  }

  /** What the next calls meet; the last one holds for all later ones. */
  plays(...behaviours) {
    this.#script = behaviours;
    return this;
  }

  /** The next call is handed to the test: a promise of its exchange. */
  holds() {
    let take;
    const held = new Promise((resolve) => (take = resolve));
    this.plays(take);
    return soon(held, `a call of ${this.name}`);
  }

  async #serve(socket) {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket)).on("error", () => {});
    const request = await readRequest(socket);
    if (!request) return;
    // It lists no models, and no test counts that as a call.
    if (request.method === "GET") return void socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    this.requests.push(request);
    const behaviour = this.#script.length > 1 ? this.#script.shift() : this.#script[0];
    await (behaviour ?? ok())(new Exchange(this, socket, request));
  }

  async listen(port = 0) {
    await new Promise((resolve, reject) => this.#server.once("error", reject).listen(port, "127.0.0.1", resolve));
    this.port = this.#server.address().port;
  }

  /** Takes no connections any longer. */
  async goesDown() {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#sockets.forEach((socket) => socket.destroy());
    await closed;
  }

  /** Takes connections again, at the same address. */
  comesBack() {
    this.#server = createServer((socket) => this.#serve(socket));
    return this.listen(this.port);
  }
}

/** Reads a request from a connection, with the bytes as they came. */
async function readRequest(socket) {
  let raw = Buffer.alloc(0);
  return new Promise((resolve) => {
    const look = (piece) => {
      raw = Buffer.concat([raw, piece]);
      const request = parseRequest(raw);
      if (!request) return;
      socket.off("data", look).resume();
      resolve(request);
    };
    socket.on("data", look).on("close", () => resolve(null));
  });
}

/** The request in these bytes, or null if more is to come. */
function parseRequest(raw) {
  const at = raw.indexOf("\r\n\r\n");
  if (at < 0) return null;
  const [start, ...lines] = raw.subarray(0, at).toString().split("\r\n");
  const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]));
  let body = raw.subarray(at + 4);
  if (headers["transfer-encoding"] === "chunked") {
    if (!body.toString("latin1").endsWith("0\r\n\r\n")) return null;
    body = unchunked(body);
  } else if (body.length < Number(headers["content-length"] ?? 0)) return null;
  const [method, url] = start.split(" ");
  const key = headers.authorization?.replace("Bearer ", "") ?? headers["x-api-key"] ?? headers["x-goog-api-key"];
  return { raw, method, url, headers, key, body: method === "GET" ? null : JSON.parse(body) };
}

function unchunked(bytes) {
  const parts = [];
  for (let rest = bytes; ; ) {
    const at = rest.indexOf("\r\n");
    const length = Number.parseInt(rest.subarray(0, at).toString(), 16);
    if (!length) return Buffer.concat(parts);
    parts.push(rest.subarray(at + 2, at + 2 + length));
    rest = rest.subarray(at + 4 + length);
  }
}
