//! The provider knows one address of ours, and people use others: an answer is sent on, once, to the host that the browser left from,
//! where its cookie is.

use crate::support::app::from_settings_on_both_engines;
use crate::support::browser::{Browser, Page};
use crate::support::installation::BASE;
use crate::support::project::{CALLBACK, STATE, UPSTREAM_CALLBACK, World, project_of};
use crate::support::upstream::Upstream;
use http::{Method, StatusCode};
use serde_json::json;
use vestibule_server::testing::MockOptions;

from_settings_on_both_engines! {
    an_answer_is_sent_on_to_an_alias,
    a_hosted_sign_in_on_an_alias_ends_there,
    a_project_chosen_at_the_root_comes_back_to_the_root,
    a_callback_url_on_another_host_is_as_good,
    a_posted_answer_is_sent_on_once,
    an_app_s_script_is_answered_wherever_the_browser_comes,
    t33_another_browser_does_not_bring_the_answer,
    t38_only_a_host_that_is_still_the_tenant_s_is_sent_on_to,
    t38_nothing_of_the_request_says_where_to,
    t62_another_tenant_s_host_knows_nothing_of_it,
    what_is_wrong_is_said_where_it_was_asked_and_nothing_is_written,
}

const HOST: &str = "localhost:8080";
const PROJECT: &str = "6f1c1f3e-6b0e-4b7e-9a50-0c1f5d1f7a55";
const ALIAS: &str = "http://login.acme.test";

