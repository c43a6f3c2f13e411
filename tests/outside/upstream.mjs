// A certified OpenID provider, panva's `oidc-provider`, on a loopback port: the part that Google plays elsewhere. A page of names stands
// for its passwords, and consent is given with the choice.
//
// It remembers nobody from one request for authorization to the next, so that a test chooses anew each time.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

/** Scopes besides OpenID's: what its other services would ask for. */
export const EXTRA_SCOPES = ['calendar.read', 'drive.read'];

const ACCESS_TOKEN_SECONDS = 3600;

const escape = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.codePointAt(0)};`);

/**
 * Starts the provider. `clients` says who may send people: `{ client_id, redirect_uris, accessTokenSeconds? }`, each of which gets a
 * secret. `accounts` are the people: `sub` and the claims that are told about them. `host` is what it is called: `localhost` is another
 * site than 127.0.0.1 to a browser.
 */
export async function startUpstream({ clients, accounts, host = '127.0.0.1' }) {
  const people = new Map(accounts.map((account) => [account.sub, account]));
  const lifetimes = new Map(clients.map((client) => [client.client_id, client.accessTokenSeconds]));
  const registered = clients.map(({ client_id, redirect_uris }) => ({
    client_id,
    redirect_uris,
    client_secret: randomBytes(24).toString('base64url'),
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_post',
  }));
  // By account: what the person granted, to take it back.
  const granted = new Map();
  const refreshes = [];

  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://${host}:${server.address().port}`;

  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const provider = new Provider(issuer, {
    clients: registered,
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'picture'] },
    scopes: ['openid', 'email', 'profile', 'offline_access', ...EXTRA_SCOPES],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'upstream' }] },
    conformIdTokenClaims: false,
    cookies: {
      // Cookies know no ports: the names must not meet those of the server under test on the same host.
      names: { session: 'upstream_session', interaction: 'upstream_interaction', resume: 'upstream_resume' },
      keys: [randomBytes(16).toString('hex')],
    },
    features: { devInteractions: { enabled: false }, revocation: { enabled: true } },
    interactions: { url: (_, interaction) => `/choose/${interaction.uid}` },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
    ttl: {
      AccessToken: (_, token) => lifetimes.get(token.clientId) ?? ACCESS_TOKEN_SECONDS,
      Grant: 86_400,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 86_400,
      Session: 600,
    },
    findAccount: (_, sub) => {
      const account = people.get(sub);
      if (!account) {
        return undefined;
      }
      return { accountId: sub, claims: () => ({ picture: `${issuer}/picture/${sub}.png`, ...account }) };
    },
  });
  provider.on('grant.success', ({ oidc }) => {
    if (oidc.params.grant_type === 'refresh_token') {
      refreshes.push(oidc.entities.Account.accountId);
    }
  });

  const handle = provider.callback();
  server.on('request', async (request, response) => {
    const url = new URL(request.url, issuer);
    if (url.pathname.startsWith('/choose/')) {
      try {
        await choose(request, response);
      } catch (error) {
        response.writeHead(400, { 'content-type': 'text/plain' }).end(String(error.message));
      }
      return;
    }
    // Not all of its pages say that they have no icon.
    if (url.pathname === '/favicon.ico') {
      response.writeHead(204).end();
      return;
    }
    if (url.pathname === '/auth') {
      delete request.headers.cookie;
    }
    handle(request, response);
  });

  async function choose(request, response) {
    const { params } = await provider.interactionDetails(request, response);
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(params, accounts));
      return;
    }
    let body = '';
    for await (const part of request.setEncoding('utf8')) {
      body += part;
    }
    const sub = new URLSearchParams(body).get('sub');
    const finish = (result) =>
      provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
    if (sub === 'deny') {
      await finish({ error: 'access_denied', error_description: 'the person said no' });
      return;
    }
    if (!people.has(sub)) {
      throw new Error(`no account ${sub}`);
    }
    const grant = new provider.Grant({ accountId: sub, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    const grantId = await grant.save();
    granted.set(sub, [...(granted.get(sub) ?? []), grantId]);
    await finish({ login: { accountId: sub, remember: false }, consent: { grantId } });
  }

  return {
    issuer,
    clients: Object.fromEntries(registered.map((client) => [client.client_id, client])),
    endpoints: {
      authorization_url: `${issuer}/auth`,
      token_url: `${issuer}/token`,
      userinfo_url: `${issuer}/me`,
    },
    /** The accounts whose tokens were refreshed, in order. */
    refreshes,
    /** Whose access token it is and what it may do, asked of the provider itself. */
    whose: async (token) => {
      const found = await provider.AccessToken.find(token);
      return found && { sub: found.accountId, scope: [...found.scopes] };
    },
    /** What a person does who withdraws an app's access there. */
    withdraw: async (sub) => {
      for (const grantId of granted.get(sub) ?? []) {
        await provider.AccessToken.revokeByGrantId(grantId);
        await provider.RefreshToken.revokeByGrantId(grantId);
      }
    },
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  };
}

function page(params, accounts) {
  const buttons = accounts.map(
    ({ sub, name }) => `<p><button name="sub" value="${escape(sub)}">${escape(name)}</button></p>`,
  );
  return `<!doctype html><html lang="en"><title>Upstream</title><link rel="icon" href="data:,">
<h1>Choose an account</h1><p id="scope">${escape(params.scope ?? '')}</p>
<form method="post">${buttons.join('')}<p><button name="sub" value="deny">Deny</button></p></form></html>`;
}
