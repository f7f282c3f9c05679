//! Files of an archive as bytes.

use super::{ArchiveError, MAX_PLAIN, manifest::Piece};
use bytes::Bytes;
use prb_core::{
    id::Hash,
    port::{Blob, Stream},
    wire::FrameHead,
};
use std::io::Read;

/// Level of zstd. Archives are written once and read often; higher levels cost several times more for a few percent.
const LEVEL: i32 = 9;
/// Largest window that reading needs, as a power of two: 128 MiB. Level 9 stays far below.
const WINDOW: u32 = 27;

/// Adds the frame of `blob`.
pub(super) fn push(frames: &mut Vec<u8>, stream: Stream, blob: &Blob) {
    frames.extend_from_slice(&FrameHead::of(stream, blob).encode());
    frames.extend_from_slice(&blob.bytes);
}

/// The file for `plain`, compressed where that makes it smaller.
pub(super) fn pack(plain: Vec<u8>) -> Result<(Piece, Vec<u8>), ArchiveError> {
    let len = plain.len() as u64;
    let failed = |error: std::io::Error| ArchiveError::Backend(format!("zstd: {error}"));
    let frame = {
        let mut packer = zstd::bulk::Compressor::new(LEVEL).map_err(failed)?;
        packer.compress(&plain).map_err(failed)?
    };
    let (file, packed) = if frame.len() < plain.len() { (frame, true) } else { (plain, false) };
    Ok((Piece { plain: len, bytes: file.len() as u64, hash: Hash::of(&file), packed }, file))
}

/// The content of a file, or what is wrong with it. Never makes more bytes than the manifest says.
pub(super) fn unpack(piece: &Piece, file: Bytes) -> Result<Bytes, String> {
    if file.len() as u64 != piece.bytes {
        return Err(format!("has {} bytes, the manifest says {}", file.len(), piece.bytes));
    }
    if Hash::of(&file) != piece.hash {
        return Err("does not have the hash in its name".to_owned());
    }
    if !piece.packed {
        return Ok(file);
    }
    let len = usize::try_from(piece.plain).ok().filter(|len| *len <= MAX_PLAIN).ok_or("is too large")?;
    let unpacked = || {
        let mut unpacker = zstd::stream::read::Decoder::with_buffer(&*file)?.single_frame();
        unpacker.window_log_max(WINDOW)?;
        let mut plain = Vec::with_capacity(len);
        unpacker.take(len as u64 + 1).read_to_end(&mut plain)?;
        Ok::<_, std::io::Error>(plain)
    };
    let plain = unpacked().map_err(|error| format!("does not unpack: {error}"))?;
    if plain.len() != len {
        return Err(format!("does not hold the {len} bytes that the manifest says"));
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_content_makes_equal_files_and_small_ones_where_that_is_possible() {
        let dull = vec![7; 5000];
        let (piece, file) = pack(dull.clone()).unwrap();
        assert_eq!(pack(dull.clone()).unwrap(), (piece, file.clone()));
        assert!(piece.packed && file.len() < 100);
        assert_eq!(unpack(&piece, file.into()).unwrap(), dull);

        let noise: Vec<u8> = (0..8u8).flat_map(|n| Hash::of(&[n]).0).collect();
        let (piece, file) = pack(noise.clone()).unwrap();
        assert!(!piece.packed);
        assert_eq!(unpack(&piece, file.into()).unwrap(), noise);
        let (piece, file) = pack(Vec::new()).unwrap();
        assert_eq!(unpack(&piece, file.into()).unwrap(), Bytes::new());
    }

    /// X17 and X19: what was bent on the way is found; a bomb is cut off at the size it claims.
    #[test]
    fn bent_files_and_bombs_are_refused() {
        let (piece, file) = pack(vec![7; 5000]).unwrap();
        for at in 0..file.len() {
            let mut bent = file.clone();
            bent[at] ^= 1;
            assert!(unpack(&piece, bent.into()).unwrap_err().contains("hash"), "byte {at}");
        }
        assert!(unpack(&piece, file[1..].to_vec().into()).unwrap_err().contains("bytes"));
        for plain in [100, 4999, 5001] {
            let lying = Piece { plain, ..piece };
            assert!(unpack(&lying, file.clone().into()).unwrap_err().contains("manifest"), "{plain}");
        }
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
        let piece = Piece { plain: 9000, bytes: bomb.len() as u64, hash: Hash::of(&bomb), packed: true };
        assert!(unpack(&piece, bomb.into()).unwrap_err().contains("manifest"));
    }
}
