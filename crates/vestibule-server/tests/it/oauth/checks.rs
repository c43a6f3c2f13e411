//! What the tests of these endpoints ask of an answer: each kind of answer is looked at as a whole.

use crate::support::app::App;
use crate::support::browser::{Browser, Page};
use crate::support::installation::BASE;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::Value;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::Poll;

/// `GET` as a program does it.
pub(crate) async fn get(app: &App, path: &str) -> Page {
    Browser::new(app)
        .send(Method::GET, path, &[("accept", "application/json")], "")
        .await
}

/// A form post without any credentials of its own.
pub(crate) async fn post(app: &App, path: &str, headers: &[(&str, &str)], body: &str) -> Page {
    let mut all = vec![
        ("content-type", "application/x-www-form-urlencoded"),
        ("accept", "application/json"),
    ];
    all.extend_from_slice(headers);
    Browser::new(app).send(Method::POST, path, &all, body).await
}

/// A request with a bearer token.
pub(crate) async fn with_bearer(app: &App, path: &str, token: &str) -> Page {
    let bearer = format!("Bearer {token}");
    Browser::new(app)
        .send(
            Method::GET,
            path,
            &[("authorization", &bearer), ("accept", "application/json")],
            "",
        )
        .await
}

/// A text member.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no text {name} in {value}"))
}

/// The names of an object's members.
pub(crate) fn names(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// The published key that a token's header names.
pub(crate) async fn published(app: &App, header: &Value) -> Value {
    let keys = get(app, "/.well-known/jwks.json").await.json();
    keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == header["kid"])
        .expect("the key of the token is published")
        .clone()
}

/// A refusal for programs: the status, the registered code, the schema of the body (T67), and that nobody may keep it.
#[track_caller]
pub(crate) fn refused(page: &Page, status: u16, error: &str) {
    assert_eq!(page.status, status, "{}", page.body);
    assert_eq!(page.header("content-type"), "application/json");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let body = page.json();
    assert_eq!(text(&body, "error"), error, "{body}");
    assert_eq!(
        names(&body),
        ["clerk_trace_id", "error", "error_description", "errors"].into()
    );
    let description = text(&body, "error_description");
    assert!(!description.is_empty());
    // RFC 6749, 5.2: %x20-21 / %x23-5B / %x5D-7E.
    assert!(
        description
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'),
        "{description}"
    );
    assert_eq!(body["errors"].as_array().unwrap().len(), 1);
    for name in ["message", "long_message", "code"] {
        assert!(!text(&body["errors"][0], name).is_empty());
    }
    if status == 401 {
        assert!(!page.header("www-authenticate").is_empty());
    }
}

/// 200, whatever is in it.
#[track_caller]
pub(crate) fn accepted(page: &Page) {
    assert_eq!(page.status, 200, "{} {}", page.path, page.body);
}

/// An access token that does not count, or does no longer.
#[track_caller]
pub(crate) fn is_over(page: &Page) {
    refused(page, 401, "invalid_token");
}

/// What introspection says of everything that is not active (RFC 7662, 2.2).
#[track_caller]
pub(crate) fn inactive(page: &Page) {
    assert_eq!(
        (
            page.status.as_u16(),
            page.header("content-type"),
            page.header("cache-control"),
            page.body.as_str()
        ),
        (200, "application/json", "no-store", "{\"active\":false}")
    );
}

/// A code or refresh token that does not count. Which of its ways to fail it was, the client does not learn.
#[track_caller]
pub(crate) fn grant_refused(page: &Page) {
    refused(page, 400, "invalid_grant");
    assert_eq!(
        text(&page.json(), "error_description"),
        "the grant is invalid, expired, revoked, already used, or was issued to another client or redirect_uri"
    );
}

/// The same, and what only our log says.
#[track_caller]
pub(crate) fn no_grant(app: &App, page: &Page, detail: &str) {
    grant_refused(page);
    assert_eq!(app.last_detail(), detail);
}

