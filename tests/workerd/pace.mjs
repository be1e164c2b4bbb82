// How fast this machine gets on with its work now: what tests of time scale by, so that their proportions hold on a busy machine too.

const WORK_MS = 60;
const BURSTS = 3;
const MOST = 8;

/** How many times as long as the CPU works on it a piece of work takes. */
function burst() {
  const [began, start] = [performance.now(), process.cpuUsage()];
  let worked = 0;
  while (worked < WORK_MS) {
    const { user, system } = process.cpuUsage(start);
    worked = (user + system) / 1000;
  }
  return (performance.now() - began) / worked;
}

/**
 * 1 on a machine that does nothing else, and at most 8. Clocks, pauses and bounds that a test sets are multiplied by it alike. It is
 * measured once, as the test's file begins, and the worst of what is measured counts.
 */
export const PACE = Number(process.env.TESTS_PACE ?? Math.max(1, Math.min(MOST, Math.round(10 * Math.max(...Array.from({ length: BURSTS }, burst))) / 10)));

/** So many seconds or milliseconds at the machine's pace, for a configuration. */
export const paced = (time) => Number((time * PACE).toFixed(3));
