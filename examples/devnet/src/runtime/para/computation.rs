//! `PhalaComputation`: sessions that bind a worker to a pool and compute.

pub use pallet::*;

use super::types::Benchmark;
use crate::runtime::AccountId;
use sp_core::U256;

/// Learns when a session loses its worker (the stake pools).
pub trait OnUnbound {
    /// The worker is no longer bound; `forced` when its session was still computing.
    fn on_unbound(session: &AccountId, worker: &super::types::WorkerPublicKey, forced: bool);
}

/// The chain asks for this many heartbeats per block at most, unless told otherwise.
const DEFAULT_EXPECTED_HEARTBEATS: u32 = 20;
/// Two challenges per worker and hour, at 12 seconds a block: one in 150 blocks.
const BLOCKS_PER_CHALLENGE: u32 = 150;

/// Target that makes the expected number of workers answer.
pub(crate) fn online_target(online: u32, expected: u32) -> U256 {
    if online == 0 || expected == 0 {
        return U256::zero();
    }
    if online / expected < BLOCKS_PER_CHALLENGE {
        U256::MAX / BLOCKS_PER_CHALLENGE
    } else {
        U256::MAX / online * expected
    }
}

impl Benchmark {
    /// Takes in a heartbeat: the instant score is the iterations per second since the last one, times
    /// six, at most 120 % of the initial score. Returns whether anything was learnt.
    pub(crate) fn update(&mut self, challenge_time: u64, iterations: u64) -> bool {
        if challenge_time <= self.challenge_time_last || iterations <= self.iterations {
            return false;
        }
        let seconds = challenge_time - self.challenge_time_last;
        let score = (iterations - self.iterations).saturating_mul(6) / seconds;
        let cap = u64::from(self.p_init) * 12 / 10;
        self.p_instant = u32::try_from(score.min(cap)).unwrap_or(u32::MAX);
        self.iterations = iterations;
        self.challenge_time_last = challenge_time;
        true
    }
}

/// The pallet behind the module.
#[allow(missing_docs, reason = "generated items, and names of the live pallet that say what they are")]
#[frame_support::pallet]
pub mod pallet {
    use super::super::types::*;
    use super::super::{CALL_WEIGHT, mq, registry, switches, tokenomic};
    use super::{DEFAULT_EXPECTED_HEARTBEATS, OnUnbound, online_target};
    use crate::runtime::AccountId;
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;
    use sp_core::U256;
    use sp_runtime::traits::{UniqueSaturatedInto, Zero};

    /// Lowest score a worker may compute with.
    const MIN_INIT_P: u32 = 50;

    #[pallet::pallet]
    #[pallet::without_storage_info]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<AccountId = AccountId, RuntimeEvent: From<Event<Self>>> + registry::Config
    {
        /// Who learns of unbound sessions.
        type OnUnbound: OnUnbound;
    }

    #[pallet::storage]
    pub type TokenomicParameters<T: Config> = StorageValue<_, TokenomicParams>;

    #[pallet::storage]
    pub type OnlineWorkers<T: Config> = StorageValue<_, u32, ValueQuery>;

    #[pallet::storage]
    pub type ExpectedHeartbeatCount<T: Config> = StorageValue<_, u32>;

    #[pallet::storage]
    pub type HeartbeatPaused<T: Config> =
        StorageValue<_, bool, ValueQuery, frame_support::traits::ConstBool<true>>;

    #[pallet::storage]
    pub type Sessions<T: Config> = StorageMap<_, Twox64Concat, AccountId, SessionInfo>;

    #[pallet::storage]
    pub type SessionBindings<T: Config> = StorageMap<_, Twox64Concat, AccountId, WorkerPublicKey>;

    #[pallet::storage]
    pub type WorkerBindings<T: Config> = StorageMap<_, Twox64Concat, WorkerPublicKey, AccountId>;

    /// Seconds between stop and reclaim.
    #[pallet::storage]
    pub type CoolDownPeriod<T: Config> = StorageValue<_, u64, ValueQuery>;

    #[pallet::storage]
    pub type NextSessionId<T: Config> = StorageValue<_, u32, ValueQuery>;

