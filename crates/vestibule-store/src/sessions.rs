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
    FIND: many = "SELECT u.id, u.username, u.email, u.email_verified_at, u.profile, u.updated_at, u.disabled_at,
            s.id, s.digest, s.auth_time, s.acr, s.amr, s.used_at, s.expires_at, g.id, g.scope, g.resources
        FROM sessions s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
            LEFT JOIN grants g ON g.tenant_id = s.tenant_id AND g.user_id = s.user_id AND g.client_id = $3
        WHERE s.tenant_id = $1 AND s.id = $2 AND s.ended_at IS NULL AND s.expires_at > $4 AND s.used_at > $5 AND u.disabled_at IS NULL";
    INSERT: many = "INSERT INTO sessions (tenant_id, id, digest, user_id, auth_time, acr, amr, used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $9, $8)";
    RENEW: hot = "UPDATE sessions SET digest = $3, auth_time = $4, acr = $5, amr = $6, used_at = $9, expires_at = $7 WHERE tenant_id = $1 AND id = $2 AND user_id = $8 AND ended_at IS NULL";
    TOUCH: hot = "UPDATE sessions SET used_at = $3 WHERE tenant_id = $1 AND id = $2 AND used_at < $3";
    END: hot = "UPDATE sessions SET ended_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL";
    END_FAMILIES: hot = "UPDATE families SET ended_at = $3 WHERE tenant_id = $1 AND session_id = $2 AND offline_at IS NULL AND ended_at IS NULL";
    // Signed out is `ended_at < expires_at`; ended for good is both at once, and then no code of the session is redeemed, with
    // `offline_access` neither.
    END_OF_USER: hot = "UPDATE sessions SET ended_at = $3, expires_at = $3 WHERE tenant_id = $1 AND user_id = $2 AND (ended_at IS NULL OR ended_at < expires_at)";
    END_FAMILIES_OF_USER: hot = "UPDATE families SET ended_at = $3 WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL";
    FIND_BY_ID: many = "SELECT u.id, u.username, u.email, u.email_verified_at, u.profile, u.updated_at, u.disabled_at,
            s.id, s.auth_time, s.acr, s.amr, s.used_at, s.expires_at
        FROM sessions s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
        WHERE s.tenant_id = $1 AND s.id = $2 AND s.ended_at IS NULL AND s.expires_at > $3 AND s.used_at > $4 AND u.disabled_at IS NULL";
    LIST_OF_USER: hot = "SELECT id, auth_time, acr, amr, used_at, expires_at FROM sessions
        WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL AND expires_at > $3 AND used_at > $4 ORDER BY id DESC LIMIT $5";
    LIST_WITH_CLIENT: hot = "SELECT s.id, s.auth_time, s.acr, s.amr, s.used_at, s.expires_at FROM sessions s
        WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.ended_at IS NULL AND s.expires_at > $3
            AND (s.used_at > $4 OR EXISTS (SELECT 1 FROM families f WHERE f.tenant_id = s.tenant_id AND f.session_id = s.id AND f.client_id = $5 AND f.ended_at IS NULL))
        ORDER BY s.id DESC LIMIT $6";
    END_CLIENTS_FAMILIES: hot = "UPDATE families SET ended_at = $3 WHERE tenant_id = $1 AND session_id = $2 AND client_id = $4 AND ended_at IS NULL";
    END_ONE_OF_USER: hot = "UPDATE sessions SET ended_at = $4 WHERE tenant_id = $1 AND id = $2 AND user_id = $3 AND ended_at IS NULL";
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
        "fed" => Ok(Amr::Federated),
        _ => Err(corrupt(&FIND, "amr", "not a known method")),
    }
}

