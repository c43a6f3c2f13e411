//! `/oauth/userinfo`, and what our own endpoints accept as an access token.

use super::checks::{
    accepted, compact, forgeries, is_over, names, post, published, refused, text, verified,
    with_bearer,
};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::Browser;
use crate::support::installation::{BASE, TENANT_ID};
use crate::support::relying_party::{RelyingParty, decode};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

on_both_engines! {
    oc_13_get_and_post_say_the_same_with_the_subject_of_the_id_token,
    oc_13_t26_a_client_that_asked_for_it_gets_a_signed_answer,
    oc_14_o21_30_a_missing_a_bad_and_a_weak_token_are_three_answers,
    o21_29_a_token_in_the_address_or_in_two_places_is_refused,
    t10_oc_14_a_token_that_stands_twice_in_the_body_is_refused,
    oc_16_claims_have_their_types_and_empty_ones_are_left_out,
    oc_17_each_scope_releases_its_claims_and_no_other,
    at_06_t26_only_an_access_token_of_ours_for_us_is_accepted,
    at_06_t23_t24_forged_tokens_are_refused,
    at_06_a_token_ends_with_its_lifetime_and_not_before_its_time,
    t30_a_token_of_somebody_disabled_or_removed_is_refused_at_once,
    t26_an_opaque_token_that_is_cut_or_spelled_otherwise_is_refused,
    oc_14_other_methods_and_odd_headers_are_refused,
    seed_002_user_info_is_the_object_that_its_clients_read,
    seed_002_a_refusal_has_the_codes_of_its_clients_beside_the_standard_ones,
}

async fn oc_13_get_and_post_say_the_same_with_the_subject_of_the_id_token(app: &App) {
    for client in [
        RelyingParty::web(),
        RelyingParty::spa(),
        RelyingParty::first_party(),
    ] {
        let tokens = client.tokens(app, "ada").await;
        let token = text(&tokens, "access_token");
        let bearer = format!("Bearer {token}");
        let by_get = client.userinfo(app, token).await;
        assert_eq!(
            (
                by_get.status.as_u16(),
                by_get.header("content-type"),
                by_get.header("cache-control")
            ),
            (200, "application/json", "no-store")
        );
        let empty_post = Browser::new(app)
            .send(
                Method::POST,
                "/oauth/userinfo",
                &[("authorization", &bearer)],
                "",
            )
            .await;
        let form_post = post(
            app,
            "/oauth/userinfo",
            &[],
            &format!("access_token={token}"),
        )
        .await;
        let lower = Browser::new(app)
            .send(
                Method::GET,
                "/oauth/userinfo",
                &[("authorization", &bearer.replace("Bearer", "bearer"))],
                "",
            )
            .await;
        for page in [empty_post, form_post, lower] {
            assert_eq!((page.status.as_u16(), page.json()), (200, by_get.json()));
        }
        assert_eq!(
            by_get.json()["sub"],
            decode(text(&tokens, "id_token")).1["sub"]
        );
        // Seed 002's members.
        let info = by_get.json();
        assert_eq!(
            (&info["object"], &info["instance_id"], &info["user_id"]),
            (&json!("oauth_user_info"), &json!(TENANT_ID), &info["sub"])
        );
    }
}

async fn oc_13_t26_a_client_that_asked_for_it_gets_a_signed_answer(app: &App) {
    let opaque = RelyingParty::opaque();
    let tokens = opaque.tokens(app, "ada").await;
    let page = opaque.userinfo(app, text(&tokens, "access_token")).await;
    assert_eq!(
        (
            page.status.as_u16(),
            page.header("content-type"),
            page.header("cache-control")
        ),
        (200, "application/jwt", "no-store")
    );
    let claims = verified(app, BASE, &page.body, "opaque").await;
    assert_eq!(
        (
            text(&claims, "iss"),
            text(&claims, "aud"),
            text(&claims, "email")
        ),
        (BASE, "opaque", "ada@acme.test")
    );
    assert_eq!(claims["sub"], decode(text(&tokens, "id_token")).1["sub"]);
    // It is no access token (T26), and no ID token that could be a hint.
    is_over(&opaque.userinfo(app, &page.body).await);
    let mut browser = Browser::new(app);
    browser.authorize(&opaque.request(&[]), "ada").await;
    let hinted = browser
        .get(&opaque.request(&[("id_token_hint", &page.body), ("prompt", "none")]))
        .await;
    assert_eq!(hinted.answer()["error"], "invalid_request");
    let asked = browser
        .get(&format!("/oauth/logout?id_token_hint={}", page.body))
        .await;
    assert!(asked.form().action.ends_with("/sign-out"));
}

