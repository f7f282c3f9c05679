//! Who voted for what, accumulated along the ancestry headers.

use prb_core::{
    id::{BlockRef, Hash, Height},
    types::{grandpa::AuthorityId, header::Header},
};
use std::collections::{HashMap, hash_map::Entry};

/// Parents of the headers a justification carries.
pub(super) struct Ancestries {
    parents: HashMap<Hash, Hash>,
}

impl Ancestries {
    pub(super) fn new(headers: &[Header]) -> Self {
        Self { parents: headers.iter().map(|header| (header.hash(), header.parent_hash)).collect() }
    }

    /// Distinct headers.
    pub(super) fn len(&self) -> usize {
        self.parents.len()
    }

    /// Walks from blocks down to `base`.
    pub(super) fn walk(&self, base: Hash) -> Walk<'_> {
        Walk { parents: &self.parents, base, distances: HashMap::new() }
    }
}

/// Distances of blocks from a base. Every header is walked over once, however many votes need it.
pub(super) struct Walk<'a> {
    parents: &'a HashMap<Hash, Hash>,
    base: Hash,
    distances: HashMap<Hash, u32>,
}

impl Walk<'_> {
    /// How many headers lead from `block` down to the base; none if they do not lead there.
    pub(super) fn distance(&mut self, block: Hash) -> Option<u32> {
        let mut path = Vec::new();
        let mut current = block;
        let mut distance = loop {
            if current == self.base {
                break 0;
            }
            if let Some(known) = self.distances.get(&current) {
                break *known;
            }
            path.push(current);
            // A cycle would need a hash collision, so this ends.
            current = *self.parents.get(&current)?;
        };
        for passed in path.into_iter().rev() {
            distance += 1;
            self.distances.insert(passed, distance);
        }
        Some(distance)
    }

    /// Distinct headers walked over, without the base.
    pub(super) fn passed(&self) -> usize {
        self.distances.len()
    }
}

/// What a voter did.
struct Ballot<'a> {
    weight: u64,
    vote: BlockRef,
    signature: &'a [u8; 64],
    equivocated: bool,
}

/// Why a vote does not count.
pub(super) enum Misfit {
    /// Its block does not descend from the base.
    NotDescendant,
    /// Its block has this number, not the one it names.
    Number(Height),
}

/// Votes of the members of a set.
pub(super) struct Tally<'a> {
    base: BlockRef,
    walk: Walk<'a>,
    ballots: HashMap<AuthorityId, Ballot<'a>>,
    /// In the order of arrival.
    voters: Vec<AuthorityId>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(base: BlockRef, ancestries: &'a Ancestries) -> Self {
        Self { base, walk: ancestries.walk(base.hash), ballots: HashMap::new(), voters: Vec::new() }
    }

    /// Adds a vote.
    ///
    /// A voter's exact repetition counts once. A second different vote makes it an equivocator, and further ones
    /// are ignored. Only a first vote's number matters for the count, and it must be its distance from the base: no
    /// honest node passes on a vote with a wrong number.
    pub(super) fn add(
        &mut self,
        voter: AuthorityId,
        weight: u64,
        vote: BlockRef,
        signature: &'a [u8; 64],
    ) -> Result<(), Misfit> {
        let distance = self.walk.distance(vote.hash).ok_or(Misfit::NotDescendant)?;
        match self.ballots.entry(voter) {
            Entry::Vacant(entry) => {
                let actual = Height(self.base.height.0.saturating_add(distance));
                if actual != vote.height {
                    return Err(Misfit::Number(actual));
                }
                entry.insert(Ballot { weight, vote, signature, equivocated: false });
                self.voters.push(voter);
            }
            Entry::Occupied(mut entry) => {
                let ballot = entry.get_mut();
                ballot.equivocated |= ballot.vote != vote || ballot.signature != signature;
            }
        }
        Ok(())
    }

    /// Weight of distinct voters.
    pub(super) fn weight(&self) -> u64 {
        self.ballots.values().map(|ballot| ballot.weight).sum()
    }

    /// The highest blocks with at least `threshold` weight behind them: none of them has a supported child. It is
    /// one block unless more than a third of the weight equivocated.
    pub(super) fn highest(&self, threshold: u64) -> Vec<BlockRef> {
        let equivocators: u64 =
            self.ballots.values().filter(|ballot| ballot.equivocated).map(|ballot| ballot.weight).sum();
        // Every block from a first vote's target down to the base is a candidate.
        let mut support: HashMap<Hash, (u32, u64)> = HashMap::from([(self.base.hash, (0, 0))]);
        for voter in &self.voters {
            let ballot = &self.ballots[voter];
            let mut hash = ballot.vote.hash;
            while !support.contains_key(&hash) {
                support.insert(hash, (self.walk.distances[&hash], 0));
                hash = self.walk.parents[&hash];
            }
            if !ballot.equivocated
                && let Some((_, weight)) = support.get_mut(&ballot.vote.hash)
            {
                *weight += ballot.weight;
            }
        }
        // Children before parents, so that a block's weight is complete when it is handed down.
        let mut order: Vec<(u32, Hash)> =
            support.iter().map(|(hash, (distance, _))| (*distance, *hash)).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        let mut has_supported_child: HashMap<Hash, bool> = HashMap::new();
        let mut highest = Vec::new();
        for (distance, hash) in order {
            let weight = support[&hash].1;
            let supported = weight + equivocators >= threshold;
            let covered = has_supported_child.get(&hash).copied().unwrap_or(false);
            if supported && !covered {
                highest.push(BlockRef { height: Height(self.base.height.0 + distance), hash });
            }
            if hash != self.base.hash {
                let parent = self.walk.parents[&hash];
                if let Some((_, below)) = support.get_mut(&parent) {
                    *below += weight;
                }
                *has_supported_child.entry(parent).or_default() |= supported || covered;
            }
        }
        highest
    }
}
