//! Start blocks of the live networks.
//!
//! The start block's hash is part of every worker's registration and must be on the chain's allow list, so it is
//! the same for everyone; its set id cannot be proven to a worker. Both are built in for the networks that exist.

use prb_core::id::{Hash, Height};

/// Where workers of a live network start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartPoint {
    /// Name of the pair of chains.
    pub network: &'static str,
    /// Hash of relay block 0.
    pub relay_chain: Hash,
    /// Id of the parachain.
    pub para_id: u32,
    /// The start block.
    pub height: Height,
    /// Its hash.
    pub hash: Hash,
    /// `Grandpa.CurrentSetId` in its state.
    pub set_id: u64,
}

/// The start point of this parachain on this relay chain, none for networks that are not built in.
pub fn start_point(relay_chain: Hash, para_id: u32) -> Option<&'static StartPoint> {
    START_POINTS.iter().find(|point| point.relay_chain == relay_chain && point.para_id == para_id)
}

/// The start point whose start block has this hash.
pub(crate) fn start_point_of(start: Hash) -> Option<&'static StartPoint> {
    START_POINTS.iter().find(|point| point.hash == start)
}

/// As recorded in the Phala code base (`pherry`, PRB v3).
static START_POINTS: [StartPoint; 2] = [
    StartPoint {
        network: "Phala on Polkadot",
        relay_chain: hash("91b171bb158e2d3848fa23a9f1c25182fb8e20313b2c1eb49219da7a70ce90c3"),
        para_id: 2035,
        height: Height(9_688_654),
        hash: hash("5fdbc952b059d7c26b8b7e6432bb2b40981c602ded8cf2be7d629a4ead96f156"),
        set_id: 891,
    },
    StartPoint {
        network: "Khala on Kusama",
        relay_chain: hash("b0a8d493285c2df73290dfb7e61f870f17b41801197a149ca93654499ea3dafe"),
        para_id: 2004,
        height: Height(8_325_311),
        hash: hash("ff93a4a903207ad45af110a3e15f8b66c903a0045f886c528c23fe7064532b08"),
        set_id: 3228,
    },
];

/// 64 hex digits, at compile time.
const fn hash(digits: &str) -> Hash {
    const fn digit(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => panic!("not a lower-case hex digit"),
        }
    }
    let digits = digits.as_bytes();
    assert!(digits.len() == 64, "a hash has 64 digits");
    let mut bytes = [0; 32];
    let mut index = 0;
    while index < 32 {
        bytes[index] = digit(digits[2 * index]) << 4 | digit(digits[2 * index + 1]);
        index += 1;
    }
    Hash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_networks_are_found_by_relay_chain_and_parachain() {
        let polkadot = "0x91b171bb158e2d3848fa23a9f1c25182fb8e20313b2c1eb49219da7a70ce90c3".parse().unwrap();
        assert_eq!(start_point(polkadot, 2035).unwrap().set_id, 891);
        assert_eq!(start_point(polkadot, 2004), None);
        assert_eq!(start_point(Hash::default(), 2035), None);
    }
}
