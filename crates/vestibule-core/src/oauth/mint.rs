//! Minting: from a decision to signed strings. What is in a token stands here and nowhere else.

use super::bearer::AccessToken;
use super::client::Client;
use super::scope::ScopeSet;
use super::token::Authorization;
use crate::id::{AccessTokenId, FamilyId};
use crate::identity::acr::{Acr, Amr};
use crate::jose::digest::left_half_hash;
use crate::jose::key::{SignError, SigningKey};
use crate::jose::token_type::TokenType;
use crate::time::Timestamp;
use crate::url::Issuer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An audience: a string when there is one, else a list (RFC 7519, 4.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    /// Whether it names this party.
    pub fn contains(&self, party: &str) -> bool {
        match self {
            Self::One(one) => one == party,
            Self::Several(several) => several.iter().any(|one| one == party),
        }
    }

    /// The audience of an access token (RFC 9068, 3; RFC 8707, 2.2): the resources that were asked for; our issuer where none
    /// was, and beside them where `openid` was granted, since user info is then to be called with it.
    pub fn of(resources: &[String], scope: &ScopeSet, issuer: &Issuer) -> Self {
        let mut all = resources.to_vec();
        let named = all.iter().any(|resource| resource == issuer.as_str());
        if !named && (all.is_empty() || scope.contains("openid")) {
            all.push(issuer.as_str().to_owned());
        }
        match <[String; 1]>::try_from(all) {
            Ok([one]) => Self::One(one),
            Err(all) => Self::Several(all),
        }
    }
}

/// The claims of a JWT access token (RFC 9068, 2.2).
#[derive(Debug, Serialize)]
struct AccessTokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a Audience,
    client_id: &'a str,
    exp: Timestamp,
    iat: Timestamp,
    jti: AccessTokenId,
    #[serde(skip_serializing_if = "ScopeSet::is_empty")]
    scope: &'a ScopeSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<Acr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<&'a [Amr]>,
    /// Our own: the family, by which user info and introspection find out whether the token still stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    fid: Option<FamilyId>,
}

/// An access token that was decided on: the same facts make a JWT or a row.
#[derive(Clone, Debug)]
pub struct AccessTokenPlan<'a> {
    /// Its name.
    pub id: AccessTokenId,
    /// The person's id, or the client's.
    pub subject: &'a str,
    /// The client.
    pub client: &'a Client,
    /// What it allows.
    pub scope: &'a ScopeSet,
    /// Who accepts it.
    pub audience: Audience,
    /// The family and what it stands on; none when the client acts for itself.
    pub family: Option<(FamilyId, &'a Authorization)>,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends at the latest: with its session, unless it outlives that.
    pub until: Option<Timestamp>,
}

impl AccessTokenPlan<'_> {
    /// When it ends.
    pub fn expires_at(&self) -> Timestamp {
        let usual = self
            .issued_at
            .plus(self.client.policy.access_token_lifetime);
        self.until.map_or(usual, |until| usual.min(until))
    }

    /// The token as it is read when it comes back.
    pub fn to_token(&self) -> AccessToken {
        AccessToken {
            id: self.id,
            client_id: self.client.id.as_str().to_owned(),
            user_id: self.family.map(|(_, authorization)| authorization.user_id),
            family_id: self.family.map(|(id, _)| id),
            scope: self.scope.clone(),
            audience: self.audience.clone(),
            issued_at: self.issued_at,
            expires_at: self.expires_at(),
        }
    }

    /// Signs it (RFC 9068, 2).
    pub fn sign(&self, issuer: &Issuer, key: &SigningKey) -> Result<String, SignError> {
        let origin = self.family.map(|(_, authorization)| authorization);
        key.sign(
            TokenType::AccessToken,
            &AccessTokenClaims {
                iss: issuer.as_str(),
                sub: self.subject,
                aud: &self.audience,
                client_id: self.client.id.as_str(),
                exp: self.expires_at(),
                iat: self.issued_at,
                jti: self.id,
                scope: self.scope,
                auth_time: origin.map(|origin| origin.auth_time),
                acr: origin.map(|origin| origin.acr),
                amr: origin.map(|origin| origin.amr.as_slice()),
                fid: self.family.map(|(id, _)| id),
            },
        )
    }
}

