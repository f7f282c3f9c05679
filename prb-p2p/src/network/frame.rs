//! What travels on a stream of `/pb`: one message, no length before it, and the end of the sending half behind it.

use bytes::{Bytes, BytesMut};
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use libp2p::Stream;
use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

/// Why nothing whole was read.
#[derive(Debug)]
pub(super) enum Unread {
    TooLarge,
    Io(io::Error),
}

/// Reads to the end, but no more than `most` bytes.
pub(super) async fn read(stream: &mut Stream, most: usize) -> Result<Bytes, Unread> {
    let mut chunk = vec![0; CHUNK];
    let mut whole = BytesMut::new();
    loop {
        match stream.read(&mut chunk).await.map_err(Unread::Io)? {
            0 => return Ok(whole.freeze()),
            more if whole.len() + more > most => return Err(Unread::TooLarge),
            more => whole.extend_from_slice(&chunk[..more]),
        }
    }
}

/// Reads to the end and keeps nothing.
pub(super) async fn skip(stream: &mut Stream) {
    let mut chunk = vec![0; CHUNK];
    while stream.read(&mut chunk).await.is_ok_and(|more| more > 0) {}
}

/// Writes it and ends the sending half.
pub(super) async fn write(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.close().await
}

/// Unix milliseconds.
pub(super) fn timestamp() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Size as [`Semaphore`](tokio::sync::Semaphore)s count it.
pub(super) fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

pub(super) fn nonce() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Bytes read at once.
const CHUNK: usize = 32 * 1024;
