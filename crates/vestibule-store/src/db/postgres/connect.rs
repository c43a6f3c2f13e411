//! How a server is reached: the URL, TLS, and the task that drives a connection.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::{DbError, announce_change};
use super::{Fault, spawn};

/// Time in which a connection must stand, TLS and password included.
const CONNECT_MILLISECONDS_MAX: u64 = 10_000;
/// Time after which a silent network counts as broken.
const NETWORK_MILLISECONDS_MAX: u64 = 15_000;
/// Quiet time after which the other side is asked whether it is there.
const KEEPALIVE_SECONDS: u64 = 30;

/// What is needed to connect.
pub(super) struct Connector {
    config: Config,
    /// `None`: without TLS.
    tls: Option<MakeRustlsConnect>,
}

/// A new connection and the task that drives it, which ends with the connection.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) driver: JoinHandle<()>,
}

/// How much of TLS is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    Disable,
    /// Encrypted if the server can; not verified.
    Prefer,
    /// Encrypted; verified when an authority is named.
    Require,
    VerifyFull,
}

impl Connector {
    pub(super) fn new(url: &str, ca_file: Option<&Path>) -> Result<Self, DbError> {
        let Setting {
            url,
            security,
            root,
        } = Setting::parse(url)?;
        // The parser's errors may quote the URL, and with it a password.
        let mut config: Config = url.parse().map_err(|_| {
            DbError::Options("the URL of the PostgreSQL server cannot be read".to_owned())
        })?;
        let security = security.unwrap_or_else(|| {
            if config.get_hosts().iter().all(is_this_machine) {
                Security::Prefer
            } else {
                Security::VerifyFull
            }
        });
        let is_socket = |host: &Host| !matches!(host, Host::Tcp(_));
        let security = if config.get_hosts().iter().all(is_socket) {
            Security::Disable
        } else {
            security
        };
        let ca_file = ca_file.or(root.as_deref());
        let tls = match security {
            Security::Disable => None,
            security => Some(MakeRustlsConnect::new(tls(security, ca_file)?)),
        };
        config.ssl_mode(match security {
            Security::Disable => SslMode::Disable,
            Security::Prefer => SslMode::Prefer,
            Security::Require | Security::VerifyFull => SslMode::Require,
        });
        if config.get_application_name().is_none() {
            config.application_name("vestibule");
        }
        config
            .connect_timeout(Duration::from_millis(CONNECT_MILLISECONDS_MAX))
            .tcp_user_timeout(Duration::from_millis(NETWORK_MILLISECONDS_MAX))
            .keepalives_idle(Duration::from_secs(KEEPALIVE_SECONDS));
        Ok(Self { config, tls })
    }

    /// Connects. With `changes`, every notification that arrives is announced there.
    pub(super) async fn connect(
        &self,
        changes: Option<watch::Sender<u64>>,
    ) -> Result<Connected, DbError> {
        let limit = Duration::from_millis(CONNECT_MILLISECONDS_MAX);
        let connecting = async {
            Ok(match &self.tls {
                None => {
                    let (client, connection) = self.config.connect(NoTls).await?;
                    let driver = spawn(drive(connection, changes));
                    Connected { client, driver }
                }
                Some(tls) => {
                    let (client, connection) = self.config.connect(tls.clone()).await?;
                    let driver = spawn(drive(connection, changes));
                    Connected { client, driver }
                }
            })
        };
        match timeout(limit, Box::pin(connecting)).await {
            Ok(connected) => {
                connected.map_err(|error| Fault::Server("connect", error).into_unavailable())
            }
            Err(_) => Err(DbError::Unavailable(
                "the server does not answer in time".to_owned(),
            )),
        }
    }
}

impl Fault {
    /// Whatever a server says to a new connection, it cannot be used: a wrong password too.
    fn into_unavailable(self) -> DbError {
        DbError::Unavailable(self.describe())
    }
}

