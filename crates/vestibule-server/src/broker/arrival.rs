//! The way back from a provider: whose answer is it, what does it say, whose person is that, and what is written.
//!
//! The order is the safety. The row that `state` names is used up before anything else happens, so an answer counts once, also
//! when two arrive at the same instant. Then the provider is asked, and last everything that follows is written as one unit.

use super::calls;
use super::departure::{Pending, belongs_to, log_fault};
use super::tokens::open_tokens;
use crate::http::context::Ctx;
use crate::http::projects::Upstream;
use crate::http::reply::Failure;
use crate::http::seal::Purpose;
use crate::http::session;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use vestibule_core::id::{AccountId, UpstreamRequestId, UserId};
use vestibule_core::identity::account::ConnectedAccount;
use vestibule_core::identity::linking::{
    Intent, LinkDecision, LinkFacts, LinkPolicy, LinkRefusal, LocalPerson, decide,
};
use vestibule_core::identity::tenant::{DEFAULT_SLUG, DomainKind};
use vestibule_core::identity::user::{Email, Profile, User};
use vestibule_core::oauth::params::Params;
use vestibule_core::relying_party::callback::{self, Callback};
use vestibule_core::relying_party::fault::UpstreamFault;
use vestibule_core::relying_party::id_token::ExpectedIdToken;
use vestibule_core::relying_party::identity::UpstreamIdentity;
use vestibule_core::relying_party::provider::{ProviderId, UpstreamGrant, UpstreamTokens};
use vestibule_core::relying_party::request::asked_scopes;
use vestibule_core::secret::Secret;
use vestibule_store::TenantUnit;
use vestibule_store::accounts::SealedTokens;
use vestibule_store::users::UserRecord;

/// How often a decision is made again when its guard was lost.
const TRIES_MAX: usize = 3;

/// An answer that is not taken here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stray {
    /// No `state` of ours, or another provider's.
    Unknown,
    /// It was brought before.
    Replayed,
    /// Another browser left.
    OtherBrowser,
    /// The browser brought no cookie.
    NoCookie,
    /// It is taken where the browser left: below this address, which is the tenant's too.
    Elsewhere(String),
}

/// Why an answer that is expected leads nowhere.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The person took too long.
    TimedOut,
    /// The provider was taken out of the settings meanwhile.
    Gone,
    /// What the provider said is not accepted.
    Fault(UpstreamFault),
    /// The person is not let in; with the address that the provider told.
    Refused(LinkRefusal, Option<String>),
    /// Others changed the records each time it was decided.
    Overtaken,
}

/// What a provider told about a person, checked.
#[derive(Serialize, Deserialize)]
pub(crate) struct Told {
    /// Who it is.
    pub(crate) identity: UpstreamIdentity,
    /// The provider's tokens; none where the app itself brought what the provider told.
    tokens: Option<(UpstreamTokens, UpstreamGrant)>,
}

/// What the ID token says that an app on a device got by itself (Apple), and with which nonce, where the app names one.
///
/// It may be brought again while it lives: apps try again when our answer does not reach them, and only they know whether they
/// asked for it. Who holds one within its life is the person, as with any bearer token; an app that wants more sends a nonce of its
/// own to the provider and here.
pub(crate) async fn receive_natively(
    ctx: &Ctx,
    upstream: &Upstream,
    id_token: &str,
    nonce: Option<&str>,
) -> Result<Told, UpstreamFault> {
    let provider = &upstream.provider;
    let metadata = calls::metadata(ctx, upstream).await?;
    let expected = ExpectedIdToken::of_native(provider, nonce);
    let checked = calls::check_id_token(ctx, upstream, &metadata, id_token, &expected).await?;
    Ok(Told {
        identity: UpstreamIdentity::of_openid(provider, &checked, None)?,
        tokens: None,
    })
}

