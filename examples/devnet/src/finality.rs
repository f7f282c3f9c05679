//! GRANDPA for a dev chain: justifications with real signatures, set tracking, finality proofs.
//!
//! There are no voters talking to each other. The [`Finalizer`] holds every authority's key, follows the set
//! changes in the headers, and signs what an honest (or, on request, a faulty) set would have signed.

mod justification;
mod proof;
mod tracker;

use std::sync::{Arc, Mutex};

use codec::Encode;
use sp_consensus_grandpa::{AuthorityList, GRANDPA_ENGINE_ID};
use sp_core::{Pair as _, ed25519};

pub use justification::{
    Ancestries, Headers, JustificationSpec, Signing, Vote, make_justification, threshold,
};
pub use proof::{FinalityProof, MAX_UNKNOWN_HEADERS, ProveError};
use tracker::Tracker;

use crate::chain::{Chain, lock};

/// Gives the secret keys of the `n` authorities of a set id.
pub type KeySource = fn(set_id: u64, n: u32) -> Vec<ed25519::Pair>;

/// The shape of the justifications a [`Finalizer`] makes. The chain's finalized head moves all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// Threshold weight of votes, all for the target.
    #[default]
    Plain,
    /// A vote of every member, all for the target.
    Everyone,
    /// One vote for the target and the others for its descendants, with ancestries. Needs [`Knobs::lag`] and
    /// is plain at set changes, beyond which no member votes.
    Descendants,
    /// One member votes for the target and its parent. Valid.
    Equivocation,
    /// A properly signed vote of an outsider on top. Valid.
    ExtraNonMember,
    /// A badly signed vote of an outsider on top. Invalid.
    ExtraNonMemberBadSignature,
    /// One bit of one signature is wrong. Invalid.
    BadSignature,
    /// One vote short of the threshold. Invalid.
    TooFewVotes,
    /// Signed for the next set id. Invalid.
    WrongSet,
    /// An ancestry header nobody needs. Invalid.
    UnusedHeader,
}

/// What a [`Finalizer`] does at each new block.
#[derive(Debug, Clone)]
pub struct Knobs {
    /// Finalize heights divisible by this, and every last block of a set. 1 = every block.
    pub every: u32,
    /// Stay this many blocks behind the best one.
    pub lag: u32,
    /// Finalize nothing.
    pub hold: bool,
    /// Shape of justifications.
    pub style: Style,
    /// Also keep the justification of finalized heights divisible by this (Substrate's default: 512).
    pub keep_period: u32,
    /// Do not store justifications of set changes: finality proofs for that set are then `null`.
    pub forget_set_changes: bool,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            every: 1,
            lag: 0,
            hold: false,
            style: Style::Plain,
            keep_period: 512,
            forget_set_changes: false,
        }
    }
}

/// Finalizes one chain and answers for its finality.
pub struct Finalizer {
    chain: Arc<Chain>,
    keys: KeySource,
    knobs: Mutex<Knobs>,
    inner: Mutex<Inner>,
}

struct Inner {
    tracker: Tracker,
    /// Keys of the tracked set, in list order.
    signers: Vec<ed25519::Pair>,
    round: u64,
    /// (set id, last block of the set), ascending.
    completed: Vec<(u64, u32)>,
    latest: Option<(u32, Vec<u8>)>,
}

impl Finalizer {
    /// A finalizer that takes the set from the state of `chain`'s finalized head.
    pub fn new(chain: Arc<Chain>, keys: KeySource, knobs: Knobs) -> Self {
        let head = chain.finalized();
        let tracker = Tracker::from_state(&chain, &head);
        let signers = keys_of(keys, tracker.set_id, &tracker.voters);
        let inner = Inner { tracker, signers, round: 0, completed: Vec::new(), latest: None };
        Self { chain, keys, knobs: Mutex::new(knobs), inner: Mutex::new(inner) }
    }

    /// Changes what happens from the next block on.
    pub fn adjust(&self, change: impl FnOnce(&mut Knobs)) {
        change(&mut lock::mutex(&self.knobs));
    }

    /// The set that finalizes the next block: id and voters.
    pub fn current_set(&self) -> (u64, AuthorityList) {
        let inner = lock::mutex(&self.inner);
        (inner.tracker.set_id, inner.tracker.voters.clone())
    }

    /// Completed sets: id and last block, ascending.
    pub fn completed_sets(&self) -> Vec<(u64, u32)> {
        lock::mutex(&self.inner).completed.clone()
    }

    /// The newest justification: height of its target, and bytes.
    pub fn latest_justification(&self) -> Option<(u32, Vec<u8>)> {
        lock::mutex(&self.inner).latest.clone()
    }

    /// Forgets completed sets up to `set_id`, as a node that was warp-synced past them.
    pub fn forget_history(&self, set_id: u64) {
        lock::mutex(&self.inner).completed.retain(|(id, _)| *id > set_id);
    }

