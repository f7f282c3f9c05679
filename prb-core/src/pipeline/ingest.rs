//! Source → store: fetch finalized data, verify it, append it.

mod ahead;
mod fetch;
mod pauses;
mod waiting;
mod watch;

use self::{
    fetch::{ChangesAhead, RelayAhead},
    pauses::{Pause, Pauses},
    waiting::Notes,
    watch::{Watch, locked},
};
use super::{
    STEP_LIMIT,
    events::{Announcer, Event},
};
use crate::{
    accept::{Refusal, Verifier},
    backoff::Pace,
    fault::Fault,
    id::{BlockRef, Hash, Height},
    port::{Append, BlobStore, BlockSource, Cursor, Genesis, Origin, SourceError, StoreError, Tips},
    progress::Following,
};
use std::sync::{Arc, Mutex};
use tokio::{
    sync::watch as news,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How to ingest.
#[derive(Clone, Copy, Debug)]
pub struct IngestOptions {
    /// The start block must be this one. None trusts the first source asked.
    pub trusted_start: Option<BlockRef>,
    /// Most blocks of storage changes fetched and committed together; as many are fetched ahead. More is faster while
    /// catching up and holds more memory. Typical: 64.
    pub changes_per_step: u32,
    /// Pauses after failures.
    pub pace: Pace,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self { trusted_start: None, changes_per_step: 64, pace: Pace::default() }
    }
}

/// The ingest pipeline.
pub struct Ingest {
    source: Arc<dyn BlockSource>,
    store: Arc<dyn BlobStore>,
    verifier: Arc<Mutex<Box<dyn Verifier>>>,
    options: IngestOptions,
    announcer: Announcer,
    genesis: Option<Arc<Genesis>>,
    relay_ahead: Option<RelayAhead>,
    changes_ahead: Option<ChangesAhead>,
    notes: Arc<Mutex<Notes>>,
    following: news::Sender<Following>,
}

/// Why ingest failed.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The source could not answer.
    #[error(transparent)]
    Source(SourceError),
    /// The source is of another chain than the store.
    #[error(
        "it holds {chain} {stored}, the nodes are {found} ({endpoint}); choose another data_dir or the right nodes"
    )]
    Foreign {
        /// `relay chain` or `parachain`.
        chain: &'static str,
        /// Hash of block 0 of what is stored.
        stored: Hash,
        /// Hash of the source's block 0.
        found: Hash,
        /// Who was asked.
        endpoint: String,
    },
    /// The source's answer failed a check.
    #[error("{by}: refused its answer: {refusal}")]
    Refused {
        /// Who answered.
        by: Origin,
        /// What failed.
        refusal: Refusal,
    },
    /// The store could not read or write.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing to check the source's answer on.
    #[error(transparent)]
    Unverifiable(Refusal),
    /// A source, store or verifier that never answers, against its contract.
    #[error("neither source nor store has answered for {} s; please report this with the log", STEP_LIMIT.as_secs())]
    Stalled,
    /// A check panicked: a bug.
    #[error("a check crashed; please report this with the log")]
    Crashed,
}

impl IngestError {
    /// Whether going on is useless.
    fn is_fatal(&self) -> bool {
        match self {
            Self::Store(error) => error.fault() == Fault::Stop,
            Self::Crashed | Self::Unverifiable(_) | Self::Foreign { .. } => true,
            Self::Source(_) | Self::Refused { .. } | Self::Stalled => false,
        }
    }

    /// Whether the source does not answer at all.
    fn is_silence(&self) -> bool {
        matches!(self, Self::Source(SourceError::Unreachable { .. } | SourceError::Timeout { .. }))
    }
}

impl From<SourceError> for IngestError {
    fn from(error: SourceError) -> Self {
        match error {
            // Nothing but the store says what to expect.
            SourceError::Foreign { endpoint, chain, found, expected } => {
                Self::Foreign { chain, stored: expected, found, endpoint }
            }
            error => Self::Source(error),
        }
    }
}

/// What a turn did.
struct Turn {
    /// Whether something was stored.
    moved: bool,
    /// Why relay headers failed.
    relay: Option<IngestError>,
    /// Why storage changes failed.
    changes: Option<IngestError>,
}

impl Ingest {
    /// Ingest from `source` into `store`, checked by `verifier`.
    pub fn new(
        source: Arc<dyn BlockSource>,
        store: Arc<dyn BlobStore>,
        verifier: Box<dyn Verifier>,
        options: IngestOptions,
        announcer: Announcer,
    ) -> Self {
        Self {
            source,
            store,
            verifier: Arc::new(Mutex::new(verifier)),
            options,
            announcer,
            genesis: None,
            relay_ahead: None,
            changes_ahead: None,
            notes: Arc::default(),
            following: news::Sender::default(),
        }
    }

