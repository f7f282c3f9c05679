//! Collateral from a PCCS.
#![allow(clippy::unwrap_used, missing_docs)]

use prb_core::{
    attestation::{PckCa, PlatformKind},
    fault::Fault,
    port::{CollateralError, CollateralSource},
    types::attestation::SgxV30QuoteCollateral,
};
use prb_devnet::pccs::{CHAIN, PccsFault, PccsStub, QE_IDENTITY, TCB_INFO};
use prb_worker::{Pccs, PccsOptions};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};

const KIND: PlatformKind = PlatformKind { fmspc: [0, 0x90, 0x6e, 0xa1, 0, 0], ca: PckCa::Processor };
const OTHER: PlatformKind = PlatformKind { ca: PckCa::Platform, ..KIND };

/// A stub on a port of its own, and its address.
async fn stub() -> (PccsStub, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sgx/certification/v4/", listener.local_addr().unwrap());
    let stub = PccsStub::default();
    tokio::spawn(stub.clone().serve(listener));
    (stub, url)
}

fn pccs(url: &str, timeout: Duration) -> Pccs {
    Pccs::new(url, None, PccsOptions { timeout, ..PccsOptions::default() }).unwrap()
}

fn expected() -> SgxV30QuoteCollateral {
    SgxV30QuoteCollateral {
        pck_crl_issuer_chain: CHAIN.into(),
        root_ca_crl: "308201bb".into(),
        pck_crl: "308201aa".into(),
        tcb_info_issuer_chain: CHAIN.into(),
        tcb_info: TCB_INFO.into(),
        tcb_info_signature: vec![0x0a; 64],
        qe_identity_issuer_chain: CHAIN.into(),
        qe_identity: QE_IDENTITY.into(),
        qe_identity_signature: vec![0x0a; 64],
    }
}

#[tokio::test]
async fn v3_f22_what_is_signed_comes_as_it_was_signed_and_one_fetch_serves_many() {
    let (stub, url) = stub().await;
    let pccs = pccs(&url, Duration::from_secs(120));
    let all = futures::future::join_all((0..1_000).map(|_| pccs.collateral(KIND))).await;
    for collateral in all {
        assert_eq!(*collateral.unwrap(), expected());
    }
    let mut asked = stub.asked();
    asked.sort();
    let base = "/sgx/certification/v4";
    let paths = ["pckcrl?ca=processor", "qe/identity", "rootcacrl", "tcb?fmspc=00906EA10000"];
    assert_eq!(asked, paths.map(|path| format!("{base}/{path}")));
    // Another kind of platform is another question.
    pccs.collateral(OTHER).await.unwrap();
    assert_eq!(stub.asked().len(), 8);
    assert!(stub.asked().contains(&format!("{base}/pckcrl?ca=platform")));
}

#[tokio::test]
async fn v3_f22_revocations_may_come_as_bytes() {
    let (stub, url) = stub().await;
    stub.fault("/rootcacrl", Some(PccsFault::Body(vec![0x30, 0x82, 0xff])));
    let collateral = pccs(&url, Duration::from_secs(120)).collateral(KIND).await.unwrap();
    assert_eq!(collateral.root_ca_crl, "3082ff");
}

#[tokio::test]
async fn v3_f22_every_failure_is_typed_and_not_repeated_for_each_worker() {
    let body = |text: &str| PccsFault::Body(text.as_bytes().to_vec());
    for (path, fault, told, remedy) in [
        ("/tcb", PccsFault::Status(404), "answered status 404 for FMSPC 00906EA10000", Fault::Stop),
        ("/tcb", PccsFault::Status(500), "answered status 500", Fault::Retry),
        ("/pckcrl", PccsFault::Status(429), "answered status 429", Fault::Retry),
        ("/pckcrl", PccsFault::NoChain, "no header SGX-PCK-CRL-Issuer-Chain", Fault::Stop),
        ("/tcb", PccsFault::NoChain, "no header SGX-TCB-Info-Issuer-Chain", Fault::Stop),
        ("/qe/identity", PccsFault::NoChain, "no header SGX-Enclave-Identity-Issuer-Chain", Fault::Stop),
        ("/rootcacrl", body(""), "an empty root CA CRL", Fault::Stop),
        ("/tcb", body("<html>"), "a tcbInfo that cannot be used", Fault::Stop),
        ("/tcb", body("{\"signature\":\"00\"}"), "no \"tcbInfo\"", Fault::Stop),
        ("/tcb", body("{\"tcbInfo\":{}}"), "no \"signature\"", Fault::Stop),
        ("/qe/identity", body("{\"enclaveIdentity\":{},\"signature\":\"zz\"}"), "signature: ", Fault::Stop),
        ("/tcb", PccsFault::Body(vec![b'x'; 2 << 20]), "more than 1048576 bytes", Fault::Stop),
        ("/tcb", PccsFault::Cut, "does not answer", Fault::Retry),
        ("/tcb", PccsFault::Slow(Duration::from_secs(60)), "no answer within 0.3 s", Fault::Retry),
    ] {
        let (stub, url) = stub().await;
        stub.fault(path, Some(fault.clone()));
        // What is not about time is given enough of it.
        let limit = if matches!(fault, PccsFault::Slow(_)) { 300 } else { 120_000 };
        let pccs = pccs(&url, Duration::from_millis(limit));
        let all = futures::future::join_all((0..100).map(|_| pccs.collateral(KIND))).await;
        for answer in all {
            let error = answer.unwrap_err();
            assert!(error.to_string().contains(told), "{path} {fault:?}: {error}");
            assert_eq!(error.fault(), remedy, "{error}");
        }
        assert!(stub.asked().len() <= 4, "{:?}", stub.asked());
    }
}

#[tokio::test]
async fn v3_f22_a_pccs_that_is_away_is_named() {
    // Kept, so that nobody else listens there.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let error = pccs(&url, Duration::from_secs(120)).collateral(KIND).await.unwrap_err();
    assert!(matches!(error, CollateralError::Unreachable { .. }), "{error}");
    assert!(
        error.to_string().contains(&url) && error.to_string().contains("attestation.pccs_url"),
        "{error}"
    );
}
