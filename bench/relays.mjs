// What is between the gateway and the fake provider in the figures of proxies, a process of its own: TLS in
// front of the provider, an HTTP proxy and a SOCKS5 proxy. Its parent starts it with the provider's port.

import { authority } from "../tests/workerd/certificates.mjs";
import { startHttpProxy, startSocksProxy, startTls } from "../tests/workerd/proxies.mjs";

const { root, leaf } = authority("ec", ["localhost"]);
const secure = await startTls(Number(process.argv[2]), { key: leaf.key, cert: leaf.chain });
const [http, socks] = [await startHttpProxy(), await startSocksProxy()];
process.send({ secure: secure.port, http: http.port, socks: socks.port, root: root.cert });
process.on("disconnect", () => process.exit());
