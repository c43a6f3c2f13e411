//! Addresses: issuers, redirect URIs, origins.
//!
//! A redirect URI is registered in the one spelling that a browser would give it, and compared byte for byte (OAuth 2.1,
//! 2.3.1): what was checked is what the browser follows, so that no two parsers can read it differently (T01).

use ::url::{Host, Url};
use serde::{Deserialize, Serialize};

/// The longest address that is accepted anywhere, in bytes.
pub const URL_LENGTH_MAX: usize = 2048;

/// Why an address is refused. The text names the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not an absolute URI, or with characters that a URI cannot have.
    #[error("`{0}` is not an absolute URI")]
    Malformed(String),
    /// Longer than [`URL_LENGTH_MAX`].
    #[error("the address is longer than 2048 characters")]
    TooLong,
    /// It has a fragment.
    #[error("`{0}` has a fragment; leave out the part from `#` on")]
    Fragment(String),
    /// It carries a user name or password.
    #[error("`{0}` carries a user name; leave it out")]
    UserInfo(String),
    /// It is not the spelling that browsers use.
    #[error("`{0}` is not in its normal form; write `{1}`")]
    NotNormal(String, String),
    /// Plain http to something that is not this device.
    #[error("`{0}` is plain http; use https (http is for loopback addresses only)")]
    PlainHttp(String),
    /// A scheme that a browser would run or that names no application.
    #[error(
        "`{0}` has a scheme that is not allowed; use https, or a private-use scheme with a dot such as com.example.app"
    )]
    Scheme(String),
    /// A query where none may be.
    #[error("`{0}` has a query; leave out the part from `?` on")]
    Query(String),
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Parses an absolute URI in the spelling that browsers use.
pub(crate) fn parse_normal(text: &str) -> Result<Url, UrlError> {
    if text.len() > URL_LENGTH_MAX {
        return Err(UrlError::TooLong);
    }
    let refuse = || UrlError::Malformed(shorten(text));
    if text
        .bytes()
        .any(|byte| byte <= b' ' || byte >= 0x7f || byte == b'\\')
    {
        return Err(refuse());
    }
    let url = Url::parse(text).map_err(|_| refuse())?;
    if url.fragment().is_some() {
        return Err(UrlError::Fragment(shorten(text)));
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || text
            .split('/')
            .nth(2)
            .is_some_and(|authority| authority.contains('@'))
    {
        return Err(UrlError::UserInfo(shorten(text)));
    }
    // `https://app.example` and `https://app.example/` are different strings and the same place: both are normal.
    let bare =
        url.path() == "/" && url.query().is_none() && url.as_str().strip_suffix('/') == Some(text);
    if url.as_str() != text && !bare {
        return Err(UrlError::NotNormal(shorten(text), url.as_str().to_owned()));
    }
    Ok(url)
}

/// Whether the host is this device: a loopback address, or `localhost`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Whether private-use schemes must contain a dot (RFC 8252, 7.1). A client's policy may relax it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateUseSchemes {
    /// `com.example.app:/callback` only.
    WithDot,
    /// `myapp://callback` too.
    Any,
}

