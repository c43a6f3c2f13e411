//! The client against listeners of this process. Deadlines are arguments, so nothing here sleeps.

use super::*;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
/// Long enough for this machine to answer itself.
const AMPLE: Bounds = Bounds {
    body_bytes_max: BODY_BYTES_MAX,
    deadline: DEADLINE,
};
/// What a test waits for an answer that never comes.
const BRIEF: Bounds = Bounds {
    body_bytes_max: 1024,
    deadline: Duration::from_millis(150),
};

/// What a listener does once it has sent its text.
#[derive(Clone, Copy)]
enum Then {
    Close,
    Hold,
    Again,
}

/// A listener of this process: what it was sent, and how often it was dialled.
struct Upstream {
    port: u16,
    dialled: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Upstream {
    async fn saying(text: impl Into<String>, then: Then) -> Self {
        Self::with(text.into(), then, None).await
    }

    async fn with_tls() -> Self {
        let chain = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        Self::with(
            OK.to_owned(),
            Then::Again,
            Some(TlsAcceptor::from(Arc::new(config))),
        )
        .await
    }

    async fn with(text: String, then: Then, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dialled = Arc::new(AtomicUsize::new(0));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let (counter, log) = (Arc::clone(&dialled), Arc::clone(&heard));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::AcqRel);
                let (text, log, tls) = (text.clone(), Arc::clone(&log), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => converse(stream, &text, then, &log).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, &text, then, &log).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            port,
            dialled,
            heard,
            _tasks: tasks,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn dialled(&self) -> usize {
        self.dialled.load(Ordering::Acquire)
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().clone()
    }
}

async fn converse(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    text: &str,
    then: Then,
    log: &Mutex<Vec<String>>,
) {
    while let Some(request) = read_request(&mut stream).await {
        log.lock().push(request);
        // The other side may have had enough before the end.
        let _ = stream.write_all(text.as_bytes()).await;
        let _ = stream.flush().await;
        match then {
            Then::Close => return,
            Then::Hold => std::future::pending().await,
            Then::Again => {}
        }
    }
}

/// One request, with as much body as its head announces.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text.into_owned());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn hosts(allow: &[&str]) -> Vec<OutboundHost> {
    allow
        .iter()
        .map(|text| OutboundHost::parse(text).unwrap())
        .collect()
}

fn outbound(allow: &[&str]) -> OutboundHttp {
    OutboundHttp::new(hosts(allow), None, DEADLINE).unwrap()
}

/// A client for which every name has these addresses; and how often it looked one up.
fn knowing(allow: &[&str], addresses: &[&str]) -> (OutboundHttp, Arc<AtomicUsize>) {
    let lookups = Arc::new(AtomicUsize::new(0));
    let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
    let counter = Arc::clone(&lookups);
    let names = move |_: &str| {
        counter.fetch_add(1, Ordering::AcqRel);
        Ok(addresses.clone())
    };
    let outbound = OutboundHttp::with_names(
        hosts(allow),
        Trust::read(None).unwrap(),
        Box::new(names),
        DEADLINE,
    );
    (outbound, lookups)
}

async fn get(
    outbound: &OutboundHttp,
    url: &str,
    bounds: Bounds,
) -> Result<OutboundResponse, OutboundError> {
    outbound.get(url, HeaderMap::new(), bounds).await
}

fn is_refused(answer: &Result<OutboundResponse, OutboundError>) -> bool {
    matches!(answer, Err(OutboundError::Refused(_)))
}

#[tokio::test]
async fn t51_no_packet_reaches_a_private_address_however_it_is_written() {
    let upstream = Upstream::saying(OK, Then::Close).await;
    let port = upstream.port;
    let outbound = outbound(&[]);
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "localhost",
        "LOCALHOST",
        "１２７.0.0.1",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        let answer = get(&outbound, &format!("https://{host}:{port}/"), AMPLE).await;
        assert!(is_refused(&answer), "{host}: {answer:?}");
    }
    assert_eq!(upstream.dialled(), 0);
}

