//! Claims: what is said about a person, to whom, and why (OpenID Connect Core, 5).

use crate::identity::user::User;
use crate::oauth::scope::ScopeSet;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The largest `claims` parameter, in bytes.
pub const CLAIMS_BYTES_MAX: usize = 4096;
/// The most claims that one member may name.
pub const CLAIMS_COUNT_MAX: usize = 64;

/// Which scope releases a claim (OpenID Connect Core, 5.4, and seed 002's metadata scopes). `sub` needs none.
pub const CLAIM_SCOPES: &[(&str, &str)] = &[
    ("name", "profile"),
    ("family_name", "profile"),
    ("given_name", "profile"),
    ("middle_name", "profile"),
    ("nickname", "profile"),
    ("preferred_username", "profile"),
    ("profile", "profile"),
    ("picture", "profile"),
    ("website", "profile"),
    ("gender", "profile"),
    ("birthdate", "profile"),
    ("zoneinfo", "profile"),
    ("locale", "profile"),
    ("updated_at", "profile"),
    ("username", "profile"),
    ("groups", "profile"),
    ("email", "email"),
    ("email_verified", "email"),
    ("address", "address"),
    ("phone_number", "phone"),
    ("phone_number_verified", "phone"),
    ("public_metadata", "public_metadata"),
    ("unsafe_metadata", "public_metadata"),
    ("private_metadata", "private_metadata"),
];

/// The scope that releases a claim, if we know the claim.
pub fn scope_of(claim: &str) -> Option<&'static str> {
    CLAIM_SCOPES
        .iter()
        .find(|(name, _)| *name == claim)
        .map(|(_, scope)| *scope)
}

/// How one claim is asked for (OpenID Connect Core, 5.5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// Whether the client cannot do without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    /// The values that would do; empty when any would.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

/// The `claims` parameter (OpenID Connect Core, 5.5): what is wanted where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    /// At user info.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: BTreeMap<String, ClaimRequest>,
    /// In the ID token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: BTreeMap<String, ClaimRequest>,
}

impl ClaimsRequest {
    /// Parses the parameter. Unknown members and unknown claims are ignored; anything but an object of objects is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > CLAIMS_BYTES_MAX {
            return None;
        }
        let Value::Object(mut members) = serde_json::from_str(text).ok()? else {
            return None;
        };
        let mut member = |name: &str| match members.remove(name) {
            None | Some(Value::Null) => Some(BTreeMap::new()),
            Some(Value::Object(claims)) => parse_member(claims),
            Some(_) => None,
        };
        Some(Self {
            userinfo: member("userinfo")?,
            id_token: member("id_token")?,
        })
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }

    /// The scopes under which the asked claims are released: what the person must be asked about.
    pub fn scopes(&self) -> impl Iterator<Item = &'static str> {
        self.userinfo
            .keys()
            .chain(self.id_token.keys())
            .filter_map(|claim| scope_of(claim))
    }

    /// Keeps what these scopes release: what was allowed and no more.
    #[must_use]
    pub fn within(mut self, allowed: &ScopeSet) -> Self {
        let keep = |claim: &String| scope_of(claim).is_some_and(|scope| allowed.contains(scope));
        self.userinfo.retain(|claim, _| keep(claim));
        self.id_token.retain(|claim, _| keep(claim));
        self
    }

    /// The subject that the client insists on (OpenID Connect Core, 5.5.1 and 3.1.2.2).
    pub fn subject(&self) -> Option<&str> {
        [&self.id_token, &self.userinfo]
            .into_iter()
            .filter_map(|member| member.get("sub"))
            .flat_map(|request| &request.values)
            .find_map(Value::as_str)
    }

    /// The levels of assurance without which the client refuses (OpenID Connect Core, 5.5.1.1).
    pub fn essential_acr(&self) -> Option<&[Value]> {
        self.id_token
            .get("acr")
            .filter(|request| request.essential && !request.values.is_empty())
            .map(|request| request.values.as_slice())
    }
}

fn parse_member(claims: Map<String, Value>) -> Option<BTreeMap<String, ClaimRequest>> {
    if claims.len() > CLAIMS_COUNT_MAX {
        return None;
    }
    claims
        .into_iter()
        .map(|(name, request)| Some((name, parse_claim(request)?)))
        .collect()
}

