//! Every parameter of `GET /auth/oauth/authorize/{provider}`: what it is when it is absent, and what a wrong one, a repeated one and one
//! of another project come to.

use super::answers::{NOBODY, as_client, by_server, good, in_words, known, schema};
use crate::support::app::from_settings_on_both_engines;
use crate::support::browser::Page;
use crate::support::installation::TENANT_ID;
use crate::support::project::{
    ADMIN_KEY, CALLBACK, FAMILIES, PUBLISHABLE, SECRET_KEY, STATE, World, in_both_worlds,
    project_of,
};
use crate::support::relying_party::{CHALLENGE, VERIFIER};
use crate::support::upstream::Upstream;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

in_both_worlds! {
    what_is_absent_has_its_default,
    what_is_optional_is_taken,
    a_wrong_value_is_named,
    what_stands_twice_is_refused_by_name,
    what_is_not_ours_is_ignored,
    t44_a_token_of_another_project_is_none_here,
    a_key_that_was_revoked_opens_nothing,
    one_network_leaves_so_often,
    nobody_leaves_for_a_provider_that_is_not_for_signing_in,
    two_families_that_disagree_say_nothing,
}

from_settings_on_both_engines! {
    t04_a_plain_challenge_is_taken_where_the_policy_lets_it,
    a_key_that_is_over_opens_nothing,
}

async fn get(world: &World<'_>, url: &str) -> Page {
    let headers = [("accept", "*/*")];
    world.browser().send(Method::GET, url, &headers, "").await
}

async fn ask(world: &World<'_>, changed: &[(&'static str, &str)]) -> Page {
    get(world, &World::authorize_url(changed)).await
}

#[track_caller]
fn leaves(page: &Page) -> BTreeMap<String, String> {
    assert_eq!(page.status, StatusCode::TEMPORARY_REDIRECT, "{}", page.body);
    page.answer()
}

/// Nobody was sent anywhere, and nothing was written.
async fn nobody_left(world: &World<'_>) {
    let requests = "SELECT COUNT(*) FROM upstream_requests";
    assert_eq!(world.app.number(requests).await, 0);
    assert_eq!(world.upstream.server.seen().len(), 0);
}

async fn what_is_absent_has_its_default(world: &World<'_>) {
    let page = ask(world, &[("client_secret", "")]).await;
    let sent = leaves(&page);
    let mut scope: Vec<&str> = sent["scope"].split(' ').collect();
    scope.sort_unstable();
    assert_eq!(scope, ["email", "openid", "profile"], "provider_scope");
    assert!(!page.header("set-cookie").is_empty(), "the response mode");
    let answer = world.answer("mary", &[("client_secret", "")]).await;
    let tokens = world.redeem(&answer.answer()["code"]).await.json();
    assert_eq!(tokens["is_new_user"], true, "the type");
    for name in ["after_callback_redirect_url", "afterCallbackRedirectUrl"] {
        assert_eq!(tokens.get(name), None, "an SDK would fail on null");
    }
}

