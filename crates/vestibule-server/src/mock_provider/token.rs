//! The token endpoint of both dialects: who asks, what for, and the ID token that comes of it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use vestibule_core::id::Chance;
use vestibule_core::jose::digest::left_half_hash;
use vestibule_core::jose::key::SignError;
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::oauth::params::Params;
use vestibule_core::secret::{Secret, SecretDigest};
use vestibule_core::time::{Lifetime, Timestamp};

use super::authorize::OTHER_ISSUER;
use super::behaviour::{Behaviour, IdTokenFault};
use super::issued::{ACCESS_LIFETIME, Allowed, Code, LONG_LIFETIME};
use super::{Answer, MockProvider, Surface, answer, json_answer};

/// How long an ID token lives.
const ID_TOKEN_LIFETIME: Lifetime = Lifetime::minutes(5);

/// A refusal: status, code and description.
type Refusal = (StatusCode, &'static str, &'static str);

const fn invalid(code: &'static str, description: &'static str) -> Refusal {
    (StatusCode::BAD_REQUEST, code, description)
}

impl MockProvider {
    /// `POST` to the token endpoint.
    pub(super) fn token(
        &self,
        surface: Surface,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
        chance: &dyn Chance,
    ) -> Answer {
        let granted = read_form(headers, body).and_then(|params| {
            self.authenticate(headers, &params)?;
            match (params.get("grant_type"), surface) {
                (Some("authorization_code"), _) | (None, Surface::Plain) => {
                    self.redeem(surface, &params, now, chance)
                }
                (Some("refresh_token"), Surface::OpenId) => self.refresh(&params, now, chance),
                (Some(_), _) => Err(invalid("unsupported_grant_type", "Not this grant type.")),
                (None, Surface::OpenId) => {
                    Err(invalid("invalid_request", "grant_type is missing."))
                }
            }
        });
        match granted {
            Ok((tokens, Behaviour::Token(fault))) => {
                self.misbehave(fault, || say(surface, headers, StatusCode::OK, &tokens))
            }
            Ok((tokens, _)) => say(surface, headers, StatusCode::OK, &tokens),
            Err((status, code, description)) => {
                let error = Map::from_iter([
                    ("error".to_owned(), json!(code)),
                    ("error_description".to_owned(), json!(description)),
                ]);
                // The plain dialect reports its errors with status 200, as GitHub does.
                let status = match surface {
                    Surface::OpenId => status,
                    Surface::Plain => StatusCode::OK,
                };
                say(surface, headers, status, &error)
            }
        }
    }

    /// The one client, by `client_secret_basic` or `client_secret_post` (RFC 6749, 2.3.1), one at a time.
    fn authenticate(&self, headers: &HeaderMap, params: &Params) -> Result<(), Refusal> {
        let refuse = || {
            (
                StatusCode::UNAUTHORIZED,
                "invalid_client",
                "The client is not the one that is registered, or its secret is wrong.",
            )
        };
        let posted = params.get("client_secret");
        let (id, secret) = match headers.get(header::AUTHORIZATION) {
            Some(_) if posted.is_some() => {
                return Err(invalid("invalid_request", "Two ways to authenticate."));
            }
            Some(value) => {
                let (id, secret) = basic(value).ok_or_else(refuse)?;
                (Some(id), Some(secret))
            }
            None => (
                params.get("client_id").map(str::to_owned),
                posted.map(str::to_owned),
            ),
        };
        if id.as_deref() != Some(&self.settings.client_id) {
            return Err(refuse());
        }
        let Some(expected) = &self.settings.client_secret else {
            return Ok(());
        };
        let presented = SecretDigest::of_client_secret(secret.as_deref().unwrap_or_default());
        if SecretDigest::of_client_secret(expected).matches(&presented) {
            Ok(())
        } else {
            Err(refuse())
        }
    }

