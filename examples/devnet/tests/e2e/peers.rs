//! Services that find each other in the peer-to-peer network, and who may do what there.

use crate::asked::Side;
use crate::own_network;
use crate::port::{Port, freed};
use crate::world::{World, in_time, until, until_or};
use prb_cli::config::{Config, P2p, Providers};
use prb_cli::data_provider::DataProvider;
use prb_cli::deployment::Deployment;
use prb_cli::ptp::Membership;
use prb_devnet::network;
use prb_p2p::message::Role;
use prb_p2p::method::Method;
use prb_p2p::{Answer, Caller, Identity, Me, Multiaddr, Network, Options, Peer, PeerId, Service};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;

/// How a test's services join.
#[derive(Clone)]
struct Joining {
    p2p: P2p,
    /// Where providers serve.
    serve: &'static str,
}

impl Joining {
    /// On this machine's loopback, by one boot node.
    fn by(boot: &Multiaddr) -> Self {
        let p2p = P2p {
            enabled: true,
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            boot_nodes: vec![boot.to_string()],
            mdns: false,
            trust_found: true,
            ..P2p::default()
        };
        Self { p2p, serve: "127.0.0.1:0" }
    }

    /// By mDNS alone, on every address.
    fn by_mdns() -> Self {
        let listen = vec!["/ip4/0.0.0.0/tcp/0".to_owned()];
        let p2p = P2p { enabled: true, listen, trust_found: true, ..P2p::default() };
        Self { p2p, serve: "0.0.0.0:0" }
    }

    fn at(mut self, port: &Port) -> Self {
        self.p2p.listen = vec![multiaddr(port).to_string()];
        self.p2p.boot_nodes.clear();
        self
    }

    fn of_bridge(mut self, name: &str) -> Self {
        name.clone_into(&mut self.p2p.bridge_identity);
        self
    }
}

fn multiaddr(port: &Port) -> Multiaddr {
    format!("/ip4/{}/tcp/{}", port.addr.ip(), port.addr.port()).parse().unwrap()
}

/// A data provider, whose folder and so whose key outlives it.
struct Site {
    folder: TempDir,
    joining: Joining,
    provider: Option<DataProvider>,
}

impl Site {
    async fn start(world: &World, joining: Joining) -> Self {
        let mut site = Self { folder: tempfile::tempdir().unwrap(), joining, provider: None };
        site.resume(world).await;
        site
    }

    async fn resume(&mut self, world: &World) {
        let folder = self.folder.path().to_owned();
        let mut config = Config::for_nodes(folder, world.url(Side::Relay), world.url(Side::Para));
        config.serve.listen = self.joining.serve.parse().unwrap();
        config.p2p = self.joining.p2p.clone();
        self.provider = Some(DataProvider::start(&config).await.unwrap());
    }

    fn port(&self) -> u16 {
        self.provider.as_ref().unwrap().address().port()
    }

    fn url(&self, ip: &str) -> String {
        format!("http://{ip}:{}", self.port())
    }

    async fn id(&self) -> PeerId {
        let peers = self.provider.as_ref().unwrap().peers().unwrap();
        in_time("it joins", peers.joined()).await.peer_id()
    }

    async fn stop(&mut self) {
        in_time("a provider stops", self.provider.take().unwrap().stop()).await;
    }
}

/// A lifecycle manager that names no provider, and has one worker of the world, which it only keeps in step.
struct Manager {
    deployment: Arc<Deployment>,
    peers: Membership,
    _folder: TempDir,
}

