//! Bodies made of shared bytes.

use super::session::{Sending, Share};
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use prb_core::id::Hash;
use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// Pieces up to this size are copied together; larger ones are shared.
const SMALL: usize = 4 << 10;

/// Largest slice handed to the connection at once, so that little memory is out of a finished answer's account.
const SLICE: usize = 256 << 10;

/// What an answer consists of.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    parts: Vec<Bytes>,
    tail: BytesMut,
    len: usize,
    /// What tells these contents from others, where somebody knows it without looking at all of them.
    known: Option<Vec<u8>>,
}

impl Pieces {
    pub(super) fn one(bytes: impl Into<Bytes>) -> Self {
        let mut pieces = Self::default();
        pieces.share(bytes.into());
        pieces
    }

    /// Adds a copy.
    pub(super) fn copy(&mut self, bytes: &[u8]) {
        self.len += bytes.len();
        self.tail.extend_from_slice(bytes);
    }

    /// Adds bytes without copying them, unless they are few.
    pub(super) fn share(&mut self, bytes: Bytes) {
        if bytes.len() <= SMALL {
            return self.copy(&bytes);
        }
        self.len += bytes.len();
        self.close_tail();
        self.parts.push(bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Says what tells these contents from others, for example lengths and checksums of all that is in them.
    pub(super) fn known_by(&mut self, mark: Vec<u8>) {
        self.known = Some(mark);
    }

    /// A hash that differs between different contents, without hashing all of them slowly: BLAKE2b over `salt` and
    /// what they are known by, or else the lengths and CRC-32C sums of the parts.
    pub(super) fn fingerprint(&mut self, salt: &[u8]) -> Hash {
        self.close_tail();
        let mut seen = salt.to_vec();
        if let Some(known) = &self.known {
            seen.extend_from_slice(known);
            return Hash::of(&seen);
        }
        for part in &self.parts {
            seen.extend_from_slice(&(part.len() as u64).to_be_bytes());
            seen.extend_from_slice(&crc32c::crc32c(part).to_be_bytes());
        }
        Hash::of(&seen)
    }

    pub(super) fn into_parts(mut self) -> Vec<Bytes> {
        self.close_tail();
        self.parts
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push(self.tail.split().freeze());
        }
    }
}

/// A body on its way.
#[derive(Default)]
pub(super) struct Payload {
    parts: VecDeque<Bytes>,
    left: u64,
    /// Its share of the memory for answers, free again when it is sent.
    _share: Option<Share>,
    sending: Option<Sending>,
}

impl Payload {
    pub(super) fn new(parts: Vec<Bytes>, share: Option<Share>) -> Self {
        let left = parts.iter().map(|part| part.len() as u64).sum();
        Self { parts: parts.into(), left, _share: share, sending: None }
    }

    /// Names the connection it goes out on.
    pub(super) fn on(&mut self, sending: Sending) {
        self.sending = Some(sending);
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(part) = self.parts.front_mut() else { return Poll::Ready(None) };
        let slice = part.split_to(part.len().min(SLICE));
        if part.is_empty() {
            self.parts.pop_front();
        }
        self.left -= slice.len() as u64;
        if let Some(sending) = &self.sending {
            sending.moved(slice.len());
        }
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
