// Ranges of days in the reporting zone, and the periods that a chart of them has.

import { dayIn, daysBetween, shiftDay } from "./format.js";

export const RANGES = ["1", "7", "30", "90"];

/** The range of a view's parameters: `days` until today, or `from` and `to`. */
export function rangeOf({ days = "30", from, to }, zone) {
  const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text ?? "");
  if (isDay(from) && isDay(to) && from <= to) return { from, to, days: null };
  const today = dayIn(zone);
  const count = RANGES.includes(days) ? Number(days) : 30;
  return { from: shiftDay(today, 1 - count), to: today, days: String(count) };
}

/** The same number of days before. */
export function before({ from, to }) {
  const count = daysBetween(from, to);
  return { from: shiftDay(from, -count), to: shiftDay(from, -1) };
}

/** The resolutions that a chart of this range may have, the usual one first. */
export function resolutions({ from, to }) {
  const count = daysBetween(from, to);
  if (count <= 1) return ["hour", "quarter"];
  if (count <= 7) return ["day", "hour"];
  return ["day"];
}

const QUARTER = 900_000;
const LENGTHS = { hour: 4 * QUARTER, quarter: QUARTER };

/**
 * Every period of a range, as `{ period, from, to }` with the texts that filter requests. `rows` are those of the report,
 * which has none for a period without requests.
 */
export function periods({ from, to }, resolution, zone, rows) {
  if (resolution === "day") {
    const known = new Map(rows.map((row) => [row.period, row]));
    const days = Array.from({ length: daysBetween(from, to) }, (_, n) => shiftDay(from, n));
    return days.map((day) => ({ period: day, from: day, to: day, row: known.get(day) ?? null }));
  }
  const known = new Map(rows.map((row) => [Date.parse(row.period), row]));
  const length = LENGTHS[resolution];
  const found = [];
  // No zone is more than 14 hours from UTC. Days of 23 and 25 hours come out by themselves.
  let at = Date.parse(from) - 56 * QUARTER;
  while (dayIn(zone, new Date(at)) < from) at += QUARTER;
  for (; dayIn(zone, new Date(at)) <= to; at += length) {
    const row = known.get(at) ?? null;
    found.push({ period: row?.period ?? localText(at, zone), from: new Date(at).toISOString(), to: new Date(at + length).toISOString(), row });
  }
  return found;
}

/** A time by the clocks of a zone: 2026-11-27T05:00. */
function localText(at, zone) {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" }).formatToParts(new Date(at));
  const of = (type) => parts.find((part) => part.type === type).value;
  return `${of("year")}-${of("month")}-${of("day")}T${of("hour")}:${of("minute")}`;
}