impl Manager {
    async fn start(world: &World, worker: usize, joining: &Joining) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = world.config();
        config.data_dir = folder.path().to_owned();
        config.providers = Some(Providers::default());
        config.inventory.workers = vec![config.inventory.workers.swap_remove(worker)];
        config.fleet.sync_only = true;
        config.p2p = joining.p2p.clone();
        let deployment = Arc::new(Deployment::start(&config).await.unwrap());
        // `prb lifecycle` does this by itself once a provider has answered.
        deployment.apply_inventory().await.unwrap();
        let peers = Membership::open(&config).unwrap().unwrap();
        peers.attach(&deployment).await;
        Self { deployment, peers, _folder: folder }
    }

    /// Addresses that it reads from.
    fn reads_from(&self) -> Vec<String> {
        let mut urls: Vec<_> = self.deployment.sources().into_iter().map(|source| source.name).collect();
        urls.sort();
        urls
    }

    async fn until_reading_from(&self, mut urls: Vec<String>) {
        urls.sort();
        let reads = async || self.reads_from() == urls;
        until_or("it reads from them", reads, || format!("{:?}, not {urls:?}", self.reads_from())).await;
    }

    async fn id(&self) -> PeerId {
        in_time("it joins", self.peers.joined()).await.peer_id()
    }

    async fn stop(self) {
        in_time("it leaves", self.peers.stop()).await;
        let deployment = Arc::into_inner(self.deployment).expect("nobody holds it any more");
        in_time("the deployment stops", deployment.stop()).await;
    }
}

/// A monitor: it only asks.
struct Nobody;

#[async_trait::async_trait]
impl Service for Nobody {
    async fn answer(
        &self,
        _: &Caller,
        _: Method,
        _: prost::bytes::Bytes,
    ) -> Result<prost::bytes::Bytes, prb_p2p::message::ResponseError> {
        Err(prb_p2p::message::ResponseError::new(prb_p2p::message::ErrorKind::NotFound, "nothing here"))
    }
}

async fn monitor(joining: &Joining) -> Network {
    let client = || "client".to_owned();
    let me = Me {
        role: Role::Client,
        hostname: "monitor".to_owned(),
        chain_identity: client(),
        bridge_identity: client(),
    };
    let addresses =
        |texts: &[String]| -> Vec<Multiaddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
    let options = Options {
        listen: addresses(&joining.p2p.listen),
        boot_nodes: addresses(&joining.p2p.boot_nodes),
        mdns: joining.p2p.mdns,
        ..Options::new(Identity::random(), me)
    };
    Network::start(options, Arc::new(Nobody)).await.unwrap()
}

async fn until_listed(network: &Network, ids: &[PeerId]) -> Vec<Peer> {
    let listed = async || {
        let peers = network.peers();
        ids.iter().all(|id| peers.iter().any(|peer| peer.id == *id && peer.reachable))
    };
    until_or("all are listed", listed, || format!("{:#?}", network.peers())).await;
    network.peers()
}

/// Calls a method with JSON, as a monitor does.
async fn call(network: &Network, peer: &PeerId, method: Method, request: Value) -> Result<Value, String> {
    let data = method.request_from_json(&request).unwrap();
    let answer: Answer = network.call(peer, method.name(), data).await.unwrap();
    let answered = answer.result.map_err(|error| error.to_string())?;
    Ok(method.answer_to_json(&answered).unwrap())
}

/// Waits until a worker is where the parachain is.
async fn until_at_tip(world: &World, worker: usize, manager: &Manager) {
    let goal = world.network.para().finalized_number();
    let there = async || world.workers[worker].info().blocknum > goal;
    let stand = || format!("{:#?}", manager.deployment.bridge().workers_status());
    until_or("the worker is at the tip", there, stand).await;
}

