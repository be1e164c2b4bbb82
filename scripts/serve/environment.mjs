// The variables of the worker: from the environment, from files that `NAME_FILE` names, and from --env-file.

import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { isVariable } from "./capnp.mjs";
import { Mistake } from "./options.mjs";

const FILE = "_FILE";
/** Our own options, some of which are files. */
const OPTION = /^LLM_BRIDGE_/;
/** How names of secrets end. Other variables that end in _FILE may be about something else. */
const SECRET = /_(KEYS?|SECRET|URL|PROXY|HEADERS|TOKEN)$/;

/** A secret is a line. */
const MAX_LENGTH = 65_536;

/** The variables, by name. `configuration` is the text of the file: it names some. */
export function variables(environment, envFiles, configuration) {
  const all = { ...Object.assign({}, ...envFiles.map(read)), ...environment };
  for (const [name, path] of Object.entries(all)) {
    const target = name.slice(0, -FILE.length);
    const isSecret = SECRET.test(target) || new RegExp(`\\b${target}\\b`).test(configuration);
    if (!name.endsWith(FILE) || OPTION.test(name) || !isVariable(target) || !isSecret || !path) continue;
    if (all[target] !== undefined) throw new Mistake(`Both ${target} and ${name} are set. Set one of them.`);
    all[target] = content(name, path);
  }
  return Object.fromEntries(Object.entries(all).filter(([name]) => isVariable(name)));
}

function read(path) {
  try {
    return parseEnv(readFileSync(path, "utf8"));
  } catch (fault) {
    throw new Mistake(`--env-file ${path}: ${fault.message}`);
  }
}

/** The text of a file without the line break at its end. */
function content(name, path) {
  let text;
  try {
    text = readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch (fault) {
    throw new Mistake(`${name}: ${fault.message}`);
  }
  if (text.length > MAX_LENGTH) throw new Mistake(`${name}: ${path} has ${text.length} characters, which is more than ${MAX_LENGTH}.`);
  return text;
}
