//! Two docs sites of the default tenant with somebody else's OAuth server, and their readers.
//!
//! `handbook` is for everybody, at `https://docs.acme.test/docs`; `internal` is private, at `https://internal.acme.test`.

use super::app::{App, START};
use super::browser::{Browser, Page};
use super::docs_server::{AUTHORIZATION, CLIENT_ID, DocsServer, EXCHANGE, SCOPE, USER_INFO};
use super::installation::INSTALLATION;
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// A site, as its readers know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) name: &'static str,
    pub(crate) host: &'static str,
    pub(crate) base: &'static str,
    pub(crate) visibility: &'static str,
}

pub(crate) const HANDBOOK: Site = Site {
    name: "handbook",
    host: "docs.acme.test",
    base: "/docs",
    visibility: "personalised",
};
pub(crate) const INTERNAL: Site = Site {
    name: "internal",
    host: "internal.acme.test",
    base: "",
    visibility: "private",
};

impl Site {
    pub(crate) fn origin(self) -> String {
        format!("https://{}", self.host)
    }

    /// One of our own paths below the site.
    pub(crate) fn handshake(self, rest: &str) -> String {
        format!("{}/_handshake/{rest}", self.base)
    }
}

/// Runs each `async fn name(world: &DocsWorld<'_>)` on SQLite and on PostgreSQL.
macro_rules! in_both_docs_worlds {
    ($($name:ident,)+) => {
        mod sqlite_docs {
            $(#[tokio::test] async fn $name() {
                $crate::support::app::App::sqlite_settings(async |settings| {
                    $crate::support::docs::DocsWorld::run(settings, async |world| super::$name(world).await).await;
                }).await;
            })+
        }
        mod postgres_docs {
            $(#[tokio::test] async fn $name() {
                $crate::support::app::App::postgres_settings(async |settings| {
                    $crate::support::docs::DocsWorld::run(settings, async |world| super::$name(world).await).await;
                }).await;
            })+
        }
    };
}
pub(crate) use in_both_docs_worlds;

/// A server with both sites.
pub(crate) struct DocsWorld<'a> {
    pub(crate) app: &'a App,
    pub(crate) server: &'a DocsServer,
}

impl DocsWorld<'_> {
    pub(crate) async fn run(settings: &[(String, String)], test: impl AsyncFnOnce(&DocsWorld<'_>)) {
        let server = DocsServer::start().await;
        let allowed = [("OUTBOUND_ALLOW", "127.0.0.1")];
        let app = App::start(settings, &allowed, START, INSTALLATION).await;
        let world = DocsWorld {
            app: &app,
            server: &server,
        };
        for site in [HANDBOOK, INTERNAL] {
            world.set(site, &json!({}), None).await;
            server.register(&format!("{}{}", site.origin(), site.handshake("callback")));
        }
        test(&world).await;
        app.end().await;
    }

    /// Writes a site's settings anew with some of them changed; `null` leaves one out.
    pub(crate) async fn set(&self, site: Site, changes: &Value, secret: Option<&str>) {
        let mut settings = json!({
            "name": site.name, "root": "/nowhere", "visibility": site.visibility,
            "public_url": format!("{}{}", site.origin(), site.base),
            "authorization_url": self.server.url(AUTHORIZATION), "client_id": CLIENT_ID, "scopes": [SCOPE],
            "token_url": self.server.url(EXCHANGE), "info_api_url": self.server.url(USER_INFO),
        });
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                settings.as_object_mut().unwrap().remove(name);
            } else {
                settings[name] = value.clone();
            }
        }
        let put = self.app.server.put_docs_site("default", settings, secret);
        put.await.unwrap();
    }

    /// A reader who has never been here.
    pub(crate) fn reader(&self, site: Site) -> Reader<'_> {
        let mut browser = Browser::new(self.app);
        site.host.clone_into(&mut browser.host);
        browser.scheme = "https";
        Reader {
            server: self.server,
            site,
            browser,
        }
    }

    /// A reader who has signed in.
    pub(crate) async fn signed_in(&self, site: Site) -> Reader<'_> {
        let mut reader = self.reader(site);
        let page = reader.sign_in("").await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        assert_eq!(reader.user().await["signedIn"], true);
        reader
    }

    /// How many sessions of readers there are.
    pub(crate) async fn sessions(&self) -> i64 {
        self.app
            .number("SELECT COUNT(*) FROM reader_sessions")
            .await
    }
}

/// A reader of a site, with their browser.
pub(crate) struct Reader<'a> {
    pub(crate) server: &'a DocsServer,
    pub(crate) site: Site,
    pub(crate) browser: Browser<'a>,
}

impl Reader<'_> {
    /// A page of the site itself, or one of our own below it; redirects are not followed. Takes an address with the site's origin too.
    pub(crate) async fn get(&mut self, target: &str, headers: &[(&str, &str)]) -> Page {
        let origin = self.site.origin();
        let target = target.strip_prefix(&origin).unwrap_or(target);
        self.browser.send(Method::GET, target, headers, "").await
    }

    /// Sets out to sign in: the authorization request.
    pub(crate) async fn depart(&mut self, return_to: &str) -> String {
        let query = if return_to.is_empty() {
            String::new()
        } else {
            let encoded: String =
                url::form_urlencoded::byte_serialize(return_to.as_bytes()).collect();
            format!("?return_to={encoded}")
        };
        let target = self.site.handshake(&format!("sign-in{query}"));
        let page = self.get(&target, &[]).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.body);
        page.header("location").to_owned()
    }

    /// Signs in and comes back: the answer to the callback.
    pub(crate) async fn sign_in(&mut self, return_to: &str) -> Page {
        let request = self.depart(return_to).await;
        let back = self.server.sign_in(&request);
        self.get(&back, &[]).await
    }

    /// What scripts of the site know.
    pub(crate) async fn user(&mut self) -> Value {
        let target = self.site.handshake("user");
        let headers = [
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-dest", "empty"),
        ];
        let page = self.get(&target, &headers).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        page.json()
    }

    /// The reader's cookie.
    pub(crate) fn cookie(&self) -> Option<(&String, &String)> {
        self.browser
            .cookies
            .iter()
            .find(|(name, _)| name.contains("vestibule-reader"))
    }
}
