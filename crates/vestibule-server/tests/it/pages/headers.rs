//! What every answer carries, over the whole crawl.

use super::{assert_error, assert_html, assert_quiet, signed_in};
use crate::support::app::{App, START, from_settings_on_both_engines, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::installation::{INSTALLATION, PASSWORD};
use crate::support::relying_party::RelyingParty;
use http::Method;

on_both_engines! {
    t36_t49_every_page_is_framed_by_nobody_and_loads_nothing,
    t35_every_cookie_is_ours_alone,
    t37_what_a_client_sends_is_text,
    t53_no_header_can_be_made,
    bcp_12_a_code_travels_in_a_redirect_without_a_page_or_in_a_form_post,
    t11_a_body_over_64_kib_is_413,
    t48_pages_have_no_cors,
    assets_are_kept_and_everything_else_is_not,
    a_page_that_only_reads_answers_head_as_get,
}
from_settings_on_both_engines! {
    t35_over_https_cookies_are_of_this_host_and_secure,
}

/// Every kind of page there is, shown to somebody who is signed in or not.
async fn crawl(browser: &mut Browser<'_>) -> Vec<Page> {
    let (web, native) = (RelyingParty::web(), RelyingParty::native());
    let targets = [
        "/".to_owned(),
        "/sign-in".to_owned(),
        "/sign-up".to_owned(),
        "/sign-out".to_owned(),
        "/oauth/logout?client_id=web".to_owned(),
        "/setup/x".to_owned(),
        "/nothing".to_owned(),
        "/accounts?request=x".to_owned(),
        "/consent?request=b".to_owned(),
        "/oauth/authorize/x".to_owned(),
        "/sign-in?a=%zz".to_owned(),
        "/t/globex/".to_owned(),
        "/t/globex/sign-up".to_owned(),
        "/t/nobody/".to_owned(),
        web.request(&[]),
        web.request(&[("prompt", "login")]),
        web.request(&[("prompt", "select_account")]),
        web.request(&[("prompt", "create")]),
        web.request(&[("prompt", "consent")]),
        native.request(&[]),
        web.request(&[("client_id", "nobody")]),
        web.request(&[("redirect_uri", "https://evil.test/")]),
        web.request(&[("response_mode", "form_post"), ("scope", "nothing")]),
        web.request(&[("response_mode", "form_post"), ("prompt", "none")]),
        RelyingParty::globex().request(&[]),
    ];
    let mut pages = Vec::new();
    for target in &targets {
        pages.push(browser.visit(target).await);
    }
    for path in [
        "/sign-in",
        "/sign-up",
        "/accounts",
        "/consent",
        "/sign-out",
        "/",
        "/oauth/authorize/x",
    ] {
        pages.push(browser.post(path, "csrf=x").await);
        pages.push(browser.send(Method::DELETE, path, &[], "").await);
        pages.push(browser.post(path, &"x".repeat(65 * 1024)).await);
    }
    let page = browser.visit("/sign-in").await;
    if page.body.contains("<form") {
        pages.push(
            browser
                .submit_once(&page, &[("username", "ada"), ("password", "wrong")])
                .await,
        );
    }
    pages
}

async fn t36_t49_every_page_is_framed_by_nobody_and_loads_nothing(app: &App) {
    for mut browser in [Browser::new(app), signed_in(app, "ada").await] {
        let pages = crawl(&mut browser).await;
        for page in &pages {
            if page.status.is_redirection() {
                assert_quiet(page);
            } else {
                assert_html(page);
            }
            assert!(
                !page.status.is_server_error(),
                "{} {}",
                page.status,
                page.path
            );
        }
        assert!(
            pages
                .iter()
                .filter(|page| !page.status.is_redirection())
                .count()
                > 35
        );
    }
    let mut stranger = Browser::new(app);
    "evil.test".clone_into(&mut stranger.host);
    for page in crawl(&mut stranger).await {
        assert_html(&page);
        assert_eq!(page.status, 421);
    }
}

async fn t35_every_cookie_is_ours_alone(app: &App) {
    let mut browser = signed_in(app, "ada").await;
    crawl(&mut browser).await;
    let page = browser.visit("/sign-out").await;
    browser.submit_once(&page, &[]).await;
    assert!(browser.set_cookies.len() >= 3);
    for line in &browser.set_cookies {
        let mut parts = line.split("; ");
        let name = parts.next().unwrap().split('=').next().unwrap();
        let attributes: Vec<&str> = parts.collect();
        let names = [
            "vestibule-browser-default",
            "vestibule-session-default",
            "vestibule-browser-globex",
            "vestibule-session-globex",
        ];
        assert!(names.contains(&name), "{line}");
        for needed in ["Path=/", "HttpOnly", "SameSite=Lax"] {
            assert_eq!(
                attributes
                    .iter()
                    .filter(|attribute| **attribute == needed)
                    .count(),
                1,
                "{line}"
            );
        }
        // On http a browser drops a Secure cookie; a Domain would widen it to sisters.
        assert!(
            !line.contains("Secure")
                && !line.contains("Domain")
                && !line.contains("SameSite=None")
                && !line.contains("Partitioned"),
            "{line}"
        );
        let age = attributes
            .iter()
            .find_map(|attribute| attribute.strip_prefix("Max-Age="));
        assert_eq!(age.is_some(), name.contains("session"), "{line}");
        assert!(
            age.is_none_or(|age| age == "0" || age == "1209600"),
            "{line}"
        );
    }
    // Nothing about the request or the person is kept in a cookie (T49).
    let text = browser.set_cookies.join("\n");
    assert!(!text.contains("ada") && !text.contains("acme") && !text.contains("st4te"));
}

async fn t35_over_https_cookies_are_of_this_host_and_secure(settings: &[(String, String)]) {
    let app = App::start(
        settings,
        &[("PUBLIC_URL", "https://id.acme.test")],
        START,
        INSTALLATION,
    )
    .await;
    let mut browser = Browser::new(&app);
    (browser.host, browser.scheme) = ("id.acme.test".to_owned(), "https");
    let page = browser.visit("/sign-in").await;
    // Names without the prefix, which plain http or a sister host could set, count for nothing.
    let (name, value) = browser
        .cookies
        .iter()
        .next()
        .map(|(name, value)| (name.clone(), value.clone()))
        .unwrap();
    assert_eq!(name, "__Host-vestibule-browser-default");
    let mut planted = Browser::new(&app);
    (planted.host, planted.scheme) = ("id.acme.test".to_owned(), "https");
    planted
        .cookies
        .insert("vestibule-browser-default".to_owned(), value);
    let refused = planted
        .submit_once(&page, &[("username", "ada"), ("password", PASSWORD)])
        .await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_html(&refused);
    let answer = browser
        .submit_once(&page, &[("username", "ada"), ("password", PASSWORD)])
        .await;
    assert_eq!(answer.status, 303);
    assert!(
        browser
            .cookies
            .contains_key("__Host-vestibule-session-default")
    );
    for line in &browser.set_cookies {
        assert!(
            line.starts_with("__Host-vestibule-")
                && line.contains("; Path=/; HttpOnly; SameSite=Lax; Secure")
                && !line.contains("Domain"),
            "{line}"
        );
    }
    for page in [
        page,
        answer,
        refused,
        browser.visit("/nothing").await,
        browser.visit("/healthz").await,
    ] {
        assert_eq!(
            page.header("strict-transport-security"),
            "max-age=31536000",
            "{}",
            page.path
        );
    }
    planted.cookies.clear();
    planted.cookies.insert(
        "vestibule-session-default".to_owned(),
        browser.cookies["__Host-vestibule-session-default"].clone(),
    );
    assert!(!planted.visit("/").await.body.contains("sign-out-link"));
    // A form sent from plain http is not from here.
    browser.scheme = "http";
    let page = browser.visit("/sign-out").await;
    assert_error(
        &app,
        &browser.submit_once(&page, &[]).await,
        403,
        super::FORM_REFUSED,
    );
    app.end().await;
}

#[expect(
    clippy::too_many_lines,
    reason = "one list of places where text is reflected, walked in one browser"
)]
async fn t37_what_a_client_sends_is_text(app: &App) {
    let web = RelyingParty::web();
    let polyglots = [
        "\"><script>alert(1)</script>",
        "'\"><img src=x onerror=alert(1)>",
        "</script><svg/onload=alert(1)>",
        "javascript:alert(1)//",
        "<b>&lt;\"'`=",
        "--><!--<script>alert(1)</script>",
        "{{constructor}}",
        "\u{202e}\u{feff}é",
    ];
    let mut ada = Browser::new(app);
    ada.authorize(&web.request(&[]), "ada").await;
    for text in polyglots {
        let page = Browser::new(app)
            .visit(&web.request(&[
                ("login_hint", text),
                ("state", text),
                ("nonce", text),
                ("ui_locales", text),
            ]))
            .await;
        assert_eq!(page.status, 200);
        assert_html(&page);
        assert_eq!(
            page.form()
                .fields
                .iter()
                .find(|(name, _)| name == "username")
                .unwrap()
                .1,
            text
        );
        // The answer in a form: state comes back byte for byte, and lives in an attribute.
        for changed in [
            &[("response_mode", "form_post"), ("state", text)][..],
            &[
                ("response_mode", "form_post"),
                ("state", text),
                ("scope", "nothing"),
            ],
        ] {
            let page = ada.visit(&web.request(changed)).await;
            assert_eq!(page.status, 200, "{}", page.header("location"));
            assert_html(&page);
            let form = page.form();
            assert_eq!(form.action, "https://web.acme.test/cb");
            assert_eq!(
                form.fields
                    .iter()
                    .find(|(name, _)| name == "state")
                    .unwrap()
                    .1,
                text
            );
            assert!(
                page.header("content-security-policy")
                    .contains("form-action 'self' https://web.acme.test;")
            );
        }
        // Error pages quote what was sent.
        for changed in [
            &[("client_id", text)][..],
            &[("redirect_uri", text)],
            &[("client_id", ""), ("error_description", text)],
        ] {
            let page = ada.visit(&web.request(changed)).await;
            assert!(page.status == 400 || page.status == 401);
            assert_html(&page);
        }
        // Errors that go back are ASCII, whatever was sent.
        let answer = ada.visit(&web.request(&[("prompt", text)])).await.answer();
        assert_eq!(answer["error"], "invalid_request");
        assert!(
            answer["error_description"]
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\'),
            "{}",
            answer["error_description"]
        );
    }
    // A client whose name is a script.
    let installation = INSTALLATION.replace(
        "client_name = \"Acme Web\"",
        "client_name = \"<script>alert(1)</script>\"",
    );
    app.server.apply(&installation).await.unwrap();
    app.server.run_jobs().await.unwrap();
    for target in [
        web.request(&[("prompt", "login")]),
        web.request(&[("prompt", "consent")]),
        web.request(&[("prompt", "select_account")]),
        web.request(&[("response_mode", "form_post")]),
        "/oauth/logout?client_id=web".to_owned(),
    ] {
        let page = ada.visit(&target).await;
        assert_html(&page);
        assert!(
            page.body.contains("&#60;script&#62;alert(1)") && !page.body.contains("<script>alert"),
            "{target}\n{}",
            page.body
        );
    }
}

