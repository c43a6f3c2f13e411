//! Seed 003: `/api/id/v1/auth/…`.

use super::checks::{
    accepted, grant_refused, is_over, no_tokens, page_headers, refused, shown, text,
};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::installation::{BASE, PASSWORD};
use crate::support::relying_party::{CHALLENGE, RelyingParty, VERIFIER};
use http::Method;
use serde_json::json;

on_both_engines! {
    seed_003_the_whole_flow_with_302_and_its_siblings,
    seed_003_o21_16_each_of_the_seven_parameters_is_required,
    seed_003_o21_06_t01_unknown_clients_and_addresses_are_a_page_with_400,
    seed_003_a_strict_client_is_strict_on_the_standard_path_too,
    seed_003_t04_only_code_in_the_query,
    seed_003_a_program_is_told_to_use_a_browser,
    seed_003_the_token_endpoint_takes_json_too,
    seed_003_t10_a_member_that_stands_twice_in_json_is_refused,
    seed_003_access_denied_comes_back,
    o21_33_bcp_20_a_post_is_answered_with_303_even_here,
    seed_003_t10_a_repeated_parameter_is_refused,
    seed_003_o21_19_bcp_12_state_comes_back_byte_for_byte_and_nothing_is_kept,
    seed_003_tokens_are_refreshed_by_form_and_by_json,
    seed_003_the_siblings_refuse_what_the_standard_endpoints_refuse,
    seed_003_bcp_14_each_tenant_has_the_profile_below_its_own_base,
}

const HERE: &str = "/api/id/v1/auth";

