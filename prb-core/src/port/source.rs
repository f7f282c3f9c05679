//! Where finalized blocks come from.

use crate::{
    fault::Fault,
    id::{BlockRef, Hash, Height},
    span::Span,
    types::{
        grandpa::AuthoritySetChange,
        header::Header,
        sync::{ChangesForm, GenesisBlockInfo},
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use codec::{Decode, Encode};
use std::{fmt, sync::Arc, time::Duration};

/// Finalized data of both chains, as a node (or a cache of one) answers it. Nothing is trusted: the caller
/// verifies every answer.
///
/// # Contract
///
/// - Answers are complete: every height asked for, in ascending order, without holes, or an error.
/// - `relay_batch(from)` starts exactly at `from`, ends at a block with a justification, and never reaches past
///   the first block that announces a change of authorities.
/// - `wait_for_tip` is only a hint. It returns when finality may have moved, or after the source's own patience;
///   heights are then asked for, never assumed.
/// - Every call ends within the source's own deadline: [`SourceError::Timeout`].
/// - An [`Answer`] says who gave it, so that a refusal blames nobody else. All of it comes from them.
/// - After `expect(chain)` nothing is answered from another chain: [`SourceError::Foreign`].
/// - Errors name the endpoint and the height. Dropping a returned future leaves the source usable.
#[async_trait]
pub trait BlockSource: Send + Sync {
    /// What a worker and a store start from: the start block follows from the chain
    /// (`relay parent of parachain block 1, minus 1`) and cannot be chosen.
    async fn genesis(&self) -> Result<Answer<Genesis>, SourceError>;

    /// The finalized heads as this source knows them.
    async fn tips(&self) -> Result<Tips, SourceError>;

    /// A justified run of relay headers that starts at `from`; none if nothing is finalized there yet.
    async fn relay_batch(&self, from: Height) -> Result<Answer<Option<RelayBatch>>, SourceError>;

    /// The parachain head that the relay chain's state holds at `at`, with its read proof; none if that state
    /// has no head of `para_id`.
    async fn para_head(&self, at: BlockRef, para_id: u32) -> Result<Answer<Option<ParaHead>>, SourceError>;

    /// SCALE headers of the parachain's blocks `span`, all of them.
    async fn para_headers(&self, span: Span) -> Result<Answer<Vec<Bytes>>, SourceError>;

    /// SCALE [`StorageChanges`](crate::types::sync::StorageChanges) of parachain blocks `first..=last`, one per block.
    async fn changes(&self, first: BlockRef, last: BlockRef) -> Result<Answer<Vec<Bytes>>, SourceError>;

    /// Form of all the storage changes that this source has answered so far.
    fn changes_form(&self) -> ChangesForm {
        ChangesForm::Written
    }

    /// Returns when a finalized head may have moved past `known`.
    async fn wait_for_tip(&self, known: Tips) -> Result<(), SourceError>;

    /// From now on only answers about this chain are wanted. The source looks at whom it asks, again after each new
    /// connection, and uses nobody who is of another chain.
    fn expect(&self, chain: &ChainIdentity);

    /// An answer was refused: whoever gave it is broken or lying. A source that can ask others does so for a while;
    /// `because` names the check.
    fn distrust(&self, who: &Origin, because: &str) {
        let _ = (who, because);
    }

    /// Name of the source as a whole, for errors and logs where nobody in particular is meant; never contains
    /// credentials.
    fn endpoint(&self) -> String;

    /// Those whom it asks, as it saw them last; asks nobody. Empty where it does not tell them apart.
    fn peers(&self) -> Vec<Peer> {
        Vec::new()
    }

    /// The head that this [`Peer`] told last is not a block of the stored chain, `because` of what was found instead; or
    /// it is one (none). A source that can ask others leaves it alone for as long as it is not.
    fn judge(&self, peer: &Peer, because: Option<&str>) {
        let _ = (peer, because);
    }
}

/// A source that several share, or that is chosen at run time.
#[async_trait]
impl<S: BlockSource + ?Sized> BlockSource for Arc<S> {
    async fn genesis(&self) -> Result<Answer<Genesis>, SourceError> {
        (**self).genesis().await
    }

    async fn tips(&self) -> Result<Tips, SourceError> {
        (**self).tips().await
    }

    async fn relay_batch(&self, from: Height) -> Result<Answer<Option<RelayBatch>>, SourceError> {
        (**self).relay_batch(from).await
    }

    async fn para_head(&self, at: BlockRef, para_id: u32) -> Result<Answer<Option<ParaHead>>, SourceError> {
        (**self).para_head(at, para_id).await
    }

    async fn para_headers(&self, span: Span) -> Result<Answer<Vec<Bytes>>, SourceError> {
        (**self).para_headers(span).await
    }

    async fn changes(&self, first: BlockRef, last: BlockRef) -> Result<Answer<Vec<Bytes>>, SourceError> {
        (**self).changes(first, last).await
    }

    fn changes_form(&self) -> ChangesForm {
        (**self).changes_form()
    }

    async fn wait_for_tip(&self, known: Tips) -> Result<(), SourceError> {
        (**self).wait_for_tip(known).await
    }

    fn expect(&self, chain: &ChainIdentity) {
        (**self).expect(chain);
    }

    fn distrust(&self, who: &Origin, because: &str) {
        (**self).distrust(who, because);
    }

    fn endpoint(&self) -> String {
        (**self).endpoint()
    }

    fn peers(&self) -> Vec<Peer> {
        (**self).peers()
    }

    fn judge(&self, peer: &Peer, because: Option<&str>) {
        (**self).judge(peer, because);
    }
}

/// An answer, and who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The answer.
    pub value: T,
    /// Who gave it.
    pub by: Origin,
}

impl<T> Answer<T> {
    /// An answer of `by`.
    pub const fn new(value: T, by: Origin) -> Self {
        Self { value, by }
    }

    /// Another value by the same.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { value: change(self.value), by: self.by }
    }
}

