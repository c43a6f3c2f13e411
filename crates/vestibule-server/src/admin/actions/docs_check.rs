//! Looking whether a docs site's handshake can work.

use super::{ActionError, find_tenant};
use crate::http::context::Shared;
use crate::http::docs_check::{CheckStep, Verdict, make_ticket, probe};
use crate::http::docs_sites;
use serde_json::{Value, json};
use vestibule_core::docs::site::DocsSite;

pub(super) async fn check(shared: &Shared, slug: &str, name: &str) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let records = shared.tenant(tenant.id).docs_sites().await?;
    let record = records
        .into_iter()
        .find(|record| record.settings.name == name)
        .ok_or_else(|| {
            ActionError::not_found(format!("there is no docs site `{name}` in `{slug}`"))
        })?;
    if let Err(problems) = DocsSite::from_settings(&record.settings) {
        let steps: Vec<CheckStep> = problems
            .into_iter()
            .map(|problem| CheckStep::new(problem.field, Verdict::Bad, problem.problem))
            .collect();
        return Ok(json!({ "site": name, "works": false, "steps": steps }));
    }
    let Some(served) = docs_sites::open(shared, tenant.id, &record) else {
        let said =
            "The site's secret does not open with the sealing key of this server. Give it anew.";
        let steps = [CheckStep::new("client_secret", Verdict::Bad, said)];
        return Ok(json!({ "site": name, "works": false, "steps": steps }));
    };
    let steps = probe(shared, &served).await;
    let works = steps.iter().all(|step| step.verdict != Verdict::Bad);
    let address = make_ticket(shared, &served, shared.now())
        .map(|ticket| format!("{}?ticket={ticket}", served.site.handshake_url("check")));
    Ok(json!({
        "site": name,
        "redirect_uri": served.site.redirect_uri(),
        "works": works,
        "steps": steps,
        "sign_in_at": address,
    }))
}
