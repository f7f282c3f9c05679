//! What is told as it changes.

use super::{PATIENCE, Place, here, worker};
use crate::{
    api::{events::MOST, serve::Limits},
    inventory::{Change, WorkerSet},
};
use prb_core::testkit::Observed;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// Somebody who listens.
pub(super) struct Listener {
    stream: TcpStream,
    head: String,
    /// What was read and not looked at.
    rest: String,
}

impl Listener {
    pub(super) async fn at(place: &Place, query: &str) -> Self {
        let mut stream = TcpStream::connect(place.address()).await.unwrap();
        let request = format!("GET /v1/events{query} HTTP/1.1\r\nhost: {}\r\n\r\n", place.address());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Self { stream, head: String::new(), rest: String::new() };
        listener.head = listener.until("\r\n\r\n").await.unwrap();
        listener
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.head.starts_with("HTTP/1.1 200")
    }

    /// What comes before these words; none once the stream has ended.
    async fn until(&mut self, words: &str) -> Option<String> {
        loop {
            if let Some((before, rest)) = self.rest.split_once(words) {
                let (before, rest) = (before.to_owned(), rest.to_owned());
                self.rest = rest;
                return Some(before);
            }
            let mut some = [0; 4096];
            let read = timeout(PATIENCE, self.stream.read(&mut some)).await.expect("something comes");
            match read {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.rest += std::str::from_utf8(&some[..count]).unwrap(),
            }
        }
    }

    /// The data of the next event of this name that is as wanted.
    async fn next(&mut self, name: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.until("\n\n").await.expect("the stream goes on");
            let event = format!("event: {name}\ndata: ");
            // Pieces have their lengths before them.
            if let Some((_, data)) = message.split_once(&event) {
                let value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
                if is_wanted(&value) {
                    return value;
                }
            }
        }
    }

    /// Waits for the end of the stream, and says how it ended.
    async fn ends(&mut self) -> bool {
        while self.until("\n").await.is_some() {}
        self.rest.ends_with("0\r\n\r\n") || self.rest.trim().is_empty()
    }
}

fn disabled(name: &str) -> Change {
    Change::SetWorker(name.to_owned(), WorkerSet { enabled: Some(false), ..WorkerSet::default() })
}

#[tokio::test]
async fn what_changes_is_told_to_all_who_listen_and_rows_only_where_they_have_changed() {
    let place = Place::new().await;
    let mut first = Listener::at(&place, "").await;
    let head = first.head.to_ascii_lowercase();
    assert!(first.is_accepted() && head.contains("content-type: text/event-stream"), "{head}");
    assert_eq!(first.next("overview", |_| true).await["workers"]["total"], 2);
    let all = first.next("workers", |_| true).await;
    assert_eq!((&all["all"], all["workers"].as_array().unwrap().len()), (&json!(true), 2));
    let mut second = Listener::at(&place, "?topics=workers").await;
    assert_eq!(second.next("workers", |said| said["all"] == true).await["removed"], json!([]));

    let id = place.id("w2").await;
    place.deployment.inventory().apply(&[disabled("w2")]).unwrap();
    for listener in [&mut first, &mut second] {
        let is_it = |said: &Value| {
            said["workers"]
                .as_array()
                .unwrap()
                .iter()
                .any(|row| row["name"] == "w2" && row["enabled"] == false)
        };
        assert_eq!(listener.next("workers", is_it).await["all"], false);
        listener.next("inventory", |_| true).await;
    }
    place.deployment.inventory().apply(&[Change::RemoveWorker("w2".to_owned())]).unwrap();
    for listener in [&mut first, &mut second] {
        listener.next("workers", |said| said["removed"] == json!([id])).await;
    }
    assert_eq!(place.post("/v1/transactions/pause", "").await.status, 200);
    first.next("transactions", |_| true).await;
    first.next("overview", |said| said["transactions"]["paused"] == true).await;
    let refused = place.get("/v1/events?topics=overview,nothing").await;
    assert!(refused.status == 400 && refused.message().contains("overview, workers"), "{refused:?}");
    place.end().await;
}

