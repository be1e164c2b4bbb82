// Takes pictures of every view, of a gateway with a month of traffic: `make pictures` writes those of the
// documentation to docs/img/. With LOOK=folder, it writes each view there instead, in light and dark, in Chinese and
// at the width of a phone, for people to look at.

import { execFile } from "node:child_process";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { as, call, HELLO, until } from "../workerd/client.mjs";
import { signIn } from "./chromium.mjs";
import { ADMIN_KEY, startPage } from "./stage.mjs";
import { batches, month } from "./traffic.mjs";

const run = promisify(execFile);
const PICTURES = fileURLToPath(new URL("../../docs/img/", import.meta.url));
/** The most bytes of a picture. */
const MOST_BYTES = 60 * 1024;
/** The pictures of the documentation: a view, and how it is shown. */
const DOCUMENTED = [["overview"], ["overview", "dark"], ["overview", "phone"], ["overview", "zh"], ["requests"], ["request"], ["live"], ["keys"], ["key"], ["models"], ["playground"], ["config"], ["logs"], ["alerts"], ["audit"], ["start"], ["usage"]];
const STYLES = {
  light: {},
  dark: { theme: "dark" },
  zh: { locale: "zh-CN" },
  phone: { size: "narrow" },
};

const PRICE = "context: 128000, max_output: 4000, limit_fields: [max_tokens], price: { input: 2.5, output: 10, cached_input: 1.25 }";
const config = (fake) => `
default_provider: openai
providers:
  openai: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { gpt-4o: { ${PRICE} }, gpt-4.1: { ${PRICE} }, ok: { ${PRICE} }, err-500: { ${PRICE} } } }
  anthropic: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: { claude-sonnet-4-5: { ${PRICE} }, ok: { ${PRICE} } } }
  groq: { base_url: "https://api.groq.com/openai/v1", models: { llama-3.3-70b: {} } }
  demo: { adapter: echo, models: { echo: {}, echo-slow: { echo: { words: 400, delay_ms: 200 } } } }
  essays: { adapter: echo, limit_fields: [max_tokens], models: { essay: { context: 4000, max_output: 160, price: { input: 0, output: 1000 }, echo: { words: 150 } } } }
routes: { smart: [openai/err-500, anthropic/ok] }
reporting: { timezone: Europe/Berlin, tags: [team] }
logging: { output: { file: { path: logs } } }
`;

/** Real requests of the last minutes on top of a month of the past. */
async function seed(page) {
  const { office, gateway } = page;
  const { now } = await gateway.control();
  const owners = ["Ann", "Ben", "Chen", "Dora", ""];
  const past = month(now, { count: 6000 }).map((request, n) => ({ ...request, owner: owners[n % owners.length] }));
  await gateway.control({ feed: batches(past) });
  const names = ["Search team", "Support chat", "Nightly jobs", "Batch labels", "Mobile app", "Evaluation", "Docs search"];
  for (const [n, name] of names.entries()) {
    const id = `team-${String.fromCharCode(97 + n)}`;
    await office.key(id, { name, owner: owners[n % 4], budget: n % 3 === 0 ? undefined : { amount: String(5 * (n + 1)), per: "month" }, requests_per_minute: n % 2 ? 120 : undefined, metadata: { team: n % 2 ? "chat" : "search" } });
  }
  const key = await office.key("trial", { name: "Trial", owner: "Ann", budget: { amount: "1.50", per: "day" }, requests_per_minute: 60, tokens_per_minute: 40_000 });
  const rich = (await office.order("POST", "/keys/team-a/rotate")).key;
  const chat = (model, key, headers = {}, more = {}) =>
    call(`${gateway.url}/v1/chat/completions`, { method: "POST", headers: { ...as(key), "x-llm-bridge-tags": "team=search", ...headers }, body: JSON.stringify({ model, messages: HELLO, ...more }) });
  for (let n = 0; n < 6; n++) await chat("openai/ok", rich, { "x-request-id": `req_${n}` });
  await chat("smart", rich, { "x-request-id": "req_7f3a91" });
  for (let n = 0; n < 3; n++) await chat("smart", rich);
  for (let n = 0; n < 12; n++) await chat("essays/essay", key, {}, { max_tokens: 160 });
  await until(async () => (await office.order("GET", "/requests?request_id=req_7f3a91")).data.length > 0, "the newest request");
  await until(async () => (await office.order("GET", "/logs")).data.length > 5, "lines of the log");
  return { chat, rich };
}

