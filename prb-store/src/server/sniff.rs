//! Which HTTP a connection speaks: HTTP/2 begins with words of its own (RFC 9113, 3.4), everything else is HTTP/1.1.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection begins with.
pub(super) enum Beginning {
    Http1(Vec<u8>),
    Http2(Vec<u8>),
    /// Nothing; it was closed.
    Nothing,
}

/// Reads until it is clear. What was read belongs in front of what follows.
pub(super) async fn beginning(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Beginning> {
    let mut read = Vec::with_capacity(PREFACE.len());
    loop {
        if !PREFACE.starts_with(&read) {
            return Ok(Beginning::Http1(read));
        }
        if read.len() == PREFACE.len() {
            return Ok(Beginning::Http2(read));
        }
        let mut some = [0; PREFACE.len()];
        match stream.read(&mut some[..PREFACE.len() - read.len()]).await? {
            0 if read.is_empty() => return Ok(Beginning::Nothing),
            0 => return Ok(Beginning::Http1(read)),
            bytes => read.extend_from_slice(&some[..bytes]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn protocols_are_told_apart_byte_by_byte() {
        for (text, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], "http1"),
            (b"P", "http1"),
            (b"PUT /headers HTTP/1.1\r\n", "http1"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrest", "http2"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rx", "http1"),
            (b"", "nothing"),
        ] {
            for portion in [1, 5, 64] {
                let mut stream = tokio_test_reader(text, portion);
                let (name, read) = match beginning(&mut stream).await.unwrap() {
                    Beginning::Http1(read) => ("http1", read),
                    Beginning::Http2(read) => ("http2", read),
                    Beginning::Nothing => ("nothing", Vec::new()),
                };
                assert_eq!(name, expected, "{text:?}");
                assert!(text.starts_with(&read), "nothing is lost");
            }
        }
    }

    /// Answers `portion` bytes at a time.
    fn tokio_test_reader(text: &[u8], portion: usize) -> impl AsyncRead + Unpin {
        let (mut near, far) = tokio::io::duplex(portion);
        let text = text.to_vec();
        tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            let _ = near.write_all(&text).await;
        });
        far
    }
}
