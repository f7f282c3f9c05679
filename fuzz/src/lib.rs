//! Fuzz targets: one function per target that takes any bytes and panics if something that must hold does not.
//!
//! `corpus/<target>/` holds seeds that are committed and replayed, with their neighbours, by `cargo test -p prb-fuzz`.
//! To search further: `cargo +nightly fuzz run <target> --features libfuzzer`, from this folder. What it finds belongs
//! into the corpus.

mod exchange;
mod replies;
mod types;

pub use exchange::exchange;
pub use replies::replies;
pub use types::{attestation, calls, facts, grandpa, headers, messages, sync, texts};

/// A target.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus folder and program.
pub const TARGETS: &[(&str, Target)] = &[
    ("headers", headers),
    ("grandpa", grandpa),
    ("sync", sync),
    ("attestation", attestation),
    ("messages", messages),
    ("facts", facts),
    ("calls", calls),
    ("texts", texts),
    ("replies", replies),
    ("exchange", exchange),
];
