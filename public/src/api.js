// Calls of the gateway. All go to the origin of the page, with the key of the session.

/** An error that the gateway answered with, or that kept the call from reaching it (`status` 0). */
export class ApiError extends Error {
  constructor(status, { message, code = null, param = null } = {}, requestId = null) {
    super(message ?? "");
    this.status = status;
    this.code = code;
    this.param = param;
    this.requestId = requestId;
  }
}

const ADMIN = "/admin/api";

/** The query of an address. Parameters without a value are left out. */
export function query(params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(given).toString();
  return text && `?${text}`;
}

/** Sends a request and returns the response, whatever its status. `key` is null for an identity of Access. */
export async function send(path, { method = "GET", key, body, headers = {}, signal } = {}) {
  const sent = { ...headers };
  if (key) sent.authorization = `Bearer ${key}`;
  if (body !== undefined) sent["content-type"] = "application/json";
  try {
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    return await fetch(path, { method, headers: sent, body: text, cache: "no-store", redirect: "manual", signal });
  } catch (fault) {
    if (fault.name === "AbortError") throw fault;
    throw new ApiError(0, { message: fault.message });
  }
}

/** The error of a response that was refused. */
export async function errorOf(response) {
  const body = await response.json().catch(() => null);
  return new ApiError(response.status, body?.error, response.headers.get("x-request-id"));
}

/** The admin API with a key. `onSignedOut` is called if the key is not accepted any more. */
export class AdminApi {
  constructor(key, onSignedOut = () => {}) {
    this.key = key;
    this.onSignedOut = onSignedOut;
  }

  async call(method, path, { params, body, signal } = {}) {
    const response = await send(ADMIN + path + query(params), { method, key: this.key, body, signal });
    if (response.ok) return response;
    const error = await errorOf(response);
    if (error.status === 401) this.onSignedOut(error);
    throw error;
  }

  async get(path, params, signal) {
    return (await this.call("GET", path, { params, signal })).json();
  }

  async text(path, params) {
    return (await this.call("GET", path, { params })).text();
  }

  async post(path, body) {
    return (await this.call("POST", path, { body })).json();
  }

  async patch(path, body) {
    return (await this.call("PATCH", path, { body })).json();
  }

  async delete(path, params) {
    return (await this.call("DELETE", path, { params })).json();
  }
}

/** The segment of a path that names something. */
export const segment = (id) => encodeURIComponent(id);
