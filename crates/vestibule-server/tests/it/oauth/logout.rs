//! `/oauth/logout` (RP-initiated) and `/sign-out`.

use super::checks::{forgeries, get, page_headers, published, shown, text};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::relying_party::{RelyingParty, decode, encode};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

on_both_engines! {
    rl_01_rl_05_a_hint_of_this_session_ends_it_and_leads_to_the_registered_address,
    rl_01_post_arrives_at_the_same_place_as_get,
    rl_02_t23_t26_only_an_id_token_of_ours_is_a_hint_and_an_expired_one_counts,
    rl_03_client_id_must_be_the_audience_of_the_hint,
    rl_04_without_a_hint_or_with_somebody_elses_the_person_is_asked,
    rl_05_t02_bcp_01_no_variant_of_a_registered_address_is_followed,
    rl_05_state_comes_back_exactly_or_the_request_is_refused,
    rl_06_o21_36_it_works_without_parameters_and_nobody_elses_form_signs_out,
    t10_t11_repeated_or_unreadable_parameters_are_refused,
    rl_04_of_several_accounts_the_one_that_is_meant_ends,
    rl_06_the_old_cookie_opens_nothing_after_sign_out,
    rl_05_the_free_port_of_a_redirect_uri_is_not_one_of_sign_out,
}

async fn signed_in<'a>(
    app: &'a App,
    client: &RelyingParty,
    username: &str,
) -> (Browser<'a>, Value) {
    let mut browser = Browser::new(app);
    let page = browser.authorize(&client.request(&[]), username).await;
    let tokens = client.exchange(app, &page.answer()["code"]).await.json();
    (browser, tokens)
}

fn address(params: &[(&'static str, &str)]) -> String {
    let params: BTreeMap<&'static str, String> = params
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    format!("/oauth/logout?{}", encode(&params))
}

/// Whether the person is still signed in in this browser.
async fn is_in(browser: &mut Browser<'_>) -> bool {
    let page = browser
        .get(&RelyingParty::first_party().request(&[("prompt", "none")]))
        .await;
    page.answer().contains_key("code")
}

#[track_caller]
fn asks(page: &Page) {
    assert_eq!(
        page.status,
        200,
        "{} {}",
        page.path,
        page.header("location")
    );
    page_headers(page);
    assert!(page.form().action.ends_with("/sign-out"), "{}", page.body);
}

async fn rl_01_rl_05_a_hint_of_this_session_ends_it_and_leads_to_the_registered_address(app: &App) {
    let document = get(app, "/.well-known/openid-configuration").await.json();
    assert_eq!(
        text(&document, "end_session_endpoint"),
        "http://127.0.0.1:8080/oauth/logout"
    );
    let web = RelyingParty::web();
    let (mut browser, tokens) = signed_in(app, &web, "ada").await;
    assert!(is_in(&mut browser).await);
    let url = address(&[
        ("id_token_hint", text(&tokens, "id_token")),
        ("post_logout_redirect_uri", "https://web.acme.test/bye"),
        ("state", "a b&c"),
    ]);
    let page = browser.get(&url).await;
    assert_eq!(
        (page.status.as_u16(), page.header("location")),
        (303, "https://web.acme.test/bye?state=a+b%26c")
    );
    assert_eq!(
        (page.header("cache-control"), page.header("referrer-policy")),
        ("no-store", "no-referrer")
    );
    assert!(!is_in(&mut browser).await);
    // Without an address: our own page.
    let (mut browser, tokens) = signed_in(app, &web, "ada").await;
    let page = browser
        .get(&address(&[("id_token_hint", text(&tokens, "id_token"))]))
        .await;
    shown(&page, 200);
    assert!(!is_in(&mut browser).await);
}

async fn rl_01_post_arrives_at_the_same_place_as_get(app: &App) {
    let web = RelyingParty::web();
    let (mut browser, tokens) = signed_in(app, &web, "ada").await;
    let url = address(&[
        ("id_token_hint", text(&tokens, "id_token")),
        ("post_logout_redirect_uri", "https://web.acme.test/bye"),
        ("state", "s"),
    ]);
    let (_, body) = url.split_once('?').unwrap();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "https://web.acme.test"),
        ("sec-fetch-site", "cross-site"),
    ];
    let page = browser
        .send(Method::POST, "/oauth/logout", &headers, body)
        .await;
    assert_eq!(page.status, 303);
    assert!(
        page.header("location")
            .starts_with("/oauth/logout?continue="),
        "{}",
        page.header("location")
    );
    // The hint does not travel on in an address.
    assert!(
        !page
            .header("location")
            .contains(&text(&tokens, "id_token")[..40])
    );
    assert!(is_in(&mut browser).await);
    let page = browser.follow(page).await;
    assert_eq!(page.header("location"), "https://web.acme.test/bye?state=s");
    assert!(!is_in(&mut browser).await);
    for method in [Method::PUT, Method::DELETE, Method::OPTIONS] {
        shown(&browser.send(method, "/oauth/logout", &[], "").await, 405);
    }
}

