//! A running PRB v3, by its management address.

use super::MigrateError;
use crate::{
    account,
    inventory::{Change, PoolSet, Snapshot},
    v3::{Command, ConfigError, OperatorView, PoolFields, PoolView, WorkerFields, changes},
};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Uri, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest time for one answer.
const DEADLINE: Duration = Duration::from_secs(30);
/// Largest answer, bytes.
const MAX_BYTES: usize = 64 << 20;

/// What a v3 knows.
pub(super) struct Fleet {
    pools: Vec<PoolView>,
    operators: Vec<OperatorView>,
}

/// Asks the manager at `url`.
pub(super) fn read(url: &str) -> Result<Fleet, MigrateError> {
    let failed = |cause: String| MigrateError::Manager { url: url.to_owned(), cause };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(error.to_string()))?;
    runtime.block_on(async {
        let pools = ask(url, "GetAllPoolsWithWorkers").await.map_err(failed)?;
        let operators = ask(url, "GetAllPoolOperators").await.map_err(failed)?;
        Ok(Fleet { pools, operators })
    })
}

async fn ask<T: DeserializeOwned>(url: &str, command: &str) -> Result<T, String> {
    let answer = tokio::time::timeout(DEADLINE, post(url, command)).await;
    let answer = answer.map_err(|_| format!("no answer within {} s", DEADLINE.as_secs()))??;
    serde_json::from_slice(&answer)
        .map_err(|error| format!("its answer to {command} is not that of PRB v3: {error}"))
}

async fn post(url: &str, command: &str) -> Result<Bytes, String> {
    let uri = format!("{}/wm/config", url.trim_end_matches('/')).parse::<Uri>().ok();
    let uri = uri.filter(|uri| uri.scheme_str() == Some("http"));
    let (Some(path), Some(authority)) = (uri.as_ref().map(Uri::path), uri.as_ref().and_then(Uri::authority))
    else {
        return Err("the address must be like http://10.0.0.5:3001".to_owned());
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| error.to_string())?;
    let request = Request::post(path)
        .header(header::HOST, authority.as_str())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(format!("{{\"{command}\":null}}"))))
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BYTES)
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        if status.is_success() {
            Ok(body.to_bytes())
        } else {
            Err(format!("it answers {status} to {command}"))
        }
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        answer = &mut exchange => answer,
        // What was received before the end still counts.
        _ = &mut connection => exchange.await,
    }
}

impl Fleet {
    /// The changes that make it here, and what is left to do by hand.
    pub(super) fn changes(self, snapshot: &Snapshot) -> Result<(Vec<Change>, Vec<String>), ConfigError> {
        let (mut all, mut remaining) = (Vec::new(), Vec::new());
        let mut make = |command| -> Result<(), ConfigError> {
            all.extend(changes(snapshot, None, &command)?);
            Ok(())
        };
        let mut workers = Vec::new();
        for pool in self.pools {
            let PoolView { name, pid, enabled, sync_only, .. } = pool;
            make(Command::AddPool(PoolFields { name, pid, disabled: !enabled, sync_only }))?;
            workers.extend(pool.workers.unwrap_or_default().into_iter().map(|worker| (pid, worker)));
        }
        for (pid, worker) in workers {
            let is_both = worker.sync_only && worker.gatekeeper;
            if is_both {
                let name = &worker.name;
                remaining.push(format!(
                    "worker {name} has the marks sync_only and gatekeeper, which exclude each other here; it comes as \
                     sync-only, and `prb worker set {name} --sync-only=false --gatekeeper` makes it a gatekeeper"
                ));
            }
            make(Command::AddWorker(WorkerFields {
                name: worker.name,
                new_name: None,
                endpoint: worker.endpoint,
                stake: worker.stake,
                pid,
                disabled: !worker.enabled,
                sync_only: worker.sync_only,
                gatekeeper: worker.gatekeeper && !is_both,
            }))?;
        }
        for operator in self.operators {
            let OperatorView { pid, operator_account_id, proxied_account_id } = operator;
            let signs = account::parse(&operator_account_id)?;
            let proxied = proxied_account_id.as_deref().map(account::parse).transpose()?;
            let known =
                snapshot.operators.iter().find(|known| known.account == signs && known.proxied == proxied);
            match known {
                Some(known) => {
                    let set = PoolSet { operator: Some(Some(known.name.clone())), ..PoolSet::default() };
                    all.push(Change::SetPool(pid, set));
                }
                None => {
                    let proxied =
                        proxied_account_id.map(|address| format!(" --proxied {address}")).unwrap_or_default();
                    remaining.push(format!(
                        "pool {pid} is signed for by {operator_account_id}: `prb operator add NAME{proxied}` with its secret, then \
                         `prb pool set {pid} --operator NAME`"
                    ));
                }
            }
        }
        Ok((all, remaining))
    }
}

#[cfg(test)]
mod tests;
