//! A model chain with a node, and what is to be proven about those who use it.

pub mod extrinsic;
pub mod node;
pub mod plague;
pub mod proof;
pub mod sink;
pub mod tally;
pub mod wire;
