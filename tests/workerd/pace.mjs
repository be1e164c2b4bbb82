// The speed of this machine. Deadlines that tests set are scaled by it, so that what must come before them
// does.

// A piece of work, and the time that it takes at least on a common machine: 66 ms on one of 2023.
const STEPS = 60_000_000;
const WORK_MS = 70;
const BURSTS = 3;
// A measurement before the load says little, so there is always room for twice as much.
const [LEAST, MOST] = [2, 8];

/** By which factor a piece of work takes longer here than on an idle common machine. */
function burst() {
  const began = performance.now();
  for (let step = 0, x = 1; step < STEPS; step++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
  return (performance.now() - began) / WORK_MS;
}

const measured = () => Math.round(10 * Math.max(...Array.from({ length: BURSTS }, burst))) / 10;

/**
 * From 2 to 8, depending on the machine and its load. Deadlines and pauses that a test sets are both
 * multiplied by it. It is measured once, when the test's file starts, and the worst measurement counts. Waits
 * for events are not multiplied, because they are long anyhow (`until`, `soon`).
 */
export const PACE = Number(process.env.TESTS_PACE ?? Math.max(LEAST, Math.min(MOST, measured())));

/** Seconds or milliseconds at the machine's pace, for a configuration. */
export const paced = (time) => Number((time * PACE).toFixed(3));

/** By how many milliseconds a deadline may be late on a busy machine: far less than any other deadline. */
export const LATE_MS = 15_000;

/**
 * Succeeds if one of a few tries does: for deadlines that must not pass, although the machine may pause for
 * longer than they allow.
 */
export async function inOneOf(tries, play) {
  for (let left = tries; ; left--) {
    try {
      return await play();
    } catch (fault) {
      if (left <= 1) throw fault;
    }
  }
}
