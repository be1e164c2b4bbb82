// The callers: keep-alive connections that send requests as fast as responses come, at a fixed rate, or as
// streams, all with a time limit.

import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { MessageReader, micros } from "./wire.mjs";

/** Longer than any slot of a round: a load always ends. */
const MOST_REQUESTS = 200_000;
const PATIENCE_MS = 30_000;

function connect(port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

/** A request, ready to be sent. */
export function encode({ path = "/v1/chat/completions", headers = {}, body }) {
  const json = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
  const all = { host: "bench", accept: "*/*", "content-type": "application/json", "content-length": json.length, ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n`), json]);
}

const status = (head) => Number(head.slice(9, 12));

/** One keep-alive connection. */
class Connection {
  #socket;
  #pending;

  static async open(port) {
    return new Connection(await connect(port));
  }

  constructor(socket) {
    this.#socket = socket;
    let head = "";
    let size = 0;
    let excerpt = "";
    const reader = new MessageReader({
      head: (text) => ([head, size, excerpt] = [text, 0, ""]),
      data: (bytes) => {
        if (size === 0) excerpt = bytes;
        size += bytes.length;
      },
      end: () => this.#settle("resolve", { status: status(head), size, excerpt }),
    });
    const broken = () => this.#settle("reject", new Error("the connection broke"));
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on("data", (bytes) => reader.push(bytes));
    socket.on("error", () => {});
    socket.on("close", broken);
  }

  get isOpen() {
    return !this.#socket.destroyed;
  }

  exchange(request) {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      if (this.#socket.destroyed) this.#settle("reject", new Error("the connection was closed"));
      else this.#socket.write(request);
    });
  }

  /** An exchange that must succeed. */
  async ask(request) {
    const { status, size, excerpt } = await this.exchange(request);
    if (status !== 200 || size < 100) throw new Error(`answered ${status}: ${String(excerpt).slice(0, 200)}`);
  }

  close() {
    this.#socket.destroy();
  }

  #settle(how, value) {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.[how](value);
  }
}

/** One request on a connection of its own, which must succeed. */
export async function askOnce({ port, request }) {
  const connection = await Connection.open(port);
  await connection.ask(request).finally(() => connection.close());
}

/**
 * Each connection sends its next request when the last response has come, until the time is over or `most`
 * have been sent. Returns the number of responses.
 */
export async function hammer({ port, request, connections = 8, seconds, most = MOST_REQUESTS }) {
  const end = performance.now() + seconds * 1000;
  let answers = 0;
  let sent = 0;
  const work = async () => {
    const connection = await Connection.open(port);
    try {
      while (performance.now() < end && sent < most) {
        sent += 1;
        await connection.ask(request);
        answers += 1;
      }
    } finally {
      connection.close();
    }
  };
  await all(Array.from({ length: connections }, work));
  return answers;
}

/** Sends at a fixed rate, independently of the responses. Returns the time of each in milliseconds. */
export async function trickle({ port, request, rate, seconds }) {
  let idle = [];
  const connections = new Set();
  const times = [];
  const one = async () => {
    // The last ones of a busy moment are idle for long, and are closed then.
    idle = idle.filter(({ isOpen }) => isOpen);
    const connection = idle.pop() ?? (await Connection.open(port));
    connections.add(connection);
    const sent = micros();
    await connection.ask(request);
    times.push((micros() - sent) / 1000);
    idle.push(connection);
  };
  const start = performance.now();
  const asked = [];
  try {
    for (let due = 0; due < seconds * 1000; due += 1000 / rate) {
      await sleep(Math.max(0, start + due - performance.now()));
      asked.push(one());
      // A failure ends the figure when all have been sent.
      asked.at(-1).catch(() => {});
    }
    await all(asked);
  } finally {
    for (const connection of connections) connection.close();
  }
  return times;
}

/** One streamed response; its words carry the time at which the fake provider sent them. */
export class Stream {
  /** Microseconds from the request to the first byte of the response's body. */
  firstByte;
  /** Microseconds from the provider's sending of a word to its arrival, for each word. */
  delays = [];
  /** How often something arrived that held at least one word. */
  arrivals = 0;
  /** Resolve at the first byte, and at the end of the response. */
  opened;
  ended;
  /** So many words are read. Some formats repeat all of them at the end. */
  most = Infinity;
  #socket;
  #sent;
  #rest = "";
  #head = "";

  static async connect(port) {
    return new Stream(await connect(port));
  }

  constructor(socket) {
    this.#socket = socket;
    let open, end, now;
    const reader = new MessageReader({
      head: (text) => (this.#head = text),
      data: (bytes) => {
        if (this.firstByte === undefined) {
          this.firstByte = now - this.#sent;
          open();
        }
        this.#read(bytes, now);
      },
      end: () => end(),
    });
    socket.on("data", (bytes) => {
      now = micros();
      const words = this.delays.length;
      reader.push(bytes);
      if (this.delays.length > words) this.arrivals += 1;
    });
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.on("error", () => {});
    const closed = (reject) => socket.once("close", () => reject(new Error(`the stream broke ${this.#where}`)));
    this.opened = new Promise((resolve, reject) => ((open = resolve), closed(reject)));
    this.ended = new Promise((resolve, reject) => ((end = resolve), closed(reject)));
    // A caller that does not await one of them need not handle its failure.
    this.opened.catch(() => {});
    this.ended.catch(() => {});
  }

  send(request) {
    this.#sent = micros();
    this.#socket.write(request);
  }

  close() {
    this.#socket.destroy();
  }

  /** Closes the connection so that the other side learns at once that it is gone. */
  reset() {
    this.#socket.resetAndDestroy();
  }

  /** Throws if the response is incomplete. */
  check({ words, usage, end = "[DONE]" }) {
    if (status(this.#head) !== 200) throw new Error(`answered ${status(this.#head)}: ${this.#rest.slice(0, 200)}`);
    if (words !== undefined && this.delays.length !== words) throw new Error(`the stream had ${this.delays.length} of ${words} words`);
    if (!this.#rest.includes(end)) throw new Error(`the stream ended without ${end}, ${this.#where}`);
    if (usage && !this.usage) throw new Error("the stream did not tell its usage");
  }

  /** Whether the caller saw the usage. */
  get usage() {
    return /"(completion|output)_tokens": ?\d/.test(this.#rest);
  }

  get #where() {
    return `after ${this.delays.length} words (${this.#head.split("\r\n", 1)[0] || "no answer"})`;
  }

  #read(bytes, now) {
    const text = this.#rest + bytes.latin1Slice();
    let from = 0;
    while (this.delays.length < this.most) {
      const start = text.indexOf("~", from);
      const end = start < 0 ? -1 : text.indexOf("~", start + 1);
      if (end < 0) break;
      this.delays.push(now - Number(text.slice(start + 1, end)));
      from = end + 1;
    }
    // Enough for half a word, and at the end for finish, usage and [DONE].
    this.#rest = text.slice(Math.max(from, text.length - 2000));
  }
}

/** Waits for all, even if one has failed, so that nothing continues into the next slot. */
async function all(promises) {
  const failed = (await Promise.allSettled(promises)).find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
}

/** `number` streams, opened one each `spacing` milliseconds, read to their ends. */
export async function streamAll({ port, request, number, spacing, expected }) {
  const streams = await Promise.all(Array.from({ length: number }, () => Stream.connect(port)));
  try {
    for (const stream of streams) {
      if (expected.repeats) stream.most = expected.words;
      stream.send(request);
      await sleep(spacing);
    }
    await all(streams.map(({ ended }) => ended));
    for (const stream of streams) stream.check(expected);
  } finally {
    for (const stream of streams) stream.close();
  }
  return streams;
}

/** `number` open streams, opened in small groups. */
export async function openMany({ port, request, number, together = 25 }) {
  const streams = [];
  while (streams.length < number) {
    const group = await Promise.all(Array.from({ length: Math.min(together, number - streams.length) }, () => Stream.connect(port)));
    streams.push(...group);
    for (const stream of group) stream.send(request);
    await all(group.map(({ opened }) => opened));
  }
  return streams;
}
