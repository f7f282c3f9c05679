//! `prb data-provider` as a process of its own: killed at any moment, and with damage on its disk.

use crate::asked::Side;
use crate::kill::{nothing_again, stored};
use crate::place::{Place, Running};
use crate::world::{World, until_or};
use prb_core::id::Height;
use prb_core::port::{Blob, BlobStore, Cursor, Stream};
use prb_core::span::Span;
use prb_core::testkit::{Dice, Observed};
use prb_devnet::network;
use prb_store::{LmdbOptions, LmdbStore, RemoteOptions, RemoteStore};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SERVE: [&str; 3] = ["data-provider", "--listen", "127.0.0.1:0"];

/// Lives of the provider that are cut short.
const LIVES: u32 = 200;
/// Relay blocks that there are always more of than a short life stores.
const AHEAD: u32 = 60;

pub fn place(world: &World) -> Place {
    Place::with_nodes(&world.url(Side::Relay), &world.url(Side::Para))
}

fn open(place: &Place, compress: bool) -> LmdbStore {
    LmdbStore::open(place.path("data/blobs"), LmdbOptions { compress, ..LmdbOptions::default() }).unwrap()
}

/// Runs a provider until it has everything that the chains have.
pub async fn fill(world: &World, place: &Place) -> Cursor {
    let running = place.start(&SERVE, "info");
    let remote = remote(&running).await;
    until_or(
        "the provider has everything",
        async || has_everything(world, &remote).await,
        || running.log().join("\n"),
    )
    .await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    stored(place).await.unwrap()
}

async fn has_everything(world: &World, remote: &RemoteStore) -> bool {
    let Some(coverage) = remote.coverage().await.ok().flatten() else { return false };
    let last = |span: Option<Span>| span.map(|span| span.last().0);
    let para = Some(world.network.para().finalized_number());
    last(coverage.relay) == Some(world.network.relay().finalized_number())
        && (last(coverage.para), last(coverage.changes)) == (para, para)
}

/// A reader of this provider.
async fn remote(running: &Running) -> RemoteStore {
    let address = || {
        let log = running.log();
        let line = log.iter().find(|line| line.contains("serving") && line.contains("address="))?;
        Some(line.split("address=").nth(1)?.split_whitespace().next()?.to_owned())
    };
    until_or("the provider serves", async || address().is_some(), || running.log().join("\n")).await;
    let remote = RemoteStore::new(RemoteOptions::default());
    remote.add_provider(&format!("http://{}", address().unwrap())).unwrap();
    remote.ready().await;
    remote
}

