//! Handing a session to an app on another origin (seed 001).

use super::Answer;
use super::access::Access;
use super::asked::{Stop, answer};
use super::body::Fields;
use super::envelope::{self, header};
use super::issue::standing;
use super::oauth::project_code;
use crate::http::context::Ctx;
use crate::http::reply::{Failure, Reply};
use http::StatusCode;
use serde_json::json;
use url::Url;
use vestibule_core::oauth::known_error::KnownError;
use vestibule_core::oauth::outer::OUTER_STATE_LENGTH_MAX;
use vestibule_core::oauth::pkce::CodeChallenge;
use vestibule_core::oauth::project::OuterOutcome;
use vestibule_core::oauth::token::Authorization;
use vestibule_core::secret::{Handle, HandleKind};
use vestibule_core::url::{RedirectUri, URL_LENGTH_MAX};

const PLACE: &str = "POST /api/v1/auth/oauth/cross-domain/authorize";

/// `POST /auth/oauth/cross-domain/authorize`.
pub(super) async fn authorize(ctx: &Ctx, access: &Access, _parts: &[&str]) -> Answer {
    answer(ctx, handed(ctx, access).await)
}

/// What the app on the other origin asked for.
struct Wanted {
    redirect_uri: RedirectUri,
    state: String,
    challenge: CodeChallenge,
    after: Option<RedirectUri>,
}

fn read(ctx: &Ctx, access: &Access) -> Result<Wanted, KnownError> {
    let mut fields = Fields::read(ctx, PLACE)?;
    let redirect_uri = fields.required("redirect_uri");
    let after = fields.text("after_callback_redirect_url");
    let state = fields.required("state");
    if state
        .as_ref()
        .is_some_and(|state| state.chars().count() > OUTER_STATE_LENGTH_MAX)
    {
        fields.problem("state", "must be 512 characters at most");
    }
    let challenge = fields.required("code_challenge");
    let parsed = challenge.as_deref().and_then(CodeChallenge::parse);
    if challenge.is_some() && parsed.is_none() {
        fields.problem(
            "code_challenge",
            "is not an S256 challenge (RFC 7636, 4.2): 43 characters of base64url",
        );
    }
    if fields
        .text("code_challenge_method")
        .is_some_and(|method| method != "S256")
    {
        fields.problem("code_challenge_method", "must be S256");
    }
    for (name, address) in [
        ("redirect_uri", &redirect_uri),
        ("after_callback_redirect_url", &after),
    ] {
        if address
            .as_ref()
            .is_some_and(|text| text.len() > URL_LENGTH_MAX || Url::parse(text).is_err())
        {
            fields.problem(name, "is not a valid URL");
        }
    }
    fields.finish()?;
    let trusted = |address: &str| {
        access
            .project
            .trusted
            .match_redirect(address)
            .ok_or(KnownError::RedirectUrlNotWhitelisted)
    };
    let undefined = || KnownError::SchemaError {
        place: PLACE.to_owned(),
        problems: vec!["a member is missing".to_owned()],
    };
    Ok(Wanted {
        redirect_uri: trusted(&redirect_uri.ok_or_else(undefined)?)?,
        state: state.ok_or_else(undefined)?,
        challenge: parsed.ok_or_else(undefined)?,
        after: after.as_deref().map(trusted).transpose()?,
    })
}

async fn handed(ctx: &Ctx, access: &Access) -> Result<Reply, Stop> {
    let person = access.user()?;
    let wanted = read(ctx, access)?;
    // An access token alone is not enough: it goes to many servers, the refresh token stays with the app that signed in.
    let token = header(ctx, "refresh-token").ok_or(KnownError::RefreshTokenNotFoundOrExpired)?;
    let family = standing(ctx, token).await?.family;
    if family.authorization.session_id != person.token.session_id {
        return Err(Stop::Words(
            StatusCode::BAD_REQUEST,
            "The access token and the refresh token are not of the same session.",
        ));
    }
    let (to, bare) = addresses(wanted.redirect_uri.as_str())?;
    let code = Handle::mint(HandleKind::Code, ctx.now, ctx.chance());
    let authorization = Authorization {
        outer: Some(OuterOutcome {
            is_new_user: false,
            after_callback_redirect_url: wanted.after.map(|url| url.as_str().to_owned()),
            link: None,
        }),
        ..family.authorization
    };
    let row = project_code(
        ctx,
        &access.project,
        &code,
        (bare, wanted.challenge),
        authorization,
    );
    // Signing out at this instant wins: a code of an ended session is not made.
    let unit = ctx.store().unit().guard_family(family.id).insert_code(&row);
    if !ctx.store().commit(unit).await?.won() {
        return Err(KnownError::RefreshTokenNotFoundOrExpired.into());
    }
    Ok(envelope::json(&json!({
        "redirect_url": with_answer(to, code.reveal().reveal(), &wanted.state),
    })))
}

/// The address that the browser goes to, before the answer is added, and how the SDK at the other end writes it in the token
/// request: the address that the browser shows, without `code` and `state`, written anew by the browser (URL Standard, 5.2). That
/// is why no `iss` is added either: it would stay there.
fn addresses(redirect_uri: &str) -> Result<(Url, String), Failure> {
    let mut url = Url::parse(redirect_uri)
        .map_err(|_| Failure::Internal("a trusted address that is no URL"))?;
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != "code" && name != "state")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    let bare = url.as_str().to_owned();
    Ok((url, bare))
}

fn with_answer(mut to: Url, code: &str, state: &str) -> String {
    to.query_pairs_mut()
        .append_pair("code", code)
        .append_pair("state", state);
    to.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_redirect_uri_is_what_a_browser_shows_without_the_answer() {
        for (sent, bare, answered) in [
            (
                "https://a.example",
                "https://a.example/",
                "https://a.example/?code=c&state=s",
            ),
            (
                "https://a.example/cb?x=1%202&code=old&state=old",
                "https://a.example/cb?x=1+2",
                "https://a.example/cb?x=1+2&code=c&state=s",
            ),
        ] {
            let (to, redirect_uri) = addresses(sent).unwrap();
            assert_eq!(redirect_uri, bare);
            assert_eq!(with_answer(to, "c", "s"), answered);
        }
    }
}
