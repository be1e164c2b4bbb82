// `strategy: cheapest`: the target where this request costs least, its tier and a warm cache included.

import { after, before, describe, it } from "node:test";
import { ok, refusing } from "./route-behaviours.mjs";
import { REFUSALS } from "./route-speech.mjs";
import { RouteStage } from "./route-stage.mjs";

const CHEAPEST = "strategy: cheapest";
/** A target with this price, as YAML. */
const at = (price, kind = "openai") => ({ kind, models: `{ "*": { price: ${price} } }` });
const say = (content) => [{ role: "user", content }];

const stage = new RouteStage();
before(() => stage.start());
after(() => stage.stop());

describe("the cheapest target", { concurrency: 8 }, () => {
  const plain = stage.scene({ first: at("{ input: 3, output: 30 }"), second: at("{ input: 1, output: 10 }", "anthropic"), third: at("{ input: 2, output: 20 }") }, CHEAPEST);

  it("is asked first, and the next cheapest after it", async () => {
    plain.second.plays(ok(), refusing(REFUSALS.anthropic.unsupported));
    plain.expectServed(await plain.chat(), "second", [0, 1, 0]);
    plain.expectServed(await plain.chat({ stream: true }), "third", [0, 2, 1]);
  });

  const unknown = stage.scene({ first: { kind: "openrouter", model: "nobody/knows-it", models: '{ "*": {} }' }, second: at("{ input: 100, output: 500 }") }, CHEAPEST);

  it("is none whose price is not known, if another's is", async () => {
    unknown.expectServed(await unknown.chat(), "second", [0, 1]);
  });

  const shape = stage.scene({ first: at("{ input: 1, output: 100 }"), second: at("{ input: 10, output: 10 }") }, CHEAPEST);

  it("is that of this request: its prompt and its longest answer count", async () => {
    shape.expectServed(await shape.chat({ max_tokens: 400 }), "second", [0, 1]);
    shape.expectServed(await shape.chat({ max_tokens: 5, messages: say("word ".repeat(8_000)) }), "first", [1, 1]);
  });

  const tiers = stage.scene(
    { first: at("{ input: 2, output: 2, tiers: { flex: { input: 1, output: 1 } } }"), second: at("{ input: 1.5, output: 1.5, tiers: { flex: { input: 1.4, output: 1.4 } } }") },
    CHEAPEST,
  );

  it("is that of the tier that the request asks for", async () => {
    tiers.expectServed(await tiers.chat(), "second", [0, 1]);
    tiers.expectServed(await tiers.chat({ service_tier: "flex" }), "first", [1, 1]);
  });

  const warm = stage.scene({ first: at("{ input: 1, cached_input: 1, output: 1 }"), second: at("{ input: 1.5, cached_input: 0.1, output: 1 }") }, CHEAPEST);

  it("is the one that has read the conversation, if its cache makes it so", async () => {
    const chat = (messages) => warm.chat({ messages });
    const long = say("word ".repeat(8_000));
    const next = [...long, { role: "assistant", content: "Yes?" }, ...say("Go on.")];
    warm.first.plays(refusing(REFUSALS.openai.unsupported), ok());
    warm.expectServed(await chat(long), "second", [1, 1]);
    warm.expectServed(await chat(next), "second", [1, 2]);
    warm.expectServed(await chat(say(`Another ${"word ".repeat(8_000)}`)), "first", [2, 2]);
    // A preference, which gives way at once.
    warm.second.plays(refusing(REFUSALS.openai.unsupported), ok());
    warm.expectServed(await chat(next), "first", [3, 3]);
  });

  for (const sticky of ["user", "off"]) {
    const scene = stage.scene({ first: at("{ input: 1, cached_input: 1, output: 1 }"), second: at("{ input: 1.5, cached_input: 0.1, output: 1 }") }, `${CHEAPEST}, sticky: ${sticky}`);

    it(`is warm for a conversation alone, whatever the choice is stable for: sticky: ${sticky}`, async () => {
      const chat = (messages) => scene.chat({ messages, user: "one" });
      const long = say("word ".repeat(8_000));
      scene.first.plays(refusing(REFUSALS.openai.unsupported), ok());
      scene.expectServed(await chat(long), "second", [1, 1]);
      scene.expectServed(await chat(say(`Another ${"word ".repeat(8_000)}`)), "first", [2, 1]);
      scene.expectServed(await chat([...long, { role: "assistant", content: "Yes?" }, ...say("Go on.")]), "second", [2, 2]);
    });
  }

  const two = { first: at("{ input: 1, cached_input: 1, output: 1 }"), second: at("{ input: 1.5, cached_input: 0.1, output: 1 }") };
  const large = stage.scene(two, CHEAPEST);
  const small = stage.scene(two, CHEAPEST);

  it("is still that one after another model was asked in the same conversation", async () => {
    const messages = say(`Again ${"word ".repeat(8_000)}`);
    large.first.plays(refusing(REFUSALS.openai.unsupported), ok());
    large.expectServed(await large.chat({ messages }), "second", [1, 1]);
    small.expectServed(await small.chat({ messages }), "first", [1, 0]);
    large.expectServed(await large.chat({ messages }), "second", [1, 2]);
  });
});
