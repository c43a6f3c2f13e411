//! What a person's apps and the project's servers may change of them.
//!
//! A field that this server has no notion of may be said as it is, and nothing else: an app that turns something on that is not there
//! is told so by name.

use crate::dialects::projects::access::Tier;
use crate::dialects::projects::body::{Fields, Given, schema_error};
use crate::http::context::Ctx;
use crate::http::new_password;
use crate::http::reply::Failure;
use crate::ui::parts::{Field, FieldErrors};
use serde_json::{Map, Value};
use vestibule_core::identity::user::{Email, User, identifier_key};
use vestibule_core::oauth::known_error::KnownError;
use vestibule_core::secret::Secret;
use vestibule_core::url::WebAddress;

/// Fields that a client may say only as they are.
const STATED_BY_CLIENTS: &[&str] = &[
    "otp_auth_enabled",
    "passkey_auth_enabled",
    "selected_team_id",
    "totp_secret_base64",
    "primary_email",
];
/// The same for servers.
const STATED_BY_SERVERS: &[&str] = &[
    "otp_auth_enabled",
    "passkey_auth_enabled",
    "selected_team_id",
    "totp_secret_base64",
    "primary_email_auth_enabled",
    "password_hash",
    "is_anonymous",
    "restricted_by_admin",
    "restricted_by_admin_reason",
    "restricted_by_admin_private_details",
    "country_code",
    "risk_scores",
];
/// The fields of our records, as the seed calls them.
const WIRE_NAMES: &[(&str, &str)] = &[
    ("`name`", "body.display_name"),
    ("`picture`", "body.profile_image_url"),
    ("`unsafe_metadata`", "body.client_metadata"),
    ("`public_metadata`", "body.client_read_only_metadata"),
    ("`private_metadata`", "body.server_metadata"),
];

/// What is to change; what is not named stays.
#[derive(Default)]
pub(super) struct Changes {
    display_name: Given<String>,
    profile_image_url: Given<String>,
    client_metadata: Option<Map<String, Value>>,
    client_read_only_metadata: Option<Map<String, Value>>,
    server_metadata: Option<Map<String, Value>>,
    primary_email: Given<String>,
    primary_email_verified: Option<bool>,
    password: Given<Secret>,
    stated: Vec<(&'static str, Value)>,
}

/// What becomes of the password.
pub(super) enum Hashed {
    /// It stays.
    Unchanged,
    /// There is none any more.
    Removed,
    /// It is the one with this hash.
    Set(String),
}

impl Changes {
    /// Reads the body.
    pub(super) fn read(ctx: &Ctx, tier: Tier, place: &'static str) -> Result<Self, KnownError> {
        let mut body = Fields::read_json(ctx, place)?;
        let mut changes = Self {
            display_name: body.text_or_null("display_name"),
            profile_image_url: picture(&mut body),
            client_metadata: body.object_or_null("client_metadata"),
            ..Self::default()
        };
        let stated = if tier >= Tier::Server {
            changes.client_read_only_metadata = body.object_or_null("client_read_only_metadata");
            changes.server_metadata = body.object_or_null("server_metadata");
            changes.primary_email = email(&mut body);
            changes.primary_email_verified = body.flag("primary_email_verified");
            changes.password = body.text_or_null("password").map(Secret::new);
            STATED_BY_SERVERS
        } else {
            STATED_BY_CLIENTS
        };
        changes.stated = stated
            .iter()
            .filter_map(|name| Some((*name, body.take(name)?)))
            .collect();
        body.finish()?;
        Ok(changes)
    }

    /// Whether they change by what the person is let in.
    pub(super) fn touch_sign_in(&self) -> bool {
        self.primary_email.is_given()
            || self.primary_email_verified.is_some()
            || self.password.is_given()
    }

