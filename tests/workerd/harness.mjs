// Starts the built gateway on a real workerd, with a configuration and secrets of the test's own, and watches what it prints.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
// A folder with src/ and build/, as this project's own.
const BUILD = process.env.GATEWAY_BUILD ?? PROJECT;
const WORKERD = join(PROJECT, "node_modules/workerd/bin/workerd");
const COMPATIBILITY_DATE = "2026-11-17";

// Modules that wrap the entry module stand beside this one.
const ENTRIES = "tests/workerd";
// The path at which such a module takes orders of the test.
const CONTROL = "/test/control";
/** The `speed` of such a module's clock at which it stands still, but for `advance`: what a test does takes no time. */
export const STILL = 1e-6;
// The worker as it is deployed: module's name, capnp's kind of it. The first one is the entry; the configuration is written by the test.
const CONFIG_MODULE = "build/config.yaml";
const MODULES = [
  ["src/worker.mjs", "esModule"],
  // Older builds have none.
  ["src/wasm-failure.mjs", "esModule"],
  ["build/index.js", "esModule"],
  ["build/index_bg.wasm", "wasm"],
  [CONFIG_MODULE, "text"],
];

// The Durable Objects: binding, class.
const OBJECTS = [
  ["ACCOUNTS", "Account"],
  ["DIRECTORY", "Directory"],
  ["SESSIONS", "Session"],
  ["VAULTS", "Vault"],
];
// Static files, which on Cloudflare are deployed beside the worker: the binding ASSETS.
const ASSETS = "build/assets";

/**
 * Starts one gateway. `config` is the text of config.yaml, `bindings` the secrets and variables, `assets` the folder of static files;
 * `disk` is a folder for what Durable Objects keep, which is else forgotten when the gateway stops; `entry` is a module beside this one
 * that wraps the worker's entry module (`production.mjs`); `build` is the folder of the gateway that is started; `v8Flags` are the engine's.
 *
 * The result's `stop()` ends it; `logs()` are the JSON lines it has printed, `lines` all of them.
 */
export async function startGateway({ config, bindings = {}, build = BUILD, assets = join(build, ASSETS), disk, entry, v8Flags = [] }) {
  const folder = await mkdtemp(join(tmpdir(), "llm-bridge-"));
  await layOut(folder, { config, bindings, build, assets, disk: disk ?? join(folder, "disk"), entry, v8Flags });
  const flags = ["--control-fd=3", ...(entry ? ["--experimental"] : [])];
  const child = spawn(WORKERD, ["serve", ...flags, join(folder, "config.capnp")], { stdio: ["ignore", "pipe", "pipe", "pipe"] });
  const gateway = new Gateway(child, folder, bindings);
  try {
    await gateway.listening();
  } catch (fault) {
    await gateway.stop();
    throw fault;
  }
  return gateway;
}

class Gateway {
  /** What the worker wrote on its console. */
  lines = [];
  /** What workerd itself complained of. */
  complaints = [];
  #child;
  // The log is asked for again and again: each line is parsed once.
  #parsed = 0;
  #entries = [];
  #folder;
  #bindings;
  #exited;
  #kill = () => this.#child.kill("SIGKILL");

