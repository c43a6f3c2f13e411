//! The way to a provider: one row that can be used once, and the address to send the browser to.
//!
//! Unlike our own dialogue, what has to be remembered does not travel in the address: providers bound the length of `state`, and an
//! answer must count once. So it is a row, sealed, short-lived, and bounded by what one network may start.

use crate::http::context::Ctx;
use crate::http::peer::Network;
use crate::http::projects::{Upstream, callback_path};
use crate::http::reply::Failure;
use crate::http::seal::Purpose;
use crate::http::throttle::{Key, Kind, RetryAfter};
use serde::{Deserialize, Serialize};
use vestibule_core::id::{SessionId, TenantId};
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::relying_party::fault::UpstreamFault;
use vestibule_core::relying_party::provider::Provider;
use vestibule_core::relying_party::request::{
    Freshness, SignedInSince, UpstreamAsk, authorization_url,
};
use vestibule_core::secret::{Handle, HandleKind, Secret};
use vestibule_core::time::Lifetime;
use vestibule_store::Committed;

/// How long a person may take at the provider.
const LIFETIME: Lifetime = Lifetime::minutes(10);

/// What somebody went to the provider for.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Errand {
    /// To sign in on the hosted pages; the sealed dialogue, if an app asked.
    #[serde(rename = "h")]
    Hosted {
        /// The dialogue as it stands in addresses.
        #[serde(rename = "r")]
        request: Option<String>,
    },
    /// For an app of the project API.
    #[serde(rename = "p")]
    Project {
        /// The app's request.
        #[serde(rename = "q")]
        params: String,
        /// The session to whose person the provider is linked, where that was asked.
        #[serde(rename = "l")]
        link: Option<SessionId>,
        /// The address under which the app reached us.
        #[serde(rename = "b")]
        base: String,
    },
}

/// What is remembered while a person is at the provider.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// The provider.
    #[serde(rename = "i")]
    pub(crate) provider: String,
    /// What proves at the token endpoint that we asked.
    #[serde(rename = "v")]
    pub(crate) verifier: String,
    /// What the ID token must repeat.
    #[serde(rename = "n")]
    pub(crate) nonce: String,
    /// Our callback as it was sent.
    #[serde(rename = "u")]
    pub(crate) redirect_uri: String,
    /// Scopes besides the provider's own.
    #[serde(rename = "s")]
    pub(crate) extra_scopes: ScopeSet,
    /// The browser that must bring the answer; none where the app's script asked and the browser is not known (seed 001, JSON).
    #[serde(rename = "w")]
    pub(crate) browser: Option<String>,
    /// The origin that it left from: its cookie is there and nowhere else.
    #[serde(rename = "o")]
    pub(crate) origin: String,
    /// When the person must have proved there who they are; any time will do where nobody asked.
    #[serde(rename = "a")]
    pub(crate) signed_in: Option<SignedInSince>,
    /// What for.
    #[serde(rename = "e")]
    pub(crate) errand: Errand,
}

/// What one departure adds to the provider's settings.
pub(crate) struct Departure<'a> {
    /// The browser that leaves, if it is known.
    pub(crate) browser: Option<&'a str>,
    /// What for.
    pub(crate) errand: Errand,
    /// Scopes besides the provider's own.
    pub(crate) extra_scopes: ScopeSet,
    /// Whom the app expects.
    pub(crate) login_hint: Option<&'a str>,
    /// How recently the app wants them to have proved who they are.
    pub(crate) freshness: Freshness,
}

/// Why nobody leaves.
#[derive(Debug)]
pub(crate) enum Stay {
    /// Too many left from this network.
    Throttled(RetryAfter),
    /// The provider cannot be asked.
    Fault(UpstreamFault),
}

/// The address to register at the provider.
pub(crate) fn callback_address(ctx: &Ctx, provider: &Provider) -> String {
    provider.callback_url.as_ref().map_or_else(
        || {
            let path = callback_path(provider.id.as_str());
            ctx.tenant.tenant.issuer.join(&path)
        },
        |url| url.as_str().to_owned(),
    )
}

/// What a pending request is sealed for: its tenant and its row.
pub(super) fn belongs_to(tenant: TenantId, row: &[u8; 16]) -> Vec<u8> {
    [tenant.bytes().as_slice(), row].concat()
}

/// Remembers why somebody leaves and gives the address at the provider to send the browser to.
pub(crate) async fn depart(
    ctx: &Ctx,
    upstream: &Upstream,
    departure: Departure<'_>,
) -> Result<Result<String, Stay>, Failure> {
    let tenant = ctx.tenant.tenant.id;
    let network = Network::of(ctx.address);
    let key = Key::of(&[tenant.bytes(), &network.octets()]);
    let throttle = &ctx.shared.throttle;
    if let Err(wait) = throttle.check(Kind::UpstreamDeparture, key, ctx.now_millis) {
        return Ok(Err(Stay::Throttled(wait)));
    }
    let metadata = match super::calls::metadata(ctx, upstream).await {
        Ok(metadata) => metadata,
        Err(fault) => {
            log_fault(ctx, &upstream.provider, &fault);
            return Ok(Err(Stay::Fault(fault)));
        }
    };
    let provider = &upstream.provider;
    let state = Handle::mint(HandleKind::UpstreamState, ctx.now, ctx.chance());
    let (verifier, nonce) = (Secret::random(ctx.chance()), Secret::random(ctx.chance()));
    let pending = Pending {
        provider: provider.id.as_str().to_owned(),
        verifier: verifier.reveal().to_owned(),
        nonce: nonce.reveal().to_owned(),
        redirect_uri: callback_address(ctx, provider),
        extra_scopes: departure.extra_scopes,
        browser: departure.browser.map(str::to_owned),
        origin: ctx.origin.clone(),
        signed_in: departure.freshness.expected(provider, ctx.now),
        errand: departure.errand,
    };
    let location = authorization_url(
        provider,
        &metadata,
        &UpstreamAsk {
            redirect_uri: &pending.redirect_uri,
            state: &state.reveal(),
            nonce: &nonce,
            verifier: &verifier,
            extra_scopes: &pending.extra_scopes,
            login_hint: departure.login_hint,
            freshness: departure.freshness,
        },
    );
    let plain = serde_json::to_vec(&pending)
        .map_err(|_| Failure::Internal("a pending request that is no JSON"))?;
    let sealed = ctx
        .shared
        .root_key
        .seal(
            Purpose::UpstreamRequests,
            &belongs_to(tenant, state.id()),
            &plain,
        )
        .map_err(|_| Failure::Internal("a pending request cannot be sealed"))?;
    let unit = ctx
        .store()
        .unit()
        .insert_upstream_request(&state, &sealed, ctx.now.plus(LIFETIME));
    let _: Committed = ctx.store().commit(unit).await?;
    Ok(Ok(location))
}

/// A provider that failed us, for our log.
pub(crate) fn log_fault(ctx: &Ctx, provider: &Provider, fault: &UpstreamFault) {
    tracing::warn!(
        reference = ctx.reference,
        tenant = ctx.tenant.tenant.slug,
        provider = %provider.id,
        detail = %fault,
        "a provider's answer was refused"
    );
}
