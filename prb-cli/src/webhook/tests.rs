use super::*;
use crate::{
    inventory::{Pool, WorkerRecord},
    v3::status::tests::seen,
};
use alerts::{Alert, Word};
use hooks::Hooks;
use prb_core::{
    id::{AccountId, BlockRef, Hash, Height, JobId, PoolId},
    lifecycle::Stage,
    pipeline::{Event, Message},
    port::{CallResult, Outcome, WorkerInfo, sink::DispatchError},
};
use serde_json::json;
use tokio::sync::Semaphore;

#[allow(dead_code, missing_docs, unreachable_pub)]
#[path = "../../tests/cli/hooks.rs"]
mod hooks;

fn inventory(names: &[&str]) -> Snapshot {
    let record = |name: &&str| WorkerRecord::new(*name, "http://10.0.0.2:8000", 1, 5_000_000_000_000_000);
    Snapshot { workers: names.iter().map(record).collect(), ..Snapshot::default() }
}

fn config(notify: Notify) -> Config {
    let mut config = Config::for_nodes("prb-data".into(), "ws://127.0.0.1:9", "ws://127.0.0.1:9");
    config.notify = notify;
    config
}

fn notifier(notify: Notify) -> Notifier {
    Notifier::start(&config(notify)).unwrap().unwrap()
}

fn look(notifier: &Notifier, workers: &[WorkerStatus]) {
    let inventory = inventory(&["w1", "w2"]);
    notifier.look(Stand { workers, inventory: Some(&inventory), ..Stand::default() });
}

