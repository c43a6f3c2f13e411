//! `/auth/cli` of the project API: a command line signs in by way of a browser.

mod leftovers;

use super::answers::{as_client, by_server, good, id_of};
use crate::support::browser::Page;
use crate::support::installation::TENANT_ID;
use crate::support::project::{PUBLISHABLE, World, in_both_worlds};
use crate::support::project_links::{assert_known, assert_words, claims, user_id};
use http::{Method, StatusCode};
use serde_json::{Value, json};

in_both_worlds! {
    a_command_line_gets_a_session_of_its_own_once,
    an_attempt_ends,
    of_many_polls_one_gets_the_token_and_of_many_pages_one_completes,
    a_start_that_is_not_understood_is_refused,
    a_poll_needs_the_polling_code,
    a_page_needs_the_login_code_and_a_session_that_stands,
    a_disabled_person_s_command_line_gets_nothing,
    one_network_starts_so_many,
    t15_a_command_line_s_session_ends_no_later_than_the_one_that_let_it_in,
    t15_a_session_that_is_over_lets_no_command_line_in,
}

/// A command line has nobody's tokens.
const NOBODY: [(&str, &str); 3] = [
    ("project-id", TENANT_ID),
    ("access-type", "client"),
    ("publishable-client-key", PUBLISHABLE),
];

async fn post(world: &World<'_>, path: &str, headers: &[(&str, &str)], body: Value) -> Page {
    world.call(Method::POST, path, headers, Some(body)).await
}

async fn start(world: &World<'_>, body: Value) -> Value {
    let page = post(world, "/auth/cli", &NOBODY, body).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.json()
}

async fn poll(world: &World<'_>, attempt: &Value) -> Page {
    let body = json!({ "polling_code": attempt["polling_code"] });
    post(world, "/auth/cli/poll", &NOBODY, body).await
}

async fn complete(world: &World<'_>, attempt: &Value, tokens: &Value) -> Page {
    let body =
        json!({ "login_code": attempt["login_code"], "refresh_token": tokens["refresh_token"] });
    post(world, "/auth/cli/complete", &World::client(tokens), body).await
}

fn assert_status(page: &Page, status: &str) {
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert_eq!(page.json(), json!({ "status": status }));
}

async fn a_command_line_gets_a_session_of_its_own_once(world: &World<'_>) {
    let attempt = start(world, json!({})).await;
    assert_ne!(attempt["polling_code"], attempt["login_code"]);
    assert_eq!(attempt["expires_at"], "2027-01-15T10:00:00Z");
    assert_status(&poll(world, &attempt).await, "waiting");
    let mary = world.sign_in("mary").await;
    let page = complete(world, &attempt, &mary).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let page = poll(world, &attempt).await;
    assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
    assert_eq!(page.json()["status"], "success");
    let token = page.json()["refresh_token"].as_str().unwrap().to_owned();
    assert_status(&poll(world, &attempt).await, "used");
    let refreshed = world.refresh(&token).await.json();
    assert_eq!(user_id(&refreshed), user_id(&mary));
    assert_ne!(
        claims(&refreshed)["refresh_token_id"],
        claims(&mary)["refresh_token_id"]
    );
    // Both go on side by side.
    let browser = world.refresh(mary["refresh_token"].as_str().unwrap()).await;
    assert_eq!(browser.status, StatusCode::OK, "{}", browser.body);
}

async fn an_attempt_ends(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let (waiting, completed) = (
        start(world, json!({ "expires_in_millis": 1500 })).await,
        start(
            world,
            json!({ "expires_in_millis": 1500, "anon_refresh_token": null }),
        )
        .await,
    );
    assert_eq!(
        complete(world, &completed, &mary).await.status,
        StatusCode::OK
    );
    world.app.server.advance(2);
    assert_status(&poll(world, &waiting).await, "expired");
    assert_status(&poll(world, &completed).await, "expired");
    assert_known(
        &complete(world, &waiting, &mary).await,
        400,
        "CLI_AUTH_EXPIRED_ERROR",
    );
    assert_known(
        &complete(world, &completed, &mary).await,
        400,
        "CLI_AUTH_USED_ERROR",
    );
}

