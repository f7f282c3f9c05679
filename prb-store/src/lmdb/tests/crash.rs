use super::*;
use crate::{FailPoint, Failing, Step};
use prb_core::{
    id::Hash,
    port::{NodeChange, NodeStore, StoreError},
    testkit::Observed,
};
use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

#[tokio::test]
async fn failure_at_any_step_leaves_nothing_and_writing_goes_on() {
    for step in Step::ALL.into_iter().filter(|step| *step != Step::Committed) {
        for failing in [Failing::Broken, Failing::DiskFull] {
            let folder = tempfile::tempdir().unwrap();
            let armed = Arc::new(Mutex::new(None));
            let options = LmdbOptions { fail_point: Some(fail_when(armed.clone())), ..small() };
            let store = LmdbStore::open(folder.path(), options).unwrap();
            let mut chain = begun(&store).await;
            let before = content(&store).await;
            let append = next(&mut chain);

            *armed.lock().unwrap() = Some((step, failing));
            let refused = store.append(append.clone()).await.unwrap_err();

            match failing {
                Failing::DiskFull => assert!(matches!(refused, StoreError::DiskFull), "{step:?}: {refused}"),
                _ => assert!(matches!(refused, StoreError::Backend(_)), "{step:?}: {refused}"),
            }
            assert_eq!(content(&store).await, before, "{step:?}");
            assert_eq!(store.node(&node().hash).unwrap(), None, "{step:?}");
            *armed.lock().unwrap() = None;
            drop(store);
            let store = open(folder.path());
            assert_eq!(content(&store).await, before, "{step:?}, reopened");
            store.append(append).await.unwrap();
            assert_eq!(store.cursor().await.unwrap().as_ref(), Some(chain.cursor()));
        }
    }
}

#[tokio::test]
async fn full_map_at_any_step_grows_and_adds_once() {
    for step in Step::ALL.into_iter().filter(|step| *step != Step::Committed) {
        let folder = tempfile::tempdir().unwrap();
        let armed = Arc::new(Mutex::new(None));
        let once = armed.clone();
        let fail_point = FailPoint::new(move |at| {
            let mut armed = once.lock().unwrap();
            armed.take_if(|step| *step == at).map(|_| Failing::MapFull)
        });
        let options = LmdbOptions { fail_point: Some(fail_point), ..small() };
        let store = LmdbStore::open(folder.path(), options).unwrap();
        let mut chain = begun(&store).await;

        *armed.lock().unwrap() = Some(step);
        store.append(next(&mut chain)).await.unwrap();

        assert_eq!(*armed.lock().unwrap(), None, "{step:?} was reached");
        assert_eq!(store.cursor().await.unwrap().as_ref(), Some(chain.cursor()));
        assert_eq!(store.node(&node().hash).unwrap(), node().node, "{step:?}");
        store.append(chain.nodes(vec![NodeChange { references: -1, node: None, ..node() }])).await.unwrap();
        assert_eq!(store.node(&node().hash).unwrap(), None, "{step:?}: counted once");
    }
}

#[tokio::test]
async fn process_that_aborts_at_any_step_leaves_all_or_nothing() {
    const NAME: &str = "lmdb::tests::crash::process_that_aborts_at_any_step_leaves_all_or_nothing";
    const FOLDER: &str = "PRB_STORE_TEST_FOLDER";
    const STEP: &str = "PRB_STORE_TEST_STEP";
    if let (Some(folder), Ok(step)) = (std::env::var_os(FOLDER), std::env::var(STEP)) {
        return abort_at(&PathBuf::from(folder), &step).await;
    }
    for step in Step::ALL {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env(FOLDER, folder.path())
            .env(STEP, format!("{step:?}"))
            .output()
            .unwrap();
        assert!(!child.status.success(), "{step:?}: the child must not survive");

        let store = open(folder.path());

        let reference = crate::MemoryStore::new();
        let mut chain = begun(&reference).await;
        let append = next(&mut chain);
        if step == Step::Committed {
            reference.append(append).await.unwrap();
            assert_eq!(content(&store).await, content(&reference).await, "all of it");
            assert_eq!(store.node(&node().hash).unwrap(), node().node);
        } else {
            assert_eq!(content(&store).await, content(&reference).await, "{step:?}: nothing of it");
            assert_eq!(store.node(&node().hash).unwrap(), None);
            store.append(append).await.unwrap();
        }
    }
}

