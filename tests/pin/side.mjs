// One side of the comparison: a build of the gateway on workerd, the provider behind it, and the keys of its
// callers.

import { Office, OFFICE } from "../workerd/office.mjs";
import { startGateway } from "../workerd/harness.mjs";
import { paced } from "../workerd/pace.mjs";
import { startProvider } from "./provider.mjs";

/** A key of `ACCESS_API_KEYS`, which has no limits. */
export const FIXED = "caller-key-3141592653";
const PROVIDER_KEY = "sk-provider-2718281828";

/**
 * Managed keys and their limits: one without limits, and one whose account is asked at each request. What is
 * left of a minute depends on other cases, so limits per minute are for cases that run alone (books.mjs).
 */
const KEYS = {
  plain: {},
  bounded: { concurrent_requests: 1000, budget: { amount: "1000000.00", per: "total" } },
};

const PRICE = "price: { input: 1, cached_input: 0.5, cache_write: 1.25, output: 2 }, context: 200000, max_output: 8000";

/** The rows of the configuration: their format, further keys of the row, and the keys of every model. */
export const ROWS = {
  hidden: ["openai", ""],
  shown: ["openai", "stream_usage: show"],
  left: ["openai", "stream_usage: leave"],
  checked: ["openai", "relay: checked"],
  "checked-shown": ["openai", "relay: checked, stream_usage: show"],
  heard: ["openai", "on_disconnect: finish"],
  // Comments during silence depend on time: only these rows have any, and only their cases wait for one.
  "openai-commented": ["openai", "keep_alive: 2"],
  "anthropic-commented": ["anthropic", "keep_alive: 2"],
  "gemini-commented": ["gemini", "keep_alive: 2"],
  anthropic: ["anthropic", ""],
  "anthropic-checked": ["anthropic", "relay: checked"],
  gemini: ["gemini", ""],
  "gemini-checked": ["gemini", "relay: checked"],
  // Headers of the operator, and edits of the request.
  edited: ["openai", "headers: { X-Title: Pin }", "max_tokens: 100, param_config: { update_params: { temperature: 0.5 }, add_params: { top_p: 0.9 }, rename_params: { max_tokens: max_reasoning }, delete_params: [user] }"],
  "anthropic-edited": ["anthropic", "", "max_tokens: 100, strict: true, param_config: { add_params: { top_k: 5 } }"],
  "gemini-edited": ["gemini", "", 'max_tokens: 100, param_config: { update_params: { safetySettings: [] } }'],
};

// One deadline per row, so that it is known which one passes; what a provider says before its silence comes
// earlier.
const CLOCKS = { connect: paced(1.5), first_token: paced(1.5), idle: paced(1.5), total: paced(2.5) };
for (const format of ["openai", "anthropic", "gemini"]) {
  for (const [clock, seconds] of Object.entries(CLOCKS)) ROWS[`${format}-${clock}`] = [format, `clocks: { ${clock}: ${seconds} }`];
}

const BASES = { openai: "/v1", anthropic: "/v1", gemini: "/v1beta" };

/** The format of a row. */
export const formatOf = (row) => ROWS[row][0];

/** The settings of the log by the profile of a case: `spoken` includes prompts and responses. */
const FIELDS = { plain: "{}", spoken: "{ messages: true, response: true }" };

function config(port, profile) {
  const row = ([name, [format, more = "", model = ""]]) => {
    const quiet = more.includes("keep_alive") ? "" : "keep_alive: 0";
    const keys = [`adapter: ${format}`, `base_url: "http://127.0.0.1:${port}${BASES[format]}"`, "api_key_env: PIN_PROVIDER_KEY", quiet, more].filter(Boolean);
    return `  ${name}: { ${keys.join(", ")}, models: { "*": { ${[PRICE, model].filter(Boolean).join(", ")} } } }`;
  };
  return `default_provider: hidden
providers:
${Object.entries(ROWS).map(row).join("\n")}
  demo: { adapter: echo, models: { echo: {} } }
  absent: { base_url: "http://127.0.0.1:${port}/v1", models: { only: {} } }
  closed: { base_url: "http://127.0.0.1:1/v1", api_key_env: PIN_PROVIDER_KEY, models: { only: {} } }
limits:
  max_body_bytes: 200000
logging:
  level: info
  fields: ${FIELDS[profile]}
`;
}

/** Starts a side of the `build` in a folder, by default of the present build. */
async function startSide(build, profile) {
  const provider = await startProvider();
  try {
    const bindings = { ACCESS_API_KEYS: FIXED, PIN_PROVIDER_KEY: PROVIDER_KEY, ...OFFICE };
    const gateway = await startGateway({ config: config(provider.port, profile), bindings, ...(build ? { build } : {}) });
    const office = new Office(gateway.url);
    const keys = { fixed: FIXED };
    for (const [id, terms] of Object.entries(KEYS)) keys[id] = await office.key(id, terms);
    return new Side(provider, gateway, office, keys);
  } catch (fault) {
    await provider.stop();
    throw fault;
  }
}

/**
 * Calls `use(side, cases)` for the cases of each profile, each with a side of its own, one after the other,
 * and returns all records.
 */
export async function withSides(build, cases, use) {
  const records = new Map();
  for (const profile of Object.keys(FIELDS)) {
    const own = cases.filter((one) => (one.profile ?? "plain") === profile);
    if (!own.length) continue;
    const side = await startSide(build, profile);
    try {
      for (const [name, record] of await use(side, own)) records.set(records.has(name) ? `${name}/${profile}` : name, record);
    } finally {
      await side.stop();
    }
  }
  return records;
}

class Side {
  from = Date.now();

  constructor(provider, gateway, office, keys) {
    Object.assign(this, { provider, gateway, office, keys });
  }

  /** The facts about this side that a normalizer needs. */
  get run() {
    return { from: this.from, to: Date.now(), provider: this.provider.port, gateway: this.gateway.port };
  }

  async stop() {
    await this.gateway.stop();
    await this.provider.stop();
  }
}
