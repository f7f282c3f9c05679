//! What a pRuntime is: its state, what it says of itself, how it begins.

mod blocks;
mod headers;

use crate::{
    id::{AccountId, BlockRef, Hash, Height, WorkerKey},
    port::{
        WorkerInfo,
        worker::{Attestation, InitRequest, Refusal, RuntimeInfo},
    },
    storage_key,
    testkit::toy,
    types::{
        attestation::WorkerRegistrationInfoV2,
        grandpa::AuthoritySet,
        message::{MessageOrigin, SignedMessage},
        sync::{GenesisBlockInfo, StorageState},
    },
};
use bytes::Bytes;
use codec::{Decode, DecodeAll, Encode};
use std::collections::{BTreeMap, VecDeque};

/// Why a call failed.
pub(super) enum Broke {
    Refused(String, Refusal),
    Undecodable(String),
    /// The process dies.
    Aborted(String),
}

fn refused<T>(message: impl Into<String>, refusal: Refusal) -> Result<T, Broke> {
    Err(Broke::Refused(message.into(), refusal))
}

fn decode<T: DecodeAll>(bytes: &[u8]) -> Result<T, Broke> {
    T::decode_all(&mut &*bytes).map_err(|error| Broke::Undecodable(error.to_string()))
}

/// State of a pRuntime process, as far as a bridge can tell.
#[derive(Clone)]
pub(super) struct Machine {
    pub(super) key: WorkerKey,
    pub(super) version: String,
    /// Senders it speaks for besides itself.
    pub(super) others: Vec<MessageOrigin>,
    /// A key that it got and uses from its next start on.
    pub(super) given: Option<WorkerKey>,
    /// How many challenges it made, and whether the last one is still to be answered.
    pub(super) challenges: u32,
    pub(super) challenged: bool,
    /// It answered a challenge and gets a key now.
    pub(super) accepted: bool,
    /// Start block and parachain that its key was sealed with.
    pub(super) sealed: Option<(Hash, u32)>,
    pub(super) can_load: bool,
    /// Block whose state it was loaded with.
    loaded: Height,
    dev_mode: bool,
    start: Option<Hash>,
    parachain: bool,
    para_id: u32,
    operator: Option<AccountId>,
    set: AuthoritySet,
    last: BlockRef,
    pub(super) header: Height,
    pub(super) para: Height,
    pub(super) block: Height,
    relay_root: Option<Hash>,
    roots: VecDeque<Hash>,
    root: Hash,
    validated: bool,
    pub(super) time: u64,
    registered: bool,
    benchmark: Option<Height>,
    working: bool,
    egress: BTreeMap<MessageOrigin, (u64, VecDeque<SignedMessage>)>,
}

impl Machine {
    pub(super) fn new(key: WorkerKey, version: String) -> Self {
        Self {
            key,
            version,
            others: Vec::new(),
            given: None,
            challenges: 0,
            challenged: false,
            accepted: false,
            sealed: None,
            can_load: true,
            loaded: Height(0),
            dev_mode: false,
            start: None,
            parachain: true,
            para_id: 0,
            operator: None,
            set: AuthoritySet { list: Vec::new(), id: 0 },
            last: BlockRef { height: Height(0), hash: Hash::default() },
            header: Height(0),
            para: Height(0),
            block: Height(0),
            relay_root: None,
            roots: VecDeque::new(),
            root: Hash::default(),
            validated: false,
            time: 0,
            registered: false,
            benchmark: None,
            working: false,
            egress: BTreeMap::new(),
        }
    }

    /// What a restart without a checkpoint leaves.
    pub(super) fn fresh(&self) -> Self {
        Self {
            others: self.others.clone(),
            sealed: self.sealed,
            dev_mode: self.dev_mode,
            ..Self::new(self.given.unwrap_or(self.key), self.version.clone())
        }
    }

    pub(super) fn initialized(&self) -> Result<Hash, Broke> {
        self.start.map_or_else(|| refused("Runtime not initialized", Refusal::NotInitialized), Ok)
    }