  constructor(child, folder, bindings) {
    this.#child = child;
    this.#folder = folder;
    this.#bindings = bindings;
    this.#exited = new Promise((resolve) => child.on("close", resolve));
    // A test that dies before its clean-up must not leave a server behind.
    process.once("exit", this.#kill);
    createInterface({ input: child.stdout }).on("line", (line) => this.lines.push(line));
    createInterface({ input: child.stderr }).on("line", (line) => this.complaints.push(line));
  }

  /** Waits until the worker answers; any answer will do. */
  async listening() {
    const port = await Promise.race([listenedPort(this.#child.stdio[3]), this.#exited]);
    if (!this.alive) throw new Error(`workerd did not start:\n${this.complaints.join("\n")}`);
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    await fetch(`${this.url}/health`).then((response) => response.arrayBuffer());
  }

  get pid() {
    return this.#child.pid;
  }

  get alive() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The log so far, parsed; a line that is no JSON is left to the test of logs to complain of. */
  logs() {
    for (; this.#parsed < this.lines.length; this.#parsed++) {
      const line = this.lines[this.#parsed];
      if (line.startsWith("{")) this.#entries.push(JSON.parse(line));
    }
    return this.#entries.slice();
  }

  /** The names of the bindings whose value stands somewhere in `text`. */
  leaks(text = this.lines.join("\n")) {
    return Object.entries(this.#bindings)
      .filter(([, value]) => value && text.includes(value))
      .map(([name]) => name);
  }

  /** An order to a wrapped entry module (`entry`): what it says of its state. */
  async control(order = {}) {
    const answer = await fetch(this.url + CONTROL, { method: "POST", body: JSON.stringify(order) });
    if (!answer.ok) throw new Error(`the entry module takes no orders: ${answer.status}`);
    return answer.json();
  }

  async stop() {
    process.off("exit", this.#kill);
    this.#kill();
    await this.#exited;
    await rm(this.#folder, { recursive: true });
  }
}

/** Copies the worker's modules into `folder`, beside a generated configuration of workerd. */
async function layOut(folder, { config, bindings, build, assets, disk, entry, v8Flags }) {
  await mkdir(disk, { recursive: true });
  const modules = MODULES.filter(([name]) => name === CONFIG_MODULE || existsSync(join(build, name)));
  for (const [name] of modules) {
    await mkdir(join(folder, dirname(name)), { recursive: true });
    await (name === CONFIG_MODULE ? writeFile(join(folder, name), config) : cp(join(build, name), join(folder, name)));
  }
  if (entry) {
    modules.unshift([`${ENTRIES}/${entry}`, "esModule"]);
    await mkdir(join(folder, ENTRIES), { recursive: true });
    await cp(join(PROJECT, ENTRIES, entry), join(folder, ENTRIES, entry));
  }
  await writeFile(join(folder, "config.capnp"), capnp(bindings, { assets, disk, modules, flags: entry ? ["experimental"] : [], v8Flags }));
}

function capnp(bindings, { assets, disk, modules: all, flags, v8Flags }) {
  const modules = all.map(([name, kind]) => `(name = ${text(name)}, ${kind} = embed ${text(name)})`);
  const objects = OBJECTS.map(([name, kind]) => `(name = ${text(name)}, durableObjectNamespace = ${text(kind)})`);
  const namespaces = OBJECTS.map(([, kind]) => `(className = ${text(kind)}, uniqueKey = ${text(kind)}, enableSql = true)`);
  const services = [
    `(name = "main", worker = .gateway)`,
    `(name = "internet", network = (allow = ["local"]))`,
    `(name = "disk", disk = (path = ${text(disk)}, writable = true))`,
    `(name = "assets", disk = (path = ${text(assets)}))`,
  ];
  const texts = Object.entries(bindings).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`);
  texts.push(`(name = "ASSETS", service = "assets")`);
  // The outbound network is loopback alone: a test that calls a real provider is a fault.
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = ${list(services)},
  v8Flags = ${list(v8Flags.map(text))},
  sockets = ${list([`(name = "http", address = "127.0.0.1:0", http = (), service = "main")`])},
);

const gateway :Workerd.Worker = (
  modules = ${list(modules)},
  compatibilityDate = ${text(COMPATIBILITY_DATE)},
  compatibilityFlags = ${list(["global_fetch_strictly_public", ...flags].map(text))},
  bindings = ${list([...texts, ...objects])},
  durableObjectNamespaces = ${list(namespaces)},
  durableObjectStorage = (localDisk = "disk"),
);
`;
}

const list = (rows) => `[${rows.map((row) => `\n    ${row},`).join("")}\n  ]`;

/** A capnp string; its escapes are C's, which for what tests need are JSON's. */
const text = (value) => JSON.stringify(value);

/** The port that workerd took, as it says on its control pipe. */
async function listenedPort(control) {
  for await (const line of createInterface({ input: control })) {
    const message = JSON.parse(line);
    if (message.event === "listen") return message.port;
  }
}
