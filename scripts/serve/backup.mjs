// Copies of a data directory. Each object is a database of its own, which is copied whole while the gateway runs.

import { copyFileSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { lock } from "./lock.mjs";
import { Mistake } from "./options.mjs";

const DATABASE = /^[^/]+\/[^/]+\.sqlite$/;

/** The databases in a folder, by their paths in it. */
function databases(folder) {
  if (!existsSync(folder)) throw new Mistake(`${folder} does not exist.`);
  const found = readdirSync(folder, { recursive: true }).filter((path) => DATABASE.test(path));
  if (found.length === 0) throw new Mistake(`${folder} holds no data of LLM Bridge.`);
  return found.sort();
}

function isEmpty(folder) {
  return !existsSync(folder) || readdirSync(folder).every((name) => name === "lock");
}

/** Copies a data directory, which may be in use, into a new folder. Returns the number of databases. */
export function backup(data, to) {
  const found = databases(data);
  // Loaded here, because it warns that it is new.
  const { DatabaseSync } = createRequire(import.meta.url)("node:sqlite");
  if (!isEmpty(to)) throw new Mistake(`${to} is not empty. A backup needs a folder of its own.`);
  for (const path of found) {
    mkdirSync(dirname(join(to, path)), { recursive: true, mode: 0o700 });
    const database = new DatabaseSync(join(data, path));
    try {
      database.exec("PRAGMA busy_timeout = 10000");
      // A consistent copy, whatever is written meanwhile: it is one read transaction.
      database.prepare("VACUUM INTO ?").run(join(to, path));
    } finally {
      database.close();
    }
  }
  return found.length;
}

/** Copies a backup into a data directory, which has to be empty and not in use. Returns the number of databases. */
export function restore(from, data) {
  const found = databases(from);
  const held = lock(data);
  try {
    if (!isEmpty(data)) throw new Mistake(`${data} is not empty. Move what is in it away first.`);
    for (const path of found) {
      mkdirSync(dirname(join(data, path)), { recursive: true, mode: 0o700 });
      copyFileSync(join(from, path), join(data, path));
    }
  } finally {
    held.release();
  }
  return found.length;
}
