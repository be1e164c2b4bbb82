// The gateway, with its Durable Objects counted from outside. GET /bench/counts returns, for each object by
// its name, the number of calls and the rows that its database has read and written since the start, as the
// platform bills them.

import gateway, { Account as Accounts, Directory as Directories } from "../../src/worker.mjs";

const PATH = "/bench/counts";
const counts = {};
/**
 * Cursors of the call that is being answered: an object answers in one step, so they are never those of two.
 */
let cursors = [];
let watched = false;

function watch(sql) {
  if (watched) return;
  watched = true;
  const kind = Object.getPrototypeOf(sql);
  const { exec } = kind;
  kind.exec = function (...words) {
    const cursor = exec.apply(this, words);
    cursors.push(cursor);
    return cursor;
  };
}

function counted(Kind) {
  return class {
    #object;
    #count;

    constructor(state, env) {
      watch(state.storage.sql);
      this.#object = new Kind(state, env);
      this.#count = counts[state.id.name] ??= { calls: 0, read: 0, written: 0 };
    }

    async fetch(request) {
      this.#count.calls += 1;
      const answer = await this.#object.fetch(request);
      for (const { rowsRead, rowsWritten } of cursors) {
        this.#count.read += rowsRead;
        this.#count.written += rowsWritten;
      }
      cursors = [];
      return answer;
    }
  };
}

export { Health, Session, Vault } from "../../src/worker.mjs";
export const Account = counted(Accounts);
export const Directory = counted(Directories);

export default {
  fetch(request, env, context) {
    return new URL(request.url).pathname === PATH ? Response.json(counts) : gateway.fetch(request, env, context);
  },
};
