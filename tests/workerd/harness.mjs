// Starts the built gateway on real workerd with a test's configuration and secrets, and reads its output.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { COMPATIBILITY_DATE, OBJECTS, WORKER_MODULES } from "../../scripts/serve/capnp.mjs";
import { call } from "./client.mjs";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
// A folder with src/ and build/ as in this project.
const BUILD = process.env.GATEWAY_BUILD ?? PROJECT;
const WORKERD = join(PROJECT, "node_modules/workerd/bin/workerd");

// Modules that wrap the entry module are in this folder.
const ENTRIES = "tests/workerd";
// The path at which such a module takes commands from the test.
const CONTROL = "/test/control";
/** The `speed` of such a module's clock at which only `advance` moves it: what a test does takes no time. */
export const STILL = 1e-6;
/**
 * The `speed` at which the usual pauses of the gateway, some milliseconds, pass within a second or two, and none of its
 * deadlines while a test runs.
 */
export const SLOW = 0.01;
// The static files, which are deployed with the worker: the binding ASSETS.
const ASSETS = "build/assets";

/**
 * Starts a gateway. `config` is the text of config.yaml, `bindings` are secrets and variables, `assets` is
 * the folder of static files. `disk` is a folder for the data of Durable Objects; without it, they are lost
 * when the gateway stops. `entry` is a module of this folder that wraps the worker's entry module
 * (`production.mjs`), `build` the folder of the gateway to start, `modules` its modules if they are others (as
 * {@link WORKER_MODULES}, the entry module first), `v8Flags` are flags of the engine. `trusted`
 * are certificates (PEM) that the runtime itself trusts. `files` are files in the place of the build's, by their
 * paths there. `services` are Workers that the gateway has bindings to, by the names of these: `module` is a file of
 * this folder, `texts` are its variables.
 *
 * `stop()` of the result ends it, `logs()` returns the JSON lines that it has printed, `lines` all lines.
 */
export async function startGateway({ config, bindings = {}, build = BUILD, modules = WORKER_MODULES, assets = join(build, ASSETS), disk, entry, v8Flags = [], trusted = [], files = {}, services = {} }) {
  const folder = await mkdtemp(join(tmpdir(), "llm-bridge-"));
  await layOut(folder, { config, bindings, build, modules, assets, disk: disk ?? join(folder, "disk"), entry, v8Flags, trusted, files, services });
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
  /** The worker's output to the console. */
  lines = [];
  /** The errors of workerd itself. */
  complaints = [];
  #child;
  // The log is polled often: each line is parsed once.
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

  /** Waits until the worker responds, with any response. */
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

  /** The parsed log so far. Lines that are not JSON are skipped; the test of logs reports them. */
  logs() {
    for (; this.#parsed < this.lines.length; this.#parsed++) {
      const line = this.lines[this.#parsed];
      if (line.startsWith("{")) this.#entries.push(JSON.parse(line));
    }
    return this.#entries.slice();
  }

  /** The names of the bindings whose value occurs in `text`. */
  leaks(text = this.lines.join("\n")) {
    return Object.entries(this.#bindings)
      .filter(([, value]) => value && text.includes(value))
      .map(([name]) => name);
  }

  /** Sends a command to a wrapped entry module (`entry`) and returns its state. */
  async control(order = {}) {
    const answer = await fetch(this.url + CONTROL, { method: "POST", body: JSON.stringify(order) });
    if (!answer.ok) throw new Error(`the entry module takes no orders: ${answer.status}`);
    return answer.json();
  }

  /**
   * Sets the clock of a wrapped entry module forward, and has whole requests pass through the gateway: it has dealt with
   * what came before, and with what was due.
   */
  async pass(ms = 0) {
    await this.control({ advance: ms });
    for (let count = 0; count < 3; count++) await call(`${this.url}/health`);
  }

  async stop() {
    process.off("exit", this.#kill);
    this.#kill();
    await this.#exited;
    await rm(this.#folder, { recursive: true });
  }
}

/** Copies the worker's modules into `folder` and writes a configuration of workerd. */
async function layOut(folder, { config, bindings, build, modules: known, assets, disk, entry, v8Flags, trusted, files, services }) {
  await mkdir(disk, { recursive: true });
  const modules = known.filter(([name, kind]) => kind === "text" || existsSync(join(build, name)));
  const [[entryModule]] = modules;
  for (const [name, kind] of modules) {
    await mkdir(join(folder, dirname(name)), { recursive: true });
    // The only text is the configuration.
    await (kind === "text" ? writeFile(join(folder, name), config) : cp(files[name] ?? join(build, name), join(folder, name)));
  }
  if (entry) {
    modules.unshift([`${ENTRIES}/${entry}`, "esModule"]);
    await mkdir(join(folder, ENTRIES), { recursive: true });
    await cp(join(PROJECT, ENTRIES, entry), join(folder, ENTRIES, entry));
  }
  for (const { module } of Object.values(services)) await cp(join(PROJECT, ENTRIES, module), join(folder, module));
  const worker = await readFile(join(build, entryModule), "utf8");
  // Older builds do not have all.
  const objects = OBJECTS.filter(([, kind]) => worker.includes(kind));
  await writeFile(join(folder, "config.capnp"), capnp(bindings, { objects, assets, disk, modules, flags: entry ? ["experimental"] : [], v8Flags, trusted, others: services }));
}

function capnp(bindings, { objects: kinds, assets, disk, modules: all, flags, v8Flags, trusted, others }) {
  const modules = all.map(([name, kind]) => `(name = ${text(name)}, ${kind} = embed ${text(name)})`);
  const objects = kinds.map(([name, kind]) => `(name = ${text(name)}, durableObjectNamespace = ${text(kind)})`);
  const namespaces = kinds.map(([, kind]) => `(className = ${text(kind)}, uniqueKey = ${text(kind)}, enableSql = true)`);
  const tls = trusted.length > 0 ? `, tlsOptions = (trustedCertificates = ${list(trusted.map(text))})` : "";
  const services = [
    `(name = "main", worker = .gateway)`,
    `(name = "internet", network = (allow = ["local"]${tls}))`,
    `(name = "disk", disk = (path = ${text(disk)}, writable = true))`,
    `(name = "assets", disk = (path = ${text(assets)}))`,
    ...Object.entries(others).map(([name, { module, texts }]) => `(name = ${text(name)}, worker = (modules = [(name = ${text(module)}, esModule = embed ${text(module)})], compatibilityDate = ${text(COMPATIBILITY_DATE)}, bindings = ${list(variables(texts))}))`),
  ];
  const texts = variables(bindings);
  for (const [name, service] of [["ASSETS", "assets"], ...Object.keys(others).map((name) => [name, name])]) texts.push(`(name = ${text(name)}, service = ${text(service)})`);
  // The outbound network is loopback only: a test that calls a real provider fails.
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

const variables = (texts) => Object.entries(texts).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`);

const list = (rows) => `[${rows.map((row) => `\n    ${row},`).join("")}\n  ]`;

/** A capnp string. Its escapes are those of C, which equal JSON's for all that tests need. */
const text = (value) => JSON.stringify(value);

/** The port of workerd, as reported on its control pipe. */
async function listenedPort(control) {
  for await (const line of createInterface({ input: control })) {
    const message = JSON.parse(line);
    if (message.event === "listen") return message.port;
  }
}
