//! Who is at the other end of the wire: the network address of the person behind a request.
//!
//! The law: what a request says about its own origin is believed only when the TCP peer is a configured proxy, and then
//! only as far as the right-most address that is not itself such a proxy. A value that cannot be read stands for the
//! proxy that passed it on: it never removes an address, so no policy that needs one is skipped.
//!
//! Host, scheme and prefix are never read from a request: links are built from the configured public URL.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// How many hops of a forwarding header are looked at, counted from the right.
pub(crate) const FORWARDED_HOPS_MAX: usize = 16;

/// The address of the TCP peer; the listener puts it into the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub SocketAddr);

/// What a limit counts: one IPv4 address, or the /64 that one IPv6 subscriber is given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Network(IpAddr);

impl Network {
    /// The network of an address. An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) is the IPv4 address.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(IpAddr::V4(v4)),
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(
                v6.to_bits() & (u128::MAX << 64),
            ))),
        }
    }

    /// Sixteen bytes that no other network has, for keys.
    pub(crate) fn octets(self) -> [u8; 16] {
        match self.0 {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => write!(f, "{v4}"),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The proxies whose word about the person's address is taken. Empty unless configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// The proxies with an address in one of these networks.
    pub(crate) fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// Whether this address is one of the proxies.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The address of the person behind a request, and the headers cleaned of every claim that nobody may read after this.
///
/// Forwarding headers are removed whoever sent them. Headers that carry a client certificate are kept when they come from
/// a configured proxy and removed otherwise (OAuth 2.1, 7.14).
///
/// Where both `X-Forwarded-For` and `Forwarded` are present and disagree, one of them came through the proxy unread; the
/// request then counts as the proxy's own.
pub(crate) fn person_address(
    peer: IpAddr,
    headers: &mut HeaderMap,
    proxies: &TrustedProxies,
) -> IpAddr {
    let peer = peer.to_canonical();
    let is_proxy = proxies.contains(peer);
    let address = if is_proxy {
        let listed = walk(peer, x_forwarded_for(headers), proxies);
        let standard = walk(peer, forwarded(headers), proxies);
        match (listed, standard) {
            (Some(address), None) | (None, Some(address)) => address,
            (Some(one), Some(other)) if one == other => one,
            (None, None) | (Some(_), Some(_)) => peer,
        }
    } else {
        peer
    };
    strip(headers, is_proxy);
    address
}

/// One entry of a forwarding header; `None` where it cannot be read.
type Hop = Option<IpAddr>;

/// Walks from the proxy that we speak with towards the person. `None` where there was no entry at all.
fn walk(peer: IpAddr, hops: impl Iterator<Item = Hop>, proxies: &TrustedProxies) -> Option<IpAddr> {
    let mut nearest = None;
    for hop in hops.take(FORWARDED_HOPS_MAX) {
        let Some(address) = hop else {
            return Some(nearest.unwrap_or(peer));
        };
        nearest = Some(address);
        if !proxies.contains(address) {
            break;
        }
    }
    nearest
}

/// The entries of every `X-Forwarded-For` line, the last one first.
fn x_forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Hop> {
    entries(headers, "x-forwarded-for").map(|entry| node(entry?))
}

/// The `for` parameters of every `Forwarded` line (RFC 7239), the last one first.
fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = Hop> {
    entries(headers, "forwarded").map(|entry| {
        let mut found = None;
        for pair in entry?.split(';') {
            let (name, value) = pair.split_once('=')?;
            if name.trim().eq_ignore_ascii_case("for") {
                if found.is_some() {
                    return None;
                }
                found = Some(value.trim());
            }
        }
        let value = found?;
        node(
            value
                .strip_prefix('"')
                .and_then(|inner| inner.strip_suffix('"'))
                .unwrap_or(value),
        )
    })
}

/// The comma-separated entries of a header over all its lines, from the right. `None` for a line that is not text.
fn entries<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> impl Iterator<Item = Option<&'a str>> {
    let lines: Vec<Option<&'a str>> = headers
        .get_all(name)
        .iter()
        .map(|line| line.to_str().ok())
        .collect();
    lines.into_iter().rev().flat_map(|line| match line {
        Some(text) => Entries::Text(text.rsplit(',')),
        None => Entries::Unreadable(std::iter::once(())),
    })
}

/// The entries of one line.
enum Entries<'a> {
    Text(std::str::RSplit<'a, char>),
    Unreadable(std::iter::Once<()>),
}

impl<'a> Iterator for Entries<'a> {
    type Item = Option<&'a str>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Text(parts) => parts.next().map(|part| Some(part.trim())),
            Self::Unreadable(once) => once.next().map(|()| None),
        }
    }
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn node(text: &str) -> Hop {
    let address = IpAddr::from_str(text)
        .ok()
        .or_else(|| SocketAddr::from_str(text).ok().map(|socket| socket.ip()))
        .or_else(|| {
            let inner = text.strip_prefix('[')?.strip_suffix(']')?;
            Ipv6Addr::from_str(inner).ok().map(IpAddr::V6)
        })?;
    Some(address.to_canonical())
}

