//! A source of blocks with a script.

mod corrupt;

pub use corrupt::Corruption;

use super::{FakeChain, hook::Hook};
use crate::{
    id::{BlockRef, Height},
    port::{
        Answer, BlockSource, ChainIdentity, Genesis, Origin, ParaHead, RelayBatch, SourceError, Tips,
        source::{Peer, Side},
    },
    span::Span,
    types::grandpa::AuthoritySetChange,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// A call of a [`FakeSource`], as its hook sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceCall {
    /// `genesis`.
    Genesis,
    /// `tips`.
    Tips,
    /// `relay_batch` from this height.
    RelayBatch(Height),
    /// `para_head` at this relay block.
    ParaHead(Height),
    /// `para_headers` of this range.
    ParaHeaders(Span),
    /// `changes` of this range.
    Changes(Span),
    /// `wait_for_tip`.
    WaitForTip,
}

/// What goes wrong with a call of a [`FakeSource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFault {
    /// The connection breaks.
    Unreachable,
    /// No answer for so long; then the source gives up.
    Hang(Duration),
    /// The node does not have the block.
    Missing,
    /// The node does not keep it any more.
    Pruned,
    /// The reply exceeds a cap.
    TooLarge,
    /// The answer is wrong.
    Corrupt(Corruption),
    /// There is nothing, though there should be (calls that may answer none).
    Nothing,
    /// The answer comes late.
    Slow(Duration),
}

/// Which items a [`FakeSource`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// Relay headers.
    RelayHeader,
    /// Parachain heads, by relay block.
    ParaHead,
    /// Parachain headers.
    ParaHeader,
    /// Storage changes.
    Changes,
}

/// [`BlockSource`] over a [`FakeChain`].
#[derive(Clone)]
pub struct FakeSource {
    chain: FakeChain,
    hook: Hook<SourceCall, SourceFault>,
    record: Arc<Record>,
}

#[derive(Default)]
struct Record {
    endpoint: String,
    /// Relay blocks this source is behind.
    lag: AtomicU32,
    batch: AtomicU32,
    calls: Mutex<Vec<SourceCall>>,
    delivered: Mutex<BTreeMap<(Item, Height), u32>>,
    distrusted: Mutex<Vec<String>>,
    expected: Mutex<Option<ChainIdentity>>,
    claimed: Mutex<Option<BlockRef>>,
    judged: Mutex<Vec<Option<String>>>,
}

/// How long `wait_for_tip` waits at most.
const PATIENCE: Duration = Duration::from_secs(30);

impl FakeSource {
    /// An honest source that knows all of the chain.
    pub fn new(chain: &FakeChain) -> Self {
        let record =
            Record { endpoint: "fake-node".into(), batch: AtomicU32::new(u32::MAX), ..Record::default() };
        Self { chain: chain.clone(), hook: Hook::default(), record: Arc::new(record) }
    }

    /// What goes wrong.
    pub fn hook(&self) -> &Hook<SourceCall, SourceFault> {
        &self.hook
    }

    /// From now on it is so many relay blocks behind the chain.
    pub fn lag(&self, blocks: u32) {
        self.record.lag.store(blocks, Ordering::Relaxed);
    }

    /// From now on it claims this block as its finalized relay head, and has nothing beyond it.
    pub fn claim(&self, head: BlockRef) {
        *locked(&self.record.claimed) = Some(head);
        self.lag(self.chain.tips().relay.since(head.height));
    }

    /// What was found of the heads it told: what shows that one is not of the stored chain, or none.
    pub fn judged(&self) -> Vec<Option<String>> {
        locked(&self.record.judged).clone()
    }

