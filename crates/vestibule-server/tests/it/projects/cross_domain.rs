//! `POST /auth/oauth/cross-domain/authorize` of the project API: a session is handed to an app on another origin.

use super::answers::{by_server, good, id_of};
use crate::support::browser::Page;
use crate::support::project::{World, in_both_worlds};
use crate::support::project_links::{assert_known, assert_words, claims, user_id};
use crate::support::relying_party::{CHALLENGE, VERIFIER};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use url::Url;

in_both_worlds! {
    the_other_app_gets_the_same_session_by_a_code_that_works_once,
    the_redirect_uri_keeps_what_the_app_put_there,
    both_tokens_of_one_session_are_needed,
    t01_a_code_goes_to_trusted_addresses_only,
    a_body_that_is_not_understood_is_refused,
    a_code_needs_its_verifier_and_its_redirect_uri,
    a_session_that_was_ended_is_handed_to_nobody,
    t15_what_a_session_was_handed_to_ends_when_its_time_is_up,
    t15_what_a_session_was_handed_to_is_on_the_list_and_ends_with_it,
}

const PATH: &str = "/auth/oauth/cross-domain/authorize";
const ELSEWHERE: &str = "https://pr-1.preview.acme.test/handler/oauth-callback?marker=1";

fn body() -> Value {
    json!({
        "redirect_uri": ELSEWHERE, "state": "s t&", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
        "after_callback_redirect_url": "https://pr-1.preview.acme.test/deep?x=1",
    })
}

async fn ask(world: &World<'_>, tokens: &Value, body: Value) -> Page {
    world
        .call(Method::POST, PATH, &World::client(tokens), Some(body))
        .await
}

/// The redirect URI as the SDK at the other end knows it, and the answer.
fn arrive(page: &Page) -> (String, BTreeMap<String, String>) {
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let json = page.json();
    let mut url = Url::parse(json["redirect_url"].as_str().unwrap()).unwrap();
    let all: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .into_owned()
        .filter(|(name, _)| name != "code" && name != "state")
        .collect();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    (url.into(), all)
}

async fn redeem(world: &World<'_>, code: &str, redirect_uri: &str, verifier: &str) -> Page {
    world
        .token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ])
        .await
}

async fn the_other_app_gets_the_same_session_by_a_code_that_works_once(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let (redirect_uri, answer) = arrive(&ask(world, &mary, body()).await);
    assert_eq!(answer["state"], "s t&");
    // An `iss` would stay in the address, and the SDK would redeem with it.
    assert_eq!(
        answer.keys().collect::<Vec<_>>(),
        ["code", "marker", "state"]
    );
    assert_eq!(redirect_uri, ELSEWHERE);
    let page = redeem(world, &answer["code"], &redirect_uri, VERIFIER).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let tokens = page.json();
    assert_eq!(
        claims(&tokens)["refresh_token_id"],
        claims(&mary)["refresh_token_id"]
    );
    assert_eq!(claims(&tokens)["sub"], claims(&mary)["sub"]);
    assert_eq!(tokens["is_new_user"], false);
    assert_eq!(
        tokens["after_callback_redirect_url"],
        "https://pr-1.preview.acme.test/deep?x=1"
    );
    assert_ne!(tokens["refresh_token"], mary["refresh_token"]);
    let page = redeem(world, &answer["code"], &redirect_uri, VERIFIER).await;
    assert_known(&page, 400, "INVALID_AUTHORIZATION_CODE");
}

async fn the_redirect_uri_keeps_what_the_app_put_there(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    for sent in [
        "https://app.acme.test",
        "https://app.acme.test/?code=old&state=old&a=1%202",
        "https://app.acme.test/cb#fragment",
    ] {
        let mut body = body();
        body["redirect_uri"] = json!(sent);
        body.as_object_mut()
            .unwrap()
            .remove("after_callback_redirect_url");
        body.as_object_mut()
            .unwrap()
            .remove("code_challenge_method");
        let (redirect_uri, answer) = arrive(&ask(world, &mary, body).await);
        let page = redeem(world, &answer["code"], &redirect_uri, VERIFIER).await;
        assert_eq!(
            page.status,
            StatusCode::OK,
            "{sent} {redirect_uri} {}",
            page.body
        );
        assert_eq!(page.json().get("after_callback_redirect_url"), None);
    }
}

async fn both_tokens_of_one_session_are_needed(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let again = world.sign_in("mary").await;
    let without = |name: &str| {
        let mut headers = World::client(&mary);
        headers.retain(|(known, _)| *known != name);
        headers
    };
    let with = |token: &'static str| {
        let mut headers = without("refresh-token");
        headers.push(("refresh-token", token));
        headers
    };
    let ask = async |headers: &[(&str, &str)]| {
        world.call(Method::POST, PATH, headers, Some(body())).await
    };
    assert_known(
        &ask(&without("access-token")).await,
        401,
        "USER_AUTHENTICATION_REQUIRED",
    );
    let code = "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED";
    assert_known(&ask(&without("refresh-token")).await, 401, code);
    assert_known(&ask(&with("x")).await, 401, code);
    let mut mixed = without("refresh-token");
    mixed.push(("refresh-token", again["refresh_token"].as_str().unwrap()));
    assert_words(&ask(&mixed).await, 400, "same session");
    assert_known(&ask(&[]).await, 400, "ACCESS_TYPE_REQUIRED");
}