async fn oc_14_o21_30_a_missing_a_bad_and_a_weak_token_are_three_answers(app: &App) {
    for headers in [
        vec![],
        vec![("authorization", "Basic d2ViOng=")],
        vec![("authorization", "DPoP x")],
    ] {
        let page = Browser::new(app)
            .send(Method::GET, "/oauth/userinfo", &headers, "")
            .await;
        refused(&page, 401, "invalid_token");
        // OAuth 2.1, 5.3: a bare challenge.
        assert_eq!(
            page.header("www-authenticate"),
            format!("Bearer realm=\"{BASE}\"")
        );
    }
    for bad in ["x", "eyJ.x.y", "oat_x", "null", "undefined", "..", "a b"] {
        let page = with_bearer(app, "/oauth/userinfo", bad).await;
        refused(&page, 401, "invalid_token");
        assert!(
            page.header("www-authenticate").starts_with(&format!(
                "Bearer realm=\"{BASE}\", error=\"invalid_token\", error_description=\""
            )),
            "{}",
            page.header("www-authenticate")
        );
        assert_eq!(app.last_detail(), "not an access token of this issuer");
    }
    let web = RelyingParty {
        scope: "reports.read",
        ..RelyingParty::web()
    };
    let tokens = web.tokens(app, "ada").await;
    let page = web.userinfo(app, text(&tokens, "access_token")).await;
    refused(&page, 403, "insufficient_scope");
    assert!(
        page.header("www-authenticate")
            .contains("error=\"insufficient_scope\"")
            && page.header("www-authenticate").contains("scope=\"openid\""),
        "{}",
        page.header("www-authenticate")
    );
    // What was wrong with it in detail is not told to the caller.
    assert!(!page.body.contains("family"));
}

async fn o21_29_a_token_in_the_address_or_in_two_places_is_refused(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    let token = text(&tokens, "access_token");
    let bearer = format!("Bearer {token}");
    for path in ["/oauth/userinfo", "/api/id/v1/auth/userinfo"] {
        for method in [Method::GET, Method::POST] {
            let page = Browser::new(app)
                .send(
                    method.clone(),
                    &format!("{path}?access_token={token}"),
                    &[("accept", "application/json")],
                    "",
                )
                .await;
            refused(&page, 400, "invalid_request");
            let page = Browser::new(app)
                .send(
                    method,
                    &format!("{path}?access_token={token}"),
                    &[("authorization", &bearer)],
                    "",
                )
                .await;
            refused(&page, 400, "invalid_request");
        }
        let page = Browser::new(app)
            .send(
                Method::GET,
                &format!("{path}?access_token={token}&access_token={token}"),
                &[("accept", "application/json")],
                "",
            )
            .await;
        refused(&page, 400, "invalid_request");
        refused(
            &post(
                app,
                path,
                &[("authorization", &bearer)],
                &format!("access_token={token}"),
            )
            .await,
            400,
            "invalid_request",
        );
        refused(
            &post(
                app,
                path,
                &[("authorization", &bearer), ("authorization", &bearer)],
                "",
            )
            .await,
            400,
            "invalid_request",
        );
        // A body counts only as a form, and only in a POST.
        let page = Browser::new(app)
            .send(
                Method::POST,
                path,
                &[("content-type", "application/json")],
                &format!("{{\"access_token\":\"{token}\"}}"),
            )
            .await;
        refused(&page, 400, "invalid_request");
        let page = Browser::new(app)
            .send(
                Method::GET,
                path,
                &[("content-type", "application/x-www-form-urlencoded")],
                &format!("access_token={token}"),
            )
            .await;
        refused(&page, 401, "invalid_token");
    }
}

async fn t10_oc_14_a_token_that_stands_twice_in_the_body_is_refused(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    let token = text(&tokens, "access_token");
    refused(
        &post(
            app,
            "/oauth/userinfo",
            &[],
            &format!("access_token={token}&access_token={token}"),
        )
        .await,
        400,
        "invalid_request",
    );
    refused(
        &post(app, "/oauth/userinfo", &[], "access_token=%ff").await,
        400,
        "invalid_request",
    );
}

