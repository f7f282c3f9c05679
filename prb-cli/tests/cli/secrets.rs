//! Secrets are nowhere but where they belong: goal of every log line, answer, metric, argument and file, once everything
//! that takes a secret was given one.

use crate::asked::Side;
use crate::needles::{Needles, Seen};
use crate::place::Place;
use crate::providers::address;
use crate::redis_server::Redis;
use crate::run::computes_in;
use crate::tap::Tap;
use crate::world::{Heard, World, in_time, until, until_or, works};
use async_trait::async_trait;
use prb_chain::{
    chain_state::CopyChainState,
    journal::{Journal, Record},
    keys::{Operator, Operators, Signer},
    node_source::{NodeSource, SourceOptions},
    redis_queue::Space,
    trader::{RpcNode, Trader, TraderConfig},
    verify::CryptoVerifier,
};
use prb_cli::config::Config;
use prb_cli::identity::{Keyring, Passphrase};
use prb_core::id::{AccountId, Height, JobId, PoolId, WorkerName};
use prb_core::lifecycle::Goal;
use prb_core::pipeline::{Bridge, Worker};
use prb_core::port::{JobState, SinkError, TxSink, sink::Unsettled};
use prb_core::testkit::Observed;
use prb_core::tx::Call;
use prb_devnet::network;
use prb_devnet::runtime::{UNIT, para};
use prb_store::MemoryStore;
use prb_worker::PrpcDriver;
use sp_core::crypto::AccountId32;
use sp_core::{Pair, sr25519};
use std::fmt::Debug;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PHRASE: &str = "vintage obvious lounge prize drastic moon ghost adult aisle lava tobacco admit";
const DERIVED: &str = "//quartz-marmalade-8812//7";
const SECRET_KEY_OF: &str = "//zeppelin-anchovy-4057";
const PASSPHRASE: &str = "hexagonal-pumpernickel-31";
const TOKEN: &str = "lighthouse-reader-token-9f";
const REDIS: &str = "periscope-redis-word-52";
const NODE: &str = "marzipan-node-word-77";
const NODE_KEY: &str = "gooseberry-node-key-64";

