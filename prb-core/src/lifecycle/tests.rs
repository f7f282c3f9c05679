use super::*;
use crate::{
    id::{BlockRef, Hash},
    port::sink::DispatchError,
    types::facts::{Session, SessionState, WorkerEntry},
};
use bytes::Bytes;

mod model;

const OWNER: AccountId = AccountId([5; 32]);
const WORKER: WorkerKey = WorkerKey([1; 32]);
const POOL: PoolId = PoolId(1);

fn goal() -> Goal {
    Goal::new(POOL, OWNER, 1_500_000_000_000_000)
}

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

fn job(number: u64) -> JobId {
    JobId { era: 1, number }
}

fn info(registered: bool, blocknum: u32) -> WorkerInfo {
    WorkerInfo {
        initialized: true,
        registered,
        public_key: Some(WORKER),
        blocknum: Height(blocknum),
        ..WorkerInfo::default()
    }
}

fn entry(operator: AccountId, initial_score: Option<u32>) -> WorkerEntry {
    WorkerEntry {
        pubkey: WORKER,
        ecdh_pubkey: WORKER.0,
        runtime_version: 131_584,
        last_updated: 0,
        operator: Some(operator),
        attestation_provider: None,
        confidence_level: 128,
        initial_score,
    }
}

fn session(state: SessionState) -> Session {
    Session {
        state,
        ve: 0,
        v: 0,
        v_updated_at: 0,
        p_init: 0,
        p_instant: 0,
        iterations: 0,
        working_start_time: 0,
        challenge_time_last: 0,
        cool_down_start: 0,
        total_reward: 0,
    }
}

fn facts(entry: Option<WorkerEntry>, assignment: Option<PoolId>, state: Option<SessionState>) -> Facts {
    Facts { block: Height(10), entry, assignment, session: state.map(session), ..Facts::default() }
}

fn stage(registered: bool, facts: &Facts) -> Stage {
    Stage::of(&goal(), Some(&info(registered, 11)), true, Some(facts))
}

#[test]
fn v2_f032_each_stage_follows_from_what_is_observed() {
    use SessionState::{Ready, WorkerCoolingDown, WorkerIdle, WorkerUnresponsive};
    let scored = || Some(entry(OWNER, Some(500)));
    let cases = [
        (facts(None, None, None), false, Stage::Registering),
        (facts(Some(entry(OWNER, None)), None, None), false, Stage::Registering),
        (facts(Some(entry(AccountId([9; 32]), Some(500))), None, None), true, Stage::Registering),
        (facts(Some(entry(OWNER, None)), None, None), true, Stage::AwaitingScore),
        (facts(scored(), None, None), true, Stage::JoiningPool),
        (facts(scored(), Some(PoolId(2)), None), true, Stage::InAnotherPool),
        (
            facts(Some(entry(AccountId([9; 32]), Some(500))), Some(PoolId(2)), None),
            true,
            Stage::InAnotherPool,
        ),
        (facts(None, Some(PoolId(2)), None), false, Stage::InAnotherPool),
        (
            facts(Some(entry(AccountId([9; 32]), Some(500))), Some(POOL), Some(WorkerIdle)),
            true,
            Stage::Registering,
        ),
        (facts(Some(entry(OWNER, None)), Some(POOL), Some(WorkerIdle)), true, Stage::Working),
        (facts(scored(), Some(POOL), Some(Ready)), true, Stage::StartingComputing),
        (facts(scored(), Some(POOL), None), true, Stage::StartingComputing),
        (facts(scored(), Some(POOL), Some(WorkerIdle)), true, Stage::Working),
        (facts(scored(), Some(POOL), Some(WorkerUnresponsive)), true, Stage::Unresponsive),
        (facts(scored(), Some(POOL), Some(WorkerCoolingDown)), true, Stage::CoolingDown),
    ];
    for (facts, registered, expected) in cases {
        assert_eq!(stage(registered, &facts), expected, "{facts:?}");
    }
}

