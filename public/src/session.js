// Who is signed in. The key is kept for the tab: it survives a reload, and is gone when the tab is closed.
// What a key may do is decided by the API.

import { AdminApi, ApiError, errorOf, send } from "./api.js";

const STORE = "llm-bridge.key";
/** Stands for an identity of Cloudflare Access, which sends no key. */
export const IDENTITY = "";
/** How managed keys begin: they belong to callers, so the admin API need not be asked. */
const MANAGED = "sk-lb-";

/** The kept key; null if there is none. */
export const keptKey = () => sessionStorage.getItem(STORE);
export const forgetKey = () => sessionStorage.removeItem(STORE);

/**
 * Signs in with a key: of an admin, or else of a caller, who sees their own usage only. Throws an ApiError if it
 * is neither.
 */
export async function signIn(key, onSignedOut) {
  const session = (key.startsWith(MANAGED) ? null : await asAdmin(key, onSignedOut)) ?? (await asCaller(key));
  sessionStorage.setItem(STORE, key);
  return session;
}

async function asAdmin(key, onSignedOut) {
  const api = new AdminApi(key, onSignedOut);
  const response = await send("/admin/api/session", { key });
  if (response.ok) return { kind: "admin", key, api, ...(await response.json()) };
  const error = await errorOf(response);
  // A key that is no admin's may be a caller's. An identity has no other place to go.
  if (error.status === 401 && key !== IDENTITY) return null;
  throw error;
}

async function asCaller(key) {
  const response = await send("/v1/usage", { key });
  if (response.ok) return { kind: "caller", key, usage: await response.json() };
  const error = await errorOf(response);
  throw error.status === 401 ? new ApiError(401, { message: error.message, code: "unknown_key" }) : error;
}