fn request(changed: &[(&'static str, &str)]) -> String {
    let mut all = vec![("nonce", "")];
    all.extend(changed);
    here(&RelyingParty::field().request(&all))
}

/// The same request at the strict endpoint.
fn here(url: &str) -> String {
    url.replace("/oauth/authorize", &format!("{HERE}/authorize"))
}

#[track_caller]
fn returned(page: &Page, error: &str) {
    assert_eq!(page.status, 302, "{} {}", page.path, page.body);
    assert!(
        page.header("location")
            .starts_with("https://field.acme.test/cb?error="),
        "{}",
        page.header("location")
    );
    let answer = page.answer();
    assert_eq!(
        (answer["error"].as_str(), answer["iss"].as_str()),
        (error, BASE)
    );
    no_tokens(page);
}

async fn visit(app: &App, url: &str) -> Page {
    Browser::new(app).get(url).await
}

async fn seed_003_the_whole_flow_with_302_and_its_siblings(app: &App) {
    let field = RelyingParty::field();
    let mut browser = Browser::new(app);
    let page = browser.get(&request(&[])).await;
    assert_eq!(page.status, 302);
    assert!(
        page.header("location").starts_with("/sign-in?request="),
        "{}",
        page.header("location")
    );
    let page = browser.follow(page).await;
    page_headers(&page);
    let page = browser.sign_in(&page, "ada").await;
    let page = browser.allow(&page).await;
    let answer = page.answer();
    assert_eq!(answer["state"], "st4te-of-the-app");
    let page = field
        .post(
            app,
            &format!("{HERE}/token"),
            &field.redemption(&answer["code"]),
        )
        .await;
    assert_eq!(
        (page.status.as_u16(), page.header("cache-control")),
        (200, "no-store"),
        "{}",
        page.body
    );
    let tokens = page.json();
    let bearer = format!("Bearer {}", text(&tokens, "access_token"));
    let info = Browser::new(app)
        .send(
            Method::GET,
            &format!("{HERE}/userinfo"),
            &[("authorization", &bearer)],
            "",
        )
        .await;
    assert_eq!(info.json()["email"], "ada@acme.test");
    // The second time nobody is asked: one redirect, 302.
    let page = browser.get(&request(&[])).await;
    assert_eq!(page.status, 302);
    assert!(
        page.header("location")
            .starts_with("https://field.acme.test/cb?code=")
    );
    assert_eq!(
        field
            .post(
                app,
                &format!("{HERE}/revoke"),
                &[("token", text(&tokens, "access_token"))]
            )
            .await
            .status,
        200
    );
    refused(
        &Browser::new(app)
            .send(
                Method::GET,
                &format!("{HERE}/userinfo"),
                &[("authorization", &bearer)],
                "",
            )
            .await,
        401,
        "invalid_token",
    );
    let page = browser.visit(&format!("{HERE}/logout")).await;
    browser.submit(&page, &[]).await;
    let page = browser.visit(&request(&[])).await;
    assert!(page.path.starts_with("/sign-in?request="), "{}", page.path);
}

async fn seed_003_o21_16_each_of_the_seven_parameters_is_required(app: &App) {
    for (name, error) in [
        ("response_type", "invalid_request"),
        ("scope", "invalid_scope"),
        ("state", "invalid_request"),
        ("code_challenge", "invalid_request"),
        ("code_challenge_method", "invalid_request"),
    ] {
        let page = visit(app, &request(&[(name, "")])).await;
        returned(&page, error);
        assert_eq!(page.answer().contains_key("state"), name != "state");
    }
    for changed in [
        ("code_challenge_method", "plain"),
        ("code_challenge", "short"),
        ("scope", "nope"),
        ("response_type", "token"),
        ("scope", "openid"),
    ] {
        let error = match changed.0 {
            "scope" => "invalid_scope",
            "response_type" => "unsupported_response_type",
            _ => "invalid_request",
        };
        returned(&visit(app, &request(&[changed])).await, error);
    }
    shown(&visit(app, &request(&[("redirect_uri", "")])).await, 400);
    shown(&visit(app, &request(&[("client_id", "")])).await, 400);
    // The nonce exception of a relaxed client is none here.
    let relaxed = RelyingParty::relaxed();
    let url = relaxed.request(&[("code_challenge", ""), ("code_challenge_method", "")]);
    let page = visit(app, &here(&url)).await;
    assert_eq!(
        (page.status.as_u16(), page.answer()["error"].as_str()),
        (302, "invalid_request")
    );
}

async fn seed_003_o21_06_t01_unknown_clients_and_addresses_are_a_page_with_400(app: &App) {
    for client_id in ["nobody", "Field", "\"><script>"] {
        shown(
            &visit(app, &request(&[("client_id", client_id)])).await,
            400,
        );
    }
    for variant in [
        "https://field.acme.test/cb/",
        "https://field.acme.test/CB",
        "https://field.acme.test@evil.example/cb",
        "https://evil.example/",
        "http://field.acme.test/cb",
        "//evil.example",
    ] {
        shown(
            &visit(app, &request(&[("redirect_uri", variant)])).await,
            400,
        );
    }
    for method in [Method::POST, Method::PUT, Method::OPTIONS] {
        let page = Browser::new(app)
            .send(method, &format!("{HERE}/authorize"), &[], "")
            .await;
        shown(&page, 405);
        assert_eq!(page.header("allow"), "GET");
    }
}

async fn seed_003_a_strict_client_is_strict_on_the_standard_path_too(app: &App) {
    let field = RelyingParty::field();
    for (name, error) in [
        ("state", "invalid_request"),
        ("scope", "invalid_scope"),
        ("code_challenge", "invalid_request"),
    ] {
        let page = visit(app, &field.request(&[(name, "")])).await;
        assert_eq!(page.answer()["error"], error, "{name}");
    }
    shown(
        &visit(app, &field.request(&[("redirect_uri", "")])).await,
        400,
    );
}

async fn seed_003_t04_only_code_in_the_query(app: &App) {
    for mode in ["fragment", "form_post", "jwt", "query.jwt", "web_message"] {
        returned(
            &visit(app, &request(&[("response_mode", mode)])).await,
            "invalid_request",
        );
    }
    for response_type in ["token", "id_token", "code token", "none", "CODE"] {
        returned(
            &visit(app, &request(&[("response_type", response_type)])).await,
            "unsupported_response_type",
        );
    }
    assert_eq!(
        visit(app, &request(&[("response_mode", "query")]))
            .await
            .status,
        302
    );
}

async fn seed_003_a_program_is_told_to_use_a_browser(app: &App) {
    for header in [("accept", "application/json"), ("sec-fetch-dest", "empty")] {
        let page = Browser::new(app)
            .send(Method::GET, &request(&[]), &[header], "")
            .await;
        refused(&page, 400, "invalid_request");
        assert!(page.body.contains("this endpoint is for browsers"));
    }
}

async fn code(app: &App) -> String {
    Browser::new(app)
        .authorize(&request(&[]), "ada")
        .await
        .answer()["code"]
        .clone()
}

async fn json_post(app: &App, body: &str) -> Page {
    Browser::new(app)
        .send(
            Method::POST,
            &format!("{HERE}/token"),
            &[("content-type", "application/json; charset=utf-8")],
            body,
        )
        .await
}

async fn seed_003_the_token_endpoint_takes_json_too(app: &App) {
    let code = code(app).await;
    for bad in [
        "",
        "[]",
        "{",
        "null",
        "\"x\"",
        "{\"grant_type\":1}",
        "{\"grant_type\":[\"authorization_code\"]}",
        "{\"grant_type\":{\"a\":\"b\"}}",
        &format!("{}1{}", "[".repeat(9000), "]".repeat(9000)),
    ] {
        let page = json_post(app, bad).await;
        assert!(
            [400, 401].contains(&page.status.as_u16()),
            "{bad:.30} {}",
            page.status
        );
        let error = page.json()["error"].as_str().unwrap().to_owned();
        refused(&page, page.status.as_u16(), &error);
    }
    let body = json!({"grant_type": "authorization_code", "client_id": "field", "code": code, "redirect_uri": "https://field.acme.test/cb", "code_verifier": VERIFIER});
    let mut wrong = body.clone();
    wrong["code_verifier"] = json!(CHALLENGE);
    grant_refused(&json_post(app, &wrong.to_string()).await);
    // The standard endpoint takes forms only.
    let page = Browser::new(app)
        .send(
            Method::POST,
            "/oauth/token",
            &[("content-type", "application/json")],
            &body.to_string(),
        )
        .await;
    refused(&page, 400, "invalid_request");
    let page = json_post(app, &body.to_string()).await;
    assert_eq!(page.status, 200, "{}", page.body);
}

async fn seed_003_t10_a_member_that_stands_twice_in_json_is_refused(app: &App) {
    let code = code(app).await;
    let good = format!(
        "\"grant_type\":\"authorization_code\",\"client_id\":\"field\",\"code\":\"{code}\",\"redirect_uri\":\"https://field.acme.test/cb\",\"code_verifier\":\"{VERIFIER}\""
    );
    for second in [
        "\"code_verifier\":\"x\"",
        "\"client_id\":\"spa\"",
        "\"grant_type\":\"refresh_token\"",
        "\"client_id\":\"field\"",
    ] {
        refused(
            &json_post(app, &format!("{{{second},{good}}}")).await,
            400,
            "invalid_request",
        );
        refused(
            &json_post(app, &format!("{{{good},{second}}}")).await,
            400,
            "invalid_request",
        );
    }
    assert_eq!(json_post(app, &format!("{{{good}}}")).await.status, 200);
}

async fn seed_003_access_denied_comes_back(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit(&request(&[])).await;
    let page = browser.sign_in(&page, "ada").await;
    let page = browser.submit(&page, &[("decision", "deny")]).await;
    returned(&page, "access_denied");
    assert_eq!(page.answer()["state"], "st4te-of-the-app");
}

async fn o21_33_bcp_20_a_post_is_answered_with_303_even_here(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit(&request(&[])).await;
    let answer = browser
        .submit_once(&page, &[("username", "ada"), ("password", PASSWORD)])
        .await;
    assert_eq!(answer.status, 303);
    let page = browser.follow(answer).await;
    assert_eq!(
        browser
            .submit_once(&page, &[("decision", "allow")])
            .await
            .status,
        303
    );
}

async fn seed_003_t10_a_repeated_parameter_is_refused(app: &App) {
    let good = request(&[]);
    for name in [
        "response_type",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
        "unknown",
    ] {
        let page = visit(app, &format!("{good}&{name}=x&{name}=y")).await;
        returned(&page, "invalid_request");
        assert_eq!(
            page.answer()["error_description"],
            format!("{name} may stand once")
        );
    }
    for second in [
        "client_id=field",
        "client_id=web",
        "redirect_uri=https://field.acme.test/cb",
        "redirect_uri=https://evil.example/",
    ] {
        shown(&visit(app, &format!("{good}&{second}")).await, 400);
    }
}

async fn seed_003_o21_19_bcp_12_state_comes_back_byte_for_byte_and_nothing_is_kept(app: &App) {
    let mut browser = Browser::new(app);
    browser.authorize(&request(&[]), "ada").await;
    for state in [
        "s",
        "a b&c=d+e%20f#g?h",
        "\u{202e}\u{feff}😀é",
        "\"><script>alert(1)</script>",
        &"x".repeat(4096),
    ] {
        let url = request(&[("state", state)]);
        let page = browser.get(&url).await;
        assert_eq!(page.status, 302);
        assert_eq!(page.answer()["state"], *state);
        assert!(page.answer().contains_key("code"));
        assert_eq!(
            (
                page.header("cache-control"),
                page.header("referrer-policy"),
                page.body.as_str()
            ),
            ("no-store", "no-referrer", "")
        );
        let page = visit(app, &request(&[("state", state), ("scope", "nope")])).await;
        returned(&page, "invalid_scope");
        assert_eq!(page.answer()["state"], *state);
    }
    let page = visit(app, &request(&[("state", &"x".repeat(4097))])).await;
    returned(&page, "invalid_request");
    assert!(!page.answer().contains_key("state"));
}

async fn seed_003_tokens_are_refreshed_by_form_and_by_json(app: &App) {
    let client = RelyingParty::web_post();
    let tokens = client.tokens(app, "ada").await;
    let mut refresh = json!({"grant_type": "refresh_token", "refresh_token": text(&tokens, "refresh_token"), "client_id": client.client_id});
    for wrong in [None, Some(""), Some("x")] {
        if let Some(secret) = wrong {
            refresh["client_secret"] = json!(secret);
        }
        refused(
            &json_post(app, &refresh.to_string()).await,
            401,
            "invalid_client",
        );
    }
    refresh["client_secret"] = json!(client.secret);
    let mut wider = refresh.clone();
    wider["scope"] = json!("openid reports.read");
    refused(
        &json_post(app, &wider.to_string()).await,
        400,
        "invalid_scope",
    );
    let page = json_post(app, &refresh.to_string()).await;
    accepted(&page);
    let next = page.json();
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&next, "refresh_token")),
    ];
    let page = client.post(app, &format!("{HERE}/token"), &fields).await;
    accepted(&page);
    let last = page.json();
    assert_ne!(text(&last, "refresh_token"), text(&next, "refresh_token"));
    // The first one was rotated away, here as anywhere.
    grant_refused(&json_post(app, &refresh.to_string()).await);
    is_over(&client.userinfo(app, text(&last, "access_token")).await);
}

