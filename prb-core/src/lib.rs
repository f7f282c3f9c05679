//! Domain types, decisions, ports and pipelines of prb, the bridge between a Substrate relay chain,
//! a Phala-like parachain and their TEE workers.
//!
//! Everything outside [`port`] and the pipelines is plain synchronous values: no socket, no disk, no clock,
//! no randomness. Adapters (`prb-store`, `prb-chain`, `prb-worker`) implement the ports and never know each
//! other; data flows one way: chain → store → worker → transactions.
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
