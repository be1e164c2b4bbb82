// The gateway, with its Durable Objects counted from outside. GET /bench/counts returns, for each object by
// its name (an account) or its binding (a single object), the number of calls and the rows that its
// database has read and written since the start, as the platform bills them: an alarm that is set is a row, and
// one that rings is a call.

import gateway, * as objects from "../../src/worker.mjs";

const PATH = "/bench/counts";
/** By name: `calls`, `read`, `written`, and the cursors whose rows are not added yet. */
const counts = {};
/** The counts of an object, by its database. */
const owners = new WeakMap();
let watched = false;

function watch(storage) {
  if (watched) return;
  watched = true;
  const [kind, sqlKind] = [Object.getPrototypeOf(storage), Object.getPrototypeOf(storage.sql)];
  const { setAlarm } = kind;
  kind.setAlarm = function (...words) {
    owners.get(this.sql).written += 1;
    return setAlarm.apply(this, words);
  };
  const { exec } = sqlKind;
  sqlKind.exec = function (...words) {
    const cursor = exec.apply(this, words);
    owners.get(this)?.cursors.push(cursor);
    return cursor;
  };
}

/** Adds the rows of cursors: each has all of its rows when the call is over. */
function settle(count) {
  for (const { rowsRead, rowsWritten } of count.cursors.splice(0)) {
    count.read += rowsRead;
    count.written += rowsWritten;
  }
}

function counted(Kind, binding) {
  return class {
    #object;
    #count;

    constructor(state, env) {
      watch(state.storage);
      this.#count = counts[binding ?? state.id.name] ??= { calls: 0, read: 0, written: 0, cursors: [] };
      owners.set(state.storage.sql, this.#count);
      this.#object = new Kind(state, env);
    }

    fetch(request) {
      return this.#counting(this.#object.fetch(request));
    }

    alarm() {
      return this.#counting(this.#object.alarm());
    }

    async #counting(answering) {
      this.#count.calls += 1;
      const answer = await answering;
      settle(this.#count);
      return answer;
    }
  };
}

export const { Health, Session, Vault } = objects;
export const Account = counted(objects.Account);
export const Directory = counted(objects.Directory);
// Older builds do not have these.
export const Region = objects.Region && counted(objects.Region, "REGIONS");
export const LogFiles = objects.LogFiles && counted(objects.LogFiles, "LOG_FILES");
export const Operations = objects.Operations && counted(objects.Operations, "OPERATIONS");

const shown = () => Object.fromEntries(Object.entries(counts).map(([name, { calls, read, written }]) => [name, { calls, read, written }]));

export default {
  fetch(request, env, context) {
    return new URL(request.url).pathname === PATH ? Response.json(shown()) : gateway.fetch(request, env, context);
  },
};