impl Told {
    /// Seals it for one record, to be settled later.
    pub(crate) fn seal(&self, ctx: &Ctx, record: &[u8; 16]) -> Result<String, Failure> {
        let plain = zeroize::Zeroizing::new(
            serde_json::to_vec(self)
                .map_err(|_| Failure::Internal("a provider's answer that is no JSON"))?,
        );
        let place = belongs_to(ctx.tenant.tenant.id, record);
        let sealed = ctx
            .shared
            .root_key
            .seal(Purpose::UpstreamTokens, &place, &plain)
            .map_err(|_| Failure::Internal("a provider's answer cannot be sealed"))?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens what was sealed for that record.
    pub(crate) fn open(ctx: &Ctx, record: &[u8; 16], text: &str) -> Result<Self, Failure> {
        let place = belongs_to(ctx.tenant.tenant.id, record);
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|sealed| {
                ctx.shared
                    .root_key
                    .open(Purpose::UpstreamTokens, &place, &sealed)
                    .ok()
            })
            .and_then(|plain| serde_json::from_slice(&plain).ok())
            .ok_or(Failure::Internal("a provider's answer does not open"))
    }
}

/// An expected answer.
pub(crate) struct Arrival {
    /// What was remembered.
    pub(crate) pending: Pending,
    /// The provider, and what it told.
    pub(crate) told: Result<(Arc<Upstream>, Told), Trouble>,
}

/// Receives a provider's answer.
pub(crate) async fn receive(
    ctx: &Ctx,
    provider: &str,
    params: &Params,
) -> Result<Result<Arrival, Stray>, Failure> {
    let Some(handle) = callback::state(params) else {
        return Ok(Err(Stray::Unknown));
    };
    let Some(row) = ctx.store().upstream_request(&handle).await? else {
        return Ok(Err(Stray::Unknown));
    };
    let place = belongs_to(ctx.tenant.tenant.id, handle.id());
    let pending = ctx
        .shared
        .root_key
        .open(Purpose::UpstreamRequests, &place, &row.sealed)
        .ok()
        .and_then(|plain| serde_json::from_slice::<Pending>(&plain).ok())
        .ok_or(Failure::Internal("a pending request that does not open"))?;
    // T05: one provider's answer is not another's. T33: the browser that left is the one that comes back.
    if pending.provider != provider {
        return Ok(Err(Stray::Unknown));
    }
    // Before anything is used up: there it is decided, here it is not.
    if let Some(base) = elsewhere(ctx, &pending).await? {
        return Ok(Err(Stray::Elsewhere(base)));
    }
    match (&pending.browser, session::browser(ctx)) {
        (None, _) => {}
        (Some(_), None) => return Ok(Err(Stray::NoCookie)),
        (Some(left), Some(came)) if *left == came => {}
        (Some(_), Some(_)) => return Ok(Err(Stray::OtherBrowser)),
    }
    if row.used_at.is_some() {
        return Ok(Err(Stray::Replayed));
    }
    let trouble = |pending, trouble| {
        Ok(Ok(Arrival {
            pending,
            told: Err(trouble),
        }))
    };
    if ctx.now >= row.expires_at {
        return trouble(pending, Trouble::TimedOut);
    }
    let id = UpstreamRequestId::from_bytes(*handle.id());
    let unit = ctx.store().unit().mark_upstream_request_used(id, ctx.now);
    if !ctx.store().commit(unit).await?.won() {
        return Ok(Err(Stray::Replayed));
    }
    let project = ctx.tenant.project(&ctx.shared).await?;
    let Some(upstream) = project.upstream(provider).map(Arc::clone) else {
        return trouble(pending, Trouble::Gone);
    };
    match ask(ctx, &upstream, &pending, params).await {
        Ok(told) => Ok(Ok(Arrival {
            pending,
            told: Ok((upstream, told)),
        })),
        Err(fault) => {
            log_fault(ctx, &upstream.provider, &fault);
            trouble(pending, Trouble::Fault(fault))
        }
    }
}