/// Who gave an answer: the names of endpoints, without credentials. Several where all of them had a part in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Vec<Arc<str>>);

impl Origin {
    /// One endpoint. Its source knows it again by this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(vec![name.into()])
    }

    /// These and those.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        self.0.extend(others.0.iter().cloned());
        self
    }

    /// The endpoints.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" and "))
    }
}

/// Which of the two chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The relay chain; of a chain that finalizes itself, that chain.
    Relay,
    /// The parachain.
    Para,
}

impl Side {
    /// Its name in errors, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay chain",
            Self::Para => "parachain",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One of those whom a source asks, as it was seen last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name, as answers give it.
    pub name: String,
    /// Of which chain it is asked.
    pub side: Side,
    /// The finalized head it told last.
    pub head: Option<BlockRef>,
    /// Whether the last answer about its chain was its.
    pub in_use: bool,
    /// The question that it has not answered for longest, and for how long.
    pub open: Option<(&'static str, Duration)>,
    /// Why others are asked instead, none while nothing speaks against it.
    pub trouble: Option<String>,
}

/// Finalized heads of both chains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tips {
    /// Highest finalized relay block.
    pub relay: Height,
    /// Highest finalized parachain block.
    pub para: Height,
}

/// What workers and stores start from.
///
/// Relay-less chains have `parachain = false`: then `relay` describes the chain's own block 0 and `para_header`
/// is that block's header too.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Genesis {
    /// Hash of relay block 0: which relay chain this is.
    pub relay_chain: Hash,
    /// Start header, authority set and proof, as a worker's init wants it.
    pub relay: GenesisBlockInfo,
    /// Header of parachain block 0.
    pub para_header: Header,
    /// All key/value pairs of the parachain's state at block 0, SCALE
    /// [`StorageState`](crate::types::sync::StorageState).
    pub para_state: Bytes,
    /// `ParachainInfo.ParachainId`.
    pub para_id: u32,
    /// Whether blocks are finalized by a relay chain.
    pub parachain: bool,
}

impl Genesis {
    /// The start block on the relay chain.
    pub fn start(&self) -> BlockRef {
        self.relay.block_header.block_ref()
    }

    /// Which pair of chains this is.
    pub fn identity(&self) -> ChainIdentity {
        ChainIdentity {
            relay_chain: self.relay_chain,
            start: self.start().hash,
            para_genesis: self.para_header.hash(),
            para_id: self.para_id,
        }
    }
}

