//! Building blocks, and getting transactions into the pool.

use std::sync::Arc;

use codec::Encode;
use sp_core::H256;
use sp_runtime::traits::{BlakeTwo256, Hash as _};
use sp_runtime::transaction_validity::{
    InvalidTransaction, TransactionSource, TransactionValidity, TransactionValidityError,
};
use sp_runtime::{ApplyExtrinsicResult, Digest, DigestItem, ExtrinsicInclusionMode};
use sp_trie::PrefixedMemoryDB;
use tokio::sync::mpsc;

use super::exec::{CallError, Execution, Keep, Runtime};
use super::pool::{PoolConfig, PoolError, TxStatus, Verdict};
use super::{Block, Chain, Event, Header, StorageChanges, lock};

/// What a block is built from, besides the pool.
#[derive(Debug, Clone, Default)]
pub struct BlockInput {
    /// Inherent extrinsics, in the runtime's order. One that fails fails the block.
    pub inherents: Vec<Vec<u8>>,
    /// Transactions put in before the pool's, without pool validation. One that is invalid is left out.
    pub extra: Vec<Vec<u8>>,
    /// Digest items present while the block executes (pre-runtime digests).
    pub digest: Vec<DigestItem>,
    /// Seal appended to the header afterwards.
    pub seal: Option<DigestItem>,
    /// Leave the pool alone.
    pub without_pool: bool,
    /// The runtime that the block leaves behind: the next one is made with it, and calls on this one's state run it,
    /// as where the state holds the new code.
    pub upgrade: Option<Runtime>,
}

/// Why a block could not be built.
#[derive(Debug, thiserror::Error)]
pub enum AuthorError {
    /// A runtime call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An inherent was refused.
    #[error("inherent {index} was refused: {result:?}")]
    Inherent {
        /// Position among the inherents.
        index: usize,
        /// What the runtime answered.
        result: ApplyExtrinsicResult,
    },
    /// The overlay could not be turned into a new state.
    #[error("state of the new block does not build: {0}")]
    State(String),
}

/// Transactions that do not fit a block are skipped; after this many the block is taken as full (as in
/// Substrate's basic authorship).
const MAX_SKIPPED: usize = 8;

impl Chain {
    /// Makes a block best that was made without the runtime, for chains whose content matters and not how it came
    /// about. `nodes` are the trie nodes that its state adds; without them its state cannot be read.
    pub fn adopt(
        &self,
        header: Header,
        changes: StorageChanges,
        nodes: PrefixedMemoryDB<BlakeTwo256>,
    ) -> Result<Arc<Block>, AuthorError> {
        let _authoring = lock::mutex(&self.authoring);
        let parent = self.best();
        if (header.number, header.parent_hash) != (parent.header.number + 1, parent.hash) {
            return Err(AuthorError::State(format!("block {} does not follow the best one", header.number)));
        }
        self.nodes.absorb(nodes);
        let runtime = self.runtime();
        let block = Arc::new(Block { hash: header.hash(), header, extrinsics: Vec::new(), changes, runtime });
        let mut ledger = lock::write(&self.ledger);
        ledger.blocks.insert(block.hash, block.clone());
        ledger.canon.push(block.clone());
        drop(ledger);
        let _ = self.events.send(Event::Best(block.clone()));
        Ok(block)
    }

