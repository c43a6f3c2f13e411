//! `/oauth/introspect` and `/oauth/token_info`.

use super::checks::{inactive, names, post, refused, text};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::installation::BASE;
use crate::support::relying_party::{RelyingParty, decode};
use http::Method;
use serde_json::{Value, json};

on_both_engines! {
    in_01_the_caller_proves_itself_or_holds_a_token,
    in_02_whatever_is_not_active_reads_exactly_the_same,
    in_03_a_token_is_active_only_while_everything_behind_it_stands,
    in_04_t21_a_caller_sees_only_what_is_meant_for_it,
    in_05_refresh_tokens_codes_and_id_tokens_are_not_introspectable,
    in_06_post_only_and_nothing_is_kept,
    in_03_an_active_answer_says_what_the_token_says,
    in_02_a_wrong_hint_changes_nothing,
    seed_002_in_02_a_token_without_the_scope_that_is_asked_about_is_inactive,
}

async fn ask(app: &App, caller: &RelyingParty, token: &str) -> Page {
    let page = caller.introspect(app, token).await;
    assert_eq!(
        (
            page.status.as_u16(),
            page.header("content-type"),
            page.header("cache-control")
        ),
        (200, "application/json", "no-store"),
        "{}",
        page.body
    );
    page
}

async fn for_api(app: &App, scope: &'static str) -> Value {
    let web = RelyingParty {
        scope,
        ..RelyingParty::web()
    };
    let url = format!("{}&resource=https://api.acme.test/", web.request(&[]));
    let page = Browser::new(app).authorize(&url, "ada").await;
    web.exchange(app, &page.answer()["code"]).await.json()
}

async fn in_01_the_caller_proves_itself_or_holds_a_token(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    let token = text(&tokens, "access_token");
    let body = format!("token={token}");
    for path in ["/oauth/introspect", "/oauth/token_info"] {
        refused(&post(app, path, &[], &body).await, 401, "invalid_client");
        for client in [
            RelyingParty {
                secret: "wrong".to_owned(),
                ..web.clone()
            },
            RelyingParty {
                client_id: "nobody",
                ..web.clone()
            },
            RelyingParty {
                auth: crate::support::relying_party::Auth::Post,
                ..web.clone()
            },
            RelyingParty::spa(),
            RelyingParty::native(),
        ] {
            let page = client.post(app, path, &[("token", token)]).await;
            refused(&page, 401, "invalid_client");
        }
        assert_eq!(app.last_detail(), "a public client may not introspect");
        for bearer in [
            "x",
            text(&tokens, "id_token"),
            text(&tokens, "refresh_token"),
        ] {
            refused(
                &post(
                    app,
                    path,
                    &[("authorization", &format!("Bearer {bearer}"))],
                    &body,
                )
                .await,
                401,
                "invalid_token",
            );
        }
        assert_eq!(
            web.post(app, path, &[("token", token)]).await.json()["active"],
            true
        );
        let page = post(
            app,
            path,
            &[("authorization", &format!("Bearer {token}"))],
            &body,
        )
        .await;
        assert_eq!(page.json()["active"], true, "{}", page.body);
        refused(&web.post(app, path, &[]).await, 400, "invalid_request");
        refused(
            &web.post(app, path, &[("token", "")]).await,
            400,
            "invalid_request",
        );
    }
    // A token that is over opens nothing.
    web.revoke(app, token).await;
    refused(
        &post(
            app,
            "/oauth/introspect",
            &[("authorization", &format!("Bearer {token}"))],
            &body,
        )
        .await,
        401,
        "invalid_token",
    );
    assert_eq!(app.last_detail(), "revoked");
}

