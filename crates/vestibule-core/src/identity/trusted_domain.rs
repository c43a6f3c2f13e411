//! Trusted domains: where the project API may return people to. It names places, not addresses: the path is free.
//!
//! A pattern is an origin, in whose host `*` stands for part of one label and `**` for one label or more. The last two labels are
//! always written out, so that nobody trusts `*.com`.

use crate::url::{RedirectUri, UrlError, is_loopback, parse_normal};
use ::url::Url;
use serde::Serialize;

/// The most trusted domains of a tenant.
pub const TRUSTED_DOMAINS_COUNT_MAX: usize = 200;

/// The most stars in one pattern.
const STARS_COUNT_MAX: usize = 4;

/// The scheme that mobile apps of the project API return to; it is always trusted. Any app can claim it, so PKCE is what protects
/// a code that travels there (RFC 8252, 8.1).
const MOBILE_SCHEMES: [&str; 2] = ["stack-auth-mobile-oauth-url", "hexclave-mobile-oauth-url"];

/// Why a text is not a trusted domain. The sentence names the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustedDomainError {
    /// Not the form of an address.
    #[error(transparent)]
    Address(#[from] UrlError),
    /// A path, a query or more.
    #[error("write the scheme, the host and the port only, such as https://app.example.com")]
    NotAnOrigin,
    /// A wildcard where none may be.
    #[error(
        "a `*` may stand in the labels before the last two, such as https://*.example.com; `**` is a label of its own"
    )]
    Wildcard,
}

/// A place that is trusted: an origin, or a pattern of origins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TrustedDomain(String);

impl TrustedDomain {
    /// Parses `https://app.example.com`, `http://localhost:3000`, `https://*.example.com`, `https://**.example.com` or
    /// `https://preview-*.example.com`. A slash at the end is left out.
    pub fn parse(text: &str) -> Result<Self, TrustedDomainError> {
        let text = text.strip_suffix('/').unwrap_or(text);
        // A star is no character of a host name; a letter stands in for it while the rest is looked at.
        let url = parse_normal(&text.replace('*', "x"))?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) && !text.contains('*') => {}
            "http" => return Err(UrlError::PlainHttp(text.chars().take(200).collect()).into()),
            _ => return Err(UrlError::Scheme(text.chars().take(200).collect()).into()),
        }
        if url.origin().ascii_serialization().len() != text.len() {
            return Err(TrustedDomainError::NotAnOrigin);
        }
        let (_, rest) = text
            .split_once("://")
            .ok_or(TrustedDomainError::NotAnOrigin)?;
        let (host, port) = split_port(rest);
        if text.contains('*') {
            let labels: Vec<&str> = host.split('.').collect();
            let fixed = labels
                .iter()
                .rev()
                .take(2)
                .all(|label| !label.contains('*'));
            let stars = labels
                .iter()
                .all(|label| *label == "**" || !label.contains("**"));
            // Few, so that a host made to be slow to match is not.
            let few = text.matches('*').count() <= STARS_COUNT_MAX
                && labels.iter().filter(|label| **label == "**").count() <= 1;
            let name = matches!(url.host(), Some(::url::Host::Domain(_)));
            if labels.len() < 3 || !fixed || !stars || !few || !name || port.contains('*') {
                return Err(TrustedDomainError::Wildcard);
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether an address with this scheme, host and port is there.
    fn covers(&self, url: &Url) -> bool {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return false;
        };
        let (host, port) = split_port(rest);
        let written = url.port().map(|port| port.to_string()).unwrap_or_default();
        let labels: Vec<&str> = host.split('.').collect();
        scheme == url.scheme()
            && port == written
            && url.host_str().is_some_and(|presented| {
                // An IPv6 literal has no labels; a pattern without a star is compared as a whole.
                if host.contains('*') {
                    let presented: Vec<&str> = presented.split('.').collect();
                    labels_match(&labels, &presented)
                } else {
                    presented == host
                }
            })
    }
}

impl std::fmt::Display for TrustedDomain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Splits `host:port`; the colons of an IPv6 literal are inside its brackets.
fn split_port(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    }
}

