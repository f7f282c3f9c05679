//! Signs and sends transactions, and knows what became of each.
//!
//! One task per signing account (a lane) owns its nonce sequence. Pools that share an account share its lane. What
//! became of an extrinsic is read from finalized blocks alone; what a node's status stream says only makes the lane
//! look sooner. An extrinsic is in the journal before it is sent, and nothing that repeats it is signed until it is in a
//! finalized block, its nonce was used by another, or its mortality has passed.

mod balance;
pub(crate) mod chain;
mod config;
mod dry_run;
mod failover;
mod lane;
mod node;
mod orders;
mod outcome;
mod tips;

pub use config::{Rivalry, TraderConfig};
pub use dry_run::DryRun;
pub use failover::Nodes;
pub use node::{ChainNode, NodeError, RpcNode, TxStatus};
pub use tips::TipBudget;

use crate::{
    journal::{Image, Journal, JournalError, Record},
    keys::Operators,
};
use async_trait::async_trait;
use chain::Chain;
pub(crate) use chain::hexed;
use lane::Trouble;
use prb_core::{
    id::{AccountId, Height, JobId, PoolId},
    port::{JobState, Outcome, SinkError, TxSink, Unsettled},
    tx::{Call, CallKey},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    task::{self, JoinError, JoinSet},
    time::Instant,
};

/// Most calls of one job: fewer than a runtime takes in a batch, and few enough to fit a block.
pub const MAX_JOB_CALLS: usize = 1000;

/// Most bytes of one job's calls. A block takes some megabytes.
pub const MAX_JOB_BYTES: usize = 1 << 20;

/// Bytes of waiting calls at which no more jobs are accepted, whatever their number.
const MAX_WAITING_BYTES: usize = 128 << 20;

/// How long a job waits for its pool to have an operator again before it is rejected.
const ORPHAN_GRACE: Duration = Duration::from_secs(60);

/// How often the supervisor looks for jobs without a lane or with one that sleeps, and for lanes that crashed.
const SUPERVISION: Duration = Duration::from_secs(5);

/// The transaction sink of this process. Dropping it stops its tasks; what is under way is settled by the next trader
/// on the same journal.
pub struct Trader {
    shared: Arc<Shared>,
    supervisor: tokio::task::JoinHandle<()>,
    stop: watch::Sender<bool>,
}

/// What the lanes share.
struct Shared {
    chain: Chain,
    operators: Operators,
    journal: Arc<Journal>,
    config: TraderConfig,
    /// Wakes the lane of an account.
    lanes: Mutex<BTreeMap<AccountId, Arc<Notify>>>,
    /// Wakes the supervisor: there may be a lane to start.
    call: Notify,
    /// Jobs on their way into the journal.
    accepting: AtomicUsize,
    /// What batches on their way into the journal are about, so that no two lanes take up the same thing.
    claims: Mutex<BTreeSet<CallKey>>,
    /// Held by the lane that looks how much of the day's tips is left, until it has written down what it takes.
    tipping: tokio::sync::Mutex<()>,
    /// Why nothing is sent, where that needs a person.
    failure: Mutex<Option<String>>,
    /// Why the program that embeds the trader lets nothing be sent, if it does.
    held: Mutex<Option<String>>,
    /// What troubles an account and needs a person.
    troubles: Mutex<BTreeMap<(AccountId, &'static str), String>>,
}

impl Trader {
    /// Starts a trader, inside a tokio runtime. It goes on with what the journal holds.
    pub fn start(
        node: Arc<dyn ChainNode>,
        operators: Operators,
        journal: Arc<Journal>,
        config: TraderConfig,
    ) -> Self {
        let shared = Arc::new(Shared {
            chain: Chain::new(node),
            operators,
            journal,
            config,
            lanes: Mutex::default(),
            call: Notify::new(),
            accepting: AtomicUsize::new(0),
            claims: Mutex::default(),
            tipping: tokio::sync::Mutex::default(),
            failure: Mutex::default(),
            held: Mutex::default(),
            troubles: Mutex::default(),
        });
        if shared.journal.read(Image::paused) {
            tracing::warn!("transactions are paused, as they were before; `prb tx resume` sends them again");
        }
        let (stop, stopped) = watch::channel(false);
        let supervisor = tokio::spawn(supervise(shared.clone(), stopped));
        Self { shared, supervisor, stop }
    }