/// The claims of an ID token (OpenID Connect Core, 2 and 3.1.3.6).
#[derive(Debug, Serialize)]
struct IdTokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: Timestamp,
    iat: Timestamp,
    auth_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: Acr,
    amr: &'a [Amr],
    azp: &'a str,
    at_hash: String,
    sid: String,
    #[serde(flatten)]
    person: Map<String, Value>,
}

/// An ID token that was decided on.
#[derive(Clone, Debug)]
pub struct IdTokenPlan<'a> {
    /// The client.
    pub client: &'a Client,
    /// What it stands on.
    pub authorization: &'a Authorization,
    /// Echoed; none in a refreshed ID token (OpenID Connect Core, 12.2).
    pub nonce: Option<&'a str>,
    /// Claims asked for by name and allowed.
    pub person: Map<String, Value>,
    /// The access token beside it.
    pub access_token: &'a str,
    /// When it is made.
    pub issued_at: Timestamp,
}

impl IdTokenPlan<'_> {
    /// Signs it.
    pub fn sign(&self, issuer: &Issuer, key: &SigningKey) -> Result<String, SignError> {
        let subject = self.authorization.user_id.to_string();
        key.sign(
            TokenType::IdToken,
            &IdTokenClaims {
                iss: issuer.as_str(),
                sub: &subject,
                aud: self.client.id.as_str(),
                exp: self.issued_at.plus(self.client.policy.id_token_lifetime),
                iat: self.issued_at,
                auth_time: self.authorization.auth_time,
                nonce: self.nonce,
                acr: self.authorization.acr,
                amr: &self.authorization.amr,
                azp: self.client.id.as_str(),
                at_hash: left_half_hash(key.algorithm(), self.access_token),
                sid: self.authorization.session_id.to_string(),
                person: self.person.clone(),
            },
        )
    }
}

/// A successful answer of the token endpoint (OAuth 2.1, 3.2.3).
#[derive(Debug, Serialize)]
pub struct TokenResponse {
    /// The access token.
    pub access_token: String,
    /// `Bearer`, in this spelling.
    pub token_type: &'static str,
    /// Seconds.
    pub expires_in: i64,
    /// The refresh token, if the client may have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// What was granted.
    pub scope: String,
    /// The ID token, if `openid` was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::client;
    use super::super::code::tests::authorization;
    use super::*;
    use crate::jose::algorithm::Algorithm;
    use crate::jose::key_set::{KeySet, KeyState};
    use crate::jose::verify::verify;
    use std::sync::Arc;

    const NOW: Timestamp = Timestamp::from_seconds(10_000);

    fn claims_of(token: &str, key: &Arc<SigningKey>, typ: TokenType) -> Map<String, Value> {
        let keys = KeySet::new([(
            crate::jose::key_set::SetKey::from(Arc::clone(key)),
            KeyState::Active,
        )])
        .unwrap();
        verify(token, &keys, typ).unwrap().claims().clone()
    }

    fn issuer() -> Issuer {
        Issuer::parse("https://id.example").unwrap()
    }

