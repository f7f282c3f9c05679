//! What is verified before anything is stored, in which order.
//!
//! Signatures, tries and the state copy are behind [`Verifier`]; the rules that tie them together are here, pure.
//! Each function turns an answer of a source into what may be appended, or into a [`Refusal`] that names the check.

use crate::{
    id::{BlockRef, Hash, Height},
    port::{
        Append, Blob, Cursor, Genesis, NodeChange, ParaHead, RelayAppend, RelayBatch, StoreError,
        store::ProvenHead,
    },
    storage_key,
    types::{
        grandpa::{AuthoritySet, ScheduledChange},
        header::Header,
        sync::{GenesisBlockInfo, StorageChanges},
    },
};
use bytes::Bytes;
use codec::{Decode, DecodeAll, Encode};

/// Cryptographic checks and the state copy. `prb-chain` implements it; tests use a scripted one.
///
/// Calls are synchronous and may take long (a justification of 1,000 voters, a block of storage changes): run
/// them off the async threads.
pub trait Verifier: Send {
    /// Checks that `justification` finalizes `target` under `set` (acceptance rules of pRuntime's light client).
    fn justification(
        &self,
        set: &AuthoritySet,
        target: BlockRef,
        justification: &[u8],
    ) -> Result<(), Refusal>;

    /// Checks that the genesis' authority list (and set id, where the proof shows it) is in the state of its header.
    fn authorities(&self, genesis: &GenesisBlockInfo) -> Result<(), Refusal>;

    /// Reads `key` from a state trie (either layout version) through a proof: the value, or none where the
    /// proof shows absence.
    fn read_proof(&self, root: Hash, proof: &[Bytes], key: &[u8]) -> Result<Option<Vec<u8>>, Refusal>;

    /// Whether storage changes are checked against state roots; without it the next two are never called.
    fn verifies_state(&self) -> bool;

    /// Starts the state copy from all pairs of block 0 (SCALE `StorageState`); the resulting root and nodes.
    fn load_state(&mut self, pairs: &[u8]) -> Result<(Hash, Vec<NodeChange>), Refusal>;

    /// Applies SCALE storage changes of consecutive blocks on top of `root`. Each block carries the root expected
    /// after it. Either all match, or the refusal names the first block that does not.
    fn apply_changes(&mut self, root: Hash, blocks: &[BlockChanges]) -> Result<Vec<NodeChange>, Refusal>;
}

/// Storage changes of one block with the state root they must lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockChanges {
    /// Its number.
    pub height: Height,
    /// State root in its header.
    pub root: Hash,
    /// SCALE [`StorageChanges`].
    pub changes: Bytes,
}

/// Why an answer of a source is not stored.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A check failed: the source is broken or lying.
    #[error("{check} at {height}: {cause}")]
    Failed {
        /// Which check, for example `header link`, `justification`, `para head proof`, `state root`.
        check: &'static str,
        /// The block concerned.
        height: Height,
        /// What did not hold.
        cause: String,
    },
    /// The check could not be made because our own data could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no state copy to check storage changes on.
    #[error(
        "storage changes up to block {at} were stored without verification, so there is no state copy to check \
         the next ones on; switch state verification off again, or begin with an empty store"
    )]
    NoStateCopy {
        /// Last block of storage changes in the store.
        at: Height,
    },
}

fn failed(check: &'static str, height: Height, cause: impl Into<String>) -> Refusal {
    Refusal::Failed { check, height, cause: cause.into() }
}

/// Checks a genesis and starts a store with it: the authority list against the start header's state root, the
/// parachain's pairs against block 0's state root. `trusted` is a pinned start block, if there is one.
pub fn genesis(
    genesis: Genesis,
    trusted: Option<BlockRef>,
    verifier: &mut dyn Verifier,
) -> Result<Append, Refusal> {
    let start = genesis.start();
    if let Some(trusted) = trusted.filter(|trusted| *trusted != start) {
        return Err(failed("start block", start.height, format!("got {start}, pinned is {trusted}")));
    }
    verifier.authorities(&genesis.relay)?;
    if genesis.para_header.number != 0 {
        return Err(failed("parachain genesis", genesis.para_header.height(), "header is not block 0"));
    }
    let (mut nodes, mut state) = (Vec::new(), None);
    if verifier.verifies_state() {
        let (root, loaded) = verifier.load_state(&genesis.para_state)?;
        if root != genesis.para_header.state_root {
            let cause = format!("pairs lead to {root}, header says {}", genesis.para_header.state_root);
            return Err(failed("parachain genesis state", Height(0), cause));
        }
        (nodes, state) = (loaded, Some((Height(0), root)));
    }
    let cursor = Cursor {
        relay: start,
        authorities: genesis.relay.authority_set.clone(),
        para: None,
        changes: Height(0),
        state,
    };
    Ok(Append { genesis: Some(genesis), nodes, cursor: Some(cursor), ..Append::default() })
}