#[test]
fn v3_f29_v3_f30_v2_f038_what_is_wanted_decides_too() {
    let scored = |score| Some(entry(OWNER, Some(score)));
    let foreign = || Some(entry(AccountId([9; 32]), None));
    let ready = Some(SessionState::Ready);
    let gatekeeper = Goal { gatekeeper: true, ..goal() };
    let disabled = Goal { disabled: true, ..goal() };
    let picky = Goal { min_score: Some(500), ..goal() };
    let cases = [
        (&gatekeeper, facts(None, None, None), false, Stage::Registering),
        (&gatekeeper, facts(foreign(), None, None), false, Stage::Registering),
        (&gatekeeper, facts(foreign(), None, None), true, Stage::Gatekeeper),
        (&gatekeeper, facts(scored(9), Some(PoolId(7)), None), true, Stage::Gatekeeper),
        (&disabled, facts(None, None, None), false, Stage::Disabled),
        (&picky, facts(scored(499), None, None), true, Stage::AwaitingScore),
        (&picky, facts(scored(499), Some(POOL), ready), true, Stage::AwaitingScore),
        (&picky, facts(scored(499), Some(POOL), Some(SessionState::WorkerIdle)), true, Stage::Working),
        (&picky, facts(scored(500), None, None), true, Stage::JoiningPool),
    ];
    for (goal, facts, registered, expected) in cases {
        let stage = Stage::of(goal, Some(&info(registered, 11)), true, Some(&facts));
        assert_eq!(stage, expected, "{goal:?} {facts:?}");
    }
    assert_eq!(Stage::of(&disabled, None, false, None), Stage::Disabled);
}

/// One look at a worker that is registered as it should be, with the session and the stake that `facts` say.
fn look(lifecycle: &mut Lifecycle, now: u64, goal: &Goal, facts: &Facts) -> Option<Action> {
    lifecycle.decide(at(now), goal, Some(&info(true, 11)), true, Some(facts))
}

fn computing(stake: u128) -> Facts {
    let facts = facts(Some(entry(OWNER, Some(500))), Some(POOL), Some(SessionState::WorkerIdle));
    Facts { stake: Some(stake), ..facts }
}

fn cooling(now: u64) -> Facts {
    let mut facts = facts(Some(entry(OWNER, Some(500))), Some(POOL), Some(SessionState::WorkerCoolingDown));
    if let Some(session) = &mut facts.session {
        session.cool_down_start = 1_000_000;
    }
    Facts { cool_down: Some(600), now, ..facts }
}

#[test]
fn v2_f122_a_higher_stake_is_sent_and_a_lower_one_told() {
    let goal = goal();
    let (worker, stake) = (WORKER, goal.stake);
    let cases = [
        (stake - 1, Some(Action::Submit(Call::RestartComputing { pool: POOL, worker, stake })), false),
        (stake, None, false),
        (stake + 1, None, true),
    ];
    for (on_chain, action, told) in cases {
        let mut lifecycle = Lifecycle::new(Pace::default(), 1);
        let facts = computing(on_chain);
        assert_eq!(look(&mut lifecycle, 0, &goal, &facts), action, "{on_chain}");
        assert_eq!((lifecycle.stage(), lifecycle.trouble()), (Stage::Working, None));
        assert_eq!(facts.remark(&goal).is_some(), told, "{on_chain}");
    }
    let unknown = Facts { stake: None, ..computing(0) };
    assert_eq!(look(&mut Lifecycle::new(Pace::default(), 1), 0, &goal, &unknown), None);
}

#[test]
fn v3_f21_a_cool_down_is_told_with_its_end_and_followed_by_a_reclaim() {
    let mut lifecycle = Lifecycle::new(Pace::default(), 1);
    assert_eq!(look(&mut lifecycle, 0, &goal(), &cooling(1_000_599)), None);
    assert_eq!(
        lifecycle.trouble(),
        Some("it was stopped; its stake is locked until 1970-01-12 13:56 UTC"),
        "the same words at every look"
    );
    let reclaim = Action::Submit(Call::ReclaimWorker { pool: POOL, worker: WORKER });
    assert_eq!(look(&mut lifecycle, 1, &goal(), &cooling(1_000_600)), Some(reclaim));
    assert_eq!(lifecycle.trouble(), None);
    let unknown = Facts { cool_down: None, ..cooling(u64::MAX) };
    assert_eq!(look(&mut lifecycle, 2, &goal(), &unknown), None);
    assert!(lifecycle.trouble().is_some());
}

