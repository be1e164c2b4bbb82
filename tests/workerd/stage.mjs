// The usual setup of these tests: one caller, one gateway on workerd, one fake provider.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { call, chatRequest, HELLO, open, soon, until } from "./client.mjs";
import { startFake } from "./fake-openai.mjs";
import { startGateway } from "./harness.mjs";
import { PACE, paced } from "./pace.mjs";

/** A port of loopback on which nobody listens. The kernel gives it to nobody who asks for any free port. */
export const DEAD_PORT = 21_937;

export const KEY = "caller-key-3141592653";
export const PROVIDER_KEY = "sk-provider-2718281828";

/**
 * Fields of a client that requests the usage of its stream, so that it gets the provider's bytes unchanged.
 */
export const ASKING = { stream_options: { include_usage: true } };

/**
 * A key of a provider's row: longer than any wait of a test. A comment, which would be the first write to a client that
 * has left, never tells the gateway so.
 */
export const QUIET = "keep_alive: 600";

// `any` allows every model's name, so that every behaviour of the fake can be requested; `brief` has short
// deadlines.
const usualConfig = (fake) => `
default_provider: openai
providers:
  openai:
    base_url: ${fake.base}
    ${QUIET}
    models:
      ok: {}
      gpt-4o: {}
  any:
    base_url: ${fake.base}
    ${QUIET}
    models: "*"
  shy:
    base_url: ${fake.base}
    ${QUIET}
    stream_usage: leave
    models: "*"
  brief:
    base_url: ${fake.base}
    ${QUIET}
    models:
      ok: { timeout: ${paced(1)} }
      silent: { timeout: ${paced(1)} }
      silent-stream: { timeout: ${paced(1)} }
      stall-mid-stream: { timeout: ${paced(1)} }
      trickle: { timeout: ${paced(1)} }
`;

const USUAL_BINDINGS = { ACCESS_API_KEYS: KEY, OPENAI_API_KEY: PROVIDER_KEY, ANY_API_KEY: PROVIDER_KEY, SHY_API_KEY: PROVIDER_KEY, BRIEF_API_KEY: PROVIDER_KEY };

/**
 * A configuration with one provider for each of `kinds` (its name, and the keys of its row), all of them the
 * fake and for any model.
 */
export const rows = (kinds) => (fake) => {
  const row = ([name, keys]) => `  ${name}: { base_url: "${fake.base}", api_key_env: ANY_API_KEY, models: "*", ${keys} }`;
  return ["providers:", ...Object.entries(kinds).map(row), ""].join("\n");
};

const TERMINAL = ["request_complete", "request_error"];

let watched = 0;

/** A unique request id, by which log entries are found. */
export const freshId = () => `watched-${++watched}`;

/**
 * Starts the stage. `config` makes the YAML from the fake, `bindings` are added to the usual keys, `services`
 * makes those of the gateway from the fake; the rest is for the gateway. If the times in `config` are `paced`, `pace: PACE` multiplies the fake's pauses too.
 */
export async function startStage({ config = usualConfig, bindings = {}, services, provider = startFake, pace = config === usualConfig ? PACE : 1, ...rest } = {}) {
  const fake = await provider({ pace });
  try {
    const gateway = await startGateway({ config: config(fake), bindings: { ...USUAL_BINDINGS, ...bindings }, services: services?.(fake), ...rest });
    return new Stage(fake, gateway);
  } catch (fault) {
    await fake.stop();
    throw fault;
  }
}

class Stage {
  constructor(fake, gateway) {
    this.fake = fake;
    this.gateway = gateway;
  }

  /** Sends any request to the gateway, with the caller's key unless `headers` have another. */
  request(path, { headers = {}, ...rest } = {}) {
    return call(this.gateway.url + path, { ...rest, headers: { authorization: `Bearer ${KEY}`, ...headers } });
  }

  /** Sends a chat of exactly these bytes, or of this object. */
  post(body, headers) {
    return call(`${this.gateway.url}/v1/chat/completions`, chatRequest(KEY, body, headers));
  }

  /** Sends a plain chat with `model`. */
  ask(model, fields = {}, headers = {}) {
    return this.post({ model, messages: HELLO, ...fields }, headers);
  }

  /** Sends a streamed chat with `model`, to be read step by step. */
  openStream(model, fields = {}, headers = {}) {
    return open(`${this.gateway.url}/v1/chat/completions`, chatRequest(KEY, { model, messages: HELLO, stream: true, ...fields }, headers));
  }

  /**
   * Calls `model` and waits for everything that results: the response (`answer`), the milliseconds until it
   * was over (`took`), the last log line (`end`), and the provider's `record`.
   */
  async watch(model, fields = {}) {
    const id = freshId();
    const started = performance.now();
    const answer = await this.ask(model, fields, { "x-request-id": id });
    const took = performance.now() - started;
    return { answer, took, end: await this.end(id), record: this.fake.of(model.slice(model.indexOf("/") + 1)) };
  }

  /** The log lines of a request, once its last one is there. */
  async story(request_id) {
    const isEnd = (entry) => entry.request_id === request_id && TERMINAL.includes(entry.event);
    await until(() => this.gateway.logs().some(isEnd), `the end of ${request_id} in the log`);
    // A second last line, if there is one, comes at once.
    await sleep(50);
    return this.gateway.logs().filter((entry) => entry.request_id === request_id);
  }

  /** The last log line of a request, of which there must be exactly one, with this `event`. */
  async end(request_id, event) {
    const entries = await this.story(request_id);
    const ends = entries.filter((entry) => TERMINAL.includes(entry.event));
    assert.equal(ends.length, 1, `one end of ${request_id}: ${JSON.stringify(entries)}`);
    if (event) assert.equal(ends[0].event, event, JSON.stringify(ends[0]));
    return ends[0];
  }

  /** The bytes of the provider's newest response. */
  sent() {
    return Buffer.concat(this.fake.last().sent).toString();
  }

  /** Waits until the gateway calls `model`, and gives the provider's side of the exchange to the test. */
  held(model) {
    return soon(this.fake.hold(model), `a request for ${model}`);
  }

  /**
   * Asserts that the gateway cancels the call that the provider is still serving. If the client of a stream has left, this
   * shows that the gateway notices it by itself only where the provider's row is {@link QUIET}.
   */
  async expectCancelled(record = this.fake.last()) {
    assert.equal(await soon(record.closed, "the call to the provider to be cancelled"), true);
  }

  /** Ends the stage, and asserts that nothing secret was printed. */
  async stop() {
    const { lines } = this.gateway;
    await this.gateway.stop();
    await this.fake.stop();
    assert.deepEqual(this.gateway.leaks(), [], "secrets in the log");
    assert.ok(!lines.some((line) => line.includes(`127.0.0.1:${this.fake.port}`)), "the provider's address in the log");
  }
}
