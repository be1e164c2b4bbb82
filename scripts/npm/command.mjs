// What the commands of the package share.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Mistake } from "../serve/options.mjs";

/** The folder of the package: with src/, build/, scripts/ as in the project. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const ENV_FILE = ".env";

/** The file of variables in this folder, if there is one, as options of `serve`. */
export const envFiles = () => (existsSync(ENV_FILE) ? [ENV_FILE] : []);

/** Runs a command; a mistake of the operator's needs no stack. Returns the status. */
export async function guarded(command) {
  try {
    return await command();
  } catch (fault) {
    console.error(fault instanceof Mistake ? fault.message : fault);
    return fault instanceof Mistake ? 2 : 1;
  }
}

/** The text of a configuration that has the line `# plan: free`, with that line in force. */
export function onFreePlan(text) {
  const chosen = text.replace(/^# (plan: free)$/m, "$1");
  if (chosen === text) throw new Error("the configuration has no line `# plan: free`");
  return chosen;
}

/** A file of the package. */
export const packaged = (...names) => join(ROOT, ...names);
