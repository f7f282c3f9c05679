//! `prb store export | import | prune` on real chain data.

use crate::asked::Side;
use crate::files::{Files, Mood};
use crate::kill::stored;
use crate::place::Place;
use crate::provider::{assert_same, fill, place};
use crate::world::{World, until_or};
use async_trait::async_trait;
use codec::{Decode, Encode};
use prb_core::id::Height;
use prb_core::port::{Append, Blob, BlobStore, Coverage, Cursor, Genesis, Rung, StoreError, Stream};
use prb_core::span::Span;
use prb_core::types::sync::StorageChanges;
use prb_devnet::network;
use prb_store::archive::{ExportOptions, MANIFEST, Manifest, export};
use prb_store::{LmdbOptions, LmdbStore};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Relay blocks; with authority sets of twenty.
const HISTORY: u32 = 130;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What a command answers that must succeed. It may have warned, and told how far it is.
async fn ok(place: &Place, arguments: &[&str]) -> String {
    let done = place.prb(arguments).await;
    assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.stderr);
    done.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn open(place: &Place) -> LmdbStore {
    LmdbStore::open(place.path("data/blobs"), LmdbOptions::default()).unwrap()
}

/// A provider's data, and the chains it is of.
async fn provided() -> (World, Place) {
    let world = World::new(network::Config::default(), HISTORY, 0).await;
    let place = place(&world);
    fill(&world, &place).await;
    (world, place)
}

/// Small segments, so that there are many.
async fn exported(place: &Place, folder: &Path) -> Manifest {
    let store = open(place);
    let options = ExportOptions { segment_bytes: 4096, ..ExportOptions::default() };
    let manifest = export(&store, folder, options, &mut |_| {}).await.unwrap().0;
    store.close().await.unwrap();
    manifest
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_fills_a_store_which_then_goes_on_from_nodes() {
    let (world, place) = provided().await;
    let out = place.path("archive");
    let first = json(&ok(&place, &["store", "export", text(&out), "--json"]).await);
    let end = first["relay"].as_u64().unwrap() as u32;
    assert!(end > HISTORY - 25 && first["changes"] == first["para"], "{first}");
    let again = json(&ok(&place, &["store", "export", text(&out), "--json"]).await);
    assert_eq!((&again["files_written"], &again["files_removed"]), (&0.into(), &0.into()), "{again}");

    // Without any node in reach.
    let copy = Place::new();
    let done = json(&ok(&copy, &["store", "import", text(&out), "--json"]).await);
    assert_eq!(done["after"]["relay"], end, "{done}");
    assert_eq!(
        (&done["after"]["changes"], &done["state_verified"]),
        (&first["changes"], &true.into()),
        "{done}"
    );
    let nothing = ok(&copy, &["store", "import", text(&out)]).await;
    assert!(nothing.starts_with("the store has everything that is there"), "{nothing}");
    let para = first["para"].as_u64().unwrap();
    let compared = format!("compared        relay block {end} and para block {para}: the same in both\n");
    assert!(nothing.contains(&compared), "{nothing}");
    assert!(ok(&copy, &["store", "verify"]).await.ends_with("everything is whole\n"));

    // What an archive does not hold comes from the nodes, and nothing else does.
    let behind = stored(&copy).await.unwrap();
    copy.configure(&std::fs::read_to_string(place.path("prb.toml")).unwrap());
    world.asked.forget();
    fill(&world, &copy).await;
    crate::kill::nothing_again(&world, &behind);
    assert_same(&open(&copy), &open(&place)).await;
}

/// X14: an import that is killed goes on where it was, and fetches nothing again that is stored.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_over_http_goes_on_after_a_kill() {
    let (_, place) = provided().await;
    let out = place.path("archive");
    let manifest = exported(&place, &out).await;
    let all = manifest.names().count();
    assert!(all > 20, "{all} files");
    let copy = Place::new();
    let mut whole: Vec<String> = Vec::new();
    for files in [2, 7, 12, 17] {
        // So many files are given out, then the server falls silent.
        let given = std::sync::atomic::AtomicUsize::new(0);
        let server = Files::serve_with(&out, move |_, _| {
            let given = given.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if given < files { Mood::Honest } else { Mood::Silent }
        });
        let server = server.await;
        let running = copy.start(&["store", "import", &server.url], "info");
        let stuck = async || server.asked().values().sum::<u32>() as usize > files;
        until_or("the import waits", stuck, || running.log().join("\n")).await;
        running.kill().await;
        not_again(&server, &whole);
        let Some(cursor) = stored(&copy).await else { continue };
        whole = stored_whole(&manifest, &cursor);
    }
    assert!(whole.len() > 5, "killed in the middle: {whole:?}");
    let server = Files::serve(&out).await;
    let done = json(&ok(&copy, &["store", "import", &server.url, "--json"]).await);
    not_again(&server, &whole);
    assert_eq!(done["state_verified"], true, "{done}");
    assert_eq!(done["after"]["relay"], manifest.span(Stream::RelayHeaders).unwrap().last().0);
    assert!(ok(&copy, &["store", "verify"]).await.ends_with("everything is whole\n"));
}

