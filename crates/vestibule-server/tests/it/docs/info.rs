//! The Info API: what documentation sites are told, by token and by cookie, and what they are not.

use crate::oauth::checks::{refused, text, with_bearer};
use crate::support::app::{App, START, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::installation::BASE;
use crate::support::relying_party::{CHALLENGE, RelyingParty, VERIFIER, decode};
use http::Method;
use serde_json::{Value, json};

on_both_engines! {
    seed_000_a_docs_host_with_five_settings_signs_a_reader_in_from_the_browser,
    seed_000_the_answer_is_the_user_format_for_signed_and_opaque_tokens,
    seed_000_a_request_without_scope_asks_for_what_the_client_registered_for_it,
    seed_000_consent_names_what_a_docs_site_sees,
    seed_000_a_tenant_gives_the_scope_another_name,
    seed_000_pages_cut_the_link_with_an_opener_unless_the_client_signs_in_in_popups,
    t26_only_a_token_of_ours_that_stands_and_allows_it_opens_the_info_api,
    t30_a_reader_who_is_disabled_or_signed_out_by_revocation_is_told_nothing,
    t18_a_weak_token_is_refused_with_the_scope_that_would_do,
    seed_000_a_listed_origin_of_the_same_site_asks_with_the_sign_in_cookie,
    t48_a_cookie_without_a_listed_origin_is_refused_whoever_is_signed_in,
    t48_no_origin_reads_with_credentials_what_is_not_its_own,
    seed_000_the_info_api_answers_on_a_satellite_and_takes_get_only,
    seed_000_a_mapping_applies_at_once,
}

const PATH: &str = "/docs/user-info";
const SHARED: &str = "http://127.0.0.1:3000";
const DOCS: &str = "https://docs.acme.test";

/// Lets the scripts of one origin ask with the sign-in cookie.
async fn share(app: &App) {
    let set = json!({ "docs_profile": { "shared_session_origins": [SHARED] } });
    let action = json!({"action": "tenant_update", "tenant": "default", "set": set});
    app.server.perform(action).await.unwrap();
}

async fn ask(browser: &mut Browser<'_>, headers: &[(&str, &str)]) -> Page {
    browser.send(Method::GET, PATH, headers, "").await
}

/// The answer but for the reference, which no two requests share.
fn without_reference(page: &Page) -> Value {
    let mut body = page.json();
    body["clerk_trace_id"] = Value::Null;
    body
}

async fn seed_000_a_docs_host_with_five_settings_signs_a_reader_in_from_the_browser(app: &App) {
    // The authorization URL has a query already, and the host adds parameters that nobody here knows.
    let url = format!(
        "{BASE}/authorization?audience=docs&response_type=code&client_id=docs&redirect_uri=https%3A%2F%2Fdocs.acme.test%2Foauth-callback\
         &state=s&code_challenge={CHALLENGE}&code_challenge_method=S256&connection=x"
    );
    let page = Browser::new(app).authorize(&url, "ada").await;
    let answer = page.answer();
    assert_eq!(
        (answer["state"].as_str(), answer["iss"].as_str()),
        ("s", BASE)
    );
    for (path, method) in [("/exchange", "POST"), ("/user-info", "GET")] {
        let headers = [
            ("origin", DOCS),
            ("access-control-request-method", method),
            ("access-control-request-headers", "authorization"),
        ];
        let page = Browser::new(app)
            .send(Method::OPTIONS, path, &headers, "")
            .await;
        assert_eq!(
            (
                page.status.as_u16(),
                page.header("access-control-allow-origin"),
                page.header("access-control-allow-methods"),
                page.header("access-control-allow-credentials")
            ),
            (204, "*", method, "")
        );
    }
    let docs = RelyingParty::docs();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", answer["code"].as_str()),
        ("redirect_uri", docs.redirect_uri),
        ("code_verifier", VERIFIER),
    ];
    let tokens = docs
        .post_with(app, "/exchange", &fields, &[("origin", DOCS)])
        .await;
    assert_eq!(
        (
            tokens.status.as_u16(),
            tokens.header("access-control-allow-origin")
        ),
        (200, DOCS)
    );
    let tokens = tokens.json();
    assert_eq!(text(&tokens, "scope"), "docs-user-info");
    let bearer = format!("Bearer {}", text(&tokens, "access_token"));
    let page = ask(
        &mut Browser::new(app),
        &[("origin", DOCS), ("authorization", &bearer)],
    )
    .await;
    assert_eq!(
        (
            page.status.as_u16(),
            page.header("access-control-allow-origin"),
            page.header("access-control-allow-credentials"),
            page.header("vary"),
            page.header("cache-control"),
            page.header("content-type")
        ),
        (
            200,
            DOCS,
            "",
            "origin",
            "private, no-store",
            "application/json"
        )
    );
    assert_eq!(page.json()["content"]["firstName"], "Ada");
}

