//! What else a configuration says.

use super::{Item, PATIENCE, Verdict};
use crate::{
    api::{Managers, token},
    config::{self, Config, ConfigError, DEFAULT_MONITOR, DEFAULT_QUEUE, Notify, Redis, Remark, place},
    logs, units, webhook,
};
use futures::future::join_all;
use prb_core::{fault::remedy, port::worker::WorkerDriver};
use prb_worker::PrpcDriver;
use std::{net::SocketAddr, sync::Arc};
use tokio::{net::TcpStream, time::timeout};

pub(super) async fn items(config: &Config, offline: bool) -> Vec<Item> {
    let mut items = vec![
        if config.chain.verify_state {
            Item::setting("chain.verify_state", "true")
        } else {
            Item::new("chain.verify_state", "false", Verdict::Note, "a lying node can poison workers")
        },
        match &config.chain.start {
            Some(start) => Item::setting("chain.start", format!("{} {} (pinned)", start.number, start.hash)),
            None => Item::setting("chain.start", "built in for live networks, else trusted on first use"),
        },
        Item::setting("feed.request_mib", config.feed.request_mib.to_string()),
        Item::setting("feed.fast_sync", config.fast_sync_meaning()),
        match config.workers.connector() {
            Ok(_) => Item::setting("workers", config.workers.meaning()),
            Err(cause) => Item::wrong("workers", config.workers.meaning(), cause),
        },
        match config.attestation.pccs() {
            Ok(_) => Item::setting("attestation", config.attestation.meaning()),
            Err(cause) => Item::wrong("attestation", config.attestation.meaning(), cause),
        },
        Item::setting("transactions.mortality", format!("{} blocks", config.transactions.mortality)),
        match config.tip() {
            Ok(tip) => Item::setting("transactions.tip", units::format(tip)),
            Err(cause) => Item::wrong("transactions.tip", &config.transactions.tip, cause),
        },
        Item::setting("transactions.low_balance", planck(config.low_balance())),
        match config.tip_budget() {
            Ok(None) => Item::setting("transactions.raise_tip", "nothing"),
            Ok(Some(budget)) => {
                let (most, daily) = (units::format(budget.most), units::format(budget.daily));
                Item::setting("transactions.raise_tip", format!("{most}, at most {daily} a day"))
            }
            Err(cause) => Item::wrong("transactions.raise_tip", &config.transactions.raise_tip, cause),
        },
        match logs::check(&config.log) {
            Ok(()) => Item::setting("log.filter", &config.log.filter),
            Err(cause) => Item::wrong("log.filter", &config.log.filter, cause),
        },
    ];
    if let Some(path) = &config.passphrase_file {
        let shown = path.display().to_string();
        items.push(match std::fs::File::open(path) {
            Ok(_) => Item::setting("passphrase_file", shown),
            Err(cause) => Item::wrong("passphrase_file", shown, format!("{cause}; {}", remedy(&cause))),
        });
    }
    if config.transactions.dry_run {
        items.push(Item::new("transactions.dry_run", "true", Verdict::Note, "nothing is sent"));
    }
    if config.fleet.sync_only {
        items.push(Item::new("fleet.sync_only", "true", Verdict::Note, "no worker is put to work"));
    }
    items.extend(notify(&config.notify));
    let remark = |remark: &Remark| Item::new("environment", "", Verdict::Note, remark.to_string());
    items.extend(config.remarks().iter().map(remark));
    if let Some(score) = config.fleet.min_score {
        items.push(Item::setting("fleet.min_score", score.to_string()));
    }
    items.extend(api(&config.api));
    items.extend(monitor(config));
    if config.redis.is_some() && config.api.enabled {
        items.push(listening("api.trade_listen", config.api.trader_addresses(), &config.api));
    }
    if let Some(redis) = &config.redis {
        items.push(self::redis(config, redis, offline).await);
    }
    let declared = &config.inventory;
    if !declared.operators.is_empty() || !declared.pools.is_empty() || !declared.workers.is_empty() {
        let (operators, pools, workers) =
            (declared.operators.len(), declared.pools.len(), declared.workers.len());
        let shown = format!("{operators} operators, {pools} pools, {workers} workers");
        items.push(Item::setting("inventory", shown));
    }
    if !offline {
        let asked = declared.workers.iter().map(|worker| self::worker(config, &worker.endpoint));
        items.extend(join_all(asked).await);
    }
    items
}

/// Whom is told what happens, and whether the files for that can be used. Nobody is told anything here.
fn notify(notify: &Notify) -> Vec<Item> {
    if !notify.is_wanted() {
        return Vec::new();
    }
    let urls = [&notify.urls, &notify.alert_urls, &notify.pherry_urls];
    let shown: Vec<_> = urls.into_iter().flatten().map(|url| place(url)).collect();
    let mut items = vec![match notify.connector() {
        Ok(_) => Item::setting("notify", shown.join(", ")),
        Err(cause) => Item::wrong("notify", shown.join(", "), cause),
    }];
    if let Some(path) = &notify.token_file {
        let shown = path.display().to_string();
        items.push(match webhook::token(notify) {
            Ok(_) => Item::setting("notify.token_file", shown),
            Err(cause) => Item::wrong("notify.token_file", shown, cause),
        });
    }
    items
}

