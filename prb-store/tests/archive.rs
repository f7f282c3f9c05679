//! Archives: what is written, what is read, and what is refused.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "support/files.rs"]
mod files;

use files::{Files, Mood};
use prb_core::{
    id::Height,
    port::{Blob, BlobStore, Stream},
    span::Span,
    testkit::{Observed, conform::store::Synthetic},
};
use prb_store::{
    LmdbOptions, LmdbStore, MemoryStore,
    archive::{
        Archive, ArchiveError, ExportOptions, ExportStep, Exported, Exporting, MANIFEST, Manifest, Place,
        export,
    },
};
use std::{collections::BTreeMap, fs, path::Path};

const SMALL: ExportOptions = ExportOptions { segment_bytes: 4096, quick: false };

/// A store with some closed sets, and what comes after the last of them.
struct World {
    store: MemoryStore,
    chain: Synthetic,
}

impl World {
    async fn new(sets: u32) -> Self {
        let world = Self { store: MemoryStore::new(), chain: Synthetic::new(1) };
        world.store.append(world.chain.begin()).await.unwrap();
        let mut world = world;
        world.grow(sets).await;
        world.store.append(world.chain.relay(5, 3, false)).await.unwrap();
        world
    }

    async fn grow(&mut self, sets: u32) {
        for _ in 0..sets {
            self.store.append(self.chain.relay(7, 4, false)).await.unwrap();
            self.store.append(self.chain.relay(6, 4, true)).await.unwrap();
            let missing = self.chain.cursor().para.unwrap().height.since(self.chain.cursor().changes);
            self.store.append(self.chain.changes(missing, 700)).await.unwrap();
        }
    }

    async fn export(&self, folder: &Path) -> (Manifest, Exported) {
        export(&self.store, folder, SMALL, &mut |_| {}).await.unwrap()
    }
}

