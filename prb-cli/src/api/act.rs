//! What is asked of a deployment, and done to it.

use super::{
    answers::{Done, GitRevision, Health, LogFilter, Paused, Ready, Taken},
    ask::Asked,
    bulk,
    events::Hub,
    fleet::Fleet,
    health::{Heard, Watch},
    monitor, openapi,
    overview::{self, Seen},
    reply::Reply,
    v1,
    v3::{TxStatus, WorkersStatus},
};
use crate::{
    deployment::Deployment,
    identity::Keyring,
    inventory::{Inventory, WorkerRecord},
    logs::{self, LogError},
    queue::{self, QueueError},
    telemetry,
    v3::{self, Command as Config},
};
use hyper::StatusCode;
use prb_chain::journal::Dropped;
use prb_core::{
    command::Command,
    id::{JobId, WorkerName},
    pipeline::BridgeError,
    port::{Coverage, StoreError},
};
use std::{collections::HashMap, sync::Arc};
use tracing::{debug, info};
use uuid::Uuid;

/// What is being run, once it is.
pub(super) struct Attached {
    pub(super) deployment: Arc<Deployment>,
    pub(super) watch: Watch,
    pub(super) hub: Hub,
}

/// What is managed while nothing is run.
pub(super) struct Resting {
    pub(super) inventory: Inventory,
    pub(super) keyring: Arc<Keyring>,
}

/// Why a deployment has no transactions to show.
const ELSEWHERE: &str =
    "transactions are made by `prb trade` ([redis]); run `prb tx` where it runs, with its data directory";

