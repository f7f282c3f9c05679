//! `prb.toml`.

mod api;
mod check;
mod data_sources;
pub mod environment;
mod keys;
mod monitor;
mod notify;
mod origin;
mod p2p;
mod purpose;
mod show;
mod tuning;
mod urls;

pub use api::{Api, DEFAULT_LISTEN, DEFAULT_TRADE_LISTEN, Network};
pub use environment::{Environment, Remark, Service};
pub(crate) use monitor::THIS;
pub use monitor::{DEFAULT_MONITOR, DEFAULT_QUEUE, Manager, Monitor, key};
pub use notify::Notify;
pub use origin::{Origin, Sources};
pub use p2p::P2p;
pub use purpose::Purpose;
pub(crate) use show::place;
pub use show::show;
pub use tuning::{Attestation, Feed, Workers};
pub use urls::Urls;

use crate::{
    args::RunArgs,
    identity::{Keyring, Passphrase},
};
use origin::Origins;
use prb_chain::{
    redis_queue::{BadSpace, Space},
    trader::TipBudget,
};
use prb_core::{
    fault::remedy,
    id::{BlockRef, Hash, Height},
    tx::Period,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The configuration of a deployment. Unknown keys are refused, so that a typing error is not silently ignored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Folder of everything prb keeps. Relative paths are relative to the working directory.
    #[serde(default = "default_data_dir")]
    pub data_dir: PathBuf,
    /// File whose first line is the passphrase of the identity, readable by its owner only. Without it a protected identity
    /// asks on the terminal, and a service does not start.
    pub passphrase_file: Option<PathBuf>,
    /// The chains.
    #[serde(default)]
    pub chain: Chain,
    /// Feeding workers.
    #[serde(default)]
    pub feed: Feed,
    /// Reaching workers.
    #[serde(default)]
    pub workers: Workers,
    /// Attestation of workers.
    #[serde(default)]
    pub attestation: Attestation,
    /// Putting workers to work.
    #[serde(default)]
    pub fleet: Fleet,
    /// Transactions.
    #[serde(default)]
    pub transactions: Transactions,
    /// A trader of its own. Without this section transactions are made in the same process.
    pub redis: Option<Redis>,
    /// Telling other programs what happens.
    #[serde(default)]
    pub notify: Notify,
    /// Serving data to other machines.
    #[serde(default)]
    pub serve: Serve,
    /// Data providers. With this section nothing is ingested and no chain data is kept here: workers are fed with what
    /// providers have verified.
    pub providers: Option<Providers>,
    /// Finding other services, and being found.
    #[serde(default)]
    pub p2p: P2p,
    /// The management API.
    #[serde(default)]
    pub api: Api,
    /// Its pages.
    #[serde(default)]
    pub monitor: Monitor,
    /// Logs.
    #[serde(default)]
    pub log: Log,
    /// Operators, pools and workers that are put into the inventory at start unless they are there already. Meant for
    /// development networks: the only secrets taken here are public development URIs like `//Alice`.
    #[serde(default)]
    pub inventory: Declared,
    /// Whether there is a section `[serve]`.
    #[serde(skip)]
    serves: bool,
    /// Where the values come from.
    #[serde(skip)]
    origins: Origins,
    /// What is to be told of the environment.
    #[serde(skip)]
    remarks: Vec<Remark>,
}

/// What the configuration itself puts into the inventory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Declared {
    /// Operators.
    pub operators: Vec<DeclaredOperator>,
    /// Pools.
    pub pools: Vec<DeclaredPool>,
    /// Workers.
    pub workers: Vec<DeclaredWorker>,
}

/// An operator with a public development key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredOperator {
    /// Its name.
    pub name: String,
    /// `//Alice`, `//Bob`, …
    pub development_uri: String,
}

/// A pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredPool {
    /// Its `pid` on chain.
    pub pid: u64,
    /// Name of its operator.
    pub operator: String,
    /// Whether its workers are only kept in step.
    #[serde(default)]
    pub sync_only: bool,
}

