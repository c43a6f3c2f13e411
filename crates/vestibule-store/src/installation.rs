//! What there is once in an installation: the check of its root key, the version of its configuration, the set-up link.

use crate::db::{DbError, Row};
use crate::{Committed, Store, TenantUnit, values};
use vestibule_core::id::TenantId;
use vestibule_core::secret::{Handle, SecretDigest};
use vestibule_core::time::Timestamp;

crate::statements! {
    FIND: hot = "SELECT key_check, version, set_up_id, set_up_digest, set_up_expires_at, set_up_at FROM installation WHERE id = 1";
    INSERT = "INSERT INTO installation (id, key_check, version) VALUES (1, $1, 0) ON CONFLICT (id) DO NOTHING";
    VERSION: hot = "SELECT version FROM installation WHERE id = 1";
    BUMP: hot = "UPDATE installation SET version = version + 1 WHERE id = 1";
    INSERT_CHANGE: hot = "INSERT INTO changes (version, tenant_id, changed_at) SELECT version, $1, $2 FROM installation WHERE id = 1";
    LIST_CHANGES: hot = "SELECT version, tenant_id FROM changes WHERE version > $1 ORDER BY version LIMIT 1000";
    REMOVE_CHANGES = "DELETE FROM changes WHERE changed_at < $1";
    OFFER_SET_UP: hot = "UPDATE installation SET set_up_id = $1, set_up_digest = $2, set_up_expires_at = $3 WHERE id = 1 AND set_up_at IS NULL";
    COMPLETE_SET_UP: hot = "UPDATE installation SET set_up_at = $1, set_up_digest = NULL
        WHERE id = 1 AND set_up_at IS NULL AND set_up_id = $2 AND set_up_expires_at > $1";
}

/// The one row.
#[derive(Clone, Debug)]
pub struct Installation {
    /// What the root key makes of a constant: another root key is refused at start.
    pub key_check: [u8; 32],
    /// The version of the configuration; every change of it adds one.
    pub version: i64,
    /// The set-up link that is open, if any: its id, digest and end.
    pub set_up: Option<([u8; 16], SecretDigest, Timestamp)>,
    /// When the operator was created; after that no link opens.
    pub set_up_at: Option<Timestamp>,
}

impl Store {
    /// The installation, made with this key check when there is none.
    pub async fn installation(&self, key_check: &[u8; 32]) -> Result<Installation, DbError> {
        self.db
            .commit(crate::db::Unit::new().run(&INSERT, values![key_check]))
            .await?;
        self.any_installation().await
    }

    /// The installation as it is now.
    pub async fn any_installation(&self) -> Result<Installation, DbError> {
        let row = self.db.query_one(&FIND, &[]).await?;
        let row =
            row.ok_or_else(|| crate::corrupt(&FIND, "id", "the installation's row is missing"))?;
        read(&row)
    }

    /// The version of the configuration.
    pub async fn configuration_version(&self) -> Result<i64, DbError> {
        self.db
            .query_one(&VERSION, &[])
            .await?
            .map_or(Ok(0), |row| row.int(0))
    }

    /// The tenants whose configuration changed after a version, and the version that this brings one to.
    pub async fn any_changes_after(&self, version: i64) -> Result<Vec<(i64, TenantId)>, DbError> {
        let rows = self.db.query(&LIST_CHANGES, &values![version]).await?;
        rows.iter()
            .map(|row| Ok((row.int(0)?, TenantId::from_bytes(row.id(1)?))))
            .collect()
    }

    /// Forgets changes that every node has long seen.
    pub async fn any_forget_changes(&self, before: Timestamp) -> Result<(), DbError> {
        self.db
            .commit(crate::db::Unit::new().run(&REMOVE_CHANGES, values![before.seconds()]))
            .await
            .map(drop)
    }

    /// Opens a set-up link, which replaces the one before. Lost when an operator was created already.
    pub async fn offer_set_up(
        &self,
        link: &Handle,
        expires_at: Timestamp,
    ) -> Result<Committed, DbError> {
        let unit = crate::db::Unit::new().expect(
            &OFFER_SET_UP,
            1,
            values![link.id(), link.digest().bytes(), expires_at.seconds()],
        );
        Ok(match self.db.commit(unit).await? {
            crate::db::Outcome::Committed(_) => Committed::Yes,
            crate::db::Outcome::Lost { .. } => Committed::Lost,
        })
    }
}

fn read(row: &Row) -> Result<Installation, DbError> {
    let set_up = match (row.opt_id(2)?, row.opt_digest(3)?, row.opt_int(4)?) {
        (Some(id), Some(digest), Some(at)) => Some((
            id,
            SecretDigest::from_bytes(digest),
            Timestamp::from_seconds(at),
        )),
        _ => None,
    };
    Ok(Installation {
        key_check: row.digest(0)?,
        version: row.int(1)?,
        set_up,
        set_up_at: row.opt_int(5)?.map(Timestamp::from_seconds),
    })
}

impl TenantUnit {
    /// Says that this tenant's configuration changed: every node drops what it cached of it.
    #[must_use]
    pub fn configuration_changed(mut self, now: Timestamp) -> Self {
        let tenant = self.id();
        self.unit = self
            .unit
            .expect(&BUMP, 1, [])
            .expect(&INSERT_CHANGE, 1, values![tenant, now.seconds()])
            .announce();
        self
    }

    /// Closes the set-up link for good; once only.
    #[must_use]
    pub fn complete_set_up(self, link_id: &[u8; 16], now: Timestamp) -> Self {
        self.expect(&COMPLETE_SET_UP, values![now.seconds(), link_id])
    }
}
