//! Codes, families, refresh tokens, opaque access tokens, and the names of revoked JWTs.

use crate::db::{DbError, Row, Sql};
use crate::users::read_user;
use crate::{TenantStore, TenantUnit, corrupt, json, to_json, values};
use vestibule_core::id::{AccessTokenId, CodeId, FamilyId, RefreshTokenId, UserId};
use vestibule_core::identity::user::User;
use vestibule_core::oauth::bearer::AccessToken;
use vestibule_core::oauth::code::{AuthorizationCode, CodeStage};
use vestibule_core::oauth::mint::Audience;
use vestibule_core::oauth::pkce::CodeChallenge;
use vestibule_core::oauth::refresh::{RefreshStage, RefreshToken};
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::oauth::token::{Authorization, Family};
use vestibule_core::secret::{Handle, SecretDigest};
use vestibule_core::time::Timestamp;

crate::statements! {
    INSERT_CODE: many = "INSERT INTO codes (tenant_id, id, digest, client_id, user_id, session_id, grant_id, redirect_uri, challenge, authorization_text, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    FIND_CODE: many = "SELECT u.id, u.username, u.email, u.email_verified_at, u.profile, u.updated_at, u.disabled_at,
            c.id, c.digest, c.client_id, c.redirect_uri, c.challenge, c.authorization_text, c.expires_at, c.redeemed_at, c.family_id, s.expires_at, s.ended_at, g.id, u.created_at
        FROM codes c JOIN users u ON u.tenant_id = c.tenant_id AND u.id = c.user_id
            LEFT JOIN sessions s ON s.tenant_id = c.tenant_id AND s.id = c.session_id
            LEFT JOIN grants g ON g.tenant_id = c.tenant_id AND g.user_id = c.user_id AND g.client_id = c.client_id
        WHERE c.tenant_id = $1 AND c.id = $2";
    REDEEM_CODE: many = "UPDATE codes SET redeemed_at = $3, family_id = $4 WHERE tenant_id = $1 AND id = $2 AND redeemed_at IS NULL";
    // What a family stands on is held until its unit is written, so that nothing of it ends unseen between the look and the write:
    // a sign-out or a withdrawal writes the same row first, and thus comes before and is seen, or after and sees the family.
    HOLD_SESSION: many = "SELECT 1 FROM sessions s WHERE s.tenant_id = $1 AND s.id = $2 AND s.ended_at IS NULL AND s.expires_at > $3
        AND EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = s.tenant_id AND u.id = s.user_id AND u.disabled_at IS NULL) FOR SHARE";
    HOLD_SESSION_OFFLINE: many = "SELECT 1 FROM sessions s WHERE s.tenant_id = $1 AND s.id = $2 AND (s.ended_at IS NULL OR s.ended_at < s.expires_at) AND s.expires_at > $3
        AND EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = s.tenant_id AND u.id = s.user_id AND u.disabled_at IS NULL) FOR SHARE";
    HOLD_GRANT: many = "SELECT 1 FROM grants WHERE tenant_id = $1 AND user_id = $2 AND client_id = $3 AND id = $4 FOR SHARE";
    INSERT_FAMILY: many = "INSERT INTO families (tenant_id, id, client_id, user_id, session_id, authorization_text, created_at, expires_at, offline_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    EXTEND_FAMILY: hot = "UPDATE families SET expires_at = $3 WHERE tenant_id = $1 AND id = $2 AND expires_at < $3";
    END_FAMILY: hot = "UPDATE families SET ended_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL";
    HOLD_FAMILY: many = "SELECT 1 FROM families WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL FOR SHARE";
    INSERT_REFRESH: many = "INSERT INTO refresh_tokens (tenant_id, id, digest, family_id, expires_at) VALUES ($1, $2, $3, $4, $5)";
    FIND_REFRESH: many = "SELECT u.id, u.username, u.email, u.email_verified_at, u.profile, u.updated_at, u.disabled_at,
            r.id, r.digest, r.expires_at, r.rotated_at, r.successor_id, n.rotated_at, f.id, f.client_id, f.authorization_text, f.ended_at, f.expires_at, u.created_at, f.offline_at, s.expires_at
        FROM refresh_tokens r JOIN families f ON f.tenant_id = r.tenant_id AND f.id = r.family_id
            JOIN users u ON u.tenant_id = f.tenant_id AND u.id = f.user_id
            LEFT JOIN sessions s ON s.tenant_id = f.tenant_id AND s.id = f.session_id
            LEFT JOIN refresh_tokens n ON n.tenant_id = r.tenant_id AND n.id = r.successor_id
        WHERE r.tenant_id = $1 AND r.id = $2";
    ROTATE_REFRESH: many = "UPDATE refresh_tokens SET rotated_at = $3, successor_id = $4 WHERE tenant_id = $1 AND id = $2 AND rotated_at IS NULL";
    TOUCH_REFRESH: hot = "UPDATE refresh_tokens SET expires_at = $3 WHERE tenant_id = $1 AND id = $2 AND expires_at < $3";
    INSERT_TOKEN: many = "INSERT INTO tokens (tenant_id, id, digest, client_id, user_id, family_id, scope, audience, issued_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    FIND_TOKEN: many = "SELECT digest, client_id, user_id, family_id, scope, audience, issued_at, expires_at FROM tokens WHERE tenant_id = $1 AND id = $2";
    REMOVE_TOKEN: hot = "DELETE FROM tokens WHERE tenant_id = $1 AND id = $2";
    REVOKE_JTI: hot = "INSERT INTO revoked_jti (tenant_id, id, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    IS_REVOKED: many = "SELECT 1 FROM revoked_jti WHERE tenant_id = $1 AND id = $2";
    STANDING: many = "SELECT u.id, u.username, u.email, u.email_verified_at, u.profile, u.updated_at, u.disabled_at, f.ended_at, f.authorization_text, r.expires_at
        FROM families f JOIN users u ON u.tenant_id = f.tenant_id AND u.id = f.user_id
            LEFT JOIN revoked_jti r ON r.tenant_id = f.tenant_id AND r.id = $3
        WHERE f.tenant_id = $1 AND f.id = $2";
    STANDING_BRIEF: many = "SELECT u.username, u.disabled_at, f.ended_at, r.expires_at
        FROM families f JOIN users u ON u.tenant_id = f.tenant_id AND u.id = f.user_id
            LEFT JOIN revoked_jti r ON r.tenant_id = f.tenant_id AND r.id = $3
        WHERE f.tenant_id = $1 AND f.id = $2";
    FIND_REFRESH_OWNER: hot = "SELECT r.digest, f.id, f.client_id FROM refresh_tokens r JOIN families f ON f.tenant_id = r.tenant_id AND f.id = r.family_id
        WHERE r.tenant_id = $1 AND r.id = $2";
}

