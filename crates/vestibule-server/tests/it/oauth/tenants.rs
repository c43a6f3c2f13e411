//! Tenants beside one another, domains, and hosts that we were never told of.

use super::checks::{
    accepted, get, grant_refused, inactive, is_over, post, refused, shown, text, verified,
};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::Browser;
use crate::support::installation::{BASE, SECRET};
use crate::support::relying_party::{RelyingParty, decode};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

on_both_engines! {
    t62_bcp_14_each_tenant_has_an_issuer_keys_and_people_of_its_own,
    t62_tokens_of_one_tenant_are_nothing_in_another,
    t62_codes_and_refresh_tokens_of_one_tenant_are_nothing_in_another,
    t62_clients_and_secrets_of_one_tenant_are_nothing_in_another,
    t62_a_session_or_a_dialogue_of_one_tenant_is_nothing_in_another,
    t62_a_hint_of_one_tenant_is_nothing_in_another,
    md_02_t38_an_alias_serves_the_same_issuer,
    seed_002_a_satellite_has_no_oauth_endpoint_of_its_own,
    t38_an_unknown_host_or_tenant_is_refused,
    t30_a_removed_tenant_is_gone_with_all_that_was_its,
}

async fn keys(app: &App, base: &str) -> BTreeSet<String> {
    let keys = get(app, &format!("{base}/.well-known/jwks.json"))
        .await
        .json();
    keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| text(key, "kid").to_owned())
        .collect()
}

async fn both(app: &App) -> (Value, Value) {
    (
        RelyingParty::web().tokens(app, "ada").await,
        RelyingParty::globex().tokens(app, "ada").await,
    )
}

async fn t62_bcp_14_each_tenant_has_an_issuer_keys_and_people_of_its_own(app: &App) {
    let (web, globex) = (RelyingParty::web(), RelyingParty::globex());
    let mut browser = Browser::new(app);
    let page = browser.authorize(&globex.request(&[]), "ada").await;
    assert_eq!(page.answer()["iss"], format!("{BASE}/t/globex"));
    assert!(
        page.header("location")
            .starts_with("https://web.globex.test/cb?code=")
    );
    let theirs = globex.exchange(app, &page.answer()["code"]).await.json();
    let ours = web.tokens(app, "ada").await;
    let (one, two) = (
        verified(app, BASE, text(&ours, "id_token"), "web").await,
        verified(app, &globex.base, text(&theirs, "id_token"), "web").await,
    );
    assert_ne!(one["sub"], two["sub"]);
    assert_eq!(
        (text(&one, "iss"), text(&two, "iss")),
        (BASE, "http://127.0.0.1:8080/t/globex")
    );
    assert!(
        keys(app, "")
            .await
            .is_disjoint(&keys(app, "/t/globex").await)
    );
    assert_eq!(
        globex
            .userinfo(app, text(&theirs, "access_token"))
            .await
            .json()["email"],
        "ada@globex.test"
    );
}

async fn t62_tokens_of_one_tenant_are_nothing_in_another(app: &App) {
    let (web, globex) = (RelyingParty::web(), RelyingParty::globex());
    let (ours, theirs) = both(app).await;
    let opaque = RelyingParty::opaque().tokens(app, "ada").await;
    for (place, foreign) in [(&globex, &ours), (&globex, &opaque), (&web, &theirs)] {
        let token = text(foreign, "access_token");
        is_over(&place.userinfo(app, token).await);
        assert_eq!(app.last_detail(), "not an access token of this issuer");
        inactive(&place.introspect(app, token).await);
        accepted(&place.revoke(app, token).await);
        accepted(&place.revoke(app, text(foreign, "refresh_token")).await);
        let bearer = format!("Bearer {token}");
        refused(
            &post(
                app,
                &format!("{}/oauth/introspect", place.base),
                &[("authorization", &bearer)],
                "token=x",
            )
            .await,
            401,
            "invalid_token",
        );
    }
    accepted(&web.userinfo(app, text(&ours, "access_token")).await);
    accepted(&globex.userinfo(app, text(&theirs, "access_token")).await);
    accepted(&web.refresh(app, text(&ours, "refresh_token")).await);
    inactive(
        &RelyingParty::machine("auditor")
            .introspect(app, text(&theirs, "access_token"))
            .await,
    );
}

