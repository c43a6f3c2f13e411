//! `/connected-accounts` of the project API: the providers' tokens, for apps.

mod renewal;

use crate::support::app::{App, START, from_settings_on_both_engines};
use crate::support::browser::Page;
use crate::support::project::{World, in_both_worlds, project_of};
use crate::support::project_links::{assert_known, assert_words, user_id};
use crate::support::upstream::Upstream;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use vestibule_server::testing::MockOptions;

in_both_worlds! {
    a_person_sees_their_own_accounts,
    an_app_in_a_browser_asks_about_its_own_person_only,
    an_app_gets_a_token_that_the_provider_takes,
    what_is_not_connected_or_not_granted_gives_no_token,
    a_body_that_is_not_understood_is_refused,
    a_refused_refresh_asks_the_person_to_connect_again,
    what_is_left_of_a_token_is_given_when_it_cannot_be_renewed,
    a_provider_that_fails_is_not_the_person_s_fault,
}

from_settings_on_both_engines! {
    t51_a_slow_provider_is_not_waited_for,
    t47_a_rotating_refresh_token_is_used_once_though_ten_ask,
    a_token_that_the_provider_revoked_is_renewed,
    accounts_of_a_provider_that_is_not_for_apps_are_none,
    a_provider_without_refresh_tokens_gives_what_it_gave,
}

const ACCESS_TOKEN: &str = "/connected-accounts/me/google/access-token";
/// Not long before the provider's token ends, and after.
const FEW_MINUTES_LEFT: u64 = 56 * 60;
const OVER: u64 = 61 * 60;

/// Asks as the project's server, whose keys outlive the person's access token.
async fn ask_for(world: &World<'_>, user: &str) -> Page {
    let path = format!("/connected-accounts/{user}/google/access-token");
    world
        .call(
            Method::POST,
            &path,
            &World::server(),
            Some(json!({ "scope": "" })),
        )
        .await
}

fn token(page: &Page) -> String {
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    page.json()["access_token"].as_str().unwrap().to_owned()
}

/// Whose token it is, as the provider says.
async fn subject(upstream: &Upstream, token: &str) -> Option<String> {
    let request = Request::get("/userinfo").header("authorization", format!("Bearer {token}"));
    let answer = upstream
        .server
        .visit(request.body(Bytes::new()).unwrap())
        .await;
    let about: Value = serde_json::from_slice(answer.body()).ok()?;
    Some(about["sub"].as_str()?.to_owned())
}

fn refreshes(upstream: &Upstream) -> usize {
    let seen = upstream.seen("/token");
    seen.iter()
        .filter(|request| request.field("grant_type") == Some("refresh_token"))
        .count()
}

async fn a_person_sees_their_own_accounts(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let id = user_id(&mary);
    let expected = json!({
        "items": [{ "user_id": id, "provider": "google", "provider_account_id": "mock-1780" }],
        "is_paginated": false,
    });
    for (path, headers) in [
        ("/connected-accounts/me".to_owned(), World::client(&mary)),
        (format!("/connected-accounts/{id}"), World::client(&mary)),
        (format!("/connected-accounts/{id}"), World::server()),
        (format!("/connected-accounts/{id}"), World::admin()),
    ] {
        let page = world.call(Method::GET, &path, &headers, None).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        assert_eq!(page.json(), expected, "{path}");
    }
}

