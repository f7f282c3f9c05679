//! `prb data-provider` and `prb lifecycle` as processes of their own: what they say to mistakes, and that they do the
//! right thing without any.

use crate::asked::Side;
use crate::mistakes::one_line;
use crate::place::{Place, Running};
use crate::run::until_computing;
use crate::world::{World, until, until_or};
use prb_devnet::network;
use prb_store::{RemoteOptions, RemoteStore};
use std::fs;

const NOBODY: &str = "ws://127.0.0.1:9";

/// A provider's arguments for these nodes, on a free port.
pub fn provider<'a>(relay: &'a str, para: &'a str) -> Vec<&'a str> {
    vec!["data-provider", "--relay", relay, "--para", para, "--listen", "127.0.0.1:0"]
}

/// The address in the line that says what is served.
pub async fn address(running: &Running) -> String {
    let said = || {
        let log = running.log();
        let line = log.iter().find(|line| line.contains("serving") && line.contains("address="))?;
        Some(line.split("address=").nth(1)?.split_whitespace().next()?.to_owned())
    };
    until_or("it serves", async || said().is_some(), || running.log().join("\n")).await;
    format!("http://{}", said().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f033_two_nodes_are_enough_for_a_provider_and_its_address_for_a_lifecycle() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    world.run_chains();
    let (relay, para) = (world.url(Side::Relay), world.url(Side::Para));
    let serving = Place::new();
    fs::remove_file(serving.path("prb.toml")).unwrap();
    let data = serving.start(&provider(&relay, &para), "info");
    let url = address(&data).await;

    // It starts first, says once that it waits, and works once there is a provider.
    let place = Place::with_nodes(NOBODY, &para);
    place.add_alice().await;
    place.add_worker("first", &world.workers[0].url()).await;
    // The first of two parachain nodes is down.
    let text = fs::read_to_string(place.path("prb.toml")).unwrap();
    place.configure(&text.replace(&format!("\"{para}\""), &format!("[\"{NOBODY}\", \"{para}\"]")));
    let lifecycle = place.start(&["lifecycle"], "info");
    until_or(
        "it waits",
        async || lifecycle.logged(&["no data provider is named"]),
        || lifecycle.log().join("\n"),
    )
    .await;
    let text = fs::read_to_string(place.path("prb.toml")).unwrap();
    fs::write(place.path("prb.toml"), format!("{text}[providers]\nurls = [\"not an address\"]\n")).unwrap();
    lifecycle.signal("-HUP").await;
    until("the mistake is told", async || lifecycle.logged(&["providers stay as they were", "no address"]))
        .await;
    fs::write(place.path("prb.toml"), format!("{text}[providers]\nurls = [\"{url}\"]\n")).unwrap();
    lifecycle.signal("-HUP").await;
    until_computing(&world, &world.workers, || lifecycle.log()).await;
    tell_status(&place, &url, &[&relay, &para]).await;
    assert_eq!(lifecycle.log().iter().filter(|line| line.contains("workers wait")).count(), 1);
    assert!(!place.path("data/blobs").exists(), "no chain data is kept");
    assert!(lifecycle.logged(&["WARN", "transactions go through another node"]));
    assert_eq!(lifecycle.end("-TERM").await.0, Some(0));
    assert_eq!(data.end("-TERM").await.0, Some(0));
    world.halt_chains().await;
}

/// `prb status` tells how far the provider is, whom it asks, and what to do where nobody listens.
async fn tell_status(place: &Place, url: &str, nodes: &[&str]) {
    let text = place.ok(&["status", url]).await;
    assert!(text.starts_with(&format!("{url}, prb ")), "{text}");
    assert!(["relay headers", "para headers", "changes"].iter().all(|name| text.contains(name)), "{text}");
    assert!(nodes.iter().all(|node| text.contains(node)), "{text}");
    let said: serde_json::Value = serde_json::from_str(&place.ok(&["status", url, "--json"]).await).unwrap();
    let relay = &said["streams"]["relay"];
    assert!(relay["last"].as_u64() > Some(40) && relay["target"].as_u64() > Some(40), "{said}");
    assert_eq!(said["sources"].as_array().unwrap().len(), 2, "{said}");
    assert_eq!(said["stalled"], serde_json::Value::Null, "{said}");
    let nobody = place.prb(&["status", "http://127.0.0.1:9"]).await;
    one_line(&nobody, &["http://127.0.0.1:9", "refused", "start `prb data-provider`"]);
    one_line(&place.prb(&["status", "ws://x"]).await, &["http:// or https://"]);
}

#[tokio::test]
async fn mistakes_about_providers_are_told_in_one_line() {
    let place = Place::new();
    let nodes = format!("data_dir = \"data\"\n[chain]\nrelay = \"{NOBODY}\"\npara = \"{NOBODY}\"\n");
    fs::write(place.path("short"), "short\n").unwrap();
    fs::write(place.path("empty"), "").unwrap();
    fs::write(place.path("in-the-way"), "").unwrap();
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("", &["data-provider", "--relay", "http://127.0.0.1:9"], &["chain.relay", "WebSocket"]),
        (
            "",
            &["data-provider", "--data-dir", "in-the-way"],
            &["cannot make data_dir in-the-way", "move it away"],
        ),
        ("[serve]\ntoken_file = \"none\"\n", &["data-provider"], &["serve.token_file none", "No such file"]),
        ("[serve]\ntoken_file = \"short\"\n", &["data-provider"], &["serve.token_file", "at least 16"]),
        ("[serve]\ntls_key = \"none\"\n", &["data-provider"], &["serve.tls_key", "name both"]),
        (
            "[serve]\ntls_certificate = \"none\"\ntls_key = \"none\"\n",
            &["data-provider"],
            &["serve.tls_certificate", "none", "No such file"],
        ),
        (
            "[serve]\ntls_certificate = \"empty\"\ntls_key = \"empty\"\n",
            &["data-provider"],
            &["empty holds no certificate", "BEGIN CERTIFICATE"],
        ),
        ("[serve]\nlisten = \"192.0.2.1:8012\"\n", &["data-provider"], &["cannot listen", "--listen"]),
        ("[providers]\nurl = \"x\"\n", &["lifecycle"], &["unknown field `url`"]),
        ("", &["lifecycle", "--provider", "10.0.0.3:8012"], &["providers.urls", "http://10.0.0.5:8012"]),
        (
            "",
            &["lifecycle", "--provider", "ws://10.0.0.3"],
            &["providers.urls", "http:// or https://", "how nodes are named", "chain.relay and chain.para"],
        ),
        (
            "[providers]\ntoken_file = \"none\"\n",
            &["lifecycle"],
            &["providers.token_file none", "No such file"],
        ),
        ("[providers]\ntoken_file = \"short\"\n", &["lifecycle"], &["providers.token_file", "at least 16"]),
        (
            "[providers]\nurls = [\"https://127.0.0.1:9\"]\nca_file = \"empty\"\n",
            &["run"],
            &["providers.ca_file", "empty holds no certificate"],
        ),
        (
            "[providers]\ncache_mib = 64\n",
            &["run"],
            &["providers.urls", "names nobody", "remove [providers]"],
        ),
    ];
    for (extra, arguments, words) in cases {
        place.configure(&format!("{nodes}{extra}"));
        one_line(&place.prb(arguments).await, words);
    }
    fs::remove_file(place.path("prb.toml")).unwrap();
    one_line(&place.prb(&["data-provider"]).await, &["prb.toml", "No such file", "--mirror"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_another_network_is_not_touched() {
    let one = World::new(network::Config::default(), 12, 0).await;
    let other = World::new(other_network(), 12, 0).await;
    let place = Place::new();
    let (relay, para) = (one.url(Side::Relay), one.url(Side::Para));
    let data = place.start(&provider(&relay, &para), "info");
    let url = address(&data).await;
    let remote = RemoteStore::connect([url.as_str()], RemoteOptions::default()).unwrap();
    until("it has data", async || {
        prb_core::port::BlobStore::coverage(&remote).await.is_ok_and(|coverage| coverage.is_some())
    })
    .await;

    // A lifecycle whose node is of the other network.
    let far = Place::with_nodes(NOBODY, &other.url(Side::Para));
    let done = far.prb(&["lifecycle", "--provider", &url]).await;
    let last = done.stderr.lines().last().unwrap();
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(last.starts_with("prb: every provider follows another network than chain.para"), "{done:?}");

    // A lifecycle whose node is of the providers' relay chain.
    let mixed_up = Place::with_nodes(NOBODY, &one.url(Side::Relay));
    let done = mixed_up.prb(&["lifecycle", "--provider", &url]).await;
    assert_eq!(done.code, Some(1), "{done:?}");
    let last = done.stderr.lines().last().unwrap();
    assert!(last.starts_with("prb: chain.para names a node of the relay chain"), "{done:?}");
    assert_eq!(data.end("-TERM").await.0, Some(0));

    // A provider in the same directory for the other network.
    let (relay, para) = (other.url(Side::Relay), other.url(Side::Para));
    let done = place.prb(&provider(&relay, &para)).await;
    let last = done.stderr.lines().last().unwrap();
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(last.starts_with("prb: ") && last.contains("choose another data_dir"), "{done:?}");
}

pub fn other_network() -> network::Config {
    let mut config = network::Config::default().authorities(5);
    config.para.para_id = 2000;
    config
}