async fn t62_codes_and_refresh_tokens_of_one_tenant_are_nothing_in_another(app: &App) {
    let (web, globex) = (RelyingParty::web(), RelyingParty::globex());
    let code = web.code(app, "ada").await;
    // The same client id is another client there.
    grant_refused(&globex.exchange(app, &code).await);
    assert_eq!(app.last_detail(), "no such code");
    let tokens = web.exchange(app, &code).await.json();
    // A foreign replay ends nothing.
    grant_refused(&globex.exchange(app, &code).await);
    grant_refused(&globex.refresh(app, text(&tokens, "refresh_token")).await);
    assert_eq!(app.last_detail(), "no such refresh token");
    accepted(&web.userinfo(app, text(&tokens, "access_token")).await);
    accepted(&web.refresh(app, text(&tokens, "refresh_token")).await);
}

async fn t62_clients_and_secrets_of_one_tenant_are_nothing_in_another(app: &App) {
    let globex = RelyingParty::globex();
    let fields = [("grant_type", "client_credentials")];
    refused(
        &RelyingParty {
            secret: SECRET.to_owned(),
            ..globex.clone()
        }
        .post(app, "/oauth/token", &fields)
        .await,
        401,
        "invalid_client",
    );
    refused(
        &RelyingParty {
            base: BASE.to_owned(),
            ..globex.clone()
        }
        .post(app, "/oauth/token", &fields)
        .await,
        401,
        "invalid_client",
    );
    for client in [
        RelyingParty::spa(),
        RelyingParty::machine("machine"),
        RelyingParty::opaque(),
    ] {
        let there = RelyingParty {
            base: globex.base.clone(),
            ..client
        };
        refused(
            &there
                .post(
                    app,
                    "/oauth/token",
                    &[("grant_type", "refresh_token"), ("refresh_token", "x")],
                )
                .await,
            401,
            "invalid_client",
        );
        shown(
            &Browser::new(app)
                .get(&there.request(&[("redirect_uri", "https://spa.acme.test/cb")]))
                .await,
            401,
        );
    }
    // The redirect URI of the other tenant's client of the same name.
    let page = Browser::new(app)
        .get(&globex.request(&[("redirect_uri", "https://web.acme.test/cb")]))
        .await;
    shown(&page, 400);
    let page = Browser::new(app)
        .get(&RelyingParty::web().request(&[("redirect_uri", "https://web.globex.test/cb")]))
        .await;
    shown(&page, 400);
    // A person of one cannot sign in at the other.
    let mut browser = Browser::new(app);
    let page = browser.visit(&globex.request(&[])).await;
    let page = browser.sign_in(&page, "bob").await;
    assert_eq!(page.status, 422);
    // Guessing at one does not slow the other down.
    for _ in 0..30 {
        RelyingParty {
            secret: "guess".to_owned(),
            ..globex.clone()
        }
        .post(app, "/oauth/token", &fields)
        .await;
    }
    assert_eq!(globex.post(app, "/oauth/token", &fields).await.status, 429);
    accepted(&RelyingParty::web().post(app, "/oauth/token", &fields).await);
}