    fn redeem(
        &self,
        surface: Surface,
        params: &Params,
        now: Timestamp,
        chance: &dyn Chance,
    ) -> Result<(Map<String, Value>, Behaviour), Refusal> {
        let presented = params.get("code").unwrap_or_default();
        // Whatever comes of it, a code is presented once (RFC 6749, 4.1.2).
        let taken = self.issued.lock().codes.take(presented, now);
        let refused = match surface {
            Surface::OpenId => "invalid_grant",
            Surface::Plain => "bad_verification_code",
        };
        let code = taken
            .filter(|code| code.allowed.surface == surface)
            .ok_or_else(|| invalid(refused, "The code is unknown, used or too old."))?;
        // OAuth 2.0 asks for the same redirect URI again (RFC 6749, 4.1.3), OAuth 2.1 no longer does.
        if params
            .get("redirect_uri")
            .is_some_and(|uri| uri != code.redirect_uri)
        {
            return Err(invalid(refused, "The redirect URI is another one."));
        }
        let proved = match (&code.challenge, params.get("code_verifier")) {
            (Some(challenge), Some(verifier)) => challenge.accepts(verifier),
            (Some(_), None) | (None, Some(_)) => false,
            (None, None) => true,
        };
        if !proved {
            return Err(invalid(refused, "The code verifier does not fit."));
        }
        let mut tokens = self.access_token(&code.allowed, now, chance);
        if surface == Surface::OpenId {
            self.add_refresh_token(&mut tokens, &code.allowed, now, chance);
        }
        if surface == Surface::OpenId && code.allowed.has_scope("openid") {
            let access_token = tokens.get("access_token").and_then(Value::as_str);
            let id_token = self.id_token(&code, access_token.unwrap_or_default(), now);
            let id_token = id_token.map_err(|_| {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                (status, "server_error", "The ID token cannot be signed.")
            })?;
            tokens.extend(id_token.map(|token| ("id_token".to_owned(), json!(token))));
        }
        Ok((tokens, code.allowed.behaviour))
    }

    fn refresh(
        &self,
        params: &Params,
        now: Timestamp,
        chance: &dyn Chance,
    ) -> Result<(Map<String, Value>, Behaviour), Refusal> {
        let presented = params.get("refresh_token").unwrap_or_default();
        let allowed = {
            let mut issued = self.issued.lock();
            if self.settings.rotates_refresh_tokens {
                issued.refresh_tokens.take(presented, now)
            } else {
                issued.refresh_tokens.get(presented, now).cloned()
            }
        };
        let allowed =
            allowed.ok_or_else(|| invalid("invalid_grant", "The refresh token is unknown."))?;
        let mut tokens = self.access_token(&allowed, now, chance);
        if self.settings.rotates_refresh_tokens {
            self.add_refresh_token(&mut tokens, &allowed, now, chance);
        }
        // How a sign-in goes wrong was about the sign-in.
        Ok((tokens, Behaviour::Honest))
    }

    /// A new access token for what was allowed. In the plain dialect it does not end soon, and nothing refreshes it.
    fn access_token(
        &self,
        allowed: &Allowed,
        now: Timestamp,
        chance: &dyn Chance,
    ) -> Map<String, Value> {
        let mut tokens = Map::new();
        let token = format!("mock_access_{}", Secret::random(chance).reveal());
        tokens.insert("access_token".to_owned(), json!(token));
        tokens.insert("scope".to_owned(), json!(allowed.scope));
        let lifetime = match allowed.surface {
            Surface::OpenId => {
                tokens.insert("token_type".to_owned(), json!("Bearer"));
                tokens.insert("expires_in".to_owned(), json!(ACCESS_LIFETIME.seconds()));
                ACCESS_LIFETIME
            }
            Surface::Plain => {
                tokens.insert("token_type".to_owned(), json!("bearer"));
                LONG_LIFETIME
            }
        };
        let mut issued = self.issued.lock();
        issued
            .access_tokens
            .put(token, now.plus(lifetime), allowed.clone());
        tokens
    }

    fn add_refresh_token(
        &self,
        tokens: &mut Map<String, Value>,
        allowed: &Allowed,
        now: Timestamp,
        chance: &dyn Chance,
    ) {
        let token = format!("mock_refresh_{}", Secret::random(chance).reveal());
        tokens.insert("refresh_token".to_owned(), json!(token));
        let mut issued = self.issued.lock();
        issued
            .refresh_tokens
            .put(token, now.plus(LONG_LIFETIME), allowed.clone());
    }

