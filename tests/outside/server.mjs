// Starts the binary under test with an installation of its own: an empty database, two tenants, a client of each kind, one person.
// `VESTIBULE_BIN` names the binary. With `VESTIBULE_TEST_POSTGRES` (and `VESTIBULE_TEST_PSQL`) it keeps its records in a
// fresh PostgreSQL database, otherwise in SQLite.
//
// As a program (`node server.mjs`) it prints one line of JSON about the running server and stops it when standard input ends:
// that is how the programs in other languages use it.

import { execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { get as getSecurely } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const START_SECONDS_MAX = 60;
const STOP_SECONDS_MAX = 15;
const LOG_BYTES_MAX = 200_000;

export const ALL_SCOPES =
  'openid profile email offline_access reports.read public_metadata private_metadata';

const secret = () => randomBytes(24).toString('base64url');

/** Everything that the installation holds, made anew for each server. `callback` is the redirect URI of every client. */
export function installation(callback) {
  const web = {
    redirect_uris: [callback],
    post_logout_redirect_uris: [new URL('/bye', callback).href],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    scope: ALL_SCOPES,
  };
  const basic = {
    client_id: 'web-basic',
    client_secret: secret(),
    client_name: 'Acme Web',
    ...web,
    token_endpoint_auth_method: 'client_secret_basic',
  };
  const odd = {
    ...basic,
    client_id: 'web-odd',
    // Characters that a client form-encodes before it puts them into a header (RFC 6749, 2.3.1).
    client_secret: `+/:% ${secret()}`,
    client_name: 'Acme Odd',
  };
  const post = {
    client_id: 'web-post',
    client_secret: secret(),
    client_name: 'Acme Reports',
    ...web,
    token_endpoint_auth_method: 'client_secret_post',
  };
  const open = {
    client_id: 'browser-app',
    client_name: 'Acme Notes',
    redirect_uris: [callback],
    post_logout_redirect_uris: web.post_logout_redirect_uris,
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    scope: 'openid profile email offline_access reports.read',
    allowed_origins: [new URL(callback).origin],
  };
  const strict = {
    client_id: 'field-app',
    client_name: 'Acme Field',
    redirect_uris: [callback],
    post_logout_redirect_uris: web.post_logout_redirect_uris,
    token_endpoint_auth_method: 'none',
    scope: 'profile email reports.read',
    profile: 'strict',
  };
  const strictWeb = {
    ...strict,
    client_id: 'field-web',
    client_secret: secret(),
    client_name: 'Acme Field Office',
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'client_secret_basic',
    scope: `${strict.scope} offline_access`,
  };
  const ada = {
    username: 'ada',
    password: `ada ${secret()}`,
    email: 'ada@acme.test',
    email_verified: true,
    name: 'Ada Lovelace',
    given_name: 'Ada',
    family_name: 'Lovelace',
    groups: ['admin'],
    public_metadata: { plan: 'pro' },
    private_metadata: { crm_id: '42' },
  };
  const reports = { name: 'reports.read', description: 'Read your reports', consent: 'ask' };
  return {
    tenant: [
      {
        slug: 'default',
        groups: ['admin'],
        name: 'Acme',
        policy: { sign_up: 'open' },
        scope: [reports],
        client: [basic, odd, post, open, strict, strictWeb],
        user: [ada],
      },
      {
        slug: 'globex',
        groups: ['admin'],
        name: 'Globex',
        policy: { sign_up: 'open' },
        scope: [reports],
        client: [{ ...basic, client_secret: secret(), client_name: 'Globex Web' }],
        user: [{ ...ada, password: `ada ${secret()}`, name: 'Ada of Globex' }],
      },
    ],
  };
}

function withoutOurs(environment) {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('VESTIBULE_')));
}

/** The binary under test. */
export function binary() {
  const named = process.env.VESTIBULE_BIN;
  if (!named) {
    throw new Error('VESTIBULE_BIN must name the binary under test');
  }
  return named;
}

