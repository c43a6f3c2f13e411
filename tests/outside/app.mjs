// Apps as their developers serve them: on an origin of their own, one page for every path below a prefix.

import { createServer } from 'node:http';

/** Serves `pages` (prefix → { bundle, settings }) at `http://{host}`. The host is a name of this machine. */
export async function startApp(host = '127.0.0.1') {
  const pages = new Map();
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://app.test');
    const found = [...pages].find(([prefix]) => pathname.startsWith(`${prefix}/`));
    if (!found) {
      response.writeHead(404).end();
      return;
    }
    const [prefix, { bundle, settings }] = found;
    if (pathname === `${prefix}/page.js`) {
      response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' }).end(bundle);
      return;
    }
    const json = JSON.stringify({ prefix, ...settings }).replace(/</g, '\\u003c');
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
    response.end(`<!doctype html><html lang="en"><meta charset="utf-8"><title>App</title><link rel="icon" href="data:,">
<h1>App</h1><script type="application/json" id="settings">${json}</script><script type="module" src="${prefix}/page.js"></script></html>`);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://${host}:${server.address().port}`,
    pages,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  };
}
