//! Where data comes from, and how those are who give it.

use super::{Data, Deployment};
use crate::config::place;
use prb_chain::journal::Fees;
use prb_core::{
    port::{Tips, source::Peer},
    progress::Following,
};
use prb_store::remote::ProviderStatus;
use schemars::JsonSchema;
use serde::Serialize;

/// One of those who give data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SourceStatus {
    /// Its name or address, without what may be a secret.
    pub name: String,
    /// Of which chain it is asked; none where it has both.
    pub chain: Option<&'static str>,
    /// The highest block that it has told.
    pub height: Option<u32>,
    /// Whether it is the one that is asked.
    pub in_use: bool,
    /// What is wrong with it, none while all is well.
    pub trouble: Option<String>,
}

impl SourceStatus {
    fn of_peer(peer: &Peer) -> Self {
        let Peer { name, side, head, in_use, trouble, .. } = peer;
        Self {
            name: name.clone(),
            chain: Some(side.name()),
            height: head.map(|head| head.height.0),
            in_use: *in_use,
            trouble: trouble.clone(),
        }
    }

    fn of_provider(provider: &ProviderStatus) -> Self {
        let ProviderStatus { url, usable, foreign, coverage, trouble } = provider;
        let foreign = foreign.then(|| "it follows another network".to_owned());
        Self {
            name: place(url),
            chain: None,
            height: coverage.and_then(|coverage| coverage.changes).map(|changes| changes.last().0),
            in_use: *usable,
            trouble: trouble.clone().or(foreign),
        }
    }

    /// Those of an ingest. A source that does not look at them one by one is one.
    fn of_ingest(following: &Following) -> Vec<Self> {
        let Following { source, peers, stalled, .. } = following;
        if !peers.is_empty() || source.is_empty() {
            return peers.iter().map(Self::of_peer).collect();
        }
        let (in_use, trouble) = (stalled.is_none(), stalled.clone());
        vec![Self { name: source.clone(), chain: None, height: None, in_use, trouble }]
    }
}

impl Deployment {
    /// Those who give data, and how they are.
    pub fn sources(&self) -> Vec<SourceStatus> {
        match &self.data {
            Data::Own(_) => {
                let following = self.bridge.following().map(|following| following.borrow().clone());
                SourceStatus::of_ingest(&following.unwrap_or_default())
            }
            Data::Providers(providers) => {
                providers.store().providers().iter().map(SourceStatus::of_provider).collect()
            }
        }
    }

    /// Finalized heads of the chains as the source told them last; none where data comes from providers.
    pub fn tips(&self) -> Option<Tips> {
        self.bridge.following().and_then(|following| following.borrow().tips)
    }

    /// What was paid for transactions; none where the trader is a process of its own.
    pub fn fees(&self) -> Option<Fees> {
        let trader = self.trader.as_ref()?;
        Some(trader.journal().read(|image| image.fees().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prb_core::{
        id::{BlockRef, Hash, Height},
        port::source::Side,
    };

    #[test]
    fn each_node_tells_how_it_is_and_a_source_without_any_is_one() {
        let head = BlockRef { height: Height(7), hash: Hash([0; 32]) };
        let peer = Peer {
            name: "ws://a:1".to_owned(),
            side: Side::Para,
            head: Some(head),
            in_use: true,
            open: None,
            trouble: Some("it is behind".to_owned()),
        };
        let stalled = Some("waiting for block 8".to_owned());
        let mirror = Following { source: "http://m:1".to_owned(), stalled, ..Following::default() };
        let nodes = Following { peers: vec![peer], ..mirror.clone() };
        let told = |following: &Following| {
            let [only]: [SourceStatus; 1] = SourceStatus::of_ingest(following).try_into().unwrap();
            only
        };
        assert_eq!(
            told(&nodes),
            SourceStatus {
                name: "ws://a:1".to_owned(),
                chain: Some("parachain"),
                height: Some(7),
                in_use: true,
                trouble: Some("it is behind".to_owned()),
            }
        );
        let mirror: SourceStatus = told(&mirror);
        assert_eq!((mirror.in_use, mirror.trouble.as_deref()), (false, Some("waiting for block 8")));
        assert!(SourceStatus::of_ingest(&Following::default()).is_empty());
    }

    #[test]
    fn a_provider_of_another_network_is_in_trouble_and_its_address_holds_no_secret() {
        let provider = ProviderStatus {
            url: "https://user:word@a:1/key".to_owned(),
            usable: false,
            foreign: true,
            coverage: None,
            trouble: None,
        };
        let told = SourceStatus::of_provider(&provider);
        assert_eq!((told.name.as_str(), told.in_use), ("https://…@a:1/…", false));
        assert!(told.trouble.unwrap().contains("another network"));
    }
}
