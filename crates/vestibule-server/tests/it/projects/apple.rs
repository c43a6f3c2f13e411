//! `POST /auth/oauth/callback/apple/native` of the project API: an app on a device brings Apple's ID token.

use crate::support::app::from_settings_on_both_engines;
use crate::support::browser::Page;
use crate::support::installation::{BASE, TENANT_ID};
use crate::support::project::{PUBLISHABLE, World, project_of};
use crate::support::project_links::{assert_known, claims, user_id};
use crate::support::relying_party::{CHALLENGE, VERIFIER};
use crate::support::upstream::{CLIENT_ID, CLIENT_SECRET, Upstream};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use url::Url;

from_settings_on_both_engines! {
    an_app_on_a_device_signs_in,
    an_id_token_that_is_not_apple_s_for_this_app_is_refused,
    a_nonce_that_the_app_names_must_be_the_token_s,
    a_project_says_which_apps_may,
    what_apple_does_not_answer_is_not_the_token_s_fault,
    nobody_new_comes_in_where_sign_up_is_closed,
    a_body_that_is_not_understood_is_refused,
}

const PATH: &str = "/auth/oauth/callback/apple/native";
const NOBODY: [(&str, &str); 3] = [
    ("project-id", TENANT_ID),
    ("access-type", "client"),
    ("publishable-client-key", PUBLISHABLE),
];

/// The provider "google" as "apple", with these apps.
fn apple(upstream: &Upstream, bundle_ids: &str) -> String {
    let section = upstream.server.installation_provider("apple");
    section
        + &format!(
            "preset = \"apple\"\ntoken_endpoint_auth_method = \"client_secret_post\"\napple_bundle_ids = [{bundle_ids}]\n"
        )
}

