//! People (seed 001): themselves through their apps, all of them through the project's servers.
//!
//! Whoever runs the installation is read here and changed elsewhere: the key of one project does not reach that far.

mod changes;

use super::Answer;
use super::access::{Access, Tier};
use super::asked::{answer, spare_operator};
use super::body::schema_error;
use super::envelope;
use crate::http::context::Ctx;
use crate::http::reply::{self, Failure};
use changes::{Changes, Hashed};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use vestibule_core::id::UserId;
use vestibule_core::identity::account::ConnectedAccount;
use vestibule_core::identity::user::{Profile, User};
use vestibule_core::oauth::known_error::KnownError;
use vestibule_core::oauth::params::Params;
use vestibule_core::time::Timestamp;
use vestibule_store::accounts::ACCOUNTS_PAGE_USERS_MAX;
use vestibule_store::db::DbError;
use vestibule_store::users::{SeenUser, UserRecord, UserSummary, UserTimes};

/// How often a decision is made again when its guard was lost.
const TRIES_MAX: usize = 3;
/// The most people of one answer, and how many there are where nobody says.
const PAGE_MAX: usize = ACCOUNTS_PAGE_USERS_MAX;
/// The most records that one request looks through for people who fit. A page may be short for it; its cursor goes on.
const SCANNED_MAX: usize = 5000;
/// How many of them are read at a time.
const SCANNED_AT_ONCE: u32 = 500;

/// A time as the seed writes it.
pub(super) const fn millis(time: Timestamp) -> i64 {
    time.seconds().saturating_mul(1000)
}

/// The person whom a path or a query names. A client names its own.
pub(super) fn whom(access: &Access, text: &str) -> Result<UserId, KnownError> {
    if text == "me" {
        return access.me().map(|person| person.user.id);
    }
    let id = UserId::parse(text);
    let own = access.person().map(|person| person.user.id);
    if id.is_none() || id != own {
        access.at_least(Tier::Server)?;
    }
    id.ok_or(KnownError::UserNotFound)
}

/// `GET, POST /users`.
pub(super) async fn collection(ctx: &Ctx, access: &Access, _parts: &[&str]) -> Answer {
    if let Err(error) = access.at_least(Tier::Server) {
        return Ok(Err(error));
    }
    if ctx.method == Method::POST {
        create(ctx, access).await
    } else {
        list(ctx, access).await
    }
}

/// `GET, PATCH, DELETE /users/*`.
pub(super) async fn one(ctx: &Ctx, access: &Access, parts: &[&str]) -> Answer {
    let text = parts.first().copied().unwrap_or_default();
    let id = match whom(access, text) {
        Ok(id) => id,
        Err(error) => return Ok(Err(error)),
    };
    if ctx.method == Method::PATCH {
        update(ctx, access, id).await
    } else if ctx.method == Method::DELETE {
        remove(ctx, access, id).await
    } else {
        show(ctx, access, id).await
    }
}

async fn show(ctx: &Ctx, access: &Access, id: UserId) -> Answer {
    let Some(summary) = ctx.store().user_summary(id).await? else {
        return Ok(Err(KnownError::UserNotFound));
    };
    let accounts = ctx.store().accounts_of(id).await?;
    Ok(Ok(envelope::json(
        &Whole::of(&summary, accounts).view(access.tier),
    )))
}

/// A person with everything that is told of them.
struct Whole<'a> {
    user: &'a User,
    times: UserTimes,
    has_password: bool,
    accounts: Vec<ConnectedAccount>,
}

impl<'a> Whole<'a> {
    const fn of(summary: &'a UserSummary, accounts: Vec<ConnectedAccount>) -> Self {
        Self {
            user: &summary.record.user,
            times: summary.times,
            has_password: summary.has_password,
            accounts,
        }
    }

    /// An address that a provider told of somebody who has none of their own. It opens nothing and keeps nobody else from it (T46).
    fn told_email(&self) -> Option<&String> {
        let mut accounts = self.accounts.iter();
        accounts.find_map(|account| account.email.as_ref())
    }

