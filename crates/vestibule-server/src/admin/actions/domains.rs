//! Actions on the hosts that a tenant answers on, and on the domains that it trusts.

use super::{ActionError, Attempt, One, apply_one, commit, find_tenant, kept_changing};
use crate::admin::apply::ATTEMPTS_MAX;
use crate::http::context::Shared;
use serde_json::{Map, Value, json};
use vestibule_core::identity::trusted_domain::TrustedDomain;
use vestibule_store::TenantUnit;

pub(super) async fn list(shared: &Shared, slug: &str) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let domains = shared.tenant(tenant.id).domains().await?;
    Ok(domains
        .iter()
        .map(|domain| json!({ "host": domain.host, "kind": domain.kind }))
        .collect())
}

pub(super) async fn add(
    shared: &Shared,
    slug: &str,
    host: &str,
    kind: &str,
) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let present = shared.tenant(tenant.id).domains().await?;
    if present.iter().any(|domain| domain.host == host) {
        return Err(ActionError::conflict(format!(
            "the tenant `{slug}` answers on `{host}` already; remove it first to change its kind"
        )));
    }
    let entry = Map::from_iter([
        ("host".to_owned(), json!(host)),
        ("kind".to_owned(), json!(kind)),
    ]);
    let one = One {
        tenant: slug,
        kind: "domain",
        entry,
        target: None,
    };
    Ok(apply_one(shared, one).await?.to_json())
}

pub(super) async fn remove(shared: &Shared, slug: &str, host: &str) -> Result<Value, ActionError> {
    for _ in 0..ATTEMPTS_MAX {
        let tenant = find_tenant(shared, slug).await?;
        let present = shared.tenant(tenant.id).domains().await?;
        if !present.iter().any(|domain| domain.host == host) {
            return Err(ActionError::not_found(format!(
                "`{host}` is no host of the tenant `{slug}`; `vestibule domain list` names them"
            )));
        }
        let unit = TenantUnit::new(tenant.id).remove_domain(host);
        if commit(shared, tenant.id, unit).await? == Attempt::Written {
            return Ok(json!({ "removed": host }));
        }
    }
    Err(kept_changing())
}

pub(super) async fn list_trusted(shared: &Shared, slug: &str) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let domains = shared.tenant(tenant.id).trusted_domains().await?;
    Ok(domains
        .iter()
        .map(|domain| json!({ "base_url": domain }))
        .collect())
}

/// The text under which a trusted domain is kept; another one is looked for as it is written.
fn kept_as(base_url: &str) -> String {
    TrustedDomain::parse(base_url)
        .map_or_else(|_| base_url.to_owned(), |domain| domain.as_str().to_owned())
}

pub(super) async fn add_trusted(
    shared: &Shared,
    slug: &str,
    base_url: &str,
) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let present = shared.tenant(tenant.id).trusted_domains().await?;
    if present.contains(&kept_as(base_url)) {
        return Err(ActionError::conflict(format!(
            "the tenant `{slug}` trusts `{base_url}` already"
        )));
    }
    let one = One {
        tenant: slug,
        kind: "trusted_domain",
        entry: Map::from_iter([("base_url".to_owned(), json!(base_url))]),
        target: None,
    };
    Ok(apply_one(shared, one).await?.to_json())
}

pub(super) async fn remove_trusted(
    shared: &Shared,
    slug: &str,
    base_url: &str,
) -> Result<Value, ActionError> {
    let kept = kept_as(base_url);
    for _ in 0..ATTEMPTS_MAX {
        let tenant = find_tenant(shared, slug).await?;
        let present = shared.tenant(tenant.id).trusted_domains().await?;
        if !present.contains(&kept) {
            return Err(ActionError::not_found(format!(
                "`{base_url}` is no trusted domain of the tenant `{slug}`; `vestibule trusted-domain list` names them"
            )));
        }
        let unit = TenantUnit::new(tenant.id).remove_trusted_domain(&kept);
        if commit(shared, tenant.id, unit).await? == Attempt::Written {
            return Ok(json!({ "removed": kept }));
        }
    }
    Err(kept_changing())
}
