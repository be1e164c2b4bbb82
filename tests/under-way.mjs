// A reporter for `node --test` that prints nothing and writes the names of the running tests to the file that
// scripts/limit.sh reads.

import { writeFileSync } from "node:fs";
import { join, relative } from "node:path";

const folder = process.env.TESTS_UNDER_WAY;

export default async function* underWay(source) {
  const tests = new Map();
  for await (const { type, data } of source) {
    const id = JSON.stringify([data.file, data.nesting, data.name]);
    if (type === "test:dequeue") tests.set(id, `${relative(process.cwd(), data.file ?? "")}: ${data.name}`);
    else if (type === "test:complete") tests.delete(id);
    else continue;
    if (folder) writeFileSync(join(folder, "tests"), [...tests.values()].map((line) => `${line}\n`).join(""));
  }
}
