// Alerts on the built worker: each is sent once, to every destination, until it has arrived.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { Webhook } from "standardwebhooks";
import { FEISHU_SECRET, startSink, WEBHOOK_SECRET } from "./alert-sink.mjs";
import { until } from "./client.mjs";
import { STILL } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { startStage } from "./stage.mjs";

const [SECOND, HOUR, DAY] = [1_000, 3_600_000, 86_400_000];
/** A request costs one cent. */
const CENT = 10_000_000;
const PRICE = "price: { input: 0, output: 0, per_request: 0.01 }, max_output: 1000";
const config = (alerts, top = "") => (fake) => `
providers:
  any: { base_url: "${fake.base}", models: { ok: { ${PRICE} }, slow: { ${PRICE} }, other: { ${PRICE} }, err-500: { ${PRICE} }, "*": {} } }
alerts: { allow_private_addresses: true, ${alerts} }
${top}
`;

/** A gateway whose clock stands still unless the test moves it, with a receiver of its notices. */
async function startAlerts({ alerts = "", top = "", kinds = ["webhook"], disk, sink }) {
  sink ??= await startSink();
  const bindings = { ...OFFICE, ...sink.bindings(...kinds) };
  const stage = await startStage({ config: config(alerts, top), bindings, entry: "production.mjs", disk });
  for (const name of ["other", "first"]) stage.fake.behave(name, stage.fake.behaviour("ok"));
  const office = new Office(stage.gateway.url);
  return { stage, sink, office, gateway: stage.gateway };
}

const read = ({ office }) => office.order("GET", "/alerts?limit=500");
const types = (sink, kind = "webhook") => sink.got.filter((request) => request.kind === kind).map(({ json }) => json.type);
/** The types of notices once there are so many. */
const sent = (sink, count) => until(() => types(sink).length >= count && types(sink), `${count} notices`);
/** Sends tests until one has arrived: everything that was due before has arrived as well, or never will. */
async function settle({ office, sink }) {
  const { notice } = await office.order("POST", "/alerts/test", undefined, 202);
  await until(() => sink.got.some(({ headers }) => headers["webhook-id"] === notice), "the test");
}
/** Sets the clock forward, and does what is due then. */
async function pass({ gateway }, advance) {
  await gateway.control({ advance });
  await gateway.control({ alarm: true });
}

describe("a test of the destinations", () => {
  let at;
  before(async () => void (at = await startAlerts({ kinds: ["webhook", "slack", "feishu", "wecom"] })));
  after(async () => (await at.stage.stop(), at.sink.stop()));

  it("reaches each in its own form", async () => {
    const { notice, destinations } = await at.office.order("POST", "/alerts/test", undefined, 202);
    assert.deepEqual(destinations, ["webhook", "slack", "feishu", "wecom"]);
    await until(() => at.sink.got.length === 4, "four requests");
    const of = Object.fromEntries(at.sink.got.map((request) => [request.kind, request]));
    const { webhook, slack, feishu, wecom } = of;
    for (const { method, headers } of Object.values(of)) {
      assert.deepEqual([method, headers["content-type"]], ["POST", "application/json; charset=utf-8"]);
    }
    // The official library checks the signature, and that the time is the present.
    const verified = new Webhook(WEBHOOK_SECRET).verify(webhook.text, webhook.headers);
    assert.equal(webhook.headers["webhook-id"], notice);
    assert.deepEqual([verified.type, verified.data.id], ["alerts.test", notice]);
    assert.throws(() => new Webhook(WEBHOOK_SECRET).verify(webhook.text.replace("test", "text"), webhook.headers));
    assert.match(slack.json.text, /This is a test/);
    assert.deepEqual(slack.json.blocks.map(({ type, text }) => [type, text.type]), [["section", "plain_text"], ["section", "plain_text"]]);
    assert.deepEqual([feishu.json.msg_type, wecom.json.msgtype], ["post", "text"]);
    // https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot: the text to sign is the key.
    const sign = createHmac("sha256", `${feishu.json.timestamp}\n${FEISHU_SECRET}`).digest("base64");
    assert.equal(feishu.json.sign, sign);
    assert.match(wecom.json.text.content, /alerts\.test/);
  });

  it("is in the log of deliveries, without an address", async () => {
    const shown = await until(async () => {
      const shown = await read(at);
      return shown.deliveries.every(({ state }) => state === "delivered") && shown;
    }, "all deliveries");
    assert.deepEqual(shown.deliveries.map(({ destination }) => destination).sort(), ["feishu", "slack", "webhook", "wecom"]);
    assert.ok(shown.destinations.every(({ address }) => address === `${at.sink.url}/…`));
    assert.deepEqual(at.gateway.leaks(JSON.stringify(shown)), []);
  });

  it("shows what a destination refuses in its body", async () => {
    at.sink.reply("feishu", 200, '{"code":19021,"msg":"sign match fail"}');
    at.sink.reply("wecom", 200, '{"errcode":93000,"errmsg":"invalid webhook url"}');
    const { notice } = await at.office.order("POST", "/alerts/test", undefined, 202);
    const ended = await until(async () => {
      const own = (await read(at)).deliveries.filter((delivery) => delivery.notice === notice);
      return own.every(({ state }) => state !== "due") && own;
    }, "all ends");
    const of = Object.fromEntries(ended.map(({ destination, state, failure }) => [destination, [state, failure]]));
    assert.deepEqual(of, { webhook: ["delivered", null], slack: ["delivered", null], feishu: ["refused", "code 19021"], wecom: ["refused", "code 93000"] });
  });
});

