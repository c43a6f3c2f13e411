//! `/oauth/token`: client authentication, codes, client credentials. Refresh tokens have a file of their own.

use super::checks::{
    accepted, get, grant_refused, inactive, is_over, names, no_grant, post, refused, text,
    together, verified, with_bearer,
};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::installation::{BASE, SECRET};
use crate::support::relying_party::{CHALLENGE, RelyingParty, VERIFIER, decode};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use serde_json::json;
use std::collections::BTreeSet;

on_both_engines! {
    t13_o21_02_oc_23_md_05_only_the_registered_method_with_its_proof_passes,
    o21_07_two_methods_at_once_are_refused,
    o21_08_oc_30_a_secret_in_the_address_is_refused_and_not_logged,
    o21_09_guessing_a_secret_is_slowed_down_for_the_guesser_alone,
    o21_10_basic_is_form_decoded_and_a_failure_has_a_challenge,
    o21_13_post_only_forms_only_unknown_ignored,
    t10_o21_13_a_repeated_parameter_is_refused,
    o21_14_oc_12_bcp_13_a_success_is_bearer_json_that_nobody_keeps,
    o21_15_t67_every_error_is_registered_json_with_an_ascii_description,
    o21_18_a_code_lives_for_a_minute,
    o21_18_o21_25_t06_bcp_15_a_stolen_code_is_worth_nothing_and_stays_its_owners,
    t08_o21_20_bcp_02_a_verifier_if_and_only_if_there_was_a_challenge,
    t09_o21_21_of_fifty_redemptions_at_once_one_wins,
    t09_o21_22_reuse_of_a_code_ends_what_it_produced,
    o21_22_an_invalid_reuse_of_a_code_ends_nothing,
    o21_23_redirect_uri_is_compared_where_it_is_sent,
    o21_24_at_05_o21_32_client_credentials_are_for_confidential_clients_and_give_no_refresh_token,
    o21_34_every_handle_is_new_and_long,
    o21_44_bcp_08_other_grant_types_are_unknown,
    oc_01_oc_10_oc_11_an_id_token_verifies_and_says_what_core_asks_for,
    oc_05_without_openid_there_is_no_id_token,
    oc_10_nonce_is_there_if_and_only_if_it_was_sent,
    at_01_at_02_at_03_at_07_an_access_token_is_what_rfc_9068_says,
    at_04_bcp_07_without_resource_the_audience_is_our_own_and_a_resource_never_widens,
    t07_every_opaque_handle_is_refused_by_every_other_consumer,
    t18_a_token_request_cannot_widen_the_scope,
    t26_a_code_that_is_cut_extended_or_spelled_otherwise_is_refused,
    t11_t67_hostile_bodies_are_refused_and_never_a_5xx,
    a_code_of_somebody_disabled_or_signed_out_is_refused,
    at_01_o21_18_lifetimes_and_algorithms_are_those_of_the_clients_policy,
    bcp_07_at_04_a_token_is_for_the_resource_that_was_named,
    t13_only_the_log_says_what_was_wrong_with_a_proof,
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A client, what it sends, and the error that it gets.
type Row<'a> = (&'a RelyingParty, &'a [(&'a str, &'a str)], &'a str);

async fn t13_o21_02_oc_23_md_05_only_the_registered_method_with_its_proof_passes(app: &App) {
    let grant = "grant_type=refresh_token&refresh_token=x";
    let secret = encoded(SECRET);
    for (id, registered) in [
        ("web", "basic"),
        ("opaque", "basic"),
        ("web-post", "post"),
        ("spa", "none"),
        ("native", "none"),
    ] {
        let right = basic(id, &secret);
        let wrong = basic(id, "wrong");
        let empty = basic(id, "");
        let other = basic("gateway", &secret);
        let presented: &[(&str, Option<&str>, String)] = &[
            ("basic", Some(&right), grant.to_owned()),
            ("", Some(&wrong), grant.to_owned()),
            ("", Some(&empty), grant.to_owned()),
            (
                "post",
                None,
                format!("{grant}&client_id={id}&client_secret={secret}"),
            ),
            (
                "",
                None,
                format!("{grant}&client_id={id}&client_secret=wrong"),
            ),
            ("none", None, format!("{grant}&client_id={id}")),
            (
                "none",
                None,
                format!("{grant}&client_id={id}&client_secret="),
            ),
            ("", None, grant.to_owned()),
            ("", Some("Basic"), grant.to_owned()),
            ("", Some("Bearer x"), grant.to_owned()),
            (
                "",
                Some(&right.replace("Basic ", "Digest ")),
                grant.to_owned(),
            ),
            (
                "",
                None,
                format!(
                    "{grant}&client_id={id}&client_assertion=eyJhbGciOiJub25lIn0.e30.&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
                ),
            ),
        ];
        for (method, header, body) in presented {
            let headers: Vec<(&str, &str)> = header
                .iter()
                .map(|value| ("authorization", *value))
                .collect();
            let page = post(app, "/oauth/token", &headers, body).await;
            if *method == registered {
                // The proof holds: what is wrong now is the grant.
                grant_refused(&page);
            } else {
                refused(&page, 401, "invalid_client");
                assert!(
                    page.header("www-authenticate").starts_with("Basic realm="),
                    "{}",
                    page.header("www-authenticate")
                );
                assert!(!app.last_detail().is_empty());
            }
        }
        // Another client's proof does not become this one's.
        let page = post(
            app,
            "/oauth/token",
            &[("authorization", &other)],
            &format!("{grant}&client_id={id}"),
        )
        .await;
        refused(&page, 400, "invalid_request");
        app.server.advance(3600);
    }
    let unknown = post(
        app,
        "/oauth/token",
        &[("authorization", &basic("nobody", "x"))],
        grant,
    )
    .await;
    let wrong = post(
        app,
        "/oauth/token",
        &[("authorization", &basic("web", "x"))],
        grant,
    )
    .await;
    assert_eq!(
        unknown.json()["error_description"],
        wrong.json()["error_description"]
    );
    assert_eq!(app.last_detail(), "wrong secret");
}

