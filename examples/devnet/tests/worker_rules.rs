//! The dev worker's rules beyond headers: initialisation, parachain headers, blocks, fast sync,
//! attestation, messages, endpoints, checkpoints and restarts.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "worker_rules/attestation.rs"]
mod attestation;
#[path = "worker_rules/blocks.rs"]
mod blocks;
#[path = "worker_rules/endpoints.rs"]
mod endpoints;
#[path = "worker_rules/fast_sync.rs"]
mod fast_sync;
#[path = "worker_rules/handover.rs"]
mod handover;
#[path = "worker_rules/init.rs"]
mod init;
#[path = "worker_rules/messages.rs"]
mod messages;
#[path = "worker_rules/para_headers.rs"]
mod para_headers;
#[path = "worker_rules/restart.rs"]
mod restart;
#[path = "worker_rules/solo.rs"]
mod solo;
mod worker_support;
