// A coding agent in a folder of its own, before the built gateway, before a strict fake of a provider that plays the
// model. The agent is asked to change one word of a file, and the model does it through the agent's tools.

import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startFormats } from "../workerd/fake-formats.mjs";
import { startGateway } from "../workerd/harness.mjs";
import { AGENTS, KEY } from "./agents.mjs";

export const TOOLS = process.env.CLIS ?? fileURLToPath(new URL("../../.tools/clis", import.meta.url));
const NODE = fileURLToPath(new URL("../../node_modules/node/bin/node", import.meta.url));
/** Why the agents cannot be started, or false. */
export const MISSING = existsSync(join(TOOLS, "node_modules/.package-lock.json")) ? false : "run `make test-clis`, which installs them";

// An agent that hangs is killed. The longest that ends by itself repeats a call ten times, with pauses.
const LIMIT_MS = 500_000;
/** The options of a test that has an agent work: more than an agent, a gateway and a provider may take. */
export const PATIENT = { timeout: LIMIT_MS + 100_000 };

export const FILE = "greeting.txt";
export const BEFORE = "Hello, world!\n";
export const AFTER = "Hallo, world!\n";
export const PROMPT = `Change Hello to Hallo in ${FILE}.`;
/** The last words of the model, in the pieces of a stream. */
export const WORDS = ["The ", "greeting ", "in the ", "file ", "is ", "German ", "now."];

const PATCH = `*** Begin Patch\n*** Update File: ${FILE}\n@@\n-${BEFORE}+${AFTER}*** End Patch\n`;
/** The arguments of a tool that replaces a text, by the names of its fields. */
const replacing = (file, before, after, more = {}) => (path) => ({ [file]: path, [before]: "Hello", [after]: "Hallo", ...more });

/**
 * The tools of the agents by which the model reads the file, and those by which it changes it, with their arguments.
 * The first that is offered is called.
 */
const READERS = {
  exec_command: () => ({ cmd: `cat ${FILE}` }),
  read_file: (path) => ({ file_path: path }),
  read: (path) => ({ filePath: path }),
  Read: (path) => ({ file_path: path }),
};
const EDITORS = {
  // opencode's is a function, and Codex's is a custom tool, of which the gateway makes a function where it has to.
  apply_patch: (path, body) => ({ [JSON.stringify(body.tools).includes("patchText") ? "patchText" : "input"]: PATCH }),
  exec_command: () => ({ cmd: `apply_patch <<'EOF'\n${PATCH}EOF` }),
  replace: replacing("file_path", "old_string", "new_string", { instruction: "Greet in German." }),
  edit: replacing("filePath", "oldString", "newString"),
  Edit: replacing("file_path", "old_string", "new_string"),
};

/** The model, which notes in `called` the names of the tools that it calls: it reads the file, changes it, and says so. It has no other use for a prompt without tools than some words. */
const playTools = (path, called) => ({ step, tools, body }) => {
  const [kind, thought] = [[READERS, "I have to read the file."], [EDITORS, "It says Hello."]][step] ?? [];
  const name = Object.keys(kind ?? {}).find((name) => tools.includes(name));
  if (name) {
    called.push(name);
    return { thought, calls: [{ name, args: kind[name](path, body) }] };
  }
  return { words: WORDS };
};

/** The providers: what a row of the configuration says of each, the model that is asked for, and the key. */
export const PROVIDERS = {
  openai: { row: "", model: "gpt-4.1", key: "key-of-openai" },
  anthropic: { row: "adapter: anthropic,", model: "claude-sonnet-4-5", key: "key-of-anthropic" },
  gemini: { row: "adapter: gemini,", model: "gemini-2.5-flash", key: "key-of-gemini" },
  responses: { row: "adapter: responses,", model: "gpt-5.4", key: "key-of-responses" },
};

/**
 * Has `agent`, a name of {@link AGENTS} or one itself, do its task by the model of `provider`, and returns everything that
 * came of it. `fault` is as in {@link startFormats}.
 */
export async function work({ agent, provider, fault }) {
  const folder = await mkdtemp(join(tmpdir(), "llm-bridge-clis-"));
  const [home, here] = [join(folder, "home"), join(folder, "project")];
  const path = join(here, FILE);
  const { row, model, key } = PROVIDERS[provider];
  const called = [];
  const { bin, program = join(TOOLS, "node_modules", bin ?? ""), play = playTools(path, called), isNative, setUp, args, read } = AGENTS[agent] ?? agent;
  const formats = await startFormats({ play, fault, native: provider === "responses" && isNative });
  const outside = await startOutside();
  let gateway;
  try {
    const config = `providers:\n  up: { ${row} base_url: "${formats[provider]}", api_key_env: UP_API_KEY, models: { ${model}: {} } }\n`;
    gateway = await startGateway({ config, bindings: { ACCESS_API_KEYS: KEY, UP_API_KEY: key } });
    await mkdir(home);
    await mkdir(here);
    await writeFile(path, BEFORE);
    const own = await setUp({ home, url: gateway.url, model: `up/${model}` });
    const env = { PATH: `${dirname(NODE)}:/usr/local/bin:/usr/bin:/bin`, HOME: home, TMPDIR: folder, ...outside.env, ...own };
    const ran = await run(program, args(PROMPT, { model: `up/${model}` }), { env, cwd: here });
    return {
      ...ran,
      ...read(ran.stdout, ran.stderr),
      file: await readFile(path, "utf8"),
      asked: formats.requests,
      called,
      refused: formats.refused,
      outside: outside.hosts,
      log: gateway.logs(),
    };
  } finally {
    await gateway?.stop();
    await formats.stop();
    await outside.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Runs a program to its end, or kills it and all that it has started. */
async function run(program, args, options) {
  const [command, first] = /\.[cm]?js$/.test(program) ? [NODE, [program]] : [program, []];
  const child = spawn(command, [...first, ...args], { ...options, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const kill = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  };
  process.once("exit", kill);
  let isLate = false;
  const timer = setTimeout(() => ((isLate = true), kill()), LIMIT_MS);
  const printed = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (printed[name] += text));
  const status = await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  clearTimeout(timer);
  process.off("exit", kill);
  kill();
  return { status, isLate, ...printed };
}

/** The world outside: a proxy that notes the hosts which it is asked for, and refuses them. */
async function startOutside() {
  const hosts = [];
  const server = createServer((req, res) => (hosts.push(req.url), res.writeHead(403).end()));
  server.on("connect", (req, socket) => {
    hosts.push(req.url);
    socket.on("error", () => {});
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy = `http://127.0.0.1:${server.address().port}`;
  const env = {};
  for (const name of ["http_proxy", "https_proxy", "all_proxy"]) env[name] = env[name.toUpperCase()] = proxy;
  env.no_proxy = env.NO_PROXY = "127.0.0.1,localhost";
  return { hosts, env, stop: () => (server.closeAllConnections(), new Promise((resolve) => server.close(resolve))) };
}
