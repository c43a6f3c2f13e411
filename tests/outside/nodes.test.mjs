// Several processes on one database (one process on SQLite, which knows no other): what may happen once happens once, whoever is asked.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Browser } from './browser.mjs';
import { authorization } from './chromium.mjs';
import { basic, sendForm } from './exchange.mjs';
import { startCallback, startServer } from './server.mjs';

const AT_ONCE = 100;
const ROUNDS = 3;

let callback;
let server;
let ports;

before(async () => {
  callback = await startCallback();
  server = await startServer({ callback: callback.url });
  ports = [server.port];
  if (server.database) {
    ports.push(await server.join());
  }
});

after(async () => {
  await callback?.stop();
  await server?.stop();
});

const client = (id) => server.tenants.default.clients[id];

/** What a client sends to redeem a code that a person has just got for it. */
async function code(clientId) {
  const { issuer, user } = server.tenants.default;
  const scope = 'openid profile offline_access';
  const { url, verifier } = authorization(issuer, clientId, callback.url, { scope });
  const left = await new Browser(server.url).authorize(url, user);
  return {
    grant_type: 'authorization_code',
    code: left.url.searchParams.get('code'),
    redirect_uri: callback.url,
    code_verifier: verifier,
    ...(client(clientId).client_secret ? {} : { client_id: clientId }),
  };
}

const headers = (clientId) => (client(clientId).client_secret ? basic(client(clientId)) : {});
const token = (clientId, fields, index = 0) =>
  sendForm(server.url, ports[index % ports.length], '/oauth/token', fields, headers(clientId));
const storm = (clientId, fields, count = AT_ONCE) =>
  Promise.all(Array.from({ length: count }, (_, index) => token(clientId, fields, index)));
const introspect = async (text, index = 0) => {
  const port = ports[index % ports.length];
  const { status, answer } = await sendForm(server.url, port, '/oauth/introspect', { token: text }, headers('web-basic'));
  assert.equal(status, 200);
  return answer;
};

describe('T09 a code is redeemed once', () => {
  for (const clientId of ['web-basic', 'browser-app']) {
    test(`T09 by one of ${AT_ONCE} requests at once, and what it gave ends: ${clientId}`, async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const all = await storm(clientId, await code(clientId));
        const won = all.filter(({ status }) => status === 200);
        const lost = all.filter(({ status }) => status !== 200);
        assert.equal(won.length, 1, JSON.stringify(all.map(({ status }) => status)));
        for (const { status, answer } of lost) {
          assert.deepEqual([status, answer.error], [400, 'invalid_grant']);
        }
        // Each loser was a second use by somebody who had everything right: the family is over, at every process.
        const [{ answer: tokens }] = won;
        for (const index of ports.keys()) {
          const refreshed = await token(clientId, refreshWith(clientId, tokens.refresh_token), index);
          assert.deepEqual([refreshed.status, refreshed.answer.error], [400, 'invalid_grant']);
          if (clientId === 'web-basic') {
            assert.deepEqual(await introspect(tokens.access_token, index), { active: false });
            assert.deepEqual(await introspect(tokens.refresh_token, index), { active: false });
          }
        }
      }
    });
  }

  test('T09 T06 by nobody who has less than everything, and is then still good', async () => {
    const fields = await code('browser-app');
    const other = await code('browser-app');
    const thefts = [
      ['browser-app', { ...fields, code_verifier: other.code_verifier }],
      ['browser-app', { ...fields, redirect_uri: `${callback.url}/other` }],
      ['web-basic', { ...fields, client_id: 'web-basic' }],
      ['browser-app', { ...fields, code: `${fields.code}x` }],
    ];
    const tried = await Promise.all(
      thefts.flatMap(([clientId, stolen]) => ports.map((_, index) => token(clientId, stolen, index))),
    );
    for (const { status, answer } of tried) {
      assert.deepEqual([status, answer.error], [400, 'invalid_grant']);
    }
    assert.equal((await token('browser-app', fields)).status, 200);
  });
});

const refreshWith = (clientId, refreshToken) => ({
  grant_type: 'refresh_token',
  refresh_token: refreshToken,
  ...(client(clientId).client_secret ? {} : { client_id: clientId }),
});

describe('T15 a refresh token has one successor', () => {
  test(`T15 that ${AT_ONCE} requests at once all get`, async () => {
    const first = await token('browser-app', await code('browser-app'));
    let current = first.answer.refresh_token;
    for (let round = 0; round < ROUNDS; round += 1) {
      const all = await storm('browser-app', refreshWith('browser-app', current));
      assert.deepEqual([...new Set(all.map(({ status }) => status))], [200]);
      const successors = new Set(all.map(({ answer }) => answer.refresh_token));
      assert.equal(successors.size, 1, [...successors].join('\n'));
      assert.ok(!successors.has(current));
      [current] = successors;
    }
    // The family lives, and has one end.
    const used = await token('browser-app', refreshWith('browser-app', current), 1);
    assert.equal(used.status, 200);
  });

  test('T15 whose use makes every earlier one a theft', async () => {
    const first = await token('browser-app', await code('browser-app'));
    const old = first.answer.refresh_token;
    const second = await token('browser-app', refreshWith('browser-app', old), 0);
    const third = await token('browser-app', refreshWith('browser-app', second.answer.refresh_token), 1);
    assert.deepEqual([second.status, third.status], [200, 200]);
    const replays = await storm('browser-app', refreshWith('browser-app', old), 20);
    assert.ok(replays.every(({ status, answer }) => status === 400 && answer.error === 'invalid_grant'));
    const end = await token('browser-app', refreshWith('browser-app', third.answer.refresh_token), 0);
    assert.deepEqual([end.status, end.answer.error], [400, 'invalid_grant']);
  });
});
