//! The suite of [`BlockSource`].

use crate::{
    id::{BlockRef, Hash, Height},
    port::{Answer, BlockSource, ChainIdentity, Genesis, ParaHead, RelayBatch, SourceError, Tips},
    span::Span,
    types::{
        grandpa::Justification,
        header::Header,
        sync::{StorageChanges, StorageState},
    },
};
use bytes::Bytes;
use codec::{Decode, DecodeAll, Encode};
use futures::future::{FutureExt, poll_immediate};
use std::{fmt::Debug, future::Future, time::Duration};

/// Most batches that are walked.
const MAX_BATCHES: usize = 20;
/// Longest a single answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Checks the written contract of [`BlockSource`] against `source`.
///
/// The chain behind it should have at least ten finalized relay blocks after the start block, four finalized
/// parachain blocks, and better still a change of authorities; it may go on growing meanwhile. Signatures and proofs
/// are the verifier's business and are not checked here.
///
/// # Panics
///
/// Names the broken clause.
pub async fn block_source(source: &dyn BlockSource) {
    let endpoint = source.endpoint();
    assert!(
        !endpoint.is_empty() && !endpoint.contains('@'),
        "endpoint {endpoint:?} must be a name without secrets"
    );

    let genesis = given("genesis", source.genesis()).await;
    check_genesis(&genesis);
    assert_eq!(given("genesis", source.genesis()).await, genesis, "genesis must not change");

    let tips = answer("tips", source.tips()).await;
    assert!(tips.relay > genesis.start().height, "the relay tip must be above the start block");
    for peer in source.peers() {
        let name = &peer.name;
        assert!(!name.is_empty() && !name.contains('@'), "{name:?} must be a name without secrets");
    }

    let heads = walk_relay(source, &genesis, tips).await;
    nothing_above_the_tip(source, tips).await;
    if genesis.parachain {
        let foreign = source.para_head(genesis.start(), u32::MAX).await;
        assert!(
            matches!(&foreign, Ok(answer) if answer.value.is_none()),
            "a parachain that does not exist has no head, got {foreign:?}"
        );
    }
    let head = heads.into_iter().max_by_key(|head| head.height);
    let head = if genesis.parachain { head } else { own_tip(source, tips).await };
    let head = head.expect("some justified relay block must hold a parachain head");
    para_blocks(source, &genesis, head).await;
    hints(source, tips).await;
    dropped_futures(source, &genesis).await;
    only_the_expected_chain(source, &genesis).await;
}

/// What comes with an answer must be whoever gave it.
async fn given<T>(what: &str, call: impl Future<Output = Result<Answer<T>, SourceError>>) -> T {
    let Answer { value, by } = answer(what, call).await;
    assert!(by.names().next().is_some(), "{what} must say who answered");
    for name in by.names() {
        assert!(!name.is_empty() && !name.contains('@'), "{name:?} must be a name without secrets");
    }
    value
}

async fn answer<T, E: std::error::Error>(what: &str, call: impl Future<Output = Result<T, E>>) -> T {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => panic!("{what} must be answered: {error}"),
        Err(_) => panic!("{what} must be answered within {PATIENCE:?}"),
    }
}

fn decoded<T: DecodeAll>(what: &str, bytes: &[u8]) -> T {
    T::decode_all(&mut &*bytes).unwrap_or_else(|error| panic!("{what} must decode to the last byte: {error}"))
}

fn check_genesis(genesis: &Genesis) {
    assert_eq!(genesis.para_header.number, 0, "the parachain starts at block 0");
    assert!(!genesis.relay.authority_set.list.is_empty(), "the start block has an authority set");
    assert!(!genesis.relay.proof.is_empty(), "the authority set comes with a proof");
    let pairs: StorageState = decoded("the genesis state", &genesis.para_state);
    assert!(!pairs.is_empty(), "the genesis state is not empty");
    if !genesis.parachain {
        assert_eq!(
            genesis.relay.block_header, genesis.para_header,
            "a chain of its own starts at its block 0"
        );
    }
}

