//! The dialogue with a person about one authorization request, on its way through the browser.
//!
//! Until a person acts, a stranger's request costs the database nothing: the accepted request travels sealed in the address, with
//! the facts that the spokes recorded, bound to the browser that began it. It is parsed anew at each step, so that what the
//! client may do is decided by what the client is now.

use super::context::Ctx;
use super::reply::{self, Failure, Reply};
use super::seal::Purpose;
use super::{id_token, session};
use crate::ui::words;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use vestibule_core::oauth::authorize::{self, AuthorizationRequest, Dialect};
use vestibule_core::oauth::client::Client;
use vestibule_core::oauth::error::{ErrorCode, OAuthError, Refusal, ShowReason};
use vestibule_core::oauth::interaction::{Facts, House};
use vestibule_core::oauth::params::Params;
use vestibule_core::time::{Lifetime, Timestamp};

/// How long a person may take.
pub(crate) const DIALOGUE_LIFETIME: Lifetime = Lifetime::minutes(30);
/// The most bytes of parameters that are sealed: the address stays below what proxies accept in one line (8 KiB).
pub(crate) const SEALED_PARAMS_BYTES_MAX: usize = 5500;

#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(rename = "q")]
    params: String,
    #[serde(rename = "d")]
    dialect: Dialect,
    #[serde(rename = "t")]
    accepted_at: Timestamp,
    #[serde(rename = "f", default)]
    facts: Facts,
}

/// A dialogue: the request, its client, and what was recorded.
pub(crate) struct Dialogue {
    /// The request.
    pub(crate) request: AuthorizationRequest,
    /// The client.
    pub(crate) client: Arc<Client>,
    /// What the spokes recorded.
    pub(crate) facts: Facts,
    params: String,
    dialect: Dialect,
    accepted_at: Timestamp,
}

/// What the tenant decides about dialogues.
pub(crate) fn house(ctx: &Ctx) -> House<'_> {
    let tenant = &ctx.tenant.tenant;
    House {
        scopes: &tenant.scopes,
        sign_up: tenant.policy.sign_up,
    }
}

/// Why there is no dialogue.
pub(crate) enum NoDialogue {
    /// Answer this.
    Show(Reply),
    /// The request is refused, here or at the client, in this dialect.
    Refused(Dialect, Box<Refusal>),
}

/// Accepts an authorization request.
pub(crate) async fn begin(
    ctx: &Ctx,
    params: &Params,
    dialect: Dialect,
) -> Result<Result<Dialogue, Refusal>, Failure> {
    let client = match params.get("client_id") {
        Some(id) => ctx.tenant.client(&ctx.shared, id).await?,
        None => None,
    };
    let kept = params.encode(authorize::KNOWN);
    let too_long = kept.len() > SEALED_PARAMS_BYTES_MAX;
    Ok(
        parse(ctx, params, client, dialect).and_then(|(request, client)| {
            if too_long {
                let error = OAuthError::quoting(
                    ErrorCode::InvalidRequest,
                    &format!("the request is longer than {SEALED_PARAMS_BYTES_MAX} bytes"),
                );
                return Err(Refusal::Return(Box::new(request.return_path), error));
            }
            Ok(Dialogue {
                request,
                client,
                facts: Facts::default(),
                params: kept,
                dialect,
                accepted_at: ctx.now,
            })
        }),
    )
}

fn parse(
    ctx: &Ctx,
    params: &Params,
    client: Option<Arc<Client>>,
    dialect: Dialect,
) -> Result<(AuthorizationRequest, Arc<Client>), Refusal> {
    let verify_hint = |hint: &str| {
        id_token::read(&ctx.tenant, hint)
            .filter(|hint| {
                client
                    .as_ref()
                    .is_some_and(|client| client.id.as_str() == hint.client_id)
            })
            .map(|hint| hint.subject)
    };
    let request = authorize::parse(params, client.as_deref(), dialect, &verify_hint)?;
    // `parse` refuses a request without client.
    let client = client.ok_or_else(|| {
        Refusal::Show(
            ShowReason::UnknownClient,
            OAuthError::new(ErrorCode::InvalidClient, "no client"),
        )
    })?;
    Ok((request, client))
}

/// What a sealed dialogue belongs to: the tenant, and the browser that began it, unless it began in a cross-site form post, which
/// brings no cookie; such a one holds no facts and is bound at its first look.
fn belongs_to(ctx: &Ctx, browser: Option<&str>) -> Vec<u8> {
    let mut aad = ctx.tenant.tenant.id.bytes().to_vec();
    aad.extend_from_slice(browser.map_or("unbound", |browser| browser).as_bytes());
    aad
}

