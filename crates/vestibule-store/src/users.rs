//! People and their passwords.

use crate::db::{DbError, Row, Sql};
use crate::{TenantStore, TenantUnit, json, to_json, values};
use vestibule_core::id::UserId;
use vestibule_core::identity::user::{User, identifier_key};
use vestibule_core::time::Timestamp;

crate::statements! {
    FIND: hot = "SELECT id, username, email, email_verified_at, profile, updated_at, disabled_at, operator_at FROM users WHERE tenant_id = $1 AND id = $2";
    FIND_BY_USERNAME: many = "SELECT u.id, u.username, u.email, u.email_verified_at, u.profile, u.updated_at, u.disabled_at, u.operator_at, c.secret
        FROM users u LEFT JOIN credentials c ON c.tenant_id = u.tenant_id AND c.user_id = u.id AND c.kind = 'password' WHERE u.tenant_id = $1 AND u.username_key = $2";
    FIND_BY_EMAIL: many = "SELECT u.id, u.username, u.email, u.email_verified_at, u.profile, u.updated_at, u.disabled_at, u.operator_at, c.secret
        FROM users u LEFT JOIN credentials c ON c.tenant_id = u.tenant_id AND c.user_id = u.id AND c.kind = 'password' WHERE u.tenant_id = $1 AND u.email_key = $2";
    LIST: hot = "SELECT id, username, email, email_verified_at, profile, updated_at, disabled_at, operator_at FROM users WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    INSERT: hot = "INSERT INTO users (tenant_id, id, username, username_key, email, email_key, email_verified_at, profile, created_at, updated_at, disabled_at, operator_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11) ON CONFLICT DO NOTHING";
    UPDATE: hot = "UPDATE users SET username = $3, username_key = $4, email = $5, email_key = $6, email_verified_at = CASE WHEN email_key = $6 AND email_verified_at <= $7 THEN email_verified_at ELSE $7 END, profile = $8, updated_at = $9, disabled_at = $10 WHERE tenant_id = $1 AND id = $2";
    DISABLE: hot = "UPDATE users SET disabled_at = $3, updated_at = $4 WHERE tenant_id = $1 AND id = $2";
    REMOVE: hot = "DELETE FROM users WHERE tenant_id = $1 AND id = $2";
    PASSWORD: hot = "SELECT secret FROM credentials WHERE tenant_id = $1 AND user_id = $2 AND kind = 'password'";
    UPSERT_PASSWORD: hot = "INSERT INTO credentials (tenant_id, user_id, kind, secret, updated_at)
        SELECT u.tenant_id, u.id, 'password', $3, $4 FROM users u WHERE u.tenant_id = $1 AND u.id = $2
        ON CONFLICT (tenant_id, user_id, kind) DO UPDATE SET secret = excluded.secret, updated_at = excluded.updated_at";
    UPGRADE_PASSWORD: hot = "UPDATE credentials SET secret = $4, updated_at = $5 WHERE tenant_id = $1 AND user_id = $2 AND kind = 'password' AND secret = $3";
    REMOVE_CREDENTIALS: hot = "DELETE FROM credentials WHERE tenant_id = $1 AND user_id = $2";
    REMOVE_GRANTS: hot = "DELETE FROM grants WHERE tenant_id = $1 AND user_id = $2";
    REMOVE_SESSIONS: hot = "DELETE FROM sessions WHERE tenant_id = $1 AND user_id = $2";
    REMOVE_PASSWORD: hot = "DELETE FROM credentials WHERE tenant_id = $1 AND user_id = $2 AND kind = 'password'";
    CHANGE: hot = "UPDATE users SET email = $3, email_key = $4, email_verified_at = CASE WHEN email_key = $4 AND email_verified_at <= $5 THEN email_verified_at ELSE $5 END, profile = $6, updated_at = $7
        WHERE tenant_id = $1 AND id = $2 AND profile = $8 AND COALESCE(email_key, '') = $9 AND COALESCE(email_verified_at, 0) = $10";
    SUMMARY: hot = "SELECT u.id, u.username, u.email, u.email_verified_at, u.profile, u.updated_at, u.disabled_at, u.operator_at, u.created_at,
            (SELECT MAX(s.used_at) FROM sessions s WHERE s.tenant_id = u.tenant_id AND s.user_id = u.id),
            (SELECT c.updated_at FROM credentials c WHERE c.tenant_id = u.tenant_id AND c.user_id = u.id AND c.kind = 'password')
        FROM users u WHERE u.tenant_id = $1 AND u.id = $2";
    SUMMARIES_AFTER: hot = "SELECT u.id, u.username, u.email, u.email_verified_at, u.profile, u.updated_at, u.disabled_at, u.operator_at, u.created_at,
            (SELECT MAX(s.used_at) FROM sessions s WHERE s.tenant_id = u.tenant_id AND s.user_id = u.id),
            (SELECT c.updated_at FROM credentials c WHERE c.tenant_id = u.tenant_id AND c.user_id = u.id AND c.kind = 'password')
        FROM users u WHERE u.tenant_id = $1 AND u.id > $2 ORDER BY u.id LIMIT $3";
    SUMMARIES_BEFORE: hot = "SELECT u.id, u.username, u.email, u.email_verified_at, u.profile, u.updated_at, u.disabled_at, u.operator_at, u.created_at,
            (SELECT MAX(s.used_at) FROM sessions s WHERE s.tenant_id = u.tenant_id AND s.user_id = u.id),
            (SELECT c.updated_at FROM credentials c WHERE c.tenant_id = u.tenant_id AND c.user_id = u.id AND c.kind = 'password')
        FROM users u WHERE u.tenant_id = $1 AND u.id < $2 ORDER BY u.id DESC LIMIT $3";
}

