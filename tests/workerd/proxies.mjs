// Proxies on loopback: real ones from npm (`proxy` speaks HTTP, `@pondwader/socks5-server` SOCKS5), and ones
// that fail in the ways of this table. And what is behind them: TLS in front of a fake provider.

import { createServer as createSocksServer } from "@pondwader/socks5-server";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { connect, createServer } from "node:net";
import { createSecureContext, createServer as createTlsServer, TLSSocket } from "node:tls";
import { createProxy } from "proxy";

/** How long a slow proxy holds what it is to pass on. */
const HELD_MS = 30;

/** Listens on a port of loopback, a free one unless it is named, and counts connections. */
async function listen(net, port = 0) {
  const sockets = new Set();
  let all = 0;
  const track = (socket) => {
    all += 1;
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  };
  net.on("connection", track);
  await new Promise((resolve, reject) => net.on("error", reject).listen(port, "127.0.0.1", resolve));
  return {
    port: net.address().port,
    host: `127.0.0.1:${net.address().port}`,
    /** The connections that are open, and all that have been. */
    open: () => sockets.size,
    all: () => all,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => net.close(resolve));
    },
  };
}

/** An HTTP proxy. `login` is `user:password`; `secure` has the key and the certificate of one over TLS. */
export async function startHttpProxy({ login, secure } = {}) {
  const server = createProxy(secure ? createHttpsServer(secure) : createHttpServer());
  const requests = [];
  const wanted = login && `Basic ${Buffer.from(login).toString("base64")}`;
  server.authenticate = ({ method, url, headers }) => {
    requests.push({ method, url, headers });
    return !wanted || headers["proxy-authorization"] === wanted;
  };
  return { ...(await listen(server)), requests };
}

/**
 * An HTTP proxy that is slow, and drops what it has not sent yet when the other side closes. The package `proxy` does
 * so, too, where a caller reads slowly.
 */
export const startHastyProxy = () =>
  listen(
    createHttpServer().on("connect", ({ url }, socket) => {
      const { hostname, port } = new URL(`http://${url}`);
      const target = connect(port, hostname, () => socket.write(ESTABLISHED));
      socket.pipe(target);
      target.on("data", (bytes) => setTimeout(() => socket.write(bytes), HELD_MS));
      target.on("error", () => socket.destroy()).on("close", () => socket.destroy());
      socket.on("error", () => target.destroy()).on("close", () => target.destroy());
    }),
  );

/** A SOCKS5 proxy. `login` is `user:password`. `targets` are the hosts that it was asked for. */
export async function startSocksProxy({ login } = {}) {
  const [username, password] = login?.split(/:(.*)/s) ?? [];
  const server = createSocksServer(login ? { auth: { username, password } } : {});
  const targets = [];
  server.setRulesetValidator(({ destAddress, destPort }) => targets.push(`${destAddress}:${destPort}`) > 0);
  return { ...(await listen(createServer((socket) => server._handleConnection(socket)))), targets };
}

/** A proxy that speaks HTTP and SOCKS5 on one port, as the mixed port of Clash does. `spoken` says what each connection spoke. */
export async function startMixedProxy(port) {
  const [http, socks] = [createProxy(createHttpServer()), createSocksServer()];
  const spoken = [];
  const server = createServer((socket) =>
    socket.once("data", (first) => {
      socket.pause();
      socket.unshift(first);
      const isSocks = first[0] === 5;
      spoken.push(isSocks ? "SOCKS5" : "HTTP");
      if (isSocks) socks._handleConnection(socket);
      else http.emit("connection", socket);
      socket.resume();
    }),
  );
  return { ...(await listen(server, port)), spoken };
}

const ESTABLISHED = "HTTP/1.1 200 Connection established\r\n\r\n";

/** Answers the first bytes of a connection, and closes it. */
const once = (...parts) => (socket) => socket.once("data", () => socket.end(Buffer.concat(parts.map((part) => Buffer.from(part)))));

/** Lets SOCKS5 begin, and answers the request with this reply. */
const socksReply = (reply) => (socket) =>
  socket.once("data", () => {
    socket.write(Buffer.from([5, 0]));
    socket.once("data", () => socket.end(Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0])));
  });