fn parse_claim(request: Value) -> Option<ClaimRequest> {
    match request {
        Value::Null => Some(ClaimRequest::default()),
        Value::Object(mut members) => {
            let essential = members
                .remove("essential")
                .is_some_and(|value| value == Value::Bool(true));
            let mut values = match members.remove("values") {
                Some(Value::Array(values)) => values,
                _ => Vec::new(),
            };
            values.extend(members.remove("value"));
            Some(ClaimRequest { essential, values })
        }
        _ => None,
    }
}

/// Every claim that we could say about a person but `sub`; what is empty is left out (OpenID Connect Core, 5.3.2).
pub(crate) fn known(user: &User) -> Map<String, Value> {
    let profile = &user.profile;
    let mut claims = Map::new();
    let mut text = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            claims.insert(name.to_owned(), Value::from(value));
        }
    };
    text("name", profile.name.as_deref());
    text("given_name", profile.given_name.as_deref());
    text("family_name", profile.family_name.as_deref());
    text("middle_name", profile.middle_name.as_deref());
    text("nickname", profile.nickname.as_deref());
    text("preferred_username", user.username.as_deref());
    text("username", user.username.as_deref());
    text("profile", profile.profile.as_deref());
    text("picture", profile.picture.as_deref());
    text("website", profile.website.as_deref());
    text("gender", profile.gender.as_deref());
    text("birthdate", profile.birthdate.as_deref());
    text("zoneinfo", profile.zoneinfo.as_deref());
    text("locale", profile.locale.as_deref());
    text("email", user.email.as_deref());
    text("phone_number", profile.phone_number.as_deref());
    if user.email.is_some() {
        claims.insert(
            "email_verified".to_owned(),
            Value::from(user.email_verified),
        );
    }
    if profile.phone_number.is_some() {
        claims.insert(
            "phone_number_verified".to_owned(),
            Value::from(profile.phone_number_verified),
        );
    }
    if let Some(address) = profile
        .address
        .as_ref()
        .and_then(|address| serde_json::to_value(address).ok())
        .filter(|address| *address != json!({}))
    {
        claims.insert("address".to_owned(), address);
    }
    if !profile.groups.is_empty() {
        claims.insert("groups".to_owned(), json!(profile.groups));
    }
    claims.insert(
        "updated_at".to_owned(),
        Value::from(user.updated_at.seconds()),
    );
    // Seed 002 names these whether or not they hold something.
    claims.insert(
        "public_metadata".to_owned(),
        Value::Object(profile.public_metadata.clone()),
    );
    claims.insert(
        "unsafe_metadata".to_owned(),
        Value::Object(profile.unsafe_metadata.clone()),
    );
    claims.insert(
        "private_metadata".to_owned(),
        Value::Object(profile.private_metadata.clone()),
    );
    claims
}

/// What user info says: `sub`, and what the scopes and the allowed part of the `claims` parameter release (OpenID Connect Core,
/// 5.3.2 and 5.4).
pub fn release(user: &User, scope: &ScopeSet, requested: &ClaimsRequest) -> Map<String, Value> {
    let mut claims = known(user);
    claims.retain(|name, _| {
        requested.userinfo.contains_key(name)
            || scope_of(name).is_some_and(|needed| scope.contains(needed))
    });
    claims.insert("sub".to_owned(), Value::from(user.id.to_string()));
    claims
}

