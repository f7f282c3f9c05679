//! Peer-to-peer network of prb.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod message;
pub mod method;
