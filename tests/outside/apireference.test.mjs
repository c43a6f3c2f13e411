// An API reference that others wrote (Swagger UI) on an origin of its own, in a real browser: a docs host that knows its reader with
// nothing but settings. It speaks PKCE from the page, has no secret, and its "Try it out" calls the Info API.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { launchChromium } from './chromium.mjs';
import { installation, startServer } from './server.mjs';

const STEP_MILLISECONDS_MAX = 20_000;
const ASSETS = path.dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const MEDIA_TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html' };

let reference;
let server;
let browser;

/** Serves the vendor's files as they are, and beside them what an installation of it writes: a page and a description. */
async function startReference() {
  const pages = new Map();
  const http = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://127.0.0.1');
    const own = pages.get(pathname);
    const vendor = /^\/swagger-ui(-bundle)?\.(css|js)$|^\/oauth2-redirect\.(html|js)$/.test(pathname);
    if (!own && !vendor) {
      response.writeHead(404).end();
      return;
    }
    const type = MEDIA_TYPES[path.extname(pathname)] ?? (pathname === '/' ? 'text/html' : 'application/json');
    response.writeHead(200, { 'content-type': `${type}; charset=utf-8` });
    response.end(own ?? readFileSync(path.join(ASSETS, pathname)));
  });
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${http.address().port}`,
    pages,
    stop: () =>
      new Promise((resolve) => {
        http.closeAllConnections();
        http.close(resolve);
      }),
  };
}

/** The five settings, as this product wants them: in the API's description, and the client id beside it. */
function configure(settings) {
  const description = {
    openapi: '3.1.0',
    info: { title: 'Acme docs', version: '1' },
    servers: [{ url: new URL('/', settings.infoUrl).origin }],
    paths: {
      [new URL(settings.infoUrl).pathname]: {
        get: { operationId: 'whoAmI', responses: { 200: { description: 'You' } }, security: [{ reader: settings.scopes }] },
      },
    },
    components: {
      securitySchemes: {
        reader: {
          type: 'oauth2',
          flows: {
            authorizationCode: {
              authorizationUrl: settings.authorizationUrl,
              tokenUrl: settings.tokenUrl,
              scopes: Object.fromEntries(settings.scopes.map((scope) => [scope, 'Know the reader'])),
            },
          },
        },
      },
    },
  };
  const start = `window.ui = SwaggerUIBundle({
    url: '/openapi.json', dom_id: '#reference', validatorUrl: null, oauth2RedirectUrl: location.origin + '/oauth2-redirect.html' });
  window.ui.initOAuth({ clientId: ${JSON.stringify(settings.clientId)}, usePkceWithAuthorizationCodeGrant: true });`;
  reference.pages.set('/openapi.json', JSON.stringify(description));
  reference.pages.set(
    '/',
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>Reference</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/swagger-ui.css"><div id="reference"></div><script src="/swagger-ui-bundle.js"></script><script>${start}</script></html>`,
  );
}

before(async () => {
  reference = await startReference();
  const file = installation(`${reference.origin}/oauth2-redirect.html`);
  const [tenant] = file.tenant;
  tenant.client.push({
    client_id: 'reference',
    client_name: 'Acme Reference',
    redirect_uris: [`${reference.origin}/oauth2-redirect.html`],
    token_endpoint_auth_method: 'none',
    scope: 'docs-user-info',
    allowed_origins: [reference.origin],
    // It signs people in in a window that it opens, and that window speaks to it at the end.
    policy: { popups: true },
  });
  tenant.docs_profile = {
    shared_session_origins: [reference.origin],
    content: { firstName: 'given_name', plan: 'public_metadata.plan' },
    playground: { header: { 'X-Crm-Id': 'private_metadata.crm_id' } },
  };
  tenant.endpoint_aliases = { authorization: '/authorization', token: '/exchange' };
  server = await startServer({ callback: `${reference.origin}/oauth2-redirect.html`, file });
  browser = await launchChromium();
});

after(async () => {
  await browser?.close();
  await reference?.stop();
  await server?.stop();
});

