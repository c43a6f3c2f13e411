//! `/sign-up`: name, address, password. The address is unverified until mail can prove it.

use super::password::signed_in;
use super::sign_in_with;
use crate::http::context::Ctx;
use crate::http::interaction::{self, Dialogue, spoke};
use crate::http::peer::Network;
use crate::http::reply::{self, Failure, Reply};
use crate::http::throttle::{Key, Kind};
use crate::http::{csrf, new_password, session};
use crate::outbound::password_hash::HashError;
use crate::outbound::strength::{PASSWORD_CHARACTERS_MIN, Strength};
use crate::ui::pages::{SignUp, SignUpValues};
use crate::ui::parts::{Field, FieldErrors, FormError, PasswordFeedback};
use crate::ui::words;
use http::StatusCode;
use http::header::{self, HeaderValue};
use vestibule_core::id::UserId;
use vestibule_core::identity::tenant;
use vestibule_core::identity::user::{Email, PROFILE_TEXT_MAX, Profile, User};
use vestibule_core::oauth::params::Params;
use vestibule_store::users::UserRecord;

/// The step that the form's token is bound to.
const STEP: &str = "sign-up";

/// What the form shows besides its fields.
#[derive(Default)]
struct Remarks {
    error: Option<FormError>,
    errors: FieldErrors,
    strength: Option<Strength>,
}

/// `GET /sign-up`.
pub(crate) async fn show(ctx: &Ctx) -> Result<Reply, Failure> {
    let dialogue = match open(ctx).await? {
        Ok(dialogue) => dialogue,
        Err(reply) => return Ok(reply),
    };
    render(
        ctx,
        dialogue.as_ref(),
        StatusCode::OK,
        &Params::default(),
        Remarks::default(),
    )
    .await
}

/// `POST /sign-up`.
pub(crate) async fn submit(ctx: &Ctx) -> Result<Reply, Failure> {
    let dialogue = match open(ctx).await? {
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
    let again = |status, remarks| render(ctx, dialogue.as_ref(), status, &form, remarks);
    let network = Key::of(&[
        ctx.tenant.tenant.id.bytes(),
        &Network::of(ctx.address).octets(),
    ]);
    if let Err(wait) = ctx
        .shared
        .throttle
        .check(Kind::SignUp, network, ctx.now_millis)
    {
        let remarks = Remarks {
            error: Some(words::throttled(wait.0)),
            ..Remarks::default()
        };
        let mut reply = again(StatusCode::TOO_MANY_REQUESTS, remarks).await?;
        reply
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(wait.0));
        return Ok(reply);
    }
    match create(ctx, &form).await {
        Ok(Ok(user_id)) => {
            signed_in(
                ctx,
                dialogue.map(|(dialogue, _)| dialogue),
                user_id,
                &browser,
            )
            .await
        }
        Ok(Err(remarks)) => again(StatusCode::UNPROCESSABLE_ENTITY, remarks).await,
        Err(Failure::Hash(HashError::Busy)) => {
            let remarks = Remarks {
                error: Some(words::busy()),
                ..Remarks::default()
            };
            let mut reply = again(StatusCode::SERVICE_UNAVAILABLE, remarks).await?;
            reply
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            Ok(reply)
        }
        Err(failure) => Err(failure),
    }
}

/// The dialogue, where people may sign up by themselves.
async fn open(ctx: &Ctx) -> Result<Result<Option<(Dialogue, String)>, Reply>, Failure> {
    if ctx.tenant.tenant.policy.sign_up != tenant::SignUp::Open {
        return Ok(Err(reply::error_page(
            ctx,
            StatusCode::NOT_FOUND,
            &words::SIGN_UP_CLOSED,
            None,
        )));
    }
    interaction::open_spoke(ctx).await
}

