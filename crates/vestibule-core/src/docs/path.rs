//! What the path of a request means, below the base of a site.
//!
//! The law: it is read once. Files, access rules and another server's address are all made of the one [`SitePath`], so no two
//! parsers can read a path differently; what could be read in two ways is no path.

use super::access::Access;
use super::site::{DocsSite, SiteAddress};
use crate::url::URL_LENGTH_MAX;
use ::url::Url;
use std::fmt::Write as _;

/// The most segments of a path.
const SEGMENTS_COUNT_MAX: usize = 64;
/// The longest segment, decoded, in bytes: what file systems take.
const SEGMENT_BYTES_MAX: usize = 255;

/// Why a path is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not start with a slash.
    #[error("a path starts with a slash")]
    NoSlash,
    /// Too many segments, or one of them too long.
    #[error("the path is too long")]
    TooLong,
    /// A slash or a backslash in disguise, a control character, a `%` that encodes nothing or twice, or bytes that are no UTF-8.
    #[error("the path has a character that no page's name has")]
    Character,
    /// `.` or `..`, encoded or not.
    #[error("the path climbs")]
    Dots,
    /// Two slashes in a row.
    #[error("the path has an empty segment")]
    Empty,
}

/// The path of a page or file below the base of its site.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SitePath {
    segments: Vec<String>,
    is_folder: bool,
}

impl SitePath {
    /// Reads a path as it stands in a request, percent-encoded, below the base of the site.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        let rest = raw.strip_prefix('/').ok_or(PathError::NoSlash)?;
        if raw.len() > URL_LENGTH_MAX {
            return Err(PathError::TooLong);
        }
        let mut segments = Vec::new();
        let mut parts = rest.split('/').peekable();
        let mut is_folder = rest.is_empty();
        while let Some(part) = parts.next() {
            match (part.is_empty(), parts.peek().is_none()) {
                (true, true) => is_folder = true,
                (true, false) => return Err(PathError::Empty),
                (false, _) => segments.push(segment(part)?),
            }
        }
        if segments.len() > SEGMENTS_COUNT_MAX {
            return Err(PathError::TooLong);
        }
        Ok(Self {
            segments,
            is_folder,
        })
    }

    /// Its segments, decoded.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The last segment; none at the root.
    pub fn last(&self) -> Option<&str> {
        self.segments.last().map(String::as_str)
    }

    /// Whether it ends in a slash.
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// Whether a segment starts with a dot, which hides a file; `/.well-known/` is the one place that does not.
    pub fn is_hidden(&self) -> bool {
        self.segments.iter().enumerate().any(|(position, segment)| {
            segment.starts_with('.') && !(position == 0 && segment == ".well-known")
        })
    }

    /// The decoded path, starting with a slash: what access rules are matched with.
    pub fn decoded(&self) -> String {
        let mut text = format!("/{}", self.segments.join("/"));
        if self.is_folder && !self.segments.is_empty() {
            text.push('/');
        }
        text
    }

    /// The path relative to the site's folder, without a slash at either end.
    pub fn relative(&self) -> String {
        self.segments.join("/")
    }

    /// The path as it is sent on: everything but letters, digits and `-._~` percent-encoded, and so no second meaning left for
    /// whoever reads it next.
    pub fn encoded(&self) -> String {
        let mut text = String::new();
        for segment in &self.segments {
            text.push('/');
            for byte in segment.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    text.push(char::from(byte));
                } else {
                    // Writing into a string does not fail.
                    let _ = write!(text, "%{byte:02X}");
                }
            }
        }
        if self.is_folder || self.segments.is_empty() {
            text.push('/');
        }
        text
    }

    /// Every path by which servers of static files give out what this one gives out: `/a`, `/a/`, `/a.html`, `/a/index.html`. A
    /// rule about one of them is a rule about the page.
    pub fn names(&self) -> Vec<String> {
        names_of(&self.decoded())
    }

    /// The one name of the page among them, `/a/`: the key by which it is known.
    pub fn page(&self) -> String {
        page_of(&self.decoded())
    }
}

/// [`SitePath::page`] of a decoded path that starts with a slash.
pub fn page_of(decoded: &str) -> String {
    format!("{}/", stem(decoded))
}

fn stem(decoded: &str) -> &str {
    let path = decoded.trim_end_matches('/');
    ["/index.html", "/index.htm", "/index", ".html", ".htm"]
        .iter()
        .find_map(|ending| path.strip_suffix(ending))
        .unwrap_or(path)
}

