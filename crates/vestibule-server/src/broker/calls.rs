//! What we ask of a provider, one function a question. Every call goes through `outbound/http`.

use super::departure::Pending;
use crate::http::context::Ctx;
use crate::http::projects::{Discovered, Upstream};
use crate::outbound::http::{OutboundError, OutboundResponse};
use crate::outbound::upstream;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use vestibule_core::relying_party::fault::UpstreamFault;
use vestibule_core::relying_party::id_token::{self, ExpectedIdToken, UpstreamClaims};
use vestibule_core::relying_party::identity::{UpstreamIdentity, parse_userinfo, wants_userinfo};
use vestibule_core::relying_party::jwks::Jwks;
use vestibule_core::relying_party::metadata::ProviderMetadata;
use vestibule_core::relying_party::provider::Protocol;
use vestibule_core::relying_party::tokens::{
    UpstreamForm, UpstreamTokenResponse, exchange_form, refresh_form,
};
use vestibule_core::secret::Secret;
use vestibule_core::time::Lifetime;

/// How long a discovery document and a key set are believed.
const KEPT: Lifetime = Lifetime::hours(1);
/// How soon a key set is fetched again because a token names a key that is not in it.
const KEYS_AGAIN_AFTER: Lifetime = Lifetime::minutes(1);
/// How soon a provider whose endpoints or keys cannot be read is asked again: longer than one call may take, so that those who
/// waited for it fail with it and do not each wait anew.
const AGAIN_AFTER: Lifetime = Lifetime::from_seconds(15);

/// What an app hears of a failed call is the same whatever failed; our log hears it all.
fn failed(
    ctx: &Ctx,
    upstream: &Upstream,
    what: &'static str,
    error: &OutboundError,
) -> UpstreamFault {
    tracing::warn!(
        reference = ctx.reference,
        tenant = ctx.tenant.tenant.slug,
        provider = %upstream.provider.id,
        what,
        %error,
        detail = error.detail(),
        "a call to a provider failed"
    );
    UpstreamFault::Unavailable(what)
}

/// The provider's endpoints.
pub(super) async fn metadata(
    ctx: &Ctx,
    upstream: &Upstream,
) -> Result<Arc<ProviderMetadata>, UpstreamFault> {
    let mut discovered = upstream.discovered.lock().await;
    if let Some((metadata, read_at)) = &discovered.metadata
        && ctx.now < read_at.plus(KEPT)
    {
        return Ok(Arc::clone(metadata));
    }
    let metadata = match &upstream.provider.protocol {
        Protocol::OpenIdAt { .. } | Protocol::OAuth { .. } => {
            ProviderMetadata::of_settings(&upstream.provider)
                .ok_or(UpstreamFault::Discovery("no endpoints in the settings"))?
        }
        Protocol::OpenId(issuer) => {
            let what = "its discovery document cannot be read";
            let url = issuer.discovery_url();
            let body = read_once(ctx, upstream, &mut discovered, &url, what).await?;
            let read = ProviderMetadata::from_discovery(&body, issuer);
            remember(ctx, &mut discovered, read)?
        }
    };
    let metadata = Arc::new(metadata);
    discovered.metadata = Some((Arc::clone(&metadata), ctx.now));
    Ok(metadata)
}

/// Reads a document, unless that failed a moment ago.
async fn read_once(
    ctx: &Ctx,
    upstream: &Upstream,
    discovered: &mut Discovered,
    url: &str,
    what: &'static str,
) -> Result<Bytes, UpstreamFault> {
    if let Some((fault, failed_at)) = &discovered.failed
        && ctx.now < failed_at.plus(AGAIN_AFTER)
    {
        return Err(fault.clone());
    }
    let answer = fetch(ctx, url, None)
        .await
        .and_then(OutboundResponse::successful)
        .map(|answer| answer.body)
        .map_err(|error| failed(ctx, upstream, what, &error));
    remember(ctx, discovered, answer)
}

/// Notes a failure for those who come next.
fn remember<T>(
    ctx: &Ctx,
    discovered: &mut Discovered,
    read: Result<T, UpstreamFault>,
) -> Result<T, UpstreamFault> {
    discovered.failed = read.as_ref().err().map(|fault| (fault.clone(), ctx.now));
    read
}

/// The provider's keys; `fresh` asks for keys that were read a moment ago.
async fn keys(
    ctx: &Ctx,
    upstream: &Upstream,
    metadata: &ProviderMetadata,
    fresh: bool,
) -> Result<Arc<Jwks>, UpstreamFault> {
    let mut discovered = upstream.discovered.lock().await;
    if let Some((keys, read_at)) = &discovered.keys {
        let believed = if fresh { KEYS_AGAIN_AFTER } else { KEPT };
        if ctx.now < read_at.plus(believed) {
            return Ok(Arc::clone(keys));
        }
    }
    let address = metadata
        .jwks_uri
        .as_ref()
        .ok_or(UpstreamFault::Keys("the provider names no key set"))?;
    let what = "its key set cannot be read";
    let body = read_once(ctx, upstream, &mut discovered, address.as_str(), what).await?;
    let keys = Arc::new(remember(ctx, &mut discovered, Jwks::parse(&body))?);
    discovered.keys = Some((Arc::clone(&keys), ctx.now));
    Ok(keys)
}

async fn fetch(
    ctx: &Ctx,
    url: &str,
    bearer: Option<&Secret>,
) -> Result<OutboundResponse, OutboundError> {
    let outbound = &ctx.shared.outbound;
    upstream::fetch(outbound, url, bearer, outbound.usual()).await
}