#[tokio::test]
async fn t51_a_url_that_is_not_plain_https_to_a_port_of_http_is_refused() {
    let outbound = outbound(&["allowed.test"]);
    let long = format!("https://a.test/{}", "a".repeat(destination::URL_BYTES_MAX));
    for url in [
        "http://a.test/",
        "ftp://a.test/",
        "file:///etc/passwd",
        "gopher://a.test:70/_x",
        "data:application/json,{}",
        "javascript:alert(1)",
        "ws://a.test/",
        "unix:/run/x.sock",
        "//a.test/",
        "",
        "https://",
        "https://user@a.test/",
        "https://user:password@a.test/",
        "https://:password@a.test/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://a%00.test/",
        "https://a.test:22/",
        "https://a.test:25/",
        "https://a.test:80/",
        "https://a.test:1023/",
        "https://a.test:6667/",
        "https://a.test:0/",
        "file://allowed.test/etc/passwd",
        "ftp://allowed.test/",
        "http://user@allowed.test/",
        long.as_str(),
    ] {
        assert!(outbound.accepts(url).is_err(), "{url}");
        let answer = get(&outbound, url, AMPLE).await;
        assert!(is_refused(&answer), "{url}: {answer:?}");
    }
    for url in [
        "https://a.test/",
        "https://a.test:443/",
        "https://a.test:8443/",
    ] {
        assert_eq!(outbound.accepts(url), Ok(()), "{url}");
    }
}

#[tokio::test]
async fn t51_a_name_is_judged_by_its_addresses_and_looked_up_once() {
    let upstream = Upstream::saying(OK, Then::Close).await;
    let url = format!("https://rebinding.test:{}/", upstream.port);
    for addresses in [
        &["127.0.0.1"][..],
        &["10.0.0.1", "127.0.0.1"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["fe80::1"],
    ] {
        let (outbound, lookups) = knowing(&[], addresses);
        let answer = get(&outbound, &url, AMPLE).await;
        assert!(is_refused(&answer), "{addresses:?}: {answer:?}");
        assert_eq!(lookups.load(Ordering::Acquire), 1);
    }
    assert_eq!(upstream.dialled(), 0);

    // Where the call goes through, too: nothing is left for a second answer to change.
    let (outbound, lookups) = knowing(&["rebinding.test"], &["127.0.0.1"]);
    let url = format!("http://rebinding.test:{}/", upstream.port);
    assert!(get(&outbound, &url, AMPLE).await.is_ok());
    assert_eq!(
        (lookups.load(Ordering::Acquire), upstream.dialled()),
        (1, 1)
    );
}

#[tokio::test]
async fn t51_the_error_text_is_one_for_refused_closed_silent_and_foreign() {
    let silent = Upstream::saying("", Then::Hold).await;
    let foreign = Upstream::saying("SSH-2.0-OpenSSH_9.9\r\n", Then::Close).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed_port = closed.local_addr().unwrap().port();
    drop(closed);
    let outbound = outbound(&["127.0.0.1"]);
    let mut texts = Vec::new();
    for url in [
        silent.url(),
        foreign.url(),
        format!("http://127.0.0.1:{closed_port}/"),
        // No TLS there.
        format!("https://127.0.0.1:{}/", foreign.port),
        "https://10.0.0.1/".to_owned(),
        "https://no-such-name.invalid/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        texts.push(get(&outbound, &url, BRIEF).await.unwrap_err().to_string());
    }
    texts.dedup();
    assert_eq!(texts, ["the other server gave no answer"]);
}

#[tokio::test]
async fn t51_a_redirect_is_not_followed_and_its_query_is_not_told() {
    let target = Upstream::saying(OK, Then::Close).await;
    let outbound = outbound(&["127.0.0.1"]);
    for (status, location) in [
        ("301 Moved", target.url()),
        ("302 Found", format!("{}next?secret=1#part", target.url())),
        ("307 Again", "file:///etc/passwd".to_owned()),
        ("308 Always", "/elsewhere?secret=1".to_owned()),
        ("304 Same", String::new()),
    ] {
        let text =
            format!("HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let upstream = Upstream::saying(text, Then::Close).await;
        let error = get(&outbound, &upstream.url(), AMPLE).await.unwrap_err();
        assert!(matches!(error, OutboundError::Redirected(_)), "{error:?}");
        let told = format!("{error} {}", error.detail());
        assert!(!told.contains("secret"), "{told}");
    }
    assert_eq!(target.dialled(), 0);
    let text = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}next?a=b\r\ncontent-length: 0\r\n\r\n",
        target.url()
    );
    let upstream = Upstream::saying(text, Then::Close).await;
    let error = get(&outbound, &upstream.url(), AMPLE).await.unwrap_err();
    let pointed = format!("{}next", target.url());
    assert!(error.detail().ends_with(&pointed), "{}", error.detail());
}

