//! The six ports: what the core asks of the outside, as object-safe traits with a written contract. ([`KeyHandover`] is what
//! a driver of workers may do besides.)
//!
//! `testkit::conform` checks each contract; run it on your own adapter in one line.
//!
//! # What every adapter owes
//!
//! - **Every call ends.** An adapter knows how long an answer may take, its caller does not: each wait of its own has
//!   a deadline, after which the call fails with an error whose `fault()` says what may be done. The pipelines drop a
//!   step that lasts two hours, and say so; that is for broken adapters and no substitute for a deadline.
//! - **A call may be dropped.** Dropping a returned future at any moment leaves the adapter usable. What the call was
//!   doing is then done or not done, never half done; the caller asks before it decides anew.
//! - **Every answer is bounded**, in bytes where the other side decides on the size.
//! - **Errors carry no secrets**: endpoints are named without credentials.

pub mod chain_state;
pub mod collateral;
pub mod handover;
pub mod sink;
pub mod source;
pub mod store;
pub mod worker;

pub use chain_state::{ChainState, StateError};
pub use collateral::{CollateralError, CollateralSource};
pub use handover::KeyHandover;
pub use sink::{CallResult, JobState, Outcome, SinkError, TxSink, Unsettled};
pub use source::{
    Answer, BlockSource, ChainIdentity, Genesis, Origin, ParaHead, RelayBatch, SourceError, Tips,
};
pub use store::{
    Append, Blob, BlobStore, Coverage, Cursor, NodeChange, NodeStore, RelayAppend, Rung, StoreError, Stream,
};
pub use worker::{WorkerDriver, WorkerError, WorkerInfo};
