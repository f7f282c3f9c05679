use super::*;
use crate::{id::Height, port::Blob, span::Span};
use bytes::Bytes;

fn blob(height: u32, len: usize) -> Blob {
    Blob { height: Height(height), bytes: vec![height as u8; len].into() }
}

fn frames(stream: Stream, blobs: &[Blob]) -> Vec<u8> {
    let frame = |blob: &Blob| [&FrameHead::of(stream, blob).encode()[..], &blob.bytes].concat();
    blobs.iter().flat_map(frame).collect()
}

fn span(first: u32, last: u32) -> Span {
    Span::new(Height(first), Height(last)).unwrap()
}

#[test]
fn the_layout_of_a_frame_is_fixed() {
    let frame = frames(Stream::Changes, &[Blob { height: Height(0x102), bytes: Bytes::from_static(b"abc") }]);
    assert_eq!(frame[..8], [0, 0, 1, 2, 0, 0, 0, 3]);
    assert_eq!(frame[8..12], bitwise_crc(&[6, 0, 0, 1, 2, b'a', b'b', b'c']).to_be_bytes());
    assert_eq!(&frame[12..], b"abc");
}

/// CRC-32C bit by bit.
fn bitwise_crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn frames_are_read_back() {
    let blobs = [blob(5, 3), blob(6, 0), blob(7, 1000)];
    let body = Bytes::from(frames(Stream::Changes, &blobs));
    assert_eq!(decode_frames(Stream::Changes, span(5, 9), body).unwrap(), blobs);
    assert_eq!(decode_frames(Stream::Changes, span(5, 9), Bytes::new()).unwrap(), []);
    let sparse = [blob(3, 10), blob(9, 10)];
    let body = Bytes::from(frames(Stream::Justifications, &sparse));
    assert_eq!(decode_frames(Stream::Justifications, span(0, u32::MAX), body).unwrap(), sparse);
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    let whole = frames(Stream::Changes, &[blob(5, 7), blob(6, 9)]);
    for bit in 0..whole.len() * 8 {
        let mut bent = whole.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_frames(Stream::Changes, span(5, 6), bent.into()).is_err(), "bit {bit}");
    }
    for end in 1..whole.len() {
        let cut = decode_frames(Stream::Changes, span(5, 6), Bytes::from(whole[..end].to_vec()));
        if end == FrameHead::LEN + 7 {
            assert_eq!(cut.unwrap().len(), 1, "a whole first item is a prefix");
        } else {
            assert_eq!(cut, Err(WireError::Truncated), "{end}");
        }
    }
}

#[test]
fn items_nobody_asked_for_are_refused() {
    let cases: [(Stream, &[u32]); 6] = [
        (Stream::Changes, &[6]),
        (Stream::Changes, &[5, 7]),
        (Stream::Changes, &[5, 5]),
        (Stream::Changes, &[5, 6, 7]),
        (Stream::Justifications, &[4]),
        (Stream::Justifications, &[6, 5]),
    ];
    for (stream, heights) in cases {
        let blobs: Vec<_> = heights.iter().map(|height| blob(*height, 4)).collect();
        let refused = decode_frames(stream, span(5, 6), frames(stream, &blobs).into());
        assert!(matches!(refused, Err(WireError::Order { .. })), "{stream} {heights:?}: {refused:?}");
    }
    let other = frames(Stream::ParaHeaders, &[blob(5, 4)]);
    let refused = decode_frames(Stream::Changes, span(5, 6), other.into());
    assert!(matches!(refused, Err(WireError::Checksum { .. })), "an item of another stream");
}

#[test]
fn a_claimed_size_is_capped() {
    let mut body = FrameHead { height: Height(5), len: MAX_BLOB_BYTES + 1, sum: 0 }.encode().to_vec();
    body.extend([0; 64]);
    let refused = decode_frames(Stream::Changes, span(5, 6), body.into());
    assert_eq!(refused, Err(WireError::TooLarge { height: 5, bytes: MAX_BLOB_BYTES + 1 }));
}

#[test]
fn records_are_checked() {
    let sealed = seal(&(7u32, b"abc".to_vec()));
    assert_eq!(open::<(u32, Vec<u8>)>("pair", &sealed).unwrap(), (7, b"abc".to_vec()));
    for byte in 0..sealed.len() {
        let mut bent = sealed.to_vec();
        bent[byte] ^= 0x40;
        assert!(matches!(open::<(u32, Vec<u8>)>("pair", &bent), Err(WireError::Checksum { .. })));
    }
    assert_eq!(open::<u32>("pair", &sealed), Err(WireError::Malformed { what: "pair" }));
    assert_eq!(open::<u32>("pair", &sealed[..3]), Err(WireError::Truncated));
}

#[test]
fn names_are_found() {
    for stream in Stream::ALL {
        assert_eq!(stream_named(stream.name()), Some(stream));
    }
    assert_eq!(stream_named("rungs"), None);
    for end in End::ALL {
        assert_eq!(End::named(end.name()), Some(end));
    }
}