/** A reader at the reference, and the requests that their page makes there and here. */
async function arrive() {
  const context = await browser.newContext();
  context.setDefaultTimeout(STEP_MILLISECONDS_MAX);
  const asked = [];
  context.on('request', (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
  const page = await context.newPage();
  await page.goto(reference.origin);
  await page.waitForSelector('.btn.authorize');
  return { context, page, asked };
}

/** Opens the product's sign-in dialogue and answers with the window that it opens. */
async function beginSignIn({ context, page }, scopes) {
  await page.click('.btn.authorize');
  for (const scope of scopes) {
    await page.click(`.scopes label[for^="${scope}-authorizationCode"]`);
  }
  const [popup] = await Promise.all([context.waitForEvent('page'), page.click('.auth-container .btn.authorize')]);
  await popup.waitForSelector('#username');
  return popup;
}

async function signIn(popup) {
  const { username, password } = server.tenants.default.user;
  await popup.fill('#username', username);
  await popup.fill('#password', password);
  await popup.click('#sign-in-submit');
  await popup.waitForSelector('#consent-allow');
}

/** "Try it out", and what the product shows as the answer: the status and the body. */
async function tryItOut(page) {
  await page.click('.opblock-summary-control');
  await page.click('.try-out__btn');
  await page.click('.execute');
  const status = page.locator('.live-responses-table .response-col_status').nth(1);
  await status.waitFor();
  const shown = page.locator('.live-responses-table .highlight-code, .live-responses-table .response-col_description pre').first();
  return { status: (await status.innerText()).trim(), body: await shown.innerText() };
}

const settings = (change = {}) => ({
  authorizationUrl: `${server.url}/authorization`,
  clientId: 'reference',
  scopes: ['docs-user-info'],
  tokenUrl: `${server.url}/exchange`,
  infoUrl: `${server.url}/docs/user-info`,
  ...change,
});

async function knowsItsReader(change, scopes) {
  configure(settings(change));
  const reader = await arrive();
  const popup = await beginSignIn(reader, scopes);
  await signIn(popup);
  const faults = [];
  popup.on('pageerror', (error) => faults.push(error.message));
  assert.match(await popup.innerText('body'), /Acme Reference/);
  await Promise.all([popup.waitForEvent('close'), popup.click('#consent-allow')]);
  assert.deepEqual(faults, []);
  await reader.page.waitForSelector('.auth-container :text("Logout")');
  await reader.page.click('.btn-done, .close-modal');
  const { status, body } = await tryItOut(reader.page);
  assert.equal(status.split(/\s/)[0], '200', body);
  const user = JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1));
  assert.ok(user.expiresAt > Date.now() / 1000 && user.expiresAt < Date.now() / 1000 + 90_000, body);
  delete user.expiresAt;
  assert.deepEqual(user, {
    groups: ['admin'],
    content: { firstName: 'Ada', plan: 'pro' },
    apiPlaygroundInputs: { header: { 'X-Crm-Id': '42' } },
  });
  // The page called both of them itself, with a preflight where a header of its own went along.
  assert.ok(reader.asked.includes(`POST ${new URL(settings(change).tokenUrl).pathname}`), reader.asked.join('\n'));
  assert.ok(reader.asked.includes('GET /docs/user-info'));
  return reader;
}

describe('seed_000 an API reference on another origin knows its reader', () => {
  test('seed_000 with five settings and the endpoints at places of their own', async () => {
    const reader = await knowsItsReader({}, ['docs-user-info']);
    await reader.context.close();
  });

  test('seed_000 with no scope chosen, and an authorization URL that has a query already', async () => {
    const change = {
      authorizationUrl: `${server.url}/oauth/authorize?audience=docs`,
      tokenUrl: `${server.url}/oauth/token`,
    };
    const reader = await knowsItsReader(change, []);
    await reader.context.close();
  });

  test('seed_000 without signing in the Info API says 401 and the page can read it', async () => {
    configure(settings());
    const { context, page } = await arrive();
    const { status, body } = await tryItOut(page);
    assert.equal(status.split(/\s/)[0], '401', body);
    assert.match(body, /invalid_token/);
    await context.close();
  });

  test('seed_000 t48 a listed origin of the same site asks with the cookie, another one learns nothing', async () => {
    const reader = await knowsItsReader({}, ['docs-user-info']);
    const ask = (page) =>
      page.evaluate(async (url) => {
        try {
          const answer = await fetch(url, { credentials: 'include' });
          return { status: answer.status, body: await answer.json() };
        } catch (error) {
          return { error: error.name };
        }
      }, `${server.url}/docs/user-info`);
    const told = await ask(reader.page);
    assert.equal(told.status, 200);
    assert.equal(told.body.content.firstName, 'Ada');
    // The same page by another name of this machine: another site, which nobody listed.
    await reader.page.goto(reference.origin.replace('127.0.0.1', 'localhost'));
    assert.deepEqual(await ask(reader.page), { error: 'TypeError' });
    await reader.context.clearCookies();
    await reader.page.goto(reference.origin);
    assert.equal((await ask(reader.page)).status, 401);
    await reader.context.close();
  });
});