async fn what_is_optional_is_taken(world: &World<'_>) {
    let (project, long) = (format!("{TENANT_ID}#main"), "é".repeat(512));
    let changes: &[(&'static str, &str)] = &[
        ("client_id", &project),
        ("client_secret", "__stack_public_client__"),
        ("type", "authenticate"),
        // Whoever is signed in already may sign in as somebody else: the SDKs send their token.
        ("token", "x"),
        ("provider_scope", "calendar.read"),
        ("error_redirect_uri", "https://app.acme.test/handler/error"),
        ("error_redirect_url", "https://app.acme.test/handler/error"),
        // It is used only if it can be trusted.
        ("error_redirect_url", "https://evil.test/"),
        ("after_callback_redirect_url", "https://app.acme.test/home"),
        ("stack_response_mode", "redirect"),
        ("hexclave_response_mode", "redirect"),
        ("scope", "legacy openid email profile"),
        ("state", &long),
        ("redirect_uri", "https://app.acme.test"),
    ];
    for change in changes {
        leaves(&ask(world, &[*change]).await);
    }
    let modes = [
        ("stack_response_mode", "json"),
        ("hexclave_response_mode", "json"),
    ];
    good(&ask(world, &modes).await, 200);
    let answer = world.answer("mary", &[("state", &long)]).await;
    assert_eq!(answer.answer()["state"], long);
}

async fn a_wrong_value_is_named(world: &World<'_>) {
    let long = format!("https://app.acme.test/{}", "x".repeat(2048));
    let state = "s".repeat(513);
    let challenge = format!("{CHALLENGE}x");
    #[rustfmt::skip]
    let table: &[(&'static str, &str, &str)] = &[
        ("redirect_uri",                "not a url",           "is not a valid URL"),
        ("redirect_uri",                "/handler",            "is not a valid URL"),
        ("redirect_uri",                &long,                 "is not a valid URL"),
        ("error_redirect_uri",          "/handler/error",      "is not a valid URL"),
        ("error_redirect_url",          "/handler/error",      "is not a valid URL"),
        ("after_callback_redirect_url", "/home",               "is not a valid URL"),
        ("scope",                       "a\"b",                "is not accepted"),
        ("provider_scope",              "a\"b",                "is not accepted"),
        ("state",                       &state,                "must be 512 characters at most"),
        ("grant_type",                  "refresh_token",       "must be authorization_code"),
        ("grant_type",                  "Authorization_Code",  "must be authorization_code"),
        ("response_type",               "token",               "must be code"),
        ("response_type",               "code id_token",       "must be code"),
        ("code_challenge",              "short",               "is not a challenge"),
        ("code_challenge",              &challenge,            "is not a challenge"),
        ("code_challenge_method",       "plain",               "must be S256"),
        ("code_challenge_method",       "s256",                "must be S256"),
        ("type",                        "Link",                "must be authenticate or link"),
        ("type",                        "steal",               "must be authenticate or link"),
        ("stack_response_mode",         "JSON",                "must be redirect or json"),
        ("hexclave_response_mode",      "xml",                 "must be redirect or json"),
    ];
    for (name, value, problem) in table {
        let page = ask(world, &[(name, value)]).await;
        let named = format!("query.{name} {problem}");
        schema(&page, &[&named, "GET /api/v1/auth/oauth/authorize/google"]);
        assert_eq!(page.header("set-cookie"), "", "{name}");
    }
    let missing = "query.token must be defined when type is link";
    schema(&ask(world, &[("type", "link")]).await, &[missing]);
    let modes = [
        ("stack_response_mode", "json"),
        ("hexclave_response_mode", "redirect"),
    ];
    let disagree = "query.hexclave_response_mode must agree";
    schema(&ask(world, &modes).await, &[disagree]);
    for unreadable in ["%ff=%ff", "state=%ff"] {
        let url = format!("{}&{unreadable}", World::authorize_url(&[]));
        schema(&get(world, &url).await, &["the query cannot be read"]);
    }
    nobody_left(world).await;
}

async fn what_stands_twice_is_refused_by_name(world: &World<'_>) {
    for name in [
        "after_callback_redirect_url",
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "error_redirect_uri",
        "error_redirect_url",
        "grant_type",
        "hexclave_response_mode",
        "provider_scope",
        "redirect_uri",
        "response_type",
        "scope",
        "stack_response_mode",
        "state",
        "token",
        "type",
    ] {
        // The same value twice is no better than two values.
        let url = format!("{}&{name}=x&{name}=x", World::authorize_url(&[(name, "")]));
        let named = format!("query.{name} may stand once");
        schema(&get(world, &url).await, &[&named]);
    }
    nobody_left(world).await;
}

async fn what_is_not_ours_is_ignored(world: &World<'_>) {
    let url = World::authorize_url(&[("stack_response_mode", "json")]);
    for more in [
        "gclid=1&gclid=2",
        "bot_challenge_token=x&bot_challenge_phase=invisible&bot_challenge_unavailable=true",
        "bot_challenge_token=x&bot_challenge_token=y",
        "bot_challenge_phase=nonsense",
    ] {
        let page = get(world, &format!("{url}&{more}")).await;
        let location = good(&page, 200)["location"].as_str().unwrap().to_owned();
        assert!(!location.contains("bot_challenge") && !location.contains("gclid"));
    }
}

/// A session of somebody of the tenant globex, as that project's server makes it.
async fn of_globex(world: &World<'_>) -> Value {
    let server = &world.app.server;
    let action = json!({ "action": "api_key_create", "tenant": "globex", "name": "server", "set": { "tier": "secret" } });
    let key = server.perform(action).await.unwrap();
    let show = json!({ "action": "tenant_show", "tenant": "globex" });
    let globex = server.perform(show).await.unwrap();
    let show = json!({ "action": "user_show", "tenant": "globex", "user": "ada" });
    let ada = server.perform(show).await.unwrap();
    let headers = [
        ("project-id", globex["id"].as_str().unwrap()),
        ("access-type", "server"),
        (
            "secret-server-key",
            key["generated"][0]["key"].as_str().unwrap(),
        ),
    ];
    let body = Some(json!({ "user_id": ada["id"] }));
    let page = world
        .call(Method::POST, "/auth/sessions", &headers, body)
        .await;
    good(&page, 200)
}

async fn t44_a_token_of_another_project_is_none_here(world: &World<'_>) {
    let globex = of_globex(world).await;
    let token = globex["access_token"].as_str().unwrap();
    let page = ask(world, &[("type", "link"), ("token", token)]).await;
    known(&page, 401, "UNPARSABLE_ACCESS_TOKEN");
    nobody_left(world).await;
    let page = world
        .call(Method::GET, "/users/me", &as_client(&globex), None)
        .await;
    known(&page, 401, "UNPARSABLE_ACCESS_TOKEN");
    let refresh_token = globex["refresh_token"].as_str().unwrap();
    let page = world.refresh(refresh_token).await;
    known(&page, 401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED");
}

async fn a_key_that_was_revoked_opens_nothing(world: &World<'_>) {
    for name in ["browser", "server", "admin"] {
        let action = json!({ "action": "api_key_revoke", "tenant": "default", "name": name });
        world.app.server.perform(action).await.unwrap();
    }
    nothing_opens(world).await;
}

/// None of the three keys opens its tier.
async fn nothing_opens(world: &World<'_>) {
    let details = json!({ "project_id": TENANT_ID });
    let error = known(
        &ask(world, &[]).await,
        401,
        "INVALID_PUBLISHABLE_CLIENT_KEY",
    );
    assert_eq!(error["details"], details);
    let client = [&NOBODY[..], &[("publishable-client-key", PUBLISHABLE)]].concat();
    for (headers, code) in [
        (client, "INVALID_PUBLISHABLE_CLIENT_KEY"),
        (World::server(), "INVALID_SECRET_SERVER_KEY"),
        (World::admin(), "INVALID_SUPER_SECRET_ADMIN_KEY"),
    ] {
        let page = world
            .call(Method::GET, "/projects/current", &headers, None)
            .await;
        assert_eq!(known(&page, 401, code)["details"], details, "{code}");
    }
}

async fn a_key_that_is_over_opens_nothing(settings: &[(String, String)]) {
    let upstream = Upstream::start().await;
    let mut installation = project_of(&upstream.server.installation_provider("google"), "");
    for key in [PUBLISHABLE, SECRET_KEY, ADMIN_KEY] {
        let line = format!("key = \"{key}\"\n");
        // An hour after every test begins.
        let with_end = format!("{line}expires_at = 2027-01-15T09:00:00Z\n");
        installation = installation.replacen(&line, &with_end, 1);
    }
    World::run_with(settings, &installation, &upstream, async |world| {
        world.app.server.advance(3599);
        leaves(&ask(world, &[]).await);
        for headers in [World::server(), World::admin()] {
            let page = world
                .call(Method::GET, "/projects/current", &headers, None)
                .await;
            good(&page, 200);
        }
        world.app.server.advance(1);
        nothing_opens(world).await;
    })
    .await;
}

async fn one_network_leaves_so_often(world: &World<'_>) {
    for _ in 0..120 {
        leaves(&ask(world, &[]).await);
    }
    for mode in ["redirect", "json"] {
        let page = ask(world, &[("stack_response_mode", mode)]).await;
        in_words(&page, 429);
        assert!(page.body.starts_with("Too many sign-ins from this network"));
        assert_ne!(page.header("retry-after"), "");
        assert_eq!(page.header("location"), "");
    }
    world.app.server.advance(5);
    leaves(&ask(world, &[]).await);
}

async fn nobody_leaves_for_a_provider_that_is_not_for_signing_in(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    let token = mary["access_token"].as_str().unwrap();
    let off = json!({ "sign_in": false });
    let action = json!({ "action": "provider_update", "tenant": "default", "provider": "google", "set": off });
    world.app.server.perform(action).await.unwrap();
    let page = ask(world, &[]).await;
    known(&page, 400, "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED");
    assert_eq!(page.header("location"), "");
    // Linking it for its tokens goes on.
    leaves(&ask(world, &[("type", "link"), ("token", token)]).await);
}

async fn two_families_that_disagree_say_nothing(world: &World<'_>) {
    let [stack, hexclave] = FAMILIES;
    let call = async |headers: &[(String, &str)]| {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let path = "/api/v1/projects/current";
        world.browser().send(Method::GET, path, &headers, "").await
    };
    let both = |name: &str, one, other| {
        [
            (format!("{stack}{name}"), one),
            (format!("{hexclave}{name}"), other),
        ]
    };
    let kinds = both("access-type", "client", "client");
    let other = "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a02";
    let page = call(&[kinds.clone(), both("project-id", TENANT_ID, TENANT_ID)].concat()).await;
    good(&page, 200);
    let page = call(&[kinds, both("project-id", TENANT_ID, other)].concat()).await;
    known(&page, 400, "ACCESS_TYPE_WITHOUT_PROJECT_ID");
    let kinds = both("access-type", "client", "server");
    let page = call(&[kinds, both("project-id", TENANT_ID, TENANT_ID)].concat()).await;
    known(&page, 400, "ACCESS_TYPE_REQUIRED");
}

async fn t04_a_plain_challenge_is_taken_where_the_policy_lets_it(settings: &[(String, String)]) {
    World::run(settings, "plain_pkce = true", async |world| {
        let plain = [
            ("code_challenge_method", "plain"),
            ("code_challenge", VERIFIER),
        ];
        let code = async || {
            let mut answer = world.answer("mary", &plain).await.answer();
            answer.remove("code").unwrap()
        };
        let redeem = async |code: &str, verifier: &str| {
            let fields = [
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", CALLBACK),
                ("code_verifier", verifier),
            ];
            world.token(&fields).await
        };
        assert_eq!(redeem(&code().await, VERIFIER).await.status, 200);
        let code = code().await;
        for wrong in [CHALLENGE, "", &VERIFIER.to_lowercase()] {
            let page = redeem(&code, wrong).await;
            known(&page, 400, "INVALID_AUTHORIZATION_CODE");
        }
        // It must still be a challenge, and S256 goes on as before.
        let short = [("code_challenge_method", "plain"), ("code_challenge", "x")];
        schema(&ask(world, &short).await, &["query.code_challenge "]);
        world.sign_in("mary").await;
        let page = by_server(world, Method::GET, "/users?query=mary", None).await;
        assert_eq!(good(&page, 200)["items"].as_array().unwrap().len(), 1);
        assert_eq!(world.answer("mary", &[]).await.answer()["state"], STATE);
    })
    .await;
}