/// The most people of one page.
pub const USERS_PAGE_MAX: u32 = 500;

/// A person's record, and whether they are an operator of the installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// The person.
    pub user: User,
    /// Since when they run the installation.
    pub operator_at: Option<Timestamp>,
}

/// When what happened to a person's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserTimes {
    /// When it was made.
    pub created_at: Timestamp,
    /// When the address that it has was first known to be proved.
    pub email_verified_at: Option<Timestamp>,
    /// When the person last used a session, as far as sessions are still kept.
    pub used_at: Option<Timestamp>,
}

/// What was read of the parts of a person's record that [`TenantUnit::change_user`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenUser {
    profile: String,
    email_key: String,
    email_verified_at: i64,
}

/// A person's record and what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSummary {
    /// The record.
    pub record: UserRecord,
    /// When what happened to it.
    pub times: UserTimes,
    /// Whether the person has a password.
    pub has_password: bool,
    /// For a change that counts only if nobody else made one meanwhile.
    pub seen: SeenUser,
}

fn read_summary(row: &Row, sql: &Sql) -> Result<UserSummary, DbError> {
    let record = read(row, sql)?;
    let email_verified_at = row.opt_int(3)?;
    Ok(UserSummary {
        times: UserTimes {
            created_at: Timestamp::from_seconds(row.int(8)?),
            email_verified_at: email_verified_at.map(Timestamp::from_seconds),
            used_at: row.opt_int(9)?.map(Timestamp::from_seconds),
        },
        has_password: row.opt_int(10)?.is_some(),
        seen: SeenUser {
            profile: row.text(4)?.to_owned(),
            email_key: record
                .user
                .email
                .as_deref()
                .map(identifier_key)
                .unwrap_or_default(),
            email_verified_at: email_verified_at.unwrap_or(0),
        },
        record,
    })
}

/// Reads the eight columns that every statement above starts with.
fn read(row: &Row, sql: &Sql) -> Result<UserRecord, DbError> {
    Ok(UserRecord {
        user: read_user(row, 0, sql)?,
        operator_at: row.opt_int(7)?.map(Timestamp::from_seconds),
    })
}

