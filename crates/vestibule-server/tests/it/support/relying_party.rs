//! A client that knows the protocol: requests with PKCE, exchanges, refreshes.

use super::app::App;
use super::browser::{Browser, Page};
use super::installation::{BASE, SECRET};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Method;
use std::collections::BTreeMap;

/// RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// Its challenge.
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// How a client proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    Basic,
    Post,
    None,
}

/// A client of the installation.
#[derive(Clone, Debug)]
pub(crate) struct RelyingParty {
    pub(crate) base: String,
    pub(crate) client_id: &'static str,
    pub(crate) secret: String,
    pub(crate) redirect_uri: &'static str,
    pub(crate) auth: Auth,
    pub(crate) scope: &'static str,
}

impl RelyingParty {
    fn new(
        client_id: &'static str,
        redirect_uri: &'static str,
        auth: Auth,
        scope: &'static str,
    ) -> Self {
        Self {
            base: BASE.to_owned(),
            client_id,
            secret: SECRET.to_owned(),
            redirect_uri,
            auth,
            scope,
        }
    }
    pub(crate) fn web() -> Self {
        Self::new(
            "web",
            "https://web.acme.test/cb",
            Auth::Basic,
            "openid profile email offline_access",
        )
    }
    pub(crate) fn web_post() -> Self {
        Self::new(
            "web-post",
            "https://post.acme.test/cb",
            Auth::Post,
            "openid profile email",
        )
    }
    pub(crate) fn spa() -> Self {
        Self::new(
            "spa",
            "https://spa.acme.test/cb",
            Auth::None,
            "openid profile email",
        )
    }
    pub(crate) fn native() -> Self {
        Self::new(
            "native",
            "http://127.0.0.1:49152/cb",
            Auth::None,
            "openid profile",
        )
    }
    pub(crate) fn opaque() -> Self {
        Self::new(
            "opaque",
            "https://opaque.acme.test/cb",
            Auth::Basic,
            "openid email",
        )
    }
    pub(crate) fn first_party() -> Self {
        Self::new(
            "first-party",
            "https://first.acme.test/cb",
            Auth::Basic,
            "openid profile email",
        )
    }
    pub(crate) fn relaxed() -> Self {
        Self::new(
            "relaxed",
            "https://relaxed.acme.test/cb",
            Auth::Basic,
            "openid email",
        )
    }
    pub(crate) fn field() -> Self {
        Self::new(
            "field",
            "https://field.acme.test/cb",
            Auth::None,
            "profile email",
        )
    }
    pub(crate) fn docs() -> Self {
        Self::new(
            "docs",
            "https://docs.acme.test/oauth-callback",
            Auth::None,
            "",
        )
    }
    pub(crate) fn docs_opaque() -> Self {
        Self::new(
            "docs-opaque",
            "https://reference.acme.test/cb",
            Auth::None,
            "openid docs-user-info",
        )
    }
    pub(crate) fn globex_docs() -> Self {
        Self {
            base: format!("{BASE}/t/globex"),
            ..Self::new(
                "docs",
                "https://docs.globex.test/cb",
                Auth::None,
                "openid reader.profile",
            )
        }
    }
    pub(crate) fn globex() -> Self {
        Self {
            base: format!("{BASE}/t/globex"),
            secret: "another-secret-of-globex-0123456789".to_owned(),
            ..Self::new(
                "web",
                "https://web.globex.test/cb",
                Auth::Basic,
                "openid profile email",
            )
        }
    }
    pub(crate) fn machine(client_id: &'static str) -> Self {
        Self::new(client_id, "", Auth::Basic, "reports.read")
    }

