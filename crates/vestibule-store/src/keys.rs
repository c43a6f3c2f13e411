//! Signing keys: sealed, one active and at most one announced for each algorithm.

use crate::db::DbError;
use crate::{TenantStore, TenantUnit, corrupt, values};
use vestibule_core::id::KeyRecordId;
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::time::Timestamp;

crate::statements! {
    LIST: hot = "SELECT id, algorithm, sealed, created_at, activated_at, retired_at FROM keys WHERE tenant_id = $1 ORDER BY id";
    INSERT: hot = "INSERT INTO keys (tenant_id, id, algorithm, sealed, created_at, activated_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    ACTIVATE: hot = "UPDATE keys SET activated_at = $3 WHERE tenant_id = $1 AND id = $2 AND activated_at IS NULL";
    RETIRE: hot = "UPDATE keys SET retired_at = $3 WHERE tenant_id = $1 AND id = $2 AND activated_at IS NOT NULL AND retired_at IS NULL";
    REMOVE: hot = "DELETE FROM keys WHERE tenant_id = $1 AND id = $2 AND retired_at IS NOT NULL";
    LIST_DUE = "SELECT DISTINCT tenant_id FROM keys WHERE (activated_at IS NULL AND created_at <= $1) OR retired_at <= $2";
}

/// A signing key's record.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// Its id.
    pub id: KeyRecordId,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The private key, sealed under the root key.
    pub sealed: Vec<u8>,
    /// When it was published.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it ceased to sign.
    pub retired_at: Option<Timestamp>,
}

impl TenantStore<'_> {
    /// Every key of the tenant.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, DbError> {
        let rows = self.db.query(&LIST, &values![self.tenant.bytes()]).await?;
        rows.iter()
            .map(|row| {
                let algorithm = Algorithm::parse(row.text(1)?);
                Ok(KeyRecord {
                    id: KeyRecordId::from_bytes(row.id(0)?),
                    algorithm: algorithm
                        .ok_or_else(|| corrupt(&LIST, "algorithm", "not a known name"))?,
                    sealed: row.blob(2)?.to_vec(),
                    created_at: Timestamp::from_seconds(row.int(3)?),
                    activated_at: row.opt_int(4)?.map(Timestamp::from_seconds),
                    retired_at: row.opt_int(5)?.map(Timestamp::from_seconds),
                })
            })
            .collect()
    }
}

impl crate::Store {
    /// The tenants with a key announced before one time, or retired before another: those that have something to do.
    pub async fn any_tenants_with_due_keys(
        &self,
        announced_before: Timestamp,
        retired_before: Timestamp,
    ) -> Result<Vec<vestibule_core::id::TenantId>, DbError> {
        let rows = self
            .db
            .query(
                &LIST_DUE,
                &values![announced_before.seconds(), retired_before.seconds()],
            )
            .await?;
        rows.iter()
            .map(|row| Ok(vestibule_core::id::TenantId::from_bytes(row.id(0)?)))
            .collect()
    }
}

impl TenantUnit {
    /// Adds a key, announced or active. Lost when the algorithm has one in that state.
    #[must_use]
    pub fn insert_key(self, key: &KeyRecord) -> Self {
        let tenant = self.id();
        let activated_at = key.activated_at.map(Timestamp::seconds);
        self.expect(
            &INSERT,
            values![
                tenant,
                key.id.bytes(),
                key.algorithm.as_str(),
                &key.sealed,
                key.created_at.seconds(),
                activated_at
            ],
        )
    }

    /// Lets an announced key sign.
    #[must_use]
    pub fn activate_key(self, id: KeyRecordId, now: Timestamp) -> Self {
        let tenant = self.id();
        self.expect(&ACTIVATE, values![tenant, id.bytes(), now.seconds()])
    }

    /// Lets an active key sign no more.
    #[must_use]
    pub fn retire_key(self, id: KeyRecordId, now: Timestamp) -> Self {
        let tenant = self.id();
        self.expect(&RETIRE, values![tenant, id.bytes(), now.seconds()])
    }

    /// Forgets a retired key.
    #[must_use]
    pub fn remove_key(self, id: KeyRecordId) -> Self {
        let tenant = self.id();
        self.expect(&REMOVE, values![tenant, id.bytes()])
    }
}
