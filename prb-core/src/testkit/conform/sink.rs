//! The suite of [`TxSink`].

use crate::{
    id::{Height, JobId, PoolId},
    port::{JobState, Outcome, SinkError, TxSink},
    tx::Call,
};
use async_trait::async_trait;
use std::{collections::BTreeSet, sync::Arc};

/// A sink under test with the world around it.
#[async_trait]
pub trait SinkBench: Send + Sync {
    /// The sink; every call after the first is a new life of the program on the same durable state, with nothing
    /// left of the life before.
    async fn open(&mut self) -> Arc<dyn TxSink>;

    /// A pool that has an operator.
    fn pool(&self) -> PoolId;

    /// A pool that has none; none if this sink does not look at pools.
    fn ownerless_pool(&self) -> Option<PoolId>;

    /// Calls of the `n`-th job, at least two, about other things than those of other jobs.
    fn calls(&self, n: u64) -> Vec<Call>;

    /// Lets the chain go on a little.
    async fn advance(&mut self);
}

/// How many [`SinkBench::advance`]s a job may take. Typical chains need some ten.
const PATIENCE: usize = 2000;

/// Checks the contract of [`TxSink`] with a chain that takes what it is given.
///
/// # Panics
///
/// With the broken clause.
pub async fn tx_sink(bench: &mut impl SinkBench) {
    let sink = bench.open().await;
    refusals_keep_nothing(bench, sink.as_ref()).await;
    repeating_a_job_changes_nothing(bench, sink.as_ref()).await;
    order_is_kept(bench, sink.as_ref()).await;
    let settled = settled_at(sink.as_ref()).await;
    assert!(settled > Height(0), "jobs were finalized");
    if let Some(last) = sink.last_era().await.expect("the last era is known") {
        assert_eq!(last, id(0).era, "the highest era of all jobs");
    }
    drop(sink);
    restarts_change_no_outcome(bench, settled).await;
}

fn id(number: u64) -> JobId {
    JobId { era: 0x00c0_ffee, number }
}

async fn refusals_keep_nothing(bench: &impl SinkBench, sink: &dyn TxSink) {
    assert_eq!(state(sink, 1).await, None, "a job that was never submitted is not known");
    let empty = sink.submit(id(1), bench.pool(), vec![]).await;
    assert!(matches!(empty, Err(SinkError::Bad(_))), "a job without calls is refused as bad: {empty:?}");
    if let Some(pool) = bench.ownerless_pool() {
        let ownerless = sink.submit(id(1), pool, bench.calls(1)).await;
        assert!(matches!(ownerless, Err(SinkError::NoOperator(named)) if named == pool), "{ownerless:?}");
    }
    assert_eq!(state(sink, 1).await, None, "a refused job is not kept");
    assert_eq!(unsettled(sink).await, BTreeSet::new(), "a refused job is not unsettled");
    assert_eq!(settled_at(sink).await, Height(0), "nothing is settled yet");
}

async fn repeating_a_job_changes_nothing(bench: &mut impl SinkBench, sink: &dyn TxSink) {
    let calls = bench.calls(1);
    submit(bench, sink, 1).await;
    let listed = sink.unsettled().await.expect("unsettled jobs are listed");
    if let Some(job) = listed.iter().find(|job| job.job == id(1)) {
        assert_eq!(job.pool, bench.pool(), "an unsettled job names its pool");
        let keys: Vec<_> = calls.iter().map(Call::key).collect();
        assert_eq!(job.keys, keys, "an unsettled job names what its calls are about");
    } else {
        assert!(
            matches!(state(sink, 1).await, Some(JobState::Ended(_))),
            "a job without outcome is unsettled"
        );
    }
    for _ in 0..3 {
        sink.submit(id(1), bench.pool(), calls.clone()).await.expect("a repeated job is accepted");
    }
    let outcome = end(bench, sink, 1).await;
    finalized(&outcome, calls.len());
    sink.submit(id(1), bench.pool(), bench.calls(77)).await.expect("an ended job is accepted again");
    for _ in 0..5 {
        bench.advance().await;
    }
    assert_eq!(state(sink, 1).await, Some(JobState::Ended(outcome)), "a repeated job keeps its outcome");
    assert!(!unsettled(sink).await.contains(&id(1)), "an ended job is not unsettled");
}

async fn order_is_kept(bench: &mut impl SinkBench, sink: &dyn TxSink) {
    for number in 10..18 {
        submit(bench, sink, number).await;
    }
    let mut before = None;
    for number in 10..18 {
        let calls = bench.calls(number).len();
        let outcome = end(bench, sink, number).await;
        let height = finalized(&outcome, calls);
        assert!(
            before <= Some(height),
            "jobs of a pool reach the chain in their order: job {number} overtook"
        );
        before = Some(height);
    }
}

