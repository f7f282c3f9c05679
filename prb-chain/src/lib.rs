//! Chain access: transactions, chain state, sources and proof verification.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod calls;
pub mod chain_state;
pub mod headers_cache;
mod http;
pub mod journal;
pub mod keys;
pub mod mirror;
pub mod node_source;
#[cfg(feature = "redis")]
pub mod redis_queue;
pub mod rpc;
pub mod state_copy;
pub mod trader;
pub mod verify;

pub use http::{BadToken, BadUrl, HttpOptions};
