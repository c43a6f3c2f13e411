//! The buttons that lead to other sites: what stands on the sign-in page and on the sign-up page, and how their addresses look.
//!
//! They are links. Nothing is decided here: the address that a button leads to decides (`broker/hosted.rs`).

use crate::http::context::Ctx;
use crate::http::interaction::{Dialogue, spoke};
use crate::http::reply::Failure;
use crate::ui::parts::ProviderButton;

/// A button for each provider that people of this tenant may sign in with.
pub(super) async fn buttons(
    ctx: &Ctx,
    dialogue: Option<&(Dialogue, String)>,
) -> Result<Vec<ProviderButton>, Failure> {
    let project = ctx.tenant.project(&ctx.shared).await?;
    let button = |id: &str, name: &str| {
        let path = format!("/sign-in/with/{id}");
        ProviderButton {
            id: id.to_owned(),
            name: name.to_owned(),
            href: match dialogue {
                Some((_, sealed)) => spoke(&path, sealed),
                None => path,
            },
        }
    };
    Ok(project
        .for_sign_in()
        .map(|provider| button(provider.id.as_str(), &provider.name))
        .collect())
}
