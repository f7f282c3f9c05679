//! Whether the accounts can go on paying.

use super::Shared;
use prb_core::id::AccountId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::watch;

/// The kind of trouble that a low balance is.
const LOW: &str = "balance";

/// Planck of one PHA.
const PHA: f64 = 1e12;

/// Looks at the free balance of every account that signs, until the trader stops.
pub(super) async fn watch(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    if shared.config.low_balance == 0 {
        return;
    }
    // Whether each account was low when it was looked at last.
    let mut low: BTreeMap<AccountId, bool> = BTreeMap::new();
    loop {
        // What is not known yet is asked for again soon.
        let mut pause = shared.config.poll.min(shared.config.balance_interval);
        if shared.same_chain().await.is_ok() {
            let accounts: BTreeSet<AccountId> = shared
                .operators
                .pools()
                .into_iter()
                .filter_map(|pool| Some(shared.operators.get(pool)?.signer.account()))
                .collect();
            low.retain(|account, _| {
                let kept = accounts.contains(account);
                if !kept {
                    shared.trouble(*account, LOW, None);
                }
                kept
            });
            if !accounts.is_empty() {
                pause = shared.config.balance_interval;
            }
            for account in accounts {
                match shared.chain.free_balance(&account).await {
                    Ok(planck) => look(&shared, account, planck, low.entry(account).or_default()),
                    Err(error) => {
                        pause = shared.config.poll.min(shared.config.balance_interval);
                        tracing::debug!(%account, %error, "balance is not known");
                    }
                }
            }
        }
        tokio::select! {
            _ = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

fn look(shared: &Shared, account: AccountId, planck: u128, was_low: &mut bool) {
    let limit = shared.config.low_balance;
    metrics::gauge!("prb_account_balance_pha", "account" => account.to_string()).set(planck as f64 / PHA);
    let is_low = planck < limit;
    let text = format!(
        "account {account} has {} PHA left, less than {} PHA: top it up, or its transactions will be refused",
        planck as f64 / PHA,
        limit as f64 / PHA
    );
    match (std::mem::replace(was_low, is_low), is_low) {
        (false, true) => {
            tracing::warn!(%account, pha = planck as f64 / PHA, "{text}");
            metrics::counter!("prb_account_low_total").increment(1);
        }
        (true, false) => tracing::info!(%account, pha = planck as f64 / PHA, "balance is sufficient again"),
        _ => {}
    }
    shared.trouble(account, LOW, is_low.then_some(text));
}
