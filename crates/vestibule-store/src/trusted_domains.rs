//! Trusted domains: where the tenant's own apps live, with wildcards, as the operator wrote them. They are configuration:
//! whoever writes them adds [`TenantUnit::configuration_changed`] to the unit, as for clients.

use crate::db::DbError;
use crate::{TenantStore, TenantUnit, values};

crate::statements! {
    LIST: hot = "SELECT base_url FROM trusted_domains WHERE tenant_id = $1 ORDER BY base_url LIMIT $2";
    INSERT: hot = "INSERT INTO trusted_domains (tenant_id, base_url) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    REMOVE: hot = "DELETE FROM trusted_domains WHERE tenant_id = $1 AND base_url = $2";
    REMOVE_ALL: hot = "DELETE FROM trusted_domains WHERE tenant_id = $1";
}

/// The most trusted domains that a tenant's list gives.
pub const TRUSTED_DOMAINS_LIST_MAX: u32 = 1000;

impl TenantStore<'_> {
    /// The tenant's trusted domains, in the order of their texts.
    pub async fn trusted_domains(&self) -> Result<Vec<String>, DbError> {
        let rows = self
            .db
            .query(
                &LIST,
                &values![self.tenant.bytes(), TRUSTED_DOMAINS_LIST_MAX],
            )
            .await?;
        rows.iter()
            .map(|row| row.text(0).map(str::to_owned))
            .collect()
    }
}

impl TenantUnit {
    /// Adds a trusted domain. Lost when it is there already.
    #[must_use]
    pub fn insert_trusted_domain(self, base_url: &str) -> Self {
        let tenant = self.id();
        self.expect(&INSERT, values![tenant, base_url])
    }

    /// Removes a trusted domain.
    #[must_use]
    pub fn remove_trusted_domain(self, base_url: &str) -> Self {
        let tenant = self.id();
        self.expect(&REMOVE, values![tenant, base_url])
    }
}
