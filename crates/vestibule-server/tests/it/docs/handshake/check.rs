//! The check: every mistake that operators make is named, and a real sign-in shows what comes.

use super::assert_page;
use crate::support::docs::{DocsWorld, HANDBOOK, INTERNAL, in_both_docs_worlds};
use crate::support::docs_server::{AUTHORIZATION, Answer, EXCHANGE, USER_INFO};
use http::StatusCode;
use serde_json::{Value, json};

in_both_docs_worlds! {
    a_site_that_works_is_told_so,
    every_mistake_is_named_with_its_fix,
    a_site_that_is_not_there_is_not_checked,
    a_ticket_opens_the_page_of_its_site_for_ten_minutes,
    a_real_sign_in_shows_what_comes_and_signs_nobody_in,
    a_user_of_the_wrong_form_is_told_by_json_path,
}

async fn check(world: &DocsWorld<'_>, site: &str) -> Result<Value, String> {
    let action = json!({ "action": "docs_check", "tenant": "default", "site": site });
    world.app.server.perform(action).await
}

/// What is said of a step.
fn step<'a>(report: &'a Value, name: &str) -> (&'a str, &'a str) {
    let steps = report["steps"].as_array().unwrap();
    let found = steps.iter().find(|step| step["step"] == name);
    let found = found.unwrap_or_else(|| panic!("no {name} in {report:#}"));
    (
        found["verdict"].as_str().unwrap(),
        found["said"].as_str().unwrap(),
    )
}

async fn a_site_that_works_is_told_so(world: &DocsWorld<'_>) {
    for site in [HANDBOOK, INTERNAL] {
        let report = check(world, site.name).await.unwrap();
        assert_eq!(report["works"], true, "{report:#}");
        let redirect_uri = format!("{}{}", site.origin(), site.handshake("callback"));
        assert_eq!(report["redirect_uri"], redirect_uri);
        assert!(step(&report, "redirect_uri").1.ends_with(&redirect_uri));
        for name in ["authorization_url", "token_url", "info_api_url"] {
            assert_eq!(step(&report, name).0, "good", "{report:#}");
        }
        assert_eq!(step(&report, "cors").0, "note");
    }
    // A way to a sign-in page is as good as one.
    world
        .server
        .answers(AUTHORIZATION, Answer::redirect("/sign-in?next=x"));
    assert_eq!(
        step(
            &check(world, "handbook").await.unwrap(),
            "authorization_url"
        )
        .0,
        "good"
    );
    assert!(
        world
            .server
            .seen(AUTHORIZATION)
            .iter()
            .all(|asked| !asked.headers.contains_key("cookie"))
    );
}

async fn every_mistake_is_named_with_its_fix(world: &DocsWorld<'_>) {
    let callback = format!("{}/docs/_handshake/callback", HANDBOOK.origin());
    let back = |query: &str| Answer::redirect(&format!("{callback}?{query}"));
    #[rustfmt::skip]
    let answers = [
        (AUTHORIZATION, Answer::html(400), "authorization_url", "not registered for it: https://docs.acme.test/docs/_handshake/callback"),
        (AUTHORIZATION, Answer::html(403), "authorization_url", "does not know the client id"),
        (AUTHORIZATION, Answer::html(404), "authorization_url", "There is no page"),
        (AUTHORIZATION, Answer::html(500), "authorization_url", "fails with status 500"),
        (AUTHORIZATION, back("error=invalid_scope&state=x"), "authorization_url", "Check `scopes`"),
        (AUTHORIZATION, back("error=unauthorized_client"), "authorization_url", "authorization code flow"),
        (EXCHANGE,      Answer::html(200), "token_url", "a page (HTML) instead of JSON"),
        (EXCHANGE,      Answer::html(404), "token_url", "There is nothing"),
        (EXCHANGE,      Answer::html(405), "token_url", "takes no POST"),
        (EXCHANGE,      Answer::redirect("/exchange/"), "token_url", "answers with a redirect"),
        (EXCHANGE,      Answer::json(401, &json!({ "error": "invalid_client" })), "token_url", "register it there as a public client"),
        (EXCHANGE,      Answer::json(200, &json!({ "access_token": "a" })), "token_url", "never gave"),
        (EXCHANGE,      Answer::text("text/plain", "no"), "token_url", "`text/plain` instead of JSON"),
        (USER_INFO,     Answer::html(200), "info_api_url", "a page (HTML) instead of JSON"),
        (USER_INFO,     Answer::html(404), "info_api_url", "There is nothing to GET"),
        (USER_INFO,     Answer::redirect("/sign-in"), "info_api_url", "answers with a redirect"),
        (USER_INFO,     Answer::html(502), "info_api_url", "fails with status 502"),
        (USER_INFO,     Answer::text("application/json", &"x".repeat(70_000)), "info_api_url", "too large"),
    ];
    for (path, answer, name, said) in answers {
        world.server.answers(path, answer.clone());
        let report = check(world, "handbook").await.unwrap();
        let (verdict, text) = step(&report, name);
        assert!(
            verdict == "bad" && text.contains(said),
            "{answer:?}: {report:#}"
        );
        assert_eq!(report["works"], false);
        world.server.is_honest(path);
    }
    #[rustfmt::skip]
    let settings = [
        (json!({ "authorization_url": world.server.url("/authorization?client_id=x") }), "authorization_url", "bad", "has `client_id` already"),
        (json!({ "public_url": "https://elsewhere.acme.test/docs" }), "authorization_url", "bad", "https://elsewhere.acme.test/docs/_handshake/callback"),
        (json!({ "client_id": "nobody" }),                   "token_url",    "bad",  "Check the client id"),
        (json!({ "token_url": "https://10.0.0.1/exchange" }), "token_url",    "bad",  "`outbound_allow`"),
        (json!({ "token_url": "http://127.0.0.1:1/x" }),     "token_url",    "bad",  "gave no answer"),
        (json!({ "info_api_url": null }),                    "info_api_url", "note", "None is set"),
    ];
    for (changes, name, verdict, said) in settings {
        world.set(HANDBOOK, &changes, None).await;
        let report = check(world, "handbook").await.unwrap();
        let found = report["steps"].as_array().unwrap().iter().any(|step| {
            step["step"] == name
                && step["verdict"] == verdict
                && step["said"].as_str().unwrap().contains(said)
        });
        assert!(found, "{changes}: {report:#}");
    }
    world
        .set(
            HANDBOOK,
            &json!({ "token_endpoint_auth_method": "client_secret_basic" }),
            None,
        )
        .await;
    assert!(
        step(&check(world, "handbook").await.unwrap(), "token_url")
            .1
            .contains("no client secret")
    );
}