/// Schemes that are never a place to return to: a browser runs, reads or displays them itself.
const SCHEMES_REFUSED: &[&str] = &[
    "about",
    "blob",
    "chrome",
    "data",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "javascript",
    "mailto",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// A registered address that a browser may be sent back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RegisteredUri(String);

impl RegisteredUri {
    /// Parses an address for registration: absolute, normal, without fragment or user name; https, http on loopback, or a
    /// private-use scheme (OAuth 2.1, 2.3, 2.3.1, 8.4; RFC 8252, 7.1).
    pub fn parse(text: &str, schemes: PrivateUseSchemes) -> Result<Self, UrlError> {
        let url = parse_normal(text)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(UrlError::PlainHttp(shorten(text))),
            scheme => {
                let dotted = scheme.contains('.');
                if SCHEMES_REFUSED.contains(&scheme)
                    || (!dotted && schemes == PrivateUseSchemes::WithDot)
                {
                    return Err(UrlError::Scheme(shorten(text)));
                }
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The address as registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is this address: byte for byte, but for the port of a loopback IP literal over http (OAuth 2.1,
    /// 2.3.1 and 8.4.2; `localhost` has no such freedom).
    pub(crate) fn accepts(&self, presented: &str) -> bool {
        if self.0 == presented {
            return true;
        }
        match (split_loopback(&self.0), split_loopback(presented)) {
            (Some(registered), Some(presented)) => registered == presented,
            _ => false,
        }
    }
}

/// Splits `http://127.0.0.1:PORT/rest` into the host and the rest; `None` for anything but a loopback IP literal over http
/// with a plain decimal port or none.
fn split_loopback(text: &str) -> Option<(&'static str, &str)> {
    let rest = text.strip_prefix("http://")?;
    let (host, rest) = ["127.0.0.1", "[::1]"]
        .into_iter()
        .find_map(|host| rest.strip_prefix(host).map(|rest| (host, rest)))?;
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(port_and_rest) => {
            let digits = port_and_rest.bytes().take_while(u8::is_ascii_digit).count();
            let (port, rest) = port_and_rest.split_at(digits);
            port.parse::<u16>().ok().filter(|port| *port > 0)?;
            rest
        }
    };
    let plain = rest
        .bytes()
        .all(|byte| byte > b' ' && byte < 0x7f && byte != b'\\' && byte != b'#');
    (plain && (rest.is_empty() || rest.starts_with('/') || rest.starts_with('?')))
        .then_some((host, rest))
}

/// An address of a provider that we call, or send a browser to: https, or http on loopback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct EndpointUrl(String);

impl EndpointUrl {
    /// Parses an absolute address without fragment and user name.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = parse_normal(text)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(UrlError::PlainHttp(shorten(text))),
            _ => return Err(UrlError::Scheme(shorten(text))),
        }
        Ok(Self(text.to_owned()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is https.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// The address with parameters added to its query.
    pub(crate) fn with_query<'a>(
        &self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> String {
        let mut query = ::url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        let joint = if self.0.contains('?') { '&' } else { '?' };
        format!("{}{joint}{}", self.0, query.finish())
    }
}

/// An address that a browser is sent to with an answer. Only [`Client::match_redirect`](crate::oauth::client::Client::match_redirect)
/// and [`Client::match_post_logout_redirect`](crate::oauth::client::Client::match_post_logout_redirect) make one, and
/// [`TrustedDomains::match_redirect`](crate::identity::trusted_domain::TrustedDomains::match_redirect) for the project API, so an
/// open redirect cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(String);

impl RedirectUri {
    pub(crate) fn matched(presented: &str) -> Self {
        Self(presented.to_owned())
    }

    /// The address, byte for byte as the client sent or registered it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is https: then its host is proved to whoever follows it.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Whether it leads to this device: a loopback address, or an app's own scheme.
    pub fn is_on_this_device(&self) -> bool {
        Url::parse(&self.0)
            .is_ok_and(|url| is_loopback(&url) || !matches!(url.scheme(), "http" | "https"))
    }

    /// What Content-Security-Policy `form-action` must list so that a form may end here: the origin, or the scheme where the
    /// host cannot be written (an IPv6 literal, a private-use scheme).
    pub fn form_action_source(&self) -> String {
        form_action_source(&self.0)
    }

    /// The host that a person would recognise, or the scheme of an application.
    pub fn display_host(&self) -> String {
        match Url::parse(&self.0) {
            Ok(url) => match (url.host_str(), url.port()) {
                (Some(host), Some(port)) if matches!(url.scheme(), "http" | "https") => {
                    format!("{host}:{port}")
                }
                (Some(host), None) if matches!(url.scheme(), "http" | "https") => host.to_owned(),
                _ => format!("{}:", url.scheme()),
            },
            Err(_) => String::new(),
        }
    }
}

/// See [`RedirectUri::form_action_source`].
fn form_action_source(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) => match url.host() {
            Some(Host::Domain(_) | Host::Ipv4(_)) if matches!(url.scheme(), "http" | "https") => {
                url.origin().ascii_serialization()
            }
            _ => format!("{}:", url.scheme()),
        },
        Err(_) => String::new(),
    }
}

/// A scheme, host and port: what the `Origin` header says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Origin(String);

impl Origin {
    /// Parses `https://app.example` or `http://127.0.0.1:3000`: no path, no trailing slash.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = parse_normal(text)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(UrlError::PlainHttp(shorten(text))),
            _ => return Err(UrlError::Scheme(shorten(text))),
        }
        let origin = url.origin().ascii_serialization();
        if origin == text {
            Ok(Self(origin))
        } else {
            Err(UrlError::NotNormal(shorten(text), origin))
        }
    }

    /// The origin as a browser writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A tenant's identifier in tokens, and the base of its addresses (RFC 8414, 2): no query, no fragment, no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Issuer(String);

impl Issuer {
    /// Parses the server's public URL: https, or http for loopback only; no query, fragment, user name or trailing slash.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let url = parse_normal(text)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(UrlError::PlainHttp(shorten(text))),
            _ => return Err(UrlError::Scheme(shorten(text))),
        }
        if url.query().is_some() {
            return Err(UrlError::Query(shorten(text)));
        }
        Ok(Self(text.to_owned()))
    }

    /// The issuer of a tenant that lives below this one: `{self}/t/{slug}`.
    #[must_use]
    pub fn below(&self, slug: &str) -> Self {
        Self(format!("{}/t/{slug}", self.0))
    }

    /// The issuer as it stands in tokens.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An address of this issuer; `path` starts with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        Url::parse(&self.0)
            .map(|url| url.origin().ascii_serialization())
            .unwrap_or_default()
    }

    /// The path under which the issuer's addresses hang; empty at the root of its host.
    pub fn path(&self) -> String {
        Url::parse(&self.0)
            .map(|url| url.path().trim_end_matches('/').to_owned())
            .unwrap_or_default()
    }

    /// Host and port, as the `Host` header says them; the scheme's default port is left out.
    pub fn host(&self) -> String {
        let origin = self.origin();
        origin
            .split_once("://")
            .map(|(_, host)| host.to_owned())
            .unwrap_or_default()
    }

    /// Whether browsers reach it over TLS.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

