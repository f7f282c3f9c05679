//! Two chains made without their runtimes, fast and of any length, behind the real RPC of the dev network.
//!
//! Everything a bridge checks is real: header links, GRANDPA justifications by the members of each set, proofs of the
//! parachain's heads and of the sets, and storage changes that lead to the state root of each block.

pub(super) mod content;

use anyhow::Context;
use codec::Encode;
use content::{Content, Dice, Writer};
use prb_core::storage_key;
use prb_devnet::{
    chain::{Chain, Changes, Header, PoolConfig, Runtime, StorageChanges},
    finality::{Finalizer, Knobs},
    rpc::{Node, NodeConfig, RpcServer},
    runtime::{authorities_for, authority_list, para, relay},
};
use sp_consensus_grandpa::{AuthorityList, ConsensusLog, GRANDPA_ENGINE_ID, ScheduledChange};
use sp_core::{H256, storage::Storage};
use sp_runtime::{Digest, DigestItem, traits::BlakeTwo256};
use sp_state_machine::Backend as _;
use sp_trie::{PrefixedMemoryDB, TrieMut as _, trie_types::TrieDBMutBuilderV0};
use std::sync::Arc;

/// The parachain's id.
const PARA_ID: u32 = 2035;

/// Relay parent of the first parachain block; the bridge starts one block below.
const FIRST_PARENT: u32 = 2;

/// Other keys of the relay state, so that proofs are as deep as real ones.
const RELAY_KEYS: u32 = 5_000;

/// How the chains are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Relay blocks above the start block.
    pub(super) relay_blocks: u32,
    /// Relay blocks of an authority set.
    pub(super) set_blocks: u32,
    /// Members of a set.
    pub(super) validators: u32,
    /// Parachain blocks, spread over the relay blocks.
    pub(super) para_blocks: u32,
    /// What they write.
    pub(super) content: Content,
}

/// The chains, each behind a node on a port of its own.
pub(super) struct World {
    relay: RpcServer,
    para: RpcServer,
}

impl World {
    /// Makes the chains and serves them.
    pub(super) async fn start(shape: Shape) -> anyhow::Result<Self> {
        let made = tokio::task::spawn_blocking(move || Chains::make(shape)).await;
        let Chains { relay, para, finalizer } = made.context("making the chains")??;
        let node = |chain_name: &str, token: &str, phala_extension| NodeConfig {
            chain_name: chain_name.to_owned(),
            ss58_format: 42,
            token: token.to_owned(),
            phala_extension,
            archive: false,
        };
        let relay = Node::new(relay, Some(finalizer), node("bench relay", "KSM", false));
        let para = Node::new(para, None, node("bench para", "PHA", true));
        Ok(Self {
            relay: RpcServer::start(Arc::new(relay), super::super::local(0)).await?,
            para: RpcServer::start(Arc::new(para), super::super::local(0)).await?,
        })
    }

    /// `ws://` address of the relay chain's node.
    pub(super) fn relay_url(&self) -> String {
        self.relay.url()
    }

    /// `ws://` address of the parachain's node.
    pub(super) fn para_url(&self) -> String {
        self.para.url()
    }

    /// Stops both nodes.
    pub(super) async fn stop(self) {
        self.relay.stop().await;
        self.para.stop().await;
    }
}

struct Chains {
    relay: Arc<Chain>,
    para: Arc<Chain>,
    finalizer: Arc<Finalizer>,
}

impl Chains {
    fn make(shape: Shape) -> anyhow::Result<Self> {
        let mut para = Para::new(shape.content)?;
        let mut relay = Relay::new(shape, &para.head())?;
        let knobs = Knobs { every: u32::MAX, ..Knobs::default() };
        let finalizer = Arc::new(Finalizer::new(relay.chain.clone(), authorities_for, knobs));
        let last = FIRST_PARENT - 1 + shape.relay_blocks;
        for number in 1..=last {
            // Heads are spread evenly, and the last relay block has the last one.
            let wanted = u64::from(shape.para_blocks) * u64::from(number.saturating_sub(FIRST_PARENT))
                / u64::from((last - FIRST_PARENT).max(1));
            let before = para.number;
            while u64::from(para.number) < wanted {
                para.grow(relay.chain.block_at(FIRST_PARENT).map(|parent| parent.header.state_root))?;
            }
            relay.grow(number, (para.number > before).then(|| para.head()))?;
            if number.is_multiple_of(shape.set_blocks) {
                finalizer.advance();
            }
        }
        finalizer.adjust(|knobs| knobs.every = 1);
        finalizer.advance();
        para.chain.finalize(para.number);
        Ok(Self { relay: relay.chain, para: para.chain, finalizer })
    }
}

struct Relay {
    chain: Arc<Chain>,
    dice: Dice,
    shape: Shape,
    set: u64,
}

impl Relay {
    fn new(shape: Shape, head: &[u8]) -> anyhow::Result<Self> {
        let mut dice = Dice(11);
        let mut genesis = Storage::default();
        genesis.top.extend((0..RELAY_KEYS).map(|_| (dice.bytes(48), dice.bytes(40))));
        for (key, value) in set_keys(0, &authority_list(0, shape.validators)) {
            genesis.top.insert(key, value);
        }
        genesis.top.insert(storage_key::para_head(PARA_ID), head.encode());
        let runtime = Runtime { name: "relay", dispatch: relay::dispatch };
        let chain = Arc::new(Chain::new(runtime, &genesis, PoolConfig::default())?);
        Ok(Self { chain, dice, shape, set: 0 })
    }

