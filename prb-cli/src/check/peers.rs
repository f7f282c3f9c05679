//! The peer-to-peer network: whether it could be joined.

use super::{Item, PATIENCE, Verdict};
use crate::{
    config::{Config, P2p},
    ptp::address::Tcp,
};
use futures::future::join_all;
use prb_core::fault::remedy;
use prb_p2p::PreSharedKey;
use std::{fs, net::TcpListener};
use tokio::{net::TcpStream, time::timeout};

const BOOT_NODES: &str = "p2p.boot_nodes";

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
    items.push(strangers(config));
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

/// Ports that are named must be free. The service that has them may be running.
fn listen(p2p: &P2p) -> Vec<Item> {
    let looked = |text: &String| {
        let address = Tcp::parse(text)?;
        let (ip, port) = (address.ip?, address.port);
        Some(match TcpListener::bind((ip, port)) {
            _ if port == 0 => Item::setting("p2p.listen", text),
            Ok(_) => Item::setting("p2p.listen", text),
            Err(cause) => {
                let remedy = "stop who listens there (a service that runs?), or choose another port";
                Item::wrong("p2p.listen", text, format!("{cause}; {remedy}"))
            }
        })
    };
    p2p.listen.iter().filter_map(looked).collect()
}

/// The keys that were made, if there are any.
fn keys(config: &Config) -> Vec<Item> {
    let files = ["DATA_PROVIDER", "LIFECYCLE"].map(|name| config.peer_keys_dir().join(name));
    let looked = files.iter().filter(|file| file.exists()).map(|file| {
        let shown = file.display().to_string();
        match fs::File::open(file) {
            Ok(_) => Item::setting("p2p.identity_dir", shown),
            Err(cause) => Item::wrong("p2p.identity_dir", shown, format!("{cause}; {}", remedy(&cause))),
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

/// Who else may come.
fn strangers(config: &Config) -> Item {
    let p2p = &config.p2p;
    let key = "p2p.allow";
    let shown = format!("{} peers", p2p.allow.len());
    let open = !p2p.only_allowed && p2p.pre_shared_key_file.is_none();
    let says = match (open, p2p.allow_unauthenticated) {
        (true, true) => "whoever reaches the port may change pools and workers (p2p.allow_unauthenticated)",
        (true, false) => {
            "whoever reaches the port may call himself a data provider of this bridge; p2p.pre_shared_key_file or \
             p2p.only_allowed keep strangers out"
        }
        (false, true) => "whoever is let in may change pools and workers (p2p.allow_unauthenticated)",
        (false, false) => return Item::setting(key, shown),
    };
    Item::new(key, shown, Verdict::Note, says)
}

async fn boot_node(node: &str, offline: bool) -> Item {
    let Some(address) = Tcp::parse(node) else { return Item::wrong(BOOT_NODES, node, "no TCP multiaddr") };
    if offline {
        return Item::new(BOOT_NODES, node, Verdict::Note, "not dialled");
    }
    let remedy = "is it running, and is its port open for this machine?";
    match timeout(PATIENCE, TcpStream::connect(address.authority(address.port))).await {
        Ok(Ok(_)) => Item::new(BOOT_NODES, node, Verdict::Fine, "somebody listens there"),
        Ok(Err(cause)) => Item::wrong(BOOT_NODES, node, format!("{cause}; {remedy}")),
        Err(_) => Item::wrong(BOOT_NODES, node, format!("no connection within {PATIENCE:?}; {remedy}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let open = looked(|_| {}, true).await;
        assert!(
            open.iter()
                .any(|line| line.starts_with("note   p2p.allow") && line.contains("keep strangers out"))
        );
        let closed = |p2p: &mut P2p| p2p.only_allowed = true;
        assert!(looked(closed, true).await.iter().all(|line| !line.starts_with("note")));
        assert!(looked(|p2p| p2p.enabled = false, true).await.is_empty());
    }
}