/// A worker with its stake as people write it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredWorker {
    /// Its name.
    pub name: String,
    /// Base URL of its private port.
    pub endpoint: String,
    /// `pid` of its pool.
    pub pool: u64,
    /// Stake in PHA (`1500`) or planck (`1500000000000000planck`).
    pub stake: String,
}

/// Where the chains are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// WebSocket URL of a relay chain node, or a list of them, the preferred one first: where one fails, hangs, is
    /// behind or lies, the next one is asked. None with `mirror`; not needed where data comes from providers.
    #[serde(default)]
    pub relay: Urls,
    /// WebSocket URL of a parachain node, at best with Phala's RPC extension (others take longer for storage changes), or
    /// a list likewise. Transactions go through them, too: for these they are needed with `mirror` as well.
    #[serde(default)]
    pub para: Urls,
    /// Whether the chain with the workers is a parachain. `false`: it finalizes itself and has no relay chain; `para` names
    /// its nodes, and `relay` stays empty.
    #[serde(default = "yes")]
    pub parachain: bool,
    /// URL of another prb data provider that blocks are taken from, for example `http://10.0.0.3:8012` (http only). It is
    /// verified like a node, and no node is asked for blocks.
    pub mirror: Option<String>,
    /// File that holds the token which that provider wants.
    pub mirror_token_file: Option<PathBuf>,
    /// URL of a headers-cache server, for example `http://10.0.0.4:21111` (http only). What it has is taken from it and
    /// verified, the rest from the nodes; so relay nodes need not keep the states of old blocks. Only the start of a store of a
    /// network that is not built in comes from the nodes whatever it has.
    pub headers_cache: Option<String>,
    /// Check storage changes against state roots on a copy of the state. Switching it off saves time and disk and
    /// lets a lying node poison workers.
    #[serde(default = "yes")]
    pub verify_state: bool,
    /// The start block this network must have; without it the first node asked is trusted.
    pub start: Option<Start>,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            relay: Urls::default(),
            para: Urls::default(),
            parachain: true,
            mirror: None,
            mirror_token_file: None,
            headers_cache: None,
            verify_state: true,
            start: None,
        }
    }
}

/// A pinned start block.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Its number.
    pub number: u32,
    /// Its hash.
    pub hash: String,
}

/// How workers are put to work.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fleet {
    /// Lowest benchmark score to put a worker to work with. One below it is registered, told and held; what computes
    /// already is left alone.
    ///
    /// The chain refuses less than 50, at a fee; registering again does not change a score. None unless given: whatever
    /// the chain takes. Typical: 50.
    pub min_score: Option<u32>,
    /// Only keep all workers in step, whatever the inventory says of them: nothing is registered or started.
    pub sync_only: bool,
}

/// How transactions are made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transactions {
    /// Blocks within which a transaction may be included: a power of two, 4 to 65536.
    ///
    /// A transaction whose fate is unknown is not repeated before they have passed; too few, and a busy chain lets
    /// transactions expire. Typical: 32.
    pub mortality: u32,
    /// How long calls are gathered into one batch, milliseconds.
    ///
    /// Longer saves fees, shorter sends sooner. Typical: 1000.
    pub gather_ms: u64,
    /// Tip per transaction, PHA.
    pub tip: String,
    /// Most PHA offered on top of `tip` for one transaction, after nodes refused it because they prefer others. It
    /// begins at a 64th of this and doubles with every refusal. `"0"` offers nothing.
    pub raise_tip: String,
    /// Most PHA offered so on one day (UTC), of all accounts together.
    pub raise_tip_daily: String,
    /// Free balance of a signing account, PHA, below which a warning names it. `"0"` never warns. Typical: the fees of
    /// some days.
    pub low_balance: String,
    /// Do everything but send: transactions are encoded, signed, estimated with the node and logged. What is under way
    /// from earlier runs is left alone.
    pub dry_run: bool,
}

