// Tests end: one that hangs is named, fails its run, and leaves no process behind. Needs no build.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { soon, until } from "../workerd/client.mjs";

const ROOT = new URL("../..", import.meta.url).pathname;
const LIMIT = join(ROOT, "scripts/limit.sh");
const folder = mkdtempSync(join(tmpdir(), "llm-bridge-limits-"));
after(() => rmSync(folder, { recursive: true }));

// The environment of a user's shell, without the variables of the make and the test runner that run this
// file.
const { MAKEFLAGS, MFLAGS, MAKELEVEL, NODE_TEST_CONTEXT, TESTS_UNDER_WAY, TESTS_FAILED, REPEAT_FAILED, ...env } = process.env;

/** Runs a command from the checkout: its status and all of its output. */
function run(command, args, more = {}) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: ROOT, env: { ...env, ...more }, encoding: "utf8", timeout: 300_000 });
  return { status, said: stdout + stderr };
}

/** A file in the folder of this test. */
function file(name, text) {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

/** The runner and its options, as the Makefile has them. */
const nodeTest = run("make", ["--silent", "--eval", "show-node-test: ; @echo '$(NODE_TEST)'", "show-node-test"]).said.trim().split(/\s+/);

/** The running processes whose arguments contain `text`. */
const processes = (text) => run("ps", ["-eo", "stat=,args="]).said.split("\n").filter((row) => row.includes(text) && !row.startsWith("Z"));

// On other systems, processes that leave their group are not found.
const IS_LINUX = process.platform === "linux";
/** The argument of a `sleep` that no other process of this machine has: for how many seconds. */
const sleeps = (n) => String(1_000_000_000 + process.pid * 10 + n);
const PATIENCE_MS = 150_000;

/**
 * Runs a command that ends in limit.sh and lets its time be up when `isBegun` is true of what it has said and
 * of the tests that it has written down. Returns what `run` returns.
 */
async function overrun(command, args, isBegun, more = {}) {
  const place = mkdtempSync(join(folder, "under-way-"));
  const child = spawn(command, args, { cwd: ROOT, env: { ...env, ...more, TMPDIR: place }, stdio: ["ignore", "pipe", "pipe"] });
  const exited = new Promise((resolve) => child.on("close", resolve));
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (said[name] += text));
  const written = () => readdirSync(place).map((name) => join(place, name, "tests")).filter(existsSync).map((path) => readFileSync(path, "utf8")).join("");
  await until(() => {
    assert.equal(child.exitCode, null, said.stdout + said.stderr);
    return isBegun(said.stdout, written());
  }, "the begin of a test", PATIENCE_MS);
  child.kill("SIGUSR1");
  return { status: await soon(exited, "the end of the command", PATIENCE_MS), said: said.stdout + said.stderr };
}

// Two tests that hang, in the event loop and in a hook; a child in a process group of its own; and tests that
// must still run.
const HANGING = `
import { spawn } from "node:child_process";
import { after, before, describe, it } from "node:test";
const never = () => new Promise((resolve) => setTimeout(resolve, 1e9));
spawn("sleep", ["SLEEPS"], { detached: ${IS_LINUX}, stdio: "ignore" });
describe("some", () => {
  it("hangs in the event loop", never);
  it("goes on", () => {});
  it("has a limit of its own", { timeout: 50 }, never);
  describe("inner ones", () => {
    after(never);
    it("comes before a hook that hangs", () => {});
  });
});
`;

test("a test or a hook that hangs fails by its name, the others run, and the run ends", () => {
  const tests = file("hanging.test.mjs", HANGING.replace("SLEEPS", sleeps(1)));
  const { status, said } = run(LIMIT, ["240", "a suite", ...nodeTest, tests], { TEST_LIMIT_MS: "1500" });
  assert.equal(status, 1, said);
  assert.match(said, /hanging\.test\.mjs:.*\n.*✖ hangs in the event loop .*\n.*timed out after 1500ms/);
  assert.match(said, /✖ has a limit of its own .*\n.*timed out after 50ms/);
  assert.match(said, /✖ inner ones .*\n.*timed out after 1500ms/);
  assert.match(said, /✔ goes on/);
  if (IS_LINUX) assert.match(said, new RegExp(`'a suite' has ended but left processes behind:\\n.*sleep ${sleeps(1)}`));
  assert.deepEqual(processes(sleeps(1)), []);
});

const SPINNING = `
import { spawn } from "node:child_process";
import { describe, it } from "node:test";
describe("some", () => {
  it("spins", () => {
    spawn("sleep", ["SLEEPS"], { detached: ${IS_LINUX}, stdio: "ignore" });
    for (;;);
  });
});
`;

test("a suite beyond its time limit names the running test, and is killed with all of its processes", async () => {
  const tests = file("spinning.test.mjs", SPINNING.replace("SLEEPS", sleeps(2)));
  const isBegun = (_, written) => written.includes("spins") && processes(sleeps(2)).length > 0;
  const { status, said } = await overrun(LIMIT, ["600", "a suite", ...nodeTest, tests], isBegun);
  assert.equal(status, 124, said);
  assert.match(said, /Time limit: 'a suite' did not end within 600 seconds\./);
  assert.match(said, /The running tests:\n(.*\n)*.*spinning\.test\.mjs: spins/);
  assert.deepEqual([...processes(sleeps(2)), ...processes(tests)], []);
});

test("a time limit passes by itself", () => {
  const { status, said } = run(LIMIT, ["1", "a command", "sleep", sleeps(3)]);
  assert.equal(status, 124, said);
  assert.match(said, /Time limit: 'a command' did not end within 1 seconds\./);
  assert.deepEqual(processes(sleeps(3)), []);
});