/// Answers what needs no deployment; else gives it back.
pub(super) fn alone(asked: Asked) -> Result<Reply, Asked> {
    Ok(match asked {
        Asked::WmStatus => Reply::ok(&GitRevision { git_revision: v1::REVISION }),
        // v3 does not restart itself any more either, and says so in this form.
        Asked::WmRestart => Reply::json(StatusCode::METHOD_NOT_ALLOWED, &Done { ok: true }),
        Asked::Version => Reply::ok(&v1::version()),
        Asked::OpenApi => Reply::whole("application/json", openapi::document()),
        Asked::Log => log(logs::current()),
        Asked::SetLog(filter) => {
            log(logs::change(&filter).inspect(|filter| info!(filter, "logs changed over the API")))
        }
        Asked::Entrance => monitor::entrance(),
        Asked::QueueEntrance => monitor::queue_entrance(),
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
        Asked::Health => Reply::ok(&Health { ok: true, reason: None }),
        Asked::Ready => ready(&["the bridge starts, stops, or stands by for another one".to_owned()]),
        _ => unavailable("the bridge starts, stops, or stands by for another one; ask again in a moment"),
    }
}

/// Why nothing but the inventory is answered for.
const RESTING: &str = "nothing is run (PHALA_LIFECYCLE_CONFIG_MODE): only pools, workers and operators are looked at and changed";

/// Answers with an inventory alone.
pub(super) async fn rest(asked: Asked, resting: &Resting) -> Reply {
    let Resting { inventory, keyring } = resting;
    let fleet =
        || inventory.snapshot().map(|snapshot| Fleet { snapshot: Arc::new(snapshot), ..Fleet::default() });
    let answered = match asked {
        Asked::Config(command) => return config(*command, inventory.clone(), keyring.clone()).await,
        Asked::Pools => fleet().map(|fleet| Reply::ok(&v1::pools(&fleet))),
        Asked::Operators => fleet().map(|fleet| Reply::ok(&v1::operators(&fleet, None))),
        Asked::Health => Ok(Reply::ok(&Done { ok: true })),
        Asked::Ready => Ok(ready(&[RESTING.to_owned()])),
        _ => Ok(unavailable(RESTING)),
    };
    answered.unwrap_or_else(Reply::server_error)
}

/// Answers with a deployment.
pub(super) async fn answer(asked: Asked, attached: &Attached) -> Reply {
    let Attached { deployment, watch, hub } = attached;
    let answered = match asked {
        Asked::Health => Ok(health(deployment.failure().map(|cause| cause.to_string()))),
        Asked::Ready => Ok(readiness(deployment, watch).await),
        Asked::Overview => at_a_glance(deployment, watch).await,
        Asked::Config(command) => {
            return config(*command, deployment.inventory().clone(), deployment.keyring().clone()).await;
        }
        Asked::Orders(orders) => orders_of_v3(orders, deployment),
        Asked::Command(worker, command) => self::command(&worker, command, deployment),
        Asked::Bulk(bulk) => Ok(bulk::carry_out(bulk, deployment).await.unwrap_or_else(Reply::server_error)),
        Asked::Tags(worker, tags) => {
            Ok(bulk::tag(worker, tags, deployment).await.unwrap_or_else(Reply::server_error))
        }
        Asked::RemoveOperator(name) => {
            Ok(bulk::remove_operator(name, deployment).await.unwrap_or_else(Reply::server_error))
        }
        Asked::Import(format, text, dry_run) => {
            Ok(bulk::import(format, text, dry_run, deployment).await.unwrap_or_else(Reply::server_error))
        }
        Asked::Export(format) => Ok(bulk::export(format, deployment).unwrap_or_else(Reply::server_error)),
        Asked::Events(topics) => Ok(hub.listen(topics)),
        Asked::TxStatus => Ok(match deployment.journal() {
            Some((_, entries)) => Reply::ok(&TxStatus::of(&entries)),
            None => Reply::server_error(ELSEWHERE),
        }),
        Asked::Transactions(filter, page) => Ok(match deployment.journal() {
            Some((paused, entries)) => Reply::ok(&v1::transactions(paused, entries, &filter, page)),
            None => conflict(ELSEWHERE),
        }),
        Asked::Pause(paused) => Ok(match deployment.pause(paused).await {
            Ok(true) => Reply::ok(&Paused { paused }),
            Ok(false) => conflict(ELSEWHERE),
            Err(cause) => Reply::server_error(cause),
        }),
        Asked::Drop(job) => Ok(match deployment.drop_job(job).await {
            Ok(Some(done)) => dropped(job, done),
            Ok(None) => conflict(ELSEWHERE),
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
        Asked::History(worker) => match fleet.find(&worker) {
            Some(row) => Reply::ok(&watch.told().histories.of(&row.record.name)),
            None => no_worker(&worker),
        },
        Asked::Pools => Reply::ok(&v1::pools(&fleet)),
        Asked::Operators => Reply::ok(&v1::operators(&fleet, deployment.fees().as_ref())),
        _ => Reply::empty(StatusCode::NOT_FOUND),
    })
}

/// What is logged, or why that cannot be told or changed.
fn log(filter: Result<String, LogError>) -> Reply {
    match filter {
        Ok(filter) => Reply::ok(&LogFilter { filter }),
        Err(cause @ (LogError::NotOurs | LogError::Twice)) => conflict(cause.to_string()),
        Err(cause) => Reply::error(StatusCode::UNPROCESSABLE_ENTITY, "BadRequest", cause.to_string()),
    }
}

/// Whether going on is of use; why not, if it is none.
pub(super) fn health(failure: Option<String>) -> Reply {
    match failure {
        None => Reply::ok(&Health { ok: true, reason: None }),
        reason => Reply::json(StatusCode::SERVICE_UNAVAILABLE, &Health { ok: false, reason }),
    }
}

async fn readiness(deployment: &Deployment, watch: &Watch) -> Reply {
    let stored = deployment.bridge().store().coverage().await;
    ready(&reasons(deployment, watch.heard(), &stored))
}

async fn at_a_glance(deployment: &Deployment, watch: &Watch) -> Answered {
    let seen = seen(deployment, watch.heard()).await;
    Ok(Reply::ok(&overview::view(&Fleet::of(deployment)?, seen)))
}

/// What is known beside the fleet.
pub(super) async fn seen(deployment: &Deployment, heard: &Heard) -> Seen {
    let stored = deployment.bridge().store().coverage().await;
    Seen {
        reasons: reasons(deployment, heard, &stored),
        coverage: stored.ok().flatten(),
        tips: deployment.tips(),
        sources: deployment.sources(),
        journal: deployment.journal(),
    }
}

/// Why the bridge does not get on; nothing if it does.
fn reasons(
    deployment: &Deployment,
    heard: &Heard,
    stored: &Result<Option<Coverage>, StoreError>,
) -> Vec<String> {
    let mut reasons = heard.told().reasons(deployment.data_trouble());
    reasons.extend(deployment.failure().map(|cause| cause.to_string()));
    reasons.extend(deployment.queue_trouble());
    match stored {
        Ok(Some(_)) => {}
        Ok(None) => reasons.push("there is no data yet".to_owned()),
        Err(cause) => reasons.push(cause.to_string()),
    }
    reasons
}

fn ready(reasons: &[String]) -> Reply {
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::json(status, &Ready { ready: reasons.is_empty(), reasons: reasons.to_vec() })
}

/// Carries out a command of configuration; a deployment follows within a second. It may wait for other processes that use
/// the inventory, so it has a thread of its own.
async fn config(command: Config, inventory: Inventory, keyring: Arc<Keyring>) -> Reply {
    let name = v3_name(&command);
    let pid = match command {
        Config::GetPool(v3::Pid { pid }) | Config::GetPoolWithWorkers(v3::Pid { pid }) => Some(pid),
        _ => None,
    };
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
    Ok(Reply::ok(&Done { ok: true }))
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
            let body = Taken { ok: true, worker: row.record.name.clone(), command: name };
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

/// What became of the order to drop a transaction.
pub(super) fn dropped(job: JobId, done: Dropped) -> Reply {
    match queue::dropped(job, done) {
        Ok(()) => Reply::ok(&Done { ok: true }),
        Err(cause @ QueueError::Unknown(_)) => {
            Reply::error(StatusCode::NOT_FOUND, "TransactionNotFound", cause.to_string())
        }
        Err(cause) => conflict(cause.to_string()),
    }
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