    /// Locked stake of each session that computes or cools down.
    #[pallet::storage]
    pub type Stakes<T: Config> = StorageMap<_, Twox64Concat, AccountId, u128>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        #[codec(index = 1)]
        WorkerStarted { session: AccountId, init_v: u128, init_p: u32 },
        #[codec(index = 2)]
        WorkerStopped { session: AccountId },
        #[codec(index = 3)]
        WorkerReclaimed { session: AccountId, original_stake: u128, slashed: u128 },
        #[codec(index = 4)]
        SessionBound { session: AccountId, worker: WorkerPublicKey },
        #[codec(index = 5)]
        SessionUnbound { session: AccountId, worker: WorkerPublicKey },
        #[codec(index = 6)]
        WorkerEnterUnresponsive { session: AccountId },
        #[codec(index = 7)]
        WorkerExitUnresponsive { session: AccountId },
        #[codec(index = 8)]
        SessionSettled { session: AccountId, v_bits: u128, payout_bits: u128 },
        #[codec(index = 9)]
        InternalErrorWorkerSettleFailed { worker: WorkerPublicKey },
        #[codec(index = 14)]
        BenchmarkUpdated { session: AccountId, p_instant: u32 },
    }

    #[pallet::error]
    #[allow(non_camel_case_types, reason = "two names of the live pallet begin with an underscore")]
    pub enum Error<T> {
        BadSender,
        _InvalidMessage,
        WorkerNotRegistered,
        _GatekeeperNotRegistered,
        DuplicateBoundSession,
        BenchmarkMissing,
        SessionNotFound,
        SessionNotBound,
        WorkerNotReady,
        WorkerNotComputing,
        WorkerNotBound,
        CoolDownNotReady,
        InsufficientStake,
        TooMuchStake,
        InternalErrorBadTokenomicParameters,
        DuplicateBoundWorker,
        BenchmarkTooLow,
        InternalErrorCannotStartWithExistingStake,
        NotMigrationRoot,
        NonceIndexInvalid,
        BudgetUpdateBlockInvalid,
        BudgetExceedMaxLimit,
        WorkerReregisterNeeded,
    }

    #[pallet::hooks]
    impl<T: Config> Hooks<BlockNumberFor<T>> for Pallet<T> {
        fn on_finalize(now: BlockNumberFor<T>) {
            let switches = switches::Current::<T>::get();
            let interval = switches.challenge_interval;
            if interval == 0 || !(now % interval.into()).is_zero() || HeartbeatPaused::<T>::get() {
                return;
            }
            let online_target = switches.challenge_target.map_or_else(
                || {
                    let expected = ExpectedHeartbeatCount::<T>::get();
                    let expected = expected.unwrap_or(DEFAULT_EXPECTED_HEARTBEATS);
                    online_target(OnlineWorkers::<T>::get(), expected)
                },
                U256,
            );
            // The live chain takes the seed from its verifiable random numbers.
            let number: u32 = now.unique_saturated_into();
            let entropy = (frame_system::Pallet::<T>::parent_hash(), number);
            let seed = sp_crypto_hashing::blake2_256(&entropy.encode());
            let seed = U256::from_little_endian(&seed);
            let challenge = SystemEvent::HeartbeatChallenge { seed, online_target };
            mq::Pallet::<T>::push::<Self>(SYSTEM_EVENT_TOPIC, &challenge);
        }
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Frees a worker from its session; only its operator may.
        #[pallet::call_index(1)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn unbind(origin: OriginFor<T>, session: AccountId) -> DispatchResult {
            let who = ensure_signed(origin)?;
            let worker = SessionBindings::<T>::get(&session).ok_or(Error::<T>::SessionNotBound)?;
            let info = registry::Workers::<T>::get(worker).ok_or(Error::<T>::WorkerNotRegistered)?;
            ensure!(info.operator.as_ref() == Some(&who), Error::<T>::BadSender);
            let computing = Sessions::<T>::get(&session).is_some_and(|s| s.state.is_computing());
            if computing {
                Self::stop(&session)?;
            }
            Self::remove_binding(&session, worker);
            T::OnUnbound::on_unbound(&session, &worker, computing);
            Ok(())
        }
    }

    impl<T: Config> Pallet<T> {
        /// Binds a session to a registered worker.
        pub fn bind(session: &AccountId, worker: WorkerPublicKey) -> DispatchResult {
            let registered = registry::Workers::<T>::contains_key(worker);
            ensure!(registered, Error::<T>::WorkerNotRegistered);
            let session_bound = SessionBindings::<T>::contains_key(session);
            ensure!(!session_bound, Error::<T>::DuplicateBoundSession);
            let worker_bound = WorkerBindings::<T>::contains_key(worker);
            ensure!(!worker_bound, Error::<T>::DuplicateBoundWorker);
            match Sessions::<T>::get(session) {
                Some(known) => {
                    ensure!(known.state == WorkerState::Ready, Error::<T>::WorkerNotReady);
                }
                None => Sessions::<T>::insert(
                    session,
                    SessionInfo {
                        state: WorkerState::Ready,
                        ve: 0,
                        v: 0,
                        v_updated_at: registry::Pallet::<T>::now_secs(),
                        benchmark: Benchmark::default(),
                        cool_down_start: 0,
                        stats: SessionStats::default(),
                    },
                ),
            }
            SessionBindings::<T>::insert(session, worker);
            WorkerBindings::<T>::insert(worker, session);
            Self::deposit_event(Event::SessionBound { session: session.clone(), worker });
            Ok(())
        }

        /// Takes the binding of an idle session away.
        pub fn remove_binding(session: &AccountId, worker: WorkerPublicKey) {
            SessionBindings::<T>::remove(session);
            WorkerBindings::<T>::remove(worker);
            Self::deposit_event(Event::SessionUnbound { session: session.clone(), worker });
        }

        /// Starts a session with a stake in planck.
        pub fn start(session: &AccountId, stake: u128) -> DispatchResult {
            let mut info = Sessions::<T>::get(session).ok_or(Error::<T>::SessionNotFound)?;
            ensure!(info.state == WorkerState::Ready, Error::<T>::WorkerNotReady);
            ensure!(
                !Stakes::<T>::contains_key(session),
                Error::<T>::InternalErrorCannotStartWithExistingStake
            );
            let worker = SessionBindings::<T>::get(session).ok_or(Error::<T>::SessionNotBound)?;
            let registered = registry::Workers::<T>::get(worker).ok_or(Error::<T>::WorkerNotRegistered)?;
            let score = registered.initial_score.ok_or(Error::<T>::BenchmarkMissing)?;
            ensure!(score >= MIN_INIT_P, Error::<T>::BenchmarkTooLow);
            let params =
                TokenomicParameters::<T>::get().ok_or(Error::<T>::InternalErrorBadTokenomicParameters)?;
            let minimum = tokenomic::minimal_stake(&params, score);
            ensure!(stake >= minimum, Error::<T>::InsufficientStake);
            let ve = tokenomic::initial_value(&params, stake, score, registered.confidence_level);
            ensure!(ve <= params.v_max, Error::<T>::TooMuchStake);

            let now = registry::Pallet::<T>::now_secs();
            info.state = WorkerState::WorkerIdle;
            (info.ve, info.v, info.v_updated_at) = (ve, ve, now);
            info.benchmark = Benchmark {
                p_init: score,
                p_instant: score,
                iterations: 0,
                working_start_time: now,
                challenge_time_last: now,
            };
            info.cool_down_start = 0;
            Sessions::<T>::insert(session, info);
            Stakes::<T>::insert(session, stake);
            OnlineWorkers::<T>::mutate(|online| *online = online.saturating_add(1));
            let session_id = NextSessionId::<T>::mutate(|next| {
                let id = *next;
                *next = next.wrapping_add(1);
                id
            });
            Self::tell(worker, WorkerEvent::Started { session_id, init_v: ve, init_p: score });
            Self::deposit_event(Event::WorkerStarted { session: session.clone(), init_v: ve, init_p: score });
            Ok(())
        }

        /// Stops a computing session; its stake stays locked.
        pub fn stop(session: &AccountId) -> DispatchResult {
            let worker = SessionBindings::<T>::get(session).ok_or(Error::<T>::SessionNotBound)?;
            let mut info = Sessions::<T>::get(session).ok_or(Error::<T>::SessionNotFound)?;
            ensure!(info.state.is_computing(), Error::<T>::WorkerNotComputing);
            if info.state == WorkerState::WorkerIdle {
                OnlineWorkers::<T>::mutate(|online| *online = online.saturating_sub(1));
            }
            info.state = WorkerState::WorkerCoolingDown;
            info.cool_down_start = registry::Pallet::<T>::now_secs();
            Sessions::<T>::insert(session, info);
            Self::tell(worker, WorkerEvent::Stopped);
            Self::deposit_event(Event::WorkerStopped { session: session.clone() });
            Ok(())
        }

        /// Ends a cool-down and returns the stake that was locked.
        pub fn reclaim(session: &AccountId, wait: bool) -> Result<u128, DispatchError> {
            let mut info = Sessions::<T>::get(session).ok_or(Error::<T>::SessionNotFound)?;
            let cooling = info.state == WorkerState::WorkerCoolingDown;
            let passed = registry::Pallet::<T>::now_secs().saturating_sub(info.cool_down_start);
            ensure!(cooling && (!wait || passed >= CoolDownPeriod::<T>::get()), Error::<T>::CoolDownNotReady);
            info.state = WorkerState::Ready;
            info.cool_down_start = 0;
            Sessions::<T>::insert(session, info);
            let original_stake = Stakes::<T>::take(session).unwrap_or(0);
            Self::deposit_event(Event::WorkerReclaimed {
                session: session.clone(),
                original_stake,
                slashed: 0,
            });
            Ok(original_stake)
        }

        fn tell(pubkey: WorkerPublicKey, event: WorkerEvent) {
            let event = SystemEvent::WorkerEvent { pubkey, event };
            mq::Pallet::<T>::push::<Self>(SYSTEM_EVENT_TOPIC, &event);
        }

        fn on_heartbeat(sender: &MessageOrigin, event: &WorkingReportEvent) -> DispatchResult {
            let MessageOrigin::Worker(worker) = sender else {
                return Err(Error::<T>::BadSender.into());
            };
            let (WorkingReportEvent::Heartbeat { challenge_time, iterations, .. }
            | WorkingReportEvent::HeartbeatV2 { challenge_time, iterations, .. }) = *event;
            let session = WorkerBindings::<T>::get(worker).ok_or(Error::<T>::WorkerNotBound)?;
            let mut info = Sessions::<T>::get(&session).ok_or(Error::<T>::SessionNotFound)?;
            ensure!(info.state.is_computing(), Error::<T>::WorkerNotComputing);
            if info.benchmark.update(challenge_time / 1000, iterations) {
                let p_instant = info.benchmark.p_instant;
                Sessions::<T>::insert(&session, info);
                Self::deposit_event(Event::BenchmarkUpdated { session, p_instant });
            }
            Ok(())
        }

        /// Takes in what gatekeepers found. Rewards are noted, not paid.
        fn on_update(sender: &MessageOrigin, update: WorkingInfoUpdateEvent) -> DispatchResult {
            ensure!(*sender == MessageOrigin::Gatekeeper, Error::<T>::BadSender);
            for worker in update.offline {
                Self::set_responsive(worker, false);
            }
            for worker in update.recovered_to_online {
                Self::set_responsive(worker, true);
            }
            for settled in update.settle {
                let session = WorkerBindings::<T>::get(settled.pubkey);
                let info = session.and_then(|id| Sessions::<T>::get(&id).map(|info| (id, info)));
                let Some((session, mut info)) = info else {
                    let worker = settled.pubkey;
                    Self::deposit_event(Event::InternalErrorWorkerSettleFailed { worker });
                    continue;
                };
                info.v = settled.v;
                info.v_updated_at = update.timestamp_ms / 1000;
                let reward = tokenomic::planck_of(settled.payout);
                info.stats.total_reward = info.stats.total_reward.saturating_add(reward);
                Sessions::<T>::insert(&session, info);
                Self::deposit_event(Event::SessionSettled {
                    session,
                    v_bits: settled.v,
                    payout_bits: settled.payout,
                });
            }
            Ok(())
        }

        fn set_responsive(worker: WorkerPublicKey, responsive: bool) {
            let Some(session) = WorkerBindings::<T>::get(worker) else { return };
            let Some(mut info) = Sessions::<T>::get(&session) else { return };
            match (info.state, responsive) {
                (WorkerState::WorkerIdle, false) => {
                    info.state = WorkerState::WorkerUnresponsive;
                    OnlineWorkers::<T>::mutate(|online| *online = online.saturating_sub(1));
                    Self::tell(worker, WorkerEvent::EnterUnresponsive);
                    let session = session.clone();
                    Self::deposit_event(Event::WorkerEnterUnresponsive { session });
                }
                (WorkerState::WorkerUnresponsive, true) => {
                    info.state = WorkerState::WorkerIdle;
                    OnlineWorkers::<T>::mutate(|online| *online = online.saturating_add(1));
                    Self::tell(worker, WorkerEvent::ExitUnresponsive);
                    let session = session.clone();
                    Self::deposit_event(Event::WorkerExitUnresponsive { session });
                }
                _ => return,
            }
            Sessions::<T>::insert(&session, info);
        }
    }

    impl<T: Config> mq::Subscriber for Pallet<T> {
        fn on_message(message: &Message) -> DispatchResult {
            let payload = &mut &message.payload[..];
            if message.destination == WORKING_REPORT_TOPIC {
                let event = WorkingReportEvent::decode(payload).map_err(|_| Error::<T>::_InvalidMessage)?;
                Self::on_heartbeat(&message.sender, &event)
            } else if message.destination == WORKING_UPDATE_TOPIC {
                let update =
                    WorkingInfoUpdateEvent::decode(payload).map_err(|_| Error::<T>::_InvalidMessage)?;
                Self::on_update(&message.sender, update)
            } else {
                Ok(())
            }
        }
    }
}