/// A relay batch that passed its checks.
#[derive(Clone, Debug)]
pub struct Relay {
    /// Its last block.
    pub last: BlockRef,
    /// State root after that block.
    pub state_root: Hash,
    headers: Vec<Blob>,
    justification: Bytes,
    set_change: Option<Bytes>,
    next_set: Option<AuthoritySet>,
}

/// Checks a relay batch that continues `cursor`: header links, a set change only in the last header and without
/// delay, the justification under the tracked set, and the set-change proof if there is one.
pub fn relay(cursor: &Cursor, batch: RelayBatch, verifier: &dyn Verifier) -> Result<Relay, Refusal> {
    let (headers, last, last_header) = links(cursor.relay, batch.headers)?;
    for blob in &headers[..headers.len() - 1] {
        if decode_header(blob)?.scheduled_change().is_some() {
            return Err(failed("set change", blob.height, "announced before the end of the batch"));
        }
    }
    verifier.justification(&cursor.authorities, last, &batch.justification)?;
    let next_set = match last_header.scheduled_change() {
        None => None,
        Some(ScheduledChange { delay: 0, next_authorities }) => {
            Some(AuthoritySet { list: next_authorities, id: cursor.authorities.id + 1 })
        }
        Some(ScheduledChange { delay, .. }) => {
            return Err(failed(
                "set change",
                last.height,
                format!("announced with a delay of {delay} blocks; no worker can follow that"),
            ));
        }
    };
    let set_change = match (&next_set, batch.set_change) {
        (Some(next), Some(change)) => {
            if change.authority_set != *next {
                return Err(failed(
                    "set change proof",
                    last.height,
                    "proves another set than the header announces",
                ));
            }
            let encoded = Bytes::from(change.encode());
            verifier.authorities(&GenesisBlockInfo {
                block_header: last_header.clone(),
                authority_set: change.authority_set,
                proof: change.authority_proof,
            })?;
            Some(encoded)
        }
        _ => None,
    };
    Ok(Relay {
        last,
        state_root: last_header.state_root,
        headers,
        justification: batch.justification,
        set_change,
        next_set,
    })
}

/// A parachain head that passed its check.
#[derive(Clone, Debug)]
pub struct Head {
    /// The parachain block.
    pub block: BlockRef,
    proof: Vec<Vec<u8>>,
}

/// Checks that the relay state after `relay` holds `head` for this parachain, and that the parachain did not go back.
pub fn para_head(
    cursor: &Cursor,
    para_id: u32,
    relay: &Relay,
    head: &ParaHead,
    verifier: &dyn Verifier,
) -> Result<Head, Refusal> {
    const CHECK: &str = "para head proof";
    let proven = verifier.read_proof(relay.state_root, &head.proof, &storage_key::para_head(para_id));
    // A proof does not know its block: the refusal gets the name and the height of the check it failed.
    let proven = proven.map_err(|refusal| match refusal {
        Refusal::Failed { cause, .. } => failed(CHECK, relay.last.height, cause),
        other => other,
    })?;
    if proven.as_deref() != Some(head.header.as_ref().encode().as_slice()) {
        return Err(failed(CHECK, relay.last.height, "the proof does not hold the header that came with it"));
    }
    let header = Header::decode_all(&mut head.header.as_ref())
        .map_err(|error| failed(CHECK, relay.last.height, format!("the head is not a header: {error}")))?;
    let block = BlockRef { height: header.height(), hash: Hash::of(&head.header) };
    if cursor.para.is_some_and(|known| block.height < known.height) {
        return Err(failed(CHECK, relay.last.height, format!("the head went back to {block}")));
    }
    Ok(Head { block, proof: head.proof.iter().map(|node| node.to_vec()).collect() })
}

/// The parachain headers still missing below `head`, as the source must deliver them.
pub fn missing_para_headers(cursor: &Cursor, head: &Head) -> Option<crate::span::Span> {
    crate::span::Span::new(cursor.para.map_or(Height(0), |known| known.height.next()), head.block.height)
}

