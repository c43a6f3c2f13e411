//! Our own pages on a docs site: what they are wrapped in, and the ones that say what went wrong.

use super::host::SiteCtx;
use crate::http::reply::{self, Failure, Reply};
use crate::ui::pages::ErrorPage;
use crate::ui::parts::Shell;
use crate::ui::words::{self, ErrorWords};
use http::StatusCode;
use http::header::{self, HeaderValue};

/// Seconds after which a reader may try again when we could not serve them.
const RETRY_AFTER_SECONDS: u32 = 2;

/// What surrounds a page of this site. Readers know the site by its host.
pub(crate) fn shell(ctx: &SiteCtx) -> Shell<'_> {
    let address = &ctx.served.site.address;
    Shell {
        lang: "en",
        tenant_name: &address.host,
        base_path: &address.base_path,
        assets_below: Some(&address.base_path),
        client: None,
        reference: "",
    }
}

/// A page that says what happened and what to do.
pub(crate) fn error(ctx: &SiteCtx, status: StatusCode, words: &ErrorWords) -> Reply {
    let shell = Shell {
        reference: &ctx.reference,
        ..shell(ctx)
    };
    tracing::info!(
        reference = ctx.reference,
        site = ctx.served.site.name,
        status = status.as_u16(),
        words = words.title,
        "an error page was shown"
    );
    reply::page(status, &ErrorPage::new(shell, words), &[]).unwrap_or_else(|_| reply::empty(status))
}

/// The answer where something of ours failed.
pub(crate) fn failure(ctx: &SiteCtx, failure: &Failure) -> Reply {
    if failure.is_passing() {
        tracing::warn!(reference = ctx.reference, error = %failure, "not answered for now");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let mut reply = error(ctx, status, &words::SERVER_BUSY);
        reply
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        return reply;
    }
    tracing::error!(reference = ctx.reference, error = %failure, "not answered");
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    error(ctx, status, &words::SERVER_FAILED)
}
