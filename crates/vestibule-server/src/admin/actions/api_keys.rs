//! Actions on API keys.

use super::{
    ActionError, Attempt, One, apply_one, commit, find_tenant, kept_changing, merge, time,
};
use crate::admin::apply::ATTEMPTS_MAX;
use crate::http::context::Shared;
use serde_json::{Map, Value, json};
use vestibule_core::id::TenantId;
use vestibule_core::identity::api_key::ApiKey;
use vestibule_core::time::Timestamp;
use vestibule_store::TenantUnit;

fn to_json(key: &ApiKey, now: Timestamp) -> Value {
    let state = match (key.revoked_at, key.stands(now)) {
        (Some(_), _) => "revoked",
        (None, true) => "active",
        (None, false) => "expired",
    };
    json!({
        "id": key.id,
        "name": key.name,
        "tier": key.tier,
        "state": state,
        "created_at": time(key.created_at),
        "expires_at": key.expires_at.map(time),
        "revoked_at": key.revoked_at.map(time),
    })
}

async fn find(shared: &Shared, slug: &str, name: &str) -> Result<(TenantId, ApiKey), ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let key = shared.tenant(tenant.id).api_key_by_name(name).await?;
    let missing = || {
        ActionError::not_found(format!(
            "there is no API key `{name}` in the tenant `{slug}`; `vestibule api-key list` names them"
        ))
    };
    Ok((tenant.id, key.ok_or_else(missing)?))
}

pub(super) async fn list(shared: &Shared, slug: &str) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let (keys, now) = (shared.tenant(tenant.id).api_keys().await?, shared.now());
    Ok(keys.iter().map(|key| to_json(key, now)).collect())
}

pub(super) async fn create(
    shared: &Shared,
    slug: &str,
    name: &str,
    set: Map<String, Value>,
) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let present = shared.tenant(tenant.id).api_key_by_name(name).await?;
    if present.is_some() {
        return Err(ActionError::conflict(format!(
            "there is an API key `{name}` already in the tenant `{slug}`, and a key does not change: make one of another name and revoke this one"
        )));
    }
    let mut entry = Map::new();
    merge(&mut entry, set);
    entry.insert("name".to_owned(), json!(name));
    let applied = apply_one(
        shared,
        One {
            tenant: slug,
            kind: "api_key",
            entry,
            target: None,
        },
    )
    .await?;
    Ok(applied.to_json())
}

pub(super) async fn revoke(shared: &Shared, slug: &str, name: &str) -> Result<Value, ActionError> {
    for _ in 0..ATTEMPTS_MAX {
        let (tenant, key) = find(shared, slug, name).await?;
        if let Some(at) = key.revoked_at {
            return Err(ActionError::conflict(format!(
                "the API key `{name}` was revoked already, at {}",
                time(at)
            )));
        }
        let unit = TenantUnit::new(tenant).revoke_api_key(key.id, shared.now());
        if commit(shared, tenant, unit).await? == Attempt::Written {
            return Ok(json!({ "revoked": name, "id": key.id }));
        }
    }
    Err(kept_changing())
}

pub(super) async fn remove(shared: &Shared, slug: &str, name: &str) -> Result<Value, ActionError> {
    for _ in 0..ATTEMPTS_MAX {
        let (tenant, key) = find(shared, slug, name).await?;
        let unit = TenantUnit::new(tenant).remove_api_key(key.id);
        if commit(shared, tenant, unit).await? == Attempt::Written {
            return Ok(json!({ "removed": name, "id": key.id }));
        }
    }
    Err(kept_changing())
}
