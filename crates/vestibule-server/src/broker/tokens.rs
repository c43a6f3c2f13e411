//! The provider's access token of a connected account, for apps: stored while it is valid, refreshed there when it is not.
//!
//! Providers that rotate refresh tokens take each of them once: two refreshes at the same time, or one whose answer nobody stores,
//! cost the person their connection. In this process there is one for everybody who asks meanwhile, and it is finished though all
//! of them go away; between nodes the guard of the statement decides, and who loses looks again.

use super::arrival::seal_tokens;
use super::calls;
use super::departure::{belongs_to, log_fault};
use crate::http::context::Ctx;
use crate::http::projects::{Renewed, Upstream};
use crate::http::reply::Failure;
use crate::http::seal::Purpose;
use std::sync::Arc;
use std::time::Duration;
use vestibule_core::id::AccountId;
use vestibule_core::identity::account::ConnectedAccount;
use vestibule_core::oauth::scope::ScopeSet;
use vestibule_core::relying_party::fault::UpstreamFault;
use vestibule_core::relying_party::provider::{UpstreamGrant, UpstreamTokens};
use vestibule_core::relying_party::tokens::UpstreamTokenResponse;
use vestibule_core::secret::Secret;
use vestibule_core::time::Lifetime;
use vestibule_store::accounts::SealedTokens;

/// A token with less time left is refreshed.
const LEFT_MIN: Lifetime = Lifetime::minutes(5);
/// A token that cannot be refreshed is given while it has more time left than this.
const REST_MIN: Lifetime = Lifetime::minutes(1);
/// How often a refresh that another node overtook is looked at again.
const TRIES_MAX: usize = 3;
/// How long another node that was first may take to write what it got.
const OVERTAKEN_AFTER: Duration = Duration::from_millis(250);

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoToken {
    /// The provider did not grant all of these scopes.
    Scope,
    /// The provider gives none: the person has to sign in there again.
    SignInAgain,
    /// The provider cannot be asked now.
    Unavailable,
}

/// A valid access token of an account that has at least these scopes.
pub(crate) async fn access_token(
    ctx: &Ctx,
    upstream: &Arc<Upstream>,
    account: &ConnectedAccount,
    needed: &ScopeSet,
) -> Result<Result<Secret, NoToken>, Failure> {
    let Some(held) = held(ctx, account.id).await? else {
        return Ok(Err(NoToken::SignInAgain));
    };
    if !needed.is_subset(&held.grant.scope) {
        return Ok(Err(NoToken::Scope));
    }
    let stale = match judge(ctx, upstream, held).await {
        Judged::Good(held) => return Ok(Ok(Secret::new(held.tokens.access_token))),
        Judged::Stale(stale) => stale,
    };
    let key = (ctx.tenant.tenant.id, account.id);
    let renewal = Renewal {
        ctx: ctx.clone(),
        upstream: Arc::clone(upstream),
        account: account.id,
    };
    let renewed = ctx.shared.renewals.join(key, renewal.run(stale)).await;
    Ok(match renewed.transpose()? {
        Some(Renewed::Token(token, scope)) if needed.is_subset(&scope) => Ok(token),
        Some(Renewed::Token(..)) => Err(NoToken::Scope),
        Some(Renewed::Refused) => Err(NoToken::SignInAgain),
        Some(Renewed::Unavailable) | None => Err(NoToken::Unavailable),
    })
}

/// Opens the provider's tokens of one account.
pub(super) fn open_tokens(
    ctx: &Ctx,
    account: AccountId,
    sealed: &[u8],
) -> Result<UpstreamTokens, Failure> {
    let place = belongs_to(ctx.tenant.tenant.id, account.bytes());
    ctx.shared
        .root_key
        .open(Purpose::UpstreamTokens, &place, sealed)
        .ok()
        .and_then(|plain| serde_json::from_slice(&plain).ok())
        .ok_or(Failure::Internal("a provider's tokens do not open"))
}

/// What the records have of an account's tokens.
struct Held {
    tokens: UpstreamTokens,
    sealed: Vec<u8>,
    grant: UpstreamGrant,
}

impl Held {
    fn renewed(self) -> Renewed {
        Renewed::Token(Secret::new(self.tokens.access_token), self.grant.scope)
    }
}

async fn held(ctx: &Ctx, account: AccountId) -> Result<Option<Held>, Failure> {
    let Some((grant, sealed)) = ctx.store().account_tokens(account).await? else {
        return Ok(None);
    };
    Ok(Some(Held {
        tokens: open_tokens(ctx, account, &sealed)?,
        sealed,
        grant,
    }))
}