/// X14: a provider killed with SIGKILL at random moments opens its store every time, which is whole, and goes on; nothing
/// is asked for again but what was not committed.
#[tokio::test(flavor = "multi_thread")]
async fn x14_a_provider_killed_at_two_hundred_random_moments_loses_and_repeats_nothing() {
    let seed = std::env::var("PRB_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64);
    let trace = format!("seed {seed}: run again with PRB_TEST_SEED={seed}");
    use std::io::Write;
    writeln!(std::io::stderr(), "{trace}").unwrap();
    let mut dice = Dice::new(seed);
    let mut world = World::new(network::Config::default(), AHEAD, 0).await;
    let place = place(&world);
    let mut before: Option<Cursor> = None;
    // Told by whoever opens the store next: here, the test.
    let observed = Observed::begin();
    // Lives that died before they asked for anything, with something fetched and not stored, and that stored something.
    let (mut early, mut tails, mut moved) = (0, 0, 0);
    for life in 1..=LIVES {
        let at = before.as_ref().map_or(0, |cursor| cursor.relay.height.0);
        let finalized = world.network.relay().finalized_number();
        if finalized < at + AHEAD {
            let (network, missing) = (world.network.clone(), at + AHEAD - finalized);
            tokio::task::spawn_blocking(move || network.steps(missing)).await.unwrap().unwrap();
        }
        world.asked.forget();
        let running = place.start(&SERVE, "warn");
        // A quarter dies on the way up, the others in the middle of ingest: after so many questions, and a moment.
        if dice.once_in(4) {
            tokio::time::sleep(Duration::from_micros(dice.below(60_000))).await;
        } else {
            let questions = 1 + dice.below(60) as usize;
            let done = || world.asked.count() >= questions;
            until_or("the provider asks", async || done(), || running.log().join("\n")).await;
            tokio::time::sleep(Duration::from_micros(dice.below(8_000))).await;
        }
        running.kill().await;
        world.hang_up().await;
        let asked = world.asked.count();
        if let Some(before) = &before {
            nothing_again(&world, before);
        }

        let store = (place.path("data/blobs/data.mdb").exists()).then(|| open(&place, true));
        let after = match &store {
            Some(store) => {
                let found = store.verify(&mut |_| {}).unwrap();
                assert_eq!((found.damages, &found.damaged), (0, &Vec::new()), "life {life}, {trace}");
                store.cursor().await.unwrap()
            }
            None => None,
        };
        if let Some(store) = store {
            store.close().await.unwrap();
        }
        let height =
            |cursor: &Option<Cursor>| cursor.as_ref().map(|cursor| (cursor.relay.height, cursor.changes));
        assert!(height(&after) >= height(&before), "life {life}, {trace}: nothing stored is lost");
        early += u32::from(asked == 0);
        moved += u32::from(after != before);
        let reached = after.as_ref().map_or(0, |cursor| cursor.relay.height.0);
        let fetched =
            world.asked.headers(Side::Relay, &world.network).into_iter().chain(world.asked.proofs());
        tails += u32::from(fetched.max().is_some_and(|fetched| fetched > reached));
        before = after;
    }
    writeln!(std::io::stderr(), "{early} died before asking, {moved} stored something, {tails} left a tail")
        .unwrap();
    assert!(moved > 20 && tails > 20, "{early} early, {moved} moved, {tails} tails; {trace}");
    let left = observed.lines(&["WARN", "the store was not closed in order"]).len() as u64;
    assert!((moved.into()..=LIVES.into()).contains(&left), "{left} lives were told of; {trace}");
    assert_eq!(observed.counter("prb_store_unclean_opens_total"), left);

    world.asked.forget();
    fill(&world, &place).await;
    nothing_again(&world, &before.unwrap());
    let store = open(&place, true);
    assert_eq!(store.verify(&mut |_| {}).unwrap().damages, 0);
    // What was put together in so many lives is what one life stores.
    let undisturbed = self::place(&world);
    fill(&world, &undisturbed).await;
    assert_same(&store, &open(&undisturbed, true)).await;
}

/// Whether both stores hold the same; the newest justification is whichever the node gave.
pub async fn assert_same(one: &LmdbStore, other: &LmdbStore) {
    let (here, there) = (one.coverage().await.unwrap().unwrap(), other.coverage().await.unwrap().unwrap());
    assert_eq!(here, there);
    let closing = |rungs: Vec<prb_core::port::Rung>| {
        rungs.into_iter().filter(|rung| rung.closes_set).collect::<Vec<_>>()
    };
    let rungs = closing(one.rungs(Height(0), usize::MAX).await.unwrap());
    assert_eq!(rungs, closing(other.rungs(Height(0), usize::MAX).await.unwrap()));
    let end = rungs.last().map_or(Height(0), |rung| rung.at);
    for (stream, span) in [
        (Stream::RelayHeaders, here.relay),
        (Stream::ParaHeaders, here.para),
        (Stream::Changes, here.changes),
        (Stream::Justifications, Span::new(Height(0), end)),
        (Stream::ParaHeads, Span::new(Height(0), end)),
        (Stream::SetChanges, Span::new(Height(0), end)),
    ] {
        let Some(span) = span else { continue };
        let read =
            async |store: &LmdbStore| -> Vec<Blob> { store.read(stream, span, usize::MAX).await.unwrap() };
        assert_eq!(read(one).await, read(other).await, "{stream}");
    }
}

/// X17: `prb store verify` names the item with a flipped byte, and a running provider repairs it.
#[tokio::test(flavor = "multi_thread")]
async fn x17_a_flipped_byte_is_named_by_verify_and_repaired_by_a_running_provider() {
    let world = World::new(network::Config::default(), 50, 0).await;
    let place = place(&world);
    fill(&world, &place).await;
    let whole = place.ok(&["store", "verify"]).await;
    assert!(whole.ends_with("everything is whole\n"), "{whole}");

    // Stored as it is, so that the test finds it in the file.
    let (stream, height) = (Stream::Changes, Height(7));
    let plain = open(&place, false);
    let item = plain.read(stream, Span::one(height), 0).await.unwrap().remove(0);
    plain.repair(stream, item.clone()).await.unwrap();
    plain.close().await.unwrap();
    let file = place.path("data/blobs/data.mdb");
    let mut data = std::fs::read(&file).unwrap();
    let at = data.windows(item.bytes.len()).position(|found| found == item.bytes).unwrap();
    data[at + item.bytes.len() / 2] ^= 1;
    std::fs::write(&file, data).unwrap();

    let done = place.prb(&["store", "verify", "--json"]).await;
    assert_ne!(done.code, Some(0));
    let found: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(found["damages"], 1, "{found}");
    assert_eq!(found["damaged"][0], serde_json::json!({"part": "changes", "item": "7", "missing": false}));
    assert!(
        done.stderr.contains("changes at 7 is damaged") && done.stderr.lines().count() == 1,
        "{}",
        done.stderr
    );

    world.asked.forget();
    let running = place.start(&SERVE, "info");
    let remote = remote(&running).await;
    let read = async || remote.read(stream, Span::one(height), 0).await;
    until_or(
        "it is repaired",
        async || read().await.is_ok_and(|read| read == [item.clone()]),
        || running.log().join("\n"),
    )
    .await;
    let says = |words: &[&str]| running.logged(words);
    assert!(says(&["damaged on disk", "changes", "height=7"]) && says(&["repaired", "changes", "height=7"]));
    assert_eq!(world.asked.changes(&world.network), [(7, 7)], "nothing else is fetched again");
    assert_eq!(running.end("-TERM").await.0, Some(0));
    assert!(place.ok(&["store", "verify"]).await.ends_with("everything is whole\n"));
}
