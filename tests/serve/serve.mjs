// Starts `llm-bridge serve` as an operator does, and reads what it prints.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { lock } from "../../scripts/serve/lock.mjs";
import { soon, until } from "../workerd/client.mjs";
import { ADMIN_KEY, Office } from "../workerd/office.mjs";

const MAIN = fileURLToPath(new URL("../../scripts/npm/llm-bridge.mjs", import.meta.url));
export const KEY = "caller-key-3141592653";
export const PROVIDER_KEY = "sk-provider-2718281828";
export const SECRETS = { ACCESS_API_KEYS: KEY, ADMIN_API_KEYS: ADMIN_KEY, FAKE_API_KEY: PROVIDER_KEY };
const started = new Set();
const folders = [];

process.once("exit", () => {
  for (const { processes } of started) kill(processes());
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function kill(pids) {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
}

/** A new folder, which is removed at the end of the tests. */
export function folder() {
  const path = mkdtempSync(join(tmpdir(), "llm-bridge-serve-"));
  folders.push(path);
  return path;
}

/** Writes a file into a new folder, and returns its path. */
export function file(name, text) {
  const path = join(folder(), name);
  writeFileSync(path, text);
  return path;
}

/** The configuration of a gateway whose provider is at `origin`. */
export const configuration = (origin, more = "") => `
providers:
  fake: { base_url: "${origin}/v1", models: { "*": { price: { input: 1, output: 2 }, context: 200000, max_output: 4000 } } }
  demo: { adapter: echo, models: { echo: {}, echo-slow: { echo: { first_delay_ms: 50, delay_ms: 200 } } } }
${more}`;

/** How long a command may take: some start workerd, npm or wrangler. */
const COMMAND_MS = 170_000;

/** Runs the command to its end. */
export async function run(words, env = {}, { cwd, main = MAIN, patience_ms = COMMAND_MS } = {}) {
  const child = spawn(process.execPath, [main, ...words], { cwd, env: { PATH: process.env.PATH, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (text += bytes));
  const code = await soon(new Promise((resolve) => child.on("close", resolve)), "the end of the command", patience_ms);
  return { code, text };
}

/**
 * Starts the gateway and waits for nothing. `config` is a path. Without `listen` it is a free port on
 * loopback. The lines of standard output and of standard error are in `lines` as they come: between the two
 * there is no order.
 */
export function launch({ config, data = join(folder(), "data"), listen = ["http://127.0.0.1:0"], words = [], env = SECRETS, isPrivate = true }) {
  const all = ["serve", "--config", config, "--data", data, ...listen.flatMap((url) => ["--listen", url]), ...(isPrivate ? ["--allow-private", "127.0.0.1"] : []), ...words];
  const child = spawn(process.execPath, [MAIN, ...all], { cwd: folder(), env: { PATH: process.env.PATH, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const lines = [];
  // All lines have been read by then.
  const exited = new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })));
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on("line", (line) => lines.push(line));
  const events = () => lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const gateway = {
    child,
    lines,
    data,
    events,
    exited,
    processes: () => [child.pid, gateway.workerd].filter(Boolean),
    seen: (event) => until(() => events().find((row) => row.event === event), `the event ${event}`),
    /** Ends both processes at once. */
    async crash() {
      kill(gateway.processes());
      await exited;
      // The kernel may close workerd's lock a moment after its output.
      await until(() => isFree(data), "the end of workerd");
    },
    /** Stops it as a service manager does, and returns how it ended. */
    stop() {
      child.kill("SIGTERM");
      return soon(exited, "the end of the gateway");
    },
  };
  started.add(gateway);
  return gateway;
}

/** Whether no process has a data directory. */
function isFree(data) {
  try {
    lock(data).release();
    return true;
  } catch {
    return false;
  }
}

/** The processes that have a data directory, by their names: written down before an address is told. */
export const owners = (data) => JSON.parse(readFileSync(join(data, "lock"), "utf8"));

/** Starts the gateway as {@link launch} does, and waits until it is ready. */
export async function serve({ listen = ["http://127.0.0.1:0"], ...options }) {
  const gateway = launch({ listen, ...options });
  const { child, lines, events, exited } = gateway;
  const addresses = () => events().filter(({ event }) => event === "serve_listening").map(({ message }) => /https?:\S+$/.exec(message)[0]);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  await until(() => addresses().length === listen.length || hasEnded(), "the addresses");
  if (hasEnded()) {
    await exited;
    throw new Error(`it did not start:\n${lines.join("\n")}`);
  }
  const { workerd } = owners(gateway.data);
  return Object.assign(gateway, { workerd, urls: addresses(), url: addresses()[0], office: new Office(addresses()[0]) });
}
