//! The chain state a worker keeps: a version-0 trie and its child tries, brought forward by the
//! storage changes of one block at a time.
//!
//! Nodes live in a [`NodeStore`], which many workers may share: equal states then cost their memory
//! once. Every worker still computes every root itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use sp_core::{H256, Hasher};
use sp_runtime::traits::BlakeTwo256;
use sp_trie::{
    DBValue, LayoutV0, Trie, TrieDBBuilder, TrieDBMutBuilder, TrieDBNodeDoubleEndedIterator, TrieMut,
};

use super::keys::CHILD_STORAGE_DEFAULT;
use super::scale::{StorageChanges, StorageCollection, StorageState};

type Layout = LayoutV0<BlakeTwo256>;

/// Encoding of the node of an empty trie.
const EMPTY_NODE: &[u8] = &[0];

/// Trie nodes by hash, counted: a node goes when the last state that contains it lets go.
#[derive(Clone, Default)]
pub struct NodeStore(Arc<RwLock<Nodes>>);

#[derive(Default)]
struct Nodes {
    by_hash: HashMap<H256, (DBValue, u64)>,
    bytes: usize,
}

impl NodeStore {
    /// Bytes of all distinct nodes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Number of distinct nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).by_hash.len()
    }

    /// Whether no state has nodes here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn get(&self, hash: &H256) -> Option<DBValue> {
        let nodes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        nodes.by_hash.get(hash).map(|(node, _)| node.clone())
    }

    fn apply(&self, changes: HashMap<H256, Change>) {
        let mut nodes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let nodes = &mut *nodes;
        for (hash, change) in changes {
            if change.count == 0 {
                continue;
            }
            let entry = nodes.by_hash.entry(hash).or_insert_with(|| {
                nodes.bytes += change.node.len();
                (change.node, 0)
            });
            entry.1 = entry.1.saturating_add_signed(change.count);
            if entry.1 == 0 {
                nodes.bytes -= entry.0.len();
                nodes.by_hash.remove(&hash);
            }
        }
    }
}

/// How often a node was inserted (positive) or removed (negative).
#[derive(Default)]
struct Change {
    node: DBValue,
    count: i64,
}

/// Changes to a store that are not in it yet.
struct Overlay {
    store: NodeStore,
    changes: HashMap<H256, Change>,
}

impl Overlay {
    fn new(store: &NodeStore) -> Self {
        Self { store: store.clone(), changes: HashMap::new() }
    }

    fn write(&mut self, root: H256, delta: &StorageCollection) -> Result<H256, String> {
        let mut root = root;
        {
            let mut trie = TrieDBMutBuilder::<Layout>::from_existing(self, &mut root).build();
            for (key, value) in delta {
                match value {
                    Some(value) => trie.insert(key, value),
                    None => trie.remove(key),
                }
                .map_err(|error| error.to_string())?;
            }
        }
        Ok(root)
    }
}

impl hash_db::HashDB<BlakeTwo256, DBValue> for Overlay {
    fn get(&self, key: &H256, _: hash_db::Prefix<'_>) -> Option<DBValue> {
        if *key == empty_root() {
            return Some(EMPTY_NODE.to_vec());
        }
        match self.changes.get(key) {
            Some(change) if !change.node.is_empty() => Some(change.node.clone()),
            _ => self.store.get(key),
        }
    }

    fn contains(&self, key: &H256, prefix: hash_db::Prefix<'_>) -> bool {
        hash_db::HashDB::get(self, key, prefix).is_some()
    }

    fn insert(&mut self, prefix: hash_db::Prefix<'_>, value: &[u8]) -> H256 {
        let hash = BlakeTwo256::hash(value);
        hash_db::HashDB::emplace(self, hash, prefix, value.to_vec());
        hash
    }

    fn emplace(&mut self, key: H256, _: hash_db::Prefix<'_>, value: DBValue) {
        if value != EMPTY_NODE {
            let change = self.changes.entry(key).or_default();
            change.node = value;
            change.count += 1;
        }
    }

    fn remove(&mut self, key: &H256, _: hash_db::Prefix<'_>) {
        if *key != empty_root() {
            self.changes.entry(*key).or_default().count -= 1;
        }
    }
}

impl hash_db::HashDBRef<BlakeTwo256, DBValue> for Overlay {
    fn get(&self, key: &H256, prefix: hash_db::Prefix<'_>) -> Option<DBValue> {
        hash_db::HashDB::get(self, key, prefix)
    }

    fn contains(&self, key: &H256, prefix: hash_db::Prefix<'_>) -> bool {
        hash_db::HashDB::contains(self, key, prefix)
    }
}

impl hash_db::AsHashDB<BlakeTwo256, DBValue> for Overlay {
    fn as_hash_db(&self) -> &dyn hash_db::HashDB<BlakeTwo256, DBValue> {
        self
    }
    fn as_hash_db_mut<'a>(&'a mut self) -> &'a mut (dyn hash_db::HashDB<BlakeTwo256, DBValue> + 'a) {
        self
    }
}

/// The state after one block.
pub struct ChainState {
    nodes: NodeStore,
    root: H256,
    /// Roots of the child tries whose contents are known, by un-prefixed key.
    children: BTreeMap<Vec<u8>, H256>,
}

/// The state after the next block, computed but not adopted.
pub struct Prepared {
    root: H256,
    children: BTreeMap<Vec<u8>, H256>,
    changes: HashMap<H256, Change>,
}

