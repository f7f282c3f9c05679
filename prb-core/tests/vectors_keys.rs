//! Storage keys, the session account and the pool's tag of a message against published values.
#![allow(clippy::unwrap_used, missing_docs)]

use codec::Encode;
use prb_core::{
    id::{AccountId, PoolId, WorkerKey},
    storage_key,
    types::message::MessageOrigin,
};

/// The worker whose development seed is 31 zero bytes and `01`.
const WORKER: &str = "3a3d45dc55b57bf542f4c6ff41af080ec675317f4ed50ae1d2713bf9f892692d";

fn worker() -> WorkerKey {
    WORKER.parse().unwrap()
}

fn is(key: &[u8], expected: &str) {
    assert_eq!(hex::encode(key), expected);
}

#[test]
fn relay_items() {
    is(
        &storage_key::grandpa_authorities(),
        "5f9cc45b7a00c5899361e1c6099678dc5e0621c4869aa60c02be9adcc98a0d1d",
    );
    is(
        &storage_key::grandpa_current_set_id(),
        "5f9cc45b7a00c5899361e1c6099678dc8a2d09463effcc78a22d75b9cb87dffc",
    );
    is(storage_key::LEGACY_GRANDPA_AUTHORITIES, "3a6772616e6470615f617574686f726974696573");
    is(
        &storage_key::para_head(2004),
        "cd710b30bd2eab0352ddcc26417aa1941b3c252fcb29d88eff4f3de5de4476c39f434b9dae0bfb8ed4070000",
    );
    is(
        &storage_key::para_head(2035),
        "cd710b30bd2eab0352ddcc26417aa1941b3c252fcb29d88eff4f3de5de4476c3160394315fe95b98f3070000",
    );
}

#[test]
fn plain_para_items() {
    is(&storage_key::parachain_id(), "0d715f2646c8f85767b5d2764bb2782604a74d81251e398fd8a0a4d55023bb3f");
    is(&storage_key::timestamp_now(), "f0c365c3cf59d671eb72da0e7a4113c49f1f0515f462cdcf84e0f1d6045dfcbb");
    let cases = [
        ("PhalaMq", "OutboundMessages", "2f039a6a7f13e94b9545257e54062a048a395e6242c6813b196ca31ed0547ea7"),
        ("PhalaMq", "OffchainIngress", "2f039a6a7f13e94b9545257e54062a042bd035cc68bbf7411ccb4d17987934cf"),
        ("PhalaRegistry", "Workers", "0d746931e7a6bfd47fbcccfd71984aef1bf55d6b9732eb86723ccad1af88b985"),
        (
            "PhalaRegistry",
            "WorkerAddedAt",
            "0d746931e7a6bfd47fbcccfd71984aef3db1fe26055215b99e474bea4561d945",
        ),
        (
            "PhalaRegistry",
            "PRuntimeAddedAt",
            "0d746931e7a6bfd47fbcccfd71984aef1cfabdf4d02cfcbc334606ddde6404c2",
        ),
        (
            "PhalaRegistry",
            "PRuntimeAllowList",
            "0d746931e7a6bfd47fbcccfd71984aef5d47f95f0853ff036b3ceee7b36fb2df",
        ),
        (
            "PhalaRegistry",
            "MinimumPRuntimeVersion",
            "0d746931e7a6bfd47fbcccfd71984aef42d38e6758c0e459de06887c9b2d74ed",
        ),
        (
            "PhalaRegistry",
            "PRuntimeConsensusVersion",
            "0d746931e7a6bfd47fbcccfd71984aefd18ee39f23f9cf03719569c4f13f83f2",
        ),
        (
            "PhalaRegistry",
            "TrustedNtpServers",
            "0d746931e7a6bfd47fbcccfd71984aef3dedcd073791edea626f1a779c353a27",
        ),
        ("PhalaRegistry", "Gatekeeper", "0d746931e7a6bfd47fbcccfd71984aef0edb71e0fd7a93f4398de44cdc838483"),
        ("PhalaRegistry", "Endpoints", "0d746931e7a6bfd47fbcccfd71984aef256502b006697fb142d2eb87ba5e1ca1"),
    ];
    for (pallet, item, expected) in cases {
        is(&storage_key::plain(pallet, item), expected);
    }
}

#[test]
fn map_entries_of_the_vectors_worker() {
    is(
        &storage_key::offchain_ingress(&MessageOrigin::Worker(worker())),
        "2f039a6a7f13e94b9545257e54062a042bd035cc68bbf7411ccb4d17987934cf30660a341a55b476023a3d45dc55b57bf5\
         42f4c6ff41af080ec675317f4ed50ae1d2713bf9f892692d",
    );
}

#[test]
fn map_entries_of_a_worker_of_ones() {
    let worker = WorkerKey([0x11; 32]);
    let ones = "11".repeat(32);
    let suffix = format!("c99bd9a68183033a{ones}");
    let cases = [
        (storage_key::registry_worker(&worker), "PhalaRegistry", "Workers"),
        (storage_key::worker_added_at(&worker), "PhalaRegistry", "WorkerAddedAt"),
        (storage_key::worker_binding(&worker), "PhalaComputation", "WorkerBindings"),
        (storage_key::worker_assignment(&worker), "PhalaStakePoolv2", "WorkerAssignments"),
        (storage_key::session(&AccountId(worker.0)), "PhalaComputation", "Sessions"),
    ];
    for (found, pallet, item) in cases {
        is(&found, &(hex::encode(storage_key::plain(pallet, item)) + &suffix));
    }
    is(
        &storage_key::offchain_ingress(&MessageOrigin::Worker(worker)),
        &format!("2f039a6a7f13e94b9545257e54062a042bd035cc68bbf7411ccb4d17987934cfc5f9f6c8eb13673702{ones}"),
    );
    is(
        &storage_key::offchain_ingress(&MessageOrigin::Gatekeeper),
        "2f039a6a7f13e94b9545257e54062a042bd035cc68bbf7411ccb4d17987934cf0f974013a815ff5005",
    );
    is(
        &storage_key::system_account(&AccountId(worker.0)),
        &format!(
            "26aa394eea5630e07c48ae0c9558cef7b99d880ec681799c0cf30e8886371da97f9c299f1d9bbe856fbf2c98f0f91435\
             {ones}"
        ),
    );
    is(
        &storage_key::pool(PoolId(1)),
        "00f8eafbad3b4a32114491ad7e1249144c72016d74b63ae83d79b02efdb5528e9599a4a217cb299f0100000000000000",
    );
}

#[test]
fn the_session_account_of_a_worker_in_a_pool() {
    assert_eq!(
        storage_key::session_account(PoolId(1), &WorkerKey([0x11; 32])).to_string(),
        "0x73706d2f9f199315f5f1c1e93dbbe328b4e92a8aef04a4b1479b557d8c99f8d7"
    );
}

#[test]
fn the_pools_tag_of_a_message_is_made_of_our_types() {
    let tag = |origin: MessageOrigin, sequence: u64| {
        hex::encode((b"PhalaMqOffchainMessages".to_vec(), origin, sequence).encode())
    };
    assert_eq!(
        tag(MessageOrigin::Worker(WorkerKey([0x11; 32])), 7),
        format!("5c5068616c614d714f6666636861696e4d6573736167657302{}0700000000000000", "11".repeat(32))
    );
    assert_eq!(
        tag(MessageOrigin::Worker(worker()), 0),
        format!("5c5068616c614d714f6666636861696e4d6573736167657302{WORKER}0000000000000000")
    );
}
