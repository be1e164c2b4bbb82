// Runs cases on a side, a few at a time, and makes a record of each: what the provider got, what the client
// got, the log, the receipts.

import { createHash, randomUUID } from "node:crypto";
import { request as httpRequest } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { openSocket } from "../workerd/socket.mjs";
import { normaliser, withoutNumber } from "./normal.mjs";
import { Play } from "./provider.mjs";
import { answerLines, requestLines } from "./text.mjs";

/** A response that has not ended by then is recorded without an end. */
const PATIENCE_MS = 120_000;
/** How long the log has to be silent before it is taken for complete. */
const SILENCE_MS = 1000;
const TERMINAL = new Set(["request_complete", "request_error"]);

const tagOf = (name) => createHash("sha256").update(name).digest("hex").slice(0, 8);

/** Runs `cases` on `side`, `width` at a time, and returns their records by name. */
export async function run(side, cases, { width = 6, progress = () => {} } = {}) {
  const attempts = [];
  const queue = cases.filter((one) => !one.serial);
  const worker = async (own) => {
    for (let one = own.shift(); one; one = own.shift()) {
      attempts.push(await attempt(side, one));
      progress(attempts.length);
    }
  };
  await Promise.all(Array.from({ length: width }, () => worker(queue)));
  await worker(cases.filter((one) => one.serial));
  return collect(side, attempts);
}

/** A running case, which collects what its client sends and gets. */
class Attempt {
  lines = [];
  /** The content of the case itself, for the normalizer. */
  given = [];
  /** Ids of its requests, by which log lines and receipts are found. */
  ids = [];

  constructor(side, one) {
    this.side = side;
    this.one = one;
    this.tag = tagOf(one.name);
    this.play = new Play(one.answers ?? [{ status: 599 }]);
    side.provider.plays.set(this.tag, this.play);
    for (const { pieces = [] } of one.answers ?? []) this.given.push(...pieces.map((piece) => piece.until ?? Buffer.from(piece).toString()));
  }

  /** The model's name that leads to this case's responses. */
  model(row, name = "m") {
    return `${row}/${name}.pin-${this.tag}`;
  }

  /** Sends a request and records what results. `caller` names a key, or is null. */
  async request(send) {
    const { method, path, headers, body } = prepare(this, send);
    this.given.push(path, body.toString());
    const answer = await call(this.side.gateway.url + path, { method, headers, body, leave: send.leave }, (bytes) => this.play.hear(bytes));
    const id = headers["x-request-id"] ?? answer.id;
    if (id && !this.ids.includes(id)) this.ids.push(id);
    const sent = this.play.requests.at(-1)?.sent;
    if (send.title) this.lines.push(`# ${send.title}`);
    this.lines.push(...answerLines(answer, sent && Buffer.concat(sent)));
    return answer;
  }

  /** Opens a WebSocket at `/v1/ws`. */
  socket(options = {}) {
    return openSocket(this.side.gateway.url, options);
  }
}

function prepare(attempt, { method = "POST", path, headers = {}, body = "", caller = "plain", traced = true }) {
  const key = caller && attempt.side.keys[caller];
  const bytes = typeof body === "object" && !Buffer.isBuffer(body) ? JSON.stringify(body) : body;
  const usual = { ...(key ? { authorization: `Bearer ${key}` } : {}), ...(bytes.length ? { "content-type": "application/json" } : {}) };
  const trace = traced ? { "x-request-id": `pin-${attempt.tag}` } : {};
  return { method, path, headers: { ...usual, ...trace, ...headers }, body: Buffer.from(bytes) };
}

async function attempt(side, one) {
  const own = new Attempt(side, one);
  const drive = one.drive ?? ((attempt) => attempt.request(one.send(attempt)));
  await drive(own).catch((fault) => own.lines.push(`(the case failed: ${fault.message})`));
  return own;
}

/**
 * One request on a connection of its own. Resolves when its response is over, however it ends. `leave`: after
 * this text, the client resets the connection.
 */
function call(url, { method, headers, body, leave }, hear) {
  return new Promise((resolve) => {
    const answer = { status: 0, headers: [], bytes: Buffer.alloc(0), end: "" };
    const req = httpRequest(url, { method, headers, agent: false });
    const finish = (end) => {
      clearTimeout(timer);
      if (!answer.over) resolve({ ...answer, end, over: (answer.over = true) });
      req.destroy();
    };
    const timer = setTimeout(() => finish("no end"), PATIENCE_MS);
    req.on("error", () => finish(answer.status ? "the connection broke" : "no answer: the connection broke"));
    req.on("upgrade", (res, socket) => {
      Object.assign(answer, { status: res.statusCode, headers: res.rawHeaders, id: res.headers["x-request-id"] });
      socket.destroy();
      finish("a WebSocket");
    });
    req.on("response", (res) => {
      Object.assign(answer, { status: res.statusCode, headers: res.rawHeaders, id: res.headers["x-request-id"] });
      res.on("data", (bytes) => {
        answer.bytes = Buffer.concat([answer.bytes, bytes]);
        hear(bytes);
        if (leave && answer.bytes.includes(leave)) {
          req.socket.resetAndDestroy();
          finish("the client left");
        }
      });
      res.on("end", () => finish(""));
      res.on("error", () => finish("the connection broke"));
    });
    req.end(body);
  });
}

