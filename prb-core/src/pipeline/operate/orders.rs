//! Carrying out what an operator commands. Each command ends exactly once, and what came of it is told.

use super::{Operate, OperateError};
use crate::{
    command::{CannotCommand, Command, Errand},
    id::WorkerKey,
    lifecycle::{Facts, with_hint},
    pipeline::{events::Event, worker::Seen},
    port::{CallResult, Outcome, sink::DispatchError},
    tx::{Call, CallKey},
};
use codec::Decode;
use tracing::{info, warn};

/// A command whose transaction is under way, or is to be made again.
pub(super) struct Order {
    command: Command,
    /// Transactions made for it.
    tries: u32,
    under_way: bool,
}

/// Endpoints are signed again so many times: the chain takes a signature only if its own clock is past the worker's.
const MAX_TRIES: u32 = 3;

impl Operate {
    /// Carries out the commands that wait, until one has a transaction under way.
    pub(super) async fn obey(&mut self, seen: &Seen) {
        loop {
            let (command, tries) = match self.order.take() {
                // One that waits behind a call of an earlier life asks the worker for nothing meanwhile.
                Some(order) if order.under_way || self.lifecycle.pending().is_some() => {
                    self.order = Some(order);
                    return;
                }
                Some(order) => (order.command, order.tries),
                None => {
                    if self.cell.running_order().is_some() {
                        self.end_order(Err(
                            "it was interrupted; see whether it was done, and give it again if not"
                                .to_owned(),
                        ));
                    }
                    let busy = self.lifecycle.pending().is_some();
                    let Some(command) = self.cell.next_order(busy) else { return };
                    info!(worker = %self.cell.worker.name, command = command.name(), "carrying out a command");
                    (command, 0)
                }
            };
            match self.carry_out(command, tries, seen).await {
                Ok(Some(done)) => self.end_order(Ok(done)),
                // A transaction, which ends it, or one that comes first.
                Ok(None) if self.order.is_some() => return,
                Ok(None) => {}
                Err(error) if self.order.is_some() => {
                    // The sink may have the job: it is handed in again by its id.
                    warn!(worker = %self.cell.worker.name, cause = %error, "a command's transaction is in doubt");
                }
                Err(error) => self.end_order(Err(error.to_string())),
            }
        }
    }

    /// Does it, or makes its transaction. An error ends the command unless a transaction may be under way.
    async fn carry_out(
        &mut self,
        command: Command,
        tries: u32,
        seen: &Seen,
    ) -> Result<Option<String>, OperateError> {
        let goal = self.cell.goal();
        let key = seen.info.as_ref().and_then(|info| info.public_key).or(self.last_key);
        let facts = match key.filter(|_| command.needs_facts()) {
            Some(key) => {
                let (block, values) = self.state.read(&Facts::keys(&key, goal.pool), None).await?;
                Facts::decode(block.height, &values)?
            }
            None => Facts::default(),
        };
        let driver = self.cell.driver.clone();
        let call = match command.errand(&goal, seen.info.as_ref(), key, &facts)? {
            Errand::BeginAnew => {
                self.lifecycle.begin_anew();
                self.cell.nudge();
                return Ok(Some("it begins anew".to_owned()));
            }
            Errand::Checkpoint => {
                let block = driver.take_checkpoint().await?;
                return Ok(Some(format!("checkpoint taken at block {block}")));
            }
            Errand::StopWorker { remove_checkpoints } => {
                driver.stop(remove_checkpoints).await?;
                self.cell.nudge();
                return Ok(Some("the worker was stopped".to_owned()));
            }
            Errand::Register => self.registration(&goal).await?,
            Errand::Publish(endpoints) => {
                let signed = driver.sign_endpoints(endpoints).await?;
                // What is signed begins with the key that signed. What was judged of another one says nothing of it.
                let signer = WorkerKey::decode(&mut &*signed.payload).ok();
                let worker = signer.filter(|signer| Some(*signer) == key).ok_or(CannotCommand::OtherKey)?;
                Call::UpdateEndpoint {
                    worker,
                    payload: signed.payload.to_vec(),
                    signature: signed.signature.to_vec(),
                }
            }
            Errand::Submit(call) => call,
        };
        if let CallKey::Register(key) | CallKey::Endpoint(key) | CallKey::Session(key) = call.key() {
            self.recover(key).await?;
        }
        if self.lifecycle.pending().is_some() {
            // A call of an earlier life about the same worker came to light.
            self.order = Some(Order { command, tries, under_way: false });
            return Ok(None);
        }
        let job = self.desk.next_job();
        info!(worker = %self.cell.worker.name, pool = %goal.pool, %job, call = call.names().1, "submitting for a command");
        self.lifecycle.commanded(job);
        self.order = Some(Order { command, tries: tries + 1, under_way: true });
        self.submit(job, goal.pool, call).await?;
        Ok(None)
    }

    /// The transaction of the command under way ended, if one was.
    pub(super) fn order_ended(&mut self, outcome: &Outcome, result: Option<&CallResult>) {
        let Some(order) = self.order.take_if(|order| order.under_way) else { return };
        let result = match (outcome, result) {
            (Outcome::Finalized { block, .. }, Some(CallResult::Ok)) => {
                if order.command.halts() {
                    self.lifecycle.halt();
                }
                Ok(format!("done in block {}", block.height))
            }
            (_, Some(CallResult::Failed(error))) if is_early(error) && order.tries < MAX_TRIES => {
                self.order = Some(Order { under_way: false, ..order });
                return;
            }
            (_, Some(CallResult::Failed(error))) => Err(with_hint(error)),
            (Outcome::Rejected(why), _) => Err(why.clone()),
            (Outcome::Expired, _) => {
                Err("the transaction was not included in time; give the command again".to_owned())
            }
            (Outcome::Unknown(why), _) => Err(format!(
                "the fate of the transaction is unknown: {why}; see on chain whether it was carried out"
            )),
            (Outcome::Finalized { .. }, None) => Err("the call is missing from its own batch".to_owned()),
        };
        self.end_order(result);
    }

    fn end_order(&self, result: Result<String, String>) {
        if let Some(command) = self.cell.end_order() {
            told(&self.cell, &self.announcer, &command, result);
        }
    }
}

/// Tells what came of a command.
pub(in crate::pipeline) fn told(
    cell: &crate::pipeline::worker::WorkerCell,
    announcer: &crate::pipeline::events::Announcer,
    command: &Command,
    result: Result<String, String>,
) {
    let (worker, name) = (cell.worker.name.clone(), command.name());
    let label = if result.is_ok() { "done" } else { "failed" };
    metrics::counter!("prb_commands_total", "command" => name, "result" => label).increment(1);
    match &result {
        Ok(done) => info!(%worker, command = name, %done, "command done"),
        Err(cause) => warn!(%worker, command = name, %cause, "command failed"),
    }
    let (Ok(text) | Err(text)) = &result;
    cell.say(format!("{name}: {text}"));
    announcer.tell(Event::CommandEnded { worker, command: name, result });
}

/// Whether the chain's clock was not past the worker's signature yet (or far past it).
fn is_early(error: &DispatchError) -> bool {
    error.is("PhalaRegistry", "InvalidEndpointSigningTime")
}
