// The page of the demo app: writes down each step as it happens. How the steps work is in oidc.js.
//
// The record lives in this tab's session storage, tokens and all, so that it survives the way to the server and back and
// can be read afterwards. An app that has nothing to teach keeps its tokens in memory.

import * as oidc from "./oidc.js";
import { MEANINGS } from "./words.js";

const main = document.querySelector("main");
const client = {
  issuer: main.dataset.issuer,
  id: main.dataset.clientId,
  scope: main.dataset.scope,
  redirectUri: new URL(main.dataset.callback, location).href,
  signedOutUri: new URL(main.dataset.signedOut, location).href,
};
const find = (id) => document.getElementById(id);
const now = () => Math.floor(Date.now() / 1000);

// ---- The record: one entry a step, named like its card ----

const RECORD = "record";
const PAUSE = "pause";
let record = readRecord();

function readRecord() {
  const kept = JSON.parse(sessionStorage.getItem(RECORD) ?? "{}");
  // A server that was started anew knows nothing of what an earlier one did.
  return kept.issuer === client.issuer && kept.clientId === client.id ? kept : newRecord();
}

function newRecord() {
  return { issuer: client.issuer, clientId: client.id };
}

function keep(step, entry) {
  record[step] = entry;
  sessionStorage.setItem(RECORD, JSON.stringify(record));
  showRecord(step);
  showStates();
}

// The tokens that are good now. A refresh replaces two of them; the ID token says who signed in, and stays.
function keepTokens({ access_token, refresh_token, id_token = record.live?.id_token }) {
  record.live = { access_token, refresh_token: refresh_token ?? record.live?.refresh_token, id_token };
}

// ---- What happens ----

async function ask(prompt) {
  say("Asking the server where to go …");
  const metadata = await oidc.discover(client.issuer);
  const request = await oidc.authorizationRequest(metadata, client, prompt);
  record = newRecord();
  keep("request", request);
  showAll();
  leave("request", request.url);
}

async function comeBack(answer) {
  const { request } = record;
  if (!request || record.answer) {
    // An old address, opened again or from elsewhere. Its code is worth nothing here, and must not be tried.
    return complain("This answer is not for this tab. Sign in to begin again.");
  }
  say("Checking what came back …");
  const metadata = await oidc.discover(client.issuer);
  const checks = oidc.checkAnswer(metadata, request, answer);
  const trusted = checks.every((check) => check.passed);
  const error = answer.error && { code: answer.error, message: answer.error_description ?? "" };
  keep("answer", { answer, checks, error });
  if (!trusted) return complain("The answer could not be trusted, so the app stops here.");
  if (error) return complain(`The server said no: ${error.code}. ${error.message}`);

  say("Redeeming the code …");
  const exchange = await attempt("tokens", () => oidc.redeem(metadata, client, request, answer.code));
  if (!exchange) return;
  const { id_token, access_token } = exchange.answer;
  const idChecks = await attempt("tokens", () => oidc.checkIdToken(metadata, client, request, id_token ?? "", access_token, now()));
  if (!idChecks) return;
  const believed = idChecks.every((check) => check.passed !== false);
  if (believed) keepTokens(exchange.answer);
  keep("tokens", { exchange, checks: idChecks });
  if (!believed) return complain("The ID token could not be trusted, so nobody is signed in.");

  say("Asking who this is …");
  const info = await attempt("userinfo", () => oidc.userInfo(metadata, access_token));
  if (info) {
    // User info of somebody else must not be mixed with this sign-in (OpenID Connect Core, 5.3.2).
    const same = info.answer.sub === oidc.decode(id_token).claims.sub;
    keep("userinfo", { exchange: info, checks: [{ passed: same, text: "sub is the one of the ID token" }] });
  }
  showAll();
  if (stateOf("userinfo") === "refused") return complain(`${name()} is signed in, but user info was of no use. See step 4.`);
  const unknown = idChecks.some((check) => check.passed === undefined);
  say(`${name()} is signed in. ${unknown ? "This browser could not make every check." : "Every check passed."}`);
}

async function refreshTokens() {
  const metadata = await oidc.discover(client.issuer);
  const { refresh_token: old } = record.live;
  const exchange = await attempt("refresh", () => oidc.refresh(metadata, client, old));
  if (!exchange) return;
  const next = exchange.answer.refresh_token;
  const checks = [{ passed: Boolean(next) && next !== old, text: "the refresh token is another one now" }];
  keepTokens({ ...exchange.answer, id_token: record.live.id_token });
  keep("refresh", { exchange, checks, old, times: (record.refresh?.times ?? 0) + 1 });
  say("The app has new tokens.");
}

