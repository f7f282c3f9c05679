//! The older routes: `/get_info` and `/bin_api/*`, which wrap every answer in a JSON envelope with
//! status 200.

use std::sync::Arc;

use codec::Decode;
use hyper::StatusCode;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::Shared;
use super::reply::{BodyError, Reply, read_body, reply};
use super::routes::{NoAnswer, blocking, info, run};
use crate::worker::error::{Error, Result};
use crate::worker::methods::UNKNOWN_LIMIT;
use crate::worker::phactory::Phactory;
use crate::worker::scale::{
    BlockHeaderWithChanges, SyncCombinedHeadersReq, SyncHeaderReq, SyncParachainHeaderReq,
};

/// A call of `/bin_api`, whose body is SCALE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinCall {
    SyncHeader,
    SyncParaHeader,
    SyncCombinedHeaders,
    DispatchBlock,
}

impl BinCall {
    pub(super) fn find(name: &str) -> Option<Self> {
        Some(match name {
            "sync_header" => Self::SyncHeader,
            "sync_para_header" => Self::SyncParaHeader,
            "sync_combined_headers" => Self::SyncCombinedHeaders,
            "dispatch_block" => Self::DispatchBlock,
            _ => return None,
        })
    }

    /// The method of the service that does the same.
    fn method(self) -> &'static str {
        match self {
            Self::SyncHeader => "SyncHeader",
            Self::SyncParaHeader => "SyncParaHeader",
            Self::SyncCombinedHeaders => "SyncCombinedHeaders",
            Self::DispatchBlock => "DispatchBlocks",
        }
    }

    fn apply(self, phactory: &mut Phactory, body: &[u8]) -> Result<Value> {
        Ok(match self {
            Self::SyncHeader => {
                let request: SyncHeaderReq = decode(body)?;
                json!({ "synced_to": phactory.sync_header(request.headers, request.authority_set_change)? })
            }
            Self::SyncParaHeader => {
                let request: SyncParachainHeaderReq = decode(body)?;
                json!({ "synced_to": phactory.sync_para_header(request.headers, &request.proof)? })
            }
            Self::SyncCombinedHeaders => {
                let request: SyncCombinedHeadersReq = decode(body)?;
                let (relay, para) = phactory.sync_combined(
                    request.relaychain_headers,
                    request.authority_set_change,
                    request.parachain_headers,
                    &request.proof,
                )?;
                json!({ "relaychain_synced_to": relay, "parachain_synced_to": para })
            }
            Self::DispatchBlock => {
                let blocks: Vec<BlockHeaderWithChanges> = decode(body)?;
                json!({ "dispatched_to": phactory.dispatch_blocks(blocks)? })
            }
        })
    }
}

fn decode<T: Decode>(mut body: &[u8]) -> Result<T> {
    T::decode(&mut body).map_err(|_| Error::app("Decode input parameter failed"))
}

/// Runs a `/bin_api` call.
pub(super) async fn bin_api(
    shared: &Arc<Shared>,
    call: BinCall,
    body: Vec<u8>,
) -> std::result::Result<Reply, NoAnswer> {
    match run(shared, call.method(), move |phactory| call.apply(phactory, &body)).await? {
        Err(Error::Abort(_)) => Err(NoAnswer),
        Err(Error::App(text)) if text == super::RCU => Ok(plain_error(&format!("{text}!"))),
        result => {
            let (status, payload) = match result {
                Ok(payload) => ("ok", payload),
                Err(error) => ("error", json!({ "message": error.to_string() })),
            };
            signed(shared, status, payload.to_string()).await
        }
    }
}

/// Answers `/get_info`; a POST must bring a JSON object with members `input` and `nonce`.
pub(super) async fn get_info(
    shared: &Arc<Shared>,
    body: Option<Incoming>,
) -> std::result::Result<Reply, NoAnswer> {
    if let Some(body) = body {
        let bytes = match read_body(body, UNKNOWN_LIMIT).await {
            Ok(bytes) => bytes,
            Err(BodyError::TooLarge) => return Ok(plain_error("Entity too large")),
            Err(BodyError::Failed) => return Ok(plain_error("Io error: Read input data failed")),
        };
        let members = |value: &Value| value["input"].is_object() && value["nonce"].is_object();
        if !serde_json::from_slice(&bytes).is_ok_and(|value| members(&value)) {
            let text = b"input and nonce are required".to_vec();
            return Ok(reply(StatusCode::UNPROCESSABLE_ENTITY, "text/plain; charset=utf-8", text));
        }
    }
    let payload = serde_json::to_string(&info(shared).await?).map_err(|_| NoAnswer)?;
    signed(shared, "ok", payload).await
}

async fn signed(
    shared: &Arc<Shared>,
    status: &'static str,
    payload: String,
) -> std::result::Result<Reply, NoAnswer> {
    let signing = payload.clone();
    let signature =
        blocking(shared, move |shared| shared.lock().phactory.sign_response(signing.as_bytes())).await?;
    Ok(envelope(status, &payload, signature.map(hex::encode).as_deref()))
}

/// An unsigned error whose payload is not JSON.
pub(super) fn plain_error(text: &str) -> Reply {
    envelope("error", text, None)
}

fn envelope(status: &str, payload: &str, signature: Option<&str>) -> Reply {
    let value = json!({ "status": status, "payload": payload, "signature": signature });
    reply(StatusCode::OK, "application/json", value.to_string().into_bytes())
}