/// A trader of its own (`prb trade`), reached through a Redis server.
///
/// Nothing in Redis has to last, and it must not be open to others: whoever reaches it can have transactions signed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// Its address: `redis://127.0.0.1:6379`, or `redis://:password@host:6379/0`.
    pub url: String,
    /// What `prb lifecycle` or `prb run` and their `prb trade` share; of each role one is at work in it.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// How long the lease of either role lasts, seconds: who stands by takes over so long after the other is gone.
    /// Shorter is disturbed by shorter pauses. Typical: 10.
    #[serde(default = "default_lease")]
    pub lease_seconds: u64,
}

impl Redis {
    /// With defaults for everything but its address.
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.to_owned(), namespace: default_namespace(), lease_seconds: default_lease() }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address may hold a password.
        f.debug_struct("Redis").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

fn default_namespace() -> String {
    "prb".to_owned()
}

const fn default_lease() -> u64 {
    10
}

impl Default for Transactions {
    fn default() -> Self {
        let none = || "0".to_owned();
        Self {
            mortality: 32,
            gather_ms: 1000,
            tip: none(),
            raise_tip: none(),
            raise_tip_daily: none(),
            low_balance: none(),
            dry_run: false,
        }
    }
}

/// Whom data comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Providers {
    /// Addresses like `http://10.0.0.3:8012` or `https://cache.example`. Any of them may be down, also at the start, and
    /// one that is behind or fails is not relied on. Read again at SIGHUP.
    pub urls: Vec<String>,
    /// File that holds the token that providers want to see.
    pub token_file: Option<PathBuf>,
    /// PEM file of the certificates that vouch for `https` providers, or of their own; the system's are believed
    /// without it.
    pub ca_file: Option<PathBuf>,
    /// MiB of what was read lately, kept in memory for workers at the same place; 0 keeps nothing. Typical: 256.
    pub cache_mib: usize,
    /// How long it is kept, seconds. Typical: 60.
    pub cache_seconds: u64,
}

impl Default for Providers {
    fn default() -> Self {
        Self { urls: Vec::new(), token_file: None, ca_file: None, cache_mib: 256, cache_seconds: 60 }
    }
}

/// How `prb data-provider` serves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Serve {
    /// Address to listen on. The default reaches this machine only.
    pub listen: SocketAddr,
    /// File that holds the token readers must show, at least 16 characters. Without one, whoever reaches the port may
    /// read.
    pub token_file: Option<PathBuf>,
    /// Whether `/metrics` is answered, by the same rules as data. Without it nobody who may only read data sees them.
    pub metrics: bool,
    /// An address of its own for `/healthz`, `/readyz` and `/metrics`, without token and TLS; data is not read there, and
    /// [`Self::listen`] answers no `/metrics` then. Typical: `127.0.0.1:8013`, or an address that only Prometheus reaches.
    pub metrics_listen: Option<SocketAddr>,
    /// PEM file with the certificate to show, followed by those that vouch for it. With it and [`Self::tls_key`] only
    /// TLS is spoken.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with the certificate's key.
    pub tls_key: Option<PathBuf>,
    /// Most MiB of items in one answer.
    pub response_mib: usize,
    /// Most MiB of answers under way together; who comes later is told to come back.
    pub memory_mib: usize,
    /// The same for one connection.
    pub session_memory_mib: usize,
    /// MiB of items kept in memory for readers that ask for the same.
    pub cache_mib: usize,
    /// Most connections.
    pub connections: usize,
    /// Most connections of one address.
    pub connections_per_peer: usize,
}

impl Default for Serve {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8012)),
            token_file: None,
            metrics: true,
            metrics_listen: None,
            tls_certificate: None,
            tls_key: None,
            response_mib: 16,
            memory_mib: 256,
            session_memory_mib: 64,
            cache_mib: 128,
            connections: 512,
            connections_per_peer: 64,
        }
    }
}

