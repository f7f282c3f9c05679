//! How a trader works.

use super::TipBudget;
use prb_core::{
    backoff::Pace,
    tx::{Limits, Period},
};
use std::time::Duration;

/// How a trader works.
#[derive(Clone, Copy, Debug)]
pub struct TraderConfig {
    /// For how many blocks an extrinsic may be included. Longer survives longer outages of the chain, shorter ends
    /// uncertainty sooner. Typical: 32.
    pub period: Period,
    /// What one extrinsic may hold.
    pub limits: Limits,
    /// How long the first job waits for others to travel with; a full batch goes at once. Typical: 1 s.
    pub window: Duration,
    /// Extrinsics of one account that may be under way. Typical: 16.
    pub in_flight: usize,
    /// Jobs that may wait, of all pools together. Typical: 4096.
    pub waiting: usize,
    /// Planck on top of the fee. Typical: 0.
    pub tip: u128,
    /// How often finality is asked for while something is under way. Typical: 2 s.
    pub poll: Duration,
    /// Pauses after failures of the node.
    pub pace: Pace,
    /// What may be offered on top of `tip` where a node prefers other transactions; none offers nothing.
    pub budget: Option<TipBudget>,
    /// When an account counts as used by another program.
    pub rivalry: Rivalry,
    /// Free balance below which an account is warned about, planck; 0 warns never. Typical: the fees of some days.
    pub low_balance: u128,
    /// How often balances are looked at. Typical: 60 s.
    pub balance_interval: Duration,
}

/// When an account counts as used by another program, and how long its lane rests then.
///
/// Two programs that sign with one account take each other's nonces: every collision costs a job its extrinsic, and both
/// may do, and pay for, the same things.
#[derive(Clone, Copy, Debug)]
pub struct Rivalry {
    /// Nonces used by others within `within`. Fewer mistakes a person who signs by hand for a program. Typical: 8.
    pub nonces: usize,
    /// For how long a nonce counts. Typical: 10 minutes.
    pub within: Duration,
    /// Rests: the first, and the longest that they grow to. Typical: 1 and 15 minutes.
    pub rest: Pace,
}

impl Default for Rivalry {
    fn default() -> Self {
        let (first, longest) = (Duration::from_secs(60), Duration::from_secs(900));
        Self { nonces: 8, within: Duration::from_secs(600), rest: Pace { first, longest } }
    }
}

impl Default for TraderConfig {
    fn default() -> Self {
        Self {
            period: Period::default(),
            limits: Limits::default(),
            window: Duration::from_secs(1),
            in_flight: 16,
            waiting: 4096,
            tip: 0,
            poll: Duration::from_secs(2),
            pace: Pace::default(),
            budget: None,
            rivalry: Rivalry::default(),
            low_balance: 0,
            balance_interval: Duration::from_secs(60),
        }
    }
}
