//! A reader who is at the OAuth server: what must come back with them, in a cookie of their own browser.
//!
//! Each attempt is a sealed cookie, so that two tabs do not overwrite one another, and nothing is written in the records for
//! somebody who only looked at a sign-in page. It belongs to one site: it opens for no other, and no other browser has it.

use super::super::host::SiteCtx;
use super::super::reader::{cookie_line, cookie_name};
use crate::http::cookies;
use crate::http::reply::Failure;
use crate::http::seal::{Purpose, within};
use aws_lc_rs::constant_time;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use vestibule_core::secret::Secret;
use vestibule_core::time::{Lifetime, Timestamp};

/// How long a reader may take at the OAuth server.
const LIFETIME: Lifetime = Lifetime::minutes(10);
/// The most attempts of one browser: the oldest gives way.
const ATTEMPTS_COUNT_MAX: usize = 4;
/// The characters of `state` that stand in the cookie's name.
const NAME_LENGTH: usize = 8;

/// What a handshake needs at its end.
#[derive(Serialize, Deserialize)]
pub(super) struct Attempt {
    /// What comes back with the answer.
    #[serde(rename = "s")]
    pub(super) state: String,
    /// What proves at the token URL that we asked.
    #[serde(rename = "v")]
    pub(super) verifier: String,
    /// What comes back in the ID token.
    #[serde(rename = "n")]
    pub(super) nonce: String,
    /// The path to come back to.
    #[serde(rename = "r")]
    pub(super) return_to: String,
    /// When it began.
    #[serde(rename = "t")]
    pub(super) started_at: Timestamp,
    /// Whether it is an operator's, who wants to see what comes and not be signed in.
    #[serde(rename = "c")]
    pub(super) is_check: bool,
}

impl Attempt {
    /// A new one.
    pub(super) fn new(ctx: &SiteCtx, return_to: String, is_check: bool) -> Self {
        let random = || Secret::random(&ctx.shared.chance).reveal().to_owned();
        Self {
            state: random(),
            verifier: random(),
            nonce: random(),
            return_to,
            started_at: ctx.now,
            is_check,
        }
    }

    /// Whether it may still end.
    fn lives(&self, now: Timestamp) -> bool {
        now < self.started_at.plus(LIFETIME)
    }

    /// The lines that put it into the browser, and take out what there is too much of.
    pub(super) fn cookies(&self, ctx: &SiteCtx) -> Result<Vec<String>, Failure> {
        let plain = serde_json::to_vec(self)
            .map_err(|_| Failure::Internal("an attempt that is no JSON"))?;
        let sealed = ctx
            .shared
            .root_key
            .seal(Purpose::Handshakes, &belongs_to(ctx), &plain)
            .map_err(|_| Failure::Internal("an attempt cannot be sealed"))?;
        let name = name_of(ctx, &self.state)
            .ok_or(Failure::Internal("a state that is too short for a name"))?;
        let value = URL_SAFE_NO_PAD.encode(sealed);
        let mut lines = vec![cookie_line(ctx, &name, &value, LIFETIME.seconds())];
        let prefix = prefix(ctx);
        let mut others: Vec<(Option<Timestamp>, &str)> = cookies::names(&ctx.headers, &prefix)
            .into_iter()
            .map(|name| (open(ctx, name).map(|other| other.started_at), name))
            .collect();
        // The newest first; what does not open is older than all.
        others.sort_unstable_by(|one, other| other.cmp(one));
        let superfluous = others
            .iter()
            .enumerate()
            .filter(|(index, (started_at, _))| {
                *index + 1 >= ATTEMPTS_COUNT_MAX || started_at.is_none()
            });
        lines.extend(superfluous.map(|(_, (_, name))| cookie_line(ctx, name, "", 0)));
        Ok(lines)
    }
}

/// The attempt that an answer belongs to, if this browser made it here and not too long ago; and the line that uses it up, which
/// every answer to the reader must carry.
pub(super) fn take(ctx: &SiteCtx, state: &str) -> Option<(Attempt, String)> {
    let name = name_of(ctx, state)?;
    let attempt = open(ctx, &name)?;
    let same =
        constant_time::verify_slices_are_equal(attempt.state.as_bytes(), state.as_bytes()).is_ok();
    (same && attempt.lives(ctx.now)).then(|| (attempt, cookie_line(ctx, &name, "", 0)))
}

fn open(ctx: &SiteCtx, name: &str) -> Option<Attempt> {
    let sealed = URL_SAFE_NO_PAD
        .decode(cookies::value(&ctx.headers, name)?)
        .ok()?;
    let plain = ctx
        .shared
        .root_key
        .open(Purpose::Handshakes, &belongs_to(ctx), &sealed)
        .ok()?;
    serde_json::from_slice(&plain).ok()
}

fn belongs_to(ctx: &SiteCtx) -> Vec<u8> {
    within(ctx.served.tenant, &ctx.served.site.name)
}

fn prefix(ctx: &SiteCtx) -> String {
    format!("{}-", cookie_name(&ctx.served, "handshake"))
}

/// The cookie of a state. Only what may stand in a cookie's name gets there.
fn name_of(ctx: &SiteCtx, state: &str) -> Option<String> {
    let start = state.get(..NAME_LENGTH)?;
    let plain = start
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    plain.then(|| format!("{}{start}", prefix(ctx)))
}
