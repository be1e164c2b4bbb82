// Checks with Google's own SDK what the gateway writes for Gemini, and the fakes of Gemini: the SDK sends
// everything that the gateway sends, the fake accepts the SDK's requests, and the fake's responses hold
// nothing that the SDK does not read.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { GoogleGenAI } from "@google/genai";
import { SCENE, startFormats } from "../workerd/fake-formats.mjs";

const DOCUMENTS = fileURLToPath(new URL("../fixtures/translation", import.meta.url));
const read = async (kind, name) => JSON.parse(await readFile(join(DOCUMENTS, kind, name)));

const sdk = (baseUrl, apiKey = "k") => new GoogleGenAI({ apiKey, httpOptions: { baseUrl, apiVersion: "v1beta" } });

/** A provider that records its requests and responds as told. */
async function startEcho() {
  const state = { answer: {}, requests: [] };
  const server = createServer(async (req, res) => {
    const pieces = [];
    for await (const piece of req) pieces.push(piece);
    state.requests.push({ path: req.url, body: JSON.parse(Buffer.concat(pieces)) });
    const stream = Array.isArray(state.answer);
    res.writeHead(200, { "content-type": stream ? "text/event-stream" : "application/json" });
    res.end(stream ? state.answer.map((chunk) => `data: ${JSON.stringify(chunk)}\r\n\r\n`).join("") : JSON.stringify(state.answer));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(state, { url: `http://127.0.0.1:${server.address().port}`, stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))) });
}

/** The body of a request in the SDK's form, which has most of it flat. */
function words({ contents, generationConfig, ...config }) {
  return { contents, config: { ...generationConfig, ...config } };
}

const OK = { candidates: [{ content: { parts: [{ text: "ok" }], role: "model" }, finishReason: "STOP" }] };

// Requests of clients that the SDK does not write: curl's spelling, an invented field, and what it leaves to Vertex.
const UNWRITTEN = ["snake-case", "unknown", "others", "pdf-name"];

describe("Google's SDK", () => {
  let echo;
  before(async () => (echo = await startEcho()));
  after(() => echo.stop());

  it("writes every request just as the gateway does", async () => {
    const names = (await readdir(join(DOCUMENTS, "asked"))).filter((name) => name.endsWith(".written.json"));
    let compared = 0;
    for (const name of names) {
      for (const [pair, { path, body }] of Object.entries(await read("asked", name))) {
        if (!pair.includes("gemini provider") || !path) continue;
        const [, model, method] = path.match(/^\/models\/([^:]+):(\w+)/);
        const stream = method === "streamGenerateContent";
        echo.answer = stream ? [OK] : OK;
        const { models } = sdk(echo.url);
        await models[stream ? "generateContentStream" : "generateContent"]({ model, ...words(body) });
        const sent = echo.requests.at(-1);
        // The SDK writes empty settings where the gateway writes none.
        assert.deepEqual(sent.body, { generationConfig: {}, ...body }, `${name}: ${pair}`);
        assert.equal(sent.path, `/v1beta${path}`);
        compared++;
      }
    }
    assert.ok(compared > 100, `${compared} requests`);
  });

  it("writes the requests of clients as they are in the documents", async () => {
    let compared = 0;
    for (const name of (await readdir(join(DOCUMENTS, "asked"))).filter((name) => !name.endsWith(".written.json"))) {
      const { gemini } = await read("asked", name);
      if (!gemini || UNWRITTEN.includes(name.slice(0, -".json".length))) continue;
      echo.answer = gemini.stream ? [OK] : OK;
      await sdk(echo.url).models[gemini.stream ? "generateContentStream" : "generateContent"]({ model: "m", ...words(gemini.with) });
      assert.deepEqual(echo.requests.at(-1).body, { generationConfig: {}, ...gemini.with }, name);
      compared++;
    }
    assert.ok(compared > 50, `${compared} requests`);
  });

  const plain = (response) => {
    const { sdkHttpResponse: _, automaticFunctionCallingHistory: __, ...rest } = JSON.parse(JSON.stringify(response));
    return rest;
  };

  /** Has the SDK read a response and a stream, and checks that nothing of them is unknown to it; returns how many it read. */
  async function reads(whole, chunks, what) {
    let compared = 0;
    if (whole && !whole.error) {
      echo.answer = whole;
      assert.deepEqual(plain(await sdk(echo.url).models.generateContent({ model: "m", contents: "x" })), whole, what);
      compared++;
    }
    const sound = chunks.filter((chunk) => chunk.candidates || chunk.promptFeedback);
    if (sound.length === 0 || sound.length < chunks.length) return compared;
    echo.answer = sound;
    const got = [];
    for await (const chunk of await sdk(echo.url).models.generateContentStream({ model: "m", contents: "x" })) got.push(plain(chunk));
    assert.deepEqual(got, sound, what);
    return compared + 1;
  }

  it("reads every answer that stands in for Gemini's, and finds nothing that it does not know", async () => {
    let compared = 0;
    for (const name of (await readdir(join(DOCUMENTS, "answered"))).filter((name) => !name.endsWith(".written.json"))) {
      const { whole, stream } = (await read("answered", name)).gemini ?? {};
      compared += await reads(whole, stream ?? [], name);
    }
    assert.ok(compared > 20, `${compared} answers`);
  });

  it("reads every answer that the gateway writes for it, and finds nothing that it does not know", async () => {
    let compared = 0;
    for (const name of (await readdir(join(DOCUMENTS, "answered"))).filter((name) => name.endsWith(".written.json"))) {
      for (const [pair, { whole, stream }] of Object.entries(await read("answered", name))) {
        if (!pair.startsWith("gemini client")) continue;
        // The SDK hands on no words about the reason, which Gemini's API has.
        [...(whole?.body?.candidates ?? []), ...(stream?.events ?? []).flatMap(({ candidates }) => candidates ?? [])].forEach((candidate) => delete candidate.finishMessage);
        compared += await reads(whole?.body, stream?.events ?? [], `${name}: ${pair}`);
      }
    }
    assert.ok(compared > 100, `${compared} answers`);
  });
});

