// The process is killed while people sign up, consent, redeem and refresh. What it had acknowledged is there when it is back, and
// nothing is there by half. The machine itself goes on, so what a disk loses in a power cut is not tried here.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Browser } from './browser.mjs';
import { authorization } from './chromium.mjs';
import { basic, sendForm } from './exchange.mjs';
import { installation, startCallback, startServer } from './server.mjs';

const ROUNDS = 10;
const PEOPLE_AT_ONCE = 6;
/** The kill comes after so many acknowledged steps, at random, while the other people's are under way. */
const STEPS = [3, 45];
const REFRESHES = 3;
const PROXY = '127.0.0.1';

let callback;
let server;
let client;

before(async () => {
  callback = await startCallback();
  const file = installation(callback.url);
  file.tenant[0].client[0].policy = { refresh_token_rotation: 'on_use' };
  // Each person comes from an address of their own, and what hashing costs is not looked at here.
  const flags = ['--password-memory-kib', '8', '--trusted-proxies', `${PROXY}/32`];
  server = await startServer({ callback: callback.url, file, flags });
  client = server.tenants.default.clients['web-basic'];
});

after(async () => {
  await callback?.stop();
  await server?.stop();
});

const ask = (parameters) =>
  authorization(server.url, client.client_id, callback.url, { scope: 'openid profile offline_access reports.read', ...parameters });
const token = (fields) => sendForm(server.url, server.port, '/oauth/token', fields, basic(client));
const redeem = ({ code, verifier }) =>
  token({ grant_type: 'authorization_code', code, redirect_uri: callback.url, code_verifier: verifier });
const refresh = (text) => token({ grant_type: 'refresh_token', refresh_token: text });
const button = (form, id) => form.buttons.find((each) => each.id === id);

/** One person after another, until the server is gone. Whatever is acknowledged is noted in `person`, and told to `count`. */
async function load(people, count) {
  for (;;) {
    const address = `198.51.${randomInt(256)}.${randomInt(256)}`;
    const person = {
      email: `${randomBytes(6).toString('hex')}@acme.test`,
      password: `walrus ${randomBytes(9).toString('base64url')}`,
      browser: new Browser(server.url, { 'x-forwarded-for': address }),
      signedUp: false,
      consented: false,
      codes: [],
    };
    people.push(person);
    await signUp(person, count);
    for (let visit = 0; visit < 2; visit += 1) {
      await useCode(person, count);
    }
  }
}

async function signUp(person, count) {
  const { url, verifier } = ask({ prompt: 'create' });
  const page = await person.browser.visit(url);
  const form = page.forms.find(({ buttons }) => buttons.some(({ id }) => id === 'sign-up-submit'));
  const fields = { name: 'Grace Hopper', email: person.email, password: person.password };
  const consent = await person.browser.submit(form, fields);
  const choice = consent.forms?.find(({ buttons }) => buttons.some(({ id }) => id === 'consent-allow'));
  assert.ok(choice, `no consent page after the sign-up: ${consent.status}\n${consent.text}`);
  person.signedUp = true;
  count();
  const { left } = await person.browser.submit(choice, {}, button(choice, 'consent-allow'));
  person.consented = true;
  person.codes.push({ code: left.url.searchParams.get('code'), verifier });
  count();
}

/** Redeems the newest code and refreshes what it gave; then gets the next code without being asked anything. */
async function useCode(person, count) {
  const code = person.codes.at(-1);
  code.sent = true;
  const { status, answer } = await redeem(code);
  assert.equal(status, 200, JSON.stringify(answer));
  code.tokens = [answer.refresh_token];
  count();
  for (let time = 0; time < REFRESHES; time += 1) {
    const next = await refresh(code.tokens.at(-1));
    assert.equal(next.status, 200, JSON.stringify(next.answer));
    code.tokens.push(next.answer.refresh_token);
    count();
  }
  const silent = ask({ prompt: 'none' });
  const { left } = await person.browser.visit(silent.url);
  assert.ok(left.url.searchParams.get('code'), left.url.href);
  person.codes.push({ code: left.url.searchParams.get('code'), verifier: silent.verifier });
  count();
}

const isGone = ({ code, message }) => ['ECONNRESET', 'ECONNREFUSED', 'EPIPE'].includes(code) || message === 'socket hang up';

/** Lets people come until the kill, and answers with what they know. */
async function loadUntilKilled() {
  const people = [];
  const steps = randomInt(...STEPS);
  let taken = 0;
  let killed = null;
  const count = () => {
    taken += 1;
    if (taken >= steps) {
      killed ??= server.kill();
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: PEOPLE_AT_ONCE }, () => load(people, count)));
  await killed;
  for (const { reason } of ends) {
    if (!isGone(reason)) {
      throw reason;
    }
  }
  return people;
}

