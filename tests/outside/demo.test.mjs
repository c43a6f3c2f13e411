// The first five minutes of somebody new: `vestibule demo` in an empty folder, its link in a browser, and everything that can be pressed
// there. Each page is looked at by axe and kept as a picture under `screenshots/demo/` in the build folder.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { launchChromium } from './chromium.mjs';
import { run, stopWell } from './server.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const AXE_TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const STEP_MILLISECONDS_MAX = 15_000;
const START_SECONDS_MAX = 60;
const WIDTHS = [390, 1280];

// The demo keeps its records in a file of its own, whatever the rest of this run keeps them in: once is enough.
const skip = Boolean(process.env.VESTIBULE_TEST_POSTGRES);

const here = path.dirname(fileURLToPath(import.meta.url));
const target = process.env.VESTIBULE_TEST_TARGET ?? path.join(here, '../../target');
const screenshots = path.join(target, 'screenshots', 'demo');

let folder;
let demo;
let link;
let browser;

/** What a new person's shell has: a folder with nothing in it, a home, and no settings. */
before(async () => {
  if (skip) {
    return;
  }
  rmSync(screenshots, { recursive: true, force: true });
  mkdirSync(screenshots, { recursive: true });
  folder = mkdtempSync(path.join(tmpdir(), 'vestibule-newcomer-'));
  for (const name of ['here', 'temporary']) {
    mkdirSync(path.join(folder, name));
  }
  demo = run(['demo'], {
    cwd: path.join(folder, 'here'),
    env: { PATH: process.env.PATH, HOME: path.join(folder, 'here'), TMPDIR: path.join(folder, 'temporary') },
  });
  let end = null;
  demo.ended.then((how) => (end = how));
  for (const deadline = Date.now() + START_SECONDS_MAX * 1000; !link && Date.now() < deadline && !end; ) {
    link = demo.log().match(/^ *(http:\/\/\S+)$/m)?.[1];
    await sleep(25);
  }
  assert.ok(link, `the demo printed no link: ${JSON.stringify(end)}\n${demo.log()}`);
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  if (demo) {
    await stopWell(demo);
  }
  if (folder) {
    rmSync(folder, { recursive: true, force: true });
  }
});

async function open(width) {
  const context = await browser.newContext({
    viewport: { width, height: 844 },
    locale: 'en-GB',
    reducedMotion: 'reduce',
  });
  context.setDefaultTimeout(STEP_MILLISECONDS_MAX);
  const page = await context.newPage();
  const faults = [];
  page.on('console', (message) => {
    // A refusal that the demo shows is an error to the browser.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
      faults.push(`console: ${message.text()}`);
    }
  });
  page.on('pageerror', (error) => faults.push(`script: ${error.message}`));
  context.on('request', (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol.startsWith('http') && hostname !== '127.0.0.1') {
      faults.push(`request to a stranger: ${request.url()}`);
    }
  });
  return { context, page, width, faults };
}

/** The page in light and in dark. */
async function look({ page, width, faults }, name) {
  await page.waitForLoadState('load');
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: path.join(screenshots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
  }
  const [wide, room] = await page.evaluate(() => [
    document.scrollingElement.scrollWidth,
    document.documentElement.clientWidth,
  ]);
  assert.ok(wide <= room, `${name} is ${wide} px wide in a window of ${room} px`);
  assert.deepEqual(faults, [], name);
}

/** What axe says of the app's page; the pages of the server have a test of their own. */
async function examine(page) {
  await page.evaluate(AXE);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const violations = await page.evaluate(async (tags) => {
      const found = await globalThis.axe.run(document, { runOnly: tags });
      return found.violations.map(({ id, nodes }) => ({ id, at: nodes.map(({ html }) => html) }));
    }, AXE_TAGS);
    assert.deepEqual(violations, [], colorScheme);
  }
}

const state = (page, step) => page.getAttribute(`#${step}`, 'data-state');
const says = (page, words) => page.waitForFunction((text) => document.getElementById('status')?.textContent.includes(text), words);

