//! Making GRANDPA justifications of any shape, right or wrong, from a header chain and keys.

use std::collections::{HashMap, HashSet};

use codec::Encode;
use finality_grandpa::{Message, Precommit, Prevote, SignedPrecommit};
use sp_consensus_grandpa::{AuthorityList, Commit, GrandpaJustification, localized_payload};
use sp_core::{H256, Pair as _, ed25519};
use sp_runtime::traits::Header as _;

use crate::chain::{Chain, Header};

/// Where ancestries are taken from.
pub trait Headers {
    /// The header with this hash.
    fn header(&self, hash: H256) -> Option<Header>;
}

impl Headers for Chain {
    fn header(&self, hash: H256) -> Option<Header> {
        self.block(hash).map(|block| block.header.clone())
    }
}

impl Headers for [Header] {
    fn header(&self, hash: H256) -> Option<Header> {
        self.iter().find(|header| header.hash() == hash).cloned()
    }
}

impl Headers for HashMap<H256, Header> {
    fn header(&self, hash: H256) -> Option<Header> {
        self.get(&hash).cloned()
    }
}

/// How a vote is signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signing {
    /// For the round and set of the justification.
    #[default]
    Right,
    /// Right, and then one bit is flipped.
    Corrupt,
    /// For another set id.
    Set(u64),
    /// For another round.
    Round(u64),
    /// As a prevote instead of a precommit.
    Prevote,
}

/// One precommit.
#[derive(Clone)]
pub struct Vote {
    /// Who signs.
    pub signer: ed25519::Pair,
    /// Whose id the vote carries; the signer's own when `None`.
    pub claimed_id: Option<ed25519::Public>,
    /// Hash and height of the block voted for.
    pub target: (H256, u32),
    /// How it is signed.
    pub signing: Signing,
}

impl Vote {
    /// An honest vote.
    pub fn new(signer: ed25519::Pair, target: (H256, u32)) -> Self {
        Self { signer, claimed_id: None, target, signing: Signing::Right }
    }
}

/// Which headers go into `votes_ancestries`.
#[derive(Debug, Clone, Default)]
pub enum Ancestries {
    /// Exactly those between the lowest vote target and every other one.
    #[default]
    Needed,
    /// Those, and more.
    NeededAnd(Vec<Header>),
    /// These and no others.
    Exactly(Vec<Header>),
}

/// What a justification says.
#[derive(Clone)]
pub struct JustificationSpec {
    /// Round number.
    pub round: u64,
    /// Set id the votes are signed for.
    pub set_id: u64,
    /// Commit target: hash and height.
    pub target: (H256, u32),
    /// The precommits, in order.
    pub votes: Vec<Vote>,
    /// The ancestry headers.
    pub ancestries: Ancestries,
}

impl JustificationSpec {
    /// Without votes yet.
    pub fn new(round: u64, set_id: u64, target: (H256, u32)) -> Self {
        Self { round, set_id, target, votes: Vec::new(), ancestries: Ancestries::Needed }
    }

    /// With an honest vote of each of `signers` for the target.
    pub fn voted_by(mut self, signers: &[ed25519::Pair]) -> Self {
        let target = self.target;
        self.votes.extend(signers.iter().map(|signer| Vote::new(*signer, target)));
        self
    }
}

/// The least weight that finalizes: `total - floor((total - 1) / 3)` (finality-grandpa's `VoterSet`).
pub fn threshold(voters: &AuthorityList) -> u64 {
    let total: u64 = voters.iter().map(|(_, weight)| weight).sum();
    total - total.saturating_sub(1) / 3
}

/// The SCALE `GrandpaJustification` that `spec` describes. Nothing is checked: a nonsensical spec gives a
/// nonsensical justification.
pub fn make_justification(headers: &(impl Headers + ?Sized), spec: &JustificationSpec) -> Vec<u8> {
    let precommits = spec.votes.iter().map(|vote| precommit(spec, vote)).collect();
    let votes_ancestries = match &spec.ancestries {
        Ancestries::Needed => needed(headers, spec),
        Ancestries::NeededAnd(more) => [needed(headers, spec), more.clone()].concat(),
        Ancestries::Exactly(exactly) => exactly.clone(),
    };
    let (target_hash, target_number) = spec.target;
    let commit = Commit::<Header> { target_hash, target_number, precommits };
    GrandpaJustification::<Header> { round: spec.round, commit, votes_ancestries }.encode()
}

type Signed =
    SignedPrecommit<H256, u32, sp_consensus_grandpa::AuthoritySignature, sp_consensus_grandpa::AuthorityId>;

fn precommit(spec: &JustificationSpec, vote: &Vote) -> Signed {
    let (target_hash, target_number) = vote.target;
    let precommit = Precommit { target_hash, target_number };
    let message = match vote.signing {
        Signing::Prevote => Message::Prevote(Prevote { target_hash, target_number }),
        _ => Message::Precommit(precommit.clone()),
    };
    let (round, set_id) = match vote.signing {
        Signing::Round(round) => (round, spec.set_id),
        Signing::Set(set_id) => (spec.round, set_id),
        Signing::Right | Signing::Corrupt | Signing::Prevote => (spec.round, spec.set_id),
    };
    let mut signature = vote.signer.sign(&localized_payload(round, set_id, &message)).0;
    if vote.signing == Signing::Corrupt {
        signature[40] ^= 1;
    }
    let id = vote.claimed_id.unwrap_or_else(|| vote.signer.public());
    SignedPrecommit { precommit, signature: ed25519::Signature::from_raw(signature).into(), id: id.into() }
}

/// Headers from every vote target down to the lowest one, each once, the lowest left out.
fn needed(headers: &(impl Headers + ?Sized), spec: &JustificationSpec) -> Vec<Header> {
    let Some(base) = spec.votes.iter().map(|vote| vote.target).min_by_key(|(_, number)| *number) else {
        return Vec::new();
    };
    let mut seen = HashSet::from([base.0]);
    let mut ancestries = Vec::new();
    for vote in &spec.votes {
        let mut hash = vote.target.0;
        while !seen.contains(&hash) {
            let Some(header) = headers.header(hash).filter(|header| *header.number() > base.1) else { break };
            seen.insert(hash);
            hash = header.parent_hash;
            ancestries.push(header);
        }
    }
    ancestries
}