/// Removes the headers that nobody behind this point may read.
fn strip(headers: &mut HeaderMap, is_proxy: bool) {
    loop {
        let found = headers
            .keys()
            .find(|name| is_forwarding(name) || (!is_proxy && is_client_certificate(name)));
        let Some(name) = found.cloned() else { return };
        headers.remove(name);
    }
}

fn is_forwarding(name: &HeaderName) -> bool {
    let name = name.as_str();
    name == "forwarded"
        || name == "x-real-ip"
        || (name.starts_with("x-forwarded-") && name != "x-forwarded-client-cert")
}

fn is_client_certificate(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("x-ssl-client-")
        || name.starts_with("x-client-cert")
        || name.starts_with("client-cert")
        || name == "x-forwarded-client-cert"
        || name == "ssl-client-cert"
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(
                HeaderName::from_str(name).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        map
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Peer, headers, expected address.
    type Row = (
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
    );

    #[test]
    fn only_a_configured_proxy_is_believed() {
        const XFF: &str = "x-forwarded-for";
        const FWD: &str = "forwarded";
        let proxies =
            TrustedProxies::new(&["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        #[rustfmt::skip]
        let table: &[Row] = &[
            ("203.0.113.9", &[],                                                     "203.0.113.9"),
            ("203.0.113.9", &[(XFF, "192.0.2.1")],                                   "203.0.113.9"),
            ("203.0.113.9", &[(FWD, "for=192.0.2.1")],                               "203.0.113.9"),
            ("203.0.113.9", &[(XFF, "garbage")],                                     "203.0.113.9"),
            ("10.0.0.1",    &[],                                                     "10.0.0.1"),
            ("10.0.0.1",    &[(XFF, "192.0.2.1")],                                   "192.0.2.1"),
            ("10.0.0.1",    &[(XFF, "192.0.2.1:4711")],                              "192.0.2.1"),
            ("10.0.0.1",    &[(XFF, "6.6.6.6, 192.0.2.1")],                          "192.0.2.1"),
            ("10.0.0.1",    &[(XFF, "6.6.6.6"), (XFF, "192.0.2.1")],                 "192.0.2.1"),
            ("10.0.0.1",    &[(XFF, "6.6.6.6, 192.0.2.1, 10.0.0.2")],                "192.0.2.1"),
            ("10.0.0.1",    &[(XFF, "10.0.0.3, 10.0.0.2")],                          "10.0.0.3"),
            ("10.0.0.1",    &[(XFF, "")],                                            "10.0.0.1"),
            ("10.0.0.1",    &[(XFF, "unknown")],                                     "10.0.0.1"),
            ("10.0.0.1",    &[(XFF, "192.0.2.1, garbage")],                          "10.0.0.1"),
            ("10.0.0.1",    &[(XFF, "192.0.2.1,")],                                  "10.0.0.1"),
            ("10.0.0.1",    &[(XFF, "192.0.2.1, garbage, 10.0.0.2")],                "10.0.0.2"),
            ("10.0.0.1",    &[(XFF, "192.0.2.1, \u{fffd}")],                         "10.0.0.1"),
            ("10.0.0.1",    &[(XFF, "127.0.0.1")],                                   "127.0.0.1"),
            ("10.0.0.1",    &[(FWD, "for=192.0.2.1;proto=https")],                   "192.0.2.1"),
            ("10.0.0.1",    &[(FWD, "proto=https; For=\"[2001:db8::1]:99\"")],       "2001:db8::1"),
            ("10.0.0.1",    &[(FWD, "for=\"[2001:db8::1]\"")],                       "2001:db8::1"),
            ("10.0.0.1",    &[(FWD, "for=6.6.6.6, for=192.0.2.1")],                  "192.0.2.1"),
            ("10.0.0.1",    &[(FWD, "for=_hidden")],                                 "10.0.0.1"),
            ("10.0.0.1",    &[(FWD, "for=192.0.2.1;for=6.6.6.6")],                   "10.0.0.1"),
            ("10.0.0.1",    &[(FWD, "proto=https")],                                 "10.0.0.1"),
            ("10.0.0.1",    &[(FWD, "for")],                                         "10.0.0.1"),
            ("10.0.0.1",    &[(XFF, "192.0.2.1"), (FWD, "for=192.0.2.1")],           "192.0.2.1"),
            ("10.0.0.1",    &[(XFF, "192.0.2.1"), (FWD, "for=6.6.6.6")],             "10.0.0.1"),
            ("::ffff:10.0.0.1", &[(XFF, "::ffff:192.0.2.1")],                        "192.0.2.1"),
            ("fd00::1",     &[(XFF, "2001:db8::5")],                                 "2001:db8::5"),
        ];
        for (row, (peer, lines, expected)) in table.iter().enumerate() {
            let mut map = headers(lines);
            assert_eq!(
                person_address(ip(peer), &mut map, &proxies),
                ip(expected),
                "row {row}"
            );
            assert!(map.is_empty(), "row {row} leaves {map:?}");
        }
    }

    #[test]
    fn hops_beyond_the_limit_are_not_walked() {
        let proxies = TrustedProxies::new(&["10.0.0.0/8".parse().unwrap()]);
        let long = format!("192.0.2.1{}", ", 10.0.0.2".repeat(FORWARDED_HOPS_MAX + 1));
        let mut map = headers(&[("x-forwarded-for", &long)]);
        assert_eq!(
            person_address(ip("10.0.0.1"), &mut map, &proxies),
            ip("10.0.0.2")
        );
    }

    #[test]
    fn certificate_headers_from_outside_are_removed() {
        let all = [
            ("x-ssl-client-cert", "a"),
            ("x-ssl-client-verify", "SUCCESS"),
            ("x-client-cert", "a"),
            ("x-client-certificate", "a"),
            ("x-forwarded-client-cert", "a"),
            ("x-forwarded-client-cert", "b"),
            ("client-cert", "a"),
            ("client-cert-chain", "a"),
            ("ssl-client-cert", "a"),
            ("x-real-ip", "192.0.2.1"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-prefix", "/a"),
        ];
        let proxies = TrustedProxies::new(&["10.0.0.1/32".parse().unwrap()]);

        let mut outside = headers(&all);
        outside.insert("user-agent", HeaderValue::from_static("kept"));
        person_address(ip("203.0.113.9"), &mut outside, &proxies);
        assert_eq!(
            outside.keys().map(HeaderName::as_str).collect::<Vec<_>>(),
            ["user-agent"]
        );

        let mut inside = headers(&all);
        person_address(ip("10.0.0.1"), &mut inside, &proxies);
        assert!(inside.contains_key("x-forwarded-client-cert"));
        assert!(inside.contains_key("client-cert"));
        assert!(!inside.contains_key("x-forwarded-host"));
        assert!(!inside.contains_key("x-real-ip"));
    }

    #[test]
    fn a_network_is_an_address_or_a_64() {
        #[rustfmt::skip]
        let table = [
            ("192.0.2.1",        "192.0.2.2",              false),
            ("192.0.2.1",        "::ffff:192.0.2.1",       true),
            ("2001:db8::1",      "2001:db8::ffff:1:2:3",   true),
            ("2001:db8::1",      "2001:db8:0:1::1",        false),
            ("::1",              "0.0.0.1",                false),
        ];
        for (row, (one, other, same)) in table.into_iter().enumerate() {
            let (one, other) = (Network::of(ip(one)), Network::of(ip(other)));
            assert_eq!(one == other, same, "row {row}");
            assert_eq!(one.octets() == other.octets(), same, "row {row}");
        }
        assert_eq!(Network::of(ip("2001:db8::1")).to_string(), "2001:db8::/64");
    }
}