/// Follows batches to the tip; the parachain heads on the way.
async fn walk_relay(source: &dyn BlockSource, genesis: &Genesis, tips: Tips) -> Vec<BlockRef> {
    let (mut last, mut heads) = (genesis.start(), Vec::new());
    for _ in 0..MAX_BATCHES {
        let from = last.height.next();
        if from > tips.relay {
            break;
        }
        let Some(batch) = given("relay_batch", source.relay_batch(from)).await else { break };
        let parent = last;
        last = check_batch(parent, &batch);
        if batch.headers.len() > 2 {
            inside_a_batch(source, parent, &batch).await;
        }
        if !genesis.parachain {
            continue;
        }
        if let Some(head) = given("para_head", source.para_head(last, genesis.para_id)).await {
            heads.push(check_head(&head));
        }
    }
    assert!(last.height > genesis.start().height, "blocks after the start block must be served");
    heads
}

/// The last block of a batch that must follow `parent`.
fn check_batch(parent: BlockRef, batch: &RelayBatch) -> BlockRef {
    assert!(!batch.headers.is_empty(), "a batch has at least one header");
    let last = check_links(parent, &batch.headers);
    let headers: Vec<Header> = batch.headers.iter().map(|bytes| decoded("a relay header", bytes)).collect();
    let (end, before) = headers.split_last().expect("not empty, checked above");
    for header in before {
        let change = header.scheduled_change();
        assert!(
            change.is_none(),
            "batch from {} reaches past the set change at {}",
            headers[0].number,
            header.number
        );
    }
    let justification = Justification::decode(&mut batch.justification.as_ref());
    let commit =
        justification.unwrap_or_else(|error| panic!("the justification must decode: {error}")).commit;
    let target = BlockRef { height: Height(commit.target_number), hash: commit.target_hash };
    assert_eq!(target, last, "the justification must be for the last header of the batch");
    match (&batch.set_change, end.scheduled_change()) {
        (Some(given), Some(announced)) => {
            let list = &given.authority_set.list;
            assert_eq!(*list, announced.next_authorities, "the set change must carry the announced set");
        }
        (Some(_), None) => panic!("a set change without announcement at {last}"),
        (None, _) => {}
    }
    last
}

fn check_links(parent: BlockRef, headers: &[Bytes]) -> BlockRef {
    headers.iter().fold(parent, |parent, bytes| {
        let header: Header = decoded("a header", bytes);
        assert_eq!(header.height(), parent.height.next(), "headers must ascend without holes");
        assert_eq!(header.parent_hash, parent.hash, "header {} must link to the one before", header.number);
        BlockRef { height: header.height(), hash: Hash::of(bytes) }
    })
}

fn check_head(head: &ParaHead) -> BlockRef {
    assert!(!head.proof.is_empty(), "a parachain head comes with its proof");
    decoded::<Header>("the parachain head", &head.header).block_ref()
}

async fn inside_a_batch(source: &dyn BlockSource, parent: BlockRef, batch: &RelayBatch) {
    let middle = batch.headers.len() / 2;
    let before = check_links(parent, &batch.headers[..middle]);
    let inner = given("relay_batch", source.relay_batch(before.height.next())).await;
    let inner = inner.expect("a block inside a served batch is justified too");
    check_batch(before, &inner);
    assert_eq!(inner.headers[0], batch.headers[middle], "a batch starts exactly where it was asked to");
}

async fn nothing_above_the_tip(source: &dyn BlockSource, tips: Tips) {
    let above = source.relay_batch(tips.relay + 1_000_000).await;
    assert!(
        matches!(&above, Ok(answer) if answer.value.is_none()),
        "nothing is final far above the tip, got {above:?}"
    );
    let span = Span::new(Height(0), tips.para + 1_000_000).expect("ascends");
    let far = Span::new(span.last(), span.last()).expect("one block");
    refused("parachain headers far above the tip", source.para_headers(far).await);
    let nowhere = BlockRef { height: far.first(), hash: Hash([0xee; 32]) };
    refused("changes of a block that does not exist", source.changes(nowhere, nowhere).await);
}

