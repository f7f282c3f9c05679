//! The fake parachain's storage with a script.

use super::{FakeChain, hook::Hook};
use crate::{
    id::{BlockRef, Height},
    port::{ChainState, StateError},
    storage_key::StorageKey,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// A call of a [`FakeState`], as its hook sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateCall {
    /// `read` of so many keys.
    Read(usize),
    /// `keys`.
    Keys,
    /// `pairs`.
    Pairs(Height),
}

/// What goes wrong with a call of a [`FakeState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFault {
    /// Nothing is known yet.
    Empty,
    /// Nobody answers.
    Unreachable,
    /// No answer for so long; then nobody answers.
    Hang(Duration),
    /// The answer makes no sense.
    Damaged,
}

/// [`ChainState`] of a [`FakeChain`].
#[derive(Clone)]
pub struct FakeState {
    chain: FakeChain,
    hook: Hook<StateCall, StateFault>,
    lag: Arc<AtomicU32>,
    /// It never goes back.
    newest: Arc<AtomicU32>,
}

impl FakeState {
    /// The state at the chain's tip.
    pub fn new(chain: &FakeChain) -> Self {
        Self { chain: chain.clone(), hook: Hook::default(), lag: Arc::default(), newest: Arc::default() }
    }

    /// What goes wrong.
    pub fn hook(&self) -> &Hook<StateCall, StateFault> {
        &self.hook
    }

    /// From now on it is so many blocks behind the chain, though it never goes back.
    pub fn lag(&self, blocks: u32) {
        self.lag.store(blocks, Ordering::Relaxed);
    }

    async fn meet(&self, call: StateCall) -> Result<(), StateError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        match self.hook.ask(&call) {
            None => Ok(()),
            Some(StateFault::Empty) => Err(StateError::Empty),
            Some(StateFault::Unreachable) => Err(StateError::Unreachable("scripted".into())),
            Some(StateFault::Damaged) => Err(StateError::Damaged("scripted".into())),
            Some(StateFault::Hang(time)) => {
                tokio::time::sleep(time).await;
                Err(StateError::Unreachable("scripted silence".into()))
            }
        }
    }

    fn height(&self, at: Option<Height>) -> Result<usize, StateError> {
        let tip = self.chain.inner().blocks.len() as u32 - 1;
        let newest = tip.saturating_sub(self.lag.load(Ordering::Relaxed));
        let newest = self.newest.fetch_max(newest, Ordering::Relaxed).max(newest);
        match at {
            Some(at) if at.0 > newest => Err(StateError::NotKept { at }),
            Some(at) => Ok(at.0 as usize),
            None => Ok(newest as usize),
        }
    }
}

#[async_trait]
impl ChainState for FakeState {
    async fn read(
        &self,
        keys: &[StorageKey],
        at: Option<Height>,
    ) -> Result<(BlockRef, Vec<Option<Bytes>>), StateError> {
        self.meet(StateCall::Read(keys.len())).await?;
        let height = self.height(at)?;
        let inner = self.chain.inner();
        let block = &inner.blocks[height];
        Ok((block.at, keys.iter().map(|key| block.state.get(key).cloned()).collect()))
    }

    async fn keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        at: Option<Height>,
    ) -> Result<Vec<StorageKey>, StateError> {
        self.meet(StateCall::Keys).await?;
        let height = self.height(at)?;
        let inner = self.chain.inner();
        let keys = inner.blocks[height].state.keys();
        let found =
            keys.filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_slice() > after));
        Ok(found.take(limit).cloned().collect())
    }

    async fn pairs(&self, at: Height) -> Result<Bytes, StateError> {
        self.meet(StateCall::Pairs(at)).await?;
        self.height(Some(at))?;
        self.chain.inner().pairs(at).ok_or(StateError::NotKept { at })
    }
}
