//! Whom outgoing calls believe: the certificate authorities of the system, and those of `ca_file` besides.

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio_rustls::TlsConnector;

/// Why a file of authorities is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthoritiesError {
    /// It cannot be read, or is no PEM.
    #[error("ca_file: {path}: {1}", path = .0.display())]
    Unreadable(PathBuf, rustls_pki_types::pem::Error),
    /// It holds no certificate.
    #[error("ca_file: {path}: holds no certificate (PEM)", path = .0.display())]
    Empty(PathBuf),
    /// One of its certificates cannot be read.
    #[error("ca_file: {path}: {1}", path = .0.display())]
    Unusable(PathBuf, rustls::Error),
}

/// The authorities, and what is made of them at the first call over TLS.
pub(super) struct Trust {
    extra: Vec<CertificateDer<'static>>,
    connector: OnceLock<Result<TlsConnector, String>>,
}

impl Trust {
    /// Reads the file of additional authorities, if there is one.
    pub(super) fn read(ca_file: Option<&Path>) -> Result<Self, AuthoritiesError> {
        Ok(Self {
            extra: ca_file.map(certificates).transpose()?.unwrap_or_default(),
            connector: OnceLock::new(),
        })
    }

    /// TLS with these authorities. The system's are read when they are first needed: a server without providers, in an image
    /// without authorities, starts.
    pub(super) fn connector(&self) -> Result<TlsConnector, String> {
        self.connector
            .get_or_init(|| connector(&self.extra).map_err(|error| error.to_string()))
            .clone()
    }
}

fn connector(extra: &[CertificateDer<'static>]) -> Result<TlsConnector, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra.iter().cloned(), Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AuthoritiesError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| AuthoritiesError::Unreadable(path.to_owned(), error))?;
    if found.is_empty() {
        return Err(AuthoritiesError::Empty(path.to_owned()));
    }
    let mut store = RootCertStore::empty();
    for certificate in &found {
        store
            .add(certificate.clone())
            .map_err(|error| AuthoritiesError::Unusable(path.to_owned(), error))?;
    }
    Ok(found)
}
