//! Connected accounts: the links between a person here and an upstream identity.

use crate::id::{AccountId, UserId};
use crate::relying_party::provider::{ProviderId, UpstreamGrant};
use crate::time::Timestamp;

/// The longest subject that is accepted from a provider, in bytes (OpenID Connect Core, 2: 255 ASCII characters; others are longer).
pub const SUBJECT_BYTES_MAX: usize = 512;

/// Whether a text can be somebody's id at a provider: it has a length, an end, and nothing that no text column keeps.
pub fn is_subject(text: &str) -> bool {
    (1..=SUBJECT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// A person's link to an upstream identity. One upstream identity belongs to one person at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectedAccount {
    /// Its record.
    pub id: AccountId,
    /// The person.
    pub user_id: UserId,
    /// The provider.
    pub provider_id: ProviderId,
    /// The person's stable id at the provider.
    pub subject: String,
    /// The address that the provider told last.
    pub email: Option<String>,
    /// Whether the person may sign in with it.
    pub sign_in: bool,
    /// Whether apps may ask for the provider's tokens of it.
    pub connected: bool,
    /// What the provider's tokens are good for; none when it gave none.
    pub grant: Option<UpstreamGrant>,
    /// When it was linked.
    pub created_at: Timestamp,
    /// When the provider last spoke of it.
    pub updated_at: Timestamp,
}
