//! A node store in memory that insists on sound reference counts.
#![allow(dead_code)]

use prb_core::{
    Bytes,
    id::Hash,
    port::{NodeChange, NodeStore, StoreError},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

#[derive(Clone, Default)]
pub struct Nodes(Arc<Mutex<BTreeMap<Hash, (i32, Bytes)>>>);

impl Nodes {
    /// Commits changes as a store does.
    pub fn commit(&self, changes: &[NodeChange]) {
        let mut nodes = self.0.lock().unwrap();
        for change in changes {
            assert_ne!(change.references, 0, "a change that changes nothing");
            if let Some(node) = &change.node {
                assert_eq!(Hash::of(node), change.hash, "node under another hash");
            }
            let entry = nodes.entry(change.hash).or_insert_with(|| {
                (0, change.node.clone().expect("a node that is not there loses references"))
            });
            entry.0 += change.references;
            assert!(entry.0 >= 0, "node {} has fewer references than were dropped", change.hash);
            if entry.0 == 0 {
                nodes.remove(&change.hash);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub fn bytes(&self) -> usize {
        self.0.lock().unwrap().values().map(|(_, node)| node.len()).sum()
    }

    pub fn remove(&self, hash: Hash) {
        self.0.lock().unwrap().remove(&hash);
    }

    pub fn counts(&self) -> BTreeMap<Hash, i32> {
        self.0.lock().unwrap().iter().map(|(hash, (count, _))| (*hash, *count)).collect()
    }

    pub fn shared(&self) -> Arc<dyn NodeStore> {
        Arc::new(self.clone())
    }
}

impl NodeStore for Nodes {
    fn node(&self, hash: &Hash) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.lock().unwrap().get(hash).map(|(_, node)| node.clone()))
    }
}
