//! From a recipe to headers, a set and bytes.

use std::collections::HashMap;
use std::sync::OnceLock;

use codec::{Decode, Encode};
use prb_core::types::grandpa::AuthoritySet;
use prb_devnet::finality::{Ancestries, JustificationSpec, Signing, Vote, make_justification};
use prb_devnet::worker::light::justification::Justification;
use prb_devnet::worker::scale::{ConsensusLog, Header};
use sp_core::{H256, Pair, ed25519};
use sp_runtime::generic::{Digest, DigestItem};

use super::{Choice, Item, KEYS, ROUND, Recipe, SET_ID, SMALL_ORDER, Spread, Trick};

/// Encodings of points whose order divides 8: y = 1, -1, 0 with either sign, and 1 written as 1 + p. Signature
/// checks as of ZIP-215 take them all, as keys and inside signatures.
pub const SMALL_POINTS: [[u8; 32]; 5] = {
    let mut points = [[0; 32]; 5];
    points[0][0] = 1;
    points[1] = [0xff; 32];
    points[1][0] = 0xec;
    points[1][31] = 0x7f;
    points[3][31] = 0x80;
    points[4] = [0xff; 32];
    points[4][0] = 0xee;
    points[4][31] = 0x7f;
    points
};

impl Item {
    fn build(self) -> DigestItem {
        let next = (0..3).map(|key| (id(key + 4), 1)).collect();
        let log = match self {
            Self::Other => return DigestItem::Other(vec![1, 2, 3]),
            Self::PreRuntime => return DigestItem::PreRuntime(*b"BABE", vec![7; 70]),
            Self::Seal => return DigestItem::Seal(*b"BABE", vec![8; 64]),
            Self::Updated => return DigestItem::RuntimeEnvironmentUpdated,
            Self::Forced => {
                ConsensusLog::ForcedChange { median: 1, next_authorities: next, delay: 0 }.encode()
            }
            Self::Garbage => vec![1, 255, 255],
            Self::Change(delay, more) => {
                let mut log = ConsensusLog::ScheduledChange { next_authorities: next, delay }.encode();
                log.extend(more.then_some(0));
                log
            }
        };
        DigestItem::Consensus(*b"FRNK", log)
    }
}

fn pair(key: u8) -> ed25519::Pair {
    static PAIRS: OnceLock<Vec<ed25519::Pair>> = OnceLock::new();
    PAIRS.get_or_init(|| (0..KEYS).map(|key| ed25519::Pair::from_seed(&[key + 1; 32])).collect())
        [usize::from(key % KEYS)]
}

fn id(key: u8) -> [u8; 32] {
    match key.checked_sub(SMALL_ORDER) {
        Some(point) => SMALL_POINTS[usize::from(point) % SMALL_POINTS.len()],
        None => pair(key).public().0,
    }
}

/// One vote, before it is signed.
#[derive(Clone)]
struct Ballot {
    key: u8,
    claimed: Option<u8>,
    block: usize,
    shift: i8,
    signing: Signing,
    /// Point in the signature, where the key is of small order.
    point: u8,
}

impl Ballot {
    fn new(key: u8, block: usize) -> Self {
        Self { key, claimed: None, block, shift: 0, signing: Signing::Right, point: 0 }
    }
}

/// What both sides are asked.
pub struct Case {
    /// The tree of blocks, parents first.
    pub tree: Vec<Header>,
    /// The block said to be finalized.
    pub header: Header,
    pub set: AuthoritySet,
    pub justification: Vec<u8>,
}

impl Recipe {
    pub fn build(&self) -> Case {
        let tree = self.tree();
        let parents = self.parents();
        let target = self.target.index(tree.len());
        let mut set = self.set();
        let mut spec = JustificationSpec::new(ROUND, SET_ID, block(&tree[target], 0));
        let mut ballots = self.ballots(&set, &parents, target);
        let mut asked = tree[target].clone();
        for trick in &self.tricks {
            self.trick_votes(trick, &mut ballots, tree.len());
            match trick {
                Trick::OtherBlock(at) => asked = at.get(&tree).clone(),
                Trick::OtherNumber(by) => spec.target = block(&tree[target], *by),
                Trick::OtherSet => set.id += 1,
                Trick::Weightless => set.list.iter_mut().for_each(|(_, weight)| *weight = 0),
                Trick::Overflow => set.list.extend([(id(20), u64::MAX), (id(21), 1)]),
                _ => {}
            }
        }
        spec.votes = ballots.iter().map(|ballot| ballot.vote(&tree)).collect();
        let by_hash: HashMap<H256, Header> =
            tree.iter().map(|header| (header.hash(), header.clone())).collect();
        spec.ancestries = Ancestries::Needed;
        let plain = make_justification(&by_hash, &spec);
        let mut justification = Justification::decode(&mut &plain[..]).unwrap();
        for (ballot, signed) in ballots.iter().zip(&mut justification.commit.precommits) {
            if ballot.key >= SMALL_ORDER && ballot.signing == Signing::Right {
                let mut raw = [0; 64];
                raw[..32].copy_from_slice(&SMALL_POINTS[usize::from(ballot.point) % SMALL_POINTS.len()]);
                signed.signature = ed25519::Signature::from_raw(raw);
            }
        }
        for trick in &self.tricks {
            trick_headers(trick, &mut justification, &tree);
        }
        let mut justification = justification.encode();
        for trick in &self.tricks {
            trick_bytes(trick, &mut justification);
        }
        Case { header: asked, tree, set, justification }
    }

    fn parents(&self) -> Vec<usize> {
        (0..self.blocks.len()).map(|index| index.saturating_sub(self.blocks[index].0)).collect()
    }

