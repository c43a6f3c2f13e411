//! What a command line never fetches leaves no session behind, and opens nothing once the person was signed out.

use super::{assert_status, complete, poll, start};
use crate::support::project::{World, in_both_worlds};
use crate::support::project_links::user_id;
use http::{Method, StatusCode};
use serde_json::json;

in_both_worlds! {
    an_attempt_that_is_never_fetched_leaves_no_session,
    a_person_who_signed_out_meanwhile_lets_nobody_in,
    a_password_that_changed_meanwhile_lets_nobody_in,
    a_session_of_a_command_line_outlives_the_one_that_let_it_in,
}

async fn an_attempt_that_is_never_fetched_leaves_no_session(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let before = world.rows().await;
    let attempt = start(world, json!({ "expires_in_millis": 60_000 })).await;
    let page = complete(world, &attempt, &mary).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert_eq!(world.rows().await, before);
    world.app.server.advance(60);
    assert_status(&poll(world, &attempt).await, "expired");
    assert_eq!(world.rows().await, before);
    let list = "/auth/sessions?user_id=me";
    let page = world
        .call(Method::GET, list, &World::client(&mary), None)
        .await;
    assert_eq!(page.json()["items"].as_array().unwrap().len(), 1);
}

async fn a_person_who_signed_out_meanwhile_lets_nobody_in(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let attempt = start(world, json!({})).await;
    let page = complete(world, &attempt, &mary).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let current = "/auth/sessions/current";
    let page = world
        .call(Method::DELETE, current, &World::client(&mary), None)
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let before = world.rows().await;
    assert_status(&poll(world, &attempt).await, "expired");
    assert_eq!(world.rows().await, before);
}

async fn a_password_that_changed_meanwhile_lets_nobody_in(world: &World<'_>) {
    for body in [
        json!({ "password": "another horse battery staple" }),
        json!({ "password": null }),
    ] {
        let mary = world.sign_in("mary").await;
        let attempt = start(world, json!({})).await;
        let page = complete(world, &attempt, &mary).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let path = format!("/users/{}", user_id(&mary));
        let page = world
            .call(Method::PATCH, &path, &World::server(), Some(body))
            .await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let before = world.rows().await;
        assert_status(&poll(world, &attempt).await, "expired");
        assert_eq!(world.rows().await, before);
    }
}

async fn a_session_of_a_command_line_outlives_the_one_that_let_it_in(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let attempt = start(world, json!({})).await;
    complete(world, &attempt, &mary).await;
    let page = poll(world, &attempt).await;
    assert_eq!(page.status, StatusCode::CREATED, "{}", page.body);
    let token = page.json()["refresh_token"].as_str().unwrap().to_owned();
    let current = "/auth/sessions/current";
    world
        .call(Method::DELETE, current, &World::client(&mary), None)
        .await;
    let page = world.refresh(&token).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
}