/// Reads `id`, `username`, `email`, `email_verified_at`, `profile`, `updated_at`, `disabled_at` from a column on.
pub(crate) fn read_user(row: &Row, from: usize, sql: &Sql) -> Result<User, DbError> {
    Ok(User {
        id: UserId::from_bytes(row.id(from)?),
        username: row.opt_text(from + 1)?.map(str::to_owned),
        email: row.opt_text(from + 2)?.map(str::to_owned),
        email_verified: row.opt_int(from + 3)?.is_some(),
        profile: json(row, from + 4, sql, "profile")?,
        updated_at: Timestamp::from_seconds(row.int(from + 5)?),
        disabled_at: row.opt_int(from + 6)?.map(Timestamp::from_seconds),
    })
}

impl TenantStore<'_> {
    /// A person by their id.
    pub async fn user(&self, id: UserId) -> Result<Option<UserRecord>, DbError> {
        let row = self
            .db
            .query_one(&FIND, &values![self.tenant.bytes(), id.bytes()])
            .await?;
        row.as_ref().map(|row| read(row, &FIND)).transpose()
    }

    /// A person by what they type to say who they are, a user name or an e-mail address, and their password's hash.
    pub async fn user_by_identifier(
        &self,
        text: &str,
    ) -> Result<Option<(UserRecord, Option<String>)>, DbError> {
        let key = identifier_key(text);
        // A user name has no `@` and an address has one: the two never meet.
        let sql = if key.contains('@') {
            &FIND_BY_EMAIL
        } else {
            &FIND_BY_USERNAME
        };
        let row = self
            .db
            .query_one(sql, &values![self.tenant.bytes(), key])
            .await?;
        row.as_ref()
            .map(|row| Ok((read(row, sql)?, row.opt_text(8)?.map(str::to_owned))))
            .transpose()
    }

    /// A person by their e-mail address, in any case.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserRecord>, DbError> {
        let row = self
            .db
            .query_one(
                &FIND_BY_EMAIL,
                &values![self.tenant.bytes(), identifier_key(email)],
            )
            .await?;
        row.as_ref()
            .map(|row| read(row, &FIND_BY_EMAIL))
            .transpose()
    }

    /// A person's record and what stands beside it.
    pub async fn user_summary(&self, id: UserId) -> Result<Option<UserSummary>, DbError> {
        let row = self
            .db
            .query_one(&SUMMARY, &values![self.tenant.bytes(), id.bytes()])
            .await?;
        row.as_ref()
            .map(|row| read_summary(row, &SUMMARY))
            .transpose()
    }

    /// People in the order in which their records were made, after one; from the first without one.
    pub async fn user_summaries_after(
        &self,
        id: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<UserSummary>, DbError> {
        let id = id.map_or([0; 16], |id| *id.bytes());
        self.user_summaries(&SUMMARIES_AFTER, id, limit).await
    }

    /// People in the reverse of that order, before one; from the last without one.
    pub async fn user_summaries_before(
        &self,
        id: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<UserSummary>, DbError> {
        let id = id.map_or([0xff; 16], |id| *id.bytes());
        self.user_summaries(&SUMMARIES_BEFORE, id, limit).await
    }

    async fn user_summaries(
        &self,
        sql: &'static Sql,
        id: [u8; 16],
        limit: u32,
    ) -> Result<Vec<UserSummary>, DbError> {
        let limit = limit.min(USERS_PAGE_MAX);
        let rows = self
            .db
            .query(sql, &values![self.tenant.bytes(), id, limit])
            .await?;
        rows.iter().map(|row| read_summary(row, sql)).collect()
    }

    /// People in the order of their ids, after one.
    pub async fn users_after(&self, id: UserId) -> Result<Vec<UserRecord>, DbError> {
        let rows = self
            .db
            .query(
                &LIST,
                &values![self.tenant.bytes(), id.bytes(), USERS_PAGE_MAX],
            )
            .await?;
        rows.iter().map(|row| read(row, &LIST)).collect()
    }

    /// The hash of a person's password.
    pub async fn password(&self, id: UserId) -> Result<Option<String>, DbError> {
        let row = self
            .db
            .query_one(&PASSWORD, &values![self.tenant.bytes(), id.bytes()])
            .await?;
        row.map(|row| row.text(0).map(str::to_owned)).transpose()
    }
}

impl TenantUnit {
    /// Adds a person. Lost when the user name or the address is taken.
    #[must_use]
    pub fn insert_user(self, record: &UserRecord, now: Timestamp) -> Self {
        let (tenant, user) = (self.id(), &record.user);
        let keys = (
            user.username.as_deref().map(identifier_key),
            user.email.as_deref().map(identifier_key),
        );
        self.expect(
            &INSERT,
            values![
                tenant,
                user.id.bytes(),
                user.username.as_deref(),
                keys.0,
                user.email.as_deref(),
                keys.1,
                user.email_verified.then(|| now.seconds()),
                to_json(&user.profile),
                now.seconds(),
                user.disabled_at.map(Timestamp::seconds),
                record.operator_at.map(Timestamp::seconds),
            ],
        )
    }

    /// Replaces what a person's record says. A user name or address that another person has is a conflict. An address that
    /// stays and was verified before keeps the time of that.
    #[must_use]
    pub fn update_user(self, user: &User, now: Timestamp) -> Self {
        let tenant = self.id();
        let keys = (
            user.username.as_deref().map(identifier_key),
            user.email.as_deref().map(identifier_key),
        );
        self.expect(
            &UPDATE,
            values![
                tenant,
                user.id.bytes(),
                user.username.as_deref(),
                keys.0,
                user.email.as_deref(),
                keys.1,
                user.email_verified.then(|| now.seconds()),
                to_json(&user.profile),
                now.seconds(),
                user.disabled_at.map(Timestamp::seconds),
            ],
        )
    }

    /// Replaces what a person's record says about them and their address. Lost when it is no longer what was seen; an address that
    /// another person has is a conflict. A verified address that stays keeps the time of that.
    #[must_use]
    pub fn change_user(self, user: &User, seen: &SeenUser, now: Timestamp) -> Self {
        let tenant = self.id();
        self.expect(
            &CHANGE,
            values![
                tenant,
                user.id.bytes(),
                user.email.as_deref(),
                user.email.as_deref().map(identifier_key),
                user.email_verified.then(|| now.seconds()),
                to_json(&user.profile),
                now.seconds(),
                seen.profile.as_str(),
                seen.email_key.as_str(),
                seen.email_verified_at,
            ],
        )
    }

    /// Lets a person sign in no more, or again.
    #[must_use]
    pub fn disable_user(self, id: UserId, disabled_at: Option<Timestamp>, now: Timestamp) -> Self {
        let tenant = self.id();
        self.expect(
            &DISABLE,
            values![
                tenant,
                id.bytes(),
                disabled_at.map(Timestamp::seconds),
                now.seconds()
            ],
        )
    }

    /// Removes a person with their credentials, grants, sessions and connected accounts; their tokens stop counting at once.
    #[must_use]
    pub fn remove_user(self, id: UserId) -> Self {
        let tenant = self.id();
        self.expect(&REMOVE, values![tenant, id.bytes()])
            .run(&REMOVE_CREDENTIALS, values![tenant, id.bytes()])
            .run(&REMOVE_GRANTS, values![tenant, id.bytes()])
            .run(&REMOVE_SESSIONS, values![tenant, id.bytes()])
            .run(
                &crate::accounts::REMOVE_OF_USER,
                values![tenant, id.bytes()],
            )
    }

    /// Sets a person's password to this hash. Lost when the person is gone, so that no hash outlives them.
    #[must_use]
    pub fn upsert_password(self, id: UserId, hash: &str, now: Timestamp) -> Self {
        let tenant = self.id();
        self.expect(
            &UPSERT_PASSWORD,
            values![tenant, id.bytes(), hash, now.seconds()],
        )
    }

    /// Takes a person's password away.
    #[must_use]
    pub fn remove_password(self, id: UserId) -> Self {
        let tenant = self.id();
        self.run(&REMOVE_PASSWORD, values![tenant, id.bytes()])
    }

    /// Replaces a hash by one of the same password with today's parameters, unless the password was changed meanwhile.
    #[must_use]
    pub fn upgrade_password(self, id: UserId, old: &str, new: &str, now: Timestamp) -> Self {
        let tenant = self.id();
        self.run(
            &UPGRADE_PASSWORD,
            values![tenant, id.bytes(), old, new, now.seconds()],
        )
    }
}