async fn t53_no_header_can_be_made(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    browser.authorize(&web.request(&[]), "ada").await;
    for text in [
        "a\r\nSet-Cookie: x=y",
        "a\nLocation: https://evil.test",
        "a\0b",
        "a\rb",
        "a\u{7f}b",
        "a\u{85}b",
    ] {
        for name in [
            "state",
            "nonce",
            "login_hint",
            "client_id",
            "redirect_uri",
            "scope",
        ] {
            let answer = browser
                .send(Method::GET, &web.request(&[(name, text)]), &[], "")
                .await;
            assert_error(app, &answer, 400, "This app made a mistake");
            assert!(
                answer.headers.get("set-cookie").is_none()
                    && answer.headers.get("location").is_none()
            );
        }
        let page = browser.visit("/sign-in").await;
        let answer = browser
            .submit_once(&page, &[("username", text), ("password", PASSWORD)])
            .await;
        assert_eq!(answer.status, 403);
        assert_quiet(&answer);
    }
    // What may stand in a state comes back encoded.
    let answer = browser
        .send(
            Method::GET,
            &web.request(&[("state", "é ;,\u{2028}%0d%0a")]),
            &[],
            "",
        )
        .await;
    assert!(
        answer.header("location").is_ascii()
            && answer
                .header("location")
                .contains("state=%C3%A9+%3B%2C%E2%80%A8%250d%250a"),
        "{}",
        answer.header("location")
    );
}

