// The usual scene of these tests: one caller, one gateway on workerd, one fake provider behind it.

import assert from "node:assert/strict";
import { call, chatRequest, HELLO, open, soon } from "./client.mjs";
import { startFake } from "./fake-openai.mjs";
import { startGateway } from "./harness.mjs";

export const KEY = "caller-key-3141592653";
export const PROVIDER_KEY = "sk-provider-2718281828";

// `any` passes every model's name, so that any behaviour of the fake can be asked for; `brief` has little patience.
const usualConfig = (fake) => `
default_provider: openai
providers:
  openai:
    base_url: ${fake.base}
    models:
      ok: {}
      gpt-4o: {}
  any:
    base_url: ${fake.base}
    models: "*"
  brief:
    base_url: ${fake.base}
    models:
      ok: { timeout: 1 }
      silent: { timeout: 1 }
      silent-stream: { timeout: 1 }
      stall-mid-stream: { timeout: 1 }
      trickle: { timeout: 1 }
`;

const USUAL_BINDINGS = { ACCESS_API_KEYS: KEY, OPENAI_API_KEY: PROVIDER_KEY, ANY_API_KEY: PROVIDER_KEY, BRIEF_API_KEY: PROVIDER_KEY };

/** Sets the scene; `config` makes the YAML from the fake, `bindings` are added to the usual keys. */
export async function startStage({ config = usualConfig, bindings = {} } = {}) {
  const fake = await startFake();
  try {
    const gateway = await startGateway({ config: config(fake), bindings: { ...USUAL_BINDINGS, ...bindings } });
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

  /** Any request to the gateway, with the caller's key unless `headers` say otherwise. */
  request(path, { headers = {}, ...rest } = {}) {
    return call(this.gateway.url + path, { ...rest, headers: { authorization: `Bearer ${KEY}`, ...headers } });
  }

  /** A chat of exactly these bytes, or of this object. */
  post(body, headers) {
    return call(`${this.gateway.url}/v1/chat/completions`, chatRequest(KEY, body, headers));
  }

  /** A plain chat with `model`. */
  ask(model, fields = {}, headers = {}) {
    return this.post({ model, messages: HELLO, ...fields }, headers);
  }

  /** A streamed chat with `model`, to be read step by step. */
  openStream(model, fields = {}, headers = {}) {
    return open(`${this.gateway.url}/v1/chat/completions`, chatRequest(KEY, { model, messages: HELLO, stream: true, ...fields }, headers));
  }

  /** What the provider wrote in its newest answer. */
  sent() {
    return Buffer.concat(this.fake.last().sent).toString();
  }

  /** Waits for the gateway to ask for `model`, and hands the provider's side of the exchange to the test. */
  held(model) {
    return soon(this.fake.hold(model), `a request for ${model}`);
  }

  /** Demands that the gateway gives up the call that the provider is still answering. */
  async expectCancelled(record = this.fake.last()) {
    assert.equal(await soon(record.closed, "the call to the provider to be cancelled", 3000), true);
  }

  /** Ends the scene, and demands that nothing secret was printed in it. */
  async stop() {
    const { lines } = this.gateway;
    await this.gateway.stop();
    await this.fake.stop();
    assert.deepEqual(this.gateway.leaks(), [], "secrets in the log");
    assert.ok(!lines.some((line) => line.includes(`127.0.0.1:${this.fake.port}`)), "the provider's address in the log");
  }
}
