// Keys as a table: read from a CSV file to make many at once.

import { fromCsv } from "./csv.js";

/** The columns of such a file, by their fields. `id` or `name` has to be there. */
export const COLUMNS = ["id", "name", "owner", "models", "budget", "per", "requests_per_minute", "tokens_per_minute", "concurrent_requests", "expires_at", "parent"];
const NUMBERS = ["requests_per_minute", "tokens_per_minute", "concurrent_requests"];
/** The most keys of one file: each is a call of the API. */
export const MOST = 1000;

/** The keys of a file, or what is wrong with it: `{ keys, fault }`, where a fault is `{ line, column }`. */
export function readKeys(text) {
  const [head = [], ...rows] = fromCsv(text);
  const names = head.map((name) => name.trim().toLowerCase());
  const unknown = names.find((name) => !COLUMNS.includes(name));
  if (unknown !== undefined) return { fault: { kind: "column", line: 1, column: unknown } };
  if (!names.includes("id") && !names.includes("name")) return { fault: { kind: "unnamed", line: 1, column: "id" } };
  if (rows.length === 0) return { fault: { kind: "empty", line: 1, column: "" } };
  if (rows.length > MOST) return { fault: { kind: "many", line: MOST + 2, column: "" } };
  const keys = [];
  for (const [index, cells] of rows.entries()) {
    const given = Object.fromEntries(names.map((name, at) => [name, cells[at] ?? ""]).filter(([, value]) => value !== ""));
    const bad = NUMBERS.find((name) => given[name] !== undefined && !/^[1-9]\d*$/.test(given[name]));
    if (bad) return { fault: { kind: "number", line: index + 2, column: bad } };
    keys.push(bodyOf(given));
  }
  return { keys };
}

/** The body that creates a key with these texts of fields. */
export function bodyOf({ models, budget, per, fit, ...rest }) {
  const body = { ...rest };
  for (const name of NUMBERS) if (body[name] !== undefined) body[name] = Number(body[name]);
  const patterns = (models ?? "").split(/[\s,;]+/).filter(Boolean);
  if (patterns.length) body.models = patterns;
  if (budget) body.budget = { amount: String(budget), per: per || "month", ...(fit ? { fit: true } : {}) };
  return body;
}