async fn oc_16_claims_have_their_types_and_empty_ones_are_left_out(app: &App) {
    let web = RelyingParty {
        scope: "openid profile email address phone public_metadata private_metadata",
        ..RelyingParty::web()
    };
    let info = web
        .userinfo(app, text(&web.tokens(app, "ada").await, "access_token"))
        .await
        .json();
    assert_eq!(
        (&info["email_verified"], &info["phone_number_verified"]),
        (&json!(true), &json!(false))
    );
    assert!(info["updated_at"].is_u64());
    assert_eq!(info["address"], json!({"country": "GB"}));
    assert_eq!(
        (&info["name"], &info["groups"], &info["locale"]),
        (&json!("Ada Lovelace"), &json!(["admin"]), &json!("en"))
    );
    assert_eq!(
        (
            &info["public_metadata"],
            &info["unsafe_metadata"],
            &info["private_metadata"]
        ),
        (
            &json!({"plan": "pro"}),
            &json!({"theme": "dark"}),
            &json!({"crm_id": "42"})
        )
    );
    let info = web
        .userinfo(app, text(&web.tokens(app, "bob").await, "access_token"))
        .await
        .json();
    assert_eq!(info["email_verified"], json!(false));
    for (name, value) in info.as_object().unwrap() {
        assert!(!value.is_null() && value != "", "{name}");
    }
    for absent in [
        "address",
        "phone_number",
        "phone_number_verified",
        "picture",
        "given_name",
        "locale",
        "groups",
        "birthdate",
    ] {
        assert!(info.get(absent).is_none(), "{absent}");
    }
}