async function revokeTokens() {
  const metadata = await oidc.discover(client.issuer);
  const { refresh_token, access_token } = record.live;
  const exchange = await attempt("revoke", () => oidc.revoke(metadata, client, refresh_token));
  if (!exchange) return;
  // Revocation answers 200 for any token, so the proof is that the access token opens nothing any more.
  const proof = await oidc.userInfo(metadata, access_token).catch((refusal) => refusal.exchange);
  const text = `the access token is refused: user info answers ${proof.status}`;
  keep("revoke", { exchange, checks: [{ passed: proof.status === 401, text }] });
  say("The tokens are revoked. Refresh now, and see how the server refuses.");
}

async function signOut() {
  const metadata = await oidc.discover(client.issuer);
  const request = oidc.signOutRequest(metadata, client, record.live.id_token);
  keep("sign-out", { request });
  leave("sign-out", request.url);
}

function signedOut(answer) {
  const entry = record["sign-out"];
  if (!entry) return say("Signed out.");
  const passed = answer.state === entry.request.state;
  keep("sign-out", { ...entry, answer, checks: [{ passed, text: "state is the one that this tab sent" }] });
  showAll();
  if (passed) say("Signed out, here and at the server.");
  else complain("The browser came back, but not from this app's sign-out.");
}

// Runs a call and keeps a refusal in the step's card. Answers undefined when it was refused.
async function attempt(step, call) {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof oidc.Refusal)) throw error;
    keep(step, { ...record[step], checks: [], exchange: error.exchange, error: { code: error.code, message: error.message } });
    complain(`The server said no: ${error.code}. ${error.message}`);
    return undefined;
  }
}

// Goes to the server now, or when the reader is ready.
function leave(step, url) {
  if (!find("pause").checked) {
    say(`Going to ${new URL(url).host} …`);
    location.assign(url);
    return;
  }
  const go = h("a", { class: "button primary", href: url }, `Go on to ${new URL(url).host}`);
  card(step).querySelector("[data-record]").prepend(h("p", { class: "go" }, go));
  say("This is the request. Read it, then go on.");
  go.focus();
}

// ---- What is shown ----

// Where there is little room, long tables wait until somebody asks.
const ROOMY = matchMedia("(min-width: 40rem)").matches;
const TIMES = ["exp", "iat", "nbf", "auth_time", "updated_at"];

// One function a card, from its entry to what is shown.
const CARDS = {
  request: ({ url, parameters, verifier }) => [
    wire("GET", url.split("?")[0]),
    opened(ROOMY || !record.answer, more("What it says", facts("Parameters of the request", parameters))),
    facts("Kept in this tab", { code_verifier: verifier }, { code_verifier: "Random, and secret until the code is redeemed." }),
    more("The whole address", h("code", { class: "raw" }, url)),
  ],
  answer: ({ answer, checks, error }) => [
    wire("GET", client.redirectUri),
    refused(error),
    ticks(checks),
    facts("Parameters of the answer", answer),
    h("p", { class: "quiet" }, "The page has already taken them out of the address bar, so that they do not stay in the history."),
  ],
  tokens: ({ exchange, checks, error }) => [
    wire(exchange.method, exchange.url, exchange.status),
    refused(error),
    more("What was sent", facts("Form of the token request", exchange.form)),
    ...(error ? [] : tokenAnswer(exchange.answer, checks)),
  ],
  userinfo: ({ exchange, checks, error }) => [
    wire(exchange.method, exchange.url, exchange.status),
    refused(error),
    ticks(checks),
    more("What was sent", facts("Header of the request", { authorization: `Bearer ${exchange.bearer}` }, {
      authorization: "Whoever bears the access token may ask.",
    })),
    !error && facts("Claims", exchange.answer),
  ],
  refresh: ({ exchange, checks, error, old, times }) => [
    wire(exchange.method, exchange.url, exchange.status),
    refused(error),
    ticks(checks),
    !error && facts("Refresh tokens", { before: old, now: exchange.answer.refresh_token }, {
      before: "Used up. Used again, it would end everything that came from this sign-in.",
      now: times === 1 ? "Refreshed once." : `Refreshed ${times} times.`,
    }),
    more("What was sent", facts("Form of the refresh request", exchange.form)),
    !error && signedToken("The new access token", exchange.answer.access_token),
  ],
  revoke: ({ exchange, checks, error }) => [
    wire(exchange.method, exchange.url, exchange.status),
    refused(error),
    ticks(checks),
    more("What was sent", facts("Form of the revocation request", exchange.form)),
  ],
  "sign-out": ({ request, answer, checks }) => [
    wire("GET", request.url.split("?")[0]),
    ticks(checks),
    more("What was sent", facts("Parameters of the request", request.parameters)),
    answer && stateOf("revoke") !== "done" && h("p", { class: "quiet" }, "offline_access was asked for, so the refresh token outlives the sign-out. Revoke ends it."),
  ],
};

