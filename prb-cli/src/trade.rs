//! `prb trade`: the trader as a process of its own, reached through Redis.

mod desk;
mod pulse;

pub(crate) use desk::Desk;

use crate::{
    api::Api,
    config::{Config, ConfigError},
    deployment::{self, DeploymentError, Keys},
    inventory::Inventory,
    queue::orders,
    supervise,
    webhook::{Notifier, Stand},
};
use prb_chain::{
    journal::Journal,
    keys::Operators,
    redis_queue::{ServiceOptions, TraderService},
    trader::Trader,
};
use prb_core::{moment::Moment, progress::Causes};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::{info, warn};

/// How often the inventory is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Makes the transactions of a lifecycle elsewhere, until SIGINT or SIGTERM, or until going on is useless.
pub async fn run(config: &Config) -> Result<(), DeploymentError> {
    let mut interrupted = std::pin::pin!(deployment::interrupted());
    let _alive = supervise::keep_alive();
    let (Some(space), Some(redis)) = (config.space()?, &config.redis) else {
        let cause =
            "name the server that `prb lifecycle` uses: [redis] with url = \"redis://...\"".to_owned();
        return Err(ConfigError::Invalid { key: "redis", cause }.into());
    };
    if config.chain.para.is_empty() {
        let cause = "transactions go through a node of the parachain; name one".to_owned();
        return Err(ConfigError::Invalid { key: "chain.para", cause }.into());
    }
    if config.transactions.dry_run {
        // What is only tried must not be taken for something that was sent, and jobs of others are not to be tried.
        let cause =
            "is for `prb run` and `prb lifecycle`, which ask no trader then; remove it here".to_owned();
        return Err(ConfigError::Invalid { key: "transactions.dry_run", cause }.into());
    }
    // First, so that an address that cannot be had is told before anything is done.
    let api = Api::of_trader(config)?;
    deployment::make_data_dir(config)?;
    let inventory = Inventory::open(&config.inventory_dir())?;
    deployment::declare(config, &inventory)?;
    let operators = Operators::default();
    let keys = Keys::new(config, &inventory, operators.clone())?;
    let mut followed = Followed { inventory, keys, revision: None };
    followed.follow()?;
    let journal = Journal::open(config.journal_file())?;
    let nodes = deployment::para_nodes(config);
    let trader = Arc::new(deployment::start_trader(config, nodes, operators, journal)?);
    let options = ServiceOptions { lease: Duration::from_secs(redis.lease_seconds), ..Default::default() };
    let notifier = Notifier::start(config)?;
    let service = TraderService::start(&space, trader.clone(), options);
    let desk = Arc::new(Desk::of(trader.clone()));
    info!(namespace = space.name(), "trading");
    supervise::ready("trading");
    api.attach_trader(desk.clone()).await;
    let ended = tokio::select! {
        () = &mut interrupted => None,
        cause = keep_up(config, &mut followed, &trader, &desk, notifier.as_ref()) => Some(cause),
        () = desk.watch(&space) => None,
    };
    info!("stopping");
    supervise::stopping();
    api.stop().await;
    drop(desk);
    service.stop().await;
    if let Some(notifier) = notifier {
        notifier.stop().await;
    }
    deployment::stop_trader(trader).await;
    info!("stopped");
    ended.map_or(Ok(()), Err)
}

/// Follows the inventory and carries out orders until going on is useless.
async fn keep_up(
    config: &Config,
    followed: &mut Followed,
    trader: &Trader,
    desk: &Desk,
    notifier: Option<&Notifier>,
) -> DeploymentError {
    let mut causes = Causes::default();
    let begun = Instant::now();
    loop {
        if let Some(cause) = trader.failure() {
            return DeploymentError::Ended { path: config.data_dir.display().to_string(), cause };
        }
        match followed.follow() {
            Ok(()) => causes.forget(),
            Err(cause) if causes.tell(Moment(begun.elapsed()), &cause.to_string()) => {
                warn!(%cause, "inventory not applied, trying again");
            }
            Err(_) => {}
        }
        orders::carry_out(&config.orders_dir(), trader).await;
        if let Some(notifier) = notifier {
            notifier.look(Stand {
                accounts: &trader.troubles(),
                trader: &desk.troubles(),
                ..Stand::default()
            });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The inventory, as far as it was followed.
struct Followed {
    inventory: Inventory,
    keys: Keys,
    revision: Option<u64>,
}

impl Followed {
    /// Makes the operators those of the inventory, if that changed.
    fn follow(&mut self) -> Result<(), DeploymentError> {
        let revision = self.inventory.revision()?;
        if self.revision == Some(revision) && !self.keys.want_another_look() {
            return Ok(());
        }
        let snapshot = self.inventory.snapshot()?;
        info!(pools = self.keys.follow(&snapshot), "pools with an operator");
        self.revision = Some(snapshot.revision);
        Ok(())
    }
}