fn refused<T: Debug, E>(what: &str, outcome: Result<T, E>) {
    if let Ok(answer) = outcome {
        panic!("{what} must be an error, got {answer:?}");
    }
}

async fn own_tip(source: &dyn BlockSource, tips: Tips) -> Option<BlockRef> {
    let header = given("para_headers", source.para_headers(Span::one(tips.para))).await;
    Some(decoded::<Header>("a header", header.first()?).block_ref())
}

async fn para_blocks(source: &dyn BlockSource, genesis: &Genesis, head: BlockRef) {
    let span = Span::new(Height(0), head.height).expect("ascends");
    let headers = given("para_headers", source.para_headers(span)).await;
    assert_eq!(headers.len() as u64, span.count(), "parachain headers must be complete");
    let first = genesis.para_header.block_ref();
    assert_eq!(Hash::of(&headers[0]), first.hash, "block 0 must be the genesis header");
    assert_eq!(check_links(first, &headers[1..]), head, "headers must lead to the proven head");
    let tail = given("para_headers", source.para_headers(Span::one(head.height))).await;
    assert_eq!(tail, headers[headers.len() - 1..], "a part of a range is the same as the whole");

    let at = |index: usize| BlockRef { height: Height(index as u32), hash: Hash::of(&headers[index]) };
    let last = headers.len() - 1;
    assert!(last >= 1, "the parachain must have a block to serve changes of");
    let all = given("changes", source.changes(at(1), at(last))).await;
    assert_eq!(all.len(), last, "changes must be complete");
    for (index, bytes) in all.iter().enumerate() {
        let changes: StorageChanges = decoded("storage changes", bytes);
        assert_eq!(
            changes.encode(),
            bytes.as_ref(),
            "changes of block {} are not canonical SCALE",
            index + 1
        );
    }
    let middle = last.div_ceil(2);
    let one = given("changes", source.changes(at(middle), at(middle))).await;
    assert_eq!(one, all[middle - 1..middle], "changes of one block are the same as in a range");
}

async fn hints(source: &dyn BlockSource, tips: Tips) {
    answer("wait_for_tip", source.wait_for_tip(Tips::default())).await;
    let after = answer("tips", source.tips()).await;
    assert!(after.relay >= tips.relay && after.para >= tips.para, "finalized heads never go back");
}

async fn only_the_expected_chain(source: &dyn BlockSource, genesis: &Genesis) {
    let own = genesis.identity();
    let first = genesis.start().height.next();
    source.expect(&own);
    given("relay_batch", source.relay_batch(first)).await;
    source.expect(&ChainIdentity { relay_chain: Hash([0xee; 32]), para_genesis: Hash([0xee; 32]), ..own });
    let foreign = source.relay_batch(first).await;
    assert!(
        matches!(foreign, Err(SourceError::Foreign { .. })),
        "nothing is answered from another chain than the expected one, got {foreign:?}"
    );
    let foreign = source.para_headers(Span::one(Height(0))).await;
    assert!(
        matches!(foreign, Err(SourceError::Foreign { .. })),
        "nothing is answered from another parachain than the expected one, got {foreign:?}"
    );
    source.expect(&own);
    given("relay_batch", source.relay_batch(first)).await;
}

async fn dropped_futures(source: &dyn BlockSource, genesis: &Genesis) {
    let from = genesis.start().height.next();
    let expected = given("relay_batch", source.relay_batch(from)).await.expect("served before");
    for polls in 1..6 {
        // Fused: one may end before it is dropped.
        let mut call = source.relay_batch(from).fuse();
        let mut wait = source.wait_for_tip(Tips { relay: Height(u32::MAX), para: Height(u32::MAX) }).fuse();
        for _ in 0..polls {
            poll_immediate(&mut call).await;
            poll_immediate(&mut wait).await;
            tokio::task::yield_now().await;
        }
    }
    let again = given("relay_batch", source.relay_batch(from)).await.expect("served before");
    assert_eq!(again.headers[0], expected.headers[0], "a dropped future must leave the source usable");
}
