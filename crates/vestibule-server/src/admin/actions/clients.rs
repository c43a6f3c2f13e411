//! Actions on clients.

use super::{
    ActionError, Attempt, One, Rotation, apply_one, commit, find_tenant, kept_changing, merge,
    time, to_map,
};
use crate::admin::apply::{ATTEMPTS_MAX, all_clients};
use crate::http::context::Shared;
use serde_json::{Map, Value, json};
use vestibule_core::id::TenantId;
use vestibule_core::oauth::client::ClientAuthMethod;
use vestibule_core::secret::{Secret, SecretDigest};
use vestibule_store::TenantUnit;
use vestibule_store::clients::ClientRecord;

fn to_json(record: &ClientRecord) -> Value {
    let mut value = to_map(&record.metadata);
    value.insert("secrets".to_owned(), json!(record.secrets.len()));
    value.insert("created_at".to_owned(), json!(time(record.created_at)));
    value.insert("updated_at".to_owned(), json!(time(record.updated_at)));
    Value::Object(value)
}

async fn find(
    shared: &Shared,
    slug: &str,
    client_id: &str,
) -> Result<(TenantId, ClientRecord), ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let record = shared.tenant(tenant.id).client(client_id).await?;
    let missing = || {
        ActionError::not_found(format!(
            "there is no client `{client_id}` in the tenant `{slug}`"
        ))
    };
    Ok((tenant.id, record.ok_or_else(missing)?))
}

pub(super) async fn list(shared: &Shared, slug: &str) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    Ok(all_clients(shared.tenant(tenant.id))
        .await?
        .iter()
        .map(to_json)
        .collect())
}

pub(super) async fn show(
    shared: &Shared,
    slug: &str,
    client_id: &str,
) -> Result<Value, ActionError> {
    find(shared, slug, client_id)
        .await
        .map(|(_, record)| to_json(&record))
}

pub(super) async fn create(
    shared: &Shared,
    slug: &str,
    client_id: &str,
    mut set: Map<String, Value>,
) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    if shared.tenant(tenant.id).client(client_id).await?.is_some() {
        return Err(ActionError::conflict(format!(
            "there is a client `{client_id}` already in the tenant `{slug}`"
        )));
    }
    set.insert("client_id".to_owned(), json!(client_id));
    let applied = apply_one(
        shared,
        One {
            tenant: slug,
            kind: "client",
            entry: set,
            target: None,
        },
    )
    .await?;
    Ok(applied.to_json())
}

pub(super) async fn update(
    shared: &Shared,
    slug: &str,
    client_id: &str,
    set: Map<String, Value>,
) -> Result<Value, ActionError> {
    let (_, record) = find(shared, slug, client_id).await?;
    let mut entry = to_map(&record.metadata);
    merge(&mut entry, set);
    entry.insert("client_id".to_owned(), json!(client_id));
    let applied = apply_one(
        shared,
        One {
            tenant: slug,
            kind: "client",
            entry,
            target: None,
        },
    )
    .await?;
    Ok(applied.to_json())
}

pub(super) async fn remove(
    shared: &Shared,
    slug: &str,
    client_id: &str,
) -> Result<Value, ActionError> {
    for _ in 0..ATTEMPTS_MAX {
        let (tenant, _) = find(shared, slug, client_id).await?;
        let unit = TenantUnit::new(tenant).remove_client(client_id);
        if commit(shared, tenant, unit).await? == Attempt::Written {
            return Ok(json!({ "removed": client_id }));
        }
    }
    Err(kept_changing())
}

pub(super) async fn rotate_secret(
    shared: &Shared,
    slug: &str,
    client_id: &str,
    rotation: Rotation,
) -> Result<Value, ActionError> {
    for _ in 0..ATTEMPTS_MAX {
        let (tenant, record) = find(shared, slug, client_id).await?;
        if record.metadata.token_endpoint_auth_method == ClientAuthMethod::None {
            return Err(ActionError::conflict(format!(
                "the client `{client_id}` is public and has no secret"
            )));
        }
        let secret = Secret::random(&shared.chance);
        let new = SecretDigest::of_client_secret(secret.reveal());
        // The newest stands first.
        let newest = record.secrets.first().copied();
        let (secrets, shown): (Vec<SecretDigest>, _) = match rotation {
            Rotation::Replace => (vec![new], Some(secret)),
            Rotation::KeepOld => (std::iter::once(new).chain(newest).collect(), Some(secret)),
            Rotation::DropOld => (newest.into_iter().collect(), None),
        };
        let unit = TenantUnit::new(tenant).update_client(&record.metadata, &secrets, shared.now());
        if commit(shared, tenant, unit).await? == Attempt::Written {
            return Ok(json!({
                "tenant": slug,
                "client_id": client_id,
                "secrets": secrets.len(),
                "client_secret": shown.as_ref().map(Secret::reveal),
            }));
        }
    }
    Err(kept_changing())
}