/// Drives a connection until it ends.
async fn drive<T>(mut connection: Connection<Socket, T>, changes: Option<watch::Sender<u64>>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match std::future::poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(_))) => {
                if let Some(changes) = &changes {
                    announce_change(changes);
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::warn!(%error, "a connection to the database ended");
                return;
            }
            None => return,
        }
    }
}

/// The parts of the URL that the driver does not understand, and the rest of it.
struct Setting {
    url: String,
    security: Option<Security>,
    root: Option<PathBuf>,
}

impl Setting {
    fn parse(url: &str) -> Result<Self, DbError> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut setting = Self {
            url: String::new(),
            security: None,
            root: None,
        };
        let mut kept = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", mode)) => setting.security = Some(Security::parse(mode)?),
                Some(("sslrootcert", "system")) => {}
                Some(("sslrootcert", path)) => setting.root = Some(PathBuf::from(path)),
                _ => kept.push(pair),
            }
        }
        base.clone_into(&mut setting.url);
        if !kept.is_empty() {
            setting.url.push('?');
            setting.url.push_str(&kept.join("&"));
        }
        Ok(setting)
    }
}

impl Security {
    fn parse(mode: &str) -> Result<Self, DbError> {
        match mode {
            "disable" => Ok(Self::Disable),
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-full" => Ok(Self::VerifyFull),
            _ => Err(DbError::Options(
                "`sslmode` must be disable, prefer, require or verify-full".to_owned(),
            )),
        }
    }
}

/// A socket or a loopback address.
fn is_this_machine(host: &Host) -> bool {
    let Host::Tcp(name) = host else {
        return true;
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn tls(security: Security, ca_file: Option<&Path>) -> Result<ClientConfig, DbError> {
    let wrong = |error: rustls::Error| DbError::Options(format!("TLS: {error}"));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verify =
        security == Security::VerifyFull || (security == Security::Require && ca_file.is_some());
    let verifier: Arc<dyn ServerCertVerifier> = if verify {
        let extra = ca_file.map(certificates).transpose()?.unwrap_or_default();
        Arc::new(Verifier::new_with_extra_roots(extra, Arc::clone(&provider)).map_err(wrong)?)
    } else {
        Arc::new(Unverified(Arc::clone(&provider)))
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, DbError> {
    let wrong = |detail: String| DbError::Options(format!("{}: {detail}", path.display()));
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("holds no certificate".to_owned()));
    }
    Ok(found)
}

/// Accepts any certificate: what `sslmode=prefer` and `sslmode=require` ask for.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn security_of(url: &str) -> (SslMode, bool) {
        let connector = Connector::new(url, None).expect(url);
        (connector.config.get_ssl_mode(), connector.tls.is_some())
    }

    #[test]
    fn a_network_is_verified_unless_the_url_says_otherwise() {
        assert_eq!(
            security_of("postgres://u@db.example/d"),
            (SslMode::Require, true)
        );
        assert_eq!(
            security_of("postgres://u@db.example/d?sslmode=disable&connect_timeout=3"),
            (SslMode::Disable, false)
        );
        assert_eq!(
            security_of("postgres://u@127.0.0.1/d"),
            (SslMode::Prefer, true)
        );
        assert_eq!(
            security_of("postgres://u@localhost/d?sslmode=verify-full"),
            (SslMode::Require, true)
        );
        assert_eq!(
            security_of("postgres://u@/d?host=/run/postgresql"),
            (SslMode::Disable, false)
        );
    }

    #[test]
    fn an_unknown_mode_and_an_unreadable_url_are_refused_without_the_password() {
        for url in [
            "postgres://u:hunter2@db/d?sslmode=verify-nothing",
            "postgres://u:hunter2@db:port/d",
            "postgres://u:hunter2@db/d?colour=blue",
        ] {
            let Err(error) = Connector::new(url, None) else {
                panic!("{url} was accepted");
            };
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
