//! A docs site as an OAuth client (RFC 6749, 4.1; RFC 7636): what it asks of its OAuth server, what of the answer counts, and where
//! a reader goes afterwards.
//!
//! The site asks one server only and has a redirect URI of its own, so no other server's answer can be taken for this one's (RFC
//! 9700, 4.4.2); where the server's issuer is known, it is checked too.

use super::reader_format::{ReaderFault, claimed_groups};
use super::site::{ClaimSource, DocsSite, HANDSHAKE_PATH};
use crate::jose::verify::claims_from_issuer;
use crate::oauth::mint::Audience;
use crate::oauth::params::Params;
use crate::oauth::pkce::CodeChallenge;
use crate::relying_party::callback::Callback;
use crate::relying_party::fault::UpstreamFault;
use crate::relying_party::id_token::{CLOCK_SKEW_SECONDS, check_audience, seconds};
use crate::relying_party::provider::UpstreamAuth;
use crate::relying_party::request::{CodeRequest, add_settings};
use crate::relying_party::tokens::{UpstreamForm, UpstreamTokenResponse, authenticated_form};
use crate::secret::Secret;
use crate::time::Timestamp;
use ::url::{Position, Url};
use serde::Deserialize as _;
use serde_json::{Map, Value};

/// The longest path to come back to, in bytes; a longer one is where nobody in particular lands.
pub const RETURN_PATH_BYTES_MAX: usize = 1024;

/// What one handshake must come back with, and what it proves at its end.
#[derive(Clone, Debug)]
pub struct HandshakeAsk<'a> {
    /// What comes back with the answer.
    pub state: &'a Secret,
    /// What proves at the token endpoint that we asked.
    pub verifier: &'a Secret,
    /// What comes back in the ID token, where there is one.
    pub nonce: &'a Secret,
}

/// Why tokens say nothing of a reader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsFault {
    /// The token is not what it must be.
    #[error(transparent)]
    Token(#[from] UpstreamFault),
    /// The groups in it are of another form.
    #[error("the groups in the token are not accepted")]
    Groups(Vec<ReaderFault>),
}

/// Whether an ID token comes along.
fn is_openid(site: &DocsSite) -> bool {
    site.scopes
        .as_ref()
        .is_some_and(|scopes| scopes.contains("openid"))
}

/// The address to send the browser to. What the authorization URL has for a query already stays before ours.
pub fn authorization_url(site: &DocsSite, ask: &HandshakeAsk<'_>) -> String {
    let scope = site.scopes.as_ref().map(ToString::to_string);
    let challenge =
        CodeChallenge::of_verifier(ask.verifier.reveal()).map(|challenge| challenge.to_text());
    let redirect_uri = site.redirect_uri();
    let mut fields = CodeRequest {
        client_id: &site.client_id,
        redirect_uri: &redirect_uri,
        scope: scope.as_deref(),
        state: ask.state,
        nonce: is_openid(site).then_some(ask.nonce),
        challenge: challenge.as_deref(),
    }
    .fields();
    add_settings(&mut fields, &site.extra_authorization_params);
    site.authorization_url.with_query(fields)
}

/// The code that an answer brings.
pub fn read_callback(site: &DocsSite, params: &Params) -> Result<Secret, UpstreamFault> {
    let same_issuer = |iss: Option<&str>| match (&site.issuer, iss) {
        // RFC 9207, 2.4. A server that does not send it is no mix-up: see the head of this file.
        (Some(issuer), Some(iss)) if issuer.as_str() != iss => Err(UpstreamFault::CallbackIssuer),
        _ => Ok(()),
    };
    Callback::parse_from(params, same_issuer).map(|callback| callback.code)
}

/// What to send to the token URL for a code.
pub fn exchange_form(
    site: &DocsSite,
    secret: Option<&Secret>,
    code: &Secret,
    verifier: &Secret,
) -> Result<UpstreamForm, UpstreamFault> {
    let auth = site.auth.unwrap_or(if secret.is_some() {
        UpstreamAuth::ClientSecretPost
    } else {
        UpstreamAuth::None
    });
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.reveal()),
        ("redirect_uri", &site.redirect_uri()),
        ("code_verifier", verifier.reveal()),
    ];
    authenticated_form(auth, &site.client_id, secret, &fields)
}

