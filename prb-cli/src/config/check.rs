//! What a configuration must be, beyond what its types say.

use super::{Chain, Config, ConfigError, Purpose, tuning, urls::MOST};
use crate::inventory::{Refusal, normal_endpoint};

impl Config {
    /// Checks what types cannot, for `prb run`.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_for(Purpose::Run)
    }

    /// Checks what types cannot. What comes from the environment is told by its variable.
    pub fn check_for(&self, purpose: Purpose) -> Result<(), ConfigError> {
        self.check_values(purpose).map_err(|error| self.origins.named(error))
    }

    /// Refuses a section `[providers]` that names nobody to read from where nobody is found either, for `prb run`: it would
    /// wait for ever.
    pub fn check_fed(&self) -> Result<(), ConfigError> {
        match &self.providers {
            Some(providers) if providers.urls.is_empty() && !self.p2p.enabled => Err(ConfigError::Invalid {
                key: "providers.urls",
                cause: "names nobody to read from; name data providers, let them be found with a section [p2p], or remove \
                        [providers] to ingest here"
                    .to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn check_values(&self, purpose: Purpose) -> Result<(), ConfigError> {
        let invalid = |key, cause: &str| Err(ConfigError::Invalid { key, cause: cause.to_owned() });
        let chain = &self.chain;
        if chain.mirror.is_some() {
            if !chain.relay.is_empty() {
                return invalid(
                    "chain.relay",
                    "not asked while blocks come from chain.mirror; remove one of them",
                );
            }
            if chain.headers_cache.is_some() {
                return invalid(
                    "chain.headers_cache",
                    "not asked while blocks come from chain.mirror; remove one of them",
                );
            }
        } else if chain.mirror_token_file.is_some() {
            return invalid("chain.mirror_token_file", "there is no chain.mirror to show it to");
        }
        if !chain.parachain {
            if !chain.relay.is_empty() {
                return invalid("chain.relay", "a chain that is no parachain has no relay chain; remove it");
            }
            if chain.headers_cache.is_some() {
                return invalid("chain.headers_cache", "has headers of relay chains only; remove it");
            }
        }
        self.check_nodes(purpose)?;
        // Nothing is read or asked for a source that is only made.
        crate::source::block_source(&Chain { mirror_token_file: None, ..chain.clone() })?;
        tuning::check(&self.feed, &self.workers, &self.attestation)?;
        self.notify.check()?;
        if self.transactions.gather_ms > 60_000 {
            return invalid("transactions.gather_ms", "must be 0 to 60000; typical is 1000");
        }
        let serve = &self.serve;
        if !(1..=256).contains(&serve.response_mib) || serve.memory_mib < serve.response_mib {
            return invalid("serve.response_mib", "must be 1 to 256, and at most serve.memory_mib");
        }
        if serve.memory_mib > 1 << 20 {
            return invalid("serve.memory_mib", "must be at most 1048576");
        }
        if serve.session_memory_mib < serve.response_mib || serve.session_memory_mib > 1 << 20 {
            return invalid("serve.session_memory_mib", "must be at least serve.response_mib; typical is 64");
        }
        if serve.cache_mib > 1 << 20 {
            return invalid("serve.cache_mib", "must be at most 1048576; typical is 128");
        }
        if serve.tls_certificate.is_some() != serve.tls_key.is_some() {
            return invalid("serve.tls_key", "certificate and key belong together: name both or neither");
        }
        if let Some(listen) = serve.metrics_listen {
            if !serve.metrics {
                return invalid(
                    "serve.metrics_listen",
                    "has metrics and nothing else; remove serve.metrics = false",
                );
            }
            if listen.port() != 0 && listen == serve.listen {
                return invalid("serve.metrics_listen", "is serve.listen, which has them already; remove it");
            }
        }
        if serve.connections == 0 || serve.connections > 1 << 20 || serve.connections_per_peer == 0 {
            return invalid("serve.connections", "must be 1 to 1048576, and at least 1 for each address");
        }
        if self.providers.is_some() {
            for (key, source) in
                [("chain.mirror", &chain.mirror), ("chain.headers_cache", &chain.headers_cache)]
            {
                if source.is_some() {
                    return invalid(
                        key,
                        "not asked while data comes from [providers] or --provider; remove one of them",
                    );
                }
            }
        }
        for url in self.providers.iter().flat_map(|providers| &providers.urls) {
            if let Err(error) = prb_store::remote::check_address(url) {
                return invalid("providers.urls", &error.to_string());
            }
        }
        if self.providers.as_ref().is_some_and(|providers| providers.cache_mib > 1 << 20) {
            return invalid("providers.cache_mib", "must be at most 1048576; typical is 256");
        }
        for operator in &self.inventory.operators {
            if !operator.development_uri.starts_with("//") {
                return invalid(
                    "inventory.operators.development_uri",
                    "only public development keys like //Alice may stand in a configuration; add others with `prb operator add`",
                );
            }
        }
        self.p2p.check()?;
        self.api.check()?;
        self.monitor.check(&self.api, purpose)?;
        self.check_workers()?;
        self.period()?;
        self.tip()?;
        self.tip_budget()?;
        self.low_balance()?;
        self.space()?;
        self.trusted_start()?;
        Ok(())
    }

    fn check_nodes(&self, purpose: Purpose) -> Result<(), ConfigError> {
        let (chain, fed) = (&self.chain, self.providers.is_some());
        let mirrored = chain.mirror.is_some();
        for (key, urls, needed, instead) in [
            (
                "chain.relay",
                &chain.relay,
                chain.parachain && purpose.needs_relay(fed),
                purpose.instead_of_relay(),
            ),
            ("chain.para", &chain.para, purpose.needs_para(), purpose.instead_of_para(fed)),
        ] {
            let invalid = |cause| ConfigError::Invalid { key, cause };
            if !urls.is_empty() {
                urls.check().map_err(invalid)?;
            } else if needed && !mirrored {
                return Err(invalid(format!("must be 1 to {MOST} WebSocket URLs of nodes{instead}")));
            }
        }
        Ok(())
    }

    /// What is declared twice, or cannot work. What else does not fit is refused when it is put into the inventory.
    fn check_workers(&self) -> Result<(), ConfigError> {
        let (workers, pools) = (&self.inventory.workers, &self.inventory.pools);
        let invalid = |key, cause| Err(ConfigError::Invalid { key, cause });
        for (index, worker) in workers.iter().enumerate() {
            let stake = crate::units::stake(&worker.stake);
            let stake = match stake {
                Ok(stake) => stake,
                Err(error) => return invalid("inventory.workers.stake", error.to_string()),
            };
            let only_synced = pools.iter().any(|pool| pool.pid == worker.pool && pool.sync_only);
            if stake == 0 && !only_synced {
                let cause = Refusal::NoStake { worker: worker.name.clone() };
                return invalid("inventory.workers.stake", cause.to_string());
            }
            let endpoint = normal_endpoint(&worker.endpoint);
            let twice = workers[..index].iter().find(|other| normal_endpoint(&other.endpoint) == endpoint);
            if let Some(other) = twice {
                let (endpoint, user) = (worker.endpoint.clone(), other.name.clone());
                let cause = Refusal::EndpointInUse { endpoint, user };
                return invalid("inventory.workers.endpoint", cause.to_string());
            }
        }
        Ok(())
    }
}
