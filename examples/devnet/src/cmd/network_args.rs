//! Properties of the chains, as arguments.

use clap::Args;
use prb_devnet::{
    chain,
    network::Config,
    runtime::para::{PoolConfig, ProxyType, Switches},
};
use sp_keyring::Sr25519Keyring;
use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Properties of the chains.
#[derive(Clone, Debug, Args)]
pub(crate) struct NetworkArgs {
    /// Time between relay blocks, milliseconds. Chain time moves 6 s per block whatever this says.
    #[arg(long, value_name = "MS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    block_time_ms: u64,
    /// Relay blocks per GRANDPA authority set; 0 = one set for ever.
    #[arg(long, value_name = "BLOCKS", default_value_t = 20)]
    rotate_every: u32,
    /// Signed transfers in every parachain block.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=2000))]
    transfers_per_block: u32,
    /// GRANDPA authorities.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    authorities: u32,
    /// Serve the parachain as a plain Substrate node does, without Phala's RPC extension.
    #[arg(long)]
    plain: bool,
    /// Parachain blocks from one heartbeat challenge to the next; 0 = no challenges.
    #[arg(long, value_name = "BLOCKS", default_value_t = 1)]
    challenge_every: u32,
    /// Every challenge is for every worker. Without it the chain asks each about twice an hour of chain time.
    #[arg(long)]
    challenge_all: bool,
    /// Parachain blocks in which an answer to a challenge must be on chain; a gatekeeper marks who is late as
    /// unresponsive, until it answers again. Live chains: 10. 0 = nobody is marked.
    #[arg(long, value_name = "BLOCKS", default_value_t = 0)]
    challenge_deadline: u32,
    /// Chain time between the stop of a worker and the release of its stake, seconds. Live chains: 604800.
    #[arg(long, value_name = "SECONDS", default_value_t = 604_800)]
    cool_down: u64,
    /// Stake pools, numbered from 1; their owners are //Alice, //Bob, ..., //Ferdie.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=6))]
    pools: u8,
    /// An account that may manage the stake pools of another, both by name: `bob:ferdie`. May be repeated.
    #[arg(long, value_name = "OWNER:PROXY", value_parser = proxy)]
    proxy: Vec<(Sr25519Keyring, Sr25519Keyring)>,
    /// Most transactions ready for a block in each node's pool.
    #[arg(long, value_name = "N", default_value_t = 8192)]
    pool_ready: usize,
    /// Most transactions that wait for others in each node's pool.
    #[arg(long, value_name = "N", default_value_t = 819)]
    pool_future: usize,
    /// Strangers that each keep a transaction with a tip in the parachain's pool.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=2000))]
    crowd: u32,
    /// The parachain block that upgrades the runtime to one with other pallet indices and one more extension.
    #[arg(long, value_name = "BLOCK", value_parser = clap::value_parser!(u32).range(1..))]
    upgrade_at: Option<u32>,
    /// What tells these chains from others: with the same seed (and properties) they begin with the same blocks 0.
    /// Random unless told, so that nobody takes restarted chains for those they knew.
    #[arg(long, value_name = "NUMBER", default_value_t = random(), hide_default_value = true)]
    seed: u64,
}

/// A number that nobody has had before.
fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

impl NetworkArgs {
    pub(super) fn config(&self) -> Config {
        let mut config = Config::default().authorities(self.authorities).rotate_every(self.rotate_every);
        config.transfers_per_block = self.transfers_per_block;
        config.phala_extension = !self.plain;
        config.archive = self.plain;
        config.seed = self.seed;
        config.challenge_deadline = self.challenge_deadline;
        config.crowd = self.crowd;
        config.upgrade_at = self.upgrade_at;
        config.pool = chain::PoolConfig { ready: self.pool_ready, future: self.pool_future };
        let switches = Switches { challenge_interval: self.challenge_every, ..Switches::default() };
        config.para.switches = if self.challenge_all { switches.challenge_everyone() } else { switches };
        config.para.cool_down_period = self.cool_down;
        let free_stake = config.para.pools[0].free_stake;
        let pool = |owner: Sr25519Keyring| PoolConfig { owner: owner.to_account_id(), free_stake };
        config.para.pools = OWNERS.into_iter().take(self.pools.into()).map(pool).collect();
        let managed = |(owner, proxy): &(Sr25519Keyring, Sr25519Keyring)| {
            (owner.to_account_id(), proxy.to_account_id(), ProxyType::StakePoolManager)
        };
        config.para.proxies = self.proxy.iter().map(managed).collect();
        config
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn block_time(&self) -> Duration {
        Duration::from_millis(self.block_time_ms)
    }
}

/// The development accounts.
const OWNERS: [Sr25519Keyring; 6] = {
    use Sr25519Keyring::{Alice, Bob, Charlie, Dave, Eve, Ferdie};
    [Alice, Bob, Charlie, Dave, Eve, Ferdie]
};

fn proxy(text: &str) -> Result<(Sr25519Keyring, Sr25519Keyring), String> {
    let (owner, proxy) = text.split_once(':').ok_or("write it as owner:proxy, for example bob:ferdie")?;
    let account = |name: &str| {
        let known = OWNERS.into_iter().find(|known| known.to_string().eq_ignore_ascii_case(name));
        known.ok_or_else(|| format!("{name} is none of alice, bob, charlie, dave, eve, ferdie"))
    };
    let (owner, proxy) = (account(owner)?, account(proxy)?);
    if owner == proxy { Err("nobody is a proxy of itself".to_owned()) } else { Ok((owner, proxy)) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::Parser;
    use prb_devnet::network::Devnet;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        network: NetworkArgs,
    }

    fn parse(line: &str) -> Result<NetworkArgs, clap::Error> {
        Line::try_parse_from(["chain"].into_iter().chain(line.split_whitespace())).map(|line| line.network)
    }

    #[test]
    fn every_switch_gets_into_the_configuration_and_the_chains_start_with_it() {
        let line = "--challenge-every 3 --challenge-all --challenge-deadline 7 --cool-down 60 --pools 2 \
             --proxy bob:ferdie --pool-ready 30 --pool-future 4 --crowd 2 --upgrade-at 9";
        let config = parse(line).unwrap().config();
        let para = &config.para;
        assert_eq!((config.challenge_deadline, config.crowd, config.upgrade_at), (7, 2, Some(9)));
        assert_eq!((config.pool.ready, config.pool.future), (30, 4));
        assert_eq!(
            para.switches,
            Switches { challenge_interval: 3, ..Switches::default() }.challenge_everyone()
        );
        assert_eq!((para.cool_down_period, para.pools.len()), (60, 2));
        assert_eq!(para.pools[1].owner, Sr25519Keyring::Bob.to_account_id());
        assert_eq!(para.proxies[0].2, ProxyType::StakePoolManager);
        Devnet::new(config).unwrap().steps(12).unwrap();
    }

    #[test]
    fn without_switches_nothing_changes() {
        let (config, plain) = (parse("").unwrap().config(), Config::default());
        assert_eq!(config.para.switches, plain.para.switches);
        assert_eq!(config.para.cool_down_period, plain.para.cool_down_period);
        assert_eq!((config.pool.ready, config.pool.future), (plain.pool.ready, plain.pool.future));
        assert_eq!((config.challenge_deadline, config.crowd, config.upgrade_at), (0, 0, None));
    }

    #[test]
    fn a_proxy_is_two_known_names() {
        for bad in ["bob", "bob:bob", "bob:nobody", ":ferdie"] {
            assert!(parse(&format!("--proxy {bad}")).is_err(), "{bad}");
        }
    }
}