async fn an_app_in_a_browser_asks_about_its_own_person_only(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let emmy = user_id(&world.sign_in("emmy").await);
    let nobody: Vec<_> = World::client(&mary)
        .into_iter()
        .filter(|(name, _)| !name.ends_with("-token"))
        .collect();
    let missing = "6f1c1f3e-6b0e-7b7e-9a50-0c1f5d1f7a09";
    for (method, rest) in [
        (Method::GET, String::new()),
        (Method::POST, "/google/access-token".to_owned()),
        (Method::POST, "/google/mock-1780/access-token".to_owned()),
    ] {
        let ask = async |user: &str, headers: &[(&str, &str)]| {
            let path = format!("/connected-accounts/{user}{rest}");
            world.call(method.clone(), &path, headers, None).await
        };
        let client = World::client(&mary);
        assert_words(&ask(&emmy, &client).await, 403, "client");
        assert_words(&ask(missing, &client).await, 403, "client");
        assert_words(&ask("x", &client).await, 403, "client");
        assert_known(
            &ask("me", &nobody).await,
            400,
            "CANNOT_GET_OWN_USER_WITHOUT_USER",
        );
        assert_known(
            &ask(&emmy, &nobody).await,
            401,
            "USER_AUTHENTICATION_REQUIRED",
        );
        assert_known(
            &ask("me", &World::server()).await,
            400,
            "CANNOT_GET_OWN_USER_WITHOUT_USER",
        );
        assert_known(&ask(missing, &World::server()).await, 404, "USER_NOT_FOUND");
        assert_known(&ask("x", &World::server()).await, 404, "USER_NOT_FOUND");
        assert_known(&ask("me", &[]).await, 400, "ACCESS_TYPE_REQUIRED");
    }
}

async fn an_app_gets_a_token_that_the_provider_takes(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let headers = World::client(&mary);
    for (path, body) in [
        (ACCESS_TOKEN, Some(json!({ "scope": "" }))),
        (ACCESS_TOKEN, Some(json!({ "scope": "openid email" }))),
        (ACCESS_TOKEN, Some(json!({ "scope": null }))),
        (ACCESS_TOKEN, Some(json!({}))),
        (ACCESS_TOKEN, None),
        ("/connected-accounts/me/google/mock-1780/access-token", None),
        (
            "/connected-accounts/me/google/mock%2D1780/access-token",
            None,
        ),
    ] {
        let page = world.call(Method::POST, path, &headers, body).await;
        let token = token(&page);
        assert_eq!(
            subject(world.upstream, &token).await.as_deref(),
            Some("mock-1780"),
            "{path}"
        );
        assert_eq!(page.header("cache-control"), "no-store, max-age=0");
    }
    assert_eq!(refreshes(world.upstream), 0);
}

async fn what_is_not_connected_or_not_granted_gives_no_token(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    world.sign_in("emmy").await;
    let headers = World::client(&mary);
    let table = [
        (
            ACCESS_TOKEN,
            "calendar.read",
            "OAUTH_CONNECTION_DOES_NOT_HAVE_REQUIRED_SCOPE",
        ),
        (
            ACCESS_TOKEN,
            "openid calendar.read",
            "OAUTH_CONNECTION_DOES_NOT_HAVE_REQUIRED_SCOPE",
        ),
        (
            "/connected-accounts/me/google/mock-1/access-token",
            "",
            "OAUTH_CONNECTION_NOT_CONNECTED_TO_USER",
        ),
        // Somebody else's.
        (
            "/connected-accounts/me/google/mock-1882/access-token",
            "",
            "OAUTH_CONNECTION_NOT_CONNECTED_TO_USER",
        ),
        (
            "/connected-accounts/me/google/%ff/access-token",
            "",
            "OAUTH_CONNECTION_NOT_CONNECTED_TO_USER",
        ),
        (
            "/connected-accounts/me/github/access-token",
            "",
            "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED",
        ),
        (
            "/connected-accounts/me/GOOGLE/access-token",
            "",
            "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED",
        ),
    ];
    for (path, scope, code) in table {
        let body = Some(json!({ "scope": scope }));
        let page = world.call(Method::POST, path, &headers, body).await;
        assert_known(&page, 400, code);
    }
}

async fn a_body_that_is_not_understood_is_refused(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let headers = World::client(&mary);
    for (body, code) in [
        (json!({ "scope": 1 }), "SCHEMA_ERROR"),
        (json!({ "scope": ["email"] }), "SCHEMA_ERROR"),
        (json!({ "scope": "a\"b" }), "SCHEMA_ERROR"),
        (json!({ "scope": "", "more": "" }), "SCHEMA_ERROR"),
        (json!([]), "BODY_PARSING_ERROR"),
        (json!("email"), "BODY_PARSING_ERROR"),
    ] {
        let page = world
            .call(Method::POST, ACCESS_TOKEN, &headers, Some(body))
            .await;
        assert_known(&page, 400, code);
        assert!(
            !page.json()["details"]["message"]
                .as_str()
                .unwrap()
                .is_empty()
        );
    }
}