describe("the budget of a key", () => {
  let at, key;
  before(async () => {
    at = await startAlerts({ alerts: "error_rate: false" });
    key = await at.office.key("daily", { budget: { amount_nanos: 10 * CENT, per: "day" } });
  });
  after(async () => (await at.stage.stop(), at.sink.stop()));

  let spent = 0;
  const spend = async (count) => {
    const answers = await Promise.all(Array.from({ length: count }, () => at.office.ask(key, "any/ok")));
    assert.ok(answers.every(({ status }) => status === 200), JSON.stringify(answers.map(({ text }) => text)));
    await at.office.totals("daily", (spent += count));
  };
  const thresholds = () => at.sink.got.filter(({ json }) => json.type === "budget.threshold_reached").map(({ json }) => json.data.facts.threshold_percent);

  it("is reported at each threshold, once", async () => {
    await spend(4);
    await settle(at);
    assert.deepEqual(thresholds(), []);
    await spend(1);
    await until(() => thresholds().length, "the first");
    const { data } = at.sink.got.find(({ json }) => json.type === "budget.threshold_reached").json;
    assert.equal(data.subject, "vk_daily");
    assert.deepEqual(data.facts, { key: "vk_daily", period: "day", spent_usd: "0.05", budget_usd: "0.1", used_percent: "50", threshold_percent: "50" });
    for (let count = 0; count < 2; count++) await spend(1);
    await settle(at);
    assert.deepEqual(thresholds(), ["50"]);
  });

  it("is reported once when two requests cross a threshold at once", async () => {
    await spend(2);
    await until(() => thresholds().length > 1, "the second");
    await spend(1);
    await until(() => thresholds().length > 2, "the third");
    assert.equal((await at.office.ask(key, "any/ok")).status, 429);
    await settle(at);
    assert.deepEqual(thresholds(), ["50", "80", "100"]);
    const [raised, ...more] = (await read(at)).raised.filter(({ kind }) => kind === "budget");
    assert.deepEqual([raised, more], [{ kind: "budget", subject: "vk_daily", per: "day", percent: 100, since: null }, []]);
  });

  it("is available and watched again in the next period", async () => {
    const before = types(at.sink).length;
    await at.gateway.control({ advance: DAY });
    await spend(1);
    await until(async () => (await at.gateway.control({ alarm: true }), types(at.sink).includes("budget.available")), "the recovery");
    await spend(5);
    await until(async () => (await at.gateway.control({ alarm: true }), thresholds().length > 3), "the first of the day");
    assert.deepEqual(types(at.sink).slice(before), ["budget.available", "budget.threshold_reached"]);
    assert.deepEqual(thresholds(), ["50", "80", "100", "50"]);
  });
});

