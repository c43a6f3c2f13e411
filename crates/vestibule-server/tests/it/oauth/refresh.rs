//! Refresh tokens at `/oauth/token`.

use super::checks::{
    accepted, grant_refused, inactive, is_over, no_grant, refused, text, together, verified,
};
use crate::support::app::{App, on_both_engines};
use crate::support::browser::Browser;
use crate::support::installation::{BASE, SECRET};
use crate::support::relying_party::{RelyingParty, decode};
use serde_json::{Value, json};
use std::collections::BTreeSet;

on_both_engines! {
    o21_25_a_refresh_token_is_its_clients_alone_and_a_foreigner_ends_nothing,
    o21_26_bcp_06_a_public_clients_refresh_token_rotates_however_it_is_configured,
    o21_26_bcp_18_t15_reuse_of_a_rotated_token_ends_the_family_for_both,
    o21_26_a_predecessor_is_tolerated_for_a_minute_while_its_successor_is_unused,
    o21_26_bcp_06_t15_fifty_refreshes_at_once_make_one_successor_and_no_second_family,
    o21_27_a_refresh_narrows_one_access_token_and_never_the_grant,
    o21_28_a_refresh_token_ends_when_it_is_idle,
    o21_28_sign_out_ends_what_is_not_offline_and_leaves_what_is,
    t15_a_session_whose_time_is_up_ends_what_is_not_offline,
    t15_a_code_ends_with_its_session,
    o21_28_t30_t31_a_disabled_person_a_new_password_or_a_removed_client_end_it,
    oc_27_a_refreshed_id_token_is_the_same_person_at_the_same_sign_in,
    t13_a_confidential_client_cannot_refresh_without_its_secret,
    t26_a_refresh_token_that_is_cut_or_spelled_otherwise_is_refused,
    t15_a_refresh_token_survives_a_restart_and_so_does_its_replay,
}

async fn o21_25_a_refresh_token_is_its_clients_alone_and_a_foreigner_ends_nothing(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    let token = text(&tokens, "refresh_token");
    for client in [
        RelyingParty::spa(),
        RelyingParty::native(),
        RelyingParty::opaque(),
        RelyingParty::web_post(),
    ] {
        no_grant(
            app,
            &client.refresh(app, token).await,
            "the refresh token was issued to another client",
        );
    }
    refused(
        &RelyingParty::machine("machine").refresh(app, token).await,
        400,
        "unauthorized_client",
    );
    accepted(&web.userinfo(app, text(&tokens, "access_token")).await);
    let page = web.refresh(app, token).await;
    assert_eq!(
        (page.status.as_u16(), page.header("cache-control")),
        (200, "no-store")
    );
    // A confidential client's token stays as it is.
    assert!(
        page.json()
            .get("refresh_token")
            .is_none_or(|same| same == token)
    );
    accepted(&web.refresh(app, token).await);
}

async fn o21_26_bcp_06_a_public_clients_refresh_token_rotates_however_it_is_configured(app: &App) {
    for client in [
        RelyingParty::spa(),
        RelyingParty::native(),
        RelyingParty::web_post(),
    ] {
        let mut last = client.tokens(app, "ada").await;
        for _ in 0..3 {
            let page = client.refresh(app, text(&last, "refresh_token")).await;
            assert_eq!(page.status, 200, "{}", page.body);
            let next = page.json();
            assert_ne!(text(&next, "refresh_token"), text(&last, "refresh_token"));
            assert_eq!(text(&next, "scope"), client.scope);
            assert_eq!(
                decode(text(&next, "access_token")).1["fid"],
                decode(text(&last, "access_token")).1["fid"]
            );
            last = next;
        }
    }
    let set = json!({"action": "client_update", "tenant": "default", "client_id": "spa", "set": {"policy": {"refresh_token_rotation": "never"}}});
    assert!(
        app.server
            .perform(set)
            .await
            .unwrap_err()
            .contains("rotate")
    );
}

