//! Whose cookie counts.

use super::{HOST, open, page, reader, settings, site};
use crate::support::app::{App, on_both_engines};
use serde_json::json;

on_both_engines! {
    a_reader_is_known_until_the_session_ends,
    a_cookie_that_is_not_one_reader_of_this_site_is_nobodys,
}

const GREETING: &str = "<b data-user=\"firstName\">stranger</b>";

async fn a_reader_is_known_until_the_session_ends(app: &App) {
    let _folder = site(app, json!({}), &[("index.html", &page("", GREETING))]).await;
    let cookie = reader(app, &[]).await;
    assert!(cookie.starts_with("__Host-"), "{cookie}");
    assert!(open(app, "/docs/", &cookie).await.text().contains(">Ada<"));
    app.server.advance(3599);
    assert!(open(app, "/docs/", &cookie).await.text().contains(">Ada<"));
    app.server.advance(1);
    let after = open(app, "/docs/", &cookie).await;
    assert!(after.text().contains(">stranger<"));
    assert_eq!(after, open(app, "/docs/", "").await);
}

async fn a_cookie_that_is_not_one_reader_of_this_site_is_nobodys(app: &App) {
    let folder = site(app, json!({}), &[("index.html", &page("", GREETING))]).await;
    let other = settings(&json!({
        "name": "other", "root": folder.path().to_str().unwrap(), "public_url": "https://other.acme.test/",
    }));
    app.server.upsert_docs_site(other).await.unwrap();
    let cookie = reader(app, &[]).await;
    let (name, value) = cookie.split_once('=').unwrap();
    let elsewhere = app
        .server
        .sign_reader_in(
            "other.acme.test",
            json!({"content": {"firstName": "Bob"}}),
            60,
        )
        .await
        .unwrap();
    let (_, other_value) = elsewhere.split_once('=').unwrap();
    let changed = format!(
        "{}{}",
        &value[..value.len() - 1],
        if value.ends_with('A') { "B" } else { "A" }
    );
    let anonymous = open(app, "/docs/", "").await;
    for cookie in [
        format!("{name}={other_value}"),
        elsewhere.clone(),
        format!("{name}={changed}"),
        format!("{name}="),
        format!("{name}={value}; {name}={value}"),
        format!("x{name}={value}"),
        format!("{}={value}", name.to_lowercase()),
    ] {
        assert_eq!(open(app, "/docs/", &cookie).await, anonymous, "{cookie}");
    }
    assert_ne!(open(app, "/docs/", &cookie).await, anonymous, "{HOST}");
}