async fn o21_07_two_methods_at_once_are_refused(app: &App) {
    let web = RelyingParty::web();
    let secret = encoded(SECRET);
    let grant = "grant_type=client_credentials";
    for body in [
        format!("{grant}&client_secret={secret}"),
        format!("{grant}&client_id=web&client_secret={secret}"),
        format!("{grant}&client_id=spa"),
        format!("{grant}&client_id=web&client_id=web"),
        format!("{grant}&client_secret=a&client_secret=b"),
    ] {
        let page = post(
            app,
            "/oauth/token",
            &[("authorization", &web.basic())],
            &body,
        )
        .await;
        refused(&page, 400, "invalid_request");
    }
    let page = post(
        app,
        "/oauth/token",
        &[
            ("authorization", &web.basic()),
            ("authorization", &web.basic()),
        ],
        grant,
    )
    .await;
    refused(&page, 400, "invalid_request");
    let page = post(
        app,
        "/oauth/token",
        &[("authorization", &web.basic())],
        &format!("{grant}&client_id=web"),
    )
    .await;
    assert_eq!(page.status, 200);
}

async fn o21_08_oc_30_a_secret_in_the_address_is_refused_and_not_logged(app: &App) {
    let post_client = RelyingParty::web_post();
    let code = post_client.code(app, "ada").await;
    let form = format!(
        "grant_type=authorization_code&code={code}&redirect_uri={}&code_verifier={VERIFIER}",
        encoded(post_client.redirect_uri)
    );
    let secret = encoded(SECRET);
    for path in [
        "/oauth/token",
        "/oauth/introspect",
        "/oauth/revoke",
        "/oauth/token_info",
        "/oauth/token/revoke",
        "/api/id/v1/auth/token",
    ] {
        for query in [
            format!("client_id=web-post&client_secret={secret}"),
            format!("code={code}"),
            format!("code_verifier={VERIFIER}"),
            "refresh_token=x".to_owned(),
            "token=x".to_owned(),
            "client_secret=a&client_secret=b".to_owned(),
        ] {
            let page = post(
                app,
                &format!("{path}?{query}"),
                &[],
                &format!("{form}&client_id=web-post&client_secret={secret}"),
            )
            .await;
            refused(&page, 400, "invalid_request");
        }
    }
    // The same in the body: accepted.
    accepted(&post_client.exchange(app, &code).await);
    // That no log line holds any of it is looked at when the test ends; here, that the verifier is not there either.
    assert!(!app.log().contains(VERIFIER));
}

async fn o21_09_guessing_a_secret_is_slowed_down_for_the_guesser_alone(app: &App) {
    let web = RelyingParty::web();
    let guess = |number: usize| basic("web", &format!("guess-{number}"));
    let mut refusals = 0;
    for number in 0..40 {
        // A header that anybody can write does not make it another guesser (O21-41).
        let forwarded = format!("203.0.113.{number}");
        let page = post(
            app,
            "/oauth/token",
            &[
                ("authorization", &guess(number)),
                ("x-forwarded-for", &forwarded),
                ("forwarded", &format!("for={forwarded}")),
            ],
            "grant_type=client_credentials",
        )
        .await;
        if page.status == 429 {
            refusals += 1;
            refused(&page, 429, "invalid_client");
            assert!(page.header("retry-after").parse::<u64>().unwrap() >= 1);
        } else {
            refused(&page, 401, "invalid_client");
        }
    }
    assert!(refusals >= 15, "{refusals}");
    // The right secret from there waits too: otherwise the answer would tell the guesser.
    assert_eq!(web.for_itself(app).await.status, 429);
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        assert_eq!(web.post(app, path, &[("token", "x")]).await.status, 429);
    }
    accepted(&RelyingParty::machine("machine").for_itself(app).await);
    app.server.advance(600);
    accepted(
        &web.post(
            app,
            "/oauth/token",
            &[
                ("grant_type", "client_credentials"),
                ("scope", "reports.read"),
            ],
        )
        .await,
    );
}

async fn o21_10_basic_is_form_decoded_and_a_failure_has_a_challenge(app: &App) {
    let grant = "grant_type=client_credentials&scope=reports.read";
    accepted(
        &post(
            app,
            "/oauth/token",
            &[("authorization", &basic("web", &encoded(SECRET)))],
            grant,
        )
        .await,
    );
    // Unencoded, `+` is a space and `%20` one too: not the secret.
    let raw = post(
        app,
        "/oauth/token",
        &[("authorization", &basic("web", SECRET))],
        grant,
    )
    .await;
    refused(&raw, 401, "invalid_client");
    assert_eq!(
        raw.header("www-authenticate"),
        format!("Basic realm=\"{BASE}\", charset=\"UTF-8\"")
    );
    let odd = [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YQ==",
        "Basic YTolJSU=",
        "Basic /////w==",
        "basic",
        "Basic\u{a0}YTpi",
        "",
        " ",
        "Negotiate abc",
        "Basic YTpi YTpi",
    ];
    for header in odd {
        let page = post(app, "/oauth/token", &[("authorization", header)], grant).await;
        refused(&page, 401, "invalid_client");
    }
    let long = format!("Basic {}", "A".repeat(6000));
    refused(
        &post(app, "/oauth/token", &[("authorization", &long)], grant).await,
        401,
        "invalid_client",
    );
    accepted(
        &post(
            app,
            "/oauth/token",
            &[(
                "authorization",
                &basic("web", &encoded(SECRET)).replace("Basic", "bAsIc"),
            )],
            grant,
        )
        .await,
    );
}

async fn o21_13_post_only_forms_only_unknown_ignored(app: &App) {
    for method in [
        Method::GET,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::PATCH,
    ] {
        let page = Browser::new(app)
            .send(
                method,
                "/oauth/token?grant_type=client_credentials",
                &[("accept", "application/json")],
                "",
            )
            .await;
        refused(&page, 405, "invalid_request");
        assert_eq!(page.header("allow"), "POST");
    }
    let machine = RelyingParty::machine("machine");
    for kind in [
        "application/json",
        "text/plain",
        "multipart/form-data",
        "application/x-www-form-urlencoded2",
        "",
    ] {
        let headers = [
            ("authorization", machine.basic()),
            ("content-type", kind.to_owned()),
        ];
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let page = Browser::new(app)
            .send(
                Method::POST,
                "/oauth/token",
                &headers,
                "grant_type=client_credentials",
            )
            .await;
        refused(&page, 400, "invalid_request");
    }
    let fields = [
        ("grant_type", "client_credentials"),
        ("unknown", "1"),
        ("audience", "https://evil.example"),
        ("scope", ""),
    ];
    let page = machine.post(app, "/oauth/token", &fields).await;
    assert_eq!(page.status, 200, "{}", page.body);
    refused(
        &machine
            .post(app, "/oauth/token", &[("grant_type", "")])
            .await,
        400,
        "invalid_request",
    );
    refused(
        &machine.post(app, "/oauth/token", &[]).await,
        400,
        "invalid_request",
    );
}