async fn o21_26_bcp_18_t15_reuse_of_a_rotated_token_ends_the_family_for_both(app: &App) {
    for (client, late) in [
        (RelyingParty::spa(), 0),
        (RelyingParty::web_post(), 0),
        (RelyingParty::spa(), 61),
    ] {
        let first = client.tokens(app, "ada").await;
        let second = client
            .refresh(app, text(&first, "refresh_token"))
            .await
            .json();
        let mut newest = second.clone();
        if late == 0 {
            newest = client
                .refresh(app, text(&second, "refresh_token"))
                .await
                .json();
        }
        app.server.advance(late);
        accepted(&client.userinfo(app, text(&newest, "access_token")).await);
        no_grant(
            app,
            &client.refresh(app, text(&first, "refresh_token")).await,
            "a rotated refresh token was used again: its family ends",
        );
        for tokens in [&first, &second, &newest] {
            grant_refused(&client.refresh(app, text(tokens, "refresh_token")).await);
            is_over(&client.userinfo(app, text(tokens, "access_token")).await);
        }
        let auditor = RelyingParty::machine("auditor");
        inactive(&auditor.introspect(app, text(&newest, "access_token")).await);
    }
}

async fn o21_26_a_predecessor_is_tolerated_for_a_minute_while_its_successor_is_unused(app: &App) {
    let spa = RelyingParty::spa();
    let first = spa.tokens(app, "ada").await;
    let one = spa.refresh(app, text(&first, "refresh_token")).await.json();
    app.server.advance(60);
    let two = spa.refresh(app, text(&first, "refresh_token")).await.json();
    assert_eq!(text(&one, "refresh_token"), text(&two, "refresh_token"));
    assert_ne!(text(&one, "access_token"), text(&two, "access_token"));
    // Tolerated is not widened: another client gets nothing within the minute either.
    no_grant(
        app,
        &RelyingParty::native()
            .refresh(app, text(&first, "refresh_token"))
            .await,
        "the refresh token was issued to another client",
    );
    accepted(&spa.refresh(app, text(&two, "refresh_token")).await);
}

async fn o21_26_bcp_06_t15_fifty_refreshes_at_once_make_one_successor_and_no_second_family(
    app: &App,
) {
    for client in [
        RelyingParty::spa(),
        RelyingParty::web_post(),
        RelyingParty::opaque(),
        RelyingParty::web(),
    ] {
        let tokens = client.tokens(app, "ada").await;
        let pages = together(
            (0..50)
                .map(|_| client.refresh(app, text(&tokens, "refresh_token")))
                .collect(),
        )
        .await;
        let answers: Vec<Value> = pages
            .iter()
            .map(|page| {
                if page.status == 200 {
                    page.json()
                } else {
                    panic!("{} {}", page.status, page.body)
                }
            })
            .collect();
        let successors: BTreeSet<&str> = answers
            .iter()
            .filter_map(|answer| answer["refresh_token"].as_str())
            .collect();
        let families: BTreeSet<String> = answers
            .iter()
            .filter(|answer| text(answer, "access_token").starts_with("eyJ"))
            .map(|answer| decode(text(answer, "access_token")).1["fid"].to_string())
            .collect();
        assert!(
            successors.len() <= 1 && families.len() <= 1,
            "{successors:?} {families:?}"
        );
        let last = successors
            .first()
            .copied()
            .unwrap_or(text(&tokens, "refresh_token"));
        for answer in [&answers[0], &answers[49]] {
            accepted(&client.userinfo(app, text(answer, "access_token")).await);
        }
        accepted(&client.refresh(app, last).await);
        if client.client_id == "spa" {
            grant_refused(&client.refresh(app, text(&tokens, "refresh_token")).await);
        }
    }
}

