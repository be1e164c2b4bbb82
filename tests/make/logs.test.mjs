// Log files under `make dev`, with the bucket that wrangler simulates, and `make logs`. Needs a build.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "../workerd/client.mjs";
import { freePort } from "./free-port.mjs";

const ROOT = new URL("../..", import.meta.url).pathname;
const CONFIG = `
providers: { demo: { adapter: echo, models: { echo: {} } } }
logging: { output: { file: { path: logs, max_size: 1000, backup_count: 50 } } }
`;
// A worker and a bucket of their own, so that the state of `make dev` stays as it is.
const NAME = "llm-bridge-log-test";
const TOML = "wrangler.log-test.toml";
const STATE = join(ROOT, ".wrangler/state/v3");
const PATIENCE_MS = 540_000;
/** Each look at the lines is a `make logs`. */
const LOGGED_MS = 150_000;

const { MAKEFLAGS, MFLAGS, MAKELEVEL, NODE_TEST_CONTEXT, ...inherited } = process.env;
const folder = mkdtempSync(join(tmpdir(), "llm-bridge-logs-"));
const env = { ...inherited, CONFIG: join(folder, "config.yaml"), WRANGLER_TOML: TOML };
const make = (...args) => spawnSync("make", args, { cwd: ROOT, env, encoding: "utf8", timeout: 300_000 });
let port, dev, said = "";

/** wrangler.toml with the lines of the bucket uncommented, as a user does. */
function withBucket(toml) {
  const text = toml.replace(/^# (\[\[r2_buckets\]\]|binding = "LOGS"|bucket_name = ".*")$/gm, "$1");
  assert.match(text, /^\[\[r2_buckets\]\]\nbinding = "LOGS"\nbucket_name = "llm-bridge-logs"$/m);
  return text.replace(/^name = "llm-bridge"/m, `name = "${NAME}"`).replace('"llm-bridge-logs"', `"${NAME}"`);
}

const removeState = () => {
  for (const kind of ["do", "r2"]) {
    const names = (() => { try { return readdirSync(join(STATE, kind)); } catch { return []; } })();
    for (const name of names.filter((name) => name.startsWith(NAME))) rmSync(join(STATE, kind, name), { recursive: true });
  }
};

before(async () => {
  removeState();
  writeFileSync(env.CONFIG, CONFIG);
  writeFileSync(join(ROOT, TOML), withBucket(readFileSync(join(ROOT, "wrangler.toml"), "utf8")));
  port = await freePort();
  dev = spawn("make", ["dev", `PORT=${port}`], { cwd: ROOT, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [dev.stdout, dev.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
  await until(() => {
    assert.equal(dev.exitCode, null, said);
    return said.includes("README.md");
  }, "an address to try", PATIENCE_MS);
}, { timeout: 600_000 });

after(async () => {
  try { process.kill(-dev.pid, "SIGKILL"); } catch { /* it has ended */ }
  rmSync(join(ROOT, TOML), { force: true });
  rmSync(folder, { recursive: true });
  make("config-link", "CONFIG=configs/config.yaml"); // build/config.yaml is a copy of this test's file
  removeState();
});

const variable = (name) => readFileSync(join(ROOT, ".dev.vars"), "utf8").match(new RegExp(`^${name} *= *["']?([^,"'\\n]+)`, "m"))?.[1];

test("make dev says where the simulated bucket is, and closed segments are there", async () => {
  assert.match(said, /make logs.*\.wrangler\/state\/v3\/r2/);
  const headers = { authorization: `Bearer ${variable("ACCESS_API_KEYS")}`, "content-type": "application/json" };
  const body = JSON.stringify({ model: "demo/echo", messages: [{ role: "user", content: "Hello!" }] });
  for (let count = 0; count < 12; count++) {
    const answer = await fetch(`http://localhost:${port}/v1/chat/completions`, { method: "POST", headers, body });
    assert.equal(answer.status, 200, await answer.text());
  }
  const blobs = join(STATE, "r2", NAME, "blobs");
  const lines = await until(() => {
    make("logs", `PORT=${port}`); // lines that came along with reports move to the bucket when somebody reads
    try {
      const texts = readdirSync(blobs).map((name) => readFileSync(join(blobs, name), "utf8"));
      // A segment that is being written is no whole JSON yet.
      return texts.length >= 3 && texts.flatMap((text) => text.trim().split("\n")).map((line) => JSON.parse(line));
    } catch {
      return false;
    }
  }, "three segments of whole lines in the simulated bucket", LOGGED_MS);
  for (const line of lines) assert.ok(line.timestamp);
});

test("make logs shows the lines of all segments", async () => {
  const lines = await until(() => {
    const { status, stdout, stderr } = make("logs", `PORT=${port}`, "TAIL=1000");
    assert.equal(status, 0, stderr + stdout);
    const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
    return lines.filter(({ event }) => event === "request_complete").length >= 12 && lines;
  }, "the ends of all chats", LOGGED_MS);
  const one = lines.findLast(({ event }) => event === "request_complete").request_id;
  const { stdout } = make("logs", `PORT=${port}`, `REQUEST_ID=${one}`);
  assert.ok(stdout.trim().split("\n").every((line) => JSON.parse(line).request_id === one));
});
