//! Carrying out a plan: initialising, loading a state, sending a request while the next one is made ready.

use super::{
    Feed, FeedError, Step,
    assembly::{Accepted, Assembly, Body, Request},
    depot::{Depot, Pass},
    queue::Turn,
};
use crate::{
    attestation,
    pipeline::{
        Clock,
        worker::{Seen, WorkerCell},
    },
    plan::{Plan, Position, Wait, may_load},
    port::{
        Coverage, WorkerDriver, WorkerError, WorkerInfo,
        worker::{GatekeeperRole, InitRequest, Refusal},
    },
    progress::{Causes, PATIENCE},
};
use codec::Encode;
use std::pin::pin;
use tokio::time::{Instant, timeout};
use tracing::{info, warn};

/// Failed attempts to load a worker with a state before it gets every block.
const MAX_LOADS: u32 = 3;

/// A request made ready while the one before was under way.
pub(super) struct Ready {
    /// Where the worker must come out for it to fit.
    from: Position,
    request: Request,
}

impl Ready {
    /// The request, if it is for where the worker stands.
    pub(super) fn fitting(self, info: &WorkerInfo) -> Option<Request> {
        (self.from == Position::from(info)).then_some(self.request)
    }
}

impl Feed {
    pub(super) async fn init(
        &mut self,
        info: &WorkerInfo,
        coverage: Option<Coverage>,
    ) -> Result<Step, FeedError> {
        (self.tip_seen, self.ready, self.failed_loads) = (None, None, 0);
        self.publish(false);
        let Some(genesis) = self.assembly.store.genesis().await? else {
            return Ok(Step::Idle(coverage, Some(Wait::Empty)));
        };
        self.waits(None, None);
        let depot = self.depot.clone();
        let _pass = match self.queue(&depot.load, genesis.para_state.len(), info).await? {
            Turn::AtOnce(pass) | Turn::Waited(pass) => pass,
            Turn::Gone => return Ok(Step::Again),
        };
        let worker = &self.cell.worker;
        let request = InitRequest {
            genesis_info: genesis.relay.encode().into(),
            genesis_state: genesis.para_state.clone(),
            operator: Some(self.cell.goal().operator),
            is_parachain: genesis.parachain,
            attestation_provider: match worker.debug_key {
                Some(_) => None,
                None => attestation::provider(&info.supported_attestation_methods, self.depot.has_collateral),
            },
            debug_key: worker.debug_key,
        };
        info!(worker = %worker.name, start = %genesis.start(), "initialising");
        self.cell.driver.init(request).await?;
        self.info = None;
        if !self.info().await?.initialized {
            self.info = None;
            return Err(FeedError::Stuck { sent: "its genesis" });
        }
        Ok(Step::Sent)
    }

    /// Loads a fresh worker with a state where that saves enough blocks; none if it is to get every block.
    pub(super) async fn load(
        &mut self,
        info: &WorkerInfo,
        coverage: &Coverage,
    ) -> Result<Option<Step>, FeedError> {
        let (Some(ahead), Some(key)) = (self.assembly.options.fast_sync, info.public_key) else {
            return Ok(None);
        };
        if self.failed_loads >= MAX_LOADS || !may_load(info, self.is_gatekeeper(info), coverage, ahead) {
            return Ok(None);
        }
        let depot = self.depot.clone();
        let Some(states) = &depot.states else { return Ok(None) };
        let Some(state) = states.for_worker(&key, ahead).await else { return Ok(None) };
        let _pass = match self.queue(&depot.load, state.pairs.len(), info).await? {
            Turn::AtOnce(pass) => pass,
            // What is wanted of it may be something else by now.
            Turn::Waited(pass) if may_load(info, self.is_gatekeeper(info), coverage, ahead) => pass,
            Turn::Waited(_) | Turn::Gone => return Ok(Some(Step::Again)),
        };
        let worker = &self.cell.worker.name;
        info!(%worker, block = %state.block, bytes = state.pairs.len(), "loading the parachain's state");
        self.unsure = true; // where it stands afterwards is asked
        let loaded = self.cell.driver.load_chain_state(state.block, state.pairs.clone()).await;
        self.info = None;
        let Err(error) = loaded else {
            metrics::counter!("prb_feed_loads_total", "result" => "loaded").increment(1);
            return Ok(Some(Step::Sent));
        };
        metrics::counter!("prb_feed_loads_total", "result" => "failed").increment(1);
        self.failed_loads += 1;
        if is_away(&error) {
            return Err(error.into());
        }
        warn!(%worker, cause = %error, "the worker does not take a state; it gets every block");
        self.failed_loads = MAX_LOADS;
        Ok(Some(Step::Sent))
    }

