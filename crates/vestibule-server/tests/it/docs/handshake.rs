//! The handshake of a docs site, with an OAuth server of somebody else's and with our own.

mod attempt;
mod callback;
mod check;
mod our_own;
mod sign_in;
mod sign_out;
mod user;

use crate::support::browser::Page;
use crate::support::docs::{DocsWorld, INTERNAL, in_both_docs_worlds};
use http::{Method, StatusCode};

in_both_docs_worlds! {
    other_addresses_and_methods_are_refused,
    our_pages_load_only_what_is_below_the_site,
    the_script_is_kept_and_asked_for_again_by_its_tag,
}

/// A page of ours on a site: framed by nobody, and kept by no cache.
fn assert_page(page: &Page, status: StatusCode, title: &str) {
    assert_eq!(page.status, status, "{}", page.body);
    assert!(
        page.body.contains(&format!("<h1>{title}</h1>")),
        "{}",
        page.body
    );
    assert!(
        page.header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    assert_eq!(page.header("cache-control"), "no-store");
}

async fn other_addresses_and_methods_are_refused(world: &DocsWorld<'_>) {
    let mut reader = world.reader(INTERNAL);
    for path in [
        "",
        "sign-in/",
        "callback/x",
        "Sign-In",
        "assets/",
        "assets/x.css",
        "assets/vestibule.css",
        "..",
    ] {
        let page = reader.get(&INTERNAL.handshake(path), &[]).await;
        assert_page(&page, StatusCode::NOT_FOUND, "There is no page here");
    }
    for (path, allowed) in [
        ("sign-in", "GET"),
        ("callback", "GET"),
        ("check", "GET"),
        ("sign-out", "GET, POST"),
        ("user", "GET, HEAD"),
        ("reader.js", "GET, HEAD"),
    ] {
        let target = INTERNAL.handshake(path);
        let page = reader.browser.send(Method::DELETE, &target, &[], "").await;
        assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(page.header("allow"), allowed);
    }
    assert_eq!(reader.browser.set_cookies, Vec::<String>::new());
}

async fn our_pages_load_only_what_is_below_the_site(world: &DocsWorld<'_>) {
    for site in [crate::support::docs::HANDBOOK, INTERNAL] {
        let mut reader = world.reader(site);
        let page = reader.get(&site.handshake("callback?state=x"), &[]).await;
        let below = format!("{}/_handshake/assets/vestibule.", site.base);
        let (_, rest) = page.body.split_once("rel=\"stylesheet\" href=\"").unwrap();
        let (href, _) = rest.split_once('"').unwrap();
        assert!(href.starts_with(&below), "{href}");
        let sheet = reader.get(href, &[]).await;
        assert_eq!(sheet.status, StatusCode::OK);
        assert!(sheet.header("content-type").starts_with("text/css"));
        assert!(sheet.header("cache-control").contains("immutable"));
    }
}

async fn the_script_is_kept_and_asked_for_again_by_its_tag(world: &DocsWorld<'_>) {
    let mut reader = world.reader(INTERNAL);
    let target = INTERNAL.handshake("reader.js");
    let script = reader.get(&target, &[]).await;
    assert_eq!(script.status, StatusCode::OK);
    assert!(script.header("content-type").starts_with("text/javascript"));
    assert_eq!(script.header("cache-control"), "public, max-age=3600");
    assert!(script.body.contains("window.vestibule"));
    let tag = script.header("etag").to_owned();
    let again = reader.get(&target, &[("if-none-match", &tag)]).await;
    assert_eq!(
        (again.status, again.body.as_str()),
        (StatusCode::NOT_MODIFIED, "")
    );
    let other = reader.get(&target, &[("if-none-match", "\"x\"")]).await;
    assert_eq!(other.status, StatusCode::OK);
}
