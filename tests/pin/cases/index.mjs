// All tables of cases in one list. The first part of a case's name is its group, which is one file of
// transcripts.

import * as answers from "./answers.mjs";
import * as books from "./books.mjs";
import * as calls from "./calls.mjs";
import * as cuts from "./cuts.mjs";
import * as faults from "./faults.mjs";
import * as recordings from "./recordings.mjs";
import * as refused from "./refused.mjs";
import * as requests from "./requests.mjs";
import * as sockets from "./sockets.mjs";

const TABLES = [answers, requests, calls, refused, faults, sockets, books, cuts, recordings];

export const groupOf = (name) => name.split("/")[0];

/** Every case; names are unique. */
export function allCases() {
  const cases = TABLES.flatMap((table) => [...table.cases()]);
  const names = new Set();
  for (const { name } of cases) {
    if (names.has(name)) throw new Error(`two cases are named ${name}`);
    names.add(name);
  }
  return cases;
}

/**
 * The sample has one of this many cases of each group; the command has all. Prime numbers, so that each
 * column of a table occurs.
 */
const SHARES = { answers: 11, requests: 19, calls: 3, refused: 7, faults: 17, sockets: 7, books: 1, cuts: 311, recordings: 0 };

/**
 * The sample that `make test` runs: it includes cases that run alone (`alone`), and none that only some
 * checkouts have.
 */
export function sample(cases) {
  const counts = {};
  return cases.filter(({ name, alone }) => {
    if (alone) return true;
    const group = groupOf(name);
    const share = SHARES[group];
    counts[group] = (counts[group] ?? -1) + 1;
    return share && counts[group] % share === 0;
  });
}
