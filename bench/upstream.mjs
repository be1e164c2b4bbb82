// The fake provider, a process of its own: responds to chats as fast as it can, and streams at an exact pace,
// in the format of the path.
//
// The model's name selects the behaviour: `say-400x5` streams 400 chunks, one each 5 ms; `hold` streams a
// chunk a second until the parent process releases it; `silent` never responds; any other name gets a complete response. The first
// part of a request's path names the system under test that sent it, so that its connections can be counted.

import net from "node:net";

import { FORMATS } from "./answers.mjs";
import { MessageReader, micros } from "./wire.mjs";

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
const HOLD_PACE_MS = 1000;
/** Longest life of a stream that nobody releases. */
const HOLD_CHUNKS = 120;

const streams = new Set();
const sockets = new Set();
/** By system, when a connection with a running response was last lost. */
const lost = new Map();
let serial = 0;
let ticking = false;

const formats = Object.entries(FORMATS).map(([path, says]) => ({ path, ...says, whole: whole(says.whole) }));

function whole(answer) {
  const body = JSON.stringify(answer);
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

const chunk = (text) => `${text.length.toString(16)}\r\n${text}\r\n`;

class Stream {
  constructor(socket, { says, chunks, pace, usage }) {
    Object.assign(this, { socket, says, left: chunks, pace: pace * 1000, usage });
    // Streams that begin together are spread over the pace, as independent streams would be.
    this.due = micros() + this.pace * (1 + ((serial++ * 0.618) % 1));
    socket.write(HEAD + chunk(says.begin + this.word()));
    this.left -= 1;
    streams.add(this);
  }

  /** A word contains the time at which it was sent, with a fixed length. */
  word() {
    return this.says.word.join(String(micros()).padStart(15, "0"));
  }

  /** At most one chunk each time: a late one must not merge with the next. */
  step(now) {
    if (this.due > now) return;
    this.due += this.pace;
    if (this.left-- > 0) this.socket.write(chunk(this.word()));
    else this.finish();
  }

  finish() {
    streams.delete(this);
    this.socket.write(chunk(this.says.end(this.usage)) + "0\r\n\r\n");
  }
}

function tick() {
  const now = micros();
  for (const stream of streams) stream.step(now);
  ticking = streams.size > 0;
  if (ticking) setTimeout(tick, 1);
}

/** The value after `"name":` in a JSON body, without parsing it. */
function member(body, name) {
  const at = body.indexOf(`"${name}"`);
  return at < 0 ? "" : body.toString("latin1", at + name.length + 2, at + name.length + 80).replace(/^\s*:\s*/, "");
}

/** Gemini's path names the model, and whether to stream. */
const IN_PATH = /\/models\/([^:]*):(stream)?/;

function answer(socket, body) {
  const says = formats.find(({ path }) => socket.path.endsWith(path));
  const [, named, asked] = IN_PATH.exec(socket.path) ?? [];
  const model = named ?? /^"(?:[^"]*\/)?([^"]*)"/.exec(member(body, "model"))?.[1] ?? "";
  const [, chunks, pace] = /^say-(\d+)x(\d+)$/.exec(model) ?? (model === "hold" ? [, HOLD_CHUNKS, HOLD_PACE_MS] : []);
  if (model === "silent") return void (socket.isSilent = true);
  if (!chunks || !(asked || member(body, "stream").startsWith("true"))) return socket.write(says.whole);
  const usage = member(body, "include_usage").startsWith("true");
  socket.stream = new Stream(socket, { says, chunks: Number(chunks), pace: Number(pace), usage });
  if (!ticking) tick();
}

function serve(socket) {
  let pieces = [];
  const reader = new MessageReader({
    head(text) {
      [, socket.path] = text.split(/[ ?]/, 2);
      socket.system = socket.path.split("/", 2)[1];
    },
    data: (bytes) => pieces.push(bytes),
    end() {
      answer(socket, pieces.length === 1 ? pieces[0] : Buffer.concat(pieces));
      pieces = [];
    },
  });
  sockets.add(socket);
  socket.setNoDelay(true);
  socket.on("data", (bytes) => reader.push(bytes));
  socket.on("error", () => {});
  socket.on("close", () => {
    sockets.delete(socket);
    if (isBusy(socket)) lost.set(socket.system, micros());
    streams.delete(socket.stream);
  });
}

const isBusy = (socket) => socket.isSilent === true || streams.has(socket.stream);

/** Of one system: its open connections, and those with a running response. */
function count(system) {
  const open = [...sockets].filter((socket) => socket.system === system);
  return { open: open.length, busy: open.filter(isBusy).length };
}

process.on("message", ({ ask, system }) => {
  if (ask === "release") for (const stream of streams) stream.finish();
  if (ask !== "left") return void process.send(count(system));
  process.send({ at: lost.get(system) });
  lost.delete(system);
});
// Ends with its parent process, even if that crashed.
process.on("disconnect", () => process.exit());

const server = net.createServer(serve);
server.listen({ port: 0, host: "127.0.0.1", backlog: 2048 }, () => process.send({ port: server.address().port }));
