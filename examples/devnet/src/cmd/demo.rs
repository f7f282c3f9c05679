//! `demo` and `up`: chains, workers and the bridge in one process, over real sockets.

use super::{
    NetworkArgs,
    browser::{BrowserArgs, Page},
    counted, interrupted, local,
    progress::{Above, Progress, worker_line},
    say, start_logs, start_pccs,
};
use anyhow::{Context, bail, ensure};
use clap::Args;
use indicatif::MultiProgress;
use prb_cli::{
    config::{Config, Declared, DeclaredOperator, DeclaredPool, DeclaredWorker, Start},
    deployment::{Deployment, DeploymentError},
    telemetry,
};
use prb_core::{lifecycle::Stage, pipeline::WorkerStatus, port::Cursor};
use prb_devnet::{
    network::Devnet,
    worker::{AttestationMode, NodeStore, WorkerConfig, WorkerHandle, WorkerServer},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::ErrorKind,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many dev workers.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    workers: u32,
    /// Benchmark score of the workers; the chain lets no worker compute below 50.
    #[arg(long, default_value_t = 800)]
    score: u32,
    /// Write the result to this file, also if the demo fails.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep the bridge's data in this new or empty folder; without it a temporary one is used and removed.
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Give up when the workers do not work after so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 110)]
    timeout: u64,
    /// Relay blocks made before the bridge starts, so that there is something to catch up with.
    #[arg(long, value_name = "BLOCKS", default_value_t = 50)]
    history: u32,
    /// Authority-set changes the bridge must have crossed before the demo counts as done.
    #[arg(long, value_name = "N", default_value_t = 2)]
    set_changes: u64,
    /// The workers attest with DCAP, and a PCCS of the demo's own vouches for them.
    #[arg(long)]
    dcap: bool,
    /// Address of that PCCS, for others to ask it too; without it, it takes a free port.
    #[arg(long, value_name = "ADDRESS", requires = "dcap")]
    pccs: Option<SocketAddr>,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What happens once every worker works.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Afterwards {
    Exit,
    /// Until interrupted, and all the while it can be looked at in a browser.
    Stay(BrowserArgs),
}

const POOL: u64 = 1;
const STAKE: &str = "5000";

pub(crate) async fn run(args: DemoArgs, afterwards: Afterwards) -> anyhow::Result<()> {
    let bars = MultiProgress::new();
    let above = Above(bars.clone());
    start_logs(move || above.clone());
    let begun = Instant::now();
    if let Some(data_dir) = &args.data_dir {
        check_unused(data_dir)?;
    }
    let network = Arc::new(Devnet::new(args.network.config()).context("starting the chains")?);
    network.steps(args.history).context("making the first blocks")?;
    let relay = network.serve_relay(local(0)).await.context("serving the relay chain")?;
    let para = network.serve_para(local(0)).await.context("serving the parachain")?;
    let temporary = tempfile::tempdir().context("making a temporary folder")?;
    let data_dir = args.data_dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let mut config = Config::for_nodes(data_dir, relay.url(), para.url());
    let (page, spare) = match &afterwards {
        Afterwards::Exit => (None, 0),
        Afterwards::Stay(browser) => (Some(browser.open(&mut config)?), browser.spare()),
    };
    // Equal states of many workers take the room of one.
    let nodes = NodeStore::default();
    let workers = start_workers(&args, args.workers, &nodes).await?;
    let spare = start_workers(&args, spare, &nodes).await?;
    let count = counted(args.workers.into(), "dev worker");
    say(&format!("relay chain {}, parachain {}, {count}", relay.url(), para.url()));
    let pccs = match args.dcap {
        true => Some(start_pccs(args.pccs.unwrap_or(local(0))).await?),
        false => None,
    };
    if let Some(url) = &pccs {
        say(&format!("workers attest with DCAP, PCCS {url}"));
    }

    let (halt, halted) = tokio::sync::oneshot::channel::<()>();
    let mut chains =
        tokio::spawn(network.clone().run(args.network.block_time(), async move { drop(halted.await) }));

    config.chain.start = start_of(&network);
    config.transactions.gather_ms = 100;
    config.inventory = declared(&workers);
    config.attestation.pccs_url = pccs;
    if page.is_some() {
        telemetry::install();
    }
    let deployment = Arc::new(Deployment::start(&config).await.context("starting the bridge")?);
    if let Some(page) = &page {
        page.api.attach(deployment.clone()).await;
        page.announce(&spare, POOL, STAKE);
    }

    let progress = Progress::new(begun, bars);
    let (done, chains_run) = tokio::select! {
        done = watch(&args, &deployment, progress, begun, page.as_ref()) => (done, true),
        cause = follow(&deployment, page.is_some()) => (Err(cause.into()), true),
        ended = &mut chains => (chains_ended(ended).and_then(|()| bail!("the chains stopped early")), false),
    };
    let report = report(&deployment, begun).await;
    if let Some(page) = page {
        page.api.stop().await;
    }
    // The API was the only other one to hold it.
    if let Some(deployment) = Arc::into_inner(deployment) {
        deployment.stop().await;
    }
    let _ = halt.send(());
    let done = if chains_run { done.and(chains_ended(chains.await)) } else { done };
    for worker in workers.into_iter().chain(spare) {
        worker.stop().await;
    }
    relay.stop().await;
    para.stop().await;

    let written = report.and_then(|report| write(args.json.as_deref(), report));
    // Why the demo failed matters more than a report that was not written.
    done?;
    say(&summary(&written?));
    Ok(())
}