#[test]
fn who_waits_for_somebody_says_so_and_who_waits_for_something_says_so_late() {
    let foreign = facts(Some(entry(OWNER, Some(1))), Some(PoolId(2)), None);
    let silent = facts(Some(entry(OWNER, Some(1))), Some(POOL), Some(SessionState::WorkerUnresponsive));
    let low = facts(Some(entry(OWNER, Some(1))), None, None);
    let scoreless = facts(Some(entry(OWNER, None)), None, None);
    let picky = Goal { min_score: Some(2), ..goal() };
    let cases = [
        (&foreign, goal(), Some("pool 2"), Some("pool 2")),
        (&silent, goal(), Some("unresponsive"), Some("unresponsive")),
        (&low, picky, Some("score of 1 is below the minimum of 2"), Some("below the minimum")),
        (&scoreless, goal(), None, Some("benchmark result is not on chain")),
    ];
    for (facts, goal, at_once, later) in cases {
        let mut lifecycle = Lifecycle::new(Pace::default(), 1);
        for (now, expected) in [(10, at_once), (10 + 1800, later)] {
            assert_eq!(look(&mut lifecycle, now, &goal, facts), None);
            let says = |part: &str| lifecycle.trouble().is_some_and(|trouble| trouble.contains(part));
            match expected {
                Some(part) => assert!(says(part), "{part}: {:?}", lifecycle.trouble()),
                None => assert_eq!(lifecycle.trouble(), None),
            }
        }
    }
}

#[test]
fn state_that_stays_older_than_the_last_call_is_told() {
    let mut lifecycle = Lifecycle::new(Pace::default(), 1);
    let facts = facts(Some(entry(OWNER, Some(500))), None, None);
    lifecycle.settled_to(Height(11));
    assert_eq!(look(&mut lifecycle, 0, &goal(), &facts), None);
    assert_eq!(lifecycle.trouble(), None);
    assert_eq!(look(&mut lifecycle, 600, &goal(), &facts), None);
    assert!(lifecycle.trouble().unwrap().contains("block 10"), "{:?}", lifecycle.trouble());
}

/// The outcome of a call in block 9.
fn ended(result: &CallResult) -> Outcome {
    let block = BlockRef { height: Height(9), hash: Hash::default() };
    Outcome::Finalized { block, extrinsic: Hash::default(), results: vec![result.clone()] }
}

fn refused(error: &str) -> CallResult {
    CallResult::Failed(DispatchError { pallet: Some("PhalaStakePoolv2".into()), error: error.into() })
}

#[test]
fn a_worker_that_comes_and_goes_does_not_pay_for_a_failing_call_each_time() {
    let mut lifecycle = Lifecycle::new(Pace::default(), 1);
    let ready = facts(Some(entry(OWNER, Some(500))), Some(POOL), Some(SessionState::Ready));
    let mut paid = Vec::new();
    for second in 0..3600 {
        // Away for a second of every five.
        if second % 5 == 4 {
            assert_eq!(lifecycle.decide(at(second), &goal(), None, false, None), None);
            assert_eq!(lifecycle.stage(), Stage::Starting);
        } else if look(&mut lifecycle, second, &goal(), &ready).is_some() {
            lifecycle.submitted(job(second));
            let failed = refused("InsufficientFreeStake");
            lifecycle.ended(at(second), &ended(&failed), Some(&failed));
            paid.push(second);
        }
        if second % 5 == 0 && second > 0 {
            assert!(
                lifecycle.trouble().unwrap().contains("add stake"),
                "it is told again when the worker is back"
            );
        }
    }
    assert!(paid.len() < 15, "{} fees in an hour: {paid:?}", paid.len());
}

#[test]
fn x09_a_registration_that_another_program_undoes_is_paid_ever_more_rarely() {
    let mut lifecycle = Lifecycle::new(Pace::default(), 1);
    let (ours, theirs) = (entry(OWNER, None), entry(AccountId([9; 32]), None));
    let mut chain = facts(Some(theirs.clone()), None, None);
    let (mut paid, mut said) = (0, false);
    for second in 0..6 * 3600 {
        if look(&mut lifecycle, second, &goal(), &chain) == Some(Action::Register) {
            lifecycle.submitted(job(second));
            lifecycle.ended(at(second), &ended(&CallResult::Ok), Some(&CallResult::Ok));
            chain.entry = Some(ours.clone());
            paid += 1;
        } else if second % 60 == 0 {
            chain.entry = Some(theirs.clone());
        }
        said |= lifecycle.trouble().is_some_and(|trouble| trouble.contains("another program registers"));
    }
    assert!((5..40).contains(&paid), "{paid} fees in six hours");
    assert!(said);
    // After an hour of peace it is something of its own.
    chain.entry = Some(ours);
    look(&mut lifecycle, 22_000, &goal(), &chain);
    chain.entry = Some(theirs);
    let again = (30_000..30_010).any(|second| look(&mut lifecycle, second, &goal(), &chain).is_some());
    assert!(again, "{:?}", lifecycle.trouble());
}