/** What is done in a view before its picture is taken; `await`ed until it shows what it should. */
const VIEWS = {
  overview: { hash: "#/overview?days=30&group=model", until: ".charts" },
  owners: { hash: "#/overview?days=hour&group=owner", until: ".charts" },
  requests: { hash: "#/requests", until: "tbody tr" },
  request: { hash: "#/requests/req_7f3a91", until: ".code pre" },
  live: {
    hash: "#/live",
    async act(tab, { chat, rich }, ends) {
      await tab.locator(".status.good, .status").first().waitFor();
      for (let n = 0; n < 40 && (await tab.locator("tbody tr").count()) < 2; n++) {
        await chat("anthropic/ok", rich);
        await tab.waitForTimeout(300);
      }
      for (const id of ["req_live_1", "req_live_2"]) ends.push(chat("demo/echo-slow", rich, { "x-request-id": id }, { stream: true }));
      await tab.getByText("req_live_2").first().waitFor({ timeout: 15_000 }).catch(() => {});
    },
  },
  keys: { hash: "#/keys", until: "tbody tr" },
  key: { hash: "#/keys/trial", until: ".meter" },
  "key-new": { hash: "#/keys/new", until: "form" },
  "keys-bulk": { hash: "#/keys/many", until: "textarea" },
  models: { hash: "#/models", until: "tbody tr" },
  playground: {
    hash: "#/playground",
    async act(tab) {
      const fields = tab.locator("form.stack input[list=models]");
      await fields.nth(0).fill("anthropic/ok");
      await fields.nth(1).fill("demo/echo");
      await tab.locator("form.stack textarea").first().fill("What does an edge gateway do?");
      await tab.locator("form.stack button.main").click();
      await tab.waitForFunction(() => [...document.querySelectorAll(".sides .card")].filter((card) => /\$/.test(card.textContent)).length === 2, null, { timeout: 20_000 }).catch(() => {});
    },
  },
  config: {
    hash: "#/config",
    until: "details",
    act: async (tab) => void (await tab.locator("details summary", { hasText: "reporting" }).click()),
  },
  logs: { hash: "#/logs", until: ".log li" },
  alerts: { hash: "#/alerts", until: "tbody tr" },
  audit: { hash: "#/audit", until: "tbody tr" },
  start: { hash: "#/start", until: "tbody tr" },
  usage: { hash: "", key: "rich", until: "tbody tr" },
};

async function picture(tab, path, { quality, isWhole }) {
  if (isWhole) return void (await tab.screenshot({ path, fullPage: true }));
  const cdp = await tab.context().newCDPSession(tab);
  const { data } = await cdp.send("Page.captureScreenshot", { format: "webp", quality });
  const bytes = Buffer.from(data, "base64");
  await writeFile(path, bytes);
  return bytes.length;
}

async function takeOne(page, seeded, [name, style], folder, options) {
  const view = VIEWS[name];
  const tab = await page.open(STYLES[style]);
  const ends = [];
  const key = view.key ? seeded[view.key] : ADMIN_KEY;
  if (style === "zh") {
    await tab.getByLabel("密钥", { exact: true }).fill(key);
    await tab.getByRole("button", { name: "登录", exact: true }).click();
    await tab.locator("nav").waitFor({ state: "attached" });
  } else await signIn(tab, key);
  if (view.hash) await tab.goto(`${page.front.url}/${view.hash}`);
  if (view.until) await tab.locator(view.until).first().waitFor();
  await view.act?.(tab, seeded, ends);
  await tab.waitForTimeout(400);
  const file = style === "light" ? name : `${name}-${style}`;
  const bytes = await picture(tab, join(folder, options.isWhole ? `${file}.png` : `dashboard-${file}.webp`), options);
  if (bytes > MOST_BYTES) throw new Error(`${file}: ${bytes} bytes, of ${MOST_BYTES} allowed`);
  for (const id of ["req_live_1", "req_live_2"].slice(0, ends.length)) await page.office.order("POST", `/requests/${id}/end`, {}, 202).catch(() => {});
  await Promise.all(ends);
  await tab.context().close();
  console.log(file, bytes ?? "");
}

/** The browser of the tests sees its own fonts alone, and none has Chinese letters. */
async function lendFont() {
  const { stdout } = await run("fc-list", [":lang=zh-cn", "file"]).catch(() => ({ stdout: "" }));
  const font = stdout.split("\n")[0].replace(/: *$/, "");
  if (!font) return console.log("No font here has Chinese letters: install one, such as Debian's fonts-wqy-microhei.");
  await mkdir("/tmp/fonts", { recursive: true });
  await copyFile(font, join("/tmp/fonts", basename(font)));
}

await lendFont();
const folder = process.env.LOOK ?? PICTURES;
await mkdir(folder, { recursive: true });
const page = await startPage({ stage: { config, entry: "production.mjs" } });
try {
  const seeded = await seed(page);
  const only = process.env.VIEW?.split(",");
  const all = process.env.LOOK ? Object.keys(VIEWS).flatMap((name) => Object.keys(STYLES).map((style) => [name, style])) : DOCUMENTED.map(([name, style = "light"]) => [name, style]);
  for (const one of all.filter(([name]) => !only || only.includes(name)))
    await takeOne(page, seeded, one, folder, { quality: 60, isWhole: !!process.env.LOOK }).catch((fault) => {
      if (!process.env.LOOK) throw fault;
      console.log(one.join(" "), String(fault).slice(0, 300));
    });
} finally {
  await page.stop();
}