    /// What a run of it follows, as it learns that.
    pub fn following(&self) -> news::Receiver<Following> {
        self.following.subscribe()
    }

    /// Ingests until stopped, whatever the source does. An error means that going on is useless: the store is
    /// another chain's than the source, damaged, of a newer format, or not verified so far.
    pub async fn run(&mut self, stop: CancellationToken) -> Result<(), IngestError> {
        let watch = Watch::of(self);
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = self.go_on() => ended,
            () = watch.run() => Ok(()), // it does not end
        }
    }

    async fn go_on(&mut self) -> Result<(), IngestError> {
        let mut pauses = Pauses::new(self.options.pace);
        loop {
            self.advance(&mut pauses).await?;
        }
    }

    /// Takes one turn with what does not pause. Waits where there is nothing to take.
    async fn advance(&mut self, pauses: &mut Pauses) -> Result<(), IngestError> {
        if let Some(end) = pauses.all.until() {
            tokio::time::sleep_until(end).await;
        }
        let (relay, changes) = (pauses.relay.is_over(), pauses.changes.is_over());
        let turn = timeout(STEP_LIMIT, self.turn(relay, changes)).await;
        let turn = match turn.unwrap_or(Err(IngestError::Stalled)) {
            Ok(turn) => turn,
            Err(error) => {
                locked(&self.notes).away = error.is_silence();
                return self.failed(error, pauses, |pauses| &mut pauses.all);
            }
        };
        let (moved, idle) = (turn.moved, relay && turn.relay.is_none());
        if relay {
            locked(&self.notes).away = turn.relay.as_ref().is_some_and(IngestError::is_silence);
        }
        match turn.relay {
            Some(error) => self.failed(error, pauses, |pauses| &mut pauses.relay)?,
            None if relay => pauses.relay.succeeded(),
            None => {}
        }
        match turn.changes {
            Some(error) => self.failed(error, pauses, |pauses| &mut pauses.changes)?,
            None if changes => pauses.changes.succeeded(),
            None => {}
        }
        if moved {
            pauses.all.succeeded();
            pauses.hints.fulfilled();
        }
        if pauses.troubled && pauses.are_forgotten() {
            pauses.recovered();
            locked(&self.notes).trouble = None;
            info!("ingest recovered");
            self.announcer.tell(Event::IngestRecovered);
        }
        if !moved {
            let wake = [pauses.relay.until(), pauses.changes.until()].into_iter().flatten().min();
            match (idle, wake) {
                (true, None) => self.wait_for_tip(pauses).await?,
                (true, Some(wake)) => tokio::select! {
                    waited = self.wait_for_tip(pauses) => waited?,
                    () = tokio::time::sleep_until(wake) => {}
                },
                (false, wake) => tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)).await,
            }
        }
        Ok(())
    }

    async fn wait_for_tip(&self, pauses: &mut Pauses) -> Result<(), IngestError> {
        let (hints, store, source) = (&mut pauses.hints, &self.store, &self.source);
        let waited = async {
            let known = store.cursor().await?.map_or(Tips::default(), |cursor| Tips {
                relay: cursor.relay.height,
                para: cursor.para.map_or(Height(0), |para| para.height),
            });
            Ok(hints.next(source.wait_for_tip(known)).await?)
        };
        let waited = waited.await;
        locked(&self.notes).away = waited.as_ref().is_err_and(IngestError::is_silence);
        match waited {
            Ok(()) => {
                pauses.all.succeeded();
                Ok(())
            }
            Err(error) => self.failed(error, pauses, |pauses| &mut pauses.all),
        }
    }

    /// Reports a failure and pauses what failed, unless going on is useless.
    fn failed(
        &self,
        error: IngestError,
        pauses: &mut Pauses,
        of: impl FnOnce(&mut Pauses) -> &mut Pause,
    ) -> Result<(), IngestError> {
        if error.is_fatal() {
            return Err(error);
        }
        pauses.troubled = true;
        locked(&self.notes).trouble = Some(error.to_string());
        let told = pauses.tell(&error.to_string());
        let pause = of(pauses);
        self.report(&error, pause.backoff.failures(), told);
        pause.failed();
        Ok(())
    }

    /// Fetches, verifies and stores what comes next; whether there was anything.
    ///
    /// The next relay batch and the next storage changes are fetched side by side, and committed together; what comes
    /// after them is fetched meanwhile. If one of them fails, the other is stored all the same before the error is
    /// answered.
    pub async fn step(&mut self) -> Result<bool, IngestError> {
        let turn = self.turn(true, true).await?;
        turn.relay.or(turn.changes).map_or(Ok(turn.moved), Err)
    }

    /// One step with relay headers, storage changes or both.
    async fn turn(&mut self, relay: bool, changes: bool) -> Result<Turn, IngestError> {
        let Some(cursor) = self.store.cursor().await? else {
            self.begin().await?;
            return Ok(Turn { moved: true, relay: None, changes: None });
        };
        let genesis = self.genesis().await?;
        let (mut relay_ahead, mut changes_ahead) = (self.relay_ahead.take(), self.changes_ahead.take());
        let next_relay = async {
            if relay { self.next_relay(&cursor, &genesis, &mut relay_ahead).await } else { Ok(None) }
        };
        let next_changes = async {
            if changes {
                self.next_changes(&cursor, genesis.parachain, &mut changes_ahead).await
            } else {
                Ok(None)
            }
        };
        let (relay, blocks) = tokio::join!(next_relay, next_changes);
        (self.relay_ahead, self.changes_ahead) = (relay_ahead, changes_ahead);
        let mut turn = Turn { moved: false, relay: None, changes: None };
        let mut append = Append::default();
        match relay {
            Ok(relay) => append = relay.unwrap_or_default(),
            Err(error) => turn.relay = Some(error),
        }
        let reached = append.cursor.clone().unwrap_or(cursor);
        match self.checked_changes(reached, blocks).await {
            Ok(Some(checked)) => {
                append = Append {
                    changes: checked.changes,
                    changes_form: checked.changes_form,
                    nodes: checked.nodes,
                    cursor: checked.cursor,
                    ..append
                };
            }
            Ok(None) => {}
            Err(error) => turn.changes = Some(error),
        }
        let is_refused = |error: &Option<IngestError>| matches!(error, Some(IngestError::Refused { .. }));
        if is_refused(&turn.relay) || is_refused(&turn.changes) {
            // Whoever is distrusted now may have given these before.
            (self.relay_ahead, self.changes_ahead) = (None, None);
        }
        if let Some(cursor) = append.cursor.clone() {
            self.commit(append, &cursor).await?;
            turn.moved = true;
        }
        Ok(turn)
    }

    async fn genesis(&mut self) -> Result<Arc<Genesis>, IngestError> {
        if let Some(genesis) = &self.genesis {
            return Ok(genesis.clone());
        }
        let genesis = self.store.genesis().await?;
        let genesis = genesis.ok_or_else(|| StoreError::Inconsistent("a cursor without a genesis".into()))?;
        self.source.expect(&genesis.identity());
        Ok(self.genesis.insert(genesis).clone())
    }

    async fn commit(&self, append: Append, cursor: &Cursor) -> Result<(), IngestError> {
        let (relay, changes) =
            (append.relay.as_ref().map_or(0, |relay| relay.headers.len()), append.changes.len());
        self.store.append(append).await?;
        metrics::counter!("prb_ingest_relay_headers_total").increment(relay as u64);
        metrics::counter!("prb_ingest_changes_total").increment(changes as u64);
        metrics::gauge!("prb_ingest_relay_height").set(cursor.relay.height.0);
        metrics::gauge!("prb_ingest_changes_height").set(cursor.changes.0);
        self.announcer.tell(Event::Ingested {
            relay: cursor.relay.height,
            para: cursor.para.map(|para| para.height),
            changes: cursor.changes,
        });
        Ok(())
    }

    /// Counts and announces a failure; `told` if the log is to have it too.
    fn report(&self, error: &IngestError, earlier_failures: u32, told: bool) {
        metrics::counter!("prb_ingest_failures_total").increment(1);
        if let IngestError::Refused { by, refusal } = error {
            self.announcer.tell(Event::Refused { endpoint: by.to_string(), cause: refusal.to_string() });
        }
        match error {
            _ if !told => {}
            IngestError::Refused { by, refusal } if earlier_failures == 0 => {
                warn!(endpoint = %by, cause = %refusal, "refused an answer; nothing is stored there until a good one comes");
            }
            IngestError::Refused { by, refusal } => {
                info!(endpoint = %by, cause = %refusal, earlier_failures, "refused an answer again");
            }
            error if earlier_failures == 0 => warn!(cause = %error, "ingest has trouble, trying again"),
            error => info!(cause = %error, earlier_failures, "ingest still has trouble"),
        }
        self.announcer.tell(Event::IngestTrouble { cause: error.to_string() });
    }
}
