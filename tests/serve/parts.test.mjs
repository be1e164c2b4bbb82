// The parts of `llm-bridge serve` that need no gateway: the caller's address, the options, the variables, log
// files, the lock.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { addressBytes, callerAddress, range } from "../../scripts/serve/caller.mjs";
import { isVariable } from "../../scripts/serve/capnp.mjs";
import { variables } from "../../scripts/serve/environment.mjs";
import { lock } from "../../scripts/serve/lock.mjs";
import { LogFile } from "../../scripts/serve/log-file.mjs";
import { networks, readOptions, serveOptions } from "../../scripts/serve/options.mjs";
import { file, folder, run } from "./serve.mjs";

test("an address is read, and nothing else is", () => {
  const bytes = (text) => addressBytes(text)?.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  assert.equal(bytes("10.1.2.3"), "00000000000000000000ffff0a010203");
  assert.equal(bytes("::ffff:10.1.2.3"), bytes("10.1.2.3"));
  assert.equal(bytes("2001:db8::1"), "20010db8000000000000000000000001");
  assert.equal(bytes("::"), "0".repeat(32));
  assert.equal(bytes("1:2:3:4:5:6:7:8"), "00010002000300040005000600070008");
  for (const text of ["", "256.1.1.1", "1.2.3", "1.2.3.4.5", "::1::", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8:9", "g::", "12345::", "unknown", "1.2.3.4:80", ":", "1:2"]) {
    assert.equal(addressBytes(text), null, text);
  }
});

test("a range holds its addresses only", () => {
  assert.deepEqual([range("10.0.0.0/8").bits, range("10.0.0.0").bits, range("2001:db8::/32").bits, range("0.0.0.0/0").bits], [104, 128, 32, 96]);
  for (const text of ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "::/129", "x/8", "10.0.0.0/-1"]) assert.equal(range(text), null, text);
});

test("the caller's address is what the last trusted proxy saw", () => {
  const trusted = ["10.0.0.0/8", "2001:db8::/32"];
  const rows = [
    // The other end is not trusted: its word about others is not believed.
    ["203.0.113.9:4711", "198.51.100.1", "203.0.113.9"],
    ["10.0.0.1:80", "198.51.100.1", "198.51.100.1"],
    // A caller writes what it likes before the address that the proxy adds.
    ["10.0.0.1:80", "1.1.1.1, 198.51.100.1", "198.51.100.1"],
    ["10.0.0.1:80", "198.51.100.1, 10.2.3.4", "198.51.100.1"],
    ["[2001:db8::5]:80", "198.51.100.1:1234", "198.51.100.1"],
    ["10.0.0.1", "[2001:4860::1]:443", "2001:4860::1"],
    ["10.0.0.1", null, "10.0.0.1"],
    ["10.0.0.1", "unknown", "10.0.0.1"],
    ["10.0.0.1", "1.1.1.1, x\u0000", "10.0.0.1"],
    ["10.0.0.1", "10.0.0.2,10.0.0.3", "10.0.0.2"],
    [undefined, "1.1.1.1", undefined],
  ];
  for (const [peer, forwarded, wanted] of rows) assert.equal(callerAddress(peer, forwarded, trusted), wanted, `${peer} ${forwarded}`);
});

test("options come from the command line, else the environment, else the default", () => {
  const options = serveOptions(["--listen", "http://[::1]:8080", "--listen=https://0.0.0.0:443", "--tls-cert", "c", "--tls-key", "k"], { LLM_BRIDGE_DATA: "/srv/data", LLM_BRIDGE_TRUST_PROXY: "10.0.0.0/8, ::1" });
  assert.deepEqual(options.sockets.map(({ address, isTls }) => [address, isTls]), [["[::1]:8080", false], ["0.0.0.0:443", true]]);
  assert.deepEqual([options.data, options.config, options.trustedProxies, options.stopStreams], ["/srv/data", "config.yaml", ["10.0.0.0/8", "::1"], 20_000]);
  assert.equal(readOptions(["--data", "x"], { LLM_BRIDGE_DATA: "y" }, ["data"]).values.data, "x");
});

test("a faulty option is named, with what was expected", async () => {
  const rows = [
    [["--listen", "1219"], /--listen 1219: expected http:\/\/HOST:PORT/],
    [["--listen", "http://a:70000"], /expected http/],
    [["--listen", "https://a:443"], /needs --tls-cert and --tls-key/],
    [["--trust-proxy", "all"], /--trust-proxy all: expected an address or a range/],
    [["--stop-streams", "-1"], /stop-streams/],
    [["--stop-streams", "long"], /--stop-streams long: expected a number/],
    [["--lsten", "x"], /--lsten/],
    [["extra"], /extra/],
    [["--config", "/nowhere.yaml"], /--config \/nowhere.yaml: .*no such file/i],
  ];
  for (const [words, message] of rows) {
    const { code, text } = await run(["serve", ...words]);
    assert.equal(code, 2, text);
    assert.match(text, message);
    assert.doesNotMatch(text, /\bat .*mjs:\d/, "no stack");
  }
});