async fn in_a_world(
    settings: &[(String, String)],
    policy: &str,
    test: impl AsyncFnOnce(&World<'_>),
) {
    let upstream = Upstream::start().await;
    let section = apple(&upstream, &format!("\"com.acme.other\", \"{CLIENT_ID}\""));
    World::run_with(settings, &project_of(&section, policy), &upstream, test).await;
}

/// What an app on a device gets from the provider by itself.
async fn id_token(upstream: &Upstream, who: &str) -> String {
    let mut url = Url::parse(&format!("{}/authorize", upstream.server.issuer())).unwrap();
    url.query_pairs_mut().extend_pairs([
        ("client_id", CLIENT_ID),
        ("redirect_uri", &format!("{BASE}/app")),
        ("response_type", "code"),
        ("scope", "openid email profile"),
        ("state", "s"),
        ("nonce", "the app's"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    let back = Url::parse(&upstream.answer(url.as_str(), who).await).unwrap();
    let (_, code) = back.query_pairs().find(|(name, _)| name == "code").unwrap();
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &format!("{BASE}/app")),
            ("code_verifier", VERIFIER),
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
        ])
        .finish();
    let request = Request::post("/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form));
    let answer = upstream.server.visit(request.unwrap()).await;
    let tokens: Value = serde_json::from_slice(answer.body()).unwrap();
    tokens["id_token"].as_str().unwrap().to_owned()
}

async fn bring(world: &World<'_>, body: Value) -> Page {
    world.call(Method::POST, PATH, &NOBODY, Some(body)).await
}

async fn an_app_on_a_device_signs_in(settings: &[(String, String)]) {
    in_a_world(settings, "", async |world| {
        let token = id_token(world.upstream, "mary").await;
        let page = bring(world, json!({ "id_token": token })).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let first = page.json();
        assert_eq!(first["is_new_user"], true);
        assert_eq!(first["user_id"], user_id(&first));
        assert_eq!(claims(&first)["email"], "mary@example.org");
        let members: Vec<&String> = first.as_object().unwrap().keys().collect();
        assert_eq!(
            members,
            ["access_token", "is_new_user", "refresh_token", "user_id"]
        );
        let refreshed = world
            .refresh(first["refresh_token"].as_str().unwrap())
            .await;
        assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.body);
        // The answer got lost and the app tries again: the same person, another session.
        let second = bring(world, json!({ "id_token": token })).await.json();
        assert_eq!(second["is_new_user"], false);
        assert_eq!(second["user_id"], first["user_id"]);
        assert_ne!(
            claims(&second)["refresh_token_id"],
            claims(&first)["refresh_token_id"]
        );
        // There are no tokens of the provider.
        let path = "/connected-accounts/me/apple/access-token";
        let page = world
            .call(Method::POST, path, &World::client(&first), None)
            .await;
        assert_known(&page, 400, "OAUTH_ACCESS_TOKEN_NOT_AVAILABLE");
        world.app.server.advance(3600);
        let page = bring(world, json!({ "id_token": token })).await;
        assert_known(&page, 400, "INVALID_APPLE_CREDENTIALS");
    })
    .await;
}

async fn an_id_token_that_is_not_apple_s_for_this_app_is_refused(settings: &[(String, String)]) {
    in_a_world(settings, "", async |world| {
        let good = id_token(world.upstream, "mary").await;
        let mut wrong = vec!["x".to_owned(), "a.b.c".to_owned(), format!("{good}x")];
        for behaviour in [
            "wrong-issuer",
            "wrong-audience",
            "wrong-key",
            "wrong-signature",
            "unsigned",
            "expired",
        ] {
            wrong.push(id_token(world.upstream, &format!("mary:{behaviour}")).await);
        }
        // Of an access token of ours nothing comes either.
        let ours = bring(world, json!({ "id_token": good })).await.json();
        wrong.push(ours["access_token"].as_str().unwrap().to_owned());
        for token in wrong {
            let page = bring(world, json!({ "id_token": token })).await;
            assert_known(&page, 400, "INVALID_APPLE_CREDENTIALS");
        }
    })
    .await;
}

async fn a_nonce_that_the_app_names_must_be_the_token_s(settings: &[(String, String)]) {
    in_a_world(settings, "", async |world| {
        let token = id_token(world.upstream, "mary").await;
        let page = bring(world, json!({ "id_token": token, "nonce": "the app's" })).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        for (who, nonce) in [
            ("mary", "another"),
            ("mary:wrong-nonce", "the app's"),
            ("mary:no-nonce", "the app's"),
        ] {
            let token = id_token(world.upstream, who).await;
            let page = bring(world, json!({ "id_token": token, "nonce": nonce })).await;
            assert_known(&page, 400, "INVALID_APPLE_CREDENTIALS");
        }
    })
    .await;
}

async fn a_project_says_which_apps_may(settings: &[(String, String)]) {
    let upstream = Upstream::start().await;
    let token = id_token(&upstream, "mary").await;
    let google = upstream.server.installation_provider("google");
    let without_sign_in = apple(&upstream, &format!("\"{CLIENT_ID}\"")) + "sign_in = false\n";
    for (section, code) in [
        (google, "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED"),
        (apple(&upstream, ""), "APPLE_BUNDLE_ID_NOT_CONFIGURED"),
        (
            apple(&upstream, "\"com.acme.other\""),
            "INVALID_APPLE_CREDENTIALS",
        ),
        (without_sign_in, "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED"),
    ] {
        World::run_with(
            settings,
            &project_of(&section, ""),
            &upstream,
            async |world| {
                let page = bring(world, json!({ "id_token": token })).await;
                assert_known(&page, 400, code);
            },
        )
        .await;
    }
}

async fn what_apple_does_not_answer_is_not_the_token_s_fault(settings: &[(String, String)]) {
    in_a_world(settings, "", async |world| {
        let token = id_token(world.upstream, "mary").await;
        for endpoint in ["discovery", "jwks"] {
            for fault in ["broken", "html", "huge", "private"] {
                world.upstream.misbehave(endpoint, fault);
                let page = bring(world, json!({ "id_token": token })).await;
                assert_known(&page, 503, "OAUTH_PROVIDER_TEMPORARILY_UNAVAILABLE");
                // A provider that failed is left in peace for a quarter of a minute.
                world.app.server.advance(15);
            }
            world.upstream.behave(endpoint);
        }
        let page = bring(world, json!({ "id_token": token })).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    })
    .await;
}

async fn nobody_new_comes_in_where_sign_up_is_closed(settings: &[(String, String)]) {
    in_a_world(settings, "sign_up = \"closed\"", async |world| {
        let token = id_token(world.upstream, "mary").await;
        let page = bring(world, json!({ "id_token": token })).await;
        assert_known(&page, 400, "SIGN_UP_NOT_ENABLED");
    })
    .await;
}

async fn a_body_that_is_not_understood_is_refused(settings: &[(String, String)]) {
    in_a_world(settings, "", async |world| {
        for body in [
            json!({}),
            json!({ "id_token": "" }),
            json!({ "id_token": 1 }),
            json!({ "id_token": "x", "nonce": 1 }),
            json!({ "id_token": "x", "more": "" }),
        ] {
            assert_known(&bring(world, body).await, 400, "SCHEMA_ERROR");
        }
        assert_known(&bring(world, json!("x")).await, 400, "BODY_PARSING_ERROR");
        let page = world
            .call(Method::POST, PATH, &[], Some(json!({ "id_token": "x" })))
            .await;
        assert_known(&page, 400, "ACCESS_TYPE_REQUIRED");
    })
    .await;
}
