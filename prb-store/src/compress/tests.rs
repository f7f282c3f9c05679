use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_was_packed_unpacks_to_the_same(
        plain in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..3000),
            (any::<u8>(), 0usize..100_000).prop_map(|(byte, len)| vec![byte; len]),
        ],
        earlier in proptest::collection::vec(any::<u8>(), 1..3000),
        shared in 0usize..3000,
    ) {
        let plain = [&earlier[..shared.min(earlier.len())], &plain].concat();
        let (mut packer, mut unpacker) = (Packer::default(), Unpacker::default());
        if let Some(frame) = packer.pack(&plain, None) {
            prop_assert!(frame.len() < plain.len());
            prop_assert_eq!(unpacker.unpack(&frame, None), Some(plain.clone()));
        }
        if let Some(frame) = packer.pack(&plain, Some(&PackDictionary::new(&earlier))) {
            prop_assert_eq!(plain_len(&frame), Some(plain.len()));
            let dictionary = UnpackDictionary::new(&earlier);
            prop_assert_eq!(unpacker.unpack(&frame, Some(&dictionary)), Some(plain));
        }
    }

    #[test]
    fn any_bytes_unpack_or_are_refused(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
        let magic = [0x28, 0xb5, 0x2f, 0xfd];
        let dictionary = UnpackDictionary::new(b"some bytes of an earlier block");
        for frame in [frame.clone(), [magic.as_slice(), &frame].concat()] {
            for dictionary in [None, Some(&dictionary)] {
                if let Some(plain) = Unpacker::default().unpack(&frame, dictionary) {
                    prop_assert!(plain.len() <= MAX_PLAIN);
                }
            }
        }
    }
}

#[test]
fn bomb_is_refused_before_anything_is_allocated() {
    // Frame header with an eight-byte content size (descriptor 0xe0: size flag 3, single segment), and a run-length
    // block behind it.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xe0];
    frame.extend_from_slice(&(1u64 << 40).to_le_bytes());
    frame.extend_from_slice(&[0x03, 0x00, 0x10, 0xaa]);
    assert_eq!(plain_len(&frame), None);
    assert_eq!(Unpacker::default().unpack(&frame, None), None);
}

#[test]
fn frame_longer_than_it_says_is_refused() {
    let mut frame = Packer::default().pack(&[7; 200], None).unwrap();
    // Magic, descriptor, then the size in one byte.
    frame[5] = 100;
    assert_eq!(plain_len(&frame), Some(100));
    assert_eq!(Unpacker::default().unpack(&frame, None), None);
}

#[test]
fn noise_is_not_packed() {
    let mut noise = vec![0; 1000];
    let mut state = 1u64;
    for byte in &mut noise {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (state >> 56) as u8;
    }
    assert_eq!(Packer::default().pack(&noise, None), None);
    assert_eq!(Packer::default().pack(&[], None), None);
}
