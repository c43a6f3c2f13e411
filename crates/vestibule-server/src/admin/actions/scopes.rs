//! Actions on the scopes that a tenant adds to the standard ones.

use super::{
    ActionError, Attempt, One, apply_one, commit, find_tenant, kept_changing, merge, to_map,
};
use crate::admin::apply::{ATTEMPTS_MAX, all_clients};
use crate::http::context::Shared;
use serde_json::{Map, Value, json};
use vestibule_core::id::TenantId;
use vestibule_core::oauth::scope::ScopeRecord;
use vestibule_store::TenantUnit;

async fn find(
    shared: &Shared,
    slug: &str,
    name: &str,
) -> Result<(TenantId, Option<ScopeRecord>), ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let scopes = shared.tenant(tenant.id).scopes().await?;
    let found = scopes.into_iter().find(|scope| scope.name == name);
    Ok((tenant.id, found))
}

fn missing(slug: &str, name: &str) -> ActionError {
    ActionError::not_found(format!(
        "the tenant `{slug}` adds no scope `{name}`; `vestibule scope list` names them"
    ))
}

pub(super) async fn list(shared: &Shared, slug: &str) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    Ok(json!(shared.tenant(tenant.id).scopes().await?))
}

pub(super) async fn create(
    shared: &Shared,
    slug: &str,
    name: &str,
    set: Map<String, Value>,
) -> Result<Value, ActionError> {
    if find(shared, slug, name).await?.1.is_some() {
        return Err(ActionError::conflict(format!(
            "there is a scope `{name}` already in the tenant `{slug}`"
        )));
    }
    write(shared, slug, name, set).await
}

pub(super) async fn update(
    shared: &Shared,
    slug: &str,
    name: &str,
    set: Map<String, Value>,
) -> Result<Value, ActionError> {
    let (_, found) = find(shared, slug, name).await?;
    let mut entry = to_map(&found.ok_or_else(|| missing(slug, name))?);
    merge(&mut entry, set);
    write(shared, slug, name, entry).await
}

async fn write(
    shared: &Shared,
    slug: &str,
    name: &str,
    mut entry: Map<String, Value>,
) -> Result<Value, ActionError> {
    entry.insert("name".to_owned(), json!(name));
    let one = One {
        tenant: slug,
        kind: "scope",
        entry,
        target: None,
    };
    Ok(apply_one(shared, one).await?.to_json())
}

/// Removes a scope that no client names. A client whose scope is gone could not be read any more.
pub(super) async fn remove(shared: &Shared, slug: &str, name: &str) -> Result<Value, ActionError> {
    for _ in 0..ATTEMPTS_MAX {
        let (tenant, found) = find(shared, slug, name).await?;
        if found.is_none() {
            return Err(missing(slug, name));
        }
        let clients = all_clients(shared.tenant(tenant)).await?;
        let named: Vec<&str> = clients
            .iter()
            .filter(|client| {
                let scope = client.metadata.scope.as_deref().unwrap_or_default();
                scope.split(' ').any(|scope| scope == name)
            })
            .map(|client| client.metadata.client_id.as_str())
            .collect();
        if !named.is_empty() {
            return Err(ActionError::conflict(format!(
                "clients of the tenant `{slug}` have the scope `{name}`; take it from them first: {}",
                named.join(", ")
            )));
        }
        let unit = TenantUnit::new(tenant).remove_scope(name);
        if commit(shared, tenant, unit).await? == Attempt::Written {
            return Ok(json!({ "removed": name }));
        }
    }
    Err(kept_changing())
}
