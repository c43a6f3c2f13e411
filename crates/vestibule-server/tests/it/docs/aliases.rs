//! Endpoint aliases: the same endpoints at other places, and the sign-out address that a docs host is given.

use crate::oauth::checks::{get, no_tokens, post, text};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::Browser;
use crate::support::installation::BASE;
use crate::support::relying_party::RelyingParty;
use http::Method;
use serde_json::json;

on_both_engines! {
    seed_000_each_alias_is_the_endpoint_itself,
    seed_000_discovery_names_the_standard_places,
    seed_000_an_alias_is_exact_and_its_tenants_own,
    t01_an_alias_relaxes_no_rule_of_the_authorization_endpoint,
    seed_000_an_alias_that_shadows_a_path_of_ours_is_refused,
    seed_000_rl_04_a_sign_out_address_made_beforehand_asks_and_returns,
    t02_a_sign_out_address_leads_to_a_registered_place_only,
}

async fn seed_000_each_alias_is_the_endpoint_itself(app: &App) {
    for (method, alias, standard) in [
        (Method::GET, "/authorization", "/oauth/authorize"),
        (Method::POST, "/exchange", "/oauth/token"),
        (Method::GET, "/exchange", "/oauth/token"),
        (Method::GET, "/me", "/oauth/userinfo"),
        (Method::POST, "/me", "/oauth/userinfo"),
        (Method::POST, "/drop", "/oauth/revoke"),
        (Method::POST, "/look/in", "/oauth/introspect"),
        (Method::OPTIONS, "/look/in", "/oauth/introspect"),
        (Method::OPTIONS, "/exchange", "/oauth/token"),
        (Method::GET, "/bye", "/oauth/logout"),
        (Method::GET, "/user-info", "/docs/user-info"),
        (Method::HEAD, "/user-info", "/docs/user-info"),
    ] {
        let mut pages = Vec::new();
        for path in [alias, standard] {
            let headers = [("content-type", "application/x-www-form-urlencoded")];
            let page = Browser::new(app)
                .send(method.clone(), path, &headers, "")
                .await;
            pages.push((
                page.status,
                page.header("content-type").to_owned(),
                page.header("allow").to_owned(),
                page.header("access-control-allow-methods").to_owned(),
                page.header("www-authenticate").to_owned(),
            ));
        }
        assert_eq!(pages[0], pages[1], "{method} {alias}");
        assert_ne!(pages[0].0, 404, "{alias}");
    }
}

async fn seed_000_discovery_names_the_standard_places(app: &App) {
    let document = get(app, "/.well-known/openid-configuration").await.body;
    for alias in [
        "/authorization\"",
        "/exchange",
        "/me\"",
        "/drop",
        "/look/in",
        "/bye",
    ] {
        assert!(!document.contains(alias), "{alias}");
    }
    assert!(document.contains(&format!("{BASE}/oauth/authorize\"")));
}

async fn seed_000_an_alias_is_exact_and_its_tenants_own(app: &App) {
    for path in [
        "/authorization/",
        "/Authorization",
        "//authorization",
        "/authorization/x",
        "/authorization%20",
        "/./authorization",
        "/%61uthorization",
        "/t/globex/authorization",
        "/t/globex/exchange",
        "/t/globex/user-info",
        "/look",
    ] {
        for method in [Method::GET, Method::POST] {
            let page = Browser::new(app).send(method, path, &[], "").await;
            assert_eq!(page.status, 404, "{path}");
        }
    }
}