async fn seed_000_the_answer_is_the_user_format_for_signed_and_opaque_tokens(app: &App) {
    for client in [RelyingParty::docs(), RelyingParty::docs_opaque()] {
        let tokens = client.tokens(app, "ada").await;
        let page = with_bearer(app, PATH, text(&tokens, "access_token")).await;
        assert_eq!(
            (page.status.as_u16(), page.json()),
            (
                200,
                json!({
                    "expiresAt": START + 7200,
                    "groups": ["admin"],
                    "content": { "firstName": "Ada", "lastName": "Lovelace", "email": "ada@acme.test", "plan": "pro" },
                    "apiPlaygroundInputs": { "header": { "X-Api-Key": "42" } },
                })
            )
        );
        let tokens = client.tokens(app, "bob").await;
        let page = with_bearer(app, PATH, text(&tokens, "access_token")).await;
        // What nobody said of Bob is left out; every member is there.
        assert_eq!(
            page.json(),
            json!({ "expiresAt": START + 7200, "groups": [], "content": { "email": "bob@acme.test" }, "apiPlaygroundInputs": {} })
        );
    }
}

async fn seed_000_a_request_without_scope_asks_for_what_the_client_registered_for_it(app: &App) {
    for (client, sent, granted) in [
        (RelyingParty::docs(), "", "docs-user-info"),
        (RelyingParty::docs_opaque(), "", "email docs-user-info"),
        (RelyingParty::docs_opaque(), "openid", "openid"),
        // Seed 002's default stays for those who have nothing to do with docs sites.
        (RelyingParty::spa(), "", "profile email"),
        (
            RelyingParty {
                client_id: "docs-told",
                redirect_uri: "https://told.acme.test/cb",
                ..RelyingParty::docs()
            },
            "",
            "openid",
        ),
    ] {
        let page = Browser::new(app)
            .authorize(&client.request(&[("scope", sent)]), "ada")
            .await;
        let tokens = client.exchange(app, &page.answer()["code"]).await.json();
        assert_eq!(text(&tokens, "scope"), granted, "{}", client.client_id);
    }
}

async fn seed_000_consent_names_what_a_docs_site_sees(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit(&RelyingParty::docs().request(&[])).await;
    let page = browser.sign_in(&page, "ada").await;
    assert!(
        page.body.contains("Adapt its documentation to you"),
        "{}",
        page.body
    );
    let page = browser.submit(&page, &[("decision", "deny")]).await;
    assert_eq!(page.answer()["error"], "access_denied");
}

async fn seed_000_pages_cut_the_link_with_an_opener_unless_the_client_signs_in_in_popups(
    app: &App,
) {
    for (client, policy) in [
        (RelyingParty::docs(), "same-origin"),
        (RelyingParty::docs_opaque(), ""),
    ] {
        let mut browser = Browser::new(app);
        let sign_in = browser.visit(&client.request(&[])).await;
        let link = format!("/sign-up?{}", sign_in.path.split_once('?').unwrap().1);
        let sign_up = browser.visit(&link).await;
        let consent = browser.sign_in(&sign_in, "ada").await;
        assert!(consent.body.contains("consent-allow"));
        let again = browser
            .visit(&client.request(&[("prompt", "select_account")]))
            .await;
        for page in [sign_in, sign_up, consent, again] {
            assert_eq!(page.status, 200);
            assert_eq!(
                page.header("cross-origin-opener-policy"),
                policy,
                "{}",
                page.path
            );
            assert_eq!(page.header("x-frame-options"), "DENY");
        }
        // What is no client's page keeps its rule.
        for path in ["/sign-in", "/", "/oauth/logout", "/nothing"] {
            let page = browser.visit(path).await;
            assert_eq!(page.header("cross-origin-opener-policy"), "same-origin");
        }
    }
}

