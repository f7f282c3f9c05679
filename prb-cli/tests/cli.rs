//! The program `prb` as operators run it: commands, mistakes, and `prb run` against a dev network.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "cli/archive.rs"]
mod archive;
#[path = "cli/changes.rs"]
mod changes;
#[path = "cli/check.rs"]
mod check;
#[path = "cli/environment.rs"]
mod environment;
#[path = "cli/handover.rs"]
mod handover;
// The library's own tests look at headers, too.
#[allow(dead_code)]
#[path = "cli/hooks.rs"]
mod hooks;
#[path = "cli/inventory.rs"]
mod inventory;
#[path = "cli/keys.rs"]
mod keys;
#[path = "cli/kill.rs"]
mod kill;
#[path = "cli/logs.rs"]
mod logs;
#[path = "cli/mistakes.rs"]
mod mistakes;
#[path = "cli/monitor.rs"]
mod monitor;
#[path = "cli/needles.rs"]
mod needles;
#[path = "cli/notify.rs"]
mod notify;
#[path = "cli/place.rs"]
mod place;
#[path = "cli/provider.rs"]
mod provider;
#[path = "cli/providers.rs"]
mod providers;
#[path = "cli/run.rs"]
mod run;
#[path = "cli/secrets.rs"]
mod secrets;
#[path = "cli/stall.rs"]
mod stall;
#[path = "cli/supervised.rs"]
mod supervised;
#[path = "cli/tap.rs"]
mod tap;
#[path = "cli/trade.rs"]
mod trade;
#[path = "cli/tx.rs"]
mod tx;

#[path = "../../prb-store/tests/support/files.rs"]
mod files;
#[path = "../../prb-chain/tests/port/mod.rs"]
mod port;
#[path = "../../prb-chain/tests/redis_server/mod.rs"]
mod redis_server;
// The dev network's own end-to-end tests have these.
#[allow(dead_code)]
#[path = "../../examples/devnet/tests/e2e/asked.rs"]
mod asked;
#[allow(dead_code)]
#[path = "../../examples/devnet/tests/e2e/calls.rs"]
mod calls;
#[path = "../../examples/devnet/tests/e2e/http.rs"]
mod http;
#[allow(dead_code)]
#[path = "../../examples/devnet/tests/e2e/world.rs"]
mod world;