/// [`SitePath::names`] of a decoded path that starts with a slash.
pub fn names_of(decoded: &str) -> Vec<String> {
    let page = stem(decoded);
    let mut names = vec![
        decoded.to_owned(),
        format!("{page}/"),
        format!("{page}/index.html"),
        format!("{page}/index"),
    ];
    if !page.is_empty() {
        names.push(page.to_owned());
        names.push(format!("{page}.html"));
    }
    names
}

fn segment(part: &str) -> Result<String, PathError> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (high, low) = (digit(rest.next()), digit(rest.next()));
        let (Some(high), Some(low)) = (high, low) else {
            return Err(PathError::Character);
        };
        bytes.push(high << 4 | low);
    }
    let text = String::from_utf8(bytes).map_err(|_| PathError::Character)?;
    if text.len() > SEGMENT_BYTES_MAX {
        return Err(PathError::TooLong);
    }
    if text == "." || text == ".." {
        return Err(PathError::Dots);
    }
    let is_odd = |character: char| character.is_control() || matches!(character, '/' | '\\');
    if text.chars().any(is_odd) || is_encoded(&text) {
        return Err(PathError::Character);
    }
    Ok(text)
}

/// Whether a second decoding would change it: a server behind us that decodes twice must not see another path than we did.
fn is_encoded(text: &str) -> bool {
    text.as_bytes().windows(3).any(|window| {
        matches!(window, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    })
}

fn digit(byte: Option<u8>) -> Option<u8> {
    let digit = char::from(byte?).to_digit(16)?;
    u8::try_from(digit).ok()
}

impl SiteAddress {
    /// The path below the base that an absolute path of the site's origin means.
    pub fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.base_path)
            .filter(|rest| rest.starts_with('/'))
    }

    /// The page of this site that a link leads to, as browsers resolve it; `from` is the page that it stands on. `None` for links
    /// to elsewhere.
    pub fn page_of(&self, link: &str, from: &SitePath) -> Option<SitePath> {
        let from = Url::parse(&self.join(&from.encoded())).ok()?;
        self.page_at(&from.join(link).ok()?)
    }

    /// The page of this site that an address is of.
    pub fn page_at(&self, address: &Url) -> Option<SitePath> {
        if address.origin().ascii_serialization() != self.origin {
            return None;
        }
        let path = address.path();
        let below = if path == self.base_path {
            "/"
        } else {
            self.below(path)?
        };
        SitePath::parse(below).ok()
    }
}

