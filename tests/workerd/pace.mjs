// How fast this machine gets on with its work: the clocks that tests set scale by it, so that what must come before they strike does.

// Some work, and what it takes at least on a common machine: 66 ms on one of 2023.
const STEPS = 60_000_000;
const WORK_MS = 70;
const BURSTS = 3;
// What is measured before the load comes says little: there is always room for twice as much.
const [LEAST, MOST] = [2, 8];

/** How many times as long as on a common machine that has nothing else to do a piece of work takes. */
function burst() {
  const began = performance.now();
  for (let step = 0, x = 1; step < STEPS; step++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
  return (performance.now() - began) / WORK_MS;
}

const measured = () => Math.round(10 * Math.max(...Array.from({ length: BURSTS }, burst))) / 10;

/**
 * From 2 to 8, as the machine is slow, or has other things to do. Clocks and pauses that a test sets are multiplied by it alike. It is
 * measured once, as the test's file begins, and the worst of what is measured counts. Waits for what must come in the end are not:
 * they are long anyhow (`until`, `soon`).
 */
export const PACE = Number(process.env.TESTS_PACE ?? Math.max(LEAST, Math.min(MOST, measured())));

/** So many seconds or milliseconds at the machine's pace, for a configuration. */
export const paced = (time) => Number((time * PACE).toFixed(3));

/** So much later than it should, in milliseconds, a clock may strike on a machine that is busy: far before any other clock would. */
export const LATE_MS = 15_000;

/** What is so in one of a few tries: for what a clock must spare, though the machine may stand still for longer than the clock allows. */
export async function inOneOf(tries, play) {
  for (let left = tries; ; left--) {
    try {
      return await play();
    } catch (fault) {
      if (left <= 1) throw fault;
    }
  }
}