    /// The ID token (OpenID Connect Core, 2), with the fault that was asked for. `None` where that is its absence.
    fn id_token(
        &self,
        code: &Code,
        access_token: &str,
        now: Timestamp,
    ) -> Result<Option<String>, SignError> {
        let fault = match code.allowed.behaviour {
            Behaviour::IdToken(fault) => Some(fault),
            _ => None,
        };
        let when = |wanted: IdTokenFault| fault == Some(wanted);
        if when(IdTokenFault::Missing) {
            return Ok(None);
        }
        let keys = Arc::clone(&self.keys.lock());
        let mut claims = self.claims(&code.allowed);
        if matches!(
            code.allowed.behaviour,
            Behaviour::UserInfo(_) | Behaviour::OtherSubject
        ) {
            // Or nobody would ask there (OpenID Connect Core, 5.4).
            claims.retain(|name, _| name == "sub");
        }
        let issued_at = if when(IdTokenFault::Expired) {
            now.minus(Lifetime::hours(2))
        } else {
            now
        };
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put(
            "iss",
            json!(if when(IdTokenFault::Issuer) {
                OTHER_ISSUER
            } else {
                &self.settings.issuer
            }),
        );
        put(
            "aud",
            json!(if when(IdTokenFault::Audience) {
                "somebody-else"
            } else {
                &self.settings.client_id
            }),
        );
        put("iat", json!(issued_at.seconds()));
        put("exp", json!(issued_at.plus(ID_TOKEN_LIFETIME).seconds()));
        let hashed = if when(IdTokenFault::AccessTokenHash) {
            "another"
        } else {
            access_token
        };
        put(
            "at_hash",
            json!(left_half_hash(self.settings.algorithm, hashed)),
        );
        match &code.nonce {
            Some(nonce) if when(IdTokenFault::Nonce) => put("nonce", json!(format!("{nonce}x"))),
            Some(nonce) if !when(IdTokenFault::NoNonce) => put("nonce", json!(nonce)),
            Some(_) | None => None,
        };
        let told = match fault {
            Some(IdTokenFault::OldSignIn) => Some(now.minus(Lifetime::days(1))),
            Some(IdTokenFault::FutureSignIn) => Some(now.plus(Lifetime::days(1))),
            Some(IdTokenFault::NoAuthTime) => None,
            _ => code.auth_time,
        };
        if let Some(time) = told {
            put("auth_time", json!(time.seconds()));
        }
        let sign =
            |key: &vestibule_core::jose::key::SigningKey| key.sign(TokenType::IdToken, &claims);
        Ok(Some(match fault {
            Some(IdTokenFault::Key) => sign(&keys.stranger)?,
            Some(IdTokenFault::Signature) => splice(&sign(&keys.current)?, &sign(&keys.stranger)?),
            Some(IdTokenFault::Unsigned) => unsigned(&claims),
            _ => sign(&keys.current)?,
        }))
    }
}

/// The header and payload of one token with the signature of another.
fn splice(token: &str, other: &str) -> String {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let signature = other
        .rsplit_once('.')
        .map_or("", |(_, signature)| signature);
    format!("{signed}.{signature}")
}

/// A token that says that nobody signed it (RFC 7519, 6).
fn unsigned(claims: &Map<String, Value>) -> String {
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header = json!({ "alg": "none", "typ": "JWT" });
    format!(
        "{}.{}.",
        encode(&header),
        encode(&Value::Object(claims.clone()))
    )
}

fn read_form(headers: &HeaderMap, body: &[u8]) -> Result<Params, Refusal> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    if !kind
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    {
        return Err(invalid("invalid_request", "The body is not a form."));
    }
    let params =
        Params::parse(body).map_err(|_| invalid("invalid_request", "The form cannot be read."))?;
    if params.repeated().is_some() {
        return Err(invalid(
            "invalid_request",
            "A parameter stands more than once.",
        ));
    }
    Ok(params)
}

/// The halves of HTTP Basic credentials, each form-encoded (RFC 6749, 2.3.1).
fn basic(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let halves = Params::parse(format!("id={id}&secret={secret}").as_bytes()).ok()?;
    Some((
        halves.get("id")?.to_owned(),
        halves.get("secret")?.to_owned(),
    ))
}

/// JSON; in the plain dialect a form unless JSON is asked for, as GitHub does.
fn say(
    surface: Surface,
    headers: &HeaderMap,
    status: StatusCode,
    members: &Map<String, Value>,
) -> Answer {
    let wants_json = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("application/json"));
    if surface == Surface::OpenId || wants_json {
        return json_answer(status, &Value::Object(members.clone())).into();
    }
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in members {
        form.append_pair(name, value.as_str().unwrap_or_default());
    }
    answer(status, "application/x-www-form-urlencoded", form.finish()).into()
}
