//! `prb store import`: files feed the ingest pipeline, which verifies everything.

use super::{
    StoreCommandError,
    overlap::{self, Compared},
    progress::{Meter, Step},
};
use crate::{
    archive_source::{ArchiveSource, HeaderFiles, RecordSource},
    args::FilesFormat,
    config::Config,
    source::block_source,
};
use prb_chain::{node_source::start_point, verify::CryptoVerifier};
use prb_core::{
    id::{BlockRef, Height},
    pipeline::{
        events::Announcer,
        ingest::{Ingest, IngestError, IngestOptions},
    },
    port::{BlobStore, BlockSource, Coverage, Cursor, Stream},
};
use prb_store::{
    LmdbOptions, LmdbStore,
    archive::{Archive, ArchiveError, Place},
    records,
};
use serde_json::{Value, json};
use std::{io::Write, path::Path, sync::Arc};

/// Where files end.
#[derive(Clone, Copy)]
struct End {
    relay: Height,
    para: Height,
    changes: Height,
}

pub(super) async fn import(
    config: &Config,
    place: Place,
    format: Option<FilesFormat>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), StoreCommandError> {
    let format = format.or_else(|| guessed(&place));
    let store = || -> Result<_, StoreCommandError> {
        std::fs::create_dir_all(&config.data_dir)?;
        Ok(Arc::new(LmdbStore::open(config.blobs_dir(), LmdbOptions::default())?))
    };
    match format {
        None => Err(StoreCommandError::NothingThere { from: place.name() }),
        Some(FilesFormat::Archive) => {
            let archive = Arc::new(Archive::open(place).await?);
            let store = store()?;
            let trusted = trusted(config, &archive, store.coverage().await?)?;
            let manifest = archive.manifest();
            let last = |stream| manifest.span(stream).map_or(Height(0), |span| span.last());
            let end = End {
                relay: last(Stream::RelayHeaders),
                para: last(Stream::ParaHeaders),
                changes: last(Stream::Changes),
            };
            let source = Arc::new(ArchiveSource::new(archive.clone()));
            let import = Import { config, source, store, trusted, end };
            let fetched = || {
                let fetched = archive.fetched();
                json!({"files_read": fetched.files, "bytes_read": fetched.bytes})
            };
            import.run(&|| archive.fetched().bytes, &fetched, json, out).await
        }
        Some(FilesFormat::HeadersCache) => {
            let folder = place.as_folder().ok_or(StoreCommandError::NoFolder)?;
            let source = Arc::new(RecordSource::open(folder, block_source(&config.chain)?)?);
            let chain = &config.chain;
            let alone = chain.mirror.is_none() && (chain.relay.is_empty() || chain.para.is_empty());
            let no_nodes = || StoreCommandError::NoNodes { folder: folder.display().to_string() };
            // A store is not made for nothing; one that has begun needs no nodes.
            if alone && !config.blobs_dir().exists() {
                return Err(no_nodes());
            }
            let store = store()?;
            if alone && store.genesis().await?.is_none() {
                return Err(no_nodes());
            }
            same_start(folder, &store).await?;
            let para = source.tips().await.map_or(Height(0), |tips| tips.para);
            let end = End { relay: source.last_relay(), para, changes: source.last_changes() };
            let trusted = config.trusted_start()?;
            let import = Import { config, source, store, trusted, end };
            import.run(&|| 0, &|| json!({}), json, out).await
        }
    }
}

/// What the files in a folder are; elsewhere there are only archives.
fn guessed(place: &Place) -> Option<FilesFormat> {
    let Some(folder) = place.as_folder() else { return Some(FilesFormat::Archive) };
    if folder.join(prb_store::archive::MANIFEST).exists() {
        return Some(FilesFormat::Archive);
    }
    records::are_in(folder).then_some(FilesFormat::HeadersCache)
}

/// The start block that the archive must begin with, if it is known. An archive of other chains is refused.
fn trusted(
    config: &Config,
    archive: &Archive,
    stored: Option<Coverage>,
) -> Result<Option<BlockRef>, StoreCommandError> {
    let chain = archive.manifest().chain;
    if let Some(stored) = stored.filter(|stored| stored.identity != chain.identity()) {
        let identity = stored.identity;
        let expected = prb_store::archive::Chain {
            relay_chain: identity.relay_chain,
            start: identity.start,
            para_genesis: identity.para_genesis,
            para_id: identity.para_id,
            ..chain
        };
        let (found, expected) = (Box::new(chain), Box::new(expected));
        return Err(ArchiveError::ForeignChain { found, expected }.into());
    }
    let built_in = start_point(chain.relay_chain, chain.para_id);
    let built_in = built_in.map(|point| BlockRef { height: point.height, hash: point.hash });
    Ok(config.trusted_start()?.or(built_in))
}

/// Refuses record files of other chains than the store's.
async fn same_start(folder: &Path, store: &LmdbStore) -> Result<(), StoreCommandError> {
    let Some(genesis) = store.genesis().await? else { return Ok(()) };
    let found = records::read_genesis(folder)?;
    let Some(found) = found.filter(|found| found.block_header != genesis.relay.block_header) else {
        return Ok(());
    };
    Err(records::RecordsError::ForeignChain {
        path: folder.join(records::GENESIS).display().to_string(),
        found: found.block_header.block_ref().to_string(),
        expected: genesis.start().to_string(),
    }
    .into())
}

