//! `PhalaStakePoolv2`: stake pools and their workers.
//!
//! Simplified: shares are worth one planck each for ever and are not tokens, nothing can be withdrawn,
//! and rewards are not paid out.

pub use pallet::*;

/// The pallet behind the module.
#[allow(missing_docs, reason = "generated items, and names of the live pallet that say what they are")]
#[frame_support::pallet]
pub mod pallet {
    use super::super::base_pool::{self, session_account};
    use super::super::chain_pallets::assets;
    use super::super::types::{StakePool, WorkerPublicKey, WorkerState};
    use super::super::{CALL_WEIGHT, computation, registry};
    use crate::runtime::AccountId;
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;

    #[pallet::pallet]
    #[pallet::without_storage_info]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<AccountId = AccountId, RuntimeEvent: From<Event<Self>>>
        + computation::Config
        + base_pool::Config
        + assets::Config
    {
        /// Smallest contribution, in planck.
        #[pallet::constant]
        type MinContribution: Get<u128>;
        /// Seconds a withdrawal may wait before workers are stopped for it.
        #[pallet::constant]
        type GracePeriod: Get<u64>;
        /// Most workers of one pool.
        #[pallet::constant]
        type MaxPoolWorkers: Get<u32>;
    }

    /// Pool of each worker.
    #[pallet::storage]
    pub type WorkerAssignments<T: Config> = StorageMap<_, Twox64Concat, WorkerPublicKey, u64>;