    /// The operators; they may be changed at any time.
    pub fn operators(&self) -> &Operators {
        &self.shared.operators
    }

    /// The journal, for status pages.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.shared.journal
    }

    /// Why nothing is settled or sent, if that needs a person: the journal is about another chain than the node's. Each
    /// connection is checked, so this may begin at any time, and ends once the right chain is back behind the address.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops after what is being done at this moment; nothing is lost.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        // A task that panicked has stopped as well.
        let _ = (&mut self.supervisor).await;
    }
}

impl Drop for Trader {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

#[async_trait]
impl TxSink for Trader {
    async fn submit(&self, job: JobId, pool: PoolId, calls: Vec<Call>) -> Result<(), SinkError> {
        let shared = &self.shared;
        if shared.journal.read(|image| image.state(&job)).is_some() {
            return Ok(());
        }
        shared.check(pool, &calls)?;
        let accepting = Accepting::enter(&shared.accepting);
        let (waiting, bytes) = shared.journal.read(|image| (image.waiting_len(), image.waiting_bytes()));
        let waiting = waiting + accepting.before;
        if waiting >= shared.config.waiting || bytes >= MAX_WAITING_BYTES {
            return Err(SinkError::Busy { waiting });
        }
        shared.journal.write(vec![Record::Accepted { job, pool, calls }]).await?;
        drop(accepting);
        shared.wake(pool);
        Ok(())
    }

    async fn outcome(&self, job: JobId) -> Result<Option<JobState>, SinkError> {
        Ok(self.shared.journal.read(|image| image.state(&job)))
    }

    async fn unsettled(&self) -> Result<Vec<Unsettled>, SinkError> {
        Ok(self.shared.journal.read(|image| {
            let all = image.open().map(|(id, job)| Unsettled {
                job: *id,
                pool: job.pool,
                keys: job.calls.iter().map(Call::key).collect(),
            });
            all.collect()
        }))
    }

    async fn settled_at(&self) -> Result<Height, SinkError> {
        Ok(self.shared.journal.read(|image| image.settled_at()))
    }

    async fn decided_at(&self, job: JobId) -> Result<Option<Height>, SinkError> {
        Ok(self.shared.journal.read(|image| image.decided_at(&job)))
    }

    async fn last_era(&self) -> Result<Option<u64>, SinkError> {
        Ok(self.shared.journal.read(|image| image.last_era()))
    }
}

impl From<JournalError> for SinkError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error.to_string())
    }
}

impl Shared {
    /// Refuses what could never be sent.
    fn check(&self, pool: PoolId, calls: &[Call]) -> Result<(), SinkError> {
        let operator = self.operators.get(pool).ok_or(SinkError::NoOperator(pool))?;
        let bytes: usize = calls.iter().map(codec::Encode::encoded_size).sum();
        if calls.is_empty() {
            return Err(SinkError::Bad("it has no calls".into()));
        }
        if calls.len() > MAX_JOB_CALLS || bytes > MAX_JOB_BYTES {
            return Err(SinkError::Bad(format!(
                "it has {} calls of {bytes} bytes, at most {MAX_JOB_CALLS} of {MAX_JOB_BYTES} bytes are taken; divide it",
                calls.len()
            )));
        }
        let proxied = calls.iter().filter(|call| call.through_proxy()).count();
        if operator.proxied.is_some() && proxied != 0 && proxied != calls.len() {
            return Err(SinkError::Bad(
                "some of its calls go through the pool's proxy and some must not; make them two jobs".into(),
            ));
        }
        Ok(())
    }

    /// Whether the node is of the journal's chain; before that is certain nothing is settled or sent on a connection.
    /// The first node met decides what chain a new journal is about.
    async fn same_chain(&self) -> Result<(), Trouble> {
        if self.chain.is_trusted() {
            return Ok(());
        }
        let (node, connection) = self.chain.identify().await?;
        if self.journal.read(|image| image.chain()).is_none() {
            self.journal.write(vec![Record::Chain(node)]).await?;
        }
        let journal = self.journal.read(|image| image.chain()).unwrap_or(node);
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if journal == node {
            *failure = None;
            self.chain.trust(node, connection);
            return Ok(());
        }
        let trouble = Trouble::OtherChain { journal, node };
        if !self.chain.is_on(connection) {
            // Another lane may have found the right chain meanwhile.
            return Err(trouble);
        }
        if self.chain.disown() {
            tracing::warn!(cause = %trouble, "a node of another chain is passed over");
            metrics::counter!("prb_tx_foreign_nodes_total").increment(1);
            return Err(trouble);
        }
        if failure.is_none() {
            tracing::error!(cause = %trouble, "nothing is settled or sent");
            metrics::counter!("prb_tx_other_chain_total").increment(1);
        }
        *failure = Some(trouble.to_string());
        Err(trouble)
    }

