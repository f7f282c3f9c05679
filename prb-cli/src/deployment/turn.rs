//! Whose turn it is, where several processes share a namespace.

use super::DeploymentError;
use crate::config::Config;
use prb_chain::redis_queue::{Lease, Standing};
use std::time::Duration;
use tracing::warn;

/// The right to be the lifecycle of a namespace; without Redis it is everybody's.
pub(crate) struct Turn(Option<Lease>);

impl Turn {
    /// Waits for it.
    pub(crate) async fn come(config: &Config) -> Result<Self, DeploymentError> {
        let (Some(space), Some(redis)) = (config.space()?, &config.redis) else { return Ok(Self(None)) };
        if config.transactions.dry_run {
            return Ok(Self(None));
        }
        let lease = Lease::seek(&space, "lifecycle", Duration::from_secs(redis.lease_seconds));
        // It fails only without the lease's task, which lives as long as the lease.
        let _ = lease.standing().wait_for(|standing| *standing == Standing::Held).await;
        Ok(Self(Some(lease)))
    }

    /// Ends when another one has it. As long as that is not certain the work goes on: without Redis nothing is sent.
    pub(crate) async fn over(&self) {
        let Some(lease) = &self.0 else { return std::future::pending().await };
        let mut standing = lease.standing();
        let _ = standing.wait_for(|standing| matches!(standing, Standing::Other(_))).await;
        warn!("another lifecycle took over; standing by");
    }

    /// Gives it back.
    pub(crate) async fn release(self) {
        if let Some(lease) = self.0 {
            lease.release().await;
        }
    }
}
