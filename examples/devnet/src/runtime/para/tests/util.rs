//! A chain in externalities: blocks, calls, signed queue messages.

use super::super::types::*;
use super::super::*;
use codec::{Decode, Encode};
use sp_core::{H256, Pair, U256, sr25519};
use sp_keyring::Sr25519Keyring;
use sp_runtime::traits::Dispatchable;
use sp_runtime::{DispatchError, DispatchResult};

pub(super) const START_MS: u64 = 1_700_000_000_000;
pub(super) const BLOCK_MS: u64 = 12_000;

pub(super) fn ext(config: &GenesisConfig) -> sp_io::TestExternalities {
    sp_io::TestExternalities::new_with_state_version(genesis(config), sp_core::storage::StateVersion::V0)
}

pub(super) fn api<R: Decode>(method: &str, arguments: impl Encode) -> R {
    R::decode(&mut &dispatch(method, &arguments.encode()).unwrap()[..]).unwrap()
}

pub(super) fn inputs(number: u32) -> BlockInputs {
    BlockInputs {
        now_ms: START_MS + u64::from(number) * BLOCK_MS,
        validation_data: PersistedValidationData {
            parent_head: vec![1, 2, 3],
            relay_parent_number: 10 + number,
            relay_parent_storage_root: H256::repeat_byte(9),
            max_pov_size: 5 << 20,
        },
        control: Control::default(),
    }
}

/// Begins a block and applies its inherents.
pub(super) fn begin(inputs: &BlockInputs, number: u32) {
    let parent = sp_crypto_hashing::blake2_256(&number.to_le_bytes()).into();
    let draft = Header {
        parent_hash: parent,
        number,
        state_root: Default::default(),
        extrinsics_root: Default::default(),
        digest: Default::default(),
    };
    let _: sp_runtime::ExtrinsicInclusionMode = api("Core_initialize_block", draft);
    let made: Vec<UncheckedExtrinsic> = api("BlockBuilder_inherent_extrinsics", inputs.inherent_data());
    assert_eq!(made, inputs.inherents());
    for inherent in made {
        let applied: sp_runtime::ApplyExtrinsicResult = api("BlockBuilder_apply_extrinsic", inherent);
        applied.unwrap().unwrap();
    }
}

/// Authors block `number`, running `body` as its transactions; the block's messages come back.
/// Empty blocks fill the gap since the last one.
pub(super) fn block(number: u32, body: impl FnOnce()) -> Vec<Message> {
    for skipped in frame_system::Pallet::<Runtime>::block_number() + 1..number {
        begin(&inputs(skipped), skipped);
        let _: Header = api("BlockBuilder_finalize_block", ());
    }
    begin(&inputs(number), number);
    body();
    let _: Header = api("BlockBuilder_finalize_block", ());
    mq::OutboundMessages::<Runtime>::get()
}

pub(super) fn events() -> Vec<RuntimeEvent> {
    frame_system::Pallet::<Runtime>::events().into_iter().map(|record| record.event).collect()
}

pub(super) fn call(who: Sr25519Keyring, call: impl Into<RuntimeCall>) -> DispatchResult {
    call_as(&who.to_account_id(), call)
}

/// Runs a call as its own storage transaction, as a transaction would.
pub(super) fn call_as(who: &AccountId, call: impl Into<RuntimeCall>) -> DispatchResult {
    let origin = RuntimeOrigin::signed(who.clone());
    let call: RuntimeCall = call.into();
    call.dispatch(origin).map(|_| ()).map_err(|error| error.error)
}

/// `Pallet::Variant` of a failure.
pub(super) fn name(result: DispatchResult) -> (u8, &'static str) {
    match result {
        Err(DispatchError::Module(module)) => (module.index, module.message.unwrap()),
        other => panic!("not a module error: {other:?}"),
    }
}

pub(super) struct Worker {
    pub(super) pair: sr25519::Pair,
    pub(super) sequence: u64,
}