async fn t62_a_session_or_a_dialogue_of_one_tenant_is_nothing_in_another(app: &App) {
    let (first, globex) = (RelyingParty::first_party(), RelyingParty::globex());
    let mut browser = Browser::new(app);
    browser.authorize(&first.request(&[]), "ada").await;
    let page = browser.get(&globex.request(&[("prompt", "none")])).await;
    assert_eq!(page.answer()["error"], "login_required");
    assert_eq!(page.answer()["iss"], globex.base);
    // The cookie under the other tenant's name.
    for kind in ["session", "browser"] {
        let value = browser.cookies[&format!("vestibule-{kind}-default")].clone();
        browser
            .cookies
            .insert(format!("vestibule-{kind}-globex"), value);
    }
    let page = browser.get(&globex.request(&[("prompt", "none")])).await;
    assert_eq!(page.answer()["error"], "login_required");
    // A dialogue begun here does not go on there, though the browser is the same.
    let page = browser.get(&RelyingParty::web().request(&[])).await;
    let sealed = page
        .header("location")
        .split_once('=')
        .unwrap()
        .1
        .to_owned();
    for path in [
        "/t/globex/oauth/authorize/",
        "/t/globex/sign-in?request=",
        "/t/globex/consent?request=",
    ] {
        let page = browser.get(&format!("{path}{sealed}")).await;
        shown(&page, 400);
    }
}

async fn t62_a_hint_of_one_tenant_is_nothing_in_another(app: &App) {
    let (web, globex) = (RelyingParty::web(), RelyingParty::globex());
    let mut browser = Browser::new(app);
    let page = browser.authorize(&globex.request(&[]), "ada").await;
    accepted(&globex.exchange(app, &page.answer()["code"]).await);
    let ours = web.tokens(app, "ada").await;
    let hint = text(&ours, "id_token");
    let page = browser
        .get(&globex.request(&[("id_token_hint", hint), ("prompt", "none")]))
        .await;
    assert_eq!(page.answer()["error"], "invalid_request");
    let page = browser
        .get(&format!(
            "{}/oauth/logout?id_token_hint={hint}",
            globex.base
        ))
        .await;
    assert_eq!(page.status, 200);
    let page = browser.get(&globex.request(&[("prompt", "none")])).await;
    assert!(
        page.answer().contains_key("code"),
        "somebody else's hint signed the person out"
    );
}

async fn md_02_t38_an_alias_serves_the_same_issuer(app: &App) {
    let mut browser = Browser::new(app);
    "login.acme.test".clone_into(&mut browser.host);
    let page = browser.get("/.well-known/openid-configuration").await;
    assert_eq!(text(&page.json(), "issuer"), BASE);
    assert_eq!(
        page.body,
        get(app, "/.well-known/openid-configuration").await.body
    );
    let web = RelyingParty::web();
    let page = browser.authorize(&web.request(&[]), "ada").await;
    assert_eq!(page.answer()["iss"], BASE);
    let tokens = web.exchange(app, &page.answer()["code"]).await.json();
    verified(app, BASE, text(&tokens, "id_token"), "web").await;
    // A domain of one tenant is no way to another.
    let page = browser
        .get("/t/globex/.well-known/openid-configuration")
        .await;
    assert_eq!(page.status, 404);
    for host in ["LOGIN.acme.test", "login.acme.test"] {
        host.clone_into(&mut browser.host);
        assert_eq!(
            browser.get("/.well-known/jwks.json").await.status,
            200,
            "{host}"
        );
    }
}

