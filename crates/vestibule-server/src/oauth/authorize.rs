//! The authorization endpoint and the hub of the dialogue with the person.
//!
//! `begin` accepts a request, `resume` is where every spoke returns to; both ask `interaction::next_step` what follows and carry it
//! out in [`advance`].

use crate::http::context::Ctx;
use crate::http::interaction::{self, Dialogue, NoDialogue, redirect_status, spoke};
use crate::http::reply::{self, Failure, Reply};
use crate::http::session::{self, Here};
use crate::ui::href::SafeHref;
use crate::ui::pages::FormPost;
use crate::ui::words;
use http::{Method, StatusCode};
use vestibule_core::id::{CodeId, SessionId};
use vestibule_core::oauth::authorize::{Answer, Delivery, Dialect, respond};
use vestibule_core::oauth::client::{Client, ConsentPolicy};
use vestibule_core::oauth::code::{AuthorizationCode, CodeStage};
use vestibule_core::oauth::error::{ErrorCode, OAuthError, Refusal, ReturnPath, ShowReason};
use vestibule_core::oauth::interaction::{SignedIn, Step, next_step};
use vestibule_core::oauth::params::Params;
use vestibule_core::oauth::token::Authorization;
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_store::Committed;

/// `GET` and `POST /oauth/authorize`.
pub(crate) async fn begin(ctx: &Ctx) -> Result<Reply, Failure> {
    begin_in(ctx, Dialect::Standard).await
}

/// The same under the rules of a dialect.
pub(crate) async fn begin_in(ctx: &Ctx, dialect: Dialect) -> Result<Reply, Failure> {
    if ctx.is_from_a_script() {
        let error = OAuthError::new(
            ErrorCode::InvalidRequest,
            "this endpoint is for browsers: send the person here with a redirect, not a script or a program",
        );
        return Ok(reply::refusal(
            ctx,
            StatusCode::BAD_REQUEST,
            &error,
            "oauth_authorize_request_error",
        ));
    }
    let params = match carried(ctx) {
        Ok(params) => params,
        Err(error) => return Ok(show(ctx, None, ShowReason::Malformed, &error)),
    };
    match interaction::begin(ctx, &params, dialect).await? {
        Err(refusal) => refuse(ctx, dialect, &refusal),
        // OpenID Connect Core, 3.1.2.1 permits POST. One that came from another site brought no cookie (SameSite=Lax): the hub is
        // reached by GET, where it arrives.
        Ok(dialogue) if ctx.method == Method::POST => reply::see_other(
            ctx,
            &format!("/oauth/authorize/{}", dialogue.seal(ctx, None)?),
        ),
        Ok(dialogue) => advance(ctx, dialogue).await,
    }
}

/// The parameters of query and form together: a name that stands in both is repeated (T10).
fn carried(ctx: &Ctx) -> Result<Params, OAuthError> {
    let malformed = |error: String| OAuthError::quoting(ErrorCode::InvalidRequest, &error);
    let query = ctx
        .query_params()
        .map_err(|error| malformed(error.to_string()))?;
    if ctx.method != Method::POST {
        return Ok(query);
    }
    ctx.form().map_err(|error| malformed(error.to_string()))?;
    query
        .and(&ctx.body)
        .map_err(|error| malformed(error.to_string()))
}

/// `GET /oauth/authorize/{request}`: the hub.
pub(crate) async fn resume(ctx: &Ctx, sealed: &str) -> Result<Reply, Failure> {
    match interaction::open(ctx, sealed).await? {
        Ok(dialogue) => advance(ctx, dialogue).await,
        Err(NoDialogue::Show(reply)) => Ok(reply),
        Err(NoDialogue::Refused(dialect, refusal)) => refuse(ctx, dialect, &refusal),
    }
}

/// Asks what follows and carries it out.
async fn advance(ctx: &Ctx, dialogue: Dialogue) -> Result<Reply, Failure> {
    let people = session::people(ctx, dialogue.client.id.as_str()).await?;
    let signed_in: Vec<SignedIn> = people
        .iter()
        .map(|here| here.present.signed_in.clone())
        .collect();
    let step = next_step(
        &dialogue.request,
        &dialogue.client,
        &signed_in,
        &dialogue.facts,
        interaction::house(ctx),
        ctx.now,
    );
    let path = match step {
        Step::Issue(session) => return finish(ctx, &dialogue, &people, session).await,
        Step::Refuse(error) => {
            return deliver(
                ctx,
                &dialogue.request.return_path,
                &Answer::Error(&error),
                dialogue.redirect_status(&ctx.method),
                Some(&dialogue.client),
            );
        }
        Step::Login(_) => "/sign-in",
        Step::SignUp => "/sign-up",
        Step::ChooseAccount => "/accounts",
        Step::Consent(..) => "/consent",
    };
    let (browser, cookie) = session::ensure_browser(ctx);
    let location = format!(
        "{}{}",
        ctx.base_path,
        spoke(path, &dialogue.seal(ctx, Some(&browser))?)
    );
    let mut reply = reply::redirect(dialogue.redirect_status(&ctx.method), &location)?;
    if let Some(cookie) = cookie {
        reply::set_cookie(&mut reply, &cookie);
    }
    Ok(reply)
}

