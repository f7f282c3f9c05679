//! Dev worker: an HTTP server that speaks a worker's pRPC protocol and believes nothing.
//!
//! It is a light client of the relay chain, proves parachain headers against it, recomputes every
//! state root from the storage changes it is fed, and acts on the messages it finds in that state:
//! the rules and error texts are those of pRuntime 2.2.0, or of an older version on request. It has no
//! enclave, no contracts and is never a gatekeeper.
//!
//! It shares no code with the bridge that drives it. A common mistake would go unnoticed otherwise.

mod egress;
mod identity;
mod keys;
mod local_report;
mod quote;

pub mod config;
pub mod error;
pub mod fleet;
pub mod http;
pub mod light;
pub mod machine;
pub mod methods;
pub mod pb;
pub mod phactory;
pub mod proof;
pub mod scale;
pub mod state;
pub mod sync;
pub mod vault;
pub mod version;

pub use self::config::{AttestationMode, WorkerConfig};
pub use self::error::{Error, Result};
pub use self::fleet::{Fleet, FleetConfig};
pub use self::http::{Fault, FaultRule, WorkerHandle, WorkerServer};
pub use self::phactory::{Mode, Phactory, Restart};
pub use self::state::NodeStore;
pub use self::version::Version;
