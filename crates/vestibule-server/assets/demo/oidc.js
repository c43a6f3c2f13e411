// OpenID Connect for an app that runs in the browser: the authorization code flow with PKCE, and nothing that needs a
// library. Nothing here touches the page; demo.js does that.
//
// Every call answers with what was sent and what came back, because this app shows both. Yours needs only the latter.

// What the server said no to (`code` and `message` are its own words), or what this app could not accept.
export class Refusal extends Error {
  constructor(code, description, exchange) {
    super(description || "The server gave no description.");
    this.code = code;
    this.exchange = exchange;
  }
}

// Where everything is. An app needs to know the issuer alone; the rest is published there (OpenID Connect Discovery, 4).
export async function discover(issuer) {
  const exchange = await send("GET", `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  // Otherwise one server could describe itself as another.
  if (exchange.answer.issuer !== issuer) {
    throw new Refusal("wrong_issuer", `${issuer} says that it is ${exchange.answer.issuer}.`, exchange);
  }
  return exchange.answer;
}

// Step 1: the address to send the browser to, and the three secrets that must still be known when it comes back.
export async function authorizationRequest(metadata, client, prompt) {
  const state = randomText();
  const nonce = randomText();
  const verifier = randomText();
  const parameters = {
    response_type: "code",
    client_id: client.id,
    redirect_uri: client.redirectUri,
    scope: client.scope,
    state,
    nonce,
    code_challenge: base64url(await sha("SHA-256", verifier)),
    code_challenge_method: "S256",
  };
  if (prompt) parameters.prompt = prompt;
  return { url: withQuery(metadata.authorization_endpoint, parameters), parameters, state, nonce, verifier };
}

// Step 2: is this the answer to our own question? Only then may its code, or its error, be believed.
export function checkAnswer(metadata, request, answer) {
  const checks = [
    check(answer.state === request.state, "state is the one that this tab sent"),
    // Without `iss`, an answer of one server could be taken for another's (RFC 9207).
    check(answer.iss === metadata.issuer, "iss names the server that was asked"),
  ];
  if (answer.error === undefined) checks.push(check(Boolean(answer.code), "a code came with it"));
  return checks;
}

// Step 3: the code, once, for tokens. The verifier proves that whoever redeems is whoever asked (RFC 7636).
export function redeem(metadata, client, request, code) {
  return send("POST", metadata.token_endpoint, {
    form: {
      grant_type: "authorization_code",
      code,
      redirect_uri: client.redirectUri,
      client_id: client.id,
      code_verifier: request.verifier,
    },
  });
}

// Step 4: the claims that the person agreed to share.
export function userInfo(metadata, accessToken) {
  return send("GET", metadata.userinfo_endpoint, { bearer: accessToken });
}

// Step 5: the next access token. A public client must store the refresh token of the answer and forget the old one.
export function refresh(metadata, client, refreshToken) {
  return send("POST", metadata.token_endpoint, {
    form: { grant_type: "refresh_token", refresh_token: refreshToken, client_id: client.id },
  });
}

// Step 6: this token, and those that came with it, are no longer needed (RFC 7009).
export function revoke(metadata, client, refreshToken) {
  return send("POST", metadata.revocation_endpoint, {
    form: { token: refreshToken, token_type_hint: "refresh_token", client_id: client.id },
  });
}

// Step 7: the address that ends the session at the server too (OpenID Connect RP-Initiated Logout).
export function signOutRequest(metadata, client, idToken) {
  const state = randomText();
  const parameters = {
    id_token_hint: idToken,
    client_id: client.id,
    post_logout_redirect_uri: client.signedOutUri,
    state,
  };
  return { url: withQuery(metadata.end_session_endpoint, parameters), parameters, state };
}

// Reads a signed token without believing it. `undefined` for one that is not meant to be read: an access token is the
// business of the server that accepts it, and may be any text.
export function decode(token) {
  try {
    const [header, claims, signature] = token.split(".");
    if (!signature) return undefined;
    const read = (part) => JSON.parse(new TextDecoder().decode(fromBase64url(part)));
    return { header: read(header), claims: read(claims) };
  } catch {
    return undefined;
  }
}

// Everything that must hold before an ID token says who somebody is (OpenID Connect Core, 3.1.3.7).
export async function checkIdToken(metadata, client, request, idToken, accessToken, now) {
  const token = decode(idToken);
  if (!token) return [check(false, "it is a signed token")];
  const { header, claims } = token;
  const audience = [claims.aud].flat();
  // Clocks differ a little; a minute is forgiven.
  const checks = [
    await checkSignature(metadata, idToken, header),
    check(claims.iss === metadata.issuer, "iss is the server that was asked"),
    check(audience.includes(client.id) && (claims.azp ?? client.id) === client.id, "aud is this app"),
    check(claims.exp > now - 60, "exp has not passed"),
    check(claims.iat < now + 60, "iat is not in the future"),
    check(claims.nonce === request.nonce, "nonce is the one that this tab sent"),
  ];
  if (claims.at_hash !== undefined) {
    // The digest goes with the signature's algorithm; Ed25519 uses SHA-512.
    const digest = new Uint8Array(await sha(ALGORITHMS[header.alg]?.hash ?? "SHA-512", accessToken));
    const half = base64url(digest.slice(0, digest.length / 2));
    checks.push(check(claims.at_hash === half, "at_hash belongs to the access token beside it"));
  }
  return checks;
}

// Only these, whatever the header of a token asks for: "none", or a secret key, must never be among them.
const ALGORITHMS = {
  __proto__: null,
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  PS256: { name: "RSA-PSS", hash: "SHA-256", saltLength: 32 },
  ES256: { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  EdDSA: { name: "Ed25519" },
  Ed25519: { name: "Ed25519" },
};

async function checkSignature(metadata, token, { alg, kid }) {
  const algorithm = ALGORITHMS[alg];
  if (!algorithm) return check(false, `signed with ${alg}, which this app does not accept`);
  const { answer } = await send("GET", metadata.jwks_uri);
  const found = answer.keys.find((key) => key.kid === kid);
  if (!found) return check(false, `signed with a key (${kid}) that the server does not publish`);
  // The key itself, without what the server says about its use.
  const { kty, crv, x, y, n, e } = found;
  try {
    const key = await crypto.subtle.importKey("jwk", { kty, crv, x, y, n, e }, algorithm, false, ["verify"]);
    const [header, claims, signature] = token.split(".");
    const signed = new TextEncoder().encode(`${header}.${claims}`);
    const valid = await crypto.subtle.verify(algorithm, key, fromBase64url(signature), signed);
    return check(valid, `the signature is the server's (${alg}, key ${kid})`);
  } catch (error) {
    // Some browsers do not know Ed25519 yet.
    if (error.name === "NotSupportedError") return check(undefined, `the signature: this browser does not know ${alg}`);
    return check(false, `the signature is the server's (${alg}, key ${kid})`);
  }
}

