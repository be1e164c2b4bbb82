// Starts the systems under test, each a process tree of its own, and reads their CPU time and memory from
// /proc.

import { execFile, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { OBJECTS, WORKER_MODULES } from "../scripts/serve/capnp.mjs";
import { askOnce } from "./load.mjs";

export const PROJECT = fileURLToPath(new URL("..", import.meta.url));
/** A folder with src/ and build/, as this project's own. */
const BUILD = process.env.GATEWAY_BUILD ?? PROJECT;
const WORKERD = join(PROJECT, "node_modules/workerd/bin/workerd");

/** The keys of callers and gateways; the fake provider accepts any. */
export const ACCESS_KEY = "sk-bench-caller";
export const PROVIDER_KEY = "sk-bench-provider";
export const ADMIN_KEY = "sk-bench-admin";

const TICK_MS = 10;

/** The folder of Durable Objects' databases: in memory if possible, so that the disk is not measured. */
const DISKS = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "llm-bridge-books-"));

// ── Processes
// ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const running = new Set();

/** Ends every process that was started, each with its process group, and deletes all databases. */
export function stopAll() {
  for (const program of running) program.kill();
  rmSync(DISKS, { recursive: true, force: true, maxRetries: 3 });
}

/** A running system under test. */
export class Program {
  #child;

  /** Starts a command that will answer on `port`. */
  constructor({ command, args, env = {}, cwd, log, port, inspector }) {
    const output = openSync(log, "w");
    this.log = log;
    this.port = port;
    this.inspector = inspector;
    this.started = performance.now();
    this.#child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", output, output], detached: true });
    this.exited = once(this.#child, "exit").catch(() => {});
    running.add(this);
  }

  get pid() {
    return this.#child.pid;
  }

  get alive() {
    return this.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Waits for the first successful response; returns the milliseconds since the start. */
  async answers(request, patience) {
    let fault;
    while (performance.now() - this.started < patience) {
      if (!this.alive) throw new Error(`it ended: ${lastLines(this.log)}`);
      fault = await askOnce({ port: this.port, request }).catch((fault) => fault);
      if (!fault) return performance.now() - this.started;
      await sleep(2);
    }
    throw new Error(`no good answer in ${patience / 1000} s: ${fault.message}`);
  }

  /** Milliseconds of CPU used by the process, its threads and its children. */
  cpu() {
    return tree(this.pid).reduce((sum, { ticks }) => sum + ticks, 0) * TICK_MS;
  }

  /** Megabytes that are resident. */
  memory() {
    return tree(this.pid).reduce((sum, { pid }) => sum + resident(pid), 0) / 1024;
  }

  kill() {
    running.delete(this);
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch {
      // It has ended already.
    }
  }

  async stop() {
    this.kill();
    await this.exited;
  }
}

const lastLines = (file) => readFileSync(file, "utf8").trim().split("\n").slice(-3).join(" / ").slice(-300);

/** A process and its descendants. */
function tree(root) {
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(stat).filter(Boolean);
  const found = all.filter(({ pid }) => pid === root);
  for (const { pid } of found) found.push(...all.filter(({ parent }) => parent === pid));
  return found;
}

function stat(pid) {
  const text = readProc(pid, "stat");
  // The command's name is in brackets and may contain anything; the fields after it count from the third.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [utime, stime, ofEndedChildren, andTheirs] = fields.slice(11, 15).map(Number);
  return text && { pid: Number(pid), parent: Number(fields[1]), ticks: utime + stime + ofEndedChildren + andTheirs };
}

/**
 * Milliseconds of CPU used by everything else on the machine; only the difference of two calls is meaningful.
 */
export function cpuOfOthers() {
  const [, user, nice, system, , , irq, softirq, steal] = readProc("", "stat").split("\n", 1)[0].split(/ +/).map(Number);
  const own = tree(process.pid).reduce((sum, { ticks }) => sum + ticks, 0);
  return (user + nice + system + irq + softirq + steal - own) * TICK_MS;
}

const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readProc(pid, "status"))?.[1] ?? 0);

function readProc(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return ""; // It has ended meanwhile.
  }
}