async function journey(visit) {
  const { page } = visit;
  const name = 'Mary Somerville';
  await page.goto(link);
  await page.waitForSelector('#sign-up');
  await look(visit, '1-the-app');

  await page.click('#sign-up');
  await page.waitForSelector('#sign-up-submit');
  await look(visit, '2-sign-up');
  await page.fill('#name', name);
  await page.fill('#email', `${randomBytes(5).toString('hex')}@example.com`);
  await page.fill('#password', `telescope ${randomBytes(9).toString('base64url')}`);
  await page.click('#sign-up-submit');

  await page.waitForSelector('#consent-allow');
  await look(visit, '3-consent');
  await page.click('#consent-allow');

  await says(page, 'is signed in. Every check passed.');
  assert.ok((await page.textContent('#title')).includes(name));
  for (const step of ['request', 'answer', 'tokens', 'userinfo']) {
    assert.equal(await state(page, step), 'done', step);
  }
  assert.match(await page.textContent('#tokens'), /ID token/);
  assert.ok((await page.textContent('#userinfo')).includes(name));
  assert.equal(new URL(page.url()).search, '', 'the code stays in the address');
  await look(visit, '4-signed-in');

  for (let time = 1; time <= 2; time += 1) {
    await page.click('#refresh-button');
    await page.waitForFunction((words) => document.getElementById('refresh').textContent.includes(words), time === 1 ? 'Refreshed once' : 'Refreshed 2 times');
  }
  assert.equal(await state(page, 'refresh'), 'done');
  await page.click('#revoke-button');
  await says(page, 'The tokens are revoked');
  await look(visit, '5-refreshed-and-revoked');
  await page.click('#refresh-button');
  await says(page, 'The server said no: invalid_grant');
  assert.equal(await state(page, 'refresh'), 'refused');

  // The app names the very session by its ID token, so nothing is asked.
  await page.click('#sign-out-button');
  await says(page, 'Signed out, here and at the server.');
  assert.equal(await state(page, 'sign-out'), 'done');
  // Nothing outlived it: the tokens had been revoked.
  assert.doesNotMatch(await page.textContent('#sign-out'), /outlives/);
  await look(visit, '6-signed-out');
  await examine(page);
  await page.click('#sign-in');
  await page.waitForSelector('#sign-in-submit');
}

describe('a newcomer tries the demo', { skip }, () => {
  for (const width of WIDTHS) {
    test(`signs up, allows, reads the tokens, refreshes, revokes and signs out: ${width} px`, async () => {
      const visit = await open(width);
      try {
        await journey(visit);
      } catch (error) {
        await visit.page.screenshot({ path: path.join(screenshots, `failed-${width}.png`) });
        error.message += `\n  at ${visit.page.url()}\n  ${visit.faults.join('\n  ')}`;
        throw error;
      } finally {
        await visit.context.close();
      }
    });
  }

  test('signs in as somebody whose password the page shows', async () => {
    const visit = await open(WIDTHS[0]);
    const { page } = visit;
    await page.goto(link);
    await page.waitForSelector('#sign-in');
    const [username, password] = await page.locator('.person dd code').allTextContents();
    await page.click('#sign-in');
    await page.waitForSelector('#sign-in-submit');
    await page.fill('#username', username);
    await page.fill('#password', password);
    await page.click('#sign-in-submit');
    await page.waitForSelector('#consent-deny');
    await page.click('#consent-deny');
    await says(page, 'The server said no: access_denied');
    assert.deepEqual(visit.faults, []);
    await visit.context.close();
  });

  test('stops it, and nothing of it is left', async () => {
    assert.equal(readdirSync(path.join(folder, 'here')).length, 0, 'it wrote where it was started');
    assert.notEqual(readdirSync(path.join(folder, 'temporary')).length, 0);
    assert.doesNotMatch(demo.log(), /warn|error|panicked/i);
    const ending = demo;
    demo = null;
    await stopWell(ending);
    for (const name of ['here', 'temporary']) {
      assert.deepEqual(readdirSync(path.join(folder, name)), []);
    }
  });
});
