//! What became of an extrinsic, judged from finalized blocks alone.

use super::mortality::Mortality;
use crate::id::{BlockRef, Height};

/// What finalized blocks say about an extrinsic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The finalized block that holds it, if one was found.
    pub found: Option<BlockRef>,
    /// Every finalized block after the birth up to this one was searched.
    pub searched: Height,
    /// The account's nonce after finalized block `searched` (or an earlier one, if that is all that is known).
    pub nonce: u32,
}

/// What became of an extrinsic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It may still be included: nothing that repeats it may be sent.
    StillPossible,
    /// In a finalized block.
    Included(BlockRef),
    /// Its mortality passed without inclusion.
    Expired,
    /// Its nonce was used by another extrinsic, so it can no longer be included.
    NonceTaken,
}

impl Fate {
    /// Whether it will not change any more.
    pub fn is_final(self) -> bool {
        self != Self::StillPossible
    }
}

/// Judges the extrinsic with `nonce` and `mortality`.
pub fn settle(nonce: u32, mortality: Mortality, seen: Seen) -> Fate {
    if let Some(block) = seen.found {
        Fate::Included(block)
    } else if seen.nonce > nonce {
        // A nonce is used once, and every block in which it could have been this extrinsic was searched.
        Fate::NonceTaken
    } else if seen.searched >= mortality.last_valid() {
        Fate::Expired
    } else {
        Fate::StillPossible
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{id::Hash, tx::mortality::Period};
    use proptest::prelude::*;

    #[test]
    fn an_extrinsic_is_possible_through_its_last_block() {
        let life = Mortality::at(Height(100), Period::new(4).unwrap());
        let fate = |height, nonce| settle(5, life, Seen { found: None, searched: Height(height), nonce });
        assert_eq!(fate(100, 5), Fate::StillPossible);
        assert_eq!(fate(102, 5), Fate::StillPossible);
        assert_eq!(fate(103, 5), Fate::Expired);
        assert_eq!(fate(101, 6), Fate::NonceTaken);
        assert_eq!(fate(101, 4), Fate::StillPossible);
    }

    /// A chain written out: for each block whether it includes ours or another extrinsic of the account.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Block {
        Empty,
        Ours,
        Another,
    }

    proptest! {
        #[test]
        fn no_verdict_is_ever_contradicted_by_a_later_block(
            birth in 0u32..1000,
            exponent in 2u32..7,
            blocks in prop::collection::vec(
                prop_oneof![6 => Just(Block::Empty), 1 => Just(Block::Ours), 1 => Just(Block::Another)], 1..160),
        ) {
            let life = Mortality::at(Height(birth), Period::new(1 << exponent).unwrap());
            let (mut chain_nonce, ours) = (3u32, 5u32);
            let mut found = None;
            let mut verdict = Fate::StillPossible;
            for (offset, block) in blocks.into_iter().enumerate() {
                let height = Height(birth + 1 + offset as u32);
                match block {
                    // The runtime takes it only in its turn and only while it lives.
                    Block::Ours if chain_nonce == ours && height <= life.last_valid() => {
                        found = Some(BlockRef { height, hash: Hash([1; 32]) });
                        chain_nonce += 1;
                        prop_assert_eq!(verdict, Fate::StillPossible, "it was included after a final verdict");
                    }
                    Block::Another => chain_nonce += 1,
                    _ => {}
                }
                let now = settle(ours, life, Seen { found, searched: height, nonce: chain_nonce });
                if now == Fate::Expired {
                    prop_assert!(height >= life.last_valid());
                }
                if verdict.is_final() && verdict != Fate::Expired {
                    prop_assert_eq!(now, verdict);
                }
                if !verdict.is_final() {
                    verdict = now;
                }
            }
        }
    }
}
