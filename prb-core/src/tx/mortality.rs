//! How long an extrinsic may be included: FRAME's `Era`.

use crate::id::Height;
use std::fmt;

/// For how many blocks an extrinsic is valid: a power of two from 4 to 65536.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(u32);

impl Period {
    /// Shortest.
    pub const MIN: u32 = 4;
    /// Longest.
    pub const MAX: u32 = 65_536;

    /// A period of `blocks`.
    pub const fn new(blocks: u32) -> Result<Self, BadPeriod> {
        if blocks.is_power_of_two() && blocks >= Self::MIN && blocks <= Self::MAX {
            Ok(Self(blocks))
        } else {
            Err(BadPeriod(blocks))
        }
    }

    /// Its length.
    pub const fn blocks(self) -> u32 {
        self.0
    }

    /// Births are multiples of this, so that the phase fits in 12 bits.
    const fn step(self) -> u32 {
        if self.0 >> 12 == 0 { 1 } else { self.0 >> 12 }
    }
}

impl Default for Period {
    /// 32 blocks: some six minutes, enough for a few missed slots, short enough to wait out.
    fn default() -> Self {
        Self(32)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of blocks that no mortal extrinsic can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("mortality of {0} blocks is not possible; use a power of two from 4 to 65536")]
pub struct BadPeriod(pub u32);

/// The life of an extrinsic: from the block whose hash it signs, for a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mortality {
    birth: Height,
    period: Period,
}

impl Mortality {
    /// The life of an extrinsic signed when `anchor` is the block to build on. The birth is at or, for periods
    /// above 4096, up to 15 blocks before the anchor; the signature covers the hash of the *birth* block.
    pub const fn at(anchor: Height, period: Period) -> Self {
        Self { birth: Height(anchor.0 - anchor.0 % period.step()), period }
    }

    /// The block whose hash is signed.
    pub const fn birth(self) -> Height {
        self.birth
    }

    /// Its length.
    pub const fn period(self) -> Period {
        self.period
    }

    /// The last block that may include it. The first is the one after the birth.
    pub const fn last_valid(self) -> Height {
        last_valid(self.birth, self.period)
    }

    /// `Era` as it travels: u16 little-endian, period exponent - 1 in the low 4 bits, quantised phase above
    /// (`sp_runtime::generic::Era`).
    pub const fn encode(self) -> [u8; 2] {
        let phase = self.birth.0 % self.period.0;
        let exponent = self.period.0.trailing_zeros() - 1;
        let low = if exponent > 15 { 15 } else { exponent };
        // The phase is below 4096 after division, so both parts fit in 16 bits.
        ((low | (phase / self.period.step()) << 4) as u16).to_le_bytes()
    }
}

/// The last block that may include an extrinsic born at `birth`.
pub const fn last_valid(birth: Height, period: Period) -> Height {
    Height(birth.0.saturating_add(period.0 - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn period_four_encodes_as_the_reference_lists() {
        let era = |n| Mortality::at(Height(n), Period::new(4).unwrap()).encode();
        assert_eq!([era(100), era(101), era(102), era(103)], [[1, 0], [0x11, 0], [0x21, 0], [0x31, 0]]);
    }

    #[test]
    fn the_longest_period_fits() {
        let life = Mortality::at(Height(65_535), Period::new(65_536).unwrap());
        assert_eq!(life.birth(), Height(65_520));
        assert_eq!(life.encode(), [0xff, 0xff]);
    }

    #[test]
    fn other_periods_are_refused() {
        for blocks in [0, 1, 2, 3, 5, 48, 65_535, 131_072, u32::MAX] {
            assert_eq!(Period::new(blocks), Err(BadPeriod(blocks)));
        }
    }

    /// The runtime's view (`Era::birth`): the birth it derives at block `current` from the two bytes.
    fn birth_by_runtime(bytes: [u8; 2], current: u64) -> u64 {
        let encoded = u64::from(u16::from_le_bytes(bytes));
        let period = 2u64 << (encoded & 15);
        let phase = (encoded >> 4) * (period >> 12).max(1);
        (current.max(phase) - phase) / period * period + phase
    }

    proptest! {
        #[test]
        fn the_runtime_finds_our_birth_exactly_while_it_is_valid(exponent in 2u32..=16, anchor in 0u32..3_000_000) {
            let life = Mortality::at(Height(anchor), Period::new(1 << exponent).unwrap());
            let birth = u64::from(life.birth().0);
            let last = u64::from(life.last_valid().0);
            prop_assert!(life.birth().0 <= anchor && anchor - life.birth().0 < 16);
            for current in [birth + 1, (birth + last) / 2 + 1, last] {
                prop_assert_eq!(birth_by_runtime(life.encode(), current), birth);
            }
            prop_assert_ne!(birth_by_runtime(life.encode(), last + 1), birth);
        }
    }
}
