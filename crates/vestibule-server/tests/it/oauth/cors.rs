//! Which scripts may read which answers (T48).

use super::checks::{post, text};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::relying_party::RelyingParty;
use http::Method;

on_both_engines! {
    o21_12_t48_pages_and_introspection_answer_no_preflight,
    o21_13_oc_15_rv_05_the_endpoints_of_scripts_answer_preflights,
    o21_13_t48_only_the_clients_own_origins_read_its_tokens,
    oc_15_user_info_is_readable_wherever_the_token_is,
    t48_no_answer_allows_credentials,
    md_01_documents_are_readable_everywhere,
    seed_003_t48_the_strict_token_endpoint_answers_the_same_origins,
}

const OWN: &str = "https://spa.acme.test";

async fn preflight(app: &App, path: &str, origin: &str) -> Page {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "content-type,authorization",
        ),
    ];
    Browser::new(app)
        .send(Method::OPTIONS, path, &headers, "")
        .await
}

#[track_caller]
fn none(page: &Page) {
    assert!(
        page.headers
            .keys()
            .all(|name| !name.as_str().starts_with("access-control")),
        "{:?}",
        page.headers
    );
}

async fn o21_12_t48_pages_and_introspection_answer_no_preflight(app: &App) {
    for path in [
        "/oauth/authorize",
        "/oauth/authorize/x",
        "/oauth/introspect",
        "/oauth/token_info",
        "/oauth/logout",
        "/sign-in",
        "/sign-up",
        "/consent",
        "/accounts",
        "/sign-out",
        "/",
        "/api/id/v1/auth/authorize",
        "/api/id/v1/auth/logout",
        "/setup/x",
    ] {
        for origin in [OWN, "https://evil.example", "null"] {
            let page = preflight(app, path, origin).await;
            assert_eq!(page.status, 405, "{path}");
            none(&page);
            let page = Browser::new(app)
                .send(Method::GET, path, &[("origin", origin)], "")
                .await;
            none(&page);
        }
    }
    let page = RelyingParty::web()
        .post_with(
            app,
            "/oauth/introspect",
            &[("token", "x")],
            &[("origin", "https://web.acme.test")],
        )
        .await;
    none(&page);
}

async fn o21_13_oc_15_rv_05_the_endpoints_of_scripts_answer_preflights(app: &App) {
    for path in [
        "/oauth/token",
        "/oauth/userinfo",
        "/oauth/revoke",
        "/oauth/token/revoke",
        "/api/id/v1/auth/token",
        "/api/id/v1/auth/userinfo",
        "/api/id/v1/auth/revoke",
    ] {
        for origin in [OWN, "https://evil.example", "null"] {
            let page = preflight(app, path, origin).await;
            assert_eq!(
                (page.status.as_u16(), page.body.as_str()),
                (204, ""),
                "{path}"
            );
            assert_eq!(page.header("access-control-allow-origin"), "*");
            assert!(page.header("access-control-allow-methods").contains("POST"));
            let allowed = page.header("access-control-allow-headers").to_lowercase();
            assert!(allowed.contains("authorization") && allowed.contains("content-type"));
            assert_eq!(page.header("access-control-allow-credentials"), "");
        }
    }
}

async fn o21_13_t48_only_the_clients_own_origins_read_its_tokens(app: &App) {
    let (spa, web) = (RelyingParty::spa(), RelyingParty::web());
    let code = spa.code(app, "ada").await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", spa.redirect_uri),
        ("code_verifier", "wrong"),
    ];
    // Errors too, so that the app can tell what happened; and only to the app.
    for (origin, allowed) in [
        (OWN, OWN),
        ("https://evil.example", ""),
        ("null", ""),
        ("http://spa.acme.test", ""),
        ("https://spa.acme.test:8443", ""),
        ("https://spa.acme.test.evil.example", ""),
        ("https://SPA.acme.test", ""),
        ("https://web.acme.test", ""),
        ("https://spa.acme.test/", ""),
    ] {
        let page = spa
            .post_with(app, "/oauth/token", &fields, &[("origin", origin)])
            .await;
        assert_eq!(
            (
                page.status.as_u16(),
                page.header("access-control-allow-origin")
            ),
            (400, allowed),
            "{origin}"
        );
        assert_eq!(page.header("vary"), "origin");
    }
    let good = spa.redemption(&code);
    let page = spa
        .post_with(app, "/oauth/token", &good, &[("origin", OWN)])
        .await;
    assert_eq!(
        (
            page.status.as_u16(),
            page.header("access-control-allow-origin")
        ),
        (200, OWN)
    );
    let page = web
        .post_with(
            app,
            "/oauth/token",
            &[("grant_type", "client_credentials")],
            &[("origin", OWN)],
        )
        .await;
    assert_eq!(
        (
            page.status.as_u16(),
            page.header("access-control-allow-origin")
        ),
        (200, "")
    );
    // A stranger's failed proof is nobody's to read.
    let page = post(
        app,
        "/oauth/token",
        &[("origin", OWN)],
        "grant_type=refresh_token&client_id=nobody",
    )
    .await;
    assert_eq!(
        (
            page.status.as_u16(),
            page.header("access-control-allow-origin")
        ),
        (401, "")
    );
}