    pub(super) fn info(&self) -> WorkerInfo {
        WorkerInfo {
            initialized: self.start.is_some(),
            registered: self.registered,
            genesis_block_hash: self.start,
            public_key: self.start.map(|_| self.key),
            headernum: self.header,
            para_headernum: self.para,
            blocknum: self.block,
            waiting_for_paraheaders: self.relay_root.is_some(),
            can_load_chain_state: self.can_load,
            pending_messages: self.egress.values().map(|(_, queue)| queue.len() as u64).sum(),
            score: 1000,
            dev_mode: self.dev_mode,
            version: self.version.clone(),
            git_revision: "fake".into(),
            safe_mode_level: 0,
            current_block_time: self.time,
            supported_attestation_methods: vec!["none".into()],
            genesis_block: self.loaded,
            ..WorkerInfo::default()
        }
    }

    pub(super) fn init(&mut self, request: &InitRequest) -> Result<RuntimeInfo, Broke> {
        if self.start.is_some() {
            return refused("Runtime already initialized", Refusal::OutOfStep);
        }
        let genesis: GenesisBlockInfo = decode(&request.genesis_info)?;
        let pairs: StorageState = decode(&request.genesis_state)?;
        let para_id = pairs
            .iter()
            .find(|(key, _)| *key == storage_key::parachain_id())
            .and_then(|(_, value)| u32::decode(&mut value.as_slice()).ok())
            .unwrap_or_default();
        let start = genesis.block_header.block_ref();
        if let Some(key) = request.debug_key {
            (self.key, self.dev_mode) = (WorkerKey(Hash::of(&key).0), true);
        }
        if self.sealed.is_some_and(|sealed| sealed != (start.hash, para_id)) {
            return refused(
                "Genesis block hash mismatches with saved keys, expected another",
                Refusal::Other,
            );
        }
        self.sealed = Some((start.hash, para_id));
        if request.attestation_provider.is_some() {
            let why = if self.dev_mode {
                "RA is disallowed when debug_set_key is enabled"
            } else {
                "Unsupported attestation provider"
            };
            return refused(why, Refusal::Other);
        }
        let proven = toy::read_proof(
            genesis.block_header.state_root,
            &genesis.proof,
            &storage_key::grandpa_authorities(),
        );
        if proven != Ok(Some(genesis.authority_set.list.encode())) {
            return Err(Broke::Aborted("authority set is not proven".into()));
        }
        self.start = Some(start.hash);
        self.parachain = request.is_parachain;
        self.para_id = para_id;
        self.operator = request.operator;
        self.set = genesis.authority_set;
        self.last = start;
        self.header = if self.parachain { start.height.next() } else { Height(0) };
        (self.para, self.block) = (Height(0), Height(1));
        self.root = toy::pairs_root(&request.genesis_state);
        if !self.parachain && self.root != genesis.block_header.state_root {
            *self = self.fresh();
            return refused("state root mismatch", Refusal::Other);
        }
        self.runtime_info(request.operator)
    }

    pub(super) fn runtime_info(&mut self, operator: Option<AccountId>) -> Result<RuntimeInfo, Broke> {
        let start = self.initialized()?;
        self.operator = operator.or(self.operator);
        let info = WorkerRegistrationInfoV2 {
            version: 0x0002_0200,
            machine_id: Vec::new(),
            pubkey: self.key,
            ecdh_pubkey: self.key.0,
            genesis_block_hash: start,
            features: vec![4, 1],
            operator: self.operator,
            para_id: self.para_id,
            max_consensus_version: 0,
        };
        Ok(RuntimeInfo {
            encoded_runtime_info: info.encode().into(),
            genesis_block_hash: start,
            public_key: self.key,
            attestation: self.validated.then(|| Attestation::Report(Bytes::from_static(&[0]))),
        })
    }

    fn is_old(&self) -> bool {
        self.info().needs_set_change()
    }
}
