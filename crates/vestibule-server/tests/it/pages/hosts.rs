//! Which names we answer to, and whose word about addresses counts.

use super::{assert_error, assert_goes_to, assert_html, assert_shown, signed_in};
use crate::support::app::{App, START, from_settings_on_both_engines, on_both_engines};
use crate::support::browser::Browser;
use crate::support::installation::{BASE, INSTALLATION};
use crate::support::relying_party::RelyingParty;
use http::Method;

on_both_engines! {
    t38_an_unknown_host_is_misdirected,
    t38_forwarding_headers_change_no_link,
    t38_an_absolute_target_overrules_the_host_header,
    t62_the_session_of_one_tenant_is_none_of_another,
    an_alias_signs_in_and_a_satellite_does_not,
    a_tenant_that_is_none_has_no_page,
}
from_settings_on_both_engines! {
    o21_41_addresses_in_headers_count_from_proxies_only,
}

const NOBODY: &str = "Nobody lives at this address";

async fn t38_an_unknown_host_is_misdirected(app: &App) {
    for host in [
        "evil.test",
        "127.0.0.1:8081",
        "127.0.0.1",
        "127.0.0.1:8080.evil.test",
        "evil.test:8080",
        "127.0.0.1:8080@evil.test",
        "localhost:8080",
        "",
        "127.0.0.1:8080/",
        "[::1]:8080",
        "login.acme.test.",
        "LOGIN.acme.test.evil.test",
    ] {
        for path in [
            "/",
            "/sign-in",
            "/.well-known/openid-configuration",
            "/oauth/authorize",
            "/oauth/logout",
            "/t/globex/sign-in",
        ] {
            let mut browser = Browser::new(app);
            browser.host = host.to_owned();
            let page = browser.send(Method::GET, path, &[], "").await;
            assert_shown(&page, 421, NOBODY);
            assert!(
                !page.body.contains("evil.test")
                    && page.headers.get("set-cookie").is_none()
                    && page.headers.get("location").is_none(),
                "{host}"
            );
        }
    }
    // Two are one too many, equal or not.
    for second in ["evil.test", "127.0.0.1:8080"] {
        let page = Browser::new(app)
            .send(Method::GET, "/sign-in", &[("host", second)], "")
            .await;
        assert_shown(&page, 421, NOBODY);
    }
}

async fn t38_forwarding_headers_change_no_link(app: &App) {
    let forged = [
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-port", "444"),
        ("forwarded", "host=evil.test;proto=https"),
        ("x-original-url", "/setup/x"),
        ("x-rewrite-url", "/setup/x"),
        ("x-host", "evil.test"),
        ("front-end-https", "on"),
        ("origin", "https://evil.test"),
        ("referer", "https://evil.test/"),
    ];
    let web = RelyingParty::web();
    for path in [
        "/",
        "/sign-in",
        "/sign-out",
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json",
        &web.request(&[]),
        &web.request(&[("prompt", "none")]),
        &web.request(&[("client_id", "nobody")]),
    ] {
        let plain = Browser::new(app).send(Method::GET, path, &[], "").await;
        let page = Browser::new(app).send(Method::GET, path, &forged, "").await;
        assert_eq!(page.status, plain.status, "{path}");
        for header in ["location", "link", "content-location"] {
            let (one, other) = (page.header(header), plain.header(header));
            assert_eq!(
                one.split("request=").next(),
                other.split("request=").next(),
                "{path}"
            );
        }
        assert!(
            !page.body.contains("evil")
                && !page.header("set-cookie").contains("Secure")
                && !page.header("set-cookie").contains("Domain"),
            "{path}\n{}",
            page.body
        );
    }
    let discovery = Browser::new(app)
        .send(
            Method::GET,
            "/.well-known/openid-configuration",
            &forged,
            "",
        )
        .await
        .json();
    assert_eq!(discovery["issuer"], BASE);
}

async fn t38_an_absolute_target_overrules_the_host_header(app: &App) {
    let call = async |target: &str, host: &str| {
        let request = http::Request::builder()
            .uri(target)
            .header("host", host)
            .body(bytes::Bytes::new())
            .unwrap();
        app.call(request).await
    };
    assert_eq!(
        call("http://evil.test/sign-in", "127.0.0.1:8080")
            .await
            .status(),
        421
    );
    assert_eq!(
        call("http://127.0.0.1:8080@evil.test/sign-in", "127.0.0.1:8080")
            .await
            .status(),
        421
    );
    let answer = call("http://127.0.0.1:8080/sign-in", "evil.test").await;
    assert_eq!(answer.status(), 200);
    assert!(!String::from_utf8_lossy(answer.body()).contains("evil.test"));
}