/// Every file but the lock, by name.
fn files_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap() != ".export.lock" {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

#[tokio::test]
async fn the_same_data_makes_the_same_files_however_often_it_is_exported() {
    let root = tempfile::tempdir().unwrap();
    let folder = |name: &str| root.path().join(name);
    let mut world = World::new(9).await;
    let (manifest, done) = world.export(&folder("a")).await;
    assert!(manifest.segments(Stream::Changes).len() > 3, "{manifest:?}");
    assert_eq!(done.files as usize, manifest.names().count());
    // Up to the newest block that closes a set, and no further.
    assert_eq!(manifest.span(Stream::RelayHeaders).unwrap().last(), Height(100 + 9 * 13));
    world.export(&folder("b")).await;
    assert_eq!(files_in(&folder("a")), files_in(&folder("b")));
    let (again, done) = world.export(&folder("a")).await;
    assert_eq!((again, done), (manifest.clone(), Exported::default()), "nothing is written twice");

    world.store.append(world.chain.relay(1, 0, true)).await.unwrap();
    world.grow(9).await;
    let (grown, done) = world.export(&folder("a")).await;
    let fresh = world.export(&folder("c")).await.0;
    assert_eq!(grown, fresh, "how far an earlier export came makes no difference");
    let kept = manifest.names().filter(|name| grown.names().any(|now| now == *name)).count();
    assert!(kept > manifest.names().count() / 2, "only the last segments are replaced: {kept}");
    assert_eq!(done.removed, 0, "who reads by the manifest before still finds its files");
    let fresh = files_in(&folder("c"));
    assert!(fresh.iter().all(|(name, file)| files_in(&folder("a"))[name] == *file));
    world.export(&folder("a")).await;
    assert_eq!(files_in(&folder("a")), fresh, "then they are removed");
}

#[tokio::test]
async fn an_interrupted_export_goes_on_where_it_was() {
    let root = tempfile::tempdir().unwrap();
    let world = World::new(12).await;
    let whole = world.export(&root.path().join("whole")).await.0;
    let steps = 6;
    for ended in 1..=steps {
        let folder = root.path().join(ended.to_string());
        for _ in 0..2 {
            let (store, into) = (world.store.clone(), folder.clone());
            let export = tokio::spawn(async move {
                let mut calls = 0;
                let mut stop = |at: Exporting| {
                    calls += u32::from(at.step == ExportStep::Writing);
                    assert!(calls <= ended, "ended on purpose");
                };
                export(&store, &into, SMALL, &mut stop).await.map(drop)
            });
            assert!(export.await.is_err(), "{ended}");
        }
        let text = fs::read(folder.join(MANIFEST)).unwrap();
        let published = Manifest::parse("", &text).unwrap();
        assert!(published.names().all(|name| folder.join(name).exists()), "no name without its file");
        fs::write(folder.join("changes/half.part"), b"half").ok();
        assert_eq!(world.export(&folder).await.0, whole, "{ended}");
    }
    // Files that got lost are written again.
    let folder = root.path().join("1");
    let lost = whole.segments(Stream::Changes)[1].name(Stream::Changes);
    fs::remove_file(folder.join(&lost)).unwrap();
    assert_eq!(world.export(&folder).await.0, whole);
    assert!(folder.join(&lost).exists());
}

/// The archive is as good as before: a store that begins too late must not cut it down.
#[tokio::test]
async fn an_archive_that_cannot_be_mended_is_left_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let store = LmdbStore::open(root.path().join("store"), LmdbOptions::default()).unwrap();
    let mut chain = Synthetic::new(1);
    store.append(chain.begin()).await.unwrap();
    for _ in 0..9 {
        store.append(chain.relay(7, 4, false)).await.unwrap();
        store.append(chain.relay(6, 4, true)).await.unwrap();
        let missing = chain.cursor().para.unwrap().height.since(chain.cursor().changes);
        store.append(chain.changes(missing, 700)).await.unwrap();
    }
    let folder = root.path().join("archive");
    let manifest = export(&store, &folder, SMALL, &mut |_| {}).await.unwrap().0;
    let plan = store.plan_prune(manifest.span(Stream::Changes).unwrap().last()).unwrap();
    store.prune(&plan, &mut |_| {}).unwrap();

    let changes = folder.join("changes");
    fs::rename(&changes, root.path().join("aside")).unwrap();
    fs::write(&changes, b"no folder").unwrap();
    let before = files_in(&folder);
    let refused = export(&store, &folder, SMALL, &mut |_| {}).await;
    assert!(matches!(refused, Err(ArchiveError::Io { .. })), "{refused:?}");
    assert!(files_in(&folder) == before, "what cannot be looked at is not lost");
    fs::remove_file(&changes).unwrap();
    fs::rename(root.path().join("aside"), &changes).unwrap();

    fs::remove_file(folder.join(manifest.segments(Stream::Changes)[1].name(Stream::Changes))).unwrap();
    let before = files_in(&folder);
    let refused = export(&store, &folder, SMALL, &mut |_| {}).await;
    assert!(matches!(refused, Err(ArchiveError::Pruned { stream: Stream::Changes, .. })), "{refused:?}");
    assert!(files_in(&folder) == before, "every file is still there and named");
    store.close().await.unwrap();
}

/// Closed sets of the same chain in both stores.
async fn grow(stores: [&dyn BlobStore; 2], chain: &mut Synthetic, sets: u32) {
    for _ in 0..sets {
        let mut appends = vec![chain.relay(7, 4, false), chain.relay(6, 4, true)];
        let missing = chain.cursor().para.unwrap().height.since(chain.cursor().changes);
        appends.push(chain.changes(missing, 700));
        for append in appends {
            stores[0].append(append.clone()).await.unwrap();
            stores[1].append(append).await.unwrap();
        }
    }
}

