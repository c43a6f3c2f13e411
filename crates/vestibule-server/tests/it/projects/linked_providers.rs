//! `/oauth-providers` of the project API: the links between people and providers.

mod last_way;

use crate::support::app::from_settings_on_both_engines;
use crate::support::browser::Page;
use crate::support::project::{World, in_both_worlds, project_of};
use crate::support::project_links::{assert_known, assert_words, user_id};
use crate::support::upstream::Upstream;
use http::{Method, StatusCode};
use serde_json::{Value, json};

in_both_worlds! {
    a_person_sees_their_links,
    nobody_in_a_browser_sees_or_changes_another_s_links,
    a_list_says_whose,
    a_server_links_what_nobody_has,
    a_server_is_told_every_member_that_is_wrong,
    an_upstream_identity_is_one_person_s,
    a_link_that_does_not_sign_in_refuses_the_sign_in,
    a_server_corrects_a_link,
    t46_the_only_way_in_is_not_taken_away_by_accident,
    a_link_that_is_gone_is_not_found,
}

from_settings_on_both_engines! {
    of_two_ways_in_one_may_go,
    one_account_of_a_provider_signs_in,
}

async fn list(world: &World<'_>, tokens: &Value) -> Vec<Value> {
    let page = world
        .call(
            Method::GET,
            "/oauth-providers?user_id=me",
            &World::client(tokens),
            None,
        )
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.json()["items"].as_array().unwrap().clone()
}

/// The path of the one link that somebody has.
async fn only_link(world: &World<'_>, tokens: &Value) -> String {
    let links = list(world, tokens).await;
    assert_eq!(links.len(), 1);
    format!(
        "/oauth-providers/{}/{}",
        links[0]["user_id"].as_str().unwrap(),
        links[0]["id"].as_str().unwrap()
    )
}

fn link(user: &str, provider: &str, subject: &str) -> Value {
    json!({
        "user_id": user, "provider_config_id": provider, "account_id": subject, "email": "x@example.org",
        "allow_sign_in": true, "allow_connected_accounts": true,
    })
}

async fn create(world: &World<'_>, body: Value) -> Page {
    world
        .call(
            Method::POST,
            "/oauth-providers",
            &World::server(),
            Some(body),
        )
        .await
}

async fn patch(world: &World<'_>, headers: &[(&str, &str)], path: &str, body: Value) -> Page {
    world.call(Method::PATCH, path, headers, Some(body)).await
}

async fn a_person_sees_their_links(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let id = user_id(&mary);
    let links = list(world, &mary).await;
    let row = links[0]["id"].as_str().unwrap();
    let expected = json!({
        "id": row, "user_id": id, "provider_config_id": "google", "type": "google", "account_id": "mock-1780",
        "email": "mary@example.org", "allow_sign_in": true, "allow_connected_accounts": true,
    });
    assert_eq!(links.as_slice(), std::slice::from_ref(&expected));
    for (path, headers) in [
        (format!("/oauth-providers/me/{row}"), World::client(&mary)),
        (format!("/oauth-providers/{id}/{row}"), World::client(&mary)),
        (format!("/oauth-providers/{id}/{row}"), World::server()),
    ] {
        let page = world.call(Method::GET, &path, &headers, None).await;
        assert_eq!(page.json(), expected, "{path}");
    }
    for (query, count) in [
        (format!("user_id={id}"), 1),
        (format!("user_id={id}&account_id=mock-1780"), 1),
        (format!("user_id={id}&account_id=mock-178"), 0),
        (format!("user_id={id}&unknown=x"), 1),
    ] {
        let path = format!("/oauth-providers?{query}");
        let page = world.call(Method::GET, &path, &World::server(), None).await;
        assert_eq!(
            page.json()["items"].as_array().unwrap().len(),
            count,
            "{query}"
        );
        assert_eq!(page.json()["is_paginated"], false);
    }
}

