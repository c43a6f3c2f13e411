//! `/auth/sessions…`: who is signed in where, and ending that.

use super::answers::{
    NOBODY, as_client, as_server, by_server, good, id_of, in_words, known, schema, session_of,
};
use crate::support::app::START;
use crate::support::browser::Page;
use crate::support::project::{FAMILIES, World, in_both_worlds};
use crate::support::relying_party::{RelyingParty, decode};
use http::Method;
use serde_json::{Value, json};

in_both_worlds! {
    a_person_sees_their_sessions_and_which_is_this_one,
    a_session_in_use_stays_on_the_list_however_long_it_was_idle,
    t62_a_client_sees_its_own_person_s_sessions_only,
    another_session_is_ended_with_what_came_of_it,
    what_may_not_be_ended_is_not,
    signing_out_ends_the_session_and_every_token_of_it,
    signing_out_ends_offline_access_too,
    another_access_token_is_had_for_the_refresh_token,
    a_refresh_token_that_is_none_of_the_project_s_gets_nothing,
    a_server_signs_somebody_in,
    a_session_s_tokens_do_not_outlive_it,
    t15_offline_access_does_not_outlive_a_session_of_the_project,
    what_a_server_may_not_ask_for_is_named,
}

async fn list(world: &World<'_>, tokens: &Value, whom: &str) -> Page {
    let path = format!("/auth/sessions?user_id={whom}");
    world
        .call(Method::GET, &path, &as_client(tokens), None)
        .await
}

async fn end(world: &World<'_>, tokens: &Value, id: &str) -> Page {
    let path = format!("/auth/sessions/{id}");
    world
        .call(Method::DELETE, &path, &as_client(tokens), None)
        .await
}

async fn refresh(world: &World<'_>, token: &str) -> Page {
    let headers = [&NOBODY[..], &[("refresh-token", token)]].concat();
    world
        .call(
            Method::POST,
            "/auth/sessions/current/refresh",
            &headers,
            None,
        )
        .await
}

fn session_id(tokens: &Value) -> String {
    let (_, claims) = decode(tokens["access_token"].as_str().unwrap());
    claims["refresh_token_id"].as_str().unwrap().to_owned()
}

fn refresh_token(tokens: &Value) -> &str {
    tokens["refresh_token"].as_str().unwrap()
}

/// Both kinds of token are worth nothing.
async fn is_over(world: &World<'_>, tokens: &Value) {
    let page = list(world, tokens, "me").await;
    known(&page, 401, "ACCESS_TOKEN_EXPIRED");
    let page = refresh(world, refresh_token(tokens)).await;
    known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
    let page = world.refresh(refresh_token(tokens)).await;
    known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
}

async fn stands(world: &World<'_>, tokens: &Value) {
    good(&list(world, tokens, "me").await, 200);
    good(&refresh(world, refresh_token(tokens)).await, 200);
}

