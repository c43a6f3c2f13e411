//! Whether a docs site's handshake can work, found out without a reader: each address is asked what the handshake will ask it, and
//! the answer is held against what it should be.
//!
//! It belongs to the ground because both the operator's command and the page of the site show it. The rest takes a person: a
//! [ticket](make_ticket) opens a page on the site that signs one in for real and shows what came.

use super::context::Shared;
use super::docs_sites::ServedSite;
use super::seal::{Purpose, within};
use crate::outbound::http::{Bounds, OutboundError, OutboundResponse};
use crate::outbound::upstream;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{self, HeaderValue};
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;
use url::Url;
use vestibule_core::docs::handshake::{HandshakeAsk, authorization_url, exchange_form};
use vestibule_core::docs::reader_format::READER_BYTES_MAX;
use vestibule_core::docs::site::DocsSite;
use vestibule_core::secret::Secret;
use vestibule_core::time::{Lifetime, Timestamp};

/// How long a ticket opens the page.
const TICKET_LIFETIME: Lifetime = Lifetime::minutes(10);
/// How long each address may take to answer; a reader's own handshake has more patience.
const DEADLINE: Duration = Duration::from_secs(6);
/// A code that no server gave.
const NO_CODE: &str = "vestibule-check-no-such-code";

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Readers cannot sign in, or what they see is wrong.
    Bad,
}

impl Verdict {
    /// The verdict in a word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Bad => "wrong",
        }
    }
}

/// One step of a handshake, looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct CheckStep {
    /// The setting or the step that it is about.
    pub(crate) step: &'static str,
    /// How it went.
    pub(crate) verdict: Verdict,
    /// What happened and what to do.
    pub(crate) said: String,
    /// What happened on the wire, for the operator at the machine only: it tells addresses and states of ports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

impl CheckStep {
    /// A step that went so.
    pub(crate) fn new(step: &'static str, verdict: Verdict, said: impl Into<String>) -> Self {
        Self {
            step,
            verdict,
            said: said.into(),
            detail: None,
        }
    }

    fn good(step: &'static str, said: impl Into<String>) -> Self {
        Self::new(step, Verdict::Good, said)
    }

    fn note(step: &'static str, said: impl Into<String>) -> Self {
        Self::new(step, Verdict::Note, said)
    }

    fn bad(step: &'static str, said: impl Into<String>) -> Self {
        Self::new(step, Verdict::Bad, said)
    }
}

/// A ticket to the check page of a site, good for ten minutes.
pub(crate) fn make_ticket(shared: &Shared, served: &ServedSite, now: Timestamp) -> Option<String> {
    let until = now.plus(TICKET_LIFETIME).seconds().to_be_bytes();
    let sealed = shared
        .root_key
        .seal(Purpose::Handshakes, &ticket_of(served), &until);
    sealed.ok().map(|sealed| URL_SAFE_NO_PAD.encode(sealed))
}

/// Whether a ticket is one for this site, and not too old.
pub(crate) fn is_ticket(
    shared: &Shared,
    served: &ServedSite,
    ticket: &str,
    now: Timestamp,
) -> bool {
    let Ok(sealed) = URL_SAFE_NO_PAD.decode(ticket) else {
        return false;
    };
    let until = shared
        .root_key
        .open(Purpose::Handshakes, &ticket_of(served), &sealed);
    let until = until
        .ok()
        .and_then(|until| until.as_slice().try_into().ok());
    until.is_some_and(|until| now.seconds() < i64::from_be_bytes(until))
}

fn ticket_of(served: &ServedSite) -> Vec<u8> {
    // A site's name has no slash, so this is no other thing of any site.
    within(served.tenant, &format!("{}/check", served.site.name))
}

/// Asks every address of a site what a handshake asks it.
pub(crate) async fn probe(shared: &Shared, served: &ServedSite) -> Vec<CheckStep> {
    let site = &served.site;
    let mut steps = vec![CheckStep::note(
        "redirect_uri",
        format!(
            "Register this at the OAuth server, exactly so: {}",
            site.redirect_uri()
        ),
    )];
    if let Some(step) = own_query(site) {
        steps.push(step);
    }
    let (authorization, token, info) = tokio::join!(
        authorization_step(shared, site),
        token_step(shared, served),
        info_step(shared, site)
    );
    steps.extend([authorization, token]);
    steps.push(CheckStep::note(
        "cors",
        "No CORS is needed for this site: this server calls the token URL and the Info API, not the reader's browser.",
    ));
    steps.push(info);
    steps
}

