//! The links between people and providers (seed 001).
//!
//! An upstream identity belongs to one person here, whatever they use it for; the seed's product holds that for sign-in only.

use super::Answer;
use super::access::{Access, Tier};
use super::asked::{Stop, answer, spare_operator_of, whose};
use super::body::{Fields, said};
use super::envelope;
use super::sessions::standing_session;
use crate::http::context::Ctx;
use crate::http::projects::Project;
use crate::http::reply::{Failure, Reply};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use vestibule_core::id::{AccountId, UserId};
use vestibule_core::identity::account::{ConnectedAccount, SUBJECT_BYTES_MAX, is_subject};
use vestibule_core::identity::linking::Intent;
use vestibule_core::identity::user::Email;
use vestibule_core::oauth::known_error::KnownError;
use vestibule_core::relying_party::provider::ProviderId;
use vestibule_store::TenantUnit;
use vestibule_store::accounts::WayIn;

const CREATE: &str = "POST /api/v1/oauth-providers";
const UPDATE: &str = "PATCH /api/v1/oauth-providers/{user}/{id}";
const LIST: &str = "GET /api/v1/oauth-providers";

/// How often a decision is made again when its guard was lost.
const TRIES_MAX: usize = 3;

const NOT_FOUND: Stop = Stop::Words(
    StatusCode::NOT_FOUND,
    "This user has no link to a provider with that id.",
);
const SECOND_SIGN_IN: Stop = Stop::Words(
    StatusCode::BAD_REQUEST,
    "This user signs in with another account of the same provider. Take its allow_sign_in away first.",
);
const LINKED_ALREADY: Stop = Stop::Words(
    StatusCode::CONFLICT,
    "This account of the provider is linked to this user already. Update that link.",
);
const SIGN_IN_AGAIN: Stop = Stop::Words(
    StatusCode::FORBIDDEN,
    "This user signed in too long ago to get another way to sign in. Let them sign in again first.",
);
const LAST_WAY_IN: Stop = Stop::Words(
    StatusCode::BAD_REQUEST,
    "This is the only way in which this user can sign in. Link another provider or set a password first, or let the \
     project's server do it.",
);

/// `GET, POST /oauth-providers`.
pub(super) async fn collection(ctx: &Ctx, access: &Access, _parts: &[&str]) -> Answer {
    let result = if ctx.method == Method::POST {
        create(ctx, access).await
    } else {
        list(ctx, access).await
    };
    answer(ctx, result)
}

/// `GET, PATCH, DELETE /oauth-providers/{user}/{id}`.
pub(super) async fn one(ctx: &Ctx, access: &Access, parts: &[&str]) -> Answer {
    let &[user, id] = parts else {
        return Err(Failure::Internal("a path of another length"));
    };
    answer(ctx, act(ctx, access, user, id).await)
}

async fn act(ctx: &Ctx, access: &Access, user: &str, id: &str) -> Result<Reply, Stop> {
    let user = whose(ctx, access, user).await?;
    if ctx.method != Method::GET {
        spare_operator_of(ctx, user).await?;
    }
    let id = AccountId::parse(id);
    for _ in 0..TRIES_MAX {
        let accounts = ctx.store().accounts_of(user).await?;
        let account = accounts
            .iter()
            .find(|account| Some(account.id) == id)
            .ok_or(NOT_FOUND)?;
        let done = match ctx.method {
            Method::GET => Some(envelope::json(&shown(&access.project, account))),
            Method::PATCH => update(ctx, access, account, &accounts).await?,
            Method::DELETE => remove(ctx, access, account, &accounts).await?,
            _ => return Err(Failure::Internal("a method without a route").into()),
        };
        if let Some(reply) = done {
            return Ok(reply);
        }
    }
    Err(Failure::Internal("the guard of a link was lost again and again").into())
}

fn shown(project: &Project, account: &ConnectedAccount) -> Value {
    let id = account.provider_id.as_str();
    let kind = project
        .upstream(id)
        .map_or(id, |upstream| upstream.provider.kind.as_str());
    json!({
        "id": account.id,
        "user_id": account.user_id,
        "provider_config_id": id,
        "type": kind,
        "account_id": account.subject,
        "email": account.email,
        "allow_sign_in": account.sign_in,
        "allow_connected_accounts": account.connected,
    })
}

