//! Many remote stores at one provider: how soon all of them have a block that it just got.

use super::{
    Scale,
    report::Report,
    serve::Provider,
    tape::{Replay, Tape},
};
use anyhow::Context;
use prb_chain::verify::CryptoVerifier;
use prb_core::{
    id::Height,
    pipeline::{
        events::Announcer,
        ingest::{Ingest, IngestOptions},
    },
    port::{BlobStore, Stream},
    span::Span,
};
use prb_store::{LmdbOptions, LmdbStore, RemoteOptions, RemoteStore};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

/// Longest wait for all readers to have a block.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn run(
    scale: &Scale,
    folder: &Path,
    tape: Arc<Tape>,
    report: &mut Report,
) -> anyhow::Result<()> {
    report.part(&format!(
        "{} remote stores at one provider wait for each of {} blocks, against as many bare connections",
        scale.readers, scale.announced
    ));
    let size = tape.changes().last().map_or(0, |changes| changes.len());
    let mut prb = remote(scale, folder, tape).await?;
    let mut bare = bare(scale, size).await?;
    for (name, text, delays) in [("", "prb", &mut prb), ("raw_", "bare sockets", &mut bare)] {
        delays.sort_unstable();
        let at = |part: f64| 1000.0 * delays[((delays.len() - 1) as f64 * part) as usize].as_secs_f64();
        report.figure(
            &format!("fanout.{name}p50_ms"),
            &format!("{text}, block stored until read, median ms"),
            at(0.5),
        );
        report.figure(&format!("fanout.{name}p99_ms"), &format!("{text}, 99th of a hundred, ms"), at(0.99));
    }
    let ratio = prb[prb.len() / 2].as_secs_f64() / bare[bare.len() / 2].as_secs_f64();
    report.figure("fanout.p50_to_raw", "median to that of bare sockets", ratio);
    Ok(())
}

/// Delay of every block at every reader.
async fn remote(scale: &Scale, folder: &Path, tape: Arc<Tape>) -> anyhow::Result<Vec<Duration>> {
    let store = Arc::new(LmdbStore::open(folder.join("fanout"), LmdbOptions::default())?);
    let options = IngestOptions { changes_per_step: 1, ..IngestOptions::default() };
    let source = Arc::new(Replay::new(tape));
    let verifier = Box::new(CryptoVerifier::without_state());
    let mut ingest = Ingest::new(source, store.clone(), verifier, options, Announcer::default());
    // Past the headers, so that each step adds the changes of one block.
    for _ in 0..20 {
        ingest.step().await?;
    }
    let provider = Provider::start(store.clone()).await?;
    let url = format!("http://{}", provider.address);
    let (told, mut heard) = mpsc::channel(scale.readers);
    let mut readers = JoinSet::new();
    for _ in 0..scale.readers {
        let reader = RemoteStore::new(RemoteOptions { cache_bytes: 1 << 20, ..RemoteOptions::default() });
        reader.add_provider(&url)?;
        reader.ready().await;
        let told = told.clone();
        // Before the first block is stored: a reader that took it for known would wait for the second.
        let mut known = reader.coverage().await?;
        readers.spawn(async move {
            loop {
                reader.wait(known).await?;
                known = reader.coverage().await?;
                let Some(changes) = known.and_then(|known| known.changes) else { continue };
                reader.read(Stream::Changes, Span::one(changes.last()), usize::MAX).await?;
                if told.send((changes.last(), Instant::now())).await.is_err() {
                    return anyhow::Ok(());
                }
            }
        });
    }
    let mut delays = Vec::new();
    for _ in 0..scale.announced {
        let before = store.coverage().await?;
        let watcher = store.clone();
        let stored = tokio::spawn(async move {
            let _ = watcher.wait(before).await; // the time is what counts
            Instant::now()
        });
        anyhow::ensure!(ingest.step().await?, "the tape is too short");
        let stored = stored.await?;
        let height = store.cursor().await?.map_or(Height(0), |cursor| cursor.changes);
        let mut left = scale.readers;
        while left > 0 {
            let heard = timeout(PATIENCE, heard.recv()).await.context("a reader does not get a block")?;
            let (at, when) = heard.context("all readers ended")?;
            if at == height {
                delays.push(when.saturating_duration_since(stored));
                left -= 1;
            }
        }
    }
    readers.abort_all();
    provider.stop().await;
    store.close().await?;
    Ok(delays)
}

/// The same over bare connections: each block is written to all of them.
async fn bare(scale: &Scale, size: usize) -> anyhow::Result<Vec<Duration>> {
    let listener = TcpListener::bind(crate::cmd::local(0)).await?;
    let address = listener.local_addr()?;
    let (told, mut heard) = mpsc::channel(scale.readers);
    let mut readers = JoinSet::new();
    let mut writers = Vec::new();
    for _ in 0..scale.readers {
        let told = told.clone();
        readers.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            let mut block = vec![0; size];
            while stream.read_exact(&mut block).await.is_ok() && told.send(Instant::now()).await.is_ok() {}
            std::io::Result::Ok(())
        });
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        writers.push(stream);
    }
    let block: Arc<[u8]> = vec![7; size].into();
    let mut delays = Vec::new();
    for _ in 0..scale.announced {
        let begun = Instant::now();
        let mut writing = JoinSet::new();
        for mut stream in writers.drain(..) {
            let block = block.clone();
            writing.spawn(async move { stream.write_all(&block).await.map(|()| stream) });
        }
        while let Some(written) = writing.join_next().await {
            writers.push(written??);
        }
        for _ in 0..scale.readers {
            let when = timeout(PATIENCE, heard.recv()).await.context("a bare reader does not get a block")?;
            delays.push(when.context("all bare readers ended")?.saturating_duration_since(begun));
        }
    }
    readers.abort_all();
    Ok(delays)
}
