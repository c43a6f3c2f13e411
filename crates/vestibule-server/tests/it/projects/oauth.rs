//! `GET /auth/oauth/authorize/{provider}` of the project API: what is checked before anybody leaves, and how it is said.

mod hosts;

use crate::support::browser::Page;
use crate::support::installation::TENANT_ID;
use crate::support::project::{
    ADMIN_KEY, CALLBACK, PUBLISHABLE, SECRET_KEY, STATE, World, in_both_worlds,
};
use crate::support::relying_party::CHALLENGE;
use crate::support::upstream::CLIENT_ID;
use http::{Method, StatusCode};
use serde_json::{Value, json};

in_both_worlds! {
    a_browser_is_sent_to_the_provider_with_307,
    a_script_is_told_where_to_go,
    a_json_answer_comes_back_in_any_browser_and_by_post,
    a_provider_s_form_is_not_posted_to_the_app,
    the_curl_of_the_seed_works_as_written,
    every_error_of_the_table_has_its_status_code_and_details,
    nothing_that_is_refused_redirects_or_writes,
    t02_only_a_trusted_address_gets_an_answer,
    a_person_reads_a_page_where_a_script_reads_json,
    errors_come_back_with_everything_an_app_needs,
    both_spellings_of_the_version_work,
    anything_else_there_is_not_found_in_the_manner_of_the_api,
    a_preflight_is_answered_for_everybody,
}

async fn ask(world: &World<'_>, changed: &[(&'static str, &str)]) -> Page {
    let url = World::authorize_url(changed);
    world
        .browser()
        .send(Method::GET, &url, &[("accept", "*/*")], "")
        .await
}

fn query(location: &str) -> std::collections::BTreeMap<String, String> {
    url::Url::parse(location)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

async fn a_browser_is_sent_to_the_provider_with_307(world: &World<'_>) {
    let page = ask(world, &[("provider_scope", "calendar.read drive")]).await;
    assert_eq!(page.status, StatusCode::TEMPORARY_REDIRECT, "{}", page.body);
    assert_eq!(page.header("cache-control"), "no-store, max-age=0");
    let cookie = page.header("set-cookie");
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    assert!(
        page.header("location")
            .starts_with(world.upstream.server.issuer())
    );
    let sent = query(page.header("location"));
    assert_eq!(sent["client_id"], CLIENT_ID);
    assert_eq!(sent["response_type"], "code");
    assert_eq!(
        sent["redirect_uri"],
        "http://127.0.0.1:8080/api/v1/auth/oauth/callback/google"
    );
    assert_eq!(sent["code_challenge_method"], "S256");
    for scope in ["openid", "email", "profile", "calendar.read", "drive"] {
        assert!(
            sent["scope"].split(' ').any(|known| known == scope),
            "{scope}"
        );
    }
    // The inner request is our own: nothing of the app's goes to the provider.
    assert_ne!(sent["code_challenge"], CHALLENGE);
    for secret in [STATE, PUBLISHABLE, CALLBACK, TENANT_ID] {
        assert!(!sent.values().any(|value| value == secret), "{secret}");
    }
}

async fn a_script_is_told_where_to_go(world: &World<'_>) {
    for modes in [
        &[("stack_response_mode", "json")][..],
        &[("hexclave_response_mode", "json")][..],
        &[
            ("stack_response_mode", "json"),
            ("hexclave_response_mode", "json"),
        ][..],
    ] {
        let page = ask(world, modes).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.header("access-control-allow-origin"), "*");
        assert_eq!(page.header("set-cookie"), "");
        assert!(
            page.json()["location"]
                .as_str()
                .unwrap()
                .starts_with(world.upstream.server.issuer())
        );
    }
}

async fn a_json_answer_comes_back_in_any_browser_and_by_post(world: &World<'_>) {
    let location = async || {
        let page = ask(world, &[("stack_response_mode", "json")]).await;
        page.json()["location"].as_str().unwrap().to_owned()
    };
    let back = world.upstream.answer(&location().await, "mary").await;
    let answer = world.browser().send(Method::GET, &back, &[], "").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(answer.answer()["state"], STATE);
    assert_eq!(
        world.redeem(&answer.answer()["code"]).await.status,
        StatusCode::OK
    );
    let back = world.upstream.answer(&location().await, "mary").await;
    let (path, body) = back.split_once('?').unwrap();
    let answer = world.browser().post(path, body).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    assert_eq!(
        world.redeem(&answer.answer()["code"]).await.status,
        StatusCode::OK
    );
}

