//! Conformance of [`WorkerDriver`]s.
//!
//! ```ignore
//! conform::worker::all(|| async { MyBench::start().await }).await;
//! ```
//!
//! The suite drives a worker that *validates* through the values of [`vectors`], then makes it misbehave and checks
//! what the driver says of it.

mod session;
mod trouble;
pub mod vectors;

use crate::port::worker::WorkerDriver;
use std::{sync::Arc, time::Duration};

/// A driver under test with a worker behind it.
///
/// The worker is fresh (not initialised, no sealed key), of version 2.2.0, offers no attestation and follows the
/// rules of a pRuntime for what it is sent.
pub trait Bench: Send + Sync {
    /// The driver. Every deadline it has is [`Self::deadline`].
    fn driver(&self) -> Arc<dyn WorkerDriver>;

    /// The deadline of every call: long enough for an honest answer, short enough to wait for a few times.
    fn deadline(&self) -> Duration;

    /// Makes the worker misbehave at the next call it gets, and only then.
    fn next(&self, trouble: Trouble);

    /// The most calls the worker ever had in progress at once.
    fn peak_in_flight(&self) -> usize;
}

/// How a worker misbehaves at one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It never answers.
    Hang,
    /// It answers one byte a second.
    Trickle,
    /// It closes the connection without answering.
    Break,
    /// It does what it is asked, then closes the connection without answering.
    BreakAfter,
    /// It refuses with an application error of this text.
    Refuse(&'static str),
    /// It says that it could not decode the request.
    BadRequest,
    /// It does not know the method.
    NoMethod,
    /// It answers well-formed nonsense: success, with a body that is no message.
    Garbage,
    /// It answers more than the driver's cap.
    Oversize,
}

/// Runs the whole suite, each part on a bench of its own.
///
/// # Panics
///
/// With the clause of the contract that does not hold.
pub async fn all<B: Bench, F: Future<Output = B>>(bench: impl Fn() -> F) {
    session::a_fresh_worker_is_described(&bench().await).await;
    session::a_worker_is_led_from_init_to_registration(&bench().await).await;
    session::refusals_of_a_session_are_told_by_kind(&bench().await).await;
    session::nothing_accepted_is_none(&bench().await).await;
    session::a_chain_state_is_loaded(&bench().await).await;
    trouble::calls_wait_for_each_other(&bench().await).await;
    trouble::every_trouble_ends_in_time_with_its_own_error(&bench().await).await;
    trouble::a_trickle_is_cut_off_in_time(&bench().await).await;
    trouble::refusals_are_told_by_their_text(&bench().await).await;
    trouble::a_call_behind_a_hung_one_is_served(&bench().await).await;
    trouble::a_dropped_call_leaves_the_driver_usable(&bench().await).await;
    trouble::a_call_without_answer_may_have_acted(&bench().await).await;
    trouble::stopping_succeeds_when_the_connection_breaks(&bench().await).await;
}