/// Waits until so many were posted.
async fn until_posted(hooks: &Hooks, number: usize) {
    let posted = async {
        while hooks.posted().len() < number {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(60), posted).await;
    assert!(ended.is_ok(), "{number} in {:?}", hooks.posted());
}

#[tokio::test]
async fn v3_f50_a_status_is_posted_as_v3_writes_it_when_state_or_message_changes_and_not_otherwise() {
    let hooks = Hooks::serve().await;
    let notifier = notifier(Notify { urls: vec![format!("{}/hook?key=1", hooks.url)], ..Notify::default() });
    let mut worker = seen("w1", Stage::Starting);
    look(&notifier, &[worker.clone()]);
    look(&notifier, &[worker.clone()]);
    worker.stage = Stage::Syncing;
    worker.info = Some(WorkerInfo { blocknum: Height(7), ..WorkerInfo::default() });
    look(&notifier, &[worker.clone()]);
    worker.info = Some(WorkerInfo { blocknum: Height(8), ..WorkerInfo::default() });
    look(&notifier, &[worker.clone()]);
    // 2024-05-30 07:01:02 UTC.
    worker.last_message = Some(Message { at: 1_717_052_462_007, text: "text".to_owned() });
    look(&notifier, &[worker.clone()]);
    // A worker that the inventory has no more is nobody's.
    look(&notifier, &[worker.clone(), seen("gone", Stage::Working)]);
    worker.trouble = Some("it hangs".to_owned());
    look(&notifier, &[worker]);
    until_posted(&hooks, 4).await;
    notifier.stop().await;

    let posted = hooks.posted();
    assert_eq!(posted.len(), 4, "{posted:?}");
    assert_eq!(posted[0].line, "POST /hook?key=1 HTTP/1.1");
    assert_eq!(posted[0].header("content-type"), Some("application/json"));
    let mut first = posted[0].json();
    assert!(first["worker"]["id"].take().as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    let expected = json!({
        "worker": {
            "id": null, "name": "w1", "endpoint": "http://10.0.0.2:8000/", "stake": "5000000000000000",
            "pid": 1, "enabled": true, "sync_only": false, "gatekeeper": false
        },
        "state": "Starting",
        "phactory_info": null,
        "last_message": "",
        "session_info": null
    });
    assert_eq!(first, expected);
    assert_eq!(
        (&posted[1].json()["state"], &posted[1].json()["phactory_info"]["blocknum"]),
        (&json!("Synchronizing"), &json!(7))
    );
    assert_eq!(posted[2].json()["last_message"], "[05-30 07:01:02] text");
    assert_eq!(posted[3].json()["state"], json!({ "HasError": "it hangs" }));
}

#[tokio::test]
async fn v3_f50_what_fails_is_tried_again_and_what_is_refused_is_not() {
    let hooks = Hooks::answering(&[500, 429, 200, 404, 200]).await;
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "a-secret\n").unwrap();
    let notify = Notify { urls: vec![hooks.url.clone()], token_file: Some(token_file), ..Notify::default() };
    let notifier = notifier(notify.clone());
    for stage in [Stage::Starting, Stage::Syncing, Stage::Working] {
        look(&notifier, &[seen("w1", stage)]);
    }
    until_posted(&hooks, 5).await;
    let posted = hooks.posted();
    let states: Vec<_> = posted.iter().map(|one| one.json()["state"].clone()).collect();
    assert_eq!(states, ["Starting", "Starting", "Starting", "Synchronizing", "Working"]);
    assert_eq!(posted[0].header("authorization"), Some("Bearer a-secret"));
    notifier.stop().await;

    let other = Hooks::serve().await;
    let urls = vec![other.url.clone()];
    let notifier = self::notifier(Notify { urls, token_header: "X-Hook-Token".to_owned(), ..notify });
    look(&notifier, &[seen("w1", Stage::Starting)]);
    until_posted(&other, 1).await;
    assert_eq!(other.posted()[0].header("x-hook-token"), Some("a-secret"));
}

#[tokio::test]
async fn v3_f50_who_hangs_keeps_nobody_waiting_and_the_oldest_is_dropped_for_him() {
    let permits = Arc::new(Semaphore::new(0));
    let (hanging, other) = (Hooks::with(&[], permits.clone()).await, Hooks::serve().await);
    let urls = vec![hanging.url.clone(), other.url.clone()];
    let notifier = notifier(Notify { urls, queue: 2, timeout_seconds: 300, ..Notify::default() });
    look(&notifier, &[seen("w1", Stage::Starting)]);
    until_posted(&hanging, 1).await;
    let states = [Stage::Syncing, Stage::Registering, Stage::Working, Stage::Disabled];
    for (number, stage) in states.into_iter().enumerate() {
        look(&notifier, &[seen("w1", stage)]);
        until_posted(&other, number + 2).await;
    }
    assert_eq!(hanging.posted().len(), 1);
    permits.add_permits(10);
    until_posted(&hanging, 3).await;
    let states: Vec<_> = hanging.posted().iter().map(|one| one.json()["state"].clone()).collect();
    assert_eq!(states, ["Starting", "Working", "Disabled"], "what came between is dropped");
    notifier.stop().await;
}

#[tokio::test]
async fn v3_f90_a_workers_place_is_posted_as_pherry_does_and_tried_once() {
    let hooks = Hooks::answering(&[500]).await;
    let notifier =
        notifier(Notify { pherry_urls: vec![format!("{}/{{worker}}", hooks.url)], ..Notify::default() });
    let at = |blocknum, initialized, at_tip| {
        let info = WorkerInfo {
            headernum: Height(9),
            blocknum: Height(blocknum),
            initialized,
            ..WorkerInfo::default()
        };
        WorkerStatus { info: Some(info), at_tip, ..seen("rack 1", Stage::Syncing) }
    };
    let places =
        [at(0, false, false), at(0, true, false), at(4, true, true), at(4, true, true), at(5, true, false)];
    let mut number = 0;
    for (index, place) in places.into_iter().enumerate() {
        look(&notifier, &[place]);
        // The fourth says nothing new.
        number += usize::from(index != 3);
        until_posted(&hooks, number).await;
    }
    let posted = hooks.posted();
    assert_eq!(posted[0].line, "POST /rack%201 HTTP/1.1");
    let place = |blocknum, initialized, new, synced| {
        json!({
            "headernum": 9, "blocknum": blocknum, "pruntime_initialized": initialized, "pruntime_new_init": new,
            "initial_sync_finished": synced,
        })
    };
    let expected = [
        place(0, false, false, false),
        place(0, true, true, false),
        place(4, true, true, true),
        place(5, true, true, true),
    ];
    assert_eq!(posted.iter().map(hooks::Posted::json).collect::<Vec<_>>(), expected);
    notifier.stop().await;
}

#[tokio::test]
async fn v3_f90_a_place_that_waits_is_replaced_by_a_later_one_of_the_same_worker() {
    let permits = Arc::new(Semaphore::new(0));
    let hooks = Hooks::with(&[], permits.clone()).await;
    let notifier =
        notifier(Notify { pherry_urls: vec![hooks.url.clone()], timeout_seconds: 300, ..Notify::default() });
    let at = |name, blocknum| {
        let info = WorkerInfo { blocknum: Height(blocknum), ..WorkerInfo::default() };
        WorkerStatus { info: Some(info), ..seen(name, Stage::Syncing) }
    };
    look(&notifier, &[at("w1", 1)]);
    until_posted(&hooks, 1).await;
    for blocknum in 2..=9 {
        look(&notifier, &[at("w1", blocknum), at("w2", 100 + blocknum)]);
    }
    permits.add_permits(10);
    until_posted(&hooks, 3).await;
    notifier.stop().await;
    let blocks: Vec<_> = hooks.posted().iter().map(|one| one.json()["blocknum"].clone()).collect();
    assert_eq!(blocks, [1, 9, 109]);
}

/// Seconds after the epoch, and what is told then.
fn told(
    alerts: &mut Alerts,
    at: u64,
    workers: &[WorkerStatus],
    accounts: &[String],
    heard: &mut Heard,
) -> Vec<Alert> {
    alerts.of(at * 1000, Stand { workers, accounts, ..Stand::default() }, heard)
}

fn words(alerts: &[Alert]) -> Vec<(Word, &'static str, &str)> {
    alerts.iter().map(|alert| (alert.word, alert.kind, alert.cause.as_str())).collect()
}

#[test]
fn v3_f50_trouble_is_an_alert_once_it_lasts_and_its_end_is_told_to_who_was_told() {
    let (mut alerts, mut heard) = (Alerts::new(Duration::from_secs(60)), Heard::default());
    let bad = |cause: &str| WorkerStatus { trouble: Some(cause.to_owned()), ..seen("w1", Stage::Working) };
    let well = seen("w1", Stage::Working);
    let mut at =
        |at, worker: &WorkerStatus| told(&mut alerts, at, std::slice::from_ref(worker), &[], &mut heard);
    assert!(at(0, &bad("refused")).is_empty());
    assert!(at(30, &well).is_empty(), "a hiccup is nobody's business");
    assert!(at(40, &bad("refused")).is_empty());
    assert!(at(99, &bad("hangs")).is_empty());
    let raised = at(100, &bad("hangs"));
    assert_eq!(words(&raised), [(Word::Raised, "worker", "hangs")]);
    assert_eq!((raised[0].subject.as_str(), raised[0].since, raised[0].at), ("w1", 40_000, 100_000));
    assert!(at(200, &bad("refused")).is_empty(), "it is told already");
    let over = at(300, &well);
    assert_eq!(words(&over), [(Word::Over, "worker", "refused")]);
    let json = json!({
        "state": "over", "kind": "worker", "subject": "w1", "cause": "refused", "since": 40_000, "at": 300_000,
        "text": "worker w1 is well again (was: refused)",
    });
    assert_eq!(over[0].json(), json);
    assert!(at(301, &seen("w1", Stage::Unresponsive)).is_empty());
    assert_eq!(
        words(&at(361, &seen("w1", Stage::Unresponsive))),
        [(Word::Raised, "worker", "the chain has marked it as silent")]
    );
}

#[test]
fn v3_f50_stalls_balances_and_failed_transactions_are_alerts() {
    let (mut alerts, mut heard) = (Alerts::new(Duration::from_secs(60)), Heard::default());
    let stalled = Event::Stalled { what: "relay headers", cause: "waits for a".to_owned() };
    heard.event(&stalled);
    let low = vec![format!("account {} has 1 PHA left", AccountId([7; 32]))];
    let first = told(&mut alerts, 0, &[], &low, &mut heard);
    let account = format!("account {} has 1 PHA left", AccountId([7; 32]));
    assert_eq!(
        words(&first),
        [(Word::Raised, "account", account.as_str()), (Word::Raised, "stall", "waits for a")]
    );
    assert_eq!(first[0].subject, format!("{} (low balance)", AccountId([7; 32])));
    let rival = format!("account {} is used by another program; stop one of them", AccountId([7; 32]));
    let both = [low[0].clone(), rival.clone()];
    let more = told(&mut alerts, 0, &[], &both, &mut heard);
    assert_eq!(words(&more), [(Word::Raised, "account", rival.as_str())], "one account may have both");
    assert_eq!(
        words(&told(&mut alerts, 0, &[], &low, &mut heard)),
        [(Word::Over, "account", rival.as_str())]
    );
    heard.event(&stalled);
    assert!(told(&mut alerts, 1, &[], &low, &mut heard).is_empty());
    heard.event(&Event::Resumed { what: "relay headers" });
    let over = told(&mut alerts, 2, &[], &[], &mut heard);
    assert_eq!(over.iter().map(|alert| alert.word).collect::<Vec<_>>(), [Word::Over, Word::Over]);

    let ended = |outcome| Event::JobEnded { job: JobId { era: 1, number: 2 }, pool: PoolId(3), outcome };
    let finalized = |results| Outcome::Finalized {
        block: BlockRef { height: Height(1), hash: Hash::default() },
        extrinsic: Hash::default(),
        results,
    };
    let failed = DispatchError { pallet: Some("PhalaStakePool".to_owned()), error: "LowScore".to_owned() };
    for (outcome, expected) in [
        (finalized(vec![CallResult::Ok]), None),
        (
            finalized(vec![CallResult::Ok, CallResult::Failed(failed)]),
            Some("a call failed: PhalaStakePool.LowScore"),
        ),
        (Outcome::Rejected("no funds".to_owned()), Some("rejected: no funds")),
        (Outcome::Expired, Some("expired: it was not included in time")),
        (Outcome::Unknown("odd".to_owned()), Some("nobody can tell what became of it: odd")),
    ] {
        heard.event(&ended(outcome));
        let told = told(&mut alerts, 3, &[], &[], &mut heard);
        assert_eq!(
            words(&told),
            expected.map(|cause| (Word::Once, "transaction", cause)).into_iter().collect::<Vec<_>>()
        );
    }
    heard.event(&Event::IngestTrouble { cause: "down".to_owned() });
    assert!(told(&mut alerts, 10, &[], &[], &mut heard).is_empty());
    assert_eq!(words(&told(&mut alerts, 70, &[], &[], &mut heard)), [(Word::Raised, "ingest", "down")]);
    heard.event(&Event::IngestRecovered);
    assert_eq!(words(&told(&mut alerts, 71, &[], &[], &mut heard)), [(Word::Over, "ingest", "down")]);
}

#[test]
fn v3_f50_a_silent_source_is_one_alert_however_much_stands_still_for_it() {
    let (mut alerts, mut heard) = (Alerts::new(Duration::from_secs(60)), Heard::default());
    let stalled = |what| Event::Stalled { what, cause: "waits for a".to_owned() };
    let starved = WorkerStatus {
        trouble: Some("waiting for storage changes of block 7".to_owned()),
        starved: true,
        ..seen("w1", Stage::Syncing)
    };
    let mut at = |second, event: Option<Event>, workers: &[WorkerStatus]| {
        event.iter().for_each(|event| heard.event(event));
        let told = told(&mut alerts, second, workers, &[], &mut heard);
        told.into_iter().map(|alert| (alert.word, alert.subject)).collect::<Vec<_>>()
    };
    let one = |word, subject: &str| vec![(word, subject.to_owned())];
    let all = std::slice::from_ref(&starved);
    assert_eq!(at(0, Some(stalled("relay headers")), all), one(Word::Raised, "relay headers"));
    for (second, event) in [
        (2, Some(stalled("storage changes"))),
        (4, Some(stalled("workers"))),
        (30, Some(Event::IngestTrouble { cause: "no answer".to_owned() })),
        (200, None),
    ] {
        assert_eq!(at(second, event, all), [], "it follows from what was told: {second}");
    }
    assert_eq!(at(300, Some(Event::IngestRecovered), all), []);
    let resumed = |what| Some(Event::Resumed { what });
    assert_eq!(at(301, resumed("relay headers"), all), one(Word::Over, "relay headers"));
    assert_eq!(at(302, resumed("storage changes"), all), [], "nobody was told of it");
    // What goes on for itself is told in the end.
    assert_eq!(at(359, None, all), []);
    assert_eq!(at(360, None, all), one(Word::Raised, "workers"));
    assert_eq!(at(361, resumed("workers"), all), one(Word::Over, "workers"));
}

#[test]
fn what_stands_still_silences_only_what_follows_from_it() {
    let (source, relay, changes) =
        (("ingest", "chain"), ("stall", "relay headers"), ("stall", "storage changes"));
    let (workers, state) = (("stall", "workers"), ("stall", "chain state"));
    let begin = |(kind, what): (&str, &'static str)| match kind {
        "ingest" => Event::IngestTrouble { cause: "no answer".to_owned() },
        _ => Event::Stalled { what, cause: "waits".to_owned() },
    };
    // What is told first, what stands still later, and whether that is told as well.
    for (first, second, is_told) in [
        (workers, relay, true),
        (workers, source, true),
        (workers, changes, true),
        (workers, state, true),
        (state, relay, true),
        (state, workers, true),
        (changes, relay, true),
        (changes, source, true),
        (changes, workers, false),
        (changes, state, false),
        (relay, changes, false),
        (relay, workers, false),
        (relay, source, false),
        (source, relay, false),
        (source, changes, false),
        (source, workers, false),
    ] {
        let (mut alerts, mut heard) = (Alerts::new(Duration::from_secs(60)), Heard::default());
        let mut at = |second, event: Option<Event>| {
            event.iter().for_each(|event| heard.event(event));
            let told = told(&mut alerts, second, &[], &[], &mut heard);
            told.into_iter().map(|alert| (alert.kind, alert.subject)).collect::<Vec<_>>()
        };
        let one = |(kind, subject): (&'static str, &str)| vec![(kind, subject.to_owned())];
        let begun = [at(0, Some(begin(first))), at(60, None)].concat();
        assert_eq!(begun, one(first));
        let later = [at(61, Some(begin(second))), at(200, None), at(2000, None)].concat();
        assert_eq!(later, if is_told { one(second) } else { Vec::new() }, "{first:?}, then {second:?}");
    }
}

#[test]
fn what_is_noticed_before_what_it_follows_from_is_not_told_before_it() {
    let (mut alerts, mut heard) = (Alerts::new(Duration::from_secs(1)), Heard::default());
    let mut at = |second, what| {
        heard.event(&Event::Stalled { what, cause: "waits".to_owned() });
        let told = told(&mut alerts, second, &[], &[], &mut heard);
        told.into_iter().map(|alert| alert.subject).collect::<Vec<_>>()
    };
    assert_eq!(at(0, "workers"), [""; 0]);
    assert_eq!(at(2, "storage changes"), [""; 0]);
    assert_eq!(at(4, "relay headers"), ["relay headers"]);
    assert_eq!(at(900, "workers"), [""; 0]);
}

#[test]
fn what_the_chain_says_of_a_worker_that_waits_for_the_store_is_told() {
    let starved =
        |starved, stage| WorkerStatus { trouble: Some("waits".to_owned()), starved, ..seen("w1", stage) };
    for (worker, expected) in [
        (starved(true, Stage::Syncing), None),
        (starved(true, Stage::Disabled), None),
        (starved(true, Stage::Unresponsive), Some("the chain has marked it as silent")),
        (starved(true, Stage::InAnotherPool), Some("it is in another pool; remove it there")),
        (starved(false, Stage::Syncing), Some("waits")),
    ] {
        let (mut alerts, mut heard) = (Alerts::new(Duration::ZERO), Heard::default());
        let told = told(&mut alerts, 0, std::slice::from_ref(&worker), &[], &mut heard);
        let causes: Vec<_> = told.iter().map(|alert| alert.cause.as_str()).collect();
        assert_eq!(causes, expected.into_iter().collect::<Vec<_>>(), "{:?}", worker.stage);
    }
}

#[test]
fn what_somebody_has_disabled_is_no_alert() {
    let mut snapshot = inventory(&["off", "in-pool-off", "odd"]);
    snapshot.workers[0].enabled = false;
    snapshot.workers[1].pool = 2;
    snapshot.pools.push(Pool { enabled: false, ..Pool::new(2, None) });
    let unfit = |why: &str| Unfit { fed: false, why: why.to_owned() };
    let unfit: BTreeMap<String, Unfit> =
        ["off", "in-pool-off", "odd"].map(|name| (name.to_owned(), unfit(name))).into();
    let troubled = WorkerStatus { trouble: Some("gone".to_owned()), ..seen("in-pool-off", Stage::Working) };
    let stand = Stand {
        workers: std::slice::from_ref(&troubled),
        inventory: Some(&snapshot),
        unfit: Some(&unfit),
        ..Stand::default()
    };
    let told = Alerts::new(Duration::ZERO).of(0, stand, &mut Heard::default());
    assert_eq!(words(&told), [(Word::Raised, "worker", "odd")]);
}

#[test]
fn what_lasts_is_not_over_because_something_was_missed() {
    let (mut alerts, mut heard) = (Alerts::new(Duration::ZERO), Heard::default());
    heard.event(&Event::IngestTrouble { cause: "down".to_owned() });
    assert_eq!(told(&mut alerts, 0, &[], &[], &mut heard).len(), 1);
    heard.event(&Event::Missed(9));
    for at in [1, 300, 360] {
        assert!(told(&mut alerts, at, &[], &[], &mut heard).is_empty(), "{at}");
    }
    assert_eq!(words(&told(&mut alerts, 361, &[], &[], &mut heard)), [(Word::Over, "ingest", "down")]);
}

#[tokio::test]
async fn a_token_that_is_not_there_is_named_with_its_key() {
    let notify = Notify {
        urls: vec!["http://127.0.0.1:9".to_owned()],
        token_file: Some("no such folder/token".into()),
        ..Notify::default()
    };
    let error = Notifier::start(&config(notify)).err().unwrap().to_string();
    assert!(error.contains("notify.token_file") && error.contains("no such folder/token"), "{error}");
    assert!(Notifier::start(&config(Notify::default())).unwrap().is_none());
}