async fn seed_000_a_tenant_gives_the_scope_another_name(app: &App) {
    let globex = RelyingParty::globex_docs();
    let tokens = globex.tokens(app, "ada").await;
    let path = format!("{}{PATH}", globex.base);
    let page = with_bearer(app, &path, text(&tokens, "access_token")).await;
    // The default mapping, with what there is.
    assert_eq!(
        page.json()["content"],
        json!({ "name": "Ada of Globex", "username": "ada", "email": "ada@globex.test" })
    );
    let page = Browser::new(app)
        .visit(&globex.request(&[("scope", "docs-user-info")]))
        .await;
    assert_eq!(page.answer()["error"], "invalid_scope");
    let document = Browser::new(app)
        .visit(&format!("{}/.well-known/openid-configuration", globex.base))
        .await
        .json();
    let listed = document["scopes_supported"].as_array().unwrap();
    assert!(
        listed.contains(&json!("reader.profile")) && !listed.contains(&json!("docs-user-info"))
    );
}

async fn t26_only_a_token_of_ours_that_stands_and_allows_it_opens_the_info_api(app: &App) {
    let page = ask(&mut Browser::new(app), &[]).await;
    refused(&page, 401, "invalid_token");
    assert_eq!(
        page.header("www-authenticate"),
        format!("Bearer realm=\"{BASE}\"")
    );
    let docs = RelyingParty::docs_opaque();
    let tokens = docs.tokens(app, "ada").await;
    let good = text(&tokens, "access_token").to_owned();
    let ours = RelyingParty::docs().tokens(app, "ada").await;
    let signed = text(&ours, "access_token").to_owned();
    let globex = RelyingParty::globex_docs().tokens(app, "ada").await;
    for bad in [
        "garbage",
        "oat_",
        &good[..good.len() - 1],
        &format!("{good}x"),
        &signed[..signed.len() - 2],
        text(&tokens, "id_token"),
        text(&globex, "access_token"),
        text(&globex, "id_token"),
    ] {
        let page = with_bearer(app, PATH, bad).await;
        refused(&page, 401, "invalid_token");
        assert!(
            page.header("www-authenticate")
                .contains("error=\"invalid_token\"")
        );
    }
    // Nor ours at the other tenant.
    let page = with_bearer(app, &format!("/t/globex{PATH}"), &signed).await;
    refused(&page, 401, "invalid_token");
    for (target, headers, status) in [
        (format!("{PATH}?access_token={signed}"), vec![], 400),
        (
            PATH.to_owned(),
            vec![
                ("authorization", format!("Bearer {signed}")),
                ("authorization", format!("Bearer {signed}")),
            ],
            400,
        ),
        (
            PATH.to_owned(),
            vec![("authorization", "Bearer ".to_owned())],
            400,
        ),
        (
            PATH.to_owned(),
            vec![("authorization", format!("Basic {signed}"))],
            401,
        ),
    ] {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let page = Browser::new(app)
            .send(Method::GET, &target, &headers, "")
            .await;
        assert_eq!(page.status, status, "{target} {headers:?}");
    }
    for token in [&good, &signed] {
        assert_eq!(with_bearer(app, PATH, token).await.status, 200);
    }
    app.server.advance(600);
    for token in [&good, &signed] {
        refused(&with_bearer(app, PATH, token).await, 401, "invalid_token");
    }
}

async fn t30_a_reader_who_is_disabled_or_signed_out_by_revocation_is_told_nothing(app: &App) {
    for client in [RelyingParty::docs(), RelyingParty::docs_opaque()] {
        let tokens = client.tokens(app, "bob").await;
        let token = text(&tokens, "access_token");
        let page = client.post(app, "/drop", &[("token", token)]).await;
        assert_eq!(page.status, 200);
        refused(&with_bearer(app, PATH, token).await, 401, "invalid_token");
        let tokens = client.tokens(app, "bob").await;
        for action in ["user_disable", "user_enable"] {
            app.server
                .perform(json!({"action": action, "tenant": "default", "user": "bob"}))
                .await
                .unwrap();
            let page = with_bearer(app, PATH, text(&tokens, "access_token")).await;
            refused(&page, 401, "invalid_token");
        }
    }
}

