//! `/consent`: may this app have what it asks for?

use crate::http::context::Ctx;
use crate::http::csrf;
use crate::http::interaction::{self, Dialogue, spoke};
use crate::http::reply::{self, Failure, Reply};
use crate::http::session::{self, Here};
use crate::ui::pages::{Consent, ScopeLine};
use crate::ui::parts::AccountLine;
use crate::ui::words;
use http::StatusCode;
use vestibule_core::id::GrantId;
use vestibule_core::oauth::grant;
use vestibule_core::oauth::interaction::{ConsentReason, SignedIn, Step, next_step};
use vestibule_core::oauth::scope::{ScopeConsent, describe};
use vestibule_store::Committed;

/// The step that the form's token is bound to.
const STEP: &str = "consent";

/// `GET /consent`.
pub(crate) async fn show(ctx: &Ctx) -> Result<Reply, Failure> {
    match load(ctx).await? {
        Ok(asked) => render(ctx, &asked),
        Err(reply) => Ok(reply),
    }
}

/// `POST /consent`: `decision` is `allow`; everything else refuses.
pub(crate) async fn submit(ctx: &Ctx) -> Result<Reply, Failure> {
    let mut asked = match load(ctx).await? {
        Ok(asked) => asked,
        Err(reply) => return Ok(reply),
    };
    let form = ctx.form().unwrap_or_default();
    // The token is bound to the request too: an answer to one app is no answer to another (T33).
    if !csrf::is_ours(ctx, &asked.step(), &form) {
        return Ok(reply::error_page(
            ctx,
            StatusCode::FORBIDDEN,
            &words::FORM_REFUSED,
            None,
        ));
    }
    let dialogue = &mut asked.dialogue;
    if form.get("decision") == Some("allow") {
        let SignedIn { session, grant } = &asked.here.present.signed_in;
        let scope = dialogue.request.consent_scope(&dialogue.client);
        let (scope, resources) = grant::allow(grant.as_ref(), &scope, &dialogue.request.resources);
        let id = GrantId::new(ctx.now, ctx.chance());
        let client_id = dialogue.client.id.as_str();
        let unit = ctx.store().unit().upsert_grant(
            id,
            session.user_id,
            client_id,
            (&scope, &resources),
            ctx.now,
        );
        let _: Committed = ctx.store().commit(unit).await?;
        dialogue.facts.allowed = Some(session.user_id);
        tracing::info!(reference = ctx.reference, user = %session.user_id, client_id, %scope, "consent was given");
    } else {
        dialogue.facts.denied = true;
    }
    interaction::to_hub(ctx, dialogue, &asked.browser)
}

/// A dialogue that waits for consent.
struct Asked {
    dialogue: Dialogue,
    sealed: String,
    here: Here,
    reason: ConsentReason,
    browser: String,
}

impl Asked {
    /// What the form's token is bound to.
    fn step(&self) -> String {
        format!("{STEP} {}", self.sealed)
    }
}

/// The dialogue and the person who is asked, if consent is what comes next; whatever else comes next is the hub's to say.
async fn load(ctx: &Ctx) -> Result<Result<Asked, Reply>, Failure> {
    let (dialogue, sealed) = match interaction::open_spoke(ctx).await? {
        Ok(Some(open)) => open,
        Ok(None) => return Ok(Err(reply::see_other(ctx, "/")?)),
        Err(reply) => return Ok(Err(reply)),
    };
    let Some(browser) = session::browser(ctx) else {
        return Ok(Err(reply::error_page(
            ctx,
            StatusCode::BAD_REQUEST,
            &words::COOKIES_REFUSED,
            None,
        )));
    };
    let people = session::people(ctx, dialogue.client.id.as_str()).await?;
    let signed_in: Vec<SignedIn> = people
        .iter()
        .map(|here| here.present.signed_in.clone())
        .collect();
    let step = next_step(
        &dialogue.request,
        &dialogue.client,
        &signed_in,
        &dialogue.facts,
        interaction::house(ctx),
        ctx.now,
    );
    let asked = match step {
        Step::Consent(session, reason) => people
            .into_iter()
            .find(|here| here.present.signed_in.session.id == session)
            .map(|here| (here, reason)),
        _ => None,
    };
    match asked {
        Some((here, reason)) => Ok(Ok(Asked {
            dialogue,
            sealed,
            here,
            reason,
            browser,
        })),
        None => Ok(Err(reply::see_other(
            ctx,
            &format!("/oauth/authorize/{sealed}"),
        )?)),
    }
}

fn render(ctx: &Ctx, asked: &Asked) -> Result<Reply, Failure> {
    let Asked {
        dialogue,
        sealed,
        here,
        reason,
        browser,
    } = asked;
    let (request, client) = (&dialogue.request, &dialogue.client);
    let own = &ctx.tenant.tenant.scopes;
    let wanted = request.consent_scope(client);
    let before = here.present.signed_in.grant.as_ref();
    let was_allowed = |name: &str| before.is_some_and(|grant| grant.scope.contains(name));
    // Asked again, everything is named; asked for more, only what is new.
    let again = *reason != ConsentReason::New;
    let mut scopes = Vec::new();
    let mut already = Vec::new();
    for name in wanted.iter() {
        let (consent, sentence) = describe(name, own);
        // The page says in its own words that an app keeps its access.
        if consent == ScopeConsent::Implied || name == "offline_access" {
            continue;
        }
        if again || !was_allowed(name) {
            scopes.push(ScopeLine {
                name,
                sentence,
                new: before.is_some() && !was_allowed(name),
            });
        } else {
            already.push(sentence);
        }
    }
    let host = request.return_path.redirect_uri.display_host();
    let action = spoke("/consent", sealed);
    let switch = spoke("/accounts", sealed);
    let csrf = csrf::token(ctx, browser, &asked.step());
    let page = Consent {
        shell: reply::shell(ctx, Some(client)),
        action: &action,
        csrf: &csrf,
        redirect_host: &host,
        account: AccountLine {
            name: here.present.user.display_name(),
            identifier: here.present.user.identifier(),
        },
        switch_href: request
            .required_subject
            .is_none()
            .then_some(switch.as_str()),
        scopes,
        already,
        local_warning: client.is_unverifiable_at(&request.return_path.redirect_uri)
            && request.return_path.redirect_uri.is_on_this_device(),
        offline: wanted.contains("offline_access"),
    };
    let mut reply = reply::page(StatusCode::OK, &page, &dialogue.form_targets())?;
    reply::keep_opener(&mut reply, Some(&dialogue.client));
    Ok(reply)
}
