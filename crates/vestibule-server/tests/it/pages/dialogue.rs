//! The hub and its spokes: what a request asks of a person, in which browser, and for how long.

use super::{
    BROWSER, EXPIRED, OTHER_BROWSER, assert_error, assert_goes_to, assert_html, signed_in,
};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::Browser;
use crate::support::installation::{BASE, PASSWORD};
use crate::support::relying_party::{RelyingParty, decode};
use http::Method;

on_both_engines! {
    t33_a_hub_of_another_browser_opens_nothing,
    t33_a_changed_seal_opens_nothing,
    t02_no_parameter_of_ours_leads_elsewhere,
    o21_06_a_bad_client_or_address_is_shown_never_returned,
    a_dialogue_lasts_thirty_minutes,
    oc_02_prompt_none_with_anything_else_is_refused,
    oc_02_prompt_login_asks_again_and_auth_time_moves,
    oc_03_harmless_parameters_are_harmless,
    oc_04_max_age_is_held,
    oc_06_a_request_may_be_posted,
    oc_07_a_hint_of_another_person_is_never_answered_for_the_wrong_one,
    oc_09_prompt_none_shows_nothing,
    a_script_is_told_that_pages_are_for_people,
    t60_a_long_request_is_refused_at_once,
}

async fn t33_a_hub_of_another_browser_opens_nothing(app: &App) {
    let web = RelyingParty::web();
    let mut victim = Browser::new(app);
    let page = victim.visit(&web.request(&[])).await;
    let hub = victim
        .submit_once(&page, &[("username", "ada"), ("password", PASSWORD)])
        .await
        .header("location")
        .to_owned();
    assert!(hub.starts_with("/oauth/authorize/b"));
    let sealed = hub.rsplit('/').next().unwrap();
    for mut other in [signed_in(app, "bob").await, signed_in(app, "ada").await] {
        for target in [
            hub.clone(),
            format!("/sign-in?request={sealed}"),
            format!("/consent?request={sealed}"),
            format!("/accounts?request={sealed}"),
            format!("/sign-up?request={sealed}"),
        ] {
            assert_error(app, &other.visit(&target).await, 400, OTHER_BROWSER);
            assert_error(
                app,
                &other
                    .post(
                        &target
                            .replace(&hub, "/consent?request=")
                            .replace("request=", &format!("request={sealed}&x=")),
                        "decision=allow",
                    )
                    .await,
                400,
                OTHER_BROWSER,
            );
        }
    }
    // A browser without our cookie, and one of another tenant.
    assert_error(
        app,
        &Browser::new(app).visit(&hub).await,
        400,
        "Your browser did not keep our cookie",
    );
    let globex = victim.visit(&format!("/t/globex{hub}")).await;
    assert_error(app, &globex, 400, "Your browser did not keep our cookie");
    // Said to be unbound, it is not.
    assert_error(
        app,
        &Browser::new(app).visit(&hub.replace("/b", "/u")).await,
        400,
        OTHER_BROWSER,
    );
}

async fn t33_a_changed_seal_opens_nothing(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit(&RelyingParty::web().request(&[])).await;
    let sealed = page.path.split_once("request=").unwrap().1.to_owned();
    let middle = sealed.len() / 2;
    let flipped = format!(
        "{}{}{}",
        &sealed[..middle],
        if &sealed[middle..=middle] == "A" {
            "B"
        } else {
            "A"
        },
        &sealed[middle + 1..]
    );
    for (changed, title) in [
        (flipped, OTHER_BROWSER),
        (sealed[..sealed.len() - 4].to_owned(), OTHER_BROWSER),
        (format!("{sealed}AAAA"), OTHER_BROWSER),
        (format!("{sealed}="), OTHER_BROWSER),
        ("b".to_owned(), OTHER_BROWSER),
        ("u".to_owned(), OTHER_BROWSER),
        (format!("u{}", &sealed[1..]), OTHER_BROWSER),
        (
            sealed[1..]
                .replacen(['b', 'u'], "x", 1)
                .replace('b', "c")
                .replacen('u', "v", 1)
                .to_uppercase(),
            EXPIRED,
        ),
    ] {
        for place in [
            "/oauth/authorize/",
            "/sign-in?request=",
            "/consent?request=",
        ] {
            let answer = browser
                .send(Method::GET, &format!("{place}{changed}"), &[], "")
                .await;
            assert_error(app, &answer, 400, title);
        }
    }
    let twice = browser
        .visit(&format!("/sign-in?request={sealed}&request={sealed}"))
        .await;
    assert!(
        !twice.body.contains("Acme Web"),
        "of two requests neither counts"
    );
}

