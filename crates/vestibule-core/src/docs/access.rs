//! Who may open a page, and who is told that it is there.
//!
//! On a private site a page that is not for the reader does not exist: it answers as a missing one does. On a personalised site
//! groups only decide what is shown in navigation and search: whoever has the address may read (seed 000, "Gating semantics").

use super::user::DocsUser;
use serde::{Deserialize, Serialize};

/// The longest pattern of a rule, in bytes.
pub const PATTERN_BYTES_MAX: usize = 512;

/// Who may read a site at all.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody; who signs in is known: the default.
    #[default]
    Personalised,
    /// Only who has signed in.
    Private,
}

/// For whom a page is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// For everybody who may read the site.
    #[default]
    Site,
    /// For everybody, even on a private site.
    Public,
    /// For readers in one of these groups.
    Groups(Vec<String>),
}

/// What a request for a page ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It is shown.
    Open,
    /// Signing in may open it.
    SignIn,
    /// It does not exist for this reader.
    NotFound,
}

impl Access {
    /// Whether a reader (none: nobody is signed in) may open a page of this access.
    pub fn opening(&self, visibility: Visibility, reader: Option<&DocsUser>) -> Opening {
        match (visibility, self, reader) {
            (Visibility::Personalised, ..) | (_, Self::Public, _) | (_, Self::Site, Some(_)) => {
                Opening::Open
            }
            (Visibility::Private, _, None) => Opening::SignIn,
            (Visibility::Private, Self::Groups(groups), Some(reader)) => {
                if reader.is_in_any(groups) {
                    Opening::Open
                } else {
                    Opening::NotFound
                }
            }
        }
    }

    /// Whether navigation and search may tell a reader of the page.
    pub fn is_listed(&self, visibility: Visibility, reader: Option<&DocsUser>) -> bool {
        match (self, visibility, reader) {
            (Self::Public, ..) | (Self::Site, Visibility::Personalised, _) => true,
            (Self::Site, Visibility::Private, reader) => reader.is_some(),
            (Self::Groups(groups), _, reader) => {
                reader.is_some_and(|reader| reader.is_in_any(groups))
            }
        }
    }
}

/// Which paths a rule is about, below the site's base: `/admin/**`, `/guides/*/secret`. `*` is one segment or a part of one, `**`
/// any number of segments, none included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PathPattern(String);

impl PathPattern {
    /// Parses a pattern.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('/')?;
        let fits = text.len() <= PATTERN_BYTES_MAX
            && text
                .bytes()
                .all(|byte| byte > b' ' && byte != 0x7f && !b"?#%\\".contains(&byte))
            && rest.split('/').all(|segment| {
                segment != "." && segment != ".." && (segment == "**" || !segment.contains("**"))
            })
            // An empty segment may only be the last: `/admin/`.
            && !rest.contains("//")
            && !rest.starts_with('/');
        fits.then(|| Self(text.to_owned()))
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a decoded path below the base, which starts with a slash, is meant. A slash at the end makes no difference.
    pub fn matches(&self, path: &str) -> bool {
        let pattern: Vec<&str> = segments(&self.0).collect();
        let path: Vec<&str> = segments(path).collect();
        matches_all(&pattern, &path)
    }
}

impl<'de> Deserialize<'de> for PathPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as Deserialize>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(
                "write a path below the site's base such as `/admin/**`: plain characters, `*` within a segment, `**` for any number of segments",
            )
        })
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// Greedy, with the last `**` to go back to: linear in the product of the lengths, which are bounded.
fn matches_all(pattern: &[&str], path: &[&str]) -> bool {
    wildcard(
        pattern,
        path,
        |part| *part == "**",
        |part, segment| {
            let (part, segment): (Vec<char>, Vec<char>) =
                (part.chars().collect(), segment.chars().collect());
            wildcard(
                &part,
                &segment,
                |one| *one == '*',
                |one, other| one == other,
            )
        },
    )
}

