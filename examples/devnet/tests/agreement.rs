//! The bridge stores what workers will believe: its check of justifications (`prb-chain`) and the dev worker's
//! light client, written apart, must judge alike.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, unreachable_pub)]

#[path = "agreement/judges.rs"]
mod judges;
#[path = "agreement/kinds.rs"]
mod kinds;
#[path = "agreement/recipe.rs"]
mod recipe;
mod worker_support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use codec::{Decode, Encode};
use judges::{Refused, Verdict, block_ref, bridge, client, feed, worker};
use kinds::{Lenient, features, lenient};
use prb_chain::verify::CryptoVerifier;
use prb_core::accept::Verifier;
use prb_core::id::{BlockRef, Height};
use prb_core::types::grandpa::AuthoritySet;
use prb_devnet::chain::{BlockInput, Chain, Event, PoolConfig, Runtime};
use prb_devnet::finality::{
    Ancestries, Finalizer, JustificationSpec, Knobs, Style, Vote, make_justification, threshold,
};
use prb_devnet::runtime::{authorities_for, authority_pair, relay};
use prb_devnet::worker::Version;
use prb_devnet::worker::light::LightClient;
use prb_devnet::worker::light::justification::Justification;
use prb_devnet::worker::scale::{self, Header, HeaderToSync};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use recipe::{Case, SMALL_POINTS, recipe};
use sp_core::{H256, Pair, ed25519};
use worker_support as vectors;

fn agree(case: &Case, bridge: &Verdict, worker: &Verdict) -> Result<(), String> {
    let alike = match (bridge, worker) {
        (Ok(bridge), Ok(worker)) => bridge == worker,
        (Err(bridge), Err(worker)) => bridge.fits(*worker) || lenient(case).is_some(),
        (Err(_), Ok(_)) => lenient(case).is_some(),
        (Ok(_), Err(_)) => false,
    };
    if alike { Ok(()) } else { Err(format!("the bridge says {bridge:?}, the worker {worker:?}")) }
}

/// What must be among the accepted ones, all of it often.
const FEATURES: [&str; 13] = [
    "votes for descendants",
    "votes for ancestors",
    "votes for forks",
    "repeated votes",
    "equivocators",
    "outsiders",
    "votes without weight",
    "voters listed twice",
    "unequal weights",
    "absent voters",
    "keys of small order",
    "a set change",
    "bytes left over",
];

const REFUSALS: [Refused; 8] = [
    Refused::Undecodable,
    Refused::WrongTarget,
    Refused::Weightless,
    Refused::Commit,
    Refused::Signature,
    Refused::Ancestry,
    Refused::UnusedHeaders,
    Refused::DelayedChange,
];

/// 32 bytes of hex in this variable replay a run.
const SEED: &str = "PRB_AGREEMENT_SEED";
const CASES: u32 = 4_000;

#[test]
fn bridge_and_worker_judge_thousands_of_justifications_alike() {
    let seed: [u8; 32] = match std::env::var(SEED) {
        Ok(text) => hex::decode(text).unwrap().try_into().unwrap(),
        Err(_) => ed25519::Pair::generate().1,
    };
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let accepted: RefCell<BTreeMap<&'static str, u32>> = RefCell::default();
    let refused: RefCell<BTreeMap<Refused, u32>> = RefCell::default();
    let stricter: RefCell<BTreeMap<Lenient, u32>> = RefCell::default();
    let result = runner.run(&recipe(), |recipe| {
        let case = recipe.build();
        let after = BlockRef {
            height: Height(case.header.number - 1),
            hash: prb_core::id::Hash(case.header.parent_hash.0),
        };
        let batch = std::slice::from_ref(&case.header);
        let ours = bridge(after, &case.set, batch, &case.justification);
        let theirs = worker(after, &case.set, batch, &case.justification);
        agree(&case, &ours, &theirs).map_err(proptest::test_runner::TestCaseError::fail)?;
        match (&ours, &theirs) {
            (Ok(set), _) => {
                for feature in features(&case, set).into_iter().chain(["all"]) {
                    *accepted.borrow_mut().entry(feature).or_default() += 1;
                }
            }
            (Err(_), Err(refusal)) => *refused.borrow_mut().entry(*refusal).or_default() += 1,
            (Err(_), Ok(_)) => *stricter.borrow_mut().entry(lenient(&case).unwrap()).or_default() += 1,
        }
        Ok(())
    });
    let seed = hex::encode(seed);
    if let Err(error) = result {
        panic!("{SEED}={seed} repeats this:\n{error}");
    }
    let (accepted, refused, stricter) = (accepted.into_inner(), refused.into_inner(), stricter.into_inner());
    let summary = format!("{SEED}={seed}: accepted {accepted:?}, refused {refused:?}, stricter {stricter:?}");
    println!("{summary}");
    // Agreement means nothing unless every answer is given often, and for every reason.
    assert!((CASES / 4..CASES * 3 / 4).contains(&accepted["all"]), "{summary}");
    const FEW: u32 = CASES / 500;
    for feature in FEATURES {
        assert!(accepted.get(feature).is_some_and(|count| *count >= FEW), "{feature}: {summary}");
    }
    for refusal in REFUSALS {
        assert!(refused.get(&refusal).is_some_and(|count| *count >= FEW), "{refusal:?}: {summary}");
    }
    // The exceptions must stay exceptions.
    assert!(stricter.values().sum::<u32>() < CASES / 20, "{summary}");
}