/// A refusal that the person is shown: a page, no redirect, no frame, nothing kept, nothing in the referrer.
#[track_caller]
pub(crate) fn shown(page: &Page, status: u16) {
    assert_eq!(
        page.status,
        status,
        "{} {}",
        page.path,
        page.header("location")
    );
    assert_eq!(page.header("location"), "", "{}", page.path);
    assert!(page.header("refresh").is_empty() && !page.body.contains("http-equiv"));
    page_headers(page);
}

/// What every page carries (O21-38, BCP-12, BCP-23).
#[track_caller]
pub(crate) fn page_headers(page: &Page) {
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        page.header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    assert!(
        page.header("content-security-policy")
            .starts_with("default-src 'none'")
    );
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cache-control"), "no-store");
}

/// A refusal that the client gets back at its own address: `error`, `state` and `iss`, and nothing else.
#[track_caller]
pub(crate) fn returned(page: &Page, redirect_uri: &str, error: &str) {
    assert_eq!(page.status, 303, "{} {}", page.path, page.body);
    let location = page.header("location");
    let joint = location
        .strip_prefix(redirect_uri)
        .unwrap_or_else(|| panic!("{location} is not at {redirect_uri}"));
    assert!(joint.starts_with('?'), "{location}");
    let answer = page.answer();
    assert_eq!(answer["error"], error, "{location}");
    assert_eq!(answer["iss"], BASE);
    assert!(
        answer
            .keys()
            .all(|name| ["error", "error_description", "state", "iss"].contains(&name.as_str())),
        "{location}"
    );
    no_tokens(page);
}

/// No code and no token anywhere in an answer.
#[track_caller]
pub(crate) fn no_tokens(page: &Page) {
    let everything = format!("{:?}{}", page.headers, page.body);
    for secret in ["oac_", "oat_", "ort_", "eyJ", "access_token", "id_token="] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}

/// Verifies a token as a relying party would: with another library, against the keys that the server publishes.
pub(crate) async fn verified(app: &App, base: &str, token: &str, audience: &str) -> Value {
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(
        get(app, &format!("{base}/.well-known/jwks.json"))
            .await
            .json(),
    )
    .unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = keys
        .find(header.kid.as_deref().unwrap())
        .expect("the key of the token is published");
    let mut validation = jsonwebtoken::Validation::new(header.alg);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[base]);
    // The clock of the test is not that of the machine; and signed user info has no `exp`.
    validation.validate_exp = false;
    validation.set_required_spec_claims(&["iss", "aud", "sub"]);
    jsonwebtoken::decode::<Value>(
        token,
        &jsonwebtoken::DecodingKey::from_jwk(key).unwrap(),
        &validation,
    )
    .unwrap()
    .claims
}

/// A future and what came of it.
type Slot<F> = (Pin<Box<F>>, Option<<F as Future>::Output>);

