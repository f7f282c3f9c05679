//! What is kept of operators, pools and workers, as JSON.

use crate::{secret::Sealed, units};
use prb_core::id::{AccountId, PoolId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Unique name.
    pub name: String,
    /// Account of the key, hex.
    #[serde(with = "as_text")]
    pub account: AccountId,
    /// The account on whose behalf it signs, if it is a proxy.
    #[serde(with = "as_optional_text", default)]
    pub proxied: Option<AccountId>,
    /// Mnemonic, seed, derivation URI or secret key, encrypted.
    pub secret: Sealed,
}

impl Operator {
    /// What may be shown of it.
    pub fn view(&self) -> Value {
        let proxied = self.proxied.map(|account| account.to_string());
        json!({ "name": self.name, "account": self.account.to_string(), "proxied": proxied })
    }

    /// The account that owns the pools: the proxied one, else the signer's own.
    pub fn owner(&self) -> AccountId {
        self.proxied.unwrap_or(self.account)
    }
}

/// A stake pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Its own id, for programs that know pools by that.
    pub id: Uuid,
    /// Its `pid` on chain, which is unique.
    pub pid: u64,
    /// What people call it; may be empty, and need not be unique.
    pub name: String,
    /// Name of its operator; nothing is signed for a pool without one.
    pub operator: Option<String>,
    /// Whether anything is sent to its workers.
    pub enabled: bool,
    /// Whether its workers are only kept in step.
    pub sync_only: bool,
}

impl Pool {
    /// An enabled pool with an id of its own.
    pub fn new(pid: u64, operator: Option<String>) -> Self {
        Self { id: Uuid::new_v4(), pid, name: String::new(), operator, enabled: true, sync_only: false }
    }

    /// Its id on chain.
    pub const fn on_chain(&self) -> PoolId {
        PoolId(self.pid)
    }
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerRecord {
    /// Its own id, for programs that know workers by that.
    pub id: Uuid,
    /// Unique name.
    pub name: String,
    /// Base URL of its private port, which no other worker has.
    pub endpoint: String,
    /// `pid` of its pool.
    pub pool: u64,
    /// Stake, planck.
    #[serde(with = "as_planck")]
    pub stake: u128,
    /// Whether anything is sent to it.
    pub enabled: bool,
    /// Whether it is only kept in step.
    pub sync_only: bool,
    /// Whether it is a gatekeeper: registered, and never added to a pool.
    pub gatekeeper: bool,
    /// Words of its owner's choice to find it by, each once and in order. A record without any is written as releases before
    /// tags wrote it, and the stored format is raised while there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl WorkerRecord {
    /// An enabled worker with an id of its own that is to compute.
    pub fn new(name: impl Into<String>, endpoint: impl Into<String>, pool: u64, stake: u128) -> Self {
        Self {
            id: Uuid::new_v4(),
            name: name.into(),
            endpoint: endpoint.into(),
            pool,
            stake,
            enabled: true,
            sync_only: false,
            gatekeeper: false,
            tags: Vec::new(),
        }
    }
}

/// Any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An operator.
    Operator(Operator),
    /// A pool.
    Pool(Pool),
    /// A worker.
    Worker(WorkerRecord),
}

impl Record {
    /// What kind of thing it is.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Operator(_) => "operator",
            Self::Pool(_) => "pool",
            Self::Worker(_) => "worker",
        }
    }

    /// What it is known by.
    pub fn name(&self) -> String {
        match self {
            Self::Operator(operator) => operator.name.clone(),
            Self::Pool(pool) => pool.pid.to_string(),
            Self::Worker(worker) => worker.name.clone(),
        }
    }

    /// All of it but its secret.
    pub fn view(&self) -> Value {
        match self {
            Self::Operator(operator) => operator.view(),
            Self::Pool(pool) => json!(pool),
            Self::Worker(worker) => json!(worker),
        }
    }

    /// What it says of itself when it is added.
    pub(super) fn added(&self) -> String {
        match self {
            Self::Operator(operator) => {
                let proxied = operator.proxied.map(|account| format!("\non behalf of {account}"));
                format!(
                    "operator {} signs as {}{}",
                    operator.name,
                    operator.account,
                    proxied.unwrap_or_default()
                )
            }
            Self::Pool(Pool { pid, operator: None, .. }) => {
                format!("pool {pid} added; it has no operator, so its workers are only kept in step")
            }
            Self::Pool(pool) => format!("pool {} added", pool.pid),
            Self::Worker(worker) if worker.stake == 0 => {
                format!("worker {} added to be kept in step", worker.name)
            }
            Self::Worker(worker) => {
                format!("worker {} added with a stake of {}", worker.name, units::format(worker.stake))
            }
        }
    }

    /// What is left to say when it is removed.
    pub(super) fn removed(&self) -> String {
        match self {
            Self::Operator(operator) => {
                format!("operator {} removed, which signed as {}", operator.name, operator.account)
            }
            Self::Pool(pool) => format!("pool {} removed", pool.pid),
            Self::Worker(worker) => format!(
                "worker {} at {} removed; what it does on chain is not touched",
                worker.name, worker.endpoint
            ),
        }
    }
}

mod as_text {
    use prb_core::id::AccountId;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(account: &AccountId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(account)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AccountId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

mod as_optional_text {
    use prb_core::id::AccountId;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        account: &Option<AccountId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        account.map(|account| account.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<AccountId>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// JSON numbers lose precision in other programs, so planck is a string.
mod as_planck {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(planck: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(planck)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