describe("the stand-in for Gemini", () => {
  let formats;
  before(async () => (formats = await startFormats()));
  after(() => formats.stop());

  for (const stream of [false, true]) {
    it(`takes a loop of tools from Google's SDK, ${stream ? "streamed" : "whole"}`, async () => {
      const { models } = sdk(new URL(formats.gemini).origin, "key-of-gemini");
      const declarations = SCENE.calls.map(({ name }) => ({ name, description: "It tells.", parametersJsonSchema: { type: "object" } }));
      const config = { systemInstruction: "Be brief.", temperature: 0.5, tools: [{ functionDeclarations: declarations }], thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } };
      const contents = [{ role: "user", parts: [{ text: "Weather?" }, { inlineData: { mimeType: "image/png", data: "iVBORw0KGgo=" } }] }];
      const ask = async () => {
        const request = { model: "gemini-fake", contents, config };
        if (!stream) return [await models.generateContent(request)];
        const chunks = [];
        for await (const chunk of await models.generateContentStream(request)) chunks.push(chunk);
        return chunks;
      };
      for (const { name, args } of SCENE.calls) {
        const parts = (await ask()).flatMap(({ candidates }) => candidates[0].content.parts ?? []);
        const call = parts.find(({ functionCall }) => functionCall).functionCall;
        assert.deepEqual([call.name, call.args, parts.find(({ thought }) => thought).text], [name, args, SCENE.thought]);
        contents.push({ role: "model", parts }, { role: "user", parts: [{ functionResponse: { name, response: { result: "fine" } } }] });
      }
      const chunks = await ask();
      assert.deepEqual(chunks.map(({ text }) => text ?? "").join(""), SCENE.words.join(""));
      assert.equal(chunks.at(-1).usageMetadata.totalTokenCount, 67);
    });
  }

  it("refuses what it would not know, in Google's shape", async () => {
    const { models } = sdk(new URL(formats.gemini).origin, "wrong");
    await assert.rejects(models.generateContent({ model: "gemini-fake", contents: "x" }), ({ name, status }) => name === "ApiError" && status === 400);
  });
});
