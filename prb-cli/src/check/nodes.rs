//! Nodes, and what may stand in for them: whether they answer, are what they should be, and belong together.

use super::{Item, PATIENCE, Verdict, data::Stored, node_options};
use crate::{config::Config, source};
use futures::future::join_all;
use prb_chain::{
    node_source::{NodeFacts, check_same_network, node_facts, node_hash},
    rpc::{Rpc, RpcOptions},
};
use prb_core::{
    id::{BlockRef, Hash},
    port::{BlockSource, Stream},
};
use serde_json::json;
use std::sync::Arc;
use tokio::time::timeout;

/// What is known of the chains.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// Hash of the parachain's block 0, from the store here or the first node that answers.
    pub(super) para_genesis: Option<Hash>,
    /// Hash of relay block 0, likewise.
    pub(super) relay_chain: Option<Hash>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Relay,
    Para,
    /// A chain without a relay chain.
    Solo,
}

impl Role {
    const fn key(self) -> &'static str {
        match self {
            Self::Relay => "chain.relay",
            Self::Para | Self::Solo => "chain.para",
        }
    }

    /// Why a node with these facts cannot have this role.
    fn refuses(self, facts: &NodeFacts, known: &Known) -> Option<String> {
        match (self, facts.para_id) {
            (Self::Relay, Some(id)) => {
                return Some(format!(
                    "it is a node of parachain {id} ({}), where one of the relay chain belongs; are chain.relay and \
                     chain.para swapped?",
                    facts.name
                ));
            }
            (Self::Para, None) => {
                return Some(format!(
                    "it is a node of {}, which is no parachain; are chain.relay and chain.para swapped?",
                    facts.name
                ));
            }
            (Self::Solo, Some(id)) => {
                return Some(format!(
                    "it is a node of parachain {id} ({}), and chain.parachain = false is for a chain without a relay \
                     chain",
                    facts.name
                ));
            }
            _ => {}
        }
        let expected = if self == Self::Relay { known.relay_chain } else { known.para_genesis };
        let expected = expected.filter(|expected| *expected != facts.block_0)?;
        Some(format!(
            "it is of another network: its block 0 is {}, that of the store here or of the first node is {expected}; \
             name nodes of one network, or another data_dir",
            facts.block_0
        ))
    }
}

/// A name for a URL without what may be a key of a node provider: people paste this elsewhere.
fn shown(url: &str) -> String {
    Rpc::new(url, RpcOptions::default()).endpoint().to_owned()
}

/// What is named, without asking.
pub(super) fn named(config: &Config) -> Vec<Item> {
    let chain = &config.chain;
    [
        ("chain.mirror", chain.mirror.as_slice()),
        ("chain.headers_cache", chain.headers_cache.as_slice()),
        ("chain.relay", chain.relay.all()),
        ("chain.para", chain.para.all()),
    ]
    .into_iter()
    .flat_map(|(key, urls)| {
        urls.iter().map(move |url| Item::new(key, shown(url), Verdict::Note, "not asked"))
    })
    .collect()
}

