//! What stands in a namespace, for people who look at it. Nothing is taken out or changed.

use super::{Space, service::GROUP, wire::Ask};
use crate::journal::{Entry, Stand, describe, origin};
use ::redis::{RedisError, streams::StreamRangeReply};
use codec::Decode;
use prb_core::tx::CallKey;

/// The other role that has a lease.
const LIFECYCLE: &str = "lifecycle";

/// Calls that are named; of more it is said how many.
const NAMED: usize = 2;

/// What Redis holds of a queue. Which jobs the trader has, and what became of those that it had, only the trader knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The trader at work, none if nobody is.
    pub trader: Option<String>,
    /// The lifecycle at work, likewise.
    pub lifecycle: Option<String>,
    /// Entries that wait for the trader, questions too.
    pub entries: u64,
    /// The submissions among the first of them.
    pub waiting: Vec<Entry>,
}

impl Space {
    /// Looks at the queue, at no more than `most` of its entries.
    pub async fn look(&self, most: usize) -> Result<Look, String> {
        let looked = async {
            let mut connection = self.writer().await?;
            let mut ask = ::redis::pipe();
            ask.cmd("GET").arg(self.lease(GROUP)).cmd("GET").arg(self.lease(LIFECYCLE));
            ask.cmd("XLEN").arg(self.asks());
            ask.cmd("XRANGE").arg(self.asks()).arg("-").arg("+").arg("COUNT").arg(most);
            let (trader, lifecycle, entries, range): (_, _, _, StreamRangeReply) =
                ask.query_async(&mut connection).await?;
            let waiting = range.ids.iter().filter_map(|entry| {
                let bytes: Vec<u8> = entry.get("ask")?;
                let at = entry.id.split('-').next()?.parse().ok();
                submission(Ask::decode(&mut bytes.as_slice()).ok()?, at)
            });
            Ok(Look { trader, lifecycle, entries, waiting: waiting.collect() })
        };
        looked.await.map_err(|error: RedisError| error.to_string())
    }
}

/// A job that nobody has taken yet; none for other questions.
fn submission(ask: Ask, accepted: Option<u64>) -> Option<Entry> {
    let Ask::Submit { job, pool, calls } = ask else { return None };
    let description = describe(&calls);
    Some(Entry {
        job,
        pool: Some(pool),
        stand: Stand::Waiting,
        description,
        accepted,
        sent: None,
        ended: None,
        extrinsic: None,
        message: None,
    })
}

/// What calls are about, in words: all that a trader tells of a job that is under way.
pub fn about(keys: &[CallKey]) -> String {
    let named = keys.iter().take(NAMED).map(|key| match key {
        CallKey::Register(worker) => format!("registration of worker {worker}"),
        CallKey::Endpoint(worker) => format!("endpoint of worker {worker}"),
        CallKey::Message(sender, sequence) => format!("message {sequence} of {}", origin(sender)),
        CallKey::Session(worker) => format!("session of worker {worker}"),
        CallKey::Pool(pool) => format!("pool {pool}"),
        CallKey::Unbind(account) => format!("session account {account}"),
    });
    let named = named.collect::<Vec<_>>().join("; ");
    if keys.len() > NAMED { format!("{} calls: {named}; …", keys.len()) } else { named }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prb_core::id::{JobId, PoolId, WorkerKey};
    use prb_core::tx::Call;

    #[test]
    fn of_what_waits_only_submissions_are_jobs() {
        let job = JobId { era: 1, number: 2 };
        let worker = WorkerKey([1; 32]);
        let calls = vec![Call::AddWorker { pool: PoolId(7), worker }];
        let entry = submission(Ask::Submit { job, pool: PoolId(7), calls }, Some(9)).unwrap();
        assert_eq!((entry.job, entry.pool, entry.stand), (job, Some(PoolId(7)), Stand::Waiting));
        assert_eq!((entry.accepted, entry.description), (Some(9), format!("add worker {worker} to pool 7")));
        for ask in [Ask::Unsettled, Ask::Outcome(job), Ask::SettledAt, Ask::LastEra] {
            assert_eq!(submission(ask, None), None);
        }
    }

    #[test]
    fn what_is_under_way_is_told_by_what_it_is_about() {
        let worker = WorkerKey([1; 32]);
        let session = CallKey::Session(worker);
        assert_eq!(about(std::slice::from_ref(&session)), format!("session of worker {worker}"));
        let many = about(&[CallKey::Pool(PoolId(3)), session, CallKey::Register(worker)]);
        assert!(many.starts_with("3 calls: pool 3; session of worker") && many.ends_with('…'), "{many}");
    }
}
