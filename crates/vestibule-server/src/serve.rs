//! Starting and stopping: from settings to a server that answers, and back without cutting a request.

pub(crate) mod demo;
mod docs_sites;
pub(crate) mod mock_provider;

use crate::app;
use crate::config::value::SealingKey;
use crate::config::{Settings, TlsFiles};
use crate::http::configuration::Configuration;
use crate::http::context::{Clock, PublicAddress, Shared, SystemChance, SystemClock};
use crate::http::listener::{self, Certificate, Limits, TlsError};
use crate::http::peer::TrustedProxies;
use crate::http::projects::Renewals;
use crate::http::seal::RootKey;
use crate::http::throttle::Throttle;
use crate::jobs::{self, Stop};
use crate::outbound::http::tls::AuthoritiesError;
use crate::outbound::http::{DEADLINE, OutboundHttp};
use crate::outbound::password_hash::{Parameters, PasswordHasher};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::convert::Infallible;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use vestibule_core::id::Chance as _;
use vestibule_core::url::Issuer;
use vestibule_store::Store;
use vestibule_store::db::{DatabaseOptions, Db, DbError};
use zeroize::Zeroizing;

/// Why the server does not start. Each names what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// A file or folder.
    #[error("{0}: {1}")]
    File(String, io::Error),
    /// The address.
    #[error("cannot listen on {0}: {1}")]
    Listen(std::net::SocketAddr, io::Error),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file of certificate authorities.
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    /// Anything else, in a sentence.
    #[error("{0}")]
    Other(String),
}

/// Opens the records and everything that requests and commands share.
pub(crate) async fn open_shared(settings: &Settings) -> Result<Arc<Shared>, ServeError> {
    open_with(settings, Arc::new(SystemClock), DEADLINE).await
}

/// The same with another clock, and another deadline of outgoing calls.
pub(crate) async fn open_with(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    outbound_deadline: Duration,
) -> Result<Arc<Shared>, ServeError> {
    let file = |path: &Path| {
        let path = path.display().to_string();
        move |error| ServeError::File(path, error)
    };
    make_folder(&settings.data).map_err(file(&settings.data))?;
    let chance = SystemChance::new();
    let key = match &settings.key {
        Some(key) => key.clone(),
        None => read_or_make_key(&settings.key_file, &chance).map_err(file(&settings.key_file))?,
    };
    let other = |error: &dyn std::fmt::Display| ServeError::Other(error.to_string());
    let root_key = RootKey::new(key.expose()).map_err(|error| other(&error))?;
    let outbound = OutboundHttp::new(
        settings.outbound_allow.clone(),
        settings.ca_file.as_deref(),
        outbound_deadline,
    )?;
    let options = match &settings.database {
        Some(url) => DatabaseOptions::parse(url.expose())?,
        None => DatabaseOptions::in_folder(&settings.data),
    };
    let options = options
        .with_ca_file(settings.ca_file.clone())
        .with_connections(settings.database_connections);
    let store = Store::open(
        Db::open(&options).await?,
        crate::http::context::to_timestamp(clock.millis()),
    )
    .await?;
    let installation = store.installation(&root_key.check).await?;
    if installation.key_check != root_key.check {
        return Err(ServeError::Other(format!(
            "the sealing key is not the one that this database was set up with; put the right key into {} or VESTIBULE_KEY",
            settings.key_file.display()
        )));
    }
    let parameters = Parameters {
        memory_kib: settings.password_memory_kib,
        iterations: settings.password_iterations,
        lanes: settings.password_lanes,
    };
    let hasher = PasswordHasher::start(
        parameters,
        settings.password_threads,
        settings.password_queue,
    )
    .map_err(|error| other(&error))?;
    let public_url = Issuer::parse(settings.public_url.as_str()).map_err(|error| other(&error))?;
    Ok(Arc::new(Shared {
        public_address: PublicAddress::of(&public_url),
        public_url,
        configuration: Configuration::new(installation.version),
        root_key,
        hasher,
        outbound,
        renewals: Renewals::default(),
        throttle: Throttle::new(),
        proxies: TrustedProxies::new(&settings.trusted_proxies),
        clock,
        chance,
        store,
    }))
}

fn make_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Reads the sealing key's file; the first start makes it, readable by its owner only.
fn read_or_make_key(path: &Path, chance: &SystemChance) -> io::Result<SealingKey> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let mode = std::fs::metadata(path)?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(io::Error::other(
                    "others may read this key: run chmod 600 on it",
                ));
            }
            let text = Zeroizing::new(text);
            SealingKey::parse(text.trim())
                .ok_or_else(|| io::Error::other("this file holds no key of 32 bytes in base64"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                make_folder(folder)?;
            }
            let mut bytes = Zeroizing::new([0_u8; 32]);
            chance.fill(bytes.as_mut());
            let text = Zeroizing::new(STANDARD.encode(bytes.as_ref()));
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            SealingKey::parse(&text)
                .ok_or_else(|| io::Error::other("a key that was just made cannot be read"))
        }
        Err(error) => Err(error),
    }
}

/// A new set-up link, which replaces the one before; none once the operator was created.
pub(crate) async fn set_up_link(shared: &Shared) -> Result<Option<String>, DbError> {
    let link = crate::admin::set_up_link(shared).await?;
    Ok(link.map(|link| link.address))
}

/// A server that listens, before it serves.
pub(crate) struct Server {
    shared: Arc<Shared>,
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    settings: Settings,
    /// What applying the installation file changed.
    applied: Option<String>,
}