/** A free port. Another program may take it before it is used. */
export async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** The fake provider: `base(system)` is the URL that a system calls it by. */
export async function startUpstream() {
  const child = fork(fileURLToPath(new URL("upstream.mjs", import.meta.url)), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const [{ port }] = await once(child, "message");
  child.once("exit", (code) => code !== null && (console.error("The fake provider has died."), process.exit(1)));
  const ask = async (message) => {
    child.send(message);
    const [answer] = await once(child, "message");
    return answer;
  };
  return {
    port,
    base: (system) => `http://127.0.0.1:${port}/${system}/v1`,
    connections: (system) => ask({ ask: "count", system }),
    /** When the system last left a running response, since the last question: `{ at }` in microseconds. */
    left: (system) => ask({ ask: "left", system }),
    release: () => ask({ ask: "release" }),
    stop: () => child.kill("SIGKILL"),
  };
}

/** What is between the gateway and the fake provider in the figures of proxies (bench/relays.mjs), once it has been started. */
let relays;
export async function startRelays(port) {
  const child = fork(fileURLToPath(new URL("relays.mjs", import.meta.url)), [String(port)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  [relays] = await once(child, "message");
  return { stop: () => child.kill("SIGKILL") };
}

// ── Workers under `workerd serve`
// ────────────────────────────────────────────────────────────────────────────────────────────

/** The modules of a Worker: name, capnp type, and file or text. The first one is the entry. */
const bare = (file) => [[file, "esModule", join(PROJECT, "bench/workers", file)]];

const COUNTED = "bench/workers/counted.mjs";

function gateway(config, counted) {
  const files = WORKER_MODULES.filter(([name]) => name !== "build/config.yaml");
  // An older build may lack some of them.
  const parts = files.filter(([name]) => existsSync(join(BUILD, name))).map(([name, kind]) => [name, kind, join(BUILD, name)]);
  const entry = counted ? [[COUNTED, "esModule", join(PROJECT, COUNTED)]] : [];
  return [...entry, ...parts, ["build/config.yaml", "text", { text: config }]];
}

/** `row` adds keys to the provider `fake`, `more` sections. */
function gatewayConfig(base, { level = "error", output = "", row = "", more = "" }) {
  return `default_provider: fake
providers:
  fake:
    adapter: openai
    base_url: ${base}${row && `\n    ${row}`}
    models: "*"
  shown:
    adapter: openai
    base_url: ${base}
    api_key_env: FAKE_API_KEY
    stream_usage: show
    models: "*"
  priced:
    adapter: openai
    base_url: ${base}
    api_key_env: FAKE_API_KEY
    models: { "*": { price: { input: 0, output: 0, per_request: 0.000001 }, max_output: 1000 } }
  claude:
    adapter: anthropic
    base_url: ${base}
    api_key_env: FAKE_API_KEY
    models: "*"
  items:
    adapter: responses
    base_url: ${base}
    api_key_env: FAKE_API_KEY
    models: "*"
  google:
    adapter: gemini
    base_url: ${base}
    api_key_env: FAKE_API_KEY
    models: "*"
  demo:
    adapter: echo
    models: { long: { echo: { words: 600, delay_ms: 2 } } }
logging: { level: ${level}${output && `, output: { ${output} }`} }
${more}`;
}

/** The ways to the fake provider that differ in what is between: a provider of the configuration for each. */
export const WAYS = [
  { provider: "plain", label: "directly, http" },
  { provider: "secure", label: "directly, TLS by the runtime" },
  { provider: "forward", label: "HTTP proxy, http" },
  { provider: "tunnel", label: "HTTP proxy, TLS in the wasm" },
  { provider: "socks", label: "SOCKS5 proxy, TLS in the wasm" },
];

function relayedConfig(base) {
  const secure = base.replace(/^http:[/][/][^/]*/, `https://localhost:${relays.secure}`);
  const [http, socks] = [`proxy: http://127.0.0.1:${relays.http}`, `proxy: socks5://127.0.0.1:${relays.socks}`];
  const rows = { plain: [base], secure: [secure], forward: [base, http], tunnel: [secure, http], socks: [secure, socks] };
  const row = ([name, [url, via = "proxy: none"]]) => `  ${name}: { base_url: "${url}", api_key_env: FAKE_API_KEY, models: "*", ${via} }`;
  return `providers:\n  fake: { base_url: "${base}", models: "*" }\n${Object.entries(rows).map(row).join("\n")}\nlogging: { level: error }\nproxy: { ca: RELAY_CA }\n`;
}

/** Sections of the configuration that are off or empty by default. */
const ALL_ON = "reporting: { timezone: Asia/Kolkata, tags: [team] }\n";

const bareSecrets = (base) => ({ UPSTREAM: `${base}/chat/completions`, BASE: base.replace(/\/v1$/, ""), PROVIDER_KEY, ACCESS_KEY });
const gatewaySecrets = () => ({ ACCESS_API_KEYS: ACCESS_KEY, ADMIN_API_KEYS: ADMIN_KEY, FAKE_API_KEY: PROVIDER_KEY });

const worker = (name, label, plan) => ({ name, label, layOut: (folder, base) => layOut(plan, folder, base) });
const bareWorker = (name, label, { file = name, objects } = {}) =>
  worker(name, label, { modules: () => bare(`${file}.mjs`), bindings: bareSecrets, objects });
const gatewayAt = (name, label, { counted = false, patience, secrets = {}, ...config } = {}) =>
  worker(name, label, {
    modules: (base) => gateway(gatewayConfig(base, config), counted),
    bindings: () => ({ ...gatewaySecrets(), ...secrets }),
    objects: OBJECTS,
    patience,
  });

const relayed = worker("relayed", "LLM Bridge, providers behind proxies", {
  modules: (base) => gateway(relayedConfig(base), false),
  bindings: () => ({ ...gatewaySecrets(), RELAY_CA: relays.root }),
  objects: OBJECTS,
  trusted: () => [relays.root],
});

/** The gateway, with the calls and rows of its objects counted from outside. */
export const counting = gatewayAt("counted", "LLM Bridge, counted", { counted: true });
/**
 * The same, with everything on that operators can have: log files at level info, reports by tags, alerts, and
 * the export of traces, log records and metrics. `sink`: the URL that gets exports and notices.
 */
export const watching = (sink) =>
  gatewayAt("watched", "LLM Bridge, counted, with everything on", {
    counted: true,
    level: "info",
    output: "console: false, file: { path: logs }",
    more: `${ALL_ON}alerts: { spend_per_hour: 1000000, allow_private_addresses: true }
telemetry: { otlp: { endpoint: "${sink}", traces: true, logs: true, metrics: true } }
`,
    secrets: { ALERT_WEBHOOK_URL: `${sink}/alerts`, ALERT_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 7).toString("base64")}` },
  });

/**
 * A system with `figures` takes part only in those; an `optional` one may fail to start, as with an older
 * build.
 */
export const WORKERS = [
  bareWorker("pass", "(a) bare Worker, bytes through"),
  bareWorker("edit", "(b) bare Worker, parse and re-serialise"),
  bareWorker("transform", "(c) bare Worker, TransformStream per chunk"),
  { ...bareWorker("json", "(c′) bare Worker, parse and re-serialise each event"), figures: ["translation"] },
  { ...bareWorker("tapped", "(a′) bare Worker, tee and identity, read once a second"), figures: ["streams", "memory"] },
  { ...bareWorker("guarded", "(b′) JavaScript with the same guarantees, no receipts"), figures: ["requests", "instructions"] },
  {
    ...bareWorker("booked", "(b′) the same, receipts by batches to an object", { file: "guarded", objects: [["BOOKS", "Book"]] }),
    figures: ["requests", "instructions"],
  },
  {
    ...gatewayAt("alone", "(d) LLM Bridge without receipts and reports", { more: "accounting: { receipts: false }\nreporting: { enabled: false }\n" }),
    figures: ["requests", "instructions"],
    optional: true,
  },
  gatewayAt("gateway", "(d) LLM Bridge, log level error"),
  gatewayAt("info", "(d′) LLM Bridge, log level info", { level: "info" }),
  {
    ...gatewayAt("unkept", "no accounting (accounting.receipts: false)", { more: "accounting: { receipts: false }\n", patience: 3_000 }),
    figures: ["accounting"],
    optional: true,
  },
  {
    ...gatewayAt("unreported", "without reports and metrics (reporting.enabled: false)", { more: "reporting: { enabled: false }\n" }),
    figures: ["watching"],
    optional: true,
  },
  {
    ...gatewayAt("filed", "with log files, reports by tags", { level: "info", output: "console: false, file: { path: logs }", more: ALL_ON }),
    figures: ["watching"],
  },
  {
    ...gatewayAt("region", "(d) LLM Bridge, through an object of a region", { row: "region: wnam", more: "regions: { trace: none }\n", patience: 3_000 }),
    figures: ["region"],
    optional: true,
  },
  { ...gatewayAt("free", "(d) LLM Bridge with plan: free", { more: "plan: free\n", patience: 3_000 }), figures: ["isolate"], optional: true },
  { ...gatewayAt("books", "LLM Bridge with keys of all kinds"), figures: ["accounting"] },
  { ...counting, figures: ["accounting"] },
  { ...relayed, figures: ["proxies"] },
];

/**
 * Prepares a Worker in `folder` and returns how to start it: `named` reports its functions to perf, `inspected`
 * opens its inspector, and `emulated` is the command of an emulator.
 */
async function layOut({ modules, bindings, objects = [], trusted = () => [], patience = 20_000 }, folder, base) {
  await mkdir(folder, { recursive: true });
  const parts = modules(base);
  for (const [name, , source] of parts) {
    await mkdir(join(folder, name, ".."), { recursive: true });
    await (source.text === undefined ? copyFile(source, join(folder, name)) : writeFile(join(folder, name), source.text));
  }
  const settings = await deployedAs();
  return async ({ named = false, inspected = false, emulated = [] } = {}) => {
    const port = await freePort();
    const inspector = inspected ? await freePort() : undefined;
    // Each start begins with empty databases.
    const disk = await mkdtemp(join(DISKS, "disk-"));
    await writeFile(join(folder, "config.capnp"), capnp({ parts, bindings: bindings(base), objects, trusted: trusted(), disk, port, settings, named }));
    const options = inspected ? [`--inspector-addr=127.0.0.1:${inspector}`] : [];
    const [command, ...args] = [...emulated, WORKERD, "serve", join(folder, "config.capnp"), ...options];
    // An emulator is slow.
    const wait = emulated.length > 0 ? 10 * patience : patience;
    return { command, args, cwd: folder, log: join(folder, `log-${port}`), port, inspector, patience: wait };
  };
}

/** The compatibility date and flags of the gateway's deployment, used for all Workers here. */
async function deployedAs() {
  const toml = readFileSync(join(PROJECT, "wrangler.toml"), "utf8").replace(/^\s*#.*$/gm, "");
  const [, date] = /^compatibility_date = (".*?")/m.exec(toml);
  const [, flags] = /^compatibility_flags = (\[[^\]]*\])/m.exec(toml) ?? [, "[]"];
  return { date, flags: flags.replace(/,\s*\]/, "]") };
}

function capnp({ parts, bindings, objects, trusted, disk, port, settings, named }) {
  const modules = parts.map(([name, kind]) => `(name = ${text(name)}, ${kind} = embed ${text(name)})`);
  const texts = Object.entries(bindings).map(([name, value]) => `(name = ${text(name)}, text = ${text(value)})`);
  const kept = objects.length === 0 ? { bindings: [], services: [], storage: "" } : keptOnDisk(objects, disk);
  const tls = trusted.length > 0 ? `, tlsOptions = (trustedCertificates = [${trusted.map(text).join(", ")}])` : "";
  // The outbound network is loopback only.
  const services = [`(name = "main", worker = .worker)`, `(name = "internet", network = (allow = ["local"]${tls}))`, ...kept.services];
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [${services.join(", ")}],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
  v8Flags = [${named ? text("--perf-basic-prof") : ""}],
);

const worker :Workerd.Worker = (
  modules = [${modules.join(", ")}],
  compatibilityDate = ${settings.date},
  compatibilityFlags = ${settings.flags},
  bindings = [${[...texts, ...kept.bindings].join(", ")}],
  ${kept.storage}
);
`;
}

/** Durable Objects, whose databases need a disk, and the static files of the build. */
function keptOnDisk(objects, disk) {
  const namespaces = objects.map(([, kind]) => `(className = ${text(kind)}, uniqueKey = ${text(kind)}, enableSql = true)`);
  return {
    bindings: [
      ...objects.map(([name, kind]) => `(name = ${text(name)}, durableObjectNamespace = ${text(kind)})`),
      `(name = "ASSETS", service = "assets")`,
    ],
    services: [
      `(name = "disk", disk = (path = ${text(disk)}, writable = true))`,
      `(name = "assets", disk = (path = ${text(join(BUILD, "build/assets"))}))`,
    ],
    storage: `durableObjectNamespaces = [${namespaces.join(", ")}],
  durableObjectStorage = (localDisk = "disk"),`,
  };
}

/** A capnp string; its escapes are those of C, which equal JSON's for the strings used here. */
const text = (value) => JSON.stringify(value);

/** The output of a command, or undefined if it cannot be run. */
export function printed(command, args, options) {
  return new Promise((resolve) => execFile(command, args, options, (fault, output) => resolve(fault ? undefined : output.trim())));
}

export const version = { workerd: () => printed(WORKERD, ["--version"]), rust: () => printed("rustc", ["--version"], { cwd: PROJECT }) };