async fn start_workers(args: &DemoArgs, count: u32, nodes: &NodeStore) -> anyhow::Result<Vec<WorkerHandle>> {
    let attestation = if args.dcap { AttestationMode::Dcap } else { AttestationMode::None };
    let mut workers = Vec::new();
    for _ in 0..count {
        let nodes = nodes.clone();
        let config = WorkerConfig { score: args.score, attestation, nodes, ..WorkerConfig::default() };
        workers.push(WorkerServer::start(config, local(0)).await.context("starting a dev worker")?);
    }
    Ok(workers)
}

/// The chains run until they are told to stop, unless something is wrong.
fn chains_ended(
    ended: Result<Result<(), prb_devnet::chain::AuthorError>, tokio::task::JoinError>,
) -> anyhow::Result<()> {
    ended.context("the chains crashed")?.context("making blocks")
}

/// Data of an older run would not fit: the chains and workers of every run are new ones.
fn check_unused(data_dir: &Path) -> anyhow::Result<()> {
    let used = match std::fs::read_dir(data_dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(error).with_context(|| format!("reading {}", data_dir.display())),
    };
    ensure!(
        !used,
        "{} is not empty, and data of another run does not fit the chains of this one; \
         remove it or name another folder",
        data_dir.display()
    );
    Ok(())
}

/// The start block, if the first para block is there to tell it: this program trusts its own chains.
fn start_of(network: &Devnet) -> Option<Start> {
    let start = network.relay().block_at(network.relay_parent(1)?.checked_sub(1)?)?;
    Some(Start { number: start.header.number, hash: format!("{:?}", start.hash) })
}

fn declared(workers: &[WorkerHandle]) -> Declared {
    let operator = DeclaredOperator { name: "alice".into(), development_uri: "//Alice".into() };
    let worker = |(index, worker): (usize, &WorkerHandle)| DeclaredWorker {
        name: name(index),
        endpoint: worker.url(),
        pool: POOL,
        stake: STAKE.into(),
    };
    Declared {
        operators: vec![operator],
        pools: vec![DeclaredPool { pid: POOL, operator: "alice".into(), sync_only: false }],
        workers: workers.iter().enumerate().map(worker).collect(),
    }
}

/// Name of a worker in the inventory.
fn name(index: usize) -> String {
    format!("dev-{:02}", index + 1)
}

/// Those that the demo itself began with and that are there still: whoever looks in a browser may add others.
fn own(args: &DemoArgs, status: Vec<WorkerStatus>) -> Vec<WorkerStatus> {
    let names: BTreeSet<String> = (0..args.workers as usize).map(name).collect();
    status.into_iter().filter(|worker| names.contains(worker.worker.name.as_str())).collect()
}

/// Takes on what is changed in the inventory, where somebody may change it; ends where going on is useless.
async fn follow(deployment: &Deployment, changes: bool) -> DeploymentError {
    if changes { Box::pin(deployment.follow()).await } else { std::future::pending().await }
}

/// Shows progress until every worker works, time is up, or the user has enough: with a `page` not before interrupted.
async fn watch(
    args: &DemoArgs,
    deployment: &Deployment,
    mut progress: Progress,
    begun: Instant,
    page: Option<&Page>,
) -> anyhow::Result<()> {
    let deadline = begun + Duration::from_secs(args.timeout);
    let mut first_set = None;
    let mut reached = false;
    let interrupted = interrupted();
    tokio::pin!(interrupted);
    loop {
        let status = deployment.bridge().workers_status();
        let cursor = deployment.cursor().await?;
        progress.show(&status, cursor.as_ref());
        let status = own(args, status);
        if let Some(cause) = deployment.bridge().failure() {
            progress.finish();
            bail!("the bridge ended: {cause}");
        }
        let set = cursor.as_ref().map_or(0, |cursor| cursor.authorities.id);
        let first = *first_set.get_or_insert(set);
        let crossed = set.saturating_sub(deployment.start_set_id().await?.unwrap_or(first));
        if !reached && crossed >= args.set_changes && status.iter().all(is_done) {
            reached = true;
            let Some(page) = page else {
                progress.finish();
                return Ok(());
            };
            progress.reached(&format!(
                "everything works after {:.1} s; {} shows it until Ctrl-C",
                begun.elapsed().as_secs_f64(),
                page.url()
            ));
        }
        if !reached && Instant::now() > deadline {
            progress.finish();
            bail!("not done after {} s: {}", args.timeout, missing(&status, crossed, args.set_changes));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            () = &mut interrupted => {
                progress.finish();
                let status = own(args, deployment.bridge().workers_status());
                ensure!(reached, "interrupted: {}", missing(&status, crossed, args.set_changes));
                return Ok(());
            }
        }
    }
}

