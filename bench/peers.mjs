// The other gateways: installed by version into a cache that all clones share, and started as their
// documentation says.

import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

import { ACCESS_KEY, PROVIDER_KEY, freePort, printed } from "./systems.mjs";

const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "llm-bridge/bench");
const INSTALL_PATIENCE_MS = 300_000;

const PORTKEY = "1.15.2";
/**
 * With the newest server that Portkey allows, its streams fail with 500 ("immutable" headers); this one
 * works.
 */
const PORTKEY_SERVER = "1.13.8";
const LITELLM = "1.106.2";

export const PEERS = [
  {
    name: "portkey",
    label: `(e) Portkey ${PORTKEY}`,
    version: PORTKEY,
    remark: `Portkey runs with @hono/node-server ${PORTKEY_SERVER}: with the newest one that it allows, its streams fail with 500.`,
    files: {
      "package.json": JSON.stringify({ dependencies: { "@portkey-ai/gateway": PORTKEY }, overrides: { "@hono/node-server": PORTKEY_SERVER } }),
    },
    steps: (folder) => [["npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]]],
    headers: (base) => ({ "x-portkey-provider": "openai", "x-portkey-custom-host": base, authorization: `Bearer ${PROVIDER_KEY}` }),
    async layOut(folder) {
      const program = join(install("portkey", PORTKEY), "node_modules/@portkey-ai/gateway/build/start-server.js");
      return async () => {
        const port = await freePort();
        const args = [program, "--headless", `--port=${port}`];
        const log = join(folder, `log-${port}`);
        return { command: process.execPath, args, env: { NODE_ENV: "production" }, cwd: folder, log, port, patience: 20_000 };
      };
    },
  },
  {
    name: "litellm",
    label: `(f) LiteLLM ${LITELLM}`,
    version: LITELLM,
    remark: "LiteLLM may have 2,000 connections to a provider (usually 500), so that all streams can be open at once.",
    steps: (folder) => [
      ["python3", ["-m", "venv", join(folder, "venv")]],
      [join(folder, "venv/bin/pip"), ["install", "--quiet", "--disable-pip-version-check", `litellm[proxy]==${LITELLM}`]],
    ],
    async layOut(folder, base) {
      const config = join(folder, "litellm.yaml");
      await writeFile(config, litellmConfig(base));
      return async () => {
        const port = await freePort();
        const args = ["--config", config, "--host", "127.0.0.1", "--port", String(port)];
        const command = join(install("litellm", LITELLM), "venv/bin/litellm");
        return { command, args, env: LITELLM_QUIET, cwd: folder, log: join(folder, `log-${port}`), port, patience: 90_000 };
      };
    },
  },
];

/** It logs errors only, like the gateway, and does not fetch price lists or news from other hosts. */
const LITELLM_QUIET = {
  LITELLM_LOG: "ERROR",
  LITELLM_MODE: "PRODUCTION",
  LITELLM_LOCAL_MODEL_COST_MAP: "True",
  LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS: "True",
  LITELLM_LOCAL_AUTOROUTER_PRESETS: "True",
  LITELLM_LOCAL_BLOG_POSTS: "True",
  LITELLM_LOCAL_POLICY_TEMPLATES: "True",
  // By default 500 concurrent calls to one provider: fewer than are opened here.
  AIOHTTP_CONNECTOR_LIMIT: "2000",
  AIOHTTP_CONNECTOR_LIMIT_PER_HOST: "2000",
};

function litellmConfig(base) {
  const settings = `api_base: "${base}", api_key: ${PROVIDER_KEY}`;
  const row = (model) => `  - { model_name: fake/${model}, litellm_params: { model: openai/${model}, ${settings} } }\n`;
  const models = ["chat", "hold", "say-40x5", "say-400x5"].map(row);
  return `model_list:\n${models.join("")}general_settings: { master_key: ${ACCESS_KEY} }\nlitellm_settings: { telemetry: false }\n`;
}

const install = (name, version) => join(CACHE, `${name}-${version}`);

/** Installs a gateway if it is missing; throws if that fails. */
export async function provide({ name, label, version, files = {}, steps }) {
  const folder = install(name, version);
  const stamp = join(folder, ".installed");
  if (existsSync(stamp)) return;
  console.log(`Installing ${label.slice(4)} (once per machine, about a minute)…`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
  for (const [command, args] of steps(folder)) {
    const output = await printed(command, args, { timeout: INSTALL_PATIENCE_MS });
    if (output === undefined) throw new Error(`'${command.split("/").at(-1)} ${args[0]}' failed`);
  }
  await writeFile(stamp, "");
}
