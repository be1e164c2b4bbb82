// The gateway's entry module with a bucket for log files: the binding LOGS of the object that writes them is an
// HTTP server of the test (`BUCKET_URL`), which can refuse, hang, and outlive the process.

import gateway, * as objects from "../../src/worker.mjs";

/** What the gateway uses of https://developers.cloudflare.com/r2/api/workers/workers-api-reference/. */
const bucketAt = (url) => {
  const ask = async (method, key, body) => {
    const answer = await fetch(new URL(key, url), { method, body });
    if (!answer.ok && answer.status !== 404) throw new Error(`${method} (10001): We encountered an internal error.`);
    return answer;
  };
  return {
    put: async (key, text) => ({ key, size: (await ask("PUT", key, text), text.length) }),
    get: async (key) => ((answer) => (answer.ok ? answer : null))(await ask("GET", key)),
    delete: async (key) => void (await ask("DELETE", key)),
  };
};

export class LogFiles extends objects.LogFiles {
  constructor(context, env) {
    super(context, { ...env, LOGS: bucketAt(env.BUCKET_URL) });
  }
}

export const { Account, Directory, Health, Operations, Session, Vault } = objects;
export default gateway;
