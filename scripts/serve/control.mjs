// Calls of the worker's own socket (the entrypoint `Control` of worker.mjs).

import { request } from "node:http";

const TIME_LIMIT_MS = 30_000;

/** Sends a command, with a text, and returns the response's JSON. */
export function command(socketPath, path, text = "") {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, method: "POST", agent: false, timeout: TIME_LIMIT_MS }, async (response) => {
      try {
        const pieces = [];
        for await (const piece of response) pieces.push(piece);
        if (response.statusCode !== 200) throw new Error(`the worker responded with ${response.statusCode}`);
        resolve(JSON.parse(Buffer.concat(pieces).toString()));
      } catch (fault) {
        reject(fault);
      }
    });
    call.on("timeout", () => call.destroy(new Error("the worker did not respond")));
    call.on("error", reject);
    call.end(text);
  });
}
