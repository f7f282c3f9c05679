//! Listens to what programs tell each other.

use crate::needles::Seen;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Stands between two programs and keeps what goes either way.
pub struct Tap {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<u8>>>,
    answered: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    pub async fn on(to: &str) -> Self {
        let to = to.rsplit('/').next().unwrap().to_owned();
        let listener = TcpListener::bind(crate::world::ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, answered) = <(Arc<Mutex<_>>, Arc<Mutex<_>>)>::default();
        let tap = Self { address, asked: asked.clone(), answered: answered.clone() };
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(&to).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(near_in, far_out, asked.clone()));
                tokio::spawn(carry(far_in, near_out, answered.clone()));
            }
        });
        tap
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds what was kept so far.
    pub fn tell(&self, what: &str, seen: &mut Seen) {
        seen.add(format!("{what} was asked"), self.asked.lock().unwrap().clone());
        seen.add(format!("{what} answered"), self.answered.lock().unwrap().clone());
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, kept: Arc<Mutex<Vec<u8>>>) {
    let mut some = vec![0; 64 << 10];
    while let Ok(bytes @ 1..) = from.read(&mut some).await {
        kept.lock().unwrap().extend(&some[..bytes]);
        if to.write_all(&some[..bytes]).await.is_err() {
            return;
        }
    }
}
