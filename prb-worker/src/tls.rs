//! TLS to workers behind a reverse proxy and to PCCS: rustls with ring, always verified.

use crate::connect::Stream;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Largest file of certificates, bytes.
const MAX_FILE: u64 = 4 << 20;

/// Whom to believe at the other end of a connection.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("{path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// What is in it is of no use.
    #[error("{path}: {cause}; it must hold certificates as PEM")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// The system trusts nobody.
    #[error(
        "this machine has no certificates of authorities; name a file of them, or install ca-certificates"
    )]
    NoAuthorities,
}

impl Tls {
    /// Believes what the certificates in a PEM file vouch for, and nobody else: those of authorities, or the other
    /// end's own.
    pub fn from_file(path: &Path) -> Result<Self, TlsError> {
        let unusable = |cause: String| TlsError::Unusable { path: path.to_owned(), cause };
        let mut text = Vec::new();
        fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE).read_to_end(&mut text))
            .map_err(|cause| TlsError::Unreadable { path: path.to_owned(), cause })?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(unusable("no certificate".to_owned()));
        }
        Ok(Self::with_roots(roots))
    }

    /// Believes whom the system believes, as it was when this was asked first.
    pub fn system() -> Result<Self, TlsError> {
        static SYSTEM: OnceLock<Option<Tls>> = OnceLock::new();
        let system = SYSTEM.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            // What the system has is of mixed quality; what cannot be used vouches for nobody.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            (!roots.is_empty()).then(|| Self::with_roots(roots))
        });
        system.clone().ok_or(TlsError::NoAuthorities)
    }

    fn with_roots(roots: RootCertStore) -> Self {
        // The process's default provider is another library's business.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Arc::new(config))
    }

    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<Box<dyn Stream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        Ok(Box::new(TlsConnector::from(self.0.clone()).connect(name, stream).await?))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}