/// Awaits all at once, on this thread: whatever a request waits for, the others go on.
pub(crate) async fn together<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut slots: Vec<Slot<F>> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    std::future::poll_fn(|context| {
        for (future, output) in slots.iter_mut().filter(|(_, output)| output.is_none()) {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                *output = Some(value);
            }
        }
        if slots.iter().all(|(_, output)| output.is_some()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    slots.into_iter().filter_map(|(_, output)| output).collect()
}

/// A token made of parts, as a forger writes it.
pub(crate) fn compact(
    header: &Value,
    claims: &Value,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let input = format!(
        "{}.{}",
        encode(header.to_string().as_bytes()),
        encode(claims.to_string().as_bytes())
    );
    let signature = sign(input.as_bytes());
    format!("{input}.{}", encode(&signature))
}

/// Every way to forge a token with these claims that a verifier of ours must see through (T23, T24). `header` and `claims` are
/// those of a good token; `jwk` is the public key that it names.
#[expect(
    clippy::too_many_lines,
    reason = "a list of forgeries, one after the other"
)]
pub(crate) fn forgeries(
    good: &str,
    header: &Value,
    claims: &Value,
    jwk: &Value,
) -> Vec<(String, String)> {
    use aws_lc_rs::{hmac, signature::Ed25519KeyPair, signature::KeyPair as _};
    let foreign = Ed25519KeyPair::generate().unwrap();
    let by_foreign = |input: &[u8]| foreign.sign(input).as_ref().to_vec();
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        header
    };
    let mut all = Vec::new();
    let mut add = |name: &str, token: String| all.push((name.to_owned(), token));
    add(
        "a foreign key under our kid",
        compact(header, claims, by_foreign),
    );
    for none in ["none", "None", "nOnE", ""] {
        add(
            &format!("alg {none:?} unsigned"),
            compact(&with("alg", Value::from(none)), claims, |_| Vec::new()),
        );
        add(
            &format!("alg {none:?} with a signature"),
            compact(&with("alg", Value::from(none)), claims, by_foreign),
        );
    }
    let text = jwk.to_string();
    let raw = jwk["x"]
        .as_str()
        .map(|x| URL_SAFE_NO_PAD.decode(x).unwrap())
        .unwrap_or_default();
    for (name, secret) in [
        ("the raw public key", raw.as_slice()),
        ("its JWK", text.as_bytes()),
        ("its x", jwk["x"].as_str().unwrap_or_default().as_bytes()),
        ("nothing", b""),
    ] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        add(
            &format!("HS256 with {name}"),
            compact(&with("alg", Value::from("HS256")), claims, |input| {
                hmac::sign(&key, input).as_ref().to_vec()
            }),
        );
    }
    let embedded = serde_json::json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": URL_SAFE_NO_PAD.encode(foreign.public_key().as_ref())});
    add(
        "a key in the header",
        compact(&with("jwk", embedded.clone()), claims, by_foreign),
    );
    let mut without_kid = with("jwk", embedded);
    without_kid.as_object_mut().unwrap().remove("kid");
    add(
        "a key in the header and no kid",
        compact(&without_kid, claims, by_foreign),
    );
    for pointer in ["jku", "x5u"] {
        add(
            pointer,
            compact(
                &with(pointer, Value::from("http://127.0.0.1:9/keys")),
                claims,
                by_foreign,
            ),
        );
    }
    add(
        "x5c",
        compact(
            &with("x5c", serde_json::json!(["MIIB"])),
            claims,
            by_foreign,
        ),
    );
    for kid in [
        "../../dev/null",
        "' OR 1=1 --",
        "https://evil.example/key",
        "",
        &"k".repeat(4000),
    ] {
        add(
            &format!("kid {kid:.20}"),
            compact(&with("kid", Value::from(kid)), claims, by_foreign),
        );
    }
    for alg in ["ES256", "RS256", "PS256", "HS512", "EdDSA"]
        .into_iter()
        .filter(|alg| header["alg"] != *alg)
    {
        add(
            &format!("alg {alg} under a key of another"),
            compact(&with("alg", Value::from(alg)), claims, by_foreign),
        );
    }
    add(
        "crit",
        compact(
            &with("crit", serde_json::json!(["exp"])),
            claims,
            by_foreign,
        ),
    );
    add(
        "b64",
        compact(&with("b64", Value::from(false)), claims, by_foreign),
    );
    add(
        "an empty signature",
        compact(header, claims, |_| Vec::new()),
    );
    add(
        "a signature of zeros",
        compact(header, claims, |_| vec![0; 64]),
    );
    let (input, signature) = good.rsplit_once('.').unwrap();
    add("no signature", input.to_owned());
    add("only a dot", format!("{input}."));
    add("a longer signature", format!("{good}AA"));
    add("a shorter signature", good[..good.len() - 2].to_owned());
    add("a fourth part", format!("{good}.AA"));
    add("padding", format!("{good}="));
    let mut changed = claims.clone();
    changed["exp"] = Value::from(4_000_000_000_u64);
    let (head, _) = input.split_once('.').unwrap();
    add(
        "another payload under the old signature",
        format!(
            "{head}.{}.{signature}",
            URL_SAFE_NO_PAD.encode(changed.to_string())
        ),
    );
    all
}