describe("the budget of a key with its own thresholds", () => {
  let at;
  before(async () => void (at = await startAlerts({ alerts: "error_rate: false" })));
  after(async () => (await at.stage.stop(), at.sink.stop()));

  const budget = { amount_nanos: 10 * CENT, per: "day" };
  /** Creates a key, and spends so many tenths of its budget. */
  const spender = async (id, limits, count) => {
    const key = await at.office.key(id, { budget, ...limits });
    for (let n = 0; n < count; n++) assert.equal((await at.office.ask(key, "any/ok")).status, 200);
    await at.office.totals(id, count);
    return key;
  };
  const thresholds = (id) =>
    at.sink.got.filter(({ json }) => json.type === "budget.threshold_reached" && json.data.subject === `vk_${id}`).map(({ json }) => json.data.facts.threshold_percent);

  it("is reported at these only", async () => {
    await spender("own", { budget_alerts: [90, 70] }, 9);
    await spender("silent", { budget_alerts: [] }, 10);
    await until(() => thresholds("own").length === 2, "both thresholds");
    await settle(at);
    assert.deepEqual([thresholds("own"), thresholds("silent")], [["70", "90"], []]);
    assert.deepEqual((await at.office.order("GET", "/keys/own")).budget_alerts, [70, 90]);
    assert.deepEqual((await at.office.order("GET", "/keys/silent")).budget_alerts, []);
  });

  it("is reported when a threshold is set that has been reached", async () => {
    await at.office.order("PATCH", "/keys/silent", { budget_alerts: [60, 100] });
    await until(() => thresholds("silent").length, "the threshold");
    assert.deepEqual(thresholds("silent"), ["100"]);
    const isRaised = async () => (await read(at)).raised.some(({ subject }) => subject === "vk_silent");
    assert.ok(await isRaised());
    await at.office.order("PATCH", "/keys/silent", { budget_alerts: [] });
    await until(async () => !(await isRaised()), "that nothing is watched any more");
    await settle(at);
    assert.ok(!types(at.sink).includes("budget.available"));
  });

  it("is reported later if the operations object did not respond", async () => {
    await at.gateway.control({ away: { OPERATIONS: "fails" } });
    const key = await spender("patient", {}, 7);
    // The first delivery is cut off, and the next one fails.
    await at.gateway.control({ reopen: "vk_patient" });
    await at.gateway.control({ alarm: "vk_patient" });
    assert.deepEqual(thresholds("patient"), []);
    await at.gateway.control({ away: {} });
    await at.gateway.control({ alarm: "vk_patient" });
    await until(() => thresholds("patient").length, "the threshold");
    assert.equal((await at.office.ask(key, "any/ok")).status, 200);
    await until(() => thresholds("patient").length === 2, "the next threshold");
    await at.gateway.control({ alarm: "vk_patient" });
    await settle(at);
    assert.deepEqual(thresholds("patient"), ["50", "80"]);
  });
});

