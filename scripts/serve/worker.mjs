// The entry module under `llm-bridge serve`: src/worker.mjs, and what Cloudflare does elsewhere. It serves the
// static files, finds the caller's address, and takes commands of the launcher (main.mjs) on a socket of its own.

import Bridge from "../../build/index.js";
import gateway, * as objects from "../../src/worker.mjs";
import { callerAddress } from "./caller.mjs";
import { setConfiguration, staticFile } from "./files.mjs";
import { refusal } from "./refusal.mjs";
import { commands, counted, RequestWork, work } from "./work.mjs";

export const { Account, Directory, Health, LogFiles, Operations, Region, Session, Vault } = Object.fromEntries(
  Object.entries(objects).map(([name, value]) => [name, name === "default" ? value : counted(value)]),
);

const READY = "/ready";

/** Gives the wasm another configuration (src/edge/isolate.rs). build-wasm.mjs makes a method of it. */
const { reload } = Bridge.prototype;

/** The ranges of addresses whose `x-forwarded-for` is believed. */
let trusted;

/** The request as the gateway is to see it: with the caller's address, and a signal by which it can be ended. */
function forGateway(request, env, signal) {
  trusted ??= env.LLM_BRIDGE_TRUSTED_PROXIES.split(",").filter(Boolean);
  const headers = new Headers(request.headers);
  const address = callerAddress(request.cf?.clientIp, headers.get("x-forwarded-for"), trusted);
  if (address) headers.set("cf-connecting-ip", address);
  else headers.delete("cf-connecting-ip");
  // An upgrade is handed on to an object, and ends with its connection.
  return new Request(request, headers.has("upgrade") ? { headers } : { headers, signal });
}

export default {
  async fetch(request, env, ctx) {
    const { pathname } = new URL(request.url);
    if (pathname === READY) return Response.json({ ready: work.isReady }, { status: work.isReady ? 200 : 503, headers: { "cache-control": "no-store" } });
    if (work.isRefusing) return refusal(request, pathname);
    const file = await staticFile(request, pathname, env.ASSETS);
    if (file) return file;
    const requestWork = new RequestWork(ctx, request.signal);
    return gateway.fetch(forGateway(request, env, requestWork.signal), env, requestWork);
  },
};

/** What the launcher asks for. */
export const Control = {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/configuration") {
      const text = await request.text();
      const outcome = reload(text, env);
      const isServed = JSON.parse(outcome).faults.length === 0;
      // A new instance of the wasm, after a panic, opens this one.
      if (isServed) {
        globalThis.LLM_BRIDGE.config = text;
        setConfiguration(text);
        work.isLoaded = true;
      }
      return new Response(outcome);
    }
    commands[pathname.slice(1)]?.();
    return Response.json(work.state());
  },
};