fn wildcard<T>(
    pattern: &[T],
    text: &[T],
    is_any: impl Fn(&T) -> bool,
    fits: impl Fn(&T, &T) -> bool,
) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while let Some(item) = text.get(from) {
        match pattern.get(at) {
            Some(part) if is_any(part) => {
                back = Some((at, from));
                at += 1;
            }
            Some(part) if fits(part, item) => {
                at += 1;
                from += 1;
            }
            _ => match back {
                Some((star, taken)) => {
                    back = Some((star, taken + 1));
                    at = star + 1;
                    from = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(is_any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(groups: &[&str]) -> DocsUser {
        DocsUser {
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..DocsUser::default()
        }
    }

    #[test]
    fn a_page_opens_or_does_not_exist() {
        use Opening::{NotFound, Open, SignIn};
        use Visibility::{Personalised, Private};
        let admins = Access::Groups(vec!["admin".to_owned(), "beta".to_owned()]);
        let (ada, bob) = (reader(&["beta"]), reader(&["staff"]));
        #[rustfmt::skip]
        let table = [
            (&Access::Site,   Personalised, None,       Open,     true),
            (&Access::Site,   Personalised, Some(&bob), Open,     true),
            (&Access::Public, Personalised, None,       Open,     true),
            (&admins,         Personalised, None,       Open,     false),
            (&admins,         Personalised, Some(&bob), Open,     false),
            (&admins,         Personalised, Some(&ada), Open,     true),
            (&Access::Site,   Private,      None,       SignIn,   false),
            (&Access::Site,   Private,      Some(&bob), Open,     true),
            (&Access::Public, Private,      None,       Open,     true),
            (&admins,         Private,      None,       SignIn,   false),
            (&admins,         Private,      Some(&bob), NotFound, false),
            (&admins,         Private,      Some(&ada), Open,     true),
        ];
        for (access, visibility, reader, opening, listed) in table {
            let place = format!("{access:?} {visibility:?} {reader:?}");
            assert_eq!(access.opening(visibility, reader), opening, "{place}");
            assert_eq!(access.is_listed(visibility, reader), listed, "{place}");
        }
    }

    #[test]
    fn nobody_is_in_no_group() {
        assert!(!reader(&[]).is_in_any(&[]));
        assert_eq!(
            Access::Groups(Vec::new()).opening(Visibility::Private, Some(&reader(&["admin"]))),
            Opening::NotFound
        );
    }

    #[test]
    fn patterns_match_whole_paths_by_segment() {
        #[rustfmt::skip]
        let table = [
            ("/admin/**",        "/admin",            true),
            ("/admin/**",        "/admin/",           true),
            ("/admin/**",        "/admin/a/b.html",   true),
            ("/admin/**",        "/administrator",    false),
            ("/admin/**",        "/x/admin/a",        false),
            ("/**/secret",       "/secret",           true),
            ("/**/secret",       "/a/b/secret",       true),
            ("/**/secret",       "/a/secret/b",       false),
            ("/guides/*/x",      "/guides/one/x",     true),
            ("/guides/*/x",      "/guides/x",         false),
            ("/guides/*/x",      "/guides/a/b/x",     false),
            ("/a*.html",         "/abc.html",         true),
            ("/a*.html",         "/a/bc.html",        false),
            ("/**",              "/",                 true),
            ("/",                "/",                 true),
            ("/",                "/a",                false),
            ("/**/a/**/b",       "/x/a/y/a/z/b",      true),
            ("/**/a/**/b",       "/x/b/y/a",          false),
            ("/grüße",           "/grüße",            true),
        ];
        for (pattern, path, fits) in table {
            assert_eq!(
                PathPattern::parse(pattern).unwrap().matches(path),
                fits,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn a_pattern_that_could_never_match_is_refused() {
        #[rustfmt::skip]
        let bad = ["", "admin", "/a//b", "//a", "/a/../b", "/./a", "/a**", "/***", "/a?b", "/a#b", "/a%2fb", "/a\\b", "/a b", "/a\n"];
        for bad in bad {
            assert_eq!(PathPattern::parse(bad), None, "{bad}");
        }
        assert!(PathPattern::parse(&format!("/{}", "a".repeat(PATTERN_BYTES_MAX))).is_none());
    }
}
