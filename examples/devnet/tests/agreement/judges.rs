//! The two judges: what the bridge stores, and what a worker believes.

use bytes::Bytes;
use codec::{Decode, Encode};
use prb_chain::verify::CryptoVerifier;
use prb_chain::verify::justification::{JustificationError as BridgeError, check};
use prb_core::accept::{self, Refusal, Verifier};
use prb_core::id::{BlockRef, Hash, Height};
use prb_core::port::{Cursor, Genesis, RelayBatch};
use prb_core::types::grandpa::AuthoritySet;
use prb_core::types::header::Header as BridgeHeader;
use prb_core::types::sync::GenesisBlockInfo;
use prb_devnet::worker::Version;
use prb_devnet::worker::light::justification::JustificationError as WorkerError;
use prb_devnet::worker::light::{LightClient, LightError};
use prb_devnet::worker::scale::{Header, HeaderToSync};

/// Why a justified header is refused, as far as both sides say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    Undecodable,
    WrongTarget,
    Weightless,
    Commit,
    Signature,
    Ancestry,
    UnusedHeaders,
    DelayedChange,
    /// The worker panicked inside `finality-grandpa`.
    Crash,
}

impl Refused {
    /// Whether both sides mean the same. The worker checks signature and ancestry vote by vote, the bridge all
    /// signatures first: where both are wrong, either may be named.
    pub fn fits(self, other: Self) -> bool {
        let either = |refused| matches!(refused, Self::Signature | Self::Ancestry);
        self == other || (either(self) && either(other))
    }
}

/// The set in charge after the header, or why it is refused.
pub type Verdict = Result<AuthoritySet, Refused>;

/// Hash and number of a header, as the bridge names blocks.
pub fn block_ref(header: &Header) -> BlockRef {
    BlockRef { height: Height(header.number), hash: Hash(header.hash().0) }
}

/// The bridge: rules of `prb-core` with the cryptography of `prb-chain`. `batch` follows `after`.
pub fn bridge(after: BlockRef, set: &AuthoritySet, batch: &[Header], justification: &[u8]) -> Verdict {
    let verifier = CryptoVerifier::without_state();
    let cursor =
        Cursor { relay: after, authorities: set.clone(), para: None, changes: Height(0), state: None };
    let target = block_ref(batch.last().unwrap());
    let typed = check(set, target, justification);
    let plain = verifier.justification(set, target, justification);
    assert_eq!(plain.is_ok(), typed.is_ok(), "the verifier says something else than its parts");
    let headers = batch.iter().map(|header| Bytes::from(header.encode())).collect();
    let justification = Bytes::copy_from_slice(justification);
    let relay =
        match accept::relay(&cursor, RelayBatch { headers, justification, set_change: None }, &verifier) {
            Ok(relay) => relay,
            Err(Refusal::Failed { check: "set change", .. }) => return Err(Refused::DelayedChange),
            Err(Refusal::Failed { check: "justification", cause, .. }) => {
                let error = typed.unwrap_err();
                assert_eq!(cause, error.to_string());
                return Err(category(&error));
            }
            Err(other) => panic!("{other}"),
        };
    let genesis = Genesis {
        relay_chain: Hash::default(),
        relay: GenesisBlockInfo {
            block_header: BridgeHeader::numbered(Height(0)),
            authority_set: set.clone(),
            proof: Vec::new(),
        },
        para_header: BridgeHeader::numbered(Height(0)),
        para_state: prb_core::Bytes::new(),
        para_id: 0,
        parachain: true,
    };
    let append = accept::relay_append(&cursor, &genesis, relay, None, Vec::new()).unwrap();
    let next = append.cursor.unwrap();
    assert_eq!(next.relay, target);
    Ok(next.authorities)
}

fn category(error: &BridgeError) -> Refused {
    match error {
        BridgeError::Undecodable(_) | BridgeError::TooLarge { .. } => Refused::Undecodable,
        BridgeError::WrongTarget { .. } => Refused::WrongTarget,
        BridgeError::BadSet { .. } => Refused::Weightless,
        BridgeError::NoVotes { .. }
        | BridgeError::NotDescendant { .. }
        | BridgeError::WrongNumber { .. }
        | BridgeError::BelowThreshold { .. }
        | BridgeError::Ambiguous { .. }
        | BridgeError::NotHighest { .. } => Refused::Commit,
        BridgeError::BadSignature { .. } => Refused::Signature,
        BridgeError::BrokenAncestry { .. } => Refused::Ancestry,
        BridgeError::UnusedAncestry { .. } => Refused::UnusedHeaders,
    }
}

/// A light client that stands at `after` under `set`, made from its stored form.
pub fn client(after: BlockRef, set: &AuthoritySet) -> LightClient {
    LightClient::decode(&mut &(after.hash.0, &set.list, set.id).encode()[..]).unwrap()
}

/// The worker's light client: the same question.
pub fn worker(after: BlockRef, set: &AuthoritySet, batch: &[Header], justification: &[u8]) -> Verdict {
    let mut client = client(after, set);
    let before = client.clone();
    let verdict = feed(&mut client, batch, justification);
    assert_eq!(
        client == before,
        verdict.is_err(),
        "a refused batch must leave no trace, an accepted one must"
    );
    verdict
}

/// Feeds the light client a batch.
pub fn feed(client: &mut LightClient, batch: &[Header], justification: &[u8]) -> Verdict {
    let items: Vec<HeaderToSync> =
        batch.iter().map(|header| HeaderToSync { header: header.clone(), justification: None }).collect();
    let accept =
        std::panic::AssertUnwindSafe(|| client.accept(Version::CURRENT, &items, justification, None));
    match std::panic::catch_unwind(accept) {
        Ok(Ok(())) => {
            let set = client.authority_set();
            Ok(AuthoritySet { list: set.list.clone(), id: set.id })
        }
        Ok(Err(error)) => Err(match error {
            LightError::DecodeJustification => Refused::Undecodable,
            LightError::BadJustification(WorkerError::Target) => Refused::WrongTarget,
            LightError::BadJustification(WorkerError::Commit) => Refused::Commit,
            LightError::BadJustification(WorkerError::Signature) => Refused::Signature,
            LightError::BadJustification(WorkerError::Ancestry) => Refused::Ancestry,
            LightError::BadJustification(WorkerError::UnusedHeaders) => Refused::UnusedHeaders,
            LightError::DelayedChange => Refused::DelayedChange,
            LightError::Panic => Refused::Weightless,
            other => panic!("not an answer to a linked batch: {other}"),
        }),
        Err(_) => Err(Refused::Crash),
    }
}