/// How long after its last token's end a family's row is kept, in seconds: reuse of what it issued is still recognised.
const FAMILY_KEPT_SECONDS: i64 = 2 * 86_400;

/// A code as found, with what it needs to be redeemed.
#[derive(Clone, Debug)]
pub struct FoundCode {
    /// The code.
    pub code: AuthorizationCode,
    /// The person.
    pub user: User,
    /// When the person's record was made.
    pub user_created_at: Timestamp,
    /// Until when the code's session lasts, and with it what comes of the code without `offline_access`.
    pub session_expires_at: Timestamp,
    /// Whether the person may sign in, nobody ended the session (or it was only signed out, and the code holds `offline_access`),
    /// and the grant stands.
    allowed: bool,
}

impl FoundCode {
    /// Whether what the code stands on still stands: nobody ended it, and the session lasts.
    pub fn stands(&self, now: Timestamp) -> bool {
        self.allowed && now < self.session_expires_at
    }

    /// Until when the session keeps what comes of the code; none with `offline_access`, which outlives the session.
    pub fn session_until(&self) -> Option<Timestamp> {
        let offline = self.code.authorization.scope.contains("offline_access");
        (!offline).then_some(self.session_expires_at)
    }
}

/// A refresh token as found.
#[derive(Clone, Debug)]
pub struct FoundRefresh {
    /// The token.
    pub token: RefreshToken,
    /// The person.
    pub user: User,
    /// When the person's record was made.
    pub user_created_at: Timestamp,
    /// Until when the family's row is kept.
    pub family_expires_at: Timestamp,
}

/// The facts of the moment about a token that belongs to a family.
#[derive(Clone, Debug)]
pub struct FamilyStanding {
    /// The person.
    pub user: User,
    /// Whether the family stands.
    pub family_stands: bool,
    /// Whether the token's own name is revoked.
    pub revoked: bool,
    /// What the family stands on, as stored; user info reads the claims that were asked for by name.
    authorization_text: String,
}

/// The same facts without what only user info tells of the person.
#[derive(Clone, Debug)]
pub struct BriefStanding {
    /// The person's user name.
    pub username: Option<String>,
    /// Whether the person may sign in.
    pub person_enabled: bool,
    /// Whether the family stands.
    pub family_stands: bool,
    /// Whether the token's own name is revoked.
    pub revoked: bool,
}

