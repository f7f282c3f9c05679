//! Drives a TEE worker: the [`WorkerDriver`](prb_core::port::WorkerDriver) port over pRPC, which is protobuf
//! over HTTP/1.1 (`POST {base}/prpc/PhactoryAPI.{Method}`), and what vouches for DCAP workers from a PCCS ([`Pccs`]).
//!
//! [`PrpcDriver`] makes one call at a time over one kept-alive connection. Request bodies ([`request`]) are lists
//! of shared parts: blobs are framed, never copied, so a block in flight to 500 workers exists once in memory.
//! Replies ([`reply`]) are read up to a cap, within a deadline and at a minimum rate.
//!
//! ```
//! use prb_core::{fault::Fault, port::WorkerDriver};
//! use prb_worker::{Options, PrpcDriver};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let driver = PrpcDriver::new("http://127.0.0.1:9", Options::default())?;
//! // Nobody listens there: an error says what may be done about it.
//! let error = driver.info().await.unwrap_err();
//! assert_ne!(error.fault(), Fault::Stop, "{error}");
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod connect;
mod driver;
mod endpoint;
mod exchange;
mod message;
mod method;
mod options;
mod pccs;
mod refusal;
pub mod reply;
pub mod request;
mod tls;

pub use connect::{Connect, Stream, Tcp};
pub use driver::PrpcDriver;
pub use endpoint::{BadEndpoint, Endpoint};
pub use options::{Deadlines, MinimumRate, Options, ReplyCaps};
pub use pccs::{Pccs, PccsOptions};
pub use tls::{Tls, TlsError};
