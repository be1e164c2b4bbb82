// Coding agents, as their vendors publish them, by models of every provider: they change a file, and what goes wrong
// at the provider reaches them so that they act upon it as they would on their own vendor's.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AGENTS } from "./agents.mjs";
import { FAULTS } from "./faults.mjs";
import { AFTER, BEFORE, MISSING, PATIENT, PROVIDERS, WORDS, work } from "./stage.mjs";

/** The pairs of `make test-clis`: each agent by a model of another format than its own, and one natively. */
const PAIRS = [["codex", "anthropic"], ["codex", "responses"], ["claude", "gemini"], ["gemini", "openai"], ["opencode by Responses", "gemini"]];
/** Those of `make test-clis`. opencode repeats a stream that breaks off for more than a minute. */
const FEW = (agent) => (agent.startsWith("opencode") ? ["cut call", "overflow"] : ["cut", "overflow"]);
const NAMES = {
  refusal: "a refusal",
  key: "a wrong key for a model",
  limit: "a rate limit",
  overload: "the overload",
  overflow: "a prompt that is too long for a model",
  cut: "an answer that breaks off",
  "cut call": "a call that breaks off",
};
const isAll = process.env.CLIS_MATRIX === "all";
const pairs = isAll ? Object.keys(AGENTS).flatMap((agent) => Object.keys(PROVIDERS).map((provider) => [agent, provider])) : PAIRS;

const faultsFor = (agent) => (isAll ? Object.keys(FAULTS) : FEW(agent));

/** What an assertion has to show of a run. */
const shown = ({ status, isLate, stdout, stderr, refused, asked }) =>
  JSON.stringify({ status, isLate, refused, asked: asked.length, stdout: stdout.slice(-3000), stderr: stderr.slice(-3000) }, null, 1);

/** The agent has done its task, and says so. */
function assertDone(ran) {
  assert.equal(ran.text, WORDS.join(""), shown(ran));
  assert.equal(ran.file, AFTER, shown(ran));
}

/** The agent has done its task, and nothing else is to be told. */
function assertPlainlyDone(ran) {
  assert.equal(ran.status, 0, shown(ran));
  assertDone(ran);
}

/** The agent has told its user of the failure: it takes nothing of the last response for an answer. */
const told = (words) => (ran) => {
  assert.equal(ran.isLate, false, shown(ran));
  assert.notEqual(ran.status, 0, shown(ran));
  assert.match(ran.errors.join("\n"), words, shown(ran));
  assert.notEqual(ran.text, WORDS.join(""), shown(ran));
};

/** Nobody outside was asked, and each request was written as the provider takes it. */
function assertClean(ran, agent) {
  assert.deepEqual(ran.outside.filter((host) => !AGENTS[agent].outside?.includes(host)), []);
  assert.deepEqual(ran.refused, []);
}

const TRUNCATED = /broke off|Incomplete JSON segment/;
const TOO_LONG = /maximum context length|prompt is too long|input token count|Prompt is too long|room in the model's context window/;

/**
 * What comes of each fault: for every agent, or for those that act in another way. What is not told here is that no
 * agent may take a part for the whole: each of these looks at the file and at the words.
 */
const OUTCOMES = {
  refusal: {
    any: (ran) => (told(/reason 4711/)(ran), assert.equal(ran.file, BEFORE)),
  },
  key: {
    any: (ran) => (told(/refused the gateway's credentials/)(ran), assert.equal(ran.file, BEFORE)),
  },
  limit: { any: assertPlainlyDone },
  overload: { any: assertPlainlyDone },
  overflow: {
    any: (ran) => (told(TOO_LONG)(ran), assert.equal(ran.file, BEFORE)),
    codex: (ran) => (told(/ran out of room in the model's context window/)(ran), assert.equal(ran.asked.length, 2, "it is not asked again")),
    // It begins a summary of the conversation, for which the provider has no room either.
    claude: (ran) => (told(/Prompt is too long/)(ran), assert.ok(ran.asked.length > 2, "it tries to shorten the conversation")),
    // It tells of the error, shortens the conversation, and goes on.
    opencode: (ran) => (assertDone(ran), assert.match(ran.errors.join(), TOO_LONG)),
  },
  cut: {
    any: told(TRUNCATED),
    // It asks again for a response that is no stream.
    claude: assertPlainlyDone,
  },
  "cut call": {
    any: assertPlainlyDone,
    // The AI SDK for chats repeats no stream that has begun. A call that came whole is carried out.
    "opencode by chats": (ran, provider) => (told(TRUNCATED)(ran), assert.equal(ran.file, provider === "gemini" ? AFTER : BEFORE)),
  },
};

/** The outcome for an agent: of its own row, or of the row of the agent without the format that it speaks. */
const outcome = (fault, agent) => OUTCOMES[fault][agent] ?? OUTCOMES[fault][agent.split(" ")[0]] ?? OUTCOMES[fault].any;

describe("coding agents", { concurrency: 2, skip: MISSING }, () => {
  for (const [agent, provider] of pairs) {
    it(`${agent} changes a file by a model of ${provider}`, PATIENT, async () => {
      const ran = await work({ agent, provider });
      assertPlainlyDone(ran);
      assert.deepEqual(ran.errors, [], shown(ran));
      assertClean(ran, agent);
      // A custom tool: Codex takes no call of a function by this name.
      if (agent === "codex") assert.deepEqual(ran.called, ["exec_command", "apply_patch"]);
      // What the agent says that it has used is what the provider has said: it told the same of each of three turns.
      assert.deepEqual(ran.usage, { input: 3 * 55, output: 3 * 12 });
    });

    for (const fault of faultsFor(agent)) {
      it(`${agent} acts upon ${NAMES[fault]} of ${provider}`, PATIENT, async () => {
        const ran = await work({ agent, provider, fault: FAULTS[fault](provider) });
        outcome(fault, agent)(ran, provider);
        assertClean(ran, agent);
      });
    }
  }
});
