//! Chain and worker types with the exact SCALE encodings that travel.
//!
//! Layouts are those of Phala's `pruntime` 2.2.0 and of polkadot-sdk's `sp-runtime` and `sc-consensus-grandpa`;
//! each type names its upstream counterpart. Integers are little-endian, `Compact` is SCALE compact, lists
//! carry a compact count.

pub mod attestation;
pub mod facts;
pub mod grandpa;
pub mod header;
pub mod message;
pub mod sync;
