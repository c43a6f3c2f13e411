// Below what an HTTP library lets through: bytes on a socket, as somebody writes them who wants a header of their own in our answer,
// a host of their own in our links, or a second request where a proxy in front sees one.

import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';

import { authorization } from './chromium.mjs';
import { startCallback, startServer } from './server.mjs';

const ANSWER_MILLISECONDS_MAX = 8000;
const FORGED = 'forged.test';

let callback;
let server;
let secure;

before(async () => {
  callback = await startCallback();
  [server, secure] = await Promise.all(
    [false, true].map((tls) => startServer({ callback: callback.url, tls, flags: ['--header-timeout', '2s'] })),
  );
});

after(async () => {
  await callback?.stop();
  await Promise.all([server?.stop(), secure?.stop()]);
});

/** Writes bytes and reads until the other side closes: a server that keeps the connection open lets this fail. */
function exchange(bytes, { tls = false } = {}) {
  return new Promise((resolve, reject) => {
    const socket = tls
      ? connectTls({ port: secure.port, host: '127.0.0.1', servername: 'localhost', ca: secure.certificate, ALPNProtocols: ['http/1.1'] })
      : connect(server.port, '127.0.0.1');
    let received = '';
    socket.setEncoding('latin1');
    socket.setTimeout(ANSWER_MILLISECONDS_MAX, () => socket.destroy(new Error(`left open after ${JSON.stringify(received)}`)));
    socket.on('data', (text) => (received += text));
    socket.on('error', (error) => (error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(received) : reject(error)));
    socket.on('close', () => resolve(received));
    socket.write(Buffer.from(bytes, 'latin1'));
  });
}

/** The answers in what was received: their status, their header lines, and what follows. */
function answers(received) {
  const found = [];
  let rest = received;
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    assert.ok(end >= 0 && /^HTTP\/1\.[01] \d{3}/.test(rest), `no answer: ${JSON.stringify(rest.slice(0, 300))}`);
    const [first, ...lines] = rest.slice(0, end).split('\r\n');
    const headers = lines.map((line) => line.split(/: ?/, 2).map((part, index) => (index === 0 ? part.toLowerCase() : part)));
    const text = rest.slice(end + 4);
    const length = Number(Object.fromEntries(headers)['content-length'] ?? text.length);
    found.push({ status: Number(first.split(' ')[1]), headers: new Headers(headers), lines, body: text.slice(0, length) });
    rest = text.slice(length);
  }
  return found;
}

const one = async (bytes, options) => {
  const all = answers(await exchange(bytes, options));
  assert.equal(all.length, 1, `${all.length} answers to ${JSON.stringify(bytes)}`);
  return all[0];
};

const get = (target, { host = `127.0.0.1:${server.port}`, headers = '' } = {}) =>
  `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${headers}Connection: close\r\n\r\n`;

const DISCOVERY = '/.well-known/openid-configuration';

