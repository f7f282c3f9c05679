//! What tests of adapters and applications need: scripted fakes with seeded faults, and one conformance suite
//! per port.
//!
//! A [`FakeChain`] is a relay chain with a parachain in memory. [`FakeSource`], [`FakeState`] and [`FakeSink`] are
//! ports on it, [`FakeWorker`] is a worker that enforces a pRuntime's rules on what it is sent, and
//! [`ScriptedStore`] puts faults in front of any store. All are handles: clones share one fake, so a test keeps
//! one and hands another to the pipelines. Proofs and signatures are toys ([`toy`]): cheap, but wrong data is
//! refused as real checks refuse it.
//!
//! Each fake has a [`Hook`] that is asked at every call what shall go wrong, and keeps a record of what happened.
//! [`Faults`] fills the hooks from a seed, and [`Observed`] tells what was logged and counted meanwhile.
//!
//! # Virtual time
//!
//! Everything waits on tokio's clock, so run tests on the paused one:
//!
//! ```
//! # use prb_core::testkit::{FakeChain, FakeSource};
//! # use prb_core::port::BlockSource;
//! # use std::time::Duration;
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! let chain = FakeChain::new(7);
//! let source = FakeSource::new(&chain);
//! let pulse = chain.pulse(Duration::from_secs(6)); // a relay block every six seconds
//! tokio::time::sleep(Duration::from_secs(3600)).await; // an hour passes at once
//! assert_eq!(source.tips().await.unwrap().relay.0, chain.start().height.0 + 600);
//! # drop(pulse);
//! # });
//! ```
//!
//! Time jumps to the next timer whenever nothing else is to be done (and never while a blocking task runs), so an
//! hour of a bridge takes milliseconds and one seed gives one run. Wait for a condition with [`eventually`], never with a real sleep.

pub mod chain;
pub mod conform;
pub mod dice;
pub mod faults;
pub mod hook;
pub mod observed;
pub mod quote;
mod runtime;
pub mod sink;
pub mod source;
pub mod state;
pub mod store;
pub mod toy;
pub mod worker;

pub use chain::{ChainBuilder, FakeChain, Meddling, Pulse};
pub use dice::Dice;
pub use faults::Faults;
pub use hook::Hook;
pub use observed::Observed;
pub use sink::{FakeSink, JobFault, SinkCall, SinkFault};
pub use source::{Corruption, FakeSource, SourceCall, SourceFault};
pub use state::{FakeState, StateCall, StateFault};
pub use store::{ScriptedStore, StoreCall, StoreFault};
pub use toy::ToyVerifier;
pub use worker::{FakeWorker, WorkerCall, WorkerFault};

use std::time::Duration;

/// Waits until `holds`, looking every 100 ms of tokio's clock.
///
/// # Panics
///
/// If it does not hold within `patience`; `what` says what was awaited.
pub async fn eventually(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + patience;
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "not within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