    /// Builds the next block on the best one, makes it best and returns it.
    pub fn author_block(&self, input: &BlockInput) -> Result<Arc<Block>, AuthorError> {
        let _authoring = lock::mutex(&self.authoring);
        let runtime = self.runtime();
        let parent = self.best();
        let mut execution = Execution::new(runtime, self.nodes.at(parent.header.state_root));
        let opening = Header {
            parent_hash: parent.hash,
            number: parent.header.number + 1,
            state_root: H256::zero(),
            extrinsics_root: H256::zero(),
            digest: Digest { logs: input.digest.clone() },
        };
        let mode: ExtrinsicInclusionMode = execution.typed("Core_initialize_block", &opening)?;

        let mut extrinsics = Vec::new();
        for (index, inherent) in input.inherents.iter().enumerate() {
            match apply(&mut execution, inherent)? {
                Ok(Ok(())) => extrinsics.push(inherent.clone()),
                result => return Err(AuthorError::Inherent { index, result }),
            }
        }
        let mut verdicts = Vec::new();
        if mode == ExtrinsicInclusionMode::AllExtrinsics {
            for transaction in &input.extra {
                if let Ok(Ok(_)) = apply(&mut execution, transaction) {
                    extrinsics.push(transaction.clone());
                }
            }
            if !input.without_pool {
                self.include_ready(&mut execution, &mut extrinsics, &mut verdicts);
            }
        }
        let mut header: Header = execution.typed("BlockBuilder_finalize_block", &())?;
        header.digest.logs.extend(input.seal.clone());

        let drained = execution
            .overlay
            .drain_storage_changes(&execution.state, self.state_version)
            .map_err(AuthorError::State)?;
        if drained.transaction_storage_root != header.state_root {
            return Err(AuthorError::State(format!(
                "the header says root {:?}, the overlay gives {:?}",
                header.state_root, drained.transaction_storage_root
            )));
        }
        self.nodes.absorb(drained.transaction);
        let changes =
            StorageChanges { main: drained.main_storage_changes, child: drained.child_storage_changes };
        let block = Arc::new(Block {
            hash: header.hash(),
            header,
            extrinsics,
            changes,
            runtime: input.upgrade.unwrap_or(runtime),
        });
        {
            let mut ledger = lock::write(&self.ledger);
            ledger.blocks.insert(block.hash, block.clone());
            ledger.canon.push(block.clone());
        }
        if let Some(runtime) = input.upgrade {
            self.upgrade(runtime);
        }
        self.maintain_pool(&block, verdicts);
        let _ = self.events.send(Event::Best(block.clone()));
        Ok(block)
    }

    fn include_ready(
        &self,
        execution: &mut Execution,
        extrinsics: &mut Vec<Vec<u8>>,
        verdicts: &mut Vec<(H256, Verdict)>,
    ) {
        let ready = lock::mutex(&self.pool).in_order();
        let mut skipped = 0;
        for (hash, raw) in ready {
            let verdict = match apply(execution, &raw) {
                Ok(Ok(_)) => {
                    extrinsics.push(raw.to_vec());
                    Verdict::Included
                }
                Ok(Err(TransactionValidityError::Invalid(InvalidTransaction::ExhaustsResources))) => {
                    skipped += 1;
                    if skipped > MAX_SKIPPED {
                        break;
                    }
                    continue;
                }
                Ok(Err(TransactionValidityError::Invalid(InvalidTransaction::Future))) => Verdict::Future,
                Ok(Err(_)) | Err(_) => Verdict::Invalid,
            };
            verdicts.push((hash, verdict));
        }
    }

    /// Submits a transaction; returns its hash (blake2-256 of the bytes as given).
    pub fn submit(&self, raw: Vec<u8>) -> Result<H256, PoolError> {
        self.import(raw, Vec::new())
    }

    /// Submits a transaction and listens to its fate. The channel is registered before the pool sees it.
    pub fn submit_and_watch(&self, raw: Vec<u8>) -> Result<(H256, mpsc::Receiver<TxStatus>), PoolError> {
        let (sender, receiver) = mpsc::channel(super::pool::WATCH_BUFFER);
        Ok((self.import(raw, vec![sender])?, receiver))
    }

