//! The nonce sequence of one account.

use super::mortality::Mortality;
use crate::id::{Hash, Height};
use std::collections::BTreeMap;

/// A signed extrinsic that may still be included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// Its hash, which stands for its exact bytes.
    pub hash: Hash,
    /// Until when it may be included.
    pub mortality: Mortality,
}

/// Extrinsics of one account that may still be included, by nonce.
///
/// There is never more than one per nonce. A nonce becomes free again only when its extrinsic can no longer be
/// included, and the lowest free one is given out first, so a gap closes before anything is put behind it.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    live: BTreeMap<u32, Live>,
    used: u32,
}

impl Lane {
    /// The nonce for the next extrinsic, `index` being what the chain (or a node, counting its pool) would take next.
    /// None when the sequence is used up.
    pub fn next(&self, index: u32) -> Option<u32> {
        let mut nonce = index.max(self.used);
        for &taken in self.live.range(nonce..).map(|(taken, _)| taken) {
            if taken > nonce {
                break;
            }
            nonce = taken.checked_add(1)?;
        }
        Some(nonce)
    }

    /// Notes that an extrinsic is about to be sent. The same one may be noted again; another for a nonce that is
    /// taken is refused.
    pub fn hold(&mut self, nonce: u32, live: Live) -> Result<(), LaneError> {
        match self.live.get(&nonce) {
            Some(held) if held.hash != live.hash => {
                Err(LaneError { nonce, held: held.hash, offered: live.hash })
            }
            _ => {
                self.live.insert(nonce, live);
                Ok(())
            }
        }
    }

    /// Forgets the extrinsic `hash`: it is in a finalized block, or can no longer be included.
    pub fn release(&mut self, hash: &Hash) -> Option<u32> {
        let nonce = self.live.iter().find(|(_, live)| live.hash == *hash).map(|(&nonce, _)| nonce)?;
        self.live.remove(&nonce);
        Some(nonce)
    }

    /// Notes the account's nonce at a finalized block: everything below it is used up for ever.
    pub fn finalized(&mut self, nonce: u32) {
        self.used = self.used.max(nonce);
    }

    /// How many may still be included.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether none may still be included.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// The live ones by nonce.
    pub fn live(&self) -> impl Iterator<Item = (u32, &Live)> {
        self.live.iter().map(|(&nonce, live)| (nonce, live))
    }

    /// The earliest birth among them: finalized blocks after it may hold one of them.
    pub fn oldest_birth(&self) -> Option<Height> {
        self.live.values().map(|live| live.mortality.birth()).min()
    }
}

/// Two different extrinsics for one nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nonce {nonce} is taken by {held}, which may still be included; refused {offered}")]
pub struct LaneError {
    /// The nonce.
    pub nonce: u32,
    /// Whose it is.
    pub held: Hash,
    /// Who wanted it.
    pub offered: Hash,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tx::mortality::Period;
    use proptest::prelude::*;

    fn live(byte: u8) -> Live {
        Live { hash: Hash([byte; 32]), mortality: Mortality::at(Height(100), Period::default()) }
    }

    #[test]
    fn nonces_follow_what_is_live() {
        let mut lane = Lane::default();
        assert_eq!(lane.next(5), Some(5));
        lane.hold(5, live(1)).unwrap();
        lane.hold(6, live(2)).unwrap();
        assert_eq!(lane.next(5), Some(7));
        assert_eq!(lane.next(9), Some(9));
    }

    #[test]
    fn a_gap_is_closed_first() {
        let mut lane = Lane::default();
        lane.hold(5, live(1)).unwrap();
        lane.hold(6, live(2)).unwrap();
        lane.release(&Hash([1; 32]));
        assert_eq!(lane.next(5), Some(5));
    }

    #[test]
    fn a_lagging_node_does_not_bring_back_used_nonces() {
        let mut lane = Lane::default();
        lane.finalized(8);
        lane.finalized(7);
        assert_eq!(lane.next(5), Some(8));
    }

    #[test]
    fn only_identical_bytes_share_a_nonce() {
        let mut lane = Lane::default();
        lane.hold(5, live(1)).unwrap();
        assert_eq!(lane.hold(5, live(1)), Ok(()));
        assert_eq!(lane.hold(5, live(2)).unwrap_err().nonce, 5);
    }

    #[test]
    fn a_used_up_sequence_gives_none() {
        let mut lane = Lane::default();
        lane.hold(u32::MAX, live(1)).unwrap();
        assert_eq!(lane.next(u32::MAX), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Send,
        Include(u8),
        Expire(u8),
        Foreign,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Send),
            3 => (1u8..4).prop_map(Step::Include),
            1 => any::<u8>().prop_map(Step::Expire),
            1 => Just(Step::Foreign),
        ]
    }

    proptest! {
        /// A chain that takes nonces in order, a signer that sends, and now and then another signer.
        #[test]
        fn whatever_happens_the_nonces_sent_have_no_gap_and_no_second_owner(
            steps in prop::collection::vec(step(), 1..120),
        ) {
            let mut lane = Lane::default();
            let mut chain = 0u32;
            let mut sent = 0u8;
            for step in steps {
                match step {
                    Step::Send => {
                        let nonce = lane.next(chain).unwrap();
                        sent = sent.wrapping_add(1);
                        prop_assert!(nonce >= chain);
                        prop_assert!(lane.live().all(|(taken, _)| taken != nonce));
                        let below: Vec<u32> = (chain..nonce).collect();
                        let taken: Vec<u32> = lane.live().map(|(n, _)| n).filter(|n| (chain..nonce).contains(n)).collect();
                        prop_assert_eq!(below, taken);
                        let hash = Hash([(nonce % 251) as u8; 32]);
                        let mut one = live(0);
                        one.hash = Hash::of(&[&hash.0[..], &[sent]].concat());
                        lane.hold(nonce, one).unwrap();
                    }
                    Step::Include(count) => {
                        for _ in 0..count {
                            let Some((_, one)) = lane.live().find(|(n, _)| *n == chain) else { break };
                            let hash = one.hash;
                            lane.release(&hash);
                            chain += 1;
                            lane.finalized(chain);
                        }
                    }
                    Step::Expire(which) => {
                        let hashes: Vec<Hash> = lane.live().map(|(_, live)| live.hash).collect();
                        if !hashes.is_empty() {
                            lane.release(&hashes[which as usize % hashes.len()]);
                        }
                    }
                    Step::Foreign => {
                        // Settlement finds that the nonce went to somebody else.
                        let hash = lane.live().find(|(n, _)| *n == chain).map(|(_, live)| live.hash);
                        if let Some(hash) = hash {
                            lane.release(&hash);
                        }
                        chain += 1;
                        lane.finalized(chain);
                    }
                }
            }
        }
    }
}