async fn a_provider_s_form_is_not_posted_to_the_app(world: &World<'_>) {
    for (who, late, error) in [
        ("mary", false, None),
        ("mary:refuse", false, Some("OAUTH_PROVIDER_ACCESS_DENIED")),
        ("mary:expired", false, Some("OAUTH_PROVIDER_ACCESS_DENIED")),
        ("mary", true, Some("OUTER_OAUTH_TIMEOUT")),
    ] {
        let page = ask(world, &[("stack_response_mode", "json")]).await;
        let location = page.json()["location"].as_str().unwrap().to_owned();
        let back = world.upstream.answer(&location, who).await;
        if late {
            world.app.server.advance(10 * 60);
        }
        let (path, body) = back.split_once('?').unwrap();
        let answer = world.browser().post(path, body).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        assert!(
            answer
                .header("location")
                .starts_with(&format!("{CALLBACK}?"))
        );
        let answer = answer.answer();
        assert_eq!(answer["state"], STATE);
        assert_eq!(answer.get("errorCode").map(String::as_str), error, "{who}");
    }
}

async fn the_curl_of_the_seed_works_as_written(world: &World<'_>) {
    // A key header without access type: the other routes refuse that.
    for family in crate::support::project::FAMILIES {
        let url = World::authorize_url(&[("scope", "openid email")]);
        let header = format!("{family}publishable-client-key");
        let headers = [(header.as_str(), PUBLISHABLE), ("accept", "*/*")];
        let page = world.browser().send(Method::GET, &url, &headers, "").await;
        assert_eq!(page.status, StatusCode::TEMPORARY_REDIRECT, "{}", page.body);
        let other = world
            .call_in(
                family,
                Method::GET,
                "/projects/current",
                &[("publishable-client-key", PUBLISHABLE)],
                None,
            )
            .await;
        assert_eq!(other.status, StatusCode::BAD_REQUEST);
        assert_eq!(
            other.header("x-stack-known-error"),
            "PROJECT_KEY_WITHOUT_ACCESS_TYPE"
        );
    }
    let answer = world.answer("mary", &[("scope", "openid email")]).await;
    let tokens = world.redeem(&answer.answer()["code"]).await.json();
    assert_eq!(tokens["scope"], "openid email", "what was granted is said");
}

/// What is changed in a sound request, and what that comes to: status, code, details.
type Refused = (
    &'static [(&'static str, &'static str)],
    u16,
    &'static str,
    Value,
);

fn refusals() -> Vec<Refused> {
    let project = json!({ "project_id": TENANT_ID });
    vec![
        (
            &[("client_id", "internal")],
            400,
            "INVALID_OAUTH_CLIENT_ID_OR_SECRET",
            json!({ "client_id": "internal" }),
        ),
        (
            &[("client_id", "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01#dev")],
            400,
            "INVALID_OAUTH_CLIENT_ID_OR_SECRET",
            json!({ "client_id": "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01#dev" }),
        ),
        (
            &[("client_secret", "pck_wrong")],
            401,
            "INVALID_PUBLISHABLE_CLIENT_KEY",
            project.clone(),
        ),
        (
            &[("client_secret", SECRET_KEY)],
            401,
            "INVALID_PUBLISHABLE_CLIENT_KEY",
            project.clone(),
        ),
        (
            &[("client_secret", ADMIN_KEY)],
            401,
            "INVALID_PUBLISHABLE_CLIENT_KEY",
            project,
        ),
        (
            &[("redirect_uri", "https://evil.test/")],
            400,
            "REDIRECT_URL_NOT_WHITELISTED",
            Value::Null,
        ),
        (
            &[("after_callback_redirect_url", "https://evil.test/")],
            400,
            "REDIRECT_URL_NOT_WHITELISTED",
            Value::Null,
        ),
        (
            &[("scope", "launch.missiles")],
            400,
            "INVALID_SCOPE",
            json!({ "scope": "launch.missiles" }),
        ),
        (
            &[("type", "link"), ("token", "x")],
            401,
            "UNPARSABLE_ACCESS_TOKEN",
            Value::Null,
        ),
    ]
}

