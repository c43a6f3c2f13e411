//! Where a call wants to go, judged before a name is looked up.
//!
//! The law: `https` only, a port where HTTP is spoken, no user in the URL. A host that the operator allowed (`outbound_allow`)
//! may have a private address, any port that the entry does not exclude, and plain `http`. An entry counts for the host as the
//! URL writes it: to allow an address does not allow the names that lead to it.

use super::OutboundError;
use crate::config::value::OutboundHost;
use std::net::IpAddr;
use url::{Host, Url};

/// The longest URL that is called, in bytes.
pub(super) const URL_BYTES_MAX: usize = 4096;

/// The ports from which on programs of all kinds listen; below it only 443 is called.
const PORT_UNPRIVILEGED: u16 = 1024;
/// Ports from [`PORT_UNPRIVILEGED`] on that browsers do not call either: the bad ports of the Fetch standard (2.9).
const PORTS_BAD: &[u16] = &[
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669,
    6679, 6697, 10080,
];

/// A place that may be called, if its address may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// The host, as the URL has it.
    pub(super) host: Host,
    /// The port.
    pub(super) port: u16,
    /// Whether TLS is spoken.
    pub(super) is_tls: bool,
    /// Whose addresses it may have.
    pub(super) reach: Reach,
}

/// The addresses that a host may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Public ones.
    Public,
    /// Any: the operator named the host.
    Anywhere,
}

/// Reads a URL and judges it.
pub(super) fn parse(
    text: &str,
    allow: &[OutboundHost],
) -> Result<(Url, Destination), OutboundError> {
    if text.len() > URL_BYTES_MAX {
        return refuse(format!("the URL has more than {URL_BYTES_MAX} bytes"));
    }
    let mut url =
        Url::parse(text).map_err(|error| OutboundError::Refused(format!("no URL: {error}")))?;
    url.set_fragment(None);
    let destination = judge(&url, allow)?;
    Ok((url, destination))
}

fn judge(url: &Url, allow: &[OutboundHost]) -> Result<Destination, OutboundError> {
    let place = place(url);
    let is_tls = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return refuse(format!("{place}: neither https nor http")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse(format!("{place}: the URL names a user"));
    }
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return refuse(format!("{place}: no host"));
    };
    let is_allowed = allow
        .iter()
        .any(|entry| entry.host == host && entry.port.is_none_or(|only| only == port));
    if !is_allowed && !is_tls {
        return refuse(format!("{place}: plain http, and not in outbound_allow"));
    }
    if !is_allowed && (port < PORT_UNPRIVILEGED && port != 443 || PORTS_BAD.contains(&port)) {
        return refuse(format!(
            "{place}: not a port of HTTP, and not in outbound_allow"
        ));
    }
    Ok(Destination {
        host: host.to_owned(),
        port,
        is_tls,
        reach: if is_allowed {
            Reach::Anywhere
        } else {
            Reach::Public
        },
    })
}

fn refuse<T>(detail: String) -> Result<T, OutboundError> {
    Err(OutboundError::Refused(detail))
}

impl Destination {
    /// Whether this address may be dialled for it.
    pub(super) fn admits(&self, address: IpAddr) -> Result<(), OutboundError> {
        match (self.reach, super::address::special(address)) {
            (Reach::Anywhere, _) | (Reach::Public, None) => Ok(()),
            (Reach::Public, Some(purpose)) => refuse(format!(
                "{} has the address {address} ({purpose}), and is not in outbound_allow",
                self.host
            )),
        }
    }

    /// Host and port, as a key.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Scheme, host, port and path of a URL: what may be logged. The rest may hold secrets.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}"));
    // A path of a URL without a host is its whole content (`data:`).
    let path = if url.has_host() { url.path() } else { "" };
    format!(
        "{}://{host}{}{path}",
        url.scheme(),
        port.unwrap_or_default()
    )
}
