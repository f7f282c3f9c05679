//! Package `prb` of `worker`.

use super::{Worker, message, numbers};

numbers! {
    /// `WorkerState.Status`.
    pub enum WorkerStatus {
        /// Nothing is done with it.
        Idle = 0 "S_IDLE",
        /// It is looked at and initialised.
        Starting = 1 "S_STARTING",
        /// Blocks are sent to it.
        Synching = 2 "S_SYNCHING",
        /// It has all blocks.
        Synched = 3 "S_SYNCHED",
        /// It is registered, bound and started.
        PreActive = 4 "S_PRE_ACTIVE",
        /// It computes.
        Active = 5 "S_ACTIVE",
        /// It was told to stop.
        Kicked = 6 "S_KICKED",
        /// It failed.
        Error = 7 "S_ERROR",
    }
}

message! {
    /// `WorkerState`. Number 7 is not used.
    pub struct WorkerState {
        /// What is done with it.
        [enumeration(WorkerStatus), optional, tag = "1"] status: Option<i32> => WorkerStatus,
        /// Header of the relay chain it has; -1 if none.
        [int32, optional, tag = "2"] parent_header_synched_to: Option<i32>,
        /// Header of the parachain it has; -1 if none.
        [int32, optional, tag = "3"] para_header_synched_to: Option<i32>,
        /// Block of the parachain it has; -1 if none.
        [int32, optional, tag = "4"] para_block_dispatched_to: Option<i32>,
        /// Whether it is initialised.
        [bool, optional, tag = "5"] initialized: Option<bool>,
        /// Its record.
        [message, optional, tag = "6"] worker: Option<Worker>,
        /// Its public key, hex without 0x.
        [string, optional, tag = "8"] public_key: Option<String>,
        /// Newest message about it.
        [string, optional, tag = "9"] last_message: Option<String>,
        /// Its session on chain and what it says of itself, JSON.
        [string, optional, tag = "10"] session_info_json: Option<String>,
        /// Account of its session.
        [string, optional, tag = "11"] worker_account_id: Option<String>,
    }
}

message! {
    /// `PoolOrWorkerQueryIdentity`: which pool or worker. v2 looks at `uuid`, else `name`, else `pid`.
    pub struct QueryIdentity {
        /// Id of its record.
        [string, optional, tag = "1"] uuid: Option<String>,
        /// Its name.
        [string, optional, tag = "2"] name: Option<String>,
        /// Its `pid`, of pools only.
        [uint64, optional, tag = "3"] pid: Option<u64>,
    }
}

message! {
    /// `QueryWorkerState`.
    pub struct QueryWorkerState {
        /// Which of them.
        [message, repeated, tag = "1"] ids: Vec<QueryIdentity>,
    }
}

message! {
    /// `WorkerStateUpdate`.
    pub struct WorkerStateUpdate {
        /// The workers.
        [message, repeated, tag = "1"] worker_states: Vec<WorkerState>,
    }
}