async fn nobody_in_a_browser_sees_or_changes_another_s_links(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let emmy = world.sign_in("emmy").await;
    let theirs = only_link(world, &emmy).await;
    let headers = World::client(&mary);
    let list = format!("/oauth-providers?user_id={}", user_id(&emmy));
    assert_words(
        &world.call(Method::GET, &list, &headers, None).await,
        403,
        "client",
    );
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let page = world.call(method.clone(), &theirs, &headers, None).await;
        assert_words(&page, 403, "client");
        // Under one's own name the id of another's link leads nowhere.
        let (_, row) = theirs.rsplit_once('/').unwrap();
        let path = format!("/oauth-providers/me/{row}");
        let page = world.call(method, &path, &headers, None).await;
        assert_words(&page, 404, "no link");
    }
    let page = world
        .call(
            Method::POST,
            "/oauth-providers",
            &headers,
            Some(link("me", "google", "x")),
        )
        .await;
    assert_known(&page, 401, "INSUFFICIENT_ACCESS_TYPE");
    only_link(world, &emmy).await;
}

async fn a_list_says_whose(world: &World<'_>) {
    for (query, problem) in [
        ("", "query.user_id must be defined"),
        ("?account_id=x", "query.user_id must be defined"),
        ("?user_id=me&user_id=me", "query.user_id may stand once"),
        ("?user_id=%ff", "the query cannot be read"),
    ] {
        let path = format!("/oauth-providers{query}");
        let page = world.call(Method::GET, &path, &World::server(), None).await;
        assert_known(&page, 400, "SCHEMA_ERROR");
        let message = page.json()["details"]["message"].to_string();
        assert!(message.contains(problem), "{query}: {message}");
    }
    let page = world
        .call(
            Method::GET,
            "/oauth-providers?user_id=me",
            &World::server(),
            None,
        )
        .await;
    assert_known(&page, 400, "CANNOT_GET_OWN_USER_WITHOUT_USER");
}

async fn a_server_links_what_nobody_has(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let id = user_id(&mary);
    let mut body = link(&id, "google", "second");
    body["allow_sign_in"] = json!(false);
    body["email"] = Value::Null;
    let page = create(world, body).await;
    assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
    assert_eq!(page.json()["account_id"], "second");
    assert_eq!(page.json()["email"], Value::Null);
    assert_eq!(page.json()["allow_sign_in"], false);
    assert_eq!(list(world, &mary).await.len(), 2);
    // It is connected, though the provider has given nothing for it.
    let path = "/connected-accounts/me/google/second/access-token";
    let page = world
        .call(Method::POST, path, &World::client(&mary), None)
        .await;
    assert_known(&page, 400, "OAUTH_ACCESS_TOKEN_NOT_AVAILABLE");
}