async fn ask_tokens(
    ctx: &Ctx,
    upstream: &Upstream,
    metadata: &ProviderMetadata,
    form: &UpstreamForm,
) -> Result<UpstreamTokenResponse, UpstreamFault> {
    let (outbound, url) = (&ctx.shared.outbound, metadata.token_endpoint.as_str());
    let answer = upstream::ask_tokens(outbound, url, form, outbound.usual())
        .await
        .map_err(|error| failed(ctx, upstream, "its token endpoint does not answer", &error))?;
    UpstreamTokenResponse::parse(answer.status.as_u16(), &answer.body)
}

/// Exchanges a code.
pub(super) async fn exchange(
    ctx: &Ctx,
    upstream: &Upstream,
    metadata: &ProviderMetadata,
    code: &Secret,
    redirect_uri: &str,
    verifier: &Secret,
) -> Result<UpstreamTokenResponse, UpstreamFault> {
    let form = exchange_form(
        &upstream.provider,
        upstream.secret.as_ref(),
        code,
        redirect_uri,
        verifier,
        ctx.now,
    )?;
    ask_tokens(ctx, upstream, metadata, &form).await
}

/// Asks for a new access token.
pub(super) async fn refresh(
    ctx: &Ctx,
    upstream: &Upstream,
    metadata: &ProviderMetadata,
    refresh_token: &str,
) -> Result<UpstreamTokenResponse, UpstreamFault> {
    let form = refresh_form(
        &upstream.provider,
        upstream.secret.as_ref(),
        refresh_token,
        ctx.now,
    )?;
    ask_tokens(ctx, upstream, metadata, &form).await
}

/// Who signed in there.
pub(super) async fn identity(
    ctx: &Ctx,
    upstream: &Upstream,
    metadata: &ProviderMetadata,
    tokens: &UpstreamTokenResponse,
    pending: &Pending,
) -> Result<UpstreamIdentity, UpstreamFault> {
    let provider = &upstream.provider;
    if !provider.is_openid() {
        let about = userinfo(ctx, upstream, metadata, &tokens.access_token).await?;
        let identity = UpstreamIdentity::of_userinfo(provider, &about)?;
        let Some(address) = provider.emails_url() else {
            return Ok(identity);
        };
        let answer = ask_person(ctx, upstream, address.as_str(), &tokens.access_token).await?;
        let list: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| UpstreamFault::UserInfo("the list of addresses is not JSON"))?;
        return Ok(identity.with_emails(provider, &list));
    }
    let token = tokens
        .id_token
        .as_ref()
        .ok_or(UpstreamFault::TokenResponse("no ID token"))?;
    let expected = ExpectedIdToken::of_exchange(
        provider,
        &pending.nonce,
        tokens.access_token.reveal(),
        pending.signed_in,
    );
    let checked = check_id_token(ctx, upstream, metadata, token.reveal(), &expected).await?;
    if metadata.userinfo_endpoint.is_none() || !wants_userinfo(provider, &checked) {
        return UpstreamIdentity::of_openid(provider, &checked, None);
    }
    let about = userinfo(ctx, upstream, metadata, &tokens.access_token).await?;
    UpstreamIdentity::of_openid(provider, &checked, Some(&about))
}

/// Checks an ID token; one that names a key that we do not know is held against fresh keys once.
pub(super) async fn check_id_token(
    ctx: &Ctx,
    upstream: &Upstream,
    metadata: &ProviderMetadata,
    token: &str,
    expected: &ExpectedIdToken<'_>,
) -> Result<UpstreamClaims, UpstreamFault> {
    let known = keys(ctx, upstream, metadata, false).await?;
    match id_token::verify(token, &known, metadata, expected, ctx.now) {
        Err(fault) if fault.wants_fresh_keys() => {
            let fresh = keys(ctx, upstream, metadata, true).await?;
            id_token::verify(token, &fresh, metadata, expected, ctx.now)
        }
        checked => checked,
    }
}

async fn userinfo(
    ctx: &Ctx,
    upstream: &Upstream,
    metadata: &ProviderMetadata,
    access_token: &Secret,
) -> Result<serde_json::Map<String, Value>, UpstreamFault> {
    let address = metadata
        .userinfo_endpoint
        .as_ref()
        .ok_or(UpstreamFault::UserInfo(
            "the provider names no endpoint for it",
        ))?;
    let answer = ask_person(ctx, upstream, address.as_str(), access_token).await?;
    parse_userinfo(&answer.body)
}

/// Asks about the person; a provider that fails is asked again after a moment.
async fn ask_person(
    ctx: &Ctx,
    upstream: &Upstream,
    url: &str,
    access_token: &Secret,
) -> Result<OutboundResponse, UpstreamFault> {
    let what = "its user info does not answer";
    let outbound = &ctx.shared.outbound;
    match upstream::ask_person(outbound, url, access_token, outbound.usual()).await {
        Ok(answer) if answer.status.is_success() => Ok(answer),
        Ok(answer) if answer.status.is_server_error() => Err(UpstreamFault::Unavailable(what)),
        Ok(_) => Err(UpstreamFault::UserInfo("a status other than 200")),
        Err(error) => Err(failed(ctx, upstream, what, &error)),
    }
}

/// Whether the provider still takes an access token; a provider that cannot be asked does not say no.
pub(super) async fn is_valid(
    ctx: &Ctx,
    metadata: &ProviderMetadata,
    access_token: &Secret,
) -> bool {
    let Some(address) = &metadata.userinfo_endpoint else {
        return true;
    };
    match fetch(ctx, address.as_str(), Some(access_token)).await {
        Ok(answer) => answer.status != http::StatusCode::UNAUTHORIZED,
        Err(_) => true,
    }
}
