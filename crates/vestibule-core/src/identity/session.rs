//! A signed-in browser.

use super::acr::{Acr, Amr};
use crate::id::{SessionId, UserId};
use crate::time::Timestamp;

/// A browser in which a person is signed in; valid when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its record; its text is the `sid` of tokens.
    pub id: SessionId,
    /// Who.
    pub user_id: UserId,
    /// When the person last actively proved who they are (OpenID Connect Core, 2: `auth_time`).
    pub auth_time: Timestamp,
    /// How strongly.
    pub acr: Acr,
    /// By which means.
    pub amr: Vec<Amr>,
    /// When the browser last used it, to within a few minutes.
    pub used_at: Timestamp,
    /// When it ends whatever happens.
    pub expires_at: Timestamp,
}
