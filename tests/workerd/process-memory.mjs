// The memory and the CPU time of a process, as Linux reports them.

import { readFileSync, writeFileSync } from "node:fs";

/** A row of the process's status (`VmRSS`, `VmHWM`), in bytes. */
const status = (pid, row) => Number(new RegExp(`^${row}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) * 1024;

/** The CPU time of the process so far, in milliseconds. Linux counts in hundredths of a second. */
export function cpuTime({ pid }) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** The peak memory of the process while `work` runs, above its memory before, in bytes. */
export async function peak({ pid }, work) {
  const idle = status(pid, "VmRSS");
  // 5 resets the peak.
  writeFileSync(`/proc/${pid}/clear_refs`, "5");
  await work();
  return status(pid, "VmHWM") - idle;
}
