//! The queue of a trader that is reached through Redis, for whoever looks at it. No job is taken out, added to it or sent.
//!
//! Redis holds what waits to be taken by the trader; the trader is asked which jobs it has, by a question that is written into Redis
//! as its lifecycle's are. So there is one look for all who want one, and no more than one in [`FRESH`]. What became of jobs that ended
//! is in the trader's journal alone, so there is nothing of that here.

use super::{
    ask::{Asked, Filter, Page},
    fleet::Fleet,
    overview::{self, Seen},
    reply::Reply,
};
use crate::queue::as_json;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use hyper::StatusCode;
use prb_chain::redis_queue::{Look, RedisSink, Space, about};
use prb_core::port::{TxSink, Unsettled};
use serde_json::{Value, json};
use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    task::AbortHandle,
    time::{Instant, timeout},
};

/// Entries that are looked at.
const MOST: usize = 1000;

/// How long Redis, and then the trader, may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long a look is good for.
const FRESH: Duration = Duration::from_secs(2);

/// What a job stands at that the trader has: in an extrinsic or not, it does not tell.
const OPEN: &str = "open";

/// Where to find what ended.
const ENDED: &str = "what ended is told by `prb tx list` and the API where the trader runs";

/// The queue.
pub(super) struct Queue {
    source: Arc<Source>,
    last: Last<Sight>,
}

/// Where it is looked.
struct Source {
    space: Space,
    trader: RedisSink,
}

/// A look, or why there is none.
type Looked<T> = Result<Arc<T>, String>;

/// The last look, for all who want one.
struct Last<T>(Mutex<Option<Begun<T>>>);

/// A look that was begun.
struct Begun<T> {
    at: Instant,
    task: AbortHandle,
    looked: Shared<BoxFuture<'static, Looked<T>>>,
}

/// What is seen of it.
struct Sight {
    look: Look,
    /// Jobs that the trader has, or why that is not known.
    open: Result<Vec<Unsettled>, String>,
}

impl Queue {
    pub(super) fn new(space: &Space) -> Self {
        let source = Source { space: space.clone(), trader: RedisSink::new(space) };
        Self { source: Arc::new(source), last: Last::default() }
    }

    /// Answers what can be answered of it.
    pub(super) async fn answer(&self, asked: Asked) -> Reply {
        match asked {
            Asked::Ready => match self.source.look().await {
                Ok(_) => Reply::ok(&json!({ "ready": true, "reasons": [] })),
                Err(cause) => {
                    let body = json!({ "ready": false, "reasons": [cause] });
                    Reply::json(StatusCode::SERVICE_UNAVAILABLE, &body)
                }
            },
            Asked::Overview => Reply::ok(&glance(&self.see().await)),
            Asked::Transactions(filter, page) => match self.see().await {
                Ok(sight) => Reply::ok(&sight.transactions(self.source.space.name(), &filter, page)),
                Err(cause) => Reply::error(StatusCode::BAD_GATEWAY, "BadGateway", cause),
            },
            _ => {
                let message = "this is the page of a queue: it has /v1/transactions and /v1/overview, and changes nothing";
                Reply::error(StatusCode::NOT_FOUND, "NotFound", message)
            }
        }
    }

    async fn see(&self) -> Looked<Sight> {
        let source = self.source.clone();
        self.last.get(|| async move { source.see().await }).await
    }
}

impl Source {
    async fn look(&self) -> Result<Look, String> {
        let late = || Err(format!("no answer within {} s", PATIENCE.as_secs()));
        let looked = timeout(PATIENCE, self.space.look(MOST)).await.unwrap_or_else(|_| late());
        looked.map_err(|cause| format!("redis: {cause}; check redis.url and that the Redis server runs"))
    }

    async fn see(&self) -> Result<Sight, String> {
        let look = self.look().await?;
        // Without anybody to answer, a question would only stand in the queue.
        let open = match &look.trader {
            None => Err("no trader is at work; start `prb trade`".to_owned()),
            Some(_) => match timeout(PATIENCE, self.trader.unsettled()).await {
                Ok(open) => open.map_err(|cause| cause.to_string()),
                Err(_) => Err(format!("the trader did not answer within {} s", PATIENCE.as_secs())),
            },
        };
        Ok(Sight { look, open })
    }
}