impl FamilyStanding {
    /// What the family stands on.
    pub fn authorization(&self) -> Result<Authorization, DbError> {
        serde_json::from_str(&self.authorization_text)
            .map_err(|error| corrupt(&STANDING, "authorization_text", error))
    }
}

impl TenantStore<'_> {
    /// The code of that id, whatever its secret.
    pub async fn code(&self, id: &[u8; 16]) -> Result<Option<FoundCode>, DbError> {
        let row = self
            .db
            .query_one(&FIND_CODE, &values![self.tenant.bytes(), id])
            .await?;
        row.as_ref().map(read_code).transpose()
    }

    /// The refresh token of that id, whatever its secret.
    pub async fn refresh_token(&self, id: &[u8; 16]) -> Result<Option<FoundRefresh>, DbError> {
        let row = self
            .db
            .query_one(&FIND_REFRESH, &values![self.tenant.bytes(), id])
            .await?;
        row.as_ref().map(read_refresh).transpose()
    }

    /// The family and the client of a refresh token, if the handle is right.
    pub async fn refresh_token_owner(
        &self,
        handle: &Handle,
    ) -> Result<Option<(FamilyId, String)>, DbError> {
        let row = self
            .db
            .query_one(
                &FIND_REFRESH_OWNER,
                &values![self.tenant.bytes(), handle.id()],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let right = SecretDigest::from_bytes(row.digest(0)?).matches(&handle.digest());
        if right {
            Ok(Some((
                FamilyId::from_bytes(row.id(1)?),
                row.text(2)?.to_owned(),
            )))
        } else {
            Ok(None)
        }
    }

    /// An opaque access token, if the handle is right.
    pub async fn access_token(&self, handle: &Handle) -> Result<Option<AccessToken>, DbError> {
        let row = self
            .db
            .query_one(&FIND_TOKEN, &values![self.tenant.bytes(), handle.id()])
            .await?;
        let Some(row) = row else { return Ok(None) };
        if !SecretDigest::from_bytes(row.digest(0)?).matches(&handle.digest()) {
            return Ok(None);
        }
        Ok(Some(AccessToken {
            id: AccessTokenId::from_bytes(*handle.id()),
            client_id: row.text(1)?.to_owned(),
            user_id: row.opt_id(2)?.map(UserId::from_bytes),
            family_id: row.opt_id(3)?.map(FamilyId::from_bytes),
            scope: ScopeSet::parse(row.text(4)?)
                .map_err(|error| corrupt(&FIND_TOKEN, "scope", error))?,
            audience: json::<Audience>(&row, 5, &FIND_TOKEN, "audience")?,
            issued_at: Timestamp::from_seconds(row.int(6)?),
            expires_at: Timestamp::from_seconds(row.int(7)?),
        }))
    }

    /// The facts of the moment about a token of a family; none when the family or the person is gone.
    pub async fn family_standing(
        &self,
        family: FamilyId,
        token: AccessTokenId,
    ) -> Result<Option<FamilyStanding>, DbError> {
        let row = self
            .db
            .query_one(
                &STANDING,
                &values![self.tenant.bytes(), family.bytes(), token.bytes()],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(FamilyStanding {
            user: read_user(&row, 0, &STANDING)?,
            family_stands: row.opt_int(7)?.is_none(),
            authorization_text: row.text(8)?.to_owned(),
            revoked: row.opt_int(9)?.is_some(),
        }))
    }

    /// The same in brief, for whoever tells nothing of the person but the name.
    pub async fn brief_standing(
        &self,
        family: FamilyId,
        token: AccessTokenId,
    ) -> Result<Option<BriefStanding>, DbError> {
        let row = self
            .db
            .query_one(
                &STANDING_BRIEF,
                &values![self.tenant.bytes(), family.bytes(), token.bytes()],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(BriefStanding {
            username: row.opt_text(0)?.map(str::to_owned),
            person_enabled: row.opt_int(1)?.is_none(),
            family_stands: row.opt_int(2)?.is_none(),
            revoked: row.opt_int(3)?.is_some(),
        }))
    }

    /// Whether a JWT's name is on the list of revoked ones.
    pub async fn is_revoked(&self, token: AccessTokenId) -> Result<bool, DbError> {
        Ok(self
            .db
            .query_one(&IS_REVOKED, &values![self.tenant.bytes(), token.bytes()])
            .await?
            .is_some())
    }
}

fn authorization(row: &Row, column: usize, sql: &Sql) -> Result<Authorization, DbError> {
    json(row, column, sql, "authorization_text")
}