#[tokio::test]
async fn t51_a_body_beyond_the_bound_is_cut_off() {
    let outbound = outbound(&["127.0.0.1"]);
    let head = "HTTP/1.1 200 OK\r\n";
    let body = "a".repeat(1025);
    for text in [
        // Announced, in pieces, and without any end.
        format!("{head}content-length: 1025\r\n\r\n{body}"),
        format!("{head}content-length: 99999999999\r\n\r\n{body}"),
        format!("{head}transfer-encoding: chunked\r\n\r\n401\r\n{body}\r\n"),
        format!("{head}\r\n{body}"),
    ] {
        let upstream = Upstream::saying(text, Then::Hold).await;
        let bounds = Bounds {
            body_bytes_max: 1024,
            ..AMPLE
        };
        let answer = get(&outbound, &upstream.url(), bounds).await;
        assert!(
            matches!(answer, Err(OutboundError::TooLarge(_))),
            "{answer:?}"
        );
    }
    let text = format!(
        "{head}content-length: 1024\r\n\r\n{}",
        body.get(1..).unwrap()
    );
    let upstream = Upstream::saying(text, Then::Hold).await;
    let answer = get(&outbound, &upstream.url(), AMPLE).await.unwrap();
    assert_eq!(answer.body.len(), 1024);
}

