//! Package `prb.data_provider`.

use super::{message, numbers};
use bytes::Bytes;

numbers! {
    /// `Status`: what a data provider does.
    pub enum ProviderStatus {
        /// Nothing that is known.
        Unknown = 0 "S_UNKNOWN",
        /// It fetches old blocks; the name is spelt as v2 spells it.
        Synching = 1 "S_SYHCHING",
        /// It follows the chains.
        Idle = 2 "S_IDLE",
    }
}

numbers! {
    /// `BlobType`.
    pub enum BlobType {
        /// Not said.
        Unknown = 0 "BT_UNKNOWN",
        /// A block of the relay chain.
        ParentBlock = 1 "BT_PARENT_BLOCK",
        /// A block of the parachain.
        ParaBlock = 2 "BT_PARA_BLOCK",
    }
}

message! {
    /// `Info`: how far a data provider is, in heights. -1 is: none yet.
    pub struct ProviderInfo {
        /// What it does.
        [enumeration(ProviderStatus), optional, tag = "1"] status: Option<i32> => ProviderStatus,
        /// Id of the parachain.
        [int32, optional, tag = "2"] para_id: Option<i32>,
        /// Height of the relay chain it begins at.
        [int32, optional, tag = "3"] parent_start_header: Option<i32>,
        /// Finalized head of the relay chain.
        [int32, optional, tag = "4"] parent_target: Option<i32>,
        /// Fetched of the relay chain.
        [int32, optional, tag = "5"] parent_fetched_height: Option<i32>,
        /// Assembled of the relay chain.
        [int32, optional, tag = "6"] parent_processed_height: Option<i32>,
        /// Served of the relay chain.
        [int32, optional, tag = "7"] parent_committed_height: Option<i32>,
        /// Finalized head of the parachain.
        [int32, optional, tag = "8"] para_target: Option<i32>,
        /// Fetched of the parachain.
        [int32, optional, tag = "9"] para_fetched_height: Option<i32>,
        /// Assembled of the parachain.
        [int32, optional, tag = "10"] para_processed_height: Option<i32>,
        /// Served of the parachain.
        [int32, optional, tag = "11"] para_committed_height: Option<i32>,
        /// TCP port at which it serves blobs.
        [uint32, optional, tag = "12"] blob_server_port: Option<u32>,
        /// Whether it speaks TLS there; peers of v2 neither send nor know this.
        [bool, optional, tag = "1001"] blob_server_tls: Option<bool>,
    }
}

message! {
    /// `WantBlob`.
    pub struct WantBlob {
        /// Height of the block.
        [uint32, optional, tag = "1"] number: Option<u32>,
        /// Chain of the block.
        [enumeration(BlobType), optional, tag = "2"] kind: Option<i32> => BlobType as "type",
    }
}

message! {
    /// `BlobMeta`.
    pub struct BlobMeta {
        /// Height of the block.
        [uint32, optional, tag = "1"] number: Option<u32>,
        /// Hash of the block.
        [bytes = "bytes", optional, tag = "2"] hash: Option<Bytes>,
        /// Id of the peer that has it.
        [string, optional, tag = "3"] origin_peer: Option<String>,
        /// Chain of the block.
        [enumeration(BlobType), optional, tag = "4"] kind: Option<i32> => BlobType as "type",
        /// What it can be had for.
        [string, optional, tag = "5"] get_token: Option<String>,
        /// How long that holds, Unix milliseconds.
        [uint64, optional, tag = "6"] token_expires_at: Option<u64>,
    }
}

message! {
    /// `GetBlob`.
    pub struct GetBlob {
        /// The token of `BlobMeta`.
        [string, optional, tag = "1"] token: Option<String>,
    }
}

message! {
    /// `Blob`.
    pub struct Blob {
        /// Chain of the block.
        [enumeration(BlobType), optional, tag = "1"] kind: Option<i32> => BlobType as "type",
        /// Height of the block.
        [uint32, optional, tag = "2"] number: Option<u32>,
        /// The block.
        [bytes = "bytes", optional, tag = "3"] data: Option<Bytes>,
    }
}

message! {
    /// `GetBlobByKey`.
    pub struct GetBlobByKey {
        /// Key in the database of a data provider.
        [string, optional, tag = "1"] key: Option<String>,
    }
}

message! {
    /// `RawBlob`.
    pub struct RawBlob {
        /// The key that was asked for.
        [string, optional, tag = "1"] key: Option<String>,
        /// Whether there is nothing.
        [bool, optional, tag = "2"] empty: Option<bool>,
        /// What there is.
        [bytes = "bytes", optional, tag = "3"] data: Option<Bytes>,
    }
}
