//! The variables of PRB v2 and v3.

use super::{
    BUILT_IN_TRADER, CONFIG_MODE, DATA_SOURCES, ENFORCE_SCORE, KEEP_ALIVE, KEEP_ALIVE_TIMEOUT, MIN_SCORE,
    MODULE, PORT, QUEUE_REDIS,
};
use crate::config::keys::{Kind, flag};
use prb_p2p::PeerId;
use std::path::Path;
use toml::Value;

/// What a value means, none if it leaves the key as it is.
type Parser = fn(&str) -> Result<Option<Value>, String>;

/// A variable.
pub struct Variable {
    /// Its names: all of them are taken. Those that begin with `PRB_` or `PHALA_` may not contradict each other.
    pub names: &'static [&'static str],
    /// What it does.
    pub effect: Effect,
}

/// What a variable does.
pub enum Effect {
    /// Sets these keys.
    Sets(&'static [(&'static str, Parser)]),
    /// Means something together with others.
    Read,
    /// `true` is refused, for this reason.
    Refused(&'static str),
    /// `true` and `false` are taken and nothing else, without effect, for this reason.
    Flag(&'static str),
    /// Nothing, for this reason.
    None(&'static str),
}

use Effect::{Flag, None as Nothing, Read, Refused, Sets};

const fn row(names: &'static [&'static str], effect: Effect) -> Variable {
    Variable { names, effect }
}

const SHARED: &str = "what was read lately is bounded in MiB: feed.cache_mib, providers.cache_mib";
const ONE_PROCESS: &str =
    "one process has a task for each worker, and what fails in it is begun again by itself";
const BY_SIZE: &str = "how much is sent at once is bounded in MiB: feed.request_mib";
const INTERNAL: &str = "services do not start each other here";
const NEVER_BUILT: &str = "it never did anything in v2 either";
const FIRST: &str = "it was of the first generation; prb keeps its data in data_dir";

/// All of them, in the order of the guides.
pub const TABLE: &[Variable] = &[
    // PRB v2, all services.
    row(
        &["NODE_ENV"],
        Nothing("there is no development mode; PHALA_LOGGER_LEVEL or log.filter makes it say more"),
    ),
    row(&[MODULE], Read),
    row(&["PHALA_LOGGER_LEVEL"], Sets(&[("log.filter", level)])),
    row(&["PHALA_CHAIN_ENDPOINT"], Sets(&[("chain.para", urls)])),
    row(&["PHALA_PARENT_CHAIN_ENDPOINT"], Sets(&[("chain.relay", urls)])),
    row(&["PHALA_PEER_ID_PREFIX"], Sets(&[("p2p.identity_dir", text)])),
    row(&["PHALA_WALKIE_LISTEN_ADDRESSES"], Sets(&[("p2p.listen", urls)])),
    row(&["PHALA_WALKIE_BOOT_NODES"], Sets(&[("p2p.boot_nodes", boot_nodes)])),
    row(&["PHALA_WALKIE_DISABLE_MDNS_DISCOVERY"], Sets(&[("p2p.mdns", negated)])),
    row(&["PHALA_BRIDGE_IDENTITY"], Sets(&[("p2p.bridge_identity", text)])),
    row(&["PHALA_PTP_IGNORE_BRIDGE_IDENTITY"], Sets(&[("p2p.ignore_bridge_identity", boolean)])),
    row(&["PHALA_HOLD_ON_SUBPROCESS_EXIT"], Flag(ONE_PROCESS)),
    row(&["PHALA_Q_REDIS_ENDPOINT"], Sets(&[("redis.url", text)])),
    row(&[QUEUE_REDIS], Read),
    row(
        &["PHALA_NAMESPACE"],
        Nothing("nothing read it in v2 either; who works together has one redis.namespace"),
    ),
    row(&["PHALA_LOCAL_DB_PATH"], Sets(&[("data_dir", data_dir)])),
    // PRB v2, data provider. The guides write `_PORT`, its code did not.
    row(
        &["PHALA_DATA_PROVIDER_LOCAL_SERVER", "PHALA_DATA_PROVIDER_LOCAL_SERVER_PORT"],
        Sets(&[("serve.listen", port)]),
    ),
    row(&["PHALA_LIFECYCLE_BLOB_SERVER_SESSION_MAX_MEMORY"], Sets(&[("serve.session_memory_mib", number)])),
    row(&["PHALA_ENABLE_PARA_BATCH_SYNC"], Flag(BY_SIZE)),
    row(
        &["PHALA_DATA_PROVIDER_BLOB_MAX_PARA_BLOCK_RANGE_COUNT", "PHALA_DATA_PROVIDER_BLOB_MAX_RANGE_COUNT"],
        Nothing(BY_SIZE),
    ),
    row(&["PHALA_PARA_PARALLEL_BLOCKS", "PHALA_PARENT_PARALLEL_BLOCKS"], Nothing(NEVER_BUILT)),
    row(
        &[
            "PHALA_DATA_PROVIDER_EXTERNAL_LISTEN_ADDRESSES",
            "PHALA_DATA_PROVIDER_TRUSTED_ORIGINS",
            "PHALA_DATA_PROVIDER_BOOT_NODES",
        ],
        Nothing(NEVER_BUILT),
    ),
    row(&["SYNC_TYPE", "PHALA_PARA_ID", "PHALA_RUNNER_ID"], Nothing(INTERNAL)),
    row(
        &["PHALA_DISABLE_DP_PREFETCH"],
        Flag("one answer is always fetched ahead, and dropped if it is not wanted"),
    ),
    // PRB v2, lifecycle manager.
    row(&["PHALA_RUNNER_MAX_WORKER_NUMBER"], Nothing(ONE_PROCESS)),
    row(&[CONFIG_MODE], Read),
    row(&[BUILT_IN_TRADER], Read),
    row(&["PHALA_SYNC_ONLY"], Sets(&[("fleet.sync_only", boolean)])),
    row(&["USE_LEGACY_SYNC"], Flag("there is one way to sync, which every worker takes")),
    row(&["PHALA_LRU_CACHE_SIZE"], Nothing(SHARED)),
    row(&["PHALA_LRU_CACHE_MAX_AGE"], Sets(&[("providers.cache_seconds", milliseconds)])),
    // v2 spells it so.
    row(&["PHALA_LRU_CACHE_DBUG_LOG_INTERVAL", "PHALA_LRU_CACHE_DEBUG_LOG_INTERVAL"], Nothing(SHARED)),
    row(&["DISABLE_LRU"], Sets(&[("feed.cache_mib", none_if), ("providers.cache_mib", none_if)])),
    row(
        &["PHALA_LIFECYCLE_BLOB_QUEUE_SIZE"],
        Nothing("what is under way to workers is bounded in MiB: feed.catch_up_mib, feed.load_mib"),
    ),
    row(&["PHALA_PRPC_REQUEST_TIMEOUT"], Sets(&[("workers.read_seconds", milliseconds)])),
    row(&["PHALA_BLOB_REQUEST_TIMEOUT"], Sets(&[("workers.work_seconds", milliseconds)])),
    row(&["PRPC_QUEUE_SIZE", "PRPC_SUBQUEUE_SIZE"], Nothing("a worker is sent one call at a time")),
    row(&[KEEP_ALIVE], Read),
    row(&[KEEP_ALIVE_TIMEOUT], Read),
    row(&[MIN_SCORE], Read),
    row(&[ENFORCE_SCORE], Read),
    row(&["PHALA_DEV_SKIP_RA"], Flag("how a worker attests follows from what it can do")),
    row(&["DEBUG_LIFECYCLE_ALLOW_BLOB_FROM_SYNCHING_STATE"], Flag(NEVER_BUILT)),
    // PRB v2, monitor and scripts.
    row(&[PORT], Read),
    row(&["PTP_LISTEN_ADDRESSES"], Sets(&[("p2p.listen", urls)])),
    row(&["PTP_BOOT_NODES"], Sets(&[("p2p.boot_nodes", boot_nodes)])),
    row(&["PRB3_API_ENDPOINT"], Nothing("`prb migrate v3` takes the address on its command line")),
    // Before v2.
    row(&["PHALA_DB_PREFIX", "PHALA_DB_HOST", "PHALA_DB_PORT_BASE", "PHALA_DB_TYPE"], Nothing(FIRST)),
    row(
        &["PHALA_REDIS_ENDPOINT"],
        Nothing("it was of the first generation; PHALA_Q_REDIS_ENDPOINT is the queue"),
    ),
    row(
        &["PHALA_ENABLE_KEEP_ALIVE"],
        Nothing("it was of the first generation; WORKER_KEEPALIVE_ENABLED does the same"),
    ),
    row(
        &["PHALA_KEEP_ALIVE_TIMEOUT"],
        Nothing("it was of the first generation; WORKER_KEEPALIVE_TIMEOUT does the same"),
    ),
    // PRB v3.
    row(&["DB_PATH"], Sets(&[("data_dir", text)])),
    row(&[DATA_SOURCES], Read),
    row(&["MGMT_LISTEN_ADDRESSES"], Sets(&[("api.listen", urls)])),
    row(&["MGMT_DISABLE_MDNS"], Flag("nothing is ever advertised by mDNS, nor was it in v3")),
    row(&["DISABLE_FAST_SYNC"], Sets(&[("feed.fast_sync", negated)])),
    row(&["CACHE_SIZE"], Sets(&[("feed.cache_mib", bytes), ("providers.cache_mib", bytes)])),
    row(&["WEBHOOK_URL"], Sets(&[("notify.urls", url)])),
    row(&["PCCS_URL"], Sets(&[("attestation.pccs_url", text)])),
    row(&["PCCS_TIMEOUT"], Sets(&[("attestation.timeout_seconds", number)])),
    row(
        &["DOWNLOAD_HEADERS_ONLY"],
        Refused("`prb data-provider` fills the store and touches no worker; unset this to run workers"),
    ),
    row(
        &["VERIFY_SAVED_HEADERS"],
        Flag(
            "everything is verified before it is stored, and checked when it is read; `prb store verify` reads all of it",
        ),
    ),
];

fn text(value: &str) -> Result<Option<Value>, String> {
    Kind::Text.parse(value).map(Some)
}

fn urls(value: &str) -> Result<Option<Value>, String> {
    Kind::Urls.parse(value).map(Some)
}

/// v2's default is its list of listen addresses. Nobody can be dialled at `0.0.0.0` or `::`, so that means none.
fn boot_nodes(value: &str) -> Result<Option<Value>, String> {
    let Some(Value::Array(mut nodes)) = urls(value)? else { return Ok(None) };
    let is_any = |node: &str| node.starts_with("/ip4/0.0.0.0/") || node.starts_with("/ip6/::/");
    nodes.retain(|node| !node.as_str().is_some_and(is_any));
    let nodes = nodes.iter().filter_map(Value::as_str).map(|node| with_id(node).map(Value::String));
    Ok(Some(Value::Array(nodes.collect::<Result<_, _>>()?)))
}

/// The guides of v2 write `/ip4/10.0.0.3/tcp/28888/ID`, which is no multiaddr: v2 ignored it. What stands there is the id if it
/// is one, refused if it was meant to be one, and [left out](words_left_out) if not.
fn with_id(node: &str) -> Result<String, String> {
    let Some((address, last)) = behind_port(node) else { return Ok(node.to_owned()) };
    match last.parse::<PeerId>() {
        Ok(id) => Ok(format!("{address}/p2p/{id}")),
        Err(_) if is_like_id(last) => Err(format!(
            "{last:?} in {node:?} is no peer id; copy all of what its service logs after `Got my peer id`"
        )),
        Err(_) => Ok(address.to_owned()),
    }
}

/// What stands behind the port of a boot node and is neither an id nor meant to be one, like `peer_id_of_data_provider` in a guide.
pub(super) fn words_left_out(value: &str) -> Vec<&str> {
    let last = |node| behind_port(node).map(|(_, last)| last);
    let is_word = |last: &&str| !last.is_empty() && last.parse::<PeerId>().is_err() && !is_like_id(last);
    value.split(',').map(str::trim).filter_map(last).filter(is_word).collect()
}

/// A boot node's address up to its port, and the one part behind it.
fn behind_port(node: &str) -> Option<(&str, &str)> {
    let (address, last) = node.rsplit_once('/')?;
    let (_, port) = address.rsplit_once("/tcp/")?;
    port.parse::<u16>().is_ok().then_some((address, last))
}

/// Whether a text begins as ids do: of ed25519, RSA and secp256k1 keys.
fn is_like_id(text: &str) -> bool {
    ["12D3", "Qm", "16Uiu"].iter().any(|start| text.starts_with(start))
}

/// One address, whatever is in it.
fn url(value: &str) -> Result<Option<Value>, String> {
    Ok(Some(Value::Array(vec![Value::String(value.to_owned())])))
}

/// In v2 a 0 is the default.
fn number(value: &str) -> Result<Option<Value>, String> {
    let number = Kind::Number.parse(value)?;
    Ok((number != Value::Integer(0)).then_some(number))
}

/// Seconds, rounded up.
pub(super) fn milliseconds(value: &str) -> Result<Option<Value>, String> {
    let milliseconds = number(value)?.and_then(|number| number.as_integer());
    Ok(milliseconds.map(|number| Value::Integer((number + 999) / 1000)))
}

/// MiB, rounded up; v3 takes 0 for nothing.
fn bytes(value: &str) -> Result<Option<Value>, String> {
    let bytes: u64 = value.parse().map_err(|_| "must be a whole number of bytes".to_owned())?;
    let mib = i64::try_from(bytes.div_ceil(1 << 20)).map_err(|error| error.to_string())?;
    Ok(Some(Value::Integer(mib)))
}

fn boolean(value: &str) -> Result<Option<Value>, String> {
    Ok(Some(Value::Boolean(flag(value)?)))
}

fn negated(value: &str) -> Result<Option<Value>, String> {
    Ok(Some(Value::Boolean(!flag(value)?)))
}

/// 0 if it is `true`.
fn none_if(value: &str) -> Result<Option<Value>, String> {
    Ok(flag(value)?.then_some(Value::Integer(0)))
}

fn level(value: &str) -> Result<Option<Value>, String> {
    let filter = match value {
        "trace" | "debug" | "info" | "warn" | "error" => value,
        "fatal" => "error",
        _ => return Err("must be trace, debug, info, warn, error or fatal".to_owned()),
    };
    text(filter)
}

/// v2's server was reached from everywhere.
fn port(value: &str) -> Result<Option<Value>, String> {
    match value.parse::<u16>() {
        Ok(0) => Ok(None),
        Ok(port) => text(&format!("0.0.0.0:{port}")),
        Err(_) => Err("must be a port, 1 to 65535".to_owned()),
    }
}

/// A data provider's folder, or the folder that v2's SQLite file is in.
fn data_dir(value: &str) -> Result<Option<Value>, String> {
    let path = Path::new(value);
    let folder = match path.extension() {
        Some(extension) if extension == "db" => path.parent().filter(|folder| !folder.as_os_str().is_empty()),
        _ => Some(path),
    };
    text(&folder.unwrap_or(Path::new(".")).to_string_lossy())
}