/// A parameter of ours that the authorization URL has already would stand there twice, which servers refuse (RFC 6749, 3.1).
fn own_query(site: &DocsSite) -> Option<CheckStep> {
    let url = Url::parse(site.authorization_url.as_str()).ok()?;
    let ours = [
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
    ];
    let twice: Vec<_> = url
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .filter(|name| ours.contains(&name.as_str()) && (name != "scope" || site.scopes.is_some()))
        .collect();
    (!twice.is_empty()).then(|| {
        CheckStep::bad(
            "authorization_url",
            format!(
                "Its query has `{}` already, which the handshake sets; take it out of the address.",
                twice.join("`, `")
            ),
        )
    })
}

/// What is said of an address that gave no answer that can be used.
fn unanswered(step: &'static str, error: &OutboundError) -> CheckStep {
    let said = match error {
        OutboundError::Refused(_) | OutboundError::Unreachable(_) | OutboundError::TooSlow(_) => {
            "It gave no answer within 6 seconds. Check the address. A server in a private network, or one without https, has to be named in \
             the setting `outbound_allow`."
        }
        OutboundError::TooLarge(_) => {
            "Its answer is too large to be the right one. Check the address."
        }
        OutboundError::Redirected(_) => {
            "It answers with a redirect, which is not followed. Write the address that it leads to; where it leads to a sign-in page, it is \
             not an address for programs."
        }
        OutboundError::Encoded(_) => "Its answer is compressed although that was not asked for.",
        OutboundError::Status(..) | OutboundError::NotTheType(_) => {
            "Its answer is not what was expected."
        }
    };
    CheckStep {
        detail: Some(error.detail().to_owned()),
        ..CheckStep::bad(step, said)
    }
}

/// Sends the authorization request as a browser without cookies would. A sign-in page or a way to one is right; an error page says
/// that the client or its redirect URI is not known there (RFC 6749, 4.1.2.1 forbids the server to send that back to us).
async fn authorization_step(shared: &Shared, site: &DocsSite) -> CheckStep {
    let step = "authorization_url";
    let (state, verifier, nonce) = (
        Secret::random(&shared.chance),
        Secret::random(&shared.chance),
        Secret::random(&shared.chance),
    );
    let ask = HandshakeAsk {
        state: &state,
        verifier: &verifier,
        nonce: &nonce,
    };
    let mut headers = HeaderMap::new();
    headers.insert(
        header::ACCEPT,
        HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8"),
    );
    let url = authorization_url(site, &ask);
    match shared.outbound.head_of(&url, headers, DEADLINE).await {
        Ok(answer) => judge_authorization(step, site, &answer),
        Err(error) => unanswered(step, &error),
    }
}

fn judge_authorization(
    step: &'static str,
    site: &DocsSite,
    answer: &OutboundResponse,
) -> CheckStep {
    let status = answer.status;
    if status.is_redirection() {
        let target = answer
            .headers
            .get(header::LOCATION)
            .and_then(|target| target.to_str().ok())
            .unwrap_or_default();
        return judge_redirect(step, site, target);
    }
    match status.as_u16() {
        200..=299 => CheckStep::good(step, "It shows a page to sign in on."),
        404 | 410 => CheckStep::bad(
            step,
            format!("There is no page (status {status}). Check the address."),
        ),
        400..=499 => CheckStep::bad(
            step,
            format!(
                "It shows an error instead of a sign-in page (status {}). Either it does not know the client id `{}`, or this redirect URI is \
                 not registered for it: {}",
                status.as_u16(),
                site.client_id,
                site.redirect_uri()
            ),
        ),
        code => CheckStep::bad(step, format!("It fails with status {code}.")),
    }
}

fn judge_redirect(step: &'static str, site: &DocsSite, target: &str) -> CheckStep {
    let back = Url::parse(site.authorization_url.as_str())
        .and_then(|base| base.join(target))
        .ok()
        .filter(|url| url.as_str().starts_with(&site.redirect_uri()));
    let Some(back) = back else {
        return CheckStep::good(step, "It leads on to a place to sign in.");
    };
    let text = |name: &str| {
        let found = back.query_pairs().find(|(known, _)| known == name);
        found.map_or_else(String::new, |(_, value)| clean(&value))
    };
    let (error, description) = (text("error"), text("error_description"));
    let advice = match error.as_str() {
        "" => return CheckStep::note(step, "It answered at once, without a page to sign in on."),
        "invalid_scope" => "Check `scopes`: the client may not ask for one of them.",
        "unauthorized_client" | "unsupported_response_type" => {
            "Let the client use the authorization code flow there."
        }
        "invalid_request" => "Check `extra_authorization_params`.",
        _ => "See what its documentation says of it.",
    };
    CheckStep::bad(
        step,
        format!("It refuses the request with `{error}`: {description}. {advice}"),
    )
}

