//! Docs sites: settings as JSON, and their clients' secrets sealed. They are configuration: whoever writes them adds
//! [`TenantUnit::configuration_changed`] to the unit, as for clients.

use crate::db::{DbError, Row, Sql};
use crate::{Store, TenantStore, TenantUnit, json, to_json, values};
use vestibule_core::docs::site::{DocsSite, DocsSiteSettings};
use vestibule_core::id::TenantId;
use vestibule_core::time::Timestamp;

crate::statements! {
    LIST: hot = "SELECT settings, sealed, created_at, updated_at FROM docs_sites WHERE tenant_id = $1 ORDER BY name LIMIT $2";
    FIND_BY_HOST: hot = "SELECT settings, sealed, created_at, updated_at, tenant_id FROM docs_sites WHERE host = $1";
    LIST_LISTENING = "SELECT settings, sealed, created_at, updated_at, tenant_id FROM docs_sites WHERE listen IS NOT NULL ORDER BY host";
    UPSERT: hot = "INSERT INTO docs_sites (tenant_id, name, host, listen, settings, sealed, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
        ON CONFLICT (tenant_id, name) DO UPDATE SET host = excluded.host, listen = excluded.listen, settings = excluded.settings, sealed = excluded.sealed, updated_at = excluded.updated_at";
    REMOVE: hot = "DELETE FROM docs_sites WHERE tenant_id = $1 AND name = $2";
    REMOVE_ALL: hot = "DELETE FROM docs_sites WHERE tenant_id = $1";
}

/// The most docs sites that a tenant has.
pub const DOCS_SITES_LIST_MAX: u32 = 100;

/// A docs site's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocsSiteRecord {
    /// What the operator wrote.
    pub settings: DocsSiteSettings,
    /// The client's secret, sealed under the root key; none for a public client.
    pub sealed_secret: Option<Vec<u8>>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn read(row: &Row, sql: &Sql) -> Result<DocsSiteRecord, DbError> {
    Ok(DocsSiteRecord {
        settings: json(row, 0, sql, "settings")?,
        sealed_secret: row.opt_blob(1)?.map(<[u8]>::to_vec),
        created_at: Timestamp::from_seconds(row.int(2)?),
        updated_at: Timestamp::from_seconds(row.int(3)?),
    })
}

fn read_any(row: &Row, sql: &Sql) -> Result<(TenantId, DocsSiteRecord), DbError> {
    Ok((TenantId::from_bytes(row.id(4)?), read(row, sql)?))
}

impl Store {
    /// The docs site that answers on a host, and its tenant.
    pub async fn any_docs_site_by_host(
        &self,
        host: &str,
    ) -> Result<Option<(TenantId, DocsSiteRecord)>, DbError> {
        let row = self.db.query_one(&FIND_BY_HOST, &values![host]).await?;
        row.as_ref()
            .map(|row| read_any(row, &FIND_BY_HOST))
            .transpose()
    }

    /// The docs sites that have a listener of their own, and their tenants.
    pub async fn any_listening_docs_sites(
        &self,
    ) -> Result<Vec<(TenantId, DocsSiteRecord)>, DbError> {
        let rows = self.db.query(&LIST_LISTENING, &values![]).await?;
        rows.iter()
            .map(|row| read_any(row, &LIST_LISTENING))
            .collect()
    }
}

impl TenantStore<'_> {
    /// The tenant's docs sites, in the order of their names.
    pub async fn docs_sites(&self) -> Result<Vec<DocsSiteRecord>, DbError> {
        let rows = self
            .db
            .query(&LIST, &values![self.tenant.bytes(), DOCS_SITES_LIST_MAX])
            .await?;
        rows.iter().map(|row| read(row, &LIST)).collect()
    }
}

impl TenantUnit {
    /// Adds or replaces a docs site, its secret included: to keep the secret, hand in the bytes that were read. `site` is what
    /// `settings` say. The unit fails when another site answers on that host.
    #[must_use]
    pub fn upsert_docs_site(
        self,
        site: &DocsSite,
        settings: &DocsSiteSettings,
        sealed_secret: Option<&[u8]>,
        now: Timestamp,
    ) -> Self {
        let (tenant, text) = (self.id(), to_json(settings));
        self.expect(
            &UPSERT,
            values![
                tenant,
                site.name.as_str(),
                site.address.host.as_str(),
                settings.listen.as_deref(),
                text,
                sealed_secret,
                now.seconds()
            ],
        )
    }

    /// Removes a docs site, and with it what is known of its readers.
    #[must_use]
    pub fn remove_docs_site(self, name: &str) -> Self {
        let tenant = self.id();
        self.expect(&REMOVE, values![tenant, name])
            .remove_readers_of(name)
    }

    /// Removes every docs site, for the removal of the tenant. Reader sessions are swept as they expire.
    #[must_use]
    pub(crate) fn remove_docs_records(self) -> Self {
        let tenant = self.id();
        self.run(&REMOVE_ALL, values![tenant])
    }
}