/** What a faulty proxy does with a connection, by its fault. */
export const FAULTS = {
  // Of HTTP.
  "refuses by a rule": once("HTTP/1.1 403 Forbidden by rule\r\ncontent-length: 0\r\n\r\n"),
  "does not reach the host": once("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"),
  "hangs up in its head": (socket) => socket.once("data", () => socket.write("HTTP/1.1 200 Conn", () => socket.resetAndDestroy())),
  "hangs up at once": (socket) => socket.end(),
  "is another service": (socket) => socket.write("SSH-2.0-OpenSSH_9.9\r\n"),
  "says nothing": () => {},
  "sends a head without an end": (socket) => socket.once("data", () => socket.write(`HTTP/1.1 200 OK\r\nx: ${"x".repeat(300_000)}`)),
  "says nothing in the tunnel": (socket) => socket.once("data", () => socket.write(ESTABLISHED)),
  "speaks SOCKS5 instead": once([5, 0xff]),
  "hangs up in the TLS handshake": (socket) =>
    socket.once("data", () => {
      socket.write(ESTABLISHED);
      socket.once("data", () => socket.write(Buffer.from([22, 3, 3, 0, 100, 2, 0]), () => socket.resetAndDestroy()));
    }),
  "speaks in the tunnel": once(ESTABLISHED, "hello, this is not TLS\r\n"),
  "repeats the login": (socket) =>
    socket.once("data", (head) => {
      const login = /proxy-authorization: (.*)\r\n/i.exec(head)?.[1];
      socket.end(`HTTP/1.1 403 no ${login} ${Buffer.from(login?.split(" ")[1] ?? "", "base64")}\r\ncontent-length: 0\r\n\r\n`);
    }),
  // Of SOCKS5.
  "speaks HTTP instead": once("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"),
  "has a host that refuses": socksReply(5),
  "does not allow it": socksReply(2),
  "takes no method": (socket) => socket.once("data", () => socket.end(Buffer.from([5, 0xff]))),
  "hangs up in its reply": (socket) =>
    socket.once("data", () => {
      socket.write(Buffer.from([5, 0]));
      socket.once("data", () => socket.write(Buffer.from([5, 0, 0]), () => socket.resetAndDestroy()));
    }),
};

/** A proxy with one of the {@link FAULTS}. */
export const startFaultyProxy = (fault) => listen(createServer(FAULTS[fault]));

/** TLS in front of a server on loopback. `options` are those of Node; HTTP/1.1 is offered. */
export async function startTls(port, options) {
  const handshakes = [];
  const server = createTlsServer({ ALPNProtocols: ["http/1.1"], ...options }, (socket) => {
    handshakes.push({ protocol: socket.getProtocol(), suite: socket.getCipher().name, resumed: socket.isSessionReused(), name: socket.servername });
    const inner = connect(port, "127.0.0.1");
    socket.pipe(inner).pipe(socket);
    // A side that breaks off breaks the other.
    socket.on("error", () => inner.destroy()).on("close", () => inner.destroy());
    inner.on("error", () => socket.destroy()).on("close", () => socket.readableEnded || socket.end());
  });
  server.on("tlsClientError", () => {});
  return { ...(await listen(server)), handshakes };
}

/** A server that closes after the first record of TLS on a connection. `heard` are these. */
export async function startSilent() {
  const heard = [];
  const server = createServer((socket) => {
    let bytes = Buffer.alloc(0);
    socket.on("data", (part) => {
      bytes = Buffer.concat([bytes, part]);
      if (socket.writableEnded || bytes.length < 5 || bytes.length < 5 + bytes.readUInt16BE(3)) return;
      heard.push(bytes);
      socket.end();
    });
  });
  return { ...(await listen(server)), heard };
}

/** The cipher suites that a ClientHello offers (RFC 8446 4.1.2), in its order. */
export function suitesOf(hello) {
  const session = 5 + 4 + 2 + 32;
  const at = session + 1 + hello[session];
  return Array.from({ length: hello.readUInt16BE(at) / 2 }, (_, index) => hello.readUInt16BE(at + 2 + 2 * index).toString(16));
}

/**
 * A provider over TLS whose bytes the test writes. For each request, once its head has come, `play` gets
 * `{ tls, socket, head, body }`: the stream inside TLS, the connection below it, and a promise of the request's
 * body, which is read when it is asked for. `set(play)` changes what is done from then on.
 */
export async function startScripted(options) {
  const secureContext = createSecureContext(options);
  let play;
  const server = createServer((socket) => {
    const tls = new TLSSocket(socket, { isServer: true, secureContext });
    tls.on("error", () => socket.destroy());
    let read = Buffer.alloc(0);
    const take = (part) => {
      read = Buffer.concat([read, part]);
      const end = read.indexOf("\r\n\r\n");
      if (end < 0) return;
      tls.off("data", take);
      tls.pause();
      const head = read.subarray(0, end).toString();
      // It lists no models.
      if (head.startsWith("GET ")) return void tls.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
      play({ tls, socket, head, body: () => bodyOf(tls, read.subarray(end + 4), Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)) });
    };
    tls.on("data", take);
  });
  return { ...(await listen(server)), set: (next) => void (play = next) };
}

/** The rest of a body of this length, after its beginning. */
function bodyOf(stream, beginning, length) {
  const parts = [beginning];
  let left = length - beginning.length;
  return new Promise((resolve, reject) => {
    const done = () => left <= 0 && resolve(Buffer.concat(parts));
    stream.on("data", (part) => {
      parts.push(part);
      left -= part.length;
      done();
    });
    stream.on("error", reject).on("close", () => reject(new Error("the caller has left")));
    stream.resume();
    done();
  });
}
