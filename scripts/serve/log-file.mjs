// Where lines go: to the console, or to a file that is renamed to FILE.1 when it is full, as FILE.1 is to FILE.2.

import { closeSync, fstatSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** A log file that is rotated before it exceeds `maxSize` bytes; 0: never. */
export class LogFile {
  #path;
  #maxSize;
  #backupCount;
  #fd;
  #size;
  /** The beginning of a line whose end has not come. */
  #rest = Buffer.alloc(0);

  constructor({ path, maxSize, backupCount }) {
    this.#path = path;
    this.#maxSize = maxSize;
    this.#backupCount = backupCount;
    mkdirSync(dirname(path), { recursive: true });
    this.#open();
  }

  #open() {
    this.#fd = openSync(this.#path, "a", 0o640);
    this.#size = fstatSync(this.#fd).size;
  }

  /** Writes the whole lines among these bytes. */
  write(bytes) {
    const all = Buffer.concat([this.#rest, bytes]);
    const end = all.lastIndexOf(0x0a) + 1;
    this.#rest = all.subarray(end);
    for (let from = 0; from < end; ) {
      const to = this.#fitting(all, from, end);
      if (to === from) this.#rotate();
      else {
        writeWhole(this.#fd, all.subarray(from, to));
        this.#size += to - from;
        from = to;
      }
    }
  }

  /** The end of the last whole line that fits into the file. A file has at least one line. */
  #fitting(all, from, end) {
    const room = this.#maxSize - this.#size;
    if (this.#maxSize === 0 || end - from <= room) return end;
    const last = room > 0 ? all.lastIndexOf(0x0a, from + room - 1) + 1 : 0;
    if (last > from) return last;
    return this.#size > 0 ? from : all.indexOf(0x0a, from) + 1;
  }

  #rotate() {
    closeSync(this.#fd);
    const name = (index) => (index === 0 ? this.#path : `${this.#path}.${index}`);
    if (this.#backupCount === 0) rmSync(this.#path, { force: true });
    for (let index = this.#backupCount; index > 0; index--) {
      try {
        renameSync(name(index - 1), name(index));
      } catch (fault) {
        if (fault.code !== "ENOENT") throw fault;
      }
    }
    this.#open();
  }

  /** Opens the file anew, if somebody else has renamed it. */
  reopen() {
    closeSync(this.#fd);
    this.#open();
  }

  close() {
    if (this.#rest.length) this.write(Buffer.from("\n"));
    closeSync(this.#fd);
  }
}

/** The console, for the launcher's own lines. */
export const CONSOLE = { write: (bytes) => void process.stderr.write(bytes), reopen() {}, close() {} };

function writeWhole(fd, bytes) {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}