describe('T38 the configured issuer is the only one', () => {
  const forwarded = [
    `X-Forwarded-Host: ${FORGED}\r\n`,
    `X-Forwarded-Host: ${FORGED}\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n`,
    `X-Forwarded-Prefix: /${FORGED}\r\nX-Script-Name: /${FORGED}\r\n`,
    `Forwarded: host=${FORGED};proto=https;for=192.0.2.1\r\n`,
    `X-Original-URL: /${FORGED}\r\nX-Rewrite-URL: /${FORGED}\r\n`,
    `X-Host: ${FORGED}\r\nX-HTTP-Host-Override: ${FORGED}\r\nX-Forwarded-Server: ${FORGED}\r\n`,
    `Origin: https://${FORGED}\r\nReferer: https://${FORGED}/\r\n`,
  ];

  test('T38 whatever a header says of hosts, discovery, redirects, cookies and pages are the same', async () => {
    const { url } = authorization(server.url, 'web-basic', callback.url);
    for (const headers of forwarded) {
      const about = await one(get(DISCOVERY, { headers }));
      assert.equal(about.status, 200);
      assert.ok(!about.body.includes(FORGED) && !about.body.includes('https:'), `${headers}${about.body}`);
      assert.equal(JSON.parse(about.body).issuer, server.url);
      for (const target of [`${url.pathname}${url.search}`, '/oauth/authorize', '/sign-in', '/sign-out', '/']) {
        const { status, lines, body } = await one(get(target, { headers }));
        assert.ok([200, 303, 400, 401].includes(status), `${status} ${target}`);
        assert.ok(!`${lines.join('\n')}\n${body}`.includes(FORGED), `${target} repeats ${headers}`);
        const cookies = lines.filter((line) => /^set-cookie:/i.test(line));
        assert.ok(cookies.every((cookie) => !/domain=/i.test(cookie) && !/secure/i.test(cookie)), cookies.join('\n'));
      }
    }
  });

  test('T38 a host that is not ours is 421', async () => {
    const port = server.port;
    const hosts = [
      FORGED,
      `${FORGED}:${port}`,
      '127.0.0.1',
      '127.0.0.1:1',
      `127.0.0.1:${port}.${FORGED}`,
      `${FORGED}@127.0.0.1:${port}x`,
      `127.0.0.1.:${port}`,
      `localhost:${port}`,
      `2130706433:${port}`,
      `[::ffff:127.0.0.1]:${port}`,
    ];
    for (const host of hosts) {
      for (const target of [DISCOVERY, '/sign-in', '/oauth/authorize?client_id=web-basic']) {
        const { status, headers, body } = await one(get(target, { host }));
        assert.ok([400, 421].includes(status), `${status} for ${host}`);
        assert.equal(headers.get('location'), null);
        assert.ok(!body.includes(FORGED), body);
      }
    }
  });

  test('T38 an absolute target and the Host header cannot disagree to any use', async () => {
    const own = `127.0.0.1:${server.port}`;
    const table = [
      // target, Host, statuses
      [`http://${own}${DISCOVERY}`, own, [200]],
      [`http://${FORGED}${DISCOVERY}`, own, [400, 421]],
      // RFC 9112, 3.2.2: the target counts, and Host is ignored.
      [`http://${own}${DISCOVERY}`, FORGED, [200, 400, 421]],
      [`http://user@${own}${DISCOVERY}`, own, [400, 421]],
      [`http://${own}@${FORGED}${DISCOVERY}`, own, [400, 421]],
      [`//${FORGED}${DISCOVERY}`, own, [400, 404, 421]],
      [`${FORGED}:443`, own, [400, 404, 421]],
    ];
    for (const [target, host, statuses] of table) {
      const { status, lines, body } = await one(get(target, { host }));
      assert.ok(statuses.includes(status), `${status} for ${target} at ${host}`);
      assert.ok(!`${lines.join('\n')}\n${body}`.includes(FORGED), target);
      if (status === 200) {
        assert.equal(JSON.parse(body).issuer, server.url);
      }
    }
  });

  test('T38 two hosts, none, and an empty one are refused', async () => {
    const own = `127.0.0.1:${server.port}`;
    const heads = [
      `GET ${DISCOVERY} HTTP/1.1\r\nHost: ${own}\r\nHost: ${FORGED}\r\n`,
      `GET ${DISCOVERY} HTTP/1.1\r\nHost: ${FORGED}\r\nHost: ${own}\r\n`,
      `GET ${DISCOVERY} HTTP/1.1\r\nHost: ${own}\r\nHost: ${own}\r\n`,
      `GET ${DISCOVERY} HTTP/1.1\r\nHost: ${own}, ${FORGED}\r\n`,
      `GET ${DISCOVERY} HTTP/1.1\r\nHost: ${own}/${FORGED}\r\n`,
      `GET ${DISCOVERY} HTTP/1.1\r\nHost:\r\n`,
      `GET ${DISCOVERY} HTTP/1.1\r\n`,
      `GET ${DISCOVERY} HTTP/1.0\r\n`,
      `GET ${DISCOVERY} HTTP/1.0\r\nHost: ${FORGED}\r\n`,
    ];
    for (const head of heads) {
      const { status, body } = await one(`${head}Connection: close\r\n\r\n`);
      assert.ok([400, 421].includes(status), `${status} for ${head}`);
      assert.ok(!body.includes(FORGED) && !body.includes('issuer'), body);
    }
    const old = await one(`GET ${DISCOVERY} HTTP/1.0\r\nHost: ${own}\r\n\r\n`);
    assert.equal(JSON.parse(old.body).issuer, server.url);
  });

  test('T38 over TLS, in HTTP/1.1 and in HTTP/2, whatever :authority, host and SNI say', async () => {
    const own = new URL(secure.url).host;
    const plain = await one(get(DISCOVERY, { host: own, headers: `X-Forwarded-Host: ${FORGED}\r\n` }), { tls: true });
    assert.equal(JSON.parse(plain.body).issuer, secure.url);
    assert.ok([400, 421].includes((await one(get(DISCOVERY, { host: FORGED }), { tls: true })).status));

    const session = connectHttp2(secure.url, { ca: secure.certificate, servername: 'localhost', lookup: toLoopback });
    const table = [
      [{ ':authority': own }, [200]],
      [{ ':authority': own, 'x-forwarded-host': FORGED, forwarded: `host=${FORGED}` }, [200]],
      [{ ':authority': own.toUpperCase() }, [200]],
      [{ ':authority': FORGED }, [400, 421]],
      [{ ':authority': `${FORGED}@${own}` }, [400, 421]],
      [{ ':authority': FORGED, host: own }, [400, 421]],
      // A second reader may believe the other of the two.
      [{ ':authority': own, host: FORGED }, [200, 400, 421]],
      [{ ':authority': '', host: FORGED }, [400, 421]],
      [{ ':authority': own, ':path': `${DISCOVERY}#@${FORGED}` }, [200, 400, 404]],
      [{ ':authority': own, ':path': `//${FORGED}/` }, [400, 404]],
      [{ ':authority': own, ':scheme': 'http' }, [200, 400]],
    ];
    for (const [headers, statuses] of table) {
      const { status, text } = await ask2(session, { ':path': DISCOVERY, ...headers });
      assert.ok(statuses.includes(status), `${status} for ${JSON.stringify(headers)}`);
      assert.ok(!text.includes(FORGED), text);
      if (status === 200) {
        assert.equal(JSON.parse(text).issuer, secure.url);
      }
    }
    session.close();
  });

  test('T38 over https every cookie is Secure, host-bound, and out of reach of scripts', async () => {
    const { url } = authorization(secure.url, 'web-basic', callback.url);
    const { lines } = await one(get(`${url.pathname}${url.search}`, { host: url.host }), { tls: true });
    const cookies = lines.filter((line) => /^set-cookie:/i.test(line));
    assert.ok(cookies.length > 0, lines.join('\n'));
    for (const cookie of cookies) {
      assert.match(cookie, /^set-cookie: __Host-[^;]+;/i);
      for (const attribute of [/; Path=\/(;|$)/i, /; Secure(;|$)/i, /; HttpOnly(;|$)/i, /; SameSite=Lax(;|$)/i]) {
        assert.match(cookie, attribute);
      }
      assert.doesNotMatch(cookie, /; Domain=/i);
    }
  });
});

