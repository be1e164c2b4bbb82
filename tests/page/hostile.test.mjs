// Texts that others choose, in every view that shows them: they are text, and nothing of them is markup, runs, or leads
// elsewhere. And what keeps other pages, and other callers, out.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { as, call, HELLO, open as openCall, until } from "../workerd/client.mjs";
import { event } from "../workerd/scripted.mjs";
import { missing, settled, signIn } from "./chromium.mjs";
import { ADMIN_KEY, startPage } from "./stage.mjs";
import { batch } from "./traffic.mjs";

/** What somebody put into one field. Its mark tells it from those of others. */
const evil = (mark) => `<img src=x onerror=own() alt=${mark}>`;
/** As the name of a model that a client asks for, which the gateway refuses if `<` is in it. */
const evilModel = (mark) => `" onerror=own() alt=${mark}!`;
const MODEL = `first/${evilModel("model")}`;

/** A provider whose every word is hostile. A model with `bad` in its name fails, one with `slow` waits for `finish()`. */
async function startHostile() {
  const { promise: finished, resolve: finish } = Promise.withResolvers();
  const server = createServer(async (req, res) => {
    const pieces = [];
    for await (const piece of req) pieces.push(piece);
    const { model, stream } = JSON.parse(Buffer.concat(pieces));
    if (model.includes("bad")) return res.writeHead(500, { "content-type": "application/json" }).end(JSON.stringify({ error: { message: evil("error"), type: evil("type"), code: evil("code") } }));
    const usage = { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 };
    const common = { id: "chatcmpl-1", created: 1_790_000_000, model: evil("served") };
    const tool = { index: 0, id: "call_1", type: "function", function: { name: evil("tool"), arguments: `{"a":"${evil("arguments").replaceAll('"', "'")}"}` } };
    const said = { role: "assistant", content: evil("content"), reasoning_content: evil("reasoning") };
    if (!stream) return res.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ ...common, object: "chat.completion", choices: [{ index: 0, message: said, finish_reason: "stop" }], usage }));
    res.writeHead(200, { "content-type": "text/event-stream" });
    const chunk = (delta, more = {}) => res.write(event({ ...common, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: null }], ...more }));
    chunk(said);
    if (model.includes("slow")) await finished;
    chunk({ tool_calls: [tool] });
    chunk({}, { choices: [{ index: 0, delta: {}, finish_reason: evil("finish") }] });
    chunk({}, { choices: [], usage });
    res.end(event("[DONE]"));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    base: `http://127.0.0.1:${server.address().port}/v1`,
    finish,
    stop: () => (server.closeAllConnections(), new Promise((resolve) => server.close(resolve))),
  };
}

const PRICE = "price: { input: 1, output: 2 }, context: 8000, max_output: 2000";
const quoted = JSON.stringify;

