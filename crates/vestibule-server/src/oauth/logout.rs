//! Sign-out: asked for by a client (OpenID Connect RP-Initiated Logout 1.0) or by the person.
//!
//! A client that proves with an ID token that it had this very session ends it without a question; everybody else's request shows
//! a question first. Where to go afterwards is decided anew when the answer comes, from what the client registered.

use crate::http::context::Ctx;
use crate::http::reply::{self, Failure, Reply};
use crate::http::seal::Purpose;
use crate::http::session::{self, Here};
use crate::http::{csrf, id_token};
use crate::ui::href::SafeHref;
use crate::ui::pages::{SignOutConfirm, SignedOut};
use crate::ui::parts::AccountLine;
use crate::ui::words;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use vestibule_core::oauth::authorize::STATE_LENGTH_MAX;
use vestibule_core::oauth::client::Client;
use vestibule_core::oauth::error::{ErrorCode, OAuthError};
use vestibule_core::oauth::logout::{self, Hint, LogoutStep};
use vestibule_core::oauth::params::Params;
use vestibule_core::time::{Lifetime, Timestamp};
use vestibule_core::url::RedirectUri;
use vestibule_store::Committed;

/// How long the answer to "sign out?" may take.
const QUESTION_LIFETIME: Lifetime = Lifetime::minutes(30);
/// The step that the form's token is bound to.
const STEP: &str = "sign-out";

/// What a request for sign-out says, as it travels to the question and back.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Wish {
    #[serde(rename = "c", skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(rename = "p", skip_serializing_if = "Option::is_none")]
    post_logout_redirect_uri: Option<String>,
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(rename = "h", skip_serializing_if = "Option::is_none")]
    hint: Option<WishHint>,
    #[serde(rename = "t", default)]
    asked_at: i64,
}

#[derive(Clone, Serialize, Deserialize)]
struct WishHint {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    client_id: String,
}

/// `GET` and `POST /oauth/logout`.
pub(crate) async fn end_session(ctx: &Ctx) -> Result<Reply, Failure> {
    let params = match (&ctx.method, ctx.query_params(), ctx.form()) {
        (&Method::POST, Ok(query), Ok(_)) => query.and(&ctx.body).ok(),
        (_, Ok(query), _) if ctx.method == Method::GET => Some(query),
        _ => None,
    };
    let Some(params) = params.filter(|params| params.repeated().is_none()) else {
        let error = OAuthError::new(
            ErrorCode::InvalidRequest,
            "a parameter cannot be read or stands more than once",
        );
        return Ok(reply::error_page(
            ctx,
            StatusCode::BAD_REQUEST,
            &words::BROKEN_REQUEST,
            Some(&error),
        ));
    };
    if let Some(sealed) = params.get("continue") {
        return match unseal(ctx, sealed) {
            Some(wish) => decide(ctx, &wish).await,
            None => Ok(reply::error_page(
                ctx,
                StatusCode::BAD_REQUEST,
                &words::EXPIRED_LINK,
                None,
            )),
        };
    }
    let wish = match read(ctx, &params) {
        Ok(wish) => wish,
        Err(error) => {
            return Ok(reply::error_page(
                ctx,
                StatusCode::BAD_REQUEST,
                &words::BROKEN_REQUEST,
                Some(&error),
            ));
        }
    };
    // A form post from another site brings no cookie (SameSite=Lax): the decision is made on a GET, where it arrives.
    if ctx.method == Method::POST {
        return reply::see_other(
            ctx,
            &format!("/oauth/logout?continue={}", seal(ctx, &wish)?),
        );
    }
    decide(ctx, &wish).await
}

