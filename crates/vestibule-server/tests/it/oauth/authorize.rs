//! `/oauth/authorize`.

use super::checks::{accepted, no_tokens, page_headers, refused, returned, shown};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::installation::{BASE, PASSWORD};
use crate::support::relying_party::{CHALLENGE, RelyingParty, VERIFIER, decode, encode};
use http::Method;
use serde_json::json;

on_both_engines! {
    a_person_signs_in_allows_and_the_app_gets_tokens,
    t01_o21_03_o21_04_o21_06_bcp_01_bcp_11_a_variant_of_a_registered_uri_is_shown_and_never_followed,
    t03_o21_06_o21_40_no_error_class_leaves_for_an_address_that_is_not_registered,
    o21_03_o21_43_the_port_of_a_loopback_ip_alone_is_free,
    o21_05_without_redirect_uri_the_only_one_is_meant_and_several_are_an_error,
    o21_06_an_unknown_or_missing_client_is_told_the_person_with_401,
    o21_11_unknown_parameters_are_ignored_and_empty_ones_absent,
    t10_o21_11_a_repeated_parameter_is_refused,
    t10_oc_06_query_and_body_are_one_set_of_parameters,
    oc_06_a_post_arrives_at_the_same_place_as_a_get,
    t08_o21_16_o21_17_bcp_02_only_s256_opens_the_way,
    o21_16_the_nonce_exception_is_for_the_client_that_has_it_and_needs_openid_and_nonce,
    o21_19_o21_39_t11_state_comes_back_byte_for_byte_or_not_at_all,
    o21_31_o21_40_an_unverifiable_client_is_never_answered_silently,
    o21_33_bcp_20_every_redirect_of_the_dialogue_is_303,
    t04_o21_44_bcp_04_only_code_in_three_modes_is_an_answer,
    iss_03_md_03_jarm_is_not_served_and_not_listed,
    iss_01_iss_04_o21_42_bcp_13_every_mode_and_every_error_carries_iss,
    oc_02_prompt_none_stands_alone_and_unknown_values_are_refused,
    oc_02_prompt_login_and_consent_ask_again,
    oc_03_hints_about_language_and_display_never_fail,
    oc_04_max_age_asks_again_and_zero_is_login,
    oc_04_a_max_age_that_is_no_number_is_refused,
    oc_07_a_hint_of_somebody_else_is_never_answered_with_the_wrong_person,
    oc_08_oc_18_the_subject_in_claims_must_match,
    oc_09_prompt_none_says_what_is_missing_and_shows_nothing,
    oc_18_the_claims_parameter_is_read_and_what_is_odd_in_it_ignored,
    oc_20_what_is_not_supported_is_refused_by_its_name,
    oc_26_offline_access_is_asked_about_and_refused_to_who_may_not_have_it,
    t18_a_scope_outside_the_clients_list_is_refused,
    t60_t11_t67_hostile_input_is_refused_quickly_and_never_a_5xx,
    o21_06_a_request_that_only_a_script_can_send_is_told_so,
    o21_38_o21_39_bcp_12_bcp_23_pages_are_closed_to_frames_and_referrers,
    o21_32_bcp_22_an_authorized_request_cannot_choose_its_subject,
    bcp_12_the_answer_itself_is_not_kept_and_sends_no_referrer,
    o21_12_no_cors_on_the_authorization_endpoint,
    seed_002_o21_19_state_is_required_as_the_clients_policy_says,
    bcp_07_a_resource_is_one_of_the_clients_own,
    o21_44_a_client_without_the_grant_is_told_at_its_address,
    oc_04_the_clients_own_max_age_holds_where_the_request_has_none,
    t60_o21_19_the_longest_request_arrives_whole_and_a_longer_one_goes_back,
    o21_43_a_scheme_without_a_dot_is_for_the_client_whose_policy_takes_the_risk,
    t22_while_the_database_is_away_the_person_is_told_and_nothing_is_issued,
}

/// A browser that is signed in and has allowed this client.
async fn known<'a>(app: &'a App, client: &RelyingParty, username: &str) -> Browser<'a> {
    let mut browser = Browser::new(app);
    let page = browser.authorize(&client.request(&[]), username).await;
    assert!(
        page.answer().contains_key("code"),
        "{}",
        page.header("location")
    );
    browser
}

async fn visit(app: &App, url: &str) -> Page {
    Browser::new(app).get(url).await
}

#[track_caller]
fn asks_for_sign_in(page: &Page) {
    assert_eq!(
        (
            page.status.as_u16(),
            page.path.starts_with("/sign-in?request=")
        ),
        (200, true),
        "{} {}",
        page.path,
        page.header("location")
    );
    page_headers(page);
}

async fn a_person_signs_in_allows_and_the_app_gets_tokens(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    let page = browser.visit(&web.request(&[])).await;
    asks_for_sign_in(&page);
    assert!(page.body.contains("Acme Web"));
    let page = browser.sign_in(&page, "ada@acme.test").await;
    assert!(page.path.starts_with("/consent?request="), "{}", page.path);
    let page = browser.allow(&page).await;
    assert_eq!(page.status, 303);
    let answer = page.answer();
    assert_eq!(answer["state"], "st4te-of-the-app");
    assert_eq!(answer["iss"], BASE);
    let tokens = web.exchange(app, &answer["code"]).await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    let tokens = tokens.json();
    let (header, claims) = decode(tokens["id_token"].as_str().unwrap());
    assert_eq!(header["alg"], "RS256");
    assert_eq!(claims["nonce"], "n0nce-of-the-app");
    let info = web
        .userinfo(app, tokens["access_token"].as_str().unwrap())
        .await;
    assert_eq!(info.status, 200, "{}", info.body);
    assert_eq!(info.json()["sub"], claims["sub"]);
    // The second app needs no password, and this one no question.
    let again = browser.get(&web.request(&[])).await;
    assert_eq!(again.status, 303);
    assert!(again.answer().contains_key("code"));
}