function tokenAnswer({ access_token, id_token, ...rest }, checks) {
  return [
    ticks(checks),
    signedToken("ID token: who signed in, for this app", id_token, ROOMY),
    signedToken("Access token: for the server's API, not for the app to read", access_token),
    more("What else came back", facts("Rest of the answer", rest, {
      refresh_token: "For later: see the next steps.",
      scope: "What the app was given. It can be less than it asked for.",
    })),
  ];
}

function signedToken(title, text, open = false) {
  const token = text && oidc.decode(text);
  if (!token) return more(title, h("code", { class: "raw" }, text ?? "none"));
  const parts = text.split(".").map((part, at) => h("span", { class: `part-${at}` }, at ? `.${part}` : part));
  const raw = more("As it travels: header, claims, signature", h("code", { class: "raw" }, ...parts));
  return opened(open, more(title, facts("Header", token.header), facts("Claims", token.claims), raw));
}

// What went over the wire: method, address, and the status that came back.
function wire(method, url, status) {
  const answer = status && h("span", { class: status < 400 ? "status-code" : "status-code bad" }, h("span", { class: "unseen" }, "answered "), String(status));
  return h("p", { class: "wire" }, h("span", { class: "method" }, method), h("code", {}, url), answer);
}

// Roles are said aloud because narrow screens lay the rows out as blocks, which takes their meaning from some readers.
function facts(caption, values, meanings = {}) {
  if (!values) return undefined;
  const rows = Object.entries(values).filter(([, value]) => value !== undefined).map(([name, value]) => {
    const meaning = meanings[name] ?? MEANINGS[name];
    return h("tr", { role: "row" },
      h("th", { role: "rowheader", scope: "row" }, name),
      h("td", { role: "cell" }, shownValue(name, value), meaning && h("span", { class: "meaning" }, meaning)));
  });
  return h("table", { role: "table" }, h("caption", {}, caption), h("tbody", { role: "rowgroup" }, ...rows));
}

function shownValue(name, value) {
  if (TIMES.includes(name) && Number.isFinite(value)) {
    const date = new Date(value * 1000);
    const words = date.toLocaleString("en", { dateStyle: "medium", timeStyle: "medium" });
    return h("span", { class: "value" }, h("time", { datetime: date.toISOString() }, words), " ", h("code", { class: "soft" }, value));
  }
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // The middle of a token tells a reader nothing. Addresses stay whole.
  const short = text.replace(/\S{97,}/g, (long) => (long.includes("://") ? long : `${long.slice(0, 24)} … ${long.slice(-12)}`));
  return h("code", { class: "value", title: short === text ? undefined : text }, short);
}

function ticks(checks = []) {
  if (checks.length === 0) return undefined;
  const kind = ({ passed }) => (passed === undefined ? "unknown" : passed ? "passed" : "failed");
  const words = { passed: "Checked: ", failed: "Failed: ", unknown: "Not checked: " };
  return h("ul", { class: "ticks" }, ...checks.map((check) =>
    h("li", { class: kind(check) }, h("span", { class: "unseen" }, words[kind(check)]), check.text)));
}

function refused(error) {
  return error && h("div", { class: "refused" }, h("p", {}, h("code", {}, error.code)), error.message && h("p", {}, error.message));
}

function more(title, ...content) {
  return h("details", {}, h("summary", {}, title), ...content);
}

function opened(open, details) {
  details.open = open;
  return details;
}

const card = (step) => find(step);
const STATE_WORDS = { waiting: "Not yet", ready: "Your turn", going: "On its way", done: "Done", refused: "Refused" };

// What the person may do next.
function offers(step) {
  const { id_token, refresh_token } = record.live ?? {};
  if (step === "sign-out") return Boolean(id_token) && !record[step]?.answer;
  return ["refresh", "revoke"].includes(step) && Boolean(refresh_token);
}

