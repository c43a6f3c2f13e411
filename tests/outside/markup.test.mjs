// Text that is a program in one reader or another, in every field that a hosted page shows again, in a real browser. It stays text:
// nothing runs, nothing is asked of a stranger, nothing is refused by the page's policy because nothing gets so far.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { authorization, launchChromium } from './chromium.mjs';
import { installation, startCallback, startServer } from './server.mjs';

const STEP_MILLISECONDS_MAX = 15_000;

// Each calls `pwned()`, opens a dialog or asks for /beacon, and leaves an element `x-pwned` where markup is read as such.
const POLYGLOTS = [
  `"><script>pwned()</script><x-pwned>`,
  `'"></bdi></title></style></textarea></script><svg/onload=pwned()><x-pwned>`,
  `<img src=/beacon onerror=alert(1)><x-pwned>`,
  `" autofocus onfocus="pwned()" x-pwned="' onmouseover='pwned()' x='`,
  `javascript:/*--></title></style></textarea></script><svg onload=pwned()>//*/alert(1)`,
  `{{7*7}}\${pwned()}<%= pwned() %>{% raw %}&lt;script&gt;pwned()&lt;/script&gt;&#60;x-pwned&#62;`,
  `--></form><meta http-equiv=refresh content="0;url=/beacon"><base href=/beacon/><form action=/beacon><x-pwned>`,
  `\u202e<x-pwned>\u2066"><iframe srcdoc="<script>parent.pwned()</script>">`,
  `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=pwned()&gt;"><x-pwned>`,
];
// The database only keeps the text: a few of them show that the other one does too.
const TRIED = process.env.VESTIBULE_TEST_POSTGRES ? POLYGLOTS.slice(0, 2) : POLYGLOTS;
const SLUGS = POLYGLOTS.map((_, index) => (index === 0 ? 'default' : `markup-${index}`));

let callback;
let server;
let browser;

/** An installation whose every word is one of the polyglots: a tenant for each. */
function hostile(url) {
  const [acme] = installation(url).tenant;
  const [basic] = acme.client;
  const tenant = TRIED.map((text, index) => {
    const address = `https://127.0.0.1:9/${encodeURI(text)}?q=${encodeURI(text)}`;
    return {
      slug: SLUGS[index],
      name: text,
      policy: { sign_up: 'open' },
      scope: [{ name: 'reports.read', description: text, consent: 'ask' }],
      client: [{ ...basic, client_name: text, client_uri: address, logo_uri: address, tos_uri: address, policy_uri: address }],
      user: [{ username: 'ada', password: acme.user[0].password, name: text, given_name: text, family_name: text }],
    };
  });
  return { tenant };
}

before(async () => {
  callback = await startCallback();
  // What hashing costs is not looked at here.
  const flags = ['--password-memory-kib', '8'];
  server = await startServer({ callback: callback.url, file: hostile(callback.url), flags });
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await callback?.stop();
  await server?.stop();
});

