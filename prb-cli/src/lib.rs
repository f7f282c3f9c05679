//! The reference deployment of prb: configuration, inventory and services around the libraries.
//!
//! Thin on purpose: the work is in `prb-core` and its adapters; here they are joined.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod account;
pub mod archive_source;
pub mod args;
pub mod bulk;
pub mod check;
pub mod commands;
pub mod config;
pub mod data_provider;
pub mod deployment;
pub mod identity;
pub mod inventory;
pub mod logs;
pub mod manual;
pub mod migrate;
pub mod queue;
pub mod roster;
pub mod secret;
mod source;
mod supervise;
pub mod status;
pub mod store_commands;
pub mod token;
pub mod trade;
pub mod units;
pub mod v3;
pub mod webhook;