impl<T> Default for Last<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Send + Sync + 'static> Last<T> {
    /// The look that is under way, or was made a moment ago, else another one. It is made whether or not who wanted it waits for it:
    /// who goes away at once gets nobody more.
    async fn get<F>(&self, look: impl FnOnce() -> F) -> Looked<T>
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
    {
        let looked = {
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &*last {
                Some(Begun { at, task, looked }) if !task.is_finished() || at.elapsed() < FRESH => {
                    looked.clone()
                }
                _ => {
                    let begun = Begun::new(look());
                    let looked = begun.looked.clone();
                    *last = Some(begun);
                    looked
                }
            }
        };
        looked.await
    }
}

impl<T: Send + Sync + 'static> Begun<T> {
    fn new(look: impl Future<Output = Result<T, String>> + Send + 'static) -> Self {
        let running = tokio::spawn(look);
        let task = running.abort_handle();
        let looked = async move {
            let looked = running.await.map_err(|cause| cause.to_string())?;
            looked.map(Arc::new)
        };
        Self { at: Instant::now(), task, looked: looked.boxed().shared() }
    }
}

impl Sight {
    /// Rows as `/v1/transactions` has them, newest first.
    fn rows(&self) -> Vec<Value> {
        let open = self.open.iter().flatten().map(|Unsettled { job, pool, keys }| {
            json!({
                "id": job.to_string(),
                "pool": pool.0,
                "state": OPEN,
                "description": about(keys),
                "accepted": null,
                "sent": null,
                "ended": null,
                "extrinsic": null,
                "message": null,
            })
        });
        let mut rows: Vec<Value> = open.collect();
        rows.extend(self.look.waiting.iter().map(as_json));
        rows.reverse();
        rows
    }

    fn transactions(&self, namespace: &str, filter: &Filter, page: Page) -> Value {
        let Filter { state, pool, .. } = filter;
        let mut rows = self.rows();
        rows.retain(|row| {
            let is_state =
                |state: &String| row["state"].as_str().is_some_and(|is| is.eq_ignore_ascii_case(state));
            state.as_ref().is_none_or(is_state) && pool.is_none_or(|pool| row["pool"] == pool)
        });
        let (total, Page { offset, limit }) = (rows.len(), page);
        let Look { trader, lifecycle, entries, .. } = &self.look;
        json!({
            "paused": null,
            "total": total,
            "offset": offset,
            "limit": limit,
            "transactions": page.of(rows),
            "queue": {
                "namespace": namespace,
                "trader": trader,
                "lifecycle": lifecycle,
                "entries": entries,
                "trouble": self.open.as_ref().err(),
                "ended": ENDED,
            },
        })
    }
}

/// What `GET /v1/overview` answers.
fn glance(sight: &Looked<Sight>) -> Value {
    let (reason, states) = match sight {
        Ok(sight) => {
            let (waiting, open) = (sight.look.waiting.len(), sight.open.as_ref().map_or(0, Vec::len));
            (sight.open.as_ref().err(), Some(json!({ "waiting": waiting, OPEN: open })))
        }
        Err(cause) => (Some(cause), None),
    };
    let reasons = reason.cloned().into_iter().collect();
    let mut view = json!(overview::view(&Fleet::default(), Seen { reasons, ..Seen::default() }));
    view["transactions"] = states.map_or(Value::Null, |states| json!({ "paused": null, "states": states }));
    view
}

#[cfg(test)]
mod tests {
    use super::*;
    use prb_chain::journal::{Entry, Stand};
    use prb_core::{
        id::{JobId, PoolId, WorkerKey},
        tx::CallKey,
    };
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::{
        sync::Semaphore,
        time::{advance, sleep},
    };

    const ALL: Page = Page { offset: 0, limit: 100 };

    fn job(number: u64) -> JobId {
        JobId { era: 1, number }
    }

