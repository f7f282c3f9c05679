//! Making the keys that sign those of the inventory.

use super::DeploymentError;
use crate::{
    config::Config,
    identity::{Identity, IdentityError, Keyring},
    inventory::{Inventory, Operator, Snapshot},
};
use metrics::{counter, gauge};
use prb_chain::keys::{self, Operators, Signer};
use prb_core::id::PoolId;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tracing::{error, info, warn};

/// How long after the identity could not be read it is looked at again.
const AGAIN: Duration = Duration::from_secs(10);

/// Who can sign, and why the others cannot.
pub(crate) struct Keys {
    keyring: Arc<Keyring>,
    identity: Identity,
    operators: Operators,
    /// Why operators cannot sign.
    unusable: BTreeMap<String, String>,
    /// Why the identity could not be read again, and when that was tried last.
    stale: Option<(String, Instant)>,
}

impl Keys {
    /// Nobody yet. Fails if the identity does not fit the inventory. This may ask for a passphrase; nothing later does.
    pub(crate) fn new(
        config: &Config,
        inventory: &Inventory,
        operators: Operators,
    ) -> Result<Self, DeploymentError> {
        let (mut keyring, known) = (config.keyring(), inventory.snapshot()?.operators);
        let identity = keyring.open(&known).inspect_err(|cause| {
            count_failure(cause);
            count_unusable(known.len());
        })?;
        keyring.never_ask();
        let keyring = Arc::new(keyring);
        Ok(Self { keyring, identity, operators, unusable: BTreeMap::new(), stale: None })
    }

    /// The identity and how it is unlocked, without asking anybody.
    pub(crate) fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Whether to follow the inventory once more although it has not changed: the identity could not be read.
    pub(crate) fn want_another_look(&self) -> bool {
        self.stale.as_ref().is_some_and(|(_, tried)| tried.elapsed() >= AGAIN)
    }

    /// Those that can sign.
    pub(crate) const fn operators(&self) -> &Operators {
        &self.operators
    }

    /// Why operators cannot sign, by name.
    pub(crate) fn unusable(&self) -> &BTreeMap<String, String> {
        &self.unusable
    }

    /// Gives each pool its operator, if that can sign; how many pools have one. Operators that cannot are told of, each when
    /// that begins.
    pub(crate) fn follow(&mut self, snapshot: &Snapshot) -> usize {
        let signers = self.unlock(&snapshot.operators);
        let pools: BTreeMap<PoolId, keys::Operator> = snapshot
            .pools
            .iter()
            .filter_map(|pool| {
                let operator = snapshot.operator(pool.operator.as_deref()?)?;
                let signer = signers.get(&operator.name)?.clone();
                Some((pool.on_chain(), keys::Operator { signer, proxied: operator.proxied }))
            })
            .collect();
        for pool in self.operators.pools() {
            if !pools.contains_key(&pool) {
                self.operators.remove(pool);
            }
        }
        let count = pools.len();
        for (pool, operator) in pools {
            self.operators.set(pool, operator);
        }
        count
    }

    fn unlock(&mut self, operators: &[Operator]) -> BTreeMap<String, Signer> {
        // After a rotation it is another one.
        match self.keyring.open(operators) {
            Ok(identity) => {
                self.identity = identity;
                if self.stale.take().is_some() {
                    info!("the identity is read again");
                }
            }
            Err(cause) => {
                count_failure(&cause);
                let cause = cause.to_string();
                if self.stale.as_ref().is_none_or(|(known, _)| *known != cause) {
                    warn!(%cause, "the identity cannot be read again; the one read before is used on");
                }
                self.stale = Some((cause, Instant::now()));
            }
        }
        let (mut signers, mut unusable) = (BTreeMap::new(), BTreeMap::new());
        for operator in operators {
            match operator.secret.signer(&self.identity, &operator.name) {
                Ok(signer) => drop(signers.insert(operator.name.clone(), signer)),
                Err(cause) => drop(unusable.insert(operator.name.clone(), cause.to_string())),
            }
        }
        count_unusable(unusable.len());
        for (operator, cause) in &unusable {
            if self.unusable.get(operator) != Some(cause) {
                error!(operator, cause, "operator cannot sign; its workers are only kept in step");
            }
        }
        for operator in self.unusable.keys().filter(|operator| signers.contains_key(*operator)) {
            info!(operator, "operator can sign again");
        }
        self.unusable = unusable;
        signers
    }
}

fn count_failure(cause: &IdentityError) {
    counter!("prb_identity_failures_total", "cause" => cause.kind()).increment(1);
}

fn count_unusable(operators: usize) {
    gauge!("prb_operators_unusable").set(u32::try_from(operators).unwrap_or(u32::MAX));
}

#[cfg(test)]
mod tests;