/// Ways to write an address that some parser takes for `https://web.acme.test/cb`, or for its owner.
const VARIANTS: &[&str] = &[
    "https://web.acme.test/cb/",
    "https://web.acme.test/CB",
    "https://WEB.acme.test/cb",
    "HTTPS://web.acme.test/cb",
    "http://web.acme.test/cb",
    "https://web.acme.test:443/cb",
    "https://web.acme.test:8443/cb",
    "https://web.acme.test/cb?",
    "https://web.acme.test/cb?x=1",
    "https://web.acme.test/cb#",
    "https://web.acme.test/cb#x",
    "https://web.acme.test//cb",
    "https://web.acme.test/./cb",
    "https://web.acme.test/x/../cb",
    "https://web.acme.test/cb/..",
    "https://web.acme.test/cb/../../evil",
    "https://web.acme.test/..;/cb",
    "https://web.acme.test/cb;x",
    "https://web.acme.test/cb;jsessionid=1",
    "https://web.acme.test/%63b",
    "https://web.acme.test/cb%2f",
    "https://web.acme.test/cb%2e%2e",
    "https://web.acme.test/cb%23",
    "https://web.acme.test/cb%3f",
    "https://web.acme.test/cb%20",
    "https://web.acme.test\\cb",
    "https://web.acme.test\\@evil.example/cb",
    "https://web.acme.test@evil.example/cb",
    "https://evil.example@web.acme.test/cb",
    "https://a:b@web.acme.test/cb",
    "https://a@b@web.acme.test/cb",
    "https://web.acme.test:@evil.example/cb",
    "https://web.acme.test:80@evil.example/cb",
    "https://web.acme.test.evil.example/cb",
    "https://evilweb.acme.test/cb",
    "https://xweb.acme.test/cb",
    "https://evil.example/web.acme.test/cb",
    "https://evil.example?https://web.acme.test/cb",
    "https://evil.example#https://web.acme.test/cb",
    "https://evil.example\\.web.acme.test/cb",
    "//web.acme.test/cb",
    "//evil.example/cb",
    "///evil.example/cb",
    "/\\evil.example/cb",
    "/cb",
    "cb",
    "https:web.acme.test/cb",
    "https:/web.acme.test/cb",
    "https:///web.acme.test/cb",
    "https:\\\\web.acme.test\\cb",
    " https://web.acme.test/cb",
    "https://web.acme.test/cb ",
    "https://web.acme.test./cb",
    "https://web。acme.test/cb",
    "https://ｗeb.acme.test/cb",
    "https://web.аcme.test/cb",
    "https://xn--web.acme.test/cb",
    "https://*.acme.test/cb",
    "https://web.acme.test/*",
    "*",
    "https://webXacme.test/cb",
    "https://127.0.0.1/cb",
    "http://localhost/cb",
    "https://web.acme.test/cb,https://evil.example",
    "https://web.acme.test/cb https://evil.example",
    "https://web.acme.test/cb&redirect_uri",
    "https://web.acme.test/cb\u{feff}",
    "\u{202e}https://web.acme.test/cb",
    "javascript:https://web.acme.test/cb",
    "jAvAsCrIpT:alert(1)//https://web.acme.test/cb",
    "data:text/html,https://web.acme.test/cb",
    "blob:https://web.acme.test/cb",
    "vbscript:x",
    "file:///cb",
    "com.acme.app:/cb",
    "urn:ietf:wg:oauth:2.0:oob",
    "https://post.acme.test/cb",
    "https://web.globex.test/cb",
    "https://web.acme.test/bye",
    "https://[::1]/cb",
    "https://web.acme.test/cb\u{2028}",
];

async fn t01_o21_03_o21_04_o21_06_bcp_01_bcp_11_a_variant_of_a_registered_uri_is_shown_and_never_followed(
    app: &App,
) {
    let web = RelyingParty::web();
    let mut signed_in = known(app, &web, "ada").await;
    for variant in VARIANTS {
        for extra in ["", "none"] {
            let url = web.request(&[("redirect_uri", variant), ("prompt", extra)]);
            let page = signed_in.get(&url).await;
            shown(&page, 400);
            no_tokens(&page);
            assert!(
                page.body
                    .contains("redirect_uri does not exactly match one that is registered"),
                "{variant}"
            );
        }
        let (_, query) = web
            .request(&[("redirect_uri", variant)])
            .split_once('?')
            .map(|(path, query)| (path.to_owned(), query.to_owned()))
            .unwrap();
        let page = signed_in.post("/oauth/authorize", &query).await;
        shown(&page, 400);
    }
    // What cannot be decoded is no address either.
    for encoded in [
        "https://web.acme.test/cb%00",
        "https://web.acme.test/cb%0d%0aX: y",
        "https://web.acme.test/c%09b",
        "%ff",
        "https://web.acme.test/cb%",
    ] {
        let page = signed_in
            .get(&format!(
                "/oauth/authorize?response_type=code&client_id=web&redirect_uri={}",
                encoded.replace(' ', "+")
            ))
            .await;
        shown(&page, 400);
    }
    let good = signed_in.get(&web.request(&[])).await;
    assert!(
        good.header("location")
            .starts_with("https://web.acme.test/cb?code="),
        "{}",
        good.header("location")
    );
    assert!(app.server.apply("[[tenant]]\nslug = \"default\"\n[[tenant.client]]\nclient_id = \"odd\"\nredirect_uris = [\"https://a.example/cb#x\"]\n").await.is_err());
    assert!(app.server.apply("[[tenant]]\nslug = \"default\"\n[[tenant.client]]\nclient_id = \"odd\"\nredirect_uris = [\"/cb\"]\n").await.is_err());
}

