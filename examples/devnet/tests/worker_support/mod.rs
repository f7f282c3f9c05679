//! Shared by the dev worker's tests: vectors, and a worker that is easy to drive.
#![allow(dead_code, unreachable_pub, reason = "every test file uses another part of it")]

pub mod vectors;

use codec::{Decode, Encode};
use finality_grandpa::{Commit, Precommit, SignedPrecommit};
use prb_devnet::worker::light::justification::{Justification, vote_message};
use prb_devnet::worker::pb;
use prb_devnet::worker::scale::{BlockHeaderWithChanges, GenesisBlockInfo, Header, HeaderToSync};
use prb_devnet::worker::{Error, Phactory, WorkerConfig};
use prost::Message;
use sp_core::{H256, Pair, ed25519};
use vectors::*;

/// Seed of the worker in the vectors.
pub fn dev_seed() -> Vec<u8> {
    H256::from_low_u64_be(1).as_bytes().to_vec()
}

pub fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

pub fn decode<T: Decode>(text: &str) -> T {
    T::decode(&mut &unhex(text)[..]).unwrap()
}

/// Authority with seed 32 x `n`: 1..4 are A1..A4, 5..7 are B1..B3.
pub fn authority(n: u8) -> ed25519::Pair {
    ed25519::Pair::from_seed(&[n; 32])
}

/// A header without digest.
pub fn header(parent: H256, number: u32, state_root: H256) -> Header {
    Header { parent_hash: parent, number, state_root, extrinsics_root: ext(), digest: Default::default() }
}

pub fn ext() -> H256 {
    decode("03170a2e7597b7b7e3d84c05391d139a62b157e78786d8c082f29dcf4c111314")
}

/// Votes of authorities for blocks, signed; the commit is for `target`.
pub fn justify(
    target: &Header,
    set_id: u64,
    round: u64,
    votes: &[(u8, &Header)],
    ancestries: &[&Header],
) -> Justification {
    let precommits = votes
        .iter()
        .map(|(voter, header)| {
            let (hash, number) = (header.hash(), header.number);
            let pair = authority(*voter);
            SignedPrecommit {
                precommit: Precommit { target_hash: hash, target_number: number },
                signature: pair.sign(&vote_message(hash, number, round, set_id)),
                id: pair.public(),
            }
        })
        .collect();
    Justification {
        round,
        commit: Commit { target_hash: target.hash(), target_number: target.number, precommits },
        votes_ancestries: ancestries.iter().map(|header| (*header).clone()).collect(),
    }
}

pub fn with(header: &Header, justification: Option<&Justification>) -> HeaderToSync {
    HeaderToSync { header: header.clone(), justification: justification.map(Encode::encode) }
}

pub fn t3() -> Vec<HeaderToSync> {
    decode(T3_HEADERS)
}

pub fn t4() -> Vec<HeaderToSync> {
    decode(T4_HEADERS)
}

/// Header 104: in no batch, only attached to the justification of 103.
pub fn header_104() -> Header {
    let bytes = t4()[0].justification.clone().unwrap();
    Justification::decode(&mut &bytes[..]).unwrap().votes_ancestries[0].clone()
}

pub fn para_headers() -> Vec<Header> {
    decode(T4_PARA)
}

pub fn para_proof() -> Vec<Vec<u8>> {
    [T4_PROOF_0, T4_PROOF_1, T4_PROOF_2].map(unhex).to_vec()
}

pub fn blocks() -> Vec<BlockHeaderWithChanges> {
    decode(T6_BLOCKS)
}

pub fn genesis_info() -> GenesisBlockInfo {
    decode(T2_GENESIS)
}

pub fn init_request() -> pb::InitRuntimeRequest {
    pb::InitRuntimeRequest {
        encoded_genesis_info: unhex(T2_GENESIS),
        debug_set_key: Some(dev_seed()),
        encoded_genesis_state: unhex(T5_STATE),
        is_parachain: true,
        ..Default::default()
    }
}

/// A worker and typed calls to it.
pub struct Worker(pub Phactory);

impl Worker {
    pub fn new(config: WorkerConfig) -> Self {
        Self(Phactory::new(config, 1_700_000_000))
    }

    pub fn fresh() -> Self {
        Self::new(WorkerConfig::default())
    }

    /// Initialised with the vectors' genesis in parachain mode.
    pub fn init() -> Self {
        let mut worker = Self::fresh();
        worker.call::<pb::InitRuntimeResponse>("InitRuntime", &init_request()).unwrap();
        worker
    }

    /// Relay headers up to 103 are in, para headers are awaited.
    pub fn at_103() -> Self {
        let mut worker = Self::init();
        worker.sync_header(&t3()).unwrap();
        worker.sync_header(&t4()).unwrap();
        worker
    }

    /// Para headers up to 2 are in, no block is.
    pub fn at_para_2() -> Self {
        let mut worker = Self::at_103();
        worker.sync_para(&para_headers(), &para_proof()).unwrap();
        worker
    }

    /// All of the vectors is in.
    pub fn done() -> Self {
        let mut worker = Self::at_para_2();
        worker.dispatch(&blocks()).unwrap();
        worker
    }

    pub fn call<R: Message + Default>(&mut self, method: &str, request: &impl Message) -> Result<R, Error> {
        let bytes = self.0.handle(method, &request.encode_to_vec())?;
        Ok(R::decode(&bytes[..]).unwrap())
    }

    pub fn sync_header(&mut self, headers: &[HeaderToSync]) -> Result<u32, Error> {
        let request = pb::HeadersToSync { encoded_headers: headers.encode(), ..Default::default() };
        self.call("SyncHeader", &request).map(|reply: pb::SyncedTo| reply.synced_to)
    }

    pub fn sync_para(&mut self, headers: &[Header], proof: &[Vec<u8>]) -> Result<u32, Error> {
        let request = pb::ParaHeadersToSync { encoded_headers: headers.encode(), proof: proof.to_vec() };
        self.call("SyncParaHeader", &request).map(|reply: pb::SyncedTo| reply.synced_to)
    }

    pub fn dispatch(&mut self, blocks: &[BlockHeaderWithChanges]) -> Result<u32, Error> {
        let request = pb::Blocks { encoded_blocks: blocks.encode() };
        self.call("DispatchBlocks", &request).map(|reply: pb::SyncedTo| reply.synced_to)
    }

    /// headernum, para_headernum, blocknum.
    pub fn counters(&self) -> (u32, u32, u32) {
        let info = self.0.info();
        (info.headernum, info.para_headernum, info.blocknum)
    }
}

/// The text of a refusal with status 500.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::App(text)) => text,
        other => panic!("expected a refusal, got {other:?}"),
    }
}