test("what CI runs is `make test`, and ends by itself with the names of the running suite and test", async () => {
  const tests = file("endless.test.mjs", SPINNING.replace("SLEEPS", sleeps(4)));
  // In place of make: one suite, started as the Makefile starts it.
  const make = file("make", `#!/bin/sh\necho "make $* with $MAKEFLAGS"\nexec ${LIMIT} 600 "tests that spin" ${nodeTest.join(" ")} ${tests}\n`);
  chmodSync(make, 0o755);
  const isBegun = (stdout, written) => /^make test with --keep-going$/m.test(stdout) && written.includes("spins") && processes(sleeps(4)).length > 0;
  const { status, said } = await overrun(".ci/run", [], isBegun, { PATH: `${folder}:${env.PATH}`, CI_SECONDS: "500" });
  assert.equal(status, 124, said);
  assert.match(said, /Time limit: 'make test' did not end within 500 seconds\.\nThe running suite: tests that spin\.\n/);
  assert.match(said, /The running tests:\n(.*\n)*.*endless\.test\.mjs: spins/);
  assert.deepEqual([...processes(sleeps(4)), ...processes(tests)], []);
});

test("what CI prints ends with what failed, though the suite that failed was not the last", () => {
  const failing = file("failing.test.mjs", 'import { test } from "node:test";\ntest("breaks", () => { throw new Error("for this reason"); });\n');
  const passing = file("passing.test.mjs", 'import { test } from "node:test";\ntest("holds", () => {});\n');
  const makefile = file("Makefile", `test: one two\n.PHONY: test one two\none:\n\t@${nodeTest.join(" ")} ${failing}\ntwo:\n\t@${nodeTest.join(" ")} ${passing}\n`);
  const make = file("make", `#!/bin/sh\nPATH=${env.PATH} exec make -f ${makefile} "$@"\n`);
  chmodSync(make, 0o755);
  const { status, said } = run(".ci/run", [], { PATH: `${folder}:${env.PATH}` });
  assert.equal(status, 2, said);
  assert.match(said, /✔ holds(.*\n)*What failed:\n✖ failing tests:\n\n.*failing\.test\.mjs:.*\n✖ breaks .*\n.*for this reason\n(.*\n)*make: \*\*\* .* one\] Error 1\n/);
});

const brokenOnce = (name) => `
import { existsSync, writeFileSync } from "node:fs";
import { test } from "node:test";
const been = ${JSON.stringify(join(folder, name))};
test("breaks once", () => {
  if (existsSync(been)) return;
  writeFileSync(been, "");
  throw new Error("for this reason");
});
`;
const BROKEN = 'import { test } from "node:test";\ntest("breaks each time", () => { throw new Error("for that reason"); });\n';

test("CI runs few failed files once more, and names those that passed only then", () => {
  const [one, two] = ["one", "two"].map((name) => file(`${name}.test.mjs`, brokenOnce(name)));
  const makefile = file("Repeating", `test:\n\t@${nodeTest.join(" ")} ${one} ${two}\n`);
  const make = file("make", `#!/bin/sh\nPATH=${env.PATH} exec make -f ${makefile} "$@"\n`);
  chmodSync(make, 0o755);
  const { status, said } = run(".ci/run", [], { PATH: `${folder}:${env.PATH}` });
  assert.equal(status, 0, said);
  assert.match(said, /for this reason(.*\n)*Once more, one at a time: \S*one\.test\.mjs, \S*two\.test\.mjs\n(.*\n)*✔ breaks once/);
  assert.match(said, /\nPassed only when repeated: \S*one\.test\.mjs, \S*two\.test\.mjs\. Their first failures are above\.\n$/);
});

test("a file that fails twice fails the run, and without CI it runs once", () => {
  const files = [file("once.test.mjs", brokenOnce("once")), file("broken.test.mjs", BROKEN)];
  const twice = run(nodeTest[0], [...nodeTest.slice(1), ...files], { REPEAT_FAILED: "yes" });
  assert.equal(twice.status, 1, twice.said);
  assert.equal(twice.said.match(/^✖ breaks each time/gm).length, 4, "in the list and in the summary of both runs");
  const alone = run(nodeTest[0], [...nodeTest.slice(1), file("once-more.test.mjs", brokenOnce("once-more"))]);
  assert.equal(alone.status, 1, alone.said);
  assert.doesNotMatch(alone.said, /Once more/);
});

test("many failed files are not repeated, and no module that only declares tests", () => {
  const files = [1, 2, 3, 4].map((number) => file(`many-${number}.test.mjs`, brokenOnce(`many-${number}`)));
  const many = run(nodeTest[0], [...nodeTest.slice(1), ...files], { REPEAT_FAILED: "yes" });
  assert.equal(many.status, 1, many.said);
  assert.doesNotMatch(many.said, /Once more/);
  file("declares.mjs", brokenOnce("declares"));
  const declared = run(nodeTest[0], [...nodeTest.slice(1), file("imports.test.mjs", 'import "./declares.mjs";\n')], { REPEAT_FAILED: "yes" });
  assert.equal(declared.status, 1, declared.said);
});

test("a native test that hangs is named", async () => {
  const cargo = file("cargo", `#!/bin/sh\necho 'running 2 tests'\necho 'test quick ... ok'\necho 'test slow::one has been running for over 60 seconds'\nexec sleep ${sleeps(5)}\n`);
  chmodSync(cargo, 0o755);
  const isBegun = (_, written) => written.includes("slow::one");
  const { status, said } = await overrun(LIMIT, ["600", "native tests", "scripts/native-tests.sh"], isBegun, { PATH: `${folder}:${env.PATH}` });
  assert.equal(status, 124, said);
  assert.match(said, /The running tests:\n {2}slow::one\n/);
  assert.deepEqual(processes(sleeps(5)), []);
});
