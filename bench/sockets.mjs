// Callers over WebSockets: only the part of the protocol that a benchmark needs, so that a frame costs the
// caller no more than an event.

import { randomBytes } from "node:crypto";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { micros } from "./wire.mjs";

const PATIENCE_MS = 30_000;
const TEXT = 0x81;

/** One connection, with the session protocol. */
class Socket {
  /** Microseconds from the provider's sending of a word to its arrival, for each word. */
  delays = [];
  ended = 0;
  #socket;
  #rest = Buffer.alloc(0);
  #head = true;
  #watch;

  static async open({ port, headers }) {
    const socket = new Socket(net.connect({ port, host: "127.0.0.1", noDelay: true }), headers);
    await socket.when(() => socket.greeted);
    return socket;
  }

  constructor(socket, headers) {
    this.#socket = socket;
    const own = { host: "bench", connection: "upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-protocol": "llm-bridge.v1" };
    const all = { ...own, "sec-websocket-key": randomBytes(16).toString("base64"), ...headers };
    socket.write(`GET /v1/ws HTTP/1.1\r\n${Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`);
    socket.on("data", (bytes) => this.#take(bytes));
    socket.on("error", () => {});
    socket.on("close", () => this.#watch?.());
  }

  /** Waits until `isSo`. */
  when(isSo) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`a WebSocket had ${this.delays.length} words and ${this.ended} ends`)), PATIENCE_MS);
      this.#watch = () => {
        if (!isSo() && !this.fault && !this.#socket.destroyed) return;
        clearTimeout(timer);
        isSo() ? resolve() : reject(new Error(this.fault ?? "a WebSocket broke"));
      };
      this.#watch();
    });
  }

  send(message) {
    const text = Buffer.from(JSON.stringify(message));
    if (text.length > 65_535) throw new Error("too long for a benchmark");
    const size = text.length < 126 ? [0x80 | text.length] : [0x80 | 126, text.length >> 8, text.length & 255];
    // A mask of zeros changes nothing.
    this.#socket.write(Buffer.concat([Buffer.from([TEXT, ...size, 0, 0, 0, 0]), text]));
  }

  close() {
    this.#socket.destroy();
  }

  #take(bytes) {
    const now = micros();
    let rest = Buffer.concat([this.#rest, bytes]);
    if (this.#head) {
      const end = rest.indexOf("\r\n\r\n");
      if (end < 0) return void (this.#rest = rest);
      if (rest.latin1Slice(9, 12) !== "101") this.fault = rest.latin1Slice(0, 300);
      this.#head = false;
      rest = rest.subarray(end + 4);
    }
    for (;;) {
      const short = rest.length < 2 ? 0 : rest[1];
      const start = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (rest.length < start) break;
      const size = short === 126 ? rest.readUInt16BE(2) : short === 127 ? Number(rest.readBigUInt64BE(2)) : short;
      if (rest.length < start + size) break;
      this.#read(rest.latin1Slice(start, start + size), now);
      rest = rest.subarray(start + size);
    }
    this.#rest = rest;
    this.#watch?.();
  }

  #read(text, now) {
    for (const [, sent] of text.matchAll(/~(\d+)~/g)) this.delays.push(now - Number(sent));
    if (text.startsWith('{"type":"session"')) this.greeted = true;
    if (text.includes('"type":"done"')) this.ended += 1;
    if (text.includes('"error":')) this.fault = text.slice(0, 300);
  }
}

/**
 * `number` streams over `connections`, one begun each `spacing` milliseconds, read to their ends: the delay
 * of each word.
 */
export async function chatAll({ port, headers, body, number, connections, spacing, words }) {
  const sockets = await openIdle({ port, headers, number: connections });
  try {
    for (let id = 0; id < number; id += 1) {
      sockets[id % connections].send({ type: "chat", id, payload: body });
      await sleep(spacing);
    }
    await Promise.all(sockets.map((socket) => socket.when(() => socket.ended === number / connections)));
    const delays = sockets.flatMap(({ delays }) => delays);
    if (delays.length !== number * words) throw new Error(`there were ${delays.length} of ${number * words} words`);
    return delays;
  } finally {
    for (const socket of sockets) socket.close();
  }
}

/** Idle connections, opened in small groups. */
export async function openIdle({ port, headers, number, together = 25 }) {
  const sockets = [];
  while (sockets.length < number) {
    const group = Math.min(together, number - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: group }, () => Socket.open({ port, headers })))));
  }
  return sockets;
}
