//! The token endpoint of a provider (RFC 6749, 4.1.3, 5 and 6): what to send, and what comes back.

use super::fault::{UpstreamFault, UpstreamRefusal};
use super::provider::{Provider, UpstreamAuth, UpstreamGrant, UpstreamTokens};
use crate::jose::algorithm::Algorithm;
use crate::jose::key::SigningKey;
use crate::oauth::scope::{SCOPES_COUNT_MAX, ScopeSet, is_scope_name};
use crate::secret::Secret;
use crate::time::{Lifetime, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// The longest token that is accepted from a provider, in bytes.
pub const UPSTREAM_TOKEN_BYTES_MAX: usize = 32 * 1024;
/// Apple's name in the statement that is our secret there.
const APPLE: &str = "https://appleid.apple.com";
/// How long that statement lives.
const SIGNED_SECRET_LIFETIME: Lifetime = Lifetime::minutes(5);

/// A request to a token endpoint: a form, and the `Authorization` header where the provider wants one. Nothing of it prints itself.
#[derive(Clone)]
pub struct UpstreamForm {
    /// The body, `application/x-www-form-urlencoded`.
    pub body: Zeroizing<String>,
    /// The header.
    pub authorization: Option<Secret>,
}

impl std::fmt::Debug for UpstreamForm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("UpstreamForm(…)")
    }
}

/// The exchange of a code. `secret` is the provider's, as the operator gave it.
pub fn exchange_form(
    provider: &Provider,
    secret: Option<&Secret>,
    code: &Secret,
    redirect_uri: &str,
    verifier: &Secret,
    now: Timestamp,
) -> Result<UpstreamForm, UpstreamFault> {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code.reveal()),
        ("redirect_uri", redirect_uri),
    ];
    if provider.pkce {
        fields.push(("code_verifier", verifier.reveal()));
    }
    form(provider, secret, &fields, now)
}

/// The refresh of an access token.
pub fn refresh_form(
    provider: &Provider,
    secret: Option<&Secret>,
    refresh_token: &str,
    now: Timestamp,
) -> Result<UpstreamForm, UpstreamFault> {
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
    ];
    form(provider, secret, &fields, now)
}

fn form(
    provider: &Provider,
    secret: Option<&Secret>,
    fields: &[(&str, &str)],
    now: Timestamp,
) -> Result<UpstreamForm, UpstreamFault> {
    let statement = match (provider.auth, secret) {
        (UpstreamAuth::SignedSecret, Some(secret)) => Some(
            signed_secret(provider, secret, now).ok_or(UpstreamFault::TokenResponse(
                "the secret is not an ES256 private key in PEM",
            ))?,
        ),
        _ => None,
    };
    let secret = statement.as_ref().or(secret);
    authenticated_form(provider.auth, &provider.client_id, secret, fields)
}

/// A request to a token endpoint, with what proves that it is ours. Where the secret is signed, it is the statement.
pub(crate) fn authenticated_form(
    auth: UpstreamAuth,
    client_id: &str,
    secret: Option<&Secret>,
    fields: &[(&str, &str)],
) -> Result<UpstreamForm, UpstreamFault> {
    let missing = UpstreamFault::TokenResponse("no client secret is set for this provider");
    let mut query = ::url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields);
    let mut authorization = None;
    match auth {
        UpstreamAuth::ClientSecretBasic => {
            let secret = secret.ok_or(missing)?;
            // RFC 6749, 2.3.1: each half is form-encoded before base64.
            let encode = |text: &str| {
                ::url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
            };
            let pair = Zeroizing::new(format!("{}:{}", encode(client_id), encode(secret.reveal())));
            authorization = Some(Secret::new(format!(
                "Basic {}",
                STANDARD.encode(pair.as_bytes())
            )));
        }
        UpstreamAuth::ClientSecretPost | UpstreamAuth::SignedSecret => {
            query.append_pair("client_id", client_id);
            query.append_pair("client_secret", secret.ok_or(missing)?.reveal());
        }
        UpstreamAuth::None => {
            query.append_pair("client_id", client_id);
        }
    }
    Ok(UpstreamForm {
        body: Zeroizing::new(query.finish()),
        authorization,
    })
}