pub(super) async fn items(config: &Config) -> (Vec<Item>, Known) {
    let stored = Stored::open(config).await;
    let mut known = stored.as_ref().map_or_else(Known::default, |stored| Known {
        para_genesis: Some(stored.chain.para_genesis),
        relay_chain: Some(stored.chain.relay_chain),
    });
    let mut items = stand_ins(config).await;
    let (relay, para) = (config.chain.relay.all(), config.chain.para.all());
    let (relays, paras) = tokio::join!(
        join_all(relay.iter().map(|url| node_facts(url, node_options()))),
        join_all(para.iter().map(|url| node_facts(url, node_options())))
    );
    for facts in relays.iter().flatten().filter(|facts| facts.para_id.is_none()).take(1) {
        known.relay_chain.get_or_insert(facts.block_0);
    }
    let role = if config.chain.parachain { Role::Para } else { Role::Solo };
    let of_its_kind = |facts: &&NodeFacts| facts.para_id.is_some() == (role == Role::Para);
    for facts in paras.iter().flatten().filter(of_its_kind).take(1) {
        known.para_genesis.get_or_insert(facts.block_0);
    }
    let (mut first_relay, mut first_para) = (None, None);
    for (role, urls, answers) in [(Role::Relay, relay, relays), (role, para, paras)] {
        for (url, answer) in urls.iter().zip(answers) {
            let item = match answer {
                Err(error) => Item::wrong(role.key(), shown(url), error),
                Ok(facts) => match refused(role, url, &facts, &known, stored.as_ref()).await {
                    Some(why) => Item::wrong(role.key(), shown(url), why).with(facts_json(&facts)),
                    None => {
                        let first = if role == Role::Relay { &mut first_relay } else { &mut first_para };
                        first.get_or_insert(url);
                        let NodeFacts { name, finalized, block_0, .. } = &facts;
                        let says = format!("{name}, finalized {finalized}, block 0 {block_0}");
                        Item::new(role.key(), shown(url), Verdict::Fine, says).with(facts_json(&facts))
                    }
                },
            };
            items.push(item);
        }
    }
    if let (Some(relay), Some(para)) = (first_relay, first_para) {
        let pair = format!("{} and {}", shown(relay), shown(para));
        items.push(match check_same_network(relay, para, node_options()).await {
            Ok(()) => Item::new("chain", pair, Verdict::Fine, "they belong together"),
            Err(cause) => Item::wrong("chain", pair, cause),
        });
    }
    (items, known)
}

/// Why a node cannot have this role, be it that it is of another network or of another fork of the right one.
async fn refused(
    role: Role,
    url: &str,
    facts: &NodeFacts,
    known: &Known,
    stored: Option<&Stored>,
) -> Option<String> {
    if let Some(why) = role.refuses(facts, known) {
        return Some(why);
    }
    // A chain without a relay chain is stored as one.
    let headers = if role == Role::Para { Stream::ParaHeaders } else { Stream::RelayHeaders };
    let BlockRef { height, hash } = stored?.common(headers, facts.finalized).await?;
    match node_hash(url, height, node_options()).await {
        Ok(found) if found == hash => None,
        Ok(found) => Some(format!(
            "it is of another fork: its block {height} is {found}, that of the store here is {hash}; name a node of the \
             store's chain, or begin with another data_dir if the chain was started anew"
        )),
        Err(cause) => Some(cause.to_string()),
    }
}

fn facts_json(facts: &NodeFacts) -> serde_json::Value {
    json!({
        "chain": facts.name,
        "block_0": facts.block_0.to_string(),
        "finalized": facts.finalized.0,
        "para_id": facts.para_id,
    })
}

/// A mirror or a headers-cache.
async fn stand_ins(config: &Config) -> Vec<Item> {
    let mut items = Vec::new();
    let chain = &config.chain;
    if let Some(url) = &chain.mirror {
        items.push(
            stand_in("chain.mirror", url, source::mirror(chain, url).map(|source| Arc::new(source) as _))
                .await,
        );
    }
    if let Some(url) = &chain.headers_cache {
        let cache = source::headers_cache(url).map(|source| Arc::new(source) as _);
        items.push(stand_in("chain.headers_cache", url, cache).await);
    }
    items
}

async fn stand_in(
    key: &'static str,
    url: &str,
    source: Result<Arc<dyn BlockSource>, crate::config::ConfigError>,
) -> Item {
    let source = match source {
        Ok(source) => source,
        Err(cause) => return Item::wrong(key, shown(url), cause),
    };
    match timeout(PATIENCE, source.tips()).await {
        Err(_) => Item::wrong(
            key,
            shown(url),
            format!("no answer within {PATIENCE:?}; does it run, and is it reached?"),
        ),
        Ok(Err(cause)) => Item::wrong(key, shown(url), cause),
        Ok(Ok(tips)) => {
            let says =
                format!("it has relay blocks up to {} and parachain blocks up to {}", tips.relay, tips.para);
            let facts = json!({"relay": tips.relay.0, "para": tips.para.0});
            Item::new(key, shown(url), Verdict::Fine, says).with(facts)
        }
    }
}
