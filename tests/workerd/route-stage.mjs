// Routes over providers on raw sockets, and one gateway.

import assert from "node:assert/strict";
import { as, begin, call, events, HELLO, open, until } from "./client.mjs";
import { startGateway } from "./harness.mjs";
import { RawProvider } from "./route-provider.mjs";
import { KINDS } from "./route-speech.mjs";
import { oneAtATime, runOut, stopClock } from "./timed.mjs";

export const KEY = "caller-key-3141592653";
const TERMINAL = ["request_complete", "request_error"];

/**
 * One route with providers of its own, so that what a test does to their health does not touch another test.
 */
class Scene {
  constructor(stage, number, providers, settings) {
    Object.assign(this, { stage, settings, route: `route-${number}` });
    /** The providers in the order of the route. */
    this.providers = providers;
    for (const provider of providers) this[provider.role] = provider;
  }

  /** How often each provider was called. */
  get calls() {
    return this.providers.map(({ calls }) => calls);
  }

  /** The target's name in full. */
  target = (role) => `${this[role].name}/${this[role].model}`;

  /** A chat along the route, and everything that came of it. */
  chat = (fields, more) => this.stage.ask({ path: "/v1/chat/completions", body: { model: this.route, messages: HELLO, ...fields }, ...more });

  /** The same in the Messages API. */
  message = (fields, more) => this.stage.ask({ path: "/v1/messages", body: { model: this.route, max_tokens: 100, messages: HELLO, ...fields }, ...more });

  /** A chat to be read step by step, and its request id. */
  async open(fields = {}, { path = "/v1/chat/completions", headers = {}, key = KEY } = {}) {
    const id = freshId();
    const body = JSON.stringify({ model: this.route, max_tokens: 100, messages: HELLO, stream: true, ...fields });
    return { id, answer: await open(this.stage.url(path), { method: "POST", headers: { ...as(key), "x-request-id": id, ...headers }, body }) };
  }

  /** A chat whose caller may leave before the answer. */
  begin(fields = {}, { path = "/v1/chat/completions", headers = {}, key = KEY } = {}) {
    const id = freshId();
    const body = JSON.stringify({ model: this.route, messages: HELLO, ...fields });
    return { id, ...begin(this.stage.url(path), { method: "POST", headers: { ...as(key), "x-request-id": id, ...headers }, body }) };
  }

  /** Asserts that a role's answer came, whole or streamed, after the given numbers of calls. */
  expectServed({ answer, said, failed }, role, calls) {
    assert.equal(answer.status, 200, answer.text);
    assert.equal(said, `said by ${this[role].name}`, answer.text);
    assert.deepEqual(this.calls, calls, `calls of the providers; failed attempts: ${JSON.stringify(failed)}`);
    assert.equal(answer.headers["x-llm-bridge-model"], this.target(role));
  }
}

let asked = 0;
export const freshId = () => `routed-${process.pid}-${++asked}`;

/** The text that a client reads from a response. */
export function saidIn({ text, headers }) {
  if (!(headers["content-type"] ?? "").startsWith("text/event-stream")) {
    const { choices, content } = JSON.parse(text);
    return choices ? choices[0].message?.content : content?.map((block) => block.text ?? "").join("");
  }
  const pieces = events(text).filter(({ data }) => data !== "[DONE]").map(({ data }) => JSON.parse(data));
  return pieces.map((piece) => piece.choices?.[0]?.delta?.content ?? piece.delta?.text ?? "").join("");
}

/**
 * A stage of routes. Scenes are added while tests are declared; `start()` starts their providers and one
 * gateway for all of them.
 */
export class RouteStage {
  #scenes = [];

  /** `top()` is further YAML of the configuration, `options` are those of the gateway. */
  constructor({ top = () => "", bindings = {}, ...options } = {}) {
    Object.assign(this, { top, bindings, options });
  }

  /**
   * A route over providers. `roles` names each target's provider: its kind, or `{ kind, model, row, models,
   * pool, variables, secrets, when, weight }`: the model called, further keys of the provider's row as YAML,
   * its models as YAML; the keys in its variable, or the entries of `keys` with their secrets, where `$`
   * stands for its variable; conditions of the target. `settings` is the rest of the route, as YAML.
   */
  scene(roles, settings = "") {
    const number = this.#scenes.length + 1;
    const providers = Object.entries(roles).map(([role, given]) => {
      const options = typeof given === "string" ? { kind: given } : given;
      const name = `${role}-${number}`;
      const provider = new RawProvider(name, options.kind);
      return Object.assign(provider, { role, model: KINDS[options.kind].model, key: `sk-${name}-271828`, ...options });
    });
    const scene = new Scene(this, number, providers, settings);
    this.#scenes.push(scene);
    return scene;
  }

