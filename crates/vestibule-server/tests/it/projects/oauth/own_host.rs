//! A project that is chosen at the root by its id, and whose tenant has a host of its own: the browser leaves from that host, where
//! the provider sends it back to, so that its cookie is there.

use crate::support::app::from_settings_on_both_engines;
use crate::support::browser::{Browser, Page};
use crate::support::installation::BASE;
use crate::support::project::{CALLBACK, STATE, World, project_of};
use crate::support::upstream::Upstream;
use http::{Method, StatusCode};
use vestibule_server::testing::MockOptions;

from_settings_on_both_engines! {
    t33_a_browser_leaves_from_the_host_that_it_comes_back_to,
    what_is_wrong_is_said_where_it_was_asked_and_nothing_is_written,
    an_app_s_script_is_told_the_provider_s_address_at_once,
    a_base_that_somebody_made_up_counts_for_nothing,
}

const HOST: &str = "localhost:8080";
const PROJECT: &str = "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a55";

async fn in_world(settings: &[(String, String)], test: impl AsyncFnOnce(&World<'_>)) {
    let upstream = Upstream::start_with(MockOptions {
        redirect_origins: vec![BASE.to_owned(), format!("http://{HOST}")],
        ..Upstream::usual()
    })
    .await;
    let provider = upstream.server.installation_provider("google");
    let installation = format!(
        "{}\n[[tenant]]\nslug = \"initech\"\nid = \"{PROJECT}\"\nname = \"Initech\"\n[tenant.policy]\nsign_up = \"open\"\n\
         [[tenant.domain]]\nhost = \"{HOST}\"\nkind = \"primary\"\n{provider}\n\
         [[tenant.trusted_domain]]\nbase_url = \"https://app.acme.test\"\n",
        project_of(&provider, "")
    );
    World::run_with(settings, &installation, &upstream, test).await;
}

/// A request at the root, by the id of the other project.
fn request(changed: &[(&'static str, &str)]) -> String {
    let mut all = vec![
        ("client_id", PROJECT),
        ("client_secret", "__stack_public_client__"),
    ];
    all.extend(changed);
    World::authorize_url(&all)
}

/// Goes to an address as a browser does: to its host, with that host's cookies.
async fn go(browser: &mut Browser<'_>, address: &str) -> Page {
    let url = url::Url::parse(address).unwrap();
    let origin = url.origin().ascii_serialization();
    let host = origin.split_once("://").unwrap().1.to_owned();
    if browser.host != host {
        browser.cookies.clear();
        browser.host = host;
    }
    let path = &url[url::Position::BeforePath..];
    browser.send(Method::GET, path, &[], "").await
}

async fn departures(world: &World<'_>) -> i64 {
    let count = "SELECT COUNT(*) FROM upstream_requests";
    world.app.number(count).await
}

async fn t33_a_browser_leaves_from_the_host_that_it_comes_back_to(settings: &[(String, String)]) {
    in_world(settings, async |world| {
        let mut browser = world.browser();
        let page = go(&mut browser, &request(&[])).await;
        assert_eq!(page.status, StatusCode::TEMPORARY_REDIRECT, "{}", page.body);
        let own = page.header("location").to_owned();
        let there = format!("http://{HOST}/api/v1/auth/oauth/authorize/google?");
        assert!(own.starts_with(&there), "{own}");
        assert_eq!(page.header("set-cookie"), "");
        assert_eq!(departures(world).await, 0);
        let page = go(&mut browser, &own).await;
        assert_eq!(page.status, StatusCode::TEMPORARY_REDIRECT, "{}", page.body);
        assert_ne!(page.header("set-cookie"), "");
        let back = world.upstream.answer(page.header("location"), "mary").await;
        assert!(back.starts_with(&format!("http://{HOST}/")), "{back}");
        let page = go(&mut browser, &back).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        assert!(page.header("location").starts_with(CALLBACK));
        let answer = page.answer();
        assert!(answer.contains_key("code"));
        assert_eq!(answer["state"], STATE);
        // The app's SDK knows the address that it was told, and holds `iss` against it.
        assert_eq!(answer["iss"], BASE);
        // Another browser still cannot bring the answer.
        let page = go(&mut browser, &own).await;
        let back = world.upstream.answer(page.header("location"), "mary").await;
        let page = go(&mut world.browser(), &back).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
    })
    .await;
}

async fn what_is_wrong_is_said_where_it_was_asked_and_nothing_is_written(
    settings: &[(String, String)],
) {
    in_world(settings, async |world| {
        for (changed, code) in [
            (
                ("redirect_uri", "https://evil.test/"),
                "REDIRECT_URL_NOT_WHITELISTED",
            ),
            (("state", ""), "SCHEMA_ERROR"),
            (
                ("client_secret", "pck_wrong"),
                "INVALID_PUBLISHABLE_CLIENT_KEY",
            ),
        ] {
            let headers = [("accept", "*/*")];
            let page = world
                .browser()
                .send(Method::GET, &request(&[changed]), &headers, "")
                .await;
            assert_eq!(page.header("location"), "");
            assert_eq!(page.json()["code"], code, "{}", page.body);
        }
        assert_eq!(departures(world).await, 0);
        // In its own place nobody is sent anywhere else.
        let mut browser = world.browser();
        let page = go(&mut browser, &World::authorize_url(&[])).await;
        let location = page.header("location").to_owned();
        assert!(
            location.starts_with(world.upstream.server.issuer()),
            "{location}"
        );
    })
    .await;
}

async fn an_app_s_script_is_told_the_provider_s_address_at_once(settings: &[(String, String)]) {
    in_world(settings, async |world| {
        let mut browser = world.browser();
        let page = go(&mut browser, &request(&[("stack_response_mode", "json")])).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let location = page.json()["location"].as_str().unwrap().to_owned();
        let back = world.upstream.answer(&location, "mary").await;
        let page = go(&mut browser, &back).await;
        assert_eq!(page.answer()["iss"], BASE);
        assert!(page.answer().contains_key("code"));
    })
    .await;
}

async fn a_base_that_somebody_made_up_counts_for_nothing(settings: &[(String, String)]) {
    in_world(settings, async |world| {
        let own = request(&[]).replace(BASE, &format!("http://{HOST}"));
        for made_up in ["", "x", "aHR0cHM6Ly9ldmlsLnRlc3Q", "%ff"] {
            let mut browser = world.browser();
            let page = go(&mut browser, &format!("{own}&vestibule_base={made_up}")).await;
            if page.status == StatusCode::BAD_REQUEST {
                // A query that is no text at all.
                continue;
            }
            let back = world.upstream.answer(page.header("location"), "mary").await;
            let page = go(&mut browser, &back).await;
            assert_eq!(page.answer()["iss"], format!("http://{HOST}"), "{made_up}");
        }
    })
    .await;
}