async fn t10_o21_13_a_repeated_parameter_is_refused(app: &App) {
    let web = RelyingParty::web();
    let code = web.code(app, "ada").await;
    let good = web.redemption(&code);
    for (name, value) in good {
        for second in [value, "", "other"] {
            let mut fields = good.to_vec();
            fields.push((name, second));
            let page = web.post(app, "/oauth/token", &fields).await;
            refused(&page, 400, "invalid_request");
            assert_eq!(
                page.json()["error_description"],
                format!("{name} may stand once")
            );
        }
    }
    for path in ["/oauth/introspect", "/oauth/revoke"] {
        refused(
            &web.post(app, path, &[("token", "a"), ("token", "a")]).await,
            400,
            "invalid_request",
        );
        refused(
            &web.post(
                app,
                path,
                &[
                    ("token", "a"),
                    ("token_type_hint", "a"),
                    ("token_type_hint", "b"),
                ],
            )
            .await,
            400,
            "invalid_request",
        );
    }
    // None of it used the code up.
    accepted(&web.exchange(app, &code).await);
}

async fn o21_14_oc_12_bcp_13_a_success_is_bearer_json_that_nobody_keeps(app: &App) {
    let web = RelyingParty::web();
    let page = web.exchange(app, &web.code(app, "ada").await).await;
    assert_eq!(
        (
            page.status.as_u16(),
            page.header("content-type"),
            page.header("cache-control")
        ),
        (200, "application/json", "no-store")
    );
    let tokens = page.json();
    assert_eq!(
        names(&tokens),
        [
            "access_token",
            "token_type",
            "expires_in",
            "refresh_token",
            "scope",
            "id_token"
        ]
        .into()
    );
    assert_eq!(
        (
            text(&tokens, "token_type"),
            tokens["expires_in"].as_i64(),
            text(&tokens, "scope")
        ),
        ("Bearer", Some(600), web.scope)
    );
    assert!(!page.body.contains(CHALLENGE) && !page.body.contains(VERIFIER));
    assert!(page.headers.get("location").is_none() && page.headers.get("set-cookie").is_none());
    // A client that is not registered for refresh tokens gets none.
    let relaxed = RelyingParty::relaxed();
    assert!(
        relaxed
            .tokens(app, "ada")
            .await
            .get("refresh_token")
            .is_none()
    );
}

async fn o21_15_t67_every_error_is_registered_json_with_an_ascii_description(app: &App) {
    let (web, machine, first) = (
        RelyingParty::web(),
        RelyingParty::machine("machine"),
        RelyingParty::first_party(),
    );
    #[rustfmt::skip]
    let table: &[Row<'_>] = &[
        (&web,     &[("grant_type", "authorization_code")],                                          "invalid_request"),
        (&web,     &[("grant_type", "refresh_token")],                                               "invalid_request"),
        (&web,     &[("grant_type", "authorization_code"), ("code", "x")],                           "invalid_grant"),
        (&web,     &[("grant_type", "refresh_token"), ("refresh_token", "x")],                       "invalid_grant"),
        (&web,     &[("grant_type", "nope\"\u{202e}é\\")],                                          "unsupported_grant_type"),
        (&web,     &[("grant_type", "client_credentials"), ("scope", "nope")],                       "invalid_scope"),
        (&web,     &[("grant_type", "client_credentials"), ("scope", "a\"b\\c é")],                  "invalid_scope"),
        (&web,     &[("grant_type", "client_credentials"), ("resource", "https://evil.example/")],   "invalid_target"),
        (&web,     &[("grant_type", "client_credentials"), ("resource", "not a uri")],               "invalid_target"),
        (&machine, &[("grant_type", "authorization_code"), ("code", "x")],                           "unauthorized_client"),
        (&machine, &[("grant_type", "refresh_token"), ("refresh_token", "x")],                       "unauthorized_client"),
        (&first,   &[("grant_type", "client_credentials")],                                          "unauthorized_client"),
        (&first,   &[("grant_type", "refresh_token"), ("refresh_token", "x")],                       "unauthorized_client"),
    ];
    for (client, fields, error) in table {
        let page = client.post(app, "/oauth/token", fields).await;
        refused(&page, 400, error);
        assert!(page.header("www-authenticate").is_empty());
    }
    no_grant(
        app,
        &web.exchange(app, "x").await,
        "not in the form of a code",
    );
}

async fn o21_18_a_code_lives_for_a_minute(app: &App) {
    let web = RelyingParty::web();
    let (late, in_time) = (web.code(app, "ada").await, web.code(app, "ada").await);
    app.server.advance(59);
    accepted(&web.exchange(app, &in_time).await);
    app.server.advance(1);
    no_grant(app, &web.exchange(app, &late).await, "the code has expired");
    // Nobody may make it longer than ten minutes.
    let set = json!({"action": "client_update", "tenant": "default", "client_id": "web", "set": {"policy": {"code_lifetime": "11m"}}});
    assert!(
        app.server
            .perform(set)
            .await
            .unwrap_err()
            .contains("code_lifetime")
    );
}