async fn a_site_that_is_not_there_is_not_checked(world: &DocsWorld<'_>) {
    assert!(
        check(world, "nothing")
            .await
            .unwrap_err()
            .contains("there is no docs site `nothing`")
    );
    let elsewhere = json!({ "action": "docs_check", "tenant": "globex", "site": "handbook" });
    assert!(world.app.server.perform(elsewhere).await.is_err());
}

/// The address of the page, without its origin.
async fn page_of(world: &DocsWorld<'_>, site: &str) -> String {
    check(world, site).await.unwrap()["sign_in_at"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn a_ticket_opens_the_page_of_its_site_for_ten_minutes(world: &DocsWorld<'_>) {
    let address = page_of(world, "handbook").await;
    let mut reader = world.reader(HANDBOOK);
    let page = reader.get(&address, &[]).await;
    assert_page(&page, StatusCode::OK, "Nothing is wrong so far");
    assert!(!page.body.contains("127.0.0.1"), "{}", page.body);
    let (path, ticket) = address.split_once("ticket=").unwrap();
    for bad in ["", "x", &ticket[..ticket.len() - 1], &format!("{ticket}A")] {
        let page = reader.get(&format!("{path}ticket={bad}"), &[]).await;
        assert_page(&page, StatusCode::NOT_FOUND, "This link has expired");
    }
    let elsewhere = INTERNAL.handshake(&format!("check?ticket={ticket}"));
    assert_eq!(
        world.reader(INTERNAL).get(&elsewhere, &[]).await.status,
        StatusCode::NOT_FOUND
    );
    world.app.server.advance(600);
    let asked = world.server.seen(EXCHANGE).len();
    assert_eq!(
        reader.get(&address, &[]).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(world.server.seen(EXCHANGE).len(), asked);
}

/// The callback of a sign-in that the page started.
async fn sign_in_from_the_page(world: &DocsWorld<'_>) -> (crate::support::browser::Page, bool) {
    let mut reader = world.reader(INTERNAL);
    let page = reader.get(&page_of(world, "internal").await, &[]).await;
    let (_, rest) = page.body.split_once("id=\"sign-in-link\" href=\"").unwrap();
    let (href, _) = rest.split_once('"').unwrap();
    let page = reader.get(href, &[]).await;
    let back = world.server.sign_in(page.header("location"));
    let page = reader.get(&back, &[]).await;
    (page, reader.user().await["signedIn"] == true)
}

async fn a_real_sign_in_shows_what_comes_and_signs_nobody_in(world: &DocsWorld<'_>) {
    world.server.knows(&json!({
        "groups": ["admin"], "content": { "firstName": "<b>Ada</b>" }, "first_name": "Ada",
        "apiPlaygroundInputs": { "headers": { "X-API-Key": "k" } },
    }));
    let (page, signed_in) = sign_in_from_the_page(world).await;
    assert_page(&page, StatusCode::OK, "Nothing is wrong so far");
    assert!(!signed_in && world.sessions().await == 0);
    for said in [
        "admin",
        "$.first_name: this is not read",
        "$.apiPlaygroundInputs.headers: this is not read",
        "It told who the reader is.",
    ] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    assert!(
        !page.body.contains("<b>Ada") && !page.body.contains("docs-token"),
        "{}",
        page.body
    );
}

async fn a_user_of_the_wrong_form_is_told_by_json_path(world: &DocsWorld<'_>) {
    world
        .server
        .knows(&json!({ "groups": ["a", 3], "expiresAt": 1_800_003_600_000_i64 }));
    let (page, _) = sign_in_from_the_page(world).await;
    assert_page(&page, StatusCode::OK, "Something is wrong");
    for said in [
        "It exchanged the code",
        "$.groups[1]: a group is a text, this is a number",
        "$.expiresAt: this is after the year 3000; are these milliseconds?",
    ] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    world.server.answers(USER_INFO, Answer::html(200));
    let (page, _) = sign_in_from_the_page(world).await;
    assert!(
        page.body.contains("the Info API: the other server"),
        "{}",
        page.body
    );
}
