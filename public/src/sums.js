// What the sums of a report say. Null stands for what nobody reported.

/** The outcome of a request that was served. */
export const SERVED = "complete";

export const failed = ({ outcomes }) => Object.entries(outcomes).reduce((sum, [name, n]) => (name === SERVED ? sum : sum + n), 0);
export const failureShare = (sums) => (sums.requests > 0 ? failed(sums) / sums.requests : null);
/** Tokens of a kind; null if there were requests and none reported any. */
export const tokens = (sums, kind) => (sums.requests > 0 && sums.unreported_requests === sums.requests ? null : sums.tokens[kind]);
/** What was spent; null if there were requests and no price of any is known. */
export const cost = (sums) => (sums.requests > 0 && sums.unpriced_requests === sums.requests ? null : sums.cost_nanos);
/** The change from an earlier value, as a share of it; null if there is nothing to compare with. */
export const change = (now, then) => (now == null || !then ? null : (now - then) / then);