/// Another server's words, as they may stand in ours.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(200)
        .collect()
}

/// Presents a code that nobody gave: `invalid_grant` in JSON is the right answer (RFC 6749, 5.2).
async fn token_step(shared: &Shared, served: &ServedSite) -> CheckStep {
    let step = "token_url";
    let (code, verifier) = (
        Secret::new(NO_CODE.to_owned()),
        Secret::random(&shared.chance),
    );
    let site = &served.site;
    let form = match exchange_form(site, served.secret.as_ref(), &code, &verifier) {
        Ok(form) => form,
        Err(fault) => return CheckStep::bad(step, fault.to_string()),
    };
    let bounds = Bounds {
        deadline: DEADLINE,
        ..shared.outbound.usual()
    };
    let url = site.token_url.as_str();
    match upstream::ask_tokens(&shared.outbound, url, &form, bounds).await {
        Ok(answer) => judge_token(step, served, &answer),
        Err(error) => unanswered(step, &error),
    }
}

fn judge_token(step: &'static str, served: &ServedSite, answer: &OutboundResponse) -> CheckStep {
    let status = answer.status.as_u16();
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let Some(body) = body.filter(Value::is_object) else {
        let said = match status {
            404 | 410 => format!("There is nothing (status {status}). Check the address."),
            405 => "It takes no POST (status 405). Check the address.".to_owned(),
            500.. => format!("It fails with status {status}."),
            _ => format!(
                "It answers {} instead of JSON (status {status}). Check the address.",
                media_type_in_words(answer)
            ),
        };
        return CheckStep::bad(step, said);
    };
    let error = body.get("error").and_then(Value::as_str).map(clean);
    match error.as_deref() {
        // GitHub's word for it.
        Some("invalid_grant" | "bad_verification_code") => CheckStep::good(
            step,
            "It knows the client, and refuses a code that it did not give.",
        ),
        Some(
            error @ ("invalid_client" | "unauthorized_client" | "incorrect_client_credentials"),
        ) => {
            let proof = if served.secret.is_some() {
                "Check the client id, the secret, and `token_endpoint_auth_method`."
            } else {
                "Check the client id. This site has no secret: register it there as a public client with PKCE, or give it its secret."
            };
            CheckStep::bad(
                step,
                format!("It does not accept the client (`{error}`). {proof}"),
            )
        }
        Some(error) => CheckStep::note(
            step,
            format!(
                "It answers a code that it did not give with `{error}`; `invalid_grant` is usual."
            ),
        ),
        None if status < 300 => CheckStep::bad(
            step,
            "It accepts a code that it never gave. This cannot be a token endpoint.",
        ),
        None => CheckStep::note(
            step,
            format!("It answers JSON without `error` (status {status}); `invalid_grant` is usual."),
        ),
    }
}

fn media_type_in_words(answer: &OutboundResponse) -> String {
    match answer.media_type().as_str() {
        "text/html" => "a page (HTML)".to_owned(),
        "" => "something without a media type".to_owned(),
        other => format!("`{}`", clean(other)),
    }
}

/// Asks who is there without a token: 401 is the right answer (RFC 6750, 3).
async fn info_step(shared: &Shared, site: &DocsSite) -> CheckStep {
    let step = "info_api_url";
    let Some(url) = &site.info_api_url else {
        return CheckStep::note(
            step,
            "None is set: signing in proves that there is a reader, and tells no more than groups from tokens.",
        );
    };
    let bounds = Bounds {
        deadline: DEADLINE,
        body_bytes_max: READER_BYTES_MAX,
    };
    let answer = match upstream::fetch(&shared.outbound, url.as_str(), None, bounds).await {
        Ok(answer) => answer,
        Err(error) => return unanswered(step, &error),
    };
    match answer.status.as_u16() {
        401 | 403 => CheckStep::good(step, "It answers nobody without a token."),
        400 => CheckStep::note(
            step,
            "It refuses a request without a token with status 400; 401 is usual.",
        ),
        200..=299 if answer.json().is_err() => CheckStep::bad(
            step,
            format!(
                "It answers {} instead of JSON, even without a token. Check the address.",
                media_type_in_words(&answer)
            ),
        ),
        200..=299 => CheckStep::note(
            step,
            "It answers without a token. An Info API tells who the token is about: make it refuse everybody else with 401.",
        ),
        code @ (404 | 405 | 410) => CheckStep::bad(
            step,
            format!("There is nothing to GET (status {code}). Check the address."),
        ),
        code => CheckStep::bad(step, format!("It fails with status {code}.")),
    }
}
