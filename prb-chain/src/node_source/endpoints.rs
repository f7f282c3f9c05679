//! The endpoints of one chain as one: asked in order of their standing, left when they fail, used again when they
//! are well. The decisions are in [`standing`](super::standing) and [`roster`](super::roster).

mod survey;

use super::{
    ParaNode, RelayNode, SourceOptions,
    identity::Identity,
    roster::{self, Order},
    standing::{Kind, Notice, Reason, Standing},
};
use crate::rpc::Rpc;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use prb_core::{
    id::{BlockRef, Hash, Height},
    moment::Moment,
    port::{Origin, SourceError, source::Side},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// What the endpoints of a chain have in common.
pub(super) trait Node: Send + Sync + 'static {
    /// The finalized head.
    fn head(&self) -> BoxFuture<'_, Result<BlockRef, SourceError>>;
}

impl Node for RelayNode {
    fn head(&self) -> BoxFuture<'_, Result<BlockRef, SourceError>> {
        self.head().boxed()
    }
}

impl Node for ParaNode {
    fn head(&self) -> BoxFuture<'_, Result<BlockRef, SourceError>> {
        self.head().boxed()
    }
}

/// One endpoint.
struct Endpoint<N> {
    name: String,
    node: N,
    identity: Identity,
}

/// All endpoints of one chain.
pub(super) struct Endpoints<N> {
    side: Side,
    /// Its name.
    chain: &'static str,
    endpoints: Vec<Endpoint<N>>,
    known: Mutex<Known>,
    /// The highest finalized height that is believed.
    best: watch::Sender<Height>,
    begun: Instant,
    hedge_after: Duration,
    /// Longest wait for one endpoint's height.
    look_patience: Duration,
    slack: u32,
}

struct Known {
    /// By endpoint.
    standings: Vec<Standing>,
    /// Hash of block 0 that an endpoint must have, once it is known.
    expected: Option<Hash>,
    /// Who answered last.
    in_use: Option<usize>,
    /// Questions that are not answered yet: whose, of which kind, since when.
    open: BTreeMap<u64, (usize, Kind, Instant)>,
    /// How many questions there were.
    asked: u64,
}

/// An answer of the endpoint with this index.
pub(super) type Given<T> = Result<(usize, T), SourceError>;

