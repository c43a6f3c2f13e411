//! Actions on signing keys and on the set-up link.

use super::{ActionError, find_tenant, time};
use crate::admin;
use crate::http::context::Shared;
use crate::http::signing::{self, Rotated};
use serde_json::{Value, json};
use vestibule_core::jose::algorithm::Algorithm;

pub(super) async fn list_keys(shared: &Shared, slug: &str) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let keys = shared.tenant(tenant.id).keys().await?;
    Ok(keys
        .iter()
        .map(|key| {
            let state = match (key.activated_at, key.retired_at) {
                (None, _) => "announced",
                (Some(_), None) => "active",
                (Some(_), Some(_)) => "retired",
            };
            json!({
                "id": key.id,
                "algorithm": key.algorithm,
                "state": state,
                "created_at": time(key.created_at),
                "activated_at": key.activated_at.map(time),
                "retired_at": key.retired_at.map(time),
            })
        })
        .collect())
}

pub(super) async fn rotate_key(
    shared: &Shared,
    slug: &str,
    algorithm: &str,
) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let algorithm = Algorithm::parse(algorithm).ok_or_else(|| {
        let names = Algorithm::ALL.map(Algorithm::as_str).join(", ");
        ActionError::usage(format!(
            "`{algorithm}` is not an algorithm of ours; they are {names}"
        ))
    })?;
    let keys = shared.tenant(tenant.id).keys().await?;
    let (step, signs_at) = if keys.iter().any(|key| key.algorithm == algorithm) {
        match signing::rotate(shared, tenant.id, algorithm).await? {
            Rotated::Announced(at) => ("announced", Some(at)),
            Rotated::Waiting(at) => ("waiting", Some(at)),
            Rotated::Activated => ("activated", None),
        }
    } else {
        // Nobody holds a token of a key that never was: it need not be announced.
        signing::ensure(shared, tenant.id, algorithm).await?;
        ("activated", None)
    };
    Ok(
        json!({ "tenant": slug, "algorithm": algorithm, "step": step, "signs_at": signs_at.map(time) }),
    )
}

pub(super) async fn set_up_link(shared: &Shared) -> Result<Value, ActionError> {
    let link = admin::set_up_link(shared).await?;
    let link = link.ok_or_else(|| {
        ActionError::conflict("the installation was set up already; an operator exists")
    })?;
    Ok(json!({ "link": link.address, "expires_at": time(link.expires_at) }))
}
