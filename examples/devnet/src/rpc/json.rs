//! JSON shapes and parameters.

use codec::Encode;
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned};
use serde_json::{Value, json};
use sp_core::H256;
use sp_version::RuntimeVersion;

use super::StateErrorOr;
use crate::chain::{Changes, Header, StateError};

pub(super) type Outcome = Result<Value, ErrorObjectOwned>;

pub(super) fn hex_of(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

pub(super) fn hash(hash: H256) -> Value {
    hex_of(hash).into()
}

pub(super) fn optional(bytes: Option<Vec<u8>>) -> Value {
    bytes.map(hex_of).into()
}

pub(super) fn header(header: &Header) -> Value {
    let logs: Vec<_> = header.digest.logs.iter().map(|item| hex_of(item.encode())).collect();
    json!({
        "parentHash": hash(header.parent_hash),
        "number": format!("{:#x}", header.number),
        "stateRoot": hash(header.state_root),
        "extrinsicsRoot": hash(header.extrinsics_root),
        "digest": { "logs": logs },
    })
}

pub(super) fn changes(changes: &Changes) -> Value {
    changes.iter().map(|(key, value)| json!([hex_of(key), optional(value.clone())])).collect()
}

pub(super) fn version(version: &RuntimeVersion) -> Value {
    let apis: Vec<_> = version.apis.iter().map(|(id, version)| json!([hex_of(id), version])).collect();
    json!({
        "specName": version.spec_name,
        "implName": version.impl_name,
        "authoringVersion": version.authoring_version,
        "specVersion": version.spec_version,
        "implVersion": version.impl_version,
        "apis": apis,
        "transactionVersion": version.transaction_version,
        "systemVersion": version.system_version,
        "stateVersion": u8::from(version.state_version()),
    })
}

pub(super) fn invalid(what: impl std::fmt::Display) -> ErrorObjectOwned {
    ErrorObject::owned(-32602, "Invalid params", Some(what.to_string()))
}

pub(super) fn internal(what: &impl std::fmt::Display) -> ErrorObjectOwned {
    ErrorObject::owned(-32603, what.to_string(), None::<()>)
}

pub(super) fn error(code: i32, message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObject::owned(code, message, None::<()>)
}

/// Errors of `state_*`: code 4003 (`sc-rpc-api`'s `state::Error::Client`).
impl From<StateErrorOr> for ErrorObjectOwned {
    fn from(cause: StateErrorOr) -> Self {
        error(4003, format!("Client error: {cause}"))
    }
}

impl From<StateError> for StateErrorOr {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

pub(super) fn state_error(cause: StateError) -> ErrorObjectOwned {
    StateErrorOr::from(cause).into()
}

/// The parameter at `index`; absent and `null` are the same.
pub(super) fn given(params: &[Value], index: usize) -> Option<&Value> {
    params.get(index).filter(|value| !value.is_null())
}

pub(super) fn text(params: &[Value], index: usize) -> Result<&str, ErrorObjectOwned> {
    given(params, index)
        .and_then(Value::as_str)
        .ok_or_else(|| invalid(format!("parameter {index}: a string is needed")))
}

pub(super) fn unhex(text: &str) -> Result<Vec<u8>, ErrorObjectOwned> {
    let digits = text.strip_prefix("0x").ok_or_else(|| invalid("hex needs a 0x prefix"))?;
    let even = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    hex::decode(even).map_err(invalid)
}

pub(super) fn bytes(params: &[Value], index: usize) -> Result<Vec<u8>, ErrorObjectOwned> {
    unhex(text(params, index)?)
}

pub(super) fn byte_lists(params: &[Value], index: usize) -> Result<Vec<Vec<u8>>, ErrorObjectOwned> {
    let list = given(params, index).and_then(Value::as_array);
    let list = list.ok_or_else(|| invalid(format!("parameter {index}: a list is needed")))?;
    list.iter().map(|item| unhex(item.as_str().ok_or_else(|| invalid("keys are hex strings"))?)).collect()
}

pub(super) fn maybe_hash(params: &[Value], index: usize) -> Result<Option<H256>, ErrorObjectOwned> {
    if given(params, index).is_none() {
        return Ok(None);
    }
    let raw = bytes(params, index)?;
    let raw: [u8; 32] = raw.try_into().map_err(|_| invalid("a hash is 32 bytes"))?;
    Ok(Some(raw.into()))
}

pub(super) fn need_hash(params: &[Value], index: usize) -> Result<H256, ErrorObjectOwned> {
    maybe_hash(params, index)?.ok_or_else(|| invalid(format!("parameter {index}: a hash is needed")))
}

/// A JSON number or a hex quantity.
pub(super) fn number(value: &Value) -> Result<u64, ErrorObjectOwned> {
    let parsed = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        },
        _ => None,
    };
    parsed.ok_or_else(|| invalid(format!("{value} is not a block number")))
}
