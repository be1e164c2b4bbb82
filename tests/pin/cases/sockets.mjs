// WebSockets in both protocols, frame by frame, with one chat after the other.

import { answer, eventsOf, MODELS, streamed } from "./common.mjs";

const MESSAGES = [{ role: "user", content: "Hello" }];
const ENDS = new Set(["done", "error"]);

/** Records the frames of a socket. Ids of sessions are random. */
function write(attempt, socket, end) {
  attempt.lines.push(`protocol: ${socket.protocol}`, ...socket.texts.map((text) => `< ${JSON.stringify(text)}`));
  if (end) attempt.lines.push(`closed: ${end.code} ${end.reason}`);
  for (const { request_id } of socket.frames) if (request_id && !attempt.ids.includes(request_id)) attempt.ids.push(request_id);
}

/** Sends each of `frames`, and waits after each for the end of a chat, or for any response. */
async function talk(socket, frames, isEnd) {
  for (const frame of frames) {
    const before = socket.texts.length;
    socket.send(frame);
    await socket.when(({ texts }) => texts.slice(before).some(isEnd), "the end of an answer");
  }
}

const isJson = (text) => text.startsWith("{");
const namedEnd = (text) => isJson(text) && (ENDS.has(JSON.parse(text).type) || ["pong", "authenticated"].includes(JSON.parse(text).type));
const bareEnd = (text) => text.includes("[DONE]") || text.includes('"error"');

/**
 * A conversation: `frames(attempt)` are sent one after the other; `last` is a frame that ends the connection.
 */
const conversation = ({ named = true, key = true, frames, query, isEnd = named ? namedEnd : bareEnd, closes = false, protocols = [] }) => async (attempt) => {
  const socket = await attempt.socket({ key: key && attempt.side.keys.plain, query, protocols: [...(named ? ["llm-bridge.v1"] : []), ...protocols.map((make) => make(attempt))] });
  if (named && key) await socket.until(({ type }) => type === "session", "the session's greeting");
  const all = frames(attempt);
  await talk(socket, closes ? all.slice(0, -1) : all, isEnd);
  if (closes) socket.send(all.at(-1));
  else socket.close(1000);
  const end = await socket.end();
  write(attempt, socket, closes ? end : undefined);
};

const chat = (id, payload, more = {}) => ({ type: "chat", ...(id === undefined ? {} : { id }), payload: { messages: MESSAGES, ...payload }, ...more });

const SCENES = ["text", "call", "thoughts", "usage", "cut", "failed-within", "failed-at-once"];
const ROWS = [["hidden", "openai"], ["shown", "openai"], ["checked", "openai"], ["anthropic", "anthropic"], ["gemini", "gemini"]];

function* chats() {
  for (const scene of SCENES) {
    for (const [row, format] of ROWS) {
      for (const named of [true, false]) {
        const fields = { stream: true, stream_options: { include_usage: true } };
        const frames = (attempt) => [chat(named ? "a" : undefined, { model: attempt.model(row, MODELS[format]), ...fields })];
        yield { name: `sockets/${named ? "named" : "bare"}/${scene}/${row}`, answers: [answer(scene, format, true)], drive: conversation({ named, frames }) };
      }
    }
  }
  for (const [row, format] of ROWS) {
    const frames = (attempt) => [chat(7, { model: attempt.model(row, MODELS[format]) }), chat("b", { model: attempt.model(row, MODELS[format]), stream: false })];
    yield { name: `sockets/named/whole/${row}`, answers: [answer("text", format, false)], drive: conversation({ frames }) };
    const bare = (attempt) => [chat(undefined, { model: attempt.model(row, MODELS[format]) }), chat(undefined, { model: attempt.model(row, MODELS[format]), stream: false })];
    yield { name: `sockets/bare/two/${row}`, answers: [answer("text", format, true)], drive: conversation({ named: false, frames: bare }) };
  }
}

/** Frames that are refused, each with an id or without. The connection goes on. */
const ODD = {
  "no-json": "hello",
  list: "[]",
  "no-type": {},
  "unknown-type": { type: "dance" },
  "type-number": { type: 5 },
  "chat-no-payload": { type: "chat", id: "a" },
  "chat-payload-text": { type: "chat", id: "a", payload: "x" },
  "chat-id-object": { type: "chat", id: {}, payload: {} },
  "chat-no-model": { type: "chat", id: "a", payload: { messages: MESSAGES } },
  "chat-unknown-model": { type: "chat", id: "a", payload: { model: "demo/ecko", messages: MESSAGES } },
  "cancel-unknown": { type: "cancel", id: "x" },
  "cancel-no-id": { type: "cancel" },
  "ack-text": { type: "ack", seq: "x" },
  "ack-ahead": { type: "ack", seq: 99 },
  "auth-again": { type: "auth", api_key: "caller-key-3141592653" },
  "auth-no-key": { type: "auth" },
  ping: { type: "ping" },
  "ping-more": { type: "ping", at: 5 },
};

