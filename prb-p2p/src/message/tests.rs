use super::json::Named;
use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};

#[test]
fn a_hello_and_its_call_are_the_bytes_that_v2_writes() {
    let me = SystemInfo {
        hostname: Some("h".into()),
        peer_id: Some("Qm".into()),
        role: Some(Role::Client.into()),
        chain_identity: Some("client".into()),
        bridge_identity: Some("client".into()),
        auth: None,
    };
    assert_eq!(hex::encode(me.encode_to_vec()), HELLO);

    let call = RequestWrapper {
        created_at: Some(1),
        nonce: Some("n".into()),
        data: Some(me.encode_to_vec().into()),
        method: Some("Hello".into()),
    };
    assert_eq!(hex::encode(call.encode_to_vec()), format!("080112016e1a19{HELLO}220548656c6c6f"));
    assert_eq!(SystemInfo::decode(&*hex::decode(HELLO).unwrap()).unwrap(), me);
}

#[test]
fn a_default_is_written_if_it_was_set_and_shown_if_it_was_written() {
    let pool = Pool { enabled: Some(false), name: Some(String::new()), pid: Some(0), ..Pool::default() };
    assert_eq!(hex::encode(pool.encode_to_vec()), "180022002800");
    let shown = Pool::decode(&*pool.encode_to_vec()).unwrap().to_json();
    assert_eq!(shown, json!({ "pid": "0", "name": "", "enabled": false }));
    assert!(Pool::default().encode_to_vec().is_empty());
    assert_eq!(Pool::default().to_json(), json!({}));
}

#[test]
fn a_negative_number_takes_ten_bytes() {
    let state = WorkerState { parent_header_synched_to: Some(-1), ..WorkerState::default() };
    assert_eq!(hex::encode(state.encode_to_vec()), "10ffffffffffffffffff01");
    assert_eq!(state.to_json(), json!({ "parentHeaderSynchedTo": -1 }));
}

#[test]
fn several_numbers_are_packed() {
    let range = RangeMeta { parent_range: vec![1, 2, 300], ..RangeMeta::default() };
    assert_eq!(hex::encode(range.encode_to_vec()), "2a040102ac02");
    let loose = RangeMeta::decode(&*hex::decode("2801280228ac02").unwrap()).unwrap();
    assert_eq!(loose, range);
}

#[test]
fn unknown_fields_are_skipped() {
    // Number 1001, a bool; number 9, some bytes.
    let wire = hex::decode("180242023e01c83e014a03616263").unwrap();
    assert!(Pool::decode(&*wire).is_err(), "number 8 is no bytes");
    let wire = hex::decode("1802c83e014a03616263").unwrap();
    assert_eq!(Pool::decode(&*wire).unwrap(), Pool { pid: Some(2), ..Pool::default() });
    let body = json!({ "pid": 2, "colour": { "of": ["no", "concern"] } });
    assert_eq!(Pool::from_json(&body).unwrap(), Pool { pid: Some(2), ..Pool::default() });
}

#[test]
fn a_pid_is_a_number_or_a_string_in_and_a_string_out() {
    for (given, pid) in [
        (json!(2), 2),
        (json!("2"), 2),
        (json!(2.0), 2),
        (json!(u64::MAX), u64::MAX),
        (json!("18446744073709551615"), u64::MAX),
    ] {
        let pool = Pool::from_json(&json!({ "pid": given })).unwrap();
        assert_eq!(pool.pid, Some(pid));
        assert_eq!(pool.to_json(), json!({ "pid": pid.to_string() }));
    }
    let wanted = "pid: a whole number from 0 to 18446744073709551615, bare or as a string, is wanted";
    for given in [json!(-1), json!("-1"), json!(1.5), json!("two"), json!("18446744073709551616"), json!([2])]
    {
        assert_eq!(Pool::from_json(&json!({ "pid": given })).unwrap_err().to_string(), wanted, "{given}");
    }
}

#[test]
fn numbers_of_32_bits_are_numbers_that_fit() {
    let read = |number| ProviderInfo::from_json(&json!({ "blobServerPort": number, "paraId": number }));
    assert_eq!(read(json!(2004)).unwrap().blob_server_port, Some(2004));
    for given in [json!(-1), json!("2004"), json!(4_294_967_296_u64), json!(0.5), json!(true)] {
        assert!(read(given.clone()).is_err(), "{given}");
    }
    let info = ProviderInfo::from_json(&json!({ "parentTarget": -1 })).unwrap();
    assert_eq!(info.parent_target, Some(-1));
    assert!(ProviderInfo::from_json(&json!({ "parentTarget": 2_147_483_648_u32 })).is_err());
}

