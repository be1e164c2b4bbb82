// Keys that pay for what is tried on the page: each opens the models that are tried, for an hour, with a small budget.
// An admin's key calls no models, so that what is tried counts and is limited like everything else.

import { segment } from "./api.js";

const HOUR_S = 3600;
/** In dollars. */
export const TRIAL_BUDGET = "0.25";

/**
 * The patterns of models that the gateway answers itself. They cost nothing, and their price is not known, so that no
 * budget would admit them. `providers` are those of `GET /models`.
 */
export const ownPatterns = (providers) => providers.filter((provider) => provider.host === null).map((provider) => `${provider.name}/*`);
export const isOwn = (model, providers) => ownPatterns(providers).some((pattern) => model.startsWith(pattern.slice(0, -1)));

/** Makes a key for some models, or for all if `models` is null. `isFree`: without a budget, for the gateway's own. */
export function makeTrialKey(api, models, isFree = false) {
  const name = `dashboard ${new Date().toISOString().slice(0, 16)}`;
  const budget = isFree ? {} : { budget: { amount: TRIAL_BUDGET, per: "total", fit: true } };
  return api.post("/keys", { name, metadata: { made_by: "dashboard" }, models, ...budget, expires_at: Math.floor(Date.now() / 1000) + HOUR_S });
}

/** Makes a key for `work`, and deletes it afterwards. Its receipts stay. */
export async function withTrialKey(api, models, isFree, work) {
  const { id, key } = await makeTrialKey(api, models, isFree);
  try {
    return await work(key);
  } finally {
    // It expires by itself, so a failure here does no harm.
    await api.delete(`/keys/${segment(id)}`).catch(() => {});
  }
}