const toLoopback = (_, options, done) => (options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4));

function ask2(session, headers) {
  return new Promise((resolve) => {
    const stream = session.request({ ':method': 'GET', ...headers });
    let status = 400;
    let text = '';
    stream.setEncoding('utf8');
    stream.on('response', (answer) => (status = answer[':status']));
    stream.on('data', (part) => (text += part));
    // A malformed request is a stream error (RFC 9113, 8.1.1): as good as 400.
    stream.on('error', () => resolve({ status: 400, text: '' }));
    stream.on('close', () => resolve({ status, text }));
  });
}

describe('T53 no answer has a header that the request wrote', () => {
  const injections = [
    '%0d%0aInjected:%20yes',
    '%0aInjected:%20yes',
    '%0dInjected:%20yes',
    '%0d%0a%0d%0a<script>alert(1)</script>',
    '%E5%98%8A%E5%98%8DInjected:%20yes',
    '%E2%80%A8Injected:%20yes',
    '%00%0d%0aInjected:%20yes',
    '%0d%0a%20Injected:%20yes',
  ];
  const clean = ({ status, lines, headers }, title) => {
    assert.ok(status < 500, `${status} for ${title}`);
    assert.ok(!lines.some((line) => /^\s*injected\s*:/i.test(line) || /[\r\n\0]/.test(line)), `${title}\n${lines.join('\n')}`);
    assert.equal(headers.get('injected'), null, title);
    // Nor a continuation of the line before.
    assert.ok(lines.every((line) => /^[\w-]+:/.test(line)), `${title}\n${lines.join('\n')}`);
  };

  test('T53 in every parameter that comes back in a redirect', async () => {
    const { url } = authorization(server.url, 'web-basic', callback.url);
    const names = ['state', 'redirect_uri', 'scope', 'response_type', 'response_mode', 'prompt', 'nonce', 'login_hint', 'client_id', 'code_challenge'];
    for (const name of names) {
      for (const injection of injections) {
        const query = `${url.search.replace(new RegExp(`([?&])${name}=[^&]*`), '$1')}&${name}=${injection}`;
        for (const target of [`/oauth/authorize${query}&prompt=none`, `/api/id/v1/auth/authorize${query}`]) {
          const answer = await one(get(target));
          clean(answer, target);
          const location = answer.headers.get('location');
          if (location?.startsWith(callback.origin)) {
            assert.match(location, /^[\x21-\x7e]+$/, target);
            assert.equal(new URL(location).pathname, '/callback');
          }
        }
      }
    }
  });

  test('T53 in the way back from sign-out, and in paths', async () => {
    const bye = encodeURIComponent(new URL('/bye', callback.url).href);
    for (const injection of injections) {
      for (const target of [
        `/oauth/logout?client_id=web-basic&post_logout_redirect_uri=${bye}&state=${injection}`,
        `/oauth/logout?post_logout_redirect_uri=${bye}${injection}`,
        `/${injection}`,
        `/t/${injection}/sign-in`,
        `/t/default${injection}`,
        `/assets/${injection}`,
        `/oauth/authorize/${injection}`,
        `/setup/${injection}`,
        `/sign-in?request=${injection}`,
      ]) {
        clean(await one(get(target)), target);
      }
    }
  });

  test('T53 bytes that end lines elsewhere are refused in the head of a request', async () => {
    const own = `127.0.0.1:${server.port}`;
    const heads = [
      `GET /sign-in\r\nInjected: yes HTTP/1.1\r\nHost: ${own}\r\n`,
      `GET /sign-in?a=\n HTTP/1.1\r\nHost: ${own}\r\n`,
      `GET /sign-in?a=\0 HTTP/1.1\r\nHost: ${own}\r\n`,
      `GET /sign-in?a=b c HTTP/1.1\r\nHost: ${own}\r\n`,
      `GET /sign-in HTTP/1.1\r\nHost: ${own}\r\nAccept-Language: a\rInjected: yes\r\n`,
      `GET /sign-in HTTP/1.1\r\nHost: ${own}\r\nAccept-Language: a\0b\r\n`,
      `GET /sign-in HTTP/1.1\r\nHost: ${own}\r\n Injected: folded\r\n`,
      `GET /sign-in HTTP/1.1\r\nHost: ${own}\r\nAccept-Language: a\r\n b\r\n`,
      `GET /sign-in HTTP/1.1\r\nHost : ${own}\r\n`,
      `GET /sign-in HTTP/1.1\r\nHost: ${own}\r\nIn jected: yes\r\n`,
      `GET /sign-in HTTP/1.1\r\nHost: ${own}\r\n: nameless\r\n`,
    ];
    for (const head of heads) {
      const answer = await one(`${head}Connection: close\r\n\r\n`);
      assert.equal(answer.status, 400, JSON.stringify(head));
      clean(answer, head);
    }
  });
});

