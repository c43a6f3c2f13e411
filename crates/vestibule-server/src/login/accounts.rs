//! `/accounts`: which of the accounts of this browser.

use crate::http::context::Ctx;
use crate::http::csrf;
use crate::http::interaction::{self, Dialogue, spoke};
use crate::http::reply::{self, Failure, Reply};
use crate::http::session::{self, Here};
use crate::ui::pages::{AccountChoice, ChooseAccount};
use crate::ui::parts::AccountLine;
use crate::ui::words;
use http::StatusCode;
use vestibule_core::id::SessionId;
use vestibule_core::oauth::interaction::Facts;
use vestibule_store::Committed;

/// The step that the form's token is bound to.
const STEP: &str = "accounts";

/// `GET /accounts`.
pub(crate) async fn show(ctx: &Ctx) -> Result<Reply, Failure> {
    let (dialogue, sealed) = match interaction::open_spoke(ctx).await? {
        Ok(Some(open)) => open,
        Ok(None) => return reply::see_other(ctx, "/"),
        Err(reply) => return Ok(reply),
    };
    let people = session::people(ctx, "").await?;
    if people.is_empty() {
        return reply::see_other(ctx, &spoke("/sign-in", &sealed));
    }
    render(ctx, &dialogue, &sealed, &people)
}

/// `POST /accounts`: `account` chooses one, `sign_out` ends one.
pub(crate) async fn submit(ctx: &Ctx) -> Result<Reply, Failure> {
    let (mut dialogue, sealed) = match interaction::open_spoke(ctx).await? {
        Ok(Some(open)) => open,
        Ok(None) => return reply::see_other(ctx, "/"),
        Err(reply) => return Ok(reply),
    };
    let form = ctx.form().unwrap_or_default();
    let (Some(browser), true) = (session::browser(ctx), csrf::is_ours(ctx, STEP, &form)) else {
        return Ok(reply::error_page(
            ctx,
            StatusCode::FORBIDDEN,
            &words::FORM_REFUSED,
            None,
        ));
    };
    let people = session::people(ctx, "").await?;
    let named = |field| {
        let id = form.get(field).and_then(SessionId::parse)?;
        people
            .iter()
            .find(|here| here.present.signed_in.session.id == id)
    };
    if let Some(ended) = named("sign_out") {
        let id = ended.present.signed_in.session.id;
        let _: Committed = ctx
            .store()
            .commit(ctx.store().unit().end_session(id, ctx.now))
            .await?;
        let kept = people
            .iter()
            .filter(|here| here.present.signed_in.session.id != id)
            .map(|here| &here.handle);
        let mut reply = reply::see_other(ctx, &spoke("/accounts", &sealed))?;
        reply::set_cookie(&mut reply, &session::cookie_of(ctx, kept));
        return Ok(reply);
    }
    let Some(chosen) = named("account") else {
        return reply::see_other(ctx, &spoke("/accounts", &sealed));
    };
    dialogue.facts = Facts {
        chosen: Some(chosen.present.signed_in.session.id),
        ..Facts::default()
    };
    // The chosen one is the active one from now on.
    let others = people
        .iter()
        .filter(|here| here.handle.id() != chosen.handle.id());
    let cookie = session::cookie_of(
        ctx,
        std::iter::once(chosen)
            .chain(others)
            .map(|here| &here.handle),
    );
    let mut reply = interaction::to_hub(ctx, &dialogue, &browser)?;
    reply::set_cookie(&mut reply, &cookie);
    Ok(reply)
}

fn render(ctx: &Ctx, dialogue: &Dialogue, sealed: &str, people: &[Here]) -> Result<Reply, Failure> {
    let Some(browser) = session::browser(ctx) else {
        return Ok(reply::error_page(
            ctx,
            StatusCode::BAD_REQUEST,
            &words::COOKIES_REFUSED,
            None,
        ));
    };
    let ids: Vec<String> = people
        .iter()
        .map(|here| here.present.signed_in.session.id.to_string())
        .collect();
    let accounts = people
        .iter()
        .zip(&ids)
        .map(|(here, id)| AccountChoice {
            handle_value: id,
            account: AccountLine {
                name: here.present.user.display_name(),
                identifier: here.present.user.identifier(),
            },
            signed_out: false,
        })
        .collect();
    let (action, another) = (spoke("/accounts", sealed), spoke("/sign-in", sealed));
    let csrf = csrf::token(ctx, &browser, STEP);
    let page = ChooseAccount {
        shell: reply::shell(ctx, Some(&dialogue.client)),
        action: &action,
        csrf: &csrf,
        accounts,
        another_href: &another,
    };
    let mut reply = reply::page(StatusCode::OK, &page, &dialogue.form_targets())?;
    reply::keep_opener(&mut reply, Some(&dialogue.client));
    Ok(reply)
}
