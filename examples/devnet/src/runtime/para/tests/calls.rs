use super::super::types::*;
use super::super::*;
use super::util::*;
use sp_core::{Pair, U256, sr25519};
use sp_keyring::Sr25519Keyring::{Alice, Bob, Charlie};
use sp_runtime::{DispatchError, MultiAddress};

fn empty_base_pool(pid: u64) -> BasePool {
    let owner = Bob.to_account_id();
    BasePool {
        pid,
        total_shares: 0,
        total_value: 0,
        withdraw_queue: Vec::new(),
        value_subscribers: Vec::new(),
        cid: 0,
        pool_account_id: base_pool::pool_account(pid, &owner),
        owner,
    }
}

fn computing(worker: &mut Worker) {
    benchmarked(worker);
    block(3, || {
        call(Alice, add(worker)).unwrap();
        call(Alice, start(worker, 3000)).unwrap();
    });
}

#[test]
fn a_worker_stops_cools_down_and_leaves() {
    let config = GenesisConfig { cool_down_period: 24, ..Default::default() };
    ext(&config).execute_with(|| {
        let mut worker = Worker::new(7);
        computing(&mut worker);
        let key = worker.key();
        let remove = || -> RuntimeCall { stake_pool::Call::remove_worker { pid: 1, worker: key }.into() };
        let messages = block(4, || {
            assert_eq!(name(call(Alice, remove())), (93, "WorkerIsNotReady"));
            assert_eq!(name(call(Bob, stop(&worker))), (93, "UnauthorizedPoolOwner"));
            assert_eq!(name(call(Bob, reclaim(&worker))), (87, "CoolDownNotReady"));
            call(Alice, stop(&worker)).unwrap();
            assert_eq!(name(call(Alice, stop(&worker))), (93, "WorkerAlreadyStopped"));
        });
        assert_eq!(told(&messages, &key), [WorkerEvent::Stopped]);
        block(5, || assert_eq!(name(call(Bob, reclaim(&worker))), (87, "CoolDownNotReady")));
        block(6, || call(Bob, reclaim(&worker)).unwrap());
        let session = session_account(1, &key);
        assert_eq!(computation::Stakes::<Runtime>::get(&session), None);
        let pool = base_pool::Pallet::<Runtime>::stake_pool(1).unwrap();
        assert_eq!(assets::Pallet::<Runtime>::balance(&pool.lock_account), 0);
        assert!(pool.cd_workers.is_empty());
        block(7, || {
            call(Alice, start(&worker, 3000)).unwrap();
            call(Alice, stop(&worker)).unwrap();
        });
        block(9, || {
            call(Bob, reclaim(&worker)).unwrap();
            call(Alice, remove()).unwrap();
            assert_eq!(name(call(Alice, remove())), (93, "WorkerDoesNotExist"));
        });
        assert_eq!(computation::WorkerBindings::<Runtime>::get(key), None);
    });
}

#[test]
fn a_restart_needs_more_stake_and_is_all_or_nothing() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let mut worker = Worker::new(7);
        computing(&mut worker);
        let restart = |stake: u128| -> RuntimeCall {
            stake_pool::Call::restart_computing { pid: 1, worker: worker.key(), stake }.into()
        };
        block(4, || {
            let less = call(Alice, restart(3000 * UNIT));
            assert_eq!(name(less), (93, "CannotRestartWithLessStake"));
            let session = session_account(1, &worker.key());
            let info = computation::Sessions::<Runtime>::get(&session).unwrap();
            assert_eq!(info.state, WorkerState::WorkerIdle);
            call(Alice, restart(3001 * UNIT)).unwrap();
            assert_eq!(computation::Stakes::<Runtime>::get(&session), Some(3001 * UNIT));
        });
    });
}

#[test]
fn the_operator_unbinds_a_computing_worker() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let mut worker = Worker::new(7);
        computing(&mut worker);
        let session = session_account(1, &worker.key());
        let unbind = || computation::Call::unbind { session: session.clone() };
        block(4, || {
            assert_eq!(name(call(Bob, unbind())), (87, "BadSender"));
            call(Alice, unbind()).unwrap();
            assert_eq!(name(call(Alice, unbind())), (87, "SessionNotBound"));
            // Still cooling down: binding again fails, and add_worker hides why.
            assert_eq!(name(call(Alice, add(&worker))), (93, "FailedToBindSessionAndWorker"));
        });
        let pool = base_pool::Pallet::<Runtime>::stake_pool(1).unwrap();
        assert!(pool.workers.is_empty());
        assert_eq!(pool.cd_workers, [worker.key()]);
    });
}

