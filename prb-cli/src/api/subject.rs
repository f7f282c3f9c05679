//! What an API is about, where it is not about a bridge.

use super::{act::standing_by, ask::Asked, queue::Queue, reply::Reply};
use hyper::StatusCode;
use serde_json::json;

/// Who answers while no deployment does.
pub(super) enum Subject {
    /// A bridge, which is to come or has gone.
    Bridge,
    /// A monitor by itself: others are asked.
    Monitor,
    /// The queue of a trader.
    Queue(Box<Queue>),
}

impl Subject {
    /// Whether there is a manager here.
    pub(super) const fn is_manager(&self) -> bool {
        !matches!(self, Self::Monitor)
    }

    pub(super) async fn answer(&self, asked: Asked) -> Reply {
        match (self, asked) {
            (Self::Bridge, asked) => standing_by(&asked),
            (_, Asked::Health) => Reply::ok(&json!({ "ok": true })),
            (Self::Monitor, Asked::Ready) => Reply::ok(&json!({ "ready": true, "reasons": [] })),
            (Self::Monitor, _) => {
                let message =
                    "a monitor by itself has no workers; ask a manager below its `base` in /v1/managers";
                Reply::error(StatusCode::NOT_FOUND, "NotFound", message)
            }
            (Self::Queue(queue), asked) => queue.answer(asked).await,
        }
    }
}
