//! Parachain blocks that are not finalized yet, and forks of them.

use super::{Block, FakeChain, Inner, Meddling};
use crate::{
    id::{BlockRef, Hash, Height},
    port::CallResult,
    testkit::toy::ToyEvent,
    tx::Call,
    types::header::{DigestItem, Header},
};
use bytes::Bytes;
use codec::Encode;
use std::sync::Arc;

/// A parachain block that may still be taken back.
pub(super) struct Draft {
    block: Block,
    /// What it took in, to be given back with it.
    events: Vec<ToyEvent>,
    meddling: Vec<Meddling>,
}

impl FakeChain {
    /// Builds a block with these extrinsics, each a list of calls, on the best one, and says what became of each call. The
    /// chain must be [authored](super::ChainBuilder::authored).
    pub fn author(&self, extrinsics: &[Vec<Call>]) -> (BlockRef, Vec<Vec<CallResult>>) {
        self.inner().author(extrinsics)
    }

    /// Takes back so many of the blocks that are not finalized, the newest first. What others wanted to do in them they
    /// do in those that are built instead; what their authors put in is gone.
    pub fn retract(&self, blocks: usize) -> Vec<BlockRef> {
        let mut inner = self.inner();
        let count = blocks.min(inner.drafts.len());
        (0..count).filter_map(|_| inner.retract()).collect()
    }

    /// The newest parachain block, finalized or not.
    pub fn best(&self) -> BlockRef {
        self.inner().best().at
    }

    /// The parachain block at this height of the best chain.
    pub fn block_at(&self, height: Height) -> Option<BlockRef> {
        self.inner().at(height).map(|block| block.at)
    }

    /// SCALE header of a block of the best chain.
    pub fn header_of(&self, block: BlockRef) -> Option<Bytes> {
        self.inner().named(block).map(|block| block.header.clone())
    }

    /// The value of `key` after a block of the best chain; none of a block that is not in it.
    pub fn value_at(&self, block: BlockRef, key: &[u8]) -> Option<Option<Bytes>> {
        self.inner().named(block).map(|block| block.state.get(key).cloned())
    }
}

impl Inner {
    pub(super) fn best(&self) -> &Block {
        self.drafts.back().map_or_else(|| &self.blocks[self.blocks.len() - 1], |draft| &draft.block)
    }

    fn at(&self, height: Height) -> Option<&Block> {
        let height = height.0 as usize;
        let draft = || self.drafts.get(height - self.blocks.len()).map(|draft| &draft.block);
        if height < self.blocks.len() { self.blocks.get(height) } else { draft() }
    }

    fn named(&self, block: BlockRef) -> Option<&Block> {
        self.at(block.height).filter(|found| found.at == block)
    }

    fn author(&mut self, extrinsics: &[Vec<Call>]) -> (BlockRef, Vec<Vec<CallResult>>) {
        let (events, meddling) = (self.events.clone(), self.meddling.clone());
        let parent = self.best().at;
        let done = self.execute(extrinsics);
        // Another author's block of the same height and content is another block.
        self.authored += 1;
        let header = Header {
            parent_hash: parent.hash,
            number: parent.height.0 + 1,
            state_root: done.root,
            extrinsics_root: Hash::of(&extrinsics.encode()),
            digest: vec![DigestItem::Seal(*b"aura", self.authored.encode())],
        };
        let at = header.block_ref();
        let block = Block {
            at,
            header: header.encode().into(),
            root: done.root,
            changes: done.changes,
            state: Arc::new(done.state),
        };
        self.drafts.push_back(Draft { block, events, meddling });
        (at, done.results)
    }

    fn retract(&mut self) -> Option<BlockRef> {
        let Draft { block, mut events, mut meddling } = self.drafts.pop_back()?;
        events.append(&mut self.events);
        meddling.append(&mut self.meddling);
        (self.events, self.meddling) = (events, meddling);
        Some(block.at)
    }

    /// The oldest draft can no longer be taken back.
    pub(super) fn finalize_draft(&mut self) {
        if let Some(draft) = self.drafts.pop_front() {
            self.blocks.push(draft.block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::WorkerKey, types::message::MessageOrigin};

    fn chain() -> FakeChain {
        let chain = FakeChain::builder(1).para_every(1).para_after(0).authored().build();
        chain.advance(2);
        chain
    }

    #[test]
    fn a_block_is_the_same_before_and_after_its_finality() {
        let chain = chain();
        let (first, _) = chain.author(&[]);
        let (second, _) = chain.author(&[]);
        assert_eq!((chain.best(), chain.tips().para), (second, Height(0)));
        chain.advance(1);
        assert_eq!(chain.tips().para, first.height);
        assert_eq!(
            (chain.block_at(first.height), chain.block_at(second.height)),
            (Some(first), Some(second))
        );
        assert_eq!(chain.header_of(first), chain.para_header(first.height));
        chain.advance(5);
        assert_eq!(chain.tips().para, second.height);
    }

    #[test]
    fn what_is_taken_back_is_built_anew_as_another_block() {
        let chain = chain();
        let own = MessageOrigin::Worker(WorkerKey([7; 32]));
        let (kept, _) = chain.author(&[]);
        chain.prompt(own, 1);
        let (lost, _) = chain.author(&[]);
        let events = crate::testkit::toy::events_key();
        let told = chain.value_at(lost, &events);
        assert_eq!(chain.retract(1), [lost]);
        assert_eq!((chain.best(), chain.header_of(lost), chain.value_at(lost, &events)), (kept, None, None));
        let (instead, _) = chain.author(&[]);
        assert_ne!(instead, lost);
        assert_eq!(chain.value_at(instead, &events), told);
        chain.advance(1);
        assert_eq!(chain.retract(9), [instead], "what is finalized stays");
    }

    #[test]
    fn calls_of_an_author_have_their_results() {
        let call = Call::StopComputing { pool: crate::id::PoolId(1), worker: WorkerKey([1; 32]) };
        let (_, results) = chain().author(&[vec![call.clone(), call], vec![]]);
        assert_eq!(results.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0]);
        assert!(results[0].iter().all(|result| *result != CallResult::Ok));
    }
}
