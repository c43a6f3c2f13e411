//! Addresses that came from outside, and whether they may become a link.

use std::fmt;

use url::Url;

/// An address from outside that may stand in an `href`, `src` or `action`.
///
/// Escaping keeps an address inside its attribute, but cannot make `javascript:` harmless; this type does. The text is
/// kept as it was given, so that an exactly registered address stays exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SafeHref<'a>(&'a str);

impl<'a> SafeHref<'a> {
    /// A web page: `http` or `https` with a host. Anything else is `None`.
    pub(crate) fn web(text: &'a str) -> Option<Self> {
        let url = parse(text)?;
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(Self(text))
    }

    /// A picture: `https` only, since the page's policy refuses to load any other.
    pub(crate) fn picture(text: &'a str) -> Option<Self> {
        let url = parse(text)?;
        (url.scheme() == "https" && url.has_host()).then_some(Self(text))
    }

    /// A redirect address that the client registered: a web page, or an app's private-use scheme, which contains a dot
    /// (RFC 8252, 7.1) and so cannot be one that a browser runs.
    pub(crate) fn registered(text: &'a str) -> Option<Self> {
        Self::web(text).or_else(|| parse(text)?.scheme().contains('.').then_some(Self(text)))
    }
}

impl fmt::Display for SafeHref<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Parses what a browser would read the same way: no white space or control characters, which it would drop silently.
fn parse(text: &str) -> Option<Url> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    Url::parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::SafeHref;

    #[test]
    fn only_web_addresses_become_links() {
        //          text                                     web    picture registered
        let rows = [
            ("https://acme.example/terms", true, true, true),
            ("http://localhost:8080/", true, false, true),
            ("HTTPS://ACME.example", true, true, true),
            ("com.acme.app:/callback", false, false, true),
            ("javascript:alert(1)", false, false, false),
            ("jAvAsCrIpT:alert(1)", false, false, false),
            (" javascript:alert(1)", false, false, false),
            ("java\tscript:alert(1)", false, false, false),
            ("\u{1}javascript:alert(1)", false, false, false),
            (
                "data:text/html,<script>alert(1)</script>",
                false,
                false,
                false,
            ),
            ("vbscript:msgbox(1)", false, false, false),
            ("file:///etc/passwd", false, false, false),
            ("//evil.example", false, false, false),
            ("/relative", false, false, false),
            ("https://", false, false, false),
            ("", false, false, false),
        ];
        for (row, (text, web, picture, registered)) in rows.into_iter().enumerate() {
            assert_eq!(
                SafeHref::web(text).is_some(),
                web,
                "row {row}: web {text:?}"
            );
            assert_eq!(
                SafeHref::picture(text).is_some(),
                picture,
                "row {row}: picture {text:?}"
            );
            assert_eq!(
                SafeHref::registered(text).is_some(),
                registered,
                "row {row}: registered {text:?}"
            );
        }
    }
}