/// What is logged.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Filter, for example `info` or `info,prb_chain=debug`.
    pub filter: String,
    /// One JSON object per line.
    pub json: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), json: false }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration {path}: {cause}{remedy}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
        /// What to do.
        remedy: String,
    },
    /// It is not a configuration. The text itself is not repeated: somebody may have put a secret there.
    #[error("configuration {path}, line {line}: {cause}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// Why, in one line.
        cause: String,
    },
    /// A value cannot be used.
    #[error("configuration: {key}: {cause}")]
    Invalid {
        /// Which key.
        key: &'static str,
        /// Why not.
        cause: String,
    },
    /// What an environment variable says cannot be used.
    #[error("environment variable {name}: {cause}")]
    Variable {
        /// Which.
        name: String,
        /// Why not. Values are not repeated: some are secrets.
        cause: String,
    },
    /// File and environment do not fit together.
    #[error("configuration {path} together with the environment: {cause}")]
    Together {
        /// The file.
        path: PathBuf,
        /// Why, in one line.
        cause: String,
    },
}

impl Config {
    /// Reads and checks a file for `prb run`, whatever the environment says.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_for(&Sources::file(path), Purpose::Run)
    }

    /// Reads and checks a configuration.
    pub fn load_for(sources: &Sources, purpose: Purpose) -> Result<Self, ConfigError> {
        sources.made(|sources| {
            let config = Self::read_all(sources, purpose)?;
            config.check_for(purpose)?;
            Ok(config)
        })
    }

    /// Reads a configuration whose values are still to be checked.
    pub fn read(sources: &Sources, purpose: Purpose) -> Result<Self, ConfigError> {
        sources.made(|sources| Self::read_all(sources, purpose))
    }

    fn read_all(sources: &Sources, purpose: Purpose) -> Result<Self, ConfigError> {
        let path = &sources.file;
        let text = match fs::read_to_string(path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && sources.stand_alone() => String::new(),
            Err(cause) => {
                let remedy = match cause.kind() {
                    io::ErrorKind::NotFound => format!("; {}", purpose.without_file()),
                    _ => format!("; {}", remedy(&cause)),
                };
                return Err(ConfigError::Unreadable { path: path.clone(), cause, remedy });
            }
            Ok(text) => text,
        };
        Self::joined(path, &text, &sources.environment)
    }

    /// Likewise, with defaults for what nothing says where there is no file.
    pub(crate) fn read_or_default(sources: &Sources, purpose: Purpose) -> Result<Self, ConfigError> {
        if sources.file.exists() {
            return Self::read(sources, purpose);
        }
        sources.made(|sources| Self::joined(&sources.file, "", &sources.environment))
    }

    fn joined(path: &Path, text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let mut table = text.parse::<toml::Table>().map_err(|error| malformed(path, text, &error))?;
        let mut origins = Origins::of_file(&table);
        let file = table.clone();
        let given = environment.given(&file)?;
        given.apply(&mut table, &mut origins);
        let serves = table.contains_key("serve");
        let mut config: Self = toml::Value::Table(table).try_into().map_err(|error| {
            // By itself the file tells the line.
            match toml::from_str::<Self>(text) {
                Err(error) => malformed(path, text, &error),
                Ok(_) => ConfigError::Together { path: path.to_owned(), cause: in_one_line(error.message()) },
            }
        })?;
        (config.serves, config.origins, config.remarks) = (serves, origins, given.remarks);
        Ok(config)
    }

    /// What is to be told of the environment: variables without effect, and why.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// With the passphrase file that the command line names, if it does.
    pub fn unlocked_by(mut self, file: Option<PathBuf>) -> Self {
        if let Some(file) = file {
            self.passphrase_file = Some(file);
            self.origins.set("passphrase_file", Origin::Flag("--passphrase-file".to_owned()));
        }
        self
    }

    /// For who asks peers and need not be found: it joins their network, and listens nowhere, unless told.
    pub(crate) fn joining_as_client(mut self) -> Self {
        let is_said = |key| *self.origins.of(key) != Origin::Default;
        let (enabled, listen) = (is_said("p2p.enabled"), is_said("p2p.listen"));
        self.p2p.enabled |= !enabled;
        if !listen {
            self.p2p.listen.clear();
        }
        self
    }

    /// With the data directory that the command line of `prb config` names, if it does.
    pub fn kept_in(mut self, folder: Option<PathBuf>) -> Self {
        if let Some(folder) = folder {
            self.data_dir = folder;
            self.origins.set("data_dir", Origin::Flag("--db-path".to_owned()));
        }
        self
    }

    /// A configuration with defaults for everything but the nodes.
    pub fn for_nodes(data_dir: PathBuf, relay: impl Into<Urls>, para: impl Into<Urls>) -> Self {
        Self::with_chain(data_dir, Chain { relay: relay.into(), para: para.into(), ..Chain::default() })
    }

    /// A configuration with defaults for everything but the data provider that blocks are taken from.
    pub fn for_mirror(data_dir: PathBuf, mirror: String) -> Self {
        Self::with_chain(data_dir, Chain { mirror: Some(mirror), ..Chain::default() })
    }

    /// Whether there is a section `[serve]`: whether the file is meant for a data provider too.
    pub(crate) const fn serves(&self) -> bool {
        self.serves
    }

    fn with_chain(data_dir: PathBuf, chain: Chain) -> Self {
        Self {
            data_dir,
            passphrase_file: None,
            chain,
            feed: Feed::default(),
            workers: Workers::default(),
            attestation: Attestation::default(),
            fleet: Fleet::default(),
            transactions: Transactions::default(),
            redis: None,
            notify: Notify::default(),
            serve: Serve::default(),
            providers: None,
            p2p: P2p::default(),
            api: Api::default(),
            monitor: Monitor::default(),
            log: Log::default(),
            inventory: Declared::default(),
            serves: false,
            origins: Origins::default(),
            remarks: Vec::new(),
        }
    }

    /// The pinned start block.
    pub fn trusted_start(&self) -> Result<Option<BlockRef>, ConfigError> {
        let Some(start) = &self.chain.start else { return Ok(None) };
        let hash: Hash = start.hash.parse().map_err(|error: prb_core::id::BadHex| ConfigError::Invalid {
            key: "chain.start.hash",
            cause: error.to_string(),
        })?;
        Ok(Some(BlockRef { height: Height(start.number), hash }))
    }

    /// For how many blocks a transaction may be included.
    pub fn period(&self) -> Result<Period, ConfigError> {
        Period::new(self.transactions.mortality)
            .map_err(|error| ConfigError::Invalid { key: "transactions.mortality", cause: error.to_string() })
    }

    /// Tip per transaction, planck.
    pub fn tip(&self) -> Result<u128, ConfigError> {
        amount("transactions.tip", &self.transactions.tip)
    }

    /// What may be offered on top of it, none if nothing.
    pub fn tip_budget(&self) -> Result<Option<TipBudget>, ConfigError> {
        let most = amount("transactions.raise_tip", &self.transactions.raise_tip)?;
        let daily = amount("transactions.raise_tip_daily", &self.transactions.raise_tip_daily)?;
        if (most == 0) != (daily == 0) {
            let cause = "is bounded by transactions.raise_tip_daily; set both or neither".to_owned();
            return Err(ConfigError::Invalid { key: "transactions.raise_tip", cause });
        }
        Ok((most > 0).then(|| TipBudget { first: (most / 64).max(1), most, daily }))
    }

    /// Balance to warn below, planck.
    pub fn low_balance(&self) -> Result<u128, ConfigError> {
        amount("transactions.low_balance", &self.transactions.low_balance)
    }

    /// The namespace that is shared with a trader of its own, none without one.
    pub fn space(&self) -> Result<Option<Space>, ConfigError> {
        let Some(redis) = &self.redis else { return Ok(None) };
        if !(1..=600).contains(&redis.lease_seconds) {
            let cause = "must be 1 to 600".to_owned();
            return Err(ConfigError::Invalid { key: "redis.lease_seconds", cause });
        }
        let bad = |error: BadSpace| {
            let key = match error {
                BadSpace::Address(_) => "redis.url",
                BadSpace::Name(_) => "redis.namespace",
            };
            ConfigError::Invalid { key, cause: error.to_string() }
        };
        Space::new(&redis.url, &redis.namespace).map(Some).map_err(bad)
    }

    /// With what the command line says.
    pub fn told(mut self, args: RunArgs) -> Self {
        self.transactions.dry_run |= args.dry_run;
        self
    }

    /// Where orders to a running trader are put.
    pub fn orders_dir(&self) -> PathBuf {
        self.data_dir.join("orders")
    }

    /// Where blobs are kept.
    pub fn blobs_dir(&self) -> PathBuf {
        self.data_dir.join("blobs")
    }

    /// Where the inventory is kept.
    pub fn inventory_dir(&self) -> PathBuf {
        self.data_dir.join("inventory")
    }

    /// The transaction journal.
    pub fn journal_file(&self) -> PathBuf {
        self.data_dir.join("transactions.journal")
    }

    /// The identity file.
    pub fn identity_file(&self) -> PathBuf {
        self.data_dir.join("identity.key")
    }

    /// The identity there, and how it is unlocked.
    pub fn keyring(&self) -> Keyring {
        Keyring::new(self.identity_file(), Passphrase::from_file(self.passphrase_file.clone()))
    }
}