#[tokio::test]
async fn t51_a_slow_head_and_a_slow_body_end_at_the_deadline() {
    let outbound = outbound(&["127.0.0.1"]);
    for text in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        "HTTP/1.1 200 OK\r\n\r\n{}",
    ] {
        let upstream = Upstream::saying(text, Then::Hold).await;
        let answer = get(&outbound, &upstream.url(), BRIEF).await;
        assert!(
            matches!(answer, Err(OutboundError::TooSlow(_))),
            "{text}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn t51_an_answer_that_ends_early_or_has_too_much_head_is_no_answer() {
    let outbound = outbound(&["127.0.0.1"]);
    let long = format!(
        "HTTP/1.1 200 OK\r\na: {}\r\n\r\n",
        "a".repeat(4 * HEAD_BYTES_MAX)
    );
    let many = format!(
        "HTTP/1.1 200 OK\r\n{}\r\n",
        "a: b\r\n".repeat(HEADERS_MAX + 1)
    );
    for text in [
        "",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        "{\"not\": \"http\"}",
        &long,
        &many,
    ] {
        let upstream = Upstream::saying(text, Then::Close).await;
        let answer = get(&outbound, &upstream.url(), AMPLE).await;
        assert!(
            matches!(answer, Err(OutboundError::Unreachable(_))),
            "{text}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn t51_an_encoded_body_is_not_read_and_is_not_asked_for() {
    let outbound = outbound(&["127.0.0.1"]);
    for encoding in [
        "gzip",
        "br",
        "deflate",
        "identity, gzip",
        "gzip\r\ncontent-encoding: identity",
        "x",
        "",
    ] {
        let text = format!(
            "HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        let upstream = Upstream::saying(text, Then::Close).await;
        let answer = get(&outbound, &upstream.url(), AMPLE).await;
        assert!(
            matches!(answer, Err(OutboundError::Encoded(_))),
            "{encoding}: {answer:?}"
        );
    }
    let plain = "HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\ncontent-length: 2\r\n\r\n{}";
    let upstream = Upstream::saying(plain, Then::Close).await;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let answer = outbound.get(&upstream.url(), headers, AMPLE).await;
    assert_eq!(answer.unwrap().body, "{}");
    let heard = upstream.heard();
    assert!(
        heard[0].contains("accept-encoding: identity\r\n"),
        "{heard:?}"
    );
    assert!(!heard[0].contains("gzip"), "{heard:?}");
}

#[tokio::test]
async fn t51_an_allowed_host_counts_as_written_and_only_at_its_port() {
    let upstream = Upstream::saying(OK, Then::Close).await;
    let other = Upstream::saying(OK, Then::Close).await;
    let at = |host: &str| format!("http://{host}:{}/", upstream.port);
    let (address, name) = (at("127.0.0.1"), at("localhost"));
    let with_port = format!("127.0.0.1:{}", upstream.port);

    let by_address = outbound(&["127.0.0.1"]);
    assert!(get(&by_address, &address, AMPLE).await.is_ok());
    assert!(get(&by_address, &other.url(), AMPLE).await.is_ok());
    assert!(is_refused(&get(&by_address, &name, AMPLE).await));
    assert!(is_refused(
        &get(&by_address, &at("[::ffff:127.0.0.1]"), AMPLE).await
    ));
    // A name that leads to an allowed address is not allowed by it.
    let name_over_tls = format!("https://localhost:{}/", upstream.port);
    assert!(is_refused(&get(&by_address, &name_over_tls, AMPLE).await));

    let by_port = outbound(&[&with_port]);
    assert!(get(&by_port, &address, AMPLE).await.is_ok());
    let elsewhere = Upstream::saying(OK, Then::Close).await;
    assert!(is_refused(&get(&by_port, &elsewhere.url(), AMPLE).await));
    assert_eq!(elsewhere.dialled(), 0);

    let by_name = outbound(&["localhost"]);
    assert!(get(&by_name, &name, AMPLE).await.is_ok());
    assert!(is_refused(&get(&by_name, &address, AMPLE).await));
    assert!(is_refused(&get(&by_name, &at("a.localhost"), AMPLE).await));
    assert!(is_refused(&get(&by_name, &at("localhost."), AMPLE).await));
}

#[tokio::test]
async fn a_private_authority_counts_only_with_ca_file_and_only_for_its_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, AUTHORITY).unwrap();
    let upstream = Upstream::with_tls().await;
    let port = upstream.port;
    let allow = ["localhost", "127.0.0.1", "other.test"];
    let trusting = OutboundHttp::new(hosts(&allow), Some(&file), DEADLINE).unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{port}/");
        let answer = get(&trusting, &url, AMPLE).await;
        assert_eq!(answer.unwrap().body, "{}");
        let error = get(&outbound(&allow), &url, AMPLE).await.unwrap_err();
        assert!(matches!(error, OutboundError::Unreachable(_)), "{error:?}");
    }
    let names = Box::new(|_: &str| Ok(vec!["127.0.0.1".parse().unwrap()]));
    let trust = Trust::read(Some(&file)).unwrap();
    let misled = OutboundHttp::with_names(hosts(&allow), trust, names, DEADLINE);
    let error = get(&misled, &format!("https://other.test:{port}/"), AMPLE)
        .await
        .unwrap_err();
    assert!(error.detail().contains("TLS"), "{}", error.detail());
    assert_eq!(upstream.heard().len(), 2);
}

#[test]
fn a_file_of_authorities_that_holds_none_is_named_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let refusal = || {
        OutboundHttp::new(Vec::new(), Some(&file), DEADLINE)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let name = file.display().to_string();
    assert!(refusal().contains(&name), "{}", refusal());
    for text in [
        "",
        "not PEM",
        KEY,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n",
    ] {
        std::fs::write(&file, text).unwrap();
        assert!(refusal().contains(&name), "{text}: {}", refusal());
    }
    std::fs::write(&file, AUTHORITY).unwrap();
    assert_eq!(refusal(), "");
}

#[tokio::test]
async fn calls_to_one_host_wait_for_their_turn_within_their_deadline() {
    let slow = Upstream::saying("", Then::Hold).await;
    let quick = Upstream::saying(OK, Then::Close).await;
    let outbound = Arc::new(outbound(&["127.0.0.1"]));
    let mut calls = JoinSet::new();
    for _ in 0..CALLS_PER_HOST_MAX {
        let (outbound, url) = (Arc::clone(&outbound), slow.url());
        calls.spawn(async move { get(&outbound, &url, AMPLE).await.map(|_| ()) });
    }
    while slow.heard().len() < CALLS_PER_HOST_MAX {
        tokio::task::yield_now().await;
    }
    let answer = get(&outbound, &slow.url(), BRIEF).await;
    assert!(
        matches!(answer, Err(OutboundError::TooSlow(_))),
        "{answer:?}"
    );
    assert_eq!(slow.dialled(), CALLS_PER_HOST_MAX);
    assert!(get(&outbound, &quick.url(), AMPLE).await.is_ok());
    assert_eq!(outbound.turns.hosts(), 1);
    calls.shutdown().await;
    assert_eq!(outbound.turns.hosts(), 0);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let upstream = Upstream::saying(OK, Then::Again).await;
    let outbound = outbound(&["127.0.0.1"]);
    for _ in 0..3 {
        assert!(get(&outbound, &upstream.url(), AMPLE).await.is_ok());
        // The connection's own task has to see that it is free.
        tokio::task::yield_now().await;
    }
    assert_eq!((upstream.dialled(), upstream.heard().len()), (1, 3));
}

#[tokio::test]
async fn forms_and_json_are_posted_as_what_they_are() {
    let upstream = Upstream::saying(OK, Then::Close).await;
    let outbound = outbound(&["127.0.0.1"]);
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Basic eDp5"));
    let form = [("grant_type", "authorization_code"), ("code", "a b&c=ä")];
    let url = format!("{}token?tenant=1#part", upstream.url());
    outbound
        .post_form(&url, &form, headers, AMPLE)
        .await
        .unwrap();
    let json = serde_json::json!({"a": 1});
    outbound
        .post_json(&upstream.url(), &json, HeaderMap::new(), AMPLE)
        .await
        .unwrap();
    let heard = upstream.heard();
    assert!(
        heard[0].starts_with("POST /token?tenant=1 HTTP/1.1\r\n"),
        "{heard:?}"
    );
    for line in [
        "authorization: Basic eDp5\r\n",
        "user-agent: Vestibule\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        "\r\n\r\ngrant_type=authorization_code&code=a+b%26c%3D%C3%A4",
    ] {
        assert!(heard[0].contains(line), "{line}: {heard:?}");
    }
    assert!(heard[1].contains("content-type: application/json\r\n"));
    assert!(heard[1].ends_with("\r\n\r\n{\"a\":1}"));
}

#[tokio::test]
async fn an_answer_is_taken_for_json_only_if_it_says_so_and_for_success_only_if_it_is() {
    let outbound = outbound(&["127.0.0.1"]);
    for (media_type, is_json) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/jwk-set+json", true),
        ("text/html", false),
        ("text/json-not", false),
        ("", false),
    ] {
        let text = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        let upstream = Upstream::saying(text, Then::Close).await;
        let answer = get(&outbound, &upstream.url(), AMPLE).await.unwrap();
        assert_eq!(answer.json().is_ok(), is_json, "{media_type}");
    }
    for status in ["400", "401", "404", "500", "199"] {
        let text = format!("HTTP/1.1 {status} No\r\ncontent-length: 2\r\n\r\n{{}}");
        let upstream = Upstream::saying(text, Then::Close).await;
        match get(&outbound, &upstream.url(), BRIEF).await {
            Ok(answer) => {
                let error = answer.successful().unwrap_err();
                assert!(matches!(error, OutboundError::Status(..)), "{error:?}");
            }
            Err(error) => assert_eq!(error.to_string(), NO_ANSWER),
        }
    }
}

