#!/usr/bin/env node
// The command of the npm package: `npx llm-bridge`. It needs no Rust: the package has the built worker.

const NEEDED = [22, 13];
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])) {
  console.error(`LLM Bridge needs Node.js ${NEEDED.join(".")} or newer; this is ${process.versions.node}.`);
  process.exit(2);
}

const HELP = `LLM Bridge: one OpenAI-format endpoint in front of all your model providers.

  llm-bridge init [FOLDER]      write config.yaml, its schema for editors, and .env with new keys;
                                --plan free: for Cloudflare's free plan
  llm-bridge serve [OPTIONS]    serve it on this machine; 'serve --help' lists the options
  llm-bridge check [FILE]       check a config.yaml
  llm-bridge key create ID      make a key for a caller; --url, --budget 5.00/month, --requests-per-minute 60
  llm-bridge import NAME FILE   make a config.yaml from that of litellm or one-api; --to, --env
  llm-bridge backup FOLDER      copy the data directory, also while it is in use; --data
  llm-bridge restore FOLDER     copy such a backup into an empty data directory; --data
  llm-bridge dev [OPTIONS]      serve it by Cloudflare's wrangler, which is fetched; options are wrangler's
  llm-bridge deploy [OPTIONS]   publish it to Cloudflare by wrangler

serve, dev, deploy and key read .env in this folder. Documentation: the folder docs of this package.
`;

const COMMANDS = {
  init: () => import("./init.mjs"),
  check: () => import("./check.mjs"),
  key: () => import("./key.mjs"),
  import: () => import("./import.mjs"),
  dev: () => import("./wrangler.mjs"),
  deploy: () => import("./wrangler.mjs"),
  serve: () => import("../serve/main.mjs"),
  backup: () => import("../serve/main.mjs"),
  restore: () => import("../serve/main.mjs"),
};

const [name, ...words] = process.argv.slice(2);
const load = Object.hasOwn(COMMANDS, name ?? "") ? COMMANDS[name] : null;
if (load) {
  const { main } = await load();
  process.exit(await main(name, words));
}
process.stdout.write(HELP);
process.exit(name === undefined || name === "help" || name === "--help" ? 0 : 2);
