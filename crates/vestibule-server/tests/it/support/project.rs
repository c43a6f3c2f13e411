//! An app of the project API (seed 001), and the project that it is of: keys of three tiers, a trusted domain, and a provider
//! "google" that is the test's [`Upstream`].
//!
//! ```text
//! on_both_engines_with_upstream! { a_rule, }
//! async fn a_rule(world: &World) { let tokens = world.sign_in("mary").await; … }
//! ```

use super::app::{App, START};
use super::browser::{Browser, Page};
use super::installation::{BASE, INSTALLATION, PASSWORD, TENANT_ID};
use super::relying_party::{CHALLENGE, VERIFIER, encode};
use super::upstream::Upstream;
use http::{Method, StatusCode};
use serde_json::Value;
use std::collections::BTreeMap;

/// The keys of the project, one a tier.
pub(crate) const PUBLISHABLE: &str = "pck_acme-browser-0123456789abcdef";
pub(crate) const SECRET_KEY: &str = "ssk_acme-server-0123456789abcdefgh";
pub(crate) const ADMIN_KEY: &str = "sak_acme-admin-0123456789abcdefghi";
/// The app's callback.
pub(crate) const CALLBACK: &str = "https://app.acme.test/handler/oauth-callback";
/// The app's `state`.
pub(crate) const STATE: &str = "st4te of & the app";
/// Where providers send a browser back to "google".
pub(crate) const UPSTREAM_CALLBACK: &str = "/api/v1/auth/oauth/callback/google";

/// The provider is on this machine.
const ALLOWED: [(&str, &str); 1] = [("OUTBOUND_ALLOW", "127.0.0.1")];

/// The families of header names.
pub(crate) const FAMILIES: [&str; 2] = ["x-stack-", "x-hexclave-"];

/// What the default tenant has besides the installation: `provider` is the section of a provider.
pub(crate) fn project_of(providers: &str, policy: &str) -> String {
    let project = format!(
        "{providers}\n\
         [[tenant.api_key]]\nname = \"browser\"\ntier = \"publishable\"\nkey = \"{PUBLISHABLE}\"\n\
         [[tenant.api_key]]\nname = \"server\"\ntier = \"secret\"\nkey = \"{SECRET_KEY}\"\n\
         [[tenant.api_key]]\nname = \"admin\"\ntier = \"admin\"\nkey = \"{ADMIN_KEY}\"\n\
         [[tenant.trusted_domain]]\nbase_url = \"https://app.acme.test\"\n\
         [[tenant.trusted_domain]]\nbase_url = \"https://*.preview.acme.test\"\n"
    );
    let open = "[tenant.policy]\nsign_up = \"open\"\n";
    let policy = if policy.contains("sign_up") {
        format!("[tenant.policy]\n{policy}\n")
    } else {
        format!("{open}{policy}\n")
    };
    INSTALLATION.replacen(open, &policy, 1).replacen(
        "[[tenant.client]]",
        &format!("{project}\n[[tenant.client]]"),
        1,
    )
}

/// A server with a project whose provider "google" is the upstream.
pub(crate) struct World<'a> {
    pub(crate) app: &'a App,
    pub(crate) upstream: &'a Upstream,
}

/// Runs each `async fn name(world: &World<'_>)` on SQLite and on PostgreSQL.
macro_rules! in_both_worlds {
    ($($name:ident,)+) => {
        mod sqlite_world {
            $(#[tokio::test] async fn $name() {
                $crate::support::app::App::sqlite_settings(async |settings| {
                    $crate::support::project::World::run(settings, "", async |world| super::$name(world).await).await;
                }).await;
            })+
        }
        mod postgres_world {
            $(#[tokio::test] async fn $name() {
                $crate::support::app::App::postgres_settings(async |settings| {
                    $crate::support::project::World::run(settings, "", async |world| super::$name(world).await).await;
                }).await;
            })+
        }
    };
}
pub(crate) use in_both_worlds;

