//! `/oauth/revoke` and `/oauth/token/revoke`.

use super::checks::{accepted, grant_refused, inactive, is_over, post, refused, text};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::{Browser, Page};
use crate::support::relying_party::{Auth, RelyingParty};
use http::Method;

on_both_engines! {
    rv_01_post_only_and_the_caller_proves_itself,
    rv_01_a_foreign_token_is_not_touched,
    rv_02_unknown_tokens_are_revoked_already_and_hints_are_only_hints,
    rv_02_what_is_no_access_or_refresh_token_is_an_unsupported_type,
    rv_03_a_refresh_token_takes_its_access_tokens_along,
    rv_03_an_access_token_ends_at_once_and_alone,
    rv_04_t22_a_storage_failure_is_503_and_the_token_lives,
    rv_05_scripts_of_the_client_may_call_and_there_is_no_jsonp,
    t26_a_token_that_is_cut_revokes_nothing,
}

#[track_caller]
fn done(page: &Page) {
    assert_eq!(
        (
            page.status.as_u16(),
            page.body.as_str(),
            page.header("cache-control")
        ),
        (200, "", "no-store")
    );
}

async fn rv_01_post_only_and_the_caller_proves_itself(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    let token = text(&tokens, "access_token");
    for path in [
        "/oauth/revoke",
        "/oauth/token/revoke",
        "/api/id/v1/auth/revoke",
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
            let page = Browser::new(app)
                .send(method, path, &[("authorization", &web.basic())], "")
                .await;
            refused(&page, 405, "invalid_request");
            assert_eq!(page.header("allow"), "POST");
        }
        refused(
            &post(app, path, &[], &format!("token={token}")).await,
            401,
            "invalid_client",
        );
        for wrong in [
            RelyingParty {
                secret: "wrong".to_owned(),
                ..web.clone()
            },
            RelyingParty {
                auth: Auth::None,
                ..web.clone()
            },
            RelyingParty {
                auth: Auth::Post,
                ..web.clone()
            },
            RelyingParty {
                client_id: "nobody",
                ..web.clone()
            },
        ] {
            refused(
                &wrong.post(app, path, &[("token", token)]).await,
                401,
                "invalid_client",
            );
        }
        refused(&web.post(app, path, &[]).await, 400, "invalid_request");
        refused(
            &post(
                app,
                path,
                &[("authorization", &format!("Bearer {token}"))],
                &format!("token={token}"),
            )
            .await,
            401,
            "invalid_client",
        );
    }
    accepted(&web.userinfo(app, token).await);
}

async fn rv_01_a_foreign_token_is_not_touched(app: &App) {
    for owner in [
        RelyingParty::web(),
        RelyingParty::spa(),
        RelyingParty::opaque(),
    ] {
        let tokens = owner.tokens(app, "ada").await;
        for thief in [
            RelyingParty::web_post(),
            RelyingParty::native(),
            RelyingParty::machine("auditor"),
            RelyingParty::machine("gateway"),
        ] {
            done(&thief.revoke(app, text(&tokens, "access_token")).await);
            done(&thief.revoke(app, text(&tokens, "refresh_token")).await);
        }
        accepted(&owner.userinfo(app, text(&tokens, "access_token")).await);
        accepted(&owner.refresh(app, text(&tokens, "refresh_token")).await);
    }
}

async fn rv_02_unknown_tokens_are_revoked_already_and_hints_are_only_hints(app: &App) {
    let web = RelyingParty::web();
    for token in [
        "x",
        "oat_x",
        "ort_x",
        "a.b.c",
        "ort_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "\u{202e}",
        "' OR 1=1 --",
    ] {
        done(&web.revoke(app, token).await);
    }
    let tokens = web.tokens(app, "ada").await;
    app.server.advance(601);
    done(&web.revoke(app, text(&tokens, "access_token")).await);
    for (token, hint) in [
        ("access_token", "refresh_token"),
        ("refresh_token", "access_token"),
        ("access_token", "nonsense"),
        ("refresh_token", "id_token"),
        ("access_token", ""),
    ] {
        let tokens = web.tokens(app, "ada").await;
        let page = web
            .post(
                app,
                "/oauth/revoke",
                &[("token", text(&tokens, token)), ("token_type_hint", hint)],
            )
            .await;
        done(&page);
        is_over(&web.userinfo(app, text(&tokens, "access_token")).await);
        // Twice is once.
        done(&web.revoke(app, text(&tokens, token)).await);
    }
}

async fn rv_02_what_is_no_access_or_refresh_token_is_an_unsupported_type(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    let page = web.revoke(app, text(&tokens, "id_token")).await;
    refused(&page, 400, "unsupported_token_type");
    let code = web.code(app, "ada").await;
    refused(&web.revoke(app, &code).await, 400, "unsupported_token_type");
    accepted(&web.exchange(app, &code).await);
    accepted(&web.userinfo(app, text(&tokens, "access_token")).await);
}