async fn oc_15_user_info_is_readable_wherever_the_token_is(app: &App) {
    let spa = RelyingParty::spa();
    let tokens = spa.tokens(app, "ada").await;
    let bearer = format!("Bearer {}", text(&tokens, "access_token"));
    for origin in [OWN, "https://elsewhere.example"] {
        let page = Browser::new(app)
            .send(
                Method::GET,
                "/oauth/userinfo",
                &[("origin", origin), ("authorization", &bearer)],
                "",
            )
            .await;
        assert_eq!(
            (
                page.status.as_u16(),
                page.header("access-control-allow-origin")
            ),
            (200, "*")
        );
        let page = Browser::new(app)
            .send(Method::GET, "/oauth/userinfo", &[("origin", origin)], "")
            .await;
        assert_eq!(
            (
                page.status.as_u16(),
                page.header("access-control-allow-origin"),
                page.header("access-control-expose-headers")
            ),
            (401, "*", "WWW-Authenticate")
        );
    }
}

async fn t48_no_answer_allows_credentials(app: &App) {
    for path in [
        "/",
        "/oauth/authorize",
        "/oauth/token",
        "/oauth/userinfo",
        "/oauth/revoke",
        "/oauth/introspect",
        "/oauth/logout",
        "/sign-in",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/nothing",
        "/healthz",
    ] {
        for method in [Method::GET, Method::POST, Method::OPTIONS, Method::HEAD] {
            let page = Browser::new(app)
                .send(method, path, &[("origin", "https://evil.example")], "")
                .await;
            assert_eq!(
                page.header("access-control-allow-credentials"),
                "",
                "{path}"
            );
            assert_ne!(
                page.header("access-control-allow-origin"),
                "https://evil.example",
                "{path}"
            );
        }
    }
}

async fn md_01_documents_are_readable_everywhere(app: &App) {
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/jwks.json",
    ] {
        let page = Browser::new(app)
            .send(
                Method::GET,
                path,
                &[("origin", "https://elsewhere.example")],
                "",
            )
            .await;
        assert_eq!(
            (
                page.status.as_u16(),
                page.header("access-control-allow-origin")
            ),
            (200, "*")
        );
    }
}

async fn seed_003_t48_the_strict_token_endpoint_answers_the_same_origins(app: &App) {
    let spa = RelyingParty::spa();
    let code = spa.code(app, "ada").await;
    let json = format!(
        "{{\"grant_type\":\"refresh_token\",\"client_id\":\"spa\",\"refresh_token\":\"{code}\"}}"
    );
    for (origin, allowed) in [(OWN, OWN), ("https://evil.example", ""), ("null", "")] {
        let headers = [("origin", origin), ("content-type", "application/json")];
        let page = Browser::new(app)
            .send(Method::POST, "/api/id/v1/auth/token", &headers, &json)
            .await;
        assert_eq!(
            (
                page.status.as_u16(),
                page.header("access-control-allow-origin"),
                page.header("vary")
            ),
            (400, allowed, "origin")
        );
    }
    let page = spa
        .post_with(
            app,
            "/api/id/v1/auth/token",
            &spa.redemption(&code),
            &[("origin", OWN)],
        )
        .await;
    assert_eq!(
        (
            page.status.as_u16(),
            page.header("access-control-allow-origin"),
            page.header("vary")
        ),
        (200, OWN, "origin")
    );
}