/// Which chains some data belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ChainIdentity {
    /// Hash of relay block 0.
    pub relay_chain: Hash,
    /// Hash of the start header: what workers call their genesis block hash.
    pub start: Hash,
    /// Hash of parachain block 0.
    pub para_genesis: Hash,
    /// Id of the parachain on its relay chain.
    pub para_id: u32,
}

/// A run of relay headers whose last one is justified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayBatch {
    /// SCALE headers in ascending order, at least one.
    pub headers: Vec<Bytes>,
    /// Encoded [`Justification`](crate::types::grandpa::Justification) of the last of them.
    pub justification: Bytes,
    /// Where the last header announces a change: the incoming set with the proof that older workers need.
    pub set_change: Option<AuthoritySetChange>,
}

/// The parachain head in a relay state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParaHead {
    /// SCALE header of the parachain block.
    pub header: Bytes,
    /// Read proof of `Paras.Heads(para_id)`, nodes in any order.
    pub proof: Vec<Bytes>,
}

/// Why a source could not answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No connection, or it broke.
    #[error(
        "{endpoint}: not reachable while asking for {what}: {cause}; check the address and that the node runs"
    )]
    Unreachable {
        /// Who was asked.
        endpoint: String,
        /// For what.
        what: String,
        /// What the transport said.
        cause: String,
    },
    /// No answer in time.
    #[error("{endpoint}: no answer within {seconds} s while asking for {what}")]
    Timeout {
        /// Who was asked.
        endpoint: String,
        /// For what.
        what: String,
        /// Patience, seconds.
        seconds: u64,
    },
    /// The node does not keep that state or block any more.
    #[error("{endpoint}: {what} is pruned there; ask an archive node")]
    Pruned {
        /// Who was asked.
        endpoint: String,
        /// For what.
        what: String,
    },
    /// The node does not have the block (yet).
    #[error("{endpoint}: has no {what} (yet)")]
    Missing {
        /// Who was asked.
        endpoint: String,
        /// For what.
        what: String,
    },
    /// The node refuses the method or does not know it.
    #[error(
        "{endpoint}: refuses {method}: {cause}; start the node with unsafe RPC methods enabled on a private port, or use a node with Phala's RPC extension"
    )]
    Refused {
        /// Who was asked.
        endpoint: String,
        /// RPC method.
        method: String,
        /// The node's words.
        cause: String,
    },
    /// The reply exceeds a size cap, the node's or ours; ask for less.
    #[error(
        "{endpoint}: reply for {what} is too large; raise the node's --rpc-max-response-size or ask for less"
    )]
    TooLarge {
        /// Who was asked.
        endpoint: String,
        /// For what.
        what: String,
    },
    /// Everybody who could be asked is of another chain than the one expected.
    #[error(
        "{endpoint}: of {chain} {found}, expected is {expected}; choose the right nodes, or another data directory for another network"
    )]
    Foreign {
        /// Who was asked.
        endpoint: String,
        /// `relay chain` or `parachain`.
        chain: &'static str,
        /// Hash of its block 0.
        found: Hash,
        /// Hash of the expected chain's block 0.
        expected: Hash,
    },
    /// The reply is not what the method answers, or failed a check.
    #[error("{endpoint}: bad answer for {what}: {cause}")]
    Bad {
        /// Who was asked.
        endpoint: String,
        /// For what.
        what: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl SourceError {
    /// Who was asked.
    pub fn endpoint(&self) -> &str {
        match self {
            Self::Unreachable { endpoint, .. }
            | Self::Timeout { endpoint, .. }
            | Self::Pruned { endpoint, .. }
            | Self::Missing { endpoint, .. }
            | Self::Refused { endpoint, .. }
            | Self::TooLarge { endpoint, .. }
            | Self::Foreign { endpoint, .. }
            | Self::Bad { endpoint, .. } => endpoint,
        }
    }

    /// What may be done about it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Missing { .. } | Self::Bad { .. } => {
                Fault::Retry
            }
            Self::TooLarge { .. } => Fault::Reread,
            Self::Pruned { .. } | Self::Refused { .. } | Self::Foreign { .. } => Fault::Stop,
        }
    }
}