impl Server {
    /// Opens everything, applies the installation file if there is one, and listens. The default tenant is there afterwards.
    pub(crate) async fn open(settings: Settings) -> Result<Self, ServeError> {
        let certificate = match &settings.tls {
            Some(files) => Some(Certificate::read(&files.certificate, &files.key)?),
            None => None,
        };
        let listener = TcpListener::bind(settings.listen)
            .await
            .map_err(|error| ServeError::Listen(settings.listen, error))?;
        let shared = open_shared(&settings).await?;
        // The file first: it may name the default tenant's id, which does not change once the tenant is there.
        let applied = match &settings.apply {
            Some(path) => Some(
                crate::admin::apply_file(&shared, path)
                    .await
                    .map_err(|error| ServeError::Other(format!("{}: {error}", path.display())))?,
            ),
            None => None,
        };
        crate::admin::ensure_default_tenant(&shared)
            .await
            .map_err(|error| ServeError::Other(error.to_string()))?;
        Ok(Self {
            shared,
            listener,
            certificate,
            settings,
            applied,
        })
    }

    /// What its requests share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Serves until the signal, then finishes what runs and closes the records.
    pub(crate) async fn serve(self, mut stop: Stop) -> Result<(), ServeError> {
        let Self {
            shared,
            listener,
            certificate,
            settings,
            applied: _,
        } = self;
        let tls = certificate
            .as_ref()
            .map(Certificate::server_config)
            .transpose()?;
        let mut jobs = jobs::start(&shared, &stop);
        jobs.spawn(admin_socket(
            Arc::clone(&shared),
            settings.clone(),
            stop.clone(),
        ));
        jobs.spawn(on_hangup(
            certificate.zip(settings.tls.clone()),
            stop.clone(),
        ));
        let limits = Limits {
            connections_max: settings.connections_max,
            connections_per_peer_max: settings.connections_per_peer_max,
            proxies: shared.proxies.clone(),
            header_timeout: settings.header_timeout,
            request_timeout: settings.request_timeout,
            write_timeout: settings.write_timeout,
            shutdown_grace: settings.shutdown_grace,
        };
        jobs.spawn(docs_sites::serve(
            Arc::clone(&shared),
            tls.clone(),
            limits.clone(),
            stop.clone(),
        ));
        let service = {
            let shared = Arc::clone(&shared);
            tower::service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(app::answer(shared, request).await) }
            })
        };
        tracing::info!(listen = %settings.listen, public_url = shared.public_url.as_str(), "serving");
        listener::serve(
            listener,
            tls,
            limits,
            service,
            async move { stop.wait().await },
        )
        .await;
        while jobs.join_next().await.is_some() {}
        // A provider gives a new refresh token once: it is stored, though the client that asked is gone.
        let landed = shared.renewals.landed();
        if tokio::time::timeout(settings.shutdown_grace, landed)
            .await
            .is_err()
        {
            tracing::warn!("a provider did not answer in time; its tokens may be lost");
        }
        shared.store.db().close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

async fn admin_socket(shared: Arc<Shared>, settings: Settings, mut stop: Stop) {
    if let Err(error) =
        crate::admin::socket::serve(shared, &settings.data, async move { stop.wait().await }).await
    {
        tracing::warn!(%error, "commands cannot reach this server: its socket cannot be opened");
    }
}

/// Reads the certificate again on SIGHUP; without one there is nothing to read, and the signal does not end the server. One that
/// cannot be read leaves the old one in place.
async fn on_hangup(certificate: Option<(Arc<Certificate>, TlsFiles)>, mut stop: Stop) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return;
    };
    loop {
        tokio::select! {
            () = stop.wait() => return,
            _ = hangup.recv() => {}
        }
        match certificate
            .as_ref()
            .map(|(certificate, files)| certificate.reload(&files.certificate, &files.key))
        {
            Some(Ok(())) => tracing::info!("the certificate was read again"),
            Some(Err(error)) => {
                tracing::error!(%error, "the certificate was not read again; the old one stays");
            }
            None => {}
        }
    }
}

/// Gives the signal to stop on SIGTERM or SIGINT.
pub(crate) async fn until_told(sender: tokio::sync::watch::Sender<bool>) -> Result<(), ServeError> {
    let other = |error: io::Error| ServeError::Other(error.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(other)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(other)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("told to stop; requests that run are finished");
    sender.send_replace(true);
    Ok(())
}

/// `vestibule serve`: applies the installation file if there is one, prints the set-up link while there is no operator, and serves
/// until told to stop.
pub(crate) async fn run(settings: Settings, say: impl Fn(&str)) -> Result<(), ServeError> {
    let listen = settings.listen;
    for host in &settings.outbound_allow {
        tracing::warn!(%host, "outgoing calls may reach this host at any address, a private one included, and over plain http; use outbound_allow for development only");
    }
    let server = Server::open(settings).await?;
    if let Some(report) = &server.applied {
        say(report);
    }
    if let Some(link) = set_up_link(server.shared()).await? {
        say(&format!(
            "There is no operator yet. Open this link to create one (it works once, for 24 hours):\n\n    {link}\n"
        ));
    }
    say(&format!(
        "Vestibule answers at {} (listening on {listen}).",
        server.shared().public_url.as_str()
    ));
    let (sender, stop) = Stop::new();
    let (served, told) = tokio::join!(server.serve(stop), until_told(sender));
    served.and(told)
}