#[test]
fn v3_f24_to_begin_anew_forgets_pauses_and_what_was_stopped() {
    let mut lifecycle = Lifecycle::new(Pace::default(), 1);
    let ready = facts(Some(entry(OWNER, Some(500))), Some(POOL), Some(SessionState::Ready));
    for second in 0..60 {
        if look(&mut lifecycle, second, &goal(), &ready).is_some() {
            lifecycle.submitted(job(second));
            let failed = refused("InsufficientFreeStake");
            lifecycle.ended(at(second), &ended(&failed), Some(&failed));
        }
    }
    assert_eq!(look(&mut lifecycle, 60, &goal(), &ready), None);
    lifecycle.begin_anew();
    assert!(look(&mut lifecycle, 60, &goal(), &ready).is_some());
    lifecycle.halt();
    assert_eq!(look(&mut lifecycle, 61, &goal(), &ready), None);
    assert!(lifecycle.trouble().unwrap().contains("stopped by command"));
    lifecycle.begin_anew();
    assert!(look(&mut lifecycle, 62, &goal(), &ready).is_some());
}

#[test]
fn a_call_of_a_command_holds_back_all_others_and_is_nobodys_failure() {
    let mut lifecycle = Lifecycle::new(Pace::default(), 1);
    let ready = facts(Some(entry(OWNER, Some(500))), Some(POOL), Some(SessionState::Ready));
    lifecycle.commanded(job(1));
    assert_eq!(look(&mut lifecycle, 0, &goal(), &ready), None);
    let failed = refused("UnauthorizedPoolOwner");
    lifecycle.ended(at(1), &ended(&failed), Some(&failed));
    assert_eq!(lifecycle.trouble(), None);
    assert!(look(&mut lifecycle, 1, &goal(), &ready).is_some());
}

#[test]
fn what_could_not_be_asked_is_over_when_it_can_be_asked_again() {
    let mut lifecycle = Lifecycle::new(Pace::default(), 1);
    look(&mut lifecycle, 0, &goal(), &computing(goal().stake));
    lifecycle.stumbled(at(1), "the node is away".into());
    lifecycle.went_on(at(1));
    assert!(lifecycle.trouble().is_some(), "nothing was due in the pause");
    lifecycle.went_on(at(5));
    assert_eq!(lifecycle.trouble(), None);
}

#[test]
fn a_worker_that_is_away_uninitialised_or_behind_is_not_judged_by_the_chain() {
    let working = facts(Some(entry(OWNER, Some(1))), Some(POOL), Some(SessionState::WorkerIdle));
    assert_eq!(Stage::of(&goal(), None, false, Some(&working)), Stage::Starting);
    assert_eq!(Stage::of(&goal(), Some(&WorkerInfo::default()), false, Some(&working)), Stage::Initializing);
    assert_eq!(Stage::of(&goal(), Some(&info(true, 5)), false, Some(&working)), Stage::Syncing);
}

#[test]
fn v3_f28_sync_only_workers_are_left_alone() {
    let mut lifecycle = Lifecycle::new(Pace::default(), 1);
    let goal = Goal { sync_only: true, ..goal() };
    assert_eq!(
        lifecycle.decide(at(0), &goal, Some(&info(false, 11)), true, Some(&facts(None, None, None))),
        None
    );
    assert_eq!(lifecycle.stage(), Stage::SyncOnly);
}

#[test]
fn a_call_under_way_is_not_repeated_and_its_effect_is_awaited() {
    let mut lifecycle = Lifecycle::new(Pace::default(), 1);
    let before = facts(Some(entry(OWNER, Some(500))), None, None);
    let decide = |lifecycle: &mut Lifecycle, now, facts: &Facts| {
        lifecycle.decide(at(now), &goal(), Some(&info(true, 11)), true, Some(facts))
    };
    assert_eq!(
        decide(&mut lifecycle, 0, &before),
        Some(Action::Submit(Call::AddWorker { pool: POOL, worker: WORKER }))
    );
    lifecycle.submitted(job(1));
    assert_eq!(decide(&mut lifecycle, 99, &before), None);

    let block = BlockRef { height: Height(12), hash: Hash::default() };
    let outcome = Outcome::Finalized { block, extrinsic: Hash::default(), results: vec![CallResult::Ok] };
    lifecycle.ended(at(100), &outcome, Some(&CallResult::Ok));
    assert_eq!(decide(&mut lifecycle, 100, &before), None, "facts are older than the call");

    let after = Facts { block: Height(12), ..facts(before.entry, Some(POOL), Some(SessionState::Ready)) };
    assert!(matches!(
        decide(&mut lifecycle, 101, &after),
        Some(Action::Submit(Call::StartComputing { stake: 1_500_000_000_000_000, .. }))
    ));
}

