//! `bench`: figures of the data plane, each beside a baseline measured in the same run.
//!
//! Absolute times of different runs say little, ratios of one run say a lot. So whatever can be compared with a lower
//! bound is: signatures with single verification, the store with `memcpy` and a bare LMDB, serving with bare sockets
//! and nginx.

mod busy;
mod fanout;
mod fleet;
mod ingest;
mod memory;
mod report;
mod serve;
mod store;
mod tape;
mod verify;
mod world;

use anyhow::Context;
use clap::{Args, Subcommand};
use report::Report;
use std::{path::PathBuf, time::Instant};
use world::{Shape, content::Content};

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// The data plane: verification, ingest, store, serving, memory of a provider. Takes some minutes.
    Data(DataArgs),
    /// Many workers: memory, processor time and delay at the tip, messages, an outage, catching up. Takes some minutes.
    Fleet(fleet::FleetArgs),
    /// The bridge that `fleet` measures, a process of its own.
    #[command(hide = true)]
    Bridge(fleet::BridgeArgs),
    /// The data provider that `data` measures, a process of its own.
    #[command(hide = true)]
    Provider(memory::ProviderArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Write the figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Small amounts, to see that everything works; the figures mean nothing.
    #[arg(long)]
    quick: bool,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// Chains whose relay headers are ingested.
    relay: Shape,
    /// Chains whose parachain blocks are ingested.
    para: Shape,
    /// Chains that a provider ingests while it serves.
    memory: Shape,
    /// Sizes of authority sets whose justifications are verified.
    validators: &'static [u32],
    /// How often each is verified.
    verifications: u32,
    /// Random reads of the store.
    reads: u32,
    /// How long serving is measured, milliseconds.
    serve_ms: u64,
    /// Readers at the same time.
    readers: usize,
    /// Blocks that all of them wait for.
    announced: u32,
    /// Clients of the provider whose memory is measured.
    clients: usize,
}

const FULL: Scale = Scale {
    relay: Shape {
        relay_blocks: 20_000,
        set_blocks: 600,
        validators: 1000,
        para_blocks: 5_000,
        content: Content::IDLE,
    },
    para: Shape {
        relay_blocks: 5_000,
        set_blocks: 600,
        validators: 100,
        para_blocks: 5_000,
        content: Content::BUSY,
    },
    memory: Shape {
        relay_blocks: 100_000,
        set_blocks: 600,
        validators: 300,
        para_blocks: 5_000,
        content: Content::IDLE,
    },
    validators: &[100, 300, 667, 1000],
    verifications: 20,
    reads: 5_000,
    serve_ms: 3_000,
    readers: 100,
    announced: 40,
    clients: 50,
};

const QUICK: Scale = Scale {
    relay: Shape {
        relay_blocks: 60,
        set_blocks: 25,
        validators: 12,
        para_blocks: 15,
        content: Content::IDLE,
    },
    para: Shape {
        relay_blocks: 40,
        set_blocks: 25,
        validators: 4,
        para_blocks: 30,
        content: Content { keys: 1_000, ..Content::BUSY },
    },
    memory: Shape {
        relay_blocks: 300,
        set_blocks: 50,
        validators: 4,
        para_blocks: 20,
        content: Content::IDLE,
    },
    validators: &[5, 667],
    verifications: 1,
    reads: 20,
    serve_ms: 50,
    readers: 5,
    announced: 3,
    clients: 3,
};

pub(crate) async fn run(what: Bench) -> anyhow::Result<()> {
    match what {
        Bench::Data(args) => data(args).await,
        Bench::Fleet(args) => fleet::run(args).await,
        Bench::Bridge(args) => fleet::bridge(args).await,
        Bench::Provider(args) => memory::provider(args).await,
    }
}

async fn data(args: DataArgs) -> anyhow::Result<()> {
    super::start_logs(std::io::stderr);
    let begun = Instant::now();
    let scale = if args.quick { QUICK } else { FULL };
    let folder = tempfile::tempdir().context("making a temporary folder")?;
    let mut report = Report::new();
    if cfg!(debug_assertions) {
        super::say("built without --release: the figures say nothing");
    }
    verify::run(&scale, &mut report)?;
    ingest::relay(&scale, folder.path(), &mut report).await?;
    let tape = ingest::para(&scale, folder.path(), &mut report).await?;
    store::run(&scale, folder.path(), &tape, &mut report).await?;
    serve::run(&scale, folder.path(), &tape, &mut report).await?;
    fanout::run(&scale, folder.path(), tape, &mut report).await?;
    memory::run(&scale, folder.path(), &mut report).await?;
    report.note("seconds", begun.elapsed().as_secs_f64());
    report.write(args.json.as_deref())
}
