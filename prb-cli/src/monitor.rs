//! `prb monitor`: the pages by themselves, for managers and peers elsewhere, or for the queue of a trader.

use crate::{
    api::{Api, ApiError},
    args::MonitorArgs,
    config::{Config, ConfigError, DEFAULT_MONITOR, Purpose, Redis, Sources},
    deployment::interrupted,
    ptp::{self, PtpError},
    supervise,
};
use async_trait::async_trait;
use prb_p2p::{
    Caller, Service,
    message::{ErrorKind, ResponseError, Role},
    method::Method,
};
use prost::bytes::Bytes;
use std::{net::SocketAddr, sync::Arc};
use tracing::info;

/// What v2's monitor tells of its chain.
const NO_CHAIN: &str = "client";

/// Why a monitor does not start.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It cannot listen, or ask managers.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The peer-to-peer network cannot be joined.
    #[error(transparent)]
    Ptp(#[from] PtpError),
}

/// A monitor asks peers and has nothing to tell them.
struct Client;

#[async_trait]
impl Service for Client {
    async fn answer(&self, _: &Caller, method: Method, _: Bytes) -> Result<Bytes, ResponseError> {
        Err(ResponseError::new(ErrorKind::NotFound, format!("a monitor has no {}", method.name())))
    }
}

/// The configuration with what the command line says. The file may be missing.
pub fn configured(sources: &Sources, args: &MonitorArgs) -> Result<Config, ConfigError> {
    let MonitorArgs { listen, managers, queue } = args.clone();
    let environment = sources.environment.clone();
    let environment = if queue { environment } else { environment.joining() };
    let mut config = Config::read_or_default(&Sources { environment, ..sources.clone() }, Purpose::Monitor)?
        .joining_as_client();
    let monitor = &mut config.monitor;
    monitor.managers_file = managers.or(monitor.managers_file.take());
    if queue {
        monitor.queue_listen = listen.or(monitor.queue_listen);
        let named = sources.environment.queue_redis()?;
        config.redis = config.redis.or_else(|| named.map(Redis::at));
    } else {
        let port = sources.environment.monitor_port()?;
        let default = port.map(|port| SocketAddr::new(DEFAULT_MONITOR.ip(), port));
        monitor.listen = listen.or(monitor.listen).or(default);
    }
    config.check_for(Purpose::Monitor)?;
    Ok(config)
}

/// Shows its pages until SIGINT or SIGTERM; those of the `queue` alone, if that is wanted.
pub async fn run(config: &Config, queue: bool) -> Result<(), MonitorError> {
    let interrupted = interrupted();
    let _alive = supervise::keep_alive();
    let api = if queue {
        let none = || {
            let cause = "name the server that the trader uses: [redis] with url = \"redis://...\", or \
                         PHALA_Q_REDIS_ENDPOINT";
            ConfigError::Invalid { key: "redis", cause: cause.to_owned() }
        };
        Api::queue_alone(config, &config.space()?.ok_or_else(none)?)?
    } else {
        Api::monitor_alone(config)?
    };
    let peers = match queue {
        true => None,
        false => ptp::join(config, Role::Client, NO_CHAIN.to_owned(), Arc::new(Client)).await?,
    };
    if let Some(network) = &peers {
        api.join(network.clone());
    }
    api.announce_once();
    supervise::ready("listening");
    interrupted.await;
    info!("stopping");
    supervise::stopping();
    api.stop().await;
    if let Some(network) = peers {
        network.stop().await;
    }
    info!("stopped");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    /// What is listened at, and the address of Redis.
    fn made(file: &str, variables: &[(&str, &str)], args: &MonitorArgs) -> (String, Option<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prb.toml");
        if !file.is_empty() {
            std::fs::write(&path, file).unwrap();
        }
        let environment = Environment::of(variables.iter().copied());
        let config = configured(&Sources { file: path, environment }, args).unwrap();
        let listen = if args.queue { config.monitor.queue_listen } else { config.monitor.listen };
        let listen = listen.map_or_else(|| "default".to_owned(), |listen| listen.to_string());
        (listen, config.redis.map(|redis| redis.url))
    }

    #[test]
    fn v2_f070_it_needs_no_configuration_and_listens_where_v2s_variables_say() {
        let file = "[monitor]\nlisten = \"127.0.0.1:1\"\nqueue_listen = \"127.0.0.1:2\"\n";
        let flag = MonitorArgs { listen: Some("127.0.0.1:3".parse().unwrap()), ..MonitorArgs::default() };
        let none = MonitorArgs::default();
        for (file, port, args, expected) in [
            ("", "", &none, "default"),
            ("", "8080", &none, "127.0.0.1:8080"),
            (file, "8080", &none, "127.0.0.1:1"),
            (file, "8080", &flag, "127.0.0.1:3"),
        ] {
            assert_eq!(made(file, &[("PORT", port)], args), (expected.to_owned(), None), "{file} {port}");
        }
    }

    #[test]
    fn v2_f074_it_joins_the_network_of_peers_unless_it_is_told_not_to() {
        let folder = tempfile::tempdir().unwrap();
        let joins = |file: &str, variables: &[(&str, &str)]| {
            let path = folder.path().join("prb.toml");
            std::fs::write(&path, file).unwrap();
            let environment = Environment::of(variables.iter().copied());
            let config = configured(&Sources { file: path, environment }, &MonitorArgs::default()).unwrap();
            assert!(config.remarks().is_empty(), "{:?}", config.remarks());
            let p2p = config.p2p;
            (p2p.enabled, p2p.mdns, p2p.listen.len(), p2p.boot_nodes.len())
        };
        assert_eq!(joins("", &[]), (true, true, 0, 0));
        assert_eq!(joins("", &[("PTP_BOOT_NODES", "/ip4/10.0.0.3/tcp/28888")]), (true, true, 0, 1));
        assert_eq!(joins("", &[("PTP_LISTEN_ADDRESSES", "/ip4/0.0.0.0/tcp/0")]), (true, true, 1, 0));
        assert_eq!(joins("", &[("PRB_P2P_MDNS", "false")]), (true, false, 0, 0));
        assert_eq!(joins("", &[("PRB_P2P_ENABLED", "false")]), (false, true, 0, 0));
        assert_eq!(joins("[p2p]\nenabled = false\n", &[]), (false, true, 0, 0));
        assert_eq!(joins("[p2p]\nbridge_identity = \"a\"\n", &[]), (true, true, 0, 0));
    }

    #[test]
    fn v2_f057_the_queue_is_in_the_redis_that_v2s_variables_name() {
        let queue = MonitorArgs { queue: true, ..MonitorArgs::default() };
        let (own, any) = (("PHALA_Q_REDIS_ENDPOINT", "redis://a"), ("REDIS_ENDPOINT", "redis://b"));
        for (variables, expected) in [
            (&[own, any][..], Some("redis://a")),
            (&[any], Some("redis://b")),
            (&[("PHALA_MODULE", "utils/arena")], Some("redis://redis-q:6379/")),
            (&[("PORT", "8080")], None),
        ] {
            let (listen, redis) = made("", variables, &queue);
            assert_eq!((listen.as_str(), redis.as_deref()), ("default", expected), "{variables:?}");
        }
    }
}