/// Whether the labels of a host are those of the pattern, label by label.
fn labels_match(pattern: &[&str], host: &[&str]) -> bool {
    match (pattern.split_first(), host.split_first()) {
        (None, None) => true,
        (Some((&"**", pattern)), Some((_, host))) => {
            // One label, and as many more as it takes; hosts have 127 labels at most, and of `**` there are few.
            labels_match(pattern, host)
                || (!host.is_empty() && {
                    let mut again = vec!["**"];
                    again.extend(pattern);
                    labels_match(&again, host)
                })
        }
        (Some((one, pattern)), Some((label, host))) => {
            label_matches(one, label) && labels_match(pattern, host)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Whether a label is of the form of a pattern's: `*` is one character or more.
fn label_matches(pattern: &str, label: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == label;
    };
    let Some(mut rest) = label.strip_prefix(head) else {
        return false;
    };
    while let Some(character) = rest.chars().next() {
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
        if label_matches(tail, rest) {
            return true;
        }
    }
    false
}

/// Where the project API of a tenant may return people to.
#[derive(Clone, Debug, Default)]
pub struct TrustedDomains {
    domains: Vec<TrustedDomain>,
    localhost: bool,
}

impl TrustedDomains {
    /// The places that the tenant trusts, and whether it trusts every address on this device.
    pub fn new(domains: Vec<TrustedDomain>, allow_localhost: bool) -> Self {
        Self {
            domains,
            localhost: allow_localhost,
        }
    }

    /// Matches an address that the app names. Scheme, host and port decide; the path is free and a fragment is cut off. An address
    /// that browsers and we could read differently is none. This is one of the few makers of a [`RedirectUri`].
    pub fn match_redirect(&self, presented: &str) -> Option<RedirectUri> {
        let presented = presented.split_once('#').map_or(presented, |(url, _)| url);
        let url = parse_normal(presented).ok()?;
        let trusted = match url.scheme() {
            "http" | "https" => {
                (self.localhost && is_this_device(&url))
                    || self.domains.iter().any(|domain| domain.covers(&url))
            }
            scheme => MOBILE_SCHEMES.contains(&scheme),
        };
        trusted.then(|| RedirectUri::matched(presented))
    }
}

/// `localhost`, the names below it (RFC 6761, 6.3), and loopback addresses.
fn is_this_device(url: &Url) -> bool {
    is_loopback(url)
        || matches!(url.host(), Some(::url::Host::Domain(name)) if name.ends_with(".localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusts(pattern: &str, address: &str) -> bool {
        TrustedDomains::new(vec![TrustedDomain::parse(pattern).unwrap()], false)
            .match_redirect(address)
            .is_some()
    }

    #[test]
    fn t01_a_place_covers_its_own_addresses_and_no_neighbour() {
        #[rustfmt::skip]
        let table: &[(&str, &str, bool)] = &[
            ("https://x.com",           "https://x.com/cb?a=b",             true),
            ("https://x.com",           "https://x.com",                    true),
            ("https://x.com/",          "https://x.com/any/path",           true),
            ("https://x.com:8443",      "https://x.com:8443/cb",            true),
            ("http://localhost:3000",   "http://localhost:3000/handler",    true),
            ("http://127.0.0.1:3000",   "http://127.0.0.1:3000/",           true),
            ("http://[::1]:3000",       "http://[::1]:3000/",               true),
            ("https://*.x.com",         "https://a.x.com/cb",               true),
            ("https://**.x.com",        "https://a.x.com/cb",               true),
            ("https://**.x.com",        "https://a.b.c.x.com/cb",           true),
            ("https://prefix-*.x.com",  "https://prefix-1.x.com/cb",        true),
            ("https://*-a-*.x.com",     "https://1-a-2.x.com/cb",           true),
            ("https://*.a.x.com",       "https://1.a.x.com/cb",             true),
            ("https://x.com",           "https://x.com.evil.com/cb",        false),
            ("https://x.com",           "https://evilx.com/cb",             false),
            ("https://x.com",           "https://a.x.com/cb",               false),
            ("https://x.com",           "http://x.com/cb",                  false),
            ("https://x.com",           "https://x.com:8443/cb",            false),
            ("https://x.com:8443",      "https://x.com/cb",                 false),
            ("https://x.com",           "https://x.com@evil.com/cb",        false),
            ("https://x.com",           "https://evil.com/https://x.com",   false),
            ("https://x.com",           "https://evil.com?https://x.com",   false),
            ("https://x.com",           "https://x.com\\@evil.com/",        false),
            ("https://x.com",           "//x.com/cb",                       false),
            ("https://x.com",           "/cb",                              false),
            ("https://x.com",           "javascript:alert(1)//x.com",       false),
            ("https://x.com",           "https://X.com/cb",                 false),
            ("https://x.com",           "https://x.com./cb",                false),
            ("https://x.com",           "",                                 false),
            ("http://localhost:3000",   "http://localhost:3001/",           false),
            ("http://localhost:3000",   "http://127.0.0.1:3000/",           false),
            ("https://*.x.com",         "https://x.com/cb",                 false),
            ("https://*.x.com",         "https://a.b.x.com/cb",             false),
            ("https://*.x.com",         "https://.x.com/cb",                false),
            ("https://*.x.com",         "https://a.x.com.evil.com/cb",      false),
            ("https://*.x.com",         "https://evil.com/.x.com",          false),
            ("https://*.x.com",         "https://evil.com#.x.com",          false),
            ("https://*.x.com",         "https://axxx.com/cb",              false),
            ("https://**.x.com",        "https://x.com/cb",                 false),
            ("https://**.x.com",        "https://a.x.com.evil.com/",        false),
            ("https://prefix-*.x.com",  "https://prefix-.x.com/cb",         false),
            ("https://prefix-*.x.com",  "https://prefix-a.b.x.com/cb",      false),
            ("https://prefix-*.x.com",  "https://aprefix-1.x.com/cb",       false),
        ];
        for (row, (pattern, address, expected)) in table.iter().enumerate() {
            assert_eq!(trusts(pattern, address), *expected, "row {row}: {address}");
        }
    }

    #[test]
    fn a_pattern_that_trusts_too_much_is_refused() {
        for bad in [
            "",
            "x.com",
            "*",
            "https://*",
            "https://*.com",
            "https://**.com",
            "https://a.*.com",
            "https://x.*",
            "https://***.x.com",
            "https://**.**.x.com",
            "https://*.*.*.*.*.x.com",
            "https://a**.x.com",
            "https://x.com/path",
            "https://x.com?q",
            "https://x.com#f",
            "https://u@x.com",
            "https://x.com:*",
            "https://*.x.com:*",
            "http://x.com",
            "http://*.x.com",
            "http://*.localhost",
            "http*://x.com",
            "ftp://x.com",
            "javascript:alert(1)",
            "https://X.com",
            "https://x.com:443",
            "https://a.b\\.x.com",
        ] {
            assert!(TrustedDomain::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn this_device_is_trusted_only_where_the_tenant_says_so() {
        let (off, on) = (
            TrustedDomains::new(Vec::new(), false),
            TrustedDomains::new(Vec::new(), true),
        );
        for here in [
            "http://localhost:3000/cb",
            "https://localhost/cb",
            "http://127.0.0.1:1/",
            "http://[::1]:1/",
            "http://a.localhost:3000/",
        ] {
            assert!(on.match_redirect(here).is_some(), "{here}");
            assert!(off.match_redirect(here).is_none(), "{here}");
        }
        for elsewhere in [
            "http://localhost.evil.com/",
            "http://notlocalhost/",
            "http://127.0.0.1.evil.com/",
            "http://10.0.0.1/",
        ] {
            assert!(on.match_redirect(elsewhere).is_none(), "{elsewhere}");
        }
    }

    #[test]
    fn a_fragment_is_cut_off_and_the_mobile_scheme_is_always_trusted() {
        let trusted =
            TrustedDomains::new(vec![TrustedDomain::parse("https://x.com").unwrap()], false);
        assert_eq!(
            trusted
                .match_redirect("https://x.com/cb#/x")
                .unwrap()
                .as_str(),
            "https://x.com/cb"
        );
        assert!(
            trusted
                .match_redirect("stack-auth-mobile-oauth-url://success")
                .is_some()
        );
        for other in [
            "myapp://cb",
            "stack-auth://x",
            "data:text/html,x",
            "https://evil.com#@x.com",
        ] {
            assert!(trusted.match_redirect(other).is_none(), "{other}");
        }
    }
}