    fn sight() -> Sight {
        let keys = vec![CallKey::Session(WorkerKey([1; 32]))];
        let waiting = Entry {
            job: job(2),
            pool: Some(PoolId(8)),
            stand: Stand::Waiting,
            description: "something".to_owned(),
            accepted: Some(0),
            sent: None,
            ended: None,
            extrinsic: None,
            message: None,
        };
        let look =
            Look { trader: Some("t".to_owned()), entries: 5, waiting: vec![waiting], ..Look::default() };
        Sight { look, open: Ok(vec![Unsettled { job: job(1), pool: PoolId(7), keys }]) }
    }

    #[test]
    fn v2_f057_what_waits_and_what_the_trader_has_is_shown_newest_first() {
        let said = sight().transactions("prb", &Filter::default(), ALL);
        let rows = said["transactions"].as_array().unwrap();
        let shown: Vec<_> = rows.iter().map(|row| (&row["id"], &row["state"], &row["pool"])).collect();
        let ids = [json!(job(2).to_string()), json!(job(1).to_string())];
        assert_eq!(shown, [(&ids[0], &json!("waiting"), &json!(8)), (&ids[1], &json!("open"), &json!(7))]);
        assert_eq!((&said["total"], &said["queue"]["entries"]), (&json!(2), &json!(5)));
        assert_eq!((&said["queue"]["namespace"], &said["queue"]["trader"]), (&json!("prb"), &json!("t")));
        for (filter, expected) in [
            (Filter { state: Some("Open".to_owned()), ..Filter::default() }, 1),
            (Filter { state: Some("done".to_owned()), ..Filter::default() }, 0),
            (Filter { pool: Some(8), ..Filter::default() }, 1),
        ] {
            assert_eq!(sight().transactions("prb", &filter, ALL)["total"], expected, "{filter:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn v2_f057_x20_all_who_look_share_one_question_to_the_trader_and_who_goes_away_asks_no_other() {
        let (last, asked, answer) =
            (Last::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let look = || {
            let (asked, answer) = (asked.clone(), answer.clone());
            last.get(move || async move {
                let number = asked.fetch_add(1, Ordering::Relaxed) + 1;
                answer.acquire().await.map_err(|cause| cause.to_string())?.forget();
                if number == 2 { Err("redis: gone".to_owned()) } else { Ok(number) }
            })
        };
        for _ in 0..5 {
            assert!(timeout(2 * FRESH, look()).await.is_err(), "the trader says nothing");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1, "one question for all, however long it takes");
        answer.add_permits(1);
        let (one, other) = tokio::join!(look(), look());
        assert_eq!((*one.unwrap(), *other.unwrap(), asked.load(Ordering::Relaxed)), (1, 1, 1));
        // What was seen long ago is no news, and what failed is told to all alike.
        answer.add_permits(1);
        let (one, other) = tokio::join!(look(), look());
        assert_eq!(
            (one.unwrap_err(), other.unwrap_err()),
            ("redis: gone".to_owned(), "redis: gone".to_owned())
        );
        answer.add_permits(1);
        advance(FRESH / 2).await;
        assert!(look().await.is_err(), "no sooner than it is stale");
        advance(FRESH).await;
        assert_eq!((*look().await.unwrap(), asked.load(Ordering::Relaxed)), (3, 3));
        // Nor is one whose end nobody waited for.
        advance(FRESH).await;
        assert!(timeout(FRESH, look()).await.is_err());
        answer.add_permits(2);
        sleep(10 * FRESH).await;
        assert_eq!(*look().await.unwrap(), 5);
    }

    #[test]
    fn v2_f057_what_is_not_known_is_said() {
        let blind = Sight { open: Err("no trader is at work".to_owned()), ..sight() };
        let said = blind.transactions("prb", &Filter::default(), ALL);
        assert_eq!((&said["total"], &said["queue"]["trouble"]), (&json!(1), &json!("no trader is at work")));
        assert!(said["queue"]["ended"].as_str().unwrap().contains("prb tx list"));
        let view = glance(&Ok(Arc::new(blind)));
        assert_eq!((&view["ready"], &view["reasons"][0]), (&json!(false), &json!("no trader is at work")));
        assert_eq!(view["transactions"]["states"], json!({ "waiting": 1, "open": 0 }));
        assert_eq!(glance(&Err("redis: gone".to_owned()))["transactions"], Value::Null);
    }
}
