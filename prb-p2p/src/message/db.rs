//! Package `prb.db`: what v2 keeps in its databases.

use super::{FullAccount, message};
use bytes::Bytes;

message! {
    /// `ParentBlock`: a block of the relay chain.
    pub struct ParentBlock {
        /// Its height.
        [uint32, optional, tag = "1"] number: Option<u32>,
        /// Its hash.
        [bytes = "bytes", optional, tag = "2"] hash: Option<Bytes>,
        /// Its header, SCALE.
        [bytes = "bytes", optional, tag = "3"] header: Option<Bytes>,
        /// Authority set that finalizes it.
        [uint32, optional, tag = "4"] set_id: Option<u32>,
        /// Whether a justification of it is known.
        [bool, optional, tag = "5"] has_justification: Option<bool>,
        /// Header with justification, SCALE.
        [bytes = "bytes", optional, tag = "6"] sync_header_data: Option<Bytes>,
        /// The authority set that follows, with its proof, SCALE.
        [bytes = "bytes", optional, tag = "7"] authority_set_change: Option<Bytes>,
        /// Height of the parachain it finalizes.
        [uint32, optional, tag = "8"] para_number: Option<u32>,
        /// Proof of that.
        [bytes = "bytes", optional, tag = "9"] para_proof: Option<Bytes>,
    }
}

message! {
    /// `ParaBlock`: a block of the parachain. Number 4 is not used.
    pub struct ParaBlock {
        /// Its height.
        [uint32, optional, tag = "1"] number: Option<u32>,
        /// Its hash.
        [bytes = "bytes", optional, tag = "2"] hash: Option<Bytes>,
        /// Its header, SCALE.
        [bytes = "bytes", optional, tag = "3"] header: Option<Bytes>,
        /// Header with storage changes, SCALE.
        [bytes = "bytes", optional, tag = "5"] dispatch_block_data: Option<Bytes>,
    }
}

message! {
    /// `Genesis`: what a worker begins with.
    pub struct Genesis {
        /// Id of the parachain.
        [uint32, optional, tag = "1"] para_id: Option<u32>,
        /// Height of the parachain it begins at.
        [uint32, optional, tag = "2"] para_number: Option<u32>,
        /// Height of the relay chain it begins at.
        [uint32, optional, tag = "3"] parent_number: Option<u32>,
        /// Header, authority set and proof of the relay chain, SCALE.
        [bytes = "bytes", optional, tag = "4"] bridge_genesis_info: Option<Bytes>,
        /// State of the parachain, SCALE.
        [bytes = "bytes", optional, tag = "5"] genesis_state: Option<Bytes>,
    }
}

message! {
    /// `Window`: blocks between two changes of the authority set. -1 is: not known yet.
    pub struct Window {
        /// First height of the relay chain.
        [int32, optional, tag = "1"] parent_start_block: Option<i32>,
        /// Last height of the relay chain.
        [int32, optional, tag = "2"] parent_stop_block: Option<i32>,
        /// First height of the parachain.
        [int32, optional, tag = "3"] para_start_block: Option<i32>,
        /// Last height of the parachain.
        [int32, optional, tag = "4"] para_stop_block: Option<i32>,
        /// Its number.
        [int32, optional, tag = "5"] window_id: Option<i32>,
        /// Its authority set.
        [int32, optional, tag = "6"] set_id: Option<i32>,
        /// Whether all of it is there.
        [bool, optional, tag = "7"] is_finished: Option<bool>,
    }
}

message! {
    /// `RangeMeta`: blocks that are synchronised in one go.
    pub struct RangeMeta {
        /// First height of the relay chain.
        [uint32, optional, tag = "1"] parent_start_block: Option<u32>,
        /// Last height of the relay chain.
        [uint32, optional, tag = "2"] parent_stop_block: Option<u32>,
        /// First height of the parachain; -1 if there is none.
        [int32, optional, tag = "3"] para_start_block: Option<i32>,
        /// Last height of the parachain; -1 if there is none.
        [int32, optional, tag = "4"] para_stop_block: Option<i32>,
        /// Heights of the relay chain.
        [uint32, repeated, tag = "5"] parent_range: Vec<u32>,
        /// Heights of the parachain.
        [uint32, repeated, tag = "6"] para_range: Vec<u32>,
        /// Key of the request without blocks.
        [string, optional, tag = "7"] dry_sync_header_req_key: Option<String>,
        /// Authority set at its end.
        [int32, optional, tag = "8"] latest_set_id: Option<i32>,
        /// Last height of the relay chain in its blob.
        [uint32, optional, tag = "9"] blob_parent_stop_block: Option<u32>,
        /// Last height of the parachain in its blob.
        [int32, optional, tag = "10"] blob_para_stop_block: Option<i32>,
        /// Key of the request that is its blob.
        [string, optional, tag = "11"] blob_sync_header_req_key: Option<String>,
    }
}

message! {
    /// `Pool`: a stake pool, as a lifecycle manager keeps it.
    pub struct Pool {
        /// Id of its record.
        [string, optional, tag = "1"] uuid: Option<String>,
        /// Its operator.
        [message, optional, tag = "2"] owner: Option<FullAccount>,
        /// Its `pid` on chain.
        [uint64, optional, tag = "3"] pid: Option<u64>,
        /// Its name.
        [string, optional, tag = "4"] name: Option<String>,
        /// Whether anything is sent to its workers.
        [bool, optional, tag = "5"] enabled: Option<bool>,
        /// Whether it is to be removed.
        [bool, optional, tag = "6"] deleted: Option<bool>,
        /// Account on whose behalf its operator signs.
        [string, optional, tag = "7"] real_phala_ss58: Option<String>,
        /// Whether its workers are only kept in step.
        [bool, optional, tag = "8"] sync_only: Option<bool>,
    }
}

message! {
    /// `Worker`: a worker, as a lifecycle manager keeps it.
    pub struct Worker {
        /// Id of its record.
        [string, optional, tag = "1"] uuid: Option<String>,
        /// `pid` of its pool.
        [uint64, optional, tag = "2"] pid: Option<u64>,
        /// Its name.
        [string, optional, tag = "3"] name: Option<String>,
        /// Base URL of its private port.
        [string, optional, tag = "4"] endpoint: Option<String>,
        /// Whether anything is sent to it.
        [bool, optional, tag = "5"] enabled: Option<bool>,
        /// Whether it is to be removed.
        [bool, optional, tag = "6"] deleted: Option<bool>,
        /// Its stake, planck in decimal digits.
        [string, optional, tag = "7"] stake: Option<String>,
        /// Whether it is only kept in step.
        [bool, optional, tag = "8"] sync_only: Option<bool>,
    }
}
