//! The access token of the project API (seed 001): what is in it, and how it is read again.
//!
//! It is not an access token of the standard endpoints, and they are none here: the header's type keeps them apart (T26).

use super::project::BRANCH;
use crate::id::{AccessTokenId, FamilyId, SessionId, TenantId, UserId};
use crate::identity::user::User;
use crate::jose::key::{SignError, SigningKey};
use crate::jose::token_type::TokenType;
use crate::time::{Lifetime, Timestamp};
use crate::url::Issuer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How far in the future a token of ours may claim to be made: nodes' clocks differ.
const CLOCK_SKEW_SECONDS: i64 = 10;

/// The `iss` of a project's tokens.
pub fn project_issuer(issuer: &Issuer, project: TenantId) -> String {
    issuer.join(&format!("/api/v1/projects/{project}"))
}

#[derive(Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the claims that the SDKs read, one by one"
)]
struct Claims<'a> {
    iss: String,
    aud: TenantId,
    sub: UserId,
    project_id: TenantId,
    branch_id: &'static str,
    refresh_token_id: SessionId,
    role: &'static str,
    name: Option<&'a str>,
    email: Option<&'a str>,
    email_verified: bool,
    selected_team_id: Option<()>,
    signed_up_at: Timestamp,
    is_anonymous: bool,
    is_restricted: bool,
    restricted_reason: Option<()>,
    requires_totp_mfa: bool,
    iat: Timestamp,
    exp: Timestamp,
    jti: AccessTokenId,
    /// Our own: the family, by which the endpoints find out whether the token still stands.
    fid: FamilyId,
}

/// A project token that was decided on.
#[derive(Clone, Debug)]
pub struct ProjectTokenPlan<'a> {
    /// Its name.
    pub id: AccessTokenId,
    /// The project.
    pub project: TenantId,
    /// The session: the seed's "refresh token id".
    pub session_id: SessionId,
    /// The family.
    pub family_id: FamilyId,
    /// The person.
    pub user: &'a User,
    /// Since when they are known.
    pub signed_up_at: Timestamp,
    /// When it is made.
    pub issued_at: Timestamp,
    /// How long it lives.
    pub lifetime: Lifetime,
}

impl ProjectTokenPlan<'_> {
    /// When it ends; the answer's `expires_in` is its lifetime, and nothing else.
    pub fn expires_at(&self) -> Timestamp {
        self.issued_at.plus(self.lifetime)
    }

    /// Signs it.
    pub fn sign(&self, issuer: &Issuer, key: &SigningKey) -> Result<String, SignError> {
        let named = self.user.profile.name.as_deref();
        key.sign(
            TokenType::ProjectToken,
            &Claims {
                iss: project_issuer(issuer, self.project),
                aud: self.project,
                sub: self.user.id,
                project_id: self.project,
                branch_id: BRANCH,
                refresh_token_id: self.session_id,
                role: "authenticated",
                name: named.or(self.user.username.as_deref()),
                email: self.user.email.as_deref(),
                email_verified: self.user.email_verified,
                selected_team_id: None,
                signed_up_at: self.signed_up_at,
                is_anonymous: false,
                is_restricted: false,
                restricted_reason: None,
                requires_totp_mfa: false,
                iat: self.issued_at,
                exp: self.expires_at(),
                jti: self.id,
                fid: self.family_id,
            },
        )
    }
}

/// A project token that was read: its signature and type held, and it is this project's. Whether its session still stands is for
/// the caller to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProjectToken {
    /// Its name.
    pub id: AccessTokenId,
    /// The person.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
    /// The family.
    pub family_id: FamilyId,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

#[derive(Deserialize)]
struct ReadClaims {
    iss: String,
    aud: TenantId,
    sub: UserId,
    project_id: TenantId,
    branch_id: String,
    refresh_token_id: SessionId,
    iat: Timestamp,
    exp: Timestamp,
    jti: AccessTokenId,
    fid: FamilyId,
}

impl ProjectToken {
    /// Reads the claims of a JWT whose signature and type ([`TokenType::ProjectToken`]) held. `None` when it is another project's
    /// or issuer's, or a claim is missing.
    pub fn from_claims(
        claims: &Map<String, Value>,
        issuer: &Issuer,
        project: TenantId,
    ) -> Option<Self> {
        let read = ReadClaims::deserialize(claims).ok()?;
        let ours = read.iss == project_issuer(issuer, project)
            && read.aud == project
            && read.project_id == project
            && read.branch_id == BRANCH;
        ours.then_some(Self {
            id: read.jti,
            user_id: read.sub,
            session_id: read.refresh_token_id,
            family_id: read.fid,
            issued_at: read.iat,
            expires_at: read.exp,
        })
    }

