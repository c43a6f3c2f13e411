//! What of a tenant's docs profile depends on its other records: its issuer's host, and who names its docs scope.

use super::{Planner, Scope, TenantState};
use crate::admin::document::TenantEntry;
use crate::admin::document::docs_profile::strangers;
use vestibule_core::identity::tenant::{DEFAULT_SLUG, DomainKind, TenantPolicy};

impl Planner<'_> {
    /// The policy that a tenant will have.
    pub(super) fn policy_of(entry: &TenantEntry, state: Option<&TenantState>) -> TenantPolicy {
        entry
            .policy
            .clone()
            .or_else(|| state.map(|state| state.record.policy.clone()))
            .unwrap_or_default()
    }

    /// Refuses origins that are not of the issuer's site, and a new name of the docs scope while clients have the old one.
    pub(super) fn check_docs_profile(&mut self, entry: &TenantEntry, state: Option<&TenantState>) {
        if let Some(profile) = &entry.docs_profile {
            let found = strangers(profile, &self.issuer_host(entry, state));
            self.problems.extend(found);
        }
        let Some(state) = state else { return };
        let (before, after) = (
            &state.record.policy.docs_scope,
            &Self::policy_of(entry, Some(state)).docs_scope,
        );
        let is_described = entry.scopes.iter().any(|scope| &scope.value.name == before)
            || self.scope == Scope::Named && state.scopes.iter().any(|scope| &scope.name == before);
        if before == after || is_described {
            return;
        }
        // A client whose scope is gone could not be read any more; those that the document names are held against the new scopes.
        let named: Vec<&str> = state
            .clients
            .iter()
            .filter(|(id, record)| {
                let scope = record.metadata.scope.as_deref().unwrap_or_default();
                scope.split(' ').any(|scope| scope == before)
                    && self.scope == Scope::Named
                    && !entry
                        .clients
                        .iter()
                        .any(|client| &client.metadata.client_id == *id)
            })
            .map(|(id, _)| id.as_str())
            .collect();
        if !named.is_empty() {
            let text = format!(
                "clients have the scope `{before}`; take it from them first: {}",
                named.join(", ")
            );
            self.problem(format!("{}.policy.docs_scope", entry.place), text);
        }
    }

    /// The host of the issuer that the tenant will have.
    fn issuer_host(&self, entry: &TenantEntry, state: Option<&TenantState>) -> String {
        let named = entry.domains.iter().map(|domain| &domain.value);
        let kept = state
            .filter(|_| self.scope == Scope::Named)
            .into_iter()
            .flat_map(|state| &state.domains)
            .filter(|kept| {
                let mut named = entry.domains.iter();
                !named.any(|named| named.value.host == kept.host)
            });
        named
            .chain(kept)
            .find(|domain| domain.kind == DomainKind::Primary && entry.slug != DEFAULT_SLUG)
            .map_or_else(|| self.public_host.to_owned(), |domain| domain.host.clone())
    }
}
