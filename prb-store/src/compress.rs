//! Compression of single values with zstd, alone or with a dictionary.
//!
//! A dictionary is plain bytes of earlier items of the same stream. On real storage changes that beats trained
//! dictionaries: what repeats are keys that recent blocks touched, not the shape of the encoding.

use std::fmt;
use zstd::zstd_safe::{CCtx, CDict, DCtx, DDict, get_frame_content_size};

/// Longest value that is compressed, bytes. A frame that says it is longer is damaged: decompression never
/// allocates more.
pub(crate) const MAX_PLAIN: usize = 256 << 20;

/// Level of zstd. On real storage changes higher ones gain less than 1 % and cost several times the time.
const LEVEL: i32 = 3;

/// What compresses. One serves all streams.
pub(crate) struct Packer(CCtx<'static>);

/// A dictionary ready for compression.
pub(crate) struct PackDictionary(CDict<'static>);

/// What decompresses, made at its first use.
#[derive(Default)]
pub(crate) struct Unpacker(Option<DCtx<'static>>);

/// A dictionary ready for decompression.
pub(crate) struct UnpackDictionary {
    inner: DDict<'static>,
    /// CRC-32C of its bytes.
    pub(crate) sum: u32,
}

impl Default for Packer {
    fn default() -> Self {
        Self(CCtx::create())
    }
}

impl Packer {
    /// The frame of `plain`, none if that does not save a sixteenth at least.
    pub(crate) fn pack(&mut self, plain: &[u8], dictionary: Option<&PackDictionary>) -> Option<Vec<u8>> {
        if plain.len() > MAX_PLAIN {
            return None;
        }
        // A frame that does not fit is not worth its while, so there is no more room than that.
        let mut frame = Vec::with_capacity(plain.len() - plain.len() / 16);
        let packed = match dictionary {
            Some(dictionary) => self.0.compress_using_cdict(&mut frame, plain, &dictionary.0),
            None => self.0.compress(&mut frame, plain, LEVEL),
        };
        packed.is_ok().then_some(frame)
    }
}

impl PackDictionary {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(CDict::create(bytes, LEVEL))
    }
}

impl Unpacker {
    /// The plain bytes of `frame`, none if it is not whole.
    pub(crate) fn unpack(&mut self, frame: &[u8], dictionary: Option<&UnpackDictionary>) -> Option<Vec<u8>> {
        let len = plain_len(frame)?;
        let mut plain = Vec::with_capacity(len);
        let context = self.0.get_or_insert_with(DCtx::create);
        let unpacked = match dictionary {
            Some(dictionary) => context.decompress_using_ddict(&mut plain, frame, &dictionary.inner),
            None => context.decompress(&mut plain, frame),
        };
        (unpacked.ok()? == len).then_some(plain)
    }
}

impl UnpackDictionary {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self { inner: DDict::create(bytes), sum: crc32c::crc32c(bytes) }
    }
}

/// How long the plain bytes of `frame` are, none if it does not say or says too much.
pub(crate) fn plain_len(frame: &[u8]) -> Option<usize> {
    let len = usize::try_from(get_frame_content_size(frame).ok()??).ok()?;
    (len <= MAX_PLAIN).then_some(len)
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Packer")
    }
}

impl fmt::Debug for PackDictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PackDictionary")
    }
}

impl fmt::Debug for UnpackDictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnpackDictionary").field("sum", &self.sum).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
