//! Full devices, full maps and readers that died: what the store answers, counts and says.

use super::*;
use crate::lmdb::{Inner, env};
use prb_core::{
    id::Hash,
    port::{NodeChange, StoreError},
    testkit::Observed,
};
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

/// X13: the store of a device that fills up.
#[test]
fn x13_full_device_keeps_what_is_stored_and_writing_goes_on_once_there_is_space() {
    let Some(device) = SmallDevice::mounted(3 << 20) else { return };
    let filler = device.folder.path().join("filler");
    std::fs::write(&filler, vec![1; 1 << 20]).unwrap();
    let folder = device.folder.path().join("blobs");
    let observed = Observed::begin();
    let store = open_plain(&folder);
    let mut chain = Synthetic::new(1);
    store.inner.append(&chain.begin()).unwrap();
    let added = fill(&store, &mut chain, 100);
    assert!(added > 1);
    assert_eq!(store.inner.read(read_cursor).unwrap().as_ref(), Some(chain.cursor()));
    let again = store.inner.append(&chain.clone().changes(1, 100_000));
    assert!(matches!(again, Err(StoreError::DiskFull)), "{again:?}");
    told_full(&observed, "disk", 2, "no space left");

    std::fs::remove_file(&filler).unwrap();
    store.inner.append(&chain.changes(1, 100_000)).unwrap();
    told_space(&observed);
    drop(store);
    let store = open_plain(&folder);
    assert_eq!(store.inner.read(read_cursor).unwrap().as_ref(), Some(chain.cursor()));
    let found = store.verify(&mut |_| {}).unwrap();
    assert_eq!((found.damages, found.damaged), (0, Vec::new()));
}

/// Adds until the disk is full; how often that went well.
fn fill(store: &LmdbStore, chain: &mut Synthetic, most: u32) -> u32 {
    for added in 0..most {
        let mut next = chain.clone();
        match store.inner.append(&next.changes(1, 100_000)) {
            Ok(()) => *chain = next,
            Err(StoreError::DiskFull) => return added,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the disk is not full after {most} appends");
}

/// It was counted at every attempt, and said once, with its cause.
fn told_full(observed: &Observed, what: &str, attempts: u64, cause: &str) {
    assert_eq!(observed.counter(&format!("prb_store_full_total{{what={what}}}")), attempts);
    assert_eq!(observed.gauge("prb_store_full"), Some(1.0));
    assert_eq!(observed.lines(&["the store is full"]).len(), 1, "once, not at every attempt");
    assert_eq!(observed.lines(&["WARN", "the store is full", cause]).len(), 1, "{:?}", observed.lines(&[]));
}

fn told_space(observed: &Observed) {
    assert_eq!(observed.gauge("prb_store_full"), Some(0.0));
    assert_eq!(observed.lines(&["INFO", "the store has space again"]).len(), 1);
}

/// X13 where nothing may be mounted: a limit on the size of files, which the system enforces likewise.
#[test]
fn x13_limit_on_file_sizes_is_a_full_device_and_what_is_stored_is_continued_without_it() {
    const NAME: &str = "lmdb::tests::limits::x13_limit_on_file_sizes_is_a_full_device_and_what_is_stored_is_continued_without_it";
    const FOLDER: &str = "PRB_STORE_TEST_LIMITED_FOLDER";
    if let Some(folder) = std::env::var_os(FOLDER) {
        return fill_up(&PathBuf::from(folder));
    }
    let folder = tempfile::tempdir().unwrap();
    // Blocks of 512 or 1024 bytes, as shells disagree. Without the trap the signal would end the process.
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 6144 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&limited.stdout).into_owned();
    assert!(limited.status.success(), "{said}{}", String::from_utf8_lossy(&limited.stderr));
    let added = said.lines().find_map(|line| line.strip_prefix(ADDED)).expect("the child was at work");

    let store = open_plain(folder.path());
    let mut chain = Synthetic::new(1);
    for _ in 0..added.parse::<u32>().unwrap() {
        chain.changes(1, 100_000);
    }
    assert_eq!(store.inner.read(read_cursor).unwrap().as_ref(), Some(chain.cursor()));
    assert_eq!(store.verify(&mut |_| {}).unwrap().damages, 0);
    store.inner.append(&chain.changes(1, 100_000)).unwrap();
}

/// What the child process says before the number of its appends.
const ADDED: &str = "added ";

fn fill_up(folder: &Path) {
    let observed = Observed::begin();
    let store = open_plain(folder);
    let mut chain = Synthetic::new(1);
    store.inner.append(&chain.begin()).unwrap();
    let added = fill(&store, &mut chain, 200);
    told_full(&observed, "disk", 1, "no space left");
    writeln!(io::stdout(), "\n{ADDED}{added}").unwrap();
}

/// X16: the map may not grow any more.
#[test]
fn x16_full_map_is_counted_and_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let options = LmdbOptions { max_map_bytes: 1 << 20, compress: false, ..small() };
    let observed = Observed::begin();
    let store = LmdbStore::open(folder.path(), options).unwrap();
    let mut chain = Synthetic::new(1);
    store.inner.append(&chain.begin()).unwrap();
    for _ in 0..2 {
        let refused = store.inner.append(&chain.clone().changes(1, 2 << 20));
        assert!(matches!(refused, Err(StoreError::MapFull { bytes }) if bytes == 1 << 20), "{refused:?}");
    }
    told_full(&observed, "map", 2, "store map of 1048576 bytes is full");
    assert_eq!(store.inner.read(read_cursor).unwrap().as_ref(), Some(chain.cursor()), "it is read as before");
    store.inner.append(&chain.changes(1, 1000)).unwrap();
    told_space(&observed);
    assert!(observed.gauge("prb_store_bytes").is_some_and(|bytes| bytes > 0.0), "its size is shown");
}