/// A private authority, made for these tests and used nowhere else; its key is thrown away.
const AUTHORITY: &str = "\
    -----BEGIN CERTIFICATE-----\n\
    MIIBYzCCAQmgAwIBAgIUQ9SusAAdI7KcyLeJQijUBxP4YkkwCgYIKoZIzj0EAwIw\n\
    JjEkMCIGA1UEAwwbUHJpdmF0ZSBhdXRob3JpdHkgb2YgYSB0ZXN0MCAXDTI0MDEw\n\
    MTAwMDAwMFoYDzIxMjQwMTAxMDAwMDAwWjAmMSQwIgYDVQQDDBtQcml2YXRlIGF1\n\
    dGhvcml0eSBvZiBhIHRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASfqP2o\n\
    WQytXezNhXaXEYHA04Us5N3dIsTVvdfW/pU0UxggZJhWByyH5f937gepzhH38Vl8\n\
    BgTPPMteGWH5SGpzoxMwETAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gA\n\
    MEUCIEAp+u+7O95vUSb6WeajuWo2G7VFJjJB7K1zgR2b7kEzAiEAvbNlaXWsfgP4\n\
    y3whXH4uK0zqenOBM8eKwHM7SjpdcZU=\n\
    -----END CERTIFICATE-----\n";
