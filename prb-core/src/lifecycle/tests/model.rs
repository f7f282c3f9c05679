//! A model chain and worker with everything that may happen to them.

use super::*;
use proptest::prelude::*;

/// What may happen to a worker and its calls, over and over.
#[derive(Clone, Debug)]
enum Happening {
    Land,
    Expire,
    Refuse,
    Reboot,
    Unbind,
    Stop,
    /// Somebody else registers the worker for another owner.
    TakeOver,
    /// Somebody else has the worker in a pool, or not any more.
    Elsewhere(bool),
    Score(u32),
    Silent(bool),
    Stake(u128),
    /// The worker is not reachable at one look.
    Flap,
    Tick(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => Just(Happening::Land),
        1 => Just(Happening::Expire),
        1 => Just(Happening::Refuse),
        1 => Just(Happening::Reboot),
        1 => Just(Happening::Unbind),
        1 => Just(Happening::Stop),
        1 => Just(Happening::TakeOver),
        1 => any::<bool>().prop_map(Happening::Elsewhere),
        1 => (1u32..1000).prop_map(Happening::Score),
        1 => any::<bool>().prop_map(Happening::Silent),
        1 => (1u128..3).prop_map(Happening::Stake),
        2 => Just(Happening::Flap),
        4 => (1u64..40).prop_map(Happening::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A model chain and worker: whatever happens, one call at a time, what was paid for and failed is not paid for
    /// again soon, and in the end it works with the stake that is wanted.
    #[test]
    fn every_history_leads_back_to_working(happenings in prop::collection::vec(happening(), 0..80)) {
        let mut lifecycle = Lifecycle::new(Pace::default(), 1);
        let mut goal = Goal { min_score: Some(300), ..goal() };
        let mut chain = Facts { cool_down: Some(600), ..facts(None, None, None) };
        let (mut registered, mut block, mut away) = (false, 10u32, false);
        let (mut now, mut number) = (0, 0);
        let mut pending: Option<Action> = None;
        let mut refused: Option<(u64, Action)> = None;
        let last = [Happening::Elsewhere(false), Happening::Silent(false), Happening::Score(700)];
        let ending = last.into_iter().chain((0..300).flat_map(|_| [Happening::Tick(45), Happening::Land]));
        for happening in happenings.into_iter().chain(ending) {
            block += 1;
            (chain.block, chain.now) = (Height(block), now);
            let known = info(registered, block + 1);
            let known = (!std::mem::take(&mut away)).then_some(&known);
            let action = lifecycle.decide(at(now), &goal, known, known.is_some(), Some(&chain));
            if let Some(action) = action {
                prop_assert!(pending.is_none(), "two calls under way: {pending:?} and {action:?}");
                if let Some((then, before)) = refused.take() {
                    prop_assert!(now >= then + 3 || before != action, "{action:?} is paid for again too soon");
                }
                if action == Action::Register {
                    prop_assert!(chain.assignment.is_none_or(|pool| pool == POOL), "a paid take-over for nothing");
                }
                number += 1;
                lifecycle.submitted(job(number));
                pending = Some(action);
            }
            let here = BlockRef { height: Height(block), hash: Hash::default() };
            let finalized = |result: &CallResult| Outcome::Finalized {
                block: here,
                extrinsic: Hash::default(),
                results: vec![result.clone()],
            };
            match happening {
                Happening::Tick(seconds) => now += seconds,
                Happening::Land => if let Some(action) = pending.take() {
                    let result = land(&mut chain, &mut registered, &action);
                    if result != CallResult::Ok {
                        refused = Some((now, action));
                    }
                    lifecycle.ended(at(now), &finalized(&result), Some(&result));
                },
                Happening::Expire => if pending.take().is_some() {
                    lifecycle.ended(at(now), &Outcome::Expired, None);
                },
                Happening::Refuse => if let Some(action) = pending.take() {
                    let failed = CallResult::Failed(DispatchError { pallet: None, error: "BadOrigin".into() });
                    refused = Some((now, action));
                    lifecycle.ended(at(now), &finalized(&failed), Some(&failed));
                },
                Happening::Reboot => registered = false,
                Happening::Unbind => (chain.assignment, chain.session, chain.stake) = (None, None, None),
                Happening::Stop => if let Some(session) = chain.session.as_mut().filter(|_| chain.stake.is_some()) {
                    session.state = SessionState::WorkerCoolingDown;
                    session.cool_down_start = now;
                },
                Happening::TakeOver => if let Some(entry) = &mut chain.entry {
                    entry.operator = Some(AccountId([9; 32]));
                },
                Happening::Elsewhere(there) => match chain.assignment {
                    None if there => chain.assignment = Some(PoolId(2)),
                    Some(PoolId(2)) if !there => chain.assignment = None,
                    _ => {}
                },
                Happening::Score(score) => if let Some(entry) = &mut chain.entry {
                    entry.initial_score = Some(score);
                },
                Happening::Silent(silent) => if let Some(session) = &mut chain.session {
                    match session.state {
                        SessionState::WorkerIdle if silent => session.state = SessionState::WorkerUnresponsive,
                        SessionState::WorkerUnresponsive if !silent => session.state = SessionState::WorkerIdle,
                        _ => {}
                    }
                },
                Happening::Stake(stake) => goal.stake = stake,
                Happening::Flap => away = true,
            }
        }
        lifecycle.decide(at(now), &goal, Some(&info(registered, block + 1)), true, Some(&chain));
        prop_assert_eq!(lifecycle.stage(), Stage::Working, "{:?}", chain);
        prop_assert!(chain.stake >= Some(goal.stake));
        prop_assert_eq!(lifecycle.trouble(), None);
    }
}

/// What the model chain does with a call.
fn land(chain: &mut Facts, registered: &mut bool, action: &Action) -> CallResult {
    let failed = |error: &str| CallResult::Failed(DispatchError { pallet: None, error: error.into() });
    let state = chain.state();
    match action {
        Action::Register => {
            let score = chain.entry.as_ref().and_then(|entry| entry.initial_score);
            chain.entry = Some(entry(OWNER, score.or(Some(500))));
            *registered = true;
        }
        Action::Submit(Call::AddWorker { .. }) if chain.assignment.is_none() => {
            chain.assignment = Some(POOL);
            chain.session = Some(session(SessionState::Ready));
        }
        Action::Submit(Call::StartComputing { stake, .. }) if state == Some(SessionState::Ready) => {
            chain.session = Some(session(SessionState::WorkerIdle));
            chain.stake = Some(*stake);
        }
        Action::Submit(Call::RestartComputing { stake, .. }) if chain.is_computing() => {
            if chain.stake >= Some(*stake) {
                return failed("CannotRestartWithLessStake");
            }
            chain.stake = Some(*stake);
        }
        Action::Submit(Call::ReclaimWorker { .. }) => {
            if !chain.is_cooled_down() {
                return failed("CoolDownNotReady");
            }
            chain.session = Some(session(SessionState::Ready));
            chain.stake = None;
        }
        Action::Submit(_) => return failed("NotNow"),
    }
    CallResult::Ok
}
