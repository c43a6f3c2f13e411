//! Browser sessions.

use crate::db::{DbError, Row};
use crate::users::read_user;
use crate::{TenantStore, TenantUnit, corrupt, json, values};
use vestibule_core::id::{GrantId, SessionId, UserId};
use vestibule_core::identity::acr::{Acr, Amr};
use vestibule_core::identity::session::Session;
use vestibule_core::identity::user::User;
use vestibule_core::oauth::grant::Grant;
use vestibule_core::oauth::interaction::SignedIn;
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::secret::{Handle, SecretDigest};
use vestibule_core::time::Timestamp;

crate::statements! {
    FIND: hot = "SELECT u.id, u.username, u.email, u.email_verified_at, u.profile, u.updated_at, u.disabled_at,
            s.id, s.digest, s.auth_time, s.acr, s.amr, s.used_at, s.expires_at, g.id, g.scope, g.resources
        FROM sessions s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
            LEFT JOIN grants g ON g.tenant_id = s.tenant_id AND g.user_id = s.user_id AND g.client_id = $3
        WHERE s.tenant_id = $1 AND s.id = $2 AND s.ended_at IS NULL AND s.expires_at > $4 AND s.used_at > $5 AND u.disabled_at IS NULL";
    INSERT: hot = "INSERT INTO sessions (tenant_id, id, digest, user_id, auth_time, acr, amr, used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $5, $8)";
    RENEW: hot = "UPDATE sessions SET digest = $3, auth_time = $4, acr = $5, amr = $6, used_at = $4, expires_at = $7 WHERE tenant_id = $1 AND id = $2 AND user_id = $8 AND ended_at IS NULL";
    TOUCH: hot = "UPDATE sessions SET used_at = $3 WHERE tenant_id = $1 AND id = $2 AND used_at < $3";
    END: hot = "UPDATE sessions SET ended_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL";
    END_FAMILIES: hot = "UPDATE families SET ended_at = $3 WHERE tenant_id = $1 AND session_id = $2 AND offline_at IS NULL AND ended_at IS NULL";
    // Signed out is `ended_at < expires_at`; ended for good is both at once, and then no code of the session is redeemed, with
    // `offline_access` neither.
    END_OF_USER: hot = "UPDATE sessions SET ended_at = $3, expires_at = $3 WHERE tenant_id = $1 AND user_id = $2 AND (ended_at IS NULL OR ended_at < expires_at)";
    END_FAMILIES_OF_USER: hot = "UPDATE families SET ended_at = $3 WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL";
}

/// A person who is signed in in this browser, with their record.
#[derive(Clone, Debug)]
pub struct Present {
    /// The session, and what the person allowed the client that was asked about.
    pub signed_in: SignedIn,
    /// The person.
    pub user: User,
}

/// When a session still counts.
#[derive(Clone, Copy, Debug)]
pub struct SessionWindow {
    /// Now.
    pub now: Timestamp,
    /// Sessions not used since then are over.
    pub idle_since: Timestamp,
}

fn read(row: &Row) -> Result<(Present, SecretDigest), DbError> {
    let user = read_user(row, 0, &FIND)?;
    let amr = row
        .text(11)?
        .split_ascii_whitespace()
        .map(read_amr)
        .collect::<Result<_, _>>()?;
    let session = Session {
        id: SessionId::from_bytes(row.id(7)?),
        user_id: user.id,
        auth_time: Timestamp::from_seconds(row.int(9)?),
        acr: read_acr(row.text(10)?)?,
        amr,
        used_at: Timestamp::from_seconds(row.int(12)?),
        expires_at: Timestamp::from_seconds(row.int(13)?),
    };
    let grant = match row.opt_id(14)? {
        None => None,
        Some(id) => Some(Grant {
            id: GrantId::from_bytes(id),
            scope: ScopeSet::parse(row.text(15)?)
                .map_err(|error| corrupt(&FIND, "scope", error))?,
            resources: json(row, 16, &FIND, "resources")?,
        }),
    };
    Ok((
        Present {
            signed_in: SignedIn { session, grant },
            user,
        },
        SecretDigest::from_bytes(row.digest(8)?),
    ))
}

fn read_acr(text: &str) -> Result<Acr, DbError> {
    Acr::ALL
        .iter()
        .copied()
        .find(|acr| acr.as_str() == text)
        .ok_or_else(|| corrupt(&FIND, "acr", "not a known level"))
}

fn read_amr(text: &str) -> Result<Amr, DbError> {
    match text {
        "pwd" => Ok(Amr::Password),
        _ => Err(corrupt(&FIND, "amr", "not a known method")),
    }
}

fn write_amr(amr: &[Amr]) -> String {
    let names: Vec<&str> = amr
        .iter()
        .map(|amr| match amr {
            Amr::Password => "pwd",
        })
        .collect();
    names.join(" ")
}

impl TenantStore<'_> {
    /// The session behind a handle, if it counts, with its person and what they allowed this client.
    pub async fn session(
        &self,
        handle: &Handle,
        client_id: &str,
        window: SessionWindow,
    ) -> Result<Option<Present>, DbError> {
        let row = self
            .db
            .query_one(
                &FIND,
                &values![
                    self.tenant.bytes(),
                    handle.id(),
                    client_id,
                    window.now.seconds(),
                    window.idle_since.seconds()
                ],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (present, digest) = read(&row)?;
        Ok(digest.matches(&handle.digest()).then_some(present))
    }
}

impl TenantUnit {
    /// Adds a session.
    #[must_use]
    pub fn insert_session(self, session: &Session, digest: &SecretDigest) -> Self {
        let tenant = self.id();
        self.expect(
            &INSERT,
            values![
                tenant,
                session.id.bytes(),
                digest.bytes(),
                session.user_id.bytes(),
                session.auth_time.seconds(),
                session.acr.as_str(),
                write_amr(&session.amr),
                session.expires_at.seconds(),
            ],
        )
    }

    /// Notes a new proof in a session that stands, under a new secret; the families that came of it stay.
    #[must_use]
    pub fn renew_session(self, session: &Session, digest: &SecretDigest) -> Self {
        let tenant = self.id();
        self.expect(
            &RENEW,
            values![
                tenant,
                session.id.bytes(),
                digest.bytes(),
                session.auth_time.seconds(),
                session.acr.as_str(),
                write_amr(&session.amr),
                session.expires_at.seconds(),
                session.user_id.bytes(),
            ],
        )
    }

    /// Notes that a session was used.
    #[must_use]
    pub fn touch_session(self, id: SessionId, now: Timestamp) -> Self {
        let tenant = self.id();
        self.run(&TOUCH, values![tenant, id.bytes(), now.seconds()])
    }

    /// Ends a session, and the families that came of it without `offline_access`. The session comes first: whoever holds it while
    /// a family is written is waited for, and the family is then among those that end.
    #[must_use]
    pub fn end_session(self, id: SessionId, now: Timestamp) -> Self {
        let tenant = self.id();
        self.run(&END, values![tenant, id.bytes(), now.seconds()])
            .run(&END_FAMILIES, values![tenant, id.bytes(), now.seconds()])
    }

    /// Ends every session and every family of a person, and the codes that would make others: a changed password, a disabled
    /// account. The sessions come first, as in [`Self::end_session`].
    #[must_use]
    pub fn end_everything_of(self, id: UserId, now: Timestamp) -> Self {
        let tenant = self.id();
        self.run(&END_OF_USER, values![tenant, id.bytes(), now.seconds()])
            .run(
                &END_FAMILIES_OF_USER,
                values![tenant, id.bytes(), now.seconds()],
            )
    }
}
