//! API keys: what an app or a server shows to a tenant's management and broker APIs.

use crate::id::ApiKeyId;
use crate::secret::SecretDigest;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a key opens. Each tier opens what the ones before it open.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum KeyTier {
    /// It names an app and proves nothing: it stands in browsers and in addresses.
    Publishable,
    /// A server of the tenant.
    Secret,
    /// The tenant's administration.
    Admin,
}

impl KeyTier {
    /// The tier as stored and written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publishable => "publishable",
            Self::Secret => "secret",
            Self::Admin => "admin",
        }
    }
}

/// A key of a tenant. The key itself is never stored.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its record.
    pub id: ApiKeyId,
    /// Its name for people, unique in the tenant.
    pub name: String,
    /// What it opens.
    pub tier: KeyTier,
    /// The digest of the key ([`SecretDigest::of_client_secret`]).
    pub digest: SecretDigest,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; never when absent.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it opens anything at that time.
    pub fn stands(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}
