//! Peer-to-peer network of prb.