function stateOf(step) {
  const entry = record[step];
  if (!entry) return offers(step) ? "ready" : "waiting";
  if (entry.error || entry.checks?.some((check) => check.passed === false)) return "refused";
  return step === "sign-out" && !entry.answer ? "going" : step === "request" && !record.answer ? "going" : "done";
}

// What a step adds can end the wait of the step before it.
function showStates() {
  for (const step of Object.keys(CARDS)) {
    const state = stateOf(step);
    for (const element of [card(step), document.querySelector(`[data-jump="${step}"]`)]) {
      element.dataset.state = state;
      element.querySelector("[data-state-word]").textContent = STATE_WORDS[state];
    }
    const doing = card(step).querySelector("[data-doing]");
    if (doing) doing.hidden = !offers(step);
  }
  find("start-over").hidden = !record.request;
}

function showRecord(step) {
  const shown = record[step] ? CARDS[step](record[step]).filter(Boolean) : [];
  card(step).querySelector("[data-record]").replaceChildren(...shown);
}

function showAll() {
  for (const step of Object.keys(CARDS)) showRecord(step);
  showStates();
  const situation = !record.live ? "before" : record["sign-out"]?.answer ? "after" : "during";
  const [title, lead] = GREETINGS[situation];
  find("title").textContent = title.replace("{name}", () => name());
  find("lead").textContent = lead;
  find("portrait").hidden = situation !== "during";
  if (situation === "during") showPortrait();
  // Whoever is signed in has no use for passwords just now.
  const people = find("people");
  if (people) people.open = situation !== "during";
}

const GREETINGS = {
  before: [find("title").textContent, find("lead").textContent],
  during: ["Hello, {name}", "This app knows who you are, and never saw your password. How it found out is written down step by step."],
  after: ["Signed out", "The session is over, here and at the server. What happened can still be read."],
};

function claims() {
  const info = stateOf("userinfo") === "done" ? record.userinfo.exchange.answer : {};
  return { ...oidc.decode(record.live?.id_token ?? "")?.claims, ...info };
}

function name() {
  const { name, preferred_username, sub } = claims();
  return name ?? preferred_username ?? sub;
}

function showPortrait() {
  const { picture } = claims();
  const letter = [...name()].find((character) => /\p{L}|\p{N}/u.test(character)) ?? "·";
  const image = picture?.startsWith("https:") && h("img", { src: picture, alt: "", width: 56, height: 56, referrerpolicy: "no-referrer" });
  find("portrait").replaceChildren(image || letter.toUpperCase());
}

// The status is a live region: screen readers hear it, everybody else sees it.
function say(text) {
  find("status").className = "status";
  find("status").textContent = text;
}

function complain(text) {
  say(text);
  find("status").className = "status bad";
}

// Builds an element. Text goes in as text, so nothing that came over the wire can become markup.
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(attribute, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== false && child !== null && child !== ""));
  return element;
}

// ---- Beginning ----

// One thing at a time; and whatever goes wrong is said, not swallowed.
let busy = false;
async function run(action) {
  if (busy) return;
  busy = true;
  try {
    await action();
  } catch (error) {
    complain(error instanceof oidc.Refusal ? `${error.code}: ${error.message}` : `Something went wrong in this app: ${error.message}`);
  } finally {
    busy = false;
  }
}

for (const button of document.querySelectorAll("[data-prompt]")) {
  button.addEventListener("click", () => run(() => ask(button.dataset.prompt)));
}
find("refresh-button").addEventListener("click", () => run(refreshTokens));
find("revoke-button").addEventListener("click", () => run(revokeTokens));
find("sign-out-button").addEventListener("click", () => run(signOut));
find("start-over").addEventListener("click", () => {
  sessionStorage.removeItem(RECORD);
  location.assign("/");
});
find("pause").checked = sessionStorage.getItem(PAUSE) !== null;
find("pause").addEventListener("change", ({ target }) => {
  if (target.checked) sessionStorage.setItem(PAUSE, "yes");
  else sessionStorage.removeItem(PAUSE);
});
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    const word = button.querySelector("[data-copy-word]");
    word.textContent = "Copied";
    setTimeout(() => (word.textContent = "Copy"), 2000);
  });
}
find("actions").hidden = false;
showAll();

const answer = Object.fromEntries(new URLSearchParams(location.search));
const { pathname } = location;
if (pathname !== "/") {
  // Neither code nor state may stay in the address bar, the history, or a bookmark.
  history.replaceState(null, "", "/");
  if (pathname === main.dataset.callback) run(() => comeBack(answer));
  if (pathname === main.dataset.signedOut) run(() => signedOut(answer));
}
