//! Data providers that are read from, and the address that this machine would serve on.

use super::{Item, PATIENCE, Verdict, nodes::Known};
use crate::{
    config::{Config, Serve},
    data_provider,
    deployment::ProviderAccess,
};
use futures::future::join_all;
use prb_core::span::Span;
use prb_store::{RemoteStore, remote::ProviderStatus};
use serde_json::json;
use std::net::TcpListener;
use tokio::time::timeout;

const URLS: &str = "providers.urls";

/// What is named, without asking.
pub(super) fn named(config: &Config) -> Vec<Item> {
    let urls = config.providers.iter().flat_map(|providers| &providers.urls);
    let mut items: Vec<_> = urls.map(|url| Item::new(URLS, url, Verdict::Note, "not asked")).collect();
    items.extend(access(config).0);
    items.extend(serve(config));
    items
}

pub(super) async fn items(config: &Config, known: Known) -> Vec<Item> {
    let (mut items, access) = access(config);
    if let (Some(named), Some(access)) = (&config.providers, access) {
        if named.urls.is_empty() {
            items.push(if config.p2p.enabled {
                Item::new(URLS, "", Verdict::Fine, "those that are found in the peer-to-peer network")
            } else {
                let says =
                    "none yet: workers wait until one is named, here or with --provider, or found with [p2p]";
                Item::new(URLS, "", Verdict::Note, says)
            });
        }
        let asked = named.urls.iter().map(|url| provider(url, &access, known));
        items.extend(join_all(asked).await);
    }
    items.extend(serve(config));
    items
}

/// The files that reading from providers needs.
fn access(config: &Config) -> (Vec<Item>, Option<ProviderAccess>) {
    let Some(named) = &config.providers else { return (Vec::new(), None) };
    let mut items = Vec::new();
    for (key, path, cause) in [
        (
            "providers.token_file",
            &named.token_file,
            ProviderAccess::token(named).err().map(|cause| cause.to_string()),
        ),
        (
            "providers.ca_file",
            &named.ca_file,
            ProviderAccess::authorities(named).err().map(|cause| cause.to_string()),
        ),
    ] {
        let Some(path) = path else { continue };
        items.push(match cause {
            None => Item::setting(key, path.display().to_string()),
            Some(cause) => Item::wrong(key, path.display().to_string(), cause),
        });
    }
    (items, ProviderAccess::of(config, named).ok())
}

async fn provider(url: &str, access: &ProviderAccess, known: Known) -> Item {
    let store = RemoteStore::new(access.options());
    access.require(&store);
    if let Some(block_0) = known.para_genesis {
        store.require_para_genesis(block_0);
    }
    if let Err(cause) = store.add_provider(url) {
        return Item::wrong(URLS, url, cause);
    }
    let answered = timeout(PATIENCE, async {
        loop {
            let status = store.providers().pop();
            if let Some(status) = status.filter(|status| status.trouble.is_some() || store.is_ready()) {
                return status;
            }
            tokio::time::sleep(PATIENCE / 400).await;
        }
    });
    match answered.await {
        Ok(status) => judged(url, &status, known),
        Err(_) => {
            Item::wrong(URLS, url, format!("no answer within {PATIENCE:?}; does it run, and is it reached?"))
        }
    }
}

fn judged(url: &str, status: &ProviderStatus, known: Known) -> Item {
    let Some(coverage) = status.coverage else {
        return match &status.trouble {
            // What the system says of a connection says no remedy.
            Some(cause) if cause.contains("(os error") => {
                Item::wrong(URLS, url, format!("{cause}; check the address and that the provider runs"))
            }
            Some(cause) => Item::wrong(URLS, url, cause),
            None => Item::new(URLS, url, Verdict::Note, "it answers and holds nothing yet"),
        };
    };
    let last = |span: Option<Span>| span.map(|span| span.last().0);
    let identity = coverage.identity;
    let facts = json!({
        "relay": last(coverage.relay),
        "para": last(coverage.para),
        "changes": last(coverage.changes),
        "block_0": identity.para_genesis.to_string(),
        "state_verified": coverage.state_verified,
    });
    let item = if status.foreign {
        let why = match known.para_genesis {
            Some(ours) if ours != identity.para_genesis => format!(
                "it follows another network: block 0 of its parachain is {}, that of chain.para is {ours}; name \
                 providers and a node of one network",
                identity.para_genesis
            ),
            _ => format!(
                "it begins at block {}, which is not chain.start or the built-in start of its network; name another \
                 provider, or correct chain.start",
                identity.start
            ),
        };
        Item::wrong(URLS, url, why)
    } else if let Some(cause) = &status.trouble {
        Item::wrong(URLS, url, cause)
    } else {
        let shown = |span| last(span).map_or_else(|| "none".to_owned(), |last| last.to_string());
        let says = format!(
            "it covers relay blocks up to {}, parachain blocks up to {}, storage changes up to {}",
            shown(coverage.relay),
            shown(coverage.para),
            shown(coverage.changes)
        );
        if coverage.state_verified {
            Item::new(URLS, url, Verdict::Fine, says)
        } else {
            let says = format!("{says}; it has not checked storage changes against state roots");
            Item::new(URLS, url, Verdict::Note, says)
        }
    };
    item.with(facts)
}

/// Where a data provider's metrics are, and for whom.
fn metrics(serve: &Serve) -> Item {
    if let Some(listen) = serve.metrics_listen {
        let shown = listen.to_string();
        if let Err(cause) = TcpListener::bind(listen) {
            let remedy = "stop who listens there, or choose another address";
            return Item::wrong("serve.metrics_listen", shown, format!("{cause}; {remedy}"));
        }
        if !listen.ip().is_loopback() {
            let says = "whoever reaches the port may read metrics, whatever the token";
            return Item::new("serve.metrics_listen", shown, Verdict::Note, says);
        }
        return Item::setting("serve.metrics_listen", shown);
    }
    Item::setting("serve.metrics", serve.metrics.to_string())
}

/// What a data provider with this configuration needs; nothing without a section `[serve]`.
fn serve(config: &Config) -> Vec<Item> {
    if !config.serves() {
        return Vec::new();
    }
    let serve = &config.serve;
    let listen = serve.listen.to_string();
    let mut items = vec![match TcpListener::bind(serve.listen) {
        Err(cause) => {
            let remedy = "stop who listens there (a running `prb data-provider`?), or choose another address";
            Item::wrong("serve.listen", listen, format!("{cause}; {remedy}"))
        }
        Ok(_) if !serve.listen.ip().is_loopback() && serve.token_file.is_none() => {
            let says = "whoever reaches the port may read; name a serve.token_file to change that";
            Item::new("serve.listen", listen, Verdict::Note, says)
        }
        Ok(_) => Item::setting("serve.listen", listen),
    }];
    items.push(metrics(serve));
    if let Some(path) = &serve.token_file {
        let path = path.display().to_string();
        items.push(match data_provider::token(serve) {
            Ok(_) => Item::setting("serve.token_file", path),
            Err(cause) => Item::wrong("serve.token_file", path, cause),
        });
    }
    if let Some(path) = &serve.tls_certificate {
        let path = path.display().to_string();
        items.push(match data_provider::tls(serve) {
            Ok(_) => Item::new("serve.tls_certificate", path, Verdict::Fine, "it and its key fit"),
            Err(cause) => Item::wrong("serve.tls_certificate", path, cause),
        });
    }
    items
}
