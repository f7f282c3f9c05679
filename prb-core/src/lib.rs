//! Domain types, decisions, ports and pipelines of prb, the bridge between a Substrate relay chain,
//! a Phala-like parachain and their TEE workers.
//!
//! Everything outside [`port`] and the pipelines is plain synchronous values: no socket, no disk, no clock,
//! no randomness. Adapters (`prb-store`, `prb-chain`, `prb-worker`) implement the ports and never know each
//! other; data flows one way: chain → store → worker → transactions.
//!
//! Decisions take what happened and what time it is, and answer what to do. Whether to speak up of something that stands still:
//!
//! ```
//! use prb_core::{moment::Moment, progress::{PATIENCE, Stall, Waiting, Word}};
//! use std::time::Duration;
//!
//! let at = |seconds| Moment(Duration::from_secs(seconds));
//! let waiting = Waiting {
//!     endpoint: "ws://10.0.0.2:9945".to_owned(),
//!     there: None,
//!     what: "finalized relay block 8".to_owned(),
//!     cause: None,
//!     remedy: "see whether the node has peers",
//!     patience: PATIENCE,
//! };
//! let mut stall = Stall::<u32>::default();
//! assert_eq!(stall.observe(at(0), 7, Some(&waiting)), None);
//! assert_eq!(stall.observe(at(10), 7, Some(&waiting)), Some(Word::Stalled(Duration::from_secs(10))));
//! assert_eq!(stall.observe(at(12), 9, Some(&waiting)), None, "it gets on, and may stop again");
//! assert!(matches!(stall.observe(at(22), 12, Some(&waiting)), Some(Word::Over(_))));
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod accept;
pub mod attestation;
pub mod backoff;
pub mod command;
pub mod fault;
pub mod handover;
pub mod id;
pub mod lifecycle;
pub mod moment;
pub mod outbox;
pub mod plan;
pub mod port;
pub mod progress;
pub mod span;
pub mod storage_key;
pub mod surprise;
pub mod tx;
pub mod types;
pub mod wire;

#[cfg(feature = "pipeline")]
pub mod pipeline;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use bytes::Bytes;
