// The provider of the corpus: responds to each request as its case says, by a tag in the model's name, and
// records what it got.

import { createServer } from "node:http";

const TAG = /\.pin-([0-9a-f]{8})/;
/** The time for which a provider waits for the gateway to cancel a call, or for its client to get a text. */
const PATIENCE_MS = 60_000;

/** The responses of the provider in one case: one for each request, the last one for all further ones. */
export class Play {
  /** The requests that the provider got, in order. */
  requests = [];
  #answers;
  #heard = "";
  #watchers = new Set();

  constructor(answers) {
    this.#answers = answers;
  }

  next() {
    return this.#answers[Math.min(this.requests.length, this.#answers.length) - 1];
  }

  /** Notes that the client has got these bytes. */
  hear(bytes) {
    this.#heard += bytes.toString("latin1");
    for (const watch of [...this.#watchers]) watch();
  }

  /** Waits until the client has got `text`. */
  until(text) {
    const wanted = Buffer.from(text).toString("latin1");
    return within((done) => {
      const watch = () => this.#heard.includes(wanted) && done(this.#watchers.delete(watch));
      this.#watchers.add(watch);
      watch();
    });
  }
}

/** Resolves when `begin` calls back, and after a time in any case: the record shows what did not come. */
function within(begin) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS);
    begin(() => (clearTimeout(timer), resolve()));
  });
}

export async function startProvider() {
  const plays = new Map();
  /** Requests that belong to no case: each is a fault of the corpus or of the gateway. */
  const strays = [];
  const server = createServer(async (req, res) => {
    // Ends early if the gateway breaks off its request.
    const body = await readAll(req).catch(() => Buffer.from("(broken off)"));
    const tag = TAG.exec(`${req.url} ${body.toString("latin1")}`)?.[1];
    const play = plays.get(tag);
    if (!play) {
      // Asked for its models, it says that it has no such list.
      if (req.method === "GET" && /\/models(\?|$)/.test(req.url)) return res.writeHead(404).end();
      strays.push(`${req.method} ${req.url}`);
      return res.writeHead(599).end();
    }
    const record = { method: req.method, url: req.url, headers: req.rawHeaders, body, sent: [], closed: false };
    play.requests.push(record);
    res.on("error", () => {});
    await perform(play.next(), res, record, play);
  });
  server.on("clientError", (_, socket) => socket.destroy());
  // A pooled connection that is closed for its age would look like a fault of the gateway.
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: server.address().port,
    plays,
    strays,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * Sends one response: `status`, `headers`, the `pieces` of the body (each a text or bytes, or `{ until }`: a
 * text that the client has to have got first), and its `end`: "end", "hang-up" (in the middle of the body),
 * "reset", "never" (until the gateway cancels the call). `sized`: the length is announced. `head: false`: not
 * even the head is sent.
 */
async function perform({ status = 200, headers = {}, pieces = [], end = "end", sized = false, head = true }, res, record, play) {
  res.socket.setNoDelay(true);
  const length = Buffer.concat(pieces.filter((piece) => !piece.until).map((piece) => Buffer.from(piece))).length;
  if (head) res.writeHead(status, { ...headers, ...(sized ? { "content-length": length } : {}) });
  // The head is sent with the first piece, in one packet, so that no deadline can pass between them.
  if (head && !pieces.length && end !== "end") res.flushHeaders();
  for (const piece of pieces) {
    if (piece.until) {
      await play.until(piece.until);
    } else {
      record.sent.push(Buffer.from(piece));
      // The written bytes are on their way before the connection is broken.
      await new Promise((resolve) => res.write(piece, resolve));
    }
  }
  if (end === "end") return res.end();
  if (end === "never") {
    // It may have done so before the whole request was read.
    await within((done) => (res.closed ? done() : res.on("close", done)));
    record.closed = res.closed;
    return res.destroy();
  }
  return end === "reset" ? res.socket.resetAndDestroy() : res.socket.end();
}

async function readAll(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}