#[test]
fn a_failed_call_says_why_and_is_tried_again_after_a_pause() {
    let mut lifecycle = Lifecycle::new(Pace::default(), 1);
    let facts = facts(Some(entry(OWNER, Some(500))), Some(POOL), None);
    let decide = |lifecycle: &mut Lifecycle, now| {
        lifecycle.decide(at(now), &goal(), Some(&info(true, 11)), true, Some(&facts))
    };
    decide(&mut lifecycle, 0).unwrap();
    lifecycle.submitted(job(1));
    let error =
        DispatchError { pallet: Some("PhalaStakePoolv2".into()), error: "InsufficientFreeStake".into() };
    let failed = CallResult::Failed(error);
    let block = BlockRef { height: Height(9), hash: Hash::default() };
    let outcome = Outcome::Finalized { block, extrinsic: Hash::default(), results: vec![failed.clone()] };
    lifecycle.ended(at(1), &outcome, Some(&failed));
    assert!(lifecycle.trouble().unwrap().contains("lower the worker's stake"));
    assert_eq!(decide(&mut lifecycle, 1), None);
    assert!(decide(&mut lifecycle, 10).is_some());
}

#[test]
fn a_call_that_fails_on_chain_again_and_again_is_paid_ever_more_rarely() {
    let mut lifecycle = Lifecycle::new(Pace::default(), 1);
    let facts = facts(Some(entry(OWNER, Some(500))), Some(POOL), None);
    let failed = CallResult::Failed(DispatchError { pallet: None, error: "BadOrigin".into() });
    let block = BlockRef { height: Height(9), hash: Hash::default() };
    let outcome = Outcome::Finalized { block, extrinsic: Hash::default(), results: vec![failed.clone()] };
    let mut paid = Vec::new();
    for second in 0..24 * 3600 {
        if lifecycle.decide(at(second), &goal(), Some(&info(true, 11)), true, Some(&facts)).is_some() {
            lifecycle.submitted(job(second));
            lifecycle.ended(at(second), &outcome, Some(&failed));
            paid.push(second);
        }
    }
    assert!(paid[1] < 10, "an error that passes by itself does not cost the worker minutes: {paid:?}");
    assert!(paid.len() < 120, "{} fees in a day", paid.len());
    assert!(paid.windows(2).all(|pair| pair[1] - pair[0] < 20 * 60), "it is never given up: {paid:?}");

    // What passes for free is asked for as often as before.
    lifecycle.failed(at(100_000), "the node is away".into());
    assert!(lifecycle.decide(at(100_001), &goal(), Some(&info(true, 11)), true, Some(&facts)).is_some());
}

#[test]
fn a_registered_worker_gets_time_to_see_its_registration() {
    let mut lifecycle = Lifecycle::new(Pace::default(), 1);
    let known = facts(Some(entry(OWNER, None)), None, None);
    let decide = |lifecycle: &mut Lifecycle, blocknum| {
        lifecycle.decide(at(0), &goal(), Some(&info(false, blocknum)), true, Some(&known))
    };
    assert_eq!(decide(&mut lifecycle, 11), None);
    assert_eq!(decide(&mut lifecycle, 10 + REGISTRATION_PATIENCE), Some(Action::Register));
}

#[test]
fn facts_are_decoded_by_name() {
    let values =
        [Some(Bytes::from(codec::Encode::encode(&entry(OWNER, Some(3))))), Some(vec![7; 8].into()), None];
    let facts = Facts::decode(Height(4), &values).unwrap();
    assert_eq!(facts.entry, Some(entry(OWNER, Some(3))));
    assert_eq!((facts.session, facts.stake, facts.now), (None, None, 0));
    let twelve = 12_500u64.to_le_bytes().to_vec();
    let values = [None, None, None, None, Some(vec![60, 0, 0, 0, 0, 0, 0, 0].into()), Some(twelve.into())];
    let facts = Facts::decode(Height(4), &values).unwrap();
    assert_eq!((facts.cool_down, facts.now), (Some(60), 12));
    let bad = Facts::decode(Height(4), &[Some(Bytes::from_static(&[1])), None, None]).unwrap_err();
    assert!(bad.to_string().starts_with("PhalaRegistry.Workers has an unknown layout"));
}