    /// Whether it is in its time.
    pub fn is_current(&self, now: Timestamp) -> bool {
        now < self.expires_at && self.issued_at.seconds_since(now) <= CLOCK_SKEW_SECONDS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::user::Profile;
    use crate::jose::algorithm::Algorithm;
    use crate::jose::key_set::{KeySet, KeyState, SetKey};
    use crate::jose::verify::{VerifyError, verify};
    use crate::oauth::bearer::AccessToken;
    use serde_json::json;
    use std::sync::Arc;

    const PROJECT: TenantId = TenantId::from_bytes([7; 16]);

    fn issuer() -> Issuer {
        Issuer::parse("https://id.example").unwrap()
    }

    fn claims() -> (Map<String, Value>, String, KeySet) {
        let key = Arc::new(SigningKey::generate(Algorithm::ES256).unwrap());
        let keys = KeySet::new([(SetKey::from(Arc::clone(&key)), KeyState::Active)]).unwrap();
        let user = User {
            id: UserId::from_bytes([1; 16]),
            username: Some("ada".to_owned()),
            email: None,
            email_verified: false,
            profile: Profile::default(),
            updated_at: Timestamp::from_seconds(1),
            disabled_at: None,
        };
        let token = ProjectTokenPlan {
            id: AccessTokenId::from_bytes([4; 16]),
            project: PROJECT,
            session_id: SessionId::from_bytes([2; 16]),
            family_id: FamilyId::from_bytes([5; 16]),
            user: &user,
            signed_up_at: Timestamp::from_seconds(900),
            issued_at: Timestamp::from_seconds(1000),
            lifetime: Lifetime::minutes(10),
        }
        .sign(&issuer(), &key)
        .unwrap();
        let claims = verify(&token, &keys, TokenType::ProjectToken)
            .unwrap()
            .claims()
            .clone();
        (claims, token, keys)
    }

    #[test]
    fn a_project_token_has_the_claims_that_the_sdks_read() {
        let id = "07070707-0707-0707-0707-070707070707";
        let expected = json!({
            "iss": format!("https://id.example/api/v1/projects/{id}"), "aud": id, "sub": "01010101-0101-0101-0101-010101010101",
            "project_id": id, "branch_id": "main", "refresh_token_id": "02020202-0202-0202-0202-020202020202",
            "role": "authenticated", "name": "ada", "email": null, "email_verified": false, "selected_team_id": null,
            "signed_up_at": 900, "is_anonymous": false, "is_restricted": false, "restricted_reason": null,
            "requires_totp_mfa": false, "iat": 1000, "exp": 1600, "jti": "04040404-0404-0404-0404-040404040404",
            "fid": "05050505-0505-0505-0505-050505050505",
        });
        assert_eq!(Value::Object(claims().0), expected);
    }

    #[test]
    fn t26_a_project_token_is_no_other_token_and_no_other_is_one() {
        let (claims, token, keys) = claims();
        for kind in [
            TokenType::AccessToken,
            TokenType::IdToken,
            TokenType::LogoutToken,
        ] {
            assert_eq!(
                verify(&token, &keys, kind).unwrap_err(),
                VerifyError::WrongType
            );
        }
        assert!(AccessToken::from_claims(&claims, &issuer()).is_none());
        let key = keys.signing_key(Algorithm::ES256).unwrap();
        let standard = key.sign(TokenType::AccessToken, &claims).unwrap();
        assert_eq!(
            verify(&standard, &keys, TokenType::ProjectToken).unwrap_err(),
            VerifyError::WrongType
        );
    }

    #[test]
    fn t18_another_project_s_issuer_s_or_branch_s_token_is_not_ours() {
        let (good, _, _) = claims();
        let read = ProjectToken::from_claims(&good, &issuer(), PROJECT).unwrap();
        assert!(
            read.is_current(Timestamp::from_seconds(1599))
                && read.is_current(Timestamp::from_seconds(990))
        );
        assert!(
            !read.is_current(Timestamp::from_seconds(1600))
                && !read.is_current(Timestamp::from_seconds(989))
        );
        assert!(
            ProjectToken::from_claims(&good, &issuer(), TenantId::from_bytes([8; 16])).is_none()
        );
        assert!(ProjectToken::from_claims(&good, &issuer().below("x"), PROJECT).is_none());
        let other = "08080808-0808-0808-0808-080808080808";
        for (name, value) in [
            ("iss", json!("https://id.example")),
            ("aud", json!(other)),
            ("aud", json!([good["aud"]])),
            ("project_id", json!(other)),
            ("branch_id", json!("dev")),
        ] {
            let mut bad = good.clone();
            bad.insert(name.to_owned(), value);
            assert!(
                ProjectToken::from_claims(&bad, &issuer(), PROJECT).is_none(),
                "{name}"
            );
        }
        for name in [
            "iss",
            "aud",
            "sub",
            "project_id",
            "branch_id",
            "refresh_token_id",
            "iat",
            "exp",
            "jti",
            "fid",
        ] {
            let mut bad = good.clone();
            bad.remove(name);
            assert!(
                ProjectToken::from_claims(&bad, &issuer(), PROJECT).is_none(),
                "{name}"
            );
        }
    }
}
