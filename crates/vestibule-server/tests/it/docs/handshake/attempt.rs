//! An answer belongs to the browser, the site and the moment that it was asked for, and counts once.

use super::assert_page;
use crate::support::docs::{DocsWorld, HANDBOOK, INTERNAL, Reader, in_both_docs_worlds};
use http::StatusCode;
use serde_json::json;

in_both_docs_worlds! {
    t33_a_replayed_callback_is_nothing,
    t33_the_answer_belongs_to_the_browser_that_left,
    t05_the_answer_of_one_site_is_nothing_to_another,
    an_attempt_ends_after_ten_minutes,
    a_changed_or_missing_state_is_nothing,
    two_tabs_come_back_each_to_its_own_page,
    the_fifth_tab_takes_the_place_of_the_oldest,
    two_sites_of_one_host_do_not_take_each_others_readers,
}

const STRAY: &str = "Sign in again";

/// The page that says to sign in again, after which nothing has changed.
async fn assert_stray(world: &DocsWorld<'_>, reader: &mut Reader<'_>, back: &str, why: &str) {
    let (sessions, exchanges) = (world.sessions().await, world.server.seen("/exchange").len());
    let page = reader.get(back, &[]).await;
    assert_page(&page, StatusCode::BAD_REQUEST, STRAY);
    assert!(page.body.contains("/_handshake/sign-in\""), "{why}");
    assert_eq!(world.sessions().await, sessions, "{why}");
    assert_eq!(
        world.server.seen("/exchange").len(),
        exchanges,
        "{why}: the server was asked"
    );
}

async fn t33_a_replayed_callback_is_nothing(world: &DocsWorld<'_>) {
    for site in [HANDBOOK, INTERNAL] {
        let mut reader = world.reader(site);
        let request = reader.depart("").await;
        let back = world.server.sign_in(&request);
        let page = reader.get(&back, &[]).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER);
        assert_stray(world, &mut reader, &back, "replayed").await;
        assert_eq!(reader.user().await["signedIn"], true, "the session stays");
        // An attempt is used up by a refusal too.
        let request = reader.depart("").await;
        let back = world
            .server
            .sends_back(&request, &[("error", "access_denied")]);
        reader.get(&back, &[]).await;
        assert_stray(
            world,
            &mut reader,
            &world.server.sign_in(&request),
            "refused before",
        )
        .await;
    }
}

async fn t33_the_answer_belongs_to_the_browser_that_left(world: &DocsWorld<'_>) {
    let (mut mallory, mut ada) = (world.reader(HANDBOOK), world.reader(HANDBOOK));
    let back = world.server.sign_in(&mallory.depart("").await);
    assert_stray(world, &mut ada, &back, "a browser without an attempt").await;
    ada.depart("").await;
    assert_stray(world, &mut ada, &back, "a browser with another attempt").await;
    assert_eq!(ada.user().await["signedIn"], false);
}

async fn t05_the_answer_of_one_site_is_nothing_to_another(world: &DocsWorld<'_>) {
    let (mut one, mut two) = (world.reader(HANDBOOK), world.reader(INTERNAL));
    let back = world.server.sign_in(&one.depart("").await);
    let (_, query) = back.split_once('?').unwrap();
    let elsewhere = INTERNAL.handshake(&format!("callback?{query}"));
    assert_stray(world, &mut two, &elsewhere, "another site").await;
    // Even with the cookies of the first site, under the names of the second.
    two.depart("").await;
    let (of_two, _) = two.browser.cookies.pop_first().unwrap();
    let (of_one, sealed) = one.browser.cookies.first_key_value().unwrap();
    // The name ends in the first eight characters of the state.
    let name = format!(
        "{}{}",
        &of_two[..of_two.len() - 8],
        &of_one[of_one.len() - 8..]
    );
    two.browser.cookies.insert(name, sealed.clone());
    assert_stray(world, &mut two, &elsewhere, "another site's cookie").await;
}

async fn an_attempt_ends_after_ten_minutes(world: &DocsWorld<'_>) {
    let mut reader = world.reader(INTERNAL);
    let in_time = world.server.sign_in(&reader.depart("").await);
    let late = world.server.sign_in(&reader.depart("").await);
    world.app.server.advance(599);
    assert_eq!(
        reader.get(&in_time, &[]).await.status,
        StatusCode::SEE_OTHER
    );
    world.app.server.advance(1);
    assert_stray(world, &mut reader, &late, "late").await;
}

