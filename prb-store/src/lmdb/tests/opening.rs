use super::*;
use crate::{
    FORMAT,
    lmdb::{
        env::{self, Migration, Tables},
        space,
        write::Failure,
    },
};
use heed::RwTxn;
use prb_core::port::StoreError;

#[tokio::test]
async fn second_writer_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let clone = first.clone();
    drop(first);

    let refused = LmdbStore::open(folder.path(), small());
    assert!(matches!(refused, Err(StoreError::Locked { path }) if Path::new(&path) == folder.path()));

    drop(clone);
    open(folder.path());
}

#[tokio::test]
async fn closed_store_answers_with_errors_and_frees_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();

    store.close().await.unwrap();
    store.close().await.unwrap();

    assert!(matches!(store.cursor().await, Err(StoreError::Backend(_))));
    assert!(matches!(store.append(chain.begin()).await, Err(StoreError::Backend(_))));
    assert!(matches!(store.compact().await, Err(StoreError::Backend(_))));
    assert_eq!(open(folder.path()).cursor().await.unwrap().as_ref(), Some(chain.cursor()));
}

#[tokio::test]
async fn folder_of_another_chain_is_refused_when_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Synthetic::new(1), Synthetic::new(2));
    let with = |chain: &Synthetic| LmdbOptions { identity: Some(chain.genesis().identity()), ..small() };
    let store = LmdbStore::open(folder.path(), with(&ours)).unwrap();
    store.append(ours.begin()).await.unwrap();
    drop(store);

    let refused = LmdbStore::open(folder.path(), with(&theirs));
    assert!(matches!(refused, Err(StoreError::ForeignChain { .. })), "{refused:?}");
    LmdbStore::open(folder.path(), with(&ours)).unwrap();
}

#[test]
fn newer_format_is_refused() {
    const TWO: [Migration; FORMAT as usize] = [nothing; FORMAT as usize];
    let folder = tempfile::tempdir().unwrap();
    drop(open_with(folder.path(), &TWO).unwrap());

    let refused = LmdbStore::open(folder.path(), small());
    let newer = FORMAT + 1;
    assert!(
        matches!(refused, Err(StoreError::NewerFormat { found, known: FORMAT }) if found == newer),
        "{refused:?}"
    );
}

#[tokio::test]
async fn older_format_takes_each_later_step_once() {
    fn mark(tables: &Tables, txn: &mut RwTxn<'_>) -> Result<(), Failure> {
        let before = tables.meta.get(txn, "mark")?.unwrap_or_default().to_vec();
        Ok(tables.meta.put(txn, "mark", &[before, vec![1]].concat())?)
    }
    fn fail(_: &Tables, _: &mut RwTxn<'_>) -> Result<(), Failure> {
        Err(StoreError::DiskFull.into())
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(Synthetic::new(1).begin()).await.unwrap();
    drop(store);
    let older = vec![nothing as Migration; FORMAT as usize - 1];
    let steps = |last: &[Migration]| [older.as_slice(), last].concat();
    let marks = |tables: &Tables| {
        let txn = tables.env.read_txn().unwrap();
        tables.meta.get(&txn, "mark").unwrap().map_or(0, <[u8]>::len)
    };

    assert!(open_with(folder.path(), &steps(&[mark, fail])).is_err());
    assert_eq!(marks(&open_with(folder.path(), &steps(&[mark])).unwrap()), 1, "all steps or none");
    assert_eq!(marks(&open_with(folder.path(), &steps(&[mark, mark])).unwrap()), 2);
    assert_eq!(marks(&open_with(folder.path(), &steps(&[mark, mark])).unwrap()), 2);
}

#[tokio::test]
async fn the_form_of_changes_outlives_the_process_and_was_pha_before_it_was_kept() {
    use prb_core::types::sync::ChangesForm::{self, Diff, Mixed, Written};
    let folder = tempfile::tempdir().unwrap();
    let mut chain = Synthetic::new(1);
    let form = async || {
        let coverage = open(folder.path()).coverage().await.unwrap().unwrap();
        coverage.changes_form
    };
    let mut add = async |form: ChangesForm| {
        let store = open(folder.path());
        let append = Append { changes_form: Some(form), ..chain.changes(2, 10) };
        store.append(append).await.unwrap();
    };
    let store = open(folder.path());
    store.append(Synthetic::new(1).begin()).await.unwrap();
    drop(store);
    assert_eq!(form().await, None);
    add(Diff).await;
    add(Diff).await;
    assert_eq!(form().await, Some(Diff));
    // As an earlier release leaves it.
    let tables = env::open(folder.path(), &small()).unwrap();
    let mut txn = tables.env.write_txn().unwrap();
    assert!(tables.meta.delete(&mut txn, env::meta::CHANGES_FORM).unwrap());
    txn.commit().unwrap();
    drop(tables);
    assert_eq!(form().await, Some(Written));
    add(Written).await;
    assert_eq!(form().await, Some(Written));
    add(Diff).await;
    assert_eq!(form().await, Some(Mixed));
}

#[test]
fn leftovers_of_an_interrupted_compaction_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let leftover = folder.path().join("data.mdb.compact");
    std::fs::write(&leftover, b"half").unwrap();
    open(folder.path());
    assert!(!leftover.exists());
}

fn nothing(_: &Tables, _: &mut RwTxn<'_>) -> Result<(), Failure> {
    Ok(())
}

/// The environment as a release with these migrations opens it.
fn open_with(folder: &Path, migrations: &[Migration]) -> Result<Tables, Failure> {
    let _writer = space::lock(folder)?;
    env::open_with(folder, &small(), 1 << 20, migrations)
}
