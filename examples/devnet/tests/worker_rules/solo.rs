//! A standalone chain that is easy to drive, and its worker.

use std::collections::BTreeMap;

use codec::{Decode, Encode};
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::*;
use prb_devnet::worker::{Error, WorkerConfig};
use sp_core::{H256, Pair, U256};
use sp_crypto_hashing::{twox_64, twox_128};
use sp_runtime::traits::BlakeTwo256;
use sp_trie::{LayoutV0, TrieConfiguration};

use crate::worker_support::*;

pub type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

pub fn key(pallet: &str, item: &str) -> Vec<u8> {
    [twox_128(pallet.as_bytes()), twox_128(item.as_bytes())].concat()
}

pub fn map_key(pallet: &str, item: &str, of: &[u8]) -> Vec<u8> {
    [&key(pallet, item)[..], &twox_64(of), of].concat()
}

pub fn root_of(pairs: &Pairs) -> H256 {
    LayoutV0::<BlakeTwo256>::trie_root(pairs)
}

/// A standalone chain: header 0 holds the genesis state, authority 1 finalises, blocks follow at will.
pub struct Solo {
    pub worker: Worker,
    pub state: Pairs,
    pub last: Header,
    /// Timestamp of the newest block, milliseconds.
    pub time: u64,
}

impl Solo {
    pub fn start(config: WorkerConfig, provider: Option<AttestationProvider>) -> Self {
        let mut solo = Self::unstarted(config);
        solo.init(provider, None).unwrap();
        let request = solo.sync_genesis();
        assert_eq!(solo.worker.sync_header(&request), Ok(1));
        let block = solo.empty_block_1();
        assert_eq!(solo.worker.dispatch(&[block]), Ok(1));
        solo
    }

    pub fn unstarted(config: WorkerConfig) -> Self {
        let set: AuthorityList = vec![(authority(1).public().0, 1)];
        let mut state = Pairs::new();
        state.insert(b":grandpa_authorities".to_vec(), (1u8, &set).encode());
        state.insert(b":code".to_vec(), vec![7; 100]);
        let last = header(H256::zero(), 0, root_of(&state));
        Self { worker: Worker::new(config), state, last, time: 1_700_000_000_000 }
    }

    pub fn init_request(&self) -> pb::InitRuntimeRequest {
        let set: AuthorityList = vec![(authority(1).public().0, 1)];
        let mut nodes = sp_trie::MemoryDB::<BlakeTwo256>::default();
        let mut root = H256::zero();
        {
            use sp_trie::TrieMut;
            let mut trie =
                sp_trie::TrieDBMutBuilder::<LayoutV0<BlakeTwo256>>::new(&mut nodes, &mut root).build();
            for (key, value) in &self.state {
                trie.insert(key, value).unwrap();
            }
        }
        let info = GenesisBlockInfo {
            block_header: self.last.clone(),
            authority_set: AuthoritySet { list: set, id: 0 },
            proof: nodes.drain().into_values().map(|(node, _)| node).collect(),
        };
        pb::InitRuntimeRequest {
            encoded_genesis_info: info.encode(),
            encoded_genesis_state: Vec::from_iter(&self.state).encode(),
            is_parachain: false,
            ..Default::default()
        }
    }

    pub fn init(
        &mut self,
        provider: Option<AttestationProvider>,
        seed: Option<Vec<u8>>,
    ) -> Result<pb::InitRuntimeResponse, Error> {
        let request = pb::InitRuntimeRequest {
            attestation_provider: provider.map(|provider| provider.encode()),
            debug_set_key: seed,
            ..self.init_request()
        };
        self.worker.call("InitRuntime", &request)
    }

    /// Headers 0 and 1; block 1 changes nothing.
    pub fn sync_genesis(&mut self) -> Vec<HeaderToSync> {
        let genesis = self.last.clone();
        self.last = header(genesis.hash(), 1, root_of(&self.state));
        vec![with(&genesis, None), self.justified()]
    }

    pub fn justified(&self) -> HeaderToSync {
        let header = &self.last;
        with(header, Some(&justify(header, 0, 1, &[(1, header)], &[])))
    }

    pub fn empty_block_1(&self) -> BlockHeaderWithChanges {
        BlockHeaderWithChanges { block_header: self.last.clone(), storage_changes: Default::default() }
    }

    /// The next block, 12 seconds later, with these changes and messages.
    pub fn next(
        &mut self,
        mut changes: StorageCollection,
        messages: &[(&str, Vec<u8>)],
    ) -> BlockHeaderWithChanges {
        self.time += 12_000;
        changes.push((key("Timestamp", "Now"), Some(self.time.encode())));
        let messages: Vec<_> = messages
            .iter()
            .map(|(topic, payload)| Message {
                sender: MessageOrigin::Pallet(b"test".to_vec()),
                destination: topic.as_bytes().to_vec(),
                payload: payload.clone(),
            })
            .collect();
        changes.push((key("PhalaMq", "OutboundMessages"), Some(messages.encode())));
        for (key, value) in &changes {
            match value {
                Some(value) => self.state.insert(key.clone(), value.clone()),
                None => self.state.remove(key),
            };
        }
        self.last = header(self.last.hash(), self.last.number + 1, root_of(&self.state));
        let storage_changes = StorageChanges { main_storage_changes: changes, ..Default::default() };
        BlockHeaderWithChanges { block_header: self.last.clone(), storage_changes }
    }

    /// Authors, finalises and dispatches a block.
    pub fn step(&mut self, changes: StorageCollection, messages: &[(&str, Vec<u8>)]) -> Result<u32, Error> {
        let block = self.next(changes, messages);
        self.worker.sync_header(&[self.justified()]).unwrap();
        self.worker.dispatch(&[block])
    }

    pub fn events(&mut self, events: &[SystemEvent]) {
        let messages: Vec<_> = events.iter().map(|event| ("phala/system/event", event.encode())).collect();
        self.step(Vec::new(), &messages).unwrap();
    }

    pub fn pubkey(&self) -> Key {
        hex::decode(self.worker.0.info().public_key.unwrap()).unwrap().try_into().unwrap()
    }

    pub fn mine(&self, event: WorkerEvent) -> SystemEvent {
        SystemEvent::WorkerEvent { pubkey: self.pubkey(), event }
    }

    pub fn egress(&mut self) -> Vec<(MessageOrigin, Vec<SignedMessage>)> {
        let reply: pb::GetEgressMessagesResponse =
            self.worker.call("GetEgressMessages", &pb::Empty {}).unwrap();
        Decode::decode(&mut &reply.encoded_messages[..]).unwrap()
    }

    pub fn sent(&mut self) -> Vec<SignedMessage> {
        self.egress().into_iter().flat_map(|(_, messages)| messages).collect()
    }

    pub fn ingress(&self, next: u64) -> StorageCollection {
        let origin = MessageOrigin::Worker(self.pubkey()).encode();
        vec![(map_key("PhalaMq", "OffchainIngress", &origin), Some(next.encode()))]
    }
}

pub fn started(session_id: u32) -> WorkerEvent {
    WorkerEvent::Started { session_id, init_v: 1, init_p: 1 }
}

pub fn challenge(seed: U256, online_target: U256) -> SystemEvent {
    SystemEvent::HeartbeatChallenge { seed, online_target }
}

pub fn seeded() -> WorkerConfig {
    WorkerConfig { key: Some([3; 32]), ..Default::default() }
}
