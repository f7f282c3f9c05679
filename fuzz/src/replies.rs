//! Decoding of a worker's replies.

use codec::DecodeAll;
use prb_core::{Bytes, handover::Means, types::message::EgressMessages};
use prb_worker::reply::{self, BadReply};

/// Memory allowed for decoded messages.
const BUDGET: usize = 1 << 20;

/// Every reply decoder on the same bytes; messages equal what the plain SCALE decoder makes of them.
pub fn replies(data: &[u8]) {
    // Fields share the body they came in, so the bytes are owned once.
    let body = Bytes::copy_from_slice(data);
    if let Err(error) = reply::info(data) {
        assert!(error.to_string().len() < 1024, "errors stay short whatever the reply");
    }
    if let Ok(info) = reply::runtime_info(body.clone()) {
        assert!(!info.encoded_runtime_info.is_empty());
    }
    let _ = reply::synced_to(data);
    let _ = reply::headers_synced_to(data);
    let _ = reply::checkpoint(data);
    let _ = reply::error_message(data);
    let _ = reply::signed_endpoints(body.clone());
    if let Ok(challenge) = reply::challenge(Means::Ias, body.clone()) {
        assert!(!challenge.encoded.is_empty());
        assert!(reply::challenge_response(Means::Dcap, body.clone()).is_ok());
        assert!(reply::sealed_key(Means::Dcap, body.clone()).is_ok());
    }
    let _ = reply::egress_messages(body, BUDGET);

    // The field alone: 1, length-delimited.
    let mut field = vec![0x0a];
    let mut len = data.len();
    while len >= 0x80 {
        field.push(len as u8 | 0x80);
        len >>= 7;
    }
    field.push(len as u8);
    field.extend_from_slice(data);
    match reply::egress_messages(field.into(), BUDGET) {
        Ok(messages) => assert_eq!(EgressMessages::decode_all(&mut &data[..]), Ok(messages)),
        Err(BadReply::Scale { .. }) => assert!(EgressMessages::decode_all(&mut &data[..]).is_err()),
        Err(_) => {}
    }
}
