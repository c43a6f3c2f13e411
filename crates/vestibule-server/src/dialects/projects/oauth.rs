//! `/auth/oauth/authorize/{provider}` and `/auth/oauth/callback/{provider}`: the outer request around the inner one.

use super::Answer;
use super::access::{Person, choose_project, person};
use super::asked::{answer, spare_operator_of};
use super::envelope;
use super::sessions::standing_session;
use crate::broker::arrival::{Arrival, Settled, Stray, Told, Trouble, foresee, receive, settle};
use crate::broker::departure::{Departure, Errand, Stay, depart};
use crate::broker::hosted;
use crate::http::context::Ctx;
use crate::http::projects::{Project, Upstream, callback_path};
use crate::http::reply::{self, Failure, Reply};
use crate::http::session;
use crate::ui::words::{self, ErrorWords};
use http::header::{self, HeaderValue};
use http::{Method, StatusCode};
use serde_json::json;
use std::sync::Arc;
use vestibule_core::id::{CodeId, SessionId};
use vestibule_core::identity::acr::{Acr, Amr};
use vestibule_core::identity::api_key::KeyTier;
use vestibule_core::identity::linking::Intent;
use vestibule_core::identity::session::Session;
use vestibule_core::oauth::claims::ClaimsRequest;
use vestibule_core::oauth::code::{AuthorizationCode, CodeStage};
use vestibule_core::oauth::known_error::{KnownError, code_redirect};
use vestibule_core::oauth::outer::{
    OUTER_PARAMETERS, OuterRequest, OuterResponseMode, OuterType, ProjectRules, error_address,
};
use vestibule_core::oauth::params::Params;
use vestibule_core::oauth::pkce::CodeChallenge;
use vestibule_core::oauth::project::{OuterOutcome, PendingLink};
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::oauth::token::Authorization;
use vestibule_core::relying_party::callback;
use vestibule_core::relying_party::request::Freshness;
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_core::time::Timestamp;
use vestibule_store::{Committed, TenantUnit};

/// `GET /auth/oauth/authorize/{provider}`.
pub(super) async fn authorize(ctx: &mut Ctx, provider: &str) -> Answer {
    let Ok(params) = ctx.query_params() else {
        return Ok(Err(KnownError::SchemaError {
            place: place(provider),
            problems: vec!["the query cannot be read".to_owned()],
        }));
    };
    // At the root, the client id says which project this is; whatever is wrong with it is said with the rest.
    if let Some(id) = params.get("client_id") {
        let id = id.split('#').next().unwrap_or_default().to_owned();
        let _ = choose_project(ctx, &id).await?;
    }
    let project = Arc::clone(ctx.tenant.project(&ctx.shared).await?);
    let enabled = project.upstream(provider).is_some();
    let request = match parse(ctx, &project, provider, &params, enabled) {
        Ok(request) => request,
        Err(error) => return Ok(refuse(ctx, error)),
    };
    let Some(upstream) = project.upstream(provider) else {
        return Ok(refuse(ctx, KnownError::OAuthProviderNotFoundOrNotEnabled));
    };
    let as_json = request.response_mode == OuterResponseMode::Json;
    let link = match &request.kind {
        // Whoever came back would be refused.
        OuterType::Authenticate if !upstream.provider.sign_in => {
            return Ok(refuse(ctx, KnownError::OAuthProviderNotFoundOrNotEnabled));
        }
        OuterType::Authenticate => None,
        OuterType::Link(token) => match person(ctx, token.reveal()).await? {
            Ok(Person { user, token }) => {
                if let Err(stop) = spare_operator_of(ctx, user.id).await {
                    return answer(ctx, Err(stop));
                }
                Some(token.session_id)
            }
            Err(error) => return Ok(refuse(ctx, error)),
        },
    };
    // An app's script asks without our cookies, so only a browser that comes by itself can be held to come back.
    let (browser, cookie) = session::ensure_browser(ctx);
    let departure = Departure {
        browser: (!as_json).then_some(browser.as_str()),
        errand: Errand::Project {
            params: params.encode(OUTER_PARAMETERS),
            link,
            base: format!("{}{}", ctx.origin, ctx.base_path),
        },
        extra_scopes: request.provider_scope.clone(),
        login_hint: None,
        freshness: Freshness::default(),
    };
    let location = match depart(ctx, upstream, departure).await? {
        Ok(location) => location,
        Err(Stay::Throttled(wait)) => {
            let mut reply = envelope::words(
                ctx,
                StatusCode::TOO_MANY_REQUESTS,
                "Too many sign-ins from this network. Try again in a moment.",
            );
            reply
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(wait.0));
            return Ok(Ok(reply));
        }
        Err(Stay::Fault(fault)) => return Ok(refuse(ctx, fault.known_error())),
    };
    if as_json {
        return Ok(Ok(envelope::json(&json!({ "location": location }))));
    }
    let mut reply = reply::redirect(StatusCode::TEMPORARY_REDIRECT, &location)?;
    if let Some(cookie) = cookie {
        reply::set_cookie(&mut reply, &cookie);
    }
    Ok(Ok(reply))
}

