//! Finalized blocks from nodes of a relay chain and of its parachain, several of each if there are.

mod archive;
mod chain;
mod diff;
mod endpoints;
mod facts;
mod finality;
pub(crate) mod genesis;
mod identity;
pub(crate) mod json;
mod para;
mod proofs;
mod relay;
mod roster;
mod same_network;
mod standing;
mod start_points;

pub use facts::{NodeFacts, check_same_network, node_facts, node_hash};
pub use para::ParaNode;
pub use relay::RelayNode;
pub(crate) use start_points::start_point_of;
pub use start_points::{StartPoint, start_point};

use self::{
    endpoints::Endpoints,
    roster::Order,
    same_network::{Apart, Unfit},
    standing::Kind,
};
use crate::rpc::{Rpc, RpcOptions};
use async_trait::async_trait;
use codec::Decode;
use futures::FutureExt;
use prb_core::{
    Bytes,
    id::{BlockRef, Height},
    port::{
        Answer, BlockSource, ChainIdentity, Genesis, Origin, ParaHead, RelayBatch, SourceError, Tips,
        source::{Peer, Side},
    },
    span::Span,
    types::{grandpa::Justification, sync::ChangesForm},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{task::JoinHandle, time::timeout};

/// How a [`NodeSource`] asks.
#[derive(Clone, Copy, Debug)]
pub struct SourceOptions {
    /// Connections.
    pub rpc: RpcOptions,
    /// Blocks whose storage changes are asked for in one call. The node re-executes them to answer, so more make
    /// one answer slower; fewer cost round trips. Typical: 8.
    pub changes_per_call: u32,
    /// Such calls at the same time. Typical: 4.
    pub changes_in_flight: usize,
    /// Header calls at the same time. Typical: 16.
    pub headers_in_flight: usize,
    /// Longest wait for a new finalized head before the caller is told to look anyway. Typical: 12 s, two relay
    /// blocks.
    pub tip_patience: Duration,
    /// How long one endpoint may take before the next one is asked beside it. Longer hides a node that hangs, shorter
    /// has two nodes do the work of one. Typical: 15 s.
    pub hedge_after: Duration,
    /// How often several endpoints are asked for their finalized heights. Typical: 6 s.
    pub survey: Duration,
    /// Blocks that the finalized head of an endpoint may be behind that of another before the other is preferred.
    /// Typical: 10.
    pub slack: u32,
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self {
            rpc: RpcOptions::default(),
            changes_per_call: 8,
            changes_in_flight: 4,
            headers_in_flight: 16,
            tip_patience: Duration::from_secs(12),
            hedge_after: Duration::from_secs(15),
            survey: Duration::from_secs(6),
            slack: 10,
        }
    }
}

/// [`BlockSource`] over nodes of the relay chain and nodes of the parachain. Those of the parachain have Phala's RPC
/// extension, or are plain Substrate nodes, whose storage changes are of the form [`ChangesForm::Diff`].
///
/// Of several endpoints the first is preferred. One that fails, hangs, is behind, is of another chain or was caught
/// lying is left for a while, in the middle of a call too, and used again when it is well; each answer comes from one
/// endpoint alone. One endpoint of a chain is asked whatever it did.
///
/// Nothing is asked before the first call, so a source can be made while its nodes are down. The first call must be
/// made within a tokio runtime.
pub struct NodeSource {
    nodes: Arc<Nodes>,
    survey: OnceLock<Survey>,
}

struct Nodes {
    /// Where finality comes from; of a chain without relay chain, its own nodes.
    relay: Endpoints<RelayNode>,
    para: Endpoints<ParaNode>,
    /// Whether there is no relay chain.
    solo: bool,
    options: SourceOptions,
}

/// The task that looks at the endpoints now and then; ends with its source.
struct Survey(JoinHandle<()>);

impl Drop for Survey {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl NodeSource {
    /// One node of each chain, at websocket addresses.
    pub fn new(relay_url: &str, para_url: &str, options: SourceOptions) -> Self {
        Self::at(&[relay_url], &[para_url], options)
    }

