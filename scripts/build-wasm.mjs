// Compiles the gateway into build/: index_bg.wasm, and index.js, by which src/worker.mjs calls it.
//
// usage: node scripts/build-wasm.mjs release|quick
//
// `quick` is for `make dev`: compiled in half the time, neither optimised as a whole nor by wasm-opt. What is tested and
// deployed is `release`.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
const BUILD = join(ROOT, "build");
/** Where files are made, until all are there. */
const BETWEEN = join(TARGET, "worker");

const profile = process.argv[2];
if (!["release", "quick"].includes(profile)) throw new Error("usage: node scripts/build-wasm.mjs release|quick");

function run(command, words, env = {}) {
  const { status, error } = spawnSync(command, words, { cwd: ROOT, env: { ...process.env, ...env }, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** What rustc's wasm and the wrappers of wasm-bindgen need. New encodings of binaryen's own stay out, which workerd may not know. */
const WASM_FEATURES = ["mutable-globals", "sign-ext", "nontrapping-float-to-int", "bulk-memory", "multivalue", "reference-types", "exception-handling", "simd"];

/**
 * Functions stay apart that are called in one place only, unless they are small. Otherwise wasm-opt makes one function
 * of all that a request can reach, and V8 compiles all of it for the first request, and again when it is used often.
 */
const SEPARATE = ["--one-caller-inline-max-function-size", "50"];

/** Functions of the instance itself. */
const SYSTEM = new Set(["__wbg_reset_state", "__worker_init_state"]);

/** The names of functions and classes that the glue of wasm-bindgen exports. */
function exportsOf(glue) {
  const declared = [...glue.matchAll(/^export (?:async )?function (\w+)/gm)].map((match) => match[1]);
  const renamed = [...glue.matchAll(/^export \{\s*\w+ as (\w+)/gm)].map((match) => match[1]);
  return { functions: [...declared, ...renamed].filter((name) => !SYSTEM.has(name)), classes: [...glue.matchAll(/^export class (\w+)/gm)].map((match) => match[1]) };
}

/** Methods of the entry point. No event of Workers is among them: src/worker.mjs gives the wasm each request. */
const handler = (name) => `Entrypoint.prototype.${name} = exports.${name};`;

function shim(glue) {
  const { functions, classes } = exportsOf(glue);
  if (!functions.includes("serve_request")) throw new Error("wasm-bindgen wrote no `serve_request`: does it write exports in another way?");
  const kinds = classes.map((name) => `export const ${name} = new Proxy(exports.${name}, classProxyHooks);`);
  return readFileSync(join(ROOT, "scripts/worker-shim.js"), "utf8").replace("$HANDLERS", functions.map(handler).join("\n")) + kinds.join("\n");
}

console.log("Compiling the gateway to WebAssembly…");
// The macros of wasm-bindgen then use the futures that are part of js-sys.
run("cargo", ["build", "--locked", "--lib", "--features", "edge", "--target", "wasm32-unknown-unknown", "--profile", profile], { WASM_BINDGEN_USE_JS_SYS: "1" });
rmSync(BETWEEN, { recursive: true, force: true });
mkdirSync(BETWEEN, { recursive: true });
mkdirSync(BUILD, { recursive: true });
console.log("Writing its JavaScript…");
run("cargo", ["run", "--locked", "--package", "bindgen", "--", "module", join(TARGET, "wasm32-unknown-unknown", profile, "llm_bridge.wasm"), BETWEEN, "index"]);
const wasm = join(BETWEEN, "index_bg.wasm");
if (profile === "release") {
  console.log("Optimising it…");
  run("wasm-opt", ["-O3", ...SEPARATE, ...WASM_FEATURES.map((name) => `--enable-${name}`), "--debuginfo", wasm, "-o", wasm]);
}
writeFileSync(join(BETWEEN, "shim.js"), shim(readFileSync(join(BETWEEN, "index.js"), "utf8")));
run("esbuild", [join(BETWEEN, "shim.js"), "--external:./index_bg.wasm", "--external:cloudflare:*", "--format=esm", "--bundle", "--minify", "--log-level=warning", `--outfile=${join(BETWEEN, "bundle.js")}`]);
// `import source` is not known to wrangler's bundler.
writeFileSync(join(BETWEEN, "bundle.js"), readFileSync(join(BETWEEN, "bundle.js"), "utf8").replaceAll("import source ", "import "));
renameSync(join(BETWEEN, "index_bg.wasm"), join(BUILD, "index_bg.wasm"));
renameSync(join(BETWEEN, "bundle.js"), join(BUILD, "index.js"));
