//! One conformance suite per port: each checks the port's written contract against an adapter.
//!
//! Suites panic with the broken clause, as tests do.

pub mod chain_state;
pub mod sink;
pub mod source;
pub mod store;
pub mod worker;
