//! Who reads a docs site: what its Info API told of a reader, sealed, under a handle that the reader's browser holds.

use crate::db::DbError;
use crate::{TenantStore, TenantUnit, values};
use vestibule_core::id::ReaderSessionId;
use vestibule_core::secret::{Handle, SecretDigest};
use vestibule_core::time::Timestamp;

crate::statements! {
    FIND: hot = "SELECT digest, site, sealed, expires_at FROM reader_sessions WHERE tenant_id = $1 AND id = $2";
    INSERT: hot = "INSERT INTO reader_sessions (tenant_id, id, digest, site, sealed, expires_at) VALUES ($1, $2, $3, $4, $5, $6)";
    REMOVE: hot = "DELETE FROM reader_sessions WHERE tenant_id = $1 AND id = $2";
    REMOVE_OF_SITE = "DELETE FROM reader_sessions WHERE tenant_id = $1 AND site = $2";
}

/// A reader's session, as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderSessionRecord {
    /// Its id.
    pub id: ReaderSessionId,
    /// The name of the site that it is good for.
    pub site: String,
    /// What is known of the reader, sealed under the root key.
    pub sealed: Vec<u8>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl TenantStore<'_> {
    /// The session behind a handle, if the handle is right and the session has not ended.
    pub async fn reader_session(
        &self,
        handle: &Handle,
        now: Timestamp,
    ) -> Result<Option<ReaderSessionRecord>, DbError> {
        let row = self
            .db
            .query_one(&FIND, &values![self.tenant.bytes(), handle.id()])
            .await?;
        let Some(row) = row else { return Ok(None) };
        let expires_at = Timestamp::from_seconds(row.int(3)?);
        if !SecretDigest::from_bytes(row.digest(0)?).matches(&handle.digest()) || expires_at <= now
        {
            return Ok(None);
        }
        Ok(Some(ReaderSessionRecord {
            id: ReaderSessionId::from_bytes(*handle.id()),
            site: row.text(1)?.to_owned(),
            sealed: row.blob(2)?.to_vec(),
            expires_at,
        }))
    }
}

impl TenantUnit {
    /// Adds a session.
    #[must_use]
    pub fn insert_reader_session(
        self,
        handle: &Handle,
        site: &str,
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
                site,
                sealed,
                expires_at.seconds()
            ],
        )
    }

    /// Ends a session; one that has ended already is no mistake.
    #[must_use]
    pub fn remove_reader_session(self, id: ReaderSessionId) -> Self {
        let tenant = self.id();
        self.run(&REMOVE, values![tenant, id.bytes()])
    }

    /// Ends every session of a site.
    #[must_use]
    pub(crate) fn remove_readers_of(self, site: &str) -> Self {
        let tenant = self.id();
        self.run(&REMOVE_OF_SITE, values![tenant, site])
    }
}