impl DocsSite {
    /// What the rules say of something that has these names: the first rule that matches any of them.
    pub fn access_by_rules(&self, names: &[String]) -> Access {
        let rule = self
            .rules
            .iter()
            .find(|rule| names.iter().any(|name| rule.path.matches(name)));
        match rule {
            None => Access::Site,
            Some(rule) if rule.public => Access::Public,
            Some(rule) => Access::Groups(rule.groups.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::site::tests::site;
    use serde_json::json;

    fn decoded(raw: &str) -> String {
        SitePath::parse(raw).unwrap().decoded()
    }

    #[test]
    fn a_path_is_decoded_once() {
        #[rustfmt::skip]
        let table = [
            ("/",                  "/",             "/"),
            ("/a",                 "/a",            "/a"),
            ("/a/",                "/a/",           "/a/"),
            ("/a/b.html",          "/a/b.html",     "/a/b.html"),
            ("/gr%C3%BC%C3%9fe",   "/grüße",        "/gr%C3%BC%C3%9Fe"),
            ("/a%20b",             "/a b",          "/a%20b"),
            ("/%61dmin",           "/admin",        "/admin"),
            ("/a;v=1/b",           "/a;v=1/b",      "/a%3Bv%3D1/b"),
            ("/100%25",            "/100%",         "/100%25"),
            ("/a...b",             "/a...b",        "/a...b"),
            ("/a.",                "/a.",           "/a."),
            ("/a:b@c",             "/a:b@c",        "/a%3Ab%40c"),
        ];
        for (raw, path, encoded) in table {
            let parsed = SitePath::parse(raw).unwrap();
            assert_eq!(parsed.decoded(), path, "{raw}");
            assert_eq!(parsed.encoded(), encoded, "{raw}");
            assert_eq!(SitePath::parse(encoded).unwrap(), parsed, "{raw}");
        }
    }

    #[test]
    fn t01_what_could_be_read_in_two_ways_is_no_path() {
        use PathError::{Character, Dots, Empty, NoSlash};
        #[rustfmt::skip]
        let table = [
            ("",                NoSlash),   ("a",               NoSlash),
            ("/..",             Dots),      ("/a/../b",         Dots),
            ("/./a",            Dots),      ("/%2e%2e/a",       Dots),
            ("/%2E./a",         Dots),      ("/a/.%2e",         Dots),
            ("//a",             Empty),     ("/a//b",           Empty),
            ("//",              Empty),     ("/a//",            Empty),
            ("/a%2fb",          Character), ("/a%2Fb",          Character),
            ("/a%5cb",          Character), ("/a\\b",           Character),
            ("/..%2f..%2fetc",  Character), ("/a%00",           Character),
            ("/a%0a",           Character), ("/a%7f",           Character),
            ("/a%c2%85",        Character), ("/a%",             Character),
            ("/a%2",            Character), ("/a%zz",           Character),
            ("/%c0%ae%c0%ae/a", Character), ("/a%ff",           Character),
            ("/%252e%252e/a",   Character), ("/a%252fb",        Character),
            ("/%2561dmin",      Character), ("/%+1",            Character),
        ];
        for (raw, error) in table {
            assert_eq!(SitePath::parse(raw), Err(error), "{raw}");
        }
        let long = format!("/{}", "a".repeat(SEGMENT_BYTES_MAX + 1));
        assert_eq!(SitePath::parse(&long), Err(PathError::TooLong));
        let deep = "/a".repeat(SEGMENTS_COUNT_MAX + 1);
        assert_eq!(SitePath::parse(&deep), Err(PathError::TooLong));
    }

    #[test]
    fn dotfiles_are_hidden_and_well_known_is_not() {
        #[rustfmt::skip]
        let table = [("/.git/config", true), ("/a/.env", true), ("/.well-known/x", false), ("/a/.well-known/x", true), ("/a.b", false)];
        for (raw, hidden) in table {
            assert_eq!(SitePath::parse(raw).unwrap().is_hidden(), hidden, "{raw}");
        }
    }

    #[test]
    fn a_rule_about_a_page_counts_by_whatever_name_it_is_asked_for() {
        let site = site(
            &json!({"rule": [{"path": "/secret", "groups": ["a"]}, {"path": "/x/**", "public": true}]}),
        );
        for raw in [
            "/secret",
            "/secret/",
            "/secret.html",
            "/secret/index.html",
            "/secret/index",
            "/%73ecret",
        ] {
            let names = SitePath::parse(raw).unwrap().names();
            assert_eq!(
                site.access_by_rules(&names),
                Access::Groups(vec!["a".to_owned()]),
                "{raw}"
            );
        }
        for raw in ["/", "/secrets", "/secret/a", "/a/secret"] {
            let names = SitePath::parse(raw).unwrap().names();
            assert_eq!(site.access_by_rules(&names), Access::Site, "{raw}");
        }
        let names = SitePath::parse("/x.html").unwrap().names();
        assert_eq!(site.access_by_rules(&names), Access::Public);
    }

    #[test]
    fn links_are_resolved_as_browsers_do() {
        let site = site(&json!({}));
        let from = SitePath::parse("/guides/one").unwrap();
        #[rustfmt::skip]
        let table = [
            ("two",                                  Some("/guides/two")),
            ("../admin/#top",                        Some("/admin/")),
            ("/docs/admin?x=1",                      Some("/admin")),
            ("https://docs.acme.test/docs/a",        Some("/a")),
            ("//docs.acme.test/docs/a",              Some("/a")),
            ("HTTPS://DOCS.acme.test:443/docs/a",    Some("/a")),
            ("/docs",                                Some("/")),
            ("#here",                                Some("/guides/one")),
            ("..\\admin",                            Some("/admin")),
            ("/admin",                               None),
            ("https://other.test/docs/a",            None),
            ("http://docs.acme.test/docs/a",         None),
            ("mailto:a@b.test",                      None),
            ("javascript:void(0)",                   None),
        ];
        for (link, page) in table {
            let found = site.address.page_of(link, &from);
            assert_eq!(found.map(|path| path.decoded()).as_deref(), page, "{link}");
        }
        assert_eq!(decoded("/guides/one"), "/guides/one");
    }
}
