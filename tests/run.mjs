// Runs test files with Node's runner and the limits of this project: `node tests/run.mjs [--concurrency=N] PATTERN…`.
//
// Files run one after the other on every machine, or N at once: where Node counted the cores, some would share a folder
// or a core that they have alone elsewhere.
//
// With REPEAT_FAILED=yes, as in `.ci/run`, up to MOST_REPEATED files that failed run once more, one at a time: a
// machine that other programs load can break a test that waits. A fault of the product fails both runs. Files that
// passed only then are named at the end, so that their tests are mended.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

const MOST_REPEATED = 3;
const FILE_LIMIT_MS = 1_200_000;

const OPTIONS = [
  ...["--import", "./tests/limits.mjs", "--test", "--test-force-exit", `--test-timeout=${FILE_LIMIT_MS}`],
  ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
  ...["--test-reporter=./tests/under-way.mjs", "--test-reporter-destination=stderr"],
];

/** Runs the files; resolves to the runner's status, and to the files that failed, or null if it did not say which. */
async function run(files, concurrency) {
  const folder = mkdtempSync(join(process.env.TESTS_UNDER_WAY ?? tmpdir(), "failed-"));
  const list = join(folder, "failed");
  try {
    const options = [...OPTIONS, `--test-concurrency=${concurrency}`];
    const child = spawn(process.execPath, [...options, ...files], { stdio: "inherit", env: { ...process.env, TESTS_FAILED: list } });
    const status = await new Promise((resolve) => child.on("exit", (code) => resolve(code ?? 1)));
    return { status, failed: readList(list) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readList(path) {
  try {
    return [...new Set(readFileSync(path, "utf8").split("\n").filter(Boolean))];
  } catch {
    return null;
  }
}

const given = process.argv.slice(2);
const concurrency = given.find((word) => word.startsWith("--concurrency="))?.split("=")[1] ?? "1";
const first = await run(given.filter((word) => !word.startsWith("--")), concurrency);
process.exitCode = first.status;

// A test that another module declares has that module's name, which as a file of its own would pass.
const isFile = (path) => path.endsWith(".test.mjs");
const mayRepeat = process.env.REPEAT_FAILED === "yes" && first.status === 1 && first.failed?.every(isFile);
if (mayRepeat && first.failed.length > 0 && first.failed.length <= MOST_REPEATED) {
  const names = first.failed.map((path) => relative(process.cwd(), path)).join(", ");
  console.log(`\nOnce more, one at a time: ${names}`);
  const second = await run(first.failed, "1");
  process.exitCode = second.status;
  if (second.status === 0) console.log(`\nPassed only when repeated: ${names}. Their first failures are above.`);
}
