// A caller without a valid key causes a refusal and nothing else: no body is read, no object called, no file
// left, and no id revealed.

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { as, call, chatRequest, HELLO, raw, settled, soon, until } from "./client.mjs";
import { expectError } from "./expect.mjs";
import { STILL } from "./harness.mjs";
import { OFFICE, Office } from "./office.mjs";
import { PACE } from "./pace.mjs";
import { openSocket } from "./socket.mjs";
import { KEY, startStage } from "./stage.mjs";

const MB = 1_000_000;
const TICKS_PER_SECOND = 100;
const CHAT = "/v1/chat/completions";

let disk;
let stage;
let office;
let good;
before(async () => {
  disk = await mkdtemp(join(tmpdir(), "llm-bridge-disk-"));
  stage = await startStage({ bindings: OFFICE, disk, entry: "production.mjs" });
  office = new Office(stage.gateway.url);
  good = await office.key("good");
  assert.equal((await office.ask(good, "any/ok")).status, 200);
  // Its receipt has been entered and its report has been sent: no call is to come any more.
  await office.totals("good", 1);
  await until(async () => (await office.order("GET", "/requests?limit=1")).data.length > 0, "the report of the request");
  await settled(async () => JSON.stringify((await stage.gateway.control()).calls));
});
after(async () => {
  await stage.stop();
  await rm(disk, { recursive: true });
});

/** A forged key of the right form for this id: of today's form, or of the form before keys were signed. */
const madeUp = (id, old = false) => {
  const letters = (count) => Array.from({ length: count }, () => Math.floor(Math.random() * 36).toString(36)).join("");
  return `sk-lb-${id}-${old ? letters(40) : `1${letters(62)}`}`;
};

const stat = async (name) => readFile(`/proc/${stage.gateway.pid}/${name}`, "latin1");