async fn list(ctx: &Ctx, access: &Access) -> Result<Reply, Stop> {
    let refuse = |problem: &str| KnownError::SchemaError {
        place: LIST.to_owned(),
        problems: vec![problem.to_owned()],
    };
    let query = ctx
        .query_params()
        .map_err(|_| refuse("the query cannot be read"))?;
    if let Some(name) = query.repeated() {
        return Err(refuse(&format!("query.{name} may stand once")).into());
    }
    let user = query
        .get("user_id")
        .ok_or_else(|| refuse("query.user_id must be defined"))?;
    let user = whose(ctx, access, user).await?;
    let wanted = query.get("account_id");
    let accounts = ctx.store().accounts_of(user).await?;
    let items: Vec<Value> = accounts
        .iter()
        .filter(|account| wanted.is_none_or(|wanted| wanted == account.subject))
        .map(|account| shown(&access.project, account))
        .collect();
    Ok(envelope::json(
        &json!({ "items": items, "is_paginated": false }),
    ))
}

/// An id at a provider and an address, as somebody wrote them.
fn check(fields: &mut Fields, subject: Option<&str>, email: Option<&str>) {
    if subject.is_some_and(|subject| !is_subject(subject)) {
        fields.problem(
            "account_id",
            &format!("must have 1 to {SUBJECT_BYTES_MAX} bytes"),
        );
    }
    if email.is_some_and(|email| Email::parse(email).is_err()) {
        fields.problem("email", "must be an e-mail address");
    }
}