async fn t02_no_parameter_of_ours_leads_elsewhere(app: &App) {
    let targets = [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test",
        "https:evil.test",
        "javascript:alert(1)",
        "/%09/evil.test",
        "\u{2028}//evil.test",
        "data:text/html,x",
    ];
    for target in targets {
        for name in [
            "request",
            "continue",
            "return_to",
            "next",
            "redirect",
            "redirect_uri",
            "target_link_uri",
            "post_logout_redirect_uri",
            "RelayState",
            "url",
        ] {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair(name, target)
                .finish();
            for path in [
                "/",
                "/sign-in",
                "/sign-up",
                "/accounts",
                "/consent",
                "/sign-out",
                "/oauth/logout",
                "/oauth/authorize",
            ] {
                let mut browser = Browser::new(app);
                let answer = browser
                    .send(Method::GET, &format!("{path}?{query}"), &[], "")
                    .await;
                let location = answer.header("location");
                assert!(
                    location.is_empty() || location == "/",
                    "{path} {name} leads to {location}"
                );
                assert!(
                    !answer.body.contains("evil.test") && !answer.body.contains("alert(1)"),
                    "{path} {name}\n{}",
                    answer.body
                );
                assert!(!answer.header("content-security-policy").contains("evil"));
            }
        }
        let mut browser = Browser::new(app);
        let page = browser.visit("/sign-in").await;
        let encoded = url::form_urlencoded::byte_serialize(target.as_bytes()).collect::<String>();
        let answer = browser
            .submit_once(
                &page,
                &[
                    ("username", "ada"),
                    ("password", PASSWORD),
                    ("request", &encoded),
                    ("continue", &encoded),
                    ("next", &encoded),
                ],
            )
            .await;
        assert_goes_to(&answer, "/");
        assert_eq!(answer.header("location"), "/");
    }
    // Paths that a browser would take for a host.
    for path in [
        "//evil.test",
        "//evil.test/..",
        "/t/%2f%2fevil.test",
        "/t//evil.test/sign-in",
        "/t/evil.test/consent",
    ] {
        let answer = Browser::new(app)
            .send(Method::GET, &format!("{BASE}{path}"), &[], "")
            .await;
        assert!(
            answer.header("location").is_empty() || answer.header("location").starts_with("/t/"),
            "{path} {}",
            answer.header("location")
        );
        assert!(answer.status.is_client_error(), "{path} {}", answer.status);
        assert_html(&answer);
    }
}

/// What is changed, the status, the heading and the code.
type Row<'a> = (&'a [(&'static str, &'a str)], u16, &'a str, &'a str);

async fn o21_06_a_bad_client_or_address_is_shown_never_returned(app: &App) {
    let web = RelyingParty::web();
    #[rustfmt::skip]
    let table: &[Row<'_>] = &[
        (&[("client_id", "nobody")],                                  401, "We do not know this app", "invalid_client"),
        (&[("client_id", "")],                                        401, "We do not know this app", "invalid_client"),
        (&[("client_id", "<script>alert(1)</script>")],               401, "We do not know this app", "invalid_client"),
        (&[("redirect_uri", "https://evil.test/cb")],                 400, "This app asked for something we cannot do", "invalid_request"),
        (&[("redirect_uri", "https://web.acme.test/cb/")],            400, "This app asked for something we cannot do", "invalid_request"),
        (&[("redirect_uri", "\"><script>alert(1)</script>")],         400, "This app asked for something we cannot do", "invalid_request"),
        (&[("redirect_uri", "https://evil.test/cb"), ("prompt", "none")], 400, "This app asked for something we cannot do", "invalid_request"),
    ];
    for signed in [false, true] {
        let mut browser = if signed {
            signed_in(app, "ada").await
        } else {
            Browser::new(app)
        };
        for (changed, status, title, code) in table {
            let page = browser.visit(&web.request(changed)).await;
            assert_error(app, &page, *status, title);
            assert!(
                page.body.contains(code)
                    && !page.body.contains("alert(1)<")
                    && !page.body.contains("<script>alert"),
                "{}",
                page.body
            );
            assert!(!page.header("content-security-policy").contains("evil"));
        }
    }
}