async fn o21_18_o21_25_t06_bcp_15_a_stolen_code_is_worth_nothing_and_stays_its_owners(app: &App) {
    let web = RelyingParty::web();
    let code = web.code(app, "ada").await;
    let other = "M25iVXpKU3puUjFaYWg3T1NDTDQtcW1ROUY5YXlwalNoc0hhakxifmZHag";
    let redeem = |verifier: &'static str, redirect_uri: &'static str| {
        vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ]
    };
    no_grant(
        app,
        &web.post(app, "/oauth/token", &redeem(other, web.redirect_uri))
            .await,
        "code_verifier is wrong",
    );
    no_grant(
        app,
        &web.post(app, "/oauth/token", &redeem(CHALLENGE, web.redirect_uri))
            .await,
        "code_verifier is wrong",
    );
    no_grant(
        app,
        &web.post(
            app,
            "/oauth/token",
            &redeem(VERIFIER, "https://web.acme.test/cb/"),
        )
        .await,
        "redirect_uri is not the one of the authorization request",
    );
    for client in [
        RelyingParty::opaque(),
        RelyingParty::web_post(),
        RelyingParty::spa(),
        RelyingParty::first_party(),
    ] {
        no_grant(
            app,
            &client
                .post(
                    app,
                    "/oauth/token",
                    &redeem(VERIFIER, "https://web.acme.test/cb"),
                )
                .await,
            "the code was issued to another client",
        );
    }
    let mut guessed = code.clone().into_bytes();
    let last = guessed.len() - 5;
    guessed[last] = if guessed[last] == b'A' { b'B' } else { b'A' };
    no_grant(
        app,
        &web.exchange(app, &String::from_utf8(guessed).unwrap())
            .await,
        "the secret of the code is wrong",
    );
    accepted(&web.exchange(app, &code).await);
}

async fn t08_o21_20_bcp_02_a_verifier_if_and_only_if_there_was_a_challenge(app: &App) {
    let web = RelyingParty::web();
    let code = web.code(app, "ada").await;
    let long = "a".repeat(129);
    for verifier in [
        None,
        Some(""),
        Some("short"),
        Some(long.as_str()),
        Some(CHALLENGE),
        Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk="),
        Some("dBjftJeZ4CVP+mB92K27uhbUJU1p1r/wW1gFWFOEjXk"),
        Some("DBJFTJEZ4CVP-MB92K27UHBUJU1P1R_WW1GFWFOEJXK"),
    ] {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", web.redirect_uri),
        ];
        fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        let detail = if verifier.is_none_or(str::is_empty) {
            "code_verifier is missing"
        } else {
            "code_verifier is wrong"
        };
        no_grant(app, &web.post(app, "/oauth/token", &fields).await, detail);
    }
    accepted(&web.exchange(app, &code).await);
    let relaxed = RelyingParty::relaxed();
    let url = relaxed.request(&[("code_challenge", ""), ("code_challenge_method", "")]);
    let code = Browser::new(app).authorize(&url, "ada").await.answer()["code"].clone();
    no_grant(
        app,
        &relaxed.exchange(app, &code).await,
        "code_verifier without a challenge in the authorization request",
    );
    let page = relaxed
        .post(
            app,
            "/oauth/token",
            &[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", relaxed.redirect_uri),
            ],
        )
        .await;
    assert_eq!(page.status, 200, "{}", page.body);
}

async fn t09_o21_21_of_fifty_redemptions_at_once_one_wins(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    browser.authorize(&web.request(&[]), "ada").await;
    for _ in 0..4 {
        let code = browser.visit(&web.request(&[])).await.answer()["code"].clone();
        let pages = together((0..50).map(|_| web.exchange(app, &code)).collect()).await;
        let won: Vec<&Page> = pages.iter().filter(|page| page.status == 200).collect();
        assert_eq!(won.len(), 1);
        for lost in pages.iter().filter(|page| page.status != 200) {
            refused(lost, 400, "invalid_grant");
        }
        // Who lost had the right proof: a copy of the code is about, and what it produced ends.
        let tokens = won[0].json();
        is_over(&web.userinfo(app, text(&tokens, "access_token")).await);
        grant_refused(&web.refresh(app, text(&tokens, "refresh_token")).await);
    }
}

async fn t09_o21_22_reuse_of_a_code_ends_what_it_produced(app: &App) {
    for client in [
        RelyingParty::web(),
        RelyingParty::spa(),
        RelyingParty::opaque(),
    ] {
        let code = client.code(app, "ada").await;
        let tokens = client.exchange(app, &code).await.json();
        accepted(&client.userinfo(app, text(&tokens, "access_token")).await);
        // However late.
        app.server.advance(90);
        no_grant(
            app,
            &client.exchange(app, &code).await,
            "the code was used before: what it produced ends",
        );
        is_over(&client.userinfo(app, text(&tokens, "access_token")).await);
        grant_refused(&client.refresh(app, text(&tokens, "refresh_token")).await);
        // What another code of the same person produced stands.
        let others = client.tokens(app, "ada").await;
        client.exchange(app, &code).await;
        accepted(&client.userinfo(app, text(&others, "access_token")).await);
    }
}

async fn o21_22_an_invalid_reuse_of_a_code_ends_nothing(app: &App) {
    let web = RelyingParty::web();
    let code = web.code(app, "ada").await;
    let tokens = web.exchange(app, &code).await.json();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", web.redirect_uri),
    ];
    no_grant(
        app,
        &web.post(app, "/oauth/token", &fields).await,
        "code_verifier is missing",
    );
    no_grant(
        app,
        &RelyingParty::spa().exchange(app, &code).await,
        "the code was issued to another client",
    );
    refused(
        &RelyingParty {
            secret: "guess".to_owned(),
            ..web.clone()
        }
        .exchange(app, &code)
        .await,
        401,
        "invalid_client",
    );
    accepted(&web.userinfo(app, text(&tokens, "access_token")).await);
    accepted(&web.refresh(app, text(&tokens, "refresh_token")).await);
}

async fn o21_23_redirect_uri_is_compared_where_it_is_sent(app: &App) {
    let spa = RelyingParty::spa();
    let fields = |code: &str, redirect_uri: &str| {
        let mut fields = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", code.to_owned()),
            ("code_verifier", VERIFIER.to_owned()),
        ];
        if !redirect_uri.is_empty() {
            fields.push(("redirect_uri", redirect_uri.to_owned()));
        }
        fields
    };
    // Sent at authorize or not, sent here or not: only a different one is refused.
    for (sent, presented, good) in [
        (spa.redirect_uri, spa.redirect_uri, true),
        (spa.redirect_uri, "", true),
        ("", "", true),
        ("", spa.redirect_uri, true),
        ("", "https://evil.example/", false),
        (spa.redirect_uri, "https://evil.example/", false),
        (spa.redirect_uri, "https://spa.acme.test/cb?", false),
    ] {
        let code = Browser::new(app)
            .authorize(&spa.request(&[("redirect_uri", sent)]), "ada")
            .await
            .answer()["code"]
            .clone();
        let fields = fields(&code, presented);
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let page = spa.post(app, "/oauth/token", &fields).await;
        assert_eq!(page.status == 200, good, "{sent} {presented} {}", page.body);
        if !good {
            refused(&page, 400, "invalid_grant");
        }
    }
}