/// An address that a page may link to or show a picture from: http or https, nothing a browser would run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebAddress(String);

impl WebAddress {
    /// Parses an http or https address.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.len() > URL_LENGTH_MAX {
            return Err(UrlError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| UrlError::Malformed(shorten(text)))?;
        if matches!(url.scheme(), "http" | "https") && url.host().is_some() {
            Ok(Self(url.as_str().to_owned()))
        } else {
            Err(UrlError::Scheme(shorten(text)))
        }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Check = fn(&UrlError) -> bool;

    fn parse(text: &str) -> Result<RegisteredUri, UrlError> {
        RegisteredUri::parse(text, PrivateUseSchemes::WithDot)
    }

    #[test]
    fn o21_04_a_registered_uri_is_absolute_without_fragment_and_in_its_normal_form() {
        for good in [
            "https://app.example/cb",
            "https://app.example",
            "https://app.example/cb?a=b",
            "http://127.0.0.1:3000/cb",
            "http://[::1]/cb",
            "http://localhost:8080/cb",
            "com.example.app:/cb",
            "https://xn--bcher-kva.example/cb",
        ] {
            assert_eq!(
                parse(good).map(|uri| uri.as_str().to_owned()),
                Ok(good.to_owned())
            );
        }
        let table: &[(Check, &[&str])] = &[
            (
                |e| matches!(e, UrlError::Malformed(_)),
                &[
                    "/cb",
                    "",
                    "https://app.example\\@evil/cb",
                    "https://app.example/c b",
                    "https://app.example/\tcb",
                    "https://bücher.example/cb",
                ],
            ),
            (
                |e| matches!(e, UrlError::Fragment(_)),
                &["https://app.example/cb#x", "https://app.example/cb#"],
            ),
            (
                |e| matches!(e, UrlError::UserInfo(_)),
                &["https://a@app.example/cb", "https://@app.example/cb"],
            ),
            (
                |e| matches!(e, UrlError::NotNormal(..)),
                &[
                    "https://APP.example/cb",
                    "https://app.example:443/cb",
                    "https://app.example/a/../cb",
                    "https://app.example/%2e%2e/cb",
                    "https:app.example/cb",
                ],
            ),
            (
                |e| matches!(e, UrlError::PlainHttp(_)),
                &["http://app.example/cb", "http://127.0.0.1.evil.example/cb"],
            ),
            (
                |e| matches!(e, UrlError::Scheme(_)),
                &["javascript:alert(1)", "data:text/html,x", "myapp://cb"],
            ),
        ];
        for (variant, all) in table {
            for bad in *all {
                assert!(variant(&parse(bad).unwrap_err()), "{bad}: {:?}", parse(bad));
            }
        }
        assert_eq!(
            parse(&format!("https://app.example/{}", "a".repeat(2048))),
            Err(UrlError::TooLong)
        );
    }

