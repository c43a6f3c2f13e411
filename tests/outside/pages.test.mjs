// A real browser on every hosted page: with scripts and without, on a phone and on a desk, in light and in dark.
// Each page is looked at by axe, reached by keyboard, and kept as a picture under `screenshots/` in the build folder.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';

import { launchChromium } from './chromium.mjs';
import { startCallback, startServer } from './server.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const AXE_TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const STEP_MILLISECONDS_MAX = 15_000;

const engine = process.env.VESTIBULE_TEST_POSTGRES ? 'postgres' : 'sqlite';
const here = path.dirname(fileURLToPath(import.meta.url));
const target = process.env.VESTIBULE_TEST_TARGET ?? path.join(here, '../../target');
const screenshots = path.join(target, 'screenshots', engine);

let callback;
let server;
let browser;

before(async () => {
  rmSync(screenshots, { recursive: true, force: true });
  mkdirSync(screenshots, { recursive: true });
  callback = await startCallback();
  server = await startServer({ callback: callback.url });
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await callback?.stop();
  await server?.stop();
});

/** A browser window of one kind, whose faults are collected: script errors, refused content, requests to strangers. */
class Visit {
  constructor(context, page, kind) {
    Object.assign(this, { context, page, kind, faults: [] });
    const allowed = [new URL(server.url).host, new URL(callback.url).host];
    page.on('console', (message) => {
      // The answer to the page itself may be an error on purpose; the browser says so on the console.
      const own = message.text().startsWith('Failed to load resource') && message.location().url === page.url();
      if (message.type() === 'error' && !own) {
        this.faults.push(`console: ${message.text()} (${message.location().url})`);
      }
    });
    page.on('pageerror', (error) => this.faults.push(`script: ${error.message}`));
    context.on('request', (request) => {
      const url = new URL(request.url());
      if (['http:', 'https:', 'ws:', 'wss:'].includes(url.protocol) && !allowed.includes(url.host)) {
        this.faults.push(`request to a stranger: ${request.url()}`);
      }
    });
    context.on('response', (response) => {
      const isOwn = response.url().startsWith(server.url) && response.request().resourceType() !== 'document';
      if (isOwn && response.status() >= 400) {
        this.faults.push(`${response.status()}: ${response.url()}`);
      }
    });
  }

  static async open(kind) {
    const context = await browser.newContext({
      viewport: { width: kind.width, height: 844 },
      colorScheme: kind.scheme,
      javaScriptEnabled: kind.scripts,
      locale: 'en-GB',
      reducedMotion: 'reduce',
    });
    context.setDefaultTimeout(STEP_MILLISECONDS_MAX);
    return new Visit(context, await context.newPage(), kind);
  }

  async close() {
    await this.context.close();
    assert.deepEqual(this.faults, []);
  }

  /** Everything that a page must be, in this kind of window. */
  async inspect(name) {
    const { page, kind } = this;
    await page.waitForLoadState('load');
    const file = `${name}-${kind.width}-${kind.scheme}-${kind.scripts ? 'scripts' : 'plain'}.png`;
    await page.screenshot({ path: path.join(screenshots, file), fullPage: true });
    assert.match(await page.title(), /\S/, `${name} has no title`);
    const [wide, room] = await page.evaluate(() => [
      document.scrollingElement.scrollWidth,
      document.documentElement.clientWidth,
    ]);
    assert.ok(wide <= room, `${name} is ${wide} px wide in a window of ${room} px`);
    if (kind.scripts) {
      assert.deepEqual(await this.#axe(), [], `${name}: axe`);
    }
    assert.deepEqual(await this.#unreachable(), [], `${name}: not reachable with the keyboard`);
    assert.deepEqual(this.faults, [], name);
  }

  async #axe() {
    await this.page.evaluate(AXE);
    return this.page.evaluate(async (tags) => {
      const { violations } = await globalThis.axe.run(document, { runOnly: tags });
      return violations.map(({ id, help, nodes }) => ({ id, help, at: nodes.map(({ html }) => html) }));
    }, AXE_TAGS);
  }

  /** The controls that the Tab key never comes to. Of a group of radio buttons it comes to one. */
  async #unreachable() {
    const { page } = this;
    const count = await page.evaluate(() => {
      const seen = new Set();
      globalThis.controls = [
        ...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]'),
      ].filter((element) => {
        const group = element.type === 'radio' ? `${element.form?.id}/${element.name}` : null;
        const repeated = group !== null && seen.has(group);
        seen.add(group);
        return !repeated && !element.disabled && element.type !== 'hidden' && element.checkVisibility();
      });
      globalThis.reached = new Set();
      return globalThis.controls.length;
    });
    // Once around from wherever the focus starts, with room for the browser's own stops.
    for (let pressed = 0; pressed < 2 * count + 4; pressed += 1) {
      await page.keyboard.press('Tab');
      const left = await page.evaluate(() => {
        const at = document.activeElement;
        const index = globalThis.controls.findIndex(
          (element) => element === at || (element.type === 'radio' && at.type === 'radio' && element.name === at.name),
        );
        globalThis.reached.add(index);
        return globalThis.controls.filter((_, control) => !globalThis.reached.has(control)).length;
      });
      if (left === 0) {
        break;
      }
    }
    return page.evaluate(() =>
      globalThis.controls
        .filter((_, control) => !globalThis.reached.has(control))
        .map((element) => element.outerHTML.slice(0, 200)),
    );
  }

  /** Clicks, and waits for the page that the click leads to. */
  async click(selector) {
    await Promise.all([this.page.waitForNavigation({ waitUntil: 'load' }), this.page.click(selector)]);
  }

  async fill(fields) {
    for (const [id, value] of Object.entries(fields)) {
      await this.page.fill(`#${id}`, value);
    }
  }

  at(pathname) {
    assert.equal(new URL(this.page.url()).pathname, pathname);
  }

  /** What the client received: the parameters of the address that the browser stands at. */
  async received() {
    await this.page.waitForURL((url) => url.href.startsWith(callback.url));
    return new URL(this.page.url()).searchParams;
  }
}

/** An authorization request as a client writes it; nothing is redeemed here, so the verifier is forgotten. */
function authorize(clientId, parameters = {}) {
  const { issuer } = server.tenants.default;
  const url = new URL(`${issuer}/oauth/authorize`);
  const challenge = createHash('sha256').update(randomBytes(32)).digest('base64url');
  url.search = new URLSearchParams({
    client_id: clientId,
    redirect_uri: callback.url,
    response_type: 'code',
    scope: 'openid profile email reports.read',
    state: randomBytes(12).toString('base64url'),
    nonce: randomBytes(12).toString('base64url'),
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...parameters,
  });
  return url;
}

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
      const visit = await Visit.open(kind);
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
    const visit = await Visit.open({ scripts: true, width: 1280, scheme: 'light' });
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
    const visit = await Visit.open({ scripts: false, width: 390, scheme: 'dark' });
    await visit.page.goto(authorize('web-basic', { scope: 'openid' }).href);
    await signIn(visit, server.tenants.default.user);
    await visit.page.goto(authorize('web-post', { scope: 'openid reports.read' }).href);
    visit.at('/consent');
    await visit.click('#consent-allow');
    assert.ok((await visit.received()).get('code'));
    await visit.close();
  });
});
