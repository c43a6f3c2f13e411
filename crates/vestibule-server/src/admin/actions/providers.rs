//! Actions on providers.

use super::{
    ActionError, Attempt, One, apply_one, commit, find_tenant, kept_changing, merge, time, to_map,
};
use crate::admin::apply::ATTEMPTS_MAX;
use crate::http::context::Shared;
use crate::http::projects::callback_path;
use serde_json::{Map, Value, json};
use vestibule_core::relying_party::provider::ProviderId;
use vestibule_store::TenantUnit;
use vestibule_store::providers::ProviderRecord;
use vestibule_store::tenants::TenantRecord;

/// The redirect URI that is registered at the provider.
async fn redirect_uri(
    shared: &Shared,
    slug: &str,
    id: &str,
    callback_url: Option<&str>,
) -> Result<Option<String>, ActionError> {
    if let Some(url) = callback_url {
        return Ok(Some(url.to_owned()));
    }
    let view = shared.tenant_by_slug(slug).await?;
    Ok(view.map(|view| view.tenant.issuer.join(&callback_path(id))))
}

async fn to_json(
    shared: &Shared,
    slug: &str,
    record: &ProviderRecord,
) -> Result<Value, ActionError> {
    let settings = &record.settings;
    let mut value = to_map(settings);
    let callback_url = settings.callback_url.as_deref();
    let uri = redirect_uri(shared, slug, settings.id.as_str(), callback_url).await?;
    for (key, entry) in [
        ("redirect_uri", json!(uri)),
        ("sign_in", json!(settings.sign_in)),
        ("connected_accounts", json!(settings.connected_accounts)),
        ("has_secret", json!(record.sealed_secret.is_some())),
        ("created_at", json!(time(record.created_at))),
        ("updated_at", json!(time(record.updated_at))),
    ] {
        value.insert(key.to_owned(), entry);
    }
    Ok(Value::Object(value))
}

async fn find(
    shared: &Shared,
    slug: &str,
    id: &str,
) -> Result<(TenantRecord, ProviderRecord), ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let record = match ProviderId::parse(id) {
        Some(id) => shared.tenant(tenant.id).provider(&id).await?,
        None => None,
    };
    let missing = || {
        ActionError::not_found(format!(
            "there is no provider `{id}` in the tenant `{slug}`; `vestibule provider list` names them"
        ))
    };
    Ok((tenant, record.ok_or_else(missing)?))
}

pub(super) async fn list(shared: &Shared, slug: &str) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let mut list = Vec::new();
    for record in shared.tenant(tenant.id).providers().await? {
        list.push(to_json(shared, slug, &record).await?);
    }
    Ok(Value::Array(list))
}

pub(super) async fn show(shared: &Shared, slug: &str, id: &str) -> Result<Value, ActionError> {
    let (_, record) = find(shared, slug, id).await?;
    to_json(shared, slug, &record).await
}

pub(super) async fn create(
    shared: &Shared,
    slug: &str,
    id: &str,
    set: Map<String, Value>,
) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    if let Some(id) = ProviderId::parse(id)
        && shared.tenant(tenant.id).provider(&id).await?.is_some()
    {
        return Err(ActionError::conflict(format!(
            "there is a provider `{id}` already in the tenant `{slug}`"
        )));
    }
    let mut entry = Map::new();
    merge(&mut entry, set);
    write(shared, slug, id, entry).await
}

pub(super) async fn update(
    shared: &Shared,
    slug: &str,
    id: &str,
    set: Map<String, Value>,
) -> Result<Value, ActionError> {
    let (_, record) = find(shared, slug, id).await?;
    let mut entry = to_map(&record.settings);
    merge(&mut entry, set);
    write(shared, slug, id, entry).await
}

async fn write(
    shared: &Shared,
    slug: &str,
    id: &str,
    mut entry: Map<String, Value>,
) -> Result<Value, ActionError> {
    entry.insert("id".to_owned(), json!(id));
    let callback_url = entry.get("callback_url").and_then(Value::as_str);
    let callback_url = callback_url.map(str::to_owned);
    let applied = apply_one(
        shared,
        One {
            tenant: slug,
            kind: "provider",
            entry,
            target: None,
        },
    )
    .await?;
    let uri = redirect_uri(shared, slug, id, callback_url.as_deref()).await?;
    let mut answer = to_map(&applied.to_json());
    answer.insert("redirect_uri".to_owned(), json!(uri));
    Ok(Value::Object(answer))
}

pub(super) async fn remove(shared: &Shared, slug: &str, id: &str) -> Result<Value, ActionError> {
    for _ in 0..ATTEMPTS_MAX {
        let (tenant, record) = find(shared, slug, id).await?;
        let unit = TenantUnit::new(tenant.id).remove_provider(&record.settings.id);
        if commit(shared, tenant.id, unit).await? == Attempt::Written {
            return Ok(json!({ "removed": id }));
        }
    }
    Err(kept_changing())
}
