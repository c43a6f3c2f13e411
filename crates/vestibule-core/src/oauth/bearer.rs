//! Access tokens as our own endpoints accept them (RFC 6750; RFC 9068, 4): user info, introspection, and every later API.
//!
//! A token is first read, by its signature or by its row, and then held against the facts of the moment: its family, its person,
//! its client and the list of revoked names. The second look is never left out.

use super::error::{ErrorCode, OAuthError};
use super::mint::Audience;
use super::scope::ScopeSet;
use crate::id::{AccessTokenId, FamilyId, UserId};
use crate::time::Timestamp;
use crate::url::Issuer;
use serde::Deserialize;
use serde_json::{Map, Value};

/// How far in the future a token of ours may claim to be made: nodes' clocks differ.
const CLOCK_SKEW_SECONDS: i64 = 10;

/// An access token that was read.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// Its name.
    pub id: AccessTokenId,
    /// The client that it was issued to.
    pub client_id: String,
    /// The person; none when the client acts for itself.
    pub user_id: Option<UserId>,
    /// The family; none when the client acts for itself.
    pub family_id: Option<FamilyId>,
    /// What it allows.
    pub scope: ScopeSet,
    /// Who accepts it.
    pub audience: Audience,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    client_id: String,
    exp: Timestamp,
    iat: Timestamp,
    jti: AccessTokenId,
    #[serde(default)]
    scope: ScopeSet,
    #[serde(default)]
    fid: Option<FamilyId>,
}

impl AccessToken {
    /// Reads the claims of a JWT whose signature and type held. `None` when the issuer is another or a claim is missing:
    /// such a token is not one of ours.
    pub fn from_claims(claims: &Map<String, Value>, issuer: &Issuer) -> Option<Self> {
        let claims = Claims::deserialize(claims).ok()?;
        if claims.iss != issuer.as_str() {
            return None;
        }
        let user_id = match claims.fid {
            Some(_) => Some(UserId::parse(&claims.sub)?),
            None => None,
        };
        Some(Self {
            id: claims.jti,
            client_id: claims.client_id,
            user_id,
            family_id: claims.fid,
            scope: claims.scope,
            audience: claims.aud,
            issued_at: claims.iat,
            expires_at: claims.exp,
        })
    }

    /// The subject on the wire: the person, or the client for itself.
    pub fn subject(&self) -> String {
        self.user_id
            .map_or_else(|| self.client_id.clone(), |id| id.to_string())
    }
}

/// The facts of the moment about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts from independent rows, each of which ends the token by itself"
)]
pub struct Standing {
    /// Its name is on the list of revoked ones.
    pub revoked: bool,
    /// Its family stands; true for a token without one.
    pub family_stands: bool,
    /// Its person exists and may sign in; true for a token without one.
    pub person_enabled: bool,
    /// Its client is registered.
    pub client_known: bool,
}

/// Decides whether a token counts now (RFC 7662, 2.2; RFC 6750, 3.1). The error's detail says why not.
pub fn stands(token: &AccessToken, standing: Standing, now: Timestamp) -> Result<(), OAuthError> {
    let detail = match standing {
        _ if now >= token.expires_at => "expired",
        _ if token.issued_at.seconds_since(now) > CLOCK_SKEW_SECONDS => "made in the future",
        Standing { revoked: true, .. } => "revoked",
        Standing {
            family_stands: false,
            ..
        } => "its family has ended",
        Standing {
            person_enabled: false,
            ..
        } => "its person is gone or may not sign in",
        Standing {
            client_known: false,
            ..
        } => "its client is gone",
        Standing { .. } => return Ok(()),
    };
    Err(invalid_token(detail))
}

/// RFC 6750, 3.1.
pub fn invalid_token(detail: &'static str) -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidToken,
        "the access token is not valid here, has expired or was revoked",
    )
    .detail(detail)
}

/// Decides whether an endpoint of ours accepts the token: it must be meant for us (RFC 9068, 4) and allow what is asked
/// (RFC 6750, 3.1).
pub fn admit(token: &AccessToken, issuer: &Issuer, needed: &str) -> Result<(), OAuthError> {
    if !token.audience.contains(issuer.as_str()) {
        return Err(invalid_token("meant for another audience"));
    }
    if !needed.is_empty() && !token.scope.contains(needed) {
        return Err(OAuthError::quoting(
            ErrorCode::InsufficientScope,
            &format!("the access token does not allow '{needed}'"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Standing = Standing {
        revoked: false,
        family_stands: true,
        person_enabled: true,
        client_known: true,
    };

    fn token() -> AccessToken {
        let claims = serde_json::json!({
            "iss": "https://id.example", "sub": "01010101-0101-0101-0101-010101010101", "aud": "https://id.example", "client_id": "a", "exp": 200, "iat": 100,
            "jti": "04040404-0404-0404-0404-040404040404", "scope": "openid", "fid": "05050505-0505-0505-0505-050505050505"
        });
        AccessToken::from_claims(
            claims.as_object().unwrap(),
            &Issuer::parse("https://id.example").unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn in_03_each_fact_ends_a_token() {
        let at = Timestamp::from_seconds;
        assert!(stands(&token(), GOOD, at(199)).is_ok());
        let table = [
            (GOOD, 200, "expired"),
            (GOOD, 80, "made in the future"),
            (
                Standing {
                    revoked: true,
                    ..GOOD
                },
                150,
                "revoked",
            ),
            (
                Standing {
                    family_stands: false,
                    ..GOOD
                },
                150,
                "its family has ended",
            ),
            (
                Standing {
                    person_enabled: false,
                    ..GOOD
                },
                150,
                "its person is gone or may not sign in",
            ),
            (
                Standing {
                    client_known: false,
                    ..GOOD
                },
                150,
                "its client is gone",
            ),
        ];
        for (standing, now, expected) in table {
            assert_eq!(
                stands(&token(), standing, at(now)).unwrap_err().detail,
                expected
            );
        }
    }

    #[test]
    fn at_06_another_issuer_audience_or_a_missing_claim_is_not_ours() {
        let good = serde_json::json!({"iss": "https://id.example", "sub": "a", "aud": "https://id.example", "client_id": "a", "exp": 200, "iat": 100, "jti": "04040404-0404-0404-0404-040404040404"});
        let issuer = Issuer::parse("https://id.example").unwrap();
        assert!(AccessToken::from_claims(good.as_object().unwrap(), &issuer).is_some());
        for name in ["iss", "sub", "aud", "client_id", "exp", "iat", "jti"] {
            let mut bad = good.clone();
            bad.as_object_mut().unwrap().remove(name);
            assert!(
                AccessToken::from_claims(bad.as_object().unwrap(), &issuer).is_none(),
                "{name}"
            );
        }
        assert!(
            AccessToken::from_claims(
                good.as_object().unwrap(),
                &Issuer::parse("https://id.example/t/globex").unwrap()
            )
            .is_none()
        );
        assert_eq!(
            admit(
                &token(),
                &Issuer::parse("https://other.example").unwrap(),
                "openid"
            )
            .unwrap_err()
            .code,
            ErrorCode::InvalidToken
        );
        assert_eq!(
            admit(&token(), &issuer, "email").unwrap_err().code,
            ErrorCode::InsufficientScope
        );
        assert!(admit(&token(), &issuer, "openid").is_ok());
    }
}