/// Issues a code (OAuth 2.1, 4.1.2) and sends the person back.
async fn finish(
    ctx: &Ctx,
    dialogue: &Dialogue,
    people: &[Here],
    session: SessionId,
) -> Result<Reply, Failure> {
    let here = people
        .iter()
        .find(|here| here.present.signed_in.session.id == session)
        .ok_or(Failure::Internal("a code for a session that is not here"))?;
    let (request, client) = (&dialogue.request, &dialogue.client);
    let SignedIn { session, grant } = &here.present.signed_in;
    // What was never asked about is what the client may have; what was asked about is what was allowed.
    let allowed = match (grant, client.policy.consent) {
        (_, ConsentPolicy::Never) | (None, _) => client.scope.clone(),
        (Some(grant), ConsentPolicy::Remember | ConsentPolicy::Always) => grant.scope.clone(),
    };
    let handle = Handle::mint(HandleKind::Code, ctx.now, ctx.chance());
    let code = AuthorizationCode {
        id: CodeId::from_bytes(*handle.id()),
        digest: handle.digest(),
        client_id: client.id.as_str().to_owned(),
        redirect_uri: request.redirect_uri_sent.clone(),
        challenge: request.challenge,
        authorization: Authorization {
            user_id: session.user_id,
            session_id: session.id,
            grant_id: grant.as_ref().map(|grant| grant.id),
            scope: request.scope.clone(),
            claims: request.claims.clone().within(&allowed),
            resources: request.resources.clone(),
            auth_time: session.auth_time,
            acr: session.acr,
            amr: session.amr.clone(),
            nonce: request.nonce.clone(),
            outer: None,
        },
        expires_at: ctx.now.plus(client.policy.code_lifetime),
        stage: CodeStage::Issued,
    };
    let _: Committed = ctx
        .store()
        .commit(ctx.store().unit().insert_code(&code))
        .await?;
    let secret = handle.reveal();
    deliver(
        ctx,
        &request.return_path,
        &Answer::Code(secret.reveal()),
        dialogue.redirect_status(&ctx.method),
        Some(client),
    )
}

/// Sends an answer to the client by way of the browser.
fn deliver(
    ctx: &Ctx,
    return_path: &ReturnPath,
    answer: &Answer<'_>,
    status: StatusCode,
    client: Option<&Client>,
) -> Result<Reply, Failure> {
    if let Answer::Error(error) = answer {
        tracing::info!(
            reference = ctx.reference,
            error = error.code.as_str(),
            description = error.description.as_ref(),
            detail = error.detail.as_ref(),
            "an authorization request was refused"
        );
    }
    match respond(return_path, answer, &ctx.tenant.tenant.issuer) {
        Delivery::Redirect(location) => reply::redirect(status, &location),
        Delivery::Form(target, fields) => {
            let action = SafeHref::registered(target.as_str()).ok_or(Failure::Internal(
                "a form post to an address that a form cannot have",
            ))?;
            let fields = fields
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let page = FormPost {
                shell: reply::shell(ctx, client),
                action,
                fields,
            };
            let mut reply = reply::page(StatusCode::OK, &page, &[target.form_action_source()])?;
            reply::keep_opener(&mut reply, client);
            Ok(reply)
        }
    }
}

fn refuse(ctx: &Ctx, dialect: Dialect, refusal: &Refusal) -> Result<Reply, Failure> {
    match refusal {
        Refusal::Return(return_path, error) => deliver(
            ctx,
            return_path,
            &Answer::Error(error),
            redirect_status(dialect, &ctx.method),
            None,
        ),
        Refusal::Show(reason, error) => Ok(show(ctx, Some(dialect), *reason, error)),
    }
}

/// A refusal that has no checked place to go: 401 for an unknown client, else 400 (seed 002; OAuth 2.1, 2.3.5). Seed 003 says 400.
fn show(ctx: &Ctx, dialect: Option<Dialect>, reason: ShowReason, error: &OAuthError) -> Reply {
    let (status, words) = match reason {
        ShowReason::UnknownClient if dialect == Some(Dialect::Strict) => {
            (StatusCode::BAD_REQUEST, &words::UNKNOWN_APP)
        }
        ShowReason::UnknownClient => (StatusCode::UNAUTHORIZED, &words::UNKNOWN_APP),
        ShowReason::RedirectUri => (StatusCode::BAD_REQUEST, &words::UNREGISTERED_ADDRESS),
        ShowReason::Malformed => (StatusCode::BAD_REQUEST, &words::BROKEN_REQUEST),
    };
    reply::error_page(ctx, status, words, Some(error))
}
