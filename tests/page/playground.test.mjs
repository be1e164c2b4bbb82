// The playground with an image and reasoning, streamed by two providers of different formats that wait for the test
// between the parts of their responses.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { until } from "../workerd/client.mjs";
import { event } from "../workerd/scripted.mjs";
import { assertAccessible, missing, signIn } from "./chromium.mjs";
import { look } from "./look.mjs";
import { ADMIN_KEY, startPage } from "./stage.mjs";

/** A picture of one pixel. */
const PIXEL = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
const HOSTILE = "<img src=x onerror=\"document.title='owned'\">";
const PRICE = "price: { input: 1, output: 2 }";

/** What the providers say: parts of a stream by path, of which each is sent when the test says so. */
const SPEECH = {
  "/v1/messages": [
    [
      event({ type: "message_start", message: { id: "msg_1", type: "message", role: "assistant", model: "claude-sonnet-4-5", content: [], stop_reason: null, stop_sequence: null, usage: { input_tokens: 20, output_tokens: 1 } } }, "message_start"),
      event({ type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } }, "content_block_start"),
      event({ type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: `A pixel? ${HOSTILE}` } }, "content_block_delta"),
    ],
    [
      event({ type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "c2ln" } }, "content_block_delta"),
      event({ type: "content_block_stop", index: 0 }, "content_block_stop"),
      event({ type: "content_block_start", index: 1, content_block: { type: "text", text: "" } }, "content_block_start"),
      event({ type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "It is one " } }, "content_block_delta"),
    ],
    [
      event({ type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "pixel." } }, "content_block_delta"),
      event({ type: "content_block_stop", index: 1 }, "content_block_stop"),
      event({ type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 12 } }, "message_delta"),
      event({ type: "message_stop" }, "message_stop"),
    ],
  ],
  "/v1/chat/completions": [
    [event(chunk({ role: "assistant", reasoning_content: "Let me see." }))],
    [event(chunk({ content: "A red " }))],
    [event(chunk({ content: "dot." })), event({ ...chunk({}), choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }), event({ ...chunk({}), choices: [], usage: { prompt_tokens: 30, completion_tokens: 9, total_tokens: 39 } }), event("[DONE]")],
  ],
};

function chunk(delta) {
  return { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1_790_000_000, model: "seer", choices: [{ index: 0, delta, finish_reason: null }] };
}