/** A process of the binary, whose words are kept. The server refuses variables that it does not know: the test runner's own stay here. */
export function run(argumentList, options = {}) {
  const child = spawn(binary(), argumentList, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: withoutOurs(process.env),
    ...options,
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      log = (log + text).slice(-LOG_BYTES_MAX);
    });
  }
  const ended = new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', (error) => resolve({ code: null, signal: String(error) }));
  });
  return { child, ended, log: () => log };
}

/** Tells a process to stop, and holds it to stopping well. */
export async function stopWell({ child, ended, log }) {
  child.kill('SIGTERM');
  const end = await Promise.race([ended, sleep(STOP_SECONDS_MAX * 1000, null, { ref: false })]);
  if (end === null) {
    child.kill('SIGKILL');
    await ended;
    throw new Error(`the server did not stop within ${STOP_SECONDS_MAX} s\n${log()}`);
  }
  if (end.code !== 0) {
    throw new Error(`the server ended with ${JSON.stringify(end)}\n${log()}`);
  }
  if (log().includes('panicked at')) {
    throw new Error(`the server panicked\n${log()}`);
  }
}

/**
 * Starts a server whose clients return to `callback`, and answers when it is ready. With `tls` it makes a certificate for
 * `localhost` and speaks https there; with `port` its address is known before. The answer can be killed and started again on the same
 * records, and on PostgreSQL joined by further processes on them.
 */
export async function startServer({ callback, file = installation(callback), flags = [], tls = false, port }) {
  port ??= await freePort();
  const listen = `127.0.0.1:${port}`;
  const url = tls ? `https://localhost:${port}` : `http://${listen}`;
  const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const folder = mkdtempSync(path.join(memory, 'vestibule-outside-'));
  const data = path.join(folder, 'data');
  const apply = path.join(folder, 'installation.toml');
  writeFileSync(apply, toml(file), { mode: 0o600 });
  const database = freshDatabase();
  const records = database ? ['--database', database] : [];
  const certificate = tls ? makeCertificate(folder) : null;
  const common = ['--public-url', url, ...records, ...(certificate?.flags ?? []), ...flags];

  const begin = async (listen, own) => {
    const one = run(['serve', '--listen', listen, ...common, ...own]);
    try {
      await ready(`${tls ? 'https' : 'http'}://${listen}`, one.ended);
    } catch (error) {
      one.child.kill('SIGKILL');
      throw new Error(`${error.message}\n${one.log()}`);
    }
    return one;
  };
  const start = () => begin(listen, ['--data', data, '--apply', apply]);
  const clean = () => rmSync(folder, { recursive: true, force: true });

  const others = [];
  let main;
  try {
    main = await start();
  } catch (error) {
    clean();
    throw error;
  }
  const tenants = Object.fromEntries(
    file.tenant.map((tenant) => [
      tenant.slug,
      {
        issuer: tenant.slug === 'default' ? url : `${url}/t/${tenant.slug}`,
        clients: Object.fromEntries((tenant.client ?? []).map((client) => [client.client_id, client])),
        user: tenant.user?.[0],
      },
    ]),
  );
  return {
    url,
    port,
    tenants,
    data,
    database,
    certificate: certificate?.text,
    log: () => main.log(),
    pid: () => main.child.pid,
    /** As a power cut would end it: nothing is finished, nothing is closed. */
    kill: async () => {
      main.child.kill('SIGKILL');
      await main.ended;
    },
    restart: async () => {
      main = await start();
    },
    /** One more process on the same records; answers with its port. */
    join: async () => {
      const port = await freePort();
      const own = ['--data', path.join(folder, `data-${port}`), '--key-file', path.join(data, 'vestibule.key')];
      others.push(await begin(`127.0.0.1:${port}`, own));
      return port;
    },
    /** A command of the binary about these records; answers with its exit code and its words. */
    command: async (...words) => {
      const one = run([...words, '--data', data, ...records]);
      const { code } = await one.ended;
      return { code, said: one.log() };
    },
    stop: async () => {
      try {
        await Promise.all([main, ...others].map(stopWell));
      } finally {
        clean();
      }
    },
  };
}

