// A page of somebody else in a real browser tries to put ours into a frame, where a person would click on what they do not see.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { authorization, launchChromium } from './chromium.mjs';
import { installation, startCallback, startServer } from './server.mjs';

const STEP_MILLISECONDS_MAX = 15_000;

let callback;
let server;
let bare;
let browser;

before(async () => {
  callback = await startCallback();
  server = await startServer({ callback: callback.url });
  // Nobody is its operator yet: the link that makes one still opens.
  const file = installation(callback.url);
  bare = await startServer({ callback: callback.url, file: { tenant: [{ ...file.tenant[0], user: [] }] } });
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await callback?.stop();
  await Promise.all([server?.stop(), bare?.stop()]);
});

const ask = (clientId, parameters) =>
  authorization(server.tenants.default.issuer, clientId, callback.url, parameters).url.href;

async function open() {
  const context = await browser.newContext();
  context.setDefaultTimeout(STEP_MILLISECONDS_MAX);
  return { context, page: await context.newPage() };
}

/** Signs in for the client; what it asks for is allowed when `allows` says so and it was not before. */
async function signIn(page, { allows }) {
  const { username, password } = server.tenants.default.user;
  await page.goto(ask('web-basic', allows ? {} : { prompt: 'consent' }));
  await page.fill('#username', username);
  await page.fill('#password', password);
  await Promise.all([page.waitForNavigation(), page.click('#sign-in-submit')]);
  if (allows && new URL(page.url()).pathname === '/consent') {
    await Promise.all([page.waitForURL(`${callback.url}?*`), page.click('#consent-allow')]);
  }
}

/** A page at `origin` with a frame and an object around each address; answers with what each of them shows. */
async function frame(page, addresses, origin = callback.origin) {
  const around = addresses.map((address) => {
    const quoted = address.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
    return `<iframe src="${quoted}"></iframe><object data="${quoted}" type="text/html" width="300" height="150"></object>`;
  });
  callback.pages.set('/overlay', `<!doctype html><html lang="en"><title>A prize</title>${around.join('')}`);
  await page.goto(`${origin}/overlay`, { waitUntil: 'load' });
  const frames = page.frames().filter((each) => each !== page.mainFrame());
  return Promise.all(
    frames.map(async (child) => ({
      url: child.url(),
      text: await child.evaluate(() => document.body?.innerText ?? '').catch(() => ''),
    })),
  );
}

/** Each address has a page by itself; in a frame the browser throws it away and stands at an error of its own. */
async function assertBlocked(page, addresses) {
  for (const [title, [address, proof]] of Object.entries(addresses)) {
    // A frame that stays empty proves nothing if there is no page.
    await page.goto(address);
    assert.ok(await page.$(proof), `${title}: ${page.url()}`);
  }
  const shown = await frame(page, Object.values(addresses).map(([address]) => address));
  assert.ok(shown.length >= Object.keys(addresses).length, `${shown.length} frames`);
  for (const { url, text } of shown) {
    assert.ok(url === '' || url === 'about:blank' || url.startsWith('chrome-error:'), `a frame shows ${url}\n${text}`);
  }
}

describe('T36 a frame of another origin stays empty', () => {
  test('T36 the browser of this test does show what may be framed', async () => {
    const { context, page } = await open();
    const shown = await frame(page, [callback.url]);
    assert.deepEqual(
      shown.map(({ text }) => text),
      Array(2).fill('Back at the client'),
    );
    await context.close();
  });

  test('T36 around every page that a stranger sees', async () => {
    const { said } = await bare.command('setup-link', '--json');
    const { issuer } = server.tenants.default;
    const { context, page } = await open();
    await assertBlocked(page, {
      'home': [`${issuer}/`, 'h1'],
      'sign-in': [`${issuer}/sign-in`, '#sign-in-submit'],
      'sign-in for a client': [ask('web-basic'), '#sign-in-submit'],
      'sign-up': [`${issuer}/sign-up`, '#sign-up-submit'],
      'sign-out': [`${issuer}/sign-out`, 'h1'],
      'sign-out for a client': [`${issuer}/oauth/logout`, 'h1'],
      'error: unknown client': [ask('nobody-knows'), '#reference, h1'],
      'error: not found': [`${issuer}/nothing-here`, 'h1'],
      'error: no such tenant': [`${issuer}/t/nobody/sign-in`, 'h1'],
      'strict error': [`${issuer}/api/id/v1/auth/authorize`, 'h1'],
      'set-up': [said.match(/http[^\s"]+\/setup\/[^\s"]+/)?.[0] ?? said, '#password'],
    });
    await context.close();
  });

  test('T36 around every page of a person who is signed in', async () => {
    const { context, page } = await open();
    await signIn(page, { allows: false });
    await assertBlocked(page, {
      'consent': [ask('web-basic', { prompt: 'consent' }), '#consent-allow'],
      'accounts': [ask('web-basic', { prompt: 'select_account' }), '#account-1'],
      'sign-in again': [ask('web-basic', { prompt: 'login' }), '#sign-in-submit'],
      'sign-out': [`${server.url}/oauth/logout`, '#logout-confirm'],
    });
    assert.equal(callback.arrivals.filter(({ url }) => url.searchParams.has('code')).length, 0);
    await context.close();
  });

  test('T36 around the page that posts the answer, which then posts nothing', async () => {
    const { context, page } = await open();
    await signIn(page, { allows: true });
    const address = ask('web-basic', { response_mode: 'form_post' });
    const before = callback.arrivals.length;
    for (const { url, text } of await frame(page, [address])) {
      assert.ok(url === '' || url.startsWith('chrome-error:'), `a frame shows ${url}\n${text}`);
    }
    assert.equal(callback.arrivals.length, before, 'the page in the frame sent its form');
    await page.goto(address, { waitUntil: 'commit' });
    await page.waitForURL(callback.url);
    assert.equal(callback.arrivals.at(-1).method, 'POST');
    await context.close();
  });

  test('T36 but an answer without a page reaches the client in a frame (prompt=none)', async () => {
    const { context, page } = await open();
    await signIn(page, { allows: true });
    for (const { url, text } of await frame(page, [ask('web-basic', { prompt: 'none' })])) {
      assert.ok(url.startsWith(`${callback.url}?`), url);
      assert.ok(new URL(url).searchParams.get('code'), url);
      assert.equal(text, 'Back at the client');
    }
    // In a frame of another site the browser keeps the cookies to itself.
    const stranger = callback.origin.replace('127.0.0.1', 'localhost');
    for (const { url } of await frame(page, [ask('web-basic', { prompt: 'none' })], stranger)) {
      assert.equal(new URL(url).searchParams.get('error'), 'login_required', url);
    }
    await context.close();
  });
});
