use super::*;
use crate::runtime::{authority_list, authority_pair};
use codec::{Decode, Encode};
use sp_consensus_grandpa::{ConsensusLog, GRANDPA_ENGINE_ID};
use sp_core::Pair;
use sp_core::storage::StateVersion;
use sp_runtime::DigestItem;
use sp_runtime::traits::Header as _;

const AUTHORITIES_KEY: &str = "5f9cc45b7a00c5899361e1c6099678dc5e0621c4869aa60c02be9adcc98a0d1d";
const SET_ID_KEY: &str = "5f9cc45b7a00c5899361e1c6099678dc8a2d09463effcc78a22d75b9cb87dffc";
const HEADS_2035: &str =
    "cd710b30bd2eab0352ddcc26417aa1941b3c252fcb29d88eff4f3de5de4476c3160394315fe95b98f3070000";

fn ext(config: &GenesisConfig) -> sp_io::TestExternalities {
    sp_io::TestExternalities::new_with_state_version(genesis(config), StateVersion::V1)
}

fn call<R: Decode>(method: &str, arguments: impl Encode) -> R {
    R::decode(&mut &dispatch(method, &arguments.encode()).unwrap()[..]).unwrap()
}

/// Authors a block of inherents only, by runtime API calls as the chain engine does.
fn author(number: u32, inputs: &BlockInputs) -> Header {
    let draft =
        Header::new(number, Default::default(), Default::default(), Default::default(), Default::default());
    let _: sp_runtime::ExtrinsicInclusionMode = call("Core_initialize_block", draft);
    let inherents: Vec<UncheckedExtrinsic> = call("BlockBuilder_inherent_extrinsics", inputs.inherent_data());
    assert_eq!(inherents, inputs.inherents());
    for inherent in inherents {
        let applied: sp_runtime::ApplyExtrinsicResult = call("BlockBuilder_apply_extrinsic", inherent);
        applied.unwrap().unwrap();
    }
    call("BlockBuilder_finalize_block", ())
}

fn at(number: u32) -> BlockInputs {
    BlockInputs { now_ms: 1_700_000_000_000 + u64::from(number) * 6000, ..Default::default() }
}

fn raw(key: &str) -> Option<Vec<u8>> {
    sp_io::storage::get(&hex::decode(key).unwrap()).map(|value| value.to_vec())
}

fn grandpa_logs(header: &Header) -> Vec<ConsensusLog<u32>> {
    let logs = header.digest.logs.iter();
    logs.filter_map(|item| match item {
        DigestItem::Consensus(GRANDPA_ENGINE_ID, data) => ConsensusLog::decode(&mut &data[..]).ok(),
        _ => None,
    })
    .collect()
}

#[test]
fn last_header_of_a_set_signals_the_next_one_and_its_state_holds_it() {
    let config = GenesisConfig { rotation_period: 3, ..Default::default() };
    ext(&config).execute_with(|| {
        for number in 1..=9u32 {
            let header = author(number, &at(number));
            let set = u64::from(number / 3);
            if number % 3 == 0 {
                let [ConsensusLog::ScheduledChange(change)] = &grandpa_logs(&header)[..] else {
                    panic!("block {number} carries one scheduled change: {header:?}");
                };
                assert_eq!((change.delay, &change.next_authorities), (0, &authority_list(set, 4)));
            } else {
                assert!(grandpa_logs(&header).is_empty());
            }
            assert_eq!(raw(AUTHORITIES_KEY), Some(authority_list(set, 4).encode()));
            assert_eq!(raw(SET_ID_KEY), Some(set.encode()));
            assert_eq!(raw(&hex::encode(rotation::LEGACY_AUTHORITIES_KEY)), None);
            assert_eq!(call::<u64>("GrandpaApi_current_set_id", ()), set);
        }
    });
}

