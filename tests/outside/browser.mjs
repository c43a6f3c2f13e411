// A browser of a few lines over plain HTTP: keeps cookies, follows redirects, sends forms, runs no script, and stops where it
// would leave the server under test. It sends the headers by which a server tells a navigation from a script's request.

import { request } from 'node:http';

const REDIRECTS_MAX = 20;
const PAGES_MAX = 12;

export class Browser {
  #cookies = new Map();

  /** `headers` go with every request: the address that a proxy in front would name, say. */
  constructor(origin, headers = {}) {
    this.origin = new URL(origin).origin;
    this.headers = headers;
  }

  /** Visits a URL. The answer is a page (`status`, `url`, `forms`, `text`), or `left`: the request that goes to somebody else. */
  visit(url) {
    return this.#navigate({ method: 'GET', url: new URL(url), site: 'none' });
  }

  /** Sends a form with some fields filled, by the button that matches. */
  submit(form, values = {}, button = null) {
    const fields = new URLSearchParams();
    for (const [name, value] of form.fields) {
      fields.append(name, values[name] ?? value);
    }
    if (button?.name) {
      fields.append(button.name, button.value);
    }
    const url = new URL(button?.action ?? form.action);
    const site = 'same-origin';
    if (form.method === 'get') {
      url.search = fields.toString();
      return this.#navigate({ method: 'GET', url, site });
    }
    return this.#navigate({ method: 'POST', url, site, body: fields.toString() });
  }

  /** Does what each page asks until the browser goes back to the client: signs in, allows, sends what is to be sent on. */
  async authorize(url, { username, password }) {
    let page = await this.visit(url);
    for (let seen = 0; seen < PAGES_MAX && !page.left; seen += 1) {
      page = await this.#answer(page, { username, password });
    }
    if (!page.left) {
      throw new Error(`still at ${page.url} after ${PAGES_MAX} pages\n${page.text}`);
    }
    return page.left;
  }

  async #answer(page, { username, password }) {
    for (const form of page.forms) {
      const names = form.fields.map(([name]) => name);
      const allow = form.buttons.find((button) => button.id === 'consent-allow');
      if (names.includes('username') && names.includes('password') && form.method === 'post') {
        const button = form.buttons.find((candidate) => candidate.id === 'sign-in-submit');
        return this.submit(form, { username, password }, button);
      }
      if (allow) {
        if (allow.name !== 'decision' || allow.value !== 'allow') {
          throw new Error(`the button that allows says ${allow.name}=${allow.value}`);
        }
        return this.submit(form, {}, allow);
      }
      if (names.includes('code') || names.includes('error')) {
        return this.submit(form);
      }
    }
    throw new Error(`nothing to answer at ${page.url} (${page.status})\n${page.text}`);
  }

  async #navigate({ method, url, site, body }) {
    for (let hop = 0; hop < REDIRECTS_MAX; hop += 1) {
      if (url.origin !== this.origin) {
        return { left: { method, url, body: body ?? null } };
      }
      const answer = await this.#send({ method, url, site, body });
      this.#keep(answer.headers['set-cookie'] ?? []);
      const location = answer.headers.location;
      if (answer.status < 300 || answer.status > 399 || !location) {
        return page(answer, url);
      }
      // A POST that is redirected becomes a GET, but for 307 and 308 (RFC 9110, 15.4).
      if (answer.status !== 307 && answer.status !== 308) {
        method = 'GET';
        body = undefined;
      }
      url = new URL(location, url);
    }
    throw new Error(`more than ${REDIRECTS_MAX} redirects, the last to ${url}`);
  }

  #send({ method, url, site, body }) {
    const headers = {
      ...this.headers,
      accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
      'accept-language': 'en',
      'sec-fetch-site': site,
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
      'sec-fetch-user': '?1',
    };
    if (this.#cookies.size > 0) {
      headers.cookie = [...this.#cookies].map(([name, { value }]) => `${name}=${value}`).join('; ');
    }
    if (method === 'POST') {
      headers.origin = this.origin;
      headers['content-type'] = 'application/x-www-form-urlencoded';
      headers['content-length'] = Buffer.byteLength(body);
    }
    return new Promise((resolve, reject) => {
      const sent = request(url, { method, headers, agent: false, timeout: 30_000 }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => (text += part));
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, text }),
        );
        response.on('error', reject);
      });
      sent.on('timeout', () => sent.destroy(new Error(`${method} ${url}: no answer`)));
      sent.on('error', reject);
      sent.end(body);
    });
  }

  #keep(lines) {
    for (const line of lines) {
      const [pair, ...attributes] = line.split(';').map((part) => part.trim());
      const at = pair.indexOf('=');
      const name = pair.slice(0, at);
      const gone = attributes.some((attribute) => {
        const [key, value] = attribute.split('=');
        return (
          (/^max-age$/i.test(key) && Number(value) <= 0) ||
          (/^expires$/i.test(key) && Date.parse(value) <= Date.now())
        );
      });
      if (gone) {
        this.#cookies.delete(name);
      } else {
        this.#cookies.set(name, { value: pair.slice(at + 1) });
      }
    }
  }
}

function page({ status, headers, text }, url) {
  return { status, headers, text, url, forms: forms(text, url) };
}

/** The forms of a page, as far as hosted pages need: inputs, text areas, selects and buttons inside the form element. */
export function forms(html, base) {
  return [...html.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gis)].map(([, opening, inner]) => {
    const own = attributes(opening);
    const fields = [];
    for (const [, text] of inner.matchAll(/<input\b([^>]*)>/gis)) {
      const input = attributes(text);
      const type = (input.type ?? 'text').toLowerCase();
      const off = ['checkbox', 'radio'].includes(type) && input.checked === undefined;
      if (input.name && !off && !['submit', 'button', 'image'].includes(type)) {
        fields.push([input.name, input.value ?? (type === 'checkbox' ? 'on' : '')]);
      }
    }
    for (const [, text, content] of inner.matchAll(/<textarea\b([^>]*)>(.*?)<\/textarea>/gis)) {
      fields.push([attributes(text).name, decode(content)]);
    }
    for (const [, text, content] of inner.matchAll(/<select\b([^>]*)>(.*?)<\/select>/gis)) {
      const options = [...content.matchAll(/<option\b([^>]*)>/gis)].map(([, option]) => attributes(option));
      const chosen = options.find((option) => option.selected !== undefined) ?? options[0];
      fields.push([attributes(text).name, chosen?.value ?? '']);
    }
    const buttons = [...inner.matchAll(/<button\b([^>]*)>/gis)].map(([, text]) => {
      const button = attributes(text);
      return {
        id: button.id,
        name: button.name,
        value: button.value ?? '',
        action: button.formaction && new URL(button.formaction, base).href,
      };
    });
    return {
      id: own.id,
      action: new URL(own.action || base, base).href,
      method: (own.method ?? 'get').toLowerCase(),
      fields,
      buttons,
    };
  });
}

function attributes(text) {
  const found = {};
  for (const [, name, double, single, bare] of text.matchAll(
    /([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?/g,
  )) {
    found[name.toLowerCase()] ??= decode(double ?? single ?? bare ?? '');
  }
  return found;
}

const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decode(text) {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal) return String.fromCodePoint(Number(decimal));
    return ENTITIES[name.toLowerCase()] ?? whole;
  });
}
