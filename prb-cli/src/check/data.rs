//! The data directory, as far as there is one.

use super::{Item, Verdict};
use crate::{config::Config, identity::IdentityError, inventory::Inventory};
use prb_core::port::{BlobStore, ChainIdentity};
use prb_store::{LmdbOptions, LmdbStore};
use serde_json::json;

pub(super) async fn items(config: &Config) -> Vec<Item> {
    const KEY: &str = "data_dir";
    let shown = config.data_dir.display().to_string();
    match std::fs::metadata(&config.data_dir) {
        Err(_) => {
            return vec![Item::new(KEY, shown, Verdict::Fine, "made by the first command that needs it")];
        }
        Ok(data) if !data.is_dir() => {
            return vec![Item::wrong(
                KEY,
                shown,
                "it is no folder; name another data_dir, or move the file away",
            )];
        }
        Ok(_) => {}
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

/// Which chains the store there is of, if it has begun.
pub(super) async fn stored(config: &Config) -> Option<ChainIdentity> {
    if !config.blobs_dir().exists() {
        return None;
    }
    let store = LmdbStore::open_read_only(config.blobs_dir(), LmdbOptions::default()).ok()?;
    Some(store.genesis().await.ok()??.identity())
}