    fn tree(&self) -> Vec<Header> {
        let mut tree: Vec<Header> = Vec::new();
        for (index, parent) in self.parents().into_iter().enumerate() {
            let (parent_hash, number) = match tree.get(parent) {
                Some(parent) => (parent.hash(), parent.number + 1),
                None => (H256::repeat_byte(0xaa), self.first),
            };
            let logs = self.blocks[index].1.iter().map(|item| item.build()).collect();
            tree.push(Header {
                parent_hash,
                number,
                state_root: H256::zero(),
                // Siblings differ.
                extrinsics_root: H256::from_low_u64_be(index as u64),
                digest: Digest { logs },
            });
        }
        tree
    }

    fn set(&self) -> AuthoritySet {
        let list = self.members.iter().zip(0..).map(|((key, weight), at)| (id(key.unwrap_or(at)), *weight));
        AuthoritySet { list: list.collect(), id: SET_ID }
    }

    /// One vote of every member that is there, once, however often it is listed.
    fn ballots(&self, set: &AuthoritySet, parents: &[usize], target: usize) -> Vec<Ballot> {
        let above: Vec<usize> = (target..parents.len())
            .filter(|block| {
                let mut block = *block;
                while block > target {
                    block = parents[block];
                }
                block == target
            })
            .collect();
        let mut ballots: Vec<(u8, Ballot)> = Vec::new();
        for (at, ((key, _), (choice, order))) in self.members.iter().zip(&self.choices).enumerate() {
            let key = key.unwrap_or(at as u8);
            if set.list[..at].iter().any(|(other, _)| *other == id(key)) {
                continue;
            }
            let block = match choice {
                Choice::Absent => continue,
                Choice::Above(at) if self.spread != Spread::None => *at.get(&above),
                Choice::Any(at) if self.spread == Spread::Wide => at.index(parents.len()),
                _ => target,
            };
            ballots.push((*order, Ballot::new(key, block)));
        }
        if self.spread == Spread::Wide
            && let Some((_, ballot)) = ballots.last_mut()
        {
            ballot.block = 0;
        }
        ballots.sort_by_key(|(order, _)| *order);
        ballots.into_iter().map(|(_, ballot)| ballot).collect()
    }

    fn trick_votes(&self, trick: &Trick, ballots: &mut Vec<Ballot>, blocks: usize) {
        match *trick {
            Trick::Outsider(key, block, bad) => {
                let signing = if bad { Signing::Corrupt } else { Signing::Right };
                ballots.push(Ballot { signing, ..Ballot::new(key, block.index(blocks)) });
            }
            Trick::SmallOutsider(point, block) => {
                ballots.insert(0, Ballot::new(SMALL_ORDER + point, block.index(blocks)));
            }
            Trick::NoVotes => ballots.clear(),
            _ if ballots.is_empty() => {}
            Trick::Equivocate(vote, block) => {
                let other = Ballot { block: block.index(blocks), ..vote.get(ballots).clone() };
                ballots.push(other);
            }
            Trick::Repeat(vote) => {
                let again = vote.get(ballots).clone();
                ballots.push(again);
            }
            Trick::SignAgain(vote, point) => {
                // Others than those of small order only sign the same again.
                let small: Vec<_> = ballots.iter().filter(|ballot| ballot.key >= SMALL_ORDER).collect();
                let first = if small.is_empty() { vote.get(ballots) } else { *vote.get(&small) };
                let again = Ballot { point, ..first.clone() };
                ballots.push(again);
            }
            Trick::Absent(vote) => {
                ballots.remove(vote.index(ballots.len()));
            }
            Trick::Retarget(vote, block) => {
                let at = vote.index(ballots.len());
                ballots[at].block = block.index(blocks);
            }
            Trick::Shift(vote, by) => {
                let at = vote.index(ballots.len());
                ballots[at].shift = by;
            }
            Trick::Sign(vote, signing) => {
                let at = vote.index(ballots.len());
                ballots[at].signing = signing;
            }
            Trick::Claim(vote, key) => {
                let at = vote.index(ballots.len());
                ballots[at].claimed = Some(key);
            }
            _ => {}
        }
    }
}

impl Ballot {
    fn vote(&self, tree: &[Header]) -> Vote {
        let claimed = self.claimed.unwrap_or(self.key);
        Vote {
            signer: pair(self.key),
            claimed_id: Some(ed25519::Public::from_raw(id(claimed))),
            target: block(&tree[self.block], self.shift),
            signing: self.signing,
        }
    }
}

fn block(header: &Header, shift: i8) -> (H256, u32) {
    (header.hash(), header.number.saturating_add_signed(i32::from(shift)))
}

fn trick_headers(trick: &Trick, justification: &mut Justification, tree: &[Header]) {
    let headers = &mut justification.votes_ancestries;
    match trick {
        Trick::Extra(at) => headers.push(at.get(tree).clone()),
        Trick::NoHeaders => headers.clear(),
        Trick::Reversed => headers.reverse(),
        Trick::OtherRound => justification.round += 1,
        Trick::Missing(at) if !headers.is_empty() => {
            headers.remove(at.index(headers.len()));
        }
        Trick::Twice(at) if !headers.is_empty() => {
            let again = at.get(headers).clone();
            headers.push(again);
        }
        _ => {}
    }
}

fn trick_bytes(trick: &Trick, bytes: &mut Vec<u8>) {
    match trick {
        Trick::Append(byte) => bytes.push(*byte),
        _ if bytes.is_empty() => {}
        Trick::Truncate(at) => bytes.truncate(at.index(bytes.len())),
        Trick::Flip(at, bit) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        Trick::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
        _ => {}
    }
}