async fn seed_003_the_siblings_refuse_what_the_standard_endpoints_refuse(app: &App) {
    for (sibling, allowed) in [
        ("token", "POST"),
        ("revoke", "POST"),
        ("userinfo", "GET, POST"),
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
            if allowed.contains(method.as_str()) {
                continue;
            }
            let page = Browser::new(app)
                .send(method, &format!("{HERE}/{sibling}"), &[], "")
                .await;
            refused(&page, 405, "invalid_request");
            assert_eq!(page.header("allow"), allowed);
        }
    }
    let page = Browser::new(app)
        .send(Method::PUT, &format!("{HERE}/logout"), &[], "")
        .await;
    shown(&page, 405);
    assert_eq!(page.header("allow"), "GET, POST");
    shown(
        &visit(app, &format!("{HERE}/logout?state=a&state=b")).await,
        400,
    );
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    let fields = [("token", text(&tokens, "id_token"))];
    refused(
        &web.post(app, &format!("{HERE}/revoke"), &fields).await,
        400,
        "unsupported_token_type",
    );
    // Revocation takes forms only, and the token endpoint no other media type.
    let basic = web.basic();
    for (sibling, kind) in [
        ("revoke", "application/json"),
        ("token", "text/plain"),
        ("token", "application/jsonx"),
        ("token", ""),
    ] {
        let headers = [("authorization", basic.as_str()), ("content-type", kind)];
        let page = Browser::new(app)
            .send(
                Method::POST,
                &format!("{HERE}/{sibling}"),
                &headers,
                "{\"token\":\"x\",\"grant_type\":\"client_credentials\"}",
            )
            .await;
        refused(&page, 400, "invalid_request");
    }
    accepted(&web.userinfo(app, text(&tokens, "access_token")).await);
}

async fn seed_003_bcp_14_each_tenant_has_the_profile_below_its_own_base(app: &App) {
    let globex = RelyingParty::globex();
    let url = here(&globex.request(&[]));
    let mut browser = Browser::new(app);
    let page = browser.get(&url).await;
    assert_eq!(page.status, 302);
    assert!(
        page.header("location")
            .starts_with("/t/globex/sign-in?request="),
        "{}",
        page.header("location")
    );
    let answer = browser.authorize(&url, "ada").await.answer();
    assert_eq!(answer["iss"], globex.base);
    let redemption = globex.redemption(&answer["code"]);
    // Not the default tenant's, whose client has the same name.
    let elsewhere = RelyingParty {
        base: BASE.to_owned(),
        ..globex.clone()
    };
    refused(
        &elsewhere
            .post(app, &format!("{HERE}/token"), &redemption)
            .await,
        401,
        "invalid_client",
    );
    accepted(
        &globex
            .post(app, &format!("{HERE}/token"), &redemption)
            .await,
    );
    for client_id in ["field", "nobody"] {
        let url = here(&globex.request(&[("client_id", client_id)]));
        shown(&visit(app, &url).await, 400);
    }
}