    /// Nodes at websocket addresses, the preferred ones first; at least one of each chain.
    pub fn at(relay: &[impl AsRef<str>], para: &[impl AsRef<str>], options: SourceOptions) -> Self {
        let mut names = BTreeMap::new();
        let relay = connections(relay, options, &mut names);
        Self::among(relay, connections(para, options, &mut names), options)
    }

    /// One node of each chain, behind these connections.
    pub fn over(relay: Rpc, para: Rpc, options: SourceOptions) -> Self {
        Self::among(vec![relay], vec![para], options)
    }

    /// Nodes behind these connections, the preferred ones first; at least one of each chain. Names of endpoints must
    /// differ, across the chains too: who is blamed for an answer is known by its name.
    pub fn among(relay: Vec<Rpc>, para: Vec<Rpc>, options: SourceOptions) -> Self {
        Self::with(relay, para, false, options)
    }

    /// A Phala-like chain that finalizes itself and has no relay chain.
    pub fn solo(node: Rpc, options: SourceOptions) -> Self {
        Self::with(vec![node.clone()], vec![node], true, options)
    }

    /// Nodes of such a chain at websocket addresses, the preferred one first; at least one.
    pub fn solo_at(urls: &[impl AsRef<str>], options: SourceOptions) -> Self {
        let nodes = connections(urls, options, &mut BTreeMap::new());
        Self::with(nodes.clone(), nodes, true, options)
    }

    fn with(relay: Vec<Rpc>, para: Vec<Rpc>, solo: bool, options: SourceOptions) -> Self {
        let relay = relay.into_iter().map(|rpc| (rpc.clone(), RelayNode::new(rpc, options))).collect();
        let para = para.into_iter().map(|rpc| (rpc.clone(), ParaNode::new(rpc, options))).collect();
        let nodes = Nodes {
            relay: Endpoints::new(Side::Relay, relay, options),
            para: Endpoints::new(Side::Para, para, options),
            solo,
            options,
        };
        Self { nodes: Arc::new(nodes), survey: OnceLock::new() }
    }

    /// The nodes, looked after from now on.
    fn nodes(&self) -> &Nodes {
        let nodes = &self.nodes;
        if nodes.relay.len() > 1 || nodes.para.len() > 1 {
            self.survey.get_or_init(|| Survey(tokio::spawn(nodes.clone().look_after())));
        }
        nodes
    }
}

impl Nodes {
    async fn look_after(self: Arc<Self>) {
        let interval = self.options.survey;
        futures::join!(self.relay.survey(interval), self.para.survey(interval));
    }

    /// The genesis as one node of each chain has it. Whoever fails is passed over; where two do not belong together,
    /// nobody is blamed until there are two that do.
    async fn genesis(&self) -> Result<Answer<Genesis>, SourceError> {
        let all = |Order { first, last }: Order| -> Vec<usize> { first.into_iter().chain(last).collect() };
        let (relays, mut paras) = (all(self.relay.order(Kind::Genesis)), all(self.para.order(Kind::Genesis)));
        let (mut apart, mut error) = (Vec::new(), None);
        for one in relays {
            for other in paras.clone() {
                let cause = match self.genesis_by(one, other).await {
                    Ok(genesis) => {
                        self.blame(&apart, one, other);
                        self.relay.answered(Kind::Genesis, one);
                        self.para.answered(Kind::Genesis, other);
                        let (relay, para) = (self.relay.origin(one), self.para.origin(other));
                        return Ok(Answer::new(genesis, if self.solo { para } else { relay.and(&para) }));
                    }
                    Err(Unfit::Pair(why)) => {
                        endpoints::keep(&mut error, why.by_relay());
                        apart.push((one, other, why));
                        continue;
                    }
                    Err(Unfit::Node(cause)) => cause,
                };
                let by_relay = self.relay.origin(one).names().any(|name| name == cause.endpoint());
                if by_relay {
                    self.relay.failed(Kind::Genesis, one, &cause);
                }
                if !by_relay || self.solo {
                    self.para.failed(Kind::Genesis, other, &cause);
                    paras.retain(|para| *para != other);
                }
                endpoints::keep(&mut error, cause);
                if by_relay {
                    break;
                }
            }
        }
        Err(error.unwrap_or_else(|| self.relay.nobody()))
    }