async fn a_dialogue_lasts_thirty_minutes(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    let page = browser.visit(&web.request(&[])).await;
    app.server.advance(30 * 60 - 1);
    let consent = browser.sign_in(&page, "ada").await;
    assert!(consent.body.contains("consent-allow"), "{}", consent.body);
    // A step forward is no new beginning.
    app.server.advance(1);
    for target in [
        page.path.clone(),
        consent.path.clone(),
        consent
            .path
            .replace("/consent?request=", "/oauth/authorize/"),
    ] {
        assert_error(app, &browser.visit(&target).await, 400, EXPIRED);
    }
    assert_error(
        app,
        &browser.submit(&consent, &[("decision", "allow")]).await,
        400,
        EXPIRED,
    );
    assert_error(
        app,
        &browser
            .submit(&page, &[("username", "ada"), ("password", PASSWORD)])
            .await,
        400,
        EXPIRED,
    );
    let silent = browser.visit(&web.request(&[("prompt", "none")])).await;
    assert_eq!(silent.answer()["error"], "consent_required");
}

async fn oc_02_prompt_none_with_anything_else_is_refused(app: &App) {
    let web = RelyingParty::web();
    for prompt in [
        "none login",
        "login none",
        "none consent",
        "none select_account",
        "none create",
        "NONE",
        "nothing",
        "login;none",
    ] {
        for signed in [false, true] {
            let mut browser = if signed {
                signed_in(app, "ada").await
            } else {
                Browser::new(app)
            };
            let answer = browser.visit(&web.request(&[("prompt", prompt)])).await;
            assert_goes_to(&answer, "https://web.acme.test/cb?error=invalid_request");
            assert_eq!(
                (
                    answer.answer()["state"].as_str(),
                    answer.answer()["iss"].as_str()
                ),
                ("st4te-of-the-app", BASE)
            );
        }
    }
}

async fn oc_02_prompt_login_asks_again_and_auth_time_moves(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    browser.authorize(&web.request(&[]), "ada").await;
    app.server.advance(1000);
    let page = browser.visit(&web.request(&[("prompt", "login")])).await;
    assert!(
        page.path.starts_with("/sign-in?request=b")
            && page.body.contains("Enter your password again to continue."),
        "{}",
        page.body
    );
    // Neither a wrong password nor going back to the hub spares it.
    let wrong = browser
        .submit_once(&page, &[("username", "ada"), ("password", "wrong")])
        .await;
    assert_eq!(wrong.status, 422);
    let hub = browser
        .visit(&page.path.replace("/sign-in?request=", "/oauth/authorize/"))
        .await;
    assert!(hub.path.starts_with("/sign-in?request=b"));
    let page = browser.sign_in(&page, "ada").await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    assert_eq!(
        decode(tokens["id_token"].as_str().unwrap()).1["auth_time"],
        app.server.now()
    );
}

async fn oc_03_harmless_parameters_are_harmless(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    for (name, value) in [
        ("display", "popup"),
        ("display", "x"),
        ("ui_locales", "tlh x-y"),
        ("claims_locales", "<b>"),
        ("acr_values", "gold"),
        ("login_hint", "ada"),
        ("unknown", "1"),
    ] {
        let page = browser.visit(&web.request(&[(name, value)])).await;
        assert!(
            page.path.starts_with("/sign-in?request=b"),
            "{name} {}",
            page.header("location")
        );
        assert_html(&page);
    }
}