    /// The person as they are afterwards.
    pub(super) fn apply(&self, ctx: &Ctx, user: &User, place: &str) -> Result<User, KnownError> {
        let refuse = |problem: String| Err(schema_error(place, vec![problem]));
        let mut user = user.clone();
        let profile = &mut user.profile;
        profile.name = self.display_name.clone().after(profile.name.take());
        profile.picture = self.profile_image_url.clone().after(profile.picture.take());
        for (given, kept) in [
            (&self.client_metadata, &mut profile.unsafe_metadata),
            (
                &self.client_read_only_metadata,
                &mut profile.public_metadata,
            ),
            (&self.server_metadata, &mut profile.private_metadata),
        ] {
            if let Some(given) = given {
                kept.clone_from(given);
            }
        }
        if let Err(problem) = profile.check() {
            let named = WIRE_NAMES
                .iter()
                .fold(problem, |text, (ours, theirs)| text.replace(ours, theirs));
            return refuse(named);
        }
        if self.primary_email.is_given() {
            let key = |email: &Option<String>| email.as_deref().map(identifier_key);
            let email = self.primary_email.clone().after(None);
            // Another address is not proved because the one before was.
            user.email_verified = user.email_verified && key(&email) == key(&user.email);
            user.email = email;
        }
        if let Some(verified) = self.primary_email_verified {
            if verified && user.email.is_none() {
                return refuse(
                    "body.primary_email_verified must be false: the user has no primary_email of their own; set it too"
                        .to_owned(),
                );
            }
            user.email_verified = verified;
        }
        user.updated_at = ctx.now;
        Ok(user)
    }

    /// Refuses what is said otherwise than it is; `view` is what a server reads.
    pub(super) fn check_stated(
        &self,
        view: &Map<String, Value>,
        place: &str,
    ) -> Result<(), KnownError> {
        let problems: Vec<String> = self
            .stated
            .iter()
            .filter_map(|(name, value)| {
                let fact = view.get(*name).unwrap_or(&Value::Null);
                let unsaid = value.is_null() && *name == "risk_scores";
                (value != fact && !unsaid)
                    .then(|| format!("body.{name} cannot be changed here: it must be {fact}"))
            })
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(schema_error(place, problems))
        }
    }

    /// Judges and hashes the password.
    pub(super) async fn hash(
        &self,
        ctx: &Ctx,
        user: &User,
        place: &str,
    ) -> Result<Result<Hashed, KnownError>, Failure> {
        let typed = match &self.password {
            Given::Absent => return Ok(Ok(Hashed::Unchanged)),
            Given::Null => return Ok(Ok(Hashed::Removed)),
            Given::Value(typed) => typed,
        };
        let about = [
            user.profile.name.as_deref().unwrap_or_default(),
            user.email.as_deref().unwrap_or_default(),
            &ctx.tenant.tenant.name,
        ];
        let mut errors = FieldErrors::default();
        let (password, _) =
            new_password::judged(ctx, Some(typed.reveal()), &about, &mut errors).await?;
        let Some(password) = password else {
            let reason = errors.of(Field::Password.id()).unwrap_or_default();
            let problem = format!("body.password: {reason}");
            return Ok(Err(schema_error(place, vec![problem])));
        };
        let hash = new_password::hash(&ctx.shared, password).await?;
        Ok(Ok(Hashed::Set(hash)))
    }
}

fn picture(body: &mut Fields) -> Given<String> {
    match body.text_or_null("profile_image_url") {
        Given::Value(text) => match WebAddress::parse(&text) {
            Ok(address) => Given::Value(address.as_str().to_owned()),
            Err(error) => {
                body.problem("profile_image_url", &format!("is not accepted: {error}"));
                Given::Absent
            }
        },
        other => other,
    }
}

fn email(body: &mut Fields) -> Given<String> {
    let given = body.text_or_null("primary_email");
    if let Given::Value(text) = &given
        && let Err(error) = Email::parse(text)
    {
        body.problem("primary_email", &format!("is not accepted: {error}"));
    }
    given
}