async fn rv_03_a_refresh_token_takes_its_access_tokens_along(app: &App) {
    for client in [
        RelyingParty::web(),
        RelyingParty::spa(),
        RelyingParty::opaque(),
        RelyingParty::web_post(),
    ] {
        let first = client.tokens(app, "ada").await;
        let others = client.tokens(app, "ada").await;
        let second = client
            .refresh(app, text(&first, "refresh_token"))
            .await
            .json();
        let last = second
            .get("refresh_token")
            .and_then(|token| token.as_str())
            .unwrap_or(text(&first, "refresh_token"));
        done(&client.revoke(app, last).await);
        for tokens in [&first, &second] {
            is_over(&client.userinfo(app, text(tokens, "access_token")).await);
            assert_eq!(app.last_detail(), "its family has ended");
            inactive(
                &RelyingParty::machine("auditor")
                    .introspect(app, text(tokens, "access_token"))
                    .await,
            );
        }
        grant_refused(&client.refresh(app, last).await);
        accepted(&client.userinfo(app, text(&others, "access_token")).await);
    }
}

async fn rv_03_an_access_token_ends_at_once_and_alone(app: &App) {
    for client in [
        RelyingParty::web(),
        RelyingParty::opaque(),
        RelyingParty::spa(),
    ] {
        let tokens = client.tokens(app, "ada").await;
        // What was verified before is not remembered as good.
        accepted(&client.userinfo(app, text(&tokens, "access_token")).await);
        done(&client.revoke(app, text(&tokens, "access_token")).await);
        is_over(&client.userinfo(app, text(&tokens, "access_token")).await);
        let next = client
            .refresh(app, text(&tokens, "refresh_token"))
            .await
            .json();
        accepted(&client.userinfo(app, text(&next, "access_token")).await);
    }
    let machine = RelyingParty::machine("machine");
    let token = machine.for_itself(app).await.json();
    done(&machine.revoke(app, text(&token, "access_token")).await);
    inactive(&machine.introspect(app, text(&token, "access_token")).await);
}

async fn rv_04_t22_a_storage_failure_is_503_and_the_token_lives(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    // Only a database server can be taken away from under a running process.
    if !app.without_database().await {
        return;
    }
    app.expect_errors();
    for (path, fields) in [
        (
            "/oauth/revoke",
            [("token", text(&tokens, "refresh_token")), ("x", "")],
        ),
        (
            "/oauth/revoke",
            [("token", text(&tokens, "access_token")), ("x", "")],
        ),
        (
            "/oauth/introspect",
            [("token", text(&tokens, "access_token")), ("x", "")],
        ),
        (
            "/oauth/token",
            [
                ("grant_type", "refresh_token"),
                ("refresh_token", text(&tokens, "refresh_token")),
            ],
        ),
    ] {
        let page = web.post(app, path, &fields).await;
        assert_eq!(page.status, 503, "{path} {}", page.body);
        assert_eq!(page.json()["error"], "temporarily_unavailable");
        assert!(page.header("retry-after").parse::<u32>().unwrap() >= 1);
        assert_eq!(page.header("cache-control"), "no-store");
    }
    assert_eq!(
        web.userinfo(app, text(&tokens, "access_token"))
            .await
            .status,
        503
    );
    app.with_database().await;
    accepted(&web.userinfo(app, text(&tokens, "access_token")).await);
    accepted(&web.refresh(app, text(&tokens, "refresh_token")).await);
    done(&web.revoke(app, text(&tokens, "refresh_token")).await);
    assert_eq!(
        web.userinfo(app, text(&tokens, "access_token"))
            .await
            .status,
        401
    );
}

async fn rv_05_scripts_of_the_client_may_call_and_there_is_no_jsonp(app: &App) {
    let spa = RelyingParty::spa();
    let tokens = spa.tokens(app, "ada").await;
    let page = spa
        .post_with(
            app,
            "/oauth/revoke?callback=alert",
            &[("token", text(&tokens, "access_token"))],
            &[("origin", "https://spa.acme.test")],
        )
        .await;
    done(&page);
    assert_eq!(
        page.header("access-control-allow-origin"),
        "https://spa.acme.test"
    );
    assert!(page.header("access-control-allow-credentials").is_empty());
    let page = spa
        .post_with(
            app,
            "/oauth/revoke",
            &[("token", text(&tokens, "access_token"))],
            &[("origin", "https://evil.example")],
        )
        .await;
    assert_eq!(page.header("access-control-allow-origin"), "");
    let page = Browser::new(app)
        .get(&format!(
            "/oauth/revoke?token={}&callback=alert",
            text(&tokens, "access_token")
        ))
        .await;
    refused(&page, 405, "invalid_request");
    assert!(!page.body.contains("alert"));
}

async fn t26_a_token_that_is_cut_revokes_nothing(app: &App) {
    for client in [RelyingParty::spa(), RelyingParty::opaque()] {
        let tokens = client.tokens(app, "ada").await;
        for name in ["access_token", "refresh_token"] {
            let token = text(&tokens, name);
            let mut guessed = token.to_owned().into_bytes();
            let place = guessed.len() - 6;
            guessed[place] = if guessed[place] == b'A' { b'B' } else { b'A' };
            for odd in [
                &token[..token.len() - 1],
                &format!("{token}A"),
                &token[4..],
                &String::from_utf8(guessed).unwrap(),
            ] {
                done(&client.revoke(app, odd).await);
            }
        }
        accepted(&client.userinfo(app, text(&tokens, "access_token")).await);
        accepted(&client.refresh(app, text(&tokens, "refresh_token")).await);
    }
}