    /// Adds a block, with a parachain head if it includes one.
    fn grow(&mut self, number: u32, head: Option<Vec<u8>>) -> anyhow::Result<()> {
        let parent = self.chain.best();
        let mut changes: Changes = Vec::new();
        if let Some(head) = head {
            changes.push((storage_key::para_head(PARA_ID), Some(head.encode())));
        }
        // As long as real ones: BABE's claim with its VRF output and proof.
        let claim = [vec![1], self.dice.bytes(2), vec![0; 2], self.dice.bytes(8), self.dice.bytes(96)];
        let mut logs = vec![DigestItem::PreRuntime(*b"BABE", claim.concat())];
        if number.is_multiple_of(self.shape.set_blocks) {
            self.set += 1;
            let next = authority_list(self.set, self.shape.validators);
            changes.extend(set_keys(self.set, &next).map(|(key, value)| (key, Some(value))));
            let change = ScheduledChange { next_authorities: next, delay: 0u32 };
            let log = ConsensusLog::ScheduledChange(change).encode();
            logs.push(DigestItem::Consensus(GRANDPA_ENGINE_ID, log));
        }
        logs.push(DigestItem::Seal(*b"BABE", self.dice.bytes(64)));
        let delta = changes.iter().map(|(key, value)| (&key[..], value.as_deref()));
        let state = self.chain.state(None)?;
        let (state_root, nodes) = state.storage_root(delta, self.chain.state_version());
        let header = Header {
            parent_hash: parent.hash,
            number,
            state_root,
            extrinsics_root: H256::from_slice(&self.dice.bytes(32)),
            digest: Digest { logs },
        };
        self.chain.adopt(header, StorageChanges { main: changes, child: Vec::new() }, nodes)?;
        Ok(())
    }
}

/// What the relay state says about an authority set.
fn set_keys(id: u64, list: &AuthorityList) -> [(Vec<u8>, Vec<u8>); 2] {
    [
        (storage_key::grandpa_current_set_id(), id.encode()),
        (storage_key::grandpa_authorities(), list.encode()),
    ]
}

struct Para {
    chain: Arc<Chain>,
    writer: Writer,
    dice: Dice,
    /// The state after the best block, and no other: those of all blocks would take gigabytes.
    nodes: PrefixedMemoryDB<BlakeTwo256>,
    root: H256,
    number: u32,
}

impl Para {
    fn new(content: Content) -> anyhow::Result<Self> {
        let mut writer = Writer::new(content, 7);
        let mut genesis = Storage::default();
        genesis.top.extend(writer.pairs());
        genesis.top.insert(storage_key::parachain_id(), PARA_ID.encode());
        let runtime = Runtime { name: "para", dispatch: para::dispatch };
        let chain = Arc::new(Chain::new(runtime, &genesis, PoolConfig::default())?);
        let mut nodes = PrefixedMemoryDB::default();
        let mut root = H256::zero();
        {
            let mut trie = TrieDBMutBuilderV0::<BlakeTwo256>::new(&mut nodes, &mut root).build();
            for (key, value) in &genesis.top {
                trie.insert(key, value).map_err(|error| anyhow::anyhow!("{error}"))?;
            }
        }
        anyhow::ensure!(root == chain.best().header.state_root, "two tries of one state differ");
        Ok(Self { chain, writer, dice: Dice(13), nodes, root, number: 0 })
    }

    fn head(&self) -> Vec<u8> {
        self.chain.best().header.encode()
    }

    /// Adds a block. The first names the state root of its relay parent, `first_parent`.
    fn grow(&mut self, first_parent: Option<H256>) -> anyhow::Result<()> {
        let parent = self.chain.best();
        self.number += 1;
        let mut kept = PrefixedMemoryDB::default();
        let changes = if self.number == 1 {
            let root = first_parent.context("parachain block 1 before its relay parent")?;
            let data = (Vec::<u8>::new(), FIRST_PARENT, root, 0u32).encode();
            let changes: Changes = vec![(storage_key::validation_data(), Some(data))];
            // Where the bridge begins is read in this state, so the chain keeps it beside that of block 0.
            let delta = changes.iter().map(|(key, value)| (&key[..], value.as_deref()));
            kept = self.chain.state(None)?.storage_root(delta, self.chain.state_version()).1;
            changes
        } else {
            self.writer.changes()
        };
        {
            let mut trie =
                TrieDBMutBuilderV0::<BlakeTwo256>::from_existing(&mut self.nodes, &mut self.root).build();
            for (key, value) in &changes {
                trie.insert(key, value.as_deref().unwrap_or_default())
                    .map_err(|error| anyhow::anyhow!("{error}"))?;
            }
        }
        let slot = u64::from(self.number).to_le_bytes().to_vec();
        let logs =
            vec![DigestItem::PreRuntime(*b"aura", slot), DigestItem::Seal(*b"aura", self.dice.bytes(64))];
        let header = Header {
            parent_hash: parent.hash,
            number: self.number,
            state_root: self.root,
            extrinsics_root: H256::from_slice(&self.dice.bytes(32)),
            digest: Digest { logs },
        };
        self.chain.adopt(header, StorageChanges { main: changes, child: Vec::new() }, kept)?;
        Ok(())
    }
}