async fn in_02_whatever_is_not_active_reads_exactly_the_same(app: &App) {
    let (web, gateway) = (RelyingParty::web(), RelyingParty::machine("gateway"));
    let own = web.tokens(app, "ada").await;
    let foreign = RelyingParty::globex().tokens(app, "ada").await;
    let long = "x".repeat(8000);
    for token in [
        "x",
        "oat_x",
        "a.b.c",
        "eyJhbGciOiJub25lIn0.e30.",
        "null",
        "' OR 1=1 --",
        &long,
        text(&own, "access_token"),
        text(&foreign, "access_token"),
        "\u{202e}",
        "oat_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        inactive(&gateway.introspect(app, token).await);
    }
    inactive(&web.introspect(app, text(&foreign, "access_token")).await);
    app.server.advance(600);
    inactive(&web.introspect(app, text(&own, "access_token")).await);
}

async fn in_03_a_token_is_active_only_while_everything_behind_it_stands(app: &App) {
    let auditor = RelyingParty::machine("auditor");
    for client in [RelyingParty::web(), RelyingParty::opaque()] {
        // Its lifetime.
        let tokens = client.tokens(app, "ada").await;
        app.server.advance(599);
        assert_eq!(
            ask(app, &auditor, text(&tokens, "access_token"))
                .await
                .json()["active"],
            true
        );
        app.server.advance(1);
        inactive(&auditor.introspect(app, text(&tokens, "access_token")).await);
        // Its revocation.
        let tokens = client.tokens(app, "ada").await;
        client.revoke(app, text(&tokens, "access_token")).await;
        inactive(&auditor.introspect(app, text(&tokens, "access_token")).await);
        // Its family.
        let tokens = client.tokens(app, "ada").await;
        client.revoke(app, text(&tokens, "refresh_token")).await;
        inactive(&auditor.introspect(app, text(&tokens, "access_token")).await);
        // Its person.
        let tokens = client.tokens(app, "bob").await;
        app.user("disable", "bob").await;
        inactive(&auditor.introspect(app, text(&tokens, "access_token")).await);
        app.user("enable", "bob").await;
        // Its client.
        let tokens = client.tokens(app, "bob").await;
        assert_eq!(
            ask(app, &auditor, text(&tokens, "access_token"))
                .await
                .json()["active"],
            true
        );
        app.server.perform(json!({"action": "client_remove", "tenant": "default", "client_id": client.client_id})).await.unwrap();
        inactive(&auditor.introspect(app, text(&tokens, "access_token")).await);
    }
}

async fn in_04_t21_a_caller_sees_only_what_is_meant_for_it(app: &App) {
    let (web, gateway, machine, auditor) = (
        RelyingParty::web(),
        RelyingParty::machine("gateway"),
        RelyingParty::machine("machine"),
        RelyingParty::machine("auditor"),
    );
    let own = web.tokens(app, "ada").await;
    let api = for_api(app, "reports.read").await;
    let both = for_api(app, "openid reports.read").await;
    let alone = machine.for_itself(app).await.json();
    let opaque = RelyingParty::opaque().tokens(app, "ada").await;
    // Rows: tokens. Columns: web, gateway (a resource server of the API), machine, auditor (sees the tenant's), opaque.
    for (token, expected) in [
        (&own, [true, false, false, true, false]),
        (&api, [true, true, false, true, false]),
        (&both, [true, true, false, true, false]),
        (&alone, [false, false, true, true, false]),
        (&opaque, [false, false, false, true, true]),
    ] {
        for (caller, active) in [&web, &gateway, &machine, &auditor, &RelyingParty::opaque()]
            .into_iter()
            .zip(expected)
        {
            let page = ask(app, caller, text(token, "access_token")).await;
            assert_eq!(page.json()["active"], active, "{}", caller.client_id);
            if !active {
                inactive(&page);
            }
        }
    }
    // Who asks by a token sees what the token's client sees.
    let bearer = format!("Bearer {}", text(&opaque, "access_token"));
    let page = post(
        app,
        "/oauth/token_info",
        &[("authorization", &bearer)],
        &format!("token={}", text(&own, "access_token")),
    )
    .await;
    inactive(&page);
}

async fn in_05_refresh_tokens_codes_and_id_tokens_are_not_introspectable(app: &App) {
    let auditor = RelyingParty::machine("auditor");
    for client in [RelyingParty::web(), RelyingParty::opaque()] {
        let tokens = client.tokens(app, "ada").await;
        let code = client.code(app, "ada").await;
        for token in [
            text(&tokens, "refresh_token"),
            text(&tokens, "id_token"),
            &code,
        ] {
            for caller in [&client, &auditor, &RelyingParty::machine("gateway")] {
                inactive(&caller.introspect(app, token).await);
            }
        }
    }
}

