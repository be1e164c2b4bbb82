// Routes over providers on raw sockets. Each provider speaks and refuses as a real one does, follows a script of
// behaviours, one for each call, and keeps the bytes of each request.

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { as, begin, call, events, HELLO, open, soon, until } from "./client.mjs";
import { startGateway } from "./harness.mjs";
import { KINDS, SPEECH } from "./route-speech.mjs";

export const KEY = "caller-key-3141592653";
const TERMINAL = ["request_complete", "request_error"];

// ---------------------------------------------------------------------------------------------------------------
// A provider

const REASONS = { 200: "OK", 400: "Bad Request", 429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable" };

/** One call of a provider: what the gateway sent, and the means to respond. */
class Exchange {
  #socket;
  #isChunked = false;

  constructor(provider, socket, request) {
    this.provider = provider;
    this.speech = SPEECH[KINDS[provider.kind].format];
    this.request = request;
    this.#socket = socket;
    /** Resolves when the connection is over: to whether the gateway ended it before the response had ended. */
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
  openStream(headers = {}) {
    this.#isChunked = true;
    this.head(200, { "content-type": "text/event-stream", "transfer-encoding": "chunked", ...headers });
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
class RawProvider {
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
  return { raw, method, url, headers, key, body: JSON.parse(body) };
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

// ---------------------------------------------------------------------------------------------------------------
// Behaviours

/** A good answer, whole or streamed as it was asked for. */
export const ok = (options = {}) => (exchange) => {
  const said = { text: `said by ${exchange.provider.name}`, ...options };
  if (!exchange.wantsStream) return exchange.whole(200, exchange.speech.whole(said));
  exchange.openStream();
  exchange.speech.stream(said).forEach((event) => exchange.write(event));
  exchange.end();
};

/** A refusal with this status. */
export const refuse = (status, body = "", headers = {}) => (exchange) => exchange.whole(status, body, headers);

/** A refusal with exactly these bytes after the status line. */
export const refuseRaw = (status, headLines, body) => (exchange) => {
  exchange.raw(`HTTP/1.1 ${status} Refused\r\n${headLines.map((line) => `${line}\r\n`).join("")}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
  exchange.end();
};

/** The connection breaks before a head. */
export const cut = (exchange) => exchange.reset();

/** Nothing comes, ever. */
export const silence = () => {};

/** A head of success comes, and nothing else. */
export const headAndSilence = (exchange) => (exchange.wantsStream ? exchange.openStream() : exchange.head(200, { "content-type": "application/json", "content-length": 1000 }));

/** A head comes, and the beginning of an answer without content; then the connection breaks. */
export const cutBeforeContent = (exchange) => {
  if (exchange.wantsStream) {
    exchange.openStream();
    exchange.write(exchange.speech.opening());
  } else {
    exchange.head(200, { "content-type": "application/json", "content-length": 1000 });
    exchange.raw('{"id":"1","cho');
  }
  setTimeout(() => exchange.reset(), 20);
};

/** Content comes; then the connection breaks. */
export const cutAfterContent = (exchange) => {
  exchange.openStream();
  exchange.speech.stream({ text: "first words" }).slice(0, exchange.speech.contentAt + 1).forEach((event) => exchange.write(event));
  setTimeout(() => exchange.reset(), 20);
};

/** A success whose body is this. */
export const succeed = (body, headers = {}) => (exchange) => exchange.whole(200, body, headers);

/** A stream of exactly these events. */
export const stream = (...texts) => (exchange) => {
  exchange.openStream();
  texts.forEach((text) => exchange.write(text));
  exchange.end();
};

/** A behaviour after so many milliseconds. */
export const later = (ms, behaviour) => (exchange) => void setTimeout(() => behaviour(exchange), ms);

/** One behaviour for whole answers, another for streams. */
export const either = (whole, streamed) => (exchange) => (exchange.wantsStream ? streamed : whole)(exchange);

// ---------------------------------------------------------------------------------------------------------------
// The stage

/** One route with providers of its own, so that what a test does to their health does not touch another test. */
class Scene {
  constructor(stage, number, providers, settings) {
    Object.assign(this, { stage, settings, route: `route-${number}` });
    /** The providers in the order of the route. */
    this.providers = providers;
    for (const provider of providers) this[provider.role] = provider;
  }

  /** How often each provider was called. */
  get calls() {
    return this.providers.map(({ calls }) => calls);
  }

  /** The target's name in full. */
  target = (role) => `${this[role].name}/${this[role].model}`;

  /** A chat along the route, and everything that came of it. */
  chat = (fields, more) => this.stage.ask({ path: "/v1/chat/completions", body: { model: this.route, messages: HELLO, ...fields }, ...more });

  /** The same in the Messages API. */
  message = (fields, more) => this.stage.ask({ path: "/v1/messages", body: { model: this.route, max_tokens: 100, messages: HELLO, ...fields }, ...more });

  /** A chat to be read step by step, and its request id. */
  async open(fields = {}, { path = "/v1/chat/completions", headers = {}, key = KEY } = {}) {
    const id = freshId();
    const body = JSON.stringify({ model: this.route, max_tokens: 100, messages: HELLO, stream: true, ...fields });
    return { id, answer: await open(this.stage.url(path), { method: "POST", headers: { ...as(key), "x-request-id": id, ...headers }, body }) };
  }

  /** A chat whose caller may leave before the answer. */
  begin(fields = {}, { path = "/v1/chat/completions", headers = {}, key = KEY } = {}) {
    const id = freshId();
    const body = JSON.stringify({ model: this.route, messages: HELLO, ...fields });
    return { id, ...begin(this.stage.url(path), { method: "POST", headers: { ...as(key), "x-request-id": id, ...headers }, body }) };
  }

  /** Asserts that a role's answer came, whole or streamed, after the given numbers of calls. */
  expectServed({ answer, said }, role, calls) {
    assert.equal(answer.status, 200, answer.text);
    assert.equal(said, `said by ${this[role].name}`, answer.text);
    assert.deepEqual(this.calls, calls, "calls of the providers");
    assert.equal(answer.headers["x-llm-bridge-model"], this.target(role));
  }
}

let asked = 0;
export const freshId = () => `routed-${process.pid}-${++asked}`;

/** The text that a client reads from a response. */
export function saidIn({ text, headers }) {
  if (!(headers["content-type"] ?? "").startsWith("text/event-stream")) {
    const { choices, content } = JSON.parse(text);
    return choices ? choices[0].message?.content : content?.map((block) => block.text ?? "").join("");
  }
  const pieces = events(text).filter(({ data }) => data !== "[DONE]").map(({ data }) => JSON.parse(data));
  return pieces.map((piece) => piece.choices?.[0]?.delta?.content ?? piece.delta?.text ?? "").join("");
}

/**
 * A stage of routes. Scenes are added while tests are declared; `start()` starts their providers and one gateway
 * for all of them.
 */
export class RouteStage {
  #scenes = [];

  /** `top()` is further YAML of the configuration, `options` are those of the gateway. */
  constructor({ top = () => "", bindings = {}, ...options } = {}) {
    Object.assign(this, { top, bindings, options });
  }

  /**
   * A route over providers. `roles` names each target's provider: its kind, or `{ kind, model, row, models, pool,
   * variables, secrets, when, weight }`: the model called, further keys of the provider's row as YAML, its models as
   * YAML; the keys in its variable, or the entries of `keys` with their secrets, where `$` stands for its variable;
   * conditions of the target. `settings` is the rest of the route, as YAML.
   */
  scene(roles, settings = "") {
    const number = this.#scenes.length + 1;
    const providers = Object.entries(roles).map(([role, given]) => {
      const options = typeof given === "string" ? { kind: given } : given;
      const name = `${role}-${number}`;
      const provider = new RawProvider(name, options.kind);
      return Object.assign(provider, { role, model: KINDS[options.kind].model, key: `sk-${name}-271828`, ...options });
    });
    const scene = new Scene(this, number, providers, settings);
    this.#scenes.push(scene);
    return scene;
  }

  /** The configuration. */
  config() {
    const all = this.#scenes.flatMap(({ providers }) => providers);
    const row = ({ name, kind, row = "", models = '"*"', port, variables }) => {
      const { format, host, path } = KINDS[kind];
      const key = variables ? `keys: [${variables.map((variable) => variable.replace("$", variableOf(name))).join(", ")}]` : `api_key_env: ${variableOf(name)}`;
      return `  ${name}: { adapter: ${format}, catalogue: ${host}, base_url: "http://127.0.0.1:${port}${path}", ${key}, models: ${models}${row && `, ${row}`} }`;
    };
    const target = ({ name, model, weight, when }) => {
      const rules = [weight !== undefined && `weight: ${weight}`, when && `when: ${when}`].filter(Boolean);
      return rules.length ? `{ model: ${name}/${model}, ${rules.join(", ")} }` : `${name}/${model}`;
    };
    const route = ({ route, providers, settings }) => `  ${route}: { targets: [${providers.map(target).join(", ")}]${settings && `, ${settings}`} }`;
    return ["providers:", ...all.map(row), "routes:", ...this.#scenes.map(route), this.top(), ""].join("\n");
  }

  /** The secrets: each provider's keys. */
  secrets() {
    const of = ({ name, key, pool, secrets = {} }) => {
      const named = Object.entries(secrets).map(([variable, value]) => [variable.replace("$", variableOf(name)), value]);
      return [[variableOf(name), pool?.join(",") ?? key], ...named];
    };
    return Object.fromEntries(this.#scenes.flatMap(({ providers }) => providers.flatMap(of)));
  }

  async start() {
    // The hook of a file runs while the file is still declaring its scenes.
    await new Promise(setImmediate);
    this.all = this.#scenes.flatMap(({ providers }) => providers);
    await Promise.all(this.all.map((provider) => provider.listen()));
    await this.startGateway();
  }

  /** Starts a gateway, the first or the next one. */
  async startGateway() {
    const bindings = { ACCESS_API_KEYS: KEY, ...this.secrets(), ...this.bindings };
    this.gateway = await startGateway({ config: this.config(), bindings, ...this.options });
  }

  async stop() {
    await this.gateway?.stop();
    await Promise.all((this.all ?? []).map((provider) => provider.goesDown()));
    if (!this.gateway) return;
    const log = this.gateway.lines.join("\n");
    for (const { name, key, pool = [key], secrets = {} } of this.all) assert.ok(![...pool, ...Object.values(secrets)].some((text) => log.includes(text)), `a key of ${name} in the log`);
  }

  url = (path) => this.gateway.url + path;

  /**
   * Sends a request, and waits for all that results: the response (`answer`), what it says (`said`), the last log
   * line (`end`), and the failed attempts in the log (`failed`).
   */
  async ask({ path, body, headers = {}, key = KEY, id = freshId() }) {
    const answer = await call(this.url(path), { method: "POST", headers: { ...as(key), "x-request-id": id, ...headers }, body: typeof body === "string" ? body : JSON.stringify(body) });
    const story = await this.story(id);
    return { answer, said: answer.status === 200 ? saidIn(answer) : undefined, ...story };
  }

  /** The last log line of a request, and its failed attempts. */
  async story(id) {
    const entries = () => this.gateway.logs().filter((entry) => entry.request_id === id);
    const end = await until(() => entries().find(({ event }) => TERMINAL.includes(event)), `the end of ${id} in the log`);
    const failed = entries().filter(({ event }) => event === "attempt_failed");
    return { end, failed, classes: failed.map((entry) => entry.class) };
  }
}

const variableOf = (name) => `${name.toUpperCase().replaceAll("-", "_")}_API_KEY`;