/// What a pruned store lacks of the last, short segments is in the archive itself.
#[tokio::test]
async fn a_store_pruned_up_to_an_archives_end_goes_on_with_it() {
    let root = tempfile::tempdir().unwrap();
    let (pruned, whole) = (root.path().join("pruned"), root.path().join("whole"));
    let store = LmdbStore::open(root.path().join("store"), LmdbOptions::default()).unwrap();
    let (memory, mut chain) = (MemoryStore::new(), Synthetic::new(1));
    let begin = chain.begin();
    store.append(begin.clone()).await.unwrap();
    memory.append(begin).await.unwrap();
    grow([&store, &memory], &mut chain, 9).await;
    let before = export(&store, &pruned, SMALL, &mut |_| {}).await.unwrap().0;
    let short = *before.segments(Stream::Changes).last().unwrap();
    assert!(short.piece.plain < 4096 && short.first < short.last, "{short:?}");
    grow([&store, &memory], &mut chain, 5).await;
    let plan = store.plan_prune(Height(short.last)).unwrap();
    store.prune(&plan, &mut |_| {}).unwrap();
    assert!(store.coverage().await.unwrap().unwrap().changes.unwrap().first() > Height(short.first));

    let grown = export(&store, &pruned, SMALL, &mut |_| {}).await.unwrap().0;
    let fresh = export(&memory, &whole, SMALL, &mut |_| {}).await.unwrap().0;
    assert_eq!(grown, fresh, "the same files as those of a store that has everything");
    let (grown, fresh) = (files_in(&pruned), files_in(&whole));
    assert!(fresh.iter().all(|(name, file)| grown[name] == *file));
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_of_the_right_length_is_written_again() {
    let root = tempfile::tempdir().unwrap();
    let world = World::new(9).await;
    let manifest = world.export(root.path()).await.0;
    let before = files_in(root.path());
    let genesis = manifest.genesis_name();
    for name in [manifest.segments(Stream::Changes)[1].name(Stream::Changes), genesis] {
        let path = root.path().join(&name);
        let mut bent = fs::read(&path).unwrap();
        bent[7] ^= 1;
        fs::write(&path, &bent).unwrap();
        if name != manifest.genesis_name() {
            let quick = ExportOptions { quick: true, ..SMALL };
            let done = export(&world.store, root.path(), quick, &mut |_| {}).await.unwrap().1;
            assert_eq!((done, fs::read(&path).unwrap()), (Exported::default(), bent), "lengths tell nothing");
        }
        let (again, done) = world.export(root.path()).await;
        assert_eq!((again, done.files), (manifest.clone(), 1), "{name}");
        assert!(files_in(root.path()) == before, "{name}");
    }
}

/// The store ends before the archive does, and a file of what only the archive has is gone.
#[tokio::test]
async fn a_store_that_is_behind_does_not_shorten_an_archive() {
    let root = tempfile::tempdir().unwrap();
    let manifest = World::new(9).await.export(root.path()).await.0;
    fs::remove_file(root.path().join(manifest.segments(Stream::Changes)[0].name(Stream::Changes))).unwrap();
    let before = files_in(root.path());
    let refused = export(&World::new(3).await.store, root.path(), SMALL, &mut |_| {}).await;
    assert!(matches!(refused, Err(ArchiveError::Damaged { .. })), "{refused:?}");
    assert!(files_in(root.path()) == before);
}

#[tokio::test]
async fn what_does_not_belong_together_is_not_mixed() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a");
    let world = World::new(2).await;
    world.export(&folder).await;
    let other = MemoryStore::new();
    let mut chain = Synthetic::new(2);
    other.append(chain.begin()).await.unwrap();
    let refused = export(&other, &folder, SMALL, &mut |_| {}).await;
    assert!(matches!(refused, Err(ArchiveError::Nothing)), "{refused:?}");
    other.append(chain.relay(3, 3, true)).await.unwrap();
    let refused = export(&other, &folder, SMALL, &mut |_| {}).await;
    assert!(matches!(refused, Err(ArchiveError::ForeignChain { .. })), "{refused:?}");
    assert_eq!(refused.unwrap_err().to_string().lines().count(), 1);

    fs::create_dir(root.path().join("b")).unwrap();
    fs::write(root.path().join("b/letter"), b"dear").unwrap();
    let refused = export(&other, &root.path().join("b"), SMALL, &mut |_| {}).await;
    assert!(matches!(refused, Err(ArchiveError::NotEmpty { .. })), "{refused:?}");
    assert_eq!(fs::read(root.path().join("b/letter")).unwrap(), b"dear");
    assert_eq!(fs::read_dir(root.path().join("b")).unwrap().count(), 1, "nothing is put beside it");
}

