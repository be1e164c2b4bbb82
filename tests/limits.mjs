// For `node --import`: gives every test and every hook of a test file a limit of time, so that one that hangs fails by name.
//
// Node's own `--test-timeout` is a limit for a whole file. A test's or hook's own `timeout` wins over the one that is given here.

import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

const LIMITED = "?limited";
// On one line, under the test file's own address: Node names the place that calls it as the place of the test.
const source = readFileSync(new URL("limited.mjs", import.meta.url), "utf8").replaceAll(/^\/\/.*$/gm, "").replaceAll("\n", " ");

registerHooks({
  resolve: (name, context, next) => {
    const isTests = name === "node:test" && context.parentURL?.endsWith(".test.mjs");
    return isTests ? { url: context.parentURL + LIMITED, format: "module", shortCircuit: true } : next(name, context);
  },
  load: (url, context, next) => (url.endsWith(LIMITED) ? { format: "module", source, shortCircuit: true } : next(url, context)),
});
