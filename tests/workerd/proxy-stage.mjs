// A gateway whose providers are called through proxies, and what is behind them: the fake provider, also over TLS
// with certificates made by the test.

import { authority, certificate } from "./certificates.mjs";
import { startFake } from "./fake-openai.mjs";
import { FAULTS, startFaultyProxy, startHastyProxy, startHttpProxy, startScripted, startSilent, startSocksProxy, startTls } from "./proxies.mjs";
import { DEAD_PORT, QUIET, startStage } from "./stage.mjs";

export const LOGIN = "proxy-user-1414213562:pa:ss-1732050807";
/** The login as it stands in an address. */
const WRITTEN = LOGIN.replace(":", "\0").replaceAll(":", "%3A").replace("\0", ":");

const HOUR_MS = 3_600_000;

/** What the provider shows in TLS, by name: options of a TLS server. */
function certificates() {
  const [ec, rsa] = ["ec", "rsa"].map((kind) => authority(kind, ["localhost"]));
  const own = (leaf, chain = leaf.chain) => ({ key: leaf.key, cert: chain });
  const made = (options) => own(certificate("localhost", { issuer: ec.middle, names: ["localhost"], ...options }));
  return {
    roots: ec.root.cert + rsa.root.cert,
    proxy: own(certificate("127.0.0.1", { kind: "rsa", issuer: rsa.root, names: ["127.0.0.1"] })),
    proxyRoot: rsa.root.cert,
    untrusted: own(certificate("127.0.0.1", { names: ["127.0.0.1"] })),
    scripted: own(ec.leaf),
    shown: {
      ec: own(ec.leaf),
      rsa: own(rsa.leaf),
      "tls 1.2": { ...own(rsa.leaf), maxVersion: "TLSv1.2" },
      "seldom called": own(ec.leaf),
      "seldom called over tls 1.2": { ...own(ec.leaf), maxVersion: "TLSv1.2" },
      "chooses by the client's order": { ...own(ec.leaf), honorCipherOrder: false },
      "chooses so in tls 1.2": { ...own(ec.leaf), honorCipherOrder: false, maxVersion: "TLSv1.2" },
      "another curve": { ...own(ec.leaf), ecdhCurve: "P-384" },
      "the wrong name": made({ names: ["wrong.test"] }),
      "an expired certificate": made({ until: -HOUR_MS }),
      "a certificate of its own": own(certificate("localhost", { names: ["localhost"] })),
      "no intermediate": own(ec.leaf, ec.leaf.cert),
      "no common suite": { ...own(ec.leaf), maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES256-SHA" },
      "h2 only": { ...own(ec.leaf), ALPNProtocols: ["h2"] },
    },
  };
}

/** The proxies of {@link startProxyStage} that work: how they are started, and their scheme. */
const PROXIES = {
  http: [() => startHttpProxy(), "http"],
  "http-login": [() => startHttpProxy({ login: LOGIN }), "http"],
  https: [({ proxy }) => startHttpProxy({ secure: proxy }), "https"],
  "https-login": [({ proxy }) => startHttpProxy({ secure: proxy, login: LOGIN }), "https"],
  hasty: [() => startHastyProxy(), "http"],
  socks: [() => startSocksProxy(), "socks5"],
  "socks-login": [() => startSocksProxy({ login: LOGIN }), "socks5h"],
};

/** A provider's name for a title of these tables. */
export const named = (title) => title.replaceAll(/[^a-z0-9]+/gi, "-");

/**
 * Starts it. Providers, each for any model of the fake:
 *
 * - `direct`, over http, without a proxy;
 * - each of {@link PROXIES}, over TLS with EC keys; and `plain-http`, `plain-socks`, over http;
 * - each kind of certificate, over `http` (`named(kind)`);
 * - `scripted-http` and `scripted-socks`: a provider whose bytes the test writes (`scripted.set`);
 * - each of `faults`, by a faulty proxy (`http-FAULT` and `socks-FAULT`), `dead`, where nobody listens, and more
 *   that cannot work.
 *
 * `more` are further lines of the configuration, `row` adds keys to each provider, `models` are their models.
 */
export async function startProxyStage({ faults = Object.keys(FAULTS), more = "", row = "", models = '"*"', bindings = {}, ...rest } = {}) {
  const { roots, proxy, proxyRoot, untrusted, scripted: own, shown } = certificates();
  const started = [];
  const start = async (server) => started.push(await server) && started.at(-1);
  const proxies = {};
  for (const [name, [make]] of Object.entries(PROXIES)) proxies[name] = await start(make({ proxy }));
  const scripted = await start(startScripted(own));
  const silent = await start(startSilent());
  const suspect = await start(startHttpProxy({ secure: untrusted }));
  const faulty = {};
  for (const fault of faults) faulty[fault] = await start(startFaultyProxy(fault));
  const tls = {};

  const config = (fake) => {
    const rows = [];
    const add = (name, base, via) => rows.push(`  ${named(name)}: { base_url: "${base}/v1", proxy: "${via}", api_key_env: ANY_API_KEY, models: ${models}, ${QUIET}, ${row} }`);
    const over = (kind) => `https://localhost:${tls[kind].port}`;
    const address = (name) => `${PROXIES[name][1]}://${name.endsWith("login") ? `${WRITTEN}@` : ""}${proxies[name].host}`;
    add("direct", fake.origin, "none");
    for (const name of Object.keys(PROXIES)) add(name, over("ec"), address(name));
    for (const name of ["http", "http-login", "https-login", "socks", "socks-login"]) add(`plain-${name}`, fake.origin, address(name));
    for (const kind of Object.keys(shown)) add(kind, over(kind), address("http"));
    for (const [fault, { host }] of Object.entries(faulty)) {
      for (const [kind, scheme] of [["http", "http"], ["socks", "socks5"]]) add(`${kind}-${fault}`, over("ec"), `${scheme}://${WRITTEN}@${host}`);
    }
    add("silent", `https://localhost:${silent.port}`, address("http"));
    add("dead", over("ec"), `socks5://127.0.0.1:${DEAD_PORT}`);
    add("untrusted", over("ec"), `https://${suspect.host}`);
    add("nameless", over("ec"), "http://proxy.invalid:8080");
    for (const kind of ["http", "socks"]) {
      add(`scripted-${kind}`, `https://localhost:${scripted.port}`, address(kind));
      add(`${kind}-unknown host`, "https://provider.invalid", address(kind));
      add(`${kind}-closed port`, `https://localhost:${DEAD_PORT}`, address(kind));
      add(`${kind}-no TLS`, fake.origin.replace("http:", "https:"), address(kind));
    }
    add("http-no-login", over("ec"), `http://${proxies["http-login"].host}`);
    add("http-wrong-login", over("ec"), `http://other:login-0@${proxies["http-login"].host}`);
    add("socks-no-login", over("ec"), `socks5://${proxies["socks-login"].host}`);
    add("socks-wrong-login", over("ec"), `socks5://other:login-0@${proxies["socks-login"].host}`);
    return ["providers:", ...rows, "proxy: { ca: TEST_CA }", more, ""].join("\n");
  };

  const provider = async (options) => {
    const fake = await startFake(options);
    for (const [kind, options] of Object.entries(shown)) tls[kind] = await start(startTls(fake.port, options));
    return fake;
  };
  const stage = await startStage({ config, provider, bindings: { TEST_CA: roots, ...bindings }, trusted: [proxyRoot], ...rest });
  return Object.assign(stage, {
    proxies,
    tls,
    scripted,
    silent,
    roots,
    async stopAll() {
      await stage.stop();
      await Promise.all(started.map((server) => server.stop()));
    },
  });
}
