//! A port by which others make a running network or worker misbehave: `curl -X POST http://127.0.0.1:9900/hang`.
//!
//! For development only: whoever reaches the port may do everything it offers.

use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use prb_devnet::{
    chain::PoolConfig,
    network::Devnet,
    runtime::relay::Rotation,
    worker::{Fault, FaultRule, Restart, WorkerHandle},
};
use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, task::JoinSet};

/// What an order did, or why it cannot be carried out.
type Told = Result<String, String>;

/// Carries out an order: its name, and the value that follows it in the path, if any.
pub(super) type Orders = Arc<dyn Fn(&str, Option<&str>) -> Option<Told> + Send + Sync>;

/// Connections served at once.
const MOST_CONNECTIONS: usize = 16;

/// Time to send the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs `work`, and beside it a control port at `address` if one is wanted.
pub(super) async fn beside<T>(
    address: Option<SocketAddr>,
    orders: Orders,
    help: &'static str,
    work: impl Future<Output = T>,
) -> anyhow::Result<T> {
    let Some(address) = address else { return Ok(work.await) };
    let listener =
        TcpListener::bind(address).await.with_context(|| format!("opening the control port {address}"))?;
    super::say(&format!("control     http://{}", listener.local_addr()?));
    Ok(tokio::select! {
        done = work => done,
        never = serve(listener, orders, help) => match never {},
    })
}

async fn serve(listener: TcpListener, orders: Orders, help: &'static str) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    let orders = orders.clone();
                    connections.spawn(async move {
                        let answer = service_fn(|request: Request<Incoming>| {
                            let answer = answer(&request, &orders, help);
                            async move { Ok::<_, Infallible>(answer) }
                        });
                        // An error is a client that went away.
                        let _ = http1::Builder::new()
                            .timer(TokioTimer::new())
                            .header_read_timeout(PATIENCE)
                            .serve_connection(TokioIo::new(stream), answer)
                            .await;
                    });
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

fn answer(request: &Request<Incoming>, orders: &Orders, help: &'static str) -> Response<Full<Bytes>> {
    let path = request.uri().path().trim_matches('/');
    let (name, value) = path.split_once('/').map_or((path, None), |(name, value)| (name, Some(value)));
    let told = if request.method() == Method::POST { orders(name, value) } else { None };
    let (status, text) = match told {
        Some(Ok(text)) => (StatusCode::OK, text),
        Some(Err(text)) => (StatusCode::BAD_REQUEST, text),
        None if request.method() == Method::GET => (StatusCode::OK, help.to_owned()),
        None => (StatusCode::NOT_FOUND, help.to_owned()),
    };
    let mut answer = Response::new(Full::new(Bytes::from(text + "\n")));
    *answer.status_mut() = status;
    answer
}

/// What the chains offer.
pub(super) const CHAIN_HELP: &str = "\
POST /hold-finality       finalize nothing
POST /release-finality    finalize again
POST /pause-para          build no parachain blocks
POST /resume-para         build them again
POST /upgrade             upgrade the parachain's runtime with its next block
POST /rotate              change the authority set with the next relay block
POST /reorganize/N        leave the newest N relay blocks for a fork
POST /crowd/N             so many strangers in the parachain's pool, at most --crowd
POST /pool/N              room for N ready and N waiting transactions in the parachain's pool";

pub(super) fn chain(network: Arc<Devnet>) -> Orders {
    Arc::new(move |name, value| {
        match name {
            "hold-finality" => network.finalizer().adjust(|knobs| knobs.hold = true),
            "release-finality" => network.finalizer().adjust(|knobs| knobs.hold = false),
            "pause-para" => network.pause_para(true),
            "resume-para" => network.pause_para(false),
            "upgrade" => network.order(|orders| orders.upgrade = true),
            "rotate" => {
                let rotation = Rotation { delay: 0, authorities: None, forced: None };
                network.order(|orders| orders.rotation = Some(rotation));
            }
            "reorganize" | "crowd" | "pool" => match number(value) {
                Ok(depth) if name == "reorganize" => {
                    let (relay, para) = network.reorganize(depth);
                    return Some(Ok(format!("left {relay} relay and {para} parachain blocks")));
                }
                Ok(size) if name == "crowd" => network.crowd(size),
                Ok(room) => {
                    let room = room as usize;
                    network.para().set_pool_limits(PoolConfig { ready: room, future: room });
                }
                Err(told) => return Some(Err(told)),
            },
            _ => return None,
        }
        Some(Ok("done".to_owned()))
    })
}

/// What a worker offers.
pub(super) const WORKER_HELP: &str = "\
POST /reboot              end the process and start from the newest checkpoint
POST /lose-state          end the process and start without state; the key stays
POST /change-key          start without state and with another key
POST /checkpoint          take a checkpoint
POST /hang                answer no call any more
POST /slow/N              answer with N bytes a second
POST /fail                answer every call with status 500
POST /recover             behave again";

pub(super) fn worker(worker: Arc<WorkerHandle>) -> Orders {
    Arc::new(move |name, value| {
        let error = |cause: prb_devnet::worker::Error| cause.to_string();
        let told = match name {
            "reboot" => worker.reboot(Restart::FromCheckpoint).map_err(error),
            "lose-state" => worker.reboot(Restart::LoseState).map_err(error),
            "change-key" => {
                worker.change_key(None);
                Ok(())
            }
            "checkpoint" => match worker.take_checkpoint() {
                Ok(block) => return Some(Ok(format!("checkpoint of block {block}"))),
                Err(cause) => Err(error(cause)),
            },
            "hang" => {
                worker.add_fault(FaultRule::always(Fault::Hang));
                Ok(())
            }
            "slow" => number(value).map(|speed| {
                let slow = Fault::Slow { bytes_per_second: speed.max(1) };
                worker.add_fault(FaultRule::always(slow));
            }),
            "fail" => {
                let fault = Fault::Error { status: 500, message: "told to fail".to_owned() };
                worker.add_fault(FaultRule::always(fault));
                Ok(())
            }
            "recover" => {
                worker.clear_faults();
                Ok(())
            }
            _ => return None,
        };
        Some(told.map(|()| "done".to_owned()))
    })
}

fn number(value: Option<&str>) -> Result<u32, String> {
    value.and_then(|value| value.parse().ok()).ok_or_else(|| "add a number to the path, like /5".to_owned())
}
