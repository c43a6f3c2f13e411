//! `/setup/{link}`: the one-time link that creates the operator (T50).
//!
//! There is no default password. The first start prints a link; who holds it creates the operator, once; after that no link opens,
//! not even a new one.

use crate::http::context::Ctx;
use crate::http::reply::{self, Failure, Reply};
use crate::http::{csrf, new_password, session};
use crate::outbound::strength::{PASSWORD_CHARACTERS_MIN, Strength};
use crate::ui::pages::{Setup, SetupDone, SetupValues};
use crate::ui::parts::{Field, FieldErrors, PasswordFeedback};
use crate::ui::words;
use http::StatusCode;
use vestibule_core::id::UserId;
use vestibule_core::identity::tenant::DEFAULT_SLUG;
use vestibule_core::identity::user::{Email, PROFILE_TEXT_MAX, Profile, User, Username};
use vestibule_core::oauth::params::Params;
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_store::tenants::TenantRecord;
use vestibule_store::users::UserRecord;

/// The step that the form's token is bound to.
const STEP: &str = "setup";
/// The longest name of an installation, in characters.
const INSTALLATION_NAME_MAX: usize = 100;

/// `GET /setup/{link}`.
pub(crate) async fn show(ctx: &Ctx, link: &str) -> Result<Reply, Failure> {
    match open(ctx, link).await? {
        Some(_) => render(
            ctx,
            link,
            StatusCode::OK,
            &Params::default(),
            &Remarks::default(),
        ),
        None => Ok(closed(ctx)),
    }
}

