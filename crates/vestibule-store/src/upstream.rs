//! Requests that are on their way through an upstream provider: each is found by the `state` that we sent, and used once.

use crate::db::DbError;
use crate::{TenantStore, TenantUnit, values};
use vestibule_core::id::UpstreamRequestId;
use vestibule_core::secret::{Handle, SecretDigest};
use vestibule_core::time::Timestamp;

crate::statements! {
    FIND: hot = "SELECT digest, sealed, expires_at, used_at FROM upstream_requests WHERE tenant_id = $1 AND id = $2";
    INSERT: hot = "INSERT INTO upstream_requests (tenant_id, id, digest, sealed, expires_at) VALUES ($1, $2, $3, $4, $5)";
    MARK_USED: hot = "UPDATE upstream_requests SET used_at = $3 WHERE tenant_id = $1 AND id = $2 AND used_at IS NULL AND expires_at > $3";
}

/// A request to a provider, as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRequest {
    /// Its id.
    pub id: UpstreamRequestId,
    /// What it was made for, sealed under the root key.
    pub sealed: Vec<u8>,
    /// When it ends; an ended one is kept for a while, so that a late person is told what happened.
    pub expires_at: Timestamp,
    /// When its answer came: a second answer is a replay (T05).
    pub used_at: Option<Timestamp>,
}

impl TenantStore<'_> {
    /// The request behind a `state`, if the handle is right, whether it is used or over.
    pub async fn upstream_request(
        &self,
        handle: &Handle,
    ) -> Result<Option<UpstreamRequest>, DbError> {
        let row = self
            .db
            .query_one(&FIND, &values![self.tenant.bytes(), handle.id()])
            .await?;
        let Some(row) = row else { return Ok(None) };
        if !SecretDigest::from_bytes(row.digest(0)?).matches(&handle.digest()) {
            return Ok(None);
        }
        Ok(Some(UpstreamRequest {
            id: UpstreamRequestId::from_bytes(*handle.id()),
            sealed: row.blob(1)?.to_vec(),
            expires_at: Timestamp::from_seconds(row.int(2)?),
            used_at: row.opt_int(3)?.map(Timestamp::from_seconds),
        }))
    }
}

impl TenantUnit {
    /// Adds a request; `handle` is the `state` that is sent to the provider.
    #[must_use]
    pub fn insert_upstream_request(
        self,
        handle: &Handle,
        sealed: &[u8],
        expires_at: Timestamp,
    ) -> Self {
        let tenant = self.id();
        self.expect(
            &INSERT,
            values![
                tenant,
                handle.id(),
                handle.digest().bytes(),
                sealed,
                expires_at.seconds()
            ],
        )
    }

    /// Uses a request, once, before it ends: of two answers at the same instant one loses its unit.
    #[must_use]
    pub fn mark_upstream_request_used(self, id: UpstreamRequestId, now: Timestamp) -> Self {
        let tenant = self.id();
        self.expect(&MARK_USED, values![tenant, id.bytes(), now.seconds()])
    }
}