    /// The parameters of a good request.
    pub(crate) fn params(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("response_type", "code".to_owned()),
            ("client_id", self.client_id.to_owned()),
            ("redirect_uri", self.redirect_uri.to_owned()),
            ("scope", self.scope.to_owned()),
            ("state", "st4te-of-the-app".to_owned()),
            ("nonce", "n0nce-of-the-app".to_owned()),
            ("code_challenge", CHALLENGE.to_owned()),
            ("code_challenge_method", "S256".to_owned()),
        ])
    }

    /// An authorization request with some parameters changed; an empty value takes one out.
    pub(crate) fn request(&self, changed: &[(&'static str, &str)]) -> String {
        let mut params = self.params();
        for (name, value) in changed {
            params.insert(name, (*value).to_owned());
        }
        params.retain(|_, value| !value.is_empty());
        format!("{}/oauth/authorize?{}", self.base, encode(&params))
    }

    /// A form post to an endpoint, with this client's proof.
    pub(crate) async fn post(&self, app: &App, path: &str, fields: &[(&str, &str)]) -> Page {
        self.post_with(app, path, fields, &[]).await
    }

    /// The same with more headers.
    pub(crate) async fn post_with(
        &self,
        app: &App,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Page {
        let mut all: Vec<(&str, &str)> = fields.to_vec();
        let basic = self.basic();
        let mut headers: Vec<(&str, &str)> = headers.to_vec();
        match self.auth {
            Auth::Basic => headers.push(("authorization", &basic)),
            Auth::Post => all.extend([
                ("client_id", self.client_id),
                ("client_secret", self.secret.as_str()),
            ]),
            Auth::None => all.push(("client_id", self.client_id)),
        }
        headers.extend([
            ("content-type", "application/x-www-form-urlencoded"),
            ("accept", "application/json"),
        ]);
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(all)
            .finish();
        Browser::new(app)
            .send(
                Method::POST,
                &format!("{}{path}", self.base),
                &headers,
                &body,
            )
            .await
    }

    /// Basic credentials, form-encoded first (RFC 6749, 2.3.1).
    pub(crate) fn basic(&self) -> String {
        let half =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", half(self.client_id), half(&self.secret)))
        )
    }

    /// The fields that redeem a code.
    pub(crate) fn redemption<'a>(&self, code: &'a str) -> [(&'static str, &'a str); 4] {
        [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri),
            ("code_verifier", VERIFIER),
        ]
    }

    /// Redeems a code.
    pub(crate) async fn exchange(&self, app: &App, code: &str) -> Page {
        self.post(app, "/oauth/token", &self.redemption(code)).await
    }

    /// Asks for a token for itself.
    pub(crate) async fn for_itself(&self, app: &App) -> Page {
        self.post(app, "/oauth/token", &[("grant_type", "client_credentials")])
            .await
    }

    /// Asks what a token is worth.
    pub(crate) async fn introspect(&self, app: &App, token: &str) -> Page {
        self.post(app, "/oauth/introspect", &[("token", token)])
            .await
    }

    /// Takes a token back.
    pub(crate) async fn revoke(&self, app: &App, token: &str) -> Page {
        self.post(app, "/oauth/revoke", &[("token", token)]).await
    }

    /// Refreshes.
    pub(crate) async fn refresh(&self, app: &App, token: &str) -> Page {
        self.post(
            app,
            "/oauth/token",
            &[("grant_type", "refresh_token"), ("refresh_token", token)],
        )
        .await
    }

    /// Calls user info with a token.
    pub(crate) async fn userinfo(&self, app: &App, token: &str) -> Page {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("accept", "application/json"),
        ];
        Browser::new(app)
            .send(
                Method::GET,
                &format!("{}/oauth/userinfo", self.base),
                &headers,
                "",
            )
            .await
    }

    /// A code for a person, through a browser of their own.
    pub(crate) async fn code(&self, app: &App, username: &str) -> String {
        let page = Browser::new(app)
            .authorize(&self.request(&[]), username)
            .await;
        page.answer()
            .remove("code")
            .unwrap_or_else(|| panic!("no code in {}", page.header("location")))
    }

    /// Tokens for a person, through a browser of their own.
    pub(crate) async fn tokens(&self, app: &App, username: &str) -> serde_json::Value {
        let page = self.exchange(app, &self.code(app, username).await).await;
        assert_eq!(page.status, 200, "{}", page.body);
        page.json()
    }
}

/// Parameters as a query.
pub(crate) fn encode(params: &BTreeMap<&'static str, String>) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(params)
        .finish()
}

/// The header and the claims of a JWT, unverified.
pub(crate) fn decode(token: &str) -> (serde_json::Value, serde_json::Value) {
    let mut parts = token
        .split('.')
        .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (next(), next())
}
