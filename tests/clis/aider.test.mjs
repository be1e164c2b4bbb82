// aider, as PyPI has it: it changes a file by blocks of text, without tools, and sees that its key is wrong.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { KEY } from "./agents.mjs";
import { AFTER, BEFORE, FILE, PATIENT, work } from "./stage.mjs";

const PROGRAM = process.env.AIDER ?? fileURLToPath(new URL("../../.tools/aider/bin/aider", import.meta.url));
const skip = existsSync(PROGRAM) ? false : "run `make test-clis`, which installs it";

const EDIT = ["The greeting is German now.\n\n", `${FILE}\n`, "```\n<<<<<<< SEARCH\n", BEFORE, "=======\n", AFTER, ">>>>>>> REPLACE\n```\n"];
const QUIET = ["--no-git", "--yes-always", "--no-check-update", "--no-show-model-warnings", "--no-show-release-notes", "--analytics-disable", "--no-gitignore", "--no-pretty"];

/** aider with this key. What it is told here is what docs/clients.md says. */
const aider = (key) => ({
  program: PROGRAM,
  play: () => ({ words: EDIT }),
  // LiteLLM, by which it calls, would fetch its list of prices.
  setUp: ({ url }) => ({ OPENAI_API_BASE: `${url}/v1`, OPENAI_API_KEY: key, LITELLM_LOCAL_MODEL_COST_MAP: "True" }),
  args: (prompt, { model }) => ["--model", `openai/${model}`, "--edit-format", "diff", ...QUIET, "--message", prompt, FILE],
  read: (stdout) => ({ text: stdout }),
});

describe("aider", { skip }, () => {
  for (const provider of ["anthropic", "gemini"]) {
    it(`changes a file by a model of ${provider}`, PATIENT, async () => {
      const ran = await work({ agent: aider(KEY), provider });
      const shown = ran.stdout.slice(-3000) + ran.stderr.slice(-3000);
      assert.equal(ran.status, 0, shown);
      assert.equal(ran.file, AFTER, shown);
      assert.match(ran.text, /Applied edit to greeting\.txt/);
      assert.deepEqual([ran.refused, ran.asked.length], [[], 1]);
    });
  }

  it("sees that its key is wrong, and does not try again", PATIENT, async () => {
    const ran = await work({ agent: aider("sk-wrong-0001"), provider: "anthropic" });
    assert.match(ran.text, /AuthenticationError/, ran.stdout.slice(-3000));
    assert.doesNotMatch(ran.text, /Retrying/);
    assert.deepEqual([ran.file, ran.asked], [BEFORE, []]);
  });
});
