// A reporter for `node --test` that prints nothing. It writes the names of the running tests to the file that
// scripts/limit.sh reads, and the files whose tests failed to the one that run.mjs reads (`TESTS_FAILED`).

import { appendFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

const { TESTS_UNDER_WAY: folder, TESTS_FAILED: failed } = process.env;

export default async function* underWay(source) {
  const tests = new Map();
  for await (const { type, data } of source) {
    if (type === "test:fail" && failed && data.file) appendFileSync(failed, `${data.file}\n`);
    const id = JSON.stringify([data.file, data.nesting, data.name]);
    if (type === "test:dequeue") tests.set(id, `${relative(process.cwd(), data.file ?? "")}: ${data.name}`);
    else if (type === "test:complete") tests.delete(id);
    else continue;
    if (folder) writeFileSync(join(folder, "tests"), [...tests.values()].map((line) => `${line}\n`).join(""));
  }
}
