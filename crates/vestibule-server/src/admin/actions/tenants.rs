//! Actions on tenants.

use super::{ActionError, Attempt, commit, find_tenant, kept_changing, merge, shorten, to_map};
use crate::admin::apply::{ATTEMPTS_MAX, Options, all_tenants, apply};
use crate::admin::document;
use crate::admin::plan::Scope;
use crate::http::context::Shared;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use vestibule_core::identity::tenant::DEFAULT_SLUG;
use vestibule_store::TenantUnit;
use vestibule_store::tenants::TenantRecord;

fn to_json(record: &TenantRecord) -> Value {
    json!({ "id": record.id, "slug": record.slug, "name": record.name, "groups": record.groups, "policy": record.policy,
        "docs_profile": record.docs_profile, "endpoint_aliases": record.endpoint_aliases })
}

pub(super) async fn list(shared: &Shared) -> Result<Value, ActionError> {
    Ok(all_tenants(shared).await?.iter().map(to_json).collect())
}

pub(super) async fn show(shared: &Shared, slug: &str) -> Result<Value, ActionError> {
    let record = find_tenant(shared, slug).await?;
    let store = shared.tenant(record.id);
    let domains: Vec<Value> = store
        .domains()
        .await?
        .iter()
        .map(|domain| json!({ "host": domain.host, "kind": domain.kind }))
        .collect();
    let mut value = to_map(&to_json(&record));
    let view = shared.tenant_by_slug(slug).await?;
    value.insert(
        "issuer".to_owned(),
        json!(view.map(|view| view.tenant.issuer.as_str().to_owned())),
    );
    value.insert("domains".to_owned(), json!(domains));
    value.insert("scopes".to_owned(), json!(store.scopes().await?));
    Ok(Value::Object(value))
}

pub(super) async fn create(
    shared: &Shared,
    slug: &str,
    set: Map<String, Value>,
) -> Result<Value, ActionError> {
    if shared.store.any_tenant_by_slug(slug).await?.is_some() {
        return Err(ActionError::conflict(format!(
            "there is a tenant `{slug}` already"
        )));
    }
    apply_tenant(shared, slug, set).await
}

pub(super) async fn update(
    shared: &Shared,
    slug: &str,
    set: Map<String, Value>,
) -> Result<Value, ActionError> {
    let record = find_tenant(shared, slug).await?;
    let mut set = set;
    for (key, present) in [
        ("policy", to_map(&record.policy)),
        ("docs_profile", to_map(&record.docs_profile)),
        ("endpoint_aliases", to_map(&record.endpoint_aliases)),
    ] {
        if let Some(Value::Object(changes)) = set.remove(key) {
            let mut whole = present;
            merge(&mut whole, changes);
            set.insert(key.to_owned(), Value::Object(whole));
        }
    }
    apply_tenant(shared, slug, set).await
}

async fn apply_tenant(
    shared: &Shared,
    slug: &str,
    mut set: Map<String, Value>,
) -> Result<Value, ActionError> {
    set.insert("slug".to_owned(), json!(slug));
    let read = document::read_value(&json!({ "tenant": [set] }), &BTreeMap::new());
    let options = Options {
        scope: Scope::Named,
        dry_run: false,
    };
    let applied = apply(shared, read, options)
        .await
        .map_err(|error| shorten(&error, "tenant[0]", "tenant"))?;
    Ok(applied.to_json())
}

pub(super) async fn remove(shared: &Shared, slug: &str) -> Result<Value, ActionError> {
    for _ in 0..ATTEMPTS_MAX {
        let record = find_tenant(shared, slug).await?;
        if slug == DEFAULT_SLUG {
            return Err(ActionError::conflict(
                "the default tenant stays: its issuer is the server's public URL",
            ));
        }
        let unit = TenantUnit::new(record.id).remove_tenant();
        if commit(shared, record.id, unit).await? == Attempt::Written {
            return Ok(json!({ "removed": slug }));
        }
    }
    Err(kept_changing())
}
