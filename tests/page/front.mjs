// Stands before a gateway on workerd as the assets binding does on Cloudflare: serves the dashboard's files, with
// the headers of `_headers`, at `/` and below `/ui/`, and hands everything else to the gateway. workerd has no
// assets worker; tests/make/dev.test.mjs looks at the real one.

import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { extname, join } from "node:path";

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };

/** The headers of the rule for all files. */
export async function pageHeaders(folder) {
  const text = await readFile(join(folder, "_headers"), "utf8");
  const lines = text.split("\n").filter((line) => line.startsWith("  "));
  return Object.fromEntries(lines.map((line) => line.trim().split(/: (.*)/s).slice(0, 2)));
}

/** Starts it before the gateway at a port; `folder` has the files. */
export async function startFront(port, folder) {
  const headers = await pageHeaders(folder);
  /** What was asked of the gateway: method and path with query. */
  const calls = [];
  const file = (path) => path === "/" ? "index.html" : /^\/ui\/[a-z.]+$/.test(path) ? path.slice(1) : null;

  const server = createServer(async (req, res) => {
    const name = file(req.url.split("?")[0]);
    const bytes = name && (await readFile(join(folder, name)).catch(() => null));
    if (bytes) return res.writeHead(200, { ...headers, "content-type": TYPES[extname(name)] }).end(bytes);
    calls.push(`${req.method} ${req.url}`);
    const onward = request({ port, host: "127.0.0.1", method: req.method, path: req.url, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    });
    onward.on("error", () => res.destroy());
    res.on("close", () => onward.destroy());
    req.pipe(onward);
  });
  // A WebSocket: the head is written again, and then bytes go both ways.
  server.on("upgrade", (req, socket, head) => {
    calls.push(`${req.method} ${req.url}`);
    const onward = connect(port, "127.0.0.1", () => {
      const lines = [`${req.method} ${req.url} HTTP/1.1`];
      for (let at = 0; at < req.rawHeaders.length; at += 2) lines.push(`${req.rawHeaders[at]}: ${req.rawHeaders[at + 1]}`);
      onward.write(`${lines.join("\r\n")}\r\n\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    socket.on("error", () => onward.destroy());
    onward.on("error", () => socket.destroy());
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    calls,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