/// The key in an operator's PEM file (PKCS#8), if it is one for ES256.
pub fn parse_signing_secret(pem: &Secret) -> Option<SigningKey> {
    let body: Zeroizing<String> = Zeroizing::new(
        pem.reveal()
            .trim()
            .strip_prefix("-----BEGIN PRIVATE KEY-----")?
            .strip_suffix("-----END PRIVATE KEY-----")?
            .split_whitespace()
            .collect(),
    );
    let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).ok()?);
    SigningKey::from_pkcs8(Algorithm::ES256, &der).ok()
}

/// What Apple takes for a secret: a short-lived statement, signed with the team's key.
fn signed_secret(provider: &Provider, pem: &Secret, now: Timestamp) -> Option<Secret> {
    #[derive(Serialize)]
    struct Statement<'a> {
        iss: &'a str,
        iat: Timestamp,
        exp: Timestamp,
        aud: &'static str,
        sub: &'a str,
    }
    let apple = provider.apple_key.as_ref()?;
    let key = parse_signing_secret(pem)?;
    let statement = Statement {
        iss: &apple.team_id,
        iat: now,
        exp: now.plus(SIGNED_SECRET_LIFETIME),
        aud: APPLE,
        sub: &provider.client_id,
    };
    key.sign_as(&apple.key_id, &statement)?
        .ok()
        .map(Secret::new)
}

/// What a token endpoint gave.
#[derive(Clone, Debug)]
pub struct UpstreamTokenResponse {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token.
    pub refresh_token: Option<Secret>,
    /// The ID token.
    pub id_token: Option<Secret>,
    /// What was granted, where it says.
    pub scope: Option<ScopeSet>,
    /// How long the access token lives, where it says.
    pub expires_in: Option<Lifetime>,
}

impl UpstreamTokenResponse {
    /// Reads an answer. An error is one whatever its status: GitHub answers 200.
    pub fn parse(status: u16, body: &[u8]) -> Result<Self, UpstreamFault> {
        let object = match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => object,
            _ if status >= 500 || status == 429 => {
                return Err(UpstreamFault::Unavailable("the token endpoint failed"));
            }
            _ => return Err(UpstreamFault::TokenResponse("not a JSON object")),
        };
        if let Some(error) = refusal_of(&object) {
            return Err(UpstreamFault::Refused(error));
        }
        match status {
            200..=299 => {}
            429 | 500.. => return Err(UpstreamFault::Unavailable("the token endpoint failed")),
            _ => return Err(UpstreamFault::TokenResponse("a status other than 200")),
        }
        // RFC 6749, 7.1: a type that we do not know is not to be used. Some leave it out.
        if let Some(kind) = object.get("token_type")
            && !kind
                .as_str()
                .is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"))
        {
            return Err(UpstreamFault::TokenResponse("token_type is not Bearer"));
        }
        let secret = |name: &str| token(&object, name).map(|text| Secret::new(text.to_owned()));
        Ok(Self {
            access_token: secret("access_token")
                .ok_or(UpstreamFault::TokenResponse("no access token"))?,
            refresh_token: secret("refresh_token"),
            id_token: secret("id_token"),
            scope: object.get("scope").map(scope_of),
            expires_in: object.get("expires_in").and_then(lifetime_of),
        })
    }

    /// What is sealed. A refresh that brings no new refresh token keeps the old one (RFC 6749, 6).
    pub fn tokens(&self, before: Option<&UpstreamTokens>) -> UpstreamTokens {
        UpstreamTokens {
            access_token: self.access_token.reveal().to_owned(),
            refresh_token: self
                .refresh_token
                .as_ref()
                .map(|token| token.reveal().to_owned())
                .or_else(|| before.and_then(|before| before.refresh_token.clone())),
        }
    }

    /// What the tokens are good for. Where the provider does not say, it granted what was asked (RFC 6749, 5.1).
    pub fn grant(&self, asked: &ScopeSet, now: Timestamp) -> UpstreamGrant {
        UpstreamGrant {
            scope: self.scope.clone().unwrap_or_else(|| asked.clone()),
            access_expires_at: self.expires_in.map(|lifetime| now.plus(lifetime)),
        }
    }
}

