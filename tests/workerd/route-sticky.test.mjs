// What keeps its target and key: conversations, by the id that a client gives or by their beginning; users; nothing.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { HELLO } from "./client.mjs";
import { ok, refusing } from "./route-behaviours.mjs";
import { REFUSALS } from "./route-speech.mjs";
import { RouteStage } from "./route-stage.mjs";

const stage = new RouteStage();
before(() => stage.start());
after(() => stage.stop());

/** Numbers, and their requests' answers one after the other. */
const MANY = Array.from({ length: 24 }, (_, n) => n);
const served = ({ answer }) => (assert.equal(answer.status, 200, answer.text), answer.headers["x-llm-bridge-model"]);
const say = (content) => [{ role: "user", content }];
const isSpread = (targets) => assert.equal(new Set(targets).size, 2, `both targets: ${targets}`);

const session = (n) => `5${n}a121ec-f78c-48c3-a745-e3036a3ecc33`;
const claudeCode = (n) => ({ metadata: { user_id: JSON.stringify({ device_id: "d", account_uuid: "", session_id: session(n) }) } });
const olderClaudeCode = (n) => ({ metadata: { user_id: `user_${"a".repeat(64)}_account__session_${session(n)}` } });

/** How clients name their conversation: the request of conversation n. */
const IDS = {
  "the header x-session-id": (scene, n, messages) => scene.chat({ messages }, { headers: { "x-session-id": session(n) } }),
  "the header session_id": (scene, n, messages) => scene.chat({ messages }, { headers: { session_id: session(n) } }),
  session_id: (scene, n, messages) => scene.chat({ messages, session_id: session(n) }),
  prompt_cache_key: (scene, n, messages) => scene.chat({ messages, prompt_cache_key: session(n) }),
  "Claude Code's session": (scene, n, messages) => scene.message({ messages, ...claudeCode(n) }),
  "an older Claude Code's session": (scene, n, messages) => scene.message({ messages, ...olderClaudeCode(n) }),
};

describe("a conversation", { concurrency: 8 }, () => {
  for (const [what, ask] of Object.entries(IDS)) {
    const scene = stage.scene({ first: "openai", second: "anthropic" }, "strategy: weighted");

    it(`keeps its target whatever it says, by ${what}`, async () => {
      const first = await Promise.all(MANY.map(async (n) => served(await ask(scene, n, say("Hello.")))));
      isSpread(first);
      const later = await Promise.all(MANY.map(async (n) => served(await ask(scene, n, say(`Compacted ${n}.`)))));
      assert.deepEqual(later, first);
    });
  }

  for (const [what, request] of [
    ["the tools", (n) => ({ tools: [{ type: "function", function: { name: `tool_${n}`, parameters: { type: "object", properties: {} } } }] })],
    ["the system prompt", (n) => ({ messages: [{ role: "system", content: `Be number ${n}.` }, ...HELLO] })],
    ["the first message", (n) => ({ messages: say(`Hello ${n}.`) })],
  ]) {
    const scene = stage.scene({ first: "openai", second: "anthropic" }, "strategy: weighted, sticky: conversation");

    it(`is known by ${what}, if it has no id`, async () => {
      const ask = async (n) => served(await scene.chat(request(n)));
      const first = await Promise.all(MANY.map(ask));
      isSpread(first);
      assert.deepEqual(await Promise.all(MANY.map(ask)), first);
    });
  }

  const system = stage.scene({ first: "openai", second: "anthropic" }, "strategy: weighted");

  it("of the Messages API is known by its system prompt, too", async () => {
    const ask = async (n) => served(await system.message({ system: `Be number ${n}.` }));
    const first = await Promise.all(MANY.map(ask));
    isSpread(first);
    assert.deepEqual(await Promise.all(MANY.map(ask)), first);
  });

  const sick = stage.scene({ first: "openai", second: "anthropic" }, "strategy: weighted");

  it("leaves a target that refuses, at once, and is the only one that does", async () => {
    const ask = async (n) => served(await sick.chat({ prompt_cache_key: session(n) }));
    const first = [];
    for (const n of MANY) first.push(await ask(n));
    const at = (role) => MANY.filter((n) => first[n] === sick.target(role));
    const [one] = at("first");
    sick.first.plays(refusing(REFUSALS.openai.unsupported), ok());
    assert.equal(await ask(one), sick.target("second"));
    for (const n of at("second").slice(0, 3)) assert.equal(await ask(n), sick.target("second"));
    // Nothing rests after such a refusal.
    assert.equal(await ask(one), sick.target("first"));
  });
});