    /// What each session account was derived from.
    #[pallet::storage]
    pub type SubAccountPreimages<T: Config> = StorageMap<_, Twox64Concat, AccountId, (u64, WorkerPublicKey)>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        #[codec(index = 0)]
        PoolCreated { owner: AccountId, pid: u64, cid: u32, pool_account_id: AccountId },
        #[codec(index = 3)]
        PoolWorkerAdded { pid: u64, worker: WorkerPublicKey, session: AccountId },
        #[codec(index = 4)]
        Contribution { pid: u64, user: AccountId, amount: u128, shares: u128, as_vault: Option<u64> },
        #[codec(index = 11)]
        PoolWorkerRemoved { pid: u64, worker: WorkerPublicKey },
        #[codec(index = 12)]
        WorkerReclaimed { pid: u64, worker: WorkerPublicKey },
        #[codec(index = 14)]
        WorkingStarted { pid: u64, worker: WorkerPublicKey, amount: u128 },
    }

    #[pallet::error]
    #[allow(non_camel_case_types, reason = "a name of the live pallet begins with an underscore")]
    pub enum Error<T> {
        WorkerNotRegistered,
        BenchmarkMissing,
        WorkerExists,
        WorkerAlreadyStopped,
        WorkerDoesNotExist,
        WorkerInAnotherPool,
        UnauthorizedOperator,
        UnauthorizedPoolOwner,
        InadequateCapacity,
        StakeExceedsCapacity,
        PoolDoesNotExist,
        _PoolIsBusy,
        InsufficientContribution,
        NoNftToWithdraw,
        InsufficientBalance,
        PoolStakeNotFound,
        InsufficientFreeStake,
        InvalidWithdrawalAmount,
        FailedToBindSessionAndWorker,
        InternalSubsidyPoolCannotWithdraw,
        PoolBankrupt,
        NoRewardToClaim,
        FeatureNotEnabled,
        WorkersExceedLimit,
        CannotRestartWithLessStake,
        InvalidForceRewardAmount,
        WithdrawQueueNotEmpty,
        MissingCollectionId,
        VaultIsLocked,
        SessionDoesNotExist,
        WorkerIsNotReady,
        LockAccountStakeError,
        NoLegacyRewardToClaim,
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Makes a stake pool.
        #[pallet::call_index(0)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn create(origin: OriginFor<T>) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            let pool = base_pool::Pallet::<T>::create_stake_pool(&owner).basepool;
            Self::deposit_event(Event::PoolCreated {
                owner,
                pid: pool.pid,
                cid: pool.cid,
                pool_account_id: pool.pool_account_id,
            });
            Ok(())
        }

        /// Adds a benchmarked worker to the caller's pool.
        #[pallet::call_index(1)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn add_worker(origin: OriginFor<T>, pid: u64, pubkey: WorkerPublicKey) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            let info = registry::Workers::<T>::get(pubkey).ok_or(Error::<T>::WorkerNotRegistered)?;
            ensure!(info.operator.as_ref() == Some(&owner), Error::<T>::UnauthorizedOperator);
            ensure!(info.initial_score.is_some(), Error::<T>::BenchmarkMissing);
            let mut pool = Self::owned_pool(&owner, pid)?;
            ensure!(!pool.workers.contains(&pubkey), Error::<T>::WorkerExists);
            let limit = T::MaxPoolWorkers::get() as usize;
            ensure!(pool.workers.len() < limit, Error::<T>::WorkersExceedLimit);
            let session = session_account(pid, &pubkey);
            computation::Pallet::<T>::bind(&session, pubkey)
                .map_err(|_| Error::<T>::FailedToBindSessionAndWorker)?;
            SubAccountPreimages::<T>::insert(&session, (pid, pubkey));
            WorkerAssignments::<T>::insert(pubkey, pid);
            pool.workers.push(pubkey);
            base_pool::Pallet::<T>::put(pool);
            Self::deposit_event(Event::PoolWorkerAdded { pid, worker: pubkey, session });
            Ok(())
        }

        /// Removes an idle worker from the caller's pool.
        #[pallet::call_index(2)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn remove_worker(origin: OriginFor<T>, pid: u64, worker: WorkerPublicKey) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            let mut pool = Self::owned_pool(&owner, pid)?;
            let assigned = WorkerAssignments::<T>::get(worker).ok_or(Error::<T>::WorkerDoesNotExist)?;
            ensure!(assigned == pid, Error::<T>::WorkerInAnotherPool);
            let session = session_account(pid, &worker);
            let info = computation::Sessions::<T>::get(&session).ok_or(Error::<T>::SessionDoesNotExist)?;
            ensure!(info.state == WorkerState::Ready, Error::<T>::WorkerIsNotReady);
            computation::Pallet::<T>::remove_binding(&session, worker);
            Self::forget(&mut pool, &worker);
            base_pool::Pallet::<T>::put(pool);
            Self::deposit_event(Event::PoolWorkerRemoved { pid, worker });
            Ok(())
        }

        /// Stops workers when a withdrawal waits too long.
        #[pallet::call_index(8)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn check_and_maybe_force_withdraw(origin: OriginFor<T>, pid: u64) -> DispatchResult {
            ensure_signed(origin)?;
            let mut pool = base_pool::Pallet::<T>::stake_pool(pid)?;
            let now = registry::Pallet::<T>::now_secs();
            let overdue = pool
                .basepool
                .withdraw_queue
                .first()
                .is_some_and(|oldest| now.saturating_sub(oldest.start_time) > T::GracePeriod::get());
            if !overdue {
                return Ok(());
            }
            for worker in pool.workers.clone() {
                let session = session_account(pid, &worker);
                let info = computation::Sessions::<T>::get(&session);
                if info.is_some_and(|info| info.state.is_computing()) {
                    computation::Pallet::<T>::stop(&session)?;
                    pool.cd_workers.push(worker);
                }
            }
            base_pool::Pallet::<T>::put(pool);
            Ok(())
        }

        /// Adds wrapped PHA to a pool's free stake.
        #[pallet::call_index(9)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn contribute(
            origin: OriginFor<T>,
            pid: u64,
            amount: u128,
            as_vault: Option<u64>,
        ) -> DispatchResult {
            let user = ensure_signed(origin)?;
            ensure!(as_vault.is_none(), Error::<T>::FeatureNotEnabled);
            let pool = base_pool::Pallet::<T>::stake_pool(pid)?;
            ensure!(amount >= T::MinContribution::get(), Error::<T>::InsufficientContribution);
            let balance = assets::Pallet::<T>::balance(&user);
            ensure!(balance >= amount, Error::<T>::InsufficientBalance);
            let room = pool.cap.map(|cap| cap.saturating_sub(pool.basepool.total_value));
            ensure!(room.is_none_or(|room| amount <= room), Error::<T>::StakeExceedsCapacity);
            assets::Pallet::<T>::transfer(&user, &pool.basepool.pool_account_id, amount)?;
            Self::credit(pool, amount);
            Self::deposit_event(Event::Contribution { pid, user, amount, shares: amount, as_vault });
            Ok(())
        }

        /// Starts a worker of the caller's pool.
        #[pallet::call_index(13)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn start_computing(
            origin: OriginFor<T>,
            pid: u64,
            worker: WorkerPublicKey,
            stake: u128,
        ) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::do_start(&owner, pid, worker, stake)
        }

        /// Stops a worker of the caller's pool.
        #[pallet::call_index(14)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn stop_computing(origin: OriginFor<T>, pid: u64, worker: WorkerPublicKey) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            Self::do_stop(&owner, pid, worker)
        }

        /// Returns the stake of a worker that has cooled down.
        #[pallet::call_index(15)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn reclaim_pool_worker(
            origin: OriginFor<T>,
            pid: u64,
            worker: WorkerPublicKey,
        ) -> DispatchResult {
            ensure_signed(origin)?;
            base_pool::Pallet::<T>::stake_pool(pid)?;
            Self::do_reclaim(pid, worker, true).map(|_| ())
        }

        /// Restarts a worker with more stake.
        #[pallet::call_index(17)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn restart_computing(
            origin: OriginFor<T>,
            pid: u64,
            worker: WorkerPublicKey,
            stake: u128,
        ) -> DispatchResult {
            let owner = ensure_signed(origin)?;
            let pool = Self::owned_pool(&owner, pid)?;
            let queue = &pool.basepool.withdraw_queue;
            ensure!(queue.is_empty(), Error::<T>::WithdrawQueueNotEmpty);
            Self::do_stop(&owner, pid, worker)?;
            let old = Self::do_reclaim(pid, worker, false)?;
            ensure!(stake > old, Error::<T>::CannotRestartWithLessStake);
            Self::do_start(&owner, pid, worker, stake)
        }
    }

    impl<T: Config> Pallet<T> {
        fn owned_pool(who: &AccountId, pid: u64) -> Result<StakePool, DispatchError> {
            let pool = base_pool::Pallet::<T>::stake_pool(pid)?;
            ensure!(pool.basepool.owner == *who, Error::<T>::UnauthorizedPoolOwner);
            Ok(pool)
        }

        /// Counts stake that reached the pool's account.
        pub fn credit(mut pool: StakePool, amount: u128) {
            let base = &mut pool.basepool;
            base.total_value = base.total_value.saturating_add(amount);
            base.total_shares = base.total_shares.saturating_add(amount);
            base_pool::Pallet::<T>::put(pool);
        }

        fn forget(pool: &mut StakePool, worker: &WorkerPublicKey) {
            WorkerAssignments::<T>::remove(worker);
            pool.workers.retain(|known| known != worker);
        }

        fn do_start(owner: &AccountId, pid: u64, worker: WorkerPublicKey, stake: u128) -> DispatchResult {
            let pool = Self::owned_pool(owner, pid)?;
            let free = assets::Pallet::<T>::balance(&pool.basepool.pool_account_id);
            ensure!(free >= stake, Error::<T>::InsufficientFreeStake);
            ensure!(pool.workers.contains(&worker), Error::<T>::WorkerDoesNotExist);
            computation::Pallet::<T>::start(&session_account(pid, &worker), stake)?;
            let (from, to) = (&pool.basepool.pool_account_id, &pool.lock_account);
            assets::Pallet::<T>::transfer(from, to, stake)?;
            Self::deposit_event(Event::WorkingStarted { pid, worker, amount: stake });
            Ok(())
        }

        fn do_stop(owner: &AccountId, pid: u64, worker: WorkerPublicKey) -> DispatchResult {
            let mut pool = Self::owned_pool(owner, pid)?;
            ensure!(pool.workers.contains(&worker), Error::<T>::WorkerDoesNotExist);
            ensure!(!pool.cd_workers.contains(&worker), Error::<T>::WorkerAlreadyStopped);
            computation::Pallet::<T>::stop(&session_account(pid, &worker))?;
            pool.cd_workers.push(worker);
            base_pool::Pallet::<T>::put(pool);
            Ok(())
        }

        fn do_reclaim(pid: u64, worker: WorkerPublicKey, wait: bool) -> Result<u128, DispatchError> {
            let stake = computation::Pallet::<T>::reclaim(&session_account(pid, &worker), wait)?;
            let mut pool = base_pool::Pallet::<T>::stake_pool(pid)?;
            pool.cd_workers.retain(|known| *known != worker);
            assets::Pallet::<T>::transfer(&pool.lock_account, &pool.basepool.pool_account_id, stake)
                .map_err(|_| Error::<T>::LockAccountStakeError)?;
            base_pool::Pallet::<T>::put(pool);
            Self::deposit_event(Event::WorkerReclaimed { pid, worker });
            Ok(stake)
        }
    }

    impl<T: Config> computation::OnUnbound for Pallet<T> {
        fn on_unbound(session: &AccountId, worker: &WorkerPublicKey, forced: bool) {
            let Some((pid, _)) = SubAccountPreimages::<T>::get(session) else { return };
            let Ok(mut pool) = base_pool::Pallet::<T>::stake_pool(pid) else { return };
            Self::forget(&mut pool, worker);
            if forced && !pool.cd_workers.contains(worker) {
                pool.cd_workers.push(*worker);
            }
            base_pool::Pallet::<T>::put(pool);
        }
    }
}
