//! What parachain blocks write, made to pack like the changes of the live chain.
//!
//! Of the changes of a real chain, one block alone packs to about 78 %, and with earlier blocks to about 36 %: keys come
//! again in block after block, values are new. So a change is made of a key with a common beginning and a part of its
//! own, and a value of which a little stays and most is new. Most changes are of a few hot keys, some of any key.

use prb_core::{id::Hash, storage_key};

/// How a parachain's state is made and what its blocks change.
#[derive(Clone, Copy, Debug)]
pub(in crate::cmd::bench) struct Content {
    /// Keys in the state.
    pub(in crate::cmd::bench) keys: u32,
    /// Of these, keys that most changes are of.
    pub(in crate::cmd::bench) hot: u32,
    /// Changes of a block, give or take an eighth.
    pub(in crate::cmd::bench) changed: u32,
}

impl Content {
    /// Blocks of about 38 KB on a state of 100,000 keys.
    pub(in crate::cmd::bench) const BUSY: Self = Self { keys: 100_000, hot: 285, changed: 257 };
    /// Blocks that hold little more than what every block has to write.
    pub(in crate::cmd::bench) const IDLE: Self = Self { keys: 2_000, hot: 24, changed: 8 };
}

/// Of so many changes one is of any key of the state.
const COLD_EVERY: u32 = 16;

/// Bytes of a value that stay the same for a key.
const STATIC: usize = 15;
/// Bytes of a value that are new each time.
const FRESH: usize = 50;

/// Writes block after block.
pub(super) struct Writer {
    content: Content,
    dice: Dice,
    /// Numbers of the hot keys; shuffled a little for each block.
    hot: Vec<u32>,
}

impl Writer {
    pub(super) fn new(content: Content, seed: u64) -> Self {
        let step = content.keys / content.hot;
        Self { content, dice: Dice(seed), hot: (0..content.hot).map(|index| index * step).collect() }
    }

    /// All pairs of the state before the first block.
    pub(super) fn pairs(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        (0..self.content.keys).map(|index| (key(index), self.value(index))).collect()
    }

    /// The changes of the next block, keys ascending.
    pub(super) fn changes(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let jitter = self.content.changed / 8;
        let changed = self.content.changed - jitter + self.dice.below(2 * jitter + 1);
        let cold = changed / COLD_EVERY;
        let mut numbers: Vec<u32> = (0..cold).map(|_| self.dice.below(self.content.keys)).collect();
        let of_hot = ((changed - cold) as usize).min(self.hot.len());
        for index in 0..of_hot {
            let other = index + self.dice.below((self.hot.len() - index) as u32) as usize;
            self.hot.swap(index, other);
        }
        numbers.extend(&self.hot[..of_hot]);
        numbers.sort_unstable();
        numbers.dedup();
        let mut changes: Vec<_> =
            numbers.into_iter().map(|number| (key(number), Some(self.value(number)))).collect();
        changes.sort();
        changes
    }

    fn value(&mut self, index: u32) -> Vec<u8> {
        let mut value = Hash::of(&index.to_le_bytes()).0[..STATIC].to_vec();
        value.extend(self.dice.bytes(FRESH));
        value
    }
}

/// Key of a map from accounts: hash of pallet and item, hash of the account, account.
fn key(index: u32) -> Vec<u8> {
    let account = Hash::of(&(u64::from(index) << 32).to_le_bytes()).0;
    let item = ["Account", "Sessions", "Workers", "OffchainIngress"][index as usize % 4];
    let mut key = storage_key::plain("Bench", item);
    key.extend(&Hash::of(&account).0[..16]);
    key.extend(account);
    key
}

/// Noise from a seed.
pub(in crate::cmd::bench) struct Dice(pub(in crate::cmd::bench) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // splitmix64, by Sebastiano Vigna.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(in crate::cmd::bench) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = len.div_ceil(8);
        let mut bytes: Vec<u8> = (0..words).flat_map(|_| self.next().to_le_bytes()).collect();
        bytes.truncate(len);
        bytes
    }

    pub(in crate::cmd::bench) fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound.max(1))) as u32
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use codec::Encode;

    #[test]
    fn blocks_pack_like_those_of_the_live_chain() {
        let mut writer = Writer::new(Content::BUSY, 1);
        let blocks: Vec<Vec<u8>> = (0..12).map(|_| writer.changes().encode()).collect();
        let plain = blocks[4..].iter().map(Vec::len).sum::<usize>();
        let (mut alone, mut with_earlier) = (0, 0);
        for (index, block) in blocks.iter().enumerate().skip(4) {
            alone += zstd::bulk::compress(block, 3).unwrap().len();
            let earlier = blocks[index - 3..index].concat();
            let mut packer = zstd::bulk::Compressor::with_dictionary(3, &earlier).unwrap();
            with_earlier += packer.compress(block).unwrap().len();
        }
        let of_plain = |bytes| bytes as f64 / plain as f64;
        let (alone, with_earlier) = (of_plain(alone), of_plain(with_earlier));
        assert!((36_000..40_000).contains(&(plain / 8)), "{}", plain / 8);
        assert!((0.75..0.81).contains(&alone), "{alone}");
        assert!((0.34..0.39).contains(&with_earlier), "{with_earlier}");
    }
}