async fn a_person_sees_their_sessions_and_which_is_this_one(world: &World<'_>) {
    let first = world.sign_in("mary").await;
    world.app.server.advance(60);
    let second = world.sign_in("mary").await;
    let (_, claims) = decode(second["access_token"].as_str().unwrap());
    let item = |tokens: &Value, at: u64, current: bool| {
        json!({
            "id": session_id(tokens), "user_id": claims["sub"], "created_at": at * 1000, "last_used_at": at * 1000,
            "is_impersonation": false, "is_current_session": current, "last_used_at_end_user_ip_info": null,
        })
    };
    let expected = json!({
        "items": [item(&second, START + 60, true), item(&first, START, false)],
        "is_paginated": false,
    });
    let own = claims["sub"].as_str().unwrap();
    for whom in ["me", own] {
        assert_eq!(good(&list(world, &second, whom).await, 200), expected);
    }
    let headers = as_client(&second);
    let page = world
        .call_in(
            FAMILIES[1],
            Method::GET,
            "/auth/sessions?user_id=me",
            &headers,
            None,
        )
        .await;
    assert_eq!(good(&page, 200), expected);
    // A server sees anybody's, and none of them is its own.
    let page = by_server(
        world,
        Method::GET,
        &format!("/auth/sessions?user_id={own}"),
        None,
    )
    .await;
    let items = good(&page, 200)["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 2);
    assert_eq!(items[0]["is_current_session"], false);
    // Using it says so.
    world.app.server.advance(120);
    good(&refresh(world, refresh_token(&first)).await, 200);
    let items = good(&list(world, &second, "me").await, 200)["items"].clone();
    assert_eq!(items[1]["last_used_at"], (START + 180) * 1000);
    assert_eq!(items[1]["created_at"], START * 1000);
}

async fn a_session_in_use_stays_on_the_list_however_long_it_was_idle(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    world.app.server.advance(40 * 86_400);
    let page = refresh(world, refresh_token(&tokens)).await;
    let fresh = good(&page, 200);
    world.app.server.advance(9 * 60);
    let items = good(&list(world, &fresh, "me").await, 200)["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 1);
    let later = world.sign_in("mary").await;
    world.app.server.advance(300 * 86_400);
    let fresh = good(&refresh(world, refresh_token(&later)).await, 200);
    let items = good(&list(world, &fresh, "me").await, 200)["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 2);
    // A year after it began, a session is over, used or not.
    world.app.server.advance(26 * 86_400);
    is_over(world, &tokens).await;
}

async fn t62_a_client_sees_its_own_person_s_sessions_only(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    let bob = id_of(world, "bob").await;
    for whom in [bob.as_str(), "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a02", "bob"] {
        in_words(&list(world, &tokens, whom).await, 403);
    }
    let page = world
        .call(Method::GET, "/auth/sessions", &as_client(&tokens), None)
        .await;
    schema(&page, &["query.user_id"]);
    let page = world
        .call(Method::GET, "/auth/sessions?user_id=me", &NOBODY, None)
        .await;
    known(&page, 400, "CANNOT_GET_OWN_USER_WITHOUT_USER");
    let page = by_server(world, Method::GET, "/auth/sessions?user_id=me", None).await;
    known(&page, 400, "CANNOT_GET_OWN_USER_WITHOUT_USER");
    for whom in ["6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a02", "bob", "%00"] {
        let path = format!("/auth/sessions?user_id={whom}");
        let page = by_server(world, Method::GET, &path, None).await;
        if whom == "%00" {
            schema(&page, &["query"]);
        } else {
            known(&page, 404, "USER_NOT_FOUND");
        }
    }
}

async fn another_session_is_ended_with_what_came_of_it(world: &World<'_>) {
    let (one, other) = (world.sign_in("mary").await, world.sign_in("mary").await);
    let path = format!("/auth/sessions/{}?user_id=me", session_id(&other));
    let page = world
        .call(Method::DELETE, &path, &as_client(&one), None)
        .await;
    assert_eq!(good(&page, 200), json!({ "success": true }));
    is_over(world, &other).await;
    stands(world, &one).await;
    let items = good(&list(world, &one, "me").await, 200)["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 1);
    // It is over: there is nothing to end again.
    in_words(&end(world, &one, &session_id(&other)).await, 404);
    // A server ends anybody's.
    let path = format!("/auth/sessions/{}", session_id(&one));
    let page = by_server(world, Method::DELETE, &path, None).await;
    good(&page, 200);
    is_over(world, &one).await;
    in_words(&by_server(world, Method::DELETE, &path, None).await, 404);
}

async fn what_may_not_be_ended_is_not(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let emmy = world.sign_in("emmy").await;
    known(
        &end(world, &mary, &session_id(&mary)).await,
        400,
        "CANNOT_DELETE_CURRENT_SESSION",
    );
    // A server that acts for somebody does not end what it acts with either.
    let path = format!("/auth/sessions/{}", session_id(&mary));
    let page = world
        .call(Method::DELETE, &path, &as_server(&mary), None)
        .await;
    known(&page, 400, "CANNOT_DELETE_CURRENT_SESSION");
    let unknown = "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a02".to_owned();
    for id in [
        session_id(&emmy),
        unknown,
        "x".to_owned(),
        "CURRENT".to_owned(),
    ] {
        in_words(&end(world, &mary, &id).await, 404);
    }
    let page = world.call(Method::DELETE, &path, &NOBODY, None).await;
    known(&page, 401, "USER_AUTHENTICATION_REQUIRED");
    // The seed's status for a text that an SDK asked to hear as 200.
    let headers = [as_client(&mary), vec![("override-error-status", "true")]].concat();
    let page = world
        .call(Method::DELETE, "/auth/sessions/x", &headers, None)
        .await;
    in_words(&page, 200);
    assert_eq!(page.header("x-stack-actual-status"), "404");
    stands(world, &mary).await;
    stands(world, &emmy).await;
}

async fn signing_out_ends_the_session_and_every_token_of_it(world: &World<'_>) {
    const PATH: &str = "/auth/sessions/current";
    let (one, other) = (world.sign_in("mary").await, world.sign_in("mary").await);
    let fresh = good(&refresh(world, refresh_token(&one)).await, 200);
    let page = world
        .call(Method::DELETE, PATH, &as_client(&one), Some(json!({})))
        .await;
    assert_eq!(good(&page, 200), json!({ "success": true }));
    is_over(world, &one).await;
    known(
        &list(world, &fresh, "me").await,
        401,
        "ACCESS_TOKEN_EXPIRED",
    );
    stands(world, &other).await;
    let page = world
        .call(Method::DELETE, PATH, &as_client(&one), None)
        .await;
    known(&page, 401, "ACCESS_TOKEN_EXPIRED");
    // The SDK then forgets its tokens and goes on without: for it that is success.
    let page = world
        .call(Method::DELETE, PATH, &NOBODY, Some(json!({})))
        .await;
    known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
}

async fn signing_out_ends_offline_access_too(world: &World<'_>) {
    for ending in ["current", "by id"] {
        let scope = [("scope", "openid offline_access")];
        let mut answer = world.answer("mary", &scope).await.answer();
        let tokens = good_tokens(&world.redeem(&answer.remove("code").unwrap()).await);
        let page = if ending == "current" {
            world
                .call(
                    Method::DELETE,
                    "/auth/sessions/current",
                    &as_client(&tokens),
                    None,
                )
                .await
        } else {
            let path = format!("/auth/sessions/{}", session_id(&tokens));
            by_server(world, Method::DELETE, &path, None).await
        };
        good(&page, 200);
        is_over(world, &tokens).await;
    }
}

#[track_caller]
fn good_tokens(page: &Page) -> Value {
    assert_eq!(page.status, 200, "{}", page.body);
    page.json()
}

async fn another_access_token_is_had_for_the_refresh_token(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    world.app.server.advance(5 * 60);
    for family in FAMILIES {
        let headers = [&NOBODY[..], &[("refresh-token", refresh_token(&tokens))]].concat();
        let page = world
            .call_in(
                family,
                Method::POST,
                "/auth/sessions/current/refresh",
                &headers,
                None,
            )
            .await;
        let answer = good(&page, 200);
        assert_eq!(answer.as_object().unwrap().len(), 1);
        let (_, claims) = decode(answer["access_token"].as_str().unwrap());
        assert_eq!(claims["refresh_token_id"], session_id(&tokens));
        assert_eq!(claims["exp"], START + 15 * 60);
        good(&list(world, &answer, "me").await, 200);
    }
}

async fn a_refresh_token_that_is_none_of_the_project_s_gets_nothing(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    let standard = RelyingParty::web().tokens(world.app, "bob").await;
    let changed = format!("{}A", refresh_token(&tokens));
    let table = [
        "",
        "x",
        &changed,
        tokens["access_token"].as_str().unwrap(),
        standard["refresh_token"].as_str().unwrap(),
    ];
    for token in table {
        let page = refresh(world, token).await;
        known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
    }
    let headers = [("refresh-token", refresh_token(&tokens))];
    let page = world
        .call(
            Method::POST,
            "/auth/sessions/current/refresh",
            &headers,
            None,
        )
        .await;
    known(&page, 400, "ACCESS_TYPE_REQUIRED");
    stands(world, &tokens).await;
}

async fn a_server_signs_somebody_in(world: &World<'_>) {
    let bob = id_of(world, "bob").await;
    for family in FAMILIES {
        let page = world
            .call_in(
                family,
                Method::POST,
                "/auth/sessions",
                &World::server(),
                Some(json!({ "user_id": bob, "expires_in_millis": 31_536_000_000_u64, "is_impersonation": false })),
            )
            .await;
        let tokens = good(&page, 200);
        assert_eq!(tokens.as_object().unwrap().len(), 2);
        let (_, claims) = decode(tokens["access_token"].as_str().unwrap());
        assert_eq!(
            (&claims["sub"], &claims["exp"]),
            (&json!(bob), &json!(START + 600))
        );
        stands(world, &tokens).await;
    }
    // The SDK's own path to another access token works as well.
    let tokens = session_of(world, &bob).await;
    assert_eq!(world.refresh(refresh_token(&tokens)).await.status, 200);
    let items = good(&list(world, &tokens, "me").await, 200)["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), 3);
}

async fn a_session_s_tokens_do_not_outlive_it(world: &World<'_>) {
    let bob = id_of(world, "bob").await;
    for (millis, seconds) in [(240_000, 240), (239_001, 240), (1, 1)] {
        let body = json!({ "user_id": bob, "expires_in_millis": millis });
        let page = by_server(world, Method::POST, "/auth/sessions", Some(body)).await;
        let tokens = good(&page, 200);
        let (_, claims) = decode(tokens["access_token"].as_str().unwrap());
        let start = world.app.server.now();
        assert_eq!(claims["exp"], start + seconds);
        if seconds > 1 {
            world.app.server.advance(seconds - 60);
            let page = world.refresh(refresh_token(&tokens)).await;
            let refreshed = good_tokens(&page);
            assert_eq!(refreshed["expires_in"], 60);
            let (_, claims) = decode(refreshed["access_token"].as_str().unwrap());
            assert_eq!(claims["exp"], start + seconds);
            world.app.server.advance(60);
        } else {
            world.app.server.advance(1);
        }
        is_over(world, &tokens).await;
    }
}

async fn t15_offline_access_does_not_outlive_a_session_of_the_project(world: &World<'_>) {
    let scope = [("scope", "openid offline_access")];
    let mut answer = world.answer("mary", &scope).await.answer();
    // The session began with the code, so the token that comes a little later has a little less than its year.
    world.app.server.advance(200);
    let tokens = good_tokens(&world.redeem(&answer.remove("code").unwrap()).await);
    world.app.server.advance(365 * 86_400 - 201);
    let page = world.refresh(refresh_token(&tokens)).await;
    assert_eq!(good_tokens(&page)["expires_in"], 1);
    world.app.server.advance(1);
    is_over(world, &tokens).await;
}

async fn what_a_server_may_not_ask_for_is_named(world: &World<'_>) {
    const PATH: &str = "/auth/sessions";
    let bob = id_of(world, "bob").await;
    let mary = world.sign_in("mary").await;
    let body = json!({ "user_id": bob });
    let page = world
        .call(Method::POST, PATH, &as_client(&mary), Some(body.clone()))
        .await;
    let error = known(&page, 401, "INSUFFICIENT_ACCESS_TYPE");
    assert_eq!(
        error["details"],
        json!({ "actual_access_type": "client", "allowed_access_types": ["server", "admin"] })
    );
    for body in [
        json!({}),
        json!({ "user_id": null }),
        json!({ "user_id": 7 }),
    ] {
        schema(
            &by_server(world, Method::POST, PATH, Some(body)).await,
            &["body.user_id"],
        );
    }
    for millis in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!("60000"),
        json!(null),
        json!(31_536_000_001_u64),
    ] {
        let body = json!({ "user_id": bob, "expires_in_millis": millis });
        let page = by_server(world, Method::POST, PATH, Some(body)).await;
        schema(&page, &["body.expires_in_millis"]);
    }
    let body =
        json!({ "user_id": bob, "is_impersonation": true, "colour": 1, "expires_in_millis": 0 });
    let page = by_server(world, Method::POST, PATH, Some(body)).await;
    schema(
        &page,
        &[
            "body.is_impersonation",
            "body.colour",
            "body.expires_in_millis",
            "POST /api/v1/auth/sessions",
        ],
    );
    let globex = world
        .app
        .server
        .perform(json!({ "action": "user_show", "tenant": "globex", "user": "ada" }))
        .await
        .unwrap();
    for id in [
        "me",
        "bob",
        "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a02",
        globex["id"].as_str().unwrap(),
    ] {
        let page = by_server(world, Method::POST, PATH, Some(json!({ "user_id": id }))).await;
        let error = known(&page, 400, "USER_ID_DOES_NOT_EXIST");
        assert_eq!(error["details"], json!({ "user_id": id }));
    }
    let carol = id_of(world, "carol").await;
    let page = by_server(world, Method::POST, PATH, Some(json!({ "user_id": carol }))).await;
    in_words(&page, 403);
    for (kind, body) in [
        ("text/plain", "{}"),
        ("application/json", "[]"),
        ("application/json", "{"),
    ] {
        let headers = [
            (
                "x-stack-project-id",
                crate::support::installation::TENANT_ID,
            ),
            ("x-stack-access-type", "server"),
            (
                "x-stack-secret-server-key",
                crate::support::project::SECRET_KEY,
            ),
            ("content-type", kind),
        ];
        let page = world
            .browser()
            .send(Method::POST, "/api/v1/auth/sessions", &headers, body)
            .await;
        known(&page, 400, "BODY_PARSING_ERROR");
    }
}
