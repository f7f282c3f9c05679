//! Whether a relay node and a parachain node belong together.

use super::{
    ParaNode, RelayNode,
    genesis::{VALIDATION_DATA, ValidationData},
};
use prb_core::{
    id::{Hash, Height},
    port::SourceError,
    storage_key,
};

/// Why two nodes give no genesis.
pub(super) enum Unfit {
    /// One of them fails by itself.
    Node(SourceError),
    /// They do not belong together.
    Pair(Box<Apart>),
}

impl From<SourceError> for Unfit {
    fn from(error: SourceError) -> Self {
        Self::Node(error)
    }
}

/// Two nodes that do not belong together. Which of them is the wrong one is not known from these two alone.
pub(super) struct Apart {
    relay: String,
    para: String,
    /// The relay parent of parachain block 1, and its state root as the parachain node has it.
    number: u32,
    told: Hash,
    /// As the relay node has it, none if it does not have the block.
    found: Option<Hash>,
}

impl Apart {
    /// The error if it is the relay node.
    pub(super) fn by_relay(&self) -> SourceError {
        let endpoint = self.relay.clone();
        let Some(found) = self.found else {
            return SourceError::Missing { endpoint, what: format!("relay block {}", self.number) };
        };
        self.bad(endpoint, &format!("its state root is {found}, {} says {}", self.para, self.told))
    }

    /// The error if it is the parachain node.
    pub(super) fn by_para(&self) -> SourceError {
        let has = self.found.map_or_else(|| "has no such block".to_owned(), |found| format!("has {found}"));
        let cause = format!("it says that its state root is {}, {} {has}", self.told, self.relay);
        self.bad(self.para.clone(), &cause)
    }

    fn bad(&self, endpoint: String, cause: &str) -> SourceError {
        let what = format!("relay block {}, the parent of parachain block 1", self.number);
        let cause =
            format!("{cause}: the nodes are of different networks; choose nodes that belong together");
        SourceError::Bad { endpoint, what, cause }
    }
}

/// Parachain block 1 names the state root of its relay parent: the relay node must have that block.
pub(super) async fn check(relay: &RelayNode, para: &ParaNode) -> Result<(), Unfit> {
    let first = para.header(Height(1)).await?.block_ref();
    let data: Option<ValidationData> =
        para.value(&storage_key::validation_data(), first, VALIDATION_DATA).await?;
    let data = data.ok_or_else(|| no_parachain(para))?;
    let (number, told) = (data.relay_parent_number, data.relay_parent_storage_root);
    let found = match relay.header(Height(number)).await {
        Ok(parent) => Some(parent.state_root),
        Err(SourceError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if found == Some(told) {
        return Ok(());
    }
    if relay.para_id().await?.is_some() {
        return Err(no_relay_chain(relay).into());
    }
    let (relay, para) = (relay.endpoint().to_owned(), para.endpoint().to_owned());
    Err(Unfit::Pair(Box::new(Apart { relay, para, number, told, found })))
}

/// A node stands where one of a parachain belongs.
fn no_parachain(node: &ParaNode) -> SourceError {
    let cause = "there is none in its block 1, so it is no node of a parachain; are relay chain and parachain (chain.relay, \
                 chain.para) swapped?";
    let (endpoint, what) = (node.endpoint().to_owned(), VALIDATION_DATA.to_owned());
    SourceError::Bad { endpoint, what, cause: cause.to_owned() }
}

/// A node stands where one of the relay chain belongs.
fn no_relay_chain(node: &RelayNode) -> SourceError {
    let cause =
        "it is one of a parachain, not of the relay chain; name a node of the relay chain (chain.relay)";
    let (endpoint, what) = (node.endpoint().to_owned(), "its chain".to_owned());
    SourceError::Bad { endpoint, what, cause: cause.to_owned() }
}
