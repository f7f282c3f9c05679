//! Whether files hold the chain that the store holds, where both hold blocks.

use super::StoreCommandError;
use crate::archive_source::HeaderFiles;
use prb_core::{
    id::{Hash, Height},
    pipeline::ingest::IngestError,
    port::{BlobStore, StoreError, Stream},
    span::Span,
};
use serde_json::{Value, json};

/// The last blocks that both hold, the same ones; none where nothing was compared.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compared {
    relay: Option<Height>,
    para: Option<Height>,
}

impl Compared {
    pub(super) fn json(self) -> Value {
        json!({"relay": self.relay.map(|at| at.0), "para": self.para.map(|at| at.0)})
    }

    /// None if nothing was compared.
    pub(super) fn text(self) -> Option<String> {
        let named = |chain: &str, at: Option<Height>| at.map(|at| format!("{chain} block {at}"));
        let blocks = [named("relay", self.relay), named("para", self.para)];
        let blocks: Vec<_> = blocks.into_iter().flatten().collect();
        (!blocks.is_empty()).then(|| blocks.join(" and "))
    }
}

/// Compares the last headers that both hold, and so, as every header names the one before, all before them. Where they
/// differ, the error names the first that does.
pub(super) async fn compare(
    store: &dyn BlobStore,
    files: &dyn HeaderFiles,
) -> Result<Compared, StoreCommandError> {
    let Some(coverage) = store.coverage().await? else { return Ok(Compared::default()) };
    let relay = compare_stream(store, coverage.relay, files, Stream::RelayHeaders).await?;
    let para = compare_stream(store, coverage.para, files, Stream::ParaHeaders).await?;
    Ok(Compared { relay, para })
}

async fn compare_stream(
    store: &dyn BlobStore,
    stored: Option<Span>,
    files: &dyn HeaderFiles,
    stream: Stream,
) -> Result<Option<Height>, StoreCommandError> {
    let (Some(stored), Some(held)) = (stored, files.heights(stream)) else { return Ok(None) };
    let (first, last) = (stored.first().max(held.first()), stored.last().min(held.last()));
    if first > last {
        return Ok(None);
    }
    let pair = async |at: Height| -> Result<(Hash, Hash), StoreCommandError> {
        let stored = store.read(stream, Span::one(at), usize::MAX).await?.pop();
        let stored = stored.ok_or(StoreError::Damaged { stream, height: at })?;
        let found = files.header(stream, at).await.map_err(IngestError::from)?;
        Ok((Hash::of(&stored.bytes), Hash::of(&found)))
    };
    let (mut stored, mut found) = pair(last).await?;
    if stored == found {
        return Ok(Some(last));
    }
    // The first that differs lies in `low..=high`; the one at `high` does.
    let (mut low, mut high) = (first, last);
    while low < high {
        let middle = Height(low.0 + (high.0 - low.0) / 2);
        let (here, there) = pair(middle).await?;
        if here == there {
            low = middle.next();
        } else {
            (high, stored, found) = (middle, here, there);
        }
    }
    let chain = if stream == Stream::RelayHeaders { "relay" } else { "parachain" };
    Err(StoreCommandError::Fork { from: files.endpoint(), chain, at: high, found, stored })
}