async fn o21_24_at_05_o21_32_client_credentials_are_for_confidential_clients_and_give_no_refresh_token(
    app: &App,
) {
    let machine = RelyingParty::machine("machine");
    let page = machine.for_itself(app).await;
    let tokens = page.json();
    assert_eq!(
        names(&tokens),
        ["access_token", "token_type", "expires_in", "scope"].into(),
        "{tokens}"
    );
    let claims = verified(app, BASE, text(&tokens, "access_token"), BASE).await;
    assert_eq!(
        (text(&claims, "sub"), text(&claims, "client_id")),
        ("machine", "machine")
    );
    assert!(claims.get("auth_time").is_none() && claims.get("fid").is_none());
    // The scopes of a person's sign-in mean nothing here.
    for scope in ["openid", "profile", "offline_access", "reports.read email"] {
        refused(
            &RelyingParty::web()
                .post(
                    app,
                    "/oauth/token",
                    &[("grant_type", "client_credentials"), ("scope", scope)],
                )
                .await,
            400,
            "invalid_scope",
        );
    }
    for client in [
        RelyingParty::spa(),
        RelyingParty::native(),
        RelyingParty::web_post(),
    ] {
        refused(&client.for_itself(app).await, 400, "unauthorized_client");
    }
    let public = "[[tenant]]\nslug = \"default\"\n[[tenant.client]]\nclient_id = \"odd\"\ngrant_types = [\"client_credentials\"]\ntoken_endpoint_auth_method = \"none\"\n";
    assert!(
        app.server
            .apply(public)
            .await
            .unwrap_err()
            .contains("grant_types")
    );
    refused(
        &with_bearer(app, "/oauth/userinfo", text(&tokens, "access_token")).await,
        403,
        "insufficient_scope",
    );
}

async fn o21_34_every_handle_is_new_and_long(app: &App) {
    let opaque = RelyingParty::opaque();
    let mut secrets = BTreeSet::new();
    let mut browser = Browser::new(app);
    for _ in 0..8 {
        let code = browser
            .authorize(&opaque.request(&[]), "ada")
            .await
            .answer()["code"]
            .clone();
        let tokens = opaque.exchange(app, &code).await.json();
        for handle in [
            code.as_str(),
            text(&tokens, "access_token"),
            text(&tokens, "refresh_token"),
        ] {
            let bytes = URL_SAFE_NO_PAD.decode(&handle[4..]).unwrap();
            assert_eq!(bytes.len(), 48);
            // 256 random bits behind the id.
            assert!(secrets.insert(bytes[16..].to_vec()), "a secret twice");
        }
    }
    let ones: u32 = secrets.iter().flatten().map(|byte| byte.count_ones()).sum();
    let bits = u32::try_from(secrets.len() * 256).unwrap();
    assert!(
        ones > bits * 45 / 100 && ones < bits * 55 / 100,
        "{ones} of {bits}"
    );
}

async fn o21_44_bcp_08_other_grant_types_are_unknown(app: &App) {
    let web = RelyingParty::web();
    for grant_type in [
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:device_code",
        "Authorization_Code",
        "authorization_code ",
        "' OR 1=1",
    ] {
        let page = web
            .post(
                app,
                "/oauth/token",
                &[
                    ("grant_type", grant_type),
                    ("username", "ada"),
                    ("password", "x"),
                    ("subject_token", "x"),
                    ("assertion", "x"),
                ],
            )
            .await;
        refused(&page, 400, "unsupported_grant_type");
    }
}

async fn oc_01_oc_10_oc_11_an_id_token_verifies_and_says_what_core_asks_for(app: &App) {
    let clients = [
        (RelyingParty::web(), "RS256"),
        (RelyingParty::web_post(), "EdDSA"),
        (RelyingParty::spa(), "ES256"),
    ];
    let mut subjects = BTreeSet::new();
    for (client, alg) in clients {
        let tokens = client.tokens(app, "ada").await;
        let (header, _) = decode(text(&tokens, "id_token"));
        assert_eq!((text(&header, "alg"), text(&header, "typ")), (alg, "JWT"));
        let claims = verified(app, BASE, text(&tokens, "id_token"), client.client_id).await;
        assert_eq!(
            (
                text(&claims, "iss"),
                text(&claims, "aud"),
                text(&claims, "azp")
            ),
            (BASE, client.client_id, client.client_id)
        );
        assert_eq!(
            (claims["iat"].as_u64(), claims["exp"].as_u64()),
            (Some(app.server.now()), Some(app.server.now() + 3600))
        );
        assert_eq!(claims["auth_time"], app.server.now());
        assert_eq!(claims["amr"], json!(["pwd"]));
        let sub = text(&claims, "sub");
        assert!(sub.len() <= 255 && sub.is_ascii());
        subjects.insert(sub.to_owned());
        let digest = match alg {
            "EdDSA" => aws_lc_rs::digest::digest(
                &aws_lc_rs::digest::SHA512,
                text(&tokens, "access_token").as_bytes(),
            ),
            _ => aws_lc_rs::digest::digest(
                &aws_lc_rs::digest::SHA256,
                text(&tokens, "access_token").as_bytes(),
            ),
        };
        let half = &digest.as_ref()[..digest.as_ref().len() / 2];
        assert_eq!(text(&claims, "at_hash"), URL_SAFE_NO_PAD.encode(half));
        // Nothing about the person that was not asked for by name.
        assert!(claims.get("email").is_none() && claims.get("name").is_none());
    }
    assert_eq!(subjects.len(), 1, "one person has one subject");
}

async fn oc_05_without_openid_there_is_no_id_token(app: &App) {
    let web = RelyingParty {
        scope: "profile email",
        ..RelyingParty::web()
    };
    let tokens = web.tokens(app, "ada").await;
    assert!(tokens.get("id_token").is_none());
    let page = web.refresh(app, text(&tokens, "refresh_token")).await;
    assert!(page.json().get("id_token").is_none());
    let none = RelyingParty {
        scope: "",
        ..RelyingParty::web()
    };
    assert_eq!(
        text(&none.tokens(app, "ada").await, "scope"),
        "profile email"
    );
}