    /// Finalizes what the knobs allow now. Call after every new best block.
    pub fn advance(&self) {
        let knobs = lock::mutex(&self.knobs).clone();
        if knobs.hold {
            return;
        }
        let reach = self.chain.best().header.number.saturating_sub(knobs.lag);
        let target = reach - reach % knobs.every.max(1);
        let mut inner = lock::mutex(&self.inner);
        while let Some(end) = inner.tracker.end_of_set(&self.chain, reach) {
            self.complete_set(&mut inner, end, &knobs);
        }
        if target > self.chain.finalized_number() {
            let bytes = self.justify(&mut inner, target, &knobs, None);
            if target.is_multiple_of(knobs.keep_period.max(1)) {
                self.chain.store_justification(target, GRANDPA_ENGINE_ID, bytes.clone());
            }
            self.publish(&mut inner, target, bytes);
        }
    }

    fn complete_set(&self, inner: &mut Inner, end: tracker::SetEnd, knobs: &Knobs) {
        let last = end.last_block;
        if end.forced {
            // The new set starts over after the median; nobody justifies the switch itself.
            inner.completed.push((inner.tracker.set_id, last));
        } else if last > self.chain.finalized_number() {
            let bytes = self.justify(inner, last, knobs, Some(last));
            if !knobs.forget_set_changes {
                self.chain.store_justification(last, GRANDPA_ENGINE_ID, bytes.clone());
            }
            inner.completed.push((inner.tracker.set_id, last));
            self.publish(inner, last, bytes);
        }
        inner.tracker.enter(end);
        inner.signers = keys_of(self.keys, inner.tracker.set_id, &inner.tracker.voters);
        inner.round = 0;
    }

    fn publish(&self, inner: &mut Inner, number: u32, bytes: Vec<u8>) {
        inner.latest = Some((number, bytes.clone()));
        self.chain.finalize(number);
        self.chain.announce_justification(bytes);
    }

    fn justify(&self, inner: &mut Inner, number: u32, knobs: &Knobs, limit: Option<u32>) -> Vec<u8> {
        const KNOWN: &str = "heights up to the best block exist";
        inner.round += 1;
        let block = self.chain.block_at(number).expect(KNOWN);
        let target = (block.hash, number);
        let parent = (block.header.parent_hash, number.saturating_sub(1));
        let highest = limit.unwrap_or_else(|| {
            let best = self.chain.best().header.number;
            inner.tracker.limit().map_or(best, |limit| limit.min(best))
        });
        let above: Vec<_> =
            (number + 1..=highest).map(|n| (self.chain.block_at(n).expect(KNOWN).hash, n)).collect();

        let voters = &inner.tracker.voters;
        let needed = threshold(voters);
        let offset = inner.round as usize;
        let mut spec = JustificationSpec::new(inner.round, inner.tracker.set_id, target);
        let mut weight = 0;
        for index in 0..voters.len() {
            let member = (index + offset) % voters.len();
            if weight >= needed && knobs.style != Style::Everyone {
                break;
            }
            weight += voters[member].1;
            spec.votes.push(Vote::new(inner.signers[member], target));
        }
        let outsider = || ed25519::Pair::from_seed(&[0xee; 32]);
        match knobs.style {
            Style::Plain | Style::Everyone => {}
            Style::Descendants => {
                if let Some(places) = std::num::NonZero::new(above.len()) {
                    for (index, vote) in spec.votes.iter_mut().skip(1).enumerate() {
                        vote.target = above[index % places];
                    }
                }
            }
            Style::Equivocation => {
                if let Some(vote) = spec.votes.first().cloned() {
                    spec.votes.push(Vote { target: parent, ..vote });
                }
            }
            Style::ExtraNonMember => spec.votes.push(Vote::new(outsider(), target)),
            Style::ExtraNonMemberBadSignature => {
                spec.votes.push(Vote { signing: Signing::Corrupt, ..Vote::new(outsider(), target) });
            }
            Style::BadSignature => {
                if let Some(vote) = spec.votes.last_mut() {
                    vote.signing = Signing::Corrupt;
                }
            }
            Style::TooFewVotes => {
                spec.votes.pop();
            }
            Style::WrongSet => spec.set_id += 1,
            Style::UnusedHeader => {
                spec.ancestries = Ancestries::NeededAnd(vec![block.header.clone()]);
            }
        }
        make_justification(&*self.chain, &spec)
    }

    /// What `grandpa_proveFinality` answers for the block at `number`: the SCALE [`FinalityProof`], or `None`
    /// when the needed justification is not stored.
    pub fn prove(&self, number: u32) -> Result<Option<Vec<u8>>, ProveError> {
        let inner = lock::mutex(&self.inner);
        let proof = proof::prove(
            &self.chain,
            &inner.completed,
            inner.latest.as_ref(),
            inner.tracker.first_set,
            number,
        )?;
        Ok(proof.map(|proof| proof.encode()))
    }
}

/// The keys of `voters`, in list order: derived from the set id, then matched by public key.
fn keys_of(keys: KeySource, set_id: u64, voters: &AuthorityList) -> Vec<ed25519::Pair> {
    let derived = keys(set_id, voters.len() as u32);
    debug_assert!(derived.iter().zip(voters).all(|(pair, (id, _))| pair.public() == (*id).clone().into()));
    derived
}
