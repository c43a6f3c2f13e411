// A certified client library, unchanged, against the server: each kind of client walks from discovery to sign-out.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as oidc from 'openid-client';

import { Browser } from './browser.mjs';
import { ALL_SCOPES, startCallback, startServer } from './server.mjs';

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

const AUTHENTICATION = {
  client_secret_basic: ({ client_secret }) => oidc.ClientSecretBasic(client_secret),
  client_secret_post: ({ client_secret }) => oidc.ClientSecretPost(client_secret),
  none: () => oidc.None(),
};

/** A client as the library sees it after discovery. */
async function connect(tenant, clientId) {
  const { issuer, clients } = server.tenants[tenant];
  const client = clients[clientId];
  const authentication = AUTHENTICATION[client.token_endpoint_auth_method](client);
  const config = await oidc.discovery(new URL(issuer), clientId, undefined, authentication, {
    execute: [oidc.allowInsecureRequests],
  });
  assert.equal(config.serverMetadata().issuer, issuer);
  return { config, client, user: server.tenants[tenant].user };
}

/** One authorization request: its URL, and the checks that belong to its answer. */
async function ask(config, parameters) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
  const expectedState = oidc.randomState();
  const expectedNonce = oidc.randomNonce();
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: callback.url,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
    ...parameters,
  });
  return { url, checks: { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true } };
}