/// The three operators: name, the secret as it is given, account.
fn operators() -> [(&'static str, String, AccountId32); 3] {
    let phrase = sr25519::Pair::from_phrase(PHRASE, None).unwrap().0;
    let derived = sr25519::Pair::from_string(DERIVED, None).unwrap();
    let plain = sr25519::Pair::from_string(SECRET_KEY_OF, None).unwrap();
    [
        ("phrase", PHRASE.to_owned(), phrase.public().into()),
        ("derived", DERIVED.to_owned(), derived.public().into()),
        ("plain", hex::encode(plain.to_raw_vec()), plain.public().into()),
    ]
}

/// All of them, with the keys that follow from them.
fn needles() -> Needles {
    let mut needles = Needles::default();
    let (phrase, seed) = sr25519::Pair::from_phrase(PHRASE, None).unwrap();
    needles.text("the mnemonic", PHRASE);
    needles.bytes("the mnemonic's seed", &seed);
    needles.bytes("the mnemonic's key", &phrase.to_raw_vec());
    let (derived, seed) = sr25519::Pair::from_string_with_seed(DERIVED, None).unwrap();
    needles.text("the derivation", DERIVED);
    needles.bytes("the derived seed", &seed.unwrap());
    needles.bytes("the derived key", &derived.to_raw_vec());
    let (plain, seed) = sr25519::Pair::from_string_with_seed(SECRET_KEY_OF, None).unwrap();
    needles.bytes("the secret key", &plain.to_raw_vec());
    needles.bytes("the secret key's seed", &seed.unwrap());
    needles.text("the passphrase", PASSPHRASE);
    needles.text("the token", TOKEN);
    needles.text("the password of redis", REDIS);
    needles.text("the password of nodes", NODE);
    needles.text("the key of nodes", NODE_KEY);
    needles
}

/// A network in which each operator owns a pool and has what fees cost.
async fn world(workers: u32) -> World {
    let mut config = network::Config::default();
    let owner = |(_, _, owner)| para::PoolConfig { owner, free_stake: 100_000 * UNIT };
    config.para.pools = operators().map(owner).into();
    let world = World::new(config, 40, workers).await;
    let key = |account: &AccountId32| {
        prb_core::storage_key::system_account(&AccountId(account.clone().into())).to_vec()
    };
    let alice = sr25519::Pair::from_string("//Alice", None).unwrap().public().into();
    let rich = world.network.para().read(&key(&alice), None).unwrap().unwrap();
    world.network.order(|orders| {
        for (_, _, account) in operators() {
            orders.para.set_storage.push((key(&account), Some(rich.clone())));
        }
    });
    world
}

/// An address with user, password and a key in its path.
fn with_password(url: &str) -> String {
    url.replacen("ws://", &format!("ws://prb:{NODE}@"), 1) + "/" + NODE_KEY
}

/// Makes a file that only its owner can read.
fn private(place: &Place, name: &str, text: &str) {
    fs::write(place.path(name), format!("{text}\n")).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Runs a command and keeps what it said; whether it succeeded.
async fn say(seen: &mut Seen, place: &Place, arguments: &[&str], stdin: &str) -> bool {
    let done = place.prb_with(arguments, stdin).await;
    let what = format!("prb {}", arguments.join(" "));
    seen.add(format!("{what}, output"), done.stdout);
    seen.add(format!("{what}, errors"), done.stderr);
    done.code == Some(0)
}

/// Puts operators and pools into a place, and protects its identity, which is one more secret.
async fn furnish(seen: &mut Seen, needles: &mut Needles, place: &Place) {
    for (pool, (name, secret, _)) in (1..).zip(operators()) {
        assert!(say(seen, place, &["operator", "add", name, "--json"], &secret).await);
        // Again, to be refused; and something like it that is none.
        assert!(!say(seen, place, &["operator", "add", name], &secret).await);
        assert!(!say(seen, place, &["operator", "add", "bad"], &format!("moose {secret}")).await);
        assert!(say(seen, place, &["operator", "set", name, "--secret"], &secret).await);
        let pool = u64::to_string(&pool);
        assert!(say(seen, place, &["pool", "add", &pool, "--operator", name], "").await);
    }
    let file = place.path("data/identity.key");
    needles.bytes("the identity", &hex::decode(fs::read_to_string(&file).unwrap().trim()).unwrap());
    let identity = Keyring::new(file, Passphrase::default()).open(&[]).unwrap();
    needles.bytes("the key that seals", identity.derive("prb operator secrets v1").as_slice());
    private(place, "passphrase", PASSPHRASE);
    let protect = ["identity", "change-passphrase", "--new-passphrase-file", "passphrase"];
    assert!(say(seen, place, &protect, "").await);
    let text = fs::read_to_string(place.path("prb.toml")).unwrap();
    place.configure(&format!("passphrase_file = \"passphrase\"\n{text}"));
}

/// `prb data-provider`, `prb lifecycle` and `prb trade` as processes of their own, at the lowest log level, from nothing to
/// three workers that compute, with all that operators ask meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_three_processes_are_in_no_log_answer_or_file() {
    let Some(redis) = Redis::start() else { return };
    assert_eq!(redis.command(&format!("CONFIG SET requirepass {REDIS}")), "+OK");
    let (mut seen, mut needles) = (Seen::default(), needles());
    let mut world = world(3).await;
    world.run_chains();
    let (relay, para) = (with_password(&world.url(Side::Relay)), with_password(&world.url(Side::Para)));
    let nobody = with_password("ws://127.0.0.1:9");

    let serving = Place::new();
    private(&serving, "readers.token", TOKEN);
    serving.configure(&format!(
        "data_dir = \"data\"\n[chain]\nrelay = [\"{nobody}\", \"{relay}\"]\npara = \"{para}\"\n\
         [serve]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"readers.token\"\n"
    ));
    let data = serving.start(&["data-provider"], "trace");
    let reader = Tap::on(&address(&data).await).await;
    let queue = Tap::on(&redis.url()).await;
    let mut workers = Vec::new();
    for worker in &world.workers {
        workers.push(Tap::on(&worker.url()).await);
    }

    let configuration = |chain: &str, more: &str| {
        format!(
            "data_dir = \"data\"\n[chain]\n{chain}\n[feed]\ninfo_seconds = 1\n[transactions]\ngather_ms = 100\n\
             [redis]\nurl = \"redis://:{REDIS}@{}\"\nlease_seconds = 2\n{more}",
            queue.address
        )
    };
    let trader = Place::new();
    trader.configure(&configuration(&format!("para = [\"{nobody}\", \"{para}\"]"), ""));
    furnish(&mut seen, &mut needles, &trader).await;
    // It was at work before: a new one would wait for blocks.
    let journal = Journal::open(trader.path("data/transactions.journal")).unwrap();
    journal.write(vec![Record::Name([7; 16])]).await.unwrap();
    drop(journal);
    let trading = trader.start(&["trade"], "trace");

    let place = Place::new();
    let providers = format!("[providers]\nurls = [\"{}\"]\ntoken_file = \"readers.token\"\n", reader.url());
    place.configure(&configuration(&format!("relay = \"{relay}\"\npara = \"{para}\""), &providers));
    private(&place, "readers.token", TOKEN);
    furnish(&mut seen, &mut needles, &place).await;
    for (index, tap) in workers.iter().enumerate() {
        let (name, pool, url) = (format!("w{index}"), (index + 1).to_string(), tap.url());
        let add = ["worker", "add", &name, "--endpoint", &url, "--pool", &pool, "--stake", "5000"];
        assert!(say(&mut seen, &place, &add, "").await);
    }
    let running = place.start(&["lifecycle"], "trace");
    for (pool, worker) in (1..).zip(&world.workers) {
        let told = || {
            let important = |line: &String| line.contains(" WARN ") || line.contains(" ERROR ");
            let log = [data.log(), trading.log(), running.log()].concat();
            log.into_iter().filter(important).collect::<Vec<_>>().join("\n")
        };
        let computes = async || computes_in(&world.network, worker, PoolId(pool));
        until_or("the worker is fed", async || worker.info().blocknum > 5, told).await;
        until_or("the worker computes", computes, told).await;
    }

    for kind in ["operator", "pool", "worker"] {
        let name = match kind {
            "operator" => "plain",
            "pool" => "1",
            _ => "w0",
        };
        assert!(say(&mut seen, &place, &[kind, "list", "--json"], "").await);
        assert!(say(&mut seen, &place, &[kind, "show", name], "").await);
        assert!(say(&mut seen, &place, &[kind, "show", name, "--json"], "").await);
    }
    let url = reader.url();
    for command in [
        &["inventory", "export"][..],
        &["inventory", "export", "all.yaml"],
        &["inventory", "export", "all.json"],
        &["identity", "show", "--json"],
        &["config", "--db-path", "data", "get-all-pool-operators"],
        &["status", url.as_str(), "--json", "--token-file", "readers.token"],
    ] {
        assert!(say(&mut seen, &place, command, "").await, "{command:?}");
    }
    assert!(!say(&mut seen, &place, &["status", &url], "").await, "without the token");
    // Whatever it finds.
    say(&mut seen, &place, &["check", "--json"], "").await;
    say(&mut seen, &trader, &["check"], "").await;
    for command in [&["tx", "list", "--json"][..], &["tx", "fees", "--json"], &["tx", "list"]] {
        assert!(say(&mut seen, &trader, command, "").await, "{command:?}");
    }

    for (what, process) in [("lifecycle", running), ("trade", trading), ("data-provider", data)] {
        let (code, log) = process.end("-TERM").await;
        let traced = log.iter().filter(|line| line.contains("TRACE")).count();
        assert!(code == Some(0) && traced > 100, "{what}: {code:?}, {traced} traces");
        seen.add(format!("log of {what}"), log.join("\n"));
    }
    world.halt_chains().await;
    reader.tell("the provider", &mut seen);
    queue.tell("redis", &mut seen);
    for tap in workers {
        tap.tell("a worker", &mut seen);
    }
    for side in [Side::Relay, Side::Para] {
        let asked = world.asked.all(side);
        assert!(asked.len() > 10, "{side:?}");
        seen.debug("questions to a node", &asked);
    }
    for folder in [&serving, &trader, &place] {
        for (path, content) in folder.files() {
            seen.add(path.display().to_string(), content);
        }
    }
    assert!(seen.bytes() > 1 << 20, "{} bytes", seen.bytes());
    let belongs = [
        ("/prb.toml", "the password of redis"),
        ("/prb.toml", "the password of nodes"),
        ("/prb.toml", "the key of nodes"),
        ("/passphrase", "the passphrase"),
        ("/readers.token", "the token"),
        ("the provider was asked", "the token"),
        ("redis was asked", "the password of redis"),
    ];
    seen.judge(&needles, &belongs);
}

/// A sink that tells what reaches it.
struct Told {
    trader: Trader,
    said: Arc<Mutex<Vec<String>>>,
}

impl Told {
    fn note<T: Debug>(&self, what: T) -> T {
        self.said.lock().unwrap().push(format!("{what:?}"));
        what
    }
}

#[async_trait]
impl TxSink for Told {
    async fn submit(&self, job: JobId, pool: PoolId, calls: Vec<Call>) -> Result<(), SinkError> {
        let (job, pool, calls) = self.note((job, pool, calls));
        self.note(self.trader.submit(job, pool, calls).await)
    }

    async fn outcome(&self, job: JobId) -> Result<Option<JobState>, SinkError> {
        self.note(self.trader.outcome(job).await)
    }

    async fn unsettled(&self) -> Result<Vec<Unsettled>, SinkError> {
        self.note(self.trader.unsettled().await)
    }

    async fn settled_at(&self) -> Result<Height, SinkError> {
        self.note(self.trader.settled_at().await)
    }

    async fn decided_at(&self, job: JobId) -> Result<Option<Height>, SinkError> {
        self.note(self.trader.decided_at(job).await)
    }

    async fn last_era(&self) -> Result<Option<u64>, SinkError> {
        self.note(self.trader.last_era().await)
    }
}

/// In one process, so that metrics and what the parts tell each other are seen. The thread is the test's own.
#[tokio::test]
async fn secrets_are_in_no_metric_no_event_and_no_argument() {
    let observed = Observed::begin();
    let (mut seen, needles) = (Seen::default(), needles());
    let mut world = world(1).await;
    world.run_chains();
    let (relay, para) = (with_password(&world.url(Side::Relay)), with_password(&world.url(Side::Para)));
    let nobody = with_password("ws://127.0.0.1:9");

    let operators: Operators = (1..)
        .zip(operators())
        .map(|(pool, (_, secret, _))| (PoolId(pool), Operator::new(Signer::from_text(&secret).unwrap())))
        .collect();
    let owner = operators.get(PoolId(1)).unwrap().acts_as();
    let config = TraderConfig { window: Duration::from_millis(100), ..TraderConfig::default() };
    let trader = Trader::start(Arc::new(RpcNode::new(&para)), operators.clone(), Journal::memory(), config);
    let said = Arc::<Mutex<Vec<String>>>::default();
    let sink = Arc::new(Told { trader, said: said.clone() });
    let store = Arc::new(MemoryStore::new());
    let worker = Worker {
        name: WorkerName::new("w").unwrap(),
        goal: Goal::new(PoolId(1), owner, 5000 * UNIT),
        debug_key: None,
    };
    let bridge = Bridge::builder()
        .source(
            NodeSource::at(&[&nobody, &relay], &[&para, &nobody], SourceOptions::default()),
            CryptoVerifier::with_state(store.clone()),
        )
        .store(store.clone())
        .state(Arc::new(CopyChainState::new(store.clone(), store.clone())))
        .sink(sink.clone())
        .worker(worker, PrpcDriver::new(&world.workers[0].url(), Default::default()).unwrap())
        .start()
        .await
        .unwrap();
    let heard = Heard::from_now(&bridge);
    let stand = || format!("{:#?} {:#?}", bridge.workers_status(), observed.lines(&["WARN"]));
    until_or("the worker works", async || bridge.workers_status().iter().all(works), stand).await;
    until("every call is told", async || said.lock().unwrap().iter().any(|text| text.contains("Start")))
        .await;

    seen.debug("status", &bridge.workers_status());
    let events = Mutex::new(Vec::new());
    heard.any(|event| {
        events.lock().unwrap().push(event.clone());
        false
    });
    seen.debug("events", &events.lock().unwrap());
    in_time("the bridge stops", bridge.stop()).await;
    drop(bridge);
    world.halt_chains().await;
    seen.add("arguments", said.lock().unwrap().join("\n"));
    seen.debug("operators", &operators);
    seen.debug("signer", &Signer::from_text(PHRASE).unwrap());
    seen.debug("namespace", &Space::new(&format!("redis://:{REDIS}@127.0.0.1:9"), "a").unwrap());
    let metrics = observed.metrics();
    for name in ["prb_source_", "prb_tx_", "prb_feed_", "prb_worker_", "prb_ingest_"] {
        assert!(metrics.iter().any(|metric| metric.starts_with(name)), "{name}: {metrics:?}");
    }
    seen.debug("metrics", &metrics);
    seen.debug("log", &observed.lines(&[]));

    let place = Place::new();
    place.configure(&format!(
        "[chain]\nrelay = \"{relay}\"\npara = [\"{para}\", \"{nobody}\"]\n\
         [redis]\nurl = \"redis://:{REDIS}@127.0.0.1:9\"\n"
    ));
    seen.debug("configuration", &Config::load(&place.path("prb.toml")).unwrap());
    seen.add("prb.toml", fs::read(place.path("prb.toml")).unwrap());
    let belongs = ["the password of redis", "the password of nodes", "the key of nodes"];
    seen.judge(&needles, &belongs.map(|secret| ("prb.toml", secret)));
}
