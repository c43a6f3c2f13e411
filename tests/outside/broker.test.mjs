// The published JavaScript SDKs of Stack Auth (now Hexclave), unmodified, in a real browser and in Node, against the project API. Google's
// part is played by an OpenID provider that somebody else wrote and certified.
//
// Both versions run through the same tests, at the same time, on one server: each has apps and people of its own.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { startApp } from './app.mjs';
import { SDKS, bundle } from './bundle.mjs';
import { launchChromium } from './chromium.mjs';
import { Person } from './person.mjs';
import { freePort, startServer } from './server.mjs';
import { startUpstream } from './upstream.mjs';

const POLL_MILLISECONDS = 50;
/** Less than the broker hands out without a refresh. */
const SHORT_SECONDS = 60;

const secret = (prefix) => `${prefix}_${randomBytes(24).toString('base64url')}`;

/** What each SDK's people are called upstream: one for each thing that they are there for, so that no test waits for another. */
const ROLES = ['newcomer', 'linker', 'denier', 'reader', 'lister', 'served', 'typist', 'owner', 'captive', 'rival', 'visitor', 'neighbour', 'mover'];

function accountsOf(version) {
  const people = ROLES.map((role) => ({
    sub: `${role}-${version}`,
    name: `${role} of ${version}`,
    email: `${role}.${version}@acme.test`,
    email_verified: true,
  }));
  const owner = people.find(({ sub }) => sub === `owner-${version}`);
  return [
    ...people,
    { ...owner, sub: `impostor-${version}`, name: `impostor of ${version}`, email_verified: false },
    { sub: `nameless-${version}`, name: `nameless of ${version}` },
  ];
}

/** A project whose apps show a key, and one whose apps have none. */
const acme = { id: randomUUID(), key: secret('pck'), serverKey: secret('ssk') };
const plain = { id: randomUUID() };

function installation(upstream, origins) {
  const { issuer, endpoints, clients } = upstream;
  const [main, forge, brief] = ['main', 'forge', 'brief'].map((id) => clients[id]);
  const google = { id: 'google', preset: 'google', issuer, client_id: main.client_id, client_secret: main.client_secret };
  return {
    tenant: [
      {
        slug: 'default',
        id: acme.id,
        name: 'Acme',
        policy: { sign_up: 'open', publishable_key: 'required', client_user_deletion: true },
        provider: [
          google,
          {
            id: 'forge',
            name: 'Forge',
            ...endpoints,
            client_id: forge.client_id,
            client_secret: forge.client_secret,
            scopes: ['openid', 'profile', 'email'],
            mapping: { subject: '/sub', email: '/email', email_verified: '/email_verified', name: '/name' },
          },
          { id: 'brief', issuer, client_id: brief.client_id, client_secret: brief.client_secret },
        ],
        api_key: [
          { name: 'browser', tier: 'publishable', key: acme.key },
          { name: 'server', tier: 'secret', key: acme.serverKey },
        ],
        trusted_domain: origins.map((origin) => ({ base_url: origin })),
      },
      {
        slug: 'plain',
        id: plain.id,
        name: 'Plain',
        policy: { sign_up: 'open', allow_localhost: true },
        provider: [google],
      },
    ],
  };
}

let app;
let satellite;
let stranger;
let upstream;
let server;
let browser;

before(async () => {
  const port = await freePort();
  const callback = (base, id) => `http://127.0.0.1:${port}${base}/api/v1/auth/oauth/callback/${id}`;
  // The second app's host is another, since cookies know no ports.
  [app, satellite, stranger] = await Promise.all([startApp(), startApp('localhost'), startApp()]);
  upstream = await startUpstream({
    clients: [
      { client_id: 'main', redirect_uris: [callback('', 'google'), callback('/t/plain', 'google')] },
      { client_id: 'forge', redirect_uris: [callback('', 'forge')] },
      { client_id: 'brief', redirect_uris: [callback('', 'brief')], accessTokenSeconds: SHORT_SECONDS },
    ],
    accounts: SDKS.flatMap(({ version }) => accountsOf(version)),
  });
  server = await startServer({
    port,
    file: installation(upstream, [app.origin, satellite.origin]),
    flags: ['--outbound-allow', new URL(upstream.issuer).host],
  });
  for (const { name, version } of SDKS) {
    const script = await bundle(name);
    const keyed = { baseUrl: server.url, projectId: acme.id, publishableClientKey: acme.key };
    app.pages.set(`/${version}`, { bundle: script, settings: keyed });
    app.pages.set(`/${version}-plain`, { bundle: script, settings: { baseUrl: server.url, projectId: plain.id } });
    app.pages.set(`/${version}-wrong`, { bundle: script, settings: { ...keyed, publishableClientKey: secret('pck') } });
    stranger.pages.set(`/${version}`, { bundle: script, settings: keyed });
    const signIn = `${app.origin}/${version}/`;
    satellite.pages.set(`/${version}`, { bundle: script, settings: { ...keyed, signIn } });
  }
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await Promise.all([app, satellite, stranger, upstream, server].map((one) => one?.stop()));
});