impl World<'_> {
    /// Runs a test in a world of its own; `policy` are more lines of the tenant's policy.
    pub(crate) async fn run(
        settings: &[(String, String)],
        policy: &str,
        test: impl AsyncFnOnce(&World<'_>),
    ) {
        let upstream = Upstream::start().await;
        let section = upstream.server.installation_provider("google");
        World::run_with(settings, &project_of(&section, policy), &upstream, test).await;
    }

    /// The same with an installation of the test's own.
    pub(crate) async fn run_with(
        settings: &[(String, String)],
        installation: &str,
        upstream: &Upstream,
        test: impl AsyncFnOnce(&World<'_>),
    ) {
        let app = App::start(settings, &ALLOWED, START, installation).await;
        World::live_in(app, upstream, test).await;
    }

    /// Runs a test in a world whose server does not wait for a slow provider as long as it would, with this installation.
    pub(crate) async fn run_impatient(
        settings: &[(String, String)],
        installation: &str,
        upstream: &Upstream,
        test: impl AsyncFnOnce(&World<'_>),
    ) {
        let app = App::start_impatient(settings, &ALLOWED, START, installation).await;
        World::live_in(app, upstream, test).await;
    }

    async fn live_in(app: App, upstream: &Upstream, test: impl AsyncFnOnce(&World<'_>)) {
        upstream.server.follow(&app.server);
        test(&World {
            app: &app,
            upstream,
        })
        .await;
        app.end().await;
    }

    /// The parameters of a good request.
    pub(crate) fn params() -> BTreeMap<&'static str, String> {
        BTreeMap::from(
            [
                ("client_id", TENANT_ID),
                ("client_secret", PUBLISHABLE),
                ("redirect_uri", CALLBACK),
                ("scope", "legacy"),
                ("state", STATE),
                ("grant_type", "authorization_code"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
                ("response_type", "code"),
            ]
            .map(|(name, value)| (name, value.to_owned())),
        )
    }

    /// An authorization request with some parameters changed or added; an empty value takes one out.
    pub(crate) fn authorize_url(changed: &[(&'static str, &str)]) -> String {
        let mut params = Self::params();
        for (name, value) in changed {
            params.insert(name, (*value).to_owned());
        }
        params.retain(|_, value| !value.is_empty());
        format!(
            "{BASE}/api/v1/auth/oauth/authorize/google?{}",
            encode(&params)
        )
    }

    /// Makes somebody with a password.
    pub(crate) async fn create_user(&self, username: &str, email: &str, email_verified: bool) {
        let person = serde_json::json!({
            "username": username, "email": email, "email_verified": email_verified, "password": PASSWORD,
        });
        let action =
            serde_json::json!({ "action": "user_create", "tenant": "default", "set": person });
        self.app.server.perform(action).await.unwrap();
    }

    /// Changes the tenant's policy.
    pub(crate) async fn set_policy(&self, policy: Value) {
        let action = serde_json::json!({
            "action": "tenant_update", "tenant": "default", "set": { "policy": policy },
        });
        self.app.server.perform(action).await.unwrap();
    }

    /// How many rows each table has that a sign-in writes to: what was half-created would be among them.
    pub(crate) async fn rows(&self) -> BTreeMap<&'static str, i64> {
        let tables = [
            "users",
            "accounts",
            "sessions",
            "codes",
            "families",
            "refresh_tokens",
        ];
        let mut rows = BTreeMap::new();
        for table in tables {
            let count = self
                .app
                .number(&format!("SELECT COUNT(*) FROM {table}"))
                .await;
            rows.insert(table, count);
        }
        rows
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser::new(self.app)
    }

    /// A request as an SDK sends it: headers without their family, and a JSON body.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Page {
        self.call_in(FAMILIES[0], method, path, headers, body).await
    }

    /// The same in one of the [`FAMILIES`].
    pub(crate) async fn call_in(
        &self,
        family: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Page {
        let mut all: Vec<(String, &str)> = headers
            .iter()
            .map(|(name, value)| (format!("{family}{name}"), *value))
            .collect();
        all.push(("accept".to_owned(), "*/*"));
        if body.is_some() {
            all.push(("content-type".to_owned(), "application/json"));
        }
        let all: Vec<(&str, &str)> = all
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.browser()
            .send(method, &format!("/api/v1{path}"), &all, &body)
            .await
    }

    /// A form post to the token endpoint with the project's client id and key; an empty value takes a field out.
    pub(crate) async fn token(&self, fields: &[(&'static str, &str)]) -> Page {
        let mut all = BTreeMap::from([
            ("client_id", TENANT_ID.to_owned()),
            ("client_secret", PUBLISHABLE.to_owned()),
        ]);
        all.extend(
            fields
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        all.retain(|_, value| !value.is_empty());
        let headers = [
            (
                "content-type",
                "application/x-www-form-urlencoded;charset=UTF-8",
            ),
            ("accept", "application/json"),
        ];
        self.browser()
            .send(
                Method::POST,
                "/api/v1/auth/oauth/token",
                &headers,
                &encode(&all),
            )
            .await
    }

    /// Redeems a code.
    pub(crate) async fn redeem(&self, code: &str) -> Page {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ])
        .await
    }

    /// Asks with a refresh token.
    pub(crate) async fn refresh(&self, token: &str) -> Page {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)])
            .await
    }

    /// Sends a browser from the authorization request to the provider: the address there.
    pub(crate) async fn leave(
        &self,
        browser: &mut Browser<'_>,
        changed: &[(&'static str, &str)],
    ) -> String {
        let page = browser
            .send(Method::GET, &Self::authorize_url(changed), &[], "")
            .await;
        assert_eq!(page.status, StatusCode::TEMPORARY_REDIRECT, "{}", page.body);
        page.header("location").to_owned()
    }

    /// Goes through the whole flow as somebody (`mary`, or `mary:expired` for a provider that misbehaves): the app's answer.
    pub(crate) async fn answer(&self, who: &str, changed: &[(&'static str, &str)]) -> Page {
        let mut browser = self.browser();
        let location = self.leave(&mut browser, changed).await;
        let back = self.upstream.answer(&location, who).await;
        browser.send(Method::GET, &back, &[], "").await
    }

    /// Signs somebody in: the tokens.
    pub(crate) async fn sign_in(&self, who: &str) -> Value {
        let answer = self.answer(who, &[]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        let code = answer
            .answer()
            .remove("code")
            .unwrap_or_else(|| panic!("no code: {}", answer.header("location")));
        let tokens = self.redeem(&code).await;
        assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
        tokens.json()
    }

    /// The headers of an app in a browser, with somebody's access token.
    pub(crate) fn client(tokens: &Value) -> Vec<(&'static str, &str)> {
        vec![
            ("project-id", TENANT_ID),
            ("access-type", "client"),
            ("publishable-client-key", PUBLISHABLE),
            ("access-token", tokens["access_token"].as_str().unwrap()),
            ("refresh-token", tokens["refresh_token"].as_str().unwrap()),
        ]
    }

    /// The headers of the project's own server.
    pub(crate) fn server() -> Vec<(&'static str, &'static str)> {
        vec![
            ("project-id", TENANT_ID),
            ("access-type", "server"),
            ("secret-server-key", SECRET_KEY),
        ]
    }

    /// The headers of the project's administration.
    pub(crate) fn admin() -> Vec<(&'static str, &'static str)> {
        vec![
            ("project-id", TENANT_ID),
            ("access-type", "admin"),
            ("super-secret-admin-key", ADMIN_KEY),
        ]
    }
}
