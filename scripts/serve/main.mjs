// `llm-bridge serve`: the gateway on a machine of one's own. It starts workerd, gives it the configuration anew when
// the file changes, and stops it without losing receipts.

import { spawn } from "node:child_process";
import { lookup } from "node:dns/promises";
import { readFileSync, statSync } from "node:fs";
import { backup, restore } from "./backup.mjs";
import { envFiles, guarded } from "../npm/command.mjs";
import { command } from "./control.mjs";
import { variables } from "./environment.mjs";
import { lock } from "./lock.mjs";
import { CONSOLE, LogFile } from "./log-file.mjs";
import { Mistake, networks, readOptions, serveOptions, USAGE } from "./options.mjs";
import { stop } from "./stop.mjs";
import { start } from "./workerd.mjs";

/** How often the file is looked at. It also works where the system reports no changes: mounts, links. */
const WATCH_MS = 500;

function read(path, option) {
  try {
    return readFileSync(path, "utf8");
  } catch (fault) {
    throw new Mistake(`--${option} ${path}: ${fault.message}`);
  }
}

/** What of a file differs after it was written or replaced. null: there is none. */
function mark(path) {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join();
  } catch {
    return null;
  }
}

/** Writes a line of the launcher's own, as the gateway's log has them. */
function speaker(output) {
  const isTerminal = output === CONSOLE && process.stderr.isTTY;
  return (event, message, level = "info") => {
    const line = isTerminal ? message : JSON.stringify({ timestamp: new Date().toISOString(), level, event, message });
    output.write(Buffer.from(`${line}\n`));
  };
}

/** Gives the worker the configuration. Returns whether it serves it. */
async function configure({ control }, text, say) {
  const { faults, notes, kept_by_objects: kept } = await command(control, "/configuration", text);
  for (const fault of faults) say("serve_configuration_faulty", `${fault}`, "error");
  for (const note of notes) say("serve_configuration_note", note, "warning");
  if (kept.length) say("serve_configuration_note", `Restart for the whole of the changes in: ${kept.join(", ")}. Objects that are in use keep what they have read.`, "warning");
  return faults.length === 0;
}

/**
 * Serves the file anew when it changes, and when the process gets SIGHUP. `first` is what is served, `looked`
 * the mark of the file before that was read: what was saved since then is a change, too.
 */
function follow(path, { first, looked }, worker, output, say) {
  let current = first;
  let turn = Promise.resolve();
  const reload = (isAsked) => {
    turn = turn.then(async () => {
      const text = readFileSync(path, "utf8");
      if (text === current && !isAsked) return;
      const isServed = await configure(worker, text, say);
      current = text;
      if (isServed) say("serve_reloaded", `Serves ${path} as it is now.`);
      else say("serve_reload_refused", `${path} is faulty. The configuration before it is served until that is corrected.`, "error");
    }).catch((fault) => say("serve_reload_refused", `${path} could not be loaded: ${fault.message}. What was served is.`, "error"));
  };
  const timer = setInterval(() => {
    const now = mark(path);
    if (now === looked) return;
    looked = now;
    reload(false);
  }, WATCH_MS);
  process.on("SIGHUP", () => {
    output.reopen();
    reload(true);
  });
  return () => clearInterval(timer);
}

/** Tells systemd, if it started us. */
function notify(state) {
  if (process.env.NOTIFY_SOCKET) spawn("systemd-notify", [state], { stdio: "ignore" }).on("error", () => {});
}

async function serve(words) {
  // From here on, so that a signal during the start leaves no workerd behind.
  const stopping = signals();
  if (words.includes("--help")) {
    console.log(`Each option is also a variable: --log-file is LLM_BRIDGE_LOG_FILE.\n${USAGE}`);
    return 0;
  }
  const options = serveOptions(words, process.env);
  const looked = mark(options.config);
  const text = read(options.config, "config");
  const environment = variables(process.env, options.envFiles.length ? options.envFiles : envFiles(), text);
  const settings = {
    sockets: options.sockets,
    data: options.data,
    tls: options.tls && { certificate: read(options.tls.certificate, "tls-cert"), key: read(options.tls.key, "tls-key") },
    certificates: options.certificates.map((path) => read(path, "ca")),
    networks: await networks(options.privateHosts, lookup),
    variables: Object.keys(environment),
    trustedProxies: options.trustedProxies,
  };
  const held = lock(options.data);
  const output = options.log ? new LogFile(options.log) : CONSOLE;
  const say = speaker(output);
  const worker = await start({ settings, environment: { ...process.env, ...environment }, lockFd: held.fd, output: options.log && output });
  process.once("exit", () => worker.child.kill("SIGKILL"));
  held.note({ launcher: process.pid, workerd: worker.child.pid });
  if (!(await configure(worker, text, say))) {
    worker.child.kill("SIGKILL");
    await worker.exited;
    throw new Mistake(`${options.config} is faulty.`);
  }
  for (const { name, scheme, host } of options.sockets) say("serve_listening", `LLM Bridge listens on ${scheme}://${host}:${worker.ports[name]}`);
  notify("--ready");
  const unfollow = follow(options.config, { first: text, looked }, worker, output, say);
  const failed = await untilStopped(worker, options, say, stopping);
  unfollow();
  held.release();
  output.close();
  return failed ? 1 : 0;
}

/** The first signal to stop, and the second one, as promises. */
function signals() {
  const [first, second] = [Promise.withResolvers(), Promise.withResolvers()];
  let count = 0;
  for (const name of ["SIGTERM", "SIGINT"]) process.on(name, () => (count++ === 0 ? first : second).resolve(name));
  return { first: first.promise, second: second.promise };
}

/** Waits for a signal, and stops the worker; or for the worker's own end, which is a failure. Returns whether it is. */
async function untilStopped(worker, options, say, stopping) {
  const signal = await Promise.race([stopping.first, worker.exited.then(() => null)]);
  if (!signal) {
    const { code, signal: killed } = await worker.exited;
    say("serve_failed", `workerd has ended by itself (${killed ?? `status ${code}`}).`, "error");
    return true;
  }
  notify("--stopping");
  const left = await stop(worker, { delay: options.stopDelay, streams: options.stopStreams, say, hurry: stopping.second });
  const isWhole = left.requests === 0;
  say("serve_stopped", isWhole ? "Stopped." : `Stopped; ${left.requests} requests left no receipt.`, isWhole ? "info" : "error");
  return false;
}

function copy(name, words) {
  const { values, words: [folder, ...rest] } = readOptions(words, process.env, ["data"]);
  if (!folder || rest.length) throw new Mistake(`Name one folder: llm-bridge ${name} --data DIR FOLDER`);
  const count = name === "backup" ? backup(values.data, folder) : restore(folder, values.data);
  console.log(name === "backup" ? `Copied ${count} databases from ${values.data} to ${folder}.` : `Copied ${count} databases from ${folder} to ${values.data}.`);
  return 0;
}

const COMMANDS = { serve, backup: (words) => copy("backup", words), restore: (words) => copy("restore", words) };

/** Runs `serve`, `backup` or `restore`. Returns the status of the process. */
export function main(name, words) {
  // Its default action is to end the process.
  process.on("SIGHUP", () => {});
  return guarded(() => COMMANDS[name](words));
}
