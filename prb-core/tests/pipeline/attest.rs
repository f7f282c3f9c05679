//! Registering workers that attest with DCAP.

use crate::{
    porter::{Porter, Scale},
    world::{World, all_working, seconds, worker},
};
use async_trait::async_trait;
use codec::{Decode, Encode};
use prb_core::{
    attestation::{PckCa, PlatformKind},
    pipeline::Bridge,
    port::{CollateralError, CollateralSource},
    testkit::{FakeWorker, eventually, quote::dcap_quote},
    tx::Call,
    types::attestation::{AttestationReport, Collateral, SgxV30QuoteCollateral},
};
use std::sync::{Arc, Mutex};

const KIND: PlatformKind = PlatformKind { fmspc: [0, 0x90, 0x6e, 0xa1, 0, 0], ca: PckCa::Platform };

/// Fails so many times first.
struct Source {
    failures: Mutex<u32>,
}

#[async_trait]
impl CollateralSource for Source {
    async fn collateral(&self, kind: PlatformKind) -> Result<Arc<SgxV30QuoteCollateral>, CollateralError> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err(CollateralError::Refused { url: "https://pccs".into(), status: 503, kind });
        }
        Ok(Arc::new(collateral(kind)))
    }
}

fn collateral(kind: PlatformKind) -> SgxV30QuoteCollateral {
    SgxV30QuoteCollateral {
        pck_crl_issuer_chain: "chain".into(),
        root_ca_crl: "root".into(),
        pck_crl: kind.ca.name().into(),
        tcb_info_issuer_chain: "chain".into(),
        tcb_info: kind.to_string(),
        tcb_info_signature: vec![1],
        qe_identity_issuer_chain: "chain".into(),
        qe_identity: "identity".into(),
        qe_identity_signature: vec![2],
    }
}

fn porter(quote: Vec<u8>) -> Porter {
    let report = Some(AttestationReport::SgxDcap { quote, collateral: None }).encode();
    Porter::new(FakeWorker::new("w"), &Arc::new(Scale::default())).report(report.into())
}

async fn bridge(world: &World, porter: &Porter, source: Option<Source>) -> Bridge {
    let mut builder = world.builder().worker(worker("w"), porter.clone());
    if let Some(source) = source {
        builder = builder.collateral(Arc::new(source));
    }
    builder.start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn v3_f22_a_report_gets_its_collateral_before_it_goes_to_the_chain() {
    let world = World::ingested(45).await;
    let _pulse = world.chain.pulse(seconds(6));
    let porter = porter(dcap_quote(KIND));
    let bridge = bridge(&world, &porter, Some(Source { failures: Mutex::new(3) })).await;
    all_working(&bridge, &[&porter.fake], seconds(600)).await;
    let jobs = world.sink.jobs();
    let attestations: Vec<_> = jobs
        .iter()
        .flat_map(|(_, _, calls)| calls)
        .filter_map(|call| match call {
            Call::RegisterWorkerV2 { attestation, .. } => Some(attestation.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(attestations.len(), 1, "nothing is sent, or paid for, without collateral");
    let sent = Option::<AttestationReport>::decode(&mut attestations[0].as_slice()).unwrap();
    let with = Some(Collateral::SgxV30(collateral(KIND)));
    assert_eq!(sent, Some(AttestationReport::SgxDcap { quote: dcap_quote(KIND), collateral: with }));
    bridge.stop().await;
}

#[tokio::test(start_paused = true)]
async fn v3_f22_a_report_that_cannot_be_completed_costs_nothing_and_is_told() {
    for (quote, has_source, told) in [
        (dcap_quote(KIND), false, "attestation.pccs_url"),
        (dcap_quote(KIND)[..500].to_vec(), true, "the worker's quote ends before its signature"),
    ] {
        let world = World::ingested(45).await;
        let _pulse = world.chain.pulse(seconds(6));
        let porter = porter(quote);
        let source = has_source.then(|| Source { failures: Mutex::default() });
        let bridge = bridge(&world, &porter, source).await;
        eventually("the trouble is told", seconds(60), || {
            let trouble = bridge.workers_status()[0].trouble.clone();
            trouble.is_some_and(|trouble| trouble.contains(told))
        })
        .await;
        tokio::time::sleep(seconds(600)).await;
        assert!(world.sink.jobs().is_empty(), "nothing is sent");
        bridge.stop().await;
    }
}