async fn restarts_change_no_outcome(bench: &mut impl SinkBench, settled: Height) {
    let sink = bench.open().await;
    let after = settled_at(sink.as_ref()).await;
    assert!(after >= settled, "settled_at survives a restart: {settled} became {after}");
    let known = state(sink.as_ref(), 1).await;
    assert!(matches!(known, Some(JobState::Ended(_))), "an outcome survives a restart: {known:?}");
    for number in 20..24 {
        submit(bench, sink.as_ref(), number).await;
        // One restart before the job is sent, or sent, or included: wherever it is by then.
        if number % 2 == 0 {
            bench.advance().await;
        }
    }
    drop(sink);
    let sink = bench.open().await;
    let open = unsettled(sink.as_ref()).await;
    for number in 20..24 {
        let state = state(sink.as_ref(), number).await;
        match state {
            Some(JobState::Pending) => assert!(open.contains(&id(number)), "job {number} is unsettled"),
            Some(JobState::Ended(_)) => {}
            None => panic!("an accepted job survives a restart: job {number} is gone"),
        }
    }
    let mut ends = Vec::new();
    for number in 20..24 {
        let outcome = end(bench, sink.as_ref(), number).await;
        finalized(&outcome, bench.calls(number).len());
        ends.push(JobState::Ended(outcome));
    }
    drop(sink);
    let sink = bench.open().await;
    for (number, ended) in (20..24).zip(ends) {
        assert_eq!(state(sink.as_ref(), number).await, Some(ended), "an outcome never changes");
    }
    assert_eq!(state(sink.as_ref(), 1).await, known, "an outcome never changes");
}

async fn submit(bench: &mut impl SinkBench, sink: &dyn TxSink, number: u64) {
    for _ in 0..PATIENCE {
        match sink.submit(id(number), bench.pool(), bench.calls(number)).await {
            Ok(()) => {
                assert!(state(sink, number).await.is_some(), "an accepted job is known");
                return;
            }
            Err(SinkError::Busy { .. }) => {
                assert_eq!(state(sink, number).await, None, "a busy sink keeps nothing");
                bench.advance().await;
            }
            Err(error) => panic!("job {number} is accepted, not refused: {error}"),
        }
    }
    panic!("a busy sink becomes free again");
}

/// The outcome, which stays once it is there.
async fn end(bench: &mut impl SinkBench, sink: &dyn TxSink, number: u64) -> Outcome {
    for _ in 0..PATIENCE {
        if let Some(JobState::Ended(outcome)) = state(sink, number).await {
            let again = state(sink, number).await;
            assert_eq!(again, Some(JobState::Ended(outcome.clone())), "an outcome never changes");
            let settled = settled_at(sink).await;
            if let Outcome::Finalized { block, .. } = &outcome {
                assert!(settled >= block.height, "settled_at {settled} covers the outcome in {block}");
            }
            return outcome;
        }
        bench.advance().await;
    }
    panic!("every job ends: job {number} did not");
}

fn finalized(outcome: &Outcome, calls: usize) -> Height {
    let Outcome::Finalized { block, results, .. } = outcome else {
        panic!("a job that the chain takes ends finalized: {outcome:?}")
    };
    assert_eq!(results.len(), calls, "there is one result per call");
    block.height
}

async fn state(sink: &dyn TxSink, number: u64) -> Option<JobState> {
    sink.outcome(id(number)).await.expect("outcomes are answered")
}

async fn settled_at(sink: &dyn TxSink) -> Height {
    sink.settled_at().await.expect("how far jobs are settled is answered")
}

async fn unsettled(sink: &dyn TxSink) -> BTreeSet<JobId> {
    sink.unsettled().await.expect("unsettled jobs are listed").into_iter().map(|job| job.job).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        id::{AccountId, WorkerKey},
        testkit::{FakeChain, FakeSink},
    };

    struct Fake {
        chain: FakeChain,
        sink: FakeSink,
    }

    #[async_trait]
    impl SinkBench for Fake {
        async fn open(&mut self) -> Arc<dyn TxSink> {
            Arc::new(self.sink.clone())
        }

        fn pool(&self) -> PoolId {
            PoolId(1)
        }

        fn ownerless_pool(&self) -> Option<PoolId> {
            None
        }

        fn calls(&self, n: u64) -> Vec<Call> {
            let worker = |byte| WorkerKey([byte; 32]);
            let add = |byte| Call::AddWorker { pool: PoolId(1), worker: worker(byte) };
            vec![add(2 * n as u8), add(2 * n as u8 + 1)]
        }

        async fn advance(&mut self) {
            self.chain.advance(1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_scripted_sink_keeps_the_contract() {
        let chain = FakeChain::builder(3).pool(PoolId(1), AccountId([1; 32])).build();
        let sink = FakeSink::new(&chain);
        tx_sink(&mut Fake { chain, sink }).await;
    }
}
