// Prints a model of a running gateway that can be called, for the lines that `make dev` prints. Where none can be, because no
// provider has a key yet, it prints one that is configured, and says so.
//
// usage: node scripts/first-model.mjs http://127.0.0.1:1219 .dev.vars

import { readFileSync } from "node:fs";

const [origin, file] = process.argv.slice(2);
const [, quoted] = readFileSync(file, "utf8").match(/^\s*(?:export\s+)?ACCESS_API_KEYS\s*=\s*(.*)$/m) ?? [];
const key = quoted?.trim().replace(/^(["'])(.*)\1$/, "$2").split(",")[0].trim();

/** The names of models, without patterns. */
async function list(query) {
  const response = await fetch(`${origin}/v1/models${query}`, { headers: key ? { authorization: `Bearer ${key}` } : {}, signal: AbortSignal.timeout(60_000) });
  const names = (await response.json()).data?.map(({ id }) => id) ?? [];
  return names.filter((name) => !name.includes("*")).sort((a, b) => (b === "demo/echo") - (a === "demo/echo"));
}

const [callable] = await list("");
const [configured] = callable ? [] : await list("?all=true");
if (configured) console.error("No provider has a key yet: set one in .dev.vars.");
if (!callable && !configured) process.exit(1);
console.log(callable ?? configured);