// `passed` is undefined where the browser could not tell.
function check(passed, text) {
  return { passed, text };
}

// One call, as the app shows it. An answer that says no is thrown, with the exchange inside.
async function send(method, url, { form, bearer } = {}) {
  const exchange = { method, url, form, bearer };
  const headers = bearer ? { authorization: `Bearer ${bearer}` } : {};
  let response;
  try {
    // No cookies: at these endpoints the app speaks for itself. No redirects: none of them has a reason to send one.
    response = await fetch(url, {
      method,
      headers,
      body: form && new URLSearchParams(form),
      credentials: "omit",
      redirect: "error",
    });
  } catch {
    const origin = new URL(url).origin;
    throw new Refusal("no_answer", `${origin} could not be reached. Is the server still running?`, exchange);
  }
  exchange.status = response.status;
  const text = await response.text();
  try {
    exchange.answer = JSON.parse(text);
  } catch {
    exchange.answer = undefined;
  }
  if (response.ok) return exchange;
  const challenge = response.headers.get("www-authenticate") ?? "";
  const said = (name) => exchange.answer?.[name] ?? challenge.match(`${name}="([^"]*)"`)?.[1];
  throw new Refusal(said("error") ?? `status ${response.status}`, said("error_description"), exchange);
}

// The endpoint may have a query of its own, which stays.
function withQuery(endpoint, parameters) {
  const url = new URL(endpoint);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

// 256 bits that nobody can guess, as 43 characters that any URL can hold.
function randomText() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

function sha(hash, text) {
  return crypto.subtle.digest(hash, new TextEncoder().encode(text));
}

function base64url(bytes) {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromBase64url(text) {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
}