async fn every_error_of_the_table_has_its_status_code_and_details(world: &World<'_>) {
    for (changed, status, code, details) in refusals() {
        let page = ask(world, changed).await;
        assert_eq!(
            (page.status.as_u16(), page.header("x-stack-known-error")),
            (status, code),
            "{changed:?} {}",
            page.body
        );
        assert_eq!(page.header("x-hexclave-known-error"), code);
        let body = page.json();
        assert_eq!(body["code"], code);
        assert_eq!(
            body.get("details").unwrap_or(&Value::Null),
            &details,
            "{changed:?}"
        );
        assert!(body["error"].as_str().is_some_and(|text| !text.is_empty()));
    }
    for name in [
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "grant_type",
        "code_challenge",
        "code_challenge_method",
        "response_type",
    ] {
        let page = ask(world, &[(name, "")]).await;
        assert_eq!(
            (page.status.as_u16(), page.header("x-stack-known-error")),
            (400, "SCHEMA_ERROR"),
            "{name}"
        );
        assert!(
            page.json()["details"]["message"]
                .as_str()
                .unwrap()
                .contains(&format!("query.{name} ")),
            "{name}"
        );
    }
    for (name, value) in [
        ("grant_type", "implicit"),
        ("response_type", "token"),
        ("code_challenge_method", "plain"),
        ("code_challenge", "short"),
        ("redirect_uri", "not a url"),
        ("stack_response_mode", "xml"),
        ("type", "steal"),
        ("type", "link"),
    ] {
        let page = ask(world, &[(name, value)]).await;
        assert_eq!(
            (page.status.as_u16(), page.header("x-stack-known-error")),
            (400, "SCHEMA_ERROR"),
            "{name}={value} {}",
            page.body
        );
    }
    // Every bad field is named at once.
    let page = ask(world, &[("state", ""), ("scope", ""), ("type", "steal")]).await;
    for name in ["state", "scope", "type"] {
        assert!(
            page.json()["error"]
                .as_str()
                .unwrap()
                .contains(&format!("query.{name} ")),
            "{name}"
        );
    }
    let url = World::authorize_url(&[]).replace("/authorize/google", "/authorize/github");
    let page = world
        .browser()
        .send(Method::GET, &url, &[("accept", "*/*")], "")
        .await;
    assert_eq!(
        (page.status.as_u16(), page.header("x-stack-known-error")),
        (400, "OAUTH_PROVIDER_NOT_FOUND_OR_NOT_ENABLED")
    );
}

async fn nothing_that_is_refused_redirects_or_writes(world: &World<'_>) {
    for (changed, ..) in refusals() {
        for accept in ["*/*", "text/html"] {
            let page = world
                .browser()
                .send(
                    Method::GET,
                    &World::authorize_url(changed),
                    &[("accept", accept)],
                    "",
                )
                .await;
            assert_eq!(page.header("location"), "", "{changed:?}");
        }
    }
    assert_eq!(
        world
            .app
            .number("SELECT COUNT(*) FROM upstream_requests")
            .await,
        0
    );
    assert_eq!(
        world.upstream.server.seen().len(),
        0,
        "the provider hears nothing of it"
    );
}

async fn t02_only_a_trusted_address_gets_an_answer(world: &World<'_>) {
    for good in [
        "https://app.acme.test/any/path?with=query",
        "https://pr-1.preview.acme.test/cb",
    ] {
        assert_eq!(
            ask(world, &[("redirect_uri", good)]).await.status,
            StatusCode::TEMPORARY_REDIRECT,
            "{good}"
        );
    }
    for evil in [
        "https://app.acme.test.evil.test/",
        "https://evil.test/?https://app.acme.test",
        "https://app.acme.test@evil.test/",
        "http://app.acme.test/",
        "https://app.acme.test:444/",
        "https://evilapp.acme.test/",
        "https://preview.acme.test/",
        "https://a.b.preview.acme.test/",
        "http://localhost:3000/",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://app.acme.test\\@evil.test/",
    ] {
        let page = ask(world, &[("redirect_uri", evil)]).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{evil}");
        assert_eq!(page.header("location"), "", "{evil}");
    }
}

async fn a_person_reads_a_page_where_a_script_reads_json(world: &World<'_>) {
    let url = World::authorize_url(&[("client_secret", "pck_wrong")]);
    let page = world.browser().send(Method::GET, &url, &[], "").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(
        page.header("x-stack-known-error"),
        "INVALID_PUBLISHABLE_CLIENT_KEY"
    );
    assert!(
        page.body.contains("This app made a mistake"),
        "{}",
        page.body
    );
    assert!(
        page.body.contains("INVALID_PUBLISHABLE_CLIENT_KEY"),
        "the developer reads the code"
    );
    assert!(!page.body.contains("pck_wrong"));
}

