//! The listener: from a TCP connection to requests, and back.
//!
//! The law: a stranger holds a socket for seconds, not for as long as they like, and never more than their share of them.
//! Every wait on the other side has a limit in [`Limits`]: the handshake, the first bytes, the head of a request, the
//! answer, and a reader who does not read. Stopping finishes what has begun, within a bounded time.
//!
//! Nothing here allocates for a request beyond what hyper and the request extensions do.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt};

use super::peer::{Network, Peer, TrustedProxies};

/// The largest head of an HTTP/1 request, in bytes; hyper answers 431 beyond it. A sealed request in the URL, ten cookies and
/// a client assertion fit.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The largest header list of an HTTP/2 request, in bytes.
const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
/// Requests at a time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 100;
/// Resets of a peer that may wait to be handled before its connection is closed (rapid reset).
const STREAM_RESETS_MAX: usize = 20;
/// Bytes that an HTTP/2 peer may send ahead on one request.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// Bytes that an HTTP/2 peer may send ahead on one connection.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes after which the first bytes of a connection have told its protocol: the length of the HTTP/2 preface.
const PREFACE_BYTES: usize = 24;
/// How long accepting rests when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one stranger, and all of them, may hold.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Connections at a time; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Connections at a time from one network; further ones are closed. Configured proxies have no such limit.
    pub connections_per_peer_max: u32,
    /// The proxies that speak for many people.
    pub proxies: TrustedProxies,
    /// From the connection to the end of the TLS handshake, to the first bytes, and from there, or from the end of the
    /// last answer, to the end of a request's head. Also how long an HTTP/2 peer may leave a ping unanswered.
    pub header_timeout: Duration,
    /// From the end of a request's head to the beginning of the answer; reading the body is part of it.
    pub request_timeout: Duration,
    /// How long a peer may read nothing while there is something to write.
    pub write_timeout: Duration,
    /// How long requests may still run after the listener was told to stop.
    pub shutdown_grace: Duration,
}

/// Accepts connections and serves them until `shutdown` is ready, then finishes the requests that run.
///
/// Every request carries its [`Peer`] in its extensions. A request that takes longer than `request_timeout` is answered with
/// 408 where its body was awaited and 503 otherwise, with an empty body.
pub(crate) async fn serve<S, B>(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    service: S,
    shutdown: impl Future<Output = ()>,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + Default + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let shared = Arc::new(Shared {
        builder: builder(&limits),
        tls: tls.map(TlsAcceptor::from),
        places: Arc::new(Places::new(&limits)),
        limits,
    });
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            // Reaps what has ended; pending connections are bounded by the places.
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(&listener, &shared.places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        let connection =
            Arc::clone(&shared).connection(stream, peer, service.clone(), graceful.watcher());
        connections.spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    let grace = shared.limits.shutdown_grace;
    if timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "stopped before every request had been answered"
        );
    }
    connections.shutdown().await;
}