function* odd() {
  for (const [name, frame] of Object.entries(ODD)) {
    const echo = { model: "demo/echo", stream: true };
    // A frame without a response, such as a valid `ack`, is followed by a chat.
    for (const named of [true, false]) {
      const drive = async (attempt) => {
        const socket = await attempt.socket({ key: attempt.side.keys.plain, protocols: named ? ["llm-bridge.v1"] : [] });
        socket.send(frame);
        socket.send(chat(named ? "z" : undefined, echo));
        await socket.when(({ texts }) => texts.some((text) => (named ? isJson(text) && JSON.parse(text).id === "z" && namedEnd(text) : text.includes("[DONE]"))), "the last chat's end");
        socket.close(1000);
        await socket.end();
        write(attempt, socket);
      };
      yield { name: `sockets/odd/${name}/${named ? "named" : "bare"}`, drive };
    }
  }
}

const key = (attempt) => attempt.side.keys.plain;
const echo = { model: "demo/echo", stream: true };

function* keys() {
  const auth = (attempt) => ({ type: "auth", api_key: key(attempt) });
  yield { name: "sockets/keys/auth", drive: conversation({ key: false, frames: (attempt) => [auth(attempt), chat("a", echo), auth(attempt)] }) };
  yield { name: "sockets/keys/auth-wrong", drive: conversation({ key: false, frames: () => [{ type: "auth", api_key: "wrong" }], closes: true }) };
  yield { name: "sockets/keys/in-chat", drive: conversation({ key: false, named: false, frames: (attempt) => [chat(undefined, echo, { api_key: key(attempt) })] }) };
  yield { name: "sockets/keys/in-chat-bearer", drive: conversation({ key: false, named: false, frames: (attempt) => [chat(undefined, echo, { api_key: `Bearer ${key(attempt)}` })] }) };
  yield { name: "sockets/keys/in-chat-wrong", drive: conversation({ key: false, named: false, frames: () => [chat(undefined, echo, { api_key: "wrong" })] }) };
  yield { name: "sockets/keys/none", drive: conversation({ key: false, named: false, frames: () => [chat(undefined, echo)] }) };
  yield { name: "sockets/keys/subprotocol", drive: conversation({ key: false, frames: () => [chat("a", echo)], protocols: [(attempt) => `bearer.${key(attempt)}`] }) };
}

/** Upgrades that get an HTTP response. */
const UPGRADE = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
const REFUSED = {
  "no-upgrade": { headers: {} },
  "bad-window": { path: "/v1/ws?window=x", headers: UPGRADE },
  "bad-after": { path: "/v1/ws?session=x&after=y", headers: UPGRADE },
  "after-alone": { path: "/v1/ws?after=5", headers: UPGRADE },
};

/** A session that is resumed over a second connection. */
async function resumed(attempt) {
  const first = await attempt.socket({ key: key(attempt), protocols: ["llm-bridge.v1"] });
  const { id } = await first.until(({ type }) => type === "session");
  first.send(chat("a", { model: attempt.model("hidden"), stream: true }));
  await first.until(({ type }) => type === "done", "the answer");
  const socket = await attempt.socket({ key: key(attempt), protocols: ["llm-bridge.v1"], query: `?session=${id}&after=2` });
  await socket.until(({ type }) => type === "done", "the answer again");
  const end = await first.end();
  write(attempt, first, end);
  socket.send({ type: "ack", seq: 3 });
  socket.send(chat("b", { model: attempt.model("hidden"), stream: true }));
  await socket.until(({ type, id }) => type === "done" && id === "b", "the second answer");
  socket.close(1000);
  await socket.end();
  write(attempt, socket);
}

/** A chat that is cancelled when its first chunk has come. */
async function cancelled(attempt) {
  const socket = await attempt.socket({ key: key(attempt), protocols: ["llm-bridge.v1"] });
  socket.send(chat("a", { model: attempt.model("hidden"), stream: true }));
  await socket.until(({ type, data }) => type === "chunk" && data.choices[0]?.delta?.content === "Yes", "a word");
  socket.send({ type: "cancel", id: "a" });
  await socket.until(({ type }) => type === "done", "the end");
  socket.close(1000);
  await socket.end();
  write(attempt, socket);
}

/** Single cases. */
function* scenes() {
  yield* keys();
  yield { name: "sockets/closed/bytes", drive: conversation({ frames: () => [new Uint8Array([1, 2, 3])], closes: true }) };
  yield { name: "sockets/closed/bytes-bare", drive: conversation({ named: false, frames: () => [new Uint8Array([1, 2, 3])], closes: true }) };
  yield { name: "sockets/resumed", answers: [answer("text", "openai", true)], drive: resumed };
  const begun = eventsOf("openai", [{ id: "c", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta: { role: "assistant", content: "Yes" }, finish_reason: null }] }]);
  yield { name: "sockets/cancelled", answers: [streamed(begun, { end: "never" })], drive: cancelled };
}

export function* cases() {
  yield* chats();
  yield* odd();
  for (const scene of scenes()) yield { ...scene, alone: true };
  for (const [name, { path = "/v1/ws", headers }] of Object.entries(REFUSED)) yield { name: `sockets/upgrade/${name}`, send: () => ({ method: "GET", path, headers }) };
}