    /// Sends what `plan` says, after a wait if many others are being sent to that catch up as well.
    pub(super) async fn follow(
        &mut self,
        plan: Plan,
        info: &WorkerInfo,
        coverage: &Coverage,
    ) -> Result<Step, FeedError> {
        let bytes = self.portion.bytes();
        let Some(cost) = self.assembly.cost(plan, info, coverage, bytes) else {
            return self.assemble(plan, info, coverage, bytes, None).await;
        };
        self.publish(false);
        let depot = self.depot.clone();
        match self.queue(&depot.catch_up, cost, info).await? {
            Turn::AtOnce(pass) => self.assemble(plan, info, coverage, bytes, Some(pass)).await,
            Turn::Waited(pass) => self.follow_anew(pass, cost, info).await,
            Turn::Gone => Ok(Step::Again),
        }
    }

    /// The same after the wait: the store got on meanwhile, and what was planned may be replaced there. The pass is for
    /// `cost`, and no more storage changes are sent with it.
    async fn follow_anew(
        &mut self,
        mut pass: Pass,
        cost: usize,
        info: &WorkerInfo,
    ) -> Result<Step, FeedError> {
        let Some(coverage) = self.assembly.store.coverage().await? else { return Ok(Step::Again) };
        let plan = self.assembly.plan(info, Some(&coverage)).await?;
        if matches!(plan, Plan::AtTip | Plan::Wait(_) | Plan::Cannot(_)) {
            return Ok(Step::Again);
        }
        let bytes = self.portion.bytes().min(cost);
        if let Some(less) = self.assembly.cost(plan, info, &coverage, bytes) {
            pass.shrink(less);
        }
        self.assemble(plan, info, &coverage, bytes, Some(pass)).await
    }

    async fn assemble(
        &mut self,
        plan: Plan,
        info: &WorkerInfo,
        coverage: &Coverage,
        bytes: usize,
        pass: Option<Pass>,
    ) -> Result<Step, FeedError> {
        match self.assembly.request(plan, info, coverage, bytes, pass).await? {
            Some(request) => self.deliver(request, info).await,
            None => Ok(Step::Stale),
        }
    }

    fn is_gatekeeper(&self, info: &WorkerInfo) -> bool {
        let info = self.info.as_ref().unwrap_or(info);
        self.cell.goal().gatekeeper || info.gatekeeper.role != GatekeeperRole::None
    }

    /// Sends a request and notes the worker's new position. The next request is assembled meanwhile, for the position
    /// that is expected.
    pub(super) async fn deliver(&mut self, request: Request, info: &WorkerInfo) -> Result<Step, FeedError> {
        let (sent, parachain, size) = (request.plan, request.parachain, request.block_bytes());
        let mut expected = info.clone();
        request.expected().note(&mut expected, parachain);
        let (assembly, depot, bytes) = (self.assembly.clone(), self.depot.clone(), self.portion.bytes());
        self.unsure = true; // also if this is dropped half-way
        let mut preparing = pin!(make_ready(&assembly, &depot, &expected, bytes));
        let mut ready = None;
        let started = Instant::now();
        let answer = {
            let sending = send(&*self.cell.driver, request);
            let mut sending = pin!(heard(&self.cell, &mut self.silences, what(sent), sending));
            loop {
                tokio::select! {
                    biased;
                    answer = &mut sending => break answer,
                    made = &mut preparing, if ready.is_none() => ready = Some(made),
                }
            }
        };
        let accepted = match answer {
            Ok(accepted) => accepted,
            Err(error) => {
                self.portion.failed();
                // Out of step with what it said itself, it has taken nothing of this: others moved it.
                self.unsure = !matches!(error, WorkerError::Refused { refusal: Refusal::OutOfStep, .. });
                return Err(error.into());
            }
        };
        if !accepted.is_progress(info) {
            return Err(FeedError::Stuck { sent: what(sent) });
        }
        if let Some(size) = size {
            self.portion.took(size, started.elapsed(), self.assembly.options.request_time);
        }
        if let Some(info) = &mut self.info {
            accepted.note(info, parachain);
            self.moved = true;
        }
        (self.unsure, self.known) = (false, self.info.clone());
        self.publish(false);
        // It begins where the worker stands, so it is what would be read next anyhow.
        self.ready = match ready {
            Some(ready) => ready,
            None => preparing.await,
        };
        Ok(Step::Sent)
    }
}

