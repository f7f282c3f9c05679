//! Limits of a remote store.

use crate::{server::Token, tls::ClientTls};
use prb_core::{backoff::Pace, port::source::ChainIdentity};
use std::time::Duration;

/// How a remote store asks.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// The chain it must be; none takes the chain of whoever answers first.
    pub identity: Option<ChainIdentity>,
    /// Shown to providers that want it.
    pub token: Option<Token>,
    /// Who vouches for providers at https:// addresses; none believes whom the system believes.
    pub tls: Option<ClientTls>,
    /// Whether to ask for compressed answers: less traffic for more work on both sides.
    pub zstd: bool,
    /// Time for a connection.
    pub connect_deadline: Duration,
    /// Time for one answer. Another provider is asked after it.
    pub answer_deadline: Duration,
    /// Silence after which another provider is asked as well, if there is one. What counts as a sign of life is a part
    /// of an answer of some size. Shorter asks twice more often, longer makes workers wait for a provider that hangs.
    /// Typical: 1 s.
    pub hedge_after: Duration,
    /// Longest silence inside an answer.
    pub stall_deadline: Duration,
    /// How long a provider is asked to hold a question for news, whole seconds. Longer hides for longer that it hangs,
    /// shorter asks more often. Typical: 5 s.
    pub news_wait: Duration,
    /// Pauses before a provider that failed is asked for news again.
    pub pace: Pace,
    /// How long a provider whose answer failed a check, or that kept a reader waiting, is asked last. Doubled for
    /// every further answer that fails a check.
    pub distrust: Duration,
    /// Most bytes in one answer. Typical: 16 MiB.
    pub chunk_bytes: usize,
    /// Connections to one provider, besides the one that waits for news.
    pub connections: usize,
    /// Bytes of items kept for workers that ask for the same. Typical: 256 MiB.
    pub cache_bytes: usize,
    /// How long they are kept. Typical: 60 s.
    pub cache_age: Duration,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            identity: None,
            token: None,
            tls: None,
            zstd: false,
            connect_deadline: Duration::from_secs(5),
            answer_deadline: Duration::from_secs(30),
            hedge_after: Duration::from_secs(1),
            stall_deadline: Duration::from_secs(10),
            news_wait: Duration::from_secs(5),
            pace: Pace::default(),
            distrust: Duration::from_secs(30),
            chunk_bytes: 16 << 20,
            connections: 8,
            cache_bytes: 256 << 20,
            cache_age: Duration::from_secs(60),
        }
    }
}