    /// The members that the SDKs read. Whoever is disabled here is restricted there.
    fn view(&self, tier: Tier) -> Map<String, Value> {
        let (user, profile) = (self.user, &self.user.profile);
        let disabled = user.disabled_at.is_some();
        let providers: Vec<Value> = self.accounts.iter().map(provider).collect();
        let mut view = members(json!({
            "id": user.id,
            "primary_email": user.email.as_ref().or_else(|| self.told_email()),
            "primary_email_verified": user.email.is_some() && user.email_verified,
            "display_name": profile.name.as_ref().or(user.username.as_ref()),
            "profile_image_url": profile.picture,
            "signed_up_at_millis": millis(self.times.created_at),
            "client_metadata": metadata(&profile.unsafe_metadata),
            "client_read_only_metadata": metadata(&profile.public_metadata),
            "has_password": self.has_password,
            "auth_with_email": self.has_password && user.email.is_some(),
            "otp_auth_enabled": false,
            "passkey_auth_enabled": false,
            "requires_totp_mfa": false,
            "is_anonymous": false,
            "is_restricted": disabled,
            "restricted_reason": disabled.then(|| json!({ "type": "restricted_by_administrator" })),
            "restricted_by_admin": disabled,
            "restricted_by_admin_reason": null,
            "oauth_providers": providers,
            "selected_team": null,
            "selected_team_id": null,
        }));
        if tier >= Tier::Server {
            let last = self.times.used_at.unwrap_or(self.times.created_at);
            view.extend(members(json!({
                "primary_email_auth_enabled": user.email.is_some(),
                "server_metadata": metadata(&profile.private_metadata),
                "last_active_at_millis": millis(last),
                "restricted_by_admin_private_details": null,
                "country_code": null,
                "risk_scores": { "sign_up": { "bot": 0, "free_trial_abuse": 0 } },
            })));
        }
        view
    }
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Metadata that nobody set is `null` to the SDKs.
fn metadata(metadata: &Map<String, Value>) -> Option<&Map<String, Value>> {
    (!metadata.is_empty()).then_some(metadata)
}

/// The id is the provider's, not the account's.
fn provider(account: &ConnectedAccount) -> Value {
    json!({
        "id": account.provider_id.as_str(),
        "account_id": account.subject,
        "email": account.email,
    })
}

async fn update(ctx: &Ctx, access: &Access, id: UserId) -> Answer {
    const PLACE: &str = "PATCH /api/v1/users";
    let changes = match Changes::read(ctx, access.tier, PLACE) {
        Ok(changes) => changes,
        Err(error) => return Ok(Err(error)),
    };
    let mut hashed: Option<Hashed> = None;
    for _ in 0..TRIES_MAX {
        let Some(summary) = ctx.store().user_summary(id).await? else {
            return Ok(Err(KnownError::UserNotFound));
        };
        if changes.touch_sign_in()
            && let Err(stop) = spare_operator(&summary.record)
        {
            return answer(ctx, Err(stop));
        }
        let user = match changes.apply(ctx, &summary.record.user, PLACE) {
            Ok(user) => user,
            Err(error) => return Ok(Err(error)),
        };
        let view = Whole {
            user: &user,
            ..Whole::of(&summary, ctx.store().accounts_of(id).await?)
        }
        .view(Tier::Server);
        if let Err(error) = changes.check_stated(&view, PLACE) {
            return Ok(Err(error));
        }
        if hashed.is_none() {
            hashed = match changes.hash(ctx, &user, PLACE).await? {
                Ok(hashed) => Some(hashed),
                Err(error) => return Ok(Err(error)),
            };
        }
        match write(ctx, &user, &summary.seen, hashed.as_ref()).await? {
            Written::Yes => return show(ctx, access, id).await,
            Written::AddressTaken(email) => {
                return Ok(Err(KnownError::UserEmailAlreadyExists(email)));
            }
            Written::Lost => {}
        }
    }
    Err(Failure::Internal(
        "the guard of a person's change was lost again and again",
    ))
}

/// What became of a write.
enum Written {
    Yes,
    Lost,
    AddressTaken(String),
}

async fn write(
    ctx: &Ctx,
    user: &User,
    seen: &SeenUser,
    hashed: Option<&Hashed>,
) -> Result<Written, Failure> {
    let unit = ctx.store().unit().change_user(user, seen, ctx.now);
    // A changed password ends whatever the old one opened.
    let unit = match hashed {
        None | Some(Hashed::Unchanged) => unit,
        Some(Hashed::Removed) => unit
            .remove_password(user.id)
            .end_everything_of(user.id, ctx.now),
        Some(Hashed::Set(hash)) => unit
            .upsert_password(user.id, hash, ctx.now)
            .end_everything_of(user.id, ctx.now),
    };
    match ctx.store().commit(unit).await {
        Ok(committed) if committed.won() => Ok(Written::Yes),
        Ok(_) => Ok(Written::Lost),
        Err(DbError::Conflict { .. }) => Ok(Written::AddressTaken(
            user.email.clone().unwrap_or_default(),
        )),
        Err(error) => Err(error.into()),
    }
}

async fn create(ctx: &Ctx, access: &Access) -> Answer {
    const PLACE: &str = "POST /api/v1/users";
    let nobody = User {
        id: UserId::new(ctx.now, ctx.chance()),
        username: None,
        email: None,
        email_verified: false,
        profile: Profile::default(),
        updated_at: ctx.now,
        disabled_at: None,
    };
    let read = Changes::read(ctx, access.tier, PLACE)
        .and_then(|changes| Ok((changes.apply(ctx, &nobody, PLACE)?, changes)));
    let (user, changes) = match read {
        Ok(read) => read,
        Err(error) => return Ok(Err(error)),
    };
    let times = UserTimes {
        created_at: ctx.now,
        email_verified_at: None,
        used_at: None,
    };
    let new = Whole {
        user: &user,
        times,
        has_password: false,
        accounts: Vec::new(),
    };
    if let Err(error) = changes.check_stated(&new.view(Tier::Server), PLACE) {
        return Ok(Err(error));
    }
    let hashed = match changes.hash(ctx, &user, PLACE).await? {
        Ok(hashed) => hashed,
        Err(error) => return Ok(Err(error)),
    };
    let record = UserRecord {
        user: user.clone(),
        operator_at: None,
    };
    let unit = ctx.store().unit().insert_user(&record, ctx.now);
    let unit = match &hashed {
        Hashed::Set(hash) => unit.upsert_password(user.id, hash, ctx.now),
        Hashed::Unchanged | Hashed::Removed => unit,
    };
    if !ctx.store().commit(unit).await?.won() {
        // The id is new, so it was the address.
        let email = user.email.unwrap_or_default();
        return Ok(Err(KnownError::UserEmailAlreadyExists(email)));
    }
    tracing::info!(
        reference = ctx.reference,
        tenant = ctx.tenant.tenant.slug,
        user = %user.id,
        "a server of the project made a person"
    );
    let Some(summary) = ctx.store().user_summary(user.id).await? else {
        return Ok(Err(KnownError::UserNotFound));
    };
    // Nobody can have linked anything to somebody so new.
    let view = Whole::of(&summary, Vec::new()).view(access.tier);
    Ok(Ok(reply::json(StatusCode::CREATED, &view)))
}

async fn remove(ctx: &Ctx, access: &Access, id: UserId) -> Answer {
    if access.tier == Tier::Client && !ctx.tenant.tenant.policy.client_user_deletion {
        return Ok(Ok(envelope::words(
            ctx,
            StatusCode::BAD_REQUEST,
            "Client user deletion is not enabled for this project.",
        )));
    }
    let Some(record) = ctx.store().user(id).await? else {
        return Ok(Err(KnownError::UserNotFound));
    };
    if let Err(stop) = spare_operator(&record) {
        return answer(ctx, Err(stop));
    }
    let unit = ctx
        .store()
        .unit()
        .end_everything_of(id, ctx.now)
        .remove_user(id);
    if !ctx.store().commit(unit).await?.won() {
        return Ok(Err(KnownError::UserNotFound));
    }
    tracing::info!(
        reference = ctx.reference,
        tenant = ctx.tenant.tenant.slug,
        user = %id,
        by = access.tier.as_str(),
        "a person was removed through the project API"
    );
    Ok(Ok(envelope::json(&json!({ "success": true }))))
}

/// Which people a list is asked for.
struct Wanted {
    limit: usize,
    cursor: Option<UserId>,
    descending: bool,
    query: Option<String>,
    with_restricted: bool,
    only_anonymous: bool,
}

impl Wanted {
    fn read(params: &Params) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let limit = params
            .get("limit")
            .map_or(Some(PAGE_MAX), |text| text.parse().ok())
            .filter(|limit| (1..=PAGE_MAX).contains(limit));
        if limit.is_none() {
            problems.push(format!(
                "query.limit must be a whole number from 1 to {PAGE_MAX}"
            ));
        }
        let cursor = params.get("cursor").map(UserId::parse);
        if cursor == Some(None) {
            problems.push("query.cursor must be a next_cursor of this list".to_owned());
        }
        if !matches!(params.get("order_by"), None | Some("signed_up_at")) {
            problems.push("query.order_by must be signed_up_at".to_owned());
        }
        if params.get("team_id").is_some() {
            problems.push("query.team_id: there are no teams here".to_owned());
        }
        let mut flag = |name: &str| match params.get(name) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                problems.push(format!("query.{name} must be true or false"));
                false
            }
        };
        let wanted = Self {
            limit: limit.unwrap_or(PAGE_MAX),
            cursor: cursor.flatten(),
            descending: flag("desc"),
            query: params.get("query").map(str::to_lowercase),
            with_restricted: flag("include_restricted"),
            only_anonymous: flag("only_anonymous"),
        };
        // Nobody is anonymous here, so this one changes nothing.
        let _: bool = flag("include_anonymous");
        if problems.is_empty() {
            Ok(wanted)
        } else {
            Err(problems)
        }
    }

    fn fits(&self, user: &User) -> bool {
        let found = |query: &str| {
            let id = user.id.to_string();
            let texts = [
                Some(&id),
                user.email.as_ref(),
                user.username.as_ref(),
                user.profile.name.as_ref(),
            ];
            let mut texts = texts.into_iter().flatten();
            texts.any(|text| text.to_lowercase().contains(query))
        };
        (self.with_restricted || user.disabled_at.is_none())
            && !self.only_anonymous
            && self.query.as_deref().is_none_or(found)
    }
}