/// Names of segments whose content is all stored.
fn stored_whole(manifest: &Manifest, cursor: &Cursor) -> Vec<String> {
    let para = cursor.para.map_or(0, |para| para.height.0);
    let ends = [(Stream::RelayHeaders, cursor.relay.height.0), (Stream::Changes, cursor.changes.0)];
    let ends = ends.into_iter().chain([(Stream::ParaHeaders, para)]);
    let below = ends.flat_map(|(stream, end)| {
        let segments = manifest.segments(stream).iter().filter(move |segment| segment.last <= end);
        segments.map(move |segment| segment.name(stream))
    });
    below.collect()
}

fn not_again(server: &Files, whole: &[String]) {
    let asked: BTreeMap<_, _> = server.asked();
    assert!(!whole.iter().any(|name| asked.contains_key(name)), "{asked:?} {whole:?}");
    assert!(asked.values().all(|asked| *asked == 1), "{asked:?}");
}

/// A store whose owner changes what blocks wrote before exporting it.
struct Lying(Arc<LmdbStore>);

/// The block that is lied about.
const LIE: Height = Height(9);

#[async_trait]
impl BlobStore for Lying {
    async fn genesis(&self) -> Result<Option<Arc<Genesis>>, StoreError> {
        self.0.genesis().await
    }

    async fn coverage(&self) -> Result<Option<Coverage>, StoreError> {
        self.0.coverage().await
    }

    async fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        self.0.cursor().await
    }

    async fn rungs(&self, from: Height, limit: usize) -> Result<Vec<Rung>, StoreError> {
        self.0.rungs(from, limit).await
    }

    async fn read(&self, stream: Stream, span: Span, max_bytes: usize) -> Result<Vec<Blob>, StoreError> {
        let mut blobs = self.0.read(stream, span, max_bytes).await?;
        for blob in blobs.iter_mut().filter(|blob| stream == Stream::Changes && blob.height == LIE) {
            let mut changes = StorageChanges::decode(&mut blob.bytes.as_ref()).unwrap();
            changes.main_storage_changes.push((b"balance".to_vec(), Some(b"a lot".to_vec())));
            blob.bytes = changes.encode().into();
        }
        Ok(blobs)
    }

    async fn append(&self, _: Append) -> Result<(), StoreError> {
        Err(StoreError::ReadOnly)
    }

    async fn wait(&self, known: Option<Coverage>) -> Result<(), StoreError> {
        self.0.wait(known).await
    }
}