const RELAY: Runtime = Runtime { name: "relay", dispatch: relay::dispatch };

fn author(chain: &Chain) {
    let number = chain.best().header.number + 1;
    let inputs =
        relay::BlockInputs { now_ms: 1_700_000_000_000 + u64::from(number) * 6000, ..Default::default() };
    let inherents = inputs.inherents().iter().map(Encode::encode).collect();
    chain.author_block(&BlockInput { inherents, ..BlockInput::default() }).unwrap();
}

/// Both followers of one relay chain, from its genesis.
struct Followers {
    chain: Arc<Chain>,
    at: u32,
    set: AuthoritySet,
    client: LightClient,
}

impl Followers {
    fn new(chain: Arc<Chain>) -> Self {
        let block = chain.block_at(0).unwrap();
        let key = hex::decode("5f9cc45b7a00c5899361e1c6099678dc5e0621c4869aa60c02be9adcc98a0d1d").unwrap();
        let list = chain.read_as(&key, Some(block.hash)).unwrap();
        let genesis = scale::GenesisBlockInfo {
            block_header: block.header.clone(),
            authority_set: scale::AuthoritySet { list, id: 0 },
            proof: chain.prove_read(&[key], Some(block.hash)).unwrap(),
        };
        let ours = prb_core::types::sync::GenesisBlockInfo::decode(&mut &genesis.encode()[..]).unwrap();
        CryptoVerifier::without_state().authorities(&ours).unwrap();
        let client = LightClient::new(Version::CURRENT, genesis).unwrap();
        Self { chain, at: 0, set: ours.authority_set, client }
    }

    /// Both judge the headers up to `target` with this justification, and step forward if they accept.
    fn judge(&mut self, target: u32, justification: &[u8]) -> Result<(), Refused> {
        let after = block_ref(&self.chain.block_at(self.at).unwrap().header);
        let batch: Vec<Header> =
            (self.at + 1..=target).map(|at| self.chain.block_at(at).unwrap().header.clone()).collect();
        let ours = bridge(after, &self.set, &batch, justification);
        let theirs = feed(&mut self.client, &batch, justification);
        assert_eq!(ours, theirs, "block {target}");
        self.set = ours?;
        self.at = target;
        Ok(())
    }
}

#[test]
fn bridge_and_worker_follow_the_dev_relay_chain_through_set_changes_in_every_style() {
    let styles = [
        (Style::Plain, None),
        (Style::Everyone, None),
        (Style::Descendants, None),
        (Style::Equivocation, None),
        (Style::ExtraNonMember, None),
        (Style::ExtraNonMemberBadSignature, Some(Refused::Signature)),
        (Style::BadSignature, Some(Refused::Signature)),
        (Style::TooFewVotes, Some(Refused::Commit)),
        (Style::WrongSet, Some(Refused::Signature)),
        (Style::UnusedHeader, Some(Refused::UnusedHeaders)),
    ];
    for (style, refusal) in styles {
        let config = relay::GenesisConfig { rotation_period: 9, authorities: 7, ..Default::default() };
        let chain = Arc::new(Chain::new(RELAY, &relay::genesis(&config), PoolConfig::default()).unwrap());
        let mut followers = Followers::new(chain.clone());
        let knobs = Knobs { style, lag: 4, every: 2, ..Knobs::default() };
        let finalizer = Finalizer::new(chain.clone(), authorities_for, knobs);
        let mut events = chain.events();
        let mut judged = 0;
        for _ in 0..40 {
            author(&chain);
            finalizer.advance();
            while let Ok(event) = events.try_recv() {
                let Event::Justification(bytes) = event else { continue };
                let target = Justification::decode(&mut &bytes[..]).unwrap().commit.target_number;
                assert_eq!(followers.judge(target, &bytes).err(), refusal, "{style:?} {target}");
                if refusal.is_some() {
                    // Go on with a sound one.
                    let hash = chain.block_at(target).unwrap().hash;
                    let signers = authorities_for(followers.set.id, 7);
                    let spec = JustificationSpec::new(1, followers.set.id, (hash, target)).voted_by(&signers);
                    assert_eq!(followers.judge(target, &make_justification(&*chain, &spec)), Ok(()));
                }
                judged += 1;
            }
        }
        // Every second one of 36 blocks, and the odd ones among the four ends of sets.
        assert_eq!((followers.at, followers.set.id, judged), (36, 4, 20), "{style:?}");
    }
}

