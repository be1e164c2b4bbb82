// `llm-bridge import`: a config.yaml from the configuration of another gateway. Secrets become names of variables.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Mistake } from "../serve/options.mjs";
import { guarded } from "./command.mjs";
import { fromLitellm } from "./from-litellm.mjs";
import { fromOneApi } from "./from-one-api.mjs";

const ORIGINS = { litellm: ["LiteLLM", fromLitellm], "one-api": ["One API", fromOneApi] };
const USAGE = "llm-bridge import litellm|one-api FILE [--to config.yaml] [--env .env.imported]";

export const main = (_, words) => guarded(() => {
  const { values, positionals: [origin, path, ...rest] } = parse(words);
  if (!Object.hasOwn(ORIGINS, origin ?? "") || !path || rest.length) throw new Mistake(USAGE);
  const [title, read] = ORIGINS[origin];
  for (const target of [values.to, values.env]) if (target && existsSync(target)) throw new Mistake(`${target} exists. Nothing was written.`);
  const moving = read(content(path));
  const text = moving.text(title);
  if (values.to) writeFileSync(values.to, text);
  else process.stdout.write(text);
  tell(moving, values.env);
  return 0;
});

function parse(words) {
  try {
    return parseArgs({ args: words, options: { to: { type: "string" }, env: { type: "string" } }, allowPositionals: true });
  } catch (fault) {
    throw new Mistake(`${fault.message}\n${USAGE}`);
  }
}

function content(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (fault) {
    throw new Mistake(`${path}: ${fault.message}`);
  }
}

/** Says which variables are needed, and what was not carried over. Values of secrets go to the file alone. */
function tell({ secrets, notes }, env) {
  const names = Object.keys(secrets).sort();
  const known = names.filter((name) => secrets[name] !== null);
  if (env) writeFileSync(env, known.map((name) => `${name}=${quoted(secrets[name])}\n`).join(""), { mode: 0o600 });
  if (names.length) console.error(`Variables to set: ${names.join(", ")}.`);
  if (known.length) console.error(env ? `${env} has those whose values stood in the file: ${known.join(", ")}.` : `The values of ${known.join(", ")} stood in the file; --env FILE writes them to a file of variables.`);
  if (notes.length) console.error(`Not carried over, or to be looked at:\n${notes.map((note) => `  ${note}`).join("\n")}`);
}

const quoted = (value) => (/^[\w.:/+=,@-]*$/.test(value) ? value : `'${value.replaceAll("'", "")}'`);
