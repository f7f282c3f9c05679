//! `PhalaRegistry`: workers and their keys.

pub use pallet::*;

mod attest;

/// Iterations per second are counted over six seconds, and capped.
const MAX_SCORE: u64 = 6000;

/// Score of a benchmark: iterations per whole second, times six, at most 6000.
///
/// The live pallet divides by `elapsed_ms / 1000` as it is, and fails on an interval below one second;
/// such an interval counts as one second here, since dev chains may make blocks faster than that.
pub fn benchmark_score(elapsed_ms: u64, iterations: u64) -> u32 {
    let seconds = (elapsed_ms / 1000).max(1);
    let score = (iterations / seconds).saturating_mul(6).min(MAX_SCORE);
    u32::try_from(score).unwrap_or(u32::MAX)
}

/// The pallet behind the module.
#[allow(missing_docs, reason = "generated items, and names of the live pallet that say what they are")]
#[frame_support::pallet]
pub mod pallet {
    use super::super::types::*;
    use super::super::{CALL_WEIGHT, info, mq, switches};
    use super::{attest, benchmark_score};
    use crate::runtime::AccountId;
    use frame_support::pallet_prelude::*;
    use frame_system::pallet_prelude::*;
    use sp_core::H256;
    use sp_core::sr25519::{Public, Signature};

    #[pallet::pallet]
    #[pallet::without_storage_info]
    pub struct Pallet<T>(_);

    #[pallet::config]
    pub trait Config:
        frame_system::Config<AccountId = AccountId, RuntimeEvent: From<Event<Self>>>
        + mq::Config
        + info::Config
        + switches::Config
        + pallet_timestamp::Config<Moment = u64>
    {
    }

    #[pallet::storage]
    pub type Gatekeeper<T: Config> = StorageValue<_, Vec<WorkerPublicKey>, ValueQuery>;

    #[pallet::storage]
    pub type GatekeeperMasterPubkey<T: Config> = StorageValue<_, WorkerPublicKey>;

    /// Block and Unix seconds of the launch.
    #[pallet::storage]
    pub type GatekeeperLaunchedAt<T: Config> = StorageValue<_, (BlockNumberFor<T>, u64)>;

    #[pallet::storage]
    pub type Workers<T: Config> = StorageMap<_, Twox64Concat, WorkerPublicKey, WorkerInfoV2>;

    /// Block of the first registration.
    #[pallet::storage]
    pub type WorkerAddedAt<T: Config> = StorageMap<_, Twox64Concat, WorkerPublicKey, BlockNumberFor<T>>;

    #[pallet::storage]
    pub type ContractKeys<T: Config> = StorageMap<_, Twox64Concat, H256, Public>;

    #[pallet::storage]
    pub type ClusterKeys<T: Config> = StorageMap<_, Twox64Concat, H256, Public>;

    /// Blocks a worker measures its speed for.
    #[pallet::storage]
    pub type BenchmarkDuration<T: Config> = StorageValue<_, u32>;

    /// Measurements of accepted worker programs.
    #[pallet::storage]
    pub type PRuntimeAllowList<T: Config> = StorageValue<_, Vec<Vec<u8>>, ValueQuery>;

    /// Block at which a measurement was accepted.
    #[pallet::storage]
    pub type PRuntimeAddedAt<T: Config> = StorageMap<_, Twox64Concat, Vec<u8>, BlockNumberFor<T>>;

    /// Relay headers a worker may start from.
    #[pallet::storage]
    pub type RelaychainGenesisBlockHashAllowList<T: Config> = StorageValue<_, Vec<H256>, ValueQuery>;

    #[pallet::storage]
    pub type Endpoints<T: Config> = StorageMap<_, Twox64Concat, WorkerPublicKey, VersionedWorkerEndpoints>;

    #[pallet::storage]
    pub type MinimumPRuntimeVersion<T: Config> = StorageValue<_, (u32, u32, u32), ValueQuery>;

    #[pallet::storage]
    pub type PRuntimeConsensusVersion<T: Config> = StorageValue<_, u32, ValueQuery>;