/// What the ID token says about the person beyond who they are: only what was asked for by name and allowed.
pub fn release_in_id_token(user: &User, requested: &ClaimsRequest) -> Map<String, Value> {
    let mut claims = known(user);
    claims.retain(|name, _| requested.id_token.contains_key(name));
    claims
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::id::UserId;
    use crate::identity::user::{Address, Profile};
    use crate::time::Timestamp;

    pub(crate) fn ada() -> User {
        User {
            id: UserId::parse("0190163d-8694-739b-aea5-966c26f8ad91").unwrap(),
            username: Some("ada".to_owned()),
            email: Some("ada@acme.test".to_owned()),
            email_verified: true,
            profile: Profile {
                name: Some("Ada Lovelace".to_owned()),
                given_name: Some("Ada".to_owned()),
                nickname: Some(String::new()),
                address: Some(Address {
                    country: Some("GB".to_owned()),
                    ..Address::default()
                }),
                public_metadata: serde_json::from_str(r#"{"plan":"pro"}"#).unwrap(),
                ..Profile::default()
            },
            updated_at: Timestamp::from_seconds(1_700_000_000),
            disabled_at: None,
        }
    }

    fn released(scope: &str, claims: &str) -> Vec<String> {
        let scope = ScopeSet::parse(scope).unwrap();
        let requested = ClaimsRequest::parse(claims)
            .unwrap()
            .within(&scope.union(&ScopeSet::parse("email").unwrap()));
        release(&ada(), &scope, &requested)
            .keys()
            .cloned()
            .collect()
    }

    #[test]
    fn oc_17_a_scope_releases_its_claims_and_no_others() {
        assert_eq!(released("openid", "{}"), ["sub"]);
        assert_eq!(
            released("openid email", "{}"),
            ["email", "email_verified", "sub"]
        );
        assert_eq!(
            released("profile", "{}"),
            [
                "given_name",
                "name",
                "preferred_username",
                "sub",
                "updated_at",
                "username"
            ]
        );
        assert_eq!(
            released("public_metadata", "{}"),
            ["public_metadata", "sub", "unsafe_metadata"]
        );
        assert_eq!(
            released("private_metadata", "{}"),
            ["private_metadata", "sub"]
        );
        assert_eq!(released("phone address", "{}"), ["address", "sub"]);
    }

    #[test]
    fn oc_16_types_are_the_standard_ones_and_empty_claims_are_left_out() {
        let claims = release(
            &ada(),
            &ScopeSet::parse("profile email address").unwrap(),
            &ClaimsRequest::default(),
        );
        assert_eq!(claims["email_verified"], json!(true));
        assert_eq!(claims["updated_at"], json!(1_700_000_000));
        assert_eq!(claims["address"], json!({"country": "GB"}));
        assert!(!claims.contains_key("nickname"));
    }

    #[test]
    fn oc_18_the_claims_parameter_adds_what_was_allowed_and_ignores_the_unknown() {
        assert_eq!(
            released(
                "openid",
                r#"{"userinfo":{"email":{"essential":true},"name":null,"horoscope":null},"x":1}"#
            ),
            ["email", "sub"]
        );
        let requested = ClaimsRequest::parse(r#"{"id_token":{"email":null}}"#).unwrap();
        assert_eq!(
            release_in_id_token(&ada(), &requested)
                .keys()
                .collect::<Vec<_>>(),
            ["email"]
        );
    }

    #[test]
    fn oc_08_a_subject_can_be_insisted_on() {
        assert_eq!(
            ClaimsRequest::parse(r#"{"id_token":{"sub":{"value":"x"}}}"#)
                .unwrap()
                .subject(),
            Some("x")
        );
        assert_eq!(
            ClaimsRequest::parse(r#"{"userinfo":{"sub":{"values":["y"]}}}"#)
                .unwrap()
                .subject(),
            Some("y")
        );
        assert_eq!(
            ClaimsRequest::parse(r#"{"id_token":{"sub":null}}"#)
                .unwrap()
                .subject(),
            None
        );
    }

    #[test]
    fn t11_a_malformed_or_deep_claims_parameter_is_refused() {
        let deep = format!("{{\"userinfo\":{}1{}}}", "[".repeat(1000), "]".repeat(1000));
        let many = format!(
            "{{\"userinfo\":{{{}}}}}",
            (0..65)
                .map(|n| format!("\"c{n}\":null"))
                .collect::<Vec<_>>()
                .join(",")
        );
        for bad in [
            "",
            "[]",
            "1",
            "{",
            r#"{"userinfo":1}"#,
            r#"{"id_token":{"a":1}}"#,
            &deep,
            &many,
            &format!("{{{}}}", " ".repeat(5000)),
        ] {
            assert_eq!(
                ClaimsRequest::parse(bad),
                None,
                "{}",
                &bad[..bad.len().min(40)]
            );
        }
    }
}