async fn rl_02_t23_t26_only_an_id_token_of_ours_is_a_hint_and_an_expired_one_counts(app: &App) {
    let web = RelyingParty::web();
    let (mut browser, tokens) = signed_in(app, &web, "ada").await;
    let hint = text(&tokens, "id_token");
    let (header, claims) = decode(hint);
    let jwk = published(app, &header).await;
    let foreign = RelyingParty::globex().tokens(app, "ada").await;
    let mut bad = forgeries(hint, &header, &claims, &jwk);
    for (name, token) in [
        ("an access token", text(&tokens, "access_token")),
        ("a refresh token", text(&tokens, "refresh_token")),
        ("another tenant's", text(&foreign, "id_token")),
        ("nonsense", "x"),
    ] {
        bad.push((name.to_owned(), token.to_owned()));
    }
    for (name, token) in bad.iter().filter(|(_, token)| token.len() < 7000) {
        let page = browser
            .get(&address(&[
                ("id_token_hint", token),
                ("post_logout_redirect_uri", "https://web.acme.test/bye"),
            ]))
            .await;
        assert!(
            page.status == 200 && page.header("location").is_empty(),
            "{name} {} {}",
            page.status,
            page.header("location")
        );
        asks(&page);
    }
    assert!(is_in(&mut browser).await);
    app.server.advance(7200);
    let page = browser
        .get(&address(&[
            ("id_token_hint", hint),
            ("post_logout_redirect_uri", "https://web.acme.test/bye"),
        ]))
        .await;
    assert_eq!(page.header("location"), "https://web.acme.test/bye");
    assert!(!is_in(&mut browser).await);
}

async fn rl_03_client_id_must_be_the_audience_of_the_hint(app: &App) {
    let web = RelyingParty::web();
    let (mut browser, tokens) = signed_in(app, &web, "ada").await;
    for client_id in ["spa", "nobody", "Web"] {
        let page = browser
            .get(&address(&[
                ("id_token_hint", text(&tokens, "id_token")),
                ("client_id", client_id),
                ("post_logout_redirect_uri", "https://spa.acme.test/bye"),
            ]))
            .await;
        shown(&page, 400);
        assert!(
            page.body
                .contains("client_id is not the audience of id_token_hint")
        );
    }
    assert!(is_in(&mut browser).await);
    let page = browser
        .get(&address(&[
            ("id_token_hint", text(&tokens, "id_token")),
            ("client_id", "web"),
            ("post_logout_redirect_uri", "https://web.acme.test/bye"),
        ]))
        .await;
    assert_eq!(page.status, 303);
}

async fn rl_04_without_a_hint_or_with_somebody_elses_the_person_is_asked(app: &App) {
    let (web, spa) = (RelyingParty::web(), RelyingParty::spa());
    let (mut browser, _) = signed_in(app, &web, "ada").await;
    let bob = web.tokens(app, "bob").await;
    let elsewhere = spa.tokens(app, "ada").await;
    for params in [
        vec![],
        vec![("client_id", "web")],
        vec![
            ("client_id", "web"),
            ("post_logout_redirect_uri", "https://web.acme.test/bye"),
        ],
        vec![("client_id", "nobody")],
        vec![("logout_hint", "ada")],
        vec![
            ("id_token_hint", text(&bob, "id_token")),
            ("post_logout_redirect_uri", "https://web.acme.test/bye"),
        ],
        // The same person's session in another browser.
        vec![
            ("id_token_hint", text(&elsewhere, "id_token")),
            ("post_logout_redirect_uri", "https://spa.acme.test/bye"),
        ],
    ] {
        asks(&browser.get(&address(&params)).await);
        assert!(is_in(&mut browser).await);
    }
    let page = browser
        .visit(&address(&[
            ("client_id", "web"),
            ("post_logout_redirect_uri", "https://web.acme.test/bye"),
            ("state", "s"),
        ]))
        .await;
    assert!(
        page.header("content-security-policy")
            .contains("https://web.acme.test")
    );
    let page = browser.submit(&page, &[]).await;
    assert_eq!(page.header("location"), "https://web.acme.test/bye?state=s");
    assert!(!is_in(&mut browser).await);
}

