//! Where verified chain data is kept: [`LmdbStore`] on disk, [`MemoryStore`] in memory. A [`Server`] gives it to other
//! machines, where a [`RemoteStore`] reads it; an [`archive`] is the same as
//! files, and [`records`] are those of headers-cache.
//!
//! Both stores implement [`BlobStore`](prb_core::port::BlobStore) and [`NodeStore`](prb_core::port::NodeStore), are cheap to
//! clone, and pass the suite `prb_core::testkit::conform::store`.
//!
//! ```
//! use prb_core::port::BlobStore;
//! use prb_store::{MemoryStore, RemoteOptions, RemoteStore, Server, ServerOptions};
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new(Arc::new(MemoryStore::new()), ServerOptions::default());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("http://{}", listener.local_addr()?);
//! let serving = tokio::spawn({
//!     let server = server.clone();
//!     async move { server.serve(listener).await }
//! });
//!
//! let remote = RemoteStore::new(RemoteOptions::default());
//! remote.add_provider(&url)?;
//! remote.ready().await;
//! assert_eq!(remote.coverage().await?, None, "nothing is stored yet");
//! server.stop();
//! serving.await?;
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod archive;
mod cache;
mod compress;
mod extent;
mod flight;
mod lmdb;
mod memory;
mod nodes;
pub mod records;
pub mod remote;
pub mod server;
mod shared;
pub mod tls;

pub use lmdb::{
    Counts, Damage, FORMAT, LmdbOptions, LmdbStore, Part, Progress, PruneError, PrunePlan, Pruning, Stat,
    StoredItem, TableStat, Tally, Verification,
};
#[cfg(any(test, feature = "testkit"))]
pub use lmdb::{FailPoint, Failing, Step};
pub use memory::MemoryStore;
pub use remote::{RemoteOptions, RemoteStore};
pub use server::{Server, ServerOptions};
pub use shared::{SharedOptions, SharedStore};
