// An HTTP client that hides nothing: exact bytes, exact headers, chunk by chunk, without retries.

import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

// This only delays the failure of an event that never comes, so it is far above what a slow machine needs.
const PATIENCE_MS = 60_000;
const LOOK_MS = 10;

/** `promise`, or a failure that names the awaited event, because a hanging test explains nothing. */
export function soon(promise, what, patience_ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patience_ms} ms in vain for ${what}`)), patience_ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Polls `look` until it returns something. A failure names the awaited event. */
export async function until(look, what, patience_ms = PATIENCE_MS) {
  for (const deadline = performance.now() + patience_ms; ; await sleep(LOOK_MS)) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`waited ${patience_ms} ms in vain for ${what}`);
  }
}

/** The value of `look` once it has been the same for `quiet_ms`. */
export async function settled(look, quiet_ms = 1500) {
  for (let [last, since] = [await look(), performance.now()]; ; await sleep(LOOK_MS)) {
    const found = await look();
    if (found !== last) [last, since] = [found, performance.now()];
    else if (performance.now() - since >= quiet_ms) return found;
  }
}

/** Sends a request and resolves to the response once its headers have come, to be read step by step. */
export const open = (url, options) => soon(begin(url, options).answering, "an answer");

/**
 * Sends a request. The caller may `leave()` before the response (`answering`), as with {@link Answer#leave}.
 */
export function begin(url, { method = "GET", headers = {}, body = null } = {}) {
  // One connection per request, so that tests cannot affect each other's connections.
  const req = httpRequest(url, { method, headers, agent: false });
  const answering = new Promise((resolve, reject) => {
    req.on("response", (res) => resolve(new Answer(req, res)));
    req.on("error", reject);
    req.end(body);
  });
  return { answering, leave: () => req.socket.resetAndDestroy() };
}

/** Sends a request and reads the whole response. */
export async function call(url, options) {
  const answer = await open(url, options);
  const bytes = await answer.rest();
  return {
    status: answer.status,
    headers: answer.headers,
    bytes,
    text: bytes.toString(),
    json: () => JSON.parse(bytes),
  };
}

class Answer {
  #req;
  #parts;

  constructor(req, res) {
    this.#req = req;
    this.#parts = res[Symbol.asyncIterator]();
    this.status = res.statusCode;
    this.headers = res.headers;
  }

  /** The next bytes, or null at the end. Fails if the response breaks off. */
  async next() {
    const { done, value } = await soon(this.#parts.next(), "the next bytes of the answer");
    return done ? null : value;
  }

  /** Reads until `text` has come, and returns everything read. */
  async until(text) {
    let seen = Buffer.alloc(0);
    while (!seen.includes(text)) {
      const part = await this.next();
      if (part === null) throw new Error(`the answer ended without ${JSON.stringify(text)}: ${seen}`);
      seen = Buffer.concat([seen, part]);
    }
    return seen.toString();
  }

  /** Everything that has not been read yet. */
  async rest() {
    const parts = [];
    for (let part = await this.next(); part !== null; part = await this.next()) parts.push(part);
    return Buffer.concat(parts);
  }

  /**
   * Disconnects with a reset. While nothing is being written, workerd takes a mere end of the caller's side
   * for a caller who has sent everything and still listens.
   */
  leave() {
    this.#req.socket.resetAndDestroy();
  }
}

/** The JSON headers of a caller with `key`. */
export const as = (key) => ({ authorization: `Bearer ${key}`, "content-type": "application/json" });

/** A POST to chat completions; `body` is an object, or the exact text or bytes. */
export function chatRequest(key, body, headers = {}) {
  const exact = typeof body === "string" || Buffer.isBuffer(body);
  return { method: "POST", headers: { ...as(key), ...headers }, body: exact ? body : JSON.stringify(body) };
}

export const HELLO = [{ role: "user", content: "Hello" }];

/**
 * Writes `bytes` to a raw connection and returns what comes until the peer closes, `enough` accepts it, or
 * `patience_ms` have passed.
 */
export function raw(port, bytes, { enough, patience_ms = PATIENCE_MS } = {}) {
  return new Promise((resolve) => {
    const parts = [];
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(parts).toString("latin1"));
    };
    const timer = setTimeout(finish, patience_ms);
    socket.on("data", (part) => {
      parts.push(part);
      if (enough?.test(Buffer.concat(parts).toString("latin1"))) finish();
    });
    socket.on("end", finish);
    // A reset after the response is a way to close. Only the bytes before it count.
    socket.on("error", finish);
  });
}

/** The events of a stream by the rules of server-sent events, `{ event, data }`, without comments. */
export function events(stream) {
  const blocks = stream.toString().split(/\r\n\r\n|\n\n|\r\r/);
  return blocks.map(parseEvent).filter(({ data }) => data !== null);
}

function parseEvent(block) {
  const fields = block.split(/\r\n|\n|\r/).map((line) => /^([^:]+)(?:: ?(.*))?$/.exec(line) ?? []);
  const values = (name) => fields.filter(([, field]) => field === name).map(([, , value]) => value ?? "");
  const data = values("data");
  return { event: values("event").at(-1) ?? "message", data: data.length ? data.join("\n") : null };
}
