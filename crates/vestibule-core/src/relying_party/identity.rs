//! The person as a provider knows them: what its ID token, user info and list of addresses come to.

use super::fault::UpstreamFault;
use super::id_token::UpstreamClaims;
use super::provider::{EmailTrust, Mapping, Provider};
use crate::identity::account::is_subject;
use crate::identity::user::{Email, PROFILE_TEXT_MAX};
use crate::time::Timestamp;
use crate::url::EndpointUrl;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The most addresses of one person that are looked at.
const EMAILS_COUNT_MAX: usize = 100;

/// A person at a provider. Only what was checked makes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamIdentity {
    /// Their stable id there; never given to anybody else there.
    pub subject: String,
    /// Their address, if it is one.
    pub email: Option<String>,
    /// Whether the provider proved that the address is theirs, and its word counts.
    pub email_verified: bool,
    /// Their name.
    pub name: Option<String>,
    /// What they are called there.
    pub username: Option<String>,
    /// Their picture.
    pub picture: Option<String>,
    /// When they proved there who they are, where the provider says.
    #[serde(default)]
    pub auth_time: Option<Timestamp>,
}

impl UpstreamIdentity {
    /// What a checked ID token says, and user info where it was asked. User info must be about the same person (OpenID Connect
    /// Core, 5.3.2). The address and whether it is verified come from one of the two together.
    pub fn of_openid(
        provider: &Provider,
        id_token: &UpstreamClaims,
        userinfo: Option<&Map<String, Value>>,
    ) -> Result<Self, UpstreamFault> {
        if let Some(userinfo) = userinfo {
            match userinfo.get("sub").and_then(Value::as_str) {
                Some(subject) if subject == id_token.subject => {}
                Some(_) => return Err(UpstreamFault::UserInfoSubject),
                None => return Err(UpstreamFault::UserInfo("no `sub`")),
            }
        }
        let first = Facts::read(&id_token.claims, &provider.mapping);
        let second = userinfo
            .map(|userinfo| Facts::read(userinfo, &provider.mapping))
            .unwrap_or_default();
        let (email, verified) = if first.email.is_some() {
            (first.email, first.email_verified)
        } else {
            (second.email, second.email_verified)
        };
        Ok(Self {
            subject: id_token.subject.clone(),
            email_verified: trusted(provider, email.as_ref(), verified),
            email,
            name: first.name.or(second.name),
            username: first.username.or(second.username),
            picture: first.picture.or(second.picture),
            auth_time: id_token.auth_time,
        })
    }

    /// What the user info of a plain OAuth 2.0 provider says. A provider that lists addresses apart says nothing of them here:
    /// see [`Self::with_emails`].
    pub fn of_userinfo(
        provider: &Provider,
        userinfo: &Map<String, Value>,
    ) -> Result<Self, UpstreamFault> {
        let pointer = provider.mapping.subject.as_deref().unwrap_or("sub");
        let subject = at(userinfo, pointer)
            .and_then(identifier)
            .ok_or(UpstreamFault::UserInfo("no id of the person"))?;
        let facts = Facts::read(userinfo, &provider.mapping);
        let email = facts.email.filter(|_| provider.emails_url().is_none());
        Ok(Self {
            subject,
            email_verified: trusted(provider, email.as_ref(), facts.email_verified),
            email,
            name: facts.name,
            username: facts.username,
            picture: facts.picture,
            auth_time: None,
        })
    }

    /// Adds the address of a list (GitHub, Bitbucket): the primary one, else the first that is verified.
    #[must_use]
    pub fn with_emails(mut self, provider: &Provider, list: &Value) -> Self {
        let entries = list
            .as_array()
            .or_else(|| list.get("values").and_then(Value::as_array));
        let is = |entry: &Value, names: [&str; 2]| {
            names.iter().any(|name| {
                entry
                    .get(name)
                    .is_some_and(|value| *value == Value::Bool(true))
            })
        };
        let addresses: Vec<(String, bool, bool)> = entries
            .into_iter()
            .flatten()
            .take(EMAILS_COUNT_MAX)
            .filter_map(|entry| {
                let email = entry
                    .get("email")
                    .and_then(Value::as_str)
                    .and_then(address)?;
                Some((
                    email,
                    is(entry, ["verified", "is_confirmed"]),
                    is(entry, ["primary", "is_primary"]),
                ))
            })
            .collect();
        let chosen = addresses
            .iter()
            .find(|(_, _, primary)| *primary)
            .or_else(|| addresses.iter().find(|(_, verified, _)| *verified));
        if let Some((email, verified, _)) = chosen {
            self.email_verified = trusted(provider, Some(email), *verified);
            self.email = Some(email.clone());
        }
        self
    }