describe("what is sticky", { concurrency: 8 }, () => {
  const users = stage.scene({ first: "openai", second: "anthropic" }, "strategy: weighted, sticky: user");

  it("may be a user, in all conversations", async () => {
    const ask = async (n, content) => served(await users.chat({ user: `user-${n}`, messages: say(content), prompt_cache_key: content }));
    const first = await Promise.all(MANY.map((n) => ask(n, "One.")));
    isSpread(first);
    assert.deepEqual(await Promise.all(MANY.map((n) => ask(n, `Other ${n}.`))), first);
  });

  const claude = stage.scene({ first: "openai", second: "anthropic" }, "strategy: weighted, sticky: user");

  it("may be the user of Claude Code, in all sessions", async () => {
    const targets = await Promise.all(MANY.map(async (n) => served(await claude.message(claudeCode(n)))));
    assert.equal(new Set(targets).size, 1, `${targets}`);
  });

  const nothing = stage.scene({ first: "openai", second: "anthropic" }, "strategy: weighted, sticky: off");

  it("may be nothing", async () => {
    isSpread(await Promise.all(MANY.map(async () => served(await nothing.chat({ prompt_cache_key: "one" })))));
  });

  const listed = stage.scene({ first: "openai", second: "anthropic" }, "sticky: off");

  it("does not change the order of a list", async () => {
    await Promise.all(MANY.map(() => listed.chat()));
    assert.deepEqual(listed.calls, [24, 0]);
  });
});

describe("the prompt cache of providers", { concurrency: 2 }, () => {
  // A provider with a cache for each organisation: a turn is read from it if the turn before was there. Turns come
  // every three minutes, and an entry lives for five.
  const [CONVERSATIONS, TURNS] = [20, 25];
  const pool = ["sk-cache-a-314159", "sk-cache-b-314159"];
  const hits = async (scene) => {
    let read = 0;
    const places = new Map();
    for (let turn = 0; turn < TURNS; turn++) {
      const asks = Array.from({ length: CONVERSATIONS }, async (_, n) => {
        const turns = [...say(`Conversation ${n}.`), ...Array.from({ length: turn }, () => [{ role: "assistant", content: "Yes?" }, ...say("Go on.")]).flat()];
        const { answer } = await scene.chat({ messages: turns });
        assert.equal(answer.status, 200, answer.text);
      });
      const before = scene.providers.map(({ calls }) => calls);
      await Promise.all(asks);
      const now = new Map();
      scene.providers.forEach((provider, index) => provider.requests.slice(before[index]).forEach(({ key, body }) => {
        now.set(JSON.stringify(body.messages[0].content), key);
      }));
      now.forEach((key, conversation) => (read += places.get(conversation) === key ? 1 : 0));
      now.forEach((key, conversation) => places.set(conversation, key));
    }
    return read / (CONVERSATIONS * TURNS);
  };
  const roles = () => ({ first: { kind: "openai", pool }, second: { kind: "openai", pool: ["sk-cache-c-314159", "sk-cache-d-314159"] } });

  const kept = stage.scene(roles(), "strategy: weighted");
  it("is hit by at least 95 % of a conversation's turns", async () => assert.ok((await hits(kept)) >= 0.95));

  const loose = stage.scene(roles(), "strategy: weighted, sticky: off");
  it("is hit by at most 60 % of them without stickiness", async () => assert.ok((await hits(loose)) <= 0.6));
});