#[test]
fn an_enum_is_a_name_out_and_a_number_in() {
    for (number, name) in [(0, json!("WR_CLIENT")), (3, json!("WR_LIFECYCLE_MANAGER")), (9, json!(9))] {
        let me = SystemInfo::from_json(&json!({ "role": number })).unwrap();
        assert_eq!(me.to_json(), json!({ "role": name }));
    }
    let error = SystemInfo::from_json(&json!({ "role": "WR_CLIENT" })).unwrap_err();
    assert_eq!(error.field, "role");
    let error = ResponseError::new(ErrorKind::NotFound, "no such pool");
    assert_eq!(error.to_json(), json!({ "type": "NOT_FOUND", "message": "no such pool" }));
    assert_eq!(error.to_string(), "NOT_FOUND: no such pool");
}

#[test]
fn bytes_are_base_64() {
    let blob = RawBlob { data: Some(Bytes::from_static(&[0xfb, 0xff])), ..RawBlob::default() };
    assert_eq!(blob.to_json(), json!({ "data": "+/8=" }));
    assert_eq!(RawBlob::from_json(&json!({ "data": "+/8=" })).unwrap(), blob);
    assert_eq!(RawBlob::from_json(&json!({ "data": "+/8" })).unwrap(), blob);
    assert_eq!(RawBlob::from_json(&json!({ "data": "%" })).unwrap_err().field, "data");
}

#[test]
fn nothing_is_absent_and_so_is_null() {
    assert_eq!(PoolList::decode(&[][..]).unwrap().to_json(), json!({}));
    assert_eq!(CreatePool::from_json(&json!({ "pools": null })).unwrap(), CreatePool::default());
    assert_eq!(
        CreatePool::from_json(&json!({ "pools": [{ "pid": null }] })).unwrap().pools,
        [Pool::default()]
    );
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (body, text) in [
        (json!([]), "body: an object is wanted"),
        (json!({ "pools": {} }), "pools: a list is wanted"),
        (json!({ "pools": [{}, 7] }), "pools[1]: an object is wanted"),
        (json!({ "pools": [{ "enabled": "yes" }] }), "pools[0].enabled: true or false is wanted"),
        (json!({ "pools": [{ "owner": { "mnemonic": 7 } }] }), "pools[0].owner.mnemonic: text is wanted"),
    ] {
        assert_eq!(CreatePool::from_json(&body).unwrap_err().to_string(), text);
    }
}

#[test]
fn names_are_in_camel_case() {
    let pool = Pool {
        owner: Some(FullAccount {
            polkadot_json: Some("00".into()),
            ss58_phala: Some("a".into()),
            ss58_polkadot: Some("b".into()),
            mnemonic: None,
        }),
        real_phala_ss58: Some("c".into()),
        sync_only: Some(true),
        ..Pool::default()
    };
    assert_eq!(
        pool.to_json(),
        json!({
            "owner": { "polkadotJson": "00", "ss58Phala": "a", "ss58Polkadot": "b" },
            "realPhalaSs58": "c",
            "syncOnly": true,
        })
    );
}

#[test]
fn secrets_are_not_shown_for_debugging() {
    let owner = FullAccount::secret("bottom drive obey".into());
    let create = CreatePool { pools: vec![Pool { owner: Some(owner), ..Pool::default() }] };
    let shown = format!("{create:?}");
    assert!(shown.contains("hidden") && !shown.contains("drive"), "{shown}");
    let auth = AuthRequest { auth_string: Some("open sesame".into()), kind: None };
    assert!(!format!("{auth:?}").contains("sesame"));
}

#[test]
fn messages_of_hostile_depth_and_size_are_refused_or_skipped() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(serde_json::from_str::<Value>(&deep).is_err());
    let body = format!(r#"{{"pid":2,"x":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    let pool = Pool::from_json(&serde_json::from_str(&body).unwrap()).unwrap();
    assert_eq!(pool.pid, Some(2));
    // A field of 4 GiB, of which three bytes are there.
    assert!(RequestWrapper::decode(&*hex::decode("1affffffff0f616263").unwrap()).is_err());
    // Groups in groups, of a number nobody knows.
    assert!(Pool::decode(&*vec![0x7b; 100_000]).is_err());
}