async fn bcp_12_a_code_travels_in_a_redirect_without_a_page_or_in_a_form_post(app: &App) {
    let web = RelyingParty::web();
    let mut browser = Browser::new(app);
    browser.authorize(&web.request(&[]), "ada").await;
    for (mode, joint) in [("query", "?"), ("fragment", "#")] {
        let answer = browser
            .send(
                Method::GET,
                &web.request(&[("response_mode", mode)]),
                &[],
                "",
            )
            .await;
        super::assert_goes_to(
            &answer,
            &format!("https://web.acme.test/cb{joint}code=oac_"),
        );
        assert!(!answer.header("location").contains("token"));
    }
    let page = browser
        .visit(&web.request(&[("response_mode", "form_post")]))
        .await;
    assert_html(&page);
    let fields = page.form().fields;
    assert_eq!(
        fields
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>(),
        ["code", "state", "iss"]
    );
    assert!(
        page.body.contains("method=\"post\"")
            && !page.path.contains("oac_")
            && page.header("location").is_empty()
    );
    assert_eq!(web.exchange(app, &fields[0].1).await.status, 200);
}

async fn t11_a_body_over_64_kib_is_413(app: &App) {
    for path in [
        "/sign-in",
        "/sign-up",
        "/consent",
        "/accounts",
        "/sign-out",
        "/setup/x",
        "/oauth/authorize",
        "/oauth/logout",
    ] {
        let page = Browser::new(app)
            .post(path, &"x".repeat(64 * 1024 + 1))
            .await;
        assert_error(app, &page, 413, "This app made a mistake");
        assert_eq!(page.header("connection"), "close");
        let page = Browser::new(app).post(path, &"x".repeat(64 * 1024)).await;
        assert!(
            page.status != 413 && !page.status.is_server_error(),
            "{path} {}",
            page.status
        );
    }
    for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        let answer = Browser::new(app)
            .post(path, &"x".repeat(64 * 1024 + 1))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (413, "application/json")
        );
        assert_eq!(answer.json()["error"], "invalid_request");
    }
}

