//! `/`: what this server is, and who is signed in.

use crate::http::context::Ctx;
use crate::http::reply::{self, Failure, Reply};
use crate::http::session;
use crate::ui::pages::Home;
use crate::ui::parts::AccountLine;
use http::StatusCode;

/// `GET /`.
pub(crate) async fn show(ctx: &Ctx) -> Result<Reply, Failure> {
    let people = session::people(ctx, "").await?;
    let page = Home {
        shell: reply::shell(ctx, None),
        signed_in: people.first().map(|here| AccountLine {
            name: here.present.user.display_name(),
            identifier: here.present.user.identifier(),
        }),
        sign_in_href: "/sign-in",
        sign_out_href: "/sign-out",
        discovery_href: "/.well-known/openid-configuration",
    };
    reply::page(StatusCode::OK, &page, &[])
}
