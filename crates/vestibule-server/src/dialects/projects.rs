//! Seed 001: the project API, `/api/v1/…` and `/api/latest/…`. A project is a tenant.
//!
//! What its published SDKs rely on is here: two header families, errors that a header names, answers of 200 that say their real status
//! in a header, and CORS for everybody without cookies.

mod access;
mod apple;
mod asked;
mod body;
mod cli;
mod connected_accounts;
mod cross_domain;
mod envelope;
mod issue;
mod linked_providers;
mod oauth;
mod project;
mod sessions;
mod token;
mod users;

use crate::http::context::Ctx;
use crate::http::reply::{Failure, Reply};
use http::StatusCode;
use http::header::{self, HeaderValue};
use vestibule_core::oauth::known_error::KnownError;

/// What a path of the project API leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// An app sends a browser to a provider.
    Authorize,
    /// A provider sends the browser back.
    Callback,
    /// Codes and refresh tokens become access tokens.
    Token,
    /// A signed-in app hands its session to an app on another origin.
    CrossDomain,
    /// An app on a device brings Apple's ID token.
    AppleNative,
    /// What an app may know of its project.
    Project,
    /// The keys of a project's access tokens.
    ProjectKeys,
    /// People, for servers.
    Users,
    /// One person; `me` is the caller.
    User,
    /// Somebody's sessions.
    Sessions,
    /// Signing out.
    CurrentSession,
    /// Another access token for the session.
    RefreshSession,
    /// Ending one session.
    Session,
    /// Somebody's connected accounts.
    ConnectedAccounts,
    /// A provider's access token.
    AccountToken,
    /// Somebody's linked providers.
    LinkedProviders,
    /// One of them.
    LinkedProvider,
    /// A command line wants to sign in.
    CliStart,
    /// It asks whether it may.
    CliPoll,
    /// A browser lets it.
    CliComplete,
    /// Declined: people without an account.
    Anonymous,
    /// Taken and forgotten.
    Analytics,
}

/// What an endpoint comes to.
type Answer = Result<Result<Reply, KnownError>, Failure>;

/// Answers a request of the project API; `parts` are the variable segments of its path.
pub(crate) async fn answer(mut ctx: Ctx, endpoint: Endpoint, parts: &[&str]) -> Reply {
    let result = perform(&mut ctx, endpoint, parts).await;
    let reply = match result {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => envelope::known_error(&ctx, &error),
        Err(failure) => envelope::failure(&ctx, &failure),
    };
    envelope::finish(&ctx, reply)
}

/// The answer where there is nothing, or nothing for that method.
pub(crate) fn nothing_there(ctx: &Ctx, allowed: Option<&str>) -> Reply {
    let (status, text) = if allowed.is_some() {
        (
            StatusCode::METHOD_NOT_ALLOWED,
            "This endpoint does not take that method.",
        )
    } else {
        (
            StatusCode::NOT_FOUND,
            "There is no such endpoint. The documentation lists those that there are.",
        )
    };
    let mut reply = envelope::words(ctx, status, text);
    if let Some(value) = allowed.and_then(|allowed| HeaderValue::from_str(allowed).ok()) {
        reply.headers_mut().insert(header::ALLOW, value);
    }
    envelope::finish(ctx, reply)
}

/// The answer to a preflight.
pub(crate) use envelope::preflight;

async fn perform(ctx: &mut Ctx, endpoint: Endpoint, parts: &[&str]) -> Answer {
    let first = parts.first().copied().unwrap_or_default();
    // These come without the headers of the others: a browser, a form or a program that checks tokens brings them.
    match endpoint {
        Endpoint::Authorize => return oauth::authorize(ctx, first).await,
        Endpoint::Callback => return oauth::callback(ctx, first).await,
        Endpoint::Token => return token::exchange(ctx).await,
        Endpoint::ProjectKeys => return project::keys(ctx, first).await,
        _ => {}
    }
    let access = match access::read(ctx).await? {
        Ok(access) => access,
        Err(error) => return Ok(Err(error)),
    };
    match endpoint {
        Endpoint::Authorize | Endpoint::Callback | Endpoint::Token | Endpoint::ProjectKeys => {
            Err(Failure::Internal("an endpoint that was answered before"))
        }
        Endpoint::CrossDomain => cross_domain::authorize(ctx, &access, parts).await,
        Endpoint::AppleNative => apple::sign_in(ctx, &access, parts).await,
        Endpoint::Project => Ok(Ok(project::show(ctx, &access))),
        Endpoint::Users => users::collection(ctx, &access, parts).await,
        Endpoint::User => users::one(ctx, &access, parts).await,
        Endpoint::Sessions => sessions::collection(ctx, &access, parts).await,
        Endpoint::CurrentSession => sessions::end_current(ctx, &access, parts).await,
        Endpoint::RefreshSession => sessions::refresh_current(ctx, &access, parts).await,
        Endpoint::Session => sessions::end(ctx, &access, parts).await,
        Endpoint::ConnectedAccounts => connected_accounts::list(ctx, &access, parts).await,
        Endpoint::AccountToken => connected_accounts::access_token(ctx, &access, parts).await,
        Endpoint::LinkedProviders => linked_providers::collection(ctx, &access, parts).await,
        Endpoint::LinkedProvider => linked_providers::one(ctx, &access, parts).await,
        Endpoint::CliStart => cli::start(ctx, &access, parts).await,
        Endpoint::CliPoll => cli::poll(ctx, &access, parts).await,
        Endpoint::CliComplete => cli::complete(ctx, &access, parts).await,
        Endpoint::Anonymous => Ok(Err(KnownError::AnonymousAccountsNotEnabled)),
        Endpoint::Analytics => Ok(Ok(envelope::json(&serde_json::json!({})))),
    }
}
