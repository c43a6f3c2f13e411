// A visit to the hosted pages in a real browser, in a window of one kind. Each page is looked at by axe, reached by keyboard, and kept as a
// picture.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const AXE_TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const STEP_MILLISECONDS_MAX = 15_000;

const here = path.dirname(fileURLToPath(import.meta.url));
const target = process.env.VESTIBULE_TEST_TARGET ?? path.join(here, '../../target');

/** An empty folder for the pictures of a file of tests, below `screenshots/` in the build folder. */
export function pictureFolder(...names) {
  const engine = process.env.VESTIBULE_TEST_POSTGRES ? 'postgres' : 'sqlite';
  const folder = path.join(target, 'screenshots', ...names, engine);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A browser window of one kind, whose faults are collected: script errors, refused content, requests to strangers. */
export class Visit {
  constructor(context, page, { kind, server, callback, others = [], screenshots }) {
    Object.assign(this, { context, page, kind, callback, screenshots, faults: [] });
    const allowed = [server.url, callback.url, ...others].map((url) => new URL(url).host);
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

  /**
   * Opens a window of a `kind` (`{ scripts, width, scheme }`) for a person who goes from `callback`'s client to `server` and back;
   * `others` are further addresses that it may talk to, `screenshots` the folder of its pictures.
   */
  static async open(browser, place) {
    const { kind } = place;
    const context = await browser.newContext({
      viewport: { width: kind.width, height: 844 },
      colorScheme: kind.scheme,
      javaScriptEnabled: kind.scripts,
      locale: 'en-GB',
      reducedMotion: 'reduce',
    });
    context.setDefaultTimeout(STEP_MILLISECONDS_MAX);
    return new Visit(context, await context.newPage(), place);
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
    await page.screenshot({ path: path.join(this.screenshots, file), fullPage: true });
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
    await this.page.waitForURL((url) => url.href.startsWith(this.callback.url));
    return new URL(this.page.url()).searchParams;
  }
}
