//! Peer-to-peer network of prb: nodes find each other and call each other's methods. It knows nothing of chains and
//! workers, so it can be embedded alone.
//!
//! It speaks what PRB v2 calls Walkie, so nodes of v2 take part: libp2p over TCP with Noise, yamux or mplex, and the
//! protocol `/pb`, a stream per call with one protobuf [`message`] each way. Nodes are found by boot
//! nodes, by mDNS, and by asking nodes that are known (the DHT `/ipfs/lan/kad/1.0.0`, of which only the routing is used).
//! A node that is found is asked who it is (`Hello`), again and again: one that moves is followed, one that is gone is
//! dropped.
//!
//! What peers say is not trusted: only their ids are proven. Names of hosts are taken from [`Options::boot_nodes`] alone.
//!
//! Whatever peers may cost has a bound ([`Limits`]). Memory, with the limits of [`Limits::default`]: what they sent and
//! nobody read takes 1 GiB at most on connections they opened and 1 GiB on ours ([`Limits::unread_bytes`]), requests that
//! are read 768 MiB (64 of 4 MiB, and the windows that yamux opened for them), answers on their way to peers 256 MiB,
//! answers that are read 256 MiB and 16 MiB for small ones. A machine with less memory wants smaller limits.
//!
//! Who must be kept out is kept out by a [`PreSharedKey`] or by [`Options::allowed`].
//!
//! ```
//! use async_trait::async_trait;
//! use bytes::Bytes;
//! use prb_p2p::{Caller, Identity, Me, Network, Options, Service, message::{ErrorKind, ResponseError, Role}, method::Method};
//! use std::sync::Arc;
//!
//! struct Provider;
//!
//! #[async_trait]
//! impl Service for Provider {
//!     async fn answer(&self, _: &Caller, method: Method, _: Bytes) -> Result<Bytes, ResponseError> {
//!         match method {
//!             Method::GetDataProviderInfo => Ok(Bytes::from_static(b"\x08\x02")),
//!             _ => Err(ResponseError::new(ErrorKind::NotFound, "no such thing here")),
//!         }
//!     }
//! }
//!
//! fn options(role: Role) -> Options {
//!     let me = Me {
//!         role,
//!         hostname: "here".into(),
//!         chain_identity: "client".into(),
//!         bridge_identity: "example".into(),
//!     };
//!     let listen = vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
//!     Options { listen, mdns: false, ..Options::new(Identity::random(), me) }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let provider = Network::start(options(Role::DataProvider), Arc::new(Provider)).await?;
//! let boot_nodes = provider.listening();
//! let asker = Network::start(Options { boot_nodes, ..options(Role::Client) }, Arc::new(Provider)).await?;
//!
//! asker.changes().wait_for(|_| !asker.peers().is_empty()).await?;
//! let answer = asker.call(&provider.peer_id(), "GetDataProviderInfo", Bytes::new()).await?;
//! assert_eq!(answer.result, Ok(Bytes::from_static(b"\x08\x02")));
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod identity;
pub mod message;
pub mod method;
pub mod network;
mod private;
mod psk;

pub use identity::{Identity, IdentityError};
pub use network::{
    Answer, CallError, Caller, Limits, Me, Multiaddr, Network, Options, Peer, PeerId, Service, StartError,
    TcpAddress,
};
pub use psk::{PreSharedKey, PreSharedKeyError};