async fn rl_05_t02_bcp_01_no_variant_of_a_registered_address_is_followed(app: &App) {
    let web = RelyingParty::web();
    let variants = [
        "https://web.acme.test/bye/",
        "https://web.acme.test/BYE",
        "https://WEB.acme.test/bye",
        "http://web.acme.test/bye",
        "https://web.acme.test:443/bye",
        "https://web.acme.test/bye?",
        "https://web.acme.test/bye?x=1",
        "https://web.acme.test/bye#",
        "https://web.acme.test//bye",
        "https://web.acme.test/x/../bye",
        "https://web.acme.test/bye/..",
        "https://web.acme.test/..;/bye",
        "https://web.acme.test/%62ye",
        "https://web.acme.test/bye%2f",
        "https://web.acme.test\\bye",
        "https://web.acme.test@evil.example/bye",
        "https://evil.example@web.acme.test/bye",
        "https://web.acme.test.evil.example/bye",
        "//web.acme.test/bye",
        "//evil.example",
        "/\\evil.example",
        "/sign-in",
        "https:web.acme.test/bye",
        " https://web.acme.test/bye",
        "https://web.acme.test/bye ",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://evil.example/",
        "https://web.acme.test/cb",
        "https://spa.acme.test/bye",
        "x",
    ];
    let (_, tokens) = signed_in(app, &web, "ada").await;
    for variant in variants {
        // Nobody is signed in here: nothing to ask, and still nowhere to go.
        for params in [
            vec![("client_id", "web"), ("post_logout_redirect_uri", variant)],
            vec![
                ("id_token_hint", text(&tokens, "id_token")),
                ("post_logout_redirect_uri", variant),
            ],
            vec![("post_logout_redirect_uri", variant), ("state", "s")],
        ] {
            let page = Browser::new(app).get(&address(&params)).await;
            shown(&page, 200);
            assert!(
                !page.body.contains("evil.example")
                    && !page.body.to_lowercase().contains("javascript:"),
                "{variant}"
            );
            assert!(!page.header("content-security-policy").contains("evil"));
        }
    }
    // A good address of no client, and every other parameter that could lead away.
    let page = Browser::new(app)
        .get(&address(&[(
            "post_logout_redirect_uri",
            "https://web.acme.test/bye",
        )]))
        .await;
    shown(&page, 200);
    for name in [
        "redirect_uri",
        "return_to",
        "next",
        "continue",
        "RelayState",
        "target_link_uri",
        "TargetResource",
        "request",
    ] {
        for path in [
            "/oauth/logout",
            "/sign-out",
            "/sign-in",
            "/",
            "/oauth/authorize",
            "/accounts",
            "/consent",
        ] {
            let page = Browser::new(app)
                .get(&format!("{path}?{name}=https://evil.example/"))
                .await;
            assert!(
                !page.header("location").contains("evil") && !page.body.contains("evil.example"),
                "{path} {name}"
            );
        }
    }
}

async fn rl_05_state_comes_back_exactly_or_the_request_is_refused(app: &App) {
    for state in [
        "a b&c=d#e%",
        "\u{202e}é😀",
        "\"><script>",
        &"x".repeat(4096),
    ] {
        let page = Browser::new(app)
            .get(&address(&[
                ("client_id", "web"),
                ("post_logout_redirect_uri", "https://web.acme.test/bye"),
                ("state", state),
            ]))
            .await;
        assert_eq!(page.status, 303);
        assert_eq!(page.answer()["state"], *state);
    }
    let page = Browser::new(app)
        .get(&address(&[
            ("client_id", "web"),
            ("post_logout_redirect_uri", "https://web.acme.test/bye"),
            ("state", &"x".repeat(4097)),
        ]))
        .await;
    shown(&page, 400);
}

async fn rl_06_o21_36_it_works_without_parameters_and_nobody_elses_form_signs_out(app: &App) {
    let web = RelyingParty::web();
    shown(&Browser::new(app).get("/oauth/logout").await, 200);
    let (mut browser, _) = signed_in(app, &web, "ada").await;
    let (mut other, _) = signed_in(app, &web, "bob").await;
    let question = browser.visit("/oauth/logout").await;
    asks(&question);
    let form = question.form();
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&form.fields)
        .finish();
    // Another site's form, one without a token, one with a token of another browser.
    let foreign = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    shown(
        &browser
            .send(Method::POST, "/sign-out", &foreign, &body)
            .await,
        403,
    );
    let null = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
    ];
    shown(
        &browser.send(Method::POST, "/sign-out", &null, &body).await,
        403,
    );
    shown(&browser.post("/sign-out", "").await, 403);
    shown(&other.post("/sign-out", &body).await, 403);
    assert!(is_in(&mut browser).await && is_in(&mut other).await);
    let page = browser.post("/sign-out", &body).await;
    shown(&page, 200);
    assert!(!is_in(&mut browser).await && is_in(&mut other).await);
}