/** The records, once the log and the receipts are complete. */
async function collect(side, attempts) {
  const logs = await completeLogs(side.gateway);
  const receipts = await completeReceipts(side, begunIn(side.gateway));
  const records = new Map();
  for (const { one, play, lines, given, ids, tag } of attempts) {
    const provider = play.requests.map((request) => requestLines(request).join("\n")).join("\n");
    const log = ids.flatMap((id) => logs.get(id) ?? []);
    const found = ids.flatMap((id) => receipts.get(id) ?? []);
    const normal = normaliser(side.run, given.join("\n"));
    const entries = one.serial ? found : found.map(withoutNumber);
    const all = [provider, lines.join("\n"), log.join("\n"), entries.join("\n")].map(normal);
    records.set(one.name, { name: one.name, parts: { provider: all[0], client: all[1], log: all[2], receipt: all[3] } });
    side.provider.plays.delete(tag);
  }
  if (logs.get(undefined)) records.set("run/log", { name: "run/log", parts: { log: normaliser(side.run, "")([...new Set(logs.get(undefined))].sort().join("\n")) } });
  if (side.provider.strays.length) records.set("run/strays", { name: "run/strays", parts: { provider: side.provider.strays.sort().join("\n") } });
  return records;
}

/** The ids of the requests that were admitted: each has an end in the log, and a receipt. */
const begunIn = (gateway) => new Set(gateway.logs().filter(({ event }) => event === "request_start").map(({ request_id }) => request_id));

/** Waits until `isDone`, for a time: the record shows what did not come. */
async function patiently(isDone) {
  for (const deadline = Date.now() + PATIENCE_MS; !(await isDone()) && Date.now() < deadline; ) await sleep(50);
}

/** The log lines by request, once each request that began has ended and the log is silent. */
async function completeLogs(gateway) {
  // Lines come in order: that of a last request comes after those that had been written before it.
  const last = { "x-request-id": `last-${randomUUID()}` };
  await fetch(`${gateway.url}/v1/nothing`, { headers: last }).then((answer) => answer.text());
  await patiently(() => gateway.logs().some(({ request_id }) => request_id === last["x-request-id"]));
  await patiently(() => {
    const ended = new Set(gateway.logs().filter(({ event }) => TERMINAL.has(event)).map(({ request_id }) => request_id));
    return [...begunIn(gateway)].every((id) => ended.has(id));
  });
  for (let lines = -1; lines !== gateway.lines.length; await sleep(SILENCE_MS)) lines = gateway.lines.length;
  const logs = new Map();
  for (const line of gateway.lines) {
    const id = line.startsWith("{") ? JSON.parse(line).request_id : undefined;
    logs.set(id, [...(logs.get(id) ?? []), line]);
  }
  return logs;
}

/** The receipts of a key; a key without an account has none. */
const receiptsOf = (office, id) => office.receipts(id).catch(() => []);

/**
 * All receipts by request, once each that began has one and no more come: those of keys without limits are
 * collected for a moment.
 */
async function completeReceipts({ office, keys, gateway }, begun) {
  // A fixed key has no account before its first receipt.
  const fixed = gateway.logs().find(({ key_id, event, model }) => key_id?.startsWith("key_") && model && TERMINAL.has(event))?.key_id;
  const accounts = [...Object.keys(keys).filter((id) => id !== "fixed"), ...(fixed ? [fixed] : [])];
  const read = async () => (await Promise.all(accounts.map((id) => receiptsOf(office, id)))).flat();
  let all = [];
  await patiently(async () => {
    all = await read();
    const found = new Set(all.map(({ request_id }) => request_id));
    return [...begun].every((id) => found.has(id));
  });
  for (let before = -1; before !== all.length; all = await read()) {
    before = all.length;
    await sleep(SILENCE_MS);
  }
  const receipts = new Map();
  // The API lists the newest receipt first; here it comes last, as in the log.
  for (const receipt of all.reverse()) receipts.set(receipt.request_id, [...(receipts.get(receipt.request_id) ?? []), JSON.stringify(receipt)]);
  return receipts;
}
