//! What is sent to a worker to keep it in step with the chains.

use super::{
    grandpa::{AuthoritySet, StorageProof},
    header::Header,
};
use codec::{Decode, Encode};
use std::fmt;

/// Where a worker starts on the relay chain (`phactory_api::blocks::GenesisBlockInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct GenesisBlockInfo {
    /// The start header; its hash identifies the chain to the worker.
    pub block_header: Header,
    /// The set that finalizes the blocks after it.
    pub authority_set: AuthoritySet,
    /// Read proof of the authority list against the header's state root.
    pub proof: StorageProof,
}

/// A header with the justification that the last of a batch carries (`phactory_api::blocks::HeaderToSync`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HeaderToSync {
    /// The header.
    pub header: Header,
    /// Encoded [`super::grandpa::Justification`].
    pub justification: Option<Vec<u8>>,
}

/// All key/value pairs of a main state trie (`phactory_api::blocks::StorageState`).
pub type StorageState = Vec<(Vec<u8>, Vec<u8>)>;

/// Changed keys of one trie; `None` deletes.
pub type StorageCollection = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// What one block changed (`phactory_api::storage_sync` / `sc_client_api` overlay order).
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct StorageChanges {
    /// Changes of the main trie.
    pub main_storage_changes: StorageCollection,
    /// Changes of child tries, by un-prefixed child trie key.
    pub child_storage_changes: Vec<(Vec<u8>, StorageCollection)>,
}

/// Which of a block's keys its [`StorageChanges`] name. The state root they lead to is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ChangesForm {
    /// All that the block wrote, in the order of the overlay: a key written with the value it had may be among them
    /// (`pha_getStorageChanges`).
    Written,
    /// What differs between the states before and after the block, keys ascending (`archive_v1_storageDiff`).
    Diff,
    /// Some blocks may be of either form, or nobody has said.
    Mixed,
}

impl ChangesForm {
    const ALL: [Self; 3] = [Self::Written, Self::Diff, Self::Mixed];

    /// Its name in commands, files and answers: `pha`, `diff` or `mixed`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Written => "pha",
            Self::Diff => "diff",
            Self::Mixed => "mixed",
        }
    }

    /// The one with that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    /// The form of blocks of both forms together.
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Mixed }
    }
}

impl fmt::Display for ChangesForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A block as `DispatchBlocks` wants it; workers read only the number of the header
/// (`phactory_api::blocks::BlockHeaderWithChanges`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BlockHeaderWithChanges {
    /// Header of the block.
    pub block_header: Header,
    /// What the block changed.
    pub storage_changes: StorageChanges,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_keep_their_names_and_mix_when_they_differ() {
        use ChangesForm::{Diff, Mixed, Written};
        for (form, name, code) in [(Written, "pha", 0), (Diff, "diff", 1), (Mixed, "mixed", 2)] {
            assert_eq!((ChangesForm::named(name), form.encode()), (Some(form), vec![code]));
            assert_eq!((form.and(form), form.and(Mixed)), (form, Mixed));
        }
        assert_eq!((Written.and(Diff), Diff.and(Written)), (Mixed, Mixed));
        assert_eq!(ChangesForm::named("Diff"), None);
    }
}