async fn t10_t11_repeated_or_unreadable_parameters_are_refused(app: &App) {
    let (mut browser, tokens) = signed_in(app, &RelyingParty::web(), "ada").await;
    let hint = text(&tokens, "id_token");
    let good = address(&[
        ("id_token_hint", hint),
        ("post_logout_redirect_uri", "https://web.acme.test/bye"),
    ]);
    for extra in [
        "&id_token_hint=x",
        "&post_logout_redirect_uri=https://evil.example/",
        "&state=a&state=b",
        "&client_id=web&client_id=web",
        "&x=%ff",
        "&x=%00",
        "&x=%",
    ] {
        shown(&browser.get(&format!("{good}{extra}")).await, 400);
    }
    let (_, body) = good.split_once('?').unwrap();
    shown(
        &browser
            .post(
                "/oauth/logout?post_logout_redirect_uri=https://evil.example/",
                body,
            )
            .await,
        400,
    );
    // A body that is no form is no wish, and what is refused in an address is refused in a body.
    for (kind, body) in [
        ("application/json", "{}"),
        ("text/plain", body),
        ("", body),
        ("application/x-www-form-urlencoded", "state=%ff"),
        (
            "application/x-www-form-urlencoded",
            &format!("{body}&client_id=spa"),
        ),
        (
            "application/x-www-form-urlencoded",
            &format!("{body}&state={}", "x".repeat(4097)),
        ),
    ] {
        let page = browser
            .send(
                Method::POST,
                "/oauth/logout",
                &[("content-type", kind)],
                body,
            )
            .await;
        shown(&page, 400);
    }
    for sealed in ["x", "", "AAAA", &"A".repeat(5000)] {
        let page = browser
            .get(&format!("/oauth/logout?continue={sealed}"))
            .await;
        assert!(page.header("location").is_empty() && page.status.as_u16() < 500);
    }
    assert!(is_in(&mut browser).await);
}

async fn rl_04_of_several_accounts_the_one_that_is_meant_ends(app: &App) {
    let web = RelyingParty::web();
    let (mut browser, ada) = signed_in(app, &web, "ada").await;
    let page = browser.visit(&web.request(&[("prompt", "login")])).await;
    let page = browser.sign_in(&page, "bob").await;
    let page = if page.body.contains("consent-allow") {
        browser.allow(&page).await
    } else {
        page
    };
    assert!(
        page.answer().contains_key("code"),
        "{} {}",
        page.path,
        page.body
    );
    let page = browser
        .get(&address(&[("id_token_hint", text(&ada, "id_token"))]))
        .await;
    shown(&page, 200);
    // Bob stays.
    let page = browser.get(&web.request(&[("prompt", "none")])).await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    assert_eq!(
        web.userinfo(app, text(&tokens, "access_token"))
            .await
            .json()["email"],
        "bob@acme.test"
    );
    let page = browser
        .get(&web.request(&[
            ("prompt", "none"),
            ("id_token_hint", text(&ada, "id_token")),
        ]))
        .await;
    assert_eq!(page.answer()["error"], "login_required");
}

async fn rl_06_the_old_cookie_opens_nothing_after_sign_out(app: &App) {
    let (mut browser, tokens) = signed_in(app, &RelyingParty::web(), "ada").await;
    let before = browser.cookies.clone();
    let page = browser
        .get(&address(&[("id_token_hint", text(&tokens, "id_token"))]))
        .await;
    assert!(
        page.headers
            .get_all("set-cookie")
            .iter()
            .any(|line| line.to_str().unwrap().contains("Max-Age=0"))
    );
    let mut thief = Browser::new(app);
    thief.cookies = before;
    assert!(!is_in(&mut thief).await);
}

async fn rl_05_the_free_port_of_a_redirect_uri_is_not_one_of_sign_out(app: &App) {
    // Only OAuth 2.1, 8.4.2 frees the port, and only for redirect URIs: RP-Initiated Logout, 3 compares exactly.
    let registered = "http://127.0.0.1:4000/bye";
    app.update_client(
        "native",
        json!({"post_logout_redirect_uris": [registered, "com.acme.app:/bye"]}),
    )
    .await;
    let leave = async |target: &str| {
        let url = address(&[
            ("client_id", "native"),
            ("post_logout_redirect_uri", target),
        ]);
        Browser::new(app).get(&url).await
    };
    for good in [registered, "com.acme.app:/bye"] {
        assert_eq!(leave(good).await.header("location"), good);
    }
    for bad in [
        "http://127.0.0.1/bye",
        "http://127.0.0.1:4001/bye",
        "http://[::1]:4000/bye",
        "http://localhost:4000/bye",
    ] {
        shown(&leave(bad).await, 200);
    }
}