    /// Wakes the lane that signs for `pool`, or has it started.
    fn wake(&self, pool: PoolId) {
        let account = self.operators.get(pool).map(|operator| operator.signer.account());
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        match account.and_then(|account| lanes.get(&account)) {
            Some(lane) => lane.notify_one(),
            None => self.call.notify_one(),
        }
    }
}

/// Counts a job that is on its way into the journal.
struct Accepting<'a> {
    count: &'a AtomicUsize,
    before: usize,
}

impl<'a> Accepting<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        Self { count, before: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Accepting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts the lanes that are needed, and rejects jobs whose pool has had no operator for a while.
async fn supervise(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    tasks.spawn(balance::watch(shared.clone(), stop.clone()));
    let mut accounts: HashMap<task::Id, AccountId> = HashMap::new();
    let mut orphans: BTreeMap<JobId, Instant> = BTreeMap::new();
    loop {
        // The accounts that have something to do, and whether that is to send.
        let mut wanted: BTreeMap<AccountId, bool> = BTreeMap::new();
        let mut ownerless = Vec::new();
        shared.journal.read(|image| {
            wanted.extend(image.sent().map(|sent| (sent.signer, false)));
            for (id, job) in image.waiting() {
                match shared.operators.get(job.pool) {
                    Some(operator) => {
                        wanted.insert(operator.signer.account(), true);
                    }
                    None => ownerless.push((*id, job.pool)),
                }
            }
        });
        // A lane that panicked is started anew: its state is in the journal.
        while let Some(ended) = tasks.try_join_next_with_id() {
            let task = ended.as_ref().map_or_else(JoinError::id, |(task, ())| *task);
            let Some(account) = accounts.remove(&task) else { continue };
            if let Err(error) = ended {
                tracing::error!(%account, %error, "a lane crashed and is started again; please report this");
            }
            shared.lanes.lock().unwrap_or_else(PoisonError::into_inner).remove(&account);
        }
        for (account, has_waiting) in wanted {
            let mut lanes = shared.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            match lanes.get(&account) {
                // It may sleep: a changed operator brings jobs that nobody woke it for, and so does a `submit` that
                // was dropped while its job was written down.
                Some(lane) if has_waiting => lane.notify_one(),
                Some(_) => {}
                None => {
                    let wake = Arc::new(Notify::new());
                    lanes.insert(account, wake.clone());
                    let task = tasks.spawn(lane::run(shared.clone(), account, wake, stop.clone()));
                    accounts.insert(task.id(), account);
                }
            }
        }
        orphans.retain(|job, _| ownerless.iter().any(|(id, _)| id == job));
        for (job, pool) in ownerless {
            let since = *orphans.entry(job).or_insert_with(Instant::now);
            if since.elapsed() >= ORPHAN_GRACE {
                let outcome = Outcome::Rejected(SinkError::NoOperator(pool).to_string());
                tracing::warn!(%job, %pool, "rejected: the pool has no operator any more");
                let record = Record::Ended { extrinsic: None, outcomes: vec![(job, outcome)] };
                if let Err(error) = shared.journal.write(vec![record]).await {
                    tracing::warn!(%error, "journal cannot be written");
                }
            }
        }
        gauges(&shared);
        tokio::select! {
            _ = shared.call.notified() => {}
            _ = tokio::time::sleep(SUPERVISION) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    while tasks.join_next().await.is_some() {}
}

fn gauges(shared: &Shared) {
    let (waiting, sent) = shared.journal.read(|image| (image.waiting_len(), image.sent().count()));
    metrics::gauge!("prb_tx_waiting").set(waiting as f64);
    metrics::gauge!("prb_tx_in_flight").set(sent as f64);
    metrics::gauge!("prb_tx_paused").set(f64::from(u8::from(shared.rests().is_some())));
}