    pub(super) fn import(
        &self,
        raw: Vec<u8>,
        watchers: Vec<mpsc::Sender<TxStatus>>,
    ) -> Result<H256, PoolError> {
        well_formed(&raw)?;
        let hash = BlakeTwo256::hash(&raw);
        lock::mutex(&self.pool).check_known(hash)?;
        let best = self.best();
        let checked = self.validate(&raw, &best);
        let mut pool = lock::mutex(&self.pool);
        match checked {
            Ok(Ok(valid)) => pool.import(hash, raw.into(), valid, best.header.number, watchers),
            Ok(Err(error)) => {
                pool.ban(hash, best.header.number);
                Err(match error {
                    TransactionValidityError::Invalid(reason) => PoolError::Invalid(reason),
                    TransactionValidityError::Unknown(reason) => PoolError::Unknown(reason),
                })
            }
            Err(error) => Err(PoolError::Verification(error.to_string())),
        }
    }

    /// Asks the runtime about a transaction on top of `at`.
    fn validate(&self, raw: &[u8], at: &Block) -> Result<TransactionValidity, CallError> {
        const METHOD: &str = "TaggedTransactionQueue_validate_transaction";
        let args = [&TransactionSource::External.encode()[..], raw, &at.hash.encode()[..]].concat();
        let mut execution = Execution::new(at.runtime, self.nodes.at(at.header.state_root));
        super::exec::decode(METHOD, &execution.call(METHOD, &args)?)
    }

    /// Tells the pool what became of transactions, then checks a few waiting ones against the new state.
    fn maintain_pool(&self, block: &Block, verdicts: Vec<(H256, Verdict)>) {
        let number = block.header.number;
        let doubtful = lock::mutex(&self.pool).on_block(number, block.hash, verdicts);
        for (hash, raw) in doubtful {
            let checked = self.validate(&raw, block);
            lock::mutex(&self.pool).recheck(hash, number, checked.ok());
        }
    }

    /// Waiting and ready transactions: ready ones in the order a block would take them, then the others.
    pub fn pending(&self) -> Vec<Vec<u8>> {
        lock::mutex(&self.pool).all().into_iter().map(|raw| raw.to_vec()).collect()
    }

    /// How many consecutive tags, beginning with `tag(first)`, ready transactions provide.
    pub fn ready_run(&self, first: u64, tag: impl Fn(u64) -> Vec<u8>) -> u64 {
        let pool = lock::mutex(&self.pool);
        (0..).find(|ahead| !pool.provides(&tag(first + ahead))).unwrap_or_default()
    }

    /// Exchanges the limits of the pool. What is too much already goes when the next transaction comes.
    pub fn set_pool_limits(&self, limits: PoolConfig) {
        lock::mutex(&self.pool).set_limits(limits);
    }

    /// Transactions that the pool refused or dropped for lack of room, since the start.
    pub fn crowded_out(&self) -> u64 {
        lock::mutex(&self.pool).crowded_out()
    }

    /// Forgets every pool transaction, reporting `dropped`.
    pub fn clear_pool(&self) {
        lock::mutex(&self.pool).clear();
    }
}

fn apply(execution: &mut Execution, raw: &[u8]) -> Result<ApplyExtrinsicResult, CallError> {
    const METHOD: &str = "BlockBuilder_apply_extrinsic";
    // First byte of the result: 0 = applied (even if its call failed), 1 = not applicable, undo everything.
    let keep = |result: &[u8]| if result.first() == Some(&0) { Keep::Yes } else { Keep::No };
    super::exec::decode(METHOD, &execution.call_deciding(METHOD, raw, keep)?)
}

/// An extrinsic is its compact length and that many bytes.
fn well_formed(raw: &[u8]) -> Result<(), PoolError> {
    use codec::{Compact, Decode, Input};
    let mut input = raw;
    let length = Compact::<u32>::decode(&mut input).map_err(PoolError::BadFormat)?.0 as usize;
    match input.remaining_len() {
        Ok(Some(rest)) if rest == length => Ok(()),
        _ => Err(PoolError::BadFormat("length prefix does not match".into())),
    }
}
