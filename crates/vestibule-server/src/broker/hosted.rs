//! Sign-in through a provider from the hosted pages: the button's address, and the way back to the hub.

use super::arrival::{Arrival, Settled, Trouble, settle};
use super::departure::{Departure, Errand, Stay, depart};
use crate::http::context::Ctx;
use crate::http::interaction;
use crate::http::reply::{self, Failure, Reply};
use crate::http::session::{self, Proof};
use crate::ui::words;
use http::StatusCode;
use http::header::{self, HeaderValue};
use std::sync::Arc;
use vestibule_core::identity::acr::Amr;
use vestibule_core::identity::linking::{Intent, LinkRefusal};
use vestibule_core::oauth::interaction::Facts;
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::relying_party::fault::UpstreamFault;
use vestibule_core::relying_party::request::Freshness;

/// `GET /sign-in/with/{provider}`.
pub(crate) async fn begin(ctx: &Ctx, provider: &str) -> Result<Reply, Failure> {
    let dialogue = match interaction::open_spoke(ctx).await? {
        Ok(dialogue) => dialogue,
        Err(reply) => return Ok(reply),
    };
    // T33: another site must not choose with whom somebody signs in here.
    let site = ctx.headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Ok(reply::error_page(
            ctx,
            StatusCode::FORBIDDEN,
            &words::FORM_REFUSED,
            None,
        ));
    }
    let project = ctx.tenant.project(&ctx.shared).await?;
    let Some(upstream) = project
        .upstream(provider)
        .filter(|upstream| upstream.provider.sign_in)
        .map(Arc::clone)
    else {
        return Ok(reply::error_page(
            ctx,
            StatusCode::NOT_FOUND,
            &words::NOT_FOUND,
            None,
        ));
    };
    let (browser, cookie) = session::ensure_browser(ctx);
    let request = dialogue.as_ref().map(|(_, sealed)| sealed.clone());
    let hint = dialogue
        .as_ref()
        .and_then(|(dialogue, _)| dialogue.request.login_hint.as_deref());
    let departure = Departure {
        browser: Some(&browser),
        errand: Errand::Hosted {
            request: request.clone(),
        },
        extra_scopes: ScopeSet::default(),
        login_hint: hint,
        freshness: dialogue
            .as_ref()
            .map(|(dialogue, _)| {
                Freshness::new(dialogue.request.prompt.login, dialogue.request.max_age)
            })
            .unwrap_or_default(),
    };
    let mut reply = match depart(ctx, &upstream, departure).await? {
        Ok(location) => reply::redirect(StatusCode::SEE_OTHER, &location)?,
        Err(Stay::Throttled(wait)) => {
            let mut reply = reply::error_page(
                ctx,
                StatusCode::TOO_MANY_REQUESTS,
                &words::SERVER_BUSY,
                None,
            );
            reply
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(wait.0));
            reply
        }
        Err(Stay::Fault(_)) => back_to_sign_in(ctx, request.as_deref(), "unavailable")?,
    };
    if let Some(cookie) = cookie {
        reply::set_cookie(&mut reply, &cookie);
    }
    Ok(reply)
}

/// Somebody who left from the hosted pages is back.
pub(crate) async fn finish(ctx: &Ctx, arrival: Arrival) -> Result<Reply, Failure> {
    let Errand::Hosted { request } = &arrival.pending.errand else {
        return Err(Failure::Internal("an errand of the project API"));
    };
    let Some(browser) = session::browser(ctx) else {
        return Err(Failure::Internal("a hosted sign-in without a browser"));
    };
    let (upstream, told) = match &arrival.told {
        Ok(told) => told,
        Err(trouble) => return back_to_sign_in(ctx, request.as_deref(), problem(trouble)),
    };
    let dialogue = match request {
        None => None,
        Some(sealed) => match interaction::open(ctx, sealed).await? {
            Ok(dialogue) => Some(dialogue),
            // The hub says what is wrong with it.
            Err(_) => return reply::see_other(ctx, &format!("/oauth/authorize/{sealed}")),
        },
    };
    let people = session::people(ctx, "").await?;
    let mut signed_in = None;
    let settled = settle(
        ctx,
        upstream,
        told,
        Intent::SignIn,
        |unit, settled: Settled| {
            let proof = Proof {
                auth_time: told.identity.proved_at(ctx.now),
                amr: vec![Amr::Federated],
            };
            let sign_in = session::sign_in_by(ctx, &people, settled.user_id, proof, unit);
            let unit = sign_in.unit.clone();
            signed_in = Some(sign_in);
            unit
        },
    )
    .await?;
    let settled = match settled {
        Ok(settled) => settled,
        Err(trouble) => return back_to_sign_in(ctx, request.as_deref(), problem(&trouble)),
    };
    let sign_in = signed_in.ok_or(Failure::Internal("a sign-in without a session"))?;
    tracing::info!(
        reference = ctx.reference,
        tenant = ctx.tenant.tenant.slug,
        user = %settled.user_id,
        provider = %upstream.provider.id,
        new = settled.is_new,
        "signed in through a provider"
    );
    let mut reply = match dialogue {
        Some(mut dialogue) => {
            dialogue.facts = Facts {
                signed_in: Some(sign_in.session_id),
                ..Facts::default()
            };
            interaction::to_hub(ctx, &dialogue, &browser)?
        }
        None => reply::see_other(ctx, "/")?,
    };
    reply::set_cookie(&mut reply, &sign_in.cookie);
    Ok(reply)
}

/// What the sign-in page is told; it has the words ([`words::upstream_problem`]).
fn problem(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::TimedOut => "too-late",
        Trouble::Gone => "not-offered",
        Trouble::Fault(fault) if fault.is_denial() => "refused",
        Trouble::Fault(fault) if fault.is_temporary() => "unavailable",
        Trouble::Fault(UpstreamFault::SignInAge) => "too-old",
        Trouble::Fault(_) | Trouble::Overtaken => "failed",
        Trouble::Refused(refusal, _) => match refusal {
            LinkRefusal::ProviderNotEnabled | LinkRefusal::NotForSignIn => "not-offered",
            LinkRefusal::PersonDisabled | LinkRefusal::PersonGone => "not-allowed",
            LinkRefusal::SignUpClosed => "no-account",
            LinkRefusal::EmailInUse { .. } => "address-in-use",
            LinkRefusal::ConnectedToAnother => "somebody-elses",
        },
    }
}

fn back_to_sign_in(ctx: &Ctx, request: Option<&str>, problem: &str) -> Result<Reply, Failure> {
    let request = request
        .map(|request| format!("request={request}&"))
        .unwrap_or_default();
    reply::see_other(ctx, &format!("/sign-in?{request}problem={problem}"))
}
