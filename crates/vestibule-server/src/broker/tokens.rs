//! The provider's access token of a connected account, for apps: stored while it is valid, refreshed there when it is not.
//!
//! Providers that rotate refresh tokens take each of them once, so two refreshes at the same time cost the person their
//! connection. In this process they stand in a line; between nodes the guard of the statement decides, and who loses looks again.

use super::arrival::seal_tokens;
use super::calls;
use super::departure::{belongs_to, log_fault};
use crate::http::context::Ctx;
use crate::http::projects::Upstream;
use crate::http::reply::Failure;
use crate::http::seal::Purpose;
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
    upstream: &Upstream,
    account: &ConnectedAccount,
    needed: &ScopeSet,
) -> Result<Result<Secret, NoToken>, Failure> {
    let asked = Asked {
        ctx,
        upstream,
        account: account.id,
        needed,
    };
    match asked.stored().await? {
        Stored::Token(token) => return Ok(Ok(token)),
        Stored::Nothing(reason) => return Ok(Err(reason)),
        Stored::Stale(_) => {}
    }
    let _turn = upstream.refreshing.turn(account.id).await;
    for _ in 0..TRIES_MAX {
        let stale = match asked.stored().await? {
            Stored::Token(token) => return Ok(Ok(token)),
            Stored::Nothing(reason) => return Ok(Err(reason)),
            Stored::Stale(stale) => stale,
        };
        if let Some(answer) = asked.refresh(&stale).await? {
            return Ok(answer);
        }
    }
    Ok(Err(NoToken::Unavailable))
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

/// What is asked for.
struct Asked<'a> {
    ctx: &'a Ctx,
    upstream: &'a Upstream,
    account: AccountId,
    needed: &'a ScopeSet,
}

/// What the records have.
enum Stored {
    /// A token that will do.
    Token(Secret),
    /// None, and no way to one.
    Nothing(NoToken),
    /// One that has to be refreshed.
    Stale(Stale),
}

/// Tokens that have to be refreshed.
struct Stale {
    tokens: UpstreamTokens,
    sealed: Vec<u8>,
    grant: UpstreamGrant,
    /// What is left of the access token's life will do if nothing better comes.
    rest: bool,
}

impl Stale {
    fn rest_or(&self, reason: NoToken) -> Result<Secret, NoToken> {
        if self.rest {
            Ok(Secret::new(self.tokens.access_token.clone()))
        } else {
            Err(reason)
        }
    }
}

impl Asked<'_> {
    async fn stored(&self) -> Result<Stored, Failure> {
        let ctx = self.ctx;
        let account = ctx.store().account(self.account).await?;
        let Some(grant) = account.and_then(|account| account.grant) else {
            return Ok(Stored::Nothing(NoToken::SignInAgain));
        };
        if !self.needed.is_subset(&grant.scope) {
            return Ok(Stored::Nothing(NoToken::Scope));
        }
        let Some(sealed) = ctx.store().account_tokens(self.account).await? else {
            return Ok(Stored::Nothing(NoToken::SignInAgain));
        };
        let tokens = open_tokens(self.ctx, self.account, &sealed)?;
        let lives = |left: Lifetime| {
            grant
                .access_expires_at
                .is_none_or(|end| ctx.now.plus(left) < end)
        };
        let access_token = Secret::new(tokens.access_token.clone());
        let taken = lives(REST_MIN) && self.is_taken(&access_token).await;
        if taken && lives(LEFT_MIN) {
            return Ok(Stored::Token(access_token));
        }
        Ok(Stored::Stale(Stale {
            tokens,
            sealed,
            grant,
            rest: taken,
        }))
    }

    /// Whether the provider takes an access token. One that cannot be asked does not say no.
    async fn is_taken(&self, access_token: &Secret) -> bool {
        match calls::metadata(self.ctx, self.upstream).await {
            Ok(metadata) => calls::is_valid(self.ctx, &metadata, access_token).await,
            Err(_) => true,
        }
    }

    /// Refreshes, and writes what came of it. None when somebody else was first: what is stored now decides.
    async fn refresh(&self, stale: &Stale) -> Result<Option<Result<Secret, NoToken>>, Failure> {
        let Some(refresh_token) = &stale.tokens.refresh_token else {
            return Ok(Some(stale.rest_or(NoToken::SignInAgain)));
        };
        let answer = match self.ask(refresh_token).await {
            Ok(answer) => answer,
            Err(fault) => {
                log_fault(self.ctx, &self.upstream.provider, &fault);
                let refused = matches!(fault, UpstreamFault::Refused(_)) && !fault.is_temporary();
                if !refused {
                    return Ok(Some(stale.rest_or(NoToken::Unavailable)));
                }
                if self.was_overtaken(stale).await? {
                    return Ok(None);
                }
                return Ok(Some(stale.rest_or(NoToken::SignInAgain)));
            }
        };
        let granted = answer.grant(&stale.grant.scope, self.ctx.now);
        let sealed = seal_tokens(self.ctx, self.account, &answer.tokens(Some(&stale.tokens)))?;
        let unit = self.ctx.store().unit().refresh_account_tokens(
            self.account,
            &stale.sealed,
            Some(SealedTokens {
                grant: &granted,
                sealed: &sealed,
            }),
            self.ctx.now,
        );
        let won = self.ctx.store().commit(unit).await?.won();
        Ok(match won {
            true if self.needed.is_subset(&granted.scope) => Some(Ok(answer.access_token)),
            true => Some(Err(NoToken::Scope)),
            false => None,
        })
    }

    async fn ask(&self, refresh_token: &str) -> Result<UpstreamTokenResponse, UpstreamFault> {
        let metadata = calls::metadata(self.ctx, self.upstream).await?;
        calls::refresh(self.ctx, self.upstream, &metadata, refresh_token).await
    }

    /// Whether another node refreshed meanwhile, or the person came through the provider again.
    async fn was_overtaken(&self, stale: &Stale) -> Result<bool, Failure> {
        tokio::time::sleep(OVERTAKEN_AFTER).await;
        let sealed = self.ctx.store().account_tokens(self.account).await?;
        Ok(sealed.as_deref() != Some(stale.sealed.as_slice()))
    }
}