/// Where the tenant answers on the host that the browser left from, if it came back to another: the provider knows one address of
/// ours, and the cookie is on the host that the person uses. Only our own row says which, and only a host that is the tenant's still
/// counts (T02, T38).
async fn elsewhere(ctx: &Ctx, pending: &Pending) -> Result<Option<String>, Failure> {
    let (shared, left) = (&ctx.shared, &pending.origin);
    if pending.browser.is_none() || *left == ctx.origin {
        return Ok(None);
    }
    let slug = &ctx.tenant.tenant.slug;
    if *left == shared.public_address.origin {
        let base = &shared.public_url;
        return Ok(Some(match slug.as_str() {
            DEFAULT_SLUG => base.as_str().to_owned(),
            slug => base.below(slug).as_str().to_owned(),
        }));
    }
    let Some((_, host)) = left.split_once("://") else {
        return Ok(None);
    };
    let is_ours = shared
        .tenant_of_host(host)
        .await?
        .is_some_and(|(known, kind)| known == *slug && kind != DomainKind::Satellite);
    Ok(is_ours.then(|| left.clone()))
}

async fn ask(
    ctx: &Ctx,
    upstream: &Upstream,
    pending: &Pending,
    params: &Params,
) -> Result<Told, UpstreamFault> {
    let metadata = calls::metadata(ctx, upstream).await?;
    let Callback { code, name } = Callback::parse(params, &metadata)?;
    let verifier = Secret::new(pending.verifier.clone());
    let answer = calls::exchange(
        ctx,
        upstream,
        &metadata,
        &code,
        &pending.redirect_uri,
        &verifier,
    )
    .await?;
    let identity = calls::identity(ctx, upstream, &metadata, &answer, pending)
        .await?
        .with_name(name);
    let asked = asked_scopes(&upstream.provider, &pending.extra_scopes);
    Ok(Told {
        identity,
        tokens: Some((answer.tokens(None), answer.grant(&asked, ctx.now))),
    })
}

/// Whose person it is, once everything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The person.
    pub(crate) user_id: UserId,
    /// Whether they are new here.
    pub(crate) is_new: bool,
}

/// Decides whose person it is and writes it, together with what `add` adds for them: a session, a code.
pub(crate) async fn settle(
    ctx: &Ctx,
    upstream: &Upstream,
    told: &Told,
    intent: Intent,
    mut add: impl FnMut(TenantUnit, Settled) -> TenantUnit,
) -> Result<Result<Settled, Trouble>, Failure> {
    let refused = |refusal| Ok(Err(Trouble::Refused(refusal, told.identity.email.clone())));
    for _ in 0..TRIES_MAX {
        let known = Known::read(ctx, upstream, told, intent).await?;
        let decision = decide(
            &told.identity,
            &known.facts(),
            intent,
            policy(ctx, upstream),
        );
        let unit = ctx.store().unit();
        let (unit, settled) = match decision {
            LinkDecision::Refuse(refusal) => {
                tracing::info!(
                    reference = ctx.reference,
                    tenant = ctx.tenant.tenant.slug,
                    provider = %upstream.provider.id,
                    ?refusal,
                    "a brokered sign-in was refused"
                );
                return refused(refusal);
            }
            LinkDecision::SignIn { user_id, .. } => {
                let unit = renew(ctx, unit, told, &known, Wider::Stays).await?;
                (unit, existing(user_id))
            }
            LinkDecision::Renew { user_id, .. } => {
                let unit = renew(ctx, unit, told, &known, Wider::Goes).await?;
                (unit, existing(user_id))
            }
            LinkDecision::LinkAndSignIn { user_id } => (
                link(ctx, unit, upstream, told, user_id, true)?,
                existing(user_id),
            ),
            LinkDecision::Connect { user_id, sign_in } => (
                link(ctx, unit, upstream, told, user_id, sign_in)?,
                existing(user_id),
            ),
            LinkDecision::CreateUser { with_email } => {
                let user = new_user(ctx, &told.identity, with_email);
                let record = UserRecord {
                    user,
                    operator_at: None,
                };
                let settled = Settled {
                    user_id: record.user.id,
                    is_new: true,
                };
                let unit = unit.insert_user(&record, ctx.now);
                (
                    link(ctx, unit, upstream, told, settled.user_id, true)?,
                    settled,
                )
            }
        };
        if ctx.store().commit(add(unit, settled)).await?.won() {
            return Ok(Ok(settled));
        }
    }
    Ok(Err(Trouble::Overtaken))
}

