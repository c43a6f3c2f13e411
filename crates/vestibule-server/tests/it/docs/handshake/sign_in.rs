//! Setting out: what the OAuth server is asked, and where the reader comes back to.

use crate::support::docs::{DocsWorld, HANDBOOK, INTERNAL, in_both_docs_worlds};
use http::StatusCode;
use serde_json::json;
use std::collections::BTreeMap;
use url::Url;

in_both_docs_worlds! {
    the_request_is_the_seeds_with_proof_key,
    what_the_operator_added_is_sent,
    t02_only_a_page_of_the_site_is_returned_to,
    who_comes_from_nowhere_lands_where_the_site_says,
    nothing_is_written_for_who_only_sets_out,
    t35_cookies_are_of_this_host_and_of_this_site,
}

fn query(address: &str) -> BTreeMap<String, String> {
    Url::parse(address)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

async fn the_request_is_the_seeds_with_proof_key(world: &DocsWorld<'_>) {
    let mut reader = world.reader(HANDBOOK);
    let (one, two) = (
        query(&reader.depart("").await),
        query(&reader.depart("").await),
    );
    let names: Vec<&str> = one.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "client_id",
            "code_challenge",
            "code_challenge_method",
            "redirect_uri",
            "response_type",
            "scope",
            "state"
        ]
    );
    assert_eq!(
        one["redirect_uri"],
        "https://docs.acme.test/docs/_handshake/callback"
    );
    assert_eq!(one["scope"], "docs-user-info");
    for name in ["state", "code_challenge"] {
        assert_eq!(one[name].len(), 43, "256 bits");
        assert_ne!(one[name], two[name], "{name}");
    }
}

async fn what_the_operator_added_is_sent(world: &DocsWorld<'_>) {
    let changes = json!({
        "authorization_url": world.server.url("/authorization?tenant=x%20y"), "scopes": ["openid"],
        "extra_authorization_params": { "audience": "https://api.foo.test/" },
    });
    world.set(HANDBOOK, &changes, None).await;
    let request = world.reader(HANDBOOK).depart("").await;
    assert!(
        request.contains("/authorization?tenant=x%20y&response_type=code&"),
        "{request}"
    );
    let sent = query(&request);
    assert_eq!(sent["audience"], "https://api.foo.test/");
    assert_eq!(sent["scope"], "openid");
    assert_eq!(sent["nonce"].len(), 43);
    world.set(HANDBOOK, &json!({ "scopes": [] }), None).await;
    assert!(!query(&world.reader(HANDBOOK).depart("").await).contains_key("scope"));
}

async fn t02_only_a_page_of_the_site_is_returned_to(world: &DocsWorld<'_>) {
    let mut reader = world.reader(HANDBOOK);
    let page = reader.sign_in("/docs/a/b.html?q=1&r=2#top").await;
    assert_eq!(
        page.header("location"),
        "https://docs.acme.test/docs/a/b.html?q=1&r=2#top"
    );
    for evil in [
        "https://evil.test/",
        "//evil.test/docs/",
        "/\\evil.test",
        "/docs/..//evil.test",
        "/docs/%2e%2e//evil.test",
        "javascript:alert(1)",
        "/docs/\r\nSet-Cookie: x=1",
        "/other",
        "/docs/_handshake/sign-out",
        "/docs/%5fhandshake/sign-out",
        "//docs.acme.test@evil.test/docs/",
    ] {
        let page = reader.sign_in(evil).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{evil}");
        assert_eq!(
            page.header("location"),
            "https://docs.acme.test/docs/",
            "{evil}"
        );
    }
}

async fn who_comes_from_nowhere_lands_where_the_site_says(world: &DocsWorld<'_>) {
    world
        .set(HANDBOOK, &json!({ "land_at": "/docs/welcome#top" }), None)
        .await;
    let page = world.reader(HANDBOOK).sign_in("").await;
    assert_eq!(
        page.header("location"),
        "https://docs.acme.test/docs/welcome#top"
    );
    let page = world.reader(INTERNAL).sign_in("").await;
    assert_eq!(page.header("location"), "https://internal.acme.test/");
    // A query that cannot be read is no reason not to sign in.
    let mut reader = world.reader(INTERNAL);
    let page = reader.get("/_handshake/sign-in?return_to=%zz", &[]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}

async fn nothing_is_written_for_who_only_sets_out(world: &DocsWorld<'_>) {
    let mut reader = world.reader(INTERNAL);
    for _ in 0..20 {
        reader.depart("/a").await;
    }
    assert_eq!(world.sessions().await, 0);
    assert!(world.server.seen("/exchange").is_empty());
    // The browser keeps four of them.
    assert_eq!(reader.browser.cookies.len(), 4);
}

async fn t35_cookies_are_of_this_host_and_of_this_site(world: &DocsWorld<'_>) {
    let (mut one, mut two) = (
        world.signed_in(HANDBOOK).await,
        world.signed_in(INTERNAL).await,
    );
    for reader in [&one, &two] {
        assert!(reader.browser.set_cookies.len() >= 3);
        for line in &reader.browser.set_cookies {
            assert!(line.starts_with("__Host-vestibule-"), "{line}");
            assert!(
                line.contains("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age="),
                "{line}"
            );
            assert!(
                !line.contains("Ada") && !line.contains("docs-token"),
                "{line}"
            );
        }
    }
    assert_ne!(one.cookie().unwrap().0, two.cookie().unwrap().0);
    // A handle of one site is nothing to another, whatever the cookie is called.
    let (name, handle) = (
        two.cookie().unwrap().0.clone(),
        one.cookie().unwrap().1.clone(),
    );
    two.browser.cookies.insert(name.clone(), handle);
    assert_eq!(two.user().await["signedIn"], false);
    assert_eq!(one.user().await["signedIn"], true);
    // Of two cookies with one name, one was set by somebody else.
    let (name, handle) = one.cookie().unwrap();
    let twice = format!("{name}={handle}; {name}={handle}");
    let headers = [("no-cookies", ""), ("cookie", twice.as_str())];
    let target = HANDBOOK.handshake("user");
    assert_eq!(one.get(&target, &headers).await.json()["signedIn"], false);
}
