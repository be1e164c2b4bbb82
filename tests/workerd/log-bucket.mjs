// The gateway's entry module with a bucket for log files: the binding LOGS of the object that writes them is an
// HTTP server of the test (`BUCKET_URL`), which can refuse, hang, and outlive the process. A request to CONTROL passes
// a command to the object, as an isolate does: a test can be several isolates. It can also close the object, as the
// platform does at any time, and make it impatient: then it waits for the bucket for less time than in production.

import gateway, * as objects from "../../src/worker.mjs";

const CONTROL = "/test/control";
/**
 * How long the object waits for the bucket, in milliseconds: in production, and while it is impatient. A read waits for
 * what its query has left, which the query's other reads make a little less.
 */
const BUCKET_TIME = { production: 30_000, least: 25_000, impatient: 1_000 };
/** The interval at which a wait for the bucket looks whether it is over, each in its own request. */
const LOOK = 20;
/** The request that makes the object close itself. */
const CLOSE = "https://object/test/close";
/** The name of the object. */
const ONLY = "only";

let isImpatient = false;

const platform = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
const isForBucket = (ms) => ms > BUCKET_TIME.least && ms <= BUCKET_TIME.production;
/** The newest timers of waits for the bucket, by the ids that the object knows: its first timers'. */
const waits = new Map();

globalThis.setTimeout = (work, ms, ...words) => {
  const start = (task, time) => platform.setTimeout.call(globalThis, task, time);
  if (!isForBucket(ms)) return platform.setTimeout.call(globalThis, work, ms, ...words);
  let waited = 0;
  const look = () => {
    waited += LOOK;
    if (waited < (isImpatient ? BUCKET_TIME.impatient : ms)) return void waits.set(id, start(look, LOOK));
    waits.delete(id);
    work(...words);
  };
  const id = start(look, LOOK);
  return id;
};
globalThis.clearTimeout = (id) => {
  platform.clearTimeout.call(globalThis, waits.get(id) ?? id);
  waits.delete(id);
};

/** What the gateway uses of https://developers.cloudflare.com/r2/api/workers/workers-api-reference/. */
const bucketAt = (url) => {
  const ask = async (method, key, body) => {
    const answer = await fetch(new URL(key, url), { method, body });
    if (!answer.ok && answer.status !== 404) throw new Error(`${method}: ${await answer.text()}`);
    return answer;
  };
  return {
    put: async (key, text) => ({ key, size: (await ask("PUT", key, text), text.length) }),
    get: async (key) => ((answer) => (answer.ok ? answer : null))(await ask("GET", key)),
    delete: async (key) => void (await ask("DELETE", key)),
  };
};

export class LogFiles extends objects.LogFiles {
  constructor(context, env) {
    super(context, { ...env, LOGS: bucketAt(env.BUCKET_URL) });
    this.close = () => context.abort(new Error("closed by the test"));
  }

  fetch(request) {
    return request.url === CLOSE ? this.close() : super.fetch(request);
  }
}

export const { Account, Directory, Health, Operations, Region, Session, Vault } = objects;

async function control(request, env) {
  const { command, close, impatient } = await request.json();
  if (impatient !== undefined) return Response.json((isImpatient = impatient));
  if (close) return Response.json(await env.LOG_FILES.getByName(ONLY).fetch(CLOSE).catch(() => true));
  const body = JSON.stringify(command);
  return Response.json(await (await env.LOG_FILES.getByName(ONLY).fetch("https://object/", { method: "POST", body })).json());
}

export default {
  fetch(request, env, context) {
    return new URL(request.url).pathname === CONTROL ? control(request, env) : gateway.fetch(request, env, context);
  },
};