/// What all connections share.
struct Shared {
    builder: Builder<TokioExecutor>,
    tls: Option<TlsAcceptor>,
    places: Arc<Places>,
    limits: Limits,
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .half_close(false)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_pending_accept_reset_streams(STREAM_RESETS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(limits.header_timeout)
        .keep_alive_timeout(limits.header_timeout);
    builder
}

/// Waits for a place, then for a connection. `None` when there is nothing to serve this time.
async fn accept(listener: &TcpListener, places: &Arc<Places>) -> Option<(TcpStream, Peer, Place)> {
    let permit = Arc::clone(&places.all).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => {
            let place = places.take(Network::of(address.ip()), address.ip(), permit)?;
            // Without it the last packet of an answer waits for the peer's delayed acknowledgement.
            stream.set_nodelay(true).ok()?;
            Some((stream, Peer(address), place))
        }
        Err(error) if is_peers_fault(&error) => None,
        Err(error) => {
            tracing::error!(%error, "cannot accept connections");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn is_peers_fault(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// Who holds how many connections.
struct Places {
    all: Arc<Semaphore>,
    /// Never longer than the connections that are open.
    by_network: Mutex<HashMap<Network, u32>>,
    per_network_max: u32,
    proxies: TrustedProxies,
}

/// The right to hold one connection, given back when dropped.
struct Place {
    counted: Option<(Arc<Places>, Network)>,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    fn new(limits: &Limits) -> Self {
        let all = limits.connections_max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            all: Arc::new(Semaphore::new(all)),
            by_network: Mutex::new(HashMap::new()),
            per_network_max: limits.connections_per_peer_max,
            proxies: limits.proxies.clone(),
        }
    }

    fn take(
        self: &Arc<Self>,
        network: Network,
        address: std::net::IpAddr,
        permit: OwnedSemaphorePermit,
    ) -> Option<Place> {
        if self.proxies.contains(address) {
            return Some(Place {
                counted: None,
                _permit: permit,
            });
        }
        let mut by_network = self.by_network.lock();
        let held = by_network.entry(network).or_insert(0);
        if *held >= self.per_network_max {
            drop(by_network);
            tracing::debug!(%network, "connection closed: the network holds too many");
            return None;
        }
        *held += 1;
        drop(by_network);
        Some(Place {
            counted: Some((Arc::clone(self), network)),
            _permit: permit,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((places, network)) = self.counted.take() else {
            return;
        };
        let mut by_network = places.by_network.lock();
        if let Some(held) = by_network.get_mut(&network) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                by_network.remove(&network);
            }
        }
    }
}

impl Shared {
    /// One connection, from its first byte to its last.
    async fn connection<S, B>(
        self: Arc<Self>,
        stream: TcpStream,
        peer: Peer,
        service: S,
        watcher: Watcher,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body + Default + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let served = match &self.tls {
            None => self.requests(stream, peer, service, watcher).await,
            Some(acceptor) => {
                let handshake = timeout(self.limits.header_timeout, acceptor.accept(stream));
                match handshake.await {
                    Ok(Ok(stream)) => self.requests(stream, peer, service, watcher).await,
                    Ok(Err(error)) => Err(error.into()),
                    Err(_) => Err("the TLS handshake took too long".into()),
                }
            }
        };
        if let Err(error) = served {
            // Scanners and slow peers make these all day: they are no errors of ours.
            tracing::debug!(peer = %peer.0, %error, "connection ended early");
        }
    }

    /// The requests of one connection, in the protocol that its first bytes (or ALPN, which ends in the same bytes) say.
    async fn requests<I, S, B>(
        &self,
        io: I,
        peer: Peer,
        service: S,
        watcher: Watcher,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body + Default + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let request_timeout = self.limits.request_timeout;
        let io = TokioIo::new(Patient::new(io, &self.limits));
        let answer = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let awaits_body = !request.body().is_end_stream();
            // RFC 9112, 6.1: after a length that another reader may have understood otherwise, trust no further byte.
            let is_last = request.version() < Version::HTTP_2
                && request.headers().contains_key(header::TRANSFER_ENCODING);
            let answer = service.clone().oneshot(request);
            async move {
                match timeout(request_timeout, answer).await {
                    Ok(answer) => answer.map(|mut response| {
                        if is_last {
                            close(&mut response);
                        }
                        response
                    }),
                    Err(_) => Ok(too_late(awaits_body)),
                }
            }
        });
        watcher
            .watch(self.builder.serve_connection(io, answer))
            .await
    }
}

/// Says that nothing follows on this connection. HTTP/2 has no such header; there a stream ends without it.
fn close<B>(response: &mut Response<B>) {
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// The answer to a request that took too long: whose fault it is depends on whether we waited for its body.
fn too_late<B: Default>(awaits_body: bool) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = if awaits_body {
        StatusCode::REQUEST_TIMEOUT
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    response
}

/// A connection whose other side has a limited time for its first bytes and for reading.
///
/// hyper's own timer begins once the protocol is known, which takes a byte; and it has none for a reader who stops.
struct Patient<I> {
    io: I,
    /// Until the protocol is known: by when the next bytes must be there.
    first: Option<Pin<Box<Sleep>>>,
    read_bytes: usize,
    write_timeout: Duration,
    /// While a write waits: until when. Kept for the next wait, so that a connection allocates it once at most.
    stalled: Option<Pin<Box<Sleep>>>,
    is_stalled: bool,
}

impl<I> Patient<I> {
    fn new(io: I, limits: &Limits) -> Self {
        Self {
            io,
            first: Some(Box::pin(tokio::time::sleep(limits.header_timeout))),
            read_bytes: 0,
            write_timeout: limits.write_timeout,
            stalled: None,
            is_stalled: false,
        }
    }

    /// Passes the outcome of a write on, or an error once it has waited for too long.
    fn bounded<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.is_stalled = false;
            self.first = None;
            return outcome;
        }
        let until = tokio::time::Instant::now() + self.write_timeout;
        let sleep = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if !self.is_stalled {
            self.is_stalled = true;
            sleep.as_mut().reset(until);
        }
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the peer does not read",
        )))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Patient<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut this.io).poll_read(context, buffer);
        if let Some(first) = &mut this.first {
            this.read_bytes += buffer.filled().len() - before;
            if this.read_bytes >= PREFACE_BYTES {
                this.first = None;
            } else if outcome.is_pending() {
                ready!(first.as_mut().poll(context));
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the peer says nothing",
                )));
            }
        }
        outcome
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Patient<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write(context, bytes);
        this.bounded(outcome, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write_vectored(context, bytes);
        this.bounded(outcome, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.io).poll_flush(context) {
            // A flush that had nothing to do is no sign of a reader.
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => this.bounded(Poll::Pending, context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_shutdown(context);
        this.bounded(outcome, context)
    }
}

/// Why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file cannot be read, or holds no PEM of the right kind.
    #[error("{file}: {source}")]
    Pem {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: rustls_pki_types::pem::Error,
    },
    /// There is no certificate in the file.
    #[error("{0}: there is no certificate in this file")]
    Empty(String),
    /// The key and the certificate do not fit together, or the key is of an unknown kind.
    #[error("the TLS certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate that new connections are shown; it can be exchanged while the server runs.
#[derive(Debug)]
pub(crate) struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Reads a certificate chain and its key, both PEM.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self(ArcSwap::new(read_certified_key(
            certificate,
            key,
        )?))))
    }

    /// Reads them again. Where that fails the old ones stay in use.
    pub(crate) fn reload(&self, certificate: &Path, key: &Path) -> Result<(), TlsError> {
        self.0.store(read_certified_key(certificate, key)?);
        Ok(())
    }

    /// TLS 1.3 and 1.2 with HTTP/2 and HTTP/1.1, always with the certificate of the moment.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The one cryptography of this process; the default of the process is never relied upon.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn read_certified_key(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let pem = |file: &Path| {
        let file = file.display().to_string();
        |source| TlsError::Pem { file, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .map_err(pem(certificate))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(pem(certificate))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(certificate.display().to_string()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(pem(key))?;
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &provider())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{Notify, oneshot};
    use tower::service_fn;

    /// Far more than any test takes: a limit that a test does not wait for.
    const LONG: Duration = Duration::from_mins(1);
    /// A limit that a test waits for.
    const SHORT: Duration = Duration::from_millis(60);

    const GET: &[u8] = b"GET /peer HTTP/1.1\r\nHost: a\r\n\r\n";

    fn limits() -> Limits {
        Limits {
            connections_max: 64,
            connections_per_peer_max: 64,
            proxies: TrustedProxies::default(),
            header_timeout: LONG,
            request_timeout: LONG,
            write_timeout: LONG,
            shutdown_grace: LONG,
        }
    }

    struct Running {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        ended: tokio::task::JoinHandle<()>,
        /// Told when a request for `/slow` has begun; such a request waits for `go`.
        begun: Arc<Notify>,
        go: Arc<Notify>,
    }

    #[expect(clippy::disallowed_methods, reason = "a server beside its test")]
    async fn run(limits: Limits, tls: Option<Arc<ServerConfig>>) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, goes) = (Arc::clone(&begun), Arc::clone(&go));
        let service = service_fn(move |request: Request<Incoming>| {
            let (begins, goes) = (Arc::clone(&begins), Arc::clone(&goes));
            async move {
                let peer = *request.extensions().get::<Peer>().unwrap();
                let text = match request.uri().path() {
                    "/slow" => {
                        begins.notify_one();
                        goes.notified().await;
                        "slow".to_owned()
                    }
                    "/echo" => {
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        String::from_utf8(body.to_vec()).unwrap()
                    }
                    "/large" => "x".repeat(64 << 20),
                    _ => peer.0.to_string(),
                };
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
            }
        });
        let ended = tokio::spawn(serve(listener, tls, limits, service, async move {
            let _ = stopped.await;
        }));
        Running {
            address,
            stop,
            ended,
            begun,
            go,
        }
    }

    /// A server that does not wait long for a head.
    async fn run_impatient() -> Running {
        let limits = Limits {
            header_timeout: SHORT,
            ..limits()
        };
        run(limits, None).await
    }

    impl Running {
        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        /// Sends these bytes and reads until the server closes. An abrupt end counts as an end.
        async fn exchange(&self, bytes: &[u8]) -> String {
            let mut stream = self.connect().await;
            let _ = stream.write_all(bytes).await;
            read_to_end(&mut stream).await
        }
    }

    async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
        let mut bytes = Vec::new();
        let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes))
            .await
            .expect("the server closes the connection");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads one answer with a body of known length.
    async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> String {
        let mut text = String::new();
        let mut byte = [0];
        while !text.ends_with("\r\n\r\n") {
            if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                return text;
            }
            text.push(char::from(byte[0]));
        }
        let length: usize = text
            .to_lowercase()
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| {
                rest.split("\r\n").next().unwrap().parse().unwrap()
            });
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        text + std::str::from_utf8(&body).unwrap()
    }

    #[tokio::test]
    async fn a_request_carries_its_peer_and_connections_are_kept() {
        let server = run(limits(), None).await;
        let mut stream = server.connect().await;
        let own = stream.local_addr().unwrap().to_string();
        for _ in 0..3 {
            stream.write_all(GET).await.unwrap();
            let answer = read_answer(&mut stream).await;
            assert!(
                answer.starts_with("HTTP/1.1 200") && answer.ends_with(&own),
                "{answer}"
            );
        }
    }

    #[tokio::test]
    async fn slow_and_silent_peers_are_cut_off() {
        let server = run_impatient().await;
        let heads: &[&[u8]] = &[
            b"",
            b"G",
            b"GET / HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ",
            b"PRI * HTTP/2.0\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ];
        for head in heads {
            assert!(
                !server.exchange(head).await.contains(" 200 "),
                "{}",
                head.escape_ascii()
            );
        }
        // One that was served and then says nothing more.
        let answer = server.exchange(GET).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let server = run(
            Limits {
                request_timeout: SHORT,
                ..limits()
            },
            None,
        )
        .await;
        let answer = server
            .exchange(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
            .await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let answer = read_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }

    #[tokio::test]
    async fn a_peer_who_does_not_read_is_cut_off() {
        let server = run(
            Limits {
                write_timeout: SHORT,
                ..limits()
            },
            None,
        )
        .await;
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        // The answer has begun, and nobody reads on.
        stream.readable().await.unwrap();
        server.stop.send(()).unwrap();
        // The server ends although its last answer has not been read: the peer was cut off.
        timeout(Duration::from_secs(20), server.ended)
            .await
            .unwrap()
            .unwrap();
        assert!(read_to_end(&mut stream).await.len() < 64 << 20);
    }

    #[tokio::test]
    async fn a_network_holds_its_share_and_no_more() {
        let server = run(
            Limits {
                connections_per_peer_max: 2,
                ..limits()
            },
            None,
        )
        .await;
        let mut kept = Vec::new();
        for _ in 0..2 {
            let mut stream = server.connect().await;
            stream.write_all(GET).await.unwrap();
            assert!(read_answer(&mut stream).await.contains(" 200 "));
            kept.push(stream);
        }
        for _ in 0..5 {
            assert_eq!(server.exchange(GET).await, "");
        }
        // A place that was given up can be taken again.
        drop(kept);
        let again = async {
            loop {
                let mut stream = server.connect().await;
                let _ = stream.write_all(GET).await;
                if read_answer(&mut stream).await.contains(" 200 ") {
                    break;
                }
            }
        };
        timeout(Duration::from_secs(20), again).await.unwrap();
    }

    #[tokio::test]
    async fn a_proxy_has_no_share() {
        let proxies = TrustedProxies::new(&["127.0.0.0/8".parse().unwrap()]);
        let server = run(
            Limits {
                connections_per_peer_max: 1,
                proxies,
                ..limits()
            },
            None,
        )
        .await;
        let mut kept = Vec::new();
        for _ in 0..5 {
            let mut stream = server.connect().await;
            stream.write_all(GET).await.unwrap();
            assert!(read_answer(&mut stream).await.contains(" 200 "));
            kept.push(stream);
        }
    }

    #[tokio::test]
    async fn beyond_all_places_a_connection_waits_for_one() {
        let server = run(
            Limits {
                connections_max: 1,
                ..limits()
            },
            None,
        )
        .await;
        let mut first = server.connect().await;
        first.write_all(GET).await.unwrap();
        assert!(read_answer(&mut first).await.contains(" 200 "));
        let mut second = server.connect().await;
        second.write_all(GET).await.unwrap();
        assert!(timeout(SHORT, second.readable()).await.is_err());
        drop(first);
        assert!(read_answer(&mut second).await.contains(" 200 "));
    }

    #[tokio::test]
    async fn stopping_finishes_what_runs_and_accepts_nothing_new() {
        let server = run(limits(), None).await;
        let mut idle = server.connect().await;
        idle.write_all(GET).await.unwrap();
        read_answer(&mut idle).await;
        let mut busy = server.connect().await;
        busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        server.begun.notified().await;
        server.stop.send(()).unwrap();
        assert_eq!(read_to_end(&mut idle).await, "");
        assert!(TcpStream::connect(server.address).await.is_err());
        assert!(!server.ended.is_finished());
        server.go.notify_one();
        let answer = read_to_end(&mut busy).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("slow"),
            "{answer}"
        );
        server.ended.await.unwrap();
    }

    #[tokio::test]
    async fn stopping_does_not_wait_for_ever() {
        let server = run(
            Limits {
                shutdown_grace: SHORT,
                ..limits()
            },
            None,
        )
        .await;
        let mut busy = server.connect().await;
        busy.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        server.begun.notified().await;
        server.stop.send(()).unwrap();
        server.ended.await.unwrap();
        assert_eq!(read_to_end(&mut busy).await, "");
    }

    #[tokio::test]
    async fn a_second_request_is_not_smuggled_into_the_first() {
        let server = run_impatient().await;
        let smuggled = "GET /peer HTTP/1.1\r\nHost: a\r\n\r\n";
        // head and body before the smuggled request; answers that may follow
        #[rustfmt::skip]
        let table: &[(&str, &str)] = &[
            ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",   "200"),
            ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",   "200"),
            ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",                        "200"),
            ("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",                  "400"),
            ("Content-Length: +3\r\n\r\nabc",                                      "400"),
            ("Content-Length: 3, 4\r\n\r\nabc",                                    "400"),
            ("Transfer-Encoding: identity\r\n\r\n",                                "400"),
            ("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",              "400"),
            ("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",                       "400"),
            ("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",                       "400"),
            ("X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",               "400"),
            ("X: a\rb\r\n\r\n",                                                    "400"),
            ("X: \0\r\n\r\n",                                                      "400"),
        ];
        for (row, (head, status)) in table.iter().enumerate() {
            let answers = server
                .exchange(format!("POST /echo HTTP/1.1\r\nHost: a\r\n{head}{smuggled}").as_bytes())
                .await;
            assert!(
                answers.starts_with(&format!("HTTP/1.1 {status}")),
                "row {row}: {answers}"
            );
            assert_eq!(
                answers.matches("HTTP/1.1 ").count(),
                1,
                "row {row}: {answers}"
            );
        }
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_refused() {
        let server = run(
            Limits {
                header_timeout: Duration::from_secs(5),
                ..limits()
            },
            None,
        )
        .await;
        let large = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(2 * HEAD_BYTES_MAX)
        );
        let answer = server.exchange(large.as_bytes()).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
        let many = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: y\r\n".repeat(200)
        );
        let answer = server.exchange(many.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }

    /// The preface, empty settings, and `GET /slow` or `GET /` as stream 1.
    fn http2_get(path: &str) -> Vec<u8> {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        let mut head = vec![
            0x82,
            0x86,
            0x41,
            1,
            b'a',
            0x44,
            u8::try_from(path.len()).unwrap(),
        ];
        head.extend(path.as_bytes());
        bytes.extend([0, 0, u8::try_from(head.len()).unwrap(), 1, 0x5, 0, 0, 0, 1]);
        bytes.extend(head);
        bytes
    }

    /// Reads frames up to one of this type, and returns its stream and payload.
    async fn read_frame(stream: &mut TcpStream, kind: u8) -> Option<(u8, Vec<u8>)> {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.ok()?;
            let mut payload = vec![0; usize::from(head[1]) * 256 + usize::from(head[2])];
            stream.read_exact(&mut payload).await.ok()?;
            if head[3] == kind {
                return Some((head[8], payload));
            }
        }
    }

    const HEADERS: u8 = 1;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    /// `:status: 200` in the static table of HPACK.
    const STATUS_200: u8 = 0x88;

    #[tokio::test]
    async fn http2_is_served_and_stopped_gracefully() {
        let server = run(limits(), None).await;
        let mut stream = server.connect().await;
        stream.write_all(&http2_get("/slow")).await.unwrap();
        server.begun.notified().await;
        server.stop.send(()).unwrap();
        read_frame(&mut stream, GOAWAY).await.unwrap();
        // The server asks whether its notice has arrived (RFC 9113, 6.8).
        let (_, ping) = read_frame(&mut stream, PING).await.unwrap();
        stream
            .write_all(&[0, 0, 8, PING, 1, 0, 0, 0, 0])
            .await
            .unwrap();
        stream.write_all(&ping).await.unwrap();
        server.go.notify_one();
        let (id, head) = read_frame(&mut stream, HEADERS).await.unwrap();
        assert_eq!((id, head[0]), (1, STATUS_200));
        read_to_end(&mut stream).await;
        server.ended.await.unwrap();
    }

    #[tokio::test]
    async fn an_http2_peer_that_answers_no_ping_is_cut_off() {
        let server = run_impatient().await;
        let mut stream = server.connect().await;
        stream.write_all(&http2_get("/")).await.unwrap();
        assert_eq!(
            read_frame(&mut stream, HEADERS).await.unwrap().1[0],
            STATUS_200
        );
        read_to_end(&mut stream).await;
        // Nor one whose headers do not end.
        let mut bytes = http2_get("/");
        let flags = bytes.len() - 1 - (7 + 5);
        assert_eq!(bytes[flags], 0x5);
        bytes[flags] = 0x1;
        let mut stream = server.connect().await;
        stream.write_all(&bytes).await.unwrap();
        assert!(read_frame(&mut stream, HEADERS).await.is_none());
    }

    /// Self-signed for `localhost`, valid for a hundred years, used nowhere else.
    const CERTIFICATE: &str = "\
        -----BEGIN CERTIFICATE-----\n\
        MIIBkjCCATigAwIBAgIUM0yOdcuS6CthhRl2b8+KCF8KzHcwCgYIKoZIzj0EAwIw\n\
        FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjE3MjcyMVoYDzIxMjYxMDI5\n\
        MTcyNzIxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n\
        PQMBBwNCAARBgx4Wu4pYfN/jYn6P+bNYzFFa2WyToHzntDUR1nLNquz7wKS5+sZm\n\
        4nWTIXrgi8HL8JMmMlx3cxvU8j0bvMvro2YwZDAdBgNVHQ4EFgQUeBbceF+ynYLd\n\
        Jmt2ldhYgJuulaIwHwYDVR0jBBgwFoAUeBbceF+ynYLdJmt2ldhYgJuulaIwFAYD\n\
        VR0RBA0wC4IJbG9jYWxob3N0MAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAw\n\
        RQIhAPxsHS/WkI+MpJVAeTBbqrKQCYThedbXaqL7OFxDflKhAiBPBU6ICtBhtlD2\n\
        SkksfUxy7EYAR5klQSQV1q/4YOALlA==\n\
        -----END CERTIFICATE-----\n";
    const KEY: &str = "\
        -----BEGIN PRIVATE KEY-----\n\
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2o1zdufB1lqOpmSp\n\
        sRrlh61cTnEn/FGYf5svgnFt21ShRANCAARBgx4Wu4pYfN/jYn6P+bNYzFFa2WyT\n\
        oHzntDUR1nLNquz7wKS5+sZm4nWTIXrgi8HL8JMmMlx3cxvU8j0bvMvr\n\
        -----END PRIVATE KEY-----\n";

    struct Pem {
        _folder: tempfile::TempDir,
        certificate: std::path::PathBuf,
        key: std::path::PathBuf,
    }

    fn pem(certificate: &str, key: &str) -> Pem {
        let folder = tempfile::tempdir().unwrap();
        let paths = (
            folder.path().join("certificate.pem"),
            folder.path().join("key.pem"),
        );
        std::fs::write(&paths.0, certificate).unwrap();
        std::fs::write(&paths.1, key).unwrap();
        Pem {
            _folder: folder,
            certificate: paths.0,
            key: paths.1,
        }
    }

    async fn connect_tls(
        server: &Running,
        alpn: &[u8],
        version: &'static rustls::SupportedProtocolVersion,
    ) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap())
            .unwrap();
        let mut config = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect("localhost".try_into().unwrap(), server.connect().await)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn tls_speaks_both_versions_and_both_protocols() {
        let files = pem(CERTIFICATE, KEY);
        let certificate = Certificate::read(&files.certificate, &files.key).unwrap();
        let server = run(limits(), Some(certificate.server_config().unwrap())).await;
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let mut stream = connect_tls(&server, b"http/1.1", version).await;
            stream.write_all(GET).await.unwrap();
            assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200"));
        }
        // HTTP/2: the server's first frame is its settings.
        let mut stream = connect_tls(&server, b"h2", &rustls::version::TLS13).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await
            .unwrap();
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(frame[3], 4, "{frame:?}");
    }

    #[tokio::test]
    async fn a_handshake_that_does_not_come_is_not_waited_for() {
        let files = pem(CERTIFICATE, KEY);
        let certificate = Certificate::read(&files.certificate, &files.key).unwrap();
        let limits = Limits {
            header_timeout: SHORT,
            ..limits()
        };
        let server = run(limits, Some(certificate.server_config().unwrap())).await;
        for bytes in [&b""[..], b"\x16\x03\x01", GET] {
            assert!(!server.exchange(bytes).await.contains("200"));
        }
        // Nor one that says nothing after it.
        let mut stream = connect_tls(&server, b"http/1.1", &rustls::version::TLS13).await;
        assert_eq!(read_to_end(&mut stream).await, "");
    }

    #[test]
    fn a_certificate_that_cannot_be_used_is_refused_and_the_old_one_stays() {
        let good = pem(CERTIFICATE, KEY);
        let certificate = Certificate::read(&good.certificate, &good.key).unwrap();
        let before = certificate.0.load_full();
        for (text, key) in [
            ("", KEY),
            (CERTIFICATE, ""),
            (KEY, CERTIFICATE),
            (CERTIFICATE, "nonsense"),
        ] {
            let bad = pem(text, key);
            assert!(certificate.reload(&bad.certificate, &bad.key).is_err());
        }
        assert!(
            certificate
                .reload(Path::new("/nowhere"), &good.key)
                .is_err()
        );
        assert!(Arc::ptr_eq(&before, &certificate.0.load_full()));
        certificate.reload(&good.certificate, &good.key).unwrap();
        assert!(!Arc::ptr_eq(&before, &certificate.0.load_full()));
    }
}
