// The clean stop. workerd alone loses the work that comes after the last response, receipts among it, and waits
// forever for a client that stays.

import { setTimeout as sleep } from "node:timers/promises";
import { command } from "./control.mjs";

/** How often the worker is asked what is under way. */
const POLL_MS = 50;
/** How long requests that were cut have for their receipts. Looks are counted, and no pause is part of it. */
const RECEIPTS_MS = 10_000;
/** How long workerd has to end after SIGTERM. */
const EXIT_MS = 3_000;

/**
 * Stops a worker: `/ready` says 503; new requests are refused; responses may go on for `streams` milliseconds, then
 * they are cut; each leaves its receipt; workerd ends. `hurry` resolves when the operator does not want to wait.
 * Returns what was still under way when it was killed.
 */
export async function stop({ child, control, exited }, { delay, streams, say, hurry }) {
  const ended = exited.then(() => true);
  const pause = (ms) => Promise.race([sleep(ms), hurry, ended]);
  let left = { requests: 0, object_tasks: 0 };
  try {
    if (delay > 0) {
      await command(control, "/unready");
      await pause(delay);
    }
    left = await command(control, "/refuse");
    if (isBusy(left)) say("serve_stopping", `Waiting for ${left.requests} requests.`);
    let isHurried = false;
    hurry.then(() => (isHurried = true));
    const end = Date.now() + streams;
    left = await settled(control, () => isHurried || Date.now() >= end);
    if (left.requests > 0) {
      say("serve_stopping", `Cutting ${left.requests} requests that still run.`, "warning");
      await command(control, "/cut");
      left = await settled(control, (looks) => looks * POLL_MS >= RECEIPTS_MS);
    }
  } catch (fault) {
    // The worker does not respond, or is gone already: nothing is left but to end it.
    if (child.exitCode === null && child.signalCode === null) say("serve_stopping", `The worker takes no commands: ${fault.message}.`, "error");
  }
  child.kill("SIGTERM");
  if (!(await Promise.race([ended, sleep(EXIT_MS).then(() => false)]))) child.kill("SIGKILL");
  await exited;
  return left;
}

const isBusy = ({ requests, object_tasks }) => requests + object_tasks > 0;

/** Waits until nothing is under way, or `isLate` after so many looks. Returns what is. */
async function settled(control, isLate) {
  for (let looks = 0; ; looks++, await sleep(POLL_MS)) {
    const state = await command(control, "/state");
    if (!isBusy(state) || isLate(looks)) return state;
  }
}