#[test]
fn bridge_and_worker_count_an_equivocator_for_the_target_and_need_the_threshold_all_the_same() {
    use vectors::{Worker, authority, genesis_info, refused, t3};
    let info = genesis_info();
    let set = AuthoritySet { list: info.authority_set.list.clone(), id: info.authority_set.id };
    let headers: Vec<Header> = t3().into_iter().map(|item| item.header).collect();
    let [parent, target] = &headers[..] else { panic!("two headers") };
    let after = block_ref(&info.block_header);
    let commit = "HeaderValidateFailed(bad justification for header: \
                  invalid commit in grandpa justification)";
    // A1 votes twice; with two more it makes three of four, with one more only two.
    for (honest, enough) in [(&[2u8, 3][..], true), (&[2][..], false)] {
        let mut spec = JustificationSpec::new(3, set.id, (target.hash(), target.number));
        for header in [target, parent] {
            spec.votes.push(Vote::new(authority(1), (header.hash(), header.number)));
        }
        spec.votes
            .extend(honest.iter().map(|voter| Vote::new(authority(*voter), (target.hash(), target.number))));
        let bytes = make_justification(&headers[..], &spec);
        let ours = bridge(after, &set, &headers, &bytes);
        assert_eq!(ours, feed(&mut client(after, &set), &headers, &bytes));
        assert_eq!(ours.err(), (!enough).then_some(Refused::Commit));
        // And the whole worker, asked by its API.
        let batch: Vec<HeaderToSync> = headers
            .iter()
            .map(|header| HeaderToSync {
                header: header.clone(),
                justification: (header == target).then(|| bytes.clone()),
            })
            .collect();
        let reply = Worker::init().sync_header(&batch);
        if enough { assert_eq!(reply, Ok(102)) } else { assert_eq!(refused(reply), commit) }
    }
}

#[test]
fn bridge_and_worker_agree_on_the_threshold_of_every_size_of_set() {
    for members in (1..=12u64).chain([100, 297, 300]) {
        let keys: Vec<_> = (0..members).map(authority_pair).collect();
        let list = keys.iter().map(|key| (key.public().0, 1)).collect();
        let set = AuthoritySet { list, id: 2 };
        let least = threshold(&keys.iter().map(|key| (key.public().into(), 1)).collect());
        let header = vectors::header(H256::repeat_byte(1), 50, H256::zero());
        let after = BlockRef { height: Height(49), hash: prb_core::id::Hash([1; 32]) };
        for votes in [least - 1, least] {
            let spec = JustificationSpec::new(1, 2, (header.hash(), 50)).voted_by(&keys[..votes as usize]);
            let bytes = make_justification(std::slice::from_ref(&header), &spec);
            let ours = bridge(after, &set, std::slice::from_ref(&header), &bytes);
            assert_eq!(ours, worker(after, &set, std::slice::from_ref(&header), &bytes));
            assert_eq!(ours.is_ok(), votes == least, "{votes} of {members}");
        }
    }
}

