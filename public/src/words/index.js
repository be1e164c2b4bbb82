// The words of the page in the reader's language.

import { language } from "../preferences.js";
import { en } from "./en.js";
import { zh } from "./zh.js";

const ALL = { en, zh };
let current = "en";

/** The reader's locale for numbers and times: the browser's, if it is of the page's language. */
export let locale = "en";

export function useLanguage(tag = language()) {
  current = tag;
  locale = navigator.languages.find((known) => known.toLowerCase().startsWith(tag)) ?? (tag === "zh" ? "zh-CN" : "en");
  document.documentElement.lang = tag === "zh" ? "zh-Hans" : "en";
}

/** The words of a name; `{n}` in them is replaced by the value `n`. */
export function t(name, values = {}) {
  const words = ALL[current][name] ?? name;
  return words.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));
}

/** Whether there are words of this name. */
export const has = (name) => name in ALL[current];

/** The name that the API gives to something, in words; unchanged if it is not known. */
export const named = (group, name) => (has(`${group}.${name}`) ? t(`${group}.${name}`) : name);
