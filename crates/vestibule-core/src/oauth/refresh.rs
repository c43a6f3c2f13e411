//! Refresh tokens (OAuth 2.1, 4.3; RFC 9700, 4.14): rotation without losing a session to a storm of parallel refreshes.
//!
//! A rotated token's successor is derived from it, so that everyone who presents the predecessor in time receives the same
//! successor and no second line of descent can exist. Once the successor was used, or after a grace of a minute, presenting the
//! predecessor is reuse: the family ends, and attacker and victim both lose.

use super::client_auth::AuthenticatedClient;
use super::error::{ErrorCode, OAuthError};
use super::scope::ScopeSet;
use super::token::{Family, RefreshExchange, invalid_grant, narrow_resources};
use crate::id::{FamilyId, RefreshTokenId};
use crate::secret::SecretDigest;
use crate::time::{Lifetime, Timestamp};

/// How long a predecessor is tolerated while its successor is unused.
pub const ROTATION_GRACE: Lifetime = Lifetime::from_seconds(60);

/// Where a refresh token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshStage {
    /// It is the last of its line.
    Current,
    /// It was replaced.
    Rotated {
        /// When.
        at: Timestamp,
        /// By which.
        successor: RefreshTokenId,
        /// Whether the successor was itself used.
        successor_used: bool,
    },
}

/// A refresh token's record, with its family and the standing of its person.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    /// Its record.
    pub id: RefreshTokenId,
    /// What proves possession.
    pub digest: SecretDigest,
    /// The family it belongs to.
    pub family: Family,
    /// When it ends unused.
    pub expires_at: Timestamp,
    /// Where it stands.
    pub stage: RefreshStage,
    /// Whether the person may sign in.
    pub person_enabled: bool,
    /// Until when its session lasts, and the family with it; none with `offline_access`, which outlives the session.
    pub session_until: Option<Timestamp>,
}

impl RefreshToken {
    /// When it ends unless a use extends it, and with its session at the latest.
    pub fn until(&self) -> Timestamp {
        self.session_until
            .map_or(self.expires_at, |session| session.min(self.expires_at))
    }
}

/// What a use comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshing {
    /// New access token; the refresh token stays.
    Keep(Narrowed),
    /// New access token and a successor.
    Rotate(Narrowed),
    /// It was replaced a moment ago: new access token and the same successor.
    Repeat(Narrowed, RefreshTokenId),
    /// It was replaced and this is no accident: end the family.
    Reuse(FamilyId, OAuthError),
    /// No; nothing changes.
    Refuse(OAuthError),
}

/// What the new access token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// Scope, within what was allowed.
    pub scope: ScopeSet,
    /// Resources, within what was allowed.
    pub resources: Vec<String>,
}

/// Decides on the use of a refresh token.
pub fn refresh(
    token: &RefreshToken,
    caller: &AuthenticatedClient,
    presented: &RefreshExchange,
    now: Timestamp,
) -> Refreshing {
    let refuse = |detail| Refreshing::Refuse(invalid_grant(detail));
    if !token.digest.matches(&presented.token.digest()) {
        return refuse("the secret of the refresh token is wrong");
    }
    // OAuth 2.1, 4.3.1: bound to its client. A foreign client learns nothing and ends nothing.
    if token.family.client_id != caller.client().id.as_str() {
        return refuse("the refresh token was issued to another client");
    }
    if token.family.ended_at.is_some() {
        return refuse("the family has ended");
    }
    if !token.person_enabled {
        return refuse("the person may not sign in");
    }
    if token.session_until.is_some_and(|until| now >= until) {
        return refuse("the session has expired");
    }
    let repeat = match token.stage {
        RefreshStage::Current if now >= token.expires_at => {
            return refuse("the refresh token has expired");
        }
        RefreshStage::Current => None,
        RefreshStage::Rotated {
            at,
            successor,
            successor_used,
        } => {
            if successor_used || now > at.plus(ROTATION_GRACE) {
                return Refreshing::Reuse(
                    token.family.id,
                    invalid_grant("a rotated refresh token was used again: its family ends"),
                );
            }
            Some(successor)
        }
    };
    let narrowed = match narrow(token, presented) {
        Ok(narrowed) => narrowed,
        Err(error) => return Refreshing::Refuse(error),
    };
    match repeat {
        Some(successor) => Refreshing::Repeat(narrowed, successor),
        None if caller.client().rotates() => Refreshing::Rotate(narrowed),
        None => Refreshing::Keep(narrowed),
    }
}