async fn a_server_is_told_every_member_that_is_wrong(world: &World<'_>) {
    let id = user_id(&world.sign_in("mary").await);
    let page = create(world, json!({ "email": "no address", "color": 1 })).await;
    assert_known(&page, 400, "SCHEMA_ERROR");
    let message = page.json()["details"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    for name in [
        "user_id",
        "provider_config_id",
        "account_id",
        "allow_sign_in",
        "allow_connected_accounts",
        "email",
        "color",
    ] {
        assert!(
            message.contains(&format!("body.{name} ")),
            "{name}: {message}"
        );
    }
    let long = "x".repeat(513);
    for subject in ["", "a\u{0}b", &long] {
        assert_known(
            &create(world, link(&id, "google", subject)).await,
            400,
            "SCHEMA_ERROR",
        );
    }
    let missing = "6f1c1f3e-6b0e-7b7e-9a50-0c1f5d1f7a09";
    for (user, provider, status, code) in [
        (
            id.as_str(),
            "github",
            400,
            "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED",
        ),
        (missing, "google", 404, "USER_NOT_FOUND"),
        ("x", "google", 404, "USER_NOT_FOUND"),
        ("me", "google", 400, "CANNOT_GET_OWN_USER_WITHOUT_USER"),
    ] {
        assert_known(
            &create(world, link(user, provider, "new")).await,
            status,
            code,
        );
    }
}

async fn an_upstream_identity_is_one_person_s(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let emmy = world.sign_in("emmy").await;
    let mut body = link(&user_id(&mary), "google", "mock-1882");
    body["allow_sign_in"] = json!(false);
    let code = "OAUTH_PROVIDER_ACCOUNT_ID_ALREADY_USED_FOR_SIGN_IN";
    assert_known(&create(world, body.clone()).await, 400, code);
    body["account_id"] = json!("mock-1780");
    assert_words(&create(world, body).await, 409, "already");
    // By a change neither.
    let own = only_link(world, &mary).await;
    let page = patch(
        world,
        &World::server(),
        &own,
        json!({ "account_id": "mock-1882" }),
    )
    .await;
    assert_known(&page, 400, code);
    assert_eq!(list(world, &mary).await[0]["account_id"], "mock-1780");
    only_link(world, &emmy).await;
}

async fn a_link_that_does_not_sign_in_refuses_the_sign_in(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let own = only_link(world, &mary).await;
    let client = World::client(&mary);
    let page = patch(
        world,
        &client,
        &own,
        json!({ "allow_connected_accounts": false }),
    )
    .await;
    assert_eq!(
        page.json()["allow_connected_accounts"],
        false,
        "{}",
        page.body
    );
    let path = "/connected-accounts/me/google/access-token";
    let page = world.call(Method::POST, path, &client, None).await;
    assert_known(&page, 400, "OAUTH_CONNECTION_NOT_CONNECTED_TO_USER");
    let page = patch(
        world,
        &World::server(),
        &own,
        json!({ "allow_sign_in": false }),
    )
    .await;
    assert_eq!(page.json()["allow_sign_in"], false, "{}", page.body);
    let answer = world.answer("mary", &[]).await.answer();
    assert_eq!(
        answer["errorCode"],
        "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED"
    );
    // And back again.
    let both = json!({ "allow_sign_in": true, "allow_connected_accounts": true });
    let page = patch(world, &client, &own, both).await;
    assert_eq!(page.json()["allow_sign_in"], true, "{}", page.body);
    assert_eq!(user_id(&world.sign_in("mary").await), user_id(&mary));
    let page = world.call(Method::POST, path, &client, None).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
}

async fn a_server_corrects_a_link(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let own = only_link(world, &mary).await;
    for member in ["email", "account_id", "color"] {
        let page = patch(
            world,
            &World::client(&mary),
            &own,
            json!({ member: "x@example.org" }),
        )
        .await;
        assert_known(&page, 400, "SCHEMA_ERROR");
    }
    for body in [
        json!({ "email": "no address" }),
        json!({ "account_id": "" }),
        json!({ "allow_sign_in": "yes" }),
        json!({ "allow_sign_in": 1 }),
        json!({ "color": "red" }),
    ] {
        assert_known(
            &patch(world, &World::server(), &own, body).await,
            400,
            "SCHEMA_ERROR",
        );
    }
    let page = patch(
        world,
        &World::server(),
        &own,
        json!({ "email": "m@example.org" }),
    )
    .await;
    assert_eq!(page.json()["email"], "m@example.org", "{}", page.body);
    let page = patch(world, &World::server(), &own, json!({ "email": null })).await;
    assert_eq!(page.json()["email"], Value::Null, "{}", page.body);
    // Another account there is another's tokens: those of the old one are not kept.
    let page = patch(
        world,
        &World::server(),
        &own,
        json!({ "account_id": "moved" }),
    )
    .await;
    assert_eq!(page.json()["account_id"], "moved", "{}", page.body);
    assert_eq!(only_link(world, &mary).await, own);
    let path = "/connected-accounts/me/google/moved/access-token";
    let page = world
        .call(Method::POST, path, &World::client(&mary), None)
        .await;
    assert_known(&page, 400, "OAUTH_ACCESS_TOKEN_NOT_AVAILABLE");
    assert_eq!(
        patch(world, &World::client(&mary), &own, json!({}))
            .await
            .status,
        200
    );
}

async fn t46_the_only_way_in_is_not_taken_away_by_accident(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let own = only_link(world, &mary).await;
    let client = World::client(&mary);
    let page = world.call(Method::DELETE, &own, &client, None).await;
    assert_words(&page, 400, "only way");
    let page = patch(world, &client, &own, json!({ "allow_sign_in": false })).await;
    assert_words(&page, 400, "only way");
    // A second link that does not sign in is no other way.
    let mut second = link(&user_id(&mary), "google", "second");
    second["allow_sign_in"] = json!(false);
    let second = create(world, second).await.json();
    let page = world.call(Method::DELETE, &own, &client, None).await;
    assert_words(&page, 400, "only way");
    let path = format!("/oauth-providers/me/{}", second["id"].as_str().unwrap());
    let page = world.call(Method::DELETE, &path, &client, None).await;
    assert_eq!(page.json(), json!({ "success": true }));
    // The project's server may; the person is somebody new to the provider then.
    let page = world
        .call(Method::DELETE, &own, &World::server(), Some(json!({})))
        .await;
    assert_eq!(page.json(), json!({ "success": true }));
    assert_eq!(list(world, &mary).await, Vec::<Value>::new());
    let answer = world.answer("mary", &[]).await.answer();
    assert!(answer.contains_key("code") || answer.contains_key("errorCode"));
}

async fn a_link_that_is_gone_is_not_found(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let own = only_link(world, &mary).await;
    world
        .call(Method::DELETE, &own, &World::server(), None)
        .await;
    for method in [Method::GET, Method::PATCH, Method::DELETE] {
        let page = world.call(method, &own, &World::client(&mary), None).await;
        assert_words(&page, 404, "no link");
    }
    let page = world
        .call(
            Method::GET,
            "/oauth-providers/me/x",
            &World::client(&mary),
            None,
        )
        .await;
    assert_words(&page, 404, "no link");
}

async fn of_two_ways_in_one_may_go(settings: &[(String, String)]) {
    let upstream = Upstream::start().await;
    let providers = ["google", "other"].map(|id| upstream.server.installation_provider(id));
    World::run_with(
        settings,
        &project_of(&providers.join("\n"), ""),
        &upstream,
        async |world| {
            let mary = world.sign_in("mary").await;
            let own = only_link(world, &mary).await;
            let page = create(world, link(&user_id(&mary), "other", "elsewhere")).await;
            assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
            let client = World::client(&mary);
            let page = world.call(Method::DELETE, &own, &client, None).await;
            assert_eq!(page.json(), json!({ "success": true }));
            // Now the other one is the last.
            let last = only_link(world, &mary).await;
            let page = world.call(Method::DELETE, &last, &client, None).await;
            assert_words(&page, 400, "only way");
        },
    )
    .await;
}

async fn one_account_of_a_provider_signs_in(settings: &[(String, String)]) {
    World::run(settings, "", async |world| {
        let mary = world.sign_in("mary").await;
        let id = user_id(&mary);
        assert_words(
            &create(world, link(&id, "google", "second")).await,
            400,
            "another account",
        );
        let mut second = link(&id, "google", "second");
        second["allow_sign_in"] = json!(false);
        let second = create(world, second).await.json();
        let path = format!("/oauth-providers/{id}/{}", second["id"].as_str().unwrap());
        for headers in [World::client(&mary), World::server()] {
            let page = patch(world, &headers, &path, json!({ "allow_sign_in": true })).await;
            assert_words(&page, 400, "another account");
        }
    })
    .await;
}