/** The CPU time of workerd so far, in seconds. */
async function cpu() {
  const fields = (await stat("stat")).split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The memory of workerd, in MB. */
const memory = async () => Number(/^VmRSS:\s+(\d+) kB/m.exec(await stat("status"))[1]) / 1000;

/** The number of files of objects, and of calls of objects. */
async function trace() {
  const files = (await readdir(disk, { recursive: true })).filter((name) => name.endsWith(".sqlite")).sort();
  return { files, calls: (await stage.gateway.control()).calls };
}

describe("a made-up key", () => {
  it("calls no object and leaves no file, at any door", async () => {
    const was = await trace();
    const body = JSON.stringify({ model: "any/ok", max_tokens: 9, input: "x", messages: HELLO });
    for (const key of [madeUp("good"), madeUp("nobody"), madeUp("good", true), madeUp("nobody", true)]) {
      for (const path of [CHAT, "/v1/messages", "/v1/messages/count_tokens", "/v1/completions", "/v1/embeddings", "/v1/tokenize"]) {
        assert.equal((await call(stage.gateway.url + path, { method: "POST", headers: as(key), body })).status, 401, path);
      }
      for (const path of ["/v1/models", "/v1/models/any%2Fok", "/v1/usage", "/admin/api/keys", "/admin/api/usage"]) {
        assert.equal((await call(stage.gateway.url + path, { headers: as(key) })).status, 401, path);
      }
    }
    assert.deepEqual(await trace(), was);
  });

  it("calls no account over a WebSocket", async () => {
    const was = await trace();
    for (const key of [madeUp("good"), madeUp("nobody")]) await (await openSocket(stage.gateway.url, { key })).end();
    const is = await trace();
    assert.equal(is.calls.ACCOUNTS, was.calls.ACCOUNTS);
  });

  it("has nothing read of a body of 20 MB, and hears 401 before it is sent", async () => {
    const body = Buffer.from(`{${'"a":1,'.repeat(20 * MB / 6)}"a":1}`);
    const [memoryWas, cpuWas] = [await memory(), await cpu()];
    let peak = 0;
    for (const key of [madeUp("good"), madeUp("nobody"), madeUp("good", true)]) {
      const answer = await call(stage.gateway.url + CHAT, { method: "POST", headers: as(key), body }).catch((fault) => fault);
      // A caller that goes on sending may find the connection closed before it can read the response.
      assert.ok(answer.status === 401 || answer.code === "EPIPE" || answer.code === "ECONNRESET", `${answer.status ?? answer}`);
      peak = Math.max(peak, await memory());
    }
    const [grown, spent] = [peak - memoryWas, (await cpu()) - cpuWas];
    console.log(`# three bodies of 20 MB with a made-up key: +${grown.toFixed(0)} MB, ${spent.toFixed(2)} s of CPU`);
    assert.ok(grown < 120, `+${grown} MB`);
    // The pace of an idle machine is 2.
    assert.ok(spent < 0.5 * PACE, `${spent} s of CPU`);
  });

  it("hears 401 at once, while its body has still to come", async () => {
    const head = (key) => `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\n`;
    for (const key of [madeUp("good"), madeUp("good", true)]) {
      for (const [how, rest] of [
        ["announced", `content-length: ${20 * MB}\r\n\r\n{"a":1,`],
        ["in chunks", 'transfer-encoding: chunked\r\n\r\n7\r\n{"a":1,\r\n'],
      ]) {
        assert.match(await raw(stage.gateway.port, head(key) + rest, { enough: /\r\n\r\n/ }), /^HTTP\/1\.1 401 /, how);
      }
    }
  });

  it("costs no more CPU than a plain wrong key does", async () => {
    const body = JSON.stringify({ model: "any/ok", messages: HELLO });
    const spend = async (key) => {
      const was = await cpu();
      for (let turn = 0; turn < 40; turn++) await Promise.all(Array.from({ length: 25 }, () => call(stage.gateway.url + CHAT, chatRequest(key, body))));
      return (await cpu()) - was;
    };
    const spent = { plain: 0, signed: 0 };
    await spend("wrong-key");
    for (let turn = 0; turn < 3; turn++) {
      spent.plain += await spend("wrong-key");
      spent.signed += await spend(madeUp("good"));
    }
    console.log(`# CPU of 3000 refusals: ${spent.plain.toFixed(2)} s plain, ${spent.signed.toFixed(2)} s of a made-up key`);
    assert.ok(spent.signed <= 1.5 * spent.plain, JSON.stringify(spent));
  });

  it("is told in the caller's format", async () => {
    const body = { model: "any/ok", max_tokens: 9, messages: HELLO };
    expectError(await call(stage.gateway.url + CHAT, chatRequest(madeUp("good"), body)), { status: 401, type: "invalid_request_error", code: "invalid_api_key" });
    const answer = await call(`${stage.gateway.url}/v1/messages`, chatRequest(madeUp("good"), body));
    assert.deepEqual({ status: answer.status, type: answer.json().error.type }, { status: 401, type: "authentication_error" });
  });
});

describe("a key made before keys were signed", () => {
  it("is told to be rotated, whether there is such a key or not", async () => {
    for (const id of ["good", "nobody"]) {
      const answer = await office.ask(madeUp(id, true), "any/ok");
      expectError(answer, { status: 401, code: "invalid_api_key", says: new RegExp(`rotate.*/admin/api/keys/${id}/rotate`) });
    }
  });
});

describe("a key that was taken back", () => {
  it("costs one call of an account in four seconds, however often it is shown", async () => {
    const old = await office.key("old");
    await office.order("POST", "/keys/old/rotate");
    await stage.gateway.control({ speed: STILL });
    const was = (await trace()).calls.ACCOUNTS;
    for (let time = 0; time < 50; time++) assert.equal((await office.ask(old, "any/ok")).status, 401);
    assert.equal((await trace()).calls.ACCOUNTS, was + 1);
    await stage.gateway.control({ advance: 4_000 });
    assert.equal((await office.ask(old, "any/ok")).status, 401);
    assert.equal((await trace()).calls.ACCOUNTS, was + 2);
    await stage.gateway.control({ speed: 1 });
  });
});

describe("the secret that signs keys", () => {
  it("is asked for once by an isolate, and missed by nobody but those who need it", async () => {
    const another = await startStage({ bindings: OFFICE, disk, entry: "production.mjs" });
    try {
      const there = new Office(another.gateway.url);
      for (const away of ["fails", "hangs"]) {
        await another.gateway.control({ away: { DIRECTORY: away } });
        const asking = soon(there.ask(good, "any/ok"), "an answer");
        if (away === "hangs") await another.gateway.control({ speed: 20 });
        const answer = await asking;
        await another.gateway.control({ speed: 1 });
        expectError(answer, { status: 503, code: "directory_unavailable" });
        assert.equal(answer.headers["retry-after"], "1");
        assert.equal((await there.ask(KEY, "any/ok")).status, 200, "a fixed key");
        await another.gateway.control({ away: {}, speed: 1, advance: 3_000 });
      }
      const was = (await another.gateway.control()).calls.DIRECTORY;
      const answers = await Promise.all(Array.from({ length: 30 }, () => there.ask(good, "any/ok")));
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
      assert.equal((await another.gateway.control()).calls.DIRECTORY, was + 1);
    } finally {
      await another.stop();
    }
  });

  it("can be replaced: keys of the old version go on until it is ended", async () => {
    const [key, free] = [await office.key("first"), await office.key("kept")];
    assert.equal((await office.order("POST", "/signing-secrets", undefined, 201)).version, 2);
    const fresh = (await office.order("POST", "/keys/first/rotate")).key;
    assert.match(fresh, /^sk-lb-first-2/);
    for (const each of [fresh, free]) assert.equal((await office.ask(each, "any/ok")).status, 200);
    assert.equal((await office.ask(key, "any/ok")).status, 401);
    const { data, keys_to_rotate } = await office.order("GET", "/signing-secrets");
    assert.deepEqual(
      { versions: data.map(({ version }) => version), keys_to_rotate },
      { versions: [1, 2], keys_to_rotate: 0 },
    );
    await office.order("DELETE", "/signing-secrets/1");
    expectError(await office.ask(free, "any/ok"), { status: 401, code: "invalid_api_key", says: /rotate/ });
    assert.equal((await office.ask(fresh, "any/ok")).status, 200);
    assert.equal((await office.order("GET", "/keys/kept")).status, "must_rotate");
  });
});
