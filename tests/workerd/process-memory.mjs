// What a process holds in memory, as Linux tells.

import { readFileSync, writeFileSync } from "node:fs";

/** A row of the process's status (`VmRSS`, `VmHWM`), in bytes. */
const status = (pid, row) => Number(new RegExp(`^${row}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;

/** The most that the process has in memory while `work` is done, above what it has before, in bytes. */
export async function peak({ pid }, work) {
  const idle = status(pid, "VmRSS");
  // 5: the peak begins anew.
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
  await work();
  return status(pid, "VmHWM") - idle;
}
