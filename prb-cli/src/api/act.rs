//! What is asked of a deployment, and done to it.

use super::{
    ask::Asked,
    fleet::Fleet,
    health::Watch,
    monitor,
    overview::{self, Seen},
    reply::Reply,
    v1,
    v3::{TxStatus, WorkersStatus},
};
use crate::{
    deployment::Deployment,
    inventory::WorkerRecord,
    telemetry,
    v3::{self, Command as Config},
};
use hyper::StatusCode;
use prb_core::{
    command::Command,
    id::WorkerName,
    pipeline::BridgeError,
    port::{Coverage, StoreError},
};
use serde_json::json;
use std::collections::HashMap;
use tracing::{debug, info};
use uuid::Uuid;

/// What is being run, once it is.
pub(super) struct Attached {
    pub(super) deployment: std::sync::Arc<Deployment>,
    pub(super) watch: Watch,
}

/// Why a deployment has no transactions to show.
const ELSEWHERE: &str =
    "transactions are made by `prb trade` ([redis]); run `prb tx` where it runs, with its data directory";

/// Answers what needs no deployment; else gives it back.
pub(super) fn alone(asked: Asked) -> Result<Reply, Asked> {
    Ok(match asked {
        Asked::WmStatus => Reply::ok(&json!({ "git_revision": v1::REVISION })),
        // v3 does not restart itself any more either, and says so in this form.
        Asked::WmRestart => Reply::json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "ok": true })),
        Asked::Version => Reply::ok(&v1::version()),
        Asked::Entrance => monitor::entrance(),
        Asked::Monitor(asset, held) => asset.reply(held),
        Asked::Metrics => match telemetry::render() {
            Some(text) => Reply::metrics(text),
            None => unavailable("metrics are not recorded by this program"),
        },
        other => return Err(other),
    })
}

/// Answers while nothing runs yet, or no more.
pub(super) fn standing_by(asked: &Asked) -> Reply {
    match asked {
        Asked::Health => Reply::ok(&json!({ "ok": true })),
        Asked::Ready => ready(&["the bridge starts, stops, or stands by for another one".to_owned()]),
        _ => unavailable("the bridge starts, stops, or stands by for another one; ask again in a moment"),
    }
}

/// Answers with a deployment.
pub(super) async fn answer(asked: Asked, attached: &Attached) -> Reply {
    let Attached { deployment, watch } = attached;
    let answered = match asked {
        Asked::Health => Ok(health(deployment.failure().map(|cause| cause.to_string()))),
        Asked::Ready => Ok(readiness(deployment, watch).await),
        Asked::Overview => at_a_glance(deployment, watch).await,
        Asked::Config(command) => return config(*command, deployment).await,
        Asked::Orders(orders) => orders_of_v3(orders, deployment),
        Asked::Command(worker, command) => self::command(&worker, command, deployment),
        Asked::TxStatus => Ok(match deployment.journal() {
            Some((_, entries)) => Reply::ok(&TxStatus::of(&entries)),
            None => Reply::server_error(ELSEWHERE),
        }),
        Asked::Transactions(filter, page) => Ok(match deployment.journal() {
            Some((paused, entries)) => Reply::ok(&v1::transactions(paused, entries, &filter, page)),
            None => conflict(ELSEWHERE),
        }),
        Asked::Pause(paused) => Ok(match deployment.pause(paused).await {
            Ok(true) => Reply::ok(&json!({ "paused": paused })),
            Ok(false) => conflict(ELSEWHERE),
            Err(cause) => Reply::server_error(cause),
        }),
        other => look(other, deployment, watch).await,
    };
    answered.unwrap_or_else(Reply::server_error)
}

type Answered = Result<Reply, crate::inventory::InventoryError>;

/// Answers what only looks at the fleet.
async fn look(asked: Asked, deployment: &Deployment, watch: &Watch) -> Answered {
    let fleet = Fleet::of(deployment)?;
    let coverage = match asked {
        Asked::Workers(..) | Asked::Worker(_) => deployment.bridge().store().coverage().await.ok().flatten(),
        _ => None,
    };
    Ok(match asked {
        Asked::WorkersStatus => Reply::ok(&WorkersStatus::of(&fleet)),
        Asked::Workers(filter, page) => {
            Reply::ok(&v1::workers(&fleet, &filter, page, coverage.as_ref(), &watch.told().pace))
        }
        Asked::Worker(worker) => match fleet.find(&worker) {
            Some(row) => Reply::ok(&v1::worker(row, coverage.as_ref(), &watch.told().pace)),
            None => no_worker(&worker),
        },
        Asked::Pools => Reply::ok(&v1::pools(&fleet)),
        Asked::Operators => Reply::ok(&v1::operators(&fleet, deployment.fees().as_ref())),
        _ => Reply::empty(StatusCode::NOT_FOUND),
    })
}

/// Whether going on is of use; why not, if it is none.
pub(super) fn health(failure: Option<String>) -> Reply {
    match failure {
        None => Reply::ok(&json!({ "ok": true })),
        Some(cause) => Reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "ok": false, "reason": cause })),
    }
}

async fn readiness(deployment: &Deployment, watch: &Watch) -> Reply {
    let stored = deployment.bridge().store().coverage().await;
    ready(&reasons(deployment, watch, &stored))
}

async fn at_a_glance(deployment: &Deployment, watch: &Watch) -> Answered {
    let stored = deployment.bridge().store().coverage().await;
    let seen = Seen {
        reasons: reasons(deployment, watch, &stored),
        coverage: stored.ok().flatten(),
        tips: deployment.tips(),
        sources: deployment.sources(),
        journal: deployment.journal(),
    };
    Ok(Reply::ok(&overview::view(&Fleet::of(deployment)?, &seen)))
}

