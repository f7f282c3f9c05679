use super::*;
use crate::{
    id::AccountId,
    types::facts::{Session, WorkerEntry},
};

const WORKER: WorkerKey = WorkerKey([1; 32]);
const POOL: PoolId = PoolId(1);

fn goal() -> Goal {
    Goal::new(POOL, AccountId([5; 32]), 1)
}

fn info(initialized: bool) -> WorkerInfo {
    WorkerInfo { initialized, ..WorkerInfo::default() }
}

/// A registered worker in a pool, its session stopped at second 100 for 50 s, seen at second `now`.
fn facts(pool: u64, state: Option<SessionState>, now: u64) -> Facts {
    let session = |state| Session {
        state,
        ve: 0,
        v: 0,
        v_updated_at: 0,
        p_init: 0,
        p_instant: 0,
        iterations: 0,
        working_start_time: 0,
        challenge_time_last: 0,
        cool_down_start: 100,
        total_reward: 0,
    };
    let entry = WorkerEntry {
        pubkey: WORKER,
        ecdh_pubkey: [0; 32],
        runtime_version: 0,
        last_updated: 0,
        operator: None,
        attestation_provider: None,
        confidence_level: 1,
        initial_score: None,
    };
    Facts {
        entry: Some(entry),
        assignment: Some(PoolId(pool)),
        session: state.map(session),
        cool_down: Some(50),
        now,
        ..Facts::default()
    }
}

#[test]
fn v3_f25_each_command_is_done_where_it_can_be_and_refused_before_a_fee_where_not() {
    use CannotCommand as No;
    use SessionState::{Ready, WorkerCoolingDown, WorkerIdle, WorkerUnresponsive};
    let publish = || Command::PublishEndpoints(vec!["http://a".into()]);
    let stop = Errand::Submit(Call::StopComputing { pool: POOL, worker: WORKER });
    let remove = Errand::Submit(Call::RemoveWorker { pool: POOL, worker: WORKER });
    let reclaim = Errand::Submit(Call::ReclaimWorker { pool: POOL, worker: WORKER });
    let (up, bare, away) = (Some(info(true)), Some(info(false)), None::<WorkerInfo>);
    let (none, idle) = (Facts::default(), facts(1, Some(Ready), 0));
    let cases = [
        (Command::Restart, &away, &none, Ok(Errand::BeginAnew)),
        (Command::Register, &up, &none, Ok(Errand::Register)),
        (Command::Register, &bare, &none, Err(No::NotInitialized)),
        (Command::Register, &away, &none, Err(No::Away)),
        (publish(), &up, &idle, Ok(Errand::Publish(vec!["http://a".into()]))),
        (publish(), &up, &none, Err(No::NotRegistered)),
        (publish(), &away, &idle, Err(No::Away)),
        (Command::PublishEndpoints(vec![]), &up, &idle, Err(No::BadEndpoints)),
        (Command::PublishEndpoints(vec!["x".repeat(513)]), &up, &idle, Err(No::BadEndpoints)),
        (Command::TakeCheckpoint, &up, &none, Ok(Errand::Checkpoint)),
        (Command::TakeCheckpoint, &bare, &none, Err(No::NotInitialized)),
        (
            Command::StopWorker { remove_checkpoints: true },
            &bare,
            &none,
            Ok(Errand::StopWorker { remove_checkpoints: true }),
        ),
        (Command::StopWorker { remove_checkpoints: false }, &away, &none, Err(No::Away)),
        (Command::StopComputing, &away, &facts(1, Some(WorkerIdle), 0), Ok(stop.clone())),
        (Command::StopComputing, &up, &facts(1, Some(WorkerUnresponsive), 0), Ok(stop)),
        (Command::StopComputing, &up, &idle, Err(No::NotComputing)),
        (Command::StopComputing, &up, &facts(1, Some(WorkerCoolingDown), 0), Err(No::NotComputing)),
        (Command::StopComputing, &up, &facts(2, Some(WorkerIdle), 0), Err(No::NotInPool(POOL))),
        (Command::RemoveFromPool, &away, &idle, Ok(remove)),
        (Command::RemoveFromPool, &up, &facts(1, Some(WorkerIdle), 0), Err(No::NotIdle)),
        (Command::RemoveFromPool, &up, &facts(2, Some(Ready), 0), Err(No::NotInPool(POOL))),
        (Command::Reclaim, &away, &facts(1, Some(WorkerCoolingDown), 150), Ok(reclaim)),
        (Command::Reclaim, &up, &facts(1, Some(WorkerCoolingDown), 149), Err(No::StillLocked { until: 150 })),
        (Command::Reclaim, &up, &idle, Err(No::NotCoolingDown)),
    ];
    for (command, info, facts, expected) in cases {
        let errand = command.errand(&goal(), info.as_ref(), Some(WORKER), facts);
        assert_eq!(errand, expected, "{command:?}, {info:?}, {facts:?}");
    }
}

#[test]
fn a_worker_nobody_has_seen_has_no_key_and_a_disabled_one_is_asked_nothing() {
    let facts = facts(1, Some(SessionState::WorkerIdle), 0);
    assert_eq!(Command::StopComputing.errand(&goal(), None, None, &facts), Err(CannotCommand::NoKey));
    let disabled = Goal { disabled: true, ..goal() };
    for command in
        [Command::Register, Command::TakeCheckpoint, Command::StopWorker { remove_checkpoints: false }]
    {
        let errand = command.errand(&disabled, Some(&info(true)), Some(WORKER), &facts);
        assert_eq!(errand, Err(CannotCommand::Disabled), "{command:?}");
    }
    assert!(
        Command::StopComputing.errand(&disabled, None, Some(WORKER), &facts).is_ok(),
        "the chain can be told"
    );
}
