//! `/sign-in`: user name or address, and password.
//!
//! Unknown people, disabled people and wrong passwords get the same answer after the same work (T42). Tries are counted before a
//! password is looked at.

use super::sign_in_with;
use crate::http::context::Ctx;
use crate::http::interaction::{self, Dialogue, spoke};
use crate::http::peer::Network;
use crate::http::reply::{self, Failure, Reply};
use crate::http::throttle::Origin;
use crate::http::{csrf, new_password, session};
use crate::outbound::password_hash::{HashError, Password};
use crate::ui::pages::SignIn;
use crate::ui::parts::FormError;
use crate::ui::words;
use http::StatusCode;
use http::header::{self, HeaderValue};
use vestibule_core::id::UserId;
use vestibule_core::identity::tenant::SignUp;
use vestibule_core::identity::user::identifier_key;
use vestibule_core::oauth::interaction::Facts;

/// The step that the form's token is bound to.
const STEP: &str = "sign-in";
/// How often a decision is made again when its guard was lost.
const TRIES_MAX: usize = 3;
/// The longest identifier that is looked at, in bytes.
const IDENTIFIER_BYTES_MAX: usize = 320;

/// `GET /sign-in`.
pub(crate) async fn show(ctx: &Ctx) -> Result<Reply, Failure> {
    let dialogue = match interaction::open_spoke(ctx).await? {
        Ok(dialogue) => dialogue,
        Err(reply) => return Ok(reply),
    };
    // Why somebody came back from another site without being signed in.
    let problem = ctx.query_params().ok();
    let problem = problem
        .as_ref()
        .and_then(|params| params.get("problem"))
        .and_then(words::upstream_problem);
    render(ctx, dialogue.as_ref(), StatusCode::OK, problem, None).await
}

/// `POST /sign-in`.
pub(crate) async fn submit(ctx: &Ctx) -> Result<Reply, Failure> {
    let dialogue = match interaction::open_spoke(ctx).await? {
        Ok(dialogue) => dialogue,
        Err(reply) => return Ok(reply),
    };
    let Some(browser) = session::browser(ctx) else {
        return Ok(reply::error_page(
            ctx,
            StatusCode::BAD_REQUEST,
            &words::COOKIES_REFUSED,
            None,
        ));
    };
    let form = ctx.form().unwrap_or_default();
    if !csrf::is_ours(ctx, STEP, &form) {
        return Ok(reply::error_page(
            ctx,
            StatusCode::FORBIDDEN,
            &words::FORM_REFUSED,
            None,
        ));
    }
    let identifier = form.get("username").unwrap_or_default().trim().to_owned();
    let again = |status, error| {
        render(
            ctx,
            dialogue.as_ref(),
            status,
            Some(error),
            Some(&identifier),
        )
    };
    let password = form
        .get("password")
        .and_then(|typed| Password::parse(typed.to_owned()).ok());
    let (Some(password), true) = (
        password,
        (1..=IDENTIFIER_BYTES_MAX).contains(&identifier.len()),
    ) else {
        return again(StatusCode::UNPROCESSABLE_ENTITY, words::wrong_credentials()).await;
    };
    match check(ctx, &identifier, password, &browser).await {
        Ok(Some(user_id)) => {
            signed_in(
                ctx,
                dialogue.map(|(dialogue, _)| dialogue),
                user_id,
                &browser,
            )
            .await
        }
        Ok(None) => again(StatusCode::UNPROCESSABLE_ENTITY, words::wrong_credentials()).await,
        Err(NotChecked::Throttled(seconds)) => {
            let mut reply = again(StatusCode::TOO_MANY_REQUESTS, words::throttled(seconds)).await?;
            reply
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Ok(reply)
        }
        Err(NotChecked::Failed(Failure::Hash(HashError::Busy))) => {
            let mut reply = again(StatusCode::SERVICE_UNAVAILABLE, words::busy()).await?;
            reply
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            Ok(reply)
        }
        Err(NotChecked::Failed(failure)) => Err(failure),
    }
}

