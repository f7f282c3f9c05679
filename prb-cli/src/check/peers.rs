//! The peer-to-peer network: whether it could be joined.

use super::{Item, PATIENCE, Verdict};
use crate::{
    config::{Config, P2p, Providers},
    ptp::{key_file, listening, risks},
};
use futures::future::join_all;
use prb_p2p::{Identity, Multiaddr, PreSharedKey, TcpAddress, message::Role};
use std::net::TcpListener;
use tokio::{net::TcpStream, time::timeout};

const BOOT_NODES: &str = "p2p.boot_nodes";
const MEMBERS: &str = "p2p.members";

/// What section `[p2p]` says; `offline` dials nobody.
pub(super) async fn items(config: &Config, offline: bool) -> Vec<Item> {
    let p2p = &config.p2p;
    if !p2p.enabled {
        return Vec::new();
    }
    let mut items = vec![Item::setting("p2p.bridge_identity", name(p2p))];
    items.extend(listen(p2p));
    items.extend(keys(config));
    items.extend(pre_shared_key(p2p));
    items.extend(strangers(config));
    if p2p.boot_nodes.is_empty() && !p2p.mdns {
        let says = "none, and p2p.mdns is off: only who dials this machine finds it";
        items.push(Item::new(BOOT_NODES, "", Verdict::Note, says));
    }
    items.extend(join_all(p2p.boot_nodes.iter().map(|node| boot_node(node, offline))).await);
    items
}

fn name(p2p: &P2p) -> String {
    let any = if p2p.ignore_bridge_identity { ", data is read from others too" } else { "" };
    format!("{}{any}", p2p.bridge_identity)
}

/// Addresses must be there, and ports that are named free. The service that has them may be running.
fn listen(p2p: &P2p) -> Vec<Item> {
    const KEY: &str = "p2p.listen";
    let addresses = match listening(p2p) {
        Ok(addresses) => addresses,
        Err(cause) => return vec![Item::wrong(KEY, p2p.listen.join(", "), cause)],
    };
    let looked = |address: &Multiaddr| {
        let shown = address.to_string();
        let socket = TcpAddress::of(address)?.socket()?;
        let remedy = match socket.port() {
            0 => "choose an address that this machine has",
            _ => "stop who listens there (a service that runs?), or choose another port",
        };
        Some(match TcpListener::bind(socket) {
            Ok(_) => Item::setting(KEY, shown),
            Err(cause) => Item::wrong(KEY, shown, format!("{cause}; {remedy}")),
        })
    };
    addresses.iter().filter_map(looked).collect()
}

/// The keys that were made, if there are any.
fn keys(config: &Config) -> Vec<Item> {
    let roles = [Role::DataProvider, Role::LifecycleManager, Role::Client];
    let files = roles.into_iter().filter_map(key_file).map(|name| config.peer_keys_dir().join(name));
    let looked = files.filter(|file| file.exists()).map(|file| {
        let shown = file.display().to_string();
        match Identity::read(&file) {
            Ok(identity) => {
                let says = format!("peers know it as {}", identity.peer_id());
                Item::new("p2p.identity_dir", shown, Verdict::Fine, says)
            }
            Err(cause) => Item::wrong("p2p.identity_dir", shown, cause),
        }
    });
    let items: Vec<_> = looked.collect();
    if items.is_empty() {
        let shown = config.peer_keys_dir().display().to_string();
        return vec![Item::new("p2p.identity_dir", shown, Verdict::Fine, "keys are made at the first start")];
    }
    items
}

fn pre_shared_key(p2p: &P2p) -> Option<Item> {
    const KEY: &str = "p2p.pre_shared_key_file";
    let path = p2p.pre_shared_key_file.as_ref()?;
    let shown = path.display().to_string();
    Some(match PreSharedKey::open(path) {
        Ok(key) => Item::new(KEY, shown, Verdict::Fine, format!("fingerprint {}", key.fingerprint())),
        Err(cause) => Item::wrong(KEY, shown, cause),
    })
}

/// Who else may come, and what of it.
fn strangers(config: &Config) -> Vec<Item> {
    let p2p = &config.p2p;
    let shown = format!("{} peers", p2p.members.len() + p2p.managers.len());
    // `prb lifecycle` needs no section to read from whom it finds.
    let reads = config.providers.clone().or_else(|| p2p.trust_found.then(Providers::default));
    let mut items: Vec<_> = risks(p2p, reads.as_ref())
        .into_iter()
        .map(|risk| Item::new(MEMBERS, shown.clone(), Verdict::Note, risk))
        .collect();
    if items.is_empty() {
        let says = if p2p.is_closed() { "strangers are kept out" } else { "strangers may look" };
        items.push(Item::new(MEMBERS, shown, Verdict::Fine, says));
    }
    items
}