impl<N: Node> Endpoints<N> {
    /// Endpoints in the order of preference.
    pub(super) fn new(side: Side, nodes: Vec<(Rpc, N)>, options: SourceOptions) -> Self {
        let chain = side.name();
        let standings = nodes.iter().map(|(rpc, _)| Standing::new(seed(rpc.endpoint()))).collect();
        let endpoints = nodes.into_iter().map(|(rpc, node)| Endpoint {
            name: rpc.endpoint().to_owned(),
            node,
            identity: Identity::new(rpc, chain),
        });
        let known = Known { standings, expected: None, in_use: None, open: BTreeMap::new(), asked: 0 };
        Self {
            side,
            chain,
            endpoints: endpoints.collect(),
            known: Mutex::new(known),
            best: watch::channel(Height(0)).0,
            begun: Instant::now(),
            hedge_after: options.hedge_after,
            look_patience: options.rpc.answer_timeout.min(options.hedge_after),
            slack: options.slack,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// The node of an endpoint.
    pub(super) fn node(&self, index: usize) -> &N {
        &self.endpoints[index].node
    }

    /// Who that is.
    pub(super) fn origin(&self, index: usize) -> Origin {
        Origin::new(self.endpoints[index].name.as_str())
    }

    /// Who answered last.
    pub(super) fn current(&self) -> usize {
        let in_use = self.known().in_use;
        in_use.unwrap_or(0)
    }

    /// From now on endpoints whose block 0 has another hash are not used.
    pub(super) fn expect(&self, hash: Hash) {
        self.known().expected = Some(hash);
    }

    /// Whom to ask.
    pub(super) fn order(&self, kind: Kind) -> Order {
        roster::order(&self.known().standings, self.now(), kind)
    }

    /// Whom nothing speaks against, best first.
    pub(super) fn well(&self, kind: Kind) -> Vec<usize> {
        roster::well(&self.known().standings, self.now(), kind)
    }

    /// Whether another endpoint than `index` claims to have the block at `height`.
    pub(super) fn another_has(&self, kind: Kind, index: usize, height: Height) -> bool {
        roster::another_has(&self.known().standings, self.now(), kind, index, height)
    }

    /// Asks about the block at `needed` (none if it is about no block).
    pub(super) async fn ask<T: Send>(
        &self,
        kind: Kind,
        needed: Option<Height>,
        question: impl for<'n> Fn(&'n N) -> BoxFuture<'n, Result<T, SourceError>> + Send + Sync,
    ) -> Given<T> {
        self.ask_until(kind, needed, self.order(kind), question, |_, _| true).await
    }

    /// Asks one after the other until an answer is `enough`; where one takes long, the next one beside it. Those of
    /// the order's end are asked if nobody answers before them, for a better reason than that nobody has it yet.
    ///
    /// Where no answer is enough, the first of them; where there is none, the first error. That somebody is of
    /// another chain counts only where everybody is.
    pub(super) async fn ask_until<T: Send>(
        &self,
        kind: Kind,
        needed: Option<Height>,
        order: Order,
        question: impl for<'n> Fn(&'n N) -> BoxFuture<'n, Result<T, SourceError>> + Send + Sync,
        enough: impl Fn(usize, &T) -> bool + Send + Sync,
    ) -> Given<T> {
        let (mut rest, mut last) = (order.first.into_iter(), order.last);
        // Who was asked and has not answered yet, in that order, and who does not have it.
        let (mut open, mut lacking): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut running = FuturesUnordered::new();
        let (mut answer, mut error) = (None, None);
        loop {
            if open.is_empty() {
                let in_vain = answer.is_none() && !matches!(error, Some(SourceError::Missing { .. }));
                if rest.len() == 0 && in_vain {
                    rest = std::mem::take(&mut last).into_iter();
                }
                let Some(index) = rest.next() else { break };
                open.push(index);
                running.push(self.ask_one(kind, index, &question));
            }
            let next = tokio::select! {
                next = running.next() => next,
                () = sleep(self.hedge_after), if rest.len() > 0 => {
                    if let Some(index) = rest.next() {
                        open.push(index);
                        running.push(self.ask_one(kind, index, &question));
                    }
                    continue;
                }
            };
            let Some((index, given)) = next else { break };
            let earlier = open.iter().position(|other| *other == index).unwrap_or(0);
            open.remove(earlier);
            match given {
                Ok(given) if enough(index, &given) => {
                    self.answered(kind, index);
                    for slow in open.into_iter().take(earlier) {
                        self.note(slow, |standing, now| standing.slow(now, kind).into_iter().collect());
                    }
                    for (other, needed) in lacking.into_iter().filter_map(|other| Some((other, needed?))) {
                        self.note(other, |standing, now| {
                            standing.lacks(now, kind, needed).into_iter().collect()
                        });
                    }
                    return Ok((index, given));
                }
                Ok(given) => {
                    lacking.push(index);
                    answer.get_or_insert((index, given));
                }
                Err(cause) => {
                    if matches!(cause, SourceError::Missing { .. }) {
                        lacking.push(index);
                    }
                    self.failed(kind, index, &cause);
                    keep(&mut error, cause);
                }
            }
        }
        match (answer, error) {
            (Some((index, given)), _) => {
                self.answered(kind, index);
                Ok((index, given))
            }
            (None, Some(error)) => Err(error),
            (None, None) => Err(self.nobody()),
        }
    }

    /// Nobody was asked.
    pub(super) fn nobody(&self) -> SourceError {
        SourceError::Missing { endpoint: self.chain.to_owned(), what: "endpoint".to_owned() }
    }

    /// Fails if an endpoint is of another chain than the one expected.
    pub(super) async fn vouch(&self, index: usize) -> Result<(), SourceError> {
        let expected = self.known().expected;
        match expected {
            Some(expected) => self.endpoints[index].identity.check(expected).await,
            None => Ok(()),
        }
    }