fn pool(pid: u64) -> Value {
    let mnemonic = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
    json!({ "pools": [{ "pid": pid, "name": format!("pool {pid}"), "enabled": true, "owner": { "mnemonic": mnemonic } }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f016_v2_f059_v2_f065_v2_f067_services_find_each_other_by_one_boot_node_and_workers_reach_the_tip()
{
    let mut world = World::new(network::Config::default(), 40, 2).await;
    world.run_chains();
    let port = Port::keep();
    let joining = Joining::by(&multiaddr(&port));
    let mut one = Site::start(&world, joining.clone().at(&port)).await;
    let mut two = Site::start(&world, joining.clone()).await;
    let mut foreign = Site::start(&world, joining.clone().of_bridge("another")).await;
    let managers = [Manager::start(&world, 0, &joining).await, Manager::start(&world, 1, &joining).await];

    let ours = vec![one.url("127.0.0.1"), two.url("127.0.0.1")];
    for (worker, manager) in managers.iter().enumerate() {
        manager.until_reading_from(ours.clone()).await;
        until_at_tip(&world, worker, manager).await;
    }

    let monitor = monitor(&joining).await;
    let providers = [one.id().await, two.id().await, foreign.id().await];
    let ids = [&providers[..], &[managers[0].id().await, managers[1].id().await]].concat();
    let peers = until_listed(&monitor, &ids).await;
    for peer in peers.iter().filter(|peer| ids.contains(&peer.id)) {
        let expected = if providers.contains(&peer.id) { Role::DataProvider } else { Role::LifecycleManager };
        assert_eq!(peer.role, expected as i32);
        let bridge = if peer.id == providers[2] { "another" } else { "default" };
        assert_eq!(peer.bridge_identity, bridge);
        assert_eq!(peer.chain_identity, peers[0].chain_identity);
        assert!(peer.chain_identity.starts_with("0x") && peer.chain_identity.len() == 66, "{peer:?}");
    }
    let goal = i64::from(world.network.para().finalized_number());
    until("a provider tells how far it is", async || {
        let info = call(&monitor, &providers[1], Method::GetDataProviderInfo, json!({})).await.unwrap();
        assert_eq!(info["blobServerPort"], two.port(), "{info}");
        // A target is told once its node has told it.
        let there = |field: &str| info[field].as_i64().unwrap();
        there("paraCommittedHeight") >= goal && there("paraTarget") >= goal && there("parentTarget") >= goal
    })
    .await;
    // Nobody read from the other bridge's provider, though it has the same blocks.
    assert!(managers.iter().all(|manager| !manager.reads_from().contains(&foreign.url("127.0.0.1"))));

    monitor.stop().await;
    for manager in managers {
        manager.stop().await;
    }
    for site in [&mut one, &mut two, &mut foreign] {
        site.stop().await;
    }
    world.halt_chains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f016_a_provider_that_comes_back_on_another_port_is_followed() {
    let mut world = World::new(network::Config::default(), 40, 1).await;
    world.run_chains();
    let port = Port::keep();
    let joining = Joining::by(&multiaddr(&port));
    let mut site = Site::start(&world, joining.clone().at(&port)).await;
    let manager = Manager::start(&world, 0, &joining).await;
    let before = site.url("127.0.0.1");
    manager.until_reading_from(vec![before.clone()]).await;
    until_at_tip(&world, 0, &manager).await;
    let id = site.id().await;

    let place = (std::net::Ipv4Addr::LOCALHOST, site.port());
    site.stop().await;
    freed(place.into()).await;
    // So that it gets another one. Nobody listens there, so whoever still asks is refused at once.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.set_reuseaddr(true).unwrap();
    taken.bind(place.into()).unwrap();
    site.resume(&world).await;
    let after = site.url("127.0.0.1");
    assert_ne!(before, after);
    assert_eq!(site.id().await, id, "its key is kept");
    manager.until_reading_from(vec![after]).await;
    until_at_tip(&world, 0, &manager).await;
    drop(taken);

    manager.stop().await;
    site.stop().await;
    world.halt_chains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f131_x18_a_provider_that_anybody_could_be_is_not_read_from() {
    let mut world = World::new(network::Config::default(), 40, 2).await;
    world.run_chains();
    let port = Port::keep();
    let joining = Joining::by(&multiaddr(&port));
    let mut ours = Site::start(&world, joining.clone().at(&port)).await;
    let mut stranger = Site::start(&world, joining.clone()).await;
    let stranger_id = stranger.id().await;
    let mut choosy = joining.clone();
    choosy.p2p.trust_found = false;
    choosy.p2p.members = vec![ours.id().await.to_string()];
    let choosy = Manager::start(&world, 0, &choosy).await;
    choosy.until_reading_from(vec![ours.url("127.0.0.1")]).await;
    until_listed(&in_time("it joins", choosy.peers.joined()).await, &[stranger_id]).await;

    // One that trusts everybody and came later reads from both, so the other one had its time.
    let trusting = Manager::start(&world, 1, &joining).await;
    trusting.until_reading_from(vec![ours.url("127.0.0.1"), stranger.url("127.0.0.1")]).await;
    for (worker, manager) in [&choosy, &trusting].into_iter().enumerate() {
        until_at_tip(&world, worker, manager).await;
    }
    assert_eq!(choosy.reads_from(), [ours.url("127.0.0.1")]);

    for manager in [choosy, trusting] {
        manager.stop().await;
    }
    for site in [&mut ours, &mut stranger] {
        site.stop().await;
    }
    world.halt_chains().await;
}

/// In a network of its own, with an address that is not the loopback's: peers are strangers to each other there.
#[tokio::test(flavor = "multi_thread")]
async fn v2_f064_v2_f131_x18_peers_find_each_other_by_mdns_and_strangers_change_nothing() {
    let name = "peers::v2_f064_v2_f131_x18_peers_find_each_other_by_mdns_and_strangers_change_nothing";
    if !own_network::is_inside() {
        return own_network::run(name).await;
    }
    let mut world = World::new(network::Config::default(), 40, 2).await;
    world.run_chains();
    let joining = Joining::by_mdns();
    let mut sites = [Site::start(&world, joining.clone()).await, Site::start(&world, joining.clone()).await];
    let managers = [Manager::start(&world, 0, &joining).await, Manager::start(&world, 1, &joining).await];
    let urls: Vec<String> = sites.iter().map(|site| site.url(own_network::ADDRESS)).collect();
    for (worker, manager) in managers.iter().enumerate() {
        manager.until_reading_from(urls.clone()).await;
        until_at_tip(&world, worker, manager).await;
    }

    let stranger = monitor(&joining).await;
    let id = managers[0].id().await;
    let ids = [id, managers[1].id().await, sites[0].id().await, sites[1].id().await];
    until_listed(&stranger, &ids).await;
    let known = call(&stranger, &id, Method::ListPool, json!({})).await.unwrap();
    assert_eq!(known["pools"].as_array().map(Vec::len), Some(1), "{known}");
    let workers = call(&stranger, &id, Method::ListWorker, json!({})).await.unwrap();
    let uuid = workers["workers"][0]["uuid"].as_str().unwrap().to_owned();
    for (method, request) in [
        (Method::CreatePool, pool(2)),
        (Method::KickWorker, json!({ "ids": [uuid] })),
        (Method::RestartWorker, json!({ "ids": [uuid] })),
    ] {
        let refused = call(&stranger, &id, method, request).await.unwrap_err();
        assert!(refused.contains("UNAUTHORIZED") && refused.contains("p2p.managers"), "{refused}");
    }
    assert_eq!(call(&stranger, &id, Method::ListPool, json!({})).await.unwrap(), known);
    until_at_tip(&world, 0, &managers[0]).await;

    stranger.stop().await;
    for manager in managers {
        manager.stop().await;
    }
    for site in &mut sites {
        site.stop().await;
    }
    world.halt_chains().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_f045_a_peer_on_the_same_machine_manages_pools() {
    let world = World::new(network::Config::default(), 10, 1).await;
    let port = Port::keep();
    let joining = Joining::by(&multiaddr(&port));
    let manager = Manager::start(&world, 0, &joining.clone().at(&port)).await;
    let monitor = monitor(&joining).await;
    let id = manager.id().await;
    until_listed(&monitor, &[id]).await;
    let made = call(&monitor, &id, Method::CreatePool, pool(2)).await.unwrap();
    assert_eq!(made["pools"][0]["pid"], "2", "{made}");
    assert!(!made.to_string().contains("bottom drive"), "{made}");
    let pools = || manager.deployment.inventory().snapshot().unwrap().pools.len();
    assert_eq!(pools(), 2);
    until("a worker is told of", async || {
        let said = call(&monitor, &id, Method::GetWorkerStatus, json!({ "ids": [] })).await;
        said.is_ok_and(|said| said["workerStates"].as_array().is_some_and(|states| states.len() == 1))
    })
    .await;
    monitor.stop().await;
    manager.stop().await;
}
