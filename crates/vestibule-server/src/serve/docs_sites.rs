//! The listeners that docs sites have of their own: one for each site that names an address, as the configuration says it now.

use crate::app;
use crate::http::context::Shared;
use crate::http::docs_sites::SiteHost;
use crate::http::listener::{self, Limits};
use crate::jobs::Stop;
use http::Request;
use hyper::body::Incoming;
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use vestibule_core::docs::site::DocsSite;
use vestibule_store::db::DbError;

/// How often the sites are looked at, whatever was announced; also how long an address that is taken is left alone.
const LOOK: Duration = Duration::from_secs(5);

/// A site that listens: its address, and whether by TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    address: SocketAddr,
    is_tls: bool,
}

/// One that does. Dropping it ends it, after the requests that run.
struct Running {
    wanted: Wanted,
    _stop: watch::Sender<bool>,
}

/// Serves until the signal. `tls` is what the server itself has; a site whose address is https and that finds none is behind a proxy.
pub(super) async fn serve(
    shared: Arc<Shared>,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    mut stop: Stop,
) {
    let mut changes = shared.store.db().subscribe();
    let mut running: BTreeMap<String, Running> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    loop {
        match wanted(&shared).await {
            Ok(wanted) => {
                running.retain(|host, site| wanted.get(host) == Some(&site.wanted));
                for (host, wanted) in wanted {
                    if running.contains_key(&host) {
                        continue;
                    }
                    match TcpListener::bind(wanted.address).await {
                        Ok(listener) => {
                            tracing::info!(%host, listen = %wanted.address, "serving a docs site");
                            let tls = tls.clone().filter(|_| wanted.is_tls);
                            let (sender, stopped) = Stop::new();
                            tasks.spawn(one(
                                Arc::clone(&shared),
                                Arc::from(host.as_str()),
                                listener,
                                tls,
                                limits.clone(),
                                stopped,
                            ));
                            let site = Running {
                                wanted,
                                _stop: sender,
                            };
                            running.insert(host, site);
                        }
                        Err(error) => {
                            tracing::error!(%host, listen = %wanted.address, %error, "a docs site cannot listen");
                        }
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the docs sites cannot be read; those that listen go on");
            }
        }
        tokio::select! {
            () = stop.wait() => break,
            () = changes.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        while tasks.try_join_next().is_some() {}
    }
    drop(running);
    while tasks.join_next().await.is_some() {}
}

/// The sites that are to listen, by their hosts.
async fn wanted(shared: &Shared) -> Result<BTreeMap<String, Wanted>, DbError> {
    let sites = shared.store.any_listening_docs_sites().await?;
    let sites = sites.iter().filter_map(|(_, record)| {
        let site = DocsSite::from_settings(&record.settings).ok()?;
        let wanted = Wanted {
            address: site.listen?,
            is_tls: site.address.is_https(),
        };
        Some((site.address.host, wanted))
    });
    Ok(sites.collect())
}

async fn one(
    shared: Arc<Shared>,
    host: Arc<str>,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    mut stop: Stop,
) {
    let service = tower::service_fn(move |mut request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        request.extensions_mut().insert(SiteHost(Arc::clone(&host)));
        async move { Ok::<_, Infallible>(app::answer(shared, request).await) }
    });
    listener::serve(listener, tls, limits, service, async move {
        stop.wait().await;
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::peer::TrustedProxies;
    use crate::testing::TestServer;
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    const LONG: Duration = Duration::from_secs(20);

    fn limits() -> Limits {
        Limits {
            connections_max: 8,
            connections_per_peer_max: 8,
            proxies: TrustedProxies::default(),
            header_timeout: LONG,
            request_timeout: LONG,
            write_timeout: LONG,
            shutdown_grace: LONG,
        }
    }

    fn settings(root: &str, listen: Option<SocketAddr>) -> Value {
        json!({
            "name": "handbook", "root": root, "listen": listen, "public_url": "http://127.0.0.1:1/docs", "client_id": "x",
            "authorization_url": "https://auth.foo.test/authorization", "token_url": "https://auth.foo.test/exchange",
        })
    }

    async fn asked(address: SocketAddr, host: &str) -> Option<String> {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!("GET /docs/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    #[tokio::test]
    async fn a_site_answers_on_its_own_listener_as_long_as_it_has_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("a.html"), "hello reader").unwrap();
        let server = TestServer::open(
            &[("DATA", root), ("PUBLIC_URL", "http://127.0.0.1:2")],
            1_800_000_000,
            "",
        )
        .await
        .unwrap();
        let address = {
            let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
            free.local_addr().unwrap()
        };
        let (sender, stop) = Stop::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(server.shared(), None, limits(), stop));
        server
            .upsert_docs_site(settings(root, Some(address)))
            .await
            .unwrap();
        let answered = async {
            loop {
                if let Some(answer) = asked(address, "anything.test").await {
                    return answer;
                }
            }
        };
        let answer = timeout(LONG, answered).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("hello reader"),
            "{answer}"
        );
        server.upsert_docs_site(settings(root, None)).await.unwrap();
        let ended = async {
            while asked(address, "anything.test")
                .await
                .is_some_and(|answer| answer.contains("hello"))
            {}
        };
        timeout(LONG, ended).await.unwrap();
        sender.send_replace(true);
        timeout(LONG, tasks.join_next()).await.unwrap();
    }
}
