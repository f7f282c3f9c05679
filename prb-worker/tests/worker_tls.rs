//! TLS: whom a PCCS, or a reverse proxy in front of a worker, must be vouched for by.
#![allow(clippy::unwrap_used, missing_docs)]

use prb_core::{
    attestation::{PckCa, PlatformKind},
    port::{CollateralError, CollateralSource, WorkerDriver, WorkerError},
};
use prb_devnet::pccs::{PccsStub, TCB_INFO};
use prb_worker::{Options, Pccs, PccsOptions, PrpcDriver, Tcp, Tls};
use rustls::pki_types::PrivateKeyDer;
use std::{path::PathBuf, sync::Arc};
use tokio::net::TcpListener;

const KIND: PlatformKind = PlatformKind { fmspc: [0, 0x90, 0x6e, 0xa1, 0, 0], ca: PckCa::Processor };

/// A TLS listener with a certificate of its own; the certificate's file.
async fn secure(stub: PccsStub, folder: &std::path::Path) -> (String, PathBuf) {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = folder.join("own.pem");
    std::fs::write(&file, own.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/v4", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, stub) = (acceptor.clone(), stub.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    stub.answer(stream).await.ok();
                }
            });
        }
    });
    (url, file)
}

#[tokio::test]
async fn v3_f22_the_certificate_of_a_pccs_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let stub = PccsStub::default();
    let (url, file) = secure(stub.clone(), folder.path()).await;
    let believing = Pccs::new(&url, Some(Tls::from_file(&file).unwrap()), PccsOptions::default()).unwrap();
    assert_eq!(believing.collateral(KIND).await.unwrap().tcb_info, TCB_INFO);
    let asked = stub.asked().len();
    assert_eq!(asked, 4);
    let error = Pccs::new(&url, None, PccsOptions::default()).unwrap().collateral(KIND).await.unwrap_err();
    assert!(matches!(error, CollateralError::Unreachable { .. }), "{error}");
    assert_eq!(stub.asked().len(), asked, "nothing is asked of who cannot be believed");
    // The name counts, too.
    let elsewhere = url.replace("localhost", "127.0.0.1");
    let tls = Tls::from_file(&file).unwrap();
    let error = Pccs::new(&elsewhere, Some(tls), PccsOptions::default()).unwrap().collateral(KIND).await;
    assert!(error.unwrap_err().to_string().contains("certificate"));
    for (content, told) in [("", "no certificate"), ("-----BEGIN CERTIFICATE-----\n!\n", "own.pem")] {
        std::fs::write(&file, content).unwrap();
        let error = Tls::from_file(&file).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    assert!(Tls::from_file(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
}

#[tokio::test]
async fn v3_f46_a_worker_behind_tls_is_reached_and_its_certificate_verified() {
    let folder = tempfile::tempdir().unwrap();
    let stub = PccsStub::default();
    let (url, file) = secure(stub.clone(), folder.path()).await;
    let tls = Tls::from_file(&file).unwrap();
    let believing =
        PrpcDriver::with_connector(&url, Options::default(), Arc::new(Tcp::with_tls(tls))).unwrap();
    // What is asked arrives, though nobody there is a worker.
    let error = believing.info().await.unwrap_err();
    assert!(matches!(error, WorkerError::BadReply { .. }), "{error}");
    assert_eq!(stub.asked(), ["/v4/prpc/PhactoryAPI.GetInfo"]);
    let doubting = PrpcDriver::new(&url, Options::default()).unwrap();
    let error = doubting.info().await.unwrap_err();
    assert!(matches!(error, WorkerError::Unreachable { .. }), "{error}");
    assert_eq!(stub.asked().len(), 1);
}