    #[test]
    fn at_01_to_03_an_access_token_has_the_claims_of_rfc_9068() {
        let key = Arc::new(SigningKey::generate(Algorithm::ES256).unwrap());
        let client = client(r#"{"client_id":"a","redirect_uris":["https://a.example/cb"]}"#);
        let authorization = authorization("openid email");
        let subject = authorization.user_id.to_string();
        let plan = AccessTokenPlan {
            id: AccessTokenId::from_bytes([4; 16]),
            subject: &subject,
            client: &client,
            scope: &authorization.scope,
            audience: Audience::of(&[], &authorization.scope, &issuer()),
            family: Some((FamilyId::from_bytes([5; 16]), &authorization)),
            issued_at: NOW,
            until: None,
        };
        let claims = claims_of(
            &plan.sign(&issuer(), &key).unwrap(),
            &key,
            TokenType::AccessToken,
        );
        let expected = serde_json::json!({
            "iss": "https://id.example", "sub": "01010101-0101-0101-0101-010101010101", "aud": "https://id.example", "client_id": "a",
            "exp": 10_600, "iat": 10_000, "jti": "04040404-0404-0404-0404-040404040404", "scope": "openid email", "auth_time": 10_000,
            "acr": "urn:vestibule:acr:single-factor", "amr": ["pwd"], "fid": "05050505-0505-0505-0505-050505050505",
        });
        let read = AccessToken::from_claims(&claims, &issuer()).unwrap();
        assert_eq!(format!("{:?}", plan.to_token()), format!("{read:?}"));
        assert_eq!(Value::Object(claims), expected);
    }

    #[test]
    fn at_05_a_client_of_its_own_is_its_subject_and_has_no_sign_in() {
        let key = Arc::new(SigningKey::generate(Algorithm::EdDSA).unwrap());
        let client = client(r#"{"client_id":"a","grant_types":["client_credentials"]}"#);
        let scope = ScopeSet::default();
        let plan = AccessTokenPlan {
            id: AccessTokenId::from_bytes([4; 16]),
            subject: "a",
            client: &client,
            scope: &scope,
            audience: Audience::of(&["https://api.example".to_owned()], &scope, &issuer()),
            family: None,
            issued_at: NOW,
            until: None,
        };
        let claims = claims_of(
            &plan.sign(&issuer(), &key).unwrap(),
            &key,
            TokenType::AccessToken,
        );
        assert_eq!(
            claims
                .keys()
                .map(String::as_str)
                .collect::<std::collections::BTreeSet<_>>(),
            ["aud", "client_id", "exp", "iat", "iss", "jti", "sub"].into()
        );
        assert_eq!(
            (claims["sub"].as_str(), claims["aud"].as_str()),
            (Some("a"), Some("https://api.example"))
        );
    }

    #[test]
    fn at_04_without_resource_the_audience_is_our_own() {
        let openid = ScopeSet::parse("openid").unwrap();
        let other = ScopeSet::parse("reports").unwrap();
        let api = ["https://api.example".to_owned()];
        assert_eq!(
            Audience::of(&[], &other, &issuer()),
            Audience::One("https://id.example".to_owned())
        );
        assert_eq!(
            Audience::of(&api, &other, &issuer()),
            Audience::One("https://api.example".to_owned())
        );
        assert!(Audience::of(&api, &openid, &issuer()).contains("https://id.example"));
    }

    #[test]
    fn oc_10_an_id_token_has_the_claims_of_core() {
        let key = Arc::new(SigningKey::generate(Algorithm::EdDSA).unwrap());
        let client = client(r#"{"client_id":"a","redirect_uris":["https://a.example/cb"]}"#);
        let authorization = authorization("openid");
        let plan = IdTokenPlan {
            client: &client,
            authorization: &authorization,
            nonce: Some("n-0S6"),
            person: Map::new(),
            access_token: "oat_x",
            issued_at: NOW,
        };
        let claims = claims_of(
            &plan.sign(&issuer(), &key).unwrap(),
            &key,
            TokenType::IdToken,
        );
        assert_eq!(claims["iss"], "https://id.example");
        assert_eq!(claims["sub"], "01010101-0101-0101-0101-010101010101");
        assert_eq!(
            (&claims["aud"], &claims["azp"]),
            (&Value::from("a"), &Value::from("a"))
        );
        assert_eq!(
            (
                claims["exp"].as_i64(),
                claims["iat"].as_i64(),
                claims["auth_time"].as_i64()
            ),
            (Some(13_600), Some(10_000), Some(10_000))
        );
        assert_eq!(claims["nonce"], "n-0S6");
        assert_eq!(claims["sid"], "02020202-0202-0202-0202-020202020202");
        // OpenID Connect Core, 3.1.3.6.
        assert_eq!(
            claims["at_hash"].as_str().unwrap(),
            left_half_hash(Algorithm::EdDSA, "oat_x")
        );
        let without = IdTokenPlan {
            nonce: None,
            ..plan
        };
        assert!(
            !claims_of(
                &without.sign(&issuer(), &key).unwrap(),
                &key,
                TokenType::IdToken
            )
            .contains_key("nonce")
        );
    }
}
