//! Single SCALE values.

use super::WireError;
use bytes::Bytes;
use codec::{DecodeAll, Encode};

/// A record: CRC-32C of the rest (u32, big-endian) ‖ SCALE `value`.
pub fn seal(value: &impl Encode) -> Bytes {
    let mut bytes = vec![0; 4];
    value.encode_to(&mut bytes);
    let sum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_be_bytes());
    bytes.into()
}

/// The value of a record; `what` names it in errors.
pub fn open<T: DecodeAll>(what: &'static str, record: &[u8]) -> Result<T, WireError> {
    let (sum, mut value) = record.split_first_chunk::<4>().ok_or(WireError::Truncated)?;
    if crc32c::crc32c(value) != u32::from_be_bytes(*sum) {
        return Err(WireError::Checksum { what: what.to_owned() });
    }
    T::decode_all(&mut value).map_err(|_| WireError::Malformed { what })
}
