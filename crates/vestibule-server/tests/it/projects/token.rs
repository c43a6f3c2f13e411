//! `POST /auth/oauth/token` of the project API: what a code and a refresh token bring, and every way in which they do not.

use crate::support::browser::Page;
use crate::support::installation::TENANT_ID;
use crate::support::project::{
    ADMIN_KEY, CALLBACK, PUBLISHABLE, SECRET_KEY, World, in_both_worlds,
};
use crate::support::relying_party::{RelyingParty, VERIFIER, decode};
use http::{Method, StatusCode};
use serde_json::{Value, json};

in_both_worlds! {
    a_code_and_a_refresh_token_become_access_tokens,
    t44_the_access_token_says_what_the_sdks_read_and_no_more,
    a_body_of_json_is_as_good_as_a_form,
    a_code_that_is_wrong_is_refused,
    a_code_counts_once_and_its_replay_ends_what_it_brought,
    keys_and_clients_are_held_as_the_seed_says,
    a_refresh_token_that_is_wrong_is_refused_by_the_code_that_sdks_know,
    a_malformed_request_is_named,
    no_answer_of_this_endpoint_hides_its_body,
    a_project_that_demands_a_key_gets_one,
    tokens_of_the_standard_endpoints_do_not_pass,
}

fn error(page: &Page) -> (u16, String) {
    let code = page.header("x-stack-known-error").to_owned();
    assert_eq!(page.header("x-hexclave-known-error"), code);
    assert_eq!(page.json()["code"], code, "SDKs compare header and body");
    assert!(
        page.json()["error"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    assert_eq!(
        page.header("www-authenticate"),
        "",
        "it would hide the body"
    );
    (page.status.as_u16(), code)
}

async fn code(world: &World<'_>) -> String {
    world
        .answer("mary", &[])
        .await
        .answer()
        .remove("code")
        .unwrap()
}

async fn a_code_and_a_refresh_token_become_access_tokens(world: &World<'_>) {
    let answer = world
        .answer(
            "mary",
            &[(
                "after_callback_redirect_url",
                "https://app.acme.test/home?x=1",
            )],
        )
        .await;
    let page = world.redeem(&answer.answer()["code"]).await;
    assert_eq!(page.header("pragma"), "no-cache");
    assert_eq!(page.header("cache-control"), "no-store, max-age=0");
    assert_eq!(page.header("access-control-allow-origin"), "*");
    let tokens = page.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["scope"], "legacy");
    assert_eq!(
        (&tokens["is_new_user"], &tokens["newUser"]),
        (&json!(true), &json!(true))
    );
    for name in ["after_callback_redirect_url", "afterCallbackRedirectUrl"] {
        assert_eq!(tokens[name], "https://app.acme.test/home?x=1");
    }
    assert_eq!(tokens.get("id_token"), None);
    let claims = decode(tokens["access_token"].as_str().unwrap()).1;
    let (iat, exp) = (
        claims["iat"].as_i64().unwrap(),
        claims["exp"].as_i64().unwrap(),
    );
    assert_eq!(tokens["expires_in"], exp - iat, "the truth");
    // The refresh token stays what it is, however often it is used.
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    for _ in 0..3 {
        world.app.server.advance(600);
        let page = world.refresh(refresh_token).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let fresh = page.json();
        assert_eq!(fresh.get("refresh_token"), None);
        assert_eq!(fresh.get("is_new_user"), None);
        let again = decode(fresh["access_token"].as_str().unwrap()).1;
        assert_eq!(
            (&again["sub"], &again["refresh_token_id"]),
            (&claims["sub"], &claims["refresh_token_id"])
        );
        assert_eq!(again["iat"], world.app.server.now());
    }
    assert_eq!(world.sign_in("mary").await["is_new_user"], false);
}

async fn t44_the_access_token_says_what_the_sdks_read_and_no_more(world: &World<'_>) {
    let (header, claims) = decode(
        world.sign_in("mary").await["access_token"]
            .as_str()
            .unwrap(),
    );
    assert_eq!(header["alg"], "ES256");
    assert_eq!(
        claims["iss"],
        format!("http://127.0.0.1:8080/api/v1/projects/{TENANT_ID}")
    );
    for (name, expected) in [
        ("aud", json!(TENANT_ID)),
        ("project_id", json!(TENANT_ID)),
        ("branch_id", json!("main")),
        ("role", json!("authenticated")),
        ("name", json!("Mary Somerville")),
        ("email", json!("mary@example.org")),
        ("email_verified", json!(true)),
        ("selected_team_id", Value::Null),
        ("is_anonymous", json!(false)),
        ("is_restricted", json!(false)),
        ("restricted_reason", Value::Null),
        ("requires_totp_mfa", json!(false)),
    ] {
        assert_eq!(claims.get(name), Some(&expected), "{name}");
    }
    assert!(claims["signed_up_at"].is_i64() && claims["refresh_token_id"].is_string());
}

async fn post(world: &World<'_>, kind: &str, body: &str) -> Page {
    let headers = [("content-type", kind), ("accept", "application/json")];
    world
        .browser()
        .send(Method::POST, "/api/v1/auth/oauth/token", &headers, body)
        .await
}

async fn a_body_of_json_is_as_good_as_a_form(world: &World<'_>) {
    let body = json!({
        "grant_type": "authorization_code", "client_id": format!("{TENANT_ID}#main"), "client_secret": "__stack_public_client__",
        "code": code(world).await, "redirect_uri": CALLBACK, "code_verifier": VERIFIER,
    });
    let page = post(world, "application/json; charset=utf-8", &body.to_string()).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    for (kind, body) in [
        ("text/plain", "grant_type=refresh_token"),
        ("application/octet-stream", "x"),
        ("application/json", "[]"),
        ("application/json", "{"),
        ("application/json", "{\"code\":1}"),
        ("application/x-www-form-urlencoded", "%ff=%ff"),
    ] {
        let page = post(world, kind, body).await;
        assert_eq!(
            error(&page),
            (400, "BODY_PARSING_ERROR".to_owned()),
            "{kind} {body}"
        );
        assert!(page.json()["details"]["message"].is_string());
    }
}

async fn a_code_that_is_wrong_is_refused(world: &World<'_>) {
    let good = code(world).await;
    let foreign = RelyingParty::spa().code(world.app, "ada").await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", good.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let mut unknown = good.clone();
    let last = unknown.pop().unwrap();
    unknown.push(if last == 'A' { 'E' } else { 'A' });
    // The last column is for our log: every refusal reads the same.
    #[rustfmt::skip]
    let table = [
        ("code",          "x",                                             "not in the form of a code"),
        ("code",          "",                                              "not in the form of a code"),
        ("code",          foreign.as_str(),                                "another client"),
        ("code",          unknown.as_str(),                                "the secret of the code is wrong"),
        ("code_verifier", "",                                              "code_verifier is missing"),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXx",   "code_verifier is wrong"),
        ("code_verifier", crate::support::relying_party::CHALLENGE,        "code_verifier is wrong"),
        ("redirect_uri",  "",                                              "redirect_uri is missing"),
        ("redirect_uri",  "https://app.acme.test/handler/other",           "redirect_uri is not the one"),
        ("redirect_uri",  "https://app.acme.test/handler/oauth-callback/", "redirect_uri is not the one"),
    ];
    for (name, value, detail) in table {
        let mut fields = fields;
        fields
            .iter_mut()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1 = value;
        let page = world.token(&fields).await;
        assert_eq!(
            error(&page),
            (400, "INVALID_AUTHORIZATION_CODE".to_owned()),
            "{name}={value}"
        );
        let said = world.app.last_detail();
        assert!(said.contains(detail), "{name}={value}: {said}");
    }
    // None of that used it up.
    assert_eq!(world.redeem(&good).await.status, StatusCode::OK);
    let late = code(world).await;
    world.app.server.advance(5 * 60);
    assert_eq!(
        error(&world.redeem(&late).await).1,
        "INVALID_AUTHORIZATION_CODE"
    );
    // A code of the project API is none for a client.
    let spa = RelyingParty::spa()
        .exchange(world.app, &code(world).await)
        .await;
    assert_eq!(spa.json()["error"], "invalid_grant");
}

async fn a_code_counts_once_and_its_replay_ends_what_it_brought(world: &World<'_>) {
    let code = code(world).await;
    let tokens = world.redeem(&code).await.json();
    assert_eq!(
        error(&world.redeem(&code).await),
        (400, "INVALID_AUTHORIZATION_CODE".to_owned())
    );
    let page = world
        .refresh(tokens["refresh_token"].as_str().unwrap())
        .await;
    assert_eq!(
        error(&page),
        (401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED".to_owned())
    );
}

async fn keys_and_clients_are_held_as_the_seed_says(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let ask = async |changed: (&'static str, &str)| {
        world
            .token(&[
                ("grant_type", "refresh_token"),
                ("refresh_token", refresh_token),
                changed,
            ])
            .await
    };
    for good in ["__stack_public_client__", PUBLISHABLE, ""] {
        assert_eq!(
            ask(("client_secret", good)).await.status,
            StatusCode::OK,
            "{good}"
        );
    }
    // A confidential key has no business in a browser, and is not taken from one.
    for bad in ["pck_wrong", SECRET_KEY, ADMIN_KEY] {
        let page = ask(("client_secret", bad)).await;
        assert_eq!(
            error(&page),
            (401, "INVALID_PUBLISHABLE_CLIENT_KEY".to_owned()),
            "{bad}"
        );
        assert_eq!(page.json()["details"], json!({ "project_id": TENANT_ID }));
    }
    for bad in [
        "",
        "spa",
        "internal",
        "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a02",
        "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a01#dev",
    ] {
        let page = ask(("client_id", bad)).await;
        assert_eq!(
            error(&page),
            (400, "INVALID_OAUTH_CLIENT_ID_OR_SECRET".to_owned()),
            "{bad}"
        );
        assert_eq!(page.json()["details"]["client_id"], bad);
    }
    let revoke = json!({ "action": "api_key_revoke", "tenant": "default", "name": "browser" });
    world.app.server.perform(revoke).await.unwrap();
    assert_eq!(
        error(&ask(("client_secret", PUBLISHABLE)).await).1,
        "INVALID_PUBLISHABLE_CLIENT_KEY"
    );
}

async fn a_refresh_token_that_is_wrong_is_refused_by_the_code_that_sdks_know(world: &World<'_>) {
    let refused = (401, "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED".to_owned());
    let of_spa = RelyingParty::spa();
    let foreign = of_spa
        .exchange(world.app, &of_spa.code(world.app, "ada").await)
        .await
        .json();
    let mut tokens = vec!["x".to_owned(), String::new()];
    tokens.extend(foreign["refresh_token"].as_str().map(str::to_owned));
    for token in tokens {
        assert_eq!(error(&world.refresh(&token).await), refused, "{token}");
    }
    let mary = world.sign_in("mary").await;
    let token = mary["refresh_token"].as_str().unwrap();
    let subject = decode(mary["access_token"].as_str().unwrap()).1["sub"].clone();
    let action = json!({ "action": "user_sign_out", "tenant": "default", "user": subject });
    world.app.server.perform(action).await.unwrap();
    assert_eq!(error(&world.refresh(token).await), refused);
    let mary = world.sign_in("mary").await;
    world.app.server.advance(366 * 86_400);
    assert_eq!(
        error(&world.refresh(mary["refresh_token"].as_str().unwrap()).await),
        refused
    );
}

async fn a_malformed_request_is_named(world: &World<'_>) {
    for grant_type in ["", "password", "client_credentials", "AUTHORIZATION_CODE"] {
        let page = world.token(&[("grant_type", grant_type)]).await;
        assert_eq!(
            error(&page),
            (400, "SCHEMA_ERROR".to_owned()),
            "{grant_type}"
        );
        assert!(
            page.json()["details"]["message"]
                .as_str()
                .unwrap()
                .contains("body.grant_type")
        );
    }
    let body = format!("client_id={TENANT_ID}&client_id={TENANT_ID}&grant_type=refresh_token");
    let page = post(world, "application/x-www-form-urlencoded", &body).await;
    assert_eq!(error(&page), (400, "SCHEMA_ERROR".to_owned()));
    let mut browser = world.browser();
    let page = browser
        .send(Method::GET, "/api/v1/auth/oauth/token", &[], "")
        .await;
    assert_eq!(
        (page.status, page.header("allow")),
        (StatusCode::METHOD_NOT_ALLOWED, "POST")
    );
}

async fn no_answer_of_this_endpoint_hides_its_body(world: &World<'_>) {
    // The SDKs ask with a header, and then read the real status in another.
    for family in crate::support::project::FAMILIES {
        let headers = [("override-error-status", "true")];
        let body =
            json!({ "client_id": TENANT_ID, "grant_type": "refresh_token", "refresh_token": "x" });
        let page = world
            .call_in(
                family,
                Method::POST,
                "/auth/oauth/token",
                &headers,
                Some(body),
            )
            .await;
        assert_eq!(page.status, StatusCode::OK);
        for family in crate::support::project::FAMILIES {
            assert_eq!(page.header(&format!("{family}actual-status")), "401");
            assert_ne!(page.header(&format!("{family}request-id")), "");
        }
        error(&page);
    }
}

async fn a_project_that_demands_a_key_gets_one(world: &World<'_>) {
    let tokens = world.sign_in("mary").await;
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    world
        .set_policy(json!({ "publishable_key": "required" }))
        .await;
    for absent in ["__stack_public_client__", ""] {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
            ("client_secret", absent),
        ];
        let page = world.token(&fields).await;
        assert_eq!(
            error(&page),
            (
                401,
                "PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT".to_owned()
            )
        );
        assert_eq!(page.json()["details"], json!({ "project_id": TENANT_ID }));
        let page = world
            .browser()
            .send(
                Method::GET,
                &World::authorize_url(&[("client_secret", absent)]),
                &[("accept", "*/*")],
                "",
            )
            .await;
        assert_eq!(
            error(&page),
            (
                401,
                "PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT".to_owned()
            )
        );
    }
    assert_eq!(world.refresh(refresh_token).await.status, StatusCode::OK);
}

async fn tokens_of_the_standard_endpoints_do_not_pass(world: &World<'_>) {
    let mary = world.sign_in("mary").await;
    // A project's token opens nothing at the standard endpoints, and its refresh token is no client's.
    let page = RelyingParty::web()
        .userinfo(world.app, mary["access_token"].as_str().unwrap())
        .await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    let page = RelyingParty::spa()
        .refresh(world.app, mary["refresh_token"].as_str().unwrap())
        .await;
    assert_eq!(page.json()["error"], "invalid_grant");
}