async fn t01_a_code_goes_to_trusted_addresses_only(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    for name in ["redirect_uri", "after_callback_redirect_url"] {
        for address in [
            "https://evil.test/cb",
            "https://app.acme.test.evil.test/cb",
            "https://app.acme.test@evil.test/cb",
            "http://app.acme.test/cb",
            "https://app.acme.test:8443/cb",
            "https://a.b.preview.acme.test/cb",
            "javascript:alert(1)",
            "http://localhost:3000/cb",
        ] {
            let mut body = body();
            body[name] = json!(address);
            let page = ask(world, &mary, body).await;
            assert_known(&page, 400, "REDIRECT_URL_NOT_WHITELISTED");
        }
    }
}

async fn a_body_that_is_not_understood_is_refused(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let (long, short) = ("s".repeat(513), "c".repeat(42));
    for (name, value) in [
        ("redirect_uri", Value::Null),
        ("redirect_uri", json!("/cb")),
        ("redirect_uri", json!(1)),
        ("after_callback_redirect_url", json!("/deep")),
        ("state", Value::Null),
        ("state", json!("")),
        ("state", json!(long)),
        ("code_challenge", Value::Null),
        ("code_challenge", json!(short)),
        ("code_challenge", json!("c".repeat(129))),
        ("code_challenge", json!(format!("{}!", "c".repeat(42)))),
        ("code_challenge_method", json!("plain")),
        ("code_challenge_method", json!("s256")),
        ("color", json!("red")),
    ] {
        let mut body = body();
        body[name] = value.clone();
        let page = ask(world, &mary, body).await;
        assert_known(&page, 400, "SCHEMA_ERROR");
        let message = page.json()["details"]["message"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(
            message.contains(&format!("body.{name} ")),
            "{name} {value}: {message}"
        );
    }
}

async fn a_code_needs_its_verifier_and_its_redirect_uri(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let other = VERIFIER.replace('d', "e");
    for (redirect_uri, verifier) in [
        (ELSEWHERE, other.as_str()),
        (ELSEWHERE, ""),
        (
            "https://pr-1.preview.acme.test/handler/oauth-callback",
            VERIFIER,
        ),
        ("", VERIFIER),
    ] {
        let (_, answer) = arrive(&ask(world, &mary, body()).await);
        let page = redeem(world, &answer["code"], redirect_uri, verifier).await;
        assert_known(&page, 400, "INVALID_AUTHORIZATION_CODE");
    }
}

async fn a_session_that_was_ended_is_handed_to_nobody(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let (redirect_uri, answer) = arrive(&ask(world, &mary, body()).await);
    let user = claims(&mary)["sub"].clone();
    let action = json!({ "action": "user_disable", "tenant": "default", "user": user });
    world.app.server.perform(action).await.unwrap();
    let page = redeem(world, &answer["code"], &redirect_uri, VERIFIER).await;
    assert_known(&page, 400, "INVALID_AUTHORIZATION_CODE");
    assert_known(
        &ask(world, &mary, body()).await,
        401,
        "ACCESS_TOKEN_EXPIRED",
    );
}

/// A session that a server made, for so many seconds.
async fn short(world: &World<'_>, seconds: u64) -> Value {
    let bob = id_of(world, "bob").await;
    let body = json!({ "user_id": bob, "expires_in_millis": seconds * 1000 });
    let page = by_server(world, Method::POST, "/auth/sessions", Some(body)).await;
    good(&page, 200)
}

async fn t15_what_a_session_was_handed_to_ends_when_its_time_is_up(world: &World<'_>) {
    let tokens = short(world, 60).await;
    let (redirect_uri, answer) = arrive(&ask(world, &tokens, body()).await);
    let (_, late) = arrive(&ask(world, &tokens, body()).await);
    world.app.server.advance(50);
    let page = redeem(world, &answer["code"], &redirect_uri, VERIFIER).await;
    let handed = good(&page, 200);
    assert_eq!(handed["expires_in"], 10);
    assert_eq!(claims(&handed)["exp"], claims(&tokens)["exp"]);
    world.app.server.advance(10);
    // The code itself would live for five minutes.
    let page = redeem(world, &late["code"], &redirect_uri, VERIFIER).await;
    assert_known(&page, 400, "INVALID_AUTHORIZATION_CODE");
    for tokens in [&tokens, &handed] {
        let page = world
            .refresh(tokens["refresh_token"].as_str().unwrap())
            .await;
        assert_known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
        let page = ask(world, tokens, body()).await;
        assert_known(&page, 401, "ACCESS_TOKEN_EXPIRED");
    }
}

async fn t15_what_a_session_was_handed_to_is_on_the_list_and_ends_with_it(world: &World<'_>) {
    let tokens = short(world, 3600).await;
    let (redirect_uri, answer) = arrive(&ask(world, &tokens, body()).await);
    let page = redeem(world, &answer["code"], &redirect_uri, VERIFIER).await;
    let handed = good(&page, 200);
    let path = format!("/auth/sessions?user_id={}", user_id(&tokens));
    let listed = good(&by_server(world, Method::GET, &path, None).await, 200);
    let id = claims(&handed)["refresh_token_id"].clone();
    assert_eq!(listed["items"][0]["id"], id);
    let path = format!("/auth/sessions/{}", id.as_str().unwrap());
    good(&by_server(world, Method::DELETE, &path, None).await, 200);
    for tokens in [&tokens, &handed] {
        let page = world
            .refresh(tokens["refresh_token"].as_str().unwrap())
            .await;
        assert_known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
    }
}