    /// When the person proved who they are: as the provider says, unless that is yet to come; else now.
    pub fn proved_at(&self, now: Timestamp) -> Timestamp {
        self.auth_time.filter(|time| *time <= now).unwrap_or(now)
    }

    /// Adds a name that was told beside the ID token (Apple), where there is none.
    #[must_use]
    pub fn with_name(mut self, name: Option<String>) -> Self {
        self.name = self.name.or(name);
        self
    }
}

/// Reads the body of a user info answer: one JSON object.
pub fn parse_userinfo(json: &[u8]) -> Result<Map<String, Value>, UpstreamFault> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(claims)) => Ok(claims),
        _ => Err(UpstreamFault::UserInfo("not a JSON object")),
    }
}

/// Whether to ask user info as well: the ID token leaves out the address or the name.
pub fn wants_userinfo(provider: &Provider, id_token: &UpstreamClaims) -> bool {
    let facts = Facts::read(&id_token.claims, &provider.mapping);
    facts.email.is_none() || facts.name.is_none()
}

/// Whether the address is verified as far as we are concerned.
fn trusted(provider: &Provider, email: Option<&String>, claimed: bool) -> bool {
    email.is_some()
        && match provider.email_trust {
            EmailTrust::Claim => claimed,
            EmailTrust::Never => false,
            EmailTrust::Always => true,
        }
}

#[derive(Default)]
struct Facts {
    email: Option<String>,
    email_verified: bool,
    name: Option<String>,
    username: Option<String>,
    picture: Option<String>,
}

impl Facts {
    fn read(claims: &Map<String, Value>, mapping: &Mapping) -> Self {
        let text = |own: &Option<String>, standard: &str| {
            at(claims, own.as_deref().unwrap_or(standard)).and_then(Value::as_str)
        };
        let verified = at(
            claims,
            mapping
                .email_verified
                .as_deref()
                .unwrap_or("email_verified"),
        );
        Self {
            email: text(&mapping.email, "email").and_then(address),
            // Apple writes the text "true"; nothing else that is not the value counts.
            email_verified: verified
                .is_some_and(|value| *value == Value::Bool(true) || value.as_str() == Some("true")),
            name: text(&mapping.name, "name").and_then(clean),
            username: text(&mapping.username, "preferred_username").and_then(clean),
            picture: text(&mapping.picture, "picture")
                .filter(|text| text.chars().count() <= PROFILE_TEXT_MAX)
                .and_then(|text| EndpointUrl::parse(text).ok())
                .map(|url| url.as_str().to_owned()),
        }
    }
}

/// A JSON pointer, or the name of a top-level member.
fn at<'a>(claims: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    match pointer.strip_prefix('/') {
        None => claims.get(pointer),
        Some(rest) => {
            let (first, rest) = rest.split_once('/').map_or((rest, None), |(first, rest)| {
                (first, Some(format!("/{rest}")))
            });
            let member = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
            rest.map_or(Some(member), |rest| member.pointer(&rest))
        }
    }
}

/// An id as text. A number must be whole: another could be written in two ways.
fn identifier(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => return None,
    };
    is_subject(&text).then_some(text)
}

/// An address, or nothing.
fn address(text: &str) -> Option<String> {
    Email::parse(text.trim())
        .ok()
        .map(|email| email.as_str().to_owned())
}

