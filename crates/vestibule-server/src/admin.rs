//! What an operator can do: the installation file, and one action for each thing that the command line offers.
//!
//! Every change of configuration goes one way: a document ([`document`]) is compared with the records ([`plan`]) and written as
//! one unit ([`apply`]). An action that creates or changes one thing is a document with one thing in it, so that no rule is
//! written twice. The running server takes actions over a socket ([`socket`]); without one a command performs them itself.

pub(crate) mod actions;
pub(crate) mod apply;
pub(crate) mod document;
pub(crate) mod plan;
pub(crate) mod secrets;
pub(crate) mod socket;

use crate::http::context::Shared;
use actions::ActionError;
use apply::Options;
use document::Read;
use plan::Scope;
use std::path::Path;
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_core::time::{Lifetime, Timestamp};
use vestibule_store::db::DbError;

/// How long a set-up link can be used.
const SET_UP_LIFETIME: Lifetime = Lifetime::hours(24);

/// Makes the tenant `default` if there is none, at the start of a server.
pub(crate) async fn ensure_default_tenant(shared: &Shared) -> Result<(), ActionError> {
    apply::apply(shared, Read::default(), NAMED).await.map(drop)
}

/// A link that creates the operator.
pub(crate) struct SetUpLink {
    /// Its address.
    pub(crate) address: String,
    /// When it ends.
    pub(crate) expires_at: Timestamp,
}

/// Makes a set-up link, which replaces the one before; none once the operator was created.
pub(crate) async fn set_up_link(shared: &Shared) -> Result<Option<SetUpLink>, DbError> {
    let now = shared.now();
    let handle = Handle::mint(HandleKind::SetUp, now, &shared.chance);
    let expires_at = now.plus(SET_UP_LIFETIME);
    if !shared.store.offer_set_up(&handle, expires_at).await?.won() {
        return Ok(None);
    }
    let path = format!("/setup/{}", handle.reveal().reveal());
    Ok(Some(SetUpLink {
        address: shared.public_url.join(&path),
        expires_at,
    }))
}

/// Applies the installation file at a path, and says what changed. Secrets and keys that were made are in the text.
pub(crate) async fn apply_file(shared: &Shared, path: &Path) -> Result<String, ActionError> {
    let text = secrets::read_document(path)
        .map_err(|error| ActionError::usage(format!("{}: {error}", path.display())))?;
    apply_in(shared, &text, path.parent().unwrap_or(Path::new("."))).await
}

/// Applies an installation that is given as text.
pub(crate) async fn apply_text(shared: &Shared, text: &str) -> Result<String, ActionError> {
    apply_in(shared, text, Path::new(".")).await
}

/// What is not named stays, and everything is written.
const NAMED: Options = Options {
    scope: Scope::Named,
    dry_run: false,
};

async fn apply_in(shared: &Shared, text: &str, folder: &Path) -> Result<String, ActionError> {
    let secrets = document::parse_toml(text)
        .map(|root| secrets::resolve(&root, folder))
        .unwrap_or_default();
    apply::apply(shared, document::read(text, &secrets), NAMED)
        .await
        .map(|applied| apply::report(&applied.to_json()))
}

#[cfg(test)]
mod tests;