async fn errors_come_back_with_everything_an_app_needs(world: &World<'_>) {
    let page = world
        .answer(
            "mary:refuse",
            &[("error_redirect_url", "https://app.acme.test/handler/error")],
        )
        .await;
    assert_eq!(page.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(page.header("cache-control"), "no-store, max-age=0");
    assert!(page.header("location").starts_with(&format!("{CALLBACK}?")));
    let answer = page.answer();
    assert_eq!(answer["error"], "access_denied");
    assert_eq!(answer["errorCode"], "OAUTH_PROVIDER_ACCESS_DENIED");
    assert_eq!(answer["details"], "{}");
    assert_eq!(
        (answer["state"].as_str(), answer["iss"].as_str()),
        (STATE, "http://127.0.0.1:8080")
    );
    assert_eq!(answer["message"], answer["error_description"]);
    // And with a code, state and iss come back as well, and nothing else.
    let answer = world.answer("mary", &[]).await.answer();
    assert_eq!(
        answer.keys().map(String::as_str).collect::<Vec<_>>(),
        ["code", "iss", "state"]
    );
    let late = async || {
        let mut browser = world.browser();
        let location = world.leave(&mut browser, &[]).await;
        let back = world.upstream.answer(&location, "mary").await;
        world.app.server.advance(10 * 60);
        browser.send(Method::GET, &back, &[], "").await
    };
    let before = world.rows().await;
    let page = late().await;
    assert_eq!(page.status, StatusCode::TEMPORARY_REDIRECT);
    let answer = page.answer();
    assert_eq!(answer["errorCode"], "OUTER_OAUTH_TIMEOUT");
    assert_eq!(
        (answer["error"].as_str(), answer["state"].as_str()),
        ("access_denied", STATE)
    );
    assert_eq!(world.rows().await, before);
}

async fn both_spellings_of_the_version_work(world: &World<'_>) {
    let url = World::authorize_url(&[]).replace("/api/v1/", "/api/latest/");
    let page = world.browser().send(Method::GET, &url, &[], "").await;
    assert_eq!(page.status, StatusCode::TEMPORARY_REDIRECT);
    assert!(
        query(page.header("location"))["redirect_uri"].contains("/api/v1/"),
        "one address is registered at the provider"
    );
}

async fn anything_else_there_is_not_found_in_the_manner_of_the_api(world: &World<'_>) {
    for (method, path, status) in [
        (Method::GET, "/auth/oauth/nothing", 404),
        (Method::POST, "/auth/oauth/authorize/google", 405),
        (Method::DELETE, "/auth/oauth/callback/google", 405),
        (Method::GET, "/auth/oauth/authorize/", 404),
    ] {
        let page = world.call(method, path, &[], None).await;
        assert_eq!(page.status.as_u16(), status, "{path}");
        assert_eq!(page.header("access-control-allow-origin"), "*", "{path}");
        assert_ne!(page.header("x-stack-request-id"), "", "{path}");
    }
}

async fn a_preflight_is_answered_for_everybody(world: &World<'_>) {
    let headers = [
        ("origin", "https://app.acme.test"),
        ("access-control-request-method", "POST"),
    ];
    let page = world
        .browser()
        .send(Method::OPTIONS, "/api/v1/auth/oauth/token", &headers, "")
        .await;
    assert_eq!((page.status, page.body.as_str()), (StatusCode::OK, ""));
    assert_eq!(page.header("access-control-allow-origin"), "*");
    assert_eq!(page.header("access-control-allow-credentials"), "");
    assert_eq!(page.header("access-control-max-age"), "86400");
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let methods = page.header("access-control-allow-methods");
        assert!(methods.contains(method), "{method}");
    }
    for name in [
        "x-stack-access-token",
        "x-hexclave-access-token",
        "x-stack-refresh-token",
        "x-stack-secret-server-key",
        "x-hexclave-override-error-status",
        "x-hexclave-random-nonce",
        "x-stack-client-version",
        "x-stack-allow-anonymous-user",
        "ngrok-skip-browser-warning",
        "content-type",
    ] {
        assert!(
            page.header("access-control-allow-headers").contains(name),
            "{name}"
        );
    }
    // What a script of another origin may read of an answer: without the codes an SDK sees no error at all.
    let page = ask(world, &[("state", "")]).await;
    for name in [
        "retry-after",
        "x-stack-actual-status",
        "x-stack-known-error",
        "x-hexclave-actual-status",
        "x-hexclave-known-error",
    ] {
        let exposed = page.header("access-control-expose-headers");
        assert!(exposed.contains(name), "{name}");
    }
}