fn is_done(worker: &WorkerStatus) -> bool {
    worker.stage == Stage::Working && worker.messages_synced > 0
}

/// Workers named with one cause; more would bury the cause.
const MOST_NAMES: usize = 5;

fn missing(status: &[WorkerStatus], crossed: u64, wanted: u64) -> String {
    let lacking = status.iter().filter(|worker| !is_done(worker));
    let mut causes = grouped(lacking.map(|worker| (worker.worker.name.as_str(), worker_line(worker))));
    if crossed < wanted {
        causes.push(format!("crossed {crossed} of {wanted} authority-set changes"));
    }
    causes.join("; ")
}

/// Workers that lack the same are told together, in the order of the first of each group.
fn grouped<'a>(workers: impl Iterator<Item = (&'a str, String)>) -> Vec<String> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for (name, line) in workers {
        match groups.iter_mut().find(|(known, _)| *known == line) {
            Some((_, names)) => names.push(name),
            None => groups.push((line, vec![name])),
        }
    }
    let told = |(line, names): (String, Vec<&str>)| {
        let (named, others) = names.split_at(names.len().min(MOST_NAMES));
        let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        format!("{}{others}: {line}", named.join(", "))
    };
    groups.into_iter().map(told).collect()
}

async fn report(deployment: &Deployment, begun: Instant) -> anyhow::Result<Value> {
    let cursor: Option<Cursor> = deployment.cursor().await?;
    let stored = deployment.stored().await?;
    let transactions = deployment.transactions();
    let workers: Vec<Value> = deployment.bridge().workers_status().iter().map(worker_json).collect();
    Ok(json!({
        "relay": {
            "finalized": cursor.as_ref().map_or(0, |cursor| cursor.relay.height.0),
            "authority_set_id": cursor.as_ref().map_or(0, |cursor| cursor.authorities.id),
        },
        "para": {
            "finalized": cursor.as_ref().and_then(|cursor| cursor.para).map_or(0, |para| para.height.0),
        },
        "store": {
            "relay_headers": stored.relay_headers,
            "para_headers": stored.para_headers,
            "changes": stored.changes,
            "bytes_on_disk": stored.bytes_on_disk,
        },
        "workers": workers,
        "transactions": {
            "submitted": transactions.submitted,
            "finalized": transactions.finalized,
            "failed": transactions.failed,
        },
        "seconds": begun.elapsed().as_secs_f64(),
    }))
}

/// Writes the report where it is wanted, and gives it back.
fn write(path: Option<&Path>, report: Value) -> anyhow::Result<Value> {
    if let Some(path) = path {
        std::fs::write(path, format!("{report:#}\n"))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(report)
}

fn worker_json(worker: &WorkerStatus) -> Value {
    let info = worker.info.clone().unwrap_or_default();
    json!({
        "name": worker.worker.name.as_str(),
        "state": worker.stage.name(),
        "headernum": info.headernum.0,
        "para_headernum": info.para_headernum.0,
        "blocknum": info.blocknum.0,
        "public_key": info.public_key.map(|key| key.to_string()),
        "messages_synced": worker.messages_synced,
    })
}

fn summary(report: &Value) -> String {
    format!(
        "done in {:.1} s with {}; relay {} in authority set {}, parachain {}; {} transactions finalized, {} failed",
        report["seconds"].as_f64().unwrap_or_default(),
        counted(report["workers"].as_array().map_or(0, |workers| workers.len() as u64), "worker"),
        report["relay"]["finalized"],
        report["relay"]["authority_set_id"],
        report["para"]["finalized"],
        report["transactions"]["finalized"],
        report["transactions"]["failed"],
    )
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn workers_that_lack_the_same_are_told_together_in_the_order_of_the_first() {
        let lines = ["stuck", "a cause that sorts first", "stuck"].map(str::to_owned);
        let told = grouped(["dev-01", "dev-02", "dev-03"].into_iter().zip(lines));
        assert_eq!(told, ["dev-01, dev-03: stuck", "dev-02: a cause that sorts first"]);
    }

    #[test]
    fn of_many_names_only_the_first_few_are_told() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        assert_eq!(
            grouped(names.map(|name| (name, "stuck".to_owned())).into_iter()),
            ["a, b, c, d, e and 2 more: stuck"]
        );
    }
}
