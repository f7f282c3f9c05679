//! The peer-to-peer network of services.

pub(crate) mod manage;