macro_rules! each_message {
    ($check:ident, $dice:expr) => {
        each_message!(@ $check, $dice,
            Empty Placeholder Ack Bn FullAccount Account ParentBlock ParaBlock Genesis Window RangeMeta Pool Worker
            ProviderInfo WantBlob BlobMeta GetBlob Blob GetBlobByKey RawBlob WorkerState QueryIdentity QueryWorkerState
            WorkerStateUpdate UuidQueryRequest CreatePool UpdatePoolItem UpdatePool CreateWorker UpdateWorkerItem
            UpdateWorker PoolList WorkerList SystemInfo RequestWrapper ResponseWrapper ResponseError BroadcastWrapper
            AuthRequest AuthResponse)
    };
    (@ $check:ident, $dice:expr, $($name:ident)*) => { $($check::<$name>($dice)?;)* };
}

fn survives_the_wire<M: Sample + Message + Default + PartialEq + std::fmt::Debug>(
    dice: &mut Dice,
) -> Result<(), TestCaseError> {
    let message = M::sample(dice);
    let wire = message.encode_to_vec();
    prop_assert_eq!(wire.len(), message.encoded_len());
    let read = M::decode(&*wire);
    prop_assert_eq!(read, Ok(message));
    Ok(())
}

fn survives_json<M: Sample + Message + Default + PartialEq + std::fmt::Debug + json::Item>(
    dice: &mut Dice,
) -> Result<(), TestCaseError> {
    let message = M::sample(dice);
    let json = message.write();
    let read = M::read(&json);
    prop_assert_eq!(read.as_ref(), Ok(&message));
    let by_wire = read.map(|read| M::decode(&*read.encode_to_vec()).map(|read| read.write()));
    prop_assert_eq!(by_wire, Ok(Ok(json)));
    Ok(())
}

proptest! {
    #[test]
    fn every_message_survives_the_wire(seed: u64) {
        each_message!(survives_the_wire, &mut Dice { state: seed, with_names: true });
    }

    #[test]
    fn every_message_survives_json(seed: u64) {
        each_message!(survives_json, &mut Dice { state: seed, with_names: false });
    }

    #[test]
    fn garbage_is_an_error_or_a_message_and_no_panic(wire in proptest::collection::vec(any::<u8>(), 0..200)) {
        for method in crate::method::Method::ALL {
            let _ = method.answer_to_json(&wire);
        }
        let _ = RequestWrapper::decode(&*wire);
        let _ = ResponseWrapper::decode(&*wire);
    }
}

/// Makes up messages.
pub(super) struct Dice {
    pub(super) state: u64,
    /// Whether numbers that JSON shows as names are made up; without, a message is the same after JSON.
    pub(super) with_names: bool,
}

impl Dice {
    /// The generator `splitmix64`.
    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end as u64) as usize
    }

    pub(super) fn number_of<E: Named>(&mut self) -> Option<i32> {
        let at = self.below(E::ALL.len() + 1);
        E::ALL.get(at).filter(|_| self.with_names).map(|&value| value.into())
    }
}

/// What can be made up.
pub(super) trait Sample: Sized {
    fn sample(dice: &mut Dice) -> Self;
}

impl<T: Sample> Sample for Option<T> {
    fn sample(dice: &mut Dice) -> Self {
        (dice.below(4) > 0).then(|| T::sample(dice))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(dice: &mut Dice) -> Self {
        (0..dice.below(4)).map(|_| T::sample(dice)).collect()
    }
}

impl Sample for bool {
    fn sample(dice: &mut Dice) -> Self {
        dice.below(2) == 0
    }
}

impl Sample for u64 {
    fn sample(dice: &mut Dice) -> Self {
        [0, 1, Self::MAX, dice.roll()][dice.below(4)]
    }
}

impl Sample for u32 {
    fn sample(dice: &mut Dice) -> Self {
        u64::sample(dice) as Self
    }
}

impl Sample for i32 {
    fn sample(dice: &mut Dice) -> Self {
        [0, -1, Self::MIN, Self::MAX, dice.roll() as Self][dice.below(5)]
    }
}

impl Sample for String {
    fn sample(dice: &mut Dice) -> Self {
        ["", "a", "\"\\\u{0}\n", "Grüße 👋", &"x".repeat(300)][dice.below(5)].to_owned()
    }
}

impl Sample for Bytes {
    fn sample(dice: &mut Dice) -> Self {
        (0..dice.below(40)).map(|_| dice.roll() as u8).collect()
    }
}

const HELLO: &str = "0a01681202516d18002206636c69656e742a06636c69656e74";
