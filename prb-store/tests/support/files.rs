//! A static file server, such as a CDN is, with moods.
#![allow(dead_code, unreachable_pub)] // every test file uses another part of it

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What is done to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mood {
    /// The file as it is.
    Honest,
    /// This status and nothing else.
    Status(u16),
    /// One bit of it is another.
    Bent,
    /// It ends in the middle.
    Cut,
    /// It goes on for ever.
    Endless,
    /// Somewhere else has it.
    Redirect(String),
    /// Nothing ever comes.
    Silent,
    /// It comes byte by byte, one a second.
    Dripping,
}

/// Decides about the `n`-th request (from 1) for a file.
type Moods = Arc<dyn Fn(&str, u32) -> Mood + Send + Sync>;

/// Serves a folder until dropped.
pub struct Files {
    pub url: String,
    asked: Arc<Mutex<BTreeMap<String, u32>>>,
    task: JoinHandle<()>,
}

impl Files {
    pub async fn serve(folder: &Path) -> Self {
        Self::serve_with(folder, |_, _| Mood::Honest).await
    }

    pub async fn serve_with(
        folder: &Path,
        moods: impl Fn(&str, u32) -> Mood + Send + Sync + 'static,
    ) -> Self {
        Self::serve_through(folder, moods, "http", |stream| async { Some(stream) }).await
    }

    /// The same over what `secure` makes of a connection.
    pub async fn serve_through<S, F>(
        folder: &Path,
        moods: impl Fn(&str, u32) -> Mood + Send + Sync + 'static,
        scheme: &str,
        secure: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        F: Future<Output = Option<S>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<BTreeMap<String, u32>>>::default();
        let (folder, counts, moods): (_, _, Moods) = (folder.to_owned(), asked.clone(), Arc::new(moods));
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (secured, folder) = (secure(stream), folder.clone());
                let (counts, moods) = (counts.clone(), moods.clone());
                tokio::spawn(async move {
                    let Some(stream) = secured.await else { return };
                    connection(stream, folder, counts, moods).await;
                });
            }
        });
        Self { url, asked, task }
    }

    /// How often each file was asked for.
    pub fn asked(&self) -> BTreeMap<String, u32> {
        self.asked.lock().unwrap().clone()
    }

    /// Counts from the beginning.
    pub fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    folder: PathBuf,
    asked: Arc<Mutex<BTreeMap<String, u32>>>,
    moods: Moods,
) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut name = String::new();
        let mut line = String::new();
        while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) && line != "\r\n" {
            if let Some(path) = line.strip_prefix("GET ") {
                name = path.split(' ').next().unwrap().trim_start_matches('/').to_owned();
            }
            line.clear();
        }
        if name.is_empty() {
            return;
        }
        let number = {
            let mut asked = asked.lock().unwrap();
            let count = asked.entry(name.clone()).or_default();
            *count += 1;
            *count
        };
        let stream = stream.get_mut();
        let mood = moods(&name, number);
        let file = std::fs::read(folder.join(&name));
        let (status, mut body) = match (&mood, file) {
            (Mood::Status(status), _) => (*status, Vec::new()),
            (Mood::Redirect(to), _) => {
                let head =
                    format!("HTTP/1.1 302 Found\r\nlocation: {to}/{name}\r\ncontent-length: 0\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).await;
                continue;
            }
            (_, Ok(file)) => (200, file),
            (_, Err(_)) => (404, b"no such file".to_vec()),
        };
        let len = body.len();
        match mood {
            Mood::Silent => {
                let _ = stream.read(&mut [0]).await;
                return;
            }
            Mood::Bent => body[len / 2] ^= 1,
            Mood::Cut => body.truncate(len / 2),
            Mood::Dripping => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {len}\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).await;
                for byte in body {
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    if stream.write_all(&[byte]).await.is_err() {
                        return;
                    }
                }
                return;
            }
            Mood::Endless => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
                while stream.write_all(&[7; 8192]).await.is_ok() {}
                return;
            }
            _ => {}
        }
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {len}\r\n\r\n");
        if stream.write_all(head.as_bytes()).await.is_err() || stream.write_all(&body).await.is_err() {
            return;
        }
        if body.len() < len {
            return;
        }
    }
}