/// `more` are lines of the default tenant's provider.
async fn in_world_with(
    settings: &[(String, String)],
    more: &str,
    test: impl AsyncFnOnce(&World<'_>),
) {
    let origins = [BASE, &format!("http://{HOST}"), "http://localhost:8081"];
    let upstream = Upstream::start_with(MockOptions {
        redirect_origins: origins.map(str::to_owned).to_vec(),
        ..Upstream::usual()
    })
    .await;
    let provider = upstream.server.installation_provider("google");
    let installation = format!(
        "{}\n[[tenant]]\nslug = \"initech\"\nid = \"{PROJECT}\"\nname = \"Initech\"\n[tenant.policy]\nsign_up = \"open\"\n\
         [[tenant.domain]]\nhost = \"{HOST}\"\nkind = \"primary\"\n{provider}\n\
         [[tenant.trusted_domain]]\nbase_url = \"https://app.acme.test\"\n",
        project_of(&format!("{provider}{more}"), "").replacen(
            "[[tenant.domain]]",
            "[[tenant.domain]]\nhost = \"localhost:8081\"\nkind = \"alias\"\n[[tenant.domain]]",
            1,
        )
    );
    World::run_with(settings, &installation, &upstream, test).await;
}

async fn in_world(settings: &[(String, String)], test: impl AsyncFnOnce(&World<'_>)) {
    in_world_with(settings, "", test).await;
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

/// The usual request on another host of the default tenant.
fn request_on(origin: &str, changed: &[(&'static str, &str)]) -> String {
    World::authorize_url(changed).replacen(BASE, origin, 1)
}

/// A person's browser, which keeps its cookies by host.
struct Person<'a> {
    world: &'a World<'a>,
    hosts: std::collections::BTreeMap<String, Browser<'a>>,
}

impl<'a> Person<'a> {
    fn new(world: &'a World<'a>) -> Self {
        Self {
            world,
            hosts: std::collections::BTreeMap::new(),
        }
    }

    async fn send(
        &mut self,
        method: Method,
        address: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Page {
        let url = url::Url::parse(address).unwrap();
        let origin = url.origin().ascii_serialization();
        let host = origin.split_once("://").unwrap().1.to_owned();
        let world = self.world;
        let browser = self.hosts.entry(host.clone()).or_insert_with(|| {
            let mut browser = world.browser();
            browser.host = host;
            browser
        });
        let path = &url[url::Position::BeforePath..];
        browser.send(method, path, headers, body).await
    }

    /// Goes to an address as a browser does: to its host, with that host's cookies.
    async fn go(&mut self, address: &str) -> Page {
        self.send(Method::GET, address, &[], "").await
    }

    /// From a request to the address that the provider sends back to.
    async fn back(&mut self, request: &str) -> String {
        let page = self.go(request).await;
        assert!(page.status.is_redirection(), "{}", page.body);
        assert_ne!(page.header("set-cookie"), "");
        let location = page.header("location");
        assert!(location.starts_with(self.world.upstream.server.issuer()));
        self.world.upstream.answer(location, "mary").await
    }
}

/// That an answer was sent on to that base, and that nothing came of it yet: the address there.
async fn sent_on(world: &World<'_>, page: &Page, back: &str, base: &str) -> String {
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    assert_eq!(page.header("set-cookie"), "");
    let location = page.header("location").to_owned();
    let callback = format!("{base}{UPSTREAM_CALLBACK}?");
    assert!(location.starts_with(&callback), "{location}");
    let pairs = |address: &str| -> std::collections::BTreeMap<String, String> {
        let url = url::Url::parse(address).unwrap();
        url.query_pairs().into_owned().collect()
    };
    assert_eq!(pairs(&location), pairs(back));
    assert_eq!(world.rows().await["accounts"], 0);
    let used = "SELECT COUNT(*) FROM upstream_requests WHERE used_at IS NOT NULL";
    assert_eq!(world.app.number(used).await, 0);
    assert!(world.upstream.seen("/token").is_empty());
    location
}

fn assert_code(page: &Page, iss: &str) {
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
    assert!(page.header("location").starts_with(CALLBACK));
    let answer = page.answer();
    assert!(answer.contains_key("code"));
    assert_eq!(answer["state"], STATE);
    // The app's SDK knows the address that it was told, and holds `iss` against it.
    assert_eq!(answer["iss"], iss);
}

async fn an_answer_is_sent_on_to_an_alias(settings: &[(String, String)]) {
    in_world(settings, async |world| {
        let mut person = Person::new(world);
        let back = person.back(&request_on(ALIAS, &[])).await;
        assert!(back.starts_with(BASE), "{back}");
        let page = person.go(&back).await;
        let there = sent_on(world, &page, &back, ALIAS).await;
        let page = person.go(&there).await;
        assert_code(&page, ALIAS);
        let tokens = world.redeem(&page.answer()["code"]).await;
        assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
        // The answer counts once, on either host.
        for address in [&there, &back] {
            let page = person.go(address).await;
            let page = match page.header("location") {
                "" => page,
                location => person.go(location).await,
            };
            assert_eq!(page.status, StatusCode::BAD_REQUEST);
            assert!(page.body.contains("This link has expired"), "{}", page.body);
        }
    })
    .await;
}

async fn a_hosted_sign_in_on_an_alias_ends_there(settings: &[(String, String)]) {
    in_world(settings, async |world| {
        let mut person = Person::new(world);
        let back = person.back(&format!("{ALIAS}/sign-in/with/google")).await;
        let page = person.go(&back).await;
        let there = sent_on(world, &page, &back, ALIAS).await;
        let page = person.go(&there).await;
        assert_eq!(page.header("location"), "/", "{}", page.body);
        let home = person.go(&format!("{ALIAS}/")).await;
        assert!(home.body.contains("sign-out-link"), "{}", home.body);
        let elsewhere = person.go(&format!("{BASE}/")).await;
        assert!(!elsewhere.body.contains("sign-out-link"));
    })
    .await;
}

async fn a_project_chosen_at_the_root_comes_back_to_the_root(settings: &[(String, String)]) {
    in_world(settings, async |world| {
        let mut person = Person::new(world);
        let back = person.back(&request(&[])).await;
        assert!(back.starts_with(&format!("http://{HOST}/")), "{back}");
        let page = person.go(&back).await;
        let there = sent_on(world, &page, &back, &format!("{BASE}/t/initech")).await;
        assert_code(&person.go(&there).await, BASE);
        // Below its path, and on its own host, where nothing is sent on.
        let below = format!("{BASE}/t/initech");
        let mut person = Person::new(world);
        let back = person.back(&request(&[]).replacen(BASE, &below, 1)).await;
        let page = person.go(&back).await;
        assert_code(&person.go(page.header("location")).await, &below);
        let own = format!("http://{HOST}");
        let mut person = Person::new(world);
        let back = person.back(&request(&[]).replacen(BASE, &own, 1)).await;
        assert_code(&person.go(&back).await, &own);
    })
    .await;
}

async fn a_callback_url_on_another_host_is_as_good(settings: &[(String, String)]) {
    let callback = format!("http://localhost:8081{UPSTREAM_CALLBACK}");
    let more = format!("callback_url = \"{callback}\"\n");
    in_world_with(settings, &more, async |world| {
        let mut person = Person::new(world);
        let back = person.back(&World::authorize_url(&[])).await;
        assert!(back.starts_with(&callback), "{back}");
        let page = person.go(&back).await;
        let there = sent_on(world, &page, &back, BASE).await;
        assert_code(&person.go(&there).await, BASE);
    })
    .await;
}

async fn a_posted_answer_is_sent_on_once(settings: &[(String, String)]) {
    in_world(settings, async |world| {
        let mut person = Person::new(world);
        let back = person.back(&request_on(ALIAS, &[])).await;
        let (callback, form) = back.split_once('?').unwrap();
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "https://provider.test"),
            ("sec-fetch-site", "cross-site"),
        ];
        let page = person.send(Method::POST, callback, &headers, form).await;
        let there = sent_on(world, &page, &back, ALIAS).await;
        assert_code(&person.go(&there).await, ALIAS);
    })
    .await;
}

async fn an_app_s_script_is_answered_wherever_the_browser_comes(settings: &[(String, String)]) {
    in_world(settings, async |world| {
        let alias = request_on(ALIAS, &[("stack_response_mode", "json")]);
        let root = request(&[("stack_response_mode", "json")]);
        for (request, iss) in [(alias, ALIAS), (root, BASE)] {
            let page = Person::new(world).go(&request).await;
            assert_eq!(page.status, StatusCode::OK, "{}", page.body);
            let location = page.json()["location"].as_str().unwrap().to_owned();
            let back = world.upstream.answer(&location, "mary").await;
            assert_code(&Person::new(world).go(&back).await, iss);
        }
    })
    .await;
}

async fn t33_another_browser_does_not_bring_the_answer(settings: &[(String, String)]) {
    in_world(settings, async |world| {
        for request in [request(&[]), request_on(ALIAS, &[])] {
            let back = Person::new(world).back(&request).await;
            let mut stranger = Person::new(world);
            let page = stranger.go(&back).await;
            let there = page.header("location").to_owned();
            let page = stranger.go(&there).await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST);
            assert_eq!(
                page.header("location"),
                "",
                "at the right host it is decided"
            );
            assert!(page.body.contains("did not keep our cookie"));
            // Nor with a cookie of its own.
            stranger.back(&request).await;
            let page = stranger.go(&there).await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST);
            assert_eq!(page.header("location"), "");
            assert_eq!(world.rows().await["accounts"], 0);
        }
    })
    .await;
}

async fn t38_only_a_host_that_is_still_the_tenant_s_is_sent_on_to(settings: &[(String, String)]) {
    in_world(settings, async |world| {
        let host = ALIAS.trim_start_matches("http://");
        let perform = async |action| world.app.server.perform(action).await.unwrap();
        let remove = json!({ "action": "domain_remove", "tenant": "default", "host": host });
        let add = |tenant, kind| {
            json!({ "action": "domain_add", "tenant": tenant, "host": host, "kind": kind })
        };
        let mut person = Person::new(world);
        let back = person.back(&request_on(ALIAS, &[])).await;
        let refused = async |person: &mut Person<'_>| {
            let page = person.go(&back).await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST);
            assert_eq!(page.header("location"), "");
        };
        perform(remove.clone()).await;
        refused(&mut person).await;
        perform(add("default", "satellite")).await;
        refused(&mut person).await;
        perform(remove).await;
        perform(add("initech", "alias")).await;
        refused(&mut person).await;
        assert_eq!(world.rows().await["accounts"], 0);
    })
    .await;
}