#[test]
fn pools_are_checked_before_workers() {
    let vault = PoolProxy::Vault(Vault {
        basepool: empty_base_pool(9),
        last_share_price_checkpoint: 0,
        commission: None,
        owner_shares: 0,
        invest_pools: Vec::new(),
    });
    ext(&GenesisConfig::default()).execute_with(|| {
        let mut worker = Worker::new(7);
        benchmarked(&mut worker);
        let (pubkey, other) = (worker.key(), Worker::new(8).key());
        let add_to = |pid, pubkey| call(Alice, stake_pool::Call::add_worker { pid, pubkey });
        block(3, || {
            assert_eq!(name(add_to(1, other)), (93, "WorkerNotRegistered"));
            assert_eq!(name(add_to(5, pubkey)), (96, "PoolDoesNotExist"));
            base_pool::Pools::<Runtime>::insert(9, vault);
            assert_eq!(name(add_to(9, pubkey)), (96, "PoolTypeNotMatch"));
            add_to(1, pubkey).unwrap();
            assert_eq!(name(add_to(1, pubkey)), (93, "WorkerExists"));
            call(Alice, stake_pool::Call::create {}).unwrap();
            assert_eq!(name(add_to(2, pubkey)), (93, "FailedToBindSessionAndWorker"));
            let remove = stake_pool::Call::remove_worker { pid: 2, worker: pubkey };
            assert_eq!(name(call(Alice, remove)), (93, "WorkerInAnotherPool"));
        });
        assert_eq!(base_pool::PoolCount::<Runtime>::get(), 3);
    });
}

#[test]
fn contributions_become_free_stake() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let contribute = |amount| call(Bob, stake_pool::Call::contribute { pid: 2, amount, as_vault: None });
        block(1, || {
            call(Charlie, stake_pool::Call::create {}).unwrap();
            assert_eq!(name(contribute(1)).1, "InsufficientContribution");
            assert_eq!(name(contribute(u128::MAX)).1, "InsufficientBalance");
            contribute(500 * UNIT).unwrap();
        });
        let pool = base_pool::Pallet::<Runtime>::stake_pool(2).unwrap();
        assert_eq!(pool.basepool.owner, Charlie.to_account_id());
        assert_eq!(pool.basepool.total_value, 500 * UNIT);
        let free = assets::Pallet::<Runtime>::balance(&pool.basepool.pool_account_id);
        assert_eq!(free, 500 * UNIT);
    });
}

#[test]
fn an_overdue_withdrawal_stops_the_pool() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let mut worker = Worker::new(7);
        computing(&mut worker);
        let check = || call(Bob, stake_pool::Call::check_and_maybe_force_withdraw { pid: 1 });
        block(4, || {
            check().unwrap();
            let mut pool = base_pool::Pallet::<Runtime>::stake_pool(1).unwrap();
            assert!(pool.cd_workers.is_empty());
            let user = Bob.to_account_id();
            pool.basepool.withdraw_queue.push(WithdrawInfo { user, start_time: 0, nft_id: 1 });
            base_pool::Pallet::<Runtime>::put(pool);
            check().unwrap();
            let pool = base_pool::Pallet::<Runtime>::stake_pool(1).unwrap();
            assert_eq!(pool.cd_workers, [worker.key()]);
        });
    });
}

#[test]
fn a_batch_reports_every_item_in_order() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let worker = Worker::new(7);
        block(1, || {
            let calls = vec![worker.register(Alice), add(&worker), worker.register(Alice)];
            call(Bob, pallet_utility::Call::force_batch { calls }).unwrap();
            let outcome: Vec<_> = events()
                .into_iter()
                .filter_map(|event| match event {
                    RuntimeEvent::Utility(event) => Some(event),
                    _ => None,
                })
                .collect();
            use pallet_utility::Event::{BatchCompletedWithErrors, ItemCompleted, ItemFailed};
            let [ItemCompleted, ItemFailed { error }, ItemCompleted, BatchCompletedWithErrors] = &outcome[..]
            else {
                panic!("{outcome:?}");
            };
            // add_worker: //Bob is not the operator.
            let DispatchError::Module(module) = error else { panic!("{error:?}") };
            assert_eq!((module.index, module.error), (93, [6, 0, 0, 0]));
        });
    });
}

