//! The providers' access tokens, for apps (seed 001).

use super::Answer;
use super::access::Access;
use super::asked::{Stop, answer, segment, whose};
use super::body::Fields;
use super::envelope;
use crate::broker::tokens::{NoToken, access_token as token_of};
use crate::http::context::Ctx;
use crate::http::projects::Project;
use crate::http::reply::{Failure, Reply};
use serde_json::json;
use vestibule_core::identity::account::ConnectedAccount;
use vestibule_core::oauth::known_error::KnownError;
use vestibule_core::oauth::scope::ScopeSet;

/// `GET /connected-accounts/{user}`.
pub(super) async fn list(ctx: &Ctx, access: &Access, parts: &[&str]) -> Answer {
    answer(ctx, listed(ctx, access, parts).await)
}

/// `POST /connected-accounts/{user}/{provider}/access-token` and `…/{provider}/{account}/access-token`.
pub(super) async fn access_token(ctx: &Ctx, access: &Access, parts: &[&str]) -> Answer {
    answer(ctx, given(ctx, access, parts).await)
}

/// Whether apps may ask for the tokens of an account: its person's link says so, and the provider's settings do.
fn is_connected(project: &Project, account: &ConnectedAccount) -> bool {
    account.connected
        && project
            .upstream(account.provider_id.as_str())
            .is_some_and(|upstream| upstream.provider.connected_accounts)
}

async fn listed(ctx: &Ctx, access: &Access, parts: &[&str]) -> Result<Reply, Stop> {
    let user = whose(ctx, access, parts.first().copied().unwrap_or_default()).await?;
    let accounts = ctx.store().accounts_of(user).await?;
    let items: Vec<_> = accounts
        .iter()
        .filter(|account| is_connected(&access.project, account))
        .map(|account| {
            json!({
                "user_id": account.user_id,
                "provider": account.provider_id,
                "provider_account_id": account.subject,
            })
        })
        .collect();
    Ok(envelope::json(
        &json!({ "items": items, "is_paginated": false }),
    ))
}

async fn given(ctx: &Ctx, access: &Access, parts: &[&str]) -> Result<Reply, Stop> {
    let (user, provider, subject) = match parts {
        [user, provider] => (*user, *provider, None),
        [user, provider, subject] => (*user, *provider, Some(segment(subject))),
        _ => return Err(Failure::Internal("a path of another length").into()),
    };
    let user = whose(ctx, access, user).await?;
    let mut fields = Fields::read(
        ctx,
        "POST /api/v1/connected-accounts/{user}/{provider}/access-token",
    )?;
    let scope = fields.text("scope").unwrap_or_default();
    let needed = if scope.trim().is_empty() {
        ScopeSet::default()
    } else {
        ScopeSet::parse(&scope).unwrap_or_else(|error| {
            fields.problem("scope", &format!("is not accepted: {error}"));
            ScopeSet::default()
        })
    };
    fields.finish()?;
    let upstream = access
        .project
        .upstream(provider)
        .ok_or(KnownError::OAuthProviderNotFoundOrNotEnabled)?;
    let accounts = ctx.store().accounts_of(user).await?;
    let accounts = accounts.iter().filter(|account| {
        account.provider_id == upstream.provider.id
            && is_connected(&access.project, account)
            && subject
                .as_ref()
                .is_none_or(|subject| subject.as_deref() == Some(account.subject.as_str()))
    });
    // The form without an account means any that will do; the last one says why none does.
    let mut error = KnownError::OAuthConnectionNotConnectedToUser;
    for account in accounts {
        match token_of(ctx, upstream, account, &needed).await? {
            Ok(token) => {
                return Ok(envelope::json(&json!({ "access_token": token.reveal() })));
            }
            Err(no_token) => error = known_error(no_token, provider),
        }
    }
    Err(error.into())
}

fn known_error(no_token: NoToken, provider: &str) -> KnownError {
    match no_token {
        NoToken::Scope => KnownError::OAuthConnectionDoesNotHaveRequiredScope,
        NoToken::SignInAgain => KnownError::OAuthAccessTokenNotAvailable {
            provider: provider.to_owned(),
            message: "the provider does not renew it. The user has to connect the account again."
                .to_owned(),
        },
        // Not the code above: on that one apps send people to connect again, which would not help.
        NoToken::Unavailable => KnownError::OAuthProviderTemporarilyUnavailable,
    }
}
