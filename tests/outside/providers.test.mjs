// The buttons on the hosted pages, in a real browser: from the app over our page to the provider's and back, with scripts and without, on a
// phone and on a desk. The provider is one that somebody else wrote.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { authorization, launchChromium } from './chromium.mjs';
import { freePort, installation, startCallback, startServer } from './server.mjs';
import { startUpstream } from './upstream.mjs';
import { Visit, pictureFolder } from './visit.mjs';

const KINDS = [true, false].flatMap((scripts) => [
  { scripts, width: 390, scheme: 'light' },
  { scripts, width: 1280, scheme: 'dark' },
]);

const person = (sub, more = {}) => ({
  ...{ sub, name: `Grace of ${sub}`, email: `${sub}@acme.test`, email_verified: true },
  ...more,
});

const titleOf = ({ scripts, width }) => `${scripts ? 'with' : 'without'}-scripts-${width}`;

let callback;
let upstream;
// It answers with a form, as Apple does, from another site.
let poster;
let server;
let browser;
let screenshots;

before(async () => {
  screenshots = pictureFolder('providers');
  const port = await freePort();
  callback = await startCallback();
  upstream = await startUpstream({
    clients: [
      { client_id: 'main', redirect_uris: [`http://127.0.0.1:${port}/api/v1/auth/oauth/callback/google`] },
    ],
    accounts: [
      ...KINDS.map((kind) => person(titleOf(kind))),
      person('returning'),
      person('robbed'),
      person('ada-verified', { email: 'ada@acme.test' }),
      person('ada-claimed', { email: 'ada@acme.test', email_verified: false }),
    ],
  });
  poster = await startUpstream({
    host: 'localhost',
    clients: [
      { client_id: 'main', redirect_uris: [`http://127.0.0.1:${port}/api/v1/auth/oauth/callback/apple`] },
    ],
    accounts: KINDS.map((kind) => person(`posted-${titleOf(kind)}`)),
  });
  const file = installation(callback.url);
  const { client_id, client_secret } = upstream.clients.main;
  const google = { id: 'google', preset: 'google', issuer: upstream.issuer, client_id, client_secret };
  // Nobody listens there.
  const gone = { id: 'gone', name: 'Gone', issuer: 'http://127.0.0.1:9', client_id: 'x', client_secret: 'x' };
  const apple = {
    ...{ id: 'apple', preset: 'apple', issuer: poster.issuer, scopes: ['openid', 'profile'] },
    ...{ client_id: 'main', client_secret: poster.clients.main.client_secret },
    token_endpoint_auth_method: 'client_secret_post',
  };
  file.tenant[0].provider = [google, apple, gone];
  server = await startServer({
    port,
    file,
    flags: ['--outbound-allow', `${[upstream, poster].map((one) => new URL(one.issuer).host)},127.0.0.1:9`],
  });
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await Promise.all([callback, upstream, poster, server].map((one) => one?.stop()));
});

const open = (kind) => Visit.open(browser, { kind, server, callback, others: [upstream.issuer, poster.issuer], screenshots });

/** As an app sends a person to us. */
async function begin(visit) {
  const { issuer } = server.tenants.default;
  const request = authorization(issuer, 'web-basic', callback.url);
  await visit.page.goto(request.url.href);
  visit.at('/sign-in');
  return request;
}

const press = (visit, name) => visit.click(`a:has-text("Continue with ${name}")`);
const choose = (visit, sub) => visit.click(`button[value="${sub}"]`);

/** Chooses at the provider, and keeps the way back from the browser: answers with its address. */
async function answerFor({ context, page }, sub) {
  let answer = await context.request.post(page.url(), { form: { sub }, maxRedirects: 0 });
  for (;;) {
    const location = new URL(answer.headers().location, answer.url());
    if (location.origin !== upstream.issuer) {
      return location.href;
    }
    answer = await context.request.get(location.href, { maxRedirects: 0 });
  }
}

/** Who signed in, and how, as the app learns it. */
async function whoSignedIn(code, verifier) {
  const { issuer, clients } = server.tenants.default;
  const { client_id, client_secret } = clients['web-basic'];
  const answer = await fetch(`${issuer}/oauth/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}` },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: callback.url,
      code_verifier: verifier,
    }),
  });
  const { id_token: token, access_token } = await answer.json();
  assert.equal(answer.status, 200);
  const userinfo = await fetch(`${issuer}/oauth/userinfo`, { headers: { authorization: `Bearer ${access_token}` } });
  return { ...JSON.parse(Buffer.from(token.split('.')[1], 'base64url')), ...(await userinfo.json()) };
}