/// Checks that `headers` lead from the last known parachain header (block 0: the genesis header) to the proven
/// head, and joins everything into one append.
pub fn relay_append(
    cursor: &Cursor,
    genesis: &Genesis,
    relay: Relay,
    head: Option<Head>,
    headers: Vec<Bytes>,
) -> Result<Append, Refusal> {
    let mut next = cursor.clone();
    let mut para_headers = Vec::new();
    if let Some(head) = &head {
        (para_headers, next.para) = para_headers_to(cursor, genesis, head, headers)?;
    }
    next.relay = relay.last;
    let closes_set = relay.next_set.is_some();
    if let Some(set) = relay.next_set {
        next.authorities = set;
    }
    let relay = RelayAppend {
        headers: relay.headers,
        justification: relay.justification,
        para_head: head.map(|head| ProvenHead { number: head.block.height, proof: head.proof }),
        set_change: relay.set_change,
        closes_set,
    };
    Ok(Append { relay: Some(relay), para_headers, cursor: Some(next), ..Append::default() })
}

fn para_headers_to(
    cursor: &Cursor,
    genesis: &Genesis,
    head: &Head,
    mut headers: Vec<Bytes>,
) -> Result<(Vec<Blob>, Option<BlockRef>), Refusal> {
    const CHECK: &str = "parachain header link";
    let mut blobs = Vec::with_capacity(headers.len());
    let known = match cursor.para {
        Some(known) => known,
        None => {
            let first = genesis.para_header.block_ref();
            if headers.is_empty() || Hash::of(&headers[0]) != first.hash {
                return Err(failed(CHECK, Height(0), "block 0 is not the genesis header"));
            }
            blobs.push(Blob { height: Height(0), bytes: headers.remove(0) });
            first
        }
    };
    let last = if headers.is_empty() {
        known
    } else {
        let (linked, last, _) = links(known, headers).map_err(|refusal| match refusal {
            Refusal::Failed { height, cause, .. } => failed(CHECK, height, cause),
            other => other,
        })?;
        blobs.extend(linked);
        last
    };
    if last != head.block {
        return Err(failed(CHECK, last.height, format!("headers lead to {last}, proven is {}", head.block)));
    }
    Ok((blobs, Some(last)))
}

/// Checks storage changes that continue `cursor` against the state roots of their (stored, verified) headers. With
/// state verification off they are only decoded.
pub fn changes(
    cursor: &Cursor,
    blocks: Vec<BlockChanges>,
    verifier: &mut dyn Verifier,
) -> Result<Append, Refusal> {
    const CHECK: &str = "storage changes";
    let mut next = cursor.clone();
    for block in &blocks {
        if block.height != next.changes.next() {
            return Err(failed(CHECK, block.height, format!("expected block {}", next.changes.next())));
        }
        StorageChanges::decode_all(&mut block.changes.as_ref())
            .map_err(|error| failed(CHECK, block.height, format!("not storage changes: {error}")))?;
        next.changes = block.height;
    }
    let mut nodes = Vec::new();
    if verifier.verifies_state() {
        let Some((_, root)) = cursor.state.filter(|(height, _)| *height == cursor.changes) else {
            return Err(Refusal::NoStateCopy { at: cursor.changes });
        };
        nodes = verifier.apply_changes(root, &blocks)?;
        next.state = blocks.last().map(|block| (block.height, block.root)).or(cursor.state);
    } else {
        next.state = None;
    }
    let changes =
        blocks.into_iter().map(|block| Blob { height: block.height, bytes: block.changes }).collect();
    Ok(Append { changes, nodes, cursor: Some(next), ..Append::default() })
}

/// Checks that `headers` are consecutive children of `after`; the last of them by reference and decoded.
fn links(after: BlockRef, headers: Vec<Bytes>) -> Result<(Vec<Blob>, BlockRef, Header), Refusal> {
    const CHECK: &str = "header link";
    let mut last = after;
    let mut last_header = None;
    let mut blobs = Vec::with_capacity(headers.len());
    for bytes in headers {
        let expected = last.height.next();
        let header = Header::decode_all(&mut bytes.as_ref())
            .map_err(|error| failed(CHECK, expected, format!("not a header: {error}")))?;
        if header.height() != expected {
            return Err(failed(CHECK, expected, format!("got number {}", header.number)));
        }
        if header.parent_hash != last.hash {
            let cause = format!("parent is {}, block {} is {}", header.parent_hash, last.height, last.hash);
            return Err(failed(CHECK, expected, cause));
        }
        last = BlockRef { height: expected, hash: Hash::of(&bytes) };
        last_header = Some(header);
        blobs.push(Blob { height: expected, bytes });
    }
    let header = last_header.ok_or_else(|| failed(CHECK, after.height.next(), "no headers"))?;
    Ok((blobs, last, header))
}

fn decode_header(blob: &Blob) -> Result<Header, Refusal> {
    Header::decode(&mut blob.bytes.as_ref())
        .map_err(|error| failed("header link", blob.height, format!("not a header: {error}")))
}

#[cfg(test)]
mod tests;