/// What [`settle`] would refuse now; nothing is written.
pub(crate) async fn foresee(
    ctx: &Ctx,
    upstream: &Upstream,
    told: &Told,
    intent: Intent,
) -> Result<Result<(), Trouble>, Failure> {
    let known = Known::read(ctx, upstream, told, intent).await?;
    let decision = decide(
        &told.identity,
        &known.facts(),
        intent,
        policy(ctx, upstream),
    );
    Ok(match decision {
        LinkDecision::Refuse(refusal) => {
            Err(Trouble::Refused(refusal, told.identity.email.clone()))
        }
        _ => Ok(()),
    })
}

const fn existing(user_id: UserId) -> Settled {
    Settled {
        user_id,
        is_new: false,
    }
}

fn policy(ctx: &Ctx, upstream: &Upstream) -> LinkPolicy {
    let policy = &ctx.tenant.tenant.policy;
    LinkPolicy {
        linking: policy.linking,
        sign_up: policy.sign_up,
        sign_in: upstream.provider.sign_in,
        connected_accounts: upstream.provider.connected_accounts,
    }
}

/// What the records say about an upstream identity.
struct Known {
    account: Option<ConnectedAccount>,
    owner: Option<LocalPerson>,
    holder: Option<LocalPerson>,
}

impl Known {
    async fn read(
        ctx: &Ctx,
        upstream: &Upstream,
        told: &Told,
        intent: Intent,
    ) -> Result<Self, Failure> {
        let provider = &upstream.provider.id;
        let store = ctx.store();
        let subject = &told.identity.subject;
        let mut found = store.account_of(provider, subject).await?;
        let holder = match (&told.identity.email, &found) {
            (Some(email), None) => store.user_by_email(email).await?,
            _ => None,
        };
        let mut holder = match holder {
            Some(record) => Some(person(ctx, provider, &record.user).await?),
            None => None,
        };
        // Between these reads another answer about the same person may have made or linked them: then the account is there now, and
        // nobody else has the address.
        if holder.is_some() {
            found = store.account_of(provider, subject).await?;
            holder = holder.filter(|_| found.is_none());
        }
        let (account, owner) = found.unzip();
        let owner = match (owner, intent) {
            (None, Intent::Link(user_id) | Intent::Connect(user_id)) => {
                store.user(user_id).await?.map(|record| record.user)
            }
            (owner, _) => owner,
        };
        let owner = match owner {
            Some(user) => Some(person(ctx, provider, &user).await?),
            None => None,
        };
        Ok(Self {
            account,
            owner,
            holder,
        })
    }

    fn facts(&self) -> LinkFacts<'_> {
        LinkFacts {
            account: self.account.as_ref(),
            owner: self.owner.as_ref(),
            holder: self.holder.as_ref(),
        }
    }
}

async fn person(ctx: &Ctx, provider: &ProviderId, user: &User) -> Result<LocalPerson, Failure> {
    let accounts = ctx.store().accounts_of(user.id).await?;
    Ok(LocalPerson {
        user_id: user.id,
        email_verified: user.email_verified,
        disabled: user.disabled_at.is_some(),
        has_sign_in_account: accounts
            .iter()
            .any(|account| account.provider_id == *provider && account.sign_in),
    })
}