async fn seed_002_a_satellite_has_no_oauth_endpoint_of_its_own(app: &App) {
    let mut browser = Browser::new(app);
    "app2.acme.test".clone_into(&mut browser.host);
    for (method, path) in [
        (Method::GET, "/oauth/authorize"),
        (Method::POST, "/oauth/authorize"),
        (Method::GET, "/oauth/authorize/ux"),
        (Method::POST, "/oauth/token"),
        (Method::GET, "/oauth/userinfo"),
        (Method::POST, "/oauth/userinfo"),
        (Method::POST, "/oauth/introspect"),
        (Method::POST, "/oauth/token_info"),
        (Method::POST, "/oauth/revoke"),
        (Method::POST, "/oauth/token/revoke"),
        (Method::GET, "/oauth/logout"),
        (Method::POST, "/oauth/logout"),
        (Method::GET, "/.well-known/openid-configuration"),
        (Method::GET, "/.well-known/oauth-authorization-server"),
        (Method::GET, "/.well-known/jwks.json"),
        (Method::GET, "/api/id/v1/auth/authorize"),
        (Method::POST, "/api/id/v1/auth/token"),
        (Method::GET, "/api/id/v1/auth/userinfo"),
        (Method::POST, "/api/id/v1/auth/userinfo"),
        (Method::POST, "/api/id/v1/auth/revoke"),
        (Method::GET, "/api/id/v1/auth/logout"),
        (Method::POST, "/api/id/v1/auth/logout"),
    ] {
        // A browser and a program read the same.
        for accept in ["text/html", "application/json"] {
            let page = browser
                .send(method.clone(), path, &[("accept", accept)], "")
                .await;
            refused(&page, 403, "invalid_request");
            assert_eq!(
                page.json()["errors"][0]["code"],
                "operation_not_allowed_on_satellite_domain",
                "{path}"
            );
        }
    }
    // What is right elsewhere is not looked at: neither a good token nor a good request.
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    let bearer = format!("Bearer {}", text(&tokens, "access_token"));
    let headers = [("authorization", bearer.as_str())];
    for target in ["/oauth/userinfo", &web.request(&[])] {
        let page = browser.send(Method::GET, target, &headers, "").await;
        refused(&page, 403, "invalid_request");
    }
    for path in [
        "/",
        "/sign-in",
        "/sign-up",
        "/accounts",
        "/consent",
        "/sign-out",
        "/setup/x",
    ] {
        shown(&browser.get(path).await, 403);
    }
    for path in ["/sign-in", "/sign-up", "/accounts", "/consent", "/sign-out"] {
        shown(&browser.post(path, "csrf=x").await, 403);
    }
    assert!(browser.set_cookies.is_empty());
}

async fn t38_an_unknown_host_or_tenant_is_refused(app: &App) {
    for host in [
        "evil.example",
        "acme.test",
        "login.acme.test.evil.example",
        "login.acme.test:8081",
        "web.acme.test",
        "localhost",
        "[::1]:8080",
        "127.0.0.1:8080 evil",
    ] {
        let mut browser = Browser::new(app);
        host.clone_into(&mut browser.host);
        for path in [
            "/",
            "/oauth/authorize?client_id=web",
            "/.well-known/openid-configuration",
            "/t/globex/.well-known/openid-configuration",
        ] {
            let page = browser.get(path).await;
            assert_eq!(
                page.status,
                StatusCode::MISDIRECTED_REQUEST,
                "{host} {path}"
            );
            assert!(!page.body.contains("evil") && page.header("location").is_empty());
        }
    }
    let page = Browser::new(app)
        .send(Method::GET, "/", &[("host", "evil.example")], "")
        .await;
    assert_eq!(page.status, StatusCode::MISDIRECTED_REQUEST);
    for path in [
        "/t/nobody/",
        "/t/nobody/oauth/authorize",
        "/t/nobody/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/t/nobody",
        "/t/",
        "/t/Globex/sign-in",
        "/t/globex%2f/sign-in",
        "/t/' OR 1=1/sign-in".replace(' ', "%20").as_str(),
    ] {
        let page = Browser::new(app).get(path).await;
        shown(&page, 404);
    }
}

async fn t30_a_removed_tenant_is_gone_with_all_that_was_its(app: &App) {
    let globex = RelyingParty::globex();
    let tokens = globex.tokens(app, "ada").await;
    app.server
        .perform(json!({"action": "tenant_remove", "tenant": "globex"}))
        .await
        .unwrap();
    app.server.run_jobs().await.unwrap();
    assert_eq!(
        globex
            .userinfo(app, text(&tokens, "access_token"))
            .await
            .status,
        404
    );
    assert_eq!(
        globex
            .refresh(app, text(&tokens, "refresh_token"))
            .await
            .status,
        404
    );
    assert_eq!(
        get(app, "/t/globex/.well-known/openid-configuration")
            .await
            .status,
        404
    );
    is_over(
        &RelyingParty::web()
            .userinfo(app, text(&tokens, "access_token"))
            .await,
    );
    assert_eq!(decode(text(&tokens, "access_token")).1["iss"], globex.base);
}