    /// Most relay headers per batch; unlimited at first.
    pub fn limit_batches(&self, headers: u32) {
        self.record.batch.store(headers.max(1), Ordering::Relaxed);
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<SourceCall> {
        locked(&self.record.calls).clone()
    }

    /// How often it delivered each item.
    pub fn delivered(&self) -> BTreeMap<(Item, Height), u32> {
        locked(&self.record.delivered).clone()
    }

    /// Items it delivered more than once.
    pub fn refetched(&self) -> Vec<(Item, Height)> {
        let delivered = locked(&self.record.delivered);
        delivered.iter().filter(|(_, count)| **count > 1).map(|(item, _)| *item).collect()
    }

    /// Why its answers were refused.
    pub fn distrusted(&self) -> Vec<String> {
        locked(&self.record.distrusted).clone()
    }

    fn tip(&self) -> Height {
        let (start, tip) = (self.chain.start().height, self.chain.tips().relay);
        let behind = self.record.lag.load(Ordering::Relaxed);
        Height(tip.0.saturating_sub(behind).max(start.0))
    }

    /// Asks the hook, and carries out what it can without an answer.
    async fn meet(&self, call: SourceCall) -> Result<Option<SourceFault>, SourceError> {
        {
            let mut calls = locked(&self.record.calls);
            if calls.len() < 100_000 {
                calls.push(call);
            }
        }
        let (endpoint, what) = (self.endpoint(), format!("{call:?}"));
        self.is_expected()?;
        match self.hook.ask(&call) {
            Some(SourceFault::Unreachable) => {
                Err(SourceError::Unreachable { endpoint, what, cause: "scripted".into() })
            }
            Some(SourceFault::Hang(time)) => {
                tokio::time::sleep(time).await;
                Err(SourceError::Timeout { endpoint, what, seconds: time.as_secs() })
            }
            Some(SourceFault::Missing) => Err(SourceError::Missing { endpoint, what }),
            Some(SourceFault::Pruned) => Err(SourceError::Pruned { endpoint, what }),
            Some(SourceFault::TooLarge) => Err(SourceError::TooLarge { endpoint, what }),
            Some(SourceFault::Slow(time)) => {
                tokio::time::sleep(time).await;
                Ok(None)
            }
            fault @ (None | Some(SourceFault::Corrupt(_) | SourceFault::Nothing)) => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(fault)
            }
        }
    }

    fn is_expected(&self) -> Result<(), SourceError> {
        let own = self.chain.genesis().identity();
        let Some(expected) = *locked(&self.record.expected) else { return Ok(()) };
        let pairs = [
            ("relay chain", own.relay_chain, expected.relay_chain),
            ("parachain", own.para_genesis, expected.para_genesis),
        ];
        match pairs.into_iter().find(|(_, found, expected)| found != expected) {
            None => Ok(()),
            Some((chain, found, expected)) => {
                Err(SourceError::Foreign { endpoint: self.endpoint(), chain, found, expected })
            }
        }
    }

    fn answer<T>(&self, value: T) -> Answer<T> {
        Answer::new(value, Origin::new(self.record.endpoint.as_str()))
    }

    fn missing(&self, what: impl std::fmt::Display) -> SourceError {
        SourceError::Missing { endpoint: self.endpoint(), what: what.to_string() }
    }

    fn count(&self, item: Item, heights: impl IntoIterator<Item = Height>) {
        let mut delivered = locked(&self.record.delivered);
        for height in heights {
            *delivered.entry((item, height)).or_default() += 1;
        }
    }

    fn honest_batch(&self, from: Height) -> Option<RelayBatch> {
        let (tip, most) = (self.tip(), self.record.batch.load(Ordering::Relaxed));
        let inner = self.chain.inner();
        if from > tip || inner.relay_block(from)?.at.height != from {
            return None;
        }
        let mut headers = Vec::new();
        let mut height = from;
        let last = loop {
            let block = inner.relay_block(height)?;
            headers.push(block.header.clone());
            if block.announces.is_some() || height == tip || headers.len() as u32 == most {
                break block;
            }
            height = height.next();
        };
        let set_change = last.announces.as_ref().filter(|_| !inner.is_solo());
        Some(RelayBatch {
            headers,
            justification: super::toy::justification(&last.signers, last.at),
            set_change: set_change.map(|next| AuthoritySetChange {
                authority_set: (**next).clone(),
                authority_proof: vec![last.state.to_vec()],
            }),
        })
    }

    fn honest_head(&self, at: BlockRef, para_id: u32) -> Result<Option<ParaHead>, SourceError> {
        let inner = self.chain.inner();
        let block = inner.relay_block(at.height).filter(|block| block.at == at);
        let block = block.ok_or_else(|| self.missing(format!("relay block {at}")))?;
        let head = block.head.filter(|_| para_id == inner.options.para_id);
        Ok(head.map(|head| ParaHead {
            header: inner.blocks[head as usize].header.clone(),
            proof: vec![block.state.clone()],
        }))
    }
}

#[async_trait]
impl BlockSource for FakeSource {
    async fn genesis(&self) -> Result<Answer<Genesis>, SourceError> {
        let fault = self.meet(SourceCall::Genesis).await?;
        let mut genesis = self.chain.genesis();
        if let Some(SourceFault::Corrupt(how)) = fault {
            how.genesis(&mut genesis);
        }
        Ok(self.answer(genesis))
    }

