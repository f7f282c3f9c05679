//! `prb check`: everything that a configuration names is looked at, and what stands in the wrong place is told with the
//! remedy.

use crate::asked::Side;
use crate::files::Files;
use crate::mistakes::one_line;
use crate::place::Place;
use crate::provider::fill;
use crate::providers::{address, other_network, provider};
use crate::redis_server::Redis;
use crate::world::{World, until, until_or};
use prb_devnet::network;
use prb_store::server::Token;
use prb_store::tls::ServerTls;
use prb_store::{MemoryStore, Server, ServerOptions};
use serde_json::Value;
use std::fs;
use std::sync::Arc;

const NODES: &str = "[chain]\nrelay = \"ws://127.0.0.1:9\"\npara = \"ws://127.0.0.1:9\"\n";

fn nodes(relay: &str, para: &str) -> String {
    format!("data_dir = \"data\"\n[chain]\nrelay = \"{relay}\"\npara = \"{para}\"\n")
}

fn declared(endpoint: &str) -> String {
    format!(
        "[[inventory.workers]]\nname = \"one\"\nendpoint = \"{endpoint}\"\npool = 1\nstake = \"5\"\n\
         [[inventory.pools]]\npid = 1\noperator = \"alice\"\n\
         [[inventory.operators]]\nname = \"alice\"\ndevelopment_uri = \"//Alice\"\n"
    )
}

/// Checks `text`: exactly these items are wrong, and their lines hold the words.
async fn wrong(place: &Place, text: &str, expected: &[(&str, &[&str])]) {
    place.configure(text);
    let done = place.prb(&["check"]).await;
    assert_eq!(done.code, Some(1), "{text}\n{done:?}");
    let lines: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with("WRONG")).collect();
    assert_eq!(lines.len(), expected.len(), "{text}\n{}", done.stdout);
    for (line, (key, words)) in lines.iter().zip(expected) {
        assert_eq!(line.split_whitespace().nth(1), Some(*key), "{line}");
        for word in *words {
            assert!(line.contains(word), "{word} in {line}");
        }
    }
    let counted = format!("prb: {} of {} items are wrong", expected.len(), done.stdout.lines().count());
    assert!(done.stderr.starts_with(&counted) && done.stderr.lines().count() == 1, "{}", done.stderr);
}