async fn of_many_polls_one_gets_the_token_and_of_many_pages_one_completes(world: &World<'_>) {
    let attempt = start(world, json!({ "expires_in_millis": 86_400_000 })).await;
    let mary = world.sign_in("mary").await;
    let emmy = world.sign_in("emmy").await;
    let (a, b, c) = tokio::join!(
        complete(world, &attempt, &mary),
        complete(world, &attempt, &emmy),
        complete(world, &attempt, &mary)
    );
    let pages = [a, b, c];
    assert_eq!(
        pages
            .iter()
            .filter(|page| page.status == StatusCode::OK)
            .count(),
        1
    );
    for page in pages.iter().filter(|page| page.status != StatusCode::OK) {
        assert_known(page, 400, "CLI_AUTH_USED_ERROR");
    }
    let (a, b, c, d) = tokio::join!(
        poll(world, &attempt),
        poll(world, &attempt),
        poll(world, &attempt),
        poll(world, &attempt)
    );
    let polls = [a, b, c, d];
    assert_eq!(
        polls
            .iter()
            .filter(|page| page.status == StatusCode::CREATED)
            .count(),
        1
    );
    for page in polls
        .iter()
        .filter(|page| page.status != StatusCode::CREATED)
    {
        assert_status(page, "used");
    }
}

async fn a_start_that_is_not_understood_is_refused(world: &World<'_>) {
    for body in [
        json!({ "expires_in_millis": 0 }),
        json!({ "expires_in_millis": -1 }),
        json!({ "expires_in_millis": 1.5 }),
        json!({ "expires_in_millis": "1000" }),
        json!({ "expires_in_millis": 86_400_001 }),
        json!({ "anon_refresh_token": 1 }),
        json!({ "color": "red" }),
    ] {
        let page = post(world, "/auth/cli", &NOBODY, body).await;
        assert_known(&page, 400, "SCHEMA_ERROR");
    }
    let page = post(
        world,
        "/auth/cli",
        &NOBODY,
        json!({ "anon_refresh_token": "x" }),
    )
    .await;
    assert_known(&page, 400, "ANONYMOUS_ACCOUNTS_NOT_ENABLED");
    let page = post(world, "/auth/cli", &NOBODY, json!([])).await;
    assert_known(&page, 400, "BODY_PARSING_ERROR");
    for path in ["/auth/cli", "/auth/cli/poll", "/auth/cli/complete"] {
        assert_known(
            &post(world, path, &[], json!({})).await,
            400,
            "ACCESS_TYPE_REQUIRED",
        );
    }
    let bare = world.call(Method::POST, "/auth/cli", &NOBODY, None).await;
    assert_eq!(bare.status, StatusCode::OK, "{}", bare.body);
}

async fn a_poll_needs_the_polling_code(world: &World<'_>) {
    let attempt = start(world, json!({})).await;
    let login = attempt["login_code"].as_str().unwrap();
    let polling = attempt["polling_code"].as_str().unwrap();
    let mut forged = polling.to_owned();
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'E' } else { 'A' });
    for code in ["x", login, &forged, &polling.to_uppercase()] {
        let page = post(
            world,
            "/auth/cli/poll",
            &NOBODY,
            json!({ "polling_code": code }),
        )
        .await;
        assert_known(&page, 400, "INVALID_POLLING_CODE");
    }
    for body in [
        json!({}),
        json!({ "polling_code": "" }),
        json!({ "polling_code": 1 }),
        json!({ "polling_code": polling, "more": 1 }),
    ] {
        let page = post(world, "/auth/cli/poll", &NOBODY, body).await;
        assert_known(&page, 400, "SCHEMA_ERROR");
    }
}

async fn a_page_needs_the_login_code_and_a_session_that_stands(world: &World<'_>) {
    let attempt = start(world, json!({})).await;
    let mary = world.sign_in("mary").await;
    let emmy = world.sign_in("emmy").await;
    let login = attempt["login_code"].as_str().unwrap();
    let polling = attempt["polling_code"].as_str().unwrap();
    let token = mary["refresh_token"].as_str().unwrap();
    let headers = World::client(&mary);
    let ask = async |body: Value| post(world, "/auth/cli/complete", &headers, body).await;
    for code in ["x", polling] {
        let page = ask(json!({ "login_code": code, "refresh_token": token })).await;
        assert_known(&page, 400, "CLI_AUTH_ERROR");
    }
    for wrong in ["x", login, mary["access_token"].as_str().unwrap()] {
        let page = ask(json!({ "login_code": login, "refresh_token": wrong })).await;
        assert_known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
    }
    let theirs = json!({ "login_code": login, "refresh_token": emmy["refresh_token"] });
    assert_words(&ask(theirs).await, 400, "not the one");
    for body in [
        json!({ "login_code": login }),
        json!({ "refresh_token": token }),
        json!({ "login_code": login, "refresh_token": token, "mode": "check" }),
        json!({ "login_code": login, "refresh_token": token, "more": "" }),
    ] {
        assert_known(&ask(body).await, 400, "SCHEMA_ERROR");
    }
    assert_status(&poll(world, &attempt).await, "waiting");
    let last = json!({ "login_code": login, "refresh_token": token, "mode": "complete" });
    assert_eq!(ask(last).await.status, StatusCode::OK);
}

