// `node:test` as a test file sees it under limits.mjs: each test and hook has a time limit. No comment may
// follow code here.
import * as real from "node:test";

const timeout = Number(process.env.TEST_LIMIT_MS ?? 300_000);

const limited = (declare) => (...args) => {
  const at = args.findIndex((arg) => typeof arg === "function");
  if (at < 0) return declare(...args);
  const own = args.slice(0, at).find((arg) => typeof arg === "object");
  return declare(...args.slice(0, at).filter((arg) => arg !== own), { timeout, ...own }, args[at]);
};
const limitedHook = (declare) => (fn, options) => declare(fn, { timeout, ...options });

const it = Object.assign(limited(real.it), { skip: real.it.skip, todo: real.it.todo, only: limited(real.it.only) });

export * from "node:test";
export { it, it as test, it as default };
export const [before, after, beforeEach, afterEach] = [real.before, real.after, real.beforeEach, real.afterEach].map(limitedHook);
// The name of a test reaches the runner before the test can block this process.
real.beforeEach(() => new Promise((resolve) => setTimeout(resolve, 1)));
