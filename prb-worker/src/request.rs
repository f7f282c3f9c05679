//! Bodies of requests: protobuf and SCALE framing interleaved with the caller's shared bytes.
//!
//! A body is what the naive encoding (SCALE list in a protobuf `bytes` field) would be, byte for byte, but made of
//! parts: everything a caller hands in as [`Bytes`] travels by reference.

use bytes::{BufMut, Bytes, BytesMut};
use codec::{Compact, Encode};
use prb_core::{
    id::{AccountId, Height},
    port::worker::{BlockItem, HeadersRequest, InitRequest, ParaHeadersRequest},
};
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint},
};

use crate::message;

/// A request body in parts, with its exact length.
#[derive(Clone, Debug, Default)]
pub struct Body {
    parts: Vec<Bytes>,
    len: u64,
}

impl Body {
    /// The parts in order; none is empty.
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// Bytes in all parts together.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing to send (`google.protobuf.Empty`).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn into_parts(self) -> Vec<Bytes> {
        self.parts
    }

    fn of(message: &impl Message) -> Self {
        let mut body = Self::default();
        body.push(message.encode_to_vec().into());
        body
    }

    fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.len += part.len() as u64;
            self.parts.push(part);
        }
    }
}

/// `google.protobuf.Empty`.
pub fn empty() -> Body {
    Body::default()
}

/// `InitRuntimeRequest`. `skip_ra` (1) stays unset: workers from 2.0 on ignore it.
pub fn init(request: InitRequest) -> Body {
    let mut frame = Frame::default();
    frame.bytes(2, request.genesis_info);
    if let Some(key) = request.debug_key {
        frame.optional(3, Bytes::copy_from_slice(&key));
    }
    frame.bytes(4, request.genesis_state);
    if let Some(operator) = request.operator {
        frame.optional(5, Bytes::copy_from_slice(&operator.0));
    }
    frame.boolean(6, request.is_parachain);
    if let Some(provider) = request.attestation_provider {
        frame.optional(7, provider.encode().into());
    }
    frame.finish()
}

/// `HeadersToSync`.
pub fn headers(request: HeadersRequest) -> Body {
    let mut frame = Frame::default();
    frame.parts(1, relay_headers(request.headers, &request.justification));
    if let Some(change) = request.set_change {
        frame.optional(2, change);
    }
    frame.finish()
}

/// `ParaHeadersToSync`.
pub fn para_headers(request: ParaHeadersRequest) -> Body {
    let mut frame = Frame::default();
    frame.parts(1, list(request.headers));
    for node in request.proof {
        frame.optional(2, node);
    }
    frame.finish()
}

/// `CombinedHeadersToSync`.
pub fn combined(relay: HeadersRequest, para: ParaHeadersRequest) -> Body {
    let mut frame = Frame::default();
    frame.parts(1, relay_headers(relay.headers, &relay.justification));
    if let Some(change) = relay.set_change {
        frame.optional(2, change);
    }
    frame.parts(3, list(para.headers));
    for node in para.proof {
        frame.optional(4, node);
    }
    frame.finish()
}

/// `Blocks`: SCALE `Vec<BlockHeaderWithChanges>`, each a header followed by its changes.
pub fn blocks(blocks: Vec<BlockItem>) -> Body {
    let mut items = Builder::default();
    items.compact(blocks.len());
    for block in blocks {
        items.shared(block.header);
        items.shared(block.changes);
    }
    let mut frame = Frame::default();
    frame.parts(1, items);
    frame.finish()
}

/// `ChainState`.
pub fn chain_state(block: Height, state: Bytes) -> Body {
    let mut frame = Frame::default();
    frame.uint32(1, block.0);
    frame.bytes(2, state);
    frame.finish()
}

/// `GetRuntimeInfoRequest`.
pub fn runtime_info(refresh: bool, operator: Option<AccountId>) -> Body {
    Body::of(&message::GetRuntimeInfoRequest {
        force_refresh_ra: refresh,
        encoded_operator: operator.map(|account| Bytes::copy_from_slice(&account.0)),
    })
}

