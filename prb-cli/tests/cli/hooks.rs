//! A server that things are posted to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
};

/// What was posted.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The request line.
    pub line: String,
    /// Headers, names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Posted {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// It answers 200 unless told otherwise.
pub struct Hooks {
    pub url: String,
    posted: Arc<Mutex<Vec<Posted>>>,
    task: JoinHandle<()>,
}

impl Hooks {
    pub async fn serve() -> Self {
        Self::answering(&[]).await
    }

    /// Answers the first requests with these statuses.
    pub async fn answering(statuses: &[u16]) -> Self {
        // As many as ever come.
        Self::with(statuses, Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))).await
    }

    /// Answers as many requests as there are permits, and leaves the others waiting.
    pub async fn with(statuses: &[u16], permits: Arc<Semaphore>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let statuses = Arc::new(Mutex::new(VecDeque::from(statuses.to_vec())));
        let posted = Arc::<Mutex<Vec<Posted>>>::default();
        let kept = posted.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (statuses, posted, permits) = (statuses.clone(), kept.clone(), permits.clone());
                tokio::spawn(async move {
                    let (one, mut stream) = read(stream).await?;
                    posted.lock().unwrap().push(one);
                    permits.acquire().await.ok()?.forget();
                    let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
                    let answer =
                        format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await.ok()
                });
            }
        });
        Self { url, posted, task }
    }

    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(stream: TcpStream) -> Option<(Posted, TcpStream)> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let posted = Posted { line: line.trim().to_owned(), headers, body: String::from_utf8(body).ok()? };
    Some((posted, stream.into_inner()))
}
