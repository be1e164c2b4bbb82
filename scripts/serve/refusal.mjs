// The response to requests that come while the process stops, in the caller's format. It is a status after which
// clients try again, by when another process serves them.

const MESSAGE = "The gateway is being restarted. Send the request again.";

export function refusal(request, path) {
  const headers = { "retry-after": "2", "access-control-allow-origin": "*", "access-control-expose-headers": "*" };
  return Response.json(body(request, path), { status: 503, headers });
}

function body(request, path) {
  if (path.includes("/messages") || request.headers.has("anthropic-version")) {
    return { type: "error", error: { type: "overloaded_error", message: MESSAGE }, request_id: null };
  }
  if (path.startsWith("/v1beta")) return { error: { code: 503, message: MESSAGE, status: "UNAVAILABLE" } };
  return { error: { message: MESSAGE, type: "server_error", param: null, code: "gateway_stopping" } };
}
