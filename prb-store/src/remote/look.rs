//! Following a provider, and looking at it meanwhile: whether it says anything, and anything new.

use super::{
    Inner,
    provider::{Health, Provider},
};
use prb_core::{
    backoff::Backoff,
    id::{Hash, Height},
    port::Coverage,
    progress::{CHAIN_PATIENCE, LOOK, Waiting, Word},
    span::Span,
};
use std::{
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tracing::{info, warn};

/// How much longer than it may hold a question for news a provider may take before it counts as silent.
const GRACE: Duration = Duration::from_secs(5);

/// Asks a provider for news until it or the store is let go.
pub(super) async fn follow(provider: Arc<Provider>, store: Weak<Inner>) {
    let Some((pace, wait)) = store.upgrade().map(|store| (store.options.pace, store.options.news_wait))
    else {
        return;
    };
    let seed = Hash::of(provider.url.as_bytes()).0;
    let mut backoff = Backoff::new(pace, u64::from_le_bytes(std::array::from_fn(|at| seed[at])));
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut meanwhile = Meanwhile { provider: &provider, store: &store, looks };
    let mut known: Option<String> = None;
    loop {
        let news = meanwhile.wait_for(provider.news(known.as_deref(), wait)).await;
        let Some(held) = store.upgrade() else { return };
        match news {
            Ok(Some((etag, coverage))) => {
                backoff.succeeded();
                known = Some(etag);
                held.learned(&provider, coverage);
            }
            Ok(None) => {
                backoff.succeeded();
                held.unchanged(&provider);
            }
            Err(failure) => {
                known = None;
                held.failed(&provider, failure);
                drop(held);
                meanwhile.wait_for(sleep(backoff.failed())).await;
            }
        }
    }
}

/// What is done while something is waited for.
struct Meanwhile<'a> {
    provider: &'a Provider,
    store: &'a Weak<Inner>,
    looks: Interval,
}

impl Meanwhile<'_> {
    async fn wait_for<T>(&mut self, awaited: impl Future<Output = T>) -> T {
        let mut awaited = pin!(awaited);
        loop {
            tokio::select! {
                done = &mut awaited => return done,
                _ = self.looks.tick() => {
                    if let Some(store) = self.store.upgrade() {
                        store.look(self.provider);
                    }
                }
            }
        }
    }
}

impl Inner {
    /// Tells if a provider says nothing, or nothing new, and when that is over. What it told.
    pub(super) fn look(&self, provider: &Provider) -> [Option<Word>; 2] {
        let now = self.now();
        let height =
            |coverage: Option<Coverage>| coverage.and_then(|coverage| coverage.relay).map(Span::last);
        let here = height(self.published.borrow().coverage);
        let mut health = provider.health();
        let there = height(health.coverage);
        let waiting = |what: &str, patience, remedy| Waiting {
            endpoint: provider.url.clone(),
            there,
            what: what.to_owned(),
            cause: health.cause.clone(),
            remedy,
            patience,
        };
        let silence = waiting(
            "any answer about what it covers",
            self.options.news_wait + GRACE,
            "see whether it runs and can be reached, restart it, or name another in providers.urls",
        );
        let standstill = waiting(
            "new blocks",
            CHAIN_PATIENCE,
            "see what its log says of its nodes, and whether the chain finalizes blocks",
        );
        // Who is silent has nothing new for that reason.
        let speaks = health.alive && !health.foreign && !health.silence.is_told();
        let heard = health.heard;
        let words = [
            health.silence.observe(now, heard, Some(&silence)),
            health.standstill.observe(now, there, speaks.then_some(&standstill)),
        ];
        drop(health);
        tell(here, &silence, words[0], "provider is silent", "provider answers again");
        tell(here, &standstill, words[1], "provider has nothing new", "provider has news again");
        words
    }
}

