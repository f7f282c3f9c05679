//! Endpoints of the worker and their signatures.

use std::collections::BTreeMap;

use codec::{Decode, Encode};

use super::super::error::{Error, Result};
use super::super::identity::KIND_ENDPOINTS;
use super::super::pb;
use super::super::scale::{EndpointType, VersionedWorkerEndpoints, WorkerEndpointPayload};
use super::runtime::Runtime;
use super::{Phactory, scale};

/// Largest encoded payload that is signed, bytes.
const PAYLOAD_LIMIT: usize = 2048;

/// One endpoint per type, and the last signed list (payload and signature).
#[derive(Debug, Clone, Default, Encode, Decode)]
pub(super) struct Endpoints {
    by_type: BTreeMap<EndpointType, String>,
    signed: Option<(Vec<u8>, Vec<u8>)>,
}

impl Phactory {
    pub(super) fn add_endpoint(
        &mut self,
        request: &pb::AddEndpointRequest,
    ) -> Result<pb::GetEndpointResponse> {
        let kind = scale(&request.encoded_endpoint_type)?;
        self.endpoints.by_type.insert(kind, request.endpoint.clone());
        self.refresh_endpoints()
    }

    pub(super) fn refresh_endpoints(&mut self) -> Result<pb::GetEndpointResponse> {
        self.endpoints.signed = None;
        self.endpoint_info()
    }

    pub(super) fn endpoint_info(&mut self) -> Result<pb::GetEndpointResponse> {
        if self.endpoints.by_type.is_empty() {
            return Ok(pb::GetEndpointResponse::default());
        }
        if self.endpoints.signed.is_none() {
            let list = self.endpoints.by_type.values().cloned().collect();
            self.endpoints.signed = Some(self.runtime()?.sign_endpoints(list)?);
        }
        Ok(response(self.endpoints.signed.clone()))
    }

    pub(super) fn sign_endpoint_list(
        &self,
        request: &pb::SignEndpointsRequest,
    ) -> Result<pb::GetEndpointResponse> {
        let list = scale(&request.encoded_endpoints)?;
        Ok(response(Some(self.runtime()?.sign_endpoints(list)?)))
    }
}

impl Runtime {
    fn sign_endpoints(&self, list: Vec<String>) -> Result<(Vec<u8>, Vec<u8>)> {
        let payload = WorkerEndpointPayload {
            pubkey: self.identity.public(),
            versioned_endpoints: VersionedWorkerEndpoints::V1(list),
            signing_time: self.block_time,
        }
        .encode();
        if payload.len() > PAYLOAD_LIMIT {
            return Err(Error::app("Endpoints too large"));
        }
        let signature = self.identity.sign_kind(KIND_ENDPOINTS, &payload);
        Ok((payload, signature))
    }
}

fn response(signed: Option<(Vec<u8>, Vec<u8>)>) -> pb::GetEndpointResponse {
    let (encoded_endpoint_payload, signature) = signed.unzip();
    pb::GetEndpointResponse { encoded_endpoint_payload, signature }
}
