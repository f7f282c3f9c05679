//! Transactions, the pool's questions and metadata, through the runtime API only.

use super::super::types::*;
use super::super::*;
use super::util::*;
use codec::Encode;
use sp_core::H256;
use sp_keyring::Sr25519Keyring::{self, Alice, Bob};
use sp_runtime::generic::Era;
use sp_runtime::transaction_validity::{
    InvalidTransaction, TransactionSource, TransactionValidity, TransactionValidityError,
};
use sp_runtime::{ApplyExtrinsicResult, MultiAddress, MultiSignature, TransactionOutcome};

/// A signed transaction, its payload put together by hand in the layout clients use.
pub(super) fn transaction(who: Sr25519Keyring, nonce: Nonce, call: RuntimeCall) -> UncheckedExtrinsic {
    let genesis = frame_system::BlockHash::<Runtime>::get(0);
    let era = Era::immortal();
    let extra = (era, codec::Compact(nonce), codec::Compact(0u128)).encode();
    let additional: Vec<u8> = (1282u32, 6u32, genesis, genesis).encode();
    let mut payload = call.encode();
    payload.extend([&extra[..], &additional].concat());
    let signature = if payload.len() > 256 {
        who.sign(&sp_crypto_hashing::blake2_256(&payload))
    } else {
        who.sign(&payload)
    };
    let extension: TxExtension = codec::Decode::decode(&mut &extra[..]).unwrap();
    UncheckedExtrinsic::new_signed(
        call,
        MultiAddress::Id(who.to_account_id()),
        MultiSignature::Sr25519(signature),
        extension,
    )
}

/// Applies a transaction as a block author does: one that is not valid leaves nothing behind.
fn apply(xt: UncheckedExtrinsic) -> ApplyExtrinsicResult {
    frame_support::storage::with_transaction_unchecked(|| {
        let result: ApplyExtrinsicResult = api("BlockBuilder_apply_extrinsic", xt);
        if result.is_ok() { TransactionOutcome::Commit(result) } else { TransactionOutcome::Rollback(result) }
    })
}

fn validate(xt: UncheckedExtrinsic) -> TransactionValidity {
    let arguments = (TransactionSource::External, xt, H256::zero());
    api("TaggedTransactionQueue_validate_transaction", arguments)
}

fn invalid(error: InvalidTransaction) -> TransactionValidityError {
    TransactionValidityError::Invalid(error)
}

#[test]
fn a_transaction_in_the_v4_layout_runs_and_pays() {
    ext(&GenesisConfig::default()).execute_with(|| {
        begin(&inputs(1), 1);
        let dest = MultiAddress::Id(Bob.to_account_id());
        let call: RuntimeCall = pallet_balances::Call::transfer_keep_alive { dest, value: UNIT }.into();
        let xt = transaction(Alice, 0, call.clone());
        let bytes = xt.encode();
        assert_eq!(bytes[2], 0x84);
        assert_eq!(validate(xt.clone()).unwrap().requires, Vec::<Vec<u8>>::new());
        apply(xt.clone()).unwrap().unwrap();
        assert_eq!(apply(xt), Err(invalid(InvalidTransaction::Stale)));
        assert_eq!(apply(transaction(Alice, 5, call)), Err(invalid(InvalidTransaction::Future)));
        assert_eq!(api::<Nonce>("AccountNonceApi_account_nonce", Alice.to_account_id()), 1);
        let account = frame_system::Account::<Runtime>::get(Alice.to_account_id());
        assert!(account.data.free < 10_000_000 * UNIT - UNIT);
        assert!(account.data.free > 10_000_000 * UNIT - 2 * UNIT);
    });
}

