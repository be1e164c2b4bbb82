// Gateways that write log files, and a bucket that fails as a test says.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { as, call, HELLO, until } from "./client.mjs";
import { startGateway } from "./harness.mjs";

export const ADMIN = "admin-key-2718281828";
export const KEY = "caller-key-3141592653";
const BINDINGS = { ADMIN_API_KEYS: ADMIN, ACCESS_API_KEYS: KEY };

const config = (output) => `
providers: { demo: { adapter: echo, models: { echo: {} } } }
logging: { output: { ${output} } }
alerts: { store_percent: 50 }
`;

let asked = 0;

/** What happens to a request of the bucket. `apply` does what it asks for, `reply` answers. */
const FATES = {
  fine: ({ apply, reply }) => (apply(), reply(200)),
  "refuses it": ({ reply }) => reply(500, "We encountered an internal error. Please try again. (10001)"),
  "is too busy": ({ reply }) => reply(429, "Reduce your concurrent request rate for the same object. (10058)"),
  "allows nothing": ({ reply }) => reply(403, "You do not have permission to perform this operation. (10042)"),
  "breaks off": ({ cut }) => cut(),
  "never answers": () => {},
  "does it but never answers": ({ apply }) => apply(),
  // The test answers what is in `late`.
  "answers late": ({ apply, reply, late }) => (apply(), late.push(() => reply(200))),
};
const NO_FAILURES = ["fine", "answers late"];
/** Those of which the object learns by waiting. */
export const SILENCES = ["never answers", "does it but never answers"];
export const FAILURES = Object.keys(FATES).filter((name) => !NO_FAILURES.includes(name));

/**
 * A bucket behind HTTP. `fates` names what happens to requests by their method; others are fine. `before` and
 * `after` are called once with a method's name as key, before or after the next request of this method is done;
 * it is not answered then.
 */
export class LogBucket {
  stored = new Map();
  fates = {};
  /** So many further requests are fine by their method, before their fate begins. */
  fine = {};
  late = [];
  before = {};
  after = {};
  #server = createServer((request, response) => this.#serve(request, response));

  static async start() {
    const bucket = new LogBucket();
    await new Promise((resolve) => bucket.#server.listen(0, "127.0.0.1", resolve));
    bucket.url = `http://127.0.0.1:${bucket.#server.address().port}/`;
    return bucket;
  }

  stop() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request, response) {
    const { method } = request;
    const key = decodeURIComponent(request.url.slice(1));
    const chunks = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      // The process was killed meanwhile.
      return;
    }
    if (this.#interrupts(this.before, method)) return;
    const text = this.stored.get(key);
    const apply = () => {
      if (method === "PUT") this.stored.set(key, Buffer.concat(chunks).toString());
      if (method === "DELETE") this.stored.delete(key);
    };
    if (this.after[method]) {
      apply();
      return void this.#interrupts(this.after, method);
    }
    const missing = method === "GET" && text === undefined;
    const reply = (status, message) => response.writeHead(missing && status === 200 ? 404 : status).end(message ?? (method === "GET" ? text : ""));
    const isFine = this.fine[method] > 0 && this.fine[method]--;
    FATES[isFine ? "fine" : (this.fates[method] ?? "fine")]({ apply, reply, cut: () => response.destroy(), late: this.late });
  }

  #interrupts(hooks, method) {
    const hook = hooks[method];
    delete hooks[method];
    hook?.();
    return Boolean(hook);
  }
}

/** A gateway that writes log files, on a disk that outlives its process. */
export class LogStage {
  static async start(output, { bucket } = {}) {
    const stage = new LogStage();
    Object.assign(stage, { bucket, disk: await mkdtemp(join(tmpdir(), "llm-bridge-logs-")) });
    await stage.restart(output);
    return stage;
  }

  /** Kills the process, if there is one, and starts another on the same disk. */
  async restart(output = this.output) {
    await this.kill();
    this.output = output;
    const bindings = this.bucket ? { ...BINDINGS, BUCKET_URL: this.bucket.url } : BINDINGS;
    const entry = this.bucket && "log-bucket.mjs";
    this.gateway = await startGateway({ config: config(output), bindings, disk: this.disk, entry });
  }

  async kill() {
    const { gateway } = this;
    this.gateway = undefined;
    await gateway?.stop();
  }

  async stop() {
    await this.kill();
    await rm(this.disk, { recursive: true });
  }

  /** A chat, with an id of its own. */
  async chat(model = "demo/echo") {
    const id = `filed-${++asked}`;
    const answer = await call(`${this.gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: { ...as(KEY), "x-request-id": id },
      body: JSON.stringify({ model, messages: HELLO }),
    });
    return { id, status: answer.status };
  }

  /** The ids of so many chats, one after the other. */
  async chats(count) {
    const ids = [];
    for (let at = 0; at < count; at++) {
      const { id, status } = await this.chat();
      assert.equal(status, 200);
      ids.push(id);
    }
    return ids;
  }

  logs(query = "") {
    return this.admin(`/logs${query}`);
  }

  /** Reads something of the admin API. */
  async admin(path) {
    const answer = await call(`${this.gateway.url}/admin/api${path}`, { headers: as(ADMIN) });
    assert.equal(answer.status, 200, answer.text);
    return answer.json();
  }

  /** The lines of a request, once its end is there. */
  story(id) {
    return until(async () => {
      const { data } = await this.logs(`?request_id=${id}`);
      return data.some(({ event }) => /complete|error/.test(event)) && data;
    }, `the lines of ${id}`);
  }

  /** The ids of requests whose end is in the files, in their order. */
  async ended() {
    // A read gives up segments that the bucket does not give in time.
    const { data } = await until(async () => {
      const page = await this.logs("?tail=10000");
      return page.unread_segments === 0 && page;
    }, "all segments to be read");
    return data.filter(({ event }) => event === "request_complete").map(({ request_id }) => request_id);
  }

  /** Waits until the object has only its open segment. Returns how full the files are. */
  emptied() {
    return until(async () => {
      const { store } = await this.logs("?tail=1");
      return this.bucket.stored.size === store.segments - 1 && store;
    }, "all closed segments in the bucket");
  }

  /** Whether the object waits for the bucket for a second only, or as long as in production. */
  async impatient(is) {
    await this.gateway.control({ impatient: is });
  }

  /** Closes the object that writes; its next command opens it. */
  async close() {
    await this.gateway.control({ close: true });
  }

  /** A command to the object that writes. */
  async command(command) {
    return this.gateway.control({ command });
  }

  /** A command to the object that writes, again and again if it was closed meanwhile. */
  persist(command) {
    return until(() => this.command(command).catch(() => undefined), "a response of the object");
  }
}

/** Runs `play` with a bucket and a gateway. */
export async function withBucket(output, play) {
  const bucket = await LogBucket.start();
  const stage = await LogStage.start(output, { bucket });
  try {
    await play(stage, bucket);
  } finally {
    await stage.stop();
    bucket.stop();
  }
}

/** Each line is there once, in the bucket and out of it, and each segment has a number of its own. */
export async function assertWholeAndOnce(stage, ids) {
  const ended = await stage.ended();
  assert.equal(new Set(ended).size, ended.length, "no line is there twice");
  assert.deepEqual(ids.filter((id) => !ended.includes(id)), [], "what was readable before is there");
  const keys = [...stage.bucket.stored.keys()];
  assert.equal(new Set(keys.map((key) => key.slice(-14))).size, keys.length, "each number is used once");
}