async fn create(ctx: &Ctx, access: &Access) -> Result<Reply, Stop> {
    access.at_least(Tier::Server)?;
    let mut fields = Fields::read(ctx, CREATE)?;
    let user = fields.required("user_id");
    let provider = fields.required("provider_config_id");
    let subject = fields.required("account_id");
    let email = fields.text("email");
    let sign_in = fields.flag("allow_sign_in");
    let connected = fields.flag("allow_connected_accounts");
    for (name, flag) in [
        ("allow_sign_in", sign_in),
        ("allow_connected_accounts", connected),
    ] {
        if flag.is_none() {
            fields.problem(name, "must be true or false");
        }
    }
    check(&mut fields, subject.as_deref(), email.as_deref());
    fields.finish()?;
    let (provider, subject) = (said(provider)?, said(subject)?);
    let user = whose(ctx, access, &said(user)?).await?;
    spare_operator_of(ctx, user).await?;
    let upstream = access
        .project
        .upstream(&provider)
        .ok_or(KnownError::OAuthProviderNotFoundOrNotEnabled)?;
    let account = ConnectedAccount {
        id: AccountId::new(ctx.now, ctx.chance()),
        user_id: user,
        provider_id: upstream.provider.id.clone(),
        subject,
        email,
        sign_in: said(sign_in)?,
        connected: said(connected)?,
        grant: None,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    let accounts = ctx.store().accounts_of(user).await?;
    if account.sign_in && signs_in_otherwise(&accounts, &account) {
        return Err(SECOND_SIGN_IN);
    }
    let unit = ctx.store().unit().insert_account(&account, None);
    if !ctx.store().commit(unit).await?.won() {
        return Err(taken(ctx, user, &account.provider_id, &account.subject).await?);
    }
    Ok(crate::http::reply::json(
        StatusCode::CREATED,
        &shown(&access.project, &account),
    ))
}

/// Whether another account of the same provider is the one that the person signs in with.
fn signs_in_otherwise(accounts: &[ConnectedAccount], account: &ConnectedAccount) -> bool {
    accounts.iter().any(|other| {
        other.provider_id == account.provider_id && other.sign_in && other.id != account.id
    })
}

/// Why an upstream identity could not be linked.
async fn taken(
    ctx: &Ctx,
    user: UserId,
    provider: &ProviderId,
    subject: &str,
) -> Result<Stop, Failure> {
    Ok(match ctx.store().account_of(provider, subject).await? {
        Some((account, _)) if account.user_id == user => LINKED_ALREADY,
        Some(_) => KnownError::OAuthProviderAccountIdAlreadyUsedForSignIn.into(),
        // Nobody has it, so it was the person who went away meanwhile.
        None => KnownError::UserNotFound.into(),
    })
}

/// None when the records changed meanwhile.
async fn update(
    ctx: &Ctx,
    access: &Access,
    account: &ConnectedAccount,
    accounts: &[ConnectedAccount],
) -> Result<Option<Reply>, Stop> {
    let mut fields = Fields::read(ctx, UPDATE)?;
    let sign_in = fields.flag("allow_sign_in");
    let connected = fields.flag("allow_connected_accounts");
    // An id or an address that nobody proved is for the project's server to say; for a browser these members do not exist.
    let by_server = access.tier >= Tier::Server;
    let has_email = by_server && fields.has("email");
    let (email, subject) = if by_server {
        (fields.text("email"), fields.text("account_id"))
    } else {
        (None, None)
    };
    check(&mut fields, subject.as_deref(), email.as_deref());
    fields.finish()?;
    let changed = ConnectedAccount {
        sign_in: sign_in.unwrap_or(account.sign_in),
        connected: connected.unwrap_or(account.connected),
        email: if has_email {
            email
        } else {
            account.email.clone()
        },
        subject: subject.unwrap_or_else(|| account.subject.clone()),
        updated_at: ctx.now,
        ..account.clone()
    };
    if changed.sign_in && !account.sign_in && signs_in_otherwise(accounts, account) {
        return Err(SECOND_SIGN_IN);
    }
    if changed.sign_in && !account.sign_in {
        prove_lately(ctx, access).await?;
    }
    let unit = if account.sign_in && !changed.sign_in {
        keep_a_way_in(ctx, access, account, accounts).await?
    } else {
        ctx.store().unit()
    };
    if changed.subject != account.subject {
        return exchange(ctx, access, account, changed).await.map(Some);
    }
    let mut unit = unit.set_account_use(
        account.id,
        changed.sign_in.then_some(ctx.now),
        changed.connected.then_some(ctx.now),
    );
    if changed.email != account.email {
        unit = unit.update_account_email(account.id, changed.email.as_deref(), ctx.now);
    }
    let won = ctx.store().commit(unit).await?.won();
    Ok(won.then(|| envelope::json(&shown(&access.project, &changed))))
}

/// A way in is made by who proved lately who they are, as when it is linked; the project's server may know better.
async fn prove_lately(ctx: &Ctx, access: &Access) -> Result<(), Stop> {
    if access.tier >= Tier::Server {
        return Ok(());
    }
    let id = access.user()?.token.session_id;
    let session = standing_session(ctx, id).await?;
    match session.map(|session| Intent::of_link(session.user_id, session.auth_time, ctx.now)) {
        Some(Intent::Link(_)) => Ok(()),
        _ => Err(SIGN_IN_AGAIN),
    }
}

/// Another upstream identity under the same id: the tokens of the old one go with it.
async fn exchange(
    ctx: &Ctx,
    access: &Access,
    account: &ConnectedAccount,
    changed: ConnectedAccount,
) -> Result<Reply, Stop> {
    let changed = ConnectedAccount {
        grant: None,
        ..changed
    };
    let unit = ctx
        .store()
        .unit()
        .remove_account(account.id, account.user_id)
        .insert_account(&changed, None);
    if !ctx.store().commit(unit).await?.won() {
        if ctx.store().account(account.id).await?.is_none() {
            return Err(NOT_FOUND);
        }
        return Err(taken(ctx, account.user_id, &changed.provider_id, &changed.subject).await?);
    }
    Ok(envelope::json(&shown(&access.project, &changed)))
}

/// None when the records changed meanwhile.
async fn remove(
    ctx: &Ctx,
    access: &Access,
    account: &ConnectedAccount,
    accounts: &[ConnectedAccount],
) -> Result<Option<Reply>, Stop> {
    let unit = if account.sign_in {
        keep_a_way_in(ctx, access, account, accounts).await?
    } else {
        ctx.store().unit()
    };
    let unit = unit.remove_account(account.id, account.user_id);
    if !ctx.store().commit(unit).await?.won() {
        return Ok(None);
    }
    tracing::info!(
        reference = ctx.reference,
        tenant = ctx.tenant.tenant.slug,
        user = %account.user_id,
        provider = %account.provider_id,
        "a provider was unlinked"
    );
    Ok(Some(envelope::json(&json!({ "success": true }))))
}

/// A person does not lock themselves out by accident: without this account there must be a password, or another account whose
/// provider is there to sign in with, also when it is written: the unit that is begun here sees to that. The project's server may
/// know better.
async fn keep_a_way_in(
    ctx: &Ctx,
    access: &Access,
    account: &ConnectedAccount,
    accounts: &[ConnectedAccount],
) -> Result<TenantUnit, Stop> {
    let unit = ctx.store().unit();
    if access.tier >= Tier::Server {
        return Ok(unit);
    }
    let works = |other: &ConnectedAccount| {
        other.sign_in
            && access
                .project
                .upstream(other.provider_id.as_str())
                .is_some_and(|upstream| upstream.provider.sign_in)
    };
    // One that does not work as it is takes nothing away.
    if !works(account) {
        return Ok(unit);
    }
    let other = accounts
        .iter()
        .find(|other| other.id != account.id && works(other));
    let way = match other {
        Some(other) => WayIn::Account(other.id),
        None if ctx.store().password(account.user_id).await?.is_some() => WayIn::Password,
        None => return Err(LAST_WAY_IN),
    };
    Ok(unit.guard_way_in(account.user_id, way))
}