#[test]
fn queue_messages_are_tagged_and_ordered() {
    ext(&GenesisConfig::default()).execute_with(|| {
        begin(&inputs(1), 1);
        let mut worker = Worker::new(7);
        let messages: Vec<SignedMessage> = (0..3).map(|_| worker.message(b"phala/test", &())).collect();
        let sync = |index: usize, nonce: Nonce| {
            let signed_message = messages[index].clone();
            transaction(Bob, nonce, mq::Call::sync_offchain_message { signed_message }.into())
        };
        let sender = MessageOrigin::Worker(worker.key());
        let valid = validate(sync(0, 0)).unwrap();
        assert_eq!(valid.provides, [(Bob.to_account_id(), 0u32).encode(), mq::pool_tag(&sender, 0)]);
        assert!(valid.requires.is_empty());
        let valid = validate(sync(2, 0)).unwrap();
        assert_eq!(valid.requires, [mq::pool_tag(&sender, 1)]);
        assert!(valid.provides.contains(&mq::pool_tag(&sender, 2)));
        assert_eq!(apply(sync(1, 0)), Err(invalid(InvalidTransaction::Future)));
        apply(sync(0, 0)).unwrap().unwrap();
        assert_eq!(validate(sync(0, 1)), Err(invalid(InvalidTransaction::Stale)));
        assert_eq!(apply(sync(0, 1)), Err(invalid(InvalidTransaction::Stale)));
        apply(sync(1, 1)).unwrap().unwrap();
    });
}

#[test]
fn a_relay_parent_must_increase() {
    ext(&GenesisConfig::default()).execute_with(|| {
        block(1, || ());
        let draft = Header {
            parent_hash: H256::zero(),
            number: 2,
            state_root: H256::zero(),
            extrinsics_root: H256::zero(),
            digest: Default::default(),
        };
        let _: sp_runtime::ExtrinsicInclusionMode = api("Core_initialize_block", draft);
        let mut late = inputs(2);
        late.validation_data.relay_parent_number = 11;
        let [time, data] = <[_; 2]>::try_from(late.inherents()).unwrap();
        apply(time).unwrap().unwrap();
        assert_eq!(apply(data), Err(invalid(InvalidTransaction::BadMandatory)));
    });
}

#[test]
fn inherents_are_refused_by_the_pool() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let call = control::Call::apply { control: Control::default() };
        let bare = UncheckedExtrinsic::new_bare(call.into());
        assert!(validate(bare).is_err());
    });
}

#[test]
fn metadata_names_what_clients_look_up() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let versions: Vec<u32> = api("Metadata_metadata_versions", ());
        assert!(versions.contains(&14) && versions.contains(&15) && versions.contains(&16));
        for version in versions {
            let bytes: Option<Vec<u8>> = api("Metadata_metadata_at_version", version);
            assert_eq!(&bytes.unwrap()[..4], b"meta");
        }
        let metadata: Vec<u8> = api("Metadata_metadata", ());
        let find = |text: &[u8]| metadata.windows(text.len()).position(|window| window == text);
        for text in ["CheckMqSequence", "sync_offchain_message", "WorkerRegistrationInfoV2"] {
            assert!(find(text.as_bytes()).is_some(), "{text}");
        }
        assert!(find(b"CheckWeight") < find(b"CheckMqSequence"));
        assert!(find(b"CheckMqSequence") < find(b"ChargeTransactionPayment"));
    });
}

#[test]
fn fees_can_be_asked_for() {
    ext(&GenesisConfig::default()).execute_with(|| {
        let call = mq::Call::push_message { destination: b"a".to_vec(), payload: Vec::new() };
        let xt = transaction(Alice, 0, call.into());
        let length = u32::try_from(xt.encode().len()).unwrap();
        let info: pallet_transaction_payment::RuntimeDispatchInfo<Balance> =
            api("TransactionPaymentApi_query_info", (xt, length));
        assert!(info.partial_fee > 0 && info.partial_fee < UNIT);
    });
}

#[test]
fn load_accounts_are_endowed_and_can_sign() {
    use sp_core::Pair;
    ext(&GenesisConfig { load_accounts: 50, ..Default::default() }).execute_with(|| {
        let account = crate::runtime::load_account(49);
        let balance = frame_system::Account::<Runtime>::get(&account).data.free;
        assert_eq!(balance, 10_000_000 * UNIT);
        let pair = crate::runtime::load_pair(49);
        assert_eq!(pair.public().0, *AsRef::<[u8; 32]>::as_ref(&account));
    });
}
