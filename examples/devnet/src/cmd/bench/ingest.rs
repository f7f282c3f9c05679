//! Ingest from nodes and from a source that answers at once, and what the store makes of it.

use super::{
    Scale,
    busy::{Busy, Timed},
    report::{Goal, Report},
    tape::{Recorder, Replay, Tape},
    world::World,
};
use anyhow::Context;
use prb_chain::{
    node_source::{NodeSource, SourceOptions},
    verify::CryptoVerifier,
};
use prb_core::{
    accept::Verifier,
    pipeline::{
        events::Announcer,
        ingest::{Ingest, IngestOptions},
    },
    port::{BlobStore, BlockSource, Stream},
};
use prb_store::{LmdbOptions, LmdbStore, Part};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// What a run took.
struct Took {
    /// From the first step after the genesis to the last.
    time: Duration,
    /// Of it, time in which verifier or store worked.
    busy: Duration,
}

/// Relay headers with set changes, from the dev node.
pub(super) async fn relay(scale: &Scale, folder: &Path, report: &mut Report) -> anyhow::Result<()> {
    let shape = scale.relay;
    report.part(&format!(
        "ingest from the dev node: {} relay headers in sets of {} by {} validators, {} small para blocks",
        shape.relay_blocks, shape.set_blocks, shape.validators, shape.para_blocks
    ));
    let world = made(report, shape).await?;
    let store = Arc::new(LmdbStore::open(folder.join("relay"), LmdbOptions::default())?);
    let source = node_source(&world);
    let took = ingested(Arc::new(source), &store, CryptoVerifier::with_state(store.clone())).await?;
    world.stop().await;
    let rate = f64::from(shape.relay_blocks) / took.time.as_secs_f64();
    report.goal("ingest.relay_headers_per_s", "relay headers/s", rate, Goal::AtLeast(5_000.0));
    report.figure("ingest.relay_not_waiting", "share of time not waiting for the node", took.share());

    store.compact().await?;
    let stat = store.stat()?;
    let parts = [
        Part::Stream(Stream::RelayHeaders),
        Part::Stream(Stream::Justifications),
        Part::Stream(Stream::ParaHeads),
        Part::Stream(Stream::SetChanges),
        Part::Rungs,
    ];
    let bytes: u64 =
        stat.tables.iter().filter(|table| parts.contains(&table.part)).map(|table| table.bytes).sum();
    // Digests and dictionaries belong to all streams; here nearly all of them are the relay chain's.
    let shared = [Part::Digests, Part::Dictionaries];
    let shared: u64 =
        stat.tables.iter().filter(|table| shared.contains(&table.part)).map(|table| table.bytes).sum();
    let each = (bytes + shared) as f64 / f64::from(shape.relay_blocks);
    report.goal(
        "disk.bytes_per_relay_block",
        "bytes on disk per relay block, pages, digests and dictionaries included",
        each,
        Goal::AtMost(800.0),
    );
    Ok(())
}

/// Parachain blocks: from the dev node, and from a source that answers at once without and with state verification.
/// What the node answered.
pub(super) async fn para(scale: &Scale, folder: &Path, report: &mut Report) -> anyhow::Result<Arc<Tape>> {
    let shape = scale.para;
    report.part(&format!(
        "ingest of {} para blocks of about 38 KB, on a state of {} keys",
        shape.para_blocks, shape.content.keys
    ));
    let world = made(report, shape).await?;
    let recorder = Arc::new(Recorder::new(node_source(&world)));
    let store = Arc::new(LmdbStore::open(folder.join("from-node"), LmdbOptions::default())?);
    let took = ingested(recorder.clone(), &store, CryptoVerifier::with_state(store.clone())).await?;
    world.stop().await;
    let blocks = f64::from(shape.para_blocks);
    report.figure(
        "ingest.para_blocks_per_s_from_node",
        "from the dev node with state verification, blocks/s",
        blocks / took.time.as_secs_f64(),
    );
    report.figure("ingest.para_not_waiting", "share of time not waiting for the node", took.share());
    store.close().await?;

    let tape = Arc::new(recorder.take());
    let store = Arc::new(LmdbStore::open(folder.join("para"), LmdbOptions::default())?);
    let took = ingested(Arc::new(Replay::new(tape.clone())), &store, CryptoVerifier::without_state()).await?;
    let rate = blocks / took.time.as_secs_f64();
    report.goal("ingest.para_blocks_per_s", "from an instant source, blocks/s", rate, Goal::AtLeast(1_000.0));
    disk(&store, &tape, report).await?;
    store.close().await?;

    let store = Arc::new(LmdbStore::open(folder.join("verified"), LmdbOptions::default())?);
    let took =
        ingested(Arc::new(Replay::new(tape.clone())), &store, CryptoVerifier::with_state(store.clone()))
            .await?;
    report.goal(
        "ingest.para_blocks_per_s_verified",
        "from an instant source with state verification, blocks/s",
        blocks / took.time.as_secs_f64(),
        Goal::AtLeast(150.0),
    );
    store.close().await?;
    Ok(tape)
}

/// What storage changes take on disk.
async fn disk(store: &LmdbStore, tape: &Tape, report: &mut Report) -> anyhow::Result<()> {
    store.compact().await?;
    let parts = [Part::Stream(Stream::Changes), Part::Dictionaries];
    let tables = store.stat()?.tables;
    let stored: u64 =
        tables.iter().filter(|table| parts.contains(&table.part)).map(|table| table.bytes).sum();
    let plain: usize = tape.changes().iter().map(|changes| changes.len()).sum();
    let blocks = tape.changes().len().max(1) as f64;
    report.figure("disk.changes_bytes_plain", "bytes of a block's changes", plain as f64 / blocks);
    report.figure("disk.changes_bytes_stored", "bytes on disk, pages included", stored as f64 / blocks);
    let ratio = stored as f64 / plain.max(1) as f64;
    report.goal("disk.changes_ratio", "of the plain bytes", ratio, Goal::AtMost(0.45));
    Ok(())
}

pub(super) fn node_source(world: &World) -> NodeSource {
    NodeSource::new(&world.relay_url(), &world.para_url(), SourceOptions::default())
}

async fn made(report: &Report, shape: super::Shape) -> anyhow::Result<World> {
    let begun = Instant::now();
    let world = World::start(shape).await.context("making the chains")?;
    report.say(&format!("chains made in {:.1} s", begun.elapsed().as_secs_f64()));
    Ok(world)
}

/// Ingests all there is.
async fn ingested(
    source: Arc<dyn BlockSource>,
    store: &Arc<LmdbStore>,
    verifier: impl Verifier + 'static,
) -> anyhow::Result<Took> {
    let busy = Busy::default();
    let timed = Arc::new(Timed { inner: store.clone(), busy: busy.clone() });
    let mut ingest = ingest_of(source, timed, Box::new(Timed { inner: verifier, busy: busy.clone() }));
    // The genesis is another matter: it is the size of the parachain's state.
    ingest.step().await?;
    let (begun, before) = (Instant::now(), busy.total());
    while ingest.step().await? {}
    Ok(Took { time: begun.elapsed(), busy: busy.total() - before })
}

/// An ingest that nobody listens to.
pub(super) fn ingest_of(
    source: Arc<dyn BlockSource>,
    store: Arc<dyn BlobStore>,
    verifier: Box<dyn Verifier>,
) -> Ingest {
    Ingest::new(source, store, verifier, IngestOptions::default(), Announcer::default())
}

impl Took {
    /// Share of the time in which our own work was done.
    fn share(&self) -> f64 {
        self.busy.as_secs_f64() / self.time.as_secs_f64()
    }
}