describe("texts from outside", { skip: missing }, () => {
  let page, provider, key;
  const chat = (model, headers = {}, more = {}) => [`${page.gateway.url}/v1/chat/completions`, { method: "POST", headers: { ...as(key), "user-agent": evil("agent"), "x-llm-bridge-tags": `team=${encodeURIComponent(evil("tag"))}`, ...headers }, body: JSON.stringify({ model, messages: HELLO, ...more }) }];
  /** The marks that some view has shown as text. */
  const shown = new Set();

  before(async () => {
    provider = await startHostile();
    const config = `
default_provider: first
providers:
  first: { base_url: "${provider.base}", api_key_env: ANY_API_KEY, models: "*" }
  known: { base_url: "${provider.base}", api_key_env: ANY_API_KEY, models: { bad: { ${PRICE} }, try: { ${PRICE} } } }
routes: { smart: [known/bad, known/try] }
reporting: { tags: [team] }
logging: { output: { file: { path: logs } } }
alerts: { allow_private_addresses: true }
`;
    page = await startPage({ config, bindings: { ANY_API_KEY: "sk-provider-2718281828", ALERT_SLACK_URL: "https://hooks.slack.example/services/secret-path" }, entry: "production.mjs" });
    await page.office.key("parent", { name: evil("parent") });
    key = await page.office.key("team-a", { name: evil("name"), owner: evil("owner"), parent: "parent", metadata: { team: evil("metadata") } });
    await page.office.order("PATCH", "/keys/team-a", { owner: evil("owner") + "2" });
    await page.office.order("PATCH", "/keys/team-a", { owner: evil("owner") });
    await page.office.order("POST", `/keys/${encodeURIComponent("no-such-key")}/disable`, {}, 404);
    const answer = await call(...chat(MODEL, { "x-request-id": "one" }));
    assert.equal(answer.status, 200, answer.text);
    await call(...chat("known/bad", { "x-request-id": "two" }));
    await call(...chat("smart", { "x-request-id": "three" }));
    await call(...chat(`none/${evilModel("unknown")}`));
    // What an isolate may report, whatever it comes from.
    const { now } = await page.gateway.control();
    const odd = { model: evil("fed"), provider: evil("host"), route: evil("route"), key_id: evil("id"), request_id: "fed-1", owner: evil("owner"), tags: [["team", evil("tag")]], model_served: evil("served"), dropped: evil("dropped"), class: evil("class"), outcome: evil("outcome"), status: 502 };
    await page.gateway.control({ feed: [batch([{ at: now - 1000, ...odd, attempts: [{ provider: evil("host"), model: evil("fed"), started: now - 2000, ended: now - 1000, class: evil("failure") }] }])] });
    await until(async () => (await page.office.order("GET", "/requests")).data.length >= 4, "the requests");
    await until(async () => (await page.office.order("GET", "/alerts")).raised.length >= 1, "an alert about a price");
    await until(async () => (await page.office.order("GET", "/logs")).data.some((line) => line.event === "attempt_failed"), "a line");
  });
  after(async () => {
    provider?.finish();
    await page?.stop();
    await provider?.stop();
  });

  /** Asserts that the page, as it is, has made nothing of the texts, and notes which it shows. */
  const assertHarmless = async (tab, what) => {
    const text = await tab.evaluate(() => {
      const bad = [...document.querySelectorAll("img, iframe, object, embed, base, form[action], [onerror], [onload], [onclick], main script, main style, main link")].map((at) => at.outerHTML);
      const away = [...document.querySelectorAll("a[href]")].map((at) => at.getAttribute("href")).filter((to) => !to.startsWith("#"));
      return { bad, away, body: document.body.textContent, title: document.title };
    });
    assert.deepEqual([text.bad, text.away], [[], []], what);
    assert.deepEqual(tab.faults, [], `${what}: errors, or something that the policy blocked`);
    for (const [, mark] of `${text.body} ${text.title}`.matchAll(/onerror=own\(\) alt=(\w+?)2?[>!]/g)) shown.add(mark);
  };
  const visit = async (tab, hash) => {
    await tab.goto(`${page.front.url}/${hash}`);
    await tab.waitForFunction((view) => document.querySelector("main h1") && location.hash.startsWith(view), hash.split(/[/?]/).slice(0, 2).join("/").split("?")[0]);
    await settled(tab);
  };

  test("are text in every view", { timeout: 600_000 }, async () => {
    const tab = await page.open();
    await signIn(tab, ADMIN_KEY);
    const value = (mark) => encodeURIComponent(evil(mark));
    const views = [
      "#/start", "#/overview?days=1", "#/overview?days=1&group=owner", "#/overview?days=1&group=key", "#/overview?days=1&group=tag.team",
      `#/overview?days=1&owner=${value("owner")}&tags=${encodeURIComponent(`team=${value("tag")}`)}`, `#/overview?group=${value("address")}&from=${value("address")}`,
      "#/requests", `#/requests?model=${encodeURIComponent(evilModel("model"))}`, "#/requests/one", "#/requests/two", "#/requests/three", "#/requests/fed-1", "#/overview?days=1&group=provider",
      "#/keys", "#/keys/team-a", "#/keys/parent", "#/models", "#/logs", `#/logs?request_id=${value("address")}`, "#/alerts", "#/audit", `#/audit?actor=${value("address")}`, "#/config",
    ];
    for (const view of views) {
      await visit(tab, view);
      await assertHarmless(tab, view);
    }
    // Sections that are closed at first, and lines of the log.
    await visit(tab, "#/logs");
    for (const line of await tab.locator(".log summary").all()) await line.click();
    await assertHarmless(tab, "lines of the log");
    await visit(tab, "#/config");
    for (const section of await tab.locator(".sections summary").all()) await section.click();
    await assertHarmless(tab, "the configuration");
    await tab.getByLabel("or its text").fill(`providers: { ${quoted(evil("checked"))}: { base_url: 1 } }\n${quoted(evil("section"))}: 1\n`);
    await tab.getByRole("button", { name: "Check a configuration" }).click();
    await tab.getByRole("region", { name: "Faults" }).waitFor();
    await assertHarmless(tab, "faults of a configuration");
    const wanted = ["name", "owner", "parent", "metadata", "tag", "model", "served", "fed", "host", "route", "id", "dropped", "class", "outcome", "failure", "error", "checked", "section"];
    assert.deepEqual(wanted.filter((mark) => !shown.has(mark)), [], "each is shown somewhere");
    assert.equal(shown.has("agent"), false, "who calls with which program is not kept");
  });

  test("are text in what a view asks for: a view or an id that there is not", async () => {
    const tab = await page.open();
    await signIn(tab, ADMIN_KEY);
    for (const hash of [`#/${evil("view")}`, `#/requests/${encodeURIComponent(evil("id"))}`, `#/keys/${encodeURIComponent(evil("id"))}`, "#/keys/javascript:own()", "#/requests?model=a&model=b&__proto__=c"]) {
      await tab.goto(`${page.front.url}/${hash}`);
      await tab.waitForFunction(() => document.querySelector("main h1") && !document.querySelector("main [aria-busy=true], main .loading"));
      await assertHarmless(tab, hash);
    }
  });

  test("are text in live requests, in a try and in the playground", { timeout: 600_000 }, async () => {
    const tab = await page.open();
    await signIn(tab, ADMIN_KEY);
    await tab.goto(`${page.front.url}/#/live`);
    await tab.getByText("Connected", { exact: true }).waitFor();
    await until(async () => (await call(...chat(MODEL)), (await tab.getByRole("region", { name: "Ended" }).count()) > 0), "a request that is shown live");
    const running = openCall(...chat(`first/slow ${evilModel("running")}`, {}, { stream: true }));
    await tab.getByRole("region", { name: "Live" }).getByText(evilModel("running")).waitFor();
    await assertHarmless(tab, "live requests");
    provider.finish();
    await (await running).rest();
    assert.ok(shown.has("running"));

    await visit(tab, "#/models");
    await tab.getByRole("row").filter({ hasText: "known/bad" }).getByRole("button", { name: /^Try/ }).click();
    await tab.getByRole("alert").getByText(evil("error")).waitFor();
    await assertHarmless(tab, "a try that fails");
    await tab.getByRole("row").filter({ hasText: "known/try" }).getByRole("button", { name: /^Try/ }).click();
    await tab.getByText(/^It answered in/).waitFor();
    await assertHarmless(tab, "a try");
    assert.ok(shown.has("content"));

    await tab.goto(`${page.front.url}/#/playground`);
    await tab.getByLabel("Model", { exact: true }).fill("known/try");
    await tab.getByLabel("Second model").fill("known/bad");
    await tab.getByLabel("Message").fill(evil("prompt"));
    await tab.getByRole("button", { name: "Send" }).click();
    await tab.getByText(/^Finished: /).waitFor();
    await tab.getByRole("alert").getByText(evil("error")).waitFor();
    for (const more of await tab.locator(".sides summary").all()) await more.click();
    await assertHarmless(tab, "the playground");
    for (const mark of ["tool", "arguments", "reasoning", "prompt"]) assert.ok(shown.has(mark), mark);
  });

  test("are text for a caller, who sees nothing of others", async () => {
    const own = await page.office.key("own", { name: evil("own"), owner: evil("self") });
    await call(`${page.gateway.url}/v1/chat/completions`, { method: "POST", headers: as(own), body: JSON.stringify({ model: `first/${evilModel("mine")}`, messages: HELLO }) });
    await page.office.totals("own", 1);
    const tab = await page.open();
    await signIn(tab, own);
    await tab.getByRole("rowheader", { name: evilModel("mine") }).waitFor();
    const before = new Set(shown);
    shown.clear();
    await assertHarmless(tab, "a caller's usage");
    assert.deepEqual([...shown].toSorted(), ["mine"], "nothing of other keys");
    before.forEach((mark) => shown.add(mark));
    // The views of admins are not there, whatever the address says, and the API refuses what they would ask.
    for (const view of ["requests", "keys", "keys/team-a", "logs", "audit", "config", "overview"]) {
      page.front.calls.length = 0;
      await tab.goto(`${page.front.url}/#/${view}`);
      await tab.getByRole("heading", { name: "Your usage" }).waitFor();
      assert.deepEqual(page.front.calls.filter((asked) => !asked.startsWith("GET /v1/usage")), [], view);
    }
    const asked = await tab.evaluate(async (token) => {
      const paths = ["session", "keys", "keys/team-a", "requests", "requests/one", "reports", "usage", "usage?key=team-a", "logs", "audit", "config", "models", "alerts", "stores", "health", "live"];
      return Promise.all(paths.map(async (path) => [path, (await fetch(`/admin/api/${path}`, { headers: { authorization: `Bearer ${token}` } })).status]));
    }, own);
    assert.deepEqual(asked.filter(([, status]) => status !== 401), []);
  });

  test("no other page frames it, and no other origin reads it", async () => {
    const tab = await page.open();
    const answer = await call(page.front.url);
    assert.match(answer.headers["content-security-policy"], /frame-ancestors 'none'/);
    await tab.goto("about:blank");
    await tab.setContent(`<iframe src="${page.front.url}/"></iframe><object data="${page.front.url}/"></object>`);
    await until(() => tab.frames().filter((frame) => frame.url().startsWith("chrome-error:")).length >= 1, "the refusal of the frame");
    assert.equal(tab.frames().some((frame) => frame.url().startsWith(page.front.url)), false);
    const read = await tab.evaluate(async ([url, token]) => {
      const file = await fetch(`${url}/ui/app.js`).then((it) => it.ok, () => "refused");
      const api = await fetch(`${url}/admin/api/keys`, { headers: { authorization: `Bearer ${token}` } }).then((it) => it.ok, () => "refused");
      return [file, api];
    }, [page.front.url, ADMIN_KEY]);
    assert.deepEqual(read, ["refused", "refused"]);
  });
});