describe("a target", () => {
  let at;
  before(async () => {
    const top = "routes: { smart: { targets: [any/err-500, any/other] } }";
    at = await startAlerts({ alerts: "error_rate: false, target: { down_seconds: 60, back_seconds: 120 }", top });
  });
  after(async () => (await at.stage.stop(), at.sink.stop()));

  const ask = async (model) => assert.equal((await at.stage.ask(model)).status, 200);

  it("that stays down is reported, and so is its return", async () => {
    for (let count = 0; count < 3; count++) await ask("smart");
    await until(async () => (await at.gateway.control({})).calls.OPERATIONS >= 1, "a batch");
    await settle(at);
    assert.ok(!types(at.sink).includes("target.down"));
    await pass(at, 61 * SECOND);
    await until(() => types(at.sink).includes("target.down"), "that it is down");
    const { data } = at.sink.got.find(({ json }) => json.type === "target.down").json;
    assert.deepEqual([data.subject, data.facts.reason], ["any/err-500", "overload"]);
    at.stage.fake.behave("err-500", at.stage.fake.behaviour("ok"));
    await ask("any/err-500");
    const batches = (await at.gateway.control({})).calls.OPERATIONS;
    await until(async () => (await at.gateway.control({ advance: 2 * SECOND })).calls.OPERATIONS > batches, "its batch");
    await until(async () => (await pass(at, 121 * SECOND), types(at.sink).includes("target.back")), "that it is back");
    assert.deepEqual(types(at.sink).filter((type) => type.startsWith("target.")), ["target.down", "target.back"]);
  });
});

describe("the requests of all keys", () => {
  let at;
  before(async () => {
    at = await startAlerts({ alerts: "error_rate: { percent: 50, min_requests: 10, minutes: 5 }, spend_per_hour: 0.2, per_hour: 4" });
  });
  after(async () => (await at.stage.stop(), at.sink.stop()));

  it("raise an alert when many fail, but not by the callers' fault", async () => {
    const statuses = async (model, count, fields) => {
      const answers = await Promise.all(Array.from({ length: count }, () => at.stage.ask(model, fields)));
      return [...new Set(answers.map(({ status }) => status))];
    };
    assert.deepEqual(await statuses("any/err-400-context", 20), [400]);
    assert.deepEqual(await statuses("any/ok", 5), [200]);
    await settle(at);
    assert.ok(!types(at.sink).includes("error_rate.high"));
    await statuses("any/err-500", 12);
    await until(() => types(at.sink).includes("error_rate.high"), "the alert");
  });

  it("raise an alert when they spend much in an hour", async () => {
    await Promise.all(Array.from({ length: 20 }, () => at.stage.ask("any/ok")));
    await until(() => types(at.sink).includes("spend.high"), "the alert");
    assert.equal(types(at.sink).filter((type) => type === "spend.high").length, 1);
  });

  it("raise no more alerts than the cap allows, and say how many were withheld", async () => {
    for (const model of ["ok-1", "ok-2", "ok-3", "ok-4", "ok-5"]) {
      at.stage.fake.behave(model, at.stage.fake.behaviour("ok"));
      assert.equal((await at.stage.ask(`any/${model}`)).status, 200);
    }
    await until(async () => (await read(at)).raised.filter(({ kind }) => kind === "price").length === 5, "five models without a price");
    await settle(at);
    const capped = types(at.sink).filter((type) => type !== "alerts.test");
    assert.equal(capped.length, 4, capped.join());
    assert.ok(!capped.includes("alerts.withheld"));
    await pass(at, HOUR);
    await until(() => types(at.sink).includes("alerts.withheld"), "the notice of the cap");
    const { data } = at.sink.got.find(({ json }) => json.type === "alerts.withheld").json;
    // Of the seven alerts, one is that the error rate is normal again.
    assert.deepEqual([capped.includes("error_rate.normal"), data.facts], [true, { withheld: "4" }]);
  });
});

