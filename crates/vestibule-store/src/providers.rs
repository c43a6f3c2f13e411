//! Upstream providers: settings as JSON, and their secrets sealed. They are configuration: whoever writes them adds
//! [`TenantUnit::configuration_changed`] to the unit, as for clients.

use crate::db::{DbError, Row, Sql};
use crate::{TenantStore, TenantUnit, json, to_json, values};
use vestibule_core::relying_party::provider::{ProviderId, ProviderSettings};
use vestibule_core::time::Timestamp;

crate::statements! {
    FIND: hot = "SELECT settings, sealed, created_at, updated_at FROM providers WHERE tenant_id = $1 AND id = $2";
    LIST: hot = "SELECT settings, sealed, created_at, updated_at FROM providers WHERE tenant_id = $1 ORDER BY id LIMIT $2";
    UPSERT: hot = "INSERT INTO providers (tenant_id, id, settings, sealed, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
        ON CONFLICT (tenant_id, id) DO UPDATE SET settings = excluded.settings, sealed = excluded.sealed, updated_at = excluded.updated_at";
    REMOVE: hot = "DELETE FROM providers WHERE tenant_id = $1 AND id = $2";
    REMOVE_ALL: hot = "DELETE FROM providers WHERE tenant_id = $1";
}

/// The most providers that a tenant's list gives.
pub const PROVIDERS_LIST_MAX: u32 = 500;

/// A provider's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderRecord {
    /// What the operator wrote.
    pub settings: ProviderSettings,
    /// Our secret there, sealed under the root key; none for a provider that takes none.
    pub sealed_secret: Option<Vec<u8>>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn read(row: &Row, sql: &Sql) -> Result<ProviderRecord, DbError> {
    Ok(ProviderRecord {
        settings: json(row, 0, sql, "settings")?,
        sealed_secret: row.opt_blob(1)?.map(<[u8]>::to_vec),
        created_at: Timestamp::from_seconds(row.int(2)?),
        updated_at: Timestamp::from_seconds(row.int(3)?),
    })
}

impl TenantStore<'_> {
    /// A provider by its id.
    pub async fn provider(&self, id: &ProviderId) -> Result<Option<ProviderRecord>, DbError> {
        let row = self
            .db
            .query_one(&FIND, &values![self.tenant.bytes(), id.as_str()])
            .await?;
        row.as_ref().map(|row| read(row, &FIND)).transpose()
    }

    /// The tenant's providers, in the order of their ids.
    pub async fn providers(&self) -> Result<Vec<ProviderRecord>, DbError> {
        let rows = self
            .db
            .query(&LIST, &values![self.tenant.bytes(), PROVIDERS_LIST_MAX])
            .await?;
        rows.iter().map(|row| read(row, &LIST)).collect()
    }
}

impl TenantUnit {
    /// Adds or replaces a provider, its secret included: to keep the secret, hand in the bytes that were read.
    #[must_use]
    pub fn upsert_provider(
        self,
        settings: &ProviderSettings,
        sealed_secret: Option<&[u8]>,
        now: Timestamp,
    ) -> Self {
        let (tenant, text) = (self.id(), to_json(settings));
        self.expect(
            &UPSERT,
            values![
                tenant,
                settings.id.as_str(),
                text,
                sealed_secret,
                now.seconds()
            ],
        )
    }

    /// Removes a provider. Accounts that were linked through it stay, since their people did not ask to lose them: they sign
    /// nobody in while it is gone, and count again when a provider of that id is back.
    #[must_use]
    pub fn remove_provider(self, id: &ProviderId) -> Self {
        let tenant = self.id();
        self.expect(&REMOVE, values![tenant, id.as_str()])
    }

    /// Removes everything that the tenant's broker keeps, for the removal of the tenant. Rows that live briefly are swept as
    /// they expire.
    #[must_use]
    pub(crate) fn remove_broker_records(self) -> Self {
        let tenant = self.id();
        self.run(&REMOVE_ALL, values![tenant])
            .run(&crate::api_keys::REMOVE_ALL, values![tenant])
            .run(&crate::trusted_domains::REMOVE_ALL, values![tenant])
            .run(&crate::accounts::REMOVE_ALL, values![tenant])
    }
}
