// For `node --import`: gives every test and hook of a test file a time limit, so that one that hangs fails by
// name.
//
// Node's `--test-timeout` limits a whole file. A `timeout` of the test or hook itself takes precedence.

import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

const LIMITED = "?limited";
// On one line, under the test file's address, because Node reports the position of the call as the position
// of the test.
const source = readFileSync(new URL("limited.mjs", import.meta.url), "utf8").replaceAll(/^\/\/.*$/gm, "").replaceAll("\n", " ");

registerHooks({
  resolve: (name, context, next) => {
    const isTests = name === "node:test" && context.parentURL?.endsWith(".test.mjs");
    return isTests ? { url: context.parentURL + LIMITED, format: "module", shortCircuit: true } : next(name, context);
  },
  load: (url, context, next) => (url.endsWith(LIMITED) ? { format: "module", source, shortCircuit: true } : next(url, context)),
});
