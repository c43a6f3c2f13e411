//! `GET _handshake/check`: for whoever runs the site, what each step of its handshake answers, and a sign-in that shows what comes.

use super::super::host::SiteCtx;
use super::super::pages;
use super::callback::Trouble;
use super::query;
use crate::http::docs_check::{CheckStep, Verdict, is_ticket, probe};
use crate::http::reply::{self, Failure, Reply};
use crate::ui::pages::{CheckLine, DocsCheck};
use crate::ui::words;
use http::StatusCode;
use vestibule_core::docs::user::DocsUser;

pub(super) async fn show(ctx: &SiteCtx) -> Result<Reply, Failure> {
    let params = query(ctx);
    let ticket = params
        .get("ticket")
        .filter(|ticket| is_ticket(&ctx.shared, &ctx.served, ticket, ctx.now));
    let Some(ticket) = ticket else {
        let status = StatusCode::NOT_FOUND;
        return Ok(pages::error(ctx, status, &words::DOCS_CHECK_CLOSED));
    };
    let steps = probe(&ctx.shared, &ctx.served).await;
    // A ticket is base64url, which needs no escaping.
    let sign_in_href = format!("/_handshake/sign-in?ticket={ticket}");
    page(ctx, &steps, Some(&sign_in_href), None)
}

/// What a real sign-in came to. Nobody is signed in by it.
pub(super) fn report(
    ctx: &SiteCtx,
    steps: &[CheckStep],
    learnt: Result<&DocsUser, &Trouble>,
) -> Result<Reply, Failure> {
    let mut steps = steps.to_vec();
    let received = match learnt {
        Ok(user) => serde_json::to_string_pretty(user).ok(),
        Err(trouble) => {
            steps.extend(told(trouble));
            None
        }
    };
    page(ctx, &steps, None, received.as_deref())
}

/// A fault a line.
fn told(trouble: &Trouble) -> Vec<CheckStep> {
    match trouble {
        Trouble::Told(faults) => faults
            .iter()
            .map(|fault| CheckStep::new("reader", Verdict::Bad, fault.to_string()))
            .collect(),
        other => vec![CheckStep::new("sign_in", Verdict::Bad, other.to_string())],
    }
}

fn page(
    ctx: &SiteCtx,
    steps: &[CheckStep],
    sign_in_href: Option<&str>,
    received: Option<&str>,
) -> Result<Reply, Failure> {
    let page = DocsCheck {
        shell: pages::shell(ctx),
        site_name: &ctx.served.site.name,
        works: steps.iter().all(|step| step.verdict != Verdict::Bad),
        steps: steps
            .iter()
            .map(|step| CheckLine {
                step: step.step,
                verdict: step.verdict.word(),
                said: &step.said,
            })
            .collect(),
        sign_in_href,
        received,
    };
    reply::page(StatusCode::OK, &page, &[])
}
