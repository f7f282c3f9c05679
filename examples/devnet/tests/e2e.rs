//! End to end: both chains, dev workers and the reference deployment over real sockets.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, unreachable_pub)]

#[path = "e2e/asked.rs"]
mod asked;
#[path = "e2e/attest.rs"]
mod attest;
#[path = "e2e/between.rs"]
mod between;
#[path = "e2e/calls.rs"]
mod calls;
#[path = "e2e/chain_life.rs"]
mod chain_life;
#[path = "e2e/damage.rs"]
mod damage;
#[path = "e2e/fast.rs"]
mod fast;
#[path = "e2e/feeds.rs"]
mod feeds;
#[path = "e2e/hostile.rs"]
mod hostile;
#[path = "e2e/http.rs"]
mod http;
#[path = "e2e/lies.rs"]
mod lies;
#[path = "e2e/management.rs"]
mod management;
#[path = "e2e/metered.rs"]
mod metered;
#[path = "e2e/outages.rs"]
mod outages;
#[path = "e2e/own_network.rs"]
mod own_network;
#[path = "e2e/peers.rs"]
mod peers;
#[path = "e2e/plain.rs"]
mod plain;
#[path = "../../../prb-chain/tests/port/mod.rs"]
mod port;
#[path = "e2e/processes.rs"]
mod processes;
#[path = "e2e/providers.rs"]
mod providers;
#[path = "e2e/restart.rs"]
mod restart;
#[path = "e2e/solo.rs"]
mod solo;
#[path = "e2e/sources.rs"]
mod sources;
#[path = "e2e/workers.rs"]
mod workers;
#[path = "e2e/working.rs"]
mod working;
#[path = "e2e/world.rs"]
mod world;