fn amount(key: &'static str, text: &str) -> Result<u128, ConfigError> {
    crate::units::parse(text).map_err(|error| ConfigError::Invalid { key, cause: error.to_string() })
}

fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let nearest = text.parse::<toml::Table>().ok().and_then(|table| keys::instead_of_unknown(&table));
    let nearest = nearest.map_or_else(String::new, |key| format!("; did you mean `{key}`?"));
    let cause = in_one_line(error.message()) + &nearest;
    ConfigError::Malformed { path: path.to_owned(), line, cause }
}

fn in_one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join(", ")
}

fn default_data_dir() -> PathBuf {
    PathBuf::from("prb-data")
}

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    const NODES: &str = "[chain]\nrelay = \"ws://127.0.0.1:9945\"\npara = \"ws://127.0.0.1:9944\"\n";

    #[test]
    fn a_chain_that_finalizes_itself_needs_no_relay_chain() {
        let solo = "[chain]\npara = \"ws://127.0.0.1:9944\"\nparachain = false\n";
        assert!(!parse(solo).unwrap().chain.parachain);
        for more in ["relay = \"ws://127.0.0.1:9945\"\n", "headers_cache = \"http://127.0.0.1:21111\"\n"] {
            let error = parse(&format!("{solo}{more}")).unwrap_err();
            assert!(error.contains("remove it"), "{error}");
        }
        assert!(parse(&solo.replace("false", "true")).unwrap_err().contains("chain.relay"));
    }

    #[test]
    fn two_nodes_are_enough() {
        let config = parse(NODES).unwrap();
        assert!(config.chain.verify_state);
        assert_eq!(config.transactions.mortality, 32);
    }

    #[test]
    fn each_command_needs_the_nodes_that_it_asks() {
        let parse = |text: &str| toml::from_str::<Config>(text).unwrap();
        let para = parse("[chain]\npara = \"ws://127.0.0.1:9944\"\n");
        let fed = parse("[chain]\npara = \"ws://127.0.0.1:9944\"\n[providers]\n");
        let none = parse("[chain]\n[providers]\n");
        for (config, purpose, missing) in [
            (&para, Purpose::Run, "chain.relay"),
            (&para, Purpose::DataProvider, "chain.relay"),
            (&para, Purpose::Lifecycle, ""),
            (&fed, Purpose::Run, ""),
            (&fed, Purpose::Lifecycle, ""),
            (&fed, Purpose::DataProvider, "chain.relay"),
            (&none, Purpose::Run, "chain.para"),
            (&none, Purpose::Lifecycle, "chain.para"),
            (&none, Purpose::Store, ""),
        ] {
            match config.check_for(purpose) {
                Ok(()) => assert_eq!(missing, "", "{purpose:?}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(!missing.is_empty() && error.contains(missing), "{purpose:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn v2_f038_a_lowest_score_can_be_set() {
        assert_eq!(parse(NODES).unwrap().fleet.min_score, None);
        let config = parse(&format!("[fleet]\nmin_score = 50\n{NODES}")).unwrap();
        assert_eq!(config.fleet.min_score, Some(50));
    }

    #[test]
    fn a_chain_may_have_several_nodes() {
        let several = NODES.replace("\"ws://127.0.0.1:9945\"", "[\"ws://a:1\", \"wss://b:2/key\"]");
        let config = parse(&several).unwrap();
        assert_eq!(config.chain.relay.all(), ["ws://a:1", "wss://b:2/key"]);
        assert_eq!(config.chain.para.all(), ["ws://127.0.0.1:9944"]);
        let cases = [
            ("[]", "1 to 16"),
            ("[\"ws://a:1\", \"http://b:2\"]", "WebSocket"),
            ("[\"ws://a:1\", \"ws://b:2\", \"ws://a:1\"]", "same node twice, as number 3"),
            ("[1]", "expected a string"),
            ("7", "a WebSocket URL or a list of them"),
        ];
        for (urls, expected) in cases {
            let error = parse(&NODES.replace("\"ws://127.0.0.1:9945\"", urls)).unwrap_err();
            assert!(error.contains(expected), "{urls}: {error}");
        }
    }

    #[test]
    fn a_key_that_is_not_known_is_told_with_the_nearest_one() {
        let cases = [
            ("data_dri = \"x\"\n", "`data_dir`"),
            ("relay = \"ws://a\"\n", "`chain.relay`"),
            ("[chain]\nrelays = \"ws://a\"\n", "`chain.relay`"),
            ("[feed]\nrequest_mb = 4\n", "`feed.request_mib`"),
            ("[provider]\nurls = []\n", "`providers`"),
            ("[feed]\nlisten = \"127.0.0.1:1\"\n", "`serve.listen`"),
        ];
        for (text, expected) in cases {
            let path = Path::new("prb.toml");
            let error = Config::joined(path, text, &Environment::default()).unwrap_err().to_string();
            let told = format!("did you mean {expected}?");
            assert!(error.contains("unknown field") && error.contains(&told), "{error}");
        }
        let error = Config::joined(Path::new("prb.toml"), "zzz = 1\n", &Environment::default()).unwrap_err();
        assert!(!error.to_string().contains("did you mean"), "{error}");
    }

    #[test]
    fn mistakes_name_the_key_and_the_remedy() {
        let cases = [
            ("typo = 1\n", "unknown field `typo`"),
            ("[transactions]\nmortality = 33\n", "power of two"),
            ("[feed]\nrequest_mib = 0\n", "feed.request_mib"),
            ("[feed]\ninfo_seconds = 0\n", "feed.info_seconds"),
            ("[feed]\ncatch_up_mib = 0\n", "feed.catch_up_mib: must be 1 to"),
            ("[workers]\nconnect_seconds = 0\n", "workers.connect_seconds: must be 1 to 300, is 0"),
            ("[workers]\nidle_reuse_seconds = 61\n", "workers.idle_reuse_seconds"),
            ("[attestation]\ntimeout_seconds = 0\n", "attestation.timeout_seconds"),
            ("[attestation]\npccs_url = \"pccs:8081\"\n", "attestation.pccs_url"),
            ("[attestation]\nurl = \"x\"\n", "unknown field `url`"),
            ("[providers]\ncache_mib = 1048577\n", "providers.cache_mib"),
            ("[transactions]\ngather_ms = 60001\n", "transactions.gather_ms"),
            ("[transactions]\ntip = \"much\"\n", "transactions.tip"),
            ("[transactions]\nraise_tip = \"1\"\n", "set both or neither"),
            ("[transactions]\nlow_balance = \"-1\"\n", "transactions.low_balance"),
            ("[redis]\nurl = \"127.0.0.1:6379\"\n", "redis.url"),
            ("[redis]\nurl = \"redis://127.0.0.1\"\nnamespace = \"a b\"\n", "redis.namespace"),
            ("[redis]\nurl = \"redis://127.0.0.1\"\nlease_seconds = 0\n", "redis.lease_seconds"),
            ("[serve]\nresponse_mib = 300\n", "serve.response_mib"),
            ("[serve]\nlisten = \"8012\"\n", "socket address"),
            ("[serve]\nsession_memory_mib = 8\n", "serve.session_memory_mib"),
            ("[serve]\ntls_key = \"k\"\n", "name both or neither"),
            ("[serve]\nmetrics_listen = \"127.0.0.1:8012\"\n", "serve.metrics_listen: is serve.listen"),
            ("[serve]\nmetrics = false\nmetrics_listen = \"127.0.0.1:1\"\n", "remove serve.metrics = false"),
            ("[providers]\nurl = \"x\"\n", "unknown field `url`"),
            ("[providers]\nurls = [\"ws://10.0.0.3\"]\n", "providers.urls"),
            ("[p2p]\nboot_nodes = [\"10.0.0.3:1\"]\n", "p2p.boot_nodes: \"10.0.0.3:1\" is no TCP multiaddr"),
            ("[p2p]\nbootnodes = []\n", "unknown field `bootnodes`"),
        ];
        for (extra, expected) in cases {
            let text =
                if extra.starts_with('[') { format!("{NODES}{extra}") } else { format!("{extra}{NODES}") };
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let mirror = "[chain]\nmirror = \"http://10.0.0.3:8012\"\n";
        assert!(parse(mirror).is_ok());
        assert!(parse(&format!("{mirror}para = \"ws://127.0.0.1:9944\"\n")).is_ok(), "for transactions");
        let cache = "headers_cache = \"http://10.0.0.4:21111\"\n";
        assert!(parse(&format!("{NODES}{cache}")).is_ok());
        for (text, expected) in [
            (format!("{mirror}relay = \"ws://127.0.0.1:9945\"\n"), "chain.relay: not asked"),
            (format!("{mirror}{cache}"), "chain.headers_cache: not asked"),
            (format!("{mirror}[providers]\n"), "chain.mirror: not asked"),
            (format!("{NODES}{cache}[providers]\n"), "chain.headers_cache: not asked"),
            (format!("[chain]\n{cache}"), "chain.relay: must be 1 to 16 WebSocket URLs"),
            (format!("{NODES}[providers]\n").replace("ws://127.0.0.1:9945", "http://x"), "chain.relay"),
            (format!("{NODES}mirror_token_file = \"token\"\n"), "no chain.mirror"),
            (mirror.replace("http:", "https:"), "chain.mirror: "),
            (format!("{NODES}headers_cache = \"10.0.0.4\"\n"), "chain.headers_cache: "),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let missing = Config::load(Path::new("no such folder/prb.toml")).unwrap_err().to_string();
        assert!(missing.contains("[chain]") && missing.contains("--config"), "{missing}");
        let error = parse(&NODES.replace("ws://127.0.0.1:9945", "http://x")).unwrap_err();
        assert!(error.contains("chain.relay") && error.contains("WebSocket"), "{error}");
    }
}
