//! `GET _handshake/callback`: what a reader brings back from the OAuth server.
//!
//! The order is the safety: the browser must have the attempt that `state` names; that uses it up, whatever follows; only then is
//! anybody asked. On a site for everybody a handshake that fails is no reason to show an error: the reader is back on the page as
//! they left it, and the reason is in our log. On a private site there is no page to show, so the reason is.

use super::super::host::SiteCtx;
use super::super::{pages, reader};
use super::attempt::{self, Attempt};
use super::{check, query, sign_in_path};
use crate::http::docs_check::{CheckStep, Verdict};
use crate::http::peer::Network;
use crate::http::reply::{self, Failure, Reply};
use crate::http::throttle::{Key, Kind};
use crate::outbound::http::{Bounds, OutboundError};
use crate::outbound::upstream;
use crate::ui::pages::DocsProblem;
use crate::ui::parts::Shell;
use crate::ui::words::{self, ErrorWords};
use http::StatusCode;
use vestibule_core::docs::access::Visibility;
use vestibule_core::docs::handshake::{ClaimsFault, exchange_form, read_callback, token_groups};
use vestibule_core::docs::reader_format::{self, READER_BYTES_MAX, ReaderFault};
use vestibule_core::docs::user::DocsUser;
use vestibule_core::oauth::params::Params;
use vestibule_core::relying_party::fault::UpstreamFault;
use vestibule_core::relying_party::tokens::UpstreamTokenResponse;
use vestibule_core::secret::Secret;

