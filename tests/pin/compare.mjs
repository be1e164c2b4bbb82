// Compares two runs: they must be equal, except for what the list of expected differences states.

import { PARTS } from "./text.mjs";

/** Whether a pattern matches a case's name; `*` stands for any text. */
const means = (pattern, name) => new RegExp(`^${pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`).test(name);

/**
 * Compares records by name. `expected` are entries `{ cases, part, from, to, reason }`: in that part of those
 * cases, matches of `from` in the base have become `to`. (A part that a build does not have is the empty
 * text.) Returns the remaining differences, and the entries that changed nothing.
 */
export function compare(base, present, expected = []) {
  const used = new Set();
  const differences = [];
  for (const name of [...new Set([...base.keys(), ...present.keys()])].sort()) {
    const entries = expected.filter(({ cases }) => means(cases, name));
    for (const part of PARTS) {
      const before = base.get(name)?.parts[part] ?? "";
      const after = present.get(name)?.parts[part] ?? "";
      const wanted = entries.filter((entry) => entry.part === part).reduce((text, entry) => change(text, entry, used), before);
      if (wanted !== after) differences.push({ name, part, base: wanted, present: after });
    }
  }
  return { differences, unused: expected.filter((entry) => !used.has(entry)) };
}

function change(text, entry, used) {
  const changed = typeof entry.from === "string" ? text.replaceAll(entry.from, entry.to) : text.replace(entry.from, entry.to);
  if (changed !== text) used.add(entry);
  return changed;
}

const MOST_LINES = 12;

/** A difference for people: the lines that only one side has, in order. */
export function describe({ name, part, base, present }) {
  const [before, after] = [base.split("\n"), present.split("\n")];
  const only = (own, other, mark) => {
    const rest = new Map();
    for (const line of other) rest.set(line, (rest.get(line) ?? 0) + 1);
    const lines = own.filter((line) => !rest.get(line) || !rest.set(line, rest.get(line) - 1));
    return lines.slice(0, MOST_LINES).map((line) => `  ${mark} ${around(line)}`).concat(lines.length > MOST_LINES ? [`  ${mark} … ${lines.length - MOST_LINES} more lines`] : []);
  };
  const rows = [...only(before, after, "-"), ...only(after, before, "+")];
  return [`${name}: ${part}`, ...(rows.length ? rows : ["  the same lines, in another order"])].join("\n");
}

const around = (line) => (line.length > 600 ? `${line.slice(0, 400)} … ${line.length} characters … ${line.slice(-150)}` : line);