impl Prepared {
    /// Root of the main trie.
    #[must_use]
    pub fn root(&self) -> H256 {
        self.root
    }
}

impl ChainState {
    /// Builds the main trie of `pairs`. A key given twice holds its last value.
    pub fn from_pairs(nodes: &NodeStore, pairs: StorageState) -> Result<Self, String> {
        let mut state = Self { nodes: nodes.clone(), root: empty_root(), children: BTreeMap::new() };
        let main = pairs.into_iter().map(|(key, value)| (key, Some(value))).collect();
        let changes = StorageChanges { main_storage_changes: main, child_storage_changes: Vec::new() };
        let prepared = state.prepare(&changes)?;
        state.adopt(prepared);
        Ok(state)
    }

    /// Root of the main trie.
    #[must_use]
    pub fn root(&self) -> H256 {
        self.root
    }

    /// Value at `key` of the main trie.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        read(&self.overlay(), self.root, key)
    }

    /// Computes the state after a block: child tries, their roots in the main trie, then the main
    /// changes.
    pub fn prepare(&self, changes: &StorageChanges) -> Result<Prepared, String> {
        let mut overlay = self.overlay();
        let mut children = self.children.clone();
        let mut main = StorageCollection::new();
        for (child, delta) in &changes.child_storage_changes {
            let at = [CHILD_STORAGE_DEFAULT, child].concat();
            let before = match children.get(child) {
                Some(root) => *root,
                None => match read(&overlay, self.root, &at) {
                    Some(root) if root.len() == 32 => H256::from_slice(&root),
                    _ => empty_root(),
                },
            };
            // Initial states do not carry the contents of child tries. Like the real storage backend,
            // keep the root of a child that cannot be read: the block's root then tells.
            let Ok(after) = overlay.write(before, delta) else { continue };
            if after == empty_root() {
                children.remove(child);
                main.push((at, None));
            } else {
                children.insert(child.clone(), after);
                main.push((at, Some(after.as_bytes().to_vec())));
            }
        }
        let root = overlay.write(self.root, &main)?;
        let root = overlay.write(root, &changes.main_storage_changes)?;
        Ok(Prepared { root, children, changes: overlay.changes })
    }

    /// Makes a prepared state the current one. It must have been prepared from the current one.
    pub fn adopt(&mut self, prepared: Prepared) {
        self.nodes.apply(prepared.changes);
        self.root = prepared.root;
        self.children = prepared.children;
    }

    /// All pairs of the main trie, in key order.
    #[must_use]
    pub fn pairs(&self) -> StorageState {
        pairs(&self.overlay(), self.root)
    }

    /// All pairs of each known child trie.
    #[must_use]
    pub fn child_pairs(&self) -> Vec<(Vec<u8>, StorageState)> {
        let overlay = self.overlay();
        self.children.iter().map(|(child, root)| (child.clone(), pairs(&overlay, *root))).collect()
    }

    /// Rebuilds a state from what [`Self::pairs`] and [`Self::child_pairs`] gave.
    pub fn restore(
        nodes: &NodeStore,
        main: StorageState,
        children: Vec<(Vec<u8>, StorageState)>,
    ) -> Result<Self, String> {
        let mut state = Self::from_pairs(nodes, main)?;
        let mut overlay = state.overlay();
        for (child, pairs) in children {
            let delta = pairs.into_iter().map(|(key, value)| (key, Some(value))).collect();
            let root = overlay.write(empty_root(), &delta)?;
            state.children.insert(child, root);
        }
        state.nodes.apply(overlay.changes);
        Ok(state)
    }

    fn overlay(&self) -> Overlay {
        Overlay::new(&self.nodes)
    }
}

impl Drop for ChainState {
    fn drop(&mut self) {
        // Nobody else reads a store of our own: it goes as a whole.
        if Arc::strong_count(&self.nodes.0) == 1 {
            return;
        }
        let mut overlay = self.overlay();
        let mut gone = Vec::new();
        for root in self.children.values().chain([&self.root]) {
            let trie = TrieDBBuilder::<Layout>::new(&overlay, root).build();
            if let Ok(nodes) = TrieDBNodeDoubleEndedIterator::new(&trie) {
                gone.extend(nodes.flatten().filter_map(|(_, hash, _)| hash));
            }
        }
        for hash in gone {
            hash_db::HashDB::remove(&mut overlay, &hash, sp_trie::EMPTY_PREFIX);
        }
        self.nodes.apply(overlay.changes);
    }
}

fn read(overlay: &Overlay, root: H256, key: &[u8]) -> Option<Vec<u8>> {
    TrieDBBuilder::<Layout>::new(overlay, &root).build().get(key).ok().flatten()
}

fn pairs(overlay: &Overlay, root: H256) -> StorageState {
    let trie = TrieDBBuilder::<Layout>::new(overlay, &root).build();
    trie.iter().map(|iter| iter.flatten().collect()).unwrap_or_default()
}

/// Root of an empty trie: the hash of one zero byte.
fn empty_root() -> H256 {
    const ROOT: [u8; 32] = [
        0x03, 0x17, 0x0a, 0x2e, 0x75, 0x97, 0xb7, 0xb7, 0xe3, 0xd8, 0x4c, 0x05, 0x39, 0x1d, 0x13, 0x9a, 0x62,
        0xb1, 0x57, 0xe7, 0x87, 0x86, 0xd8, 0xc0, 0x82, 0xf2, 0x9d, 0xcf, 0x4c, 0x11, 0x13, 0x14,
    ];
    H256(ROOT)
}
