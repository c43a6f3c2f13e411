// Whether a name is known must not be told by the answer to a sign-in, nor by the work behind it.
//
// Wall-clock times on a busy machine say little, and a test that fails by chance says nothing. The work is measured where it is done
// instead: the processor time of the threads that hash, which the kernel counts whatever else runs. One hash and none, or one and two,
// are far apart there.

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { Browser } from './browser.mjs';
import { authorization } from './chromium.mjs';
import { installation, startCallback, startServer } from './server.mjs';

const ROUNDS = 9;
/** How far apart the middle costs may be: half as much again is neither no hash nor a second one. */
const RATIO_MAX = 1.5;

let callback;
let server;

before(async () => {
  callback = await startCallback();
  const file = installation(callback.url);
  const [tenant] = file.tenant;
  tenant.user.push(
    { ...tenant.user[0], username: 'left', email: 'left@acme.test' },
    { username: 'invited', email: 'invited@acme.test', name: 'Nobody yet' },
  );
  const flags = ['--trusted-proxies', '127.0.0.1/32', '--password-threads', '1'];
  server = await startServer({ callback: callback.url, file, flags });
  const { code, said } = await server.command('user', 'disable', 'left');
  assert.equal(code, 0, said);
});

after(async () => {
  await callback?.stop();
  await server?.stop();
});

/** Nanoseconds that the hashing threads have run. */
function hashed() {
  const tasks = `/proc/${server.pid()}/task`;
  const threads = readdirSync(tasks).filter((task) => readFileSync(`${tasks}/${task}/comm`, 'utf8').startsWith('hash-'));
  assert.equal(threads.length, 1);
  const [nanoseconds] = readFileSync(`${tasks}/${threads[0]}/schedstat`, 'utf8').split(' ').map(Number);
  assert.ok(nanoseconds > 0, 'this kernel does not count what threads run');
  return nanoseconds;
}

/** One failed sign-in from an address of its own: what it cost, and the answer without what every answer has of its own. */
async function attempt(name, within) {
  const browser = new Browser(server.url, { 'x-forwarded-for': `203.0.${randomInt(256)}.${randomInt(256)}` });
  const page = await browser.visit(within());
  const before = hashed();
  const refused = await browser.submit(page.forms[0], { username: name, password: 'not the password of anybody' });
  const cost = hashed() - before;
  const headers = Object.entries(refused.headers).filter(([name]) => name !== 'date');
  const text = refused.text
    .replaceAll(/(name="csrf" value=")[^"]+/g, '$1')
    .replaceAll(/(request=)[\w-]+/g, '$1')
    .replaceAll(name, 'NAME');
  const length = headers.findIndex(([name]) => name === 'content-length');
  headers.splice(length, 1);
  return { cost, answer: JSON.stringify([refused.status, headers, text.length, text]) };
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

describe('T42 a stranger does not learn whether a name is known', () => {
  const places = {
    'at the front door': () => `${server.url}/sign-in`,
    'on the way to a client': () => authorization(server.url, 'web-basic', callback.url, { login_hint: 'somebody' }).url,
  };
  for (const [place, within] of Object.entries(places)) {
    test(`T42 neither by the answer nor by the work behind it: ${place}`, async () => {
      const kinds = {
        'known': 'ada',
        'known by address': 'ada@acme.test',
        'known in capitals': 'ADA',
        'disabled': 'left',
        'without a password': 'invited',
        'known elsewhere only': 'root@globex.test',
        'unknown': 'nobody-here',
        'unknown address': 'nobody@acme.test',
      };
      const costs = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
      const answers = new Map();
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const [kind, name] of Object.entries(kinds)) {
          const { cost, answer } = await attempt(name, within);
          costs[kind].push(cost);
          answers.set(answer, kind);
        }
      }
      assert.deepEqual([...answers.values()], ['unknown address'], [...answers.keys()].join('\n\n'));
      const known = median(costs.known);
      assert.ok(known > 1_000_000, `a hash that takes ${known} ns is none`);
      for (const [kind, each] of Object.entries(costs)) {
        const ratio = median(each) / known;
        assert.ok(ratio < RATIO_MAX && ratio > 1 / RATIO_MAX, `${kind}: ${ratio.toFixed(2)} times the work of a known name`);
      }
    });
  }
});