fn token<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty() && text.len() <= UPSTREAM_TOKEN_BYTES_MAX)
}

/// RFC 6749, 5.2; Facebook and Slack wrap it or say it otherwise.
fn refusal_of(object: &Map<String, Value>) -> Option<UpstreamRefusal> {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    match object.get("error")? {
        Value::Null => None,
        Value::String(error) => Some(UpstreamRefusal::new(error, text("error_description"))),
        Value::Object(inner) => {
            let text = |name: &str| inner.get(name).and_then(Value::as_str).unwrap_or_default();
            Some(UpstreamRefusal::new(text("type"), text("message")))
        }
        _ => Some(UpstreamRefusal::new("error", "")),
    }
}

/// Names between spaces (RFC 6749, 3.3), between commas (GitHub), or a list (Twitch). What is no name is left out.
fn scope_of(value: &Value) -> ScopeSet {
    let mut scope = ScopeSet::default();
    let texts: Vec<&str> = match value {
        Value::String(text) => vec![text.as_str()],
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    for name in texts
        .into_iter()
        .flat_map(|text| text.split([' ', ',']))
        .filter(|name| is_scope_name(name))
        .take(SCOPES_COUNT_MAX)
    {
        scope.insert(name);
    }
    scope
}

/// Seconds, as a number or as text.
fn lifetime_of(value: &Value) -> Option<Lifetime> {
    let seconds = value
        .as_u64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))?;
    u32::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Lifetime::from_seconds(seconds).min(Lifetime::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::provider::tests::provider;
    use super::*;
    use crate::oauth::params::Params;

    const NOW: Timestamp = Timestamp::from_seconds(1000);

    fn parse(status: u16, body: &str) -> Result<UpstreamTokenResponse, UpstreamFault> {
        UpstreamTokenResponse::parse(status, body.as_bytes())
    }

    #[test]
    fn an_answer_is_read_in_each_provider_s_spelling() {
        #[rustfmt::skip]
        let table = [
            (r#"{"access_token":"a","token_type":"Bearer","scope":"x y","expires_in":3600}"#, "x y", Some(4600)),
            (r#"{"access_token":"a","token_type":"bearer","scope":"x,y"}"#,                   "x y", None),
            (r#"{"access_token":"a","scope":["x","y"],"expires_in":"60"}"#,                   "x y", Some(1060)),
            (r#"{"access_token":"a","expires_in":0}"#,                                        "asked", None),
            (r#"{"access_token":"a","expires_in":-1}"#,                                       "asked", None),
            (r#"{"access_token":"a","error":null,"scope":"x \"bad"}"#,                        "x", None),
        ];
        let asked = ScopeSet::parse("asked").unwrap();
        for (row, (body, scope, ends)) in table.into_iter().enumerate() {
            let grant = parse(200, body).unwrap().grant(&asked, NOW);
            assert_eq!(grant.scope.to_string(), scope, "row {row}");
            assert_eq!(
                grant.access_expires_at.map(Timestamp::seconds),
                ends,
                "row {row}"
            );
        }
    }

    #[test]
    fn what_is_no_token_is_refused_whatever_the_status() {
        let refused = |error: &str| UpstreamFault::Refused(UpstreamRefusal::new(error, ""));
        #[rustfmt::skip]
        let table = [
            (200, r#"{"error":"bad_verification_code"}"#,                 refused("bad_verification_code")),
            (200, r#"{"error":"x","access_token":"a"}"#,                  refused("x")),
            (400, r#"{"error":"invalid_grant"}"#,                         refused("invalid_grant")),
            (400, r#"{"error":{"type":"OAuthException"}}"#,               refused("OAuthException")),
            (200, r#"{"ok":false,"error":"invalid_code"}"#,               refused("invalid_code")),
            (400, r#"{"access_token":"a"}"#,                              UpstreamFault::TokenResponse("a status other than 200")),
            (302, r#"{"access_token":"a"}"#,                              UpstreamFault::TokenResponse("a status other than 200")),
            (200, r#"{"access_token":""}"#,                               UpstreamFault::TokenResponse("no access token")),
            (200, r#"{"access_token":7}"#,                                UpstreamFault::TokenResponse("no access token")),
            (200, r#"{"access_token":"a","token_type":"mac"}"#,           UpstreamFault::TokenResponse("token_type is not Bearer")),
            (200, "access_token=a&scope=x",                               UpstreamFault::TokenResponse("not a JSON object")),
            (200, "<html>",                                               UpstreamFault::TokenResponse("not a JSON object")),
            (200, "[]",                                                   UpstreamFault::TokenResponse("not a JSON object")),
            (503, "<html>",                                               UpstreamFault::Unavailable("the token endpoint failed")),
            (429, "{}",                                                   UpstreamFault::Unavailable("the token endpoint failed")),
        ];
        for (row, (status, body, fault)) in table.into_iter().enumerate() {
            assert_eq!(parse(status, body).unwrap_err(), fault, "row {row}");
        }
    }

    #[test]
    fn a_refresh_without_a_new_refresh_token_keeps_the_old_one_and_nothing_prints() {
        let before = UpstreamTokens {
            access_token: "old".to_owned(),
            refresh_token: Some("r1".to_owned()),
        };
        let kept = parse(200, r#"{"access_token":"a"}"#)
            .unwrap()
            .tokens(Some(&before));
        assert_eq!(
            (kept.access_token.as_str(), kept.refresh_token.as_deref()),
            ("a", Some("r1"))
        );
        let new = parse(200, r#"{"access_token":"a","refresh_token":"r2"}"#).unwrap();
        assert_eq!(
            new.tokens(Some(&before)).refresh_token.as_deref(),
            Some("r2")
        );
        assert!(!format!("{before:?} {new:?}").contains("r1"));
    }

    #[test]
    fn we_prove_ourselves_by_the_provider_s_method_and_no_other() {
        let (secret, code, verifier) = (
            Secret::new("s e:c".to_owned()),
            Secret::new("c".to_owned()),
            Secret::new("v".to_owned()),
        );
        let form = |json: &str, secret: Option<&Secret>| {
            exchange_form(
                &provider(json),
                secret,
                &code,
                "https://id.example/cb",
                &verifier,
                NOW,
            )
        };
        let basic = form(
            r#"{"id":"s","preset":"spotify","client_id":"id"}"#,
            Some(&secret),
        )
        .unwrap();
        assert_eq!(
            basic.authorization.unwrap().reveal(),
            format!("Basic {}", STANDARD.encode("id:s+e%3Ac"))
        );
        assert!(!basic.body.contains("client_secret") && basic.body.contains("code_verifier=v"));
        let post = form(
            r#"{"id":"g","preset":"github","client_id":"id"}"#,
            Some(&secret),
        )
        .unwrap();
        assert!(post.authorization.is_none() && post.body.contains("client_secret=s+e%3Ac"));
        assert!(form(r#"{"id":"g","preset":"github","client_id":"id"}"#, None).is_err());
        let apple = r#"{"id":"a","preset":"apple","client_id":"id","apple_team_id":"T1","apple_key_id":"K1"}"#;
        assert!(form(apple, Some(&secret)).is_err());
        for preset in ["linkedin", "slack"] {
            let json = format!(r#"{{"id":"p","preset":"{preset}","client_id":"id"}}"#);
            let without = form(&json, Some(&secret)).unwrap();
            assert!(!without.body.contains("code_verifier"), "{preset}");
        }
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(key.to_pkcs8().unwrap().as_slice())
        );
        let signed = form(apple, Some(&Secret::new(pem))).unwrap();
        let params = Params::parse(signed.body.as_bytes()).unwrap();
        let statement = params.get("client_secret").unwrap();
        let (header, rest) = statement.split_once('.').unwrap();
        let claims = rest.split_once('.').unwrap().0;
        let read = |text: &str| -> Value {
            use base64::engine::general_purpose::URL_SAFE_NO_PAD;
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
        };
        assert_eq!(
            read(header),
            serde_json::json!({"alg": "ES256", "kid": "K1"})
        );
        assert_eq!(
            read(claims),
            serde_json::json!({"iss": "T1", "iat": 1000, "exp": 1300, "aud": "https://appleid.apple.com", "sub": "id"})
        );
    }
}