async fn a_changed_or_missing_state_is_nothing(world: &DocsWorld<'_>) {
    let mut reader = world.reader(INTERNAL);
    let back = world.server.sign_in(&reader.depart("").await);
    let (address, state) = back.split_once("?state=").unwrap();
    let (state, code) = state.split_once('&').unwrap();
    let mut last = state.to_owned();
    last.replace_range(42.., if state.ends_with('A') { "E" } else { "A" });
    for bad in [
        format!("{address}?{code}"),
        format!("{address}?state=&{code}"),
        format!("{address}?state={last}&{code}"),
        format!("{address}?state={}&{code}", &state[..42]),
        format!("{address}?state={state}A&{code}"),
        format!("{address}?state={}&{code}", &state[..8]),
        format!("{address}?state=%22%3B%0d%0aaaaaaaaa&{code}"),
        format!("{address}?state=%F0%9F%98%80%F0%9F%98%80%F0%9F%98%80&{code}"),
        format!("{address}?state={state}&state={state}&{code}"),
    ] {
        assert_stray(world, &mut reader, &bad, &bad).await;
    }
    // None of that used it up.
    assert_eq!(reader.get(&back, &[]).await.status, StatusCode::SEE_OTHER);
}

async fn two_tabs_come_back_each_to_its_own_page(world: &DocsWorld<'_>) {
    let mut reader = world.reader(HANDBOOK);
    let one = reader.depart("/docs/one#a").await;
    let two = reader.depart("/docs/two#b").await;
    let page = reader.get(&world.server.sign_in(&one), &[]).await;
    assert_eq!(page.header("location"), "https://docs.acme.test/docs/one#a");
    let page = reader.get(&world.server.sign_in(&two), &[]).await;
    assert_eq!(page.header("location"), "https://docs.acme.test/docs/two#b");
    // The second sign-in took the place of the first.
    assert_eq!(world.sessions().await, 1);
}

async fn the_fifth_tab_takes_the_place_of_the_oldest(world: &DocsWorld<'_>) {
    let mut reader = world.reader(HANDBOOK);
    let mut requests = Vec::new();
    for tab in 0..5 {
        requests.push(reader.depart(&format!("/docs/{tab}")).await);
        world.app.server.advance(1);
    }
    let oldest = world.server.sign_in(&requests[0]);
    assert_stray(world, &mut reader, &oldest, "the oldest").await;
    for (tab, request) in requests.iter().enumerate().skip(1) {
        let page = reader.get(&world.server.sign_in(request), &[]).await;
        assert_eq!(
            page.header("location"),
            format!("https://docs.acme.test/docs/{tab}")
        );
    }
}

async fn two_sites_of_one_host_do_not_take_each_others_readers(world: &DocsWorld<'_>) {
    // Cookies do not know ports.
    world
        .set(
            HANDBOOK,
            &json!({ "public_url": "http://127.0.0.1:9001/docs" }),
            None,
        )
        .await;
    world
        .set(
            INTERNAL,
            &json!({ "public_url": "http://127.0.0.1:9002" }),
            None,
        )
        .await;
    let mut reader = world.reader(HANDBOOK);
    "127.0.0.1:9001".clone_into(&mut reader.browser.host);
    let back = world.server.sign_in(&reader.depart("").await);
    let page = reader
        .get(back.strip_prefix("http://127.0.0.1:9001").unwrap(), &[])
        .await;
    assert_eq!(page.header("location"), "http://127.0.0.1:9001/docs/");
    for line in &reader.browser.set_cookies {
        assert!(
            line.starts_with("vestibule-") && !line.contains("Secure"),
            "{line}"
        );
    }
    let mut other = world.reader(INTERNAL);
    "127.0.0.1:9002".clone_into(&mut other.browser.host);
    other.browser.cookies.clone_from(&reader.browser.cookies);
    assert_eq!(other.user().await["signedIn"], false);
    let back = world.server.sign_in(&other.depart("").await);
    other
        .get(back.strip_prefix("http://127.0.0.1:9002").unwrap(), &[])
        .await;
    assert_eq!(other.user().await["signedIn"], true);
    reader.browser.cookies.clone_from(&other.browser.cookies);
    assert_eq!(reader.user().await["signedIn"], true, "both at once");
}