describe('the buttons of providers', () => {
  for (const kind of KINDS) {
    const title = titleOf(kind);
    test(`a new person signs in with the button and comes to the app: ${title}`, async () => {
      const visit = await open(kind);
      const request = await begin(visit);
      await visit.inspect('sign-in-with-buttons');
      await press(visit, 'Google');
      assert.equal(new URL(visit.page.url()).origin, upstream.issuer);
      await choose(visit, title);
      visit.at('/consent');
      await visit.inspect('consent-after-provider');
      await visit.click('#consent-allow');
      const received = await visit.received();
      assert.equal(received.get('state'), request.url.searchParams.get('state'));
      assert.equal(received.get('iss'), server.tenants.default.issuer);
      const claims = await whoSignedIn(received.get('code'), request.verifier);
      assert.equal(claims.email, `${title}@acme.test`);
      assert.equal(claims.email_verified, true);
      assert.deepEqual(claims.amr, ['fed']);
      await visit.close();
    });

    test(`who says no there is back on our page, and may choose again: ${title}`, async () => {
      const visit = await open(kind);
      const request = await begin(visit);
      await press(visit, 'Google');
      await choose(visit, 'deny');
      visit.at('/sign-in');
      await visit.inspect('sign-in-refused-by-provider');
      assert.match(await visit.page.textContent('#form-error'), /did not sign in there/);
      await press(visit, 'Google');
      await choose(visit, 'ada-verified');
      visit.at('/consent');
      await visit.click('#consent-deny');
      assert.equal((await visit.received()).get('state'), request.url.searchParams.get('state'));
      await visit.close();
    });
  }

  for (const kind of KINDS) {
    const title = titleOf(kind);
    /** Goes to the provider, chooses there, and answers with the request by which its form came to us. */
    const answerByForm = async (visit, sub) => {
      const posted = visit.page.waitForRequest(
        (sent) => sent.method() === 'POST' && sent.url().startsWith(`${server.url}/`),
      );
      await press(visit, 'Apple');
      assert.equal(new URL(visit.page.url()).origin, poster.issuer);
      await choose(visit, sub);
      if (!kind.scripts) {
        assert.equal(new URL(visit.page.url()).origin, poster.issuer);
        await visit.click('form button[type=submit]');
      }
      return posted;
    };

    test(`an answer that another site posts comes without our cookies and signs in: ${title}`, async () => {
      const visit = await open(kind);
      const request = await begin(visit);
      const posted = await answerByForm(visit, `posted-${title}`);
      await visit.page.waitForURL('**/consent?*');
      const headers = await posted.allHeaders();
      assert.equal(headers['sec-fetch-site'], 'cross-site');
      assert.equal(headers.cookie, undefined, 'a Lax cookie stays behind');
      await visit.inspect('consent-after-posted-answer');
      await visit.click('#consent-allow');
      const received = await visit.received();
      assert.equal(received.get('state'), request.url.searchParams.get('state'));
      const claims = await whoSignedIn(received.get('code'), request.verifier);
      assert.equal(claims.email, `posted-${title}@acme.test`);
      assert.equal(claims.email_verified, true);
      await visit.close();
    });

    test(`a refusal that another site posts leads back to our page: ${title}`, async () => {
      const visit = await open(kind);
      await begin(visit);
      await answerByForm(visit, 'deny');
      await visit.page.waitForURL('**/sign-in?*');
      assert.match(await visit.page.textContent('#form-error'), /did not sign in there/);
      await visit.close();
    });
  }

  const desk = { scripts: true, width: 1280, scheme: 'light' };

  test('T46 an address that both sides verified is one person, a claimed one is not', async () => {
    const verified = await open(desk);
    let request = await begin(verified);
    await press(verified, 'Google');
    await choose(verified, 'ada-verified');
    await verified.click('#consent-allow');
    const same = await whoSignedIn((await verified.received()).get('code'), request.verifier);
    assert.equal(same.name, server.tenants.default.user.name, 'the person who has a password here');
    await verified.close();

    const claimed = await open(desk);
    request = await begin(claimed);
    await press(claimed, 'Google');
    await choose(claimed, 'ada-claimed');
    if (new URL(claimed.page.url()).pathname === '/consent') {
      await claimed.click('#consent-allow');
      const other = await whoSignedIn((await claimed.received()).get('code'), request.verifier);
      assert.notEqual(other.sub, same.sub);
    } else {
      claimed.at('/sign-in');
      await claimed.inspect('sign-in-address-in-use');
    }
    await claimed.close();
  });

  test('T33 the way back works once, and in the browser that began it only', async () => {
    const visit = await open({ ...desk, scripts: false });
    await begin(visit);
    await press(visit, 'Google');
    const back = visit.page.waitForRequest((sent) => sent.url().includes('/auth/oauth/callback/google'));
    await choose(visit, 'returning');
    const address = (await back).url();
    visit.at('/consent');
    const replayed = await visit.page.goto(address);
    assert.equal(replayed.status(), 400);
    await visit.inspect('callback-replayed');

    const begun = await open(desk);
    await begin(begun);
    await press(begun, 'Google');
    const stolen = await answerFor(begun, 'robbed');
    const other = await open(desk);
    const refused = await other.page.goto(stolen);
    assert.equal(refused.status(), 400);
    await other.inspect('callback-in-another-browser');
    await Promise.all([visit, begun, other].map((one) => one.close()));
  });

  test('T33 a posted answer counts in the browser that began it only', async () => {
    const begun = await open({ ...desk, scripts: false });
    await begin(begun);
    await press(begun, 'Apple');
    await choose(begun, `posted-${titleOf(KINDS[0])}`);
    const form = await begun.page.content();
    const other = await open({ ...desk, scripts: false });
    await begin(other);
    // The form as it stands, on the provider's own site.
    await other.page.route(`${poster.issuer}/stolen`, (route) => route.fulfill({ contentType: 'text/html', body: form }));
    await other.page.goto(`${poster.issuer}/stolen`);
    await other.click('form button[type=submit]');
    other.at('/api/v1/auth/oauth/callback/apple');
    await other.inspect('posted-answer-in-another-browser');
    assert.match(await other.page.textContent('main'), /browser/);
    await Promise.all([begun, other].map((one) => one.close()));
  });

  test('a provider that is down leaves the person on our page with the other ways', async () => {
    const visit = await open(desk);
    await begin(visit);
    await press(visit, 'Gone');
    visit.at('/sign-in');
    await visit.inspect('sign-in-provider-down');
    assert.match(await visit.page.textContent('#form-error'), /does not answer/);
    const { username, password } = server.tenants.default.user;
    await visit.fill({ username, password });
    await visit.click('#sign-in-submit');
    assert.notEqual(new URL(visit.page.url()).pathname, '/sign-in');
    await visit.close();
  });
});
