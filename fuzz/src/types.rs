//! Decoding of everything that is SCALE or text: no panic, and what decodes encodes to one stable form.

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use codec::{Decode, DecodeAll, Encode};
use prb_core::{
    attestation,
    id::{AccountId, Hash, WorkerKey},
    port::{sink::JobState, source::Genesis},
    tx::Call,
    types::{
        attestation::{
            AttestationReport, WorkerEndpointPayload, WorkerRegistrationInfo, WorkerRegistrationInfoV2,
        },
        facts::{AccountInfo, Session, WorkerEntry},
        grandpa::{AuthoritySet, AuthoritySetChange, FinalityProof, Justification, ScheduledChange},
        header::{DigestItem, Header},
        message::{EgressMessages, Message, MessageOrigin, SignedMessage},
        sync::{BlockHeaderWithChanges, GenesisBlockInfo, HeaderToSync, StorageChanges, StorageState},
    },
};
use prb_worker::Endpoint;

/// Headers and digest items; the hash is that of the bytes, the announced change is stable.
pub fn headers(data: &[u8]) {
    if let Some(header) = stable::<Header>(data) {
        assert_eq!(header.hash(), Hash::of(&header.encode()));
        if let Some(change) = header.scheduled_change() {
            assert_eq!(ScheduledChange::from_log(&change.to_log()), Some(change));
        }
    }
    stable::<Vec<Header>>(data);
    stable::<DigestItem>(data);
    if let Some(change) = ScheduledChange::from_log(data) {
        let log = change.to_log();
        assert!(data.starts_with(&log), "a log is its own encoding, what follows is ignored");
    }
}

/// Justifications, authority sets and finality proofs.
pub fn grandpa(data: &[u8]) {
    stable::<Justification>(data);
    stable::<AuthoritySet>(data);
    stable::<AuthoritySetChange>(data);
    if let Some(proof) = stable::<FinalityProof>(data) {
        stable::<Justification>(&proof.justification);
    }
}

/// What is sent to a worker.
pub fn sync(data: &[u8]) {
    stable::<GenesisBlockInfo>(data);
    stable::<Vec<HeaderToSync>>(data);
    stable::<StorageState>(data);
    stable::<StorageChanges>(data);
    stable::<Vec<BlockHeaderWithChanges>>(data);
}

/// Registration, evidence and endpoints; what a report lacks never makes anybody panic, whatever the worker answers.
pub fn attestation(data: &[u8]) {
    let quote = AttestationReport::SgxDcap { quote: data.to_vec(), collateral: None };
    for report in [data, &Some(quote).encode()] {
        let _ = attestation::lacks(report);
    }
    stable::<WorkerRegistrationInfo>(data);
    stable::<WorkerRegistrationInfoV2>(data);
    stable::<Option<AttestationReport>>(data);
    stable::<WorkerEndpointPayload>(data);
}

/// Messages and who sends them.
pub fn messages(data: &[u8]) {
    stable::<MessageOrigin>(data);
    stable::<Message>(data);
    stable::<SignedMessage>(data);
    stable::<EgressMessages>(data);
}

/// What the parachain's storage says.
pub fn facts(data: &[u8]) {
    stable::<WorkerEntry>(data);
    stable::<Session>(data);
    stable::<AccountInfo>(data);
}

/// What is kept of transactions and of the chains between runs.
pub fn calls(data: &[u8]) {
    stable::<Vec<Call>>(data);
    stable::<JobState>(data);
    stable::<Genesis>(data);
}

/// Names that people write: what is read is written such that it reads the same.
pub fn texts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    reads_as_written::<Hash>(text);
    reads_as_written::<AccountId>(text);
    reads_as_written::<WorkerKey>(text);
    reads_as_written::<Endpoint>(text);
}

/// The value of `data`, if it has one, after checking that encoding and decoding agree on it.
fn stable<T: Decode + Encode + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let mut rest = data;
    let value = T::decode(&mut rest).ok()?;
    let encoded = value.encode();
    assert_eq!(encoded, data[..data.len() - rest.len()], "what was read is the one encoding of it");
    assert_eq!(value.encoded_size(), encoded.len(), "the size is told right");
    let again = T::decode_all(&mut &encoded[..]).expect("what we encode decodes");
    assert_eq!(again, value);
    Some(value)
}

fn reads_as_written<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().ok(), Some(value));
    }
}