async fn t38_nothing_of_the_request_says_where_to(settings: &[(String, String)]) {
    in_world(settings, async |world| {
        let mut person = Person::new(world);
        let back = person.back(&request_on(ALIAS, &[])).await;
        let forged = [
            ("x-forwarded-host", "evil.test"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/evil"),
            ("forwarded", "host=evil.test"),
            ("origin", "https://evil.test"),
            ("referer", "https://evil.test/"),
        ];
        for added in [
            "",
            "&origin=https://evil.test&o=https://evil.test&vestibule_base=x",
        ] {
            let address = format!("{back}{added}");
            let page = person.send(Method::GET, &address, &forged, "").await;
            sent_on(world, &page, &back, ALIAS).await;
        }
        // Nor does a state that is not ours lead anywhere.
        for state in ["", "x", STATE] {
            let address = format!("{BASE}{UPSTREAM_CALLBACK}?code=c&state={state}");
            let page = person.go(&address.replace(' ', "+")).await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST);
            assert_eq!(page.header("location"), "");
        }
    })
    .await;
}

async fn t62_another_tenant_s_host_knows_nothing_of_it(settings: &[(String, String)]) {
    in_world(settings, async |world| {
        let mut person = Person::new(world);
        let back = person.back(&request_on(ALIAS, &[])).await;
        let page = person
            .go(&back.replacen(BASE, &format!("http://{HOST}"), 1))
            .await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST);
        assert_eq!(page.header("location"), "");
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
        let count = "SELECT COUNT(*) FROM upstream_requests";
        assert_eq!(world.app.number(count).await, 0);
    })
    .await;
}