const arrive = (home) => {
  const known = [app.origin, satellite.origin, stranger.origin, server.url, upstream.issuer];
  return Person.arrive(browser, home, known);
};

describe('the published SDKs', { concurrency: SDKS.length }, () => {
  for (const sdk of SDKS) {
    describe(`${sdk.version} (${sdk.family} headers)`, () => suite(sdk));
  }
});

function suite({ version, name }) {
  const account = (role) => `${role}-${version}`;
  const atHome = () => arrive(`${app.origin}/${version}/`);
  const signedIn = async (role) => {
    const person = await atHome();
    await person.signIn(account(role));
    return person;
  };
  /** The same SDK in Node. */
  const inNode = async (kind, options) => {
    const sdk = await import(name);
    const common = { baseUrl: server.url, projectId: acme.id, publishableClientKey: acme.key, tokenStore: 'memory' };
    return new sdk[kind]({ ...common, ...options });
  };
  /** Who somebody is that has nothing but this refresh token. */
  const whoHolds = async (refreshToken, options) => {
    const remote = await inNode('StackClientApp', { tokenStore: { accessToken: null, refreshToken }, ...options });
    return (await remote.getUser())?.id ?? null;
  };

  test('a new person signs in by the provider, and the same person again, by another provider too', async () => {
    const first = await atHome();
    assert.equal(await first.user(), null);
    assert.equal(await first.signIn(account('newcomer')), 'up');
    const user = await first.user();
    assert.equal(user.oauth_providers[0].id, 'google');
    assert.equal(user.oauth_providers[0].account_id, account('newcomer'));
    assert.equal(user.primary_email, `newcomer.${version}@acme.test`);
    assert.equal(user.primary_email_verified, true);
    assert.equal(user.display_name, `newcomer of ${version}`);

    const second = await atHome();
    assert.equal(await second.signIn(account('newcomer')), 'in');
    assert.equal((await second.user()).id, user.id);
    await second.signOut();
    // The other provider has verified the same address.
    assert.equal(await second.signIn(account('newcomer'), 'forge'), 'in');
    const merged = await second.user();
    assert.equal(merged.id, user.id);
    assert.deepEqual(merged.oauth_providers.map(({ id }) => id).sort(), ['forge', 'google']);

    const [asked] = first.asked;
    assert.equal(asked.code_challenge_method, 'S256');
    assert.ok(asked.nonce && asked.state);
    assert.notEqual(asked.state, second.asked[0].state);
    await first.leave();
    await second.leave();
  });

  test('a second provider is linked with more scopes, its token is read, and it is unlinked', async () => {
    const person = await signedIn('linker');
    const before = await person.user();
    await person.link(account('nameless'), 'forge', ['calendar.read']);
    const after = await person.user();
    assert.equal(after.id, before.id, 'a link never changes who is signed in');
    assert.equal(after.primary_email, before.primary_email);
    assert.deepEqual(after.oauth_providers.map(({ id }) => id).sort(), ['forge', 'google']);
    const got = await person.page.evaluate(async (sub) => {
      const user = await window.stack.getUser();
      const accounts = await user.listConnectedAccounts();
      const linked = accounts.find((account) => account.providerAccountId === sub);
      const allowed = await linked.getAccessToken({ scopes: ['calendar.read'] });
      const refused = await linked.getAccessToken({ scopes: ['drive.read'] });
      return { provider: linked.provider, allowed, status: refused.status, code: refused.error?.errorCode };
    }, account('nameless'));
    assert.equal(got.provider, 'forge');
    assert.equal(got.allowed.status, 'ok');
    const token = await upstream.whose(got.allowed.data.accessToken);
    assert.equal(token.sub, account('nameless'));
    assert.ok(token.scope.includes('calendar.read'));
    assert.deepEqual([got.status, got.code], ['error', 'OAUTH_ACCESS_TOKEN_NOT_AVAILABLE']);

    await person.page.evaluate(async (sub) => {
      const providers = await (await window.stack.getUser()).listOAuthProviders();
      await providers.find(({ accountId, type }) => accountId === sub || type === 'forge').delete();
    }, account('nameless'));
    assert.deepEqual((await person.user()).oauth_providers.map(({ id }) => id), ['google']);
    await person.leave();
  });

  test('an account upstream that is one person’s is refused to another', async () => {
    const owner = await signedIn('mover');
    const other = await signedIn('rival');
    await owner.link(account('mover'), 'forge');
    assert.equal(
      await other.failToLink(account('mover'), 'forge'),
      'OAUTH_CONNECTION_ALREADY_CONNECTED_TO_ANOTHER_USER',
    );
    await other.open(other.home);
    assert.deepEqual((await other.user()).oauth_providers.map(({ id }) => id), ['google']);
    await owner.leave();
    await other.leave();
  });

  test('a person who says no upstream comes back with a known error', async () => {
    const person = await atHome();
    assert.equal(await person.failToSignIn('deny'), 'OAUTH_PROVIDER_ACCESS_DENIED');
    assert.equal(await person.user(), null);
    // Nothing stands in the way of another try.
    await person.open(person.home);
    assert.equal(await person.signIn(account('denier')), 'up');
    await person.leave();
  });

  test('two tabs at once sign in each as was chosen there', async () => {
    const first = await atHome();
    const second = await first.tab();
    await first.beginSignIn();
    await second.beginSignIn();
    await second.finishSignIn(account('linker'));
    assert.equal((await second.user()).primary_email, `linker.${version}@acme.test`);
    await first.finishSignIn(account('denier'));
    assert.equal((await first.user()).primary_email, `denier.${version}@acme.test`);
    await first.leave();
  });

  test('a token that is about to end is refreshed upstream, until the person withdraws', async () => {
    const person = await atHome();
    await person.signIn(account('reader'), 'brief');
    const read = () =>
      person.page.evaluate(async () => {
        const [linked] = await (await window.stack.getUser()).listConnectedAccounts();
        // One SDK throws what the other answers.
        const token = await linked.getAccessToken({ scopes: ['email'] }).catch((error) => ({ error }));
        return token.data?.accessToken ?? token.error.errorCode;
      });
    const refreshes = () => upstream.refreshes.filter((sub) => sub === account('reader')).length;
    const first = await read();
    assert.equal((await upstream.whose(first))?.sub, account('reader'), first);
    assert.equal(refreshes(), 1);
    const second = await read();
    assert.equal((await upstream.whose(second))?.sub, account('reader'), second);
    assert.notEqual(second, first);
    assert.equal(refreshes(), 2, 'the rotated refresh token was kept');
    await upstream.withdraw(account('reader'));
    assert.equal(await read(), 'OAUTH_ACCESS_TOKEN_NOT_AVAILABLE');
    assert.equal((await person.user()).oauth_providers.length, 1, 'the person still signs in with it');
    await person.leave();
  });

  test('T46 an address that one side has not verified makes nobody the owner of the other’s account', async () => {
    const inUse = 'CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE';
    const owner = await signedIn('owner');
    const impostor = await atHome();
    assert.equal(await impostor.failToSignIn(account('impostor')), inUse);
    assert.equal(await impostor.user(), null);
    assert.deepEqual((await owner.user()).oauth_providers.map(({ account_id }) => account_id), [account('owner')]);

    // Somebody waits here with the address of another.
    const admin = await inNode('StackServerApp', { secretServerKey: acme.serverKey });
    const trap = await admin.createUser({ primaryEmail: `captive.${version}@acme.test`, displayName: 'Trap' });
    await impostor.open(impostor.home);
    assert.equal(await impostor.failToSignIn(account('captive')), inUse);
    assert.deepEqual(await (await admin.getUser(trap.id)).listOAuthProviders(), []);
    await owner.leave();
    await impostor.leave();
  });

  test('sessions are listed, another is ended, one’s own is kept, and sign-out ends it', async () => {
    const here = await signedIn('lister');
    const there = await signedIn('lister');
    const stolen = await there.tokens();
    const ended = await here.page.evaluate(async () => {
      const user = await window.stack.getUser();
      const sessions = await user.getActiveSessions();
      const current = sessions.filter((session) => session.isCurrentSession);
      let refused = null;
      await user.revokeSession(current[0].id).catch((error) => (refused = error.errorCode));
      for (const session of sessions.filter((candidate) => !candidate.isCurrentSession)) {
        await user.revokeSession(session.id);
      }
      return { listed: sessions.length, current: current.length, refused, left: (await user.getActiveSessions()).length };
    });
    assert.deepEqual(ended, { listed: 2, current: 1, refused: 'CANNOT_DELETE_CURRENT_SESSION', left: 1 });
    assert.equal(await whoHolds(stolen.refreshToken), null);

    const own = await here.tokens();
    assert.equal(await whoHolds(own.refreshToken), (await here.user()).id);
    await here.signOut();
    assert.equal(await here.user(), null);
    assert.equal(await whoHolds(own.refreshToken), null);
    await here.leave();
    await there.leave();
  });

  test('a person changes their name, and deletes themselves', async () => {
    const person = await signedIn('visitor');
    const { id } = await person.user();
    const { refreshToken } = await person.tokens();
    await person.page.evaluate(async () => {
      const user = await window.stack.getUser();
      await user.update({ displayName: 'Renamed', clientMetadata: { theme: 'dark' } });
    });
    const changed = await person.user();
    assert.deepEqual([changed.id, changed.display_name, changed.client_metadata], [id, 'Renamed', { theme: 'dark' }]);
    await person.page.evaluate(async () => (await window.stack.getUser()).delete());
    assert.equal(await whoHolds(refreshToken), null);
    await person.open(person.home);
    assert.equal(await person.user(), null);
    assert.equal(await person.signIn(account('visitor')), 'up');
    assert.notEqual((await person.user()).id, id);
    await person.leave();
  });

  test('nobody becomes an anonymous person, and signs in all the same', async () => {
    const person = await atHome();
    const code = await person.page.evaluate(() =>
      window.stack.getUser({ or: 'anonymous' }).then(
        (user) => user.id,
        (error) => error.errorCode,
      ),
    );
    assert.equal(code, 'ANONYMOUS_ACCOUNTS_NOT_ENABLED');
    await person.signIn(account('nameless'));
    const user = await person.user();
    assert.deepEqual([user.is_anonymous, user.primary_email, user.primary_email_verified], [false, null, false]);
    await person.leave();
  });

  test('what the SDK reports about pages is taken', async () => {
    const client = await inNode('StackClientApp', {});
    const session = client._interface.createSession({ refreshToken: null, accessToken: null });
    const events = [{ event_type: '$page-view', event_at_ms: Date.now(), data: {} }];
    const report = { session_replay_segment_id: randomUUID(), batch_id: randomUUID(), sent_at_ms: Date.now(), events };
    for (const keepalive of [false, true]) {
      const sent = await client._interface.sendAnalyticsEventBatch(JSON.stringify(report), session, { keepalive });
      assert.deepEqual([sent.status, sent.data?.status], ['ok', 200], String(sent.error));
    }
  });

  test('an app’s server reads its people, changes one, and makes a session for one', async () => {
    const admin = await inNode('StackServerApp', { secretServerKey: acme.serverKey });
    const person = await signedIn('served');
    const { id } = await person.user();
    assert.ok((await admin.listUsers()).some((user) => user.id === id));
    const user = await admin.getUser(id);
    assert.equal(user.primaryEmail, `served.${version}@acme.test`);
    await user.update({ displayName: 'Renamed', serverMetadata: { plan: 'pro' } });
    const again = await (await inNode('StackServerApp', { secretServerKey: acme.serverKey })).getUser(id);
    assert.deepEqual([again.displayName, again.serverMetadata], ['Renamed', { plan: 'pro' }]);
    assert.equal((await person.user()).server_metadata, undefined, 'what is the server’s stays there');
    assert.equal(await admin.getUser(randomUUID()), null);
    const made = await (await user.createSession({ expiresInMillis: 60_000 })).getTokens();
    assert.equal(await whoHolds(made.refreshToken), id);
    await assert.rejects(() => user.createSession({ isImpersonation: true }), { errorCode: 'SCHEMA_ERROR' });
    const wrong = await inNode('StackServerApp', { secretServerKey: acme.key });
    await assert.rejects(() => wrong.getUser(id), { errorCode: 'INVALID_SECRET_SERVER_KEY' });
    await person.leave();
  });

  test('a command line is signed in by way of the browser', async () => {
    const person = await signedIn('typist');
    const { id } = await person.user();
    const { refreshToken } = await person.tokens();
    const terminal = await inNode('StackClientApp', {});
    const confirmed = [];
    const login = await terminal.promptCliLogin({
      appUrl: app.origin,
      waitTimeMillis: POLL_MILLISECONDS,
      promptLink: (link) => {
        // What the SDK's own confirmation page does with the person's session.
        const code = new URL(link).searchParams.get('login_code');
        const session = terminal._interface.createSession({ refreshToken });
        confirmed.push(terminal._interface.cliLogin(code, refreshToken, session));
      },
    });
    await Promise.all(confirmed);
    assert.equal(login.status, 'ok', String(login.error));
    assert.equal(await whoHolds(login.data), id);
    await person.leave();
  });

  test('an app without a key signs people in where the project asks for none', async () => {
    const person = await arrive(`${app.origin}/${version}-plain/`);
    assert.equal(await person.signIn(account('neighbour')), 'up');
    const user = await person.user();
    assert.equal(user.primary_email, `neighbour.${version}@acme.test`);
    // The other project knows neither the person nor the token.
    const home = await signedIn('neighbour');
    assert.notEqual((await home.user()).id, user.id);
    const { refreshToken } = await person.tokens();
    const keyless = { projectId: plain.id, publishableClientKey: undefined };
    assert.equal(await whoHolds(refreshToken, keyless), user.id);
    assert.equal(await whoHolds(refreshToken), null);
    await home.leave();
    await person.leave();
  });

  for (const [what, home, code] of [
    ['with a key that is not the project’s', () => `${app.origin}/${version}-wrong/`, 'INVALID_PUBLISHABLE_CLIENT_KEY'],
    ['on an origin that is not trusted', () => `${stranger.origin}/${version}/`, 'REDIRECT_URL_NOT_WHITELISTED'],
  ]) {
    test(`an app ${what} sends nobody to the provider`, async () => {
      const person = await arrive(home());
      const answers = [];
      person.page.on('response', (answer) => {
        if (answer.url().includes('/oauth/authorize/google')) {
          answers.push(answer.headers()['x-stack-known-error']);
        }
      });
      const seen = person.page.waitForResponse((answer) => answer.url().includes('/oauth/authorize/google'));
      await person.page.evaluate(() => void window.stack.signInWithOAuth('google').catch(() => {}));
      await seen;
      assert.deepEqual([...answers, person.asked.length], [code, 0]);
      await person.leave();
    });
  }

  // The other knows no way from one origin to another.
  if (version === '2.8.108') {
    test('a session is handed to the app on another origin', async () => {
      const person = await signedIn('neighbour');
      const { id } = await person.user();
      const own = await person.tokens();
      await person.open(`${satellite.origin}/${version}/`);
      assert.equal(await person.user(), null);
      await person.page.evaluate(() => void window.stack.redirectToSignIn());
      await person.page.waitForURL((url) => url.origin === app.origin);
      await person.page.waitForFunction(() => window.stack);
      await person.page.evaluate(() => void window.stack.redirectToAfterSignIn());
      await person.page.waitForURL((url) => url.origin === satellite.origin && !url.searchParams.has('code'));
      await person.page.waitForURL((url) => !url.pathname.endsWith('/oauth-callback'));
      await person.page.waitForFunction(() => window.stack);
      assert.equal((await person.user()).id, id);
      assert.notEqual((await person.tokens()).refreshToken, own.refreshToken);
      await person.leave();
    });
  }
}
