//! TLS of server and remote store: rustls with ring, which needs no more than a C compiler to build.

use prb_core::fault::unusable;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{Error as PemError, PemObject},
    },
};
use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Largest file of certificates or keys, bytes.
const MAX_FILE: u64 = 4 << 20;

/// What a server shows: its certificate, and the key that proves it.
#[derive(Clone)]
pub struct ServerTls(pub(crate) Arc<ServerConfig>);

/// Whom a remote store believes to be its providers.
#[derive(Clone)]
pub struct ClientTls(pub(crate) Arc<ClientConfig>);

/// Why TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}", unusable("read", path, cause))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// There is no certificate in the file.
    #[error("{path} holds no certificate; it must begin with -----BEGIN CERTIFICATE-----")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no key in the file.
    #[error(
        "{path} holds no private key; it must have a section -----BEGIN PRIVATE KEY----- and no passphrase"
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// What is in the files is of no use.
    #[error("{path}: {cause}")]
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

impl ServerTls {
    /// The chain of certificates, the server's own first, and its key, both as PEM.
    pub fn from_files(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = read_certificates(certificates)?;
        let unusable = |path: &Path| {
            let path = path.to_owned();
            move |cause: rustls::Error| TlsError::Unusable { path, cause: cause.to_string() }
        };
        let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|cause| match cause {
            PemError::NoItemsFound => TlsError::NoKey { path: key.to_owned() },
            cause => TlsError::Unusable { path: key.to_owned(), cause: cause.to_string() },
        })?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable(certificates))?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|cause| match cause {
                rustls::Error::InconsistentKeys(_) => TlsError::Unusable {
                    path: key.to_owned(),
                    cause: format!("it is not the key of the certificate in {}", certificates.display()),
                },
                cause => unusable(certificates)(cause),
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

impl ClientTls {
    /// Believes what the certificates in a PEM file vouch for, and nobody else: those of authorities, or a provider's
    /// own.
    pub fn from_file(authorities: &Path) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates(authorities)? {
            roots.add(certificate).map_err(|cause| TlsError::Unusable {
                path: authorities.to_owned(),
                cause: cause.to_string(),
            })?;
        }
        Self::with_roots(roots)
    }

    /// Believes whom the system believes.
    pub fn system() -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        // What the system has is of mixed quality; what cannot be used vouches for nobody.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TlsError::NoAuthorities);
        }
        Self::with_roots(roots)
    }

    fn with_roots(roots: RootCertStore) -> Result<Self, TlsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|cause| TlsError::Unusable { path: PathBuf::new(), cause: cause.to_string() })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls(..)")
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls(..)")
    }
}

/// Why a client's handshake failed, and what that means where it is about no certificate.
pub(crate) fn handshake_failed(error: &io::Error) -> String {
    use rustls::{Error, InvalidMessage};
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let hint = match inner {
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "; what it answers is no TLS: if it speaks plain HTTP, write http://"
        }
        None if error.kind() == io::ErrorKind::UnexpectedEof => "; it may speak no TLS: then write http://",
        _ => "",
    };
    format!("TLS: {error}{hint}")
}

/// The process's default is another library's business.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(TlsError::NoCertificate { path: path.to_owned() }),
        Ok(certificates) => Ok(certificates),
        Err(cause) => Err(TlsError::Unusable { path: path.to_owned(), cause: cause.to_string() }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut content = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut content))
        .map_err(|cause| TlsError::Unreadable { path: path.to_owned(), cause })?;
    Ok(content)
}