/** What must hold at any moment, as statements that count what breaks it. */
const INVARIANTS = {
  'a person without a credential':
    'SELECT COUNT(*) FROM users u WHERE NOT EXISTS (SELECT 1 FROM credentials c WHERE c.tenant_id = u.tenant_id AND c.user_id = u.id)',
  'a credential of nobody':
    'SELECT COUNT(*) FROM credentials c WHERE NOT EXISTS (SELECT 1 FROM users u WHERE c.tenant_id = u.tenant_id AND c.user_id = u.id)',
  'a session of nobody':
    'SELECT COUNT(*) FROM sessions s WHERE NOT EXISTS (SELECT 1 FROM users u WHERE s.tenant_id = u.tenant_id AND s.user_id = u.id)',
  'a grant of nobody':
    'SELECT COUNT(*) FROM grants g WHERE NOT EXISTS (SELECT 1 FROM users u WHERE g.tenant_id = u.tenant_id AND g.user_id = u.id)',
  'a code half redeemed':
    'SELECT COUNT(*) FROM codes WHERE (redeemed_at IS NULL) <> (family_id IS NULL)',
  'a redeemed code without its family':
    'SELECT COUNT(*) FROM codes c WHERE c.family_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM families f WHERE f.tenant_id = c.tenant_id AND f.id = c.family_id)',
  'a family without a refresh token':
    'SELECT COUNT(*) FROM families f WHERE NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.tenant_id = f.tenant_id AND r.family_id = f.id)',
  'a refresh token without its family':
    'SELECT COUNT(*) FROM refresh_tokens r WHERE NOT EXISTS (SELECT 1 FROM families f WHERE f.tenant_id = r.tenant_id AND f.id = r.family_id)',
  'a refresh token half rotated':
    'SELECT COUNT(*) FROM refresh_tokens WHERE (rotated_at IS NULL) <> (successor_id IS NULL)',
  'a successor that is not there':
    'SELECT COUNT(*) FROM refresh_tokens r WHERE r.successor_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM refresh_tokens s WHERE s.tenant_id = r.tenant_id AND s.id = r.successor_id)',
  'a family with two ends':
    'SELECT COUNT(*) FROM (SELECT family_id FROM refresh_tokens WHERE rotated_at IS NULL GROUP BY tenant_id, family_id HAVING COUNT(*) > 1) AS forked',
};

const PYTHON = `
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(json.dumps([str(db.execute(s).fetchone()[0]) for s in ["PRAGMA integrity_check", *json.loads(sys.argv[2])]]))
`;

/** Looks at the records as the kill left them, before the server sees them again. `known` people at least are in them. */
function assertWhole(known) {
  const statements = [...Object.values(INVARIANTS), 'SELECT COUNT(*) FROM users'];
  const names = Object.keys(INVARIANTS);
  let found;
  if (server.database) {
    const psql = process.env.VESTIBULE_TEST_PSQL ?? 'psql';
    const commands = statements.flatMap((statement) => ['--command', statement]);
    found = execFileSync(psql, ['--no-psqlrc', '-qtA', ...commands, server.database], { encoding: 'utf8' }).trim().split('\n');
  } else {
    // A copy: whoever opens the file repairs it.
    const copy = mkdtempSync(path.join(tmpdir(), 'vestibule-crash-'));
    for (const name of readdirSync(server.data).filter((each) => each.startsWith('vestibule.db'))) {
      cpSync(path.join(server.data, name), path.join(copy, name));
    }
    const said = execFileSync('python3', ['-c', PYTHON, path.join(copy, 'vestibule.db'), JSON.stringify(statements)]);
    rmSync(copy, { recursive: true });
    const [integrity, ...counts] = JSON.parse(said);
    assert.equal(integrity, 'ok');
    found = counts;
  }
  assert.ok(Number(found.at(-1)) >= known, `${found.at(-1)} people, of ${known} who were told that they signed up`);
  assert.deepEqual(
    names.filter((_, index) => found[index] !== '0'),
    [],
  );
}

/** Everything that this person was told is true. */
async function assertKept(person) {
  if (!person.signedUp) {
    return;
  }
  const elsewhere = new Browser(server.url, person.browser.headers);
  const form = (await elsewhere.visit(`${server.url}/sign-in`)).forms[0];
  const home = await elsewhere.submit(form, { username: person.email, password: person.password });
  assert.ok(home.text.includes('id="sign-out-link"'), `an acknowledged sign-up cannot sign in: ${home.status}`);
  if (person.consented) {
    // The session and the grant: nothing is asked.
    const { left } = await person.browser.visit(ask({ prompt: 'none' }).url);
    assert.ok(left.url.searchParams.get('code'), left.url.href);
  }
  for (const { code, verifier, sent, tokens } of person.codes) {
    if (tokens) {
      // The newest that was acknowledged; whether its own refresh was under way or not, it has one successor.
      const [first, second] = await Promise.all([refresh(tokens.at(-1)), refresh(tokens.at(-1))]);
      assert.deepEqual([first.status, second.status], [200, 200], JSON.stringify(first.answer));
      assert.equal(first.answer.refresh_token, second.answer.refresh_token);
      assert.ok(!tokens.includes(first.answer.refresh_token));
      // What was redeemed stays redeemed, and its second use ends what it gave.
      const again = await redeem({ code, verifier });
      assert.deepEqual([again.status, again.answer.error], [400, 'invalid_grant']);
      assert.equal((await refresh(first.answer.refresh_token)).status, 400);
    } else {
      // Not redeemed, so good; or redeemed with nobody told, so spent. Never good twice.
      const now = await redeem({ code, verifier });
      assert.ok(now.status === 200 || (sent && now.answer.error === 'invalid_grant'), JSON.stringify(now.answer));
      assert.equal((await redeem({ code, verifier })).status, 400);
    }
  }
}

describe('T65 a kill at any moment', () => {
  let signedUp = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    test(`T65 loses nothing that was acknowledged, and leaves nothing by half: round ${round}`, async () => {
      const people = await loadUntilKilled();
      signedUp += people.filter((person) => person.signedUp).length;
      assertWhole(signedUp);
      await server.restart();
      await Promise.all(people.map(assertKept));
    });
  }
});