async fn o21_27_a_refresh_narrows_one_access_token_and_never_the_grant(app: &App) {
    let spa = RelyingParty::spa();
    let tokens = spa.tokens(app, "ada").await;
    let refresh = |token: String, scope: &'static str| {
        let spa = spa.clone();
        async move {
            spa.post(
                app,
                "/oauth/token",
                &[
                    ("grant_type", "refresh_token"),
                    ("refresh_token", &token),
                    ("scope", scope),
                ],
            )
            .await
        }
    };
    for wider in [
        "openid profile email offline_access",
        "phone",
        "openid Email",
        "reports.read",
        "a\"b",
        "openid  email",
    ] {
        refused(
            &refresh(text(&tokens, "refresh_token").to_owned(), wider).await,
            400,
            "invalid_scope",
        );
    }
    let narrow = refresh(text(&tokens, "refresh_token").to_owned(), "openid")
        .await
        .json();
    assert_eq!(text(&narrow, "scope"), "openid");
    assert_eq!(decode(text(&narrow, "access_token")).1["scope"], "openid");
    let info = spa
        .userinfo(app, text(&narrow, "access_token"))
        .await
        .json();
    assert!(info.get("email").is_none());
    // The rotated token keeps the whole of it.
    let whole = refresh(text(&narrow, "refresh_token").to_owned(), "")
        .await
        .json();
    assert_eq!(text(&whole, "scope"), spa.scope);
    let without = refresh(text(&whole, "refresh_token").to_owned(), "email")
        .await
        .json();
    assert!(without.get("id_token").is_none());
}

async fn o21_28_a_refresh_token_ends_when_it_is_idle(app: &App) {
    const DAY: u64 = 86_400;
    for client in [
        RelyingParty {
            scope: "openid offline_access",
            ..RelyingParty::web()
        },
        RelyingParty {
            scope: "openid offline_access",
            ..RelyingParty::spa()
        },
    ] {
        let mut tokens = client.tokens(app, "ada").await;
        for _ in 0..3 {
            app.server.advance(29 * DAY);
            let page = client.refresh(app, text(&tokens, "refresh_token")).await;
            assert_eq!(page.status, 200, "{}", page.body);
            let next = page.json();
            if next.get("refresh_token").is_some() {
                tokens = next;
            }
        }
        app.server.advance(30 * DAY);
        no_grant(
            app,
            &client.refresh(app, text(&tokens, "refresh_token")).await,
            "the refresh token has expired",
        );
    }
}

async fn o21_28_sign_out_ends_what_is_not_offline_and_leaves_what_is(app: &App) {
    let (web, spa, online) = (
        RelyingParty::web(),
        RelyingParty::spa(),
        RelyingParty {
            scope: "openid",
            ..RelyingParty::web()
        },
    );
    let mut browser = Browser::new(app);
    let mut all = Vec::new();
    for client in [&web, &spa, &online] {
        let page = browser.authorize(&client.request(&[]), "ada").await;
        all.push(client.exchange(app, &page.answer()["code"]).await.json());
    }
    let elsewhere = spa.tokens(app, "ada").await;
    let page = browser.visit("/sign-out").await;
    browser.submit(&page, &[]).await;
    accepted(&web.refresh(app, text(&all[0], "refresh_token")).await);
    no_grant(
        app,
        &spa.refresh(app, text(&all[1], "refresh_token")).await,
        "the family has ended",
    );
    no_grant(
        app,
        &online.refresh(app, text(&all[2], "refresh_token")).await,
        "the family has ended",
    );
    is_over(&spa.userinfo(app, text(&all[1], "access_token")).await);
    assert_eq!(app.last_detail(), "its family has ended");
    // Another browser's sign-in is another session.
    accepted(&spa.refresh(app, text(&elsewhere, "refresh_token")).await);
}

