// The lock of a data directory: two processes on the same one would each keep accounts of their own, and spend
// budgets twice.
//
// It is a lock of the kernel on an open file (flock), which goes with the processes that have the file open: the
// launcher and workerd. So a launcher that is killed leaves no stale lock, and a workerd that outlives its
// launcher keeps the directory locked. Node has no flock; `flock` of util-linux, or Perl, locks the file that it
// inherits.

import { spawnSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Mistake } from "./options.mjs";

const FILE = "lock";
const TAKEN = 75;
/** Each locks the file with number 3, or ends with {@link TAKEN}. */
const LOCKERS = [
  ["flock", ["--nonblock", "--conflict-exit-code", String(TAKEN), "3"]],
  ["perl", ["-e", `use Fcntl ":flock"; open(my $f, "+<&=3") or exit 1; exit(flock($f, LOCK_EX | LOCK_NB) ? 0 : ${TAKEN});`]],
];

/**
 * Locks a directory, which is created if it does not exist. Returns the lock: `fd` is to be given to workerd,
 * `note` writes down who has it, `release` gives it up.
 */
export function lock(folder) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, FILE);
  const fd = openSync(path, "a+", 0o600);
  const status = tryLock(fd);
  if (status !== 0) {
    closeSync(fd);
    if (status !== TAKEN) throw new Mistake("The data directory cannot be locked: neither 'flock' (util-linux) nor 'perl' is on the PATH.");
    throw new Mistake(`The data directory ${folder} is in use${owner(path)}. Two processes must not share one.`);
  }
  return {
    fd,
    note(processes) {
      ftruncateSync(fd);
      writeSync(fd, `${JSON.stringify(processes)}\n`);
    },
    release() {
      ftruncateSync(fd);
      closeSync(fd);
    },
  };
}

function tryLock(fd) {
  for (const [command, words] of LOCKERS) {
    const { status, error } = spawnSync(command, words, { stdio: ["ignore", "ignore", "ignore", fd] });
    if (!error && (status === 0 || status === TAKEN)) return status;
  }
  return null;
}

function owner(path) {
  try {
    const { launcher, workerd } = JSON.parse(readFileSync(path, "utf8"));
    return ` by process ${launcher} (its workerd is ${workerd})`;
  } catch {
    return " by another process";
  }
}
