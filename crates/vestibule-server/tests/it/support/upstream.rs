//! Somebody else's provider on a port of this machine, with a book of what was asked of it.
//!
//! It has a clock of its own; `upstream.server.follow(&app.server)` gives it the server's.

use super::app::START;
use super::installation::BASE;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use std::time::Duration;
use url::Url;
use vestibule_server::testing::{MockOptions, MockServer, SeenRequest};

/// Our id at the provider.
pub(crate) const CLIENT_ID: &str = "vestibule-at-upstream";
/// Our secret at the provider. It needs encoding in a form and in Basic credentials.
pub(crate) const CLIENT_SECRET: &str = "upstream secret+/%7E";

/// A provider that signs in whom the test names, and misbehaves where it says so. It stops when it is dropped.
pub(crate) struct Upstream {
    pub(crate) server: MockServer,
}

impl Upstream {
    /// Starts a provider as most are.
    pub(crate) async fn start() -> Self {
        Self::start_with(Self::usual()).await
    }

    /// What [`Self::start`] starts: a secret, ES256, people named in the request, refresh tokens that stay.
    pub(crate) fn usual() -> MockOptions {
        MockOptions {
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(CLIENT_SECRET.to_owned()),
            redirect_origins: vec![Url::parse(BASE).unwrap().origin().ascii_serialization()],
            auto: true,
            slow: Duration::from_mins(1),
            algorithm: "ES256",
            rotates_refresh_tokens: false,
        }
    }

    /// Starts another one.
    pub(crate) async fn start_with(options: MockOptions) -> Self {
        let server = MockServer::start(options, START).await.unwrap();
        Self { server }
    }

    /// Lets an endpoint misbehave: see `MockServer::misbehave`.
    pub(crate) fn misbehave(&self, endpoint: &str, fault: &str) {
        self.server.misbehave(endpoint, Some(fault)).unwrap();
    }

    /// Lets an endpoint behave again.
    pub(crate) fn behave(&self, endpoint: &str) {
        self.server.misbehave(endpoint, None).unwrap();
    }

    /// What came over the wire to this path so far.
    pub(crate) fn seen(&self, path: &str) -> Vec<SeenRequest> {
        let mut seen = self.server.seen();
        seen.retain(|request| request.path == path);
        seen
    }

    /// Visits the authorization request as a browser, with somebody (`ada`) and a behaviour (`ada:expired`) chosen.
    pub(crate) async fn visit(&self, authorization_request: &str, who: &str) -> Response<Bytes> {
        let mut url = Url::parse(authorization_request).unwrap();
        assert_eq!(
            url.origin().ascii_serialization(),
            self.server.issuer(),
            "the browser was sent to another provider"
        );
        url.query_pairs_mut().append_pair("mock", who);
        let address = &url[url::Position::BeforePath..];
        let request = Request::get(address).body(Bytes::new()).unwrap();
        self.server.visit(request).await
    }

    /// The address that the browser is sent back to with the answer.
    pub(crate) async fn answer(&self, authorization_request: &str, who: &str) -> String {
        let response = self.visit(authorization_request, who).await;
        assert_eq!(
            response.status(),
            StatusCode::SEE_OTHER,
            "{:?}",
            response.body()
        );
        let location = response.headers()[header::LOCATION].to_str().unwrap();
        location.to_owned()
    }

    /// The form that the browser is given with the answer (`response_mode=form_post`): its address and its fields.
    pub(crate) async fn answer_form(
        &self,
        authorization_request: &str,
        who: &str,
    ) -> (String, Vec<(String, String)>) {
        let response = self.visit(authorization_request, who).await;
        assert_eq!(response.status(), StatusCode::OK);
        let page = String::from_utf8(response.body().to_vec()).unwrap();
        let action = page.split_once("action=\"").unwrap().1;
        let fields = page.split("<input type=\"hidden\" name=\"").skip(1);
        let fields = fields.map(|rest| {
            let (name, rest) = rest.split_once("\" value=\"").unwrap();
            (name.to_owned(), unescape(rest.split_once('"').unwrap().0))
        });
        (
            unescape(action.split_once('"').unwrap().0),
            fields.collect(),
        )
    }
}

fn unescape(text: &str) -> String {
    text.replace("&#38;", "&")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&amp;", "&")
}