/// Files on their way into a store.
struct Import<'c, S> {
    config: &'c Config,
    source: Arc<S>,
    store: Arc<LmdbStore>,
    trusted: Option<BlockRef>,
    end: End,
}

impl<S: HeaderFiles + 'static> Import<'_, S> {
    async fn run(
        &self,
        bytes: &(dyn Fn() -> u64 + Sync),
        fetched: &(dyn Fn() -> Value + Sync),
        json: bool,
        out: &mut dyn Write,
    ) -> Result<(), StoreCommandError> {
        let before = self.store.cursor().await?;
        let mut meter = Meter::on_standard_error();
        let moved = self.steps(bytes, &mut meter).await;
        meter.end();
        let after = self.store.cursor().await?;
        let compared = self.compared(moved, before == after).await?;
        let coverage = self.store.coverage().await?;
        self.store.close().await?;
        let verified = coverage.is_some_and(|coverage| coverage.state_verified);
        let stands = |cursor: Option<&Cursor>| {
            let relay = cursor.map(|cursor| cursor.relay.height.0);
            let para = cursor.and_then(|cursor| cursor.para).map(|para| para.height.0);
            (relay, para, cursor.map(|cursor| cursor.changes.0))
        };
        let (relay, para, changes) = stands(after.as_ref());
        if json {
            let (relay_before, para_before, changes_before) = stands(before.as_ref());
            let mut answer = json!({
                "before": {"relay": relay_before, "para": para_before, "changes": changes_before},
                "after": {"relay": relay, "para": para, "changes": changes},
                "compared": compared.json(),
                "state_verified": verified,
            });
            if let (Value::Object(answer), Value::Object(fetched)) = (&mut answer, fetched()) {
                answer.extend(fetched);
            }
            writeln!(out, "{answer}")?;
            return Ok(());
        }
        let shown =
            |height: Option<u32>| height.map_or_else(|| "none".to_owned(), |height| height.to_string());
        if before == after {
            writeln!(out, "the store has everything that is there")?;
        }
        if let Some(blocks) = compared.text() {
            writeln!(out, "compared        {blocks}: the same in both")?;
        }
        writeln!(out, "relay headers   up to {}", shown(relay))?;
        writeln!(out, "para headers    up to {}", shown(para))?;
        let how = if verified { "verified against state roots" } else { "state not verified" };
        writeln!(out, "changes         up to {}, {how}", shown(changes))?;
        Ok(())
    }

    /// What was taken follows what was there. Where nothing was taken, or something was refused, the files may be of
    /// another fork.
    async fn compared(
        &self,
        moved: Result<(), StoreCommandError>,
        nothing_new: bool,
    ) -> Result<Compared, StoreCommandError> {
        match moved {
            Ok(()) if nothing_new => overlap::compare(&*self.store, &*self.source).await,
            Ok(()) => Ok(Compared::default()),
            Err(refused @ StoreCommandError::Import(IngestError::Refused { .. })) => {
                let compared = overlap::compare(&*self.store, &*self.source).await;
                Err(compared.err().filter(StoreCommandError::is_fork).unwrap_or(refused))
            }
            Err(error) => Err(error),
        }
    }

    async fn steps(
        &self,
        bytes: &(dyn Fn() -> u64 + Sync),
        meter: &mut Meter,
    ) -> Result<(), StoreCommandError> {
        let sum = |relay: Height, para: Height, changes: Height| {
            u64::from(relay.0) + u64::from(para.0) + u64::from(changes.0)
        };
        let (mut begun, mut ingest) = (None, None::<(u32, Ingest)>);
        loop {
            let cursor = self.store.cursor().await?;
            let changes = cursor.as_ref().map_or(Height(0), |cursor| cursor.changes);
            let para = cursor.as_ref().and_then(|cursor| cursor.para).map_or(Height(0), |para| para.height);
            if let Some(cursor) = &cursor {
                let stands = sum(cursor.relay.height, para, changes);
                let begun = *begun.get_or_insert(stands);
                meter.show(&Step {
                    what: format!("block {changes}"),
                    did: "blocks verified",
                    done: stands - begun,
                    of: sum(self.end.relay, self.end.para, self.end.changes).saturating_sub(begun),
                    bytes: bytes(),
                });
            }
            // Files may end within what a step would ask for.
            let left = self.end.changes.since(changes);
            if left == 0 && para > changes {
                return Ok(());
            }
            let size = left.clamp(1, IngestOptions::default().changes_per_step);
            let (_, ingest) = match ingest.take().filter(|(of, _)| *of == size) {
                Some(held) => ingest.insert(held),
                None => ingest.insert((size, self.ingest(size))),
            };
            if !ingest.step().await? {
                return Ok(());
            }
        }
    }

    fn ingest(&self, changes_per_step: u32) -> Ingest {
        let verifier = if self.config.chain.verify_state {
            CryptoVerifier::with_state(self.store.clone())
        } else {
            CryptoVerifier::without_state()
        };
        let options =
            IngestOptions { trusted_start: self.trusted, changes_per_step, ..IngestOptions::default() };
        let (source, store) = (self.source.clone(), self.store.clone());
        Ingest::new(source, store, Box::new(verifier), options, Announcer::default())
    }
}
