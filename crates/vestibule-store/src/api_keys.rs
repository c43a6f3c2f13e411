//! API keys: their digests and what they open. They are configuration: whoever writes them adds
//! [`TenantUnit::configuration_changed`] to the unit, as for clients.

use crate::db::{DbError, Row, Sql};
use crate::{TenantStore, TenantUnit, corrupt, values};
use vestibule_core::id::ApiKeyId;
use vestibule_core::identity::api_key::{ApiKey, KeyTier};
use vestibule_core::secret::SecretDigest;
use vestibule_core::time::Timestamp;

crate::statements! {
    FIND_BY_NAME: hot = "SELECT id, name, tier, digest, created_at, expires_at, revoked_at FROM api_keys WHERE tenant_id = $1 AND name = $2";
    LIST: hot = "SELECT id, name, tier, digest, created_at, expires_at, revoked_at FROM api_keys WHERE tenant_id = $1 ORDER BY name LIMIT $2";
    INSERT: hot = "INSERT INTO api_keys (tenant_id, id, name, tier, digest, created_at, expires_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    REVOKE: hot = "UPDATE api_keys SET revoked_at = $3 WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL";
    REMOVE: hot = "DELETE FROM api_keys WHERE tenant_id = $1 AND id = $2";
    REMOVE_ALL: hot = "DELETE FROM api_keys WHERE tenant_id = $1";
}

/// The most keys that a tenant's list gives.
pub const API_KEYS_LIST_MAX: u32 = 1000;

fn read(row: &Row, sql: &Sql) -> Result<ApiKey, DbError> {
    Ok(ApiKey {
        id: ApiKeyId::from_bytes(row.id(0)?),
        name: row.text(1)?.to_owned(),
        tier: tier(row.text(2)?, sql)?,
        digest: SecretDigest::from_bytes(row.digest(3)?),
        created_at: Timestamp::from_seconds(row.int(4)?),
        expires_at: row.opt_int(5)?.map(Timestamp::from_seconds),
        revoked_at: row.opt_int(6)?.map(Timestamp::from_seconds),
    })
}

fn tier(text: &str, sql: &Sql) -> Result<KeyTier, DbError> {
    [KeyTier::Publishable, KeyTier::Secret, KeyTier::Admin]
        .into_iter()
        .find(|tier| tier.as_str() == text)
        .ok_or_else(|| corrupt(sql, "tier", "not a known tier"))
}

impl TenantStore<'_> {
    /// The tenant's keys in the order of their names, revoked and expired ones included.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, DbError> {
        let rows = self
            .db
            .query(&LIST, &values![self.tenant.bytes(), API_KEYS_LIST_MAX])
            .await?;
        rows.iter().map(|row| read(row, &LIST)).collect()
    }

    /// A key by its name.
    pub async fn api_key_by_name(&self, name: &str) -> Result<Option<ApiKey>, DbError> {
        let row = self
            .db
            .query_one(&FIND_BY_NAME, &values![self.tenant.bytes(), name])
            .await?;
        row.as_ref().map(|row| read(row, &FIND_BY_NAME)).transpose()
    }
}

impl TenantUnit {
    /// Adds a key. Lost when its name is taken, or when the same key stands under another name: one key opens one tier.
    #[must_use]
    pub fn insert_api_key(self, key: &ApiKey) -> Self {
        let tenant = self.id();
        self.expect(
            &INSERT,
            values![
                tenant,
                key.id.bytes(),
                &key.name,
                key.tier.as_str(),
                key.digest.bytes(),
                key.created_at.seconds(),
                key.expires_at.map(Timestamp::seconds),
                key.revoked_at.map(Timestamp::seconds),
            ],
        )
    }

    /// Revokes a key, once: the first time is kept.
    #[must_use]
    pub fn revoke_api_key(self, id: ApiKeyId, now: Timestamp) -> Self {
        let tenant = self.id();
        self.expect(&REVOKE, values![tenant, id.bytes(), now.seconds()])
    }

    /// Removes a key; its name is free again.
    #[must_use]
    pub fn remove_api_key(self, id: ApiKeyId) -> Self {
        let tenant = self.id();
        self.expect(&REMOVE, values![tenant, id.bytes()])
    }
}