/// OAuth 2.1, 4.3.1: never wider than what was allowed; all of it when nothing is asked.
fn narrow(token: &RefreshToken, presented: &RefreshExchange) -> Result<Narrowed, OAuthError> {
    let allowed = &token.family.authorization;
    let scope = presented.scope.as_ref().unwrap_or(&allowed.scope);
    if let Some(name) = scope.first_outside(&allowed.scope) {
        return Err(OAuthError::quoting(
            ErrorCode::InvalidScope,
            &format!("scope '{name}' was not granted"),
        ));
    }
    Ok(Narrowed {
        scope: scope.clone(),
        resources: narrow_resources(&presented.resources, &allowed.resources)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::client::tests::client;
    use super::super::client_auth::tests::authenticated;
    use super::super::code::tests::authorization;
    use super::*;
    use crate::id::tests::Counting;
    use crate::secret::{Handle, HandleKind};

    const NOW: i64 = 10_000;

    struct Case {
        client: &'static str,
        stage: RefreshStage,
        ended: bool,
        enabled: bool,
        session_until: Option<i64>,
        scope: Option<&'static str>,
        now: i64,
    }

    const BASE: Case = Case {
        client: r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"none"}"#,
        stage: RefreshStage::Current,
        ended: false,
        enabled: true,
        session_until: None,
        scope: None,
        now: NOW,
    };

    fn rotated(successor_used: bool) -> RefreshStage {
        RefreshStage::Rotated {
            at: Timestamp::from_seconds(NOW),
            successor: RefreshTokenId::from_bytes([5; 16]),
            successor_used,
        }
    }

    fn outcome(case: &Case) -> String {
        let handle = Handle::mint(
            HandleKind::RefreshToken,
            Timestamp::from_seconds(NOW),
            &Counting::default(),
        );
        let token = RefreshToken {
            id: RefreshTokenId::from_bytes(*handle.id()),
            digest: handle.digest(),
            family: Family {
                id: FamilyId::from_bytes([7; 16]),
                client_id: "a".to_owned(),
                authorization: authorization("openid email"),
                ended_at: case.ended.then(|| Timestamp::from_seconds(NOW)),
            },
            expires_at: Timestamp::from_seconds(NOW + 1000),
            stage: case.stage,
            person_enabled: case.enabled,
            session_until: case.session_until.map(Timestamp::from_seconds),
        };
        let presented = RefreshExchange {
            token: handle,
            scope: case.scope.map(|scope| ScopeSet::parse(scope).unwrap()),
            resources: Vec::new(),
        };
        match refresh(
            &token,
            &authenticated(client(case.client)),
            &presented,
            Timestamp::from_seconds(case.now),
        ) {
            Refreshing::Keep(narrowed) => format!("keep {}", narrowed.scope),
            Refreshing::Rotate(narrowed) => format!("rotate {}", narrowed.scope),
            Refreshing::Repeat(narrowed, _) => format!("repeat {}", narrowed.scope),
            Refreshing::Reuse(..) => "reuse".to_owned(),
            Refreshing::Refuse(error) => format!("{}: {}", error.code.as_str(), error.detail),
        }
    }

    #[test]
    fn bcp_06_a_public_client_rotates_and_a_confidential_one_keeps() {
        assert_eq!(outcome(&BASE), "rotate openid email");
        let confidential = r#"{"client_id":"a","redirect_uris":["https://a.example/cb"]}"#;
        assert_eq!(
            outcome(&Case {
                client: confidential,
                ..BASE
            }),
            "keep openid email"
        );
        let rotating = r#"{"client_id":"a","redirect_uris":["https://a.example/cb"],"policy":{"refresh_token_rotation":"on_use"}}"#;
        assert_eq!(
            outcome(&Case {
                client: rotating,
                ..BASE
            }),
            "rotate openid email"
        );
    }

    #[test]
    fn o21_26_a_rotated_token_is_tolerated_briefly_and_then_ends_the_family() {
        assert_eq!(
            outcome(&Case {
                stage: rotated(false),
                ..BASE
            }),
            "repeat openid email"
        );
        assert_eq!(
            outcome(&Case {
                stage: rotated(false),
                now: NOW + 60,
                ..BASE
            }),
            "repeat openid email"
        );
        assert_eq!(
            outcome(&Case {
                stage: rotated(false),
                now: NOW + 61,
                ..BASE
            }),
            "reuse"
        );
        assert_eq!(
            outcome(&Case {
                stage: rotated(true),
                ..BASE
            }),
            "reuse"
        );
    }

    #[test]
    fn t15_no_token_of_a_session_that_is_over_refreshes() {
        for (session_until, now, expected) in [
            (None, NOW, "rotate openid email"),
            (Some(NOW + 1), NOW, "rotate openid email"),
            (Some(NOW), NOW, "invalid_grant: the session has expired"),
            (
                Some(i64::MIN),
                NOW,
                "invalid_grant: the session has expired",
            ),
        ] {
            let case = Case {
                session_until,
                now,
                ..BASE
            };
            assert_eq!(outcome(&case), expected, "{session_until:?}");
        }
    }

    #[test]
    fn o21_25_a_refresh_token_is_bound_to_its_client_family_and_person() {
        let foreign = r#"{"client_id":"b","redirect_uris":["https://b.example/cb"],"token_endpoint_auth_method":"none"}"#;
        assert_eq!(
            outcome(&Case {
                client: foreign,
                ..BASE
            }),
            "invalid_grant: the refresh token was issued to another client"
        );
        assert_eq!(
            outcome(&Case {
                client: foreign,
                stage: rotated(true),
                ..BASE
            }),
            "invalid_grant: the refresh token was issued to another client"
        );
        assert_eq!(
            outcome(&Case {
                ended: true,
                ..BASE
            }),
            "invalid_grant: the family has ended"
        );
        assert_eq!(
            outcome(&Case {
                enabled: false,
                ..BASE
            }),
            "invalid_grant: the person may not sign in"
        );
        assert_eq!(
            outcome(&Case {
                now: NOW + 1000,
                ..BASE
            }),
            "invalid_grant: the refresh token has expired"
        );
    }

    #[test]
    fn o21_27_a_refresh_narrows_and_never_widens() {
        assert_eq!(
            outcome(&Case {
                scope: Some("email"),
                ..BASE
            }),
            "rotate email"
        );
        assert_eq!(
            outcome(&Case {
                scope: Some("openid email profile"),
                ..BASE
            }),
            "invalid_scope: "
        );
        assert_eq!(
            outcome(&Case {
                scope: Some("OPENID"),
                ..BASE
            }),
            "invalid_scope: "
        );
    }
}