async fn t62_the_session_of_one_tenant_is_none_of_another(app: &App) {
    let mut browser = signed_in(app, "ada").await;
    let page = browser.visit("/t/globex/").await;
    assert_html(&page);
    assert!(page.body.contains("Globex") && !page.body.contains("sign-out-link"));
    // The same handle under the other tenant's name.
    let cookie = format!(
        "vestibule-session-globex={}",
        browser.cookies[super::SESSION]
    );
    let page = Browser::new(app)
        .send(Method::GET, "/t/globex/", &[("cookie", &cookie)], "")
        .await;
    assert!(page.body.contains("Globex") && !page.body.contains("sign-out-link"));
    // A form of one tenant is none of another, and people of one are unknown at another.
    let form = browser.visit("/sign-in").await;
    browser.visit("/t/globex/sign-in").await;
    let answer = browser
        .post(
            "/t/globex/sign-in",
            &super::body_of(&form, &[("username", Some("ada")), ("password", Some("x"))]),
        )
        .await;
    assert_error(app, &answer, 403, super::FORM_REFUSED);
    let form = browser.visit("/t/globex/sign-in").await;
    let answer = browser
        .submit_once(
            &form,
            &[
                ("username", "bob"),
                ("password", crate::support::installation::PASSWORD),
            ],
        )
        .await;
    assert_eq!(answer.status, 422);
    assert_eq!(app.last_detail(), "nobody of that name, or no password");
    assert!(answer.body.contains("action=\"/t/globex/sign-in\""));
}

async fn an_alias_signs_in_and_a_satellite_does_not(app: &App) {
    let mut browser = Browser::new(app);
    "LOGIN.acme.test".clone_into(&mut browser.host);
    let page = browser.visit("/sign-in").await;
    assert_shown(&page, 200, "Sign in");
    assert!(page.body.contains("action=\"/sign-in\""));
    // The origin of the form is the alias's own, no other of ours.
    let body = super::body_of(
        &page,
        &[
            ("username", Some("ada")),
            ("password", Some(crate::support::installation::PASSWORD)),
        ],
    );
    for origin in [
        BASE,
        "http://app2.acme.test",
        "https://login.acme.test",
        "http://login.acme.test.evil.test",
    ] {
        let answer = browser
            .send(
                Method::POST,
                "/sign-in",
                &[
                    super::FORM,
                    ("origin", origin),
                    ("sec-fetch-site", "same-origin"),
                ],
                &body,
            )
            .await;
        assert_error(app, &answer, 403, super::FORM_REFUSED);
    }
    "login.acme.test".clone_into(&mut browser.host);
    assert_goes_to(&browser.post("/sign-in", &body).await, "/");
    let mut browser = Browser::new(app);
    "app2.acme.test".clone_into(&mut browser.host);
    for path in [
        "/",
        "/sign-in",
        "/sign-up",
        "/consent",
        "/accounts",
        "/sign-out",
        "/setup/x",
    ] {
        assert_error(
            app,
            &browser.send(Method::GET, path, &[], "").await,
            403,
            "Sign-in happens at another address",
        );
    }
}

async fn a_tenant_that_is_none_has_no_page(app: &App) {
    for path in [
        "/t/nobody",
        "/t/nobody/",
        "/t/nobody/sign-in",
        "/t//sign-in",
        "/t/GLOBEX/sign-in",
        "/t/globex%2f/sign-in",
        "/t/../sign-in",
        "/t/%2e%2e/sign-in",
    ] {
        let page = Browser::new(app).send(Method::GET, path, &[], "").await;
        assert_html(&page);
        assert!(
            page.status == 404 || page.status == 421,
            "{path} {}",
            page.status
        );
        assert!(page.headers.get("set-cookie").is_none());
    }
    for path in [
        "/nothing",
        "/sign-in/",
        "/Sign-In",
        "/sign-in/x",
        "/assets/vestibule.css",
        "/assets/../Cargo.toml",
        "/assets/%2e%2e/x",
        "/oauth/authorize/a/b",
        "/setup",
        "/setup/",
        "//sign-in",
        "/%73ign-in",
        "/t/globex/nothing",
    ] {
        assert_error(
            app,
            &Browser::new(app)
                .send(Method::GET, &format!("{BASE}{path}"), &[], "")
                .await,
            404,
            "There is no page here",
        );
    }
}

async fn o21_41_addresses_in_headers_count_from_proxies_only(settings: &[(String, String)]) {
    // No proxy is trusted: whatever the headers say, it is one network that guesses.
    let app = App::start(settings, &[], START, INSTALLATION).await;
    let mut browser = Browser::new(&app);
    let page = browser.visit("/sign-in").await;
    let body = super::body_of(
        &page,
        &[("username", Some("ada")), ("password", Some("wrong"))],
    );
    for round in 0..12 {
        let from = format!("192.0.2.{round}");
        let headers = [
            super::FORM,
            ("sec-fetch-site", "same-origin"),
            ("x-forwarded-for", &*from),
            ("x-real-ip", &*from),
            ("forwarded", &*format!("for={from}")),
            ("x-client-cert", "MII"),
        ];
        let answer = browser
            .send(Method::POST, "/sign-in", &headers, &body)
            .await;
        assert_eq!(answer.status, if round < 10 { 422 } else { 429 }, "{round}");
    }
    assert!(!app.log().contains("192.0.2."));
    app.end().await;
}
