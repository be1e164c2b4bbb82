// Time that passes only when a test says so, for gateways with `entry: "production.mjs"`: no deadline passes because
// the machine is slow, and none is waited for.

import { until } from "./client.mjs";
import { STILL } from "./harness.mjs";

/** How far the clock goes at once: a small part of any deadline. */
const STEP_MS = 1_000;
/** So many commands later, the gateway has read what had reached it before the first one. */
const LOOKS = 3;

/** Stops the clock of a gateway. */
export const stopClock = (gateway) => gateway.control({ speed: STILL });

/** Lets this time pass, after the gateway has read what has reached it, and lets it act upon that. */
export async function pass(gateway, ms) {
  for (let look = 0; look < LOOKS; look++) await gateway.control();
  await gateway.control({ advance: ms });
  for (let look = 0; look < LOOKS; look++) await gateway.control();
}

/** Lets time pass until `over` is settled, after the gateway has read what has reached it. */
export async function runOut(gateway, over, what = "a deadline to pass") {
  let isOver = false;
  const note = () => (isOver = true);
  over.then(note, note);
  for (let look = 0; look < LOOKS; look++) await gateway.control();
  await until(async () => isOver || void (await gateway.control({ advance: STEP_MS })), what);
}

/** Functions that run one at a time, in their order: the clock is that of all tests of a gateway. */
export function oneAtATime() {
  let last = Promise.resolve();
  return (play) => () => {
    const played = last.then(play);
    last = played.catch(() => {});
    return played;
  };
}
