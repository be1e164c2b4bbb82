// The configuration of workerd: the worker with its bindings, its sockets, and the networks that it may reach.

export const COMPATIBILITY_DATE = "2026-11-17";
const COMPATIBILITY_FLAGS = ["global_fetch_strictly_public", "no_nodejs_compat", "no_nodejs_compat_v2"];

/** The modules of the worker as it is deployed, by their paths in the build: path, kind. The first is the entry module. */
export const WORKER_MODULES = [
  ["src/worker.mjs", "esModule"],
  ["src/wasm-failure.mjs", "esModule"],
  ["src/tunnel.mjs", "esModule"],
  ["src/runtime.mjs", "esModule"],
  ["src/zones.mjs", "esModule"],
  ["build/index.js", "esModule"],
  ["build/index_bg.wasm", "wasm"],
  ["build/tunnel.js", "esModule"],
  ["build/tunnel_bg.wasm", "wasm"],
  ["build/config.yaml", "text"],
];

/** The modules under `serve`. The configuration at the start is empty: the launcher sends it. */
export const MODULES = [
  ["scripts/serve/worker.mjs", "esModule"],
  ["scripts/serve/caller.mjs", "esModule"],
  ["scripts/serve/files.mjs", "esModule"],
  ["scripts/serve/refusal.mjs", "esModule"],
  ["scripts/serve/work.mjs", "esModule"],
  ...WORKER_MODULES,
];

/** The Durable Objects: binding, class. */
export const OBJECTS = [
  ["ACCOUNTS", "Account"],
  ["DIRECTORY", "Directory"],
  ["SESSIONS", "Session"],
  ["VAULTS", "Vault"],
  ["HEALTH", "Health"],
  ["LOG_FILES", "LogFiles"],
  ["OPERATIONS", "Operations"],
  ["REGIONS", "Region"],
];

/** Bindings that are no variables. */
const TAKEN = new Set([...OBJECTS.map(([name]) => name), "ASSETS", "LOGS"]);

/** Whether a variable of the environment is given to the worker: it reads those that the configuration names. */
export const isVariable = (name) => /^[A-Z][A-Z0-9_]{0,127}$/.test(name) && !TAKEN.has(name);

/** A text in capnp. Its escapes are those of C, which JSON's equal for what can stand in paths and names. */
const text = (value) => JSON.stringify(value);
const list = (rows) => `[${rows.map((row) => `\n    ${row},`).join("")}\n  ]`;

function socket({ name, address, isTls }, tls) {
  const keypair = tls && `keypair = (privateKey = ${text(tls.key)}, certificateChain = ${text(tls.certificate)})`;
  const protocol = isTls ? `https = (options = (), tlsOptions = (${keypair}))` : "http = ()";
  return `(name = ${text(name)}, address = ${text(address)}, ${protocol}, service = "main")`;
}

/**
 * The text of the configuration. `sockets` have a name, an address, and `isTls`; `control` is the path of the
 * launcher's own socket. `networks` are what may be reached, besides the public internet. `variables` are names in
 * the environment of the process.
 */
export function capnp({ sockets, control, tls, networks, certificates, data, assets, variables, trustedProxies }) {
  const trust = `tlsOptions = (trustBrowserCas = true, trustedCertificates = ${list(certificates.map(text))})`;
  const services = [
    `(name = "main", worker = .gateway)`,
    `(name = "internet", network = (allow = ${list(["public", ...networks].map(text))}, ${trust}))`,
    `(name = "data", disk = (path = ${text(data)}, writable = true))`,
    `(name = "assets", disk = (path = ${text(assets)}))`,
  ];
  const bindings = [
    ...variables.map((name) => `(name = ${text(name)}, fromEnvironment = ${text(name)})`),
    `(name = "LLM_BRIDGE_TRUSTED_PROXIES", text = ${text(trustedProxies.join(","))})`,
    `(name = "ASSETS", service = "assets")`,
    ...OBJECTS.map(([name, kind]) => `(name = ${text(name)}, durableObjectNamespace = ${text(kind)})`),
  ];
  const own = `(name = "control", address = ${text(`unix:${control}`)}, http = (), service = (name = "main", entrypoint = "Control"))`;
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = ${list(services)},
  sockets = ${list([own, ...sockets.map((row) => socket(row, tls))])},
);

const gateway :Workerd.Worker = (
  modules = ${list(MODULES.map(([name, kind]) => `(name = ${text(name)}, ${kind} = embed ${text(name)})`))},
  compatibilityDate = ${text(COMPATIBILITY_DATE)},
  compatibilityFlags = ${list(COMPATIBILITY_FLAGS.map(text))},
  bindings = ${list(bindings)},
  durableObjectNamespaces = ${list(OBJECTS.map(([, kind]) => `(className = ${text(kind)}, uniqueKey = ${text(kind)}, enableSql = true)`))},
  durableObjectStorage = (localDisk = "data"),
);
`;
}