    #[test]
    fn o21_43_a_private_use_scheme_needs_a_dot_unless_the_policy_says_otherwise() {
        assert!(parse("myapp://cb").is_err());
        assert!(RegisteredUri::parse("myapp://cb", PrivateUseSchemes::Any).is_ok());
        for never in [
            "javascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "blob:x",
            "intent://x",
        ] {
            assert!(
                RegisteredUri::parse(never, PrivateUseSchemes::Any).is_err(),
                "{never}"
            );
        }
    }

    #[test]
    fn o21_03_only_the_port_of_a_loopback_ip_is_free() {
        let registered = parse("http://127.0.0.1/cb").unwrap();
        for good in [
            "http://127.0.0.1/cb",
            "http://127.0.0.1:1/cb",
            "http://127.0.0.1:65535/cb",
        ] {
            assert!(registered.accepts(good), "{good}");
        }
        for bad in [
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:x/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:1@evil/cb",
            "http://127.0.0.1/cb/",
            "http://127.0.0.1/cb?x",
            "http://127.0.0.1.evil.example/cb",
            "http://localhost/cb",
            "https://127.0.0.1/cb",
            "http://[::1]/cb",
            "http://127.0.0.2/cb",
            "http://127.0.0.1:80:80/cb",
            "http://127.0.0.1\\cb",
        ] {
            assert!(!registered.accepts(bad), "{bad}");
        }
        let named = parse("http://localhost:3000/cb").unwrap();
        assert!(
            named.accepts("http://localhost:3000/cb") && !named.accepts("http://localhost:3001/cb")
        );
        let tls = parse("https://app.example/cb").unwrap();
        assert!(!tls.accepts("https://app.example:444/cb"));
    }

    #[test]
    fn md_02_an_issuer_has_no_query_fragment_or_trailing_slash_and_http_is_for_loopback() {
        assert_eq!(
            Issuer::parse("https://id.example/").unwrap().as_str(),
            "https://id.example"
        );
        assert_eq!(
            Issuer::parse("http://127.0.0.1:8080").unwrap().host(),
            "127.0.0.1:8080"
        );
        assert_eq!(
            Issuer::parse("https://id.example/auth")
                .unwrap()
                .below("globex")
                .as_str(),
            "https://id.example/auth/t/globex"
        );
        for bad in [
            "http://id.example",
            "https://id.example?x",
            "https://id.example#x",
            "ftp://id.example",
            "id.example",
            "https://u@id.example",
        ] {
            assert!(Issuer::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn form_action_lists_an_origin_or_a_scheme() {
        for (uri, source) in [
            ("https://app.example/cb", "https://app.example"),
            ("http://127.0.0.1:3000/cb", "http://127.0.0.1:3000"),
            ("http://[::1]:3000/cb", "http:"),
            ("com.example.app:/cb", "com.example.app:"),
        ] {
            assert_eq!(RedirectUri::matched(uri).form_action_source(), source);
        }
    }
}
