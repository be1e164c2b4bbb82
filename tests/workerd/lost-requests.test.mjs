// Whatever kind of request a killed process leaves behind, it has one receipt, its place is free again, and
// the sums are those of the receipts.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { begin, open, soon } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { BUDGET, isLost, LEASE_MS, LIFE_MS, startLeases } from "./lease-stage.mjs";
import { closeAll, openSession } from "./socket.mjs";

const CHATS = "/v1/chat/completions";
const ONE = { budget: BUDGET, concurrent_requests: 1 };
/**
 * The age of each request when the process is killed: its lease has been renewed after a minute, with the
 * tokens so far.
 */
const LIVED_MS = 100_000;

describe("a request that dies with its process", () => {
  let leases;
  before(async () => {
    leases = await startLeases();
  });
  after(() => (closeAll(), leases.stop()));

  /**
   * A request that its provider handles, driven by `answer` to the wanted state; the response is still to
   * come.
   */
  async function beginAt(path, key, name, fields, answer = () => {}) {
    const held = leases.stage.held(name);
    const { answering } = begin(leases.url(path), leases.request(key, { model: `any/${name}`, ...fields }));
    answering.catch(() => {});
    answer(await held);
    return { answering };
  }

  // How each kind of request is started. `heard`: words of its response had come.
  const KINDS = {
    "native-stream": { heard: true, start: (key, name) => leases.beginStream(key, name) },
    "checked-stream": { heard: true, start: (key, name) => leases.beginStream(key, name, "checked") },
    "echo-stream": {
      heard: true,
      start: async (key) => {
        const answer = await open(leases.url(), leases.request(key, { model: "demo/slow", stream: true }));
        await answer.until("This");
      },
    },
    "translated-stream": {
      heard: true,
      start: async (key, name) => {
        const { answering } = await beginAt("/v1/messages", key, name, { stream: true }, (exchange) => leases.say(exchange, "first"));
        await (await soon(answering, "the first word")).until("first");
      },
    },
    "websocket-chat": {
      heard: true,
      start: async (key, name) => {
        const socket = await openSession(leases.gateway.url, { key });
        const held = leases.stage.held(name);
        socket.chat({ model: `any/${name}`, stream: true, max_tokens: 1000 }, { id: "a" });
        leases.say(await held, "first");
        await socket.until(({ type }) => type === "chunk", "its first word");
      },
    },
    "answer-heard-out": {
      heard: true,
      start: async (key, name) => {
        const { answer, exchange } = await leases.beginStream(key, name, "heard");
        return { leave: () => answer.leave(), exchange };
      },
    },
    "stream-before-its-first-word": { start: (key, name) => beginAt(CHATS, key, name, { stream: true }, (exchange) => exchange.openStream()) },
    "whole-answer": { start: (key, name) => beginAt(CHATS, key, name, {}) },
    "long-whole-answer": {
      heard: true,
      start: async (key, name) => {
        const { answering } = await beginAt(CHATS, key, name, {}, (exchange) => {
          exchange.open(200, { "content-type": "application/json" });
          exchange.write(`{"choices":[{"message":{"content":"${"x".repeat(5 << 20)}`);
        });
        await (await soon(answering, "the beginning of a long answer")).until("xxx");
      },
    },
    completion: { start: (key, name) => beginAt("/v1/completions", key, name, { messages: undefined, prompt: "Hello" }) },
    embedding: { start: (key, name) => beginAt("/v1/embeddings", key, name, { messages: undefined, max_tokens: undefined, input: "Hello" }) },
  };

  it("leaves one receipt, a free place and true sums, of whatever kind it is", async () => {
    const keys = {};
    for (const kind of Object.keys(KINDS)) keys[kind] = await leases.office.key(kind, ONE);
    keys.team = await leases.office.key("team", ONE);
    keys.member = await leases.office.key("member", { ...ONE, parent: "team" });
    const starting = Object.entries(KINDS).map(([kind, { start }]) => begun(start(keys[kind], kind), kind));
    const leaver = (await Promise.all(starting)).find((begun) => begun?.leave);
    await leases.beginStream(keys.member, "member");
    await leases.pass(LIVED_MS);
    // Its client leaves, but the response is read on.
    leaver.leave();
    await leases.pass(10_000);
    assert.equal(leaver.exchange.over, false, "the answer is heard to its end");
    const all = Object.keys(keys);
    // Each holds its place while it lives, and until its lease expires. The new process asks the account for
    // the first time.
    const refused = async (kind) => expectError(await leases.ask(keys[kind]), { status: 429, code: "rate_limit_exceeded", says: /allows 1 concurrent request/ });
    for (const kind of all) await refused(kind);
    await leases.restart();
    for (const kind of all) await refused(kind);
    await leases.jump(LEASE_MS + 1_000);
    for (const kind of all.filter((kind) => kind !== "team")) {
      assert.equal((await leases.ask(keys[kind])).status, 200, kind);
      const receipts = await leases.settled(`vk_${kind}`, 2);
      const [lost, ...others] = receipts.filter(isLost);
      assert.deepEqual(others, [], kind);
      assert.ok(lost.estimated && lost.tokens.prompt > 0 && lost.cost_nanos > 0, `${kind} ${JSON.stringify(lost)}`);
      const heard = KINDS[kind] ? Boolean(KINDS[kind].heard) : true;
      assert.equal(lost.tokens.completion > 0, heard, `${kind} ${JSON.stringify(lost)}`);
    }
    await leases.expectSame("vk_team", "vk_member", 2);
    // Whatever is reopened, and however late: there is no other receipt, and nothing is held.
    const before = await Promise.all(all.map((kind) => leases.office.receipts(`vk_${kind}`)));
    for (const later of [0, LIFE_MS, LIFE_MS]) {
      await leases.jump(later);
      await leases.restart();
      const after = await Promise.all(all.map((kind) => leases.office.receipts(`vk_${kind}`)));
      assert.deepEqual(after, before);
    }
    for (const kind of all) assert.equal((await leases.ask(keys[kind])).status, 200, kind);
  });

  /** A failure names the kind of request. */
  const begun = (start, kind) => Promise.resolve(start).catch((fault) => Promise.reject(new Error(`${kind}: ${fault.message}`, { cause: fault })));
});
