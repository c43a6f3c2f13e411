//! What the provider says about somebody: claims, user info, and the user of the plain dialect.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use vestibule_core::time::Timestamp;

use super::behaviour::Behaviour;
use super::issued::Allowed;
use super::{Answer, MockPerson, MockProvider, Surface, TEXT, answer, json_answer};

impl MockProvider {
    /// The claims about somebody that the scope releases (OpenID Connect Core, 5.4).
    pub(super) fn claims(&self, allowed: &Allowed) -> Map<String, Value> {
        let mut claims = Map::new();
        let Some(person) = self.person(allowed.person) else {
            return claims;
        };
        let mut put = |name: &str, value: Value| {
            claims.insert(name.to_owned(), value);
        };
        put(
            "sub",
            match allowed.behaviour {
                Behaviour::Subject(fault) => json!(fault.subject()),
                _ => json!(person.subject()),
            },
        );
        if allowed.has_scope("profile") {
            put("name", json!(person.name));
            put("preferred_username", json!(person.id));
            put("picture", json!(self.picture_address(person)));
        }
        if let Some(email) = person.email.filter(|_| allowed.has_scope("email")) {
            put("email", json!(email.address));
            put("email_verified", json!(email.verified));
        }
        claims
    }

    fn picture_address(&self, person: &MockPerson) -> String {
        format!("{}/people/{}.svg", self.settings.issuer, person.id)
    }

    /// User info (OpenID Connect Core, 5.3).
    pub(super) fn userinfo(&self, headers: &HeaderMap, now: Timestamp) -> Answer {
        let Some(allowed) = self.bearer(headers, Surface::OpenId, now) else {
            let mut refused = answer(StatusCode::UNAUTHORIZED, TEXT, "");
            refused.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer error=\"invalid_token\""),
            );
            return refused.into();
        };
        let mut claims = self.claims(&allowed);
        if allowed.behaviour == Behaviour::OtherSubject {
            claims.insert("sub".to_owned(), json!("somebody-else"));
        }
        self.about(&allowed, &Value::Object(claims))
    }

    /// The user of the plain dialect: the id is a number, and the address is not here unless it is public.
    pub(super) fn plain_user(&self, headers: &HeaderMap, now: Timestamp) -> Answer {
        self.plain(headers, now, |person, allowed| {
            let id = match allowed.behaviour {
                Behaviour::Subject(fault) => json!(fault.subject()),
                _ => json!(person.number),
            };
            json!({
                "id": id,
                "login": person.id,
                "name": person.name,
                "email": null,
                "avatar_url": self.picture_address(person),
                "html_url": format!("{}/{}", self.settings.issuer, person.id),
                "type": "User",
            })
        })
    }

    /// Their addresses, if that was asked for.
    pub(super) fn plain_emails(&self, headers: &HeaderMap, now: Timestamp) -> Answer {
        self.plain(headers, now, |person, allowed| {
            let may = allowed.has_scope("user:email") || allowed.has_scope("email");
            let list = person.email.iter().filter(|_| may).map(|email| {
                json!({
                    "email": email.address,
                    "primary": true,
                    "verified": email.verified,
                    "visibility": "private",
                })
            });
            Value::Array(list.collect())
        })
    }

    fn plain(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
        say: impl FnOnce(&MockPerson, &Allowed) -> Value,
    ) -> Answer {
        if !headers.contains_key(header::USER_AGENT) {
            // GitHub refuses callers without a name; whoever works with it sends one.
            let message = json!({ "message": "Send a User-Agent header." });
            return json_answer(StatusCode::FORBIDDEN, &message).into();
        }
        let allowed = self.bearer(headers, Surface::Plain, now);
        let known = allowed.and_then(|allowed| Some((self.person(allowed.person)?, allowed)));
        match known {
            Some((person, allowed)) => self.about(&allowed, &say(person, &allowed)),
            None => json_answer(
                StatusCode::UNAUTHORIZED,
                &json!({ "message": "Bad credentials" }),
            )
            .into(),
        }
    }

    /// An answer about somebody, unless their sign-in was to go wrong here.
    fn about(&self, allowed: &Allowed, said: &Value) -> Answer {
        let honest = || json_answer(StatusCode::OK, said).into();
        match allowed.behaviour {
            Behaviour::UserInfo(fault) => self.misbehave(fault, honest),
            _ => honest(),
        }
    }

    /// What the access token in the header stands for (RFC 6750, 2.1).
    fn bearer(&self, headers: &HeaderMap, surface: Surface, now: Timestamp) -> Option<Allowed> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let issued = self.issued.lock();
        let allowed = issued.access_tokens.get(token, now)?;
        (allowed.surface == surface).then(|| allowed.clone())
    }
}
