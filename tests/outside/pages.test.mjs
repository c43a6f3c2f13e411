// A real browser on every hosted page: with scripts and without, on a phone and on a desk, in light and in dark.
// Each page is looked at by axe, reached by keyboard, and kept as a picture under `screenshots/` in the build folder.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { randomBytes } from 'node:crypto';

import { authorization, launchChromium } from './chromium.mjs';
import { startCallback, startServer } from './server.mjs';
import { Visit, pictureFolder } from './visit.mjs';

let callback;
let server;
let browser;
let screenshots;

before(async () => {
  screenshots = pictureFolder();
  callback = await startCallback();
  server = await startServer({ callback: callback.url });
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await callback?.stop();
  await server?.stop();
});

const open = (kind) => Visit.open(browser, { kind, server, callback, screenshots });

/** An authorization request as a client writes it. */
const authorize = (clientId, parameters) =>
  authorization(server.tenants.default.issuer, clientId, callback.url, parameters).url;

async function signIn(visit, { username, password }) {
  await visit.fill({ username, password });
  await visit.click('#sign-in-submit');
}

/** A new person signs up on the way to a client. Answers with who it is. */
async function signUp(visit) {
  const username = `grace-${randomBytes(5).toString('hex')}@acme.test`;
  const person = { username, password: `walrus ${randomBytes(12).toString('base64url')}` };
  await visit.click('a[href*="sign-up"]');
  visit.at('/sign-up');
  await visit.inspect('sign-up');
  await visit.fill({ name: 'Grace Hopper', email: username, password: person.password });
  await visit.click('#sign-up-submit');
  return person;
}

async function errorPage(visit) {
  const answer = await visit.page.goto(authorize('nobody-knows').href);
  assert.ok([400, 401].includes(answer.status()), `${answer.status()}`);
  assert.equal(new URL(visit.page.url()).host, new URL(server.url).host);
  await visit.inspect('error-unknown-client');
}

async function signInAndUpToTheClient(visit) {
  const request = authorize('web-basic');
  await visit.page.goto(request.href);
  visit.at('/sign-in');
  await visit.inspect('sign-in');
  await visit.fill({ username: 'nobody-here', password: 'wrong password' });
  await visit.click('#sign-in-submit');
  await visit.inspect('sign-in-refused');
  await signUp(visit);
  visit.at('/consent');
  await visit.inspect('consent');
  await visit.click('#consent-deny');
  const refused = await visit.received();
  assert.equal(refused.get('error'), 'access_denied');
  assert.equal(refused.get('state'), request.searchParams.get('state'));
}

async function consentToTheClient(visit) {
  const request = authorize('web-basic');
  await visit.page.goto(request.href);
  visit.at('/consent');
  await visit.click('#consent-allow');
  const granted = await visit.received();
  assert.ok(granted.get('code'));
  assert.equal(granted.get('state'), request.searchParams.get('state'));
  assert.equal(granted.get('iss'), server.tenants.default.issuer);
}

async function chooseAnAccount(visit) {
  await visit.page.goto(authorize('web-basic', { prompt: 'select_account' }).href);
  assert.equal(new URL(visit.page.url()).host, new URL(server.url).host);
  await visit.inspect('account-chooser');
}

/** The page that posts the answer on: seen while its script holds still and sent by hand, then left to send itself. */
async function postTheAnswer(visit) {
  const { page } = visit;
  const request = () => authorize('web-basic', { response_mode: 'form_post' }).href;
  const arrived = async (before) => {
    await page.waitForURL(callback.url);
    const post = callback.arrivals.slice(before).find(({ method }) => method === 'POST');
    assert.ok(new URLSearchParams(post?.body).get('code'), 'no code was posted');
  };
  const ownScript = '**/assets/vestibule.*.js';
  const still = (route) => route.fulfill({ contentType: 'text/javascript', body: '' });
  await page.route(ownScript, still);
  await page.goto(request());
  await visit.inspect('form-post');
  let before = callback.arrivals.length;
  await visit.click('form button');
  await arrived(before);
  await page.unroute(ownScript, still);
  if (visit.kind.scripts) {
    before = callback.arrivals.length;
    await page.goto(request(), { waitUntil: 'commit' });
    await arrived(before);
  }
}

async function signOut(visit) {
  await visit.page.goto(`${server.tenants.default.issuer}/sign-out`);
  await visit.inspect('sign-out');
  await visit.page.goto(`${server.tenants.default.issuer}/oauth/logout`);
  await visit.inspect('sign-out-confirm');
  await visit.click('#logout-confirm');
  await visit.inspect('signed-out');
  await visit.page.goto(authorize('web-basic', { prompt: 'none' }).href);
  assert.equal((await visit.received()).get('error'), 'login_required');
}

const KINDS = [true, false].flatMap((scripts) =>
  [390, 1280].flatMap((width) => ['light', 'dark'].map((scheme) => ({ scripts, width, scheme }))),
);

describe('the hosted pages', () => {
  for (const kind of KINDS) {
    const title = `${kind.scripts ? 'with scripts' : 'without scripts'}, ${kind.width} px, ${kind.scheme}`;
    test(`${title}: from sign-up over consent to the client, and out again`, async () => {
      const visit = await open(kind);
      try {
        await errorPage(visit);
        await signInAndUpToTheClient(visit);
        await consentToTheClient(visit);
        await chooseAnAccount(visit);
        await postTheAnswer(visit);
        await signOut(visit);
      } catch (error) {
        await visit.page.screenshot({ path: path.join(screenshots, `failed-${title.replace(/\W+/g, '-')}.png`) });
        error.message += `\n  at ${visit.page.url()}\n  ${visit.faults.join('\n  ')}`;
        visit.faults = [];
        throw error;
      } finally {
        await visit.close();
      }
    });
  }

  test('a person signs in with the keyboard alone', async () => {
    const visit = await open({ scripts: true, width: 1280, scheme: 'light' });
    const { username, password } = server.tenants.default.user;
    await visit.page.goto(authorize('browser-app', { scope: 'openid profile' }).href);
    await visit.page.focus('#username');
    await visit.page.keyboard.type(username);
    await visit.page.focus('#password');
    await visit.page.keyboard.type(password);
    await Promise.all([visit.page.waitForNavigation(), visit.page.keyboard.press('Enter')]);
    visit.at('/consent');
    await visit.page.focus('#consent-allow');
    await Promise.all([visit.page.waitForNavigation(), visit.page.keyboard.press('Enter')]);
    assert.ok((await visit.received()).get('code'));
    await visit.close();
  });

  test('a person who is signed in stays so at the next client', async () => {
    const visit = await open({ scripts: false, width: 390, scheme: 'dark' });
    await visit.page.goto(authorize('web-basic', { scope: 'openid' }).href);
    await signIn(visit, server.tenants.default.user);
    await visit.page.goto(authorize('web-post', { scope: 'openid reports.read' }).href);
    visit.at('/consent');
    await visit.click('#consent-allow');
    assert.ok((await visit.received()).get('code'));
    await visit.close();
  });
});