async fn oc_10_nonce_is_there_if_and_only_if_it_was_sent(app: &App) {
    let web = RelyingParty::web();
    let long = "n".repeat(1024);
    let mut browser = Browser::new(app);
    for nonce in ["n-0S6_WzA2Mj", "\"é\u{202e} +%", long.as_str(), ""] {
        let page = browser
            .authorize(&web.request(&[("nonce", nonce)]), "ada")
            .await;
        let tokens = web.exchange(app, &page.answer()["code"]).await.json();
        let (_, claims) = decode(text(&tokens, "id_token"));
        assert_eq!(
            claims
                .get("nonce")
                .and_then(|nonce| nonce.as_str())
                .unwrap_or_default(),
            nonce
        );
    }
    let page = browser
        .visit(&web.request(&[("nonce", &"n".repeat(1025))]))
        .await;
    assert_eq!(page.answer()["error"], "invalid_request");
}

async fn at_01_at_02_at_03_at_07_an_access_token_is_what_rfc_9068_says(app: &App) {
    let (web, first) = (RelyingParty::web(), RelyingParty::first_party());
    for (client, alg) in [(&web, "EdDSA"), (&first, "RS256")] {
        let tokens = client.tokens(app, "ada").await;
        let token = text(&tokens, "access_token");
        let (header, _) = decode(token);
        assert_eq!(
            (text(&header, "typ"), text(&header, "alg")),
            ("at+jwt", alg)
        );
        let claims = verified(app, BASE, token, BASE).await;
        assert_eq!(
            names(&claims),
            [
                "iss",
                "exp",
                "aud",
                "sub",
                "client_id",
                "iat",
                "jti",
                "scope",
                "auth_time",
                "acr",
                "amr",
                "fid"
            ]
            .into()
        );
        assert_eq!(
            (text(&claims, "client_id"), text(&claims, "scope")),
            (client.client_id, client.scope)
        );
        assert_eq!(claims["exp"].as_u64(), Some(app.server.now() + 600));
        assert_eq!(claims["auth_time"], app.server.now());
    }
    // The sign-in that counts is the original one, whenever the token is made.
    let tokens = web.tokens(app, "ada").await;
    let signed_in = app.server.now();
    app.server.advance(500);
    let page = web.refresh(app, text(&tokens, "refresh_token")).await;
    let (_, claims) = decode(text(&page.json(), "access_token"));
    assert_eq!(
        (claims["auth_time"].as_u64(), claims["iat"].as_u64()),
        (Some(signed_in), Some(app.server.now()))
    );
    // Who wants nothing to be read in it takes opaque ones.
    let opaque = RelyingParty::opaque().tokens(app, "ada").await;
    assert!(text(&opaque, "access_token").starts_with("oat_"));
}

async fn at_04_bcp_07_without_resource_the_audience_is_our_own_and_a_resource_never_widens(
    app: &App,
) {
    let web = RelyingParty {
        scope: "reports.read offline_access",
        ..RelyingParty::web()
    };
    let audience = |page: &Page| decode(text(&page.json(), "access_token")).1["aud"].clone();
    let page = web.exchange(app, &web.code(app, "ada").await).await;
    assert_eq!(audience(&page), json!(BASE));
    let page = RelyingParty::machine("gateway").for_itself(app).await;
    assert_eq!(audience(&page), json!(BASE));
    let url = format!("{}&resource=https://api.acme.test/", web.request(&[]));
    let page = Browser::new(app).authorize(&url, "ada").await;
    let code = page.answer()["code"].clone();
    let redeem = |resource: &'static str| {
        vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("code_verifier", VERIFIER),
            ("resource", resource),
        ]
    };
    for resource in [
        "https://other.acme.test/",
        "https://evil.example/",
        "https://api.acme.test",
        "HTTPS://api.acme.test/",
        BASE,
    ] {
        refused(
            &web.post(app, "/oauth/token", &redeem(resource)).await,
            400,
            "invalid_target",
        );
    }
    let page = web
        .post(app, "/oauth/token", &redeem("https://api.acme.test/"))
        .await;
    assert_eq!(audience(&page), json!("https://api.acme.test/"));
    let tokens = page.json();
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&tokens, "refresh_token")),
        ("resource", "https://other.acme.test/"),
    ];
    refused(
        &web.post(app, "/oauth/token", &fields).await,
        400,
        "invalid_target",
    );
    // A token for an API opens nothing of ours.
    is_over(&web.userinfo(app, text(&page.json(), "access_token")).await);
    assert_eq!(app.last_detail(), "meant for another audience");
}

async fn t07_every_opaque_handle_is_refused_by_every_other_consumer(app: &App) {
    let opaque = RelyingParty::opaque();
    let mut browser = Browser::new(app);
    let hub = browser
        .get(&opaque.request(&[]))
        .await
        .header("location")
        .to_owned();
    let sealed = hub.split_once('=').unwrap().1.to_owned();
    let code = browser
        .authorize(&opaque.request(&[]), "ada")
        .await
        .answer()["code"]
        .clone();
    let unused = browser.visit(&opaque.request(&[])).await.answer()["code"].clone();
    let tokens = opaque.exchange(app, &code).await.json();
    let session = browser.cookies["vestibule-session-default"].clone();
    let pair = browser.cookies["vestibule-browser-default"].clone();
    let (access, refresh) = (
        text(&tokens, "access_token").to_owned(),
        text(&tokens, "refresh_token").to_owned(),
    );
    let swapped = |prefix: &str, handle: &str| format!("{prefix}{}", &handle[4..]);
    let all = [
        ("code", unused.clone()),
        ("access", access.clone()),
        ("refresh", refresh.clone()),
        ("session", session.clone()),
        ("browser", pair),
        ("sealed", sealed),
    ];
    for (kind, handle) in &all {
        if *kind != "code" {
            grant_refused(&opaque.exchange(app, handle).await);
            grant_refused(&opaque.exchange(app, &swapped("oac_", handle)).await);
        }
        if *kind != "refresh" {
            grant_refused(&opaque.refresh(app, handle).await);
            grant_refused(&opaque.refresh(app, &swapped("ort_", handle)).await);
        }
        if *kind != "access" {
            is_over(&opaque.userinfo(app, handle).await);
            is_over(&opaque.userinfo(app, &swapped("oat_", handle)).await);
            inactive(&opaque.introspect(app, handle).await);
        }
        if *kind != "session" {
            for value in [handle.clone(), swapped("ses_", handle)] {
                let mut thief = Browser::new(app);
                thief
                    .cookies
                    .insert("vestibule-session-default".to_owned(), value);
                let page = thief.visit(&opaque.request(&[("prompt", "none")])).await;
                assert_eq!(page.answer()["error"], "login_required", "{kind}");
            }
        }
        if *kind != "sealed" {
            let page = browser.get(&format!("/oauth/authorize/{handle}")).await;
            assert_eq!(page.status, 400, "{kind}");
            let page = browser.get(&format!("/setup/{handle}")).await;
            assert!(page.status.is_client_error(), "{kind} {}", page.status);
        }
    }
    // And each still serves where it belongs.
    accepted(&opaque.userinfo(app, &access).await);
    accepted(&opaque.refresh(app, &refresh).await);
    accepted(&opaque.exchange(app, &unused).await);
}