impl Dialogue {
    /// The dialogue with its facts, for the address of the next step.
    pub(crate) fn seal(&self, ctx: &Ctx, browser: Option<&str>) -> Result<String, Failure> {
        let sealed = Sealed {
            params: self.params.clone(),
            dialect: self.dialect,
            accepted_at: self.accepted_at,
            facts: if browser.is_some() {
                self.facts.clone()
            } else {
                Facts::default()
            },
        };
        let plain = serde_json::to_vec(&sealed)
            .map_err(|_| Failure::Internal("a dialogue that is no JSON"))?;
        let sealed = ctx
            .shared
            .root_key
            .seal(Purpose::Requests, &belongs_to(ctx, browser), &plain)
            .map_err(|_| Failure::Internal("a dialogue cannot be sealed"))?;
        Ok(format!(
            "{}{}",
            if browser.is_some() { 'b' } else { 'u' },
            URL_SAFE_NO_PAD.encode(sealed)
        ))
    }

    /// The sources besides our own where a form in this dialogue may end.
    pub(crate) fn form_targets(&self) -> Vec<String> {
        vec![self.request.return_path.redirect_uri.form_action_source()]
    }

    /// The status of a redirect in answer to this method: the strict dialect answers a GET with 302 (seed 003).
    pub(crate) fn redirect_status(&self, method: &http::Method) -> StatusCode {
        redirect_status(self.dialect, method)
    }
}

/// See [`Dialogue::redirect_status`].
pub(crate) fn redirect_status(dialect: Dialect, method: &http::Method) -> StatusCode {
    if dialect == Dialect::Strict && method == http::Method::GET {
        StatusCode::FOUND
    } else {
        StatusCode::SEE_OTHER
    }
}

/// Opens a sealed dialogue that this browser holds.
pub(crate) async fn open(ctx: &Ctx, text: &str) -> Result<Result<Dialogue, NoDialogue>, Failure> {
    let browser = session::browser(ctx);
    let show =
        |words| NoDialogue::Show(reply::error_page(ctx, StatusCode::BAD_REQUEST, words, None));
    let Some((bound, encoded)) = text.split_at_checked(1) else {
        return Ok(Err(show(&words::EXPIRED_LINK)));
    };
    let owner = match (bound, &browser) {
        ("u", _) => None,
        ("b", Some(browser)) => Some(browser.as_str()),
        ("b", None) => return Ok(Err(show(&words::COOKIES_REFUSED))),
        _ => return Ok(Err(show(&words::EXPIRED_LINK))),
    };
    let opened = URL_SAFE_NO_PAD
        .decode(encoded)
        .ok()
        .and_then(|sealed| {
            ctx.shared
                .root_key
                .open(Purpose::Requests, &belongs_to(ctx, owner), &sealed)
                .ok()
        })
        .and_then(|plain| serde_json::from_slice::<Sealed>(&plain).ok());
    let Some(sealed) = opened else {
        return Ok(Err(show(&words::OTHER_BROWSER)));
    };
    if ctx.now >= sealed.accepted_at.plus(DIALOGUE_LIFETIME) {
        return Ok(Err(show(&words::EXPIRED_LINK)));
    }
    let Ok(params) = Params::parse(sealed.params.as_bytes()) else {
        return Ok(Err(show(&words::EXPIRED_LINK)));
    };
    let client = match params.get("client_id") {
        Some(id) => ctx.tenant.client(&ctx.shared, id).await?,
        None => None,
    };
    Ok(match parse(ctx, &params, client, sealed.dialect) {
        Ok((request, client)) => Ok(Dialogue {
            request,
            client,
            facts: sealed.facts,
            params: sealed.params,
            dialect: sealed.dialect,
            accepted_at: sealed.accepted_at,
        }),
        Err(refusal) => Err(NoDialogue::Refused(sealed.dialect, Box::new(refusal))),
    })
}

/// Opens the dialogue of a spoke (`?request=…`); whatever is wrong with it is the hub's to say.
pub(crate) async fn open_spoke(
    ctx: &Ctx,
) -> Result<Result<Option<(Dialogue, String)>, Reply>, Failure> {
    let Ok(params) = ctx.query_params() else {
        return Ok(Err(reply::error_page(
            ctx,
            StatusCode::BAD_REQUEST,
            &words::BROKEN_REQUEST,
            None,
        )));
    };
    let Some(text) = params.get("request") else {
        return Ok(Ok(None));
    };
    match open(ctx, text).await? {
        Ok(dialogue) => Ok(Ok(Some((dialogue, text.to_owned())))),
        Err(NoDialogue::Show(reply)) => Ok(Err(reply)),
        Err(NoDialogue::Refused(..)) => Ok(Err(reply::see_other(
            ctx,
            &format!("/oauth/authorize/{text}"),
        )?)),
    }
}

/// The way back to the hub, with the facts as they are now.
pub(crate) fn to_hub(ctx: &Ctx, dialogue: &Dialogue, browser: &str) -> Result<Reply, Failure> {
    reply::see_other(
        ctx,
        &format!("/oauth/authorize/{}", dialogue.seal(ctx, Some(browser))?),
    )
}

/// The address of a spoke for this dialogue.
pub(crate) fn spoke(path: &str, sealed: &str) -> String {
    format!("{path}?request={sealed}")
}