/// Why a reader is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The OAuth server's answer or its tokens are not accepted.
    #[error("{0}")]
    Fault(#[from] UpstreamFault),
    /// An address gave no answer that can be used.
    #[error("{0}: {1}")]
    Call(&'static str, OutboundError),
    /// The Info API answered with another status than 200.
    #[error("the Info API answered with status {0}")]
    Status(u16),
    /// What is told of the reader is not of the right form.
    #[error("what was told of the reader is not accepted: {}", list(.0))]
    Told(Vec<ReaderFault>),
    /// Too many handshakes from one network.
    #[error("too many sign-ins from one network")]
    Throttled,
}

fn list(faults: &[ReaderFault]) -> String {
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

impl From<ClaimsFault> for Trouble {
    fn from(fault: ClaimsFault) -> Self {
        match fault {
            ClaimsFault::Token(fault) => Self::Fault(fault),
            ClaimsFault::Groups(faults) => Self::Told(faults),
        }
    }
}

impl Trouble {
    /// What is said to a reader, and with which status.
    fn words(&self) -> (StatusCode, &'static ErrorWords) {
        match self {
            Self::Fault(fault) if fault.is_denial() => {
                (StatusCode::FORBIDDEN, &words::DOCS_NOT_SIGNED_IN)
            }
            Self::Throttled => (StatusCode::TOO_MANY_REQUESTS, &words::SERVER_BUSY),
            Self::Fault(_) | Self::Call(..) | Self::Status(_) | Self::Told(_) => {
                (StatusCode::BAD_GATEWAY, &words::DOCS_SIGN_IN_FAILED)
            }
        }
    }

    /// Everything, for our log.
    fn detail(&self) -> String {
        match self {
            Self::Call(what, error) => format!("{what}: {}", error.detail()),
            Self::Fault(_) | Self::Status(_) | Self::Told(_) | Self::Throttled => self.to_string(),
        }
    }
}

pub(super) async fn receive(ctx: &SiteCtx) -> Result<Reply, Failure> {
    let params = query(ctx);
    let taken = params
        .get("state")
        .and_then(|state| attempt::take(ctx, state));
    let Some((attempt, used_up)) = taken else {
        return stray(ctx);
    };
    let mut steps = Vec::new();
    let learnt = Box::pin(learn(ctx, &attempt, &params, &mut steps)).await;
    let mut reply = match learnt {
        _ if attempt.is_check => check::report(ctx, &steps, learnt.as_ref())?,
        Ok(user) => {
            let cookie = reader::remember(ctx, &user).await?;
            let mut reply = back(ctx, &attempt)?;
            reply::set_cookie(&mut reply, &cookie);
            reply
        }
        Err(trouble) => give_up(ctx, &attempt, &trouble)?,
    };
    reply::set_cookie(&mut reply, &used_up);
    Ok(reply)
}

/// To the page that the reader came from.
fn back(ctx: &SiteCtx, attempt: &Attempt) -> Result<Reply, Failure> {
    let location = format!("{}{}", ctx.served.site.address.origin, attempt.return_to);
    reply::redirect(StatusCode::SEE_OTHER, &location)
}

fn give_up(ctx: &SiteCtx, attempt: &Attempt, trouble: &Trouble) -> Result<Reply, Failure> {
    tracing::warn!(
        reference = ctx.reference,
        site = ctx.served.site.name,
        detail = trouble.detail(),
        "a reader is not known"
    );
    if ctx.served.site.visibility == Visibility::Personalised {
        return back(ctx, attempt);
    }
    let (status, words) = trouble.words();
    let sign_in_href = sign_in_path(Some(&attempt.return_to));
    problem(ctx, status, words, Some(trouble.to_string()), &sign_in_href)
}

/// An answer that nobody here waits for: brought before, by another browser, for another site, or too late.
fn stray(ctx: &SiteCtx) -> Result<Reply, Failure> {
    tracing::info!(
        reference = ctx.reference,
        site = ctx.served.site.name,
        "an answer of an OAuth server that no attempt of this browser waits for"
    );
    let status = StatusCode::BAD_REQUEST;
    let sign_in_href = sign_in_path(None);
    problem(ctx, status, &words::DOCS_STRAY_ANSWER, None, &sign_in_href)
}

fn problem(
    ctx: &SiteCtx,
    status: StatusCode,
    words: &ErrorWords,
    reason: Option<String>,
    sign_in_href: &str,
) -> Result<Reply, Failure> {
    let public = ctx.served.site.visibility == Visibility::Personalised;
    let page = DocsProblem {
        shell: Shell {
            reference: &ctx.reference,
            ..pages::shell(ctx)
        },
        title: words.title,
        message: words.message,
        advice: words.advice,
        reason,
        sign_in_href,
        site_href: public.then_some("/"),
    };
    reply::page(status, &page, &[])
}

/// Asks whose answer it is. `steps` tells how far it came.
async fn learn(
    ctx: &SiteCtx,
    attempt: &Attempt,
    params: &Params,
    steps: &mut Vec<CheckStep>,
) -> Result<DocsUser, Trouble> {
    let mut done = |step, said: &str| steps.push(CheckStep::new(step, Verdict::Good, said));
    let (site, shared) = (&ctx.served.site, &ctx.shared);
    let code = read_callback(site, params)?;
    done(
        "answer",
        "The OAuth server sent the reader back with a code.",
    );
    let network = Network::of(ctx.address);
    let key = Key::of(&[
        ctx.served.tenant.bytes(),
        &network.octets(),
        site.name.as_bytes(),
    ]);
    let now_millis = u64::try_from(ctx.now.seconds()).unwrap_or(0) * 1000;
    shared
        .throttle
        .check(Kind::DocsHandshake, key, now_millis)
        .map_err(|_| Trouble::Throttled)?;
    let verifier = Secret::new(attempt.verifier.clone());
    let form = exchange_form(site, ctx.served.secret.as_ref(), &code, &verifier)?;
    let url = site.token_url.as_str();
    let answer = upstream::ask_tokens(&shared.outbound, url, &form, shared.outbound.usual())
        .await
        .map_err(|error| Trouble::Call("the token URL", error))?;
    let tokens = UpstreamTokenResponse::parse(answer.status.as_u16(), &answer.body)?;
    done("token_url", "It exchanged the code for an access token.");
    let claimed = token_groups(site, &tokens, &attempt.nonce, ctx.now)?;
    if site.group_claims.is_some() {
        let said = format!("{} groups stand in the token.", claimed.len());
        done("group_claims", &said);
    }
    let mut user = match &site.info_api_url {
        None => DocsUser::default(),
        Some(url) => {
            let user = ask_info(ctx, url.as_str(), &tokens.access_token, steps).await?;
            steps.push(CheckStep::new(
                "info_api_url",
                Verdict::Good,
                "It told who the reader is.",
            ));
            user
        }
    };
    for group in claimed {
        if !user.groups.contains(&group) {
            user.groups.push(group);
        }
    }
    Ok(user)
}

async fn ask_info(
    ctx: &SiteCtx,
    url: &str,
    access_token: &Secret,
    steps: &mut Vec<CheckStep>,
) -> Result<DocsUser, Trouble> {
    let bounds = Bounds {
        body_bytes_max: READER_BYTES_MAX,
        ..ctx.shared.outbound.usual()
    };
    let failed = |error| Trouble::Call("the Info API", error);
    let answer = upstream::ask_person(&ctx.shared.outbound, url, access_token, bounds)
        .await
        .map_err(failed)?;
    if !answer.status.is_success() {
        return Err(Trouble::Status(answer.status.as_u16()));
    }
    let body = answer.json().map_err(failed)?;
    let read = reader_format::parse(body.as_bytes(), ctx.now).map_err(Trouble::Told)?;
    let unread = read
        .unread
        .iter()
        .map(|note| CheckStep::new("info_api_url", Verdict::Note, note.to_string()));
    steps.extend(unread);
    Ok(read.user)
}