fn tell(here: Option<Height>, waiting: &Waiting, word: Option<Word>, stalled: &str, over: &str) {
    let Waiting { endpoint: provider, there, what: waiting_for, cause, remedy, .. } = waiting;
    let [here, height] = [here, *there].map(|height| height.map(|height| height.0));
    let stands = match word {
        None => return,
        Some(Word::Stalled(still)) => {
            let seconds = still.as_secs();
            warn!(%provider, height, here, waiting_for, seconds, cause, remedy, "{stalled}");
            1.0
        }
        Some(Word::Over(after)) => {
            info!(%provider, height, seconds = after.as_secs(), "{over}");
            0.0
        }
    };
    let labels = [("what", "provider".to_owned()), ("endpoint", provider.clone())];
    metrics::gauge!("prb_stalled", &labels).set(stands);
}

impl Health {
    /// It failed, and does not any longer.
    pub(super) fn answers_again(&mut self, url: &str) {
        info!(provider = url, "provider answers again");
        self.silence.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        RemoteOptions, RemoteStore,
        remote::{client::Address, provider::Failure},
    };
    use prb_core::testkit::FakeChain;
    use tokio::time::advance;

    fn provider() -> (RemoteStore, Provider) {
        let address = Address::parse("http://127.0.0.1:9").unwrap();
        let provider = Provider::new(address, None, RemoteOptions::default());
        (RemoteStore::new(RemoteOptions::default()), provider)
    }

    fn coverage(blocks: u32) -> Option<Coverage> {
        let genesis = FakeChain::new(1).genesis();
        Some(Coverage {
            identity: genesis.identity(),
            parachain: true,
            relay: Span::new(Height(101), Height(100 + blocks)),
            para: None,
            changes: None,
            state_verified: true,
            changes_form: None,
        })
    }

    /// What is told within so many seconds, once a second `act` has been done.
    async fn told(
        store: &RemoteStore,
        provider: &Provider,
        seconds: u64,
        mut act: impl FnMut(u32),
    ) -> Vec<(u64, [Option<Word>; 2])> {
        let mut told = Vec::new();
        for second in 1..=seconds {
            advance(Duration::from_secs(1)).await;
            act(second as u32);
            let words = store.inner.look(provider);
            if words != [None; 2] {
                told.push((second, words));
            }
        }
        told
    }

    fn stalled(seconds: u64) -> Option<Word> {
        Some(Word::Stalled(Duration::from_secs(seconds)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_hangs_is_told_within_seconds_and_again_after_minutes() {
        let (store, provider) = provider();
        store.inner.learned(&provider, coverage(5));
        store.inner.look(&provider);
        let words = told(&store, &provider, 400, |_| {}).await;
        assert_eq!(words, [(10, [stalled(10), None]), (310, [stalled(310), None])]);
        // It fails in the end, which is nothing new.
        store.inner.failed(&provider, Failure::Silent("no answer within 35 s".to_owned()));
        let words = told(&store, &provider, 60, |_| store.inner.unchanged(&provider)).await;
        assert_eq!(words, [], "that it answers again was told at once");
        assert!(!provider.health().silence.is_told());
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_answers_after_a_silence_without_failing_is_told_too() {
        let (store, provider) = provider();
        store.inner.learned(&provider, coverage(5));
        store.inner.look(&provider);
        assert_eq!(told(&store, &provider, 20, |_| {}).await, [(10, [stalled(10), None])]);
        let words =
            told(&store, &provider, 30, |second| store.inner.learned(&provider, coverage(5 + second))).await;
        assert_eq!(words, [(11, [Some(Word::Over(Duration::from_secs(21))), None])]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_fails_is_told_once_by_its_failure() {
        let (store, provider) = provider();
        let fail = |_| drop(store.inner.failed(&provider, Failure::Silent("refused".to_owned())));
        let words = told(&store, &provider, 290, fail).await;
        assert_eq!(words, []);
        assert!(provider.health().silence.is_told());
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_has_nothing_new_for_minutes_is_told() {
        let (store, provider) = provider();
        store.inner.learned(&provider, coverage(5));
        store.inner.look(&provider);
        let words = told(&store, &provider, 200, |_| store.inner.unchanged(&provider)).await;
        assert_eq!(words, [(120, [None, stalled(120)])]);
    }
}