async fn oc_04_max_age_is_held(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    browser.authorize(&web.request(&[]), "ada").await;
    app.server.advance(100);
    #[rustfmt::skip]
    let table = [("100", "code"), ("99", "login"), ("0", "login"), ("4294967295", "code"), ("-1", "invalid_request"), ("1.5", "invalid_request"), ("4294967296", "invalid_request"), ("+5", "invalid_request")];
    for (max_age, expected) in table {
        let answer = browser.visit(&web.request(&[("max_age", max_age)])).await;
        let silent = browser
            .visit(&web.request(&[("max_age", max_age), ("prompt", "none")]))
            .await;
        match expected {
            "login" => {
                assert!(answer.path.starts_with("/sign-in?request=b"), "{max_age}");
                assert_eq!(silent.answer()["error"], "login_required", "{max_age}");
            }
            "code" => {
                let tokens = web.exchange(app, &answer.answer()["code"]).await.json();
                assert_eq!(
                    decode(tokens["id_token"].as_str().unwrap()).1["auth_time"],
                    app.server.now() - 100
                );
                assert!(silent.answer().contains_key("code"));
            }
            error => assert_eq!(
                (
                    answer.answer()["error"].as_str(),
                    silent.answer()["error"].as_str()
                ),
                (error, error),
                "{max_age}"
            ),
        }
    }
    // After the sign-in that max_age=0 asked for, the hub is content.
    let page = browser.visit(&web.request(&[("max_age", "0")])).await;
    assert_goes_to(
        &browser.sign_in(&page, "ada").await,
        "https://web.acme.test/cb?code=",
    );
}

async fn oc_06_a_request_may_be_posted(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    browser.authorize(&web.request(&[]), "ada").await;
    let url = web.request(&[]);
    let body = url.split_once('?').unwrap().1;
    // From the app's site, where a Lax cookie is not sent: the hub sees it afterwards.
    let answer = browser
        .send(
            Method::POST,
            "/oauth/authorize",
            &[
                super::FORM,
                ("origin", "https://web.acme.test"),
                ("sec-fetch-site", "cross-site"),
                ("no-cookies", ""),
            ],
            body,
        )
        .await;
    assert_goes_to(&answer, "/oauth/authorize/u");
    assert_goes_to(
        &browser.follow(answer).await,
        "https://web.acme.test/cb?code=",
    );
    for (kind, body) in [("application/json", "{}"), ("text/plain", body)] {
        let answer = browser
            .send(
                Method::POST,
                "/oauth/authorize",
                &[("content-type", kind)],
                body,
            )
            .await;
        assert_error(app, &answer, 400, "This app made a mistake");
    }
    // In query and body together a name stands twice.
    let answer = browser
        .send(
            Method::POST,
            "/oauth/authorize?client_id=web",
            &[super::FORM],
            body,
        )
        .await;
    assert_error(app, &answer, 400, "This app made a mistake");
}