describe("a destination", () => {
  let at, disk;
  before(async () => {
    disk = await mkdtemp(join(tmpdir(), "llm-bridge-alerts-"));
    at = await startAlerts({ disk });
  });
  beforeEach(() => void at.sink.got.splice(0));
  after(async () => {
    await at.stage.stop();
    await at.sink.stop();
    await rm(disk, { recursive: true });
  });

  /** Sends a test and returns its delivery once `good` accepts it. */
  const newest = (notice, good) =>
    until(async () => (await read(at)).deliveries.find((delivery) => delivery.notice === notice && good(delivery)), `the delivery of ${notice}`);
  const test = async () => (await at.office.order("POST", "/alerts/test", undefined, 202)).notice;

  it("that redirects is not followed", async () => {
    at.sink.reply("webhook", 307, "", { location: `${at.sink.url}/elsewhere` });
    const { state, failure } = await newest(await test(), ({ state }) => state !== "due");
    assert.deepEqual([state, failure], ["refused", "HTTP 307"]);
    assert.ok(at.sink.got.every(({ kind }) => kind === "webhook"));
    at.sink.reply("webhook");
  });

  it("that is gone gets nothing more, until it takes a test", async () => {
    at.sink.reply("webhook", 410);
    await newest(await test(), ({ state }) => state === "gone");
    assert.deepEqual((await read(at)).destinations.map(({ is_gone }) => is_gone), [true]);
    at.stage.fake.behave("ok-unpriced", at.stage.fake.behaviour("ok"));
    assert.equal((await at.stage.ask("any/ok-unpriced")).status, 200);
    await until(async () => (await read(at)).raised.some(({ subject }) => subject === "any/ok-unpriced"), "the alert");
    assert.equal(at.sink.got.length, 1);
    at.sink.reply("webhook");
    await newest(await test(), ({ state }) => state === "delivered");
    assert.deepEqual((await read(at)).destinations.map(({ is_gone }) => is_gone), [false]);
  });

  it("gets a notice whose delivery was killed, with the same id", async () => {
    at.sink.reply("webhook", null);
    const notice = await test();
    await until(() => at.sink.got.length === 1, "the attempt");
    await at.stage.stop();
    at.sink.reply("webhook");
    at = await startAlerts({ disk, sink: at.sink });
    await until(() => at.sink.got.length === 2, "the second attempt");
    assert.deepEqual(at.sink.got.map(({ headers }) => headers["webhook-id"]), [notice, notice]);
    await newest(notice, ({ state }) => state === "delivered");
  });

  it("that does not answer is given up for this time after 15 s", async () => {
    at.sink.reply("webhook", null);
    const notice = await test();
    await until(() => at.sink.got.length === 1, "the attempt");
    await at.gateway.control({ advance: 16 * SECOND });
    assert.equal((await newest(notice, ({ attempts }) => attempts === 1)).failure, "timed out");
    at.sink.reply("webhook");
    await pass(at, 10 * SECOND);
    await newest(notice, ({ state }) => state === "delivered");
  });

  it("that answers 500 for an hour gets the same notice again, ever more rarely, until it takes it", async () => {
    await at.gateway.control({ speed: STILL });
    at.sink.reply("webhook", 500);
    const notice = await test();
    await at.gateway.control({ alarm: true });
    const waits = [];
    for (let attempts = 1, last = (await at.gateway.control({})).now; last; attempts++) {
      const delivery = await newest(notice, (delivery) => delivery.attempts === attempts);
      assert.deepEqual([delivery.state, delivery.failure], ["due", "HTTP 500"]);
      const due = Date.parse(delivery.at);
      waits.push(due - last);
      if (waits.reduce((sum, wait) => sum + wait) > HOUR) break;
      await pass(at, due - last - 1);
      assert.equal(at.sink.got.length, attempts, "no attempt is early");
      await pass(at, 2);
      last = due + 1;
    }
    // 5 s, 5 min, 30 min, 2 h, and up to a fifth more.
    const within = waits.map((wait, index) => wait / [5 * SECOND, 300 * SECOND, 1800 * SECOND, 7200 * SECOND][index]);
    assert.ok(within.length === 4 && within.every((part) => part >= 0.99 && part <= 1.21), waits.join());
    at.sink.reply("webhook");
    await pass(at, waits.at(-1));
    const delivery = await newest(notice, ({ state }) => state === "delivered");
    assert.equal(delivery.attempts, 5);
    assert.deepEqual(new Set(at.sink.got.map(({ headers }) => headers["webhook-id"])), new Set([notice]));
    assert.equal(new Set(at.sink.got.map(({ text }) => text)).size, 1, "the body is the same");
    assert.equal(new Set(at.sink.got.map(({ headers }) => headers["webhook-timestamp"])).size, 5, "the time is that of the attempt");
  });
});