fn place(provider: &str) -> String {
    format!("GET /api/v1/auth/oauth/authorize/{provider}")
}

fn parse(
    ctx: &Ctx,
    project: &Project,
    provider: &str,
    params: &Params,
    provider_enabled: bool,
) -> Result<OuterRequest, KnownError> {
    let tenant = &ctx.tenant.tenant;
    let accepts_key = |key: &str| project.opens(KeyTier::Publishable, key, ctx.now);
    let rules = ProjectRules {
        tenant_id: tenant.id,
        policy: &tenant.policy,
        trusted: &project.trusted,
        served: &ctx.tenant.served,
        accepts_key: &accepts_key,
        provider_enabled,
        place: &place(provider),
    };
    OuterRequest::parse(params, &rules)
}

/// A person's browser gets a page, a script gets JSON; the status and the headers are the same.
fn refuse(ctx: &Ctx, error: KnownError) -> Result<Reply, KnownError> {
    let accept = ctx.header(&header::ACCEPT).unwrap_or_default();
    let navigates = ctx
        .headers
        .get("sec-fetch-dest")
        .is_some_and(|dest| dest == "document");
    if !navigates && !accept.contains("text/html") {
        return Err(error);
    }
    Ok(refusal_page(ctx, &error))
}

fn refusal_page(ctx: &Ctx, error: &KnownError) -> Reply {
    let developer = vestibule_core::oauth::error::OAuthError::quoting(
        error.oauth_code(),
        &format!("{}: {}", error.code(), error.message()),
    );
    let plain = envelope::known_error(ctx, error);
    let words = if *error == KnownError::OAuthProviderTemporarilyUnavailable {
        &words::PROVIDER_UNAVAILABLE
    } else {
        &words::BROKEN_REQUEST
    };
    let mut page = reply::error_page(ctx, plain.status(), words, Some(&developer));
    for (name, value) in plain.headers() {
        if name.as_str().starts_with("x-") && name != header::X_FRAME_OPTIONS {
            page.headers_mut().insert(name, value.clone());
        }
    }
    page
}

/// `GET` and `POST /auth/oauth/callback/{provider}`: for the project API and for the hosted pages alike.
pub(super) async fn callback(ctx: &mut Ctx, provider: &str) -> Answer {
    let posted = ctx.method == Method::POST;
    let said: &[u8] = if posted {
        &ctx.body
    } else {
        ctx.query.as_deref().unwrap_or_default().as_bytes()
    };
    let is_readable = !posted || ctx.has_media_type("application/x-www-form-urlencoded");
    let Some(params) = callback::read(said).ok().filter(|_| is_readable) else {
        return Ok(Ok(stray_page(ctx, &words::BROKEN_ANSWER)));
    };
    let arrival = match receive(ctx, provider, &params).await? {
        Ok(arrival) => arrival,
        Err(stray) => {
            let words = match stray {
                Stray::Unknown => &words::BROKEN_ANSWER,
                Stray::Replayed => &words::EXPIRED_LINK,
                Stray::OtherBrowser => &words::OTHER_BROWSER,
                Stray::Elsewhere(base) => return Ok(Ok(bounce(&base, provider, &params)?)),
                // A form that another site posts brings no Lax cookie; the same by GET does.
                Stray::NoCookie if posted => {
                    return Ok(Ok(bounce(&ctx.base_path, provider, &params)?));
                }
                Stray::NoCookie => &words::COOKIES_REFUSED,
            };
            return Ok(Ok(stray_page(ctx, words)));
        }
    };
    match arrival.pending.errand.clone() {
        Errand::Hosted { .. } => Ok(Ok(hosted::finish(ctx, arrival).await?)),
        Errand::Project { params, link, base } => {
            let params = Params::parse(params.as_bytes())
                .map_err(|_| Failure::Internal("a request that was kept is no query"))?;
            finish(ctx, provider, &arrival, &params, link, &base).await
        }
    }
}

