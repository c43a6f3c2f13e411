// A person with a browser of their own at an example app, and what they do there.

import assert from 'node:assert/strict';

const STEP_MILLISECONDS_MAX = 15_000;

export class Person {
  /** Opens an app's page in a fresh window. `known` are the origins that it may talk to. */
  static async arrive(browser, home, known) {
    const context = await browser.newContext();
    context.setDefaultTimeout(STEP_MILLISECONDS_MAX);
    const person = Object.assign(new Person(), { context, home, strangers: [], faults: [], asked: [] });
    context.on('request', (request) => {
      const url = new URL(request.url());
      if (['http:', 'https:'].includes(url.protocol) && !known.includes(url.origin)) {
        person.strangers.push(request.url());
      }
      if (url.pathname === '/auth') {
        person.asked.push(Object.fromEntries(url.searchParams));
      }
    });
    context.on('weberror', (fault) => person.faults.push(fault.error().message));
    person.page = await context.newPage();
    await person.open(home);
    return person;
  }

  /** The same person in a second tab. */
  async tab() {
    const second = Object.assign(new Person(), this, { page: await this.context.newPage() });
    await second.open(this.home);
    return second;
  }

  async open(url) {
    await this.page.goto(url);
    await this.#ready();
  }

  #ready() {
    return this.page.waitForFunction(() => window.stack);
  }

  /** Runs what leaves the page for the provider; the SDK's promise never settles. */
  async #goAway(leave, argument) {
    await this.page.evaluate(leave, argument);
    await this.page.waitForSelector('h1:text("Choose an account")');
  }

  /** Chooses an account at the provider, or says no (`deny`). */
  async pick(account) {
    const { origin } = new URL(this.home);
    await this.page.click(`button[value="${account}"]`);
    await this.page.waitForURL((url) => url.origin === origin);
  }

  /** Signs in as somebody; answers whether the app takes the person for new (`up`) or known (`in`). */
  async signIn(account, provider = 'google') {
    await this.beginSignIn(provider);
    return this.finishSignIn(account);
  }

  beginSignIn(provider = 'google') {
    return this.#goAway((id) => void window.stack.signInWithOAuth(id), provider);
  }

  async finishSignIn(account) {
    await this.pick(account);
    await this.page.waitForURL(/signed=(in|up)/);
    await this.#ready();
    return new URL(this.page.url()).searchParams.get('signed');
  }

  /** Tries to sign in; answers with what the app's callback page was told. */
  async failToSignIn(account, provider = 'google') {
    await this.beginSignIn(provider);
    await this.pick(account);
    return this.refusal();
  }

  /** Links another account; comes back to where the app was. */
  async link(account, provider, scopes = []) {
    await this.#beginLink(provider, scopes);
    await this.pick(account);
    await this.page.waitForURL((url) => !url.pathname.endsWith('/oauth-callback'));
    await this.#ready();
  }

  async failToLink(account, provider) {
    await this.#beginLink(provider, []);
    await this.pick(account);
    return this.refusal();
  }

  #beginLink(provider, scopes) {
    const leave = async ({ provider, scopes }) => {
      const user = await window.stack.getUser();
      void user.linkConnectedAccount(provider, { scopes });
    };
    return this.#goAway(leave, { provider, scopes });
  }

  /** The error code at the app's callback: one SDK takes it from the address, the other leaves it there. */
  async refusal() {
    await this.page.waitForFunction(() => window.outcome?.done === false);
    const told = new URL(this.page.url()).searchParams.get('errorCode');
    return told ?? (await this.page.evaluate(() => window.outcome.code));
  }

  /** The person as the app's page knows them. */
  user() {
    return this.page.evaluate(async () => (await window.stack.getUser())?.toClientJson() ?? null);
  }

  tokens() {
    return this.page.evaluate(async () => (await window.stack.getUser())?.getAuthJson() ?? null);
  }

  async signOut() {
    await this.page.evaluate(() => void window.stack.signOut());
    await this.page.waitForURL(/signed=out/);
    await this.#ready();
  }

  /** Closes the window, in which nothing may have gone wrong unseen. */
  async leave() {
    await this.context.close();
    assert.deepEqual({ strangers: this.strangers, faults: this.faults }, { strangers: [], faults: [] });
  }
}
