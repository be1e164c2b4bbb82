// A configuration that is put together from another gateway's: providers, the names that clients use, variables of
// secrets, and notes of what was not carried over.

import { stringify } from "yaml";

/** What a provider's or a variable's name may not have becomes a dash or an underscore. */
const providerName = (text) => text.toLowerCase().replace(/[^a-z0-9._-]+/g, "-").replace(/^-+|-+$/g, "") || "provider";
export const variableName = (text) => `${text.toUpperCase().replace(/[^A-Z0-9]+/g, "_").replace(/^(\d)/, "_$1")}_API_KEY`;

const MAX_WEIGHT = 1000;
const MAX_ATTEMPTS = 10;

export class Moving {
  notes = [];
  /** Values of secrets that stood in the file, by the names of their variables. */
  secrets = {};
  attempts;
  /** By an identity: what makes two rows the same provider. */
  #providers = new Map();
  /** The targets of each name that clients use. */
  #names = new Map();
  #aliases = new Map();

  note(place, text) {
    this.notes.push(`${place}: ${text}`);
  }

  /**
   * The provider with these settings, which is made at its first use. `key` is a secret's value, `variable` its name;
   * with neither, the variable is `fallback`, or the host needs no key. Returns its name.
   */
  provider(wish, { adapter, base_url, headers, timeout, key, variable, fallback }) {
    const identity = JSON.stringify([adapter, base_url, headers, timeout, key, variable, fallback]);
    const known = this.#providers.get(identity);
    if (known) return known.name;
    const name = this.#free(providerName(wish));
    const own = variableName(name);
    const wanted = variable ?? (key ? own : fallback);
    if (key && !variable) this.secrets[own] = key;
    else if (wanted) this.secrets[wanted] ??= null;
    const row = { ...(adapter === "openai" ? {} : { adapter }), base_url, ...(wanted ? (wanted === own ? {} : { api_key_env: wanted }) : { api_key_env: "none" }), ...(headers ? { headers } : {}), ...(timeout ? { timeout } : {}), models: {} };
    this.#providers.set(identity, { name, row });
    return name;
  }

  #free(name) {
    const taken = new Set([...this.#providers.values()].map((provider) => provider.name));
    for (let index = 1; ; index++) {
      const found = index === 1 ? name : `${name}-${index}`;
      if (!taken.has(found)) return found;
    }
  }

  /** Adds a model to a provider; `*` stands for all. What two rows say differently is noted. */
  model(provider, model, row, place) {
    const { row: owner } = [...this.#providers.values()].find(({ name }) => name === provider);
    const before = owner.models[model];
    owner.models[model] = { ...row, ...before };
    for (const field of Object.keys(before ?? {})) {
      if (row[field] !== undefined && JSON.stringify(row[field]) !== JSON.stringify(before[field])) this.note(place, `another row of ${provider}/${model} has another ${field}, which is kept`);
    }
  }

  /** Lets clients call a provider's model by a name. `rank`: targets of lower rank are tried first. */
  name(name, { provider, model, weight = 1, rank = 0 }) {
    const targets = this.#names.get(name) ?? [];
    const target = `${provider}/${model}`;
    const same = targets.find((row) => row.target === target);
    if (same) same.weight += weight;
    else targets.push({ target, weight, rank });
    this.#names.set(name, targets);
  }

  alias(alias, name) {
    this.#aliases.set(alias, name);
  }

  /** Lets the targets of `others` serve `name` after its own. */
  fallBack(name, others, place) {
    const targets = this.#names.get(name);
    if (!targets) return this.note(place, `${name} is no model of this file`);
    const last = Math.max(...targets.map(({ rank }) => rank));
    others.forEach((other, index) => {
      const found = this.#names.get(other);
      if (!found) return this.note(place, `${other} is no model of this file`);
      for (const { target, weight } of found) if (!targets.some((row) => row.target === target)) targets.push({ target, weight, rank: last + 1 + index });
    });
  }

  /** The text of config.yaml. */
  text(origin) {
    const providers = Object.fromEntries([...this.#providers.values()].map(({ name, row }) => [name, { ...row, models: row.models["*"] && Object.keys(row.models).length === 1 && Object.keys(row.models["*"]).length === 0 ? "*" : row.models }]));
    const routes = {};
    const aliases = {};
    for (const [name, targets] of this.#names) this.#place(name, targets, routes, aliases);
    for (const [alias, name] of this.#aliases) {
      if (this.#names.has(name)) aliases[alias] = routes[name] ? name : (aliases[name] ?? this.#names.get(name)[0].target);
      else this.note(alias, `its model ${name} was not carried over`);
    }
    const some = (map) => (Object.keys(map).length ? map : undefined);
    const document = { routes: some(routes), aliases: some(aliases), providers };
    return `# Carried over from ${origin} by \`llm-bridge import\`. Secrets are variables: docs/configuration.md lists every key.\n${stringify(JSON.parse(JSON.stringify(document)), { lineWidth: 140, flowCollectionPadding: true })}`;
  }

  /** One target is an alias, unless the name is the target's own; several are a route. */
  #place(name, targets, routes, aliases) {
    const owner = name.split("/")[0];
    const isOfProvider = name.includes("/") && [...this.#providers.values()].some((provider) => provider.name === owner);
    if (targets.length === 1) {
      const [{ target }] = targets;
      if (target === name) return;
      if (isOfProvider) this.note(name, `this name begins with a provider's, so it cannot lead to ${target}: call that`);
      else aliases[name] = target;
      return;
    }
    if (isOfProvider) return this.note(name, `this name begins with a provider's, so it cannot be a route over ${targets.map(({ target }) => target).join(", ")}`);
    const sorted = targets.toSorted((a, b) => a.rank - b.rank);
    const first = sorted.filter(({ rank }) => rank === sorted[0].rank);
    const attempts = this.attempts ? { attempts: Math.min(MAX_ATTEMPTS, Math.max(this.attempts, 2)) } : {};
    if (first.length === 1) routes[name] = this.attempts ? { ...attempts, targets: sorted.map(({ target }) => target) } : sorted.map(({ target }) => target);
    // Those of a later rank have weight 0: they come after the others.
    else routes[name] = { strategy: "weighted", ...attempts, targets: sorted.map(({ target, weight, rank }) => ({ model: target, weight: rank === sorted[0].rank ? scaled(weight, first) : 0 })) };
  }
}

/** Weights are integers up to 1000. */
function scaled(weight, all) {
  const most = Math.max(...all.map((row) => row.weight));
  const isFit = most <= MAX_WEIGHT && all.every((row) => Number.isInteger(row.weight));
  return isFit ? weight : Math.max(1, Math.round((weight / most) * MAX_WEIGHT));
}