test("private hosts are networks of one address each", async () => {
  const lookup = async (host) => {
    if (host !== "ollama") throw Object.assign(new Error("no"), { code: "ENOTFOUND" });
    return [{ address: "172.18.0.2", family: 4 }, { address: "fd00::2", family: 6 }];
  };
  assert.deepEqual(await networks(["ollama", "10.1.0.0/16", "::1", "127.0.0.1"], lookup), ["172.18.0.2/32", "fd00::2/128", "10.1.0.0/16", "::1/128", "127.0.0.1/32"]);
  await assert.rejects(networks(["olama"], lookup), /--allow-private olama: this name has no address \(ENOTFOUND\)/);
  await assert.rejects(networks(["10.0.0.0/40"], lookup), /expected a host, an address or a range/);
});

test("a secret comes from the environment, a file, or a file of variables", () => {
  const secret = file("secret", "sk-1\n");
  const vars = file("vars", "A_API_KEY=sk-2\nB_API_KEY=from-file # note\n");
  const found = variables({ B_API_KEY: "sk-3", C_API_KEY_FILE: secret, MY_OWN_FILE: secret, SSL_CERT_FILE: "/nowhere", LLM_BRIDGE_LOG_FILE: "/nowhere", lower: "x", ASSETS: "x" }, [vars], "api_key_env: MY_OWN");
  assert.deepEqual([found.A_API_KEY, found.B_API_KEY, found.C_API_KEY, found.MY_OWN, found.SSL_CERT, found.lower, found.ASSETS], ["sk-2", "sk-3", "sk-1", "sk-1", undefined, undefined, undefined]);
  assert.throws(() => variables({ A_API_KEY: "x", A_API_KEY_FILE: secret }, [], ""), /Both A_API_KEY and A_API_KEY_FILE are set/);
  assert.throws(() => variables({ A_API_KEY_FILE: "/nowhere" }, [], ""), /A_API_KEY_FILE: .*no such file/i);
  assert.throws(() => variables({ A_API_KEY_FILE: file("long", "x".repeat(70_000)) }, [], ""), /70000 characters/);
  assert.deepEqual(["A", "A_1", "a", "1A", "ACCOUNTS", "A-B"].map(isVariable), [true, true, false, false, false, false]);
});

test("a log file is rotated between lines, and the oldest goes", () => {
  const path = join(folder(), "sub/gateway.log");
  const log = new LogFile({ path, maxSize: 20, backupCount: 2 });
  for (let index = 0; index < 9; index++) log.write(Buffer.from(`line ${index}\n`));
  log.write(Buffer.from("begun"));
  log.write(Buffer.from(` here\n${"long".repeat(10)}\nend\n`));
  log.close();
  const text = (suffix) => readFileSync(path + suffix, "utf8");
  assert.deepEqual(readdirSync(join(path, "..")).sort(), ["gateway.log", "gateway.log.1", "gateway.log.2"]);
  assert.equal(text(""), "end\n");
  assert.equal(text(".1"), `${"long".repeat(10)}\n`);
  assert.equal(text(".2"), "line 8\nbegun here\n");
});

test("a log file goes on where it was, loses no line, and may have no backups", () => {
  const path = file("gateway.log", "old\n");
  const log = new LogFile({ path, maxSize: 0, backupCount: 0 });
  log.write(Buffer.from("new\n"));
  log.close();
  assert.equal(readFileSync(path, "utf8"), "old\nnew\n");
  const small = new LogFile({ path, maxSize: 5, backupCount: 0 });
  small.write(Buffer.from("a\nb\nc\n"));
  small.close();
  assert.equal(readFileSync(path, "utf8"), "c\n");
  assert.equal(existsSync(`${path}.1`), false);
});

test("all lines of a burst are in the files, in their order", () => {
  const path = join(folder(), "log");
  const log = new LogFile({ path, maxSize: 1000, backupCount: 100 });
  const lines = Array.from({ length: 2000 }, (_, index) => `${index} ${"x".repeat(index % 37)}\n`);
  const bytes = Buffer.from(lines.join(""));
  for (let at = 0; at < bytes.length; at += 777) log.write(bytes.subarray(at, at + 777));
  log.close();
  const files = readdirSync(join(path, "..")).length;
  const found = Array.from({ length: files }, (_, index) => readFileSync(index === files - 1 ? path : `${path}.${files - 1 - index}`, "utf8"));
  assert.equal(found.join(""), lines.join(""));
  assert.ok(found.every((text) => text.length <= 1000 && text.endsWith("\n")));
});

test("a directory is locked for as long as a process has it, whoever started it", async () => {
  const data = join(folder(), "data");
  const held = lock(data);
  held.note({ launcher: 11, workerd: 22 });
  assert.throws(() => lock(data), /is in use by process 11 \(its workerd is 22\)/);
  // As workerd, which may outlive the launcher.
  const child = spawn("sleep", ["60"], { stdio: ["ignore", "ignore", "ignore", held.fd] });
  held.release();
  assert.throws(() => lock(data), /is in use/);
  child.kill("SIGKILL");
  await new Promise((resolve) => child.on("close", resolve));
  lock(data).release();
  writeFileSync(join(data, "lock"), "not JSON");
  lock(data).release();
});