/// X16: a reader that never ends keeps pages from being used again, and a dead one does no longer.
#[test]
fn x16_reader_that_leaks_fills_the_map_and_gives_its_pages_back_when_it_is_dead() {
    const NAME: &str =
        "lmdb::tests::limits::x16_reader_that_leaks_fills_the_map_and_gives_its_pages_back_when_it_is_dead";
    const FOLDER: &str = "PRB_STORE_TEST_LEAKING_FOLDER";
    if let Some(folder) = std::env::var_os(FOLDER) {
        return hold_a_read(&PathBuf::from(folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let options = LmdbOptions { max_map_bytes: 2 << 20, compress: false, ..small() };
    let observed = Observed::begin();
    let store = LmdbStore::open(folder.path(), options).unwrap();
    let mut chain = Synthetic::new(1);
    chain.keep_state(true);
    store.inner.append(&chain.begin()).unwrap();
    churn(&store.inner, &chain, 40).expect("pages are used again while nobody reads");

    let mut child = Command::new(std::env::current_exe().unwrap());
    let child = child.args(["--exact", NAME, "--nocapture"]).env(FOLDER, folder.path());
    let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut child = Reading(child);
    let told = BufReader::new(child.0.stdout.take().unwrap()).lines();
    assert!(told.map_while(Result::ok).any(|line| line == READING), "the child reads");
    let refused = churn(&store.inner, &chain, 100);
    assert!(matches!(refused, Err(StoreError::MapFull { .. })), "a living reader holds pages: {refused:?}");
    told_full(&observed, "map", 1, "store map of 2097152 bytes is full");
    assert_eq!(observed.counter("prb_store_stale_readers_total"), 0, "the reader lives");

    child.0.kill().unwrap();
    child.0.wait().unwrap();
    churn(&store.inner, &chain, 100).expect("what the dead reader held is used again");
    assert_eq!(observed.counter("prb_store_stale_readers_total"), 1);
    assert_eq!(observed.lines(&["WARN", "processes that read the store died", "readers=1"]).len(), 1);
    told_space(&observed);
}

/// Adds and removes the same nodes again and again.
fn churn(inner: &Inner, chain: &Synthetic, times: u32) -> Result<(), StoreError> {
    for _ in 0..times {
        for references in [1, -1] {
            let node = (references > 0).then(|| vec![7; 100_000].into());
            inner.append(&chain.nodes(vec![NodeChange { hash: Hash([9; 32]), references, node }]))?;
        }
    }
    Ok(())
}

const READING: &str = "reading";

/// What the child process does: holds a read transaction until it is killed.
fn hold_a_read(folder: &Path) {
    let tables = env::open_read_only(folder, &small()).unwrap();
    let txn = tables.env.read_txn().unwrap();
    writeln!(io::stdout(), "\n{READING}").unwrap();
    io::stdout().flush().unwrap();
    // Ends when the parent does, at the latest.
    let _ = io::stdin().read(&mut [0]);
    drop(txn);
}

/// A child process that does not outlive the test.
struct Reading(Child);

impl Drop for Reading {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_cursor(
    tables: &env::Tables,
    txn: &heed::RoTxn<'_, heed::WithoutTls>,
) -> Result<Option<Cursor>, crate::lmdb::write::Failure> {
    crate::lmdb::read::cursor(tables, txn)
}

/// A file system of its own in memory.
struct SmallDevice {
    folder: tempfile::TempDir,
}

impl SmallDevice {
    /// One of `bytes`, none (said aloud) where this process may not mount.
    fn mounted(bytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={bytes}");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        if mount.as_ref().is_ok_and(|mount| mount.status.success()) {
            return Some(Self { folder });
        }
        let why = "SKIPPED: this process may not mount a small file system; a limit on file sizes is tested all the same";
        writeln!(io::stderr(), "{why}").unwrap();
        None
    }
}

impl Drop for SmallDevice {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}
