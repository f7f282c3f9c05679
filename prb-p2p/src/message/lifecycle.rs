//! Package `prb.lifecycle`: pools and workers of a lifecycle manager.

use super::{Pool, QueryIdentity, Worker, message};

message! {
    /// `UuidQueryRequest`.
    pub struct UuidQueryRequest {
        /// Ids of records; none is all where that makes sense.
        [string, repeated, tag = "1"] ids: Vec<String>,
    }
}

message! {
    /// `CreatePool`.
    pub struct CreatePool {
        /// What to create.
        [message, repeated, tag = "1"] pools: Vec<Pool>,
    }
}

message! {
    /// `UpdatePool.Item`.
    pub struct UpdatePoolItem {
        /// Which pool.
        [message, optional, tag = "1"] id: Option<QueryIdentity>,
        /// What it is to be: the whole record, or that it is deleted.
        [message, optional, tag = "2"] pool: Option<Pool>,
    }
}

message! {
    /// `UpdatePool`.
    pub struct UpdatePool {
        /// What to change.
        [message, repeated, tag = "1"] items: Vec<UpdatePoolItem>,
    }
}

message! {
    /// `CreateWorker`.
    pub struct CreateWorker {
        /// What to create.
        [message, repeated, tag = "1"] workers: Vec<Worker>,
    }
}

message! {
    /// `UpdateWorker.Item`.
    pub struct UpdateWorkerItem {
        /// Which worker.
        [message, optional, tag = "1"] id: Option<QueryIdentity>,
        /// What it is to be: the whole record, or that it is deleted.
        [message, optional, tag = "2"] worker: Option<Worker>,
    }
}

message! {
    /// `UpdateWorker`.
    pub struct UpdateWorker {
        /// What to change.
        [message, repeated, tag = "1"] items: Vec<UpdateWorkerItem>,
    }
}

message! {
    /// `PoolList`.
    pub struct PoolList {
        /// The pools.
        [message, repeated, tag = "1"] pools: Vec<Pool>,
    }
}

message! {
    /// `WorkerList`.
    pub struct WorkerList {
        /// The workers.
        [message, repeated, tag = "1"] workers: Vec<Worker>,
    }
}
