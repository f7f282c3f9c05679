//! The data directory, as far as there is one.

use super::{Item, Verdict};
use crate::{config::Config, identity::IdentityError, inventory::Inventory};
use prb_core::{
    fault::unusable,
    id::{BlockRef, Hash, Height},
    port::{BlobStore, ChainIdentity, Stream},
    span::Span,
};
use prb_store::{LmdbOptions, LmdbStore};
use serde_json::json;
use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

pub(super) async fn items(config: &Config) -> Vec<Item> {
    const KEY: &str = "data_dir";
    let shown = config.data_dir.display().to_string();
    match place(&config.data_dir) {
        Ok(true) => {}
        Ok(false) => {
            return vec![Item::new(KEY, shown, Verdict::Fine, "made by the first command that needs it")];
        }
        Err(cause) => return vec![Item::wrong(KEY, shown, cause)],
    }
    let (mut wrongs, mut facts, mut operators, mut note) = (Vec::new(), json!({}), Vec::new(), None);
    match Inventory::look(&config.inventory_dir()) {
        Ok(Some(found)) => {
            facts["operators"] = json!(found.operators.len());
            facts["pools"] = json!(found.pools);
            facts["workers"] = json!(found.workers);
            note = found.outlook();
            operators = found.operators;
        }
        Ok(None) => {}
        Err(cause) => wrongs.push(cause.to_string()),
    }
    match config.keyring().existing(&operators) {
        Ok(_) | Err(IdentityError::None(_)) => {}
        Err(cause) => wrongs.push(cause.to_string()),
    }
    let says = facts["workers"].as_u64().map(|workers| format!("{workers} workers in the inventory"));
    let item = if !wrongs.is_empty() {
        Item::wrong(KEY, shown, wrongs.join("; "))
    } else if let Some(note) = note {
        Item::new(KEY, shown, Verdict::Note, note)
    } else {
        Item::new(KEY, shown, Verdict::Fine, says.unwrap_or_default())
    };
    vec![item.with(facts)]
}

/// Whether there is a folder that can be written; false where one can be made. Why not, with the remedy.
fn place(folder: &Path) -> Result<bool, String> {
    let is_there = |path: &Path| match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(unusable("look for", path, &cause)),
    };
    for path in folder.ancestors() {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        // A link is there though it leads nowhere, and nothing can be made in its place.
        if !is_there(path)? {
            continue;
        }
        let found = fs::metadata(path).map_err(|cause| unusable("follow", path, &cause))?;
        if !found.is_dir() {
            let path = path.display();
            return Err(format!("{path} is no folder; name another data_dir, or move the file away"));
        }
        writable(path).map_err(|cause| unusable("write to", path, &cause))?;
        return Ok(path == folder);
    }
    Ok(false)
}

/// Whether this user may make files in a folder. Nothing is made to find out.
#[cfg(unix)]
fn writable(folder: &Path) -> io::Result<()> {
    use rustix::fs::{Access, access};
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

#[cfg(not(unix))]
fn writable(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The store there, if it has begun.
pub(super) struct Stored {
    store: LmdbStore,
    /// Which chains it is of.
    pub(super) chain: ChainIdentity,
}

impl Stored {
    pub(super) async fn open(config: &Config) -> Option<Self> {
        let store = LmdbStore::open_read_only(config.blobs_dir(), LmdbOptions::default()).ok()?;
        let chain = store.genesis().await.ok()??.identity();
        Some(Self { store, chain })
    }

    /// The newest block with a header in this stream that a node with this finalized head must have too.
    pub(super) async fn common(&self, headers: Stream, finalized: Height) -> Option<BlockRef> {
        let coverage = self.store.coverage().await.ok()??;
        let span = if headers == Stream::RelayHeaders { coverage.relay } else { coverage.para }?;
        let height = span.last().min(finalized);
        let one = Span::new(height, height).filter(|_| span.contains(height))?;
        let header = self.store.read(headers, one, usize::MAX).await.ok()?.pop()?;
        Some(BlockRef { height, hash: Hash::of(&header.bytes) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn where_no_folder_can_be_made_is_seen_without_making_one() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink(at("nowhere"), at("dangling")).unwrap();
        std::os::unix::fs::symlink(at("circle"), at("circle")).unwrap();
        assert_eq!(place(root.path()), Ok(true));
        assert_eq!(place(&at("a/b/c")), Ok(false));
        for (name, words) in [
            ("file", "is no folder"),
            ("file/below", "Not a directory"),
            ("dangling", "No such file"),
            ("dangling/below", "No such file"),
            ("circle/below", "symbolic links"),
        ] {
            let refused = place(&at(name)).unwrap_err();
            assert!(refused.contains(words) && refused.contains("; "), "{name}: {refused}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3, "nothing was made");
    }
}
