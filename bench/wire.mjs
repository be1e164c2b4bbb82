// Reads HTTP/1.1 messages from a socket, only what a benchmark needs: heads, and bodies by length or in
// chunks.

const EMPTY = Buffer.alloc(0);

/** The clock shared by all processes of the machine, in microseconds. */
export const micros = () => Number(process.hrtime.bigint() / 1000n);

/**
 * Calls `head(text)`, `data(bytes)` for each piece of the body as it comes, and `end()`; then the next
 * message.
 */
export class MessageReader {
  #calls;
  #rest = EMPTY;
  #step = this.#head;
  #left = 0;
  #chunked = false;

  constructor(calls) {
    this.#calls = calls;
  }

  push(bytes) {
    if (this.#rest.length > 0) bytes = Buffer.concat([this.#rest, bytes]);
    this.#rest = EMPTY;
    let at = 0;
    while (at < bytes.length) {
      const next = this.#step(bytes, at);
      if (next < 0) {
        this.#rest = bytes.subarray(at);
        return;
      }
      at = next;
    }
  }

  // Each step returns the position of the next one, or -1 if it needs more bytes.

  #head(bytes, at) {
    const end = bytes.indexOf("\r\n\r\n", at);
    if (end < 0) return -1;
    const text = bytes.latin1Slice(at, end);
    this.#chunked = /\r\ntransfer-encoding: *chunked/i.test(text);
    this.#left = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? 0);
    this.#calls.head(text);
    if (this.#chunked) this.#step = this.#size;
    else if (this.#left > 0) this.#step = this.#body;
    else this.#end();
    return end + 4;
  }

  #body(bytes, at) {
    const end = Math.min(bytes.length, at + this.#left);
    this.#left -= end - at;
    this.#calls.data(bytes.subarray(at, end));
    if (this.#left === 0) this.#chunked ? (this.#step = this.#gap) : this.#end();
    return end;
  }

  #size(bytes, at) {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) return -1;
    this.#left = Number.parseInt(bytes.latin1Slice(at, end), 16);
    this.#step = this.#left > 0 ? this.#body : this.#last;
    return end + 2;
  }

  /** The line end after a chunk. */
  #gap(bytes, at) {
    if (bytes.length < at + 2) return -1;
    this.#step = this.#size;
    return at + 2;
  }

  /** The empty line after the last chunk; there are no trailers. */
  #last(bytes, at) {
    if (bytes.length < at + 2) return -1;
    this.#end();
    return at + 2;
  }

  #end() {
    this.#step = this.#head;
    this.#calls.end();
  }
}
