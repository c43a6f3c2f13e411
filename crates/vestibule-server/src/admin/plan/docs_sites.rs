//! What would change of the docs sites.

use super::super::document::{DocsSiteEntry, TenantEntry};
use super::{
    ChangeAction, ClientSecretOf, DocsSiteChange, DocsSiteState, Kind, Planner, Scope, TenantState,
    Within, changed_fields, to_map,
};
use std::collections::BTreeSet;
use vestibule_core::relying_party::provider::UpstreamAuth;
use vestibule_store::docs_sites::DOCS_SITES_LIST_MAX;

impl Planner<'_> {
    pub(super) fn docs_sites(&mut self, within: &Within<'_>, entry: &TenantEntry) {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        if let Some(state) = within.state.filter(|_| self.scope == Scope::Named) {
            let present = state.docs_sites.iter();
            names.extend(present.map(|present| present.record.settings.name.as_str()));
        }
        names.extend(
            entry
                .docs_sites
                .iter()
                .map(|named| named.site.name.as_str()),
        );
        if names.len() > usize::try_from(DOCS_SITES_LIST_MAX).unwrap_or(usize::MAX) {
            self.problem(
                format!("{}.docs_site", entry.place),
                format!("a tenant has {DOCS_SITES_LIST_MAX} of them at most"),
            );
        }
        for site in &entry.docs_sites {
            self.docs_site(within, site);
        }
    }

    pub(super) fn remove_unnamed_docs_sites(&mut self, entry: &TenantEntry, state: &TenantState) {
        let (id, slug) = (state.record.id, state.record.slug.as_str());
        for present in &state.docs_sites {
            let name = &present.record.settings.name;
            if !entry
                .docs_sites
                .iter()
                .any(|named| &named.site.name == name)
            {
                self.write(id, |unit| unit.remove_docs_site(name));
                let (of, kind) = ((slug, id), Kind::DocsSite);
                self.change(ChangeAction::Remove, kind, of, name, Vec::new());
            }
        }
    }

    fn docs_site(&mut self, within: &Within<'_>, entry: &DocsSiteEntry) {
        let name = &entry.site.name;
        self.check_host(within, entry);
        let present = within.state.and_then(|state| {
            let mut sites = state.docs_sites.iter();
            sites.find(|present| &present.record.settings.name == name)
        });
        let Some(secret) = wanted_secret(entry, present) else {
            self.problem(
                format!("{}.client_secret", entry.place),
                "is missing; write client_secret_env, client_secret_file or client_secret, or leave token_endpoint_auth_method out",
            );
            return;
        };
        let (action, fields) = match present {
            None => (ChangeAction::Create, Vec::new()),
            Some(present) => {
                let before = to_map(&present.record.settings);
                let mut fields = changed_fields("", &before, &to_map(&entry.settings));
                if matches!(secret, ClientSecretOf::Given(_))
                    || (matches!(secret, ClientSecretOf::None)
                        && present.record.sealed_secret.is_some())
                {
                    fields.push("client_secret".to_owned());
                }
                if fields.is_empty() {
                    return;
                }
                (ChangeAction::Update, fields)
            }
        };
        self.decision.docs_sites.push(DocsSiteChange {
            tenant: within.tenant,
            site: entry.site.clone(),
            settings: entry.settings.clone(),
            secret,
        });
        let of = (within.slug, within.tenant);
        self.change(action, Kind::DocsSite, of, name, fields);
    }

    /// A site's scripts must never share the origin of sign-in, and one origin has one site.
    fn check_host(&mut self, within: &Within<'_>, entry: &DocsSiteEntry) {
        let host = &entry.site.address.host;
        let place = || format!("{}.public_url", entry.place);
        if host == self.public_host || self.state.hosts.contains_key(host) {
            self.problem(
                place(),
                format!("people sign in at `{host}`; give the site a host or a port of its own"),
            );
        }
        let owner = self.state.site_hosts.get(host);
        let named = (within.slug.to_owned(), entry.site.name.clone());
        if owner.is_some_and(|owner| owner != &named) {
            self.problem(place(), format!("another docs site is served at `{host}`"));
        }
    }
}

/// What becomes of the client's secret; `None` when one is needed and there is none.
fn wanted_secret(entry: &DocsSiteEntry, present: Option<&DocsSiteState>) -> Option<ClientSecretOf> {
    let stored = present.and_then(|present| present.record.sealed_secret.clone());
    match (entry.site.auth, &entry.secret, stored) {
        (Some(UpstreamAuth::None), ..) | (None, None, None) => Some(ClientSecretOf::None),
        (_, Some(given), stored) => Some(match stored {
            Some(sealed) if present.is_some_and(|present| present.has_given_secret) => {
                ClientSecretOf::Sealed(sealed)
            }
            _ => ClientSecretOf::Given(given.clone()),
        }),
        (_, None, Some(sealed)) => Some(ClientSecretOf::Sealed(sealed)),
        (Some(_), None, None) => None,
    }
}
