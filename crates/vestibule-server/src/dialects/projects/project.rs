//! The project as apps see it, and its keys (seed 001).

use super::Answer;
use super::access::{Access, choose_project};
use super::envelope;
use crate::http::context::Ctx;
use crate::http::reply::Reply;
use crate::http::signing::JWKS_MAX_AGE_SECONDS;
use http::header::{self, HeaderValue};
use serde_json::{Value, json};
use std::sync::Arc;
use vestibule_core::identity::tenant::SignUp;
use vestibule_core::jose::algorithm::Algorithm;
use vestibule_core::jose::key::PublicKey;
use vestibule_core::jose::key_set::KeySet;
use vestibule_core::oauth::known_error::KnownError;

/// Where the SDKs' pages stand on a trusted domain; the seed says it of each.
const HANDLER_PATH: &str = "/handler";

/// `GET /projects/current`. What this server does not offer to apps is said to be off.
pub(super) fn show(ctx: &Ctx, access: &Access) -> Reply {
    let tenant = &ctx.tenant.tenant;
    let providers: Vec<Value> = access
        .project
        .for_sign_in()
        .map(|provider| json!({ "id": provider.id.as_str() }))
        .collect();
    let domains: Vec<Value> = access
        .project
        .domains
        .iter()
        .map(|domain| json!({ "domain": domain, "handler_path": HANDLER_PATH }))
        .collect();
    envelope::json(&json!({
        "id": tenant.id,
        "display_name": tenant.name,
        "config": {
            "sign_up_enabled": tenant.policy.sign_up == SignUp::Open,
            "client_user_deletion_enabled": tenant.policy.client_user_deletion,
            "allow_localhost": tenant.policy.allow_localhost,
            "credential_enabled": false,
            "magic_link_enabled": false,
            "passkey_enabled": false,
            "client_team_creation_enabled": false,
            "allow_team_api_keys": false,
            "allow_user_api_keys": false,
            "enabled_oauth_providers": providers,
            "domains": domains,
        },
    }))
}

/// `GET /projects/*/.well-known/jwks.json`, for whoever checks access tokens: no header is asked for. The key is made before anybody
/// caches the set. There are no anonymous and no restricted people whose tokens other keys would sign, so the parameters that ask
/// for those change nothing.
pub(super) async fn keys(ctx: &mut Ctx, id: &str) -> Answer {
    if choose_project(ctx, id).await?.is_err() {
        return Ok(Err(KnownError::ProjectNotFound(id.to_owned())));
    }
    let view = if ctx.tenant.keys.signing_key(Algorithm::ES256).is_some() {
        Arc::clone(&ctx.tenant)
    } else {
        ctx.shared
            .signing_key(&ctx.tenant, Algorithm::ES256)
            .await?;
        let slug = &ctx.tenant.tenant.slug;
        let fresh = ctx.shared.tenant_by_slug(slug).await?;
        fresh.unwrap_or_else(|| Arc::clone(&ctx.tenant))
    };
    let mut reply = envelope::json(&document(&view.keys));
    if let Ok(value) = HeaderValue::from_str(&format!("public, max-age={JWKS_MAX_AGE_SECONDS}")) {
        reply.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    Ok(Ok(reply))
}

/// The keys that project tokens are signed with. The others of the tenant sign nothing that this document is for.
fn document(keys: &KeySet) -> Value {
    let keys: Vec<_> = keys
        .public_keys()
        .filter(|key| key.algorithm() == Algorithm::ES256)
        .map(PublicKey::jwk)
        .collect();
    json!({ "keys": keys })
}