/// Reads the parameters. A hint that is no ID token of ours counts as none; `client_id` must be the hint's audience.
fn read(ctx: &Ctx, params: &Params) -> Result<Wish, OAuthError> {
    let hint = params
        .get("id_token_hint")
        .and_then(|hint| id_token::read(&ctx.tenant, hint));
    let client_id = logout::client_id(hint.as_ref(), params.get("client_id"))?.map(str::to_owned);
    let state = params.get("state").map(str::to_owned);
    if state
        .as_ref()
        .is_some_and(|state| state.len() > STATE_LENGTH_MAX)
    {
        return Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "state is longer than 4096 bytes",
        ));
    }
    Ok(Wish {
        client_id,
        post_logout_redirect_uri: params.get("post_logout_redirect_uri").map(str::to_owned),
        state,
        hint: hint.map(|hint| WishHint {
            sub: hint.subject,
            sid: hint.session,
            client_id: hint.client_id,
        }),
        asked_at: ctx.now.seconds(),
    })
}

async fn decide(ctx: &Ctx, wish: &Wish) -> Result<Reply, Failure> {
    let people = session::people(ctx, "").await?;
    let hint = wish.hint.as_ref().map(|hint| Hint {
        subject: hint.sub.clone(),
        session: hint.sid.clone(),
        client_id: hint.client_id.clone(),
    });
    // Of several accounts in this browser, the one that the hint names is meant.
    let meant = hint.as_ref().and_then(|hint| {
        people.iter().find(|here| {
            logout::next_step(Some(hint), Some(&here.present.signed_in.session)) == LogoutStep::End
        })
    });
    let active = meant.or(people.first());
    match logout::next_step(
        hint.as_ref(),
        active.map(|here| &here.present.signed_in.session),
    ) {
        LogoutStep::Nothing => done(ctx, wish, &[], &[]).await,
        LogoutStep::End => {
            let (ended, kept): (Vec<&Here>, Vec<&Here>) = people.iter().partition(|here| {
                Some(here.handle.id()) == active.map(|active| active.handle.id())
            });
            done(ctx, wish, &ended, &kept).await
        }
        LogoutStep::Ask => ask(ctx, wish, &people).await,
    }
}

/// `GET /sign-out`: the person's own wish, which is asked about as anybody's.
pub(crate) async fn show(ctx: &Ctx) -> Result<Reply, Failure> {
    let people = session::people(ctx, "").await?;
    if people.is_empty() {
        done(ctx, &Wish::default(), &[], &[]).await
    } else {
        ask(ctx, &Wish::default(), &people).await
    }
}

/// `POST /sign-out`: the answer to the question.
pub(crate) async fn submit(ctx: &Ctx) -> Result<Reply, Failure> {
    let form = ctx.form().unwrap_or_default();
    if !csrf::is_ours(ctx, STEP, &form) {
        return Ok(reply::error_page(
            ctx,
            StatusCode::FORBIDDEN,
            &words::FORM_REFUSED,
            None,
        ));
    }
    let wish = match form.get("continue") {
        None => Wish::default(),
        Some(sealed) => match unseal(ctx, sealed) {
            Some(wish) => wish,
            None => {
                return Ok(reply::error_page(
                    ctx,
                    StatusCode::BAD_REQUEST,
                    &words::EXPIRED_LINK,
                    None,
                ));
            }
        },
    };
    let people = session::people(ctx, "").await?;
    let ended: Vec<&Here> = people.iter().collect();
    done(ctx, &wish, &ended, &[]).await
}

async fn client_of(ctx: &Ctx, wish: &Wish) -> Result<Option<Arc<Client>>, Failure> {
    match &wish.client_id {
        Some(id) => Ok(ctx.tenant.client(&ctx.shared, id).await?),
        None => Ok(None),
    }
}