/// Votes `(member, block, number)` of four equal members, judged as a commit on `target`.
fn judge_votes(target: &Header, votes: &[(u64, &Header, u32)], needed: &[&Header]) -> (Verdict, Verdict) {
    let keys: Vec<_> = (0..4).map(authority_pair).collect();
    let set = AuthoritySet { list: keys.iter().map(|key| (key.public().0, 1)).collect(), id: 2 };
    let mut spec = JustificationSpec::new(1, 2, (target.hash(), target.number));
    spec.votes = votes
        .iter()
        .map(|(voter, header, number)| Vote::new(keys[*voter as usize], (header.hash(), *number)))
        .collect();
    spec.ancestries = Ancestries::Exactly(needed.iter().map(|header| (*header).clone()).collect());
    let bytes = make_justification(std::slice::from_ref(target), &spec);
    let after =
        BlockRef { height: Height(target.number - 1), hash: prb_core::id::Hash(target.parent_hash.0) };
    let batch = std::slice::from_ref(target);
    (bridge(after, &set, batch, &bytes), worker(after, &set, batch, &bytes))
}

#[test]
fn where_more_than_a_third_equivocates_the_bridge_accepts_neither_branch_and_the_worker_one() {
    let base = vectors::header(H256::repeat_byte(1), 50, H256::zero());
    let [left, right] = [1, 2].map(|root| vectors::header(base.hash(), 51, H256::repeat_byte(root)));
    let votes =
        [(0, &base, 50), (0, &left, 51), (1, &left, 51), (1, &right, 51), (2, &left, 51), (3, &right, 51)];
    let verdicts = [&left, &right].map(|target| judge_votes(target, &votes, &[&left, &right]));
    assert_eq!(verdicts.iter().filter(|(_, worker)| worker.is_ok()).count(), 1);
    assert!(verdicts.iter().all(|(bridge, _)| *bridge == Err(Refused::Commit)));
    // With one equivocator only the left one has enough, and both know.
    let votes = [(0, &base, 50), (0, &left, 51), (1, &left, 51), (2, &left, 51), (3, &right, 51)];
    let (bridge, worker) = judge_votes(&left, &votes, &[&left, &right]);
    assert_eq!(bridge, worker);
    assert!(bridge.is_ok());
}

#[test]
fn a_members_vote_with_a_wrong_number_is_never_good_for_the_bridge_and_for_the_worker_only_in_some_orders() {
    let base = vectors::header(H256::repeat_byte(1), 50, H256::zero());
    let target = vectors::header(base.hash(), 51, H256::zero());
    let wrong = (3, &target, 52);
    let mut votes = vec![(0, &base, 50), (1, &target, 51), (2, &target, 51)];
    votes.push(wrong);
    let (bridge, worker) = judge_votes(&target, &votes, &[&target]);
    assert_eq!(bridge, Err(Refused::Commit));
    assert!(worker.is_ok());
    votes.rotate_right(1);
    assert_eq!(judge_votes(&target, &votes, &[&target]), (Err(Refused::Commit), Err(Refused::Commit)));
}

#[test]
fn a_vote_signed_twice_in_different_ways_makes_an_equivocator_and_an_exact_repetition_does_not() {
    let base = vectors::header(H256::repeat_byte(1), 50, H256::zero());
    let target = vectors::header(base.hash(), 51, H256::zero());
    let keys: Vec<_> = (0..3).map(authority_pair).collect();
    // Under this key anything of small order signs anything.
    let trickster = SMALL_POINTS[0];
    let list = keys.iter().map(|key| key.public().0).chain([trickster]).map(|id| (id, 1)).collect();
    let set = AuthoritySet { list, id: 2 };
    let mut spec = JustificationSpec::new(1, 2, (target.hash(), 51)).voted_by(&keys[..2]);
    let claimed_id = Some(ed25519::Public::from_raw(trickster));
    let vote = Vote { claimed_id, ..Vote::new(keys[0], (base.hash(), 50)) };
    spec.votes.extend([vote.clone(), vote]);
    let plain = make_justification(std::slice::from_ref(&target), &spec);
    let after = BlockRef { height: Height(50), hash: prb_core::id::Hash(base.hash().0) };
    for (points, enough) in [([0, 1], true), ([1, 1], false)] {
        let mut justification = Justification::decode(&mut &plain[..]).unwrap();
        for (vote, point) in justification.commit.precommits[2..].iter_mut().zip(points) {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&SMALL_POINTS[point]);
            vote.signature = ed25519::Signature::from_raw(signature);
        }
        let bytes = justification.encode();
        let ours = bridge(after, &set, std::slice::from_ref(&target), &bytes);
        assert_eq!(ours, worker(after, &set, std::slice::from_ref(&target), &bytes));
        assert_eq!(ours.err(), (!enough).then_some(Refused::Commit));
    }
}