/// What the tokens say of the reader's groups, if the site asks them; an ID token that came along is checked in any case.
///
/// The tokens come from the token URL itself, so TLS stands in for their signatures (OpenID Connect Core, 3.1.3.7, 6).
pub fn token_groups(
    site: &DocsSite,
    tokens: &UpstreamTokenResponse,
    nonce: &str,
    now: Timestamp,
) -> Result<Vec<String>, ClaimsFault> {
    let id_token = tokens.id_token.as_ref().filter(|_| is_openid(site));
    let id_claims = match id_token {
        Some(token) => Some(id_token_claims(site, token, nonce, now)?),
        None => None,
    };
    let Some(wanted) = &site.group_claims else {
        return Ok(Vec::new());
    };
    let (name, claims) = match wanted.source {
        ClaimSource::IdToken => (
            "id_token",
            id_claims.ok_or(UpstreamFault::TokenResponse("no ID token"))?,
        ),
        ClaimSource::AccessToken => ("access_token", access_token_claims(site, tokens, now)?),
    };
    match claims.get(&wanted.claim) {
        // Who is in no group may have no such claim.
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => {
            let path = format!("{name}.{}", wanted.claim);
            claimed_groups(value, wanted.delimiter.as_deref(), &path).map_err(ClaimsFault::Groups)
        }
    }
}

/// OpenID Connect Core, 3.1.3.7.
fn id_token_claims(
    site: &DocsSite,
    token: &Secret,
    nonce: &str,
    now: Timestamp,
) -> Result<Map<String, Value>, UpstreamFault> {
    let claims = claims_from_issuer(token.reveal())?;
    check_issuer_and_time(site, &claims, now)?;
    let audience = claims.get("aud").ok_or(UpstreamFault::Claim("aud"))?;
    let audience = Audience::deserialize(audience).map_err(|_| UpstreamFault::Claim("aud"))?;
    let party = claims.get("azp").and_then(Value::as_str);
    check_audience(&audience, party, &[&site.client_id])?;
    if claims.get("nonce").and_then(Value::as_str) == Some(nonce) {
        Ok(claims)
    } else {
        Err(UpstreamFault::Nonce)
    }
}

/// An access token is for a resource and not for us, so its audience is not ours to check (RFC 9068, 4).
fn access_token_claims(
    site: &DocsSite,
    tokens: &UpstreamTokenResponse,
    now: Timestamp,
) -> Result<Map<String, Value>, UpstreamFault> {
    let claims = claims_from_issuer(tokens.access_token.reveal()).map_err(|_| {
        UpstreamFault::TokenResponse(
            "the access token is not a JWT, so no groups can be read of it",
        )
    })?;
    check_issuer_and_time(site, &claims, now)?;
    Ok(claims)
}

fn check_issuer_and_time(
    site: &DocsSite,
    claims: &Map<String, Value>,
    now: Timestamp,
) -> Result<(), UpstreamFault> {
    if let Some(issuer) = &site.issuer
        && claims.get("iss").and_then(Value::as_str) != Some(issuer.as_str())
    {
        return Err(UpstreamFault::Issuer);
    }
    let expires_at = claims
        .get("exp")
        .and_then(seconds)
        .ok_or(UpstreamFault::Claim("exp"))?;
    if now.seconds().saturating_sub(CLOCK_SKEW_SECONDS) >= expires_at {
        return Err(UpstreamFault::Expired);
    }
    Ok(())
}

/// A place on the site to come back to, in its own spelling: path, query and fragment. `None` for whatever is not a page of this
/// site, however it is written (T02), and for our own addresses below it.
pub fn return_path(site: &DocsSite, asked: &str) -> Option<String> {
    let plain = asked.len() <= RETURN_PATH_BYTES_MAX
        && asked.starts_with('/')
        && !asked
            .chars()
            .any(|character| character == '\\' || character.is_control());
    if !plain {
        return None;
    }
    // Whatever a browser would make of it, it is asked in the same way: by resolving it.
    let base = Url::parse(&site.address.origin).ok()?;
    let url = base.join(asked).ok()?;
    let same_origin =
        url.origin() == base.origin() && url.username().is_empty() && url.password().is_none();
    let below = url.path().strip_prefix(&site.address.base_path)?;
    // `/docs/..//evil.test` resolves to a path that would be a host in a Location.
    let rooted = below.starts_with('/') || below.is_empty();
    let ours = decoded_start(below, HANDSHAKE_PATH);
    let path = &url[Position::BeforePath..];
    let fits = same_origin
        && rooted
        && !path.starts_with("//")
        && !ours
        && path.len() <= RETURN_PATH_BYTES_MAX;
    fits.then(|| path.to_owned())
}

