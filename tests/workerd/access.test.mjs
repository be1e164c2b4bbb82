// Cloudflare Access as an identity of administrators on the built worker: real keys, real signatures, and a team's
// domain of the test.

import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { as, call, until } from "./client.mjs";
import { SLOW, startGateway } from "./harness.mjs";

const ADMIN = "admin-key-2718281828";
const MINUTE = 60_000;
const keyPair = (bits = 2048) => generateKeyPairSync("rsa", { modulusLength: bits });
const encode = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
const jwk = (kid, { publicKey }) => ({ kid, alg: "RS256", use: "sig", ...publicKey.export({ format: "jwk" }) });

/**
 * The domain of a team. `keys` are those that it publishes, `asked` the paths that were asked for. While it is
 * `silent`, nothing is answered; `dropped` counts the connections that were closed meanwhile.
 */
async function startTeam() {
  const team = { keys: [], asked: [], status: 200, silent: false, dropped: 0 };
  const server = createServer((request, response) => {
    team.asked.push(request.url);
    if (team.silent) return response.once("close", () => (team.dropped += 1));
    response.writeHead(team.status, { "content-type": "application/json", location: "/elsewhere" });
    response.end(JSON.stringify({ keys: team.keys, public_certs: [] }));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  team.origin = `http://127.0.0.1:${server.address().port}`;
  team.stop = () => server.close();
  return team;
}

describe("Cloudflare Access", () => {
  const [first, second, foreign] = [keyPair(), keyPair(), keyPair()];
  let team, gateway, now;
  const claims = (changes = {}) => ({
    iss: team.origin,
    aud: ["the-application"],
    email: "alice@example.com",
    iat: Math.floor(now / 1000) - 60,
    nbf: Math.floor(now / 1000) - 60,
    exp: Math.floor(now / 1000) + 86_400,
    type: "app",
    ...changes,
  });
  /** A token with these claims. */
  const token = (changes, { key = first, header = {} } = {}) => {
    const signed = `${encode({ alg: "RS256", kid: "first", typ: "JWT", ...header })}.${encode(claims(changes))}`;
    return `${signed}.${sign("sha256", Buffer.from(signed), key.privateKey).toString("base64url")}`;
  };
  const ask = (assertion, { method = "GET", path = "/keys", headers = {}, body } = {}) =>
    call(`${gateway.url}/admin/api${path}`, { method, headers: { "cf-access-jwt-assertion": assertion, ...headers }, body: body && JSON.stringify(body) });
  const status = async (assertion, options) => (await ask(assertion, options)).status;
  const advance = async (ms) => (now = (await gateway.control({ advance: ms })).now);

  before(async () => {
    team = await startTeam();
    team.keys = [jwk("first", first)];
    const config = `
providers: { demo: { adapter: echo, models: { echo: {} } } }
admin: { access: { team_domain: "${team.origin}", audience: the-application, writers: [alice@example.com] } }
`;
    gateway = await startGateway({ config, bindings: { ADMIN_API_KEYS: ADMIN }, entry: "production.mjs" });
    // Keys are fetched within 5 s and at most once a minute, which pass when a test says so.
    now = (await gateway.control({ speed: SLOW })).now;
  });
  after(async () => {
    await gateway.stop();
    team.stop();
  });

  it("lets an identity in, whose changes are in the audit log", async () => {
    const made = await ask(token(), { method: "POST", body: { id: "a" } });
    assert.equal(made.status, 201, made.text);
    assert.deepEqual(team.asked, ["/cdn-cgi/access/certs"]);
    const entries = await until(async () => {
      const { data } = (await ask(token(), { path: "/audit" })).json();
      return data.length && data;
    }, "the entry of the creation");
    assert.deepEqual(entries.map(({ actor, action }) => [actor, action]), [["access:alice@example.com", "key.create"]]);
    assert.deepEqual(team.asked.length, 1);
  });

  it("lets others read only", async () => {
    const bob = token({ email: "bob@example.com" });
    assert.equal(await status(bob), 200);
    const refused = await ask(bob, { method: "DELETE", path: "/keys/a" });
    assert.deepEqual([refused.status, refused.json().error.code], [403, "access_read_only"]);
    assert.equal(await status(token({ email: "", common_name: "service.access" })), 200);
  });

  it("refuses every token that does not hold", async () => {
    const good = token();
    const [head, body, signature] = good.split(".");
    const pem = first.publicKey.export({ format: "pem", type: "spki" });
    const symmetric = (secret) => {
      const signed = `${encode({ alg: "HS256", kid: "first" })}.${body}`;
      return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
    };
    const bad = {
      "another key": token({}, { key: foreign }),
      "claims of another token": `${head}.${encode(claims({ email: "eve@example.com" }))}.${signature}`,
      "no signature": `${head}.${body}.`,
      "alg none": `${encode({ alg: "none", kid: "first" })}.${body}.`,
      "alg none, signed": `${encode({ alg: "none", kid: "first" })}.${body}.${signature}`,
      "HS256 with the public key": symmetric(pem),
      "HS256 with the modulus": symmetric(jwk("first", first).n),
      "RS512": token({}, { header: { alg: "RS512" } }),
      "its own key": token({}, { key: foreign, header: { jwk: jwk("first", foreign), jku: `${team.origin}/evil` } }),
      "an unknown key": token({}, { key: foreign, header: { kid: "foreign" } }),
      "expired": token({ exp: Math.floor(now / 1000) - 1 }),
      "not valid yet": token({ nbf: Math.floor(now / 1000) + 600 }),
      "another application": token({ aud: ["another-application"] }),
      "another issuer": token({ iss: "https://evil.cloudflareaccess.com" }),
      "no identity": token({ email: "" }),
      "no token": "x",
    };
    for (const [name, assertion] of Object.entries(bad)) {
      const answer = await ask(assertion, { method: "POST", body: { id: "b" } });
      assert.deepEqual([answer.status, answer.json().error.code], [401, "invalid_access_token"], name);
    }
    assert.equal(await status(good), 200);
    assert.deepEqual([...new Set(team.asked)], ["/cdn-cgi/access/certs"]);
  });

  it("asks for the keys at most once a minute, whatever is sent", async () => {
    await advance(2 * MINUTE);
    const before = team.asked.length;
    const unknown = token({}, { key: foreign, header: { kid: "foreign" } });
    await Promise.all(Array.from({ length: 20 }, () => status(unknown)));
    assert.equal(team.asked.length, before + 1);
  });

  it("finds a new key, and forgets one that the team has withdrawn", async () => {
    await advance(2 * MINUTE);
    team.keys = [jwk("second", second)];
    const renewed = () => token({}, { key: second, header: { kid: "second" } });
    assert.equal(await status(renewed()), 200);
    assert.equal(await status(token()), 401);
  });

  it("aborts a call of the team's domain that takes too long", async () => {
    team.silent = true;
    await advance(2 * MINUTE);
    const [asked, unknown] = [team.asked.length, token({}, { key: foreign, header: { kid: "foreign" } })];
    const answering = status(unknown);
    await until(() => team.asked.length > asked, "the call of the team's domain");
    assert.equal(team.dropped, 0);
    await advance(6_000);
    assert.equal(await answering, 401, "the keys that are known are those of the team");
    await until(() => team.dropped === 1, "the connection to be closed");
    team.silent = false;
  });

  it("uses its keys for a while if the team's domain fails, follows no redirect, and needs no short key", async () => {
    team.status = 500;
    await advance(61 * MINUTE);
    const good = () => token({}, { key: second, header: { kid: "second" } });
    assert.equal(await status(good()), 200);
    await advance(24 * 60 * MINUTE);
    const refused = await ask(good());
    assert.deepEqual([refused.status, refused.json().error.code], [503, "access_unavailable"]);
    team.status = 302;
    await advance(2 * MINUTE);
    assert.equal(await status(good()), 503);
    assert.ok(!team.asked.includes("/elsewhere"));
    const short = keyPair(1024);
    [team.status, team.keys] = [200, [jwk("short", short)]];
    await advance(2 * MINUTE);
    assert.equal(await status(token({}, { key: short, header: { kid: "short" } })), 401);
    assert.equal((await call(`${gateway.url}/admin/api/keys`, { headers: as(ADMIN) })).status, 200);
  });
});
