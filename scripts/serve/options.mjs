// The options of `llm-bridge serve`: from the command line, else from the environment (`--log-file` is
// LLM_BRIDGE_LOG_FILE), else the default.

import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { range } from "./caller.mjs";

/** A mistake of the operator's, which needs no stack. */
export class Mistake extends Error {}

/** Name, default (a list: it may be given several times), what stands for its value, meaning. */
const OPTIONS = [
  ["config", "config.yaml", "FILE", "the configuration; a change is served without a restart"],
  ["data", "data", "DIR", "where keys, receipts and sessions are stored"],
  ["listen", ["http://127.0.0.1:1219"], "URL", "an address to listen on: http://HOST:PORT or https://HOST:PORT"],
  ["tls-cert", "", "FILE", "the chain of certificates for https, as PEM"],
  ["tls-key", "", "FILE", "its private key, as PEM"],
  ["ca", [], "FILE", "certificates that are trusted besides the public ones, as PEM"],
  ["trust-proxy", [], "RANGE", "proxies whose x-forwarded-for is believed: 10.0.0.0/8"],
  ["allow-private", [], "HOST", "private hosts that may be called: a name, an address, or a range"],
  ["env-file", [], "FILE", "variables, NAME=VALUE on each line; the environment goes before it"],
  ["log-file", "", "FILE", "where lines of the log are written, instead of to the console"],
  ["log-max-size", "10485760", "BYTES", "the size at which a new log file is begun"],
  ["log-backup-count", "5", "N", "how many earlier log files are kept: FILE.1 is the newest"],
  ["stop-delay", "0", "SECONDS", "at a stop: how long /ready says 503 before requests are refused"],
  ["stop-streams", "20", "SECONDS", "at a stop: how long responses may go on"],
];

export const USAGE = OPTIONS.map(([name, value, placeholder, meaning]) => {
  const preset = [value].flat().filter(Boolean).join(", ");
  return `  --${`${name} ${placeholder}`.padEnd(24)} ${meaning}${preset ? ` (${preset})` : ""}`;
}).join("\n");

const variable = (name) => `LLM_BRIDGE_${name.toUpperCase().replaceAll("-", "_")}`;

/** A listening address, as workerd takes it. */
function listener(url, index) {
  const parts = /^(https?):\/\/(\[[0-9a-fA-F:]+\]|[^:/[\]]+):(\d{1,5})\/?$/.exec(url);
  const [, scheme, host, port] = parts ?? [];
  if (!parts || port > 65535) throw new Mistake(`--listen ${url}: expected http://HOST:PORT or https://HOST:PORT.`);
  return { name: `listen${index}`, address: `${host}:${port}`, isTls: scheme === "https", scheme, host };
}

function number(values, name, most) {
  const value = Number(values[name]);
  if (!/^\d+(\.\d+)?$/.test(values[name]) || value > most) throw new Mistake(`--${name} ${values[name]}: expected a number from 0 to ${most}.`);
  return value;
}

/** The options of a command line. `environment` is `process.env`, `known` are the names that the command has. */
export function readOptions(words, environment, known = OPTIONS.map(([name]) => name)) {
  const rows = OPTIONS.filter(([name]) => known.includes(name));
  let parsed;
  try {
    parsed = parseArgs({ args: words, allowPositionals: true, options: Object.fromEntries(rows.map(([name, value]) => [name, { type: "string", multiple: Array.isArray(value) }])) });
  } catch (fault) {
    throw new Mistake(`${fault.message}\n${USAGE}`);
  }
  const values = {};
  for (const [name, preset] of rows) {
    const given = environment[variable(name)];
    const isList = Array.isArray(preset);
    values[name] = parsed.values[name] ?? (given ? (isList ? given.split(",") : given) : preset);
    if (isList) values[name] = values[name].flatMap((value) => value.split(",")).map((value) => value.trim()).filter(Boolean);
  }
  return { values, words: parsed.positionals };
}

/** The options of `serve`, checked. */
export function serveOptions(words, environment) {
  const { values, words: rest } = readOptions(words, environment);
  if (rest.length) throw new Mistake(`What is '${rest[0]}'? Options:\n${USAGE}`);
  const sockets = values.listen.map(listener);
  const hasTls = Boolean(values["tls-cert"] && values["tls-key"]);
  if (sockets.some(({ isTls }) => isTls) && !hasTls) throw new Mistake("An https address needs --tls-cert and --tls-key.");
  for (const proxy of values["trust-proxy"]) {
    if (!range(proxy)) throw new Mistake(`--trust-proxy ${proxy}: expected an address or a range such as 10.0.0.0/8.`);
  }
  return {
    sockets,
    config: values.config,
    data: values.data,
    tls: hasTls ? { certificate: values["tls-cert"], key: values["tls-key"] } : null,
    certificates: values.ca,
    trustedProxies: values["trust-proxy"],
    privateHosts: values["allow-private"],
    envFiles: values["env-file"],
    log: values["log-file"]
      ? { path: values["log-file"], maxSize: number(values, "log-max-size", 2 ** 40), backupCount: number(values, "log-backup-count", 1000) }
      : null,
    stopDelay: number(values, "stop-delay", 3600) * 1000,
    stopStreams: number(values, "stop-streams", 3600) * 1000,
  };
}

/** The addresses of hosts, as workerd's list of networks has them. `lookup` is that of node:dns/promises. */
export async function networks(hosts, lookup) {
  const found = new Set();
  for (const host of hosts) {
    const [address, length] = host.split("/");
    if (isIP(address)) {
      if (!range(host)) throw new Mistake(`--allow-private ${host}: expected a host, an address or a range such as 10.0.0.0/8.`);
      found.add(length === undefined ? `${address}/${isIP(address) === 4 ? 32 : 128}` : host);
      continue;
    }
    const answers = await lookup(host, { all: true }).catch((fault) => {
      throw new Mistake(`--allow-private ${host}: this name has no address (${fault.code ?? fault.message}).`);
    });
    for (const { address, family } of answers) found.add(`${address}/${family === 4 ? 32 : 128}`);
  }
  return [...found];
}
