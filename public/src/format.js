// Numbers, amounts and times in the reader's locale. What was not reported is never shown as 0.

import { locale, t } from "./words/index.js";

/** Stands for a value that the gateway does not have. */
export const NONE = "—";

const formats = new Map();
function number(options) {
  const key = locale + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(locale, options));
  return formats.get(key);
}

export const count = (value) => (value == null ? NONE : number({}).format(value));
/** Shortened from 10,000 on: 12.3K. */
export const short = (value) => (value == null ? NONE : value < 10_000 ? count(value) : number({ notation: "compact", maximumFractionDigits: 1 }).format(value));
/** A share. One that is there, however small, is not shown as 0. */
export function percent(share) {
  if (share == null || !Number.isFinite(share)) return NONE;
  if (share > 0 && share < 0.001) return `< ${percent(0.001)}`;
  return number({ style: "percent", maximumFractionDigits: share < 0.1 ? 1 : 0 }).format(share);
}

/** Billionths of a dollar as dollars. Small amounts have more digits, so that none looks like nothing. */
export function money(nanos) {
  if (nanos == null) return NONE;
  const dollars = nanos / 1e9;
  const digits = dollars === 0 || dollars >= 1 ? 2 : Math.min(9, Math.max(2, 2 - Math.floor(Math.log10(Math.abs(dollars)))));
  return number({ style: "currency", currency: "USD", currencyDisplay: "narrowSymbol", minimumFractionDigits: 2, maximumFractionDigits: digits }).format(dollars);
}

/** A price per token, as the list of models states it, for a million tokens. */
export const perMillion = (text) => (text == null ? NONE : money(Math.round(Number(text) * 1e15)));

export function duration(ms) {
  if (ms == null) return NONE;
  if (ms < 1000) return t("time.ms", { n: count(ms) });
  if (ms < 60_000) return t("time.s", { n: number({ maximumFractionDigits: ms < 10_000 ? 2 : 1 }).format(ms / 1000) });
  return t("time.min", { n: number({ maximumFractionDigits: 1 }).format(ms / 60_000) });
}

export function bytes(value) {
  if (value == null) return NONE;
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"];
  const step = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return number({ style: "unit", unit: units[step], unitDisplay: "short", maximumFractionDigits: 1 }).format(value / 1000 ** step);
}

const times = new Map();
function clock(options) {
  const key = locale + JSON.stringify(options);
  if (!times.has(key)) times.set(key, new Intl.DateTimeFormat(locale, options));
  return times.get(key);
}

const DAY = { year: "numeric", month: "short", day: "numeric" };
/** A time, by the reader's own clock. */
export const time = (text) => (text == null ? NONE : clock({ ...DAY, hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(new Date(text)));
export const shortTime = (text) => (text == null ? NONE : clock({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(new Date(text)));

/** A period of a report: a day, or the beginning of an hour with the offset of the reporting zone. */
export function period(text, isShort = false) {
  if (text == null) return NONE;
  const [day, hour] = text.split("T");
  const date = new Date(`${day}T00:00:00Z`);
  if (!hour) return clock({ ...(isShort ? { month: "short", day: "numeric" } : DAY), timeZone: "UTC" }).format(date);
  // The clock of the zone is shown as it stands in the text, whatever the reader's zone.
  const local = new Date(`${text.slice(0, 16)}:00Z`);
  const options = isShort ? { hour: "2-digit", minute: "2-digit" } : { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
  return clock({ ...options, timeZone: "UTC" }).format(local);
}

/** The day of a time in a zone, as 2026-11-27. */
export function dayIn(zone, date = new Date()) {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }).formatToParts(date);
  const of = (type) => parts.find((part) => part.type === type).value;
  return `${of("year")}-${of("month")}-${of("day")}`;
}

/** A day some days later, or earlier. */
export function shiftDay(day, days) {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + days);
  return date.toISOString().slice(0, 10);
}

export const daysBetween = (from, to) => Math.round((Date.parse(to) - Date.parse(from)) / 86_400_000) + 1;
