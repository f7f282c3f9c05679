//! `prb store`: looking into the store on disk, copying it to and from files, making it smaller.

mod export;
mod import;
mod overlap;
mod progress;
mod prune;
mod show;

use crate::{
    args::StoreCommand,
    config::{Config, ConfigError, Purpose, Sources},
};
use prb_core::{
    id::{Hash, Height},
    pipeline::ingest::IngestError,
    port::{StoreError, Stream},
};
use prb_store::{
    LmdbOptions, LmdbStore, PruneError,
    archive::{ArchiveError, Place},
    records::RecordsError,
    tls::{ClientTls, TlsError},
};
use progress::{Meter, Step};
use std::{
    io::{self, Write},
    path::Path,
};

/// Why a store command fails.
#[derive(Debug, thiserror::Error)]
pub enum StoreCommandError {
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such item.
    #[error("no {stream} at {height}; `prb store stat` shows what the store holds")]
    Missing {
        /// Which stream.
        stream: Stream,
        /// Which block.
        height: Height,
    },
    /// Not everything is whole.
    #[error(
        "{damages} damaged or missing in {folder}, the first: {first}; `prb run` and `prb data-provider` fetch damaged items \
         again as they meet them, for the rest put back a copy of the folder or begin with an empty one"
    )]
    Damaged {
        /// How many.
        damages: u64,
        /// The first of them.
        first: String,
        /// The store's folder.
        folder: String,
    },
    /// The archive could not be written or read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Record files could not be written or read.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The certificates cannot be used.
    #[error("--ca-file: {0}")]
    Authorities(TlsError),
    /// Nothing to import from.
    #[error(
        "{from} holds neither an archive (manifest.json) nor record files of headers-cache (headers.bin); name the folder \
         or address that does"
    )]
    NothingThere {
        /// The place.
        from: String,
    },
    /// Record files do not hold what a store begins with.
    #[error(
        "{folder} holds record files, which lack what a store begins with (hash of relay block 0, id and first state of \
         the parachain); that is asked of nodes, and none are named: write chain.relay and chain.para into a \
         configuration and name it with --config, or import an archive, which has all of it"
    )]
    NoNodes {
        /// The folder.
        folder: String,
    },
    /// Record files are not read over the network.
    #[error("record files are read from a folder; download them, or name the folder of an archive")]
    NoFolder,
    /// The files are of another fork of the chain.
    #[error(
        "{from} holds {chain} block {at} with hash {found}, the store holds {stored} there: they are different forks of one \
         chain, and nothing is imported; use files of the store's own chain, or another data_dir"
    )]
    Fork {
        /// The files.
        from: String,
        /// `relay` or `parachain`.
        chain: &'static str,
        /// The first block that differs.
        at: Height,
        /// Its hash in the files.
        found: Hash,
        /// Its hash in the store.
        stored: Hash,
    },
    /// What was read failed a check, or could not be read.
    #[error("{0}; what was verified before is stored")]
    Import(#[from] IngestError),
    /// There is nothing sensible to prune.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// A worker needs what would be dropped.
    #[error("worker {worker} {stands}; wait for it, or say --ignore-workers if it does not count")]
    Worker {
        /// Which.
        worker: String,
        /// Where it stands, or why that is not known.
        stands: String,
    },
    /// There is no worker to ask.
    #[error(
        "nothing is dropped: the inventory here has no workers, so nobody can be asked who needs it; say --ignore-workers \
         if no worker that is fed from this store does"
    )]
    NoWorkers,
    /// The inventory cannot be read.
    #[error(transparent)]
    Inventory(#[from] crate::inventory::InventoryError),
    /// Nobody agreed.
    #[error("nothing is dropped; say --yes where nobody can be asked")]
    NotAgreed,
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl StoreCommandError {
    fn is_fork(&self) -> bool {
        matches!(self, Self::Fork { .. })
    }
}

/// The configuration with what the command line says. With a data directory on the command line the file may be missing.
pub fn configured(sources: &Sources, data_dir: Option<&Path>) -> Result<Config, ConfigError> {
    let Some(data_dir) = data_dir else { return Config::load_for(sources, Purpose::Store) };
    let mut config = sources.made(|sources| {
        let config = Config::read_or_default(sources, Purpose::Store)?;
        config.check_for(Purpose::Store)?;
        Ok(config)
    })?;
    data_dir.clone_into(&mut config.data_dir);
    Ok(config)
}

/// Carries out a store command.
pub fn store(config: &Config, command: &StoreCommand, out: &mut dyn Write) -> Result<(), StoreCommandError> {
    let opened = || LmdbStore::open_read_only(config.blobs_dir(), LmdbOptions::default());
    match command {
        StoreCommand::Stat(args) => {
            let stat = opened()?.stat()?;
            if args.json { show::stat_json(&stat, out)? } else { show::stat(&stat, out)? }
        }
        StoreCommand::Verify(args) => verify(&opened()?, args.json, out)?,
        StoreCommand::Inspect { stream, height, hex, json } => {
            let (stream, height) = (*stream, Height(*height));
            let item = opened()?.inspect(stream, height)?;
            let item = item.ok_or(StoreCommandError::Missing { stream, height })?;
            let shown = show::Item { stream, height, item, hex: *hex };
            if *json { shown.json(out)? } else { shown.text(out)? }
        }
        StoreCommand::Export { folder, format, segment_mib, quick, json } => {
            let (format, segment_mib) = (*format, *segment_mib);
            let options = export::Options { format, segment_mib, quick: *quick, json: *json };
            runtime()?.block_on(export::export(&opened()?, folder, options, out))?;
        }
        StoreCommand::Import { from, format, ca_file, json } => {
            let tls = ca_file.as_deref().map(ClientTls::from_file).transpose();
            let place = Place::parse_with(from, tls.map_err(StoreCommandError::Authorities)?)?;
            runtime()?.block_on(import::import(config, place, *format, *json, out))?;
        }
        StoreCommand::Prune { below, keep, dry_run, yes, ignore_workers, compact, json } => {
            let options = prune::Options {
                below: below.map(Height),
                keep: *keep,
                dry_run: *dry_run,
                yes: *yes,
                ignore_workers: *ignore_workers,
                compact: *compact,
                json: *json,
            };
            runtime()?.block_on(prune::prune(config, options, out))?;
        }
    }
    Ok(())
}

fn verify(store: &LmdbStore, json: bool, out: &mut dyn Write) -> Result<(), StoreCommandError> {
    let mut meter = Meter::on_standard_error();
    let found = store.verify(&mut |progress| {
        meter.show(&Step {
            what: progress.part.to_string(),
            did: "items checked",
            done: progress.done,
            of: progress.of,
            bytes: progress.bytes,
        });
    })?;
    meter.end();
    if json {
        show::verified_json(&found, out)?
    } else {
        show::verified(&found, out)?
    }
    match found.damaged.first() {
        None => Ok(()),
        Some(first) => Err(StoreCommandError::Damaged {
            damages: found.damages,
            first: first.to_string(),
            folder: store.folder().display().to_string(),
        }),
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// The stream called `name`.
pub fn stream(name: &str) -> Result<Stream, String> {
    let names = || Stream::ALL.map(Stream::name).join(", ");
    let found = Stream::ALL.into_iter().find(|stream| stream.name() == name);
    found.ok_or_else(|| format!("no stream {name:?}; there are {}", names()))
}
