//! TLS between server and remote store, with certificates made for the test.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/files.rs"]
mod files;
mod support;

use files::{Files, Mood};
use prb_core::{
    port::{BlobStore, Stream},
    testkit::{FakeChain, Observed},
};
use prb_store::{
    MemoryStore, RemoteOptions, RemoteStore, ServerOptions,
    archive::{Archive, ExportOptions, Place, export},
    tls::{ClientTls, ServerTls, TlsError},
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{fs, path::PathBuf, sync::Arc, time::Duration};
use support::{Running, all, counted, ingest};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::TlsAcceptor;

const SOON: Duration = Duration::from_secs(60);

/// A folder with certificates that vouch for themselves.
struct Papers(TempDir);

impl Papers {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A certificate for `host` and its key.
    fn issue(&self, name: &str, host: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
        let (certificate, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (certificate, key)
    }
}

async fn stored() -> Arc<MemoryStore> {
    let chain = FakeChain::builder(3).padding(2000).build();
    chain.advance(35);
    let store = Arc::new(MemoryStore::new());
    ingest(&chain, store.clone()).await;
    store
}

fn quick(tls: ClientTls) -> RemoteOptions {
    let mut options = RemoteOptions { tls: Some(tls), ..RemoteOptions::default() };
    options.pace.first = Duration::from_millis(20);
    options.pace.longest = Duration::from_millis(100);
    options
}

async fn trouble(store: &RemoteStore) -> String {
    let begun = Instant::now();
    loop {
        if let Some(trouble) = store.providers()[0].trouble.clone() {
            return trouble;
        }
        assert!(begun.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_provider_is_read_over_tls_by_those_who_believe_it() {
    let (papers, store) = (Papers::new(), stored().await);
    let (certificate, key) = papers.issue("provider", "127.0.0.1");
    let tls = Some(ServerTls::from_files(&certificate, &key).unwrap());
    let running = Running::start(store.clone(), ServerOptions { tls, ..ServerOptions::default() }).await;
    let url = format!("https://{}", running.address);

    let believes = quick(ClientTls::from_file(&certificate).unwrap());
    let reader = RemoteStore::connect([url.as_str()], believes.clone()).unwrap();
    timeout(SOON, reader.ready()).await.unwrap();
    assert_eq!(reader.coverage().await.unwrap(), store.coverage().await.unwrap());
    for stream in Stream::ALL {
        assert_eq!(all(&reader, stream).await, all(&*store, stream).await, "{stream}");
    }

    // Somebody else's certificate, and one for another host.
    let (other, _) = papers.issue("other", "127.0.0.1");
    let doubts = RemoteStore::connect([url.as_str()], quick(ClientTls::from_file(&other).unwrap())).unwrap();
    let cause = trouble(&doubts).await;
    assert!(cause.contains("TLS: invalid peer certificate"), "{cause}");
    let named = format!("https://localhost:{}", running.address.port());
    let doubts = RemoteStore::connect([named.as_str()], believes).unwrap();
    let cause = trouble(&doubts).await;
    assert!(cause.contains("TLS") && cause.contains("not valid for name"), "{cause}");
}

#[tokio::test]
async fn an_archive_is_read_over_tls_by_those_who_believe_its_server() {
    let (papers, store) = (Papers::new(), stored().await);
    let (certificate, key) = papers.issue("server", "127.0.0.1");
    let folder = papers.path("archive");
    let manifest = export(&*store, &folder, ExportOptions::default(), &mut |_| {}).await.unwrap().0;
    let chain = vec![CertificateDer::from_pem_file(&certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let server = Files::serve_through(
        &folder,
        |_, _| Mood::Honest,
        "https",
        move |stream| {
            let acceptor = acceptor.clone();
            async move { acceptor.accept(stream).await.ok() }
        },
    )
    .await;

    let tls = ClientTls::from_file(&certificate).unwrap();
    let archive = Archive::open(Place::parse_with(&server.url, Some(tls)).unwrap()).await.unwrap();
    assert_eq!(*archive.manifest(), manifest);
    assert_eq!(archive.genesis().await.unwrap(), *store.genesis().await.unwrap().unwrap());
    let span = manifest.span(Stream::Changes).unwrap();
    let read: Vec<_> = store.read(Stream::Changes, span, usize::MAX).await.unwrap();
    let expected: Vec<_> = read.into_iter().map(|blob| blob.bytes).collect();
    assert_eq!(archive.items(Stream::Changes, span).await.unwrap(), expected);

    let (other, _) = papers.issue("other", "127.0.0.1");
    let doubts = ClientTls::from_file(&other).unwrap();
    let refused = Archive::open(Place::parse_with(&server.url, Some(doubts)).unwrap()).await.unwrap_err();
    assert!(refused.to_string().contains("TLS: invalid peer certificate"), "{refused}");
}

/// X20 on a port that speaks TLS: no handshake, half a handshake, something else.
#[tokio::test]
async fn x20_who_speaks_no_tls_is_cut_off_counted_and_told_once() {
    let observed = Observed::begin();
    let papers = Papers::new();
    let (certificate, key) = papers.issue("provider", "127.0.0.1");
    let tls = Some(ServerTls::from_files(&certificate, &key).unwrap());
    let head_deadline = Duration::from_secs(2);
    let options = ServerOptions { tls, head_deadline, ..ServerOptions::default() };
    let running = Running::start(stored().await, options).await;
    for words in [&b""[..], &[0x16, 0x03, 0x01]] {
        let mut silent = TcpStream::connect(running.address).await.unwrap();
        silent.write_all(words).await.unwrap();
        timeout(SOON, silent.read_to_end(&mut Vec::new())).await.expect("it is cut off").ok();
    }
    counted(&observed, &["prb_server_cut_connections_total{cause=head}"], 2).await;
    let mut plain = TcpStream::connect(running.address).await.unwrap();
    plain.write_all(b"GET /v1/info HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut back = Vec::new();
    timeout(SOON, plain.read_to_end(&mut back)).await.unwrap().ok();
    assert!(!back.starts_with(b"HTTP"));
    counted(&observed, &["prb_server_cut_connections_total{cause=tls}"], 1).await;
    assert_eq!(observed.lines(&["WARN", "a reader is cut off", "no TLS handshake in time"]).len(), 1);
    assert_eq!(observed.lines(&["WARN", "a reader is cut off", r#"kind="tls""#]).len(), 1);
}

#[test]
fn files_that_are_of_no_use_are_named() {
    let papers = Papers::new();
    let (certificate, key) = papers.issue("one", "localhost");
    let (_, other_key) = papers.issue("two", "localhost");
    let (missing, empty) = (papers.path("missing"), papers.path("empty"));
    let garbled = papers.path("garbled");
    fs::write(&empty, "nothing\n").unwrap();
    fs::write(&garbled, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").unwrap();
    for (certificate, key, words) in [
        (&missing, &key, ["missing", "No such file"]),
        (&certificate, &missing, ["missing", "No such file"]),
        (&empty, &key, ["empty", "holds no certificate"]),
        (&key, &key, ["one.key", "holds no certificate"]),
        (&garbled, &key, ["garbled", ""]),
        (&certificate, &empty, ["empty", "holds no private key"]),
        (&certificate, &certificate, ["one.pem", "holds no private key"]),
        (&certificate, &other_key, ["two.key", "is not the key of the certificate"]),
    ] {
        let error = ServerTls::from_files(certificate, key).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{words:?} in {error}");
    }
    assert!(matches!(ClientTls::from_file(&empty), Err(TlsError::NoCertificate { .. })));
    assert!(!format!("{:?}", ServerTls::from_files(&certificate, &key).unwrap()).contains("PRIVATE"));
}