#[test]
fn a_delayed_change_raises_the_id_at_the_signal_and_the_list_later() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let order = Rotation { delay: 2, authorities: Some(7), forced: None };
        let header = author(1, &BlockInputs { rotation: Some(order), ..at(1) });
        let [ConsensusLog::ScheduledChange(change)] = &grandpa_logs(&header)[..] else {
            panic!("one scheduled change");
        };
        assert_eq!(change.delay, 2);
        assert_eq!(raw(SET_ID_KEY), Some(1u64.encode()));
        assert_eq!(raw(AUTHORITIES_KEY), Some(authority_list(0, 4).encode()));
        // A second order while one is pending changes nothing.
        let header = author(2, &BlockInputs { rotation: Some(order), ..at(2) });
        assert!(grandpa_logs(&header).is_empty());
        assert_eq!(raw(AUTHORITIES_KEY), Some(authority_list(0, 4).encode()));
        author(3, &at(3));
        assert_eq!(raw(AUTHORITIES_KEY), Some(authority_list(1, 7).encode()));
        assert_eq!(raw(SET_ID_KEY), Some(1u64.encode()));
    });
}

#[test]
fn the_legacy_key_mirrors_the_list_by_a_switch() {
    let config = GenesisConfig { legacy_authorities: true, rotation_period: 2, ..Default::default() };
    ext(&config).execute_with(|| {
        let key = hex::encode(rotation::LEGACY_AUTHORITIES_KEY);
        assert_eq!(raw(&key), Some((1u8, authority_list(0, 4)).encode()));
        author(1, &at(1));
        author(2, &at(2));
        assert_eq!(raw(&key), Some((1u8, authority_list(1, 4)).encode()));
    });
}

#[test]
fn heads_are_length_prefixed_headers_under_the_live_key() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let head = vec![7u8; 100];
        author(1, &BlockInputs { heads: vec![(2035, head.clone())], ..at(1) });
        assert_eq!(raw(HEADS_2035), Some(head.encode()));
    });
}

#[test]
fn a_raised_spec_version_holds_from_the_next_block() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let control =
            Control { spec_version: Some(2_000_000), set_storage: vec![(b"k".to_vec(), Some(vec![1]))] };
        let header = author(1, &BlockInputs { control, ..at(1) });
        assert_eq!(header.digest.logs, vec![DigestItem::RuntimeEnvironmentUpdated]);
        assert_eq!(call::<RuntimeVersion>("Core_version", ()).spec_version, 2_000_000);
        assert_eq!(raw("6b"), Some(vec![1]));
        author(2, &at(2));
        let noted = frame_system::LastRuntimeUpgrade::<Runtime>::get().unwrap();
        assert_eq!(noted.spec_version.0, 2_000_000);
    });
}

#[test]
fn metadata_of_every_version_decodes() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let versions: Vec<u32> = call("Metadata_metadata_versions", ());
        assert!(versions.contains(&14) && versions.contains(&16), "{versions:?}");
        for version in versions {
            let bytes: Option<Vec<u8>> = call("Metadata_metadata_at_version", version);
            assert_eq!(&bytes.unwrap()[..4], b"meta");
        }
    });
}

#[test]
fn a_block_can_be_executed_again_from_its_parts() {
    let mut chain = ext(&GenesisConfig::default());
    let (inputs, header) = chain.execute_with(|| {
        let inputs = BlockInputs { heads: vec![(2035, vec![1, 2])], ..at(1) };
        (inputs.clone(), author(1, &inputs))
    });
    ext(&GenesisConfig::default()).execute_with(|| {
        let block = Block { header, extrinsics: inputs.inherents() };
        assert_eq!(dispatch("Core_execute_block", &block.encode()), Some(Vec::new()));
    });
}

#[test]
fn keys_of_the_pool_are_fixed() {
    assert_eq!(authority_pair(3).public(), authority_pair(3).public());
    assert_ne!(authority_pair(3).public(), authority_pair(4).public());
}
