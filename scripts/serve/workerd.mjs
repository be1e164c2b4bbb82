// Starts workerd with the modules of the build, in a folder of its own.

import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { capnp, MODULES } from "./capnp.mjs";

/** The build: a folder with src/, build/ and scripts/serve/ as in this project. */
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ASSETS = join(ROOT, "build/assets");

/**
 * Starts workerd; `settings` are those of {@link capnp}. The file with the number `lockFd` stays open as long as
 * it runs. `output` takes its lines; without it, they go to the console.
 */
export async function start({ settings, environment, lockFd, output }) {
  const folder = mkdtempSync(join(tmpdir(), "llm-bridge-"));
  const control = join(folder, "control");
  layOut(folder, capnp({ ...settings, control, assets: ASSETS, data: resolve(settings.data) }));
  // The package knows where the binary of this platform is.
  const binary = createRequire(import.meta.url)("workerd").default;
  // In a group of its own: Ctrl-C is for the launcher, which stops the worker in order.
  const pipe = output ? "pipe" : "inherit";
  const child = spawn(binary, ["serve", "--control-fd=3", join(folder, "config.capnp")], { stdio: ["ignore", pipe, pipe, "pipe", lockFd], env: environment, detached: true });
  child.stdout?.on("data", (bytes) => output.write(bytes));
  child.stderr?.on("data", (bytes) => output.write(bytes));
  const exited = new Promise((done) => child.on("close", (code, signal) => done({ code, signal })));
  exited.then(() => rmSync(folder, { recursive: true, force: true }));
  const count = settings.sockets.length + 1;
  const ports = await Promise.race([listening(child.stdio[3], count), exited.then(() => null)]);
  if (!ports) throw new Error("workerd did not start; its own message is above");
  return { child, control, ports, exited };
}

function layOut(folder, configuration) {
  for (const [name, kind] of MODULES) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    if (kind === "text") writeFileSync(path, "");
    else cpSync(join(ROOT, name), path);
  }
  writeFileSync(join(folder, "config.capnp"), configuration, { mode: 0o600 });
}

/** The ports of all sockets by their names, as workerd reports them. */
async function listening(pipe, count) {
  const ports = {};
  for await (const line of createInterface({ input: pipe })) {
    const { event, socket, port } = JSON.parse(line);
    if (event === "listen") ports[socket] = port;
    if (Object.keys(ports).length === count) return ports;
  }
  return null;
}