async fn a_refused_refresh_asks_the_person_to_connect_again(world: &World<'_>) {
    let mary = user_id(&world.sign_in("mary").await);
    world.app.server.advance(OVER);
    world.upstream.misbehave("token", "invalid_grant");
    let page = ask_for(world, &mary).await;
    assert_known(&page, 400, "OAUTH_ACCESS_TOKEN_NOT_AVAILABLE");
    let details = &page.json()["details"];
    assert_eq!(details["provider"], "google");
    assert!(details["details"].as_str().unwrap().contains("again"));
    // A provider that changes its mind finds everything as it was.
    world.upstream.behave("token");
    let token = token(&ask_for(world, &mary).await);
    assert_eq!(
        subject(world.upstream, &token).await.as_deref(),
        Some("mock-1780")
    );
}

async fn what_is_left_of_a_token_is_given_when_it_cannot_be_renewed(world: &World<'_>) {
    let mary = user_id(&world.sign_in("mary").await);
    let first = token(&ask_for(world, &mary).await);
    world.app.server.advance(FEW_MINUTES_LEFT);
    for fault in ["broken", "invalid_grant"] {
        world.upstream.misbehave("token", fault);
        assert_eq!(token(&ask_for(world, &mary).await), first, "{fault}");
    }
    world.upstream.behave("token");
    let second = token(&ask_for(world, &mary).await);
    assert_ne!(second, first);
    assert_eq!(token(&ask_for(world, &mary).await), second);
}

async fn a_provider_that_fails_is_not_the_person_s_fault(world: &World<'_>) {
    let mary = user_id(&world.sign_in("mary").await);
    world.app.server.advance(OVER);
    for fault in ["broken", "html", "huge", "private"] {
        world.upstream.misbehave("token", fault);
        let page = ask_for(world, &mary).await;
        assert_known(&page, 503, "OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE");
    }
    world.upstream.behave("token");
    let renewed = token(&ask_for(world, &mary).await);
    // One that does not answer whether it takes a token has not refused it.
    for fault in ["broken", "html", "huge", "private"] {
        world.upstream.misbehave("userinfo", fault);
        assert_eq!(token(&ask_for(world, &mary).await), renewed, "{fault}");
    }
}

async fn t51_a_slow_provider_is_not_waited_for(settings: &[(String, String)]) {
    let upstream = Upstream::start().await;
    let installation = project_of(&upstream.server.installation_provider("google"), "");
    World::run_impatient(settings, &installation, &upstream, async |world| {
        let mary = user_id(&world.sign_in("mary").await);
        let first = token(&ask_for(world, &mary).await);
        // Whether it still takes a token, it does not say in time: that is not a no.
        upstream.misbehave("userinfo", "slow");
        assert_eq!(token(&ask_for(world, &mary).await), first);
        world.app.server.advance(OVER);
        upstream.misbehave("token", "slow");
        let page = ask_for(world, &mary).await;
        assert_known(&page, 503, "OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE");
    })
    .await;
}

async fn t47_a_rotating_refresh_token_is_used_once_though_ten_ask(settings: &[(String, String)]) {
    let upstream = Upstream::start_with(MockOptions {
        rotates_refresh_tokens: true,
        ..Upstream::usual()
    })
    .await;
    let installation = project_of(&upstream.server.installation_provider("google"), "");
    World::run_with(settings, &installation, &upstream, async |world| {
        let mary = user_id(&world.sign_in("mary").await);
        for round in 1..=2 {
            world.app.server.advance(FEW_MINUTES_LEFT);
            let ask = || Box::pin(ask_for(world, &mary));
            let (first, second) = tokio::join!(
                Box::pin(async { tokio::join!(ask(), ask(), ask(), ask(), ask()) }),
                Box::pin(async { tokio::join!(ask(), ask(), ask(), ask(), ask()) })
            );
            let tokens: Vec<String> = [<[Page; 5]>::from(first), <[Page; 5]>::from(second)]
                .iter()
                .flatten()
                .map(token)
                .collect();
            assert!(tokens.iter().all(|token| *token == tokens[0]), "{round}");
            assert_eq!(refreshes(&upstream), round);
            assert_eq!(
                subject(&upstream, &tokens[0]).await.as_deref(),
                Some("mock-1780")
            );
        }
    })
    .await;
}

