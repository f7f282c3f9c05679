//! Items of a stream, one after the other.

use super::{WireError, stream_number};
use crate::{
    id::Height,
    port::{Blob, Stream},
    span::Span,
};
use bytes::{Buf, Bytes};

/// Largest item: workers take requests of up to 100 MiB.
pub const MAX_BLOB_BYTES: u32 = 96 << 20;

/// What stands before each item: height u32 ‖ length u32 ‖ CRC-32C u32, big-endian.
///
/// The checksum covers the stream's number (one byte), the height (four bytes, big-endian) and the item, so that an
/// item of another stream or height is not mistaken for the one asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Block of the item.
    pub height: Height,
    /// Its length, bytes.
    pub len: u32,
    /// Its checksum.
    pub sum: u32,
}

impl FrameHead {
    /// Length of an encoded head, bytes.
    pub const LEN: usize = 12;

    /// The head of `blob`.
    ///
    /// # Panics
    ///
    /// If the item exceeds 4 GiB, which no store takes.
    pub fn of(stream: Stream, blob: &Blob) -> Self {
        let len = u32::try_from(blob.bytes.len()).expect("items are far smaller than 4 GiB");
        Self { height: blob.height, len, sum: checksum(stream, blob.height, &blob.bytes) }
    }

    /// Its bytes.
    pub fn encode(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.height.0.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.len.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sum.to_be_bytes());
        bytes
    }
}

fn checksum(stream: Stream, height: Height, bytes: &[u8]) -> u32 {
    let sum = crc32c::crc32c(&[stream_number(stream)]);
    crc32c::crc32c_append(crc32c::crc32c_append(sum, &height.0.to_be_bytes()), bytes)
}

/// The items of an answer to a question for `span`. They share `body`.
///
/// Of streams with an item at every height they must be consecutive from the first of `span`, of others ascending
/// within it.
pub fn decode_frames(stream: Stream, span: Span, mut body: Bytes) -> Result<Vec<Blob>, WireError> {
    let mut blobs: Vec<Blob> = Vec::new();
    let mut next = Some(span.first());
    while !body.is_empty() {
        if body.len() < FrameHead::LEN {
            return Err(WireError::Truncated);
        }
        let (height, len, sum) = (Height(body.get_u32()), body.get_u32(), body.get_u32());
        let expected = next.filter(|next| *next <= span.last()).unwrap_or(span.last());
        let in_place = if stream.is_sparse() {
            next.is_some_and(|next| next <= height && height <= span.last())
        } else {
            next == Some(height) && height <= span.last()
        };
        if !in_place {
            return Err(WireError::Order { expected: expected.0, found: height.0 });
        }
        if len > MAX_BLOB_BYTES {
            return Err(WireError::TooLarge { height: height.0, bytes: len });
        }
        if body.len() < len as usize {
            return Err(WireError::Truncated);
        }
        let bytes = body.split_to(len as usize);
        if checksum(stream, height, &bytes) != sum {
            return Err(WireError::Checksum { what: format!("{stream} at {height}") });
        }
        blobs.push(Blob { height, bytes });
        next = height.0.checked_add(1).map(Height);
    }
    Ok(blobs)
}
