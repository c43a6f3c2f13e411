//! Actions on docs sites.

use super::{
    ActionError, Attempt, One, apply_one, commit, find_tenant, kept_changing, merge, time, to_map,
};
use crate::admin::apply::ATTEMPTS_MAX;
use crate::http::context::Shared;
use serde_json::{Map, Value, json};
use vestibule_core::docs::site::DocsSite;
use vestibule_store::TenantUnit;
use vestibule_store::docs_sites::DocsSiteRecord;
use vestibule_store::tenants::TenantRecord;

/// What an operator registers at the site's OAuth server.
fn redirect_uri(record: &DocsSiteRecord) -> Option<String> {
    let site = DocsSite::from_settings(&record.settings).ok()?;
    Some(site.redirect_uri())
}

fn to_json(record: &DocsSiteRecord) -> Value {
    let mut value = to_map(&record.settings);
    for (key, entry) in [
        ("redirect_uri", json!(redirect_uri(record))),
        ("has_secret", json!(record.sealed_secret.is_some())),
        ("created_at", json!(time(record.created_at))),
        ("updated_at", json!(time(record.updated_at))),
    ] {
        value.insert(key.to_owned(), entry);
    }
    Value::Object(value)
}

async fn find_record(
    shared: &Shared,
    tenant: &TenantRecord,
    name: &str,
) -> Result<Option<DocsSiteRecord>, ActionError> {
    let sites = shared.tenant(tenant.id).docs_sites().await?;
    Ok(sites
        .into_iter()
        .find(|record| record.settings.name == name))
}

/// A docs site and its tenant.
async fn find(
    shared: &Shared,
    slug: &str,
    name: &str,
) -> Result<(TenantRecord, DocsSiteRecord), ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let record = find_record(shared, &tenant, name).await?;
    let missing = || {
        ActionError::not_found(format!(
            "there is no docs site `{name}` in the tenant `{slug}`; `vestibule docs list` names them"
        ))
    };
    Ok((tenant, record.ok_or_else(missing)?))
}

pub(super) async fn list(shared: &Shared, slug: &str) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let sites = shared.tenant(tenant.id).docs_sites().await?;
    Ok(sites.iter().map(to_json).collect())
}

pub(super) async fn show(shared: &Shared, slug: &str, name: &str) -> Result<Value, ActionError> {
    let (_, record) = find(shared, slug, name).await?;
    Ok(to_json(&record))
}

pub(super) async fn create(
    shared: &Shared,
    slug: &str,
    name: &str,
    set: Map<String, Value>,
) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    if find_record(shared, &tenant, name).await?.is_some() {
        return Err(ActionError::conflict(format!(
            "there is a docs site `{name}` already in the tenant `{slug}`"
        )));
    }
    let mut entry = Map::new();
    merge(&mut entry, set);
    write(shared, slug, name, entry).await
}

pub(super) async fn update(
    shared: &Shared,
    slug: &str,
    name: &str,
    set: Map<String, Value>,
) -> Result<Value, ActionError> {
    let (_, record) = find(shared, slug, name).await?;
    let mut entry = to_map(&record.settings);
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
    let applied = apply_one(
        shared,
        One {
            tenant: slug,
            kind: "docs_site",
            entry,
            target: None,
        },
    )
    .await?;
    let (_, record) = find(shared, slug, name).await?;
    let mut answer = to_map(&applied.to_json());
    answer.insert("redirect_uri".to_owned(), json!(redirect_uri(&record)));
    Ok(Value::Object(answer))
}

pub(super) async fn remove(shared: &Shared, slug: &str, name: &str) -> Result<Value, ActionError> {
    for _ in 0..ATTEMPTS_MAX {
        let (tenant, _) = find(shared, slug, name).await?;
        let unit = TenantUnit::new(tenant.id).remove_docs_site(name);
        if commit(shared, tenant.id, unit).await? == Attempt::Written {
            return Ok(json!({ "removed": name }));
        }
    }
    Err(kept_changing())
}