#[tokio::test]
async fn nothing_is_looked_at_while_nobody_listens() {
    let place = Place::new().await;
    let looks = async || place.api.shared.attached.read().await.as_ref().unwrap().hub.looks();
    assert_eq!(place.get("/v1/overview").await.status, 200);
    assert_eq!(looks().await, 0);
    let mut listener = Listener::at(&place, "?topics=overview").await;
    listener.next("overview", |_| true).await;
    assert!(looks().await > 0);
    drop(listener);
    // Two seconds without a look: it has seen that nobody is there.
    let begun = Instant::now();
    let (mut last, mut since) = (looks().await, Instant::now());
    while since.elapsed() < Duration::from_secs(2) {
        assert!(begun.elapsed() < PATIENCE, "it goes on looking");
        sleep(Duration::from_millis(50)).await;
        let now = looks().await;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    place.end().await;
}

#[tokio::test]
async fn streams_last_longer_than_other_connections_and_end_in_order() {
    let (life, stream) = (Duration::from_secs(3), Duration::from_secs(1));
    let limits = Limits { life, stream, ..Limits::default() };
    let place = Place::with(&here(), limits).await;
    let begun = Instant::now();
    let mut listener = Listener::at(&place, "").await;
    listener.next("overview", |_| true).await;
    assert!(listener.ends().await, "as the end of an answer: {:?}", listener.rest);
    assert!(begun.elapsed() >= life + stream, "{:?}", begun.elapsed());

    // So they do when what they tell of is taken away, and with the API.
    let mut listener = Listener::at(&place, "").await;
    listener.next("overview", |_| true).await;
    place.api.detach().await;
    assert!(listener.ends().await, "{:?}", listener.rest);
    assert_eq!(place.get("/v1/events").await.status, 503);
    place.end().await;
}

#[tokio::test]
async fn x20_a_flood_of_listeners_is_turned_away_and_others_are_answered() {
    let observed = Observed::begin();
    let place = Place::new().await;
    let mut flood = Vec::new();
    for _ in 0..MOST {
        let listener = Listener::at(&place, "").await;
        assert!(listener.is_accepted(), "{}", listener.head);
        flood.push(listener);
    }
    for _ in 0..3 {
        let refused = place.get("/v1/events").await;
        assert!(refused.status == 503 && refused.message().contains("listen already"), "{refused:?}");
    }
    assert_eq!(place.get("/v1/workers").await.status, 200, "there is room for questions");
    flood[0].next("workers", |_| true).await;
    flood.truncate(1);
    // Who is gone leaves room.
    let begun = Instant::now();
    while !Listener::at(&place, "").await.is_accepted() {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(50)).await;
    }
    drop((flood, observed));
    place.end().await;
}

#[tokio::test]
async fn x20_who_does_not_read_what_changes_is_cut_off_and_holds_nobody_up() {
    let observed = Observed::begin();
    let limits = Limits { stall: Duration::from_secs(2), ..Limits::default() };
    let place = Place::with(&here(), limits).await;
    // Much to tell: more than fits between two programs.
    let add = |number: usize| {
        let declared = worker(&format!("many-{number}"));
        let stake = 5_000_000_000_000_000;
        let name = format!("{}-{}", declared.name, "x".repeat(100));
        let record = crate::inventory::WorkerRecord::new(name, declared.endpoint, 1, stake);
        Change::AddWorker(crate::inventory::WorkerRecord { enabled: false, ..record })
    };
    place.deployment.inventory().apply(&(0..1000).map(add).collect::<Vec<_>>()).unwrap();
    let silent = Listener::at(&place, "").await;
    let mut reader = Listener::at(&place, "").await;
    reader.next("workers", |said| said["workers"].as_array().unwrap().len() >= 1000).await;
    let begun = Instant::now();
    let mut tag = 0;
    while observed.counter("prb_api_cut_connections_total") + observed.counter("prb_api_cut_listeners_total")
        == 0
    {
        assert!(begun.elapsed() < PATIENCE, "it is cut off");
        tag += 1;
        let set = |number: usize| {
            let name = format!("many-{number}-{}", "x".repeat(100));
            let tags = Some(vec![format!("t{tag}")]);
            Change::SetWorker(name, WorkerSet { tags, ..WorkerSet::default() })
        };
        place.deployment.inventory().apply(&(0..1000).map(set).collect::<Vec<_>>()).unwrap();
        let has_it = |said: &Value| said["workers"].to_string().contains(&format!("\"t{tag}\""));
        reader.next("workers", has_it).await;
    }
    drop(silent);
    place.end().await;
}