  /** The configuration. */
  config() {
    const all = this.#scenes.flatMap(({ providers }) => providers);
    const row = ({ name, kind, row = "", models = '"*"', port, variables }) => {
      const { format, host, path } = KINDS[kind];
      const key = variables ? `keys: [${variables.map((variable) => variable.replace("$", variableOf(name))).join(", ")}]` : `api_key_env: ${variableOf(name)}`;
      return `  ${name}: { adapter: ${format}, catalogue: ${host}, base_url: "http://127.0.0.1:${port}${path}", ${key}, models: ${models}${row && `, ${row}`} }`;
    };
    const target = ({ name, model, weight, when }) => {
      const rules = [weight !== undefined && `weight: ${weight}`, when && `when: ${when}`].filter(Boolean);
      return rules.length ? `{ model: ${name}/${model}, ${rules.join(", ")} }` : `${name}/${model}`;
    };
    const route = ({ route, providers, settings }) => `  ${route}: { targets: [${providers.map(target).join(", ")}]${settings && `, ${settings}`} }`;
    return ["providers:", ...all.map(row), "routes:", ...this.#scenes.map(route), this.top(), ""].join("\n");
  }

  /** The secrets: each provider's keys. */
  secrets() {
    const of = ({ name, key, pool, secrets = {} }) => {
      const named = Object.entries(secrets).map(([variable, value]) => [variable.replace("$", variableOf(name)), value]);
      return [[variableOf(name), pool?.join(",") ?? key], ...named];
    };
    return Object.fromEntries(this.#scenes.flatMap(({ providers }) => providers.flatMap(of)));
  }

  async start() {
    // The hook of a file runs while the file is still declaring its scenes.
    await new Promise(setImmediate);
    this.all = this.#scenes.flatMap(({ providers }) => providers);
    await Promise.all(this.all.map((provider) => provider.listen()));
    await this.startGateway();
  }

  /** Starts a gateway, the first or the next one. */
  async startGateway() {
    const bindings = { ACCESS_API_KEYS: KEY, ...this.secrets(), ...this.bindings };
    this.gateway = await startGateway({ config: this.config(), bindings, ...this.options });
  }

  async stop() {
    await this.gateway?.stop();
    await Promise.all((this.all ?? []).map((provider) => provider.goesDown()));
    if (!this.gateway) return;
    const log = this.gateway.lines.join("\n");
    for (const { name, key, pool = [key], secrets = {} } of this.all) assert.ok(![...pool, ...Object.values(secrets)].some((text) => log.includes(text)), `a key of ${name} in the log`);
  }

  url = (path) => this.gateway.url + path;

  /** A behaviour after which nothing comes. Only on a {@link TimedStage} does its time run out at once. */
  silently = (behaviour) => behaviour;

  /** A function of a test. */
  alone = (play) => play;

  /**
   * Sends a request, and waits for all that results: the response (`answer`), what it says (`said`), the last
   * log line (`end`), and the failed attempts in the log (`failed`).
   */
  async ask({ path, body, headers = {}, key = KEY, id = freshId() }) {
    const answer = await call(this.url(path), { method: "POST", headers: { ...as(key), "x-request-id": id, ...headers }, body: typeof body === "string" ? body : JSON.stringify(body) });
    const story = await this.story(id);
    return { answer, said: answer.status === 200 ? saidIn(answer) : undefined, ...story };
  }

  /** The last log line of a request, and its failed attempts. */
  async story(id) {
    const entries = () => this.gateway.logs().filter((entry) => entry.request_id === id);
    const end = await until(() => entries().find(({ event }) => TERMINAL.includes(event)), `the end of ${id} in the log`);
    const failed = entries().filter(({ event }) => event === "attempt_failed");
    return { end, failed, classes: failed.map((entry) => entry.class) };
  }
}

/** Keys of a provider's row: the time limits of a target whose time is to run out, far shorter than those of others. */
export const BRIEFLY = "clocks: { first_token: 3, idle: 3 }";

/**
 * A stage whose clock stands still but for {@link TimedStage#silently}: a silent target has all the time that a slow
 * machine takes, and no other target's time runs out. Its tests run one at a time, each within `alone`.
 */
export class TimedStage extends RouteStage {
  constructor(options) {
    super({ entry: "production.mjs", ...options });
  }

  async startGateway() {
    await super.startGateway();
    await stopClock(this.gateway);
  }

  silently = (behaviour) => (exchange) => {
    behaviour(exchange);
    return runOut(this.gateway, exchange.closed, "a silent call to be given up");
  };

  alone = oneAtATime();
}

const variableOf = (name) => `${name.toUpperCase().replaceAll("-", "_")}_API_KEY`;