/// The request after one under way, none where nothing is to be sent, where there is no room, or where it fails: then
/// it is tried when its turn comes.
async fn make_ready(assembly: &Assembly, depot: &Depot, info: &WorkerInfo, bytes: usize) -> Option<Ready> {
    let coverage = assembly.store.coverage().await.ok()??;
    let plan = assembly.plan(info, Some(&coverage)).await.ok()?;
    let pass = match assembly.cost(plan, info, &coverage, bytes) {
        Some(cost) => Some(depot.catch_up.try_enter(cost)?),
        None => None,
    };
    let request = assembly.request(plan, info, &coverage, bytes, pass).await.ok()??;
    Some(Ready { from: Position::from(info), request })
}

/// Sends a request; its place among those under way is free once it is answered.
async fn send(driver: &dyn WorkerDriver, request: Request) -> Result<Accepted, WorkerError> {
    let none = Accepted::default();
    let Request { body, pass: _pass, .. } = request;
    Ok(match body {
        Body::Blocks(items) => Accepted { block: driver.dispatch(items).await?, ..none },
        Body::ParaHeaders(request) => Accepted { para: driver.sync_para_headers(request).await?, ..none },
        Body::Headers(request) => Accepted { header: driver.sync_headers(request).await?, ..none },
        Body::Combined(headers, para) => {
            let (header, para) = driver.sync_combined(headers, para).await?;
            Accepted { header, para, ..none }
        }
    })
}

/// What was told of calls of a worker that take long.
pub(super) struct Silences {
    causes: Causes,
    clock: Clock,
}

impl Silences {
    pub(super) fn new() -> Self {
        Self { causes: Causes::default(), clock: Clock::start() }
    }

    /// Whether it is to be told now. A worker that is slow at every call is told of once in a while.
    fn tell(&mut self, call: &str) -> bool {
        self.causes.tell(self.clock.now(), call)
    }
}

/// Waits for what a worker answers about `call`, and tells if it is silent for long.
pub(super) async fn heard<T, E>(
    cell: &WorkerCell,
    silences: &mut Silences,
    call: &'static str,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let begun = Instant::now();
    let mut answer = pin!(answer);
    if let Ok(answer) = timeout(PATIENCE, &mut answer).await {
        return answer;
    }
    let (worker, endpoint, seconds) = (&cell.worker.name, cell.driver.endpoint(), begun.elapsed().as_secs());
    let remedy = "see its log and how busy its machine is, restart it if it hangs";
    let told = silences.tell(call);
    if told {
        warn!(%worker, endpoint, waiting_for = call, seconds, remedy, "worker is silent");
    }
    let trouble = Some(format!("{endpoint} does not answer ({call}) for more than {seconds} s; {remedy}"));
    cell.publish(Seen { trouble, starved: false, ..cell.seen() });
    let answer = answer.await;
    if told && answer.is_ok() {
        info!(%worker, seconds = begun.elapsed().as_secs(), "worker has answered");
    }
    answer
}

/// Whether it is not known what the worker made of a call.
fn is_away(error: &WorkerError) -> bool {
    matches!(
        error,
        WorkerError::Unreachable { .. } | WorkerError::Broken { .. } | WorkerError::Timeout { .. }
    )
}

/// What a plan sends, in words.
const fn what(plan: Plan) -> &'static str {
    match plan {
        Plan::Blocks(_) => "blocks",
        Plan::ParaHeaders { .. } => "parachain headers",
        Plan::Headers(_) => "relay headers",
        Plan::Combined { .. } => "relay and parachain headers",
        Plan::AtTip | Plan::Wait(_) | Plan::Cannot(_) => "nothing",
    }
}