fn write_amr(amr: &[Amr]) -> String {
    let names: Vec<&str> = amr
        .iter()
        .map(|amr| match amr {
            Amr::Password => "pwd",
            Amr::Federated => "fed",
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
                session.used_at.seconds(),
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
                session.used_at.seconds(),
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

/// The most sessions that a person's list gives, the latest first.
pub const SESSIONS_LIST_MAX: u32 = 500;

/// A session that counts, found without its handle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session.
    pub session: Session,
    /// When it began; a later proof in it changes `auth_time` and not this.
    pub created_at: Timestamp,
}

/// Reads `id`, `auth_time`, `acr`, `amr`, `used_at`, `expires_at` from a column on.
fn read_record(row: &Row, from: usize, user_id: UserId) -> Result<SessionRecord, DbError> {
    let id = row.id(from)?;
    let session = Session {
        id: SessionId::from_bytes(id),
        user_id,
        auth_time: Timestamp::from_seconds(row.int(from + 1)?),
        acr: read_acr(row.text(from + 2)?)?,
        amr: row
            .text(from + 3)?
            .split_ascii_whitespace()
            .map(read_amr)
            .collect::<Result<_, _>>()?,
        used_at: Timestamp::from_seconds(row.int(from + 4)?),
        expires_at: Timestamp::from_seconds(row.int(from + 5)?),
    };
    // RFC 9562, 5.7: the first 48 bits of an id are the milliseconds of its making.
    let millis = i64::try_from(u128::from_be_bytes(id) >> 80).unwrap_or(0);
    Ok(SessionRecord {
        session,
        created_at: Timestamp::from_seconds(millis / 1000),
    })
}

impl TenantStore<'_> {
    /// A session by its id, if it counts, with its person: for a token that names it and was proved already.
    pub async fn session_by_id(
        &self,
        id: SessionId,
        window: SessionWindow,
    ) -> Result<Option<(SessionRecord, User)>, DbError> {
        let row = self
            .db
            .query_one(
                &FIND_BY_ID,
                &values![
                    self.tenant.bytes(),
                    id.bytes(),
                    window.now.seconds(),
                    window.idle_since.seconds()
                ],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let user = read_user(&row, 0, &FIND_BY_ID)?;
        Ok(Some((read_record(&row, 7, user.id)?, user)))
    }

    /// A person's sessions that count, and those that a client's tokens keep alive however long they were not used; the latest
    /// first.
    pub async fn sessions_of_with_client(
        &self,
        user_id: UserId,
        client_id: &str,
        window: SessionWindow,
    ) -> Result<Vec<SessionRecord>, DbError> {
        let rows = self
            .db
            .query(
                &LIST_WITH_CLIENT,
                &values![
                    self.tenant.bytes(),
                    user_id.bytes(),
                    window.now.seconds(),
                    window.idle_since.seconds(),
                    client_id,
                    SESSIONS_LIST_MAX
                ],
            )
            .await?;
        rows.iter()
            .map(|row| read_record(row, 0, user_id))
            .collect()
    }

    /// A person's sessions that count, the latest first.
    pub async fn sessions_of(
        &self,
        user_id: UserId,
        window: SessionWindow,
    ) -> Result<Vec<SessionRecord>, DbError> {
        let rows = self
            .db
            .query(
                &LIST_OF_USER,
                &values![
                    self.tenant.bytes(),
                    user_id.bytes(),
                    window.now.seconds(),
                    window.idle_since.seconds(),
                    SESSIONS_LIST_MAX
                ],
            )
            .await?;
        rows.iter()
            .map(|row| read_record(row, 0, user_id))
            .collect()
    }
}

impl TenantUnit {
    /// Ends one session of a person, and the families that came of it without `offline_access`. Lost when the session is
    /// another's, has ended or is gone.
    #[must_use]
    pub fn end_session_of(self, id: SessionId, user_id: UserId, now: Timestamp) -> Self {
        let tenant = self.id();
        self.expect(
            &END_ONE_OF_USER,
            values![tenant, id.bytes(), user_id.bytes(), now.seconds()],
        )
        .run(&END_FAMILIES, values![tenant, id.bytes(), now.seconds()])
    }

    /// Ends the families that a client has of a session, those with `offline_access` too.
    #[must_use]
    pub fn end_families_of_client(self, id: SessionId, client_id: &str, now: Timestamp) -> Self {
        let tenant = self.id();
        self.run(
            &END_CLIENTS_FAMILIES,
            values![tenant, id.bytes(), now.seconds(), client_id],
        )
    }
}