    async fn ask_one<T>(
        &self,
        kind: Kind,
        index: usize,
        question: impl for<'n> Fn(&'n N) -> BoxFuture<'n, Result<T, SourceError>>,
    ) -> (usize, Result<T, SourceError>) {
        let endpoint = &self.endpoints[index];
        let expected = self.known().expected;
        let begun = Instant::now();
        let _open = self.open(index, kind, begun);
        let given = endpoint.identity.vouched(expected, question(&endpoint.node)).await;
        let labels = [("chain", self.chain.to_owned()), ("endpoint", endpoint.name.clone())];
        metrics::counter!("prb_source_requests_total", &labels).increment(1);
        if given.is_ok() {
            let labels = [("endpoint", endpoint.name.clone()), ("kind", kind.name().to_owned())];
            metrics::histogram!("prb_source_seconds", &labels).record(begun.elapsed());
        }
        (index, given)
    }

    /// Waits for news of one endpoint, or of any by what the others tell of their heights.
    pub(super) async fn wait(
        &self,
        known: Height,
        news: impl for<'n> Fn(&'n N) -> BoxFuture<'n, Result<(), SourceError>> + Send + Sync,
    ) -> Result<(), SourceError> {
        let mut best = self.best.subscribe();
        let risen = async {
            // The sender lives as long as this.
            let _ = best.wait_for(|height| *height > known).await;
            Ok(())
        };
        let announced = async {
            let mut error = None;
            let Order { first, last } = self.order(Kind::News);
            for index in first.into_iter().chain(last) {
                match self.ask_one(Kind::News, index, &news).await {
                    (_, Ok(())) => {
                        self.note(index, |standing, now| standing.answered(now, Kind::News));
                        return Ok(());
                    }
                    (_, Err(cause)) => {
                        self.failed(Kind::News, index, &cause);
                        keep(&mut error, cause);
                    }
                }
            }
            error.map_or(Ok(()), Err)
        };
        tokio::select! {
            risen = risen => risen,
            announced = announced => announced,
        }
    }

    /// Whoever has one of these names gave an answer that was refused.
    pub(super) fn distrust(&self, who: &Origin, because: &str) {
        for name in who.names() {
            let culprit = self.endpoints.iter().position(|endpoint| endpoint.name == name);
            if let Some(index) = culprit {
                self.note(index, |standing, now| standing.refused(now, because).into_iter().collect());
            }
        }
    }

    /// It answered with what was asked for.
    pub(super) fn answered(&self, kind: Kind, index: usize) {
        self.note(index, |standing, now| standing.answered(now, kind));
        let before = self.known().in_use.replace(index);
        if before != Some(index) {
            for (other, endpoint) in self.endpoints.iter().enumerate() {
                let labels = [("chain", self.chain.to_owned()), ("endpoint", endpoint.name.clone())];
                metrics::gauge!("prb_source_in_use", &labels).set(if other == index { 1.0 } else { 0.0 });
            }
        }
    }

    /// It did not.
    pub(super) fn failed(&self, kind: Kind, index: usize, cause: &SourceError) {
        let Some(reason) = Reason::of(kind, cause) else { return };
        let labels = [
            ("chain", self.chain.to_owned()),
            ("endpoint", self.endpoints[index].name.clone()),
            ("reason", reason.name().to_owned()),
        ];
        metrics::counter!("prb_source_failures_total", &labels).increment(1);
        self.note(index, |standing, now| standing.failed(now, kind, cause).into_iter().collect());
    }

    /// Lets a standing take something in, and tells what a person may want to know.
    fn note(&self, index: usize, change: impl FnOnce(&mut Standing, Moment) -> Vec<Notice>) {
        let now = self.now();
        let (notices, score) = {
            let standing = &mut self.known().standings[index];
            (change(standing, now), standing.score())
        };
        let endpoint = &self.endpoints[index].name;
        let labels = [("chain", self.chain.to_owned()), ("endpoint", endpoint.clone())];
        metrics::gauge!("prb_source_score", &labels).set(score);
        for notice in notices {
            // Of a single endpoint the pipelines tell what there is to tell.
            let single = self.endpoints.len() == 1;
            match notice {
                Notice::Left { reason, cause } => {
                    let labels = [
                        ("chain", self.chain.to_owned()),
                        ("endpoint", endpoint.clone()),
                        ("reason", reason.name().to_owned()),
                    ];
                    metrics::counter!("prb_source_left_total", &labels).increment(1);
                    if !single {
                        tracing::warn!(chain = self.chain, %endpoint, %reason, %cause, "endpoint left");
                    }
                }
                Notice::Returned { reason, after } if !single => {
                    let seconds = after.as_secs();
                    tracing::info!(chain = self.chain, %endpoint, %reason, seconds, "endpoint is used again");
                }
                Notice::Returned { .. } => {}
            }
        }
    }

    fn now(&self) -> Moment {
        Moment(self.begun.elapsed())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        locked(&self.known)
    }
}

fn locked(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    // Changes of what is known do not panic half-way.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the first error. That somebody is of another chain says less than anything else.
pub(super) fn keep(error: &mut Option<SourceError>, cause: SourceError) {
    if matches!(error, None | Some(SourceError::Foreign { .. })) {
        *error = Some(cause);
    }
}

/// Spreads the pauses of endpoints that failed together.
fn seed(name: &str) -> u64 {
    Hash::of(name.as_bytes()).0.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
