// A fake provider on a raw socket: the test's bytes are sent as they are, HTTP or not. It reads one request
// per connection.
//
// For the stage it is like the other fake (fake-openai.mjs), except that it has no behaviours before a test
// gives it one.

import { createServer } from "node:net";

const HEADERS_END = "\r\n\r\n";

/**
 * The head of a streamed response with a chunked body. Every response closes its connection, because one that
 * was kept for the next request would be closed under it.
 */
export const STREAM_HEAD = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/** Starts a fake provider on a raw socket on loopback. */
export async function startSocketFake() {
  const plays = new Map();
  const requests = [];
  const sockets = new Set();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    // A reset by the peer is expected.
    socket.on("error", () => {});
    serve(socket, { plays, requests });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  return {
    origin: `http://127.0.0.1:${port}`,
    base: `http://127.0.0.1:${port}/v1`,
    port,
    requests,
    last: () => requests.at(-1),
    /** The newest request for `model`. */
    of: (model) => requests.findLast(({ request }) => request?.model === model),
    /** Responds to requests for `model` with `play(wire)` from now on. */
    behave: (model, play) => plays.set(model, play),
    /** The number of open connections. */
    connections: async () => sockets.size,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serve(socket, { plays, requests }) {
  const record = { sent: [], request: null };
  record.closed = new Promise((resolve) => {
    socket.on("close", () => {
      record.closedEarly = !wire.finished;
      resolve(record.closedEarly);
    });
  });
  const wire = new Wire(record, socket);
  let bytes = Buffer.alloc(0);
  for await (const part of socket.iterator({ destroyOnReturn: false })) {
    bytes = Buffer.concat([bytes, part]);
    const head = bytes.indexOf(HEADERS_END);
    const length = Number(/content-length: *(\d+)/i.exec(bytes.subarray(0, Math.max(head, 0)))?.[1] ?? 0);
    if (head >= 0 && bytes.length >= head + HEADERS_END.length + length) break;
  }
  if (socket.destroyed) return;
  record.body = bytes.subarray(bytes.indexOf(HEADERS_END) + HEADERS_END.length);
  record.request = JSON.parse(record.body);
  requests.push(record);
  // From here on, incoming bytes are ignored, but a disconnect must be noticed.
  socket.resume();
  await plays.get(record.request.model)(wire);
}

/** One connection with a request. */
class Wire {
  finished = false;
  #socket;

  constructor(record, socket) {
    this.record = record;
    this.#socket = socket;
  }

  /** The request's body, parsed. */
  get request() {
    return this.record.request;
  }

  /** Whether the client has left, or this side has ended. */
  get over() {
    return this.#socket.destroyed || this.#socket.writableEnded;
  }

  /** Writes exactly these bytes. */
  raw(bytes) {
    if (!this.over) this.#socket.write(bytes);
  }

  openStream() {
    this.raw(STREAM_HEAD);
  }

  /** Writes a piece of the stream as an HTTP chunk. */
  write(bytes) {
    const piece = Buffer.from(bytes);
    this.record.sent.push(piece);
    this.raw(Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]));
  }

  /** Writes the last chunk of the stream and closes the connection. */
  end() {
    this.raw("0\r\n\r\n");
    this.hangUp();
  }

  /** Closes the connection in good TCP order, whatever the headers say of the body. */
  hangUp() {
    this.finished = true;
    this.#socket.end();
  }

  /** Breaks the connection: the peer sees a reset. */
  reset() {
    this.finished = true;
    this.#socket.resetAndDestroy();
  }

  sleep(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }
}
