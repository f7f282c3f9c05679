//! The monitor in a real browser: a dev network, the bridge, and Chromium that somebody seems to use.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[allow(dead_code)]
#[path = "e2e/asked.rs"]
mod asked;
#[path = "browser/bridge.rs"]
mod bridge;
#[path = "browser/driver.rs"]
mod driver;
#[path = "browser/page.rs"]
mod page;
#[path = "../../../prb-chain/tests/port/mod.rs"]
mod port;
#[path = "browser/table.rs"]
mod table;
#[path = "browser/token.rs"]
mod token;
#[path = "browser/work.rs"]
mod work;
#[allow(dead_code)]
#[path = "e2e/world.rs"]
mod world;
