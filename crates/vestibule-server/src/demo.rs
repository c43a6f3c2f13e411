//! The site that `vestibule demo` starts beside the server: somebody else's app, on an origin of its own.
//!
//! It is a public client (PKCE, no secret) that runs in the browser and shows each step of signing in as it happens. This
//! file only hands out the page and its files: the protocol is in `assets/demo/oidc.js`, the page in `assets/demo/demo.js`.
//!
//! Its law: no state, no secret of the server, no inline script, and no connection but to itself and the issuer.

use askama::Template;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use url::{Host, Url};

use crate::ui::href::SafeHref;
use crate::ui::parts::initial;

#[cfg(test)]
mod tests;

/// What the site calls itself; the client is registered under this name.
pub(crate) const CLIENT_NAME: &str = "Footsteps";

/// Where the server sends the browser back to, below the site's origin.
pub(crate) const CALLBACK_PATH: &str = "/callback";

/// Where the server sends the browser after sign-out, below the site's origin.
pub(crate) const SIGNED_OUT_PATH: &str = "/bye";

/// What the site asks for.
pub(crate) const SCOPE: &str = "openid profile email offline_access";

/// The demo site. Every answer follows from these values alone.
#[derive(Debug)]
pub(crate) struct DemoSite {
    /// The issuer that the site sends people to.
    pub(crate) issuer: String,
    /// The id under which the site is registered there.
    pub(crate) client_id: String,
    /// Who can sign in.
    pub(crate) people: Vec<DemoPerson>,
    /// Where the mock provider is, if the sign-in page leads there.
    pub(crate) mock_provider: Option<String>,
}

/// Somebody who exists for the demo only. The page shows the password to whoever opens it.
#[derive(Debug)]
pub(crate) struct DemoPerson {
    /// The person's name.
    pub(crate) name: String,
    /// What they sign in with.
    pub(crate) username: String,
    /// A password that was made for this demo and is used nowhere else.
    pub(crate) password: String,
    /// What is worth trying as this person, as one sentence.
    pub(crate) note: String,
}

impl DemoPerson {
    /// The letter that stands for the person.
    fn initial(&self) -> String {
        initial(&self.name)
    }
}

/// A card of the page. Its text stands there from the start; the script adds what happened.
struct Step {
    /// The card's id, by which the script finds it.
    id: &'static str,
    title: &'static str,
    /// What this step is for.
    why: &'static str,
    /// The words of its button; empty where it happens by itself.
    action: &'static str,
}

/// What happens, in its order.
#[rustfmt::skip]
const STEPS: [Step; 7] = [
    Step {
        id: "request",
        title: "The app asks",
        why: "The browser goes to the server with a request in its address: who asks, for what, and where to come back.",
        action: "",
    },
    Step {
        id: "answer",
        title: "The browser comes back",
        why: "The server sends the browser back with a code. The app first makes sure that this is the answer to its own question.",
        action: "",
    },
    Step {
        id: "tokens",
        title: "The code becomes tokens",
        why: "The app redeems the code and proves that it is the one who asked. Then it reads the ID token, and believes it only after checking.",
        action: "",
    },
    Step {
        id: "userinfo",
        title: "The app asks who this is",
        why: "With the access token, the app may read what the person agreed to share.",
        action: "",
    },
    Step {
        id: "refresh",
        title: "New tokens, without asking again",
        why: "An access token lives for minutes. The refresh token brings the next one; each works once and is replaced.",
        action: "Refresh now",
    },
    Step {
        id: "revoke",
        title: "The app gives its access back",
        why: "An app that no longer needs its tokens revokes them. From then on nobody can use them.",
        action: "Revoke",
    },
    Step {
        id: "sign-out",
        title: "Signing out",
        why: "The app sends the browser to the server once more, to end the session there as well as here.",
        action: "Sign out",
    },
];

/// The one page, whatever the browser comes back with: the script reads the address.
#[derive(Template)]
#[template(path = "demo.html")]
struct Page<'a> {
    site: &'a DemoSite,
    issuer_href: Option<SafeHref<'a>>,
}

impl DemoSite {
    /// The answer to a request for a path (without its query).
    pub(crate) fn respond(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let found = match path {
            "/" | CALLBACK_PATH | SIGNED_OUT_PATH => self.page(),
            _ => file(path),
        };
        let (status, media_type, body) = match found {
            Some(_) if !matches!(*method, Method::GET | Method::HEAD) => (
                StatusCode::METHOD_NOT_ALLOWED,
                TEXT,
                Bytes::from_static(b"This site only answers GET.\n"),
            ),
            Some((media_type, body)) => (StatusCode::OK, media_type, body),
            None => (
                StatusCode::NOT_FOUND,
                TEXT,
                Bytes::from_static(b"There is nothing here. The demo starts at /.\n"),
            ),
        };
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        self.guard(headers);
        response
    }

    fn page(&self) -> Option<(&'static str, Bytes)> {
        let page = Page {
            site: self,
            issuer_href: SafeHref::web(&self.issuer),
        };
        Some((HTML, page.render().ok()?.into()))
    }

    /// What every answer says to the browser, errors included.
    fn guard(&self, headers: &mut HeaderMap) {
        let issuer = policy_source(&self.issuer).unwrap_or_default();
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; \
             connect-src 'self'{issuer}; base-uri 'none'; frame-ancestors 'none'; form-action 'self'{issuer}"
        );
        // A source is an origin that the URL parser wrote, so it is printable ASCII without separators. Were it not, the page
        // would do without connections rather than without a policy.
        let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        ));
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        // The address of the callback holds a code; no other site may learn it.
        headers.insert(
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        );
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// A file of the site: its media type and content.
fn file(path: &str) -> Option<(&'static str, Bytes)> {
    let (media_type, content): (_, &'static [u8]) = match path {
        "/demo.js" => (SCRIPT, include_bytes!("../assets/demo/demo.js")),
        "/oidc.js" => (SCRIPT, include_bytes!("../assets/demo/oidc.js")),
        "/words.js" => (SCRIPT, include_bytes!("../assets/demo/words.js")),
        "/demo.css" => (STYLE, include_bytes!("../assets/demo/demo.css")),
        "/mark.svg" => (PICTURE, include_bytes!("../assets/demo/mark.svg")),
        _ => return None,
    };
    Some((media_type, Bytes::from_static(content)))
}

/// How a content security policy names the origin of the issuer, after a space. `None` where it is no web address.
fn policy_source(issuer: &str) -> Option<String> {
    let url = Url::parse(issuer).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    Some(match url.host()? {
        // The grammar of a source has no brackets (CSP 3, section 2.3.1), so only the scheme can be said.
        Host::Ipv6(_) => format!(" {}:", url.scheme()),
        Host::Domain(_) | Host::Ipv4(_) => format!(" {}", url.origin().ascii_serialization()),
    })
}
