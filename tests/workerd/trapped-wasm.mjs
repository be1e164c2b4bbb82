// A wasm with traps: functions that run into `unreachable` when a function that the wasm imports returns a certain
// number.

/** Reads unsigned numbers in LEB128 from `bytes`. */
class Reader {
  constructor(bytes, at = 0) {
    Object.assign(this, { bytes, at });
  }

  number() {
    for (let value = 0, shift = 0; ; shift += 7) {
      const byte = this.bytes[this.at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  text() {
    const length = this.number();
    this.at += length;
    return this.bytes.toString("utf8", this.at - length, this.at);
  }

  skip(count) {
    this.at += count;
  }
}

function written(number) {
  const bytes = [];
  do bytes.push((number & 0x7f) | (number > 0x7f ? 0x80 : 0));
  while ((number >>>= 7) > 0);
  return Buffer.from(bytes);
}

/** The indices of imported functions by their names. */
function importedFunctions(reader) {
  const names = [];
  for (let count = reader.number(); count > 0; count--) {
    reader.text();
    const name = reader.text();
    const kind = reader.bytes[reader.at++];
    if (kind === 0) {
      reader.number();
      names.push(name);
      continue;
    }
    // A table and a global have a type before what follows, a tag has a byte.
    if (kind === 1 || kind === 3 || kind === 4) reader.skip(1);
    if (kind === 3) reader.skip(1);
    else if (kind === 4) reader.number();
    else for (let numbers = 1 + (reader.number() & 1); numbers > 0; numbers--) reader.number();
  }
  return names;
}

function exportedFunctions(reader) {
  const indices = new Map();
  for (let count = reader.number(); count > 0; count--) {
    const name = reader.text();
    const kind = reader.bytes[reader.at++];
    const index = reader.number();
    if (kind === 0) indices.set(name, index);
  }
  return indices;
}

/** The code section with `prefix(index)` at the beginning of each function that has one. */
function patched(reader, end, first, prefix) {
  const count = reader.number();
  const pieces = [written(count)];
  for (let index = 0; index < count; index++) {
    const length = reader.number();
    const body = reader.bytes.subarray(reader.at, reader.at + length);
    reader.skip(length);
    const added = prefix(first + index);
    if (!added) {
      pieces.push(written(length), body);
      continue;
    }
    const locals = new Reader(body);
    for (let groups = locals.number(); groups > 0; groups--) {
      locals.number();
      locals.number();
    }
    pieces.push(written(length + added.length), body.subarray(0, locals.at), added, body.subarray(locals.at));
  }
  if (reader.at !== end) throw new Error("the code section ends elsewhere");
  return Buffer.concat(pieces);
}

/**
 * Returns a wasm whose exported functions trap when the imported function whose name begins with `asked` returns
 * their number. `traps` are the numbers, by the functions' names.
 */
export function withTraps(wasm, asked, traps) {
  const pieces = [wasm.subarray(0, 8)];
  const reader = new Reader(wasm, 8);
  let [imported, exported] = [];
  while (reader.at < wasm.length) {
    const start = reader.at;
    const kind = wasm[reader.at++];
    const length = reader.number();
    const [at, end] = [reader.at, reader.at + length];
    if (kind === 2) imported = importedFunctions(reader);
    if (kind === 7) exported = exportedFunctions(reader);
    if (kind === 10) {
      const ask = imported.findIndex((name) => name.startsWith(asked));
      if (ask < 0) throw new Error(`nothing that is imported is called ${asked}`);
      const prefixes = new Map();
      for (const [name, number] of Object.entries(traps)) {
        const index = exported.get(name);
        if (index === undefined) throw new Error(`nothing that is exported is called ${name}`);
        const value = Buffer.alloc(8);
        value.writeDoubleLE(number);
        // call ask; f64.const number; f64.eq; if; unreachable; end
        prefixes.set(index, Buffer.concat([Buffer.from([0x10]), written(ask), Buffer.from([0x44]), value, Buffer.from([0x61, 0x04, 0x40, 0x00, 0x0b])]));
      }
      const code = patched(reader, end, imported.length, (index) => prefixes.get(index));
      pieces.push(Buffer.from([kind]), written(code.length), code);
    } else {
      pieces.push(wasm.subarray(start, end));
    }
    reader.at = end;
  }
  return Buffer.concat(pieces);
}
