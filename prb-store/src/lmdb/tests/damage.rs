use super::*;
use prb_core::{
    id::Hash,
    port::{NodeChange, NodeStore, StoreError},
};
use std::fs;

#[tokio::test]
async fn damaged_item_is_named_and_its_neighbours_are_served() {
    // Small values share a page, large ones lie on pages of their own.
    for size in [40, 20_000] {
        let folder = tempfile::tempdir().unwrap();
        let whole_item = filled(folder.path(), size).await;

        damage(folder.path(), &whole_item[whole_item.len() - 20..]);

        let store = open(folder.path());
        let read = async |first, last| {
            let span = Span::new(Height(first), Height(last)).unwrap();
            store.read(Stream::Changes, span, usize::MAX).await
        };
        assert_eq!(read(1, 5).await.unwrap().len(), 2, "up to the damage");
        assert!(matches!(
            read(3, 5).await,
            Err(StoreError::Damaged { stream: Stream::Changes, height: Height(3) })
        ));
        assert_eq!(read(4, 5).await.unwrap().len(), 2);

        let blob = Blob { height: Height(3), bytes: whole_item.into() };
        store.repair(Stream::Changes, blob.clone()).await.unwrap();
        assert_eq!(read(1, 5).await.unwrap()[2], blob);
        let unknown = Blob { height: Height(6), ..blob };
        assert!(matches!(store.repair(Stream::Changes, unknown).await, Err(StoreError::Gap { .. })));
    }
}

#[tokio::test]
async fn damaged_justification_is_named() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 40).await;
    damage(folder.path(), &[b'j', 1, 0, 0, 0, 103, b'j', 1]);

    let store = open(folder.path());
    let answer = store.read(Stream::Justifications, whole(Stream::Justifications), usize::MAX).await;
    assert!(matches!(
        answer,
        Err(StoreError::Damaged { stream: Stream::Justifications, height: Height(103) })
    ));
}

#[tokio::test]
async fn damaged_genesis_is_never_answered() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 40).await;
    damage(folder.path(), &[1; 40]);

    let store = open(folder.path());
    let answer = store.genesis().await;
    assert!(matches!(&answer, Err(StoreError::Broken { what }) if what.contains("genesis")), "{answer:?}");
}

#[tokio::test]
async fn damaged_node_is_never_answered() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 40).await;
    damage(folder.path(), &[77; 60]);

    let answer = open(folder.path()).node(&Hash([5; 32]));
    assert!(matches!(&answer, Err(StoreError::Broken { what }) if what.contains("node")), "{answer:?}");
}

/// Five blocks of changes of about `size` bytes; the third is answered.
async fn filled(folder: &Path, size: usize) -> Vec<u8> {
    let store = open_plain(folder);
    let mut chain = Synthetic::new(1);
    chain.keep_state(true);
    store.append(chain.begin()).await.unwrap();
    store.append(chain.relay(3, 6, true)).await.unwrap();
    let changes = chain.changes(5, size);
    let third = changes.changes[2].bytes.to_vec();
    store.append(changes).await.unwrap();
    let node = NodeChange { hash: Hash([5; 32]), references: 1, node: Some(vec![77; 60].into()) };
    store.append(chain.nodes(vec![node])).await.unwrap();
    store.close().await.unwrap();
    third
}

/// Flips a bit wherever `pattern` lies in the data file; old versions of a page may still be there.
fn damage(folder: &Path, pattern: &[u8]) {
    let path = folder.join("data.mdb");
    let mut data = fs::read(&path).unwrap();
    let places: Vec<_> =
        (0..data.len() - pattern.len()).filter(|at| data[*at..].starts_with(pattern)).collect();
    assert!(!places.is_empty(), "the pattern is in the file");
    for at in places {
        data[at + 1] ^= 0x10;
    }
    fs::write(path, data).unwrap();
}
