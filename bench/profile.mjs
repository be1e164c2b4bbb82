// Shows where a process spends its CPU time, with Linux's perf if it is installed.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { printed } from "./systems.mjs";

const LEAST_MS = 6000;
const LINES = 50;
const WIDTH = 150;

const LISTS = [
  ["with what they call", "--children", () => true],
  // V8's names for JavaScript, wasm, and the glue between them.
  ["of the Worker's own code, with what they call", "--children", (line) => line.includes("] JS:")],
  ["by themselves", "--no-children", () => true],
];

/**
 * Runs `load` again and again while perf watches the process, and prints the functions with the most time.
 */
export async function profile(title, pid, load) {
  const file = join(tmpdir(), `llm-bridge-perf-${process.pid}`);
  const perf = spawn("perf", ["record", "-F", "997", "-g", "-p", String(pid), "-o", file], { stdio: "ignore" });
  const ended = once(perf, "exit").catch(() => {});
  try {
    for (const start = performance.now(); performance.now() - start < LEAST_MS; ) await load();
    perf.kill("SIGINT");
    await ended;
    for (const [what, option, kept] of LISTS) console.log(`\nProfile: ${title}: functions ${what}\n${await report(file, option, kept)}`);
  } finally {
    perf.kill("SIGKILL");
    await rm(file, { force: true });
    await rm(`/tmp/perf-${pid}.map`, { force: true });
  }
}

async function report(file, option, kept) {
  const text = await printed("perf", ["report", option, "--sort", "symbol", "-g", "none", "--stdio", "-i", file], { maxBuffer: 64 << 20 });
  const lines = (text ?? "perf is not installed, or may not look.").split("\n").filter((line) => line.trim() && !line.startsWith("#"));
  return lines.filter(kept).slice(0, LINES).map((line) => line.slice(0, WIDTH).trimEnd()).join("\n");
}