async fn t15_a_session_whose_time_is_up_ends_what_is_not_offline(app: &App) {
    const DAY: u64 = 86_400;
    for (base, scope, outlives) in [
        (RelyingParty::spa(), "openid", false),
        (RelyingParty::spa(), "openid offline_access", true),
        (RelyingParty::web(), "openid", false),
        (RelyingParty::web(), "openid offline_access", true),
    ] {
        let client = RelyingParty { scope, ..base };
        let mut tokens = client.tokens(app, "ada").await;
        // A session here lasts 14 days and a refresh token 30, each time it is used.
        for wait in [7 * DAY, 7 * DAY - 5] {
            app.server.advance(wait);
            let page = client.refresh(app, text(&tokens, "refresh_token")).await;
            assert_eq!(page.status, 200, "{}", page.body);
            let refresh_token = tokens["refresh_token"].clone();
            tokens = page.json();
            if tokens.get("refresh_token").is_none() {
                tokens["refresh_token"] = refresh_token;
            }
        }
        let expires_in = if outlives { 600 } else { 5 };
        assert_eq!(tokens["expires_in"], expires_in, "{scope}");
        app.server.advance(5);
        let page = client.refresh(app, text(&tokens, "refresh_token")).await;
        if outlives {
            accepted(&page);
        } else {
            no_grant(app, &page, "the session has expired");
            is_over(&client.userinfo(app, text(&tokens, "access_token")).await);
        }
    }
}

async fn t15_a_code_ends_with_its_session(app: &App) {
    const DAY: u64 = 86_400;
    let spa = RelyingParty {
        scope: "openid",
        ..RelyingParty::spa()
    };
    let mut browser = Browser::new(app);
    browser.authorize(&spa.request(&[]), "ada").await;
    for _ in 0..6 {
        app.server.advance(2 * DAY);
        browser.visit(&spa.request(&[])).await;
    }
    app.server.advance(2 * DAY - 5);
    let early = browser.visit(&spa.request(&[])).await.answer();
    let late = browser.visit(&spa.request(&[])).await.answer();
    let tokens = spa.exchange(app, &early["code"]).await.json();
    assert_eq!(tokens["expires_in"], 5);
    app.server.advance(5);
    no_grant(
        app,
        &spa.exchange(app, &late["code"]).await,
        "the person was disabled, signed out, or withdrew the grant, or the session is over",
    );
    no_grant(
        app,
        &spa.refresh(app, text(&tokens, "refresh_token")).await,
        "the session has expired",
    );
}

async fn o21_28_t30_t31_a_disabled_person_a_new_password_or_a_removed_client_end_it(app: &App) {
    let (web, spa) = (RelyingParty::web(), RelyingParty::spa());
    let bob = web.tokens(app, "bob").await;
    app.user("disable", "bob").await;
    grant_refused(&web.refresh(app, text(&bob, "refresh_token")).await);
    is_over(&web.userinfo(app, text(&bob, "access_token")).await);
    app.user("enable", "bob").await;
    grant_refused(&web.refresh(app, text(&bob, "refresh_token")).await);
    let ada = web.tokens(app, "ada").await;
    let own = spa.tokens(app, "ada").await;
    app.server.perform(json!({"action": "user_set_password", "tenant": "default", "user": "ada", "password": "another horse battery staple"})).await.unwrap();
    grant_refused(&web.refresh(app, text(&ada, "refresh_token")).await);
    grant_refused(&spa.refresh(app, text(&own, "refresh_token")).await);
    let last = RelyingParty::web_post().tokens(app, "bob").await;
    app.server
        .perform(json!({"action": "client_remove", "tenant": "default", "client_id": "web-post"}))
        .await
        .unwrap();
    refused(
        &RelyingParty::web_post()
            .refresh(app, text(&last, "refresh_token"))
            .await,
        401,
        "invalid_client",
    );
    is_over(
        &RelyingParty::web_post()
            .userinfo(app, text(&last, "access_token"))
            .await,
    );
}