fn planck(amount: Result<u128, ConfigError>) -> String {
    amount.map_or_else(|error| error.to_string(), units::format)
}

/// The management API. Its port is not tried: a bridge that runs has it.
fn api(api: &config::Api) -> Vec<Item> {
    if !api.enabled {
        return vec![Item::setting("api.enabled", "false")];
    }
    let mut items = vec![listening("api.listen", api.addresses(), api)];
    if let Some(path) = &api.token_file {
        let path = path.display().to_string();
        items.push(match token(api) {
            Ok(_) => Item::setting("api.token_file", path),
            Err(cause) => Item::wrong("api.token_file", path, cause),
        });
    }
    items
}

/// Pages at addresses of their own, and the managers that they show, none of whom is asked.
fn monitor(config: &Config) -> Vec<Item> {
    let Config { api, monitor, .. } = config;
    let mut items = Vec::new();
    if api.enabled && !monitor.is_off() {
        let default = |address| monitor.is_default_on(api.listen.is_some()).then_some(address);
        for (key, listen) in [
            ("monitor.listen", monitor.listen.or(default(DEFAULT_MONITOR))),
            ("monitor.queue_listen", monitor.queue_listen.or(default(DEFAULT_QUEUE))),
        ] {
            items.extend(listen.map(|listen| listening(key, &[listen], api)));
        }
    }
    match Managers::open(monitor) {
        Ok(managers) if managers.names().is_empty() => {}
        Ok(managers) => items.push(Item::setting("monitor.managers", managers.names().join(", "))),
        Err(cause) => items.push(Item::wrong("monitor.managers", "", cause)),
    }
    items
}

fn listening(key: &'static str, addresses: &[SocketAddr], api: &config::Api) -> Item {
    let listen: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    if addresses.iter().all(|address| address.ip().is_loopback()) {
        return Item::setting(key, listen.join(", "));
    }
    if api.allow_unauthenticated {
        let says = "whoever reaches the port may change everything (api.allow_unauthenticated)";
        return Item::new(key, listen.join(", "), Verdict::Note, says);
    }
    if api.token_file.is_none() {
        let says = "whoever reaches the port may read everything; api.token_file ends that";
        return Item::new(key, listen.join(", "), Verdict::Note, says);
    }
    Item::setting(key, listen.join(", "))
}

/// The server that a trader of its own is reached through: whether somebody listens there, and lets us in.
async fn redis(config: &Config, redis: &Redis, offline: bool) -> Item {
    const KEY: &str = "redis.url";
    // The address may hold a password.
    let place = redis.url.rsplit_once('@').or(redis.url.split_once("://")).map_or("", |(_, place)| place);
    let host = place.split(['/', '?']).next().unwrap_or_default().to_owned();
    let says = format!("transactions are made by `prb trade` in namespace {}", redis.namespace);
    if offline {
        return Item::new(KEY, host, Verdict::Note, format!("{says}; not asked"));
    }
    let address = if host.contains(':') { host.clone() } else { format!("{host}:6379") };
    let cause = match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => return let_in(config, host, says).await,
        Ok(Err(cause)) => cause.to_string(),
        Err(_) => format!("no connection within {PATIENCE:?}"),
    };
    Item::wrong(KEY, host, format!("{cause}; check the address and that the Redis server runs"))
}

/// Whether the server takes the password, or wants none.
async fn let_in(config: &Config, host: String, says: String) -> Item {
    const KEY: &str = "redis.url";
    let space = match config.space() {
        Ok(Some(space)) => space,
        Ok(None) => return Item::new(KEY, host, Verdict::Fine, says),
        Err(cause) => return Item::wrong(KEY, host, cause),
    };
    match timeout(PATIENCE, space.ping()).await {
        Ok(Ok(())) => Item::new(KEY, host, Verdict::Fine, says),
        Ok(Err(cause)) => Item::wrong(KEY, host, cause),
        Err(_) => {
            let why = "it takes connections and answers nothing; is it a Redis server, and does it run?";
            Item::wrong(KEY, host, format!("no answer within {PATIENCE:?}: {why}"))
        }
    }
}

/// A worker that is declared.
async fn worker(config: &Config, endpoint: &str) -> Item {
    const KEY: &str = "inventory.workers";
    let connector = match config.workers.connector() {
        Ok(connector) => Arc::new(connector),
        Err(cause) => return Item::wrong(KEY, endpoint, cause),
    };
    let driver = match PrpcDriver::with_connector(endpoint, config.workers.options(), connector) {
        Ok(driver) => driver,
        Err(cause) => return Item::wrong(KEY, endpoint, cause),
    };
    match timeout(PATIENCE, driver.info()).await {
        Ok(Ok(info)) => {
            let says = format!("pRuntime {}, at block {}", info.version, info.blocknum);
            Item::new(KEY, endpoint, Verdict::Fine, says)
        }
        Ok(Err(cause)) => Item::wrong(KEY, endpoint, cause),
        Err(_) => Item::wrong(
            KEY,
            endpoint,
            format!("no answer within {PATIENCE:?}; does it run, and is it reached?"),
        ),
    }
}
