//! Clients: metadata as JSON, and the digests of their secrets.

use crate::db::{DbError, Row};
use crate::{TenantStore, TenantUnit, corrupt, json, to_json, values};
use vestibule_core::oauth::client::ClientMetadata;
use vestibule_core::secret::SecretDigest;
use vestibule_core::time::Timestamp;

crate::statements! {
    FIND: hot = "SELECT metadata, secrets, created_at, updated_at FROM clients WHERE tenant_id = $1 AND id = $2";
    LIST: hot = "SELECT metadata, secrets, created_at, updated_at FROM clients WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    INSERT: hot = "INSERT INTO clients (tenant_id, id, metadata, secrets, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING";
    UPDATE: hot = "UPDATE clients SET metadata = $3, secrets = $4, updated_at = $5 WHERE tenant_id = $1 AND id = $2";
    REMOVE: hot = "DELETE FROM clients WHERE tenant_id = $1 AND id = $2";
}

/// The most clients of one page.
pub const CLIENTS_PAGE_MAX: u32 = 500;

/// A client's record.
#[derive(Clone, Debug)]
pub struct ClientRecord {
    /// What the operator wrote.
    pub metadata: ClientMetadata,
    /// The digests of its secrets; several while one is replaced.
    pub secrets: Vec<SecretDigest>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn read(row: &Row) -> Result<ClientRecord, DbError> {
    let secrets = row
        .blob(1)?
        .chunks(32)
        .map(|chunk| chunk.try_into().map(SecretDigest::from_bytes))
        .collect::<Result<_, _>>()
        .map_err(|_| corrupt(&FIND, "secrets", "not a multiple of 32 bytes"))?;
    Ok(ClientRecord {
        metadata: json(row, 0, &FIND, "metadata")?,
        secrets,
        created_at: Timestamp::from_seconds(row.int(2)?),
        updated_at: Timestamp::from_seconds(row.int(3)?),
    })
}

fn digests(secrets: &[SecretDigest]) -> Vec<u8> {
    secrets.iter().flat_map(|secret| *secret.bytes()).collect()
}

impl TenantStore<'_> {
    /// A client by its id.
    pub async fn client(&self, id: &str) -> Result<Option<ClientRecord>, DbError> {
        self.db
            .query_one(&FIND, &values![self.tenant.bytes(), id])
            .await?
            .as_ref()
            .map(read)
            .transpose()
    }

    /// Clients in the order of their ids, after one.
    pub async fn clients_after(&self, id: &str) -> Result<Vec<ClientRecord>, DbError> {
        self.db
            .query(&LIST, &values![self.tenant.bytes(), id, CLIENTS_PAGE_MAX])
            .await?
            .iter()
            .map(read)
            .collect()
    }
}

impl TenantUnit {
    /// Adds a client. Lost when its id is taken.
    #[must_use]
    pub fn insert_client(
        self,
        metadata: &ClientMetadata,
        secrets: &[SecretDigest],
        now: Timestamp,
    ) -> Self {
        let tenant = self.id();
        let (id, text) = (&metadata.client_id, to_json(metadata));
        self.expect(
            &INSERT,
            values![tenant, id, text, digests(secrets), now.seconds()],
        )
    }

    /// Replaces a client's metadata and secrets.
    #[must_use]
    pub fn update_client(
        self,
        metadata: &ClientMetadata,
        secrets: &[SecretDigest],
        now: Timestamp,
    ) -> Self {
        let tenant = self.id();
        let (id, text) = (&metadata.client_id, to_json(metadata));
        self.expect(
            &UPDATE,
            values![tenant, id, text, digests(secrets), now.seconds()],
        )
    }

    /// Removes a client; its tokens stop counting at once, since their client is gone.
    #[must_use]
    pub fn remove_client(self, id: &str) -> Self {
        let tenant = self.id();
        self.expect(&REMOVE, values![tenant, id])
    }
}
