//! What holds for every answer of the demo site.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};

use super::{CALLBACK_PATH, CLIENT_NAME, DemoPerson, DemoSite, SCOPE, SIGNED_OUT_PATH};

const EVIL: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}\u{202e}";
const FILES: [&str; 5] = [
    "/demo.js",
    "/oidc.js",
    "/words.js",
    "/demo.css",
    "/mark.svg",
];
const PAGES: [&str; 3] = ["/", CALLBACK_PATH, SIGNED_OUT_PATH];

fn site() -> DemoSite {
    DemoSite {
        issuer: "http://127.0.0.1:8080".to_owned(),
        client_id: "footsteps".to_owned(),
        people: vec![DemoPerson {
            name: "Ada Lovelace".to_owned(),
            username: "ada".to_owned(),
            password: "correct-horse".to_owned(),
            note: "Has a verified address.".to_owned(),
        }],
        mock_provider: Some("http://127.0.0.1:8082".to_owned()),
    }
}

fn get(site: &DemoSite, path: &str) -> Response<Full<Bytes>> {
    site.respond(&Method::GET, path)
}

/// A full body is ready at once.
fn text(response: Response<Full<Bytes>>) -> String {
    let collected = pin!(response.into_body().collect());
    match collected.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(body) => String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap(),
        Poll::Pending => panic!("a full body waits for nothing"),
    }
}

fn policy(site: &DemoSite, path: &str) -> String {
    let response = get(site, path);
    response.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap()
        .to_owned()
}

#[test]
fn each_path_answers_with_its_kind() {
    #[rustfmt::skip]
    let rows = [
        ("/",            StatusCode::OK,        "text/html; charset=utf-8"),
        ("/callback",    StatusCode::OK,        "text/html; charset=utf-8"),
        ("/bye",         StatusCode::OK,        "text/html; charset=utf-8"),
        ("/demo.js",     StatusCode::OK,        "text/javascript; charset=utf-8"),
        ("/oidc.js",     StatusCode::OK,        "text/javascript; charset=utf-8"),
        ("/words.js",    StatusCode::OK,        "text/javascript; charset=utf-8"),
        ("/demo.css",    StatusCode::OK,        "text/css; charset=utf-8"),
        ("/mark.svg",    StatusCode::OK,        "image/svg+xml"),
        ("/callback/",   StatusCode::NOT_FOUND, "text/plain; charset=utf-8"),
        ("/../demo.js",  StatusCode::NOT_FOUND, "text/plain; charset=utf-8"),
        ("",             StatusCode::NOT_FOUND, "text/plain; charset=utf-8"),
    ];
    for (path, status, media_type) in rows {
        let response = get(&site(), path);
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            media_type,
            "{path}"
        );
    }
}

#[test]
fn only_get_and_head_are_answered() {
    assert_eq!(site().respond(&Method::HEAD, "/").status(), StatusCode::OK);
    for path in PAGES.iter().chain(&FILES) {
        let response = site().respond(&Method::POST, path);
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(response.headers()[header::ALLOW], "GET, HEAD");
    }
    let response = site().respond(&Method::POST, "/nothing");
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[test]
fn every_answer_is_guarded() {
    for path in PAGES.iter().chain(&FILES).chain(&["/nothing"]) {
        assert_eq!(
            policy(&site(), path),
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; \
             connect-src 'self' http://127.0.0.1:8080; base-uri 'none'; frame-ancestors 'none'; \
             form-action 'self' http://127.0.0.1:8080"
        );
        let response = get(&site(), path);
        let headers = response.headers();
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer", "{path}");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{path}");
    }
}

#[test]
fn the_policy_names_the_origin_of_the_issuer_and_nothing_else() {
    #[rustfmt::skip]
    let rows = [
        ("https://id.example/t/acme",               "connect-src 'self' https://id.example;"),
        ("https://ID.example:8443",                 "connect-src 'self' https://id.example:8443;"),
        ("http://localhost:8080",                   "connect-src 'self' http://localhost:8080;"),
        ("http://[::1]:8080",                       "connect-src 'self' http:;"),
        ("https://id.example/; script-src *",       "connect-src 'self' https://id.example;"),
        ("javascript:alert(1)",                     "connect-src 'self';"),
        ("not an address\r\nX-Evil: yes",           "connect-src 'self';"),
    ];
    for (issuer, expected) in rows {
        let site = DemoSite {
            issuer: issuer.to_owned(),
            ..site()
        };
        let policy = policy(&site, "/");
        assert!(policy.contains(expected), "{issuer}: {policy}");
        assert_eq!(
            policy.matches("script-src").count(),
            1,
            "{issuer}: {policy}"
        );
    }
}

#[test]
fn the_page_tells_the_script_what_it_needs() {
    let page = text(get(&site(), "/callback"));
    for expected in [
        "data-issuer=\"http://127.0.0.1:8080\"",
        "data-client-id=\"footsteps\"",
        "data-callback=\"/callback\"",
        "data-signed-out=\"/bye\"",
        &format!("data-scope=\"{SCOPE}\""),
        "<noscript>",
        "Ada Lovelace",
        "correct-horse",
        CLIENT_NAME,
    ] {
        assert!(page.contains(expected), "{expected}");
    }
}

#[test]
fn no_script_or_style_stands_in_the_page() {
    let page = text(get(&site(), "/"));
    let scripts: Vec<&str> = page.split("<script").skip(1).collect();
    assert!(!scripts.is_empty());
    for script in scripts {
        let (attributes, content) = script.split_once('>').unwrap();
        assert!(attributes.contains(" src=\"/"), "{attributes}");
        assert!(content.starts_with("</script>"), "{content}");
    }
    assert!(!page.contains("<style"));
    assert!(!page.contains(" style="));
    assert!(!page.contains(" onclick="));
    // Nothing is loaded from elsewhere: the addresses in the page are the issuer's and, as text, the mock provider's.
    let foreign = page
        .split("http")
        .skip(1)
        .filter(|rest| rest.starts_with(':') || rest.starts_with("s:"))
        .filter(|rest| !rest.starts_with("://127.0.0.1:8080"))
        .filter(|rest| !rest.starts_with("://127.0.0.1:8082</code>"));
    assert_eq!(foreign.collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn odd_names_stay_text() {
    let person = DemoPerson {
        name: EVIL.to_owned(),
        username: EVIL.to_owned(),
        password: EVIL.to_owned(),
        note: EVIL.to_owned(),
    };
    let evil = DemoSite {
        issuer: EVIL.to_owned(),
        client_id: EVIL.to_owned(),
        people: vec![person],
        mock_provider: Some(EVIL.to_owned()),
    };
    let (page, plain) = (text(get(&evil, "/")), text(get(&site(), "/")));
    for mark in ["<script", "<img", "\">", "'>"] {
        let extra = page.matches(mark).count();
        let usual = plain.matches(mark).count();
        assert!(extra <= usual, "{mark}: {extra} instead of {usual}");
    }
    assert!(page.contains("{{7*7}}"));
}

#[test]
fn an_issuer_that_is_no_web_address_is_no_link() {
    let odd = DemoSite {
        issuer: "javascript:alert(1)".to_owned(),
        ..site()
    };
    assert!(!text(get(&odd, "/")).contains("href=\"javascript:"));
    assert!(text(get(&site(), "/")).contains("href=\"http://127.0.0.1:8080\""));
}

#[test]
fn a_demo_without_people_offers_none() {
    let nobody = DemoSite {
        people: Vec::new(),
        ..site()
    };
    assert!(!text(get(&nobody, "/")).contains("id=\"people\""));
}
