// A WebSocket client that hides nothing, and a wire that can be cut.

import { createServer, connect as connectTcp } from "node:net";
import { soon } from "./client.mjs";

export const NAMED = "llm-bridge.v1";

// A test that fails leaves its connections open, and they would keep the process alive.
const left = new Set();
/** Closes the connections that tests have left open. */
export const closeAll = () => left.forEach((socket) => socket.close());

/** Opens a WebSocket at the gateway's `/v1/ws`; resolves when it is open. */
export async function openSocket(base, { protocols = [], key, query = "", headers = {} } = {}) {
  const authorization = key ? { authorization: `Bearer ${key}` } : {};
  const url = `${base.replace(/^http/, "ws")}/v1/ws${query}`;
  const socket = new Socket(new WebSocket(url, { protocols, headers: { ...authorization, ...headers } }));
  await socket.opened;
  return socket;
}

/** The same with the protocol in which requests have ids; resolves after the `session` frame. */
export async function openSession(base, options = {}) {
  const socket = await openSocket(base, { ...options, protocols: [NAMED, ...(options.protocols ?? [])] });
  socket.session = await socket.until(({ type }) => type === "session", "the session's greeting");
  return socket;
}

export class Socket {
  /** All messages, as text. */
  texts = [];
  /** The parsed messages that are JSON. */
  frames = [];
  #ws;
  #watchers = new Set();

  constructor(ws) {
    this.#ws = ws;
    left.add(this);
    ws.addEventListener("close", () => left.delete(this));
    this.opened = soon(
      new Promise((resolve, reject) => {
        ws.addEventListener("open", resolve);
        ws.addEventListener("error", () => reject(new Error("the WebSocket was refused")));
      }),
      "a WebSocket to open",
    );
    this.opened.catch(() => {});
    /** Resolves to the close code and reason. */
    this.closed = new Promise((resolve) => ws.addEventListener("close", ({ code, reason }) => resolve({ code, reason })));
    ws.addEventListener("message", ({ data }) => this.#take(data));
  }

  get isOpen() {
    return this.#ws.readyState === 1;
  }

  get protocol() {
    return this.#ws.protocol;
  }

  #take(text) {
    this.texts.push(text);
    if (text.startsWith("{")) this.frames.push(JSON.parse(text));
    for (const watch of [...this.#watchers]) watch();
  }

  /** Sends an object as JSON, text and bytes as they are. */
  send(message) {
    const exact = typeof message === "string" || message instanceof Uint8Array;
    this.#ws.send(exact ? message : JSON.stringify(message));
  }

  /** Sends a chat with an id, or without. */
  chat(payload, { id, ...more } = {}) {
    this.send({ type: "chat", ...(id === undefined ? {} : { id }), ...more, payload: { messages: [{ role: "user", content: "Hello" }], ...payload } });
  }

  /** The result of `find` on the messages so far, as soon as there is one. */
  when(find, what, patience) {
    let watch;
    const found = new Promise((resolve) => {
      watch = () => {
        const value = find(this);
        if (value !== undefined && value !== false) resolve(value);
      };
      this.#watchers.add(watch);
      watch();
    });
    return soon(found, what, patience).finally(() => this.#watchers.delete(watch));
  }

  /** The first frame that `wanted` accepts. */
  until(wanted, what = "a frame", patience) {
    return this.when(({ frames }) => frames.find(wanted), what, patience);
  }

  /** All frames of a request, once the last one has come. */
  async answer(id, patience) {
    await this.until((frame) => frame.id === id && ENDS.has(frame.type), `the end of ${id}`, patience);
    return this.frames.filter((frame) => frame.id === id);
  }

  /** The close code and reason. */
  end(patience) {
    return soon(this.closed, "the WebSocket to be closed", patience);
  }

  close(...words) {
    this.#ws.close(...words);
  }
}

const ENDS = new Set(["done", "error"]);

/** The text of the chunks among these frames. */
export const textOf = (frames) =>
  frames
    .filter(({ type }) => type === "chunk")
    .map(({ data }) => data.choices?.[0]?.delta?.content ?? "")
    .join("");

/** A wire to `port` that can be cut, and can stop to deliver what comes from there. */
export async function startWire(port) {
  const pairs = new Set();
  const server = createServer({ noDelay: true }, (near) => {
    const far = connectTcp({ port, host: "127.0.0.1", noDelay: true });
    const pair = [near, far];
    pairs.add(pair);
    for (const [from, to] of [pair, [far, near]]) {
      from.pipe(to);
      from.on("error", () => {});
      from.on("close", () => (to.destroy(), pairs.delete(pair)));
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Breaks every connection, and returns their number. */
    cut: () => {
      const cut = [...pairs];
      cut.flat().forEach((socket) => socket.resetAndDestroy());
      return cut.length;
    },
    /** The near end gets nothing any more, and nothing is read from the far end. */
    clog: () => pairs.forEach(([near, far]) => (far.unpipe(near), far.pause())),
    unclog: () => pairs.forEach(([near, far]) => far.pipe(near)),
    stop: () => (pairs.forEach((pair) => pair.forEach((socket) => socket.destroy())), new Promise((resolve) => server.close(resolve))),
  };
}