/// Everything an archive holds is what the store holds.
async fn agrees(archive: &Archive, store: &MemoryStore) {
    assert_eq!(archive.genesis().await.unwrap(), *store.genesis().await.unwrap().unwrap());
    for stream in Stream::ALL {
        let Some(span) = archive.manifest().span(stream) else { continue };
        let stored: Vec<Blob> = store.read(stream, span, usize::MAX).await.unwrap();
        assert!(!stored.is_empty(), "{stream}");
        if stream.is_sparse() {
            let mut found = Vec::new();
            let mut from = span.first();
            while let Some(item) = archive.next_item(stream, from).await.unwrap() {
                from = item.height.next();
                assert_eq!(archive.item(stream, item.height).await.unwrap(), Some(item.bytes.clone()));
                found.push(item);
            }
            assert_eq!(found, stored, "{stream}");
            assert_eq!(archive.item(stream, span.first()).await.unwrap(), None);
        } else {
            let items = archive.items(stream, span).await.unwrap();
            assert_eq!(items, stored.into_iter().map(|blob| blob.bytes).collect::<Vec<_>>(), "{stream}");
            let beyond = Span::new(span.first(), span.last().next()).unwrap();
            let missing = archive.items(stream, beyond).await;
            assert!(matches!(missing, Err(ArchiveError::Missing { .. })), "{missing:?}");
        }
    }
}

#[tokio::test]
async fn an_archive_is_read_from_a_folder_and_from_a_web_server() {
    let root = tempfile::tempdir().unwrap();
    let world = World::new(6).await;
    let manifest = world.export(root.path()).await.0;
    agrees(&Archive::open(Place::folder(root.path())).await.unwrap(), &world.store).await;

    let server = Files::serve(root.path()).await;
    let archive = Archive::open(Place::parse(&server.url).unwrap()).await.unwrap();
    let span = manifest.span(Stream::Changes).unwrap();
    for height in span.heights() {
        archive.items(Stream::Changes, Span::one(height)).await.unwrap();
    }
    assert!(server.asked().values().all(|asked| *asked == 1), "{:?}", server.asked());
    agrees(&archive, &world.store).await;
    let moved = Files::serve_with(root.path(), {
        let url = server.url.clone();
        move |_, _| Mood::Redirect(url.clone())
    });
    let moved = moved.await;
    agrees(&Archive::open(Place::parse(&format!("{}/", moved.url)).unwrap()).await.unwrap(), &world.store)
        .await;
}