/** A provider whose responses go on when `next()` is called. */
async function startWaiting() {
  const asked = [];
  const server = createServer(async (req, res) => {
    const pieces = [];
    for await (const piece of req) pieces.push(piece);
    const parts = [...(SPEECH[req.url] ?? [])];
    asked.push({ url: req.url, body: JSON.parse(Buffer.concat(pieces)), next: () => parts.shift().forEach((text) => res.write(text)), end: () => res.end() });
    res.writeHead(200, { "content-type": "text/event-stream" });
    res.flushHeaders();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    base: `http://127.0.0.1:${server.address().port}/v1`,
    asked,
    stop: () => (server.closeAllConnections(), new Promise((resolve) => server.close(resolve))),
  };
}

describe("the playground", { skip: missing }, () => {
  let page, provider;
  before(async () => {
    provider = await startWaiting();
    const config = `
providers:
  thinker: { adapter: anthropic, base_url: "${provider.base}", api_key_env: ANY_API_KEY, models: { claude-sonnet-4-5: { ${PRICE} } } }
  seer: { base_url: "${provider.base}", api_key_env: ANY_API_KEY, models: { seer: { context: 8000, max_output: 2000, limit_fields: [max_tokens], ${PRICE} } } }
`;
    page = await startPage({ config, bindings: { ANY_API_KEY: "sk-provider-2718281828" } });
  });
  after(async () => {
    await page?.stop();
    await provider?.stop();
  });

  test("sends an image and an effort to both, and shows reasoning and text as they come", async () => {
    const tab = await page.open();
    await signIn(tab, ADMIN_KEY);
    await tab.goto(`${page.front.url}/#/playground`);
    await tab.getByLabel("Model", { exact: true }).fill("thinker/claude-sonnet-4-5");
    await tab.getByLabel("Second model").fill("seer/seer");
    await tab.getByLabel("Message").fill("What is this?");
    await tab.locator("summary", { hasText: "System prompt, reasoning" }).click();
    await tab.getByLabel("Reasoning", { exact: true }).selectOption("high");
    assert.equal(await tab.getByLabel("Longest response").inputValue(), "4096", "room for reasoning");
    // One that is too large is refused here.
    await tab.getByLabel("Image").setInputFiles({ name: "large.png", mimeType: "image/png", buffer: Buffer.alloc(5_000_001) });
    await tab.getByRole("alert").getByText("The image is too large.").waitFor();
    await tab.getByLabel("Image").setInputFiles({ name: "pixel.png", mimeType: "image/png", buffer: PIXEL });
    await tab.getByRole("button", { name: "Send" }).click();
    await until(() => provider.asked.length === 2, "both requests");

    // Each provider got the picture in the words of its format.
    const of = (url) => provider.asked.find((request) => request.url === url);
    const [thinker, seer] = [of("/v1/messages"), of("/v1/chat/completions")];
    const image = thinker.body.messages[0].content.find(({ type }) => type === "image");
    assert.deepEqual(image.source, { type: "base64", media_type: "image/png", data: PIXEL.toString("base64") });
    assert.ok(thinker.body.thinking ?? thinker.body.output_config, JSON.stringify(thinker.body));
    assert.equal(seer.body.reasoning_effort, "high");
    assert.equal(seer.body.messages[0].content.find(({ type }) => type === "image_url").image_url.url, `data:image/png;base64,${PIXEL.toString("base64")}`);

    const sides = { one: tab.getByRole("region", { name: "thinker/claude-sonnet-4-5" }), two: tab.getByRole("region", { name: "seer/seer" }) };
    // The reasoning is there before any text.
    thinker.next();
    seer.next();
    for (const [side, text] of [["one", "A pixel?"], ["two", "Let me see."]]) {
      await sides[side].locator("summary", { hasText: "Reasoning" }).click();
      await sides[side].locator(".said", { hasText: text }).waitFor();
      assert.equal(await sides[side].locator(".said").count(), 1, "no text yet");
      assert.equal(await sides[side].getAttribute("aria-busy"), "true");
    }
    assert.ok((await sides.one.locator(".said").textContent()).includes(HOSTILE), "it is text");
    // One side goes on alone.
    thinker.next();
    await sides.one.locator(".said", { hasText: "It is one" }).waitFor();
    assert.equal(await sides.two.locator(".said").count(), 1, "the other waits for its provider");
    seer.next();
    await sides.two.locator(".said", { hasText: "A red" }).waitFor();
    for (const request of [thinker, seer]) {
      request.next();
      request.end();
    }
    await sides.one.locator(".said", { hasText: "It is one pixel." }).waitFor();
    await sides.two.locator(".said", { hasText: "A red dot." }).waitFor();
    await sides.one.getByText("Finished: stop").waitFor();
    await sides.two.getByText("Finished: stop").waitFor();
    assert.match(await sides.two.locator(".facts").textContent(), /30 \+ 9/);
    // The raw request is what was sent, but for the picture, which is cut.
    await sides.two.locator("summary", { hasText: "Raw exchange" }).click();
    const raw = await sides.two.getByLabel("Body of the request", { exact: true }).textContent();
    assert.equal(JSON.parse(raw).reasoning_effort, "high");
    assert.match(await sides.two.getByLabel("Body of the response", { exact: true }).textContent(), /reasoning_content/);
    await tab.waitForFunction(() => [...document.querySelectorAll(".sides .facts")].filter((facts) => facts.textContent.includes("$")).length === 2);
    assert.notEqual(await tab.title(), "owned");
    assert.equal(await tab.locator("main img").count(), 0);
    await assertAccessible(tab, "reasoning in the playground");
    await look(tab, "playground-reasoning");
    assert.deepEqual(tab.faults, []);
  });

  test("a response that breaks off, and one that is stopped, say so", async () => {
    const tab = await page.open();
    await signIn(tab, ADMIN_KEY);
    await tab.goto(`${page.front.url}/#/playground`);
    await tab.getByLabel("Model", { exact: true }).fill("seer/seer");
    await tab.getByLabel("Message").fill("Go on");
    const asked = async () => {
      const before = provider.asked.length;
      await tab.getByRole("button", { name: "Send" }).click();
      await until(() => provider.asked.length > before, "the request");
      return provider.asked.at(-1);
    };
    const side = tab.getByRole("region", { name: "seer/seer" });
    const broken = await asked();
    broken.next();
    broken.next();
    await side.locator(".said", { hasText: "A red" }).waitFor();
    broken.end();
    await side.getByText("The response broke off.").waitFor();
    const stopped = await asked();
    stopped.next();
    stopped.next();
    await side.locator(".said", { hasText: "A red" }).waitFor();
    await tab.getByRole("button", { name: "Stop" }).click();
    await tab.getByRole("button", { name: "Stop" }).waitFor({ state: "detached" });
    assert.equal(await side.locator(".said", { hasText: "A red" }).count(), 1, "what has come stays");
    assert.equal(await side.getAttribute("aria-busy"), "false");
    assert.deepEqual(tab.faults, []);
  });

  test("what was left out for the provider is named, here and in the record of the request", async () => {
    const tab = await page.open();
    await signIn(tab, ADMIN_KEY);
    await tab.goto(`${page.front.url}/#/playground`);
    await tab.getByLabel("Model", { exact: true }).fill("thinker/claude-sonnet-4-5");
    await tab.getByLabel("Message").fill("Think");
    await tab.locator("summary", { hasText: "System prompt, reasoning" }).click();
    await tab.getByLabel("Longest response").fill("900");
    await tab.getByLabel("Reasoning", { exact: true }).selectOption("high");
    assert.equal(await tab.getByLabel("Longest response").inputValue(), "900", "a choice stays");
    const before = provider.asked.length;
    await tab.getByRole("button", { name: "Send" }).click();
    await until(() => provider.asked.length > before, "the request");
    const { body, next, end } = provider.asked.at(-1);
    assert.equal(body.thinking, undefined, "there is no room for it");
    for (let part = 0; part < 3; part++) next();
    end();
    const side = tab.getByRole("region", { name: "thinker/claude-sonnet-4-5" });
    await side.locator(".facts code", { hasText: "reasoning_effort" }).waitFor();
    await side.getByRole("link", { name: "Request" }).click();
    await tab.getByRole("region", { name: "Attempts" }).waitFor();
    await tab.locator(".facts code", { hasText: /^reasoning_effort$/ }).waitFor();
    assert.deepEqual(tab.faults, []);
  });
});