async fn t03_o21_06_o21_40_no_error_class_leaves_for_an_address_that_is_not_registered(app: &App) {
    let web = RelyingParty::web();
    let errors: &[(&'static str, &str)] = &[
        ("prompt", "none"),
        ("scope", "nope"),
        ("response_type", "token"),
        ("response_mode", "jwt"),
        ("code_challenge", "x"),
        ("request", "x"),
        ("request_uri", "https://x"),
        ("max_age", "x"),
        ("claims", "x"),
        ("id_token_hint", "x"),
        ("resource", "https://x"),
        ("prompt", "none login"),
        ("response_mode", "form_post"),
    ];
    for (name, value) in errors {
        let page = visit(
            app,
            &web.request(&[("redirect_uri", "https://evil.example/cb"), (name, value)]),
        )
        .await;
        shown(&page, 400);
        assert!(!page.body.contains("evil.example"), "{name}");
        assert!(
            !page
                .header("content-security-policy")
                .contains("evil.example")
        );
        let page = visit(
            app,
            &web.request(&[
                ("client_id", "evil"),
                ("redirect_uri", "https://evil.example/cb"),
                (name, value),
            ]),
        )
        .await;
        shown(&page, 401);
    }
    // Nobody can make a client of their own here.
    for path in ["/oauth/register", "/oauth/par", "/register"] {
        let page = Browser::new(app)
            .send(
                Method::POST,
                path,
                &[("content-type", "application/json")],
                "{}",
            )
            .await;
        assert_eq!(page.status, 404, "{path}");
    }
}

async fn o21_03_o21_43_the_port_of_a_loopback_ip_alone_is_free(app: &App) {
    let native = RelyingParty::native();
    for good in [
        "http://127.0.0.1/cb",
        "http://127.0.0.1:1/cb",
        "http://127.0.0.1:65535/cb",
        "com.acme.app:/cb",
    ] {
        assert_eq!(
            visit(app, &native.request(&[("redirect_uri", good)]))
                .await
                .status,
            303,
            "{good}"
        );
    }
    let bad = [
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:0x50/cb",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1:49152/CB",
        "http://127.0.0.1:49152/cb/",
        "http://127.0.0.1:49152",
        "https://127.0.0.1:49152/cb",
        "http://127.0.0.2:49152/cb",
        "http://localhost:49152/cb",
        "http://[::1]:49152/cb",
        "http://0x7f.1:49152/cb",
        "http://2130706433/cb",
        "http://127.1:49152/cb",
        "http://127.0.0.1.evil.example:49152/cb",
        "com.acme.app:/cb/x",
        "com.acme.app://cb",
        "com.acme.app:49152/cb",
        "com.acme.evil:/cb",
        "http://127.0.0.1:+80/cb",
        "http://127.0.0.1: 80/cb",
    ];
    for bad in bad {
        shown(
            &visit(app, &native.request(&[("redirect_uri", bad)])).await,
            400,
        );
    }
    // An https client has no such freedom.
    shown(
        &visit(
            app,
            &RelyingParty::spa().request(&[("redirect_uri", "https://spa.acme.test:8443/cb")]),
        )
        .await,
        400,
    );
}

async fn o21_05_without_redirect_uri_the_only_one_is_meant_and_several_are_an_error(app: &App) {
    shown(
        &visit(
            app,
            &RelyingParty::web_post().request(&[("redirect_uri", "")]),
        )
        .await,
        400,
    );
    shown(
        &visit(
            app,
            &RelyingParty::machine("machine").request(&[("redirect_uri", "")]),
        )
        .await,
        400,
    );
    let page = visit(
        app,
        &RelyingParty::spa().request(&[("redirect_uri", ""), ("prompt", "none")]),
    )
    .await;
    returned(&page, "https://spa.acme.test/cb", "login_required");
}

async fn o21_06_an_unknown_or_missing_client_is_told_the_person_with_401(app: &App) {
    let web = RelyingParty::web();
    for client_id in [
        "",
        "nobody",
        "Web",
        "web ",
        "web\u{200b}",
        "' OR 1=1 --",
        "https://evil.example/client",
        "../web",
    ] {
        let page = visit(
            app,
            &web.request(&[("client_id", client_id), ("prompt", "none")]),
        )
        .await;
        shown(&page, 401);
        assert!(page.body.contains("invalid_client"), "{client_id}");
    }
    shown(&visit(app, "/oauth/authorize").await, 401);
    shown(&Browser::new(app).post("/oauth/authorize", "").await, 401);
}

async fn o21_11_unknown_parameters_are_ignored_and_empty_ones_absent(app: &App) {
    let web = RelyingParty::web();
    let url = format!("{}&unknown=1&another=%00&client_secret=x", web.request(&[]));
    // What is not text at all is refused even under an unknown name; the secret is not looked at.
    shown(&visit(app, &url).await, 400);
    let url = format!(
        "{}&unknown=1&another=two&prompt=&max_age=&login_hint=&response_mode=&claims=&request=&id_token_hint=",
        web.request(&[])
    );
    asks_for_sign_in(&Browser::new(app).visit(&url).await);
    returned(
        &visit(
            app,
            &web.request(&[])
                .replace("response_type=code", "response_type="),
        )
        .await,
        web.redirect_uri,
        "invalid_request",
    );
    shown(
        &visit(
            app,
            &web.request(&[]).replace("client_id=web", "client_id="),
        )
        .await,
        401,
    );
}

async fn t10_o21_11_a_repeated_parameter_is_refused(app: &App) {
    let web = RelyingParty::web();
    for name in [
        "response_type",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
    ] {
        let url = format!(
            "{}&{name}={}",
            web.request(&[]),
            web.params()[name].replace(' ', "+")
        );
        let page = visit(app, &url).await;
        returned(&page, web.redirect_uri, "invalid_request");
        assert_eq!(
            page.answer()["error_description"],
            format!("{name} may stand once")
        );
    }
    for name in [
        "prompt",
        "max_age",
        "claims",
        "login_hint",
        "unknown",
        "response_mode",
        "scope%5B%5D",
    ] {
        returned(
            &visit(app, &format!("{}&{name}=query&{name}=", web.request(&[]))).await,
            web.redirect_uri,
            "invalid_request",
        );
    }
    for name in ["client_id", "redirect_uri"] {
        for second in [web.params()[name].as_str(), "", "https://evil.example/"] {
            shown(
                &visit(app, &format!("{}&{name}={second}", web.request(&[]))).await,
                400,
            );
        }
    }
    // `resource` alone may repeat (RFC 8707, 2).
    let url = format!(
        "{}&resource=https://api.acme.test/&resource=https://other.acme.test/",
        web.request(&[])
    );
    asks_for_sign_in(&Browser::new(app).visit(&url).await);
    let many = "&resource=https://api.acme.test/".repeat(9);
    returned(
        &visit(app, &format!("{}{many}", web.request(&[]))).await,
        web.redirect_uri,
        "invalid_request",
    );
}

async fn t10_oc_06_query_and_body_are_one_set_of_parameters(app: &App) {
    let web = RelyingParty::web();
    let body = encode(&web.params());
    let mut browser = Browser::new(app);
    shown(
        &browser.post("/oauth/authorize?client_id=web", &body).await,
        400,
    );
    shown(
        &browser
            .post("/oauth/authorize?redirect_uri=https://evil.example/", &body)
            .await,
        400,
    );
    returned(
        &browser.post("/oauth/authorize?scope=openid", &body).await,
        web.redirect_uri,
        "invalid_request",
    );
    for kind in [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "",
    ] {
        shown(
            &browser
                .send(
                    Method::POST,
                    "/oauth/authorize",
                    &[("content-type", kind)],
                    &body,
                )
                .await,
            400,
        );
    }
}

async fn oc_06_a_post_arrives_at_the_same_place_as_a_get(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    // From another site: no cookie comes, and the hub is reached by GET.
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "https://web.acme.test"),
        ("sec-fetch-site", "cross-site"),
    ];
    let page = browser
        .send(
            Method::POST,
            "/oauth/authorize",
            &headers,
            &encode(&web.params()),
        )
        .await;
    assert_eq!(page.status, 303);
    assert!(
        page.header("location").starts_with("/oauth/authorize/u"),
        "{}",
        page.header("location")
    );
    let page = browser.follow(page).await;
    asks_for_sign_in(&page);
    let page = browser.sign_in(&page, "ada").await;
    let page = browser.allow(&page).await;
    accepted(&web.exchange(app, &page.answer()["code"]).await);
    for method in [
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
        Method::TRACE,
    ] {
        let page = browser.send(method, "/oauth/authorize", &[], "").await;
        shown(&page, 405);
        assert_eq!(page.header("allow"), "GET, POST");
    }
}

async fn t08_o21_16_o21_17_bcp_02_only_s256_opens_the_way(app: &App) {
    let long = "A".repeat(129);
    for client in [
        RelyingParty::web(),
        RelyingParty::spa(),
        RelyingParty::first_party(),
    ] {
        let table: &[(&str, &str)] = &[
            ("", ""),
            (CHALLENGE, ""),
            (CHALLENGE, "plain"),
            (CHALLENGE, "s256"),
            (CHALLENGE, "S512"),
            (CHALLENGE, "none"),
            ("", "S256"),
            ("", "plain"),
            (VERIFIER, "plain"),
            ("short", "S256"),
            (&long, "S256"),
            ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=", "S256"),
            ("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM", "S256"),
        ];
        for (challenge, method) in table {
            let page = visit(
                app,
                &client.request(&[
                    ("code_challenge", challenge),
                    ("code_challenge_method", method),
                ]),
            )
            .await;
            returned(&page, client.redirect_uri, "invalid_request");
            assert!(
                page.answer()["error_description"].contains("code_challenge"),
                "{challenge} {method}"
            );
        }
        asks_for_sign_in(&Browser::new(app).visit(&client.request(&[])).await);
    }
}