    /// These two belong together: whoever did not fit one of them is left.
    fn blame(&self, apart: &[(usize, usize, Box<Apart>)], relay: usize, para: usize) {
        for (one, other, why) in apart {
            if *other == para {
                self.relay.failed(Kind::Genesis, *one, &why.by_relay());
            } else if *one == relay {
                self.para.failed(Kind::Genesis, *other, &why.by_para());
            }
        }
    }

    async fn genesis_by(&self, relay: usize, para: usize) -> Result<Genesis, Unfit> {
        futures::try_join!(self.relay.vouch(relay), self.para.vouch(para))?;
        let (relay, para) = (self.relay.node(relay), self.para.node(para));
        if self.solo {
            return Ok(genesis::of_solo(relay, para).await?);
        }
        same_network::check(relay, para).await?;
        Ok(genesis::of_parachain(relay, para).await?)
    }

    async fn relay_batch(&self, from: Height) -> Result<Answer<Option<RelayBatch>>, SourceError> {
        let relay = &self.relay;
        let enough = |index, batch: &Option<RelayBatch>| {
            batch.is_some() || !relay.another_has(Kind::Batch, index, from)
        };
        let order = relay.order(Kind::Batch);
        let asked = relay.ask_until(Kind::Batch, Some(from), order, |node| node.batch(from).boxed(), enough);
        let (index, batch) = asked.await?;
        let Some(batch) = batch else { return Ok(Answer::new(None, relay.origin(index))) };
        let (index, batch) = self.without_equivocation(from, index, batch).await;
        Ok(Answer::new(Some(batch), relay.origin(index)))
    }

    /// Exchanges a batch whose justification holds equivocations for one without, if another endpoint has one. The
    /// equivocations are no reason to refuse it: a worker accepts it too.
    async fn without_equivocation(
        &self,
        from: Height,
        index: usize,
        batch: RelayBatch,
    ) -> (usize, RelayBatch) {
        let relay = &self.relay;
        if relay.len() == 1 {
            return (index, batch);
        }
        let equivocators = equivocators(&batch.justification);
        if equivocators == 0 {
            return (index, batch);
        }
        metrics::counter!("prb_source_equivocations_total").increment(1);
        let others = relay.well(Kind::Batch).into_iter().filter(|other| *other != index).collect();
        let others = Order { first: others, last: Vec::new() };
        let is_clean = |_, batch: &Option<RelayBatch>| {
            batch.as_ref().is_some_and(|batch| self::equivocators(&batch.justification) == 0)
        };
        let asked = relay.ask_until(Kind::Batch, None, others, |node| node.batch(from).boxed(), is_clean);
        let other = timeout(self.options.hedge_after, asked).await;
        let clean = match other {
            Ok(Ok((index, batch))) if is_clean(index, &batch) => batch.map(|batch| (index, batch)),
            _ => None,
        };
        let endpoint = relay.origin(index);
        let taken_from = clean.as_ref().map(|(index, _)| relay.origin(*index).to_string());
        tracing::warn!(%endpoint, %from, equivocators, taken_from, "justification with equivocations");
        clean.unwrap_or((index, batch))
    }
}

/// Connections to websocket addresses. Endpoints whose names would be equal without their credentials are numbered;
/// `names` counts those that are taken.
fn connections(
    urls: &[impl AsRef<str>],
    options: SourceOptions,
    names: &mut BTreeMap<String, u32>,
) -> Vec<Rpc> {
    let connection = |url: &str| {
        let rpc = Rpc::new(url, options.rpc);
        let count = names.entry(rpc.endpoint().to_owned()).or_default();
        *count += 1;
        match count {
            1 => rpc,
            count => Rpc::named(format!("{} ({count})", rpc.endpoint()), url, options.rpc),
        }
    };
    urls.iter().map(AsRef::as_ref).map(connection).collect()
}

/// Voters with several different votes in an encoded justification. One that does not decode has none: it is refused
/// for that.
fn equivocators(justification: &[u8]) -> usize {
    let Ok(justification) = Justification::decode(&mut &*justification) else { return 0 };
    let (mut first, mut found) = (BTreeMap::new(), BTreeSet::new());
    for vote in &justification.commit.precommits {
        if *first.entry(vote.id).or_insert(vote) != vote {
            found.insert(vote.id);
        }
    }
    found.len()
}

#[async_trait]
impl BlockSource for NodeSource {
    async fn genesis(&self) -> Result<Answer<Genesis>, SourceError> {
        self.nodes().genesis().await
    }

