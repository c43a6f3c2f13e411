//! `GET _handshake/sign-in`: sends a reader to the site's OAuth server.

use super::super::host::SiteCtx;
use super::attempt::Attempt;
use super::query;
use crate::http::docs_check::is_ticket;
use crate::http::reply::{self, Failure, Reply};
use http::StatusCode;
use vestibule_core::docs::handshake::{HandshakeAsk, authorization_url, return_path};
use vestibule_core::secret::Secret;

pub(super) fn begin(ctx: &SiteCtx) -> Result<Reply, Failure> {
    let site = &ctx.served.site;
    let params = query(ctx);
    let return_to = params
        .get("return_to")
        .and_then(|asked| return_path(site, asked))
        .unwrap_or_else(|| site.land_at.clone());
    let is_check = params
        .get("ticket")
        .is_some_and(|ticket| is_ticket(&ctx.shared, &ctx.served, ticket, ctx.now));
    let attempt = Attempt::new(ctx, return_to, is_check);
    let location = authorization_url(
        site,
        &HandshakeAsk {
            state: &Secret::new(attempt.state.clone()),
            verifier: &Secret::new(attempt.verifier.clone()),
            nonce: &Secret::new(attempt.nonce.clone()),
        },
    );
    let mut reply = reply::redirect(StatusCode::SEE_OTHER, &location)?;
    for line in attempt.cookies(ctx)? {
        reply::set_cookie(&mut reply, &line);
    }
    Ok(reply)
}
