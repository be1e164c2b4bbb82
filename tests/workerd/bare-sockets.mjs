// An entry module that knows nothing of the gateway: it accepts WebSockets and leaves them alone. What the gateway's own take is measured
// against it, in the same run.

export { Account, Directory, Session, Vault } from "../../src/worker.mjs";

export default {
  fetch(request) {
    if (request.headers.get("upgrade") !== "websocket") return new Response("");
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener("message", ({ data }) => server.send(data));
    return new Response(null, { status: 101, webSocket: client });
  },
};