async fn t18_a_weak_token_is_refused_with_the_scope_that_would_do(app: &App) {
    for client in [
        RelyingParty::spa(),
        RelyingParty::web(),
        RelyingParty::opaque(),
    ] {
        let tokens = client.tokens(app, "ada").await;
        let page = with_bearer(app, PATH, text(&tokens, "access_token")).await;
        refused(&page, 403, "insufficient_scope");
        let challenge = page.header("www-authenticate");
        assert!(
            challenge.contains("error=\"insufficient_scope\"")
                && challenge.contains("scope=\"docs-user-info\""),
            "{challenge}"
        );
    }
    // And the docs token opens nothing else.
    let tokens = RelyingParty::docs().tokens(app, "ada").await;
    let page = with_bearer(app, "/oauth/userinfo", text(&tokens, "access_token")).await;
    refused(&page, 403, "insufficient_scope");
    assert!(page.header("www-authenticate").contains("scope=\"openid\""));
    let (_, claims) = decode(text(&tokens, "access_token"));
    assert_eq!(claims["scope"], "docs-user-info");
}

async fn seed_000_a_listed_origin_of_the_same_site_asks_with_the_sign_in_cookie(app: &App) {
    share(app).await;
    let mut browser = Browser::new(app);
    let page = ask(&mut browser, &[("origin", SHARED)]).await;
    refused(&page, 401, "invalid_token");
    credentialed(&page);
    browser
        .authorize(&RelyingParty::first_party().request(&[]), "ada")
        .await;
    for site in ["same-site", "same-origin"] {
        let page = ask(
            &mut browser,
            &[("origin", SHARED), ("sec-fetch-site", site)],
        )
        .await;
        assert_eq!(page.status, 200, "{}", page.body);
        credentialed(&page);
        assert_eq!(page.header("cache-control"), "private, no-store");
        assert_eq!(page.json()["content"]["email"], "ada@acme.test");
    }
    // Its preflight too, should its script add a header.
    let headers = [
        ("origin", SHARED),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-requested-with"),
    ];
    let page = browser.send(Method::OPTIONS, PATH, &headers, "").await;
    assert_eq!(page.status, 204);
    credentialed(&page);
    // A token that is sent counts, not the cookie.
    let page = ask(
        &mut browser,
        &[("origin", SHARED), ("authorization", "Bearer garbage")],
    )
    .await;
    refused(&page, 401, "invalid_token");
    assert_eq!(page.header("access-control-allow-credentials"), "");
    // Who may not sign in any more is nobody here.
    app.server
        .perform(json!({"action": "user_disable", "tenant": "default", "user": "ada"}))
        .await
        .unwrap();
    refused(
        &ask(&mut browser, &[("origin", SHARED)]).await,
        401,
        "invalid_token",
    );
    // Nor is a session that was not used for too long.
    let mut browser = Browser::new(app);
    browser
        .authorize(&RelyingParty::first_party().request(&[]), "bob")
        .await;
    assert_eq!(ask(&mut browser, &[("origin", SHARED)]).await.status, 200);
    app.server.advance(3 * 86_400 + 1);
    refused(
        &ask(&mut browser, &[("origin", SHARED)]).await,
        401,
        "invalid_token",
    );
}

#[track_caller]
fn credentialed(page: &Page) {
    assert_eq!(
        (
            page.header("access-control-allow-origin"),
            page.header("access-control-allow-credentials"),
            page.header("vary")
        ),
        (SHARED, "true", "origin")
    );
}

async fn t48_a_cookie_without_a_listed_origin_is_refused_whoever_is_signed_in(app: &App) {
    share(app).await;
    let mut ada = Browser::new(app);
    ada.authorize(&RelyingParty::first_party().request(&[]), "ada")
        .await;
    assert!(!ada.cookies.is_empty());
    let mut nobody = Browser::new(app);
    for headers in [
        vec![],
        vec![("origin", "null")],
        vec![("origin", BASE)],
        vec![("origin", "https://evil.example")],
        vec![("origin", "http://127.0.0.1:3001")],
        vec![("origin", "http://127.0.0.1:3000/")],
        vec![("origin", "http://127.0.0.1:3000.evil.example")],
        vec![("origin", "https://127.0.0.1:3000")],
        vec![("origin", "http://localhost:3000")],
        vec![("origin", "*")],
        vec![("origin", SHARED), ("origin", "https://evil.example")],
        vec![("origin", "https://evil.example"), ("origin", SHARED)],
        vec![("origin", SHARED), ("sec-fetch-site", "cross-site")],
        // A client's own origin may read what a token tells, and nothing by cookie.
        vec![("origin", DOCS)],
        vec![("referer", "http://127.0.0.1:3000/page")],
    ] {
        let (signed_in, signed_out) = (
            ask(&mut ada, &headers).await,
            ask(&mut nobody, &headers).await,
        );
        refused(&signed_in, 401, "invalid_token");
        assert_eq!(
            without_reference(&signed_in),
            without_reference(&signed_out),
            "{headers:?}"
        );
        assert_eq!(signed_in.header("access-control-allow-credentials"), "");
        assert_eq!(signed_in.header("set-cookie"), "");
    }
}