async fn list(ctx: &Ctx, access: &Access) -> Answer {
    const PLACE: &str = "GET /api/v1/users";
    let wanted = ctx
        .query_params()
        .map_err(|error| vec![error.to_string()])
        .and_then(|params| Wanted::read(&params));
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(problems) => return Ok(Err(schema_error(PLACE, problems))),
    };
    let (found, next_cursor) = scan(ctx, &wanted).await?;
    let ids: Vec<UserId> = found.iter().map(|summary| summary.record.user.id).collect();
    let mut accounts = ctx.store().accounts_of_page(&ids).await?;
    let items: Vec<_> = found
        .iter()
        .map(|summary| {
            let accounts = accounts.remove(&summary.record.user.id).unwrap_or_default();
            Whole::of(summary, accounts).view(access.tier)
        })
        .collect();
    Ok(Ok(envelope::json(&json!({
        "items": items,
        "is_paginated": true,
        "pagination": { "next_cursor": next_cursor },
    }))))
}

/// The people who are wanted, and after whom to go on, where there may be more.
async fn scan(ctx: &Ctx, wanted: &Wanted) -> Result<(Vec<UserSummary>, Option<UserId>), Failure> {
    let (mut found, mut last, mut scanned) = (Vec::new(), wanted.cursor, 0);
    while scanned < SCANNED_MAX {
        let rows = if wanted.descending {
            ctx.store()
                .user_summaries_before(last, SCANNED_AT_ONCE)
                .await?
        } else {
            ctx.store()
                .user_summaries_after(last, SCANNED_AT_ONCE)
                .await?
        };
        let is_end = rows.len() < SCANNED_AT_ONCE as usize;
        scanned += rows.len();
        for row in rows {
            if found.len() == wanted.limit {
                return Ok((found, last));
            }
            last = Some(row.record.user.id);
            if wanted.fits(&row.record.user) {
                found.push(row);
            }
        }
        if is_end {
            return Ok((found, None));
        }
    }
    Ok((found, last))
}
