// `llm-bridge key create`: makes a managed key by the admin API of a running gateway.

import { parseArgs } from "node:util";
import { variables } from "../serve/environment.mjs";
import { Mistake } from "../serve/options.mjs";
import { envFiles, guarded } from "./command.mjs";

const OPTIONS = {
  url: { type: "string", default: "http://127.0.0.1:1219" },
  name: { type: "string" },
  budget: { type: "string" },
  "requests-per-minute": { type: "string" },
  "expires-at": { type: "string" },
};
const BUDGET = /^(\d+(?:\.\d+)?)\/(day|week|month|total)$/;
const USAGE = "llm-bridge key create ID [--url URL] [--name TEXT] [--budget 5.00/month] [--requests-per-minute 60] [--expires-at 2027-01-01T00:00:00Z]";

/** The key as the admin API takes it. */
function terms(id, values) {
  const budget = values.budget && BUDGET.exec(values.budget);
  if (values.budget && !budget) throw new Mistake(`--budget ${values.budget}: expected an amount of dollars and a period, such as 5.00/month (day, week, month, total).`);
  const rate = values["requests-per-minute"];
  if (rate !== undefined && !/^\d+$/.test(rate)) throw new Mistake(`--requests-per-minute ${rate}: expected a number.`);
  return {
    id,
    name: values.name,
    budget: budget ? { amount: budget[1], per: budget[2] } : undefined,
    requests_per_minute: rate === undefined ? undefined : Number(rate),
    expires_at: values["expires-at"],
  };
}

/** An admin key: the first of ADMIN_API_KEYS, which is a list with commas, or one in JSON. */
function adminKey() {
  const text = variables(process.env, envFiles(), "").ADMIN_API_KEYS?.trim();
  if (!text) throw new Mistake("ADMIN_API_KEYS is not set, neither in the environment nor in .env.");
  return text.startsWith("[") ? JSON.parse(text)[0] : text.split(",")[0].trim();
}

function parse(words) {
  try {
    return parseArgs({ args: words, options: OPTIONS, allowPositionals: true });
  } catch (fault) {
    throw new Mistake(`${fault.message}\n${USAGE}`);
  }
}

export const main = (_, words) => guarded(async () => {
  const { values, positionals: [verb, id, ...rest] } = parse(words);
  if (verb !== "create" || !id || rest.length) throw new Mistake(USAGE);
  const body = JSON.stringify(terms(id, values));
  const headers = { authorization: `Bearer ${adminKey()}`, "content-type": "application/json" };
  const response = await fetch(`${values.url.replace(/\/$/, "")}/admin/api/keys`, { method: "POST", headers, body }).catch((fault) => {
    throw new Mistake(`${values.url} does not respond: ${fault.cause?.message ?? fault.message}. Is the gateway running? --url names another one.`);
  });
  const text = await response.text();
  if (response.status !== 201) throw new Mistake(`The gateway refused: ${message(text) ?? `status ${response.status}`}`);
  // The key alone is on the standard output, for scripts.
  console.log(JSON.parse(text).key);
  console.error(`This is the key of ${id}. It is not shown again.`);
  return 0;
});

function message(text) {
  try {
    return JSON.parse(text).error.message;
  } catch {
    return null;
  }
}