/// What stored tokens are worth.
enum Judged {
    /// The access token will do.
    Good(Held),
    /// They have to be renewed.
    Stale(Stale),
}

/// Tokens that have to be renewed.
struct Stale {
    held: Held,
    /// What is left of the access token's life will do if nothing better comes.
    rest: bool,
}

impl Stale {
    fn rest_or(&self, otherwise: Renewed) -> Renewed {
        if self.rest {
            let token = Secret::new(self.held.tokens.access_token.clone());
            Renewed::Token(token, self.held.grant.scope.clone())
        } else {
            otherwise
        }
    }
}

async fn judge(ctx: &Ctx, upstream: &Upstream, held: Held) -> Judged {
    let lives = |left: Lifetime| {
        let end = held.grant.access_expires_at;
        end.is_none_or(|end| ctx.now.plus(left) < end)
    };
    let access_token = Secret::new(held.tokens.access_token.clone());
    let rest = lives(REST_MIN) && is_taken(ctx, upstream, &access_token).await;
    if rest && lives(LEFT_MIN) {
        Judged::Good(held)
    } else {
        Judged::Stale(Stale { held, rest })
    }
}

/// Whether the provider takes an access token. One that cannot be asked does not say no.
async fn is_taken(ctx: &Ctx, upstream: &Upstream, access_token: &Secret) -> bool {
    match calls::metadata(ctx, upstream).await {
        Ok(metadata) => calls::is_valid(ctx, &metadata, access_token).await,
        Err(_) => true,
    }
}

/// Renewing one account's tokens.
struct Renewal {
    ctx: Ctx,
    upstream: Arc<Upstream>,
    account: AccountId,
}

impl Renewal {
    async fn run(self, mut stale: Stale) -> Result<Renewed, Failure> {
        for _ in 0..TRIES_MAX {
            // Somebody else may have been here since it was read, and a refresh token that was used is not shown again.
            let Some(held) = held(&self.ctx, self.account).await? else {
                return Ok(Renewed::Refused);
            };
            if held.sealed != stale.held.sealed {
                stale = match judge(&self.ctx, &self.upstream, held).await {
                    Judged::Good(held) => return Ok(held.renewed()),
                    Judged::Stale(stale) => stale,
                };
            }
            if let Some(renewed) = self.refresh(&stale).await? {
                return Ok(renewed);
            }
        }
        Ok(Renewed::Unavailable)
    }

    /// Refreshes, and writes what came of it. None when somebody else was first: what is stored now decides.
    async fn refresh(&self, stale: &Stale) -> Result<Option<Renewed>, Failure> {
        let Some(refresh_token) = &stale.held.tokens.refresh_token else {
            return Ok(Some(stale.rest_or(Renewed::Refused)));
        };
        let answer = match self.ask(refresh_token).await {
            Ok(answer) => answer,
            Err(fault) => {
                log_fault(&self.ctx, &self.upstream.provider, &fault);
                let refused = matches!(fault, UpstreamFault::Refused(_)) && !fault.is_temporary();
                if !refused {
                    return Ok(Some(stale.rest_or(Renewed::Unavailable)));
                }
                if self.was_overtaken(stale).await? {
                    return Ok(None);
                }
                return Ok(Some(stale.rest_or(Renewed::Refused)));
            }
        };
        let granted = answer.grant(&stale.held.grant.scope, self.ctx.now);
        let tokens = answer.tokens(Some(&stale.held.tokens));
        let sealed = seal_tokens(&self.ctx, self.account, &tokens)?;
        let unit = self.ctx.store().unit().refresh_account_tokens(
            self.account,
            &stale.held.sealed,
            Some(SealedTokens {
                grant: &granted,
                sealed: &sealed,
            }),
            self.ctx.now,
        );
        let won = self.ctx.store().commit(unit).await?.won();
        Ok(won.then_some(Renewed::Token(answer.access_token, granted.scope)))
    }

    async fn ask(&self, refresh_token: &str) -> Result<UpstreamTokenResponse, UpstreamFault> {
        let metadata = calls::metadata(&self.ctx, &self.upstream).await?;
        calls::refresh(&self.ctx, &self.upstream, &metadata, refresh_token).await
    }

    /// Whether another node refreshed meanwhile, or the person came through the provider again.
    async fn was_overtaken(&self, stale: &Stale) -> Result<bool, Failure> {
        tokio::time::sleep(OVERTAKEN_AFTER).await;
        let stored = self.ctx.store().account_tokens(self.account).await?;
        Ok(stored.is_none_or(|(_, sealed)| sealed != stale.held.sealed))
    }
}
