//! A two-chain dev network and dev workers: real FRAME runtimes executed natively.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod chain;
pub mod finality;
pub mod network;
pub mod pccs;
pub mod rpc;
pub mod runtime;
pub mod worker;