/// A provider with a clock of its own, which runs ahead: to it, the token is over before its time.
async fn a_token_that_the_provider_revoked_is_renewed(settings: &[(String, String)]) {
    let upstream = Upstream::start().await;
    let installation = project_of(&upstream.server.installation_provider("google"), "");
    let allowed = [("OUTBOUND_ALLOW", "127.0.0.1")];
    let app = App::start(settings, &allowed, START, &installation).await;
    let world = World {
        app: &app,
        upstream: &upstream,
    };
    let mary = user_id(&world.sign_in("mary").await);
    let first = token(&ask_for(&world, &mary).await);
    upstream.server.advance(OVER);
    assert_eq!(subject(&upstream, &first).await, None);
    let second = token(&ask_for(&world, &mary).await);
    assert_eq!(
        subject(&upstream, &second).await.as_deref(),
        Some("mock-1780")
    );
    assert_eq!(refreshes(&upstream), 1);
    // And one that is refused there, and cannot be renewed, is not given though it should live.
    upstream.server.advance(OVER);
    upstream.misbehave("token", "invalid_grant");
    assert_known(
        &ask_for(&world, &mary).await,
        400,
        "OAUTH_ACCESS_TOKEN_NOT_AVAILABLE",
    );
    app.end().await;
}

async fn accounts_of_a_provider_that_is_not_for_apps_are_none(settings: &[(String, String)]) {
    let upstream = Upstream::start().await;
    let section = upstream.server.installation_provider("google") + "connected_accounts = false\n";
    World::run_with(
        settings,
        &project_of(&section, ""),
        &upstream,
        async |world| {
            let mary = world.sign_in("mary").await;
            let headers = World::client(&mary);
            let list = world
                .call(Method::GET, "/connected-accounts/me", &headers, None)
                .await;
            assert_eq!(list.json()["items"], json!([]));
            let page = world.call(Method::POST, ACCESS_TOKEN, &headers, None).await;
            assert_known(&page, 400, "OAUTH_CONNECTION_NOT_CONNECTED_TO_USER");
        },
    )
    .await;
}

/// Plain OAuth 2.0: no end is told and nothing renews it, so it counts until the provider says no.
async fn a_provider_without_refresh_tokens_gives_what_it_gave(settings: &[(String, String)]) {
    let upstream = Upstream::start().await;
    let issuer = upstream.server.issuer();
    let usual = upstream.server.installation_provider("google");
    let section = usual.replace(
        &format!("issuer = \"{issuer}\"\n"),
        &format!(
            "authorization_url = \"{issuer}/login/oauth/authorize\"\ntoken_url = \"{issuer}/login/oauth/access_token\"\n\
             userinfo_url = \"{issuer}/api/user\"\nscopes = [\"read:user\"]\nmapping = {{ subject = \"/id\" }}\n"
        ),
    );
    World::run_with(
        settings,
        &project_of(&section, ""),
        &upstream,
        async |world| {
            let mary = user_id(&world.sign_in("mary").await);
            let first = token(&ask_for(world, &mary).await);
            world.app.server.advance(30 * 86_400);
            assert_eq!(token(&ask_for(world, &mary).await), first);
            world.app.server.advance(70 * 86_400);
            assert_known(
                &ask_for(world, &mary).await,
                400,
                "OAUTH_ACCESS_TOKEN_NOT_AVAILABLE",
            );
        },
    )
    .await;
}