async fn ask(ctx: &Ctx, wish: &Wish, people: &[Here]) -> Result<Reply, Failure> {
    let (browser, cookie) = session::ensure_browser(ctx);
    let client = client_of(ctx, wish).await?;
    let target = logout::destination(client.as_deref(), wish.post_logout_redirect_uri.as_deref());
    let account = match people {
        [only] => Some(AccountLine {
            name: only.present.user.display_name(),
            identifier: only.present.user.identifier(),
        }),
        _ => None,
    };
    let csrf = csrf::token(ctx, &browser, STEP);
    let sealed = seal(ctx, wish)?;
    let page = SignOutConfirm {
        shell: reply::shell(ctx, client.as_deref()),
        action: "/sign-out",
        csrf: &csrf,
        request: &sealed,
        account,
        stay_href: "/",
    };
    let targets: Vec<String> = target.iter().map(RedirectUri::form_action_source).collect();
    let mut reply = reply::page(StatusCode::OK, &page, &targets)?;
    if let Some(cookie) = cookie {
        reply::set_cookie(&mut reply, &cookie);
    }
    Ok(reply)
}

/// Ends these sessions and shows or goes on to what comes after.
async fn done(ctx: &Ctx, wish: &Wish, ended: &[&Here], kept: &[&Here]) -> Result<Reply, Failure> {
    if !ended.is_empty() {
        let unit = ended.iter().fold(ctx.store().unit(), |unit, here| {
            unit.end_session(here.present.signed_in.session.id, ctx.now)
        });
        let _: Committed = ctx.store().commit(unit).await?;
    }
    let client = client_of(ctx, wish).await?;
    let mut reply = if let Some(target) =
        logout::destination(client.as_deref(), wish.post_logout_redirect_uri.as_deref())
    {
        reply::redirect(
            StatusCode::SEE_OTHER,
            &with_state(&target, wish.state.as_deref()),
        )?
    } else {
        let home = client.as_ref().and_then(|client| client.uri.as_ref());
        let page = SignedOut {
            shell: reply::shell(ctx, client.as_deref()),
            continue_href: home.and_then(|home| SafeHref::web(home.as_str())),
            sign_in_href: "/sign-in",
        };
        reply::page(StatusCode::OK, &page, &[])?
    };
    if !session::handles(ctx).is_empty() {
        reply::set_cookie(
            &mut reply,
            &session::cookie_of(ctx, kept.iter().map(|here| &here.handle)),
        );
    }
    Ok(reply)
}

/// RP-Initiated Logout, 3: `state` comes back as it was sent.
fn with_state(target: &RedirectUri, state: Option<&str>) -> String {
    let address = target.as_str();
    match state {
        None => address.to_owned(),
        Some(state) => {
            let joint = if address.contains('?') { '&' } else { '?' };
            let encoded: String = url::form_urlencoded::byte_serialize(state.as_bytes()).collect();
            format!("{address}{joint}state={encoded}")
        }
    }
}

fn belongs_to(ctx: &Ctx) -> Vec<u8> {
    let mut aad = ctx.tenant.tenant.id.bytes().to_vec();
    aad.extend_from_slice(b"sign-out");
    aad
}

fn seal(ctx: &Ctx, wish: &Wish) -> Result<String, Failure> {
    let wish = Wish {
        asked_at: ctx.now.seconds(),
        ..wish.clone()
    };
    let plain =
        serde_json::to_vec(&wish).map_err(|_| Failure::Internal("a wish that is no JSON"))?;
    let sealed = ctx
        .shared
        .root_key
        .seal(Purpose::Requests, &belongs_to(ctx), &plain);
    Ok(URL_SAFE_NO_PAD.encode(sealed.map_err(|_| Failure::Internal("a wish cannot be sealed"))?))
}

fn unseal(ctx: &Ctx, text: &str) -> Option<Wish> {
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let plain = ctx
        .shared
        .root_key
        .open(Purpose::Requests, &belongs_to(ctx), &sealed)
        .ok()?;
    let wish: Wish = serde_json::from_slice(&plain).ok()?;
    let until = Timestamp::from_seconds(wish.asked_at).plus(QUESTION_LIFETIME);
    (ctx.now < until).then_some(wish)
}
