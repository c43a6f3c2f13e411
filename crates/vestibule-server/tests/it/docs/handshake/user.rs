//! What scripts may ask of who reads, and from where.

use crate::support::docs::{DocsWorld, HANDBOOK, INTERNAL, in_both_docs_worlds};
use http::StatusCode;
use serde_json::json;

in_both_docs_worlds! {
    nobody_is_known_without_a_session,
    t48_no_other_origin_may_ask,
    a_forged_handle_is_nobody,
    what_is_personal_is_kept_by_no_cache,
}

fn nobody() -> serde_json::Value {
    json!({ "signedIn": false, "user": {}, "groups": [], "expiresAt": null, "apiPlaygroundInputs": {} })
}

async fn nobody_is_known_without_a_session(world: &DocsWorld<'_>) {
    for site in [HANDBOOK, INTERNAL] {
        assert_eq!(world.reader(site).user().await, nobody());
    }
}

async fn t48_no_other_origin_may_ask(world: &DocsWorld<'_>) {
    let mut reader = world.signed_in(HANDBOOK).await;
    let target = HANDBOOK.handshake("user");
    for site in ["cross-site", "same-site", "x"] {
        let headers = [("sec-fetch-site", site), ("origin", "https://evil.test")];
        let page = reader.get(&target, &headers).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{site}");
        assert!(!page.body.contains("Ada"));
    }
    for headers in [
        vec![("origin", "https://evil.test")],
        vec![("sec-fetch-site", "none")],
        vec![],
    ] {
        let page = reader.get(&target, &headers).await;
        assert_eq!(page.status, StatusCode::OK);
        assert_eq!(page.header("access-control-allow-origin"), "");
        assert_eq!(page.header("cross-origin-resource-policy"), "same-origin");
    }
}

async fn a_forged_handle_is_nobody(world: &DocsWorld<'_>) {
    let mut reader = world.signed_in(HANDBOOK).await;
    let (name, handle) = reader
        .cookie()
        .map(|(name, handle)| (name.clone(), handle.clone()))
        .unwrap();
    let flipped = if handle.ends_with('A') { "B" } else { "A" };
    for bad in [
        String::new(),
        handle[..67].to_owned(),
        format!("{}{flipped}", &handle[..67]),
        handle.replace("rds_", "ses_"),
        handle.to_ascii_lowercase(),
        format!("{handle}A"),
    ] {
        reader.browser.cookies.insert(name.clone(), bad.clone());
        assert_eq!(reader.user().await, nobody(), "{bad}");
    }
    reader.browser.cookies.insert(name, handle);
    assert_eq!(reader.user().await["signedIn"], true);
}

async fn what_is_personal_is_kept_by_no_cache(world: &DocsWorld<'_>) {
    let mut reader = world.signed_in(HANDBOOK).await;
    let page = reader.get(&HANDBOOK.handshake("user"), &[]).await;
    assert_eq!(page.header("cache-control"), "private, no-store");
    assert_eq!(page.header("vary"), "Cookie");
    assert_eq!(page.header("etag"), "");
}