async fn oc_07_a_hint_of_another_person_is_never_answered_for_the_wrong_one(app: &App) {
    let web = RelyingParty::web();
    let bobs = web.tokens(app, "bob").await["id_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut browser = Browser::new(app);
    let page = browser.authorize(&web.request(&[]), "ada").await;
    let adas = web.exchange(app, &page.answer()["code"]).await.json()["id_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        browser
            .visit(&web.request(&[("prompt", "none"), ("id_token_hint", &adas)]))
            .await
            .answer()
            .contains_key("code")
    );
    let silent = browser
        .visit(&web.request(&[("prompt", "none"), ("id_token_hint", &bobs)]))
        .await;
    assert_goes_to(&silent, "https://web.acme.test/cb?error=login_required");
    assert!(!silent.header("location").contains(&bobs));
    // With a page: Ada signing in again is not Bob.
    let page = browser
        .visit(&web.request(&[("id_token_hint", &bobs)]))
        .await;
    assert!(page.path.starts_with("/sign-in?request=b"), "{}", page.path);
    let answer = browser.sign_in(&page, "ada").await;
    assert_eq!(answer.answer()["error"], "login_required");
    let page = browser
        .visit(&web.request(&[("id_token_hint", &bobs)]))
        .await;
    let page = browser.sign_in(&page, "bob").await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    assert_eq!(
        decode(tokens["id_token"].as_str().unwrap()).1["sub"],
        decode(&bobs).1["sub"]
    );
    // Both are in this browser now, and the hint picks the right one in silence.
    for hint in [&adas, &bobs] {
        let page = browser
            .visit(&web.request(&[("prompt", "none"), ("id_token_hint", hint)]))
            .await;
        let tokens = web.exchange(app, &page.answer()["code"]).await.json();
        assert_eq!(
            decode(tokens["id_token"].as_str().unwrap()).1["sub"],
            decode(hint).1["sub"]
        );
    }
    // What is no ID token for this app is refused, and OC-08: a subject asked for through claims is held the same way.
    let forged = super::forged(&adas);
    for hint in ["x", "a.b.c", forged.as_str()] {
        let page = browser
            .visit(&web.request(&[("id_token_hint", hint)]))
            .await;
        assert_goes_to(&page, "https://web.acme.test/cb?error=invalid_request");
    }
    let sub = decode(&bobs).1["sub"].as_str().unwrap().to_owned();
    let claims = |sub: &str| format!(r#"{{"id_token":{{"sub":{{"value":"{sub}"}}}}}}"#);
    let page = browser
        .visit(&web.request(&[("prompt", "none"), ("claims", &claims(&sub))]))
        .await;
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    assert_eq!(decode(tokens["id_token"].as_str().unwrap()).1["sub"], sub);
    let page = browser
        .visit(&web.request(&[("prompt", "none"), ("claims", &claims("somebody"))]))
        .await;
    assert_eq!(page.answer()["error"], "login_required");
}

async fn oc_09_prompt_none_shows_nothing(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    let expect = async |browser: &mut Browser<'_>, error: &str| {
        for mode in ["query", "fragment"] {
            let answer = browser
                .send(
                    Method::GET,
                    &web.request(&[("prompt", "none"), ("response_mode", mode)]),
                    &[],
                    "",
                )
                .await;
            let joint = if mode == "query" { '?' } else { '#' };
            assert_goes_to(&answer, &format!("https://web.acme.test/cb{joint}{error}"));
            assert_eq!(
                (
                    answer.answer()["state"].as_str(),
                    answer.answer()["iss"].as_str()
                ),
                ("st4te-of-the-app", BASE)
            );
            assert!(
                answer.headers.get("content-type").is_none()
                    && answer.headers.get("x-frame-options").is_none()
            );
        }
    };
    expect(&mut browser, "error=login_required").await;
    let page = browser.visit("/sign-in").await;
    browser.sign_in(&page, "ada").await;
    expect(&mut browser, "error=consent_required").await;
    browser.authorize(&web.request(&[]), "ada").await;
    expect(&mut browser, "code=").await;
    assert!(browser.cookies.contains_key(BROWSER));
}

async fn a_script_is_told_that_pages_are_for_people(app: &App) {
    let web = RelyingParty::web();
    for headers in [
        &[("sec-fetch-dest", "empty")][..],
        &[("accept", "application/json")],
        &[("accept", "")],
        &[("sec-fetch-dest", "empty"), ("accept", "text/html")],
    ] {
        let answer = Browser::new(app)
            .send(Method::GET, &web.request(&[]), headers, "")
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (400, "application/json"),
            "{headers:?}"
        );
        assert_eq!(answer.json()["error"], "invalid_request");
        assert!(
            answer.headers.get("location").is_none()
                && answer.headers.get("access-control-allow-origin").is_none()
        );
        assert_eq!(app.last_detail(), "");
    }
}

async fn t60_a_long_request_is_refused_at_once(app: &App) {
    let web = RelyingParty::web();
    for length in [5_000, 7_000, 40_000] {
        let long = "s".repeat(length);
        let page = Browser::new(app)
            .visit(&web.request(&[("state", &long)]))
            .await;
        if page.status == 303 {
            assert_goes_to(&page, "https://web.acme.test/cb?error=invalid_request");
        } else {
            assert_error(app, &page, 400, "This app made a mistake");
        }
    }
    let many: Vec<String> = (0..65).map(|number| format!("&p{number}=1")).collect();
    let many = many.concat();
    assert_error(
        app,
        &Browser::new(app)
            .visit(&format!("{}{many}", web.request(&[])))
            .await,
        400,
        "This app made a mistake",
    );
}