/** What the library takes as the answer: the URL of a redirect, or the request of a posted form. */
function answer({ method, url, body }) {
  if (method === 'GET') {
    return url;
  }
  return new Request(url, {
    method,
    body,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
}

async function signIn(browser, { config, user }, parameters) {
  const { url, checks } = await ask(config, parameters);
  const left = await browser.authorize(url, user);
  assert.equal(`${left.url.origin}${left.url.pathname}`, callback.url);
  return { left, tokens: await oidc.authorizationCodeGrant(config, answer(left), checks) };
}

/** A refusal that the library reports, with the code that the server gave. */
function refuses(promise, ...codes) {
  return assert.rejects(promise, (error) => {
    assert.ok(codes.includes(error.error), `${error.error ?? error}: expected ${codes.join(' or ')}`);
    return true;
  });
}

async function signOut(browser, config, idToken) {
  const state = oidc.randomState();
  const bye = new URL('/bye', callback.url).href;
  let page = await browser.visit(
    oidc.buildEndSessionUrl(config, { id_token_hint: idToken, post_logout_redirect_uri: bye, state }),
  );
  if (!page.left) {
    const form = page.forms.find(({ buttons }) => buttons.some(({ id }) => id === 'logout-confirm'));
    assert.ok(form, `neither back at the client nor asked to confirm: ${page.status} ${page.url}\n${page.text}`);
    page = await browser.submit(form, {}, form.buttons.find(({ id }) => id === 'logout-confirm'));
  }
  assert.equal(`${page.left?.url.origin}${page.left?.url.pathname}`, bye);
  assert.equal(page.left.url.searchParams.get('state'), state);
}

/** From discovery to sign-out. What only a client with a secret can do is done when it has one. */
async function walk(tenant, clientId, scope) {
  const connection = await connect(tenant, clientId);
  const { config, client, user } = connection;
  const confidential = client.token_endpoint_auth_method !== 'none';
  const browser = new Browser(server.url);

  const { tokens, left } = await signIn(browser, connection, { scope });
  assert.equal(left.method, 'GET');
  assert.equal(left.url.searchParams.get('iss'), config.serverMetadata().issuer);
  assert.equal(tokens.token_type, 'bearer');
  assert.ok(tokens.refresh_token, 'offline_access was allowed and no refresh token came');
  const { sub } = tokens.claims();

  const person = await oidc.fetchUserInfo(config, tokens.access_token, sub);
  assert.equal(person.name, user.name);
  assert.equal(person.email, user.email);
  assert.equal(person.email_verified, true);
  assert.equal(person.preferred_username, user.username);
  if (scope.includes('public_metadata')) {
    assert.deepEqual(person.public_metadata, user.public_metadata);
    assert.deepEqual(person.private_metadata, user.private_metadata);
  }

  const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
  assert.notEqual(refreshed.access_token, tokens.access_token);
  const refreshToken = refreshed.refresh_token ?? tokens.refresh_token;
  await oidc.fetchUserInfo(config, refreshed.access_token, sub);

  if (confidential) {
    const known = await oidc.tokenIntrospection(config, refreshed.access_token);
    assert.equal(known.active, true);
    assert.equal(known.client_id, client.client_id);
    assert.equal(known.sub, sub);
  }
  await oidc.tokenRevocation(config, refreshed.access_token);
  if (confidential) {
    const gone = await oidc.tokenIntrospection(config, refreshed.access_token);
    assert.deepEqual(gone, { active: false });
  }
  await assert.rejects(oidc.fetchUserInfo(config, refreshed.access_token, sub));

  await oidc.tokenRevocation(config, refreshToken, { token_type_hint: 'refresh_token' });
  if (confidential) {
    assert.equal((await oidc.tokenIntrospection(config, refreshToken)).active, false);
  }
  await refuses(oidc.refreshTokenGrant(config, refreshToken), 'invalid_grant');

  await signOut(browser, config, tokens.id_token);
  const silent = await ask(config, { scope: 'openid', prompt: 'none' });
  const returned = await browser.visit(silent.url);
  assert.equal(returned.left?.url.searchParams.get('error'), 'login_required');
  assert.equal(returned.left.url.searchParams.get('state'), silent.checks.expectedState);
}

describe('a stock OpenID Connect client', () => {
  test('with a secret in the header walks from discovery to sign-out', () =>
    walk('default', 'web-basic', ALL_SCOPES));

  test('with a secret in the body walks from discovery to sign-out', () =>
    walk('default', 'web-post', ALL_SCOPES));

  test('without a secret walks from discovery to sign-out', () =>
    walk('default', 'browser-app', 'openid profile email offline_access reports.read'));

  test('of another tenant walks from discovery to sign-out', () =>
    walk('globex', 'web-basic', ALL_SCOPES));

  test('receives the answer as a posted form', async () => {
    const connection = await connect('default', 'web-basic');
    const { left, tokens } = await signIn(new Browser(server.url), connection, {
      scope: 'openid profile',
      response_mode: 'form_post',
    });
    assert.equal(left.method, 'POST');
    assert.equal(left.url.search, '');
    assert.ok(tokens.claims().sub);
  });

  test('is not asked for consent again for what was allowed', async () => {
    const connection = await connect('default', 'web-post');
    const browser = new Browser(server.url);
    await signIn(browser, connection, { scope: 'openid profile reports.read', prompt: 'consent' });
    const same = await ask(connection.config, { scope: 'openid profile reports.read', prompt: 'none' });
    const returned = await browser.visit(same.url);
    const tokens = await oidc.authorizationCodeGrant(connection.config, answer(returned.left), same.checks);
    assert.ok(tokens.claims().sub);
  });

  test('is told that the person refused', async () => {
    const { config, user } = await connect('default', 'browser-app');
    const browser = new Browser(server.url);
    const { url, checks } = await ask(config, { scope: 'openid profile', prompt: 'consent' });
    let page = await browser.visit(url);
    page = await browser.submit(page.forms.find(({ fields }) => fields.some(([name]) => name === 'username')), user);
    const form = page.forms.find(({ buttons }) => buttons.some(({ id }) => id === 'consent-deny'));
    assert.ok(form, `no consent page: ${page.status} ${page.url}`);
    const { left } = await browser.submit(form, {}, form.buttons.find(({ id }) => id === 'consent-deny'));
    await refuses(oidc.authorizationCodeGrant(config, left.url, checks), 'access_denied');
  });
});

describe('a machine', () => {
  for (const clientId of ['web-basic', 'web-post', 'web-odd']) {
    test(`gets a token for itself: ${clientId}`, async () => {
      const { config } = await connect('default', clientId);
      const tokens = await oidc.clientCredentialsGrant(config, { scope: 'reports.read' });
        assert.equal(tokens.id_token, undefined);
      const known = await oidc.tokenIntrospection(config, tokens.access_token);
      assert.equal(known.active, true);
      assert.equal(known.scope, 'reports.read');
    });
  }

  test('without a secret gets none', async () => {
    const { config } = await connect('default', 'browser-app');
    await refuses(
      oidc.clientCredentialsGrant(config, { scope: 'reports.read' }),
      'unauthorized_client',
      'invalid_client',
    );
  });
});

describe('what must fail', () => {
  test('a code with another verifier', async () => {
    const { config, user } = await connect('default', 'browser-app');
    const { url, checks } = await ask(config, { scope: 'openid' });
    const left = await new Browser(server.url).authorize(url, user);
    const stolen = { ...checks, pkceCodeVerifier: oidc.randomPKCECodeVerifier() };
    await refuses(oidc.authorizationCodeGrant(config, left.url, stolen), 'invalid_grant');
  });

  test('a code a second time, and then what the first time gave', async () => {
    const connection = await connect('default', 'web-basic');
    const { config, user } = connection;
    const { url, checks } = await ask(config, { scope: 'openid offline_access' });
    const left = await new Browser(server.url).authorize(url, user);
    const tokens = await oidc.authorizationCodeGrant(config, left.url, checks);
    await refuses(oidc.authorizationCodeGrant(config, left.url, checks), 'invalid_grant');
    assert.equal((await oidc.tokenIntrospection(config, tokens.access_token)).active, false);
    await refuses(oidc.refreshTokenGrant(config, tokens.refresh_token), 'invalid_grant');
  });

  test("a secret that is another tenant's", async () => {
    const { issuer } = server.tenants.globex;
    const { client_secret: secret } = server.tenants.default.clients['web-basic'];
    const config = await oidc.discovery(new URL(issuer), 'web-basic', undefined, oidc.ClientSecretBasic(secret), {
      execute: [oidc.allowInsecureRequests],
    });
    await assert.rejects(oidc.clientCredentialsGrant(config, { scope: 'reports.read' }), (error) => {
      assert.equal(error.status ?? error.response?.status, 401);
      return true;
    });
  });

  test("an access token at another tenant's user info", async () => {
    const { tokens } = await signIn(new Browser(server.url), await connect('default', 'web-basic'), { scope: 'openid' });
    const { config } = await connect('globex', 'web-basic');
    await assert.rejects(oidc.fetchUserInfo(config, tokens.access_token, oidc.skipSubjectCheck));
  });

  test('an unregistered redirect URI: a page, never a redirect', async () => {
    const { config } = await connect('default', 'web-basic');
    const { url } = await ask(config, { scope: 'openid', redirect_uri: `${callback.url}/other` });
    const page = await new Browser(server.url).visit(url);
    assert.equal(page.left, undefined);
    assert.ok([400, 401].includes(page.status), `${page.status}`);
  });
});