async fn o21_16_the_nonce_exception_is_for_the_client_that_has_it_and_needs_openid_and_nonce(
    app: &App,
) {
    let relaxed = RelyingParty::relaxed();
    let without: &[(&'static str, &str)] = &[("code_challenge", ""), ("code_challenge_method", "")];
    asks_for_sign_in(&Browser::new(app).visit(&relaxed.request(without)).await);
    for missing in [
        ("nonce", ""),
        ("scope", "email"),
        ("state", ""),
        ("code_challenge_method", "S256"),
        ("code_challenge", CHALLENGE),
    ] {
        let mut changed = without.to_vec();
        changed.push(missing);
        returned(
            &visit(app, &relaxed.request(&changed)).await,
            relaxed.redirect_uri,
            "invalid_request",
        );
    }
}

async fn o21_19_o21_39_t11_state_comes_back_byte_for_byte_or_not_at_all(app: &App) {
    let web = RelyingParty::web();
    let long = "x".repeat(4096);
    let states = [
        "a b&c=d+e%20f#g?h",
        "\"><script>alert(1)</script>",
        "{\"a\":[1,2]}",
        "\u{202e}\u{feff}😀é",
        "'; DROP TABLE users; --",
        "..%2f..%2f",
        " ",
        "%00",
        "\\\\evil",
        &long,
        "a=b&code=oac",
        "=",
        "&",
    ];
    for state in states {
        let page = visit(app, &web.request(&[("state", state), ("prompt", "none")])).await;
        assert_eq!(page.status, 303, "{state}");
        assert_eq!(page.answer()["state"], *state);
        let page = visit(
            app,
            &web.request(&[
                ("state", state),
                ("prompt", "none"),
                ("response_mode", "form_post"),
            ]),
        )
        .await;
        assert_eq!(page.status, 200);
        let form = page.form();
        assert!(
            form.fields
                .contains(&("state".to_owned(), state.to_owned())),
            "{:?}",
            form.fields
        );
        assert!(!page.body.contains("<script>alert"));
        // Echoed in the page only as the value of a field.
        assert_eq!(form.action, web.redirect_uri);
    }
    // With a code too.
    let mut browser = known(app, &web, "ada").await;
    let page = browser.get(&web.request(&[("state", states[3])])).await;
    assert_eq!(page.answer()["state"], states[3]);
    assert!(page.answer().contains_key("code"));
    let page = browser.get(&web.request(&[("state", "")])).await;
    assert!(!page.answer().contains_key("state"));
    // Too long: refused, and not cut.
    let page = visit(app, &web.request(&[("state", &"x".repeat(4097))])).await;
    assert_eq!(page.status, 303);
    assert_eq!(
        (
            page.answer()["error"].as_str(),
            page.answer().contains_key("state")
        ),
        ("invalid_request", false)
    );
    for raw in [
        "%0d%0aLocation:%20x",
        "%00",
        "%ff",
        "%c0%af",
        "%ed%a0%80",
        "%",
    ] {
        shown(
            &visit(
                app,
                &format!("{}&x=1", web.request(&[]).replace("st4te-of-the-app", raw)),
            )
            .await,
            400,
        );
    }
}

async fn o21_31_o21_40_an_unverifiable_client_is_never_answered_silently(app: &App) {
    let native = RelyingParty::native();
    let mut browser = known(app, &native, "ada").await;
    let silent = browser.get(&native.request(&[("prompt", "none")])).await;
    returned(&silent, native.redirect_uri, "consent_required");
    let page = browser.visit(&native.request(&[])).await;
    assert!(page.path.starts_with("/consent?request="), "{}", page.path);
    assert!(page.body.contains("127.0.0.1"));
    // A public client with an https address is remembered.
    let spa = RelyingParty::spa();
    let page = browser.visit(&spa.request(&[])).await;
    browser.allow(&page).await;
    let page = browser.get(&spa.request(&[("prompt", "none")])).await;
    assert!(page.answer().contains_key("code"));
}

async fn o21_33_bcp_20_every_redirect_of_the_dialogue_is_303(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    let mut steps = Vec::new();
    let mut page = browser.get(&web.request(&[])).await;
    for _ in 0..12 {
        if page.status.is_redirection() {
            steps.push(page.status.as_u16());
            let location = page.header("location").to_owned();
            if location.starts_with("https://web.acme.test/cb?code=") {
                break;
            }
            assert!(location.starts_with('/'), "{location}");
            page = browser.get(&location).await;
        } else if page.body.contains("sign-in-submit") {
            page = browser
                .submit_once(&page, &[("username", "ada"), ("password", PASSWORD)])
                .await;
            assert_eq!(page.status, 303);
        } else {
            page = browser.submit_once(&page, &[("decision", "allow")]).await;
            assert_eq!(page.status, 303);
        }
    }
    assert!(
        steps.len() >= 4 && steps.iter().all(|status| *status == 303),
        "{steps:?}"
    );
    assert!(
        page.header("location")
            .starts_with("https://web.acme.test/cb?code=")
    );
    assert!(!page.header("location").contains(PASSWORD));
}

async fn t04_o21_44_bcp_04_only_code_in_three_modes_is_an_answer(app: &App) {
    let web = RelyingParty::web();
    let mut browser = known(app, &web, "ada").await;
    let types = [
        "code",
        "token",
        "id_token",
        "code token",
        "code id_token",
        "id_token token",
        "code id_token token",
        "none",
        "CODE",
        "code ",
        "code code",
        "device",
        "",
    ];
    let modes = [
        "",
        "query",
        "fragment",
        "form_post",
        "jwt",
        "query.jwt",
        "fragment.jwt",
        "form_post.jwt",
        "web_message",
        "FORM_POST",
        "cookie",
    ];
    for response_type in types {
        for mode in modes {
            let url = web.request(&[("response_type", response_type), ("response_mode", mode)]);
            let (_, query) = url.split_once('?').unwrap();
            let by_get = browser.get(&url).await;
            let by_post = browser.post("/oauth/authorize", query).await;
            let by_post = if by_post.header("location").starts_with('/') {
                browser.follow(by_post).await
            } else {
                by_post
            };
            for page in [by_get, by_post] {
                let everything = format!("{:?}{}", page.headers, page.body);
                assert!(
                    !everything.contains("eyJhbGciO")
                        && !everything.contains("eyJ0eXAiO")
                        && !everything.contains("oat_")
                        && !everything.contains("access_token"),
                    "{response_type} {mode}"
                );
                let good = response_type == "code"
                    && ["", "query", "fragment", "form_post"].contains(&mode);
                assert_eq!(
                    everything.contains("oac_"),
                    good,
                    "{response_type} {mode} {everything}"
                );
                if !good {
                    assert!(
                        everything.contains("error=unsupported_response_type")
                            || everything.contains("error=invalid_request")
                            || everything.contains("value=\"unsupported_response_type\"")
                            || everything.contains("value=\"invalid_request\""),
                        "{everything}"
                    );
                }
            }
        }
    }
    // Inside a request object or by reference: not served at all.
    for (name, error) in [
        ("request", "request_not_supported"),
        ("request_uri", "request_uri_not_supported"),
    ] {
        for value in [
            "eyJhbGciOiJub25lIn0.eyJyZXNwb25zZV90eXBlIjoidG9rZW4ifQ.",
            "https://web.acme.test/request.jwt",
            "urn:ietf:params:oauth:request_uri:x",
            "file:///etc/passwd",
        ] {
            returned(
                &browser.get(&web.request(&[(name, value)])).await,
                web.redirect_uri,
                error,
            );
        }
    }
    let page = visit(
        app,
        &RelyingParty::machine("machine").request(&[("redirect_uri", "https://web.acme.test/cb")]),
    )
    .await;
    shown(&page, 400);
}

async fn iss_03_md_03_jarm_is_not_served_and_not_listed(app: &App) {
    let web = RelyingParty::web();
    for mode in ["jwt", "query.jwt", "fragment.jwt", "form_post.jwt"] {
        returned(
            &visit(app, &web.request(&[("response_mode", mode)])).await,
            web.redirect_uri,
            "invalid_request",
        );
    }
    let document = super::checks::get(app, "/.well-known/openid-configuration")
        .await
        .json();
    assert_eq!(
        document["response_modes_supported"],
        json!(["query", "fragment", "form_post"])
    );
    assert!(
        document
            .get("authorization_signing_alg_values_supported")
            .is_none()
    );
}

async fn iss_01_iss_04_o21_42_bcp_13_every_mode_and_every_error_carries_iss(app: &App) {
    let web = RelyingParty::web();
    let issuer = super::checks::get(app, "/.well-known/openid-configuration")
        .await
        .json()["issuer"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut browser = known(app, &web, "ada").await;
    let page = browser
        .get(&web.request(&[("response_mode", "fragment")]))
        .await;
    assert!(
        page.header("location")
            .starts_with("https://web.acme.test/cb#code="),
        "{}",
        page.header("location")
    );
    assert_eq!(
        (
            page.answer()["iss"].as_str(),
            page.answer()["state"].as_str()
        ),
        (issuer.as_str(), "st4te-of-the-app")
    );
    let page = browser
        .get(&web.request(&[("response_mode", "form_post")]))
        .await;
    assert_eq!(page.status, 200);
    page_headers(&page);
    assert!(
        page.header("content-security-policy")
            .contains("form-action 'self' https://web.acme.test"),
        "{}",
        page.header("content-security-policy")
    );
    let form = page.form();
    let names: Vec<&str> = form.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        (form.action.as_str(), names),
        (web.redirect_uri, vec!["code", "state", "iss"])
    );
    assert_eq!(form.fields[2].1, issuer);
    accepted(&web.exchange(app, &form.fields[0].1).await);
    for (mode, joint) in [("query", '?'), ("fragment", '#')] {
        for (name, value) in [
            ("prompt", "none"),
            ("scope", "nope"),
            ("response_type", "token"),
            ("request", "x"),
            ("max_age", "-1"),
            ("claims", "[]"),
            ("resource", "https://x/"),
        ] {
            let page = visit(app, &web.request(&[("response_mode", mode), (name, value)])).await;
            assert!(
                page.header("location")
                    .starts_with(&format!("{}{joint}error=", web.redirect_uri)),
                "{}",
                page.header("location")
            );
            assert_eq!(
                (
                    page.answer()["iss"].as_str(),
                    page.answer()["state"].as_str()
                ),
                (issuer.as_str(), "st4te-of-the-app")
            );
        }
    }
    let page = visit(
        app,
        &web.request(&[("response_mode", "form_post"), ("scope", "nope")]),
    )
    .await;
    let form = page.form();
    assert!(
        form.fields.contains(&("iss".to_owned(), issuer))
            && form
                .fields
                .contains(&("error".to_owned(), "invalid_scope".to_owned()))
    );
}

async fn oc_02_prompt_none_stands_alone_and_unknown_values_are_refused(app: &App) {
    let web = RelyingParty::web();
    for prompt in [
        "none login",
        "login none",
        "none consent",
        "none select_account",
        "none create",
        "unknown",
        "None",
        "login,consent",
    ] {
        returned(
            &visit(app, &web.request(&[("prompt", prompt)])).await,
            web.redirect_uri,
            "invalid_request",
        );
    }
    asks_for_sign_in(
        &Browser::new(app)
            .visit(&web.request(&[("prompt", "select_account")]))
            .await,
    );
}

async fn oc_02_prompt_login_and_consent_ask_again(app: &App) {
    let web = RelyingParty::web();
    let mut browser = known(app, &web, "ada").await;
    let page = browser.visit(&web.request(&[("prompt", "login")])).await;
    asks_for_sign_in(&page);
    app.server.advance(10);
    let page = browser.sign_in(&page, "ada").await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    assert_eq!(
        decode(tokens["id_token"].as_str().unwrap()).1["auth_time"],
        app.server.now()
    );
    let page = browser.visit(&web.request(&[("prompt", "consent")])).await;
    assert!(page.path.starts_with("/consent?request="), "{}", page.path);
    let page = browser.submit(&page, &[("decision", "deny")]).await;
    returned(&page, web.redirect_uri, "access_denied");
    let page = browser
        .visit(&web.request(&[("prompt", "login consent")]))
        .await;
    let page = browser.sign_in(&page, "ada").await;
    assert!(page.path.starts_with("/consent?request="), "{}", page.path);
}

async fn oc_03_hints_about_language_and_display_never_fail(app: &App) {
    let web = RelyingParty::web();
    let hints: &[(&'static str, &str)] = &[
        ("display", "popup"),
        ("display", "nonsense"),
        ("ui_locales", "fr-CA fr en"),
        ("ui_locales", "xx-\u{202e}"),
        ("claims_locales", "de"),
        ("acr_values", "gold urn:x"),
        ("login_hint", "ada@acme.test"),
        ("login_hint", "\"><img src=x>"),
    ];
    for hint in hints {
        let page = Browser::new(app).visit(&web.request(&[*hint])).await;
        asks_for_sign_in(&page);
        assert!(!page.body.contains("<img src=x>"));
    }
}

async fn oc_04_max_age_asks_again_and_zero_is_login(app: &App) {
    let web = RelyingParty::web();
    let mut browser = known(app, &web, "ada").await;
    app.server.advance(100);
    let page = browser.get(&web.request(&[("max_age", "100")])).await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    assert_eq!(
        decode(tokens["id_token"].as_str().unwrap()).1["auth_time"],
        app.server.now() - 100
    );
    app.server.advance(1);
    asks_for_sign_in(&browser.visit(&web.request(&[("max_age", "100")])).await);
    asks_for_sign_in(&browser.visit(&web.request(&[("max_age", "0")])).await);
    returned(
        &browser
            .visit(&web.request(&[("max_age", "0"), ("prompt", "none")]))
            .await,
        web.redirect_uri,
        "login_required",
    );
    returned(
        &browser
            .visit(&web.request(&[("max_age", "100"), ("prompt", "none")]))
            .await,
        web.redirect_uri,
        "login_required",
    );
}

async fn oc_04_a_max_age_that_is_no_number_is_refused(app: &App) {
    let web = RelyingParty::web();
    for bad in [
        "-1",
        "+1",
        "1.5",
        "1e3",
        "abc",
        "99999999999999999999",
        "0x10",
        " 1",
        "١",
    ] {
        returned(
            &visit(app, &web.request(&[("max_age", bad)])).await,
            web.redirect_uri,
            "invalid_request",
        );
    }
}

async fn oc_07_a_hint_of_somebody_else_is_never_answered_with_the_wrong_person(app: &App) {
    let (web, spa) = (RelyingParty::web(), RelyingParty::spa());
    let bob = web.tokens(app, "bob").await;
    let bob = bob["id_token"].as_str().unwrap();
    let mut browser = known(app, &web, "ada").await;
    let page = browser
        .visit(&web.request(&[("id_token_hint", bob), ("prompt", "none")]))
        .await;
    returned(&page, web.redirect_uri, "login_required");
    let page = browser.visit(&web.request(&[("id_token_hint", bob)])).await;
    asks_for_sign_in(&page);
    // Signing in as the wrong person ends the dialogue.
    let page = browser.sign_in(&page, "ada").await;
    returned(&page, web.redirect_uri, "login_required");
    // A hint that is another client's, no ID token, or not ours is refused.
    let ada = spa.tokens(app, "ada").await;
    let foreign = RelyingParty::globex().tokens(app, "ada").await;
    for hint in [
        ada["id_token"].as_str().unwrap(),
        ada["access_token"].as_str().unwrap(),
        foreign["id_token"].as_str().unwrap(),
        "x",
        "a.b.c",
        &format!("{bob}A"),
    ] {
        returned(
            &browser
                .visit(&web.request(&[("id_token_hint", hint), ("prompt", "none")]))
                .await,
            web.redirect_uri,
            "invalid_request",
        );
    }
    // Expired counts.
    app.server.advance(7200);
    let mut bobs = known(app, &web, "bob").await;
    let page = bobs
        .visit(&web.request(&[("id_token_hint", bob), ("prompt", "none")]))
        .await;
    assert!(
        page.answer().contains_key("code"),
        "{}",
        page.header("location")
    );
}

async fn oc_08_oc_18_the_subject_in_claims_must_match(app: &App) {
    let web = RelyingParty::web();
    let mut browser = known(app, &web, "ada").await;
    let ada = web.tokens(app, "ada").await;
    let ada = decode(ada["id_token"].as_str().unwrap()).1["sub"]
        .as_str()
        .unwrap()
        .to_owned();
    for member in ["id_token", "userinfo"] {
        let claims = |sub: &str| json!({ member: { "sub": { "value": sub } } }).to_string();
        let page = browser
            .visit(&web.request(&[("claims", &claims(&ada)), ("prompt", "none")]))
            .await;
        assert!(page.answer().contains_key("code"));
        let page = browser
            .visit(&web.request(&[
                ("claims", &claims("00000000-0000-0000-0000-000000000000")),
                ("prompt", "none"),
            ]))
            .await;
        returned(&page, web.redirect_uri, "login_required");
        asks_for_sign_in(
            &browser
                .visit(&web.request(&[("claims", &claims("somebody"))]))
                .await,
        );
    }
}

async fn oc_09_prompt_none_says_what_is_missing_and_shows_nothing(app: &App) {
    let web = RelyingParty::web();
    let silent: &[(&'static str, &str)] = &[("prompt", "none")];
    let page = visit(app, &web.request(silent)).await;
    returned(&page, web.redirect_uri, "login_required");
    assert!(page.body.is_empty());
    let mut browser = known(app, &RelyingParty::first_party(), "ada").await;
    returned(
        &browser.visit(&web.request(silent)).await,
        web.redirect_uri,
        "consent_required",
    );
    let page = browser.visit(&web.request(&[("scope", "openid")])).await;
    let page = browser.allow(&page).await;
    assert!(page.answer().contains_key("code"));
    returned(
        &browser.visit(&web.request(silent)).await,
        web.redirect_uri,
        "consent_required",
    );
    let page = browser
        .visit(&web.request(&[("prompt", "none"), ("scope", "openid")]))
        .await;
    assert!(
        page.answer().contains_key("code"),
        "{}",
        page.header("location")
    );
    // The session is over: nothing is shown then either.
    app.server.advance(15 * 86_400);
    returned(
        &browser
            .visit(&web.request(&[("prompt", "none"), ("scope", "openid")]))
            .await,
        web.redirect_uri,
        "login_required",
    );
}

async fn oc_18_the_claims_parameter_is_read_and_what_is_odd_in_it_ignored(app: &App) {
    let web = RelyingParty::web();
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(500), "]".repeat(500));
    let many = json!({ "userinfo": (0..65).map(|number| (format!("c{number}"), json!(null))).collect::<serde_json::Map<_, _>>() }).to_string();
    for bad in [
        "x",
        "[]",
        "\"a\"",
        "1",
        "{",
        "{\"userinfo\":[]}",
        "{\"userinfo\":{\"name\":1}}",
        "{\"id_token\":\"name\"}",
        &deep,
        &many,
        &format!("{{\"x\":\"{}\"}}", "y".repeat(4096)),
    ] {
        returned(
            &visit(app, &web.request(&[("claims", bad)])).await,
            web.redirect_uri,
            "invalid_request",
        );
    }
    let claims = json!({
        "userinfo": { "phone_number": { "essential": true }, "unknown": null, "nickname": { "essential": true } },
        "id_token": { "email": { "essential": true, "odd": 1 }, "acr": { "values": ["gold"] } },
        "odd": 7,
    });
    let page = Browser::new(app)
        .authorize(
            &web.request(&[("scope", "openid"), ("claims", &claims.to_string())]),
            "ada",
        )
        .await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    let (_, id) = decode(tokens["id_token"].as_str().unwrap());
    assert_eq!(id["email"], "ada@acme.test");
    assert!(id.get("phone_number").is_none() && id.get("name").is_none());
    let info = web
        .userinfo(app, tokens["access_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(info["phone_number"], "+44 20 7946 0000");
    // Not asked for there, and absent without failing.
    assert!(
        info.get("email").is_none()
            && info.get("nickname").is_none()
            && info.get("unknown").is_none()
    );
    let essential = json!({ "id_token": { "acr": { "essential": true, "values": ["gold"] } } });
    returned(
        &visit(app, &web.request(&[("claims", &essential.to_string())])).await,
        web.redirect_uri,
        "unmet_authentication_requirements",
    );
}

async fn oc_20_what_is_not_supported_is_refused_by_its_name(app: &App) {
    let web = RelyingParty::web();
    for (name, error) in [
        ("request", "request_not_supported"),
        ("request_uri", "request_uri_not_supported"),
        ("registration", "registration_not_supported"),
    ] {
        returned(
            &visit(app, &web.request(&[(name, "x")])).await,
            web.redirect_uri,
            error,
        );
    }
    let document = super::checks::get(app, "/.well-known/openid-configuration")
        .await
        .json();
    assert_eq!(
        (
            &document["request_parameter_supported"],
            &document["request_uri_parameter_supported"]
        ),
        (&json!(false), &json!(false))
    );
}

async fn oc_26_offline_access_is_asked_about_and_refused_to_who_may_not_have_it(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    browser
        .authorize(&web.request(&[("scope", "openid")]), "ada")
        .await;
    let page = browser
        .visit(&web.request(&[("scope", "openid offline_access"), ("prompt", "none")]))
        .await;
    returned(&page, web.redirect_uri, "consent_required");
    let page = browser
        .visit(&web.request(&[("scope", "openid offline_access")]))
        .await;
    assert!(page.body.contains("Keep this access while you are away"));
    let first = RelyingParty::first_party();
    returned(
        &browser
            .visit(&first.request(&[("scope", "openid offline_access")]))
            .await,
        first.redirect_uri,
        "invalid_scope",
    );
}

async fn t18_a_scope_outside_the_clients_list_is_refused(app: &App) {
    let web = RelyingParty::web_post();
    for scope in [
        "openid phone",
        "OPENID",
        "openid reports.read",
        "openid nope",
        "openid  email",
        " openid",
        "openid ",
        "openid\u{a0}email",
        "openid \"",
        "*",
        "openid\\",
        "openid,email",
        "öpenid",
    ] {
        let page = visit(app, &web.request(&[("scope", scope)])).await;
        returned(&page, web.redirect_uri, "invalid_scope");
    }
    asks_for_sign_in(
        &Browser::new(app)
            .visit(&web.request(&[("scope", "openid openid")]))
            .await,
    );
}

async fn t60_t11_t67_hostile_input_is_refused_quickly_and_never_a_5xx(app: &App) {
    let web = RelyingParty::web();
    let scopes = (0..1500)
        .map(|number| format!("s{number}"))
        .collect::<Vec<_>>()
        .join(" ");
    let page = Browser::new(app)
        .post(
            "/oauth/authorize",
            &encode(&{
                let mut params = web.params();
                params.insert("scope", scopes[..7000].trim().to_owned());
                params
            }),
        )
        .await;
    returned(&page, web.redirect_uri, "invalid_scope");
    returned(
        &visit(app, &web.request(&[("scope", scopes[..3000].trim())])).await,
        web.redirect_uri,
        "invalid_scope",
    );
    shown(
        &visit(app, &format!("{}&{}", web.request(&[]), "a=1&".repeat(70))).await,
        400,
    );
    shown(
        &visit(
            app,
            &format!("{}&login_hint={}", web.request(&[]), "a".repeat(9000)),
        )
        .await,
        400,
    );
    let page = Browser::new(app)
        .post("/oauth/authorize", &"a".repeat(70_000))
        .await;
    shown(&page, 413);
    let odd = [
        "?",
        "?&&&",
        "?=",
        "?=x",
        "?client_id",
        "?client_id=web-post&redirect_uri",
        "?%",
        "?client_id=%C3",
        "?client_id=web%00",
        "?%5Bclient_id%5D=web",
        "?client_id%5B%5D=web",
        "?client_id=web;redirect_uri=x",
    ];
    for query in odd {
        let page = visit(app, &format!("/oauth/authorize{query}")).await;
        assert!(
            [400, 401].contains(&page.status.as_u16()),
            "{query} {}",
            page.status
        );
        page_headers(&page);
    }
    for sealed in [
        "x",
        "u",
        "b",
        "uAAAA",
        "bAAAA",
        "u%00",
        "%ff",
        &"u".repeat(7000),
        "..",
        "u==",
    ] {
        let page = visit(app, &format!("/oauth/authorize/{sealed}")).await;
        assert!(
            [400, 404].contains(&page.status.as_u16()),
            "{sealed} {}",
            page.status
        );
    }
}

async fn o21_06_a_request_that_only_a_script_can_send_is_told_so(app: &App) {
    let web = RelyingParty::web();
    for headers in [
        [("accept", "application/json")],
        [("sec-fetch-dest", "empty")],
    ] {
        let page = Browser::new(app)
            .send(Method::GET, &web.request(&[]), &headers, "")
            .await;
        refused(&page, 400, "invalid_request");
        assert!(page.body.contains("this endpoint is for browsers"));
        // Seed 002's name for it.
        assert_eq!(
            page.json()["errors"][0]["code"],
            "oauth_authorize_request_error"
        );
    }
}

async fn o21_38_o21_39_bcp_12_bcp_23_pages_are_closed_to_frames_and_referrers(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    let page = browser.visit(&web.request(&[])).await;
    page_headers(&page);
    let page = browser.sign_in(&page, "ada").await;
    page_headers(&page);
    for page in [&page] {
        for part in page
            .body
            .split(['"', '\''])
            .filter(|part| part.starts_with("http"))
        {
            assert!(
                part.starts_with("https://web.acme.test/"),
                "a third party's resource: {part}"
            );
        }
        assert!(
            !page.body.contains("<script>")
                && !page.body.contains(" style=")
                && !page.body.contains("onclick")
        );
    }
    let page = visit(
        app,
        "/oauth/authorize?client_id=%3Cscript%3Ealert(1)%3C/script%3E&state=%22%3E%3Cimg+src=x%3E",
    )
    .await;
    shown(&page, 401);
    assert!(!page.body.contains("<script>alert") && !page.body.contains("<img src=x>"));
    let page = visit(
        app,
        &web.request(&[("redirect_uri", "\"><svg onload=alert(1)>")]),
    )
    .await;
    shown(&page, 400);
    assert!(!page.body.contains("<svg onload"));
}

async fn o21_32_bcp_22_an_authorized_request_cannot_choose_its_subject(app: &App) {
    let web = RelyingParty::web();
    let url = format!(
        "{}&sub=bob&user_id=bob&username=bob&subject=bob",
        web.request(&[])
    );
    let page = Browser::new(app).authorize(&url, "ada").await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    let info = web
        .userinfo(app, tokens["access_token"].as_str().unwrap())
        .await
        .json();
    assert_eq!(info["email"], "ada@acme.test");
    let taken = "[[tenant]]\nslug = \"default\"\n[[tenant.client]]\nclient_id = \"SUB\"\nredirect_uris = [\"https://a.example/cb\"]\n".replace("SUB", info["sub"].as_str().unwrap());
    assert!(
        app.server
            .apply(&taken)
            .await
            .unwrap_err()
            .contains("client_id")
    );
}

async fn bcp_12_the_answer_itself_is_not_kept_and_sends_no_referrer(app: &App) {
    let web = RelyingParty::web();
    let mut browser = known(app, &web, "ada").await;
    let page = browser.get(&web.request(&[])).await;
    assert_eq!(
        (
            page.header("cache-control"),
            page.header("referrer-policy"),
            page.body.as_str()
        ),
        ("no-store", "no-referrer", "")
    );
    assert!(!page.header("location").contains(CHALLENGE));
}

async fn o21_12_no_cors_on_the_authorization_endpoint(app: &App) {
    let web = RelyingParty::web();
    let mut browser = known(app, &web, "ada").await;
    for (method, target) in [
        (Method::GET, web.request(&[])),
        (Method::OPTIONS, "/oauth/authorize".to_owned()),
        (Method::GET, "/oauth/authorize".to_owned()),
    ] {
        let headers = [
            ("origin", "https://web.acme.test"),
            ("access-control-request-method", "GET"),
        ];
        let page = browser.send(method, &target, &headers, "").await;
        assert!(
            page.headers
                .keys()
                .all(|name| !name.as_str().starts_with("access-control")),
            "{:?}",
            page.headers
        );
    }
}

async fn seed_002_o21_19_state_is_required_as_the_clients_policy_says(app: &App) {
    let relaxed = RelyingParty::relaxed();
    // The policy, whether PKCE is used, what is sent, and what is wrong with it.
    #[rustfmt::skip]
    let table: &[(&str, u8, bool, &str, &str)] = &[
        ("unless_pkce", 8, true,  "",         ""),
        ("unless_pkce", 8, true,  "1234567",  "state must have 8 characters at least"),
        ("unless_pkce", 8, true,  "éééé",     "state must have 8 characters at least"),
        ("unless_pkce", 8, true,  "éééééééé", ""),
        ("unless_pkce", 8, false, "",         "state is missing"),
        ("unless_pkce", 8, false, "1234567",  "state must have 8 characters at least"),
        ("unless_pkce", 8, false, "12345678", ""),
        ("always",      0, true,  "",         "state is missing"),
        ("always",      0, true,  "s",        ""),
        ("never",       0, false, "",         ""),
        ("never",       8, false, "1234567",  "state must have 8 characters at least"),
    ];
    for (policy, shortest, pkce, state, problem) in table {
        let set = json!({"policy": {"state": policy, "state_length_min": shortest}});
        app.update_client("relaxed", set).await;
        let mut changed = vec![("state", *state)];
        if !pkce {
            changed.extend([("code_challenge", ""), ("code_challenge_method", "")]);
        }
        let page = Browser::new(app).visit(&relaxed.request(&changed)).await;
        if problem.is_empty() {
            asks_for_sign_in(&page);
        } else {
            returned(&page, relaxed.redirect_uri, "invalid_request");
            assert_eq!(page.answer()["error_description"], *problem, "{policy}");
        }
    }
}

async fn bcp_07_a_resource_is_one_of_the_clients_own(app: &App) {
    let web = RelyingParty::web();
    for resources in [
        &["https://evil.example/"][..],
        &["https://api.acme.test"],
        &["https://api.acme.test/#x"],
        &["HTTPS://api.acme.test/"],
        &["not a uri"],
        &[BASE],
        &["https://api.acme.test/", "https://evil.example/"],
    ] {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(resources.iter().map(|resource| ("resource", resource)))
            .finish();
        let page = visit(app, &format!("{}&{query}", web.request(&[]))).await;
        returned(&page, web.redirect_uri, "invalid_target");
        assert_eq!(page.answer()["state"], "st4te-of-the-app");
    }
    // A client without any has none of another's.
    let spa = RelyingParty::spa();
    let page = visit(app, &spa.request(&[("resource", "https://api.acme.test/")])).await;
    returned(&page, spa.redirect_uri, "invalid_target");
}

async fn o21_44_a_client_without_the_grant_is_told_at_its_address(app: &App) {
    let opaque = RelyingParty::opaque();
    app.update_client("opaque", json!({"grant_types": ["client_credentials"]}))
        .await;
    for changed in [&[][..], &[("prompt", "none")], &[("scope", "nope")]] {
        let page = visit(app, &opaque.request(changed)).await;
        returned(&page, opaque.redirect_uri, "unauthorized_client");
    }
    shown(
        &visit(
            app,
            &opaque.request(&[("redirect_uri", "https://evil.example/")]),
        )
        .await,
        400,
    );
}

async fn oc_04_the_clients_own_max_age_holds_where_the_request_has_none(app: &App) {
    let web = RelyingParty::web();
    app.update_client("web", json!({"default_max_age": 100}))
        .await;
    let mut browser = known(app, &web, "ada").await;
    app.server.advance(101);
    asks_for_sign_in(&browser.visit(&web.request(&[])).await);
    returned(
        &browser.visit(&web.request(&[("prompt", "none")])).await,
        web.redirect_uri,
        "login_required",
    );
    // What the request says counts.
    let page = browser.visit(&web.request(&[("max_age", "101")])).await;
    assert!(page.answer().contains_key("code"));
}

async fn t60_o21_19_the_longest_request_arrives_whole_and_a_longer_one_goes_back(app: &App) {
    let web = RelyingParty::web();
    let (state, nonce, hint) = ("s".repeat(4096), "n".repeat(1024), "h".repeat(254));
    let long = &[("state", state.as_str()), ("nonce", "")][..];
    let page = Browser::new(app).authorize(&web.request(long), "ada").await;
    assert_eq!(page.answer()["state"], state);
    accepted(&web.exchange(app, &page.answer()["code"]).await);
    // Each within its own limit, and together too long for the address of the next step.
    for mode in ["", "none"] {
        let page = visit(
            app,
            &web.request(&[
                ("state", &state),
                ("nonce", &nonce),
                ("login_hint", &hint),
                ("prompt", mode),
            ]),
        )
        .await;
        returned(&page, web.redirect_uri, "invalid_request");
        let answer = page.answer();
        assert_eq!(
            (
                answer["error_description"].as_str(),
                answer["state"].as_str()
            ),
            ("the request is longer than 5500 bytes", state.as_str())
        );
    }
}

async fn o21_43_a_scheme_without_a_dot_is_for_the_client_whose_policy_takes_the_risk(app: &App) {
    let native = RelyingParty {
        redirect_uri: "myapp://cb",
        ..RelyingParty::native()
    };
    let mut set = json!({"redirect_uris": ["myapp://cb"]});
    let update =
        json!({"action": "client_update", "tenant": "default", "client_id": "native", "set": set});
    let refusal = app.server.perform(update).await.unwrap_err();
    assert!(refusal.contains("redirect_uris"), "{refusal}");
    shown(&visit(app, &native.request(&[])).await, 400);
    set["policy"] = json!({"private_use_schemes_without_dot": true});
    app.update_client("native", set).await;
    let page = Browser::new(app)
        .authorize(&native.request(&[]), "ada")
        .await;
    assert!(
        page.header("location").starts_with("myapp://cb?code="),
        "{}",
        page.header("location")
    );
    accepted(&native.exchange(app, &page.answer()["code"]).await);
    for variant in [
        "myapp://cb/",
        "myapp:cb",
        "MYAPP://cb",
        "myapp://cb@evil.example",
    ] {
        shown(
            &visit(app, &native.request(&[("redirect_uri", variant)])).await,
            400,
        );
    }
}

async fn t22_while_the_database_is_away_the_person_is_told_and_nothing_is_issued(app: &App) {
    let web = RelyingParty::web();
    let mut browser = known(app, &web, "ada").await;
    // Only a database server can be taken away from under a running process.
    if !app.without_database().await {
        return;
    }
    app.expect_errors();
    for url in [
        web.request(&[]),
        web.request(&[("prompt", "none")]),
        web.request(&[("response_mode", "form_post")]),
        "/oauth/logout".to_owned(),
    ] {
        let page = browser.get(&url).await;
        shown(&page, 503);
        no_tokens(&page);
        assert!(page.header("retry-after").parse::<u32>().unwrap() >= 1);
    }
    app.with_database().await;
    let page = browser.get(&web.request(&[("prompt", "none")])).await;
    assert!(page.answer().contains_key("code"));
}
