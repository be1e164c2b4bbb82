// `llm-bridge init`: the files to begin with.

import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { guarded, onFreePlan, packaged } from "./command.mjs";
import { Mistake } from "../serve/options.mjs";

const newKey = (kind) => `sk-${kind}-${randomBytes(24).toString("base64url")}`;

/** The example of variables, with new keys in place of its public ones. */
function variables() {
  const text = readFileSync(packaged(".dev.vars.example"), "utf8");
  const own = `# Secrets of LLM Bridge, read by \`llm-bridge serve\`. Keep this file to yourself.

# The keys that callers of your gateway use, separated by commas.
ACCESS_API_KEYS=${newKey("access")}

# The keys of the admin API and of the dashboard, which create other keys.
ADMIN_API_KEYS=${newKey("admin")}
`;
  const rest = text.slice(text.indexOf("# The keys that open /metrics"));
  return `${own}\n${rest}`;
}

const USAGE = "llm-bridge init [FOLDER] [--plan free]";

/** The folder, and the plan of Cloudflare's that the configuration is for. */
function choices(words) {
  let given;
  try {
    given = parseArgs({ args: words, options: { plan: { type: "string", default: "paid" } }, allowPositionals: true });
  } catch (fault) {
    throw new Mistake(`${fault.message}. Expected: ${USAGE}`);
  }
  const { values: { plan }, positionals: [folder = ".", ...rest] } = given;
  if (rest.length) throw new Mistake(`Name one folder: ${USAGE}`);
  if (!["paid", "free"].includes(plan)) throw new Mistake(`--plan ${plan} is not known: expected free or paid.`);
  return { folder, plan };
}

export const main = (_, words) => guarded(() => {
  const { folder, plan } = choices(words);
  const files = { config: join(folder, "config.yaml"), schema: join(folder, "config.schema.json"), env: join(folder, ".env"), ignore: join(folder, ".gitignore") };
  for (const path of [files.config, files.env]) if (existsSync(path)) throw new Mistake(`${path} exists. Nothing was written.`);
  mkdirSync(folder, { recursive: true });
  const config = readFileSync(packaged("configs/config.yaml"), "utf8");
  writeFileSync(files.config, plan === "free" ? onFreePlan(config) : config);
  copyFileSync(packaged("configs/config.schema.json"), files.schema);
  writeFileSync(files.env, variables(), { mode: 0o600 });
  if (!existsSync(files.ignore)) writeFileSync(files.ignore, "/.env\n/data/\n/.llm-bridge/\n");
  const enter = folder === "." ? "" : `cd ${folder} && `;
  console.log(`Wrote ${files.config}, and ${files.env} with new keys. Put your providers' keys into it, then: ${enter}npx llm-bridge serve`);
  return 0;
});