async fn a_disabled_person_s_command_line_gets_nothing(world: &World<'_>) {
    let (one, other) = (start(world, json!({})).await, start(world, json!({})).await);
    let mary = world.sign_in("mary").await;
    assert_eq!(complete(world, &one, &mary).await.status, StatusCode::OK);
    let action = json!({ "action": "user_disable", "tenant": "default", "user": user_id(&mary) });
    world.app.server.perform(action).await.unwrap();
    assert_status(&poll(world, &one).await, "expired");
    let body = json!({ "login_code": other["login_code"], "refresh_token": mary["refresh_token"] });
    let page = post(world, "/auth/cli/complete", &NOBODY, body).await;
    assert_known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
}

async fn one_network_starts_so_many(world: &World<'_>) {
    for _ in 0..60 {
        start(world, json!({})).await;
    }
    let page = post(world, "/auth/cli", &NOBODY, json!({})).await;
    assert_words(&page, 429, "Too many");
    assert_eq!(page.header("retry-after"), "10");
    world.app.server.advance(10);
    start(world, json!({})).await;
}

/// A session that a server made, for a minute.
async fn a_minute(world: &World<'_>) -> Value {
    let bob = id_of(world, "bob").await;
    let body = json!({ "user_id": bob, "expires_in_millis": 60_000 });
    let page = by_server(world, Method::POST, "/auth/sessions", Some(body)).await;
    good(&page, 200)
}

async fn t15_a_command_line_s_session_ends_no_later_than_the_one_that_let_it_in(world: &World<'_>) {
    let mut own = Vec::new();
    for ending in ["by time", "by id"] {
        let tokens = a_minute(world).await;
        let attempt = start(world, json!({})).await;
        let page = complete(world, &attempt, &tokens).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        world.app.server.advance(20);
        let token = poll(world, &attempt).await.json()["refresh_token"].clone();
        let token = token.as_str().unwrap().to_owned();
        let page = world.refresh(&token).await;
        let fresh = good(&page, 200);
        assert_eq!(fresh["expires_in"], 40);
        let id = claims(&fresh)["refresh_token_id"].clone();
        let path = format!("/auth/sessions?user_id={}", user_id(&tokens));
        let listed = good(&by_server(world, Method::GET, &path, None).await, 200);
        let ids: Vec<&Value> = listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| &item["id"])
            .collect();
        assert!(ids.contains(&&id), "{listed}");
        if ending == "by id" {
            let path = format!("/auth/sessions/{}", id.as_str().unwrap());
            good(&by_server(world, Method::DELETE, &path, None).await, 200);
        } else {
            world.app.server.advance(40);
        }
        own.push((token, fresh));
    }
    for (token, fresh) in own {
        let page = world.refresh(&token).await;
        assert_known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
        let path = "/auth/sessions?user_id=me";
        let page = world
            .call(Method::GET, path, &as_client(&fresh), None)
            .await;
        assert_known(&page, 401, "ACCESS_TOKEN_EXPIRED");
    }
}

async fn t15_a_session_that_is_over_lets_no_command_line_in(world: &World<'_>) {
    let tokens = a_minute(world).await;
    let (completed, waiting) = (start(world, json!({})).await, start(world, json!({})).await);
    let page = complete(world, &completed, &tokens).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    world.app.server.advance(60);
    assert_status(&poll(world, &completed).await, "expired");
    let body =
        json!({ "login_code": waiting["login_code"], "refresh_token": tokens["refresh_token"] });
    let page = post(world, "/auth/cli/complete", &NOBODY, body).await;
    assert_known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
    assert_status(&poll(world, &waiting).await, "waiting");
}