/// What the child process does: dies in the middle of its third append.
async fn abort_at(folder: &Path, step: &str) {
    let step = Step::ALL.into_iter().find(|known| format!("{known:?}") == step).unwrap();
    let armed = Arc::new(Mutex::new(None));
    let options = LmdbOptions { fail_point: Some(fail_when(armed.clone())), ..small() };
    let store = LmdbStore::open(folder, options).unwrap();
    let mut chain = begun(&store).await;
    *armed.lock().unwrap() = Some((step, Failing::Abort));
    store.append(next(&mut chain)).await.unwrap();
}

#[tokio::test]
async fn x14_process_killed_at_any_moment_leaves_whole_appends_and_the_next_one_is_told() {
    const NAME: &str =
        "lmdb::tests::crash::x14_process_killed_at_any_moment_leaves_whole_appends_and_the_next_one_is_told";
    const FOLDER: &str = "PRB_STORE_TEST_KILLED_FOLDER";
    if let Some(folder) = std::env::var_os(FOLDER) {
        return append_for_ever(&PathBuf::from(folder)).await;
    }
    for commits in [1, 4, 9, 25] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap()).lines();
        let told =
            told.filter(|line| line.as_ref().is_ok_and(|line| line == COMMITTED)).take(commits).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(told, commits, "the child was at work");

        let observed = Observed::begin();
        let store = open(folder.path());

        let reached = store.cursor().await.unwrap().unwrap();
        let (relay, changes) = (reached.relay.height, reached.changes);
        let heights = format!("relay={relay} changes={changes}");
        assert_eq!(observed.lines(&["WARN", "not closed in order", &heights]).len(), 1);
        assert_eq!(observed.counter("prb_store_unclean_opens_total"), 1);
        let reference = crate::MemoryStore::new();
        let mut chain = begun(&reference).await;
        let mut appends = 0;
        while *chain.cursor() != reached {
            reference.append(step_on(&mut chain)).await.unwrap();
            appends += 1;
            assert!(appends < 100_000, "the cursor is one between appends");
        }
        assert!(appends >= commits, "what was told to be committed is there");
        assert_eq!(content(&store).await, content(&reference).await);
        store.append(step_on(&mut chain)).await.unwrap();
        drop(store);
        open(folder.path());
        assert_eq!(observed.lines(&["not closed in order"]).len(), 1, "this time it was closed");
    }
}

/// X14: what was left open is told even if the next attempt to open it fails.
#[test]
fn x14_a_folder_that_was_left_is_told_when_it_is_opened_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Synthetic::new(1);
    let identity = |chain: &Synthetic| Some(chain.genesis().identity());
    open(folder.path()).inner.append(&chain.begin()).unwrap();
    // As a killed process leaves it.
    std::fs::write(folder.path().join("writer.lock"), "open\n").unwrap();
    let observed = Observed::begin();
    let other = LmdbOptions { identity: identity(&Synthetic::new(2)), ..small() };
    LmdbStore::open(folder.path(), other).unwrap_err();
    assert_eq!(observed.counter("prb_store_unclean_opens_total"), 0);
    let store = open(folder.path());
    assert_eq!(observed.counter("prb_store_unclean_opens_total"), 1);
    store.inner.close();
    open(folder.path());
    assert_eq!(observed.counter("prb_store_unclean_opens_total"), 1);
}

/// What the child process says after each commit.
const COMMITTED: &str = "committed";

async fn append_for_ever(folder: &Path) {
    let store = open(folder);
    let mut chain = begun(&store).await;
    loop {
        store.append(step_on(&mut chain)).await.unwrap();
        writeln!(std::io::stdout(), "\n{COMMITTED}").unwrap();
    }
}

fn step_on(chain: &mut Synthetic) -> Append {
    joined(chain.relay(4, 2, false), chain.changes(1, 5000))
}

fn fail_when(armed: Arc<Mutex<Option<(Step, Failing)>>>) -> FailPoint {
    FailPoint::new(move |at| {
        armed.lock().unwrap().filter(|(step, _)| *step == at).map(|(_, failing)| failing)
    })
}

/// A store with an open tip.
async fn begun(store: &impl BlobStore) -> Synthetic {
    let mut chain = Synthetic::new(3);
    chain.keep_state(true);
    store.append(chain.begin()).await.unwrap();
    store.append(chain.relay(3, 4, false)).await.unwrap();
    chain
}

/// An append that touches every table.
fn next(chain: &mut Synthetic) -> Append {
    let append = joined(chain.relay(4, 2, true), chain.changes(3, 5000));
    Append { nodes: vec![node()], ..append }
}

fn node() -> NodeChange {
    NodeChange { hash: Hash([5; 32]), references: 1, node: Some(vec![6; 70].into()) }
}