#[tokio::test]
async fn what_a_configuration_means_is_shown_without_asking_anybody() {
    let place = Place::new();
    let text = place.ok(&["check", "--offline"]).await;
    for line in [
        "ok     data_dir                 data: made by the first command that needs it",
        "note   chain.relay              ws://127.0.0.1:9: not asked",
        "note   chain.para               ws://127.0.0.1:9: not asked",
        "ok     chain.verify_state       true",
        "ok     feed.fast_sync           where a fresh worker is spared 2000 blocks",
        "ok     workers                  5 s to connect, 30 s to say how they are, 180 s to take blocks, 1800 s to take a state",
        "ok     attestation              no PCCS: workers that attest with DCAP alone are not registered",
        "ok     transactions.mortality   32 blocks",
        "ok     transactions.tip         0 PHA",
        "ok     log.filter               info",
        "ok     api.enabled              false",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    assert!(!place.path("data").exists(), "checking makes nothing");
    let hash = format!("0x{}", "ab".repeat(32));
    place.configure(&format!("{NODES}verify_state = false\nstart = {{ number = 7, hash = \"{hash}\" }}\n"));
    let text = place.ok(&["check", "--offline"]).await;
    assert!(
        text.contains("note   chain.verify_state       false: a lying node can poison workers"),
        "{text}"
    );
    assert!(text.contains("feed.fast_sync           no: no verified state is kept here"), "{text}");
    assert!(text.contains(&format!("7 {hash} (pinned)")), "{text}");
}

#[tokio::test]
async fn prb_config_check_and_prb_config_show_are_prb_check() {
    let place = Place::new();
    let check = place.ok(&["check", "--offline"]).await;
    assert_eq!(place.ok(&["config", "check", "--offline"]).await, check);
    let show = place.ok(&["check", "--show", "--json"]).await;
    assert_eq!(place.ok(&["config", "show", "--json"]).await, show);
    let elsewhere = place.ok(&["config", "--db-path", "elsewhere", "show"]).await;
    let row = elsewhere.lines().find(|line| line.starts_with("data_dir ")).unwrap();
    assert!(row.contains(" elsewhere ") && row.ends_with("(flag --db-path)"), "{row}");
    assert!(!place.path("data").exists() && !place.path("elsewhere").exists(), "nothing is made");
    // What cannot be used fails, whatever it is asked by.
    place.configure("[chain]\nrelay = \"ws://a\"\nparas = \"ws://b\"\n");
    for command in [&["check"][..], &["config", "check"], &["config", "show"]] {
        one_line(&place.prb(command).await, &["unknown field `paras`", "did you mean `chain.para`?"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_named_is_looked_at() {
    let world = World::new(network::Config::default(), 60, 1).await;
    let (relay, para) = (world.url(Side::Relay), world.url(Side::Para));
    let serving = Place::with_nodes(&relay, &para);
    fill(&world, &serving).await;
    let data = serving.start(&provider(&relay, &para), "info");
    let url = address(&data).await;

    let place = Place::new();
    fs::write(place.path("token"), "a-token-of-some-length\n").unwrap();
    let (certificate, key) = issue(&place, "one");
    place.configure(&format!(
        "{}[serve]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\ntls_certificate = \"{certificate}\"\n\
         tls_key = \"{key}\"\n[providers]\nurls = [\"{url}\"]\nca_file = \"{certificate}\"\n{}",
        nodes(&relay, &para),
        declared(&world.workers[0].url())
    ));
    let (text, json) = (place.ok(&["check"]).await, place.ok(&["check", "--json"]).await);
    let finalized = format!("finalized {}", world.network.relay().finalized_number());
    for words in [
        ["ok     chain.relay", finalized.as_str()],
        ["ok     chain.para", "block 0 0x"],
        ["ok     chain ", "they belong together"],
        ["ok     providers.urls", "it covers relay blocks up to"],
        ["ok     providers.ca_file", ""],
        ["ok     serve.listen", "127.0.0.1:0"],
        ["ok     serve.token_file", "token"],
        ["ok     serve.tls_certificate", "it and its key fit"],
        ["ok     inventory.workers", "pRuntime"],
    ] {
        let found = text.lines().any(|line| line.starts_with(words[0]) && line.contains(words[1]));
        assert!(found, "{words:?} in {text}");
    }
    let json: Value = serde_json::from_str(&json).unwrap();
    let items = json["items"].as_array().unwrap();
    assert_eq!((&json["ok"], items.len()), (&true.into(), text.lines().count()));
    let relay_item = items.iter().find(|item| item["item"] == "chain.relay").unwrap();
    assert_eq!(relay_item["finalized"], world.network.relay().finalized_number(), "{relay_item}");
    assert!(!place.path("data").exists(), "nothing was made");
    assert_eq!(data.end("-TERM").await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_in_the_wrong_place_are_told_with_the_remedy() {
    let world = World::new(network::Config::default(), 30, 0).await;
    let other = World::new(other_network(), 30, 0).await;
    let (relay, para) = (world.url(Side::Relay), world.url(Side::Para));
    let place = Place::new();
    let swapped = ["are chain.relay and chain.para swapped?"];
    let para_at_relay = ("chain.relay", &["it is a node of parachain", swapped[0]][..]);
    let relay_at_para = ("chain.para", &["which is no parachain", swapped[0]][..]);
    wrong(&place, &nodes(&para, &relay), &[para_at_relay, relay_at_para]).await;
    wrong(&place, &nodes(&para, &para), &[para_at_relay]).await;
    wrong(&place, &nodes(&relay, &relay), &[relay_at_para]).await;
    let apart = ["different networks", "choose nodes that belong together"];
    wrong(&place, &nodes(&other.url(Side::Relay), &para), &[("chain", &apart)]).await;
    let lists = format!("{relay}\", \"{}", other.url(Side::Relay)).replace("\", \"", "\",\"");
    let text = nodes("RELAY", &para).replace("\"RELAY\"", &format!("[\"{lists}\"]"));
    wrong(&place, &text, &[("chain.relay", &["another network", "name nodes of one network"])]).await;

    // Not nodes at all.
    let nobody = ["not reachable", "check the address and that the node runs"];
    wrong(&place, &nodes("ws://127.0.0.1:9", &para), &[("chain.relay", &nobody)]).await;
    let (provider, _serving) = served(ServerOptions::default()).await;
    let instead = ["it is no node", "chain.mirror or providers.urls", "ws://host:9944"];
    wrong(&place, &nodes(&relay, &provider.replace("http:", "ws:")), &[("chain.para", &instead)]).await;
    let pages = pages(&place).await;
    let page = format!("{}/v1/coverage", pages.url.replace("http:", "ws:"));
    wrong(&place, &nodes(&relay, &page), &[("chain.para", &instead)]).await;
    let secured = relay.replace("ws:", "wss:");
    wrong(&place, &nodes(&secured, &para), &[("chain.relay", &["speaks no TLS: write ws://"])]).await;

    // The same mistakes while it runs.
    place.configure(&nodes(&para, &relay));
    let running = place.run("info");
    let told = ["ingest has trouble", "no node of a parachain", "swapped?"];
    until_or("it is told", async || running.logged(&told), || running.log().join("\n")).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
    place.configure(&nodes(&para, &para));
    let running = place.run("info");
    let told = ["ingest has trouble", "one of a parachain, not of the relay chain"];
    until_or("it is told", async || running.logged(&told), || running.log().join("\n")).await;
    assert_eq!(running.end("-TERM").await.0, Some(0));
}

/// The chain was started anew: the same block 0, and other blocks behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_fork_than_the_store_is_told() {
    let world = World::new(network::Config::default(), 40, 0).await;
    let place = crate::provider::place(&world);
    fill(&world, &place).await;
    place.ok(&["check"]).await;
    let other = World::new(network::Config::default(), 0, 0).await;
    other.network.order(|orders| orders.para.set_storage = vec![(b"fork".to_vec(), Some(b"other".to_vec()))]);
    let network = other.network.clone();
    tokio::task::spawn_blocking(move || network.steps(40)).await.unwrap().unwrap();
    let (relay, para) = (other.url(Side::Relay), other.url(Side::Para));
    let fork = ["another fork", "that of the store here is 0x", "another data_dir"];
    wrong(&place, &nodes(&relay, &para), &[("chain.relay", &fork), ("chain.para", &fork)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifecycle_that_is_told_its_provider_can_be_checked() {
    let world = World::new(network::Config::default(), 30, 0).await;
    let place = Place::new();
    let (url, _serving) = served(ServerOptions::default()).await;
    place.configure(&format!("[chain]\npara = \"{}\"\n", world.url(Side::Para)));
    let text = place.ok(&["check", "--provider", &url]).await;
    assert!(text.contains(&format!("note   providers.urls           {url}: it answers")), "{text}");
    let done = place.prb(&["check", "--provider", &url, "--provider", "http://127.0.0.1:9"]).await;
    assert!(done.stdout.contains("WRONG  providers.urls           http://127.0.0.1:9"), "{done:?}");
    let refused = place.prb(&["check", "--provider", "nowhere"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("http://"), "{refused:?}");
}

#[tokio::test]
async fn a_redis_that_does_not_let_us_in_is_told() {
    let Some(redis) = Redis::start() else { return };
    let place = Place::new();
    let configure = |url: &str| {
        place.configure(&format!("[chain]\npara = \"ws://127.0.0.1:9\"\n[redis]\nurl = \"{url}\"\n"));
    };
    let told = async |verdict: &str, words: &str| {
        let done = place.prb(&["check"]).await;
        let line = done.stdout.lines().find(|line| line.contains("redis.url")).unwrap().to_owned();
        assert!(line.starts_with(verdict) && line.contains(words), "{line}");
        assert!(!done.stdout.contains("sesame") && !done.stderr.contains("sesame"), "{done:?}");
    };
    configure(&redis.url());
    told("ok", "transactions are made by `prb trade`").await;
    assert_eq!(redis.command("CONFIG SET requirepass open-sesame"), "+OK");
    told("WRONG", "write the user and password that it wants").await;
    configure(&redis.url().replace("redis://", "redis://:other-sesame@"));
    told("WRONG", "write the user and password that it wants").await;
    configure(&redis.url().replace("redis://", "redis://:open-sesame@"));
    told("ok", "transactions are made by `prb trade`").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_data_provider_is_told_with_the_remedy() {
    let world = World::new(network::Config::default(), 30, 1).await;
    let (relay, para) = (world.url(Side::Relay), world.url(Side::Para));
    let place = Place::new();
    let (certificate, key) = issue(&place, "one");
    let tls = ServerTls::from_files(certificate.as_ref(), key.as_ref()).unwrap();
    let (plain, _plain) = served(ServerOptions::default()).await;
    let (secure, _secure) = served(ServerOptions { tls: Some(tls), ..ServerOptions::default() }).await;
    let token = Some(Token::new("a-token-of-some-length").unwrap());
    let (closed, _closed) = served(ServerOptions { token, ..ServerOptions::default() }).await;
    let pages = pages(&place).await;
    let other = World::new(other_network(), 30, 0).await;
    let far = crate::provider::place(&other);
    fill(&other, &far).await;
    let (far_relay, far_para) = (other.url(Side::Relay), other.url(Side::Para));
    let far = far.start(&provider(&far_relay, &far_para), "info");
    let foreign = address(&far).await;

    let rpc_port = ["RPC port of a node", "chain.relay or chain.para"];
    let cases: Vec<(String, &[&str])> = vec![
        (secure.replace("https:", "http:"), &["https://"]),
        (plain.replace("http:", "https:"), &["TLS", "write http://"]),
        (pages.url.clone(), &["web page", "host, port and base path"]),
        (para.replace("ws:", "http:"), &rpc_port),
        (relay.replace("ws:", "http:"), &rpc_port),
        (world.workers[0].url(), &["worker", "host, port and base path"]),
        (closed, &["wants a token", "providers.token_file"]),
        ("http://127.0.0.1:9".to_owned(), &["refused", "check the address and that the provider runs"]),
        (foreign, &["another network", "providers and a node of one network"]),
    ];
    for (url, words) in &cases {
        let text =
            format!("{}[providers]\nca_file = \"{certificate}\"\nurls = [\"{url}\"]\n", nodes(&relay, &para));
        wrong(&place, &text, &[("providers.urls", words)]).await;
    }
    // The same words for a lifecycle that waits for one.
    let lifecycle = place.start(&["lifecycle", "--provider", &pages.url], "info");
    let told = ["no data provider answers", "web page"];
    until("it is told", async || lifecycle.logged(&told)).await;
    assert_eq!(lifecycle.end("-TERM").await.0, Some(0));

    // To mirror, and as a headers-cache.
    for (url, words) in [
        (secure.replace("https:", "http:"), &["TLS"][..]),
        (pages.url.clone(), &["web page"]),
        (para.replace("ws:", "http:"), &rpc_port),
        (world.workers[0].url(), &["a worker"]),
    ] {
        let mirror = format!("data_dir = \"data\"\n[chain]\nmirror = \"{url}\"\npara = \"{para}\"\n");
        wrong(&place, &mirror, &[("chain.mirror", words)]).await;
        let cache = format!("{}headers_cache = \"{url}\"\n", nodes(&relay, &para));
        wrong(&place, &cache, &[("chain.headers_cache", words)]).await;
    }
    // A worker's place.
    for (endpoint, words) in [
        (plain.clone(), &["status 405", "a data provider", "worker's private port"][..]),
        (para.replace("ws:", "http:"), &["status 415", "a node", "worker's private port"]),
    ] {
        let text = format!("{}{}", nodes(&relay, &para), declared(&endpoint));
        wrong(&place, &text, &[("inventory.workers", words)]).await;
    }
    assert_eq!(far.end("-TERM").await.0, Some(0));
}

#[tokio::test]
async fn what_serving_and_reading_need_is_looked_at() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (certificate, _) = issue(&place, "one");
    let (_, other_key) = issue(&place, "two");
    fs::write(place.path("short"), "short\n").unwrap();
    let text = format!(
        "passphrase_file = \"none\"\n{NODES}[serve]\nlisten = \"{}\"\ntoken_file = \"short\"\ntls_certificate = \"{certificate}\"\n\
         tls_key = \"{other_key}\"\n[providers]\ntoken_file = \"none\"\nca_file = \"short\"\n\
         [log]\nfilter = \"prb=louder\"\n[workers]\nca_file = \"short\"\n\
         [attestation]\npccs_url = \"https://127.0.0.1:9/v4\"\nca_file = \"short\"\n",
        taken.local_addr().unwrap()
    );
    let expected: &[(&str, &[&str])] = &[
        ("chain.relay", &["not reachable"]),
        ("chain.para", &["not reachable"]),
        ("providers.token_file", &["none", "No such file"]),
        ("providers.ca_file", &["holds no certificate"]),
        ("serve.listen", &["in use", "stop who listens there", "choose another address"]),
        ("serve.token_file", &["at least 16"]),
        ("serve.tls_certificate", &["is not the key of the certificate"]),
        ("workers", &["workers.ca_file", "certificates as PEM"]),
        ("attestation", &["attestation.ca_file", "certificates as PEM"]),
        ("log.filter", &["louder"]),
        ("passphrase_file", &["none", "No such file"]),
    ];
    wrong(&place, &text, expected).await;
    let done = place.prb(&["check", "--offline", "--json"]).await;
    let json: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &json["ok"]), (Some(1), &false.into()), "{done:?}");
    let verdicts = json["items"].as_array().unwrap().iter().filter(|item| item["verdict"] == "wrong");
    assert_eq!(verdicts.count(), expected.len() - 2, "{json}");

    // A trader's configuration, with a server that is not there.
    place.configure(
        "[chain]\npara = \"ws://127.0.0.1:9\"\n[redis]\nurl = \"redis://:hidden@127.0.0.1:9/0\"\n\
         [transactions]\ndry_run = true\n",
    );
    let done = place.prb(&["check"]).await;
    let told = "WRONG  redis.url                127.0.0.1:9: Connection refused";
    assert!(done.stdout.lines().any(|line| line.starts_with(told)), "{done:?}");
    assert!(done.stdout.contains("note   transactions.dry_run     true: nothing is sent"), "{done:?}");
    assert!(!done.stdout.contains("hidden"), "{done:?}");

    // An address that others reach, and a folder that is none.
    place.configure(&format!("{NODES}[serve]\nlisten = \"0.0.0.0:0\"\n"));
    let text = place.ok(&["check", "--offline"]).await;
    assert!(
        text.contains("note   serve.listen") && text.contains("whoever reaches the port may read"),
        "{text}"
    );
    fs::write(place.path("data"), "in the way").unwrap();
    place.configure(&format!("data_dir = \"data\"\n{NODES}"));
    let done = place.prb(&["check", "--offline"]).await;
    assert!(done.code == Some(1) && done.stdout.contains("WRONG  data_dir"), "{done:?}");
}

/// A certificate for 127.0.0.1 and its key, as paths.
fn issue(place: &Place, name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (place.path(&format!("{name}.pem")), place.path(&format!("{name}.key")));
    fs::write(&certificate, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate.to_str().unwrap().to_owned(), key.to_str().unwrap().to_owned())
}

/// A provider that holds nothing; the task serves until it is dropped.
async fn served(options: ServerOptions) -> (String, tokio::task::JoinHandle<()>) {
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{scheme}://{}", listener.local_addr().unwrap());
    let server = Server::new(Arc::new(MemoryStore::new()), options);
    (url, tokio::spawn(async move { server.serve(listener).await }))
}

/// A web server that answers with pages where a provider and a headers-cache answer.
async fn pages(place: &Place) -> Files {
    let folder = place.path("pages");
    fs::create_dir_all(folder.join("v1")).unwrap();
    for name in ["v1/coverage", "state"] {
        fs::write(folder.join(name), "<!DOCTYPE html><html>welcome</html>").unwrap();
    }
    Files::serve(&folder).await
}