async fn boot_node(node: &str, offline: bool) -> Item {
    let Some(address) = TcpAddress::parse(node) else {
        return Item::wrong(BOOT_NODES, node, "no TCP multiaddr");
    };
    if offline {
        return Item::new(BOOT_NODES, node, Verdict::Note, "not dialled");
    }
    let remedy = "is it running, and is its port open for this machine?";
    match timeout(PATIENCE, TcpStream::connect(address.authority(address.port()))).await {
        Ok(Ok(_)) => Item::new(BOOT_NODES, node, Verdict::Fine, "somebody listens there"),
        Ok(Err(cause)) => Item::wrong(BOOT_NODES, node, format!("{cause}; {remedy}")),
        Err(_) => Item::wrong(BOOT_NODES, node, format!("no connection within {PATIENCE:?}; {remedy}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    async fn looked(change: impl FnOnce(&mut P2p), offline: bool) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::for_nodes(folder.path().to_owned(), "ws://a:1", "ws://a:1");
        config.p2p.enabled = true;
        change(&mut config.p2p);
        items(&config, offline).await.iter().map(Item::text).collect()
    }

    #[tokio::test]
    async fn what_is_named_of_the_network_is_looked_at() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let node = format!("/ip4/127.0.0.1/tcp/{port}");
        let all = looked(
            |p2p| {
                p2p.listen = vec![node.clone()];
                p2p.boot_nodes = vec![node.clone(), "/ip4/127.0.0.1/tcp/9".to_owned()];
                p2p.pre_shared_key_file = Some("no such file".into());
            },
            false,
        )
        .await;
        for (begins, ends) in [
            ("WRONG  p2p.listen", "choose another port"),
            ("ok     p2p.identity_dir", "keys are made at the first start"),
            ("WRONG  p2p.pre_shared_key_file", "no such file"),
            ("ok     p2p.boot_nodes", "somebody listens there"),
            ("WRONG  p2p.boot_nodes", "is it running, and is its port open for this machine?"),
        ] {
            let found = all.iter().any(|line| line.starts_with(begins) && line.contains(ends));
            assert!(found, "{begins} … {ends} in {all:#?}");
        }
    }

    #[tokio::test]
    async fn an_open_network_is_noted_and_nothing_is_said_of_none() {
        let open = looked(|p2p| p2p.trust_found = true, true).await;
        assert!(
            open.iter()
                .any(|line| line.starts_with("note   p2p.members") && line.contains("keep strangers out")),
            "{open:#?}"
        );
        let closed = |p2p: &mut P2p| p2p.only_members = true;
        assert!(looked(closed, true).await.iter().all(|line| !line.starts_with("note")));
        assert!(looked(|p2p| p2p.enabled = false, true).await.is_empty());
    }

    #[tokio::test]
    async fn an_address_that_this_machine_has_not_is_wrong_with_any_port() {
        // 192.0.2.0/24 is of nobody (RFC 5737).
        let all = looked(|p2p| p2p.listen = vec!["/ip4/192.0.2.1/tcp/0".to_owned()], true).await;
        let is_told =
            |line: &String| line.starts_with("WRONG  p2p.listen") && line.contains("this machine has");
        assert!(all.iter().any(is_told), "{all:#?}");
        let all = looked(|_| {}, true).await;
        assert!(!all.iter().any(|line| line.starts_with("WRONG")), "{all:#?}");
    }

    #[tokio::test]
    async fn keys_are_read_and_neither_made_nor_changed() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::for_nodes(folder.path().join("none"), "ws://a:1", "ws://a:1");
        config.p2p = P2p { enabled: true, mdns: false, ..P2p::default() };
        config.p2p.identity_dir = Some(folder.path().to_owned());
        let (good, bad) = (folder.path().join("LIFECYCLE"), folder.path().join("MONITOR"));
        let id = Identity::open_or_create(&good).unwrap().peer_id().to_string();
        let key = folder.path().join("swarm.key");
        fs::write(&bad, "no key").unwrap();
        fs::write(&key, "ab".repeat(32)).unwrap();
        config.p2p.pre_shared_key_file = Some(key.clone());
        let stand = || {
            [&good, &bad, &key]
                .map(|file| (fs::read(file).unwrap(), fs::metadata(file).unwrap().permissions()))
        };
        #[cfg(unix)]
        for file in [&good, &bad, &key] {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            fs::set_permissions(file, mode).unwrap();
        }
        let before = stand();
        let all: Vec<_> = items(&config, true).await.iter().map(Item::text).collect();
        for (begins, holds) in
            [("ok     p2p.identity_dir", &*id), ("WRONG  p2p.identity_dir", "holds no peer identity")]
        {
            assert!(all.iter().any(|line| line.starts_with(begins) && line.contains(holds)), "{all:#?}");
        }
        assert_eq!(stand(), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