/// Whether a path starts with a prefix of plain letters once percent escapes are read.
fn decoded_start(path: &str, prefix: &str) -> bool {
    let mut bytes = path.bytes();
    for wanted in prefix.bytes() {
        let found = match bytes.next() {
            Some(b'%') => {
                let mut digit = || {
                    bytes
                        .next()
                        .and_then(|digit| char::from(digit).to_digit(16))
                };
                let (high, low) = (digit(), digit());
                match (high, low) {
                    (Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
                    _ => None,
                }
            }
            other => other,
        };
        if found != Some(wanted) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::site::tests::site;
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn ask_of(site: &DocsSite) -> String {
        authorization_url(
            site,
            &HandshakeAsk {
                state: &secret("s-1"),
                verifier: &secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                nonce: &secret("n-1"),
            },
        )
    }

    #[test]
    fn the_request_has_what_the_seed_says_and_no_more() {
        let asked = ask_of(&site(&json!({})));
        assert_eq!(
            asked,
            "https://auth.foo.test/authorization?response_type=code&client_id=ydybo4SD8PR73vzWWd6S0ObH\
             &redirect_uri=https%3A%2F%2Fdocs.acme.test%2Fdocs%2F_handshake%2Fcallback&scope=docs-user-info&state=s-1\
             &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
        );
    }

    #[test]
    fn a_query_stays_scopes_may_be_empty_and_parameters_are_added() {
        let asked = ask_of(&site(&json!({
            "authorization_url": "https://auth.foo.test/a?tenant=x%20y", "scopes": [],
            "extra_authorization_params": { "audience": "https://api.foo.test/", "prompt": "login" },
        })));
        assert!(
            asked.starts_with("https://auth.foo.test/a?tenant=x%20y&response_type=code&"),
            "{asked}"
        );
        assert!(
            asked.ends_with("&audience=https%3A%2F%2Fapi.foo.test%2F&prompt=login"),
            "{asked}"
        );
        assert!(
            !asked.contains("scope=") && !asked.contains("nonce="),
            "{asked}"
        );
        let openid = ask_of(&site(&json!({ "scopes": ["openid", "groups"] })));
        assert!(
            openid.contains("&scope=openid+groups&state=s-1&nonce=n-1&"),
            "{openid}"
        );
    }

    #[test]
    fn t05_an_answer_of_another_issuer_is_refused_errors_included() {
        let (known, unknown) = (
            site(&json!({ "issuer": "https://auth.foo.test" })),
            site(&json!({})),
        );
        let read = |site: &DocsSite, query: &str| {
            read_callback(site, &Params::parse(query.as_bytes()).unwrap())
                .map(|code| code.reveal().to_owned())
        };
        #[rustfmt::skip]
        let table = [
            (&known,   "code=c&iss=https://auth.foo.test",  Ok("c".to_owned())),
            (&known,   "code=c",                            Ok("c".to_owned())),
            (&known,   "code=c&iss=https://evil.test",      Err(UpstreamFault::CallbackIssuer)),
            (&known,   "code=c&iss=https://auth.foo.test/", Err(UpstreamFault::CallbackIssuer)),
            (&known,   "error=access_denied&iss=https://evil.test", Err(UpstreamFault::CallbackIssuer)),
            (&unknown, "code=c&iss=https://evil.test",      Ok("c".to_owned())),
            (&unknown, "code=c&code=d",                     Err(UpstreamFault::Callback("a parameter stands twice"))),
            (&unknown, "",                                  Err(UpstreamFault::Callback("neither code nor error"))),
        ];
        for (site, query, expected) in table {
            assert_eq!(read(site, query), expected, "{query}");
        }
        assert!(read(&known, "error=access_denied").unwrap_err().is_denial());
    }

    #[test]
    fn a_public_client_sends_its_verifier_and_a_confidential_one_its_secret_too() {
        let form = |changes: &Value, given: Option<&str>| {
            let given = given.map(secret);
            let (code, verifier) = (secret("c"), secret("v"));
            exchange_form(&site(changes), given.as_ref(), &code, &verifier).unwrap()
        };
        let public = form(&json!({}), None);
        assert_eq!(
            *public.body,
            "grant_type=authorization_code&code=c&redirect_uri=https%3A%2F%2Fdocs.acme.test%2Fdocs%2F_handshake%2Fcallback\
             &code_verifier=v&client_id=ydybo4SD8PR73vzWWd6S0ObH"
        );
        assert!(public.authorization.is_none());
        assert!(
            form(&json!({}), Some("x y"))
                .body
                .ends_with("&client_secret=x+y")
        );
        let basic = form(
            &json!({ "token_endpoint_auth_method": "client_secret_basic" }),
            Some("x"),
        );
        assert!(basic.authorization.is_some() && !basic.body.contains("client_id"));
    }

    fn jwt(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.AA", part(&json!({"alg": "RS256"})), part(claims))
    }

    fn groups(
        changes: &Value,
        id_token: Option<&Value>,
        access_token: &str,
    ) -> Result<Vec<String>, String> {
        let mut body = json!({ "access_token": access_token, "token_type": "Bearer" });
        if let Some(claims) = id_token {
            body["id_token"] = json!(jwt(claims));
        }
        let tokens = UpstreamTokenResponse::parse(200, body.to_string().as_bytes()).unwrap();
        token_groups(&site(changes), &tokens, "n-1", NOW).map_err(|fault| match fault {
            ClaimsFault::Groups(faults) => faults[0].to_string(),
            ClaimsFault::Token(fault) => fault.to_string(),
        })
    }

    #[test]
    fn groups_come_from_an_id_token_that_is_for_us_and_for_this_request() {
        let settings = json!({
            "scopes": ["openid"], "issuer": "https://auth.foo.test", "client_id": "docs",
            "group_claims": { "source": "id_token", "claim": "roles" },
        });
        let good = json!({ "iss": "https://auth.foo.test", "aud": "docs", "exp": 1_800_000_600, "nonce": "n-1", "roles": ["admin"] });
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            groups(&settings, Some(&claims), "opaque")
        };
        assert_eq!(with("x", json!(1)), Ok(vec!["admin".to_owned()]));
        assert_eq!(with("roles", Value::Null), Ok(vec![]));
        assert_eq!(
            with("exp", json!(1_799_999_980)),
            Ok(vec!["admin".to_owned()])
        );
        #[rustfmt::skip]
        let table = [
            ("iss",   json!("https://evil.test"),  "the ID token is another issuer's"),
            ("iss",   Value::Null,                 "the ID token is another issuer's"),
            ("aud",   json!("other"),              "the ID token is for somebody else"),
            ("aud",   json!(["docs", "other"]),    "the ID token was given to somebody else"),
            ("aud",   json!(7),                    "the claim `aud` is missing or malformed"),
            ("azp",   json!("other"),              "the ID token was given to somebody else"),
            ("exp",   json!(1_799_999_940),        "the ID token has expired"),
            ("exp",   json!("soon"),               "the claim `exp` is missing or malformed"),
            ("nonce", json!("n-2"),                "the ID token answers another request: its nonce is wrong or missing"),
            ("nonce", Value::Null,                 "the ID token answers another request: its nonce is wrong or missing"),
            ("roles", json!([1]),                  "id_token.roles[0]: a group is a text, this is a number"),
        ];
        for (name, value, expected) in table {
            assert_eq!(
                with(name, value.clone()),
                Err(expected.to_owned()),
                "{name} {value}"
            );
        }
        assert_eq!(
            groups(&settings, None, "opaque"),
            Err("the token response is not accepted: no ID token".to_owned())
        );
        // Whoever does not ask the ID token for groups does not take another's either.
        let mut evil = good.clone();
        evil["iss"] = json!("https://evil.test");
        let unasked =
            json!({ "scopes": ["openid"], "issuer": "https://auth.foo.test", "client_id": "docs" });
        assert!(groups(&unasked, Some(&evil), "opaque").is_err());
        assert_eq!(groups(&unasked, Some(&good), "opaque"), Ok(vec![]));
    }

    #[test]
    fn groups_of_an_access_token_need_a_jwt() {
        let settings = json!({ "group_claims": { "source": "access_token", "delimiter": " " } });
        let of = |claims: Value| groups(&settings, None, &jwt(&claims));
        assert_eq!(
            of(json!({ "exp": 1_800_000_600, "groups": "a b" })),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        assert!(of(json!({ "groups": "a b" })).is_err());
        assert!(
            groups(&settings, None, "opaque")
                .unwrap_err()
                .contains("not a JWT")
        );
        assert!(groups(&settings, None, "a.b.c").is_err());
    }

    #[test]
    fn t02_a_reader_comes_back_to_a_page_of_this_site_or_lands() {
        let (below, root) = (
            site(&json!({})),
            site(&json!({ "public_url": "https://docs.acme.test" })),
        );
        #[rustfmt::skip]
        let good = [
            (&below, "/docs/",                      "/docs/"),
            (&below, "/docs",                       "/docs"),
            (&below, "/docs/a/b.html?q=1&r=2#top",  "/docs/a/b.html?q=1&r=2#top"),
            (&below, "/docs/a/../b",                "/docs/b"),
            (&below, "/docs/grüße#ß",               "/docs/gr%C3%BC%C3%9Fe#%C3%9F"),
            (&below, "/docs/a@b:c",                 "/docs/a@b:c"),
            (&below, "/docs/?to=https://evil.test", "/docs/?to=https://evil.test"),
            (&root,  "/",                           "/"),
            (&root,  "/a//b",                       "/a//b"),
            (&root,  "/@evil.test",                 "/@evil.test"),
            (&root,  "/docs/_handshake",            "/docs/_handshake"),
        ];
        for (site, asked, expected) in good {
            assert_eq!(
                return_path(site, asked).as_deref(),
                Some(expected),
                "{asked}"
            );
        }
        #[rustfmt::skip]
        let bad = [
            "", "docs", "docs/a", "https://docs.acme.test/docs/", "https://evil.test/docs/", "//evil.test", "//evil.test/docs/", "///evil.test",
            "/\\evil.test", "\\/evil.test", "/\t/evil.test", "/\n//evil.test", "\t//evil.test", " //evil.test", "/docs\\..\\..\\evil",
            "/docs/..//evil.test/", "/docs/%2e%2e//evil.test/", "/docs/.%2E/x", "/docs/../", "/docsx", "/doc", "/Docs/", "/other", "/",
            "/docs/a\r\nSet-Cookie: x=1", "/docs/\0", "javascript:alert(1)", "data:text/html,x", "https:evil.test", "https:/docs/", "//docs.acme.test@evil.test/docs/",
            "//docs.acme.test:443@evil.test/docs/", "http://docs.acme.test/docs/", "/.//evil.test/docs/", "//evil.test\\@docs.acme.test/docs/",
            "/docs/_handshake/sign-out", "/docs/_handshake", "/docs/%5fhandshake/sign-out", "/docs/x/../_handshake/sign-in", "/docs/_h%61ndshake/callback?code=x",
        ];
        for asked in bad {
            assert_eq!(return_path(&below, asked), None, "{asked:?}");
        }
        for asked in [
            "//evil.test",
            "/..//evil.test",
            "/a/..//evil.test",
            "/./%2e%2e//evil.test",
            "/_handshake/check",
            "/\\evil.test",
        ] {
            assert_eq!(return_path(&root, asked), None, "{asked:?}");
        }
        let long = format!("/docs/{}", "a".repeat(RETURN_PATH_BYTES_MAX));
        assert_eq!(return_path(&below, &long), None);
    }

    #[test]
    fn t02_what_a_reader_comes_back_to_is_always_on_the_site() {
        // Every short text over the bytes that parsers differ on.
        let alphabet = [
            "/",
            "\\",
            ".",
            "%2e",
            "%2f",
            "%5c",
            "@",
            "evil.test",
            ":",
            "docs",
            "?",
            "#",
            "\t",
            ";",
        ];
        let site = site(&json!({}));
        let mut texts = vec![String::new()];
        for _ in 0..4 {
            texts = texts
                .iter()
                .flat_map(|text| alphabet.iter().map(move |part| format!("{text}{part}")))
                .collect();
            for text in &texts {
                for asked in [format!("/{text}"), format!("/docs/{text}")] {
                    let Some(path) = return_path(&site, &asked) else {
                        continue;
                    };
                    let reached = Url::parse("https://docs.acme.test/docs/_handshake/callback")
                        .unwrap()
                        .join(&path)
                        .unwrap();
                    assert_eq!(
                        reached.host_str(),
                        Some("docs.acme.test"),
                        "{asked:?} {path:?}"
                    );
                    assert!(
                        reached.path() == "/docs" || reached.path().starts_with("/docs/"),
                        "{asked:?} {path:?}"
                    );
                }
            }
        }
    }
}