/// `POST /setup/{link}`.
pub(crate) async fn submit(ctx: &Ctx, link: &str) -> Result<Reply, Failure> {
    let Some(handle) = open(ctx, link).await? else {
        return Ok(closed(ctx));
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
    let operator = match read(ctx, &form).await? {
        Ok(operator) => operator,
        Err(remarks) => {
            return render(ctx, link, StatusCode::UNPROCESSABLE_ENTITY, &form, &remarks);
        }
    };
    let tenant = &ctx.tenant.tenant;
    let id = operator.user.id;
    let record = TenantRecord {
        id: tenant.id,
        slug: tenant.slug.clone(),
        name: operator.installation,
        policy: tenant.policy.clone(),
        groups: tenant.groups.clone(),
        docs_profile: tenant.docs_profile.clone(),
        endpoint_aliases: tenant.endpoint_aliases.clone(),
    };
    let user = UserRecord {
        user: operator.user,
        operator_at: Some(ctx.now),
    };
    let unit = ctx
        .store()
        .unit()
        .complete_set_up(handle.id(), ctx.now)
        .insert_user(&user, ctx.now)
        .upsert_password(id, &operator.hash, ctx.now)
        .update_tenant(&record, ctx.now)
        .configuration_changed(ctx.now);
    if !ctx.store().commit(unit).await?.won() {
        if open(ctx, link).await?.is_none() {
            return Ok(closed(ctx));
        }
        let mut remarks = Remarks::default();
        remarks.errors.push(
            Field::Username,
            "This user name or address belongs to somebody already.",
        );
        return render(ctx, link, StatusCode::UNPROCESSABLE_ENTITY, &form, &remarks);
    }
    ctx.shared.configuration.forget(tenant.id);
    tracing::info!(reference = ctx.reference, user = %id, "the operator was created; set-up is closed");
    let page = SetupDone {
        shell: reply::shell(ctx, None),
        sign_in_href: "/sign-in",
    };
    reply::page(StatusCode::OK, &page, &[])
}

/// The operator that the form describes.
struct Operator {
    installation: String,
    user: User,
    hash: String,
}

/// What the form shows besides its fields.
#[derive(Default)]
struct Remarks {
    errors: FieldErrors,
    strength: Option<Strength>,
}

/// Reads the form, or says what is wrong with each field.
async fn read(ctx: &Ctx, form: &Params) -> Result<Result<Operator, Remarks>, Failure> {
    let mut errors = FieldErrors::default();
    let text = |field: &str| form.get(field).unwrap_or_default().trim();
    let (installation, name) = (text("installation"), text("name"));
    if installation.is_empty() || installation.chars().count() > INSTALLATION_NAME_MAX {
        errors.push(
            Field::Installation,
            "Enter a name for this sign-in, in 100 characters at most.",
        );
    }
    if name.is_empty() || name.chars().count() > PROFILE_TEXT_MAX {
        errors.push(Field::Name, "Enter your name, in 512 characters at most.");
    }
    let username = Username::parse(text("username"))
        .map_err(|error| errors.push(Field::Username, error.to_string()));
    let email =
        Email::parse(text("email")).map_err(|error| errors.push(Field::Email, error.to_string()));
    let about = [name, text("username"), text("email"), installation];
    let (password, strength) =
        new_password::judged(ctx, form.get("password"), &about, &mut errors).await?;
    let (Ok(username), Ok(email), Some(password), true) =
        (username, email, password, errors.is_empty())
    else {
        return Ok(Err(Remarks { errors, strength }));
    };
    let hash = new_password::hash(&ctx.shared, password).await?;
    let user = User {
        id: UserId::new(ctx.now, ctx.chance()),
        username: Some(username.as_str().to_owned()),
        email: Some(email.as_str().to_owned()),
        email_verified: false,
        profile: Profile {
            name: Some(name.to_owned()),
            ..Profile::default()
        },
        updated_at: ctx.now,
        disabled_at: None,
    };
    Ok(Ok(Operator {
        installation: installation.to_owned(),
        user,
        hash,
    }))
}

/// The link, if it is the open one. It belongs to the default tenant.
async fn open(ctx: &Ctx, link: &str) -> Result<Option<Handle>, Failure> {
    let Some(handle) =
        Handle::parse(HandleKind::SetUp, link).filter(|_| ctx.tenant.tenant.slug == DEFAULT_SLUG)
    else {
        return Ok(None);
    };
    let installation = ctx.shared.store.any_installation().await?;
    let right = match installation.set_up {
        Some((id, digest, expires_at)) => {
            installation.set_up_at.is_none()
                && id == *handle.id()
                && digest.matches(&handle.digest())
                && ctx.now < expires_at
        }
        None => false,
    };
    Ok(right.then_some(handle))
}

fn closed(ctx: &Ctx) -> Reply {
    reply::error_page(ctx, StatusCode::NOT_FOUND, &words::SETUP_CLOSED, None)
}

fn render(
    ctx: &Ctx,
    link: &str,
    status: StatusCode,
    form: &Params,
    remarks: &Remarks,
) -> Result<Reply, Failure> {
    let (browser, cookie) = session::ensure_browser(ctx);
    let suggestions: Vec<&str> = remarks
        .strength
        .iter()
        .flat_map(|strength| strength.suggestions.iter().map(String::as_str))
        .collect();
    let action = format!("/setup/{link}");
    let csrf = csrf::token(ctx, &browser, STEP);
    let page = Setup {
        shell: reply::shell(ctx, None),
        action: &action,
        csrf: &csrf,
        values: SetupValues {
            installation: form.get("installation").unwrap_or(&ctx.tenant.tenant.name),
            name: form.get("name").unwrap_or_default(),
            username: form.get("username").unwrap_or_default(),
            email: form.get("email").unwrap_or_default(),
        },
        error: None,
        errors: remarks.errors.clone(),
        password_length_min: PASSWORD_CHARACTERS_MIN,
        password_feedback: remarks.strength.as_ref().map(|strength| PasswordFeedback {
            score: strength.score,
            warning: strength.warning.as_deref(),
            suggestions: &suggestions,
        }),
    };
    let mut reply = reply::page(status, &page, &[])?;
    if let Some(cookie) = cookie {
        reply::set_cookie(&mut reply, &cookie);
    }
    Ok(reply)
}