/** A certificate for `localhost` that nobody has signed, and the flags that name it. */
function makeCertificate(folder) {
  const [certificate, key] = ['certificate.pem', 'key.pem'].map((name) => path.join(folder, name));
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
      ...['-keyout', key, '-out', certificate],
    ],
    { stdio: 'ignore' },
  );
  return {
    flags: ['--tls-certificate', certificate, '--tls-key', key],
    text: readFileSync(certificate, 'utf8'),
  };
}

/**
 * A client's side of the redirect: remembers what arrives, and shows a page that is plainly not ours. What is put into `pages`, by
 * path, it shows there; `asked` has the path of every request.
 */
export async function startCallback() {
  const arrivals = [];
  const asked = [];
  const pages = new Map();
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text) => (body += text));
    request.on('end', () => {
      const { pathname } = new URL(request.url, 'http://127.0.0.1');
      asked.push(pathname);
      if (pathname === '/callback' || pathname === '/bye') {
        arrivals.push({ method: request.method, url: new URL(request.url, origin), body });
      }
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end(
        pages.get(pathname) ??
          '<!doctype html><html lang="en"><title>Client</title><link rel="icon" href="data:,"><h1>Back at the client</h1>',
      );
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  return {
    origin,
    url: `${origin}/callback`,
    arrivals,
    asked,
    pages,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  };
}

/** Prints a value as TOML. The strings of JSON are strings of TOML. */
export function toml(value, prefix = '') {
  const plain = [];
  const nested = [];
  for (const [key, field] of Object.entries(value)) {
    const name = prefix ? `${prefix}.${key}` : key;
    if (Array.isArray(field) && typeof field[0] === 'object') {
      nested.push(...field.map((item) => `\n[[${name}]]\n${toml(item, name)}`));
    } else if (field !== null && typeof field === 'object' && !Array.isArray(field)) {
      nested.push(`\n[${name}]\n${toml(field, name)}`);
    } else {
      plain.push(`${key} = ${JSON.stringify(field)}\n`);
    }
  }
  return plain.join('') + nested.join('');
}

/**
 * A port that nobody listens on, from below the range out of which systems take ports of their own accord: nobody takes it by
 * accident before the server does, or while a killed server is away.
 */
export async function freePort() {
  for (;;) {
    const port = randomInt(20_000, 32_000);
    const probe = createServer();
    const isFree = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (isFree) {
      await new Promise((resolve) => probe.close(resolve));
      return port;
    }
  }
}

function freshDatabase() {
  const server = process.env.VESTIBULE_TEST_POSTGRES;
  if (!server) {
    return null;
  }
  const name = `outside_${randomBytes(8).toString('hex')}`;
  const psql = process.env.VESTIBULE_TEST_PSQL ?? 'psql';
  execFileSync(psql, ['--no-psqlrc', '--quiet', '--command', `CREATE DATABASE ${name}`, server]);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

async function ready(url, ended) {
  const deadline = Date.now() + START_SECONDS_MAX * 1000;
  let end = null;
  ended.then((how) => (end = how));
  while (Date.now() < deadline) {
    if (end) {
      throw new Error(`the server ended before it was ready: ${JSON.stringify(end)}`);
    }
    if ((await status(`${url}/readyz`)) === 200) {
      return;
    }
    await sleep(25);
  }
  throw new Error(`the server was not ready within ${START_SECONDS_MAX} s`);
}

function status(url) {
  return new Promise((resolve) => {
    const ask = url.startsWith('https:') ? getSecurely : get;
    ask(url, { agent: false, timeout: 2000, rejectUnauthorized: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('timeout', function () {
        this.destroy();
      })
      .on('error', () => resolve(null));
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const callback = await startCallback();
  const server = await startServer({ callback: callback.url });
  process.stdout.write(
    `${JSON.stringify({ url: server.url, callback: callback.url, tenants: server.tenants })}\n`,
  );
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once('end', resolve).once('close', resolve));
  await callback.stop();
  await server.stop();
  process.exit(0);
}