/// `SignEndpointsRequest`: SCALE `Vec<String>`.
pub fn endpoints(endpoints: &[String]) -> Body {
    Body::of(&message::SignEndpointsRequest { encoded_endpoints: endpoints.encode().into() })
}

/// `HandoverChallenge`, `HandoverChallengeResponse`, `HandoverWorkerKey` or their DCAP forms.
pub fn handover(encoded: Bytes, evidence: Option<Bytes>) -> Body {
    Body::of(&message::Handover { encoded, evidence })
}

/// `StopOptions`.
pub fn stop(remove_checkpoints: bool) -> Body {
    Body::of(&message::StopOptions { remove_checkpoints })
}

/// SCALE `Vec<HeaderToSync>`: each header and `00`, the last one `01` and its justification.
fn relay_headers(headers: Vec<Bytes>, justification: &Bytes) -> Builder {
    let mut items = Builder::default();
    items.compact(headers.len());
    let last = headers.len().saturating_sub(1);
    for (index, header) in headers.into_iter().enumerate() {
        items.shared(header);
        if index == last {
            items.own(&[1]);
            items.compact(justification.len());
            items.shared(justification.clone());
        } else {
            items.own(&[0]);
        }
    }
    items
}

/// SCALE list of already encoded items.
fn list(encoded: Vec<Bytes>) -> Builder {
    let mut items = Builder::default();
    items.compact(encoded.len());
    for item in encoded {
        items.shared(item);
    }
    items
}

/// Parts in the making: own framing bytes gather in one buffer and are cut off it where a shared part follows.
#[derive(Default)]
struct Builder {
    body: Body,
    framing: BytesMut,
}

impl Builder {
    fn own(&mut self, bytes: &[u8]) {
        self.framing.put_slice(bytes);
    }

    /// SCALE compact length.
    fn compact(&mut self, count: usize) {
        Compact(count as u64).encode_to(&mut Framing(&mut self.framing));
    }

    fn shared(&mut self, part: Bytes) {
        self.cut();
        self.body.push(part);
    }

    fn cut(&mut self) {
        self.body.push(self.framing.split().freeze());
    }

    fn finish(mut self) -> Body {
        self.cut();
        self.body
    }
}

/// A protobuf message in the making. Fields must be added in the order of their numbers, as prost writes them.
#[derive(Default)]
struct Frame(Builder);

impl Frame {
    /// A `bytes` field with implicit presence: an empty value is left out.
    fn bytes(&mut self, tag: u32, value: Bytes) {
        if !value.is_empty() {
            self.optional(tag, value);
        }
    }

    /// A `bytes` field that is written even when empty: explicit presence, or one element of a repeated field.
    fn optional(&mut self, tag: u32, value: Bytes) {
        self.length(tag, value.len() as u64);
        self.0.shared(value);
    }

    /// A `bytes` field whose value comes in parts.
    fn parts(&mut self, tag: u32, value: Builder) {
        let value = value.finish();
        self.length(tag, value.len());
        for part in value.into_parts() {
            self.0.shared(part);
        }
    }

    fn boolean(&mut self, tag: u32, value: bool) {
        if value {
            encode_key(tag, WireType::Varint, &mut self.0.framing);
            self.0.own(&[1]);
        }
    }

    fn uint32(&mut self, tag: u32, value: u32) {
        if value != 0 {
            encode_key(tag, WireType::Varint, &mut self.0.framing);
            encode_varint(value.into(), &mut self.0.framing);
        }
    }

    fn length(&mut self, tag: u32, len: u64) {
        encode_key(tag, WireType::LengthDelimited, &mut self.0.framing);
        encode_varint(len, &mut self.0.framing);
    }

    fn finish(self) -> Body {
        self.0.finish()
    }
}

/// Lets SCALE write into the framing buffer.
struct Framing<'a>(&'a mut BytesMut);

impl codec::Output for Framing<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.0.put_slice(bytes);
    }
}
