// `llm-bridge check`: what the gateway would say of a configuration. The gateway itself reads it, without a socket
// and on a data directory that is thrown away.

import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command } from "../serve/control.mjs";
import { variables } from "../serve/environment.mjs";
import { Mistake } from "../serve/options.mjs";
import { start } from "../serve/workerd.mjs";
import { envFiles, guarded } from "./command.mjs";

const SILENT = { write() {} };

export const main = (_, words) => guarded(async () => {
  const [path = "config.yaml", ...rest] = words;
  if (rest.length || path.startsWith("-")) throw new Mistake("Name one file: llm-bridge check [FILE]");
  let text;
  try {
    text = readFileSync(path, "utf8");
  } catch (fault) {
    throw new Mistake(`${path}: ${fault.message}`);
  }
  const { faults, notes } = await ask(text);
  for (const fault of faults) console.error(`${path}: ${fault}`);
  for (const note of notes) console.log(`${path}: note: ${note}`);
  console.log(faults.length ? `${path} is faulty.` : `${path} is sound.`);
  return faults.length ? 1 : 0;
});

async function ask(text) {
  const data = mkdtempSync(join(tmpdir(), "llm-bridge-check-"));
  const environment = variables(process.env, envFiles(), text);
  const settings = { sockets: [], data, tls: null, certificates: [], networks: [], variables: Object.keys(environment), trustedProxies: [] };
  try {
    const worker = await start({ settings, environment: { ...process.env, ...environment }, lockFd: openSync("/dev/null", "r"), output: SILENT });
    try {
      return await command(worker.control, "/configuration", text);
    } finally {
      worker.child.kill("SIGKILL");
      await worker.exited;
    }
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}
