// What the sums of a report say. Null stands for what nobody reported.

/** The outcome of a request that was served. */
export const SERVED = "complete";

export const failed = ({ outcomes }) => Object.entries(outcomes).reduce((sum, [name, n]) => (name === SERVED ? sum : sum + n), 0);
export const failureShare = (sums) => (sums.requests > 0 ? failed(sums) / sums.requests : null);
/** Tokens of a kind; null if some requests reported none, and the others none of any kind. */
export const tokens = (sums, kind) => (sums.unreported_requests > 0 && sums.tokens.prompt + sums.tokens.completion === 0 ? null : sums.tokens[kind]);
/** What was spent; null if the price of some requests is not known, and nothing is known to have been spent. */
export const cost = (sums) => (sums.unpriced_requests > 0 && sums.cost_nanos === 0 ? null : sums.cost_nanos);
/** Whether more was spent than is known. */
export const isLeast = (sums) => sums.unpriced_requests > 0 && sums.cost_nanos > 0;
/** The change from an earlier value, as a share of it; null if there is nothing to compare with. */
export const change = (now, then) => (now == null || !then ? null : (now - then) / then);