/// X2, I1: an archive that is whole, and lies.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_lies_or_is_of_another_chain_is_refused_in_one_line() {
    let (_, place) = provided().await;
    let out = place.path("lying");
    let store = Arc::new(open(&place));
    let options = ExportOptions { segment_bytes: 4096, ..ExportOptions::default() };
    export(&Lying(store.clone()), &out, options, &mut |_| {}).await.unwrap();
    store.close().await.unwrap();
    let copy = Place::new();
    let refused = copy.prb(&["store", "import", text(&out)]).await;
    assert_eq!(
        (refused.code, refused.stderr.lines().filter(|line| line.starts_with("prb:")).count()),
        (Some(1), 1)
    );
    assert!(refused.stderr.contains("state root at 9"), "{}", refused.stderr);
    let cursor = stored(&copy).await.unwrap();
    assert!(cursor.changes < LIE, "nothing unverified is stored: {cursor:?}");

    let other = World::new(network::Config { para_start: 7, ..network::Config::default() }, 60, 0).await;
    let stranger = self::place(&other);
    fill(&other, &stranger).await;
    let honest = place.path("honest");
    exported(&place, &honest).await;
    let refused = stranger.prb(&["store", "import", text(&honest)]).await;
    assert_eq!((refused.code, refused.stderr.lines().count()), (Some(1), 1), "{}", refused.stderr);
    let plain = ["use the archive of the store's own network", "starts at relay block", "expected is"];
    crate::mistakes::one_line(&refused, &plain);
    assert!(!refused.stderr.contains('{'), "{}", refused.stderr);
    let refused = stranger.prb(&["store", "export", text(&honest)]).await;
    crate::mistakes::one_line(&refused, &plain);

    for (from, why) in [
        (place.path("nowhere"), "holds neither"),
        (place.path("data"), "holds neither"),
        ("ftp://x/y".into(), "http://"),
    ] {
        let refused = place.prb(&["store", "import", text(&from)]).await;
        assert_eq!((refused.code, refused.stderr.lines().count()), (Some(1), 1), "{}", refused.stderr);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
    std::fs::write(honest.join(MANIFEST), b"{}").unwrap();
    let refused = place.prb(&["store", "import", text(&honest)]).await;
    assert!(
        refused.stderr.contains("cannot be used") && refused.stderr.lines().count() == 1,
        "{}",
        refused.stderr
    );
}