#[test]
fn a_pool_manager_proxy_does_pool_work_and_nothing_else() {
    let proxies = vec![(Alice.to_account_id(), Bob.to_account_id(), ProxyType::StakePoolManager)];
    ext(&GenesisConfig { proxies, ..Default::default() }).execute_with(|| {
        let mut worker = Worker::new(7);
        let proxy = |who, call_: RuntimeCall| {
            let real = MultiAddress::Id(Alice.to_account_id());
            let call_ = Box::new(call_);
            call(who, pallet_proxy::Call::proxy { real, force_proxy_type: None, call: call_ })
        };
        let executed = || {
            let found = events().into_iter().rev().find_map(|event| match event {
                RuntimeEvent::Proxy(pallet_proxy::Event::ProxyExecuted { result }) => Some(result),
                _ => None,
            });
            found.unwrap()
        };
        benchmarked(&mut worker);
        block(3, || {
            assert_eq!(name(proxy(Charlie, add(&worker))), (5, "NotProxy"));
            let calls = vec![add(&worker), start(&worker, 3000)];
            proxy(Bob, pallet_utility::Call::force_batch { calls }.into()).unwrap();
            assert_eq!(executed(), Ok(()));
            let session = session_account(1, &worker.key());
            assert!(computation::Stakes::<Runtime>::contains_key(&session));

            let dest = MultiAddress::Id(Bob.to_account_id());
            let transfer: RuntimeCall =
                pallet_balances::Call::transfer_allow_death { dest, value: UNIT }.into();
            proxy(Bob, transfer.clone()).unwrap();
            assert_eq!(executed(), Err(frame_system::Error::<Runtime>::CallFiltered.into()));
            // Inside a batch the filter applies to each item.
            let calls = vec![transfer];
            proxy(Bob, pallet_utility::Call::force_batch { calls }.into()).unwrap();
            assert_eq!(executed(), Ok(()));
            let error = frame_system::Error::<Runtime>::CallFiltered.into();
            let failed = pallet_utility::Event::ItemFailed { error };
            assert!(events().contains(&RuntimeEvent::Utility(failed)));
            let endpoint = registry::Call::update_worker_endpoint {
                endpoint_payload: WorkerEndpointPayload {
                    pubkey: worker.key(),
                    versioned_endpoints: VersionedWorkerEndpoints::V1(Vec::new()),
                    signing_time: 0,
                },
                signature: Vec::new(),
            };
            proxy(Bob, endpoint.into()).unwrap();
            assert_eq!(executed(), Err(frame_system::Error::<Runtime>::CallFiltered.into()));
        });
    });
}

#[test]
fn challenges_follow_the_switches() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let mut worker = Worker::new(7);
        let everyone = Switches::default().challenge_everyone();
        assert_eq!(challenges(&block(1, || ())).len(), 1);
        begin(
            &BlockInputs {
                control: Control { set_storage: vec![everyone.write()], ..Default::default() },
                ..inputs(2)
            },
            2,
        );
        let _: Header = api("BlockBuilder_finalize_block", ());
        let messages = mq::OutboundMessages::<Runtime>::get();
        assert_eq!(challenges(&messages)[0].1, U256::MAX);
        let switches = Switches { challenge_interval: 3, ..Default::default() };
        block(4, || switches::Current::<Runtime>::put(&switches));
        assert!(challenges(&block(5, || ())).is_empty());
        // Nobody computes: nobody is challenged.
        assert_eq!(challenges(&block(6, || ()))[0].1, U256::zero());
        block(7, || call(Alice, worker.register(Alice)).unwrap());
        block(8, || {
            call(Alice, worker.bench_report(START_MS + 7 * BLOCK_MS, 1200)).unwrap();
            call(Alice, add(&worker)).unwrap();
            call(Alice, start(&worker, 3000)).unwrap();
        });
        assert_eq!(challenges(&block(9, || ()))[0].1, U256::MAX / 150);
        let messages = block(12, || computation::HeartbeatPaused::<Runtime>::put(true));
        assert!(challenges(&messages).is_empty());
    });
    assert_eq!(computation::online_target(30_000, 20), U256::MAX / 30_000 * 20);
}

#[test]
fn gatekeepers_report_workers_offline_and_back() {
    let gatekeeper = sr25519::Pair::from_seed(&[9; 32]);
    let config = GenesisConfig { gatekeeper_master_pubkey: Some(gatekeeper.public()), ..Default::default() };
    ext(&config).execute_with(|| {
        let mut worker = Worker::new(7);
        computing(&mut worker);
        let key = worker.key();
        let report = |sequence: u64, offline: Vec<_>, recovered_to_online: Vec<_>| {
            let update = WorkingInfoUpdateEvent {
                block_number: 4,
                timestamp_ms: START_MS,
                offline,
                recovered_to_online,
                settle: vec![SettleInfo { pubkey: key, v: 5 << 64, payout: tokenomic::ONE, treasury: 0 }],
            };
            let message = Message {
                sender: MessageOrigin::Gatekeeper,
                destination: WORKING_UPDATE_TOPIC.to_vec(),
                payload: codec::Encode::encode(&update),
            };
            let mut signed_message = SignedMessage { message, sequence, signature: Vec::new() };
            let signature = gatekeeper.sign(&signed_message.signed_bytes());
            signed_message.signature = signature.0.to_vec();
            call(Bob, mq::Call::sync_offchain_message { signed_message }).unwrap();
        };
        let state = || {
            let session = session_account(1, &key);
            computation::Sessions::<Runtime>::get(session).unwrap()
        };
        let messages = block(4, || report(0, vec![key], Vec::new()));
        assert_eq!(told(&messages, &key), [WorkerEvent::EnterUnresponsive]);
        assert_eq!(state().state, WorkerState::WorkerUnresponsive);
        assert_eq!((state().v, state().stats.total_reward), (5 << 64, UNIT));
        let messages = block(5, || report(1, Vec::new(), vec![key]));
        assert_eq!(told(&messages, &key), [WorkerEvent::ExitUnresponsive]);
        assert_eq!(state().state, WorkerState::WorkerIdle);
    });
}