fn read_code(row: &Row) -> Result<FoundCode, DbError> {
    let user = read_user(row, 0, &FIND_CODE)?;
    let authorization = authorization(row, 12, &FIND_CODE)?;
    let stage = match (row.opt_int(14)?, row.opt_id(15)?) {
        (None, _) => CodeStage::Issued,
        (Some(_), Some(family)) => CodeStage::Redeemed(FamilyId::from_bytes(family)),
        (Some(_), None) => {
            return Err(corrupt(
                &FIND_CODE,
                "family_id",
                "missing although the code was redeemed",
            ));
        }
    };
    let session_stands = match (row.opt_int(16)?, row.opt_int(17)?) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(expires_at), Some(ended_at)) => {
            authorization.scope.contains("offline_access") && ended_at < expires_at
        }
    };
    let withdrawn = match authorization.grant_id {
        Some(id) => row.opt_id(18)? != Some(*id.bytes()),
        None => false,
    };
    let allowed = user.disabled_at.is_none() && session_stands && !withdrawn;
    let code = AuthorizationCode {
        id: CodeId::from_bytes(row.id(7)?),
        digest: SecretDigest::from_bytes(row.digest(8)?),
        client_id: row.text(9)?.to_owned(),
        redirect_uri: row.opt_text(10)?.map(str::to_owned),
        challenge: row.opt_digest(11)?.map(CodeChallenge::from_bytes),
        authorization,
        expires_at: Timestamp::from_seconds(row.int(13)?),
        stage,
    };
    Ok(FoundCode {
        code,
        user,
        user_created_at: Timestamp::from_seconds(row.int(19)?),
        session_expires_at: Timestamp::from_seconds(row.opt_int(16)?.unwrap_or(i64::MIN)),
        allowed,
    })
}

fn read_refresh(row: &Row) -> Result<FoundRefresh, DbError> {
    let user = read_user(row, 0, &FIND_REFRESH)?;
    let stage = match (row.opt_int(10)?, row.opt_id(11)?) {
        (None, _) => RefreshStage::Current,
        (Some(at), Some(successor)) => RefreshStage::Rotated {
            at: Timestamp::from_seconds(at),
            successor: RefreshTokenId::from_bytes(successor),
            successor_used: row.opt_int(12)?.is_some(),
        },
        (Some(_), None) => {
            return Err(corrupt(
                &FIND_REFRESH,
                "successor_id",
                "missing although the token was rotated",
            ));
        }
    };
    let token = RefreshToken {
        id: RefreshTokenId::from_bytes(row.id(7)?),
        digest: SecretDigest::from_bytes(row.digest(8)?),
        family: Family {
            id: FamilyId::from_bytes(row.id(13)?),
            client_id: row.text(14)?.to_owned(),
            authorization: authorization(row, 15, &FIND_REFRESH)?,
            ended_at: row.opt_int(16)?.map(Timestamp::from_seconds),
        },
        expires_at: Timestamp::from_seconds(row.int(9)?),
        stage,
        person_enabled: user.disabled_at.is_none(),
        session_until: match row.opt_int(19)? {
            Some(_) => None,
            // A session whose row is gone is long over.
            None => Some(Timestamp::from_seconds(
                row.opt_int(20)?.unwrap_or(i64::MIN),
            )),
        },
    };
    Ok(FoundRefresh {
        token,
        user,
        user_created_at: Timestamp::from_seconds(row.int(18)?),
        family_expires_at: Timestamp::from_seconds(row.int(17)?),
    })
}

impl TenantUnit {
    /// Adds a code.
    #[must_use]
    pub fn insert_code(self, code: &AuthorizationCode) -> Self {
        let tenant = self.id();
        let origin = &code.authorization;
        self.expect(
            &INSERT_CODE,
            values![
                tenant,
                code.id.bytes(),
                code.digest.bytes(),
                &code.client_id,
                origin.user_id.bytes(),
                origin.session_id.bytes(),
                origin.grant_id.map(|id| *id.bytes()),
                code.redirect_uri.as_deref(),
                code.challenge.map(|challenge| *challenge.bytes()),
                to_json(origin),
                code.expires_at.seconds(),
            ],
        )
    }

    /// Redeems a code, once: of two at the same instant one loses its unit.
    #[must_use]
    pub fn redeem_code(self, id: CodeId, family: FamilyId, now: Timestamp) -> Self {
        let tenant = self.id();
        self.expect(
            &REDEEM_CODE,
            values![tenant, id.bytes(), now.seconds(), family.bytes()],
        )
    }

