// The strict profile (`/api/id/v1/auth/…`) and a certified client library that knows nothing of it but its addresses.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as oidc from 'openid-client';

import { Browser } from './browser.mjs';
import { startCallback, startServer } from './server.mjs';

const HERE = '/api/id/v1/auth';
const SEVEN = ['redirect_uri', 'response_type', 'client_id', 'scope', 'state', 'code_challenge', 'code_challenge_method'];

let callback;
let server;

before(async () => {
  callback = await startCallback();
  server = await startServer({ callback: callback.url });
});

after(async () => {
  await callback?.stop();
  await server?.stop();
});

/** What the vendor's page says, and nothing from discovery. */
function connect(clientId) {
  const { issuer, clients } = server.tenants.default;
  const client = clients[clientId];
  const metadata = {
    issuer,
    authorization_endpoint: `${issuer}${HERE}/authorize`,
    token_endpoint: `${issuer}${HERE}/token`,
    userinfo_endpoint: `${issuer}${HERE}/userinfo`,
    revocation_endpoint: `${issuer}${HERE}/revoke`,
    end_session_endpoint: `${issuer}${HERE}/logout`,
  };
  const authentication = client.client_secret ? oidc.ClientSecretBasic(client.client_secret) : oidc.None();
  const config = new oidc.Configuration(metadata, clientId, undefined, authentication);
  oidc.allowInsecureRequests(config);
  return { config, client };
}

async function ask(config, scope) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
  const expectedState = oidc.randomState();
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: callback.url,
    scope,
    state: expectedState,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  });
  return { url, checks: { pkceCodeVerifier, expectedState } };
}

/** The answer to one request, followed nowhere. */
const look = (url) =>
  fetch(url, { redirect: 'manual', headers: { accept: 'text/html,*/*;q=0.8', 'sec-fetch-dest': 'document' } });

const press = (browser, page, id) => {
  const form = page.forms.find(({ buttons }) => buttons.some((button) => button.id === id));
  assert.ok(form, `no ${id} at ${page.url} (${page.status})`);
  return browser.submit(form, {}, form.buttons.find((button) => button.id === id));
};

async function walk(clientId, scope) {
  const { config, client } = connect(clientId);
  const { user } = server.tenants.default;
  const browser = new Browser(server.url);
  const { url, checks } = await ask(config, scope);
  const first = await look(url);
  assert.equal(first.status, 302);
  assert.match(first.headers.get('location'), /^\/sign-in\?request=/);

  const left = await browser.authorize(url, user);
  assert.deepEqual([...left.url.searchParams.keys()].toSorted(), ['code', 'iss', 'state']);
  const tokens = await oidc.authorizationCodeGrant(config, left.url, checks);
  assert.equal(tokens.token_type, 'bearer');
  assert.equal(tokens.id_token, undefined);
  const person = await oidc.fetchUserInfo(config, tokens.access_token, oidc.skipSubjectCheck);
  assert.equal(person.email, user.email);
  assert.equal(person.name, user.name);

  let { access_token: accessToken } = tokens;
  if (client.client_secret) {
    const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
    accessToken = refreshed.access_token;
    assert.equal((await oidc.fetchUserInfo(config, accessToken, person.sub)).sub, person.sub);
    await oidc.tokenRevocation(config, refreshed.refresh_token ?? tokens.refresh_token);
    await assert.rejects(oidc.refreshTokenGrant(config, refreshed.refresh_token ?? tokens.refresh_token), {
      error: 'invalid_grant',
    });
  } else {
    assert.equal(tokens.refresh_token, undefined);
    await oidc.tokenRevocation(config, accessToken);
  }
  await assert.rejects(oidc.fetchUserInfo(config, accessToken, oidc.skipSubjectCheck));
  await assert.rejects(oidc.authorizationCodeGrant(config, left.url, checks), { error: 'invalid_grant' });

  const bye = new URL('/bye', callback.url).href;
  const leave = oidc.buildEndSessionUrl(config, { post_logout_redirect_uri: bye, state: 'so long' });
  const gone = await press(browser, await browser.visit(leave), 'logout-confirm');
  assert.equal(gone.left.url.href, `${bye}?state=so+long`);
  const again = await browser.visit((await ask(config, scope)).url);
  assert.equal(again.url.pathname, '/sign-in');
}

describe('seed_003 the strict profile with a stock client', () => {
  test('seed_003 without a secret: authorize, token, user info, revoke, logout', () => walk('field-app', 'profile email reports.read'));

  test('seed_003 with a secret, and a refresh', () => walk('field-web', 'profile email offline_access'));

  test('seed_003 the person refuses: access_denied comes back by a redirect', async () => {
    const { config } = connect('field-app');
    const { url, checks } = await ask(config, 'profile');
    const browser = new Browser(server.url);
    const page = await browser.visit(url);
    const consent = await browser.submit(page.forms[0], server.tenants.default.user);
    const { left } = await press(browser, consent, 'consent-deny');
    await assert.rejects(oidc.authorizationCodeGrant(config, left.url, checks), { error: 'access_denied' });
  });

  for (const clientId of ['field-app', 'field-web']) {
    for (const name of SEVEN) {
      test(`seed_003 without ${name}: ${clientId} gets nothing`, async () => {
        for (const change of ['delete', 'empty', 'twice']) {
          const { url, checks } = await ask(connect(clientId).config, 'profile');
          const value = url.searchParams.get(name);
          url.searchParams.delete(name);
          if (change === 'empty') {
            url.searchParams.set(name, '');
          } else if (change === 'twice') {
            url.searchParams.append(name, value);
            url.searchParams.append(name, value);
          }
          const answer = await look(url);
          const location = answer.headers.get('location');
          if (name === 'client_id' || name === 'redirect_uri') {
            assert.deepEqual([answer.status, location], [400, null], change);
            assert.match(answer.headers.get('content-type'), /^text\/html/);
            continue;
          }
          assert.equal(answer.status, 302, change);
          const back = new URL(location);
          assert.equal(`${back.origin}${back.pathname}`, callback.url);
          const expected = name === 'scope' && change !== 'twice' ? 'invalid_scope' : 'invalid_request';
          assert.equal(back.searchParams.get('error'), expected, `${change}: ${location}`);
          assert.equal(back.searchParams.get('state'), name === 'state' ? null : checks.expectedState, change);
          assert.equal(back.searchParams.get('iss'), server.url);
          assert.equal(back.searchParams.get('code'), null);
        }
      });
    }
  }
});