async fn oc_17_each_scope_releases_its_claims_and_no_other(app: &App) {
    let always = ["sub", "object", "instance_id", "user_id"];
    let profile = [
        "name",
        "given_name",
        "family_name",
        "preferred_username",
        "username",
        "picture",
        "locale",
        "groups",
        "updated_at",
    ];
    let table: &[(&'static str, &[&str])] = &[
        ("openid", &[]),
        ("openid email", &["email", "email_verified"]),
        ("openid phone", &["phone_number", "phone_number_verified"]),
        ("openid address", &["address"]),
        ("openid profile", &profile),
        ("profile", &profile),
        (
            "openid public_metadata",
            &["public_metadata", "unsafe_metadata"],
        ),
        ("openid private_metadata", &["private_metadata"]),
        ("openid offline_access", &[]),
    ];
    for (scope, released) in table {
        let web = RelyingParty {
            scope,
            ..RelyingParty::web()
        };
        let info = web
            .userinfo(app, text(&web.tokens(app, "ada").await, "access_token"))
            .await
            .json();
        let expected: BTreeSet<&str> = always.iter().chain(*released).copied().collect();
        assert_eq!(names(&info), expected, "{scope}");
    }
}

async fn at_06_t26_only_an_access_token_of_ours_for_us_is_accepted(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    let code = web.code(app, "ada").await;
    for (name, wrong) in [
        ("ID token", text(&tokens, "id_token")),
        ("refresh token", text(&tokens, "refresh_token")),
        ("code", code.as_str()),
    ] {
        is_over(&web.userinfo(app, wrong).await);
        assert_eq!(
            app.last_detail(),
            "not an access token of this issuer",
            "{name}"
        );
    }
    // An access token is no hint.
    let page = Browser::new(app)
        .get(&web.request(&[
            ("id_token_hint", text(&tokens, "access_token")),
            ("prompt", "none"),
        ]))
        .await;
    assert_eq!(page.answer()["error"], "invalid_request");
    // Nor is a token for an API one for us.
    let api = RelyingParty {
        scope: "reports.read",
        ..RelyingParty::web()
    };
    let url = format!("{}&resource=https://api.acme.test/", api.request(&[]));
    let page = Browser::new(app).authorize(&url, "ada").await;
    let tokens = api.exchange(app, &page.answer()["code"]).await.json();
    is_over(&api.userinfo(app, text(&tokens, "access_token")).await);
    assert_eq!(app.last_detail(), "meant for another audience");
}

async fn at_06_t23_t24_forged_tokens_are_refused(app: &App) {
    // With the key that signs it, so that only the forgery is wrong: every kind of our own keys is tried.
    for client in [RelyingParty::web(), RelyingParty::first_party()] {
        let tokens = client.tokens(app, "ada").await;
        let good = text(&tokens, "access_token");
        let (header, claims) = decode(good);
        let jwk = published(app, &header).await;
        let mut all = forgeries(good, &header, &claims, &jwk);
        // The ID token's key and header around an access token's claims, and the other way round.
        let (id_header, id_claims) = decode(text(&tokens, "id_token"));
        all.push((
            "an ID token's header".to_owned(),
            compact(&id_header, &claims, |_| vec![1; 64]),
        ));
        all.push((
            "an ID token's claims".to_owned(),
            compact(&header, &id_claims, |_| vec![1; 64]),
        ));
        for (name, token) in &all {
            let page = client.userinfo(app, token).await;
            assert_eq!(page.status, 401, "{name}");
            refused(&page, 401, "invalid_token");
            let page = RelyingParty::machine("auditor")
                .introspect(app, token)
                .await;
            assert_eq!(
                (page.status.as_u16(), page.body.as_str()),
                (200, "{\"active\":false}"),
                "{name}"
            );
            let page = RelyingParty::machine("auditor")
                .post_with(app, "/oauth/introspect", &[("token", good)], &[])
                .await;
            assert_eq!(page.json()["active"], json!(true), "{name}");
        }
        accepted(&client.userinfo(app, good).await);
        let hints = forgeries(text(&tokens, "id_token"), &id_header, &id_claims, &jwk);
        for (name, hint) in hints
            .iter()
            .filter(|(_, hint)| hint.len() < 3000 && !hint.is_empty())
        {
            let page = Browser::new(app)
                .get(&client.request(&[("id_token_hint", hint), ("prompt", "none")]))
                .await;
            assert_eq!(page.answer()["error"], "invalid_request", "{name}");
        }
    }
}

async fn at_06_a_token_ends_with_its_lifetime_and_not_before_its_time(app: &App) {
    for client in [RelyingParty::web(), RelyingParty::opaque()] {
        let tokens = client.tokens(app, "ada").await;
        app.server.advance(599);
        accepted(&client.userinfo(app, text(&tokens, "access_token")).await);
        app.server.advance(1);
        is_over(&client.userinfo(app, text(&tokens, "access_token")).await);
        assert_eq!(app.last_detail(), "expired");
    }
}

async fn t30_a_token_of_somebody_disabled_or_removed_is_refused_at_once(app: &App) {
    for client in [RelyingParty::web(), RelyingParty::opaque()] {
        let tokens = client.tokens(app, "bob").await;
        for action in ["disable", "enable"] {
            app.user(action, "bob").await;
            is_over(&client.userinfo(app, text(&tokens, "access_token")).await);
        }
    }
    let tokens = RelyingParty::web().tokens(app, "bob").await;
    app.user("remove", "bob").await;
    is_over(
        &RelyingParty::web()
            .userinfo(app, text(&tokens, "access_token"))
            .await,
    );
    let tokens = RelyingParty::first_party().tokens(app, "ada").await;
    app.server
        .perform(
            json!({"action": "client_remove", "tenant": "default", "client_id": "first-party"}),
        )
        .await
        .unwrap();
    is_over(
        &RelyingParty::first_party()
            .userinfo(app, text(&tokens, "access_token"))
            .await,
    );
}

async fn t26_an_opaque_token_that_is_cut_or_spelled_otherwise_is_refused(app: &App) {
    let opaque = RelyingParty::opaque();
    let tokens = opaque.tokens(app, "ada").await;
    let token = text(&tokens, "access_token");
    let mut guessed = token.to_owned().into_bytes();
    guessed[60] = if guessed[60] == b'A' { b'B' } else { b'A' };
    for odd in [
        &token[..67],
        &token[..36],
        &format!("{token}A"),
        &format!("{token}="),
        &token.to_lowercase(),
        &token[4..],
        &format!(" {token}"),
        &String::from_utf8(guessed).unwrap(),
    ] {
        is_over(&opaque.userinfo(app, odd).await);
    }
    accepted(&opaque.userinfo(app, token).await);
}

async fn oc_14_other_methods_and_odd_headers_are_refused(app: &App) {
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let page = Browser::new(app)
            .send(method, "/oauth/userinfo", &[], "")
            .await;
        refused(&page, 405, "invalid_request");
        assert_eq!(page.header("allow"), "GET, POST");
    }
    // Keycloak CVE-2026-9803: a header without a value.
    for header in ["Bearer", "Bearer ", "bearer  "] {
        let page = Browser::new(app)
            .send(
                Method::GET,
                "/oauth/userinfo",
                &[("authorization", header)],
                "",
            )
            .await;
        assert!(
            [400, 401].contains(&page.status.as_u16()),
            "{header:?} {}",
            page.status
        );
        let error = page.json()["error"].as_str().map(str::to_owned).unwrap();
        refused(&page, page.status.as_u16(), &error);
    }
    let page = Browser::new(app)
        .send(Method::GET, "/oauth/userinfo", &[("authorization", "")], "")
        .await;
    assert!(
        [400, 401].contains(&page.status.as_u16()),
        "{}",
        page.status
    );
    let _: Value = page.json();
}

