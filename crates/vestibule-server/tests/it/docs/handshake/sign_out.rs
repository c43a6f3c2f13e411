//! Signing out: by whom, and where to.

use super::assert_page;
use crate::support::docs::{DocsWorld, HANDBOOK, INTERNAL, Site, in_both_docs_worlds};
use http::{Method, StatusCode};
use serde_json::json;

in_both_docs_worlds! {
    a_click_on_the_site_signs_out,
    t33_somebody_elses_link_or_form_signs_nobody_out,
    the_page_that_asks_signs_out_in_any_browser,
    t02_only_the_logout_url_of_the_settings_is_followed,
    signing_out_twice_is_no_mistake,
}

const CLICK: [(&str, &str); 2] = [
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
];
const LOGOUT: &str = "https://auth.foo.test/logout?client_id=x&post_logout_redirect_uri=https%3A%2F%2Fdocs.acme.test%2F";

fn path(site: Site) -> String {
    site.handshake("sign-out")
}

async fn a_click_on_the_site_signs_out(world: &DocsWorld<'_>) {
    let mut reader = world.signed_in(HANDBOOK).await;
    let page = reader.get(&path(HANDBOOK), &CLICK).await;
    assert_eq!(
        (page.status, page.header("location")),
        (StatusCode::SEE_OTHER, "https://docs.acme.test/docs/")
    );
    assert!(reader.cookie().is_none());
    assert_eq!(world.sessions().await, 0);
    // A form of the site, and a script of it.
    for headers in [
        vec![("origin", "https://docs.acme.test")],
        vec![
            ("origin", "https://docs.acme.test"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors"),
        ],
    ] {
        let mut reader = world.signed_in(HANDBOOK).await;
        let page = reader
            .browser
            .send(Method::POST, &path(HANDBOOK), &headers, "")
            .await;
        assert_eq!(page.status, StatusCode::SEE_OTHER);
        assert_eq!(world.sessions().await, 0);
    }
    // The first page of a private site would send the reader off to sign in again.
    let mut reader = world.signed_in(INTERNAL).await;
    let page = reader.get(&path(INTERNAL), &CLICK).await;
    assert_page(&page, StatusCode::OK, "You are signed out");
    assert_eq!(world.sessions().await, 0);
}

async fn t33_somebody_elses_link_or_form_signs_nobody_out(world: &DocsWorld<'_>) {
    let mut reader = world.signed_in(HANDBOOK).await;
    for (method, headers) in [
        (Method::GET, vec![]),
        (
            Method::GET,
            vec![
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
            ],
        ),
        (
            Method::GET,
            vec![
                ("sec-fetch-site", "same-site"),
                ("sec-fetch-mode", "navigate"),
            ],
        ),
        (
            Method::GET,
            vec![("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
        ),
        (
            Method::GET,
            vec![
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "no-cors"),
                ("sec-fetch-dest", "image"),
            ],
        ),
        (
            Method::GET,
            vec![
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "navigate"),
                ("sec-purpose", "prefetch;prerender"),
            ],
        ),
        (Method::POST, vec![]),
        (Method::POST, vec![("origin", "https://evil.test")]),
        (Method::POST, vec![("origin", "null")]),
        (
            Method::POST,
            vec![
                ("origin", "https://internal.acme.test"),
                ("sec-fetch-site", "same-site"),
            ],
        ),
        (
            Method::POST,
            vec![
                ("origin", "https://docs.acme.test"),
                ("sec-fetch-site", "cross-site"),
            ],
        ),
        (Method::POST, vec![("origin", "http://docs.acme.test")]),
    ] {
        let page = reader
            .browser
            .send(method, &path(HANDBOOK), &headers, "")
            .await;
        assert_page(&page, StatusCode::OK, "Sign out?");
        assert_eq!(reader.user().await["signedIn"], true, "{headers:?}");
    }
    // The token of another reader's page, or of another site's.
    let mut mallory = world.signed_in(HANDBOOK).await;
    let form = mallory.get(&path(HANDBOOK), &[]).await.form();
    let mut internal = world.signed_in(INTERNAL).await;
    let other = internal.get(&path(INTERNAL), &[]).await.form();
    for form in [form, other] {
        let body = format!("csrf={}", form.fields[0].1);
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let page = reader
            .browser
            .send(Method::POST, &path(HANDBOOK), &headers, &body)
            .await;
        assert_page(&page, StatusCode::OK, "Sign out?");
    }
    assert_eq!(reader.user().await["signedIn"], true);
}

async fn the_page_that_asks_signs_out_in_any_browser(world: &DocsWorld<'_>) {
    for headers in [
        vec![("content-type", "application/x-www-form-urlencoded")],
        vec![
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "https://docs.acme.test"),
            ("sec-fetch-site", "same-origin"),
        ],
    ] {
        let mut reader = world.signed_in(HANDBOOK).await;
        let page = reader.get(&path(HANDBOOK), &[]).await;
        let form = page.form();
        assert_eq!(form.action, path(HANDBOOK));
        let body = format!("csrf={}", form.fields[0].1);
        let page = reader
            .browser
            .send(Method::POST, &form.action, &headers, &body)
            .await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        assert_eq!(world.sessions().await, 0);
    }
}

async fn t02_only_the_logout_url_of_the_settings_is_followed(world: &DocsWorld<'_>) {
    world
        .set(HANDBOOK, &json!({ "logout_url": LOGOUT }), None)
        .await;
    let encoded: String = url::form_urlencoded::byte_serialize(LOGOUT.as_bytes()).collect();
    let mut reader = world.reader(HANDBOOK);
    for query in [String::new(), format!("?to={encoded}")] {
        let page = reader
            .get(&format!("{}{query}", path(HANDBOOK)), &CLICK)
            .await;
        assert_eq!(page.header("location"), LOGOUT);
    }
    for evil in [
        "https://evil.test/",
        "https%3A%2F%2Fauth.foo.test%2Flogout",
        "//evil.test",
        "/docs/",
        "https://auth.foo.test@evil.test/",
        "javascript:alert(1)",
    ] {
        let page = reader
            .get(&format!("{}?to={evil}", path(HANDBOOK)), &CLICK)
            .await;
        assert_eq!(
            page.header("location"),
            "https://docs.acme.test/docs/",
            "{evil}"
        );
    }
    let page = reader
        .get(&format!("{}?to={encoded}x", path(HANDBOOK)), &CLICK)
        .await;
    assert_eq!(page.header("location"), "https://docs.acme.test/docs/");
    // The form of the page that asks may end there, as far as the browser is concerned.
    let page = reader
        .get(&format!("{}?to={encoded}", path(HANDBOOK)), &[])
        .await;
    assert!(
        page.header("content-security-policy")
            .contains("form-action 'self' https://auth.foo.test;")
    );
    let page = reader.browser.submit_once(&page, &[]).await;
    assert_eq!(page.header("location"), LOGOUT);
    let page = reader
        .get(&format!("{}?to=https://evil.test/", path(HANDBOOK)), &[])
        .await;
    assert!(!page.header("content-security-policy").contains("evil"));
    let page = reader.browser.submit_once(&page, &[]).await;
    assert_eq!(page.header("location"), "https://docs.acme.test/docs/");
}

async fn signing_out_twice_is_no_mistake(world: &DocsWorld<'_>) {
    let mut reader = world.signed_in(HANDBOOK).await;
    let mut other = world.signed_in(HANDBOOK).await;
    for _ in 0..2 {
        let page = reader.get(&path(HANDBOOK), &CLICK).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(
        other.user().await["signedIn"],
        true,
        "somebody else's session"
    );
}