/// Creates the person, or says what is wrong with each field.
async fn create(ctx: &Ctx, form: &Params) -> Result<Result<UserId, Remarks>, Failure> {
    let mut errors = FieldErrors::default();
    let name = form.get("name").unwrap_or_default().trim();
    if name.is_empty() || name.chars().count() > PROFILE_TEXT_MAX {
        errors.push(Field::Name, "Enter your name, in 512 characters at most.");
    }
    let email = Email::parse(form.get("email").unwrap_or_default().trim());
    if let Err(error) = &email {
        errors.push(Field::Email, error.to_string());
    }
    let about = [
        name,
        form.get("email").unwrap_or_default(),
        &ctx.tenant.tenant.name,
    ];
    let (password, strength) =
        new_password::judged(ctx, form.get("password"), &about, &mut errors).await?;
    let (Ok(email), Some(password), true) = (email, password, errors.is_empty()) else {
        return Ok(Err(Remarks {
            error: None,
            errors,
            strength,
        }));
    };
    let hash = new_password::hash(&ctx.shared, password).await?;
    let user = User {
        id: UserId::new(ctx.now, ctx.chance()),
        username: None,
        email: Some(email.as_str().to_owned()),
        email_verified: false,
        profile: Profile {
            name: Some(name.to_owned()),
            ..Profile::default()
        },
        updated_at: ctx.now,
        disabled_at: None,
    };
    let id = user.id;
    let record = UserRecord {
        user,
        operator_at: None,
    };
    let unit = ctx
        .store()
        .unit()
        .insert_user(&record, ctx.now)
        .upsert_password(id, &hash, ctx.now);
    if ctx.store().commit(unit).await?.won() {
        tracing::info!(reference = ctx.reference, tenant = ctx.tenant.tenant.slug, user = %id, "signed up");
        return Ok(Ok(id));
    }
    // Until mail can tell the truth to the owner of the address alone, the page has to say it; sign-ups are counted by network.
    errors.push(
        Field::Email,
        "This address cannot be used for a new account. If it is yours, sign in.",
    );
    Ok(Err(Remarks {
        error: None,
        errors,
        strength: None,
    }))
}

async fn render(
    ctx: &Ctx,
    dialogue: Option<&(Dialogue, String)>,
    status: StatusCode,
    form: &Params,
    remarks: Remarks,
) -> Result<Reply, Failure> {
    let (browser, cookie) = session::ensure_browser(ctx);
    let link =
        |path| dialogue.map_or_else(|| String::from(path), |(_, sealed)| spoke(path, sealed));
    let (action, sign_in) = (link("/sign-up"), link("/sign-in"));
    let csrf = csrf::token(ctx, &browser, STEP);
    let suggestions: Vec<&str> = remarks
        .strength
        .iter()
        .flat_map(|strength| strength.suggestions.iter().map(String::as_str))
        .collect();
    let feedback = remarks.strength.as_ref().map(|strength| PasswordFeedback {
        score: strength.score,
        warning: strength.warning.as_deref(),
        suggestions: &suggestions,
    });
    let hint = dialogue
        .and_then(|(dialogue, _)| dialogue.request.login_hint.as_deref())
        .filter(|hint| hint.contains('@'));
    let page = SignUp {
        shell: reply::shell(ctx, dialogue.map(|(dialogue, _)| dialogue.client.as_ref())),
        action: &action,
        csrf: &csrf,
        values: SignUpValues {
            name: form.get("name").unwrap_or_default(),
            username: None,
            email: form.get("email").or(hint).unwrap_or_default(),
        },
        error: remarks.error,
        errors: remarks.errors,
        password_length_min: PASSWORD_CHARACTERS_MIN,
        password_feedback: feedback,
        providers: sign_in_with::buttons(ctx, dialogue).await?,
        sign_in_href: &sign_in,
    };
    let targets = dialogue
        .map(|(dialogue, _)| dialogue.form_targets())
        .unwrap_or_default();
    let mut reply = reply::page(status, &page, &targets)?;
    reply::keep_opener(
        &mut reply,
        dialogue.map(|(dialogue, _)| dialogue.client.as_ref()),
    );
    if let Some(cookie) = cookie {
        reply::set_cookie(&mut reply, &cookie);
    }
    Ok(reply)
}