    async fn tips(&self) -> Result<Tips, SourceError> {
        let Nodes { relay, para, solo, .. } = self.nodes();
        if *solo {
            let tip = relay.tip().await?;
            return Ok(Tips { relay: tip, para: tip });
        }
        let (relay, para) = futures::try_join!(relay.tip(), para.tip())?;
        Ok(Tips { relay, para })
    }

    async fn relay_batch(&self, from: Height) -> Result<Answer<Option<RelayBatch>>, SourceError> {
        self.nodes().relay_batch(from).await
    }

    async fn para_head(&self, at: BlockRef, para_id: u32) -> Result<Answer<Option<ParaHead>>, SourceError> {
        let Nodes { relay, solo, .. } = self.nodes();
        if *solo {
            return Ok(Answer::new(None, relay.origin(relay.current())));
        }
        let needed = Some(at.height);
        let asked = relay.ask(Kind::Head, needed, |node| node.para_head(at, para_id).boxed());
        let (index, head) = asked.await?;
        Ok(Answer::new(head, relay.origin(index)))
    }

    async fn para_headers(&self, span: Span) -> Result<Answer<Vec<Bytes>>, SourceError> {
        let para = &self.nodes().para;
        let asked = para.ask(Kind::Headers, Some(span.last()), |node| node.headers(span).boxed());
        let (index, headers) = asked.await?;
        Ok(Answer::new(headers, para.origin(index)))
    }

    async fn changes(&self, first: BlockRef, last: BlockRef) -> Result<Answer<Vec<Bytes>>, SourceError> {
        let para = &self.nodes().para;
        let needed = Some(last.height);
        let asked = para.ask(Kind::Changes, needed, |node| node.changes(first, last).boxed());
        let (index, changes) = asked.await?;
        Ok(Answer::new(changes, para.origin(index)))
    }

    fn changes_form(&self) -> ChangesForm {
        let para = &self.nodes.para;
        let forms = (0..para.len()).filter_map(|index| para.node(index).changes_form());
        forms.reduce(ChangesForm::and).unwrap_or(ChangesForm::Written)
    }

    async fn wait_for_tip(&self, known: Tips) -> Result<(), SourceError> {
        self.nodes().relay.wait(known.relay, |node| node.wait_for_tip(known.relay).boxed()).await
    }

    fn expect(&self, chain: &ChainIdentity) {
        self.nodes.relay.expect(chain.relay_chain);
        self.nodes.para.expect(chain.para_genesis);
    }

    fn distrust(&self, who: &Origin, because: &str) {
        self.nodes.relay.distrust(who, because);
        self.nodes.para.distrust(who, because);
    }

    fn endpoint(&self) -> String {
        let Nodes { relay, para, solo, .. } = &*self.nodes;
        let para = para.origin(para.current());
        if *solo { para.to_string() } else { relay.origin(relay.current()).and(&para).to_string() }
    }

    fn peers(&self) -> Vec<Peer> {
        let Nodes { relay, para, solo, .. } = &*self.nodes;
        let mut peers = relay.peers();
        if !solo {
            peers.extend(para.peers());
        }
        peers
    }

    fn judge(&self, peer: &Peer, because: Option<&str>) {
        self.nodes.relay.judge(peer, because);
        self.nodes.para.judge(peer, because);
    }
}

#[cfg(test)]
mod tests;