/// Why a password was not looked at.
enum NotChecked {
    Throttled(u64),
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for NotChecked {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Checks a password; the person whose it is, or nobody.
async fn check(
    ctx: &Ctx,
    identifier: &str,
    password: Password,
    browser: &str,
) -> Result<Option<UserId>, NotChecked> {
    let found = ctx.store().user_by_identifier(identifier).await?;
    // What was typed is counted, not whose it is: a name and an address that shared their count would tell that they are one person's.
    let key = identifier_key(identifier);
    // A browser in which the person is signed in is theirs: failures elsewhere do not count against it.
    let here = session::people(ctx, "").await?;
    let known = found.as_ref().is_some_and(|(record, _)| {
        here.iter()
            .any(|here| here.present.user.id == record.user.id)
    });
    let origin = if known {
        Origin::KnownDevice(browser.as_bytes())
    } else {
        Origin::Network(Network::of(ctx.address))
    };
    let attempt = ctx
        .shared
        .throttle
        .begin_sign_in(
            ctx.tenant.tenant.id.bytes(),
            key.as_bytes(),
            origin,
            ctx.now_millis,
        )
        .map_err(|wait| NotChecked::Throttled(wait.0))?;
    let hasher = &ctx.shared.hasher;
    let Some((record, Some(stored))) = found else {
        if let Err(error) = hasher.verify_absent(password).await {
            attempt.not_tried();
            return Err(error.into());
        }
        log_refusal(ctx, "nobody of that name, or no password");
        return Ok(None);
    };
    let verdict = match hasher
        .verify(
            &stored,
            Password::parse(password.expose().to_owned())
                .map_err(|_| Failure::Internal("a password changed"))?,
        )
        .await
    {
        Ok(verdict) => verdict,
        Err(error) => {
            attempt.not_tried();
            return Err(error.into());
        }
    };
    if !verdict.matches {
        log_refusal(ctx, "the password is wrong");
        return Ok(None);
    }
    if record.user.disabled_at.is_some() {
        log_refusal(ctx, "the person is disabled");
        return Ok(None);
    }
    attempt.succeeded();
    if verdict.needs_upgrade {
        upgrade(ctx, record.user.id, &stored, password).await;
    }
    Ok(Some(record.user.id))
}

fn log_refusal(ctx: &Ctx, detail: &'static str) {
    tracing::info!(
        reference = ctx.reference,
        tenant = ctx.tenant.tenant.slug,
        detail,
        "a sign-in was refused"
    );
}

/// Hashes a password with today's parameters. Whatever goes wrong, the person is signed in; the next sign-in tries again.
async fn upgrade(ctx: &Ctx, id: UserId, old: &str, password: Password) {
    if let Ok(new) = new_password::hash(&ctx.shared, password).await {
        let unit = ctx.store().unit().upgrade_password(id, old, &new, ctx.now);
        if let Err(error) = ctx.store().commit(unit).await {
            tracing::warn!(reference = ctx.reference, %error, "a password hash was not upgraded");
        }
    }
}

/// Notes the sign-in and goes back to the hub, or to `/` where no app asked.
pub(super) async fn signed_in(
    ctx: &Ctx,
    dialogue: Option<Dialogue>,
    user_id: UserId,
    browser: &str,
) -> Result<Reply, Failure> {
    // A session that ended while it was renewed is no longer among the people: the second decision makes a new one.
    let mut tries = 0..TRIES_MAX;
    let sign_in = loop {
        let people = session::people(ctx, "").await?;
        let sign_in = session::sign_in(ctx, &people, user_id);
        if ctx.store().commit(sign_in.unit.clone()).await?.won() {
            break sign_in;
        }
        if tries.next().is_none() {
            return Err(Failure::Internal(
                "a session's guard was lost again and again",
            ));
        }
    };
    tracing::info!(reference = ctx.reference, tenant = ctx.tenant.tenant.slug, user = %user_id, "signed in");
    let mut reply = match dialogue {
        Some(mut dialogue) => {
            dialogue.facts = Facts {
                signed_in: Some(sign_in.session_id),
                ..Facts::default()
            };
            interaction::to_hub(ctx, &dialogue, browser)?
        }
        None => reply::see_other(ctx, "/")?,
    };
    reply::set_cookie(&mut reply, &sign_in.cookie);
    Ok(reply)
}

async fn render(
    ctx: &Ctx,
    dialogue: Option<&(Dialogue, String)>,
    status: StatusCode,
    error: Option<FormError>,
    typed: Option<&str>,
) -> Result<Reply, Failure> {
    let people = session::people(ctx, "").await?;
    let (browser, cookie) = session::ensure_browser(ctx);
    let request = dialogue.map(|(dialogue, _)| &dialogue.request);
    let again = request.is_some_and(|request| request.prompt.login || request.max_age.is_some())
        && !people.is_empty();
    let hinted = request.and_then(|request| request.login_hint.as_deref());
    let known = people
        .first()
        .filter(|_| again)
        .map(|here| here.present.user.identifier());
    let link =
        |path| dialogue.map_or_else(|| String::from(path), |(_, sealed)| spoke(path, sealed));
    let (action, sign_up, accounts) = (link("/sign-in"), link("/sign-up"), link("/accounts"));
    let csrf = csrf::token(ctx, &browser, STEP);
    let client = dialogue.map(|(dialogue, _)| dialogue.client.as_ref());
    let providers = sign_in_with::buttons(ctx, dialogue).await?;
    let page = SignIn {
        shell: reply::shell(ctx, client),
        action: &action,
        csrf: &csrf,
        identifier: typed.or(hinted).or(known).unwrap_or_default(),
        error,
        notice: again.then_some(if providers.is_empty() {
            words::SIGN_IN_AGAIN
        } else {
            words::SIGN_IN_AGAIN_SOMEHOW
        }),
        providers,
        sign_up_href: (ctx.tenant.tenant.policy.sign_up == SignUp::Open)
            .then_some(sign_up.as_str()),
        accounts_href: (dialogue.is_some() && !people.is_empty()).then_some(accounts.as_str()),
    };
    let targets = dialogue
        .map(|(dialogue, _)| dialogue.form_targets())
        .unwrap_or_default();
    let mut reply = reply::page(status, &page, &targets)?;
    reply::keep_opener(&mut reply, client);
    if let Some(cookie) = cookie {
        reply::set_cookie(&mut reply, &cookie);
    }
    Ok(reply)
}
