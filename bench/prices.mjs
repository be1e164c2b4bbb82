// Cloudflare's prices, and what calls and rows of Durable Objects cost.

/** In dollars, beyond what a plan includes. */
export const PRICE = { request: 0.3e-6, cpuMs: 0.02e-6, call: 0.15e-6, written: 1e-6, read: 0.001e-6, gbSecond: 12.5e-6 };
/**
 * An object is billed for its memory while it handles a call. The duration is an estimate: nearly all of it
 * is the write to disk.
 */
export const CALL_SECONDS = 0.01;
export const OBJECT_GB = 0.128;
const MILLION = 1e6;
const MONTH_SECONDS = 30 * 86_400;

/**
 * Dollars per million requests, by purpose. CPU is that of the busiest pace, at which a process does little
 * else.
 */
export function dollars({ calls, written, read = 0 }, cpuMs) {
  const objects = calls * (PRICE.call + CALL_SECONDS * OBJECT_GB * PRICE.gbSecond) + written * PRICE.written + read * PRICE.read;
  return { worker: (PRICE.request + cpuMs * PRICE.cpuMs) * MILLION, objects: objects * MILLION };
}

/** Dollars a month of an object that works without a pause. */
export const AWAKE = MONTH_SECONDS * OBJECT_GB * PRICE.gbSecond;
