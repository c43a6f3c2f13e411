//! Command lines' sign-ins: one polls, a browser completes, and the result is handed out once.
//!
//! Both handles of an attempt have its id and a secret of their own: whoever holds one holds nothing of the other.

use crate::db::{DbError, Row};
use crate::{TenantStore, TenantUnit, corrupt, values};
use vestibule_core::id::{Chance, CliAttemptId, UserId};
use vestibule_core::secret::{Handle, HandleKind, SecretDigest};
use vestibule_core::time::Timestamp;

crate::statements! {
    FIND: hot = "SELECT polling_digest, login_digest, user_id, sealed, expires_at, completed_at, used_at FROM cli_attempts WHERE tenant_id = $1 AND id = $2";
    INSERT: hot = "INSERT INTO cli_attempts (tenant_id, id, polling_digest, login_digest, expires_at) VALUES ($1, $2, $3, $4, $5)";
    MARK_COMPLETED: hot = "UPDATE cli_attempts SET completed_at = $5, user_id = $3, sealed = $4
        WHERE tenant_id = $1 AND id = $2 AND completed_at IS NULL AND expires_at > $5
        AND EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = $1 AND u.id = $3 AND u.disabled_at IS NULL)";
    MARK_USED: hot = "UPDATE cli_attempts SET used_at = $3, sealed = NULL
        WHERE tenant_id = $1 AND id = $2 AND completed_at IS NOT NULL AND used_at IS NULL AND expires_at > $3
        AND EXISTS (SELECT 1 FROM users u WHERE u.tenant_id = $1 AND u.id = cli_attempts.user_id AND u.disabled_at IS NULL)";
}

/// The two handles of a new attempt. Only here are they made, so that one row is found by either.
#[derive(Clone, Debug)]
pub struct CliHandles {
    polling: Handle,
    login: Handle,
}

impl CliHandles {
    /// New handles of one id, each with a secret of its own.
    pub fn mint(now: Timestamp, chance: &dyn Chance) -> Self {
        let polling = Handle::mint(HandleKind::CliPolling, now, chance);
        let login = Handle::renew(HandleKind::CliLogin, *polling.id(), chance);
        Self { polling, login }
    }

    /// What the command line polls with.
    pub const fn polling(&self) -> &Handle {
        &self.polling
    }

    /// What a browser completes it with.
    pub const fn login(&self) -> &Handle {
        &self.login
    }
}

/// A command line's sign-in, as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliAttempt {
    /// Its id.
    pub id: CliAttemptId,
    /// When it ends; an ended one is kept for a while, so that the command line is told so.
    pub expires_at: Timestamp,
    /// How far it is.
    pub stage: CliStage,
}

/// How far a command line's sign-in is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CliStage {
    /// Nobody has signed in.
    Waiting,
    /// A person has signed in, and the command line was not told yet.
    Completed {
        /// The person.
        user_id: UserId,
        /// What the command line gets, sealed under the root key.
        sealed: Vec<u8>,
    },
    /// The command line got its result, which is no longer kept.
    Used {
        /// The person.
        user_id: UserId,
    },
}

fn read(row: &Row, id: [u8; 16]) -> Result<CliAttempt, DbError> {
    let user_id = row.opt_id(2)?.map(UserId::from_bytes);
    let sealed = row.opt_blob(3)?.map(<[u8]>::to_vec);
    let stage = match (row.opt_int(5)?, row.opt_int(6)?, user_id, sealed) {
        (None, None, None, None) => CliStage::Waiting,
        (Some(_), None, Some(user_id), Some(sealed)) => CliStage::Completed { user_id, sealed },
        (Some(_), Some(_), Some(user_id), None) => CliStage::Used { user_id },
        _ => {
            return Err(corrupt(
                &FIND,
                "completed_at",
                "does not fit the other columns",
            ));
        }
    };
    Ok(CliAttempt {
        id: CliAttemptId::from_bytes(id),
        expires_at: Timestamp::from_seconds(row.int(4)?),
        stage,
    })
}

impl TenantStore<'_> {
    /// The attempt behind what a command line polls with, if the handle is right.
    pub async fn cli_attempt_by_polling(
        &self,
        handle: &Handle,
    ) -> Result<Option<CliAttempt>, DbError> {
        self.cli_attempt(handle, 0).await
    }

    /// The attempt behind what a browser completes it with, if the handle is right.
    pub async fn cli_attempt_by_login(
        &self,
        handle: &Handle,
    ) -> Result<Option<CliAttempt>, DbError> {
        self.cli_attempt(handle, 1).await
    }

    /// The digest tells the kinds apart, so each kind is held against its own column.
    async fn cli_attempt(
        &self,
        handle: &Handle,
        digest_column: usize,
    ) -> Result<Option<CliAttempt>, DbError> {
        let row = self
            .db
            .query_one(&FIND, &values![self.tenant.bytes(), handle.id()])
            .await?;
        let Some(row) = row else { return Ok(None) };
        if SecretDigest::from_bytes(row.digest(digest_column)?).matches(&handle.digest()) {
            read(&row, *handle.id()).map(Some)
        } else {
            Ok(None)
        }
    }
}

impl TenantUnit {
    /// Adds an attempt.
    #[must_use]
    pub fn insert_cli_attempt(self, handles: &CliHandles, expires_at: Timestamp) -> Self {
        let tenant = self.id();
        self.expect(
            &INSERT,
            values![
                tenant,
                handles.polling.id(),
                handles.polling.digest().bytes(),
                handles.login.digest().bytes(),
                expires_at.seconds()
            ],
        )
    }

    /// Notes who signed in and what the command line gets, once, before the attempt ends. Lost when the person is gone or disabled.
    #[must_use]
    pub fn mark_cli_attempt_completed(
        self,
        id: CliAttemptId,
        user_id: UserId,
        sealed: &[u8],
        now: Timestamp,
    ) -> Self {
        let tenant = self.id();
        self.expect(
            &MARK_COMPLETED,
            values![tenant, id.bytes(), user_id.bytes(), sealed, now.seconds()],
        )
    }

    /// Notes that the command line got its result, once, and forgets the result: what was read before is handed out only if this
    /// unit wins. Lost when the attempt is over, or the person is gone or disabled.
    #[must_use]
    pub fn mark_cli_attempt_used(self, id: CliAttemptId, now: Timestamp) -> Self {
        let tenant = self.id();
        self.expect(&MARK_USED, values![tenant, id.bytes(), now.seconds()])
    }
}
