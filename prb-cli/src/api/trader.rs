//! What is asked of `prb trade`, which makes transactions and knows nothing else.

use super::{act, ask::Asked, reply::Reply, v1, v3::TxStatus};
use crate::trade::Desk;
use hyper::StatusCode;
use serde_json::json;

/// Answers with a trader.
pub(super) async fn answer(asked: Asked, desk: &Desk) -> Reply {
    match asked {
        Asked::Health => act::health(desk.failure()),
        Asked::Ready => readiness(&desk.reasons(), desk.is_paused()),
        Asked::TxStatus => Reply::ok(&TxStatus::of(&desk.journal().1)),
        Asked::Transactions(filter, page) => {
            let (paused, entries) = desk.journal();
            Reply::ok(&v1::transactions(paused, entries, &filter, page))
        }
        Asked::Pause(paused) => match desk.pause(paused).await {
            Ok(()) => Reply::ok(&json!({ "paused": paused })),
            Err(cause) => Reply::server_error(cause),
        },
        Asked::Drop(job) => match desk.drop_job(job).await {
            Ok(done) => act::dropped(job, done),
            Err(cause) => Reply::server_error(cause),
        },
        _ => {
            let message = "this is `prb trade`, which only makes transactions; ask `prb lifecycle` or `prb run` for that";
            Reply::error(StatusCode::NOT_FOUND, "NotFound", message)
        }
    }
}

/// Whoever has paused transactions knows it, so that is told and no reason.
fn readiness(reasons: &[String], paused: bool) -> Reply {
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Reply::json(status, &json!({ "ready": reasons.is_empty(), "reasons": reasons, "paused": paused }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn v2_f053_a_trader_that_is_paused_is_ready_and_says_so() {
        for (reasons, paused, status) in
            [(&[][..], false, 200), (&[], true, 200), (&["redis does not answer".to_owned()], true, 503)]
        {
            let reply = readiness(reasons, paused);
            let said: Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!((reply.status.as_u16(), &said["paused"]), (status, &json!(paused)));
            assert_eq!((&said["ready"], &said["reasons"]), (&json!(status == 200), &json!(reasons)));
        }
    }
}