/** A window that notes whatever a page should not do. */
async function open() {
  const context = await browser.newContext();
  context.setDefaultTimeout(STEP_MILLISECONDS_MAX);
  const page = await context.newPage();
  const faults = [];
  await context.exposeBinding('fault', (_, what) => what && faults.push(what));
  await context.addInitScript(() => {
    globalThis.pwned = () => globalThis.fault('a script ran');
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
      globalThis.fault(`refused by ${violatedDirective}: ${blockedURI}`),
    );
  });
  page.on('dialog', (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('pageerror', (error) => faults.push(`script: ${error.message}`));
  context.on('request', (request) => {
    const url = new URL(request.url());
    const known = [new URL(server.url).host, new URL(callback.url).host].includes(url.host);
    // The one thing that a page fetches from a client is its logo.
    const logo = url.host === '127.0.0.1:9' && request.resourceType() === 'image';
    if (!(known || logo) || url.pathname.startsWith('/beacon')) {
      faults.push(`a request: ${request.url()}`);
    }
  });
  // What the page has told so far has arrived once a call of ours has.
  const settle = () => page.evaluate(() => globalThis.fault(null));
  return { context, page, faults, settle };
}

// Spaces are shown as one, and a heading may be cut into lines: only the other characters are compared.
const bare = (text) => text.replace(/\s+/gu, '');

/** Looks at the page that is open: nothing of the text became an element or an attribute, and each of `shown` is there as text. */
async function inspect({ page, faults, settle }, title, ...shown) {
  const { made, text, links } = await page.evaluate(() => ({
    made: [...document.querySelectorAll('x-pwned, [x-pwned], [onfocus], [onmouseover], iframe, svg, math, base, meta[http-equiv]')].map(
      (element) => element.outerHTML,
    ),
    text: document.documentElement.textContent,
    links: [...document.querySelectorAll('[href], [src], [action], [formaction]')].flatMap((element) =>
      ['href', 'src', 'action', 'formaction'].filter((name) => element.hasAttribute(name)).map((name) => element[name]),
    ),
  }));
  assert.deepEqual(made, [], title);
  for (const link of links) {
    assert.match(link, /^https?:/, title);
  }
  for (const each of shown) {
    assert.ok(bare(text).includes(bare(each)), `${title} does not show ${each}\n${text}`);
  }
  await settle();
  assert.deepEqual(faults, [], title);
}

const click = (page, selector) => Promise.all([page.waitForNavigation({ waitUntil: 'load' }), page.click(selector)]);

async function walk(visit, slug, text) {
  const { page } = visit;
  const { issuer, user } = server.tenants[slug];
  const ask = (parameters) =>
    authorization(issuer, 'web-basic', callback.url, { state: text, login_hint: text, ui_locales: text, ...parameters }).url.href;

  await page.goto(`${issuer}/`);
  await inspect(visit, 'home', text);
  for (const parameters of [{ client_id: text }, { redirect_uri: text }, { redirect_uri: `${callback.url}?${text}` }]) {
    await page.goto(ask(parameters));
    assert.equal(new URL(page.url()).origin, server.url);
    await inspect(visit, 'error page', text);
  }
  await page.goto(`${issuer}/${encodeURIComponent(text)}?error=${encodeURIComponent(text)}#${encodeURIComponent(text)}`);
  await inspect(visit, 'not found');
  for (const parameters of [{ scope: text }, { response_type: text }, { prompt: text }, { acr_values: text, prompt: 'none' }]) {
    await page.goto(ask(parameters));
    const answer = new URL(page.url());
    assert.equal(answer.origin, callback.origin);
    assert.equal(answer.searchParams.get('state'), text);
    assert.match(answer.searchParams.get('error_description') ?? '', /^[\x20-\x7e]*$/);
  }

  await page.goto(ask());
  assert.equal(await page.inputValue('#username'), text, 'the hint is not shown as it came');
  await inspect(visit, 'sign-in', text);
  await click(page, '#sign-up-link');
  await page.fill('#name', text);
  await page.fill('#email', `${'a'.repeat(70)}@acme.test`);
  await page.fill('#password', 'short');
  await page.evaluate(() => document.querySelector('main form').setAttribute('novalidate', ''));
  await click(page, '#sign-up-submit');
  assert.equal(await page.inputValue('#name'), text);
  await inspect(visit, 'sign-up, refused', text);

  await page.goto(ask());
  await page.fill('#username', text);
  await page.fill('#password', text);
  await click(page, '#sign-in-submit');
  assert.equal(await page.inputValue('#username'), text.trim());
  await inspect(visit, 'sign-in, refused', text);
  await page.fill('#username', user.username);
  await page.fill('#password', user.password);
  await click(page, '#sign-in-submit');
  assert.ok(await page.$('#consent-deny'), page.url());
  await inspect(visit, 'consent', text);
  assert.match(await page.title(), /\S/);
  assert.equal(await page.locator('#consent-allow').count(), 1);
  await Promise.all([page.waitForURL(`${callback.url}?*`), page.click('#consent-allow')]);
  assert.equal(new URL(page.url()).searchParams.get('state'), text);

  await page.goto(ask({ prompt: 'select_account' }));
  await inspect(visit, 'accounts', text);
  await postTheAnswer(visit, ask({ response_mode: 'form_post' }), text);
  await page.goto(`${issuer}/`);
  await inspect(visit, 'home, signed in', text);

  const bye = new URL('/bye', callback.url).href;
  const leave = new URLSearchParams({ client_id: 'web-basic', post_logout_redirect_uri: bye, state: text, logout_hint: text });
  await page.goto(`${issuer}/oauth/logout?${leave}`);
  await inspect(visit, 'sign-out', text);
  await Promise.all([page.waitForURL(`${bye}?*`), page.click('#logout-confirm')]);
  assert.equal(new URL(page.url()).searchParams.get('state'), text);
}

/** The page that posts: looked at while its script holds still, then sent by hand. */
async function postTheAnswer(visit, address, text) {
  const { page } = visit;
  const ownScript = '**/assets/vestibule.*.js';
  await page.route(ownScript, (route) => route.fulfill({ contentType: 'text/javascript', body: '' }));
  await page.goto(address);
  assert.equal(await page.locator('form').count(), 1);
  assert.equal(await page.locator('form').getAttribute('action'), callback.url);
  assert.equal(await page.inputValue('input[name=state]'), text);
  await inspect(visit, 'form_post', text);
  const before = callback.arrivals.length;
  await Promise.all([page.waitForURL(callback.url), page.click('#form-post-submit')]);
  assert.equal(new URLSearchParams(callback.arrivals[before].body).get('state'), text);
  await page.unroute(ownScript);
}

describe('T37 markup in every field stays text', () => {
  test('T37 the browser of this test does notice a script, a dialog and a request', async () => {
    const visit = await open();
    callback.pages.set('/careless', `<!doctype html><html lang="en"><title>Careless</title>${POLYGLOTS[0]}${POLYGLOTS[2]}`);
    await visit.page.goto(`${callback.origin}/careless`);
    await visit.settle();
    assert.deepEqual(visit.faults.map((fault) => fault.split(':')[0]).toSorted(), ['a dialog', 'a request', 'a script ran']);
    assert.equal(await visit.page.locator('x-pwned').count(), 2);
    await visit.context.close();
  });

  for (const [index, text] of TRIED.entries()) {
    test(`T37 polyglot ${index}: ${text.replace(/[^\x20-\x7e]/g, '?').slice(0, 40)}`, async () => {
      const visit = await open();
      try {
        await walk(visit, SLUGS[index], text);
      } finally {
        await visit.context.close();
      }
    });
  }

  test('T37 an address that a browser would run is no address of a client', async () => {
    const addresses = [
      'javascript:alert(1)',
      'jAvAsCrIpT:alert(1)',
      'java\tscript:alert(1)',
      ' javascript:alert(1)',
      '\u0001javascript:alert(1)',
      'data:text/html,<script>alert(1)</script>',
      'vbscript:msgbox(1)',
      'blob:https://acme.test/1',
      'view-source:javascript:alert(1)',
    ];
    for (const field of ['client_uri', 'logo_uri', 'tos_uri', 'policy_uri', 'redirect_uris', 'post_logout_redirect_uris']) {
      // A list is written as JSON; one bad address among good ones is enough.
      const written = (address) => (field.endsWith('s') ? JSON.stringify([callback.url, address]) : address);
      for (const address of addresses.slice(0, field.endsWith('s') ? 4 : undefined)) {
        const { code, said } = await server.command('client', 'update', 'web-basic', '--set', `${field}=${written(address)}`);
        assert.equal(code, 5, `${field}=${address}: ${code} ${said}`);
        assert.ok(said.includes(field), said);
      }
    }
  });
});
