//! Block headers and their digest.

use super::grandpa::ScheduledChange;
use crate::id::{BlockRef, Hash, Height};
use codec::{Decode, Encode};

/// Engine id of GRANDPA in digests and justifications: ASCII `FRNK` (`sp_consensus_grandpa::GRANDPA_ENGINE_ID`).
pub const GRANDPA_ENGINE: [u8; 4] = *b"FRNK";

/// A block header of either chain (`sp_runtime::generic::Header<u32, BlakeTwo256>`).
///
/// Layout: parent hash (32) ‖ number (compact) ‖ state root (32) ‖ extrinsics root (32) ‖ digest items.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Header {
    /// Hash of the header before it.
    pub parent_hash: Hash,
    /// Block number.
    #[codec(compact)]
    pub number: u32,
    /// Root of the state after this block.
    pub state_root: Hash,
    /// Root of the block's extrinsics.
    pub extrinsics_root: Hash,
    /// What consensus engines left in the header.
    pub digest: Vec<DigestItem>,
}

impl Header {
    /// A header of which only the number means something, as bridges send it beside storage changes.
    pub fn numbered(height: Height) -> Self {
        Self {
            parent_hash: Hash::default(),
            number: height.0,
            state_root: Hash::default(),
            extrinsics_root: Hash::default(),
            digest: Vec::new(),
        }
    }

    /// The block's number.
    pub fn height(&self) -> Height {
        Height(self.number)
    }

    /// BLAKE2b-256 of the SCALE encoding.
    pub fn hash(&self) -> Hash {
        Hash::of(&self.encode())
    }

    /// Number and hash.
    pub fn block_ref(&self) -> BlockRef {
        BlockRef { height: self.height(), hash: self.hash() }
    }

    /// The first GRANDPA digest item that decodes to a scheduled change of authorities.
    ///
    /// Items that do not decode and other variants are skipped, as pRuntime does.
    pub fn scheduled_change(&self) -> Option<ScheduledChange> {
        self.digest.iter().find_map(|item| match item {
            DigestItem::Consensus(GRANDPA_ENGINE, data) => ScheduledChange::from_log(data),
            _ => None,
        })
    }
}

/// One digest item (`sp_runtime::generic::DigestItem`).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum DigestItem {
    /// Anything else.
    #[codec(index = 0)]
    Other(Vec<u8>),
    /// A message from the runtime to a consensus engine.
    #[codec(index = 4)]
    Consensus([u8; 4], Vec<u8>),
    /// A seal, last in the digest.
    #[codec(index = 5)]
    Seal([u8; 4], Vec<u8>),
    /// A message from a consensus engine to the runtime.
    #[codec(index = 6)]
    PreRuntime([u8; 4], Vec<u8>),
    /// The runtime environment changed in this block.
    #[codec(index = 8)]
    RuntimeEnvironmentUpdated,
}