describe('T54 one request is one request', () => {
  // What a careless reader would take for the next request, and answer with the discovery document.
  const second = () => `GET ${DISCOVERY} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`;
  const post = (headers, body, method = 'POST') =>
    `${method} /oauth/token HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nContent-Type: application/x-www-form-urlencoded\r\n${headers}\r\n${body}`;
  const chunked = 'Transfer-Encoding: chunked\r\n';

  const refuses = async (bytes, title) => {
    const received = await exchange(bytes);
    const all = answers(received);
    assert.ok(!received.includes('"issuer"'), `${title}: the second request was answered\n${received}`);
    assert.equal(all.length, 1, `${title}: ${all.length} answers\n${received}`);
    assert.equal(all[0].status, 400, `${title}: ${received}`);
  };

  test('T54 two lengths, or one that is none: 400, and the connection ends', async () => {
    const lengths = [
      'Content-Length: 0\r\nContent-Length: 5\r\n',
      'Content-Length: 5\r\nContent-Length: 0\r\n',
      'Content-Length: 0, 5\r\n',
      'Content-Length: +0\r\n',
      'Content-Length: -1\r\n',
      'Content-Length: 0x0\r\n',
      'Content-Length: 0 0\r\n',
      'Content-Length: 18446744073709551616\r\n',
      'Content-Length: \r\n',
      'Content-Length: zero\r\n',
      'Content-Length : 0\r\n',
    ];
    for (const headers of lengths) {
      await refuses(post(headers, second()), headers);
    }
  });

  test('T54 encodings that only some understand: 400, and the connection ends', async () => {
    const encodings = [
      'Transfer-Encoding: chunked, identity\r\n',
      'Transfer-Encoding: identity, chunked, identity\r\n',
      'Transfer-Encoding: xchunked\r\n',
      'Transfer-Encoding: identity\r\n',
      'Transfer-Encoding : chunked\r\n',
      'Transfer-Encoding: chunked\r\n , identity\r\n',
      'Transfer-Encoding: \x0bchunked\r\n',
      'Transfer-Encoding: "chunked"\r\n',
    ];
    for (const headers of encodings) {
      await refuses(post(headers, `0\r\n\r\n${second()}`), JSON.stringify(headers));
    }
  });

  test('T54 chunks that only some can read: one refusal, and the connection ends', async () => {
    const bodies = [
      `0x0\r\n\r\n${second()}`,
      `-0\r\n\r\n${second()}`,
      ` \r\n\r\n${second()}`,
      `fffffffffffffffff\r\n\r\n${second()}`,
      `1\r\naX0\r\n\r\n${second()}`,
      `1\ra0\r\n\r\n${second()}`,
      `0\n\n${second()}`,
      `0;a\nb\r\n\r\n${second()}`,
      `0\r\nBad Trailer: x\r\n\r\n${second()}`,
    ];
    for (const body of bodies) {
      const received = await exchange(post(chunked, body));
      assert.ok(!received.includes('"issuer"'), `${JSON.stringify(body)}: the second request was answered`);
      assert.ok((received.match(/HTTP\/1\.1 /g) ?? []).length <= 1, received);
    }
  });

  test('T54 a length beside chunks, and chunks at all, are the last of a connection', async () => {
    const headers = [
      `Content-Length: 4\r\n${chunked}`,
      `${chunked}Content-Length: 4\r\n`,
      `${chunked}Content-Length: 4\r\nContent-Length: 5\r\n`,
      `Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n`,
      'transfer-encoding: CHUNKED\r\n',
      chunked,
    ];
    for (const each of headers) {
      const all = answers(await exchange(post(each, `0\r\n\r\n${second()}`)));
      assert.equal(all.length, 1, `${all.length} answers to ${each}`);
      assert.ok([400, 401, 413].includes(all[0].status), `${all[0].status} for ${each}`);
      assert.ok(!all[0].body.includes('issuer'));
    }
  });

  test('T54 a body where none belongs is no request', async () => {
    const own = `127.0.0.1:${server.port}`;
    const body = second();
    const first = `GET /healthz HTTP/1.1\r\nHost: ${own}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
    assert.equal((await one(first)).body, 'ok\n');
    // Told too short, what is left over is no request: it ends the connection, after the answer to a form that says nothing.
    const short = post('Content-Length: 2\r\n', 'ab\x01\x02\r\n\r\n');
    assert.deepEqual(answers(await exchange(short)).map(({ status }) => status), [401, 400]);
  });

  test('T54 lines that end with a line feed alone do not hide a request', async () => {
    const own = `127.0.0.1:${server.port}`;
    const heads = [
      `GET /healthz HTTP/1.1\nHost: ${own}\nContent-Length: 0\nContent-Length: 5\n\n`,
      `GET /healthz HTTP/1.1\r\nHost: ${own}\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n`,
      `GET /healthz HTTP/1.1\r\nHost: ${own}\r\nX: a\n\rTransfer-Encoding: chunked\r\n\r\n`,
    ];
    for (const head of heads) {
      await refuses(head + second(), JSON.stringify(head));
    }
  });

  test('T54 what is no HTTP, or another version of it, is refused and closed', async () => {
    const own = `127.0.0.1:${server.port}`;
    for (const bytes of [
      `GET ${DISCOVERY} HTTP/0.9\r\nHost: ${own}\r\n\r\n`,
      `GET ${DISCOVERY} HTTP/2.0\r\nHost: ${own}\r\n\r\n`,
      `GET ${DISCOVERY} HTTP/1.1 HTTP/1.1\r\nHost: ${own}\r\n\r\n`,
      `GET ${DISCOVERY}\r\n\r\n`,
      `G\x00T ${DISCOVERY} HTTP/1.1\r\nHost: ${own}\r\n\r\n`,
      `\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n\r\n\r\n\r\n\r\n`,
    ]) {
      const received = await exchange(bytes);
      assert.ok(!received.includes('issuer'), JSON.stringify(bytes));
      if (received !== '') {
        assert.ok(answers(received).every(({ status }) => [400, 505].includes(status)), received);
      }
    }
  });
});