    #[pallet::storage]
    pub type TrustedNtpServers<T: Config> = StorageValue<_, Vec<String>, ValueQuery>;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        #[codec(index = 2)]
        WorkerAdded {
            pubkey: WorkerPublicKey,
            attestation_provider: Option<AttestationProvider>,
            confidence_level: u8,
        },
        #[codec(index = 3)]
        WorkerUpdated {
            pubkey: WorkerPublicKey,
            attestation_provider: Option<AttestationProvider>,
            confidence_level: u8,
        },
        #[codec(index = 6)]
        InitialScoreSet { pubkey: WorkerPublicKey, init_score: u32 },
        #[codec(index = 9)]
        GatekeeperLaunched,
    }

    /// In the order of runtimes from spec version 1270 on.
    #[pallet::error]
    pub enum Error<T> {
        CannotHandleUnknownMessage,
        InvalidSender,
        InvalidPubKey,
        MalformedSignature,
        InvalidSignatureLength,
        InvalidSignature,
        UnknownContract,
        InvalidIASSigningCert,
        InvalidReport,
        InvalidQuoteStatus,
        BadIASReport,
        OutdatedIASReport,
        UnknownQuoteBodyFormat,
        InvalidDCAPQuote,
        InvalidRuntimeInfoHash,
        InvalidRuntimeInfo,
        InvalidInput,
        InvalidBenchReport,
        WorkerNotFound,
        NoneAttestationDisabled,
        InvalidGatekeeper,
        InvalidMasterPubkey,
        MasterKeyMismatch,
        MasterKeyUninitialized,
        GenesisBlockHashRejected,
        GenesisBlockHashAlreadyExists,
        GenesisBlockHashNotFound,
        PRuntimeRejected,
        PRuntimeAlreadyExists,
        PRuntimeNotFound,
        UnknownCluster,
        NotImplemented,
        CannotRemoveLastGatekeeper,
        MasterKeyInRotation,
        InvalidRotatedMasterPubkey,
        InvalidEndpointSigningTime,
        NotMigrationRoot,
        ParachainIdMismatch,
        InvalidConsensusVersion,
        UnsupportedAttestationType,
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Registers a worker, first generation.
        #[pallet::call_index(6)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn register_worker(
            origin: OriginFor<T>,
            pruntime_info: WorkerRegistrationInfo,
            attestation: Attestation,
        ) -> DispatchResult {
            ensure_signed(origin)?;
            let Attestation::SgxIas { ra_report, signature, raw_signing_cert } = attestation;
            let report = AttestationReport::SgxIas { ra_report, signature, raw_signing_cert };
            let proof = attest::check::<T>(Some(&report), &pruntime_info.encode(), &pruntime_info.pubkey)?;
            Self::register(pruntime_info, &proof)
        }

        /// Registers a worker, second generation.
        #[pallet::call_index(7)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn register_worker_v2(
            origin: OriginFor<T>,
            pruntime_info: WorkerRegistrationInfoV2,
            attestation: Option<AttestationReport>,
        ) -> DispatchResult {
            ensure_signed(origin)?;
            let info = pruntime_info;
            let proof = attest::check::<T>(attestation.as_ref(), &info.encode(), &info.pubkey)?;
            ensure!(info.para_id == info::ParachainId::<T>::get(), Error::<T>::ParachainIdMismatch);
            let first_generation = WorkerRegistrationInfo {
                version: info.version,
                machine_id: info.machine_id,
                pubkey: info.pubkey,
                ecdh_pubkey: info.ecdh_pubkey,
                genesis_block_hash: info.genesis_block_hash,
                features: info.features,
                operator: info.operator,
            };
            Self::register(first_generation, &proof)
        }

        /// Notes where a worker can be reached.
        #[pallet::call_index(8)]
        #[pallet::weight(CALL_WEIGHT)]
        pub fn update_worker_endpoint(
            origin: OriginFor<T>,
            endpoint_payload: WorkerEndpointPayload,
            signature: Vec<u8>,
        ) -> DispatchResult {
            const VALID_FOR_MS: u64 = 4 * 60 * 60 * 1000;
            ensure_signed(origin)?;
            let payload = endpoint_payload;
            // Wrapped as content that is not a queue message: 0xff, and 2 for endpoints.
            let signed = (0xffu8, 2u8, &payload).encode();
            Self::verify(&signature, &signed, &payload.pubkey)?;
            let now = pallet_timestamp::Pallet::<T>::get();
            ensure!(
                payload.signing_time < now && now <= payload.signing_time.saturating_add(VALID_FOR_MS),
                Error::<T>::InvalidEndpointSigningTime
            );
            ensure!(Workers::<T>::contains_key(payload.pubkey), Error::<T>::InvalidPubKey);
            Endpoints::<T>::insert(payload.pubkey, payload.versioned_endpoints);
            Ok(())
        }
    }

    impl<T: Config> Pallet<T> {
        /// Chain time in Unix seconds.
        pub fn now_secs() -> u64 {
            pallet_timestamp::Pallet::<T>::get() / 1000
        }

        fn register(info: WorkerRegistrationInfo, proof: &attest::Proof) -> DispatchResult {
            let allowed = RelaychainGenesisBlockHashAllowList::<T>::get();
            ensure!(
                !switches::Current::<T>::get().verify_relaychain_genesis
                    || allowed.contains(&info.genesis_block_hash),
                Error::<T>::GenesisBlockHashRejected
            );
            let pubkey = info.pubkey;
            let (attestation_provider, confidence_level) = (proof.provider, proof.confidence);
            if let Some(mut worker) = Workers::<T>::get(pubkey) {
                // Score, key agreement key and provider stay those of the first registration.
                worker.runtime_version = info.version;
                worker.last_updated = Self::now_secs();
                worker.operator = info.operator;
                worker.confidence_level = confidence_level;
                worker.features = info.features;
                Workers::<T>::insert(pubkey, worker);
                Self::deposit_event(Event::WorkerUpdated { pubkey, attestation_provider, confidence_level });
            } else {
                let worker = WorkerInfoV2 {
                    pubkey,
                    ecdh_pubkey: info.ecdh_pubkey,
                    runtime_version: info.version,
                    last_updated: Self::now_secs(),
                    operator: info.operator,
                    attestation_provider,
                    confidence_level,
                    initial_score: None,
                    features: info.features,
                };
                Workers::<T>::insert(pubkey, worker);
                WorkerAddedAt::<T>::insert(pubkey, frame_system::Pallet::<T>::block_number());
                Self::deposit_event(Event::WorkerAdded { pubkey, attestation_provider, confidence_level });
            }
            Self::tell(pubkey, WorkerEvent::Registered { confidence_level });
            let duration = BenchmarkDuration::<T>::get().unwrap_or(0);
            Self::tell(pubkey, WorkerEvent::BenchStart { duration });
            Ok(())
        }

        fn tell(pubkey: WorkerPublicKey, event: WorkerEvent) {
            let event = SystemEvent::WorkerEvent { pubkey, event };
            mq::Pallet::<T>::push::<Self>(SYSTEM_EVENT_TOPIC, &event);
        }

        /// Checks an sr25519 signature given as bytes.
        pub(super) fn verify(signature: &[u8], signed: &[u8], key: &Public) -> DispatchResult {
            ensure!(signature.len() == 64, Error::<T>::InvalidSignatureLength);
            let signature = Signature::try_from(signature).map_err(|()| Error::<T>::MalformedSignature)?;
            let valid = sp_io::crypto::sr25519_verify(&signature, signed, key);
            ensure!(valid, Error::<T>::InvalidSignature);
            Ok(())
        }

        fn on_registry_event(sender: &MessageOrigin, event: &RegistryEvent) -> DispatchResult {
            let MessageOrigin::Worker(pubkey) = *sender else {
                return Err(Error::<T>::InvalidSender.into());
            };
            match *event {
                RegistryEvent::BenchReport { start_time, iterations } => {
                    let now = pallet_timestamp::Pallet::<T>::get();
                    ensure!(now > start_time, Error::<T>::InvalidBenchReport);
                    let init_score = benchmark_score(now - start_time, iterations);
                    let mut worker = Workers::<T>::get(pubkey).ok_or(Error::<T>::WorkerNotFound)?;
                    worker.initial_score = Some(init_score);
                    worker.last_updated = Self::now_secs();
                    Workers::<T>::insert(pubkey, worker);
                    Self::deposit_event(Event::InitialScoreSet { pubkey, init_score });
                    Self::tell(pubkey, WorkerEvent::BenchScore(init_score));
                }
                RegistryEvent::MasterPubkey { master_pubkey } => {
                    let listed = Gatekeeper::<T>::get().contains(&pubkey);
                    ensure!(listed, Error::<T>::InvalidGatekeeper);
                    match GatekeeperMasterPubkey::<T>::get() {
                        Some(known) => {
                            ensure!(known == master_pubkey, Error::<T>::MasterKeyMismatch);
                        }
                        None => {
                            GatekeeperMasterPubkey::<T>::put(master_pubkey);
                            let block = frame_system::Pallet::<T>::block_number();
                            GatekeeperLaunchedAt::<T>::put((block, Self::now_secs()));
                            Self::deposit_event(Event::GatekeeperLaunched);
                        }
                    }
                }
            }
            Ok(())
        }
    }

    impl<T: Config> mq::KeyRing for Pallet<T> {
        fn check(message: &SignedMessage) -> DispatchResult {
            let key = match &message.message.sender {
                MessageOrigin::Worker(key) => *key,
                MessageOrigin::Cluster(id) => ClusterKeys::<T>::get(id).ok_or(Error::<T>::UnknownCluster)?,
                MessageOrigin::Contract(id) => {
                    ContractKeys::<T>::get(id).ok_or(Error::<T>::UnknownContract)?
                }
                MessageOrigin::Gatekeeper => {
                    GatekeeperMasterPubkey::<T>::get().ok_or(Error::<T>::MasterKeyUninitialized)?
                }
                _ => return Err(Error::<T>::CannotHandleUnknownMessage.into()),
            };
            Self::verify(&message.signature, &message.signed_bytes(), &key)
        }
    }

    impl<T: Config> mq::Subscriber for Pallet<T> {
        fn on_message(message: &Message) -> DispatchResult {
            if message.destination != REGISTRY_EVENT_TOPIC {
                return Ok(());
            }
            let event =
                RegistryEvent::decode(&mut &message.payload[..]).map_err(|_| Error::<T>::InvalidInput)?;
            Self::on_registry_event(&message.sender, &event)
        }
    }
}