    async fn tips(&self) -> Result<Tips, SourceError> {
        self.meet(SourceCall::Tips).await?;
        let relay = self.tip();
        let inner = self.chain.inner();
        let para = inner.relay_block(relay).and_then(|block| block.head).unwrap_or_default();
        Ok(Tips { relay, para: if inner.is_solo() { relay } else { Height(para) } })
    }

    async fn relay_batch(&self, from: Height) -> Result<Answer<Option<RelayBatch>>, SourceError> {
        let fault = self.meet(SourceCall::RelayBatch(from)).await?;
        let Some(mut batch) = self.honest_batch(from).filter(|_| fault != Some(SourceFault::Nothing)) else {
            return Ok(self.answer(None));
        };
        if let Some(SourceFault::Corrupt(how)) = fault {
            how.batch(&mut batch, from, &self.chain);
        }
        self.count(Item::RelayHeader, (0..batch.headers.len() as u32).map(|index| from + index));
        Ok(self.answer(Some(batch)))
    }

    async fn para_head(&self, at: BlockRef, para_id: u32) -> Result<Answer<Option<ParaHead>>, SourceError> {
        let fault = self.meet(SourceCall::ParaHead(at.height)).await?;
        let honest = self.honest_head(at, para_id)?;
        let Some(mut head) = honest.filter(|_| fault != Some(SourceFault::Nothing)) else {
            return Ok(self.answer(None));
        };
        if let Some(SourceFault::Corrupt(how)) = fault {
            how.head(&mut head, &self.chain);
        }
        self.count(Item::ParaHead, [at.height]);
        Ok(self.answer(Some(head)))
    }

    async fn para_headers(&self, span: Span) -> Result<Answer<Vec<Bytes>>, SourceError> {
        let fault = self.meet(SourceCall::ParaHeaders(span)).await?;
        let mut headers = span
            .heights()
            .map(|height| self.chain.para_header(height).ok_or_else(|| self.missing(height)))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(SourceFault::Corrupt(how)) = fault {
            how.items(&mut headers);
        }
        self.count(Item::ParaHeader, span.heights());
        Ok(self.answer(headers))
    }

    async fn changes(&self, first: BlockRef, last: BlockRef) -> Result<Answer<Vec<Bytes>>, SourceError> {
        let span = Span::new(first.height, last.height).ok_or_else(|| self.missing("an empty range"))?;
        let fault = self.meet(SourceCall::Changes(span)).await?;
        for block in [first, last] {
            if self.chain.inner().block_ref(block.height) != Some(block) {
                return Err(self.missing(block));
            }
        }
        let mut changes: Vec<Bytes> =
            span.heights().filter_map(|height| self.chain.changes(height)).collect();
        if let Some(SourceFault::Corrupt(how)) = fault {
            how.changes(&mut changes);
        }
        self.count(Item::Changes, span.heights());
        Ok(self.answer(changes))
    }

    async fn wait_for_tip(&self, known: Tips) -> Result<(), SourceError> {
        if self.meet(SourceCall::WaitForTip).await?.is_some() {
            return Ok(());
        }
        let mut grown = self.chain.watch();
        let moved = async {
            while self.tip() <= known.relay {
                if grown.changed().await.is_err() {
                    return;
                }
            }
        };
        // Patience over is no error: the caller asks for heights.
        let _ = tokio::time::timeout(PATIENCE, moved).await;
        Ok(())
    }

    fn expect(&self, chain: &ChainIdentity) {
        *locked(&self.record.expected) = Some(*chain);
    }

    fn distrust(&self, who: &Origin, because: &str) {
        assert_eq!(
            who.names().collect::<Vec<_>>(),
            [self.record.endpoint.as_str()],
            "somebody else is blamed"
        );
        locked(&self.record.distrusted).push(because.to_owned());
    }

    fn endpoint(&self) -> String {
        self.record.endpoint.clone()
    }

    fn peers(&self) -> Vec<Peer> {
        let tip = self.tip();
        let head = self.chain.inner().relay_block(tip).map(|block| block.at);
        vec![Peer {
            name: self.record.endpoint.clone(),
            side: Side::Relay,
            head: locked(&self.record.claimed).or(head),
            in_use: true,
            open: None,
            trouble: None,
        }]
    }

    fn judge(&self, peer: &Peer, because: Option<&str>) {
        assert_eq!(peer.name, self.record.endpoint, "somebody else is judged");
        locked(&self.record.judged).push(because.map(str::to_owned));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