/// What it says of `localhost` and 127.0.0.1, valid until 2124.
const CERTIFICATE: &str = "\
    -----BEGIN CERTIFICATE-----\n\
    MIIBfzCCASWgAwIBAgIUWi22WxOFy6sYfXiILMsRPpJIZgowCgYIKoZIzj0EAwIw\n\
    JjEkMCIGA1UEAwwbUHJpdmF0ZSBhdXRob3JpdHkgb2YgYSB0ZXN0MCAXDTI0MDEw\n\
    MTAwMDAwMFoYDzIxMjQwMTAxMDAwMDAwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3Qw\n\
    WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARfccLwmnqYA++2TL72lSFRrwN+gzYw\n\
    Yq2eOuBa/fR4yTKMapoexIdWHXJXsWNPaTPyMfFZE4S5TZ4woAsSA2r+o0EwPzAM\n\
    BgNVHRMBAf8EAjAAMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATATBgNVHSUE\n\
    DDAKBggrBgEFBQcDATAKBggqhkjOPQQDAgNIADBFAiEAgCtnZOrA5c+gH2XrxSWb\n\
    DKG4oBMmAs+ur9kwJj8pS88CIDgtS70P8O/IOnLRxxY+0eDk7NVGMiZ+4xMY7DAU\n\
    JT3h\n\
    -----END CERTIFICATE-----\n";
const KEY: &str = "\
    -----BEGIN PRIVATE KEY-----\n\
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgYHY5hweMYt1buAOe\n\
    n3I5P+PHU3oU923x+cuEeirjCr+hRANCAARfccLwmnqYA++2TL72lSFRrwN+gzYw\n\
    Yq2eOuBa/fR4yTKMapoexIdWHXJXsWNPaTPyMfFZE4S5TZ4woAsSA2r+\n\
    -----END PRIVATE KEY-----\n";
