//! `prb store export`.

use super::{
    StoreCommandError,
    progress::{Meter, Step},
    show::size,
};
use crate::args::FilesFormat;
use prb_core::port::Stream;
use prb_store::{
    LmdbStore,
    archive::{self, ExportOptions, ExportStep},
    records,
};
use serde_json::json;
use std::{io::Write, path::Path};

#[derive(Clone, Copy)]
pub(super) struct Options {
    pub(super) format: FilesFormat,
    pub(super) segment_mib: u8,
    pub(super) quick: bool,
    pub(super) json: bool,
}

pub(super) async fn export(
    store: &LmdbStore,
    folder: &Path,
    options: Options,
    out: &mut dyn Write,
) -> Result<(), StoreCommandError> {
    match options.format {
        FilesFormat::Archive => to_archive(store, folder, &options, out).await,
        FilesFormat::HeadersCache => to_records(store, folder, &options, out).await,
    }
}

async fn to_archive(
    store: &LmdbStore,
    folder: &Path,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), StoreCommandError> {
    let mut meter = Meter::on_standard_error();
    let segment_bytes = usize::from(options.segment_mib) << 20;
    let wished = ExportOptions { segment_bytes, quick: options.quick };
    let exported = archive::export(store, folder, wished, &mut |at| {
        let did = match at.step {
            ExportStep::Checking => "files checked",
            ExportStep::Writing => "blocks exported",
        };
        let what = at.stream.to_string();
        meter.show(&Step { what, did, done: at.done, of: at.of, bytes: at.bytes });
    })
    .await;
    meter.end();
    let (manifest, done) = exported?;
    let last = |stream| manifest.span(stream).map(|span| span.last().0);
    if options.json {
        let answer = json!({
            "files_written": done.files,
            "bytes_written": done.bytes,
            "files_removed": done.removed,
            "archive_bytes": manifest.bytes(),
            "changes_form": manifest.changes_form,
            "relay": last(Stream::RelayHeaders),
            "para": last(Stream::ParaHeaders),
            "changes": last(Stream::Changes),
        });
        writeln!(out, "{answer}")?;
        return Ok(());
    }
    for stream in Stream::ALL {
        let Some(span) = manifest.span(stream) else { continue };
        writeln!(out, "{:<15} {span} in {} segments", stream.name(), manifest.segments(stream).len())?;
    }
    writeln!(
        out,
        "{} files of {} written, {} removed; the archive has {}",
        done.files,
        size(done.bytes),
        done.removed,
        size(manifest.bytes())
    )?;
    Ok(())
}

async fn to_records(
    store: &LmdbStore,
    folder: &Path,
    options: &Options,
    out: &mut dyn Write,
) -> Result<(), StoreCommandError> {
    let mut meter = Meter::on_standard_error();
    let exported = records::export(store, folder, &mut |kind, done, of, bytes| {
        meter.show(&Step { what: kind.name().to_owned(), did: "records written", done, of, bytes });
    })
    .await;
    meter.end();
    let done = exported?;
    if options.json {
        writeln!(out, "{}", json!({"records_written": done.records, "bytes_written": done.bytes}))?;
    } else {
        writeln!(out, "{} records of {} added", done.records, size(done.bytes))?;
    }
    Ok(())
}