async fn seed_002_user_info_is_the_object_that_its_clients_read(app: &App) {
    let web = RelyingParty {
        scope: "profile email public_metadata private_metadata",
        ..RelyingParty::web()
    };
    let tokens = web.tokens(app, "ada").await;
    let mut info = web
        .userinfo(app, text(&tokens, "access_token"))
        .await
        .json();
    let sub = info["sub"].clone();
    assert!(info["updated_at"].take().is_u64());
    assert_eq!(
        info,
        json!({
            "object": "oauth_user_info",
            "instance_id": TENANT_ID,
            "user_id": sub,
            "sub": sub,
            "email": "ada@acme.test",
            "email_verified": true,
            "family_name": "Lovelace",
            "given_name": "Ada",
            "name": "Ada Lovelace",
            "username": "ada",
            "preferred_username": "ada",
            "picture": "https://web.acme.test/ada.png",
            "locale": "en",
            "groups": ["admin"],
            "updated_at": null,
            "public_metadata": {"plan": "pro"},
            "unsafe_metadata": {"theme": "dark"},
            "private_metadata": {"crm_id": "42"},
        })
    );
}

async fn seed_002_a_refusal_has_the_codes_of_its_clients_beside_the_standard_ones(app: &App) {
    let weak = RelyingParty {
        scope: "reports.read",
        ..RelyingParty::web()
    };
    let weak = weak.tokens(app, "ada").await;
    let weak = format!("Bearer {}", text(&weak, "access_token"));
    let machine = RelyingParty::machine("machine")
        .for_itself(app)
        .await
        .json();
    let machine = format!("Bearer {}", text(&machine, "access_token"));
    #[rustfmt::skip]
    let table: &[(&str, &str, u16, &str, &str)] = &[
        ("",         "",                401, "invalid_token",      "oauth_fetch_user_error"),
        ("Bearer x", "",                401, "invalid_token",      "oauth_fetch_user_error"),
        (&weak,      "",                403, "insufficient_scope", "oauth_fetch_user_forbidden_error"),
        (&machine,   "",                403, "insufficient_scope", "oauth_fetch_user_forbidden_error"),
        (&weak,      "?access_token=x", 400, "invalid_request",    "oauth_fetch_user_error"),
        ("Bearer",   "",                400, "invalid_request",    "oauth_fetch_user_error"),
    ];
    for path in ["/oauth/userinfo", "/api/id/v1/auth/userinfo"] {
        for method in [Method::GET, Method::POST] {
            for (header, query, status, error, code) in table {
                let headers = [("authorization", *header)];
                let page = Browser::new(app)
                    .send(
                        method.clone(),
                        &format!("{path}{query}"),
                        &headers[usize::from(header.is_empty())..],
                        "",
                    )
                    .await;
                refused(&page, *status, error);
                let body = page.json();
                assert_eq!(text(&body["errors"][0], "code"), *code, "{path} {header}");
                assert_eq!(body["errors"][0]["long_message"], body["error_description"]);
                assert!(
                    page.header("www-authenticate")
                        .starts_with("Bearer realm=\"")
                );
                // The trace id is the reference that the log has.
                let reference = text(&body, "clerk_trace_id");
                assert!(
                    app.log()
                        .lines()
                        .any(|line| line.contains(reference) && line.contains(error))
                );
            }
        }
    }
}