async fn t18_a_token_request_cannot_widen_the_scope(app: &App) {
    let web = RelyingParty {
        scope: "openid",
        ..RelyingParty::web()
    };
    let code = web.code(app, "ada").await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
        ("scope", "openid profile email private_metadata"),
    ];
    let tokens = web.post(app, "/oauth/token", &fields).await.json();
    assert_eq!(text(&tokens, "scope"), "openid");
    assert_eq!(decode(text(&tokens, "access_token")).1["scope"], "openid");
    let refresh = text(&tokens, "refresh_token");
    for scope in [
        "openid profile",
        "OPENID",
        "offline_access",
        "openid openid email",
    ] {
        refused(
            &web.post(
                app,
                "/oauth/token",
                &[
                    ("grant_type", "refresh_token"),
                    ("refresh_token", refresh),
                    ("scope", scope),
                ],
            )
            .await,
            400,
            "invalid_scope",
        );
    }
    let info = web
        .userinfo(app, text(&tokens, "access_token"))
        .await
        .json();
    assert!(
        info.get("email").is_none()
            && info.get("name").is_none()
            && info.get("private_metadata").is_none()
    );
    let machine = RelyingParty::machine("machine");
    for scope in [
        "beep",
        "Reports.read",
        "reports.read beep",
        "openid",
        "reports.read  beep",
    ] {
        refused(
            &machine
                .post(
                    app,
                    "/oauth/token",
                    &[("grant_type", "client_credentials"), ("scope", scope)],
                )
                .await,
            400,
            "invalid_scope",
        );
    }
}

async fn t26_a_code_that_is_cut_extended_or_spelled_otherwise_is_refused(app: &App) {
    let web = RelyingParty::web();
    let code = web.code(app, "ada").await;
    let body = &code[4..];
    let standard = STANDARD.encode(URL_SAFE_NO_PAD.decode(body).unwrap());
    let swapped: String = code
        .chars()
        .map(|letter| {
            if letter.is_ascii_lowercase() {
                letter.to_ascii_uppercase()
            } else {
                letter.to_ascii_lowercase()
            }
        })
        .collect();
    for odd in [
        &code[..67],
        &code[..4],
        &format!("{code}A"),
        &format!("{code}="),
        &format!("{code} "),
        &format!(" {code}"),
        &swapped,
        body,
        &format!("oac_{standard}="),
        &format!("OAC_{body}"),
        &format!("oac_{code}"),
        &code.replace("oac_", "oac_ "),
    ] {
        no_grant(
            app,
            &web.exchange(app, odd).await,
            "not in the form of a code",
        );
    }
    accepted(&web.exchange(app, &code).await);
}

async fn t11_t67_hostile_bodies_are_refused_and_never_a_5xx(app: &App) {
    let web = RelyingParty::web();
    let long = format!("grant_type=authorization_code&code={}", "A".repeat(9000));
    let deep = format!("{}{}", "{\"a\":".repeat(5000), "}".repeat(5000));
    let many = "a=1&".repeat(10_000);
    let bodies = [
        "%",
        "grant_type=%ff",
        "grant_type=%00",
        "grant_type=authorization_code&code=%c0%af",
        "grant_type=%ed%a0%80",
        "\u{feff}grant_type=password",
        "=&=&=",
        "grant_type",
        "&&&&",
        "grant_type=x\r\ny=z",
        &long,
        &deep,
        &many,
        "{\"grant_type\":\"password\"}",
    ];
    for path in [
        "/oauth/token",
        "/oauth/introspect",
        "/oauth/revoke",
        "/api/id/v1/auth/token",
    ] {
        for body in bodies {
            let page = post(app, path, &[("authorization", &web.basic())], body).await;
            let error = page.json()["error"].as_str().unwrap().to_owned();
            refused(&page, 400, &error);
        }
        let page = post(
            app,
            path,
            &[("authorization", &web.basic())],
            &"a".repeat(65 * 1024),
        )
        .await;
        refused(&page, 413, "invalid_request");
    }
    assert_eq!(get(app, "/oauth/nothing").await.status, 404);
}

async fn a_code_of_somebody_disabled_or_signed_out_is_refused(app: &App) {
    let spa = RelyingParty::spa();
    let mut browser = Browser::new(app);
    let code = browser.authorize(&spa.request(&[]), "ada").await.answer()["code"].clone();
    let page = browser.visit("/sign-out").await;
    browser.submit(&page, &[]).await;
    no_grant(
        app,
        &spa.exchange(app, &code).await,
        "the person was disabled, signed out, or withdrew the grant, or the session is over",
    );
    let code = spa.code(app, "bob").await;
    app.user("disable", "bob").await;
    no_grant(
        app,
        &spa.exchange(app, &code).await,
        "the person was disabled, signed out, or withdrew the grant, or the session is over",
    );
}