async fn t01_an_alias_relaxes_no_rule_of_the_authorization_endpoint(app: &App) {
    let docs = RelyingParty::docs();
    let alias = |changed: &[(&'static str, &str)]| {
        docs.request(changed)
            .replace("/oauth/authorize", "/authorization")
    };
    for uri in [
        "https://docs.acme.test/oauth-callback/",
        "https://docs.acme.test/oauth-callback?x=1",
        "https://docs.acme.test/../oauth-callback",
        "https://docs.acme.test@evil.example/oauth-callback",
        "https://evil.example/oauth-callback",
        "https://DOCS.acme.test/oauth-callback",
        "//docs.acme.test/oauth-callback",
    ] {
        let page = Browser::new(app)
            .send(Method::GET, &alias(&[("redirect_uri", uri)]), &[], "")
            .await;
        assert_eq!(page.status, 400, "{uri}");
        assert_eq!(page.header("location"), "");
        no_tokens(&page);
    }
    for (name, value, error) in [
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("scope", "docs-user-info openid", "invalid_scope"),
        ("response_type", "token", "unsupported_response_type"),
    ] {
        let page = Browser::new(app)
            .send(Method::GET, &alias(&[(name, value)]), &[], "")
            .await;
        assert_eq!(page.answer()["error"], error, "{name}");
    }
    let page = post(app, "/exchange", &[], "grant_type=password&client_id=docs").await;
    assert_eq!(text(&page.json(), "error"), "unsupported_grant_type");
}

async fn seed_000_an_alias_that_shadows_a_path_of_ours_is_refused(app: &App) {
    for path in [
        "/oauth/authorize",
        "/oauth/token",
        "/oauth/x",
        "/sign-in",
        "/.well-known/jwks.json",
        "/t/globex/oauth/token",
        "/api/v1/users",
        "/docs/user-info",
        "/healthz",
        "/",
        "x",
        "/x/../oauth",
        "/authorization",
    ] {
        let action = json!({"action": "tenant_update", "tenant": "default", "set": { "endpoint_aliases": { "token": path } }});
        let refusal = app.server.perform(action).await.unwrap_err();
        assert!(
            refusal.contains("tenant.endpoint_aliases.")
                || refusal.contains("endpoint_aliases.token"),
            "{path}: {refusal}"
        );
    }
    // One goes, another comes; both at once.
    let set = json!({ "token": null, "userinfo": "/exchange" });
    let action =
        json!({"action": "tenant_update", "tenant": "default", "set": { "endpoint_aliases": set }});
    app.server.perform(action).await.unwrap();
    let page = get(app, "/exchange").await;
    assert_eq!(page.status, 401);
    assert_eq!(get(app, "/me").await.status, 404);
}

/// The address that a docs host is given: everything in it, no hint.
const SIGN_OUT: &str =
    "/oauth/logout?client_id=docs&post_logout_redirect_uri=https%3A%2F%2Fdocs.acme.test%2F";

async fn seed_000_rl_04_a_sign_out_address_made_beforehand_asks_and_returns(app: &App) {
    for address in [
        SIGN_OUT.to_owned(),
        SIGN_OUT.replace("/oauth/logout", "/bye"),
    ] {
        let docs = RelyingParty::docs();
        let mut browser = Browser::new(app);
        browser.authorize(&docs.request(&[]), "ada").await;
        let page = browser.visit(&address).await;
        assert!(page.body.contains("logout-confirm"), "{}", page.body);
        let page = browser.submit(&page, &[]).await;
        assert_eq!(page.header("location"), "https://docs.acme.test/");
        // The person is signed out, not only of the docs.
        let page = browser.visit(&docs.request(&[("prompt", "none")])).await;
        assert_eq!(page.answer()["error"], "login_required");
        // Somebody who is not signed in is sent on, or told so: never an error.
        let page = Browser::new(app).visit(&address).await;
        assert!(
            page.status == 200 || page.header("location") == "https://docs.acme.test/",
            "{} {}",
            page.status,
            page.body
        );
    }
}

async fn t02_a_sign_out_address_leads_to_a_registered_place_only(app: &App) {
    for uri in [
        "https://evil.example/",
        "https://docs.acme.test",
        "https://docs.acme.test//",
        "https://docs.acme.test/?x",
        "https://docs.acme.test/#x",
        "https://docs.acme.test@evil.example/",
        "https://web.acme.test/bye",
        "//docs.acme.test/",
        "javascript:alert(1)",
    ] {
        let mut browser = Browser::new(app);
        browser
            .authorize(&RelyingParty::docs().request(&[]), "ada")
            .await;
        let uri: String = url::form_urlencoded::byte_serialize(uri.as_bytes()).collect();
        let page = browser
            .visit(&format!(
                "/bye?client_id=docs&post_logout_redirect_uri={uri}"
            ))
            .await;
        assert_eq!(
            (page.status.as_u16(), page.header("location")),
            (200, ""),
            "{uri}"
        );
        // The person can still sign out; then they stay here.
        let page = browser.submit(&page, &[]).await;
        assert_eq!(
            (page.status.as_u16(), page.header("location")),
            (200, ""),
            "{uri}"
        );
    }
}