    /// Adds a family; `until` is the end of its last token. Lost when what it stands on is gone: the person disabled, the session
    /// signed out (everything of the person ended, with `offline_access`) or over, the grant withdrawn.
    #[must_use]
    pub fn insert_family(self, family: &Family, until: Timestamp, now: Timestamp) -> Self {
        let tenant = self.id();
        let origin = &family.authorization;
        let offline = origin.scope.contains("offline_access");
        let hold = if offline {
            &HOLD_SESSION_OFFLINE
        } else {
            &HOLD_SESSION
        };
        // Held in this order by every unit, session before grant.
        let mut unit = self.expect(
            hold,
            values![tenant, origin.session_id.bytes(), now.seconds()],
        );
        if let Some(grant) = origin.grant_id {
            unit = unit.expect(
                &HOLD_GRANT,
                values![
                    tenant,
                    origin.user_id.bytes(),
                    &family.client_id,
                    grant.bytes()
                ],
            );
        }
        unit.expect(
            &INSERT_FAMILY,
            values![
                tenant,
                family.id.bytes(),
                &family.client_id,
                origin.user_id.bytes(),
                origin.session_id.bytes(),
                to_json(origin),
                now.seconds(),
                until.seconds() + FAMILY_KEPT_SECONDS,
                offline.then(|| now.seconds()),
            ],
        )
    }

    /// Keeps a family's row until after `until`; written at most once a day.
    #[must_use]
    pub fn extend_family(self, id: FamilyId, kept_until: Timestamp, until: Timestamp) -> Self {
        let wanted = until.seconds() + FAMILY_KEPT_SECONDS;
        if wanted - kept_until.seconds() < 86_400 {
            return self;
        }
        let tenant = self.id();
        self.run(&EXTEND_FAMILY, values![tenant, id.bytes(), wanted])
    }

    /// Ends a family: everything that names it stops counting.
    #[must_use]
    pub fn end_family(self, id: FamilyId, now: Timestamp) -> Self {
        let tenant = self.id();
        self.run(&END_FAMILY, values![tenant, id.bytes(), now.seconds()])
    }

    /// Loses the unit if the family has ended meanwhile.
    #[must_use]
    pub fn guard_family(self, id: FamilyId) -> Self {
        let tenant = self.id();
        self.expect(&HOLD_FAMILY, values![tenant, id.bytes()])
    }

    /// Adds a refresh token.
    #[must_use]
    pub fn insert_refresh_token(
        self,
        handle: &Handle,
        family: FamilyId,
        expires_at: Timestamp,
    ) -> Self {
        let tenant = self.id();
        self.expect(
            &INSERT_REFRESH,
            values![
                tenant,
                handle.id(),
                handle.digest().bytes(),
                family.bytes(),
                expires_at.seconds()
            ],
        )
    }

    /// Replaces a refresh token, once: of two at the same instant one loses its unit.
    #[must_use]
    pub fn rotate_refresh_token(
        self,
        id: RefreshTokenId,
        successor: &[u8; 16],
        now: Timestamp,
    ) -> Self {
        let tenant = self.id();
        self.expect(
            &ROTATE_REFRESH,
            values![tenant, id.bytes(), now.seconds(), successor],
        )
    }

    /// Lets a refresh token that is kept live on; written at most once a tenth of its life.
    #[must_use]
    pub fn touch_refresh_token(
        self,
        token: &RefreshToken,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        let left = token.expires_at.seconds_since(now);
        if expires_at.seconds_since(now) - left < expires_at.seconds_since(now) / 10 {
            return self;
        }
        let tenant = self.id();
        self.run(
            &TOUCH_REFRESH,
            values![tenant, token.id.bytes(), expires_at.seconds()],
        )
    }

    /// Adds an opaque access token.
    #[must_use]
    pub fn insert_access_token(self, token: &AccessToken, digest: &SecretDigest) -> Self {
        let tenant = self.id();
        self.expect(
            &INSERT_TOKEN,
            values![
                tenant,
                token.id.bytes(),
                digest.bytes(),
                &token.client_id,
                token.user_id.map(|id| *id.bytes()),
                token.family_id.map(|id| *id.bytes()),
                token.scope.to_string(),
                to_json(&token.audience),
                token.issued_at.seconds(),
                token.expires_at.seconds(),
            ],
        )
    }

    /// Forgets an opaque access token.
    #[must_use]
    pub fn remove_access_token(self, id: AccessTokenId) -> Self {
        let tenant = self.id();
        self.run(&REMOVE_TOKEN, values![tenant, id.bytes()])
    }

    /// Puts a JWT's name on the list of revoked ones until it expires.
    #[must_use]
    pub fn revoke_jti(self, id: AccessTokenId, expires_at: Timestamp) -> Self {
        let tenant = self.id();
        self.run(
            &REVOKE_JTI,
            values![tenant, id.bytes(), expires_at.seconds()],
        )
    }
}