/// X17, X19, X23: a server that fails now and then is asked again; one that answers too much, something else or nothing
/// is told by name.
#[tokio::test]
async fn x17_trouble_on_the_way_is_waited_out_and_nonsense_refused() {
    let root = tempfile::tempdir().unwrap();
    let world = World::new(6).await;
    let manifest = world.export(root.path()).await.0;
    for passing in [Mood::Status(503), Mood::Status(429), Mood::Bent, Mood::Cut] {
        let (mood, observed) = (passing.clone(), Observed::begin());
        let server = Files::serve_with(root.path(), move |name, asked| {
            if asked == 1 && name != MANIFEST { mood.clone() } else { Mood::Honest }
        });
        let server = server.await;
        let archive = Archive::open(Place::parse(&server.url).unwrap()).await.unwrap();
        agrees(&archive, &world.store).await;
        // The first answer about each file but the manifest was bad.
        let bad = server.asked().keys().filter(|name| *name != MANIFEST).count();
        let counted = match passing {
            Mood::Bent => "prb_archive_damaged_total",
            _ => "prb_archive_retries_total",
        };
        assert!(bad > 0);
        assert_eq!(observed.counter(counted), bad as u64, "{passing:?}");
        let told = observed.lines(&["WARN", "a file of the archive came damaged"]);
        assert_eq!(told.len(), if passing == Mood::Bent { bad } else { 0 }, "{passing:?}");
    }
    let first = manifest.segments(Stream::Changes)[0].name(Stream::Changes);
    let cases = [
        (Mood::Bent, "hash", 3),
        (Mood::Status(404), "lacks", 1),
        (Mood::Status(401), "401", 1),
        (Mood::Endless, "larger than", 1),
    ];
    for (lasting, why, times) in cases {
        let (mood, bent) = (lasting.clone(), first.clone());
        let server = Files::serve_with(
            root.path(),
            move |name, _| {
                if name == bent { mood.clone() } else { Mood::Honest }
            },
        );
        let server = server.await;
        let archive = Archive::open(Place::parse(&server.url).unwrap()).await.unwrap();
        let observed = Observed::begin();
        let refused = archive.items(Stream::Changes, Span::one(Height(1))).await.unwrap_err().to_string();
        assert!(refused.contains(why) && refused.contains(&first), "{lasting:?}: {refused}");
        assert_eq!((refused.lines().count(), server.asked()[&first]), (1, times), "{lasting:?}");
        let damaged = if lasting == Mood::Bent { 3 } else { 0 };
        assert_eq!(observed.counter("prb_archive_damaged_total"), damaged, "{lasting:?}");
    }
    let server = Files::serve_with(root.path(), |_, _| Mood::Endless).await;
    let refused = Archive::open(Place::parse(&server.url).unwrap()).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::TooLarge { .. }), "{refused:?}");
    let server = Files::serve(&root.path().join("changes")).await;
    let refused = Archive::open(Place::parse(&server.url).unwrap()).await.unwrap_err().to_string();
    assert!(refused.contains("holds no archive"), "{refused}");
}

/// X23: whoever imports learns within a minute that there is no archive.
#[tokio::test(start_paused = true)]
async fn a_manifest_that_does_not_come_is_given_up_soon() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(MANIFEST), [b' '; 5000]).unwrap();
    for mood in [Mood::Silent, Mood::Dripping] {
        let held = mood.clone();
        let server = Files::serve_with(root.path(), move |_, _| held.clone()).await;
        let begun = tokio::time::Instant::now();
        let refused = Archive::open(Place::parse(&server.url).unwrap()).await.unwrap_err();
        let taken = begun.elapsed();
        assert!(matches!(refused, ArchiveError::Unreachable { .. }), "{refused}");
        assert!(taken.as_secs() <= 61, "{mood:?}: {taken:?}");
    }
}

/// X19: a manifest whose segments hold more or fewer items than it says.
#[tokio::test]
async fn x19_a_manifest_that_lies_about_its_segments_is_found_out() {
    let root = tempfile::tempdir().unwrap();
    let world = World::new(6).await;
    let manifest = world.export(root.path()).await.0;
    let mut lying = manifest.clone();
    let segments = lying.streams.get_mut("changes").unwrap();
    // Two neighbours under each other's heights.
    let (first, second) = (segments[0], segments[1]);
    (segments[0].piece, segments[1].piece) = (second.piece, first.piece);
    for (from, to) in [(&first, &segments[1]), (&second, &segments[0])] {
        fs::copy(root.path().join(from.name(Stream::Changes)), root.path().join(to.name(Stream::Changes)))
            .unwrap();
    }
    fs::write(root.path().join(MANIFEST), lying.text().unwrap()).unwrap();
    let archive = Archive::open(Place::folder(root.path())).await.unwrap();
    let refused = archive.items(Stream::Changes, Span::one(Height(1))).await;
    assert!(matches!(refused, Err(ArchiveError::Damaged { .. })), "{refused:?}");
}