async fn oc_27_a_refreshed_id_token_is_the_same_person_at_the_same_sign_in(app: &App) {
    for client in [RelyingParty::web(), RelyingParty::spa()] {
        let tokens = client.tokens(app, "ada").await;
        let first = verified(app, BASE, text(&tokens, "id_token"), client.client_id).await;
        app.server.advance(1000);
        let refreshed = client
            .refresh(app, text(&tokens, "refresh_token"))
            .await
            .json();
        let second = verified(app, BASE, text(&refreshed, "id_token"), client.client_id).await;
        for same in ["iss", "sub", "aud", "azp", "auth_time", "acr", "amr", "sid"] {
            assert_eq!(first[same], second[same], "{same}");
        }
        assert_eq!(second["iat"].as_u64(), Some(app.server.now()));
        assert_ne!(first["at_hash"], second["at_hash"]);
        assert!(first.get("nonce").is_some() && second.get("nonce").is_none());
    }
}

async fn t13_a_confidential_client_cannot_refresh_without_its_secret(app: &App) {
    let web = RelyingParty::web();
    let tokens = web.tokens(app, "ada").await;
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&tokens, "refresh_token")),
    ];
    for client in [
        RelyingParty {
            auth: crate::support::relying_party::Auth::None,
            ..web.clone()
        },
        RelyingParty {
            auth: crate::support::relying_party::Auth::Post,
            ..web.clone()
        },
        RelyingParty {
            secret: String::new(),
            ..web.clone()
        },
        RelyingParty {
            secret: SECRET[..SECRET.len() - 1].to_owned(),
            ..web.clone()
        },
    ] {
        refused(
            &client.post(app, "/oauth/token", &fields).await,
            401,
            "invalid_client",
        );
    }
    accepted(&web.post(app, "/oauth/token", &fields).await);
}

async fn t26_a_refresh_token_that_is_cut_or_spelled_otherwise_is_refused(app: &App) {
    let spa = RelyingParty::spa();
    let tokens = spa.tokens(app, "ada").await;
    let token = text(&tokens, "refresh_token");
    for odd in [
        &token[..67],
        &format!("{token}A"),
        &format!("{token}="),
        &token.to_uppercase(),
        &token[4..],
        &format!("{token} "),
        text(&tokens, "access_token"),
        text(&tokens, "id_token"),
    ] {
        no_grant(
            app,
            &spa.refresh(app, odd).await,
            "not in the form of a refresh token",
        );
    }
    let mut guessed = token.to_owned().into_bytes();
    guessed[60] = if guessed[60] == b'A' { b'B' } else { b'A' };
    no_grant(
        app,
        &spa.refresh(app, &String::from_utf8(guessed).unwrap()).await,
        "the secret of the refresh token is wrong",
    );
    accepted(&spa.refresh(app, token).await);
}

async fn t15_a_refresh_token_survives_a_restart_and_so_does_its_replay(app: &App) {
    // Two servers on one file is what the lock forbids: on SQLite the same server is asked again.
    let spa = RelyingParty::spa();
    let first = spa.tokens(app, "ada").await;
    let second = spa.refresh(app, text(&first, "refresh_token")).await.json();
    let third = spa
        .refresh(app, text(&second, "refresh_token"))
        .await
        .json();
    if app.settings.iter().any(|(name, _)| name == "DATABASE") {
        let mut settings = app.settings.clone();
        let folder = tempfile::TempDir::new().unwrap();
        let key = std::path::Path::new(&app.settings[0].1);
        for entry in std::fs::read_dir(key).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
            }
        }
        folder
            .path()
            .to_str()
            .unwrap()
            .clone_into(&mut settings[0].1);
        let node = App::open(&settings, app.server.now(), "").await;
        let body = format!(
            "grant_type=refresh_token&client_id=spa&refresh_token={}",
            text(&first, "refresh_token")
        );
        let request = http::Request::post("/oauth/token")
            .header("host", "127.0.0.1:8080")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(bytes::Bytes::from(body))
            .unwrap();
        assert_eq!(node.call(request).await.status(), 400);
        node.close().await;
    } else {
        grant_refused(&spa.refresh(app, text(&first, "refresh_token")).await);
    }
    grant_refused(&spa.refresh(app, text(&third, "refresh_token")).await);
    is_over(&spa.userinfo(app, text(&third, "access_token")).await);
}