async fn in_06_post_only_and_nothing_is_kept(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    for path in ["/oauth/introspect", "/oauth/token_info"] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::OPTIONS] {
            let page = Browser::new(app)
                .send(
                    method,
                    path,
                    &[
                        ("authorization", &web.basic()),
                        ("accept", "application/json"),
                    ],
                    "",
                )
                .await;
            refused(&page, 405, "invalid_request");
            assert_eq!(page.header("allow"), "POST");
        }
        let page = Browser::new(app)
            .send(
                Method::GET,
                &format!("{path}?token={}", text(&tokens, "access_token")),
                &[("authorization", &web.basic())],
                "",
            )
            .await;
        assert_eq!(page.status, 405);
        let page = Browser::new(app)
            .send(
                Method::POST,
                path,
                &[
                    ("authorization", &web.basic()),
                    ("content-type", "application/json"),
                ],
                "{\"token\":\"x\"}",
            )
            .await;
        refused(&page, 400, "invalid_request");
    }
}

async fn in_03_an_active_answer_says_what_the_token_says(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    let (_, claims) = decode(text(&tokens, "access_token"));
    let answer = ask(app, &web, text(&tokens, "access_token")).await.json();
    assert_eq!(
        names(&answer),
        [
            "active",
            "scope",
            "client_id",
            "username",
            "token_type",
            "exp",
            "iat",
            "sub",
            "aud",
            "iss",
            "jti"
        ]
        .into()
    );
    for name in [
        "scope",
        "client_id",
        "exp",
        "iat",
        "sub",
        "aud",
        "iss",
        "jti",
    ] {
        assert_eq!(answer[name], claims[name], "{name}");
    }
    assert_eq!(
        (
            text(&answer, "username"),
            text(&answer, "token_type"),
            text(&answer, "iss")
        ),
        ("ada", "Bearer", BASE)
    );
    let alone = RelyingParty::machine("machine")
        .for_itself(app)
        .await
        .json();
    let answer = ask(
        app,
        &RelyingParty::machine("machine"),
        text(&alone, "access_token"),
    )
    .await
    .json();
    assert_eq!(
        (text(&answer, "sub"), answer.get("username")),
        ("machine", None)
    );
}

async fn in_02_a_wrong_hint_changes_nothing(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    for hint in [
        "refresh_token",
        "access_token",
        "id_token",
        "nonsense",
        "\"\u{202e}",
        "",
    ] {
        let page = web
            .post(
                app,
                "/oauth/introspect",
                &[
                    ("token", text(&tokens, "access_token")),
                    ("token_type_hint", hint),
                ],
            )
            .await;
        assert_eq!(page.json()["active"], true, "{hint}");
        let page = web
            .post(
                app,
                "/oauth/introspect",
                &[
                    ("token", text(&tokens, "refresh_token")),
                    ("token_type_hint", hint),
                ],
            )
            .await;
        inactive(&page);
    }
}

async fn seed_002_in_02_a_token_without_the_scope_that_is_asked_about_is_inactive(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    let token = text(&tokens, "access_token");
    for path in ["/oauth/introspect", "/oauth/token_info"] {
        for (scope, active) in [
            ("", true),
            ("openid", true),
            ("email openid", true),
            (web.scope, true),
            ("reports.read", false),
            ("openid reports.read", false),
            ("Openid", false),
            ("openid  email", false),
            ("\"", false),
        ] {
            let page = web
                .post(app, path, &[("token", token), ("scope", scope)])
                .await;
            if active {
                assert_eq!(page.json()["scope"], web.scope, "{scope}");
            } else {
                inactive(&page);
            }
        }
        let fields = [("token", token), ("scope", "openid"), ("scope", "openid")];
        refused(&web.post(app, path, &fields).await, 400, "invalid_request");
    }
}
