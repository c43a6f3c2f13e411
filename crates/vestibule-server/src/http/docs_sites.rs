//! The docs sites that are served, with the secrets of their clients opened.

use super::context::Shared;
use std::any::Any;
use std::sync::{Arc, OnceLock};
use vestibule_core::docs::site::DocsSite;
use vestibule_core::id::TenantId;
use vestibule_core::secret::Secret;
use vestibule_store::docs_sites::DocsSiteRecord;

/// A docs site as requests see it.
pub(crate) struct ServedSite {
    /// The tenant that it belongs to.
    pub(crate) tenant: TenantId,
    /// What it is.
    pub(crate) site: DocsSite,
    /// Its client's secret at its OAuth server.
    pub(crate) secret: Option<Secret>,
    /// What is kept of it while it is served as it is now.
    pub(crate) kept: Kept,
}

/// What the feature that serves a site keeps for it, such as its files in memory. It goes when the site changes.
#[derive(Default)]
pub(crate) struct Kept(OnceLock<Arc<dyn Any + Send + Sync>>);

impl Kept {
    /// What is kept; made now if there is nothing yet. A site is served by one feature, so it is of one type.
    pub(crate) fn get_or_make<T: Send + Sync + 'static>(&self, make: impl Fn() -> T) -> Arc<T> {
        let kept = self.0.get_or_init(|| Arc::new(make()));
        Arc::clone(kept)
            .downcast()
            .unwrap_or_else(|_| Arc::new(make()))
    }
}

/// Stands in the extensions of a request that came by a site's own listener: the site's host, whatever the request says.
#[derive(Clone)]
pub(crate) struct SiteHost(pub(crate) Arc<str>);

/// A record as requests see it; `None` where it cannot be served, and the log says why.
pub(crate) fn open(
    shared: &Shared,
    tenant: TenantId,
    record: &DocsSiteRecord,
) -> Option<ServedSite> {
    let name = &record.settings.name;
    let site = match DocsSite::from_settings(&record.settings) {
        Ok(site) => site,
        Err(problems) => {
            tracing::warn!(site = %name, ?problems, "a stored docs site is not sound and is not served");
            return None;
        }
    };
    let secret = match &record.sealed_secret {
        None => None,
        Some(sealed) => {
            let Ok(secret) = shared.root_key.open_docs_secret(tenant, name, sealed) else {
                tracing::error!(site = %name, "the secret of a docs site does not open with the sealing key; give it anew");
                return None;
            };
            Some(secret)
        }
    };
    Some(ServedSite {
        tenant,
        site,
        secret,
        kept: Kept::default(),
    })
}