async fn t48_no_origin_reads_with_credentials_what_is_not_its_own(app: &App) {
    share(app).await;
    let tokens = RelyingParty::docs().tokens(app, "ada").await;
    let bearer = format!("Bearer {}", text(&tokens, "access_token"));
    let mut browser = Browser::new(app);
    browser
        .authorize(&RelyingParty::first_party().request(&[]), "ada")
        .await;
    // origin, who may read by token, who may read by cookie
    for (origin, by_token, by_cookie) in [
        (DOCS, DOCS, ""),
        (
            "https://preview.docs.acme.test",
            "https://preview.docs.acme.test",
            "",
        ),
        (SHARED, "", SHARED),
        ("https://evil.example", "", ""),
        ("https://reference.acme.test", "", ""),
        ("null", "", ""),
    ] {
        let page = ask(
            &mut browser,
            &[("origin", origin), ("authorization", &bearer)],
        )
        .await;
        assert_eq!(
            (
                page.status.as_u16(),
                page.header("access-control-allow-origin"),
                page.header("access-control-allow-credentials")
            ),
            (200, by_token, ""),
            "{origin}"
        );
        let page = ask(&mut browser, &[("origin", origin)]).await;
        let allowed = (
            page.header("access-control-allow-origin"),
            page.header("access-control-allow-credentials"),
        );
        let expected = if by_cookie.is_empty() {
            ("*", "")
        } else {
            (by_cookie, "true")
        };
        assert_eq!(allowed, expected, "{origin}");
        // Elsewhere nothing is ever read with cookies.
        for path in [
            "/oauth/userinfo",
            "/oauth/token",
            "/oauth/authorize",
            "/oauth/logout",
            "/authorization",
            "/exchange",
            "/me",
            "/bye",
            "/sign-in",
            "/t/globex/docs/user-info",
        ] {
            for method in [Method::GET, Method::POST, Method::OPTIONS] {
                let page = browser.send(method, path, &[("origin", origin)], "").await;
                assert_eq!(
                    page.header("access-control-allow-credentials"),
                    "",
                    "{path} {origin}"
                );
            }
        }
    }
}

async fn seed_000_the_info_api_answers_on_a_satellite_and_takes_get_only(app: &App) {
    let tokens = RelyingParty::docs().tokens(app, "ada").await;
    let bearer = format!("Bearer {}", text(&tokens, "access_token"));
    let mut browser = Browser::new(app);
    "app2.acme.test".clone_into(&mut browser.host);
    let page = ask(&mut browser, &[("authorization", &bearer)]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for path in ["/oauth/userinfo", "/me", "/exchange", "/authorization"] {
        let method = if path == "/exchange" {
            Method::POST
        } else {
            Method::GET
        };
        let page = browser
            .send(method, path, &[("authorization", &bearer)], "")
            .await;
        assert_eq!(page.status, 403, "{path}");
    }
    for method in [Method::HEAD, Method::POST, Method::PUT, Method::DELETE] {
        let page = Browser::new(app)
            .send(method.clone(), PATH, &[("authorization", &bearer)], "")
            .await;
        assert_eq!(
            (page.status.as_u16(), page.header("allow")),
            (405, "GET"),
            "{method}"
        );
    }
}

async fn seed_000_a_mapping_applies_at_once(app: &App) {
    let tokens = RelyingParty::docs().tokens(app, "ada").await;
    let set = json!({ "docs_profile": {
        "content": { "plan": null, "locale": "locale" }, "groups": [], "expires_in": "1m", "playground": { "query": { "crm": "private_metadata.crm_id" } }
    } });
    let action = json!({"action": "tenant_update", "tenant": "default", "set": set});
    app.server.perform(action).await.unwrap();
    let page = with_bearer(app, PATH, text(&tokens, "access_token")).await;
    assert_eq!(
        page.json(),
        json!({
            "expiresAt": START + 60,
            "groups": [],
            "content": { "firstName": "Ada", "lastName": "Lovelace", "email": "ada@acme.test", "locale": "en" },
            "apiPlaygroundInputs": { "header": { "X-Api-Key": "42" }, "query": { "crm": "42" } },
        })
    );
}
