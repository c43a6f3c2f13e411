//! The ID token that an app on an Apple device got by itself (seed 001).

use super::Answer;
use super::access::Access;
use super::asked::{Stop, answer};
use super::body::{Fields, said};
use super::envelope;
use super::issue::{Begun, begin};
use super::oauth::known_error;
use super::token::mint;
use crate::broker::arrival::{receive_natively, settle};
use crate::broker::departure::log_fault;
use crate::http::context::Ctx;
use crate::http::reply::{Failure, Reply};
use serde_json::json;
use vestibule_core::identity::linking::Intent;
use vestibule_core::oauth::known_error::KnownError;
use vestibule_core::relying_party::fault::UpstreamFault;
use vestibule_store::users::UserSummary;

/// What a provider is called that is Apple, whatever its id.
const APPLE: &str = "apple";

/// `POST /auth/oauth/callback/apple/native`.
pub(super) async fn sign_in(ctx: &Ctx, access: &Access, _parts: &[&str]) -> Answer {
    answer(ctx, signed_in(ctx, access).await)
}

async fn signed_in(ctx: &Ctx, access: &Access) -> Result<Reply, Stop> {
    let mut fields = Fields::read(ctx, "POST /api/v1/auth/oauth/callback/apple/native")?;
    let id_token = fields.required("id_token");
    // Ours: the seed's product takes no nonce, and an app that sends one gets it checked.
    let nonce = fields.text("nonce");
    fields.finish()?;
    let id_token = said(id_token)?;
    let upstream = access
        .project
        .upstreams
        .iter()
        .find(|upstream| upstream.provider.kind == APPLE)
        .ok_or(KnownError::OAuthProviderNotFoundOrNotEnabled)?;
    if upstream.provider.apple_bundle_ids.is_empty() {
        return Err(KnownError::AppleBundleIdNotConfigured.into());
    }
    let told = match receive_natively(ctx, upstream, &id_token, nonce.as_deref()).await {
        Ok(told) => told,
        Err(fault) => {
            log_fault(ctx, &upstream.provider, &fault);
            return Err(refusal(&fault).into());
        }
    };
    let mut begun: Option<Begun> = None;
    let settled = settle(ctx, upstream, &told, Intent::SignIn, |unit, settled| {
        let proved_at = told.identity.proved_at(ctx.now);
        let session = begin(ctx, &access.project, settled.user_id, proved_at);
        let unit = session.add(unit, ctx.now);
        begun = Some(session);
        unit
    })
    .await?;
    let settled = settled.map_err(|trouble| known_error(&trouble))?;
    let begun = begun.ok_or(Failure::Internal("a sign-in without a session"))?;
    let UserSummary { record, times, .. } = ctx
        .store()
        .user_summary(settled.user_id)
        .await?
        .ok_or(KnownError::UserNotFound)?;
    let person = (&record.user, times.created_at);
    tracing::info!(
        reference = ctx.reference,
        tenant = ctx.tenant.tenant.slug,
        user = %settled.user_id,
        provider = %upstream.provider.id,
        new = settled.is_new,
        "signed in with an ID token of Apple"
    );
    Ok(envelope::json(&json!({
        "access_token": mint(ctx, &begun.family, person).await?,
        "refresh_token": begun.refresh_token.reveal().reveal(),
        "user_id": settled.user_id,
        "is_new_user": settled.is_new,
    })))
}

/// What is wrong with the token is the app's to hear; that Apple cannot be asked for its keys is not the token's fault.
fn refusal(fault: &UpstreamFault) -> KnownError {
    match fault {
        UpstreamFault::Unavailable(_) | UpstreamFault::Discovery(_) | UpstreamFault::Keys(_) => {
            KnownError::OAuthProviderTemporarilyUnavailable
        }
        _ => KnownError::InvalidAppleCredentials,
    }
}