/// Why the bridge does not get on; nothing if it does.
fn reasons(
    deployment: &Deployment,
    watch: &Watch,
    stored: &Result<Option<Coverage>, StoreError>,
) -> Vec<String> {
    let mut reasons = watch.told().reasons(deployment.data_trouble());
    reasons.extend(deployment.failure().map(|cause| cause.to_string()));
    match stored {
        Ok(Some(_)) => {}
        Ok(None) => reasons.push("there is no data yet".to_owned()),
        Err(cause) => reasons.push(cause.to_string()),
    }
    reasons
}

fn ready(reasons: &[String]) -> Reply {
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::json(status, &json!({ "ready": reasons.is_empty(), "reasons": reasons }))
}

/// Carries out a command of configuration; the deployment follows within a second. It may wait for other processes that use
/// the inventory, so it has a thread of its own.
async fn config(command: Config, deployment: &Deployment) -> Reply {
    let name = v3_name(&command);
    let pid = match command {
        Config::GetPool(v3::Pid { pid }) | Config::GetPoolWithWorkers(v3::Pid { pid }) => Some(pid),
        _ => None,
    };
    let (inventory, keyring) = (deployment.inventory().clone(), deployment.keyring().clone());
    let run = tokio::task::spawn_blocking(move || v3::run(&inventory, &keyring, &command));
    match run.await {
        Ok(Ok(Some(answer))) => {
            if !name.starts_with("Get") {
                info!(command = name, "changed over the API");
            }
            Reply::pretty(&answer)
        }
        Ok(Ok(None)) => match pid {
            Some(pid) => Reply::server_error(format!("there is no pool {pid}")),
            None => Reply::server_error("it is gone again: somebody else removed it"),
        },
        Ok(Err(cause)) => Reply::server_error(cause),
        Err(cause) => {
            Reply::server_error(format!("{name} crashed: {cause}; please report this with the log"))
        }
    }
}

const fn v3_name(command: &Config) -> &'static str {
    match command {
        Config::AddPool(_) => "AddPool",
        Config::UpdatePool(_) => "UpdatePool",
        Config::RemovePool(_) => "RemovePool",
        Config::GetPool(_) => "GetPool",
        Config::GetPoolWithWorkers(_) => "GetPoolWithWorkers",
        Config::GetAllPools => "GetAllPools",
        Config::GetAllPoolsWithWorkers => "GetAllPoolsWithWorkers",
        Config::AddWorker(_) => "AddWorker",
        Config::UpdateWorker(_) => "UpdateWorker",
        Config::RemoveWorker { .. } => "RemoveWorker",
        Config::GetAllPoolOperators => "GetAllPoolOperators",
        Config::GetPoolOperator(_) => "GetPoolOperator",
        Config::SetPoolOperator(_) => "SetPoolOperator",
    }
}

/// v3 answers that it has heard, whatever becomes of it.
fn orders_of_v3(orders: Vec<(String, Command)>, deployment: &Deployment) -> Answered {
    let snapshot = deployment.snapshot()?;
    let by_id: HashMap<Uuid, &WorkerRecord> =
        snapshot.workers.iter().map(|record| (record.id, record)).collect();
    for (id, command) in orders {
        let record = id.parse::<Uuid>().ok().and_then(|id| by_id.get(&id));
        let name = command.name();
        let Some(record) = record else {
            debug!(id, command = name, "a command over the API is for a worker that there is not");
            continue;
        };
        let refused = match WorkerName::new(record.name.as_str()) {
            Ok(worker) => give(&worker, command, deployment).err().map(|cause| cause.to_string()),
            Err(cause) => Some(cause.to_string()),
        };
        if let Some(cause) = refused {
            info!(id, command = name, cause, "a command over the API is not carried out");
        }
    }
    Ok(Reply::ok(&json!({ "ok": true })))
}

/// Gives a command to a worker, by id or name. What comes of it is the worker's last message.
fn command(worker: &str, command: Command, deployment: &Deployment) -> Answered {
    let fleet = Fleet::of(deployment)?;
    let Some(row) = fleet.find(worker) else { return Ok(no_worker(worker)) };
    let (name, unfit) = (command.name(), row.unfit.map(|unfit| unfit.why.as_str()));
    let worker = match WorkerName::new(row.record.name.as_str()) {
        Ok(worker) => worker,
        // It is left out for that.
        Err(cause) => return Ok(conflict(cause.to_string())),
    };
    Ok(match give(&worker, command, deployment) {
        Ok(()) => {
            let body = json!({ "ok": true, "worker": row.record.name, "command": name });
            Reply::json(StatusCode::ACCEPTED, &body)
        }
        Err(BridgeError::Unknown(_)) => {
            conflict(unfit.unwrap_or("the worker is not taken on yet; ask again in a moment"))
        }
        Err(cause @ BridgeError::TooManyCommands(_)) => {
            Reply::error(StatusCode::TOO_MANY_REQUESTS, "TooManyCommands", cause.to_string())
        }
        Err(cause) => conflict(cause.to_string()),
    })
}

fn give(worker: &WorkerName, command: Command, deployment: &Deployment) -> Result<(), BridgeError> {
    info!(%worker, command = command.name(), "a command over the API");
    deployment.bridge().command(worker, command)
}

fn no_worker(worker: &str) -> Reply {
    let shown: String = worker.chars().take(128).collect();
    Reply::error(StatusCode::NOT_FOUND, "WorkerNotFound", format!("there is no worker {shown}"))
}

fn conflict(message: impl Into<String>) -> Reply {
    Reply::error(StatusCode::CONFLICT, "Conflict", message)
}

fn unavailable(message: &str) -> Reply {
    Reply::error(StatusCode::SERVICE_UNAVAILABLE, "Unavailable", message)
}
