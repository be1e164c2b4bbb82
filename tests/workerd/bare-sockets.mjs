// An entry module without the gateway: it accepts WebSockets and does nothing with them. The gateway's own
// memory is measured against it, in the same run.

export { Account, Directory, Health, LogFiles, Operations, Region, Session, Vault } from "../../src/worker.mjs";

export default {
  fetch(request) {
    if (request.headers.get("upgrade") !== "websocket") return new Response("");
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener("message", ({ data }) => server.send(data));
    return new Response(null, { status: 101, webSocket: client });
  },
};