fn stray_page(ctx: &Ctx, words: &ErrorWords) -> Reply {
    reply::error_page(ctx, StatusCode::BAD_REQUEST, words, None)
}

/// The same answer by GET, at the same callback below another base of the tenant's or this one.
fn bounce(base: &str, provider: &str, params: &Params) -> Result<Reply, Failure> {
    let query = params.encode(&["code", "state", "error", "error_description", "iss", "user"]);
    let location = format!("{base}{}?{query}", callback_path(provider));
    reply::redirect(StatusCode::SEE_OTHER, &location)
}

/// The answer to the app: a code, or what went wrong.
async fn finish(
    ctx: &Ctx,
    provider: &str,
    arrival: &Arrival,
    params: &Params,
    wanted: Option<SessionId>,
    iss: &str,
) -> Answer {
    let project = Arc::clone(ctx.tenant.project(&ctx.shared).await?);
    let state = params.get("state").unwrap_or_default();
    let to_app = |error: &KnownError| -> Answer {
        // The settings may have changed meanwhile: an address that is not trusted now gets nothing.
        let Some(address) = error_address(params, &project.trusted) else {
            return Ok(Ok(refusal_page(ctx, error)));
        };
        tracing::info!(
            reference = ctx.reference,
            tenant = ctx.tenant.tenant.slug,
            code = error.code(),
            "a brokered sign-in returns an error to the app"
        );
        let location = error.redirect(&address, state, iss);
        // After a 307 the browser would post the provider's form to the app (RFC 9700, 4.12).
        let status = if ctx.method == Method::POST {
            StatusCode::SEE_OTHER
        } else {
            StatusCode::TEMPORARY_REDIRECT
        };
        Ok(Ok(reply::redirect(status, &location)?))
    };
    // Also what else is not accepted now, such as a key or a scope. A provider that is gone was found out before.
    let request = match parse(ctx, &project, provider, params, true) {
        Ok(request) => request,
        Err(error) => return to_app(&error),
    };
    let linked = wanted.is_some();
    let (upstream, told) = match &arrival.told {
        Ok(told) => told,
        Err(trouble) => return to_app(&known_error(trouble)),
    };
    let code = Handle::mint(HandleKind::Code, ctx.now, ctx.chance());
    let session = Handle::mint(HandleKind::Session, ctx.now, ctx.chance());
    let proved_at = told.identity.proved_at(ctx.now);
    let settled = match wanted {
        None => {
            settle(ctx, upstream, told, Intent::SignIn, |unit, settled| {
                let handles = (&session, &code);
                let who = (settled, proved_at);
                sign_in(ctx, &project, &request, who, unit, handles)
            })
            .await?
        }
        Some(id) => {
            let Some(session) = standing_session(ctx, id).await? else {
                return to_app(&KnownError::AccessTokenExpired(None));
            };
            link(ctx, &project, &request, (upstream, told), &session, &code).await?
        }
    };
    match settled {
        Err(trouble) => to_app(&known_error(&trouble)),
        Ok(settled) => {
            tracing::info!(
                reference = ctx.reference,
                tenant = ctx.tenant.tenant.slug,
                user = %settled.user_id,
                provider = %upstream.provider.id,
                new = settled.is_new,
                linked,
                "signed in through a provider for an app"
            );
            let location = code_redirect(
                &request.redirect_uri,
                code.reveal().reveal(),
                &request.state,
                iss,
            );
            Ok(Ok(reply::redirect(StatusCode::SEE_OTHER, &location)?))
        }
    }
}