/// Two forks of one chain, justified by the same authorities: nothing is taken from the other one, however long it is.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_another_fork_are_refused_with_the_first_block_that_differs() {
    const COMMON: u32 = 40;
    let one = World::new(network::Config::default(), HISTORY, 0).await;
    let other = World::new(network::Config::default(), COMMON, 0).await;
    other.network.order(|orders| orders.para.set_storage = vec![(b"fork".to_vec(), Some(b"other".to_vec()))]);
    let network = other.network.clone();
    tokio::task::spawn_blocking(move || network.steps(HISTORY - COMMON)).await.unwrap().unwrap();
    let (here, there) = (self::place(&one), self::place(&other));
    let before = fill(&one, &here).await;
    fill(&other, &there).await;

    let block = |world: &World, at| world.network.relay().block_at(at).unwrap().hash;
    let first = (1..=HISTORY).find(|at| block(&one, *at) != block(&other, *at)).unwrap();
    assert!(first > COMMON && first < HISTORY);
    let (found, stored_there) = (format!("{:?}", block(&other, first)), format!("{:?}", block(&one, first)));
    let (archive, records) = (there.path("archive"), there.path("records"));
    ok(&there, &["store", "export", text(&archive)]).await;
    ok(&there, &["store", "export", text(&records), "--format", "headers-cache"]).await;
    for files in [&archive, &records] {
        let refused = here.prb(&["store", "import", text(files)]).await;
        let at = format!("relay block {first} with hash {found}");
        crate::mistakes::one_line(&refused, &[&at, &stored_there, "different forks", "another data_dir"]);
        assert_eq!(stored(&here).await.as_ref(), Some(&before), "nothing is stored");
    }

    // A store that the other fork goes beyond.
    let short = World::new(network::Config::default(), HISTORY / 2, 0).await;
    let behind = self::place(&short);
    let before = fill(&short, &behind).await;
    let refused = behind.prb(&["store", "import", text(&archive)]).await;
    crate::mistakes::one_line(&refused, &[&format!("relay block {first} with hash"), "different forks"]);
    assert_eq!(stored(&behind).await.as_ref(), Some(&before), "nothing is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn record_files_of_headers_cache_fill_a_store_whose_genesis_comes_from_nodes() {
    let (mut world, place) = provided().await;
    let out = place.path("records");
    let format = ["--format", "headers-cache", "--json"];
    let export = [&["store", "export", text(&out)][..], &format].concat();
    assert!(json(&ok(&place, &export).await)["records_written"].as_u64().unwrap() > 200);
    assert_eq!(json(&ok(&place, &export).await)["records_written"], 0);
    let copy = self::place(&world);
    world.asked.forget();
    let done = json(&ok(&copy, &["store", "import", text(&out), "--json"]).await);
    assert_eq!(done["state_verified"], true, "{done}");
    assert!(
        world.asked.proofs().is_empty() && world.asked.changes(&world.network).is_empty(),
        "only the genesis"
    );
    fill(&world, &copy).await;
    assert_same(&open(&copy), &open(&place)).await;

    // Nothing is configured: what lacks is named, and nothing is made.
    let bare = Place::new();
    std::fs::remove_file(bare.path("prb.toml")).unwrap();
    let refused = bare.prb(&["store", "--data-dir", "data", "import", text(&out)]).await;
    crate::mistakes::one_line(&refused, &["relay block 0", "chain.relay and chain.para", "--config"]);
    assert!(!bare.path("data").exists());
    // A store that has begun needs no nodes.
    std::fs::remove_file(copy.path("prb.toml")).unwrap();
    let again = ok(&copy, &["store", "--data-dir", "data", "import", text(&out)]).await;
    assert!(again.starts_with("the store has everything that is there"), "{again}");

    world.down(Side::Relay).await;
    let alone = self::place(&world);
    let refused = alone.prb(&["store", "import", text(&out)]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("not reachable"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pruned_store_goes_on_and_says_what_it_lacks() {
    let (world, place) = provided().await;
    let before = json(&ok(&place, &["store", "stat", "--json"]).await);
    let last = before["coverage"]["streams"]["changes"]["last"].as_u64().unwrap();
    let dry = json(&ok(&place, &["store", "prune", "--keep", "10", "--dry-run", "--json"]).await);
    assert_eq!(dry["dropped"]["changes"], serde_json::json!({"first": 1, "last": last - 10}), "{dry}");
    assert_eq!(json(&ok(&place, &["store", "stat", "--json"]).await)["tables"], before["tables"]);
    let nobody = place.prb(&["store", "prune", "--keep", "10", "--yes"]).await;
    assert!(nobody.stderr.contains("--ignore-workers") && nobody.code == Some(1), "{nobody:?}");
    let unasked = place.prb(&["store", "prune", "--keep", "10", "--ignore-workers"]).await;
    assert!(unasked.stderr.contains("--yes") && unasked.code == Some(1), "{unasked:?}");
    let prune = ["store", "prune", "--keep", "10", "--yes", "--ignore-workers", "--compact"];
    let said = ok(&place, &prune).await;
    assert!(said.contains(&format!("changes         1..={}", last - 10)), "{said}");
    let now = json(&ok(&place, &["store", "stat", "--json"]).await);
    assert_eq!(now["coverage"]["streams"]["changes"]["first"], last - 9, "{now}");
    assert!(now["file_bytes"].as_u64() < before["file_bytes"].as_u64(), "{now} {before}");
    assert!(ok(&place, &["store", "verify"]).await.ends_with("everything is whole\n"));

    let network = world.network.clone();
    tokio::task::spawn_blocking(move || network.steps(40)).await.unwrap().unwrap();
    let cursor = fill(&world, &place).await;
    assert!(cursor.changes.0 > last as u32 + 10);
    let refused = place.prb(&["store", "export", text(&place.path("archive"))]).await;
    assert!(refused.stderr.contains("was not pruned"), "{}", refused.stderr);
    let refused = place.prb(&["store", "prune", "--below", "1000000", "--yes"]).await;
    assert!(refused.stderr.contains("at least the last one has to stay"), "{}", refused.stderr);

    // A worker that needs what would be dropped is no secret to the inventory.
    place.add_alice().await;
    place.add_worker("dead", "http://127.0.0.1:9").await;
    let refused = place.prb(&["store", "prune", "--keep", "5", "--yes"]).await;
    assert!(refused.stderr.contains("worker dead does not say where it stands"), "{}", refused.stderr);
    ok(&place, &["store", "prune", "--keep", "5", "--yes", "--ignore-workers"]).await;
}