/// A text for people: without control characters, of bounded length, or nothing.
pub(super) fn clean(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .filter(|character| !character.is_control())
        .take(PROFILE_TEXT_MAX)
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::provider::tests::provider;
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            _ => Map::new(),
        }
    }

    fn claims(value: Value) -> UpstreamClaims {
        UpstreamClaims {
            subject: "s-1".to_owned(),
            auth_time: None,
            claims: object(value),
        }
    }

    fn openid(trust: &str) -> Provider {
        provider(&format!(
            r#"{{"id":"op","client_id":"c","issuer":"https://op.example","email_trust":"{trust}"}}"#
        ))
    }

    #[test]
    fn t46_an_address_is_verified_only_by_the_value_true_and_only_where_the_word_counts() {
        #[rustfmt::skip]
        let table = [
            ("claim",  json!({"email": "a@x.example", "email_verified": true}),     true),
            ("claim",  json!({"email": "a@x.example", "email_verified": "true"}),   true),
            ("always", json!({"email": "a@x.example"}),                             true),
            ("claim",  json!({"email": "a@x.example"}),                             false),
            ("claim",  json!({"email": "a@x.example", "email_verified": false}),    false),
            ("claim",  json!({"email": "a@x.example", "email_verified": 1}),        false),
            ("claim",  json!({"email": "a@x.example", "email_verified": "TRUE"}),   false),
            ("claim",  json!({"email": "a@x.example", "email_verified": [true]}),   false),
            ("never",  json!({"email": "a@x.example", "email_verified": true}),     false),
            ("always", json!({"email": "not an address"}),                          false),
            ("always", json!({"email": ["a@x.example"]}),                           false),
            ("claim",  json!({"email_verified": true}),                             false),
        ];
        for (row, (trust, value, expected)) in table.into_iter().enumerate() {
            let made = UpstreamIdentity::of_openid(&openid(trust), &claims(value), None).unwrap();
            assert_eq!(made.email_verified, expected, "row {row}");
        }
    }

    #[test]
    fn t47_user_info_is_about_the_same_person_and_lends_no_verification() {
        let of = |id: Value, info: Value| {
            UpstreamIdentity::of_openid(&openid("claim"), &claims(id), Some(&object(info)))
        };
        assert_eq!(
            of(json!({}), json!({"sub": "s-2"})),
            Err(UpstreamFault::UserInfoSubject)
        );
        assert_eq!(
            of(json!({}), json!({"sub": "S-1"})),
            Err(UpstreamFault::UserInfoSubject)
        );
        assert_eq!(
            of(json!({}), json!({"email": "a@x.example"})),
            Err(UpstreamFault::UserInfo("no `sub`"))
        );
        assert_eq!(
            of(json!({}), json!({"sub": 1})),
            Err(UpstreamFault::UserInfo("no `sub`"))
        );
        let told =
            json!({"sub": "s-1", "email": "b@x.example", "email_verified": true, "name": "Ada"});
        let made = of(json!({"email": "a@x.example"}), told.clone()).unwrap();
        assert_eq!(
            (made.email.as_deref(), made.email_verified),
            (Some("a@x.example"), false)
        );
        assert_eq!(made.name.as_deref(), Some("Ada"));
        let made = of(json!({"email_verified": false}), told).unwrap();
        assert_eq!(
            (made.email.as_deref(), made.email_verified),
            (Some("b@x.example"), true)
        );
    }

    #[test]
    fn a_plain_provider_s_person_is_found_by_the_mapping() {
        let github = provider(r#"{"id":"g","preset":"github","client_id":"c"}"#);
        let user = object(
            json!({"id": 583_231, "login": "octocat", "name": "Mona\u{0}", "email": "shown@x.example", "avatar_url": "https://a.example/p"}),
        );
        let made = UpstreamIdentity::of_userinfo(&github, &user).unwrap();
        assert_eq!(
            (made.subject.as_str(), made.username.as_deref()),
            ("583231", Some("octocat"))
        );
        assert_eq!((made.email.as_deref(), made.email_verified), (None, false));
        let list = json!([
            {"email": "old@x.example", "verified": true, "primary": false},
            {"email": "mona@x.example", "verified": true, "primary": true},
        ]);
        let with = made.clone().with_emails(&github, &list);
        assert_eq!(
            (with.email.as_deref(), with.email_verified),
            (Some("mona@x.example"), true)
        );
        let unproved = json!([{"email": "mona@x.example", "verified": false, "primary": true}, {"email": "b@x.example", "verified": true, "primary": false}]);
        let with = made.clone().with_emails(&github, &unproved);
        assert_eq!(
            (with.email.as_deref(), with.email_verified),
            (Some("mona@x.example"), false)
        );
        for silent in [
            json!(null),
            json!({}),
            json!([]),
            json!([{"email": 7, "primary": true, "verified": true}]),
            json!("x"),
        ] {
            assert_eq!(
                made.clone().with_emails(&github, &silent).email,
                None,
                "{silent}"
            );
        }
        let bucket = provider(r#"{"id":"b","preset":"bitbucket","client_id":"c"}"#);
        let values =
            json!({"values": [{"email": "m@x.example", "is_confirmed": true, "is_primary": true}]});
        assert!(made.with_emails(&bucket, &values).email_verified);
        let x = provider(r#"{"id":"x","preset":"x","client_id":"c"}"#);
        let person =
            object(json!({"data": {"id": "12", "name": "Ada", "confirmed_email": "a@x.example"}}));
        let made = UpstreamIdentity::of_userinfo(&x, &person).unwrap();
        assert_eq!((made.subject.as_str(), made.email_verified), ("12", false));
    }

    #[test]
    fn the_name_of_a_person_is_where_their_provider_shows_it() {
        let twitch = provider(r#"{"id":"t","preset":"twitch","client_id":"c"}"#);
        let told = claims(
            json!({"email": "a@x.example", "email_verified": true, "preferred_username": "Ada"}),
        );
        assert!(!wants_userinfo(&twitch, &told), "all is said already");
        let made = UpstreamIdentity::of_openid(&twitch, &told, None).unwrap();
        assert_eq!(
            (made.name.as_deref(), made.username.as_deref()),
            (Some("Ada"), Some("Ada"))
        );
        let bitbucket = provider(r#"{"id":"b","preset":"bitbucket","client_id":"c"}"#);
        let user = object(
            json!({"uuid": "{u-1}", "display_name": "Ada L.", "nickname": "ada", "account_id": "a-1"}),
        );
        let made = UpstreamIdentity::of_userinfo(&bitbucket, &user).unwrap();
        assert_eq!(
            (made.name.as_deref(), made.username.as_deref()),
            (Some("Ada L."), Some("ada"))
        );
        // Discord's name for showing may be absent, and its picture is no address.
        let discord = provider(r#"{"id":"d","preset":"discord","client_id":"c"}"#);
        let user = object(
            json!({"id": "80351110224678912", "username": "ada", "global_name": null, "avatar": "8342729096ea3675442027381ff50dfe", "email": "a@x.example", "verified": true}),
        );
        let made = UpstreamIdentity::of_userinfo(&discord, &user).unwrap();
        assert_eq!(
            (made.name, made.username.as_deref(), made.picture),
            (None, Some("ada"), None)
        );
        assert!(made.email_verified);
    }

    #[test]
    fn a_person_without_an_exact_id_is_nobody() {
        let github = provider(r#"{"id":"g","preset":"github","client_id":"c"}"#);
        for bad in [
            json!({}),
            json!({"id": ""}),
            json!({"id": null}),
            json!({"id": 1.5}),
            json!({"id": 1e3}),
            json!({"id": [1]}),
            json!({"id": true}),
            json!({"id": "x".repeat(513)}),
            json!({"id": "a\nb"}),
            json!({"id": "a\u{0}"}),
            json!({"id": "\u{9f}"}),
            json!({"sub": "1"}),
        ] {
            assert_eq!(
                UpstreamIdentity::of_userinfo(&github, &object(bad.clone())),
                Err(UpstreamFault::UserInfo("no id of the person")),
                "{bad}"
            );
        }
        for bad in ["", "[]", "null", "<html>", "7"] {
            assert!(parse_userinfo(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn t44_a_proof_is_as_old_as_the_provider_says_and_never_from_the_future() {
        for (told, expected) in [
            (None, 100),
            (Some(40), 40),
            (Some(100), 100),
            (Some(101), 100),
        ] {
            let claims = UpstreamClaims {
                auth_time: told.map(Timestamp::from_seconds),
                ..claims(json!({}))
            };
            let made = UpstreamIdentity::of_openid(&openid("claim"), &claims, None).unwrap();
            assert_eq!(
                made.proved_at(Timestamp::from_seconds(100)).seconds(),
                expected
            );
        }
    }
}