async fn t48_pages_have_no_cors(app: &App) {
    let mut browser = signed_in(app, "ada").await;
    for path in [
        "/",
        "/sign-in",
        "/oauth/authorize",
        "/oauth/authorize/x",
        "/consent",
        "/accounts",
        "/sign-out",
        "/oauth/logout",
    ] {
        for method in [Method::GET, Method::OPTIONS] {
            let answer = browser
                .send(
                    method,
                    path,
                    &[
                        ("origin", "https://evil.test"),
                        ("access-control-request-method", "POST"),
                        ("access-control-request-headers", "authorization"),
                    ],
                    "",
                )
                .await;
            for (name, _) in &answer.headers {
                assert!(
                    !name.as_str().starts_with("access-control-"),
                    "{path} {name}"
                );
            }
        }
    }
}

async fn assets_are_kept_and_everything_else_is_not(app: &App) {
    let mut browser = Browser::new(app);
    let page = browser.visit("/t/globex/sign-in").await;
    let paths: Vec<String> = page
        .body
        .split("\"/")
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| path.starts_with("assets/"))
        .map(|path| format!("/{path}"))
        .collect();
    assert!(paths.len() >= 3);
    for path in paths {
        let asset = browser.send(Method::GET, &path, &[], "").await;
        assert_eq!(
            (asset.status.as_u16(), asset.header("cache-control")),
            (200, "public, max-age=31536000, immutable"),
            "{path}"
        );
        assert_eq!(asset.header("x-content-type-options"), "nosniff");
        assert!(asset.headers.get("set-cookie").is_none() && asset.headers.get("vary").is_none());
        assert!(
            !asset.body.contains("http://") || path.contains("svg"),
            "{path} loads from elsewhere"
        );
        assert!(
            !asset.body.contains("@import") && !asset.body.contains("eval("),
            "{path}"
        );
        let head = browser.send(Method::HEAD, &path, &[], "").await;
        assert_eq!(head.status, 200);
        assert_error(
            app,
            &browser.send(Method::POST, &path, &[], "").await,
            405,
            "This page cannot be opened that way",
        );
    }
}

async fn a_page_that_only_reads_answers_head_as_get(app: &App) {
    let web = RelyingParty::web();
    let mut browser = signed_in(app, "ada").await;
    let consent = browser.visit(&web.request(&[])).await.path;
    let accounts = web.request(&[("prompt", "select_account")]);
    let accounts = browser.visit(&accounts).await.path;
    assert!(consent.starts_with("/consent?") && accounts.starts_with("/accounts?"));
    for path in [
        "/",
        "/sign-in",
        "/sign-up",
        &consent,
        &accounts,
        "/accounts",
    ] {
        let cookies = browser.cookies.clone();
        let get = browser.send(Method::GET, path, &[], "").await;
        let head = browser.send(Method::HEAD, path, &[], "").await;
        assert_eq!(head.status, get.status, "{path}");
        for header in [
            "content-type",
            "cache-control",
            "location",
            "x-frame-options",
        ] {
            assert_eq!(head.header(header), get.header(header), "{path}");
        }
        assert_eq!(browser.cookies, cookies, "{path}");
    }
    // What acts does nothing when somebody only wants to look.
    for path in [
        &*web.request(&[]),
        "/oauth/authorize/x",
        "/oauth/logout",
        "/sign-out",
        "/sign-in/with/google",
        "/setup/x",
        "/api/v1/auth/oauth/callback/google",
        "/api/v1/auth/oauth/authorize/google",
    ] {
        let head = browser.send(Method::HEAD, path, &[], "").await;
        assert_eq!(head.status, 405, "{path}");
        assert!(head.header("allow").contains("GET"), "{path}");
        assert_eq!(head.header("set-cookie"), "", "{path}");
    }
}