async fn at_01_o21_18_lifetimes_and_algorithms_are_those_of_the_clients_policy(app: &App) {
    const DAY: u64 = 86_400;
    let web = RelyingParty::web();
    // Seed 002's: a day, and ten minutes for the code.
    app.update_client(
        "web",
        json!({"policy": {"access_token_lifetime": "1d", "id_token_lifetime": "1d", "code_lifetime": "10m", "refresh_token_lifetime": "2d"}}),
    )
    .await;
    let (late, in_time) = (web.code(app, "ada").await, web.code(app, "ada").await);
    app.server.advance(599);
    let page = web.exchange(app, &in_time).await;
    accepted(&page);
    let tokens = page.json();
    app.server.advance(1);
    no_grant(app, &web.exchange(app, &late).await, "the code has expired");
    assert_eq!(tokens["expires_in"].as_u64(), Some(DAY));
    for name in ["access_token", "id_token"] {
        let (_, claims) = decode(text(&tokens, name));
        assert_eq!(
            claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
            DAY,
            "{name}"
        );
    }
    app.server.advance(DAY - 2);
    accepted(&web.userinfo(app, text(&tokens, "access_token")).await);
    app.server.advance(1);
    is_over(&web.userinfo(app, text(&tokens, "access_token")).await);
    assert_eq!(app.last_detail(), "expired");
    app.server.advance(DAY);
    no_grant(
        app,
        &web.refresh(app, text(&tokens, "refresh_token")).await,
        "the refresh token has expired",
    );
    for (name, too_long) in [
        ("access_token_lifetime", "25h"),
        ("id_token_lifetime", "25h"),
        ("code_lifetime", "601s"),
    ] {
        let set = json!({"action": "client_update", "tenant": "default", "client_id": "web", "set": {"policy": {name: too_long}}});
        assert!(app.server.perform(set).await.unwrap_err().contains(name));
    }
    for algorithm in ["ES256", "RS256", "PS256", "EdDSA"] {
        let set = json!({"policy": {"access_token_signing_alg": algorithm}});
        app.update_client("web", set).await;
        let page = web.for_itself(app).await;
        let token = page.json();
        let token = text(&token, "access_token");
        assert_eq!(text(&decode(token).0, "alg"), algorithm);
        verified(app, BASE, token, BASE).await;
    }
}

async fn bcp_07_at_04_a_token_is_for_the_resource_that_was_named(app: &App) {
    let (api, other) = ("https://api.acme.test/", "https://other.acme.test/");
    let web = RelyingParty {
        scope: "reports.read offline_access",
        ..RelyingParty::web()
    };
    let ask = async |client: &RelyingParty, fields: &[(&str, &str)], resources: &[&str]| {
        let mut fields = fields.to_vec();
        fields.extend(resources.iter().map(|resource| ("resource", *resource)));
        client.post(app, "/oauth/token", &fields).await
    };
    let audience = |page: &Page| decode(text(&page.json(), "access_token")).1["aud"].clone();
    // A machine names what it may, and nothing else.
    let machine = [
        ("grant_type", "client_credentials"),
        ("scope", "reports.read"),
    ];
    let page = ask(&web, &machine, &[api]).await;
    assert_eq!(audience(&page), json!(api));
    let page = ask(&web, &machine, &[api, other]).await;
    assert_eq!(audience(&page), json!([api, other]));
    for bad in [
        &["https://evil.example/"][..],
        &[api, "https://evil.example/"],
    ] {
        refused(&ask(&web, &machine, bad).await, 400, "invalid_target");
    }
    refused(
        &ask(&RelyingParty::machine("machine"), &machine, &[api]).await,
        400,
        "invalid_target",
    );
    // A refresh picks one of those that the person's code was for.
    let url = format!("{}&resource={api}&resource={other}", web.request(&[]));
    let code = Browser::new(app).authorize(&url, "ada").await.answer()["code"].clone();
    let page = web.exchange(app, &code).await;
    assert_eq!(audience(&page), json!([api, other]));
    let tokens = page.json();
    let refresh = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&tokens, "refresh_token")),
    ];
    for one in [api, other] {
        assert_eq!(audience(&ask(&web, &refresh, &[one]).await), json!(one));
    }
    assert_eq!(
        audience(&ask(&web, &refresh, &[]).await),
        json!([api, other])
    );
    refused(&ask(&web, &refresh, &[BASE]).await, 400, "invalid_target");
}

async fn t13_only_the_log_says_what_was_wrong_with_a_proof(app: &App) {
    let grant = "grant_type=client_credentials";
    let secret = encoded(SECRET);
    let (right, wrong) = (basic("web", &secret), basic("web", "x"));
    let (unknown, public) = (basic("nobody", &secret), basic("spa", &secret));
    let long = format!("Basic {}", "A".repeat(6000));
    #[rustfmt::skip]
    let table: &[(&str, &str, &str)] = &[
        (&wrong,       "",                                        "wrong secret"),
        (&unknown,     "",                                        "unknown client"),
        (&public,      "",                                        "another method than the registered one"),
        ("",           "&client_id=web",                          "another method than the registered one"),
        ("",           "&client_id=nobody",                       "unknown client"),
        ("",           "&client_id=web&client_secret=x",          "another method than the registered one"),
        ("",           "&client_id=web-post&client_secret=x",     "wrong secret"),
        ("",           "",                                        "no client_id"),
        (&right,       "&client_assertion=x",                     "a client assertion, which no client can have registered"),
        (&right[..5],  "",                                        "an Authorization header without credentials"),
        ("Basic !!!",  "",                                        "Basic credentials that cannot be read"),
        ("Digest abc", "",                                        "an Authorization scheme other than Basic"),
        (&long,        "",                                        "an Authorization header above the limit"),
    ];
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        for (header, extra, detail) in table {
            let headers = [("authorization", *header)];
            let headers = &headers[usize::from(header.is_empty())..];
            let page = post(app, path, headers, &format!("{grant}{extra}&token=x")).await;
            refused(&page, 401, "invalid_client");
            assert_eq!(
                text(&page.json(), "error_description"),
                "client authentication failed: check the client id, the secret, and the registered authentication method"
            );
            assert_eq!(
                page.header("www-authenticate"),
                format!("Basic realm=\"{BASE}\", charset=\"UTF-8\"")
            );
            assert_eq!(app.last_detail(), *detail, "{path} {extra}");
        }
        app.server.advance(3600);
    }
}