/// Seals the provider's tokens for one account.
pub(super) fn seal_tokens(
    ctx: &Ctx,
    account: AccountId,
    tokens: &UpstreamTokens,
) -> Result<Vec<u8>, Failure> {
    let plain = zeroize::Zeroizing::new(
        serde_json::to_vec(tokens).map_err(|_| Failure::Internal("tokens that are no JSON"))?,
    );
    ctx.shared
        .root_key
        .seal(
            Purpose::UpstreamTokens,
            &belongs_to(ctx.tenant.tenant.id, account.bytes()),
            &plain,
        )
        .map_err(|_| Failure::Internal("tokens cannot be sealed"))
}

/// What becomes of stored tokens that have more scopes than those that came now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wider {
    /// Who only signs in takes nothing away from the apps.
    Stays,
    /// Who links says what counts.
    Goes,
}

async fn renew(
    ctx: &Ctx,
    unit: TenantUnit,
    told: &Told,
    known: &Known,
    wider: Wider,
) -> Result<TenantUnit, Failure> {
    let account = known
        .account
        .as_ref()
        .ok_or(Failure::Internal("a renewed account that is not there"))?;
    let unit = unit.update_account_email(account.id, told.identity.email.as_deref(), ctx.now);
    // Tokens that came another way stay when this time there are none.
    let Some((tokens, grant)) = &told.tokens else {
        return Ok(unit);
    };
    let stored = match ctx.store().account_tokens(account.id).await? {
        Some((_, sealed)) => Some(open_tokens(ctx, account.id, &sealed)?),
        None => None,
    };
    let refresh_token = stored.and_then(|stored| stored.refresh_token);
    let is_wider = account.grant.as_ref().is_some_and(|stored| {
        grant.scope.is_subset(&stored.scope) && !stored.scope.is_subset(&grant.scope)
    });
    if wider == Wider::Stays && is_wider && refresh_token.is_some() {
        return Ok(unit);
    }
    let mut tokens = tokens.clone();
    // Some providers give a refresh token with the first consent only.
    tokens.refresh_token = tokens.refresh_token.or(refresh_token);
    let sealed = seal_tokens(ctx, account.id, &tokens)?;
    let tokens = SealedTokens {
        grant,
        sealed: &sealed,
    };
    Ok(unit.update_account_tokens(account.id, Some(tokens), ctx.now))
}

fn link(
    ctx: &Ctx,
    unit: TenantUnit,
    upstream: &Upstream,
    told: &Told,
    user_id: UserId,
    sign_in: bool,
) -> Result<TenantUnit, Failure> {
    let account = ConnectedAccount {
        id: AccountId::new(ctx.now, ctx.chance()),
        user_id,
        provider_id: upstream.provider.id.clone(),
        subject: told.identity.subject.clone(),
        email: told.identity.email.clone(),
        sign_in,
        connected: upstream.provider.connected_accounts,
        grant: told.tokens.as_ref().map(|(_, grant)| grant.clone()),
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    let sealed = match &told.tokens {
        Some((tokens, _)) => Some(seal_tokens(ctx, account.id, tokens)?),
        None => None,
    };
    Ok(unit.insert_account(&account, sealed.as_deref()))
}

/// A person as the provider describes them. Facts that do not fit our records are left out.
fn new_user(ctx: &Ctx, identity: &UpstreamIdentity, with_email: bool) -> User {
    let email = identity
        .email
        .as_deref()
        .filter(|email| with_email && Email::parse(email).is_ok());
    let name = identity.name.clone().or_else(|| identity.username.clone());
    let picture = identity
        .picture
        .clone()
        .filter(|picture| vestibule_core::url::WebAddress::parse(picture).is_ok());
    let mut profile = Profile {
        name,
        picture,
        ..Profile::default()
    };
    if profile.check().is_err() {
        profile = Profile::default();
    }
    User {
        id: UserId::new(ctx.now, ctx.chance()),
        username: None,
        email_verified: email.is_some() && identity.email_verified,
        email: email.map(str::to_owned),
        profile,
        updated_at: ctx.now,
        disabled_at: None,
    }
}
