//! The pipelines on scripted fakes, in virtual time.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "pipeline/bridge.rs"]
mod bridge;

#[path = "pipeline/attest.rs"]
mod attest;
#[path = "pipeline/crowd.rs"]
mod crowd;
#[path = "pipeline/desk.rs"]
mod desk;
#[path = "pipeline/fakes.rs"]
mod fakes;
#[path = "pipeline/feed.rs"]
mod feed;
#[path = "pipeline/fleet.rs"]
mod fleet;
#[path = "pipeline/handover.rs"]
mod handover;
#[path = "pipeline/ingest.rs"]
mod ingest;
#[path = "pipeline/load.rs"]
mod load;
#[path = "pipeline/operate.rs"]
mod operate;
#[path = "pipeline/porter.rs"]
mod porter;
#[path = "pipeline/queue.rs"]
mod queue;
#[path = "pipeline/seeded.rs"]
mod seeded;
#[path = "pipeline/stalls.rs"]
mod stalls;
#[path = "pipeline/world.rs"]
mod world;
