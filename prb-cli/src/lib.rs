//! The reference deployment of prb: configuration, inventory and services around the libraries.
//!
//! Thin on purpose: the work is in `prb-core` and its adapters; here they are joined.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod account;
pub mod api;
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
mod lasting;
pub mod logs;
pub mod manual;
pub mod migrate;
pub mod queue;
pub mod roster;
pub mod secret;
mod source;
pub mod status;
pub mod store_commands;
mod supervise;
pub mod telemetry;
pub mod token;
pub mod trade;
pub mod units;
pub mod v3;
pub mod webhook;

/// Asks the kernel for no huge pages in this process, where it can. Programs call it first.
///
/// An allocator with threads touches a little of many pages: as huge ones they made a bridge of 1,000 workers take more than
/// twice the memory (546 MB at the tip instead of 235), and nothing measurably faster. Where the kernel refuses, only that is lost.
pub fn prefer_small_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}