impl Worker {
    pub(super) fn new(seed: u8) -> Self {
        Self { pair: sr25519::Pair::from_seed(&[seed; 32]), sequence: 0 }
    }

    pub(super) fn key(&self) -> sr25519::Public {
        self.pair.public()
    }

    pub(super) fn info(&self, operator: Sr25519Keyring) -> WorkerRegistrationInfoV2 {
        WorkerRegistrationInfoV2 {
            version: 0x0002_0200,
            machine_id: Vec::new(),
            pubkey: self.key(),
            ecdh_pubkey: self.key(),
            genesis_block_hash: H256::repeat_byte(0x33),
            features: vec![4, 1],
            operator: Some(operator.to_account_id()),
            para_id: 2035,
            max_consensus_version: 0,
        }
    }

    pub(super) fn register(&self, operator: Sr25519Keyring) -> RuntimeCall {
        registry::Call::register_worker_v2 { pruntime_info: self.info(operator), attestation: None }.into()
    }

    /// The next message of the worker, signed.
    pub(super) fn message(&mut self, topic: &[u8], payload: &impl Encode) -> SignedMessage {
        let message = Message {
            sender: MessageOrigin::Worker(self.key()),
            destination: topic.to_vec(),
            payload: payload.encode(),
        };
        let mut signed = SignedMessage { message, sequence: self.sequence, signature: Vec::new() };
        signed.signature = self.pair.sign(&signed.signed_bytes()).0.to_vec();
        self.sequence += 1;
        signed
    }

    pub(super) fn bench_report(&mut self, start_ms: u64, iterations: u64) -> RuntimeCall {
        let event = RegistryEvent::BenchReport { start_time: start_ms, iterations };
        let signed_message = self.message(REGISTRY_EVENT_TOPIC, &event);
        mq::Call::sync_offchain_message { signed_message }.into()
    }
}

/// What the chain told a worker.
pub(super) fn told(messages: &[Message], key: &sr25519::Public) -> Vec<WorkerEvent> {
    let events = messages.iter().filter(|message| message.destination == SYSTEM_EVENT_TOPIC);
    events
        .filter_map(|message| match SystemEvent::decode(&mut &message.payload[..]).unwrap() {
            SystemEvent::WorkerEvent { pubkey, event } if pubkey == *key => Some(event),
            _ => None,
        })
        .collect()
}

/// The challenges of a block.
pub(super) fn challenges(messages: &[Message]) -> Vec<(U256, U256)> {
    let decoded = messages.iter().map(|message| SystemEvent::decode(&mut &message.payload[..]));
    decoded
        .filter_map(|event| match event {
            Ok(SystemEvent::HeartbeatChallenge { seed, online_target }) => Some((seed, online_target)),
            _ => None,
        })
        .collect()
}

pub(super) fn add(worker: &Worker) -> RuntimeCall {
    stake_pool::Call::add_worker { pid: 1, pubkey: worker.key() }.into()
}

pub(super) fn start(worker: &Worker, pha: u128) -> RuntimeCall {
    stake_pool::Call::start_computing { pid: 1, worker: worker.key(), stake: pha * UNIT }.into()
}

pub(super) fn stop(worker: &Worker) -> RuntimeCall {
    stake_pool::Call::stop_computing { pid: 1, worker: worker.key() }.into()
}

pub(super) fn reclaim(worker: &Worker) -> RuntimeCall {
    stake_pool::Call::reclaim_pool_worker { pid: 1, worker: worker.key() }.into()
}

/// Registers and benchmarks a worker of //Alice in blocks 1 and 2; its score is 600.
pub(super) fn benchmarked(worker: &mut Worker) {
    block(1, || call(Sr25519Keyring::Alice, worker.register(Sr25519Keyring::Alice)).unwrap());
    block(2, || {
        // 1200 iterations in 12 seconds.
        let report = worker.bench_report(START_MS + BLOCK_MS, 1200);
        call(Sr25519Keyring::Bob, report).unwrap();
    });
}
