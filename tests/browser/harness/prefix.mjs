// A reverse proxy that serves everything below a prefix, as nginx's `location /x/ { proxy_pass http://…/; }`,
// or one that knows no WebSocket, as the cloud's gateway.

import { once } from "node:events";
import { createServer, request } from "node:http";
import { connect } from "node:net";

/**
 * Starts one in front of an origin.
 * @param {string} origin
 * @param {string} prefix such as `/x/stats`
 * @param {{feed?: boolean}} [options] `feed`: whether WebSockets are passed on, or not found
 */
export async function behindPrefix(origin, prefix, { feed = true } = {}) {
  const { hostname, port } = new URL(origin);
  /** @param {string | undefined} path */
  const inside = (path = "/") => (path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : null);
  const proxy = createServer((asked, answer) => {
    const path = inside(asked.url);
    if (path === null) return void answer.writeHead(404).end();
    const passed = request({ hostname, port, path, method: asked.method, headers: asked.headers }, (got) => {
      answer.writeHead(got.statusCode ?? 502, got.headers);
      got.pipe(answer);
    });
    passed.on("error", () => answer.writeHead(502).end());
    asked.pipe(passed);
  });
  /** @type {Set<import("node:stream").Duplex>} */
  const open = new Set();
  proxy.on("upgrade", (asked, socket) => {
    const path = inside(asked.url);
    if (!feed) return void socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    if (path === null) return void socket.destroy();
    const passed = connect(Number(port), hostname, () => {
      const headers = asked.rawHeaders.flatMap((name, at, all) => (at % 2 === 0 ? [`${name}: ${all[at + 1]}`] : []));
      passed.write([`GET ${path} HTTP/1.1`, ...headers, "", ""].join("\r\n"));
      passed.pipe(socket).pipe(passed);
    });
    for (const end of [socket, passed]) {
      open.add(end);
      end.on("error", () => end.destroy());
    }
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const address = /** @type {import("node:net").AddressInfo} */ (proxy.address());
  return {
    origin: `http://127.0.0.1:${address.port}${prefix}`,
    stop: () => {
      for (const end of open) end.destroy();
      proxy.closeAllConnections();
      proxy.close();
    },
  };
}
