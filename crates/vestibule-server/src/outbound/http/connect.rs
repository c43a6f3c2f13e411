//! From a URL to a connection: the name is looked up once, every address is judged, and what was judged is dialled.
//!
//! The law: there is no second look-up between judging and dialling, so a name that changes its mind has nothing to change.
//! Nothing is sent to an address that is refused, not even the first packet of a connection.

use super::destination::{self, Destination};
use super::tls::Trust;
use super::{CONNECT_TIMEOUT, LOOKUPS_MAX, OutboundError};
use crate::config::value::OutboundHost;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;
use url::Host;

/// The most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// What knows the addresses of a name; it may block.
pub(super) type Names = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// The names that the system knows.
pub(super) fn system_names(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok((name, 0)
        .to_socket_addrs()?
        .map(|address| address.ip())
        .collect())
}

/// Makes connections for the client.
#[derive(Clone)]
pub(super) struct Connector(Arc<Inner>);

struct Inner {
    allow: Vec<OutboundHost>,
    trust: Trust,
    names: Box<Names>,
    lookups: Arc<Semaphore>,
}

impl Connector {
    pub(super) fn new(allow: Vec<OutboundHost>, trust: Trust, names: Box<Names>) -> Self {
        Self(Arc::new(Inner {
            allow,
            trust,
            names,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }))
    }

    /// The hosts that may be private.
    pub(super) fn allow(&self) -> &[OutboundHost] {
        &self.0.allow
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<Wire>, OutboundError> {
        // The URL was judged before; it is judged where it is used as well, so that there is no way around.
        let (_, destination) = destination::parse(&uri.to_string(), self.allow())?;
        let until = Instant::now() + CONNECT_TIMEOUT;
        let addresses = self.addresses(&destination, until).await?;
        let stream = dial(&destination, &addresses, until).await?;
        let failed = |error: &dyn std::fmt::Display| {
            OutboundError::Unreachable(format!("{}: {error}", destination.authority()))
        };
        // Small requests are written whole; waiting to fill packets would only delay them.
        stream.set_nodelay(true).map_err(|error| failed(&error))?;
        if !destination.is_tls {
            return Ok(TokioIo::new(Wire::Plain(stream)));
        }
        let tls = self.0.trust.connector().map_err(|error| failed(&error))?;
        let name = server_name(&destination.host).map_err(|error| failed(&error))?;
        match timeout_at(until, tls.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(TokioIo::new(Wire::Tls(Box::new(stream)))),
            Ok(Err(error)) => Err(failed(&format_args!("TLS: {error}"))),
            Err(_) => Err(failed(&"no TLS handshake in time")),
        }
    }

    /// The addresses that may be dialled: at least one.
    async fn addresses(
        &self,
        destination: &Destination,
        until: Instant,
    ) -> Result<Vec<SocketAddr>, OutboundError> {
        let found = match &destination.host {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) => self.look_up(name, until).await?,
        };
        let mut refused = OutboundError::Unreachable(format!("{}: no address", destination.host));
        let mut addresses = Vec::new();
        for address in found {
            match destination.admits(address) {
                Ok(()) => addresses.push(SocketAddr::new(address, destination.port)),
                Err(error) => refused = error,
            }
        }
        if addresses.is_empty() {
            return Err(refused);
        }
        Ok(in_turn(addresses))
    }

    /// Looks a name up on a thread for work that blocks. The permit goes with the work: a caller who gives up leaves the thread
    /// busy, and a slow name server must not take them all.
    async fn look_up(&self, name: &str, until: Instant) -> Result<Vec<IpAddr>, OutboundError> {
        let failed = |detail: String| OutboundError::Unreachable(format!("{name}: {detail}"));
        let inner = Arc::clone(&self.0);
        let owned = name.to_owned();
        let work = async {
            let permit = Arc::clone(&inner.lookups)
                .acquire_owned()
                .await
                .map_err(|error| failed(error.to_string()))?;
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                (inner.names)(&owned)
            })
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))
        };
        timeout_at(until, work)
            .await
            .unwrap_or_else(|_| Err(failed("the name was not found in time".to_owned())))
    }
}

/// The first addresses of each family in turn: where one family leads nowhere, the second attempt is of the other.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut turns = Vec::new();
    for address in first {
        turns.push(address);
        turns.extend(second.next());
    }
    turns.extend(second);
    turns.dedup();
    turns.truncate(ADDRESSES_MAX);
    turns
}

/// Dials one address after the other; each has an equal share of the time that is left.
async fn dial(
    destination: &Destination,
    addresses: &[SocketAddr],
    until: Instant,
) -> Result<TcpStream, OutboundError> {
    let mut failed = OutboundError::Unreachable(format!("{}: no address", destination.host));
    for (position, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - position).unwrap_or(1);
        let share = until.saturating_duration_since(Instant::now()) / left;
        failed = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => OutboundError::Unreachable(format!("{address}: {error}")),
            Err(_) => OutboundError::Unreachable(format!("{address}: no connection in time")),
        };
    }
    Err(failed)
}

fn server_name(host: &Host) -> Result<ServerName<'static>, rustls_pki_types::InvalidDnsNameError> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()),
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::V4(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::V6(*address))),
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = OutboundError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection, with TLS or without.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(addresses: &'static [&'static str]) -> Connector {
        let names = |_: &str| Ok(addresses.iter().map(|text| text.parse().unwrap()).collect());
        Connector::new(Vec::new(), Trust::read(None).unwrap(), Box::new(names))
    }

    async fn dialled(addresses: &'static [&'static str]) -> Result<Vec<String>, OutboundError> {
        let (_, destination) = destination::parse("https://mixed.test:8443/", &[]).unwrap();
        let until = Instant::now() + CONNECT_TIMEOUT;
        let kept = found(addresses).addresses(&destination, until).await?;
        Ok(kept.iter().map(|kept| kept.ip().to_string()).collect())
    }

    #[tokio::test]
    async fn t51_of_a_name_with_public_and_private_addresses_only_the_public_are_dialled() {
        let kept = dialled(&["127.0.0.1", "8.8.8.8", "::1", "10.0.0.1"]).await;
        assert_eq!(kept.unwrap(), ["8.8.8.8"]);
        assert!(matches!(
            dialled(&["127.0.0.1", "::ffff:8.8.8.8"]).await,
            Err(OutboundError::Refused(_))
        ));
        assert!(matches!(
            dialled(&[]).await,
            Err(OutboundError::Unreachable(_))
        ));
    }

    #[tokio::test]
    async fn families_take_turns_and_few_addresses_are_tried() {
        let kept = dialled(&[
            "2606:4700::1",
            "2606:4700::2",
            "2606:4700::3",
            "1.1.1.1",
            "1.1.1.2",
        ]);
        assert_eq!(
            kept.await.unwrap(),
            ["2606:4700::1", "1.1.1.1", "2606:4700::2", "1.1.1.2"]
        );
    }
}
