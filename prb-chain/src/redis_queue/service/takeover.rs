//! Coming to work, perhaps after another trader.

use super::{Ended, Service};
use crate::journal::Record;
use ::redis::aio::MultiplexedConnection;
use prb_core::id::Height;

/// Blocks that another trader's finalized head may have been ahead.
const MARGIN: u32 = 4;

/// What a trader that took over waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing: it is at work.
    Nothing,
    /// The finalized head, to count from.
    Head,
    /// This block's finality.
    Until(Height),
}

impl Service {
    /// Whether another journal may hold what is still under way.
    ///
    /// Whoever comes to work signs in Redis before it sends anything. So if this journal signed last, nobody else has sent
    /// anything since. An empty Redis proves nothing, however often this journal was at work: another one may have been
    /// since, before Redis was emptied.
    pub(super) async fn inherit(&mut self, writer: &mut MultiplexedConnection) -> Result<Wait, Ended> {
        if self.ready {
            return Ok(Wait::Nothing);
        }
        let last: Option<String> =
            ::redis::cmd("GET").arg(self.space.key("journal")).query_async(writer).await?;
        if last.as_ref().is_some_and(|last| *last == hex::encode(self.name)) {
            return Ok(Wait::Nothing);
        }
        let blocks = self.trader.period().blocks();
        // The other one may have done the same in its place, or more.
        let dropped = self.trader.drop_waiting("another trader may have been at work meanwhile").await?;
        if last.is_some() {
            tracing::warn!(
                dropped,
                blocks,
                "took over from a trader with another journal: what it sent may still be included, which is waited for"
            );
            metrics::counter!("prb_redis_takeovers_total").increment(1);
        } else if self.trader.journal().read(|image| image.name()).is_none() {
            tracing::info!(
                blocks,
                "this journal was never at work: what another trader may have sent is waited for"
            );
        } else {
            tracing::warn!(
                dropped,
                blocks,
                "redis has forgotten which trader was at work last: what another one may have sent is waited for"
            );
        }
        Ok(Wait::Head)
    }

    /// What is still to be waited for.
    pub(super) async fn await_finality(&self, wait: Wait) -> Result<Wait, Ended> {
        if wait == Wait::Nothing {
            return Ok(wait);
        }
        let head = match self.trader.finalized().await {
            Ok(head) => head.height,
            Err(cause) => {
                tracing::debug!(cause, "finality is not known");
                return Ok(wait);
            }
        };
        match wait {
            Wait::Until(until) if head >= until => {
                self.trader.journal().write(vec![Record::Settled(head)]).await?;
                tracing::info!(height = %head, "nothing that another trader sent can be included any more");
                Ok(Wait::Nothing)
            }
            Wait::Until(_) | Wait::Nothing => Ok(wait),
            // It signed at its own finalized head, which may have been a little further.
            Wait::Head => Ok(Wait::Until(head + self.trader.period().blocks() + MARGIN)),
        }
    }

    /// At work from now on.
    pub(super) async fn take_over(&mut self, writer: &mut MultiplexedConnection) -> Result<(), Ended> {
        self.sign(writer).await?;
        self.ready = true;
        self.trader.hold(None);
        Ok(())
    }

    /// Leaves word of whose journal is in use, in Redis and in the journal.
    pub(super) async fn sign(&self, writer: &mut MultiplexedConnection) -> Result<(), Ended> {
        let journal = self.trader.journal();
        if journal.read(|image| image.name()).is_none() {
            journal.write(vec![Record::Name(self.name)]).await?;
        }
        let mut set = ::redis::cmd("SET");
        set.arg(self.space.key("journal")).arg(hex::encode(self.name));
        Ok(set.query_async::<()>(writer).await?)
    }
}
