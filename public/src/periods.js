// Ranges of days in the reporting zone, or of quarters of an hour, and the periods that a chart of them has.

import { dayIn, daysBetween, shiftDay } from "./format.js";

export const RANGES = ["1", "7", "30", "90"];
/** The range of the last hour: the quarters of it, the one that has begun included. */
export const HOUR = "hour";
const QUARTER = 900_000;

const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text ?? "");
const isTime = (text) => /^\d{4}-\d\d-\d\dT/.test(text ?? "") && !Number.isNaN(Date.parse(text));
const quarters = (from, to) => ({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });
/** Whether a range is one of quarters, and not of days. */
export const isOfTimes = ({ from }) => from.includes("T");

/** The range of a view's parameters: `days` until today, or `from` and `to`, as days or as times. */
export function rangeOf({ days = "30", from, to }, zone) {
  if (isDay(from) && isDay(to) && from <= to) return { from, to, days: null };
  if (isTime(from) && isTime(to) && Date.parse(from) < Date.parse(to))
    return { ...quarters(Math.floor(Date.parse(from) / QUARTER) * QUARTER, Math.ceil(Date.parse(to) / QUARTER) * QUARTER), days: null };
  if (days === HOUR) {
    const now = Math.floor(Date.now() / QUARTER) * QUARTER;
    return { ...quarters(now - 4 * QUARTER, now + QUARTER), days };
  }
  const today = dayIn(zone);
  const count = RANGES.includes(days) ? Number(days) : 30;
  return { from: shiftDay(today, 1 - count), to: today, days: String(count) };
}

/** The days of a range, the first and the last one. */
export function daysOf({ from, to }, zone) {
  if (!from.includes("T")) return { from, to };
  return { from: dayIn(zone, new Date(from)), to: dayIn(zone, new Date(Date.parse(to) - 1)) };
}

/** The same length of time before. */
export function before(range) {
  const { from, to } = range;
  if (isOfTimes(range)) return quarters(2 * Date.parse(from) - Date.parse(to), Date.parse(from));
  const count = daysBetween(from, to);
  return { from: shiftDay(from, -count), to: shiftDay(from, -1) };
}

/** The resolutions that a chart of this range may have, the usual one first. */
export function resolutions(range) {
  const { from, to } = range;
  if (isOfTimes(range)) return Date.parse(to) - Date.parse(from) <= 200 * QUARTER ? ["quarter"] : ["day"];
  const count = daysBetween(from, to);
  if (count <= 1) return ["hour", "quarter"];
  if (count <= 7) return ["day", "hour"];
  return ["day"];
}

const LENGTHS = { hour: 4 * QUARTER, quarter: QUARTER };

/**
 * Every period of a range, as `{ period, from, to }` with the texts that filter requests. `rows` are those of the report,
 * which has none for a period without requests.
 */
export function periods(range, resolution, zone, rows) {
  const { from, to } = daysOf(range, zone);
  if (resolution === "day") {
    const known = new Map(rows.map((row) => [row.period, row]));
    const days = Array.from({ length: daysBetween(from, to) }, (_, n) => shiftDay(from, n));
    return days.map((day) => ({ period: day, from: day, to: day, row: known.get(day) ?? null }));
  }
  const known = new Map(rows.map((row) => [Date.parse(row.period), row]));
  const length = LENGTHS[resolution];
  const found = [];
  // No zone is more than 14 hours from UTC. Days of 23 and 25 hours come out by themselves.
  let at = isOfTimes(range) ? Date.parse(range.from) : Date.parse(from) - 56 * QUARTER;
  while (dayIn(zone, new Date(at)) < from) at += QUARTER;
  const isWithin = isOfTimes(range) ? (at) => at < Date.parse(range.to) : (at) => dayIn(zone, new Date(at)) <= to;
  for (; isWithin(at); at += length) {
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