/// A session that lives as long as the app's refresh token, whose handle nobody gets, and the code that leads to it.
fn sign_in(
    ctx: &Ctx,
    project: &Project,
    request: &OuterRequest,
    (settled, proved_at): (Settled, Timestamp),
    unit: TenantUnit,
    (session, code): (&Handle, &Handle),
) -> TenantUnit {
    let policy = &project.client.policy;
    let session_row = Session {
        id: SessionId::from_bytes(*session.id()),
        user_id: settled.user_id,
        auth_time: proved_at,
        acr: Acr::SingleFactor,
        amr: vec![Amr::Federated],
        used_at: ctx.now,
        expires_at: ctx.now.plus(policy.refresh_token_lifetime),
    };
    let authorization = approved(request, &session_row, settled.is_new, None);
    let proof = (request.redirect_uri_sent.clone(), request.challenge);
    let row = project_code(ctx, project, code, proof, authorization);
    unit.insert_session(&session_row, &session.digest())
        .insert_code(&row)
}

/// The code for a link. What it gives belongs to the session of the access token that asked: that token alone makes nothing that
/// outlasts it.
///
/// T33: whoever brought the browser here may be another than who asked. The link waits for the proof of the code's verifier.
async fn link(
    ctx: &Ctx,
    project: &Project,
    request: &OuterRequest,
    (upstream, told): (&Upstream, &Told),
    session: &Session,
    code: &Handle,
) -> Result<Result<Settled, Trouble>, Failure> {
    let intent = Intent::of_link(session.user_id, session.auth_time, ctx.now);
    if let Err(trouble) = foresee(ctx, upstream, told, intent).await? {
        return Ok(Err(trouble));
    }
    let link = PendingLink {
        provider: upstream.provider.id.as_str().to_owned(),
        sealed: told.seal(ctx, code.id())?,
    };
    // `offline_access` would outlive the session.
    let mut scope = ScopeSet::default();
    for name in request
        .scope
        .iter()
        .filter(|name| *name != "offline_access")
    {
        scope.insert(name);
    }
    let authorization = Authorization {
        scope,
        ..approved(request, session, false, Some(link))
    };
    let proof = (request.redirect_uri_sent.clone(), request.challenge);
    let row = project_code(ctx, project, code, proof, authorization);
    let unit = ctx.store().unit().insert_code(&row);
    let _: Committed = ctx.store().commit(unit).await?;
    Ok(Ok(Settled {
        user_id: session.user_id,
        is_new: false,
    }))
}

/// What a code of this request stands on.
fn approved(
    request: &OuterRequest,
    session: &Session,
    is_new_user: bool,
    link: Option<PendingLink>,
) -> Authorization {
    let after = request.after_callback_redirect_url.as_ref();
    Authorization {
        user_id: session.user_id,
        session_id: session.id,
        grant_id: None,
        scope: request.scope.clone(),
        claims: ClaimsRequest::default(),
        resources: Vec::new(),
        auth_time: session.auth_time,
        acr: session.acr,
        amr: session.amr.clone(),
        nonce: None,
        outer: Some(OuterOutcome {
            is_new_user,
            after_callback_redirect_url: after.map(|url| url.as_str().to_owned()),
            link,
        }),
    }
}

/// A code of the project API. Its redeemer repeats the redirect URI and proves to know what is behind the challenge.
pub(super) fn project_code(
    ctx: &Ctx,
    project: &Project,
    code: &Handle,
    (redirect_uri, challenge): (String, CodeChallenge),
    authorization: Authorization,
) -> AuthorizationCode {
    AuthorizationCode {
        id: CodeId::from_bytes(*code.id()),
        digest: code.digest(),
        client_id: project.client.id.as_str().to_owned(),
        redirect_uri: Some(redirect_uri),
        challenge: Some(challenge),
        authorization,
        expires_at: ctx.now.plus(project.client.policy.code_lifetime),
        stage: CodeStage::Issued,
    }
}

pub(super) fn known_error(trouble: &Trouble) -> KnownError {
    match trouble {
        Trouble::Overtaken => KnownError::OAuthProviderTemporarilyUnavailable,
        Trouble::TimedOut => KnownError::OuterOAuthTimeout,
        Trouble::Gone => KnownError::OAuthProviderNotFoundOrNotEnabled,
        Trouble::Fault(fault) => fault.known_error(),
        Trouble::Refused(refusal, email) => refusal.known_error(email.as_deref()),
    }
}
