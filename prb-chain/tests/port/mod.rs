//! An address of a test's own.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::net::TcpSocket;

/// An address that is kept while nobody listens there: no other listener and no connection gets its port by chance.
pub struct Port {
    pub addr: SocketAddr,
    _kept: TcpSocket,
}

impl Port {
    pub fn keep() -> Self {
        // Beside this one, which never listens, another socket may be bound to the port and listen.
        let socket = bound((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self { addr: socket.local_addr().unwrap(), _kept: socket }
    }
}

/// Waits until nobody listens at an address. A process that is being started at the moment holds a listener of this one
/// for a little longer than this one does.
pub async fn freed(addr: SocketAddr) {
    let begun = Instant::now();
    while let Err(error) = bound(addr) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{addr}: {error}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn bound(addr: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}
