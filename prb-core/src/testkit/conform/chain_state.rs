//! The suite of [`ChainState`].

use crate::{
    id::Height,
    port::{ChainState, StateError},
    storage_key::StorageKey,
    types::sync::StorageState,
};
use async_trait::async_trait;
use codec::Decode;
use std::collections::BTreeMap;

/// A state under test with the chain below it.
#[async_trait]
pub trait StateBench: Send + Sync {
    /// The state.
    fn state(&self) -> &dyn ChainState;

    /// All pairs of the main trie at a finalized block that the state should answer for, straight from the chain;
    /// at least ten, with a common prefix among some.
    fn truth(&self, at: Height) -> BTreeMap<StorageKey, Vec<u8>>;

    /// The newest finalized block that the state should know.
    fn newest(&self) -> Height;

    /// A finalized block whose state is not kept, if this state drops some.
    fn forgotten(&self) -> Option<Height>;

    /// Finalizes at least one more block, which changes something.
    async fn advance(&mut self);
}

/// Checks the contract of [`ChainState`].
///
/// # Panics
///
/// With the broken clause.
pub async fn chain_state(bench: &mut impl StateBench) {
    values_come_in_the_order_of_their_keys(bench).await;
    pages_of_keys_add_up(bench).await;
    pairs_are_the_whole_trie(bench).await;
    forgotten_states_say_so(bench).await;
    the_newest_block_never_goes_back(bench).await;
}

async fn values_come_in_the_order_of_their_keys(bench: &impl StateBench) {
    let state = bench.state();
    let newest = bench.newest();
    let truth = bench.truth(newest);
    let mut keys: Vec<StorageKey> = truth.keys().rev().cloned().collect();
    keys.insert(1, b"no such key".to_vec());
    keys.push(keys[0].clone());
    for at in [None, Some(newest)] {
        let (block, values) = state.read(&keys, at).await.expect("a known block is read");
        assert_eq!(block.height, newest, "the newest finalized block is read, and named");
        assert_eq!(values.len(), keys.len(), "there is one value per key");
        for (key, value) in keys.iter().zip(values) {
            assert_eq!(value.as_deref(), truth.get(key).map(Vec::as_slice), "value of {}", hex::encode(key));
        }
    }
    let (_, none) = state.read(&[], None).await.expect("no keys are read");
    assert!(none.is_empty(), "no keys give no values");
}

async fn pages_of_keys_add_up(bench: &impl StateBench) {
    let newest = bench.newest();
    let truth = bench.truth(newest);
    let middle = truth.keys().nth(truth.len() / 2).expect("there are ten pairs").clone();
    for prefix in [&[][..], &middle[..middle.len().min(16)], &middle[..], b"no such prefix"] {
        let expected: Vec<StorageKey> = truth.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        for limit in [1, 3, 1000] {
            let mut found: Vec<StorageKey> = Vec::new();
            loop {
                let after = found.last().map(Vec::as_slice);
                let page = bench.state().keys(prefix, after, limit, Some(newest)).await;
                let page = page.expect("keys are listed");
                assert!(page.len() <= limit, "at most {limit} keys are answered");
                if page.is_empty() {
                    break;
                }
                found.extend(page);
                assert!(found.len() <= expected.len(), "no key comes twice");
                // Large tries in single steps take too long and show nothing more.
                if limit == 1 && found.len() >= 20 {
                    break;
                }
            }
            assert_eq!(found[..], expected[..found.len()], "keys come in byte order, after the given one");
            assert!(found.len() == expected.len() || found.len() == 20, "no key is left out");
        }
    }
}

async fn pairs_are_the_whole_trie(bench: &impl StateBench) {
    let newest = bench.newest();
    let bytes = bench.state().pairs(newest).await.expect("pairs of the newest block are answered");
    let pairs = StorageState::decode(&mut &bytes[..]).expect("pairs are a SCALE storage state");
    assert_eq!(
        pairs.into_iter().collect::<BTreeMap<_, _>>(),
        bench.truth(newest),
        "pairs are the whole trie"
    );
}

async fn forgotten_states_say_so(bench: &impl StateBench) {
    let Some(at) = bench.forgotten() else { return };
    let answer = bench.state().read(&[b"any".to_vec()], Some(at)).await;
    assert!(
        matches!(answer, Err(StateError::NotKept { at: named }) if named == at),
        "a state that is not kept says so: {answer:?}"
    );
}

async fn the_newest_block_never_goes_back(bench: &mut impl StateBench) {
    let mut before = bench.newest();
    for _ in 0..3 {
        bench.advance().await;
        let (block, _) = bench.state().read(&[], None).await.expect("the newest block is read");
        assert!(block.height >= before, "the newest block never goes back");
        assert!(block.height >= bench.newest(), "a block is answered for once it is final");
        before = block.height;
    }
    values_come_in_the_order_of_their_keys(bench).await;
}
