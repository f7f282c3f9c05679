//! Chain access: transactions, chain state, sources and proof verification.
//!
//! Everything can be made while nodes are down: nothing is asked before the first call, and what fails names the node without
//! what is secret in its address.
//!
//! ```
//! use prb_chain::node_source::{NodeSource, SourceOptions};
//! use prb_core::port::BlockSource;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let source = NodeSource::new("ws://127.0.0.1:9", "ws://user:password@127.0.0.1:9", SourceOptions::default());
//! let error = source.tips().await.unwrap_err().to_string();
//! assert!(error.contains("127.0.0.1:9") && !error.contains("password"), "{error}");
//! # }
//! ```
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
