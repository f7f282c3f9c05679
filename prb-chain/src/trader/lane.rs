//! The task that owns one account's nonce sequence.

mod rivals;
pub(super) mod send;
mod settle;

use super::{NodeError, Shared, node::TxStatus};
use crate::journal::{JournalError, Sent};
use futures::StreamExt;
use prb_core::{
    backoff::Backoff,
    id::{AccountId, BlockRef, Hash, Height},
    tx::{Lane, Limits, Live, Mortality},
};
use rivals::Rivals;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};

/// Finalized blocks without inclusion after which the same bytes are given to the node again.
const REPEAT_AFTER: u32 = 4;

/// Longest time to listen to one stream: inclusion is found without it.
const WATCH_LIMIT: Duration = Duration::from_secs(3600);

/// Statuses that may wait for the lane; more are dropped, as they are hints.
const HINTS: usize = 64;

/// An extrinsic that may still be included.
struct Flight {
    sent: Sent,
    mortality: Mortality,
    /// Where it is in finalized blocks, with its index.
    found: Option<(BlockRef, u32)>,
    /// A block that may have held it could not be looked at.
    blind: bool,
    /// The finalized height at which its bytes were last given to a node.
    given: Height,
}

/// One account's lane.
struct AccountLane {
    shared: Arc<Shared>,
    account: AccountId,
    nonces: Lane,
    flights: BTreeMap<Hash, Flight>,
    /// Every finalized block up to here was searched for all flights.
    searched: Height,
    /// The height at which all flights were judged last.
    judged: Option<Height>,
    /// Limits of the next batch: smaller after one was too heavy.
    limits: Limits,
    /// Refusals by kind since something was taken.
    refusals: BTreeMap<&'static str, u32>,
    /// Refusals that were told, with what is done about them, since something was taken.
    told: BTreeSet<String>,
    backoff: Backoff,
    /// When the first job of the next batch was seen.
    first_seen: Option<Instant>,
    /// Nothing is sent before this.
    not_before: Instant,
    /// What others do with the account.
    rivals: Rivals,
    hints: mpsc::Sender<(Hash, TxStatus)>,
}

/// Why a turn stopped half-way.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{}; {}", .0, .0.remedy())]
    Node(#[from] NodeError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(
        "the transaction journal holds parachain {journal}, the node is {node}; choose another data_dir or the right node"
    )]
    OtherChain {
        /// Hash of block 0.
        journal: Hash,
        /// Hash of block 0.
        node: Hash,
    },
}

/// Runs the lane of `account` until the trader stops.
pub(super) async fn run(
    shared: Arc<Shared>,
    account: AccountId,
    wake: Arc<Notify>,
    mut stop: watch::Receiver<bool>,
) {
    let (hints, mut hinted) = mpsc::channel(HINTS);
    let mut lane = AccountLane::new(shared, account, hints);
    loop {
        // Stopping waits for the end of a turn: what is journaled is sent, what is sent is journaled.
        let pause = lane.turn().await;
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = wake.notified() => {}
            Some((hash, status)) = hinted.recv() => lane.heed(hash, status),
            _ = tokio::time::sleep(pause) => {}
        }
    }
}

impl AccountLane {
    fn new(shared: Arc<Shared>, account: AccountId, hints: mpsc::Sender<(Hash, TxStatus)>) -> Self {
        let sent: Vec<Sent> = shared
            .journal
            .read(|image| image.sent().filter(|sent| sent.signer == account).cloned().collect());
        // The account's own bytes spread the pauses of lanes that failed together.
        let seed = account.0.iter().fold(0u64, |seed, &byte| seed.rotate_left(7) ^ u64::from(byte));
        let mut lane = Self {
            limits: shared.config.limits,
            backoff: Backoff::new(shared.config.pace, seed),
            shared,
            account,
            nonces: Lane::default(),
            flights: BTreeMap::new(),
            searched: Height(0),
            judged: None,
            refusals: BTreeMap::new(),
            told: BTreeSet::new(),
            first_seen: None,
            not_before: Instant::now(),
            rivals: Rivals::default(),
            hints,
        };
        for sent in sent {
            tracing::info!(%account, extrinsic = %sent.hash, nonce = sent.nonce, "settling what an earlier life sent");
            lane.board(sent);
        }
        lane
    }

    /// Takes a journaled extrinsic among those that may still be included.
    fn board(&mut self, sent: Sent) {
        let mortality = sent.mortality().unwrap_or_else(|_| Mortality::at(sent.birth, Default::default()));
        let live = Live { hash: sent.hash, mortality };
        if let Err(error) = self.nonces.hold(sent.nonce, live) {
            // Both stay under observation; only one of them can ever be included.
            tracing::error!(account = %self.account, %error, "journal holds two extrinsics for one nonce");
        }
        self.judged = None;
        if self.flights.is_empty() {
            // What was done by hand while nothing was under way is nobody's rival.
            self.rivals.look_away();
        }
        self.searched = match self.flights.is_empty() {
            true => mortality.birth(),
            // One born before the others were searched for did not exist before either, unless it comes from the
            // journal; looking again is harmless.
            false => self.searched.min(mortality.birth()),
        };
        let given = mortality.birth();
        self.flights.insert(sent.hash, Flight { sent, mortality, found: None, blind: false, given });
    }

    /// Does what can be done; answers how long nothing else will be.
    async fn turn(&mut self) -> Duration {
        let outcome = async {
            self.shared.same_chain().await?;
            self.settle().await?;
            self.send().await
        };
        match outcome.await {
            Ok(pause) => {
                self.backoff.succeeded();
                pause
            }
            Err(trouble) => {
                let pause = self.backoff.failed();
                let failures = self.backoff.failures();
                // Once is a hiccup; the same trouble again is worth a person's eye, but not every time.
                match failures {
                    3 | 30 | 300 => {
                        tracing::warn!(account = %self.account, error = %trouble, failures, "transactions wait")
                    }
                    _ => tracing::debug!(account = %self.account, error = %trouble, "transactions wait"),
                }
                metrics::counter!("prb_tx_troubles_total").increment(1);
                pause
            }
        }
    }

    /// Uses what a node says about one of the extrinsics.
    fn heed(&mut self, hash: Hash, status: TxStatus) {
        tracing::debug!(account = %self.account, extrinsic = %hash, ?status, "status");
        match status {
            TxStatus::Finalized(_) => self.shared.chain.finality_moved(),
            TxStatus::Usurped(_) | TxStatus::Dropped | TxStatus::Invalid | TxStatus::FinalityTimeout(_) => {
                // Not a proof of anything. It is given again a block later, identical, or found in a block.
                if let Some(flight) = self.flights.get_mut(&hash) {
                    let height = Height(self.searched.0.saturating_sub(REPEAT_AFTER - 1));
                    flight.given = flight.given.min(height);
                }
            }
            _ => {}
        }
    }

    /// Passes statuses on to this lane, until the stream ends or the lane does.
    fn listen(&self, hash: Hash, mut statuses: futures::stream::BoxStream<'static, TxStatus>) {
        let hints = self.hints.clone();
        tokio::spawn(async move {
            let relay = async {
                while let Some(status) = statuses.next().await {
                    tokio::select! {
                        _ = hints.closed() => return,
                        _ = hints.send((hash, status)) => {}
                    }
                }
            };
            tokio::select! {
                _ = relay => {}
                _ = hints.closed() => {}
                _ = tokio::time::sleep(WATCH_LIMIT) => {}
            }
        });
    }
}
