// Packs the vocabularies for counting tokens into a folder: for each token one byte of length, then its bytes, in the order of the
// ranks. They are part of the source of a crate that cargo has downloaded, so nothing else has to be fetched.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const NAMES = ["o200k_base", "cl100k_base"];
const [folder] = process.argv.slice(2);

const options = ["metadata", "--format-version", "1", "--locked", "--filter-platform", "wasm32-unknown-unknown"];
const metadata = JSON.parse(execFileSync("cargo", options, { maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "inherit"] }));
const crate = metadata.packages.find(({ name }) => name === "tiktoken-rs");

mkdirSync(folder, { recursive: true });
for (const name of NAMES) {
  const lines = readFileSync(join(dirname(crate.manifest_path), "assets", `${name}.tiktoken`), "latin1").trimEnd().split("\n");
  const tokens = lines.map((line, expected) => {
    const [text, rank] = line.split(" ");
    const bytes = Buffer.from(text, "base64");
    if (Number(rank) !== expected || bytes.length === 0 || bytes.length > 255) throw new Error(`${name}, line ${expected + 1}: ${line}`);
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  });
  // Renamed only when it is complete.
  writeFileSync(join(folder, `${name}.part`), Buffer.concat(tokens));
  renameSync(join(folder, `${name}.part`), join(folder, `${name}.bin`));
}
