//! Somebody between a reader and a data provider.

use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a question.
#[derive(Clone)]
pub enum Does {
    /// It is passed on, and so is its answer.
    Pass,
    /// Likewise, with one bit of the answer's last byte flipped.
    Spoil,
    /// This is answered.
    Say(Vec<u8>),
    /// This is answered, and then this again and again for as long as somebody listens.
    Repeat(Vec<u8>, Vec<u8>),
}

/// Stands before `provider` (host and port) and decides about each question by its head; the URL of that.
pub async fn between(provider: String, does: impl Fn(&str) -> Does + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind(crate::world::ANY).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let both = Arc::new((provider, does));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let both = both.clone();
            tokio::spawn(async move { drop(carry(stream, &both.0, &both.1).await) });
        }
    });
    url
}

/// One question, after which the connection ends.
async fn carry(mut near: TcpStream, provider: &str, does: impl Fn(&str) -> Does) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(near.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap().replacen("\r\n", "\r\nconnection: close\r\n", 1);
    match does(&head) {
        Does::Say(words) => near.write_all(&words).await,
        Does::Repeat(words, again) => {
            near.write_all(&words).await?;
            loop {
                near.write_all(&again).await?;
            }
        }
        does => {
            let mut far = TcpStream::connect(provider).await?;
            far.write_all(head.as_bytes()).await?;
            let mut answer = Vec::new();
            far.read_to_end(&mut answer).await?;
            if matches!(does, Does::Spoil) {
                *answer.last_mut().unwrap() ^= 1;
            }
            near.write_all(&answer).await
        }
    }
}
