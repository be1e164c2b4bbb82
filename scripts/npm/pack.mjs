// `make release`: the npm package of the present build, as a tarball, and the folder `deploy`: what the button "Deploy
// to Cloudflare" takes, as a branch.
//
// usage: node scripts/npm/pack.mjs FOLDER

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { WORKER_MODULES } from "../serve/capnp.mjs";
import { onFreePlan } from "./command.mjs";
import { withoutBuild } from "./wrangler.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const [target] = process.argv.slice(2);
if (!target) throw new Error("Name a folder: node scripts/npm/pack.mjs FOLDER");

/** The configuration is not part of what is built. */
const WORKER = [...WORKER_MODULES.map(([path]) => path).filter((path) => path !== "build/config.yaml"), "build/assets"];
const FILES = [
  ...WORKER,
  "LICENSE",
  "README.md",
  "CHANGELOG.md",
  "wrangler.toml",
  ".dev.vars.example",
  "configs/config.yaml",
  "configs/config.schema.json",
  "docs",
  "scripts/serve",
  "scripts/npm",
];
const read = (path) => readFileSync(join(ROOT, path), "utf8");
const version = /^version = "(.*?)"$/m.exec(read("Cargo.toml"))[1];
const lock = JSON.parse(read("package-lock.json")).packages;

const manifest = {
  name: "llm-bridge",
  version,
  description: "One OpenAI-format endpoint in front of all your model providers: on your own server, or on Cloudflare Workers.",
  license: "MIT",
  type: "module",
  bin: { "llm-bridge": "scripts/npm/llm-bridge.mjs" },
  engines: { node: ">=22.13" },
  os: ["linux", "darwin"],
  // The versions that the tests ran on. `import` reads YAML.
  dependencies: Object.fromEntries(["workerd", "yaml"].map((name) => [name, lock[`node_modules/${name}`].version])),
  /** What `dev` and `deploy` fetch. */
  wranglerVersion: lock["node_modules/wrangler"].version,
  publishConfig: { provenance: true },
};

function copy(names, folder) {
  rmSync(folder, { recursive: true, force: true });
  for (const name of names) {
    if (!existsSync(join(ROOT, name))) throw new Error(`${name} is missing: run make build`);
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
}

/** Each line of .dev.vars.example that is no comment becomes a secret that has to be set, with its value as the default. */
const EXAMPLE = `# The keys that callers of your gateway use: long random texts, separated by commas.
ACCESS_API_KEYS=
# The keys of the dashboard and the admin API, which create other keys: other long random texts.
ADMIN_API_KEYS=
`;

/** The tree of the deploy button's branch: a built worker, with its configuration at the top. */
function writeDeployTree(tree) {
  copy([...WORKER, "LICENSE"], tree);
  // Who presses the button has Cloudflare's free plan, as a rule.
  writeFileSync(join(tree, "config.yaml"), onFreePlan(read("configs/config.yaml")));
  cpSync(join(ROOT, "configs/config.schema.json"), join(tree, "config.schema.json"));
  symlinkSync("../config.yaml", join(tree, "build/config.yaml"));
  writeFileSync(join(tree, "wrangler.toml"), withoutBuild(read("wrangler.toml")));
  writeFileSync(join(tree, ".dev.vars.example"), EXAMPLE);
  writeFileSync(join(tree, ".gitignore"), "/node_modules\n/.wrangler/\n/.dev.vars\n");
  writeFileSync(join(tree, "README.md"), `# LLM Bridge, built\n\nVersion ${version}, for Cloudflare's deploy button. Providers and models are in config.yaml; their keys are secrets:\n\`npx wrangler secret put OPENAI_API_KEY\`. On a paid plan, remove the line \`plan: free\`. Sources and documentation are in the main branch.\n`);
  const scripts = { dev: "wrangler dev", deploy: "wrangler deploy" };
  const bindings = { ACCESS_API_KEYS: { description: "The keys that callers use: long random texts, separated by commas." }, ADMIN_API_KEYS: { description: "The keys of the dashboard and the admin API." } };
  const own = { name: "llm-bridge-deployed", private: true, type: "module", scripts, devDependencies: { wrangler: manifest.wranglerVersion }, cloudflare: { bindings } };
  writeFileSync(join(tree, "package.json"), `${JSON.stringify(own, null, 2)}\n`);
}

const folder = resolve(target, "npm");
copy(FILES, folder);
writeDeployTree(resolve(target, "deploy"));
if (!readdirSync(join(folder, "build/assets")).includes("ui")) throw new Error("The build has no dashboard: make it with a configuration that wants one.");
writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
const [{ filename, size, unpackedSize }] = JSON.parse(execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", resolve(target)], { cwd: folder, encoding: "utf8" }));
const tarball = join(resolve(target), filename);
const digest = createHash("sha256").update(readFileSync(tarball)).digest("hex");
writeFileSync(join(resolve(target), "SHA256SUMS"), `${digest}  ${filename}\n`);
console.log(`${tarball}: ${(size / 1e6).toFixed(1)} MB, ${(unpackedSize / 1e6).toFixed(1)} MB unpacked.`);
